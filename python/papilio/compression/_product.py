"""A chain of factors and single entries and rows of its product."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import _core
from .._chains.architecture import Architecture
from .._chains.factors import Factors, Kept, parts_of_entry
from .._chains.interpolative import Interpolative
from ..operators import butterfly_of
from ._clustering import Indices
from ._entries import scaled
from ._random import Streams, Use

_Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Vectors:
    """Gaussian vectors that a look at an error multiplies: keyed, group of columns by group."""

    streams: Streams
    look: int
    count: int

    def block(self, group: int, height: int, dtype: np.dtype[Any]) -> _Array:
        """Entries of all vectors at the columns of a group, in single precision."""
        single = np.dtype(np.float32 if dtype.kind == "f" else np.complex64)
        shape = height, self.count
        stream = self.streams.at(Use.ROUNDING_VECTORS, self.look, group)
        numbers: _Array = stream.standard_normal(shape).astype(single)
        if dtype.kind == "c":
            numbers += (1j * stream.standard_normal(shape)).astype(single)
        return numbers


@dataclass(frozen=True)
class Chain:
    """The factors, and where the rows and columns of the matrix (in tree order) stand in them.

    `groups` ranges of columns are those that several builders would share, see `Shares`.
    """

    factors: Factors
    ranks: list[int]
    rows: Indices
    columns: Indices
    groups: int = 1

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.factors.dtype

    @property
    def size(self) -> int:
        """Numbers in the factors."""
        return self.factors.nnz

    @property
    def nbytes(self) -> int:
        return self.factors.nbytes

    @property
    def row_size(self) -> int:
        """Of how many numbers a row is made."""
        return row_size(self.factors.architecture)

    def entries(self, i: Indices, j: Indices) -> _Array:
        """Entries (i, j) of the matrix that the factors make, in tree order."""
        own = self.factors
        return product_entries(own.architecture, own.kept, self.rows[i], self.columns[j])

    def leaf_products(self, row: int, x: Vectors) -> tuple[_Array, _Array]:
        """The rows of a row's cluster times vectors, in single and in double precision."""
        own = self.factors
        height = own.architecture.shape[1] // self.groups
        given = np.concatenate([x.block(n, height, own.dtype) for n in range(self.groups)])
        double = given.astype(np.result_type(given.dtype, np.float64))
        ranks = [1, *own.architecture.ranks, 1]
        return leaf_rows(own.kept, ranks, row, given), leaf_rows(own.kept, ranks, row, double)

    def norm(self) -> float:
        """The Frobenius norm of the factors' product."""
        return butterfly_of(self.factors).norm()


def row_size(architecture: Architecture) -> int:
    """How many values of a dense chainable chain's factors a row of its product depends on."""
    ranks = [1, *architecture.ranks]
    return sum(p.a * left * p.c for p, left in zip(architecture, ranks, strict=True))


def times_power(chain: Chain, exponent: int) -> Chain:
    """The same factors but for the last one, times a power of two."""
    values: Any = last_times(chain.factors.kept, exponent)
    return replace(chain, factors=replace(chain.factors, values=values))


def last_times(values: Sequence[Kept], exponent: int) -> tuple[Kept, ...]:
    """Factors, the last one times a power of two."""
    *others, last = values
    assert not isinstance(last, Interpolative)
    wide = last.astype(np.result_type(last.dtype, np.float64))
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        found = scaled(wide, exponent).astype(last.dtype)
    if not np.isfinite(found).all():
        raise ValueError(
            f"dtype is {last.dtype}, but entries are of sizes too different for it: the largest of "
            f"the last factor, times 2^{exponent}, is no number"
        )
    return *others, found


def product_entries(
    architecture: Architecture, values: Sequence[Kept], rows: Indices, columns: Indices
) -> _Array:
    """Entries ``[rows[p], columns[p]]`` of the product of a dense chainable chain's factors.

    All paths from a row to a column meet in r nodes of each interface (docs/guarantees.md): a
    vector of that length goes from left to right. In double precision.
    """
    return _core.product_entries(_as_read(values), list(architecture.ranks), rows, columns)


def product_vectors(
    values: Sequence[Kept], ranks: list[int], rows: Indices, columns: Indices, start: _Array
) -> _Array:
    """What `product_entries` has of each entry after some consecutive factors, from `start` on.

    `ranks` has those at both ends, too. Going on from there gives the bits of the whole.
    """
    start = np.ascontiguousarray(start)
    return _core.product_entries(_as_read(values), ranks, rows, columns, start)


def product_row(values: Sequence[Kept], ranks: list[int], row: int, x: _Array) -> _Array:
    """What row `row` of some consecutive factors makes of x, in x's dtype: (nodes, columns of x).

    `ranks` has those at both ends, too; x has what the factors on the right gave for that row. The
    last factor's d is 1. Sums run from term to term, as the kernels' do.
    """
    return _product_rows(values, ranks, row, 1, x)


def leaf_rows(values: Sequence[Kept], ranks: list[int], row: int, x: _Array) -> _Array:
    """`product_row` of all rows in the same block of the first factor, whose a and left are 1."""
    _, b, _, d = values[0].shape
    return _product_rows(values, ranks, row % d, b, x)


def _product_rows(
    values: Sequence[Kept], ranks: list[int], row: int, rows: int, x: _Array
) -> _Array:
    return _core.product_rows(_as_read(values), ranks, row, rows, np.ascontiguousarray(x))


def _as_read(values: Sequence[Kept]) -> list[Any]:
    """The factors as these functions of the core take them."""
    arrays = (e if isinstance(e, Interpolative) else np.ascontiguousarray(e) for e in values)
    return [parts_of_entry(entry) for entry in arrays]
