"""vjp, jvp and with_factors against dense factors in extended precision and finite differences."""

import numpy as np
import pytest

import papilio as pp
import reference
from papilio import _core
from papilio.operators import AlongAxis, Pairs, RealLinear
from papilio.operators._blocks import Blocks
from strategies import DTYPES, random_array

#: Largest relative error of a gradient, in the Frobenius norm.
TOLERANCE = {np.dtype(t): 1e-5 if t in (np.float32, np.complex64) else 1e-13 for t in DTYPES}

#: (patterns, tied axes of each factor, permutations)
CHAINS = {
    "dyadic": ([(1, 2, 2, 8), (2, 2, 2, 4), (4, 2, 2, 2), (8, 2, 2, 1)], "", False),
    "permuted": ([(1, 2, 2, 4), (2, 2, 2, 2), (4, 2, 2, 1)], "", True),
    "tied": ([(1, 2, 2, 6), (2, 3, 3, 2), (6, 2, 2, 1)], "d,ad,a", True),
    "monarch": ([(1, 5, 7, 6), (7, 6, 4, 1)], "", False),
    "rectangles": ([(2, 3, 5, 2), (5, 4, 1, 1), (1, 5, 9, 1)], "", True),
    "low rank": ([(1, 11, 2, 1), (1, 2, 17, 1)], "", False),
    "one": ([(3, 4, 2, 5)], "a", True),
    "scalar": ([(1, 1, 1, 1)], "", False),
    "large blocks": ([(1, 9, 32, 2), (2, 32, 17, 1)], "", False),
}


def butterfly(name, dtype, seed=0):
    patterns, tied, permuted = CHAINS[name]
    rng = np.random.default_rng(seed)
    architecture = pp.Architecture(patterns)
    factors = []
    for n, (a, b, c, d) in enumerate(patterns):
        axes = (tied.split(",") + [""] * len(patterns))[n]
        shape = (1 if "a" in axes else a, b, c, 1 if "d" in axes else d)
        factors.append(random_array(rng, shape, dtype))
    rows, cols = architecture.shape
    permutations = (rng.permutation(rows), rng.permutation(cols)) if permuted else (None, None)
    return pp.Butterfly(factors, *permutations, architecture=architecture)


def error(actual, expected):
    """The distance relative to the norm of what is expected."""
    wide = np.asarray(actual).astype(expected.dtype)
    size = np.sqrt((np.abs(expected) ** 2).sum())
    return float(np.sqrt((np.abs(wide - expected) ** 2).sum()) / (size or 1))


def check(F, x, gy, axis=0, tolerance=None, **options):
    """vjp of F against the reference."""
    columns = [np.moveaxis(array, axis, 0) for array in (x, gy)]
    gx_wanted, wanted = reference.chain_gradients(
        F, *(array.reshape(array.shape[0], -1) for array in columns)
    )
    gx, gradients = F.vjp(x, gy, axis=axis, **options)
    real = np.result_type(F.dtype, x.dtype, gy.dtype)
    tolerance = tolerance or TOLERANCE[real]
    assert gx.shape == x.shape and gx.dtype == np.result_type(F.dtype, gy.dtype)
    assert error(np.moveaxis(gx, axis, 0).reshape(gx_wanted.shape), gx_wanted) <= tolerance
    assert isinstance(gradients, tuple) and len(gradients) == len(F.factors)
    for gradient, values, expected in zip(gradients, F.factors, wanted, strict=True):
        assert gradient.shape == values.shape and gradient.flags.c_contiguous
        assert error(gradient, expected) <= tolerance
    return gx, gradients


VIEWS = {
    "": lambda F: F,
    "T": lambda F: F.T,
    "H": lambda F: F.H,
    "C": lambda F: F.conj(),
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CHAINS)
def test_vectors_and_batches_along_each_axis(name, dtype, view):
    F = VIEWS[view](butterfly(name, dtype))
    rows, cols = F.shape
    rng = np.random.default_rng(1)
    for before, after in [((), ()), ((), (1,)), ((), (19,)), ((33,), ()), ((2,), (3,))]:
        x = random_array(rng, (*before, cols, *after), dtype)
        gy = random_array(rng, (*before, rows, *after), dtype)
        _, gradients = check(F, x, gy, len(before))
        assert all(gradient.dtype == F.dtype for gradient in gradients)


