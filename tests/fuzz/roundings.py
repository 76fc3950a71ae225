"""round, orthonormalize, balanced, norm: matrices given by factors, of all sizes and structures."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

import papilio as pp

from .case import Case, Skip
from .factorizations import DIGITS, DTYPES, close_norm, rounding
from .matrices import architecture, exponents, gaussian
from .truth import dense, error, norm, split_errors

VALUES = ("gaussian", "graded", "scaled", "wild", "gauged", "zero", "zeros", "repeated", "ends")


@dataclass(frozen=True)
class Rounding(Case):
    """One operator, rounded, orthonormalized and measured."""

    seed: int
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    ranks: tuple[int, ...]
    diagonal: int
    stride: int
    dtype: str
    values: str
    tied: bool
    permuted: bool
    view: str
    tol: float | None
    max_rank: int | None
    threads: int
    bad: str | None

    family: ClassVar[str] = "round"
    every: ClassVar[int] = 2

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        length = int(rng.choice([1, 2, 2, 3, 3, 3, 4, 4, 5]))
        radices = [1, 2, 2, 3, 4] if rng.random() < 0.9 else [2, 6, 12]
        return cls(
            seed=int(rng.integers(2**31)),
            rows=tuple(int(q) for q in rng.choice(radices, length)),
            columns=tuple(int(p) for p in rng.choice(radices, length)),
            ranks=tuple(int(r) for r in rng.integers(1, 6, length - 1)),
            diagonal=int(rng.choice([1, 2], p=[0.9, 0.1])),
            stride=int(rng.choice([1, 2, 3], p=[0.9, 0.05, 0.05])),
            dtype=str(rng.choice(DTYPES)),
            values=str(rng.choice(VALUES)),
            tied=bool(rng.random() < 0.15),
            permuted=bool(rng.random() < 0.2),
            view=str(rng.choice(["F", "F", "T", "H", "conj", "sum"])),
            tol=float(10.0 ** rng.uniform(-16, 0)) if rng.random() < 0.6 else None,
            max_rank=int(rng.integers(1, 4)) if rng.random() < 0.25 else None,
            threads=int(rng.integers(1, 4)),
            bad=str(rng.choice(["nan", "inf"])) if rng.random() < 0.02 else None,
        )

    def check(self) -> None:
        rng = np.random.default_rng(self.seed)
        if (
            not self.rows
            or len(self.rows) != len(self.columns)
            or len(self.ranks) != len(self.rows) - 1
            or min((1, *self.rows, *self.columns, *self.ranks, self.diagonal, self.stride)) < 1
            or (self.tol is not None and not 0 <= self.tol < 1)
            or (self.max_rank is not None and self.max_rank < 1)
            or self.threads < 1
        ):
            raise Skip
        chain = architecture(self.rows, self.columns, self.ranks, self.diagonal, self.stride)
        if chain.shape[0] * chain.shape[1] > 20000 or chain.nnz > 50000:
            raise Skip
        F = self.operator(chain, rng)
        pp.set_num_threads(self.threads)
        try:
            if self.bad:
                self.check_refused(F)
                return
            self.check_norm(F)
            self.check_round(F)
            self.check_orthonormalize(F, int(rng.integers(len(chain))))
            self.check_balanced(F)
        finally:
            pp.set_num_threads(1)

    def operator(self, chain: pp.Architecture, rng: np.random.Generator) -> Any:
        factors = [self.factor(tuple(p), rng) for p in chain]
        if self.values == "gauged" and not self.tied:
            self.gauge(factors, chain, rng)
        if self.bad:
            values = factors[int(rng.integers(len(factors)))]
            values.ravel()[int(rng.integers(values.size))] = float(self.bad)
        permutations = [rng.permutation(size) if self.permuted else None for size in chain.shape]
        F = pp.Butterfly(factors, *permutations, architecture=chain)
        if self.view == "sum":
            return F + F if not self.bad and self.values in ("gaussian", "zeros") else F
        return {"F": F, "T": F.T, "H": F.H, "conj": F.conj()}[self.view]

    def gauge(self, factors: list[Any], chain: pp.Architecture, rng: np.random.Generator) -> None:
        """Columns times anything, and the rows that they meet divided by it."""
        lowest, highest = exponents(self.dtype)
        for n, (p, q) in enumerate(itertools.pairwise(chain)):
            powers = 10.0 ** rng.uniform(lowest * 0.8, highest * 0.8, p.shape[1])
            with np.errstate(all="ignore"):
                left = factors[n] * powers.reshape(p.a, 1, p.c, p.d)
                right = factors[n + 1] / powers.reshape(q.a, q.b, 1, q.d)
                left, right = left.astype(self.dtype), right.astype(self.dtype)
            if np.isfinite(left).all() and np.isfinite(right).all():
                factors[n], factors[n + 1] = left, right

    def factor(self, sizes: tuple[int, ...], rng: np.random.Generator) -> Any:
        """Values of one factor: each kind goes wrong in its own way."""
        a, b, c, d = sizes
        if self.tied:
            a, d = int(rng.choice([1, a])), int(rng.choice([1, d]))
        wide = np.complex128 if np.dtype(self.dtype).kind == "c" else np.float64
        values = gaussian(rng, (a, b, c, d), wide)
        lowest, highest = exponents(self.dtype)
        if self.values == "graded":
            values *= 10.0 ** rng.uniform(lowest / 4, 0, (1, 1, c, 1))
            values *= 10.0 ** rng.uniform(lowest / 4, 0, (1, b, 1, 1))
        elif self.values == "scaled":
            values *= 10.0 ** rng.uniform(lowest * 0.9, highest * 0.9)
        elif self.values == "wild":
            values *= 10.0 ** rng.uniform(lowest / 2, highest / 2, values.shape)
        elif self.values == "zero":
            values *= rng.random() < 0.7
        elif self.values == "zeros":
            values *= rng.random(values.shape) < 0.5
        elif self.values == "repeated":
            values = np.sign(values.real) + 0 * values
        elif self.values == "ends":
            finfo = np.finfo(self.dtype)
            sizes_of = [0.0, float(finfo.smallest_subnormal), float(finfo.tiny), 1.0]
            values = np.sign(values.real) * rng.choice([*sizes_of, float(finfo.max)], values.shape)
            values = values.astype(wide)
        with np.errstate(all="ignore"):
            most = float(np.finfo(self.dtype).max)
            if wide == np.float64:
                return np.clip(values, -most, most).astype(self.dtype)
            parts = [np.clip(x, -most, most) for x in (values.real, values.imag)]
            return (parts[0] + 1j * parts[1]).astype(self.dtype)

    def check_refused(self, F: Any) -> None:
        for call in (F.round, F.orthonormalize):
            try:
                call()
            except ValueError as failure:
                assert "factors[" in str(failure) and str(self.bad) in str(failure), str(failure)
            else:
                raise AssertionError("no ValueError for what isn't finite")
        found = F.norm()
        assert not np.isfinite(found) or np.isfinite(F.toarray()).all(), f"norm {found}"

    def check_norm(self, F: Any) -> None:
        size = norm(dense(F))
        noise = 20 * rounding(F, size)
        found = F.norm()
        if noise > 0.1:
            return  # nothing but cancellation is left
        assert close_norm(found, size, F.dtype) or abs(found - size) <= noise * size, (
            f"norm {found}, true {size}, rounding {noise}"
        )

    def check_round(self, F: Any) -> None:
        A = dense(F)
        size = norm(A)
        try:
            G = F.round(self.tol, max_rank=self.max_rank)
        except OverflowError:
            assert not representable(F, size), f"overflow at the norm {size}"
            return
        report = G.report
        noise, digits = rounding(F, size) + rounding(G, size), DIGITS[str(F.dtype)]
        assert all(np.isfinite(values).all() for values in G.factors), "a factor isn't finite"
        if self.max_rank is not None:
            assert max(report.ranks, default=1) <= self.max_rank
        if noise > 0.1 or not representable(F, size):
            return
        true = error(G, A)
        assert abs(report.relative_error - true) <= digits * true + noise, (
            f"reported {report.relative_error}, true {true}, rounding {noise}"
        )
        assert report.lower_bound <= true * (1 + digits) + noise
        assert report.shape == G.shape
        right = close_norm(report.norm, size, F.dtype) or abs(report.norm - size) <= noise * size
        assert right, f"norm {report.norm}, true {size}"
        if report.meets_tolerance:
            assert true <= self.tol * (1 + digits) + noise, f"true {true}, tol {self.tol}"
        if self.tol is not None and self.max_rank is None and self.tol > 20 * noise:
            assert report.meets_tolerance, f"{report.relative_error} misses {self.tol}"
        H = G if G.architecture.is_chainable else G.T
        B = A if H is G else A.T
        if H.row_permutation is not None:
            B = B[np.argsort(H.row_permutation)]
        if H.column_permutation is not None:
            B = B[:, np.argsort(H.column_permutation)]
        assert H.report.ranks == H.architecture.ranks
        below = split_errors(B, H.architecture)
        assert true <= math.hypot(*below) * (1 + digits) + noise, f"true {true}, proved {below}"
        assert report.lower_bound <= max(below, default=0.0) * (1 + digits) + noise

    def check_orthonormalize(self, F: Any, centre: int) -> None:
        A = dense(F)
        size = norm(A)
        noise = 2 * rounding(F, size)
        finfo = np.finfo(F.dtype)
        if noise > 0.1 or not float(finfo.tiny) * 1e8 < size < float(finfo.max) / 2:
            return
        G = F.orthonormalize(centre)
        assert error(G, A) <= 4 * noise, f"another matrix: {error(G, A)}, rounding {noise}"
        found = norm(G.factors[centre]) / size
        assert abs(found - 1) <= 4 * noise, f"the centre has {found} of the norm"

    def check_balanced(self, F: Any) -> None:
        A = dense(F)
        size = norm(A)
        noise = 10 * rounding(F, size)
        if noise > 0.1 or not representable(F, size):
            return
        G = F.balanced()
        assert error(G, A) <= noise, f"balanced: {error(G, A)}, rounding {noise}"
        sizes = [norm(values) for values in G.factors]
        off = max(sizes) / min(sizes) - 1 if min(sizes) > 0 else 0.0
        assert off <= 1e-3, f"norms of balanced factors: {sizes}"


def representable(F: Any, size: np.longdouble) -> bool:
    """Whether factors of the operator's dtype can have a product of this norm, digits and all."""
    finfo = np.finfo(F.dtype)
    count = len(F.architecture)
    return size == 0 or bool(
        np.longdouble(finfo.tiny) ** count * 1e8 < size < np.longdouble(finfo.max) ** count / 1e8
    )


FAMILIES = [Rounding]
