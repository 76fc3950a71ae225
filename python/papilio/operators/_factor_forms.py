"""FactorForms: random factors, and other factors of the same operator."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike

from .._chains.factors import Factors
from .._util.progress import Progress
from ._balance import balanced
from ._chain_operator import ChainOperator
from ._dims import shaped_as
from ._quantize import quantized
from ._random import random_factors


class FactorForms(ChainOperator):
    """What an operator that is nothing but its factors can be made of, and made into."""

    @classmethod
    def random(
        cls,
        architecture: Any,
        init: str = "orthogonal",
        *,
        gain: float = 1.0,
        dtype: DTypeLike = np.float64,
        seed: int | np.random.Generator = 0,
    ) -> Self:
        """Return a butterfly with random (or named) factors, scaled as learning needs it.

        Parameters
        ----------
        architecture : Architecture
            Need not be chainable.
        init : str, default "orthogonal"
            ``"orthogonal"``: Haar-distributed blocks with orthonormal rows or columns;
            ``"lecun"``, ``"he"``, ``"linear"``: independent normal entries for an output of 1, 2
            and 1/3 times the mean square of the input;
            ``"identity"``, ``"hadamard"``, ``"dft"``: these matrices, unitary ones, times `gain`;
            they need square blocks.
        gain : float, default 1.0
            How much longer the outputs are, root mean square. Each of L factors has the L-th root.
        dtype : dtype_like, default float64
            float32, float64, complex64 or complex128.
        seed : int or numpy.random.Generator, default 0

        Returns
        -------
        Butterfly
            Without permutations. ``"dft"`` is the transform with its columns in the order of
            `permutations.digit_reversal` of the radices.

        Raises
        ------
        TypeError, ValueError
            For what isn't an Architecture, an unknown init, a gain that isn't positive, or an
            architecture that init doesn't fit.

        Notes
        -----
        An output is a sum over the c inputs of its block. If the entries of factor l have
        variance ``s_l``, then ``Var(y) = Var(x) prod_l (c_l s_l)``, and gradients, which go back
        through the b outputs of each input, have ``Var(gx) = Var(gy) prod_l (b_l s_l)``. The
        variance here is ``s_l = g ** (2 / L) / c_l`` with ``g`` the gain (for ``"he"`` times
        sqrt(2), for ``"linear"`` divided by sqrt(3)), whatever the number of factors is; a
        variance of ``1 / (3 c_l)`` in each factor, the default of many layers, shrinks signals by
        ``3 ** -L``.

        Products of many normal factors are nearly singular: the entries of 2 x 2 chains have a
        kurtosis of ``3 ** L``. Products of square orthogonal blocks are orthogonal, all singular
        values of the whole being `gain`. Where ``b < c``, blocks have orthonormal rows, where
        ``b > c``, columns that are orthonormal times ``sqrt(b / c)``, so that
        ``s_l = gain ** (2 / L) / c_l``, too.

        Examples
        --------
        >>> import numpy as np
        >>> import papilio as pp
        >>> F = pp.Butterfly.random(pp.Architecture.square_dyadic(64), seed=1)
        >>> x = np.ones(64)
        >>> round(float(np.linalg.norm(F @ x)), 12)
        8.0
        >>> D = pp.Butterfly.random(pp.Architecture.mixed_radix([2, 3]), "dft", dtype=complex)
        >>> columns = pp.permutations.digit_reversal([2, 3])
        >>> bool(np.allclose(D.toarray(), np.fft.fft(np.eye(6), norm="ortho")[:, columns]))
        True
        """
        return cls._of_factors(random_factors(architecture, init, gain, dtype, seed))

    def balanced(self) -> Self:
        """Return the same operator with balanced factors: those of the smallest norms.

        Between neighbours X and Y stand blocks whose products alone matter: ``X G`` and
        ``inv(G) Y`` give the same. In balanced factors ``X^H X = Y Y^H`` on these blocks (for
        rank 1: columns are as long as the rows that they meet), at all splits at once.

        Returns
        -------
        Butterfly
            Of the same architecture; tied values are written out.

        Raises
        ------
        ValueError
            If neither the architecture nor its transpose is chainable, or a value isn't finite.
        OverflowError
            If balanced factors are above the largest number.

        Notes
        -----
        The sum of the factors' squared norms is the smallest one that any factors of the operator
        with this architecture have, so that weight decay acts on the operator and not on how it
        is divided; gradient flow keeps ``X^H X - Y Y^H`` as it is, hence balanced factors
        balanced. All factors then have the same Frobenius norm. Each split is balanced by the
        singular values of its blocks, one after the other, until nothing changes.

        Examples
        --------
        >>> import numpy as np
        >>> import papilio as pp
        >>> F = pp.Butterfly.random(pp.Architecture.square_dyadic(16), "lecun")
        >>> G = (F * 1000).balanced()
        >>> norms = [np.linalg.norm(values) for values in G.factors]
        >>> bool(np.allclose(norms, norms[0])), bool(np.allclose(G.toarray(), 1000 * F.toarray()))
        (True, True)
        """
        return shaped_as(self._of_factors(balanced(self.factors)), self)

    def quantize(self, to: Any, *, progress: Progress = False) -> Self:
        """Return the operator with factors rounded to few bits, jointly.

        A column of a factor and the row of the next one that it meets may be scaled against each
        other. So each column is rounded at that scale at which it keeps its direction best, its
        neighbour takes up the rest of the scale before it is rounded itself, and only one factor
        is rounded as it comes. Powers of two are moved between the factors first, so that it
        doesn't matter which of them has the scale of the product.

        Parameters
        ----------
        to : int or dtype_like
            How many significant bits each value (each part of a complex one) keeps, exponents
            being as they are; or float16 or float32, with their range, too.
        progress : bool or callable, default False
            True shows a bar (needs tqdm) if it takes longer than a second; a callable is called
            with the fraction done.

        Returns
        -------
        Butterfly
            In the operator's own dtype; tied values may be written out. Its `report` is a
            `Quantization` with the error, and that of rounding each value by itself, which is
            what is returned where it isn't larger.

        Raises
        ------
        TypeError, ValueError
            For what is neither a number of bits from 1 to the dtype's nor one of these dtypes, or
            values that aren't finite.
        OverflowError
            If the values are too large for the dtype, however the scale is divided.
        ImportError
            For ``progress=True`` without tqdm.

        Notes
        -----
        If a column x becomes xh, the best row for ``x y^T`` is the rounded ``mu y`` with ``mu =
        <xh, x> / ||xh||^2``, and the error is that of the direction of xh plus that of this
        rounding (docs/learning_fits.md). With two factors of rank 1 blocks don't overlap, and both
        are counted exactly for each scale that is tried. Scales are some hundred for each column,
        the original one among them, from left to right and from right to left. Time: that of some
        hundred roundings of all factors.

        Examples
        --------
        >>> import papilio as pp
        >>> F = pp.Butterfly.random(pp.Architecture.square_dyadic(64), seed=2)
        >>> report = F.quantize(6).report
        >>> report.relative_error < 0.7 * report.naive_error
        True
        """
        factors, report = quantized(self.factors, to, self._distance, progress)
        return shaped_as(self._of_factors(factors, report), self)

    def _distance(self, factors: Factors) -> float:
        """The error of other factors, relative to this operator, in the Frobenius norm."""
        if all(np.array_equal(x, y) for x, y in zip(self.factors, factors, strict=True)):
            return 0.0
        wide = np.result_type(self.dtype, np.float64)
        own = self._of_factors(self.factors.astype(wide))
        whole = float(own.norm())
        rest = own - self._of_factors(factors.astype(wide))
        error = float(rest.norm())
        return error / whole if whole > 0 else 0.0 if error == 0 else np.inf
