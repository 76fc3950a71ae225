"""One level of a scheme: how the rows of its pairs of clusters are interpolated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._clustering import Indices, limits_of, ranges, samples
from ._entries import BLOCK_BYTES, Entries
from ._probe import stood_for
from ._random import Streams, Use

SEARCH_STEPS = 8  # columns that a search compares at a time
# Times the tolerance, in a pair: errors in so few places that bounds from samples are far above
# them (of `kernels.nudft`, 110 times in one pair of 2^15 gave 1.7e-6 for 7e-7, 64 in one of 2^17
# 1.2e-6 for 8e-7).
_OUTLYING = 16.0
_SHARED, _SHARED_BLOCKS = 16, 16  # pairs that threads share, of at most so many BLOCK_BYTES
_Array = np.ndarray[Any, Any]
Write = Callable[[int, slice, Indices, _Array], object]


@dataclass(frozen=True)
class Level:
    """What the interpolation of a pair depends on, besides its candidates.

    What comes out of a pair is the same wherever and with whichever others it is interpolated, if
    `source` gives an entry the same bits whichever block it is asked for in.

    Attributes
    ----------
    source : Entries
    number : int
        The level: there are ``2**number`` column clusters.
    tolerance : float
        What is to be left of the level, relative to its norm.
    oversampling : int
        Sampled columns for each row of a skeleton.
    graded : bool
        Whether columns far larger than the sampled ones are looked for.
    streams : Streams or None
        Random numbers, where clusters have more than one dimension.
    attempt : int
    """

    source: Entries
    number: int
    tolerance: float
    oversampling: int
    graded: bool
    streams: Streams | None
    attempt: int

    @property
    def size(self) -> int:
        return self.source.shape[1]

    @property
    def widths(self) -> int:
        return 1 << self.number

    @property
    def widest(self) -> int:
        """Columns of the largest cluster."""
        return -(-self.size // self.widths)

    def columns(self, clusters: Indices, rank: int) -> Indices:
        """Columns of some clusters on which rows are compared, in order."""
        if self.source.whole:
            return ranges(self.size, self.widths, clusters)[0]
        numbers = None if self.streams is None else self._numbers
        width = self.oversampling * rank
        return np.sort(samples(self.size, self.widths, width, numbers, clusters), axis=1)

    def _numbers(self, clusters: Indices, width: int) -> NDArray[np.float64]:
        assert self.streams is not None
        return self.streams.rows(clusters, width, Use.SAMPLES, self.attempt, self.number)

    def interpolate(
        self, rows: Indices, columns: Indices, clusters: Indices, rank: int
    ) -> tuple[Indices, _Array, NDArray[np.float64]]:
        """Pivots, weights and residuals of rows (p, r) on columns (p, c) of the clusters (p,)."""
        first, end = limits_of(self.size, self.widths, clusters)
        if self.graded and columns.shape[1] < self.widest:
            more = self.search(rows, first, end)
            columns = np.sort(np.concatenate([columns, more], axis=1), axis=1)
        scales = np.sqrt(stood_for(columns, first, end))
        return self.source.interpolate(rows, columns, rank, scales)

    def energies(self, rows: Indices, columns: Indices) -> NDArray[np.float64]:
        """The squared norm of each column on the rows."""
        energies: NDArray[np.float64] = np.square(
            np.abs(self.source(rows, columns)), dtype=np.float64
        ).sum(axis=1)
        return energies

    def search(self, rows: Indices, first: Indices, end: Indices) -> Indices:
        """Columns on the way to the largest in each range: closer and closer to it.

        Each step compares `SEARCH_STEPS` columns of a range and goes on between the neighbours of
        the largest, so that a singularity is seen from all distances.
        """
        low, high = first.copy(), end.copy()
        # The sizes of some rows are those of all.
        some = rows[:, :: max(1, rows.shape[1] // 16)] if rows.shape[1] > 32 else rows
        # As many steps as the longest range of all takes, whichever are here.
        longest = self.widest
        seen = []
        for _ in range(64):
            place = (np.arange(SEARCH_STEPS) + 0.5) / SEARCH_STEPS
            columns = low[:, None] + (place * (high - low)[:, None]).astype(np.int64)
            seen.append(columns)
            if longest <= SEARCH_STEPS:
                break
            best = self.energies(some, columns).argmax(axis=1)
            at = np.arange(len(rows))
            low = np.where(best == 0, low, columns[at, np.maximum(best - 1, 0)] + 1)
            high = np.where(
                best == SEARCH_STEPS - 1, high, columns[at, np.minimum(best + 1, SEARCH_STEPS - 1)]
            )
            high = np.maximum(high, low + 1)
            # Between two neighbours of one in eight, or at an end.
            longest = max(1, (longest * 2 + SEARCH_STEPS - 1) // SEARCH_STEPS)
        return np.concatenate(seen, axis=1)

    def build(
        self,
        candidates: Indices,
        clusters: Indices,
        rank: int,
        write: Write,
        report: Callable[[float], object],
    ) -> tuple[Indices, NDArray[np.float64]]:
        """Write the weights of all pairs of some column clusters with some row clusters.

        ``candidates[v, s]`` are the rows that pair (v, s) chooses from, `clusters` the numbers of
        its column clusters, ``write(v, s, pivots, weights)`` takes what is found. Returns the
        skeletons, and for each pair the squared norms before and after, and its excess: how much
        the latter is above what a pair may have.
        """
        widths, heights, most = candidates.shape
        columns = self.columns(clusters, rank)
        skeletons = np.empty((widths, heights, rank), np.int64)
        left = np.empty((3, widths, heights))
        for v, s in batches(widths, heights, most * columns.shape[1]):
            count = v.stop - v.start, s.stop - s.start
            rows = candidates[v, s].reshape(-1, most)
            of_pairs = np.repeat(np.arange(v.start, v.stop), count[1])
            pivots, weights, residuals = self.interpolate(
                rows, columns[of_pairs], clusters[of_pairs], rank
            )
            skeletons[v, s] = np.take_along_axis(rows, pivots, 1).reshape(*count, rank)
            for n in range(count[0]):
                own = slice(n * count[1], (n + 1) * count[1])
                write(v.start + n, s, pivots[own], weights[own])
            left[:2, v, s] = residuals[:, [0, -1]].T.reshape(2, *count)
            report(part_done(v, s, widths, heights))
        left[2] = left[1] - self.tolerated(left[0])
        return skeletons, left

    def excess(self, residuals: NDArray[np.float64], usual: float) -> NDArray[np.float64]:
        """How far residuals (p, k) of pairs are above what each may have, where the squared norm of
        a usual one is that.
        """
        allowed = self.tolerated(residuals[:, :1]) + self.tolerated(usual)
        above: NDArray[np.float64] = residuals - allowed
        return above

    def tolerated(self, norm: Any) -> Any:
        """The square of what may be left of a pair, for that of its norm or of a usual one."""
        return (_OUTLYING * self.tolerance) ** 2 * norm


def part_done(v: slice, s: slice, widths: int, heights: int) -> float:
    """How far a loop over `batches` is."""
    return float(v.start * heights + (v.stop - v.start) * s.stop) / (widths * heights)


def pairs_at_once(entries: int) -> int:
    """How many pairs of so many entries each to work on at a time: BLOCK_BYTES of them, or some
    more that threads share. The same for any number of threads, as what a function asks for is.
    """
    block = 16 * entries
    return max(1, BLOCK_BYTES // block, min(_SHARED, _SHARED_BLOCKS * BLOCK_BYTES // block))


def batches(widths: int, heights: int, entries: int) -> Iterator[tuple[slice, slice]]:
    """All pairs of clusters, so many at once: some v with all s, or one v."""
    pairs = pairs_at_once(entries)
    if pairs >= heights:
        step = pairs // heights
        for v in range(0, widths, step):
            yield slice(v, min(v + step, widths)), slice(0, heights)
        return
    for v in range(widths):
        for s in range(0, heights, pairs):
            yield slice(v, v + 1), slice(s, min(s + pairs, heights))
