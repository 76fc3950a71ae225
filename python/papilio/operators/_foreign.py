"""Foreign: an operator of another library, as a part of papilio's."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator

from .._util.arrays import chunks
from .._util.dtypes import as_array, promoted
from ._base import Operator

_Array = np.ndarray[Any, Any]


class Foreign(Operator):
    """A `scipy.sparse.linalg.LinearOperator` of anyone's, which multiplies by itself.

    Its products are cast to the precision that its dtype tells. Transposes need its ``rmatmat``.
    """

    lowers, needs_complex = False, False

    def __init__(self, operator: LinearOperator, dtype: Any = None) -> None:
        self.operator = operator
        own = np.dtype(np.float64 if operator.dtype is None else operator.dtype)
        self._set_up(promoted(own, "operator") if dtype is None else dtype, operator.shape)

    @property
    def nnz(self) -> int:
        return int(self.shape[0] * self.shape[1])

    @property
    def nbytes(self) -> int:
        return 0

    def work(self) -> float:
        return float(self.nnz)

    def lower(self, steps: Any, is_complex: bool, copies: int) -> bool:
        raise AssertionError("an operator of another library is never lowered")

    def _write(self, x: _Array, out: _Array, axis: int) -> None:
        for part, target in chunks(x, out, axis):
            vectors = np.moveaxis(part, axis, 0)
            batch = vectors.shape[1:]
            product = as_array(
                self.operator.matmat(vectors.reshape(vectors.shape[0], -1)), "the product"
            )
            np.moveaxis(target, axis, 0)[...] = product.reshape(-1, *batch)

    def _make_transpose(self) -> Foreign:
        return Foreign(self.operator.T, self.dtype)

    def _make_conj(self) -> Foreign:
        return Foreign(self.operator.H.T, self.dtype)

    def _make_astype(self, dtype: np.dtype[Any]) -> Foreign:
        return Foreign(self.operator, dtype)

    def _state(self) -> tuple[Any, ...]:
        return self.operator, self.dtype

    def __repr__(self) -> str:
        return f"<{self.operator!r}>"
