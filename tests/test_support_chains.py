"""More than two factors: the core against dense products, the analysis against factors."""

import itertools
import os
from functools import reduce

import numpy as np
import pytest
import scipy.sparse

import papilio as pp
from papilio import _core
from processes import at_full_speed, waits_after_interrupts
from strategies import random_array


def random_masks(rng, sizes, density):
    masks = [rng.random(shape) < density for shape in itertools.pairwise(sizes)]
    for mask in masks:
        mask[0, 0] = True
    return [scipy.sparse.csr_array(mask) for mask in masks]


def band(n, width=1):
    ones = np.ones((n, n), bool)
    return scipy.sparse.csr_array(np.tril(np.triu(ones, -width), width))


def solver(A, masks, scale=1.0):
    make = _core.SupportChainComplex if A.dtype.kind == "c" else _core.SupportChainReal
    factors = [(m.shape[1], m.indptr.astype(np.int64), m.indices.astype(np.int32)) for m in masks]
    if scipy.sparse.issparse(A):
        sparse = A.indptr.astype(np.int64), A.indices.astype(np.int32)
        return make(A.shape[0], factors, A.data, *sparse, scale)
    return make(A.shape[0], factors, A, None, None, scale)


def dense_factors(masks, values):
    ends = np.cumsum([m.nnz for m in masks])[:-1]
    return [
        scipy.sparse.csr_array((v, m.indices, m.indptr), m.shape).toarray()
        for m, v in zip(masks, np.split(values, ends), strict=True)
    ]


def product(parts, size):
    return reduce(np.matmul, parts, np.eye(size))


