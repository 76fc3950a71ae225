"""Initial values of factors."""

from __future__ import annotations

import math
from typing import Any

import scipy.linalg
import torch

from .._util.checks import one_of
from ..operators import Butterfly
from ._formulas import Patterns

NAMES = ("orthogonal", "lecun", "he", "linear", "identity", "hadamard")
# What the product multiplies the variance of its inputs by.
_GAINS = {"lecun": 1.0, "he": 2.0, "linear": 1 / 3}


@torch.no_grad()
def fill(factors: Any, patterns: Patterns, init: str | Butterfly) -> None:
    """Set the values of a layer's factors."""
    if isinstance(init, Butterfly):
        for values, given in zip(factors, init.factors, strict=True):
            values.copy_(torch.tensor(given).expand(values.shape))
        return
    one_of(init, "init", NAMES)
    for values, pattern in zip(factors, patterns, strict=True):
        values.copy_(_values(init, pattern, len(factors), values))


def _values(
    init: str, pattern: tuple[int, int, int, int], levels: int, like: torch.Tensor
) -> torch.Tensor:
    a, b, c, d = pattern
    small = like.dtype in (torch.float16, torch.bfloat16)
    options: dict[str, Any] = {
        "dtype": torch.float32 if small else like.dtype,
        "device": like.device,
    }
    if init == "orthogonal":
        normal = torch.randn(a, d, max(b, c), min(b, c), **options)
        q, r = torch.linalg.qr(normal)
        # Of the uniform distribution: with signs that don't depend on the algorithm.
        q = q * torch.sgn(torch.diagonal(r, dim1=-2, dim2=-1)).unsqueeze(-2)
        blocks = q * math.sqrt(b / c) if b >= c else q.transpose(-1, -2)
        return blocks.permute(0, 2, 3, 1)
    if init in _GAINS:
        deviation = math.sqrt(_GAINS[init] ** (1 / levels) / c)
        return torch.randn(a, b, c, d, **options) * deviation
    if init == "identity":
        return torch.eye(b, c, **options)[None, :, :, None].expand(a, b, c, d)
    if b & (b - 1) or c & (c - 1):
        raise ValueError(
            f"init is 'hadamard', which needs blocks of powers of two, not of {b} x {c}"
        )
    signs = torch.tensor(scipy.linalg.hadamard(max(b, c))[:b, :c], **options)
    return (signs / math.sqrt(c))[None, :, :, None].expand(a, b, c, d)
