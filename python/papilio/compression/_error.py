"""How far a chain of factors is from a matrix: exactly, or a bound from samples that holds.

docs/compress.md proves the bounds. All sizes here are squares of entries of a scaled matrix (see
`_entries.Entries`), so that none overflows or vanishes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from .._chains.architecture import Architecture
from .._util.dtypes import rounding_from_single
from ._clustering import Indices, bounds
from ._entries import BLOCK_BYTES, Entries
from ._product import Chain, Vectors
from ._random import Streams, Use
from ._scout import areas, quarters

_Array = np.ndarray[Any, Any]
CONFIDENCE = 0.99
_SCOUTS = 8  # entries of each box that the boxes are cut by
_GRID = 8  # boxes on each side that scouting starts from
_ROUNDS = 16  # of cutting: boxes of 2^-16 of a side, that is single entries up to n = 2^19
_CUTS = 8  # boxes that are cut in each round
_SAMPLES = 16000  # entries that the bound is made of,
_CLOSER = 4, 16  # times as many where it is far above the error: 2 and 4 times nearer to it
_NEARER = 0.6  # of the distance that 4 times as many should leave: they seldom do exactly
_UNSEEN = 4.0  # no weighted error is larger than this times the largest one sampled
_CLEAR = 0.9  # of the squared norm: a bound that is no smaller will do
_NORMED_BYTES = 1 << 30  # of factors whose norm is not computed
_LEAVES, _FEWEST_LEAVES = 24, 4  # clusters of rows that rounding is measured on,
_VECTORS = 16, 4  # with so many vectors, or so many for factors of more values
_READ = 1 << 23  # than this, of which no more are read


@dataclass(frozen=True)
class Error:
    """What is known of ``||A - F|| / ||A||``.

    Attributes
    ----------
    estimate : float
        What it is, or about is.
    bound : float
        What it is at most, with this confidence.
    confidence : float
        1 if every entry was compared.
    samples : int
        Entries, or vectors, that were compared.
    rounding : float
        The part of both that is the rounding of products.
    """

    estimate: float
    bound: float
    confidence: float
    samples: int
    rounding: float


def relative(error: float, size: float) -> float:
    """The quotient of two norms: 0 for 0 / 0."""
    if error == 0:
        return 0.0
    return error / size if size > 0 else math.inf


def mean_bounds(values: _Array, largest: float, failure: float) -> tuple[float, float]:
    """Bounds from below and above on the mean that independent samples in 0..largest have.

    The empirical Bernstein bound; each fails with a probability of at most `failure`.

    References
    ----------
    A. Maurer, M. Pontil, "Empirical Bernstein bounds and sample variance penalization", COLT 2009.
    """
    count, mean = len(values), float(values.mean())
    log = math.log(2 / failure)
    away = math.sqrt(2 * float(values.var(ddof=1)) * log / count)
    away += 7 * largest * log / (3 * (count - 1))
    return max(0.0, mean - away), mean + away


def smallest_share(normals: int, failure: float) -> float:
    """q such that ``sum ||E g||^2 >= q normals ||E||^2``, for any E, but for this probability.

    `normals` counts the independent standard normal numbers in each coordinate of all g. For every
    spectrum ``P(sum < q) <= (q e^(1 - q))^(normals / 2)`` for q < 1.
    """
    wanted = 2 * math.log(failure) / normals
    low, high = 0.0, 1.0
    for _ in range(60):
        q = (low + high) / 2
        if q > 0 and math.log(q) + 1 - q > wanted:
            high = q
        else:
            low = q
    return low


def rounding_of(chain: Chain, weights: _Array, streams: Streams, look: int) -> float:
    """Root mean square of the rounding errors of products, relative to that of the products.

    Gaussian vectors are multiplied by some clusters of rows in single and in double precision, by
    the same factors in single precision: what these differ by is the rounding of single precision,
    and scales with the unit roundoff. Clusters are those of rows drawn with probabilities
    proportional to `weights`, their squared norms, so that the mean of relative squares is that of
    the whole.
    """
    total = float(weights.sum())
    if total == 0:
        return 0.0
    count = _VECTORS[0] if chain.size <= _READ else _VECTORS[1]
    stream = streams.at(Use.ROUNDING_ROWS, look)
    x = Vectors(streams, look, count)
    relatives: list[float] = []
    read = 0
    while len(relatives) < _LEAVES and (read < _READ or len(relatives) < _FEWEST_LEAVES):
        row = int(chain.rows[stream.choice(len(weights), p=weights / total)])
        found, exact = chain.leaf_products(row, x)
        size = float((np.abs(exact) ** 2).sum())
        relatives.append(float((np.abs(found - exact) ** 2).sum()) / size if size > 0 else 0.0)
        read += chain.row_size
    return rounding_from_single(chain.dtype, math.sqrt(sum(relatives) / len(relatives)))


def expected_rounding(architecture: Architecture, dtype: np.dtype[Any]) -> float:
    """About what `rounding_of` finds, before anything is built.

    A stage adds up c products for each output. Each addition rounds the sum so far by about 0.21
    eps of it in root mean square (half a unit in the last place at most, evenly spread), whose
    square is on average half of that of the whole: 0.15 eps sqrt(c), sqrt(2) more where complex
    products are two additions each, and 1.5 more for other orders. The identities in the blocks
    add nothing: of `papilio.kernels.nudft` with 2^12 to 2^18 points 0.25 to 0.3 was found for 0.32.
    """
    additions = sum(pattern.c for pattern in architecture)
    of_one = 0.19 if dtype.kind == "f" else 0.27
    return of_one * float(np.finfo(dtype).eps) * math.sqrt(additions)


def together(away: float, rounding: float, weights: _Array) -> float:
    """What an error of the factors and one of rounding are at most together, for these rows.

    Rounding of one row knows nothing of that of another, nor of the error: its component along the
    error is, but for 1e-4, within 4 times the root of the number of rows that matter; of a single
    row, all may lie along it.
    """
    squares = float((weights**2).sum())
    rows = float(weights.sum()) ** 2 / squares if squares > 0 else 1.0
    along = min(1.0, 4 / math.sqrt(rows))
    return math.sqrt(away**2 + rounding**2 + 2 * along * away * rounding)


def exact_error(chain: Chain, look: int, *, source: Entries, streams: Streams) -> Error:
    """Compare all entries, about `BLOCK_BYTES` at a time; the look-th look."""
    m, n = source.shape
    architecture = chain.factors.architecture
    width, values = architecture[-1].c, chain.factors.stored
    order = np.argsort(chain.columns, kind="stable")
    limits = np.searchsorted(chain.columns[order], np.arange(architecture[-1].a + 1) * width)
    error = 0.0
    sizes = np.zeros(m)
    for leaf in range(architecture[-1].a):
        of_leaf = order[limits[leaf] : limits[leaf + 1]]
        found = leaf_columns(architecture, values, leaf)
        step = max(1, BLOCK_BYTES // (16 * max(1, len(of_leaf))))
        for start in range(0, m, step):
            rows = np.arange(start, min(start + step, m))
            exact = source(rows[None], of_leaf[None])[0]
            some = found[chain.rows[rows][:, None], chain.columns[of_leaf] - leaf * width]
            error += float((np.abs(exact - some) ** 2).sum())
            sizes[rows] += np.square(np.abs(exact), dtype=np.float64).sum(axis=1)
    away = relative(math.sqrt(error), math.sqrt(sizes.sum()))
    rounding = rounding_of(chain, sizes, streams, look)
    both = together(away, rounding, sizes)
    return Error(both, both, 1.0, m * n, rounding)


def leaf_columns(architecture: Architecture, values: Sequence[_Array], leaf: int) -> _Array:
    """The columns of the last factor's block `leaf`, of all factors' product; in double precision.

    Every factor widens the range of rows that aren't zero, to whole blocks of its own.
    """
    last = values[-1][leaf]
    kind = np.result_type(last.dtype, np.float64)
    p = architecture[-1]
    columns = last.transpose(0, 2, 1)[:, :, :, None] * np.eye(p.d)[:, None, :]
    block = columns.reshape(p.b * p.d, p.c * p.d).astype(kind)
    start = leaf * p.b * p.d
    for p, factor in zip(reversed(list(architecture)[:-1]), reversed(values[:-1]), strict=True):
        i, inside = divmod(start, p.c * p.d)
        first, count = inside // p.d, len(block) // p.d
        weights = factor[i, :, first : first + count].transpose(2, 0, 1).astype(kind, order="C")
        inner = np.ascontiguousarray(block.reshape(count, p.d, -1).transpose(1, 0, 2))
        block = (weights @ inner).transpose(1, 0, 2).reshape(p.b * p.d, -1)
        start = i * p.b * p.d
    result: _Array = block
    return result


@dataclass
class _Boxes:
    """Boxes of the matrix: rows low..high and columns low..high, what scouts saw in each."""

    limits: Indices  # (boxes, 4): first row, end, first column, end
    errors: _Array  # means of squares
    sizes: _Array

    def shares(self) -> tuple[_Array, _Array, _Array]:
        """Of the area, of the errors and of the sizes, in each box."""
        area = areas(self.limits)
        return _normed(area), _normed(self.errors * area), _normed(self.sizes * area)


def _normed(weights: _Array) -> _Array:
    total = weights.sum()
    return weights / total if total > 0 else np.full(len(weights), 1 / len(weights))


class SampledError:
    """Bounds on the error of chains, one look after another, that all hold together.

    Look k may fail with probability ``(1 - CONFIDENCE) / 2^k``, so that any of them does with less
    than 1 %. Each look has samples of its own: scouts cut the matrix into boxes, finer where
    entries and errors are large, and independent entries of the boxes make the bound. The chains
    have odd looks, one each, and even ones where they are looked at closer.
    """

    def __init__(self, source: Entries, streams: Streams) -> None:
        self._source, self._streams = source, streams

    def __call__(self, chain: Chain, number: int) -> Error:
        """What is known of the number-th chain."""
        return self._seen(chain, 2 * number - 1, _SAMPLES)

    def closer(self, chain: Chain, number: int, seen: Error, tol: float) -> Error:
        """The same from more samples, as the bound that was seen needs to be below tol."""
        few = seen.estimate + _NEARER * (seen.bound - seen.estimate) <= tol
        return self._seen(chain, 2 * number, _CLOSER[0 if few else 1] * _SAMPLES)

    def _seen(self, chain: Chain, look: int, samples: int) -> Error:
        self._rng = self._streams.at(Use.LOOK, look)
        failure = (1 - CONFIDENCE) / 2**look
        boxes = self._scouted(chain)
        area, errors, sizes = boxes.shares()
        chances = 0.25 * area + 0.5 * errors + 0.25 * sizes
        chances /= chances.sum()
        box = self._rng.choice(len(chances), size=samples, p=chances)
        places = self._inside(boxes.limits[box])
        error, size = self._compare(chain, places)
        weights = areas(boxes.limits)[box] / chances[box]
        error *= weights
        size *= weights
        _, most = mean_bounds(error, _UNSEEN * float(error.max()), failure / 2)
        away = relative(math.sqrt(float(error.mean())), math.sqrt(float(size.mean())))
        of_rows = np.bincount(places[0], weights=size, minlength=self._source.shape[0])
        rounding = rounding_of(chain, of_rows, self._streams, look)
        bound = relative(math.sqrt(most), self._norm(chain, math.sqrt(most), size, failure / 2))
        bound = together(bound, rounding, of_rows)
        return Error(math.hypot(away, rounding), bound, CONFIDENCE, samples, rounding)

    def _norm(self, chain: Chain, error: float, sizes: _Array, failure: float) -> float:
        """What the norm is at least: from samples, or from that of the factors if it is better."""
        least, _ = mean_bounds(sizes, _UNSEEN * float(sizes.max()), failure)
        norm = math.sqrt(least)
        values = chain.size * chain.dtype.itemsize
        if least > _CLEAR * float(sizes.mean()) or values > _NORMED_BYTES:
            return norm
        # ||A|| >= ||F|| - ||A - F||.
        return max(norm, chain.norm() - error)

    def _scouted(self, chain: Chain) -> _Boxes:
        m, n = self._source.shape
        rows, columns = bounds(m, min(m, _GRID)), bounds(n, min(n, _GRID))
        first = np.array(
            [
                (top, bottom, left, right)
                for top, bottom in pairwise(rows)
                for left, right in pairwise(columns)
            ]
        )
        boxes = self._looked_into(chain, first)
        for _ in range(_ROUNDS):
            area, errors, sizes = boxes.shares()
            worth = np.where(areas(boxes.limits) > 1, errors + sizes + area / 16, 0.0)
            cut = np.argsort(-worth, kind="stable")[:_CUTS]
            cut = cut[worth[cut] > 0]
            if not len(cut):
                break
            parts = self._looked_into(chain, quarters(boxes.limits[cut]))
            keep = np.ones(len(worth), bool)
            keep[cut] = False
            boxes = _Boxes(
                np.concatenate([boxes.limits[keep], parts.limits]),
                np.concatenate([boxes.errors[keep], parts.errors]),
                np.concatenate([boxes.sizes[keep], parts.sizes]),
            )
        return boxes

    def _looked_into(self, chain: Chain, limits: Indices) -> _Boxes:
        # Corners, too: in the order of clusters, points that lie alone come first or last.
        top, bottom, left, right = limits.T
        i, j = (place.reshape(-1, _SCOUTS) for place in self._inside(np.repeat(limits, _SCOUTS, 0)))
        i = np.column_stack([i, top, top, bottom - 1, bottom - 1])
        j = np.column_stack([j, left, right - 1, left, right - 1])
        error, size = self._compare(chain, (i.ravel(), j.ravel()))
        return _Boxes(limits, error.reshape(i.shape).mean(1), size.reshape(i.shape).mean(1))

    def _inside(self, limits: Indices) -> tuple[Indices, Indices]:
        """A uniform entry of each box."""
        top, bottom, left, right = limits.T
        return self._rng.integers(top, bottom), self._rng.integers(left, right)

    def _compare(self, chain: Chain, places: tuple[Indices, Indices]) -> tuple[_Array, _Array]:
        """Squares of the errors and of the entries there."""
        i, j = places
        exact = self._source(i[:, None], j[:, None])[:, 0, 0]
        found = chain.entries(i, j)
        return np.abs(exact - found) ** 2, np.square(np.abs(exact), dtype=np.float64)
