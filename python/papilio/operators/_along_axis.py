"""AlongAxis: an operator along one axis of arrays that are held as vectors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .._util.checks import length
from ._base import Operator, checked_operator
from ._differentiable import Wanted
from ._products import of_real_parts

_Array = np.ndarray[Any, Any]


class AlongAxis(Operator):
    """``I_before (x) operator (x) I_after``.

    A vector is an array of shape (before, n, after) in C order; the operator multiplies along its
    middle axis. Nothing is formed or repeated.
    """

    lowers, needs_complex = False, True

    def __init__(self, operator: Operator, before: int, after: int) -> None:
        self.operator, self.before, self.after = operator, before, after
        self.clinear = operator.clinear
        rows, cols = operator.shape
        size = before * after
        self._set_up(operator.dtype, (size * rows, size * cols))

    def __setstate__(self, state: dict[str, Any]) -> None:  # pickles of papilio 0.1.0
        self.__init__(state["operator"], state["before"], state["after"])  # type: ignore[misc]

    @property
    def nnz(self) -> int:
        return self.operator.nnz * self.before * self.after

    @property
    def nbytes(self) -> int:
        return self.operator.nbytes

    def work(self) -> float:
        return float(self.operator.work()) * self.before * self.after

    def inv(self) -> Operator:
        return AlongAxis(self.operator.inv(), self.before, self.after)

    def lower(self, steps: Any, is_complex: bool, copies: int) -> bool:
        raise AssertionError("an operator along an axis is never lowered")

    def _domain(self) -> np.dtype[Any]:
        return self.operator._domain()

    def _given(self, x: np.dtype[Any]) -> np.dtype[Any]:
        return self.operator._given(x)

    def _of_real_parts(self) -> Any:
        inner = of_real_parts(self.operator)
        return self if inner is self.operator else self._around(inner)

    def _write(self, x: _Array, out: _Array, axis: int) -> None:
        before, after = x.shape[:axis], x.shape[axis + 1 :]
        split = x.reshape(*before, self.before, self.operator.shape[1], self.after, *after)
        shape = (*before, self.before, self.operator.shape[0], self.after, *after)
        if out.flags.c_contiguous and not np.may_share_memory(x, out):
            self.operator.apply(split, out=out.reshape(shape), axis=axis + 1)
        else:
            out[...] = self.operator.apply(split, axis=axis + 1).reshape(out.shape)

    @property
    def has_factors(self) -> bool:
        return self.operator.has_factors

    def _vjp(self, x: _Array, gy: _Array, wanted: Wanted) -> tuple[_Array | None, Any]:
        if not wanted.factors:
            return self._pulled_back(gy, wanted), None
        rows, cols = self.operator.shape
        axis = wanted.axis
        asked = replace(wanted, axis=axis + 1, x=False, out=None)
        split = self._split(x, cols, axis), self._split(gy, rows, axis)
        return self._pulled_back(gy, wanted), self.operator._vjp(*split, asked)[1]

    def _jvp(
        self, x: _Array, dx: _Array | None, dfactors: Any, axis: int, name: str
    ) -> tuple[_Array, _Array]:
        cols = self.operator.shape[1]
        direction = None if dx is None else self._split(dx, cols, axis)
        made = self.operator._jvp(self._split(x, cols, axis), direction, dfactors, axis + 1, name)
        shape = (*x.shape[:axis], self.shape[0], *x.shape[axis + 1 :])
        return made[0].reshape(shape), made[1].reshape(shape)

    def _split(self, x: _Array, length: int, axis: int) -> _Array:
        """Vectors as arrays of three axes, the middle one of which is the operator's."""
        shape = (*x.shape[:axis], self.before, length, self.after, *x.shape[axis + 1 :])
        return x.reshape(shape)

    def _make_transpose(self) -> AlongAxis:
        return self._around(self.operator.T)

    def _make_conj(self) -> AlongAxis:
        return self._around(self.operator.conj())

    def _make_astype(self, dtype: np.dtype[Any]) -> AlongAxis:
        return self._around(self.operator.astype(dtype))

    def _state(self) -> tuple[Any, ...]:
        return self.operator, self.before, self.after

    @classmethod
    def _from_state(cls, *state: Any) -> AlongAxis:
        operator, before, after = state
        operator = checked_operator(operator, "operator")
        return cls(operator, length(before, "before", 0), length(after, "after", 0))

    def _around(self, operator: Any) -> AlongAxis:
        return AlongAxis(operator, self.before, self.after)

    def __repr__(self) -> str:
        return f"<AlongAxis {self.before}, {self.after} of {self.operator!r}>"
