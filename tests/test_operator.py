"""The whole interface of operators, over every class of result."""

import copy
import operator
import pickle
import re
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator

import papilio as pp

T = pp.transforms


def random_butterfly(dtype, seed=0, tied=False):
    rng = np.random.default_rng(seed)
    architecture = pp.Architecture.mixed_radix([2, 3, 2])
    factors = []
    for p in architecture:
        shape = (1 if tied else p.a, p.b, p.c, 1 if tied else p.d)
        values = rng.standard_normal(shape)
        if np.dtype(dtype).kind == "c":
            values = values + 1j * rng.standard_normal(shape)
        factors.append(values.astype(dtype))
    rows, columns = rng.permutation(12), rng.permutation(12)
    return pp.Butterfly(factors, rows, columns, architecture=architecture)


def matrix(m, n, seed=1):
    return np.random.default_rng(seed).standard_normal((m, n))


OPERATORS = {
    "Butterfly": lambda: random_butterfly("float64"),
    "complex": lambda: random_butterfly("complex128"),
    "float32": lambda: random_butterfly("float32"),
    "complex64": lambda: random_butterfly("complex64"),
    "tied": lambda: random_butterfly("float64", tied=True),
    "structured": lambda: T.hadamard(16),
    "Fourier": lambda: T.dft(12),
    "transposed": lambda: random_butterfly("complex128").T,
    "adjoint": lambda: random_butterfly("complex128").H,
    "conjugate": lambda: random_butterfly("complex128").conj(),
    "Composition": lambda: T.dct(24),
    "dense part": lambda: T.dct(3),
    "rectangular Composition": lambda: T.rdft(12),
    "Bluestein": lambda: T.dft(67),
    "circulant": lambda: T.circulant(np.arange(1.0, 13)),
    "Toeplitz": lambda: T.toeplitz(np.arange(200.0), np.arange(150.0)),
    "circulants": lambda: T.circulant(np.arange(1.0, 25).reshape(2, 12) ** 0.5),
    "block circulant": lambda: T.block_circulant(np.arange(1.0, 13).reshape(3, 4) ** 0.5),
    "block Toeplitz": lambda: T.block_toeplitz(np.arange(20.0).reshape(4, 5), (2, 3)),
    "chirp": lambda: T.czt(12, 9),
    "long chirp": lambda: T.czt(80, 70, np.exp(-0.01j)),
    "of arrays": lambda: T.dft((3, 4)),
    "non-uniform": lambda: T.nudft(2, np.linspace(-3, 3, 13), 12, tol=1e-3),
    "non-uniform, type 3": lambda: T.nudft(3, np.arange(5.0), frequencies=np.arange(7.0), tol=0.1),
    "Section": lambda: pp.Section(random_butterfly("float64"), (7, 9)),
    "complex Section": lambda: pp.Section(T.dft(12), (11, 5)).T,
    "whole Section": lambda: pp.Section(random_butterfly("float64"), (12, 12)),
    "kron": lambda: pp.kron(T.dct(4), T.hadamard(4)),
    "sum of butterflies": lambda: T.hadamard(8) + T.hadamard(8),
    "sum": lambda: T.dct(12) + random_butterfly("complex64"),
    "difference": lambda: random_butterfly("float64") - matrix(12, 12),
    "product": lambda: T.dft(12) @ random_butterfly("float64"),
    "power": lambda: T.dct(12) ** 3,
    "scaled": lambda: (2 - 1j) * T.dct(12),
    "halved": lambda: T.rdft(12) / 2,
    "negative": lambda: -T.dct(12),
    "slice": lambda: T.dft(12)[1:7, ::-2],
    "selection": lambda: T.dct(12)[[3, 3, -1]][:, np.arange(12) % 2 == 0],
    "real part": lambda: (T.dft(12) @ random_butterfly("complex128")).real,
    "imaginary part": lambda: random_butterfly("complex128").imag,
    "imaginary part of a sum": lambda: (T.dft(12) + T.dct(12)).imag,
    "imaginary part of real": lambda: T.dct(12).imag,
    "hstack": lambda: pp.hstack([T.dct(12), np.ones(12), T.dft(12)]),
    "vstack": lambda: pp.vstack([T.dct(12), scipy.sparse.eye_array(12)]),
    "block_diag": lambda: pp.block_diag([T.dct(5), matrix(2, 3), T.hadamard(4, "float32")]),
    "foreign": lambda: pp.Composition([aslinearoperator(matrix(5, 12)), T.dct(12)]),
    "of matrices": lambda: pp.Composition(
        [matrix(5, 12), scipy.sparse.eye_array(12), np.arange(12.0), T.dct(12)]
    ),
    "astype complex": lambda: T.dct(12).astype("complex128"),
    "astype single": lambda: (T.dct(12) + T.dft(12)).astype("complex64"),
}
EPS = {"f": 2.0**-23, "F": 2.0**-23, "d": 2.0**-52, "D": 2.0**-52}


