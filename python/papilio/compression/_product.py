"""A chain of factors and single entries and rows of its product."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import _core
from .._chains.architecture import Architecture
from .._chains.factors import Factors
from ._clustering import Indices
from ._entries import scaled

_Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Chain:
    """The factors, and where the rows and columns of the matrix (in tree order) stand in them."""

    factors: Factors
    ranks: list[int]
    rows: Indices
    columns: Indices


def times_power(chain: Chain, exponent: int) -> Chain:
    """The same factors but for the last one, times a power of two."""
    *others, last = chain.factors.values
    wide = last.astype(np.result_type(last.dtype, np.float64))
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        values = scaled(wide, exponent).astype(last.dtype)
    if not np.isfinite(values).all() or (last.any() and not values.any()):
        raise ValueError(
            f"dtype is {last.dtype}, but entries are as large as 2^{exponent}, which it can't hold"
        )
    return replace(chain, factors=replace(chain.factors, values=(*others, values)))


def product_entries(
    architecture: Architecture, values: Sequence[_Array], rows: Indices, columns: Indices
) -> _Array:
    """Entries ``[rows[p], columns[p]]`` of the product of a dense chainable chain's factors.

    All paths from a row to a column meet in r nodes of each interface (docs/guarantees.md): a
    vector of that length goes from left to right. In double precision.
    """
    contiguous = [np.ascontiguousarray(factor) for factor in values]
    return _core.product_entries(contiguous, list(architecture.ranks), rows, columns)


def product_row(
    architecture: Architecture, values: Sequence[_Array], row: int, x: _Array
) -> tuple[_Array, int]:
    """Row `row` of a dense chainable chain's product times the columns of x, in x's dtype.

    Also how many values of the factors it depends on. The last factor's d is 1. Sums run from term
    to term, as the kernels' do.
    """
    ranks = list(architecture.ranks)
    read = sum(p.a * left * p.c for p, left in zip(architecture, [1, *ranks], strict=True))
    contiguous = [np.ascontiguousarray(factor) for factor in values]
    return _core.product_row(contiguous, ranks, row, np.ascontiguousarray(x)), read
