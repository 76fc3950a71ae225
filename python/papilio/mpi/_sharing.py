"""Sharing: which part of an operator each rank has, as stages of its products.

All ranks find the same owners of all entries of all vectors between the parts, without a word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from .._chains.architecture import Architecture
from .._chains.pieces import Division, Flipped, divided_either_way, pieces_of
from .._util.checks import shown
from ..operators import (
    Butterfly,
    Composition,
    Pairs,
    Section,
    Sparse,
    stored_factors,
)
from ._stages import Exchange, Local, Stage, transposed

_Owners = NDArray[np.int32]


@dataclass(frozen=True)
class Shared:
    """One rank's stages of a product, and which rank has each entry of its vectors."""

    stages: list[Stage]
    row_owners: _Owners
    column_owners: _Owners


class Part(Protocol):
    """What a product is made of."""

    @property
    def shape(self) -> tuple[int, int]: ...


@dataclass(frozen=True)
class Chain:
    """A butterfly or its leading section, of values that may lie in files."""

    architecture: Architecture
    values: Sequence[Any]
    row_permutation: Any
    column_permutation: Any
    is_transposed: bool
    is_conjugated: bool
    shape: tuple[int, int]

    @classmethod
    def of(cls, F: Butterfly, shape: tuple[int, int]) -> Chain:
        """The leading section of a butterfly."""
        own, is_transposed, is_conjugated = stored_factors(F)
        return cls(
            own.architecture,
            pieces_of(own),
            own.row_permutation,
            own.column_permutation,
            is_transposed,
            is_conjugated,
            shape,
        )

    def shared(self, ranks: int, rank: int) -> Shared:
        """Its stages on one of so many ranks."""
        own_shape = self.shape[::-1] if self.is_transposed else self.shape
        division, flipped = divided_either_way(
            self.architecture, ranks, self.row_permutation, self.column_permutation, own_shape
        )
        values: Sequence[Any] = self.values
        if flipped:
            values = [Flipped(array) for array in reversed(values)]
        stages = stages_of(division, rank, values)
        if self.is_conjugated:
            stages = [stage.conj() for stage in stages]
        if flipped == self.is_transposed:
            return Shared(stages, division.row_owners, division.column_owners)
        return Shared(transposed(stages), division.column_owners, division.row_owners)


def stages_of(division: Division, rank: int, values: Sequence[Any]) -> list[Stage]:
    """One rank's stages of a product with a divided chain, of values or what has pieces of them."""
    right, width = division.right(rank, values)
    left, height = division.left(rank, values)
    return [
        Local.of_factors(right, None, width),
        Exchange(division.sent(rank), division.received(rank)),
        Local.of_factors(left, height, None),
    ]


@dataclass(frozen=True)
class Paired:
    """A complex product on pairs of real numbers."""

    parts: list[Any]

    @property
    def shape(self) -> tuple[int, int]:
        return 2 * self.parts[0].shape[0], 2 * self.parts[-1].shape[1]

    def shared(self, ranks: int, rank: int) -> Shared:
        """Its stages on one of so many ranks."""
        own = share(self.parts, ranks, rank)
        return Shared(
            [stage.pairs for stage in own.stages],
            np.repeat(own.row_owners, 2),
            np.repeat(own.column_owners, 2),
        )


def parts_of(F: Any) -> list[Any]:
    """The parts of an operator, left to right: chains, pairs and sparse matrices."""
    if isinstance(F, Butterfly):
        return [Chain.of(F, F.shape)]
    if isinstance(F, Section):
        return [Chain.of(F.butterfly, F.shape)]
    if isinstance(F, Composition):
        return [part for given in F.parts for part in parts_of(given)]
    if isinstance(F, Pairs):
        return [Paired(parts_of(F.butterfly))]
    if isinstance(F, Sparse):
        return [F]
    raise _refused(repr(F))


def part_from_file(kind: str, state: Any) -> Any:
    """The parts of an operator in a file, from its state; see `papilio.operators.open_parts`."""
    if kind == "Butterfly":
        architecture, values, rows, columns, is_transposed, is_conjugated = state
        shape = architecture.T.shape if is_transposed else architecture.shape
        return [Chain(architecture, values, rows, columns, is_transposed, is_conjugated, shape)]
    if kind == "Section":
        (whole,), shape = state
        fields = {name: getattr(whole, name) for name in Chain.__dataclass_fields__}
        return [Chain(**(fields | {"shape": tuple(shape)}))]
    if kind == "Composition":
        return [part for parts in state[0] for part in parts]
    if kind == "Pairs":
        return [Paired(list(state[0]))]
    if kind == "Sparse":
        return [state]
    raise _refused(f"a part of the kind {shown(kind)}")


