"""Butterflies from data: fits to samples."""

from ._fit import fit
from ._projection import project, projection_error, search
from ._report import FitReport

__all__ = ["FitReport", "fit", "project", "projection_error", "search"]
