"""Where arrays lie: strides, overlaps, chunks; what products write to."""

from __future__ import annotations

import mmap
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator

from .dtypes import as_array

_Array = np.ndarray[Any, Any]
CHUNK_BYTES = 1 << 20  # of a batch that must be converted, at a time


class FileMap(mmap.mmap):
    """A map of a file that papilio opened for reading: what lies in it is as good as owned."""


def is_dask_array(x: Any) -> bool:
    """Whether products with it are lazy; nothing of dask is imported to find out."""
    return type(x) is not np.ndarray and any(
        str(kind.__module__).startswith("dask.array") for kind in type(x).__mro__
    )


def is_tensor(x: Any) -> bool:
    """Whether products with it are tensors; nothing of torch is imported to find out."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(x, getattr(torch, "Tensor", ()))


def is_foreign_operator(x: Any) -> bool:
    """Whether it is a linear operator, of SciPy's class or of another that does the same (PyLops').

    Operators of papilio are ones, too.
    """
    return isinstance(x, LinearOperator) or (
        type(x) is not np.ndarray
        and all(hasattr(x, name) for name in ("matvec", "rmatvec", "shape"))
    )


def with_axes(x: Any) -> Any:
    """What is multiplied by an operator, as an array of at least one axis."""
    array = x if is_dask_array(x) or is_tensor(x) else as_array(x, "x")
    if array.ndim == 0:
        raise ValueError("x has no axes, expected a vector or more")
    return array


def result_of(
    shape: tuple[int, int], dtype: np.dtype[Any], x: _Array, out: _Array | None, axis: int
) -> _Array:
    """`out`, checked, or a new array of this dtype for an operator's product with x."""
    rows, cols = shape
    if x.shape[axis] != cols:
        raise ValueError(
            f"x has shape {x.shape}, expected length {cols} along axis {axis}: "
            f"the operator has shape {(rows, cols)}"
        )
    result_shape = (*x.shape[:axis], rows, *x.shape[axis + 1 :])
    if out is None:
        columns_first = x.flags.f_contiguous and not x.flags.c_contiguous
        return np.empty(result_shape, dtype, order="F" if columns_first else "C")
    check_out(out, x, result_shape, dtype)
    return out


def check_out(out: Any, x: _Array, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raise unless a product with x of this shape and dtype can be written to `out`."""
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out is a {type(out).__name__}, expected an ndarray")
    if out.dtype != dtype:
        raise TypeError(f"out has dtype {out.dtype}, expected {dtype}")
    if out.shape != shape:
        raise ValueError(f"out has shape {out.shape}, expected {shape}")
    if not out.flags.writeable:
        raise ValueError("out is read-only, expected a writable array")
    if out.size and (not readable_in_place(out) or overlaps_itself(out)):
        raise ValueError(
            f"out has strides {out.strides}, expected aligned non-zero multiples of {out.itemsize} "
            "that give each entry a place of its own"
        )
    if overlap(out, x) and not _same_memory(out, x):
        raise ValueError("out overlaps x, expected separate memory or x itself")


def overlaps_itself(x: _Array) -> bool:
    """Whether two entries of x lie in the same place."""
    end = x.itemsize
    axes = [(abs(step), n) for step, n in zip(x.strides, x.shape, strict=True) if n > 1]
    for step, n in sorted(axes):
        if step < end:
            break  # entries along this axis lie between others: only a list of all places tells
        end += step * (n - 1)
    else:
        return False
    places = sum(np.arange(n).reshape((-1,) + (1,) * k) * step for k, (step, n) in enumerate(axes))
    gaps = np.diff(np.sort(np.ravel(places)))
    return bool((gaps < x.itemsize).any())


def _same_memory(x: _Array, y: _Array) -> bool:
    same_place = x.__array_interface__["data"][0] == y.__array_interface__["data"][0]
    return same_place and (x.dtype, x.shape, x.strides) == (y.dtype, y.shape, y.strides)


def overlap(x: _Array, y: _Array) -> bool:
    if not np.may_share_memory(x, y):
        return False
    try:
        return bool(np.shares_memory(x, y, max_work=1000))  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True  # too entangled to tell: treat it as an overlap


def readable_in_place(x: _Array) -> bool:
    """Whether the core can read (or write) x where it is."""
    return bool(x.flags.aligned) and not any(step % x.itemsize for step in x.strides)


def chunks(x: _Array, out: _Array, axis: int) -> Iterator[tuple[_Array, _Array]]:
    """Parts of x and out with all of `axis`, of about CHUNK_BYTES or one vector each."""
    lengths = [0 if n == axis else size for n, size in enumerate(x.shape)]
    size = max(x.size, out.size) * out.itemsize
    if size <= CHUNK_BYTES or max(lengths) <= 1:
        yield x, out
        return
    longest = lengths.index(max(lengths))
    parts = min(lengths[longest], -(-size // CHUNK_BYTES))
    for part, target in zip(
        np.array_split(x, parts, longest), np.array_split(out, parts, longest), strict=True
    ):
        yield from chunks(part, target, axis)


def column_ranges(shape: tuple[int, int], itemsize: int) -> Iterator[tuple[int, int]]:
    """Ranges of columns of a matrix of this shape, of about CHUNK_BYTES or one column each."""
    rows, cols = shape
    width = max(1, min(cols, CHUNK_BYTES // (max(rows, cols, 1) * itemsize)))
    for start in range(0, cols, width):
        yield start, min(start + width, cols)


def unit_columns(size: int, start: int, stop: int, dtype: Any) -> _Array:
    """Columns from `start` to `stop` of the identity."""
    unit = np.zeros((size, stop - start), dtype)
    unit[np.arange(start, stop), np.arange(stop - start)] = 1
    return unit


def is_mapped(array: _Array) -> bool:
    """Whether an array lies in a map of a file."""
    owner: Any = array
    while isinstance(owner, np.ndarray | memoryview):
        owner = owner.base if isinstance(owner, np.ndarray) else owner.obj
    return isinstance(owner, mmap.mmap)


def owned(value: Any) -> Any:
    """The value; arrays in it are copied where the core can't read them or others may write."""
    if isinstance(value, tuple):
        return tuple(owned(item) for item in value)
    if isinstance(value, partial):
        return partial(value.func, *owned(value.args), **value.keywords)
    if not isinstance(value, np.ndarray):
        return value
    array: np.ndarray[Any, Any] = np.asarray(value)
    # A buffer that pickle was given out of band is read-only here, but not for its owner.
    owner: Any = array
    while isinstance(owner, np.ndarray | memoryview):
        inner = owner.base if isinstance(owner, np.ndarray) else owner.obj
        if inner is None:
            break
        owner = inner
    flags, alone = array.flags, isinstance(owner, np.ndarray | bytes | FileMap)
    if alone and flags.c_contiguous and flags.aligned and array.dtype.isnative:
        return array
    return np.array(array, dtype=array.dtype.newbyteorder("="), order="C", copy=True)
