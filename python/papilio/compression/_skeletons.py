"""The butterfly of a matrix from some of its entries: skeletons, cluster by cluster.

Rows and columns are in tree order: at level l of a scheme, the rows form ``2**(depth - l)``
clusters and the columns ``2**l``, all ranges of nearly equal lengths. docs/compress.md explains the
algorithm.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._chains.architecture import Architecture
from .._chains.index_orders import bit_reversal
from ._clustering import Indices, bounds, ranges, samples

_Array = np.ndarray[Any, Any]
BLOCK_BYTES = 1 << 22  # of entries that are asked for at a time
_PROBES = 8  # pairs of clusters that a rank is measured on before anything is built
_SIMILAR = 1.02  # times the fewest entries are as good
_PILOTS = 192  # pairs that choose the rank of a level
_MODERATE = (2.0**-300, 2.0**300)  # sizes of entries whose squares are far from the ends
_GRADED = 12.0  # times the mean of the sampled columns: energies that smooth kernels don't reach
_SEARCHED = 24  # pairs in which columns of more energy than the sampled ones are looked for
_STEPS = 8  # columns that a search compares at a time
_SCOUTED = 12  # halvings of the whole matrix on the way to its largest entries
_HOT = 32  # places of large entries that are remembered


class IncompressibleError(ValueError):
    """The matrix has no butterfly that is smaller than itself; the message has its ranks."""


class Entries:
    """Entries of a matrix in tree order, checked, counted, and scaled to a moderate size.

    ``evaluate(i, j)`` gets index arrays of shapes (p, r) and (p, c), in the user's order, and
    returns blocks (p, r, c); what it returns is checked here. `whole` says that all entries are at
    hand, so that none need be chosen.
    """

    def __init__(
        self,
        evaluate: Callable[[Indices, Indices], _Array],
        row_order: Indices | None,
        column_order: Indices | None,
        shape: tuple[int, int],
        *,
        whole: bool = False,
    ) -> None:
        self._evaluate = evaluate
        self._row_order = row_order
        self._column_order = column_order
        self.shape = shape
        self.whole = whole
        self.count = 0
        self.exponent = 0  # entries are divided by 2 to this power

    def __call__(self, i: Indices, j: Indices) -> _Array:
        """Blocks of shape (p, r, c) for rows (p, r) and columns (p, c)."""
        if self._row_order is not None:
            i = self._row_order[i]
        if self._column_order is not None:
            j = self._column_order[j]
        blocks = self._evaluate(np.ascontiguousarray(i), np.ascontiguousarray(j))
        if not self.whole:
            self.count += blocks.size
        with np.errstate(over="ignore"):
            total = blocks.sum()
        if not np.isfinite(total):
            bad = np.argwhere(~np.isfinite(blocks))
            if len(bad):
                p, r, c = bad[0]
                raise ValueError(
                    f"entries({i[p, r]}, {j[p, c]}) is {blocks[p, r, c]}, expected finite numbers"
                )
        return scaled(blocks, -self.exponent) if self.exponent else blocks

    def all(self) -> _Array:
        """The matrix, in tree order, evaluated in batches of rows."""
        m, n = self.shape
        columns = np.arange(n)[None]
        matrix: _Array | None = None
        step = max(1, BLOCK_BYTES // (16 * n))
        for start in range(0, m, step):
            rows = np.arange(start, min(start + step, m))
            part = self(rows[None], columns)[0]
            if matrix is None:
                matrix = np.empty((m, n), part.dtype)
            matrix[rows] = part
        assert matrix is not None
        return matrix

    def held(self) -> Entries:
        """The same entries, evaluated once, now."""
        matrix = self.all()
        held = Entries(
            lambda i, j: matrix[i[:, :, None], j[:, None, :]], None, None, self.shape, whole=True
        )
        held.count = self.count
        largest = float(np.abs(matrix).max())
        if exponent_of(largest):
            held.scale_by(largest)
        return held

    def scale_by(self, largest: float) -> None:
        """Keep squares of entries of this size from overflowing and from vanishing."""
        self.exponent = exponent_of(largest)


def exponent_of(largest: float) -> int:
    """The power of two to divide by so that squares are far from the ends of double precision."""
    moderate = largest == 0 or _MODERATE[0] < largest < _MODERATE[1]
    return 0 if moderate else math.frexp(largest)[1]


def scaled(values: _Array, exponent: int) -> _Array:
    """Values times a power of two."""
    half = exponent // 2  # each of both is a number, though their product may not be one
    result: _Array = values * 2.0**half * 2.0 ** (exponent - half)
    return result


@dataclass(frozen=True)
class Scheme:
    """Which clusters meet where: the splits are the levels first..last of trees of that depth."""

    shape: tuple[int, int]
    depth: int
    first: int
    last: int

    @property
    def T(self) -> Scheme:
        """The same clusters seen from the transposed matrix."""
        depth = self.depth
        return Scheme(self.shape[::-1], depth, depth - self.last, depth - self.first)

    @property
    def row_leaf(self) -> int:
        """Rows of the longest cluster of the first level."""
        return -(-self.shape[0] >> (self.depth - self.first))

    @property
    def column_leaf(self) -> int:
        """Columns of the longest cluster of the last level."""
        return -(-self.shape[1] >> self.last)

    def entries(self, rank: int) -> int:
        """How many entries the factors have if all ranks are this."""
        height = self.row_leaf << (self.depth - self.first)
        width = self.column_leaf << self.last
        ends = (height << self.first) + (width << (self.depth - self.last))
        return ends * rank + (2 * (self.last - self.first) * rank * rank << self.depth)

    def architecture(self, ranks: list[int]) -> Architecture:
        """The chain of factors with these ranks, one for each level."""
        first, last, depth = self.first, self.last, self.depth
        inner = [
            (1 << (level - 1), 2 * left, 2 * right, 1 << (depth - level))
            for level, left, right in zip(
                range(first + 1, last + 1), ranks[:-1], ranks[1:], strict=True
            )
        ]
        return Architecture(
            [
                (1, self.row_leaf, ranks[0] << first, 1 << (depth - first)),
                *inner,
                (1 << last, ranks[-1] << (depth - last), self.column_leaf, 1),
            ]
        )


def tolerated_rank(residuals: NDArray[np.float64], tolerance: float) -> int:
    """The rank from which on the blocks together are left with `tolerance` of their norm.

    residuals[p, k] is the squared norm that is left of block p after k pivots. The last column's
    index plus 1 if even it is too much.
    """
    left = residuals.sum(axis=0)
    small = left <= tolerance * tolerance * left[0]
    return int(np.argmax(small)) if small.any() else residuals.shape[1]


class Scout:
    """Finds where a matrix has its largest entries, from a few thousand of them.

    Boxes are cut in four where what was sampled of them says that most of the norm is. The places
    are those of the largest entries seen, and single entries of the boxes that weigh most.
    """

    def __init__(self, source: Entries, rng: np.random.Generator) -> None:
        m, n = source.shape
        if source.whole:
            every = np.abs(source(np.arange(m)[None], np.arange(n)[None])[0]).ravel()
            few = min(_HOT, every.size)
            largest = np.argpartition(every, every.size - few)[-few:]
            largest = largest[np.argsort(-every[largest], kind="stable")]
            self.places: Indices = np.stack([largest // n, largest % n], axis=1)
            return
        grid = np.indices((min(m, 8), min(n, 8))).reshape(2, -1)
        rows, columns = bounds(m, min(m, 8)), bounds(n, min(n, 8))
        boxes = np.stack(
            [rows[grid[0]], rows[grid[0] + 1], columns[grid[1]], columns[grid[1] + 1]], axis=1
        )
        places, sizes = self._seen(source, boxes, rng)
        seen = sizes
        for _ in range(_SCOUTED):
            weights = areas(boxes) * (_of_largest(sizes) ** 2).mean(axis=1)
            cut = np.argsort(-np.where(areas(boxes) > 1, weights, 0.0), kind="stable")[:_STEPS]
            cut = cut[weights[cut] > 0]
            parts = quarters(boxes[cut])
            keep = np.ones(len(boxes), bool)
            keep[cut] = False
            new_places, new_sizes = self._seen(source, parts, rng)
            boxes = np.concatenate([boxes[keep], parts])
            places = np.concatenate([places, new_places])
            sizes = np.concatenate([sizes[keep], new_sizes])
            seen = np.concatenate([seen, new_sizes])
        order = np.argsort(-seen.ravel(), kind="stable")
        self.places = places.reshape(-1, 2)[order[:_HOT]]
        if source.exponent == 0:
            source.scale_by(float(seen.max()))

    @staticmethod
    def _seen(
        source: Entries, boxes: Indices, rng: np.random.Generator
    ) -> tuple[Indices, NDArray[np.float64]]:
        """The corners of each box and four random entries: places and sizes."""
        top, bottom, left, right = boxes.T
        i = np.stack([top, top, bottom - 1, bottom - 1, *rng.integers(top, bottom, (4, len(top)))])
        j = np.stack([left, right - 1, left, right - 1, *rng.integers(left, right, (4, len(top)))])
        found = np.abs(source(i.reshape(-1, 1), j.reshape(-1, 1))[:, 0, 0]).astype(np.float64)
        return np.stack([i.T, j.T], axis=-1), found.reshape(i.shape).T


def _of_largest(sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sizes over the largest: their squares don't overflow."""
    largest = sizes.max()
    return sizes / largest if largest > 0 else sizes


