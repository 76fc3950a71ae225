"""papilio: butterfly operators, matrices that are a product of Kronecker-sparse factors.

Multiply by them fast (`Butterfly`), find them in dense matrices with a certified error
(`factorize`), and use them wherever SciPy takes a LinearOperator.
"""

from . import kernels, learning, permutations, supports, transforms
from ._chains.architecture import Architecture
from ._chains.factors import Factors
from ._chains.pattern import Pattern
from ._core import build_info as _build_info
from ._legacy import find_old_names as _find_old_names
from ._threadpools import join_threadpoolctl as _join_threadpoolctl
from .compression import CompressionReport, CompressionWarning, IncompressibleError, compress
from .config import get_num_threads, set_num_threads, show_config
from .factorization import best_architecture, factorize
from .learning import FitReport, fit
from .operators import (
    Butterfly,
    Composition,
    Operator,
    Plan,
    Report,
    Section,
    Simplification,
    block_diag,
    hstack,
    kron,
    load,
    plan,
    vstack,
)
from .supports import (
    ChainReport,
    ChainWitness,
    DivergingFactorsWarning,
    Elimination,
    FixedSupportResult,
    NetworkReport,
    NetworkWeights,
    Repair,
    SupportReport,
    Witness,
    analyze_network,
    analyze_supports,
    fixed_support,
)

__version__ = _build_info()["version"]
_find_old_names()
_join_threadpoolctl()

__all__ = [
    "Architecture",
    "Butterfly",
    "ChainReport",
    "ChainWitness",
    "Composition",
    "CompressionReport",
    "CompressionWarning",
    "DivergingFactorsWarning",
    "Elimination",
    "Factors",
    "FitReport",
    "FixedSupportResult",
    "IncompressibleError",
    "NetworkReport",
    "NetworkWeights",
    "Operator",
    "Pattern",
    "Plan",
    "Repair",
    "Report",
    "Section",
    "Simplification",
    "SupportReport",
    "Witness",
    "__version__",
    "analyze_network",
    "analyze_supports",
    "best_architecture",
    "block_diag",
    "compress",
    "factorize",
    "fit",
    "fixed_support",
    "get_num_threads",
    "hstack",
    "kernels",
    "kron",
    "learning",
    "load",
    "permutations",
    "plan",
    "set_num_threads",
    "show_config",
    "supports",
    "transforms",
    "vstack",
]
