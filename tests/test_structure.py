"""Structured factors: the kernels for Hadamard and Fourier butterflies, in every plan."""

import re

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st

import papilio as pp
from papilio import _core
from reference import dense_factor
from strategies import DTYPES, TOLERANCE, dtypes, laid_out, random_array

COMPLEX = [np.complex64, np.complex128]


def force_all(F, batch, lanes, radix, tile):
    for transpose in (False, True):
        for i in ("columns", "rows", "neither"):
            for o in ("columns", "rows", "neither"):
                F._data.operator.force(transpose, (batch, i, o), (lanes, radix, tile))


def dense(F):
    """The matrix in double precision, which BLAS multiplies in."""
    D = np.eye(F.shape[1], dtype=np.result_type(F.dtype, np.float64))
    for pattern, values in zip(F.architecture[::-1], F.factors[::-1], strict=True):
        D = dense_factor(tuple(pattern), values.astype(D.dtype)) @ D
    rows, columns = F.row_permutation, F.column_permutation
    D = D if rows is None else D[rows]
    return D if columns is None else D[:, columns]


def structured(rng, radices, dtype, kind, permuted):
    """A random chain whose factors are constant matrices times twiddles."""
    architecture = pp.Architecture.mixed_radix(radices)
    complex_values = np.dtype(dtype).kind == "c"
    factors = []
    for a, b, _, d in map(tuple, architecture):
        j, k = np.ogrid[:b, :b]
        matrix = np.exp(-2j * np.pi * j * k / b)
        if not complex_values:
            matrix = matrix.real.round()
        t = np.ones((1, 1, b, d), matrix.dtype)
        if kind == "fourier" and complex_values:
            t = np.exp(-2j * np.pi * np.arange(b)[:, None] * np.arange(d) / (b * d))[None, None]
        elif kind == "conjugate" and complex_values:
            t = np.exp(2j * np.pi * np.arange(b)[:, None] * np.arange(d) / (b * d))[None, None]
            matrix = matrix.conj()
        elif kind == "random":
            t = random_array(rng, (a, 1, b, d), np.dtype(dtype)).astype(matrix.dtype)
            t[:, :, 0] = 1
        scale = rng.choice([1.0, 0.5, 3.0])
        factors.append((scale * matrix[None, :, :, None] * t).astype(dtype))
    n = architecture.shape[0]
    return pp.Butterfly(
        factors,
        rng.permutation(n) if permuted else None,
        rng.permutation(n) if permuted else None,
        architecture=architecture,
    )


@given(
    st.data(),
    st.integers(0, 2**32 - 1),
    dtypes,
    st.sampled_from(["fourier", "conjugate", "random", "hadamard"]),
    st.sampled_from(["columns", "rows"]),
    st.sampled_from([2, 4, 8, 16]),
    st.sampled_from([1, 3, 16, 1000]),
    st.sampled_from([1, 2, 3, 7, 16, 17, 40, 70]),
)
def test_structured_chains_multiply_right_in_every_way(
    data, seed, dtype, kind, lanes, radix, tile, batch
):
    rng = np.random.default_rng(seed)
    real = np.dtype(dtype).kind == "f"
    if real or kind == "hadamard" or data.draw(st.booleans()):
        radices = [2] * data.draw(st.integers(1, 8))
    else:
        radices = data.draw(st.lists(st.sampled_from([2, 3, 5, 7, 11, 13]), min_size=1, max_size=3))
    F = structured(rng, radices, dtype, kind, data.draw(st.booleans()))
    D = dense(F)
    force_all(F, batch, lanes, radix, tile)
    if data.draw(st.booleans()):
        F, D = F.T, D.T
    if data.draw(st.booleans()):
        F, D = F.conj(), D.conj()
    axis = data.draw(st.integers(0, 1))
    x = data.draw(laid_out((D.shape[1], batch)[:: 1 - 2 * axis], dtype, rng))
    expected = D @ x if axis == 0 else x @ D.T
    out = data.draw(laid_out(expected.shape, dtype, rng))
    error = np.abs(F.apply(x, out=out, axis=axis) - expected).max()
    size = np.linalg.norm(D, axis=1).max() * max(1, np.abs(x).max())
    assert error <= TOLERANCE[np.dtype(dtype)] * size


