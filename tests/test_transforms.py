"""Transforms: equal to SciPy's, to rounding, with all that an operator can do."""

import copy
import pickle

import numpy as np
import pytest
import scipy.fft
import scipy.linalg
import scipy.signal
from hypothesis import given
from hypothesis import strategies as st

import papilio as pp
from strategies import random_array

T = pp.transforms
NORMS = ["backward", "ortho", "forward"]
LENGTHS = [1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 15, 16, 17, 30, 32, 47, 60, 64, 97, 101, 128, 210, 257]


def assert_operator(F, matrix, tolerance=1e-12):
    """Its matrix, products from both sides, transposes, any axis."""
    scale = max(1, np.linalg.norm(matrix, axis=1).max(initial=0))

    def close(actual, expected):
        assert actual.shape == expected.shape
        assert np.abs(actual - expected).max(initial=0) <= tolerance * scale

    rng = np.random.default_rng(0)
    m, n = matrix.shape
    assert F.shape == (m, n)
    close(F.toarray(), matrix)
    x, y = rng.uniform(-1, 1, (2, n, 3)), rng.uniform(-1, 1, (2, m))
    close(F @ x, matrix @ x)
    close(F @ x[0, :, 0], matrix @ x[0, :, 0])
    close(F.apply(x, axis=1), matrix @ x)
    close(F.apply(np.moveaxis(x, 1, 2), axis=2), np.moveaxis(matrix @ x, 1, 2))
    close(F @ (1j * x[0]), matrix @ (1j * x[0]))
    close(y @ F, y @ matrix)
    close(F.T @ y[0], matrix.T @ y[0])
    close(F.H @ y.T, matrix.conj().T @ y.T)
    close(F.rmatvec(y[1]), matrix.conj().T @ y[1])
    close(F.conj() @ x[1], matrix.conj() @ x[1])


def assert_inverse(F, tolerance=1e-11):
    identity = F.inv() @ F.toarray()
    assert np.abs(identity - np.eye(F.shape[0])).max() <= tolerance
    identity = F.T.inv() @ F.T.toarray()
    assert np.abs(identity - np.eye(F.shape[0])).max() <= tolerance


@pytest.mark.parametrize("n", [1, 2, 4, 64, 1024])
def test_hadamard_is_scipys_exactly(n):
    F = T.hadamard(n)
    assert np.array_equal(F.toarray(), scipy.linalg.hadamard(n))
    assert np.array_equal(F.inv().toarray(), scipy.linalg.hadamard(n) / n)


@pytest.mark.parametrize("twos", [1, 2, 4, 8])
@pytest.mark.parametrize("m", [12, 20, 28, 40])
def test_other_hadamard_matrices_are_orthogonal_signs_in_natural_order(m, twos):
    n = m * twos
    H = T.hadamard(n).toarray()
    assert np.array_equal(np.abs(H), np.ones((n, n)))
    assert np.array_equal(H @ H.T, n * np.eye(n))
    assert np.array_equal(H, np.kron(scipy.linalg.hadamard(twos), T.hadamard(m).toarray()))
    assert_operator(T.hadamard(n, norm="ortho"), H / n**0.5)
    for order in ("dyadic", "sequency"):
        with pytest.raises(ValueError, match=f"order is '{order}', which is for powers of two"):
            T.hadamard(n, order=order)


@pytest.mark.parametrize("n", [1, 2, 8, 64])
def test_orders_of_hadamard(n):
    natural = scipy.linalg.hadamard(n)
    walsh = T.hadamard(n, order="sequency").toarray()
    assert np.array_equal(np.count_nonzero(np.diff(walsh), axis=1), np.arange(n))
    dyadic = T.hadamard(n, order="dyadic").toarray()
    assert np.array_equal(dyadic, natural[pp.permutations.bit_reversal(n)])


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("n", LENGTHS)
def test_fourier_transforms_of_any_length(n, norm):
    unit = np.eye(n)
    forward = scipy.fft.fft(unit, axis=0, norm=norm)
    assert_operator(T.dft(n, norm=norm), forward)
    assert_operator(T.idft(n, norm=norm), scipy.fft.ifft(unit, axis=0, norm=norm))
    assert_operator(T.rdft(n, norm=norm), scipy.fft.rfft(unit, axis=0, norm=norm))
    assert_operator(T.hartley(n, norm=norm), forward.real - forward.imag)
    for F in (T.dft(n, norm=norm), T.idft(n, norm=norm), T.hartley(n, norm=norm)):
        assert_inverse(F)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("kind", [1, 2, 3, 4])
