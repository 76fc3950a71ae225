"""Initial values of factors."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from .._chains.architecture import Architecture
from .._util.checks import shown
from ..operators import Butterfly

# Of what has no counterpart in NumPy, values are drawn in single precision.
_NUMPY = {torch.float64: np.float64, torch.complex64: np.complex64, torch.complex128: np.complex128}


def architecture_of(init: Butterfly, inputs: int, outputs: int) -> Architecture:
    """Of what a layer of these sizes is to start from."""
    rows, columns = init.shape
    if rows < outputs or columns < inputs:
        raise ValueError(
            f"init has shape {init.shape}, expected at least (out_features, in_features) = "
            f"{(outputs, inputs)}"
        )
    return init.architecture


def checked(init: Any, architecture: Architecture) -> str | Butterfly:
    """What a layer was asked to start from."""
    if not isinstance(init, Butterfly):
        if not isinstance(init, str):
            raise TypeError(f"init is {shown(init)}, expected a name or a Butterfly")
        return init
    if init.architecture != architecture:
        raise ValueError(
            f"init has the architecture {init.architecture}, expected that of the layer, "
            f"{architecture}"
        )
    if init.row_permutation is not None or init.column_permutation is not None:
        raise ValueError("init has permutations, expected a Butterfly without them")
    return init


@torch.no_grad()
def fill(factors: Any, architecture: Architecture, init: str | Butterfly) -> None:
    """Set the values of a layer's factors; torch's generator of random numbers says the seed."""
    if isinstance(init, str):
        seed = int(torch.randint(2**62, ()))
        dtype = _NUMPY.get(factors[0].dtype, np.float32)
        init = Butterfly.random(architecture, init, dtype=dtype, seed=seed)
    for values, given in zip(factors, init.factors, strict=True):
        values.copy_(torch.tensor(given).expand(values.shape))
