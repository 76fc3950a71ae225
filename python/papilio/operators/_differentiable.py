"""Derivatives of products, for every operator: with respect to vectors and to factors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from .._util.arrays import is_dask_array, overlap, result_of
from .._util.checks import axis_number, flag, shown
from .._util.dtypes import as_array, promoted
from ._products import Products

_Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Wanted:
    """What of the derivatives is asked for."""

    axis: int
    x: bool = True
    factors: bool = True
    out: _Array | None = None  # where that of x goes

    def without_out(self, *, x: bool = True) -> Self:
        return replace(self, x=x, out=None)


def _in_memory(x: Any, name: str) -> _Array:
    """An array, but of dask's: derivatives aren't lazy, as products are."""
    if is_dask_array(x):
        raise TypeError(
            f"{name} is a dask array, expected one in memory: derivatives aren't lazy, "
            f"{name}.compute()"
        )
    return as_array(x, name)


class Differentiable(Products):
    """An operator whose products can be differentiated: `vjp` and `jvp`."""

    def vjp(
        self,
        x: ArrayLike,
        gy: ArrayLike,
        *,
        axis: int = 0,
        need_x: bool = True,
        need_factors: bool = True,
        out: _Array | None = None,
        accumulate: Any = None,
    ) -> tuple[_Array | None, Any]:
        """Return the gradients of a function of ``y = F x``, given the one with respect to y.

        Parameters
        ----------
        x : array_like
            What F multiplied: a vector, or any number of them along `axis`.
        gy : array_like
            The gradient with respect to ``F.apply(x, axis=axis)``, of its shape.
        axis : int, default 0
            The axis along which the vectors lie.
        need_x, need_factors : bool, default True
            What is computed; in place of the rest comes None.
        out : ndarray, optional
            Where the gradient with respect to x goes: of its shape and dtype, apart from x and gy.
        accumulate : float64, optional
            Sum the gradients of single precision factors in double precision, and return them in
            it. For that x, gy and the factors are copied to double precision first; the copy of
            the factors stays with the operator.

        Returns
        -------
        gx : ndarray or None
            ``F.H gy``, a new array or `out`. (Of real vectors that a complex operator takes, the
            gradient is its real part.)
        gradients : tuple or None
            For a `Butterfly`, one array for each of its `factors` and of its shape::

                gW[i, j, k, l] = sum over the vectors of gy'[i, j, l] * conj(x'[i, k, l])

            x' being what the factor multiplied and gy' the gradient with respect to what it gave;
            also summed over the axes along which its values repeat. Gradients of complex values are
            those of the real part plus i times those of the imaginary part, as in PyTorch; of real
            values they are real. For a composition, a section, a sum: one entry for each of its
            parts, None for parts that have no factors.

        Raises
        ------
        ValueError
            For wrong shapes, an axis that x doesn't have, an out that overlaps x or gy.
        TypeError
            For dtypes that aren't numeric, an out of another dtype than the result's, another
            accumulate, or dask arrays: call ``compute()``.

        Notes
        -----
        What the factors multiplied is computed again, some vectors at a time: nothing but x has to
        be kept from the product. A composition that isn't one butterfly holds what goes from one
        part with factors to the next. The result is the same for any number of threads, bit for
        bit.

        Examples
        --------
        >>> import numpy as np
        >>> import papilio as pp
        >>> F = pp.Butterfly([np.ones((1, 2, 2, 2)), np.ones((2, 2, 2, 1))])
        >>> x, gy = np.arange(4.0), np.array([1.0, 0.0, 0.0, 0.0])
        >>> gx, gradients = F.vjp(x, gy)
        >>> gx
        array([1., 1., 1., 1.])
        >>> [g.shape for g in gradients], gradients[0].ravel()
        ([(1, 2, 2, 2), (2, 2, 2, 1)], array([1., 0., 5., 0., 0., 0., 0., 0.]))
        """
        array, cotangent = _in_memory(x, "x"), _in_memory(gy, "gy")
        axis = axis_number(axis, array.ndim)
        rows, cols = self.shape
        if array.shape[axis] != cols:
            raise ValueError(
                f"x has shape {array.shape}, expected length {cols} along axis {axis}: "
                f"the operator has shape {(rows, cols)}"
            )
        shape = (*array.shape[:axis], rows, *array.shape[axis + 1 :])
        if cotangent.shape != shape:
            raise ValueError(f"gy has shape {cotangent.shape}, expected {shape}")
        wanted = Wanted(axis, flag(need_x, "need_x"), flag(need_factors, "need_factors"), out)
        wide = _accumulation(accumulate)
        F, (array, cotangent) = self._in_common_precision((array, "x"), (cotangent, "gy"))
        if wanted.out is not None:
            F._check_gradient_out(array, cotangent, wanted)
        if wide is not None and wanted.factors and F.dtype.char.lower() != wide:
            return F._vjp_in(wide, array, cotangent, wanted)
        return F._vjp(array, cotangent, wanted)

    def jvp(
        self, x: ArrayLike, dx: ArrayLike | None = None, dfactors: Any = None, *, axis: int = 0
    ) -> tuple[_Array, _Array]:
        """Return ``F x`` and its derivative in a direction.

        Parameters
        ----------
        x : array_like
            What F multiplies: a vector, or any number of them along `axis`.
        dx : array_like, optional
            The direction for x, of its shape. Default: x stays.
        dfactors : sequence, optional
            The direction for the factors, as `vjp` gives gradients: for a `Butterfly` one array for
            each factor and of its shape, or None where that stays. Default: all stay.
        axis : int, default 0
            The axis along which the vectors lie.

        Returns
        -------
        y, dy : ndarray
            ``F x``, and ``F dx`` plus the sum over the factors of the products in which that factor
            is replaced by its direction.

        Raises
        ------
        TypeError, ValueError
            For wrong shapes or dtypes, or directions for an operator that has no factors.

        Notes
        -----
        A butterfly's vectors and their derivatives go through the factors together, in tiles that
        stay in the caches; about what `vjp` takes. Memory: both results, twice the values of the
        factors, and six tiles for each thread. The same bits for any number of threads.

        Examples
        --------
        >>> import numpy as np
        >>> import papilio as pp
        >>> F = pp.Butterfly([np.ones((1, 2, 2, 2)), np.ones((2, 2, 2, 1))])
        >>> y, dy = F.jvp(np.arange(4.0), dfactors=[0.5 * F.factors[0], None])
        >>> y, dy
        (array([6., 6., 6., 6.]), array([3., 3., 3., 3.]))
        """
        array = _in_memory(x, "x")
        axis = axis_number(axis, array.ndim)
        given = [(array, "x")]
        if array.shape[axis] != self.shape[1]:
            raise ValueError(
                f"x has shape {array.shape}, expected length {self.shape[1]} along axis {axis}: "
                f"the operator has shape {self.shape}"
            )
        if dx is not None:
            direction = _in_memory(dx, "dx")
            if direction.shape != array.shape:
                raise ValueError(f"dx has shape {direction.shape}, expected {array.shape}")
            given.append((direction, "dx"))
        F, arrays = self._in_common_precision(*given)
        return F._jvp(arrays[0], arrays[1] if len(arrays) > 1 else None, dfactors, axis, "dfactors")

    # ------------------------------------------------------------------ what operators give

    @property
    def has_factors(self) -> bool:
        """Whether `vjp` has gradients to give besides those of vectors.

        Examples
        --------
        >>> import papilio as pp
        >>> pp.transforms.hadamard(4).has_factors, (pp.transforms.hadamard(4) * 2.0).has_factors
        (True, True)
        """
        return False

    def _vjp(self, x: _Array, gy: _Array, wanted: Wanted) -> tuple[_Array | None, Any]:
        """`vjp` in this precision, of what was checked; x and gy may be real or complex."""
        return self._pulled_back(gy, wanted), None

    def _jvp(
        self, x: _Array, dx: _Array | None, dfactors: Any, axis: int, name: str
    ) -> tuple[_Array, _Array]:
        """`jvp` in this precision; dfactors wasn't checked, `name` is its name in messages."""
        if dfactors is not None:
            raise ValueError(f"{name} is {shown(dfactors)}, expected None: {self!r} has no factors")
        y = self.apply(x, axis=axis)
        return y, np.zeros_like(y) if dx is None else self.apply(dx, axis=axis)

    def _pulled_back(self, gy: _Array, wanted: Wanted) -> _Array | None:
        """``F.H gy``, if it is wanted."""
        if not wanted.x:
            return None
        adjoint = self._adjoint()
        if self._takes_real_parts(adjoint):
            gy = gy.real
        return adjoint.apply(gy, out=wanted.out, axis=wanted.axis)

    def _takes_real_parts(self, adjoint: Any) -> bool:
        """Whether the adjoint multiplies the real parts of cotangents: F gives real vectors."""
        return not self.clinear and bool(adjoint._domain().kind == "f")

    def _in_common_precision(self, *given: tuple[_Array, str]) -> tuple[Self, list[_Array]]:
        """The operator and the arrays in the precision of them all, real or complex as they are."""
        if all(array.dtype == self.dtype for array, _ in given):
            return self, [array for array, _ in given]
        dtypes = [promoted(array.dtype, name) for array, name in given]
        real = np.result_type(self.dtype, *dtypes).type(0).real.dtype
        F = self if real == self.dtype.char.lower() else self._in_precision(real)
        of_kind = {"f": real, "c": np.result_type(real, np.complex64)}
        return F, [
            array.astype(of_kind[dtype.kind], copy=False)
            for (array, _), dtype in zip(given, dtypes, strict=True)
        ]

    def _vjp_in(
        self, real: np.dtype[Any], x: _Array, gy: _Array, wanted: Wanted
    ) -> tuple[_Array | None, Any]:
        """`_vjp` with everything in this precision; what is given back of x is rounded to F's."""
        x, gy = (array.astype(np.result_type(array.dtype, real)) for array in (x, gy))
        gx, gradients = self._in_precision(real)._vjp(x, gy, wanted.without_out(x=wanted.x))
        if gx is None:
            return None, gradients
        out = wanted.out
        if out is None:
            out = np.empty_like(gx, np.complex64 if gx.dtype.kind == "c" else np.float32)
        with np.errstate(over="ignore", invalid="ignore"):  # they flow as IEEE says
            out[...] = gx
        return out, gradients

    def _check_gradient_out(self, x: _Array, gy: _Array, wanted: Wanted) -> None:
        if not wanted.x:
            raise ValueError("out is given, expected None where need_x is False")
        adjoint = self._adjoint()
        given = gy.real.dtype if self._takes_real_parts(adjoint) else gy.dtype
        result_of(self.shape[::-1], adjoint._given(given), gy, wanted.out, wanted.axis)
        for name, array in (("x", x), ("gy", gy)):
            if wanted.out is not None and overlap(array, wanted.out):
                raise ValueError(f"out overlaps {name}, expected separate memory")


def _accumulation(dtype: Any) -> np.dtype[Any] | None:
    if dtype is None:
        return None
    try:
        if np.dtype(dtype) == np.float64:
            return np.dtype(np.float64)
    except Exception:  # NumPy looks for a dtype attribute, which may raise anything
        pass
    raise TypeError(f"accumulate is {shown(dtype)}, expected None or float64")


def as_entries(given: Any, count: int, name: str) -> list[Any]:
    """The entries of a nested argument: as many as there are parts; None stands for all None."""
    if given is None:
        return [None] * count
    entries = list(given) if isinstance(given, list | tuple) else None
    if entries is None or len(entries) != count:
        what = shown(given) if entries is None else f"{len(entries)} entries"
        raise ValueError(f"{name} is {what}, expected {count} entries: one for each part")
    return entries
