"""What compositions are made of, besides operators."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import scipy.sparse

from .._util.dtypes import promoted
from ._lowering import Steps, complex_as_real, complex_rows, on_pairs
from ._pickling import reduced

_Array = np.ndarray[Any, Any]


class Part(Protocol):
    """What a composition is made of. Parts that `lowers` add themselves to the core's steps, the
    others multiply by themselves."""

    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def nnz(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def T(self) -> Any: ...
    @property
    def lowers(self) -> bool: ...
    @property
    def needs_complex(self) -> bool:
        """Whether a complex part can't take real vectors."""
        ...

    def conj(self) -> Any: ...
    def astype(self, dtype: Any) -> Any: ...
    def inv(self) -> Any: ...
    def work(self) -> float:
        """About how many real multiply-adds a product takes."""
        ...

    def lower(self, steps: Steps, is_complex: bool, copies: int) -> bool:
        """Add the product with `copies` vectors; whether its result is complex."""
        ...

    def apply(self, x: _Array, *, axis: int) -> _Array: ...


class Sparse:
    """A sparse matrix as a part: diagonals, selections, paddings, sums of a few entries."""

    lowers, needs_complex = True, False

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

    def __repr__(self) -> str:
        rows, cols = self.shape
        return f"<Sparse {rows}x{cols} {self.dtype}: {self.nnz} non-zeros>"

    @property
    def shape(self) -> tuple[int, int]:
        rows, cols = self.matrix.shape
        return (rows, cols)

    @property
    def dtype(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = np.dtype(self.matrix.dtype)
        return dtype

    @property
    def nnz(self) -> int:
        return int(self.matrix.nnz)

    @property
    def nbytes(self) -> int:
        m = self.matrix
        return int(m.data.nbytes + m.indices.nbytes + m.indptr.nbytes)

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

    def inv(self) -> Sparse:
        """The inverse of a diagonal matrix."""
        m = self.matrix
        rows, cols = self.shape
        diagonal = rows == cols == self.nnz and bool(np.array_equal(m.indices, np.arange(rows)))
        if not diagonal or not bool(np.array_equal(m.indptr, np.arange(rows + 1))):
            raise ValueError(f"{self!r} isn't a diagonal matrix without zeros")
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            inverse = (1 / m.data).astype(self.dtype)
        if not np.isfinite(inverse).all():
            raise ValueError(f"{self!r} is singular")
        return Sparse(scipy.sparse.diags_array(inverse, format="csr"))

    def work(self) -> float:
        return float(self.nnz) * (4 if self.dtype.kind == "c" else 1)

    def lower(self, steps: Steps, is_complex: bool, copies: int) -> bool:
        matrix = self.matrix
        if self.dtype.kind == "c":
            matrix = complex_as_real(matrix) if is_complex else complex_rows(matrix)
            is_complex = True
        elif is_complex:
            matrix = on_pairs(matrix)
        steps.multiply(matrix, copies)
        return is_complex

    def apply(self, x: _Array, *, axis: int) -> _Array:
        raise AssertionError("a sparse matrix is always lowered")


class Pairs:
    """A complex operator as a real part: entries 2 j and 2 j + 1 are real and imaginary part."""

    needs_complex = False

    def __init__(self, butterfly: Any) -> None:
        self.butterfly = butterfly  # any complex operator; the name is that of 0.1's pickles

    def _state(self) -> tuple[Any, ...]:
        return (self.butterfly,)

    @classmethod
    def _from_state(cls, *state: Any) -> Pairs:
        return cls(*state)

    def __reduce__(self) -> tuple[Any, ...]:
        return reduced(self)

    def __repr__(self) -> str:
        return f"<Pairs of {self.butterfly!r}>"

    @property
    def shape(self) -> tuple[int, int]:
        rows, cols = self.butterfly.shape
        return 2 * rows, 2 * cols

    @property
    def dtype(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = np.dtype(self.butterfly.dtype.char.lower())
        return dtype

    @property
    def nnz(self) -> int:
        return int(self.butterfly.nnz)

    @property
    def nbytes(self) -> int:
        return int(self.butterfly.nbytes)

    @property
    def lowers(self) -> bool:
        return bool(self.butterfly.lowers)

    @property
    def T(self) -> Pairs:
        return Pairs(self.butterfly.H)

    def conj(self) -> Pairs:
        return self

    def astype(self, dtype: Any) -> Pairs:
        return Pairs(self.butterfly.astype(np.result_type(dtype, np.complex64)))

    def inv(self) -> Pairs:
        return Pairs(self.butterfly.inv())

    def work(self) -> float:
        return float(self.butterfly.work())

    def lower(self, steps: Steps, is_complex: bool, copies: int) -> bool:
        if is_complex:
            steps.on_both_parts(self, copies)
        else:
            self.butterfly.lower(steps, True, copies)
        return is_complex

    def apply(self, x: _Array, *, axis: int) -> _Array:
        if x.dtype.kind == "c":
            real = self.apply(x.real, axis=axis)
            both = np.empty(real.shape, np.result_type(self.dtype, np.complex64))
            both.real, both.imag = real, self.apply(x.imag, axis=axis)
            return both
        vectors = np.moveaxis(x, axis, -1).astype(self.dtype, order="C")
        product = self.butterfly.apply(vectors.view(np.result_type(self.dtype, "c8")), axis=-1)
        pairs: _Array = np.ascontiguousarray(product).view(self.dtype)
        return np.moveaxis(pairs, -1, axis)
