"""Operators made of operators: random expressions, against the same expressions of matrices."""

from __future__ import annotations

import os
import pickle
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import scipy.sparse
from scipy.sparse.linalg import aslinearoperator

import papilio as pp

from .case import Case, Skip

_LARGEST = 4096  # entries: what gets larger is left out
_DTYPES = ("float32", "float64", "complex64", "complex128")
#: Kinds of numbers from 1 to 99, some of them narrow ones.
NUMBERS: list[Callable[[int], Any]] = [
    int, float, complex, bool, np.float16, np.float32, np.float64, np.int8, np.uint8, np.int64,
    np.bool_, np.complex64, lambda k: k * (1 - 1j), lambda k: k * 10**20,
]  # fmt: skip


@dataclass
class Made:
    """An operator, its matrix in extended precision, and the size that its rounding is next to."""

    F: Any
    dense: np.ndarray
    size: float
    eps: float


def _random(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    values = rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        values = values + 1j * rng.standard_normal(shape)
    return values.astype(dtype)


def _butterfly(rng: np.random.Generator) -> Any:
    radices = [int(r) for r in rng.choice([1, 2, 3], size=rng.integers(1, 4))]
    columns = [int(r) for r in rng.choice([1, 2, 3], size=len(radices))]
    architecture = pp.Architecture.mixed_radix(radices, columns, int(rng.integers(1, 3)))
    dtype = str(rng.choice(_DTYPES))
    factors = [_random(rng, tuple(p), dtype) for p in architecture]
    m, n = architecture.shape
    rows = rng.permutation(m) if rng.random() < 0.5 else None
    cols = rng.permutation(n) if rng.random() < 0.5 else None
    return pp.Butterfly(factors, rows, cols, architecture=architecture)


def _section(rng: np.random.Generator) -> Any:
    F = _butterfly(rng)
    return pp.Section(
        F, (int(rng.integers(1, F.shape[0] + 1)), int(rng.integers(1, F.shape[1] + 1)))
    )


def _transform(rng: np.random.Generator) -> Any:
    T, n = pp.transforms, int(rng.integers(1, 20))
    double = bool(rng.random() < 0.7)
    real, both = ("float64", "complex128") if double else ("float32", "complex64")
    return [
        lambda: T.dft(n, both),
        lambda: [T.dct, T.dst][int(rng.integers(2))](n + 1, int(rng.integers(1, 5)), real),
        lambda: T.rdft(n, real),
        lambda: T.hartley(n, real),
        lambda: T.hadamard(1 << int(rng.integers(0, 5)), real),
        lambda: T.circulant(_random(rng, (n,), both)),
        lambda: T.toeplitz(_random(rng, (n,), real), _random(rng, (n + 2,), real)),
        lambda: T.shift(n, float(rng.uniform(0, n)), real),
    ][int(rng.integers(8))]()


def _matrix(rng: np.random.Generator) -> Any:
    shape = int(rng.integers(1, 9)), int(rng.integers(1, 9))
    values = _random(rng, shape, str(rng.choice(_DTYPES)))
    kind = int(rng.integers(4))
    if kind == 0:
        return pp.Composition(
            [scipy.sparse.csr_array(np.where(rng.random(shape) < 0.4, values, 0))]
        )
    if kind == 1:
        return pp.Composition([values[0]])
    return pp.Composition([aslinearoperator(values) if kind == 2 else values])


LEAVES: dict[str, Callable[[np.random.Generator], Any]] = {
    "butterfly": _butterfly,
    "section": _section,
    "transform": _transform,
    "matrix": _matrix,
}


def _leaf(name: str, rng: np.random.Generator) -> Made:
    F = LEAVES[name](rng)
    columns = [F @ unit for unit in np.eye(F.shape[1], dtype=F.dtype)]
    dense = np.stack(columns, axis=1).astype(np.clongdouble)
    size = float(np.linalg.norm(dense.astype(complex))) + 1e-30
    return Made(F, dense, size * 4, float(np.finfo(F.dtype).eps))


def _again(F: Any, rng: np.random.Generator) -> Any:
    if rng.random() < 0.5:
        return pickle.loads(pickle.dumps(F))
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "F.npz")
        try:
            F.save(path)
        except TypeError as error:  # documented of operators of other libraries
            assert "LinearOperator" in str(error), str(error)
            return pickle.loads(pickle.dumps(F))
        return pp.load(path)


