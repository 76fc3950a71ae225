"""Stages of a distributed product: local operators, and exchanges between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._chains.factors import Factors
from .._util.dtypes import SUPPORTED, promoted
from ..operators import Composition, Operator, Pairs, Section, butterfly_of
from ._together import largest, raise_together

_Array = np.ndarray[Any, Any]
_Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Local:
    """An operator on this rank's vectors; None where it has no rows or no columns."""

    operator: Any
    shape: tuple[int, int]
    dtype: np.dtype[Any]

    @classmethod
    def of(cls, F: Operator) -> Local:
        """A stage of an operator."""
        return cls(F, F.shape, F.dtype)

    @classmethod
    def of_factors(cls, factors: Factors, rows: int | None, columns: int | None) -> Local:
        """A stage of the leading rows and columns of a chain."""
        height, width = factors.shape
        shape = (height if rows is None else rows, width if columns is None else columns)
        if 0 in shape:
            return cls(None, shape, factors.dtype)
        F = butterfly_of(factors)
        return cls.of(F if shape == F.shape else Section(F, shape))

    @property
    def T(self) -> Local:
        turned = None if self.operator is None else self.operator.T
        return Local(turned, self.shape[::-1], self.dtype)

    def conj(self) -> Local:
        return self if self.operator is None else Local.of(self.operator.conj())

    @property
    def pairs(self) -> Local:
        """The same on pairs of real numbers in place of complex ones."""
        rows, columns = self.shape
        if self.operator is None:
            return Local(None, (2 * rows, 2 * columns), np.dtype(self.dtype.char.lower()))
        return Local.of(Composition([Pairs(self.operator)]))

    def apply(self, x: _Array) -> _Array:
        """The product with this rank's part of vectors."""
        if self.operator is None:
            dtype = np.result_type(self.dtype, promoted(x.dtype, "x"))
            return np.zeros((self.shape[0], *x.shape[1:]), dtype)
        product: _Array = self.operator.apply(x)
        return product


@dataclass(frozen=True)
class Exchange:
    """All ranks send to all: so many entries of each vector to each, from consecutive places."""

    sent: _Counts
    received: _Counts

    @property
    def T(self) -> Exchange:
        return Exchange(self.received, self.sent)

    def conj(self) -> Exchange:
        return self

    @property
    def pairs(self) -> Exchange:
        return Exchange(2 * self.sent, 2 * self.received)

    def to_others(self, rank: int) -> int:
        """How many entries of a vector go to other ranks."""
        return int(self.sent.sum() - self.sent[rank])

    def run(self, comm: Any, x: _Array | None, failure: Exception | None) -> _Array:
        """What the others sent; or the failure of one of them, on all."""
        arrived = None
        if failure is None:
            try:
                assert x is not None
                x = np.ascontiguousarray(x)
                arrived = np.empty((int(self.received.sum()), *x.shape[1:]), x.dtype)
            except Exception as error:  # for want of memory
                failure = error
        self._agree(comm, x, failure)
        assert x is not None and arrived is not None
        batch = int(np.prod(x.shape[1:]))
        comm.Alltoallv([x, _places(self.sent, batch)], [arrived, _places(self.received, batch)])
        return arrived

    def _agree(self, comm: Any, x: _Array | None, failure: Exception | None) -> None:
        """Raise on all ranks, if one failed or their vectors aren't of one kind."""
        kind = [0, 0, 0]
        if failure is None and x is not None:
            kind = [x.ndim, int(np.prod(x.shape[1:])), SUPPORTED.index(x.dtype)]
        numbers = np.array([failure is not None, *kind, *(-n for n in kind)], np.int64)
        most = largest(comm, numbers)
        if most[0]:
            raise_together(comm, failure)
        if (most[1:4] != -most[4:]).any():
            kinds = comm.allgather((x.ndim, kind[1], str(x.dtype)) if x is not None else None)
            raise ValueError(
                f"x has different kinds on the ranks (axes, vectors, dtype): {kinds}, expected one"
            )


Stage = Local | Exchange


def transposed(stages: Sequence[Stage]) -> list[Stage]:
    """The stages of the transposed product."""
    return [stage.T for stage in reversed(stages)]


def _places(counts: _Counts, batch: int) -> tuple[_Counts, _Counts]:
    """How many numbers and where they begin, as MPI is told."""
    many = counts * batch
    return many, np.cumsum(many) - many
