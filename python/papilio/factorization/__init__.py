"""The butterfly closest to a dense matrix, with a certificate; architectures and permutations."""

from ._factorize import Order, Permutation, factorize
from ._recovery import Recovery, recover
from ._search import ArchitectureSearch, Trial, best_architecture
from ._source import Source

__all__ = [
    "ArchitectureSearch",
    "Order",
    "Permutation",
    "Recovery",
    "Source",
    "Trial",
    "best_architecture",
    "factorize",
    "recover",
]
