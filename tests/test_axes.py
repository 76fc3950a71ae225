"""Transforms along axes of flattened arrays, and Kronecker products, of butterflies and others."""

import itertools
import pickle
import tracemalloc

import numpy as np
import pytest
import scipy.fft
from hypothesis import given, settings
from hypothesis import strategies as st

import papilio as pp
from strategies import random_array

T = pp.transforms
NORMS = ["backward", "ortho", "forward"]
SHAPES = [(6,), (4, 3, 2), (3, 1, 4), (2, 17)]


def choices_of_axes(shape):
    for count in range(1, len(shape) + 1):
        yield from itertools.permutations(range(len(shape)), count)


def assert_equal(F, x, expected, tolerance=1e-13):
    y = F @ x.ravel()
    assert y.dtype == expected.dtype
    assert np.abs(y.reshape(expected.shape) - expected).max() <= tolerance * np.abs(expected).max()


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("shape", SHAPES)
def test_transforms_of_any_axes_are_scipys(shape, norm):
    rng = np.random.default_rng(0)
    x, z = random_array(rng, shape, np.float64), random_array(rng, shape, np.complex128)
    for axes in choices_of_axes(shape):
        given = {"axes": axes, "norm": norm}
        assert_equal(T.dft(shape, **given), z, scipy.fft.fftn(z, **given))
        assert_equal(T.idft(shape, **given), z, scipy.fft.ifftn(z, **given))
        assert_equal(T.rdft(shape, **given), x, scipy.fft.rfftn(x, **given))
        assert_equal(T.dct(shape, **given), x, scipy.fft.dctn(x, **given))
        assert_equal(T.dst(shape, 3, **given), x, scipy.fft.dstn(x, 3, **given))
        for F in (T.dft(shape, **given), T.dct(shape, **given), T.hartley(shape, **given)):
            v = z if F.dtype.kind == "c" else x
            np.testing.assert_allclose(F.inv() @ (F @ v.ravel()), v.ravel(), atol=1e-13)
    assert_equal(T.dft(shape, norm=norm), z, scipy.fft.fftn(z, norm=norm))
    assert_equal(T.dct(shape, axes=-1), x, scipy.fft.dct(x))


def test_real_butterflies_act_on_axes():
    x = random_array(np.random.default_rng(1), (4, 3, 8), np.float64)
    for make in (T.hadamard, T.haar, T.hartley):
        first, last = make(4).toarray(), make(8).toarray()
        expected = np.einsum("ai,ijk,bk->ajb", first, x, last)
        assert_equal(make((4, 3, 8), axes=(0, 2)), x, expected)
        assert_equal(make(4, axes=0), x[:, 0, 0], first @ x[:, 0, 0])
    sequency = T.hadamard((4, 3, 8), axes=2, order="sequency")
    assert_equal(sequency, x, x @ T.hadamard(8, order="sequency").toarray())


def test_axes_of_butterflies_are_a_butterfly_that_shares_what_repeats():
    for F in (T.dft((4, 3, 5), axes=(2, 0)), T.hadamard((4, 3, 5), axes=0), T.haar((4, 2))):
        assert isinstance(F, pp.Butterfly)
    assert T.hadamard((64, 1000, 32), axes=(0, 2)).nbytes == 11 * 4 * 8
    # Along the last axis twiddles are tied; along others they repeat for each later index.
    assert T.dft((1000, 64), axes=1).nbytes == T.dft(64).nbytes
    assert T.dft((64, 10), axes=0).nbytes == T.dft(64).nbytes
    assert isinstance(T.dft((4, 67)), pp.Composition)  # radices up to 61 are factors
    tracemalloc.start()
    F = T.hadamard((1024, 1024))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert F.shape == (1 << 20, 1 << 20)
    assert peak < 1 << 20


def test_one_length_is_built_once(monkeypatch):
    built = []
    original = T.polynomials._compressed
    monkeypatch.setattr(
        T.polynomials,
        "_compressed",
        lambda f, shape, *rest: built.append(shape[0]) or original(f, shape, *rest),
    )
    T.legendre_to_chebyshev((4, 5, 4))
    assert sorted(built) == [4, 5]


@settings(max_examples=30)
@given(st.lists(st.sampled_from(["dct", "dft", "hadamard", "rdft", "matrix"]), min_size=1,
                max_size=3), st.integers(0, 1000))  # fmt: skip
