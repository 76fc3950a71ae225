"""factorize in weighted norms: what the report says of L (A - F) R, zeros, what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import papilio as pp
from papilio import Architecture, factorize
from reference import dense, dense_factor, extended, split_error, two_factor_error
from strategies import DTYPES, chainable, dtypes, random_array, random_factors

KINDS = ["none", "diagonal", "zeros", "blocks"]


def weights_of(rng, kind, size, shape, dtype):
    """Weights as a user gives them and, for the product's order, as a matrix."""
    if kind == "none":
        return None
    if kind == "blocks":
        count, s = shape
        blocks = random_array(rng, (count, s, s), dtype) + 3 * np.sqrt(s) * np.eye(s)
        return blocks.astype(np.complex128 if np.dtype(dtype).kind == "c" else np.float64)
    weights = 10.0 ** rng.uniform(-2, 1, size)
    if kind == "zeros":
        weights[rng.random(size) < 0.3] = 0
        weights[rng.integers(size)] = 1
    return weights


def matrix_of(weights, size, pattern, order):
    """The weights as a matrix that multiplies rows (columns) of A, in extended precision."""
    if weights is None:
        return np.eye(size, dtype=np.longdouble)
    if weights.ndim == 1:
        return np.diag(weights.astype(np.longdouble))
    a, s, d = pattern
    values = weights.reshape(a, d, s, s).transpose(0, 2, 3, 1)
    L = dense_factor((a, s, s, d), values.astype(extended(values.dtype)))
    return L if order is None else L[np.ix_(order, order)]


def norm(A):
    return float(np.linalg.norm(A.astype(np.complex128)))


def case(seed, arch, dtype, row, column, permuted):
    rng = np.random.default_rng(seed)
    m, n = arch.shape
    first, last = arch[0], arch[-1]
    orders = (rng.permutation(m), rng.permutation(n)) if permuted else (None, None)
    own = weights_of(rng, row, m, (first.a * first.d, first.b), dtype)
    others = weights_of(rng, column, n, (last.a * last.d, last.c), dtype)
    L = matrix_of(own, m, (first.a, first.b, first.d), orders[0])
    R = matrix_of(others, n, (last.a, last.c, last.d), orders[1])
    arguments = {
        "row_weights": own,
        "column_weights": others,
        "row_permutation": orders[0],
        "column_permutation": orders[1],
    }
    return rng, L, R, arguments


def in_product_order(A, F):
    A = A if F.row_permutation is None else A[np.argsort(F.row_permutation)]
    return A if F.column_permutation is None else A[:, np.argsort(F.column_permutation)]


@settings(max_examples=40)
@given(
    chainable(max_factors=3),
    dtypes,
    st.sampled_from(KINDS),
    st.sampled_from(KINDS),
    st.booleans(),
    st.sampled_from(["auto", "balanced", "right_to_left"]),
    st.integers(0, 2**32 - 1),
)
def test_every_figure_is_that_of_the_weighted_norm(arch, dtype, row, column, permuted, order, seed):
    rng, L, R, arguments = case(seed, arch, dtype, row, column, permuted)
    A = random_array(rng, arch.shape, dtype)
    F = factorize(A, arch, order=order, **arguments)
    report, wide = F.report, A.astype(extended(A.dtype))
    eps = 3e-4 if np.dtype(dtype).itemsize < 8 or dtype == np.complex64 else 1e-12
    whole = L @ wide @ R
    true = norm(L @ (wide - dense(F)) @ R) / norm(whole) if norm(whole) else 0.0
    assert F.architecture == arch and F.dtype == dtype
    assert abs(report.relative_error - true) <= eps
    assert abs(report.norm / norm(whole) - 1) <= eps if norm(whole) else report.norm == 0
    if row == column == "none":
        assert report.weights is None and report.unweighted_error is None
    else:
        unweighted = norm(wide - dense(F)) / norm(wide)
        assert abs(report.unweighted_error - unweighted) <= eps * max(1, unweighted)
        turned = F.T.report
        assert ("rows" in report.weights) == (row != "none") == ("columns" in turned.weights)
    # Any butterfly whatever bounds the distance from above; the splits bound it from below.
    assert report.lower_bound <= true + eps
    other = dense(
        factorize(
            A,
            arch,
            row_permutation=arguments["row_permutation"],
            column_permutation=arguments["column_permutation"],
        )
    )
    assert report.lower_bound * norm(whole) <= norm(L @ (wide - other) @ R) + eps * norm(whole)
    seen = in_product_order(whole.astype(np.complex128), F)
    cuts = [split_error(seen, arch, s) / max(norm(whole), 1e-300) for s in range(1, len(arch))]
    if cuts:
        assert report.lower_bound <= max(cuts) + eps
        proved = sum(cuts) if order == "balanced" else float(np.linalg.norm(cuts))
        assert true <= proved + eps


