"""Arrays of the world: what users hand in becomes an ndarray of one of four element types."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse
from scipy.sparse.linalg import LinearOperator

from .checks import shown

_Array = np.ndarray[Any, Any]
_MOST_AXES = 64  # that an ndarray may have
_OTHER_ORDERS = 1.5  # of rounding: other kernels add in another order

SUPPORTED = tuple(np.dtype(kind) for kind in ("float32", "float64", "complex64", "complex128"))
_OWN = {dtype: dtype for dtype in SUPPORTED}


def promoted(dtype: Any, name: str) -> np.dtype[Any]:
    """Return the supported dtype that values of `dtype` are computed in.

    Integers and bool become float64, float16 becomes float32, other byte orders native; anything
    else (object, str, extended precision) is a TypeError that names the argument.
    """
    if isinstance(dtype, np.dtype):
        own = _OWN.get(dtype)
        if own is not None:
            return own
        if dtype.kind in "biu":
            return SUPPORTED[1]
        if dtype.kind in "fc":
            native = dtype.newbyteorder("=")
            if native == np.float16:
                return SUPPORTED[0]
            if native in _OWN:
                return _OWN[native]
    raise TypeError(
        f"{name} has dtype {dtype}, expected a bool, integer, float32, float64, complex64 or "
        "complex128 array"
    )


def as_array(values: Any, name: str) -> _Array:
    """Return what a user hands in as an ndarray of a dtype that `promoted` accepts.

    Plain ndarrays are returned as they are. Everything that NumPy can read is read by NumPy:
    lists, buffers, DataFrames, tensors, data sets, memory maps, and what has ``__array__``; what
    only has DLPack is read by that. An operator stands for its dense matrix.

    Raises
    ------
    TypeError
        For a sparse matrix, for what isn't numeric and for what can't be read.
    ValueError
        For masked arrays, also inside of lists, and for ragged lists.
    """
    array = values if type(values) is np.ndarray else plain_array(values, name)
    promoted(array.dtype, name)
    return array


def safe_norm(array: np.ndarray[Any, Any]) -> float:
    """Return the Frobenius norm, whose squares neither overflow nor vanish, in double precision."""
    parts = array.astype(np.result_type(array.dtype, np.float64), copy=False)
    size = float(np.maximum(abs(parts.real).max(initial=0), abs(parts.imag).max(initial=0)))
    if size == 0 or not np.isfinite(size):
        return size
    if 1e-100 < size < 1e100:
        return float(np.linalg.norm(parts))
    exponent = int(np.frexp(size)[1])
    scaled = [np.ldexp(part, -exponent) for part in (parts.real, parts.imag)]
    with np.errstate(over="ignore"):  # a norm above the largest number is infinite
        return float(np.ldexp(math.hypot(*(float(np.linalg.norm(x)) for x in scaled)), exponent))


def rounding_from_single(dtype: np.dtype[Any], away: float) -> float:
    """What rounding takes from products in this dtype, relative to them, where the same products in
    single precision are `away` from those in double: it scales with the unit roundoff.
    """
    # A product and a sum round at least, in whatever order the largest term comes.
    units = max(1.0, _OTHER_ORDERS * away / float(np.finfo(np.float32).eps))
    return float(np.finfo(dtype).eps) * units


def plain_array(values: Any, name: str) -> _Array:
    """Return what a user hands in as an ndarray of any dtype (see `as_array`)."""
    if type(values) is np.ndarray:
        return values
    _refuse_masks(values, name)
    if scipy.sparse.issparse(values):
        raise TypeError(f"{name} is a sparse matrix, expected a dense array: {name}.toarray()")
    if isinstance(values, LinearOperator):
        return matrix_of(values, name)
    try:
        if hasattr(values, "resolve_conj"):  # torch's views of what is conjugated or negated
            values = values.resolve_conj().resolve_neg()
        only_dlpack = hasattr(values, "__dlpack__") and not (
            hasattr(values, "__array__")
            or hasattr(values, "__array_interface__")
            or hasattr(values, "__array_struct__")
        )
        # asarray passes no subclasses on, so that nothing of theirs is kept.
        array = np.asarray(np.from_dlpack(values) if only_dlpack else values)
    except (MemoryError, KeyboardInterrupt):
        raise
    except ValueError as error:
        raise ValueError(f"{name} is not an array: {error}") from None
    except Exception as error:  # an object's own conversion may raise anything
        raise TypeError(
            f"{name} is {shown(values)}, which can't be read as an array: {error}"
        ) from error
    if array.dtype == object and array.ndim == 0:
        raise TypeError(f"{name} is {shown(values)}, expected an array; it has dtype object")
    return array


def matrix_of(operator: LinearOperator, name: str) -> _Array:
    """The dense matrix of a LinearOperator: its own, or products with unit vectors."""
    if hasattr(operator, "toarray"):
        own: _Array = operator.toarray()
        return own
    _, n = operator.shape
    dtype = promoted(np.dtype(operator.dtype or np.float64), name)
    dense = as_array(operator.matmat(np.eye(n, dtype=dtype)), f"the product of {name}")
    if dense.shape != operator.shape:
        raise ValueError(
            f"the product of {name} has shape {dense.shape}, expected {operator.shape}"
        )
    return dense


def is_scalar(value: Any) -> bool:
    """Whether it is a number or a string; NumPy counts buffers as scalars, too."""
    return bool(np.isscalar(value)) and not isinstance(value, memoryview)


def _refuse_masks(values: Any, name: str, depth: int = 0) -> None:
    """SciPy's rule: what the mask hides isn't to be computed with."""
    if isinstance(values, np.ma.MaskedArray):
        raise ValueError(f"{name} is a masked array, expected one without a mask")
    if isinstance(values, list | tuple) and depth < _MOST_AXES:
        for item in values:
            if isinstance(item, list | tuple | np.ndarray):
                _refuse_masks(item, name, depth + 1)


def as_dtype(dtype: Any, allowed: Sequence[np.dtype[Any]] = SUPPORTED) -> np.dtype[Any]:
    """Return the one of `allowed` that an argument `dtype` means, or raise a TypeError."""
    names = ", ".join(str(candidate) for candidate in allowed)
    try:
        if dtype is None:
            raise TypeError
        wanted = np.dtype(dtype)
    except Exception:  # NumPy looks for a dtype attribute, which may raise anything
        raise TypeError(f"dtype is {shown(dtype)}, expected one of {names}") from None
    for candidate in allowed:
        if wanted == candidate:
            return candidate  # without the byte order and metadata that the given one may have
    raise TypeError(f"dtype is {wanted}, expected one of {names}")


def converted(own: np.dtype[Any], dtype: Any) -> np.dtype[Any]:
    """Return the dtype that values of dtype `own` are to be converted to, or raise a TypeError."""
    wanted = as_dtype(dtype)
    if not np.can_cast(own, wanted, "same_kind"):
        raise TypeError(f"dtype is {wanted}, but the operator's values are {own}")
    return wanted
