"""How far a long call is: a bar, or a function that is called with the fraction done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from .checks import shown

Progress = bool | Callable[[float], object]


def share_of(
    report_progress: Callable[[float], object], n: int, count: int
) -> Callable[[float], object]:
    """What to call in the n-th of `count` equal shares of the work, with the fraction of it."""
    return lambda fraction: report_progress((n + fraction) / count)


def silent(fraction: float) -> None:
    """What to call where nobody asks."""
    return


@contextmanager
def reporter(progress: Progress, title: str) -> Iterator[Callable[[float], object] | None]:
    """What to call with the fraction done, or None; a bar shows the title.

    Whatever was done in fewer steps than were expected ends with 1, too.
    """
    if callable(progress):
        told = 0.0

        def tell(fraction: float) -> None:
            nonlocal told
            told = fraction
            progress(fraction)

        yield tell
        if told != 1:
            progress(1.0)
    elif not isinstance(progress, bool | np.bool_):
        raise TypeError(f"progress is {shown(progress)}, expected True, False or a callable")
    elif progress:
        try:
            from tqdm import tqdm
        except ImportError:
            raise ImportError("progress=True needs tqdm: pip install 'papilio[progress]'") from None
        layout = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
        with tqdm(total=1.0, desc=title, delay=1.0, bar_format=layout, leave=False) as bar:
            yield lambda fraction: bar.update(max(0.0, fraction - bar.n))
    else:
        yield None