@pytest.fixture(params=OPERATORS)
def made(request):
    """An operator, its dense matrix by unit vectors one at a time, and a tolerance."""
    F = OPERATORS[request.param]()
    columns = [F @ unit for unit in np.eye(F.shape[1], dtype=F.dtype)]
    dense = np.stack(columns, axis=1)
    room = 100 * max(F.shape) * EPS[F.dtype.char] * max(1.0, float(np.abs(dense).max()))
    return F, dense, room


def close(actual, expected, room):
    assert actual.shape == expected.shape
    assert np.abs(np.asarray(actual, complex) - expected).max(initial=0) <= room


def vectors(shape, dtype, seed=3):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        x = x + 1j * rng.standard_normal(shape)
    return x.astype(dtype)


def test_products_from_both_sides(made):
    F, dense, room = made
    m, n = F.shape
    for dtype in ("float32", "float64", "complex64", "complex128", "int64"):
        x, y = vectors((n, 3), dtype), vectors((2, m), dtype)
        wanted = np.result_type(F.dtype, "float64" if dtype == "int64" else dtype)
        room_of = 20 * room * (2**29 if wanted.char in "fF" and F.dtype.char in "dD" else 1)
        for product, expected in (
            (F @ x, dense @ x),
            (y @ F, y @ dense),
            (F @ x[:, 0], dense @ x[:, 0]),
        ):
            assert product.dtype == wanted
            close(product, expected, room_of)
        close(F.apply(x.T, axis=1), (dense @ x).T, room_of)
        close(F @ np.asfortranarray(x)[:, ::-1], (dense @ x)[:, ::-1], room_of)
        out = np.full((m, 2, 3), np.nan, wanted)
        stacked = np.stack([x, 2 * x], axis=1)
        assert F.apply(stacked, out=out) is out
        close(out[:, 1], dense @ (2 * x), 2 * room_of)
    assert (F @ np.ones((n, 0))).shape == (m, 0)


def test_products_in_place(made):
    F, dense, room = made
    if F.shape[0] != F.shape[1]:
        return
    x = vectors((F.shape[1], 4), F.dtype)
    expected = dense @ x
    assert F.apply(x, out=x) is x
    close(x, expected, 20 * room)


def test_scipy_sees_a_linear_operator(made):
    F, dense, room = made
    assert isinstance(F, LinearOperator)
    x, y = vectors(F.shape[1], F.dtype), vectors(F.shape[0], F.dtype)
    close(F.matvec(x), dense @ x, 20 * room)
    close(F.rmatvec(y), dense.conj().T @ y, 20 * room)
    close(F.matmat(x[:, None]), dense @ x[:, None], 20 * room)
    close(F.rmatmat(y[:, None]), dense.conj().T @ y[:, None], 20 * room)
    close(F.dot(x), dense @ x, 20 * room)
    assert F.dottest(batch=2) <= 100 * max(F.shape) * EPS[F.dtype.char]


