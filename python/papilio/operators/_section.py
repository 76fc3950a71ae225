"""Section: the leading rows and columns of a Butterfly, for sizes that have no radices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.linalg import LinearOperator

from .._chains.architecture import Architecture
from .._util.checks import axis_number, shape_pair, shown
from .._util.dtypes import as_array, is_scalar, promoted
from ._butterfly import Butterfly, dense_array, with_axes
from ._pickling import reduced

if TYPE_CHECKING:
    from ..compression import CompressionReport

_Array = np.ndarray[Any, Any]


class Section(LinearOperator):  # type: ignore[misc]
    """The leading rows and columns of a Butterfly, as a linear operator.

    The rows and columns of a chain of factors are products of radices. An operator of any other
    size is a section of a slightly larger one: vectors are padded with zeros, and what is beyond
    the section is cut off.

    Parameters
    ----------
    butterfly : Butterfly
        The larger operator.
    shape : (int, int)
        At most that of `butterfly`.

    Raises
    ------
    TypeError, ValueError
        For another kind of operator or a shape that isn't inside.

    Notes
    -----
    A product copies its input once, padded, and what is inside of the larger operator's output;
    both are freed. `out` is therefore not an argument.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> S = pp.Section(pp.transforms.hadamard(8), (5, 7))
    >>> S @ np.ones(7)
    array([ 7.,  1.,  1., -1.,  1.])
    >>> (S.T @ np.ones((5, 2))).shape
    (7, 2)
    """

    def __init__(self, butterfly: Butterfly, shape: tuple[int, int]) -> None:
        if not isinstance(butterfly, Butterfly):
            raise TypeError(f"butterfly is {shown(butterfly)}, expected a Butterfly")
        inside = shape_pair(shape)
        if inside[0] > butterfly.shape[0] or inside[1] > butterfly.shape[1]:
            raise ValueError(f"shape is {inside}, expected at most {butterfly.shape}")
        self.butterfly = butterfly
        super().__init__(butterfly.dtype, inside)

    @property
    def architecture(self) -> Architecture:
        """The patterns of the larger operator's factors."""
        return self.butterfly.architecture

    @property
    def nnz(self) -> int:
        """Multiply-adds per product."""
        return self.butterfly.nnz

    @property
    def nbytes(self) -> int:
        """Bytes of all stored values."""
        return self.butterfly.nbytes

    @property
    def report(self) -> CompressionReport | None:
        """What `compress` found out; None for an operator made in another way."""
        return cast("CompressionReport | None", self.butterfly.report)

    def apply(self, x: ArrayLike, axis: int = 0) -> _Array:
        """Multiply every vector along an axis of x, as `Butterfly.apply` does.

        Returns a new C-contiguous array.

        Examples
        --------
        >>> import numpy as np
        >>> import papilio as pp
        >>> S = pp.Section(pp.transforms.hadamard(4), (3, 3))
        >>> S.apply(np.ones((2, 3)), axis=1)
        array([[3., 1., 1.],
               [3., 1., 1.]])
        """
        array = as_array(x, "x")
        axis = axis_number(axis, array.ndim)
        if array.shape[axis] != self.shape[1]:
            raise ValueError(
                f"x has shape {array.shape}, expected length {self.shape[1]} along axis {axis}: "
                f"the operator has shape {self.shape}"
            )
        shape = list(array.shape)
        shape[axis] = self.butterfly.shape[1]
        padded = np.zeros(shape, np.result_type(self.dtype, promoted(array.dtype, "x")))
        inside = (slice(None),) * axis
        padded[(*inside, slice(self.shape[1]))] = array
        product = self.butterfly.apply(padded, axis=axis)
        if product.shape[axis] == self.shape[0]:
            return product
        # A copy: a view would keep all of the padded result.
        return product[(*inside, slice(self.shape[0]))].copy(order="K")

    def __matmul__(self, x: Any) -> Any:
        """Return ``S @ x``: x a vector, or vectors along the last axis but one."""
        if isinstance(x, LinearOperator) or is_scalar(x):
            return super().__matmul__(x)
        array = with_axes(x)
        return self.apply(array, max(array.ndim - 2, 0))

    def __rmatmul__(self, x: Any) -> Any:
        """Return ``x @ S``: x a vector, or vectors along the last axis."""
        if isinstance(x, LinearOperator) or is_scalar(x):
            return super().__rmatmul__(x)
        return self._transpose().apply(with_axes(x), -1)

    def _matvec(self, x: _Array) -> _Array:
        return self.apply(x, 0 if x.shape[-1:] == (1,) and x.ndim == 2 else x.ndim - 1)

    def _rmatvec(self, x: _Array) -> _Array:
        return self._adjoint()._matvec(x)

    def _matmat(self, x: _Array) -> _Array:
        return self.apply(x, x.ndim - 2)

    def _rmatmat(self, x: _Array) -> _Array:
        return self._adjoint()._matmat(x)

    def _transpose(self) -> Section:
        return Section(self.butterfly.T, self.shape[::-1])

    def _adjoint(self) -> Section:
        return Section(self.butterfly.H, self.shape[::-1])

    def conj(self) -> Section:
        """The complex conjugate.

        Examples
        --------
        >>> import papilio as pp
        >>> pp.Section(pp.transforms.dft(4), (3, 3)).conj().shape
        (3, 3)
        """
        return Section(self.butterfly.conj(), self.shape)

    def toarray(self) -> NDArray[Any]:
        """Return the dense matrix: a new array.

        Examples
        --------
        >>> import papilio as pp
        >>> pp.Section(pp.transforms.hadamard(4), (2, 3)).toarray()
        array([[ 1.,  1.,  1.],
               [ 1., -1.,  1.]])
        """
        return self.apply(np.eye(self.shape[1], dtype=self.dtype))

    def _state(self) -> tuple[Any, ...]:
        return self.butterfly, self.shape

    @classmethod
    def _from_state(cls, *state: Any) -> Section:
        return cls(*state)

    def __reduce__(self) -> tuple[Any, ...]:
        return reduced(self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> _Array:
        """The dense matrix, for NumPy's functions: ``numpy.asarray(S)`` is ``S.toarray()``."""
        return dense_array(self, dtype, copy)

    def __repr__(self) -> str:
        rows, columns = self.shape
        return f"<Section {rows}x{columns} of {self.butterfly!r}>"
