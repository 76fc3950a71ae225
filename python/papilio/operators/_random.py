"""Random and named factors of an architecture: what learning starts from."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg

from .._chains.architecture import Architecture
from .._chains.factors import Factors
from .._chains.pattern import Pattern
from .._util.checks import finite_number, generator, one_of, shown
from .._util.dtypes import as_dtype
from .._util.roots import roots_of_unity

_Array = np.ndarray[Any, Any]
#: The mean square of a whole product's outputs, relative to its inputs'.
_GAUSSIAN = {"lecun": 1.0, "he": 2.0, "linear": 1 / 3}
INITS = ("orthogonal", *_GAUSSIAN, "identity", "hadamard", "dft")


def random_factors(architecture: Any, init: Any, gain: Any, dtype: Any, seed: Any) -> Factors:
    """See `FactorForms.random`."""
    if not isinstance(architecture, Architecture):
        raise TypeError(f"architecture is {shown(architecture)}, expected an Architecture")
    name = one_of(init, "init", INITS)
    total = finite_number(gain, "gain", positive=True)
    kind, rng = as_dtype(dtype), generator(seed)
    share = total ** (1 / len(architecture))
    if name in _GAUSSIAN:
        share *= _GAUSSIAN[name] ** (0.5 / len(architecture))
        values = [_gaussian(p, kind, rng) * (share / np.sqrt(p.c)) for p in architecture]
    elif name == "orthogonal":
        values = [_orthogonal(p, kind, rng) * share for p in architecture]
    else:
        _require_square_blocks(architecture, name)
        if name == "dft":
            _require_fourier(architecture, kind)
        make = {"identity": _identity, "hadamard": _hadamard, "dft": _fourier}[name]
        values = [make(p) * share for p in architecture]
    largest = max(float(np.abs(array).max()) for array in values)
    if largest > float(np.finfo(kind).max):
        raise ValueError(f"gain is {total!r}, too large for factors of {kind}")
    return Factors(architecture, tuple(array.astype(kind) for array in values))


def _gaussian(p: Pattern, dtype: np.dtype[Any], rng: np.random.Generator) -> _Array:
    """Independent normal numbers of mean square 1."""
    shape = (p.a, p.b, p.c, p.d)
    if dtype.kind == "f":
        return rng.standard_normal(shape)
    parts = rng.standard_normal((2, *shape)) * np.sqrt(0.5)
    return np.asarray(parts[0] + 1j * parts[1])


def _orthogonal(p: Pattern, dtype: np.dtype[Any], rng: np.random.Generator) -> _Array:
    """Haar blocks whose entries have mean square 1/c: orthonormal rows, or scaled columns."""
    long, short = max(p.b, p.c), min(p.b, p.c)
    tall = _gaussian(Pattern(p.a, long, short, p.d), dtype, rng).transpose(0, 3, 1, 2)
    q, r = np.linalg.qr(tall)
    # LAPACK's choice of signs isn't Haar's; that with a positive diagonal of R is.
    diagonal = np.einsum("adkk->adk", r)
    q = q * (diagonal / abs(diagonal))[:, :, None, :]
    blocks = q if p.b == long else q.swapaxes(-1, -2)
    scaled: _Array = blocks.transpose(0, 2, 3, 1) * max(1.0, np.sqrt(p.b / p.c))
    return scaled


def _identity(p: Pattern) -> _Array:
    return np.broadcast_to(np.eye(p.b)[None, :, :, None], (p.a, p.b, p.b, p.d))


def _hadamard(p: Pattern) -> _Array:
    block = scipy.linalg.hadamard(p.b) / np.sqrt(p.b)
    return np.broadcast_to(block[None, :, :, None], (p.a, p.b, p.b, p.d))


def _fourier(p: Pattern) -> _Array:
    """The stage of Cooley and Tukey with decimation in time: blocks and the twiddles after them."""
    size = p.b * p.d
    rows = np.arange(p.b)[:, None, None] * p.d + np.arange(p.d)
    powers = rows * np.arange(p.b)[None, :, None] % size
    block = roots_of_unity(size, powers) / np.sqrt(p.b)
    return np.broadcast_to(block[None], (p.a, p.b, p.b, p.d))


def _require_square_blocks(architecture: Architecture, init: str) -> None:
    for n, p in enumerate(architecture):
        if p.b != p.c:
            raise ValueError(
                f"init is {init!r}, which needs square blocks, but pattern {n} has {p.b} x {p.c}"
            )
        if init == "hadamard" and p.b & (p.b - 1):
            raise ValueError(
                f"init is 'hadamard', which needs blocks of a power of two, but pattern {n} has "
                f"{p.b} x {p.b}"
            )


def _require_fourier(architecture: Architecture, dtype: np.dtype[Any]) -> None:
    if dtype.kind != "c":
        raise ValueError(f"init is 'dft', which needs a complex dtype, not {dtype}")
    expected = Architecture.mixed_radix([p.b for p in architecture])
    if architecture != expected:
        raise ValueError(
            f"init is 'dft', which needs the architecture Architecture.mixed_radix("
            f"{[p.b for p in architecture]})"
        )