def test_views_and_copies(made):
    F, dense, room = made
    for G, expected in (
        (F.T, dense.T),
        (F.H, dense.conj().T),
        (F.conj(), dense.conj()),
        (F.conjugate(), dense.conj()),
        (F.T.T, dense),
        (F.real, dense.real),
        (F.imag, dense.imag),
        (copy.copy(F), dense),
        (copy.deepcopy(F), dense),
        (F.astype(np.result_type(F.dtype, "complex128")), dense),
        (F.astype(F.dtype), dense),
    ):
        close(G.toarray(), expected, room)
    assert F.astype(F.dtype) is F
    assert F.real.dtype.kind == F.imag.dtype.kind == "f"
    close(np.asarray(F), dense, room)
    assert F.toarray("complex128").dtype == "complex128"
    with pytest.raises(ValueError, match="copy is False"):
        np.array(F, copy=False)


def test_arithmetic(made):
    F, dense, room = made
    m, n = F.shape
    A = matrix(m, n, 5)
    for G, expected in (
        (2 * F, 2 * dense),
        (F * 2.5, 2.5 * dense),
        (F * np.array(2.0), 2 * dense),
        (F * (1 + 2j), (1 + 2j) * dense),
        (F / 4, dense / 4),
        (-F, -dense),
        (F + F, 2 * dense),
        (sum([F, F, A]), 2 * dense + A),
        (F - F.conj(), dense - dense.conj()),
        (F + A, dense + A),
        (A - F, A - dense),
        (F + scipy.sparse.csr_array(A), dense + A),
        (F.H @ F, dense.conj().T @ dense),
        (F @ F.T + 1.5 * (F @ F.T), 2.5 * dense @ dense.T),
        (pp.hstack([F, A]), np.hstack([dense, A])),
        (pp.vstack([A, F]), np.vstack([A, dense])),
        (pp.block_diag([F, [[2.0]]]), np.block([[dense, np.zeros((m, 1))], [np.zeros((1, n)), 2]])),
        (pp.kron(F, [[1.0, 2.0]]), np.kron(dense, [[1.0, 2.0]])),
        (pp.Composition([np.arange(1.0, m + 1), F]), np.arange(1.0, m + 1)[:, None] * dense),
    ):
        assert isinstance(G, pp.Operator)
        scale = max(1.0, float(np.abs(expected).max())) * max(m, n)
        close(G.toarray(), expected, 10 * room * scale)
        x = vectors(G.shape[1], G.dtype)
        close(G @ x, expected @ x, 100 * room * scale)
        close(G.T.toarray(), expected.T, 10 * room * scale)
    if m == n:
        close((F**2).toarray(), dense @ dense, 10 * room * m * max(1, np.abs(dense).max()))
        close((F**0).toarray(), np.eye(n), 0)
    else:
        with pytest.raises(ValueError, match="square"):
            F**2


NARROW = [np.float16(3), np.float32(3), np.complex64(3), np.int8(3), np.uint8(3), np.True_]


@pytest.mark.parametrize("number", NARROW, ids=lambda number: number.dtype.name)
@pytest.mark.parametrize("name", ["Composition", "Butterfly", "float32"])
def test_divisors_of_a_narrow_dtype_are_exact(name, number):
    F = OPERATORS[name]()
    dense, eps = F.toarray(), EPS[F.dtype.char]
    assert (F / number).dtype == np.result_type(F.dtype, number)
    expected = dense / complex(number)
    close((F / number).toarray(), expected, 4 * eps * abs(expected).max())
    back, inverse = (F * number).inv().toarray(), F.inv().toarray() / complex(number)
    close(back, inverse, 20 * eps * abs(inverse).max())


def test_quotients_whose_reciprocals_are_no_numbers():
    rng = np.random.default_rng(0)
    for name in ("Composition", "Fourier", "structured", "sum"):
        F = OPERATORS[name]()
        x = rng.standard_normal(F.shape[1])
        for number in (1e-310, 5e-324, 1.7e308, 1e-310j, -(10**308)):
            near = 2.0 ** (-1000 if abs(number) < 1 else 1000)
            expected = (F @ x) * (near / number)
            room = 1e-14 * abs(expected).max()
            close(((near * F) / number) @ x, expected, room)
            close((F / number) @ (near * x), expected, room)


