"""Butterflies from data: fits to samples."""

from ._fit import fit
from ._report import FitReport

__all__ = ["FitReport", "fit"]
