"""Compositions in the core, against products of dense matrices."""

import pickle

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

import papilio as pp
from papilio.operators._composition import Composition
from papilio.operators._parts import Pairs, Sparse
from reference import dense
from strategies import DTYPES, TOLERANCE, laid_out, random_array, random_chainable, random_factors


def random_sparse(rng, rows, cols, dtype):
    """Runs of rows of 0, 1, ... entries, as extensions and paddings have them."""
    lengths = np.repeat(rng.integers(0, min(cols, 6) + 1, rows), rng.integers(1, 4, rows))[:rows]
    columns = [rng.choice(cols, length, replace=False) for length in lengths]
    row = np.repeat(np.arange(rows), lengths)
    values = random_array(rng, len(row), dtype)
    return scipy.sparse.csr_array((values, (row, np.concatenate([*columns, []]))), (rows, cols))


def random_composition(rng, real, most=5):
    """``(F, D)``: random parts of the precision of `real` and the product of dense ones."""
    pair_dtype = np.result_type(real, np.complex64)
    parts, matrices = [], []
    rows = None
    for _ in range(int(rng.integers(1, most + 1))):
        kind = rng.choice(["real sparse", "sparse", "real", "complex", "pairs"])
        if kind in ("real sparse", "sparse"):
            dtype = real if kind == "real sparse" else pair_dtype
            height = rows or int(rng.integers(1, 20))
            matrix = random_sparse(rng, height, int(rng.integers(1, 40)), dtype)
            parts.append(matrix)
            matrices.append(matrix.toarray().astype(np.result_type(dtype, float)))
            rows = matrix.shape[1]
            continue
        architecture = random_chainable(rng, max_size=400)
        m, n = architecture.shape
        dtype = real if kind == "real" else pair_dtype
        F = pp.Butterfly(
            random_factors(rng, architecture, dtype), rng.permutation(m), rng.permutation(n)
        )
        F = F.conj() if rng.integers(2) else F
        D = dense(F) if kind != "real" else dense(F).real
        if kind == "pairs":
            D = np.stack(
                [np.stack([D.real, -D.imag], -1), np.stack([D.imag, D.real], -1)], 1
            ).reshape(2 * m, 2 * n)
            F = Pairs(F)
        if rows is not None and rows != D.shape[0]:
            between = random_sparse(rng, rows, D.shape[0], real)
            parts.append(between)
            matrices.append(between.toarray().astype(float))
        parts.append(F)
        matrices.append(D)
        rows = D.shape[1]
    product = matrices[0]
    for matrix in matrices[1:]:
        product = product @ matrix
    bound = np.abs(matrices[0])
    for matrix in matrices[1:]:
        bound = bound @ np.abs(matrix)
    return Composition(parts), product, bound


def assert_close(actual, expected, bound, dtype):
    tolerance = TOLERANCE[np.dtype(dtype)] * max(1e-300, np.abs(bound).max(initial=0))
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max(initial=0) <= tolerance


@pytest.mark.parametrize("real", [np.float32, np.float64])
@pytest.mark.parametrize("seed", range(40))
def test_products_equal_dense_ones(seed, real):
    rng = np.random.default_rng(seed)
    F, D, bound = random_composition(rng, real)
    m, n = F.shape
    assert np.array_equal(F.dtype.kind, "c" if np.iscomplexobj(D) else "f")
    for x_dtype in (real, np.result_type(real, np.complex64)):
        for batch in (None, 1, 2, 7, 16, 40):
            shape = (n,) if batch is None else (n, batch)
            x = random_array(rng, shape, x_dtype)
            size = bound @ np.abs(x)
            y = F @ x
            assert y.dtype == np.result_type(F.dtype, x_dtype)
            assert_close(y, D @ x, size, real)
            assert_close(F.apply(np.ascontiguousarray(x.T), axis=-1), (D @ x).T, size, real)
            z = random_array(rng, (m,) if batch is None else (batch, m), x_dtype)
            size = np.abs(z) @ bound
            assert_close(z @ F, z @ D, size, real)
            assert_close(F.H @ z.T, D.conj().T @ z.T, size.T, real)


@given(
    st.data(),
    st.integers(0, 2**32 - 1),
    st.sampled_from([np.float32, np.float64]),
    st.sampled_from(DTYPES),
)
def test_any_layout_dtype_and_axis(data, seed, real, x_dtype):
    rng = np.random.default_rng(seed)
    F, D, bound = random_composition(rng, real, most=3)
    shape = data.draw(st.lists(st.integers(0, 5), max_size=3))
    axis = data.draw(st.integers(0, len(shape)))
    shape.insert(axis, F.shape[1])
    x = data.draw(laid_out(tuple(shape), x_dtype, rng))
    expected = np.moveaxis(np.tensordot(D, x, (1, axis)), 0, axis)
    size = np.moveaxis(np.tensordot(bound, np.abs(x), (1, axis)), 0, axis)
    result = np.result_type(F.dtype, x_dtype)
    assert F.apply(x, axis=axis).dtype == result
    assert_close(F.apply(x, axis=axis), expected, size, result)
    out = data.draw(laid_out(expected.shape, result, rng))
    assert F.apply(x, out, axis) is out
    assert_close(out, expected, size, result)


