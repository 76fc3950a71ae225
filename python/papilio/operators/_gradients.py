"""Derivatives of butterflies by the core, for arrays of any dtype and strides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import _core
from .._chains.factors import Factors
from .._util.arrays import readable_in_place
from ._differentiable import Wanted

_Array = np.ndarray[Any, Any]


Known = dict[np.dtype[Any], _core.Gradients]  # of a chain, for values of each dtype


def _compiled(known: Known, factors: Factors) -> _core.Gradients:
    """What the core needs to know of a chain besides its values, remembered in `known`."""
    dtype = factors.dtype
    if dtype not in known:
        known[dtype] = _core.Gradients(
            factors.patterns, dtype, factors.row_permutation, factors.column_permutation
        )
    return known[dtype]


def chain_vjp(
    known: Known, factors: Factors, given: tuple[_Array, _Array], wanted: Wanted
) -> tuple[_Array | None, tuple[_Array, ...]]:
    """`Differentiable.vjp` of a chain. For real values, complex vectors are two real ones each."""
    x, gy = given
    dtype = factors.dtype
    core = _compiled(known, factors)
    axis = wanted.axis
    pairs = dtype.kind == "f" and "c" in (x.dtype.kind, gy.dtype.kind)
    own = np.result_type(dtype, np.complex64) if pairs else dtype
    x, gy = _readable(x, own), _readable(gy, own)
    gx = out = None
    if wanted.x:
        result = np.result_type(factors.dtype, given[1].dtype)
        out = wanted.out
        if out is None:
            shape = (*gy.shape[:axis], factors.shape[1], *gy.shape[axis + 1 :])
            columns_first = gy.flags.f_contiguous and not gy.flags.c_contiguous
            out = np.empty(shape, result, order="F" if columns_first else "C")
        gx = out if result == own else np.empty(out.shape, own)
    gradients = tuple(np.empty(shape, dtype) for shape in factors.shapes)
    if pairs:
        parts = None if gx is None else _parts(gx)
        core.pull_back(factors.values, _parts(x), _parts(gy), axis, parts, gradients)
    else:
        core.pull_back(factors.values, x, gy, axis, gx, gradients)
    if out is not None and out is not gx:
        assert gx is not None
        with np.errstate(over="ignore", invalid="ignore"):  # they flow as IEEE says
            out[...] = gx if out.dtype.kind == gx.dtype.kind else gx.real
    return out, gradients


def chain_jvp(
    known: Known,
    factors: Factors,
    x: _Array,
    dx: _Array | None,
    dfactors: Sequence[_Array | None],
    axis: int,
) -> tuple[_Array, _Array]:
    """`Differentiable.jvp` of a chain of factors; None stands for no change."""
    core = _compiled(known, factors)
    result = np.result_type(factors.dtype, x, x if dx is None else dx)
    shape = (*x.shape[:axis], factors.shape[0], *x.shape[axis + 1 :])
    y, dy = np.empty(shape, result), np.empty(shape, result)
    x = _readable(x, result)
    dx = None if dx is None else _readable(dx, result)
    dfactors = [None if d is None else _readable(d, factors.dtype) for d in dfactors]
    if factors.dtype.kind == result.kind:
        core.push_forward(factors.values, dfactors, x, dx, y, dy, axis)
    else:
        parts = None if dx is None else _parts(dx)
        core.push_forward(factors.values, dfactors, _parts(x), parts, _parts(y), _parts(dy), axis)
    return y, dy


def _readable(x: _Array, dtype: np.dtype[Any]) -> _Array:
    """x in this dtype where the core can read it."""
    if x.dtype == dtype and readable_in_place(x):
        return x
    return np.array(x, dtype=dtype, order="C", copy=True)


def _parts(x: _Array) -> _Array:
    """Complex numbers in place as two real ones, along a new last axis."""
    real = x.real
    step = real.itemsize
    return np.lib.stride_tricks.as_strided(real, (*x.shape, 2), (*x.strides, step))