def test_kronecker_products_of_anything_are_numpys(names, seed):
    rng = np.random.default_rng(seed)
    makers = {
        "dct": lambda: T.dct(3), "dft": lambda: T.dft(4), "hadamard": lambda: T.hadamard(2),
        "rdft": lambda: T.rdft(4), "matrix": lambda: rng.standard_normal((2, 3)),
    }  # fmt: skip
    operators = [makers[name]() for name in names]
    F = pp.kron(*operators)
    expected = np.eye(1)
    for operator in operators:
        dense = operator if isinstance(operator, np.ndarray) else operator.toarray()
        expected = np.kron(expected, dense)
    composed = {"dct", "rdft"} & set(names)
    assert isinstance(F, pp.Composition if composed else pp.Butterfly)
    assert F.dtype == expected.dtype
    X = random_array(rng, (2, F.shape[1], 3), np.float64)
    Y = random_array(rng, (2, F.shape[0]), np.complex128)
    for found, wanted in (
        (F.toarray(), expected),
        (F.apply(X, axis=1), expected @ X),
        (F.apply(X.T, axis=1), np.moveaxis(expected @ X, 0, 2).swapaxes(0, 1)),
        (F @ X, expected @ X),
        (Y @ F, Y @ expected),
        (F.T @ Y.T, expected.T @ Y.T),
        (F.H @ Y[0], expected.conj().T @ Y[0]),
        (F.conj() @ X[0], expected.conj() @ X[0]),
        (pickle.loads(pickle.dumps(F)) @ X, expected @ X),
    ):
        np.testing.assert_allclose(found, wanted, atol=1e-12)
    single = F.astype(np.complex64 if F.dtype.kind == "c" else np.float32)
    np.testing.assert_allclose(single @ X.astype(np.float32), expected @ X, rtol=1e-3, atol=1e-4)
    assert (single @ X.astype(np.float32)).dtype == single.dtype


def test_kronecker_products_have_the_inverse_of_their_operators():
    F = pp.kron(T.dct(3), T.dft(4))
    np.testing.assert_allclose(F.inv().toarray(), np.linalg.inv(F.toarray()), atol=1e-13)
    np.testing.assert_allclose(F.T.inv().toarray(), np.linalg.inv(F.toarray()).T, atol=1e-13)
    with pytest.raises(ValueError, match="no exact inverse"):
        pp.kron(T.toeplitz([1.0, 2.0]), T.dft(2)).inv()
    with pytest.raises(ValueError, match="no exact inverse"):
        pp.kron(T.rdft(4), T.dft(2)).inv()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: T.dft((4, 0)), ValueError, r"n\[1\] is 0"),
        (lambda: T.dct((4, 2.0)), TypeError, r"n\[1\] is 2\.0"),
        (lambda: T.dft(()), ValueError, "n is empty"),
        (lambda: T.dft("4"), TypeError, "n is '4'"),
        (lambda: T.dft((4, 4), axes=2), ValueError, "axes is 2, expected at least one of the 2"),
        (lambda: T.dst((4, 4), axes=(0, -3)), ValueError, "axes is"),
        (lambda: T.hadamard((4, 4), axes=(0, -2)), ValueError, "each axis once"),
        (lambda: T.haar((4, 4), axes=()), ValueError, "axes is"),
        (lambda: T.rdft((4, 4), axes=0.5), TypeError, "axes is 0.5"),
        (lambda: T.hadamard((4, 6)), ValueError, "n is 6"),
        (lambda: T.dct((4, 1), 1), ValueError, "n is 1"),
        (lambda: pp.kron(T.dct(4), "x"), TypeError, r"operators\[1\] is 'x'"),
    ],
)
def test_bad_shapes_and_axes_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_blocks_that_share_simd_vectors_stay_together():
    # Outputs were wrong, and memory was written out of bounds: lanes run along two blocks there.
    for shape, axes in (((2, 12), (0, 1)), ((2, 6), (1,)), ((6, 4), (0,)), ((3, 2, 8), (1, 2))):
        for dtype in (np.complex64, np.complex128):
            F = T.dft(shape, dtype, axes=axes)
            x = np.arange(float(F.shape[1])).astype(dtype)
            expected = scipy.fft.fftn(x.reshape(shape), axes=axes).ravel()
            for G, y in ((F, expected), (F.T, expected), (F.conj(), expected.conj())):
                for _ in range(100):
                    product = G @ x
                assert np.abs(product - y).max() <= 1e-6 * np.abs(y).max()
            np.testing.assert_allclose(F.inv() @ expected.astype(dtype), x, atol=1e-4)


