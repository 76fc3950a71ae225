"""Fourier transforms: complex, of real input, Hartley."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import scipy.fft
import scipy.sparse
from numpy.typing import DTypeLike

from .._chains.architecture import Architecture
from .._chains.factors import Factors
from .._util.dtypes import SUPPORTED, as_dtype
from .._util.roots import roots_of_unity
from ..operators import Butterfly, Composition, Pairs, Sparse, butterfly_of
from .common import Axes, Shape, kept, norm_name, or_dense, over_axes, scale_of

# Radices whose factors have no structure that the planner knows: p n values are read.
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
    n: Shape, dtype: DTypeLike = np.float64, *, axes: Axes = None, norm: str | None = None
) -> Composition:
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

    Returns
    -------
    Composition
        ``rdft(n) @ x`` equals ``scipy.fft.rfft(x, norm=norm)``, or ``rfftn`` flattened. For even n
        it runs a complex transform of half the length on pairs of real numbers. It has no linear
        inverse: that is real-linear only.

    Raises
    ------
    TypeError, ValueError
        As `dft` does.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> x = np.arange(8.0)
    >>> bool(np.allclose(pp.transforms.rdft(8) @ x, np.fft.rfft(x)))
    True
    """
    chosen, named = as_dtype(dtype, REAL), norm_name(norm)
    complex_dtype = np.result_type(chosen, np.complex64)

    transform: Composition = over_axes(
        n,
        axes,
        lambda length: _fourier(length, complex_dtype, named, False),
        lambda length: _rdft(length, chosen, named),
    )
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
                sparse(scipy.sparse.diags_array(scipy.fft.fft(kernel) / m), dtype),
                transform,
                sparse(select.T, dtype),
            ],
            partial(_fourier, n, dtype, norm, not inverse),
        )
    )


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
