"""The facts of the theory (numbers: THEORY G), each as a test; and factorize's own promises."""

import itertools

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st

import papilio as pp
from papilio import Architecture, factorize
from papilio.factorization._orders import auto_order, balanced_order
from reference import dense, split_error, successive_projections, two_factor_error
from strategies import DTYPES, chainable, random_array, random_chainable, random_factors

NAMED = ["left_to_right", "right_to_left", "balanced"]


def relative(F, A):
    return float(np.linalg.norm(F.toarray() - A) / np.linalg.norm(A))


def butterfly_matrix(rng, architecture, dtype=np.float64):
    return dense(pp.Butterfly(random_factors(rng, architecture, dtype))).astype(dtype)


def noisy(rng, A, noise):
    N = random_array(rng, A.shape, A.dtype)
    return A + noise * np.linalg.norm(A) / np.linalg.norm(N) * N


def is_peeling(order, length):
    low, high = 0, length
    for split in order:
        if split == low + 1:
            low = split
        elif split == high - 1:
            high = split
        else:
            return False
    return True


# ---------------------------------------------------------------- exact recovery (1, 5, 9, 15)


@pytest.mark.parametrize("n", [8, 16])
@pytest.mark.parametrize("orthonormalize", [True, False])
def test_hadamard_and_dft_are_recovered_in_every_order(n, orthonormalize):
    arch = Architecture.square_dyadic(n)
    H, D = scipy.linalg.hadamard(n), np.fft.fft(np.eye(n))
    for order in itertools.permutations(range(1, len(arch))):
        F = factorize(H, arch, order=order, orthonormalize=orthonormalize)
        assert relative(F, H) < 1e-14
        assert F.report.relative_error < 1e-14
        F = factorize(
            D, arch, order=order, orthonormalize=orthonormalize, column_permutation="bit_reversal"
        )
        assert relative(F, D) < 1e-14


def test_hadamard_in_float32_keeps_single_precision():
    H = scipy.linalg.hadamard(512, dtype=np.float32)
    for order in NAMED:
        F = factorize(H, Architecture.square_dyadic(512), order=order)
        assert F.dtype == np.float32
        assert relative(F, H) < 2e-6


def test_blocks_of_hadamard_and_reversed_dft_have_rank_one_at_every_split():
    arch = Architecture.square_dyadic(32)
    H = scipy.linalg.hadamard(32).astype(float)
    D = np.fft.fft(np.eye(32))[:, pp.permutations.bit_reversal(32)]
    for A, split in itertools.product((H, D), range(1, 5)):
        assert split_error(A, arch, split) < 1e-13 * np.linalg.norm(A)


@pytest.mark.parametrize("seed", range(8))
def test_200_random_architectures_are_recovered_in_every_order(seed):
    rng = np.random.default_rng(seed)
    for number in range(25):
        arch = random_chainable(rng)
        dtype = DTYPES[number % 4]
        A = butterfly_matrix(rng, arch, dtype)
        orders = [*NAMED, (1 + rng.permutation(len(arch) - 1)).tolist()]
        if len(arch) <= 4:
            orders += list(itertools.permutations(range(1, len(arch))))
        for order, orthonormalize in itertools.product(orders, (True, False)):
            F = factorize(A, arch, order=order, orthonormalize=orthonormalize)
            assert F.architecture == arch
            assert F.dtype == dtype
            limit = 1e-12 if dtype in (np.float64, np.complex128) else 1e-4
            assert relative(F, A) < limit
            assert F.report.relative_error < limit


def test_projection_is_idempotent():
    rng = np.random.default_rng(0)
    arch = Architecture.mixed_radix([2, 3, 2], [3, 2, 2])
    first = factorize(rng.standard_normal(arch.shape), arch)
    again = factorize(first.toarray(), arch)
    assert relative(again, first.toarray()) < 1e-14
    assert again.report.relative_error < 1e-14


