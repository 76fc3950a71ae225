"""Pictures of operators: the magnitudes of the matrix, and of the factors where there are some."""

from __future__ import annotations

import html
from typing import Any

import numpy as np

from .._chains import drawing
from .._util.arrays import column_ranges
from .._util.drawing import cells_of
from .._util.plotting import row_of_axes

_CELLS = 256  # along the longer side of a picture

#: (title, magnitudes, rows and columns of the matrix) of one picture.
Picture = tuple[str, "np.ndarray[Any, Any]", tuple[int, int]]


def matrix_picture(F: Any) -> Picture:
    """Magnitudes of entries at evenly spread rows and columns: of small matrices, of all."""
    rows, columns = (drawing.spread(size, _CELLS) for size in F.shape)
    seen = np.empty((rows.size, columns.size))
    dtype = F._unit_dtype()
    for start, stop in column_ranges((F.shape[0] + F.shape[1], columns.size), F.dtype.itemsize):
        unit = np.zeros((F.shape[1], stop - start), dtype)
        unit[columns[start:stop], np.arange(stop - start)] = 1
        seen[:, start:stop] = np.abs(F.apply(unit)[rows])
    return "matrix", seen, F.shape


def factor_pictures(F: Any) -> list[Picture]:
    """Magnitudes of the factors, without permutations."""
    pictures: list[Picture] = []
    for values, pattern in zip(F.factors, F.architecture, strict=True):
        sizes = drawing.sizes_of(pattern)
        cells = drawing.magnitudes(sizes, cells_of(pattern.shape, _CELLS), values)
        pictures.append((str(sizes), cells, pattern.shape))
    return pictures


def made_of(F: Any) -> list[Any]:
    """What an operator multiplies by, left to right; nothing for what is made of no others."""
    inner = [getattr(F, name, None) for name in ("butterfly", "operator", "on_pairs")]
    parts = [*getattr(F, "parts", ()), *(term[2] for term in getattr(F, "terms", ()))]
    return parts or [part for part in inner if part is not None]


def _inside(F: Any) -> str:
    of_grid = dict.fromkeys(getattr(F, "transforms", ()))  # axes of one length share theirs
    return "".join(
        part._repr_html_() if isinstance(part, Drawn) else _inside(part)
        for part in made_of(F) or of_grid
    )


class Drawn:
    """What has pictures."""

    def _repr_html_(self) -> str:
        """For notebooks: what it is, and small drawings of the chains that it is made of."""
        return f"<pre>{html.escape(repr(self))}</pre>{_inside(self)}"

    def plot(self, axes: Any = None) -> list[Any]:
        """Draw the magnitudes of the matrix, and before it those of its factors if it has some.

        Of a matrix with more than 256 rows or columns, entries at 256 evenly spread ones are
        shown (it takes so many products), of a large factor the largest of evenly spread entries.
        Permutations of a `Butterfly` show in the matrix only.

        Parameters
        ----------
        axes : sequence of matplotlib Axes, optional
            One for each picture; a new figure otherwise.

        Returns
        -------
        list of matplotlib Axes

        Raises
        ------
        ImportError
            Without Matplotlib.
        ValueError
            If `axes` are another number than the pictures.

        Examples
        --------
        >>> import papilio as pp
        >>> axes = pp.transforms.dft(32).plot()  # doctest: +SKIP
        """
        pictures = self._pictures()
        axes = row_of_axes(len(pictures), axes)
        for ax, (title, cells, size) in zip(axes, pictures, strict=True):
            drawing.draw(ax, cells, size, title, vmin=0)
        return list(axes)

    def _pictures(self) -> list[Picture]:
        return [matrix_picture(self)]
