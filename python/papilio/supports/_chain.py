"""fixed_support for more than two factors."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy
import scipy.sparse
import scipy.sparse.linalg
from numpy.typing import NDArray

from .. import _core
from .._chains.architecture import Architecture
from .._chains.support_masks import sets_of
from ..factorization import factorize
from ._analysis import analyze
from ._graph import Contraction, reach
from ._growth import DIVERGED, is_rounding
from ._pair import solve_pair
from ._result import FixedSupportResult, Options, make_result, to_factors, warn_diverging
from ._target import Target

_Array = NDArray[Any]
_Values = list[_Array]  # of each factor, in the order of its support's CSR array

# Conjugate gradient steps for one factor before the next one has its turn.
_STEPS = 10
# Quasi-Newton steps before sweeps have a turn again.
_POLISH = 300
# Sweeps and polish: one round for every start, so many at most for the best of them.
_ROUNDS = 10
_RESTARTS = 4


def solve_chain(A: Any, masks: Sequence[Any], options: Options) -> FixedSupportResult:
    """Three or more factors, by the best route that the supports allow; see `fixed_support`."""
    if options.ridge > 0:
        raise ValueError("ridge is for two factors, expected 0")
    # Which entries are kept matters for operators only.
    operator = isinstance(A, scipy.sparse.linalg.LinearOperator)
    rest = reach(masks[1:]) if operator else masks[-1]
    target = Target(A, scipy.sparse.csc_array(masks[0]), rest)
    if options.method == "auto":
        try:
            architecture = Architecture.from_supports(masks)
        except ValueError:
            architecture = None
        if architecture is not None and architecture.is_chainable:
            return _by_factorize(target, architecture, masks, options)
    if options.method != "local":
        found = _by_contraction(target, masks, options)
        if found is not None:
            return found
    if options.method == "exact":
        raise ValueError(
            "method is 'exact' but that is known for two factors only, and for chains that come "
            "down to two tractable ones (see analyze_supports)"
        )
    return _by_alternation(target, masks, options)


def _by_contraction(
    target: Target, masks: Sequence[Any], options: Options
) -> FixedSupportResult | None:
    """As two factors, if without nodes of one edge they are that, and tractable."""
    contraction = Contraction.of(masks)
    pair = None if contraction is None else contraction.pair()
    if contraction is None or pair is None:
        return None
    left, right = scipy.sparse.csc_array(pair[0]), pair[1]
    report = analyze(left, right)
    if not report.tractable:
        return None
    solution = solve_pair(target, left, right, report, options)
    factors = contraction.expand(*to_factors(left, right, solution))
    error = _Problem(target, masks).error_of(factors)
    return make_result(
        target,
        tuple(factors),
        error=error,
        bound=solution.bound,
        optimal=not (solution.local or solution.inexact),
        method="exact",
        existence=report.existence,
        diverging=False,
        iterations=0,
        history=[(time.perf_counter() - options.start, error)],
        start=options.start,
        report=report,
    )


def _by_factorize(
    target: Target, architecture: Architecture, masks: Sequence[Any], options: Options
) -> FixedSupportResult:
    matrix = target.unscaled()
    F = factorize(matrix, architecture, progress=options.tell or False)
    assert F.report is not None
    factors = []
    for mask, values in zip(masks, F.factors, strict=True):
        in_order = np.ascontiguousarray(values.transpose(0, 1, 3, 2)).ravel()
        factors.append(scipy.sparse.csr_array((in_order, mask.indices, mask.indptr), mask.shape))
    seen = math.sqrt(max(0.0, target.norm2 - target.unread**2))  # the norm of what factorize saw
    error = _Problem(target, masks).error_of(factors)
    bound = math.hypot(F.report.lower_bound * seen, target.unread)
    rounding = 100 * float(np.finfo(target.dtype).eps)
    return make_result(
        target,
        tuple(factors),
        error=error,
        bound=bound,
        optimal=error <= bound + rounding * math.sqrt(target.norm2),
        method="hierarchical",
        existence="every matrix has a best approximation: the supports are a butterfly's",
        diverging=False,
        iterations=0,
        history=[(time.perf_counter() - options.start, error)],
        start=options.start,
        report=F.report,
    )


def _shares(items: Sequence[Any], exponent: int) -> list[tuple[Any, float]]:
    """Each item with its share of 4**exponent: a power of two."""
    whole = 2 * exponent
    steps = [whole * n // len(items) for n in range(len(items) + 1)]
    return [
        (item, math.ldexp(1.0, last - first))
        for item, (first, last) in zip(items, itertools.pairwise(steps), strict=True)
    ]


def _by_alternation(target: Target, masks: Sequence[Any], options: Options) -> FixedSupportResult:
    problem = _Problem(target, masks)
    track = _Track(options)
    starts: list[_Array] = []
    bound2 = problem.unreached2
    if options.method == "auto":
        for split in range(1, len(masks)):
            bound2 = max(bound2, _split_bound(target, masks, split, options) ** 2)
        cut = _cut(target, masks, options)
        if cut is not None:
            starts.append(
                np.concatenate(
                    [v.astype(problem.dtype) * power for v, power in _shares(cut, target.exponent)]
                )
            )
    cut_error2 = problem.error2(starts[0]) if starts else math.inf
    if cut_error2 > bound2 + 1e-24 * target.norm2:  # else no start can be better
        restarts = _RESTARTS if options.restarts is None else options.restarts
        starts += [problem.random(options.rng) for _ in range(max(restarts, 1 - len(starts)))]
    found = [_descend(problem, values, 1, track) for values in starts]
    best = min(range(len(found)), key=lambda n: found[n])
    values = starts[best]
    error2 = _descend(problem, values, _ROUNDS, track)
    if options.tell is not None:
        options.tell(1.0)  # an exact start needs no sweep
    growth = problem.growth(values)
    diverging = growth > DIVERGED and error2 > 1e-20 * target.norm2
    if diverging:
        warn_diverging(growth)
    factors = [
        problem.matrix(n, (v * power).astype(target.dtype))
        for n, (v, power) in enumerate(_shares(_balanced(problem.split(values)), -target.exponent))
    ]
    return make_result(
        target,
        tuple(factors),
        error=problem.error_of(factors),
        bound=math.sqrt(bound2),
        optimal=False,
        method="hierarchical" if best == 0 and cut_error2 < math.inf else "alternating",
        existence="unknown: no theorem applies, and a best approximation may not exist",
        diverging=diverging,
        iterations=track.steps,
        history=[(seconds, math.sqrt(e)) for seconds, e in track.history],
        start=options.start,
        report=None,
    )


def _split(masks: Sequence[Any], split: int) -> tuple[Any, Any, Any]:
    """The supports of the two parts' products, and their analysis."""
    left, right = scipy.sparse.csc_array(reach(masks[:split])), reach(masks[split:])
    return left, right, analyze(left, right)


