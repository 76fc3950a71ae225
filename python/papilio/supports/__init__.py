"""Products of matrices with given supports: what is known about them, and best approximations."""

from ._analysis import SupportReport, Witness, analyze_supports
from ._fixed_support import fixed_support
from ._result import DivergingFactorsWarning, FixedSupportResult

__all__ = [
    "DivergingFactorsWarning",
    "FixedSupportResult",
    "SupportReport",
    "Witness",
    "analyze_supports",
    "fixed_support",
]
