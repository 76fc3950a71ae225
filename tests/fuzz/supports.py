"""fixed_support and analyze_supports: every claim of a report against brute force."""

from __future__ import annotations

import dataclasses
import itertools
import math
import warnings
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse
import scipy.sparse.linalg

import papilio as pp

from .case import Case, Skip
from .closedness import classes_of, is_closed, is_open

DTYPES = ("float64", "float32", "complex128", "complex64")
SHAPES = ("random", "blocks", "triangles", "nested", "complete", "bands", "dense")
DATA = ("normal", "planted", "zero", "integers", "sparse", "wide", "rows", "halves")
LAYOUTS = ("C", "F", "strided", "reversed", "csr", "operator")
EPS = float(np.finfo(float).eps)


def masks_of(kind: str, m: int, k: int, n: int, density: float, rng: np.random.Generator) -> Any:
    """A pair of supports, each with an entry at least."""
    left, right = rng.random((m, k)) < density, rng.random((k, n)) < density
    if kind == "dense":
        left[:], right[:] = True, True
    elif kind == "blocks":
        row_of, col_of = rng.integers(0, 3, m), rng.integers(0, 3, n)
        part = rng.integers(0, 3, (2, k))
        left, right = row_of[:, None] == part[0], part[1][:, None] == col_of
    elif kind == "triangles":
        left = np.arange(m)[:, None] >= np.arange(k)
        right = np.arange(k)[:, None] <= np.arange(n)
        if rng.random() < 0.3:
            right = ~right
    elif kind == "nested":
        heights, widths = rng.integers(0, m + 1, k), rng.integers(0, n + 1, k)
        left, right = np.arange(m)[:, None] < heights, np.arange(n) < widths[:, None]
    elif kind == "complete":
        block = rng.integers(0, 2, m)
        own = rng.integers(0, 2, k)
        left = (block[:, None] == own) | (rng.random(k) < 0.3)
        right = (own[:, None] == rng.integers(0, 2, n)) | (rng.random((k, 1)) < 0.5)
    elif kind == "bands":
        left = np.abs(np.arange(m)[:, None] - np.arange(k)) <= 1
        right = np.abs(np.arange(k)[:, None] - np.arange(n)) <= int(rng.integers(0, 2))
    for mask in (left, right):
        if not mask.any():
            mask[0, 0] = True
    return left, right


