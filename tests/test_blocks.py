"""Large blocks, read where they are stored; interpolative factors, stored without identities."""

import pickle
import sys

import numpy as np
import pytest
import scipy.sparse

import papilio as pp
from papilio import _core
from papilio._chains.factors import Factors
from papilio._chains.interpolative import Interpolative, without_identities
from papilio.compression import _panels
from papilio.operators import butterfly_of
from processes import printed_number
from reference import dense, dense_factor
from strategies import (
    RANKS,
    interpolative_butterfly,
    random_array,
    random_interpolative,
    same_kept,
)

DTYPES = ["float32", "float64", "complex64", "complex128"]
BATCHES = [None, 1, 2, 3, 5, 8, 19, 40]
# Of blocks that are read in one piece, and the columns of interpolative panels.
PATTERNS = [
    ((2, 40, 38, 5), 19),
    ((1, 64, 60, 9), 20),
    ((3, 33, 22, 1), 11),
    ((2, 16, 48, 3), 16),
    ((2, 20, 17, 16), 1),
    ((2, 24, 24, 16), 0),
    ((1, 37, 29, 7), 0),
    ((2, 50, 40, 1), 0),
    ((1, 300, 280, 1), 0),
]


def example(pattern, rank, dtype, seed=0):
    rng = np.random.default_rng(seed)
    if not rank:
        return pp.Butterfly([random_array(rng, pattern, dtype)])
    values = random_interpolative(rng, pattern, rank, dtype)
    return butterfly_of(Factors(pp.Architecture([pattern]), (values,)))


def kept(F):
    return F._data.factors.kept


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("pattern", "rank"), PATTERNS)
def test_products_of_all_sides_and_batches(pattern, rank, dtype):
    F = example(pattern, rank, dtype)
    assert isinstance(kept(F)[0], Interpolative) == bool(rank)
    K = dense(F)
    rng = np.random.default_rng(1)
    sides = [(F, K), (F.T, K.T), (F.H, K.conj().T), (F.conj(), K.conj())]
    for S, matrix in sides:
        wide = matrix.astype(np.result_type(dtype, np.float64))
        for batch in BATCHES:
            shape = matrix.shape[1:] if batch is None else (matrix.shape[1], batch)
            x = random_array(rng, shape, dtype)
            allowed = 40 * np.finfo(dtype).eps * (np.abs(wide) @ np.abs(x))
            expected = wide @ x
            for given in (x, np.asfortranarray(x)):
                results = []
                for threads in (1, 2, 3):
                    pp.set_num_threads(threads)
                    results.append(S @ given)
                pp.set_num_threads(1)
                assert (np.abs(results[0] - expected) <= allowed).all()
                assert len({result.tobytes() for result in results}) == 1


def test_the_stored_form_is_the_array_without_identities():
    rng = np.random.default_rng(0)
    for pattern, rank in [((2, 40, 38, 5), 19), ((1, 20, 60, 3), 20)]:
        values = random_interpolative(rng, pattern, rank, "complex64")
        array = values.array()
        assert array.shape == pattern
        again = without_identities(np.ascontiguousarray(array), rank)
        assert isinstance(again, Interpolative)
        np.testing.assert_array_equal(again.array(), array)
        np.testing.assert_array_equal(values.T.array(), array.transpose(0, 2, 1, 3))
        broken = np.ascontiguousarray(array)
        broken[0, values.rows[0, 0, 0, 0], 0, 0] += 1
        assert without_identities(broken, rank) is broken


@pytest.mark.parametrize("dtype", DTYPES)
def test_entries_and_rows_of_products_are_those_of_the_arrays_bit_by_bit(dtype):
    rng = np.random.default_rng(0)
    own = interpolative_butterfly(rng, dtype)._data.factors
    whole = [np.ascontiguousarray(array) for array in own.stored]
    parts = list(own.multiplied)
    i, j = rng.integers(256, size=500), rng.integers(192, size=500)
    np.testing.assert_array_equal(
        _core.product_entries(parts, RANKS, i, j), _core.product_entries(whole, RANKS, i, j)
    )
    start = random_array(rng, (500, 9), np.result_type(dtype, "float64"))
    middle = [array[1:3] for array in (parts, whole)]
    i, j = rng.integers(144, size=500), rng.integers(320, size=500)
    found = [_core.product_entries(some, RANKS, i, j, start) for some in middle]
    np.testing.assert_array_equal(*found)
    for x in (random_array(rng, (192, 5), dtype) for _ in range(2)):
        for row in (0, 7, 100, 255):
            found = [_core.product_rows(some, RANKS, row, 1, x) for some in (parts, whole)]
            np.testing.assert_array_equal(*found)
        found = [_core.product_rows(some, RANKS, 3, 32, x) for some in (parts, whole)]
        np.testing.assert_array_equal(*found)