def test_inverses_of_tiny_and_huge_operators():
    x = np.random.default_rng(1).standard_normal(12)
    for F in (T.dct(12), T.dft(12), random_butterfly("float64"), random_butterfly("complex64")):
        single = F.dtype.char in "fF"
        eps, y = EPS[F.dtype.char], x.astype(F.dtype)
        for number in (1e-30, 1e30) if single else (1e-310, 1e-200, 1e200, 1e308):
            near = 2.0 ** ((-90 if single else -1000) * (1 if number < 1 else -1))
            expected = (F.inv() @ y) * (near / number)
            close((F * number).inv() @ (near * y), expected, 1000 * eps * abs(expected).max())


def test_numbers_that_numpy_does_not_take_are_named():
    for F in (T.dct(4), T.hadamard(4)):
        assert np.array_equal((F * 10**30).toarray(), F.toarray() * 1e30)
        assert np.array_equal((F * -(2**70)).toarray(), F.toarray() * -(2.0**70))
        for number in (Fraction(1, 2), Decimal(2), "x", np.datetime64(1, "D")):
            wanted = f"other is {re.escape(repr(number))}, expected an int, float or complex"
            for operation in (operator.mul, operator.truediv):
                with pytest.raises(TypeError, match=wanted):
                    operation(F, number)
        with pytest.raises(ValueError, match="other is an int, expected at most"):
            F * 10**400
        with pytest.raises(ZeroDivisionError, match="other is 0"):
            F / np.int8(0)


def test_slices(made):
    F, dense, room = made
    m, n = F.shape
    close(F[1:, ::2].toarray(), dense[1:, ::2], room)
    close(F[:, [0, -1]].toarray(), dense[:, [0, -1]], room)
    close(F[np.arange(m) % 2 == 0].toarray(), dense[::2], room)
    close(F[1], dense[1], room)
    close(F[:, -1], dense[:, -1], room)
    close(F[::2, 0], dense[::2, 0], room)
    assert abs(F[0, n - 1] - dense[0, n - 1]) <= room
    assert F[:] is F[...] is F[()] is F
    for key in (m, (0, n), [m], np.ones(m + 1, bool), (0, 0, 0), [0.5], slice(0, 0), None):
        with pytest.raises((IndexError, TypeError)):
            F[key]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint64"])
def test_indices_of_narrow_dtypes(dtype):
    F = T.dct(300)
    dense = F.toarray()
    places = np.array([1, 100, 2], dtype)
    assert np.array_equal(F[places].toarray(), dense[places])
    assert np.allclose(F[places[1]], dense[100])
    assert np.array_equal(F.apply_columns(places).toarray(), dense[:, places])
    if np.dtype(dtype).kind == "i":
        assert np.array_equal(F[-places].toarray(), dense[-places])
    with pytest.raises(IndexError, match="index 100 is out of range for 50"):
        T.dct(50)[places]


def test_numbers(made):
    F, dense, _ = made
    for ord in ("fro", 1, 2, np.inf):
        expected = np.linalg.norm(dense, ord)
        assert abs(F.norm(ord) - expected) <= 100 * max(F.shape) * EPS[F.dtype.char] * expected
    with pytest.raises(ValueError, match="ord is 3"):
        F.norm(3)
    assert F.nnz >= 0
    assert F.nbytes >= 0
    assert f"{F.shape[0]}x{F.shape[1]}" in repr(F)


def test_inverses_are_right_or_refused(made):
    F, dense, room = made
    try:
        G = F.inv()
    except ValueError:
        return
    spread = np.linalg.cond(dense)
    close((G @ F).toarray(), np.eye(F.shape[1]), 100 * room * spread)
    close((F.T.inv() @ F.T).toarray(), np.eye(F.shape[1]), 100 * room * spread)
    close((3 * F).inv().toarray(), G.toarray() / 3, 100 * room * spread)
    close((F**-1).toarray(), G.toarray(), 100 * room * spread)


