"""Formulas of the core: how right, the same bits however they are asked, within bounds."""

import math
import pickle
import sys
from decimal import Decimal, localcontext

import numpy as np
import pytest
import scipy.special

import papilio as pp
from papilio import _core, kernels
from papilio._util.formulas import Compiled, compiled
from papilio.kernels import _bessel

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
    "bessel": kernels.bessel(150),
    "bessel of order 3.5": kernels.bessel(150, 3.5),
    "helmholtz in 2-D": kernels.helmholtz(
        XX[:, :2], np.concatenate([XX[:3, :2], 2e3 * YY[:, :2]]), 2
    ),
    "hankel": kernels.hankel(300),
    "legendre": kernels.legendre(abs(X), 200),
    "legendre of order 3": kernels.legendre(abs(X), 300, 3),
    "legendre of order 40": kernels.legendre(abs(X), 90, 40),
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


@pytest.mark.parametrize("order", [0, 0.5, 1, 7.3, 120, 2000])
def test_bessel_functions_are_those_of_scipy_to_rounding(order):
    n = 1500
    A = kernels.bessel(n, order)
    i, j = RNG.integers(n, size=(2, 3000))
    i[:300] = i[:300] % 60  # where the tables are
    x = i / n * (np.pi * (j + 1))
    # Both have errors of a few units of the last place of x.
    error = np.abs(A(i, j) - scipy.special.jv(order, x))
    assert (error <= 2e-14 + 5e-16 * x * np.sqrt(2 / (np.pi * np.maximum(x, 1)))).all()
    if order == 0:
        assert np.abs(A(0, j) - 1).max() < 2e-15


def exact_bessel(order, x):
    """The ascending series, in 120 digits but for its first factor."""
    with localcontext() as context:
        context.prec = 120
        quarter, term, total = -(Decimal(x) ** 2) / 4, Decimal(1), Decimal(1)
        k = 0
        while abs(term) > Decimal("1e-100"):
            k += 1
            term *= quarter / (k * (Decimal(order) + k))
            total += term
        return float(total * Decimal((x / 2) ** order / math.gamma(order + 1)))


@pytest.mark.parametrize("order", [0, 1e-8, 0.3, 0.999, 1.5, 7.3, 15.4, 60])
def test_bessel_functions_are_right_to_some_rounding_errors(order):
    x = np.concatenate([[10.2, 11.2, 9.0, 9.6], RNG.uniform(0, 4, 30), RNG.uniform(4, 60, 200)])
    entries = _bessel.bessel_of(order, x, np.ones(1))
    found = entries(np.arange(len(x)), np.zeros(1, int))
    assert np.abs(found - [exact_bessel(order, one) for one in x]).max() < 3e-15


def test_hankel_functions_satisfy_the_recurrence_and_the_wronskian():
    n = 20000
    A = kernels.hankel(n)
    i = np.concatenate([RNG.integers(n, size=100), np.arange(60)])[:, None]
    for start in (0, 5000, n - 1002):  # at the last one in the first rows, orders near the argument
        H = A(i, np.arange(start, start + 1002))
        x, order = n + 2 * np.pi / 3 * i, np.arange(start + 1, start + 1001)
        rest = H[:, 2:] + H[:, :-2] - 2 * order / x * H[:, 1:-1]
        assert (np.abs(rest) <= 1e-15 * x * np.abs(H[:, :-2])).all()
        # J_(v+1) Y_v - J_v Y_(v+1) = 2 / (pi x)
        wronskian = (H[:, 1:] * H[:, :-1].conj()).imag * -1
        assert np.allclose(wronskian * (np.pi * x / 2), 1, rtol=1e-9)
    few = A(i, RNG.integers(n, size=20))
    assert few.shape == (160, 20)
    j = np.concatenate([np.arange(10), n - 1 - np.arange(10)])
    expected = scipy.special.hankel1(j, n + 2 * np.pi / 3 * i[::16])
    assert (np.abs(A(i[::16], j) - expected) <= 2e-15 * n * np.abs(expected)).all()


def test_helmholtz_in_the_plane_is_that_of_scipy_from_the_source_to_far_away():
    r = np.geomspace(1e-9, 1e6, 4000)
    found = kernels.helmholtz([[0.0, 0.0]], np.stack([r, 0 * r], 1), 1.0).toarray()[0]
    expected = 0.25 * (1j * scipy.special.j0(r) - scipy.special.y0(r))
    assert (np.abs(found - expected) <= 6e-15 + 4e-16 * (1 + r) * np.abs(expected)).all()


@pytest.mark.parametrize("power", [-1070, -600, -520, -450, 500, 530, 1000, 1022])
def test_helmholtz_at_distances_whose_squares_are_no_doubles(power):
    size = 2.0**power
    x = np.array([[size, 0, 0], [size, size, 0], [0, size, 0]])
    r = np.hypot(x[:, None, 0] + x[:, 0], x[:, None, 1] + x[:, 1])
    plane = kernels.helmholtz(x[:, :2], -x[:, :2], 0.25).toarray()
    if size < 1:
        expected = 0.25 * (1j * scipy.special.j0(r / 4) - scipy.special.y0(r / 4))
        assert np.allclose(plane, expected, rtol=1e-14, atol=0)
    else:  # the phase is that of rounding errors
        assert np.allclose(np.abs(plane), np.sqrt(0.5 / np.pi / r), rtol=1e-14, atol=0)
    if size > 1e-300:
        space = kernels.helmholtz(x, -x, 0.25).toarray()
        assert np.allclose(np.abs(space), 0.25 / np.pi / r, rtol=1e-15, atol=1e-323)


