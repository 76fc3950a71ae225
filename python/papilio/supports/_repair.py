"""Few changes of supports after which a best approximation exists, or is found exactly."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import scipy.sparse

from .._util.checks import one_of, positive_int

Goal = Literal["minimizer", "tractable"]
# SupportReport itself makes repairs.
_Report = Any
_Entry = tuple[str, int, int]  # "left" or "right", row, column
# Without a witness, entries of a component are tried one by one, so many at most.
_CANDIDATES = 256


@dataclass(frozen=True, eq=False)
class Repair:
    """Supports that `SupportReport.repair` proposes.

    Attributes
    ----------
    left, right : scipy.sparse.csr_array
        The changed supports.
    added, removed : tuple of (str, int, int)
        ``("left", row, column)`` or ``("right", row, column)``.
    reached : bool
        Whether the goal is reached.
    report : SupportReport
        The analysis of the changed supports.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> L = np.tril(np.ones((2, 2)))
    >>> repair = pp.analyze_supports(L, L.T).repair()
    >>> repair.reached, len(repair.added) + len(repair.removed), repair.report.has_minimizer
    (True, 1, True)
    """

    left: Any
    right: Any
    added: tuple[_Entry, ...]
    removed: tuple[_Entry, ...]
    reached: bool
    report: _Report


def repair(
    report: _Report,
    masks: tuple[Any, Any],
    goal: Goal,
    most: int,
    analyze: Callable[[Any, Any], _Report],
) -> Repair:
    """Greedy: the change, among those next to the witness, after which least is left to mend."""
    one_of(goal, "goal", ("minimizer", "tractable"))
    most = positive_int(most, "most")
    sides = {"left": masks[0].tolil(), "right": masks[1].tolil()}
    changed: list[_Entry] = []
    while not _reached(report, goal) and len(changed) < most:
        best: tuple[Any, _Entry, _Report] | None = None
        for entry in _candidates(report, sides):
            if entry in changed:
                continue
            _toggle(sides, entry)
            if sides["left"].nnz and sides["right"].nnz:
                found = analyze(sides["left"], sides["right"])
                score = _score(found, goal)
                if best is None or score < best[0]:
                    best = score, entry, found
            _toggle(sides, entry)
            if best is not None and best[0][0] == 0:
                break
        if best is None:
            break
        _, entry, report = best
        _toggle(sides, entry)
        changed.append(entry)
    added = tuple(e for e in changed if sides[e[0]][e[1], e[2]])
    return Repair(
        left=scipy.sparse.csr_array(sides["left"]),
        right=scipy.sparse.csr_array(sides["right"]),
        added=added,
        removed=tuple(e for e in changed if e not in added),
        reached=_reached(report, goal),
        report=report,
    )


def _reached(report: _Report, goal: Goal) -> bool:
    return report.tractable if goal == "tractable" else report.has_minimizer is True


def _score(report: _Report, goal: Goal) -> tuple[int, int, int]:
    """0 first if the goal is reached; then how much is open."""
    is_open = report.component_kinds == "open"
    rest = int(report.sizes[is_open[report.component_of]].sum())
    certainty = {True: 0, None: 1, False: 2}[report.has_minimizer]
    worst = 0 if _reached(report, goal) else 1
    return worst, rest, certainty


def _toggle(sides: dict[str, Any], entry: _Entry) -> None:
    side, row, column = entry
    sides[side][row, column] = not sides[side][row, column]


def _candidates(report: _Report, sides: dict[str, Any]) -> list[_Entry]:
    """Entries of the witness's rows, inner indices and columns; else of open components."""
    witness = report.witness
    if witness is not None:
        inner = np.unique(np.r_[witness.inner, witness.other])
        return [
            *(("left", int(i), int(t)) for i, t in itertools.product(witness.rows, inner)),
            *(("right", int(t), int(j)) for t, j in itertools.product(inner, witness.columns)),
        ][:_CANDIDATES]
    is_open = report.component_kinds == "open"
    inner = np.flatnonzero(report.class_of >= 0)
    inner = inner[is_open[report.component_of[report.class_of[inner]]]]
    found = [
        *(("left", int(i), int(t)) for t in inner for i in sides["left"][:, [t]].nonzero()[0]),
        *(("right", int(t), int(j)) for t in inner for j in sides["right"][[t]].nonzero()[1]),
    ]
    return found[:: max(1, len(found) // _CANDIDATES)]
