"""The ready kernels against the formulas written out, or the integrals that they stand for."""

import itertools
import math
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
import scipy.special

import papilio as pp
from papilio import kernels
from papilio._util.legendre import _amplitudes, _gamma_ratio

RNG = np.random.default_rng(0)
X = RNG.uniform(-np.pi, np.pi, 7)
XX = RNG.uniform(-np.pi, np.pi, (6, 2))


def dense(rows, columns, entry):
    return np.array([[entry(i, j) for j in range(columns)] for i in range(rows)])


def test_nonuniform_fourier_transforms_in_one_dimension():
    k = np.arange(-4, 4)
    forward = np.exp(-1j * np.outer(X, k))
    assert np.allclose(kernels.nudft(2, X, 8).toarray(), forward)
    assert np.allclose(kernels.nudft(1, X, 8, sign=1).toarray(), forward.conj().T)
    s = RNG.uniform(-50, 50, 5)
    third = kernels.nudft(3, X, frequencies=s).toarray()
    assert np.allclose(third, np.exp(-1j * np.outer(s, X)))
    assert kernels.nudft(2, X, 7).toarray().shape == (7, 7)
    assert np.allclose(
        kernels.nudft(2, X, 7).toarray(), np.exp(-1j * np.outer(X, np.arange(-3, 4)))
    )


def test_nonuniform_fourier_transforms_in_two_dimensions():
    modes = np.array(list(itertools.product(range(-2, 2), range(-1, 2))))
    matrix = np.exp(1j * XX @ modes.T)
    assert np.allclose(kernels.nudft(2, XX, (4, 3), sign=1).toarray(), matrix)
    assert np.allclose(kernels.nudft(1, XX, (4, 3), sign=1).toarray(), matrix.T)
    s = RNG.uniform(-5, 5, (5, 2))
    assert np.allclose(kernels.nudft(3, XX, frequencies=s).toarray(), np.exp(-1j * s @ XX.T))


def test_points_of_any_size_are_wrapped_into_one_period():
    mpmath = pytest.importorskip("mpmath")
    k = np.arange(-8, 8)
    for x in (3.5, -4.0, 1e3, -1e6, 1e15, 1e300):
        with mpmath.workdps(400):
            exact = [complex(mpmath.expj(-mpmath.mpf(x) * int(mode))) for mode in k]
        for kind in (1, 2):
            A = kernels.nudft(kind, [x, 0.5], 16)
            found = A.toarray()[:, 0] if kind == 1 else A.toarray()[0]
            assert np.abs(found - exact).max() < 2e-14
            points = A.column_points if kind == 1 else A.row_points
            assert np.abs(points).max() <= np.pi


def test_points_spread_over_many_periods_are_compressed_like_those_of_one():
    rng = np.random.default_rng(1)
    x = rng.uniform(-np.pi, np.pi, 512)
    far = x + 2 * np.pi * rng.integers(-1000, 1000, 512)
    near, spread = (pp.compress(kernels.nudft(2, points, 512), tol=1e-6) for points in (x, far))
    assert spread.nnz == pytest.approx(near.nnz, rel=0.2)
    assert spread.report.reached


def test_fourier_integral_operators():
    n = 12
    x, k = np.arange(n)[:, None] / n, np.arange(n) - n / 2
    first = np.exp(2j * np.pi * (x * k + (2 + np.sin(2 * np.pi * x)) / 8 * abs(k)))
    assert np.allclose(kernels.fio(n).toarray(), first)
    amplitude = 1 + np.sin(x / 2) * np.cos(k / (2 * n)) / 16
    phase = x * k + (2 + 0.2 * np.sin(2 * np.pi * x)) / 16 * abs(k)
    assert np.allclose(kernels.fio(n, 2).toarray(), amplitude * np.exp(2j * np.pi * phase))


