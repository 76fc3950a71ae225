"""Pictures of supports: the rectangles of classes, what was peeled, a witness."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
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
