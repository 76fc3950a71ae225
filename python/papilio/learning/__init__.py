"""Butterflies from data: fits to samples, and orthogonal butterflies with free parameters."""

from ._fit import fit
from ._report import FitReport
from ._rotation import Rotation, orthogonalized

__all__ = ["FitReport", "Rotation", "fit", "orthogonalized"]
