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
    """The validation loss doesn't become better any more."""


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
    floor = (8 * float(np.finfo(np.float64).eps) * float(np.linalg.norm(outputs))) ** 2
    try:
        while state.iterations < max_iterations:
            if state.loss <= floor:
                state.stopped = "exact"
                break
            before = state.loss
            _cycle(state, inputs, outputs, tol, max_iterations, watch, best, tell)
            if before - state.loss <= tol * before:
                state.stopped = "tol"
                break
    except _Enough:
        state.stopped = "validation"
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
) -> None:
    """Some iterations in one gauge."""
    F = _orthonormal(state.operator)
    whitening = _whitening(F, inputs)
    inverses = [np.linalg.inv(root) for root in whitening]
    scale = np.sqrt(2 / state.loss)
    packing = _Packing(F.factors)
    last: list[Any] = [F, state.loss]

    def loss_and_gradient(vector: _Array) -> tuple[float, _Array]:
        values = packing.unpacked(vector)
        moved = F.with_factors(
            [
                _times(array, inverse) / scale
                for array, inverse in zip(values, inverses, strict=True)
            ]
        )
        rest = moved @ inputs - outputs
        loss = float(np.linalg.norm(rest)) ** 2
        _, gradients = moved.vjp(inputs, rest, need_x=False)
        state.evaluations += 1
        last[:] = moved, loss
        turned = [
            _times(array, inverse.conj().swapaxes(-1, -2))
            for array, inverse in zip(gradients, inverses, strict=True)
        ]
        return loss / start_loss, packing.packed(turned) * (2 / (start_loss * scale))

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

    start_loss = state.loss
    vectors = [
        _times(array, root) * scale for array, root in zip(F.factors, whitening, strict=True)
    ]
    scipy.optimize.minimize(
        loss_and_gradient,
        packing.packed(vectors),
        jac=True,
        method="L-BFGS-B",
        callback=after,
        options={
            "maxiter": min(_CYCLE, max_iterations - state.iterations),
            "maxfun": 4 * _CYCLE,
            "maxcor": _CYCLE,
            "ftol": tol / 4,
            "gtol": 0.0,
        },
    )


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
        floor = _DAMPING * (sizes + sizes.max()) + np.finfo(np.float64).tiny
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
