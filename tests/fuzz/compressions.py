"""compress: bounds that hold, tolerances that are reached, results that have the right form."""

from __future__ import annotations

import os
import tempfile
import warnings
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse
from scipy.sparse.linalg import aslinearoperator

import papilio as pp
from papilio.compression import _limits

from .case import Case, Skip

KINDS = (
    "nudft", "phase", "log", "distance", "graded", "touching", "bumps", "low rank", "noise",
    "integers", "sparse", "spike", "loud row", "decay", "rows of all sizes", "zero",
)  # fmt: skip
GIVEN = ("function", "array", "operator", "no adjoint", "pair", "sparse", "list", "fortran")
DTYPES = ("float32", "float64", "complex64", "complex128")
#: Seeds that a sampled bound is tried with, and how many of them may fail: of 12 runs that fail
#: with a chance of 1 % each, three or more do with 2e-4. Many thousand cases are run, so four may.
REPEATS, MAY_FAIL = 12, 4


def matrix(kind: str, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """A matrix of a kind, in float64 or complex128."""
    m, n = shape
    x, y = np.sort(rng.random(m))[:, None], np.sort(rng.random(n))
    i, j = np.arange(m)[:, None], np.arange(n)
    shift = 10.0 ** rng.uniform(-4, 0)
    match kind:
        case "nudft":
            return np.exp(-2j * np.pi * x * j)
        case "phase":
            return np.exp(2j * np.pi * (x * j + 0.2 * np.sin(2 * np.pi * x) * abs(j - n / 2)))
        case "log":
            return np.exp(1j * 10 ** (x * 4 - 2) * j)
        case "distance":
            return 1 / (abs(x - y) + shift)
        case "graded":
            return 1 / (10.0 ** rng.uniform(-2, 1) + i + j)
        case "touching":
            return 1 / (shift + (1 - x) + y)
        case "bumps":
            return np.exp(-(((x - y) / (shift + 0.05)) ** 2))
        case "low rank":
            rank = int(rng.integers(1, 5))
            return rng.standard_normal((m, rank)) @ rng.standard_normal((rank, n))
        case "noise":
            return rng.standard_normal(shape)
        case "integers":
            return rng.integers(-3, 4, (m, 1)) * rng.integers(0, 3, n) + 0.0
        case "sparse":
            return np.where(rng.random(shape) < 0.02, rng.standard_normal(shape), 0.0)
        case "spike":
            A = np.cos(x * y)
            A[rng.integers(m), rng.integers(n)] = 10.0 ** rng.integers(0, 6)
            return A
        case "loud row":
            A = np.cos(3 * x * y)
            A[rng.integers(m)] *= 10.0 ** rng.integers(0, 6)
            return A
        case "decay":
            return np.exp(-50 * x * y)
        case "rows of all sizes":
            return 10.0 ** (-8 * x) * np.cos(5 * x * y)
        case _:
            return np.zeros(shape)


def given_as(form: str, A: Any) -> tuple[Any, dict[str, Any]]:
    """The matrix in one of the ways that compress reads, and the arguments it needs."""
    adjoint = A.conj().T
    match form:
        case "function":
            return (lambda i, j: A[i, j]), {"shape": A.shape}
        case "operator":
            return aslinearoperator(A), {}
        case "no adjoint":
            return scipy.sparse.linalg.LinearOperator(
                A.shape, matvec=lambda v: A @ v, dtype=A.dtype
            ), {}
        case "pair":
            return (lambda v: A @ v, lambda v: adjoint @ v), {"shape": A.shape}
        case "sparse":
            return scipy.sparse.csr_array(A), {}
        case "list":
            return A.tolist(), {}
        case "fortran":
            return np.asfortranarray(A), {}
        case _:
            return A, {}


@dataclass(frozen=True)
class Compression(Case):
    """One call: the report against the dense matrix, form, warnings, threads."""

    family: ClassVar[str] = "compress"
    quick: ClassVar[int] = 20

    kind: str
    given: str
    shape: tuple[int, ...]
    digits: float
    dtype: str
    single_entries: bool
    scale: int
    rounding: bool
    sampled: bool
    threads: bool
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """Draw mostly small shapes, primes and powers of two among them."""
        most = int(rng.choice([12, 40, 130, 300], p=[0.55, 0.35, 0.08, 0.02]))
        m, n = (int(rng.integers(1, most + 1)) for _ in range(2))
        if rng.random() < 0.3:
            m = n = 1 << int(rng.integers(0, most.bit_length()))
        return cls(
            kind=str(rng.choice(KINDS)),
            given=str(rng.choice(GIVEN)),
            shape=(m, n),
            digits=float(rng.uniform(1, 13)),
            dtype=str(rng.choice(["", "", *DTYPES])),
            single_entries=bool(rng.random() < 0.2),
            scale=int(rng.integers(-300, 301)) if rng.random() < 0.5 else 0,
            rounding=bool(rng.random() < 0.7),
            sampled=bool(rng.random() < 0.3),
            threads=bool(rng.random() < 0.05),
            seed=int(rng.integers(1 << 31)),
        )

    def matrix(self) -> Any:
        """The matrix, scaled, in the precision that it is given in."""
        if len(self.shape) != 2 or min(self.shape) < 1 or self.digits < 1:
            raise Skip
        m, n = self.shape
        A = matrix(self.kind, (m, n), np.random.default_rng(self.seed))
        if self.single_entries:
            A = A * 10.0 ** (self.scale // 10)
            return A.astype(np.complex64 if A.dtype.kind == "c" else np.float32)
        return A * 10.0**self.scale

    def compressed(self, source: Any, options: dict[str, Any], seed: int) -> Any:
        """The operator, or None where compress is documented to refuse; warnings are checked."""
        names = ("WHOLE", "COMPARED", "FORMED")
        before = [getattr(_limits, name) for name in names]
        if self.sampled and self.given != "no adjoint":
            for name in names:
                setattr(_limits, name, 0)
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                F = pp.compress(source, tol=10.0**-self.digits, seed=seed, **options)
        except pp.IncompressibleError as error:
            assert "butterfly" in str(error) or "rank" in str(error), str(error)
            assert self.shape[0] * self.shape[1] > 4096 or self.given in ("operator", "pair"), (
                f"a small matrix was refused: {error}"
            )
            return None
        except (TypeError, ValueError) as error:
            self.check_refusal(error)
            return None
        finally:
            for name, value in zip(names, before, strict=True):
                setattr(_limits, name, value)
        told = [str(w.message) for w in caught if issubclass(w.category, pp.CompressionWarning)]
        others = [w for w in caught if not issubclass(w.category, pp.CompressionWarning)]
        assert not others, f"warns: {others[0].message}"
        assert bool(told) != F.report.reached, f"reached {F.report.reached}, warned {told}"
        return F

    def check_refusal(self, error: Exception) -> None:
        """Only what is documented, in words that name the argument and don't print the data."""
        words = str(error)
        assert len(words) < 500, f"a long message: {words[:200]}"
        known = "dtype is" in words
        beyond = self.dtype in ("float32", "complex64") and not self.held_in_single()
        kinds = "entries are complex" in words
        assert known and (beyond or kinds), f"refused: {type(error).__name__}: {words}"

    def held_in_single(self) -> bool:
        """Whether single precision has a place for the largest entry."""
        largest = float(abs(self.matrix()).max())
        return largest == 0 or 2.0**-149 <= largest <= float(np.finfo(np.float32).max)

    def check(self) -> None:
        """Compare with the dense matrix."""
        A = self.matrix()
        source, options = given_as(self.given, A)
        options["rounding"] = self.rounding
        if self.dtype:
            options["dtype"] = self.dtype
        # Samples promise nothing of single entries that are out of line (docs/compress.md).
        if self.sampled and self.kind in ("spike", "sparse", "noise", "loud row"):
            raise Skip
        sampled = self.sampled and self.given in ("function", "array", "operator", "pair")
        F = self.compressed(source, options, 0)
        if F is None:
            return
        self.check_form(F, A)
        A = A.astype(np.result_type(A.dtype, np.float64))
        largest = float(np.abs(A).max()) or 1.0
        wrong = self.wrong(F, A / largest, largest)
        if not wrong:
            pass
        elif not sampled:
            raise AssertionError(wrong)
        else:
            again = [self.compressed(source, options, seed) for seed in range(1, REPEATS)]
            failed = [self.wrong(G, A / largest, largest) for G in again if G is not None]
            count = 1 + sum(bool(words) for words in failed)
            assert count <= MAY_FAIL, f"{wrong}; {count} of {REPEATS} seeds"
        if self.threads:
            self.check_threads(source, options, F)
        if self.seed % 4 == 0:
            self.check_files(source, options, F)

    def check_files(self, source: Any, options: dict[str, Any], F: Any) -> None:
        """What is built in a directory is stored as it is in memory, and loaded so."""
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, "F.papilio")
            G = self.compressed(source, options | {"out": out}, 0)
            assert G is not None, "refused in files only"
            for other in (G, pp.load(out)):
                own, its = (getattr(op, "butterfly", op)._state()[1] for op in (F, other))
                for x, y in zip(own, its, strict=True):
                    parts = [e if isinstance(e, tuple) else (e,) for e in (x, y)]
                    same = [np.array_equal(*pair) for pair in zip(*parts, strict=True)]
                    assert all(same), "another operator in files"
            assert G.report.nbytes == F.nbytes

    def wrong(self, F: Any, A: Any, largest: float) -> str | None:
        """What is false in the report."""
        report = F.report
        double = np.complex128 if F.dtype.kind == "c" else np.float64
        D = F.toarray().astype(double) / largest
        size = np.linalg.norm(A)
        error = float(np.linalg.norm(D - A) / size) if size else float(np.linalg.norm(D))
        # Rounding of this reference, and numbers near the end of the range.
        slack = 4e-16 * np.sqrt(max(A.shape))
        tiny = float(np.finfo(F.dtype).tiny) / largest * np.sqrt(A.size) / (size or 1.0)
        if error > report.error_bound * (1 + 1e-9) + slack + tiny:
            return f"error {error:.3e} above the bound {report.error_bound:.3e}"
        if report.reached and error > report.tol * (1 + 1e-9) + slack + tiny:
            return f"reached, but error {error:.3e} above tol {report.tol:.1e}"
        confidence = getattr(report, "confidence", 0.99)
        if confidence == 1 and report.relative_error > report.error_bound:
            return f"relative_error {report.relative_error:.3e} above its bound"
        rng = np.random.default_rng(self.seed)
        X = rng.standard_normal((A.shape[1], 8)).astype(F.dtype)
        away = np.linalg.norm((F @ X).astype(double) / largest - A.astype(double) @ X)
        mean = float(away) / np.sqrt(8) / (size or 1.0)
        # Means over 8 vectors of a chi-square variable of low rank: below 2.6 but for 1e-9.
        if mean > 2.6 * report.error_bound + slack + tiny:
            return f"products are off by {mean:.3e}, bound {report.error_bound:.3e}"
        return None

    def check_form(self, F: Any, A: Any) -> None:
        report = F.report
        assert F.shape == report.shape == A.shape, f"shape {F.shape}"
        natural = pp.Butterfly([np.ones((1, 1, 1, 1), A.dtype)]).dtype
        wanted = np.dtype(self.dtype) if self.dtype else natural
        # A list holds double precision; a pair says what it returns for zeros in double.
        if not self.dtype and self.single_entries and self.given in ("list", "pair"):
            wanted = np.dtype(np.complex128 if A.dtype.kind == "c" else np.float64)
        assert F.dtype == wanted, f"dtype {F.dtype}, expected {wanted}"
        assert np.isfinite(F.toarray()).all(), "not finite"
        size = max(A.size, 1) * F.dtype.itemsize
        assert F.nbytes <= size, f"{F.nbytes} bytes for a matrix of {size}"
        assert report.nbytes == F.nbytes

    def check_threads(self, source: Any, options: dict[str, Any], F: Any) -> None:
        before = pp.get_num_threads()
        try:
            for count in (1, 3):
                pp.set_num_threads(count)
                G = self.compressed(source, options, 0)
                pairs = [getattr(op, "butterfly", op).factors for op in (F, G)]
                same = [np.array_equal(a, b) for a, b in zip(*pairs, strict=True)]
                assert all(same), f"other factors with {count} threads"
                assert F.report.error_bound == G.report.error_bound, "another report"
        finally:
            pp.set_num_threads(before)


FAMILIES = [Compression]
