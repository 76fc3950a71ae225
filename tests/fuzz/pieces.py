"""Operators divided among parts of one process: the exchange between them makes up the product."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse

import papilio as pp
from papilio._chains.cuts import most_parts
from papilio.mpi._sharing import part_from_file, parts_of, share
from papilio.mpi._stages import Exchange, transposed
from papilio.operators import open_parts

from .case import Case, Skip
from .operators import build

T = pp.transforms


def exchanged(exchanges: Any, parts: list[Any]) -> list[Any]:
    """What each part gets: of each sender the slice that is its own."""
    count = len(parts)
    arrived = []
    for receiver in range(count):
        pieces = []
        for sender in range(count):
            start = exchanges[sender].sent[:receiver].sum()
            stop = start + exchanges[sender].sent[receiver]
            assert exchanges[receiver].received[sender] == stop - start
            pieces.append(parts[sender][start:stop])
        arrived.append(np.concatenate(pieces))
    for part, exchange in zip(parts, exchanges, strict=True):
        assert len(part) == exchange.sent.sum()
    return arrived


def multiplied(shared: Any, x: Any, *, adjoint: bool = False) -> Any:
    """The product by all parts, each from its own entries of x."""
    owners, results = shared[0].column_owners, shared[0].row_owners
    stages = [own.stages for own in shared]
    if adjoint:
        owners, results = results, owners
        stages = [[stage.conj() for stage in transposed(own)] for own in stages]
    parts = [x[owners == n] for n in range(len(shared))]
    for step in zip(*stages, strict=True):
        if isinstance(step[0], Exchange):
            parts = exchanged(step, parts)
        else:
            parts = [stage.apply(part) for stage, part in zip(step, parts, strict=True)]
    result = np.empty((len(results), *x.shape[1:]), parts[0].dtype)
    for n, part in enumerate(parts):
        result[results == n] = part
    return result


def check_shares(F: Any, count: int, tolerance: float, batch: tuple[int, ...] = (2,)) -> Any:
    """Products of F by so many parts, forward and adjoint, against its own."""
    shared = [share(parts_of(F), count, rank) for rank in range(count)]
    for own in shared[1:]:
        assert np.array_equal(own.row_owners, shared[0].row_owners)
        assert np.array_equal(own.column_owners, shared[0].column_owners)
    rng = np.random.default_rng(count)
    for G, adjoint in ((F, False), (F.H, True)):
        x = rng.standard_normal((G.shape[1], *batch)).astype(F.dtype)
        if F.dtype.kind == "c":
            x = x + x.dtype.type(1j) * rng.standard_normal(x.shape).astype(x.dtype)
        expected, product = G @ x, multiplied(shared, x, adjoint=adjoint)
        assert product.dtype == expected.dtype, f"{product.dtype}, expected {expected.dtype}"
        away = np.abs(product - expected).max()
        assert away <= tolerance * np.abs(expected).max(), f"adjoint {adjoint}: {away}"
    return shared


# As compress makes them: all but the last are stored without identities, the third has no others.
_INTERPOLATIVE = (
    (1, 32, 18, 8, "interpolative 9", ""),
    (2, 18, 20, 4, "interpolative 10", ""),
    (4, 20, 40, 2, "interpolative 20", ""),
    (8, 40, 24, 1, "random", ""),
)


def check_files(F: Any, shared: Any, shards: int) -> None:
    """The parts that are read from a directory multiply as those of memory do, bit by bit."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "F.papilio")
        try:
            F.save(path, shards=shards)
        except ValueError as error:
            assert "can be shared by at most" in str(error) or "can't be" in str(error), error
            F.save(path)
        opened = open_parts(path, part_from_file)
        count = len(shared)
        again = [share(opened, count, part) for part in range(count)]
        x = np.random.default_rng(shards).standard_normal(F.shape[1]).astype(F.dtype)
        assert np.array_equal(multiplied(again, x), multiplied(shared, x)), "other products"
        assert np.array_equal(pp.load(path) @ x, F @ x), "loaded, other products"