def test_entries_of_products_stay_within_the_arrays_and_refuse_what_does_not_fit():
    rng = np.random.default_rng(0)
    rows, weights = interpolative_butterfly(rng, "float64")._data.factors.multiplied[1]
    i, start = np.zeros(9, int), np.ones((9, 9))
    for wrong in (0xFFFF, 18, 0):  # numbers without a meaning, but no others' memory
        hostile = np.full_like(rows, wrong)
        _core.product_entries([(hostile, weights)], [9, 10], i, i, start)
        _core.product_rows([(hostile, weights)], [9, 10], 1, 2, np.ones((40, 2)))
    for pair, message in (
        ((rows[:1], weights), "fit each other"),
        ((rows, weights[:, :, :, 1:].copy()), "fit each other"),
        ((rows.astype(np.int32), weights), "uint16"),
        ((rows[:, ::2], weights[:, ::2]), "C-contiguous"),
        ((rows, weights[0]), "with five"),
    ):
        with pytest.raises(ValueError, match=message):
            _core.product_entries([pair], [9, 10], i, i, start)
    with pytest.raises(ValueError, match="uint16"):  # panels of 10 columns
        _core.product_entries([(rows, weights)], [9, 20], i, i, start)
    values = np.zeros((2, 18, 20, 4))
    with pytest.raises(ValueError, match="shapes of their factor"):
        _core.split_identities(values, 10, rows.copy(), weights[:1].copy())
    with pytest.raises(ValueError, match="read-only|writeable"):
        _core.split_identities(values, 10, rows, weights)
    with pytest.raises(TypeError):
        _core.split_identities(values, 10, rows.astype(float), weights.copy())
    with pytest.raises(ValueError, match="shapes of their factor"):
        _core.split_identities(values, 10, rows.copy(), weights.astype("float32"))


def test_large_blocks_are_views_of_one_memory():
    values = np.random.default_rng(0).standard_normal((2, 24, 24, 16))
    F = pp.Butterfly([values])
    own = F.factors[0]
    np.testing.assert_array_equal(own, values)
    assert own.transpose(0, 3, 1, 2).flags.c_contiguous
    assert np.shares_memory(own, F.T.factors[0])
    assert not F.factors[0].flags.writeable
    small = pp.Butterfly([np.ones((2, 4, 4, 16))])
    assert small.factors[0].flags.c_contiguous


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("name", "shards"), [("F.npz", None), ("F.papilio", None), ("F.papilio", 3), ("F.papilio", 4)]
)
def test_files_and_pickles_keep_the_stored_form(tmp_path, name, shards, dtype):
    F = interpolative_butterfly(np.random.default_rng(0), dtype)
    F.save(tmp_path / name, shards=shards)
    x = random_array(np.random.default_rng(1), F.shape[1], dtype)
    copies = [
        pp.load(tmp_path / name),
        pp.load(tmp_path / name, mmap=True),
        pickle.loads(pickle.dumps(pp.load(tmp_path / name, mmap=True))),
        pickle.loads(pickle.dumps(F)),
        pickle.loads(pickle.dumps(F.T)).T,
    ]
    for G in copies:
        assert [isinstance(entry, Interpolative) for entry in kept(G)] == [True, True, True, False]
        assert same_kept(F, G)
        assert G.nbytes == F.nbytes
        np.testing.assert_array_equal(G @ x, F @ x)
        np.testing.assert_array_equal(G.H @ (F @ x), F.H @ (F @ x))


def test_rows_that_lead_out_of_a_block_are_refused():
    F = example((2, 40, 38, 5), 19, "float64")
    own = kept(F)[0]
    for wrong in (40, int(own.rows[1, 2, 1, 4])):
        rows = own.rows.copy()
        rows[1, 2, 1, 3] = wrong
        state = list(F._state())
        state[1] = ((rows, own.weights),)
        with pytest.raises(ValueError, match="interpolative values don't fit"):
            pp.Butterfly._from_state(*state)
        with pytest.raises(ValueError, match="permutations"):
            _core.Operator([(2, 40, 38, 5)], ((rows, own.weights),), None, None)
    with pytest.raises(ValueError, match="shapes"):
        _core.Operator([(2, 40, 38, 5)], ((own.rows, own.weights[:1]),), None, None)


