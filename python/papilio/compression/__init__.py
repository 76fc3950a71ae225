"""Butterflies of matrices that are known by their entries or by products only."""

from ._compress import compress
from ._report import CompressionReport, CompressionWarning
from ._scheme import IncompressibleError

__all__ = ["CompressionReport", "CompressionWarning", "IncompressibleError", "compress"]
