"""Non-uniform transforms, against direct sums in extended precision."""

import pickle
import warnings
from fractions import Fraction

import numpy as np
import pytest

import papilio as pp
from papilio import _core
from papilio._util.turns import _TURN_BITS, Radians, _turns_of_one
from papilio.config import get_num_threads, set_num_threads

nudft = pp.transforms.nudft
EPS = {"complex64": 2.0**-23, "complex128": 2.0**-52}


def points(m, d=1, seed=0, reach=np.pi):
    x = np.random.default_rng(seed).uniform(-reach, reach, (m, d))
    return x[:, 0] if d == 1 else x


def complex_vectors(*shape, seed=1, dtype="complex128"):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(dtype)


def modes_of(counts, order="centered"):
    axes = [np.arange(-(n // 2), (n + 1) // 2) for n in counts]
    if order == "fft":
        axes = [np.fft.ifftshift(k) for k in axes]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(counts))


def exact(kind, x, counts=None, s=None, sign=-1, order="centered"):
    """The matrix, its phases in extended precision."""
    x = np.asarray(x, float).reshape(len(x), -1).astype(np.longdouble)
    k = modes_of(counts, order) if s is None else np.asarray(s).reshape(len(s), -1)
    phases = sign * (k.astype(np.longdouble) @ x.T)
    matrix = (np.cos(phases) + 1j * np.sin(phases)).astype(complex)
    return matrix.T if kind == 2 else matrix


def relative(found, wanted):
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


CASES = {
    "1-D": (40, (33,)),
    "1-D, even": (50, (64,)),
    "1-D, many points": (700, (21,)),
    "2-D": (60, (9, 16)),
    "3-D": (50, (5, 8, 6)),
    "one mode": (7, (1,)),
    "two modes": (7, (2, 1)),
    "one mode of each": (5, (1, 1, 2)),
}


@pytest.mark.parametrize("tol", [1e-1, 1e-3, 1e-6, 1e-9, 1e-12])
@pytest.mark.parametrize("name", CASES)
def test_matrices_of_types_1_and_2_are_as_close_as_asked(name, tol):
    m, counts = CASES[name]
    x = points(m, len(counts))
    A = exact(2, x, counts)
    F = nudft(2, x, counts, tol=tol)
    assert F.shape == A.shape
    dense = F.toarray()
    assert relative(dense, A) <= tol
    assert relative(F.T.toarray(), dense.T) <= 1e-2 * tol + 1e-14
    assert relative(nudft(1, x, counts, tol=tol, sign=1).toarray(), A.conj().T) <= tol


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("tol", [1e-2, 1e-6, 1e-10])
def test_matrices_of_type_3_are_as_close_as_asked(d, tol):
    x = points(40, d, reach=2.0) + 5
    s = points(30, d, seed=3, reach=(30, 10, 4)[d - 1]) - 7
    for sign in (-1, 1):
        F = nudft(3, x, frequencies=s, tol=tol, sign=sign)
        A = exact(3, x, s=s, sign=sign)
        assert relative(F.toarray(), A) <= tol
        assert relative(F.T.toarray(), A.T) <= tol


TWO_PI = Fraction(
    "6.28318530717958647692528676655900576839433879875021164194988918461563281257241799725607"
)


def exact_far(x, s, sign=-1):
    """The matrix of type 3, its phases as fractions."""
    angles = [
        [
            float(sum(Fraction(a) * Fraction(b) for a, b in zip(p, q, strict=True)) % TWO_PI)
            for p in x
        ]
        for q in s
    ]
    return np.exp(sign * 1j * np.array(angles))


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_type_3_away_from_the_origin_loses_nothing(d, sign):
    x, s = points(20, d, reach=1.0).reshape(20, d), points(15, d, seed=3).reshape(15, d)
    for away_x, away_s in ((1e6, 1e6), (-3e12, 0.1), (0.0, 7e9), (1e6, -4e14), (1e15, 2e15)):
        near, far = x + away_x, s - away_s
        F = nudft(3, near, frequencies=far, tol=1e-10, sign=sign)
        A = exact_far(near, far, sign)
        assert F.report.reached
        assert relative(F.toarray(), A) <= F.report.error_bound <= 1e-10
        assert relative(F.T.toarray(), A.T) <= 1e-10
        assert F.report.relative_error <= F.report.error_bound


def test_type_3_of_numbers_of_any_size():
    for x, s in (
        (1e300 * np.array([1.0, 1 + 1e-15]), [1e-300, 9e-300]),
        (1e-310 * np.array([1.0, 2.0]), [1e308, 1.5e308]),
        (np.array([0.0, 5e-324]), [3.0, -4.0]),
        (np.array([1.7e308, -1.7e308]), [1e-308, 3e-308]),
        (np.full(2, 1.5e300), [1e10, 1e10]),
    ):
        F = nudft(3, x, frequencies=s, tol=1e-9)
        turns = Fraction(_turns_of_one(), 1 << _TURN_BITS)
        angles = [[float(Fraction(p) * Fraction(q) * turns % 1) for p in x.tolist()] for q in s]
        assert relative(F.toarray(), np.exp(-2j * np.pi * np.array(angles))) <= 1e-9
        assert F.report.reached


def test_the_turns_of_one_are_the_inverse_of_two_pi():
    assert abs(Fraction(_turns_of_one(), 1 << _TURN_BITS) * TWO_PI - 1) < Fraction(1, 10**80)
    axis = Radians(np.array([1.0, -3.0, 1e22, 5e-324, 0.0]))
    for factor in (1.0, -2.5, 1e10):
        for value, turns in zip((1.0, -3.0, 1e22, 5e-324, 0.0), axis.times(factor), strict=True):
            away = (Fraction(value) * Fraction(factor) / TWO_PI - Fraction(turns)) % 1
            assert min(away, 1 - away) <= 2.0**-54


@pytest.mark.parametrize("kind", [1, 2, 3])
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_the_error_is_at_most_the_bound_and_what_is_not_reached_is_warned_of(kind, dtype):
    rng = np.random.default_rng(kind)
    tols = (1e-5, 1e-6, 1e-7) if dtype == "complex64" else (1e-8, 1e-12, 1e-13, 1e-14)
    for counts in ((7,), (500,), (151,), (9, 16), (5, 6, 7), (2, 9, 1), (1, 1, 2)):
        d, m = len(counts), int(rng.choice([1, 3, 20]))
        x = rng.uniform(-np.pi, np.pi, (m, d))
        s = rng.uniform(-0.5, 0.5, (30, d)) * counts if kind == 3 else None
        A = exact(kind, x, counts, s)
        for tol in tols:
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                given = {"modes": counts} if kind < 3 else {"frequencies": s}
                F = nudft(kind, x, **given, tol=tol, dtype=dtype)
            report = F.report
            assert relative(F.toarray(), A) <= report.error_bound
            assert report.relative_error <= report.error_bound
            assert report.reached == (report.error_bound <= tol)
            assert [w.category for w in told] == [pp.transforms.ToleranceWarning] * (
                not report.reached
            )
            assert all(w.filename == __file__ for w in told)


@pytest.mark.parametrize("m", [0, 2])
@pytest.mark.parametrize("n", [0, 3])
def test_type_3_without_points_or_frequencies(m, n, tmp_path):
    x, s = np.arange(m) + 0.5, np.arange(n) - 1.0
    F = nudft(3, x, frequencies=s, tol=1e-9)
    F.save(tmp_path / "F.npz")
    for G in (F, F.conj(), pickle.loads(pickle.dumps(F)), pp.load(tmp_path / "F.npz")):
        assert G.toarray().shape == G.shape == (n, m)
        assert G.T.toarray().shape == G.H.toarray().shape == (m, n)
        assert (G @ np.ones((m, 2))).shape == (n, 2)
        assert G.report.reached
    if m == 0:
        assert (F @ np.zeros(0) == 0).all()


def algebra(F):
    """Operators made of F, which may have no rows or no columns."""
    yield from (F, 2j * F, -F, F.real, F.imag, (2j * F).H, (2j * F).conj(), F + 2 * F)
    yield from (F.H @ (3 * F), (3 * F) @ F.H, (F @ F.H) ** 2, F.real.T @ F.real)
    yield from (pp.kron(2 * F, pp.transforms.dft(2)), pp.vstack([2 * F, F]), pp.hstack([F, -F]))


@pytest.mark.parametrize(("m", "n"), [(0, 0), (0, 2), (2, 0)])
@pytest.mark.parametrize("kind", [1, 2, 3])
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_operators_made_of_those_without_points_or_frequencies(kind, m, n, dtype, tmp_path):
    given = {"frequencies": np.ones((n, 2))} if kind == 3 else {"modes": (n + 1, 3)}
    for G in algebra(nudft(kind, np.ones((m, 2)), tol=1e-4, dtype=dtype, **given)):
        rows, columns = G.shape
        A = G.toarray()
        assert A.shape == (rows, columns)
        X = complex_vectors(columns, 20)
        G.save(tmp_path / "G.npz")
        for copy in (G, pickle.loads(pickle.dumps(G)), pp.load(tmp_path / "G.npz")):
            assert np.abs(copy @ X - A @ X).max(initial=0) <= 1e-4 * (1 + np.abs(A).max(initial=0))
            assert copy.apply(X.T, axis=1).shape == (20, rows)


def test_operators_of_modes_take_arrays(tmp_path):
    F = nudft(2, points(6, 2), (3, 4), tol=1e-9)
    X = complex_vectors(5, 3, 4)
    assert (F.dims, F.dimsd, F.normal().dims, F.normal().dimsd) == ((3, 4), (6,), (3, 4), (3, 4))
    wanted = (F @ X.reshape(5, 12).T).T
    assert relative(F.apply(X, axes=(1, 2)), wanted) <= 1e-14
    assert F.H.apply(wanted, axes=1).shape == (5, 3, 4)
    assert F.normal().apply(X, axes=(1, 2)).shape == X.shape
    F.save(tmp_path / "F.npz")
    for G in (F.conj(), pickle.loads(pickle.dumps(F)), pp.load(tmp_path / "F.npz")):
        assert (G.dims, G.dimsd, G.T.dims, G.H.dimsd) == ((3, 4), (6,), (6,), (3, 4))
    none = nudft(1, np.zeros((0, 2)), (3, 4), sign=1)
    assert pickle.loads(pickle.dumps(none)).dimsd == none.dimsd == (3, 4)
    assert nudft(1, points(6), 7).dims == (6,)


def test_the_normal_operator_is_positive_up_to_the_tolerance():
    for tol in (1e-1, 1e-4):
        F = nudft(2, points(10), 30, tol=tol)
        eigenvalues = np.linalg.eigvalsh(F.normal().toarray())
        assert eigenvalues[0] >= -tol * eigenvalues[-1]


def test_type_3_of_points_that_are_all_one():
    F = nudft(3, [2.0, 2.0], frequencies=[5.0], tol=1e-9)
    assert relative(F.toarray(), exact(3, [2.0, 2.0], s=[5.0])) <= 1e-9


@pytest.mark.parametrize("order", ["centered", "fft"])
@pytest.mark.parametrize("counts", [(7,), (8,), (5, 4)])
def test_orders_of_modes_are_those_of_numpy(order, counts):
    x = points(9, len(counts))
    F = nudft(2, x, counts, mode_order=order, tol=1e-10)
    assert relative(F.toarray(), exact(2, x, counts, order=order)) <= 1e-10


def test_points_anywhere_are_wrapped():
    x = points(30)
    for turns in (1, -3, 1000):
        near = nudft(2, x, 100, tol=1e-12).toarray()
        far = x + 2 * np.pi * turns
        assert relative(nudft(2, far, 100, tol=1e-12).toarray(), exact(2, far, (100,))) <= 1e-11
        assert relative(nudft(2, far, 100, tol=1e-12).toarray(), near) <= 1e-10 * abs(turns)
    edge = np.array([np.pi, -np.pi, 0.0, np.nextafter(np.pi, 4), -0.0, 1e300, 2.0**40])
    assert (
        relative(
            nudft(2, edge, 64, tol=1e-12).toarray(),
            exact(
                2, edge[:5].tolist() + [np.arctan2(np.sin(v), np.cos(v)) for v in edge[5:]], (64,)
            ),
        )
        <= 1e-10
    )


def test_the_bound_holds_for_points_on_cells():
    x = np.random.default_rng(0).choice([np.pi, -np.pi, 0.0, np.nextafter(np.pi, 0)], 60)
    for digits in np.linspace(1, 9, 25):
        F = nudft(1, x, 46, tol=10**-digits)
        assert relative(F.toarray(), exact(1, x, (46,))) <= 10**-digits


@pytest.mark.parametrize("modes", [1, 2, 32, 39, 48, 53, 91, 103, 117, 159, 195, 300])
def test_the_bound_of_windows_holds_for_any_number_of_modes(modes):
    x = np.array([0.0, np.pi])
    A = exact(2, x, (modes,))
    for digits in (2, 4.7, 8.08, 8.3, 9.1):
        F = nudft(2, x, modes, tol=10**-digits)
        rows = np.linalg.norm(F.toarray() - A, axis=1) / np.sqrt(modes)
        assert rows.max() <= F.report.error_bound


def test_repeated_points_one_point_and_none():
    x = np.array([0.5, 0.5, 0.5, -2.0])
    assert relative(nudft(1, x, 8, tol=1e-9).toarray(), exact(1, x, (8,))) <= 1e-9
    assert relative(nudft(2, [1.0], (16,), tol=1e-9).toarray(), exact(2, [1.0], (16,))) <= 1e-9
    F = nudft(1, np.zeros(0), 16)
    assert F.shape == (16, 0)
    assert (F @ np.zeros(0) == 0).all()
    assert (F.T @ np.ones(16)).shape == (0,)
    assert F.report.relative_error == 0


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_batches_in_both_layouts_are_the_products_of_vectors(dtype, d):
    counts = ((300,), (20, 14), (8, 6, 10))[d - 1]
    F = nudft(2, points(200, d), counts, tol=1e-5, dtype=dtype)
    room = 1000 * EPS[dtype]
    for G in (F, F.T, F.H):
        for batch in (1, 3, 8, 13):
            X = complex_vectors(G.shape[1], batch, dtype=dtype)
            alone = np.stack([G @ np.ascontiguousarray(x) for x in X.T], axis=1)
            assert relative(G @ X, alone) <= room
            assert relative(G.apply(np.ascontiguousarray(X.T), axis=1).T, alone) <= room
            assert relative(G @ np.asfortranarray(X), alone) <= room
            assert relative(G @ X.real, (G @ (X.real + 0j * X))) <= room


def test_products_with_larger_batches_of_long_vectors():
    m, n = 5000, 3000
    x = points(m)
    F = nudft(2, x, n, tol=1e-8)
    f = complex_vectors(n, 5)
    rows = np.arange(0, m, 500)
    wanted = exact(2, x[rows], (n,)) @ f
    assert relative((F @ f)[rows], wanted) <= 1e-7
    g = complex_vectors(m, 5)
    wanted = exact(3, x, s=np.arange(-n // 2, -n // 2 + 10)) @ g
    assert relative((F.T @ g)[:10], wanted) <= 1e-7


@pytest.mark.parametrize("kind", [1, 2, 3])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_adjoints_are_exact(kind, d):
    counts = ((200,), (16, 20), (6, 8, 10))[d - 1]
    given = {"frequencies": 3 * points(40, d, seed=2)} if kind == 3 else {"modes": counts}
    F = nudft(kind, points(150, d), **given, tol=1e-2)
    assert F.dottest(batch=3) <= 1e-14


@pytest.mark.parametrize("d", [1, 2, 3])
def test_bits_are_the_same_for_any_number_of_threads(d):
    before = get_num_threads()
    counts = ((9000,), (90, 70), (20, 24, 18))[d - 1]
    F = nudft(2, points(4000, d), counts, tol=1e-6)
    try:
        _core.set_thresholds(1.0, 0)
        results = []
        for threads in (1, 2, 5):
            set_num_threads(threads)
            x, y = complex_vectors(F.shape[1]), complex_vectors(F.shape[0])
            X = complex_vectors(F.shape[1], 8)
            results.append([F @ x, F.T @ y, F @ X])
        for other in results[1:]:
            for first, second in zip(results[0], other, strict=True):
                assert first.tobytes() == second.tobytes()
    finally:
        _core.set_thresholds(0.0, 0)
        set_num_threads(before)


@pytest.mark.parametrize("order", ["centered", "fft"])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_the_normal_operator_is_the_product_and_self_adjoint(d, order):
    counts = ((21,), (6, 9), (4, 5, 3))[d - 1]
    x, w = points(60, d), np.random.default_rng(5).uniform(-1, 2, 60)
    for sign in (-1, 1):
        F = nudft(2, x, counts, tol=1e-11, sign=sign, mode_order=order)
        A = exact(2, x, counts, sign=sign, order=order)
        assert relative(F.normal(w).toarray(), A.conj().T @ (w[:, None] * A)) <= 1e-9
        G = F.normal()
        assert relative(G.toarray(), A.conj().T @ A) <= 1e-9
        assert relative(G.toarray(), G.toarray().conj().T) <= 1e-14
        assert relative(F.T.H.normal().toarray(), A.T @ A.conj()) <= 1e-9
    with pytest.raises(ValueError, match="type 1, expected type 2"):
        F.T.normal()
    with pytest.raises(ValueError, match="weights has shape"):
        F.normal(w[:3])
    with pytest.raises(TypeError, match="weights has dtype complex128"):
        F.normal(w * 1j)


@pytest.mark.parametrize(
    ("dtype", "scales"),
    [("complex64", (1e37, 1e-37, 1e-39)), ("complex128", (1e306, 1e-300, 1e-309))],
)
def test_normal_operators_of_weights_of_any_size(dtype, scales):
    F = nudft(2, points(20, 2), (5, 6), tol=1e-5 if dtype == "complex64" else 1e-12, dtype=dtype)
    weights = np.random.default_rng(2).uniform(0.5, 1, 20)
    expected = F.normal(weights).toarray().astype(complex)
    for scale in scales:
        G = F.normal(scale * weights)
        assert G.dims == G.dimsd == (5, 6)
        for A in (G.toarray(), pickle.loads(pickle.dumps(G)).toarray()):
            away = np.abs(A.astype(complex) - scale * expected).max()
            assert away <= scale * 64 * float(np.finfo(dtype).eps) * np.abs(expected).max()
    with pytest.raises(ValueError, match=f"weights has entries up to .* overflows {dtype}"):
        F.normal(np.finfo(dtype).max * weights)


@pytest.mark.parametrize("kind", [1, 2, 3])
def test_points_are_the_operators_own(kind):
    x = points(20)
    F = nudft(kind, x, **({"frequencies": x} if kind == 3 else {"modes": 8}))
    before = F.astype("complex64").toarray()
    x[:] = 0
    for G in (F, F.T, F.conj(), pickle.loads(pickle.dumps(F))):
        with pytest.raises(ValueError, match="read-only"):
            G.points[:] = 0
    assert (F.astype("complex64").toarray() == before).all()


@pytest.mark.parametrize("kind", [1, 2, 3])
def test_files_and_pickles(tmp_path, kind):
    given = {"frequencies": [3.0, 4.5]} if kind == 3 else {"modes": (4, 6)}
    x = points(10, 1 if kind == 3 else 2)
    F = nudft(kind, x, **given, sign=1)
    F.save(tmp_path / "F.npz")
    for G in (pp.load(tmp_path / "F.npz"), pickle.loads(pickle.dumps(F))):
        assert type(G) is type(F)
        assert repr(G) == repr(F)
        assert (G.toarray() == F.toarray()).all()
        assert (G.H.toarray() == F.H.toarray()).all()
    if kind == 2:
        assert relative(G.normal().toarray(), F.normal().toarray()) == 0


@pytest.mark.parametrize("angle", [1e9, -1e20, 1e300, np.inf, np.nan])
def test_files_with_points_that_have_no_cell_are_refused(angle, tmp_path):
    F = nudft(2, points(10, 1), (50,))
    interpolation = next(part for part in F.parts if hasattr(part, "angles"))
    interpolation.angles = np.where(np.arange(10)[:, None] == 3, angle, interpolation.angles)
    F.save(tmp_path / "F.npz")
    with pytest.raises(ValueError, match="can load: .*angles"):
        pp.load(tmp_path / "F.npz")


def test_points_of_any_size_have_cells():
    largest = 2.0**22 * np.linspace(-1, 1, 1000)
    x = np.concatenate([largest, 1e9 * largest, [np.pi, -np.pi]])
    for modes in (25, 26, 50, 2047):
        F = nudft(2, x, (modes,))
        assert np.isfinite(F.report.error_bound)


def test_single_precision_loses_no_digits_to_many_modes():
    n = 1 << 16
    x = points(20)
    F = nudft(2, x, n, dtype="complex64", tol=1e-5)
    f = complex_vectors(n, dtype="complex64")
    wanted = exact(2, x, (n,)) @ f
    assert relative(F @ f, wanted) <= 1e-5
    assert relative(F.astype("complex128") @ f, wanted) <= 1e-5


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("kind", [1, 2, 3])
def test_reports_tell_the_error(kind, dtype):
    given = {"frequencies": 9 * points(50, 2, seed=4)} if kind == 3 else {"modes": (12, 10)}
    for tol in (1e-2, 1e-5):
        F = nudft(kind, points(80, 2), **given, tol=tol, dtype=dtype)
        s = given.get("frequencies")
        A = exact(kind, points(80, 2), given.get("modes"), s)
        true = relative(F.toarray(), A)
        report = F.report
        assert report.reached
        assert true <= report.error_bound <= tol
        assert true / 3 <= report.relative_error <= 3 * true
        assert F.T.report.relative_error <= report.error_bound
        assert "reached" in str(report)


def test_what_can_not_be_reached_is_said():
    with pytest.warns(UserWarning, match="tol is 1e-09, but rounding in complex64"):
        F = nudft(2, points(20), 32, tol=1e-9, dtype="complex64")
    assert not F.report.reached
    assert F.report.relative_error < 1e-5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nudft(2, points(20), 32, tol=1e-13)
        nudft(2, points(20), 32, tol=1e-5, dtype="complex64")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((4, [1.0], 8), ValueError, "kind is 4"),
        ((2, [1.0]), ValueError, "modes is None"),
        ((3, [1.0]), ValueError, "frequencies is None"),
        ((2, [[1.0, 2.0]], 8), ValueError, "modes is 8, expected 2 numbers"),
        ((2, [1.0], (8, 8)), ValueError, "modes is"),
        ((2, [1.0], 0), ValueError, "modes is 0"),
        ((2, [1.0], bytearray(b"a")), TypeError, "modes is bytearray"),
        ((2, [1.0], 2**40), ValueError, "grid of"),
        ((2, [np.nan], 8), ValueError, "points has NaN"),
        ((2, [1j], 8), TypeError, "points has dtype complex128"),
        ((2, np.zeros((3, 4)), 8), ValueError, r"points has shape \(3, 4\)"),
        ((2, "x", 8), TypeError, "points"),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        nudft(*arguments)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"tol": 0}, ValueError, "tol is 0"),
        ({"tol": 1.5}, ValueError, "tol is 1.5"),
        ({"sign": 0}, ValueError, "sign is 0"),
        ({"mode_order": "fftw"}, ValueError, "mode_order is 'fftw'"),
        ({"dtype": "float64"}, TypeError, "dtype is float64"),
    ],
)
def test_bad_options_are_named(options, error, message):
    with pytest.raises(error, match=message):
        nudft(2, [1.0], 8, **options)
    with pytest.raises(ValueError, match=r"span \[1000000000.0\] times \[1000000000.0\]:"):
        nudft(3, [0.0, 1e9], frequencies=[0.0, 1e9])


