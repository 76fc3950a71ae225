"""fixed_support: min ||A - XY|| with the supports of X and Y given, solved as far as is known."""

from __future__ import annotations

import math
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from . import _core
from .checks import finite_number, one_of, positive_int, shown, whole_number
from .factorization import Progress, reporter
from .interruptible import interruptibly
from .report import Report
from .support_descent import Problem, Track, descend
from .support_target import Target, largest_part
from .supports import Support, SupportReport, analyze, as_supports, sets_of

_Array = NDArray[Any]
Method = Literal["auto", "exact", "local"]

# Singular values for the lower bound may cost so many (rows x columns x smaller of both).
_BOUND_COST = 2e9
# A block of so many rows x columns x smaller of both takes some hundredths of a second.
_LONG = 3e7


class DivergingFactorsWarning(RuntimeWarning):
    """The factors grow without end while the error stalls: a best approximation may not exist.

    Examples
    --------
    >>> import warnings
    >>> import papilio as pp
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     R = pp.fixed_support([[0, 1], [1, 0]], [[1, 0], [1, 1]], [[1, 1], [0, 1]])
    >>> caught[0].category.__name__, R.diverging
    ('DivergingFactorsWarning', True)
    """


@dataclass(frozen=True)
class FixedSupportResult:
    """What `fixed_support` found. Errors are Frobenius norms in the units of A.

    Attributes
    ----------
    factors : tuple of scipy.sparse.csr_array
        From left to right; each stores exactly the entries of its support (some may be zero).
    error : float
        ``||A - XY||`` of the factors as they are, rounded to A's dtype.
    relative_error : float
        ``||A - XY|| / ||A||`` (0 for a zero matrix).
    lower_bound : float
        No product with these supports has a smaller error (up to rounding).
    optimal : bool
        Whether it is proved, up to rounding, that no product with these supports is closer (with
        a ridge: has a smaller penalized error).
    method : {"exact", "local", "hierarchical", "alternating"}
        What computed the factors; ``"local"`` and ``"alternating"`` if any part needed them.
    existence : str
        What is proved about the existence of a best approximation.
    diverging : bool
        Whether the factors blew up: the infimum is probably not attained for this A.
    iterations : int
        Sweeps and quasi-Newton steps of all starts together; 0 if all was solved exactly.
    history : ndarray, shape (points, 2)
        Seconds since the call, and the best error so far, as the solver went.
    seconds : float
        Time of the whole call.
    report : SupportReport or Report
        The analysis of the supports (of two factors), or the report of `factorize` where the
        supports are a butterfly's; None for other chains.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> R = pp.fixed_support(np.diag([3.0, 2.0, 1.0]), np.ones((3, 1)), np.ones((1, 3)))
    >>> R.X.shape, R.Y.shape, R.optimal
    ((3, 1), (1, 3), True)
    >>> bool(np.isclose(R.error, np.sqrt(5))), R.iterations
    (True, 0)
    """

    factors: tuple[Any, ...]
    error: float
    relative_error: float
    lower_bound: float
    optimal: bool
    method: str
    existence: str
    diverging: bool
    iterations: int
    history: _Array
    seconds: float
    report: SupportReport | Report | None

    @property
    def X(self) -> Any:
        """The leftmost factor."""
        return self.factors[0]

    @property
    def Y(self) -> Any:
        """The rightmost factor."""
        return self.factors[-1]

    def __str__(self) -> str:
        sizes = " x ".join(str(size) for size in [f.shape[0] for f in self.factors])
        return "\n".join(
            [
                f"{len(self.factors)} factors, {sizes} x {self.Y.shape[1]}, "
                f"with fixed supports in {self.seconds:.3g} s",
                f"  relative error  {self.relative_error:.3e}",
                f"  error           {self.error:.6g}",
                f"  lower bound     {self.lower_bound:.6g} (of any such product's error)",
                f"  optimal         {'yes, proved' if self.optimal else 'not proved'}",
                f"  method          {self.method}, {self.iterations} iterations",
                f"  minimizer       {self.existence}",
            ]
            + (["  factors         diverging"] if self.diverging else [])
        )


@dataclass(frozen=True)
class Options:
    """The arguments of `fixed_support` after they were checked."""

    method: Method
    ridge: float
    restarts: int | None
    max_sweeps: int
    tolerance: float
    rng: np.random.Generator
    start: float
    tell: Callable[[float], object] | None

    def restarts_for(self, flops: float) -> int:
        """The number of random starts, where a sweep costs so much."""
        return (
            int(np.clip(3e7 / max(flops, 1.0), 8, 256)) if self.restarts is None else self.restarts
        )


