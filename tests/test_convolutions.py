"""Chirp transforms; circulant and Toeplitz matrices: batches, several levels, systems."""

import pickle
from fractions import Fraction

import numpy as np
import pytest
import scipy.linalg
import scipy.signal

import papilio as pp
from papilio._util.turns import multiples, turns_of, waves

T = pp.transforms
DTYPES = ["float32", "float64", "complex64", "complex128"]


def numbers(shape, dtype="complex128", seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        x = x + 1j * rng.standard_normal(shape)
    return x.astype(dtype)


def room(dtype):
    return 2000 * float(np.finfo(dtype).eps)


def exact_czt(x, m, step, start):
    """The sums with angles as fractions of a turn, exactly reduced."""
    phases = [[j * (start + k * step) % 1 for j in range(len(x))] for k in range(m)]
    return np.exp(-2j * np.pi * np.array(phases, float)) @ x


def test_multiples_of_fractions_of_a_turn_are_reduced_exactly():
    k = np.array([0, 1, 7, 2**40 + 1, -(2**40) - 3, 2**61 - 1])
    for angle in (Fraction(1, 3), Fraction(-2, 7), Fraction(5, 2**30 + 1), Fraction(10**40, 3**80)):
        exact = [(angle * int(n) + Fraction(1, 2)) % 1 - Fraction(1, 2) for n in k]
        assert np.abs(multiples(angle, k) - np.array(exact, float)).max() <= 2.0**-53
    assert waves(Fraction(1, 4), np.arange(4)).tolist() == [1, 1j, -1, -1j]


def test_roots_of_unity_are_recognized():
    for p, q in ((1, 7), (-3, 1000), (5, 12), (1, 2), (12345, 999983)):
        assert turns_of(complex(np.exp(2j * np.pi * p / q))) == Fraction(p, q)
    assert abs(float(turns_of(2 + 1j)) - np.angle(2 + 1j) / (2 * np.pi)) < 1e-16


@pytest.mark.parametrize(("n", "m"), [(1, 1), (5, 3), (3, 5), (64, 64), (100, 37), (37, 300)])
def test_chirp_transforms_are_scipys(n, m):
    x = numbers(n)
    for w, a in (
        (None, 1),
        (np.exp(-2j * np.pi / 17), np.exp(0.3j)),
        (np.exp(-0.0123j), 1j),
        (0.9999 * np.exp(0.1j), 1.001j),
    ):
        expected = scipy.signal.czt(x, m, w, a)
        y = T.czt(n, m, w, a) @ x
        assert np.linalg.norm(y - expected) <= 1e-11 * np.linalg.norm(expected)
    for fn, fs, endpoint in ((0.3, 2, False), ([0.1, 0.5], 2, False), ([10, 20.0], 100, m > 1)):
        expected = scipy.signal.zoom_fft(x, fn, m, fs=fs, endpoint=endpoint)
        y = T.zoom_fft(n, fn, m, fs=fs, endpoint=endpoint) @ x
        assert np.linalg.norm(y - expected) <= 1e-11 * np.linalg.norm(expected)


def test_chirp_transforms_of_roots_of_unity_lose_no_digits():
    x = numbers(1000)
    w = np.exp(-2j * np.pi / 5000)
    exact = np.fft.fft(x, 5000)
    y = T.czt(1000, 5000, w) @ x
    assert np.linalg.norm(y - exact) <= 2e-15 * np.linalg.norm(exact)
    # What SciPy loses in its powers of w.
    assert np.linalg.norm(scipy.signal.czt(x, 5000, w) - exact) > 1e-12 * np.linalg.norm(exact)
    x, first, last = numbers(300), 0.1, 0.13
    step = (Fraction(last) - Fraction(first)) / 20
    exact = exact_czt(x, 20, step, Fraction(first))
    y = T.zoom_fft(300, [first, last], 20, fs=1) @ x
    assert np.linalg.norm(y - exact) <= 2e-15 * np.linalg.norm(exact)
    assert T.czt(300, dtype="complex64").dottest() < 1e-5


def test_whole_frequencies_keep_all_digits():
    first, rate = 2**61 + 5, 2**62 + 3
    x, step = numbers(9), Fraction(3, 4)
    y = T.zoom_fft(9, [first, first + 3], 4, fs=rate) @ x
    expected = exact_czt(x, 4, step / rate, Fraction(first, rate))
    assert np.abs(y - expected).max() <= 1e-13


def test_wrong_arguments_of_chirp_transforms_are_named():
    for call, error, message in (
        (lambda: T.czt(0), ValueError, "n is 0"),
        (lambda: T.czt(8, 0), ValueError, "m is 0"),
        (lambda: T.czt(8, w=0), ValueError, "w is 0"),
        (lambda: T.czt(8, a=np.nan), ValueError, "a is nan"),
        (lambda: T.czt(8, w="x"), TypeError, "w is 'x'"),
        (lambda: T.czt(1000, w=2.0), ValueError, "w and a have powers"),
        (lambda: T.czt(4, w=complex(1.7e308, 1.7e308)), ValueError, "w and a have powers"),
        (lambda: T.czt(5000, a=0.5), ValueError, "w and a have powers"),
        (lambda: T.czt(8, dtype="float64"), TypeError, "dtype is float64"),
        (lambda: T.zoom_fft(8, [1, 2, 3]), ValueError, "fn has shape"),
        (lambda: T.zoom_fft(8, 1, fs=0), ValueError, "fs is 0"),
        (lambda: T.zoom_fft(8, 1, 1, endpoint=True), ValueError, "m is 1"),
    ):
        with pytest.raises(error, match=message):
            call()


def exact_off_the_circle(n, m, w, a):
    """The matrix, in extended precision."""
    j, k = np.arange(n), np.arange(m)[:, None]
    w, a = np.log(np.clongdouble(w)), np.log(np.clongdouble(a))
    return np.exp(j * (k * w - a)).astype(complex)


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize(
    ("n", "m", "size", "a"),
    [
        (50, 60, 0.98, 1.02),
        (50, 60, 0.995, 1),
        (50, 60, 1.01, 1),
        (200, 100, 0.998, 1.01),
        (300, 20, 0.99, 1),
        (20, 300, 1 / 0.99, 1.5),
        (200, 210, 1.00005, 0.999j),
        (400, 300, 0.9999, 1),
    ],
)
def test_chirps_off_the_circle_lose_few_digits(n, m, size, a, dtype, tmp_path):
    w = size * np.exp(-0.1j)
    F = T.czt(n, m, w, a, dtype)
    A = exact_off_the_circle(n, m, w, a)
    rows = np.linalg.norm(F.toarray() - A, axis=1) / np.linalg.norm(A, axis=1)
    assert rows.max() <= 200 * np.finfo(dtype).eps
    F.save(tmp_path / "F.npz")
    for G in (pp.load(tmp_path / "F.npz"), pickle.loads(pickle.dumps(F))):
        assert (G.toarray() == F.toarray()).all()
    with pytest.raises(ValueError, match="no exact inverse"):
        F.inv()


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize(
    ("n", "m", "a"),
    [(3, 2, 1e-15), (3, 5, 1e15), (40, 60, 0.13), (40, 60, 7j), (2500, 20, 3.0), (2500, 2000, 3.0)],
)
def test_only_powers_of_a_that_overflow_are_refused(n, m, a, dtype):
    F = T.czt(n, m, None, a, dtype)
    j, k = np.arange(n), np.arange(m)[:, None]
    A = np.exp(-2j * np.pi / m * (j * k % m)) * np.clongdouble(a) ** -j
    x = numbers(n)
    assert np.abs(F @ x - A @ x).max() <= 60 * np.finfo(dtype).eps * np.linalg.norm(A[0] * x)


def test_moduli_that_overflow_are_those_of_any_number():
    a = complex(1.7e308, -1.7e308)
    expected = np.array([[1, (0.5 + 0.5j) / 1.7e308], [1, (-0.5 - 0.5j) / 1.7e308]])
    assert np.abs(T.czt(2, a=a).toarray() - expected).max() <= 1e-322


@pytest.mark.parametrize(
    ("w", "a"), [(1.0, 0.13), (-1.0, 2e-3), (0.7, -3.0), (1.3, 0.9), (-0.6, 2e3)]
)
def test_powers_of_hundreds_of_digits_are_rounded_once(w, a):
    exact = [[(Fraction(w) ** k / Fraction(a)) ** j for j in range(40)] for k in range(25)]
    A = np.array(exact, float)
    rows = np.linalg.norm(T.czt(40, 25, w, a).toarray() - A, axis=1) / np.linalg.norm(A, axis=1)
    assert rows.max() <= 6 * np.finfo(float).eps


def test_chirps_off_the_circle_that_are_too_long_for_the_matrix():
    x = numbers(2500)
    w = 0.999997 * np.exp(-0.1j)
    with pytest.warns(
        RuntimeWarning, match="w has modulus 0.999997: outputs would be off by"
    ) as told:
        F = T.czt(2500, 2000, w)
    assert told[0].filename == __file__
    # Rows 0 and 1999 are powers of 1 and of w^1999: a matrix of two rows.
    A = exact_off_the_circle(2500, 2, w**1999, 1)
    away = np.abs((F @ x)[[0, 1999]] - A @ x) / np.linalg.norm(A, axis=1) / np.linalg.norm(x)
    assert away.max() <= 1e-10
    with pytest.raises(
        ValueError, match="w has modulus 0.9999.*closer to 1, fewer points or complex128"
    ):
        T.czt(2500, 2000, 0.99998 * w / abs(w), dtype="complex64")
    F = T.czt(2500, 2000, 0.9999999 * w / abs(w), dtype="complex64")
    assert len(F.parts) > 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 2, 5, 8, 67, 130])
