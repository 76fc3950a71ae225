"""Pieces: what each of several parts holds of a chain that is cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .architecture import Architecture
from .cuts import Cut, best_cut, most_parts
from .factors import Factors, spelled_out
from .groups import chosen_groups
from .interpolative import Interpolative
from .pattern import Pattern

Indices = NDArray[np.int64]
_Permutation = Indices | None


@dataclass(frozen=True, eq=False)
class Division:
    """A cut chain, and which part has which groups of columns and rows.

    Part p multiplies the groups ``columns[p]`` by the factors on the right of the cut, gets what
    all others have of the groups ``rows[p]``, and multiplies that by the factors on the left.
    Both of its chains have permutations for that: the right one gives its result in the order in
    which it is sent, the left one takes it in the order in which it comes.

    The vectors are divided so that part p has the entries that its groups need and nobody else
    does: consecutive ones where groups are ranges of indices, else every P-th as far as the groups
    allow (of a Fourier transform in natural order, both sides are cyclic).

    Attributes
    ----------
    architecture : Architecture
    shape : (int, int)
        Of the leading section that is multiplied.
    cut : Cut
    columns, rows : tuple of ndarray of int
        For each part the groups, ascending.
    column_owners, row_owners : ndarray of int32
        Which part has each entry of the vectors.
    row_permutation, column_permutation : ndarray of int or None
    """

    architecture: Architecture
    shape: tuple[int, int]
    cut: Cut
    columns: tuple[Indices, ...]
    rows: tuple[Indices, ...]
    column_owners: NDArray[np.int32]
    row_owners: NDArray[np.int32]
    row_permutation: _Permutation = None
    column_permutation: _Permutation = None

    def right(self, part: int, values: Sequence[Any]) -> tuple[Factors, int]:
        """The factors on the right of the cut, and how many columns of them are the operator's.

        `values` are those of all factors: arrays, or what has ``piece(axis, groups, chosen)``.
        """
        cut, chosen = self.cut, self.columns[part]
        own = np.flatnonzero(self.column_owners == part)
        block = self.architecture.shape[1] // cut.column_groups
        group, within = np.divmod(_permuted(self.column_permutation, own), block)
        columns = _completed(
            _places(chosen, cut.column_groups)[group] * block + within, len(chosen) * block
        )
        # To part q goes the array (own groups, width, groups of q).
        starts = np.arange(len(chosen) * cut.width)[:, None] * cut.row_groups
        rows = np.concatenate([(starts + groups).ravel() for groups in self.rows])
        return self._chain(slice(cut.after, None), 0, chosen, values, rows, columns), len(own)

    def left(self, part: int, values: Sequence[Any]) -> tuple[Factors, int]:
        """The factors on the left of the cut, and how many rows of them are the operator's."""
        cut, chosen = self.cut, self.rows[part]
        own = np.flatnonzero(self.row_owners == part)
        before, group = np.divmod(_permuted(self.row_permutation, own), cut.row_groups)
        height = self.architecture.shape[0] // cut.row_groups
        rows = _completed(
            before * len(chosen) + _places(chosen, cut.row_groups)[group], height * len(chosen)
        )
        arriving = np.concatenate(self.columns)
        blocks = (arriving[:, None] * cut.width + np.arange(cut.width)).ravel()
        columns = (blocks[:, None] * len(chosen) + np.arange(len(chosen))).ravel()
        return self._chain(slice(cut.after), 3, chosen, values, rows, columns), len(own)

    def sent(self, part: int) -> Indices:
        """How many entries a part sends to each, for one vector."""
        own = len(self.columns[part]) * self.cut.width
        return np.array([own * len(groups) for groups in self.rows])

    def received(self, part: int) -> Indices:
        """How many entries a part gets from each, for one vector."""
        own = self.cut.width * len(self.rows[part])
        return np.array([own * len(groups) for groups in self.columns])

    def _chain(
        self,
        which: slice,
        axis: int,
        chosen: Indices,
        values: Sequence[Any],
        rows: Indices,
        columns: Indices,
    ) -> Factors:
        groups = self.cut.row_groups if axis else self.cut.column_groups
        patterns = []
        for p in self.architecture[which]:
            a, d = (p.a, p.d // groups) if axis else (p.a // groups, p.d)
            a, d = (a, d * len(chosen)) if axis else (a * len(chosen), d)
            patterns.append(Pattern(a, p.b, p.c, d))
        kept = []
        for p, array in zip(self.architecture[which], values[which], strict=True):
            whole = _without_runs(array, p.d) if axis == 3 else array
            kept.append(piece_of(whole, axis, groups, chosen))
        return Factors(Architecture(patterns), tuple(kept), _or_none(rows), _or_none(columns))


def divided(
    architecture: Architecture,
    parts: int,
    row_permutation: _Permutation = None,
    column_permutation: _Permutation = None,
    shape: tuple[int, int] | None = None,
) -> Division:
    """Cut a chain for so many parts and give each its share, as even as the groups are.

    Raises
    ------
    ValueError
        If there is no cut for so many parts.

    Examples
    --------
    >>> import papilio as pp
    >>> from papilio._chains.pieces import divided
    >>> F = pp.transforms.dft(16)
    >>> division = divided(F.architecture, 2, F.row_permutation, F.column_permutation)
    >>> division.column_owners, division.sent(0)
    (array([0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1], dtype=int32), array([4, 4]))
    """
    cut = best_cut(architecture, parts)
    inside = architecture.shape if shape is None else shape
    rows, columns = _groups(architecture, cut, row_permutation, column_permutation, inside)
    row_sets = _shares(rows, cut.row_groups, parts)
    column_sets = _shares(columns, cut.column_groups, parts)
    return divided_so(
        architecture, cut, column_sets, row_sets, row_permutation, column_permutation, inside
    )


def divided_so(
    architecture: Architecture,
    cut: Cut,
    columns: tuple[Indices, ...],
    rows: tuple[Indices, ...],
    row_permutation: _Permutation,
    column_permutation: _Permutation,
    shape: tuple[int, int],
) -> Division:
    """The division of a chain whose parts have these groups of columns and rows, ascending."""
    of_rows, of_columns = _groups(architecture, cut, row_permutation, column_permutation, shape)
    return Division(
        architecture,
        shape,
        cut,
        columns,
        rows,
        _owners(columns, cut.column_groups)[of_columns],
        _owners(rows, cut.row_groups)[of_rows],
        row_permutation,
        column_permutation,
    )


def _groups(
    architecture: Architecture,
    cut: Cut,
    row_permutation: _Permutation,
    column_permutation: _Permutation,
    shape: tuple[int, int],
) -> tuple[Indices, Indices]:
    """The groups in which the rows and columns of a leading section lie."""
    height, width = shape
    rows = _permuted(row_permutation, np.arange(height)) % cut.row_groups
    block = architecture.shape[1] // cut.column_groups
    return rows, _permuted(column_permutation, np.arange(width)) // block


def _without_runs(values: Any, d: int) -> Any:
    """With a value for each l, if runs of neighbours share theirs.

    What has no shape is a part of the values already, without runs.
    """
    shape = getattr(values, "shape", None)
    if shape is None or shape[3] in (1, d) or isinstance(values, Interpolative):
        return values
    return spelled_out(values if isinstance(values, np.ndarray) else values.read(), d)


def pieces_of(factors: Factors) -> tuple[Any, ...]:
    """For each factor what has pieces: its array, or what is kept of an interpolative one."""
    entries = zip(factors.kept, factors.architecture, strict=True)
    return tuple(
        entry if isinstance(entry, Interpolative) else spelled_out(entry, p.d)
        for entry, p in entries
    )


def piece_of(values: Any, axis: int, groups: int, chosen: Indices) -> Any:
    """The chosen groups of a factor's values: of blocks along a (axis 0), or modulo along d (3).

    What is tied along the axis is in all groups. A view, where the chosen ones lie together.
    """
    if not isinstance(values, np.ndarray):
        return values.piece(axis, groups, chosen)
    if values.shape[axis] == 1:
        return values
    return chosen_groups(values, axis, groups, chosen)


def _shares(groups: Indices, count: int, parts: int) -> tuple[Indices, ...]:
    """Which of the groups each part has, seen from the entries that lie in them."""
    places = np.arange(len(groups))
    first, last = np.full(count, len(groups)), np.full(count, -1)
    first[groups[::-1]] = places[::-1]
    last[groups] = places
    entries = np.bincount(groups, minlength=count)
    order = np.argsort(first, kind="stable")
    if bool((last - first + 1 == entries)[entries > 0].all()):
        sets = np.array_split(order, parts)
    else:
        sets = [order[part::parts] for part in range(parts)]
    return tuple(np.sort(chosen) for chosen in sets)


def _owners(sets: Sequence[Indices], count: int) -> NDArray[np.int32]:
    owners = np.empty(count, np.int32)
    for part, chosen in enumerate(sets):
        owners[chosen] = part
    return owners


def _permuted(permutation: _Permutation, places: Indices) -> Indices:
    return places if permutation is None else permutation[places]


def _places(chosen: Indices, count: int) -> Indices:
    """Where each group stands among the chosen ones."""
    places = np.full(count, -1)
    places[chosen] = np.arange(len(chosen))
    return places


def _completed(leading: Indices, size: int) -> Indices:
    """A permutation that begins so; what it leaves out follows."""
    others = np.ones(size, bool)
    others[leading] = False
    return np.concatenate([leading, np.flatnonzero(others)])


def _or_none(permutation: Indices) -> _Permutation:
    same = bool((permutation == np.arange(len(permutation))).all())
    return None if same else permutation.astype(np.int64, copy=False)


class Flipped:
    """The values of a factor of the transposed chain, of which only pieces are made."""

    def __init__(self, values: Any) -> None:
        self._values = values
        # Of which the ends are asked for, that don't change; what has none is a part already.
        self.shape = getattr(values, "shape", None)

    def read(self) -> Any:
        """All of them."""
        values = self._values
        array = values if isinstance(values, np.ndarray) else values.read()
        return array.transpose(0, 2, 1, 3)

    def piece(self, axis: int, groups: int, chosen: Indices) -> Any:
        """The chosen groups; see `piece_of`."""
        piece = piece_of(self._values, axis, groups, chosen)
        return piece.T if isinstance(piece, Interpolative) else piece.transpose(0, 2, 1, 3)


def divided_either_way(
    architecture: Architecture,
    parts: int,
    row_permutation: _Permutation = None,
    column_permutation: _Permutation = None,
    shape: tuple[int, int] | None = None,
) -> tuple[Division, bool]:
    """`divided`, of the chain or of the transposed one where only that has a cut; and which.

    The transposed chain's values are those of the chain from right to left, each `Flipped`.
    """
    flipped = most_parts(architecture) < parts <= most_parts(architecture.T)
    if not flipped:
        own = divided(architecture, parts, row_permutation, column_permutation, shape)
        return own, False
    turned = None if shape is None else shape[::-1]
    return divided(architecture.T, parts, column_permutation, row_permutation, turned), True