def matrix_of(
    data: str, left: Any, right: Any, dtype: str, power: int, rng: np.random.Generator
) -> Any:
    """The matrix to approximate, times 2**power."""
    complex_ = np.dtype(dtype).kind == "c"

    def normal(*shape: int) -> Any:
        values = rng.standard_normal(shape)
        return values + 1j * rng.standard_normal(shape) if complex_ else values

    m, n = left.shape[0], right.shape[1]
    A = normal(m, n)
    if data == "planted":
        A = (normal(*left.shape) * left) @ (normal(*right.shape) * right)
    elif data == "zero":
        A = np.zeros_like(A)
    elif data == "integers":
        A = np.rint(2 * A)
    elif data == "sparse":
        A = A * (rng.random((m, n)) < 0.3)
    elif data in ("wide", "rows"):
        most = 40.0 if np.dtype(dtype).itemsize // (1 + complex_) == 4 else 300.0
        size = rng.random((m, n) if data == "wide" else (m, 1)) * most
        A = A * 2.0 ** -np.rint(size)
    elif data == "halves":
        A = A * np.where(np.arange(m)[:, None] < m // 2, 1.0, 2.0 ** -int(rng.integers(0, 500)))
    info = np.finfo(dtype)
    shift = int(np.clip(power, info.minexp - info.nmant + 8, info.maxexp - 8))
    half = shift // 2
    with np.errstate(all="ignore"):
        return (A * 2.0**half * 2.0 ** (shift - half)).astype(dtype)


def laid_out(A: Any, layout: str) -> Any:
    """The same matrix in another form."""
    if layout == "F":
        return np.asfortranarray(A)
    if layout == "strided":
        wide = np.zeros((2 * A.shape[0], 3 * A.shape[1]), A.dtype)
        wide[::2, ::3] = A
        return wide[::2, ::3]
    if layout == "reversed":
        return A[::-1, ::-1].copy()[::-1, ::-1]
    if layout == "csr":
        return scipy.sparse.csr_array(A)
    if layout == "operator":
        return scipy.sparse.linalg.aslinearoperator(A)
    return A


def extended(A: Any) -> Any:
    """In extended precision, whose range no product of doubles leaves."""
    A = A.toarray() if scipy.sparse.issparse(A) else np.asarray(A)
    return A.astype(np.clongdouble if A.dtype.kind == "c" else np.longdouble)


def norm_of(A: Any) -> Any:
    return np.sqrt(np.sum(np.abs(A) ** 2))


def true_error(A: Any, factors: Any) -> tuple[Any, Any, Any]:
    """||A - product||, what rounding could make of it in double precision, and ||A||."""
    product, size = extended(factors[0]), np.abs(extended(factors[0]))
    for factor in factors[1:]:
        product, size = product @ extended(factor), size @ np.abs(extended(factor))
    A = extended(A)
    inner = sum(factor.shape[1] for factor in factors)
    rounding = 8 * (inner + A.size) * EPS * (norm_of(A) + norm_of(size))
    return norm_of(A - product), rounding, norm_of(A)


def alternating(A: Any, left: Any, right: Any, ridge: float, restarts: int, seed: int) -> float:
    """The least penalized squared error that alternating least squares finds. A is near 1."""
    rng = np.random.default_rng((seed, 99))
    best = math.inf
    root = math.sqrt(ridge)
    for _ in range(restarts):
        Y = rng.standard_normal(right.shape) * right + 0 * A[:1, :1]
        X = np.zeros(left.shape, Y.dtype)
        for _ in range(60):
            for B, P, Q, mask in ((A, X, Y, left), (A.T, Y.T, X.T, right.T)):
                for i in range(B.shape[0]):
                    at = np.flatnonzero(mask[i])
                    if not len(at):
                        continue
                    rows = np.vstack([Q[at].T, root * np.eye(len(at))])
                    wanted = np.r_[B[i], np.zeros(len(at))]
                    P[i, at] = np.linalg.lstsq(rows, wanted, rcond=None)[0]
            rest = np.linalg.norm(A - X @ Y) ** 2
            now = rest + ridge * (np.linalg.norm(X) ** 2 + np.linalg.norm(Y) ** 2)
            if best - now <= 1e-9 * abs(now):
                break
            best = min(best, now)
        best = min(best, now)
    return float(best)


def check_factors(result: Any, masks: Any, dtype: Any) -> None:
    """Exactly the supports, finite, of the right dtype."""
    for factor, mask in zip(result.factors, masks, strict=True):
        wanted = scipy.sparse.csr_array(mask)
        assert factor.shape == mask.shape, f"shape {factor.shape}"
        assert factor.nnz == wanted.nnz and (factor.indices == wanted.indices).all(), "support"
        assert factor.dtype == dtype, f"factor of dtype {factor.dtype} for {dtype}"
        assert np.isfinite(factor.data).all(), "a factor isn't finite"


def check_errors(A: Any, result: Any) -> Any:
    """Reported errors are true, bounds are below them. Returns ||A||."""
    error, rounding, norm = true_error(A, result.factors)
    assert abs(result.error - error) <= rounding + 1e-320, (
        f"error {result.error!r} reported, {float(error)!r} is true (rounding {float(rounding)!r})"
    )
    # Zero factors leave all of A.
    eps = float(np.finfo(A.dtype).eps) * max(A.shape) * len(result.factors)
    assert result.error <= norm * (1 + 10 * eps) + 1e-320, f"error {result.error!r} of {norm!r}"
    wanted = float(result.error / norm) if norm > 0 else 0.0
    subnormal = 5e-324 / float(norm) if norm > 0 else 0.0  # what the last bit of error means
    assert math.isclose(result.relative_error, wanted, rel_tol=1e-9, abs_tol=subnormal), (
        f"relative error {result.relative_error!r}, expected {wanted!r}"
    )
    assert 0 <= result.lower_bound <= result.error, (
        f"lower bound {result.lower_bound!r} above the error {result.error!r}"
    )
    assert result.history.shape == (len(result.history), 2)
    return norm


@dataclasses.dataclass(frozen=True)
class TwoSupports(Case):
    """fixed_support for two factors."""

    family: ClassVar[str] = "supports"
    every: ClassVar[int] = 2
    limit: ClassVar[float] = 120

    shape: str
    m: int
    k: int
    n: int
    density: float
    data: str
    dtype: str
    power: int
    layout: str
    method: str
    ridge: float
    change: str
    threads: int
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        top = 4 if rng.random() < 0.6 else 9
        dtype = str(rng.choice(DTYPES))
        ends = 1020 if dtype in ("float64", "complex128") else 120
        return cls(
            str(rng.choice(SHAPES)),
            *(int(rng.integers(1, top + 1)) for _ in range(3)),
            float(rng.choice([0.2, 0.4, 0.6, 0.8])),
            str(rng.choice(DATA)),
            dtype,
            int(rng.integers(-ends - 60, ends + 1)) if rng.random() < 0.4 else 0,
            str(rng.choice(LAYOUTS)),
            str(rng.choice(["auto", "auto", "auto", "local", "exact"])),
            float(rng.choice([0.0, 0.0, 0.0, 0.1, 3.0])),
            str(rng.choice(["", "rows", "columns", "inner", "transposed", "threads", "again"])),
            int(rng.integers(1, 4)),
            int(rng.integers(2**31)),
        )

    def solve(self, A: Any, left: Any, right: Any) -> Any:
        norm = float(norm_of(extended(A.toarray() if scipy.sparse.issparse(A) else A)))
        ridge = self.ridge * norm if math.isfinite(norm) else 0.0
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", pp.DivergingFactorsWarning)
            return ridge, pp.fixed_support(
                laid_out(A, self.layout), left, right,
                method=self.method, ridge=ridge, restarts=1, max_sweeps=30, seed=self.seed % 7,
            )  # fmt: skip

    def check(self) -> None:
        rng = np.random.default_rng(self.seed)
        if min(self.m, self.k, self.n, self.threads) < 1:
            raise Skip
        left, right = masks_of(self.shape, self.m, self.k, self.n, self.density, rng)
        A = matrix_of(self.data, left, right, self.dtype, self.power, rng)
        pp.set_num_threads(self.threads)
        try:
            self.check_on(A, left, right, rng)
        finally:
            pp.set_num_threads(1)

    def check_on(self, A: Any, left: Any, right: Any, rng: np.random.Generator) -> None:
        analysis = pp.analyze_supports(left, right)
        try:
            ridge, result = self.solve(A, left, right)
        except ValueError as error:
            refused = self.method == "exact" and "method is 'exact' but" in str(error)
            assert refused, str(error)
            assert not analysis.tractable or self.ridge > 0, "exact refused, but it is tractable"
            return
        check_factors(result, (left, right), A.dtype)
        norm = check_errors(A, result)
        assert result.optimal == (result.method == "exact")
        if result.optimal and not ridge:
            # Among subnormal numbers the one is rounded up, the other down.
            allowed = 1e3 * float(np.finfo(A.dtype).eps) * norm + 2 * math.ulp(0)
            assert result.error - result.lower_bound <= allowed
        self.compare(A, left, right, result, ridge, norm)
        self.change_it(A, left, right, result, ridge, norm, rng)

    def compare(self, A: Any, left: Any, right: Any, result: Any, ridge: float, norm: Any) -> None:
        """With alternating least squares, on the matrix brought near 1."""
        if norm == 0:
            assert result.error == 0, "a zero matrix has no error"
            return
        if self.m * self.k * self.n > 200 or self.data in ("wide", "rows", "halves"):
            return
        shift = math.frexp(float(np.abs(extended(A)).max()))[1]
        near = np.asarray(extended(A) * np.ldexp(np.longdouble(1), -shift))
        near = near.astype(complex if near.dtype.kind == "c" else float)
        size = float(np.linalg.norm(near))
        scaled = [float(x * np.ldexp(np.longdouble(1), -shift)) for x in
                  (np.longdouble(result.error), np.longdouble(result.lower_bound),
                   np.longdouble(ridge))]  # fmt: skip
        _, bound, mu = scaled
        best = alternating(near, left, right, mu, 2, self.seed)
        eps = float(np.finfo(A.dtype).eps)
        slack = 1e3 * eps * size
        if result.optimal:
            # Of the factors themselves: what is reported may be subnormal.
            exact = true_error(A, result.factors)[0]
            own = float(exact * np.ldexp(np.longdouble(1), -shift)) ** 2
            if mu:
                X, Y = (extended(f) for f in result.factors)
                weight = norm_of(X) ** 2 + norm_of(Y) ** 2
                own += mu * float(weight * np.ldexp(np.longdouble(1), -shift))
            assert math.sqrt(own) <= math.sqrt(best) + slack, (
                f"optimal with {math.sqrt(own)!r}, but {math.sqrt(best)!r} was found"
            )
        if mu == 0:
            assert bound <= math.sqrt(best) + slack, (
                f"lower bound {bound!r}, but a product has {math.sqrt(best)!r}"
            )

    def change_it(
        self, A: Any, left: Any, right: Any, result: Any, ridge: float, norm: Any,
        rng: np.random.Generator,
    ) -> None:  # fmt: skip
        """What must not change under a change of the order, or from call to call."""
        rows, inner, cols = (rng.permutation(size) for size in (self.m, self.k, self.n))
        if self.change in ("threads", "again"):
            if self.change == "threads":
                pp.set_num_threads(self.threads % 3 + 1)
            other = self.solve(A, left, right)[1]
            for f, g in zip(result.factors, other.factors, strict=True):
                assert f.data.tobytes() == g.data.tobytes(), "other bits"
            assert (result.error, result.lower_bound) == (other.error, other.lower_bound)
            return
        if self.change == "rows":
            other = self.solve(A[rows], left[rows], right)[1]
        elif self.change == "columns":
            other = self.solve(A[:, cols], left, right[:, cols])[1]
        elif self.change == "inner":
            other = self.solve(A, left[:, inner], right[inner])[1]
        elif self.change == "transposed":
            other = self.solve(A.T, right.T, left.T)[1]
        else:
            return
        assert other.optimal == result.optimal and other.method == result.method
        if result.optimal and not ridge:
            slack = 1e3 * float(np.finfo(A.dtype).eps) * norm
            assert abs(other.error - result.error) <= slack, (
                f"error {result.error!r}, but {other.error!r} with {self.change} changed"
            )


@dataclasses.dataclass(frozen=True)
class Analysis(Case):
    """analyze_supports against brute force and the decision procedure of docs."""

    family: ClassVar[str] = "supports-analysis"
    every: ClassVar[int] = 2

    shape: str
    m: int
    k: int
    n: int
    density: float
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        return cls(
            str(rng.choice(SHAPES)),
            *(int(rng.integers(1, 6)) for _ in range(3)),
            float(rng.choice([0.2, 0.4, 0.6, 0.8])),
            int(rng.integers(2**31)),
        )

    def check(self) -> None:
        rng = np.random.default_rng(self.seed)
        if min(self.m, self.k, self.n) < 1:
            raise Skip
        left, right = masks_of(self.shape, self.m, self.k, self.n, self.density, rng)
        report = pp.analyze_supports(left, right)
        rectangles = [np.outer(left[:, i], right[i]) for i in range(self.k)]
        for i, j in itertools.combinations(range(self.k), 2):
            equal = rectangles[i].any() and (rectangles[i] == rectangles[j]).all()
            same = report.class_of[i] == report.class_of[j] >= 0
            assert equal == same, f"inner indices {i}, {j}"
        for i in range(self.k):
            assert (report.class_of[i] >= 0) == rectangles[i].any()
        alone = [
            rectangles[np.flatnonzero(report.class_of == p)[0]] for p in range(len(report.sizes))
        ]
        assert [int(s) for s in report.sizes] == [
            int((report.class_of == p).sum()) for p in range(len(alone))
        ]
        self.check_kinds(report, alone)
        self.check_existence(report, left, right)

    def check_kinds(self, report: Any, alone: Any) -> None:
        count = len(alone)
        joined = np.eye(count, dtype=int)
        for p, q in itertools.combinations(range(count), 2):
            joined[p, q] = joined[q, p] = (alone[p] & alone[q]).any()
        together = np.linalg.matrix_power(joined, max(count, 1)) > 0 if count else joined > 0
        for p, q in itertools.product(range(count), repeat=2):
            same = report.component_of[p] == report.component_of[q]
            assert same == together[p, q], f"classes {p} and {q}"
        for p in range(count):
            rows, cols = alone[p].any(1).sum(), alone[p].any(0).sum()
            assert (report.rows[p], report.columns[p]) == (rows, cols)
            assert report.complete[p] == (report.sizes[p] >= min(rows, cols))
        for number in range(len(report.component_kinds)):
            own = np.flatnonzero(report.component_of == number)
            kind = self.kind(report, alone, own)
            known = (kind, "peeled") if kind == "open" else (kind,)
            assert report.component_kinds[number] in known

    def kind(self, report: Any, alone: Any, own: Any) -> str:
        """Theorem 2 of docs/supports.md, by its words."""
        if len(own) == 1:
            return "disjoint"
        filled = np.zeros((self.m, self.n), dtype=bool)
        for p in own:
            if report.complete[p]:
                filled |= alone[p]
        taken = np.zeros((self.m, self.n), dtype=int)
        for p in own:
            if report.complete[p]:
                continue
            rest = alone[p] & ~filled
            taken += rest
            for r, s in itertools.combinations(rest, 2):
                if (r & s).any() and (r != s).any():
                    return "open"
        return "open" if (taken > 1).any() else "complete"

    def check_existence(self, report: Any, left: Any, right: Any) -> None:
        sets = [
            [sum(1 << int(t) for t in np.flatnonzero(line)) for line in side]
            for side in (left.T, right)
        ]
        classes = classes_of(*sets)
        if report.has_minimizer:
            assert not is_open(classes, self.m, self.n), (
                "a minimizer for all, but one is proved away"
            )
        if report.has_minimizer is False:
            assert not is_closed(classes), "no minimizer, but existence is proved"
            witness = report.witness
            limit = extended(witness.limit)
            for epsilon in (0.5, 2.0**-20):
                X, Y = (extended(f) for f in witness.approximation(epsilon))
                assert not (X[~left].any() or Y[~right].any()), "a witness outside of the supports"
                assert abs(norm_of(limit - X @ Y) - epsilon) <= 1e-12 * epsilon
        self.check_changes(report, left, right)

    def check_changes(self, report: Any, left: Any, right: Any) -> None:
        """The order of rows, columns and inner indices, and transposition, change nothing."""
        rng = np.random.default_rng((self.seed, 1))
        rows, inner, cols = (rng.permutation(size) for size in (self.m, self.k, self.n))
        for other in (
            pp.analyze_supports(left[rows][:, inner], right[inner][:, cols]),
            pp.analyze_supports(right.T, left.T),
        ):
            assert other.has_minimizer == report.has_minimizer, "not the same in another order"
            assert other.tractable == report.tractable, "tractable in one order only"


@dataclasses.dataclass(frozen=True)
class Chains(Case):
    """fixed_support for three factors or more."""

    family: ClassVar[str] = "supports-chains"
    quick: ClassVar[int] = 15
    limit: ClassVar[float] = 120

    kind: str
    sizes: tuple[int, ...]
    density: float
    data: str
    dtype: str
    power: int
    method: str
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        dtype = str(rng.choice(DTYPES))
        ends = 1020 if dtype in ("float64", "complex128") else 120
        return cls(
            str(rng.choice(["random", "butterfly", "dense", "diagonal"])),
            tuple(int(rng.integers(1, 6)) for _ in range(int(rng.integers(4, 6)))),
            float(rng.choice([0.4, 0.6, 0.8])),
            str(rng.choice(["normal", "planted", "zero"])),
            dtype,
            int(rng.integers(-ends - 60, ends + 1)) if rng.random() < 0.4 else 0,
            str(rng.choice(["auto", "auto", "local"])),
            int(rng.integers(2**31)),
        )

    def check(self) -> None:
        if len(self.sizes) < 4 or min(self.sizes) < 1:
            raise Skip
        rng = np.random.default_rng(self.seed)
        masks = [rng.random(shape) < self.density for shape in itertools.pairwise(self.sizes)]
        if self.kind == "dense":
            masks = [np.ones_like(mask) for mask in masks]
        if self.kind == "diagonal":
            masks[1] = np.eye(*masks[1].shape, dtype=bool)
        if self.kind == "butterfly":
            masks = [p.support().toarray() for p in pp.Architecture.square_dyadic(8)]
        for mask in masks:
            mask[0, 0] |= not mask.any()
        complex_ = np.dtype(self.dtype).kind == "c"
        ends = masks[0], masks[-1]
        A = matrix_of("normal", *ends, self.dtype, self.power, rng)
        if self.data == "planted":
            product = None
            for mask in masks:
                factor = rng.standard_normal(mask.shape) * (mask * (1 + 1j) if complex_ else mask)
                product = factor if product is None else product @ factor
            info = np.finfo(self.dtype)
            power = int(np.clip(self.power, info.minexp, info.maxexp - 12))
            A = (product * 2.0**power).astype(self.dtype)
        if self.data == "zero":
            A = np.zeros_like(A)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", pp.DivergingFactorsWarning)
            result = pp.fixed_support(
                A, masks, method=self.method, restarts=1, max_sweeps=5, seed=self.seed % 5
            )
        check_factors(result, masks, A.dtype)
        norm = check_errors(A, result)
        if norm == 0:
            assert result.error == 0


FAMILIES = [TwoSupports, Analysis, Chains]
