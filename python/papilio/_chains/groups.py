"""Groups of an array along an axis: neighbours along the first axis, along others every n-th."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_Array = np.ndarray[Any, Any]


def by_group(array: _Array, axis: int, length: int) -> _Array:
    """A view of a C-contiguous array whose first axis are the groups, of `length` along `axis`.

    Examples
    --------
    >>> import numpy as np
    >>> from papilio._chains.groups import by_group
    >>> by_group(np.arange(6), 0, 2)[1], by_group(np.arange(6)[None], 1, 2)[1]
    (array([2, 3]), array([[1, 4]]))
    """
    groups = array.shape[axis] // length
    if axis == 0:
        return array.reshape(groups, length, *array.shape[1:])
    before, after = array.shape[:axis], array.shape[axis + 1 :]
    return np.moveaxis(array.reshape(*before, length, groups, *after), axis + 1, 0)


def chosen_groups(array: _Array, axis: int, groups: int, chosen: NDArray[np.int64]) -> _Array:
    """Some of the groups along an axis. A view, where the first axis has them together."""
    length = array.shape[axis] // groups
    together = bool((np.diff(chosen) == 1).all())
    at: Any = slice(int(chosen[0]), int(chosen[-1]) + 1) if together else chosen
    some = by_group(array, axis, length)[at]
    if axis > 0:
        some = np.ascontiguousarray(np.moveaxis(some, 0, axis + 1))
    shape = *array.shape[:axis], length * len(chosen), *array.shape[axis + 1 :]
    found: _Array = some.reshape(shape)
    return found
