"""Compiled products: what the core multiplies by, for arrays of any dtype and strides."""

from __future__ import annotations

import enum
from typing import Any

import numpy as np

from .. import _core
from .._util.arrays import chunks, readable_in_place

_Array = np.ndarray[Any, Any]


class Side(enum.IntFlag):
    """Which product with an operator: of its own, of its transpose, its conjugate, or both.

    Whole numbers, since the core reads them at each call.
    """

    OWN = 0
    TRANSPOSED = 1
    CONJUGATED = 2


class Compiled:
    """One side of a product of the core, which takes and gives arrays of one dtype each.

    This is the one place where arrays are converted: complex ones for a product that takes real
    ones become their two parts, others are copied some of `CHUNK_BYTES` at a time.
    """

    __slots__ = ("core", "gives", "rows", "side", "takes")

    def __init__(
        self,
        core: _core.Operator | _core.Composition,
        side: Side,
        rows: int,
        takes: np.dtype[Any],
        gives: np.dtype[Any],
    ) -> None:
        self.core, self.side, self.rows, self.takes, self.gives = core, side, rows, takes, gives

    def product(self, x: _Array, axis: int) -> _Array:
        """F x along `axis` as a new array; x has this precision."""
        shape = (*x.shape[:axis], self.rows, *x.shape[axis + 1 :])
        out = np.empty(shape, np.result_type(self.gives, x.dtype))
        self.write(x, out, axis)
        return out

    def write(self, x: _Array, out: _Array, axis: int) -> None:
        """``out = F x`` along `axis`; out has this precision, and is complex if F or x is."""
        if x.dtype.kind == "c" and self.takes.kind == "f":
            if self.gives.kind == "f":
                self.write(x.real, out.real, axis)
                self.write(x.imag, out.imag, axis)
                return
            for part, target in chunks(x, out, axis):
                real, imag = self.product(part.real, axis), self.product(part.imag, axis)
                with np.errstate(invalid="ignore", over="ignore"):  # they flow as IEEE says
                    np.subtract(real.real, imag.imag, out=target.real)  # x was read, if it's x
                    np.add(real.imag, imag.real, out=target.imag)
        elif x.dtype == self.takes and readable_in_place(x):
            self.core.apply(x, out, axis, self.side)
        else:
            for part, target in chunks(x, out, axis):
                copy = np.array(part, dtype=self.takes, order="C", copy=True)  # aligned, too
                self.core.apply(copy, target, axis, self.side)
