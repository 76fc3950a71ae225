"""The butterfly closest to a dense matrix, with a certificate; architectures and permutations."""

from ._factorize import Order, Permutation, factorize

# What `fit` checks before it solves, and what budgets are compared with: not public.
from ._factorize import permutations_to_try as permutations_to_try
from ._factorize import splits_of as splits_of
from ._recovery import Recovery, recover
from ._search import ArchitectureSearch, Trial, best_architecture
from ._search import fewest_weights as fewest_weights
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
