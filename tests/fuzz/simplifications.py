"""simplify, and products with factors that are nearly structured: what is small may be right."""

from __future__ import annotations

import dataclasses
import math
import warnings
from typing import Any, ClassVar, Self

import numpy as np

import papilio as pp

from .case import Case, Skip

DTYPES = ("float64", "float32", "complex128", "complex64")
KINDS = ("hadamard", "dft", "radix", "random", "graded", "sparse")


def dense(pattern: Any, values: Any) -> Any:
    """A factor as a matrix, by the index formula, in extended precision."""
    a, b, c, d = pattern
    wide = np.clongdouble if values.dtype.kind == "c" else np.longdouble
    matrix = np.zeros((a * b * d, a * c * d), wide)
    i, j, k, l = np.meshgrid(*map(np.arange, (a, b, c, d)), indexing="ij")
    matrix[i * b * d + j * d + l, i * c * d + k * d + l] = np.broadcast_to(values, (a, b, c, d))
    return matrix


def products(F: Any) -> tuple[Any, Any]:
    """The matrix, and the product of the factors' absolute values."""
    product = sizes = None
    for pattern, values in zip(F.architecture, F.factors, strict=True):
        factor = dense(pattern, values)
        product = factor if product is None else product @ factor
        sizes = np.abs(factor) if sizes is None else sizes @ np.abs(factor)
    for axis, order in ((0, F.row_permutation), (1, F.column_permutation)):
        if order is not None:
            product, sizes = np.take(product, order, axis), np.take(sizes, order, axis)
    return product, sizes


