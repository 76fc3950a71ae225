"""Levels in files as they are built: a killed build goes on from the last one."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from .. import _core
from .._chains.factors import Factors, Kept
from .._chains.interpolative import AXES, Interpolative
from ..operators import Sharding, Unfinished
from ._clustering import Indices
from ._error import Error
from ._options import Options
from ._shares import Request, Shares
from ._store import Step
from ._team import Team

_FORMAT, _VERSION = "papilio unfinished build", 4
_PLACES = 64  # entries by which functions are told apart
_Array = np.ndarray[Any, Any]


class Checkpoint:
    """A `Store` in a directory: see `papilio.operators.Unfinished`.

    Each builder writes its shares of a level's factor, and of the skeletons that the next level
    needs, to files of its own; then ``build.json`` tells of the level. Whoever goes on may be any
    number of builders: they take their shares from whatever files those are in.
    """

    def __init__(self, path: str | os.PathLike[str], call: Mapping[str, Any], team: Team) -> None:
        self._team = team
        try:
            self._open(path, call)
        except BaseException:
            self.close()
            raise

    _directory: Unfinished

    def _open(self, path: Any, call: Mapping[str, Any]) -> None:
        team = self._team
        # The first one makes and locks the directory before others look into it.
        first = team.decided(lambda: str(self._opened(path, 0)))
        if team.part:
            self._opened(first, team.part)
        self._known: dict[tuple[int, tuple[int, ...]], list[dict[str, Any]]] = {}
        self._state = team.decided(lambda: self._begun(json.loads(json.dumps(call))))
        self._directory.begin(self._state["token"])

    def _opened(self, path: Any, part: int) -> str:
        self._directory = Unfinished(path, part)
        return self._directory.path

    @property
    def path(self) -> str:
        return self._directory.path

    def _begun(self, call: dict[str, Any]) -> dict[str, Any]:
        """The state of a new build, or of an earlier one of the same call."""
        directory = self._directory
        state = directory.read()
        if state is None:
            state = {
                "format": _FORMAT, "version": _VERSION, "token": directory.begin(), "call": call,
                "given_up": [], "steps": [],
            }  # fmt: skip
            directory.write(state)
            return state
        if (state.get("format"), state.get("version")) != (_FORMAT, _VERSION):
            raise ValueError(
                f"out is {self.path}, which has an unfinished build of another version of papilio: "
                "go on with that one, or remove the directory"
            )
        different = list(_differences(state["call"], call))
        if different:
            raise ValueError(
                f"out is {self.path}, which has an unfinished build of another call: "
                f"{'; '.join(different)}. Go on with that call, or remove the directory"
            )
        directory.begin(state["token"])
        directory.tidy(set(_named(state)))
        return dict(state)

    # ------------------------------------------------------------------ levels

    def empty(self, level: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> _Array:
        """Where the own share of a level's factor is written: a file."""
        return self._directory.create(f"level_{level}", shape, dtype)

    def discard(self, values: _Array) -> None:
        """Remove the file that `empty` made."""
        self._directory.drop(values)

    def saved(self, request: Request, shares: Shares, level: int) -> Step | None:
        """What an earlier build left of a level."""
        wanted = request.attempt, level
        found = [t for t in self._state["steps"] if (t["attempt"], t["level"]) == wanted]
        if not found:
            return None
        told: dict[str, Any] = found[0]
        if told["request"] != _plain(request):
            raise ValueError(
                f"out is {self.path}, which has an unfinished build of other entries: its scheme, "
                f"rank, tolerance and oversampling were {told['request']} and are "
                f"{_plain(request)} now. Remove the directory to build anew"
            )
        return self._team.together(lambda: self._step(told, shares, level))

    def _step(self, told: dict[str, Any], shares: Shares, level: int) -> Step:
        skeletons: Indices | None = None
        if told["skeletons"]:
            stored = self._piece(told["skeletons"], shares, level)
            skeletons = np.array(stored[:, 0].transpose(0, 2, 1))
        values = self._values(told["values"], shares, level)
        entries = told["entries"] if self._team.part == 0 else 0
        return Step(told["rank"], told["graded"], values, skeletons, entries, told["left"])

    def _piece(self, entries: list[dict[str, Any]], shares: Shares, level: int) -> Any:
        axis, groups, chosen = _division(shares, level)
        return self._directory.stored(*entries).piece(axis, groups, chosen)

    def _values(self, entries: list[dict[str, Any]], shares: Shares, level: int) -> Kept:
        values: Kept = self._piece(entries, shares, level)
        self._known[_place(values)] = entries
        return values

    def save(self, request: Request, shares: Shares, level: int, step: Step) -> Step:
        """Have a level on the disk, told of, and mapped from there."""
        team, state = self._team, self._state
        axis, *_ = _division(shares, level)
        values, skeletons = [], []
        if isinstance(step.values, Interpolative):
            for array in (step.values.rows, step.values.weights):
                values.append(self._entry(shares, level, AXES[axis], array))
        else:
            values.append(self._entry(shares, level, axis, step.values))
        if step.skeletons is not None:
            skeletons.append(self._entry_of_skeletons(shares, level, step.skeletons))
        counts = team.gathered(lambda: step.entries)
        told = {
            "attempt": request.attempt, "level": level, "request": _plain(request),
            "rank": step.rank, "graded": step.graded, "entries": sum(counts), "left": step.left,
            "values": values, "skeletons": skeletons,
        }  # fmt: skip
        before = [entry for old in state["steps"] for entry in old["skeletons"]]
        kept = [old | {"skeletons": []} for old in state["steps"]]
        state["steps"] = [*kept, told]

        def tell() -> None:
            self._directory.write(state)
            self._directory.remove([file["name"] for entry in before for file in entry["files"]])

        team.decided(tell)
        mapped = team.together(lambda: self._values(values, shares, level))
        return replace(step, values=mapped)

    def _entry(self, shares: Shares, level: int, axis: int, array: _Array) -> dict[str, Any]:
        """What is told of an array whose shares, along `axis`, the builders wrote to files."""
        team = self._team
        files = team.gathered(lambda: self._directory.written(array))
        _, groups, chosen = _division(shares, level)
        sets = team.gathered(lambda: chosen)
        shape = list(array.shape)
        shape[axis] = shape[axis] // len(chosen) * groups
        sharding = None if len(sets) == 1 else Sharding(axis, groups, sets)
        return self._directory.entry(tuple(shape), array.dtype, files, sharding)

    def _entry_of_skeletons(self, shares: Shares, level: int, rows: Indices) -> dict[str, Any]:
        values = rows.transpose(0, 2, 1)[:, None]

        def write() -> _Array:
            made = self._directory.create(f"rows_{level}", values.shape, values.dtype)
            made[...] = values
            return made

        axis, *_ = _division(shares, level)
        return self._entry(shares, level, axis, self._team.together(write))

    # ------------------------------------------------------------------ attempts and the end

    def given_up(self, attempt: int) -> tuple[Error, int] | None:
        """The error of an earlier build's attempt that another one followed, and the entries."""
        known = self._state["given_up"]
        if attempt > len(known):
            return None
        error, entries = known[attempt - 1]
        return Error(**error), entries if self._team.part == 0 else 0

    def give_up(self, attempt: int, error: Error, entries: int) -> None:
        """Remove the levels of an attempt that another one follows."""
        state = self._state
        if attempt <= len(state["given_up"]):
            return
        names = list(_named(state))
        counts = self._team.gathered(lambda: entries)
        state["steps"] = []
        self._known.clear()
        state["given_up"] = [*state["given_up"], [asdict(error), sum(counts)]]

        def tell() -> None:
            self._directory.write(state)
            self._directory.remove(names)

        self._team.decided(tell)

    def finish(self, factors: Factors, shape: tuple[int, int]) -> None:
        """Let the directory be that of the operator, whose values are mostly there already."""
        entries = [self._known.get(_place(values), []) for values in factors.kept]
        self._team.decided(lambda: self._directory.finish(factors, shape, entries))

    def abandon(self) -> None:
        """Forget everything: the build would end in the same refusal."""

        def forget() -> None:
            self._directory.remove(["build.json"])
            self._directory.tidy(set())

        self._team.decided(forget)

    def close(self) -> None:
        """Let others go on."""
        if hasattr(self, "_directory"):
            self._directory.close()


