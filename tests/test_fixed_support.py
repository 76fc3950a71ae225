"""fixed_support: the facts of docs/supports.md, and the promises of the docstring."""

import itertools
import pickle
import warnings
from functools import reduce

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse
import scipy.sparse.linalg
from hypothesis import given
from hypothesis import strategies as st

import papilio as pp
from papilio import Architecture, fixed_support
from papilio.supports import _pair
from papilio.supports._analysis import as_supports
from strategies import DTYPES, TOLERANCE, chainable, laid_out, random_array
from test_supports import supports

QUICK = {"restarts": 4, "max_sweeps": 200}


@pytest.fixture(autouse=True)
def _divergence_is_no_error():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pp.DivergingFactorsWarning)
        yield


def product(result):
    return reduce(lambda p, q: p @ q, [f.toarray().astype(complex) for f in result.factors])


def true_error(A, result):
    dense = A.toarray() if scipy.sparse.issparse(A) else np.asarray(A)
    return float(np.linalg.norm(dense - product(result)))


def tail(block, rank):
    return float((np.linalg.svd(block, compute_uv=False)[rank:] ** 2).sum())


def assert_consistent(A, result, masks, tolerance=1e-12):
    """Supports respected exactly, errors true, bounds below them."""
    norm = np.linalg.norm(A)
    for factor, mask in zip(result.factors, masks, strict=True):
        assert factor.shape == mask.shape
        assert np.array_equal(factor.toarray() != 0, (factor.toarray() != 0) & (mask != 0))
        assert factor.nnz == np.count_nonzero(mask)
    assert abs(result.error - true_error(A, result)) <= tolerance * norm
    assert result.relative_error == pytest.approx(result.error / norm if norm else 0.0)
    assert result.lower_bound <= result.error + tolerance * norm


def tractable_instance(rng):
    """Disjoint classes on random rectangles of a grid, scrambled; sometimes complete ones over
    them, and entries that no class reaches. Returns masks and the squared sum of the tails."""
    heights, widths = rng.integers(1, 5, 3), rng.integers(1, 5, 3)
    m, n = heights.sum() + 1, widths.sum() + 1
    A = rng.standard_normal((m, n))
    rows, cols = rng.permutation(m), rng.permutation(n)
    row_parts = np.split(rows, np.cumsum(heights))
    col_parts = np.split(cols, np.cumsum(widths))
    left, right, expected = [], [], np.linalg.norm(A) ** 2
    for R, C in itertools.product(row_parts[:3], col_parts[:3]):
        if rng.random() < 0.2:
            continue
        rank = int(rng.integers(1, 4))
        expected -= np.linalg.norm(A[np.ix_(R, C)]) ** 2 - tail(A[np.ix_(R, C)], rank)
        for _ in range(rank):
            left.append(np.isin(np.arange(m), R))
            right.append(np.isin(np.arange(n), C))
    if rng.random() < 0.5:  # a complete class on whole rows: all is free there
        R = row_parts[0]
        keep = [
            not (np.isin(R, np.flatnonzero(column)).all()) for column in left
        ]  # what it covers anyway adds nothing
        expected = 0.0
        free = np.isin(np.arange(m), R)
        used = {}
        for column, row in zip(left, right, strict=True):
            used.setdefault((tuple(column & ~free), tuple(row)), 0)
            used[tuple(column & ~free), tuple(row)] += 1
        covered = np.zeros((m, n), bool)
        covered[free] = True
        for (column, row), rank in used.items():
            covered |= np.outer(column, row)
            if any(column):
                expected += tail(A[np.ix_(np.flatnonzero(column), np.flatnonzero(row))], rank)
        expected += np.linalg.norm(A[~covered]) ** 2
        assert len(keep) == len(left)
        for _ in range(len(R)):
            left.append(free)
            right.append(np.ones(n, bool))
    if not left:
        return tractable_instance(rng)
    order = rng.permutation(len(left))
    return A, np.array(left).T[:, order], np.array(right)[order], expected


