"""The balanced gauge: same operator, equal Gram matrices at all splits, smallest norms."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import papilio as pp
from papilio._chains.interfaces import (
    from_left_blocks,
    from_right_blocks,
    left_blocks,
    right_blocks,
)
from reference import blocks, dense
from strategies import DTYPES, TOLERANCE, chainable, dtypes, random_array, random_factors


def grams(F):
    """The Gram matrices of both sides at all splits."""
    arch = F.architecture
    for n, (p, q) in enumerate(itertools.pairwise(arch)):
        left, right = left_blocks(F.factors[n], p, q), right_blocks(F.factors[n + 1], p, q)
        yield left.conj().swapaxes(-1, -2) @ left, right @ right.conj().swapaxes(-1, -2)


def size(F):
    return sum(np.linalg.norm(values.astype(complex)) ** 2 for values in F.factors)


@given(chainable(max_rank=4), st.integers(0, 2**32 - 1))
def test_blocks_of_interfaces_multiply_to_the_blocks_of_the_product(arch, seed):
    values = random_factors(np.random.default_rng(seed), arch, np.complex128)
    for n, (p, q) in enumerate(itertools.pairwise(arch)):
        left, right = left_blocks(values[n], p, q), right_blocks(values[n + 1], p, q)
        made = (left @ right).reshape(-1, p.b, q.c)
        product = dense(pp.Butterfly(values[n : n + 2]))
        for found, (_, _, block) in zip(made, blocks(product, p, q), strict=True):
            assert np.allclose(found, block.astype(complex))
        assert np.array_equal(from_left_blocks(left, p), values[n])
        assert np.array_equal(from_right_blocks(right, q), values[n + 1])


@settings(max_examples=25)
@given(chainable(max_rank=4), dtypes, st.booleans(), st.integers(0, 2**32 - 1))
def test_balanced_factors_of_the_same_operator(arch, dtype, transposed, seed):
    rng = np.random.default_rng(seed)
    scales = 10.0 ** rng.integers(-3, 4, len(arch))
    factors = [
        (f * s).astype(dtype) for f, s in zip(random_factors(rng, arch, dtype), scales, strict=True)
    ]
    F = pp.Butterfly(factors, rng.permutation(arch.shape[0]))
    F = F.T if transposed else F
    G = F.balanced()
    assert G.architecture == F.architecture and G.dtype == dtype and G.report is None
    tolerance = 100 * TOLERANCE[np.dtype(dtype)]
    whole = np.linalg.norm(dense(F).astype(complex))
    assert np.linalg.norm((dense(G) - dense(F)).astype(complex)) <= tolerance * whole
    norms = [np.linalg.norm(values) for values in G.factors]
    assert np.allclose(norms, norms[0], rtol=tolerance)
    assert size(G) <= size(F) * (1 + tolerance)
    own = G.T if transposed else G
    if own.architecture.is_chainable:
        for left, right in grams(own):
            assert np.allclose(left, right, atol=tolerance * abs(left).max(initial=0))


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_gauge_makes_the_norms_smaller(dtype):
    arch = pp.Architecture.mixed_radix([4, 3, 4], ranks=[2, 3])
    rng = np.random.default_rng(1)
    F = pp.Butterfly(random_factors(rng, arch, dtype)).balanced()
    for _ in range(20):
        values = [np.array(v) for v in F.factors]
        for n, (p, q) in enumerate(itertools.pairwise(arch)):
            left, right = left_blocks(values[n], p, q), right_blocks(values[n + 1], p, q)
            rank = left.shape[-1]
            gauge = np.eye(rank) + 0.1 * random_array(rng, (*left.shape[:-2], rank, rank), dtype)
            values[n] = from_left_blocks(left @ gauge, p)
            values[n + 1] = from_right_blocks(np.linalg.inv(gauge) @ right, q)
        moved = pp.Butterfly(values)
        assert np.allclose(moved.toarray(), F.toarray(), atol=1e-4 * F.norm())
        assert size(moved) > size(F)


def test_nuclear_norms_of_blocks_for_two_factors():
    arch = pp.Architecture.monarch((12, 8), 4, 2, 3)
    F = pp.Butterfly(random_factors(np.random.default_rng(2), arch, np.float64)).balanced()
    nuclear = sum(
        np.linalg.svd(block, compute_uv=False).sum()
        for _, _, block in blocks(dense(F).astype(float), *arch)
    )
    assert abs(size(F) / 2 - nuclear) < 1e-10 * nuclear


def test_gradient_flow_keeps_what_is_balanced():
    arch = pp.Architecture.mixed_radix([2, 3, 4], ranks=2)
    rng = np.random.default_rng(3)
    F = pp.Butterfly(random_factors(rng, arch, np.complex128))
    x, gy = (random_array(rng, (24, 5), np.complex128) for _ in range(2))
    _, gradients = F.vjp(x, gy)
    for n, (p, q) in enumerate(itertools.pairwise(arch)):
        left, right = left_blocks(F.factors[n], p, q), right_blocks(F.factors[n + 1], p, q)
        down = left_blocks(gradients[n], p, q), right_blocks(gradients[n + 1], p, q)
        change = left.conj().swapaxes(-1, -2) @ down[0] - down[1] @ right.conj().swapaxes(-1, -2)
        assert np.allclose(change, 0, atol=1e-10 * abs(down[0]).max() * abs(left).max())


def test_tied_zero_and_redundant_factors():
    H = pp.transforms.hadamard(16)
    assert np.allclose(H.balanced().toarray(), H.toarray())
    arch = pp.Architecture.square_dyadic(8).with_ranks(3)  # ranks above the blocks
    F = pp.Butterfly(random_factors(np.random.default_rng(4), arch, np.float64))
    assert np.allclose(F.balanced().toarray(), F.toarray())
    values = [np.array(v) for v in F.factors]
    values[1][...] = 0
    assert not any(v.any() for v in pp.Butterfly(values).balanced().factors)


@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_factors_whose_product_is_hardly_a_number(scale):
    arch = pp.Architecture.square_dyadic(8)
    values = random_factors(np.random.default_rng(5), arch, np.float64)
    F = pp.Butterfly([values[0] * scale**2, values[1] / scale, values[2]])
    G, expected = F.balanced(), pp.Butterfly(values).toarray()
    assert np.allclose(G.toarray() / scale, expected)


@pytest.mark.parametrize(
    ("columns", "rows"),
    [
        ([1, 1e-170], [1e-170, 1]),  # squares vanish
        ([1e300, 1e-20], [1e-300, 1e20]),  # no factor can be scaled as a whole
        ([1e150, 1e-150], [1e150, 1e-150]),  # nor can the operator
    ],
)
@pytest.mark.parametrize("rank", [1, 2])
def test_columns_of_very_different_scale_keep_their_digits(columns, rows, rank):
    arch = pp.Architecture.square_dyadic(4).with_ranks(rank)
    rng = np.random.default_rng(6)
    X, Y = random_factors(rng, arch, np.float64)
    X *= np.repeat(columns, rank)[:, None]
    Y *= np.array(rows)[:, None, None, None]
    F = pp.Butterfly([X, Y], architecture=arch)
    assert np.allclose(F.balanced().toarray(), F.toarray(), rtol=1e-11, atol=0)


def test_scales_that_run_through_all_interfaces_are_balanced():
    arch = pp.Architecture.square_dyadic(16).with_ranks(2)
    rng = np.random.default_rng(7)
    values = random_factors(rng, arch, np.float64)
    expected = pp.Butterfly(values, architecture=arch).toarray()
    for n, (p, q) in enumerate(itertools.pairwise(arch)):
        powers = 2.0 ** rng.integers(-450, 450, p.shape[1])
        values[n] = values[n] * powers.reshape(p.a, 1, p.c, p.d)
        values[n + 1] = values[n + 1] / powers.reshape(q.a, q.b, 1, q.d)
    F = pp.Butterfly(values, architecture=arch)
    assert np.allclose(F.balanced().toarray(), expected, rtol=1e-10)


def test_what_cannot_be_balanced_is_named():
    arch = pp.Architecture([(2, 2, 2, 1), (1, 2, 2, 2), (2, 2, 2, 1)])
    with pytest.raises(ValueError, match="not chainable"):
        pp.Butterfly.random(arch).balanced()
    values = [np.ones((1, 2, 2, 2)), np.full((2, 2, 2, 1), np.nan)]
    with pytest.raises(ValueError, match="NaN or infinite"):
        pp.Butterfly(values).balanced()