@pytest.mark.parametrize("n", [2, 3, 4, 5, 8, 12, 17, 32, 63, 64, 101])
def test_cosine_and_sine_transforms(n, kind, norm):
    unit = np.eye(n)
    for make, reference in ((T.dct, scipy.fft.dct), (T.dst, scipy.fft.dst)):
        F = make(n, kind, norm=norm)
        assert F.dtype == np.float64
        assert_operator(F, reference(unit, kind, axis=0, norm=norm))
        assert_inverse(F)


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("n", [16, 60, 101, 1000, 1024, 4096, 2**16])
def test_errors_are_at_most_twice_those_of_scipy(n, dtype):
    rng = np.random.default_rng(n)
    for batch in (1, 9):
        x = random_array(rng, (n, batch), dtype)
        x = x[:, 0].copy() if batch == 1 else x
        exact = scipy.fft.fft(x.astype(np.clongdouble), axis=0)
        ours = np.linalg.norm(T.dft(n, dtype) @ x - exact)
        theirs = np.linalg.norm(scipy.fft.fft(x, axis=0) - exact)
        assert ours <= 2 * theirs


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_real_transforms_keep_the_precision_of_their_input(dtype):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((48, 5)).astype(dtype)
    complex_dtype = np.result_type(dtype, np.complex64)
    for F, expected in (
        (T.dct(48, dtype=dtype), scipy.fft.dct(x, axis=0)),
        (T.dst(48, 4, dtype), scipy.fft.dst(x, 4, axis=0)),
        (T.rdft(48, dtype), scipy.fft.rfft(x, axis=0)),
        (T.circulant(x[:, 0]), scipy.linalg.circulant(x[:, 0]) @ x),
        (T.dct(48).astype(dtype), scipy.fft.dct(x, axis=0)),
    ):
        y = F @ x
        assert y.dtype == (complex_dtype if np.iscomplexobj(expected) else dtype)
        assert np.linalg.norm(y - expected) <= 20 * np.finfo(dtype).eps * np.linalg.norm(expected)
        out = np.empty_like(y)
        assert F.apply(x, out=out) is out
        assert np.array_equal(out, y)


@pytest.mark.parametrize("n", [1, 2, 3, 8, 12, 17, 64, 65, 100, 101])
def test_circulant_and_toeplitz_are_scipys(n):
    rng = np.random.default_rng(n)
    for dtype in (np.float64, np.complex128):
        c, r = random_array(rng, n, dtype), random_array(rng, n + 3, dtype)
        assert_operator(T.circulant(c), scipy.linalg.circulant(c))
        assert_inverse(T.circulant(c), 1e-8)
        assert_operator(T.toeplitz(c, r), scipy.linalg.toeplitz(c, r))
        assert_operator(T.toeplitz(c), scipy.linalg.toeplitz(c))


@given(st.integers(1, 20), st.integers(1, 20), st.sampled_from(["full", "same", "valid"]))
def test_convolutions_are_scipys(n, m, mode):
    if m > n and mode != "full":
        n, m = m, n
    rng = np.random.default_rng(n)
    h = rng.standard_normal(m)
    columns = [scipy.signal.convolve(unit, h, mode) for unit in np.eye(n)]
    F = T.convolution(h, n, mode)
    np.testing.assert_allclose(F.toarray(), np.stack(columns, 1), atol=1e-13)
    circular = T.convolution(h[:n], n, "circular").toarray()
    np.testing.assert_allclose(
        circular, scipy.linalg.circulant(np.pad(h[:n], (0, n - min(m, n)))), atol=1e-13
    )


