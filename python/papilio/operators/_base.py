"""Operator: the interface of every linear operator of papilio."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .._chains.scaling import scaled, shifted
from .._util.arrays import column_ranges, unit_columns
from .._util.checks import generator, length, shown, whole_number
from .._util.progress import Progress
from ._differentiable import Differentiable
from ._drawing import Drawn
from ._norms import norm
from ._pylops import PylopsNames
from ._scalar import Scalar, as_scalar
from ._stored import Stored

if TYPE_CHECKING:
    from ._plan import Plan

_Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Family:
    """How operators make others of them: given by the room, since the results are Operators."""

    product: Callable[[Any, Any], Any]
    total: Callable[[Any, Any], Any]
    scaled: Callable[[Any, Scalar], Any]
    power: Callable[[Any, int], Any]
    selected: Callable[[Any, Any], Any]
    part_of_complex: Callable[[Any, int], Any]
    composition: Callable[[Any], Any]
    plan: Callable[[Any, Any, Any, Any, Any], Any]
    save: Callable[[Any, Any, Any], None]


class Operator(Stored, Drawn, PylopsNames, Differentiable):
    """A linear operator: `Butterfly`, `Composition`, `Section`, and what arithmetic makes of them.

    It is a `scipy.sparse.linalg.LinearOperator` that multiplies arrays of any number of axes from
    both sides. Operators are immutable.

    See Also
    --------
    Butterfly, Composition, Section

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> F, G = pp.transforms.dct(8), pp.transforms.hadamard(8)
    >>> x = np.arange(8.0)
    >>> bool(np.allclose((2 * F @ G - F.T) @ x, 2 * (F @ (G @ x)) - F.T @ x))
    True
    >>> F[:3, ::2].shape, float((G**2)[0, 0]), np.asarray(F).shape
    ((3, 4), 8.0, (8, 8))
    """

    _family: ClassVar[Family]

    # ------------------------------------------------------------------ what it is made of

    @property
    def nnz(self) -> int:
        """Number of entries of all factors: multiply-adds per product."""
        raise NotImplementedError

    @property
    def nbytes(self) -> int:
        """Bytes of all stored values."""
        raise NotImplementedError

    def inv(self) -> Operator:
        """Return the inverse, where it is known exactly.

        Raises
        ------
        ValueError
            If the operator is singular, not square or has no exact inverse of this kind.

        Examples
        --------
        >>> import numpy as np
        >>> import papilio as pp
        >>> F = 2 * pp.transforms.dct(8)
        >>> bool(np.allclose(F.inv() @ (F @ np.arange(8.0)), np.arange(8.0)))
        True
        """
        raise ValueError(f"{self!r} has no exact inverse")

    def plan(
        self,
        batch: int = 1,
        *,
        layout: str = "columns",
        tune: bool = False,
        progress: Progress = False,
    ) -> Plan:
        """Tell in words how a product with so many vectors runs; see `papilio.plan`.

        Examples
        --------
        >>> import papilio as pp
        >>> print(pp.transforms.hadamard(64).plan())  # doctest: +ELLIPSIS
        64 x 64, batch of about 1, ...
          SIMD vectors of ... elements along each vector; 1 vectors go through all stages together
          stage 1: ...
        """
        plan: Plan = self._family.plan(self, batch, layout, tune, progress)
        return plan

    # ------------------------------------------------------------------ arithmetic

    def _times(self, other: Any) -> Any:
        return self._family.product(self, other)

    def _after(self, other: Any) -> Any:
        return self._family.product(other, self)

    def __add__(self, other: Any) -> Any:
        """Return the sum with an operator or a matrix (`Butterfly` tells when it is one)."""
        return self._family.total(self, other)

    def __radd__(self, other: Any) -> Any:
        """Return the sum with an operator or a matrix."""
        return self._family.total(other, self)

    def __sub__(self, other: Any) -> Any:
        """Return ``self + (-other)``."""
        return self + (-other)

    def __rsub__(self, other: Any) -> Any:
        """Return ``other + (-self)``."""
        return other + (-self)

    def __mul__(self, other: Any) -> Any:
        """Return the operator times a number, or what ``@`` gives for anything else."""
        number = as_scalar(other)
        return self @ other if number is None else self._scaled(number)

    def __rmul__(self, other: Any) -> Any:
        """Return the operator times a number, or what ``@`` gives for anything else."""
        return self * other if np.ndim(other) == 0 else other @ self

    def __truediv__(self, other: Any) -> Any:
        """Return the operator divided by a number."""
        number = as_scalar(other)
        return NotImplemented if number is None else self._scaled(number.reciprocal())

    def _scaled(self, number: Scalar) -> Any:
        return self._family.scaled(self, number)

    def __neg__(self) -> Any:
        """Return the operator times -1."""
        return self * -1

    def __pow__(self, exponent: Any) -> Any:
        """Return the operator applied so many times; negative powers are those of `inv`."""
        return self._family.power(self, whole_number(exponent, "exponent"))

    def __getitem__(self, key: Any) -> Any:
        """Return some rows and columns: ``F[rows, columns]``, each a slice, indices or a mask.

        Two slices or lists give an operator; a number in place of one gives the row or column as
        an array, two numbers give an entry.
        """
        return self._family.selected(self, key)

    @property
    def real(self) -> Any:
        """The real part of the matrix, as an operator (itself if it is real).

        Examples
        --------
        >>> import papilio as pp
        >>> pp.transforms.dft(4).real.toarray()[1]
        array([ 1.,  0., -1.,  0.])
        """
        return self._family.part_of_complex(self, 0)

    @property
    def imag(self) -> Any:
        """The imaginary part of the matrix, as an operator of real dtype.

        Examples
        --------
        >>> import papilio as pp
        >>> pp.transforms.dft(4).imag.toarray()[1] + 0.0
        array([ 0., -1.,  0.,  1.])
        """
        return self._family.part_of_complex(self, 1)

    # ------------------------------------------------------------------ numbers

    def toarray(self, dtype: Any = None) -> NDArray[Any]:
        """Return the dense matrix: a new array of ``shape[0] * shape[1]`` entries.

        Parameters
        ----------
        dtype : dtype_like, optional
            Another dtype for its entries, as for `astype`.

        Examples
        --------
        >>> import papilio as pp
        >>> pp.transforms.hadamard(2).toarray()
        array([[ 1.,  1.],
               [ 1., -1.]])
        """
        F = self if dtype is None else self.astype(dtype)
        taken = F._unit_dtype()
        dense = np.empty(F.shape, F._given(taken))
        for start, stop in column_ranges(F.shape, F.dtype.itemsize):
            F.apply(unit_columns(F.shape[1], start, stop, taken), out=dense[:, start:stop])
        return dense

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> _Array:
        """The dense matrix, for NumPy's functions: ``numpy.asarray(F)`` is ``F.toarray()``."""
        if copy is False:
            raise ValueError("copy is False, but an operator's dense matrix is always a new array")
        dense = self.toarray()
        return dense if dtype is None else dense.astype(dtype, copy=False)

    def norm(self, ord: Any = "fro") -> float:
        """Return a norm of the matrix.

        Parameters
        ----------
        ord : {"fro", 1, 2, inf}, default "fro"
            Frobenius norm, largest sum of moduli along a column (1) or a row (inf), or the largest
            singular value (2; by Lanczos iterations to about the dtype's precision).

        Returns
        -------
        float

        Raises
        ------
        ValueError
            For another ord.

        Notes
        -----
        The Frobenius norm of a `Butterfly` comes from an orthonormalized chain, in O(n r^2 log n)
        operations. Others are computed from the columns, some MiB of them at a time.

        Examples
        --------
        >>> import papilio as pp
        >>> F = pp.transforms.hadamard(64)
        >>> round(F.norm(), 10), round(F.norm(2), 10), F.norm(1)
        (64.0, 8.0, 64.0)
        """
        return norm(self, ord)

    def dottest(self, *, batch: int = 1, seed: Any = 0) -> float:
        """Return how far products from both sides differ: ``<F x, y>`` from ``<x, F.H y>``.

        Of what is linear over the real numbers only, the real parts of these are compared.

        Parameters
        ----------
        batch : int, default 1
            Number of pairs of random vectors that are tried.
        seed : int or numpy.random.Generator, default 0

        Returns
        -------
        float
            The largest difference relative to ``||F x|| ||y||``: about the dtype's epsilon times
            the number of factors, for any operator whose products are right.

        Raises
        ------
        TypeError, ValueError
            For a batch that isn't a positive whole number, or another seed.

        Examples
        --------
        >>> import papilio as pp
        >>> pp.transforms.dct(100).dottest() < 1e-14
        True
        """
        batch = length(batch, "batch")
        rng = generator(seed)
        x = _noise(rng, (self.shape[1], batch), self._domain())
        product = self.apply(x)
        y = _noise(rng, product.shape, product.dtype)
        back = self._adjoint().apply(y)
        # Both times a power of two, so that squares neither overflow nor vanish.
        wide = np.result_type(product.dtype, back.dtype, np.float64)
        _, exponent = scaled(np.concatenate((product.ravel(), back.ravel())))
        product, back = (shifted(values.astype(wide), -exponent) for values in (product, back))
        left = np.einsum("ij,ij->j", y.conj(), product)
        right = np.einsum("ij,ij->j", back.conj(), x)
        if not self.clinear:
            left, right = left.real, right.real
        size = np.linalg.norm(product, axis=0) * np.linalg.norm(y, axis=0)
        return float((np.abs(left - right) / np.where(size > 0, size, 1)).max())


def _noise(rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any]) -> _Array:
    noise = rng.standard_normal(shape)
    if dtype.kind == "c":
        noise = noise + 1j * rng.standard_normal(shape)
    return noise.astype(dtype)


def checked_operator(F: Any, name: str = "F") -> Operator:
    """Return an argument that is an Operator, or raise naming it."""
    if not isinstance(F, Operator):
        raise TypeError(f"{name} is {shown(F)}, expected an operator of papilio")
    return F
