"""Products of matrices with given supports: what is known about them, and best approximations."""

from . import zoo
from ._analysis import SupportReport
from ._chain_report import ChainReport, ChainWitness, analyze_supports
from ._fixed_support import fixed_support
from ._network import NetworkReport, NetworkWeights, analyze_network
from ._repair import Repair
from ._result import DivergingFactorsWarning, FixedSupportResult
from ._witness import Elimination, Witness

__all__ = [
    "ChainReport",
    "ChainWitness",
    "DivergingFactorsWarning",
    "Elimination",
    "FixedSupportResult",
    "NetworkReport",
    "NetworkWeights",
    "Repair",
    "SupportReport",
    "Witness",
    "analyze_network",
    "analyze_supports",
    "fixed_support",
    "zoo",
]