def test_indices_at_the_ends_of_their_dtypes():
    F = pp.transforms.dct(300)
    places = np.array([-100, 100], np.int8)
    np.testing.assert_allclose(F[places].toarray(), F.toarray()[places])
    for wrong in (np.int16(300), np.uint64(2**64 - 1), np.array([0, -301], np.int16)):
        with pytest.raises(IndexError, match="out of range for 300"):
            F[wrong]


@pytest.mark.parametrize(
    "shape", [(6, 5), (5, 6), (1, 8), (8, 1), (70, 40), (1, 80), (80, 2), (7, 7)]
)
def test_eigs_are_those_that_exist(shape):
    rng = np.random.default_rng(0)
    m, n = shape
    k = min(shape)
    sizes = 10.0 ** -(3 * np.arange(k)) if max(shape) <= 64 else 10.0 ** -(np.arange(k) / 10)
    u, v = (np.linalg.qr(rng.standard_normal((size, k)))[0] for size in shape)
    F = pp.Composition([(u * sizes) @ v.T])
    if m == n:
        expected = np.linalg.eigvals(F.toarray())
        np.testing.assert_allclose(np.sort(abs(F.eigs())), np.sort(abs(expected)), atol=1e-14)
    elif max(shape) <= 64 or k < 3:
        np.testing.assert_allclose(F.eigs(), sizes, rtol=0, atol=1e-15)
        assert len(F.eigs(100)) == k and len(F.eigs(1, tol=1e-3)) == 1
        assert np.allclose(F.eigs(1, which="SM"), sizes[-1], rtol=0, atol=1e-15)
    else:
        np.testing.assert_allclose(F.eigs(3), sizes[:3], rtol=1e-10)
    for neigs, error in ((0, ValueError), (-1, ValueError), ("a", TypeError), (1.5, TypeError)):
        with pytest.raises(error, match="neigs"):
            F.eigs(neigs)


def test_pickles_and_files(made, tmp_path, request):
    F, _, _ = made
    x = vectors((F.shape[1], 2), F.dtype)
    again = pickle.loads(pickle.dumps(F))
    assert type(again) is type(F)
    assert np.array_equal(again @ x, F @ x)
    path = tmp_path / "F.npz"
    if "foreign" in request.node.name:
        with pytest.raises(TypeError, match="isn't papilio's"):
            F.save(path)
        assert not list(tmp_path.iterdir())
        return
    F.save(path)
    loaded = pp.load(path)
    assert type(loaded) is type(F)
    assert loaded.dtype == F.dtype
    assert np.array_equal(loaded @ x, F @ x)
    try:
        inverse = F.inv()
    except ValueError:
        with pytest.raises(ValueError):
            loaded.inv()
    else:
        y = vectors((F.shape[0], 2), F.dtype)
        assert np.allclose(loaded.inv() @ y, inverse @ y)


def test_plans(made):
    F, _, _ = made
    plan = F.plan(4)
    assert str(plan)
    assert plan.predicted >= 0
    assert pp.plan(F, 4).text == plan.text
    with pytest.raises(ValueError, match="batch is 0"):
        F.plan(0)


@pytest.mark.parametrize("operand", [scipy.sparse.eye_array(12), "x", None, object()])
def test_what_is_no_array_is_refused(operand):
    for name in ("Butterfly", "Composition", "sum", "slice"):
        F = OPERATORS[name]()
        with pytest.raises((TypeError, ValueError)):
            F @ operand
        with pytest.raises((TypeError, ValueError)):
            F.apply(operand)


def test_shapes_that_do_not_fit_are_named():
    F = T.dct(12)
    with pytest.raises(ValueError, match=r"\(12, 12\).*\(8, 8\)"):
        F @ T.dct(8)
    with pytest.raises(ValueError, match=r"\(12, 12\).*\(8, 8\)"):
        F + T.dct(8)
    with pytest.raises(ValueError, match="rows"):
        pp.hstack([F, T.dct(8)])
    with pytest.raises(ValueError, match="operators is empty"):
        pp.vstack([])
    with pytest.raises(TypeError):
        F + 1
    with pytest.raises(TypeError):
        F / F
    with pytest.raises(TypeError, match="exponent"):
        F**0.5


