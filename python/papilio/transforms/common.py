"""What the transforms share: arguments, axes, roots of unity, the scale that `norm` names."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache, lru_cache, wraps
from typing import Any, TypeVar

import numpy as np
import scipy.sparse

from .._util.checks import LONGEST, is_sequence, items_of, length, one_of, shown, whole_number
from ..operators import Composition, along_axes, dense

Shape = int | Sequence[int]  # a length, or the shape of arrays that are held as vectors
Axes = int | Sequence[int] | None

_LARGEST_DENSE = 128**2
# Multiply-adds of a real composition that take as long as one of its matrix: cosine transforms and
# circulant matrices of 8 to 64 rows, batches of 256 in both layouts, on a Zen 3 with AVX2.
_DENSE_IS_WORTH = 0.55
_KEPT, _SHORT = 64, 1 << 12  # so many operators of at most so many rows: some 10 MiB
_F = TypeVar("_F")
_NORMS = ("backward", "ortho", "forward")


def kept(make: Callable[..., _F]) -> Callable[..., _F]:
    """Remember the last operators of short lengths that a function of the length made.

    Making one takes about a thousand times as long as a product with it.
    """
    remembered = lru_cache(maxsize=_KEPT)(make)

    @wraps(make)
    def made(n: int, *arguments: Any) -> _F:
        return remembered(n, *arguments) if n <= _SHORT else make(n, *arguments)

    return made


def over_axes(
    n: Shape, axes: Axes, make: Callable[[int], Any], make_last: Callable[[int], Any] | None = None
) -> Any:
    """Return ``make(length)`` along each of the axes (default: all) of flattened arrays.

    n is their shape, or the length of vectors. `make_last` is for the last of the axes, which is
    done first; `make` is called once for each length.
    """
    make = cache(make)
    shape, (*others, last) = shape_and_axes(n, axes)
    operators = [(axis, make(shape[axis])) for axis in others]
    return along_axes(shape, [*operators, (last, (make_last or make)(shape[last]))])


def shape_and_axes(n: Shape, axes: Axes) -> tuple[list[int], list[int]]:
    """The lengths of all axes, and which axes are transformed, in the order given."""
    if is_sequence(n):
        shape = [length(size, f"n[{axis}]") for axis, size in enumerate(n)]
        if not shape:
            raise ValueError("n is empty, expected a length or the lengths of the axes")
        if math.prod(shape) > LONGEST:
            raise ValueError(f"n is {shown(n)}, expected at most {LONGEST} entries")
    else:
        shape = [length(n, "n")]
    return shape, _checked_axes(axes, len(shape))


def _checked_axes(axes: Axes, ndim: int) -> list[int]:
    """All axes for None; else those given, counted from 0, in the order given."""
    if axes is None:
        return list(range(ndim))
    several = np.iterable(axes) or scipy.sparse.issparse(axes)
    listed = items_of(axes, "axes", "whole numbers") if several else [axes]
    given = [whole_number(axis, "axes") for axis in listed]
    if not given or any(not -ndim <= axis < ndim for axis in given):
        raise ValueError(f"axes is {shown(axes)}, expected at least one of the {ndim} axes of n")
    chosen = [axis % ndim for axis in given]
    if len(set(chosen)) < len(chosen):
        raise ValueError(f"axes is {shown(axes)}, expected each axis once")
    return chosen


def or_dense(F: Composition, matrix: Callable[[], Any] | None = None) -> Composition:
    """Return F, or its matrix as one factor if F is short and that is faster."""
    rows, cols = F.shape
    worth = 4 if F.dtype.kind == "c" else _DENSE_IS_WORTH
    if rows * cols > _LARGEST_DENSE or F.work() < rows * cols * worth:
        return F
    return Composition([dense((matrix or F.toarray)().astype(F.dtype))], F.inv)


def norm_name(norm: Any) -> str:
    """The name of a normalization, or a ValueError; None means the default."""
    return "backward" if norm is None else one_of(norm, "norm", _NORMS)


def scale_of(norm: Any, size: float, inverse: bool) -> float:
    """Return what `norm` multiplies a transform by, whose inverse divides by `size`."""
    norm = norm_name(norm)
    if norm == "ortho":
        return float(size**-0.5)
    return 1 / size if (norm == "backward") == inverse else 1.0


def opposite(norm: str | None) -> str:
    """Return the norm of the plain transform that equals the inverse under `norm`, up to sign."""
    return {"ortho": "ortho", "forward": "backward"}.get(norm or "backward", "forward")
