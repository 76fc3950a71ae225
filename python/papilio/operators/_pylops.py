"""What PyLops and pyproximal ask of operators beyond SciPy's interface."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse.linalg

_Array = np.ndarray[Any, Any]
_DENSE = 64  # up to this size the eigenvalues of the dense matrix take less time than ARPACK's


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
            How many; all but two (which ARPACK can't have) by default, all of small operators.
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
        square = rows == columns
        gram = operator if square else operator.H @ operator
        hermitian = symmetric or not square
        count = columns - 2 if neigs is None else neigs
        if columns <= _DENSE and not options:
            dense = gram.toarray()
            values = np.linalg.eigvalsh(dense) if hermitian else np.linalg.eigvals(dense)
            count = columns if neigs is None else neigs
            values = values[np.argsort(-abs(values), kind="stable")][:count]
        else:
            start = np.random.default_rng(0).standard_normal(columns).astype(operator.dtype)
            find = scipy.sparse.linalg.eigsh if hermitian else scipy.sparse.linalg.eigs
            values = find(
                gram, k=min(count, columns - 2), maxiter=niter, return_eigenvectors=False,
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
