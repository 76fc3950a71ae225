"""papilio: butterfly operators, matrices that are a product of Kronecker-sparse factors.

Multiply by them fast (`Butterfly`), find them in dense matrices with a certified error
(`factorize`), and use them wherever SciPy takes a LinearOperator.
"""

from . import kernels, permutations, transforms
from ._core import build_info as _build_info
from .architecture import Architecture
from .butterfly import Butterfly
from .composition import Composition
from .compress import CompressionReport, CompressionWarning, compress
from .config import get_num_threads, set_num_threads, show_config
from .factorization import factorize
from .interpolation import IncompressibleError
from .io import load
from .kronecker import kron
from .pattern import Pattern
from .planning import Plan, plan
from .report import Report
from .search import best_architecture
from .section import Section
from .simplification import Simplification
from .support_factorization import DivergingFactorsWarning, FixedSupportResult, fixed_support
from .supports import SupportReport, Witness, analyze_supports

__version__ = _build_info()["version"]

__all__ = [
    "Architecture",
    "Butterfly",
    "Composition",
    "CompressionReport",
    "CompressionWarning",
    "DivergingFactorsWarning",
    "FixedSupportResult",
    "IncompressibleError",
    "Pattern",
    "Plan",
    "Report",
    "Section",
    "Simplification",
    "SupportReport",
    "Witness",
    "__version__",
    "analyze_supports",
    "best_architecture",
    "compress",
    "factorize",
    "fixed_support",
    "get_num_threads",
    "kernels",
    "kron",
    "load",
    "permutations",
    "plan",
    "set_num_threads",
    "show_config",
    "transforms",
]
