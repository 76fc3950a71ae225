"""Matrices of the literature by their entries, ready for `compress`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike

from .._util.checks import finite_number, length, number_of, real_number, shown, whole_number
from .._util.dtypes import as_array
from .._util.formulas import Compiled, checked, compiled
from .._util.legendre import Angles, AssociatedLegendre
from ._bessel import bessel_of, circular_wave, hankel_of

__all__ = [
    "Kernel",
    "bessel",
    "fio",
    "fio2d",
    "fractional_fourier",
    "hankel",
    "helmholtz",
    "laplace",
    "legendre",
    "nudft",
    "radon",
]


def __dir__() -> list[str]:
    return __all__


_Array = np.ndarray[Any, Any]
_LARGE = 300  # arguments of Hankel functions from which on expansions are used
_LARGEST_BESSEL = 10000.0  # order whose functions are tabulated where they don't oscillate yet
_LARGEST_ORDER = 1 << 25  # of Legendre functions: whole numbers and their squares are exact


@dataclass(frozen=True, eq=False)
class Kernel:
    """A matrix given by its entries: ``kernel(i, j)``.

    Attributes
    ----------
    name : str
        Of the family, with some of the parameters.
    shape : tuple of int
        Rows and columns.
    dtype : numpy.dtype
        float64 or complex128.
    function : callable
        Entries for index arrays that broadcast against each other. Of most ready kernels, a
        formula of the core, which `compress` evaluates without NumPy.
    row_points, column_points : ndarray or None
        Coordinates of rows and columns where their indices are in no geometric order.

    Examples
    --------
    >>> import papilio as pp
    >>> A = pp.kernels.laplace([1.0, 2.0], [0.0, 1.0])
    >>> A
    <Kernel laplace 2x2 float64>
    >>> A.toarray().round(3)
    array([[1.   , 0.368],
           [1.   , 0.135]])
    """

    name: str
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    function: Callable[[Any, Any], _Array]
    row_points: _Array | None = None
    column_points: _Array | None = None

    def __call__(self, i: Any, j: Any) -> _Array:
        """Entries in the shape to which the index arrays i and j broadcast."""
        rows, columns = np.asarray(i), np.asarray(j)
        if rows.ndim == columns.ndim == 0:
            entry: _Array = self.function(rows[None], columns[None])[0]
            return entry
        return self.function(rows, columns)

    def toarray(self) -> _Array:
        """Return the dense matrix: a new array of ``shape[0] * shape[1]`` entries."""
        return self(np.arange(self.shape[0])[:, None], np.arange(self.shape[1]))

    def __repr__(self) -> str:
        rows, columns = self.shape
        return f"<Kernel {self.name} {rows}x{columns} {self.dtype}>"


def _points(points: ArrayLike, name: str, dimensions: Sequence[int] = (1, 2, 3)) -> _Array:
    """Finite real points as (n, dimensions), 1-D ones with one dimension."""
    array = as_array(points, name)
    if array.dtype.kind == "c":
        raise TypeError(f"{name} has dtype {array.dtype}, expected real coordinates")
    array = array.astype(np.float64)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or array.shape[1] not in dimensions or not len(array):
        raise ValueError(
            f"{name} has shape {np.shape(points)}, expected {'(n,) or ' * (1 in dimensions)}"
            f"{' or '.join(f'(n, {d})' for d in dimensions)}, of at least one point"
        )
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has NaN or infinity, expected finite numbers")
    return array


def _check_range(points: _Array, name: str, most: float, wanted: str) -> None:
    """That the points are from 0 to `most`."""
    outside = np.flatnonzero((points < 0) | (points > most))
    if len(outside):
        first = int(outside[0])
        raise ValueError(f"{name} has {points[first]} at entry {first}, but {wanted}")


def _kernel(
    name: str,
    shape: tuple[int, int],
    function: Callable[[Any, Any], _Array],
    rows: _Array | None = None,
    columns: _Array | None = None,
    *,
    real: bool = False,
) -> Kernel:
    return Kernel(
        name, shape, np.dtype(np.float64 if real else np.complex128), function, rows, columns
    )


def _inner_product_wave(rows: _Array, columns: _Array) -> Compiled:
    """Entries ``exp(2 pi i rows[i] . columns[j])``."""
    return compiled(f"inner product {rows.shape[1]}", [*rows.T], [*columns.T])


def _modes(modes: int | Sequence[int], dimensions: int) -> _Array:
    several = modes.ndim > 0 if isinstance(modes, np.ndarray) else isinstance(modes, Sequence)
    given: Any = modes
    if several:
        counts = [length(count, f"modes[{d}]") for d, count in enumerate(given)]
    else:
        counts = [length(modes, "modes")]
    if len(counts) != dimensions:
        raise ValueError(
            f"modes is {shown(modes)}, expected {dimensions} numbers: one per dimension of the "
            "points"
        )
    axes = [np.arange(-(count // 2), (count + 1) // 2) for count in counts]
    return (
        np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, dimensions).astype(float)
    )


def _wrapped(angles: _Array) -> _Array:
    """Angles in -pi..pi: what is inside as it is, the rest from sines and cosines.

    The library's sines and cosines are those of the angle as it is, of any size; a remainder by
    the double nearest to 2 pi would be off by 1e-17 times the number of turns.
    """
    outside = np.abs(angles) > np.pi
    wrapped = angles.copy()
    wrapped[outside] = np.arctan2(np.sin(angles[outside]), np.cos(angles[outside]))
    return wrapped


def nudft(
    kind: int,
    points: ArrayLike,
    modes: int | Sequence[int] | None = None,
    *,
    frequencies: ArrayLike | None = None,
    sign: int = -1,
) -> Kernel:
    """Non-uniform discrete Fourier transform of type 1, 2 or 3, in one or two dimensions.

    With points x (radians) and modes ``k = -N//2 .. (N-1)//2`` (in 2-D all pairs, the last
    fastest), the matrix is

    - type 1, from values at points to modes: ``exp(sign i k[i] . x[j])``;
    - type 2, from modes to values at points: ``exp(sign i k[j] . x[i])``;
    - type 3, from values at points to any frequencies s: ``exp(sign i s[i] . x[j])``.

    Parameters
    ----------
    kind : {1, 2, 3}
        The type, as FINUFFT numbers them.
    points : array_like, shape (m,) or (m, 2)
        In any order.
    modes : int or (int, int)
        N per dimension, for types 1 and 2.
    frequencies : array_like, shape (n,) or (n, 2)
        s, for type 3.
    sign : {-1, 1}, default -1
        Of the exponent.

    Raises
    ------
    TypeError, ValueError
        For a wrong type, points, modes, frequencies or sign, and for arguments of another type.

    Notes
    -----
    Points of types 1 and 2 may be any finite numbers: those outside of -pi..pi are wrapped into
    it, with an error of a few 1e-16 whatever their size. Points far apart that are close on the
    circle are then neighbours, as clusters need. Phases are products in double precision: entries
    have an absolute error of about 1e-16 times the largest ``|k x|`` or ``|s x|``.

    References
    ----------
    A. Barnett, J. Magland, L. af Klinteberg, "A parallel nonuniform fast Fourier transform library
    based on an exponential of semicircle kernel", SIAM J. Sci. Comput. 2019.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> x = 2 * np.pi * np.arange(4) / 4
    >>> A = pp.kernels.nudft(2, x, 4)
    >>> bool(np.allclose(A.toarray() @ np.ones(4), [4, 0, 0, 0]))
    True
    """
    kind = number_of(kind, "kind", (1, 2, 3))
    sign = number_of(sign, "sign", (-1, 1))
    x = _points(points, "points", (1, 2))
    if kind == 3:
        if frequencies is None:
            raise ValueError("frequencies is None, expected those of the type 3 transform")
        if modes is not None:
            raise ValueError(f"modes is {shown(modes)}, expected None: type 3 has frequencies")
        k = _points(frequencies, "frequencies", (x.shape[1],))
    else:
        if modes is None:
            raise ValueError("modes is None, expected how many there are in each dimension")
        if frequencies is not None:
            raise ValueError(
                f"frequencies is {shown(frequencies)}, expected None: a transform of type {kind} "
                "has modes"
            )
        k = _modes(modes, x.shape[1])
        x = _wrapped(x)
    scaled = x * (sign / (2 * np.pi))
    rows, columns = (scaled, k) if kind == 2 else (k, scaled)
    return _kernel(
        f"nudft type {kind}",
        (len(rows), len(columns)),
        _inner_product_wave(rows, columns),
        x if kind == 2 else k,
        k if kind == 2 else x,
    )


def fio(n: int, variant: int = 1) -> Kernel:
    """One-dimensional Fourier integral operators of the butterfly literature.

    With ``x = i / n`` and ``k = j - n/2``, entries ``a(x, k) exp(2 pi i (x k + c(x) |k|))`` where

    - variant 1: ``a = 1``, ``c = (2 + sin 2 pi x) / 8``;
    - variant 2: ``a = 1 + sin(x/2) cos(k/(2n)) / 16``, ``c = (2 + 0.2 sin 2 pi x) / 16``.

    Parameters
    ----------
    n : int
        Rows and columns.
    variant : {1, 2}
        Which one.

    Raises
    ------
    TypeError, ValueError
        For a size that isn't a positive whole number, or another variant.

    References
    ----------
    E. Candes, L. Demanet, L. Ying, "A fast butterfly algorithm for the computation of Fourier
    integral operators", Multiscale Model. Simul. 2009; Y. Li, H. Yang, "Interpolative butterfly
    factorization", SIAM J. Sci. Comput. 2017.

    Examples
    --------
    >>> import papilio as pp
    >>> abs(pp.kernels.fio(8).toarray()).max().round(12)
    np.float64(1.0)
    """
    n = length(n, "n")
    variant = number_of(variant, "variant", (1, 2))
    x = np.arange(n) / n
    k = np.arange(n) - n / 2
    size = np.abs(k)
    wave = np.sin(2 * np.pi * x)
    shift = (2 + wave) / 8 if variant == 1 else (2 + 0.2 * wave) / 16

    if variant == 1:
        entries = compiled("inner product 2", [x, shift], [k, size])
    else:
        tilt, taper = np.sin(x / 2) / 16, np.cos(k / (2 * n))
        entries = compiled("tapered inner product", [x, shift, tilt], [k, size, taper])
    return _kernel(f"fio variant {variant}", (n, n), entries)


def fio2d(n: int) -> Kernel:
    """Two-dimensional Fourier integral operator on n x n points.

    Rows are points ``x = (x1, x2)`` of the unit square's grid ``(i1, i2) / n``, columns
    frequencies ``k = (k1, k2)`` from -n/2 to n/2 - 1, the last index fastest, entries
    ``exp(2 pi i (x . k + sqrt(c1(x)^2 k1^2 + c2(x)^2 k2^2)))`` with
    ``c1 = (2 + sin 2 pi x1 sin 2 pi x2) / 32`` and ``c2 = (2 + cos 2 pi x1 cos 2 pi x2) / 32``.

    Parameters
    ----------
    n : int
        Points per side: the matrix is n^2 x n^2.

    Raises
    ------
    TypeError, ValueError
        For a size that isn't a positive whole number.

    References
    ----------
    Y. Li, H. Yang, L. Ying, "Multidimensional butterfly factorization", Appl. Comput. Harmon.
    Anal. 2018.

    Examples
    --------
    >>> import papilio as pp
    >>> pp.kernels.fio2d(4).shape
    (16, 16)
    """
    n = length(n, "n")
    i, j = (axis.ravel() for axis in np.meshgrid(np.arange(n), np.arange(n), indexing="ij"))
    x1, x2 = i / n, j / n
    k1, k2 = i - n / 2, j - n / 2
    s1, s2 = np.sin(2 * np.pi * x1), np.sin(2 * np.pi * x2)
    t1, t2 = np.cos(2 * np.pi * x1), np.cos(2 * np.pi * x2)
    c1, c2 = ((2 + s1 * s2) / 32) ** 2, ((2 + t1 * t2) / 32) ** 2
    q1, q2 = k1**2, k2**2

    entries = compiled("elliptic phase", [x1, x2, c1, c2], [k1, k2, q1, q2])
    return _kernel("fio2d", (n * n, n * n), entries, np.stack([x1, x2], 1), np.stack([k1, k2], 1))


def hankel(n: int) -> Kernel:
    """Hankel functions of all orders: ``H_j^(1)(n + 2 pi i / 3)``, row i, order j.

    Parameters
    ----------
    n : int
        Rows and columns.

    Raises
    ------
    TypeError, ValueError
        For a size that isn't a positive whole number.

    Notes
    -----
    Entries have a relative error of about 1e-16 times their argument, as their phases do.

    References
    ----------
    Y. Li, H. Yang, E. Martin, K. Ho, L. Ying, "Butterfly factorization", Multiscale Model. Simul.
    2015.

    Examples
    --------
    >>> import papilio as pp
    >>> pp.kernels.hankel(8).dtype
    dtype('complex128')
    """
    n = length(n, "n")
    argument = n + 2 * np.pi / 3 * np.arange(n)

    if n >= _LARGE:
        return _kernel("hankel", (n, n), hankel_of(argument, np.arange(float(n))))

    def entries(i: Any, j: Any) -> _Array:
        orders = checked(j, "j", n).astype(np.float64)
        values: _Array = scipy.special.hankel1(orders, argument[checked(i, "i", n)])
        return values

    return _kernel("hankel", (n, n), entries)


def bessel(n: int, order: float = 0.0) -> Kernel:
    """Fourier-Bessel (Hankel) transform: ``J_order(r w)``, ``r = i / n``, ``w = pi (j + 1)``.

    Parameters
    ----------
    n : int
        Rows and columns.
    order : float, default 0
        Of the Bessel function, at least 0.

    Raises
    ------
    TypeError, ValueError
        For a size that isn't a positive whole number, or an order that isn't a finite
        number of at least 0.

    Notes
    -----
    Entries have an absolute error of some 1e-15 (up to 5e-15 for orders above 2000), and of about
    1e-16 x times their size at large arguments x. Orders above 10000 are SciPy's.

    References
    ----------
    M. O'Neil, F. Woolfe, V. Rokhlin, "An algorithm for the rapid evaluation of special function
    transforms", Appl. Comput. Harmon. Anal. 2010.

    Examples
    --------
    >>> import papilio as pp
    >>> pp.kernels.bessel(4).toarray()[0]
    array([1., 1., 1., 1.])
    """
    n = length(n, "n")
    order = finite_number(order, "order")
    r, w = np.arange(n) / n, np.pi * np.arange(1, n + 1)
    name = "bessel" if order == 0 else f"bessel order {order:g}"
    if order <= _LARGEST_BESSEL:
        return _kernel(name, (n, n), bessel_of(order, r, w), real=True)

    def entries(i: Any, j: Any) -> _Array:
        values: _Array = scipy.special.jv(order, r[checked(i, "i", n)] * w[checked(j, "j", n)])
        return values

    return _kernel(name, (n, n), entries, real=True)


def legendre(theta: ArrayLike, degrees: int, order: int = 0) -> Kernel:
    """Associated Legendre functions of one order: the polar part of spherical harmonics.

    Entry (i, j) is ``P_l^m(cos theta[i])``, m = `order` and l = m + j, normalized so that
    ``integral P_l^m(cos t)^2 sin t dt = 1`` over 0..pi, without the sign ``(-1)^m``.

    Parameters
    ----------
    theta : array_like, shape (rows,)
        Angles between 0 and pi, in any order.
    degrees : int
        How many.
    order : int, default 0
        m, from 0 on.

    Raises
    ------
    TypeError, ValueError
        For angles outside of 0..pi, or numbers of degrees or an order that aren't such whole
        numbers.

    Notes
    -----
    Order 0 takes the same time for any degree, and has an absolute error of a few 1e-15 before the
    normalization, for the angles as they are (their rounding errors times l are in the values).
    Other orders do, too, where ``(l + 1/2) sin theta`` is above 25 and some times the square of the
    order; nearer to the poles they go by a recurrence over the degrees from functions that are kept
    every 64 degrees (together at most about 128 MiB), with exponents beyond those of double
    precision where the functions are that small: any order works. Errors there are some 1e-15 of
    the largest value, and up to 2e-14 where thousands of degrees, orders of 40 and more and angles
    far from the poles come together.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> A = pp.kernels.legendre([0.0, np.pi / 2], 3)
    >>> (A.toarray() ** 2).round(6)
    array([[0.5  , 1.5  , 2.5  ],
           [0.5  , 0.   , 0.625]])
    """
    angles = _points(theta, "theta", (1,))[:, 0]
    _check_range(angles, "theta", np.pi, "theta must lie between 0 and pi")
    degrees = length(degrees, "degrees")
    m = whole_number(order, "order", 0)
    if m > _LARGEST_ORDER:
        raise ValueError(f"order is {m}, expected at most {_LARGEST_ORDER}")
    if m:
        entries = Compiled(AssociatedLegendre(angles, m, degrees).formula)
    else:
        entries = Compiled(lambda: Angles.of(angles).formula(np.sqrt(np.arange(degrees) + 0.5)))
    return _kernel(f"legendre order {m}", (len(angles), degrees), entries, angles, None, real=True)


def helmholtz(targets: ArrayLike, sources: ArrayLike, wavenumber: float) -> Kernel:
    """Free-space Green's function of the Helmholtz equation between two sets of points.

    ``(i/4) H_0^(1)(k r)`` in two dimensions, ``exp(i k r) / (4 pi r)`` in three, r the distance of
    target i and source j; 0 where they coincide.

    Parameters
    ----------
    targets, sources : array_like, shape (m, d) and (n, d), d = 2 or 3
        Points, on curves or surfaces or anywhere.
    wavenumber : float
        k, above 0.

    Raises
    ------
    TypeError, ValueError
        For points that aren't finite real numbers of one dimension d, or another wavenumber.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> A = pp.kernels.helmholtz([[0.0, 0.0, 0.0]], [[0.0, 0.0, 1.0]], np.pi)
    >>> A.toarray().real.round(4)
    array([[-0.0796]])
    """
    x = _points(targets, "targets", (2, 3))
    y = _points(sources, "sources", (x.shape[1],))
    wavenumber = finite_number(wavenumber, "wavenumber", positive=True)
    dimensions = x.shape[1]

    if dimensions == 3:
        turns = [wavenumber / (2 * np.pi)]
        entries: Callable[[Any, Any], _Array] = compiled("spherical wave", [*x.T], [*y.T], turns)
    else:
        entries = circular_wave(x, y, wavenumber)
    return _kernel("helmholtz", (len(x), len(y)), entries, x, y)


def radon(n: int) -> Kernel:
    """Hyperbolic Radon transform in the frequency domain, of seismic processing.

    Rows are times and slownesses ``(tau, p)``, columns frequencies and offsets ``(w, h)``, n each
    (the last index fastest), entries ``exp(2 pi i w sqrt(tau^2 + p^2 h^2))``; tau, p and h are
    from 0 to 1, w from 0 to n - 1.

    Parameters
    ----------
    n : int
        Points per axis: the matrix is n^2 x n^2.

    Raises
    ------
    TypeError, ValueError
        For a size that isn't a positive whole number.

    References
    ----------
    J. Hu, S. Fomel, L. Demanet, L. Ying, "A fast butterfly algorithm for generalized Radon
    transforms", Geophysics 2013.

    Examples
    --------
    >>> import papilio as pp
    >>> pp.kernels.radon(4).shape
    (16, 16)
    """
    n = length(n, "n")
    first, second = (
        axis.ravel() for axis in np.meshgrid(np.arange(n), np.arange(n), indexing="ij")
    )
    tau, p = (first + 0.5) / n, (second + 0.5) / n
    w, h = first.astype(float), (second + 0.5) / n
    tau2, p2, h2 = tau**2, p**2, h**2

    entries = compiled("hyperbolic phase", [tau2, p2], [w, h2])
    return _kernel("radon", (n * n, n * n), entries, np.stack([tau, p], 1), np.stack([w / n, h], 1))


def fractional_fourier(n: int, order: float) -> Kernel:
    """Fractional Fourier transform (a chirp transform) of one order, on n samples.

    With ``phi = order pi / 2`` and ``u, x = (index - n/2) / sqrt(n)``, entries
    ``sqrt((1 - i cot phi) / n) exp(pi i (u^2 cot phi - 2 u x csc phi + x^2 cot phi))``. Order 1 is
    the unitary DFT with centred indices.

    Parameters
    ----------
    n : int
        Rows and columns.
    order : float
        Not an even number, where the transform is the identity or a reflection.

    Raises
    ------
    TypeError, ValueError
        For a size that isn't a positive whole number, or an order that is even or isn't a finite
        number.

    References
    ----------
    H. Ozaktas, O. Arikan, M. Kutay, G. Bozdagi, "Digital computation of the fractional Fourier
    transform", IEEE Trans. Signal Process. 1996.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> A = pp.kernels.fractional_fourier(16, 1.0).toarray()
    >>> bool(np.allclose(A @ A.conj().T, np.eye(16)))
    True
    """
    n = length(n, "n")
    order = real_number(order, "order")
    angle = math.remainder(order, 4) * np.pi / 2  # exact: the transform has the period 4
    if abs(math.sin(angle)) < 1e-9:
        raise ValueError(f"order is {order}, expected a number that isn't even")
    cot, csc = 1 / math.tan(angle), 1 / math.sin(angle)
    u = (np.arange(n) - n / 2) / math.sqrt(n)
    scale = complex(np.sqrt((1 - 1j * cot) / n))
    chirp = u**2 * (cot / 2)

    ones = np.ones(n)
    entries = compiled(
        "scaled inner product",
        [chirp, -u, ones],
        [ones, u * csc, chirp],
        [scale.real, scale.imag],
    )
    return _kernel(f"fractional Fourier order {order:g}", (n, n), entries)


def laplace(s: ArrayLike, t: ArrayLike) -> Kernel:
    """Laplace transform of samples: ``exp(-s[i] t[j])``.

    Parameters
    ----------
    s, t : array_like, shapes (m,) and (n,)
        Not negative, in any order.

    Raises
    ------
    TypeError, ValueError
        For points that aren't finite real numbers of at least 0.

    References
    ----------
    J. Strain, "A fast Laplace transform based on Laguerre functions", Math. Comp. 1992.

    Examples
    --------
    >>> import papilio as pp
    >>> pp.kernels.laplace([0.0], [1.0, 2.0]).toarray()
    array([[1., 1.]])
    """
    rates, times = _points(s, "s", (1,))[:, 0], _points(t, "t", (1,))[:, 0]
    for points, name in ((rates, "s"), (times, "t")):
        _check_range(points, name, np.inf, "s and t must not be negative")

    entries = compiled("decay", [rates], [times])
    return _kernel("laplace", (len(rates), len(times)), entries, rates, times, real=True)