def test_fourier_integral_operator_in_two_dimensions():
    n = 4

    def entry(i, j):
        x1, x2, k1, k2 = i // n / n, i % n / n, j // n - n / 2, j % n - n / 2
        s = (2 + np.sin(2 * np.pi * x1) * np.sin(2 * np.pi * x2)) / 32
        c = (2 + np.cos(2 * np.pi * x1) * np.cos(2 * np.pi * x2)) / 32
        return np.exp(2j * np.pi * (x1 * k1 + x2 * k2 + np.hypot(s * k1, c * k2)))

    assert np.allclose(kernels.fio2d(n).toarray(), dense(n * n, n * n, entry))


def test_bessel_functions():
    n = 6
    expected = dense(n, n, lambda i, j: scipy.special.hankel1(j, n + 2 * np.pi / 3 * i))
    assert np.allclose(kernels.hankel(n).toarray(), expected)
    for order in (0, 1.5):
        expected = dense(n, n, lambda i, j, m=order: scipy.special.jv(m, i / n * (j + 1) * np.pi))
        assert np.allclose(kernels.bessel(n, order).toarray(), expected)


def exact_legendre(t, order, degrees):
    """Squares of the normalized functions with signs, at cos = (t^2 - 1) / (t^2 + 1), exactly."""
    x, sine = Fraction(t * t - 1, t * t + 1), Fraction(2 * t, t * t + 1)
    before, value = Fraction(0), Fraction(1)  # in units of (2 m - 1)!! sin^m
    # (2 l + 1) / 2 (l - m)! / (l + m)! times the square of the unit
    weight = Fraction(2 * order + 1, 2) * sine ** (2 * order)
    for k in range(1, order + 1):
        weight *= Fraction(2 * k - 1, 2 * k)
    for l in range(order, order + degrees):
        square = value * value * weight * Fraction(2 * l + 1, 2 * order + 1)
        yield math.copysign(math.sqrt(square), value)
        value, before = (
            (x * (2 * l + 1) * value - (l + order) * before) / (l + 1 - order),
            value,
        )
        weight *= Fraction(l + 1 - order, l + 1 + order)


@pytest.mark.parametrize(("t", "order"), [(2, 3), (2, 150), (2, 500), (40, 200), (1, 81), (7, 30)])
def test_legendre_functions_of_any_order_are_right_to_rounding(t, order):
    degrees = 150
    expected = np.array(list(exact_legendre(t, order, degrees)))
    theta = np.arccos((t * t - 1) / (t * t + 1))
    i, j = np.zeros((1, 1), int), np.arange(degrees)[None, :]
    values = kernels.legendre([theta], degrees, order).function(i, j)[0]
    # The angle's own rounding turns the value by order + degrees radians per radian.
    assert np.abs(values - expected).max() <= 4e-16 * (order + degrees)
    small = (np.abs(expected) < 1e-5) & (expected != 0)
    assert (np.abs(values - expected) <= 1e-12 * order * np.abs(expected))[small].all()


def legendre_in_decimals(theta, order, degrees):
    """Of the angle as it is, by the recurrence in 50 digits."""
    with localcontext() as context:
        context.prec = 50
        t, m = Decimal(theta), Decimal(order)
        terms = [Decimal(1)]
        for k in range(1, 80):
            terms.append(terms[-1] * t / k)
        cosine = sum(terms[0::4]) - sum(terms[2::4])
        sine = sum(terms[1::4]) - sum(terms[3::4])
        square = (m + Decimal("0.5")) * sine ** (2 * order)
        for k in range(1, order + 1):
            square *= (2 * Decimal(k) - 1) / (2 * k)
        before, value, values = Decimal(0), square.sqrt(), []
        for k in range(degrees):
            values.append(float(value))
            l = m + k + 1
            root = ((4 * l * l - 1) / ((l - m) * (l + m))).sqrt()
            value, before = root * (cosine * value - before), value
            before /= root
        return np.array(values)


