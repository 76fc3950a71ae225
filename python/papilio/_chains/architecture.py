"""Architectures: chains of Kronecker-sparse patterns."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .._util.checks import items_of, length, positive_ints, power_of_two, shape_pair
from .chain import Chain, ranks_of
from .pattern import Pattern
from .support_masks import as_support


class Architecture(Chain):
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

    __slots__ = ()

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

        Raises
        ------
        TypeError, ValueError
            If n isn't a power of two.

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

        Raises
        ------
        TypeError, ValueError
            For radices or ranks that aren't positive whole numbers, or another number of them.

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
        inner = ranks_of(1 if ranks is None else ranks, len(rows) - 1)
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

        Raises
        ------
        TypeError, ValueError
            For a shape or a rank that isn't made of positive whole numbers; for p or q that don't
            divide it.

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

        Raises
        ------
        TypeError, ValueError
            For a shape or a rank that isn't made of positive whole numbers.

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

        Raises
        ------
        TypeError, ValueError
            For a shape that isn't two positive whole numbers.

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
