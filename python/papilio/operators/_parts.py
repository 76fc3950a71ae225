"""What compositions are made of, besides operators."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import scipy.sparse
from scipy.sparse.linalg import LinearOperator

from .._util.checks import shown
from .._util.dtypes import promoted
from ._differentiable import Wanted
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
    """A sparse matrix as a part: diagonals, selections, paddings, sums of a few entries. In
    canonical form, so that the same matrix is the same state, however it was made."""

    lowers, needs_complex = True, False

    def __init__(self, matrix: Any) -> None:
        self.matrix = scipy.sparse.csr_array(matrix)
        if not self.matrix.has_canonical_format:
            self.matrix = self.matrix.copy()
            self.matrix.sum_duplicates()
        for array in (self.matrix.data, self.matrix.indices, self.matrix.indptr):
            array.setflags(write=False)

    @staticmethod
    def copy_of(matrix: Any, name: str) -> Sparse:
        """A user's sparse matrix, checked, in a supported dtype; nothing of it is kept."""
        dtype = promoted(matrix.dtype, name)
        if matrix.ndim != 2:
            raise ValueError(f"{name} has shape {matrix.shape}, expected a matrix")
        try:
            copy = scipy.sparse.csr_array(matrix, copy=True)
            copy.check_format(full_check=True)
        except ValueError as error:
            raise ValueError(f"{name} is a damaged sparse matrix: {error}") from None
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


def as_pairs(x: _Array, is_complex: bool, axis: int) -> _Array:
    """Complex vectors along an axis as real ones of twice the length; real ones as they are, of
    complex ones in their place the real part."""
    if not is_complex:
        return x.real
    vectors = np.moveaxis(x, axis, -1)
    vectors = vectors.astype(np.result_type(x.dtype, np.complex64), order="C", copy=False)
    pairs: _Array = np.ascontiguousarray(vectors).view(vectors.real.dtype)
    return np.moveaxis(pairs, -1, axis)


def of_pairs(x: _Array, axis: int) -> _Array:
    """Real vectors along an axis as complex ones of half the length."""
    vectors = np.ascontiguousarray(np.moveaxis(x, axis, -1))
    return np.moveaxis(vectors.view(np.result_type(x.dtype, np.complex64)), -1, axis)


def _both(x: _Array) -> _Array:
    """The parts of complex vectors, along a new first axis."""
    return np.stack([x.real, x.imag])


class Pairs:
    """A complex operator as a real part: entries 2 j and 2 j + 1 are real and imaginary part."""

    needs_complex = False

    def __init__(self, butterfly: Any) -> None:
        self.butterfly = butterfly  # any complex operator; the name is that of 0.1's pickles

    def _state(self) -> tuple[Any, ...]:
        return (self.butterfly,)

    @classmethod
    def _from_state(cls, *state: Any) -> Pairs:
        (operator,) = state
        if not isinstance(operator, LinearOperator) or operator.dtype.kind != "c":
            raise TypeError(f"a part is pairs of {shown(operator)}, expected a complex operator")
        return cls(operator)

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
        product = self.butterfly.apply(of_pairs(x.astype(self.dtype, copy=False), axis), axis=axis)
        return as_pairs(product, True, axis)

    # What the derivatives of compositions ask for, of parts with factors.

    @property
    def has_factors(self) -> bool:
        return bool(self.butterfly.has_factors)

    def _vjp(self, x: _Array, gy: _Array, wanted: Wanted) -> tuple[_Array | None, Any]:
        if x.dtype.kind == "c" or gy.dtype.kind == "c":
            # The parts of a complex vector are two vectors.
            asked = replace(wanted, axis=wanted.axis + 1, out=None)
            gx, gradients = self._vjp(_both(x), _both(gy), asked)
            gx = None if gx is None else gx[0] + 1j * gx[1]
        else:
            vectors = (of_pairs(z, wanted.axis) for z in (x, gy))
            gx, gradients = self.butterfly._vjp(*vectors, wanted.without_out())
            gx = None if gx is None else as_pairs(gx, True, wanted.axis)
        if gx is not None and wanted.out is not None:
            wanted.out[...] = gx
            gx = wanted.out
        return gx, gradients

    def _jvp(
        self, x: _Array, dx: _Array | None, dfactors: Any, axis: int, name: str
    ) -> tuple[_Array, _Array]:
        dx = np.zeros_like(x) if dx is None else dx
        if x.dtype.kind == "c" or dx.dtype.kind == "c":
            y, dy = self._jvp(_both(x), _both(dx), dfactors, axis + 1, name)
            return y[0] + 1j * y[1], dy[0] + 1j * dy[1]
        made = self.butterfly._jvp(of_pairs(x, axis), of_pairs(dx, axis), dfactors, axis, name)
        return as_pairs(made[0], True, axis), as_pairs(made[1], True, axis)
