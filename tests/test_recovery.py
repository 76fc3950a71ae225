"""Unknown permutations are found where there is a butterfly, and only there."""

import warnings

import numpy as np
import pytest
from scipy.linalg import hadamard

import pairing_reference
import papilio as pp
import reference
from papilio import _core
from papilio.permutations import digit_reversal, recover


def orthogonal_butterfly(n, rng):
    """A product of factors whose 2 x 2 blocks are random rotations."""
    factors = []
    for pattern in pp.Architecture.square_dyadic(n):
        angle = rng.uniform(0, 2 * np.pi, (pattern.a, pattern.d))
        values = np.empty(tuple(pattern))
        values[:, 0, 0] = values[:, 1, 1] = np.cos(angle)
        values[:, 1, 0] = np.sin(angle)
        values[:, 0, 1] = -np.sin(angle)
        factors.append(values)
    return pp.Butterfly(factors).toarray()


def dft(n, rng):
    return np.fft.fft(np.eye(n)) / np.sqrt(n)


def random_butterfly(n, rng):
    return pp.Butterfly(
        [rng.standard_normal(tuple(p)) for p in pp.Architecture.square_dyadic(n)]
    ).toarray()


def sylvester(n, rng):
    return hadamard(n).astype(float)


def noisy(A, noise, rng):
    E = rng.standard_normal(A.shape)
    if A.dtype.kind == "c":
        E = E + 1j * rng.standard_normal(A.shape)
    return A + noise * np.linalg.norm(A) / np.linalg.norm(E) * E


def shuffled(A, rng):
    return A[rng.permutation(len(A))][:, rng.permutation(len(A))]


def error_with(found, A):
    """Of the factorization with the permutations that were found."""
    return pp.factorize(
        A,
        pp.Architecture.square_dyadic(len(A)),
        order="left_to_right",
        row_permutation=found.row_permutation,
        column_permutation=found.column_permutation,
    ).report.relative_error


@pytest.mark.parametrize("n", [2, 4, 8, 16, 32, 64])
@pytest.mark.parametrize("kind", [orthogonal_butterfly, random_butterfly, sylvester, dft])
def test_exact_butterflies_are_recovered(kind, n):
    rng = np.random.default_rng(n)
    A = shuffled(kind(n, rng), rng)
    found = recover(A)
    assert found.success
    assert found.relative_error < 1e-13
    assert error_with(found, A) < 1e-13


@pytest.mark.parametrize("noise", [0.01, 0.1])
@pytest.mark.parametrize("n", [8, 16, 32, 64])
@pytest.mark.parametrize("kind", [orthogonal_butterfly, dft])
def test_noise_costs_no_more_than_with_the_planted_permutations(kind, n, noise):
    rng = np.random.default_rng(n)
    A = noisy(kind(n, rng), noise, rng)
    planted = "bit_reversal" if kind is dft else None
    F = pp.factorize(A, pp.Architecture.square_dyadic(n), column_permutation=planted)
    A = shuffled(A, rng)
    found = recover(A)
    assert found.success
    assert found.relative_error < noise
    assert found.relative_error <= 1.01 * F.report.relative_error
    assert error_with(found, A) == pytest.approx(found.relative_error, rel=1e-8)


@pytest.mark.parametrize("n", [8, 16, 32, 64])
def test_a_matrix_without_structure_fails_honestly(n):
    for seed in range(3):
        A = np.random.default_rng(seed).standard_normal((n, n))
        found = recover(A, restarts=2)
        assert not found.success
        assert found.relative_error > 0.2
        assert error_with(found, A) == pytest.approx(found.relative_error, rel=1e-8)
        assert "error too large" in found.message
        assert "NOT recovered" in str(found)


def test_too_much_noise_for_the_tolerance_fails_until_it_is_raised():
    rng = np.random.default_rng(5)
    A = shuffled(noisy(dft(16, rng), 0.2, rng), rng)
    assert not recover(A).success
    found = recover(A, tol=0.2)
    assert found.success
    assert found.relative_error < 0.2
    assert "NOT" not in str(found)


