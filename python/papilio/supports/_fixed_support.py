"""fixed_support: min ||A - XY|| with the supports of X and Y given, solved as far as is known."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np

from .._chains.support_masks import Support, as_supports
from .._util.checks import finite_number, one_of, positive_int, shown, whole_number
from .._util.progress import Progress, reporter
from ._analysis import SupportReport, analyze
from ._chain import solve_chain
from ._chain_report import supports_in
from ._pair import solve_pair
from ._result import FixedSupportResult, Method, Options, make_result, to_factors, warn_diverging
from ._target import Target


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
    than two factors: supports of a butterfly go to `factorize`; chains that come down to two
    tractable factors where nodes of one edge are removed are solved exactly; others are cut in two
    again and again where each cut is tractable, and then, or from random starts, improved by
    alternating least squares and L-BFGS. Nothing dense of A's size is formed for these: products go
    through the factors 16 rows at a time (memory: about 70 numbers per value, 16 per inner index
    and thread).

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
        masks = supports_in(left)
        if len(masks) > 2:
            with reporter(progress, "fixed_support") as tell:
                return solve_chain(A, masks, replace(options, tell=tell))
        left, right = masks
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
        optimal=not (solution.local or solution.inexact),
        method="local" if solution.local else "exact",
        existence=_existence(report, options.ridge),
        diverging=solution.divergence > 0,
        iterations=solution.iterations,
        history=solution.history,
        start=begin,
        report=report,
    )


def _existence(report: SupportReport, ridge: float) -> str:
    if ridge > 0:
        return "the ridge makes a minimizer exist for every matrix"
    return report.existence


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