def areas(boxes: Indices) -> NDArray[np.float64]:
    """How many entries there are in boxes (first row, end, first column, end)."""
    return ((boxes[:, 1] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 2])).astype(np.float64)


def quarters(boxes: Indices) -> Indices:
    """Boxes cut in half on both sides, or on one where the other has one entry."""
    top, bottom, left, right = boxes.T
    middle, centre = (top + bottom) // 2, (left + right) // 2
    parts = np.stack(
        [
            np.stack([top, middle, left, centre], 1),
            np.stack([top, middle, centre, right], 1),
            np.stack([middle, bottom, left, centre], 1),
            np.stack([middle, bottom, centre, right], 1),
        ],
        axis=1,
    ).reshape(-1, 4)
    return parts[areas(parts) > 0]


def chosen_pairs(
    hot: Indices, shape: tuple[int, int], heights: int, widths: int, most: int,
    rng: np.random.Generator,
) -> tuple[Indices, Indices, NDArray[np.float64]]:  # fmt: skip
    """At most 2 `most` pairs of clusters t, v, and how many pairs each stands for.

    Half are those with the largest entries, of which each stands for itself; the others are random
    and stand for the rest.
    """
    t = np.searchsorted(bounds(shape[0], heights), hot[:, 0], side="right") - 1
    v = np.searchsorted(bounds(shape[1], widths), hot[:, 1], side="right") - 1
    _, first = np.unique(t * widths + v, return_index=True)
    known = (t * widths + v)[np.sort(first)[:most]]
    others = rng.choice(heights * widths, min(most, heights * widths), replace=False)
    others = np.sort(others[~np.isin(others, known)])
    left = heights * widths - len(known)
    pairs = np.concatenate([known, others])
    stands_for = np.concatenate(
        [np.ones(len(known)), np.full(len(others), left / max(1, len(others)))]
    )
    return pairs // widths, pairs % widths, stands_for