@pytest.mark.parametrize(
    ("theta", "order", "degrees"),
    [
        (2.5e-4, 1, 6000),
        (5e-4, 2, 6000),
        (math.pi - 1e-3, 3, 3000),
        (0.006, 40, 6000),
        (1.57, 2, 60),
        (1.6, 40, 600),
        (0.5, 1000, 700),
        (1.0, 1000, 700),
        (1.5, 1000, 700),
    ],
)
def test_legendre_functions_are_right_from_the_poles_to_the_equator(theta, order, degrees):
    expected = legendre_in_decimals(theta, order, degrees)
    found = kernels.legendre([theta], degrees, order)(0, np.arange(degrees))
    largest = np.abs(expected).max()
    assert np.abs(found - expected).max() <= 5e-15 * largest
    tiny = (np.abs(expected) < 1e-5 * largest) & (np.arange(degrees) < order)
    assert (np.abs(found - expected) <= 2e-14 * np.abs(expected))[tiny].all()


@pytest.mark.parametrize("order", [1, 2, 3, 7, 60, 520, 2000])
def test_amplitudes_of_legendre_functions_are_right_to_rounding(order):
    l = 25 + 2 * order**2 + np.array([0, 1, 10, 100, 10000])
    with localcontext() as context:
        context.prec = 40
        # Gamma(l - m + 1) Gamma(l + m + 1) / Gamma(l + 1)^2
        ratios = [
            math.prod(Decimal(int(k) + n) / (int(k) - order + n) for n in range(1, order + 1))
            for k in l
        ]
        expected = [float(ratio.sqrt()) for ratio in ratios] * np.sqrt(l + 0.5)
    expected *= _gamma_ratio(l + 0.75)  # Gamma(l + 1) / Gamma(l + 3/2)
    assert np.allclose(_amplitudes(l + 0.5, order), expected, rtol=1e-15, atol=0)
    with np.errstate(all="raise", under="ignore"):
        assert np.isfinite(kernels.legendre([1.0, 0.0], 10, order).toarray()).all()


@pytest.mark.parametrize("order", [0, 1, 5, 80, 300])
def test_legendre_functions_are_orthonormal_and_those_of_scipy(order):
    nodes, weights = np.polynomial.legendre.leggauss(400)
    A = kernels.legendre(np.arccos(nodes), 30, order).toarray()
    assert np.allclose(A.T @ (weights[:, None] * A), np.eye(30), atol=1e-9)
    if order <= 5:
        cosine = np.cos(0.3)
        value = kernels.legendre([0.3], 4, order).toarray()[0, 3]
        l = order + 3
        ratio = scipy.special.factorial(l - order) / scipy.special.factorial(l + order)
        plain = scipy.special.lpmv(order, l, cosine) * np.sqrt((l + 0.5) * ratio)
        assert np.isclose(value, (-1) ** order * plain)


def test_helmholtz_solves_its_equation():
    k, h = 3.0, 1e-3
    for dimensions in (2, 3):
        source = np.zeros((1, dimensions))
        centre = np.full(dimensions, 0.6)
        steps = np.concatenate([np.zeros((1, dimensions)), h * np.eye(dimensions),
                                -h * np.eye(dimensions)])  # fmt: skip
        u = kernels.helmholtz(centre + steps, source, k).toarray()[:, 0]
        laplacian = (u[1:].sum() - 2 * dimensions * u[0]) / h**2
        assert abs(laplacian + k**2 * u[0]) < 1e-4 * k**2 * abs(u[0])
    together = kernels.helmholtz(XX, XX, 1.0).toarray()
    assert not np.diag(together).any()
    assert np.allclose(together, together.T)


