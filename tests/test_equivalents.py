"""The tables of docs/coming_from.md: both columns give the same numbers."""

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
