"""Pictures of patterns and chains: which cells of a coarse grid hold entries, and how large."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .._util.drawing import CELLS, cells_of, row_of, svg
from .._util.plotting import new_axes, row_of_axes

Sizes = tuple[int, int, int, int]  # a, b, c, d of a pattern

# Rows that a row of cells is seen by, and entries of each: a picture of any matrix costs at most
# _ROWS * _ENTRIES entries for each row of cells.
_ROWS, _ENTRIES = 16, 512
# Factors of a chain in a small picture: the middle of a longer one isn't shown.
_SHOWN = 12


def spread(size: int, count: int) -> np.ndarray[Any, Any]:
    """At most `count` of the indices below `size`, spread evenly, the first and last among them."""
    if size <= count:
        return np.arange(size)
    return np.linspace(0, size - 1, count).astype(np.int64)


def magnitudes(
    sizes: Sizes,
    shape: tuple[int, int],
    values: np.ndarray[Any, Any] | None = None,
) -> np.ndarray[Any, Any]:
    """The largest magnitude in each cell of a grid; NaN where the pattern has no entry.

    Of large factors, evenly spread entries are looked at; of small ones all. Without `values`,
    entries count as ones.
    """
    a, b, c, d = sizes
    rows, columns = a * b * d, a * c * d
    row = spread(rows, _ROWS * shape[0])[:, None]
    k = spread(c, _ENTRIES)[None, :]
    i, j, l = row // (b * d), row // d % b, row % d
    column = (i * c + k) * d + l
    size = np.ones(column.shape)
    if values is not None:
        tied_i = i if values.shape[0] > 1 else 0
        tied_l = l if values.shape[3] > 1 else 0
        size = np.broadcast_to(np.abs(values[tied_i, j, k, tied_l]), column.shape)
    cells = np.full(shape, -1.0)
    at = (np.broadcast_to(row * shape[0] // rows, column.shape), column * shape[1] // columns)
    np.maximum.at(cells, at, size)
    return np.where(cells < 0, np.nan, cells)


def shape_of(sizes: Sizes) -> tuple[int, int]:
    """Rows and columns of a factor."""
    a, b, c, d = sizes
    return a * b * d, a * c * d


def picture(sizes: Sizes) -> str:
    """A small SVG of a pattern."""
    return svg(~np.isnan(magnitudes(sizes, cells_of(shape_of(sizes), CELLS))))


def pattern_html(sizes: Sizes, facts: str) -> str:
    """What a notebook shows of a pattern."""
    rows, columns = shape_of(sizes)
    return row_of([(picture(sizes), f"{rows} x {columns}, {math.prod(sizes)} entries")], facts)


def chain_html(chain: Iterable[Iterable[int]], facts: str) -> str:
    """What a notebook shows of a chain: its patterns side by side."""
    patterns = [sizes_of(pattern) for pattern in chain]
    half = _SHOWN // 2
    left_out = len(patterns) - 2 * half if len(patterns) > _SHOWN else 0
    shown = [*patterns[:half], *patterns[-half:]] if left_out else patterns
    pictures = [(picture(sizes), str(sizes)) for sizes in shown]
    if left_out:
        pictures.insert(half, ("&#8943;", f"{left_out} more"))
    return row_of(pictures, facts)


def sizes_of(pattern: Iterable[int]) -> Sizes:
    """The sizes of a pattern, as a tuple."""
    a, b, c, d = pattern
    return a, b, c, d


def draw(
    ax: Any, cells: np.ndarray[Any, Any], size: tuple[int, int], title: str, **options: Any
) -> Any:
    """Draw a grid of magnitudes on axes that count rows and columns of the matrix."""
    rows, columns = size
    options = {"cmap": "viridis_r", "interpolation": "nearest", **options}
    drawn = ax.imshow(cells, extent=(0, columns, rows, 0), aspect="equal", **options)
    ax.set_title(title, fontsize="small")
    ax.tick_params(labelsize="x-small")
    return drawn


def plot_pattern(sizes: Sizes, ax: Any, cells: int = 512) -> Any:
    """Draw a pattern's support on `ax`, or on the axes of a new figure; the axes."""
    ax = new_axes(ax)
    shape = shape_of(sizes)
    support = magnitudes(sizes, cells_of(shape, cells))
    draw(ax, support, shape, str(sizes), cmap="Blues", vmin=0, vmax=1.3)
    return ax


def plot_chain(patterns: Sequence[Iterable[int]], axes: Any) -> list[Any]:
    """Draw the patterns side by side on `axes`, or on those of a new figure; the axes."""
    drawn = row_of_axes(len(patterns), axes)
    for ax, pattern in zip(drawn, patterns, strict=True):
        plot_pattern(sizes_of(pattern), ax, cells=256)
    return drawn