def _split_bound(target: Target, masks: Sequence[Any], split: int, options: Options) -> float:
    """The squared error of the best two factors with the supports of both parts' products."""
    left, right, report = _split(masks, split)
    return solve_pair(target, left, right, report, options).bound if report.tractable else 0.0


def _cut(target: Target, masks: Sequence[Any], options: Options) -> _Values | None:
    """Cut in two exactly, again and again; None where no split of some part is tractable."""
    for split in sorted(range(1, len(masks)), key=lambda s: abs(2 * s - len(masks))):
        left, right, report = _split(masks, split)
        if not report.tractable:
            continue
        factors = to_factors(left, right, solve_pair(target, left, right, report, options))
        values: _Values = []
        for factor, part in zip(factors, (masks[:split], masks[split:]), strict=True):
            if len(part) == 1:
                values.append(factor.data)
                continue
            inner = _cut(Target(factor, part[0], part[-1]), part, options)
            if inner is None:
                break
            values += inner
        if len(values) == len(masks):
            return values
    return None


def _balanced(values: _Values) -> _Values:
    """The same product, by powers of two, of factors of about the same norm."""
    norms = [float(np.linalg.norm(v)) for v in values]
    if not 0 < min(norms) <= max(norms) < math.inf:
        return values
    sizes = [math.frexp(norm)[1] for norm in norms]
    wanted = sum(sizes) // len(sizes)
    wanted_of = [wanted + (n < sum(sizes) - wanted * len(sizes)) for n in range(len(sizes))]
    return [
        v * math.ldexp(1.0, w - size) for v, w, size in zip(values, wanted_of, sizes, strict=True)
    ]


