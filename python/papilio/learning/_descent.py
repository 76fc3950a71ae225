"""L-BFGS on the factors of a butterfly, in variables that make the loss round.

The loss has two reasons to be badly conditioned. One is the gauge: what a factor takes from its
neighbour changes nothing but the factors. In between runs of L-BFGS the factors are made
orthonormal around the last one, so that a change of any factor passes those to its left as long as
it is. The other is what each factor multiplies: its inputs z, what those to its right have made of
the samples. In the variables ``W = X C``, C C^H being the blocks of z z^H, each factor's own second
derivatives are the identity (up to those blocks to its left that aren't orthogonal to each other).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy

from .._chains.architecture import Architecture
from .._chains.factors import Factors
from ..operators import Butterfly, butterfly_of

_Array = np.ndarray[Any, Any]
_CYCLE = 20  # iterations between two gauges: as many as L-BFGS has pairs
_PATIENCE = 10  # iterations without a better validation loss
_DAMPING = 1e-10  # of the blocks of z z^H, relative to their size
_Watch = Callable[[Butterfly], float]


@dataclass
class Descent:
    """What an iteration has come to."""

    operator: Butterfly
    loss: float
    floor: float = 0.0  # what rounding alone leaves of the loss
    history: list[float] = field(default_factory=list)
    watched: list[float] = field(default_factory=list)
    iterations: int = 0
    evaluations: int = 0
    stopped: str = "max_iterations"


@dataclass
class _Best:
    """The iterate with the smallest loss on the samples that are held out."""

    operator: Butterfly
    held: float


class _Enough(Exception):
    """What is left is rounding, or the validation loss doesn't become better any more."""


def descend(
    start: Butterfly,
    inputs: _Array,
    outputs: _Array,
    *,
    tol: float,
    max_iterations: int,
    watch: _Watch | None,
    tell: Callable[[float], object] | None,
) -> Descent:
    """Lower ``||F inputs - outputs||^2``; `watch` gives the loss of samples that are held out."""
    state = Descent(start, _loss(start, inputs, outputs))
    state.history.append(state.loss)
    best = _Best(start, np.inf if watch is None else watch(start))
    if watch is not None:
        state.watched.append(best.held)
    rounding = 8 * len(start.factors) * float(np.finfo(np.float64).eps)  # of a product
    state.floor = (rounding * float(np.linalg.norm(outputs))) ** 2
    try:
        while state.iterations < max_iterations:
            if state.loss <= state.floor:
                raise _Enough
            before = state.loss
            more = _cycle(state, inputs, outputs, tol, max_iterations, watch, best, tell)
            if before - state.loss <= tol * before or more <= tol * state.loss:
                state.stopped = "tol"
                break
    except _Enough:
        state.stopped = "exact" if state.loss <= state.floor else "validation"
    if watch is not None:
        state.operator = best.operator
        state.loss = _loss(state.operator, inputs, outputs)
    return state


def _cycle(
    state: Descent,
    inputs: _Array,
    outputs: _Array,
    tol: float,
    max_iterations: int,
    watch: _Watch | None,
    best: _Best,
    tell: Callable[[float], object] | None,
) -> float:
    """Some iterations in one gauge; return what more of them are expected to lower the loss by."""
    F = _orthonormal(state.operator)
    whitening = _whitening(F, inputs)
    inverses = [np.linalg.inv(root) for root in whitening]
    packing = _Packing(F.factors)
    first, begin = _loss_and_gradient(F, inputs, outputs, inverses, packing)
    state.evaluations += 1
    # SciPy's first step is of length 1, and its first inverse of the second derivatives 1. Here
    # these are about 4 (twice the identity, and neighbouring factors have half of their changes in
    # common): variables and loss are scaled so that they and the gradient become 1.
    scale = 4 / float(np.linalg.norm(begin)) if begin.any() else 1.0
    unit = 4 / scale**2
    last: list[Any] = [F, first]

    def loss_and_gradient(steps: _Array) -> tuple[float, _Array]:
        if not steps.any():
            return first / unit, begin / (scale * unit)
        changes = [
            _times(array, inverse)
            for array, inverse in zip(packing.unpacked(steps / scale), inverses, strict=True)
        ]
        moved = F.with_factors([W + dW for W, dW in zip(F.factors, changes, strict=True)])
        loss, gradient = _loss_and_gradient(moved, inputs, outputs, inverses, packing)
        state.evaluations += 1
        last[:] = moved, loss
        return loss / unit, gradient / (scale * unit)

    def after(_: _Array) -> None:
        moved, loss = last
        if loss <= state.loss:
            state.operator, state.loss = moved, loss
        state.iterations += 1
        state.history.append(loss)
        if tell is not None:
            tell(min(1.0, state.iterations / max_iterations))
        if watch is not None:
            held = watch(moved)
            state.watched.append(held)
            if held < best.held:
                best.operator, best.held = moved, held
            elif len(state.watched) - 1 - int(np.argmin(state.watched)) >= _PATIENCE:
                raise _Enough
        if state.loss <= state.floor:  # searches along lines would go on for long
            raise _Enough

    found = scipy.optimize.minimize(
        loss_and_gradient,
        np.zeros_like(begin),
        jac=True,
        method="L-BFGS-B",
        callback=after,
        options={
            "maxiter": min(_CYCLE, max_iterations - state.iterations),
            "maxfun": 4 * _CYCLE,
            "maxcor": _CYCLE,
            "ftol": tol / 4,
            "maxls": 8,  # more are needed where rounding decides only
            "gtol": 0.0,
        },
    )
    if not found.success:  # it was stopped
        return np.inf
    # By the quadratic model of the loss that the gradients' changes have made.
    return 0.5 * unit * float(found.jac @ (found.hess_inv @ found.jac))