@dataclass
class PairSolution:
    """Values of X (column by column) and Y (row by row), and a lower bound of the scaled error."""

    x: _Array
    y: _Array
    bound: float
    local: bool
    divergence: float
    iterations: int
    history: list[tuple[float, float]]


def fixed_support(
    A: Any,
    left: Support | Sequence[Support],
    right: Support | None = None,
    *,
    method: Method = "auto",
    ridge: float = 0.0,
    restarts: int | None = None,
    max_sweeps: int = 2000,
    tolerance: float = 1e-12,
    seed: int | np.random.Generator = 0,
    progress: Progress = False,
) -> FixedSupportResult:
    """Approximate A by a product of sparse factors with given supports.

    Two factors: min ``||A - XY||_F`` over all X with support in `left` and Y with support in
    `right`. Components of the problem for which an exact method is proved are solved by it; the
    others, for which the problem is NP-hard in general, by a local solver from several starts.

    Parameters
    ----------
    A : array_like, scipy.sparse matrix or array, or LinearOperator, shape (m, n)
        Finite numbers. float32, float64, complex64 and complex128 are read in place from any
        strides; integers are converted to float64. An operator is multiplied by the columns of
        the identity, some at a time, and its entries within the supports are kept.
    left, right : array_like, scipy.sparse matrix or array, or Pattern
        Supports of X, shape (m, k), and Y, shape (k, n). Or `left` alone: a sequence of two or
        more supports, from left to right.
    method : {"auto", "exact", "local"}
        ``"exact"`` raises if the problem isn't tractable as a whole; ``"local"`` uses the local
        solver for all of it.
    ridge : float
        Adds ``ridge * (||X||^2 + ||Y||^2)`` to the squared error. Any ridge above 0 makes a
        minimizer exist; components of one class are still solved exactly. Two factors only.
    restarts : int, optional
        Random starts of the local solver beside the two it computes. Default: 256 for small
        problems, fewer for larger ones, at least 8.
    max_sweeps : int
        Of the local solver's last phase: sweeps over X and Y, or quasi-Newton steps.
    tolerance : float
        The local solver ends when a sweep makes the squared error smaller by less than this part.
    seed : int or numpy.random.Generator
        Of the random starts. The same seed gives the same bits for any number of threads.
    progress : bool or callable
        As for `factorize`.

    Returns
    -------
    FixedSupportResult

    Raises
    ------
    TypeError
        For arguments that aren't numeric.
    ValueError
        For shapes that don't fit, NaN or infinity in A, a support without entries, numbers out of
        range, or ``method="exact"`` for a problem that isn't tractable.

    Warns
    -----
    DivergingFactorsWarning
        If the factors blow up while the error stalls, as they do where the infimum isn't attained.

    Notes
    -----
    docs/supports.md has the theorems. Tractable problems cost an SVD of the block of each class
    (float32 in float32), and memory for a few blocks per thread. The local solver alternates
    between the rows of X and the columns of Y (damped normal equations with a residual
    correction), works in double precision, and holds about 40 bytes per entry that it fits and per
    unknown. It starts from the exact solution of a tractable sub-problem, continued by deflation,
    from an elimination, and from random factors; the better half goes on until four remain, which
    L-BFGS and sweeps finish. More
    than two factors: supports of a butterfly go to `factorize`; other chains are cut in two again
    and again where each cut is tractable, and then, or from random starts, improved by alternating
    least squares (memory: some dense m x n matrices).

    References
    ----------
    Q.-T. Le, E. Riccietti, R. Gribonval, "Spurious valleys, NP-hardness, and tractability of
    sparse matrix factorization with fixed support", 2021 (arXiv:2112.00386).

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> A = np.random.default_rng(0).standard_normal((16, 16))
    >>> R = pp.fixed_support(A, *pp.Architecture.monarch((16, 16), 4, 4))
    >>> R.optimal, R.method, bool(np.isclose(R.error, np.linalg.norm(A - R.X @ R.Y)))
    (True, 'exact', True)
    >>> L = np.tril(np.ones((16, 16)))
    >>> R = pp.fixed_support(A, L, L.T)  # LU: a local solution only
    >>> R.optimal, R.relative_error < 1e-6
    (False, True)
    """
    begin = time.perf_counter()
    options = _options(method, ridge, restarts, max_sweeps, tolerance, seed, begin)
    if right is None:
        from .support_chain import solve_chain

        supports = _sequence(left)
        if len(supports) > 2:
            with reporter(progress, "fixed_support") as tell:
                return solve_chain(A, supports, replace(options, tell=tell))
        left, right = supports
    csc, csr = as_supports(left, right)
    report = analyze(csc, csr)
    target = Target(A, csc, csr)
    with reporter(progress, "fixed_support") as tell:
        solution = solve_pair(target, csc, csr, report, replace(options, tell=tell))
    residual = report._classes.residual(*target.arrays, solution.x, solution.y)
    if solution.divergence:
        warn_diverging(solution.divergence)
    return make_result(
        target,
        to_factors(csc, csr, solution),
        error=math.hypot(target.unread, residual),
        bound=solution.bound,
        optimal=not solution.local,
        method="local" if solution.local else "exact",
        existence=_existence(report, options.ridge),
        diverging=solution.divergence > 0,
        iterations=solution.iterations,
        history=solution.history,
        start=begin,
        report=report,
    )