@pytest.mark.parametrize("tol", [5e-324, 1e-310, 1e-300])
@pytest.mark.parametrize("kind", [1, 2, 3])
def test_tolerances_that_nothing_reaches_give_what_can_be_reached(kind, tol):
    x = points(9, 2)
    sizes = {"frequencies": points(5, 2, seed=1)} if kind == 3 else {"modes": (4, 3)}
    with pytest.warns(pp.transforms.ToleranceWarning, match="rounding in complex128 alone"):
        F = nudft(kind, x, tol=tol, **sizes)
    assert not F.report.reached and F.report.relative_error < 1e-12


def test_the_rounding_of_a_single_output_is_not_left_to_chance():
    eps = np.finfo(float).eps
    for seed in range(20):
        F = nudft(2, points(1, 1, seed=seed), 151, tol=1e-8)
        adjoint = relative(F.H.toarray(), F.toarray().conj().T)
        assert adjoint <= 2 * F.report.rounding + 16 * eps


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        (1, {"modes": 4, "frequencies": [1.0]}, "frequencies is .*, expected None"),
        (2, {"modes": 4, "frequencies": [1.0]}, "frequencies is .*, expected None"),
        (3, {"modes": 4, "frequencies": [1.0]}, "modes is 4, expected None"),
        (3, {"mode_order": "fft", "frequencies": [1.0]}, "mode_order is 'fft', expected"),
    ],
)
def test_arguments_that_a_type_does_not_use_are_refused(kind, given, message):
    with pytest.raises(ValueError, match=message):
        nudft(kind, [1.0], **given)
