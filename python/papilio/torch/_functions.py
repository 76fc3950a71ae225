"""Automatic differentiation of products with a chain: which road a call takes.

* Plain CPU tensors of the core's dtypes: the core, at once. Where gradients are recorded, by an
  `autograd.Function` that keeps x and the factors, nothing between them.
* Under torch.func (grad, vmap, jacrev, ...): the same Function with rules for them.
* Under torch.compile and with what stands for a tensor (fake ones): operators of torch.library.
* Under torch.jit.trace and modes that look at what torch does (make_fx, counters), and
  for other devices and dtypes: the formulas.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.autograd import forward_ad

from . import _core_products, _formulas, _ops
from ._formulas import Patterns

_PLAIN = (torch.Tensor, torch.nn.Parameter)
_tracing: Callable[[], bool] = torch._C._is_tracing
_modes: Callable[[], int] = torch._C._len_torch_dispatch_stack
_transforming = getattr(torch._C, "_are_functorch_transforms_active", lambda: True)


def product(
    x: torch.Tensor,
    factors: Sequence[torch.Tensor],
    patterns: Patterns,
    *,
    use_core: bool | None = None,
) -> torch.Tensor:
    """F times each row of x, a tensor of shape (vectors, n).

    `use_core` is for tests: False takes the formulas.
    """
    if use_core is False or not _core_products.takes(x):
        return _formulas.product(x, factors, patterns)
    if torch.compiler.is_compiling() or type(x) not in _PLAIN:
        found: torch.Tensor = torch.ops.papilio.chain(x, list(factors), _ops.flat(patterns))
        return found
    if _tracing() or _modes():  # they see torch's own products only
        return _formulas.product(x, factors, patterns)
    if _transforming():
        return ChainUnderTransforms.apply(x, patterns, *factors)
    # Tangents are carried on without gradients, too.
    if torch.is_grad_enabled() or forward_ad._current_level >= 0:
        return Chain.apply(x, patterns, *factors)
    return _core_products.product(x, factors, patterns)


class Chain(torch.autograd.Function):
    """The product, with gradients by the core.

    Its `forward` keeps what it needs itself: a `setup_context` would cost a hundred microseconds.
    """

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, patterns: Patterns, *factors: torch.Tensor
    ) -> torch.Tensor:
        ctx.save_for_backward(x, *factors)
        if forward_ad._current_level >= 0:
            ctx.save_for_forward(x, *factors)
        ctx.patterns = patterns
        return _core_products.product(x, factors, patterns)

    @staticmethod
    def backward(ctx: Any, *cotangents: torch.Tensor) -> Any:
        x, *factors = ctx.saved_tensors
        need_x, need_factors = ctx.needs_input_grad[0], any(ctx.needs_input_grad[2:])
        given = cotangents[0], x, factors, ctx.patterns, need_x, need_factors
        if _transforming():
            found = list(GradientsUnderTransforms.apply(*given[:2], *given[3:], *factors))
        elif torch.is_grad_enabled():
            found = list(Gradients.apply(*given[:2], *given[3:], *factors))
        else:
            found = _core_products.gradients(*given)
        of_x = found.pop(0) if need_x else None
        return of_x, None, *(found if need_factors else [None] * len(factors))

    @staticmethod
    def jvp(ctx: Any, *changes: Any) -> torch.Tensor:
        x, *factors = ctx.saved_tensors
        dx, _, *dfactors = changes
        return _formulas.tangent(x, dx, factors, dfactors, ctx.patterns)


class ChainUnderTransforms(Chain):
    """The product under torch.func's transforms, which want to see its context and its batches."""

    @staticmethod
    def forward(  # type: ignore[override]
        x: torch.Tensor, patterns: Patterns, *factors: torch.Tensor
    ) -> torch.Tensor:
        return _core_products.product(x, factors, patterns)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        x, ctx.patterns, *factors = inputs
        ctx.save_for_backward(x, *factors)
        ctx.save_for_forward(x, *factors)

    @staticmethod
    def vmap(
        info: Any,
        in_dims: tuple[int | None, ...],
        x: torch.Tensor,
        patterns: Patterns,
        *factors: torch.Tensor,
    ) -> tuple[torch.Tensor, int]:
        if any(dim is not None for dim in in_dims[2:]):

            def formula(x: torch.Tensor, *factors: torch.Tensor) -> torch.Tensor:
                return _formulas.product(x, factors, patterns)

            return torch.vmap(formula, (in_dims[0], *in_dims[2:]))(x, *factors), 0
        batches = x.movedim(in_dims[0], 0)
        y = product(batches.reshape(-1, x.shape[-1]), factors, patterns)
        return y.reshape(*batches.shape[:-1], y.shape[-1]), 0