def test_what_needs_arrays_gets_them():
    rng = np.random.default_rng(0)
    left, right = (2, 24, 20, 4), (4, 20, 16, 2)
    values = (
        random_interpolative(rng, left, 10, "float64"),
        random_interpolative(rng, right, 8, "float64"),
    )
    F = butterfly_of(Factors(pp.Architecture([left, right]), values))
    plain = pp.Butterfly(list(F.factors), architecture=F.architecture)
    assert F.nbytes < 0.7 * plain.nbytes
    x = rng.standard_normal(F.shape[1])
    gy = rng.standard_normal(F.shape[0])
    for own, expected in zip(F.vjp(x, gy)[1], plain.vjp(x, gy)[1], strict=True):
        np.testing.assert_allclose(own, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(F.norm(), plain.norm())
    np.testing.assert_allclose(F.round(1e-12).toarray(), plain.toarray(), rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(F.astype("float32").factors[1], F.factors[1].astype("float32"))
    doubled = F.with_factors([2 * F.factors[0], F.factors[1]])
    np.testing.assert_allclose(doubled @ x, 2 * (plain @ x))
    np.testing.assert_allclose((F + F) @ x, 2 * (plain @ x))
    np.testing.assert_array_equal(F.T.factors[0], F.factors[1].transpose(0, 2, 1, 3))
    np.testing.assert_allclose(F.T.round(1e-12).toarray(), plain.T.toarray(), rtol=1e-9, atol=1e-9)


def test_compress_stores_no_identities():
    n = 1024
    points = np.random.default_rng(0).uniform(-np.pi, np.pi, n)
    kernel = pp.kernels.nudft(2, points, n)
    F = pp.compress(kernel, tol=1e-6, dtype="complex64", rounding=False)
    arrays = sum(array.nbytes for array in F.factors)
    assert sum(isinstance(entry, Interpolative) for entry in kept(F)) == len(F.factors) - 1
    assert F.nbytes == F.report.nbytes < 0.75 * arrays
    plain = pp.Butterfly(
        list(F.factors), F.row_permutation, F.column_permutation, architecture=F.architecture
    )
    x = random_array(np.random.default_rng(1), n, "complex64")
    for S, P in ((F, plain), (F.H, plain.H)):
        np.testing.assert_allclose(S @ x, P @ x, rtol=0, atol=1e-5 * np.linalg.norm(P @ x))


def test_pieces_for_several_parts_have_no_identities_either():
    rng = np.random.default_rng(0)
    values = random_interpolative(rng, (4, 40, 38, 6), 19, "float64")
    array = values.array()
    chosen = np.array([1, 3])
    for axis, expected in ((0, array[[1, 3]]), (3, array[..., [1, 3]])):
        groups = array.shape[axis]
        piece = values.piece(axis, groups, chosen)
        np.testing.assert_array_equal(piece.array(), expected)
    half = values.piece(3, 3, np.array([2]))
    np.testing.assert_array_equal(half.array(), array[..., [2, 5]])
    np.testing.assert_array_equal(
        dense_factor((4, 40, 38, 2), half.array()),
        dense_factor((4, 40, 38, 2), array[..., [2, 5]]),
    )


MEMORY = """
import numpy as np
import papilio as pp

def kib(name):
    return [int(l.split()[1]) for l in open("/proc/self/status") if l.startswith(name)][0]

{make}
pp.set_num_threads(1)  # each keeps its tiles
x, X = np.ones(F.shape[1], F.dtype), np.ones((F.shape[1], 8), F.dtype)
y, Y = np.ones(F.shape[0], F.dtype), np.ones((F.shape[0], 8), F.dtype)
u, U = np.ones_like(x), np.ones_like(X)
rows, of_rows = np.ones((3, F.shape[1]), F.dtype), np.ones((3, F.shape[0]), F.dtype)
pp.transforms.dft(64) @ np.ones(64)  # threads
before = kib("VmRSS")
F.apply(x, out=y)
F.apply(X, out=Y)
F.apply(rows, out=of_rows, axis=1)
F.H.apply(y, out=u)
F.H.apply(Y, out=U)
print(1 + (kib("VmRSS") - before) * 1024 / F.nbytes)
"""
GENERAL = "F = pp.Butterfly([np.ones((8, 200, 200, 8)), np.ones((64, 200, 200, 1))])"
IDENTITIES = """
from papilio._chains.factors import Factors
from papilio._chains.interpolative import Interpolative
from papilio.operators import butterfly_of
rows = np.tile(np.arange(200, dtype=np.uint16), (8, 16, 2, 1))
values = Interpolative(rows, np.ones((8, 16, 2, 100, 100)))
F = butterfly_of(Factors(pp.Architecture([(8, 200, 200, 16)]), (values,)))
"""


def test_small_blocks_have_no_identities(tmp_path):
    # Whatever multiplies those would read them as if they were whole.
    rows = np.array([[0, 1], [1, 0]], np.uint16).reshape(1, 1, 2, 2)
    weights = np.ones((1, 1, 2, 1, 1))
    architecture = pp.Architecture([(1, 2, 2, 1)])
    with pytest.raises(ValueError, match="of large blocks"):
        butterfly_of(Factors(architecture, (Interpolative(rows, weights),))).toarray()
    with pytest.raises(ValueError, match="don't fit the pattern"):
        Interpolative.restored(architecture[0], rows, weights)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("make", [GENERAL, IDENTITIES])
def test_memory_after_products_of_all_kinds(make):
    assert printed_number(MEMORY.format(make=make)) <= 1.3


def test_rows_of_mapped_identities_stay_as_they_were_checked(tmp_path):
    rows = np.tile(np.arange(16, dtype=np.uint16)[::-1], (2, 4, 2, 1))
    values = Interpolative(rows, np.ones((2, 4, 2, 8, 8)))
    path = tmp_path / "F.npz"
    butterfly_of(Factors(pp.Architecture([(2, 16, 16, 4)]), (values,))).save(path)
    F = pp.load(path, mmap=True)
    y = F @ np.ones(F.shape[1])
    whole = path.read_bytes()
    with path.open("r+b") as file:  # what others do to the file in place
        file.seek(whole.index(rows.tobytes()))
        file.write(np.full_like(rows, 0xFFFF).tobytes())
    assert np.array_equal(F @ np.ones(F.shape[1]), y)
    assert np.array_equal(F.factors[0], values.array())


@pytest.mark.parametrize("is_first", [False, True])
@pytest.mark.parametrize(("kind", "dtype"), [("complex128", "complex64"), ("float64", "float64")])
def test_panels_hold_what_the_whole_factor_would(kind, dtype, is_first):
    rng = np.random.default_rng(4)
    rank, clusters = 10, 6
    shape = (1, 20, 4 * rank, clusters) if is_first else (2, 20, 2 * rank, clusters)
    targets = [
        _panels.Whole(np.empty(shape, dtype), rank, is_first),
        _panels.target_of(shape, rank, is_first, lambda of, given: np.empty(of, given or dtype)),
    ]
    assert isinstance(targets[1], _panels.Panels)
    pivots = np.argsort(rng.random((clusters, 20)), axis=1)[:, :rank]
    for v in range(4):
        weights = rng.standard_normal((clusters, 20, rank)).astype(kind)
        if weights.dtype.kind == "c":
            weights += 1j * rng.standard_normal(weights.shape)
        np.put_along_axis(weights, pivots[:, :, None], np.eye(rank)[None], axis=1)
        for s in (slice(0, 4), np.array([5, 4])):
            for target in targets:
                target.write(v, s, pivots[s], weights[s])
    if is_first:
        fake = np.zeros((clusters, 20), bool)
        fake[3, pivots[3, 4]] = True
        assert not targets[1].clear(fake)  # which does nothing
        fake[3] = True
        fake[3, pivots[3]] = False
        assert all(target.clear(fake) for target in targets)
        assert not targets[0].arrays[0][0, fake[3], :, 3].any()
    whole, panels = (target.kept() for target in targets)
    np.testing.assert_array_equal(panels.array(), whole)


def test_panels_are_checked_before_they_are_written():
    pivots, order = np.array([[0, 1, 2], [4, 2, 7]]), np.arange(8)
    weights = np.ones((2, 8, 3))
    rows, out = np.zeros((2, 8), np.uint16), np.zeros((2, 5, 3))
    _core.write_panels(pivots, weights, order, rows, out)
    for bad in (
        (pivots * 0, weights, order, rows, out),
        (pivots + 6, weights, order, rows, out),
        (pivots - 1, weights, order, rows, out),
        (pivots, weights, order * 0, rows, out),
        (pivots, weights, order + 1, rows, out),
        (pivots[:1], weights, order, rows, out),
        (pivots, weights, order, rows[:1], out),
        (pivots, weights, order, rows, out[:, :4]),
        (pivots, weights, order, rows, np.zeros((2, 3, 5)).transpose(0, 2, 1)),
        (pivots, weights, order, rows, np.zeros((2, 10, 3))[:, ::2]),
        (pivots, weights + 0j, order, rows, out),
    ):
        with pytest.raises(ValueError, match="must"):
            _core.write_panels(*bad)
    for wrong in (rows.astype(np.int32), rows.astype(float)):
        with pytest.raises((TypeError, ValueError)):
            _core.write_panels(pivots, weights, order, wrong, out)
    out.setflags(write=False)
    with pytest.raises(ValueError, match="read-only|writeable"):
        _core.write_panels(pivots, weights, order, rows, out)


@pytest.mark.parametrize(
    "alone", [pp.transforms.dft(4), np.eye(2), np.ones(3), scipy.sparse.eye_array(3)]
)
def test_one_operator_is_no_sequence_of_its_rows(alone):
    for make, name in (
        (pp.Composition, "parts"), (pp.hstack, "operators"), (pp.vstack, "operators"),
        (pp.block_diag, "operators"),
    ):  # fmt: skip
        with pytest.raises(TypeError, match=f"{name} is .* expected a sequence of operators"):
            make(alone)
        assert make([alone]).shape[0] > 0
