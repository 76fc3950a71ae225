"""Products of matrices with given supports: what is known about them, and best approximations."""

from ._analysis import SupportReport, analyze_supports
from ._fixed_support import fixed_support
from ._repair import Repair
from ._result import DivergingFactorsWarning, FixedSupportResult
from ._witness import Elimination, Witness

__all__ = [
    "DivergingFactorsWarning",
    "Elimination",
    "FixedSupportResult",
    "Repair",
    "SupportReport",
    "Witness",
    "analyze_supports",
    "fixed_support",
]
