"""analyze_supports against brute force, and its theorems on examples."""

import itertools
import pickle
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

import papilio as pp
from papilio import Architecture, analyze_supports
from processes import at_full_speed
from strategies import chainable


@st.composite
def supports(draw, most=6):
    """Random masks with repeated and nested lines, so that classes of all kinds come up."""
    m, k, n = (draw(st.integers(1, most)) for _ in range(3))
    seed = draw(st.integers(0, 2**20))
    rng = np.random.default_rng(seed)
    density = draw(st.sampled_from([0.15, 0.3, 0.6, 0.9]))
    left, right = rng.random((m, k)) < density, rng.random((k, n)) < density
    for _ in range(draw(st.integers(0, k))):  # equal rectangles
        i, j = rng.integers(k, size=2)
        left[:, i], right[i] = left[:, j], right[j]
    left[rng.integers(m), rng.integers(k)] = True
    right[rng.integers(k), rng.integers(n)] = True
    return left, right


def brute_force(left, right):
    """Classes, components and kinds by dense masks of all rectangles."""
    k = left.shape[1]
    masks = [np.outer(left[:, i], right[i]) for i in range(k)]
    classes = []
    for i in range(k):
        if masks[i].any():
            for members in classes:
                if np.array_equal(masks[i], masks[members[0]]):
                    members.append(i)
                    break
            else:
                classes.append([i])
    rectangles = [masks[members[0]] for members in classes]
    complete = [
        len(members) >= min(mask.any(1).sum(), mask.any(0).sum())
        for members, mask in zip(classes, rectangles, strict=True)
    ]
    component = list(range(len(classes)))
    for p, q in itertools.combinations(range(len(classes)), 2):
        if (rectangles[p] & rectangles[q]).any():
            old, new = component[q], component[p]
            component = [new if c == old else c for c in component]
    kinds = {}
    for c in set(component):
        own = [p for p in range(len(classes)) if component[p] == c]
        if len(own) == 1:
            kinds[c] = "disjoint"
            continue
        free = np.any([rectangles[p] for p in own if complete[p]] or [masks[0] & False], axis=0)
        rest = [rectangles[p] & ~free for p in own if not complete[p]]
        fine = np.sum(rest, axis=0).max(initial=0) <= 1 and all(map(is_bicliques, rest))
        kinds[c] = "complete" if fine else "open"
    return classes, complete, component, kinds


def is_bicliques(mask):
    """Whether rows of a mask are equal or share no column."""
    return all(
        np.array_equal(a, b) or not (a & b).any() for a, b in itertools.combinations(mask, 2)
    )


@given(supports())
def test_classes_components_and_kinds_are_those_of_brute_force(masks):
    left, right = masks
    report = analyze_supports(left, right)
    classes, complete, component, kinds = brute_force(left, right)
    assert [list(np.flatnonzero(report.class_of == p)) for p in range(len(classes))] == classes
    assert report.complete.tolist() == complete
    assert (report.component_of[:, None] == report.component_of).tolist() == [
        [a == b for b in component] for a in component
    ]
    for found, p in zip(report.component_of, range(len(classes)), strict=True):
        kind = kinds[component[p]]
        assert report.component_kinds[found] in ((kind, "peeled") if kind == "open" else (kind,))
    assert report.sizes.tolist() == [len(members) for members in classes]
    assert report.rows.tolist() == [int(left[:, members[0]].sum()) for members in classes]
    assert report.columns.tolist() == [int(right[members[0]].sum()) for members in classes]
    assert report.area == sum(int(np.outer(left[:, c[0]], right[c[0]]).sum()) for c in classes)
    order = ["disjoint", "complete", "peeled", "open"]
    worst = max(report.component_kinds, key=order.index, default="disjoint")
    assert report.kind == worst
    assert report.tractable == (worst != "open")


