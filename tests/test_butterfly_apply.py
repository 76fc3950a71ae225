"""Products: every dtype, layout, side and thread count against the dense reference."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import papilio as pp
from reference import dense
from strategies import (
    DTYPES,
    TOLERANCE,
    any_chain,
    chainable,
    dtypes,
    laid_out,
    random_array,
    random_chainable,
    random_factors,
)
from tests.fuzz.leftovers import leftovers_are_left_alone

FORMS = {
    "F": (lambda F: F, lambda D: D),
    "F.T": (lambda F: F.T, lambda D: D.T),
    "F.H": (lambda F: F.H, lambda D: D.conj().T),
    "F.conj()": (lambda F: F.conj(), lambda D: D.conj()),
    "F.T.H": (lambda F: F.T.H, lambda D: D.conj()),
}


def assert_close(actual, expected, scale=1.0):
    """Relative to the largest entry; a small multiple of eps."""
    expected = np.asarray(expected)
    assert actual.shape == expected.shape
    tolerance = TOLERANCE[actual.dtype] * scale
    bound = tolerance * max(np.abs(expected).max(initial=0.0), 1.0)
    assert np.abs(actual - expected).max(initial=0.0) <= bound


def random_butterfly(rng, architecture, dtype, permuted=False):
    rows, cols = architecture.shape
    return pp.Butterfly(
        random_factors(rng, architecture, dtype),
        rng.permutation(rows) if permuted else None,
        rng.permutation(cols) if permuted else None,
    )


@given(st.data(), st.integers(0, 2**32 - 1), dtypes, st.booleans())
def test_any_chain_times_any_batch_in_any_layout(data, seed, dtype, permuted):
    rng = np.random.default_rng(seed)
    architecture = data.draw(st.one_of(chainable(), any_chain()))
    F = random_butterfly(rng, architecture, dtype, permuted)
    D = dense(F)
    form = data.draw(st.sampled_from(sorted(FORMS)))
    F, D = FORMS[form][0](F), FORMS[form][1](D)
    batch = data.draw(st.sampled_from([(), (1,), (2,), (3,), (7,), (32,), (0,), (2, 5), (3, 0)]))
    axis = data.draw(st.integers(0, len(batch)))
    shape = (*batch[:axis], D.shape[1], *batch[axis:])
    x = data.draw(laid_out(shape, dtype, rng))
    expected = np.moveaxis(np.tensordot(D, x.astype(D.dtype), ([1], [axis])), 0, axis)
    assert_close(F.apply(x, axis=axis), expected)
    out = data.draw(laid_out(expected.shape, dtype, rng))
    assert F.apply(x, out=out, axis=axis - len(shape)) is out
    assert_close(out, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("form", FORMS)
def test_matmul_follows_numpy_on_both_sides(form, dtype):
    rng = np.random.default_rng(1)
    F = random_butterfly(rng, pp.Architecture.mixed_radix([2, 3, 4], [4, 3, 5], 2), dtype, True)
    D = dense(F)
    F, D = FORMS[form][0](F), FORMS[form][1](D)
    m, n = D.shape
    assert F.shape == (m, n)
    for shape in [(n,), (n, 1), (n, 33), (2, n, 3), (2, 3, n, 4), (n, 0), (0, n, 2)]:
        x = random_array(rng, shape, dtype)
        assert_close(F @ x, D @ x)
    for shape in [(m,), (1, m), (33, m), (2, 3, m), (0, m)]:
        x = random_array(rng, shape, dtype)
        assert_close(x @ F, x @ D)


@given(st.data(), st.integers(0, 2**32 - 1), dtypes)
def test_adjoint_passes_the_dot_test(data, seed, dtype):
    rng = np.random.default_rng(seed)
    F = random_butterfly(rng, data.draw(any_chain()), dtype, True)
    x = random_array(rng, F.shape[1], dtype)
    y = random_array(rng, F.shape[0], dtype)
    left, right = np.vdot(y, F @ x), np.vdot(F.H @ y, x)
    scale = np.linalg.norm(np.abs(dense(F)) @ np.abs(x)) * np.linalg.norm(y) + 1
    assert abs(left - right) <= TOLERANCE[np.dtype(dtype)] * scale


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tied", [(True, False), (False, True), (True, True)])
def test_tied_values_repeat_along_a_and_d(tied, dtype):
    rng = np.random.default_rng(2)
    architecture = pp.Architecture([(1, 6, 4, 20), (2, 4, 3, 10), (6, 2, 5, 5), (30, 5, 2, 1)])
    factors = [
        random_array(rng, (1 if tied[0] else p.a, p.b, p.c, 1 if tied[1] else p.d), dtype)
        for p in architecture
    ]
    F = pp.Butterfly(factors, architecture=architecture)
    full = pp.Butterfly(
        [np.broadcast_to(v, tuple(p)) for v, p in zip(factors, architecture, strict=True)]
    )
    assert F.nbytes < full.nbytes
    assert F.nnz == full.nnz
    for transform in (lambda G: G, lambda G: G.H):
        X = random_array(rng, (transform(F).shape[1], 5), dtype)
        assert np.array_equal(transform(F) @ X, transform(full) @ X)
        assert np.array_equal(transform(F) @ X[:, 0], transform(full) @ X[:, 0])
    assert_close(F.toarray(), dense(F))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", [1, 2, 7, 32, 257])
def test_same_bits_for_any_number_of_threads(threads, dtype, columns):
    rng = np.random.default_rng(3)
    F = random_butterfly(rng, pp.Architecture.square_dyadic(2048), dtype)
    X = random_array(rng, (2048, columns), dtype)
    results = []
    for count in (1, 2, 3, 4):
        threads(count)
        results.append((F @ X, X.T @ F, F.H @ X[:, 0]))
    for other in results[1:]:
        for first, again in zip(results[0], other, strict=True):
            assert np.array_equal(first, again)


def test_one_operator_serves_many_python_threads():
    rng = np.random.default_rng(4)
    F = random_butterfly(rng, pp.Architecture.square_dyadic(512), np.float64)
    inputs = [random_array(rng, (512, 1 + n % 9), np.float64) for n in range(8)]
    expected = [F @ x for x in inputs]
    failures = []

    def work(n):
        for _ in range(30):
            if not np.array_equal(F @ inputs[n], expected[n]):
                failures.append(n)

    workers = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failures


@pytest.mark.parametrize("operator", DTYPES)
@pytest.mark.parametrize(
    "given",
    [*DTYPES, np.float16, np.int8, np.uint32, np.int64, np.bool_, ">f8", "<i2", ">c8"],
)
def test_mixed_dtypes_promote_as_numpy_does(operator, given):
    rng = np.random.default_rng(5)
    F = random_butterfly(rng, pp.Architecture.mixed_radix([2, 3, 2]), operator, True)
    x = 3 * random_array(rng, (12, 4), np.complex128 if np.dtype(given).kind == "c" else float)
    x = x.astype(given)
    counted_as = {"b": np.float64, "i": np.float64, "u": np.float64}.get(x.dtype.kind, x.dtype)
    counted_as = np.float32 if given == np.float16 else counted_as
    y = F @ x
    assert y.dtype == np.result_type(operator, counted_as).newbyteorder("=")
    single = np.dtype(operator).itemsize // (2 if np.dtype(operator).kind == "c" else 1) == 4
    expected = dense(F) @ x.astype(np.clongdouble if x.dtype.kind == "c" else np.longdouble)
    assert np.abs(y - expected).max() < (1e-5 if single else 1e-13) * np.abs(expected).max()
    out = np.empty((12, 4), y.dtype)
    assert np.array_equal(F.apply(x, out=out), y)


def test_large_batches_of_another_dtype_are_converted_piece_by_piece():
    rng = np.random.default_rng(6)
    F = random_butterfly(rng, pp.Architecture.square_dyadic(256), np.float64)
    X = rng.integers(-5, 5, (3, 256, 400))
    assert np.allclose(F @ X, F @ X.astype(float), rtol=1e-13, atol=1e-12)
    Z = random_array(rng, (3, 256, 400), np.complex64)
    assert (F @ Z).dtype == np.complex128
    assert np.allclose(F @ Z, F @ Z.astype(complex), rtol=1e-13, atol=1e-12)


def test_misaligned_and_oddly_strided_input_is_read_right():
    rng = np.random.default_rng(7)
    F = random_butterfly(rng, pp.Architecture.square_dyadic(16), np.float64)
    x = rng.standard_normal(16)
    raw = np.zeros(16 * 8 + 1, np.uint8)
    misaligned = raw[1:].view(np.float64)
    misaligned[:] = x
    assert np.array_equal(F @ misaligned, F @ x)
    records = np.zeros(16, dtype=[("tag", "u1"), ("value", "f8")])
    records["value"] = x
    assert np.array_equal(F @ records["value"], F @ x)
    G = random_butterfly(rng, pp.Architecture.square_dyadic(16), np.complex128)
    z = random_array(rng, 16, np.complex128)
    odd = np.zeros(16, dtype=[("value", "c16"), ("tag", "f8")])
    odd["value"] = z
    assert np.allclose(G @ odd["value"], G @ z, rtol=1e-14)
    assert np.array_equal(F @ np.broadcast_to(x[:, None], (16, 5)), F @ np.repeat(x[:, None], 5, 1))


def test_nan_and_inf_flow_as_ieee_says():
    H = pp.transforms.hadamard(8)
    x = np.ones(8)
    x[3] = np.nan
    assert np.isnan(H @ x).all()
    x[3] = np.inf
    assert np.isinf(H @ x).all()
    X = np.ones((8, 20))
    X[2, 5] = np.nan
    Y = H @ X
    assert np.isnan(Y[:, 5]).all()
    assert np.isfinite(np.delete(Y, 5, axis=1)).all()
    block = pp.Butterfly([np.ones((2, 2, 2, 1))])
    assert np.isnan(block @ [np.nan, 0, 0, 0]).tolist() == [True, True, False, False]


@pytest.mark.parametrize("dtype", DTYPES)
def test_products_are_accurate_to_a_few_eps_per_factor(dtype):
    rng = np.random.default_rng(8)
    eps = np.finfo(dtype).eps
    for _ in range(20):
        architecture = random_chainable(rng)
        F = random_butterfly(rng, architecture, dtype)
        x = random_array(rng, F.shape[1], dtype)
        exact = dense(F) @ x
        # Componentwise bound of the product of absolute values.
        magnitude = np.abs(x).astype(np.longdouble)
        for p, values in reversed(list(zip(architecture, F.factors, strict=True))):
            single = pp.Butterfly(
                [np.abs(values).astype(np.float64)], architecture=pp.Architecture([p])
            )
            magnitude = single @ magnitude.astype(np.float64)
        terms = sum(p.c + 3 for p in architecture)
        assert (np.abs(F @ x - exact) <= 2 * terms * eps * magnitude + 1e-300).all()


def test_factors_of_a_view_make_the_view_again():
    rng = np.random.default_rng(9)
    F = random_butterfly(rng, pp.Architecture.mixed_radix([2, 3], [4, 5], 2), np.complex128, True)
    for view in (F, F.T, F.H, F.conj()):
        again = pp.Butterfly(view.factors, view.row_permutation, view.column_permutation)
        assert np.allclose(again.toarray(), view.toarray(), rtol=1e-14)
        assert again.architecture == view.architecture
    for shared, own in zip(reversed(F.T.factors), F.factors, strict=True):
        assert np.shares_memory(shared, own)
        assert not shared.flags.writeable


@pytest.mark.parametrize("dtype", [np.float32, np.complex128])
def test_extreme_weights_neither_overflow_nor_vanish_in_the_plan(dtype):
    # The planner multiplies neighbouring factors; here their products leave the number range.
    rng = np.random.default_rng(10)
    architecture = pp.Architecture.square_dyadic(16)
    limits = np.finfo(dtype)
    for scale in (dtype(limits.max**0.6), dtype(limits.tiny**0.6)):
        factors = random_factors(rng, architecture, dtype)
        plain = pp.Butterfly(factors)
        scaled = pp.Butterfly([factors[0] * scale, factors[1] * scale, *factors[2:]])
        for shape in ((16,), (16, 40)):
            x = random_array(rng, shape, dtype)
            # Applied one after the other, the first scaled factor only makes up for the input's.
            expected = (plain @ x) * scale
            error = np.abs(scaled @ (x / scale) - expected).max()
            assert error <= 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_same_bits_for_any_number_of_threads_and_rows(threads, dtype):
    # The compiler chose which product was fused, differently in each unrolling.
    rng = np.random.default_rng(0)
    n = 4096
    F = pp.Butterfly(random_factors(rng, pp.Architecture.square_dyadic(n), dtype))
    for count in (2, 3, 9):
        X = random_array(rng, (count, n), dtype)
        results = []
        for number in (1, 2, 3):
            threads(number)
            results.append([F.apply(X, axis=1), F @ X.T, F.H @ X.T])
        for other in results[1:]:
            for first, second in zip(results[0], other, strict=True):
                assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("b, c", [(16, 64), (33, 40), (9, 300)])
def test_blocks_whose_rows_lie_far_apart(b, c, dtype):
    # Their panels are gathered: whole vectors of the batch, one vector, the rest of a row.
    rng = np.random.default_rng(b)
    d = 40
    values = random_array(rng, (1, b, c, d), np.dtype(dtype))
    F = pp.Butterfly([values])
    for batch in (1, 5, 61):
        x = random_array(rng, (c * d, batch), np.dtype(dtype))
        blocks = np.einsum("jkl,klm->jlm", values[0], x.reshape(c, d, batch), dtype=complex)
        expected = blocks.reshape(b * d, batch)
        if np.dtype(dtype).kind == "f":
            expected = expected.real
        for actual in (F @ x, F.apply(np.ascontiguousarray(x.T), axis=1).T):
            assert_close(actual, expected.astype(actual.dtype), c**0.5)


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("columns", [3, 7, 12])
@pytest.mark.parametrize("transform", ["dft", "dct", "hartley"])
def test_what_other_products_left_is_not_computed_with(transform, columns, dtype):
    # Beside narrow batches it was, and where it was denormal for a hundred times as long.
    dtype = dtype if transform == "dft" else np.empty(0, dtype).real.dtype
    for n in (15, 30, 60):
        F = getattr(pp.transforms, transform)(n, dtype=dtype)
        with leftovers_are_left_alone():
            F.apply(np.ones((n, columns), dtype))


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_all_ways_to_name_an_axis_go_straight_to_the_core(axes, monkeypatch):
    F = pp.Butterfly.random(pp.Architecture([(1, 4, 4, 3), (4, 3, 3, 1)]), seed=0)
    x = np.random.default_rng(0).standard_normal((12,) * axes)
    F.apply(x)
    expected = [F.apply(x, axis=axis) for axis in range(axes)]
    monkeypatch.setattr(type(F), "_write", None)
    for axis in range(-axes, axes):
        out = np.empty_like(x)
        assert F.apply(x, out=out, axis=axis) is out
        assert np.array_equal(out, expected[axis])
    if axes < 3:
        for axis in (0, axes - 1, -1):
            for given in (x, np.asfortranarray(x), x[::-1][::-1], np.repeat(x, 3, -1)[..., 1::3]):
                y = F.apply(given, axis=axis)
                assert np.array_equal(y, expected[axis])
                assert axes == 1 or y.flags.f_contiguous == given.flags.f_contiguous
    for axis in (axes, -axes - 1, 2**70, -(2**70)):
        with pytest.raises(ValueError, match="axis is"):
            F.apply(x, out=out, axis=axis)
