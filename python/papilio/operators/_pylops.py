"""What PyLops and pyproximal ask of operators beyond SciPy's interface."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse.linalg

from .._util.checks import positive_int

_Array = np.ndarray[Any, Any]
_OF_ARPACK = {"which", "tol", "v0", "ncv"}  # how it looks for those of largest modulus
_DENSE = 64  # up to this size the eigenvalues of the dense matrix take less time than ARPACK's


def _of_matrix(matrix: _Array, symmetric: bool) -> _Array:
    """All eigenvalues, those of largest modulus first, or singular values."""
    found: _Array
    if matrix.shape[0] != matrix.shape[1]:
        found = np.linalg.svd(matrix, compute_uv=False)
    else:
        found = np.linalg.eigvalsh(matrix) if symmetric else np.linalg.eigvals(matrix)
        found = found[np.argsort(-abs(found), kind="stable")]
    return found


class PylopsNames:
    """`explicit`, `eigs` and `apply_columns`, as `pylops.LinearOperator` has them."""

    explicit = False  # whether there is a dense matrix as the attribute A
    shape: tuple[int, int]

    def eigs(
        self, neigs: int | None = None, symmetric: bool = False, niter: int | None = None,
        **options: Any,
    ) -> _Array:  # fmt: skip
        """Return the eigenvalues of largest modulus, or singular values if it isn't square.

        By ARPACK from a fixed start, so that the result is the same in every call.

        Parameters
        ----------
        neigs : int, optional
            How many at most, at least 1; all but two (which ARPACK can't have) by default, all of
            operators of up to 64 rows and columns.
        symmetric : bool, default False
            Whether the operator is symmetric (or Hermitian).
        niter : int, optional
            At most so many iterations.
        **options
            Passed on to `scipy.sparse.linalg.eigs` or `eigsh`: ``which``, ``tol``, ``v0``, ...
            With ``which="LM"`` small operators need none of them.

        Returns
        -------
        ndarray
            In descending order. Singular values of large operators below the square root of the
            dtype's epsilon times the largest one are not resolved: they are roots of eigenvalues.

        Raises
        ------
        TypeError, ValueError
            If `neigs` is no whole number, or below 1, or an operator is too small for options.

        Examples
        --------
        >>> import papilio as pp
        >>> F = pp.transforms.dct(100, norm="ortho")
        >>> (F.T @ F).eigs(2, symmetric=True).round(12)
        array([1., 1.])
        >>> (2 * F)[:50].eigs(1).round(12)
        array([2.])
        """
        operator: Any = self
        rows, columns = self.shape
        count = None if neigs is None else positive_int(neigs, "neigs")
        chosen = options.get("which", "LM") != "LM" or not set(options) <= _OF_ARPACK
        size = min(rows, columns)
        if (max(rows, columns) <= _DENSE or size < 3) and not chosen:
            largest: _Array = -np.sort(-_of_matrix(operator.toarray(), symmetric)[:count])
            return largest
        if size < 3:
            raise ValueError(
                f"the operator has shape {self.shape}: {', '.join(options)} needs at "
                "least 3 rows and columns"
            )
        square = rows == columns
        tall = rows > columns
        gram = operator if square else operator.H @ operator if tall else operator @ operator.H
        start = np.random.default_rng(0).standard_normal(size).astype(operator.dtype)
        hermitian = symmetric or not square
        find = scipy.sparse.linalg.eigsh if hermitian else scipy.sparse.linalg.eigs
        values = find(
            gram, k=min(count or size, size - 2), maxiter=niter, return_eigenvectors=False,
            **({"v0": start} | options),
        )  # fmt: skip
        found: _Array = -np.sort(-(values if square else np.sqrt(np.maximum(values.real, 0))))
        return found

    def apply_columns(self, cols: Any) -> Any:
        """Return ``F[:, cols]``, the operator of some columns.

        Examples
        --------
        >>> import papilio as pp
        >>> pp.transforms.hadamard(8).apply_columns([1, 5]).shape
        (8, 2)
        """
        operator: Any = self
        return operator[:, np.atleast_1d(np.asarray(cols))]