class _Problem:
    """||A - X_1 ... X_L|| as a function of the values of the factors, in double precision.

    The values of all factors are one array, each factor's in the order of its support.
    """

    def __init__(self, target: Target, masks: Sequence[Any]) -> None:
        self.masks, self._target = masks, target
        self.dtype = np.result_type(target.dtype, np.float64)
        make = _core.SupportChainComplex if self.dtype.kind == "c" else _core.SupportChainReal
        factors = [(mask.shape[1], *sets_of(mask)) for mask in masks]
        self._core = make(target.shape[0], factors, *target.arrays)
        self._ends = np.cumsum([mask.nnz for mask in masks])[:-1]
        self.unreached2 = self._core.unreached() + target.unread**2
        self.norm2 = target.norm2

    def matrix(self, n: int, values: _Array) -> Any:
        mask = self.masks[n]
        return scipy.sparse.csr_array((values, mask.indices, mask.indptr), shape=mask.shape)

    def split(self, values: _Array) -> list[_Array]:
        """The values of each factor."""
        return np.split(values, self._ends)

    def random(self, rng: np.random.Generator) -> _Array:
        """Normal values, scaled so that the product is about as large as the matrix."""
        parts = []
        for mask in self.masks:
            entries = rng.standard_normal(mask.nnz).astype(self.dtype)
            if entries.dtype.kind == "c":
                entries += 1j * rng.standard_normal(mask.nnz)
            parts.append(entries)
        values = np.concatenate(parts)
        product2 = self._core.squared_norm(values)
        if product2 > 0:
            values *= (math.sqrt(self.norm2 / product2)) ** (1 / len(parts))
        return values

    def error2(self, values: _Array) -> float:
        return self._core.squared_error(values) + self._target.unread**2

    def error_of(self, factors: Sequence[Any]) -> float:
        """||A - X_1 ... X_L||, scaled, of the factors as they are."""
        scaled = [f.data.astype(self.dtype) * p for f, p in _shares(factors, self._target.exponent)]
        return math.sqrt(self.error2(np.concatenate(scaled)))

    def gradient(self, values: _Array) -> tuple[float, _Array]:
        """The squared error and its gradient."""
        gradient = np.empty_like(values)
        error2 = self._core.gradient(values, gradient)
        return error2 + self._target.unread**2, gradient

    def sweep(self, values: _Array) -> None:
        """Each factor in turn: a few conjugate gradient steps. Changes `values`."""
        self._core.sweep(values, _STEPS)

    def growth(self, values: _Array) -> float:
        """The largest ||column i of X_1...X_s|| ||row i of X_s+1...X_L||, next to the matrix."""
        return self._core.growth(values) / math.sqrt(self.norm2) if self.norm2 > 0 else 0.0

    def is_rounding(self, values: _Array) -> bool:
        """Whether the parts are so large that what they leave of the matrix is rounding."""
        return is_rounding(self.growth(values), float(np.finfo(self._target.dtype).eps))


@dataclass
class _Track:
    """What a run tells: seconds and squared error of its best point, steps, progress."""

    options: Options
    steps: int = 0
    best2: float = math.inf
    history: list[tuple[float, float]] = field(default_factory=list)

    def step(self, error2: float) -> None:
        self.steps += 1
        self.record(error2)
        if self.options.tell is not None:
            self.options.tell(min(1.0, self.steps / (self.steps + self.options.max_sweeps)))

    def record(self, error2: float) -> None:
        self.best2 = min(self.best2, error2)
        self.history.append((time.perf_counter() - self.options.start, self.best2))


def _descend(problem: _Problem, values: _Array, rounds: int, track: _Track) -> float:
    """Sweeps, then L-BFGS, until neither gains anything or all is rounding. Changes `values`."""
    error2 = problem.error2(values)
    track.record(error2)
    for _ in range(rounds):
        began, kept = error2, values.copy()
        for _ in range(min(50, track.options.max_sweeps)):
            before = error2
            exact = error2 <= problem.unreached2 + 1e-26 * problem.norm2
            if exact and not problem.is_rounding(values):
                return error2
            problem.sweep(values)
            error2 = problem.error2(values)
            track.step(error2)
            if before - error2 <= 1e-3 * error2:
                break
        error2 = _polish(problem, values, error2, track)
        if problem.is_rounding(values):
            values[:] = kept
            return began
        if began - error2 <= 1e-5 * began:
            break
    return error2


def _polish(problem: _Problem, values: _Array, error2: float, track: _Track) -> float:
    """L-BFGS over all factors. Changes `values` if it helps."""

    def objective(z: _Array) -> tuple[float, _Array]:
        found2, gradient = problem.gradient(z.view(problem.dtype))
        return found2 / problem.norm2, gradient.view(float) / problem.norm2

    with _core.SingleThreadedBlas():
        found = scipy.optimize.minimize(
            objective,
            values.view(float),
            jac=True,
            method="L-BFGS-B",
            callback=lambda intermediate_result: track.step(
                intermediate_result.fun * problem.norm2
            ),
            options={"maxiter": _POLISH, "maxcor": 20, "ftol": 1e-16, "gtol": 1e-13},
        )
    polished = float(found.fun) * problem.norm2
    if polished >= error2:
        return error2
    values[:] = np.ascontiguousarray(found.x).view(problem.dtype)
    return polished
