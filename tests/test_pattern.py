import pickle

import numpy as np
import pytest
from hypothesis import given

import papilio as pp
from reference import support
from strategies import chainable


def test_support_is_the_kronecker_product():
    for sizes in [(1, 1, 1, 1), (2, 3, 4, 5), (1, 2, 2, 4), (4, 2, 2, 1), (3, 1, 5, 2)]:
        p = pp.Pattern(*sizes)
        assert np.array_equal(p.support().toarray(), support(sizes).astype(bool))
        assert p.shape == support(sizes).shape
        assert p.nnz == support(sizes).sum()
        assert p.density == pytest.approx(p.nnz / np.prod(p.shape))
        assert np.array_equal(p.T.support().toarray(), support(sizes).T.astype(bool))


@given(chainable())
def test_supports_multiply_to_rank_times_support_of_product(architecture):
    for p, q in zip(
        architecture[:-1] if len(architecture) > 1 else [],
        architecture[1:] if len(architecture) > 1 else [],
        strict=True,
    ):
        product = support(tuple(p)) @ support(tuple(q))
        assert np.array_equal(product, p.rank(q) * support(tuple(p * q)))


@given(chainable(max_factors=4))
def test_product_of_patterns_is_associative(architecture):
    if len(architecture) < 3:
        return
    p, q, r = architecture[:3]
    assert (p * q) * r == p * (q * r)
    assert (p * q).rank(r) == q.rank(r)
    assert p.rank(q * r) == p.rank(q)


@pytest.mark.parametrize(
    ("p", "q", "reason"),
    [
        ((2, 2, 2, 1), (1, 2, 2, 2), "a1 = 2 does not divide a2 = 1"),
        ((1, 2, 2, 2), (1, 1, 2, 4), "d2 = 4 does not divide d1 = 2"),
        ((1, 2, 2, 3), (2, 1, 2, 2), "columns but the right one has"),
        ((1, 2, 2, 3), (3, 1, 1, 2), "d2 = 2 does not divide d1 = 3"),
        ((1, 2, 4, 3), (3, 4, 2, 1), "a2 = 3 does not divide a1*c1 = 4"),
    ],
)
def test_a_pair_that_is_not_chainable_says_why(p, q, reason):
    p, q = pp.Pattern(*p), pp.Pattern(*q)
    assert reason in p.chain_failure(q)
    assert not p.is_chainable(q)
    for call in (p.rank, p.is_redundant, lambda q: p * q):
        with pytest.raises(ValueError, match="not chainable"):
            call(q)


def test_sizes_must_be_whole_positive_and_fit_in_64_bits():
    for bad in (1.0, "2", None, True, 2.5):
        with pytest.raises(TypeError, match="b is"):
            pp.Pattern(1, bad, 1, 1)
    for bad in (0, -1):
        with pytest.raises(ValueError, match=f"c is {bad}"):
            pp.Pattern(1, 1, bad, 1)
    with pytest.raises(ValueError, match="overflows 64 bits"):
        pp.Pattern(2**20, 2**20, 2**20, 2**20)
    assert pp.Pattern(np.int32(2), np.uint8(3), 1, 1) == pp.Pattern(2, 3, 1, 1)


def test_patterns_are_immutable_hashable_values():
    p = pp.Pattern(1, 2, 3, 4)
    with pytest.raises(AttributeError):
        p.a = 5
    assert tuple(p) == (1, 2, 3, 4) == (p.a, p.b, p.c, p.d)
    assert len({p, pp.Pattern(1, 2, 3, 4), p.T}) == 2
    assert pickle.loads(pickle.dumps(p)) == p
    assert repr(p) == "Pattern(1, 2, 3, 4)"
    assert p != (1, 2, 3, 4)


@pytest.mark.parametrize(
    "sizes", [(0, 1, 1, 1), (-1, 1, 1, 1), (1, 2**62, 2, 1), (2**32, 2**32, 1, 1), (-(2**63),) * 4]
)
@pytest.mark.parametrize("call", ["chain_failure", "chain_rank", "chain_product"])
def test_the_core_refuses_sizes_that_no_pattern_has(call, sizes):
    for pair in ((sizes, (1, 1, 1, 1)), ((1, 1, 1, 1), sizes)):
        with pytest.raises(ValueError, match="pattern is"):
            getattr(pp._core, call)(*pair)
    with pytest.raises(ValueError, match="pattern is"):
        pp._core.reduce_chain([sizes, (1, 1, 1, 1)])


def test_a_product_pattern_that_overflows_is_refused():
    with pytest.raises(ValueError, match="more entries than fit"):
        pp.Pattern(1, 2**40, 1, 1) * pp.Pattern(1, 1, 2**40, 1)
