"""What compositions are made of, besides butterflies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import scipy.sparse

from .._util.dtypes import promoted
from ._pickling import reduced

if TYPE_CHECKING:
    from ._butterfly import Butterfly
    from ._composition import Composition

_Array = np.ndarray[Any, Any]


class Part(Protocol):
    """What a composition is made of."""

    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def T(self) -> Part: ...
    def conj(self) -> Part: ...
    def astype(self, dtype: Any) -> Part: ...


class Applied(Part, Protocol):
    """A part that multiplies by itself, in Python."""

    def apply(self, x: _Array, *, axis: int) -> _Array: ...


class Sparse:
    """A sparse matrix as a part: diagonals, selections, paddings, sums of a few entries."""

    def __init__(self, matrix: Any) -> None:
        self.matrix = scipy.sparse.csr_array(matrix)
        for array in (self.matrix.data, self.matrix.indices, self.matrix.indptr):
            array.setflags(write=False)

    @staticmethod
    def copy_of(matrix: Any, name: str) -> Sparse:
        """A user's sparse matrix, checked, in a supported dtype; nothing of it is kept."""
        dtype = promoted(matrix.dtype, name)
        if matrix.ndim != 2 or 0 in matrix.shape:
            raise ValueError(
                f"{name} has shape {matrix.shape}, expected a matrix of at least one entry"
            )
        try:
            copy = scipy.sparse.csr_array(matrix, copy=True)
            copy.check_format(full_check=True)
        except ValueError as error:
            raise ValueError(f"{name} is a damaged sparse matrix: {error}") from None
        copy.sum_duplicates()
        return Sparse(copy.astype(dtype))

    def _state(self) -> tuple[Any, ...]:
        m = self.matrix
        return m.data, m.indices, m.indptr, m.shape

    @classmethod
    def _from_state(cls, data: Any, indices: Any, indptr: Any, shape: Any) -> Sparse:
        matrix = scipy.sparse.csr_array((data, indices, indptr), shape=shape)
        return cls.copy_of(matrix, "matrix")

    def __reduce__(self) -> tuple[Any, ...]:
        return reduced(self)

    def __setstate__(self, state: dict[str, Any]) -> None:  # pickles of papilio 0.1.0
        self.matrix = Sparse.copy_of(state["matrix"], "matrix").matrix

    @property
    def shape(self) -> tuple[int, int]:
        rows, cols = self.matrix.shape
        return (rows, cols)

    @property
    def dtype(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = np.dtype(self.matrix.dtype)
        return dtype

    @property
    def T(self) -> Sparse:
        return Sparse(self.matrix.T)

    def conj(self) -> Sparse:
        return Sparse(self.matrix.conj())

    def astype(self, dtype: Any) -> Sparse:
        complex_values = self.dtype.kind == "c"
        return Sparse(
            self.matrix.astype(np.result_type(dtype, np.complex64 if complex_values else dtype))
        )


class Pairs:
    """A complex operator as a real part: entries 2 j and 2 j + 1 are real and imaginary part."""

    def __init__(self, butterfly: Butterfly | Composition) -> None:
        self.butterfly = butterfly

    def _state(self) -> tuple[Any, ...]:
        return (self.butterfly,)

    @classmethod
    def _from_state(cls, *state: Any) -> Pairs:
        return cls(*state)

    def __reduce__(self) -> tuple[Any, ...]:
        return reduced(self)

    @property
    def shape(self) -> tuple[int, int]:
        rows, cols = self.butterfly.shape
        return 2 * rows, 2 * cols

    @property
    def dtype(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = np.dtype(self.butterfly.dtype.char.lower())
        return dtype

    @property
    def T(self) -> Pairs:
        return Pairs(self.butterfly.H)

    def conj(self) -> Pairs:
        return self

    def astype(self, dtype: Any) -> Pairs:
        return Pairs(self.butterfly.astype(np.result_type(dtype, np.complex64)))
