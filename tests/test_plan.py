"""Plans: every way to run a product gives the product, on any number of threads."""

import functools
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import papilio as pp
from papilio import _core
from reference import dense
from strategies import (
    DTYPES,
    TOLERANCE,
    any_chain,
    chainable,
    dtypes,
    laid_out,
    random_array,
    random_factors,
)


def force(F, batch, layouts, lanes, radix, tile):
    """The plan of this side for such batches; internal, so that tests can reach every path."""
    F._data.operator.force(bool(F._side & 1), (batch, *layouts), (lanes, radix, tile))


LAYOUTS = [(i, o) for i in ("columns", "rows", "neither") for o in ("columns", "rows", "neither")]


def fast_dense(F):
    """The reference in a precision that BLAS multiplies with."""
    return dense(F).astype(np.result_type(F.dtype, np.float64))


def assert_close(actual, expected):
    bound = 2 * TOLERANCE[actual.dtype] * max(1, np.abs(expected).max(initial=0))
    assert np.abs(actual - expected).max(initial=0) <= bound


@given(
    st.data(),
    st.integers(0, 2**32 - 1),
    dtypes,
    st.sampled_from(["columns", "rows"]),
    st.sampled_from([2, 4, 8]),
    st.sampled_from([1, 3, 16, 1000]),
    st.sampled_from([1, 2, 3, 7, 16, 17, 40, 129]),
)
def test_every_choice_multiplies_right(data, seed, dtype, lanes, radix, tile, batch):
    rng = np.random.default_rng(seed)
    architecture = data.draw(st.one_of(chainable(), any_chain()))
    rows, cols = architecture.shape
    F = pp.Butterfly(
        random_factors(rng, architecture, dtype),
        rng.permutation(rows) if data.draw(st.booleans()) else None,
        rng.permutation(cols) if data.draw(st.booleans()) else None,
    )
    D = dense(F)
    if data.draw(st.booleans()):
        F, D = F.H, D.conj().T
    for layouts in LAYOUTS:
        force(F, batch, layouts, lanes, radix, tile)
    axis = data.draw(st.integers(0, 1))
    x = data.draw(laid_out((D.shape[1], batch)[:: 1 - 2 * axis], dtype, rng))
    expected = D @ x if axis == 0 else x @ D.T
    out = data.draw(laid_out(expected.shape, dtype, rng))
    assert_close(F.apply(x, out=out, axis=axis), expected)


@functools.lru_cache(maxsize=1)
def large_chain(dtype):
    """A chain, a batch for it, and their product."""
    # Large enough for streaming stores, prefetch, several tiles and threads.
    rng = np.random.default_rng(0)
    n, batch = 128, 8209
    F = pp.Butterfly(
        random_factors(rng, pp.Architecture.square_dyadic(n), dtype),
        rng.permutation(n),
        rng.permutation(n),
    )
    X = random_array(rng, (n, batch), dtype)
    return F, X, fast_dense(F) @ X


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("lanes", ["columns", "rows"])
@pytest.mark.parametrize("radix", [2, 4, 8])
def test_large_chains_in_every_way(threads, dtype, lanes, radix):
    F, X, expected = large_chain(dtype)
    batch = X.shape[1]
    R = np.ascontiguousarray(X.T)
    for tile in (5, 64):
        for layout in ("columns", "rows"):
            force(F, batch, (layout, layout), lanes, radix, tile)
        results = []
        for count in (1, 2, 3):
            threads(count)
            results.append((F @ X, F.apply(R, axis=1)))
        for columns, rows in results[1:]:
            assert np.array_equal(columns, results[0][0])
            assert np.array_equal(rows, results[0][1])
        scale = np.abs(expected).max()
        assert np.abs(results[0][0] - expected).max() <= TOLERANCE[np.dtype(dtype)] * scale
        assert np.abs(results[0][1] - expected.T).max() <= TOLERANCE[np.dtype(dtype)] * scale


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("b", [3, 8, 16, 31, 32])
def test_blocks_of_any_size_far_apart(dtype, b):
    rng = np.random.default_rng(1)
    architecture = pp.Architecture([(1, b, b + 1, 9), (9, b + 1, b, 1)])
    F = pp.Butterfly(random_factors(rng, architecture, dtype))
    D = fast_dense(F)
    for batch in (1, 4, 70, 1030):
        values = random_array(rng, (F.shape[1], batch), dtype)
        memory = np.empty(values.size + 1, dtype)
        expected = D @ values
        for offset in (0, 1):
            X = memory[offset:][: values.size].reshape(values.shape)
            X[...] = values
            assert_close(F @ X, expected)
            assert_close(X.T @ F.T, expected.T)
    assert_close(F @ X[:, 0].copy(), D @ X[:, 0])