def test_factors_of_rank_one_are_unique_up_to_diagonal_scaling():
    rng = np.random.default_rng(1)
    arch = Architecture.square_dyadic(16)
    F = pp.Butterfly(random_factors(rng, arch, np.float64))
    for order in NAMED:
        G = factorize(F.toarray(), arch, order=order)
        scale = None  # of the columns of the factor before: f = g * column / row scales
        for f, g in zip(F.factors, G.factors, strict=True):
            ratio = dense(pp.Butterfly([f])) / np.where(
                dense(pp.Butterfly([g])) == 0, 1, dense(pp.Butterfly([g]))
            )
            if scale is not None:
                ratio = ratio * scale[:, None]
            columns = np.abs(ratio).max(axis=0)
            signed = np.array([ratio[np.abs(ratio[:, c]).argmax(), c] for c in range(16)])
            assert np.allclose(
                np.abs(ratio[ratio != 0]), np.abs(ratio).max(0)[np.nonzero(ratio)[1]]
            )
            assert np.allclose(np.abs(signed), columns)
            scale = signed
        assert np.allclose(scale, 1)


def test_transpose_of_a_dyadic_butterfly_is_one_after_bit_reversal_only():
    rng = np.random.default_rng(2)
    arch = Architecture.square_dyadic(16)
    A = butterfly_matrix(rng, arch)
    reversed_both = factorize(
        A.T, arch, row_permutation="bit_reversal", column_permutation="bit_reversal"
    )
    assert relative(reversed_both, A.T) < 1e-13
    assert relative(factorize(A.T, arch), A.T) > 0.1


def test_complex_factors_of_every_gauge_keep_the_conjugation_right():
    rng = np.random.default_rng(3)
    arch = Architecture.mixed_radix([3, 2, 3, 2], [2, 3, 2, 3], [2, 3, 2])
    A = butterfly_matrix(rng, arch, np.complex128)
    for order in itertools.permutations(range(1, 4)):
        assert relative(factorize(A, arch, order=order), A) < 1e-13


# ---------------------------------------------------------------- permutations (2)


def test_unpermuted_dft_is_far_from_dyadic():
    # All blocks of the first split have two equal singular values: half of the mass is lost for
    # certain there, and the total (0.87 to 0.89) depends on which vectors the SVD picks.
    report = factorize(np.fft.fft(np.eye(16)), Architecture.square_dyadic(16)).report
    assert report.split_errors[0] == pytest.approx(np.sqrt(0.5), abs=1e-14)
    assert 0.85 < report.relative_error < 0.90


def test_search_finds_bit_reversal_for_dft_and_identity_for_hadamard():
    arch = Architecture.square_dyadic(16)
    D = np.fft.fft(np.eye(16))
    F = factorize(D, arch, column_permutation="search")
    assert F.report.column_permutation == "001"
    assert relative(F, D) < 1e-14
    H = scipy.linalg.hadamard(16)
    F = factorize(H, arch, column_permutation="search")
    assert F.report.column_permutation == "000"
    assert F.report.row_permutation is None
    rng = np.random.default_rng(0)
    A = butterfly_matrix(rng, arch)[pp.permutations.default_eight(16)["011"]]
    F = factorize(A, arch, row_permutation="search")
    assert relative(F, A) < 1e-13
    F = factorize(A[:, ::-1], arch, row_permutation="search", column_permutation="search")
    assert relative(F, A[:, ::-1]) < 1e-13


@given(chainable(max_rank=2), st.integers(0, 2**32 - 1))
def test_given_permutations_are_undone(architecture, seed):
    rng = np.random.default_rng(seed)
    m, n = architecture.shape
    p, q = rng.permutation(m), rng.permutation(n)
    A = butterfly_matrix(rng, architecture)[p][:, q]
    F = factorize(A, architecture, row_permutation=p, column_permutation=q)
    assert np.linalg.norm((dense(F) - A).astype(float)) <= 1e-12 * np.linalg.norm(A)
    assert F.report.row_permutation == "array"


# ---------------------------------------------------------------- two factors (3)


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("orthonormalize", [True, False])
def test_two_factors_are_optimal(dtype, orthonormalize):
    rng = np.random.default_rng(4)
    for arch in (
        Architecture.monarch((24, 30), 4, 5),
        Architecture.monarch((24, 30), 6, 3, rank=2),
        Architecture.low_rank((20, 30), 3),
        Architecture([(2, 3, 4, 6), (4, 12, 5, 1)]),
    ):
        A = random_array(rng, arch.shape, dtype)
        F = factorize(A, arch, orthonormalize=orthonormalize)
        best = two_factor_error(A, *arch) / np.linalg.norm(A)
        assert relative(F, A) == pytest.approx(best, rel=1e-12)
        assert F.report.relative_error == pytest.approx(best, rel=1e-12)
        assert F.report.lower_bound == pytest.approx(best, rel=1e-12)
        assert F.report.guarantee == 1


