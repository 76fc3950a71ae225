"""fixed_support for more than two factors."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
import scipy.optimize
import scipy.sparse
from numpy.typing import NDArray

from .. import _core
from .._chains.architecture import Architecture
from .._chains.support_masks import as_support
from ..factorization import factorize
from ._analysis import analyze
from ._pair import solve_pair
from ._result import FixedSupportResult, Options, make_result, to_factors, warn_diverging
from ._target import Target

_Array = NDArray[Any]
_Values = list[_Array]  # of each factor, in the order of its support's CSR array

# Conjugate gradient steps for one factor before the next one has its turn.
_STEPS = 10
# Sweeps and polish: one round for every start, so many at most for the best of them.
_ROUNDS = 10
_RESTARTS = 4
_DIVERGED = 100.0
_CHUNK = 1 << 20  # entries of a panel


def solve_chain(A: Any, supports: Sequence[Any], options: Options) -> FixedSupportResult:
    """Three or more factors, by the best route that the supports allow; see `fixed_support`."""
    masks = [as_support(support, f"left[{n}]") for n, support in enumerate(supports)]
    for n, (p, q) in enumerate(itertools.pairwise(masks)):
        if p.shape[1] != q.shape[0]:
            raise ValueError(
                f"left[{n}] has {p.shape[1]} columns but left[{n + 1}] has {q.shape[0]} rows"
            )
    if options.ridge > 0:
        raise ValueError("ridge is for two factors, expected 0")
    if options.method == "exact":
        raise ValueError("method is 'exact' but that is known for two factors only")
    target = Target(A, scipy.sparse.csc_array(masks[0]), _reach(masks[1:]))
    try:
        architecture = Architecture.from_supports(masks)
    except ValueError:
        architecture = None
    if architecture is not None and architecture.is_chainable and options.method == "auto":
        return _by_factorize(target, architecture, masks, options)
    return _by_alternation(target, masks, options)


def _reach(masks: Sequence[Any]) -> Any:
    """The support of a product of factors with these supports, as a CSR array."""
    product = scipy.sparse.csr_array(reduce(lambda p, q: p @ q, masks))
    product.sort_indices()
    return product


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
    error = _error(target, factors)
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


def _error(target: Target, factors: Sequence[Any]) -> float:
    """||A - X_1 ... X_L||, scaled, of the factors as they are: some rows at a time."""
    wide = np.result_type(target.dtype, np.float64)
    scaled = [factor.astype(wide) * power for factor, power in _shares(factors, target.exponent)]
    m, n = target.shape
    height = max(1, _CHUNK // max(n, *(factor.shape[0] for factor in factors)))
    error = target.unread
    for first in range(0, m, height):
        rows = np.arange(first, min(first + height, m))
        product = scaled[0][rows].toarray()
        for factor in scaled[1:]:
            product = product @ factor
        error = math.hypot(error, float(np.linalg.norm(target.block(rows, slice(None)) - product)))
    return error


def _shares(items: Sequence[Any], exponent: int) -> list[tuple[Any, float]]:
    """Each item with its share of 4**exponent: a power of two."""
    whole = 2 * exponent
    steps = [whole * n // len(items) for n in range(len(items) + 1)]
    return [
        (item, math.ldexp(1.0, last - first))
        for item, (first, last) in zip(items, itertools.pairwise(steps), strict=True)
    ]


def _by_alternation(target: Target, masks: Sequence[Any], options: Options) -> FixedSupportResult:
    chain = _Chain(target, masks, options)
    wide = chain.target.dtype
    starts: list[_Values] = []
    bound2 = chain.unreached2
    if options.method == "auto":
        for split in range(1, len(masks)):
            bound2 = max(bound2, _split_bound(target, masks, split, options) ** 2)
        cut = _cut(target, masks, options)
        if cut is not None:
            starts.append([v.astype(wide) * power for v, power in _shares(cut, target.exponent)])
    cut_error2 = chain.error2(starts[0]) if starts else math.inf
    if cut_error2 > bound2 + 1e-24 * target.norm2:  # else no start can be better
        restarts = _RESTARTS if options.restarts is None else options.restarts
        starts += [chain.random(options.rng) for _ in range(max(restarts, 1 - len(starts)))]
    found = [chain.descend(values, 1) for values in starts]
    best = min(range(len(found)), key=lambda n: found[n])
    values = starts[best]
    error2 = chain.descend(values, _ROUNDS)
    growth = chain.growth(values)
    diverging = growth > _DIVERGED and error2 > 1e-20 * target.norm2
    if diverging:
        warn_diverging(growth)
    factors = [
        chain.matrix(n, (v * power).astype(target.dtype))
        for n, (v, power) in enumerate(_shares(_balanced(values), -target.exponent))
    ]
    return make_result(
        target,
        tuple(factors),
        error=_error(target, factors),
        bound=math.sqrt(bound2),
        optimal=False,
        method="hierarchical" if best == 0 and cut_error2 < math.inf else "alternating",
        existence="unknown: no theorem applies, and a best approximation may not exist",
        diverging=diverging,
        iterations=chain.steps,
        history=[(seconds, math.sqrt(e)) for seconds, e in chain.history],
        start=options.start,
        report=None,
    )


def _split(masks: Sequence[Any], split: int) -> tuple[Any, Any, Any]:
    """The supports of the two parts' products, and their analysis."""
    left, right = scipy.sparse.csc_array(_reach(masks[:split])), _reach(masks[split:])
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


