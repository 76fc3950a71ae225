"""Functions: products of tensors with factors, and with operators that don't change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .._chains.architecture import Architecture
from .._util.checks import items_of, shown
from ..operators import Operator
from ._arrays import Product
from ._formulas import Patterns, patterns_of
from ._functions import product


def butterfly(
    x: torch.Tensor, factors: Sequence[torch.Tensor], architecture: Architecture | None = None
) -> torch.Tensor:
    """Multiply the last axis of x by a product of Kronecker-sparse factors.

    Parameters
    ----------
    x : Tensor, shape (..., n)
        Vectors along the last axis.
    factors : sequence of Tensor
        4-D tensors ``values[i, j, k, l]`` of shape (a, b, c, d), left to right, as the factors of
        `papilio.Butterfly`, of x's dtype and on its device.
    architecture : Architecture, optional
        The patterns; needed for tied factors only, which have length 1 along a or d.

    Returns
    -------
    Tensor, shape (..., m)

    Raises
    ------
    TypeError, ValueError
        For what isn't a tensor, factors that don't fit, sizes, dtypes or devices that don't.

    Notes
    -----
    CPU tensors of float32, float64, complex64 and complex128 go to papilio's core in place; others
    run as torch's batched products. For the backward pass x and the factors are kept, nothing
    between them. Under autocast x and the factors are computed with in the factors' dtype.

    Examples
    --------
    >>> import torch
    >>> import papilio.torch as pt
    >>> block = torch.tensor([[1.0, 1.0], [1.0, -1.0]])[None, :, :, None]
    >>> factors = [block.expand(1, 2, 2, 2), block.expand(2, 2, 2, 1)]
    >>> pt.butterfly(torch.arange(4.0), factors)
    tensor([ 6., -2., -4.,  0.])
    """
    given = items_of(factors, "factors", "a sequence of tensors")
    if not isinstance(x, torch.Tensor):
        raise TypeError(f"x is {shown(x)}, expected a tensor")
    if not given:
        raise ValueError("factors is empty, expected at least one 4-D tensor")
    for n, values in enumerate(given):
        if not isinstance(values, torch.Tensor):
            raise TypeError(f"factors[{n}] is {shown(values)}, expected a tensor")
        if values.ndim != 4:
            raise ValueError(f"factors[{n}] has {values.ndim} axes, expected 4: (a, b, c, d)")
        if values.dtype != given[0].dtype or values.device != given[0].device:
            raise TypeError(
                f"factors[{n}] is of {values.dtype} on {values.device}, expected "
                f"{given[0].dtype} on {given[0].device}, as factors[0]"
            )
    if architecture is None:
        architecture = Architecture(tuple(values.shape) for values in given)
    elif not isinstance(architecture, Architecture):
        raise TypeError(f"architecture is {shown(architecture)}, expected an Architecture")
    if len(architecture) != len(given):
        raise ValueError(
            f"architecture has {len(architecture)} patterns but factors has {len(given)} tensors"
        )
    for n, (values, pattern) in enumerate(zip(given, architecture, strict=True)):
        if not pattern.fits_values(tuple(values.shape)):
            raise ValueError(
                f"factors[{n}] has shape {tuple(values.shape)}, expected {tuple(pattern)} "
                "(or 1 along a or d for tied values)"
            )
    return times_last_axis(x, given, patterns_of(architecture), architecture.shape[1])


def apply(F: Operator, x: torch.Tensor) -> torch.Tensor:
    """Multiply the last axis of x by a papilio operator that doesn't change.

    Parameters
    ----------
    F : Operator
        Any: a transform, what `factorize` or `compress` found, a composition, a sum, ...
    x : Tensor, shape (..., n)
        On the CPU.

    Returns
    -------
    Tensor, shape (..., m)
        In the dtype that ``F.apply`` gives. Gradients flow to x, by products with ``F.H``.

    Raises
    ------
    TypeError, ValueError
        For what isn't an operator or a CPU tensor, or sizes that don't fit.

    Notes
    -----
    Linear in x, so that it has derivatives of every order, forward, backward and under torch.func.
    torch.compile leaves it outside of its graphs.

    Examples
    --------
    >>> import torch
    >>> import papilio as pp
    >>> import papilio.torch as pt
    >>> x = torch.eye(3, 4, requires_grad=True)
    >>> y = pt.apply(pp.transforms.hadamard(4), x)
    >>> y.square().sum().backward()
    >>> bool((x.grad == 8 * x).all())
    True
    """
    if not isinstance(F, Operator):
        raise TypeError(f"F is {shown(F)}, expected an operator of papilio")
    if not isinstance(x, torch.Tensor) or x.device.type != "cpu":
        raise TypeError(f"x is {shown(x)}, expected a tensor on the CPU")
    if x.ndim == 0 or x.shape[-1] != F.shape[1]:
        raise ValueError(f"x has shape {tuple(x.shape)}, expected (..., {F.shape[1]})")
    return _apply(F, x)


@torch.compiler.disable
def _apply(F: Operator, x: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = Product.apply(x, F, x.ndim - 1)
    return found.contiguous()


def times_last_axis(
    x: torch.Tensor, factors: Sequence[torch.Tensor], patterns: Patterns, columns: int
) -> torch.Tensor:
    """The product along the last axis; the factors were checked."""
    if not isinstance(x, torch.Tensor):
        raise TypeError(f"x is {shown(x)}, expected a tensor")
    dtype, shape = factors[0].dtype, x.shape
    # What says no more than yes or no is asked first: objects for devices cost more.
    if not (x.is_cpu and factors[0].is_cpu) and x.device != factors[0].device:
        raise TypeError(f"x is on {x.device}, expected {factors[0].device}, as the factors")
    if not shape or shape[-1] != columns:
        raise ValueError(f"x has shape {tuple(shape)}, expected (..., {columns})")
    if _autocasting(x) and x.is_floating_point():
        with torch.autocast(x.device.type, enabled=False):
            return _product(x.to(dtype), factors, patterns)
    if x.dtype != dtype:
        raise TypeError(f"x is of {x.dtype}, expected {dtype}, as the factors")
    return _product(x, factors, patterns)


def _autocasting(x: torch.Tensor) -> bool:
    if x.is_cpu:
        return torch.is_autocast_enabled("cpu")
    device = x.device.type
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)


def _product(x: Any, factors: Sequence[torch.Tensor], patterns: Patterns) -> torch.Tensor:
    if x.ndim == 2:
        return product(x, factors, patterns)
    y = product(x.reshape(-1, x.shape[-1]), factors, patterns)
    return y.reshape(*x.shape[:-1], y.shape[-1])
