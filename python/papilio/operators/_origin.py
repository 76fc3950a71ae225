"""Origin: the file that a mapped butterfly lies in, by which its copies find it again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary


@dataclass(frozen=True)
class Origin:
    """Which butterfly of which file.

    Attributes
    ----------
    path : str
        Absolute.
    digest : str
        Of the file's content.
    place : int
        Of all butterflies that the file has, in the order in which they are read.
    """

    path: str
    digest: str
    place: int


#: What is mapped in this process, as long as it is in use: copies share it and what is packed.
SHARED: WeakValueDictionary[Origin, Any] = WeakValueDictionary()

_loader: list[Callable[[str], Any]] = []


def loads(load: Callable[[str], Any]) -> Callable[[str], Any]:
    """Mark the function that maps all butterflies of a file, which then are in `SHARED`."""
    _loader[:] = [load]
    return load


def found(origin: Origin) -> Any:
    """What lies there, mapped again if it isn't in this process.

    Raises
    ------
    ValueError
        If another operator is in that place now.
    """
    shared = SHARED.get(origin)
    if shared is None:
        kept = _loader[0](origin.path)  # holds what it maps until it is found
        shared = SHARED.get(origin)
        del kept
    if shared is None:
        raise ValueError(
            f"{origin.path} isn't the file any more that this operator was mapped from: its digest "
            f"isn't {origin.digest}"
        )
    return shared
