"""Random chains, arrays and layouts for hypothesis and for seeded loops."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

import papilio as pp
from papilio._chains.factors import Factors
from papilio._chains.interpolative import Interpolative
from papilio.operators import butterfly_of

DTYPES = [np.float32, np.float64, np.complex64, np.complex128]
TOLERANCE = {np.dtype(t): 3e-5 if t in (np.float32, np.complex64) else 1e-13 for t in DTYPES}


def random_array(rng, shape, dtype):
    values = rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        values = values + 1j * rng.standard_normal(shape)
    return values.astype(dtype)


def random_factors(rng, architecture, dtype):
    return [random_array(rng, tuple(p), dtype) for p in architecture]


def random_interpolative(rng, pattern, rank, dtype):
    """Values whose panels of `rank` columns have identities in random rows."""
    a, b, c, d = pattern
    rows = rng.permuted(np.broadcast_to(np.arange(b), (a, d, c // rank, b)), axis=3)
    weights = random_array(rng, (a, d, c // rank, b - rank, rank), dtype)
    return Interpolative(rows.astype(np.uint16), weights)


# As compress makes them: all but the last interpolate, the third with identities and nothing else.
INTERPOLATIVE = pp.Architecture([(1, 32, 18, 8), (2, 18, 20, 4), (4, 20, 40, 2), (8, 40, 24, 1)])
RANKS = [9, 10, 20]


def interpolative_butterfly(rng, dtype):
    """A chain of 256 x 192 whose factors are stored without their identities."""
    factors = [
        random_interpolative(rng, pattern, rank, dtype)
        for pattern, rank in zip(INTERPOLATIVE, RANKS, strict=False)
    ]
    last = random_array(rng, tuple(INTERPOLATIVE[-1]), dtype)
    permutations = [rng.permutation(n) for n in INTERPOLATIVE.shape]
    return butterfly_of(Factors(INTERPOLATIVE, (*factors, last), *permutations))


def same_kept(F, G):
    """Whether the same arrays are stored, in the same way."""
    pairs = zip(F._data.factors.multiplied, G._data.factors.multiplied, strict=True)
    parts = [(x, y) if isinstance(x, tuple) else ((x,), (y,)) for x, y in pairs]
    return all(
        len(x) == len(y) and all(map(np.array_equal, x, y)) and x[-1].dtype == y[-1].dtype
        for x, y in parts
    )


def random_chainable(rng, max_factors=5, max_size=5000, max_rank=4):
    """A random chainable architecture through the normal form: mixed radix, any ranks."""
    while True:
        length = int(rng.integers(1, max_factors + 1))
        rows = [int(q) for q in rng.integers(1, 5, length)]
        cols = [int(p) for p in rng.integers(1, 5, length)]
        ranks = [int(r) for r in rng.integers(1, max_rank + 1, length - 1)]
        architecture = pp.Architecture.mixed_radix(rows, cols, ranks)
        if architecture.shape[0] * architecture.shape[1] <= max_size:
            return architecture


@st.composite
def chainable(draw, max_factors=4, max_rank=3):
    length = draw(st.integers(1, max_factors))
    radix = st.integers(1, 4)
    return pp.Architecture.mixed_radix(
        draw(st.lists(radix, min_size=length, max_size=length)),
        draw(st.lists(radix, min_size=length, max_size=length)),
        draw(st.lists(st.integers(1, max_rank), min_size=length - 1, max_size=length - 1)),
    )


@st.composite
def any_chain(draw, max_factors=3, max_dimension=96):
    """Patterns whose shapes fit and nothing else: mostly not chainable."""
    size = draw(st.integers(1, max_dimension))
    patterns = []
    for _ in range(draw(st.integers(1, max_factors))):
        divisors = [n for n in range(1, size + 1) if size % n == 0]
        a = draw(st.sampled_from(divisors))
        d = draw(st.sampled_from([n for n in divisors if (size // a) % n == 0]))
        b = size // (a * d)
        c = draw(st.integers(1, max(1, min(12, max_dimension // (a * d)))))
        patterns.append((a, b, c, d))
        size = a * c * d
    return pp.Architecture(patterns)


dtypes = st.sampled_from(DTYPES)


@st.composite
def laid_out(draw, shape, dtype, rng):
    """A random array of this shape in C, Fortran, strided, reversed or offset memory."""
    layout = draw(st.sampled_from(["C", "F", "strided", "reversed", "inner"]))
    values = random_array(rng, shape, dtype)
    if layout == "C":
        return values
    if layout == "F":
        return np.asfortranarray(values)
    if layout == "reversed":
        return np.ascontiguousarray(values[::-1])[::-1]
    wide = np.full([2 * n + 1 for n in shape], np.nan, dtype)
    view = wide[tuple(slice(1, None, 2) for _ in shape)]
    if layout == "inner":
        wide = np.full([n + 2 for n in shape], np.nan, dtype)
        view = wide[tuple(slice(1, n + 1) for n in shape)]
    view[...] = values
    return view