def _drawn(rng: np.random.Generator, dtype: str, size: int) -> Any:
    """A chain of random radices, ranks and tied axes, which may be turned around."""
    if size >= 1000 and rng.random() < 0.5:
        return build(_INTERPOLATIVE, np.dtype(dtype).name, ("random", "random"), rng)
    while True:
        length = int(rng.integers(2, 6))
        rows, columns = (rng.integers(1, 5, length).tolist() for _ in range(2))
        ranks = rng.integers(1, 4, length - 1).tolist()
        architecture = pp.Architecture.mixed_radix(rows, columns, ranks)
        if max(architecture.shape) <= size:
            break
    values = []
    for p in architecture:
        shape = [p.a, p.b, p.c, p.d]
        for axis in (0, 3):
            if rng.random() < 0.2:
                shape[axis] = 1
        values.append(rng.standard_normal(shape).astype(dtype))
    m, n = architecture.shape
    permutations = [rng.permutation(k) if rng.random() < 0.6 else None for k in (m, n)]
    F = pp.Butterfly(values, *permutations, architecture=architecture)
    if rng.random() < 0.2:
        factors = F.factors.T
        F = pp.Butterfly(factors, architecture=factors.architecture)
    return F


@dataclasses.dataclass(frozen=True)
class Pieces(Case):
    """An operator, how many parts share it, and what is done to it before."""

    family: ClassVar[str] = "pieces"
    quick: ClassVar[int] = 40

    count: int
    dtype: str
    kind: str
    size: int
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        kinds = [
            "plain",
            "adjoint",
            "conjugate",
            "section",
            "product",
            "scaled",
            "selected",
            "both",
        ]
        return cls(
            int(rng.integers(1, 8)),
            str(rng.choice(["f4", "f8", "c8", "c16"])),
            str(rng.choice([*kinds, "both"])),
            int(rng.choice([30, 300, 1000])),
            int(rng.integers(1 << 31)),
        )

    def check(self) -> None:
        if self.count < 1 or self.size < 30:
            raise Skip
        rng = np.random.default_rng(self.seed)
        F = _drawn(rng, self.dtype, self.size)
        if max(most_parts(F.architecture), most_parts(F.architecture.T)) < self.count:
            try:
                share(parts_of(F), self.count, 0)
            except ValueError as error:
                assert "can be shared by at most" in str(error)
                return
            raise AssertionError("more parts than groups")
        G = self._made(F, rng)
        if np.abs(G.toarray()).max(initial=0) == 0:
            raise Skip
        precise = np.finfo(self.dtype).eps
        # Sums of random terms may cancel: relative to the largest entry, not to each.
        shared = check_shares(G, self.count, 500 * float(precise), () if self.seed % 2 else (3,))
        if self.seed % 3 == 0:
            check_files(G, shared, int(rng.integers(1, 5)))

    def _made(self, F: Any, rng: np.random.Generator) -> Any:
        m, n = F.shape
        if self.kind == "adjoint":
            return F.H
        if self.kind == "conjugate":
            return F.conj().T
        if self.kind == "section":
            return pp.Section(F, (int(rng.integers(1, m + 1)), int(rng.integers(1, n + 1))))
        if self.kind == "product":
            return F.H @ F
        if self.kind == "scaled":
            return pp.Composition([rng.random(m) + 1, F, rng.random(n) + 1])
        if self.kind == "selected":
            return F[rng.permutation(m)[: m // 2 + 1], :: int(rng.integers(1, 4))]
        if self.kind == "both":
            middle = np.where(rng.random((m, m)) < 0.2, rng.random((m, m)), 0) + np.eye(m)
            return pp.Composition([F.T, scipy.sparse.csr_array(middle), F])
        return F


FAMILIES = [Pieces]