class Probe:
    """Measured ranks: numerical ranks of blocks of two clusters, from samples of their entries."""

    def __init__(
        self,
        source: Entries,
        tolerance: float,
        max_rank: int,
        scattered: bool,
        hot: Indices,
        rng: np.random.Generator,
    ) -> None:
        self._source, self._shape = source, source.shape
        self._tolerance, self._max_rank = tolerance, max_rank
        self._scattered, self._hot, self._rng = scattered, hot, rng
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
        t, v, stands_for = chosen_pairs(self._hot, self._shape, heights, widths, _PROBES, self._rng)
        size = 32
        while True:
            rng = self._rng if self._scattered else None
            i = samples(self._shape[0], heights, min(size, tall), rng)[t]
            j = np.sort(samples(self._shape[1], widths, min(size, wide), rng), axis=1)[v]
            most = min(i.shape[1], self._max_rank)
            # Fewer of large blocks: every second or fourth, ..., of both kinds.
            some = slice(None, None, max(1, size // 64))
            scales = np.sqrt(stood_for(j[some], *limits_of(self._shape[1], widths, v[some])))
            _, _, residuals = _core.interpolate(self._source(i[some], j[some]), most, scales)
            rank = tolerated_rank(residuals * stands_for[some, None], self._tolerance)
            whole = size >= min(tall, wide)
            if rank <= min(size // 2, self._max_rank) or whole or size >= 2 * self._max_rank:
                self.ranks[tall, wide] = rank
                return rank
            size *= 2

    def table(self) -> str:
        """The measured ranks in words."""
        return ", ".join(
            f"{rank if rank <= self._max_rank else f'more than {self._max_rank}'} of "
            f"{tall} x {wide}"
            for (tall, wide), rank in sorted(self.ranks.items(), key=lambda item: min(item[0]))
        )


def limits_of(size: int, count: int, clusters: Indices) -> tuple[Indices, Indices]:
    """First index and end of some of `count` ranges."""
    return clusters * size // count, (clusters + 1) * size // count


def stood_for(columns: Indices, first: Indices, end: Indices) -> NDArray[np.float64]:
    """How many columns each of the sorted `columns` of a range stands for: those nearest to it.

    With them, sums over sampled columns are sums over the range, wherever the samples lie close.
    Equal ones share it.
    """
    between = (columns[:, :-1] + columns[:, 1:] + 1) / 2
    edges = np.concatenate([first[:, None], between, end[:, None]], axis=1)
    counts: NDArray[np.float64] = np.diff(edges)
    return counts


def choose_scheme(
    shape: tuple[int, int],
    rank_of_depth: Callable[[int], int],
    max_rank: int,
    depth: int | None,
) -> tuple[Scheme, int] | None:
    """The scheme of the largest blocks among those with few entries, and the rank to expect.

    Hardly more entries than the fewest are accepted: larger blocks make fewer factors, but take
    more arithmetic to build. Starts from small blocks and goes on while larger ones may pay, unless
    the depth is given. None if all ranks are too large.
    """
    best: tuple[Scheme, int] | None = None
    fewest = math.inf
    deepest = min(shape).bit_length() - 1
    for trees in range(deepest, -1, -1) if depth is None else [depth]:
        rank = max(1, rank_of_depth(trees))
        if rank > max_rank:
            break
        schemes = (
            Scheme(shape, trees, first, last)
            for first in range(trees + 1)
            for last in range(first, trees + 1)
        )
        fitting = [
            (scheme.entries(rank), scheme)
            for scheme in schemes
            if min(scheme.row_leaf, scheme.column_leaf) >= rank
        ]
        if not fitting:
            continue
        cheapest = min(fitting, key=lambda candidate: candidate[0])
        fewest = min(fewest, cheapest[0])
        if cheapest[0] <= max(fewest, min(_SIMILAR * fewest, shape[0] * shape[1] / 2)):
            best = cheapest[1], rank
        elif cheapest[0] > 1.3 * fewest:
            break  # larger blocks cost more and more to measure
    return best


@dataclass(frozen=True)
class Chain:
    """The factors, and where the rows and columns of the matrix (in tree order) stand in them."""

    architecture: Architecture
    values: list[_Array]
    ranks: list[int]
    rows: Indices
    columns: Indices

    @property
    def nbytes(self) -> int:
        """Bytes of the factors."""
        return sum(values.nbytes for values in self.values)


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
        return Chain(scheme.architecture(ranks), values, ranks, rows, columns)

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


def fitting(entries: _Array, dtype: np.dtype[Any]) -> _Array:
    """Entries in the factors' dtype; an error if that has no place for them."""
    if entries.dtype.itemsize <= dtype.itemsize:
        return entries
    with np.errstate(over="ignore"):
        result: _Array = entries.astype(dtype)
    if not np.isfinite(result).all():
        largest = float(np.abs(entries).max())
        raise ValueError(f"dtype is {dtype}, but entries are as large as {largest:.2e}")
    return result


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


def product_entries(
    architecture: Architecture, values: list[_Array], rows: Indices, columns: Indices
) -> _Array:
    """Entries ``[rows[p], columns[p]]`` of the product of a dense chainable chain's factors.

    All paths from a row to a column meet in r nodes of each interface (docs/guarantees.md): a
    vector of that length goes from left to right. In double precision.
    """
    width = architecture.shape[1]
    patterns, inner = list(architecture), [1, *architecture.ranks, 1]
    result = np.empty(len(rows), np.result_type(values[0].dtype, np.float64))
    step = max(1, BLOCK_BYTES // (16 * max(inner) ** 2))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        row, column = rows[part], columns[part]
        vector = np.ones((len(row), 1), result.dtype)
        for n, (p, factor) in enumerate(zip(patterns, values, strict=True)):
            # The a, d and the parts of b and c that the row and the column fix.
            left, right = inner[n], inner[n + 1]
            row_radix, column_radix = p.b // left, p.c // right
            i = column // (width // p.a)
            f = column // (width // (p.a * column_radix)) % column_radix
            e = row // p.d % row_radix
            j = np.arange(left) * row_radix + e[:, None]
            k = f[:, None] * right + np.arange(right)
            blocks = factor[
                i[:, None, None], j[:, :, None], k[:, None, :], (row % p.d)[:, None, None]
            ]
            vector = np.einsum("pj,pjk->pk", vector, blocks)
        result[part] = vector[:, 0]
    return result


def product_row(
    architecture: Architecture, values: list[_Array], row: int, x: _Array
) -> tuple[_Array, int]:
    """Row `row` of a dense chainable chain's product times the columns of x, in x's dtype.

    Also how many values of the factors it depends on. The last factor's d is 1. In single precision
    sums run from term to term, as the kernels' do.
    """
    inner = [1, *architecture.ranks, 1]
    double = x.dtype == np.result_type(x.dtype, np.float64)
    read = 0
    for n in range(len(values) - 1, -1, -1):
        p = architecture[n]
        radix = p.b // inner[n]
        e = row // p.d % radix
        weights = values[n][:, e::radix, :, row % p.d].astype(x.dtype)
        read += weights.size
        x = x.reshape(p.a, p.c, -1)
        if double:
            x = weights @ x
            continue
        result = np.empty((*weights.shape[:2], x.shape[2]), x.dtype)
        step = max(1, BLOCK_BYTES // (8 * weights[0].size * x.shape[2]))
        for start in range(0, p.a, step):
            part = slice(start, start + step)
            terms = weights[part, :, :, None] * x[part, None]
            result[part] = np.cumsum(terms, axis=2, out=terms)[:, :, -1]
        x = result
    return x.reshape(-1), read
