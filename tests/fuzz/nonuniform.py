"""Non-uniform transforms of all types, against direct sums in extended precision."""

from __future__ import annotations

import dataclasses
import math
import pickle
import warnings
from typing import Any, ClassVar, Self

import numpy as np

import papilio as pp
from papilio._util.turns import Radians

from .accuracy import relative
from .case import Case, Skip
from .layouts import LAYOUTS, Guarded

PLACES = ("random", "one", "clustered", "grid", "edges", "far")
_LARGEST = 1 << 17  # entries of a matrix


def _places(name: str, m: int, d: int, rng: np.random.Generator) -> np.ndarray:
    if name == "one":
        return np.repeat(rng.uniform(-4, 4, (1, d)), m, axis=0)
    if name == "clustered":
        return rng.uniform(-3, 3, d) + 1e-6 * rng.standard_normal((m, d))
    if name == "grid":
        return 2 * np.pi * rng.integers(0, 16, (m, d)) / 16
    if name == "edges":
        return rng.choice([np.pi, -np.pi, 0.0, np.nextafter(np.pi, 0), 5e-324, 2 * np.pi], (m, d))
    x = rng.uniform(-np.pi, np.pi, (m, d))
    return x * 10.0 ** rng.integers(0, 7) if name == "far" else x


def _matrix(rows: np.ndarray, columns: np.ndarray, sign: int) -> np.ndarray:
    turns: Any = 0
    for s, x in zip(rows.T, columns.T, strict=True):
        axis = Radians(x)
        turns = turns + np.array([axis.times(factor) for factor in s])
    return np.exp(2j * np.pi * sign * (turns - np.rint(turns)))


@dataclasses.dataclass(frozen=True)
class Nonuniform(Case):
    """A transform of any type, sizes, places of the points, tolerance, dtype, order and sign."""

    family: ClassVar[str] = "non-uniform transforms"
    every: ClassVar[int] = 10
    quick: ClassVar[int] = 12

    kind: int
    modes: tuple[int, ...]
    points: int
    places: str
    digits: float
    dtype: str
    sign: int
    order: str
    layout: str
    batch: int
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        d = int(rng.integers(1, 4))
        most = (200, 24, 7)[d - 1]
        double = bool(rng.random() < 0.7)
        return cls(
            int(rng.integers(1, 4)),
            tuple(int(rng.integers(1, most)) for _ in range(d)),
            int(rng.choice([1, 2, 20, 150, 600 if d < 3 else 200])),
            str(rng.choice(PLACES)),
            float(rng.uniform(1, 13 if double else 5.3)),
            "complex128" if double else "complex64",
            int(rng.choice([-1, 1])),
            str(rng.choice(["centered", "fft"])),
            str(rng.choice(list(LAYOUTS))),
            int(rng.integers(0, 12)),
            int(rng.integers(2**31)),
        )

    def _made(self, rng: np.random.Generator) -> tuple[Any, np.ndarray]:
        d = len(self.modes)
        x = _places(self.places, self.points, d, rng)
        given: dict[str, Any] = {"tol": 10.0**-self.digits, "sign": self.sign, "dtype": self.dtype}
        if self.kind == 3:
            s = rng.uniform(-1, 1, (math.prod(self.modes), d)) * np.array(self.modes) / 2
            if self.places == "far":  # points that were spread would need as many cells as turns
                x = rng.uniform(-3, 3, (self.points, d)) + 10.0 ** rng.integers(0, 7)
                s += 10.0 ** rng.integers(0, 6)
            return pp.transforms.nudft(3, x, frequencies=s, **given), _matrix(s, x, self.sign)
        axes = [np.arange(-(n // 2), (n + 1) // 2) for n in self.modes]
        if self.order == "fft":
            axes = [np.fft.ifftshift(k) for k in axes]
        k = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, d)
        A = _matrix(x, k, self.sign)
        F = pp.transforms.nudft(self.kind, x, self.modes, mode_order=self.order, **given)
        return F, A if self.kind == 2 else A.T

    def check(self) -> None:
        if self.kind not in (1, 2, 3) or not self.modes or min(self.modes) < 1 or self.points < 1:
            raise Skip
        if self.layout not in LAYOUTS or self.sign not in (-1, 1) or not 1 <= self.digits <= 13:
            raise Skip
        if self.points * math.prod(self.modes) > _LARGEST:
            raise Skip
        rng = np.random.default_rng(self.seed)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            F, A = self._made(rng)
        kinds = {warning.category for warning in told}
        assert kinds == (set() if F.report.reached else {pp.transforms.ToleranceWarning})
        assert F.report.relative_error <= F.report.error_bound, str(F.report)
        tol = max(10.0**-self.digits, F.report.error_bound)
        away = relative(F.toarray(), A)
        assert away <= tol, f"the matrix is off by {away:.2e}, asked for {tol:.2e}"
        eps = float(np.finfo(self.dtype).eps)
        # Entry by entry: next to one product, which may cancel, rounding has no bound. Both are off
        # by the rounding that the report tells, and by sums of some terms where that is small.
        adjoint = relative(F.H.toarray(), F.toarray().conj().T)
        allowed = 2 * F.report.rounding + 16 * eps
        assert adjoint <= allowed, f"the adjoint is off by {adjoint:.2e}, allowed {allowed:.2e}"
        x = rng.standard_normal((F.shape[1], self.batch))
        given = Guarded(x.shape, self.dtype, self.layout)
        given.array[...] = x + 1j * x[::-1]
        x = given.array
        out = Guarded((F.shape[0], self.batch), self.dtype, "padded")
        product = F.apply(x, out=out.array)
        given.check("x")
        out.check("out")
        if self.batch:
            size = np.linalg.norm(A) * np.linalg.norm(x)
            away = np.linalg.norm(product - A @ x) / size
            assert away <= tol + 50 * eps, f"a batch is off by {away:.2e}"
        again = Guarded(out.array.shape, self.dtype, "padded")  # other strides may have other bits
        pickle.loads(pickle.dumps(F)).apply(x, out=again.array)
        assert (again.array == product).all(), "a pickle differs"
        if F.kind == 2:
            weights = rng.uniform(0, 1, F.shape[0])
            wanted = A.conj().T @ (weights[:, None] * A)
            away = relative(F.normal(weights).toarray(), wanted)
            assert away <= 20 * tol + 1000 * eps, f"the normal operator is off by {away:.2e}"


FAMILIES = [Nonuniform]
