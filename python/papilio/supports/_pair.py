"""fixed_support for two factors: exactly where the supports allow it, locally elsewhere."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from .. import _core
from .._chains.support_masks import sets_of
from .._util.interruptible import interruptibly
from ._analysis import SupportReport
from ._descent import Problem, Track, descend
from ._peeled import CrossNestedSolver, Peeled, PeeledSolver
from ._result import Options, PairSolution
from ._target import Target, largest_part

_Array = NDArray[Any]
_Solver = TypeVar("_Solver", bound=PeeledSolver)

# Singular values for the lower bound may cost so many (rows x columns x smaller of both).
_BOUND_COST = 2e9
# A block of so many rows x columns x smaller of both takes some hundredths of a second.
_LONG = 3e7
# Starts of the ascent for cross-nested components, and a difference that is rounding.
_ASCENTS = 8
_SAME = 1e-12
# What is left, next to a component, of entries that are filled by random systems of equations:
# more would be a system without digits.
_FILLED = 1e-9


def solve_pair(
    target: Target, left: Any, right: Any, report: SupportReport, options: Options
) -> PairSolution:
    """Solve what can be solved exactly, the rest locally."""
    core = report._classes
    kinds = report.component_kinds[report.component_of]
    none = np.zeros(len(kinds), dtype=bool)
    if options.method == "local":
        local, free = ~none, none
    elif options.ridge > 0:
        local, free = kinds != "disjoint", none
    else:
        local = (kinds == "open") & ~report.complete
        free = (kinds == "open") & report.complete
    if options.method == "exact" and local.any():
        raise ValueError(
            "method is 'exact' but "
            + (
                "no exact method is known for these supports (see analyze_supports)"
                if options.ridge == 0
                else "with a ridge only disjoint classes are solved exactly"
            )
        )
    x, y = np.zeros(left.nnz, target.dtype), np.zeros(right.nnz, target.dtype)
    solution = PairSolution(x, y, target.outside(core), bool(local.any()), 0.0, 0, [])
    if options.method != "local":
        # A bar would show the exact part as the whole; the local part takes nearly all the time.
        tell = None if solution.local else options.tell
        discarded = _solve_pieces(target, report, options.ridge, x, y, tell)
        solution.bound = math.hypot(solution.bound, discarded)
        if options.ridge == 0:
            for number in np.flatnonzero(report.component_kinds == "peeled"):
                discarded = _solve_peeled(target, left, right, report, int(number), solution)
                solution.bound = math.hypot(solution.bound, discarded)
    if solution.local:
        _solve_locally(target, left, right, report, local, free, options, solution)
        if options.method == "auto" and options.ridge == 0:
            _ascend(target, left, right, report, options, solution)
        solution.bound = max(_bound(target, report, solution.bound), solution.bound)
    if options.method != "local" and options.ridge == 0 and (kinds != "disjoint").any():
        core.fill_complete(*target.arrays, x, y)
    return solution


def _solve_pieces(
    target: Target,
    report: SupportReport,
    ridge: float,
    x: _Array,
    y: _Array,
    tell: Callable[[float], object] | None,
) -> float:
    """The blocks one by one; one that takes long is a single call of LAPACK."""
    solve = report._classes.solve_pieces
    rows, cols = report.rows.astype(float), report.columns.astype(float)
    if (rows * cols * np.minimum(rows, cols)).max(initial=0.0) < _LONG:
        return solve(*target.arrays, ridge, x, y, tell)
    left_alone = threading.Event()

    def ask(fraction: float) -> None:
        if left_alone.is_set():
            raise KeyboardInterrupt
        if tell is not None:
            tell(fraction)

    try:
        return interruptibly(solve, *target.arrays, ridge, x, y, ask)
    except BaseException:
        left_alone.set()
        raise


def _peeled_solver(
    kind: type[_Solver], target: Target, report: SupportReport, number: int
) -> _Solver:
    peeled = report._peeled[number]
    start, members = report._classes.members()
    of_class = [members[a:b] for a, b in itertools.pairwise(start)]
    return kind(peeled, target.block(peeled.rows, peeled.cols), of_class)


def _solve_peeled(
    target: Target, left: Any, right: Any, report: SupportReport, number: int,
    solution: PairSolution,
) -> float:  # fmt: skip
    """A component that is tractable after peeling. Returns the norm of what is discarded."""
    solver = _peeled_solver(PeeledSolver, target, report, number)
    whole = float(np.linalg.norm(solver.rest))
    discarded = solver.solve()
    solution.inexact |= solver.missed() > _FILLED * whole
    _put_peeled(solver, target, left, right, report, solution)
    return discarded


def _ascend(
    target: Target, left: Any, right: Any, report: SupportReport, options: Options,
    solution: PairSolution,
) -> None:  # fmt: skip
    """Components whose regions are nested crosswise, by the ascent that can't diverge, where it
    comes as far as the local solver did."""
    kept = []
    for number in np.flatnonzero(report.component_kinds == "open"):
        peeled = report._peeled.get(int(number))
        if peeled is None or not peeled.is_cross_nested():
            kept.append(number)
            continue
        solver = _peeled_solver(CrossNestedSolver, target, report, int(number))
        known = _left_values(solver, left, solution)
        solver.ascend(known, _ASCENTS, options.max_sweeps, options.rng)
        before = float(np.linalg.norm(_rest_of(peeled, target, left, right, report, solution)))
        if float(np.linalg.norm(solver.rest)) <= before * (1 + _SAME):
            _put_peeled(solver, target, left, right, report, solution)
        else:
            kept.append(number)
    if not kept:
        solution.divergence = 0.0


def _left_values(solver: PeeledSolver, left: Any, solution: PairSolution) -> dict[int, _Array]:
    """X of each class of a component, on the component's rows."""
    X = scipy.sparse.csc_array((solution.x, left.indices, left.indptr), shape=left.shape)
    owners = {region.owner for region in solver.peeled.regions if region.owner >= 0}
    return {p: X[:, solver.members[p]].toarray()[solver.peeled.rows] for p in owners}


