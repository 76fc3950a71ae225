"""Butterflies of matrices that are known by their entries or by products only."""

from ._compress import CompressionReport, CompressionWarning, compress
from ._skeletons import IncompressibleError

__all__ = ["CompressionReport", "CompressionWarning", "IncompressibleError", "compress"]