@pytest.mark.parametrize("seed", range(10))
def test_500_tractable_instances_are_solved_with_the_sum_of_the_tails(seed):
    rng = np.random.default_rng(seed)
    for _ in range(50):
        A, left, right, expected = tractable_instance(rng)
        result = fixed_support(A, left, right)
        assert result.optimal
        assert result.method == "exact"
        assert abs(result.error**2 - expected) <= 1e-12 * np.linalg.norm(A) ** 2
        assert result.lower_bound == pytest.approx(result.error)
        assert_consistent(A, result, (left, right))


@given(chainable(max_factors=2, max_rank=3), st.sampled_from(DTYPES), st.integers(0, 2**20))
def test_two_factor_architectures_agree_with_factorize(architecture, dtype, seed):
    if len(architecture) != 2:
        return
    A = random_array(np.random.default_rng(seed), architecture.shape, dtype)
    result = fixed_support(A, *architecture)
    F = pp.factorize(A, architecture)
    tolerance = 30 * TOLERANCE[np.dtype(dtype)]
    assert result.X.dtype == result.Y.dtype == dtype
    assert result.optimal
    assert abs(result.relative_error - F.report.relative_error) <= tolerance
    assert np.linalg.norm(product(result) - F.toarray()) <= max(
        tolerance, 1e-6 if dtype in (np.float64, np.complex128) else 1e-2
    ) * np.linalg.norm(A)
    assert_consistent(A, result, [p.support().toarray() for p in architecture], tolerance)


@given(supports(), st.sampled_from(DTYPES), st.integers(0, 2**20))
def test_supports_are_respected_and_errors_true_for_random_supports(masks, dtype, seed):
    left, right = masks
    A = random_array(np.random.default_rng(seed), (left.shape[0], right.shape[1]), dtype)
    result = fixed_support(A, left, right, **QUICK)
    assert result.optimal == result.report.tractable
    # Where factors diverge, rounding them to the dtype of A costs their size times its epsilon.
    size = max(1.0, np.linalg.norm(result.X.toarray()) * np.linalg.norm(result.Y.toarray()))
    tolerance = 100 * TOLERANCE[np.dtype(dtype)] * size / max(np.linalg.norm(A), 1e-30)
    assert_consistent(A, result, masks, max(tolerance, 100 * TOLERANCE[np.dtype(dtype)]))
    assert np.all(np.diff(result.history[:, 1]) <= 0)
    assert np.all(np.diff(result.history[:, 0]) >= 0)


def brute_optimum(A, left, right, starts=12):
    """The best of many quasi-Newton runs on all unknowns; tiny problems only."""
    rng = np.random.default_rng(0)
    size = left.sum()

    def value(z):
        X, Y = np.zeros(left.shape), np.zeros(right.shape)
        X[left], Y[right] = z[:size], z[size:]
        rest = X @ Y - A
        gradient = 2 * np.r_[(rest @ Y.T)[left], (X.T @ rest)[right]]
        return float((rest**2).sum()), gradient

    with pp._core.SingleThreadedBlas():
        return min(
            scipy.optimize.minimize(
                value, rng.standard_normal(size + right.sum()), jac=True, method="L-BFGS-B",
                options={"maxiter": 300},
            ).fun
            for _ in range(starts)
        )  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
def test_tiny_problems_reach_the_brute_force_optimum(seed):
    rng = np.random.default_rng(seed)
    left, right = rng.random((4, 3)) < 0.6, rng.random((3, 4)) < 0.6
    left[0, 0] = right[0, 0] = True
    A = rng.standard_normal((4, 4))
    best = brute_optimum(A, left, right)
    result = fixed_support(A, left, right, restarts=32)
    assert result.error**2 <= best + 1e-6
    assert result.lower_bound**2 <= best + 1e-9
    if result.optimal:
        assert result.error**2 == pytest.approx(best, abs=1e-6)


