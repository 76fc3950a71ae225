"""Permutations that turn fast transforms into butterflies."""

from ._chains.index_orders import bit_reversal, default_eight, digit_reversal
from .factorization import Recovery, recover

__all__ = ["Recovery", "bit_reversal", "default_eight", "digit_reversal", "recover"]
