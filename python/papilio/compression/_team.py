"""Who builds: one process, or several that have shares of the pairs of clusters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import numpy as np

from .._chains.factors import Factors
from ._clustering import Indices
from ._entries import Entries
from ._level import Level, batches, part_done
from ._panels import Target
from ._product import Chain, times_power
from ._scheme import Scheme
from ._shares import Built, Residuals, Shares

_Array = np.ndarray[Any, Any]
_T = TypeVar("_T")
Report = Callable[[float], object]


class Team(Protocol):
    """What builders with shares do together. Whatever one of them raises, all raise."""

    part: int  # which of the builders this is

    def shares(self, scheme: Scheme) -> Shares:
        """The own shares of a scheme."""
        ...

    def together(self, make: Callable[[], _T]) -> _T:
        """What `make` returns here."""
        ...

    def gathered(self, make: Callable[[], _T]) -> list[_T]:
        """What `make` returns on each of the builders."""
        ...

    def decided(self, look: Callable[[], _T]) -> _T:
        """What one of the builders finds, for all."""
        ...

    def looked_at(self, chain: Any, look: Callable[[Any], _T]) -> _T:
        """What one of the builders finds in a chain that all have shares of, for all."""
        ...

    def rows(
        self, shares: Shares, level: int, candidates: Indices, v: Indices, s: Indices
    ) -> Indices:
        """The candidates of some pairs, whosever they are."""
        ...

    def interpolated(
        self, level: Level, shares: Shares, candidates: Indices, rank: int,
        target: Target, report: Report,
    ) -> tuple[Indices, Residuals]:  # fmt: skip
        """Skeletons of the own pairs; the squared norms of all pairs before and after."""
        ...

    def exchanged(self, shares: Shares, skeletons: Indices) -> Indices:
        """Skeletons of the middle level: of the own columns, from those of the own rows."""
        ...

    def evaluated(
        self, source: Entries, dtype: np.dtype[Any], skeletons: Indices, leaves: Indices,
        target: _Array, report: Report,
    ) -> None:  # fmt: skip
        """Write the entries of skeletons (v, s, rows) in columns (v, leaf) to target[v, s]."""
        ...

    def chain(self, built: Built) -> Any:
        """What was built, as a chain whose entries can be asked for."""
        ...

    def times_power(self, chain: Any, exponent: int) -> Any:
        """A chain times a power of two."""
        ...


class Alone:
    """One process that has all pairs."""

    part = 0

    def shares(self, scheme: Scheme) -> Shares:
        return Shares.all(scheme)

    def together(self, make: Callable[[], _T]) -> _T:
        return make()

    def gathered(self, make: Callable[[], _T]) -> list[_T]:
        return [make()]

    def decided(self, look: Callable[[], _T]) -> _T:
        return look()

    def looked_at(self, chain: Any, look: Callable[[Any], _T]) -> _T:
        return look(chain)

    def rows(
        self, shares: Shares, level: int, candidates: Indices, v: Indices, s: Indices
    ) -> Indices:
        found: Indices = candidates[v, s]
        return found

    def interpolated(
        self, level: Level, shares: Shares, candidates: Indices, rank: int,
        target: Target, report: Report,
    ) -> tuple[Indices, Residuals]:  # fmt: skip
        clusters, _ = shares.clusters(level.number)
        skeletons, left = level.build(candidates, clusters, rank, target.write, report)
        return skeletons, totals(shares.residuals(level.number, left))

    def exchanged(self, shares: Shares, skeletons: Indices) -> Indices:
        return skeletons

    def evaluated(
        self, source: Entries, dtype: np.dtype[Any], skeletons: Indices, leaves: Indices,
        target: _Array, report: Report,
    ) -> None:  # fmt: skip
        evaluate(source, dtype, skeletons, leaves, target, report)

    def chain(self, built: Built) -> Any:
        scheme = built.shares.scheme
        factors = Factors(scheme.architecture(built.ranks), built.values)
        groups = built.shares.column_groups
        return Chain(factors, built.ranks, built.rows, built.columns, groups)

    def times_power(self, chain: Any, exponent: int) -> Any:
        return times_power(chain, exponent)


def totals(groups: dict[int, Residuals]) -> Residuals:
    """What is left of all groups."""
    return Residuals.of(*zip(*groups.values(), strict=True))


def evaluate(
    source: Entries, dtype: np.dtype[Any], skeletons: Indices, leaves: Indices, target: _Array,
    report: Report,
) -> None:  # fmt: skip
    """Write the entries of skeletons (v, s, rows) in columns (v, leaf) to target[v, s]."""
    widths, heights, rank = skeletons.shape
    size = leaves.shape[1]
    for v, s in batches(widths, heights, rank * size):
        rows = skeletons[v, s].reshape(-1, rank)
        count = v.stop - v.start, s.stop - s.start
        columns = np.repeat(leaves[v], count[1], axis=0)
        target[v, s] = source.stored(rows, columns, dtype).reshape(*count, rank, size)
        report(part_done(v, s, widths, heights))