def test_the_exchange_has_no_lu_factors_and_that_is_told():
    L = np.tril(np.ones((2, 2)))
    with pytest.warns(pp.DivergingFactorsWarning, match="probably not attained"):
        result = fixed_support([[0, 1], [1, 0]], L, L.T)
    assert result.diverging
    assert not result.optimal
    assert result.relative_error < 1e-2
    assert max(abs(result.X.toarray()).max(), abs(result.Y.toarray()).max()) > 10
    assert "diverging" in str(result)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tame = fixed_support([[0, 1], [1, 0]], L, L.T, ridge=0.01)
    assert not tame.diverging
    assert "ridge makes a minimizer exist" in tame.existence


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_lu_of_a_matrix_that_has_one_is_found(dtype):
    A = random_array(np.random.default_rng(3), (12, 12), dtype)
    L = np.tril(np.ones((12, 12)))
    result = fixed_support(A, L, L.T)
    assert result.relative_error < 1e-9
    assert not result.diverging
    assert not result.optimal  # no theorem says so


@pytest.mark.parametrize("seed", range(4))
def test_planted_solutions_are_found(seed):
    rng = np.random.default_rng(seed)
    left, right = rng.random((15, 5)) < 0.6, rng.random((5, 15)) < 0.6
    X, Y = rng.standard_normal(left.shape) * left, rng.standard_normal(right.shape) * right
    result = fixed_support(X @ Y, left, right)
    assert result.relative_error < 1e-6


def test_low_rank_plus_diagonal_is_not_worse_than_its_starts():
    rng = np.random.default_rng(0)
    n = 10
    left = np.hstack([np.ones((n, 2)), np.eye(n)])
    A = rng.standard_normal((n, 2)) @ rng.standard_normal((2, n)) + np.diag(rng.standard_normal(n))
    result = fixed_support(A, left, left.T)
    assert result.relative_error < 1e-5
    with_noise = A + 0.1 * rng.standard_normal((n, n))
    few = fixed_support(with_noise, left, left.T, restarts=0, max_sweeps=1)
    assert fixed_support(with_noise, left, left.T).error <= few.error * (1 + 1e-12)


def test_the_bound_of_a_component_that_is_open_is_below_every_product():
    rng = np.random.default_rng(5)
    # Two classes of rank one that share the middle: each has a corner of its own.
    left = np.array([[1, 0]] * 4 + [[1, 1]] + [[0, 1]] * 4)
    right = left.T
    A = rng.standard_normal((9, 9))
    result = fixed_support(A, left, right)
    corners = tail(A[:4, :4], 1) + tail(A[5:, 5:], 1)
    outside = np.linalg.norm(A[:4, 5:]) ** 2 + np.linalg.norm(A[5:, :4]) ** 2
    assert result.lower_bound**2 >= corners + outside - 1e-12
    assert result.lower_bound <= result.error
    assert not result.optimal
    # Fewer inner indices than rows bound the error by the singular values of A.
    random = rng.random((9, 2)) < 0.8, rng.random((2, 9)) < 0.8
    assert fixed_support(A, *random, **QUICK).lower_bound ** 2 >= tail(A, 2) - 1e-12


# ---------------------------------------------------------------- inputs of all kinds


@given(st.data())
def test_layouts_sparse_and_operators_give_the_same(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**20)))
    dtype = data.draw(st.sampled_from(DTYPES))
    left, right = data.draw(supports())
    if not pp.analyze_supports(left, right).tractable:
        return
    shape = left.shape[0], right.shape[1]
    A = data.draw(laid_out(shape, dtype, rng))
    A[rng.random(shape) < 0.3] = 0
    dense = np.ascontiguousarray(A)
    expected = fixed_support(dense, left, right)
    tolerance = 100 * TOLERANCE[np.dtype(dtype)] * max(np.linalg.norm(dense), 1e-30)
    sparse = scipy.sparse.csc_array(dense)
    for form in (A, sparse, sparse.tocoo(), scipy.sparse.linalg.aslinearoperator(dense)):
        result = fixed_support(form, left, right)
        assert result.X.dtype == dtype
        assert abs(result.error - expected.error) <= tolerance
        assert np.linalg.norm(product(result) - product(expected)) <= 30 * tolerance + 1e-5


