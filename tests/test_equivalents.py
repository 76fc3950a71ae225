"""docs/coming_from.md: both columns of its tables give the same numbers, layouts are as told."""

import importlib
import pathlib
import re

import numpy as np
import pytest
import scipy
import scipy.linalg
import scipy.signal
import scipy.sparse.linalg

import papilio as pp

PAGE = pathlib.Path(__file__).parent.parent / "docs" / "coming_from.md"
MODULES = {
    "scipy": ("scipy.fft",),
    "finufft": ("finufft",),
    "ducc0": ("ducc0",),
    "pyfaust": ("pyfaust", "pyfaust.fact"),
    "lazylinop": ("lazylinop", "lazylinop.signal", "lazylinop.butterfly"),
}


def rows():
    library = ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        header = re.fullmatch(r"\| (\w+) \| papilio \|", line)
        library = header[1] if header else library
        row = re.fullmatch(r"\| `(.+)` \| `(.+)` \|", line)
        if row:
            yield pytest.param(library, *row.groups(), id=row[1])


def names():
    rng = np.random.default_rng(0)
    n = 16
    x = rng.standard_normal(n) + 1j * rng.standard_normal(n)
    M = rng.standard_normal((n, n)) + 1j * rng.standard_normal((n, n))
    return {
        "np": np,
        "pp": pp,
        "scipy": scipy,
        "n": n,
        "x": x,
        "y": x[::-1] * 1j,
        "X": rng.standard_normal((n, 5)) + 0j,
        "M": M,
        "A": scipy.linalg.hadamard(n).astype(float),
        "c": rng.standard_normal(n),
        "r": rng.standard_normal(n),
        "spd": 0.5 ** np.arange(n) + 4 * (np.arange(n) == 0),
        "t": rng.uniform(-3, 3, n),
        "u": rng.uniform(-3, 3, n),
        "s": rng.uniform(-5, 5, 9),
        "values": rng.standard_normal((2, 4, 4, 2)),
    }


@pytest.mark.parametrize("library, theirs, ours", list(rows()))
def test_both_columns_agree(library, theirs, ours):
    for module in MODULES[library]:
        pytest.importorskip(module)
    namespace = {**names(), library: importlib.import_module(library)}
    wanted, found = eval(theirs, namespace), eval(ours, namespace)
    np.testing.assert_allclose(
        np.ravel(found), np.ravel(wanted), atol=1e-7 * np.linalg.norm(np.ravel(wanted))
    )


def test_there_are_rows_of_every_library():
    assert {row.values[0] for row in rows()} == set(MODULES)


@pytest.mark.parametrize("increasing_stride", [True, False])
def test_twiddles_of_torch_butterfly_are_factors(increasing_stride):
    # By the formula that its papers give, not by the library.
    n, rng = 16, np.random.default_rng(1)
    twiddles = rng.standard_normal((4, n // 2, 2, 2))
    strides = [1, 2, 4, 8] if increasing_stride else [8, 4, 2, 1]
    x = rng.standard_normal(n)
    expected = x.copy()
    factors = []
    for twiddle, stride in zip(twiddles, strides, strict=True):
        before = expected.copy()
        for pair in range(n // 2):
            block, within = divmod(pair, stride)
            rows = 2 * stride * block + within + stride * np.arange(2)
            expected[rows] = twiddle[pair] @ before[rows]
        factors.append(np.moveaxis(twiddle.reshape(n // (2 * stride), stride, 2, 2), 1, -1))
    F = pp.Butterfly(factors[::-1])
    dyadic = pp.Architecture.square_dyadic(n)
    assert F.architecture == (dyadic if increasing_stride else dyadic.T)
    np.testing.assert_allclose(F @ x, expected, atol=1e-12)


def test_block_diagonals_of_monarch_layers_are_factors():
    # blockdiag_butterfly_multiply(x, w1, w2) by its formula: blocks of x, then every third number.
    rng = np.random.default_rng(2)
    w1, w2 = rng.standard_normal((4, 6, 3)), rng.standard_normal((3, 5, 8))
    x = rng.standard_normal(12)
    between = np.einsum("kqp,kp->kq", w1, x.reshape(4, 3)).reshape(8, 3)
    expected = np.einsum("lsr,rl->sl", w2, between).ravel()
    F = pp.Butterfly([w2.transpose(1, 2, 0)[None], w1[..., None]])
    assert F.architecture == pp.Architecture.monarch((15, 12), 5, 4, rank=2)
    np.testing.assert_allclose(F @ x, expected, atol=1e-12)
