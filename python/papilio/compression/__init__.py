"""Butterflies of matrices that are known by their entries or by products only."""

from ._checkpoint import call_of
from ._compress import Asked, asked, build, compress
from ._panels import Target
from ._product import Vectors, last_times, leaf_rows, product_row, product_vectors, row_size
from ._report import CompressionReport, CompressionWarning
from ._scheme import IncompressibleError, Scheme
from ._shares import Built, Residuals, Shares
from ._team import evaluate, totals

__all__ = [
    "Asked",
    "Built",
    "CompressionReport",
    "CompressionWarning",
    "IncompressibleError",
    "Residuals",
    "Scheme",
    "Shares",
    "Target",
    "Vectors",
    "asked",
    "build",
    "call_of",
    "compress",
    "evaluate",
    "last_times",
    "leaf_rows",
    "product_row",
    "product_vectors",
    "row_size",
    "totals",
]
