"""What users hand in and get back: arrays of the world, references, messages, files."""

import pickle
import warnings

import numpy as np
import pytest
import scipy.fft
import scipy.sparse
from scipy.sparse.linalg import LinearOperator

import papilio as pp
from papilio.cli import main

T = pp.transforms
H = T.hadamard(8)
H16 = T.hadamard(16)


class Tensor:
    """What a torch tensor shows: ``__array__``, a shape, slices, a dtype that isn't NumPy's."""

    dtype = "torch.float64"

    def __init__(self, values):
        self.values, self.shape, self.ndim = values, values.shape, values.ndim

    def __array__(self, dtype=None, copy=None):
        return self.values

    def __getitem__(self, index):
        return Tensor(self.values[index])


class OnlyDlpack:
    def __init__(self, values):
        self.values = values

    def __dlpack__(self, **options):
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.values.__dlpack_device__()


def explicit(values):
    """The machine's byte order by its own name, as h5py and zarr have it."""
    return (
        values.byteswap()
        .view(values.dtype.newbyteorder(">"))
        .byteswap()
        .view(values.dtype.newbyteorder(">").newbyteorder("<"))
    )


@pytest.mark.parametrize(
    "hold",
    [explicit, Tensor, OnlyDlpack, memoryview, np.ndarray.tolist],
    ids=lambda hold: hold.__name__,
)
def test_every_holder_of_numbers_is_read(hold):
    A = H.toarray() + np.arange(8.0)
    x = A[1].copy()
    for F in (H, T.dct(8), T.dft(8), pp.Section(H, (5, 8))):
        np.testing.assert_allclose(F @ hold(A), F @ A, atol=1e-12)
        np.testing.assert_allclose(F.apply(hold(x)), F @ x, atol=1e-12)
        np.testing.assert_allclose(F.T.__rmatmul__(hold(A)), A @ F.T, atol=1e-12)
    found = pp.factorize(hold(A), [2, 4], tol=1e-12)
    np.testing.assert_allclose(found.toarray(), A, atol=1e-10)
    np.testing.assert_allclose(T.circulant(hold(x)).toarray(), T.circulant(x).toarray())
    np.testing.assert_allclose(pp.kron(H, hold(A)).toarray(), np.kron(H.toarray(), A))


@pytest.mark.parametrize("module", ["pandas", "xarray", "dask.array", "h5py", "zarr"])
def test_libraries_of_others(module):
    library = pytest.importorskip(module)
    A = np.random.default_rng(0).standard_normal((8, 8))
    if module == "pandas":
        held = library.DataFrame(A)
        np.testing.assert_allclose((held @ H).to_numpy(), A @ H.toarray())
    elif module == "h5py":
        held = library.File("x", "w", driver="core", backing_store=False).create_dataset(
            "A", data=A
        )
    else:
        held = {"xarray": "DataArray", "dask.array": "from_array", "zarr": "array"}[module]
        held = getattr(library, held)(A)
    np.testing.assert_allclose(H @ held, H @ A)
    np.testing.assert_allclose(pp.factorize(held, pp.Architecture.dense((8, 8))).toarray(), A)


def test_operators_are_factorized_and_read_as_arrays():
    G = LinearOperator((8, 8), matvec=lambda v: H @ v, dtype=float)
    for F in (H, H.T, T.dct(8), T.dft(8), pp.Section(T.hadamard(16), (8, 8)), G):
        dense = F @ np.eye(8)
        found = pp.factorize(F, pp.Architecture.dense((8, 8))).toarray()
        np.testing.assert_allclose(found, dense, atol=1e-12)
        if F is not G:
            np.testing.assert_allclose(np.asarray(F), dense, atol=1e-12)
            np.testing.assert_allclose(np.dot(F, np.arange(8.0)), dense @ np.arange(8.0))
            assert type(np.ones(8) @ F) is np.ndarray
    with pytest.raises(ValueError, match="copy is False"):
        np.asarray(H, copy=False)


def test_nothing_that_the_user_can_write_to_is_kept():
    matrix = scipy.sparse.csr_array(np.diag([1, 2, 3, 4, 5, 6, 7, 8]))
    F = pp.Composition([matrix, H])
    assert F.dtype == np.float64  # integers are promoted
    before = F.toarray()
    matrix.data[:] = 0
    for G in (F, F.T.T, F.H.H, F.conj(), pickle.loads(pickle.dumps(F))):
        np.testing.assert_allclose(G.toarray(), before)
    with pytest.raises(ValueError, match="read-only|WRITEABLE"):
        H.factors[0].setflags(write=True)
    buffers = []
    content = pickle.dumps(F, 5, buffer_callback=buffers.append)
    # At odd addresses, and written to afterwards.
    given = [memoryview(bytearray(b"x") + bytearray(b.raw()))[1:] for b in buffers]
    again = pickle.loads(content, buffers=given)
    for buffer in given:
        buffer[:] = bytes(len(buffer))
    np.testing.assert_array_equal(again.toarray(), before)