def _refused(what: str) -> TypeError:
    return TypeError(
        f"{what} can't be shared by ranks: expected butterflies, sections of them, sparse matrices "
        "and products of those (transforms of one axis, compressed operators)"
    )


def share(parts: Sequence[Any], ranks: int, rank: int) -> Shared:
    """One rank's stages of the product of some parts.

    Chains say who has what. Sparse matrices follow the chains beside them; between two of them
    that agree on the owners nothing is sent.
    """
    first = next((n for n in reversed(range(len(parts))) if not _is_sparse(parts[n])), None)
    if first is None:
        raise ValueError("the operator has no butterfly that ranks could share")
    chain = parts[first].shared(ranks, rank)
    stages, columns = list(chain.stages), chain.column_owners
    for part in parts[first + 1 :]:
        before = _followed(part.matrix.T.tocsr(), columns, ranks)
        stages = [*_sparse_stages(part.matrix, before, columns, ranks, rank), *stages]
        columns = before
    rows = chain.row_owners
    pending = [(part, None if _is_sparse(part) else part.shared(ranks, rank)) for part in
               reversed(parts[:first])]  # fmt: skip
    for n, (part, shared) in enumerate(pending):
        if shared is not None:
            if not np.array_equal(rows, shared.column_owners):
                one = scipy.sparse.eye_array(len(rows), dtype=np.float32, format="csr")
                stages += _sparse_stages(one, rows, shared.column_owners, ranks, rank)
            stages += shared.stages
            rows = shared.row_owners
            continue
        following = pending[n + 1][1] if n + 1 < len(pending) else None
        after = (
            _followed(part.matrix, rows, ranks) if following is None else following.column_owners
        )
        stages += _sparse_stages(part.matrix, rows, after, ranks, rank)
        rows = after
    return Shared(stages, rows, columns)


def _is_sparse(part: Any) -> bool:
    return isinstance(part, Sparse)


def _followed(matrix: Any, owners: _Owners, ranks: int) -> _Owners:
    """For each row the owner of its first column; rows without one go round."""
    starts, ends = matrix.indptr[:-1], matrix.indptr[1:]
    followed = (np.arange(matrix.shape[0]) % ranks).astype(np.int32)
    filled = starts < ends
    followed[filled] = owners[matrix.indices[starts[filled]]]
    return followed


def _sparse_stages(
    matrix: Any, columns: _Owners, rows: _Owners, ranks: int, rank: int
) -> list[Stage]:
    """The product with a sparse matrix whose vectors have these owners.

    Each rank has its rows and gets the entries that they need: those of an owner come in order.
    """
    size = matrix.shape[1]
    row_of = np.repeat(rows, np.diff(matrix.indptr)).astype(np.int64)
    column_of = columns[matrix.indices].astype(np.int64)
    own = np.flatnonzero(rows == rank)
    mine = np.flatnonzero(columns == rank)
    # Pairs (rank, column) as one number: who gets which of mine, and which I get of whom.
    wanted = np.unique(row_of[column_of == rank] * size + matrix.indices[column_of == rank])
    needed = np.unique(column_of[row_of == rank] * size + matrix.indices[row_of == rank])
    sent = np.bincount(wanted // size, minlength=ranks)
    received = np.bincount(needed // size, minlength=ranks)
    place = np.empty(size, np.int64)
    place[mine] = np.arange(len(mine))
    selected = place[wanted % size]
    order = np.empty(size, np.int64)
    local = matrix[own]
    if bool((row_of == column_of).all()):  # on all ranks, which see the same
        return [_sparse_local(local, place, len(mine))]
    order[needed % size] = np.arange(len(needed))
    real = np.dtype(matrix.dtype.char.lower())
    selection = scipy.sparse.csr_array(
        (np.ones(len(selected), real), (np.arange(len(selected)), selected)),
        shape=(len(selected), len(mine)),
    )
    return [
        _local(selection),
        Exchange(sent, received),
        _sparse_local(local, order, len(needed)),
    ]


def _sparse_local(matrix: Any, places: NDArray[np.int64], width: int) -> Local:
    columns = places[matrix.indices]
    return _local(
        scipy.sparse.csr_array(
            (matrix.data, columns, matrix.indptr), shape=(matrix.shape[0], width)
        )
    )


def _local(matrix: Any) -> Local:
    if 0 in matrix.shape:
        return Local(None, matrix.shape, matrix.dtype)
    matrix.sort_indices()
    return Local.of(Composition([Sparse(matrix)]))
