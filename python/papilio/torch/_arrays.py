"""Products of operators with tensors by `@` and `apply`: tensors, through which gradients flow.

Imported when a tensor is multiplied, by nobody else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from .._util.checks import axis_number, shown
from ._core_products import NUMPYS, array


def apply(F: Any, x: torch.Tensor, out: Any, axis: Any) -> Any:
    """``F.apply(x, out=out, axis=axis)`` of a CPU tensor, as a tensor.

    Examples
    --------
    >>> import torch
    >>> import papilio as pp
    >>> pp.transforms.hadamard(4) @ torch.ones(4)
    tensor([4., 0., 0., 0.], dtype=torch.float64)
    """
    if out is not None:
        axis = axis_number(axis, x.ndim)
        written(lambda x, out: F.apply(x, out=out, axis=axis), x, out)
        return out
    _check_device(x)
    found: torch.Tensor = Product.apply(x, F, axis_number(axis, x.ndim))
    return found


def written(write: Callable[[Any, Any], object], x: torch.Tensor, out: Any) -> Any:
    """out, to which ``write(x, out)`` has written, both of them arrays."""
    _check_device(x)
    _check_traced(torch.jit.is_tracing())
    recorded = torch.is_grad_enabled() and x.requires_grad
    if recorded or (isinstance(out, torch.Tensor) and out.requires_grad):
        raise ValueError(
            f"out is {shown(out)}, expected None: products into memory that is there have no "
            "gradients (x.detach() and torch.no_grad() do without)"
        )
    taken = out
    if isinstance(out, torch.Tensor) and out.is_cpu:
        if out.dtype not in NUMPYS:
            raise TypeError(f"out is of {out.dtype}, expected a dtype that the core writes")
        if out.is_conj() or out.is_neg():
            raise ValueError(
                "out is a view of numbers that are conjugated or negated when they are read, "
                "expected the numbers themselves (out.resolve_conj().resolve_neg() copies)"
            )
        taken = out.numpy()
    write(values_of(x), taken)
    if isinstance(out, torch.Tensor) and not out.is_inference():
        # Gradients that need what was there are errors, as where torch writes itself.
        torch.autograd.graph.increment_version(out)
    return out


def values_of(x: torch.Tensor, name: str = "x") -> np.ndarray[Any, Any]:
    """The values of a tensor as an array; what is shorter than float32 becomes that."""
    plain = x.detach().cpu()
    if x.is_floating_point() and x.element_size() < 4:
        plain = plain.float()
    elif x.dtype is torch.complex32:
        plain = plain.to(torch.complex64)
    try:
        return array(plain)
    except TypeError:  # of NumPy, for layouts and dtypes that it doesn't know
        raise TypeError(
            f"{name} is of {x.dtype} in layout {x.layout}, expected a dense tensor of "
            "floating-point numbers, integers or bools"
        ) from None


def _check_device(x: torch.Tensor) -> None:
    if x.device.type != "cpu":
        raise TypeError(f"x is on {x.device}, expected a tensor on the CPU: x.cpu()")


def _check_traced(by_jit: bool = False) -> None:
    """Raise where a graph would hold what is computed now as a constant."""
    if by_jit or torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.PROXY) is not None:
        raise TypeError(
            "x is traced, expected a tensor with values: NumPy's memory is no part of traced graphs"
        )


class Product(torch.autograd.Function):
    """F x along an axis, F an operator that doesn't change."""

    @staticmethod
    def forward(x: torch.Tensor, F: Any, axis: int) -> torch.Tensor:
        _check_traced()
        return torch.from_numpy(F.apply(values_of(x), axis=axis))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        x, ctx.operator, ctx.axis = inputs
        ctx.real = not x.is_complex()

    @staticmethod
    def backward(ctx: Any, *cotangents: torch.Tensor) -> Any:
        gradient = Product.apply(cotangents[0], ctx.operator.H, ctx.axis)
        real = ctx.real and gradient.is_complex()
        return gradient.real if real else gradient, None, None

    @staticmethod
    def jvp(ctx: Any, *changes: Any) -> torch.Tensor:
        found: torch.Tensor = Product.apply(changes[0], ctx.operator, ctx.axis)
        return found

    @staticmethod
    def vmap(
        info: Any, in_dims: Any, x: torch.Tensor, F: Any, axis: int
    ) -> tuple[torch.Tensor, int]:
        return Product.apply(x.movedim(in_dims[0], 0), F, axis + 1), 0
