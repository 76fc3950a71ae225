"""The local solver of fixed_support: starts, block coordinate descent, quasi-Newton polish."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from .. import _core
from ._growth import DIVERGED, is_rounding

_Array = NDArray[Any]
Solver = _core.AlternatingReal | _core.AlternatingComplex

# A column times a row that is so many times as large as the data is there to be cancelled by others
# (unless the fit is exact: elimination without pivoting has large terms too).
_EXACT = 1e-20  # squared error, next to the data
_FINALISTS = 4
_SAME = 1e-9  # difference of objectives, relative


@dataclass
class Point:
    """Values of X and Y, and the objective there."""

    x: _Array
    y: _Array
    objective: float = np.inf


@dataclass
class Track:
    """What a run tells: objective and seconds of its best point, sweeps, progress."""

    start: float
    planned: int
    tell: Callable[[float], object] | None
    steps: int = 0
    best: float = np.inf
    history: list[tuple[float, float]] = field(default_factory=list)

    def step(self) -> None:
        """Before each sweep or quasi-Newton step."""
        self.steps += 1
        if self.tell is not None:
            self.tell(min(1.0, self.steps / self.planned))

    def record(self, objective: float) -> None:
        self.best = min(self.best, objective)
        self.history.append((time.perf_counter() - self.start, self.best))


@dataclass
class Problem:
    """min sum over observed entries |A - XY|^2 + ridge (||X||^2 + ||Y||^2).

    Parameters
    ----------
    solver : AlternatingReal or AlternatingComplex
    sizes : (int, int)
        Numbers of values of X and of Y.
    norm2 : float
        The squared mass of the observed entries.
    classes : (start, index)
        The inner indices, class by class.
    """

    solver: Any
    dtype: np.dtype[Any]
    sizes: tuple[int, int]
    norm2: float
    classes: tuple[_Array, _Array]
    ridge: float
    tolerance: float
    epsilon: float  # rounding of one operation in the dtype that the factors will have

    def deflation(self, by_mass: bool) -> Point:
        """Class after class: from a tractable sub-problem on, or as elimination does."""
        point = Point(np.zeros(self.sizes[0], self.dtype), np.zeros(self.sizes[1], self.dtype))
        self.solver.deflate(*self.classes, by_mass, point.x, point.y)
        return point

    def zero(self, track: Track) -> Point:
        """Nothing: what is left where all starts end in rounding."""
        x, y = (np.zeros(size, self.dtype) for size in self.sizes)
        point = Point(x, y, self.norm2)
        track.record(point.objective)
        return point

    def random(self, rng: np.random.Generator) -> Point:
        """Normal Y; the first sweep makes X from it."""
        y = rng.standard_normal(self.sizes[1]).astype(self.dtype)
        if self.dtype.kind == "c":
            y += 1j * rng.standard_normal(self.sizes[1])
        return Point(np.zeros(self.sizes[0], self.dtype), y)

    def sweep(self, point: Point, sweeps: int, track: Track) -> None:
        """Alternate between X and Y, unless that leads to where all is rounding."""
        seen, x, y = track.steps, point.x.copy(), point.y.copy()
        found = self.solver.sweep(x, y, sweeps, self.ridge, self.tolerance, track.step)
        track.steps = seen + len(found)
        if self.is_rounding(x, y):
            return
        point.x, point.y, point.objective = x, y, found[-1]
        track.record(point.objective)

    def is_rounding(self, x: _Array, y: _Array) -> bool:
        """Whether columns times rows are so large that what they leave of the data is rounding."""
        growth = float(self.solver.balance(x.copy(), y.copy()))
        return is_rounding(growth / math.sqrt(self.norm2), self.epsilon)

    def polish(self, point: Point, steps: int, track: Track) -> None:
        """L-BFGS over all values at once, which does not zigzag as alternation does."""
        self.solver.balance(point.x, point.y)
        split = self.sizes[0]

        def objective(z: _Array) -> tuple[float, _Array]:
            values = z.view(self.dtype)
            gradient = np.zeros_like(values)
            value = self.solver.gradient(
                values[:split], values[split:], self.ridge, gradient[:split], gradient[split:]
            )
            return value / self.norm2, gradient.view(float) / self.norm2

        def after_step(intermediate_result: Any) -> None:
            track.step()
            track.record(float(intermediate_result.fun) * self.norm2)

        with _core.SingleThreadedBlas():
            found = scipy.optimize.minimize(
                objective,
                np.concatenate([point.x, point.y]).view(float),
                jac=True,
                method="L-BFGS-B",
                callback=after_step,
                options={
                    "maxiter": steps,
                    "maxfun": 2 * steps,
                    "maxcor": 20,
                    "ftol": 1e-16,
                    "gtol": 1e-13,
                },
            )
        values = np.ascontiguousarray(found.x).view(self.dtype)
        x, y = values[:split].copy(), values[split:].copy()
        if found.fun * self.norm2 < point.objective and not self.is_rounding(x, y):
            point.x, point.y, point.objective = x, y, float(found.fun) * self.norm2

    def divergence(self, point: Point) -> float:
        """The largest ||x_i|| ||y_i|| next to the data, where it is suspicious; else 0.

        Balances the factors.
        """
        growth = float(self.solver.balance(point.x, point.y)) / math.sqrt(self.norm2)
        exact = point.objective <= _EXACT * self.norm2
        return growth if growth > DIVERGED and not exact else 0.0


def descend(
    problem: Problem, restarts: int, max_sweeps: int, rng: np.random.Generator, track: Track
) -> tuple[Point, float]:
    """Return the best point found and its `divergence`.

    All starts run some sweeps; then the better half of them goes on for twice as many, until few
    remain. These are polished, and the best of them until that gains nothing any more.
    """
    points = [problem.deflation(True), problem.deflation(False)]
    sweeps = min(50, max_sweeps)
    for _ in range(restarts):
        points.append(problem.random(rng))
    for n, point in enumerate(points):
        problem.sweep(point, sweeps, track)
        if point.objective <= _EXACT * problem.norm2:
            points = points[n : n + 1]  # no other start can be better
            break
    points = [p for p in points if p.objective < math.inf] or [problem.zero(track)]
    while len(points) > _FINALISTS:
        points.sort(key=lambda point: point.objective)
        points = _distinct(points)[: max(_FINALISTS, (len(points) + 1) // 2)]
        sweeps = min(2 * sweeps, max_sweeps)
        for point in points:
            problem.sweep(point, sweeps, track)
    for point in points:
        problem.polish(point, min(200, max_sweeps), track)
        problem.sweep(point, min(100, max_sweeps), track)
    best = min(points, key=lambda point: point.objective)
    finish(problem, best, max_sweeps, track)
    return best, problem.divergence(best)


def _distinct(points: list[Point]) -> list[Point]:
    """Without those that have come as far down as the one before: they go to the same minimum."""
    return [
        point
        for before, point in itertools.pairwise([Point(points[0].x, points[0].y), *points])
        if before.objective == np.inf
        or point.objective - before.objective > _SAME * point.objective
    ]


def finish(problem: Problem, point: Point, max_sweeps: int, track: Track) -> None:
    """Sweeps and polish in turn, as long as a round of both gains enough."""
    spent = 0
    while spent < max_sweeps and point.objective > 0:
        before, began = point.objective, track.steps
        share = min(200, max_sweeps - spent)
        problem.polish(point, 2 * share, track)
        problem.sweep(point, share, track)
        spent += max(1, track.steps - began)
        if before - point.objective <= 1e-7 * before:
            break
