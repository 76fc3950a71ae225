"""Libraries that people use operators with: each test skips where its library is missing.

Others: scikit-learn (test_sklearn.py), dask (test_dask.py), torch's layers (test_torch.py), joblib
and fork (test_fork.py), MPI and PyLops-MPI (test_mpi.py), tables and files of arrays
(test_arrays.py).
"""

import multiprocessing
import warnings

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse.linalg as sla

import papilio as pp
from processes import run_program

T = pp.transforms
N = 64


def operators():
    """One of each class, with its dense matrix: real and complex, square and not."""
    found = {
        "butterfly": T.hadamard(N),
        "composition": T.dct(N, norm="ortho"),
        "complex": T.dft(N),
        "section": T.dct(2 * N)[:N],
        "sum": T.dct(N) + 3 * T.hadamard(N),
        "real part": T.dft(N).real,
    }
    return [pytest.param(F, id=name) for name, F in found.items()]


def sparse_signal():
    x = np.zeros(N)
    x[[3, 20, 41]] = 1, -2, 3
    return x


def some_samples():
    rows = np.random.default_rng(0).permutation(N)[:40]
    return T.dct(N, norm="ortho")[np.sort(rows)]


# ---------------------------------------------------------------- SciPy

SOLVERS = {
    "cg": lambda F, y: sla.cg(F.H @ F, F.H @ y, rtol=1e-12)[0],
    "bicgstab": lambda F, y: sla.bicgstab(F.H @ F, F.H @ y, rtol=1e-12)[0],
    "gmres": lambda F, y: sla.gmres(F.H @ F, F.H @ y, rtol=1e-12)[0],
    "minres": lambda F, y: sla.minres(F.H @ F, F.H @ y, rtol=1e-13)[0],
    "lsqr": lambda F, y: sla.lsqr(F, y, atol=1e-13, btol=1e-13)[0],
    "lsmr": lambda F, y: sla.lsmr(F, y, atol=1e-13, btol=1e-13)[0],
}


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("F", operators())
def test_solvers_of_scipy(F, solver):
    if solver == "minres" and F.dtype.kind == "c":
        pytest.skip("for real vectors only")
    dense = F.toarray()
    x = dense.conj().T @ np.random.default_rng(0).standard_normal(F.shape[0])  # no null space
    found = SOLVERS[solver](F, F @ x)
    assert np.linalg.norm(dense @ (found - x)) <= 1e-8 * np.linalg.norm(dense @ x)


@pytest.mark.parametrize("F", operators())
def test_spectra(F):
    if np.ptp(scipy.linalg.svdvals(F.toarray())) < 1e-9:  # ARPACK needs values that differ
        F = pp.Composition([F, np.linspace(1, 2, F.shape[1])])
    dense = F.toarray()
    wanted = scipy.linalg.svdvals(dense)
    start = np.random.default_rng(0).standard_normal(min(F.shape))  # SciPy's own varies
    found = sla.svds(F, 3, v0=start, return_singular_vectors=False)
    np.testing.assert_allclose(np.sort(found)[::-1], wanted[:3])
    if F.shape[0] != F.shape[1]:
        np.testing.assert_allclose(F.eigs(5), wanted[:5])
        np.testing.assert_allclose(F.eigs(5, tol=1e-12), wanted[:5])
        return
    gram = F.H @ F
    np.testing.assert_allclose(np.sort(sla.eigsh(gram, 3, v0=start)[0])[::-1], wanted[:3] ** 2)
    np.testing.assert_allclose(gram.eigs(3, symmetric=True), wanted[:3] ** 2)
    np.testing.assert_allclose(gram.eigs(3, symmetric=True, which="LM"), wanted[:3] ** 2)
    largest = np.abs(scipy.linalg.eigvals(dense)).max()
    np.testing.assert_allclose(np.abs(F.eigs(2)).max(), largest)
    assert len(F.eigs()) == N
    np.testing.assert_array_equal(F.eigs(2), F.eigs(2))


def test_singular_values_that_exist_and_their_digits():
    rng = np.random.default_rng(0)
    left, right = (np.linalg.qr(rng.standard_normal((n, 5)))[0] for n in (6, 5))
    wanted = np.array([1, 1e-3, 1e-9, 1e-12, 0])
    found = pp.Composition([left * wanted @ right.T]).eigs()
    np.testing.assert_allclose(found, wanted, atol=1e-15, rtol=1e-3)
    for m, n in ((1, 8), (1, 80), (80, 1), (100, 70), (70, 90)):
        A = rng.standard_normal((m, n))
        wanted = scipy.linalg.svdvals(A)
        for scale in (1.0, 1e-200, 1e200):
            found = pp.Composition([scale * A]).eigs()
            assert len(found) == min(m, n, n - 2 if min(m, n) > 64 else n)
            np.testing.assert_allclose(found / scale, wanted[: len(found)], rtol=1e-9)


