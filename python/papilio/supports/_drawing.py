"""Pictures of supports: the rectangles of classes, what was peeled, a witness, networks."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

# Pixels on a side, at most.
_PIXELS = 512


@dataclass(frozen=True)
class Drawing:
    """The rectangles of classes on the entries of a product of this shape."""

    shape: tuple[int, int]
    core: Any
    areas: NDArray[np.int64]
    complete: NDArray[np.bool_]

    def draw(self, ax: Any, classes: int) -> Any:
        """The largest classes, each in a colour; where they overlap it is darker."""
        from matplotlib import colormaps

        height, width = (min(size, _PIXELS) for size in self.shape)
        light = np.ones((height, width, 3))
        colours = colormaps["tab20"]
        chosen = np.sort(np.argsort(-self.areas, kind="stable")[:classes])
        for n, p in enumerate(chosen):
            rows = self._pixels(0, p, height)
            cols = self._pixels(1, p, width)
            colour = np.array(colours(n % 20)[:3])
            light[np.ix_(rows, cols)] *= (1 + colour) / 2 if self.complete[p] else colour
        ax.imshow(
            light,
            interpolation="nearest",
            extent=(0, self.shape[1], self.shape[0], 0),
            aspect="auto" if max(self.shape) > 4 * min(self.shape) else "equal",
        )
        return ax

    def _pixels(self, axis: int, p: Any, pixels: int) -> Any:
        """Where the rows (or columns) of a class's rectangle lie in the picture."""
        core = self.core
        of_line = core.col_type() if axis else core.row_type()
        start, index = core.class_col_types() if axis else core.class_row_types()
        lines = np.flatnonzero(np.isin(of_line, index[start[p] : start[p + 1]]))
        return np.unique(lines * pixels // self.shape[axis])


def mark_peeled(ax: Any, peeled: Any) -> None:
    """A cross in the middle of each region that was peeled."""
    for n in itertools.chain.from_iterable(step.regions for step in peeled.order):
        region = peeled.regions[n]
        rows, cols = (np.median(lines) + 0.5 for lines in (region.rows, region.cols))
        ax.plot(cols, rows, "x", color="black", markersize=4)


def mark_ones(ax: Any, limit: Any) -> None:
    """Dots where a witness's limit differs from zero."""
    rows, cols = limit.nonzero()
    ax.plot(cols + 0.5, rows + 0.5, "o", color="black", markersize=5)


def draw_reach(ax: Any, reached: Any) -> None:
    """The entries of a product that some path reaches, in grey, over at most 512 x 512 pixels."""
    part = scipy.sparse.coo_array(reached)
    height, width = (min(size, _PIXELS) for size in part.shape)
    light = np.ones((height, width))
    light[part.row * height // part.shape[0], part.col * width // part.shape[1]] = 0.75
    ax.imshow(
        light,
        cmap="gray",
        vmin=0,
        vmax=1,
        interpolation="nearest",
        extent=(0, part.shape[1], part.shape[0], 0),
        aspect="auto" if max(part.shape) > 4 * min(part.shape) else "equal",
    )


def draw_layers(ax: Any, masks: Sequence[Any], marked: Sequence[Any], edges: int) -> None:
    """A network from its inputs (left) to its outputs; `marked` edges are red.

    `masks`, `marked`: of each layer, outputs x inputs. Of a layer with more than `edges` edges so
    many are drawn, evenly spread, and the marked ones.
    """
    from matplotlib.collections import LineCollection

    for n, (mask, mark) in enumerate(zip(masks, marked, strict=True)):
        part = scipy.sparse.coo_array(mask)
        chosen = np.unique(np.linspace(0, part.nnz - 1, min(edges, part.nnz)).astype(int))
        shape = part.shape
        plain = _lines(n, part.row[chosen], part.col[chosen], shape)
        rows, cols = scipy.sparse.csr_array(mark).nonzero()
        ax.add_collection(LineCollection(plain, colors="0.8", linewidths=0.8, zorder=1))
        ax.add_collection(
            LineCollection(_lines(n, rows, cols, shape), colors="tab:red", linewidths=1.5, zorder=2)
        )
    sizes = [masks[0].shape[1], *(mask.shape[0] for mask in masks)]
    for n, size in enumerate(sizes):
        ax.plot(np.full(size, n), _heights(size), "o", color="black", markersize=4, zorder=3)
    ax.set_xticks(range(len(sizes)), [str(size) for size in sizes])
    ax.set_yticks([])


def _heights(size: int) -> NDArray[np.float64]:
    """Nodes of a layer from top to bottom."""
    heights: NDArray[np.float64] = 1 - (np.arange(size) + 0.5) / size
    return heights


def _lines(n: int, rows: Any, cols: Any, shape: tuple[int, int]) -> Any:
    """From layer n's nodes `cols` to `rows` of the next one."""
    ends = np.empty((len(rows), 2, 2))
    ends[:, 0, 0], ends[:, 1, 0] = n, n + 1
    ends[:, 0, 1], ends[:, 1, 1] = _heights(shape[1])[cols], _heights(shape[0])[rows]
    return ends