def test_single_vectors_of_large_operators_share_threads(threads):
    rng = np.random.default_rng(2)
    for dtype in DTYPES:
        F = pp.Butterfly(random_factors(rng, pp.Architecture.square_dyadic(2**15), dtype))
        x = random_array(rng, 2**15, dtype)
        threads(1)
        expected = F @ x
        for count in (2, 3, 4):
            threads(count)
            assert np.array_equal(F @ x, expected)


def test_tuning_keeps_the_fastest_and_the_result():
    rng = np.random.default_rng(3)
    F = pp.Butterfly(random_factors(rng, pp.Architecture.square_dyadic(64), np.float64))
    X = rng.standard_normal((64, 40))
    expected = F @ X
    for operator, x, result in ((F, X, expected), (F.T, expected, F.T @ expected)):
        tuned = pp.plan(operator, 40, tune=True)
        times = [candidate.measured for candidate in tuned.candidates]
        assert times == sorted(times)
        assert len({(c.lanes, c.radix, c.tile) for c in tuned.candidates}) == len(times) > 2
        best = tuned.candidates[0]
        assert (tuned.lanes, tuned.radix, tuned.tile) == (best.lanes, best.radix, best.tile)
        assert operator.plan(40).candidates == ()
        assert operator.plan(40).text == tuned.text
        np.testing.assert_allclose(operator @ x, result, rtol=1e-12, atol=1e-10)
    seen = []
    vector = F.plan(tune=True, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1
    assert len(seen) == 8 * len(vector.candidates)  # seven times each, and once before
    assert vector.lanes == vector.candidates[0].lanes
    np.testing.assert_allclose(F @ X[:, 0], expected[:, 0], rtol=1e-12, atol=1e-12)


def test_plans_tell_what_they_do():
    F = pp.transforms.dft(256)
    text = str(F.plan(1000))
    assert text.startswith("256 x 256, batch of about 512, ")
    assert "factors 1 to 2 of 8 as Fourier butterflies of radix 4 with twiddles" in text
    assert "permutation of the input" in text
    assert "permutation of the output" in str(F.T.plan(1000))
    assert "Hadamard butterflies of radix" in str(pp.transforms.hadamard(256).plan())
    rng = np.random.default_rng(4)
    general = pp.Butterfly(random_factors(rng, pp.Architecture.square_dyadic(256), np.float64))
    assert "factors 1 to 2 of 8 multiplied, blocks of 4 x 4" in str(general.plan(1000))
    assert "within SIMD vectors" in str(general.plan())
    assert F.plan(64).predicted < F.plan(4096).predicted
    assert "measured" in repr(F.plan(3, layout="rows", tune=True))


def along(F, X, lanes):
    """F @ X with a layout that suits these lanes."""
    return F @ X if lanes == "columns" else F.apply(np.ascontiguousarray(X.T), axis=1).T


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize(
    ("n", "radices"),
    [
        (6, [6]),
        (9, [9]),
        (15, [15]),
        (30, [5, 6]),
        (45, [5, 9]),
        (135, [15, 9]),
        (336, [7, 6, 8]),
        (720, [15, 6, 8]),
        (945, [7, 15, 9]),
        (1152, [3, 6, 8]),
    ],
)
def test_neighbours_of_small_radices_are_one_stage(n, radices, dtype):
    rng = np.random.default_rng(n)
    X = random_array(rng, (n, 21), np.complex128).astype(dtype)
    matrix = np.fft.fft(np.eye(n))
    allowed = 20 * np.finfo(dtype).eps * np.abs(X).max() * n
    for F, expected in (
        (pp.transforms.dft(n, dtype), matrix),
        (pp.transforms.idft(n, dtype), matrix.conj() / n),
    ):
        for lanes in ("columns", "rows"):
            for transposed in (F, F.T, F.conj(), F.H):
                force(transposed, 16, (lanes, lanes), lanes, 8, 4)
                # Along each vector, what isn't as long as a SIMD vector has no stages of its own.
                if lanes == "columns" or n > 300:
                    plan = str(transposed.plan(21, layout=lanes))
                    assert all(re.search(rf"radix {radix}\b", plan) for radix in radices)
                result = along(transposed, X, lanes)
                wanted = expected if transposed in (F, F.T) else expected.conj()
                assert np.abs(result - wanted @ X).max() <= allowed


def test_no_more_lines_than_a_set_of_the_cache_holds_are_a_page_apart():
    # Rows of 256 numbers of 16 bytes are a page apart, in single precision they aren't.
    F = pp.transforms.dft(15 * 256)
    G = pp.transforms.dft(15 * 256, np.complex64)
    for H, expected in ((F, False), (F.H, False), (G, True)):
        force(H, 4, ("rows", "rows"), "rows", 8, 4)
        assert ("radix 15" in str(H.plan(4, layout="rows"))) == expected


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_twiddles_that_axes_repeat_are_read_once(threads, dtype):
    rng = np.random.default_rng(9)
    for shape in [(64, 32), (12, 16), (16, 3, 16), (8, 5)]:
        F = pp.transforms.dft(shape, dtype)
        X = random_array(rng, (int(np.prod(shape)), 9), np.complex128).astype(dtype)
        expected = np.fft.fftn(X.reshape(*shape, 9), axes=range(len(shape))).reshape(X.shape)
        allowed = 20 * np.finfo(dtype).eps * np.abs(expected).max()
        for lanes in ("columns", "rows"):
            force(F, 9, (lanes, lanes), lanes, 8, 4)
            assert np.abs(along(F, X, lanes) - expected).max() <= allowed
        alone = F @ X[:, 0]
        assert np.abs(alone - expected[:, 0]).max() <= allowed
        threads(3)
        _core.set_thresholds(1, 0)
        try:
            assert np.array_equal(F @ X[:, 0], alone)
        finally:
            _core.set_thresholds(0, 0)
            threads(1)
    # 63 of 64 twiddles of each of the first axis' levels are repetitions.
    weights = re.search(r"weights: (\S+) KiB", str(pp.transforms.dft((64, 64), dtype).plan()))
    assert float(weights[1]) < 16


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize(
    "n", [32, 64, 72, 96, 99, 100, 105, 128, 143, 150, 256, 512, 750, 1024, 1573, 2048]
)
def test_shares_without_work_do_nothing(n, dtype, threads):
    # More threads than a stage has SIMD vectors of l: who had none did another's again, in place.
    F = pp.transforms.dft(n, dtype)
    x = random_array(np.random.default_rng(n), n, np.complex128).astype(dtype)
    alone = {view: view(F) @ x for view in (lambda F: F, lambda F: F.T, lambda F: F.H)}
    _core.set_thresholds(1, 0)
    try:
        for count in (2, 3, 4, 8, 16):
            threads(count)
            for step in (1, 2):
                for view, expected in alone.items():
                    y = np.empty(n * step, dtype)[::step]
                    assert np.array_equal(view(F).apply(x, out=y), expected), (count, step)
    finally:
        _core.set_thresholds(0, 0)
        threads(1)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"batch": 0}, ValueError, "batch is 0"),
        ({"batch": 2.5}, TypeError, "batch is 2.5"),
        ({"batch": 2, "layout": "F"}, ValueError, "layout is 'F'"),
    ],
)
def test_bad_requests_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        pp.transforms.hadamard(4).plan(**arguments)


def test_plan_wants_a_butterfly():
    with pytest.raises(TypeError, match="F is an array of shape"):
        pp.plan(np.eye(4))


def test_butterflies_are_told_in_the_order_in_which_they_multiply():
    T = pp.transforms
    for F in (
        pp.block_diag([T.hadamard(4), T.dft(8)]),
        pp.Composition([T.dft(8)[:, :4], T.hadamard(4)]),
    ):
        text = F.plan(4).text
        assert text.index("Butterfly 4x4") < text.index("Butterfly 8x8")
