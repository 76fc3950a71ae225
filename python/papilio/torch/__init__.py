"""Layers for PyTorch: linear maps of few weights, with gradients by papilio's core.

CPU tensors go to the core without copies, those of other devices and dtypes through torch's own
batched products. Needs PyTorch (``pip install 'papilio[torch]'``); ``import papilio`` never imports
it.
"""

try:
    import torch as _torch  # noqa: F401
except ImportError as error:  # pragma: no cover
    raise ImportError("papilio.torch needs PyTorch: pip install 'papilio[torch]'") from error

from ._functional import apply, butterfly
from ._groups import param_groups
from ._layers import ButterflyLinear, LowRankLinear, MonarchLinear
from ._masks import analyze_network
from ._projection import LayerReport
from ._replace import Replacement, ReplacementTable, replace_linear
from ._rotation import ButterflyRotation

__all__ = [
    "ButterflyLinear",
    "ButterflyRotation",
    "LayerReport",
    "LowRankLinear",
    "MonarchLinear",
    "Replacement",
    "ReplacementTable",
    "analyze_network",
    "apply",
    "butterfly",
    "param_groups",
    "replace_linear",
]
