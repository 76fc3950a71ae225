"""Ranks of blocks of two clusters, measured before anything is built."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ._clustering import Indices, Points, bounds, limits_of, radii, samples
from ._entries import Entries
from ._random import Streams, Use

# Clusters of rows and of columns whose pairs are looked at: of 2^18 random points, two clusters
# of rows were left with too much, in the levels of 4 and of 8 clusters of columns.
_WIDEST = 6
_PROBES = 8  # pairs of clusters that a rank is measured on before anything is built


class Probe:
    """Measured ranks: numerical ranks of blocks of two clusters, from samples of their entries."""

    def __init__(
        self,
        source: Entries,
        tolerance: float,
        max_rank: int,
        scattered: bool,
        hot: Indices,
        streams: Streams,
    ) -> None:
        self._source, self._shape = source, source.shape
        self._tolerance, self._max_rank = tolerance, max_rank
        self._scattered, self._hot, self._streams = scattered, hot, streams
        self.ranks: dict[tuple[int, int], int] = {}  # (rows, columns) of a block -> rank

    def rank(self, depth: int) -> int:
        """The largest rank at levels spread over trees of this depth; max_rank + 1 for more."""
        rows, columns = self._shape
        low = max(0, depth - (rows.bit_length() - 1))
        high = min(depth, columns.bit_length() - 1)
        largest = 0
        middle = (low + high) // 2
        for level in dict.fromkeys([middle, (low + middle) // 2, (middle + high + 1) // 2]):
            largest = max(largest, self._rank_at(depth, level))
            if largest > self._max_rank:
                break
        return largest

    def _rank_at(self, depth: int, level: int) -> int:
        heights, widths = 1 << (depth - level), 1 << level
        tall, wide = -(-self._shape[0] // heights), -(-self._shape[1] // widths)
        t, v, stands_for = chosen_pairs(
            self._hot, self._shape, heights, widths, _PROBES,
            self._streams.at(Use.PROBE_PAIRS, depth, level),
        )  # fmt: skip
        size = 32
        while True:
            i = self._samples(0, heights, min(size, tall), t)
            j = np.sort(self._samples(1, widths, min(size, wide), v), axis=1)
            most = min(i.shape[1], self._max_rank)
            # Fewer of large blocks: every second or fourth, ..., of both kinds.
            some = slice(None, None, max(1, size // 64))
            scales = np.sqrt(stood_for(j[some], *limits_of(self._shape[1], widths, v[some])))
            _, _, residuals = _core.interpolate(self._source(i[some], j[some]), most, scales)
            rank = tolerated_rank(residuals, stands_for[some], self._tolerance)
            whole = size >= min(tall, wide)
            if rank <= min(size // 2, self._max_rank) or whole or size >= 2 * self._max_rank:
                self.ranks[tall, wide] = rank
                return rank
            size *= 2

    def _samples(self, axis: int, count: int, width: int, chosen: Indices) -> Indices:
        def numbers(clusters: Indices, width: int) -> NDArray[np.float64]:
            return self._streams.rows(clusters, width, Use.PROBE_SAMPLES, axis, count)

        random = numbers if self._scattered else None
        return samples(self._shape[axis], count, width, random, chosen)

    def table(self) -> str:
        """The measured ranks in words."""
        return ", ".join(
            f"{rank if rank <= self._max_rank else f'more than {self._max_rank}'} of "
            f"{tall} x {wide}"
            for (tall, wide), rank in sorted(self.ranks.items(), key=lambda item: min(item[0]))
        )


def tolerated_rank(
    residuals: NDArray[np.float64],
    stands_for: NDArray[np.float64],
    tolerance: float,
    excess: Callable[[NDArray[np.float64], float], NDArray[np.float64]] | None = None,
) -> int:
    """The rank from which on the blocks together are left with `tolerance` of their norm.

    residuals[p, k] is the squared norm that is left of block p after k pivots; the block stands for
    so many. With ``excess(residuals, norm)``, which tells how far each is above what one block may
    have where `norm` is a usual one's, no block exceeds that. The last column's index plus 1 if
    even it is too much.
    """
    left = (stands_for[:, None] * residuals).sum(axis=0)  # not by BLAS: the same bits anywhere
    small = left <= tolerance * tolerance * left[0]
    if excess is not None:
        small &= (excess(residuals, left[0] / stands_for.sum()) <= 0).all(axis=0)
    return int(np.argmax(small)) if small.any() else residuals.shape[1]


def widest_pairs(
    points: tuple[Points | None, Points | None], heights: int, widths: int
) -> tuple[Indices, Indices]:
    """Pairs t, v of the `_WIDEST` widest clusters of rows and of columns, if their points are
    known: ranks grow with the widths of clusters.
    """
    if points[0] is None and points[1] is None:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    of_axes = []
    for given, count in zip(points, (heights, widths), strict=True):
        sizes = np.zeros(count) if given is None else radii(given, count)
        of_axes.append(np.argsort(-sizes, kind="stable")[:_WIDEST])
    t, v = np.meshgrid(*of_axes, indexing="ij")
    return t.ravel(), v.ravel()


def chosen_pairs(
    hot: Indices, shape: tuple[int, int], heights: int, widths: int, most: int,
    rng: np.random.Generator, known: tuple[Indices, Indices] | None = None,
) -> tuple[Indices, Indices, NDArray[np.float64]]:  # fmt: skip
    """At most 2 `most` pairs of clusters t, v, and how many pairs each stands for.

    Half are those with the largest entries, of which each stands for itself, and so do `known`
    ones, which are added; the others are random and stand for the rest.
    """
    t = np.searchsorted(bounds(shape[0], heights), hot[:, 0], side="right") - 1
    v = np.searchsorted(bounds(shape[1], widths), hot[:, 1], side="right") - 1
    _, first = np.unique(t * widths + v, return_index=True)
    known_pairs = (t * widths + v)[np.sort(first)[:most]]
    if known is not None:
        known_pairs = np.union1d(known_pairs, known[0] * widths + known[1])
    others = rng.choice(heights * widths, min(most, heights * widths), replace=False)
    others = np.sort(others[~np.isin(others, known_pairs)])
    left = heights * widths - len(known_pairs)
    pairs = np.concatenate([known_pairs, others])
    stands_for = np.concatenate(
        [np.ones(len(known_pairs)), np.full(len(others), left / max(1, len(others)))]
    )
    return pairs // widths, pairs % widths, stands_for


def stood_for(columns: Indices, first: Indices, end: Indices) -> NDArray[np.float64]:
    """How many columns each of the sorted `columns` of a range stands for: those nearest to it.

    With them, sums over sampled columns are sums over the range, wherever the samples lie close.
    Equal ones share it.
    """
    between = (columns[:, :-1] + columns[:, 1:] + 1) / 2
    edges = np.concatenate([first[:, None], between, end[:, None]], axis=1)
    counts: NDArray[np.float64] = np.diff(edges)
    return counts
