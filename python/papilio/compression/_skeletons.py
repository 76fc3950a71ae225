"""The butterfly of a matrix from some of its entries: skeletons, cluster by cluster.

Rows and columns are in tree order: at level l of a scheme, the rows form ``2**(depth - l)``
clusters and the columns ``2**l``, all ranges of nearly equal lengths. docs/compress.md explains the
algorithm.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._chains.factors import Kept
from .._chains.index_orders import bit_reversal
from .._chains.interpolative import Interpolative
from ._clustering import Indices, limits_of, ranges
from ._entries import Entries
from ._level import SEARCH_STEPS, Level, pairs_at_once
from ._options import Options
from ._panels import Target, target_of
from ._probe import chosen_pairs, tolerated_rank, widest_pairs
from ._random import Use
from ._scheme import IncompressibleError
from ._shares import Built, Request
from ._store import Step

_PILOTS = 192  # pairs that choose the rank of a level
_GRADED = 12.0  # times the mean of the sampled columns: energies that smooth kernels don't reach
_SEARCHED = 24  # pairs in which columns of more energy than the sampled ones are looked for
_Array = np.ndarray[Any, Any]


class Builder:
    """Builds the own shares of the factors of one scheme, level by level.

    At level l, ``skeletons[v, s]`` are the rows that represent cluster t on the columns of cluster
    v, s being the bit reversal of t. So clusters 2t and 2t + 1 of the level before stand at s and
    s + 2**(depth - l): gathering candidates and filling factors is slicing. Of the clusters of rows
    and columns only the own ones are there, see `Shares`.
    """

    def __init__(
        self,
        source: Entries,
        dtype: np.dtype[Any],
        request: Request,
        options: Options,
        hot: Indices,
    ) -> None:
        self._source, self._dtype, self._options = source, dtype, options
        self._request, self._scheme, self._hot = request, request.scheme, hot
        self._team, self._store = options.team, options.store
        self._shares = self._team.shares(self._scheme)
        self._graded = False
        self._left = 0.0  # by the levels so far
        self._steps = self._scheme.levels + 1

    def build(self) -> Built:
        """All levels, but for those that the store has already."""
        scheme, shares = self._scheme, self._shares
        _, own = shares.clusters(scheme.first)
        leaves, real = self._row_leaves(own)
        values: list[Kept] = []
        ranks: list[int] = []
        skeletons: Indices | None = None
        for level in range(scheme.first, scheme.last + 1):
            step = self._saved(level)
            if step is None:
                if level == scheme.first:
                    candidates = np.broadcast_to(leaves, (1 << level, *leaves.shape))
                else:
                    assert skeletons is not None
                    candidates = _pairs(skeletons)
                step = self._level(level, candidates, ranks, real)
            values.append(step.values)
            ranks.append(step.rank)
            self._graded, skeletons = step.graded, step.skeletons
            self._left += step.left
            # Of saved levels only the last one has skeletons.
            if level == shares.middle and skeletons is not None:
                skeletons = self._team.exchanged(shares, skeletons)
        last = self._saved(scheme.last + 1)
        if last is None:
            assert skeletons is not None
            values.append(self._last(skeletons, ranks))
        else:
            values.append(last.values)
        rows, columns = self._positions()
        return Built(shares, tuple(values), ranks, rows, columns)

    def _saved(self, level: int) -> Step | None:
        step = self._store.saved(self._request, self._shares, level)
        if step is not None:
            self._options.memory.reserve(step.values.nbytes)
            self._source.count = step.entries
            self._team.together(lambda: self._reporter(level)(1.0))
        return step

    def _row_leaves(self, own: Indices | None = None) -> tuple[Indices, NDArray[np.bool_]]:
        """The rows of own leaves in bit-reversed order, or of all, and which are real."""
        scheme = self._scheme
        order = bit_reversal(1 << (scheme.depth - scheme.first))
        return ranges(scheme.shape[0], len(order), order if own is None else order[own])

    def _positions(self) -> tuple[Indices, Indices]:
        """Where the rows and columns of the matrix stand among those of the factors."""
        scheme = self._scheme
        leaves, real = self._row_leaves()
        heights = len(leaves)
        rows = np.empty(scheme.shape[0], np.int64)
        slots = np.arange(leaves.shape[1]) * heights + np.arange(heights)[:, None]
        rows[leaves[real]] = slots[real]
        leaves, real = ranges(scheme.shape[1], 1 << scheme.last)
        columns = np.empty(scheme.shape[1], np.int64)
        columns[leaves[real]] = np.arange(leaves.size).reshape(leaves.shape)[real]
        return rows, columns

    def _level(
        self, number: int, candidates: Indices, ranks: Sequence[int], real: NDArray[np.bool_]
    ) -> Step:
        """The factor of one level and its skeletons."""
        scheme, options, team = self._scheme, self._options, self._team
        most = candidates.shape[2]
        allowed = min(most, options.max_rank)
        expected = min(options.rank or self._request.expected_rank, allowed)
        graded = self._graded or self._is_graded(self._of(number, False), candidates)
        level = self._of(number, graded)
        rank = expected if options.rank else self._pilot_rank(level, candidates, expected)
        before, more = 0, 1 + rank // 16  # a few ranks mostly do: larger steps come late
        while True:
            if rank > allowed:
                if most > options.max_rank:
                    raise self._refusal(number, ranks)
                rank = allowed
            target = self._target(number, rank, ranks)
            skeletons, left = team.interpolated(
                level, self._shares, candidates, rank, target, self._reporter(number)
            )
            # A level of pilots that were too smooth is built again with more.
            fits = left.after <= 2 * level.tolerance**2 * left.before
            fits = fits and left.excess <= level.tolerated(left.before / (1 << scheme.depth))
            if options.rank or rank == allowed or fits:
                break
            self._discard(target.arrays)
            del target
            rank, before, more = min(rank + more, allowed), more, before + more
        kept = self._kept(target, real) if number == scheme.first else target.kept()
        relative = left.after / left.before if left.before > 0 else 0.0
        step = Step(rank, graded, kept, skeletons, self._source.count, relative)
        return self._store.save(self._request, self._shares, number, step)

    def _kept(self, target: Target, real: NDArray[np.bool_]) -> Kept:
        """What is stored of the first level, in the same way on all builders: rows that only fill
        up their cluster are zero.
        """
        if all(self._team.gathered(lambda: real.all() or target.clear(~real))):
            return target.kept()
        # Some are in a skeleton: identities are not whole without them.
        old = target.kept()
        assert isinstance(old, Interpolative)
        factor = self._empty(self._scheme.first, old.shape, self._dtype)
        factor[...] = old.array()
        self._discard(target.arrays)
        factor[0].transpose(2, 0, 1)[~real] = 0
        return factor

    def _discard(self, arrays: tuple[_Array, ...]) -> None:
        for array in arrays:
            self._options.memory.reserve(-array.nbytes)
            self._store.discard(array)

    def _of(self, number: int, graded: bool) -> Level:
        options, request, scheme = self._options, self._request, self._scheme
        streams = options.streams if options.scattered else None
        # What the levels before left of their shares of the tolerance, those that follow share.
        square = request.tolerance**2
        allowed = (scheme.levels * square - self._left) / (scheme.last + 1 - number)
        tolerance = math.sqrt(max(square, allowed))
        # Entries that are smooth along one coordinate need the fewest columns: with 2 or 3 for each
        # row of a skeleton, errors and ranks of seven such kernels were the same. Fewer than 3 let
        # ranks grow in the plane, and miss singularities.
        columns = request.oversampling * (3 if graded or options.scattered else 2) // 2
        return Level(self._source, number, tolerance, columns, graded, streams, request.attempt)

    def _refusal(self, number: int, ranks: Sequence[int]) -> IncompressibleError:
        shape, depth = self._scheme.shape, self._scheme.depth
        tall, wide = -(-shape[0] >> (depth - number)), -(-shape[1] >> number)
        return IncompressibleError(
            f"the rank at level {number} of {depth} is more than max_rank = "
            f"{self._options.max_rank} (levels before: {list(ranks)}): blocks of {tall} x {wide} "
            "entries. A larger max_rank or a larger tol may do"
        )

    def _is_graded(self, level: Level, candidates: Indices) -> bool:
        """Whether some columns are far larger than those that would be sampled."""
        if self._source.whole or level.widest <= 4 * SEARCH_STEPS:
            return False
        v, rows, _ = self._chosen(level, candidates, _SEARCHED // 2, Use.GRADES)

        def look() -> bool:
            first, end = limits_of(level.size, level.widths, v)
            found = [level.search(rows, first, end), self._hottest(first, end)]
            usual = level.columns(v, min(rows.shape[1], self._request.expected_rank))
            largest = level.energies(rows, np.concatenate(found, axis=1)).max(axis=1)
            sampled = level.energies(rows, usual)
            return bool((largest > _GRADED * sampled.mean(axis=1)).any())

        return self._team.decided(look)

    def _chosen(
        self, level: Level, candidates: Indices, most: int, use: Use
    ) -> tuple[Indices, Indices, NDArray[np.float64]]:
        """Pairs of a level: column clusters, candidates, and how many pairs each stands for."""
        heights = 1 << (self._scheme.depth - level.number)
        stream = self._options.streams.at(use, self._request.attempt, level.number)
        known = widest_pairs(self._options.points, heights, level.widths)
        t, v, stands_for = chosen_pairs(
            self._hot, self._scheme.shape, heights, level.widths, most, stream, known
        )
        s = bit_reversal(heights)[t]
        rows = self._team.rows(self._shares, level.number, candidates, v, s)
        return v, rows, stands_for

    def _hottest(self, first: Indices, end: Indices) -> Indices:
        """The first known places of large entries in each cluster of columns, else its start."""
        known = self._hot[:, 1]
        inside = (known >= first[:, None]) & (known < end[:, None])
        order = np.argsort(~inside, axis=1, kind="stable")[:, :4]
        return np.where(np.take_along_axis(inside, order, 1), known[order], first[:, None])

    def _pilot_rank(self, level: Level, candidates: Indices, expected: int) -> int:
        """The rank that leaves the tolerance of some blocks of the level."""
        max_rank = self._options.max_rank
        v, rows, stands_for = self._chosen(level, candidates, _PILOTS, Use.PILOTS)
        most = rows.shape[1]

        def look() -> int:
            guess = expected
            while True:
                columns = level.columns(v, guess)
                limit = min(most, columns.shape[1], max_rank, 2 * guess)
                residuals = np.empty((len(rows), limit + 1))
                step = pairs_at_once(most * columns.shape[1])
                for start in range(0, len(rows), step):
                    part = slice(start, start + step)
                    found = level.interpolate(rows[part], columns[part], v[part], limit)
                    residuals[part] = found[2]
                rank = tolerated_rank(residuals, stands_for, level.tolerance, level.excess)
                enough = rank <= guess or columns.shape[1] >= level.widest
                if (rank <= limit and enough) or guess >= min(most, max_rank):
                    return max(1, rank)
                guess = min(2 * guess, most, max_rank)

        return self._team.decided(look)

    def _target(self, level: int, rank: int, ranks: Sequence[int]) -> Target:
        """Where the weights of a level are written."""
        scheme = self._scheme
        v, s = self._shares.clusters(level)
        is_first = level == scheme.first
        shape = (1, scheme.row_leaf, rank << level, len(s))
        if not is_first:
            shape = (len(v) // 2, 2 * ranks[-1], 2 * rank, len(s))
        return target_of(
            shape, rank, is_first, lambda shape, dtype: self._empty(level, shape, dtype)
        )

    def _empty(self, level: int, shape: tuple[int, ...], dtype: Any = None) -> _Array:
        dtype = np.dtype(dtype or self._dtype)
        self._options.memory.reserve(math.prod(shape) * dtype.itemsize)
        return self._team.together(lambda: self._store.empty(level, shape, dtype))

    def _last(self, skeletons: Indices, ranks: list[int]) -> Kept:
        """The last factor: the entries of the skeletons in their columns, as they are."""
        number = self._scheme.last + 1
        own = self._shares.descendants(self._scheme.last)
        widths, heights, rank = skeletons.shape
        leaves, real = ranges(self._scheme.shape[1], 1 << self._scheme.last, own)
        size = leaves.shape[1]
        factor = self._empty(number, (widths, rank * heights, size, 1))
        target = factor.reshape(widths, rank, heights, size).transpose(0, 2, 1, 3)
        report = self._reporter(number)
        self._team.evaluated(self._source, self._dtype, skeletons, leaves, target, report)
        factor[..., 0].transpose(0, 2, 1)[~real] = 0
        step = Step(ranks[-1], self._graded, factor, None, self._source.count, 0.0)
        return self._store.save(self._request, self._shares, number, step).values

    def _reporter(self, level: int) -> Callable[[float], object]:
        """What to call with the fraction of a level that is done."""
        step = level - self._scheme.first
        tell = self._options.tell
        return lambda done: None if tell is None else tell((step + done) / self._steps)


def _pairs(skeletons: Indices) -> Indices:
    """What the next level chooses from: the skeletons of both halves of each row cluster."""
    widths, heights, rank = skeletons.shape
    halves = skeletons.reshape(widths, 2, heights // 2, rank).transpose(0, 2, 1, 3)
    return np.repeat(halves.reshape(widths, heights // 2, 2 * rank), 2, axis=0)
