"""A backend of `scipy.fft`: its functions run on papilio's transforms.

``with scipy.fft.set_backend(papilio.fft): ...`` or ``scipy.fft.set_global_backend(papilio.fft)``
lets code that calls `scipy.fft` (SciPy's own `signal` and `ndimage` as well) use papilio unchanged.
The functions of this module are those of `scipy.fft`, with the same arguments, results, dtypes and
shapes, and can be called themselves.

Operators are made at the first call for a length, a dtype and a normalization, and kept: the last
256 of them, of at most 256 MiB together. What papilio doesn't do is passed on to SciPy's own
implementation: long double, arrays of other libraries, `fht`, arrays of no entries, a `plan`, and
whatever is an error, which SciPy then raises. `workers` is checked as in SciPy, but
`papilio.set_num_threads` tells how many threads run; results don't depend on it. With
``overwrite_x``, complex arrays are transformed in place.

Examples
--------
>>> import numpy as np, scipy.fft
>>> import papilio.fft
>>> x = np.arange(8.0)
>>> expected = scipy.fft.fft(x)
>>> with scipy.fft.set_backend(papilio.fft):
...     y = scipy.fft.fft(x)
>>> bool(np.allclose(y, expected)), bool(np.allclose(papilio.fft.ifft(y), x))
(True, True)
"""

from __future__ import annotations

import inspect
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.fft

from . import transforms
from ._util.dtypes import promoted
from .transforms.common import opposite

__all__ = [
    "dct",
    "dctn",
    "dst",
    "dstn",
    "fft",
    "fft2",
    "fftn",
    "hfft",
    "hfft2",
    "hfftn",
    "idct",
    "idctn",
    "idst",
    "idstn",
    "ifft",
    "ifft2",
    "ifftn",
    "ihfft",
    "ihfft2",
    "ihfftn",
    "irfft",
    "irfft2",
    "irfftn",
    "rfft",
    "rfft2",
    "rfftn",
]


def __dir__() -> list[str]:
    return __all__


__ua_domain__ = "numpy.scipy.fft"

_Array = np.ndarray[Any, Any]
_NORMS = ("backward", "ortho", "forward")
_OTHER_AXES = {"rfft": "fft", "ihfft": "ifft", "irfft": "ifft", "hfft": "fft"}
_CPUS = os.cpu_count() or 1
_MOST_PLANS, _MOST_BYTES = 256, 1 << 28
_READ = int, float, complex, list, tuple, np.generic, np.memmap


class _Plans:
    """The operators that were used last."""

    def __init__(self) -> None:
        self.kept: OrderedDict[Any, Any] = OrderedDict()
        # Those of calls that need no look at their arguments, by what tells them apart.
        self.plain: dict[Any, Any] = {}
        self.nbytes = 0
        self.lock = threading.Lock()

    def get(self, *key: Any) -> Any:
        try:
            self.kept.move_to_end(key)
            return self.kept[key]
        except KeyError:  # new, or another thread has let it go
            made = _made(*key)
        with self.lock:
            if key not in self.kept:
                self.kept[key] = made
                self.nbytes += made.nbytes
            while len(self.kept) > _MOST_PLANS or (
                self.nbytes > _MOST_BYTES and len(self.kept) > 1
            ):
                self.nbytes -= self.kept.popitem(last=False)[1].nbytes
                self.plain.clear()
        return made

    def product(self, call: Any, x: Any, axis: Any) -> _Array | None:
        """The product with a plain array, if the same call was made before; else None."""
        if type(x) is not np.ndarray or type(axis) is not int:
            return None
        try:
            F = self.plain[call, x.dtype, x.shape[axis]]
        except (KeyError, IndexError, TypeError):
            return None
        product: _Array = F.apply(x, axis=-1 if axis == x.ndim - 1 else axis)
        return product

    def remember(self, call: Any, x: Any, axes: Sequence[int], F: Any) -> None:
        """Let `product` know the operator of a call of one axis."""
        if type(x) is np.ndarray and len(axes) == 1:
            self.plain[call, x.dtype, x.shape[axes[0]]] = F


_plans = _Plans()