def _rest_of(
    peeled: Peeled, target: Target, left: Any, right: Any, report: SupportReport,
    solution: PairSolution,
) -> _Array:  # fmt: skip
    """A - XY on the rows and columns of a component, where complete classes don't reach."""
    X = scipy.sparse.csc_array((solution.x, left.indices, left.indptr), shape=left.shape)
    Y = scipy.sparse.csr_array((solution.y, right.indices, right.indptr), shape=right.shape)
    rest: _Array = target.block(peeled.rows, peeled.cols)
    owners = {region.owner for region in peeled.regions if region.owner >= 0}
    inner = np.flatnonzero(np.isin(report.class_of, list(owners)))
    # In double precision, as the block: in single precision the scale itself may be infinite.
    X = X[peeled.rows][:, inner].astype(rest.dtype)
    Y = Y[inner][:, peeled.cols].astype(rest.dtype)
    rest = rest - (X @ Y).toarray() * target.scale
    complete = report.complete[report.class_of[inner]]
    lines = (left[peeled.rows][:, inner[complete]], right[inner[complete]][:, peeled.cols])
    rest[(lines[0].astype(int) @ lines[1].astype(int)).toarray() > 0] = 0
    return rest


def _put_peeled(
    solver: PeeledSolver, target: Target, left: Any, right: Any, report: SupportReport,
    solution: PairSolution,
) -> None:  # fmt: skip
    """Write the values of the classes, but for complete ones, which come last."""
    back = math.ldexp(1.0, -target.exponent)
    for owner, (x, y) in solver.values.items():
        if report.complete[owner]:
            continue
        for n, i in enumerate(solver.members[owner]):
            a, b = left.indptr[i], left.indptr[i + 1]
            rows = np.searchsorted(solver.peeled.rows, left.indices[a:b])
            solution.x[a:b] = x[rows, n] * back
            a, b = right.indptr[i], right.indptr[i + 1]
            cols = np.searchsorted(solver.peeled.cols, right.indices[a:b])
            solution.y[a:b] = y[n, cols] * back