@pytest.mark.parametrize("x_dtype", DTYPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_mixed_dtypes(dtype, x_dtype):
    F = butterfly("tied", dtype)
    rows, cols = F.shape
    rng = np.random.default_rng(2)
    x = random_array(rng, (cols, 5), x_dtype)
    for gy_dtype in DTYPES:
        gy = random_array(rng, (rows, 5), gy_dtype)
        real = np.result_type(F.dtype, x_dtype, gy_dtype).type(0).real.dtype
        gx, gradients = F.vjp(x, gy)
        gx_wanted, wanted = reference.chain_gradients(F, x, gy)
        tolerance = TOLERANCE[real]
        assert error(gx, gx_wanted) <= tolerance
        for gradient, expected in zip(gradients, wanted, strict=True):
            assert error(gradient, expected) <= tolerance
            assert gradient.dtype.kind == F.dtype.kind and gradient.real.dtype == real


def test_integers_lists_and_strided_arrays():
    F = butterfly("permuted", np.float64)
    x, gy = np.arange(8), list(range(8))
    check(F, x, np.array(gy, float))
    assert np.array_equal(F.vjp(x, gy)[0], F.vjp(x.astype(float), np.array(gy, float))[0])
    rng = np.random.default_rng(3)
    x, gy = rng.standard_normal((2, 40, 16))[:, ::-2, ::-2]
    check(F, x.T, gy[:, ::-1].T)
    check(F, np.broadcast_to(x[:1], x.shape), np.asfortranarray(gy), axis=1)
    x.flags.writeable = False
    check(F, x, gy, axis=1)


def test_only_what_is_needed_is_computed_and_out_is_written():
    F = butterfly("rectangles", np.float32)
    rows, cols = F.shape
    rng = np.random.default_rng(4)
    x, gy = random_array(rng, (7, cols), F.dtype), random_array(rng, (7, rows), F.dtype)
    gx, gradients = F.vjp(x, gy, axis=1)
    none, same = F.vjp(x, gy, axis=1, need_x=False)
    assert none is None
    assert all(np.array_equal(p, q) for p, q in zip(gradients, same, strict=True))
    only, none = F.vjp(x, gy, axis=1, need_factors=False)
    assert none is None and error(only, gx.astype(float)) < 1e-6
    assert F.vjp(x, gy, axis=1, need_x=False, need_factors=False) == (None, None)
    memory = np.full((7, 2 * cols), np.nan, F.dtype)
    out = memory[:, ::2]
    found, _ = F.vjp(x, gy, axis=1, out=out)
    assert found is out and np.array_equal(out, gx) and np.isnan(memory[:, 1::2]).all()
    F.vjp(x, gy, axis=1, out=out, need_factors=False)
    assert np.array_equal(out, only)


def test_empty_batches_have_gradients_of_zero():
    F = butterfly("tied", np.complex64)
    gx, gradients = F.vjp(np.zeros((12, 0), np.complex64), np.zeros((12, 0), np.complex64))
    assert gx.shape == (12, 0)
    for gradient, values in zip(gradients, F.factors, strict=True):
        assert gradient.shape == values.shape and not gradient.any()


def test_accumulation_in_double_precision():
    # The sum over many vectors of products that all are 1 + small.
    F = pp.Butterfly([np.ones((1, 2, 2, 1), np.float32)])
    rng = np.random.default_rng(5)
    x = (1 + 0.1 * rng.standard_normal((2, 1 << 16))).astype(np.float32)
    gy = np.ones((2, 1 << 16), np.float32)
    exact = x.astype(float).sum(axis=1)
    _, (single,) = F.vjp(x, gy)
    _, (double,) = F.vjp(x, gy, accumulate=np.float64)
    assert single.dtype == np.float32 and double.dtype == np.float64
    assert np.abs(double[0, 0, :, 0] / exact - 1).max() < 1e-12
    assert np.abs(single[0, 0, :, 0] / exact - 1).max() < 1e-5
    G = butterfly("monarch", np.complex64)
    z, gz = random_array(rng, (28, 100), G.dtype), random_array(rng, (30, 100), G.dtype)
    _, gradients = check(G, z, gz, accumulate="float64")
    assert all(gradient.dtype == np.complex128 for gradient in gradients)


def test_nan_and_inf_flow():
    F = butterfly("dyadic", np.float64)
    x, gy = np.ones((16, 3)), np.ones((16, 3))
    x[3, 1] = np.nan
    gx, gradients = F.vjp(x, gy)
    assert np.isfinite(gx).all() and not np.isfinite(gradients[-1]).all()
    gy[0, 0] = np.inf
    gx, _ = F.vjp(np.ones((16, 3)), gy)
    assert not np.isfinite(gx[:, 0]).any() and np.isfinite(gx[:, 1:]).all()


@pytest.mark.parametrize("name", ["permuted", "tied", "monarch"])
def test_against_finite_differences(name):
    F = butterfly(name, np.float64)
    rng = np.random.default_rng(6)
    rows, cols = F.shape
    x, gy = rng.standard_normal((cols, 4)), rng.standard_normal((rows, 4))
    dx = rng.standard_normal(x.shape)
    changes = [rng.standard_normal(values.shape) for values in F.factors]
    gx, gradients = F.vjp(x, gy)
    predicted = (gx * dx).sum() + sum(
        (g * change).sum() for g, change in zip(gradients, changes, strict=True)
    )

    def loss(step):
        factors = [
            values.astype(np.longdouble) + step * change
            for values, change in zip(F.factors, changes, strict=True)
        ]
        matrix = reference.dense_chain(
            F.architecture, factors, F.row_permutation, F.column_permutation
        )
        return (gy * (matrix @ (x + step * dx))).sum()

    step = np.longdouble(1e-6)
    measured = (loss(step) - loss(-step)) / (2 * step)
    assert abs(predicted / measured - 1) < 1e-10
    # The derivative in the same direction, forwards.
    y, dy = F.jvp(x, dx, changes)
    assert error(y, F @ x) < 1e-14 and abs((gy * dy).sum() / measured - 1) < 1e-10


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("dtype", [np.float32, np.complex128])
def test_jvp_is_the_transpose_of_vjp(dtype, view):
    rng = np.random.default_rng(7)
    for name in CHAINS:
        F = VIEWS[view](butterfly(name, dtype))
        rows, cols = F.shape
        x, dx, gy = (random_array(rng, (3, n, 2), dtype) for n in (cols, cols, rows))
        changes = [random_array(rng, values.shape, dtype) for values in F.factors]
        y, dy = F.jvp(x, dx, changes, axis=1)
        assert error(y, F.apply(x, axis=1)) < TOLERANCE[np.dtype(dtype)]
        gx, gradients = F.vjp(x, gy, axis=1)
        forwards = np.vdot(gy, dy).real
        backwards = np.vdot(gx, dx).real + sum(
            np.vdot(g, change).real for g, change in zip(gradients, changes, strict=True)
        )
        size = np.linalg.norm(gy) * np.linalg.norm(dy)
        assert abs(forwards - backwards) <= TOLERANCE[np.dtype(dtype)] * size
        # Without directions nothing moves; one of the two alone.
        assert not F.jvp(x, axis=1)[1].any()
        parts = F.jvp(x, dx, axis=1)[1] + F.jvp(x, None, changes, axis=1)[1]
        assert error(parts, dy.astype(np.result_type(dy, float))) < TOLERANCE[np.dtype(dtype)]
        some = [changes[0]] + [None] * (len(changes) - 1)
        zeros = [changes[0]] + [np.zeros_like(change) for change in changes[1:]]
        assert error(F.jvp(x, None, some, axis=1)[1], F.jvp(x, None, zeros, axis=1)[1]) < 1e-5


def test_with_factors_is_the_operator_of_the_new_values():
    rng = np.random.default_rng(8)
    for name in CHAINS:
        for dtype in (np.float32, np.complex128):
            for view in VIEWS.values():
                F = view(butterfly(name, dtype))
                values = [random_array(rng, array.shape, dtype) for array in F.factors]
                G = F.with_factors(values)
                assert G.dtype == F.dtype and G.architecture == F.architecture
                assert all(np.array_equal(*pair) for pair in zip(G.factors, values, strict=True))
                H = pp.Butterfly(
                    values, F.row_permutation, F.column_permutation, architecture=F.architecture
                )
                assert error(G.toarray(), reference.dense(H)) < TOLERANCE[np.dtype(dtype)]
                x = random_array(rng, (F.shape[1], 4), dtype)
                assert error(G @ x, H @ x) < TOLERANCE[np.dtype(dtype)]
                assert error(G.H.H @ x, H @ x) < TOLERANCE[np.dtype(dtype)]
    F = butterfly("monarch", np.float32)
    values = [array.astype(np.float64) for array in F.factors]
    G = F.with_factors(values)
    values[0][...] = np.nan
    assert G.dtype == np.float32 and np.array_equal(G.toarray(), F.toarray())


def test_with_factors_follows_a_plan_that_was_made():
    F = pp.transforms.dft(64)  # whose structure other values don't have
    x = np.random.default_rng(9).standard_normal((64, 20))
    assert F.plan(20) is not None and (F @ x).shape == (64, 20)
    rng = np.random.default_rng(10)
    values = [random_array(rng, W.shape, F.dtype) for W in F.factors]
    G = F.with_factors(values)
    assert error(G @ x, (reference.dense(G) @ x)) < 1e-13
    assert error(G.H @ x, (reference.dense(G).conj().T @ x)) < 1e-13
    assert error(G @ x[:, 0], (reference.dense(G) @ x[:, 0])) < 1e-13


# ------------------------------------------------------------------ other operators


OPERATORS = {
    "composition": lambda F, G: pp.Composition([F, np.arange(1.0, 9.0), G, np.ones(8)]),
    "product": lambda F, G: F @ G @ F.T,
    "scaled": lambda F, G: pp.Composition([np.full(8, 2.0), F]),
    "sum": lambda F, G: F + 2 * G,
    "section": lambda F, G: pp.Section(F, (5, 7)),
    "leading": lambda F, G: pp.Section(F, (8, 8)),
    "stack": lambda F, G: pp.vstack([F, pp.hstack([G[:, :4], F[:, :4]])]),
    "diagonal": lambda F, G: pp.block_diag([F, G, [[2.0]]]),
    "kron": lambda F, G: pp.kron(pp.Composition([F, np.arange(1.0, 9.0)]), G),
    "selection": lambda F, G: F[[3, 1, 1], ::2],
    "power": lambda F, G: F**3,
    "real": lambda F, G: (F @ G).real,
    "nested": lambda F, G: pp.vstack([F @ G, G]) @ G,
}


def made(kind, dtype, rng):
    chains = [(1, 2, 2, 4), (2, 2, 2, 2), (4, 2, 2, 1)], [(2, 4, 4, 1), (1, 2, 2, 4)]
    return OPERATORS[kind](
        *(pp.Butterfly([random_array(rng, p, dtype) for p in chain]) for chain in chains)
    )


def weights_in(gradients):
    """All arrays of nested gradients, left to right."""
    if gradients is None:
        return []
    if isinstance(gradients, np.ndarray):
        return [gradients]
    return [array for entry in gradients for array in weights_in(entry)]


def random_like(rng, gradients):
    if gradients is None:
        return None
    if isinstance(gradients, np.ndarray):
        return random_array(rng, gradients.shape, gradients.dtype)
    return tuple(random_like(rng, entry) for entry in gradients)


@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
@pytest.mark.parametrize("kind", OPERATORS)
def test_what_parts_give_each_other_is_accumulated_in_double_precision_too(kind, dtype):
    rng = np.random.default_rng(7)
    F = made(kind, dtype, rng)
    x, gy = random_array(rng, (F.shape[1], 5), dtype), random_array(rng, (F.shape[0], 5), dtype)
    out = np.empty_like(F.vjp(x, gy, need_factors=False)[0])
    gx, gradients = F.vjp(x, gy, accumulate=float, out=out)
    wide = np.result_type(dtype, float)
    wanted_x, wanted = F.astype(wide).vjp(x.astype(wide), gy.astype(wide))
    assert gx is out
    assert error(gx, wanted_x) < 1e-6
    for found, expected in zip(weights_in(gradients), weights_in(wanted), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("kind", OPERATORS)
def test_operators_made_of_others(kind, dtype):
    rng = np.random.default_rng(10)
    operator = made(kind, dtype, rng)
    assert operator.has_factors
    rows, cols = operator.shape
    x, dx = (random_array(rng, (3, cols), dtype) for _ in range(2))
    gy = random_array(rng, (3, rows), operator.apply(x, axis=1).dtype)
    gx, gradients = operator.vjp(x, gy, axis=1)
    assert weights_in(gradients)
    assert error(gx, operator.H.apply(gy, axis=1)) < 1e-14
    none, same = operator.vjp(x, gy, axis=1, need_x=False)
    assert none is None
    for p, q in zip(weights_in(gradients), weights_in(same), strict=True):
        assert np.array_equal(p, q)
    assert operator.vjp(x, gy, axis=1, need_factors=False)[1] is None
    out = np.empty_like(gx)
    assert operator.vjp(x, gy, axis=1, out=out)[0] is out and np.array_equal(out, gx)
    # <gy, dy> = <gx, dx> + <gradients, changes>: jvp is checked against differences below.
    changes = random_like(rng, gradients)
    y, dy = operator.jvp(x, dx, changes, axis=1)
    assert error(y, operator.apply(x, axis=1)) < 1e-14
    backwards = np.vdot(gx, dx) + sum(
        np.vdot(g, d) for g, d in zip(weights_in(gradients), weights_in(changes), strict=True)
    )
    size = np.linalg.norm(gy) * np.linalg.norm(dy)
    assert abs(np.vdot(gy, dy).real - backwards.real) < 1e-13 * size


def moved(operator, changes, step):
    """The operator whose factors went a step in this direction."""
    if changes is None:
        return operator
    if isinstance(operator, pp.Butterfly):
        return operator.with_factors(
            [W + step * change for W, change in zip(operator.factors, changes, strict=True)]
        )
    if isinstance(operator, pp.Composition):
        parts = zip(operator.parts, changes, strict=True)
        return pp.Composition([moved(part, change, step) for part, change in parts])
    if isinstance(operator, Blocks):
        pairs = zip(operator.terms, changes, strict=True)
        terms = [(row, column, moved(F, change, step)) for (row, column, F), change in pairs]
        return Blocks(terms, operator.shape)
    if isinstance(operator, Pairs):
        return Pairs(moved(operator.butterfly, changes, step))
    if isinstance(operator, AlongAxis):
        inner = moved(operator.operator, changes, step)
        return AlongAxis(inner, operator.before, operator.after)
    assert isinstance(operator, RealLinear)
    return RealLinear(moved(operator.on_pairs, changes, step), operator.takes_complex)


def check_jvp(operator, x, rng):
    """jvp against central differences, which are exact up to h**2."""
    _, gradients = operator.vjp(x, operator @ x)
    changes = random_like(rng, gradients)
    h = 1e-5
    measured = (moved(operator, changes, h) @ x - moved(operator, changes, -h) @ x) / (2 * h)
    _, dy = operator.jvp(x, None, changes)
    assert error(dy, measured) < 1e-8


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("kind", OPERATORS)
def test_operators_made_of_others_against_differences(kind, dtype):
    rng = np.random.default_rng(11)
    operator = made(kind, dtype, rng)
    for x_dtype in (np.float64, np.complex128):
        check_jvp(operator, random_array(rng, (operator.shape[1], 2), x_dtype), rng)


@pytest.mark.parametrize("name", ["rdft", "irdft", "dct"])
def test_operators_between_real_and_complex_vectors(name):
    rng = np.random.default_rng(12)
    operator = getattr(pp.transforms, name)(12)
    x = random_array(rng, (operator.shape[1], 3), operator._domain())
    dx = random_array(rng, x.shape, x.dtype)
    y = operator @ x
    gy = random_array(rng, y.shape, y.dtype)
    gx, gradients = operator.vjp(x, gy)
    changes = random_like(rng, gradients)
    y, dy = operator.jvp(x, dx, changes)
    backwards = np.vdot(gx, dx).real + sum(
        np.vdot(g, d).real for g, d in zip(weights_in(gradients), weights_in(changes), strict=True)
    )
    assert abs(np.vdot(gy, dy).real / backwards - 1) < 1e-12
    check_jvp(operator, x, rng)
    for F, u, gv in ((operator, x, gy), (operator.H, gy, x)):
        expected = F.vjp(u, gv)[0]
        out = np.empty_like(expected)
        assert F.vjp(u, gv, out=out)[0] is out
        assert np.array_equal(out, expected)
        other = np.complex128 if expected.dtype == np.float64 else np.float64
        with pytest.raises(TypeError, match=f"expected .*{expected.dtype}"):
            F.vjp(u, gv, out=np.empty(expected.shape, other))


def test_parts_without_factors_have_no_gradients():
    F = pp.Composition([np.arange(1.0, 5.0)])
    assert not F.has_factors
    gx, gradients = F.vjp(np.ones(4), np.ones(4))
    assert gradients is None and np.array_equal(gx, np.arange(1.0, 5.0))
    assert np.array_equal(F.jvp(np.ones(4), np.ones(4))[1], np.arange(1.0, 5.0))
    G = pp.Composition([F, pp.transforms.hadamard(4)])
    assert G.vjp(np.ones(4), np.ones(4))[1][0] is None


# ------------------------------------------------------------------ what is wrong is said


def test_bad_arguments():
    F = butterfly("monarch", np.float32)  # 30 x 28
    x, gy = np.ones((28, 3), np.float32), np.ones((30, 3), np.float32)
    D = pp.Composition([np.ones(4)])
    wrong = [
        (ValueError, "x has shape", lambda: F.vjp(x[:5], gy)),
        (ValueError, "gy has shape", lambda: F.vjp(x, gy[:, :2])),
        (ValueError, "gy has shape", lambda: F.vjp(x, gy[:, 0])),
        (ValueError, "axis is 2", lambda: F.vjp(x, gy, axis=2)),
        (TypeError, "gy has dtype", lambda: F.vjp(x, gy.astype(str))),
        (TypeError, "need_x is 1", lambda: F.vjp(x, gy, need_x=1)),
        (TypeError, "need_factors is", lambda: F.vjp(x, gy, need_factors=None)),
        (TypeError, "accumulate is", lambda: F.vjp(x, gy, accumulate=np.float32)),
        (TypeError, "accumulate is", lambda: F.vjp(x, gy, accumulate="no dtype")),
        (TypeError, "out has dtype", lambda: F.vjp(x, gy, out=np.ones((28, 3)))),
        (TypeError, "out is a list", lambda: F.vjp(x, gy, out=[])),
        (ValueError, "out has shape", lambda: F.vjp(x, gy, out=gy.copy())),
        (ValueError, "out overlaps x", lambda: F.vjp(x, gy, out=x)),
        (ValueError, "out is given", lambda: F.vjp(x, gy, out=x.copy(), need_x=False)),
        (ValueError, "dx has shape", lambda: F.jvp(x, gy)),
        (ValueError, "x has shape", lambda: F.jvp(gy)),
        (ValueError, "dfactors has 1 ", lambda: F.jvp(x, None, [None])),
        (ValueError, r"dfactors\[1\] has shape", lambda: F.jvp(x, None, [None, x])),
        (TypeError, r"dfactors\[0\] has dtype", lambda: F.jvp(x, None, [1j * F.factors[0], None])),
        (TypeError, "dfactors is 3", lambda: F.jvp(x, None, 3)),
        (ValueError, "has no factors", lambda: D.jvp(np.ones(4), None, [1])),
        (ValueError, "expected 2 entries", lambda: (F.T @ F).jvp(x, None, [None])),
        (ValueError, r"factors\[0\] has shape", lambda: F.with_factors([x, x])),
        (ValueError, "factors has 1 arrays", lambda: F.with_factors([x])),
        (TypeError, "factors is 3", lambda: F.with_factors(3)),
        (TypeError, r"factors\[0\] has dtype", lambda: F.with_factors([1j * W for W in F.factors])),
    ]  # fmt: skip
    for kind, words, call in wrong:
        with pytest.raises(kind, match=words):
            call()
    square = butterfly("dyadic", np.float32)
    gy = np.ones((16, 3), np.float32)
    with pytest.raises(ValueError, match="out overlaps gy"):
        square.vjp(np.ones_like(gy), gy, out=gy)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["dyadic", "tied", "large blocks"])
def test_same_bits_for_any_number_of_threads(name, dtype, threads):
    F = butterfly(name, dtype)
    rows, cols = F.shape
    rng = np.random.default_rng(13)
    x, gy = random_array(rng, (300, cols), dtype), random_array(rng, (300, rows), dtype)
    _core.set_thresholds(10.0, 0)  # little work is shared out, too
    found = []
    for count in (1, 2, 3):
        threads(count)
        gx, gradients = F.vjp(x, gy, axis=1)
        moved = F.jvp(x, x, gradients, axis=1)
        found.append([array.tobytes() for array in (gx, *gradients, *moved)])
    _core.set_thresholds(0.0, 0)
    assert found[0] == found[1] == found[2]


def test_changes_are_read_at_any_strides():
    F = pp.Butterfly([np.ones((1, 2, 2, 2)), np.ones((2, 2, 2, 1))])
    apart = np.ones((1, 2, 2, 2), [("a", "f8"), ("b", "f4")])["a"]
    x = np.arange(4.0)
    assert np.array_equal(F.jvp(x, dfactors=[apart, None])[1], F @ x)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(12))
