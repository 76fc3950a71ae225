"""What dense least squares says: the best matrix, its loss, and what any other adds to it.

With G = X X^H + ridge I and A the best matrix, every F has the loss of A plus
``||(A - F) G^(1/2)||^2``. D being the blocks of G that the last factor meets and ``mu`` the
smallest eigenvalue of ``D^(-1/2) G D^(-1/2)``, that is at least ``mu ||(A - F) D^(1/2)||^2``, the
weighted norm in which `factorize` has a lower bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg

from .._chains.architecture import Architecture
from .._util.interruptible import interruptibly
from ..factorization import factorize
from ..operators import Butterfly

_Array = np.ndarray[Any, Any]
#: Of G: solving with its root leaves half of the digits then, and doing so again for what is left
#: all of them.
_MOST_CONDITION = float(np.finfo(np.float64).eps) ** -0.5


@dataclass(frozen=True)
class DenseFit:
    """The best matrix, and an equivalent problem with at most as many samples as inputs.

    The loss of F is that of ``matrix`` plus ``||F inputs - outputs||^2``.
    """

    matrix: _Array
    inputs: _Array
    outputs: _Array
    loss: float
    rank: int
    roots: _Array | None  # of the blocks D, as lower triangles; None: they aren't used
    smallest: float  # the eigenvalue mu, or that of G without roots; less what rounding may add
    rounding: float  # of A, relative to its norm
    floor: float  # the loss, less what rounding may have added

    def projected(
        self, architecture: Architecture, order: Any = "auto"
    ) -> tuple[Butterfly | None, float]:
        """The butterfly closest to A in the norm of the blocks, and a bound on any one's loss."""
        roots = self.roots
        matrix = self.matrix
        if architecture.is_chainable:
            found = factorize(matrix, architecture, column_weights=roots, order=order)
        elif architecture.T.is_chainable:
            turned = None if roots is None else roots.swapaxes(-1, -2)
            found = factorize(matrix.T, architecture.T, row_weights=turned, order=order).T
        else:
            return None, self.floor
        report = found.report
        distance = max(0.0, report.lower_bound - self.rounding) * report.norm
        return found, self.floor + self.smallest * distance**2


def solve(x: _Array, y: _Array, ridge: float, architecture: Architecture) -> DenseFit:
    """Dense least squares for samples in the order of the factors' product."""
    n, count = x.shape
    if count >= n or ridge > 0:
        found = _by_cholesky(x, y, ridge, architecture)
        if found is not None:
            return found
    if ridge > 0:
        x = np.concatenate([x, np.sqrt(ridge) * np.eye(n, dtype=x.dtype)], axis=1)
        y = np.concatenate([y, np.zeros((len(y), n), y.dtype)], axis=1)
    return _by_singular_values(x, y)


def _by_cholesky(x: _Array, y: _Array, ridge: float, architecture: Architecture) -> DenseFit | None:
    """From the matrices of second moments; None where they have lost too many digits."""
    n, count = x.shape
    gram = interruptibly(_gram, x)
    gram[np.diag_indices(n)] += ridge
    last = architecture[-1]
    places = np.arange(n).reshape(last.a, last.c, last.d).transpose(0, 2, 1)
    numbers: _Array = places.reshape(-1, last.c)
    try:
        roots = interruptibly(np.linalg.cholesky, gram[numbers[:, :, None], numbers[:, None, :]])
        lower = interruptibly(np.linalg.cholesky, gram)
    except np.linalg.LinAlgError:
        return None
    of_blocks = float(np.linalg.cond(roots).max()) ** 2
    if of_blocks > _MOST_CONDITION:
        return None
    white = _whitened(lower, roots, numbers)
    sigma = interruptibly(np.linalg.eigvalsh, interruptibly(_gram, white))
    if sigma[0] <= 0 or of_blocks * sigma[-1] > _MOST_CONDITION * sigma[0]:
        return None
    eps = float(np.finfo(np.float64).eps)
    matrix = outputs = np.zeros((len(y), n), y.dtype)
    rest = y
    for _ in range(2):
        moments = interruptibly(np.matmul, rest, x.conj().T) - ridge * matrix
        step = _solved(lower, moments.conj().T, "N")
        outputs = outputs + step.conj().T
        matrix = matrix + _solved(lower, step, "C").conj().T
        rest = y - interruptibly(np.matmul, matrix, x)
    loss = float(np.linalg.norm(rest)) ** 2 + ridge * float(np.linalg.norm(matrix)) ** 2
    return DenseFit(
        np.ascontiguousarray(matrix),
        np.ascontiguousarray(lower),
        np.ascontiguousarray(outputs),
        loss,
        n,
        roots,
        max(0.0, float(sigma[0] - 10 * (n + count) * eps * sigma[-1])),
        (n + count) * eps * float(sigma[-1] / sigma[0]),
        _below(loss, matrix, x),
    )


def _gram(x: _Array) -> _Array:
    """The lower triangle of x x^H, at half of the cost of all of it."""
    name, turned = ("herk", 2) if x.dtype.kind == "c" else ("syrk", 1)
    product = scipy.linalg.get_blas_funcs(name, dtype=x.dtype)
    # BLAS has columns first: x is its transpose there, and the upper triangle the lower one.
    triangle: _Array = product(1.0, x.T, trans=turned, lower=0).T
    return triangle


def _whitened(lower: _Array, roots: _Array, numbers: _Array) -> _Array:
    """The inverse of the roots of the blocks times a root of G."""
    white = np.empty_like(lower)
    parts = interruptibly(np.linalg.solve, roots, lower[numbers])
    white[numbers] = parts
    return white


def _solved(lower: _Array, right: _Array, transposed: str) -> _Array:
    solved: _Array = interruptibly(
        scipy.linalg.solve_triangular, lower, right, trans=transposed, lower=True,
        check_finite=False,
    )  # fmt: skip
    return solved


def _by_singular_values(x: _Array, y: _Array) -> DenseFit:
    """From the singular values of X: any rank, all digits, some times slower."""
    n, count = x.shape
    eps = float(np.finfo(np.float64).eps)
    u, sigma, vh = interruptibly(np.linalg.svd, x, full_matrices=False)
    rank = int((sigma > max(n, count) * eps * sigma[0]).sum())
    u, sigma, vh = u[:, :rank], sigma[:rank], vh[:rank]
    outputs = interruptibly(np.matmul, y, vh.conj().T)
    matrix = interruptibly(np.matmul, outputs / sigma, u.conj().T)
    loss = float(np.linalg.norm(y - interruptibly(np.matmul, outputs, vh))) ** 2
    full = rank == n
    return DenseFit(
        matrix,
        np.ascontiguousarray(u * sigma),
        np.ascontiguousarray(outputs),
        loss,
        rank,
        None,
        max(0.0, float(sigma[-1] ** 2 * (1 - 1e-8))) if full else 0.0,
        (n + count) * eps * float(sigma[0] / sigma[-1]) if rank else 0.0,
        _below(loss, matrix, x),
    )


def _below(loss: float, matrix: _Array, x: _Array) -> float:
    """The loss of A, less what rounding in sums and decompositions of this size may have made."""
    sizes = float(np.linalg.norm(matrix)) * float(np.linalg.norm(x))
    rounding = 4 * sum(x.shape) * float(np.finfo(np.float64).eps) * sizes
    return max(0.0, float(np.sqrt(loss)) - rounding) ** 2
