"""The algebra of patterns and architectures against products of supports, and its core."""

from __future__ import annotations

import dataclasses
import itertools
import math
import pickle
from typing import Any, ClassVar, Self

import numpy as np

import papilio as pp
from papilio import _core

from .case import Case, Skip


def support(sizes: Any) -> Any:
    """I_a (x) 1_{b x c} (x) I_d."""
    a, b, c, d = sizes
    return np.kron(np.kron(np.eye(a, dtype=int), np.ones((b, c), int)), np.eye(d, dtype=int))


def fits(sizes: Any) -> bool:
    return math.prod(sizes) < 2**63


@dataclasses.dataclass(frozen=True)
class Chains(Case):
    """A chain of patterns, drawn as one that fits or freely."""

    family: ClassVar[str] = "patterns"

    patterns: tuple[tuple[int, int, int, int], ...]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        count = int(rng.integers(1, 5))
        if rng.random() < 0.5:  # chainable: radices and ranks
            q, p = rng.integers(1, 4, (2, count)).tolist()
            r = [1, *rng.integers(1, 4, count - 1).tolist(), 1]
            a, d = rng.integers(1, 3, 2).tolist()
            return cls(
                tuple(
                    (
                        a * math.prod(p[:n]),
                        q[n] * r[n],
                        p[n] * r[n + 1],
                        d * math.prod(q[n + 1 :]),
                    )
                    for n in range(count)
                )
            )
        patterns: list[tuple[int, int, int, int]] = []
        for _ in range(count):
            rows = patterns[-1][0] * patterns[-1][2] * patterns[-1][3] if patterns else 12
            a = int(rng.choice([n for n in range(1, rows + 1) if rows % n == 0]))
            b = int(rng.choice([n for n in range(1, rows // a + 1) if rows // a % n == 0]))
            patterns.append((a, b, int(rng.integers(1, 4)), rows // a // b))
        return cls(tuple(patterns))

    def check(self) -> None:
        if not self.patterns or any(len(p) != 4 or min(p) < 1 for p in self.patterns):
            raise Skip
        chain = [pp.Pattern(*p) for p in self.patterns]
        if any(p.shape[1] != q.shape[0] for p, q in itertools.pairwise(chain)):
            raise Skip
        if max(max(p.shape) for p in chain) > 300:
            raise Skip
        architecture = pp.Architecture(chain)
        supports = [support(p) for p in self.patterns]
        for p, mask in zip(chain, supports, strict=True):
            assert (p.support().toarray() == mask).all() and p.nnz == mask.sum()
            assert (p.T.support().toarray() == mask.T).all()
            assert math.isclose(p.density, mask.mean())
        for (p, q), (S, R) in zip(
            itertools.pairwise(chain), itertools.pairwise(supports), strict=True
        ):
            self.check_pair(p, q, S, R)
        assert architecture.is_chainable == all(
            p.is_chainable(q) for p, q in itertools.pairwise(chain)
        )
        assert pickle.loads(pickle.dumps(architecture)) == architecture
        assert architecture.T.T == architecture
        assert architecture.nnz == sum(p.nnz for p in chain)
        again = pp.Architecture.from_supports([p.support() for p in chain])
        for p, q in zip(again, chain, strict=True):
            assert (p.support().toarray() == q.support().toarray()).all()
        assert not architecture.is_chainable or again.is_chainable
        if architecture.is_chainable:
            self.check_chain(architecture, supports)

    @staticmethod
    def check_pair(p: Any, q: Any, S: Any, R: Any) -> None:
        product = S @ R
        counts = np.unique(product[product > 0])
        if not p.is_chainable(q):
            for act in (p.rank, p.is_redundant, lambda other: p * other):
                try:
                    act(q)
                except ValueError as error:
                    assert p.chain_failure(q) in str(error)
                else:
                    raise AssertionError(f"{p} and {q} aren't chainable, and no error")
            return
        assert (counts == p.rank(q)).all(), f"rank {p.rank(q)}, but paths {counts}"
        assert ((p * q).support().toarray() == (product > 0)).all(), "product"
        # A redundant pair expresses all matrices on its support: blocks b1 x c2 of that rank.
        assert p.is_redundant(q) == (p.rank(q) >= min(p.b, q.c))

    @staticmethod
    def check_chain(architecture: Any, supports: Any) -> None:
        product = supports[0]
        for mask in supports[1:]:
            product = product @ mask
        assert (architecture.product.support().toarray() == (product > 0)).all()
        assert math.prod(architecture.ranks) == product.max()
        reduced = architecture.reduced()
        assert reduced.product == architecture.product and reduced.is_chainable
        assert not any(p.is_redundant(q) for p, q in itertools.pairwise(reduced))
        assert architecture.is_redundant == (len(reduced) < len(architecture))
        assert reduced.nnz <= architecture.nnz
        ranks = [r + 1 for r in architecture.ranks]
        assert architecture.with_ranks(ranks).ranks == tuple(ranks)
        assert architecture.with_ranks(ranks).with_ranks(architecture.ranks) == architecture


@dataclasses.dataclass(frozen=True)
class Absurd(Case):
    """Numbers of any size for the core's functions of patterns, and for Pattern."""

    family: ClassVar[str] = "patterns-absurd"

    name: str
    patterns: tuple[tuple[int, ...], ...]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        some = [0, 1, 2, 3, -1, -(2**63), 2**63 - 1, 2**62, 2**32, 2**31, 2**21, 2**16, 2**64, 12]
        return cls(
            str(rng.choice(["chain_failure", "chain_rank", "chain_product", "reduce_chain"])),
            tuple(
                tuple(int(some[n]) for n in rng.integers(0, len(some), 4)) if rng.random() < 0.4
                else tuple(int(x) for x in 2 ** rng.integers(0, 40, 4))
                if rng.random() < 0.5
                else tuple(int(x) for x in rng.integers(0, 3, 4))
                for _ in range(int(rng.integers(0, 4)))
            ),
        )  # fmt: skip

    def check(self) -> None:
        valid = all(len(p) == 4 and min(p) >= 1 and fits(p) for p in self.patterns)
        for p in self.patterns:
            try:
                made = pp.Pattern(*p)
                assert valid or (min(p) >= 1 and fits(p)), f"{made} was made"
            except (TypeError, ValueError):
                assert len(p) != 4 or min(p) < 1 or not fits(p)
        call = getattr(_core, self.name)
        many = self.name == "reduce_chain"
        if not many and len(self.patterns) != 2:
            raise Skip
        try:
            found = call(list(self.patterns)) if many else call(*self.patterns)
        except ValueError as error:
            assert str(error)
            chainable = valid and all(
                not _core.chain_failure(p, q) for p, q in itertools.pairwise(self.patterns)
            )
            assert not chainable or self.name in ("chain_product", "reduce_chain"), str(error)
            return
        except TypeError:
            assert any(not -(2**63) <= x < 2**63 for p in self.patterns for x in p)
            return
        assert valid, f"{found!r} for sizes that aren't"
        if self.name == "chain_product":
            assert min(found) >= 1 and fits(found), f"a product pattern {found!r}"


FAMILIES = [Chains, Absurd]
