"""factorize with weights: the report is about L (A - F) R, and its bounds hold."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

import papilio as pp

from ..reference import dense_factor, extended
from .case import Case, Skip
from .factorizations import DIGITS, DTYPES
from .matrices import KINDS, architecture, gaussian, matrix, random_butterfly
from .truth import Array, amplitude, dense, epsilon, norm, relative, split_errors

WEIGHTS = ("none", "diagonal", "wide", "zeros", "blocks", "graded blocks", "singular")
#: Of these nothing may be certified.
REFUSED = ("singular",)


@dataclass(frozen=True)
class Weighted(Case):
    """One call of `factorize` with weights at either end."""

    seed: int
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    ranks: tuple[int, ...]
    diagonal: int
    stride: int
    dtype: str
    kind: str
    row_weights: str
    column_weights: str
    permuted: bool
    order: str
    tol: float | None
    exponent: int

    family: ClassVar[str] = "factorize weighted"
    every: ClassVar[int] = 2
    quick: ClassVar[int] = 30

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        length = int(rng.integers(1, 5))
        return cls(
            seed=int(rng.integers(2**31)),
            rows=tuple(int(q) for q in rng.choice([1, 2, 2, 3, 4], length)),
            columns=tuple(int(p) for p in rng.choice([1, 2, 2, 3, 4], length)),
            ranks=tuple(int(r) for r in rng.integers(1, 4, length - 1)),
            diagonal=int(rng.choice([1, 2], p=[0.9, 0.1])),
            stride=int(rng.choice([1, 2, 3], p=[0.9, 0.05, 0.05])),
            dtype=str(rng.choice(DTYPES)),
            kind=str(rng.choice(KINDS)),
            row_weights=str(rng.choice(WEIGHTS)),
            column_weights=str(rng.choice(WEIGHTS)),
            permuted=bool(rng.random() < 0.3),
            order=str(rng.choice(["auto", "left_to_right", "right_to_left", "balanced"])),
            tol=float(10.0 ** rng.uniform(-6, 0)) if rng.random() < 0.3 else None,
            exponent=int(rng.integers(-30, 31)) if rng.random() < 0.3 else 0,
        )

    def check(self) -> None:
        rng = np.random.default_rng(self.seed)
        sizes = (1, *self.rows, *self.columns, *self.ranks, self.diagonal, self.stride)
        if (
            len(self.rows) != len(self.columns)
            or not self.rows
            or len(self.ranks) != len(self.rows) - 1
            or min(sizes) < 1
            or (self.tol is not None and not 0 < self.tol < 1)
        ):
            raise Skip
        chain = architecture(self.rows, self.columns, self.ranks, self.diagonal, self.stride)
        if chain.shape[0] * chain.shape[1] > 5000:
            raise Skip
        A = matrix(self.kind, chain, self.dtype, rng).astype(self.dtype)
        if not np.isfinite(A).all() or abs(A).max(initial=0) > 1e30:
            raise Skip
        p, q = chain[0], chain[-1]
        orders = [rng.permutation(size) if self.permuted else None for size in chain.shape]
        given = [
            self.drawn(self.row_weights, (p.a, p.b, p.d), rng),
            self.drawn(self.column_weights, (q.a, q.c, q.d), rng),
        ]
        arguments: dict[str, Any] = {
            "row_weights": given[0],
            "column_weights": given[1],
            "row_permutation": orders[0],
            "column_permutation": orders[1],
            "order": self.order,
            "tol": self.tol,
        }
        try:
            F = pp.factorize(A, chain, **arguments)
        except ValueError as failure:
            words = ("is singular", "condition", "range")
            hard = {"singular", "graded blocks", "wide"} & {self.row_weights, self.column_weights}
            assert hard and any(word in str(failure) for word in words), f"refused: {failure}"
            return
        assert not {self.row_weights, self.column_weights} & set(REFUSED), "not refused"
        ends = (
            as_matrix(given[0], (p.a, p.b, p.d), orders[0]),
            as_matrix(given[1], (q.a, q.c, q.d), orders[1]),
        )
        self.check_report(F, A, chain, ends, rng)

    def drawn(self, kind: str, shape: tuple[int, int, int], rng: np.random.Generator) -> Any:
        """Weights of a kind for blocks of a pattern's end."""
        a, s, d = shape
        if kind == "none":
            return None
        scale = 10.0**self.exponent
        if kind in ("diagonal", "wide", "zeros"):
            most = 4 if kind == "wide" else 1
            weights = 10.0 ** rng.uniform(-most, most, a * s * d)
            if kind == "zeros":
                weights[rng.random(a * s * d) < 0.4] = 0
                weights[rng.integers(a * s * d)] = 1
            return weights * scale
        blocks = gaussian(rng, (a * d, s, s), self.dtype).astype(
            np.complex128 if "complex" in self.dtype else np.float64
        )
        u, sigma, vh = np.linalg.svd(blocks)
        smallest = 0.1 if kind == "blocks" else 10.0 ** rng.uniform(-5, -1)
        sigma = np.geomspace(1, smallest, s) * np.ones_like(sigma)
        if kind == "singular":
            blocks[rng.integers(a * d)] = 0
            return blocks * scale
        return (u * sigma[:, None, :]) @ vh * scale

    def check_report(
        self, F: Any, A: Array, chain: Any, ends: tuple[Array, Array], rng: np.random.Generator
    ) -> None:
        """Errors and bounds of the weighted norm."""
        report, (L, R) = F.report, ends
        wide = A.astype(extended(A.dtype))
        whole = L @ wide @ R
        size = norm(whole)
        true = relative(norm(L @ (wide - dense(F)) @ R), size)
        digits = DIGITS[str(F.dtype)]
        noise = self.rounding(F, wide, ends, size)
        assert abs(report.relative_error - true) <= digits * true + noise, (
            f"reported {report.relative_error}, true {true}, rounding {noise}"
        )
        plain = relative(norm(wide - dense(F)), norm(wide))
        if report.weights is not None:
            room = digits * plain + 100 * epsilon(F.dtype) * amplitude(F, norm(wide))
            assert abs(report.unweighted_error - plain) <= room, (
                f"reported unweighted {report.unweighted_error}, true {plain}"
            )
        for other in self.rivals(F, A, chain, rng):
            best = relative(norm(L @ (wide - dense(other)) @ R), size)
            assert report.lower_bound <= best * (1 + digits) + noise, (
                f"lower bound {report.lower_bound}, found {best}"
            )
        self.check_bound(F, whole, size, true, digits, noise)

    def rivals(self, F: Any, A: Array, chain: Any, rng: np.random.Generator) -> list[Any]:
        """Butterflies of F's architecture and permutations that may be closer."""
        orders = {
            "row_permutation": F.row_permutation,
            "column_permutation": F.column_permutation,
        }
        plain = pp.factorize(A, F.architecture, **orders)
        near = [values * (1 + 1e-3 * rng.standard_normal(values.shape)) for values in F.factors]
        near = [values.astype(F.dtype) for values in near]
        random = random_butterfly(rng, F.architecture, self.dtype).factors
        return [F, plain, *(pp.Butterfly(list(own), *orders.values()) for own in (near, random))]

    def check_bound(
        self, F: Any, whole: Array, size: np.longdouble, true: float, digits: float, noise: float
    ) -> None:
        """The proved constant, by the splits of the weighted matrix."""
        if F.row_permutation is not None:
            whole = whole[np.argsort(F.row_permutation)]
        if F.column_permutation is not None:
            whole = whole[:, np.argsort(F.column_permutation)]
        product = F.architecture.product
        rows, columns = np.arange(whole.shape[0])[:, None], np.arange(whole.shape[1])
        on = rows // (product.b * product.d) == columns // (product.c * product.d)
        on &= rows % product.d == columns % product.d
        outside = relative(norm(np.where(on, 0, whole)), size)
        cuts = split_errors(whole, F.architecture)
        peeling = F.report.guarantee < max(len(cuts), 2)
        proved = math.hypot(outside, *(cuts if peeling else [sum(cuts)]))
        assert true <= proved * (1 + digits) + noise, f"true {true}, proved {proved}"
        if self.tol is not None and F.report.reached:
            assert true <= self.tol * (1 + digits) + noise

    def rounding(self, F: Any, A: Array, ends: tuple[Array, Array], size: np.longdouble) -> float:
        """What rounding may add to a weighted error: of sums, weights and rounded factors."""
        if size == 0:
            return 0.0
        L, R = (abs(end) for end in ends)
        parts = dense(
            pp.Butterfly([abs(v) for v in F.factors], F.row_permutation, F.column_permutation)
        )
        most = norm(L @ (parts + abs(A)) @ R)
        terms = 30 * len(F.architecture) + 4 * math.sqrt(sum(F.shape))
        return float(terms * epsilon(F.dtype) * most / size)


def as_matrix(weights: Any, shape: tuple[int, int, int], order: Any) -> Array:
    """The weights as a matrix at the rows of A (or, transposed twice, at its columns)."""
    a, s, d = shape
    if weights is None:
        return np.eye(a * s * d, dtype=np.longdouble)
    if weights.ndim == 1:
        return np.diag(weights.astype(np.longdouble))
    values = weights.reshape(a, d, s, s).transpose(0, 2, 3, 1)
    found = dense_factor((a, s, s, d), values.astype(extended(values.dtype)))
    return found if order is None else found[np.ix_(order, order)]


FAMILIES = [Weighted]