@given(supports())
def test_witnesses_are_true(masks):
    left, right = masks
    report = analyze_supports(left, right)
    if report.tractable:
        assert report.has_minimizer is True
        assert report.witness is None
        return
    assert (report.has_minimizer is False) == (report.witness is not None)
    if report.witness is None:
        return
    w = report.witness
    limit = w.limit.toarray()
    for epsilon in (1e-1, 1e-3):
        X, Y = w.approximation(epsilon)
        assert not X.toarray()[~left].any()
        assert not Y.toarray()[~right].any()
        assert np.isclose(np.linalg.norm(X @ Y - limit), epsilon)
    if w.rule == "triangular" and not w.pins:
        assert_is_a_triangle(w, left, right)


def assert_is_a_triangle(w, left, right):
    """Nothing but `inner` reaches one triangle of a permuted identity, which has a larger rank."""
    r = len(w.inner)
    block = w.limit.toarray()[np.ix_(w.rows, w.columns)]
    assert block.shape == (r + 1, r + 1)
    assert np.linalg.matrix_rank(block) == r + 1
    assert left[np.ix_(w.rows, w.inner)].all()
    assert right[np.ix_(w.inner, w.columns)].all()
    others = np.setdiff1d(
        np.arange(left.shape[1]), np.flatnonzero(same_class(left, right, w.inner))
    )
    reached = (left[:, others].astype(int) @ right[others].astype(int))[np.ix_(w.rows, w.columns)]
    assert reached[0, 0] > 0
    # The last row of the triangle is reached by nobody else, then the last of what is left, ...
    rows, cols = set(range(r + 1)), set(range(r + 1))
    while rows:
        row = next(i for i in rows if not reached[i, sorted(cols)].any())
        rows.remove(row)
        cols.remove(int(np.argmax(block[row])))


def same_class(left, right, inner):
    """Which inner indices have the rectangle of one of these."""
    return np.array(
        [
            any((left[:, i] == left[:, k]).all() and (right[i] == right[k]).all() for k in inner)
            for i in range(left.shape[1])
        ]
    )


@given(supports(most=5))
def test_a_lone_inner_index_has_a_witness_unless_its_own_entries_are_bicliques(masks):
    left, right = masks
    report = analyze_supports(left, right)
    classes, complete, component, kinds = brute_force(left, right)
    for p, members in enumerate(classes):
        if len(members) > 1 or kinds[component[p]] != "open" or complete[p]:
            continue
        others = [i for i in range(left.shape[1]) if i not in members]
        taken = (left[:, others].astype(int) @ right[others].astype(int)) > 0
        if not is_bicliques(np.outer(left[:, members[0]], right[members[0]]) & ~taken):
            assert report.has_minimizer is False


@given(chainable(max_factors=2))
def test_chainable_pairs_are_disjoint(architecture):
    if len(architecture) == 2:
        assert analyze_supports(*architecture).kind == "disjoint"


def test_lu_has_no_minimizer_and_its_witness_is_the_exchange():
    L = np.tril(np.ones((2, 2)))
    report = analyze_supports(L, L.T)
    assert report.kind == "open"
    assert report.has_minimizer is False
    assert report.witness.limit.toarray().tolist() == [[0, 1], [1, 0]]
    assert "no best approximation" in report.existence
    assert "open" in str(report)


def test_low_rank_plus_two_diagonal_blocks_is_tractable_plus_three_is_not():
    def masks(blocks):
        B = np.kron(np.eye(blocks), np.ones((3, 3)))
        ones = np.ones((3 * blocks, 2))
        return np.hstack([ones, B]), np.vstack([ones.T, B])

    assert analyze_supports(*masks(2)).kind == "complete"
    assert analyze_supports(*masks(3)).kind == "open"


