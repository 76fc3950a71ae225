"""The formulas of the core: how right, the same bits however they are asked, nothing out of bounds."""

import pickle

import numpy as np
import pytest

import papilio as pp
from papilio import _core, kernels
from papilio._util.formulas import compiled

RNG = np.random.default_rng(3)
N = 40
X = RNG.uniform(-np.pi, np.pi, N)
XX, YY = RNG.uniform(-1, 1, (2, N, 3))
FORMULAS = {
    "nudft": kernels.nudft(3, 1e4 * X, frequencies=30 * X),
    "nudft in 2-D": kernels.nudft(2, XX[:, :2], (6, 5)),
    "fio 1": kernels.fio(N),
    "fio 2": kernels.fio(N, 2),
    "fio2d": kernels.fio2d(6),
    "radon": kernels.radon(6),
    "fractional Fourier": kernels.fractional_fourier(N, 0.7),
    "helmholtz": kernels.helmholtz(XX, np.concatenate([XX[:3], YY]), 40.0),
    "laplace": kernels.laplace(abs(X), 300 * abs(X)),
}
every_formula = pytest.mark.parametrize("kernel", FORMULAS.values(), ids=FORMULAS)


def exact_wave(turns):
    turns = np.asarray(turns, np.float64)
    angle = 2 * np.arctan2(np.longdouble(0), np.longdouble(-1)) * (turns - np.rint(turns))
    return np.cos(angle) + 1j * np.sin(angle)


def test_waves_are_right_to_rounding_for_phases_of_any_size():
    turns = np.concatenate([RNG.uniform(-1, 1, 4000) * 10.0 ** np.arange(-4, 16).repeat(200)])
    for given in (turns, np.arange(-2000, 2001) / 8, 2.0**52 + np.arange(5), turns * 1e200):
        assert np.abs(_core.wave(given) - exact_wave(given)).max() < 2.5e-16
    assert np.isnan(_core.wave(np.array([np.nan, np.inf, -np.inf]))).all()
    eighths = _core.wave(np.arange(5) / 4)
    assert np.array_equal(eighths, [1, 1j, -1, -1j, 1])


def test_exponentials_are_right_to_rounding_down_to_the_smallest_numbers():
    t = np.concatenate([[0.0, 1e-300, 1e300], RNG.uniform(0, 760, 5000), RNG.uniform(0, 1, 5000)])
    found = kernels.laplace([1.0], t).toarray()[0]
    exact = np.exp(-t.astype(np.longdouble))
    normal = t < 708
    assert (np.abs(found - exact) <= 2.5e-16 * exact)[normal].all()
    assert np.abs(found - exact)[~normal].max() <= 5e-324
    assert kernels.laplace([1e200], [1e200]).toarray() == 0


def test_phases_are_those_of_numpy():
    x, k = RNG.uniform(-1e5, 1e5, (2, N, 3))
    turns = x[:, None, 0] * k[:, 0] + x[:, None, 1] * k[:, 1]
    found = compiled("inner product 2", [*x[:, :2].T], [*k[:, :2].T])(*np.ogrid[:N, :N])
    assert np.abs(found - exact_wave(turns)).max() < 2.5e-16
    together = kernels.helmholtz(XX, XX, 1.0).toarray()
    assert not np.diag(together).any()
    r = np.linalg.norm(XX[1] - XX[0])
    assert np.isclose(together[0, 1], np.exp(1j * r) / (4 * np.pi * r), rtol=1e-14)


@every_formula
def test_an_entry_has_the_same_bits_however_it_is_asked_for(kernel, threads):
    A = kernel.toarray()
    m, n = kernel.shape
    i, j = RNG.integers(-m, m, 61), RNG.integers(-n, n, 61)
    assert np.array_equal(kernel(i, j), A[i, j])
    assert np.array_equal(kernel(i[:, None], j), A[i[:, None], j])
    blocks = kernel(i[:60].reshape(3, 4, 5, 1), j[:21].reshape(3, 1, 1, 7))
    assert np.array_equal(blocks, A[i[:60].reshape(3, 4, 5, 1), j[:21].reshape(3, 1, 1, 7)])
    assert kernel(3, 4) == A[3, 4]
    assert kernel(i[:0], j[0]).shape == (0,)
    assert kernel(i[:0, None], j).shape == (0, 61)
    assert kernel(i[:, None], j[:0]).shape == (61, 0)
    for count in (1, 2, 3):
        threads(count)
        _core.set_thresholds(1.0, 0)
        try:
            assert np.array_equal(kernel.toarray(), A)
            assert np.array_equal(kernel(i, j), A[i, j])
        finally:
            _core.set_thresholds(0.0, 0)


@every_formula
def test_interpolation_in_one_loop_is_that_of_the_blocks(kernel):
    i = RNG.integers(kernel.shape[0], size=(3, 13))
    j = RNG.integers(kernel.shape[1], size=(3, 17))
    scales = RNG.uniform(0.5, 2, j.shape)
    formula = kernel.function
    for found, expected in zip(
        formula.interpolate(i, j, 5, scales),
        _core.interpolate(formula.blocks(i, j), 5, scales),
        strict=True,
    ):
        assert np.array_equal(found, expected)


@every_formula
def test_indices_out_of_bounds_are_refused(kernel):
    (m, n), formula = kernel.shape, kernel.function
    for i, j, name in [
        (m, 0, "i has"),
        (-m - 1, 0, "i has"),
        (0, n, "j has"),
        (0, -n - 1, "j has"),
    ]:
        rows, columns = np.array([[0, i]]), np.array([[0, j]])
        for call in (
            lambda i=i, j=j: kernel(i, j),
            lambda r=rows, c=columns: kernel(r.T, c),
            lambda r=rows, c=columns: formula.interpolate(r, c, 1, np.ones((1, 2))),
        ):
            with pytest.raises(IndexError, match=name):
                call()
    with pytest.raises(IndexError, match="whole numbers"):
        kernel(0.5, 0)


@every_formula
def test_pickles_of_the_entries_have_the_same_bits(kernel):
    copy = pickle.loads(pickle.dumps(kernel))
    assert np.array_equal(copy.toarray(), kernel.toarray())
    assert copy.shape == kernel.shape


def test_formulas_refuse_what_they_are_not_of():
    one = np.ones((1, 3))
    for name, rows, columns, parameters, message in [
        ("unknown", one, one, [], "there is no formula 'unknown'"),
        ("decay", np.ones((2, 3)), one, [], "rows must have 1 numbers each"),
        ("decay", one, np.ones((1, 0)), [], "columns must have"),
        ("decay", one, one, [1.0], "parameters has 1 numbers, expected 0"),
        ("decay", np.ones(3), one, [], "rows must have two axes"),
    ]:
        with pytest.raises(ValueError, match=message):
            _core.Formula(name, rows, columns, parameters)


def test_factors_are_those_of_the_same_entries_from_python():
    kernel = kernels.nudft(2, np.random.default_rng(1).uniform(-np.pi, np.pi, 4096), 4096)
    plain = lambda i, j: kernel.function(i, j)  # noqa: E731
    first = pp.compress(kernel, tol=1e-3, rounding=False)
    second = pp.compress(
        plain, kernel.shape, tol=1e-3, rounding=False,
        row_points=kernel.row_points, column_points=kernel.column_points,
    )  # fmt: skip
    assert first.report.entries == second.report.entries
    for a, b in zip(first.factors, second.factors, strict=True):
        assert np.array_equal(a, b)