def test_values_lie_in_memory_in_any_order(seed, dtype):
    """Products keep large blocks as (i, l, j, k), users what they like: the bits are the same."""
    rng = np.random.default_rng(seed)
    inner, b, c = rng.integers(1, 9, size=3)
    lanes = 2 ** int(rng.integers(0, 6))
    few = int(rng.integers(1, 4))
    patterns = [(few, b, inner, lanes), (lanes, inner * few, c, 1)]
    batch = int(rng.integers(1, 40))
    values = [random_array(rng, pattern, dtype) for pattern in patterns]
    core = _core.Gradients(patterns, np.dtype(dtype), None, None)
    rows, columns = pp.Architecture(patterns).shape
    x, gy = random_array(rng, (batch, columns), dtype), random_array(rng, (batch, rows), dtype)

    def pulled_back(orders):
        arrays = [in_order(W, order) for W, order in zip(values, orders, strict=True)]
        gx = np.empty_like(x)
        gradients = [in_order(np.full_like(W, np.nan), orders[0]) for W in values]
        core.pull_back(arrays, x, gy, 1, gx, gradients)
        return [gx, *gradients]

    plain = pulled_back([(0, 1, 2, 3)] * 2)
    for _ in range(6):
        orders = [tuple(rng.permutation(4)) for _ in values]
        for one, other in zip(plain, pulled_back(orders), strict=True):
            np.testing.assert_array_equal(one, other)
    for one, other in zip(plain, pulled_back([(0, 3, 1, 2)] * 2), strict=True):
        np.testing.assert_array_equal(one, other)
    _, wanted = reference.chain_gradients(pp.Butterfly(values), x.T, gy.T)
    for one, other in zip(plain[1:], wanted, strict=True):
        assert error(one, other) < TOLERANCE[np.dtype(dtype)]


