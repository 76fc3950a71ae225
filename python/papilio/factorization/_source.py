"""Source: the matrix that factorize reads, in place or some rows at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from .._util.dtypes import as_array, promoted, safe_norm

_Array = np.ndarray[Any, Any]


class Source:
    """A 2-D array that is used in place, or an object whose rows are read and converted.

    Parameters
    ----------
    A : array_like, sparse matrix, LinearOperator, or object with ``shape``, ``dtype``, ``A[i:j]``
        Arrays of a supported dtype (a `numpy.memmap` is one, a tensor too) are used where they
        are. What has another dtype, and what is no array but has a NumPy dtype (an HDF5 or Zarr
        data set), is read by rows. Of a LinearOperator the dense matrix is formed by products.

    Attributes
    ----------
    shape : (int, int)
    dtype : numpy dtype
        What is computed in.
    array : ndarray
        The matrix, or an empty array of `dtype` if rows are read.
    read : callable or None
        ``read(first, count)`` gives rows as a C-contiguous array of `dtype`.
    """

    shape: tuple[int, int]
    dtype: np.dtype[Any]
    array: _Array
    read: Callable[[int, int], _Array] | None

    def __init__(self, A: Any) -> None:
        self._norm: float | None = None
        if scipy.sparse.issparse(A):
            rows = A.tocsr()
            self._set_reader(rows, lambda first, last: rows[first:last].toarray())
            return
        if (
            not isinstance(A, np.ndarray | np.generic)
            and isinstance(getattr(A, "dtype", None), np.dtype)
            and hasattr(A, "shape")
            and hasattr(A, "__getitem__")
        ):
            self._set_reader(A, lambda first, last: A[first:last])
            return
        array = as_array(A, "A")
        self.dtype = promoted(array.dtype, "A")
        if (
            array.dtype == self.dtype
            and array.flags.aligned
            and not any(step % array.itemsize for step in array.strides)
        ):
            self._set_shape(array.shape)
            self.array, self.read = array, None
        else:
            self._set_reader(array, lambda first, last: array[first:last])

    def _set_reader(self, A: Any, rows: Callable[[int, int], Any]) -> None:
        self._set_shape(A.shape)
        self.dtype = promoted(A.dtype, "A")
        self.array = np.empty((0, 0), self.dtype)
        self.read = lambda first, count: self._checked_rows(rows(first, first + count), count)

    def _set_shape(self, shape: tuple[int, ...]) -> None:
        if len(shape) != 2:
            raise ValueError(f"A has {len(shape)} axes, expected 2")
        self.shape = (int(shape[0]), int(shape[1]))
        if 0 in self.shape:
            raise ValueError(f"A has shape {self.shape}, expected at least one row and one column")

    def _checked_rows(self, rows: Any, count: int) -> _Array:
        array = as_array(rows, "rows of A")
        if array.shape != (count, self.shape[1]):
            raise ValueError(
                f"rows of A have shape {array.shape}, expected {(count, self.shape[1])}"
            )
        if array.dtype.kind == "c" and self.dtype.kind == "f":
            raise TypeError(f"rows of A have dtype {array.dtype}, but A has {self.dtype}")
        return np.ascontiguousarray(array, dtype=self.dtype)

    def norm(self) -> float:
        """Frobenius norm, from some MiB of rows at a time; computed once."""
        if self._norm is None:
            rows = max(1, (4 << 20) // max(1, self.shape[1] * self.dtype.itemsize))
            parts = []
            for first in range(0, self.shape[0], rows):
                count = min(rows, self.shape[0] - first)
                part = (
                    self.array[first : first + count]
                    if self.read is None
                    else self.read(first, count)
                )
                parts.append(safe_norm(part))
            self._norm = math.hypot(*parts)
        return self._norm

    def rows(self, numbers: NDArray[np.int64]) -> _Array:
        """A copy of some rows."""
        if self.read is None:
            return self.array[numbers]
        return np.concatenate([self.read(int(number), 1) for number in numbers])
