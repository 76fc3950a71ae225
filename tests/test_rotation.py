"""Orthogonal butterflies: Cayley blocks and angles, their gradients, merging, projections."""

import numpy as np
import pytest
import scipy.linalg

import papilio as pp
from papilio import Architecture
from papilio.learning import Rotation, orthogonalized
from strategies import DTYPES, random_array

CHAINS = [
    Architecture.square_dyadic(16),
    Architecture.mixed_radix([3, 4, 1]),
    Architecture([(1, 4, 4, 2), (2, 4, 4, 1)]),  # rank 2
    Architecture.square_dyadic(8).T,
]


def drawn(rng, arch, scale=1.0):
    return [scale * rng.standard_normal((p.a, p.b * (p.b - 1) // 2, p.d)) for p in arch]


@pytest.mark.parametrize("arch", CHAINS)
def test_any_parameters_give_the_cayley_transforms(arch):
    parameters = drawn(np.random.default_rng(0), arch, 3.0)
    R = Rotation(arch, parameters)
    n = arch.shape[0]
    assert np.allclose(R.operator.toarray() @ R.operator.toarray().T, np.eye(n))
    assert f"{sum(p.size for p in parameters)} parameters" in repr(R)
    for p, own, values in zip(arch, parameters, R.operator.factors, strict=True):
        for i in range(p.a):
            for l in range(p.d):
                S = np.zeros((p.b, p.b))
                S[np.triu_indices(p.b, 1)] = own[i, :, l]
                S -= S.T
                Q = (np.eye(p.b) - S) @ np.linalg.inv(np.eye(p.b) + S)
                assert np.allclose(values[i, :, :, l], Q)
    assert np.array_equal(Rotation(arch).operator.toarray(), np.eye(n))


@pytest.mark.parametrize(
    ("arch", "form"), [*((arch, "cayley") for arch in CHAINS), (CHAINS[0], "angles")]
)
def test_gradients_are_those_of_finite_differences(arch, form):
    rng = np.random.default_rng(1)
    parameters = drawn(rng, arch)
    R = Rotation(arch, parameters, form=form)
    x, gy = rng.standard_normal((2, arch.shape[0], 3))
    gx, gradients = R.vjp(x, gy)
    assert np.allclose(gx, R.operator.toarray().T @ gy)
    for n, g in enumerate(gradients):
        direction = rng.standard_normal(g.shape)
        step = 1e-5
        ends = []
        for sign in (1, -1):
            moved = [p + sign * step * direction if k == n else p for k, p in enumerate(parameters)]
            ends.append(np.sum(gy * (R.with_parameters(moved).operator @ x)))
        expected = (ends[0] - ends[1]) / (2 * step)
        assert abs(np.sum(g * direction) - expected) <= 1e-7 * max(1, abs(expected))
    rows, again = R.vjp(x.T, gy.T, axis=1)
    assert np.allclose(rows, gx.T)
    assert all(np.allclose(u, v) for u, v in zip(again, gradients, strict=True))


@pytest.mark.parametrize("block", [2, 3, 4, 5, 7])
@pytest.mark.parametrize("scale", [1e4, 1e8, 1e12, 1e160, 1e307])
def test_large_parameters_give_orthogonal_operators_and_their_limit(block, scale):
    arch = Architecture([(2, block, block, 3)])
    parameters = drawn(np.random.default_rng(4), arch)
    R = Rotation(arch, [scale * p for p in parameters])
    Q = R.operator.toarray()
    n = arch.shape[0]
    assert abs(Q @ Q.T - np.eye(n)).max() < 1e-14
    # Half a turn but along the kernel, where there is one.
    for values, own in zip(R.operator.factors[0], parameters[0], strict=True):
        S = np.zeros((block, block))
        S[np.triu_indices(block, 1)] = own[:, 0]
        S -= S.T
        kernel = np.eye(block) - S @ np.linalg.pinv(S, rcond=1e-10)
        assert abs(values[:, :, 0] - (2 * kernel - np.eye(block))).max() < 100 / scale + 1e-13
    gx, gradients = R.vjp(np.ones(n), np.ones(n))
    assert np.isfinite(gx).all() and np.isfinite(gradients[0]).all()


def test_gradients_of_large_parameters_are_those_of_finite_differences():
    arch = Architecture([(1, 3, 3, 1)])
    own = np.array([300.0, -500.0, 200.0]).reshape(1, 3, 1)
    x, gy = np.random.default_rng(5).standard_normal((2, 3))
    R = Rotation(arch, [own])
    for direction in np.eye(3).reshape(3, 1, 3, 1):
        ends = [gy @ (R.with_parameters([own + h * direction]).operator @ x) for h in (0.5, -0.5)]
        found = np.sum(R.vjp(x, gy)[1][0] * direction)
        assert abs(found - (ends[0] - ends[1])) < 1e-5 * np.linalg.norm(R.vjp(x, gy)[1][0])


def test_large_planes_beside_small_ones_keep_their_digits():
    own = np.zeros((1, 10, 1))
    own[0, 0], own[0, -1] = 1e20, 0.5  # coordinates 0 and 1, 3 and 4
    values = Rotation(Architecture.dense((5, 5)), [own]).operator.toarray()
    expected = np.diag([-1.0, -1.0, 1.0, 0.6, 0.6])
    expected[3, 4], expected[4, 3] = -0.8, 0.8
    assert np.allclose(values, expected, atol=1e-15)


def test_angles_turn_pairs():
    R = Rotation(Architecture([(1, 2, 2, 1)]), [np.full((1, 1, 1), np.pi / 6)], form="angles")
    assert np.allclose(R.operator @ [1.0, 0.0], [np.sqrt(3) / 2, 0.5])


def test_training_reaches_a_planted_rotation():
    arch = Architecture.square_dyadic(8)
    rng = np.random.default_rng(2)
    target = Rotation(arch, drawn(rng, arch, 0.3)).operator
    x = rng.standard_normal((8, 16))
    R, y = Rotation(arch), target @ x
    first = np.linalg.norm(R.operator @ x - y)
    for _ in range(200):
        _, gradients = R.vjp(x, R.operator @ x - y)
        R = R.with_parameters([p - 0.01 * g for p, g in zip(R.parameters, gradients, strict=True)])
    assert np.linalg.norm(R.operator @ x - y) < 0.05 * first


def test_merging_is_one_product():
    arch = Architecture.square_dyadic(16)
    rng = np.random.default_rng(3)
    R = Rotation(arch, drawn(rng, arch), dtype=np.float32)
    W = rng.standard_normal((16, 5)).astype(np.float32)
    assert R.operator.dtype == np.float32
    assert np.allclose(R.merged(W), R.operator.toarray() @ W, atol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
def test_multiples_of_orthogonal_operators_are_found_from_any_factors(dtype):
    rng = np.random.default_rng(4)
    for arch in CHAINS:
        Q = pp.Butterfly.random(arch, dtype=dtype, seed=5)
        values = [v * (10.0 ** rng.integers(-2, 3)) for v in (0.3 * Q).orthonormalize(0).factors]
        F = pp.Butterfly([v.astype(dtype) for v in values], rng.permutation(arch.shape[0]))
        found = orthogonalized(F)
        expected = Q.toarray()[F.row_permutation]
        tolerance = 1e-3 if np.dtype(dtype) in (np.float32, np.complex64) else 1e-10
        assert np.allclose(found.toarray(), expected, atol=tolerance)


def test_near_orthogonal_operators_have_one_nearby():
    rng = np.random.default_rng(6)
    arch = Architecture.square_dyadic(32)
    Q = pp.Butterfly.random(arch, seed=6)
    F = Q.with_factors([v + 0.01 * random_array(rng, v.shape, np.float64) for v in Q.factors])
    R = orthogonalized(F).toarray()
    assert np.allclose(R @ R.T, np.eye(32))
    u, _, vh = scipy.linalg.svd(F.toarray())
    nearest = np.linalg.norm(F.toarray() - u @ vh)  # of all orthogonal matrices
    assert nearest <= np.linalg.norm(F.toarray() - R) < 2 * nearest


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([2, 2],), TypeError, "architecture is"),
        ((Architecture.monarch((6, 4), 2, 2),), ValueError, "expected square ones"),
        ((CHAINS[0], [np.ones((1, 1, 8))]), ValueError, "parameters has 1 arrays, expected 4"),
        ((Architecture.dense((3, 3)), [np.ones((1, 2, 1))]), ValueError, r"expected \(1, 3, 1\)"),
        ((Architecture.dense((2, 2)), [np.full((1, 1, 1), np.nan)]), ValueError, "finite"),
        ((Architecture.dense((2, 2)), [np.full((1, 1, 1), 1j)]), TypeError, "real numbers"),
    ],
)
def test_what_does_not_fit_is_named(arguments, error, message):
    with pytest.raises(error, match=message):
        Rotation(*arguments)
    with pytest.raises(ValueError, match=r"parameters\[0\] has NaN or infinity as float32"):
        Rotation(Architecture.dense((2, 2)), [np.full((1, 1, 1), 1e300)], dtype="f")


def test_what_cannot_be_orthogonal_is_named():
    with pytest.raises(ValueError, match="expected 2 x 2 ones"):
        Rotation(CHAINS[1], form="angles")
    with pytest.raises(TypeError, match="F is"):
        orthogonalized(np.eye(4))
    with pytest.raises(ValueError, match="square ones"):
        orthogonalized(pp.Butterfly.random(Architecture.monarch((6, 4), 2, 2)))
    flat = pp.Butterfly([np.ones((1, 2, 2, 2)), np.ones((2, 2, 2, 1))])
    with pytest.raises(ValueError, match="singular block"):
        orthogonalized(flat)


def test_what_cannot_be_merged_is_named():
    R = pp.learning.Rotation(pp.Architecture.square_dyadic(4))
    with pytest.raises(ValueError, match=r"matrix has shape \(4,\), expected \(n, k\)"):
        R.merged(np.ones(4))
