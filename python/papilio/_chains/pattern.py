"""Kronecker-sparse patterns: where the non-zeros of one factor may stand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse

from .. import _core
from .._util.checks import positive_int, shown
from . import drawing

_LARGEST = 2**63 - 1


def _sizes_of(other: Any) -> tuple[int, int, int, int]:
    if not isinstance(other, Pattern):
        raise TypeError(f"other is {shown(other)}, expected a Pattern")
    return other._sizes


class Pattern:
    """The support ``I_a (x) 1_{b x c} (x) I_d`` of one Kronecker-sparse factor.

    A factor with this pattern is held as a 4-D array ``values[i, j, k, l]`` of shape
    ``(a, b, c, d)``, whose entry stands at row ``i*b*d + j*d + l`` and column
    ``i*c*d + k*d + l`` of an ``(a*b*d) x (a*c*d)`` matrix.

    Parameters
    ----------
    a, b, c, d : int
        At least 1 each; ``a*b*c*d``, ``a*b*d`` and ``a*c*d`` must fit in 63 bits.

    Raises
    ------
    TypeError
        If one isn't a whole number.
    ValueError
        If one is below 1, or the sizes overflow.

    Examples
    --------
    >>> import papilio as pp
    >>> p = pp.Pattern(2, 2, 2, 1)
    >>> p.shape, p.nnz, p.density
    ((4, 4), 8, 0.5)
    >>> p.support().toarray().astype(int)
    array([[1, 1, 0, 0],
           [1, 1, 0, 0],
           [0, 0, 1, 1],
           [0, 0, 1, 1]])
    """

    __slots__ = ("_sizes",)
    _sizes: tuple[int, int, int, int]

    def __init__(self, a: int, b: int, c: int, d: int) -> None:
        sizes = (
            positive_int(a, "a"),
            positive_int(b, "b"),
            positive_int(c, "c"),
            positive_int(d, "d"),
        )
        if sizes[0] * sizes[1] * sizes[2] * sizes[3] > _LARGEST:
            raise ValueError(f"a, b, c, d are {sizes}, whose product overflows 64 bits")
        object.__setattr__(self, "_sizes", sizes)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("a Pattern is immutable")

    @property
    def a(self) -> int:
        """Number of diagonal blocks."""
        return self._sizes[0]

    @property
    def b(self) -> int:
        """Rows of each dense block."""
        return self._sizes[1]

    @property
    def c(self) -> int:
        """Columns of each dense block."""
        return self._sizes[2]

    @property
    def d(self) -> int:
        """Stride between the rows, and between the columns, of a dense block."""
        return self._sizes[3]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the factor: ``(a*b*d, a*c*d)``."""
        a, b, c, d = self._sizes
        return a * b * d, a * c * d

    @property
    def nnz(self) -> int:
        """Number of entries in the support: ``a*b*c*d``."""
        a, b, c, d = self._sizes
        return a * b * c * d

    @property
    def density(self) -> float:
        """The share of a dense matrix that the support fills: ``1 / (a*d)``."""
        return 1.0 / (self.a * self.d)

    @property
    def T(self) -> Pattern:
        """The transposed factor's pattern, ``(a, c, b, d)``."""
        a, b, c, d = self._sizes
        return Pattern(a, c, b, d)

    def chain_failure(self, other: Pattern) -> str:
        """Say why ``(self, other)`` isn't a chainable pair; empty if it is one.

        A pair is chainable if ``a1`` divides ``a2``, ``d2`` divides ``d1`` and
        ``a1*c1/a2 = b2*d2/d1`` is a whole number.

        Examples
        --------
        >>> import papilio as pp
        >>> pp.Pattern(2, 2, 2, 1).chain_failure(pp.Pattern(1, 2, 2, 2))
        'a1 = 2 does not divide a2 = 1'
        """
        return _core.chain_failure(self._sizes, _sizes_of(other))

    def is_chainable(self, other: Pattern) -> bool:
        """Tell whether ``(self, other)`` is a chainable pair; see `chain_failure`."""
        return not self.chain_failure(other)

    def rank(self, other: Pattern) -> int:
        """Return the number of paths that join each reachable pair of ``self * other``.

        It is the rank that a product of factors with these patterns allows to each block:
        ``r = a1*c1/a2``, and ``S_1 S_2 = r S_{1*2}`` for the supports.

        Raises
        ------
        ValueError
            If the pair isn't chainable, with the reason.

        Examples
        --------
        >>> import papilio as pp
        >>> pp.Pattern(1, 4, 3, 1).rank(pp.Pattern(1, 3, 4, 1))
        3
        """
        return _core.chain_rank(self._sizes, _sizes_of(other))

    def is_redundant(self, other: Pattern) -> bool:
        """Tell whether the pair expresses every matrix supported on ``self * other``.

        That is so if ``rank(self, other) >= min(b1, c2)``; merging the pair into one factor then
        loses nothing and saves parameters.

        Raises
        ------
        ValueError
            If the pair isn't chainable.

        Examples
        --------
        >>> import papilio as pp
        >>> pp.Pattern(1, 4, 4, 1).is_redundant(pp.Pattern(1, 4, 4, 1))
        True
        """
        return self.rank(other) >= min(self.b, other.c)

    def __mul__(self, other: Pattern) -> Pattern:
        """Return the product pattern; ValueError, with the reason, if the pair isn't chainable."""
        if not isinstance(other, Pattern):
            return NotImplemented
        return Pattern(*_core.chain_product(self._sizes, other._sizes))

    def fits_values(self, shape: tuple[int, ...]) -> bool:
        """Tell whether a factor's values may have this shape: (a, b, c, d), 1 where tied.

        Examples
        --------
        >>> import papilio as pp
        >>> p = pp.Pattern(4, 2, 2, 8)
        >>> p.fits_values((4, 2, 2, 8)), p.fits_values((1, 2, 2, 1)), p.fits_values((2, 2, 2, 8))
        (True, True, False)
        """
        if len(shape) != 4:
            return False
        a, b, c, d = shape
        return (b, c) == (self.b, self.c) and a in (1, self.a) and d in (1, self.d)

    def support(self) -> scipy.sparse.csr_array:
        """Return the support as a boolean `scipy.sparse.csr_array` with `nnz` entries.

        Examples
        --------
        >>> import papilio as pp
        >>> pp.Pattern(1, 2, 2, 2).support().indices
        array([0, 2, 1, 3, 0, 2, 1, 3]...)
        """
        a, b, c, d = self._sizes
        i, _, l, k = np.ogrid[:a, :b, :d, :c]
        columns = np.broadcast_to((i * c + k) * d + l, (a, b, d, c)).ravel()
        starts = np.arange(0, self.nnz + 1, c)
        return scipy.sparse.csr_array(
            (np.ones(self.nnz, dtype=bool), columns, starts), shape=self.shape
        )

    def plot(self, ax: Any = None) -> Any:
        """Draw the support: which entries of the factor may be non-zero.

        Of patterns with more than 512 rows or columns, the picture has a cell for several
        entries, which is marked where one of evenly spread entries lies in it.

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
        >>> import papilio as pp
        >>> ax = pp.Pattern(2, 2, 2, 4).plot()  # doctest: +SKIP
        """
        return drawing.plot_pattern(self._sizes, ax)

    def _repr_html_(self) -> str:
        return drawing.pattern_html(self._sizes, repr(self))

    def __iter__(self) -> Iterator[int]:
        return iter(self._sizes)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pattern) and self._sizes == other._sizes

    def __hash__(self) -> int:
        return hash(self._sizes)

    def __repr__(self) -> str:
        return f"Pattern{self._sizes}"

    def __reduce__(self) -> tuple[type[Pattern], tuple[int, int, int, int]]:
        return Pattern, self._sizes
