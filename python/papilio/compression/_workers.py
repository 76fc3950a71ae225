"""Subtrees as tasks of dask.distributed, whose scheduler gives those of a lost worker to others."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from .._util.checks import shown
from ._clustering import Indices
from ._entries import Entries
from ._level import Level
from ._panels import Target
from ._scheme import Scheme
from ._shares import Residuals, Shares
from ._team import Alone, Report, evaluate, totals

_TASKS = 3  # for each thread of the workers: so that all are busy until the end
_Array = np.ndarray[Any, Any]


class Workers(Alone):
    """A process that has all pairs, and lets others interpolate them.

    A task is a level of some subtrees: it depends on nothing but its arguments, so that it may be
    repeated anywhere. What all tasks need, the source of entries, is the result of a task itself,
    which is repeated too where it was lost.
    """

    def __init__(self, client: Any) -> None:
        if not all(callable(getattr(client, name, None)) for name in ("submit", "nthreads")):
            raise TypeError(f"client is {shown(client)}, expected a dask.distributed.Client")
        self._client = client
        self._source: Any = None

    def interpolated(
        self, level: Level, shares: Shares, candidates: Indices, rank: int,
        target: Target, report: Report,
    ) -> tuple[Indices, Residuals]:  # fmt: skip
        widths, heights, _ = candidates.shape
        skeletons = np.empty((widths, heights, rank), np.int64)
        left = np.empty((3, widths, heights))
        source = self._sent(level.source)
        plain = replace(level, source=None)  # type: ignore[arg-type]
        parts = list(self._parts(shares.scheme, level.number, shares.middle))
        tasks = [
            self._submit(
                _interpolate,
                source,
                plain,
                v,
                candidates[np.ix_(v, s)],
                rank,
                target.arrays[-1].dtype,
            )
            for v, s in parts
        ]
        for n, (v, s) in enumerate(parts):
            found, rows, residuals, count = self._result(tasks, n)
            skeletons[np.ix_(v, s)] = rows
            left[:, v[:, None], s] = residuals
            for of_v, part, pivots, weights in found:
                target.write(int(v[of_v]), s[part], pivots, weights)
            level.source.count += count
            report((n + 1) / len(parts))
        return skeletons, totals(shares.residuals(level.number, left))

    def evaluated(
        self, source: Entries, dtype: np.dtype[Any], skeletons: Indices, leaves: Indices,
        target: _Array, report: Report,
    ) -> None:  # fmt: skip
        sent = self._sent(source)
        parts = np.array_split(np.arange(len(leaves)), self._count(len(leaves)))
        tasks = [
            self._submit(_evaluate, sent, dtype, skeletons[part], leaves[part]) for part in parts
        ]
        for n, part in enumerate(parts):
            target[part], count = self._result(tasks, n)
            source.count += count
            report((n + 1) / len(parts))

    def _parts(self, scheme: Scheme, level: int, middle: int) -> Iterator[tuple[Indices, Indices]]:
        """The column and row clusters of each task of a level."""
        whole = Shares.all(scheme)
        by_rows = level <= middle
        groups = whole.rows if by_rows else whole.columns
        for chosen in np.array_split(groups, self._count(len(groups))):
            part = replace(whole, rows=chosen) if by_rows else replace(whole, columns=chosen)
            yield part.clusters(level)

    def _count(self, most: int) -> int:
        threads = sum(int(count) for count in self._client.nthreads().values())
        return max(1, min(most, _TASKS * threads))

    def _sent(self, source: Entries) -> Any:
        """The source on the workers, sent once."""
        if self._source is None:
            try:
                import cloudpickle

                content = cloudpickle.dumps(source)
            except (TypeError, pickle.PicklingError, AttributeError) as error:
                raise TypeError(
                    f"source can't be sent to the workers of client: {error}"
                ) from error
            self._source = self._submit(pickle.loads, content)
        return self._source

    def _submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return self._client.submit(function, *arguments, pure=False)

    def _result(self, tasks: list[Any], n: int) -> Any:
        """What a task returned, which is forgotten then; if it failed, all are."""
        task, tasks[n] = tasks[n], None
        try:
            return task.result()
        except BaseException:
            for other in tasks[n + 1 :]:
                other.cancel()
            raise


def _interpolate(
    source: Entries, level: Level, v: Indices, candidates: Indices, rank: int, dtype: np.dtype[Any]
) -> tuple[list[Any], Indices, _Array, int]:
    """On a worker: what is to be written of some pairs, their skeletons and residuals, and the
    entries it took.
    """
    own = copy.copy(source)  # threads of the worker share the source: each counts for itself
    own.count = 0
    found: list[Any] = []

    def write(v: int, s: slice, pivots: Indices, weights: _Array) -> None:
        found.append((v, s, pivots, weights.astype(dtype)))

    rows, left = replace(level, source=own).build(candidates, v, rank, write, _ignored)
    return found, rows, left, own.count


def _evaluate(
    source: Entries, dtype: np.dtype[Any], skeletons: Indices, leaves: Indices
) -> tuple[_Array, int]:
    """On a worker: the entries of skeletons in leaves, and how many there were."""
    own = copy.copy(source)
    own.count = 0
    widths, heights, rank = skeletons.shape
    found = np.empty((widths, heights, rank, leaves.shape[1]), dtype)
    evaluate(own, dtype, skeletons, leaves, found, _ignored)
    return found, own.count


def _ignored(done: float) -> None:
    """Nobody is told how far a task is."""
