"""factorize with tol: the smallest ranks that keep the error, and what the report says of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import papilio as pp
from papilio import Architecture
from reference import dense
from strategies import chainable, random_array, random_factors


def smooth(n, dtype=np.float64):
    x = np.arange(n) / n
    kernel = np.exp(-3 * np.abs(x[:, None] - x[None, :] - 1.5) ** 2) * np.cos(
        20 * x[:, None] * x[None, :]
    )
    return kernel.astype(dtype)


@pytest.mark.parametrize("order", ["auto", "right_to_left", "balanced"])
@pytest.mark.parametrize("tol", [1e-1, 1e-3, 1e-6, 1e-9, 1e-12])
def test_the_error_is_at_most_tol(order, tol):
    for A in (smooth(64), np.fft.fft(np.eye(64)), np.random.default_rng(0).random((64, 64))):
        F = pp.factorize(A, [4, 2, 2, 4], tol=tol, order=order)
        error = np.linalg.norm(F.toarray() - A) / np.linalg.norm(A)
        assert error <= tol * (1 + 1e-9) + 1e-14
        assert F.report.meets_tolerance
        assert F.report.relative_error == pytest.approx(error, rel=1e-6, abs=1e-14)
        assert F.report.ranks == F.architecture.ranks


def test_ranks_are_the_smallest_for_their_share_of_the_error():
    A, tol = smooth(64), 1e-5
    F = pp.factorize(A, [8, 8], tol=tol)
    (rank,) = F.report.ranks
    tails = F.report.split_tails[0]
    assert tails[rank] <= tol < tails[rank - 1]
    again = pp.factorize(A, Architecture.mixed_radix([8, 8], ranks=[rank - 1]))
    assert again.report.relative_error > tol


@given(chainable(max_rank=3), st.integers(0, 2**32 - 1))
def test_ranks_of_an_exact_butterfly_are_never_above_its_own(architecture, seed):
    rng = np.random.default_rng(seed)
    A = dense(pp.Butterfly(random_factors(rng, architecture, np.float64))).astype(float)
    F = pp.factorize(A, architecture, tol=1e-9)
    assert all(found <= own for found, own in zip(F.report.ranks, architecture.ranks, strict=True))
    assert np.linalg.norm(F.toarray() - A) <= 1e-9 * np.linalg.norm(A)


def test_max_rank_caps_and_the_report_says_what_was_lost():
    A = np.random.default_rng(1).standard_normal((64, 64))
    F = pp.factorize(A, [8, 8], tol=1e-3, max_rank=3)
    assert F.report.ranks == (3,)
    assert F.report.meets_tolerance is False
    assert "NOT met, with ranks of at most 3" in str(F.report)
    same = pp.factorize(A, Architecture.monarch((64, 64), 8, 8, 3))
    assert F.report.relative_error == pytest.approx(same.report.relative_error, rel=1e-12)


def test_radices_stand_for_their_mixed_radix_architecture():
    A = smooth(60)[:, :48]
    F = pp.factorize(A, ([3, 4, 5], [2, 4, 6]), tol=1e-4)
    assert F.architecture.with_ranks(1) == Architecture.mixed_radix([3, 4, 5], [2, 4, 6])
    assert pp.factorize(smooth(60), [3, 4, 5]).architecture == Architecture.mixed_radix([3, 4, 5])


@pytest.mark.parametrize("max_rank", [None, 2])
@pytest.mark.parametrize("noise", [1e-3, 0.3])
@pytest.mark.parametrize("rank", [1, 2])
def test_a_search_finds_the_fewest_entries_whatever_ranks_the_architecture_has(
    rank, noise, max_rank
):
    rng = np.random.default_rng(5)
    own = Architecture.square_dyadic(16).with_ranks([1, rank, 1])
    A = dense(pp.Butterfly(random_factors(rng, own, np.float64))).astype(float)
    A += noise * np.linalg.norm(A) / 16 * rng.standard_normal(A.shape)
    A = A[:, pp.permutations.default_eight(16)["110"]]

    def cost(F):
        error = F.report.relative_error
        return (0, F.nnz) if F.report.reached else (1, error)

    options = {"tol": 1e-2, "max_rank": max_rank}
    for ranks in (1, 2, 8):
        chain = own.with_ranks(ranks)
        F = pp.factorize(A, chain, column_permutation="search", **options)
        each = [
            pp.factorize(A, chain, column_permutation=order, **options)
            for order in pp.permutations.default_eight(16).values()
        ]
        assert cost(F) == pytest.approx(min(map(cost, each)), rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.complex64, np.complex128])
def test_every_dtype(dtype):
    A = smooth(32, dtype)
    F = pp.factorize(A, [4, 2, 4], tol=1e-3)
    assert F.dtype == dtype
    assert np.linalg.norm(F.toarray() - A) <= 1.01e-3 * np.linalg.norm(A)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"tol": 0}, ValueError, "tol is 0.0"),
        ({"tol": -1e-3}, ValueError, "tol is -0.001"),
        ({"tol": float("nan")}, ValueError, "tol is nan"),
        ({"tol": "small"}, TypeError, "tol is 'small'"),
        ({"max_rank": 2}, ValueError, "max_rank needs tol"),
        ({"tol": 1e-3, "max_rank": 0}, ValueError, "max_rank is 0"),
    ],
)
def test_bad_tolerances_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        pp.factorize(np.eye(8), [2, 2, 2], **arguments)


def test_a_matrix_without_entries_outside_of_the_tolerance():
    for A in (np.zeros((16, 16)), np.ones((16, 16))):
        F = pp.factorize(A, [4, 4], tol=1e-6)
        assert F.report.ranks == (1,)
        assert np.allclose(F.toarray(), A)


def test_block_diagonal_products_count_what_lies_outside():
    rng = np.random.default_rng(2)
    arch = Architecture([(2, 4, 4, 4), (8, 4, 4, 1)])
    A = random_array(rng, arch.shape, np.float64) * 1e-3
    A[:16, :16] += np.outer(np.arange(16), np.ones(16))
    F = pp.factorize(A, arch, tol=0.1)
    assert np.linalg.norm(F.toarray() - A) <= 0.1 * np.linalg.norm(A)


def test_the_report_draws_its_tails():
    pytest.importorskip("matplotlib").use("Agg")
    report = pp.factorize(smooth(64), [4, 4, 4], tol=1e-4).report
    ax = report.plot()
    assert [line.get_label() for line in ax.lines] == [
        "split 1",
        "split 2",
        "error",
        "lower bound",
        "tolerance",
    ]
    assert list(ax.lines[0].get_ydata()) == pytest.approx(
        [max(t, 1e-307) for t in report.split_tails[0]], rel=0.1
    )