def _division(shares: Shares, level: int) -> tuple[int, int, Indices]:
    """How a level's arrays fall apart: the axis, its groups, the own ones."""
    if level <= shares.middle:
        return 3, shares.row_groups, shares.rows
    return 0, shares.column_groups, shares.columns


def _place(values: Kept) -> tuple[int, tuple[int, ...]]:
    array = values.rows if isinstance(values, Interpolative) else values
    return int(array.__array_interface__["data"][0]), array.shape


def _named(state: dict[str, Any]) -> list[str]:
    """The files that a state tells of."""
    steps = state["steps"]
    entries = [entry for step in steps for entry in (*step["values"], *step["skeletons"])]
    return [file["name"] for entry in entries for file in entry["files"]]


def _plain(request: Request) -> list[Any]:
    scheme = request.scheme
    return [
        [scheme.depth, scheme.first, scheme.last], request.expected_rank, request.tolerance,
        request.oversampling,
    ]  # fmt: skip


def _differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """In words, what a call differs in from an earlier one."""
    found = []
    for name in (*now, *(set(before) - set(now))):
        old, new = before.get(name), now.get(name)
        if repr(old) == repr(new):  # NaN is NaN here
            continue
        what = name
        if name == "entries" and old and new and len(old) == len(new):
            pairs = zip(old, new, strict=True)
            before_it, after_it = next((a, b) for a, b in pairs if repr(a) != repr(b))
            what = f"entry {tuple(before_it[:-1])}"
            old, new = before_it[-1], after_it[-1]
        found.append(f"{what} was {old}, is {new}")
    return found


