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
from .support_factorization import DivergingFactorsWarning, FixedSupportResult, fixed_support
from .supports import SupportReport, Witness, analyze_supports

__version__ = _build_info()["version"]

__all__ = [
    "Architecture",
    "Butterfly",
    "Composition",
    "DivergingFactorsWarning",
    "FixedSupportResult",
    "Pattern",
    "Plan",
    "Report",
    "Simplification",
    "SupportReport",
    "Witness",
    "__version__",
    "analyze_supports",
    "best_architecture",
    "factorize",
    "fixed_support",
    "get_num_threads",
    "kron",
    "load",
    "permutations",
    "plan",
    "set_num_threads",
    "show_config",
    "transforms",
]