def test_low_rank_is_eckart_young():
    A = np.random.default_rng(5).standard_normal((30, 20))
    sigma = np.linalg.svd(A, compute_uv=False)
    F = factorize(A, Architecture.low_rank((30, 20), 4))
    assert relative(F, A) == pytest.approx(np.linalg.norm(sigma[4:]) / np.linalg.norm(sigma))


def test_a_full_inner_rank_leaves_no_error():
    rng = np.random.default_rng(6)
    A = rng.standard_normal((12, 8))
    for arch in (Architecture.low_rank((12, 8), 8), Architecture.monarch((12, 8), 3, 2, rank=5)):
        assert arch.is_redundant
        assert relative(factorize(A, arch), A) < 1e-14


# ---------------------------------------------------------------- errors (4, 6, 7, 12)


@given(chainable(max_factors=4), st.integers(0, 2**32 - 1), st.data())
def test_reported_errors_are_true_and_obey_the_theory(architecture, seed, data):
    rng = np.random.default_rng(seed)
    A = random_array(rng, architecture.shape, data.draw(st.sampled_from([float, complex])))
    order = data.draw(st.permutations(range(1, len(architecture))))
    F = factorize(A, architecture, order=order)
    report = F.report
    explicit = relative(F, A)
    assert report.relative_error == pytest.approx(explicit, abs=1e-12)

    reduced = architecture.reduced()
    norm = np.linalg.norm(A)
    E = [split_error(A, reduced, s) / norm for s in range(1, len(reduced))]
    cuts = [e for s, e in enumerate(report.split_errors, 1) if s in report.order]
    assert len(cuts) == len(reduced) - 1
    # Key lemma: what a cut discards is at most the distance of A itself to that split's class.
    for e, bound in zip(cuts, E, strict=True):
        assert e <= bound + 1e-12
    assert report.lower_bound <= max(E, default=0.0) + 1e-12
    assert explicit <= sum(E) + 1e-12
    splits = max(1, len(reduced) - 1)
    assert explicit <= report.guarantee * max(max(E, default=0), explicit / splits) + 1e-12
    if report.guarantee == np.sqrt(splits):  # peeling: Pythagoras
        assert explicit**2 == pytest.approx(sum(e**2 for e in cuts), abs=1e-12)


@given(chainable(max_factors=4, max_rank=2), st.integers(0, 2**32 - 1), st.data())
def test_every_order_computes_the_successive_projections(architecture, seed, data):
    rng = np.random.default_rng(seed)
    arch = architecture.reduced()
    A = random_array(rng, arch.shape, float)
    order = data.draw(st.permutations(range(1, len(arch))))
    expected = successive_projections(A, arch, order)
    actual = factorize(A, arch, order=order).toarray()
    assert np.linalg.norm(actual - expected) <= 1e-10 * np.linalg.norm(A)


def test_guarantee_names_the_proved_constant():
    A = np.random.default_rng(7).standard_normal((32, 32))
    arch = Architecture.square_dyadic(32)
    for order in itertools.permutations(range(1, 5)):
        constant = factorize(A, arch, order=order).report.guarantee
        assert constant == pytest.approx(2.0 if is_peeling(order, 5) else 4.0)
    assert factorize(A, arch, orthonormalize=False).report.guarantee == np.inf


