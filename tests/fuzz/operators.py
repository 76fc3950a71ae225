"""Random chains of structured and other factors, and what they are in extended precision."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import papilio as pp
from papilio._chains.factors import Factors
from papilio._chains.interpolative import without_identities
from papilio.operators import butterfly_of

_Array = np.ndarray[Any, Any]

DTYPES = ("float32", "float64", "complex64", "complex128")

#: What a factor may consist of. hadamard and fourier come with the twiddles of a transform, outputs
#: are their transposes.
KINDS = (
    "random",
    "hadamard",
    "fourier",
    "fourier outputs",
    "fourier conjugate",
    "untwiddled",
    "signs",
    "scaled",
    "diagonal",
    "identity",
    "twiddles only",
    "disturbed",
)

#: Of factors with large blocks: identities in panels of so many columns, which aren't stored.
INTERPOLATIVE = "interpolative "

#: (a, b, c, d, kind, tied: "", "a", "d" or "ad")
Spec = tuple[int, int, int, int, str, str]


def divisors(n: int) -> list[int]:
    return [k for k in range(1, n + 1) if n % k == 0]


def draw_square_chain(rng: np.random.Generator, dtype: str) -> tuple[Spec, ...]:
    """Levels of radices, as transforms have them, each of a random kind in runs."""
    radices: list[int] = []
    size = 1
    most = int(2 ** rng.uniform(0, 8 if rng.random() < 0.2 else 6))
    while size < most:
        radix = int(rng.choice([2, 2, 2, 2, 2, 2, 3, 3, 4, 5, 5, 6, 7, 8, 9, 11, 13, 16]))
        if size * radix > 2 * most:
            break
        radices.append(radix)
        size *= radix
    radices = radices[:8] or [int(rng.integers(1, 9))]
    # What stands left and right of all levels: kron with identities.
    outer, inner = (int(rng.choice([1, 1, 1, 2, 3, 4, 6, 8, 12])) for _ in range(2))
    if rng.random() < 0.5:
        radices.sort(reverse=bool(rng.integers(2)))
    size = math.prod(radices)
    if outer * inner * size > 1024:
        outer = inner = 1
    specs: list[Spec] = []
    before = 1
    kind = str(rng.choice(KINDS))
    for radix in radices:
        if rng.random() < 0.3:
            kind = str(rng.choice(KINDS))
        tied = str(rng.choice(["", "", "a", "d", "ad"]))
        after = size // (before * radix)
        specs.append((outer * before, radix, radix, after * inner, kind, tied))
        before *= radix
    if rng.random() < 0.2:
        specs.reverse()
    return tuple(specs)


def draw_any_chain(rng: np.random.Generator) -> tuple[Spec, ...]:
    """Factors whose shapes fit, of any size."""
    size = int(rng.integers(1, 10) * 2 ** rng.integers(0, 5))
    specs: list[Spec] = []
    for _ in range(int(rng.integers(1, 5))):
        a = int(rng.choice(divisors(size)))
        d = int(rng.choice(divisors(size // a)))
        b = size // (a * d)
        c = int(rng.integers(1, max(2, min(20, 300 // (a * d)))))
        if a * b * c * d > 20000:
            c = 1
        specs.append((a, b, c, d, "random", str(rng.choice(["", "", "a", "d", "ad"]))))
        size = a * c * d
    return tuple(specs)


def draw_blocks_chain(rng: np.random.Generator) -> tuple[Spec, ...]:
    """Factors with blocks that are read in one piece, some of them interpolative."""
    a, b, d = int(rng.integers(1, 5)), int(rng.integers(8, 49)), int(rng.integers(1, 12))
    specs: list[Spec] = []
    for _ in range(int(rng.integers(1, 4))):
        panels = int(rng.choice([1, 2, 2, 3]))
        rank = int(rng.integers(max(1, 8 // panels), 1 + max(40 // panels, 8)))
        c = panels * rank
        kind = f"{INTERPOLATIVE}{rank}" if rank <= b and rng.random() < 0.7 else "random"
        tied = "" if kind != "random" else str(rng.choice(["", "", "", "a", "d"]))
        specs.append((a, b, c, d, kind, tied))
        size = a * c * d
        fitting = [
            (x, y) for x in divisors(size) for y in divisors(size // x) if 8 <= size // x // y <= 64
        ]
        if size > 3000 or not fitting:
            break
        a, d = fitting[int(rng.integers(len(fitting)))]
        b = size // (a * d)
    return tuple(specs)


def draw_chain(rng: np.random.Generator, dtype: str) -> tuple[Spec, ...]:
    """One of these."""
    kind = rng.random()
    if kind < 0.15:
        return draw_blocks_chain(rng)
    return draw_square_chain(rng, dtype) if kind < 0.8 else draw_any_chain(rng)


def _bit_reversed(radix: int) -> list[int]:
    if radix & (radix - 1):
        return list(range(radix))
    bits = radix.bit_length() - 1
    return [int(f"{n:0{bits}b}"[::-1], 2) if bits else 0 for n in range(radix)]


def _matrix(kind: str, radix: int) -> _Array:
    k = np.arange(radix)
    if kind == "hadamard":
        bits = np.array([[bin(i & j).count("1") for j in k] for i in k])
        return np.where(bits % 2, -1.0, 1.0)
    turns = np.outer(k, _bit_reversed(radix)) % radix
    wave: _Array = np.exp(-2j * np.pi * turns / radix)
    return wave


def values(spec: Spec, dtype: str, rng: np.random.Generator) -> _Array:
    """The values of a factor."""
    a, b, c, d, kind, tied = spec
    shape = (1 if "a" in tied else a, b, c, 1 if "d" in tied else d)
    holds_complex = np.dtype(dtype).kind == "c"

    def normal(shape: tuple[int, ...]) -> _Array:
        x = rng.standard_normal(shape)
        return x + 1j * rng.standard_normal(shape) if holds_complex else x

    if kind.startswith(INTERPOLATIVE):
        return _interpolative(spec, normal(shape).astype(dtype), rng)
    if kind == "random" or b != c:
        return normal(shape).astype(dtype)
    ones = np.ones(shape)
    if kind in ("hadamard", "scaled"):
        scale = 1.0 if kind == "hadamard" else float(rng.choice([0.5, -2.0, b**-0.5]))
        power_of_two = b & (b - 1) == 0
        result = scale * ones * _matrix("hadamard" if power_of_two else "fourier", b)[..., None]
        if not holds_complex and not power_of_two:
            result = result.real
    elif kind == "signs":
        result = rng.choice([-1.0, 1.0], shape)
    elif kind == "identity":
        result = ones * np.eye(b)[..., None]
    elif kind == "diagonal":
        result = ones * np.eye(b)[..., None] * normal((shape[0], b, 1, shape[3]))
    elif kind == "disturbed":
        # Next to a matrix that has kernels of its own, but not that.
        matrix = _matrix(
            str(rng.choice(["fourier", "hadamard"])) if holds_complex else "hadamard", b
        )
        result = ones * matrix[..., None]
        result = result * (1 + 10.0 ** rng.uniform(-14, -3) * normal(shape))
    else:
        matrix = _matrix("fourier" if holds_complex else "hadamard", b)
        k, l = np.arange(b)[:, None], np.arange(shape[3])
        # Twiddles of a transform of length b d, or none.
        turns = k * l / (b * d) if kind != "untwiddled" and shape[3] == d else 0 * k * l
        if kind == "twiddles only":
            turns = rng.random((shape[0], 1, b, shape[3]))
            turns[:, :, 0] = 0
        twiddles = np.exp(-2j * np.pi * turns)
        if not holds_complex:
            twiddles = np.where(twiddles.real < 0, -1.0, 1.0)
        if kind == "fourier outputs":
            result = ones * matrix.T[..., None] * twiddles[:, None]
        else:
            result = ones * matrix[..., None] * twiddles
        if kind == "fourier conjugate":
            result = result.conj()
    if not holds_complex:
        result = np.real(result)
    return np.ascontiguousarray(result.astype(dtype))


def _rank(kind: str) -> int:
    """The columns of an interpolative factor's panels, 0 for other kinds."""
    text = kind.removeprefix(INTERPOLATIVE)
    return int(text) if text != kind and text.isdigit() else 0


