"""What PyLops and pyproximal ask of operators beyond SciPy's interface."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._spectrum import eigs

_Array = np.ndarray[Any, Any]


class PylopsNames:
    """`explicit`, `eigs` and `apply_columns`, as `pylops.LinearOperator` has them."""

    explicit = False  # whether there is a dense matrix as the attribute A
    shape: tuple[int, int]

    def eigs(
        self, neigs: int | None = None, symmetric: bool = False, niter: int | None = None,
        **options: Any,
    ) -> _Array:  # fmt: skip
        """Return the eigenvalues of largest modulus, or singular values if it isn't square.

        Of operators of up to 64 rows or columns by LAPACK, from the dense matrix; else by ARPACK
        from a fixed start, so that the result is the same in every call. ARPACK finds singular
        values from the product with the adjoint: those below about 1e-8 of the largest are lost.

        Parameters
        ----------
        neigs : int, optional
            How many, at most as many as there are; all by default, but two of large operators
            (which ARPACK can't have).
        symmetric : bool, default False
            Whether the operator is symmetric (or Hermitian).
        niter : int, optional
            At most so many iterations.
        **options
            Passed on to `scipy.sparse.linalg.eigs` or `eigsh`: ``which``, ``tol``, ``v0``, ...

        Returns
        -------
        ndarray
            In descending order.

        Raises
        ------
        TypeError, ValueError
            For a neigs or niter that isn't a positive whole number, or a symmetric that isn't a
            bool.

        Examples
        --------
        >>> import papilio as pp
        >>> F = pp.transforms.dct(100, norm="ortho")
        >>> (F.T @ F).eigs(2, symmetric=True).round(12)
        array([1., 1.])
        >>> (2 * F)[:50].eigs(1).round(12)
        array([2.])
        """
        return eigs(self, neigs, symmetric, niter, options)

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
