"""permutations.recover: what it says of its result is true, whatever the matrix."""

from __future__ import annotations

import dataclasses
import warnings
from typing import ClassVar, Self

import numpy as np

import papilio as pp

from .case import Case, Skip

DTYPES = ("float64", "float32", "complex128", "complex64", "int64", "bool")


@dataclasses.dataclass(frozen=True)
class Recoveries(Case):
    """A permuted butterfly, with noise or not, or any other matrix."""

    family: ClassVar[str] = "recoveries"
    every: ClassVar[int] = 2
    quick: ClassVar[int] = 15

    kind: str
    levels: int
    dtype: str
    noise: float
    power: int
    tol: float
    restarts: int
    order: str
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        levels = rng.choice([0, 1, 2, 3, 4, 5], p=[0.05, 0.15, 0.3, 0.3, 0.15, 0.05])
        return cls(
            str(rng.choice(["random", "hadamard", "dft", "sparse", "zero", "noise", "ties"])),
            int(levels),
            str(rng.choice(DTYPES)),
            float(rng.choice([0.0, 0.0, 1e-6, 1e-3, 0.05])),
            int(rng.integers(-1000, 1001)) if rng.random() < 0.3 else 0,
            float(rng.choice([0.1, 0.1, 0.0, 1e-12, 0.9])),
            int(rng.integers(0, 6)),
            str(rng.choice(["C", "F", "reversed"])),
            int(rng.integers(2**31)),
        )

    def check(self) -> None:
        if not 0 <= self.levels <= 6 or self.restarts < 0:
            raise Skip
        rng = np.random.default_rng(self.seed)
        n = 2**self.levels
        architecture = pp.Architecture.square_dyadic(n)
        complex_ = np.dtype(self.dtype).kind == "c"

        def normal(*shape: int) -> np.ndarray:
            values = rng.standard_normal(shape)
            return values + 1j * rng.standard_normal(shape) if complex_ else values

        if self.kind in ("random", "ties", "sparse"):
            factors = [normal(*p) for p in architecture]
            if self.kind == "ties":
                factors = [np.sign(f.real) + 0 * f for f in factors]
            if self.kind == "sparse":
                factors = [f * (rng.random(f.shape) < 0.7) for f in factors]
            A = pp.Butterfly(factors).toarray()
        elif self.kind == "hadamard":
            A = pp.transforms.hadamard(n).toarray()
        elif self.kind == "dft":
            A = np.fft.fft(np.eye(n))
            A = A if complex_ else A.real
        else:
            A = normal(n, n) * (self.kind == "noise")
        A = A[rng.permutation(n)][:, rng.permutation(n)]
        A = A + self.noise * np.linalg.norm(A) / n * normal(n, n)
        if np.dtype(self.dtype).kind == "b":
            A = A.real > 0
        elif np.dtype(self.dtype).kind == "i":
            A = np.rint(3 * A.real)
        else:
            info = np.finfo(self.dtype)
            largest = max(float(np.abs(A).max()), 1.0)
            most = info.maxexp - 4 - int(np.log2(largest))
            power = int(np.clip(self.power, info.minexp + 20, most))
            A = A * 2.0**power
        A = A.astype(self.dtype)
        if self.order == "F":
            A = np.asfortranarray(A)
        elif self.order == "reversed":
            A = A[::-1].copy()[::-1]
        self.check_on(A, architecture)

    def check_on(self, A: np.ndarray, architecture: pp.Architecture) -> None:
        n = len(A)
        options = {"tol": self.tol, "restarts": self.restarts, "seed": self.seed % 3}
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = pp.permutations.recover(A, **options)
            again = pp.permutations.recover(A, **options)
        orders = found.row_permutation, found.column_permutation
        for order, other in zip(
            orders, (again.row_permutation, again.column_permutation), strict=True
        ):
            assert sorted(order.tolist()) == list(range(n)), "no permutation"
            assert (order == other).all(), "another result at the second call"
        assert found.success == (found.relative_error <= self.tol), "success"
        assert found.relative_error == again.relative_error >= 0
        assert len(found.split_errors) == len(architecture) - 1
        wide = A.astype(np.clongdouble if A.dtype.kind == "c" else np.longdouble)
        norm = np.sqrt(np.sum(np.abs(wide) ** 2))
        assert norm > 0 or found.relative_error == 0
        if norm == 0:
            return
        largest = np.abs(wide).max()
        near = (wide / largest).astype(complex if A.dtype.kind == "c" else float)
        F = pp.factorize(
            near, architecture, order="left_to_right",
            row_permutation=orders[0], column_permutation=orders[1],
        )  # fmt: skip
        rest = np.linalg.norm(F.toarray() - near) / np.linalg.norm(near)
        assert abs(rest - found.relative_error) <= 1e-10 * rest + 1e-13 * n, (
            f"relative error {found.relative_error!r}, {rest!r} with these permutations"
        )
        # All pairs together are one start, which alone may miss what is there.
        planted = self.kind in ("random", "hadamard") and self.noise == 0 and self.restarts
        if planted and A.dtype in (np.float64, np.complex128):
            assert found.relative_error <= 1e-10, f"planted, but {found.relative_error!r}"


FAMILIES = [Recoveries]
