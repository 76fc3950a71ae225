"""The chain that ranks have built: one of them asks for entries, the others answer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._chains.cuts import Cut
from .._chains.factors import shared_factors
from ..compression import Built, Vectors, leaf_rows, product_row, product_vectors, row_size

_Array = np.ndarray[Any, Any]
_Indices = NDArray[np.int64]


class SharedChain:
    """A chain of factors of which each rank has its shares.

    The first rank looks at the error; what it asks for, `entries` and `leaf_products`, all ranks
    compute together: those who have a row go from the left to the cut, those who have a column
    from there on, with the bits of one process. The others wait in `serve` for what is asked.
    """

    def __init__(self, comm: Any, built: Built) -> None:
        self._comm, self.built = comm, built
        scheme, shares = built.shares.scheme, built.shares
        architecture = scheme.architecture(built.ranks)
        self.factors = shared_factors(architecture, built.values)
        self.ranks, self.rows, self.columns = built.ranks, built.rows, built.columns
        self.dtype = self.factors.dtype
        self.size = sum(p.a * p.b * p.c * p.d for p in architecture)
        self.nbytes = sum(comm.allgather(self.factors.nbytes))
        self.row_size = row_size(architecture)
        after = shares.middle - scheme.first + 1
        self.cut = Cut(after, shares.column_groups, built.ranks[after - 1], shares.row_groups)
        self._left, self._right = built.values[:after], built.values[after:]
        self._left_ranks = [1, *built.ranks[:after]]
        self._right_ranks = [*built.ranks[after - 1 :], 1]
        self._block = architecture.shape[1] // shares.column_groups

    def norm(self) -> float:
        """0: what it is at least isn't known from the factors."""
        return 0.0

    # ------------------------------------------------------------------ the first rank asks

    def entries(self, i: _Indices, j: _Indices) -> _Array:
        """Entries (i, j) of the matrix that the factors make, in tree order."""
        found: _Array = self._asked("entries", self.rows[i], self.columns[j])
        return found

    def leaf_products(self, row: int, x: Vectors) -> tuple[_Array, _Array]:
        """The rows of a row's cluster times vectors, in single and in double precision."""
        single, double = self._asked("leaf", row, x)
        return single, double

    def dismiss(self) -> None:
        """Tell the others that nothing more will be asked for."""
        self._comm.bcast(None)

    def _asked(self, what: str, *about: Any) -> Any:
        self._comm.bcast((what, about))
        found, failure = self._answered(what, about)
        if failure is not None:
            raise failure
        return found

    def serve(self) -> Exception | None:
        """Answer until the first rank has seen enough; the failure of this rank, if any."""
        failed: Exception | None = None
        while (request := self._comm.bcast(None)) is not None:
            _, failure = self._answered(*request)
            failed = failed or failure
        return failed

    # ------------------------------------------------------------------ all answer

    def _answered(self, what: str, about: Any) -> tuple[Any, Exception | None]:
        answer = self._entries if what == "entries" else self._leaf
        return answer(*about)

    def _exchanged(self, compute: Any) -> tuple[list[Any], Exception | None]:
        """What `compute` gives on all ranks; or a failure, on all."""
        own, failure = None, None
        try:
            own = compute()
        except Exception as error:  # of any kind: raised when the look is over
            failure = error
        told = self._comm.allgather((own, None if failure is None else str(failure)))
        messages = [message for _, message in told if message is not None]
        if messages and failure is None:
            failure = RuntimeError(messages[0])
        return [part for part, _ in told], failure

    def _entries(self, rows: _Indices, columns: _Indices) -> tuple[Any, Exception | None]:
        shares, rank = self.built.shares, self.cut.width
        before, s = np.divmod(rows, shares.row_groups)
        v, within = np.divmod(columns, self._block)
        kind = np.result_type(self.dtype, np.float64)

        def left() -> Any:
            place, mine = _own(shares.rows, s)
            at = before[mine] * len(shares.rows) + place[mine]
            to = v[mine] * rank * len(shares.rows)
            start = np.ones((len(at), 1), kind)
            return mine, product_vectors(self._left, self._left_ranks, at, to, start)

        parts, failure = self._exchanged(left)
        if failure is not None:
            return None, failure
        vectors = _joined(parts, (len(rows), rank), kind)

        def right() -> Any:
            place, mine = _own(shares.columns, v)
            to = place[mine] * self._block + within[mine]
            return mine, product_vectors(self._right, self._right_ranks, s[mine], to, vectors[mine])

        parts, failure = self._exchanged(right)
        if failure is not None:
            return None, failure
        return _joined(parts, (len(rows), 1), kind)[:, 0], None

    def _leaf(self, row: int, x: Vectors) -> tuple[Any, Exception | None]:
        shares = self.built.shares
        before, s = divmod(row, shares.row_groups)

        def right() -> Any:
            blocks = [x.block(int(group), self._block, self.dtype) for group in shares.columns]
            given = np.concatenate(blocks)
            double = given.astype(np.result_type(given.dtype, np.float64))
            return [product_row(self._right, self._right_ranks, s, y) for y in (given, double)]

        parts, failure = self._exchanged(right)
        if failure is not None:
            return None, failure

        def left() -> Any:
            place, mine = _own(shares.rows, np.array([s]))
            if not mine[0]:
                return None
            at = before * len(shares.rows) + int(place[0])
            both = (np.concatenate([part[n] for part in parts]) for n in (0, 1))
            return [leaf_rows(self._left, self._left_ranks, at, z) for z in both]

        found, failure = self._exchanged(left)
        return next((pair for pair in found if pair is not None), None), failure


def _own(groups: _Indices, wanted: _Indices) -> tuple[_Indices, NDArray[np.bool_]]:
    """Where each wanted group stands among the own ones, and whether it does."""
    place = np.minimum(np.searchsorted(groups, wanted), len(groups) - 1)
    return place, groups[place] == wanted


def _joined(parts: list[Any], shape: tuple[int, int], dtype: np.dtype[Any]) -> _Array:
    """The vectors that each part has some of."""
    joined = np.empty(shape, dtype)
    for mine, vectors in parts:
        joined[mine] = vectors
    return joined
