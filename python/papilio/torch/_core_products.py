"""Products of CPU tensors by papilio's core, which reads and writes their memory in place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from .. import _core
from . import _formulas
from ._formulas import Patterns
from ._threads import follow

DTYPES = frozenset({torch.float32, torch.float64, torch.complex64, torch.complex128})


def takes(x: torch.Tensor) -> bool:
    """Whether the core can multiply tensors like this one."""
    return x.dtype in DTYPES and x.device.type == "cpu"


def array(x: torch.Tensor) -> np.ndarray[Any, Any]:
    """The memory of a CPU tensor as an array."""
    seen: np.ndarray[Any, Any] = x.detach().resolve_conj().resolve_neg().numpy()
    return seen


def product(x: torch.Tensor, factors: Sequence[torch.Tensor], patterns: Patterns) -> torch.Tensor:
    """F times each row of x."""
    follow()
    operator = _operator(factors, patterns)
    a, b, _, d = patterns[0]
    y = torch.empty((x.shape[0], a * b * d), dtype=x.dtype)
    operator.apply(array(x), y.numpy(), 1, 0)
    return y


def gradients(
    cotangent: torch.Tensor,
    x: torch.Tensor,
    factors: Sequence[torch.Tensor],
    patterns: Patterns,
    need_x: bool,
    need_factors: bool,
) -> list[torch.Tensor]:
    """As the formulas' `gradients`."""
    found = _formulas.gradients(cotangent, x, factors, patterns, need_x, need_factors)
    return [gradient.contiguous() for gradient in found]


def _operator(factors: Sequence[torch.Tensor], patterns: Patterns) -> _core.Operator:
    values = [np.ascontiguousarray(array(factor)) for factor in factors]
    return _core.Operator(patterns, values, None, None)
