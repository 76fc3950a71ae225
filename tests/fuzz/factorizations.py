"""factorize: what its report says of the result, for every matrix, chain, order and option."""

from __future__ import annotations

import dataclasses
import itertools
import math
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

import papilio as pp

from .case import Case, Skip
from .matrices import KINDS, LAYOUTS, architecture, laid_out, matrix
from .truth import Array, amplitude, dense, epsilon, error, norm, relative, split_errors

DTYPES = ("float32", "float64", "complex64", "complex128")
#: Difference of a reported error and the true one, relative to the error: where it is taken from
#: a difference of squares, as many digits of it are left in single precision.
DIGITS = {"float32": 1e-3, "complex64": 1e-3, "float64": 1e-8, "complex128": 1e-8}


def drawn_exponent(rng: np.random.Generator) -> int:
    """A power of ten: mostly none, else anywhere or where squares or numbers overflow or vanish."""
    if rng.random() < 0.7:
        return 0
    if rng.random() < 0.4:
        return int(rng.integers(-330, 310))
    corner = int(rng.choice([9, 9, 9, 10, 19, 38, 77, 154, 308]))
    return int(rng.choice([1, -1])) * corner + int(rng.integers(-1, 2))


def rounding(F: Any, size: np.longdouble) -> float:
    """What rounding may add to a relative error: sums in blocks, through all factors."""
    longest = max(math.sqrt(p.b * p.c) for p in F.architecture)
    terms = 20 * len(F.architecture) + 4 * longest + math.sqrt(max(F.shape))
    return terms * epsilon(F.dtype) * amplitude(F, size)


