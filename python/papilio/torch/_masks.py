"""analyze_network of a model: its layers' masks to the analysis of sparse networks."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch
from torch import nn

from .._util.checks import one_of, shown
from ..supports import NetworkReport
from ..supports import analyze_network as analyze_masks
from ._layers import ButterflyLinear

# What stands between linear layers without changing whether an optimum exists.
_TRANSPARENT = (nn.Identity, nn.Dropout, nn.Flatten)


def analyze_network(model: nn.Module, activation: str | None = None) -> NetworkReport:
    """Say whether training a sparse feed-forward model has an optimum for all data.

    Parameters
    ----------
    model : torch.nn.Module
        A chain of `torch.nn.Linear` in the order of their use, such as a `torch.nn.Sequential`.
        Pruned ones (`torch.nn.utils.prune`) tell their masks, others where they are zero. Of a
        model without activations, layers of this package count with all their factors.
    activation : {"relu", "identity"}, optional
        Of all hidden neurons. Default: what stands between the layers.

    Returns
    -------
    NetworkReport
        See `papilio.analyze_network`.

    Raises
    ------
    TypeError, ValueError
        For modules that the analysis doesn't know, and as `papilio.analyze_network`.

    Examples
    --------
    >>> import torch
    >>> import papilio.torch as pt
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU(), torch.nn.Linear(4, 4))
    >>> with torch.no_grad():
    ...     model[0].weight.tril_(), model[2].weight.triu_()
    (...)
    >>> pt.analyze_network(model).has_minimizer
    False
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is {shown(model)}, expected a torch.nn.Module")
    if activation is not None:
        activation = one_of(activation, "activation", ("relu", "identity"))
    steps = [module for module in model.modules() if _is_step(module)]
    kinds = nn.Linear, ButterflyLinear
    layers = [n for n, module in enumerate(steps) if isinstance(module, kinds)]
    if not layers:
        raise ValueError("model has no linear layers")
    if activation is None:
        activation = _activation_of(steps, layers)
    masks: list[Any] = []
    for n in layers:
        masks += _masks_of(steps[n], activation)
    return analyze_masks(masks, activation)  # type: ignore[arg-type]


def _is_step(module: nn.Module) -> bool:
    """Whether a module computes something itself."""
    if isinstance(module, ButterflyLinear):
        return True
    return not isinstance(module, nn.ParameterList) and next(module.children(), None) is None


def _activation_of(steps: list[nn.Module], layers: list[int]) -> str:
    found = set()
    for first, second in itertools.pairwise(layers):
        between = [m for m in steps[first + 1 : second] if not isinstance(m, _TRANSPARENT)]
        unknown = [m for m in between if not isinstance(m, nn.ReLU)]
        if unknown:
            raise ValueError(
                f"model has a {type(unknown[0]).__name__} between its layers, expected ReLU or "
                "nothing"
            )
        found.add("relu" if between else "identity")
    if len(found) > 1:
        raise ValueError("model has ReLU between some layers only, expected between all or none")
    return found.pop() if found else "relu"


def _masks_of(layer: Any, activation: str) -> list[Any]:
    """From the inputs to the outputs."""
    if isinstance(layer, nn.Linear):
        mask = getattr(layer, "weight_mask", layer.weight)
        return [_nonzero(mask)]
    if activation != "identity":
        raise TypeError(
            f"model has a {type(layer).__name__} beside ReLU: the analysis takes dense layers with "
            "masks there"
        )
    if layer.architecture.shape != (layer.out_features, layer.in_features):
        raise ValueError(f"model has a padded layer, {layer!r}, expected sizes with radices")
    return [pattern.support() for pattern in reversed(layer.architecture)]


def _nonzero(values: torch.Tensor) -> np.ndarray[Any, Any]:
    found: np.ndarray[Any, Any] = (values.detach() != 0).cpu().numpy()
    return found
