"""Compositions as the compiled core runs them: butterflies and sparse matrices of real numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse

from .. import _core
from .._chains.scaling import parts_of
from ._compiled import Compiled, Side

_Matrix: Any = scipy.sparse.csr_array
_Core = _core.Operator | _core.GridPoints | _core.Grid


def lower(parts: Sequence[Any], dtype: np.dtype[Any]) -> Compiled:
    """Compile a product of parts that `lower` themselves.

    ``dtype`` is the real dtype of their precision. The core's sparse matrices are real: complex
    vectors are pairs (real part, imaginary part) to them. Real parts to the right of the first
    complex one take real vectors, if that one can.
    """
    steps = Steps()
    takes_complex = is_complex = _takes_complex(parts)
    for part in reversed(parts):
        is_complex = part.lower(steps, is_complex, 1)
    return _compiled(steps, dtype, takes_complex, is_complex, parts[0].shape[0])


def lower_on_pairs(parts: Sequence[Any], dtype: np.dtype[Any], takes_complex: bool) -> Compiled:
    """Compile a product of real parts whose input (or else output) is pairs: complex vectors."""
    steps = Steps()
    for part in reversed(parts):
        part.lower(steps, False, 1)
    rows = parts[0].shape[0]
    return _compiled(
        steps, dtype, takes_complex, not takes_complex, rows if takes_complex else rows // 2
    )


def _compiled(
    steps: Steps, dtype: np.dtype[Any], takes_complex: bool, gives_complex: bool, rows: int
) -> Compiled:
    compiled = _core.Composition(
        dtype,
        takes_complex,
        gives_complex,
        [_arrays(step, dtype) if scipy.sparse.issparse(step) else step for step in steps.made],
    )
    dtypes = dtype, np.result_type(dtype, np.complex64)
    return Compiled(compiled, Side.OWN, rows, dtypes[takes_complex], dtypes[gives_complex])


def _takes_complex(parts: Sequence[Any]) -> bool:
    for n, part in enumerate(reversed(parts)):
        if part.dtype.kind == "c":
            return n == 0 or part.needs_complex
    return False


class Steps:
    """What the core does one after the other: sparse matrices, (operator, side, copies).

    Parts add themselves, the rightmost first; `copies` is how many vectors lie one after the other
    in the one that is multiplied.
    """

    def __init__(self) -> None:
        self.made: list[Any] = []

    def run(self, core: _Core, side: Side, copies: int) -> None:
        """A product with a butterfly, or a step on a grid."""
        self.made.append((core, side, copies))

    def on_both_parts(self, part: Any, copies: int) -> None:
        """A product of a real part with complex vectors: two vectors in place of one."""
        self.multiply(_parted(part.shape[1]), copies)
        part.lower(self, False, 2 * copies)
        self.multiply(_parted(part.shape[0]).T, copies)

    def multiply(self, matrix: Any, copies: int) -> None:
        """After a sparse matrix, a product with it, unless that is more work or less exact."""
        if copies > 1:
            matrix = scipy.sparse.kron(scipy.sparse.eye_array(copies), matrix)
        matrix = _Matrix(matrix)
        if self.made and scipy.sparse.issparse(self.made[-1]):
            before = self.made[-1]
            product = _Matrix(matrix @ before)
            if product.nnz <= matrix.nnz + before.nnz and _is_normal(matrix, before):
                self.made[-1] = product
                return
        self.made.append(matrix)


def _is_normal(*matrices: Any) -> bool:
    """Whether products of entries are normal numbers: none overflows, vanishes or loses digits."""
    kind = np.finfo(np.result_type(*(matrix.dtype for matrix in matrices)))
    exponents = [np.frexp(parts_of(m.data[m.data != 0]))[1] for m in matrices]
    least = sum(int(e.min(initial=0)) for e in exponents)
    most = sum(int(e.max(initial=0)) for e in exponents)
    return least > kind.minexp + 1 and most <= kind.maxexp


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


def on_pairs(matrix: Any) -> Any:
    """A real M on the real and imaginary parts of z, as pairs of real numbers."""
    return scipy.sparse.kron(matrix, scipy.sparse.eye_array(2), format="csr")


def _real(values: Any, rows: Any, columns: Any, shape: tuple[int, int]) -> Any:
    coordinates = (np.concatenate(rows), np.concatenate(columns))
    return _Matrix((np.concatenate(values), coordinates), shape=shape)


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