@settings(max_examples=20)
@given(
    chainable(max_factors=3),
    st.sampled_from(KINDS),
    st.sampled_from(KINDS),
    st.integers(0, 2**32 - 1),
)
def test_butterflies_are_found_under_any_weights(arch, row, column, seed):
    rng, L, R, arguments = case(seed, arch, np.float64, row, column, False)
    A = dense(pp.Butterfly(random_factors(rng, arch, np.float64))).astype(float)
    F = factorize(A, arch, **arguments)
    assert F.report.relative_error < 1e-12
    rows, columns = np.diag(L) > 0, np.diag(R) > 0
    expected = A * rows[:, None] * columns
    assert norm(dense(F) - expected) <= 1e-9 * max(norm(A), 1e-300)


@pytest.mark.parametrize("dtype", DTYPES)
def test_two_factors_are_optimal(dtype):
    arch = Architecture.monarch((12, 20), 4, 5, 2)
    rng, L, R, arguments = case(5, arch, dtype, "blocks", "blocks", True)
    A = random_array(rng, arch.shape, dtype)
    F = factorize(A, arch, **arguments)
    seen = in_product_order((L @ A @ R).astype(np.complex128), F)
    best = two_factor_error(seen, arch[0], arch[1])
    assert abs(F.report.relative_error * norm(seen) - best) <= 1e-5 * best


def test_low_rank_is_the_whitened_svd():
    rng = np.random.default_rng(2)
    A = rng.standard_normal((8, 10))
    X = rng.standard_normal((10, 40)) * np.geomspace(1, 30, 10)[:, None]
    root = np.linalg.cholesky(X @ X.T)
    F = factorize(A, Architecture.low_rank((8, 10), 3), column_weights=root[None])
    sigma = np.linalg.svd(A @ X, compute_uv=False)
    best = np.linalg.norm(sigma[3:])
    assert abs(np.linalg.norm((A - F.toarray()) @ X) / best - 1) < 1e-10
    plain = factorize(A, Architecture.low_rank((8, 10), 3)).toarray()
    assert np.linalg.norm((A - plain) @ X) > 1.05 * best


def test_rows_of_weight_zero_do_not_count():
    rng = np.random.default_rng(3)
    arch = Architecture.square_dyadic(16)
    A = dense(pp.Butterfly(random_factors(rng, arch, np.float64))).astype(float)
    spoiled = A.copy()
    spoiled[[2, 7]] = 1e6 * rng.standard_normal((2, 16))
    weights = np.ones(16)
    weights[[2, 7]] = 0
    F = factorize(spoiled, arch, row_weights=weights)
    assert F.report.relative_error < 1e-13
    kept = np.delete(np.arange(16), [2, 7])
    assert np.allclose(F.toarray()[kept], A[kept]) and not F.toarray()[[2, 7]].any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("power", [-1, 1])
def test_any_scale_of_matrix_and_weights(dtype, power):
    arch = Architecture.mixed_radix([2, 4, 2])
    rng = np.random.default_rng(4)
    A = rng.standard_normal((16, 16)).astype(dtype)
    large = float(np.finfo(dtype).max) ** 0.9
    weights = 10.0 ** rng.uniform(0, 4, 16)
    F = factorize(A, arch, row_weights=weights)
    G = factorize((A * large**power).astype(dtype), arch, row_weights=weights * 1e200**power)
    tolerance = 1e-4 if dtype == np.float32 else 1e-12
    assert abs(F.report.relative_error - G.report.relative_error) < tolerance
    assert np.allclose(F.toarray(), G.toarray() / large**power, rtol=10 * tolerance, atol=tolerance)