@pytest.mark.parametrize(
    "form", ["csr", "csc", "coo", "lil", "bsr", "dense", "list", "stored zero"]
)
def test_supports_of_any_format_are_the_same(form):
    rng = np.random.default_rng(0)
    left, right = rng.random((8, 5)) < 0.5, rng.random((5, 7)) < 0.5
    expected = analyze_supports(left, right)
    if form == "dense":
        given = left * 2.5, right * -1
    elif form == "list":
        given = left.tolist(), right.tolist()
    elif form == "stored zero":
        given = tuple(scipy.sparse.csr_array(np.ones(m.shape)) for m in (left, right))
        for sparse, mask in zip(given, (left, right), strict=True):
            sparse.data[:] = mask.ravel()
    else:
        given = tuple(scipy.sparse.csr_array(m.astype(int)).asformat(form) for m in (left, right))
    before = [m.copy() for m in given] if form == "csr" else None
    report = analyze_supports(*given)
    assert report.class_of.tolist() == expected.class_of.tolist()
    assert report.nnz == expected.nnz
    if before is not None:
        assert all((a != b).nnz == 0 for a, b in zip(before, given, strict=True))


def test_coo_duplicates_count_once():
    left = scipy.sparse.coo_array(([1, 1, 1], ([0, 0, 1], [0, 0, 0])), shape=(2, 1))
    report = analyze_supports(left, np.ones((1, 2)))
    assert report.nnz == 4
    assert report.rows.tolist() == [2]


def test_empty_lines_belong_to_no_class():
    left, right = np.ones((3, 3)), np.ones((3, 3))
    left[:, 1] = 0
    left[2] = 0
    right[2] = 0
    report = analyze_supports(left, right)
    assert report.class_of.tolist() == [0, -1, -1]
    nothing = analyze_supports([[1, 0]], [[0], [1]])
    assert nothing.class_of.tolist() == [-1, -1]
    assert nothing.kind == "disjoint"
    assert "0 (none)" in str(nothing)


def test_many_classes_that_overlap_in_one_entry_each_are_joined():
    n = 500  # a chain of squares: {0,1}, {1,2}, ...
    left = scipy.sparse.diags_array([np.ones(n), np.ones(n - 1)], offsets=[0, -1])
    report = analyze_supports(left, left.T)
    assert len(report.component_kinds) == 1
    apart = analyze_supports(left, scipy.sparse.eye_array(n))
    assert len(apart.component_kinds) == n


def test_large_random_blocks_are_found():
    rng = np.random.default_rng(1)
    blocks = [scipy.sparse.coo_array(rng.random((60, 20)) < 0.5) for _ in range(30)]
    others = [scipy.sparse.coo_array(rng.random((20, 50)) < 0.5) for _ in range(30)]
    report = analyze_supports(scipy.sparse.block_diag(blocks), scipy.sparse.block_diag(others))
    assert len(report.component_kinds) == 30
    assert set(report.component_kinds) == {"open"}


def test_reports_are_pickled_and_drawn():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    report = pickle.loads(pickle.dumps(analyze_supports(*Architecture.monarch((8, 8), 2, 4))))
    axes = report.plot(classes=3)
    assert axes.images[0].get_array().shape == (8, 8, 3)
    assert len(np.unique(axes.images[0].get_array().reshape(-1, 3), axis=0)) == 4
    matplotlib.pyplot.close(axes.figure)


@pytest.mark.parametrize(
    ("left", "right", "message"),
    [
        (np.ones((2, 3)), np.ones((2, 3)), "left has 3 columns but right has 2 rows"),
        (np.ones(3), np.ones((1, 3)), "left has 1 axes, expected 2"),
        (np.ones((3, 1)), np.ones((1, 1, 3)), "right has 3 axes, expected 2"),
        (np.zeros((3, 2)), np.ones((2, 3)), "left has no entry"),
        (np.ones((3, 2)), scipy.sparse.csr_array((2, 3)), "right has no entry"),
        (np.ones((0, 2)), np.ones((2, 3)), r"left has shape \(0, 2\)"),
    ],
)
def test_bad_supports_are_named(left, right, message):
    with pytest.raises(ValueError, match=message):
        analyze_supports(left, right)


