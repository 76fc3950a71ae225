"""Ranks that build together: each its shares of the pairs of clusters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .._chains.index_orders import bit_reversal
from ..compression import (
    Built,
    Residuals,
    Scheme,
    Shares,
    Target,
    evaluate,
    last_times,
    totals,
)
from ._shared_chain import SharedChain
from ._stages import Exchange
from ._together import raise_together, together

_Array = np.ndarray[Any, Any]
_Indices = NDArray[np.int64]
_T = TypeVar("_T")


class Ranks:
    """The ranks of a communicator as builders (a `Team` of `papilio.compression`).

    Each has consecutive subtrees of rows, then of columns. Between levels they tell each other
    three numbers for each group, and the candidates of some hundred pairs, by which the first one
    decides for all; skeletons change owners once, in one exchange. Whatever one raises, all raise.
    """

    def __init__(self, comm: Any) -> None:
        self._comm = comm
        self.part: int = comm.Get_rank()
        self._size: int = comm.Get_size()

    def shares(self, scheme: Scheme) -> Shares:
        whole = Shares.all(scheme)
        most = min(whole.row_groups, whole.column_groups)
        if self._size > most:
            raise ValueError(
                f"comm has {self._size} ranks, but trees of depth {scheme.depth} can be shared by "
                f"at most {most}"
            )
        return self._sets(scheme)[self.part]

    def _sets(self, scheme: Scheme) -> list[Shares]:
        """The shares of all ranks."""
        whole = Shares.all(scheme)
        # Consecutive rows are consecutive clusters, which stand in bit-reversed order.
        rows = np.array_split(bit_reversal(whole.row_groups), self._size)
        columns = np.array_split(np.arange(whole.column_groups), self._size)
        return [Shares(scheme, np.sort(a), b) for a, b in zip(rows, columns, strict=True)]

    def together(self, make: Callable[[], _T]) -> _T:
        return together(self._comm, make)

    def gathered(self, make: Callable[[], _T]) -> list[_T]:
        found: list[_T] = self._comm.allgather(self.together(make))
        return found

    def decided(self, look: Callable[[], _T]) -> _T:
        found = self.together(lambda: look() if self.part == 0 else None)
        decision: _T = self._comm.bcast(found)
        return decision

    def looked_at(self, chain: SharedChain, look: Callable[[SharedChain], _T]) -> _T:
        found, failure = None, None
        if self.part == 0:
            try:
                found = look(chain)
            except Exception as error:  # of any kind: raised on all ranks
                failure = error
            chain.dismiss()
        else:
            failure = chain.serve()
        raise_together(self._comm, failure)
        decision: _T = self._comm.bcast(found)
        return decision

    def rows(
        self, shares: Shares, level: int, candidates: _Indices, v: _Indices, s: _Indices
    ) -> _Indices:
        def own() -> tuple[_Indices, _Indices]:
            mine, at_v, at_s = shares.owned(level, v, s)
            return np.flatnonzero(mine), candidates[at_v, at_s]

        found = np.empty((len(v), candidates.shape[2]), np.int64)
        for places, rows in self.gathered(own):
            found[places] = rows
        return found

    def interpolated(
        self, level: Any, shares: Shares, candidates: _Indices, rank: int,
        target: Target, report: Callable[[float], object],
    ) -> tuple[_Indices, Residuals]:  # fmt: skip
        def own() -> Any:
            clusters, _ = shares.clusters(level.number)
            return level.build(candidates, clusters, rank, target.write, report)

        skeletons, left = self.together(own)
        residuals: dict[int, Residuals] = {}
        for part in self.gathered(lambda: shares.residuals(level.number, left)):
            residuals |= part
        return skeletons, totals(residuals)

    def exchanged(self, shares: Shares, skeletons: _Indices) -> _Indices:
        parts = self._sets(shares.scheme)
        rank = skeletons.shape[2]
        own = len(shares.columns)
        exchange = Exchange(
            np.array([len(part.columns) * len(shares.rows) * rank for part in parts]),
            np.array([own * len(part.rows) * rank for part in parts]),
        )
        # Columns are consecutive: what each rank gets lies together.
        numbers = np.ascontiguousarray(skeletons).reshape(-1).view(np.float64)  # as they are
        arrived = exchange.run(self._comm, numbers, None).view(np.int64)
        found = np.empty((own, shares.row_groups, rank), np.int64)
        start = 0
        for part in parts:
            stop = start + own * len(part.rows) * rank
            found[:, part.rows] = arrived[start:stop].reshape(own, len(part.rows), rank)
            start = stop
        return found

    def evaluated(
        self, source: Any, dtype: np.dtype[Any], skeletons: _Indices, leaves: _Indices,
        target: _Array, report: Callable[[float], object],
    ) -> None:  # fmt: skip
        self.together(lambda: evaluate(source, dtype, skeletons, leaves, target, report))

    def chain(self, built: Built) -> SharedChain:
        return SharedChain(self._comm, built)

    def times_power(self, chain: Any, exponent: int) -> Any:
        values = self.together(lambda: last_times(chain.built.values, exponent))
        return SharedChain(self._comm, replace(chain.built, values=values))