def test_tolerance_is_that_of_the_weighted_norm():
    x = np.linspace(0, 1, 64)
    A = np.cos(200 * np.outer(x, x))
    weights = np.where(x < 0.5, 1.0, 1e-3)
    arch = Architecture.mixed_radix([8, 8])
    F = factorize(A, arch, tol=0.03, row_weights=weights)
    plain = factorize(A, arch, tol=0.03)
    error = np.linalg.norm(weights[:, None] * (A - F.toarray()))
    assert F.report.reached and error <= 0.03 * np.linalg.norm(weights[:, None] * A) * (1 + 1e-12)
    assert F.nnz < plain.nnz
    assert "norms             weighted by rows" in str(F.report)
    assert "unweighted error" in str(F.report)


def test_diagonals_go_with_a_search_and_blocks_do_not():
    A = np.fft.fft(np.eye(16))
    weights = np.arange(1.0, 17)
    arch = Architecture.square_dyadic(16)
    F = factorize(A, arch, column_permutation="search", column_weights=weights)
    assert F.report.relative_error < 1e-13 and np.allclose(F.toarray(), A)
    with pytest.raises(ValueError, match="search"):
        factorize(
            A, arch, column_permutation="search", column_weights=np.tile(np.eye(2), (8, 1, 1))
        )


def refused(match, error=ValueError, dtype=np.float64, **weights):
    A = np.ones((8, 12), dtype)
    with pytest.raises(error, match=match):
        factorize(A, Architecture.monarch((8, 12), 4, 3), **weights)


def test_what_cannot_be_certified_is_refused():
    eye = np.tile(np.eye(4), (2, 1, 1))
    rotten = eye.copy()
    rotten[1, 3, 3] = 1e-10
    refused(r"row_weights has blocks of condition 1.0e\+10", row_weights=rotten)
    rotten[1, 3, 3] = 0
    refused(r"row_weights\[1\] is singular: add a multiple", row_weights=rotten)
    rotten[1] = np.eye(4) * 1e-90
    refused("row_weights has a range of 1.0e", row_weights=rotten)
    refused("range", row_weights=np.geomspace(1e-90, 1, 8))
    refused("condition", dtype=np.float32, row_weights=eye * [1, 1, 1, 1e-4])
    # Both ends together.
    halves = np.tile(np.diag([1, 1, 1, 1e-5]), (3, 1, 1))
    refused("both ends", row_weights=eye * [1, 1, 1, 1e-5], column_weights=halves)
    A = np.ones((8, 12))
    F = factorize(A, Architecture.monarch((8, 12), 4, 3), column_weights=halves)
    assert F.report.relative_error < 1e-9


def test_arguments_are_named():
    refused(
        r"row_weights has shape \(3,\), expected \(8,\), one number each, or \(2, 4, 4\)",
        row_weights=np.ones(3),
    )
    refused("column_weights has shape", column_weights=np.ones((3, 3, 3)))
    refused("row_weights has negative entries", row_weights=-np.ones(8))
    refused("row_weights is zero everywhere", row_weights=np.zeros(8))
    refused("NaN or infinite", row_weights=np.full(8, np.inf))
    refused("row_weights has dtype complex128", TypeError, row_weights=np.ones(8) + 1j)
    refused("row_weights", TypeError, row_weights=["a"] * 8)
    A = np.ones((8, 12))
    A[2, 3] = -np.inf
    with pytest.raises(ValueError, match="A has inf at row 2, column 3, expected finite numbers"):
        factorize(A, Architecture.monarch((8, 12), 4, 3), row_weights=np.ones(8))


def test_results_that_do_not_fit_the_dtype_are_said():
    # The largest number, weighted, rounded up, and divided by the weight again.
    A = np.full((1, 1), np.finfo(np.float32).max)
    with pytest.raises(OverflowError, match="divided by the weights"):
        for weight in np.linspace(0.5, 0.51, 50):
            factorize(A, Architecture.dense((1, 1)), row_weights=[weight])