def test_all_eigenvalues_of_small_operators():
    for F in (T.dct(2), T.dct(3), T.dft(8)):
        wanted = scipy.linalg.eigvals(F.toarray())
        wanted = wanted[np.argsort(-abs(wanted))]
        for options in ({}, {"which": "LM"}, {"tol": 1e-3}):
            np.testing.assert_allclose(np.sort(F.eigs(**options)), np.sort(wanted), atol=1e-12)
            np.testing.assert_allclose(abs(F.eigs(1, **options)), abs(wanted[:1]))
        np.testing.assert_allclose(abs(F.eigs(1, which="SM")), abs(wanted[-1:]))


@pytest.mark.parametrize("n", [8, 100])
def test_numbers_of_eigenvalues_are_checked(n):
    for neigs, error in ((0, ValueError), (-1, ValueError), ("a", TypeError), (0.5, TypeError)):
        with pytest.raises(error, match=f"neigs is {neigs!r}, expected"):
            T.dct(n).eigs(neigs)
    with pytest.raises(ValueError, match="niter is 0, expected at least 1"):
        T.dct(n).eigs(1, niter=0)
    with pytest.raises(TypeError, match="symmetric is 'no', expected True or False"):
        T.dct(n).eigs(1, symmetric="no")


# ---------------------------------------------------------------- PyLops, pyproximal