@pytest.mark.parametrize("seed", range(12))
def test_error_is_at_most_the_guarantee_times_the_best_known_approximation(seed):
    rng = np.random.default_rng(seed)
    rank = 1 + seed % 2
    arch = Architecture.mixed_radix([4, 2, 2, 4], ranks=rank)
    planted = butterfly_matrix(rng, arch)
    # Adversarial: a matrix that is low rank at one split only, beside a butterfly.
    split = 1 + seed % 3
    trap = successive_projections(rng.standard_normal(arch.shape), arch, [split])
    trap *= np.linalg.norm(planted) / np.linalg.norm(trap)
    A = planted + [0.1, 0.5, 1.0, 2.0][seed % 4] * trap
    runs = {order: factorize(A, arch, order=order) for order in itertools.permutations((1, 2, 3))}
    distances = {order: np.linalg.norm(F.toarray() - A) for order, F in runs.items()}
    best = min(*distances.values(), np.linalg.norm(planted - A))
    lower = max(split_error(A, arch, s) for s in (1, 2, 3))
    for order, F in runs.items():
        report = F.report
        assert distances[order] <= report.guarantee * best * (1 + 1e-12)
        assert report.lower_bound * np.linalg.norm(A) <= lower * (1 + 1e-12) <= best * (1 + 1e-9)
        assert report.quasi_optimality == report.relative_error / report.lower_bound


def test_noise_is_not_amplified_when_orthonormalized():
    rng = np.random.default_rng(8)
    arch = Architecture.square_dyadic(64)
    A = butterfly_matrix(rng, arch)
    for noise, order in itertools.product((0.01, 0.1), NAMED):
        assert factorize(noisy(rng, A, noise), arch, order=order).report.relative_error < noise


def test_left_to_right_needs_no_qr_to_be_the_orthonormalized_algorithm():
    # Custom orders that start in the middle go through QR; the product is the same as that of
    # the projections, and left-to-right, which never calls QR, agrees with them too.
    rng = np.random.default_rng(9)
    arch = Architecture.mixed_radix([3, 2, 5, 2], [4, 3, 5, 2], [2, 3, 2])
    assert arch.shape == (60, 120)
    A = rng.standard_normal(arch.shape)
    F = factorize(A, arch)
    expected = successive_projections(A, arch, [1, 2, 3])
    assert np.linalg.norm(F.toarray() - expected) < 1e-12 * np.linalg.norm(A)


# ---------------------------------------------------------------- redundancy (9)


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("order", NAMED)
def test_redundant_chains_give_the_error_of_their_reduction(rank, order):
    rng = np.random.default_rng(10)
    arch = Architecture.mixed_radix([2, 2, 2, 2, 2], ranks=[rank, 1, 1, rank])
    A = rng.standard_normal((32, 32))
    F = factorize(A, arch, order=order)
    assert F.architecture == arch
    reduced = factorize(A, arch.reduced(), order=order)
    assert relative(F, A) == pytest.approx(relative(reduced, A), rel=1e-10)
    assert F.report.split_errors[0] == F.report.split_errors[3] == 0
    assert F.report.order == tuple(s for s in F.report.order if s in (2, 3))


def test_any_matrix_supported_on_a_merged_pattern_is_expanded_exactly():
    rng = np.random.default_rng(11)
    for _ in range(30):
        arch = random_chainable(rng, max_factors=4, max_rank=8)
        if len(arch.reduced()) == 1:
            A = rng.standard_normal(arch.shape)
            assert relative(factorize(A, arch), A) < 1e-12
    # Merged from the right: c of the merged rest exceeds c2, and the first rank still suffices.
    arch = Architecture.mixed_radix([6, 1, 1], [1, 2, 3], ranks=[6, 3])
    A = rng.standard_normal(arch.shape)
    assert relative(factorize(A, arch), A) < 1e-13


# ---------------------------------------------------------------- products that aren't dense


def test_mass_outside_of_the_support_counts_in_error_and_lower_bound():
    rng = np.random.default_rng(12)
    arch = Architecture([(2, 3, 4, 4), (4, 4, 3, 2)])
    assert arch.product == pp.Pattern(2, 6, 6, 2)
    A = rng.standard_normal(arch.shape)
    F = factorize(A, arch)
    best = two_factor_error(A, *arch) / np.linalg.norm(A)
    assert relative(F, A) == pytest.approx(best, rel=1e-12)
    assert F.report.relative_error == pytest.approx(best, rel=1e-12)
    assert F.report.lower_bound == pytest.approx(best, rel=1e-12)
    single = Architecture([(3, 2, 4, 2)])
    B = rng.standard_normal(single.shape)
    G = factorize(B, single)
    assert np.array_equal(G.toarray(), np.where(single[0].support().toarray(), B, 0))
    assert relative(G, B) == pytest.approx(G.report.relative_error, rel=1e-12)


