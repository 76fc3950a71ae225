"""Pictures of matrices as SVG, for notebooks: nothing but text is needed to show them."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

#: Cells of a small picture along its longer side: more can't be told apart at its size.
CELLS = 32
_PIXELS = 96


def cells_of(shape: Sequence[int], most: int) -> tuple[int, int]:
    """Rows and columns of a picture of a matrix, at most `most`, in the matrix's proportions."""
    scale = min(1.0, most / max(shape))
    rows, columns = (min(size, max(1, round(size * scale))) for size in shape)
    return rows, columns


def svg(marked: np.ndarray[Any, Any]) -> str:
    """Return a drawing in which the marked cells of a grid are filled.

    Examples
    --------
    >>> import numpy as np
    >>> svg(np.eye(2, dtype=bool)).count("h1v1h-1z")
    2
    """
    rows, columns = marked.shape
    runs = []
    for row in range(rows):
        edges = np.flatnonzero(np.diff(np.concatenate(([False], marked[row], [False]))))
        runs += [
            f"M{start} {row}h{stop - start}v1h-{stop - start}z"
            for start, stop in edges.reshape(-1, 2)
        ]
    scale = _PIXELS / max(rows, columns)
    return (
        f'<svg width="{max(8, round(columns * scale))}" height="{max(8, round(rows * scale))}" '
        f'viewBox="0 0 {columns} {rows}" preserveAspectRatio="none" '
        'style="border:1px solid currentColor" role="img">'
        f'<path d="{"".join(runs)}" fill="currentColor"/></svg>'
    )


def row_of(pictures: Iterable[tuple[str, str]], facts: str) -> str:
    """Return HTML: facts, and below them pictures side by side, each with its words below."""
    cells = "".join(
        '<span style="display:inline-block;margin:4px;text-align:center;vertical-align:top">'
        f"{picture}<br><small>{html.escape(words)}</small></span>"
        for picture, words in pictures
    )
    return f"<div><code>{html.escape(facts)}</code><br>{cells}</div>"