def test_supports_that_are_not_numeric_are_named():
    with pytest.raises(TypeError, match="left has dtype"):
        analyze_supports([["a"]], [[1]])


def test_the_core_refuses_index_sets_out_of_bounds():
    start, index = np.array([0, 1]), np.array([0], np.int32)
    for bad_start, bad_index in [
        (np.array([0, 2]), index),
        (np.array([1, 1]), index),
        (start, np.array([1], np.int32)),
        (start, np.array([-1], np.int32)),
    ]:
        with pytest.raises(ValueError, match="left"):
            pp._core.SupportClasses(1, 1, bad_start, bad_index, start, index)


# ---------------------------------------------------------------- Architecture.from_supports


@given(chainable())
def test_architectures_are_recognised_by_their_supports(architecture):
    found = Architecture.from_supports([p.support() for p in architecture])
    assert [(p.support() != q.support()).nnz for p, q in zip(found, architecture, strict=True)] == [
        0
    ] * len(architecture)
    assert found.is_chainable
    if all((p.b, p.c) != (1, 1) for p in architecture):
        assert found == architecture


def test_supports_that_are_no_patterns_are_named():
    with pytest.raises(ValueError, match="row 1 is not as in"):
        Architecture.from_supports([np.array([[1, 1], [1, 0]])])
    with pytest.raises(ValueError, match=r"supports\[1\].*row 0, column 0, is empty"):
        Architecture.from_supports([np.eye(2), np.eye(2)[::-1]])
    with pytest.raises(ValueError, match="don't tile 3 x 3"):
        Architecture.from_supports([np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]])])
    with pytest.raises(ValueError, match="supports is empty"):
        Architecture.from_supports([])


def test_the_name_of_0_1_for_the_limit_still_works():
    L = np.tril(np.ones((3, 3)))
    witness = pp.analyze_supports(L, L.T).witness
    with pytest.warns(DeprecationWarning, match="limit"):
        target = witness.target()
    assert (target != witness.limit).nnz == 0


@pytest.mark.parametrize("epsilon", [0, -1.0, np.nan, np.inf, 5e-324])
def test_witnesses_refuse_distances_without_a_finite_inverse(epsilon):
    L = np.tril(np.ones((2, 2)))
    witness = pp.analyze_supports(L, L.T).witness
    with pytest.raises(ValueError, match="epsilon is"):
        witness.approximation(epsilon)
    with pytest.raises(TypeError, match="epsilon is 'x', expected a number"):
        witness.approximation("x")


def test_the_core_keeps_supports_of_its_own():
    start, index = np.array([0, 1, 2]), np.array([0, 1], np.int32)
    classes = pp._core.SupportClasses(2, 2, start, index, start, index)
    start[:], index[:] = 10**9, 10**9
    assert classes.norm_outside(np.ones((2, 2)), None, None, 1.0) == pytest.approx(2**0.5)
    with pytest.raises(ValueError, match=r"rows: is -1"):
        pp._core.SupportClasses(-1, 2, *[np.array([0]), np.array([], np.int32)] * 2)


@pytest.mark.slow
@at_full_speed
def test_the_search_for_a_witness_ends_at_an_interrupt():
    code = """
import os, signal, threading, time
import numpy as np, papilio as pp
band = [np.arange(max(0, n - 1), min(20, n + 2), dtype=np.int32) for n in range(20)]
sets = np.cumsum([0, *map(len, band)]), np.concatenate(band)
core = pp._core.SupportClasses(20, 20, *sets, *sets)
sent = []
def send():
    time.sleep(0.2)
    sent.append(time.perf_counter())
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=send, daemon=True).start()
try:
    core.closedness(0, 1e3, False)  # a minute and more
except KeyboardInterrupt:
    print(time.perf_counter() - sent[0])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 0.5  # 0.1 s on a machine that does nothing else