@pytest.mark.parametrize("dtype", COMPLEX)
@pytest.mark.parametrize("lanes", ["columns", "rows"])
@pytest.mark.parametrize("n", [64, 99, 128, 210, 512, 945, 1024, 1300, 4096])
def test_fourier_plans_share_threads_bit_for_bit(threads, dtype, lanes, n):
    rng = np.random.default_rng(n)
    batch = 67
    F = pp.transforms.dft(n, dtype)
    force_all(F, batch, lanes, 16, 5)
    X = random_array(rng, (n, batch), dtype)
    R = np.ascontiguousarray(X.T)
    expected = np.fft.fft(X, axis=0)
    for G, reference in (
        (F, expected),
        (F.conj(), np.fft.fft(X.conj(), axis=0).conj()),
        (F.T, expected),
    ):
        results = []
        for count in (1, 2, 3):
            threads(count)
            results.append((G @ X, G.apply(R, axis=1)))
        for columns, rows in results:
            assert np.array_equal(columns, results[0][0])
            assert np.array_equal(rows, results[0][1])
            for result in (columns, rows.T):
                error = np.linalg.norm(result - reference) / np.linalg.norm(reference)
                assert error <= 10 * np.finfo(dtype).eps


@pytest.mark.parametrize("dtype", DTYPES)
def test_large_vectors_share_threads_bit_for_bit(threads, dtype):
    rng = np.random.default_rng(5)
    n = 2**18
    x = random_array(rng, n, dtype)
    if np.dtype(dtype).kind == "c":
        F = pp.transforms.dft(n, dtype)
        reference = np.fft.fft(x)
    else:
        F = pp.transforms.hadamard(n, dtype)
        H = scipy.linalg.hadamard(512).astype(np.float64)
        reference = (H @ x.reshape(512, 512) @ H).ravel()
    for G in (F, F.T):
        threads(1)
        expected = G @ x
        error = np.linalg.norm(expected - reference) / np.linalg.norm(reference)
        assert error <= 10 * np.finfo(dtype).eps
        for count in (2, 3, 4):
            threads(count)
            assert np.array_equal(G @ x, expected)


def test_what_the_planner_sees_is_detected_not_declared():
    rng = np.random.default_rng(0)
    H = pp.transforms.hadamard(256)
    same = pp.Butterfly(
        [np.broadcast_to(f, tuple(p)) for f, p in zip(H.factors, H.architecture, strict=True)]
    )
    assert "Hadamard butterflies of radix" in str(same.plan(64))
    disturbed = [np.array(f) for f in same.factors]
    disturbed[3][5, 1, 1, 2] = 1.001
    text = str(pp.Butterfly(disturbed).plan(64))
    assert "factors 1 to 3 of 8 as Hadamard butterflies" in text
    assert "factor 4 of 8, blocks of 2 x 2" in text
    weights = structured(rng, [2] * 6, np.complex128, "random", False)
    assert "Fourier butterflies of radix 2 with twiddles" in str(weights.plan(64))
    assert "radix 7" in str(pp.transforms.dft(7 * 64).plan(64))
    assert "Hadamard" in str(pp.transforms.hadamard(64, np.complex64).plan(1))


