"""Legendre polynomials of any degree, and the changes between Legendre and Chebyshev bases."""

import pickle
import warnings

import numpy as np
import pytest
import scipy.special
from numpy.polynomial import chebyshev, legendre

import papilio as pp
from papilio._util.formulas import Compiled
from papilio._util.legendre import Angles

T = pp.transforms


def recurrence(degrees, theta):
    """P_0 .. P_degrees at cos theta, from differences in long double; theta at most pi / 2."""
    step = 2 * np.sin(theta / 2) ** 2
    values = [np.ones_like(theta)]
    difference = np.zeros_like(theta)
    for k in range(degrees):
        difference = (k * difference - (2 * k + 1) * step * values[-1]) / (k + 1)
        values.append(values[-1] + difference)
    return np.stack(values)


def legendre_polynomials(k, angles):
    """P_k at angles, (degrees, angles), with factors that are taken out again."""
    of_degrees, of_angles = (
        2.0 ** -(np.arange(k.max() + 1) % 3),
        2.0 ** (np.arange(len(angles)) % 5),
    )
    entries = Compiled(lambda: angles.formula(of_degrees, of_angles))
    return entries(np.arange(len(angles)), k) / of_angles / of_degrees[k]


@pytest.mark.slow
def test_legendre_polynomials_of_degree_1e5_are_right_to_a_few_rounding_errors():
    degrees = n = 100_000
    j = np.unique(np.geomspace(1, n // 2, 24).astype(int)) - 1
    pi = np.longdouble("3.14159265358979323846264338327950288")
    exact = recurrence(degrees, pi * (2 * j + 1) / (2 * n))
    k = np.arange(degrees + 1)[:, None]
    for places, signs in ((j, 1), (n - 1 - j, 1 - 2 * (k % 2))):
        values = legendre_polynomials(k, Angles.chebyshev(n)[places])
        assert np.abs(values - signs * exact).max() < 3e-15


def test_legendre_polynomials_at_angles_in_double_precision():
    theta = np.concatenate([[0, 1e-9, np.pi / 2], np.random.default_rng(0).uniform(0, 1.57, 40)])
    k = np.arange(5001)[:, None]
    exact = recurrence(5000, theta.astype(np.longdouble))
    assert np.abs(legendre_polynomials(k, Angles.of(theta)) - exact).max() < 3e-15
    small = legendre_polynomials(k[:40], Angles.of(np.pi - theta))
    assert np.abs(small - scipy.special.eval_legendre(k[:40], -np.cos(theta))).max() < 1e-13
    at_pi = legendre_polynomials(np.arange(3)[:, None], Angles.of(np.array([np.pi])))
    assert at_pi.ravel().tolist() == [1, -1, 1]


def exact_changes(n):
    """Alpert and Rokhlin's entries; p_l = binomial(2 l, l) / 4^l are their Gamma functions."""
    l = np.arange(1, n + 1)
    p = np.concatenate([[1], np.cumprod((2 * l - 1) / (2 * l))])
    to_chebyshev, to_legendre = np.zeros((2, n, n))
    for k in range(n):
        m = np.arange(k % 2, k + 1, 2)
        to_chebyshev[m, k] = 2 * p[(k - m) // 2] * p[(k + m) // 2]
        m, half = m[:-1], (k + m[:-1]) // 2
        to_legendre[m, k] = -k * (m + 0.5) / ((k - m) * (k + m + 1))
        to_legendre[m, k] *= p[(k - m - 2) // 2] / (half * p[half])
        to_legendre[k, k] = 1 / (2 * p[k]) if k else 1
    to_chebyshev[0] /= 2
    return to_chebyshev, to_legendre


def relative_error(F, exact):
    return np.linalg.norm(F.toarray() - exact) / np.linalg.norm(exact)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 16, 61, 150])
def test_small_changes_of_basis_are_exact(n):
    forward, back = exact_changes(n)
    F = T.legendre_to_chebyshev(n)
    assert F.shape == (n, n)
    assert F.dtype == np.float64
    for G, exact in ((F, forward), (F.inv(), back), (T.chebyshev_to_legendre(n), back)):
        assert relative_error(G, exact) <= 2e-15 * n**0.5
        assert relative_error(G.T, exact.T) <= 2e-15 * n**0.5
    assert relative_error(F.T.inv(), back.T) <= 2e-15 * n**0.5
    assert relative_error(F.inv().inv(), forward) <= 2e-15 * n**0.5


@pytest.mark.parametrize(
    ("forward", "n", "tol", "dtype"),
    [
        (True, 1026, None, np.float64),
        (True, 900, 1e-4, np.float32),
        (False, 450, None, np.float64),
        (False, 450, None, np.float32),
    ],
)
def test_compressed_changes_of_basis_meet_the_tolerance(forward, n, tol, dtype):
    make = T.legendre_to_chebyshev if forward else T.chebyshev_to_legendre
    with warnings.catch_warnings():
        warnings.simplefilter("error", pp.CompressionWarning)
        F = make(n, tol, dtype)
    assert F.dtype == dtype
    assert any(isinstance(part, pp.Butterfly) and len(part.factors) > 1 for part in F.parts)
    wanted = tol or (1e-12 if dtype == np.float64 else 1e-6)
    assert relative_error(F, exact_changes(n)[0 if forward else 1]) <= wanted


def test_values_of_polynomials_stay_and_round_trips_return():
    n = 400
    F = T.legendre_to_chebyshev(n)
    G = F.inv()
    rng = np.random.default_rng(0)
    c = rng.standard_normal((n, 3))
    x = np.cos(rng.uniform(0, np.pi, 50))
    a = F @ c
    values = legendre.legval(x, c)
    assert np.abs(chebyshev.chebval(x, a) - values).max() <= 1e-11 * np.abs(values).max()
    assert np.linalg.norm(G @ a - c) <= 1e-11 * np.linalg.norm(c)
    assert np.linalg.norm(F @ (G @ c) - c) <= 1e-11 * np.linalg.norm(c)
    assert np.linalg.norm(F.apply(c.T, axis=1) - a.T) <= 1e-13 * np.linalg.norm(a)
    again = pickle.loads(pickle.dumps(F))
    assert np.array_equal(again @ c, a)
    assert np.array_equal(again.inv() @ c, G @ c)


def test_polynomials_in_several_variables():
    C = np.random.default_rng(1).standard_normal((5, 7))
    F = T.legendre_to_chebyshev((5, 7))
    x, y = np.linspace(-1, 1, 6), np.linspace(0, 1, 6)
    A = (F @ C.ravel()).reshape(C.shape)
    assert np.allclose(chebyshev.chebval2d(x, y, A), legendre.legval2d(x, y, C), atol=1e-13)
    assert np.allclose(F.inv() @ A.ravel(), C.ravel(), atol=1e-13)
    rows = T.chebyshev_to_legendre((5, 7), axes=0) @ C.ravel()
    assert np.allclose(rows.reshape(C.shape), T.chebyshev_to_legendre(5) @ C, atol=1e-14)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((0,), ValueError, "n is 0"),
        ((4.0,), TypeError, r"n is 4\.0"),
        ((4, 0), ValueError, r"tol is 0\.0"),
        ((4, "x"), TypeError, "tol is 'x'"),
        ((4, None, np.complex128), TypeError, "dtype is complex128"),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    for make in (T.legendre_to_chebyshev, T.chebyshev_to_legendre):
        with pytest.raises(error, match=message):
            make(*arguments)
