"""Case: a frozen dataclass of plain values that is drawn, checked, shrunk and printed as code."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar, Self

import numpy as np


class Skip(Exception):
    """The case asks for something that there is not: it counts as none."""


class Case:
    """One input of a family. Subclasses are frozen dataclasses whose repr is code.

    Fields are numbers, strings, None and tuples of those, so that a case can be printed and made
    smaller without knowing what it means. What a case can't mean raises Skip in `check`. Random
    numbers come from a field `seed` if there is one.
    """

    #: Name on the command line and in summaries.
    family: ClassVar[str]
    #: Seconds after which a case counts as hanging.
    limit: ClassVar[float] = 60
    #: How many cases the test command runs.
    quick: ClassVar[int] = 60
    #: A case is drawn in one of so many rounds: more than 1 for what takes as long as many others.
    every: ClassVar[int] = 1
    #: How many cases are drawn in such a round: more than 1 for what matters most or takes no time.
    often: ClassVar[int] = 1

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """Draw a case."""
        raise NotImplementedError

    def check(self) -> None:
        """Raise an AssertionError that says what is wrong; anything else raised is a fault too."""
        raise NotImplementedError

    def smaller(self) -> Iterator[Self]:
        """Cases with one field made simpler, simplest first."""
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            if field.name == "seed":
                continue
            for value in simpler(getattr(self, field.name)):
                yield dataclasses.replace(self, **{field.name: value})  # type: ignore[type-var]

    def code(self) -> str:
        """A line that runs the case alone."""
        module = type(self).__module__
        return f"from {module} import {type(self).__name__}; {self!r}.check()"


def simpler(value: Any) -> Iterator[Any]:
    """Values of the same kind that are simpler, the simplest first."""
    if value is None or value is False or isinstance(value, str):
        return
    if value is True:
        yield False
    elif isinstance(value, int):
        for other in (0, 1, value // 2, value - 1):
            if abs(other) < abs(value):
                yield other
    elif isinstance(value, float):
        for other in (0.0, 1.0):
            if abs(other) < abs(value):
                yield other
    elif isinstance(value, tuple):
        for n in range(len(value)):
            yield value[:n] + value[n + 1 :]
        for n, item in enumerate(value):
            for other in simpler(item):
                yield (*value[:n], other, *value[n + 1 :])


def shrunk(case: Case, failing: Any, tries: int = 200) -> Case:
    """The smallest case found, by single steps, for which ``failing(case)`` still is true."""
    while True:
        for smaller in case.smaller():
            tries -= 1
            if tries < 0:
                return case
            if failing(smaller):
                case = smaller
                break
        else:
            return case