def warn_diverging(growth: float) -> None:
    """Warn the caller of `fixed_support` of terms that are `growth` times as large as the data."""
    warnings.warn(
        f"the factors diverge: single terms x_i y_i are up to {growth:.2g} times as large as the "
        "data and cancel each other. The infimum of the error is probably not attained; a ridge "
        "> 0 makes a minimizer exist",
        DivergingFactorsWarning,
        stacklevel=3,
    )


def make_result(
    target: Target,
    factors: tuple[Any, ...],
    *,
    error: float,
    bound: float,
    history: list[tuple[float, float]],
    start: float,
    **fields: Any,
) -> FixedSupportResult:
    """A result from scaled errors. What rounding makes of a bound isn't above the error."""
    norm = math.sqrt(target.norm2)
    return FixedSupportResult(
        factors=factors,
        error=error / target.scale,
        relative_error=error / norm if norm > 0 else 0.0,
        lower_bound=min(bound, error) / target.scale,
        history=np.array([(seconds, e / target.scale) for seconds, e in history]).reshape(-1, 2),
        seconds=time.perf_counter() - start,
        **fields,
    )


def to_factors(left: Any, right: Any, solution: PairSolution) -> tuple[Any, Any]:
    """X and Y as CSR arrays."""
    X = scipy.sparse.csc_array((solution.x, left.indices, left.indptr), shape=left.shape)
    Y = scipy.sparse.csr_array((solution.y, right.indices, right.indptr), shape=right.shape)
    return scipy.sparse.csr_array(X), Y


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
    if solution.local:
        _solve_locally(target, left, right, report, local, free, options, solution)
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
    """A lower bound of the error: theorem 4 of docs/supports.md, as far as is cheap."""
    cost, bound = 0.0, known
    for component in report._open_components():
        for rows, cols, rank in component.rectangles():
            cost += len(rows) * len(cols) * min(len(rows), len(cols))
            if cost > _BOUND_COST:
                break
            bound = math.hypot(bound, _tail(target.block(rows, cols), rank))
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


def _existence(report: SupportReport, ridge: float) -> str:
    if ridge > 0:
        return "the ridge makes a minimizer exist for every matrix"
    return report.existence


def _sequence(left: Any) -> list[Any]:
    if scipy.sparse.issparse(left) or not isinstance(left, Sequence):
        raise TypeError(
            f"left is a {type(left).__name__} and right is missing, expected two supports or a "
            "sequence of them"
        )
    if len(left) < 2:
        raise ValueError(f"left has {len(left)} supports and right is missing, expected two")
    return list(left)


def _generator(seed: Any) -> np.random.Generator:
    wrong = f"seed is {shown(seed)}, expected a whole number of at least 0 or a Generator"
    if isinstance(seed, bool | np.bool_):
        raise TypeError(wrong)
    try:
        return np.random.default_rng(seed)
    except ValueError:
        raise ValueError(wrong) from None
    except Exception:  # objects may raise anything when they are looked at
        raise TypeError(wrong) from None


def _nonnegative(value: Any, name: str) -> float:
    try:
        return finite_number(value, name)
    except TypeError as error:
        raise ValueError(str(error)) from None  # as 0.1.0 did


def _options(
    method: Any, ridge: Any, restarts: Any, max_sweeps: Any, tolerance: Any, seed: Any,
    start: float,
) -> Options:  # fmt: skip
    return Options(
        cast(Method, one_of(method, "method", ("auto", "exact", "local"))),
        _nonnegative(ridge, "ridge"),
        None if restarts is None else whole_number(restarts, "restarts", 0),
        positive_int(max_sweeps, "max_sweeps"),
        _nonnegative(tolerance, "tolerance"),
        _generator(seed),
        start,
        None,
    )