def _interpolative(spec: Spec, values: _Array, rng: np.random.Generator) -> _Array:
    """The values with an identity in each panel."""
    a, b, c, d, kind, _ = spec
    rank = _rank(kind)
    if rank < 1 or c % rank or rank > b or values.shape != (a, b, c, d):
        return values
    for i, l, panel in np.ndindex(a, d, c // rank):
        rows = rng.permutation(b)[:rank]
        values[i, rows, panel * rank : (panel + 1) * rank, l] = np.eye(rank)
    return values


def draw_permutation(rng: np.random.Generator) -> str:
    """The name of a permutation."""
    return str(rng.choice(["", "", "", "bits", "random", "reverse"]))


def permutation(name: str, n: int, radices: list[int], rng: np.random.Generator) -> Any:
    """The permutation of this name, None for ''."""
    if not name:
        return None
    if name == "random":
        return rng.permutation(n)
    if name == "reverse":
        return np.arange(n)[::-1].copy()
    if math.prod(radices) != n:
        radices = [n]
    return np.arange(n).reshape(radices).transpose().ravel()


def build(
    specs: tuple[Spec, ...], dtype: str, permutations: tuple[str, str], rng: np.random.Generator
) -> pp.Butterfly:
    """The butterfly of these factors."""
    factors = [values(spec, dtype, rng) for spec in specs]
    architecture = pp.Architecture(spec[:4] for spec in specs)
    rows, cols = architecture.shape
    F = pp.Butterfly(
        factors,
        permutation(permutations[0], rows, [s[1] for s in specs], rng),
        permutation(permutations[1], cols, [s[2] for s in specs], rng),
        architecture=architecture,
    )
    ranks = [_rank(spec[4]) for spec in specs]
    if not any(ranks):
        return F
    kept = tuple(
        without_identities(array, rank) if rank else array
        for array, rank in zip(factors, ranks, strict=True)
    )
    own = F.factors
    return butterfly_of(Factors(architecture, kept, own.row_permutation, own.column_permutation))


def extended(x: _Array, dtype: Any) -> _Array:
    """x in a precision that is far beyond that of the dtype."""
    if np.dtype(dtype).name in ("float32", "complex64"):
        return x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)
    return x.astype(np.clongdouble if x.dtype.kind == "c" else np.longdouble)


