"""Orders in which clusters of points are ranges of indices, and the clusters of a range."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._util.dtypes import as_array
from .._util.interruptible import interruptibly

Indices = NDArray[np.int64]
Points = NDArray[np.float64]  # (size, dimensions), in tree order


def tree_order(points: ArrayLike, size: int, name: str) -> Indices:
    """Return the order of points in which all clusters of a binary tree are ranges.

    One coordinate is sorted. With more, every cluster is cut in two halves (see `bounds`) across
    the longest side of its bounding box: a k-d tree.

    Parameters
    ----------
    points : array_like, shape (size,) or (size, dimensions)
        Finite real numbers.
    size : int
        How many there must be.
    name : str
        For the messages of errors.

    Returns
    -------
    ndarray of int64, shape (size,)
        ``points[order]`` are the points in tree order. Equal coordinates keep their order.

    Raises
    ------
    TypeError, ValueError
        For points that aren't real, of a wrong shape, or not finite.

    Examples
    --------
    >>> from papilio.compression._clustering import tree_order
    >>> tree_order([0.3, 0.1, 0.2], 3, "points")
    array([1, 2, 0])
    >>> tree_order([[0, 0], [9, 1], [1, 1], [8, 0]], 4, "points")
    array([0, 2, 3, 1])
    """
    array = as_array(points, name)
    if array.dtype.kind == "c":
        raise TypeError(f"{name} has dtype {array.dtype}, expected real coordinates")
    if array.ndim not in (1, 2) or array.shape[0] != size or array.shape[-1] == 0:
        raise ValueError(
            f"{name} has shape {array.shape}, expected ({size},) or ({size}, dimensions)"
        )
    coordinates = array.astype(np.float64).reshape(size, -1)
    if not np.isfinite(coordinates).all():
        where = int(np.argwhere(~np.isfinite(coordinates))[0, 0])
        raise ValueError(f"{name}[{where}] is {array[where]}, expected finite numbers")
    order = np.arange(size)
    if coordinates.shape[1] == 1:
        return interruptibly(np.argsort, coordinates[:, 0], kind="stable")
    depth = 0
    while 1 << depth < size:
        starts = bounds(size, 1 << depth)[:-1]
        inside = coordinates[order]
        # Halves, so that the length of no side overflows.
        longest = np.argmax(
            np.maximum.reduceat(inside, starts) / 2 - np.minimum.reduceat(inside, starts) / 2,
            axis=1,
        )
        cluster = np.repeat(np.arange(len(starts)), np.diff(bounds(size, 1 << depth)))
        key = inside[np.arange(size), longest[cluster]]
        order = order[interruptibly(np.lexsort, (key, cluster))]
        depth += 1
    return order


def bounds(size: int, count: int) -> Indices:
    """Return the ``count + 1`` bounds of `count` ranges of nearly equal lengths.

    With twice as many ranges, each is cut in two: that is what nests the clusters.

    Examples
    --------
    >>> from papilio.compression._clustering import bounds
    >>> bounds(10, 4)
    array([ 0,  2,  5,  7, 10])
    """
    return np.arange(count + 1) * size // count


def radii(points: Points, count: int) -> NDArray[np.float64]:
    """Return half the longest side of the bounding box of each of `count` clusters of points.

    Examples
    --------
    >>> import numpy as np
    >>> from papilio.compression._clustering import radii
    >>> radii(np.array([[0.0], [1.0], [5.0], [9.0]]), 2)
    array([0.5, 2. ])
    """
    starts = bounds(len(points), count)[:-1]
    halves = points / 2  # differences of which don't overflow
    sides = np.maximum.reduceat(halves, starts) - np.minimum.reduceat(halves, starts)
    longest: NDArray[np.float64] = sides.max(axis=1)
    return longest


def limits_of(size: int, count: int, chosen: Indices) -> tuple[Indices, Indices]:
    """First index and end of some of `count` ranges."""
    return chosen * size // count, (chosen + 1) * size // count


def ranges(
    size: int, count: int, chosen: Indices | None = None
) -> tuple[Indices, NDArray[np.bool_]]:
    """Return the indices of some of `count` ranges as rows of one length, and which are real.

    Ranges that are shorter than others repeat their last index, marked False. Default: all ranges.

    Examples
    --------
    >>> from papilio.compression._clustering import ranges
    >>> ranges(3, 2)
    (array([[0, 0],
           [1, 2]]), array([[ True, False],
           [ True,  True]]))
    """
    first, end = limits_of(size, count, np.arange(count) if chosen is None else chosen)
    lengths = end - first
    offsets = np.arange(-(-size // count))
    inside = offsets < lengths[:, None]
    return first[:, None] + np.minimum(offsets, lengths[:, None] - 1), inside


def samples(
    size: int,
    count: int,
    width: int,
    numbers: Callable[[Indices, int], NDArray[np.float64]] | None,
    chosen: Indices | None = None,
) -> Indices:
    """Return `width` indices of some of `count` ranges, or all where there are fewer.

    They lie as Chebyshev nodes do (denser at the ends), each moved to a free index; with
    `numbers(ranges, width)`, random ones between 0 and 1, every second index is replaced by a
    random one, for ranges whose order isn't one coordinate's. Default: of all ranges.

    Returns
    -------
    ndarray of int64, shape (ranges, width)
        Distinct in each row, but for short ranges, which repeat their last index.

    Examples
    --------
    >>> from papilio.compression._clustering import samples
    >>> samples(32, 2, 5, None)
    array([[ 0,  3,  7, 12, 15],
           [16, 19, 23, 28, 31]])
    """
    which = np.arange(count) if chosen is None else chosen
    first, end = limits_of(size, count, which)
    lengths = end - first
    if width >= -(-size // count):
        return ranges(size, count, which)[0]
    nodes = (1 - np.cos((np.arange(width) + 0.5) * np.pi / width)) / 2
    # Distinct for all ranges at once: the shortest decides, the others scale.
    shortest = size // count
    inside = np.floor(nodes * shortest).astype(np.int64)
    if width <= shortest:
        steps = np.arange(width)
        inside = np.maximum.accumulate(inside - steps) + steps
        inside = np.minimum(inside, shortest - width + steps)
    found: Indices = first[:, None] + inside * (lengths[:, None] - 1) // max(shortest - 1, 1)
    if numbers is not None:
        extra = numbers(which, width // 2) * lengths[:, None]
        found[:, 1::2] = first[:, None] + extra.astype(np.int64)
    return found
