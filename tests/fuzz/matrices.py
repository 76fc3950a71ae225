"""Matrices of all kinds that a factorization may meet, and the ways they may lie in memory."""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np
import scipy.sparse

import papilio as pp
from papilio import Architecture

from .truth import dense

Array = np.ndarray[Any, Any]

KINDS = (
    "gaussian", "uniform", "graded rows", "graded columns", "graded", "wild", "sparse wild",
    "repeated", "zero", "zero blocks", "low rank", "hadamard", "fourier", "kernel", "butterfly",
    "noisy butterfly", "constant", "integers", "booleans", "one entry", "ends",
)  # fmt: skip
LAYOUTS = (
    "C", "F", "strided", "reversed", "inner", "read-only", "memmap", "sparse", "rows", "list",
    "float16", "big-endian",
)  # fmt: skip


class Rows:
    """A data set of which only slices of rows are read."""

    def __init__(self, A: Array) -> None:
        self._array, self.shape, self.dtype = A, A.shape, A.dtype

    def __getitem__(self, rows: slice) -> Array:
        return self._array[rows]


def architecture(
    rows: tuple[int, ...], columns: tuple[int, ...], ranks: tuple[int, ...], a: int, d: int
) -> Architecture:
    """A chainable chain by its normal form, in `a` diagonal blocks and `d` strides."""
    chain = Architecture.mixed_radix(rows, columns, ranks)
    return Architecture([(a * p.a, p.b, p.c, d * p.d) for p in chain])


def random_butterfly(rng: np.random.Generator, chain: Architecture, dtype: Any) -> Any:
    """Gaussian factors."""
    return pp.Butterfly([gaussian(rng, tuple(p), dtype) for p in chain])


def gaussian(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> Array:
    """Standard normal numbers of any dtype."""
    values = rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        values = values + 1j * rng.standard_normal(shape)
    return values.astype(dtype)


def exponents(dtype: Any) -> tuple[int, int]:
    """The decimal exponents of the smallest and the largest number."""
    return (-45, 38) if np.finfo(dtype).bits == 32 else (-323, 308)


def matrix(kind: str, chain: Architecture, dtype: Any, rng: np.random.Generator) -> Array:
    """A matrix of the chain's shape; entries of order 1 but for the wild kinds."""
    m, n = chain.shape
    lowest, highest = exponents(dtype)
    with np.errstate(over="ignore", under="ignore"):
        A = _matrix(kind, chain, dtype, rng, m, n, lowest, highest)
        return np.clip(A.astype(dtype), *_ends(dtype)) if A.dtype.kind != "c" else A.astype(dtype)


def _ends(dtype: Any) -> tuple[float, float]:
    most = float(np.finfo(dtype).max)
    return -most, most


def _matrix(
    kind: str, chain: Any, dtype: Any, rng: Any, m: int, n: int, lowest: int, highest: int
) -> Array:
    A = gaussian(rng, (m, n), np.complex128 if np.dtype(dtype).kind == "c" else np.float64)
    span = -lowest / 4 if rng.random() < 0.5 else 8.0
    rows = 10.0 ** rng.uniform(-span, 0, (m, 1))
    columns = 10.0 ** rng.uniform(-span, 0, (1, n))
    if kind == "uniform":
        return rng.uniform(0.5, 1, (m, n)) + 0 * A
    if kind == "graded rows":
        return A * rows
    if kind == "graded columns":
        return A * columns
    if kind == "graded":
        return A * rows * columns
    if kind in ("wild", "sparse wild"):
        A = np.sign(A) * 10.0 ** rng.uniform(lowest / 2, 0, (m, n))
        return A if kind == "wild" else A * (rng.random((m, n)) < 0.2)
    if kind == "repeated":
        q = np.linalg.qr(A)[0] if m >= n else np.linalg.qr(A.T)[0].T
        return q * rng.choice([1.0, 0.5, 1e-3], (1, n)) if rng.random() < 0.5 else q
    if kind == "zero":
        return 0 * A
    if kind == "zero blocks":
        A[rng.random(m) < 0.5] = 0
        A[:, rng.random(n) < 0.5] = 0
        return A
    if kind == "low rank":
        r = int(rng.integers(1, 1 + min(m, n, 3)))
        return A[:, :r] @ A[:r]
    if kind == "hadamard" and m == n and m & (m - 1) == 0:
        return pp.transforms.hadamard(m).toarray() + 0 * A
    if kind == "fourier" and m == n and np.dtype(dtype).kind == "c":
        F = np.exp(-2j * np.pi / m * np.outer(np.arange(m), np.arange(m)))
        if m & (m - 1) == 0 and rng.random() < 0.7:
            F = F[:, pp.permutations.bit_reversal(m)]
        return F
    if kind == "kernel":
        x, y = np.linspace(0, 1, m), np.linspace(0, 1, n)
        width = 10.0 ** rng.uniform(0, 4)
        return np.exp(-width * (x[:, None] - y) ** 2) + 0 * A
    if kind in ("butterfly", "noisy butterfly"):
        truth = dense(random_butterfly(rng, chain, A.dtype)).astype(A.dtype)
        noise = 10.0 ** rng.uniform(-9, 0) if kind == "noisy butterfly" else 0.0
        return truth + noise * A
    if kind == "constant":
        return 1 + 0 * A
    if kind in ("integers", "booleans"):
        return rng.integers(-2, 3, (m, n)) + 0 * A if kind == "integers" else 1.0 * (A.real > 0)
    if kind == "one entry":
        i, j = rng.integers(m), rng.integers(n)
        A[:] = 0
        A[i, j] = 1
        return A
    if kind == "ends":
        finfo = np.finfo(dtype)
        choices = [0.0, float(finfo.smallest_subnormal), float(finfo.tiny), 1.0]
        choices += [float(finfo.max)] * int(rng.random() < 0.5)
        return rng.choice(choices, (m, n)) * np.where(A.real < 0, -1.0, 1.0)
    return A


def laid_out(A: Array, layout: str) -> Any:
    """The same matrix as a user may hold it."""
    if layout == "F":
        return np.asfortranarray(A)
    if layout in ("strided", "inner"):
        wide = np.ones([2 * size + 2 for size in A.shape], A.dtype)
        inside = [slice(1, size + 1) for size in A.shape]
        every = [slice(1, 2 * size + 1, 2) for size in A.shape]
        view = wide[tuple(inside if layout == "inner" else every)]
        view[...] = A
        return view
    if layout == "reversed":
        return np.ascontiguousarray(A[::-1, ::-1])[::-1, ::-1]
    if layout == "read-only":
        frozen = A.copy()
        frozen.setflags(write=False)
        return frozen
    if layout == "memmap":
        with tempfile.TemporaryFile() as file:  # the mapping outlives it
            mapped = np.memmap(file, A.dtype, "w+", shape=A.shape)
        mapped[...] = A
        return mapped
    if layout == "sparse":
        return scipy.sparse.csr_matrix(A)
    if layout == "rows":
        return Rows(A)
    if layout == "list":
        return A.tolist()
    if layout == "big-endian":
        return A.astype(A.dtype.newbyteorder(">"))
    return A.copy()
