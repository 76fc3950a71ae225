import copy
import pickle

import numpy as np
import pytest
from hypothesis import given

import papilio as pp
from papilio import Architecture, Pattern
from strategies import chainable


def test_square_dyadic_multiplies_to_a_dense_matrix():
    for n in (1, 2, 8, 1024):
        arch = Architecture.square_dyadic(n)
        assert arch.shape == (n, n)
        assert arch.product == Pattern(1, n, n, 1)
        assert set(arch.ranks) <= {1}
        assert not arch.is_redundant or n == 1
        if n > 1:
            assert arch.nnz == 2 * n * int(np.log2(n))
    with pytest.raises(ValueError, match="n is 12, expected a power of two"):
        Architecture.square_dyadic(12)


@given(chainable())
def test_normal_form_is_chainable_with_the_given_ranks(architecture):
    assert architecture.is_chainable
    assert architecture.chain_failure == ""
    again = architecture.with_ranks(architecture.ranks)
    assert again == architecture
    assert architecture.product == Pattern(1, *architecture.shape, 1)


@given(chainable())
def test_reduction_keeps_the_product_saves_entries_and_ends_non_redundant(architecture):
    reduced = architecture.reduced()
    assert not reduced.is_redundant
    assert reduced.product == architecture.product
    if architecture.is_redundant:
        assert reduced.nnz < architecture.nnz
    else:
        assert reduced == architecture
    for p, q in zip(reduced.patterns, reduced.patterns[1:], strict=False):
        assert p.rank(q) < min(p.b, q.c)


def test_dyadic_chains_of_rank_two_are_redundant():
    for rank in (2, 3):
        assert Architecture.square_dyadic(16).with_ranks(rank).is_redundant
    assert not Architecture.square_dyadic(16).is_redundant


def test_monarch_and_low_rank_have_their_known_patterns():
    assert Architecture.monarch((12, 25), 4, 5) == Architecture([(1, 4, 5, 3), (5, 3, 5, 1)])
    assert Architecture.monarch((16, 16), 4, 4, rank=2).ranks == (2,)
    assert Architecture.low_rank((6, 8), 2) == Architecture([(1, 6, 2, 1), (1, 2, 8, 1)])
    assert Architecture.dense((3, 4)).nnz == 12
    with pytest.raises(ValueError, match="p is 5, expected a divisor of the 12 rows"):
        Architecture.monarch((12, 25), 5, 5)
    with pytest.raises(ValueError, match="q is 4, expected a divisor of the 25 columns"):
        Architecture.monarch((12, 25), 4, 4)


def test_transpose_swaps_b_and_c_and_reverses():
    arch = Architecture.mixed_radix([2, 3, 4], [4, 3, 1], ranks=[1, 2])
    assert [tuple(p) for p in arch.T] == [(a, c, b, d) for a, b, c, d in reversed(arch.patterns)]
    assert arch.T.T == arch
    assert arch.T.shape == arch.shape[::-1]


def test_chains_that_are_not_chainable_can_be_held_and_say_which_pair_fails():
    arch = Architecture.square_dyadic(8).T
    assert not arch.is_chainable
    assert not arch.is_redundant
    assert arch.nnz == 48
    assert "patterns 0 and 1" in arch.chain_failure
    for call in (
        lambda: arch.ranks,
        arch.reduced,
        lambda: arch.product,
        lambda: arch.with_ranks(2),
    ):
        with pytest.raises(ValueError, match="patterns 0 and 1"):
            call()


def test_bad_chains_are_refused():
    with pytest.raises(ValueError, match=r"patterns\[0\].*4 columns.*patterns\[1\].*2 rows"):
        Architecture([(1, 4, 4, 1), (1, 2, 2, 1)])
    with pytest.raises(ValueError, match="patterns is empty"):
        Architecture([])
    with pytest.raises(TypeError, match="patterns is 5"):
        Architecture(5)
    with pytest.raises(ValueError, match=r"patterns\[0\] is \(1, 2\)"):
        Architecture([(1, 2)])
    with pytest.raises(ValueError, match="overflow"):
        Architecture([(1, 2**40, 1, 1), (1, 1, 2**40, 1)])
    with pytest.raises(ValueError, match="row_radices has 2 entries but column_radices has 3"):
        Architecture.mixed_radix([2, 2], [2, 2, 2])
    with pytest.raises(ValueError, match=r"row_radices\[1\] is 0"):
        Architecture.mixed_radix([2, 0])
    with pytest.raises(ValueError, match="ranks has 3 entries, expected 1"):
        Architecture.mixed_radix([2, 2], ranks=[1, 1, 1])
    with pytest.raises(ValueError, match="row_radices is empty"):
        Architecture.mixed_radix([])
    with pytest.raises(TypeError, match="ranks is 1.5"):
        Architecture.mixed_radix([2, 2], ranks=1.5)
    with pytest.raises(ValueError, match="shape is 7"):
        Architecture.dense(7)
    with pytest.raises(ValueError, match="rank is -1"):
        Architecture.low_rank((4, 4), -1)


def test_architectures_are_immutable_sequences():
    arch = Architecture.square_dyadic(16)
    assert len(arch) == 4
    assert arch[1:3] == Architecture(arch.patterns[1:3])
    assert arch[-1] == Pattern(8, 2, 2, 1)
    assert hash(arch) == hash(Architecture(arch.patterns))
    assert pickle.loads(pickle.dumps(arch)) == copy.deepcopy(arch) == arch
    assert eval(repr(arch), {"Architecture": pp.Architecture}) == arch
    with pytest.raises(AttributeError):
        arch.patterns = ()
