"""fit: the butterfly that maps given inputs to given outputs best."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from .._chains.architecture import Architecture
from .._chains.factors import Factors
from .._chains.scaling import scaled, spread
from .._util.checks import finite_number, generator, positive_int, shown, tolerance
from .._util.progress import Progress, reporter
from ..factorization import factorize, permutations_to_try, splits_of
from ..operators import Butterfly, butterfly_of
from ._dense import DenseFit, solve
from ._descent import Descent, descend
from ._report import FitReport
from ._samples import Samples

_Array = np.ndarray[Any, Any]
Permutation = ArrayLike | Literal["bit_reversal", "search"] | None


def fit(
    X: Any,
    Y: Any,
    architecture: Architecture,
    *,
    start: str | Butterfly = "factorize",
    ridge: float = 0.0,
    sample_weights: ArrayLike | None = None,
    validation: float | ArrayLike | None = None,
    row_permutation: Permutation = None,
    column_permutation: Permutation = None,
    order: str | Sequence[int] = "auto",
    tol: float = 1e-4,
    max_iterations: int = 200,
    seed: int | np.random.Generator = 0,
    progress: Progress = False,
) -> Butterfly:
    """Find a butterfly F with ``Y ~ F X``, by least squares.

    Parameters
    ----------
    X, Y : array_like, shapes (n, samples) and (m, samples)
        Finite numbers; columns are samples.
    architecture : Architecture
        Of shape (m, n). It need not be chainable, but only then is there a lower bound.
    start : {"factorize", "random"} or Butterfly, default "factorize"
        What the iteration starts from: the projection of the dense solution ``Y X^+`` (in the
        norm of the blocks of ``X X^H``), `Butterfly.random`, or a butterfly of this architecture,
        whose permutations and tied factors the result has, too; it may be of any scale.
    ridge : float, default 0
        Adds ``ridge ||F||^2`` (Frobenius) to the loss.
    sample_weights : array_like, optional
        One number of at least 0 for each sample.
    validation : float or array_like of int, optional
        Samples that are held out: a fraction, drawn by `seed`, or the numbers of columns. Then the
        result is the iterate with the smallest loss on them, and ten iterations without a
        smaller one end the fit.
    row_permutation, column_permutation : array_like of int, "bit_reversal" or "search", optional
        As in `factorize`, with which ``"search"`` finds them from the dense solution.
    order : str or sequence of int, default "auto"
        The order of the cuts of the start, as in `factorize`.
    tol : float, default 1e-4
        Stop where twenty iterations lower the loss by less than this fraction (that part of it
        which dense least squares could remove), or further ones are expected to, by the gradients.
    max_iterations : int, default 200
    seed : int or numpy.random.Generator, default 0
        Of a random start and of `validation`.
    progress : bool or callable, default False
        As in `factorize`.

    Returns
    -------
    Butterfly
        Balanced, in the common dtype of X and Y, with a `FitReport` as its report.

    Raises
    ------
    ValueError
        For NaN or infinity, shapes that don't fit, wrong options.
    TypeError
        For data that isn't numeric, or an architecture that isn't one.
    OverflowError
        If factors of the dtype can't hold the result.

    Notes
    -----
    With ``G = X X^H`` and A the dense solution, the loss of any F is that of A plus
    ``||(A - F) G^(1/2)||^2``. So the samples are replaced by n at most, and the start is at most
    ``kappa C^2`` times as far above the dense loss as the best butterfly is, C being the constant
    of `factorize` and kappa the condition number of G after its blocks are made the identity.
    Iterations are those of SciPy's L-BFGS-B on exact gradients (`Butterfly.vjp`), in variables in
    which the loss is well conditioned (docs/learning_fits.md), computed in double precision.

    With fewer samples than inputs, and no ridge, the samples don't determine F outside of their
    span; `FitReport.rank` says so, and the lower bound is that of dense least squares.

    Memory: some copies of X and Y and some n x n matrices in double precision.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((64, 128))
    >>> H = pp.transforms.hadamard(64)
    >>> Y = H @ X + 0.1 * rng.standard_normal((64, 128))
    >>> F = pp.fit(X, Y, pp.Architecture.square_dyadic(64))
    >>> dense = Y @ np.linalg.pinv(X)
    >>> bool(np.linalg.norm(F.toarray() - H) < 0.4 * np.linalg.norm(dense - H.toarray()))
    True
    >>> F.report.certified_ratio < 2
    True
    """
    begin = time.perf_counter()
    if not isinstance(architecture, Architecture):
        raise TypeError(f"architecture is {shown(architecture)}, expected an Architecture")
    penalty = finite_number(ridge, "ridge")
    limit = positive_int(max_iterations, "max_iterations")
    accuracy = tolerance(tol, zero=True)
    rng = generator(seed)
    given = Samples.of(X, Y, architecture.shape, sample_weights, validation, rng)
    with np.errstate(over="ignore"):
        penalty = float(np.ldexp(penalty / given.weight, -2 * given.x_exponent))
    if not penalty < 1e150:  # squares of it are formed
        raise ValueError(f"ridge is {ridge}, which is too large beside X to compute with")
    _check_start(start, architecture, given.x.dtype)
    _check_orders(start, architecture, order, row_permutation, column_permutation)
    with reporter(progress, "fit") as tell:
        rows, columns = _orders(
            start, architecture, given, penalty, row_permutation, column_permutation
        )
        samples = given.ordered(rows, columns)
        dense = solve(samples.x, samples.y, penalty, architecture)
        projected, bound = dense.projected(architecture, order)
        first = _start(start, architecture, projected, samples, dense, rng)
        state = descend(
            first,
            dense.inputs,
            dense.outputs,
            tol=accuracy,
            max_iterations=limit,
            watch=_watch(samples),
            tell=tell,
        )
    factors = _returned(state.operator, samples, rows, columns)
    report = _report(state, factors, samples, dense, bound, penalty)
    report = replace(report, seconds=time.perf_counter() - begin)
    return butterfly_of(factors, report)


def _check_start(start: Any, architecture: Architecture, dtype: np.dtype[Any]) -> None:
    if isinstance(start, Butterfly):
        if start.architecture != architecture:
            raise ValueError(
                f"start has the architecture {start.architecture}, expected {architecture}"
            )
        if not start.factors.is_finite():
            raise ValueError("start has values that are NaN or infinite, expected finite numbers")
        if start.dtype.kind == "c" and dtype.kind == "f":
            raise TypeError(f"start has dtype {start.dtype}, but X and Y are real")
        return
    # Arrays compare entry by entry.
    name = start if isinstance(start, str) else None
    if name not in ("factorize", "random"):
        raise ValueError(f"start is {shown(start)}, expected 'factorize', 'random' or a Butterfly")
    if name == "factorize" and not (architecture.is_chainable or architecture.T.is_chainable):
        raise ValueError(
            "start is 'factorize', but neither the architecture nor its transpose is "
            f"chainable: {architecture.chain_failure}; expected 'random' or a Butterfly"
        )


def _check_orders(
    start: Any, architecture: Architecture, order: Any, rows: Any, columns: Any
) -> None:
    """Refuse what `factorize` would refuse when the dense solution is there."""
    if not isinstance(order, str) or order != "auto":
        splits_of(order, architecture)
    if isinstance(start, Butterfly) and (rows is not None or columns is not None):
        raise ValueError("permutations are given, but start is a Butterfly, which has its own")
    m, n = architecture.shape
    permutations_to_try(rows, m, "row_permutation")
    permutations_to_try(columns, n, "column_permutation")
    if _searched(rows, columns):
        if not isinstance(start, str) or start != "factorize":
            raise ValueError("a search for permutations needs start='factorize'")
        architecture._require_chainable()


def _searched(rows: Any, columns: Any) -> bool:
    return "search" in [order for order in (rows, columns) if isinstance(order, str)]


def _orders(
    start: Any, architecture: Architecture, given: Samples, ridge: float, rows: Any, columns: Any
) -> tuple[Any, Any]:
    """The permutations, as arrays or None."""
    if isinstance(start, Butterfly):
        return start.row_permutation, start.column_permutation
    if _searched(rows, columns):
        matrix = solve(given.x, given.y, ridge, architecture).matrix
        found = factorize(matrix, architecture, row_permutation=rows, column_permutation=columns)
        return found.row_permutation, found.column_permutation
    m, n = architecture.shape
    (_, row), (_, column) = (
        permutations_to_try(order, size, name)[0]
        for order, size, name in ((rows, m, "row_permutation"), (columns, n, "column_permutation"))
    )
    return row, column


def _start(
    start: Any,
    architecture: Architecture,
    projected: Butterfly | None,
    samples: Samples,
    dense: DenseFit,
    rng: np.random.Generator,
) -> Butterfly:
    """The first iterate, in double precision and without permutations."""
    dtype = samples.x.dtype
    if isinstance(start, Butterfly):
        values, exponents = zip(*(scaled(W.astype(dtype)) for W in start.factors), strict=True)
        own = Factors(architecture, values)
        exponent = sum(exponents) + samples.x_exponent - samples.y_exponent
        return butterfly_of(spread(own, _scale(own, exponent, dense)))
    if start == "factorize":
        assert projected is not None
        return butterfly_of(Factors(architecture, tuple(projected.factors)))
    sizes = [float(np.sqrt(np.mean(abs(part) ** 2))) for part in (samples.y, samples.x)]
    gain = sizes[0] / sizes[1] if min(sizes) > 0 else 1.0
    return Butterfly.random(architecture, gain=gain, dtype=dtype, seed=rng)


def _scale(own: Factors, exponent: int, dense: DenseFit) -> int:
    """The exponent of the power of two that a start is multiplied by.

    The one that it has, if its best multiple is about that; else the one that makes its products
    as large as the outputs, since far from there iterations don't get on.
    """
    product = butterfly_of(own) @ dense.inputs
    sizes = [float(np.linalg.norm(part)) for part in (product, dense.outputs)]
    if min(sizes) == 0:
        return exponent
    best = abs(np.vdot(product, dense.outputs)) / sizes[0] ** 2
    if best > 0 and abs(math.log2(best) - exponent) <= 1:
        return exponent
    return round(math.log2(sizes[1] / sizes[0]))


def _watch(samples: Samples) -> Any:
    """The mean square of what is wrong on the samples held out."""
    if samples.held is None:
        return None
    x, y = samples.held
    return lambda F: float(np.linalg.norm(F @ x - y)) ** 2 / y.size


def _returned(F: Butterfly, samples: Samples, rows: Any, columns: Any) -> Factors:
    """The factors in the units and the dtype of the data, balanced."""
    architecture = F.architecture
    tied = any(tuple(p) != array.shape for p, array in zip(architecture, F.factors, strict=True))
    if not tied and (architecture.is_chainable or architecture.T.is_chainable):
        F = F.balanced()
    with np.errstate(over="ignore"):
        whole = spread(F.factors, samples.y_exponent - samples.x_exponent)
        factors = whole.astype(samples.dtype)
    if not factors.is_finite():
        raise OverflowError(f"factors of {samples.dtype} can't hold the result")
    return Factors(architecture, tuple(factors), rows, columns)


def _report(
    state: Descent,
    factors: Factors,
    samples: Samples,
    dense: DenseFit,
    bound: float,
    ridge: float,
) -> FitReport:
    """The figures of the factors that are returned."""
    plain = Factors(factors.architecture, tuple(factors.astype(samples.x.dtype)))
    own = butterfly_of(spread(plain, samples.x_exponent - samples.y_exponent))
    wrong = float(np.linalg.norm(samples.y - own @ samples.x)) ** 2
    size = float(np.linalg.norm(samples.y)) ** 2
    loss = wrong + (ridge * own.norm() ** 2 if ridge > 0 else 0.0)
    ratio = loss / bound if bound > 0 else 1.0 if loss == 0 else np.inf
    return FitReport(
        loss=samples.loss(loss),
        dense_loss=samples.loss(dense.loss),
        lower_bound=samples.loss(bound),
        relative_error=float(np.sqrt(wrong / size)) if size > 0 else 0.0,
        start_loss=samples.loss(state.history[0] + dense.loss),
        history=tuple(samples.loss(value + dense.loss) for value in state.history),
        validation_history=tuple(samples.square(value) for value in state.watched),
        iterations=state.iterations,
        evaluations=state.evaluations,
        stopped=state.stopped,
        samples=samples.x.shape[1],
        rank=dense.rank,
        inputs=samples.x.shape[0],
        certified_ratio=float(ratio),
        seconds=0.0,
    )
