"""What compress did and found out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from .._util.plotting import new_axes
from .._util.printed import Printed
from ._scheme import Scheme


class CompressionWarning(UserWarning):
    """The result of `compress` misses the tolerance that was asked for."""


@dataclass(frozen=True)
class CompressionReport(Printed):
    """What `compress` did and found out.

    Attributes
    ----------
    relative_error : float
        ``||A - F|| / ||A||`` (Frobenius norms), with the rounding of products in F's dtype: exact
        if `confidence` is 1, else an estimate.
    error_bound : float
        The error is at most this, with the probability `confidence`. For entries that were
        sampled it assumes that no error outside of the sample is, over its chance to be sampled,
        larger than 4 times the largest inside (docs/compress.md). For operators and where
        all entries were compared, nothing is assumed.
    samples : int
        Independent entries (for an operator: Gaussian vectors) behind the estimate, which are not
        those that the butterfly was built from; all entries if `confidence` is 1.
    tol : float
        What was asked for.
    shape : tuple of int
        Of the matrix.
    ranks : tuple of int
        The rank at each split.
    scheme : Scheme
        The trees: their depth and the levels that became factors.
    measured_ranks : dict of (int, int) to int
        Blocks of which size had which rank to about `tol`, before anything was built.
    entries : int
        How many entries were evaluated, all attempts and samples included.
    products : int
        How many products with the operator or its adjoint were made; 0 for entries.
    nbytes : int
        Bytes of the factors.
    attempts : int
        How often the factors were built: again, more finely, when the sampled error was too large.
    seconds : float
        Time of the whole call.
    confidence : float
        1 if all entries were compared: of at most 2^22, and of arrays of at most 2^28. Else 0.99,
        of all looks at the error that the call took together.
    rounding : float
        The part of both errors that is rounding: measured on some entries of the factors.
    """

    relative_error: float
    error_bound: float
    samples: int
    tol: float
    shape: tuple[int, int]
    ranks: tuple[int, ...]
    scheme: Scheme
    measured_ranks: dict[tuple[int, int], int]
    entries: int
    products: int
    nbytes: int
    attempts: int
    seconds: float
    confidence: float = 0.99
    rounding: float = 0.0

    @property
    def T(self) -> CompressionReport:
        """The report of the transposed operator about the transposed matrix."""
        return replace(
            self,
            shape=self.shape[::-1],
            ranks=self.ranks[::-1],
            scheme=self.scheme.T,
            measured_ranks={size[::-1]: rank for size, rank in self.measured_ranks.items()},
        )

    @property
    def reached(self) -> bool:
        """Whether the error is at most `tol`, with the probability `confidence`."""
        return self.error_bound <= self.tol

    def plot(self, ax: Any = None) -> Any:
        """Draw the rank at each split.

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
        >>> x = np.linspace(-3, 3, 512)
        >>> F = pp.compress(pp.kernels.nudft(2, x, 512), tol=1e-2)
        >>> ax = F.report.plot()  # doctest: +SKIP
        """
        ax = new_axes(ax)
        splits = range(1, len(self.ranks) + 1)
        ax.bar(splits, self.ranks)
        ax.set_xticks(splits)
        ax.set(xlabel="split", ylabel="rank", title=f"error at most {self.error_bound:.1e}")
        ax.grid(True, axis="y", alpha=0.3)
        return ax

    def __str__(self) -> str:
        rows, columns = self.shape
        of_dense = self.entries / (rows * columns)
        if self.confidence == 1:
            how = f"at most {self.error_bound:.2e} (all entries compared)"
        else:
            how = f"below {self.error_bound:.2e} with 99 % confidence ({self.samples} samples)"
        return "\n".join(
            [
                f"compression of a {rows} x {columns} matrix in {self.seconds:.3g} s"
                + (f", {self.attempts} attempts" if self.attempts > 1 else ""),
                f"  relative error  {self.relative_error:.2e}, {how}; "
                f"asked for: {self.tol:.2e}, " + ("reached" if self.reached else "NOT reached"),
                f"  ranks           {', '.join(map(str, self.ranks)) or 'dense'}",
                f"  entries         {self.entries} evaluated ({of_dense:.3g} of all)"
                + (f", {self.products} products" if self.products else ""),
                f"  memory          {self.nbytes / 2**20:.4g} MiB",
            ]
        )
