"""param_groups: how the factors of a product are trained."""

from __future__ import annotations

from typing import Any

from torch import nn

from .._util.checks import finite_number, shown
from ._layers import ButterflyLinear
from ._rotation import ButterflyRotation


def param_groups(model: nn.Module, lr: float, weight_decay: float = 0.0) -> list[dict[str, Any]]:
    """Return the parameters of a model in groups for an optimizer such as AdamW.

    Factors have a learning rate of their own: of a product of L factors, factor l with blocks of c
    columns in a layer of n inputs, ``lr * n / (c * L)``, so that a step changes the outputs of the
    layer about as much as it changes those of a dense layer at `lr`. They have no weight decay,
    which would shrink a product L times as fast, and not evenly; nor have vectors and numbers, such
    as biases. Everything else, such as dense weights, has `lr` and `weight_decay`.

    Parameters
    ----------
    model : torch.nn.Module
    lr : float
        For a dense layer.
    weight_decay : float, default 0

    Returns
    -------
    list of dict
        With keys ``"params"``, ``"lr"``, ``"weight_decay"``, without empty groups.

    Raises
    ------
    TypeError, ValueError
        For what isn't a module, or numbers below 0.

    Notes
    -----
    Adam's steps are about `lr` for each entry, whatever the gradient. An entry of the dense weight
    is met by n inputs, one of a factor by c, and L factors change at a time.

    Examples
    --------
    >>> import torch
    >>> import papilio.torch as pt
    >>> model = torch.nn.Sequential(pt.MonarchLinear(64, 64), torch.nn.Linear(64, 10))
    >>> groups = pt.param_groups(model, lr=1e-3, weight_decay=0.1)
    >>> [(len(group["params"]), group["lr"], group["weight_decay"]) for group in groups]
    [(2, 0.004, 0.0), (1, 0.001, 0.1), (2, 0.001, 0.0)]
    >>> optimizer = torch.optim.AdamW(groups)
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is {shown(model)}, expected a torch.nn.Module")
    rate = finite_number(lr, "lr", positive=True)
    decay = finite_number(weight_decay, "weight_decay")
    rates: dict[nn.Parameter, float] = {}
    undecayed: set[nn.Parameter] = set()
    for module in model.modules():
        if isinstance(module, ButterflyLinear):
            undecayed.update(module.factors.parameters())
            shapes = {tuple(pattern) for pattern in module.architecture}
            for factor in module.factors.parameters():
                if tuple(factor.shape) in shapes:  # else a parametrization makes factors of it
                    share = factor.shape[2] * len(module.architecture)
                    rates[factor] = rate * module.in_features / share
        elif isinstance(module, ButterflyRotation):
            undecayed.update(module.parameters())
    groups: dict[tuple[bool, float, float], list[nn.Parameter]] = {}
    for parameter in model.parameters():
        free = parameter in rates or parameter in undecayed or parameter.ndim < 2
        key = parameter in rates, rates.get(parameter, rate), 0.0 if free else decay
        groups.setdefault(key, []).append(parameter)
    ordered = sorted(groups, key=lambda key: (not key[0], key[1], -key[2]))
    return [{"params": groups[key], "lr": key[1], "weight_decay": key[2]} for key in ordered]
