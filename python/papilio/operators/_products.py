"""Products: how every operator multiplies arrays, and what SciPy asks of it."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse.linalg import LinearOperator

from .._util.arrays import (
    is_dask_array,
    is_foreign_operator,
    is_tensor,
    result_of,
    with_axes,
)
from .._util.checks import axis_number, shown
from .._util.dtypes import as_array, converted, is_scalar, promoted
from ._dims import Dims, apply_along, shaped_as

_Array = np.ndarray[Any, Any]


def of_real_parts(F: Any) -> Any:
    """F, of the real parts of complex vectors where it takes real ones only."""
    return F if getattr(F, "clinear", True) else F._of_real_parts()


class Products(LinearOperator):  # type: ignore[misc]
    """Products with arrays of any numeric dtype, any strides, from both sides.

    A class of operators gives `_write` (the product), `_make_transpose`, `_make_conj`,
    `_make_astype`. What the core multiplies as a whole calls `_multiply_plain_by`, at once or when
    `_compiles` asks for it; plain arrays then go there without a way through Python.
    """

    clinear = True  # linear over the complex numbers, in PyLops' word; else over the real ones only
    _dims: tuple[Dims, Dims] | None = None  # the shapes of arrays that are held as vectors
    _variants: dict[Any, Any]  # transposes and other precisions, once they are made

    def _given(self, x: np.dtype[Any]) -> np.dtype[Any]:
        """The dtype of the product with an x of a supported dtype."""
        given: np.dtype[Any] = np.result_type(self.dtype, x)
        return given

    def _domain(self) -> np.dtype[Any]:
        """The dtype of the vectors that it takes; real vectors count as complex ones, too, but
        for operators that are linear over the real numbers only."""
        own: np.dtype[Any] = self.dtype
        return own

    def _unit_dtype(self) -> np.dtype[Any]:
        """The dtype of the unit vectors whose products are the columns of the matrix."""
        domain = self._domain()
        if domain.kind == "c" and not self.clinear:
            raise TypeError(
                f"{self!r} is linear over the real numbers only: no matrix has its products with "
                "complex vectors"
            )
        return domain

    def _compiles(self) -> bool:
        """Whether builtin functions multiply from now on (`_multiply_plain_by`): asked before that,
        by operators that are compiled at their first product."""
        return False

    def _plain(self, x: Any) -> _Array | None:
        """F x for a plain vector or vectors along the first axis; None for what isn't plain."""
        return vars(self)["_plain"](x) if self._compiles() else None

    def _plain_rows(self, x: Any) -> _Array | None:
        """The same for vectors along the last axis."""
        return vars(self)["_plain_rows"](x) if self._compiles() else None

    def _multiply_plain_by(self, core: Any, side: Any) -> None:
        """Let builtin functions of the core be `_plain`, `_plain_rows` and `_write_at_once`."""
        self.__dict__.update(
            _plain=core.multiplier(side, False),
            _plain_rows=core.multiplier(side, True),
            _write_at_once=core.writer(side),
        )

    def _set_up(self, dtype: np.dtype[Any], shape: tuple[int, int]) -> None:
        self._variants = {}
        super().__init__(dtype, shape)

    def _write(self, x: _Array, out: _Array, axis: int) -> None:
        """``out = F x`` along `axis`: out has this precision, and is complex if F or x is."""
        raise NotImplementedError

    def _write_at_once(self, x: Any, out: Any, axis: Any) -> bool:
        """The same for arrays that the core takes as they are; else nothing is done, False."""
        return vars(self)["_write_at_once"](x, out, axis) if self._compiles() else False

    def _make_transpose(self) -> Self:
        raise NotImplementedError

    def _make_conj(self) -> Self:
        raise NotImplementedError

    def _make_astype(self, dtype: np.dtype[Any]) -> Self:
        raise NotImplementedError

    @property
    def dims(self) -> Dims:
        """The shape of the arrays that are multiplied, held as vectors in C order.

        Transforms over several axes, Kronecker products, block circulant and block Toeplitz
        matrices have several lengths here; for others it is ``(shape[1],)``.

        Examples
        --------
        >>> import papilio as pp
        >>> F = pp.transforms.rdft((4, 6))
        >>> F.dims, F.dimsd, F.shape
        ((4, 6), (4, 4), (16, 24))
        """
        return (self.shape[1],) if self._dims is None else self._dims[1]

    @property
    def dimsd(self) -> Dims:
        """The shape of the arrays that products give; see `dims`."""
        return (self.shape[0],) if self._dims is None else self._dims[0]

    # ------------------------------------------------------------------ products with arrays

    def apply(
        self, x: ArrayLike, out: _Array | None = None, axis: int | None = None, *, axes: Any = None
    ) -> _Array:
        """Multiply every vector along an axis of x.

        Parameters
        ----------
        x : array_like
            Any number of axes, of length ``shape[1]`` along `axis`. For a dask array, with one
            chunk along `axis`, the result is a dask array: each chunk is multiplied when it is
            computed. For a torch tensor on the CPU it is a tensor, through which gradients flow
            to x.
        out : ndarray, optional
            Where the result goes: of x's shape but ``shape[0]`` along `axis`, of the result's
            dtype, writable, any strides. Either it doesn't overlap x, or it is x itself (the same
            memory and strides) and the operator is square: the result replaces x. No copy of x
            is made then; where a kernel can't work in place, a tile of about the size of the L2
            cache (or one vector) is copied at a time.
        axis : int, default 0
            The axis along which the vectors lie.
        axes : int or sequence of int, optional
            In place of `axis`: the axes of x, as many as `dims` has, along which arrays of that
            shape lie. The result has `dimsd` there (or all of it at the first of them, where the
            numbers of axes differ). Where the axes aren't side by side in x, x is copied.

        Returns
        -------
        ndarray
            `out`, or a new array of dtype ``numpy.result_type(F, x)`` (integers count as
            float64).

        Raises
        ------
        ValueError
            For a wrong length, axis, shape of out, a read-only out or one that overlaps x in
            another way than being x; for both `axis` and `axes`.
        TypeError
            For a dtype that isn't numeric, or an out of another dtype than the result's.

        Examples
        --------
        >>> import numpy as np
        >>> import papilio as pp
        >>> F = pp.transforms.hadamard(4)
        >>> x = np.ones((2, 4, 3))
        >>> F.apply(x, axis=1)[0, :, 0]
        array([4., 0., 0., 0.])
        >>> F.apply(x, out=x, axis=1) is x
        True
        >>> X = np.ones((3, 4, 6))
        >>> pp.transforms.dft((4, 6)).apply(X, axes=(1, 2)).shape
        (3, 4, 6)
        """
        if axes is not None:
            if axis is not None:
                raise ValueError(
                    f"axis is {shown(axis)} and axes is {shown(axes)}, expected at most one of them"
                )
            return apply_along(self, x, out, axes)
        if axis is None:
            axis = 0
        if out is None:
            if type(axis) is int:
                product = self._plain(x) if axis == 0 else None
                if axis == -1 or (axis == 1 and getattr(x, "ndim", 0) == 2):
                    product = self._plain_rows(x)
                if product is not None:
                    return product
        elif self._write_at_once(x, out, axis):
            return out
        if is_dask_array(x):
            lazy: _Array = _lazy(self, x, out, axis)
            return lazy
        if is_tensor(x):
            tensor: _Array = import_module("..torch._arrays", __package__).apply(self, x, out, axis)
            return tensor
        array = as_array(x, "x")
        axis = axis_number(axis, array.ndim)
        given = self._given(promoted(array.dtype, "x"))
        result = result_of(self.shape, given, array, out, axis)
        if result.size:
            real = result.real.dtype
            F = self if real == self.dtype.char.lower() else self._in_precision(real)
            F._write(array, result, axis)
        return result

    def _in_precision(self, real: np.dtype[Any]) -> Self:
        """The operator in another precision, made once."""
        if real not in self._variants:
            wanted = np.result_type(real, np.complex64) if self.dtype.kind == "c" else real
            self._variants[real] = shaped_as(self._make_astype(wanted), self)
        variant: Self = self._variants[real]
        return variant

    def __matmul__(self, x: Any) -> Any:
        """Return ``F @ x``: x a vector, or vectors along the last axis but one; or an operator."""
        product = self._plain(x)
        if product is not None:  # x was a plain vector or matrix
            return product
        if is_foreign_operator(x):
            return self._times(x)
        if is_scalar(x):
            raise ValueError(_of_scalar(x))
        array = with_axes(x)
        return self.apply(array, axis=max(array.ndim - 2, 0))

    def __rmatmul__(self, x: Any) -> Any:
        """Return ``x @ F``: x a vector, or vectors along the last axis; or an operator."""
        product = self._transpose()._plain_rows(x)
        if product is not None:  # x was a plain vector or matrix
            return product
        if is_foreign_operator(x):
            return self._after(x)
        if is_scalar(x):
            raise ValueError(_of_scalar(x))
        return self._transpose().apply(with_axes(x), axis=-1)

    def dot(self, x: Any) -> Any:
        """Return ``F @ x``, or ``F * x`` for a number, as `scipy.sparse.linalg.LinearOperator`.

        Examples
        --------
        >>> import papilio as pp
        >>> pp.transforms.hadamard(2).dot([1.0, 2.0])
        array([ 3., -1.])
        """
        return self * x if is_scalar(x) else self @ x

    def _times(self, other: LinearOperator) -> Any:
        raise NotImplementedError

    def _after(self, other: LinearOperator) -> Any:
        raise NotImplementedError

    # What LinearOperator calls. Its vectors lie along the last axis (SciPy >= 1.18 has batches of
    # them), but for the columns of shape (n, 1) that older versions pass to _matvec as well.

    def _matvec(self, x: _Array) -> _Array:
        column = x.ndim == 2 and x.shape == (self.shape[1], 1)
        return self.apply(x, axis=0 if column else -1)

    def _rmatvec(self, x: _Array) -> _Array:
        return self._adjoint()._matvec(x)

    def _matmat(self, x: _Array) -> _Array:
        return self.apply(x, axis=-2)

    def _rmatmat(self, x: _Array) -> _Array:
        return self._adjoint().apply(x, axis=-2)

    # ------------------------------------------------------------------ transposes and copies

    def _variant(self, name: str, make: Callable[[], Self]) -> Self:
        if name not in self._variants:
            self._variants[name] = make()
        variant: Self = self._variants[name]
        return variant

    def _transpose(self) -> Self:
        return self._variant("T", lambda: shaped_as(self._make_transpose(), self, swapped=True))

    def _adjoint(self) -> Self:
        if self.dtype.kind != "c":
            return self._transpose()
        return self._variant("H", lambda: self._transpose().conj())

    def conj(self) -> Self:
        """Return the complex conjugate (itself if the operator is real).

        Examples
        --------
        >>> import papilio as pp
        >>> F = pp.transforms.dft(4)
        >>> bool((F.conj().toarray() == F.toarray().conj()).all())
        True
        """
        return shaped_as(self._make_conj(), self) if self.dtype.kind == "c" else self

    conjugate = conj

    def astype(self, dtype: Any) -> Self:
        """Return the operator with values of another precision (itself if it is the same).

        Parameters
        ----------
        dtype : dtype_like
            float32, float64, complex64 or complex128.

        Raises
        ------
        TypeError
            If dtype is another one, or real where the operator is complex.

        Examples
        --------
        >>> import papilio as pp
        >>> pp.transforms.hadamard(8).astype("float32").dtype
        dtype('float32')
        """
        wanted = converted(self.dtype, dtype)
        return self if wanted == self.dtype else shaped_as(self._make_astype(wanted), self)


def _of_scalar(x: Any) -> str:
    return f"x is {shown(x)}, a scalar, expected vectors or an operator, or F * x"


def _lazy(F: Products, x: Any, out: Any, axis: Any) -> Any:
    """The product with a dask array, which brings its own floor (`papilio._dask`)."""
    if out is not None:
        raise TypeError(f"out is {shown(out)}, expected None: the product of a dask array is lazy")
    return import_module(".._dask", __package__).apply(F, x, axis)
