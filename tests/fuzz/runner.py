"""Runs cases in a process of their own, so that a crash or a hang is a failure like any other."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import multiprocessing
import multiprocessing.connection
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .case import Case, Skip, shrunk


@dataclasses.dataclass
class Failure:
    """A case that failed, made as small as it gets, and what it did."""

    case: Case
    words: str

    def line(self) -> str:
        """One line: what happened, and the input as code."""
        return (
            f"{type(self.case).family}: {' '.join(self.words.split())[:400]} | {self.case.code()}"
        )


def outcome(case: Case) -> str | None:
    """None if the case passes, '' if it is none, else what is wrong."""
    try:
        case.check()
    except Skip:
        return ""
    except AssertionError as error:
        return f"wrong: {error}"
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {error} ({place.filename}:{place.lineno})"
    return None


def smallest(case: Case, words: str, check: Callable[[Case], str | None]) -> Failure:
    """The smallest case found that fails in the same way."""
    kind = words.split(":", maxsplit=1)[0]
    failure = Failure(case, words)

    def failing(other: Case) -> bool:
        found = check(other)
        if not found or found.split(":", maxsplit=1)[0] != kind:
            return False
        failure.case, failure.words = other, found
        return True

    shrunk(case, failing)
    return failure


def _serve(pipe: multiprocessing.connection.Connection) -> None:
    """Check the cases that come, until None comes."""
    pipe.send("ready")
    while (case := pipe.recv()) is not None:
        pipe.send(outcome(case))


class Worker:
    """A process that checks cases; it is replaced when it dies or hangs."""

    def __init__(self) -> None:
        # A fresh interpreter: nothing of this one's state or threads.
        self._context = multiprocessing.get_context("spawn")
        self._process: Any = None

    def outcome(self, case: Case) -> str | None:
        """Like the function of that name, from the other process."""
        if self._process is None:
            self._pipe, theirs = self._context.Pipe()
            self._process = self._context.Process(target=_serve, args=(theirs,), daemon=True)
            self._process.start()
            theirs.close()
            assert self._pipe.poll(300), "a worker doesn't start"
            self._pipe.recv()
        try:
            self._pipe.send(case)
            if not self._pipe.poll(case.limit):
                self._process.kill()
                return self._ended(f"hangs: no answer in {case.limit:g} s")
            answer: str | None = self._pipe.recv()
        except (EOFError, OSError):
            return self._ended("crashes")
        return answer

    def _ended(self, words: str) -> str:
        self._process.join()
        code = self._process.exitcode
        self._process = None
        self._pipe.close()
        return f"{words} (exit code {code})"

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            with contextlib.suppress(OSError):
                self._pipe.send(None)
            self._process.join(10)
            self._process.kill()


def run(
    families: Sequence[type[Case]],
    *,
    seed: int,
    seconds: float | None = None,
    cases: int | None = None,
    report: Callable[[Failure], None] = lambda failure: None,
    isolate: bool = True,
) -> tuple[Counter[str], list[Failure]]:
    """Draw and check cases of all families in turn, for so long or so many.

    Case n is drawn from ``default_rng((seed, n))``. Returns how many cases of each family were
    checked, and the failures, each shrunk. With `isolate`, cases run in a process of their own.
    """
    counts: Counter[str] = Counter()
    failures: list[Failure] = []
    worker = Worker() if isolate else None
    check = worker.outcome if worker else outcome
    end = None if seconds is None else time.monotonic() + seconds
    drawn = 0
    places = [family for family in families for _ in range(family.often)]
    try:
        for number in itertools.count():
            turn, place = divmod(number, len(places))
            family = places[place]
            if turn % family.every:
                continue
            if drawn == cases or (end is not None and time.monotonic() >= end):
                break
            drawn += 1
            case = family.draw(np.random.default_rng((seed, number)))
            words = check(case)
            if words == "":
                continue
            counts[family.family] += 1
            if words is None:
                continue
            failures.append(smallest(case, words, check))
            report(failures[-1])
    finally:
        if worker:
            worker.close()
    return counts, failures