@dataclasses.dataclass(frozen=True)
class NearStructure(Case):
    """A butterfly, nearly structured or not at all, with diagonals between its factors."""

    family: ClassVar[str] = "simplifications"
    every: ClassVar[int] = 2

    kind: str
    radices: tuple[int, ...]
    dtype: str
    noise: float
    noisy: float
    spread: float
    power: int
    tol: float
    tied: bool
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        return cls(
            str(rng.choice(KINDS)),
            tuple(int(r) for r in rng.choice([2, 2, 2, 3, 4, 5], size=int(rng.integers(1, 5)))),
            str(rng.choice(DTYPES)),
            float(rng.choice([0.0, 1e-16, 1e-15, 1e-13, 1e-10, 1e-7, 1e-6, 1e-4])),
            float(rng.choice([0.02, 0.2, 1.0])),
            float(rng.choice([0.0, 0.0, 3.0, 30.0, 200.0])),
            int(rng.integers(-900, 901)) if rng.random() < 0.3 else 0,
            float(rng.choice([-1.0, -1.0, 0.0, 1e-14, 1e-9, 1e-5, 1e-2])),
            bool(rng.random() < 0.3),
            int(rng.integers(2**31)),
        )

    def random(self, shape: tuple[int, ...], rng: np.random.Generator) -> Any:
        values = rng.standard_normal(shape)
        return values + 1j * rng.standard_normal(shape) if self.dtype[0] == "c" else values

    def operator(self, rng: np.random.Generator) -> Any:
        radices = [2] * len(self.radices) if self.kind == "hadamard" else list(self.radices)
        n = math.prod(radices)
        complex_ = np.dtype(self.dtype).kind == "c"
        if self.kind == "dft" and complex_:
            n = 2 ** len(radices)
            exact = pp.transforms.dft(n)
        elif self.kind == "hadamard":
            exact = pp.transforms.hadamard(n)
        else:
            architecture = pp.Architecture.mixed_radix(radices)
            exact = pp.Butterfly([self.random(tuple(p), rng) for p in architecture], None, None)
        single = np.dtype(self.dtype).name in ("float32", "complex64")
        spread = min(self.spread, 6.0) if single else self.spread
        factors = []
        for pattern, own in zip(exact.architecture, exact.factors, strict=True):
            tied = self.tied and self.spread == 0
            values = np.array(own if tied else np.broadcast_to(own, tuple(pattern)))
            if self.kind == "graded":
                values = values * 10.0 ** -(rng.random(values.shape) * (12 if single else 60))
            if self.kind == "sparse":
                values = values * (rng.random(values.shape) < 0.6)
            change = self.noise * rng.standard_normal(values.shape)
            factors.append(values * (1 + change * (rng.random(values.shape) < self.noisy)))
        for s in range(len(factors) - 1):
            a, _, c, d = exact.architecture[s]
            if spread:
                gauge = 10.0 ** (spread * (rng.random((a, 1, c, d)) - 0.5))
                factors[s] = factors[s] * gauge
                e, f, _, h = exact.architecture[s + 1]
                factors[s + 1] = factors[s + 1] / gauge.reshape(e, f, 1, h)
        most = 30 if single else 300
        power = int(np.clip(self.power, -most, most))
        factors[0] = factors[0] * 2.0**power
        with np.errstate(all="ignore"):
            factors = [np.asarray(v).astype(self.dtype) for v in factors]
        if not all(np.isfinite(v).all() for v in factors):
            raise Skip
        full = [
            np.array(np.broadcast_to(v, tuple(p)))
            for v, p in zip(factors, exact.architecture, strict=True)
        ]
        return pp.Butterfly(full, exact.row_permutation, exact.column_permutation)

    def check(self) -> None:
        if not self.radices or min(self.radices) < 2 or math.prod(self.radices) > 80:
            raise Skip
        rng = np.random.default_rng(self.seed)
        if np.dtype(self.dtype).kind != "c" and self.kind == "dft":
            raise Skip
        F = self.operator(rng)
        if F.dtype != np.dtype(self.dtype):
            raise Skip
        if self.seed % 32 == 0:
            self.check_refused(F, rng)
            return
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            G = F.simplify(None if self.tol < 0 else self.tol)
        assert G.dtype == F.dtype and G.shape == F.shape and G.architecture == F.architecture
        A, sizes = products(F)
        B, simple_sizes = products(G)
        eps = float(np.finfo(F.dtype).eps)
        self.check_change(F, G, A, B, sizes, eps)
        for op, matrix, size in ((F, A, sizes), (G, B, simple_sizes)):
            self.check_product(op, matrix, size, eps, rng)

    def check_refused(self, F: Any, rng: np.random.Generator) -> None:
        values = [np.array(v) for v in F.factors]
        n = int(rng.integers(len(values)))
        values[n].flat[int(rng.integers(values[n].size))] = rng.choice([np.nan, np.inf, -np.inf])
        try:
            F.with_factors(values).simplify(None if self.tol < 0 else self.tol)
        except ValueError as error:
            assert f"factors[{n}] has values that are NaN" in str(error), str(error)
        else:
            raise AssertionError("no ValueError for what isn't finite")

    def check_change(self, F: Any, G: Any, A: Any, B: Any, sizes: Any, eps: float) -> None:
        told = G.simplification
        assert told.nbytes_after == G.nbytes <= told.nbytes_before == F.nbytes
        tol = eps**0.75 if self.tol < 0 else self.tol
        count = len(F.factors)
        allowed = np.expm1(count * np.log1p(8 * tol)) + 64 * count * eps
        rest = np.abs(B - A).astype(np.longdouble)
        for axis in (0, 1):
            lost, whole = rest.sum(axis), sizes.sum(axis)
            at = int(np.argmax(lost - 40 * allowed * whole))
            assert lost[at] <= 40 * allowed * whole[at], (
                f"line {at} of axis {1 - axis} changed by {float(lost[at])!r} of "
                f"{float(whole[at])!r}"
            )
        norm = np.sqrt(np.sum(np.abs(A) ** 2))
        true = float(np.sqrt(np.sum(rest**2)) / norm) if norm > 0 else 0.0
        rounding = 64 * count * float(np.sqrt(np.sum(sizes**2)) / norm) * 2.3e-16 if norm else 0.0
        share = 0.01 if F.shape[1] <= 64 else 0.9
        assert abs(told.relative_change - true) <= share * true + rounding, (
            f"relative change {told.relative_change!r} told, {true!r} is true"
        )

    def check_product(self, op: Any, matrix: Any, sizes: Any, eps: float, rng: Any) -> None:
        """Entry by entry against what rounding may do to the terms."""
        info = np.finfo(op.dtype)
        x = rng.standard_normal((op.shape[1], 3)) * 10.0 ** -(rng.random((op.shape[1], 1)) * 10)
        x = x.astype(op.dtype)
        for one in (x, x[:, 0]):
            wanted = matrix @ one.astype(matrix.dtype)
            bound = sizes @ np.abs(one).astype(np.longdouble)
            if not bound.max() < info.max / 2**12:
                return
            got = op @ one
            steps = 16 * sum(p.c for p in op.architecture)
            slack = steps * (eps * bound + self.underflow(op, one, info))
            wrong = np.abs(got - wanted) > slack
            assert not wrong.any(), (
                f"entry {np.argwhere(wrong)[0]} of a product is {got[wrong][0]!r}, expected "
                f"{complex(wanted[wrong][0])!r} within {float(slack[wrong][0])!r}"
            )

    @staticmethod
    def underflow(op: Any, x: Any, info: Any) -> Any:
        """What is lost where products of some factors are subnormal, grown by the factors left."""
        grown, growth = 1.0, 1.0
        for values in op.factors:
            growth = max(growth, grown := grown * max(1.0, float(np.abs(values).max())))
        return float(info.tiny) * max(growth, 1.0)


FAMILIES = [NearStructure]