def test_open_problems_take_sparse_matrices_and_operators():
    rng = np.random.default_rng(0)
    left, right = rng.random((9, 4)) < 0.5, rng.random((4, 9)) < 0.5
    A = rng.standard_normal((9, 9)) * (rng.random((9, 9)) < 0.5)
    expected = fixed_support(A, left, right, **QUICK)
    for form in (scipy.sparse.csr_array(A), scipy.sparse.linalg.aslinearoperator(A)):
        assert fixed_support(form, left, right, **QUICK).error == pytest.approx(expected.error)


def test_integers_and_bools_are_promoted():
    result = fixed_support(np.eye(4, dtype=bool), np.eye(4), np.eye(4, dtype=np.int8))
    assert result.X.dtype == np.float64
    assert result.error == 0


@pytest.mark.parametrize("power", [-300, -150, 150, 300])
def test_sizes_near_the_ends_of_the_range_neither_overflow_nor_vanish(power):
    rng = np.random.default_rng(0)
    A = rng.standard_normal((6, 6))
    for masks in (
        (np.ones((6, 2)), np.ones((2, 6))),
        (np.tril(np.ones((6, 6))) - np.eye(6), np.triu(np.ones((6, 6)))),
    ):
        plain = fixed_support(A, *masks, **QUICK)
        scaled = fixed_support(A * 10.0**power, *masks, **QUICK)
        assert scaled.relative_error == pytest.approx(plain.relative_error, rel=1e-3)
        assert np.isfinite(scaled.X.data).all()


def test_a_zero_matrix_and_a_product_that_is_always_zero():
    result = fixed_support(np.zeros((3, 3)), np.ones((3, 1)), np.ones((1, 3)))
    assert (result.error, result.relative_error, result.optimal) == (0.0, 0.0, True)
    result = fixed_support(np.ones((1, 1)), [[1, 0]], [[0], [1]])
    assert (result.error, result.lower_bound, result.optimal) == (1.0, 1.0, True)
    L = np.tril(np.ones((3, 3)))
    assert fixed_support(np.zeros((3, 3)), L, L.T).error == 0


def test_all_zero_rows_and_columns_of_supports_are_allowed():
    rng = np.random.default_rng(0)
    left, right = rng.random((8, 4)) < 0.5, rng.random((4, 8)) < 0.5
    left[2] = right[:, 3] = False
    A = rng.standard_normal((8, 8))
    result = fixed_support(A, left, right, **QUICK)
    assert not product(result)[2].any()
    assert not product(result)[:, 3].any()
    assert_consistent(A, result, (left, right))


@pytest.mark.parametrize("method", ["auto", "local"])
def test_results_are_the_same_bits_for_any_number_of_threads(threads, method):
    rng = np.random.default_rng(0)
    A = rng.standard_normal((120, 110))
    problems = [[m.support() for m in Architecture.monarch((120, 110), 10, 11)]]
    problems.append([rng.random((120, 12)) < 0.3, rng.random((12, 110)) < 0.3])
    for masks in problems:
        found = []
        for count in (1, 2, 4):
            threads(count)
            found.append(fixed_support(A, *masks, method=method, restarts=2, max_sweeps=20))
        for other in found[1:]:
            assert np.array_equal(found[0].X.data, other.X.data)
            assert np.array_equal(found[0].Y.data, other.Y.data)
            assert found[0].error == other.error


def test_seeds_reproduce_and_results_are_pickled():
    rng = np.random.default_rng(0)
    A, left, right = rng.standard_normal((9, 9)), rng.random((9, 4)) < 0.5, rng.random((4, 9)) < 0.5
    first, second = (fixed_support(A, left, right, seed=7, **QUICK) for _ in range(2))
    assert np.array_equal(first.X.data, second.X.data)
    again = pickle.loads(pickle.dumps(first))
    assert again.error == first.error
    assert (again.X != first.X).nnz == 0