def test_scipy_operators_combine_from_both_sides():
    F, A = T.dct(12), matrix(12, 12)
    foreign = aslinearoperator(A)
    x = vectors(12, "float64")
    dense = F.toarray()
    assert np.allclose((F @ foreign) @ x, dense @ A @ x)
    assert np.allclose((F + foreign) @ x, (dense + A) @ x)
    assert np.allclose((F @ foreign).T @ x, (dense @ A).T @ x)
    assert np.allclose((foreign @ F) @ x, A @ dense @ x)


def test_norms_of_zero_operators_are_zero():
    for n in (3, 200):
        F = 0 * T.dct(n)
        assert [F.norm(ord) for ord in ("fro", 1, 2, np.inf)] == [0, 0, 0, 0]


@pytest.mark.parametrize("scale", [1e-310, 1e-200, 1e-160, 1e160, 1e200, 1e300])
def test_norms_of_tiny_and_huge_operators(scale):
    rng = np.random.default_rng(0)
    thin = [rng.standard_normal((1, 70, 3, 1)) + 1j, rng.standard_normal((1, 3, 90, 1))]
    for F in (pp.Butterfly(thin), T.dct(100), T.dct(12)):
        for ord in ("fro", 1, 2, np.inf):
            expected = np.linalg.norm(F.toarray(), ord)
            assert abs((scale * F).norm(ord) / scale - expected) <= 1e-12 * expected


def test_norms_that_are_no_numbers_are_nan_or_infinite():
    for n in (10, 100):
        F = pp.Composition([np.full(n, np.nan)])
        assert np.isnan([F.norm(ord) for ord in ("fro", 1, 2, np.inf)]).all()
        assert not np.isfinite(
            [(1e308 * T.dct(n)).norm(ord) for ord in ("fro", 1, 2, np.inf)]
        ).any()
    assert np.isclose((1e38 * T.dct(100, dtype="float32")).norm(1), 1e38 * T.dct(100).norm(1))


@pytest.mark.parametrize("scale", [1e-305, 1e-200, 1.0, 1e200, 1e305])
def test_dottest_finds_wrong_adjoints_of_any_scale(scale):
    def wrong(forward, back):
        def by(number):
            return lambda x: number * scale * x

        products = {"matvec": by(forward), "matmat": by(forward)}
        products |= {"rmatvec": by(back), "rmatmat": by(back)}
        return pp.Composition([LinearOperator((4, 4), dtype=float, **products)])

    assert wrong(2, -3).dottest() > 1
    assert wrong(0, 1).dottest() > 0.1
    assert wrong(2, 2).dottest(batch=3) < 1e-15
    assert (scale * T.dct(9)).dottest() < 1e-14


def test_butterflies_of_factors_keep_nothing_that_others_write_to():
    F = random_butterfly("complex128").T
    G = pp.Butterfly(F.factors)
    assert np.array_equal(G.toarray(), F.toarray())
    values = [np.array(array) for array in F.factors]
    factors = pp.Factors(F.architecture, tuple(values), F.row_permutation, F.column_permutation)
    H = pp.Butterfly(factors)
    values[0].setflags(write=True)
    values[0][...] = 0
    assert np.array_equal(H.toarray(), F.toarray())
    with pytest.raises(ValueError, match="factors"):
        pp.Butterfly(pp.Factors(F.architecture, tuple(np.ones((1, 1, 1, 1)) for _ in values)))


def test_in_place_products_of_complex_vectors_keep_infinities_apart():
    F = pp.Composition([np.array([1j, 1.0]), np.array([2.0, 3.0])])
    x = np.array([np.inf + 1j, 1.0 + 0j])
    y = F @ x
    assert y[1] == 3
    assert np.isinf(y[0].imag)