def product(F: pp.Butterfly, X: _Array, dtype: Any) -> tuple[_Array, _Array]:
    """F X in extended precision, factor by factor, for X of shape (n, columns); and what the
    absolute values of all factors and of X give, which rounding errors in `dtype` are relative
    to."""
    Y = extended(X, dtype)
    size = np.abs(Y)
    if F.column_permutation is not None:
        inverse = np.argsort(F.column_permutation)
        Y, size = Y[inverse], size[inverse]
    for p, v in zip(reversed(F.architecture), reversed(F.factors), strict=True):
        wide = extended(np.broadcast_to(v, tuple(p)), dtype)
        Y = _applied(p, wide, Y)
        size = _applied(p, np.abs(wide), size)
    if F.row_permutation is not None:
        Y, size = Y[F.row_permutation], size[F.row_permutation]
    return Y, size


def _applied(p: pp.Pattern, values: _Array, X: _Array) -> _Array:
    X = X.reshape(p.a, p.c, p.d, -1)
    Y = np.zeros((p.a, p.b, p.d, X.shape[-1]), np.result_type(values, X))
    for k in range(p.c):
        Y += values[:, :, k, :, None] * X[:, None, k]
    return Y.reshape(p.a * p.b * p.d, -1)


def roundings(F: pp.Butterfly) -> float:
    """How many units of rounding, relative to `size`, a product may be off: sums of c products in
    each factor, structure found within 4 eps, twiddles, and complex arithmetic."""
    return 4 * sum(p.c + 8 for p in F.architecture)
