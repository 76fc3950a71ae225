"""Operators of arrays: the shapes that they take and give, products along several axes at once."""

from __future__ import annotations

import math
from importlib import import_module
from typing import Any, TypeVar

import numpy as np

from .._util.arrays import check_out, is_dask_array, is_tensor
from .._util.checks import axis_number, items_of, shown
from .._util.dtypes import as_array, promoted

_Array = np.ndarray[Any, Any]
Dims = tuple[int, ...]
_Made = TypeVar("_Made")


def shaped(F: _Made, dimsd: Any, dims: Any) -> _Made:
    """F, which nobody else holds yet, as an operator from arrays of shape `dims` to `dimsd`."""
    operator: Any = F
    operator._dims = tuple(map(int, dimsd)), tuple(map(int, dims))
    return F


def shaped_as(F: _Made, other: Any, *, swapped: bool = False) -> _Made:
    """F with the shapes of another operator, if that has any."""
    if other._dims is not None and F is not other:
        dimsd, dims = other._dims
        shaped(F, *((dims, dimsd) if swapped else (dimsd, dims)))
    return F


def restored_shapes(F: Any, dimsd: Any, dims: Any) -> Any:
    """F with the shapes that a pickle or a file tells; ValueError if they aren't F's."""
    given = [list(map(int, shape)) for shape in (dimsd, dims)]
    if any(min(shape, default=-1) < 0 for shape in given) or F.shape != tuple(
        map(math.prod, given)
    ):
        raise ValueError(f"its shapes {shown(dimsd)} and {shown(dims)} aren't those of {F!r}")
    return shaped(F, *given)


def apply_along(F: Any, x: Any, out: Any, axes: Any) -> _Array:
    """F of the arrays of shape F.dims that lie along these axes of x."""
    if is_dask_array(x) and out is not None:
        raise TypeError(f"out is {shown(out)}, expected None: the product of a dask array is lazy")
    if is_tensor(x) and out is not None:
        tensors: Any = import_module("..torch._arrays", __package__)
        written: _Array = tensors.written(lambda x, out: apply_along(F, x, out, axes), x, out)
        return written
    array = x if is_dask_array(x) or is_tensor(x) else as_array(x, "x")
    move: Any = type(x).movedim if is_tensor(x) else np.moveaxis
    given = items_of(axes, "axes", "whole numbers") if np.iterable(axes) else [axes]
    chosen = [axis_number(axis, array.ndim, "axes") for axis in given]
    if len(set(chosen)) < len(chosen) or len(chosen) != len(F.dims):
        raise ValueError(
            f"axes is {shown(axes)}, expected {len(F.dims)} different ones: the operator takes "
            f"arrays of shape {F.dims}"
        )
    dask: Any = import_module(".._dask", __package__) if is_dask_array(x) else None
    if dask is not None:
        dask.check_known(x, chosen)
    if tuple(array.shape[axis] for axis in chosen) != F.dims:
        raise ValueError(
            f"x has shape {array.shape}, expected lengths {F.dims} along axes {tuple(chosen)}"
        )
    if dask is not None:
        dask.check_chunks(x, chosen, "arrays")
    # The axes side by side, where the first of them is, in the operator's order.
    start = sum(axis < min(chosen) for axis in range(array.ndim) if axis not in chosen)
    together = list(range(start, start + len(chosen)))
    moved = move(array, chosen, together)
    before, after = moved.shape[:start], moved.shape[start + len(chosen) :]
    back = (together, chosen) if len(F.dimsd) == len(chosen) else ((), ())
    if out is not None:
        wanted = np.moveaxis(np.broadcast_to(0, (*before, *F.dimsd, *after)), *back)
        check_out(out, array, wanted.shape, F._given(promoted(array.dtype, "x")))
    product = F.apply(moved.reshape(*before, F.shape[1], *after), axis=start)
    placed: _Array = move(product.reshape(*before, *F.dimsd, *after), *back)
    if out is None:
        return placed
    out.view(np.ndarray)[...] = placed  # a subclass may write in another way, or nothing
    result: _Array = out
    return result
