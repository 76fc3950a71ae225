"""Cuts: where a chain can be divided among parts that exchange one vector."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .._util.checks import shown
from .architecture import Architecture


@dataclass(frozen=True)
class Cut:
    """A place between two factors, and how both sides fall apart there.

    The vector between them is an array of shape ``(column_groups, width, row_groups)``. The
    factors on its right are block diagonal over the first axis, those on its left act on each
    index of the last axis by itself: the index modulo `row_groups` passes through all of them.

    Attributes
    ----------
    after : int
        How many factors stand on its left.
    column_groups, width, row_groups : int
        The shape of the vector between.
    """

    after: int
    column_groups: int
    width: int
    row_groups: int

    @property
    def interface(self) -> int:
        """Entries of the vector between."""
        return self.column_groups * self.width * self.row_groups

    @property
    def most(self) -> int:
        """How many parts can share the chain."""
        return min(self.column_groups, self.row_groups)


def cuts(architecture: Architecture) -> list[Cut]:
    """All cuts of a chain, left to right.

    Examples
    --------
    >>> import papilio as pp
    >>> from papilio._chains.cuts import cuts
    >>> for cut in cuts(pp.Architecture.square_dyadic(16)):
    ...     print(cut)
    Cut(after=1, column_groups=2, width=1, row_groups=8)
    Cut(after=2, column_groups=4, width=1, row_groups=4)
    Cut(after=3, column_groups=8, width=1, row_groups=2)
    """
    patterns = list(architecture)
    found = []
    for after in range(1, len(patterns)):
        size = patterns[after].shape[0]
        column_groups = math.gcd(*(p.a for p in patterns[after:]))
        # Chains whose neighbours aren't chainable pairs may need fewer groups than d has.
        row_groups = math.gcd(size // column_groups, *(p.d for p in patterns[:after]))
        width = size // (column_groups * row_groups)
        found.append(Cut(after, column_groups, width, row_groups))
    return found


def most_parts(architecture: Architecture) -> int:
    """How many parts can share a chain; 1 if it can't be cut."""
    return max((cut.most for cut in cuts(architecture)), default=1)


def best_cut(architecture: Architecture, parts: int) -> Cut:
    """The cut with the shortest vector between for so many parts; of several, that of most groups.

    Raises
    ------
    ValueError
        If there is none; the message says for how many parts there is one.

    Examples
    --------
    >>> import papilio as pp
    >>> from papilio._chains.cuts import best_cut
    >>> best_cut(pp.Architecture.square_dyadic(16), 3).after
    2
    """
    fitting = [cut for cut in cuts(architecture) if cut.most >= parts]
    if not fitting:
        raise ValueError(
            f"a chain of {len(architecture)} factors of shape {architecture.shape} can be shared "
            f"by at most {most_parts(architecture)}, but {shown(parts)} want a part: the factors "
            "on the right of a cut need a common divisor of their a, those on its left one of "
            "their d, "
            "both at least that large"
        )
    return min(fitting, key=lambda cut: (cut.interface, -cut.most))