def test_the_local_solver_reaches_the_exact_optimum_of_one_class():
    A = np.random.default_rng(0).standard_normal((12, 10))
    masks = np.ones((12, 3)), np.ones((3, 10))
    exact, local = fixed_support(A, *masks), fixed_support(A, *masks, method="local")
    assert local.error == pytest.approx(exact.error, rel=1e-9)
    assert exact.optimal
    assert not local.optimal


@pytest.mark.parametrize("rank", [4, 6, 9])
def test_a_ridge_shrinks_singular_values_where_classes_are_disjoint(rank):
    A = np.random.default_rng(0).standard_normal((7, 6))
    masks = np.ones((7, rank)), np.ones((rank, 6))
    sigma = np.linalg.svd(A, compute_uv=False)
    mu = float(sigma[2])
    result = fixed_support(A, *masks, ridge=mu)
    kept = np.maximum(sigma[:rank] - mu, 0)
    assert result.optimal
    found = np.linalg.svd(product(result), compute_uv=False)[:rank]
    assert found == pytest.approx(kept, abs=1e-10)
    assert_consistent(A, result, masks)
    penalty = mu * (
        np.linalg.norm(result.X.toarray()) ** 2 + np.linalg.norm(result.Y.toarray()) ** 2
    )
    local = fixed_support(A, *masks, ridge=mu, method="local")
    X, Y = local.X.toarray(), local.Y.toarray()
    objective = np.linalg.norm(A - X @ Y) ** 2 + mu * (
        np.linalg.norm(X) ** 2 + np.linalg.norm(Y) ** 2
    )
    assert objective == pytest.approx(result.error**2 + penalty, rel=1e-6)


def test_the_gradient_is_the_difference_quotient():
    rng = np.random.default_rng(0)
    left, right = rng.random((6, 4)) < 0.7, rng.random((4, 5)) < 0.7
    csc, csr = as_supports(left, right)
    union = scipy.sparse.csr_array(csc.astype(int) @ csr.astype(int))
    union.sort_indices()
    sets = [
        array
        for m in (csc, csr, union)
        for array in (m.indptr.astype(np.int64), m.indices.astype(np.int32))
    ]
    for make, dtype in (
        (pp._core.AlternatingReal, np.float64),
        (pp._core.AlternatingComplex, np.complex128),
    ):
        values = random_array(rng, union.nnz, dtype)
        solver = make(6, 5, *sets, values)
        z = random_array(rng, csc.nnz + csr.nnz, dtype)
        ends = csc.nnz

        def value(z, solver=solver, ends=ends, dtype=dtype):
            gx, gy = np.zeros(ends, dtype), np.zeros(len(z) - ends, dtype)
            return solver.gradient(z[:ends].copy(), z[ends:].copy(), 0.3, gx, gy), np.r_[gx, gy]

        _, gradient = value(z)
        for direction in (random_array(rng, len(z), dtype) for _ in range(3)):
            step = 1e-6 * direction
            quotient = (value(z + step)[0] - value(z - step)[0]) / 2e-6
            assert quotient == pytest.approx(np.vdot(gradient, direction).real, rel=1e-6)


def test_sweeps_never_raise_the_objective():
    rng = np.random.default_rng(1)
    left, right = rng.random((20, 6)) < 0.5, rng.random((6, 20)) < 0.5
    result = fixed_support(rng.standard_normal((20, 20)), left, right, restarts=0)
    assert np.all(np.diff(result.history[:, 1]) <= 0)
    assert result.iterations > 0


# ---------------------------------------------------------------- chains