class Gradients(torch.autograd.Function):
    """The gradients by the core, whose own derivatives are those of the formulas."""

    @staticmethod
    def forward(
        ctx: Any,
        cotangent: torch.Tensor,
        x: torch.Tensor,
        patterns: Patterns,
        need_x: bool,
        need_factors: bool,
        *factors: torch.Tensor,
    ) -> tuple[torch.Tensor, ...]:
        ctx.save_for_backward(cotangent, x, *factors)
        ctx.options = patterns, need_x, need_factors
        return tuple(
            _core_products.gradients(cotangent, x, factors, patterns, need_x, need_factors)
        )

    @staticmethod
    def backward(ctx: Any, *changes: torch.Tensor | None) -> Any:
        cotangent, x, *factors = ctx.saved_tensors
        of_cotangent, of_x, *of_factors = _ops.second_gradients(
            changes, cotangent, x, factors, *ctx.options
        )
        return of_cotangent, of_x, None, None, None, *of_factors


class GradientsUnderTransforms(Gradients):
    """The gradients under torch.func's transforms."""

    @staticmethod
    def forward(  # type: ignore[override]
        cotangent: torch.Tensor,
        x: torch.Tensor,
        patterns: Patterns,
        need_x: bool,
        need_factors: bool,
        *factors: torch.Tensor,
    ) -> tuple[torch.Tensor, ...]:
        return tuple(
            _core_products.gradients(cotangent, x, factors, patterns, need_x, need_factors)
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        cotangent, x = inputs[:2]
        ctx.options = inputs[2:5]
        ctx.save_for_backward(cotangent, x, *inputs[5:])
        ctx.save_for_forward(cotangent, x, *inputs[5:])

    @staticmethod
    def jvp(ctx: Any, *changes: Any) -> Any:
        cotangent, x, *factors = ctx.saved_tensors
        given = (cotangent, x, *factors)
        moved = tuple(
            torch.zeros_like(value) if change is None else change
            for value, change in zip(given, (*changes[:2], *changes[5:]), strict=True)
        )

        def formula(cotangent: torch.Tensor, x: torch.Tensor, *factors: torch.Tensor) -> Any:
            return tuple(_formulas.gradients(cotangent, x, factors, *ctx.options))

        return torch.func.jvp(formula, given, moved)[1]

    @staticmethod
    def vmap(
        info: Any,
        in_dims: tuple[int | None, ...],
        cotangent: torch.Tensor,
        x: torch.Tensor,
        patterns: Patterns,
        need_x: bool,
        need_factors: bool,
        *factors: torch.Tensor,
    ) -> Any:
        # Each member of the batch has gradients of its own.
        def formula(cotangent: torch.Tensor, x: torch.Tensor, *factors: torch.Tensor) -> Any:
            return tuple(_formulas.gradients(cotangent, x, factors, patterns, need_x, need_factors))

        found = torch.vmap(formula, (*in_dims[:2], *in_dims[5:]))(cotangent, x, *factors)
        return found, (0,) * len(found)