class _Chain:
    """||A - X_1 ... X_L|| as a function of the values of the factors, in double precision."""

    def __init__(self, target: Target, masks: Sequence[Any], options: Options) -> None:
        self.masks, self.options = masks, options
        self.target = target.toarray()
        self.unread2 = target.unread**2
        reached = _reach(masks)
        outside = self.target.copy()
        outside[reached.nonzero()] = 0
        self.unreached2 = float(np.linalg.norm(outside)) ** 2 + self.unread2
        self.norm2 = target.norm2
        self.places = [mask.nonzero() for mask in masks]
        self.steps = 0
        self.best2 = math.inf
        self.history: list[tuple[float, float]] = []

    def matrix(self, n: int, values: _Array) -> Any:
        mask = self.masks[n]
        return scipy.sparse.csr_array((values, mask.indices, mask.indptr), shape=mask.shape)

    def random(self, rng: np.random.Generator) -> _Values:
        """Normal values, scaled so that the product is about as large as the matrix."""
        values: _Values = []
        for mask in self.masks:
            entries = rng.standard_normal(mask.nnz).astype(self.target.dtype)
            if entries.dtype.kind == "c":
                entries += 1j * rng.standard_normal(mask.nnz)
            values.append(entries)
        product = np.linalg.norm(self.prefixes(values)[-1])
        if product > 0:
            factor = (math.sqrt(self.norm2) / product) ** (1 / len(values))
            values = [entries * factor for entries in values]
        return values

    def prefixes(self, values: _Values) -> list[_Array]:
        """X_1, X_1 X_2, ...; all dense."""
        found = [self.matrix(0, values[0]).toarray()]
        for n in range(1, len(values)):
            found.append(found[-1] @ self.matrix(n, values[n]))
        return found

    def suffixes(self, values: _Values) -> list[_Array]:
        """X_1 ... X_L, X_2 ... X_L, ..., X_L; all dense."""
        found = [self.matrix(len(values) - 1, values[-1]).toarray()]
        for n in range(len(values) - 2, -1, -1):
            found.append(self.matrix(n, values[n]) @ found[-1])
        return found[::-1]

    def error2(self, values: _Values) -> float:
        rest = self.target - self.prefixes(values)[-1]
        return float(np.linalg.norm(rest)) ** 2 + self.unread2

    def growth(self, values: _Values) -> float:
        """The largest ||column i of X_1...X_s|| ||row i of X_s+1...X_L||, next to the matrix."""
        if self.norm2 == 0:
            return 0.0
        pairs = zip(self.prefixes(values)[:-1], self.suffixes(values)[1:], strict=True)
        return max(
            float((np.linalg.norm(P, axis=0) * np.linalg.norm(Q, axis=1)).max()) for P, Q in pairs
        ) / math.sqrt(self.norm2)

    def sweep(self, values: _Values) -> None:
        """Each factor in turn: conjugate gradients on its least squares problem."""
        suffixes = self.suffixes(values)
        prefix: _Array | None = None
        for n in range(len(values)):
            suffix = suffixes[n + 1] if n + 1 < len(values) else None
            self.improve(values, n, prefix, suffix)
            factor = self.matrix(n, values[n])
            prefix = factor.toarray() if prefix is None else prefix @ factor

    def improve(
        self, values: _Values, n: int, prefix: _Array | None, suffix: _Array | None
    ) -> None:
        """A few steps for min ||A - P X Q|| over the values of X = X_n; the error never grows."""
        left = None if prefix is None else prefix.conj().T @ prefix
        right = None if suffix is None else suffix @ suffix.conj().T

        def normal(v: _Array) -> _Array:
            image = self.matrix(n, v)
            image = image if left is None else left @ image
            image = image if right is None else image @ right
            return self.on_support(n, image)

        wanted = self.target if prefix is None else prefix.conj().T @ self.target
        wanted = wanted if suffix is None else wanted @ suffix.conj().T
        rest = self.on_support(n, wanted) - normal(values[n])
        direction, size = rest, float(np.vdot(rest, rest).real)
        stop = 1e-26 * size
        for _ in range(_STEPS):
            if size <= stop:
                break
            image = normal(direction)
            curvature = float(np.vdot(direction, image).real)
            if curvature <= 0:
                break
            values[n] = values[n] + size / curvature * direction
            rest = rest - size / curvature * image
            before, size = size, float(np.vdot(rest, rest).real)
            direction = rest + size / before * direction

    def on_support(self, n: int, matrix: Any) -> _Array:
        rows, cols = self.places[n]
        if scipy.sparse.issparse(matrix):
            matrix = matrix.toarray()
        found: _Array = matrix[rows, cols]
        return found

    def descend(self, values: _Values, rounds: int) -> float:
        """Sweeps, then L-BFGS, until neither gains anything. Changes `values`."""
        error2 = self.error2(values)
        self.record(error2)
        for _ in range(rounds):
            began = error2
            for _ in range(min(50, self.options.max_sweeps)):
                before = error2
                if error2 <= self.unreached2 + 1e-26 * self.norm2:
                    return error2
                self.sweep(values)
                error2 = self.error2(values)
                self.step(error2)
                if before - error2 <= 1e-3 * error2:
                    break
            error2 = self.polish(values, error2)
            if began - error2 <= 1e-5 * began:
                break
        return error2

    def polish(self, values: _Values, error2: float) -> float:
        """L-BFGS over all factors."""
        dtype, ends = self.target.dtype, np.cumsum([len(v) for v in values])[:-1]
        scale = 1 / self.norm2

        def objective(z: _Array) -> tuple[float, _Array]:
            parts = np.split(z.view(dtype), ends)
            prefixes, suffixes = self.prefixes(parts), self.suffixes(parts)
            rest = self.target - prefixes[-1]
            gradient = []
            for n in range(len(parts)):
                image = rest if n == 0 else prefixes[n - 1].conj().T @ rest
                image = image if n + 1 == len(parts) else image @ suffixes[n + 1].conj().T
                gradient.append(-2 * scale * self.on_support(n, image))
            value = scale * float(np.linalg.norm(rest)) ** 2
            return value, np.concatenate(gradient).view(float)

        with _core.SingleThreadedBlas():
            found = scipy.optimize.minimize(
                objective,
                np.concatenate(values).view(float),
                jac=True,
                method="L-BFGS-B",
                callback=lambda intermediate_result: self.step(
                    intermediate_result.fun * self.norm2 + self.unread2
                ),
                options={"maxiter": 300, "maxcor": 20, "ftol": 1e-16, "gtol": 1e-13},
            )
        polished = found.fun * self.norm2 + self.unread2
        if polished >= error2:
            return error2
        values[:] = np.split(np.ascontiguousarray(found.x).view(dtype), ends)
        return float(polished)

    def step(self, error2: float) -> None:
        self.steps += 1
        self.record(error2)
        if self.options.tell is not None:
            self.options.tell(min(1.0, self.steps / (self.steps + self.options.max_sweeps)))

    def record(self, error2: float) -> None:
        self.best2 = min(self.best2, error2)
        self.history.append((time.perf_counter() - self.options.start, self.best2))