@pytest.mark.parametrize("n", [1, 2, 5, 8, 64])
def test_shifts_interpolate_band_limited_samples(n):
    k = np.arange(n)
    np.testing.assert_allclose(T.shift(n, 3).toarray(), np.roll(np.eye(n), 3, axis=0), atol=1e-14)
    F = T.shift(n, 0.25)
    for frequency in range((n + 1) // 2):
        x = np.cos(2 * np.pi * frequency * k / n + 1)
        shifted = np.cos(2 * np.pi * frequency * (k - 0.25) / n + 1)
        np.testing.assert_allclose(F @ x, shifted, atol=1e-13)


@pytest.mark.parametrize("whole", [int, np.int64, np.array])
@pytest.mark.parametrize("distance", [2**53 + 1, -(2**60) - 1, 2**62 + 7])
def test_whole_distances_keep_all_digits(distance, whole):
    shifted = np.roll(np.arange(16.0), distance % 16)
    assert np.abs(T.shift(16, whole(distance)) @ np.arange(16.0) - shifted).max() <= 1e-13


@pytest.mark.parametrize("n", [1, 2, 4, 32])
def test_haar_is_orthogonal_and_localized(n):
    A = T.haar(n).toarray()
    np.testing.assert_allclose(A @ A.T, np.eye(n), atol=1e-14)
    np.testing.assert_allclose(A[0], np.full(n, n**-0.5), atol=1e-15)
    for row in range(1, n):
        level = row.bit_length() - 1
        width = n >> level
        start = (row - (1 << level)) * width
        expected = np.zeros(n)
        expected[start : start + width // 2] = width**-0.5
        expected[start + width // 2 : start + width] = -(width**-0.5)
        np.testing.assert_allclose(A[row], expected, atol=1e-15)
    assert_inverse(T.haar(n))


def test_kron_transforms_both_axes():
    rng = np.random.default_rng(0)
    X = random_array(rng, (12, 8), np.complex128)
    F = pp.kron(T.dft(12), T.dft(8))
    np.testing.assert_allclose((F @ X.ravel()).reshape(X.shape), np.fft.fft2(X), atol=1e-12)
    A, B, C = (random_array(rng, shape, np.float64) for shape in ((2, 3), (4, 1), (3, 5)))
    G = pp.kron(A, B, C)
    np.testing.assert_allclose(G.toarray(), np.kron(np.kron(A, B), C), atol=1e-14)
    H = pp.kron(T.hadamard(8), T.hadamard(4))
    assert H.nbytes == 5 * 4 * 8
    assert np.array_equal(H.toarray(), scipy.linalg.hadamard(32))
    S = pp.kron(T.hadamard(4, order="sequency"), A)
    expected = np.kron(T.hadamard(4, order="sequency").toarray(), A)
    np.testing.assert_allclose(S.toarray(), expected, atol=1e-14)


def test_butterflies_of_square_blocks_have_inverses():
    rng = np.random.default_rng(1)
    architecture = pp.Architecture.mixed_radix([2, 3, 2])
    F = pp.Butterfly(
        [random_array(rng, tuple(p), np.complex128) for p in architecture],
        rng.permutation(12),
        rng.permutation(12),
    )
    for G in (F, F.T, F.H, F.conj()):
        np.testing.assert_allclose(G.inv() @ G.toarray(), np.eye(12), atol=1e-9)
    with pytest.raises(ValueError, match=r"factors\[0\] has blocks of \(1, 2\)"):
        pp.kron([[1.0, 2.0]]).inv()
    with pytest.raises(ValueError, match=r"factors\[0\] has a singular block"):
        pp.kron([[1.0, 1.0], [1.0, 1.0]]).inv()
    with pytest.raises(ValueError, match="no exact inverse"):
        T.toeplitz([1.0, 2.0]).inv()
    with pytest.raises(ValueError, match="no exact inverse"):
        T.circulant([1.0, 1.0]).inv()


def test_tied_factors_stay_tied_in_memory():
    n = 256
    assert T.hadamard(n).nbytes == 8 * 4 * 8
    assert T.dft(n).nbytes == 16 * 4 * (n - 1)
    assert T.hadamard(n).nnz == 2 * n * 8
    assert T.hadamard(n).T.factors[0].shape == (1, 2, 2, 1)


def test_quarter_turns_are_exact():
    last = T.dft(8).factors[0][0, 0, 1]
    assert last[0] == 1
    assert last[2] == -1j
    assert abs(last[1] - (0.5**0.5) * (1 - 1j)) < 2e-16


@pytest.mark.parametrize("n", [2, 8, 128])
@pytest.mark.parametrize("name", ["hadamard", "dft", "idft", "orthonormal"])
def test_simplify_finds_the_structure_of_what_was_factorized(n, name):
    exact = {
        "hadamard": T.hadamard(n),
        "dft": T.dft(n),
        "idft": T.idft(n),
        "orthonormal": T.hadamard(n, norm="ortho"),
    }[name]
    F = pp.factorize(
        exact.toarray(),
        exact.architecture,
        column_permutation=None if exact.column_permutation is None else "bit_reversal",
    )
    G = F.simplify()
    assert G.nbytes == exact.nbytes
    # Scales may stand in other factors; the product is the same to rounding.
    assert np.abs(G.toarray() - exact.toarray()).max() <= 1e-15 * n * np.abs(exact.toarray()).max()
    assert G.simplification.relative_change <= 1e-12
    assert G.simplification.nbytes_after == G.nbytes <= F.nbytes == G.simplification.nbytes_before
    assert "butterflies of radix" in str(G.plan(64))
    assert all(change.matrix for change in G.simplification.factors)
    assert f"{G.nbytes} bytes" in str(G.simplification)
    seen = []
    assert F.T.simplify(progress=seen.append).nbytes == exact.nbytes
    assert seen == sorted(seen)
    assert seen[-1] == 1


def test_simplify_keeps_what_has_no_structure_and_respects_the_tolerance():
    rng = np.random.default_rng(2)
    architecture = pp.Architecture.square_dyadic(32)
    F = pp.Butterfly([random_array(rng, tuple(p), np.float64) for p in architecture])
    G = F.simplify()
    assert G.nbytes == F.nbytes
    np.testing.assert_allclose(G.toarray(), F.toarray(), atol=1e-12)
    noisy = pp.Butterfly(
        [
            np.broadcast_to(values, tuple(p)) + 1e-3 * random_array(rng, tuple(p), np.float64)
            for values, p in zip(T.hadamard(32).factors, architecture, strict=True)
        ]
    )
    assert noisy.simplify().nbytes == noisy.nbytes
    rough = noisy.simplify(0.1)
    assert rough.nbytes == T.hadamard(32).nbytes
    assert 1e-4 < rough.simplification.relative_change < 0.1


@pytest.mark.parametrize(
    ("tol", "error"), [("x", TypeError), (-1, ValueError), (np.nan, ValueError)]
)
def test_simplify_refuses_other_tolerances(tol, error):
    with pytest.raises(error, match="tol is"):
        T.hadamard(4).simplify(tol)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_simplify_names_a_factor_that_is_not_finite(value):
    F = pp.Butterfly.random(pp.Architecture.square_dyadic(8), seed=0)
    with pytest.raises(ValueError, match=r"factors\[0\] has values that are NaN or infinite"):
        (value * F).simplify()


def test_bit_reversal_is_an_involution_and_reverses_bits():
    for n in (1, 2, 16, 512):
        q = pp.permutations.bit_reversal(n)
        assert np.array_equal(q[q], np.arange(n))
        bits = max(1, n.bit_length() - 1)
        assert all(int(f"{j:0{bits}b}"[::-1], 2) == q[j] for j in range(n))


def test_the_eight_permutations_contain_identity_and_bit_reversal():
    eight = pp.permutations.default_eight(16)
    assert np.array_equal(eight["000"], np.arange(16))
    assert np.array_equal(eight["001"], pp.permutations.bit_reversal(16))
    assert len({tuple(q) for q in eight.values()}) == 8
    # P = M_2 M_4, by Kronecker products, for n = 4 and c = 110.
    first = np.kron(np.eye(2), np.eye(2))
    swap = np.array([[0, 1], [1, 0]])
    second = scipy.linalg.block_diag(np.eye(2), swap) @ scipy.linalg.block_diag(swap, np.eye(2))
    P = first @ second
    q = pp.permutations.default_eight(4)["110"]
    A = np.arange(16.0).reshape(4, 4)
    K = A @ P.T
    assert all(np.array_equal(K[:, q[j]], A[:, j]) for j in range(4))


@pytest.mark.parametrize("bad", [0, -4, 3, 12])
def test_sizes_must_be_powers_of_two(bad):
    for make in (T.haar, pp.permutations.bit_reversal, pp.permutations.default_eight):
        with pytest.raises(ValueError, match=f"n is {bad}"):
            make(bad)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: T.hadamard(4.0), TypeError, r"n is 4\.0"),
        (lambda: T.hadamard(36), ValueError, "n is 36"),
        (lambda: T.hadamard(6), ValueError, "n is 6"),
        (lambda: T.hadamard(12, order="dyadic"), ValueError, "order is 'dyadic'"),
        (lambda: T.hadamard(4, order="x"), ValueError, "order is 'x'"),
        (lambda: T.hadamard(4, np.int64), TypeError, "dtype is int64"),
        (lambda: T.dft(0), ValueError, "n is 0"),
        (lambda: T.dft(b"ab"), TypeError, "n is b'ab'"),
        (lambda: T.dft(bytearray(b"ab")), TypeError, "n is bytearray"),
        (lambda: T.dft(4, np.float64), TypeError, "dtype is float64"),
        (lambda: T.dft(4, norm="x"), ValueError, "norm is 'x'"),
        (lambda: T.rdft(4, np.complex64), TypeError, "dtype is complex64"),
        (lambda: T.dct(4, 5), ValueError, "type is 5"),
        (lambda: T.dct(1, 1), ValueError, "n is 1, expected at least 2"),
        (lambda: T.dst(-1), ValueError, "n is -1"),
        (lambda: T.circulant([]), ValueError, "c has shape"),
        (lambda: T.circulant(["a"]), TypeError, "c has dtype"),
        (lambda: T.toeplitz([1.0], [[1.0]]), ValueError, "r has shape"),
        (lambda: T.convolution([1.0], 3, "x"), ValueError, "mode is 'x'"),
        (lambda: T.convolution([1.0, 2.0], 1, "valid"), ValueError, "h has 2 entries"),
        (lambda: T.shift(4, "x"), TypeError, "distance is 'x'"),
        (lambda: T.shift(4, np.inf), ValueError, "distance is inf"),
        (pp.kron, ValueError, "no operators"),
        (lambda: pp.kron([[[1.0]]]), ValueError, r"operators\[0\] has shape"),
        (lambda: pp.Composition([]), ValueError, "parts is empty"),
        (lambda: pp.Composition(3), TypeError, "parts is 3"),
        (
            lambda: pp.Composition([T.dft(4), 3]),
            TypeError,
            r"parts\[1\] is 3",
        ),
        (lambda: pp.Composition([T.dft(4), T.dft(8)]), ValueError, r"parts\[0\] has shape"),
        (lambda: T.dct(4).astype(np.int64), TypeError, "dtype is int64"),
        (lambda: T.rdft(4).astype(np.float32), TypeError, "dtype is float32"),
        (lambda: T.dct(4) @ np.ones(3), ValueError, r"x has shape \(3,\)"),
        (lambda: T.dct(4).apply(np.ones(4), axis=1), ValueError, "axis is 1"),
        (lambda: T.dct(4).apply(np.ones(4), out=np.ones(3)), ValueError, "out has shape"),
    ],
)
def test_bad_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_compositions_are_operators_of_scipy():
    F = T.dct(32)
    x = np.arange(32.0)
    np.testing.assert_allclose((2 * F) @ x, 2 * scipy.fft.dct(x), atol=1e-12)
    np.testing.assert_allclose((F @ T.dct(32, 3)) @ x, 64 * x, atol=1e-12)
    np.testing.assert_allclose(F.matmat(np.eye(32)), F.toarray(), atol=1e-13)
    assert "32x32 float64: 1 butterflies" in repr(F)
    assert len(F.parts) == 3
    for G in (F, F.T, T.dft(17).H, T.dft(101).H, T.circulant(x + 1)):
        again = pickle.loads(pickle.dumps(G))
        assert np.array_equal(again.toarray(), G.toarray())
        assert np.array_equal(again.inv().toarray(), G.inv().toarray())
        assert copy.deepcopy(G) is copy.copy(G) is G
    assert (F @ np.ones((32, 0))).shape == (32, 0)


