"""Supports of the structured matrices of the literature, ready for `analyze_supports`.

Each function returns the masks of the factors from left to right, as a tuple of
`scipy.sparse.csr_array` of bool. A size that isn't a positive whole number, or doesn't divide what
it must, is a TypeError or ValueError that names it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse

from .._chains.architecture import Architecture
from .._util.checks import generator, length, whole_number

__all__ = [
    "banded",
    "block_butterfly",
    "block_tensor_train",
    "butterfly",
    "debut",
    "group_and_shuffle",
    "low_rank",
    "low_rank_plus_diagonal",
    "lu",
    "monarch",
    "pixelfly",
    "two_of_four",
]


def __dir__() -> list[str]:
    return __all__


Supports = tuple[Any, ...]


def _mask(entries: Any) -> Any:
    mask = scipy.sparse.csr_array(entries, dtype=bool)
    mask.sort_indices()
    return mask


def _divisor(value: Any, name: str, n: int) -> int:
    divisor: int = length(value, name)
    if n % divisor:
        raise ValueError(f"{name} is {divisor}, expected a divisor of {n}")
    return divisor


def _chain(architecture: Architecture) -> Supports:
    return tuple(pattern.support() for pattern in architecture)


def _blocks(n: int, block: int) -> Any:
    """A block diagonal matrix of ones."""
    return np.kron(np.eye(n // block), np.ones((block, block)))


def _beside_low_rank(n: int, rank: int, right: Any) -> Supports:
    """Two factors: a dense one of this rank, and the identity times `right`, added up."""
    left = np.hstack([np.ones((n, rank)), np.eye(n)])
    return _mask(left), _mask(np.vstack([np.ones((rank, n)), right]))


def low_rank(n: int, rank: int) -> Supports:
    """Return dense factors of n x rank and rank x n.

    Examples
    --------
    >>> import papilio as pp
    >>> [mask.shape for mask in pp.supports.zoo.low_rank(8, 2)]
    [(8, 2), (2, 8)]
    """
    n, rank = length(n, "n"), length(rank, "rank")
    return _mask(np.ones((n, rank))), _mask(np.ones((rank, n)))


def monarch(n: int, block: int) -> Supports:
    """Return the two factors of a Monarch matrix: block-diagonal ones, the left one shuffled.

    References
    ----------
    T. Dao et al., "Monarch: expressive structured matrices for efficient and accurate training",
    ICML 2022.

    Examples
    --------
    >>> import papilio as pp
    >>> [mask.nnz for mask in pp.supports.zoo.monarch(16, 4)]
    [64, 64]
    """
    return block_tensor_train(n, block, 1)


def block_tensor_train(n: int, block: int, rank: int) -> Supports:
    """Return the two factors of a block tensor train: a Monarch matrix with blocks of rank `rank`.

    References
    ----------
    S. Qiu et al., "Compute better spent: replacing dense layers with structured matrices",
    ICML 2024.

    Examples
    --------
    >>> import papilio as pp
    >>> [mask.shape for mask in pp.supports.zoo.block_tensor_train(16, 4, 2)]
    [(16, 32), (32, 16)]
    """
    n = length(n, "n")
    block = _divisor(block, "block", n)
    return _chain(Architecture.monarch((n, n), n // block, n // block, length(rank, "rank")))


def butterfly(n: int) -> Supports:
    """Return the factors with 2 x 2 blocks of a square dyadic butterfly; n is a power of two.

    Examples
    --------
    >>> import papilio as pp
    >>> len(pp.supports.zoo.butterfly(16))
    4
    """
    return _chain(Architecture.square_dyadic(n))


def block_butterfly(n: int, block: int) -> Supports:
    """Return the butterfly of n/block whose entries are blocks: each is dense, block x block.

    References
    ----------
    B. Chen et al., "Pixelated butterfly: simple and efficient sparse training for neural network
    models", ICLR 2022.

    Examples
    --------
    >>> import papilio as pp
    >>> [mask.nnz for mask in pp.supports.zoo.block_butterfly(16, 2)]
    [64, 64, 64]
    """
    n = length(n, "n")
    block = _divisor(block, "block", n)
    ones = np.ones((block, block), bool)
    small = Architecture.square_dyadic(n // block)
    return tuple(_mask(scipy.sparse.kron(pattern.support(), ones)) for pattern in small)


def debut(row_radices: Sequence[int], column_radices: Sequence[int]) -> Supports:
    """Return the factors of a deformable butterfly with these radices.

    The products of the radices are its numbers of rows and of columns.

    References
    ----------
    R. Lin et al., "Deformable butterfly: a highly structured and sparse linear transform",
    NeurIPS 2021.

    Examples
    --------
    >>> import papilio as pp
    >>> [mask.shape for mask in pp.supports.zoo.debut([2, 3], [4, 2])]
    [(6, 12), (12, 8)]
    """
    return _chain(Architecture.mixed_radix(row_radices, column_radices))


def pixelfly(n: int, block: int, rank: int) -> Supports:
    """Return two factors whose products are flat block butterflies plus matrices of low rank.

    A flat block butterfly is a sparse matrix with blocks where blocks i and j are equal or differ
    in one bit; the right factor holds it, the left one the identity for it.

    References
    ----------
    B. Chen et al., "Pixelated butterfly: simple and efficient sparse training for neural network
    models", ICLR 2022.

    Examples
    --------
    >>> import papilio as pp
    >>> [mask.shape for mask in pp.supports.zoo.pixelfly(16, 4, 1)]
    [(16, 17), (17, 16)]
    """
    n, rank = length(n, "n"), length(rank, "rank")
    block = _divisor(block, "block", n)
    count = n // block
    if count & (count - 1):
        raise ValueError(f"n / block is {count}, expected a power of two")
    differ = np.arange(count)[:, None] ^ np.arange(count)
    flat = np.kron(differ & (differ - 1) == 0, np.ones((block, block), bool))
    return _beside_low_rank(n, rank, flat)


def group_and_shuffle(n: int, block: int) -> Supports:
    """Return two block-diagonal factors with a perfect shuffle between them.

    References
    ----------
    M. Gorbunov et al., "Group and shuffle: efficient structured orthogonal parametrization",
    NeurIPS 2024.

    Examples
    --------
    >>> import papilio as pp
    >>> [mask.nnz for mask in pp.supports.zoo.group_and_shuffle(16, 4)]
    [64, 64]
    """
    n = length(n, "n")
    block = _divisor(block, "block", n)
    blocks = _blocks(n, block)
    shuffle = np.arange(n).reshape(n // block, block).T.ravel()
    return _mask(blocks), _mask(blocks[shuffle])


def low_rank_plus_diagonal(n: int, rank: int, block: int = 1) -> Supports:
    """Return two factors whose products are of low rank plus (block) diagonal.

    Examples
    --------
    >>> import papilio as pp
    >>> pp.analyze_supports(*pp.supports.zoo.low_rank_plus_diagonal(16, 2)).has_minimizer
    False
    """
    n, rank = length(n, "n"), length(rank, "rank")
    block = _divisor(block, "block", n)
    return _beside_low_rank(n, rank, _blocks(n, block))


def lu(n: int, width: int | None = None) -> Supports:
    """Return lower times upper triangular factors, with so many diagonals each (default: all).

    Examples
    --------
    >>> import papilio as pp
    >>> pp.analyze_supports(*pp.supports.zoo.lu(4)).has_minimizer
    False
    """
    n = length(n, "n")
    width = n if width is None else length(width, "width")
    lower = np.tril(np.triu(np.ones((n, n)), 1 - width))
    return _mask(lower), _mask(lower.T)


def banded(n: int, width: int, factors: int = 2) -> Supports:
    """Return factors with `width` diagonals on each side of the main one.

    Examples
    --------
    >>> import papilio as pp
    >>> [mask.nnz for mask in pp.supports.zoo.banded(6, 1)]
    [16, 16]
    """
    n, width = length(n, "n"), whole_number(width, "width", 0)
    mask = np.tril(np.triu(np.ones((n, n)), -width), width)
    return (_mask(mask),) * length(factors, "factors")


def two_of_four(n: int, factors: int = 2, seed: int | np.random.Generator = 0) -> Supports:
    """Return square factors in whose rows two of each four neighbours are chosen at random.

    Examples
    --------
    >>> import papilio as pp
    >>> [mask.nnz for mask in pp.supports.zoo.two_of_four(16)]
    [128, 128]
    """
    n = length(n, "n")
    if n % 4:
        raise ValueError(f"n is {n}, expected a multiple of 4")
    rng = generator(seed)
    masks = []
    for _ in range(length(factors, "factors")):
        order = rng.random((n, n // 4, 4)).argsort(axis=2)
        masks.append(_mask((order < 2).reshape(n, n)))
    return tuple(masks)
