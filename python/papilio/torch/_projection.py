"""The butterfly closest to a dense layer's weight, for a budget or a tolerance, and for inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from .._chains.architecture import Architecture
from .._util.checks import shown, tolerance
from ..factorization import best_architecture, factorize
from ..operators import Butterfly
from ._shapes import with_small_primes

_Array = np.ndarray[Any, Any]
_RIDGE = 1e-4  # of the inputs' mean square: what no calibration input excites counts a little
_MOST_TRIALS = 6  # architectures that are tried with calibration, the best without it first


@dataclass(frozen=True)
class LayerReport:
    """What `ButterflyLinear.from_linear` found.

    Attributes
    ----------
    architecture : Architecture
    dense, weights : int
        Weights of the dense layer and of this one, without biases.
    relative_error : float
        ``||W - F|| / ||W||`` in the Frobenius norm.
    output_error : float or None
        With calibration: ``||(W - F) X|| / ||W X||``, X being the calibration inputs.
    factorization : papilio.Report or None
        Of the factorization: its error in the norm that was asked for, and a lower bound.
    """

    architecture: Architecture
    dense: int
    weights: int
    relative_error: float
    output_error: float | None
    factorization: Any

    def __str__(self) -> str:
        error = f"{self.relative_error:.2e} of the weight"
        if self.output_error is not None:
            error += f", {self.output_error:.2e} of the outputs"
        return f"{self.dense} -> {self.weights} weights, error {error}"


def project(
    linear: Any, architecture: Any, params: Any, tol: Any, calibration: Any
) -> tuple[Butterfly, LayerReport]:
    """A butterfly for the layer's weight, padded to the architecture's shape."""
    if not isinstance(linear, torch.nn.Linear):
        raise TypeError(f"linear is {shown(linear)}, expected a torch.nn.Linear")
    if sum(given is not None for given in (architecture, params, tol)) > 1:
        raise ValueError("more than one of architecture, params and tol are given, expected one")
    if linear.weight.is_complex():
        raise TypeError(f"linear has a weight of {linear.weight.dtype}, expected real numbers")
    weight = linear.weight.detach().to("cpu", torch.float64).numpy()
    inputs = None if calibration is None else _inputs(calibration, weight.shape[1])
    if architecture is not None:
        if not isinstance(architecture, Architecture):
            raise TypeError(f"architecture is {shown(architecture)}, expected an Architecture")
        if any(own < of for own, of in zip(architecture.shape, weight.shape, strict=True)):
            raise ValueError(
                f"architecture has shape {architecture.shape}, expected at least {weight.shape}"
            )
        F = _projected(weight, architecture, inputs, None)
    else:
        F = _searched(weight, params, tol, inputs)
    return F, _report(weight, F, inputs)


def _inputs(calibration: Any, size: int) -> _Array:
    """Calibration inputs as the rows of an array."""
    if not isinstance(calibration, torch.Tensor):
        raise TypeError(f"calibration is {shown(calibration)}, expected a tensor of inputs")
    if calibration.ndim == 0 or calibration.shape[-1] != size or calibration.numel() == 0:
        raise ValueError(
            f"calibration has shape {tuple(calibration.shape)}, expected (..., {size}) with at "
            "least one input"
        )
    rows: _Array = calibration.detach().to("cpu", torch.float64).reshape(-1, size).numpy()
    if not np.isfinite(rows).all() or not rows.any():
        raise ValueError("calibration is zero or not finite, expected typical inputs")
    return rows


def _searched(weight: _Array, params: Any, tol: Any, inputs: _Array | None) -> Butterfly:
    relative = None if tol is None else tolerance(tol)
    budget = None
    if relative is None:
        share = tolerance(0.1 if params is None else params, "params")
        budget = max(1, int(share * weight.size))
    rows, columns = (with_small_primes(size) for size in weight.shape)
    padded = _padded(weight, (rows, columns))
    search = best_architecture(padded, relative, budget, permutations=False)
    if inputs is None:
        return search.butterfly
    trials = sorted(search.trials, key=lambda trial: (trial.relative_error, trial.nnz))
    if relative is not None:
        trials = list(search.trials)  # the cheapest first
    best: tuple[Any, Butterfly] | None = None
    for trial in trials[:_MOST_TRIALS]:
        F = _projected(weight, trial.architecture, inputs, relative)
        error = _error(weight, F, inputs)
        key = (error > relative, F.nnz, error) if relative is not None else (error, F.nnz)
        if best is None or key < best[0]:
            best = key, F
    assert best is not None
    return best[1]


def _projected(
    weight: _Array, architecture: Architecture, inputs: _Array | None, tol: float | None
) -> Butterfly:
    weights = None if inputs is None else _root_of_moments(inputs, architecture)
    padded = _padded(weight, architecture.shape)
    return factorize(padded, architecture, tol=tol, column_weights=weights)


def _root_of_moments(inputs: _Array, architecture: Architecture) -> _Array:
    """For each block of the last factor's columns, a root of the second moments of its inputs.

    Of a chainable architecture with a dense product: its last factor has d = 1.
    """
    last = architecture[-1]
    columns = inputs.shape[1]
    ridge = _RIDGE * float(np.mean(inputs**2))
    padded = np.zeros((len(inputs), architecture.shape[1]))
    padded[:, :columns] = inputs
    grid = padded.reshape(len(inputs), last.a, last.c, last.d).transpose(1, 3, 2, 0)
    blocks = grid.reshape(last.a * last.d, last.c, len(inputs))
    moments = blocks @ blocks.swapaxes(1, 2) / len(inputs) + ridge * np.eye(last.c)
    values, vectors = np.linalg.eigh(moments)
    root: _Array = (vectors * np.sqrt(values)[:, None, :]) @ vectors.swapaxes(1, 2)
    return root


def _padded(weight: _Array, shape: tuple[int, int]) -> _Array:
    padded = np.zeros(shape)
    padded[: weight.shape[0], : weight.shape[1]] = weight
    return padded


def _error(weight: _Array, F: Butterfly, inputs: _Array | None) -> float:
    rest = weight - F.toarray()[: weight.shape[0], : weight.shape[1]]
    if inputs is not None:
        rest, weight = rest @ inputs.T, weight @ inputs.T
    size = float(np.linalg.norm(weight))
    return float(np.linalg.norm(rest)) / size if size > 0 else 0.0


def _report(weight: _Array, F: Butterfly, inputs: _Array | None) -> LayerReport:
    return LayerReport(
        architecture=F.architecture,
        dense=weight.size,
        weights=F.nnz,
        relative_error=_error(weight, F, None),
        output_error=None if inputs is None else _error(weight, F, inputs),
        factorization=F.report,
    )