def _chosen(rng: np.random.Generator, size: int) -> Any:
    kind = int(rng.integers(4))
    if kind == 0:
        return slice(None)
    if kind == 1:
        start = int(rng.integers(size))
        return slice(start, None, int(rng.choice([1, 2, -1])))
    if kind == 2:
        places = rng.integers(-size, size, size=rng.integers(1, size + 2))
        narrow = np.dtype(str(rng.choice(["int64", "int32", "int16", "int8"])))
        return places.astype(narrow) if size <= np.iinfo(narrow).max else places
    mask = rng.random(size) < 0.6
    mask[int(rng.integers(size))] = True
    return mask


def _one(name: str, x: Made, rng: np.random.Generator) -> Made:
    """What one operator becomes."""
    F, A, size = x.F, x.dense, x.size
    if name == "sliced":
        rows, columns = (_chosen(rng, s) for s in F.shape)
        return Made(F[rows, columns], A[rows][:, columns], size, x.eps)
    if name == "scaled":
        number = (
            complex(*rng.standard_normal(2)) if rng.random() < 0.3 else float(rng.uniform(-2, 2))
        )
        return Made(number * F, A * number, size * abs(number) + 1e-30, x.eps)
    if name == "divided":
        kind = NUMBERS[int(rng.integers(len(NUMBERS)))]
        number = kind(int(rng.integers(1, 100)))
        G = F / number
        wanted = np.result_type(F.dtype, 0.0 if isinstance(number, int) else number)
        assert G.dtype == wanted, f"F / {number!r}: {G.dtype}, expected {wanted}"
        exact = np.clongdouble(complex(number))
        return Made(G, A / exact, size / abs(complex(number)) + 1e-30, x.eps)
    if name == "there and back":
        # The matrix times a number, or over it, is next to where the dtype's numbers end.
        far = 10.0 ** (int(rng.choice([-1, 1])) * (200 if F.dtype.char in "dD" else 25))
        return Made((F * far) / far if rng.random() < 0.5 else (F / far) * far, A, size, x.eps)
    if name == "powered":
        if F.shape[0] != F.shape[1]:
            raise Skip
        k = int(rng.integers(0, 4))
        power = np.linalg.matrix_power(A, k)
        return Made(F**k, power, max(size, 1.0) ** k * 2, x.eps)
    if name == "astype":
        dtype = np.result_type(F.dtype, str(rng.choice(_DTYPES)))
        return Made(F.astype(dtype), A, size, x.eps)
    results = {
        "T": lambda: (F.T, A.T),
        "H": lambda: (F.H, A.conj().T),
        "conj": lambda: (F.conj(), A.conj()),
        "real": lambda: (F.real, A.real.astype(A.dtype)),
        "imag": lambda: (F.imag, A.imag.astype(A.dtype)),
        "negative": lambda: (-F, -A),
        "again": lambda: (_again(F, rng), A),
    }
    made, dense = results[name]()
    return Made(made, dense, size, x.eps)


def _two(name: str, x: Made, y: Made) -> Made:
    """What two operators become together."""
    F, G, A, B = x.F, y.F, x.dense, y.dense
    eps = max(x.eps, y.eps)
    if name == "product":
        if F.shape[1] != G.shape[0]:
            raise Skip
        return Made(F @ G, A @ B, x.size * y.size, eps)
    if name in ("sum", "difference"):
        if F.shape != G.shape:
            raise Skip
        sign = 1 if name == "sum" else -1
        return Made(F + G if sign == 1 else F - G, A + sign * B, x.size + y.size, eps)
    if name == "kron":
        return Made(pp.kron(F, G), np.kron(A, B), x.size * y.size, eps)
    if name == "hstack":
        if F.shape[0] != G.shape[0]:
            raise Skip
        return Made(pp.hstack([F, G]), np.hstack([A, B]), x.size + y.size, eps)
    if name == "vstack":
        if F.shape[1] != G.shape[1]:
            raise Skip
        return Made(pp.vstack([F, G]), np.vstack([A, B]), x.size + y.size, eps)
    zeros = np.zeros((A.shape[0], B.shape[1]), A.dtype), np.zeros((B.shape[0], A.shape[1]), A.dtype)
    return Made(
        pp.block_diag([F, G]), np.block([[A, zeros[0]], [zeros[1], B]]), x.size + y.size, eps
    )


ONE = (
    "T",
    "H",
    "conj",
    "real",
    "imag",
    "scaled",
    "divided",
    "there and back",
    "sliced",
    "powered",
    "negative",
    "astype",
    "again",
)
TWO = ("product", "sum", "difference", "hstack", "vstack", "kron", "block_diag")


