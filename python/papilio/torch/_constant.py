"""Products with operators that don't change, differentiable in x."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ..operators import Operator
from ._arrays import values_of


@torch.compiler.disable
def apply_constant(F: Operator, x: torch.Tensor) -> torch.Tensor:
    """F times the last axis of x."""
    found: torch.Tensor = _Product.apply(x, F)
    return found


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(x: torch.Tensor, F: Operator) -> torch.Tensor:
        seen = values_of(x)
        return torch.from_numpy(np.ascontiguousarray(F.apply(seen, axis=seen.ndim - 1)))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        x, ctx.operator = inputs
        ctx.real = not x.is_complex()

    @staticmethod
    def backward(ctx: Any, *cotangents: torch.Tensor) -> Any:
        gradient = _Product.apply(cotangents[0], ctx.operator.H)
        return gradient.real if ctx.real and gradient.is_complex() else gradient, None

    @staticmethod
    def jvp(ctx: Any, *changes: Any) -> torch.Tensor:
        found: torch.Tensor = _Product.apply(changes[0], ctx.operator)
        return found

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: torch.Tensor, F: Operator) -> tuple[torch.Tensor, int]:
        return _Product.apply(x.movedim(in_dims[0], 0), F), 0
