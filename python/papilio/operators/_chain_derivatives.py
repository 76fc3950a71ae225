"""Directional derivatives of a chain, by batched products of the factors' blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._chains.factors import Factors

_Array = np.ndarray[Any, Any]


@np.errstate(over="ignore", invalid="ignore")  # products by the core don't warn either
def chain_jvp(
    factors: Factors,
    x: _Array,
    dx: _Array | None,
    dfactors: Sequence[_Array | None],
    axis: int,
) -> tuple[_Array, _Array]:
    """F x and its derivative along `axis`; None stands for no change."""
    z = _inputs(factors, x, axis)
    dz = None if dx is None else _inputs(factors, dx, axis)
    for p, values, change in zip(
        reversed(factors.architecture), reversed(factors), reversed(dfactors), strict=True
    ):
        moved = None if dz is None else _applied(p, values, dz)
        if change is not None:
            turned = _applied(p, change, z)
            moved = turned if moved is None else moved + turned
        z, dz = _applied(p, values, z), moved
    dz = np.zeros_like(z) if dz is None else dz
    y, dy = (_restored(_permuted(value, factors.row_permutation), x, axis) for value in (z, dz))
    return y, dy


def _inputs(factors: Factors, x: _Array, axis: int) -> _Array:
    """What the last factor multiplies, as columns."""
    columns = np.moveaxis(x, axis, 0)
    columns = columns.reshape(columns.shape[0], -1)
    if factors.column_permutation is None:
        return columns
    result = np.empty_like(columns)
    result[factors.column_permutation] = columns
    return result


def _restored(columns: _Array, like: _Array, axis: int) -> _Array:
    """Columns as the vectors along an axis of an array of this shape."""
    shape = (columns.shape[0], *like.shape[:axis], *like.shape[axis + 1 :])
    return np.ascontiguousarray(np.moveaxis(columns.reshape(shape), 0, axis))


def _permuted(x: _Array, permutation: _Array | None) -> _Array:
    return x if permutation is None else x[permutation]


def _blocks(x: _Array, a: int, rows: int, d: int) -> _Array:
    """The parts of x that the blocks of a factor meet: (a, d, rows, batch)."""
    return x.reshape(a, rows, d, -1).transpose(0, 2, 1, 3)


def _applied(p: Any, values: _Array, x: _Array) -> _Array:
    """The factor times x."""
    product = values.transpose(0, 3, 1, 2) @ _blocks(x, p.a, p.c, p.d)
    return product.transpose(0, 2, 1, 3).reshape(p.shape[0], -1)
