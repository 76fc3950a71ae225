"""Factors of few bits: representable, errors as reported, never worse than rounding alone."""

import itertools
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import papilio as pp
from papilio import Architecture
from reference import dense
from strategies import chainable, dtypes, random_factors


def rounded(values, bits):
    """Each number to so many significant bits."""
    exponents = np.floor(np.log2(np.abs(values), where=values != 0, out=np.zeros(values.shape))) + 1
    return np.rint(values * 2.0 ** (bits - exponents)) * 2.0 ** (exponents - bits)


def parts(values):
    return np.concatenate([values.real.ravel(), values.imag.ravel()]).astype(float)


def error(G, F):
    wide = dense(F).astype(complex)
    size = np.linalg.norm(wide)
    return np.linalg.norm(dense(G).astype(complex) - wide) / size if size else 0.0


@settings(max_examples=8)
@given(
    chainable(max_factors=3), dtypes, st.integers(1, 12), st.booleans(), st.integers(0, 2**32 - 1)
)
def test_few_bits_and_the_error_that_is_reported(arch, dtype, bits, transposed, seed):
    rng = np.random.default_rng(seed)
    F = pp.Butterfly(random_factors(rng, arch, dtype), rng.permutation(arch.shape[0]))
    F = F.T if transposed else F
    G = F.quantize(bits)
    report = G.report
    assert G.architecture == F.architecture and G.dtype == dtype and report.bits == bits
    for values in G.factors:
        entries = parts(values)
        assert np.array_equal(entries, rounded(entries, bits))
    naive = F.with_factors([
        np.reshape(rounded(parts(v), bits), (2, *v.shape)).astype(v.real.dtype)
        .astype(dtype).transpose(1, 2, 3, 4, 0) @ np.array([1, 1j if v.dtype.kind == "c" else 0],
                                                          dtype)
        for v in F.factors
    ])  # fmt: skip
    assert abs(report.naive_error - error(naive, F)) <= 1e-6 * (1 + error(naive, F))
    assert abs(report.relative_error - error(G, F)) <= 1e-6 * (1 + error(G, F))
    assert report.relative_error <= report.naive_error
    assert f"{bits} bits" in str(report) and G.T.report is report


@pytest.mark.parametrize("to", [np.float16, "float16", np.float32])
def test_dtypes_have_their_range(to):
    arch = Architecture.square_dyadic(16)
    F = pp.Butterfly.random(arch, "lecun", seed=1)
    G = F.quantize(to)
    for values in G.factors:
        assert np.array_equal(values.astype(to).astype(np.float64), values)
    assert G.report.dtype == np.dtype(to).name and str(np.dtype(to)) in str(G.report)
    assert G.report.relative_error < G.report.naive_error
    with pytest.raises(OverflowError, match="can't hold"):
        (F * 1e160).quantize(to)


@pytest.mark.parametrize("scales", [(1e-7, 1, 1), (1e6, 1, 1e-6), (1e4, 1, 1), (1j, 1e-300, 1e300)])
def test_where_the_scale_lies_does_not_matter(scales):
    dtype = np.result_type(np.float64, *scales)
    F = pp.Butterfly.random(Architecture.square_dyadic(8), dtype=dtype, seed=0)
    plain = F.quantize(np.float16).report.relative_error
    G = F.with_factors([v * s for v, s in zip(F.factors, scales, strict=True)])
    found = G.quantize(np.float16)
    assert found.report.relative_error < 2 * plain
    assert abs(found.report.relative_error - error(found, G)) < 1e-9
    assert all(np.array_equal(parts(v).astype(np.float16), parts(v)) for v in found.factors)


def test_scales_are_found_for_very_large_and_small_operators():
    F = pp.Butterfly.random(Architecture.square_dyadic(8), seed=0)
    plain = F.quantize(6).report.relative_error
    for power in (-900, 900):
        scaled = F.with_factors([v * 2.0 ** (power / 3) for v in F.factors])
        assert scaled.quantize(6).report.relative_error == plain


