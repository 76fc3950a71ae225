"""papilio: butterfly operators, matrices that are a product of Kronecker-sparse factors.

Multiply by them fast (`Butterfly`), find them in dense matrices with a certified error
(`factorize`), and use them wherever SciPy takes a LinearOperator.
"""

from . import kernels, permutations, transforms
from ._core import build_info as _build_info
from .architecture import Architecture
from .butterfly import Butterfly
from .compress import CompressionReport, CompressionWarning, compress
from .config import get_num_threads, set_num_threads, show_config
from .factorization import factorize
from .interpolation import IncompressibleError
from .io import load
from .pattern import Pattern
from .planning import Plan, plan
from .report import Report
from .section import Section

__version__ = _build_info()["version"]

__all__ = [
    "Architecture",
    "Butterfly",
    "CompressionReport",
    "CompressionWarning",
    "IncompressibleError",
    "Pattern",
    "Plan",
    "Report",
    "Section",
    "__version__",
    "compress",
    "factorize",
    "get_num_threads",
    "kernels",
    "load",
    "permutations",
    "plan",
    "set_num_threads",
    "show_config",
    "transforms",
]