def test_radon_fractional_fourier_and_laplace():
    n = 3

    def entry(i, j):
        tau, p, w, h = (i // n + 0.5) / n, (i % n + 0.5) / n, j // n, (j % n + 0.5) / n
        return np.exp(2j * np.pi * w * np.hypot(tau, p * h))

    assert np.allclose(kernels.radon(n).toarray(), dense(n * n, n * n, entry))
    # Orders add, up to the edges of the window: a Gaussian is an eigenfunction of all orders.
    m = 64
    u = (np.arange(m) - m / 2) / np.sqrt(m)
    gauss = np.exp(-np.pi * u**2)
    assert np.allclose(kernels.fractional_fourier(m, 0.7).toarray() @ gauss, gauss, atol=1e-10)
    s, t = np.array([0.0, 2.0]), np.array([1.0, 3.0, 5.0])
    assert np.allclose(kernels.laplace(s, t).toarray(), np.exp(-np.outer(s, t)))


def test_kernels_take_any_index_arrays_that_broadcast():
    A = kernels.fio(16)
    D = A.toarray()
    i, j = RNG.integers(16, size=(5, 3, 1)), RNG.integers(16, size=(5, 1, 4))
    assert np.allclose(A(i, j), D[i, j])
    assert np.allclose(A(3, 4), D[3, 4])


@pytest.mark.parametrize(
    "kernel",
    [
        kernels.nudft(2, XX, (2, 3)),
        kernels.fio(6),
        kernels.fio(6, 2),
        kernels.fio2d(3),
        kernels.hankel(6),
        kernels.bessel(6),
        kernels.bessel(6, 1.5),
        kernels.legendre(abs(X), 6, 3),
        kernels.helmholtz(XX, XX, 2.0),
        kernels.radon(3),
        kernels.fractional_fourier(6, 0.5),
        kernels.laplace(abs(X), abs(X)),
    ],
    ids=lambda kernel: kernel.name,
)
def test_a_single_entry_is_that_of_the_matrix(kernel):
    assert np.isclose(kernel(1, 2), kernel.toarray()[1, 2], rtol=1e-13)
    assert np.ndim(kernel(1, 2)) == 0


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: kernels.nudft(4, X, 8), ValueError, "kind is 4"),
        (lambda: kernels.nudft(2, X), ValueError, "modes is None"),
        (lambda: kernels.nudft(3, X), ValueError, "frequencies is None"),
        (lambda: kernels.nudft(3, X, 8, frequencies=X), ValueError, "modes is 8, expected None"),
        (lambda: kernels.nudft(1, X, 8, frequencies=X), ValueError, "frequencies is .* has modes"),
        (lambda: kernels.nudft(2, X, 8, frequencies=X), ValueError, "frequencies is .* has modes"),
        (lambda: kernels.nudft(2, XX, 8), ValueError, "modes is 8"),
        (lambda: kernels.nudft(2, X, 8, sign=0), ValueError, "sign is 0"),
        (lambda: kernels.nudft(2, [np.nan], 8), ValueError, "points has NaN"),
        (lambda: kernels.nudft(2, [1j], 8), TypeError, "points has dtype"),
        (lambda: kernels.nudft(2, XX, [[1, 2], [3]]), TypeError, "modes"),
        (lambda: kernels.fio(8, 3), ValueError, "variant is 3"),
        (lambda: kernels.fio(0), ValueError, "n is 0"),
        (lambda: kernels.bessel(8, -1), ValueError, "order is -1"),
        (lambda: kernels.legendre([1, 4.0], 8), ValueError, "theta has 4.0 at entry 1, but theta"),
        (lambda: kernels.legendre([1.0], 8, 2**26), ValueError, "order is 67108864"),
        (
            lambda: kernels.helmholtz(X, X, 1.0),
            ValueError,
            r"targets .*expected \(n, 2\) or \(n, 3",
        ),
        (lambda: kernels.laplace(XX, X), ValueError, r"s has shape .*expected \(n,\) or \(n, 1\),"),
        (lambda: kernels.laplace([1.0], [1, -2]), ValueError, "t has -2.0 at entry 1, but s and t"),
        (lambda: kernels.helmholtz(XX, XX, 0.0), ValueError, "wavenumber is 0"),
        (lambda: kernels.fractional_fourier(8, 2), ValueError, "order is 2"),
        (lambda: kernels.laplace([-1.0], [1.0]), ValueError, "must not be negative"),
    ],
)
def test_wrong_arguments_are_named(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


def test_kernels_are_public_and_named():
    assert pp.kernels is kernels
    assert "fio variant 1 8x8 complex128" in repr(kernels.fio(8))