def test_chains_of_a_butterfly_go_to_factorize():
    A = np.random.default_rng(0).standard_normal((16, 16))
    architecture = Architecture.square_dyadic(16)
    result = fixed_support(A, [p.support() for p in architecture])
    F = pp.factorize(A, architecture)
    assert result.method == "hierarchical"
    assert np.allclose(product(result), F.toarray())
    assert result.relative_error == pytest.approx(F.report.relative_error)
    assert result.lower_bound == pytest.approx(F.report.lower_bound * np.linalg.norm(A))
    assert not result.optimal
    assert fixed_support(product(result).real, list(architecture)).optimal


def test_a_butterfly_in_disguise_is_recovered_by_exact_cuts():
    rng = np.random.default_rng(0)
    masks = [p.support() for p in Architecture.square_dyadic(16)]
    scramble = rng.permutation(16)
    masks[1], masks[2] = masks[1][:, scramble], masks[2][scramble]
    factors = [m.astype(float) for m in masks]
    for factor in factors:
        factor.data = rng.standard_normal(factor.nnz)
    A = reduce(lambda p, q: p @ q, factors).toarray()
    result = fixed_support(A, masks)
    assert result.method == "hierarchical"
    assert result.relative_error < 1e-12
    noisy = A + 0.01 * rng.standard_normal(A.shape)
    result = fixed_support(noisy, masks, restarts=0, max_sweeps=20)
    assert result.lower_bound <= result.error <= 0.01 * np.sqrt(256) * 1.1
    assert_consistent(noisy, result, [m.toarray() for m in masks], 1e-10)


@pytest.mark.parametrize("dtype", DTYPES)
def test_any_chain_is_improved_from_its_starts(dtype):
    rng = np.random.default_rng(2)
    masks = [rng.random(s) < 0.6 for s in ((7, 5), (5, 6), (6, 8))]
    A = random_array(rng, (7, 8), dtype)
    result = fixed_support(A, masks, restarts=2, max_sweeps=20)
    tolerance = 1e-3 if dtype in (np.float32, np.complex64) else 1e-9
    assert_consistent(A, result, masks, tolerance)
    assert result.error < np.linalg.norm(A)
    assert not result.optimal
    assert result.X.dtype == dtype


def test_two_supports_in_a_sequence_are_a_pair():
    A = np.random.default_rng(0).standard_normal((4, 4))
    assert fixed_support(A, [np.ones((4, 1)), np.ones((1, 4))]).optimal


# ---------------------------------------------------------------- bad input, progress


def test_bad_arguments_are_named():
    A, ones = np.ones((3, 3)), (np.ones((3, 2)), np.ones((2, 3)))
    L = np.tril(np.ones((3, 3)))
    for call, error, message in [
        (lambda: fixed_support(np.ones((2, 3)), *ones), ValueError, r"A has shape \(2, 3\)"),
        (lambda: fixed_support(np.ones(3), *ones), ValueError, "A has 1 axes"),
        (lambda: fixed_support(A, np.zeros((3, 2)), ones[1]), ValueError, "left has no entry"),
        (lambda: fixed_support(A, ones[0]), TypeError, "right is missing"),
        (lambda: fixed_support(A, [ones[0]]), ValueError, "left has 1 supports"),
        (lambda: fixed_support(A, *ones, method="best"), ValueError, "method is 'best'"),
        (lambda: fixed_support(A, *ones, ridge=-1), ValueError, "ridge is -1"),
        (lambda: fixed_support(A, *ones, ridge=np.nan), ValueError, "ridge is nan"),
        (lambda: fixed_support(A, *ones, tolerance="x"), ValueError, "tolerance is 'x'"),
        (lambda: fixed_support(A, *ones, restarts=-1), ValueError, "restarts is -1"),
        (lambda: fixed_support(A, *ones, max_sweeps=0), ValueError, "max_sweeps is 0"),
        (lambda: fixed_support(A, *ones, max_sweeps=1.5), TypeError, "max_sweeps is 1.5"),
        (lambda: fixed_support(np.array([["a"] * 3] * 3), *ones), TypeError, "A has dtype"),
        (lambda: fixed_support(A, L, L.T, method="exact"), ValueError, "no exact method"),
        (lambda: fixed_support(A, [ones[0], ones[0], ones[1]]), ValueError, r"left\[0\] has 2 col"),
        (lambda: fixed_support(A, [A, A, A], ridge=1.0), ValueError, "ridge is for two factors"),
        (lambda: fixed_support(A, [A, A, A], method="exact"), ValueError, "two factors only"),
    ]:
        with pytest.raises(error, match=message):
            call()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_first_entry_that_is_not_finite_is_named(bad):
    A = np.ones((3, 3))
    A[1, 2] = bad
    name = "nan" if np.isnan(bad) else "inf"
    ones = np.ones((3, 2)), np.ones((2, 3))
    for form in (A, scipy.sparse.csr_array(A), A.astype(complex)):
        with pytest.raises(ValueError, match=f"A has {name} at row 1, column 2"):
            fixed_support(form, *ones)
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="A has nan at row 1|A has inf"):
        fixed_support(scipy.sparse.linalg.aslinearoperator(A), *ones)