_CODED = {
    "dft": T.dft,
    "rdft": T.rdft,
    "irdft": T.irdft,
    "hartley": T.hartley,
    "shift": lambda n: T.shift(n, 0.25),
    "circulant": lambda n: T.circulant(np.arange(n) + 1.0),
    "toeplitz": lambda n: T.toeplitz(np.arange(n) + 1.0, np.arange(n + 1) + 1.0),
    "czt": lambda n: T.czt(n, n + 3),
} | {
    f"{name} {kind} {extra}": lambda n, name=name, kind=kind, extra=extra: getattr(T, name)(
        n + 1, kind, **extra
    )
    for name in ("dct", "dst")
    for kind in (1, 2, 3, 4)
    for extra in ({}, {"norm": "ortho"}, {"orthogonalize": True})
}


@pytest.mark.parametrize("name", _CODED)
def test_all_transforms_come_back_from_their_pickles(name):
    for n in (1, 2, 3, 8, 15, 64):
        F = _CODED[name](n)
        for G in (F, F.T, F.H, 2 * F @ F.T):
            again = pickle.loads(pickle.dumps(G))
            x = np.cos(np.arange(G.shape[1]))
            np.testing.assert_array_equal(again @ x, G @ x)
        if name.startswith(("d", "hartley", "shift")):
            pickle.loads(pickle.dumps(F.inv()))


