"""Linear operators: butterflies, compositions, sections."""

from ._butterfly import Butterfly, from_owned
from ._composition import Composition
from ._files import load, replacing
from ._kronecker import along_axes, kron
from ._lowering import complex_rows, real_part
from ._parts import Pairs, Part, Sparse
from ._plan import Candidate, Plan, plan
from ._report import Report
from ._section import Section
from ._simplify import FactorChange, Simplification

__all__ = [
    "Butterfly",
    "Candidate",
    "Composition",
    "FactorChange",
    "Pairs",
    "Part",
    "Plan",
    "Report",
    "Section",
    "Simplification",
    "Sparse",
    "along_axes",
    "complex_rows",
    "from_owned",
    "kron",
    "load",
    "plan",
    "real_part",
    "replacing",
]
