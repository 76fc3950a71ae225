"""Orders of indices: permutations that turn fast transforms into butterflies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._util.checks import length, positive_ints, power_of_two
from .._util.dtypes import plain_array


def as_permutation(permutation: Any, size: int, name: str) -> NDArray[np.int64]:
    """Return a permutation of ``0..size-1`` as a read-only int64 array, or raise naming it."""
    array = plain_array(permutation, name)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} has dtype {array.dtype}, expected integers")
    if array.shape != (size,):
        raise ValueError(f"{name} has shape {array.shape}, expected ({size},)")
    result = array.astype(np.int64)
    if not np.array_equal(np.sort(result), np.arange(size)):
        raise ValueError(f"{name} is not a permutation of 0..{size - 1}")
    result.setflags(write=False)
    return result


def bit_reversal(n: int) -> NDArray[np.int64]:
    """Return the bit reversal of ``0..n-1``: index j goes to the number with j's bits reversed.

    Parameters
    ----------
    n : int
        A power of two.

    Returns
    -------
    ndarray of int64, shape (n,)
        Its own inverse.

    Raises
    ------
    ValueError
        If n isn't a power of two.

    Examples
    --------
    >>> import papilio as pp
    >>> pp.permutations.bit_reversal(8)
    array([0, 4, 2, 6, 1, 5, 3, 7])
    """
    n = length(power_of_two(n, "n"), "n")
    return digit_reversal([2] * (n.bit_length() - 1) or [1])


def digit_reversal(radices: Sequence[int]) -> NDArray[np.int64]:
    """Return the reversal of mixed-radix digits: of ``0..n-1``, n the product of the radices.

    With ``q`` the radices, index ``k_1 q_2...q_L + ... + k_{L-1} q_L + k_L`` (the first digit is
    the slowest) goes to ``k_1 + k_2 q_1 + ... + k_L q_1...q_{L-1}`` (the first digit is the
    fastest). In this order, the columns of the DFT of size n make it exactly a butterfly of
    ``Architecture.mixed_radix(radices)``: the columns of a chunk at split s are equal modulo
    ``q_1...q_s``, so that on rows that are equal modulo ``q_{s+1}...q_L`` they are proportional.

    Parameters
    ----------
    radices : sequence of int
        At least one, each at least 1.

    Returns
    -------
    ndarray of int64, shape (n,)
        Its inverse is the reversal of the radices in reversed order.

    Raises
    ------
    ValueError
        If there are no radices or one is below 1.
    TypeError
        If one isn't a whole number.

    Examples
    --------
    ``A[:, q]`` is the butterfly, so ``factorize(A, ...)`` takes the inverse of q:

    >>> import numpy as np
    >>> import papilio as pp
    >>> pp.permutations.digit_reversal([2, 3])
    array([0, 2, 4, 1, 3, 5])
    >>> A = np.fft.fft(np.eye(12))
    >>> F = pp.factorize(
    ...     A,
    ...     pp.Architecture.mixed_radix([3, 4]),
    ...     column_permutation=pp.permutations.digit_reversal([4, 3]),
    ... )
    >>> F.report.relative_error < 1e-13
    True
    """
    sizes = positive_ints(radices, "radices")
    np.empty(length(math.prod(sizes), "the product of radices"), np.int64)  # if there is memory
    reversal = np.zeros(1, dtype=np.int64)
    for radix in reversed(sizes):
        reversal = (np.arange(radix)[:, None] + radix * reversal).ravel()
    return reversal


def default_eight(n: int) -> dict[str, NDArray[np.int64]]:
    """Return the eight permutations that ``factorize(..., "search")`` tries.

    Permutation ``c0 c1 c2`` is that of the matrix ``P = M_2 M_4 ... M_n`` (sizes doubling), where
    ``M_s`` is ``I_{n/s} (x) C^c0 B^c1 A^c2`` on blocks of size s: ``A`` separates even from odd
    entries, ``B`` reverses the first half, ``C`` the second. ``"000"`` is the identity and
    ``"001"`` the bit reversal.

    Parameters
    ----------
    n : int
        A power of two.

    Returns
    -------
    dict of str to ndarray of int64
        Permutations q to be used as ``column_permutation``: ``K = A P^T`` has ``A[:, j]`` as its
        column ``q[j]``.

    References
    ----------
    T. Dao et al., "Learning fast algorithms for linear transforms using butterfly
    factorizations", ICML 2019; L. Zheng, E. Riccietti, R. Gribonval, "Efficient identification
    of butterfly sparse matrix factorizations", 2021 (arXiv:2110.01230).

    Examples
    --------
    >>> import papilio as pp
    >>> pp.permutations.default_eight(4)["001"]
    array([0, 2, 1, 3])
    """
    n = length(power_of_two(n, "n"), "n")
    return {
        f"{code:03b}": _relaxed_permutation(n, bool(code & 4), bool(code & 2), bool(code & 1))
        for code in range(8)
    }


def _relaxed_permutation(
    n: int, reverse_second: bool, reverse_first: bool, separate: bool
) -> NDArray[np.int64]:
    # A permutation matrix with P[row, columns[row]] = 1 acts on rows: (P x)[row] = x[columns[row]].
    # columns(P Q) = columns(Q)[columns(P)], and q[columns[row]] = row is the inverse.
    columns = np.arange(n)
    size = 2
    while size <= n:
        half = size // 2
        block = np.arange(size)
        if reverse_second:
            block = np.concatenate([block[:half], block[half:][::-1]])
        if reverse_first:
            block = np.concatenate([block[:half][::-1], block[half:]])
        if separate:
            block = np.concatenate([np.arange(0, size, 2), np.arange(1, size, 2)])[block]
        factor = (np.arange(0, n, size)[:, None] + block).ravel()
        columns = factor[columns]
        size *= 2
    inverse = np.empty(n, dtype=np.int64)
    inverse[columns] = np.arange(n)
    return inverse
