"""fit: losses, bounds, starts, held-out samples, scales, and what is refused."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import papilio as pp
from papilio import Architecture, fit
from reference import dense
from strategies import DTYPES, chainable, dtypes, random_array, random_factors


def planted(seed, arch, samples, dtype=np.float64, noise=0.0):
    rng = np.random.default_rng(seed)
    T = dense(pp.Butterfly(random_factors(rng, arch, dtype))).astype(dtype)
    X = random_array(rng, (arch.shape[1], samples), dtype)
    Y = T @ X
    E = random_array(rng, Y.shape, dtype)
    return T, X, (Y + noise * np.linalg.norm(Y) / np.linalg.norm(E) * E).astype(dtype)


def loss(F, X, Y, ridge=0.0, weights=None):
    rest = (Y - F @ X).astype(complex)
    weights = np.ones(X.shape[1]) if weights is None else weights
    return float(np.sum(weights * abs(rest) ** 2) + ridge * np.linalg.norm(F) ** 2)


def best_dense(X, Y, ridge=0.0, weights=None):
    """Least squares by the singular values of everything in one matrix."""
    roots = np.sqrt(np.ones(X.shape[1]) if weights is None else weights)
    n = len(X)
    A = np.concatenate([X * roots, np.sqrt(ridge) * np.eye(n)], axis=1)
    B = np.concatenate([Y * roots, np.zeros((len(Y), n))], axis=1)
    return np.linalg.lstsq(A.T, B.T, rcond=None)[0].T


@settings(max_examples=7)
@given(
    chainable(max_factors=3),
    dtypes,
    st.integers(1, 40),
    st.sampled_from([0.0, 0.3]),
    st.booleans(),
    st.sampled_from(["factorize", "random"]),
    st.integers(0, 2**32 - 1),
)
def test_the_report_tells_the_loss_and_bounds_it(
    arch, dtype, samples, ridge, weighted, start, seed
):
    _, X, Y = planted(seed, arch, samples, dtype, noise=0.1)
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0, 2, samples) if weighted else None
    F = fit(X, Y, arch, ridge=ridge, sample_weights=weights, start=start, max_iterations=15)
    report, wide = F.report, dense(F).astype(complex)
    single = np.dtype(dtype) in (np.float32, np.complex64)
    size = loss(np.zeros_like(wide), X, Y, 0, weights)
    room = (1e-5 if single else 1e-11) * size
    true = loss(wide, X, Y, ridge, weights)
    assert F.dtype == dtype and F.architecture == arch
    assert abs(report.loss - true) <= room
    if size:
        error = np.sqrt(loss(wide, X, Y, 0, weights) / size)
        assert abs(report.relative_error - error) <= (1e-3 if single else 1e-6)
    A = best_dense(X, Y, ridge, weights)
    assert abs(report.dense_loss - loss(A, X, Y, ridge, weights)) <= room
    assert report.lower_bound <= true + room
    assert report.dense_loss <= report.lower_bound + room
    other = dense(pp.factorize(A.astype(dtype), arch)).astype(complex)
    assert report.lower_bound <= loss(other, X, Y, ridge, weights) + room
    assert min(report.history) >= report.lower_bound - room
    assert report.history[-1] <= report.history[0] * (1 + 1e-9) + room
    assert len(report.history) == report.iterations + 1 and report.samples == samples
    assert report.rank <= min(len(X), samples) or ridge


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_noise_is_averaged_over_few_unknowns(dtype):
    arch = Architecture.square_dyadic(64)
    T, X, Y = planted(1, arch, 128, dtype, noise=0.01)
    F = fit(X, Y, arch)
    ratio = np.linalg.norm(F.toarray() - T) / np.linalg.norm(best_dense(X, Y) - T)
    assert ratio < 0.4 and F.report.reached
    assert F.report.loss < F.report.start_loss
    start = pp.factorize(best_dense(X, Y), arch)
    assert np.linalg.norm(F.toarray() - T) < np.linalg.norm(start.toarray() - T)


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_a_start_close_to_the_best_needs_few_products(dtype):
    arch = Architecture.square_dyadic(64)
    _, X, Y = planted(13, arch, 128, dtype, noise=0.01)
    report = fit(X, Y, arch).report
    assert report.stopped == "tol" and report.evaluations <= report.iterations + 3 <= 16
    best = fit(X, Y, arch, tol=1e-12, max_iterations=500).report
    part = report.loss - report.dense_loss  # what tol is a fraction of
    assert best.loss - 1e-12 * part <= report.loss <= best.loss + 1e-4 * part


@pytest.mark.parametrize("start", ["factorize", "random"])
def test_exact_data_give_the_operator(start):
    arch = Architecture.mixed_radix([3, 3, 3], ranks=2)
    T, X, Y = planted(2, arch, 50)
    F = fit(X, Y, arch, start=start, tol=1e-6, max_iterations=2000)
    assert np.linalg.norm(F.toarray() - T) < 1e-7 * np.linalg.norm(T)
    assert F.report.relative_error < 1e-7


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e-3, 1e3, 1e30, 1e300, 0.0])
def test_starts_of_any_scale(scale):
    arch = Architecture.square_dyadic(8)
    _, X, Y = planted(3, arch, 40)
    start = pp.Butterfly.random(arch, seed=4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = fit(X, Y, arch, start=scale * start).report
    assert report.relative_error < 1e-10


def test_good_starts_stay_what_they_are():
    arch = Architecture.square_dyadic(8)
    rng = np.random.default_rng(5)
    X, noise = rng.standard_normal((2, 8, 500))
    start = fit(X, noise, arch, ridge=1e3, tol=1e-12, max_iterations=500)  # it explains little
    report = fit(X, noise, arch, ridge=1e3, start=start).report
    assert abs(report.start_loss - report.loss) < 1e-9 * report.loss


def test_two_factors_with_white_samples_are_optimal():
    arch = Architecture.monarch((12, 8), 3, 4)
    rng = np.random.default_rng(3)
    X = np.linalg.qr(rng.standard_normal((40, 8)))[0].T
    Y = rng.standard_normal((12, 40))
    report = fit(X, Y, arch).report
    assert abs(report.certified_ratio - 1) < 1e-9
    assert abs(report.loss - report.start_loss) < 1e-9 * report.loss


def test_samples_along_an_ill_conditioned_basis():
    arch = Architecture.square_dyadic(16)
    T, X, _ = planted(4, arch, 32)
    rng = np.random.default_rng(4)
    for spread in (1e3, 1e9):
        Z = np.geomspace(1, spread, 16)[rng.permutation(16)][:, None] * X
        Z = np.linalg.qr(rng.standard_normal((16, 16)))[0] @ Z
        F = fit(Z, T @ Z, arch)
        assert F.report.relative_error < 1e-8 and F.report.rank == 16
        assert F.report.lower_bound <= F.report.loss * (1 + 1e-9)
        noisy = T @ Z + rng.standard_normal(Z.shape)
        report = fit(Z, noisy, arch).report
        assert 0.99 * report.dense_loss <= report.lower_bound <= report.loss


@pytest.mark.parametrize("condition", [1e2, 1e4, 1e5, 1e7, 3e7, 1e8, 1e12])
@pytest.mark.parametrize("architecture", [Architecture.low_rank((16, 16), 2), [(1, 8, 8, 1)]])
def test_bounds_hold_for_samples_of_any_condition(architecture, condition):
    # An operator that gives all Y: no bound may say that there is none.
    architecture = Architecture(architecture)
    rng = np.random.default_rng(0)
    n = architecture.shape[1]
    u, v = (np.linalg.qr(rng.standard_normal((rows, n)))[0] for rows in (n, 2 * n))
    X = (u * np.geomspace(1, 1 / condition, n)) @ v.T
    Y = pp.Butterfly.random(architecture, seed=1) @ X
    report = fit(X, Y, architecture).report
    assert report.loss <= 1e-27 * np.linalg.norm(Y) ** 2
    assert report.lower_bound <= report.loss


def test_fewer_samples_than_inputs_are_said():
    arch = Architecture.square_dyadic(16)
    _, X, Y = planted(5, arch, 9)
    F = fit(X, Y, arch, max_iterations=500, tol=1e-8)
    report = F.report
    assert report.rank == 9 and "9 of 16 dimensions" in str(report)
    assert report.relative_error < 1e-4
    ridged = fit(X, Y, arch, ridge=1.0).report
    assert ridged.lower_bound > ridged.dense_loss > 0


def test_permutations_and_search():
    n = 16
    rng = np.random.default_rng(6)
    X = random_array(rng, (n, 2 * n), np.complex128)
    T = np.fft.fft(np.eye(n))
    arch = Architecture.square_dyadic(n)
    for order in ("bit_reversal", "search", pp.permutations.bit_reversal(n)):
        F = fit(X, T @ X, arch, column_permutation=order)
        assert np.allclose(F.toarray(), T) and F.report.relative_error < 1e-12
    G = fit(X, T.T @ X, arch, row_permutation=rng.permutation(n), column_permutation="search")
    assert G.report.relative_error > 0.1
    again = fit(X, T @ X, arch, start=F)
    assert np.array_equal(again.column_permutation, F.column_permutation)
    assert np.allclose(again.toarray(), T)


def test_chains_that_are_not_chainable():
    reversed_dyadic = Architecture.square_dyadic(16).T
    T, X, Y = planted(7, reversed_dyadic, 32)
    F = fit(X, Y, reversed_dyadic)
    assert np.allclose(F.toarray(), T, atol=1e-6) and F.report.lower_bound >= 0
    both = Architecture([*Architecture.square_dyadic(8), *Architecture.square_dyadic(8).T])
    with pytest.raises(ValueError, match="expected 'random' or a Butterfly"):
        fit(X[:8], Y[:8], both)
    report = fit(X[:8], Y[:8], both, start="random", max_iterations=40).report
    assert (
        report.loss < report.start_loss
        and 0.99 * report.dense_loss <= report.lower_bound <= report.dense_loss
    )


def test_tied_factors_stay_tied():
    D = pp.Butterfly.random(Architecture.mixed_radix([4, 4]), seed=8)
    tied = pp.Butterfly([v[:1, :, :, :1] for v in D.factors], architecture=D.architecture)
    rng = np.random.default_rng(8)
    X = rng.standard_normal((16, 20))
    start = tied.with_factors([v + 0.05 * rng.standard_normal(v.shape) for v in tied.factors])
    F = fit(X, tied @ X, start.architecture, start=start, tol=1e-8)
    assert [v.shape for v in F.factors] == [(1, 4, 4, 1)] * 2
    assert np.allclose(F.toarray(), tied.toarray(), atol=1e-4)


def test_held_out_samples_stop_it_and_choose_the_iterate():
    arch = Architecture.mixed_radix([4, 4], ranks=3)
    rng = np.random.default_rng(9)
    X = rng.standard_normal((16, 24))
    Y = np.outer(np.ones(16), np.ones(16)) @ X + 3 * rng.standard_normal((16, 24))
    F = fit(X, Y, arch, validation=0.3, start="random", tol=0, max_iterations=300)
    report = F.report
    assert report.stopped == "validation" and len(report.validation_history) > 10
    best = int(np.argmin(report.validation_history))
    assert abs(report.loss - report.history[best]) < 1e-9 * report.loss
    held = np.arange(5)
    G = fit(X, Y, arch, validation=held, max_iterations=50)
    rest = Y[:, held] - G @ X[:, held]
    assert abs(min(G.report.validation_history) - np.mean(rest**2)) < 1e-9 * np.mean(rest**2)
    assert G.report.samples == 19


@pytest.mark.parametrize("power", [-1, 1])
def test_any_scale(power):
    arch = Architecture.square_dyadic(8)
    _, X, Y = planted(10, arch, 20, noise=0.1)
    F = fit(X, Y, arch)
    G = fit(X * 1e120**power, Y * 1e220**power, arch)
    assert np.allclose(G.toarray() / 1e100**power, F.toarray())
    assert np.isclose(G.report.relative_error, F.report.relative_error)
    H = fit(X * 2.0 ** (60 * power), Y * 2.0 ** (-40 * power), arch)
    assert np.isclose(H.report.certified_ratio, F.report.certified_ratio)
    assert np.isclose(H.report.loss, F.report.loss * 4.0 ** (-40 * power))
    far = fit(X / 1e200**power, Y * 1e200**power, arch).report
    assert np.isclose(far.certified_ratio, F.report.certified_ratio)
    assert far.loss == far.lower_bound == (np.inf if power == 1 else 0)
    zero = fit(X, 0 * Y, arch)
    assert not zero.toarray().any() and zero.report.loss == 0


def test_bounds_of_zero_stay_zero_in_units_above_the_largest_number():
    X = np.random.default_rng(13).standard_normal((4, 9))
    report = fit(X * 1e200, 2 * X * 1e200, Architecture.dense((4, 4))).report
    assert report.lower_bound == 0 and report.relative_error < 1e-12


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"start": 3}, ValueError, "start is 3"),
        ({"start": pp.Butterfly.random(Architecture.square_dyadic(4))}, ValueError, "start has"),
        ({"order": "x"}, ValueError, "order is 'x'"),
        ({"order": [1, 1]}, ValueError, "expected a permutation of the splits"),
        ({"progress": 3}, TypeError, "progress is 3"),
        ({"row_permutation": "zz", "column_permutation": "search"}, ValueError, "row_permutation"),
        ({"architecture": Architecture([*Architecture.square_dyadic(8)] * 2)}, ValueError,
         "chainable"),
    ],
)  # fmt: skip
def test_arguments_are_checked_before_the_dense_solution(monkeypatch, change, error, message):
    def solve(*_):
        raise AssertionError

    monkeypatch.setattr("papilio.learning._fit.solve", solve)
    arguments = {"architecture": Architecture.square_dyadic(8)} | change
    with pytest.raises(error, match=message):
        fit(np.ones((8, 10)), np.ones((8, 10)), **arguments)


def test_results_repeat_and_progress_is_told():
    arch = Architecture.monarch((8, 8), 2, 4)
    _, X, Y = planted(11, arch, 16, noise=0.2)
    told = []
    F = fit(X, Y, arch, start="random", seed=3, progress=told.append)
    G = fit(X, Y, arch, start="random", seed=3)
    assert all(np.array_equal(x, y) for x, y in zip(F.factors, G.factors, strict=True))
    assert told == sorted(told) and 0 < told[0] < told[-1] == 1
    assert F.T.report is None and "stopped by" in str(F.report)


def test_the_report_can_be_drawn():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    arch = Architecture.square_dyadic(8)
    _, X, Y = planted(12, arch, 16, noise=0.2)
    ax = fit(X, Y, arch, validation=0.2).report.plot()
    assert ax.get_xlabel() == "iteration"
    pyplot.close("all")


ARCH = Architecture.square_dyadic(8)
GOOD = np.ones((8, 10))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"X": np.ones(8)}, ValueError, "X has 1 axes"),
        ({"X": np.ones((7, 10))}, ValueError, "X has 7 rows"),
        ({"Y": np.ones((8, 9))}, ValueError, "X has 10 columns but Y has 9"),
        ({"X": np.ones((8, 0)), "Y": np.ones((8, 0))}, ValueError, "at least one sample"),
        ({"Y": np.full((8, 10), np.nan)}, ValueError, "Y has nan at row 0, column 0"),
        ({"X": [["a"]]}, TypeError, "X"),
        ({"architecture": [2, 2, 2]}, TypeError, "architecture is"),
        ({"start": "zeros"}, ValueError, "start is 'zeros'"),
        ({"start": np.ones(2)}, ValueError, "start is an array"),
        ({"start": pp.Butterfly.random(Architecture.dense((8, 8)))}, ValueError, "start has the"),
        ({"start": pp.Butterfly.random(ARCH), "row_permutation": np.arange(8)}, ValueError,
         "which has its own"),
        ({"start": pp.Butterfly.random(ARCH, dtype=complex)}, TypeError, "start has dtype"),
        ({"start": "random", "column_permutation": "search"}, ValueError, "needs start"),
        ({"ridge": -1}, ValueError, "ridge"),
        ({"tol": 1}, ValueError, "tol"),
        ({"max_iterations": 0}, ValueError, "max_iterations"),
        ({"sample_weights": np.ones(9)}, ValueError, "sample_weights has shape"),
        ({"sample_weights": -np.ones(10)}, ValueError, "at least 0: -1.0 at sample 0"),
        ({"sample_weights": np.zeros(10)}, ValueError, "sample_weights are all 0"),
        ({"sample_weights": np.eye(10)[0], "validation": [0, 1]}, ValueError,
         "sample_weights are 0 for all samples that validation leaves"),
        ({"validation": 1.5}, ValueError, "validation"),
        ({"validation": [10]}, ValueError, "columns 10 to 10.* outside of 0..9"),
        ({"validation": np.arange(10)}, ValueError, "holds out all"),
        ({"row_permutation": "reverse"}, ValueError, "row_permutation is 'reverse'"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(change, error, message):
    arguments = {"X": GOOD, "Y": GOOD, "architecture": ARCH, **change}
    with pytest.raises(error, match=message):
        fit(arguments.pop("X"), arguments.pop("Y"), arguments.pop("architecture"), **arguments)


@pytest.mark.parametrize("dtype", DTYPES)
def test_equal_samples_and_ones(dtype):
    F = fit(GOOD.astype(dtype), GOOD.astype(dtype), ARCH)
    assert np.allclose(F @ np.ones(8), np.ones(8), atol=1e-4)
    assert F.report.rank == 1
