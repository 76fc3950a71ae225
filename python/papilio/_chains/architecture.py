"""Architectures: chains of Kronecker-sparse patterns."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from typing import Any, overload

import numpy as np

from .. import _core
from .._util.checks import items_of, length, positive_ints, power_of_two, shape_pair, shown
from .pattern import Pattern
from .support_masks import as_support


class Architecture(Sequence[Pattern]):
    """A chain of patterns: the shape of a product of Kronecker-sparse factors.

    Parameters
    ----------
    patterns : iterable of Pattern or of (a, b, c, d)
        Left to right, at least one; the columns of each must be the rows of the next. They need
        not be chainable: such a chain can be multiplied by, but not be the aim of `factorize`.

    Raises
    ------
    ValueError
        If it is empty or two neighbours don't fit.

    Examples
    --------
    >>> import papilio as pp
    >>> arch = pp.Architecture([(1, 2, 2, 2), (2, 2, 2, 1)])
    >>> arch.shape, arch.ranks, arch.nnz
    ((4, 4), (1,), 16)
    >>> arch == pp.Architecture.square_dyadic(4)
    True
    """

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

    @classmethod
    def square_dyadic(cls, n: int) -> Architecture:
        """Return the chain of ``log2(n)`` factors with 2 x 2 blocks and rank 1.

        Pattern ``l`` of 1..L is ``(2**(l-1), 2, 2, n/2**l)``; together they have ``2 n log2 n``
        entries. Hadamard matrices are of this architecture, and DFT matrices after a bit
        reversal of their columns.

        Parameters
        ----------
        n : int
            A power of two.

        Examples
        --------
        >>> import papilio as pp
        >>> pp.Architecture.square_dyadic(8)
        Architecture([(1, 2, 2, 4), (2, 2, 2, 2), (4, 2, 2, 1)])
        """
        n = power_of_two(n, "n")
        return cls.mixed_radix([2] * (n.bit_length() - 1) or [1])

    @classmethod
    def mixed_radix(
        cls,
        row_radices: Sequence[int],
        column_radices: Sequence[int] | None = None,
        ranks: int | Sequence[int] | None = None,
    ) -> Architecture:
        """Return the chainable architecture with these radices and ranks.

        With ``q`` the row radices, ``p`` the column radices and ``r_0 = r_L = 1``, factor ``l``
        has ``a = p_1...p_{l-1}``, ``b = q_l r_{l-1}``, ``c = p_l r_l`` and
        ``d = q_{l+1}...q_L``. Every chainable architecture whose product is dense has this form.

        Parameters
        ----------
        row_radices : sequence of int
            Their product is the number of rows.
        column_radices : sequence of int, optional
            Equally many; their product is the number of columns. Default: `row_radices`.
        ranks : int or sequence of int, optional
            One per split (one fewer than radices), or one for all. Default: 1.

        Examples
        --------
        >>> import papilio as pp
        >>> pp.Architecture.mixed_radix([2, 3], [3, 4], ranks=1)
        Architecture([(1, 2, 3, 3), (3, 3, 4, 1)])
        """
        rows = positive_ints(row_radices, "row_radices")
        cols = rows if column_radices is None else positive_ints(column_radices, "column_radices")
        if len(rows) != len(cols):
            raise ValueError(
                f"row_radices has {len(rows)} entries but column_radices has {len(cols)}"
            )
        inner = _ranks(1 if ranks is None else ranks, len(rows) - 1)
        bounded = [1, *inner, 1]
        return cls(
            (
                math.prod(cols[:n]),
                rows[n] * bounded[n],
                cols[n] * bounded[n + 1],
                math.prod(rows[n + 1 :]),
            )
            for n in range(len(rows))
        )

    @classmethod
    def monarch(cls, shape: Sequence[int], p: int, q: int, rank: int = 1) -> Architecture:
        """Return the two-factor chain ``(1, p, q*rank, m/p), (q, m*rank/p, n/q, 1)``.

        Parameters
        ----------
        shape : (int, int)
            Rows m and columns n.
        p, q : int
            Divisors of m and of n.
        rank : int, default 1
            Rank of each of the ``(m/p) * q`` blocks of ``p`` x ``n/q``.

        References
        ----------
        T. Dao et al., "Monarch: expressive structured matrices for efficient and accurate
        training", ICML 2022.

        Examples
        --------
        >>> import papilio as pp
        >>> pp.Architecture.monarch((12, 25), 4, 5)
        Architecture([(1, 4, 5, 3), (5, 3, 5, 1)])
        """
        m, n = shape_pair(shape)
        p, q = length(p, "p"), length(q, "q")
        if m % p:
            raise ValueError(f"p is {p}, expected a divisor of the {m} rows")
        if n % q:
            raise ValueError(f"q is {q}, expected a divisor of the {n} columns")
        return cls.mixed_radix([p, m // p], [q, n // q], length(rank, "rank"))

    @classmethod
    def low_rank(cls, shape: Sequence[int], rank: int) -> Architecture:
        """Return the chain ``(1, m, rank, 1), (1, rank, n, 1)``: all matrices of that rank.

        Examples
        --------
        >>> import papilio as pp
        >>> pp.Architecture.low_rank((6, 8), 2)
        Architecture([(1, 6, 2, 1), (1, 2, 8, 1)])
        """
        m, n = shape_pair(shape)
        return cls.mixed_radix([m, 1], [1, n], length(rank, "rank"))

    @classmethod
    def dense(cls, shape: Sequence[int]) -> Architecture:
        """Return the one-factor chain ``(1, m, n, 1)``: all matrices.

        Examples
        --------
        >>> import papilio as pp
        >>> pp.Architecture.dense((6, 8)).nnz
        48
        """
        m, n = shape_pair(shape)
        return cls([Pattern(1, m, n, 1)])

    @classmethod
    def from_supports(cls, supports: Iterable[Any]) -> Architecture:
        """Return the architecture whose factors have exactly these supports.

        Parameters
        ----------
        supports : iterable of array_like, scipy.sparse matrix or array, or Pattern
            Left to right; where values differ from zero, the factors may.

        Raises
        ------
        ValueError
            If one isn't the support of a pattern ``(a, b, c, d)``; the message names the first
            row that differs from the only pattern it could be.
        TypeError
            If one isn't numeric.

        Notes
        -----
        A support tells its pattern, but for the identity: it is ``(a, 1, 1, d)`` for every
        ``a * d`` that fits. Then the pattern is chosen that makes pairs chainable, if one does,
        else ``(a, 1, 1, 1)``. Time and memory: linear in the entries, as for `Pattern.support`.

        Examples
        --------
        >>> import papilio as pp
        >>> arch = pp.Architecture.monarch((12, 25), 4, 5)
        >>> pp.Architecture.from_supports([p.support() for p in arch]) == arch
        True
        """
        given = items_of(supports, "supports", "a sequence of supports")
        masks = [as_support(support, f"supports[{n}]") for n, support in enumerate(given)]
        if not masks:
            raise ValueError("supports is empty, expected at least one support")
        return cls(_chain_of([_patterns_of(mask, n) for n, mask in enumerate(masks)]))

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

    def reduced(self) -> Architecture:
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
        return Architecture(
            reduce(lambda p, q: p * q, [self._patterns[n] for n in group])
            for group in self._groups()
        )

    def with_ranks(self, ranks: int | Sequence[int]) -> Architecture:
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
        new = [1, *_ranks(ranks, len(self) - 1), 1]
        return Architecture(
            (p.a, p.b // old[n] * new[n], p.c // old[n + 1] * new[n + 1], p.d)
            for n, p in enumerate(self._patterns)
        )

    @property
    def T(self) -> Architecture:
        """The transposed product's chain. It is rarely chainable."""
        return Architecture(p.T for p in reversed(self._patterns))

    @overload
    def __getitem__(self, index: int) -> Pattern: ...
    @overload
    def __getitem__(self, index: slice) -> Architecture: ...
    def __getitem__(self, index: int | slice) -> Pattern | Architecture:
        if isinstance(index, slice):
            return Architecture(self._patterns[index])
        return self._patterns[index]

    def __len__(self) -> int:
        return len(self._patterns)

    def __iter__(self) -> Iterator[Pattern]:
        return iter(self._patterns)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Architecture) and self._patterns == other._patterns

    def __hash__(self) -> int:
        return hash(self._patterns)

    def __repr__(self) -> str:
        return f"Architecture({[tuple(p) for p in self._patterns]})"

    def __reduce__(self) -> tuple[type[Architecture], tuple[tuple[Pattern, ...]]]:
        return Architecture, (self._patterns,)


