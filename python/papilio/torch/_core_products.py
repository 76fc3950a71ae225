"""Products of CPU tensors by papilio's core, which reads and writes their memory in place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from .. import _core
from ._formulas import Patterns
from ._threads import follow

_Array = np.ndarray[Any, Any]
NUMPYS: dict[torch.dtype, np.dtype[Any]] = {
    torch.float32: np.dtype(np.float32),
    torch.float64: np.dtype(np.float64),
    torch.complex64: np.dtype(np.complex64),
    torch.complex128: np.dtype(np.complex128),
}


def takes(x: torch.Tensor) -> bool:
    """Whether the core can multiply tensors like this one."""
    return x.dtype in NUMPYS and x.is_cpu


def array(x: torch.Tensor) -> _Array:
    """The memory of a CPU tensor as an array."""
    plain = x.detach()
    try:
        seen: _Array = plain.numpy()
    except RuntimeError:  # a view that stands for conjugate or negative values
        seen = plain.resolve_conj().resolve_neg().numpy()
    return seen


def product(x: torch.Tensor, factors: Sequence[torch.Tensor], patterns: Patterns) -> torch.Tensor:
    """F times each row of x."""
    follow()
    a, b, _, d = patterns[0]
    dtype = x.dtype
    y = torch.empty(x.size(0), a * b * d, dtype=dtype)
    core = _chain(patterns, dtype)
    # The core looks at plain tensors itself. Views that stand for conjugate values and the like,
    # those without entries, and all where torch lacks that interface, come as arrays.
    if not core.multiply_tensors(factors, x, y):
        core.multiply([_values(f) for f in factors], array(x), y.numpy(), 1)
    return y


def gradients(
    cotangent: torch.Tensor,
    x: torch.Tensor,
    factors: Sequence[torch.Tensor],
    patterns: Patterns,
    need_x: bool,
    need_factors: bool,
) -> list[torch.Tensor]:
    """As the formulas' `gradients`; what the factors multiplied is computed again."""
    if not need_factors:
        turned = [values.conj().transpose(1, 2) for values in reversed(factors)]
        adjoint = tuple((a, c, b, d) for a, b, c, d in reversed(patterns))
        return [product(cotangent, turned, adjoint)] if need_x else []
    follow()
    of_x = [torch.empty(x.shape, dtype=x.dtype)] if need_x else []
    of_factors = [torch.empty(values.shape, dtype=x.dtype) for values in factors]
    core = _chain(patterns, x.dtype)
    if not core.pull_back_tensors(factors, x, cotangent, of_x[0] if need_x else None, of_factors):
        core.pull_back(
            [_values(values) for values in factors],
            array(x),
            array(cotangent),
            1,
            of_x[0].numpy() if need_x else None,
            [gradient.numpy() for gradient in of_factors],
        )
    return of_x + of_factors


def ready_call(
    x: torch.Tensor, factors: Sequence[torch.Tensor], patterns: Patterns
) -> Callable[[], None]:
    """The core's own part of `product`, for measurements of what the rest takes."""
    core = _chain(patterns, x.dtype)
    y = np.empty_like(product(x, factors, patterns).numpy())
    arrays, inputs = [_values(values) for values in factors], array(x)
    return lambda: core.multiply(arrays, inputs, y, 1)


def _values(factor: torch.Tensor) -> _Array:
    # Strides of 0 would mean tied values, which have gradients of another shape.
    return array(factor if factor.is_contiguous() else factor.contiguous())


@lru_cache(maxsize=1024)
def _chain(patterns: Patterns, dtype: torch.dtype) -> _core.Gradients:
    return _core.Gradients(patterns, NUMPYS[dtype], None, None)
