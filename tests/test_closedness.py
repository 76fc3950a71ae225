"""Closedness of products with fixed supports: the rules of docs/supports.md, one by one."""

import itertools
import warnings

import numpy as np
import pytest
import scipy.optimize

import papilio as pp


def stairs(heights, widths, ranks):
    """Block upper triangular times block upper triangular."""
    m, n = sum(heights), sum(widths)
    left, right = [], []
    for t, rank in enumerate(ranks):
        left += [np.arange(m) < sum(heights[: t + 1])] * rank
        right += [np.arange(n) >= sum(widths[:t])] * rank
    return np.array(left).T, np.array(right)


def classes(*rectangles):
    """Supports of classes (rows, columns, rank); all rows and columns counted from 0."""
    m = 1 + max(max(rows) for rows, _, _ in rectangles)
    n = 1 + max(max(cols) for _, cols, _ in rectangles)
    left = [np.isin(np.arange(m), rows) for rows, _, rank in rectangles for _ in range(rank)]
    right = [np.isin(np.arange(n), cols) for _, cols, rank in rectangles for _ in range(rank)]
    return np.array(left).T, np.array(right)


def closed_of_two(left, right):
    """T8 by its words."""
    (R1, R2), (C1, C2) = left.T, right
    if not ((R1 & R2).any() and (C1 & C2).any()):
        return True
    rows = (R1 & ~R2).any(), (R2 & ~R1).any()
    cols = (C1 & ~C2).any(), (C2 & ~C1).any()
    crossed = any(r and c for r, c in zip(rows, cols, strict=True))
    return not (
        crossed or ((R1 & R2).sum() >= 2 and all(cols)) or ((C1 & C2).sum() >= 2 and all(rows))
    )


def test_two_inner_indices_are_decided_as_their_own_theorem_says():
    kinds = [np.array(kind, bool) for kind in itertools.product((0, 1), repeat=2)]
    sides = [np.array(c) for c in itertools.combinations_with_replacement(kinds, 3)]
    for left, right in itertools.product(sides, repeat=2):
        if left.any() and right.any():
            report = pp.analyze_supports(left, right.T)
            assert report.has_minimizer is closed_of_two(left, right.T)


U = np.triu(np.ones((8, 8)))
ONES = np.ones((8, 8))


@pytest.mark.parametrize(
    ("masks", "closed", "tractable"),
    [
        ((U, U), True, True),
        ((ONES, U), True, True),
        ((U, U.T), False, False),
        ((U.T, U), False, False),
        (stairs((3, 2, 4), (2, 3, 3), (1, 1, 1)), True, False),
        # Nested pairs, one free corner: T6'.
        (classes((range(5), range(5), 2), (range(4), range(4), 1)), True, True),
        (classes((range(5), range(5), 2), (range(3), range(4), 1)), False, False),
        # T7: equal rows, columns of their own; enough common lines or not.
        (classes((range(2), (0, 1), 1), (range(2), (1, 2), 1)), False, False),
        (classes((range(4), range(4), 2), (range(4), range(2, 6), 2)), False, False),
        (classes((range(3), range(4), 2), (range(3), range(2, 6), 2)), False, False),
        (classes((range(6), range(3), 2), (range(6), range(1, 4), 2)), True, False),
        # Low rank plus diagonal.
        ((np.hstack([ONES[:, :2], np.eye(8)]), np.vstack([ONES[:2], np.eye(8)])), False, False),
    ],
)
def test_known_supports(masks, closed, tractable):
    report = pp.analyze_supports(*masks)
    assert report.has_minimizer is closed
    assert report.tractable is tractable
    assert report.explain().startswith(report.existence)
    assert (len(report.elimination) > 0) == (closed and report.kind != "disjoint")


@pytest.mark.parametrize("seed", range(4))
def test_what_peels_is_solved_exactly(seed):
    rng = np.random.default_rng(seed)
    for masks in ((U, U), (ONES, U), (U.T, U.T)):
        A = rng.standard_normal((8, 8)) + 1j * rng.standard_normal((8, 8)) * (seed % 2)
        result = pp.fixed_support(A, *masks)
        outside = np.linalg.norm(A[(masks[0] @ masks[1]) == 0])
        assert result.optimal
        assert result.error == pytest.approx(outside, abs=1e-12)
        assert result.error == pytest.approx(np.linalg.norm(A - result.X @ result.Y), abs=1e-12)


@pytest.mark.parametrize("kind", [float, complex])
def test_nested_pairs_merge_into_one_truncated_svd(kind):
    rng = np.random.default_rng(1)
    left, right = classes((range(7), range(8), 3), (range(1, 7), range(6), 2))
    A = rng.standard_normal((7, 8)).astype(kind)
    if kind is complex:
        A += 1j * rng.standard_normal((7, 8))
    result = pp.fixed_support(A, left, right)
    assert result.report.kind == "peeled"
    assert result.optimal
    assert result.error == pytest.approx(np.linalg.norm(np.linalg.svd(A)[1][5:]))
    assert result.lower_bound == pytest.approx(result.error)
    assert abs(result.X.toarray()).max() < 10  # no cancellation


def test_stairs_have_the_ranks_of_their_theorem():
    heights, widths, ranks = (3, 2, 4), (2, 3, 3), (1, 2, 1)
    left, right = stairs(heights, widths, ranks)
    rng = np.random.default_rng(0)
    Z = (left * rng.standard_normal(left.shape)) @ (right * rng.standard_normal(right.shape))
    for p in range(3):
        for q in range(p, 3):
            block = Z[sum(heights[:p]) :, : sum(widths[: q + 1])]
            size = min(sum(heights[p : q + 1]), sum(widths[p : q + 1]), sum(ranks[p : q + 1]))
            assert np.linalg.matrix_rank(block) <= sum(ranks[p : q + 1])
            assert np.linalg.matrix_rank(block) <= size