def test_progress_is_told_and_what_it_raises_comes_through():
    rng = np.random.default_rng(0)
    L = np.tril(np.ones((6, 6)))
    A = rng.standard_normal((6, 6))
    A[0, 0] = 0
    for masks in ([L, L.T], [np.ones((6, 1)), np.ones((1, 6))], [np.tril(L)] * 3):
        told = []
        fixed_support(A, list(masks), progress=told.append, **QUICK)
        assert told[-1] == 1
        assert all(0 <= fraction <= 1 for fraction in told)

        def stop(fraction):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fixed_support(A, list(masks), progress=stop, **QUICK)


# ---------------------------------------------------------------- certificates


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
@pytest.mark.parametrize("kind", ["pair", "chain", "butterfly"])
def test_the_error_is_that_of_the_factors_in_their_own_precision(dtype, kind):
    rng = np.random.default_rng(0)
    masks = {
        "pair": [np.tril(np.ones((5, 5))), np.triu(np.ones((5, 5)))],
        "chain": [np.tril(np.ones((5, 5)))] * 3,
        "butterfly": [p.support().toarray() for p in Architecture.square_dyadic(8)],
    }[kind]
    A = reduce(np.matmul, [rng.standard_normal(mask.shape) * mask for mask in masks])
    A = A.astype(dtype)
    result = fixed_support(A, masks, **QUICK)
    true = np.linalg.norm(A.astype(complex) - product(result))
    assert abs(result.error - true) <= 1e-13 * np.linalg.norm(A)
    assert true > 1e-12 * np.linalg.norm(A)  # what rounding the factors costs
    assert result.lower_bound <= result.error


@pytest.mark.parametrize(("dtype", "small"), [("float64", 2.0**-600), ("float32", 2.0**-100)])
def test_a_small_block_is_fitted_and_counts_where_a_large_one_is_exact(dtype, small):
    rng = np.random.default_rng(1)
    block = rng.integers(1, 9, (3, 3))
    A = np.zeros((4, 4))
    A[0, 0] = 1
    A[1:, 1:] = block * small
    left = np.array([[1, 0], [0, 1], [0, 1], [0, 1]])
    result = fixed_support(A.astype(dtype), left, left.T)
    wanted = np.sqrt(tail(block, 1)) * small
    assert result.error == pytest.approx(wanted, rel=1e-5, abs=0)
    assert result.lower_bound == pytest.approx(wanted, rel=1e-5, abs=0)
    alone = fixed_support(A.astype(dtype), left[:, :1], left.T[:1])
    assert alone.error == pytest.approx(np.linalg.norm(block) * small, rel=1e-6, abs=0)


