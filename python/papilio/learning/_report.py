"""FitReport: what fit found out about samples and their butterfly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._util.plotting import new_axes
from .._util.printed import Printed


@dataclass(frozen=True)
class FitReport(Printed):
    """What `fit` found out.

    Losses are ``sum_s w_s ||y_s - F x_s||^2 + ridge ||F||^2`` over the samples that were fitted;
    infinite where they are above the largest number.

    Attributes
    ----------
    loss : float
        Of the result, computed from its factors.
    dense_loss : float
        The smallest loss of any matrix: that of dense least squares.
    lower_bound : float
        No matrix of the architecture has a smaller loss (up to rounding).
    relative_error : float
        ``sqrt(sum w ||y - F x||^2 / sum w ||y||^2)``, without the ridge.
    start_loss : float
        Of what the iteration started from.
    history : tuple of float
        The loss at the start and after each iteration.
    validation_history : tuple of float
        The mean squared residual of the samples held out, at the same times; empty without.
    iterations, evaluations : int
        Of L-BFGS; how often the loss and its gradients were computed.
    stopped : str
        ``"tol"``, ``"max_iterations"``, ``"validation"``, or ``"exact"``: nothing is left but
        rounding.
    samples : int
        How many were fitted.
    rank : int
        Of the matrix of samples X: what is outside of their span, F decides by itself.
    inputs : int
        Number of rows of X.
    certified_ratio : float
        Certificate: the loss is at most this many times the smallest possible one.
    seconds : float
        Time of the whole call.
    """

    loss: float
    dense_loss: float
    lower_bound: float
    relative_error: float
    start_loss: float
    history: tuple[float, ...]
    validation_history: tuple[float, ...]
    iterations: int
    evaluations: int
    stopped: str
    samples: int
    rank: int
    inputs: int
    certified_ratio: float  # of losses that may be above the largest number, or vanish
    seconds: float

    @property
    def T(self) -> None:
        """The transposed operator isn't what was fitted."""
        return None

    @property
    def reached(self) -> bool:
        """Whether it ended by itself, not by `max_iterations`."""
        return self.stopped != "max_iterations"

    def __str__(self) -> str:
        lines = [
            f"fit to {self.samples} samples in {self.seconds:.3g} s",
            f"  relative error   {self.relative_error:.3e}",
            f"  loss             {self.loss:.6e} (at the start {self.start_loss:.6e})",
            f"  dense loss       {self.dense_loss:.6e} (of the best matrix of all)",
            f"  lower bound      {self.lower_bound:.6e} (of any butterfly): "
            f"at most {self.certified_ratio:.4g} times the smallest possible loss",
            f"  iterations       {self.iterations} ({self.evaluations} evaluations), "
            f"stopped by {self.stopped}",
        ]
        if self.validation_history:
            lines.append(f"  held out         {min(self.validation_history):.6e} mean square")
        if self.rank < self.inputs:
            lines.append(
                f"  samples span     {self.rank} of {self.inputs} dimensions: they don't say what "
                "F does to the rest"
            )
        return "\n".join(lines)

    def plot(self, ax: Any = None) -> Any:
        """Draw the loss after each iteration, the dense loss and the lower bound.

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
        >>> import numpy as np
        >>> import papilio as pp
        >>> X = np.random.default_rng(0).standard_normal((8, 20))
        >>> F = pp.fit(X, np.cumsum(X, axis=0), pp.Architecture.square_dyadic(8))
        >>> ax = F.report.plot()  # doctest: +SKIP
        """
        ax = new_axes(ax)
        # Drawn in place of zero.
        floor = max(self.history) * float(np.finfo(float).eps) ** 2 or float(np.finfo(float).tiny)
        ax.semilogy([max(loss, floor) for loss in self.history], "o-", label="loss")
        ax.axhline(max(self.lower_bound, floor), color="black", ls="--", label="lower bound")
        ax.axhline(max(self.dense_loss, floor), color="gray", ls=":", label="dense least squares")
        if self.validation_history:
            other = ax.twinx()
            other.semilogy([max(v, floor) for v in self.validation_history], "C1")
            other.set_ylabel("mean square, held out", color="C1")
        ax.set(xlabel="iteration", ylabel="loss")
        ax.grid(True, alpha=0.3)
        ax.legend()
        return ax
