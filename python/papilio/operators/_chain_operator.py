"""ChainOperator: what can be done with an operator in the space of its factors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from .._chains.drawing import chain_html
from .._chains.factors import Factors
from .._chains.scaling import times_powers
from .._util.checks import whole_number
from .._util.progress import Progress
from ._base import Operator
from ._dims import shaped_as
from ._drawing import Picture, factor_pictures
from ._rounding import frobenius_norm, orthonormalized, round_ranks
from ._scalar import Scalar
from ._simplify import Simplification, simplify

_Array = np.ndarray[Any, Any]


class ChainOperator(Operator):
    """An operator that is a chain of factors: rounding, orthonormal forms, norms, sums, scaling."""

    @property
    def factors(self) -> Factors:
        """The factors, left to right."""
        raise NotImplementedError

    @classmethod
    def _of_factors(
        cls,
        factors: Factors,
        report: Any = None,
        simplification: Simplification | None = None,
    ) -> Self:
        raise NotImplementedError

    def _with_values(self, values: list[_Array]) -> Self:
        raise NotImplementedError

    def with_factors(self, factors: Sequence[ArrayLike]) -> Self:
        """Return the operator with other values: same architecture, permutations and dtype.

        Nothing but copies of the values is made; products are compiled when they are first asked
        for, and gradients (`vjp`) need none of that.

        Parameters
        ----------
        factors : sequence of array_like
            As many arrays as the operator's `factors`, of the same shapes. They are copied, and
            converted to the operator's dtype.

        Raises
        ------
        TypeError
            For values that aren't numeric, or complex ones for a real operator.
        ValueError
            For another number of factors, or other shapes.

        Examples
        --------
        >>> import numpy as np
        >>> import papilio as pp
        >>> F = pp.Butterfly([np.ones((1, 2, 2, 2)), np.ones((2, 2, 2, 1))])
        >>> F.with_factors([0.5 * W for W in F.factors]) @ np.arange(4.0)
        array([1.5, 1.5, 1.5, 1.5])
        """
        values = self.factors.replacements(factors, "factors")
        return shaped_as(self._with_values(values), self)

    def __add__(self, other: Any) -> Any:
        """Return a butterfly of summed ranks if radices and permutations agree, else the sum.

        `round` lowers the ranks again.
        """
        if isinstance(other, ChainOperator) and self.shape == other.shape:
            own, others = self.factors, other.factors
            alike = own.has_radices_of(others)
            if alike or own.T.has_radices_of(others.T):
                total = self._of_factors(own + others if alike else (own.T + others.T).T)
                return shaped_as(total, self) if self.dims == other.dims else total
        return super().__add__(other)

    def _scaled(self, number: Scalar) -> Any:
        own = self.factors
        first, *rest = (array.astype(number.promoted(self.dtype)) for array in own.values)
        exponents = [number.exponent, *[0] * len(rest)]
        values = tuple(times_powers([number.times(first), *rest], exponents))
        return shaped_as(self._of_factors(replace(own, values=values)), self)

    def simplify(self, tol: float | None = None, *, progress: Progress = False) -> Self:
        """Return the operator with factors that are tied and structured again.

        The freedom between neighbours (a diagonal matrix and its inverse) is used up first: rows
        or columns of the factors are scaled so that their first entries are 1. Then values that
        repeat along a or d within the tolerance are stored once, factors close to a Hadamard or
        Fourier matrix times twiddles become exactly that, and values close to a root of unity
        become exact. Products with such factors take additions and twiddles only.

        Parameters
        ----------
        tol : float, optional
            How far each of these steps may change a value, relative to itself: what is small may
            be right. It becomes zero only where it is negligible in its row and its column of its
            block, and values repeat then that did not. Where large and small values meet in the
            product so that a row or a column would change by more, factors stay as they are.
            Default: the dtype's epsilon to the power 3/4, for factors that only rounding has
            disturbed.
        progress : bool or callable, default False
            True shows a bar (tqdm) for a run of more than a second; a callable is called with the
            fraction done, from 0 to 1.

        Returns
        -------
        Butterfly
            Its `simplification` tells what was changed and by how much.

        Raises
        ------
        TypeError, ValueError
            For a tol that isn't a finite number of at least 0, or a factor with NaN or infinity.

        Notes
        -----
        Memory: some copies of the untied factors in double precision while it runs.

        Examples
        --------
        >>> import papilio as pp
        >>> H = pp.transforms.hadamard(64)
        >>> F = pp.factorize(H.toarray(), pp.Architecture.square_dyadic(64))
        >>> F.nbytes, F.simplify().nbytes
        (6144, 192)
        """
        factors, simplification = simplify(self.factors, tol, progress)
        return shaped_as(self._of_factors(factors, simplification=simplification), self)

    def round(
        self,
        tol: float | None = None,
        *,
        max_rank: int | None = None,
        progress: Progress = False,
    ) -> Self:
        """Return a butterfly with the same radices and the smallest ranks that tol allows.

        A sweep of QR factorizations from the right to the left makes the blocks of all factors but
        the first orthonormal; a sweep of truncated SVDs back lowers the ranks. The matrix is never
        formed: O(n r^2 log n) operations. The error is at most ``sqrt(L-1)`` times the smallest
        possible one at these ranks (docs/guarantees.md), as in TT rounding.

        Parameters
        ----------
        tol : float, optional
            Relative error in the Frobenius norm that is allowed, below 1. Default: only what
            rounding made is dropped.
        max_rank : int, optional
            No rank above this; the report says whether `tol` was met all the same.
        progress : bool or callable, default False
            True shows a bar (tqdm) for a run of more than a second; a callable is called with the
            fraction done, from 0 to 1.

        Returns
        -------
        Butterfly
            With a `report` about the rounding. Memory: three times `nbytes` while it runs.

        Raises
        ------
        ValueError
            If neither the architecture nor its transpose is chainable, a value isn't finite, for
            a tol that is negative or at least 1, or a max_rank below 1.
        TypeError
            For a tol that isn't a number, a max_rank that isn't a whole one or a wrong `progress`.
        ImportError
            For ``progress=True`` without tqdm.
        OverflowError
            If the new factors can't hold the operator: products close to the largest number to
            the power of the number of factors.

        Examples
        --------
        >>> import papilio as pp
        >>> F = pp.transforms.hadamard(16)
        >>> (F + F).architecture.ranks
        (2, 2, 2)
        >>> (F + F).round(1e-12).architecture.ranks
        (1, 1, 1)
        """
        factors, report = round_ranks(self.factors, tol, max_rank, progress)
        return shaped_as(self._of_factors(factors, report), self)

    def orthonormalize(self, centre: int = 0) -> Self:
        """Return the same matrix with orthonormal factors around factor number `centre`.

        In all factors before it the columns of each block are orthonormal, in all after it the
        rows; the product of those before (after) then has orthonormal columns (rows) too, and
        the Frobenius norm of the matrix is that of the centre. Ranks above the size of a block
        become that size.

        Parameters
        ----------
        centre : int, default 0
            Counted as in `factors`; negative from the end.

        Raises
        ------
        ValueError
            If neither the architecture nor its transpose is chainable, a value isn't finite, or
            there is no such factor.
        OverflowError
            If the norm, which is that of the new centre, is above the largest number.

        Examples
        --------
        >>> import numpy as np
        >>> import papilio as pp
        >>> F = pp.transforms.hadamard(16).orthonormalize(1)
        >>> round(float(np.linalg.norm(F.factors[1])), 12)
        16.0
        """
        factors = orthonormalized(self.factors, whole_number(centre, "centre"))
        return shaped_as(self._of_factors(factors), self)

    def _pictures(self) -> list[Picture]:
        return [*factor_pictures(self), *super()._pictures()]

    def _repr_html_(self) -> str:
        return chain_html(self.factors.architecture, repr(self))

    def norm(self, ord: Any = "fro") -> float:
        """Return a norm of the matrix; see `Operator.norm`.

        Examples
        --------
        >>> import papilio as pp
        >>> round(pp.transforms.hadamard(64).norm(), 10)
        64.0
        """
        if isinstance(ord, str) and ord == "fro":
            found = frobenius_norm(self.factors)
            if found is not None:
                return found
        return super().norm(ord)