def _made(kind: str, n: int, dtype: np.dtype[Any], norm: str, *rest: Any) -> Any:
    """The operator of one axis: hfft and ihfft are conjugates of transforms that go back."""
    if kind in ("dct", "dst"):
        number, orthogonalize = rest
        make: Any = getattr(transforms, kind)
        return make(n, number, dtype, norm=norm, orthogonalize=orthogonalize)
    if kind == "hfft":
        return transforms.irdft(n, dtype, norm=opposite(norm)).conj()
    if kind == "ihfft":
        return transforms.rdft(n, dtype, norm=opposite(norm)).conj()
    make = {"rfft": "rdft", "irfft": "irdft", "fft": "dft", "ifft": "idft"}[kind]
    return getattr(transforms, make)(n, dtype, norm=norm)


class _PassOn(Exception):
    """What papilio leaves to SciPy."""


# ---------------------------------------------------------------------- arguments


def _array_of(x: Any) -> _Array:
    if type(x) is not np.ndarray:
        if not isinstance(x, _READ):
            raise _PassOn
        try:
            x = np.asarray(x)
        except Exception:  # SciPy tells what is wrong
            raise _PassOn from None
    if not x.ndim or not x.size:
        raise _PassOn
    array: _Array = x
    return array


def _precision_of(x: _Array) -> np.dtype[Any]:
    try:
        return np.dtype(promoted(x.dtype, "x").char.lower())
    except TypeError:
        raise _PassOn from None


def _whole_numbers(value: Any) -> list[int]:
    values = (value,) if isinstance(value, int | np.integer) else value
    if not isinstance(values, list | tuple | range | np.ndarray) or not all(
        isinstance(v, int | np.integer) for v in values
    ):
        raise _PassOn
    return [int(v) for v in values]


def _sizes_and_axes(x: _Array, s: Any, axes: Any) -> tuple[list[int], list[int]]:
    """Lengths and axes, as SciPy understands them."""
    sizes = None if s is None else _whole_numbers(s)
    if axes is None:
        first = 0 if sizes is None else x.ndim - len(sizes)
        chosen = list(range(first, x.ndim))
    else:
        chosen = _whole_numbers(axes)
        if not all(-x.ndim <= axis < x.ndim for axis in chosen):
            raise _PassOn
        chosen = [axis % x.ndim for axis in chosen]
    if sizes is None:
        sizes = [x.shape[axis] for axis in chosen]
    once = len(set(chosen)) == len(chosen) == len(sizes)
    if not once or min(chosen, default=-1) < 0 or min(sizes) < 1:
        raise _PassOn
    return sizes, chosen


def _check_rest(norm: Any, workers: Any, plan: Any) -> str:
    """The norm; the others are right, or SciPy tells what is wrong."""
    right = workers is None or (isinstance(workers, int) and workers and workers >= -_CPUS)
    named = "backward" if norm is None else norm
    if plan is not None or not right or not isinstance(named, str) or named not in _NORMS:
        raise _PassOn
    return named


def _fitted(x: _Array, sizes: Sequence[int], axes: Sequence[int]) -> _Array:
    """x cut or padded with zeros to these lengths."""
    if all(x.shape[axis] == size for size, axis in zip(sizes, axes, strict=True)):
        return x
    index, shape = [slice(None)] * x.ndim, list(x.shape)
    for size, axis in zip(sizes, axes, strict=True):
        index[axis] = slice(min(size, x.shape[axis]))
        shape[axis] = size
    part = x[tuple(index)]
    if part.shape == tuple(shape):
        return part
    padded = np.zeros(shape, x.dtype.newbyteorder("="))
    padded[tuple(index)] = part
    return padded


# ---------------------------------------------------------------------- transforms


def _along(F: Any, x: _Array, axis: int, own: bool) -> _Array:
    """F along an axis, in place of x if that is ours (or may be overwritten)."""
    if own:
        product: _Array = F.apply(x, out=x, axis=axis)
    else:
        product = F.apply(x, axis=-1 if axis == x.ndim - 1 else axis)
    return product


def _is_ours(value: _Array, x: Any, overwrite: Any, types: str) -> bool:
    """Whether it has the result's dtype, lies where it can be transformed in place, and is a copy
    of the caller's x or may be overwritten."""
    flags, dtype = value.flags, value.dtype
    if not (flags.writeable and flags.aligned and (flags.c_contiguous or flags.f_contiguous)):
        return False
    shared = isinstance(x, np.ndarray) and np.may_share_memory(value, x)
    return dtype.isnative and dtype.char in types and bool(overwrite or not shared)


