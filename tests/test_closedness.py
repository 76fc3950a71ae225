"""Closedness of products with fixed supports: the rules of docs/supports.md, one by one."""

import itertools
import warnings

import numpy as np
import pytest
import scipy.optimize

import papilio as pp
from papilio.supports._stairs import Stairs


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
        (classes((range(6), range(3), 2), (range(6), range(1, 4), 2)), True, True),  # filled rows
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


def test_stairs_bound_the_distance_of_every_product():
    """Not hidden by what else bounds the error: the products come back as they are."""
    heights, widths, ranks = (3, 2, 4), (2, 3, 3), (1, 1, 1)
    left, right = stairs(heights, widths, ranks)
    rows = tuple(np.split(np.arange(9), np.cumsum(heights)[:-1]))
    cols = tuple(np.split(np.arange(8), np.cumsum(widths)[:-1]))
    form = Stairs(rows, cols, ranks)
    rng = np.random.default_rng(1)
    for size in (0.0, 1e-3, 1.0, 30.0):
        Z = (left * rng.standard_normal(left.shape)) @ (right * rng.standard_normal(right.shape))
        noise = size * rng.standard_normal(Z.shape)
        A = Z + noise
        inside = left.astype(int) @ right.astype(int) > 0
        bound = form.bound(
            lambda r, c, A=A: A[np.ix_(r, c)],
            lambda block, rank: np.linalg.norm(np.linalg.svd(block)[1][rank:]),
        )
        assert bound <= np.linalg.norm(noise[inside]) + 1e-12
        result = pp.fixed_support(A, left, right, restarts=2)
        whole = np.hypot(bound, np.linalg.norm(A[~inside]))
        assert whole <= result.error * (1 + 1e-12) + 1e-12
        assert result.lower_bound >= whole * (1 - 1e-12)
        # Theorem 4 alone sees only blocks of one class.
        assert size == 0 or bound > np.linalg.norm(noise) / 100


@pytest.mark.parametrize("seed", range(6))
def test_what_fills_lines_is_solved_exactly(seed):
    """T2 (b) and (c): supports that need them, real and complex."""
    rng = np.random.default_rng(seed)
    while True:
        m, k, n = rng.integers(2, 7, 3)
        left, right = rng.random((m, k)) < 0.7, rng.random((k, n)) < 0.7
        if not (left.any() and right.any()):
            continue
        report = pp.analyze_supports(left, right)
        steps = [step.rule for p in report._peeled.values() if p.disjoint for step in p.order]
        if set(steps) - {"covered"}:
            break
    A = rng.standard_normal((m, n)) + (1j * rng.standard_normal((m, n)) if seed % 2 else 0)
    result = pp.fixed_support(A, left, right)
    assert report.kind == "peeled"
    assert result.optimal
    assert result.error - result.lower_bound <= 1e-9 * np.linalg.norm(A)
    assert np.linalg.norm(A - result.X @ result.Y) == pytest.approx(result.error)
    assert not result.X.toarray()[~left].any()
    assert not result.Y.toarray()[~right].any()


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
    while len(rules) < 4:
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
    """T10 of docs/supports.md: its factors, and that the analysis finds such a limit."""
    side = band(5, 1, 0)
    assert pp.analyze_supports(side, side).has_minimizer is False
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


def band(n, below, above):
    return np.tril(np.triu(np.ones((n, n), bool), -below), above)


def circulant(n):
    return sum(np.roll(np.eye(n, dtype=bool), shift, 1) for shift in range(3)) > 0


def zeros_fit(limit, left, right):
    """T11 of docs/supports.md, all at once: whether zeros of factors exist that fit the limit's.

    Row by row of X for all zeros of Y: a row fits if no sum is one product where it should vanish,
    nor none where it shouldn't.
    """
    if left.sum() < right.sum():
        limit, left, right = limit.T, right.T, left.T
    places = np.argwhere(right)
    choices = [
        np.array(list(itertools.product(*((0, 1) if m else (0,) for m in mask)))) for mask in left
    ]
    for zeros in range(2 ** len(places)):
        Y = np.zeros(right.shape, int)
        used = np.array([zeros >> n & 1 for n in range(len(places))], bool)
        Y[tuple(places[used].T)] = 1
        sums = [choice @ Y for choice in choices]
        if all(
            np.where(row, s >= 1, s != 1).all(1).any()
            for row, s in zip(limit != 0, sums, strict=True)
        ):
            return True
    return False


@pytest.mark.parametrize(
    ("masks", "ones"),
    [
        ((band(5, 1, 0), band(5, 1, 0)), 4),
        ((band(8, 1, 0), band(8, 1, 0)), 4),
        ((band(4, 1, 1), band(4, 1, 1)), 5),
        ((band(5, 1, 1), band(5, 1, 1)), 6),
        ((circulant(5), circulant(5)), 5),
    ],
)
def test_bands_have_witnesses_by_their_zeros(masks, ones):
    left, right = masks
    rng = np.random.default_rng(3)
    orders = [rng.permutation(len(left)) for _ in range(3)]
    for X, Y in (
        (left, right),
        (left[orders[0]][:, orders[1]], right[orders[1]][:, orders[2]]),
        (right.T, left.T),
    ):
        report = pp.analyze_supports(X, Y)
        witness = report.witness
        assert (witness.rule, witness.limit.nnz) == ("pattern", ones)
        assert_approached(witness, X, Y)
        assert "no zeros of factors fit" in report.explain()


def assert_approached(witness, left, right):
    for epsilon in (0.5, 1e-3):
        X, Y = witness.approximation(epsilon)
        assert not X.toarray()[~left].any()
        assert not Y.toarray()[~right].any()
        error = (X @ Y - witness.limit).toarray()
        assert np.linalg.norm(error) == pytest.approx(epsilon)


def test_zeros_of_limits_fit_no_factors():
    """Against all zeros of factors; those of the approximation fit."""
    assert not zeros_fit(np.eye(2)[::-1], *(m for m in (band(2, 1, 0), band(2, 0, 1))))
    rng = np.random.default_rng(11)
    found = 0
    while found < 3:
        left, right = rng.random((4, 3)) < 0.6, rng.random((3, 4)) < 0.6
        witness = pp.analyze_supports(left, right).witness
        if witness is None or witness.rule != "pattern":
            continue
        found += 1
        assert_approached(witness, left, right)
        X, Y = witness.approximation(0.5)
        assert zeros_fit((X @ Y).toarray(), left, right)
        assert not zeros_fit(witness.limit.toarray(), left, right)


def test_pairs_merge_before_anything_is_peeled():
    """The class with rows 0, 1, 2 has holes after the single row is peeled."""
    left = [[1, 1, 0], [1, 0, 0], [1, 1, 1], [0, 0, 0]]
    right = [[1, 0, 1, 0], [1, 0, 1, 0], [0, 1, 1, 0]]
    report = pp.analyze_supports(left, right)
    assert report.tractable
    A = np.random.default_rng(0).standard_normal((4, 4))
    result = pp.fixed_support(A, left, right)
    mask = np.array(left) @ np.array(right) > 0
    assert result.optimal
    assert result.error == pytest.approx(np.linalg.norm(A[~mask]))
    assert np.linalg.norm(A - result.X @ result.Y) == pytest.approx(result.error)


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
