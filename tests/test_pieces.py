"""What each of several parts has of an operator, and that their exchange makes up the product.

No MPI here: all parts are in this process, and an exchange is a list of slices.
"""

import numpy as np
import pytest
import scipy.sparse

import papilio as pp
from papilio._chains.cuts import best_cut, cuts, most_parts
from papilio._chains.factors import Factors
from papilio._chains.interpolative import Interpolative
from papilio._chains.pieces import divided
from papilio.mpi._sharing import part_from_file, parts_of, share
from papilio.mpi._stages import Exchange
from papilio.operators import butterfly_of, open_parts
from papilio.operators._directory import _File
from strategies import (
    DTYPES,
    TOLERANCE,
    interpolative_butterfly,
    random_array,
    random_chainable,
    random_factors,
    random_interpolative,
)
from tests.fuzz.pieces import check_shares, multiplied

T = pp.transforms


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("count", range(1, 8))
def test_pieces_of_any_chain_make_up_its_products(count, dtype):
    rng = np.random.default_rng(10 * count + DTYPES.index(dtype))
    found = 0
    while found < 4:
        architecture = random_chainable(rng, 5, 20000, 3)
        if most_parts(architecture) < count or len(architecture) < 2:
            continue
        found += 1
        m, n = architecture.shape
        F = pp.Butterfly(
            random_factors(rng, architecture, dtype),
            rng.permutation(m) if rng.random() < 0.7 else None,
            rng.permutation(n) if rng.random() < 0.7 else None,
        )
        kind = found % 3
        if kind == 1:
            F = F.H
        if kind == 2:
            F = pp.Section(F, (int(rng.integers(1, m + 1)), int(rng.integers(1, n + 1))))
        check_shares(F, count, TOLERANCE[np.dtype(dtype)])


@pytest.mark.parametrize("count", [2, 3, 5, 7])
@pytest.mark.parametrize(
    "make",
    [
        lambda: T.dft(360),
        lambda: T.idft(256, "complex64"),
        lambda: T.hadamard(64),
        lambda: T.dft(1031),
        lambda: T.dct(512),
        lambda: T.rdft(512),
        lambda: T.hartley(256),
        lambda: T.circulant(np.arange(256.0)),
        lambda: T.czt(150, 170),
        lambda: 2j * T.dft(64) @ T.hadamard(64).T,
        lambda: T.dft(256)[:100, ::3],
        lambda: pp.Butterfly(
            T.hadamard(64).T.factors, architecture=T.hadamard(64).architecture.T
        ).conj(),
    ],
)
def test_pieces_of_transforms_make_up_their_products(make, count):
    F = make()
    check_shares(F, count, 5 * TOLERANCE[F.dtype], batch=())


def test_pieces_of_compressed_operators_are_consecutive_entries():
    x = np.sort(np.random.default_rng(0).random(300))
    k = np.arange(300)
    F = pp.compress(lambda i, j: np.exp(-2j * np.pi * x[i] * k[j]), (300, 300), 1e-6)
    for count in (2, 3):
        shared = check_shares(F, count, 1e-13)
        for owners in (shared[0].row_owners, shared[0].column_owners):
            assert (np.diff(owners) >= 0).all()


def test_fourier_transforms_are_cyclic_on_both_sides():
    for n, count in ((64, 4), (1000, 5), (4096, 8)):
        own = share(parts_of(T.dft(n)), count, 0)
        assert np.array_equal(own.row_owners, np.arange(n) % count)
        assert np.array_equal(own.column_owners, np.arange(n) % count)
        # A circulant matrix, F^-1 D F, needs nothing between its transforms.
        both = share(parts_of(T.idft(n) @ T.dft(n)), count, 0)
        assert sum(isinstance(stage, Exchange) for stage in both.stages) == 2