@dataclass(frozen=True)
class Algebra(Case):
    """A program of a stack: leaves are put on it, operations take one or two and put the result."""

    family = "algebra"
    program: tuple[str, ...]
    batch: int
    threads: int
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        leaves = list(LEAVES)
        program = [str(rng.choice(leaves))]
        depth = 1
        for _ in range(int(rng.integers(1, 7))):
            roll = rng.random()
            if depth >= 2 and roll < 0.5:
                program.append(str(rng.choice(TWO)))
                depth -= 1
            elif roll < 0.75:
                program.append(str(rng.choice(ONE)))
            else:
                # The same again fits what the first one fits.
                program.append("same" if rng.random() < 0.5 else str(rng.choice(leaves)))
                depth += 1
        return cls(
            tuple(program),
            int(rng.choice([0, 1, 2, 5, 9])),
            int(rng.integers(1, 3)),
            int(rng.integers(1 << 31)),
        )

    def check(self) -> None:
        rng = np.random.default_rng(self.seed)
        before = pp.get_num_threads()
        pp.set_num_threads(max(1, self.threads))
        try:
            self._run(rng)
        finally:
            pp.set_num_threads(before)

    def _run(self, rng: np.random.Generator) -> None:
        stack: list[Made] = []
        for name in self.program:
            if name in LEAVES:
                stack.append(_leaf(name, rng))
            elif name == "same":
                if not stack:
                    raise Skip
                stack.append(stack[-1])
            elif name in TWO:
                if len(stack) < 2:
                    raise Skip
                y, x = stack.pop(), stack.pop()
                if x.dense.size * y.dense.size > _LARGEST:
                    raise Skip
                stack.append(_two(name, x, y))
            else:
                if not stack:
                    raise Skip
                stack.append(_one(name, stack.pop(), rng))
            self._compare(stack[-1], rng)
        self._compare_norms(stack[-1], rng)

    def _compare_norms(self, made: Made, rng: np.random.Generator) -> None:
        """Of the operator times a number that is far from 1."""
        plain = made.dense.astype(complex)
        if "there and back" in self.program or not 1e-5 < np.linalg.norm(plain) < 1e5:
            return  # far from 1 already
        if made.F.shape[0] != made.F.shape[1] and min(made.F.shape) <= 64:
            values, wanted = made.F.eigs(), np.linalg.svd(plain, compute_uv=False)
            room = 200 * len(self.program) * made.eps * made.size
            assert values.shape == wanted.shape, f"{values.size} singular values"
            assert np.abs(values - wanted).max() <= room, f"singular values {values}, not {wanted}"
        single = made.F.dtype.char in "fF"
        scale = 10.0 ** int(rng.choice([-25, 0, 25] if single else [-300, -200, 0, 200, 290]))
        for ord in ("fro", 1, 2, np.inf):
            expected = float(np.linalg.norm(plain, ord))
            found = (made.F * scale).norm(ord) / scale
            room = 200 * len(self.program) * made.eps * made.size * max(made.F.shape) ** 0.5
            assert abs(found - expected) <= room, f"norm {ord}: {found}, expected {expected}"

    def _compare(self, made: Made, rng: np.random.Generator) -> None:
        F, A = made.F, made.dense
        assert isinstance(F, pp.Operator), f"a {type(F).__name__}"
        assert F.shape == A.shape, f"shape {F.shape}, expected {A.shape}"
        dtype = str(rng.choice(_DTYPES))
        x = _random(rng, (F.shape[1], self.batch) if self.batch else (F.shape[1],), dtype)
        y = _random(rng, (self.batch, F.shape[0]) if self.batch else (F.shape[0],), dtype)
        eps = max(made.eps, float(np.finfo(dtype).eps) if F.dtype.char in "fF" else 0)
        room = 200 * len(self.program) * eps * made.size
        for name, product, expected, given in (
            ("F @ x", F @ x, A @ x.astype(A.dtype), x),
            ("y @ F", y @ F, y.astype(A.dtype) @ A, y),
        ):
            wanted = np.result_type(F.dtype, dtype)
            assert product.dtype == wanted, f"{name}: {product.dtype}, expected {wanted}"
            assert product.shape == expected.shape, f"{name}: shape {product.shape}"
            # What x itself is rounded by when it meets a larger or smaller precision is in eps.
            norm = float(np.linalg.norm(given.astype(complex)))
            off = float(np.abs(product - expected).max(initial=0))
            assert off <= room * norm, f"{name}: off by {off}, expected at most {room * norm}"


FAMILIES = [Algebra]
