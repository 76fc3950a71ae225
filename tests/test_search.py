"""best_architecture: the cheapest chain that meets a tolerance or a budget, and its table."""

import numpy as np
import pytest
import scipy.linalg

from papilio import Architecture, best_architecture


def test_known_transforms_get_their_cheapest_chains():
    search = best_architecture(scipy.linalg.hadamard(64), tol=1e-10)
    assert search.butterfly.nnz == 2 * 64 * 6  # radix 2 and 4 cost the same
    assert np.allclose(search.butterfly.toarray(), scipy.linalg.hadamard(64))
    D = np.fft.fft(np.eye(64))
    search = best_architecture(D, tol=1e-10)
    assert search.butterfly.nnz == 2 * 64 * 6
    assert search.butterfly.report.column_permutation == "001"
    assert np.allclose(search.butterfly.toarray(), D)
    without = best_architecture(D, tol=1e-10, permutations=False)
    assert without.butterfly.nnz > search.butterfly.nnz
    assert without.meets_tolerance


def test_low_rank_and_random_matrices_get_what_suits_them():
    rng = np.random.default_rng(0)
    A = rng.standard_normal((48, 2)) @ rng.standard_normal((2, 36))
    search = best_architecture(A, tol=1e-10)
    assert search.architecture == Architecture.low_rank((48, 36), 2)
    A = rng.standard_normal((30, 30))
    assert best_architecture(A, tol=1e-10).architecture == Architecture.dense((30, 30))


def test_the_winner_is_the_cheapest_of_the_table_that_meets_the_tolerance():
    x = np.arange(60) / 60
    A = np.exp(-5 * np.abs(x[:, None] - x[None, :48] - 1.2))
    A = A * np.cos(7 * x[:, None] * x[None, :48])
    search = best_architecture(A, tol=1e-5)
    good = [trial.nnz for trial in search.trials if trial.relative_error <= 1e-5]
    assert search.butterfly.nnz == min(good)
    error = np.linalg.norm(search.butterfly.toarray() - A) / np.linalg.norm(A)
    assert error <= 1e-5
    assert len(search.trials) > 10
    assert all(trial.architecture.shape == A.shape for trial in search.trials)
    assert str(search).count("\n") == len(search.trials) + 1


def test_budgets():
    A = np.random.default_rng(1).standard_normal((32, 32))
    search = best_architecture(A, budget=600)
    assert search.meets_budget
    assert search.butterfly.nnz <= 600
    assert search.butterfly.report.relative_error == min(t.relative_error for t in search.trials)
    both = best_architecture(A, tol=1e-10, budget=600)
    assert both.meets_tolerance
    assert not both.meets_budget
    assert "budget NOT met" in str(both)


def test_sizes_that_are_prime_or_one():
    for shape in ((7, 11), (1, 5), (13, 1)):
        A = np.ones(shape)
        search = best_architecture(A, tol=1e-10)
        assert np.allclose(search.butterfly.toarray(), A)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "tol and budget are None"),
        ({"tol": -1}, ValueError, "tol is -1"),
        ({"budget": 0}, ValueError, "budget is 0"),
        ({"budget": 3}, ValueError, "budget is 3, but no chain"),
    ],
)
def test_bad_requests_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        best_architecture(np.eye(8), **arguments)


def test_progress_is_told():
    seen = []
    best_architecture(np.eye(8), tol=1e-3, progress=seen.append)
    assert seen[0] == 0
    assert seen[-1] == 1