@dataclass(frozen=True)
class Factorization(Case):
    """One call of `factorize`."""

    seed: int
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    ranks: tuple[int, ...]
    diagonal: int
    stride: int
    dtype: str
    kind: str
    exponent: int
    layout: str
    order: str
    orthonormalize: bool
    tol: float | None
    max_rank: int | None
    overwrite: bool
    row_permutation: str | None
    column_permutation: str | None
    threads: int
    compare: bool

    family: ClassVar[str] = "factorize"
    often: ClassVar[int] = 3

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        length = int(rng.choice([1, 2, 3, 3, 4, 4, 4, 5]))
        large = rng.random() < 0.03
        style = rng.choice(["mixed", "dyadic", "monarch", "low rank"], p=[0.5, 0.25, 0.15, 0.1])
        ranks = tuple(int(r) for r in rng.integers(1, 5, length - 1))
        if style == "mixed":
            radices = [int(q) for q in rng.choice([1, 2, 2, 3, 4], length)]
            others = [int(p) for p in rng.choice([1, 2, 2, 3, 4], length)]
        elif style == "dyadic":
            length = max(length, 3)
            radices = others = [2] * (length + large)
            ranks = (int(rng.integers(1, 3)),) * (len(radices) - 1)
        elif style == "monarch":
            radices = [int(q) for q in rng.choice([2, 3, 4, 8, 8 + 12 * large], 2)]
            others = [int(p) for p in rng.choice([2, 3, 4, 8, 8 + 12 * large], 2)]
            ranks = (int(rng.integers(1, 4)),)
        else:
            most = 150 if large else 12
            radices = [int(rng.integers(1, most)), 1]
            others = [1, int(rng.integers(1, most))]
            ranks = (int(rng.integers(1, 5)),)
        tol = None
        if rng.random() < 0.4:
            tol = float(
                10.0 ** rng.choice([rng.uniform(-14, 0), rng.uniform(-2, 0), rng.uniform(-2, 0)])
            )
        plain = rng.random() < 0.6
        return cls(
            seed=int(rng.integers(2**31)),
            rows=tuple(radices),
            columns=tuple(others),
            ranks=ranks,
            diagonal=int(rng.choice([1, 2], p=[0.9, 0.1])),
            stride=int(rng.choice([1, 2, 3], p=[0.9, 0.05, 0.05])),
            dtype=str(rng.choice(DTYPES)),
            kind=str(rng.choice(KINDS)),
            exponent=drawn_exponent(rng),
            layout="C" if plain else str(rng.choice(LAYOUTS)),
            order=str(
                rng.choice(
                    ["auto", "left_to_right", "right_to_left", "balanced", "random", "random"]
                )
            ),
            orthonormalize=bool(rng.random() < 0.8),
            tol=tol,
            max_rank=int(rng.integers(1, 4)) if tol and rng.random() < 0.25 else None,
            overwrite=bool(rng.random() < 0.4),
            row_permutation=str(rng.choice(["array", "bit_reversal", "search"]))
            if rng.random() < 0.08
            else None,
            column_permutation=str(rng.choice(["array", "bit_reversal", "search"]))
            if rng.random() < 0.1
            else None,
            threads=int(rng.integers(1, 4)),
            compare=bool(rng.random() < 0.2),
        )

    def check(self) -> None:
        rng = np.random.default_rng(self.seed)
        if (
            len(self.rows) != len(self.columns)
            or len(self.ranks) != len(self.rows) - 1
            or min((1, *self.rows, *self.columns, *self.ranks, self.diagonal, self.stride)) < 1
            or (self.tol is not None and not 0 < self.tol < 1)
            or (self.max_rank is not None and (self.max_rank < 1 or self.tol is None))
            or self.threads < 1
        ):
            raise Skip
        chain = architecture(self.rows, self.columns, self.ranks, self.diagonal, self.stride)
        if not self.rows or chain.shape[0] * chain.shape[1] > 20000:
            raise Skip
        A = self.matrix(chain, rng)
        arguments = self.arguments(chain, rng)
        given = laid_out(A, self.layout)
        before = given.copy() if isinstance(given, np.ndarray) else None
        pp.set_num_threads(self.threads)
        try:
            F = pp.factorize(given, chain, overwrite_a=self.overwrite, **arguments)
        except ValueError as failure:
            assert self.refused(given, arguments, str(failure)), f"refused: {failure}"
            return
        finally:
            pp.set_num_threads(1)
        if before is not None and not self.overwrite:
            assert given.tobytes() == before.tobytes(), "A has changed"
        self.check_report(F, A, chain)
        if self.layout == "C":
            self.check_search(F, A, chain, arguments)
        if self.compare:
            self.check_other_ways(F, A, chain, arguments)

    def matrix(self, chain: pp.Architecture, rng: np.random.Generator) -> Array:
        """The matrix in the dtype in which it is computed with."""
        A = matrix(self.kind, chain, self.dtype, rng)
        if self.exponent:
            with np.errstate(all="ignore"):
                wide = A.astype(np.clongdouble if A.dtype.kind == "c" else np.longdouble)
                A = (wide * np.longdouble(10) ** self.exponent).astype(self.dtype)
        if not np.isfinite(A).all():
            raise Skip
        if self.layout == "float16":
            if A.dtype.kind == "c" or abs(A).max(initial=0) > 6e4:
                raise Skip
            A = A.astype(np.float16)
        elif self.kind in ("integers", "booleans") and not self.exponent and A.dtype.kind == "f":
            A = A.astype(np.int32 if self.kind == "integers" else np.bool_)
        return A

    def arguments(self, chain: pp.Architecture, rng: np.random.Generator) -> dict[str, Any]:
        order: Any = self.order
        if order == "random":
            order = [int(s) + 1 for s in rng.permutation(len(chain) - 1)]
        permutations = []
        for given, size in zip(
            (self.row_permutation, self.column_permutation), chain.shape, strict=True
        ):
            if given in ("bit_reversal", "search") and size & (size - 1):
                raise Skip
            permutations.append(rng.permutation(size) if given == "array" else given)
        return {
            "order": order,
            "orthonormalize": self.orthonormalize,
            "tol": self.tol,
            "max_rank": self.max_rank,
            "row_permutation": permutations[0],
            "column_permutation": permutations[1],
        }

    def refused(self, given: Any, arguments: dict[str, Any], message: str) -> bool:
        """Whether this ValueError is documented."""
        if not self.overwrite or "overwrite_a" not in message:
            return False
        searched = "search" in (self.row_permutation, self.column_permutation)
        writable = (
            isinstance(given, np.ndarray)
            and given.flags.writeable
            and given.dtype.isnative
            and str(given.dtype) in DTYPES
        )
        return searched or not writable

    def check_report(self, F: Any, A: Array, chain: pp.Architecture) -> None:
        """Every number that the report has."""
        report = F.report
        wide = A.astype(F.dtype)
        size = norm(wide)
        assert all(np.isfinite(values).all() for values in F.factors), "a factor isn't finite"
        true, noise, digits = error(F, wide), rounding(F, size), DIGITS[str(F.dtype)]
        assert F.shape == A.shape == report.shape
        assert F.architecture.ranks == report.ranks
        if self.tol is None:
            assert F.architecture == chain
        assert abs(report.relative_error - true) <= digits * true + noise, (
            f"reported {report.relative_error}, true {true}, rounding {noise}"
        )
        assert close_norm(report.norm, size, F.dtype), f"norm {report.norm}, true {size}"
        assert report.lower_bound <= true * (1 + digits) + noise, (
            f"lower bound {report.lower_bound}, true {true}"
        )
        permuted = wide
        if F.row_permutation is not None:
            permuted = permuted[np.argsort(F.row_permutation)]
        if F.column_permutation is not None:
            permuted = permuted[:, np.argsort(F.column_permutation)]
        # What no factor reaches counts in all of them, once.
        outside = relative(norm(permuted - inside(permuted, chain)), size)
        below = split_errors(permuted, F.architecture)
        if below:
            largest = math.hypot(max(below), outside)
            assert report.lower_bound <= largest * (1 + digits) + noise, (
                f"lower bound {report.lower_bound}, distance to a split {largest}"
            )
        if report.order and self.tol is None:
            first = report.order[0]
            found = report.split_errors[first - 1]
            assert abs(found - below[first - 1]) <= digits * found + noise, (
                f"the first cut discards {found}, the best one {below[first - 1]}"
            )
        if math.isfinite(report.guarantee):
            cuts = [below[s - 1] for s in report.order]
            peeling = report.guarantee < max(len(cuts), 2)
            proved = math.hypot(outside, *(cuts if peeling else [sum(cuts)]))
            assert true <= proved * (1 + digits) + noise, f"true {true}, proved {proved}"
        else:
            assert not self.orthonormalize and len(report.order) > 1
        if self.tol is not None:
            self.check_tolerance(F, true, noise)
        self.check_views(F)

    def check_search(
        self, F: Any, A: Array, chain: pp.Architecture, arguments: dict[str, Any]
    ) -> None:
        """No other of the permutations that a search is among does better."""
        names = ("row_permutation", "column_permutation")
        searched = [name for name in names if getattr(self, name) == "search"]
        rounding = 1000 * epsilon(F.dtype)

        def cost(G: Any) -> tuple[bool, int, float]:
            error = G.report.relative_error
            missed = self.tol is not None and error > self.tol
            return missed, 0 if missed or self.tol is None else G.nnz, error

        found = cost(F)
        sides = dict(zip(names, chain.shape, strict=True))
        eights = [pp.permutations.default_eight(sides[name]).values() for name in searched]
        for orders in itertools.product(*eights) if searched else ():
            given = dict(zip(searched, orders, strict=True))
            other = cost(pp.factorize(A, chain, **{**arguments, **given}))
            assert found <= (*other[:2], other[2] + rounding), f"{found}, but {other} is there"

    def check_tolerance(self, F: Any, true: float, noise: float) -> None:
        assert self.tol is not None
        report = F.report
        assert report.meets_tolerance == (report.relative_error <= self.tol)
        if report.meets_tolerance:
            assert true <= self.tol * (1 + DIGITS[str(F.dtype)]) + noise, (
                f"true {true} is said to be at most {self.tol}"
            )
        proved = self.orthonormalize or len(F.architecture) < 3
        product = F.architecture.product
        reachable = product.a == product.d == 1
        if self.max_rank is None and proved and reachable and self.tol > 10 * noise:
            assert report.meets_tolerance, f"{report.relative_error} misses {self.tol}"
        if self.max_rank is not None:
            assert max(F.architecture.ranks, default=1) <= self.max_rank

    def check_views(self, F: Any) -> None:
        report = F.report
        for view in (F.T, F.H, F.conj()):
            other = view.report
            if other is None:
                continue
            turned = view._side & 1 != F._side & 1
            assert other.relative_error == report.relative_error
            assert (other.lower_bound, other.norm) == (report.lower_bound, report.norm)
            step = -1 if turned else 1
            assert other.ranks == F.architecture.ranks[::step] and other.shape == view.shape
            assert other.split_errors == report.split_errors[::step]
        for other in (F.astype(np.result_type(F.dtype, np.complex64)), -F):
            assert other.report is None or error(other, dense(F)) == 0

    def check_other_ways(
        self, F: Any, A: Array, chain: pp.Architecture, arguments: dict[str, Any]
    ) -> None:
        """One thread and the plain array give the same bits."""
        again = pp.factorize(A, chain, **arguments)
        same = all(
            x.tobytes() == y.tobytes() for x, y in zip(F.factors, again.factors, strict=True)
        )
        if not self.overwrite:
            # Strides decide how a block is read, sums and all; threads and sources don't.
            assert same or self.layout not in ("C", "read-only", "memmap", "rows"), (
                "other bits than from a plain array on one thread"
            )
        true = error(again, A.astype(F.dtype))
        assert abs(again.report.relative_error - true) <= (
            DIGITS[str(F.dtype)] * true + rounding(again, norm(A.astype(F.dtype)))
        ), f"again: reported {again.report.relative_error}, true {true}"