def test_parts_hold_their_share_and_send_the_rest_of_the_interface():
    rng = np.random.default_rng(0)
    architecture = pp.Architecture.square_dyadic(256).with_ranks(3)
    F = pp.Butterfly(random_factors(rng, architecture, np.float32))
    for count in (1, 2, 4, 8, 16):
        division = divided(architecture, count)
        values = F.factors.values
        held = [
            division.left(n, values)[0].nbytes + division.right(n, values)[0].nbytes
            for n in range(count)
        ]
        assert held == [F.nbytes // count] * count
        sent = [division.sent(n).sum() - division.sent(n)[n] for n in range(count)]
        assert division.cut.interface == 16 * 16 * 3
        assert sum(sent) * count == (count - 1) * division.cut.interface


def test_a_part_maps_the_files_of_its_own_and_no_others(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    architecture = pp.Architecture.square_dyadic(256)
    F = pp.Butterfly(random_factors(rng, architecture, np.float64))
    F.save(tmp_path / "F.papilio", shards=4)
    opened, maps = [], _File.map

    def noted(file):
        opened[-1].append(file.name)
        return maps(file)

    monkeypatch.setattr(_File, "map", noted)
    x = rng.standard_normal(256)
    for count in (4, 2):
        opened.clear()
        shared = []
        for part in range(count):
            opened.append([])
            parts = open_parts(tmp_path / "F.papilio", part_from_file)
            shared.append(share(parts, count, part))
        files = np.concatenate(opened)
        assert len(files) == len(set(files)) == 4 * len(architecture)
        assert {len(names) for names in opened} == {len(files) // count}
        # Wide SIMD vectors take factors together that the cut divides: not always the same bits.
        assert np.abs(multiplied(shared, x) - F @ x).max() <= 1e-13 * np.abs(F @ x).max()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shards", [None, 2, 3, 4])
def test_parts_hold_interpolative_factors_without_identities(tmp_path, shards, dtype):
    rng = np.random.default_rng(0)
    F = interpolative_butterfly(rng, dtype)
    F.save(tmp_path / "F.papilio", shards=shards)
    F.save(tmp_path / "F.npz")
    x = random_array(rng, (F.shape[1], 2), dtype)
    for count in (2, 3, 4):
        expected = [share(parts_of(F), count, part) for part in range(count)]
        product = multiplied(expected, x)
        away = np.abs(product - F @ x).max()
        assert away <= TOLERANCE[np.dtype(dtype)] * np.abs(F @ x).max()
        for name in ("F.papilio", "F.npz"):
            shared = [share(parts_of_file(tmp_path / name), count, part) for part in range(count)]
            held = [stage.operator for own in shared for stage in own.stages[::2]]
            assert sum(G.nbytes for G in held) == F.nbytes
            kept = [entry for G in held for entry in G._data.factors.kept]
            assert sum(isinstance(entry, Interpolative) for entry in kept) == 3 * count
            assert np.array_equal(multiplied(shared, x), product)


def parts_of_file(path):
    opened = open_parts(path, part_from_file)
    return parts_of(opened) if isinstance(opened, pp.Butterfly) else opened


def test_parts_of_the_transposed_chain_are_those_of_arrays(tmp_path):
    # That one alone has a cut for three parts.
    rng = np.random.default_rng(0)
    chain = pp.Architecture([(3, 20, 18, 1), (1, 18, 24, 3)])
    assert most_parts(chain) < 3 <= most_parts(chain.T)
    values = [random_interpolative(rng, pattern, 6, np.float64) for pattern in chain]
    F = butterfly_of(Factors(chain, tuple(values)))
    F.save(tmp_path / "F.papilio", shards=3)
    assert np.array_equal(pp.load(tmp_path / "F.papilio").toarray(), F.toarray())
    x = rng.standard_normal(F.shape[1])
    for parts in (parts_of(F), parts_of_file(tmp_path / "F.papilio")):
        shared = [share(parts, 3, part) for part in range(3)]
        assert np.abs(multiplied(shared, x) - F @ x).max() <= 1e-13 * np.abs(F @ x).max()


def test_cuts_are_checked_against_the_matrices():
    # Each cut falls apart as it says: blocks on the right, equal indices modulo on the left.
    rng = np.random.default_rng(1)
    for _ in range(20):
        architecture = random_chainable(rng, 4, 3000)
        factors = random_factors(rng, architecture, np.float64)
        for cut in cuts(architecture):
            chain = pp.Butterfly(factors[cut.after :])
            right = chain.toarray().reshape(cut.column_groups, -1, cut.column_groups, chain.shape[1]
                                            // cut.column_groups)  # fmt: skip
            for i in range(cut.column_groups):
                assert not right[i][:, np.arange(cut.column_groups) != i].any()
            left = pp.Butterfly(factors[: cut.after]).toarray()
            rows = np.arange(left.shape[0])[:, None] % cut.row_groups
            columns = np.arange(left.shape[1]) % cut.row_groups
            assert not left[rows != columns].any()


@pytest.mark.parametrize("size", [16, 64])
def test_what_cannot_be_shared_says_what_could(size):
    F = T.hadamard(size)
    most = int(np.sqrt(size))
    assert most_parts(F.architecture) == most
    best_cut(F.architecture, most)
    with pytest.raises(ValueError, match=f"by at most {most}, but {most + 1} want a part"):
        share(parts_of(F), most + 1, 0)
    with pytest.raises(ValueError, match="at most 1, but 2"):
        share(parts_of(pp.Butterfly([np.ones((1, 8, 8, 1))])), 2, 0)
    with pytest.raises(ValueError, match="no butterfly"):
        share(parts_of(pp.Composition([scipy.sparse.eye_array(8)])), 2, 0)
    for other in (T.dct(18) + T.hartley(18), T.irdft(16), T.dct((4, 18))):
        with pytest.raises(TypeError, match="can't be shared by ranks: expected butterflies"):
            share(parts_of(other), 2, 0)