def _solve_locally(
    target: Target,
    left: Any,
    right: Any,
    report: SupportReport,
    local: _Array,
    free: _Array,
    options: Options,
    solution: PairSolution,
) -> None:
    """The classes `local`, on the entries that none of the classes `free` reaches."""
    inner = np.flatnonzero((report.class_of >= 0) & local[report.class_of])
    X, Y = left[:, inner], right[inner]
    observed = _union(left, right, report, local)
    if free.any():
        observed = observed > _union(left, right, report, free)
    observed.sort_indices()
    entries = sets_of(observed)
    dtype = np.result_type(target.dtype, np.float64)
    values = report._classes.gather(*target.arrays, *entries)
    largest = largest_part(values)
    if largest == 0:
        return
    # What the others leave may be far smaller than the whole matrix.
    half = -(math.frexp(largest)[1] // 2)
    values *= math.ldexp(1.0, half)
    values *= math.ldexp(1.0, half)
    norm2 = float(np.linalg.norm(values)) ** 2
    # Beyond so large a ridge all factors are zero.
    ridge = min(options.ridge * target.scale * math.ldexp(1.0, half) * math.ldexp(1.0, half), 1e99)
    make = _core.AlternatingComplex if dtype.kind == "c" else _core.AlternatingReal
    order = np.argsort(report.class_of[inner], kind="stable").astype(np.int32)
    starts = np.r_[0, np.flatnonzero(np.diff(report.class_of[inner[order]])) + 1, len(order)]
    problem = Problem(
        make(*target.shape, *sets_of(X), *sets_of(Y), *entries, values),
        dtype,
        (X.nnz, Y.nnz),
        norm2,
        (starts.astype(np.int64), order),
        ridge,
        options.tolerance,
        float(np.finfo(target.dtype).eps),
    )
    track = Track(options.start, options.max_sweeps, options.tell)
    point, solution.divergence = descend(
        problem, options.restarts_for(report.flops), options.max_sweeps, options.rng, track
    )
    solution.iterations = track.steps
    solution.history = [
        (seconds, math.hypot(solution.bound, math.ldexp(math.sqrt(max(best, 0.0)), -2 * half)))
        for seconds, best in track.history
    ]
    back = math.ldexp(1.0, -target.exponent - half)
    _place(solution.x, left.indptr, inner, point.x * back)
    _place(solution.y, right.indptr, inner, point.y * back)


def _place(out: _Array, starts: _Array, inner: _Array, values: _Array) -> None:
    """Write the values of some columns of X (rows of Y) where they stand in all of them."""
    lengths = np.diff(starts)[inner]
    shift = np.repeat(starts[inner] - np.r_[0, np.cumsum(lengths)[:-1]], lengths)
    out[shift + np.arange(len(values))] = values


def _union(left: Any, right: Any, report: SupportReport, chosen: _Array) -> Any:
    """The entries of the rectangles of some classes, as a boolean CSR array."""
    start, members = report._classes.members()
    first = members[start[:-1]][chosen]
    return scipy.sparse.csr_array(scipy.sparse.csr_array(left[:, first]) @ right[first])


def _bound(target: Target, report: SupportReport, known: float) -> float:
    """A lower bound of the error: theorem 4 and T4 of docs/supports.md, as far as is cheap."""
    cost, bound = 0.0, known
    for component in report._open_components():
        own = 0.0
        for rows, cols, rank in component.rectangles():
            cost += len(rows) * len(cols) * min(len(rows), len(cols))
            if cost > _BOUND_COST:
                break
            own = math.hypot(own, _tail(target.block(rows, cols), rank))
        stairs = component.stairs()
        if stairs is not None and cost + stairs.cost() <= _BOUND_COST:
            cost += stairs.cost()
            own = max(own, stairs.bound(target.block, _tail))
        bound = math.hypot(bound, own)
    inner = int(np.count_nonzero(report.class_of >= 0))
    m, n = target.shape
    if inner < min(m, n) and m * n * min(m, n) <= _BOUND_COST:
        bound = max(bound, _tail(target.toarray(), inner))
    return bound


def _tail(block: _Array, rank: int) -> float:
    try:
        sigma = interruptibly(np.linalg.svd, block, compute_uv=False)
    except np.linalg.LinAlgError:
        return 0.0  # LAPACK did not converge: nothing is known
    return float(np.linalg.norm(sigma[rank:]))
