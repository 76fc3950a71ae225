"""The truncated block SVD: as good as LAPACK's full one for every kind of spectrum and shape.

The two-factor chain low_rank is one block; Monarch chains are many.
"""

import numpy as np
import pytest

import papilio as pp
from papilio import Architecture
from reference import two_factor_error
from strategies import DTYPES, random_array

# (rows, cols): every method (closed form, Gram and QL, bisection, subspace iteration, LAPACK),
# wide and tall.
SHAPES = [(2, 9), (3, 3), (7, 40), (40, 7), (30, 64), (64, 64), (70, 80), (140, 131)]


def orthogonal(rng, rows, cols, dtype):
    return np.linalg.qr(random_array(rng, (rows, cols), dtype))[0]


def with_spectrum(rng, shape, sigma, dtype):
    inner = min(shape)
    sigma = np.asarray(sigma, float)[:inner]
    left = orthogonal(rng, shape[0], inner, dtype)[:, : len(sigma)]
    right = orthogonal(rng, shape[1], inner, dtype)[:, : len(sigma)]
    return ((left * sigma) @ right.conj().T).astype(dtype)


def spectra(inner, rank):
    return {
        "gaussian": None,
        "equal": np.ones(inner),
        "repeated in pairs": np.repeat(np.arange(inner, 0, -1), 2)[:inner],
        "repeated at the cut": np.r_[np.full(rank + 1, 2.0), np.ones(inner)][:inner],
        "graded": np.logspace(0, -15, inner),
        "steep": np.logspace(0, -30, inner),
        "flat but for one": np.r_[1, np.full(inner - 1, 1e-9)],
        "gap below sqrt(eps)": np.r_[1, np.full(rank, 1e-9), np.full(inner, 5e-10)][:inner],
        "exact rank": np.r_[np.logspace(0, -3, rank), np.zeros(inner)][:inner],
        "lower than the rank": np.r_[1.0, np.zeros(inner - 1)],
    }


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_spectrum_is_truncated_optimally(shape):
    rng = np.random.default_rng(0)
    inner = min(shape)
    for rank in sorted({1, 2, min(5, inner - 1), inner - 1} - {0} if inner < 100 else {1, 5}):
        for name, sigma in spectra(inner, rank).items():
            dtype = DTYPES[1] if rank % 2 else DTYPES[3]
            A = (
                random_array(rng, shape, dtype)
                if sigma is None
                else with_spectrum(rng, shape, sigma, dtype)
            )
            F = pp.factorize(A, Architecture.low_rank(shape, rank))
            exact = np.linalg.svd(A, compute_uv=False)
            best, norm = np.linalg.norm(exact[rank:]), np.linalg.norm(A)
            error = np.linalg.norm(F.toarray() - A)
            assert error <= best * (1 + 1e-10) + 2e-13 * norm, (name, rank)
            assert abs(F.report.relative_error * norm - error) <= 1e-10 * error + 2e-13 * norm
            assert F.report.norm == pytest.approx(norm, rel=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
def test_single_precision_is_truncated_as_well_as_it_can_be(dtype):
    rng = np.random.default_rng(1)
    for shape in [(2, 9), (7, 40), (40, 30), (64, 64), (140, 131)]:
        inner = min(shape)
        for rank in {1, inner // 2}:
            for sigma in (np.logspace(0, -12, inner), np.ones(inner)):
                A = with_spectrum(rng, shape, sigma, dtype)
                F = pp.factorize(A, Architecture.low_rank(shape, rank))
                wide = A.astype(np.complex128)
                best = np.linalg.norm(np.linalg.svd(wide, compute_uv=False)[rank:])
                error = np.linalg.norm(F.toarray() - wide)
                assert error <= best * (1 + 1e-4) + 1e-4 * np.linalg.norm(A)


@pytest.mark.parametrize("gauge", ["left_to_right", "right_to_left", "plain"])
def test_many_blocks_with_zero_and_deficient_ones_among_them(gauge):
    rng = np.random.default_rng(2)
    for p, q, rank in [(8, 4, 1), (8, 8, 3), (2, 16, 1), (16, 2, 1), (4, 4, 4)]:
        arch = Architecture.monarch((64, 64), p, q, rank)
        A = rng.standard_normal((64, 64))
        A[:, :16] = 0
        A[::8, 16:32] = 1
        A[5] = 0
        F = pp.factorize(
            A,
            arch,
            order="left_to_right" if gauge == "plain" else gauge,
            orthonormalize=gauge != "plain",
        )
        expected = two_factor_error(A, arch[0], arch[1])
        assert np.linalg.norm(F.toarray() - A) == pytest.approx(expected, rel=1e-12)
        assert all(np.isfinite(values).all() for values in F.factors)


def test_extreme_scales_neither_overflow_nor_vanish():
    rng = np.random.default_rng(3)
    arch = Architecture.square_dyadic(32)
    A = rng.standard_normal((32, 32))
    expected = pp.factorize(A, arch).report.relative_error
    for scale in (1e-300, 1e-160, 1e160, 1e300):
        F = pp.factorize(A * scale, arch)
        assert F.report.relative_error == pytest.approx(expected, rel=1e-10)
        assert F.report.norm == pytest.approx(np.linalg.norm(A) * scale, rel=1e-12)
    for scale in (1e-37, 1e-25, 1e25, 1e36):
        F = pp.factorize((A * scale).astype(np.float32), arch)
        assert F.report.relative_error == pytest.approx(expected, rel=1e-4)


def test_tails_of_a_cut_are_those_of_the_singular_values_of_its_blocks():
    rng = np.random.default_rng(4)
    A = rng.standard_normal((48, 36))
    arch = Architecture.low_rank(A.shape, 5)
    tails = pp.factorize(A, arch).report.split_tails[0]
    sigma = np.linalg.svd(A, compute_uv=False)
    expected = [np.linalg.norm(sigma[k:]) / np.linalg.norm(A) for k in range(6)]
    assert tails == pytest.approx(expected, rel=1e-12)


def test_results_are_the_same_for_any_number_of_threads(threads):
    rng = np.random.default_rng(5)
    A = rng.standard_normal((256, 256))
    for arch in (Architecture.square_dyadic(256), Architecture.monarch((256, 256), 16, 16, 2)):
        results = []
        for count in (1, 2, 3, 4):
            threads(count)
            F = pp.factorize(A, arch, order="balanced")
            results.append([values.tobytes() for values in F.factors])
        assert all(result == results[0] for result in results)
