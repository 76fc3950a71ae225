"""Every instruction set of the machine, forced through PAPILIO_ISA."""

import os
import subprocess
import sys

import pytest

import papilio as pp
from papilio import _core

PROGRAM = """
import sys
import numpy as np
import scipy.fft
import scipy.linalg
sys.path.insert(0, sys.argv[1])
from reference import dense
from strategies import DTYPES, TOLERANCE, random_array, random_chainable, random_factors
import papilio as pp
from papilio import _core
assert _core.isa() == sys.argv[2]
rng = np.random.default_rng(0)
for number in range(48):  # all combinations of dtype, lanes and radix, twice
    dtype = DTYPES[number % 4]
    architecture = random_chainable(rng)
    m, n = architecture.shape
    F = pp.Butterfly(random_factors(rng, architecture, dtype), rng.permutation(m), None)
    D = dense(F)
    if number % 5 == 0:  # as the planner likes
        assert "stage 1" in F.plan(8).text
    for columns in (1, 2, 3, 5, 8, 17, 40):
        for transpose in (False, True):
            for layout in ("columns", "rows"):
                choice = (("columns", "rows")[number // 4 % 2], (2, 4, 8)[number % 3], 1 + number)
                F._data.operator.force(transpose, (columns, layout, layout), choice)
        X, Y = random_array(rng, (n, columns), dtype), random_array(rng, (columns, m), dtype)
        for actual, expected in ((F @ X, D @ X), (Y @ F, Y @ D), (F.H @ Y.T, D.conj().T @ Y.T)):
            scale = max(1, np.abs(expected).max())
            assert np.abs(actual - expected).max() <= TOLERANCE[np.dtype(dtype)] * scale
    G = pp.factorize(
        D.astype(dtype), architecture, order="balanced", row_permutation=F.row_permutation
    )
    tolerance = 1e-12 if np.finfo(dtype).eps < 1e-10 else 1e-4
    assert np.linalg.norm((dense(G) - D).astype(complex)) <= tolerance * np.linalg.norm(
        D.astype(complex)
    )
for real in (np.float32, np.float64):
    for F, D in (
        (pp.transforms.dct(60, dtype=real), scipy.fft.dct(np.eye(60), axis=0)),
        (pp.transforms.dft(31, np.result_type(real, np.complex64)), np.fft.fft(np.eye(31))),
        (pp.transforms.toeplitz(np.arange(9, dtype=real)), scipy.linalg.toeplitz(np.arange(9))),
    ):
        for columns in (1, 3, 16, 37):
            X = random_array(rng, (F.shape[1], columns), F.dtype)
            for actual in (F @ X, F.apply(np.ascontiguousarray(X.T), axis=1).T, F.T.T @ X):
                assert np.abs(actual - D @ X).max() <= TOLERANCE[F.dtype] * np.abs(D @ X).max()
for number, n in enumerate((64, 128, 360, 1024)):
    for dtype in DTYPES:
        complex_values = np.dtype(dtype).kind == "c"
        if n == 360 and not complex_values:
            continue
        F = pp.transforms.dft(n, dtype) if complex_values else pp.transforms.hadamard(n, dtype)
        D = np.fft.fft(np.eye(n)) if complex_values else scipy.linalg.hadamard(n).astype(float)
        for columns in (3, 17):
            for lanes in ("columns", "rows"):
                for radix in (4, 16):
                    for transpose in (False, True):
                        for layout in ("columns", "rows"):
                            F._data.operator.force(
                                transpose, (columns, layout, layout), (lanes, radix, 1 + 7 * number)
                            )
                    X = random_array(rng, (n, columns), dtype)
                    Y = np.ascontiguousarray(X.T)
                    for actual, expected in (
                        (F @ X, D @ X), (Y @ F, Y @ D), (F.H @ X, D.conj().T @ X),
                        (F.apply(Y, axis=1), Y @ D.T), (F @ X[:, 0].copy(), D @ X[:, 0]),
                    ):
                        scale = np.sqrt(n) * np.abs(X).max()
                        assert np.abs(actual - expected).max() <= TOLERANCE[np.dtype(dtype)] * scale
for shape, rank in (((2, 9), 1), ((5, 40), 2), ((40, 33), 3), ((64, 64), 1), ((60, 64), 20)):
    for dtype in DTYPES:
        A = random_array(rng, shape, dtype)
        F = pp.factorize(A, pp.Architecture.low_rank(shape, rank))
        best = np.linalg.norm(np.linalg.svd(A, compute_uv=False)[rank:])
        error = np.linalg.norm(F.toarray() - A)
        assert abs(error - best) <= (1e-10 if np.finfo(dtype).eps < 1e-10 else 1e-4) * best
print("good")
"""


def run(isa, program=PROGRAM):
    folder = os.path.dirname(__file__)
    return subprocess.run(
        [sys.executable, "-c", program, folder, isa],
        env=os.environ | {"PAPILIO_ISA": isa},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.slow
@pytest.mark.parametrize("isa", _core.available_isas())
def test_every_isa_of_this_cpu_gives_right_results(isa):
    result = run(isa)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "good\n"


@pytest.mark.parametrize("isa", ["sse9", "AVX2", "none"])
def test_an_unknown_isa_fails_the_import(isa):
    result = run(isa)
    assert result.returncode == 1
    assert f"ImportError: PAPILIO_ISA is '{isa}'" in result.stderr
    assert all(usable in result.stderr for usable in _core.available_isas())


@pytest.mark.slow
def test_an_isa_that_the_cpu_lacks_fails_the_import():
    lacking = [isa for isa in ("avx2", "avx512", "neon") if isa not in _core.available_isas()]
    for isa in lacking:
        result = run(isa)
        assert result.returncode == 1
        assert "but this build on this CPU runs" in result.stderr
    assert lacking


def test_show_config_tells_cpu_isa_threads_and_versions(capsys):
    pp.show_config()
    text = capsys.readouterr().out
    for word in ("cpu:", "isa:", "threads:", "compiler:", "numpy:", "scipy:"):
        assert word in text
    assert _core.isa() in text