def test_a_hadamard_stage_before_fourier_stages():
    rng = np.random.default_rng(0)
    hadamard = np.array([[1.0, 1.0], [1.0, -1.0]])
    for dtype in (np.complex64, np.complex128):
        fourier = T.dft(16, dtype)
        for first in (True, False):
            parts = [hadamard.astype(dtype), fourier]
            F = pp.kron(*(parts if first else parts[::-1]))
            dense = [hadamard, np.fft.fft(np.eye(16))]
            D = np.kron(*(dense if first else dense[::-1]))
            x = random_array(rng, 32, dtype)
            for G, A in ((F, D), (F.T, D.T), (F.conj(), D.conj())):
                assert np.abs(G @ x - A @ x).max() <= 1e-5 * np.abs(A @ x).max()


@pytest.mark.parametrize(
    "make",
    [
        lambda: T.dft((4, 6)),
        lambda: T.dct((4, 6)),
        lambda: T.rdft((4, 6)),
        lambda: T.rdft((4, 6), adjoint="real"),
        lambda: pp.kron(T.dct(4), T.hadamard(2)[:, [0]], T.dct(6)[:3]),
        lambda: T.block_circulant(np.arange(24.0).reshape(4, 6)),
        lambda: T.block_toeplitz(np.arange(40.0).reshape(5, 8), (4, 6)),
    ],
)
def test_operators_of_arrays_take_and_give_arrays(make, tmp_path):
    F = make()
    rng = np.random.default_rng(0)
    dims, dimsd = F.dims, F.dimsd
    assert F.shape == (np.prod(dimsd), np.prod(dims))
    X = rng.standard_normal(dims)
    expected = (F @ X.ravel()).reshape(dimsd)
    axes = tuple(range(len(dims)))
    Y = F.apply(X, axes=axes)
    assert Y.shape == dimsd
    assert np.array_equal(Y, expected)
    batch = np.stack([X, 2 * X], axis=0)
    later = tuple(axis + 1 for axis in axes)
    assert np.allclose(F.apply(batch, axes=later), np.stack([expected, 2 * expected]))
    assert np.allclose(F.apply(np.moveaxis(batch, 0, -1), axes=axes)[..., 1], 2 * expected)
    apart = np.moveaxis(batch, [1, 2], [2, 0])
    if len(dims) == 2:
        assert np.allclose(np.moveaxis(F.apply(apart, axes=(2, 0)), [2, 0], [1, 2])[0], expected)
    out = np.empty(dimsd, expected.dtype)
    assert F.apply(X, out=out, axes=axes) is out
    assert np.array_equal(out, expected)
    F.save(tmp_path / "F.npz")
    for G in (2 * F, F + F, pickle.loads(pickle.dumps(F)), pp.load(tmp_path / "F.npz"), F.conj()):
        assert (G.dims, G.dimsd) == (dims, dimsd)
    for G in (F.T, F.H):
        assert (G.dims, G.dimsd) == (dimsd, dims)
    assert ((F.H @ F).dims, (F.H @ F).dimsd) == (dims, dims)
    assert F.astype("complex64").dims == dims if F.dtype.kind == "c" else True
    if F.clinear:
        assert all((G.dims, G.dimsd) == (dims, dimsd) for G in (F.real, F.imag))
    if dims == dimsd:
        assert all((G.dims, G.dimsd) == (dims, dimsd) for G in (F**0, F**1, F**3))


def test_inverses_of_operators_of_arrays_are_ones_too():
    for F in (T.dft((4, 6)), T.dct((4, 6)), T.rdft((4, 6), adjoint="real")):
        assert (F.inv().dims, F.inv().dimsd) == (F.dimsd, F.dims)
        X = np.random.default_rng(0).standard_normal((4, 6))
        assert np.allclose(F.inv().apply(F.apply(X, axes=(0, 1)), axes=(0, 1)), X)
    F = T.dct(8)
    assert F.dims == F.dimsd == (8,)
    assert np.array_equal(F.apply(np.ones((2, 8)), axes=1), F.apply(np.ones((2, 8)), axis=1))


