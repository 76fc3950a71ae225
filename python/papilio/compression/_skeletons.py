"""The butterfly of a matrix from some of its entries: skeletons, cluster by cluster.

Rows and columns are in tree order: at level l of a scheme, the rows form ``2**(depth - l)``
clusters and the columns ``2**l``, all ranges of nearly equal lengths. docs/compress.md explains the
algorithm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._chains.factors import Factors
from .._chains.index_orders import bit_reversal
from ._clustering import Indices, ranges, samples
from ._entries import BLOCK_BYTES, Entries, fitting
from ._probe import chosen_pairs, limits_of, stood_for, tolerated_rank
from ._product import Chain
from ._scheme import IncompressibleError, Scheme

_PILOTS = 192  # pairs that choose the rank of a level
_GRADED = 12.0  # times the mean of the sampled columns: energies that smooth kernels don't reach
_SEARCHED = 24  # pairs in which columns of more energy than the sampled ones are looked for
_STEPS = 8  # columns that a search compares at a time
_Array = np.ndarray[Any, Any]


class Builder:
    """Builds the factors of one scheme, level by level.

    At level l, ``skeletons[v, s]`` are the rows that represent cluster t on the columns of cluster
    v, s being the bit reversal of t. So clusters 2t and 2t + 1 of the level before stand at s and
    s + 2**(depth - l): gathering candidates and filling factors is slicing.
    """

    def __init__(
        self,
        source: Entries,
        scheme: Scheme,
        dtype: np.dtype[Any],
        *,
        tolerance: float,
        expected_rank: int,
        max_rank: int,
        fixed_rank: int | None,
        scattered: bool,
        oversampling: int,
        hot: Indices,
        rng: np.random.Generator,
        reserve: Callable[[int], None],
        progress: Callable[[float], object] | None,
    ) -> None:
        self._source, self._scheme, self._dtype = source, scheme, dtype
        self._oversampling, self._hot = oversampling, hot
        self._graded = False
        self._tolerance = tolerance
        self._expected_rank, self._max_rank = expected_rank, max_rank
        self._fixed_rank = fixed_rank
        self._scattered, self._rng = scattered, rng
        self._reserve, self._progress = reserve, progress
        self._steps = scheme.last - scheme.first + 2

    def build(self) -> Chain:
        scheme = self._scheme
        leaves, real = ranges(scheme.shape[0], 1 << (scheme.depth - scheme.first))
        reversal = bit_reversal(len(leaves))
        leaves, real = leaves[reversal], real[reversal]
        values: list[_Array] = []
        ranks: list[int] = []
        skeletons: Indices | None = None
        for level in range(scheme.first, scheme.last + 1):
            if skeletons is None:
                candidates = np.broadcast_to(leaves, (1 << level, *leaves.shape))
            else:
                candidates = _pairs(skeletons)
            factor, skeletons = self._level(level, candidates, ranks)
            values.append(factor)
        values[0][0].transpose(2, 0, 1)[~real] = 0  # rows that only fill up their cluster
        assert skeletons is not None
        last, columns = self._last(skeletons)
        values.append(last)
        heights = len(leaves)
        rows = np.empty(scheme.shape[0], np.int64)
        slots = np.arange(leaves.shape[1]) * heights + np.arange(heights)[:, None]
        rows[leaves[real]] = slots[real]
        return Chain(Factors(scheme.architecture(ranks), tuple(values)), ranks, rows, columns)

    def _level(self, level: int, candidates: Indices, ranks: list[int]) -> tuple[_Array, Indices]:
        """The factor of one level and its skeletons; appends the level's rank."""
        scheme = self._scheme
        widths, heights, most = candidates.shape
        wide = -(-scheme.shape[1] // widths)
        allowed = min(most, self._max_rank)
        expected = min(self._fixed_rank or self._expected_rank, allowed)
        self._graded = self._graded or self._is_graded(candidates)
        rank = expected if self._fixed_rank else self._pilot_rank(candidates, expected)
        while True:
            if rank > allowed:
                if most > self._max_rank:
                    raise IncompressibleError(
                        f"the rank at level {level} of {scheme.depth} is more than max_rank = "
                        f"{self._max_rank} (levels before: {ranks}): blocks of "
                        f"{-(-scheme.shape[0] // heights)} x {wide} entries. A larger max_rank or "
                        "a larger tol may do"
                    )
                rank = allowed
            columns = self._samples(widths, rank)
            factor = self._allocate(level, rank, ranks)
            target = _by_cluster(factor, level == scheme.first, rank)
            skeletons = np.empty((widths, heights, rank), np.int64)
            before = after = 0.0
            for v, s in _batches(widths, heights, most * columns.shape[1]):
                rows = candidates[v, s].reshape(-1, most)
                clusters = np.repeat(np.arange(v.start, v.stop), s.stop - s.start)
                pivots, weights, residuals = self._interpolate(rows, columns, clusters, rank)
                count = v.stop - v.start, s.stop - s.start
                skeletons[v, s] = np.take_along_axis(rows, pivots, 1).reshape(*count, rank)
                weights = weights.reshape(*count, *target(0).shape[1:])
                for n in range(count[0]):
                    target(v.start + n)[s] = weights[n]
                before += float(residuals[:, 0].sum())
                after += float(residuals[:, -1].sum())
                self._report(level - scheme.first, v, s, widths, heights)
            # A level of pilots that were too smooth is built again with more.
            if self._fixed_rank or rank == allowed or after <= 4 * self._tolerance**2 * before:
                ranks.append(rank)
                return factor, skeletons
            self._reserve(-factor.nbytes)
            del factor, target
            rank += 1 + rank // 8

    def _interpolate(
        self, rows: Indices, columns: Indices, clusters: Indices, rank: int
    ) -> tuple[Indices, _Array, NDArray[np.float64]]:
        """Pivots, weights and residuals of rows (p, r) on columns of the clusters (p,)."""
        first, end = limits_of(self._scheme.shape[1], len(columns), clusters)
        chosen = columns[clusters]
        if self._graded and chosen.shape[1] < int((end - first).max()):
            more = self._search(rows, first, end)
            chosen = np.sort(np.concatenate([chosen, more], axis=1), axis=1)
        scales = np.sqrt(stood_for(chosen, first, end))
        return _core.interpolate(self._source(rows, chosen), rank, scales)

    def _is_graded(self, candidates: Indices) -> bool:
        """Whether some columns are far larger than those that would be sampled."""
        widths, heights, most = candidates.shape
        if self._source.whole or -(-self._scheme.shape[1] // widths) <= 4 * _STEPS:
            return False
        t, v, _ = chosen_pairs(
            self._hot, self._scheme.shape, heights, widths, _SEARCHED // 2, self._rng
        )
        s = bit_reversal(heights)[t]
        rows = candidates[v, s]
        first, end = limits_of(self._scheme.shape[1], widths, v)
        found = np.concatenate([self._search(rows, first, end), self._hottest(v, widths)], axis=1)
        usual = self._samples(widths, min(most, self._expected_rank))[v]
        largest = self._energies(rows, found).max(axis=1)
        sampled = self._energies(rows, usual)
        return bool((largest > _GRADED * sampled.mean(axis=1)).any())

    def _energies(self, rows: Indices, columns: Indices) -> NDArray[np.float64]:
        energies: NDArray[np.float64] = np.square(
            np.abs(self._source(rows, columns)), dtype=np.float64
        ).sum(axis=1)
        return energies

    def _hottest(self, clusters: Indices, widths: int) -> Indices:
        """The first known places of large entries in each cluster of columns, else its start."""
        first, end = limits_of(self._scheme.shape[1], widths, clusters)
        known = self._hot[:, 1]
        inside = (known >= first[:, None]) & (known < end[:, None])
        order = np.argsort(~inside, axis=1, kind="stable")[:, :4]
        return np.where(np.take_along_axis(inside, order, 1), known[order], first[:, None])

    def _search(self, rows: Indices, first: Indices, end: Indices) -> Indices:
        """Columns on the way to the largest in each range: closer and closer to it.

        Each step compares `_STEPS` columns of a range and goes on between the neighbours of the
        largest, so that a singularity is seen from all distances.
        """
        low, high = first.copy(), end.copy()
        # The sizes of some rows are those of all.
        some = rows[:, :: max(1, rows.shape[1] // 16)] if rows.shape[1] > 32 else rows
        seen = []
        for _ in range(64):
            place = (np.arange(_STEPS) + 0.5) / _STEPS
            columns = low[:, None] + (place * (high - low)[:, None]).astype(np.int64)
            seen.append(columns)
            if int((high - low).max()) <= _STEPS:
                break
            best = self._energies(some, columns).argmax(axis=1)
            at = np.arange(len(rows))
            low = np.where(best == 0, low, columns[at, np.maximum(best - 1, 0)] + 1)
            high = np.where(best == _STEPS - 1, high, columns[at, np.minimum(best + 1, _STEPS - 1)])
            high = np.maximum(high, low + 1)
        return np.concatenate(seen, axis=1)

    def _pilot_rank(self, candidates: Indices, expected: int) -> int:
        """The rank that leaves `tolerance` of some blocks of the level."""
        widths, heights, most = candidates.shape
        t, v, stands_for = chosen_pairs(
            self._hot, self._scheme.shape, heights, widths, _PILOTS, self._rng
        )
        rows = candidates[v, bit_reversal(heights)[t]]
        guess = expected
        while True:
            columns = self._samples(widths, guess)
            limit = min(most, columns.shape[1], self._max_rank, 2 * guess)
            residuals = np.empty((len(rows), limit + 1))
            step = max(1, BLOCK_BYTES // (16 * most * columns.shape[1]))
            for start in range(0, len(rows), step):
                part = slice(start, start + step)
                residuals[part] = self._interpolate(rows[part], columns, v[part], limit)[2]
            rank = tolerated_rank(residuals * stands_for[:, None], self._tolerance)
            enough = rank <= guess or columns.shape[1] >= -(-self._scheme.shape[1] // widths)
            if (rank <= limit and enough) or guess >= min(most, self._max_rank):
                return max(1, rank)
            guess = min(2 * guess, most, self._max_rank)

    def _samples(self, widths: int, rank: int) -> Indices:
        """Columns of each cluster on which rows are compared, in order."""
        size = self._scheme.shape[1]
        if self._source.whole:
            return ranges(size, widths)[0]
        rng = self._rng if self._scattered else None
        return np.sort(samples(size, widths, self._oversampling * rank, rng), axis=1)

    def _allocate(self, level: int, rank: int, ranks: list[int]) -> _Array:
        scheme = self._scheme
        if level == scheme.first:
            shape = (1, scheme.row_leaf, rank << level, 1 << (scheme.depth - level))
        else:
            shape = (1 << (level - 1), 2 * ranks[-1], 2 * rank, 1 << (scheme.depth - level))
        return self._empty(shape)

    def _empty(self, shape: tuple[int, int, int, int]) -> _Array:
        self._reserve(int(np.prod(shape)) * self._dtype.itemsize)
        return np.empty(shape, self._dtype)

    def _last(self, skeletons: Indices) -> tuple[_Array, Indices]:
        """The last factor: the entries of the skeletons in their columns, as they are."""
        scheme = self._scheme
        widths, heights, rank = skeletons.shape
        leaves, real = ranges(scheme.shape[1], widths)
        size = leaves.shape[1]
        factor = self._empty((widths, rank * heights, size, 1))
        target = factor.reshape(widths, rank, heights, size).transpose(0, 2, 1, 3)
        for v, s in _batches(widths, heights, rank * size):
            rows = skeletons[v, s].reshape(-1, rank)
            j = np.repeat(leaves[v], s.stop - s.start, axis=0)
            count = v.stop - v.start, s.stop - s.start
            target[v, s] = fitting(self._source(rows, j), self._dtype).reshape(*count, rank, size)
            self._report(self._steps - 1, v, s, widths, heights)
        factor[..., 0].transpose(0, 2, 1)[~real] = 0
        columns = np.empty(scheme.shape[1], np.int64)
        columns[leaves[real]] = np.arange(widths * size).reshape(widths, size)[real]
        return factor, columns

    def _report(self, step: int, v: slice, s: slice, widths: int, heights: int) -> None:
        if self._progress is not None:
            done = (v.start * heights + (v.stop - v.start) * s.stop) / (widths * heights)
            self._progress((step + done) / self._steps)


def _pairs(skeletons: Indices) -> Indices:
    """What the next level chooses from: the skeletons of both halves of each row cluster."""
    widths, heights, rank = skeletons.shape
    halves = skeletons.reshape(widths, 2, heights // 2, rank).transpose(0, 2, 1, 3)
    return np.repeat(halves.reshape(widths, heights // 2, 2 * rank), 2, axis=0)


def _by_cluster(factor: _Array, is_first: bool, rank: int) -> Callable[[int], _Array]:
    """Views of a factor: for column cluster v, the weights (s, candidates..., rank)."""
    a, b, c, d = factor.shape
    if is_first:
        leaf = factor.reshape(b, c // rank, rank, d)
        return lambda v: leaf[:, v].transpose(2, 0, 1)
    inner = factor.reshape(a, b // 2, 2, 2, rank, d)
    return lambda v: inner[v // 2, :, :, v % 2].transpose(3, 1, 0, 2)


def _batches(widths: int, heights: int, entries: int) -> Iterator[tuple[slice, slice]]:
    """All pairs of clusters in batches of about BLOCK_BYTES: some v with all s, or one v."""
    pairs = max(1, BLOCK_BYTES // (16 * entries))
    if pairs >= heights:
        step = pairs // heights
        for v in range(0, widths, step):
            yield slice(v, min(v + step, widths)), slice(0, heights)
        return
    for v in range(widths):
        for s in range(0, heights, pairs):
            yield slice(v, v + 1), slice(s, min(s + pairs, heights))