def test_cross_nested_factors_stay_bounded():
    masks = stairs((3, 2, 4), (2, 3, 3), (1, 1, 1))
    rng = np.random.default_rng(0)
    for _ in range(3):
        A = rng.standard_normal((9, 8))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            auto = pp.fixed_support(A, *masks, restarts=4)
            local = pp.fixed_support(A, *masks, restarts=4, method="local")
        assert auto.error <= local.error * (1 + 1e-12)
        assert abs(auto.X.toarray()).max() <= np.linalg.norm(A)
        assert auto.lower_bound <= auto.error


def distance(A, left, right, rng, starts):
    """The least error of many quasi-Newton runs with factors of bounded size."""
    size = left.sum()

    def value(z):
        X, Y = np.zeros(left.shape), np.zeros(right.shape)
        X[left], Y[right] = z[:size], z[size:]
        rest = X @ Y - A
        return float((rest**2).sum()), 2 * np.r_[(rest @ Y.T)[left], (X.T @ rest)[right]]

    bounds = [(-3, 3)] * int(size + right.sum())
    with pp._core.SingleThreadedBlas():
        return min(
            scipy.optimize.minimize(
                value, rng.uniform(-3, 3, len(bounds)), jac=True, method="L-BFGS-B",
                bounds=bounds, options={"maxiter": 100},
            ).fun
            for _ in range(starts)
        ) ** 0.5  # fmt: skip


def test_limits_are_approached_by_growing_factors_only():
    rng = np.random.default_rng(0)
    rules = set()
    while len(rules) < 3:
        left, right = rng.random((4, 3)) < 0.6, rng.random((3, 4)) < 0.6
        if not (left.any() and right.any()):
            continue
        witness = pp.analyze_supports(left, right).witness
        if witness is None or (witness.rule, bool(witness.pins)) in rules:
            continue
        rules.add((witness.rule, bool(witness.pins)))
        limit = witness.limit.toarray()
        for epsilon in (0.1, 1e-3):
            X, Y = witness.approximation(epsilon)
            assert not X.toarray()[~left].any()
            assert not Y.toarray()[~right].any()
            assert np.linalg.norm(limit - X @ Y) == pytest.approx(epsilon)
            assert max(abs(X).max(), abs(Y).max()) >= 1 / epsilon
        # With factors of at most 3 the distance stays positive.
        assert distance(limit, left, right, rng, 20) > 0.02


def test_bidiagonal_times_bidiagonal_of_one_side_is_not_closed():
    """T10 of docs/supports.md: its factors, and that no product is the limit."""
    limit = np.zeros((5, 5))
    limit[[1, 2, 3, 4], [1, 0, 3, 2]] = 1
    for epsilon in (0.1, 1e-3):
        X, Y = np.eye(5), np.zeros((5, 5))
        X[1, 1], X[2, 1], X[1, 0], X[2, 2], X[3, 2], X[4, 3] = 1 / epsilon, 1, 1, 0, 1, 1
        X[0, 0] = 0
        Y[1, :2], Y[0, 0], Y[2, 2], Y[3, 2:4], Y[4, 3] = (1, epsilon), -1 / epsilon, -1, 1, -1
        assert not np.triu(X, 1).any()
        assert not np.tril(X, -2).any()
        assert not np.triu(Y, 1).any()
        assert not np.tril(Y, -2).any()
        assert np.linalg.norm(X @ Y - limit) == pytest.approx(epsilon)


def test_large_components_are_decided_in_parts_or_left_undecided():
    n = 400
    L = np.tril(np.ones((n, n)))
    assert pp.analyze_supports(L, L.T).has_minimizer is False
    assert pp.analyze_supports(L, L).has_minimizer is True
    left = np.hstack([np.ones((n, 3)), np.eye(n)])
    assert pp.analyze_supports(left, left.T).has_minimizer is False


@pytest.mark.parametrize("goal", ["minimizer", "tractable"])
def test_repairs_reach_their_goal_with_the_changes_that_they_list(goal):
    L = np.tril(np.ones((3, 3), bool))
    repair = pp.analyze_supports(L, L.T).repair(goal)
    assert repair.reached
    assert repair.report.has_minimizer
    left, right = L.copy(), L.T.copy()
    for side, i, j in repair.added + repair.removed:
        mask = left if side == "left" else right
        mask[i, j] = not mask[i, j]
    assert (left == repair.left.toarray()).all()
    assert (right == repair.right.toarray()).all()
    with pytest.raises(ValueError, match="goal is 'x'"):
        pp.analyze_supports(L, L.T).repair("x")


def test_the_core_refuses_components_that_do_not_exist():
    report = pp.analyze_supports(U, U.T)
    for number in (-1, 5):
        with pytest.raises(ValueError, match="component"):
            report._classes.closedness(number, 1.0, False)
        with pytest.raises(ValueError, match="component"):
            report._classes.peel(number, 1.0)


@pytest.mark.parametrize("power", [-140, -120, 100])
def test_the_scale_of_single_precision_data_may_leave_its_range(power):
    # Found by the generator of supports: a component that peels, complex64 near 2^-140.
    left = np.array([[1, 0, 1, 1, 1, 0]] * 2 + [[0, 1, 0, 0, 0, 1]] + [[1, 0, 1, 1, 1, 0]] * 2)
    right = np.ones((6, 8))
    right[[0, 4]] = [1, 0, 1, 1, 1, 1, 0, 0]
    right[5] = [0, 1, 0, 0, 0, 0, 1, 1]
    rng = np.random.default_rng(1)
    A = np.ldexp(rng.standard_normal((5, 8)), power).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(pp.fixed_support(A, left, right, seed=0).error)