def test_simplify_keeps_what_is_small_but_right():
    rng = np.random.default_rng(3)
    # Graded values; rows and columns of very different sizes; large and small ones that meet.
    graded = 10.0 ** -rng.uniform(0, 20, (1, 4, 4, 1))
    a, b = 10.0 ** rng.uniform(-20, 20, (2, 4))
    rows = rng.standard_normal((1, 4, 4, 1)) * a[:, None, None]
    across = b[:, None, None]
    for factors in (
        [graded],
        [rows],
        [np.eye(4)[None, :, :, None] * a[:, None, None], np.ones((1, 4, 4, 1)) / across],
        [rng.standard_normal((1, 4, 4, 1)) * b[:, None], rng.random((1, 4, 4, 1)) / across],
    ):
        F = pp.Butterfly(factors)
        G = F.simplify()
        np.testing.assert_allclose(G.toarray(), F.toarray(), rtol=1e-9, atol=0)


@pytest.mark.parametrize("power", [-1000, -500, 500, 1000])
def test_simplify_at_any_scale_tells_the_true_change(power):
    H = T.hadamard(16)
    factors = [
        np.array(np.broadcast_to(f, tuple(p)))
        for f, p in zip(H.factors, H.architecture, strict=True)
    ]
    noise = np.random.default_rng(0).standard_normal(factors[0].shape)
    factors[0] *= 2.0**power * (1 + 1e-13 * noise)
    F = pp.Butterfly(factors)
    G = F.simplify()
    assert G.nbytes == H.nbytes
    true = np.linalg.norm((G.toarray() - F.toarray()) / 2.0**power) / np.linalg.norm(H.toarray())
    assert G.simplification.relative_change == pytest.approx(true, rel=1e-2)
