"""Butterflies from data: fits to samples, and orthogonal butterflies with free parameters."""

from ._fit import fit
from ._projection import project, projection_error, search
from ._report import FitReport
from ._rotation import Rotation, orthogonalized

__all__ = [
    "FitReport",
    "Rotation",
    "fit",
    "orthogonalized",
    "project",
    "projection_error",
    "search",
]
