"""The butterfly closest to a matrix for a budget or a tolerance, of any size, and for given inputs.

What layers and estimators ask: the matrix is padded to a size with radices, and where typical
inputs are known, the error is that of the outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._chains.any_size import with_small_primes
from .._chains.architecture import Architecture
from .._chains.scaling import scaled, shifted
from .._util.checks import tolerance
from .._util.progress import Progress, reporter, share_of, silent
from ..factorization import best_architecture, factorize, fewest_weights
from ..operators import Butterfly
from ._fit import fit

_Array = np.ndarray[Any, Any]
_RIDGE = 1e-4  # of the inputs' mean square: what no input excites counts a little
_MOST_TRIALS = 6  # architectures that are tried with inputs, the best without them first


class TooFewError(ValueError):
    """A budget is below what any chain needs."""


def project(
    matrix: _Array,
    architecture: Architecture,
    inputs: _Array | None,
    tol: float | None = None,
    progress: Progress = False,
) -> Butterfly:
    """A butterfly of an architecture that may be larger than the matrix.

    `inputs`: typical ones, one in each row.
    """
    if inputs is not None:
        inputs, _ = scaled(inputs)  # so that squares neither overflow nor vanish
    if inputs is None or tol is not None or not inputs.any():
        return _factorized(matrix, architecture, inputs, tol, progress)
    rows, columns = architecture.shape
    known = np.zeros((len(inputs) + columns, columns))
    known[: len(inputs), : inputs.shape[1]] = inputs
    # With these the matrix is the dense solution, also where the inputs say nothing.
    known[len(inputs) :] = np.sqrt(_RIDGE * np.sum(inputs**2) / inputs.shape[1]) * np.eye(columns)
    outputs = _padded(matrix, (rows, columns)) @ known.T
    return fit(known.T, outputs, architecture, progress=progress)


def _factorized(
    matrix: _Array,
    architecture: Architecture,
    inputs: _Array | None,
    tol: float | None,
    progress: Progress = False,
) -> Butterfly:
    """With inputs, the closest in the norm of their second moments within blocks."""
    weights = None if inputs is None else _root_of_moments(inputs, architecture)
    padded = _padded(matrix, architecture.shape)
    return factorize(padded, architecture, tol=tol, column_weights=weights, progress=progress)


def search(
    matrix: _Array,
    share: float | None,
    tol: float | None,
    inputs: _Array | None,
    progress: Progress = False,
) -> Butterfly:
    """The best butterfly with a share of the matrix's entries, or the cheapest within `tol`."""
    relative = None if tol is None else tolerance(tol)
    budget = None
    if relative is None:
        budget = max(1, int(tolerance(share, "params") * matrix.size))
    rows, columns = (with_small_primes(size) for size in matrix.shape)
    if budget is not None and (least := fewest_weights((rows, columns))) > budget:
        m, n = matrix.shape
        raise TooFewError(
            f"params is {share}, which is {budget} weights, but no chain for a {m} x {n} matrix "
            f"has fewer than {least}"
        )
    padded = _padded(matrix, (rows, columns))
    if inputs is None:
        return best_architecture(
            padded, relative, budget, permutations=False, progress=progress
        ).butterfly
    with reporter(progress, "search") as tell:
        return _search_for_inputs(matrix, padded, relative, budget, inputs, tell or silent)


def _search_for_inputs(
    matrix: _Array,
    padded: _Array,
    relative: float | None,
    budget: int | None,
    inputs: _Array,
    tell: Callable[[float], object],
) -> Butterfly:
    """The best of those trials that are best without inputs; a third of the time for each part."""
    found = best_architecture(
        padded, relative, budget, permutations=False, progress=share_of(tell, 0, 3)
    )
    trials = list(found.trials)  # the cheapest first
    if relative is None:
        trials.sort(key=lambda trial: (trial.relative_error, trial.nnz))
    best: tuple[Any, Butterfly] | None = None
    tried = trials[:_MOST_TRIALS]
    for n, trial in enumerate(tried, 1):
        F = _factorized(matrix, trial.architecture, inputs, relative)
        error = projection_error(matrix, F, inputs)
        key = (error, F.nnz) if relative is None else (error > relative, F.nnz, error)
        if best is None or key < best[0]:
            best = key, F
        share_of(tell, 1, 3)(n / len(tried))
    assert best is not None
    F = best[1]
    if relative is None:
        F = project(matrix, F.architecture, inputs, progress=share_of(tell, 2, 3))
    tell(1.0)
    return F


def projection_error(matrix: _Array, F: Butterfly, inputs: _Array | None) -> float:
    """Relative to the matrix in the Frobenius norm; with inputs, of the outputs for them."""
    # In units in which squares neither overflow nor vanish.
    matrix, exponent = scaled(matrix)
    rest = matrix - shifted(F.toarray()[: matrix.shape[0], : matrix.shape[1]], -exponent)
    if inputs is not None:
        inputs, _ = scaled(inputs)
        rest, matrix = rest @ inputs.T, matrix @ inputs.T
    size = float(np.linalg.norm(matrix))
    return float(np.linalg.norm(rest)) / size if size > 0 else 0.0


def _root_of_moments(inputs: _Array, architecture: Architecture) -> _Array | None:
    """For each block of the last factor's columns, a root of the second moments of its inputs."""
    last = architecture[-1]
    inputs, _ = scaled(inputs)
    size = float(np.mean(inputs**2))
    if not size > 0:
        return None
    padded = np.zeros((len(inputs), architecture.shape[1]))
    padded[:, : inputs.shape[1]] = inputs
    grid = padded.reshape(len(inputs), last.a, last.c, last.d).transpose(1, 3, 2, 0)
    blocks = grid.reshape(last.a * last.d, last.c, len(inputs))
    moments = blocks @ blocks.swapaxes(1, 2) / len(inputs) + _RIDGE * size * np.eye(last.c)
    values, vectors = np.linalg.eigh(moments)
    root: _Array = (vectors * np.sqrt(values)[:, None, :]) @ vectors.swapaxes(1, 2)
    return root


def _padded(matrix: _Array, shape: tuple[int, int]) -> _Array:
    padded = np.zeros(shape)
    padded[: matrix.shape[0], : matrix.shape[1]] = matrix
    return padded
