"""Products of dask arrays: lazy, one task for each chunk of the batch.

Imported when a dask array is multiplied, by nobody else. The operator is a task of its own, which
the others share; a mapped one goes to the workers as its path.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from dask.base import tokenize
from dask.delayed import delayed

from ._util.checks import axis_number
from ._util.dtypes import promoted


def apply(F: Any, x: Any, axis: Any) -> Any:
    """``F.apply(x, axis=axis)`` of a dask array, as a dask array.

    Examples
    --------
    >>> import dask.array as da
    >>> import papilio as pp
    >>> X = da.ones((8, 100), chunks=(8, 25))
    >>> Y = pp.transforms.dct(8) @ X
    >>> Y
    dask.array<product, shape=(8, 100), dtype=float64, chunksize=(8, 25), chunktype=numpy.ndarray>
    >>> float(Y[0, 0].compute())
    16.0
    """
    rows, columns = F.shape
    axis = axis_number(axis, x.ndim)
    promoted(x.dtype, "x")
    check_known(x, [axis])
    if x.shape[axis] != columns:
        raise ValueError(
            f"x has shape {x.shape}, expected length {columns} along axis {axis}: "
            f"the operator has shape {(rows, columns)}"
        )
    check_chunks(x, [axis], "vectors")
    # Of no vectors: nothing is computed, but the dtype is that of the product.
    dtype = F.apply(np.empty((0, columns), x.dtype), axis=-1).dtype
    shared = delayed(F, pure=True, traverse=False)
    return x.map_blocks(
        _multiplied,
        shared,
        axis,
        name=f"product-{tokenize(F, x.name, axis)}",
        chunks=(*x.chunks[:axis], (rows,), *x.chunks[axis + 1 :]),
        meta=np.empty((0,) * x.ndim, dtype),
    )


def check_chunks(x: Any, axes: Sequence[int], what: str) -> None:
    """That x has one chunk along each of the axes along which the vectors or arrays lie."""
    several = [axis for axis in axes if len(x.chunks[axis]) > 1]
    if several:
        axis = several[0]
        merged = ", ".join(f"{axis}: -1" for axis in several)
        raise ValueError(
            f"x has chunks of {x.chunks[axis]} along axis {axis}, along which the {what} lie, "
            f"expected one: x.rechunk({{{merged}}}), with chunks along the other axes, or "
            "papilio.mpi, which divides the vectors themselves"
        )


def check_known(x: Any, axes: Sequence[int]) -> None:
    """That the lengths of x along these axes are known."""
    for axis in axes:
        if np.isnan(sum(x.chunks[axis])):
            raise ValueError(
                f"x has chunks of unknown lengths along axis {axis}, expected known ones: "
                "x.compute_chunk_sizes()"
            )


def _multiplied(block: Any, F: Any, axis: int) -> Any:
    return F.apply(block, axis=axis)
