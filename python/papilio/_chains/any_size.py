"""Architectures for any size: named ones, padded where a size has no small radices."""

from __future__ import annotations

import itertools
import math
from typing import Any

from .._util.checks import length, shown
from .architecture import Architecture

_MOST_UNLIKE = 4  # how far the two radices of a Monarch chain may be apart before a size is padded
_LARGEST_PRIME = 13  # of sizes whose radices the search for an architecture takes as they are

Given = Architecture | str | None


def architecture_for(given: Any, inputs: int, outputs: int, rank: Any) -> Architecture:
    """The architecture that an argument names, of at least `outputs` x `inputs`."""
    rank = length(rank, "rank")
    if isinstance(given, Architecture):
        rows, columns = given.shape
        if rows < outputs or columns < inputs:
            raise ValueError(
                f"architecture has shape {given.shape}, expected at least {(outputs, inputs)}"
            )
        if rank != 1:
            raise ValueError(f"rank is {rank}, but the architecture given says the ranks")
        return given
    if given is None or given == "dyadic":
        return dyadic(inputs, outputs, rank)
    if given == "monarch":
        return monarch(inputs, outputs, None, rank)
    raise ValueError(
        f"architecture is {shown(given)}, expected 'dyadic', 'monarch', an Architecture or None"
    )


def dyadic(inputs: int, outputs: int, rank: int) -> Architecture:
    """Radices of 2 where the sizes are powers of two, else of 2, 3 and 5, of a slightly larger one.

    The longer list of radices is shortened to the other's length by products of neighbours, so
    that every factor has blocks that are as square as can be.
    """
    rows, columns = _radices(outputs), _radices(inputs)
    levels = min(len(rows), len(columns))
    rows, columns = _merged(rows, levels), _merged(columns, levels)
    orders = itertools.product((rows, rows[::-1]), (columns, columns[::-1]))
    chains = (Architecture.mixed_radix(q, p, rank) for q, p in orders)
    return _without_redundancy(min(chains, key=lambda chain: chain.nnz))


def monarch(inputs: int, outputs: int, blocks: int | None, rank: int) -> Architecture:
    """Two factors: `blocks` blocks in each, or about square ones of about sqrt(n) rows."""
    if blocks is None:
        (p, rows), (q, columns) = _halves(outputs), _halves(inputs)
    else:
        blocks = length(blocks, "blocks")
        least = min(inputs, outputs)
        if blocks > least:
            raise ValueError(f"blocks is {blocks}, expected at most {least}, the smaller size")
        p, q = math.ceil(outputs / blocks), blocks
        rows, columns = p * blocks, math.ceil(inputs / blocks) * blocks
    return _without_redundancy(Architecture.monarch((rows, columns), p, q, rank))


def low_rank(inputs: int, outputs: int, rank: int) -> Architecture:
    """Two factors, of `rank` columns and rows."""
    return Architecture.low_rank((outputs, inputs), length(rank, "rank"))


def _without_redundancy(chain: Architecture) -> Architecture:
    """With ranks so large that factors express nothing new, fewer factors express the same."""
    return chain.reduced() if chain.is_redundant else chain


def _radices(size: int) -> list[int]:
    """Primes whose product is the next number from `size` on that has small ones only."""
    while True:
        rest, found = size, []
        for prime in (5, 3, 2):
            while rest % prime == 0:
                rest //= prime
                found.append(prime)
        if rest == 1:
            return found or [1]
        size += 1


def _merged(radices: list[int], levels: int) -> list[int]:
    """As many radices as levels, of about the same size: always the two smallest are multiplied."""
    merged = sorted(radices)
    while len(merged) > levels:
        first, second, *others = merged
        merged = sorted([first * second, *others])
    return merged


def _halves(size: int) -> tuple[int, int]:
    """A divisor close to the square root, and of which size: a larger one if it has none."""
    root = math.isqrt(size - 1) + 1  # rounded up
    for divisor in range(root, 0, -1):
        if size % divisor == 0:
            if size <= _MOST_UNLIKE * divisor**2:
                return divisor, size
            break
    return root, root * math.ceil(size / root)


def with_small_primes(size: int) -> int:
    """The size itself, or the next one with small radices if it has a large prime factor."""
    rest = size
    for prime in range(2, _LARGEST_PRIME + 1):
        while rest % prime == 0:
            rest //= prime
    return size if rest == 1 else math.prod(_radices(size))


def rotation_radices(size: int, block: int) -> tuple[int, list[int]]:
    """How many leading coordinates are turned, in blocks of which sizes.

    All of them where the size has prime factors of at most `block` or _LARGEST_PRIME only, else the
    largest number below it that has. Primes are multiplied up to the size of a block.
    """
    turned = size
    while True:
        rest, primes = turned, []
        for prime in range(2, max(block, _LARGEST_PRIME) + 1):
            while rest % prime == 0:
                rest //= prime
                primes.append(prime)
        if rest == 1:
            break
        turned -= 1
    radices: list[int] = []
    for prime in sorted(primes, reverse=True):
        fitting = [n for n, radix in enumerate(radices) if radix * prime <= block]
        if fitting:
            radices[fitting[0]] *= prime
        else:
            radices.append(prime)
    return turned, radices or [1]
