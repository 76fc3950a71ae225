"""The matrix that fixed_support approximates: dense, sparse, or an operator that is read once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.sparse
import scipy.sparse.linalg
from numpy.typing import NDArray

from .. import _core
from .._util.dtypes import as_array, promoted

_Array = NDArray[Any]
_CHUNK = 1 << 21  # entries that are looked at together


class Target:
    """A matrix with two axes, all finite, in one of the four dtypes, and its norm.

    Norms are those of the matrix times `scale`, a power of four that brings the largest entry near
    1: squares then neither overflow nor vanish.

    Parameters
    ----------
    A : ndarray-like, scipy.sparse matrix or array, or LinearOperator
        Dense arrays are read in place where dtype and memory allow it. Of an operator, entries
        within the supports are kept as a sparse matrix; it is multiplied by the columns of the
        identity, some at a time.
    left, right : the supports, as `as_supports` returns them

    Raises
    ------
    TypeError, ValueError
        For what isn't numeric, hasn't the shape of left @ right, or isn't finite.
    """

    def __init__(self, A: Any, left: Any, right: Any) -> None:
        self.shape = left.shape[0], right.shape[1]
        # Of an operator's entries outside of the supports: the largest part, and the norm next to
        # the power of two `_unread_exponent`.
        self._unread, self._unread_exponent = 0.0, 0
        self.start: NDArray[np.int64] | None = None
        self.column: NDArray[np.int32] | None = None
        if isinstance(A, scipy.sparse.linalg.LinearOperator):
            self._check_shape(A.shape)
            self._read_operator(A, left, right)
        elif scipy.sparse.issparse(A):
            self._check_shape(A.shape)
            self._take_sparse(A)
        else:
            array = as_array(A, "A")
            self._check_shape(array.shape)
            self.dtype = promoted(array.dtype, "A")
            if (
                array.dtype != self.dtype
                or not array.flags.aligned
                or any(step % array.itemsize for step in array.strides)
            ):
                array = array.astype(self.dtype)
            self.values: _Array = array
        self._measure()

    @property
    def arrays(self) -> tuple[Any, Any, Any, float]:
        """What the core takes: values, row starts and columns if sparse, scale."""
        return self.values, self.start, self.column, self.scale

    def outside(self, classes: _core.SupportClasses) -> float:
        """The norm outside of the union of the rectangles, scaled."""
        return math.hypot(self.unread, classes.norm_outside(*self.arrays))

    def unscaled(self) -> _Array:
        """The entries (of an operator: within the supports) as they are; dense ones not copied."""
        if self.start is None:
            return self.values
        matrix = scipy.sparse.csr_array((self.values, self.column, self.start), shape=self.shape)
        dense: _Array = matrix.toarray()
        return dense

    def toarray(self) -> _Array:
        """The entries (of an operator: within the supports), scaled, in double precision."""
        scaled: _Array = self.unscaled().astype(np.result_type(self.dtype, np.float64))
        scaled *= self.scale
        return scaled

    def block(self, rows: _Array, cols: _Array | slice) -> _Array:
        """The entries of a rectangle, scaled, in double precision."""
        wide = np.result_type(self.dtype, np.float64)
        if self.start is None:
            entries: _Array = self.values[rows][:, cols].astype(wide) * self.scale
            return entries
        matrix = scipy.sparse.csr_array((self.values, self.column, self.start), shape=self.shape)
        dense: _Array = matrix[rows][:, cols].toarray().astype(wide) * self.scale
        return dense

    def _check_shape(self, shape: tuple[int, ...]) -> None:
        if len(shape) != 2:
            raise ValueError(f"A has {len(shape)} axes, expected 2")
        if tuple(shape) != self.shape:
            raise ValueError(
                f"A has shape {tuple(shape)} but products with these supports have {self.shape}"
            )

    def _take_sparse(self, A: Any) -> None:
        self.dtype = promoted(A.dtype, "A")
        matrix = scipy.sparse.csr_array(A)
        if not matrix.has_canonical_format:
            matrix = matrix.copy()
            matrix.sum_duplicates()
        self.values = np.ascontiguousarray(matrix.data, self.dtype)
        self.start = matrix.indptr.astype(np.int64)
        self.column = matrix.indices.astype(np.int32)

    def _read_operator(self, A: Any, left: Any, right: Any) -> None:
        self.dtype = promoted(np.dtype(A.dtype), "A")
        m, n = self.shape
        width = max(1, _CHUNK // max(m, n))
        # Products of ones count; as numbers they can't wrap around to zero as small integers may.
        left, right = left.astype(np.float32), right.astype(np.float32).tocsc()
        pieces = []
        for first in range(0, n, width):
            last = min(first + width, n)
            identity = np.zeros((n, last - first), self.dtype)
            identity[np.arange(first, last), np.arange(last - first)] = 1
            entries = self._columns(A, identity)
            _check_finite(entries, 0, first)
            union = scipy.sparse.csc_array(left @ right[:, first:last])
            union.sort_indices()
            columns = np.repeat(np.arange(last - first), np.diff(union.indptr))
            inside = entries[union.indices, columns]
            entries[union.indices, columns] = 0
            self._add_unread(entries)
            pieces.append(
                scipy.sparse.csc_array((inside, union.indices, union.indptr), union.shape)
            )
        matrix = scipy.sparse.csr_array(scipy.sparse.hstack(pieces, format="csc"))
        self._take_sparse(matrix)

    def _columns(self, A: Any, identity: _Array) -> _Array:
        """A copy of the columns that an operator makes of those of the identity."""
        columns = as_array(A.matmat(identity), "A @ identity")
        wanted = (self.shape[0], identity.shape[1])
        if columns.shape != wanted:
            raise ValueError(f"A @ identity has shape {columns.shape}, expected {wanted}")
        if not np.can_cast(columns.dtype, self.dtype, "same_kind"):
            raise TypeError(f"A has dtype {self.dtype}, but A @ identity has dtype {columns.dtype}")
        with np.errstate(over="ignore"):  # what overflows isn't finite, and is told
            return np.array(columns, self.dtype)

    def _add_unread(self, entries: _Array) -> None:
        largest = largest_part(entries)
        if largest == 0:
            return
        exponent = max(math.frexp(largest)[1], self._unread_exponent if self._unread else -1100)
        before = math.ldexp(self._unread, self._unread_exponent - exponent)
        half = -exponent // 2
        near = entries.astype(np.result_type(self.dtype, np.float64))
        near *= math.ldexp(1.0, half)
        near *= math.ldexp(1.0, -exponent - half)
        self._unread = math.hypot(before, float(np.linalg.norm(near)))
        self._unread_exponent = exponent

    def _measure(self) -> None:
        """Largest entry, scale and norm; ValueError that names the first entry not finite."""
        flat = self.values if self.values.ndim == 2 else self.values[None, :]
        height = max(1, _CHUNK // max(flat.shape[1], 1))
        largest = 0.0
        for first in range(0, flat.shape[0], height):
            if self.start is None:
                largest = max(largest, _check_finite(flat[first : first + height], first, 0))
            elif flat.size:
                largest = max(largest, self._check_sparse())
        exponents = [math.frexp(largest)[1]] if largest > 0 else []
        exponents += [self._unread_exponent] if self._unread > 0 else []
        self.exponent = max(-500, min(500, -(max(exponents, default=0) // 2)))
        self.scale = math.ldexp(1.0, 2 * self.exponent)
        self.unread = math.ldexp(self._unread, self._unread_exponent + 2 * self.exponent)
        self.norm2 = self.unread**2 + sum(
            _squares(flat[first : first + height], self.scale)
            for first in range(0, flat.shape[0], height)
        )

    def _check_sparse(self) -> float:
        largest = largest_part(self.values)
        if not math.isfinite(largest):
            assert self.start is not None and self.column is not None
            n = int(np.flatnonzero(~np.isfinite(self.values))[0])
            row = int(np.searchsorted(self.start, n, side="right")) - 1
            _refuse(self.values[n], row, int(self.column[n]))
        return largest


def _squares(entries: _Array, scale: float) -> float:
    """The sum of the squared magnitudes, in double precision. (BLAS threads cost more for less.)"""
    wide = entries.astype(np.result_type(entries.dtype, np.float64)) * scale
    return float(np.square(wide.real).sum() + np.square(wide.imag).sum())


def _check_finite(entries: _Array, first_row: int, first_column: int) -> float:
    """The largest magnitude."""
    largest = largest_part(entries)
    if not math.isfinite(largest):
        row, column = np.argwhere(~np.isfinite(entries))[0]
        _refuse(entries[row, column], first_row + int(row), first_column + int(column))
    return largest


def largest_part(entries: _Array) -> float:
    """The largest magnitude of a real or imaginary part: finite if all entries are."""
    if not entries.size:
        return 0.0
    if entries.dtype.kind != "c":
        return float(np.abs(entries).max())
    return float(np.maximum(np.abs(entries.real).max(), np.abs(entries.imag).max()))


def _refuse(value: Any, row: int, column: int) -> None:
    name = "nan" if np.isnan(value) else "inf"
    raise ValueError(f"A has {name} at row {row}, column {column}, expected finite numbers")
