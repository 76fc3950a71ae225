"""Products of operators with tensors by `@` and `apply`: tensors, through which gradients flow.

Imported when a tensor is multiplied, by nobody else.
"""

from __future__ import annotations

from typing import Any

import torch

from .._util.checks import axis_number, shown
from ._core_products import array


def apply(F: Any, x: torch.Tensor, out: Any, axis: Any) -> Any:
    """``F.apply(x, out=out, axis=axis)`` of a CPU tensor, as a tensor.

    Examples
    --------
    >>> import torch
    >>> import papilio as pp
    >>> pp.transforms.hadamard(4) @ torch.ones(4)
    tensor([4., 0., 0., 0.], dtype=torch.float64)
    """
    if x.device.type != "cpu":
        raise TypeError(f"x is on {x.device}, expected a tensor on the CPU: x.cpu()")
    axis = axis_number(axis, x.ndim)
    if out is None:
        found: torch.Tensor = _Product.apply(x, F, axis)
        return found
    recorded = torch.is_grad_enabled() and x.requires_grad
    if recorded or (isinstance(out, torch.Tensor) and out.requires_grad):
        raise ValueError(
            f"out is {shown(out)}, expected None: products into memory that is there have no "
            "gradients (x.detach() and torch.no_grad() do without)"
        )
    if isinstance(out, torch.Tensor) and out.is_cpu:
        F.apply(array(x), out=out.numpy(), axis=axis)
    else:
        F.apply(array(x), out=out, axis=axis)
    return out


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(x: torch.Tensor, F: Any, axis: int) -> torch.Tensor:
        return torch.from_numpy(F.apply(array(x), axis=axis))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        x, ctx.operator, ctx.axis = inputs
        ctx.real = not x.is_complex()

    @staticmethod
    def backward(ctx: Any, *cotangents: torch.Tensor) -> Any:
        gradient = _Product.apply(cotangents[0], ctx.operator.H, ctx.axis)
        real = ctx.real and gradient.is_complex()
        return gradient.real if real else gradient, None, None

    @staticmethod
    def jvp(ctx: Any, *changes: Any) -> torch.Tensor:
        found: torch.Tensor = _Product.apply(changes[0], ctx.operator, ctx.axis)
        return found
