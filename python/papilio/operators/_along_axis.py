"""AlongAxis: an operator along one axis of arrays that are held as vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._pickling import reduced

_Array = np.ndarray[Any, Any]


class AlongAxis:
    """``I_before (x) operator (x) I_after``, as a part of a composition.

    A vector is an array of shape (before, n, after) in C order; the operator, a Butterfly or a
    Composition, multiplies along its middle axis. Nothing is formed or repeated.
    """

    def __init__(self, operator: Any, before: int, after: int) -> None:
        self.operator, self.before, self.after = operator, before, after

    def _state(self) -> tuple[Any, ...]:
        return self.operator, self.before, self.after

    @classmethod
    def _from_state(cls, *state: Any) -> AlongAxis:
        return cls(*state)

    def __reduce__(self) -> tuple[Any, ...]:
        return reduced(self)

    @property
    def shape(self) -> tuple[int, int]:
        rows, cols = self.operator.shape
        size = self.before * self.after
        return size * rows, size * cols

    @property
    def dtype(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = self.operator.dtype
        return dtype

    @property
    def T(self) -> AlongAxis:
        return self._around(self.operator.T)

    def conj(self) -> AlongAxis:
        return self._around(self.operator.conj())

    def astype(self, dtype: Any) -> AlongAxis:
        return self._around(self.operator.astype(dtype))

    def apply(self, x: _Array, *, axis: int) -> _Array:
        before, after = x.shape[:axis], x.shape[axis + 1 :]
        split = x.reshape(*before, self.before, self.operator.shape[1], self.after, *after)
        product: _Array = self.operator.apply(split, axis=axis + 1)
        return product.reshape(*before, self.shape[0], *after)

    def _around(self, operator: Any) -> AlongAxis:
        return AlongAxis(operator, self.before, self.after)