def test_batches_of_circulant_and_toeplitz_matrices_are_block_diagonal(n, dtype):
    c, r = numbers((3, n), dtype), numbers((3, n + 2), dtype, 1)
    for F, dense in (
        (T.circulant(c), scipy.linalg.block_diag(*map(scipy.linalg.circulant, c))),
        (T.toeplitz(c, r), scipy.linalg.block_diag(*map(scipy.linalg.toeplitz, c, r))),
    ):
        x = numbers((F.shape[1], 2), dtype, 2)
        assert F.dtype == dtype
        assert np.abs(F @ x - dense @ x).max() <= room(dtype) * np.sqrt(n)
        assert F.dottest() <= room(dtype)
    F = T.circulant(c)
    assert np.allclose(F.inv() @ (F @ np.ones(3 * n)), 1, atol=0.1 if "32" in dtype else 1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(4, 6), (5, 7), (3, 4, 5), (6,), (1, 4), (4, 1), (3, 67)])
def test_block_circulant_matrices_convolve_periodically(shape, dtype):
    c, x = numbers(shape, dtype), numbers(shape, dtype, 1)
    F = T.block_circulant(c)
    expected = np.fft.ifftn(np.fft.fftn(c) * np.fft.fftn(x))
    y = F @ x.ravel()
    assert y.dtype == dtype
    assert np.abs(y.reshape(shape) - expected).max() <= room(dtype) * np.abs(expected).max()
    assert F.dottest() <= room(dtype)
    assert np.allclose(F.inv() @ y, x.ravel(), atol=0.1 if "32" in str(y.real.dtype) else 1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("whole", "inner"), [((7, 9), (4, 5)), ((7, 9), (7, 1)), ((5, 6, 7), (2, 3, 3)), ((9,), (4,))]
)
def test_block_toeplitz_matrices_are_valid_convolutions(whole, inner, dtype):
    t, x = numbers(whole, dtype), numbers(inner, dtype, 1)
    F = T.block_toeplitz(t, inner)
    expected = scipy.signal.convolve(t, x, "valid", "direct")
    y = (F @ x.ravel()).reshape(expected.shape)
    assert np.abs(y - expected).max() <= room(dtype) * max(1, np.abs(expected).max())
    assert F.dottest() <= room(dtype)


