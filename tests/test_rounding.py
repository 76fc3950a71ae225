"""Arithmetic in factor space: rounding, orthonormal forms, norms, sums and multiples."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import papilio as pp
from papilio import Architecture
from reference import blocks, dense, split_error
from strategies import (
    DTYPES,
    TOLERANCE,
    any_chain,
    chainable,
    dtypes,
    random_factors,
)


def close(x, y, dtype):
    scale = max(float(np.linalg.norm(y)), 1e-30)
    return float(np.linalg.norm((x - y).astype(complex))) <= 30 * TOLERANCE[np.dtype(dtype)] * scale


def random_butterfly(rng, architecture, dtype=np.float64, permuted=False):
    m, n = architecture.shape
    return pp.Butterfly(
        random_factors(rng, architecture, dtype),
        rng.permutation(m) if permuted else None,
        rng.permutation(n) if permuted else None,
    )


@given(chainable(max_rank=4), dtypes, st.integers(0, 2**32 - 1))
def test_orthonormal_factors_around_every_centre(architecture, dtype, seed):
    rng = np.random.default_rng(seed)
    F = random_butterfly(rng, architecture, dtype, permuted=True)
    for centre in range(len(architecture)):
        G = F.orthonormalize(centre)
        assert close(dense(G), dense(F), dtype)
        arch = G.architecture
        tolerance = 100 * TOLERANCE[np.dtype(dtype)]
        for s in range(1, len(arch)):
            left, right = arch[s - 1], arch[s]
            product = G.factors[s - 1] if s - 1 < centre else G.factors[s]
            rank = left.rank(right)
            # The blocks of a factor towards the centre, by the index formulas.
            if s <= centre:
                columns = product.transpose(0, 3, 1, 2).reshape(-1, left.b, right.a // left.a, rank)
                gram = np.einsum("xjfr,xjfs->xfrs", columns.conj(), columns)
            else:
                rows = product.transpose(0, 3, 1, 2).reshape(-1, rank, right.b // rank, right.c)
                gram = np.einsum("xrek,xsek->xers", rows, rows.conj())
            assert np.allclose(gram, np.eye(rank), atol=tolerance)


@settings(max_examples=30)
@given(chainable(max_rank=4), dtypes, st.booleans(), st.integers(0, 2**32 - 1))
def test_norm_is_that_of_the_dense_matrix(architecture, dtype, transposed, seed):
    F = random_butterfly(np.random.default_rng(seed), architecture, dtype, permuted=True)
    F = F.T if transposed else F
    assert F.norm() == pytest.approx(
        float(np.linalg.norm(dense(F).astype(complex))), rel=100 * TOLERANCE[np.dtype(dtype)]
    )


@given(any_chain(), st.integers(0, 2**32 - 1))
def test_norm_of_chains_that_are_not_chainable(architecture, seed):
    F = random_butterfly(np.random.default_rng(seed), architecture)
    assert F.norm() == pytest.approx(float(np.linalg.norm(dense(F).astype(float))), rel=1e-11)


@settings(max_examples=10)
@given(chainable(max_rank=2), dtypes, st.integers(0, 2**32 - 1))
def test_sums_of_butterflies_are_butterflies_and_round_back(architecture, dtype, seed):
    rng = np.random.default_rng(seed)
    F, G = (random_butterfly(rng, architecture, dtype) for _ in range(2))
    total = F + G
    assert isinstance(total, pp.Butterfly)
    assert total.architecture.ranks == tuple(2 * r for r in architecture.ranks)
    assert close(dense(total), dense(F) + dense(G), dtype)
    back = (total - G).round(100 * TOLERANCE[np.dtype(dtype)])
    scale = float(np.linalg.norm(dense(F).astype(complex)))
    noise = float(np.linalg.norm(dense(G).astype(complex)))
    difference = float(np.linalg.norm((dense(back) - dense(F)).astype(complex)))
    assert difference <= 1000 * TOLERANCE[np.dtype(dtype)] * (scale + noise)
    assert all(
        found <= 3 * own for found, own in zip(back.architecture.ranks, architecture.ranks,
                                               strict=True)
    )  # fmt: skip


def test_sums_keep_permutations_and_transposes():
    rng = np.random.default_rng(0)
    arch = Architecture.mixed_radix([2, 3, 2], [3, 2, 2])
    F = random_butterfly(rng, arch, permuted=True)
    G = pp.Butterfly(
        random_factors(rng, arch, np.complex64), F.row_permutation, F.column_permutation
    )
    for x, y in ((F, G), (F.T, G.T), (F.H, G.H), (F, F.conj())):
        total = x + y
        assert isinstance(total, pp.Butterfly)
        assert np.allclose(total.toarray(), x.toarray() + y.toarray(), atol=1e-4)
    other = random_butterfly(rng, arch)
    mixed = F + other  # another permutation: SciPy's sum of operators
    assert not isinstance(mixed, pp.Butterfly)
    assert np.allclose(mixed @ np.eye(12), F.toarray() + other.toarray())


def test_multiples_are_butterflies():
    rng = np.random.default_rng(1)
    F = random_butterfly(rng, Architecture.square_dyadic(8), np.complex128, permuted=True)
    for G, factor in ((3 * F, 3), (F * 0.5j, 0.5j), (-F, -1), (2j * F.H, 2j), (F.conj() * 1j, 1j)):
        assert isinstance(G, pp.Butterfly)
        base = F.H if G.row_permutation is not F.row_permutation and factor == 2j else F
        if factor == 1j:
            base = F.conj()
        assert np.allclose(G.toarray(), factor * base.toarray())
    real = pp.transforms.hadamard(4)
    assert (2.0 * real).dtype == np.float64
    assert (1j * real).dtype == np.complex128
    assert np.allclose((real * real) @ np.ones(4), real @ (real @ np.ones(4)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_rounding_meets_its_tolerance_and_is_quasi_optimal(dtype):
    rng = np.random.default_rng(2)
    arch = Architecture.mixed_radix([4, 2, 2, 4], ranks=3)
    F = random_butterfly(rng, arch, dtype)
    A = F.toarray()
    for tol in (0.5, 0.1, 1e-3):
        G = F.round(tol)
        error = np.linalg.norm(G.toarray() - A) / np.linalg.norm(A)
        assert error <= tol
        assert G.report.relative_error == pytest.approx(error, rel=1e-3, abs=1e-6)
        lowest = max(
            split_error(A.astype(complex), G.architecture, s) for s in range(1, 4)
        ) / np.linalg.norm(A)
        assert error <= np.sqrt(3) * lowest * (1 + 1e-3) + 1e-5
    capped = F.round(1e-3, max_rank=1)
    assert capped.architecture.ranks == (1, 1, 1)
    assert capped.report.meets_tolerance is False


def test_rounding_drops_what_a_redundant_chain_has_too_much():
    rng = np.random.default_rng(3)
    arch = Architecture.square_dyadic(16).with_ranks(5)
    F = random_butterfly(rng, arch)
    G = F.round()
    assert np.allclose(G.toarray(), F.toarray())
    assert G.architecture.ranks == (2, 4, 2)
    zero = 0 * F
    assert zero.round().architecture.ranks == (1, 1, 1)
    assert zero.norm() == 0


def test_rounding_agrees_with_factorizing_the_dense_matrix():
    rng = np.random.default_rng(4)
    F = random_butterfly(rng, Architecture.mixed_radix([4, 2, 4], ranks=3))
    wanted = Architecture.mixed_radix([4, 2, 4], ranks=2)
    rounded = F.round(max_rank=2)
    direct = pp.factorize(F.toarray(), wanted, order="left_to_right")
    assert np.allclose(rounded.toarray(), direct.toarray(), atol=1e-10)
    assert rounded.report.split_errors == pytest.approx(direct.report.split_errors, rel=1e-9)


def test_extreme_scales_survive_rounding():
    rng = np.random.default_rng(5)
    F = random_butterfly(rng, Architecture.square_dyadic(8).with_ranks(2))
    for scale in (1e-250, 1e250):
        G = (F * scale).round()
        assert np.allclose(G.toarray() / scale, F.toarray())
        assert (F * scale).norm() / scale == pytest.approx(F.norm())


def test_bad_requests_are_named():
    F = pp.transforms.hadamard(8)
    chain = pp.Butterfly([np.ones((2, 2, 2, 3)), np.ones((3, 2, 2, 2))])
    with pytest.raises(ValueError, match="tol is -1"):
        F.round(-1)
    with pytest.raises(TypeError, match="tol is 'x'"):
        F.round("x")
    with pytest.raises(ValueError, match="max_rank is 0"):
        F.round(max_rank=0)
    with pytest.raises(ValueError, match="centre is 3"):
        F.orthonormalize(3)
    with pytest.raises(TypeError, match="centre is 0.5"):
        F.orthonormalize(0.5)
    with pytest.raises(ValueError, match="not chainable"):
        chain.round()


def test_blocks_helper_covers_the_support():
    left, right = pp.Pattern(1, 4, 2, 2), pp.Pattern(2, 2, 4, 1)
    A = np.ones((8, 8))
    assert sum(block.sum() for _, _, block in blocks(A, left, right)) == 64


def test_progress_rises_to_one_and_may_stop_the_work():
    F = pp.transforms.hadamard(64)
    seen: list[float] = []
    (F + F).round(1e-10, progress=seen.append)
    assert seen == sorted(seen)
    assert len(seen) == 10  # five splits, there and back
    assert seen[-1] == 1

    def stop(fraction: float) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        (F + F).round(progress=stop)
    with pytest.raises(TypeError, match="progress is 'yes'"):
        F.round(progress="yes")
