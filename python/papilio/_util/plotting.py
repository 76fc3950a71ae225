"""Matplotlib, which is optional."""

from __future__ import annotations

from typing import Any


def new_axes(ax: Any) -> Any:
    """Return `ax`, or the axes of a new figure; ImportError that says what to install."""
    try:
        from matplotlib import pyplot
    except ImportError:
        raise ImportError("plot needs Matplotlib: pip install 'papilio[plot]'") from None
    return pyplot.subplots()[1] if ax is None else ax
