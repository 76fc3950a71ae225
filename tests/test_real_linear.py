"""Operators between real and complex vectors: irdft, rdft with a real adjoint, what they make."""

import pickle

import numpy as np
import pytest
import scipy.fft
from scipy.sparse.linalg import lsqr

import papilio as pp

T = pp.transforms
LENGTHS = [1, 2, 3, 4, 5, 8, 9, 64, 67, 134]


def noise(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape), rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


@pytest.mark.parametrize("norm", ["backward", "ortho", "forward"])
@pytest.mark.parametrize("n", LENGTHS)
def test_transforms_are_scipys_and_inverses_of_each_other(n, norm):
    F, G = T.rdft(n, norm=norm, adjoint="real"), T.irdft(n, norm=norm)
    x, z = noise(n, 3)[0], noise(n // 2 + 1, 3)[1]
    expected = scipy.fft.irfft(z, n, axis=0, norm=norm)
    for y in (G @ z, G.apply(z.T, axis=1).T, G @ np.asfortranarray(z)):
        assert y.dtype == np.float64
        assert np.allclose(y, expected, atol=1e-13 * n)
    assert np.allclose(F @ x, scipy.fft.rfft(x, axis=0, norm=norm), atol=1e-13 * n)
    assert np.allclose(G @ (F @ x), x)
    assert np.allclose(F.inv() @ (F @ x), x)
    assert np.allclose(G.inv() @ x, F @ x)


@pytest.mark.parametrize("n", LENGTHS)
def test_adjoints_are_those_of_the_real_inner_products(n):
    F, G = T.rdft(n, adjoint="real"), T.irdft(n)
    A, (_, z) = T.rdft(n).toarray(), noise(n // 2 + 1)
    assert (F.H @ z).dtype == np.float64
    assert np.allclose(F.toarray(), A)
    assert np.allclose(F.H @ z, (A.conj().T @ z).real)
    assert np.allclose(F.T @ z, (A.T @ z).real)
    assert np.allclose(G.conj() @ z, G @ z.conj())
    for operator in (F, F.T, F.H, F.conj(), G, G.T, G.H, G.conj(), 2j * F, G @ (2 * F), F + F):
        assert operator.dottest(batch=2) <= 1e-13
        assert not operator.clinear


def test_values_that_are_real_have_no_imaginary_part_to_read():
    z = np.ones(5) + 0j
    z.imag[[0, 4]] = np.nan
    assert np.allclose(T.irdft(8) @ z, [1, 0, 0, 0, 0, 0, 0, 0])


def test_lsqr_finds_the_real_signal():
    x = noise(30)[0]
    rows = np.r_[0:12, 14]
    F = T.rdft(30, adjoint="real")
    found = lsqr(F, F @ x, atol=1e-14, btol=1e-14)[0]
    assert found.dtype == np.float64
    assert np.allclose(found, x)
    partly = F[rows]
    found = lsqr(partly, partly @ x, atol=1e-14, btol=1e-14)[0]
    assert found.dtype == np.float64
    assert np.allclose(partly @ found, partly @ x)


def test_precisions_pickles_and_files(tmp_path):
    for F in (T.irdft(12), T.rdft(9, adjoint="real"), T.irdft((4, 6))):
        x = noise(F.shape[1])[F is not None and F._domain().kind == "c"]
        single = F.astype("complex64")
        y = single @ x.astype(np.result_type(np.float32, (x.dtype.char in "D" and "F") or "f"))
        assert y.dtype == np.result_type(np.float32, "F" if (F @ x).dtype.kind == "c" else "f")
        assert np.allclose(y, F @ x, atol=1e-5)
        again = pickle.loads(pickle.dumps(F))
        F.save(tmp_path / "F.npz")
        loaded = pp.load(tmp_path / "F.npz")
        assert type(loaded) is type(again) is type(F)
        assert np.array_equal(again @ x, F @ x)
        assert np.array_equal(loaded @ x, F @ x)
        assert np.allclose(loaded.inv() @ (F @ x), F.inv() @ (F @ x))


@pytest.mark.parametrize(
    ("shape", "axes"), [((4, 6), None), ((3, 5, 4), (2, 0)), ((4, 5), (1,)), ((6, 5), (1, 0))]
)
def test_several_axes(shape, axes):
    x = noise(*shape)[0]
    F, G = T.rdft(shape, axes=axes, adjoint="real"), T.irdft(shape, axes=axes)
    spectrum = scipy.fft.rfftn(x, axes=axes)
    sizes = shape if axes is None else [shape[axis] for axis in axes]
    assert np.allclose(F @ x.ravel(), spectrum.ravel())
    y = G @ spectrum.ravel()
    assert y.dtype == np.float64
    assert np.allclose(y.reshape(shape), scipy.fft.irfftn(spectrum, s=sizes, axes=axes))
    assert np.allclose(F.inv() @ (F @ x.ravel()), x.ravel())
    assert max(F.dottest(), G.dottest()) < 1e-13
    assert lsqr(F, spectrum.ravel())[0].dtype == np.float64


def test_real_filters_stay_real():
    x = noise(16, 2)[0]
    gains = np.exp(-np.arange(9.0)) + 0j
    D = pp.Composition([T.irdft(16), gains, T.rdft(16, adjoint="real")])
    expected = scipy.fft.irfft(gains[:, None] * scipy.fft.rfft(x, axis=0), axis=0)
    assert (D @ x).dtype == (D.H @ x).dtype == D.toarray().dtype == np.float64
    assert np.allclose(D @ x, expected)
    assert np.allclose((D + D).toarray(), 2 * D.toarray())
    out = np.empty((16, 2))
    assert D.apply(x, out=out) is out
    assert np.allclose(out, expected)


def test_real_and_imaginary_parts():
    F = T.rdft(6, adjoint="real")
    dense = F.toarray()
    for part, wanted in ((F.real, dense.real), (F.imag, dense.imag)):
        assert np.allclose(part.toarray(), wanted)
        x = np.arange(1.0, 1 + F.shape[1])
        assert np.allclose(part @ x, wanted @ x)
        assert np.allclose(part.T.toarray(), wanted.T)
    with pytest.raises(TypeError, match="no matrix has its products"):
        _ = F.H.real


def test_what_real_linear_operators_cannot_do_is_named():
    F, G = T.rdft(8, adjoint="real"), T.irdft(8)
    for product in (lambda: F @ (1j * np.ones(8)), lambda: F.apply(1j * np.ones((2, 8)), axis=1)):
        with pytest.raises(TypeError, match="x has dtype complex128, expected a real one"):
            product()
    for refused in (G.toarray, lambda: G[0], lambda: np.asarray(G)):
        with pytest.raises(TypeError, match="over the real numbers only"):
            refused()
    with pytest.raises(TypeError, match="ord is 2"):
        (2 * F).norm(2)
    with pytest.raises(ValueError, match="adjoint is 'both'"):
        T.rdft(8, adjoint="both")
    dense = T.rdft(8).toarray()
    assert np.allclose(F[3], dense[3])
    assert np.allclose(F[:, 3], dense[:, 3])
    assert np.isclose(F.norm(), np.linalg.norm(dense))
    assert np.isclose(F.norm(2), np.sqrt(8))


MADE_OF_OTHERS = {
    "product": lambda: T.dft(6) @ T.irdft(6),
    "real product": lambda: T.dct(6) @ T.irdft(6),
    "products of products": lambda: T.dft(6) @ (T.dft(6) @ T.irdft(6)) @ T.dft(4),
    "multiple": lambda: T.irdft(6) * 1j,
    "sum with a complex one": lambda: T.irdft(6) + T.dft(6)[:, :4],
    "sum with a real one": lambda: T.irdft(6) + T.dct(6)[:, :4],
    "real sum": lambda: T.irdft(6) + 2 * T.irdft(6),
    "diagonal of blocks": lambda: pp.block_diag([T.irdft(6), T.dft(3)]),
    "both ways": lambda: T.rdft(6, adjoint="real") @ T.irdft(6),
    "along an axis": lambda: T.dft(12) @ pp.kron(T.irdft(6), [[1.0, 2.0], [3.0, 4.0]]),
    "two axes": lambda: T.dft(24) @ T.irdft((4, 6)),
}


def vectors(dtype, n, seed):
    return noise(n, seed=seed)[dtype.kind == "c"]


@pytest.mark.parametrize("name", MADE_OF_OTHERS)
def test_adjoints_of_what_is_made_of_them_take_what_it_gives(name, tmp_path):
    F = MADE_OF_OTHERS[name]()
    F.save(tmp_path / "F.npz")
    F.H.save(tmp_path / "H.npz")
    for G in (F, F.T, F.H, F.conj(), F.H.H, pp.load(tmp_path / "F.npz")):
        x = vectors(G._domain(), G.shape[1], 1)
        y = G @ x
        u = vectors(y.dtype, G.shape[0], 2)
        assert abs(np.vdot(u, y).real - np.vdot(G.H @ u, x).real) < 1e-11
        gx = G.vjp(x, u)[0]
        assert np.allclose(gx, G.H @ u if gx.dtype.kind == "c" else (G.H @ u).real, atol=1e-12)
    assert np.array_equal(pp.load(tmp_path / "H.npz") @ u, F.H @ u)
    z = vectors(F._domain(), F.shape[1], 3)
    found = lsqr(F, F @ z, atol=1e-14, btol=1e-14)[0]
    assert np.allclose(F @ found, F @ z, atol=1e-9)


def test_inverses_of_products_with_them():
    for F in (T.dft(6) @ T.irdft(6), T.dft(6) @ T.dct(6) @ T.irdft(6)):
        z = T.rdft(6) @ np.arange(6.0)
        assert np.allclose(F.inv() @ (F @ z), z)


def test_products_that_nothing_multiplies_are_refused():
    rdft = T.rdft(4, adjoint="real")
    with pytest.raises(TypeError, match="takes real vectors only"):
        rdft @ T.dft(4)
    for parts in ((T.irdft(6), T.irdft(4)), (T.dft(3), T.irdft(4)), (rdft, rdft)):
        with pytest.raises(TypeError, match="linear over the real numbers only"):
            pp.kron(*parts)


def test_operators_on_complex_vectors_draw_what_they_do_to_pairs():
    pytest.importorskip("matplotlib").use("Agg")
    (ax,) = T.irdft(8).plot()
    assert ax.images[0].get_array().shape == (8, 10)
