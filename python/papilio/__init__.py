"""papilio: butterfly operators, matrices that are a product of Kronecker-sparse factors.

Multiply by them fast (`Butterfly`), find them in dense matrices with a certified error
(`factorize`), and use them wherever SciPy takes a LinearOperator.
"""

from . import permutations, transforms
from ._core import build_info as _build_info
from .architecture import Architecture
from .butterfly import Butterfly
from .composition import Composition
from .config import get_num_threads, set_num_threads, show_config
from .factorization import factorize
from .io import load
from .kronecker import kron
from .pattern import Pattern
from .planning import Plan, plan
from .report import Report
from .search import best_architecture
from .simplification import Simplification

__version__ = _build_info()["version"]

__all__ = [
    "Architecture",
    "Butterfly",
    "Composition",
    "Pattern",
    "Plan",
    "Report",
    "Simplification",
    "__version__",
    "best_architecture",
    "factorize",
    "get_num_threads",
    "kron",
    "load",
    "permutations",
    "plan",
    "set_num_threads",
    "show_config",
    "transforms",
]