def test_pseudo_inverses_are_numpys():
    c = np.array([[2.0, -1, 0, 0, -1], [1, 1, 1, 1, 1], [3, 1, 0, 0, 0]])
    dense = scipy.linalg.block_diag(*map(scipy.linalg.circulant, c))
    assert np.allclose(T.circulant_pinv(c).toarray(), np.linalg.pinv(dense))
    assert np.allclose(
        T.circulant_pinv(c[0], 0.5).toarray(), np.linalg.pinv(dense[:5, :5], rcond=0.5)
    )
    assert not T.circulant_pinv(np.zeros(4)).toarray().any()
    with pytest.raises(ValueError, match="singular"):
        T.circulant(c).inv()
    with pytest.raises(ValueError, match="c has values of its spectrum whose reciprocals"):
        T.circulant_pinv([1e-310, 0, 0])
    with pytest.raises(ValueError, match="rcond is 2"):
        T.circulant_pinv(c, 2)


@pytest.mark.parametrize("n", [1, 40, 2500])
@pytest.mark.parametrize("kind", ["positive", "Hermitian", "general", "indefinite", "single"])
def test_toeplitz_systems_are_solved_with_their_true_residual(n, kind):
    j = np.arange(n)
    c, r = {
        "positive": (0.9**j, None),
        "Hermitian": ((0.7 * np.exp(0.3j)) ** j, None),
        "general": ((0.6j) ** j, 0.5**j),
        "indefinite": (np.where(j == 0, 0.1, 0.8**j), None),
        "single": ((0.9**j).astype(np.float32), None),
    }[kind]
    x = numbers((n, 2), c.dtype)
    rows = c.conj() if r is None else r
    b = scipy.linalg.matmul_toeplitz((c, rows), x).astype(np.result_type(c, x))
    found = T.solve_toeplitz(c, b, r)
    assert found.x.dtype == b.dtype
    assert found.x.shape == b.shape
    assert found.reached
    assert (found.method == "Levinson") == (n <= 2048) == (found.iterations == 0)
    if n <= 2048:
        rest = b - scipy.linalg.toeplitz(c, rows) @ found.x.astype(np.result_type(found.x, float))
        true = (np.linalg.norm(rest, axis=0) / np.linalg.norm(b, axis=0)).max()
        assert abs(found.residual - true) <= 1e-14 + 1e-6 * (kind == "single")
    assert np.abs(found.x - x).max() <= 1e4 * np.finfo(b.dtype).eps * np.abs(x).max() * 50


