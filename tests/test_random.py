"""Butterfly.random: variances, orthogonality, the named matrices, what is refused."""

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st

import papilio as pp
from reference import dense
from strategies import DTYPES, chainable, dtypes

SHARES = {"orthogonal": 1.0, "lecun": 1.0, "he": 2.0, "linear": 1 / 3}


@pytest.mark.parametrize("init", SHARES)
@pytest.mark.parametrize("dtype", [np.float32, np.complex128])
def test_entries_have_the_variance_of_the_docstring(init, dtype):
    arch = pp.Architecture.mixed_radix([4, 8, 4], [8, 4, 8], [3, 2])
    F = pp.Butterfly.random(arch, init, gain=1.5, dtype=dtype, seed=3)
    assert F.dtype == dtype and F.architecture == arch and F.row_permutation is None
    total = 1.5**2 * SHARES[init]
    for values, p in zip(F.factors, arch, strict=True):
        assert values.shape == tuple(p)
        square = np.mean(abs(values.astype(complex)) ** 2)
        # A chi-square of values.size (or twice) degrees of freedom, at five deviations.
        room = 1e-5 if init == "orthogonal" else 5 * np.sqrt(2 / values.size)
        assert abs(square * p.c / total ** (1 / 3) - 1) < room


@pytest.mark.parametrize("init", SHARES)
def test_outputs_and_gradients_have_their_mean_squares(init):
    arch = pp.Architecture.mixed_radix([4, 2, 8, 2], [2, 4, 4, 4], [2, 1, 2])
    rng = np.random.default_rng(0)
    forward, backward, cases = 0.0, 0.0, 200
    for seed in range(cases):
        F = pp.Butterfly.random(arch, init, gain=0.7, seed=seed)
        forward += np.mean((F @ rng.standard_normal((F.shape[1], 4))) ** 2) / cases
        backward += np.mean((F.H @ rng.standard_normal((F.shape[0], 4))) ** 2) / cases
    total = 0.49 * SHARES[init]
    assert abs(forward / total - 1) < 0.15
    expected = np.prod([total ** (1 / 4) * p.b / p.c for p in arch])
    assert abs(backward / expected - 1) < 0.15


@given(chainable(), dtypes, st.integers(0, 2**32 - 1))
def test_orthogonal_blocks_are_orthonormal(arch, dtype, seed):
    F = pp.Butterfly.random(arch, dtype=dtype, seed=seed)
    for values, p in zip(F.factors, arch, strict=True):
        blocks = values.astype(np.complex128).transpose(0, 3, 1, 2)
        if p.b > p.c:
            gram, size = blocks.conj().swapaxes(2, 3) @ blocks, p.b / p.c
        else:
            gram, size = blocks @ blocks.conj().swapaxes(2, 3), 1
        assert np.allclose(gram, size * np.eye(min(p.b, p.c)), atol=1e-5)


def test_square_orthogonal_chains_have_equal_singular_values():
    for dtype in DTYPES:
        F = pp.Butterfly.random(pp.Architecture.square_dyadic(64), gain=3, dtype=dtype, seed=5)
        assert np.allclose(np.linalg.svd(F.toarray(), compute_uv=False), 3, rtol=1e-5)


def test_orthogonal_blocks_are_distributed_as_haar_says():
    # The trace of a Haar matrix of O(n) has mean 0 and variance 1; QR alone gives a negative mean.
    arch = pp.Architecture([(4000, 3, 3, 1)])
    traces = np.einsum("akkd->a", pp.Butterfly.random(arch, seed=1).factors[0])
    assert abs(traces.mean()) < 5 / np.sqrt(4000) and abs(traces.var() - 1) < 0.15
    signs = np.linalg.det(pp.Butterfly.random(arch, seed=1).factors[0][..., 0])
    assert abs(np.mean(signs > 0) - 0.5) < 0.05
    unitary = pp.Butterfly.random(arch, dtype=complex, seed=1).factors[0]
    traces = np.einsum("akkd->a", unitary)
    assert abs(traces.mean()) < 5 / np.sqrt(4000) and abs(np.mean(abs(traces) ** 2) - 1) < 0.15


@pytest.mark.parametrize("radices", [[2, 2, 2], [4, 8], [1], [2, 1, 4]])
def test_named_matrices(radices):
    arch = pp.Architecture.mixed_radix(radices)
    n = arch.shape[0]
    assert np.allclose(
        dense(pp.Butterfly.random(arch, "identity", gain=2)).astype(float), 2 * np.eye(n)
    )
    H = dense(pp.Butterfly.random(arch, "hadamard", dtype=np.float64)).astype(float)
    assert np.allclose(H, scipy.linalg.hadamard(n) / np.sqrt(n))


@pytest.mark.parametrize("radices", [[2, 2, 2], [3, 4, 5], [7], [2, 1, 3]])
def test_dft_is_the_transform_in_digit_reversed_order(radices):
    arch = pp.Architecture.mixed_radix(radices)
    n = arch.shape[0]
    D = pp.Butterfly.random(arch, "dft", dtype=np.complex128).toarray()
    expected = scipy.linalg.dft(n, scale="sqrtn")[:, pp.permutations.digit_reversal(radices)]
    assert np.allclose(D, expected, atol=1e-14 * n)


def test_seeds_decide():
    arch = pp.Architecture.monarch((12, 8), 3, 4)
    first, again = (pp.Butterfly.random(arch, seed=4).toarray() for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, pp.Butterfly.random(arch, seed=5).toarray())


def test_chains_that_are_not_chainable():
    arch = pp.Architecture.square_dyadic(8).T
    assert np.allclose(np.linalg.svd(pp.Butterfly.random(arch).toarray(), compute_uv=False), 1)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([2, 2],), TypeError, "architecture is"),
        ((pp.Architecture.square_dyadic(8), "xavier"), ValueError, "init is 'xavier'"),
        ((pp.Architecture.monarch((6, 4), 2, 2), "identity"), ValueError, "square blocks"),
        ((pp.Architecture.mixed_radix([3, 2]), "hadamard"), ValueError, "power of two"),
        ((pp.Architecture.mixed_radix([3, 2]), "dft"), ValueError, "complex dtype"),
    ],
)
def test_what_does_not_fit_is_named(arguments, error, message):
    with pytest.raises(error, match=message):
        pp.Butterfly.random(*arguments)


def test_gain_and_dtype_are_checked():
    arch = pp.Architecture.square_dyadic(8)
    with pytest.raises(ValueError, match=r"gain is 1e\+308, too large for factors of float32"):
        pp.Butterfly.random(pp.Architecture.square_dyadic(4), gain=1e308, dtype=np.float32)
    for gain in (0, -1, np.nan):
        with pytest.raises(ValueError, match="gain"):
            pp.Butterfly.random(arch, gain=gain)
    with pytest.raises(ValueError, match="mixed_radix"):
        pp.Butterfly.random(arch.T, "dft", dtype=complex)
    with pytest.raises(TypeError, match="dtype"):
        pp.Butterfly.random(arch, dtype=np.int32)
    with pytest.raises(TypeError, match="seed"):
        pp.Butterfly.random(arch, seed="one")