def _complex(
    kind: str, x: Any, s: Any, axes: Any, norm: Any, overwrite: Any, workers: Any, plan: Any
) -> _Array:
    array = _array_of(x)
    sizes, chosen = _sizes_and_axes(array, s, axes)
    named, real = _check_rest(norm, workers, plan), _precision_of(array)
    value = _fitted(array, sizes, chosen)
    own = _is_ours(value, x, overwrite, "FD")
    dtype = np.result_type(real, np.complex64)
    for size, axis in zip(reversed(sizes), reversed(chosen), strict=True):
        F = _plans.get(kind, size, dtype, named)
        value = _along(F, value, axis, own)
        own = True
    if s is None:
        _plans.remember((kind, norm), x, chosen, F)
    return value


def _from_real(
    kind: str, x: Any, s: Any, axes: Any, norm: Any, overwrite: Any, workers: Any, plan: Any
) -> _Array:
    array = _array_of(x)
    sizes, chosen = _sizes_and_axes(array, s, axes)
    named, real = _check_rest(norm, workers, plan), _precision_of(array)
    if array.dtype.kind == "c":
        raise _PassOn
    value = _fitted(array, sizes, chosen)
    (*others, last), (*lengths, size) = chosen, sizes
    F = _plans.get(kind, size, real, named)
    if s is None:
        _plans.remember((kind, norm), x, chosen, F)
    value = _along(F, value, last, False)
    dtype = np.result_type(real, np.complex64)
    for length, axis in zip(reversed(lengths), reversed(others), strict=True):
        value = _along(_plans.get(_OTHER_AXES[kind], length, dtype, named), value, axis, True)
    return value