def test_one_factor_is_the_matrix_itself():
    A = np.random.default_rng(13).standard_normal((5, 7))
    F = factorize(A, Architecture.dense((5, 7)))
    assert np.array_equal(F.toarray(), A)
    assert (F.report.relative_error, F.report.guarantee, F.report.order) == (0, 1, ())
    assert F.report.quasi_optimality == 1


# ---------------------------------------------------------------- numerics


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("order", NAMED)
def test_a_zero_matrix_gives_zero_factors(dtype, order):
    F = factorize(np.zeros((8, 8), dtype), Architecture.square_dyadic(8), order=order)
    assert not F.toarray().any()
    assert all(np.isfinite(values).all() for values in F.factors)
    assert F.report.relative_error == F.report.lower_bound == 0
    assert F.report.quasi_optimality == 1


@pytest.mark.parametrize("order", NAMED)
def test_rank_deficient_and_zero_blocks_are_recovered(order):
    rng = np.random.default_rng(14)
    arch = Architecture.mixed_radix([4, 2, 2, 4], ranks=[3, 2, 3])
    factors = random_factors(rng, arch, np.float64)
    factors[0][:, :, 1] = 0
    factors[1][:, 2] = 0
    factors[2][:, :, :, 0] = 0
    A = pp.Butterfly(factors).toarray()
    F = factorize(A, arch, order=order)
    assert relative(F, A) < 1e-13
    identity = factorize(np.eye(64), Architecture.square_dyadic(64), order=order)
    assert relative(identity, np.eye(64)) < 1e-14


@pytest.mark.parametrize("order", NAMED)
@pytest.mark.parametrize("exponent", [-150, 150, -300, 300])
def test_extreme_scales_change_no_relative_error(order, exponent):
    rng = np.random.default_rng(15)
    arch = Architecture.mixed_radix([2, 3, 2], [2, 2, 3], 2)
    A = butterfly_matrix(rng, arch)
    scaled = A * 10.0**exponent
    F = factorize(scaled, arch, order=order)
    assert F.report.relative_error < 1e-13
    assert np.abs(F.toarray() - scaled).max() < 1e-12 * np.abs(scaled).max()
    N = rng.standard_normal(arch.shape)
    expected = factorize(N, arch, order=order).report
    actual = factorize(N * 10.0**exponent, arch, order=order).report
    assert actual.relative_error == pytest.approx(expected.relative_error, rel=1e-12)
    assert actual.split_errors == pytest.approx(expected.split_errors, rel=1e-10)


def test_denormal_matrices_factorize_with_correct_relative_error():
    H = scipy.linalg.hadamard(16) * 5e-324 * 64
    F = factorize(H, Architecture.square_dyadic(16))
    assert F.report.relative_error < 1e-14
    assert np.abs(F.toarray() - H).max() <= 5e-324 * 4
    small = scipy.linalg.hadamard(16).astype(np.float32) * np.float32(1e-42)
    F = factorize(small, Architecture.square_dyadic(16))
    assert F.report.relative_error < 1e-5


def test_norms_are_balanced_over_the_factors():
    rng = np.random.default_rng(16)
    arch = Architecture.square_dyadic(64)
    A = 1e12 * butterfly_matrix(rng, arch)
    F = factorize(A, arch)
    norms = [np.linalg.norm(values) for values in F.factors]
    assert max(norms) / min(norms) < 2 + 1e-12  # equal but for an exact power of two
    for left, right in itertools.pairwise(F.factors):
        columns = np.linalg.norm(dense(pp.Butterfly([left])).astype(float), axis=0)
        rows = np.linalg.norm(dense(pp.Butterfly([right])).astype(float), axis=1)
        assert 1 / 3 < np.median(columns / rows) < 3


# ---------------------------------------------------------------- input, threads, progress


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_layout_gives_the_same_result(dtype):
    rng = np.random.default_rng(17)
    arch = Architecture.mixed_radix([2, 3, 2], [2, 2, 3])
    A = random_array(rng, arch.shape, dtype)
    wide = np.zeros((24, 36), dtype)
    wide[::2, ::-3] = A
    expected = factorize(A, arch).toarray()
    for same in (np.asfortranarray(A), wide[::2, ::-3], A[::-1][::-1], A.copy()[:, ::-1][:, ::-1]):
        assert np.array_equal(factorize(same, arch).toarray(), expected)
    big_endian = A.astype(A.dtype.newbyteorder(">"))
    assert np.array_equal(factorize(big_endian, arch).toarray(), expected)


