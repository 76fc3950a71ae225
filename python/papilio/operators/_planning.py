"""How a product runs: which plan, what it is expected to cost, and which one measures best."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .._util.checks import flag, one_of, positive_int
from .._util.progress import Progress, reporter, share_of
from ._base import Operator, checked_operator
from ._butterfly import Butterfly
from ._compiled import Side
from ._drawing import made_of
from ._plan import Candidate, Plan

_LAYOUTS = ("columns", "rows")
_LARGEST_BATCH = 2**40  # vectors; products of it with sizes fit in the core's 64 bits


class Batch(NamedTuple):
    """What the core plans for: how many vectors, and what is contiguous in x and in the product."""

    vectors: int
    given: str
    product: str


def plan(
    F: Operator,
    batch: int = 1,
    *,
    layout: str = "columns",
    tune: bool = False,
    progress: Progress = False,
) -> Plan:
    """Tell how ``F @ x`` runs for a batch, and with `tune` find the fastest way by measuring.

    A plan depends on the operator, the side, the number of vectors (up to 16 exactly, then up to
    the next power of two) and on how they lie in memory; never on the number of threads. It is
    made at the first product and kept. Without tuning, a cost model chooses it from multiply-adds
    and from bytes by cache level. Plans may differ in the last bits of their results.

    Parameters
    ----------
    F : Butterfly, Composition or Section
        The operator. Its transposes plan for themselves. Of an operator that isn't a Butterfly, the
        butterflies that it is made of are planned.
    batch : int, default 1
        Number of vectors.
    layout : {"columns", "rows"}, default "columns"
        How they lie in memory: "columns" for a C-contiguous (n, batch) array as in ``F @ X``,
        "rows" for a C-contiguous (batch, n) array as in ``X @ F.T`` or ``F.apply(X, axis=1)``.
    tune : bool, default False
        Measure the most promising candidates with all threads, and use the fastest from now on.
        Takes some tens of milliseconds to seconds. Memory: an input and an output batch while it
        runs, and for each radix that it tries a copy of the weights.
    progress : bool or callable, default False
        Of the measurements: True shows a bar (tqdm) if they take more than a second; a callable is
        called with the fraction done, from 0 to 1.

    Returns
    -------
    Plan
        What will be done, what it is predicted to cost and, if tuned, what was measured.

    Raises
    ------
    TypeError, ValueError
        For a batch that isn't a positive whole number or an unknown layout.

    Examples
    --------
    >>> import papilio as pp
    >>> F = pp.transforms.hadamard(1024)
    >>> pp.plan(F, 256).lanes
    'columns'
    >>> pp.plan(F, 256, tune=True).candidates[0].measured > 0
    True
    """
    return plan_of(checked_operator(F), batch, layout, tune, progress)


def plan_of(F: Any, batch: Any, layout: Any, tune: Any, progress: Any) -> Plan:
    """See `plan`; the arguments as they come."""
    batch = positive_int(batch, "batch")
    if batch > _LARGEST_BATCH:
        raise ValueError(f"batch is {batch}, expected at most {_LARGEST_BATCH}")
    layout = one_of(layout, "layout", _LAYOUTS)
    tune = flag(tune, "tune")
    if batch == 1:
        layout = "rows"  # one vector is contiguous in itself
    wanted, parts = Batch(batch, layout, layout), _butterflies(F)
    with reporter(progress, "plan") as tell:
        plans = [
            (part, _planned(part, wanted, tune, tell and share_of(tell, n, len(parts))))
            for n, part in enumerate(parts)
        ]
    if isinstance(F, Butterfly):
        return plans[0][1]
    lines = [f"{F!r}, batch of {batch}: its butterflies, one after the other"]
    for part, its in plans:
        lines.append(f"{part!r}")
        lines.extend(f"  {line}" for line in its.text.splitlines())
    first = max((its for _, its in plans), key=lambda its: its.predicted, default=None)
    return Plan(
        first.lanes if first else "columns",
        first.radix if first else 1,
        first.tile if first else batch,
        sum(its.predicted for _, its in plans),
        tuple(candidate for _, its in plans for candidate in its.candidates),
        "\n".join(lines),
    )


def _butterflies(F: Any) -> list[Butterfly]:
    """The butterflies that an operator multiplies by, the first one first."""
    if isinstance(F, Butterfly):
        return [F]
    inner = made_of(F)
    if not hasattr(F, "terms"):  # which multiply from left to right
        inner = inner[::-1]
    return [b for part in inner for b in _butterflies(part)]


def _planned(
    F: Butterfly, batch: Batch, tune: bool, tell: Callable[[float], object] | None
) -> Plan:
    transpose = Side.TRANSPOSED in F._side
    compiled = F._data.operator
    candidates = compiled.tune(transpose, batch, tell) if tune else []
    text, choice, predicted = compiled.plan(transpose, batch)  # lanes, radix and tile
    measured = tuple(Candidate(*other, guess, seconds) for other, guess, seconds in candidates)
    return Plan(*choice, predicted, measured, text)