def test_rows_a_multiple_of_a_page_apart_are_at_most_eight():
    for n in (2**14, 2**16, 2**20):
        text = str(pp.transforms.hadamard(n, np.float32).plan(1))
        stages = re.findall(r"radix (\d+), a = \d+, d = (\d+), lanes along l", text)
        assert stages
        assert all(int(radix) <= 8 for radix, d in stages if int(d) * 4 % 4096 == 0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_infinities_and_nans_go_where_the_matrix_takes_them(dtype):
    F = pp.transforms.hadamard(64, dtype)
    for batch in (1, 40):
        X = np.ones((64, batch), dtype)
        X[3, 0] = np.nan
        Y = F @ X
        assert np.isnan(Y[:, 0]).all()
        assert not np.isnan(Y[:, 1:]).any()


@pytest.mark.parametrize("exponent", [-300, 300])
def test_extreme_scales_neither_vanish_nor_overflow_early(exponent):
    scale = 10.0**exponent
    block = np.array([[1, 1], [1, -1]])[None, :, :, None]
    F = pp.Butterfly(
        [block * scale, block / scale, block * 1.0],
        architecture=pp.Architecture.square_dyadic(8),
    )
    expected = pp.transforms.hadamard(8) @ np.arange(8.0)
    for batch in (1, 32):
        X = np.repeat(np.arange(8.0)[:, None], batch, axis=1)
        np.testing.assert_allclose((F @ X)[:, -1], expected, rtol=1e-14, atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("off", [1e-6, 1e-9, 1e-12, 1e-14])
def test_what_is_near_a_hadamard_matrix_is_not_one(dtype, off):
    values = np.array([[1, 1], [1, -1 + off]], dtype).reshape(1, 2, 2, 1)
    F = pp.Butterfly([values * np.ones(tuple(p)) for p in pp.Architecture.square_dyadic(8)])
    x = np.random.default_rng(0).standard_normal((8, 5))
    wanted = dense(F) @ x
    assert np.abs(F @ x - wanted).max() < 1e-14
    assert np.abs(F @ x[:, 0] - wanted[:, 0]).max() < 1e-14


def test_small_twiddles_keep_their_digits():
    H = pp.transforms.hadamard(8)
    factors = [
        np.array(np.broadcast_to(f, tuple(p)))
        for f, p in zip(H.factors, H.architecture, strict=True)
    ]
    factors[0][0, :, 1, :] *= 1e-17
    factors[0][0, 1, 1, 0] = -5e-17
    F = pp.Butterfly(factors)
    x = np.r_[np.zeros(4), np.random.default_rng(1).standard_normal(4)]
    x[:4] = 0
    np.testing.assert_allclose(F @ x, (dense(F) @ x).astype(float), rtol=1e-13)


@pytest.mark.parametrize("n", [4, 8, 16, 32])
def test_lanes_along_two_blocks_stay_within_the_vector(n):
    # Complex radix-2 stages with twiddles, d below the lanes: parts of a plan held half a pair.
    rng = np.random.default_rng(n)
    for level in range(n.bit_length() - 1):
        factors = [
            np.array(np.broadcast_to(f, tuple(p)), complex)
            for f, p in zip(
                pp.transforms.hadamard(n).factors, pp.Architecture.square_dyadic(n), strict=True
            )
        ]
        factors[level][:, :, 1, :] *= rng.standard_normal(factors[level][:, :1, 1, :].shape)
        F = pp.Butterfly(factors)
        x = rng.standard_normal(n) + 1j * rng.standard_normal(n)
        assert np.abs(F @ x - dense(F) @ x).max() < 1e-13 * n


@pytest.mark.parametrize("dtype", COMPLEX)
@pytest.mark.parametrize("n", [72, 136, 360, 1000])
def test_blocks_that_the_lanes_do_not_divide(n, dtype, threads):
    # The permuted first stage, or the transpose's last one, repeats blocks in its last vectors.
    assert "permuted and transposed in registers" in str(pp.transforms.dft(1000, dtype).plan())
    rng = np.random.default_rng(n)
    F, D = pp.transforms.dft(n, dtype), np.fft.fft(np.eye(n), axis=0)
    for operator, matrix in ((F, D), (F.H, D.conj()), (F.conj(), D.conj()), (F.T, D)):
        force_all(operator, 1, "rows", 16, 1)
        force_all(operator, 4, "rows", 16, 3)
        for shape in ((n,), (4, n)):
            x = random_array(rng, shape, dtype)
            expected = x @ matrix.T
            for count in (1, 2):
                threads(count)
                actual = operator.apply(x, axis=-1)
                bound = TOLERANCE[np.dtype(dtype)] * np.abs(expected).max()
                assert np.abs(actual - expected).max() <= bound
            assert np.array_equal(operator.apply(x.copy(), axis=-1), actual)
            operator.apply(x, out=x, axis=-1)
            assert np.array_equal(x, actual)


@pytest.mark.parametrize("dtype", COMPLEX)
@pytest.mark.parametrize("batch", [1, 3, 9, 17])
def test_scaled_and_conjugated_ends_of_every_width(batch, dtype):
    # Whole vectors and the rest of a row, scaled, swapped, past the caches and into split tiles.
    rng = np.random.default_rng(batch)
    for n in (4, 8, 12, 40, 56, 64):
        D = np.fft.fft(np.eye(n), axis=0)
        for inverse in (False, True):
            F = (pp.transforms.idft if inverse else pp.transforms.dft)(n, dtype, norm="ortho")
            M = (D.conj() if inverse else D) / np.sqrt(n)
            x = random_array(rng, (n, batch), dtype)
            _core.set_thresholds(0, 1)
            try:
                for operator, matrix in ((F, M), (F.conj(), M.conj()), (F.T, M)):
                    expected = matrix @ x
                    bound = TOLERANCE[np.dtype(dtype)] * np.abs(expected).max()
                    assert np.abs(operator @ x - expected).max() <= bound
            finally:
                _core.set_thresholds(0, 0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch", [*range(1, 10), 12, 15, 16, 17, 24, 31, 33, 65, 130])
def test_columns_of_every_number_with_and_without_stores_past_the_caches(batch, dtype):
    # Whole groups of columns, what is left of them, and rows that start anywhere in a cache line.
    rng = np.random.default_rng(batch)
    for permuted in (False, True):
        F = structured(rng, (4, 2, 8), dtype, "fourier", permuted)
        D = dense(F)
        force_all(F, batch, "columns", 16, 16)
        for G, M in ((F, D), (F.H, D.conj().T)):
            x = random_array(rng, (64, batch), dtype)
            expected = M @ x
            for large in (0, 1):
                room = np.full((64, batch + 16), 7, dtype)
                first = int(rng.integers(0, 16))
                out = room[:, first : first + batch]
                _core.set_thresholds(0, large)
                try:
                    G.apply(x, out=out)
                finally:
                    _core.set_thresholds(0, 0)
                bound = TOLERANCE[np.dtype(dtype)] * np.abs(expected).max()
                assert np.abs(out - expected).max() <= bound
                # Nothing else is written.
                out[:] = 7
                assert (room == 7).all()


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("b", [2, 3, 4, 8, 12])
def test_the_core_finds_constant_matrices_in_natural_order(b, dtype):
    rng = np.random.default_rng(b)
    fourier = np.exp(-2j * np.pi * (np.multiply.outer(np.arange(b), np.arange(b)) % b) / b)
    matrices = {"fourier": fourier, "conjugate fourier": fourier.conj()}
    if b in (2, 4, 8):
        matrices = {"hadamard": scipy.linalg.hadamard(b), **matrices}
    if dtype is np.float64:
        matrices = {name: matrix for name, matrix in matrices.items() if name == "hadamard"}
    for name, matrix in matrices.items():
        wanted = "hadamard" if b == 2 else name
        for shape in ((3, 1, b, 2), (3, b, 1, 2)):
            twiddles = random_array(rng, shape, np.dtype(dtype)) * 10.0 ** rng.integers(-9, 9)
            values = (matrix[None, :, :, None] * twiddles).astype(dtype)
            noise = 1 + 1e-9 * rng.uniform(-1, 1, values.shape)
            found, product = _core.structured(values * noise, 1e-8)
            assert found == wanted
            np.testing.assert_allclose(product, values, rtol=3e-9)
            twiddle = product[:, :1] if shape[1] == 1 else product[:, :, :1]
            exact = np.round(matrix) if wanted == "hadamard" else matrix
            np.testing.assert_allclose(product, exact[None, :, :, None] * twiddle, rtol=2e-15)
            values[1, b - 1, b - 1, 1] *= 1 + 1e-6
            found, same = _core.structured(values, 1e-8)
            assert found is None
            np.testing.assert_array_equal(same, values)


def test_quarter_turns_of_what_the_core_finds_are_exact():
    values = np.exp(-2j * np.pi * np.multiply.outer(np.arange(8), np.arange(8)) / 8)
    found, product = _core.structured(values[None, :, :, None].copy(), 1e-12)
    assert found == "fourier"
    quarters = np.array([1, -1j, -1, 1j] * 2)
    np.testing.assert_array_equal(product[0, 2, :, 0], quarters * product[0, 0, :, 0])


def test_the_core_refuses_values_that_are_no_square_blocks():
    with pytest.raises(ValueError, match="square blocks"):
        _core.structured(np.zeros((1, 2, 3, 1)), 0.1)
    with pytest.raises(ValueError, match="C-contiguous"):
        _core.structured(np.zeros((2, 2, 2, 2)).transpose(3, 2, 1, 0), 0.1)
    with pytest.raises((ValueError, TypeError), match="float64 or complex128"):
        _core.structured(np.zeros((1, 2, 2, 1), np.float32), 0.1)