def test_operators_whose_mass_lies_outside_of_the_supports():
    A = np.diag([1e-200, 1e200, 3e200])
    kept = A.copy()
    operator = scipy.sparse.linalg.LinearOperator(
        A.shape, matvec=lambda x: A @ x, matmat=lambda X: A if X.shape == A.shape else A @ X
    )
    corner = np.zeros((3, 1))
    corner[0] = 1
    result = fixed_support(operator, corner, corner.T)
    assert np.array_equal(A, kept)  # the operator's own memory
    assert result.error == pytest.approx(np.sqrt(10) * 1e200, rel=1e-12)
    assert result.relative_error == 1
    for wrong, error in ((A[:2], ValueError), (1j * A, TypeError)):
        operator = scipy.sparse.linalg.LinearOperator(
            (3, 3), matvec=None, matmat=lambda X, wrong=wrong: wrong, dtype=float
        )
        with pytest.raises(error, match="A @ identity has"):
            fixed_support(operator, corner, corner.T)


def test_complex_numbers_whose_modulus_overflows_are_finite():
    A = np.full((2, 2), 1.5e308 * (1 + 1j))
    result = fixed_support(A, np.ones((2, 1)), np.ones((1, 2)))
    assert result.relative_error < 1e-15


@pytest.mark.parametrize("seed", ["x", -1, 1.5, True])
def test_bad_seeds_are_named(seed):
    with pytest.raises((TypeError, ValueError), match="seed is"):
        fixed_support(np.ones((2, 2)), np.ones((2, 1)), np.ones((1, 2)), seed=seed)
    with pytest.raises((TypeError, ValueError), match="restarts is"):
        fixed_support(np.ones((2, 2)), np.ones((2, 1)), np.ones((1, 2)), restarts=False)


@pytest.mark.parametrize("dtype", ["complex64", "float64"])
def test_terms_so_large_that_all_is_rounding_are_no_fit(dtype):
    # Elimination with a pivot of 1e-94 leaves nothing in double precision: the terms cancel.
    A = np.zeros((4, 4), complex)
    A[0, :2] = -0.49586806 + 0.06349898j, -0.08502433 - 0.13499133j
    A[1, 2] = -0.46032348 + 1.360188j
    A[2, [0, 3]] = -1.3445165 - 0.5401897j, -0.77919227 + 1.4924972j
    A = A.astype(dtype) if dtype == "complex64" else np.abs(A).astype(dtype)
    triangle = np.tril(np.ones((4, 4), bool))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the factors diverge", UserWarning)
        found = pp.fixed_support(A, triangle, triangle.T, restarts=2, max_sweeps=100)
    product = found.factors[0].toarray().astype(complex) @ found.factors[1].toarray()
    assert np.linalg.norm(A - product) <= 0.1 * np.linalg.norm(A)
    terms = [np.linalg.norm(f.data.astype(complex)) for f in found.factors]
    assert np.prod(terms) * np.finfo(float).eps <= np.linalg.norm(A)


@pytest.mark.parametrize("pattern", ["cycle", "two diagonals", "band", "two of each column"])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_exact_solutions_keep_their_digits_on_large_banded_supports(pattern, dtype):
    # Gaussian values on such patterns have conditions that grow like powers of their size.
    rng = np.random.default_rng(0)
    n = 300
    one = np.eye(n)
    right = {
        "cycle": one + np.roll(one, 1, 1),
        "two diagonals": one + np.diag(np.ones(n - 1), 1),
        "band": sum(np.roll(one, k, 1) for k in range(4)),
        "two of each column": one + one[rng.permutation(n)],
    }[pattern]
    A = random_array(rng, (3, n), dtype)
    left = np.ones((3, n))
    for F in (pp.fixed_support(A, left, right), pp.fixed_support(A, [left, one, right])):
        assert F.optimal and F.method == "exact"
        assert F.relative_error < 1e-13


def test_chains_say_where_systems_had_no_digits_left(monkeypatch):
    monkeypatch.setattr(_pair, "_FILLED", -1.0)
    A, left, right = np.ones((3, 4)), np.ones((3, 4)), np.eye(4) + np.roll(np.eye(4), 1, 1)
    assert not pp.fixed_support(A, left, right).optimal
    assert not pp.fixed_support(A, [left, np.eye(4), right]).optimal