@dataclass(frozen=True)
class Overwriting(Factorization):
    """`factorize` with A overwritten, in all orders, at sizes whose squares are not safe."""

    family: ClassVar[str] = "factorize overwriting"
    often: ClassVar[int] = 2

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        corner = int(rng.choice([9, 10, 19, 77, 78])) * int(rng.choice([1, 1, -1]))
        return dataclasses.replace(
            super().draw(rng),
            rows=(2,) * 4,
            columns=(2,) * 4,
            ranks=(1,) * 3,
            diagonal=1,
            stride=1,
            kind=str(rng.choice(["gaussian", "uniform", "noisy butterfly", "graded"])),
            exponent=corner if rng.random() < 0.5 else 0,
            layout=str(rng.choice(["C", "inner"])),
            tol=None,
            max_rank=None,
            overwrite=True,
            row_permutation=None,
            column_permutation=None,
        )


@dataclass(frozen=True)
class LoweredRanks(Factorization):
    """`factorize` with ranks that are found one after the other and depend on each other."""

    family: ClassVar[str] = "factorize lowered ranks"
    often: ClassVar[int] = 1

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        length = int(rng.integers(3, 6))
        return dataclasses.replace(
            super().draw(rng),
            rows=tuple(int(q) for q in rng.choice([2, 2, 3], length)),
            columns=tuple(int(p) for p in rng.choice([2, 2, 3], length)),
            ranks=(1,) * (length - 1),
            kind=str(rng.choice(["graded rows", "graded columns", "graded", "noisy butterfly"])),
            exponent=0,
            layout="C",
            order=str(rng.choice(["balanced", "random"])),
            tol=float(10.0 ** rng.uniform(-2, 0)),
            max_rank=None,
            row_permutation=None,
            column_permutation=None,
        )


