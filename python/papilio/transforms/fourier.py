"""Fourier transforms: complex, of real input, Hartley."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import DTypeLike

from .._chains.architecture import Architecture
from .._chains.factors import Factors
from .._util.checks import one_of
from .._util.dtypes import SUPPORTED, as_dtype
from .._util.roots import roots_of_unity
from ..operators import (
    Butterfly,
    Composition,
    Operator,
    Pairs,
    RealLinear,
    Sparse,
    along_axes,
    butterfly_of,
    complex_rows,
)
from .common import (
    Axes,
    Shape,
    kept,
    norm_name,
    or_dense,
    over_axes,
    scale_of,
    shape_and_axes,
)

# The largest radix that kernels know; of larger ones p n values are read.
_LARGEST_RADIX = 13
_LARGEST_SHORT_RADIX, _SHORT = 61, 1 << 15
REAL, COMPLEX = SUPPORTED[:2], SUPPORTED[2:]


def dft(
    n: Shape, dtype: DTypeLike = np.complex128, *, axes: Axes = None, norm: str | None = None
) -> Butterfly | Composition:
    """Return the discrete Fourier transform of length n: ``exp(-2 pi i j k / n)``.

    Parameters
    ----------
    n : int or sequence of int
        Any length; or the shape of arrays, which are held as vectors in C order. Where the prime
        factors of all lengths are at most 13 (short lengths: 61) the result is a Butterfly.
    dtype : dtype_like, default complex128
        complex64 or complex128.
    axes : int or sequence of int, optional
        Which axes of a shape n are transformed, as in `scipy.fft.fftn`. Default: all.
    norm : {"backward", "ortho", "forward"}, default "backward"
        As in `scipy.fft.fft`: forward scales by 1/n, ortho by 1/sqrt(n).

    Returns
    -------
    Butterfly or Composition
        ``dft(n) @ x`` equals ``scipy.fft.fft(x, norm=norm)``, or for a shape n
        ``scipy.fft.fftn(x.reshape(n), axes=axes, norm=norm).ravel()``. A Butterfly has its columns
        permuted by digit reversal; its factors are tied along a, where the Cooley-Tukey twiddles
        repeat. A length with a larger prime factor takes Bluestein's composition of two
        transforms of a power of two, or a short one the matrix as one factor.

    Raises
    ------
    TypeError, ValueError
        For lengths that aren't positive whole numbers, axes that n doesn't have, another dtype or
        an unknown norm.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> x = np.arange(12.0)
    >>> bool(np.allclose(pp.transforms.dft(12) @ x, np.fft.fft(x)))
    True
    >>> bool(np.allclose(pp.transforms.dft((3, 4)) @ x, np.fft.fft2(x.reshape(3, 4)).ravel()))
    True
    """
    return _fourier_of(n, dtype, axes, norm, inverse=False)


def idft(
    n: Shape, dtype: DTypeLike = np.complex128, *, axes: Axes = None, norm: str | None = None
) -> Butterfly | Composition:
    """Return the inverse discrete Fourier transform: ``exp(2 pi i j k / n) / n``.

    Parameters and structure are those of `dft`; ``idft(n) @ x`` equals
    ``scipy.fft.ifft(x, norm=norm)``.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> x = np.arange(8.0)
    >>> bool(np.allclose(pp.transforms.idft(8) @ (pp.transforms.dft(8) @ x), x))
    True
    """
    return _fourier_of(n, dtype, axes, norm, inverse=True)


def _fourier_of(
    n: Any, dtype: Any, axes: Axes, norm: Any, inverse: bool
) -> Butterfly | Composition:
    chosen, named = as_dtype(dtype, COMPLEX), norm_name(norm)
    transform: Butterfly | Composition = over_axes(
        n, axes, lambda length: _fourier(length, chosen, named, inverse)
    )
    return transform


def rdft(
    n: Shape,
    dtype: DTypeLike = np.float64,
    *,
    axes: Axes = None,
    norm: str | None = None,
    adjoint: str = "complex",
) -> Operator:
    """Return the Fourier transform of real vectors: the first ``n // 2 + 1`` rows of `dft`.

    Parameters
    ----------
    n : int or sequence of int
        Any length, or the shape of arrays, which are held as vectors in C order.
    dtype : dtype_like, default float64
        float32 or float64: of the real part of the work. The operator itself is complex.
    axes : int or sequence of int, optional
        As in `scipy.fft.rfftn`: the last of them (default: the last of all) is halved, the others
        get the complex transform.
    norm : {"backward", "ortho", "forward"}, default "backward"
        As in `scipy.fft.rfft`.
    adjoint : {"complex", "real"}, default "complex"
        "complex": the rows of `dft` as a matrix, which multiplies complex vectors as well; ``H`` is
        its conjugate transpose, and gives complex vectors. "real": an operator from real to complex
        vectors, linear over the real numbers. Its ``H`` is the adjoint for the real inner products
        ``x @ y`` and ``Re(conj(z) @ w)``: it takes z to the real part of what the conjugate
        transpose gives, a real vector. Solvers such as `scipy.sparse.linalg.lsqr` then find real
        signals.

    Returns
    -------
    Composition or RealLinear
        ``rdft(n) @ x`` equals ``scipy.fft.rfft(x, norm=norm)``, or ``rfftn`` flattened. For even n
        it runs a complex transform of half the length on pairs of real numbers. As a matrix it has
        no inverse; with ``adjoint="real"``, ``inv()`` is `irdft`.

    Raises
    ------
    TypeError, ValueError
        As `dft` does. Products of complex vectors with ``adjoint="real"`` are a TypeError.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> x = np.arange(8.0)
    >>> bool(np.allclose(pp.transforms.rdft(8) @ x, np.fft.rfft(x)))
    True
    >>> from scipy.sparse.linalg import lsqr
    >>> F = pp.transforms.rdft(8, adjoint="real")
    >>> found = lsqr(F, np.fft.rfft(x))[0]
    >>> found.dtype, bool(np.allclose(found, x))
    (dtype('float64'), True)
    """
    chosen, named = as_dtype(dtype, REAL), norm_name(norm)
    kind = one_of(adjoint, "adjoint", ("complex", "real"))
    make_last = _real_dft if kind == "real" else _rdft
    complex_dtype = np.result_type(chosen, np.complex64)

    transform: Operator = over_axes(
        n,
        axes,
        lambda length: _fourier(length, complex_dtype, named, False),
        lambda length: make_last(length, chosen, named),
    )
    return transform


def irdft(
    n: Shape, dtype: DTypeLike = np.float64, *, axes: Axes = None, norm: str | None = None
) -> Operator:
    """Return the inverse of `rdft`: from ``n // 2 + 1`` complex numbers to n real ones.

    Parameters
    ----------
    n : int or sequence of int
        Length of the real vectors, or the shape of real arrays, which are held as vectors in C
        order.
    dtype : dtype_like, default float64
        float32 or float64, of the result.
    axes : int or sequence of int, optional
        As in `scipy.fft.irfftn`: the last of them (default: the last of all) is halved on the
        complex side.
    norm : {"backward", "ortho", "forward"}, default "backward"
        As in `scipy.fft.irfft`.

    Returns
    -------
    RealLinear or Composition
        ``irdft(n) @ z`` equals ``scipy.fft.irfft(z, n, norm=norm)``: real, whatever z is. As there,
        the imaginary parts of ``z[0]`` and for even n of ``z[n // 2]`` don't count. It is linear
        over the real numbers only, so that it has no complex matrix; ``H`` is the adjoint for the
        real inner products, as that of `rdft` with ``adjoint="real"``, which is its ``inv()``.

    Raises
    ------
    TypeError, ValueError
        As `dft` does.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> x = np.arange(7.0)
    >>> bool(np.allclose(pp.transforms.irdft(7) @ np.fft.rfft(x), x))
    True
    """
    chosen, named = as_dtype(dtype, REAL), norm_name(norm)
    complex_dtype = np.result_type(chosen, np.complex64)
    shape, (*others, last) = shape_and_axes(n, axes)
    operators: list[tuple[int, Any]] = [(last, _real_idft(shape[last], chosen, named))]
    operators += [(axis, _fourier(shape[axis], complex_dtype, named, True)) for axis in others]
    halved = list(shape)
    halved[last] = shape[last] // 2 + 1
    transform: Operator = along_axes(halved, operators)
    return transform


def hartley(
    n: Shape, dtype: DTypeLike = np.float64, *, axes: Axes = None, norm: str | None = None
) -> Composition:
    """Return the Hartley transform of length n: ``cos(2 pi j k / n) + sin(2 pi j k / n)``.

    Parameters
    ----------
    n : int or sequence of int
        Any length, or the shape of arrays, which are held as vectors in C order.
    dtype : dtype_like, default float64
        float32 or float64.
    axes : int or sequence of int, optional
        Which axes of a shape n are transformed, one after the other (the product of the kernels of
        all axes). Default: all.
    norm : {"backward", "ortho", "forward"}, default "backward"
        The inverse is the transform divided by n (backward).

    Returns
    -------
    Composition
        Real and symmetric; for even n a complex transform of half the length between sparse
        matrices.

    Raises
    ------
    TypeError, ValueError
        As `dft` does.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> x = np.arange(6.0)
    >>> f = np.fft.fft(x)
    >>> bool(np.allclose(pp.transforms.hartley(6) @ x, f.real - f.imag))
    True
    """
    chosen, named = as_dtype(dtype, REAL), norm_name(norm)
    transform: Composition = over_axes(
        n, axes, lambda length: _hartley(length, chosen, named, False)
    )
    return transform


@kept
def _rdft(n: int, dtype: np.dtype[Any], norm: str | None) -> Composition:
    spectrum, parts = half_spectrum(n, dtype)
    rows = spectrum[: n // 2 + 1] * scale_of(norm, n, False)
    return Composition([sparse(rows, dtype), *parts])


@kept
def _real_dft(n: int, dtype: np.dtype[Any], norm: str | None) -> RealLinear:
    forward, back = pairs_of_halves(n, dtype, norm)
    return RealLinear(forward, False, back)


@kept
def _real_idft(n: int, dtype: np.dtype[Any], norm: str | None) -> RealLinear:
    forward, back = pairs_of_halves(n, dtype, norm)
    return RealLinear(back, True, forward)


def pairs_of_halves(
    n: int, dtype: np.dtype[Any], norm: str | None = None
) -> tuple[Composition, Composition]:
    """`rdft` and `irdft` as real operators, whose complex vectors are pairs of real numbers.

    With the rows R of the spectrum, irfft is ``R^T W / n``: each value but those of frequency 0 and
    n/2 stands for its conjugate as well.
    """
    spectrum, parts = half_spectrum(n, dtype)
    rows = complex_rows(spectrum[: n // 2 + 1])
    rows.eliminate_zeros()  # the imaginary parts of the values that are real
    weights = np.full(n // 2 + 1, 2.0)
    weights[[0, n // 2] if n % 2 == 0 else 0] = 1
    weighted = rows.T @ scipy.sparse.diags_array(np.repeat(weights, 2) * scale_of(norm, n, True))
    forward = Composition([sparse(rows * scale_of(norm, n, False), dtype), *parts])
    return forward, Composition([*(part.T for part in reversed(parts)), sparse(weighted, dtype)])


@kept
def _hartley(n: int, dtype: np.dtype[Any], norm: str | None, inverse: bool) -> Composition:
    spectrum, parts = half_spectrum(n, dtype)
    rows = (spectrum.real - spectrum.imag) * scale_of(norm, n, inverse)
    back = partial(_hartley, n, dtype, norm, not inverse)
    return or_dense(Composition([sparse(rows, dtype), *parts], back))


def half_spectrum(n: int, dtype: np.dtype[Any]) -> tuple[Any, list[Any]]:
    """``(S, parts)`` with ``dft(n) = S @ product(parts)``, parts real (first `Pairs`), S sparse.

    For even n: z = dft(n/2) of the pairs x[2 j] + i x[2 j + 1] has Z_k = E_k + i O_k, E and O being
    the transforms of the even and the odd entries, so that E_k = (Z_k + conj Z_-k) / 2,
    O_k = (Z_k - conj Z_-k) / 2i and X_k = E_k + exp(-2 pi i k / n) O_k. S.H @ S is 2 I.
    """
    complex_dtype = np.result_type(dtype, np.complex64)
    k = np.arange(n)
    if n % 2:
        pairs = Sparse(scipy.sparse.csr_array((np.ones(n, dtype), (2 * k, k)), shape=(2 * n, n)))
        values = np.stack([np.ones(n), np.full(n, 1j)], axis=1)
        columns = np.stack([2 * k, 2 * k + 1], axis=1)
        return _rows(values, columns, 2 * n), [Pairs(butterfly_dft(n, complex_dtype)), pairs]
    half = n // 2
    # Z_k = z[2 k] + i z[2 k + 1] enters as (1 - i w) / 2, its conjugate at -k as (1 + i w) / 2.
    turned = 1j * roots_of_unity(n)
    direct, mirrored = (1 - turned) / 2, (1 + turned) / 2
    at, back = k % half, -k % half
    values = np.stack([direct, 1j * direct, mirrored, -1j * mirrored], axis=1)
    columns = np.stack([2 * at, 2 * at + 1, 2 * back, 2 * back + 1], axis=1)
    return _rows(values, columns, n), [Pairs(butterfly_dft(half, complex_dtype))]


def butterfly_dft(n: int, dtype: np.dtype[Any]) -> Any:
    """`dft` of checked arguments, for use inside of compositions."""
    return _fourier(n, dtype, None, False)


def sparse(matrix: Any, dtype: np.dtype[Any]) -> Sparse:
    """A part of the precision of `dtype`; entries that are rounding errors stay."""
    return Sparse(matrix).astype(dtype)


def _rows(values: Any, columns: Any, width: int) -> Any:
    starts = np.arange(0, values.size + 1, values.shape[1])
    matrix = scipy.sparse.csr_array(
        (values.ravel(), columns.ravel(), starts), shape=(len(values), width)
    )
    matrix.sum_duplicates()
    return matrix


@kept
def _fourier(
    n: int, dtype: np.dtype[Any], norm: str | None, inverse: bool
) -> Butterfly | Composition:
    """`dft` or `idft` of one length, of checked arguments."""
    scale = scale_of(norm, n, inverse)
    radices = prime_factors(n)
    largest = max(radices)
    short = largest <= _LARGEST_SHORT_RADIX and largest * n <= _SHORT
    if largest > _LARGEST_RADIX and not short:
        return _bluestein(n, dtype, norm, inverse, scale)
    architecture = Architecture.mixed_radix(radices)
    values = []
    digits = np.zeros(1, np.int64)
    roots = roots_of_unity(n)
    if inverse:
        roots = roots.conj()
    for pattern in architecture:
        p, d = pattern.b, pattern.d
        j, k, l = np.ogrid[:p, :p, :d]
        # exp(-2 pi i (j d + l) k / (p d)), the twiddle of (k, l) times the root of (j, k)
        values.append(roots[None, (j * d + l) * k % (p * d) * (n // (p * d))])
    # Row of the permuted input: digits of the column reversed.
    for p in radices:
        digits = (digits[:, None] + len(digits) * np.arange(p)).ravel()
    _spread(values, scale)
    reversal = np.empty(n, np.int64)
    reversal[digits] = np.arange(n)
    return butterfly_of(
        Factors(
            architecture,
            tuple(block.astype(dtype) for block in values),
            None,
            None if len(radices) == 1 else reversal,
        )
    )


def _spread(values: list[Any], scale: float) -> None:
    """Multiply the factors by `scale`: exact shares of it first, the rest into the last."""
    if scale == 1:
        return
    for n in range(len(values) - 1):
        share = 2.0 ** -round(np.log2(values[n].shape[1]))
        if scale < share:
            values[n] = values[n] * share
            scale /= share
    values[-1] *= scale


def _bluestein(
    n: int, dtype: np.dtype[Any], norm: str | None, inverse: bool, scale: float
) -> Composition:
    """``j k = (j^2 + k^2 - (j - k)^2) / 2``: a convolution with a chirp between two chirps."""
    k = np.arange(n)
    chirp = roots_of_unity(2 * n, k * k % (2 * n))
    if inverse:
        chirp = chirp.conj()
    m = 1 << (2 * n - 2).bit_length()
    kernel = np.zeros(m, np.complex128)
    kernel[:n] = chirp.conj()
    kernel[m - n + 1 :] = chirp[:0:-1].conj()
    select = scipy.sparse.csr_array((chirp, (k, k)), shape=(n, m))
    transform = butterfly_dft(m, dtype)
    return or_dense(
        Composition(
            [
                sparse(select * scale, dtype),
                transform.conj(),
                sparse(scipy.sparse.diags_array(np.fft.fft(kernel) / m), dtype),
                transform,
                sparse(select.T, dtype),
            ],
            partial(_fourier, n, dtype, norm, not inverse),
        )
    )


def fast_length(n: int) -> int:
    """The next power of two, or three quarters of it: lengths that SIMD vectors divide."""
    power = 1 << (n - 1).bit_length()
    return power // 4 * 3 if n <= power // 4 * 3 and power >= 64 else power


def prime_factors(n: int) -> list[int]:
    """The prime factors of n, the largest first: to the left of the twos, where the SIMD lanes of
    one vector run along whole powers of two. ``[1]`` for n = 1."""
    factors = []
    rest, p = n, 2
    while p * p <= rest:
        while rest % p == 0:
            factors.append(p)
            rest //= p
        p += 1
    if rest > 1 or not factors:
        factors.append(rest)
    return factors[::-1]