def in_order(array, axes):
    """A copy whose memory has the axes in this order."""
    return np.ascontiguousarray(array.transpose(axes)).transpose(np.argsort(axes))


def test_the_core_takes_arrays_only():
    # What is made into an array would be gone before it is read.
    class Copied:
        def __array__(self, dtype=None, copy=None):
            return np.ones((1, 2, 2, 1))

    core = _core.Gradients([(1, 2, 2, 1)], np.dtype(float), None, None)
    W, x, y = np.ones((1, 2, 2, 1)), np.ones(2), np.empty(2)
    for call in (
        lambda: core.multiply([Copied()], x, y, 0),
        lambda: core.pull_back([W], x, y, 0, [0.0, 0.0], [W.copy()]),
        lambda: core.push_forward([W], [Copied()], x, None, y, y.copy(), 0),
        lambda: core.push_forward([W], [None], x, [0.0, 0.0], y, y.copy(), 0),
        lambda: _core.Operator([(1, 2, 2, 1)], (Copied(),), None, None),
    ):
        with pytest.raises(TypeError, match="must be made of arrays"):
            call()


def test_the_core_refuses_to_push_nothing_forward():
    core = _core.Gradients([(1, 2, 2, 1)], np.dtype(float), None, None)
    W, x, y = np.ones((1, 2, 2, 1)), np.ones(2), np.empty(2)
    with pytest.raises(ValueError, match="neither dx nor any of changes"):
        core.push_forward([W], [None], x, None, y, np.empty(2), 0)
    with pytest.raises(ValueError, match="changes isn't as long"):
        core.push_forward([W], [], x, x, y, np.empty(2), 0)
