"""Transforms against their matrices in extended precision, and SciPy's errors beside papilio's."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np
import scipy.fft

import papilio as pp

from .case import Case, Skip

T = pp.transforms
NORMS = ("backward", "ortho", "forward")


def _hartley(x: np.ndarray, norm: str) -> np.ndarray:
    f = scipy.fft.fft(x, axis=0, norm=norm)
    return f.real - f.imag


def _of_type(name: str, kind: int) -> Callable[[np.ndarray, str], np.ndarray]:
    peer = getattr(scipy.fft, name)
    return lambda x, norm: peer(x, kind, axis=0, norm=norm)


# SciPy computes in the precision of its input, long double as well.
PEERS: dict[str, Callable[[np.ndarray, str], np.ndarray]] = {
    "dft": lambda x, norm: scipy.fft.fft(x, axis=0, norm=norm),
    "idft": lambda x, norm: scipy.fft.ifft(x, axis=0, norm=norm),
    "rdft": lambda x, norm: scipy.fft.rfft(x, axis=0, norm=norm),
    "hartley": _hartley,
}
PEERS |= {f"{name} {k}": _of_type(name, k) for name in ("dct", "dst") for k in (1, 2, 3, 4)}
INPUTS: dict[str, Callable[[int, np.random.Generator], np.ndarray]] = {
    "noise": lambda n, rng: rng.standard_normal(n),
    "positive": lambda n, rng: rng.random(n),
    "slope": lambda n, rng: np.arange(float(n)),
    "smooth": lambda n, rng: np.sin(np.arange(n) * (rng.random() / 4)),
    "scaled": lambda n, rng: rng.standard_normal(n) * 10.0 ** rng.integers(-12, 12),
}


def relative(y: np.ndarray, expected: np.ndarray) -> float:
    """Error in the 2-norm, relative to that of what is expected."""
    norm = float(np.sqrt((np.abs(expected) ** 2).sum()))
    return float(np.sqrt((np.abs(y - expected) ** 2).sum())) / norm if norm else 0.0


def largest_prime(n: int) -> int:
    """The largest prime that divides n, or 1."""
    return next((p for p in range(n, 1, -1) if n % p == 0 and all(p % q for q in range(2, p))), 1)


@dataclasses.dataclass(frozen=True)
class Accuracy(Case):
    """Any transform of any length up to 1100, any norm, vector or batch, both precisions."""

    family: ClassVar[str] = "accuracy of transforms"

    transform: str
    n: int
    double: bool
    norm: str
    batch: int
    given: str
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        return cls(
            str(rng.choice(list(PEERS))),
            int(rng.integers(1, 1101)) if rng.random() < 0.7 else int(rng.integers(1, 64)),
            bool(rng.random() < 0.5),
            str(rng.choice(NORMS)),
            int(rng.choice([0, 0, 1, 3, 8, 17])),
            str(rng.choice(list(INPUTS))),
            int(rng.integers(1 << 31)),
        )

    def check(self) -> None:
        name, _, kind = self.transform.partition(" ")
        if self.n < 1 or (self.transform == "dct 1" and self.n < 2):
            raise Skip
        real = np.dtype(np.float64 if self.double else np.float32)
        dtype = np.result_type(real, np.complex64) if name in ("dft", "idft") else real
        rng = np.random.default_rng(self.seed)
        make = getattr(T, name)
        F = make(self.n, *([int(kind)] if kind else []), dtype=dtype, norm=self.norm)
        columns = [INPUTS[self.given](self.n, rng) for _ in range(max(1, self.batch))]
        x = np.stack(columns, axis=1).astype(dtype)
        if dtype.kind == "c":
            x += 1j * rng.permutation(x).astype(dtype)
        x = x if self.batch else x[:, 0]
        wide = x.astype(np.clongdouble if dtype.kind == "c" else np.longdouble)
        peer = PEERS[self.transform]
        expected = peer(wide, self.norm)
        own, others = relative(F @ x, expected), relative(peer(x, self.norm), expected)
        eps = float(np.finfo(real).eps)
        # Twice SciPy's error, and for what it happens to get exactly half a rounding more; the
        # log is that of the steps, and the error of few entries scatters as 1 / sqrt(n).
        bound = 2 * others + eps * (0.4 + 0.06 * math.log2(self.n + 1) + self.n**-0.5)
        # Dense blocks of p rows sum p products in turn. Roundings of running sums S_k of a slope,
        # uniform in eps/2 S_k, are 0.13 sqrt(p) eps of the last sum: 5 times that.
        p = largest_prime(self.n + {"dct 1": -1, "dst 1": 1}.get(self.transform, 0))
        bound += eps * 0.65 * math.sqrt(p) * (p > 7)
        # Both errors are random. Of 43,200 draws of odd lengths below 320, where they come closest,
        # two were above that on AVX2, by 1.13 at most, and 78, by 1.53, where products round, too.
        bound *= 1.6 if pp.config.config()["isa"] == "baseline" else 1.25
        assert own <= bound, (
            f"{own / eps:.2f} eps, SciPy {others / eps:.2f}, bound {bound / eps:.2f}"
        )
        back = getattr(F, "_inverse", None) or (isinstance(F, pp.Butterfly) and F.inv)
        if back and self.given == "noise":
            again = relative(F.inv() @ (F @ x), wide)
            assert again <= 12 * eps * (1 + math.log2(self.n + 1)), (
                f"inverse: {again / eps:.2f} eps"
            )


@dataclasses.dataclass(frozen=True)
class Convolution(Case):
    """Circulant and Toeplitz matrices, convolutions and shifts against their definitions."""

    family: ClassVar[str] = "convolutions"
    every: ClassVar[int] = 2

    kind: str
    n: int
    m: int
    dtype: str
    distance: float
    centred: bool
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        distance = float(rng.choice([rng.integers(-50, 50), rng.standard_normal(), 0.5]))
        return cls(
            str(
                rng.choice(["circulant", "toeplitz", "full", "same", "valid", "circular", "shift"])
            ),
            int(rng.integers(1, 400)),
            int(rng.integers(1, 100)),
            str(rng.choice(["float32", "float64", "complex64", "complex128"])),
            distance * 10.0 ** int(rng.choice([0, 0, 3, 9, 15])),
            bool(rng.random() < 0.3),
            int(rng.integers(1 << 31)),
        )

    def check(self) -> None:
        n, m = self.n, self.m
        if n < 1 or m < 1 or (self.kind in ("valid", "circular") and m > n):
            raise Skip
        rng = np.random.default_rng(self.seed)
        dtype = np.dtype(self.dtype)

        def numbers(size: int) -> np.ndarray:
            values = rng.standard_normal(size)
            return (
                values + 1j * rng.standard_normal(size) if dtype.kind == "c" else values
            ).astype(dtype)

        i, j = np.ogrid[:n, :n]
        if self.kind == "circulant":
            c = numbers(n)
            if self.centred:
                c -= c.mean()
            F, dense = T.circulant(c), c[(i - j) % n]
            if self.centred and n > 1:
                self._check_singular(F)
        elif self.kind == "toeplitz":
            c, r = numbers(m), numbers(n)
            i = np.arange(m)[:, None]
            F, dense = T.toeplitz(c, r), np.where(i >= j, c[(i - j) % m], r[(j - i) % n])
        elif self.kind == "shift":
            if dtype.kind == "c" or not np.isfinite(self.distance):
                raise Skip
            F, dense = T.shift(n, self.distance, dtype), self._shifts()
        else:
            h = numbers(m)
            F, dense = T.convolution(h, n, self.kind), self._convolutions(h)
        x = numbers(n).astype(F.dtype)
        y, expected = F @ x, dense.astype(np.clongdouble) @ x.astype(np.clongdouble)
        eps = float(np.finfo(dtype).eps)
        # Rounding in the frequencies is relative to the norms, not to a result that cancels.
        scale = float(np.sqrt((np.abs(dense) ** 2).sum(axis=0).max()) * np.linalg.norm(x))
        error = float(np.abs(y - expected).max())
        assert error <= 4 * eps * (1 + math.log2(n + m)) * scale, f"{error / eps / scale:.2f} eps"

    def _check_singular(self, F: Any) -> None:
        try:
            F.inv()
        except ValueError:
            return
        raise AssertionError("a singular matrix has an inverse")

    def _shifts(self) -> np.ndarray:
        """The interpolation kernel at all differences, in long double."""
        n, k = self.n, np.arange(self.n)
        pi = np.longdouble("3.14159265358979323846264338327950288")
        offset = k.astype(np.longdouble) - np.longdouble(math.remainder(self.distance, n))
        frequencies = np.arange(1, (n - 1) // 2 + 1)
        kernel = 1 + 2 * np.cos(2 * pi * frequencies[:, None] * offset / n).sum(axis=0)
        if n % 2 == 0:
            kernel += np.cos(pi * k) * np.cos(pi * (offset - k))
        return (kernel / n)[(k[:, None] - k) % n]

    def _convolutions(self, h: np.ndarray) -> np.ndarray:
        n, m = self.n, self.m
        columns = np.eye(n)
        if self.kind == "circular":
            padded = np.concatenate([h, np.zeros(n - m, h.dtype)])
            return padded[(np.arange(n)[:, None] - np.arange(n)) % n]
        full = np.stack([np.convolve(column, h) for column in columns], axis=1)
        if self.kind == "full":
            return full
        first, rows = ((m - 1) // 2, n) if self.kind == "same" else (m - 1, n - m + 1)
        return full[first : first + rows]


FAMILIES = [Accuracy, Convolution]
