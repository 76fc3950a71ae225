"""Arrays in every kind of memory, between guard zones that nobody may read or write."""

from __future__ import annotations

from typing import Any

import numpy as np

_Array = np.ndarray[Any, Any]

#: How the elements of an array lie.
LAYOUTS = ("C", "F", "strided", "reversed", "padded", "misaligned")

_GUARD = 256  # bytes before, after and between: every bit set, which is a NaN


class Guarded:
    """An array of this shape and dtype in memory of which all else is guarded."""

    def __init__(self, shape: tuple[int, ...], dtype: Any, layout: str, offset: int = 0) -> None:
        dtype = np.dtype(dtype)
        item = dtype.itemsize
        order = list(range(len(shape)))
        if layout == "F":
            order.reverse()
        step = {"strided": 2}.get(layout, 1)
        pad = {"padded": 3}.get(layout, 0)
        strides = [0] * len(shape)
        stride = item * step
        for axis in reversed(order):
            strides[axis] = stride
            stride *= shape[axis] + pad
        size = max(stride, item)
        extra = offset * item + (item // 2 if layout == "misaligned" else 0)
        self._memory = np.full(size + 2 * _GUARD + extra + item, 255, np.uint8)
        start = _GUARD + extra
        self.array: _Array = np.ndarray(
            shape, dtype, buffer=self._memory.data, offset=start, strides=strides
        )
        if layout == "reversed" and shape:
            self.array = self.array[::-1]
        inside = np.ndarray((*shape, item), np.uint8, self._memory.data, start, (*strides, 1))
        inside[...] = 0
        self._outside = self._memory.copy()
        inside[...] = 255
        self._outside = self._outside == 255  # what isn't the array's

    def check(self, name: str) -> None:
        """Nobody wrote outside of the array."""
        wrong = np.flatnonzero(self._outside & (self._memory != 255))
        assert not wrong.size, f"{wrong.size} bytes around {name} written, the first at {wrong[0]}"