def test_damaged_pickles_are_value_errors():
    F = T.hadamard(8)
    content = pickle.dumps(F)
    value = np.float64(-1).tobytes()
    with pytest.raises(ValueError, match="checksum"):
        pickle.loads(content.replace(value, np.float64(-2).tobytes(), 1))


def test_members_of_files_belong_together(tmp_path):
    path = tmp_path / "F.npz"
    pp.Butterfly([np.full((2, 2, 2, 2), n + 1.0) for n in range(2)]).save(path)
    with np.load(path) as file:
        members = dict(file)
    np.savez(path, **members | {"values_0": members["values_1"]})
    with pytest.raises(ValueError, match="don't belong together"):
        pp.load(path)
    np.savez(path, **members | {"row_permutatiom": np.arange(8)})
    with pytest.raises(ValueError, match="row_permutatiom"):
        pp.load(path)
    del members["checksums"]  # as papilio 0.1.0 wrote them
    np.savez(path, **members)
    assert pp.load(path).shape == (8, 8)


MASKED = np.ma.array(np.ones((8, 8)), mask=np.eye(8, dtype=bool))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: H @ MASKED, ValueError, "x is a masked array"),
        (lambda: H @ [MASKED[0]] * 8, ValueError, "x is a masked array"),
        (lambda: pp.factorize(MASKED, [2, 4]), ValueError, "A is a masked array"),
        (lambda: T.circulant(np.ma.array([1.0])), ValueError, "c is a masked array"),
        (lambda: H @ scipy.sparse.eye_array(8), TypeError, "x is a sparse matrix"),
        (lambda: T.dct(8) @ scipy.sparse.eye_array(8), TypeError, "x is a sparse matrix"),
        (lambda: H @ object(), TypeError, "x is .*dtype object"),
        (lambda: H.apply(np.ones(8), axis=10**30), ValueError, "axis is"),
        (lambda: H.astype(None), TypeError, "dtype is None"),
        (lambda: H.astype("nonsense"), TypeError, "dtype is 'nonsense'"),
        (lambda: pp.factorize(np.eye(4), [2, 2], tol=1.0), ValueError, "tol is 1.0"),
        (lambda: H.round(1.5), ValueError, "tol is 1.5"),
        (lambda: H.plan(tune="no"), TypeError, "tune is 'no'"),
        (lambda: pp.factorize(np.eye(4), [2, 2], overwrite_a=2), TypeError, "overwrite_a is 2"),
        (lambda: T.dct(8, "2"), TypeError, "type is '2'"),
        (lambda: T.dct(8, norm=np.ones(2)), ValueError, "norm is an array"),
        (lambda: T.dft(2**61 - 1), ValueError, "n is .*expected at most"),
        (lambda: pp.permutations.bit_reversal(2**63), ValueError, "n is"),
        (lambda: T.toeplitz([1.0, np.inf]), ValueError, "c has inf at entry 1"),
        (lambda: T.convolution([np.nan], 4), ValueError, "h has nan at entry 0"),
        (lambda: T.circulant([1e308] * 4), ValueError, "c has entries up to 1e"),
        (lambda: pp.set_num_threads(2**31 - 1), ValueError, "threads is"),
        (lambda: pp.Composition([scipy.sparse.coo_array(np.ones(4))]), ValueError, r"parts\[0\]"),
        (lambda: pp.Composition([H], inverse=3), TypeError, "inverse is 3"),
        (lambda: pp.load(3), TypeError, "path is 3"),
        (lambda: H.save("a\0b"), ValueError, "path is"),
    ],
)
def test_wrong_arguments_are_named_without_warnings(call, error, message):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(error, match=message):
            call()


@pytest.mark.parametrize("strides", [(8, 8), (8, 16), (0, 8), (-8, 8)])
def test_an_out_that_overlaps_itself_is_refused(strides):
    memory = np.zeros(64)
    out = np.lib.stride_tricks.as_strided(memory[20:], (8, 3), strides)
    with pytest.raises(ValueError, match="out has strides"):
        H.apply(np.ones((8, 3)), out=out)
    assert not memory.any()
    # Entangled, but each entry has a place of its own.
    out = np.lib.stride_tricks.as_strided(memory, (8, 2), (16, 24))
    assert (H.apply(np.ones((8, 2)), out=out) == H @ np.ones((8, 2))).all()


