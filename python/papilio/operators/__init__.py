"""Linear operators: butterflies, compositions, sections, and what arithmetic makes of them."""

from ._along_axis import AlongAxis
from ._as_part import dense
from ._base import Operator
from ._butterfly import Butterfly, butterfly_of, stored_factors
from ._combine import block_diag, hstack, vstack
from ._composition import Composition, no_inverse
from ._dims import shaped
from ._directory import Sharding
from ._files import load, loadable, open_parts
from ._grids import GridFourier, Interpolation
from ._kronecker import along_axes, kron
from ._lowering import complex_rows, real_part
from ._parts import Pairs, Part, Sparse
from ._plan import Candidate, Plan
from ._planning import plan
from ._quantize import Quantization
from ._real_linear import RealLinear
from ._replacing import replacing
from ._report import Report
from ._section import Section
from ._simplify import FactorChange, Simplification
from ._unfinished import Unfinished, directory_path, mapped

__all__ = [
    "AlongAxis",
    "Butterfly",
    "Candidate",
    "Composition",
    "FactorChange",
    "GridFourier",
    "Interpolation",
    "Operator",
    "Pairs",
    "Part",
    "Plan",
    "Quantization",
    "RealLinear",
    "Report",
    "Section",
    "Sharding",
    "Simplification",
    "Sparse",
    "Unfinished",
    "along_axes",
    "block_diag",
    "butterfly_of",
    "complex_rows",
    "dense",
    "directory_path",
    "hstack",
    "kron",
    "load",
    "loadable",
    "mapped",
    "no_inverse",
    "open_parts",
    "plan",
    "real_part",
    "replacing",
    "shaped",
    "stored_factors",
    "vstack",
]
