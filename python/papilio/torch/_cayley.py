"""Cayley's transform of skew-symmetric matrices of any size, which is orthogonal up to rounding.

As `papilio.learning.Rotation` computes it. Its derivatives need the result only: with
``(1 + S)^-1 = (1 + Q) / 2``, a change dS makes ``dQ = -(1 + Q) dS (1 + Q) / 2``.
"""

from __future__ import annotations

from typing import Any

import torch

#: As in papilio.learning: what solving leaves where it loses nothing, in units of rounding.
_ROUNDING = 16


def cayley(skew: torch.Tensor) -> torch.Tensor:
    """``(1 - S) (1 + S)^-1`` of matrices (..., b, b), in their dtype."""
    # Apple's GPUs have no double precision.
    wide = torch.float32 if skew.device.type == "mps" else torch.float64
    given = skew.to(wide)
    if _seen_as_one_step(given):
        found: torch.Tensor = torch.ops.papilio.cayley(given)
    else:
        found = _Cayley.apply(given)
    return found.to(skew.dtype)


def _seen_as_one_step(skew: torch.Tensor) -> bool:
    """Whether somebody records operators, or there are no values to decide by."""
    recorded = torch.compiler.is_compiling() or torch.jit.is_tracing()
    return recorded or type(skew) is not torch.Tensor or skew.is_meta


def _turned(skew: torch.Tensor) -> torch.Tensor:
    one = torch.eye(skew.shape[-1], dtype=skew.dtype, device=skew.device)
    # (1 - S) and (1 + S)^-1 commute.
    found, _ = torch.linalg.solve_ex(one + skew, one - skew)
    away = (found.mT @ found - one).abs().amax((-2, -1))
    # What is infinite has no transform, and stays without one.
    sizes = skew.abs().amax((-2, -1))
    eps = torch.finfo(skew.dtype).eps
    kept = (away <= _ROUNDING * len(one) * eps) & (sizes <= eps**-0.5)
    lost = torch.isfinite(sizes) & ~kept
    if lost.any():
        largest = sizes[lost][:, None, None]
        u, _, vh = torch.linalg.svd(one / largest + skew[lost] / largest)
        turned = (u @ vh).mT
        found[lost] = turned @ turned
    return found


def _pulled(turned: torch.Tensor, cotangent: torch.Tensor) -> torch.Tensor:
    whole = _plus_one(turned).mT
    return -0.5 * (whole @ cotangent @ whole)


def _plus_one(turned: torch.Tensor) -> torch.Tensor:
    return turned + torch.eye(turned.shape[-1], dtype=turned.dtype, device=turned.device)


class _Cayley(torch.autograd.Function):
    @staticmethod
    def forward(skew: torch.Tensor) -> torch.Tensor:
        return _turned(skew)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        ctx.save_for_backward(output)
        ctx.save_for_forward(output)

    @staticmethod
    def backward(ctx: Any, *cotangents: torch.Tensor) -> torch.Tensor:
        (turned,) = ctx.saved_tensors
        return _pulled(turned, cotangents[0])

    @staticmethod
    def jvp(ctx: Any, *changes: Any) -> torch.Tensor:
        (turned,) = ctx.saved_tensors
        whole = _plus_one(turned)
        return -0.5 * (whole @ changes[0] @ whole)

    @staticmethod
    def vmap(info: Any, in_dims: Any, skew: torch.Tensor) -> tuple[torch.Tensor, int]:
        return _Cayley.apply(skew.movedim(in_dims[0], 0)), 0


torch.library.define("papilio::cayley", "(Tensor skew) -> Tensor")


@torch.library.impl("papilio::cayley", "CompositeExplicitAutograd")
def _as_operator(skew: torch.Tensor) -> torch.Tensor:
    return _turned(skew)


@torch.library.register_fake("papilio::cayley")
def _shape(skew: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(skew, memory_format=torch.contiguous_format)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    ctx.save_for_backward(output)


def _differentiate(ctx: Any, cotangent: torch.Tensor) -> torch.Tensor:
    (turned,) = ctx.saved_tensors
    return _pulled(turned, cotangent)


torch.library.register_autograd("papilio::cayley", _differentiate, setup_context=_keep)
