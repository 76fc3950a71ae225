"""fit and quantize: losses and errors are the true ones, bounds hold, nothing gets worse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

import papilio as pp

from .case import Case, Skip
from .factorizations import DTYPES
from .matrices import architecture, gaussian, random_butterfly
from .truth import Array, dense, epsilon, norm, relative


@dataclass(frozen=True)
class Fit(Case):
    """One call of `fit`."""

    seed: int
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    ranks: tuple[int, ...]
    samples: int
    dtype: str
    spread: float
    noise: float
    start: str
    ridge: float
    weighted: bool
    validation: float | None
    permuted: bool
    iterations: int
    mixed: bool = False  # whether small directions of the samples are no inputs of their own

    family: ClassVar[str] = "fit"
    every: ClassVar[int] = 8
    quick: ClassVar[int] = 15

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        length = int(rng.integers(1, 4))
        return cls(
            seed=int(rng.integers(2**31)),
            rows=tuple(int(q) for q in rng.choice([1, 2, 3, 4], length)),
            columns=tuple(int(p) for p in rng.choice([1, 2, 3, 4], length)),
            ranks=tuple(int(r) for r in rng.integers(1, 4, length - 1)),
            samples=int(rng.choice([1, 3, 10, 40, 100])),
            dtype=str(rng.choice(DTYPES)),
            spread=float(rng.choice([0.0, 0.0, 2.0, 5.0, 9.0])),
            noise=float(rng.choice([0.0, 0.01, 1.0, 100.0])),
            start=str(rng.choice(["factorize", "random", "butterfly"])),
            ridge=float(rng.choice([0.0, 0.0, 1e-6, 1.0])),
            weighted=bool(rng.random() < 0.3),
            validation=0.3 if rng.random() < 0.2 else None,
            permuted=bool(rng.random() < 0.3),
            iterations=int(rng.choice([1, 5, 40])),
            mixed=bool(rng.random() < 0.5),
        )

    def check(self) -> None:
        rng = np.random.default_rng(self.seed)
        if (
            len(self.rows) != len(self.columns)
            or not self.rows
            or len(self.ranks) != len(self.rows) - 1
            or min((1, *self.rows, *self.columns, *self.ranks, self.iterations)) < 1
            or self.samples < (4 if self.validation else 1)
            or (self.validation is not None and not 0 < self.validation < 0.5)
        ):
            raise Skip
        chain = architecture(self.rows, self.columns, self.ranks, 1, 1)
        m, n = chain.shape
        if m * n > 3000 or min(self.ridge, self.noise, self.spread) < 0:
            raise Skip
        scales = 10.0 ** rng.uniform(-self.spread, 0, (n, 1))
        X = gaussian(rng, (n, self.samples), self.dtype) * scales
        if self.mixed:
            X = np.linalg.qr(gaussian(rng, (n, n), self.dtype))[0] @ X
        X = X.astype(self.dtype)
        planted = random_butterfly(rng, chain, self.dtype)
        Y = dense(planted).astype(self.dtype) @ X
        Y = Y + (self.noise * gaussian(rng, Y.shape, self.dtype)).astype(self.dtype)
        options: dict[str, Any] = {
            "start": self.start,
            "ridge": self.ridge,
            "max_iterations": self.iterations,
            "sample_weights": rng.uniform(0, 1, self.samples) if self.weighted else None,
            "seed": self.seed,
        }
        if self.start == "butterfly":  # of any scale
            far = np.finfo(self.dtype).maxexp * rng.uniform(-0.3, 0.3, len(chain))
            parts = random_butterfly(rng, chain, self.dtype).factors
            options["start"] = pp.Butterfly(
                [W * W.real.dtype.type(2.0**e) for W, e in zip(parts, far, strict=True)]
            )
        elif self.permuted:
            options["row_permutation"] = rng.permutation(m)
            options["column_permutation"] = rng.permutation(n)
        held = np.zeros(self.samples, bool)
        if self.validation is not None:
            held[rng.permutation(self.samples)[: max(1, self.samples // 3)]] = True
            options["validation"] = np.flatnonzero(held)
        F = pp.fit(X, Y, chain, **options)
        weights = np.ones(self.samples) if not self.weighted else options["sample_weights"]
        self.check_report(F, X[:, ~held], Y[:, ~held], weights[~held], rng)
        if not self.permuted:
            # Another butterfly; its loss is computed to rounding of the terms in its residuals.
            found = self.loss(dense(planted), X[:, ~held], Y[:, ~held], weights[~held])
            terms = norm(dense(planted)) * norm(X) + norm(Y)
            room = 1e-12 * found + (1e3 * float(epsilon(np.float64)) * terms) ** 2
            assert F.report.lower_bound <= found + room, f"{F.report.lower_bound}, other {found}"

    def check_report(
        self, F: Any, X: Array, Y: Array, weights: Array, rng: np.random.Generator
    ) -> None:
        """What it says of the samples that were fitted."""
        report = F.report
        size = self.loss(0 * dense(F), X, Y, weights)
        true = self.loss(dense(F), X, Y, weights)
        # Rounding of residuals: of the largest terms in them, and of factors in the dtype.
        terms = norm(dense(F)) * norm(X) + norm(Y)
        room = float(100 * epsilon(np.float64) * terms * (np.sqrt(true) + 1e-13 * terms))
        assert F.dtype == np.dtype(self.dtype)
        assert abs(report.loss - true) <= room + 1e-12 * true, f"loss {report.loss}, true {true}"
        error = relative(np.sqrt(self.loss(dense(F), X, Y, weights, 0.0)), np.sqrt(size))
        digits = 1e-9 + float(100 * epsilon(np.float64) * terms / np.sqrt(size)) if size else 1e-9
        assert abs(report.relative_error - error) <= digits + 1e-9 * error
        assert report.lower_bound <= true + room, f"bound {report.lower_bound}, found {true}"
        chain = F.architecture
        for values in (F.factors, [gaussian(rng, tuple(p), self.dtype) for p in chain]):
            moved = [v + 1e-3 * gaussian(rng, v.shape, v.dtype) * abs(v).max() for v in values]
            other = dense(pp.Butterfly(moved, F.row_permutation, F.column_permutation))
            found = self.loss(other, X, Y, weights)
            assert report.lower_bound <= found + room, f"bound {report.lower_bound}, found {found}"
        if self.validation is None and self.dtype in ("float64", "complex128"):
            worst = report.start_loss * (1 + 1e-9) + room
            assert report.loss <= worst, f"{report.start_loss} became {report.loss}"

    def loss(
        self, A: Array, X: Array, Y: Array, weights: Array, ridge: float | None = None
    ) -> float:
        rest = (Y.astype(A.dtype) - A @ X.astype(A.dtype)) * np.sqrt(weights)
        penalty = self.ridge if ridge is None else ridge
        return float(norm(rest) ** 2 + penalty * norm(A) ** 2)


@dataclass(frozen=True)
class Quantized(Case):
    """One call of `quantize`."""

    seed: int
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    ranks: tuple[int, ...]
    dtype: str
    bits: int
    exponent: int
    zeros: float
    transposed: bool

    family: ClassVar[str] = "quantize"
    every: ClassVar[int] = 10  # a case takes as long as 10 others
    quick: ClassVar[int] = 8

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        length = int(rng.integers(1, 5))
        return cls(
            seed=int(rng.integers(2**31)),
            rows=tuple(int(q) for q in rng.choice([1, 2, 2, 3, 4], length)),
            columns=tuple(int(p) for p in rng.choice([1, 2, 2, 3, 4], length)),
            ranks=tuple(int(r) for r in rng.integers(1, 4, length - 1)),
            dtype=str(rng.choice(DTYPES)),
            bits=int(rng.integers(1, 25)),
            exponent=int(rng.choice([0, 0, -8, 8])),
            zeros=float(rng.choice([0.0, 0.0, 0.3, 1.0])),
            transposed=bool(rng.random() < 0.3),
        )

    def check(self) -> None:
        rng = np.random.default_rng(self.seed)
        if (
            len(self.rows) != len(self.columns)
            or not self.rows
            or len(self.ranks) != len(self.rows) - 1
            or min((1, *self.rows, *self.columns, *self.ranks)) < 1
            or not 1 <= self.bits <= 24
        ):
            raise Skip
        chain = architecture(self.rows, self.columns, self.ranks, 1, 1)
        if chain.shape[0] * chain.shape[1] > 5000:
            raise Skip
        values = []
        for p in chain:
            array = gaussian(rng, tuple(p), self.dtype) * 10.0**self.exponent
            array[rng.random(array.shape) < self.zeros] = 0
            values.append(array.astype(self.dtype))
        F = pp.Butterfly(values)
        F = F.T if self.transposed else F
        G = F.quantize(self.bits)
        for array in G.factors:
            for part in (array.real.astype(np.float64), array.imag.astype(np.float64)):
                mantissa, _ = np.frexp(part)
                scaled = np.ldexp(mantissa, self.bits)
                assert np.array_equal(scaled, np.rint(scaled)), "more bits than asked for"
        true = relative(norm(dense(G) - dense(F)), norm(dense(F)))
        report = G.report
        amplitude = relative(norm(dense(pp.Butterfly([abs(v) for v in F.factors]))), norm(dense(F)))
        room = 1e-12 * (1 + amplitude) if norm(dense(F)) else 0.0
        assert abs(report.relative_error - true) <= 1e-6 * true + room, (
            f"reported {report.relative_error}, true {true}"
        )
        assert report.relative_error <= report.naive_error


FAMILIES = [Fit, Quantized]