def test_scales_between_neighbouring_columns_and_rows_do_not_matter():
    F = pp.Butterfly.random(Architecture.square_dyadic(8), seed=0)
    gauge = 10.0 ** np.random.default_rng(1).integers(-9, 10, 8)
    first, second, third = F.factors
    columns = gauge.reshape(1, 1, 2, 4)
    rows = gauge.reshape(2, 2, 1, 2)
    G = F.with_factors([first * columns, second / rows, third])
    assert np.allclose(G.toarray(), F.toarray())
    plain = F.quantize(np.float16).report.relative_error
    assert G.quantize(np.float16).report.relative_error < 2 * plain


def test_a_large_product_is_spread_over_chains_that_are_not_chainable_too():
    arch = Architecture([*Architecture.square_dyadic(8), *Architecture.square_dyadic(8).T])
    F = pp.Butterfly.random(arch, seed=4)
    assert (F * 1e12).quantize(np.float16).report.relative_error < 1e-3
    assert (pp.transforms.dft(12) * 1e10).quantize(np.float16).report.relative_error < 1e-4


def test_one_pair_is_as_good_as_any_pair_of_few_bits():
    # All columns and rows of two bits, by trying every one: 2 x 2 outer products.
    powers = 2.0 ** np.arange(-8, 9)
    grid = np.concatenate([[0], powers, 1.5 * powers])
    rng = np.random.default_rng(2)
    vectors = [np.array(v) for v in itertools.product(grid, [0, 1, 1.5]) if any(v)]
    signed = np.array([v * s for v in vectors for s in ([1, 1], [1, -1])])
    squares = np.sum(signed**2, axis=1)
    for _ in range(10):
        x, y = rng.standard_normal((2, 2))
        A = np.outer(x, y)
        rows = rounded(signed @ A / squares[:, None], 2)
        best = np.linalg.norm(A - signed[:, :, None] * rows[:, None], axis=(1, 2)).min()
        F = pp.Butterfly([x.reshape(1, 2, 1, 1), y.reshape(1, 1, 2, 1)])
        found = F.quantize(2).report.relative_error * np.linalg.norm(A)
        assert best <= found * (1 + 1e-12) and found <= 1.02 * best


def test_deep_chains_gain_most():
    for dtype in (np.float64, np.complex128):
        F = pp.Butterfly.random(Architecture.square_dyadic(64), "lecun", dtype=dtype, seed=3)
        report = F.quantize(8).report
        assert report.relative_error < 0.3 * report.naive_error


def test_chains_that_are_not_chainable_tied_and_exact_ones():
    arch = Architecture([*Architecture.square_dyadic(8), *Architecture.square_dyadic(8).T])
    report = pp.Butterfly.random(arch).quantize(5).report
    assert report.relative_error == report.naive_error > 0
    H = pp.transforms.hadamard(16)
    G = H.quantize(1)
    assert G.report.relative_error == 0 and G.nbytes == H.nbytes
    zero = pp.Butterfly([np.zeros((1, 2, 2, 2)), np.zeros((2, 2, 2, 1))])
    assert zero.quantize(3).report.relative_error == 0


@pytest.mark.parametrize(
    ("to", "kind", "message"),
    [
        (0, ValueError, "to is 0"),
        (54, ValueError, "to is 54, expected at most the 53 bits"),
        (2.5, TypeError, "to is 2.5"),
        ("int8", TypeError, "to is 'int8'"),
        ("many", TypeError, "to is 'many'"),
    ],
)
def test_what_does_not_fit_is_named(to, kind, message):
    F = pp.Butterfly.random(Architecture.square_dyadic(4))
    with pytest.raises(kind, match=message):
        F.quantize(to)
    with pytest.raises(ValueError, match="NaN or infinite"):
        F.with_factors([v * np.nan for v in F.factors]).quantize(4)


def test_progress_is_told_up_to_the_end():
    fractions = []
    pp.Butterfly.random(pp.Architecture.square_dyadic(16), seed=0).quantize(
        4, progress=fractions.append
    )
    assert fractions == sorted(fractions) and fractions[-1] == 1


def test_values_whose_squares_overflow_are_rounded_without_a_warning():
    left, right = np.full((1, 2, 2, 2), 1e307), np.full((2, 2, 2, 1), 1.3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        G = pp.Butterfly([left, right]).quantize(3)
    assert all(np.isfinite(values).all() for values in G.factors)
    assert G.report.relative_error <= G.report.naive_error
