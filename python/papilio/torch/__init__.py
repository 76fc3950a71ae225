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
from ._layers import ButterflyLinear, LowRankLinear, MonarchLinear

__all__ = [
    "ButterflyLinear",
    "LowRankLinear",
    "MonarchLinear",
    "apply",
    "butterfly",
]