def test_toeplitz_solutions_tell_their_way():
    n = 3000
    c = 0.9 ** np.arange(n)
    seen = []
    found = T.solve_toeplitz(c, T.toeplitz(c) @ np.ones((n, 2)), progress=seen.append)
    assert len(found.history) == found.iterations + 1 == len(seen) + 1
    assert found.history[0] == 1
    assert found.history[-1] <= found.tol == 1e-12
    assert seen == sorted(seen)
    assert seen[-1] == 1
    with pytest.raises(TypeError, match="progress is 'yes', expected True, False or a callable"):
        T.solve_toeplitz([2.0, 1], [1.0, 1], progress="yes")


def test_toeplitz_systems_that_do_not_converge_say_so():
    with pytest.raises(np.linalg.LinAlgError, match="c and r make a matrix"):
        T.solve_toeplitz([0.0, 1, 2], np.ones(3))
    n = 2500
    c = np.zeros(n)
    c[:2] = 2, -1  # condition (n / pi)^2 and more: the residual of 1e-15 isn't to be had
    found = T.solve_toeplitz(c, np.ones(n), tol=1e-15, max_iterations=2)
    assert found.method == "Levinson"
    assert not found.reached
    assert found.residual > 1e-15
    for call, message in (
        (lambda: T.solve_toeplitz(c, np.ones(3)), "b has shape"),
        (lambda: T.solve_toeplitz(c, np.ones(n), c[:4]), "r has 4 entries"),
        (lambda: T.solve_toeplitz(c[None], np.ones(n)), "c has shape"),
        (lambda: T.solve_toeplitz(c, np.ones(n), tol=2), "tol is 2"),
        (lambda: T.block_toeplitz(np.ones((3, 3)), (4, 1)), "n is"),
        (lambda: T.block_circulant(np.float64(1)), "c has shape"),
        (lambda: T.toeplitz(np.ones((2, 3)), np.ones((3, 3))), "r has shape"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("norm", [None, "ortho", "forward"])
@pytest.mark.parametrize("name", ["dct", "dst"])
def test_orthogonalize_is_scipys(name, norm):
    for n in (2, 5, 8):
        x = numbers(n, "float64")
        for kind in (1, 2, 3, 4):
            for weighted in (True, False):
                F = getattr(T, name)(n, kind, norm=norm, orthogonalize=weighted)
                y = getattr(scipy.fft, name)(x, kind, norm=norm, orthogonalize=weighted)
                assert np.allclose(F @ x, y)
                assert np.allclose(F.inv() @ y, x)
    with pytest.raises(TypeError, match="orthogonalize is 1"):
        T.dct(8, orthogonalize=1)


@pytest.mark.parametrize("n", [6, 301])
@pytest.mark.parametrize("dtype", ["float64", "complex64"])
def test_batches_of_circulant_and_toeplitz_matrices_take_arrays(n, dtype):
    c = numbers((3, n), dtype)
    c[:, 0] += 3 * n
    x = numbers((4, n, 3), dtype, seed=1)
    C = T.circulant(c)
    for F in (C, C.inv(), T.circulant_pinv(c), C.T, C.conj()):
        assert F.dims == F.dimsd == (3, n)
        expected = np.einsum(
            "kij,bjk->bik", F.toarray().reshape(3, n, 3, n)[range(3), :, range(3)], x
        )
        assert abs(F.apply(x, axes=(2, 1)) - expected).max() <= room(dtype) * abs(expected).max()
    F = T.toeplitz(c, c[:, :4])
    assert (F.dimsd, F.dims, F.H.dims) == ((3, n), (3, 4), (3, n))
    assert F.apply(x[:, :4], axes=(2, 1)).shape == x.shape
    assert T.circulant(c[0]).dims == (n,)


def test_entries_whose_spectrum_overflows_are_named():
    big = np.full(400, 1e308)
    for name, make in (
        ("c", lambda: T.circulant(big)),
        ("c", lambda: T.block_circulant(np.stack([big, big]))),
        ("c or r", lambda: T.toeplitz(big, big)),
        ("h", lambda: T.convolution(big, 400)),
        ("h", lambda: T.convolution(big, 400, "circular")),
        ("t", lambda: T.block_toeplitz(big, 9)),
        ("t", lambda: T.block_toeplitz(big.reshape(20, 20) * (1 + 1j), (9, 9))),
    ):
        with pytest.raises(ValueError, match=rf"^{name} has entries up to 1e\+308"):
            make()


@pytest.mark.parametrize("dtype", ["float32", "complex64", "float64", "complex128"])
def test_circulant_matrices_near_the_limits_of_their_dtype_keep_digits(dtype):
    limits = np.finfo(dtype)
    c, x = numbers((2, 4096), dtype), numbers(8192, dtype, seed=1)
    c[:, 0] += 300
    large = 2.0 ** (limits.maxexp - 10)
    for F, G, scale in (
        (T.circulant(c).inv(), T.circulant(c * large).inv(), large),
        (T.circulant_pinv(c), T.circulant_pinv(c * large), large),
        (T.block_circulant(c).inv(), T.block_circulant(c * large).inv(), large),
    ):
        expected, found = F @ x, (G @ x) * scale
        assert np.linalg.norm(found - expected) <= 4 * limits.eps * np.linalg.norm(expected)
    # Each row of its own scale: of 1, and as small as can be divided by all that is divided by.
    both = np.stack([c[0], c[0] * float(limits.tiny)])
    y = (T.circulant(both) @ np.tile(x[:4096], 2)).reshape(2, -1)
    error = np.linalg.norm(y[1] / float(limits.tiny) - y[0])
    assert error <= 4 * limits.eps * np.linalg.norm(y[0])


@pytest.mark.parametrize("n", [30, 2500])
def test_toeplitz_systems_of_any_scale_are_solved(n):
    c, ones = 0.9 ** np.arange(n), np.ones(n)
    plain = T.solve_toeplitz(c, ones)
    for of_T, of_b in ((1, 2.0**-560), (2.0**-660, 2.0**-660), (2.0**660, 2.0**660), (1, 2.0**660)):
        found = T.solve_toeplitz(of_T * c, of_b * ones)
        assert found.residual == plain.residual and found.reached
        np.testing.assert_array_equal(found.x, plain.x * (of_b / of_T))
    both = T.solve_toeplitz(c, np.stack([2.0**-560 * ones, ones], 1))
    assert both.reached and np.allclose(both.x[:, 0] * 2.0**560, plain.x, atol=1e-11)
    assert T.solve_toeplitz(c, np.ones((n, 0))).x.shape == (n, 0)
    with pytest.raises(OverflowError, match="float32"):
        small = np.float32(1e-30) * c.astype(np.float32)
        T.solve_toeplitz(small, np.full(n, 1e30, np.float32))
    none = T.solve_toeplitz(2.0**660 * c, 2.0**-660 * ones)
    assert not none.x.any() and none.residual == 1 and not none.reached
    lost = T.solve_toeplitz(2.0**660 * c, 2.0**-410 * ones)  # its x is made of few bits
    assert lost.residual > 1e-6 and not lost.reached
