"""Chain: the algebra of neighbouring patterns."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from typing import Any, Self, overload

import numpy as np

from .. import _core
from .._util.checks import items_of, length, shown
from . import drawing
from .pattern import Pattern


class Chain(Sequence[Pattern]):
    """A sequence of patterns each of which fits the next: what `Architecture` computes with."""

    __slots__ = ("_patterns",)
    _patterns: tuple[Pattern, ...]

    def __init__(self, patterns: Iterable[Pattern | Sequence[int]]) -> None:
        entries = items_of(patterns, "patterns", "a sequence of (a, b, c, d)")
        chain: list[Pattern] = []
        for n, entry in enumerate(entries):
            if isinstance(entry, Pattern):
                chain.append(entry)
                continue
            try:
                a, b, c, d = entry
            except (TypeError, ValueError):
                raise ValueError(
                    f"patterns[{n}] is {shown(entry)}, expected (a, b, c, d)"
                ) from None
            chain.append(Pattern(a, b, c, d))
        if not chain:
            raise ValueError("patterns is empty, expected at least one pattern")
        for n, (p, q) in enumerate(itertools.pairwise(chain)):
            if p.shape[1] != q.shape[0]:
                raise ValueError(
                    f"patterns[{n}] = {p} has {p.shape[1]} columns but "
                    f"patterns[{n + 1}] = {q} has {q.shape[0]} rows"
                )
        if chain[0].shape[0] * chain[-1].shape[1] > 2**63 - 1:
            raise ValueError("patterns make a matrix whose number of entries overflows 64 bits")
        object.__setattr__(self, "_patterns", tuple(chain))

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("an Architecture is immutable")

    @property
    def patterns(self) -> tuple[Pattern, ...]:
        """The patterns, left to right."""
        return self._patterns

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the product."""
        return self._patterns[0].shape[0], self._patterns[-1].shape[1]

    @property
    def nnz(self) -> int:
        """Number of entries of all factors together."""
        return sum(p.nnz for p in self._patterns)

    @property
    def chain_failure(self) -> str:
        """Which pair isn't chainable and why; empty if all are chainable."""
        for n, (p, q) in enumerate(itertools.pairwise(self._patterns)):
            reason = p.chain_failure(q)
            if reason:
                return f"patterns {n} and {n + 1} ({tuple(p)}, {tuple(q)}): {reason}"
        return ""

    @property
    def is_chainable(self) -> bool:
        """Whether all neighbours are chainable pairs, as `factorize` needs."""
        return not self.chain_failure

    def _require_chainable(self) -> None:
        if self.chain_failure:
            raise ValueError(f"architecture is not chainable: {self.chain_failure}")

    @property
    def ranks(self) -> tuple[int, ...]:
        """The rank at each split; ValueError if the architecture isn't chainable."""
        self._require_chainable()
        return tuple(p.rank(q) for p, q in itertools.pairwise(self._patterns))

    @property
    def product(self) -> Pattern:
        """The product pattern; ValueError if the architecture isn't chainable."""
        self._require_chainable()
        return reduce(lambda p, q: p * q, self._patterns)

    @property
    def is_redundant(self) -> bool:
        """Whether a chain with fewer entries expresses the same matrices (see `reduced`)."""
        return self.is_chainable and len(self._groups()) < len(self._patterns)

    def _groups(self) -> list[list[int]]:
        return _core.reduce_chain([(p.a, p.b, p.c, p.d) for p in self._patterns])

    def reduced(self) -> Self:
        """Return the architecture without redundant pairs that expresses the same matrices.

        While some neighbours have a rank of at least ``min(b1, c2)``, they are replaced by their
        product pattern.

        Raises
        ------
        ValueError
            If the architecture isn't chainable.

        Examples
        --------
        >>> import papilio as pp
        >>> pp.Architecture.square_dyadic(8).with_ranks(2).reduced()
        Architecture([(1, 8, 8, 1)])
        """
        self._require_chainable()
        return type(self)(
            reduce(lambda p, q: p * q, [self._patterns[n] for n in group])
            for group in self._groups()
        )

    def with_ranks(self, ranks: int | Sequence[int]) -> Self:
        """Return the architecture with the same radices and other ranks.

        Parameters
        ----------
        ranks : int or sequence of int
            One per split, or one for all.

        Raises
        ------
        ValueError
            If the architecture isn't chainable or the number of ranks is wrong.

        Examples
        --------
        >>> import papilio as pp
        >>> pp.Architecture.square_dyadic(16).with_ranks([1, 2, 1]).ranks
        (1, 2, 1)
        """
        self._require_chainable()
        old = [1, *self.ranks, 1]
        new = [1, *ranks_of(ranks, len(self) - 1), 1]
        return type(self)(
            (p.a, p.b // old[n] * new[n], p.c // old[n + 1] * new[n + 1], p.d)
            for n, p in enumerate(self._patterns)
        )

    @property
    def T(self) -> Self:
        """The transposed product's chain. It is rarely chainable."""
        return type(self)(p.T for p in reversed(self._patterns))

    def plot(self, axes: Any = None) -> Any:
        """Draw the patterns side by side, as `Pattern.plot` does.

        Parameters
        ----------
        axes : sequence of matplotlib Axes, optional
            One for each pattern; a new figure otherwise.

        Returns
        -------
        list of matplotlib Axes

        Raises
        ------
        ImportError
            Without Matplotlib.
        ValueError
            If `axes` are another number.

        Examples
        --------
        >>> import papilio as pp
        >>> axes = pp.Architecture.square_dyadic(16).plot()  # doctest: +SKIP
        """
        return drawing.plot_chain(self._patterns, axes)

    def _repr_html_(self) -> str:
        (rows, columns), count = self.shape, len(self)
        factors = "1 factor" if count == 1 else f"{count} factors"
        facts = f"{rows} x {columns}, {factors}, {self.nnz} entries"
        return drawing.chain_html(
            self._patterns, f"{facts} ({self.nnz / rows / columns:.3g} of dense)"
        )

    @overload
    def __getitem__(self, index: int) -> Pattern: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> Pattern | Self:
        if isinstance(index, slice):
            return type(self)(self._patterns[index])
        return self._patterns[index]

    def __len__(self) -> int:
        return len(self._patterns)

    def __iter__(self) -> Iterator[Pattern]:
        return iter(self._patterns)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Chain) and self._patterns == other._patterns

    def __hash__(self) -> int:
        return hash(self._patterns)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({[tuple(p) for p in self._patterns]})"

    def __reduce__(self) -> tuple[type[Self], tuple[tuple[Pattern, ...]]]:
        return type(self), (self._patterns,)


def ranks_of(ranks: int | Sequence[int], splits: int) -> list[int]:
    """`ranks` as a list with one entry per split."""
    if not isinstance(ranks, Iterable) or (isinstance(ranks, np.ndarray) and ranks.ndim == 0):
        return [length(ranks, "ranks")] * splits
    listed = items_of(ranks, "ranks", "whole numbers")
    given = [length(rank, f"ranks[{n}]") for n, rank in enumerate(listed)]
    if len(given) != splits:
        raise ValueError(f"ranks has {len(given)} entries, expected {splits}: one per split")
    return given
