"""The products as operators of torch.library, which compilers and tracers see as one step each."""

from __future__ import annotations

from typing import Any

import torch

from . import _core_products, _formulas
from ._formulas import Patterns

torch.library.define("papilio::chain", "(Tensor x, Tensor[] factors, int[] patterns) -> Tensor")
torch.library.define(
    "papilio::chain_backward",
    "(Tensor cotangent, Tensor x, Tensor[] factors, int[] patterns, bool need_x, bool need_factors)"
    " -> Tensor[]",
)


def flat(patterns: Patterns) -> list[int]:
    """Patterns as operators take them: four numbers each, one after the other."""
    return [number for pattern in patterns for number in pattern]


def _patterns(numbers: list[int]) -> Patterns:
    a, b, c, d = (numbers[n::4] for n in range(4))
    return tuple(zip(a, b, c, d, strict=True))


def _rows(numbers: list[int]) -> int:
    return numbers[0] * numbers[1] * numbers[3]


@torch.library.impl("papilio::chain", "cpu")
def _chain(x: torch.Tensor, factors: list[torch.Tensor], patterns: list[int]) -> torch.Tensor:
    return _core_products.product(x, factors, _patterns(patterns))


@torch.library.register_fake("papilio::chain")
def _chain_shape(x: torch.Tensor, factors: list[torch.Tensor], patterns: list[int]) -> torch.Tensor:
    return x.new_empty((x.shape[0], _rows(patterns)))


@torch.library.impl("papilio::chain_backward", "cpu")
def _chain_backward(
    cotangent: torch.Tensor,
    x: torch.Tensor,
    factors: list[torch.Tensor],
    patterns: list[int],
    need_x: bool,
    need_factors: bool,
) -> list[torch.Tensor]:
    return _core_products.gradients(
        cotangent, x, factors, _patterns(patterns), need_x, need_factors
    )


@torch.library.register_fake("papilio::chain_backward")
def _chain_backward_shapes(
    cotangent: torch.Tensor,
    x: torch.Tensor,
    factors: list[torch.Tensor],
    patterns: list[int],
    need_x: bool,
    need_factors: bool,
) -> list[torch.Tensor]:
    of_x = [x.new_empty(x.shape)] if need_x else []
    return of_x + ([values.new_empty(values.shape) for values in factors] if need_factors else [])


def _keep(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    x, factors, patterns = inputs
    ctx.save_for_backward(x, *factors)
    ctx.patterns = patterns
    ctx.needs = x.requires_grad, any(values.requires_grad for values in factors)


def _differentiate(ctx: Any, cotangent: torch.Tensor) -> tuple[Any, ...]:
    x, *factors = ctx.saved_tensors
    need_x, need_factors = ctx.needs
    found = torch.ops.papilio.chain_backward(
        cotangent, x, factors, ctx.patterns, need_x, need_factors
    )
    of_x = found.pop(0) if need_x else None
    return of_x, found if need_factors else [None] * len(factors), None


torch.library.register_autograd("papilio::chain", _differentiate, setup_context=_keep)


def _keep_backward(ctx: Any, inputs: tuple[Any, ...], output: list[torch.Tensor]) -> None:
    cotangent, x, factors, ctx.patterns, ctx.need_x, ctx.need_factors = inputs
    ctx.save_for_backward(cotangent, x, *factors)


def _differentiate_backward(ctx: Any, changes: list[torch.Tensor | None]) -> tuple[Any, ...]:
    cotangent, x, *factors = ctx.saved_tensors
    of_cotangent, of_x, *of_factors = second_gradients(
        changes, cotangent, x, factors, _patterns(ctx.patterns), ctx.need_x, ctx.need_factors
    )
    return of_cotangent, of_x, of_factors, None, None, None


torch.library.register_autograd(
    "papilio::chain_backward", _differentiate_backward, setup_context=_keep_backward
)


def second_gradients(
    changes: Any,
    cotangent: torch.Tensor,
    x: torch.Tensor,
    factors: list[torch.Tensor],
    patterns: Patterns,
    need_x: bool,
    need_factors: bool,
) -> tuple[torch.Tensor, ...]:
    """The cotangents of what `gradients` takes, by torch's own differentiation of the formulas."""

    def formula(cotangent: torch.Tensor, x: torch.Tensor, *factors: torch.Tensor) -> Any:
        return tuple(_formulas.gradients(cotangent, x, factors, patterns, need_x, need_factors))

    outputs, pull_back = torch.func.vjp(formula, cotangent, x, *factors)
    given = tuple(
        torch.zeros_like(output) if change is None else change
        for output, change in zip(outputs, changes, strict=True)
    )
    found: tuple[torch.Tensor, ...] = pull_back(given)
    return found