LONG = {
    "dct": lambda: pp.transforms.dct(3000),
    "rdft": lambda: pp.transforms.rdft(4096, np.float32),
    "bluestein": lambda: pp.transforms.dft(1511),
    "toeplitz": lambda: pp.transforms.toeplitz(np.arange(2000.0) % 7),
}


@pytest.mark.parametrize("name", LONG)
def test_threads_give_the_same_bits(threads, name):
    F = LONG[name]()
    rng = np.random.default_rng(0)
    for shape, axis in (((F.shape[1],), 0), ((F.shape[1], 61), 0), ((61, F.shape[1]), 1)):
        x = random_array(rng, shape, F.dtype)
        results = []
        for count in (1, 2, 3, 4):
            threads(count)
            results.append(F.apply(x, axis=axis))
        assert all(np.array_equal(results[0], other) for other in results[1:])


@pytest.mark.parametrize("size", [1 << 16, 1 << 18])
def test_long_vectors_and_their_batches(threads, size):
    threads(2)
    F = pp.transforms.dct(size, norm="ortho")
    x = random_array(np.random.default_rng(0), (size, 9), np.float64)
    expected = np.stack([F @ np.ascontiguousarray(column) for column in x.T])
    scale = np.abs(expected).max()
    for actual in (F @ x, F.apply(np.ascontiguousarray(x.T), axis=1).T):
        assert np.abs(actual - expected.T).max() <= 1e-14 * scale
    assert np.abs(F.T @ (F @ x) - x).max() <= 1e-14 * np.abs(x).max()


def test_a_composition_of_one_butterfly_or_one_matrix():
    rng = np.random.default_rng(3)
    x = rng.standard_normal((8, 20))
    H = pp.transforms.hadamard(8)
    assert np.array_equal(Composition([H]) @ x, H @ x)
    E = scipy.sparse.eye_array(8, format="csr")
    assert np.array_equal(Composition([E]) @ x, x)
    assert np.array_equal(Composition([E, E]) @ x[:, 0], x[:, 0])


@pytest.mark.parametrize("real", [np.float32, np.float64])
@pytest.mark.parametrize("batch", [1, 2, 3, 40])
def test_a_row_may_have_thousands_of_entries(real, batch):
    """Beside regular ones, and alone: of a row that no cache holds one is still worked on."""
    rng = np.random.default_rng(batch)
    n = 9000
    full = scipy.sparse.csr_array(rng.standard_normal((1, n)).astype(real))
    regular = scipy.sparse.eye_array(n, dtype=real, format="csr")
    for matrix in (full, scipy.sparse.vstack([regular, full, regular], format="csr")):
        x = rng.standard_normal((batch, n)).astype(real)
        exact = np.asarray(matrix.astype(float) @ x.T.astype(float)).T
        bound = np.asarray(abs(matrix).astype(float) @ np.abs(x.T).astype(float)).T
        y = Composition([matrix]).apply(x, axis=1)
        assert (np.abs(y - exact) <= 50 * np.finfo(real).eps * bound).all()


@pytest.mark.parametrize("seed", range(12))
def test_the_result_may_replace_the_input(seed):
    """Of square compositions of one part or of some, by vectors and by tiles."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(2, 40))
    parts = [random_sparse(rng, size, size, np.complex128 if seed % 3 else np.float64)]
    if seed % 2:
        parts += [pp.transforms.dft(size), random_sparse(rng, size, size, np.float64)]
    F = Composition(parts)
    for dtype in (F.dtype, np.dtype(complex)):
        for shape, axis in (((size,), 0), ((size, 40), 0), ((40, size), 1)):
            x = random_array(rng, shape, dtype)
            expected = F.apply(x, axis=axis)
            assert F.apply(x, out=x, axis=axis) is x
            assert np.array_equal(x, expected)


def test_nothing_is_read_outside_of_a_row():
    """An entry that isn't finite reaches only the rows whose matrix rows have an entry there."""
    F = pp.transforms.toeplitz([1.0, 2.0, 3.0])
    selection = Composition([scipy.sparse.csr_array(np.eye(4)[[0, 2]])])
    x = np.ones((4, 5))
    x[1], x[3] = np.nan, np.inf
    assert np.array_equal(selection @ x, np.ones((2, 5)))
    assert F.shape == (3, 3)


def test_pickles_and_transposes_are_made_once():
    F = pp.transforms.dct(12)
    x = np.arange(12.0)
    G = pickle.loads(pickle.dumps(F))
    assert np.array_equal(G @ x, F @ x)
    assert F.T is F.T and F.H is F.H
    assert np.array_equal(x @ F, F.T @ x)


def test_parts_of_another_precision_are_converted():
    parts = [scipy.sparse.eye_array(4, dtype=np.float32), pp.transforms.hadamard(4)]
    F = Composition(parts)
    assert F.dtype == np.float64 and (F @ np.ones(4)).dtype == np.float64
    mixed = Composition([Sparse(parts[0]), pp.transforms.hadamard(4, np.float32)])
    assert (mixed @ np.ones(4, np.float32)).dtype == np.float32
    assert (mixed @ np.ones(4)).dtype == np.float64
