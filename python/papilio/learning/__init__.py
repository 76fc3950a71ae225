"""Butterflies from data: fits to samples, and orthogonal butterflies with free parameters."""

from ._fit import fit

# What layers are made by: not public.
from ._projection import TooFewError as TooFewError
from ._projection import project as project
from ._projection import projection_error as projection_error
from ._projection import search as search
from ._report import FitReport
from ._rotation import Rotation, orthogonalized

__all__ = ["FitReport", "Rotation", "fit", "orthogonalized"]
