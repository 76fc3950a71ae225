"""Products with a chain and their derivatives in plain torch operations, for any device and dtype.

Vectors are the rows of x, a tensor of shape (vectors, n). A factor W of shape (a, b, c, d) takes
``x[n, i, k, l]`` to ``y[n, i, j, l] = sum_k W[i, j, k, l] x[n, i, k, l]``: a batched product with
a * d small matrices. Everything here can be differentiated again, by any means that torch has.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .._chains.architecture import Architecture

Patterns = tuple[tuple[int, int, int, int], ...]


def patterns_of(architecture: Architecture) -> Patterns:
    """As the products take them."""
    return tuple((p.a, p.b, p.c, p.d) for p in architecture)


def times(
    x: torch.Tensor, values: torch.Tensor, pattern: tuple[int, int, int, int]
) -> torch.Tensor:
    """One factor times each row of x."""
    a, b, c, d = pattern
    blocks = x.reshape(-1, a, c, d)
    y = torch.einsum("ijkl,nikl->nijl", values.expand(a, b, c, d), blocks)
    return y.reshape(-1, a * b * d)


def _adjoint(
    g: torch.Tensor, values: torch.Tensor, pattern: tuple[int, int, int, int]
) -> torch.Tensor:
    a, b, c, d = pattern
    return times(g, values.conj().transpose(1, 2), (a, c, b, d))


def product(x: torch.Tensor, factors: Sequence[torch.Tensor], patterns: Patterns) -> torch.Tensor:
    """F times each row of x, factor by factor from the right."""
    for values, pattern in zip(reversed(factors), reversed(patterns), strict=True):
        x = times(x, values, pattern)
    return x


def gradients(
    cotangent: torch.Tensor,
    x: torch.Tensor,
    factors: Sequence[torch.Tensor],
    patterns: Patterns,
    need_x: bool,
    need_factors: bool,
) -> list[torch.Tensor]:
    """The cotangents of x (if needed) and of all factors (if needed), in this order."""
    found = []
    inputs = [x]
    if need_factors:
        for values, pattern in zip(reversed(factors[1:]), reversed(patterns[1:]), strict=True):
            inputs.append(times(inputs[-1], values, pattern))
    for number, (values, (a, b, c, d)) in enumerate(zip(factors, patterns, strict=True)):
        if need_factors:
            taken = inputs[len(factors) - 1 - number].reshape(-1, a, c, d)
            outer = torch.einsum("nijl,nikl->ijkl", cotangent.reshape(-1, a, b, d), taken.conj())
            found.append(outer.sum_to_size(values.shape))  # over the axes of tied values
        if need_x or number < len(factors) - 1:
            cotangent = _adjoint(cotangent, values, (a, b, c, d))
    return [cotangent, *found] if need_x else found


def tangent(
    x: torch.Tensor,
    dx: torch.Tensor | None,
    factors: Sequence[torch.Tensor],
    dfactors: Sequence[torch.Tensor | None],
    patterns: Patterns,
) -> torch.Tensor:
    """The directional derivative of the product."""
    dy = torch.zeros_like(x) if dx is None else dx
    for values, change, pattern in zip(
        reversed(factors), reversed(dfactors), reversed(patterns), strict=True
    ):
        dy = times(dy, values, pattern)
        if change is not None:
            dy = dy + times(x, change, pattern)
        x = times(x, values, pattern)
    return dy