def test_partitions_are_those_of_the_trees():
    # Where the butterfly is generic, its trees are unique: the row classes of every split must be
    # the planted ones, whatever the order of children.
    n, levels = 16, 4
    rng = np.random.default_rng(0)
    p, q = rng.permutation(n), rng.permutation(n)
    found = recover(orthogonal_butterfly(n, rng)[p][:, q])
    for split in range(1, levels):
        stride = n >> split
        for planted, recovered in [
            (p % stride, found.row_permutation % stride),
            (q // stride, found.column_permutation // stride),
        ]:
            assert np.array_equal(planted[:, None] == planted, recovered[:, None] == recovered)


def test_zeros_and_sparse_matrices_are_butterflies_too():
    rng = np.random.default_rng(0)
    for A in (
        np.ones((1, 1)),
        np.zeros((8, 8)),
        np.eye(16),
        shuffled(np.diag(rng.standard_normal(32)), rng),
    ):
        found = recover(A)
        assert found.success
        assert found.relative_error < 1e-13


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_scales_do_not_matter(scale):
    rng = np.random.default_rng(1)
    A = shuffled(orthogonal_butterfly(16, rng), rng)
    assert recover(scale * A).relative_error < 1e-13


@pytest.mark.parametrize("dtype", [np.float32, np.complex64, np.int64])
def test_other_dtypes_and_layouts(dtype):
    rng = np.random.default_rng(2)
    A = shuffled(sylvester(16, rng), rng).astype(dtype)
    wide = np.zeros((32, 32), dtype)
    wide[::2, ::2] = A
    for layout in (A, np.asfortranarray(A), wide[::2, ::2], A.tolist()):
        assert recover(layout).relative_error < 1e-13


def test_the_same_seed_gives_the_same_permutations():
    rng = np.random.default_rng(3)
    for A in (shuffled(sylvester(16, rng), rng), rng.standard_normal((16, 16))):
        one, two = recover(A, seed=7), recover(A, seed=7)
        assert np.array_equal(one.row_permutation, two.row_permutation)
        assert np.array_equal(one.column_permutation, two.column_permutation)
        assert one.relative_error == two.relative_error
        assert one.starts == two.starts


def test_the_blind_costs_are_zero_for_pairs_and_only_for_them():
    n = 32
    rng = np.random.default_rng(4)
    A = orthogonal_butterfly(n, rng)
    cost = _core.blind_pair_costs(A[None])
    i = np.arange(n)
    pairs = (i[:, None] % (n // 2)) == (i % (n // 2))
    assert cost[pairs].max() < 1e-13
    assert cost[~pairs].min() > 1e-6


def test_pair_costs_are_the_discarded_singular_values():
    rng = np.random.default_rng(6)
    values = rng.standard_normal((2, 8, 8)) + 1j * rng.standard_normal((2, 8, 8))
    halves = np.stack([rng.permutation(8), rng.permutation(8)])
    cost = _core.pair_costs(values, halves)
    for i in range(8):
        for k in range(i):
            expected = sum(
                np.linalg.svd(values[j][np.ix_([i, k], half)], compute_uv=False)[1] ** 2
                for j in range(2)
                for half in halves[j].reshape(2, 4)
            )
            assert cost[i, k] == pytest.approx(expected)


def row_classes(chunks, m, dtype, rng):
    """Some rows that are pairs, some that are parallel, a zero row and a zero column."""
    values = rng.standard_normal((chunks, m, m)).astype(dtype)
    if np.dtype(dtype).kind == "c":
        values += 1j * rng.standard_normal((chunks, m, m))
    half = m // 2
    values[:, 1, :half] = 3 * values[:, 0, :half]
    values[:, 1, half:] = -2 * values[:, 0, half:]
    if m > 4:
        values[:, 3] = 0.5 * values[:, 2]
        values[:, 4] = 0
        values[0, :, 5] = 0
        values[:, 5] *= 1e-6
    return values


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize(("chunks", "m"), [(1, 2), (3, 4), (2, 8), (1, 18), (2, 36)])
def test_costs_are_those_of_the_reference(dtype, chunks, m):
    rng = np.random.default_rng(m)
    values = row_classes(chunks, m, dtype, rng)
    halves = np.stack([rng.permutation(m) for _ in range(chunks)])
    blind, known = _core.blind_pair_costs(values), _core.pair_costs(values, halves)
    assert np.allclose(blind, pairing_reference.blind_pair_costs(values), rtol=0, atol=2e-14)
    expected = pairing_reference.pair_costs(values, halves)
    energy = np.sum(np.abs(values) ** 2)
    assert np.allclose(known, expected, rtol=0, atol=1e-15 * m * energy)
    for cost in (blind, known):
        assert np.array_equal(cost, cost.T)
        assert cost.min() >= 0


def test_the_smallest_eigenvalue_keeps_its_digits_where_two_are_nearly_equal():
    # Rows of a rank-1 matrix and of what is next to one: two eigenvalues at zero. A root of the
    # characteristic polynomial would be off by 1e-8.
    rng = np.random.default_rng(11)
    x = rng.standard_normal(16) + 1j * rng.standard_normal(16)
    for size in (0.0, 1e-12, 1e-9, 1e-6, 1e-4):
        rows = np.outer(rng.standard_normal(16), x)
        rows = rows + size * rng.standard_normal((16, 16))
        cost = _core.blind_pair_costs(rows[None])
        assert np.allclose(cost, pairing_reference.blind_pair_costs(rows[None]), atol=1e-14, rtol=0)
        if size < 1e-8:
            assert cost.max() < 1e-14


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_costs_and_pairs_are_the_same_for_any_number_of_threads(threads):
    rng = np.random.default_rng(12)
    values = row_classes(3, 72, np.complex128, rng)
    halves = np.stack([rng.permutation(72) for _ in range(3)])
    before = pp.get_num_threads()
    found = []
    try:
        for count in (1, threads):
            pp.set_num_threads(count)
            found.append((_core.blind_pair_costs(values), _core.pair_costs(values, halves)))
    finally:
        pp.set_num_threads(before)
    for one, other in zip(*found, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("m", [2, 4, 6, 12, 24])
def test_pairs_are_those_of_the_reference(m):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        cost = rng.random((m, m))
        if seed % 4 == 1:
            cost = np.round(4 * cost)  # many equals
        if seed % 4 == 2:
            cost = cost**8
        cost = cost + cost.T
        pairs = _core.match_pairs(cost)
        assert np.array_equal(pairs, pairing_reference.match_pairs(cost))
        assert sorted(pairs.ravel().tolist()) == list(range(m))
    cost[0, 1] = cost[1, 0] = np.nan
    assert [0, 1] not in _core.match_pairs(cost).tolist() or m == 2


def test_what_the_core_gets_is_looked_at():
    values = np.zeros((2, 4, 4))
    for wrong in (values[0], values[:, :3], values[:, :, ::2], values.swapaxes(1, 2)):
        with pytest.raises(ValueError, match="values must be C-contiguous"):
            _core.blind_pair_costs(wrong)
    with pytest.raises(TypeError, match="values must be float64 or complex128"):
        _core.blind_pair_costs(values.astype(np.float32))
    halves = np.tile(np.arange(4), (2, 1))
    for wrong in (halves[:1], halves[0], halves[:, :2]):
        with pytest.raises(ValueError, match="halves must have a row"):
            _core.pair_costs(values, wrong)
    for wrong in (halves + 1, halves - 1):
        with pytest.raises(ValueError, match="halves has no such column"):
            _core.pair_costs(values, wrong)
    for wrong in (np.zeros((3, 3)), np.zeros((2, 4)), np.zeros(4)):
        with pytest.raises(ValueError, match="costs must be a square matrix"):
            _core.match_pairs(wrong)


def test_each_split_discards_what_the_reference_says():
    # Cutting off the left factors one by one is the successive projection of the matrix.
    n = 16
    rng = np.random.default_rng(8)
    A = shuffled(noisy(dft(n, rng), 0.1, rng), rng)
    found = recover(A)
    K = np.empty_like(A)
    K[np.ix_(found.row_permutation, found.column_permutation)] = A
    arch = pp.Architecture.square_dyadic(n)
    projected = reference.successive_projections(K, arch, [1, 2, 3])
    error = np.linalg.norm(K - projected) / np.linalg.norm(K)
    assert found.relative_error == pytest.approx(error, rel=1e-8)
    assert found.split_errors[0] == pytest.approx(
        reference.split_error(K, arch, 1) / np.linalg.norm(K), rel=1e-8
    )


def test_progress_tells_growing_fractions():
    told = []
    rng = np.random.default_rng(0)
    recover(shuffled(orthogonal_butterfly(16, rng), rng), progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1
    assert len(told) > 4

    def stop(fraction):
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        recover(np.eye(8), progress=stop)


def test_bad_matrices_are_named():
    for shape in [(8,), (8, 4), (2, 8, 8)]:
        with pytest.raises(ValueError, match="A has shape .*expected a square matrix"):
            recover(np.ones(shape))
    with pytest.raises(ValueError, match="size of A is 12, expected a power of two"):
        recover(np.ones((12, 12)))
    with pytest.raises(ValueError, match="size of A is 0"):
        recover(np.ones((0, 0)))
    with pytest.raises(ValueError, match=r"A has shape \(1024, 1024\), expected at most 512 rows"):
        recover(np.ones((1024, 1024), np.float32))
    for dtype in (float, complex, np.float32):
        A = np.ones((8, 8), dtype)
        A[5, 1] = A[3, 6] = np.nan
        with pytest.raises(ValueError, match="A has .*nan.* at row 3, column 6"):
            recover(A)
    with pytest.raises(ValueError, match="A has inf at row 0, column 1"):
        recover([[0.0, np.inf], [1.0, 2.0]])
    for bad in ([["a", "b"], ["c", "d"]], np.full((2, 2), None)):
        with pytest.raises(TypeError, match="A has dtype"):
            recover(bad)
    with pytest.raises(ValueError, match="A is not an array"):
        recover([[1, 2], [3]])


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("tol", -0.1, ValueError),
        ("tol", np.nan, ValueError),
        ("tol", np.inf, ValueError),
        ("tol", "small", TypeError),
        ("tol", True, TypeError),
        ("tol", 1j, TypeError),
        ("restarts", -1, ValueError),
        ("restarts", 2.0, TypeError),
        ("restarts", True, TypeError),
        ("seed", -1, ValueError),
        ("seed", None, TypeError),
        ("seed", 0.5, TypeError),
    ],
)
def test_bad_options_are_named(name, value, error):
    with pytest.raises(error, match=f"{name} is "):
        recover(np.eye(4), **{name: value})


# ---------------------------------------------------------------- digit reversal


@pytest.mark.parametrize("radices", [(3, 4), (2, 3, 5), (5, 2, 2), (7,), (1, 6, 1), (2, 2, 2, 2)])
def test_the_dft_in_digit_reversed_order_is_a_butterfly(radices):
    n = int(np.prod(radices))
    D = np.fft.fft(np.eye(n))
    arch = pp.Architecture.mixed_radix(radices)
    order = digit_reversal(radices)
    for split in range(1, len(radices)):
        assert reference.split_error(D[:, order], arch, split) < 1e-12 * n
    assert pp.factorize(D[:, order], arch).report.relative_error < 1e-13
    inverse = digit_reversal(radices[::-1])
    assert np.array_equal(inverse[order], np.arange(n))
    F = pp.factorize(D, arch, column_permutation=inverse)
    assert F.report.relative_error < 1e-13
    assert np.allclose(F.toarray(), D)


def test_digits_are_reversed_one_by_one():
    radices = (2, 3, 4)
    order = digit_reversal(radices)
    for a in range(2):
        for b in range(3):
            for c in range(4):
                assert order[(a * 3 + b) * 4 + c] == a + 2 * b + 6 * c
    assert np.array_equal(digit_reversal([2] * 6), pp.permutations.bit_reversal(64))
    assert digit_reversal([1]).tolist() == [0]


@pytest.mark.parametrize(
    ("radices", "error"),
    [([], ValueError), ([2, 0], ValueError), ([2.0], TypeError), (6, TypeError)],
)
def test_bad_radices_are_named(radices, error):
    with pytest.raises(error, match="radices"):
        digit_reversal(radices)


@pytest.mark.parametrize("size", [1e-323, 1e-310, 5e-309, 1e-300, 1e300])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_entries_near_both_ends_of_the_range(size, dtype):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert recover(np.eye(4, dtype=dtype) * size).success
