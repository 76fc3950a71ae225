"""Compositions as the compiled core runs them: butterflies and sparse matrices of real numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse

from .. import _core
from ._butterfly import Butterfly
from ._parts import Sparse

_Matrix: Any = scipy.sparse.csr_array


def lower(parts: Sequence[Any], dtype: np.dtype[Any]) -> tuple[_core.Composition, bool, bool]:
    """Compile a product of `Sparse`, `Pairs` and `Butterfly` parts.

    ``dtype`` is the real dtype of their precision. The core's sparse matrices are real: complex
    vectors are pairs (real part, imaginary part) to them. Returns the compiled product and whether
    it takes and gives complex vectors; real parts to the right of the first complex one take real
    ones.
    """
    steps = _Steps()
    complex_input = complex_output = _takes_complex(parts)
    for part in reversed(parts):
        complex_output = steps.add(part, complex_output)
    compiled = _core.Composition(
        dtype,
        complex_input,
        complex_output,
        [_arrays(step, dtype) if scipy.sparse.issparse(step) else step for step in steps.made],
    )
    return compiled, complex_input, complex_output


class _Steps:
    """What the core does one after the other: sparse matrices, (operator, side, copies)."""

    def __init__(self) -> None:
        self.made: list[Any] = []

    def add(self, part: Any, is_complex: bool, copies: int = 1) -> bool:
        """Multiply `copies` vectors, one after the other in one, by a part; whether the result is
        complex."""
        if isinstance(part, Sparse):
            matrix = part.matrix
            if part.dtype.kind == "c":
                matrix = complex_as_real(matrix) if is_complex else complex_rows(matrix)
                is_complex = True
            elif is_complex:
                matrix = scipy.sparse.kron(matrix, scipy.sparse.eye_array(2), format="csr")
            self.multiply(matrix, copies)
        elif is_complex and part.dtype.kind == "f":
            # A real part acts on real and imaginary parts: two vectors in place of one.
            self.multiply(_parted(part.shape[1]), copies)
            self.add(part, False, 2 * copies)
            self.multiply(_parted(part.shape[0]).T, copies)
        elif isinstance(part, Butterfly):
            self.made.append((part._data.operator, part._side, copies))
        else:  # pairs of real numbers, for a complex butterfly or composition
            for inner in reversed(getattr(part.butterfly, "parts", (part.butterfly,))):
                self.add(inner, True, copies)
        return is_complex

    def multiply(self, matrix: Any, copies: int) -> None:
        """After a sparse matrix, a product with it, unless that is more work."""
        if copies > 1:
            matrix = scipy.sparse.kron(scipy.sparse.eye_array(copies), matrix)
        matrix = _Matrix(matrix)
        if self.made and scipy.sparse.issparse(self.made[-1]):
            product = _Matrix(matrix @ self.made[-1])
            if product.nnz <= matrix.nnz + self.made[-1].nnz:
                self.made[-1] = product
                return
        self.made.append(matrix)


def complex_rows(matrix: Any) -> Any:
    """M x for real x, as pairs of real numbers."""
    m = matrix.tocoo()
    return _real(
        [m.data.real, m.data.imag],
        [2 * m.row, 2 * m.row + 1],
        [m.col, m.col],
        (2 * m.shape[0], m.shape[1]),
    )


def real_part(matrix: Any) -> Any:
    """Re(M z) for complex z as pairs of real numbers."""
    m = matrix.tocoo()
    return _real(
        [m.data.real, -m.data.imag],
        [m.row, m.row],
        [2 * m.col, 2 * m.col + 1],
        (m.shape[0], 2 * m.shape[1]),
    )


def complex_as_real(matrix: Any) -> Any:
    """M z for complex z, both as pairs of real numbers."""
    m = matrix.tocoo()
    return _real(
        [m.data.real, -m.data.imag, m.data.imag, m.data.real],
        [2 * m.row, 2 * m.row, 2 * m.row + 1, 2 * m.row + 1],
        [2 * m.col, 2 * m.col + 1, 2 * m.col, 2 * m.col + 1],
        (2 * m.shape[0], 2 * m.shape[1]),
    )


def _real(values: Any, rows: Any, columns: Any, shape: tuple[int, int]) -> Any:
    coordinates = (np.concatenate(rows), np.concatenate(columns))
    return _Matrix((np.concatenate(values), coordinates), shape=shape)


def _takes_complex(parts: Sequence[Any]) -> bool:
    for n, part in enumerate(reversed(parts)):
        if part.dtype.kind == "c":
            return n == 0 or isinstance(part, Butterfly)
    return False


def _parted(size: int) -> Any:
    """The permutation of `size` pairs to all first and then all second numbers."""
    k = np.arange(size)
    order = np.concatenate([2 * k, 2 * k + 1])
    return _Matrix((np.ones(2 * size), (np.arange(2 * size), order)), shape=(2 * size, 2 * size))


def _arrays(matrix: Any, dtype: np.dtype[Any]) -> tuple[Any, Any, Any, int]:
    if not matrix.has_canonical_format:
        matrix = matrix.copy()  # the user's, perhaps
        matrix.sum_duplicates()
    values = np.ascontiguousarray(matrix.data, dtype)
    return matrix.indptr, matrix.indices, values, matrix.shape[1]