def _to_real(
    kind: str, x: Any, s: Any, axes: Any, norm: Any, overwrite: Any, workers: Any, plan: Any
) -> _Array:
    array = _array_of(x)
    sizes, chosen = _sizes_and_axes(array, s, axes)
    named, real = _check_rest(norm, workers, plan), _precision_of(array)
    size = sizes[-1] if s is not None else 2 * (sizes[-1] - 1)
    if size < 1:
        raise _PassOn
    value = _fitted(array, [*sizes[:-1], size // 2 + 1], chosen)
    own, dtype = False, np.result_type(real, np.complex64)
    for length, axis in zip(sizes[:-1], chosen[:-1], strict=True):
        value = _along(_plans.get(_OTHER_AXES[kind], length, dtype, named), value, axis, own)
        own = True
    F = _plans.get(kind, size, real, named)
    if s is None:
        _plans.remember((kind, norm), x, chosen, F)
    return _along(F, value, chosen[-1], False)


def _of_reals(
    kind: str,
    x: Any,
    type: Any,
    s: Any,
    axes: Any,
    norm: Any,
    overwrite: Any,
    workers: Any,
    orthogonalize: Any,
) -> _Array:
    array = _array_of(x)
    sizes, chosen = _sizes_and_axes(array, s, axes)
    named, real = _check_rest(norm, workers, None), _precision_of(array)
    call = _call_of_reals(kind, norm, type, orthogonalize)
    number = int(type) if isinstance(type, int | np.integer) and 1 <= type <= 4 else 0
    # SciPy leaves orthogonalize out for complex arrays.
    if (
        not number
        or not (orthogonalize is None or isinstance(orthogonalize, bool))
        or (orthogonalize is not None and array.dtype.kind == "c")
        or (number == 1 and kind.endswith("dct") and min(sizes) < 2)
    ):
        raise _PassOn
    if kind.startswith("i"):
        kind, named, number = kind[1:], opposite(named), {2: 3, 3: 2}.get(number, number)
    value = _fitted(array, sizes, chosen)
    own = _is_ours(value, x, overwrite, "fdFD")
    for size, axis in zip(reversed(sizes), reversed(chosen), strict=True):
        F = _plans.get(kind, size, real, named, number, orthogonalize)
        value = _along(F, value, axis, own)
        own = True
    if s is None:
        _plans.remember(call, x, chosen, F)
    return value


def _call_of_reals(kind: str, norm: Any, type: Any, orthogonalize: Any) -> Any:
    """What tells a call from others: 1.0, which equals 1, is an error."""
    return kind, norm, type, type.__class__, orthogonalize


# ---------------------------------------------------------------------- the functions of scipy.fft


def _signatures(run: Callable[..., _Array], kind: str) -> tuple[Callable[..., Any], ...]:
    """The functions of one axis, of two and of any number, which pass on what papilio can't do."""

    def one(
        x: Any,
        n: Any = None,
        axis: Any = -1,
        norm: Any = None,
        overwrite_x: Any = False,
        workers: Any = None,
        *,
        plan: Any = None,
    ) -> Any:
        if n is None and workers is None and plan is None and not overwrite_x:
            product = _plans.product((kind, norm), x, axis)
            if product is not None:
                return product
        sizes = None if n is None else (n,)
        return run(kind, x, sizes, (axis,), norm, overwrite_x, workers, plan)

    def two(
        x: Any,
        s: Any = None,
        axes: Any = (-2, -1),
        norm: Any = None,
        overwrite_x: Any = False,
        workers: Any = None,
        *,
        plan: Any = None,
    ) -> Any:
        return run(kind, x, s, axes, norm, overwrite_x, workers, plan)

    def several(
        x: Any,
        s: Any = None,
        axes: Any = None,
        norm: Any = None,
        overwrite_x: Any = False,
        workers: Any = None,
        *,
        plan: Any = None,
    ) -> Any:
        return run(kind, x, s, axes, norm, overwrite_x, workers, plan)

    return one, two, several


def _signatures_of_reals(kind: str) -> tuple[Callable[..., Any], ...]:
    def one(
        x: Any,
        type: Any = 2,
        n: Any = None,
        axis: Any = -1,
        norm: Any = None,
        overwrite_x: Any = False,
        workers: Any = None,
        orthogonalize: Any = None,
    ) -> Any:
        if n is None and workers is None and not overwrite_x:
            product = _plans.product(_call_of_reals(kind, norm, type, orthogonalize), x, axis)
            if product is not None:
                return product
        sizes = None if n is None else (n,)
        return _of_reals(kind, x, type, sizes, (axis,), norm, overwrite_x, workers, orthogonalize)

    def several(
        x: Any,
        type: Any = 2,
        s: Any = None,
        axes: Any = None,
        norm: Any = None,
        overwrite_x: Any = False,
        workers: Any = None,
        orthogonalize: Any = None,
    ) -> Any:
        return _of_reals(kind, x, type, s, axes, norm, overwrite_x, workers, orthogonalize)

    return one, several


_functions: dict[str, Callable[..., Any]] = {}


def _public(names: Sequence[str], functions: Sequence[Callable[..., _Array]]) -> list[Any]:
    """The functions under their names; what is passed on is SciPy's."""
    return [_passing_on(name, function) for name, function in zip(names, functions, strict=True)]


def _passing_on(name: str, function: Callable[..., _Array]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except _PassOn:
            return _by_scipy(getattr(scipy.fft, name), args, kwargs)

    call.__name__ = call.__qualname__ = name
    call.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    call.__doc__ = f"As `scipy.fft.{name}`."
    _functions[name] = function
    return call


fft, fft2, fftn = _public(("fft", "fft2", "fftn"), _signatures(_complex, "fft"))
ifft, ifft2, ifftn = _public(("ifft", "ifft2", "ifftn"), _signatures(_complex, "ifft"))
rfft, rfft2, rfftn = _public(("rfft", "rfft2", "rfftn"), _signatures(_from_real, "rfft"))
irfft, irfft2, irfftn = _public(("irfft", "irfft2", "irfftn"), _signatures(_to_real, "irfft"))
hfft, hfft2, hfftn = _public(("hfft", "hfft2", "hfftn"), _signatures(_to_real, "hfft"))
ihfft, ihfft2, ihfftn = _public(("ihfft", "ihfft2", "ihfftn"), _signatures(_from_real, "ihfft"))
dct, dctn = _public(("dct", "dctn"), _signatures_of_reals("dct"))
idct, idctn = _public(("idct", "idctn"), _signatures_of_reals("idct"))
dst, dstn = _public(("dst", "dstn"), _signatures_of_reals("dst"))
idst, idstn = _public(("idst", "idstn"), _signatures_of_reals("idst"))


def _by_scipy(method: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """By SciPy's own implementation, also where papilio is the global backend."""
    with scipy.fft.set_backend("scipy", only=True):
        return method(*args, **kwargs)


def __ua_function__(method: Any, args: Any, kwargs: Any) -> Any:
    """What uarray asks of a backend."""
    function = _functions.get(method.__name__)
    try:
        if function is not None:
            return function(*args, **kwargs)
    except _PassOn:
        pass
    return _by_scipy(method, args, kwargs)