@pytest.mark.parametrize("order", [0, 1, 2, 3, 10])
def test_legendre_functions_of_high_degree_are_those_of_the_recurrence(order):
    theta = RNG.uniform(0.5, np.pi - 0.5, 9)
    degrees = 3000
    found = kernels.legendre(theta, degrees, order).toarray()
    x, l = (
        np.cos(theta.astype(np.longdouble)),
        np.arange(order, order + degrees, dtype=np.longdouble),
    )
    expected = np.zeros((degrees, len(theta)), np.longdouble)
    first = np.prod(
        np.arange(1, 2 * order, 2) / np.arange(2, 2 * order + 1, 2, dtype=np.longdouble)
    )
    expected[0] = np.sqrt((order + 0.5) * first) * np.sin(theta.astype(np.longdouble)) ** order
    a = np.sqrt(abs(4 * l**2 - 1) / np.maximum((l - order) * (l + order), 1))
    for k in range(1, degrees):
        before = expected[k - 2] / a[k - 1] if k > 1 else 0
        expected[k] = a[k] * (x * expected[k - 1] - before)
    # (Nearer to a pole a cosine, which the recurrence has, says less than the angle itself.)
    assert np.abs(found - expected.T).max() < 2e-14 * np.sqrt(degrees)


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


@pytest.mark.parametrize(
    "kernel",
    [kernels.fio(8), kernels.hankel(8), kernels.bessel(8, 20000)],
    ids=["formula", "hankel", "bessel"],
)
def test_indices_count_from_the_end_and_are_checked_in_every_kernel(kernel):
    assert kernel(0, -1) == kernel(0, 7)
    assert kernel(-8, 1) == kernel(0, 1)
    large = np.uint64(2**64 - 1)
    for i, j, message in [
        (0, 20, "j has 20"),
        (-9, 0, "i has -9"),
        (0.5, 0, "i has dtype float64"),
        (large, 0, "i has 18446744073709551615"),
        (0, np.array([1, 2**63], np.uint64), "j has 9223372036854775808"),
    ]:
        with pytest.raises(IndexError, match=message):
            kernel(i, j)


def test_threads_may_share_a_formula_that_is_not_made_yet():
    made = kernels.fio(4).function.formula
    lines = 0

    def trace(frame, event, argument):
        nonlocal lines
        if frame.f_code is not Compiled.formula.fget.__code__:
            return None
        if event == "line":
            lines += 1
            if lines == place:  # here another thread goes all the way
                assert entries.formula is made
        return trace

    place, before = 1, sys.gettrace()
    while lines + 1 >= place:
        lines, entries = 0, Compiled(lambda: made)
        sys.settrace(trace)
        try:
            assert entries.formula is made
        finally:
            sys.settrace(before)
        place += 1
    assert place > 4


@every_formula
def test_pickles_of_the_entries_have_the_same_bits(kernel):
    copy = pickle.loads(pickle.dumps(kernel))
    assert np.array_equal(copy.toarray(), kernel.toarray())
    assert copy.shape == kernel.shape


@every_formula
def test_formulas_of_any_numbers_stay_within_their_tables_and_end(kernel):
    # As of pickles that somebody else has made.
    make, (name, *given) = kernel.function.formula.__reduce__()
    special = [0.0, -1.0, 1e9, -1e9, 1e300, -1e300, np.inf, -np.inf, np.nan, 5e-324, 2.0**53]
    rng = np.random.default_rng(5)
    i, j = RNG.integers(kernel.shape[0], size=64), RNG.integers(kernel.shape[1], size=64)
    made = 0
    for share in (0.1, 0.5, 1.0) * 4:
        fields = [np.array(one) for one in given]
        for one in fields:
            where = rng.random(one.shape) < share / (1 if one.ndim == 2 else max(one.size / 2, 1))
            one[where] = rng.choice(special, where.sum())
        try:
            formula = make(name, *fields)
        except ValueError as error:
            assert "parameters" in str(error)
            continue
        made += 1
        assert formula.pairs(i, j).shape == (64,)
        assert formula.blocks(i[:12].reshape(3, 4), j[:15].reshape(3, 5)).shape == (3, 4, 5)
    assert made > 3


def test_bessel_and_hankel_functions_of_numbers_without_them():
    x = np.array([-1e9, np.nan, 1e300, 3.0])
    found = _bessel.bessel_of(1.5, x, np.ones(1))(np.arange(4), np.zeros(1, int))
    assert np.array_equal(np.isfinite(found), [False, False, False, True])
    given = kernels.bessel(8, 1.5).function.formula.__reduce__()[1]
    given[3][1] = np.inf  # from where on the expansion holds: beyond the tables
    with pytest.raises(ValueError, match="parameters of the formula 'bessel' don't fit"):
        _core.Formula(*given)
    orders = [np.array([[400.0, 400.0], [-1e300, 390.0]]), np.array([[1.0, 395.0]])]
    found = _core.Formula("hankel", *orders, _bessel._debye()).blocks(
        np.array([[0, 1]]), np.array([[0, 1]])
    )
    assert np.isnan(found[0, 0]).all()
    assert np.isfinite(found[0, 1]).all()


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
    kernel = kernels.fio(4096)
    first = pp.compress(kernel, tol=1e-3, rounding=False)
    second = pp.compress(
        kernel.function, kernel.shape, tol=1e-3, rounding=False,
        row_points=kernel.row_points, column_points=kernel.column_points,
    )  # fmt: skip
    assert first.report.entries == second.report.entries
    for a, b in zip(first.factors, second.factors, strict=True):
        assert np.array_equal(a, b)
