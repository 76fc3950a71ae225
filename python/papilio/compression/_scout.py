"""Where a matrix has its largest entries: boxes that are cut where most of its norm is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ._clustering import Indices, bounds
from ._entries import Entries, sizes

_CUTS = 8  # boxes that are cut at a time
_SCOUTED = 12  # halvings of the whole matrix on the way to its largest entries
_HOT = 32  # places of large entries that are remembered


class Scout:
    """Finds where a matrix has its largest entries, from a few thousand of them.

    Boxes are cut in four where what was sampled of them says that most of the norm is. The places
    are those of the largest entries seen, and single entries of the boxes that weigh most.
    """

    def __init__(self, source: Entries, rng: np.random.Generator) -> None:
        m, n = source.shape
        if source.whole:
            every = np.abs(source(np.arange(m)[None], np.arange(n)[None])[0]).ravel()
            largest = largest_of(every, _HOT)
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
            cut = np.argsort(-np.where(areas(boxes) > 1, weights, 0.0), kind="stable")[:_CUTS]
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
        source.scale_by(float(seen.max()))

    @staticmethod
    def _seen(
        source: Entries, boxes: Indices, rng: np.random.Generator
    ) -> tuple[Indices, NDArray[np.float64]]:
        """The corners of each box and four random entries: places and sizes."""
        top, bottom, left, right = boxes.T
        i = np.stack([top, top, bottom - 1, bottom - 1, *rng.integers(top, bottom, (4, len(top)))])
        j = np.stack([left, right - 1, left, right - 1, *rng.integers(left, right, (4, len(top)))])
        found = sizes(source(i.reshape(-1, 1), j.reshape(-1, 1))[:, 0, 0])
        return np.stack([i.T, j.T], axis=-1), found.reshape(i.shape).T


def largest_of(values: NDArray[np.float64], count: int) -> Indices:
    """Where the largest `count` values are (all if there are fewer), the largest first.

    A piece at a time: of millions of equal values a partition takes half a second, and nothing
    interrupts it. Of equal ones, some of each piece.
    """
    piece = 1 << 16
    found = []
    for begin in range(0, values.size, piece):
        here = values[begin : begin + piece]
        some = min(count, here.size)
        found.append(begin + np.sort(np.argpartition(here, here.size - some)[-some:]))
    candidates = np.array([own[n] for n in range(count) for own in found if n < own.size])
    chosen: Indices = candidates[np.argsort(-values[candidates], kind="stable")[:count]]
    return chosen


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
