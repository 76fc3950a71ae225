"""Matplotlib, which is optional."""

from __future__ import annotations

from typing import Any

import numpy as np

from .checks import shown

FLOOR = float(np.finfo(float).eps) / 16  # in place of zero, on axes of logarithms


def _pyplot() -> Any:
    try:
        from matplotlib import pyplot
    except ImportError:
        raise ImportError("plot needs Matplotlib: pip install 'papilio[plot]'") from None
    return pyplot


def new_axes(ax: Any) -> Any:
    """Return `ax`, or the axes of a new figure; ImportError that says what to install."""
    pyplot = _pyplot()
    return pyplot.subplots()[1] if ax is None else _checked(ax, "ax")


def row_of_axes(count: int, axes: Any) -> list[Any]:
    """Return `axes` as a list of `count`, or those of a new figure, side by side."""
    pyplot = _pyplot()
    if axes is None:
        size = (2.4 * count + 0.6, 2.8)
        return list(
            pyplot.subplots(1, count, figsize=size, squeeze=False, layout="compressed")[1][0]
        )
    given = list(np.ravel(np.asarray(axes, dtype=object)))
    if len(given) != count:
        raise ValueError(f"axes has {len(given)} entries, expected {count}: one for each picture")
    return [_checked(ax, f"axes[{n}]") for n, ax in enumerate(given)]


def _checked(ax: Any, name: str) -> Any:
    from matplotlib.axes import Axes

    if not isinstance(ax, Axes):
        raise TypeError(f"{name} is {shown(ax)}, expected Axes of Matplotlib")
    return ax


def close(figure: Any) -> None:
    """Forget a figure that was drawn: pyplot keeps all that it made."""
    _pyplot().close(figure)