CASES = {
    "one row": ((1, 3, 2, 4), 0.7),
    "a panel and one": ((17, 5, 6, 9), 0.3),
    "three panels": ((48, 30, 40, 33), 0.05),
    "wide": ((5, 20, 40, 50), 0.1),
    "four, full": ((33, 4, 5, 6, 20), 1.0),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize("name", list(CASES))
def test_errors_gradients_and_norms_are_those_of_dense_products(name, dtype):
    sizes, density = CASES[name]
    rng = np.random.default_rng(len(name))
    masks = random_masks(rng, sizes, density)
    A = np.asfortranarray(random_array(rng, (sizes[0], sizes[-1]), dtype))[::-1]
    sparse = scipy.sparse.csr_array(A * (rng.random(A.shape) < 0.3))
    count = sum(m.nnz for m in masks)
    values = random_array(rng, count, np.result_type(dtype, np.float64))
    parts = dense_factors(masks, values)
    P = product(parts, sizes[0])
    reach = reduce(np.matmul, [m.toarray().astype(float) for m in masks]) > 0
    for given, dense in ((A, A), (sparse, sparse.toarray())):
        chain = solver(given, masks, 4.0)
        wide = dense.astype(values.dtype) * 4
        rest = wide - P
        assert chain.unreached() == pytest.approx(np.linalg.norm(wide[~reach]) ** 2, rel=1e-12)
        assert chain.squared_error(values) == pytest.approx(np.linalg.norm(rest) ** 2, rel=1e-12)
        assert chain.squared_norm(values) == pytest.approx(np.linalg.norm(P) ** 2, rel=1e-12)
        gradient = np.full(count, np.nan, values.dtype)
        chain.gradient(values, gradient)
        expected = []
        for n, mask in enumerate(masks):
            left = product(parts[:n], sizes[0])
            right = product(parts[n + 1 :], sizes[n + 1])
            expected.append((-2 * left.conj().T @ rest @ right.conj().T)[mask.nonzero()])
        expected = np.concatenate(expected)
        assert np.allclose(gradient, expected, rtol=0, atol=1e-12 * np.linalg.norm(expected))
        grown = max(
            (
                np.linalg.norm(product(parts[:n], sizes[0]), axis=0)
                * np.linalg.norm(product(parts[n:], sizes[n]), axis=1)
            ).max()
            for n in range(1, len(masks))
        )
        assert chain.growth(values) == pytest.approx(grown, rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_a_sweep_solves_for_each_factor_in_turn(dtype):
    rng = np.random.default_rng(3)
    masks = random_masks(rng, (40, 6, 5, 7), 0.6)
    A = random_array(rng, (40, 7), dtype)
    chain = solver(A, masks)
    values = random_array(rng, sum(m.nnz for m in masks), dtype)
    wanted = values.copy()
    ends = np.r_[0, np.cumsum([m.nnz for m in masks])]
    for n, mask in enumerate(masks):
        parts = dense_factors(masks, wanted)
        left, right = product(parts[:n], 40), product(parts[n + 1 :], mask.shape[1])
        rows, columns = mask.nonzero()
        images = np.array(
            [np.outer(left[:, i], right[j]).ravel() for i, j in zip(rows, columns, strict=True)]
        ).T
        # The closest of the best values, as there may be many.
        rest = (A - product(parts, 40)).ravel()
        wanted[ends[n] : ends[n + 1]] += np.linalg.lstsq(images, rest, rcond=1e-12)[0]
    chain.sweep(values, 1000)
    assert chain.squared_error(values) == pytest.approx(chain.squared_error(wanted), rel=1e-9)


def test_the_bits_are_the_same_for_any_number_of_threads(threads):
    rng = np.random.default_rng(0)
    masks = random_masks(rng, (100, 90, 80, 110), 0.05)
    A = rng.standard_normal((100, 110))
    start = rng.standard_normal(sum(m.nnz for m in masks))
    found = []
    _core.set_thresholds(1, 0)
    try:
        for count in (1, 2, 3):
            threads(count)
            chain, values, gradient = solver(A, masks), start.copy(), np.empty_like(start)
            chain.sweep(values, 5)
            error = chain.gradient(values, gradient)
            found.append((values.tobytes(), gradient.tobytes(), error, chain.growth(values)))
    finally:
        _core.set_thresholds(0, 0)
    assert found[0] == found[1] == found[2]


def test_what_rows_do_not_reach_costs_nothing_and_is_counted_once():
    n = 30_000  # dense matrices of this size have no place in any memory
    diagonals = scipy.sparse.diags_array(
        [np.ones(n - 1), np.ones(n), np.ones(n - 1)], offsets=[-1, 0, 1]
    )
    mask = scipy.sparse.csr_array(diagonals).astype(bool)
    A = scipy.sparse.csr_array(scipy.sparse.eye_array(n) + 3 * scipy.sparse.eye_array(n, k=9))
    chain = solver(A, [mask] * 3)
    assert chain.unreached() == pytest.approx(9 * (n - 9))
    values = np.ones(3 * mask.nnz)
    ones = scipy.sparse.csr_array(mask.astype(float))
    exact = scipy.sparse.linalg.norm(A - ones @ ones @ ones) ** 2
    assert chain.squared_error(values) == pytest.approx(exact, rel=1e-12)


def test_wrong_sets_are_refused():
    A, mask = np.ones((3, 3)), band(3)
    sets = mask.indptr.astype(np.int64), mask.indices.astype(np.int32)
    make = _core.SupportChainReal
    for factors, values, error in [
        ([], A, ValueError),
        ([(3, *sets), (2, *sets)], A, ValueError),
        ([(3, *sets)] * 2, np.ones((3, 4)), ValueError),
        ([(3, *sets)] * 2, A + 0j, TypeError),
    ]:
        with pytest.raises(error):
            make(3, factors, values, None, None, 1.0)
    chain = make(3, [(3, *sets)] * 2, A, None, None, 1.0)
    for wrong in (np.ones(13), np.ones((2, 7))):
        with pytest.raises(ValueError, match="one value per entry"):
            chain.squared_error(wrong)
    with pytest.raises(TypeError):
        chain.sweep(np.ones(14, np.float32), 3)


LOWER = np.tril(np.ones((4, 4)))
STEP = np.eye(4) + np.eye(4, k=-1)
NOT_CLOSED = {
    "LU with a diagonal between": [LOWER, np.eye(4), LOWER.T],
    "LU with diagonals around": [np.eye(4), LOWER, LOWER.T, np.eye(4)],
    "LU, its left factor a product": [STEP, STEP, LOWER.T],
    "LU, its right factor a product": [LOWER, LOWER.T, STEP.T],
    "a part of a larger one": [
        np.pad(LOWER, (0, 2), constant_values=1),
        np.pad(np.eye(4), (0, 2)) + np.pad(np.ones((2, 2)), (4, 0)),
        np.pad(LOWER.T, (0, 2)) + np.pad(np.ones((2, 2)), (4, 0)),
    ],
}


@pytest.mark.parametrize("name", list(NOT_CLOSED))
def test_witnesses_of_chains_are_approached_within_the_supports(name):
    masks = NOT_CLOSED[name]
    report = pp.analyze_supports(masks)
    assert report.has_minimizer is False
    assert not report.tractable
    assert "minimizer    not for some" in str(report)
    target = report.witness.limit.toarray()
    assert target.shape == (masks[0].shape[0], masks[-1].shape[1])
    sizes = []
    for epsilon in (1e-1, 1e-3, 1e-5):
        factors = [factor.toarray() for factor in report.witness.approximation(epsilon)]
        for factor, mask in zip(factors, masks, strict=True):
            assert factor.shape == mask.shape
            assert not factor[mask == 0].any()
        distance = np.linalg.norm(product(factors, len(target)) - target)
        assert distance == pytest.approx(epsilon, rel=1e-3)
        sizes.append(max(np.abs(factor).max() for factor in factors))
    assert sizes[2] > 10 * sizes[1] > 100 * sizes[0]


CLOSED = {
    "a butterfly": [p.support() for p in pp.Architecture.square_dyadic(8)],
    "every matrix": [LOWER, np.ones((4, 4)), LOWER.T],
    "Monarch with diagonals": [
        np.eye(16),
        *(p.support() for p in pp.Architecture.monarch((16, 16), 4, 4)),
        np.eye(16),
    ],
    "trees": [np.kron(np.eye(3), np.ones((1, 2))), np.eye(6), np.ones((6, 4))],
}


@pytest.mark.parametrize("name", list(CLOSED))
def test_chains_with_a_best_approximation_for_all(name):
    report = pp.analyze_supports(CLOSED[name])
    assert report.has_minimizer is True
    assert report.witness is None
    assert report.explain()


def with_nodes_of_one_edge(rng, masks):
    """The same products by more factors: nodes that only pass on, some to several others."""
    longer = []
    for mask in masks:
        dense = np.asarray(mask)
        rows, cols = np.nonzero(dense)
        # Each column feeds its rows through a node of its own, or each entry has one.
        if rng.random() < 0.5:
            longer += [dense, np.eye(dense.shape[1])]
        else:
            into, out = np.zeros((len(dense), len(rows))), np.zeros((len(rows), dense.shape[1]))
            into[rows, np.arange(len(rows))] = out[np.arange(len(rows)), cols] = 1
            longer += [into, out]
    return longer


@pytest.mark.parametrize("dtype", [np.float64, np.complex64])
def test_nodes_of_one_edge_change_nothing(dtype):
    rng = np.random.default_rng(0)
    verdicts = set()
    for _ in range(24):
        m, k, n = rng.integers(1, 6, 3)
        pair = [rng.random((m, k)) < 0.6, rng.random((k, n)) < 0.6]
        pair[0][0, 0] = pair[1][0, 0] = True
        longer = with_nodes_of_one_edge(rng, pair)
        two, many = pp.analyze_supports(*pair), pp.analyze_supports(longer)
        assert many.has_minimizer is None or many.has_minimizer is two.has_minimizer
        verdicts.add(many.has_minimizer)
        if not two.tractable:
            continue
        assert many.has_minimizer is True
        A = random_array(rng, (m, n), dtype)
        R = pp.fixed_support(A, longer, method="exact")
        assert R.optimal
        assert R.error == pytest.approx(pp.fixed_support(A, *pair).error, rel=1e-3, abs=1e-4)
        distance = np.linalg.norm(A - product([f.toarray() for f in R.factors], m))
        assert distance == pytest.approx(R.error, rel=1e-3, abs=1e-4)
        for factor, mask in zip(R.factors, longer, strict=True):
            assert factor.nnz == np.count_nonzero(mask)
            assert not factor.toarray()[mask == 0].any()
    assert verdicts >= {True, False}


def test_entries_that_can_take_each_others_place_do_not_diverge():
    masks = [np.ones((2, 1)), np.ones((1, 1)), np.ones((1, 3)), np.ones((3, 5))]
    masks[3][2, 2:] = 0
    rng = np.random.default_rng(239960234)
    rng.random(7)
    A = rng.standard_normal((2, 5))
    best = np.linalg.svd(A, compute_uv=False)[1]
    for seed in range(3):
        R = pp.fixed_support(A, masks, method="local", restarts=2, max_sweeps=20, seed=seed)
        assert not R.diverging
        assert R.error == pytest.approx(best, rel=1e-9)


def test_exact_is_refused_where_no_method_is_known():
    with pytest.raises(ValueError, match="two factors only"):
        pp.fixed_support(np.eye(4), NOT_CLOSED["LU with a diagonal between"], method="exact")


@pytest.mark.parametrize("name", pp.supports.zoo.__all__)
def test_the_zoo_has_supports_that_fit(name):
    sizes = {
        "butterfly": (16,), "lu": (8,), "two_of_four": (16,), "banded": (12, 2),
        "debut": ([2, 3, 2], [3, 2, 2]), "pixelfly": (16, 4, 1), "block_tensor_train": (16, 4, 2),
    }  # fmt: skip
    masks = getattr(pp.supports.zoo, name)(*sizes.get(name, (16, 4)))
    for mask in masks:
        assert scipy.sparse.issparse(mask)
        assert mask.dtype == bool
        assert mask.nnz > 0
    report = pp.analyze_supports(masks)
    if name in ("butterfly", "debut", "monarch", "group_and_shuffle", "block_tensor_train"):
        assert report.has_minimizer is True
    if name in ("lu", "low_rank_plus_diagonal"):
        assert report.has_minimizer is False


@pytest.mark.slow
@at_full_speed
@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="reads the time of a process")
def test_an_interrupt_is_answered_within_a_tenth_of_a_second_of_thousands_of_rows():
    program = """
import time
import numpy as np, scipy.sparse
import papilio as pp
pp.set_num_threads(1)
n = 3000
rng = np.random.default_rng(0)
def mask():
    rows = np.repeat(np.arange(n), 4)
    entries = np.ones(4 * n, bool), (rows, rng.integers(0, n, 4 * n))
    return scipy.sparse.csr_array(scipy.sparse.coo_array(entries, (n, n)))
A, masks = rng.standard_normal((n, n)), [mask() for _ in range(4)]
for _ in range(2):
    print("go", flush=True)
    try:
        pp.fixed_support(A, masks, restarts=1)
    except KeyboardInterrupt:
        print(time.process_time(), flush=True)
"""
    waits = waits_after_interrupts(program, (0.5, 1.5))
    assert max(waits) < 0.1, waits
