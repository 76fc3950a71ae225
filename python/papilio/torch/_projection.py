"""The butterfly closest to a dense layer's weight, for a budget or a tolerance, and for inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from .._chains.architecture import Architecture
from .._util.checks import shown
from .._util.printed import Printed
from .._util.progress import Progress
from ..learning import project as nearest
from ..learning import projection_error, search
from ..operators import Butterfly

_Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class LayerReport(Printed):
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
    factorization : papilio.Report or papilio.FitReport
        Of the factorization, or with calibration of the fit: its error in the norm that was asked
        for, and a lower bound.
    """

    architecture: Architecture
    dense: int
    weights: int
    relative_error: float
    output_error: float | None
    factorization: Any

    def plot(self, ax: Any = None) -> Any:
        """Draw the report of the factorization or the fit.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure otherwise.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ImportError
            Without Matplotlib.

        Examples
        --------
        >>> import torch
        >>> import papilio.torch as pt
        >>> layer = pt.ButterflyLinear.from_linear(torch.nn.Linear(64, 64), params=0.2)
        >>> ax = layer.report.plot()  # doctest: +SKIP
        """
        return self.factorization.plot(ax)

    def __str__(self) -> str:
        error = f"{self.relative_error:.2e} of the weight"
        if self.output_error is not None:
            error += f", {self.output_error:.2e} of the outputs"
        return f"{self.dense} -> {self.weights} weights, error {error}"


def project(
    linear: Any, architecture: Any, params: Any, tol: Any, calibration: Any, progress: Progress
) -> tuple[Butterfly, LayerReport]:
    """A butterfly for the layer's weight, padded to the architecture's shape."""
    if not isinstance(linear, torch.nn.Linear):
        raise TypeError(f"linear is {shown(linear)}, expected a torch.nn.Linear")
    if sum(given is not None for given in (architecture, params, tol)) > 1:
        raise ValueError("more than one of architecture, params and tol are given, expected one")
    if linear.weight.is_complex():
        raise TypeError(f"linear has a weight of {linear.weight.dtype}, expected real numbers")
    if isinstance(linear.weight, torch.nn.UninitializedParameter) or linear.weight.is_meta:
        raise ValueError("linear has a weight without values, expected one that has them")
    weight = linear.weight.detach().to("cpu", torch.float64).numpy()
    if not np.isfinite(weight).all():
        raise ValueError(
            "linear.weight has values that are NaN or infinite, expected finite numbers"
        )
    inputs = None if calibration is None else _inputs(calibration, weight.shape[1])
    if architecture is not None:
        if not isinstance(architecture, Architecture):
            raise TypeError(f"architecture is {shown(architecture)}, expected an Architecture")
        if any(own < of for own, of in zip(architecture.shape, weight.shape, strict=True)):
            raise ValueError(
                f"architecture has shape {architecture.shape}, expected at least {weight.shape}"
            )
        F = nearest(weight, architecture, inputs, progress=progress)
    else:
        F = search(weight, 0.1 if params is None else params, tol, inputs, progress)
    return F, LayerReport(
        architecture=F.architecture,
        dense=weight.size,
        weights=F.nnz,
        relative_error=projection_error(weight, F, None),
        output_error=None if inputs is None else projection_error(weight, F, inputs),
        factorization=F.report,
    )


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