def _patterns_of(mask: Any, n: int) -> list[Pattern]:
    """The patterns with the support `mask`, a canonical CSR array: one, or several if identity."""
    rows, cols = mask.shape
    first_row = mask.indices[: mask.indptr[1]]
    first_column = np.flatnonzero(mask.indices == 0)
    b, c = len(first_column), len(first_row)
    down = np.searchsorted(mask.indptr, first_column, side="right") - 1
    if b == 0 or c == 0 or first_row[0] != 0:
        raise ValueError(
            f"supports[{n}] is not the support of a pattern: its first entry, row 0, column 0, is "
            "empty"
        )
    if b == c == 1 and rows == cols:
        candidates = [Pattern(a, 1, 1, rows // a) for a in range(rows, 0, -1) if rows % a == 0]
    else:
        d = int(first_row[1] if c > 1 else down[1] if b > 1 else 1)
        a = rows // (b * d)
        if a == 0 or (a * b * d, a * c * d) != (rows, cols):
            raise ValueError(
                f"supports[{n}] is not the support of a pattern: by its first row and column it "
                f"has {b} x {c} blocks of stride {d}, which don't tile {rows} x {cols}"
            )
        candidates = [Pattern(a, b, c, d)]
    expected = candidates[0].support()
    same = mask.nnz == expected.nnz and np.array_equal(mask.indptr, expected.indptr)
    if not (same and np.array_equal(mask.indices, expected.indices)):
        row = next(
            row
            for row in range(rows)
            if not np.array_equal(
                mask.indices[mask.indptr[row] : mask.indptr[row + 1]],
                expected.indices[expected.indptr[row] : expected.indptr[row + 1]],
            )
        )
        raise ValueError(
            f"supports[{n}] is not the support of a pattern: row {row} is not as in "
            f"{candidates[0]}, the only pattern with its first row and column"
        )
    return candidates


def _chain_of(candidates: list[list[Pattern]]) -> list[Pattern]:
    """One pattern of each list, with as few pairs that aren't chainable as can be."""
    best = [(0, [pattern]) for pattern in candidates[0]]
    for patterns in candidates[1:]:
        best = [
            min(
                ((bad + (not chain[-1].is_chainable(p)), [*chain, p]) for bad, chain in best),
                key=lambda entry: entry[0],
            )
            for p in patterns
        ]
    return min(best, key=lambda entry: entry[0])[1]


def _ranks(ranks: int | Sequence[int], splits: int) -> list[int]:
    """`ranks` as a list with one entry per split."""
    if not isinstance(ranks, Iterable) or (isinstance(ranks, np.ndarray) and ranks.ndim == 0):
        return [length(ranks, "ranks")] * splits
    listed = items_of(ranks, "ranks", "whole numbers")
    given = [length(rank, f"ranks[{n}]") for n, rank in enumerate(listed)]
    if len(given) != splits:
        raise ValueError(f"ranks has {len(given)} entries, expected {splits}: one per split")
    return given