def test_pylops_takes_operators_as_they_are():
    pylops = pytest.importorskip("pylops")
    S, x = some_samples(), sparse_signal()
    y = S @ x
    sparsity, basic = pylops.optimization.sparsity, pylops.optimization.basic
    for solve in (sparsity.ista, sparsity.fista):  # the step by `eigs`
        found = solve(S, y, niter=200, eps=1e-2)[0]
        assert np.linalg.norm(found - x) < 0.02 * np.linalg.norm(x)
    found = sparsity.omp(S, y, niter_outer=10, sigma=1e-10)[0]  # columns by `apply_columns`
    np.testing.assert_allclose(found, x, atol=1e-8)
    F = T.hadamard(N)
    np.testing.assert_allclose(basic.cgls(F, F @ x, np.zeros(N), niter=50)[0], x, atol=1e-10)
    least = pylops.optimization.leastsquares
    for solve in (least.regularized_inversion, least.normal_equations_inversion):
        found = solve(F, F @ x, [pylops.Identity(N)], epsRs=[1e-6])[0]
        np.testing.assert_allclose(found, x, atol=1e-8)
    assert pylops.utils.dottest(T.rdft(N, adjoint="real"), N // 2 + 1, N, complexflag=2)
    stacked = pylops.VStack([F, pylops.BlockDiag([T.dct(N // 2), T.dct(N // 2)])])
    np.testing.assert_allclose((stacked @ x)[:N], F @ x)


def test_algebra_with_operators_of_pylops():
    pylops = pytest.importorskip("pylops")
    F, G = T.dct(N), pylops.Diagonal(np.arange(1.0, N + 1))
    x = np.random.default_rng(0).standard_normal(N)
    made = {
        "after": (F @ G, F @ (G @ x)),
        "before": (G @ F, G @ (F @ x)),
        "sum": (F + G, F @ x + G @ x),
        "reversed sum": (G + F, F @ x + G @ x),
        "composition": (pp.Composition([G, F]), G @ (F @ x)),
    }
    for name, (operator, wanted) in made.items():
        np.testing.assert_allclose(operator @ x, wanted, err_msg=name)
    adjoint = (F @ G).H @ x
    np.testing.assert_allclose(adjoint, G.H @ (F.T @ x))


def test_shapes_of_arrays_in_pylops():
    pylops = pytest.importorskip("pylops")
    F = T.dct((8, 4))
    X = np.random.default_rng(0).standard_normal((8, 4))
    own, theirs = pylops.aslinearoperator(F), pylops.Identity(32)
    theirs.dims = theirs.dimsd = (8, 4)
    assert (F.dims, F.dimsd) == (theirs.dims, theirs.dimsd)
    np.testing.assert_allclose(own @ X.ravel(), F.apply(X, axes=(0, 1)).ravel())


@pytest.mark.filterwarnings("ignore::FutureWarning")  # its own names move
def test_pyproximal():
    pyproximal = pytest.importorskip("pyproximal")
    S, x = some_samples(), sparse_signal()
    primal = pyproximal.optimization.primal
    data, sparse = pyproximal.L2(Op=S, b=S @ x), pyproximal.L1(sigma=1e-2)
    for solve in (primal.ProximalGradient, primal.AcceleratedProximalGradient):
        found = solve(data, sparse, x0=np.zeros(N), tau=0.9, niter=200)
        assert np.linalg.norm(found - x) < 0.02 * np.linalg.norm(x)
    F = T.dct(N, norm="ortho")
    found = primal.LinearizedADMM(
        pyproximal.L1(sigma=1e-2), pyproximal.L2(b=F @ x), F, x0=np.zeros(N), tau=0.9, mu=0.9,
        niter=200,
    )[0]  # fmt: skip
    assert np.linalg.norm(found - x) < 0.02 * np.linalg.norm(x)


# ---------------------------------------------------------------- torch, JAX, numba, xarray


@pytest.mark.parametrize("F", operators())
def test_products_of_tensors_are_tensors(F):
    torch = pytest.importorskip("torch")
    pytest.importorskip("papilio.torch")
    rng = np.random.default_rng(0)
    rows, columns = F.shape
    for shape, multiply in {
        (columns,): lambda x: F @ x,
        (columns, 3): lambda x: F @ x,
        (2, columns, 3): lambda x: F.apply(x, axis=1),
        (4, columns): lambda x: F.apply(x, axis=-1),
        (5, rows): lambda x: x @ F,
    }.items():
        for dtype in (np.float64, np.float32, np.complex128, np.int64):
            X = (9 * rng.standard_normal(shape)).astype(dtype)
            wanted, found = multiply(X), multiply(torch.from_numpy(X))
            assert isinstance(found, torch.Tensor)
            np.testing.assert_array_equal(found.numpy(), wanted)
            assert found.numpy().dtype == wanted.dtype


def test_gradients_flow_through_products_of_tensors():
    torch = pytest.importorskip("torch")
    pytest.importorskip("papilio.torch")
    F = T.dft(8)
    for shape, axis in (((8,), 0), ((8, 3), 0), ((2, 8), 1)):
        for dtype in (torch.float64, torch.complex128):
            x = torch.randn(*shape, dtype=dtype, requires_grad=True)
            assert torch.autograd.gradcheck(lambda x, a=axis: F.apply(x, axis=a), x)
            assert torch.autograd.gradgradcheck(lambda x, a=axis: F.apply(x, axis=a), x)
    x = torch.randn(3, 4, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: T.dct((3, 4)).apply(x, axes=(0, 1)), x)


def test_out_may_be_a_tensor():
    torch = pytest.importorskip("torch")
    pytest.importorskip("papilio.torch")
    F = T.dct((4, 2))
    x = torch.randn(8, 3, dtype=torch.float64)
    wanted = F.apply(x.numpy())
    for out in (torch.empty(8, 3, dtype=torch.float64), np.empty((8, 3))):
        assert F.apply(x, out=out) is out
        np.testing.assert_array_equal(np.asarray(out), wanted)
    X, Y = x.reshape(4, 2, 3), torch.empty(4, 2, 3, dtype=torch.float64)
    assert F.apply(X, out=Y, axes=(0, 1)) is Y
    np.testing.assert_array_equal(Y.numpy().reshape(8, 3), wanted)
    assert F.apply(x, out=x) is x  # in place
    np.testing.assert_array_equal(x.numpy(), wanted)
    with pytest.raises(TypeError, match="out has dtype float32"):
        F.apply(x, out=torch.empty(8, 3))
    with pytest.raises(ValueError, match="out has shape"):
        F.apply(x, out=torch.empty(8, 4, dtype=torch.float64))
    with pytest.raises(ValueError, match="have no gradients"):
        F.apply(x.requires_grad_(), out=torch.empty(8, 3, dtype=torch.float64))
    with pytest.raises(ValueError, match="x has shape"):
        F @ torch.ones(7)
    with pytest.raises(ValueError, match="x has no axes"):
        F @ torch.tensor(1.0)
    with pytest.raises(TypeError, match="x is on meta, expected a tensor on the CPU"):
        F @ torch.ones(8, device="meta")


def test_jax_through_numpy():
    jnp = pytest.importorskip("jax.numpy")
    x = jnp.arange(N, dtype="float32")
    found = T.dct(N, dtype="float32") @ x
    assert isinstance(found, np.ndarray) and found.dtype == np.float32
    np.testing.assert_array_equal(found, T.dct(N, dtype="float32") @ np.asarray(x))


def test_entries_of_compiled_callbacks():
    numba = pytest.importorskip("numba")
    types = numba.types
    points = types.CPointer(types.int64)
    from scipy import LowLevelCallable

    @numba.cfunc(
        types.void(
            types.int64, types.int64, points, points, types.CPointer(types.float64), types.voidptr
        )
    )
    def entries(rows, columns, i, j, out, data):
        for r in range(rows):
            for c in range(columns):
                out[r * columns + c] = 1.0 / (1.0 + i[r] + j[c])

    F = pp.compress(LowLevelCallable(entries.ctypes), (N, N), 1e-6, dtype=np.float64)
    assert np.linalg.norm(F.toarray() - scipy.linalg.hilbert(N)) < 1e-5


def test_xarray_applies_operators():
    xarray = pytest.importorskip("xarray")
    F = T.rdft(N)
    X = xarray.DataArray(np.random.default_rng(0).standard_normal((3, N)), dims=("series", "time"))
    found = xarray.apply_ufunc(
        lambda x: F.apply(x, axis=-1), X, input_core_dims=[["time"]],
        output_core_dims=[["frequency"]],
    )  # fmt: skip
    assert found.dims == ("series", "frequency")
    np.testing.assert_allclose(found, np.fft.rfft(X.values), atol=1e-12)


@pytest.mark.parametrize("library", ["h5py", "zarr"])
def test_data_sets_that_are_read_by_rows(library, tmp_path):
    module = pytest.importorskip(library)
    A = T.hadamard(N).toarray()
    if library == "h5py":
        with module.File(tmp_path / "A.h5", "w") as file:
            held = file.create_dataset("A", data=A, chunks=(16, N))
            F = pp.factorize(held, pp.Architecture.square_dyadic(N))
            compressed = pp.compress(held, tol=1e-10)
    else:
        held = module.create_array(str(tmp_path / "A.zarr"), data=A, chunks=(16, N))
        F = pp.factorize(held, pp.Architecture.square_dyadic(N))
        compressed = pp.compress(held, tol=1e-10)
    assert F.report.relative_error < 1e-14
    np.testing.assert_allclose(compressed.toarray(), A, atol=1e-8)


# ---------------------------------------------------------------- processes


def product_in_a_child(F):
    return F @ np.arange(float(F.shape[1])), pp.get_num_threads()


@pytest.mark.slow
@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_every_start_method(method, threads):
    threads(2)
    F = T.dct(1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python warns of fork with threads
        with multiprocessing.get_context(method).Pool(2) as pool:
            results = pool.map_async(product_in_a_child, [F] * 3).get(timeout=120)
    for product, _ in results:
        np.testing.assert_array_equal(product, F @ np.arange(1000.0))


# ---------------------------------------------------------------- threadpoolctl


def test_threadpoolctl_limits_papilio(threads):
    threadpoolctl = pytest.importorskip("threadpoolctl")
    threads(3)

    def own():
        return [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "papilio"]

    (pool,) = own()
    assert pool["num_threads"] == 3
    assert pool["version"] == pp.__version__
    assert pool["threading_layer"] in ("pool", "openmp")
    with threadpoolctl.threadpool_limits(2):
        assert pp.get_num_threads() == 2
        with threadpoolctl.threadpool_limits({"papilio": 1}):
            assert pp.get_num_threads() == 1
        assert pp.get_num_threads() == 2
    assert pp.get_num_threads() == 3
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        assert pp.get_num_threads() == 3


@pytest.mark.slow
@pytest.mark.parametrize("first, second", [("papilio", "threadpoolctl"),
                                           ("threadpoolctl", "papilio")])  # fmt: skip
def test_either_may_be_imported_first(first, second):
    pytest.importorskip("threadpoolctl")
    printed = run_program(f"""
        import sys
        import {first}
        if "{first}" == "papilio":
            assert "threadpoolctl" not in sys.modules
            assert [type(f).__name__ for f in sys.meta_path].count("_Watch") == 1
        import {second}
        assert not [f for f in sys.meta_path if type(f).__name__ == "_Watch"]
        print([p["num_threads"] for p in threadpoolctl.threadpool_info()
               if p["user_api"] == "papilio"])
    """, PAPILIO_NUM_THREADS="2")  # fmt: skip
    assert printed == "[2]\n"