def test_sizes_may_be_numpys():
    for n in (np.int8(8), np.array(8), np.uint64(8)):
        assert T.dft(n).shape == (8, 8)
    assert (H * np.array(2.0)).toarray()[0, 0] == 2


def test_singular_circulants_have_no_inverse():
    for seed in range(20):
        c = np.random.default_rng(seed).standard_normal(1000)
        c -= c.mean()
        with pytest.raises(ValueError, match="no exact inverse"):
            T.circulant(c).inv()


@pytest.mark.parametrize("distance", [3, -7, 10**15 + 1, 2.0**60, 1e6 + 0.25])
def test_shifts_count_modulo_n(distance):
    x = np.random.default_rng(0).standard_normal(300)
    y = T.shift(300, distance) @ x
    if distance == int(distance):
        np.testing.assert_allclose(y, np.roll(x, int(distance) % 300), atol=1e-13)
    else:
        np.testing.assert_allclose(y, T.shift(300, distance % 300) @ x, atol=1e-13)


def test_sections_give_compact_results():
    S = pp.Section(T.hadamard(64), (3, 60))
    y = S @ np.ones((60, 5))
    assert y.flags.c_contiguous
    assert y.base is None


def test_outputs_are_checked_before_the_work(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("A.npy", np.eye(4))
    (tmp_path / "text.npy").write_text("1 2 3")
    fact = ["factorize", "A.npy", "--architecture", "dense", "--no-progress", "-o"]
    for output, words in [("A.npy", "another file"), ("no/F.npz", "folder"), (".", "folder")]:
        assert main([*fact, output]) == 1
        error = capsys.readouterr().err
        assert "--output" in error
        assert words in error
    assert main(["factorize", "text.npy", "--architecture", "dense", "-o", "F.npz"]) == 1
    assert "text.npy is not an array that numpy.save wrote" in capsys.readouterr().err
    assert np.array_equal(np.load("A.npy"), np.eye(4))


def test_short_transforms_are_as_accurate_as_scipys():
    # Bluestein's detour at 31 * 33, and one long sum at 93, had errors many times SciPy's.
    for kind, n in [(1, 1024), (4, 93), (2, 101)]:
        x = np.arange(n, dtype=np.float32)
        exact = scipy.fft.dct(x.astype(np.longdouble), kind)
        own = np.linalg.norm((T.dct(n, kind, "float32") @ x - exact).astype(float))
        peer = np.linalg.norm((scipy.fft.dct(x, kind) - exact).astype(float))
        assert own <= 2 * peer + 0.6 * np.finfo(x.dtype).eps * np.linalg.norm(exact.astype(float))


AT_ONCE = np.random.default_rng(0).standard_normal((16, 16))
DYADIC = pp.Architecture.square_dyadic(16)


@pytest.mark.parametrize(
    "call",
    [
        lambda progress: pp.factorize(AT_ONCE, DYADIC, progress=progress),
        lambda progress: pp.factorize(AT_ONCE, pp.Architecture.dense((16, 16)), progress=progress),
        lambda progress: pp.fit(AT_ONCE, AT_ONCE, DYADIC, progress=progress),
        lambda progress: pp.fit(np.eye(16), H16.toarray(), DYADIC, progress=progress),
        lambda progress: pp.compress(AT_ONCE, progress=progress),
        lambda progress: pp.compress(lambda i, j: 1 / (1 + i + j), (3, 2), progress=progress),
        lambda progress: pp.fixed_support(AT_ONCE, np.eye(16), np.eye(16), progress=progress),
        lambda progress: H16.round(progress=progress),
        lambda progress: H16.plan(tune=True, progress=progress),
        lambda progress: T.solve_toeplitz([2.0, 1], [1.0, 1], progress=progress),
        lambda progress: T.legendre_to_chebyshev(5, progress=progress),
        lambda progress: T.chebyshev_to_legendre((2, 3), progress=progress),
    ],
)
def test_progress_ends_in_one_also_of_what_takes_no_time(call):
    told = []
    call(told.append)
    assert told == sorted(told)
    assert told[-1] == 1
    with pytest.raises(TypeError, match="progress is 3, expected True, False or a callable"):
        call(3)