def call_of(
    kind: str,
    shape: tuple[int, int],
    dtype: np.dtype[Any] | None,
    options: Options,
    orders: tuple[Indices | None, Indices | None],
    seen: list[list[Any]],
) -> dict[str, Any]:
    """What a call of compress is told by: arguments, versions, and some entries or products."""
    digests = [
        None if order is None or points is None else _digest(order, points)
        for order, points in zip(orders, options.points, strict=True)
    ]
    return {
        "papilio": _core.build_info()["version"], "numpy": np.__version__,
        "instructions": _core.isa(),
        "source": kind, "shape": list(shape), "tol": options.tol, "dtype": str(dtype),
        "max_rank": options.max_rank, "rank": options.rank, "depth": options.depth,
        "rounding": options.rounding, "seed": str(options.streams.seed),
        "row_points": digests[0], "column_points": digests[1],
        "entries": seen,
    }  # fmt: skip


def _digest(*arrays: _Array) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return f"{arrays[-1].shape} {digest.hexdigest()}"


def fixed_places(shape: tuple[int, int]) -> tuple[Indices, Indices]:
    """Entries that are the same for each matrix of a shape: corners, and others spread over it."""
    m, n = shape
    steps = np.arange(_PLACES - 4)
    i = ((steps * 0.6180339887498949) % 1 * m).astype(np.int64)
    j = ((steps * 0.4142135623730951) % 1 * n).astype(np.int64)
    return np.append(i, [0, 0, m - 1, m - 1]), np.append(j, [0, n - 1, 0, n - 1])


def seen_entries(evaluate: Any, shape: tuple[int, int]) -> list[list[Any]]:
    """Entries at fixed places, as plain numbers: [i, j, entry]."""
    i, j = fixed_places(shape)
    found = evaluate(i[:, None], j[:, None])[:, 0, 0]
    return [[int(a), int(b), _number(entry)] for a, b, entry in zip(i, j, found, strict=True)]


def seen_products(products: Any) -> list[list[Any]]:
    """Entries at fixed places of a product with a fixed vector: [row, entry]."""
    m, n = products.shape
    x = np.random.Generator(np.random.Philox(0)).standard_normal((n, 1))
    found = products(x.astype(products.dtype))[:, 0]
    rows, _ = fixed_places((m, n))
    return [[int(row), _number(found[row])] for row in rows]


def _number(entry: Any) -> Any:
    return [float(entry.real), float(entry.imag)] if np.iscomplexobj(entry) else float(entry)