def close_norm(found: float, size: np.longdouble, dtype: Any) -> bool:
    """Whether a norm is right: infinite where no double is so large."""
    if size > np.finfo(np.float64).max:
        return found > np.finfo(np.float64).max * (1 - 1e-6)
    room = 200 * epsilon(dtype) * size + 4 * np.longdouble(np.finfo(np.float64).smallest_subnormal)
    return bool(abs(found - size) <= room)


def inside(A: Array, chain: pp.Architecture) -> Array:
    """The part of A on the support of the product."""
    p = chain.product
    rows, columns = np.arange(A.shape[0])[:, None], np.arange(A.shape[1])
    on = (rows // (p.b * p.d) == columns // (p.c * p.d)) & (rows % p.d == columns % p.d)
    return np.where(on, A, 0)


@dataclass(frozen=True)
class NotFinite(Case):
    """NaN or infinity anywhere in a matrix is a ValueError that names the first place."""

    seed: int
    sizes: tuple[int, int]
    dtype: str
    value: str
    count: int
    layout: str
    tol: bool
    overwrite: bool

    family: ClassVar[str] = "factorize not finite"

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        return cls(
            seed=int(rng.integers(2**31)),
            sizes=(int(rng.integers(1, 9)), int(rng.integers(1, 9))),
            dtype=str(rng.choice(DTYPES)),
            value=str(rng.choice(["nan", "inf", "-inf"])),
            count=int(rng.integers(1, 4)),
            layout=str(rng.choice(["C", "F", "strided", "reversed", "rows", "memmap"])),
            tol=bool(rng.random() < 0.5),
            overwrite=bool(rng.random() < 0.3),
        )

    def check(self) -> None:
        if len(self.sizes) != 2 or min(self.sizes) < 1 or self.count < 1:
            raise Skip
        rng = np.random.default_rng(self.seed)
        q, p = self.sizes
        chain = pp.Architecture.mixed_radix([q, 2], [2, p], [1])
        A = rng.standard_normal(chain.shape).astype(self.dtype)
        places = rng.choice(A.size, self.count)
        A.ravel()[places] = float(self.value)
        row, column = divmod(int(places.min()), A.shape[1])
        if self.overwrite and self.layout == "rows":
            raise Skip
        options = {"tol": 1e-3} if self.tol else {}
        try:
            pp.factorize(laid_out(A, self.layout), chain, overwrite_a=self.overwrite, **options)
        except ValueError as failure:
            named = f"A has {self.value.strip('-')} at row {row}, column {column},"
            assert named in str(failure), f"{failure}; {named}"
        else:
            raise AssertionError("no ValueError")


FAMILIES = [Factorization, Overwriting, LoweredRanks, NotFinite]