def test_integers_and_lists_are_promoted():
    H = scipy.linalg.hadamard(8)
    for A in (H, H.tolist(), H.astype(np.int8), H == 1):
        F = factorize(A, Architecture.square_dyadic(8))
        assert F.dtype == np.float64
    assert factorize(H.astype(np.float16), Architecture.square_dyadic(8)).dtype == np.float32


@pytest.mark.parametrize("order", NAMED)
@pytest.mark.parametrize("dtype", [np.float64, np.complex64])
def test_same_bits_for_any_number_of_threads(threads, order, dtype):
    rng = np.random.default_rng(18)
    A = random_array(rng, (128, 128), dtype)
    results = []
    for count in (1, 2, 3, 4):
        threads(count)
        F = factorize(A, Architecture.mixed_radix([2, 4, 4, 2, 2], ranks=[1, 2, 2, 1]), order=order)
        results.append((F.factors, F.report.relative_error, F.report.split_errors))
    for factors, error, splits in results[1:]:
        assert all(np.array_equal(f, g) for f, g in zip(factors, results[0][0], strict=True))
        assert error == results[0][1]
        assert splits == results[0][2]


def costly_order(chain):
    """The cheapest peeling order by trying all of them, and the costs of docs and order.cpp."""

    def cost(left, right):
        rows, cols, rank = left.b, right.c, left.rank(right)
        small = min(rows, cols)
        read = rows * cols * (4.0 if cols < rows else 1.0)
        products = rows * cols * 0.1 * (small / 2 + rank)
        return right.a * left.d * (read + products + 0.5 * small**3 + 300)

    def best(first, last):
        if last - first < 2:
            return 0.0, []
        options = []
        for split, rest in ((first + 1, (first + 1, last)), (last - 1, (first, last - 1))):
            below, order = best(*rest)
            pair = chain[first:split].product, chain[split:last].product
            options.append((cost(*pair) + below, [split, *order]))
        return min(options, key=lambda option: option[0])

    return best(0, len(chain))[1]


@pytest.mark.parametrize(
    "chain",
    [
        pp.Architecture.square_dyadic(2),
        pp.Architecture.square_dyadic(64),
        pp.Architecture.mixed_radix([2, 8, 2, 4], [4, 2, 2, 8]),
        pp.Architecture.mixed_radix([2, 2, 2, 16], [16, 2, 2, 2]),
        pp.Architecture.mixed_radix([5, 3, 2, 3, 5], ranks=2),
        pp.Architecture.dense((3, 4)),
    ],
)
def test_the_automatic_order_is_the_cheapest(chain):
    assert auto_order(chain) == costly_order(chain)


def test_balanced_order_halves_the_chain():
    assert balanced_order(1) == []
    assert balanced_order(2) == [1]
    assert balanced_order(4) == [2, 1, 3]
    assert sorted(balanced_order(11)) == list(range(1, 11))


def test_progress_is_told_in_order_up_to_one():
    told = []
    A = np.random.default_rng(19).standard_normal((64, 64))
    factorize(A, Architecture.square_dyadic(64), order="balanced", progress=told.append)
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1)
    told.clear()
    factorize(A, Architecture.square_dyadic(64), column_permutation="search", progress=told.append)
    assert told == sorted(told)
    factorize(A, Architecture.square_dyadic(64), progress=True)


def test_an_exception_in_progress_ends_the_factorization():
    def stop(fraction):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        factorize(np.eye(64), Architecture.square_dyadic(64), progress=stop)


def test_report_reads_as_text():
    F = factorize(np.eye(8), Architecture.square_dyadic(8), column_permutation="search")
    text = str(F.report)
    assert "8 x 8" in text
    assert "column permutation" in text
    assert "splits cut        1, 2" in text
    assert F.report.seconds > 0
    assert pp.transforms.hadamard(4).report is None