def test_axes_that_do_not_fit_are_named():
    F, X = T.dft((4, 6)), np.ones((4, 6, 3))
    for axes, message in (
        ((0,), r"axes is \(0,\), expected 2 different ones.*\(4, 6\)"),
        ((0, 0), "expected 2 different ones"),
        ((0, 2), r"x has shape \(4, 6, 3\), expected lengths \(4, 6\) along axes \(0, 2\)"),
        ((0, 3), "axes is 3, but x has 3 axes"),
    ):
        with pytest.raises(ValueError, match=message):
            F.apply(X, axes=axes)
    for axis in (0, 1):
        message = rf"axis is {axis} and axes is \(0, 1\), expected at most one of them"
        with pytest.raises(ValueError, match=message):
            F.apply(X, axis=axis, axes=(0, 1))
    with pytest.raises(TypeError, match="out has dtype float64"):
        F.apply(X, np.empty((4, 6, 3)), axes=(0, 1))
    with pytest.raises(ValueError, match="out has shape"):
        F.apply(X, np.empty((4, 6), complex), axes=(0, 1))


def test_outputs_of_axes_are_checked_as_those_of_an_axis():
    F, X = T.dft((4, 6)), np.random.default_rng(0).standard_normal((4, 6, 3)) + 0j
    expected = F.apply(X, axes=(0, 1))
    memory = np.zeros(16 * 72 + 1, np.uint8)
    misaligned = memory[1:].view(complex).reshape(4, 6, 3)
    one_place = np.lib.stride_tricks.as_strided(np.zeros(1, complex), (4, 6, 3), (0, 0, 0))
    for out in (misaligned, one_place):
        with pytest.raises(ValueError, match="out has strides"):
            F.apply(X, out, axes=(0, 1))
        assert not out.any()
    with pytest.raises(ValueError, match="out overlaps x"):
        F.apply(X, X[::-1], axes=(0, 1))
    masked = np.ma.masked_all((4, 6, 3), complex)
    masked.harden_mask()
    F.apply(X, masked, axes=(0, 1))
    assert np.array_equal(masked.data, expected)
    assert F.apply(X, X, axes=(0, 1)) is X
    assert np.array_equal(X, expected)


def test_transforms_over_axes_store_each_value_once(tmp_path):
    F, one = pp.transforms.dft((512, 512)), pp.transforms.dft(512)
    assert F.nbytes == 2 * one.nbytes
    assert F.factors[0].shape == (1, 2, 2, 2**17)  # made when asked for
    assert F.T.nbytes == F.H.nbytes == F.inv().nbytes == F.nbytes
    assert F.astype("complex64").nbytes == F.nbytes // 2
    x = np.random.default_rng(0).standard_normal(512**2)
    for path in ("F.npz", "F.papilio"):
        F.save(tmp_path / path)
        assert (pp.load(tmp_path / path).apply(x) == F.apply(x)).all()
        assert pp.load(tmp_path / path).nbytes == F.nbytes
    F.save(tmp_path / "parts.papilio", shards=4)
    assert (pp.load(tmp_path / "parts.papilio").apply(x) == F.apply(x)).all()
    assert (pickle.loads(pickle.dumps(F)).apply(x) == F.apply(x)).all()
    assert len(pickle.dumps(F)) < 3 * F.shape[0] * 8  # the permutations


@pytest.mark.parametrize("dtype", ["float32", "complex128"])
@pytest.mark.parametrize("after", [2, 3, 8, 20])
def test_runs_of_values_are_as_good_as_values_of_their_own(dtype, after):
    rng = np.random.default_rng(after)
    architecture = pp.Architecture.mixed_radix([2, 3, 2], [3, 2, 2], [2, 1])
    F = pp.Butterfly.random(architecture, dtype=dtype, seed=1)
    own = pp.Butterfly.random(pp.Architecture([(1, after, after, 1)]), dtype=dtype, seed=2)
    K = pp.kron(F, own)
    assert K.nbytes == F.nbytes + own.nbytes
    plain = pp.Butterfly(list(K.factors), architecture=K.architecture)
    assert plain.nbytes > K.nbytes
    X = rng.standard_normal((K.shape[1], 70)).astype(dtype)
    Y = rng.standard_normal((70, K.shape[0])).astype(dtype)
    tolerance = 1e-5 if dtype == "float32" else 1e-13
    for G, H in ((K, plain), (K.conj(), plain.conj())):
        for count in (1, 3, 70):
            np.testing.assert_allclose(G @ X[:, :count], H @ X[:, :count], rtol=0, atol=tolerance)
            np.testing.assert_allclose(G.T @ Y[:count].T, H.T @ Y[:count].T, atol=tolerance)
    np.testing.assert_allclose(K.round(0.0).toarray(), K.toarray(), atol=20 * tolerance)
    for got, wanted in zip(K.vjp(X, Y.T)[1], plain.vjp(X, Y.T)[1], strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e3 * tolerance)