def _loss_and_gradient(
    F: Butterfly, inputs: _Array, outputs: _Array, inverses: list[_Array], packing: _Packing
) -> tuple[float, _Array]:
    """The loss, and its gradient in the variables W C."""
    rest = F @ inputs - outputs
    _, gradients = F.vjp(inputs, rest, need_x=False)
    turned = [
        _times(array, inverse.conj().swapaxes(-1, -2))
        for array, inverse in zip(gradients, inverses, strict=True)
    ]
    return float(np.linalg.norm(rest)) ** 2, 2 * packing.packed(turned)


def _loss(F: Butterfly, inputs: _Array, outputs: _Array) -> float:
    return float(np.linalg.norm(F @ inputs - outputs)) ** 2


def _orthonormal(F: Butterfly) -> Butterfly:
    """The factors orthonormal around the last one, where the chain allows it as it is."""
    architecture = F.architecture
    tied = any(tuple(p) != array.shape for p, array in zip(architecture, F.factors, strict=True))
    if tied or not (architecture.is_chainable or architecture.T.is_chainable):
        return F
    found = F.orthonormalize(-1)
    return found if found.architecture == architecture else F


def _whitening(F: Butterfly, inputs: _Array) -> list[_Array]:
    """For each factor Cholesky factors C[i, l] of the second moments of its inputs."""
    roots: list[_Array] = []
    z = inputs
    factors = F.factors
    for p, values in zip(reversed(F.architecture), reversed(factors), strict=True):
        parts = z.reshape(p.a, p.c, p.d, -1).transpose(0, 2, 1, 3)
        moments = parts @ parts.conj().swapaxes(-1, -2)
        tied = tuple(n for n, m in ((0, 0), (1, 3)) if values.shape[m] == 1)
        moments = moments.sum(axis=tied, keepdims=True) if tied else moments
        sizes = np.einsum("adkk->ad", moments).real / p.c
        floor = _DAMPING * (sizes + (sizes.max() or 1.0))  # any number where all inputs are zero
        moments += floor[..., None, None] * np.eye(p.c)
        roots.append(np.linalg.cholesky(moments))
        if len(roots) < len(factors):
            one = Factors(Architecture([p]), (values,))
            z = butterfly_of(one) @ z
    return roots[::-1]


def _times(values: _Array, blocks: _Array) -> _Array:
    """Blocks of a factor (a, b, c, d) times c x c blocks (a, d, c, c)."""
    return np.asarray((values.transpose(0, 3, 1, 2) @ blocks).transpose(0, 2, 3, 1))


class _Packing:
    """All factors as one real vector: complex values as pairs."""

    def __init__(self, factors: Any) -> None:
        self._shapes = [array.shape for array in factors]
        self._dtype = factors[0].dtype

    def packed(self, arrays: list[_Array]) -> _Array:
        vector = np.concatenate([array.ravel() for array in arrays])
        return vector.view(np.float64)

    def unpacked(self, vector: _Array) -> list[_Array]:
        entries = np.ascontiguousarray(vector).view(self._dtype)
        arrays, first = [], 0
        for shape in self._shapes:
            size = int(np.prod(shape))
            arrays.append(entries[first : first + size].reshape(shape))
            first += size
        return arrays
