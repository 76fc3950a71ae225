"""Non-uniform discrete Fourier transforms of types 1, 2 and 3, in one to three dimensions."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, DTypeLike

from .._util.checks import finite_number, length, number_of, one_of, shown, tolerance
from .._util.dtypes import as_array, as_dtype
from .._util.once import once
from ..operators import (
    Composition,
    GridFourier,
    Interpolation,
    Sparse,
    loadable,
)
from .fourier import COMPLEX, butterfly_dft, sparse
from .nonuniform_report import NonuniformReport, sampled
from .window import WAVES, WIDEST, Window, enlargement, expected_width, narrowest

_Array = np.ndarray[Any, Any]
_LARGEST_GRID = 2**31 - 1
# Cells over modes: what a narrower window saves is weighed against longer transforms.
_OVERSAMPLING = (1.2, 1.25, 1.33, 1.5, 1.6, 1.75, 2.0, 2.4)
_ODD = (1, 3, 5, 7, 9, 15)  # parts of lengths whose transforms are fast
# Nanoseconds, measured on AVX2 with complex128: of a cell for each doubling of a transform, of a
# point, of its windows' polynomials for each dimension, of a cell of its window.
_CELL_TIME, _POINT_TIME, _WINDOW_TIME, _WEIGHT_TIME = 1.0, 10.0, 4.0, 0.35
_LARGEST_OF_MEAN = 6.0  # the largest error of a window over its mean, at most
_ROUNDING = 1.0  # of transforms, in units of the last place, for each doubling


class ToleranceWarning(UserWarning):
    """A tolerance that was asked for can't be reached."""


@loadable
class NonuniformFourier(Composition):
    """What `nudft` returns: a `Composition` that knows its points.

    Attributes
    ----------
    kind : {1, 2, 3}
        The type.
    sign : {-1, 1}
        Of the exponent.
    tol : float
        What was asked for.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> F = pp.transforms.nudft(2, np.linspace(0, 6, 50), 32, tol=1e-9)
    >>> F.kind, F.sign, F.modes, F.points.shape
    (2, -1, (32,), (50, 1))
    """

    def __init__(
        self,
        parts: Sequence[Any],
        kind: int,
        sign: int,
        tol: float,
        bound: float,
        points: _Array | None = None,
        frequencies: _Array | None = None,
    ) -> None:
        super().__init__(parts)
        self.kind, self.sign, self.tol, self._bound = kind, sign, tol, bound
        self._given_points, self._frequencies = points, frequencies

    @property
    def _grid(self) -> GridFourier:
        found: GridFourier = next(part for part in self._parts if isinstance(part, GridFourier))
        return found

    @property
    def modes(self) -> tuple[int, ...]:
        """How many modes there are in each dimension; of type 3, cells of the grid between."""
        return self._grid.modes

    @property
    def points(self) -> _Array:
        """The points, one a row."""
        if self._given_points is not None:
            return self._given_points
        found: _Array = next(part.angles for part in self._parts if isinstance(part, Interpolation))
        return found

    @once
    def report(self) -> NonuniformReport:
        """How far the operator is from the transform, measured when it is first asked for."""
        inner = next(part for part in self._parts if isinstance(part, Interpolation))
        shape = inner.coefficients.shape
        return sampled(
            self, self._bound, self.tol, self._coordinates(), self.sign, (self._grid.grid, shape)
        )

    def _coordinates(self) -> tuple[_Array, _Array]:
        """What the exponents are the inner products of: coordinates of rows and of columns."""
        if self._frequencies is not None:
            return self._frequencies, self.points
        order = (lambda k: k) if self._grid.centered else np.fft.ifftshift
        axes = [order(np.arange(-(n // 2), (n + 1) // 2)) for n in self.modes]
        k = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
        return (self.points, k.astype(float)) if self.kind == 2 else (k.astype(float), self.points)

    def normal(self, weights: ArrayLike | None = None) -> Composition:
        """Return ``F.H @ W @ F``, W diagonal, for transforms from modes to points.

        Parameters
        ----------
        weights : array_like, shape (points,), optional
            Real numbers, W's diagonal. Default: ones.

        Returns
        -------
        Composition
            Exactly self-adjoint; the product takes two Fourier transforms of a grid of twice the
            modes in each dimension, however many points there are: entry (k, l) depends on k - l.

        Raises
        ------
        TypeError, ValueError
            For other weights, or a transform that isn't of type 2 (for type 1, ``F.H`` is).

        Examples
        --------
        >>> import numpy as np
        >>> import papilio as pp
        >>> x = np.random.default_rng(0).uniform(-np.pi, np.pi, 50)
        >>> F = pp.transforms.nudft(2, x, 16, tol=1e-10)
        >>> G = F.normal()
        >>> f = np.ones(16)
        >>> bool(np.allclose(G @ f, F.H @ (F @ f)))
        True
        """
        if self.kind != 2:
            raise ValueError(
                f"the transform is of type {self.kind}, expected type 2: modes as columns"
                + (" (F.H is of type 2)" if self.kind == 1 else "")
            )
        return _normal(self, _weights(weights, len(self.points)))

    # ------------------------------------------------------------------ transposes and copies

    def _like(self, parts: Sequence[Any], kind: int, sign: int) -> NonuniformFourier:
        return NonuniformFourier(
            parts, kind, sign, self.tol, self._bound, self._given_points, self._frequencies
        )

    def _make_transpose(self) -> NonuniformFourier:
        parts = [part.T for part in reversed(self._parts)]
        # Rows of type 3 are frequencies, columns points.
        return NonuniformFourier(
            parts,
            {1: 2, 2: 1, 3: 3}[self.kind],
            self.sign,
            self.tol,
            self._bound,
            self._frequencies,
            self._given_points,
        )

    def _make_conj(self) -> NonuniformFourier:
        return self._like([part.conj() for part in self._parts], self.kind, -self.sign)

    def _make_astype(self, dtype: np.dtype[Any]) -> NonuniformFourier:
        real = np.dtype(dtype.char.lower())
        return self._like([part.astype(real) for part in self._parts], self.kind, self.sign)

    def _state(self) -> tuple[Any, ...]:
        return (
            self._parts,
            self.kind,
            self.sign,
            self.tol,
            self._bound,
            self._given_points,
            self._frequencies,
        )

    @classmethod
    def _from_state(cls, *state: Any) -> NonuniformFourier:
        parts, kind, sign, tol, bound, *coordinates = state
        kinds = number_of(kind, "kind", (1, 2, 3)), number_of(sign, "sign", (-1, 1))
        errors = finite_number(tol, "tol"), finite_number(bound, "bound")
        if len(coordinates) != 2 or any(
            given is not None and not isinstance(given, np.ndarray) for given in coordinates
        ):
            raise ValueError("its points and frequencies aren't arrays")
        return cls(parts, *kinds, *errors, *coordinates)

    def __repr__(self) -> str:
        rows, cols = self.shape
        return f"<NonuniformFourier {rows}x{cols} {self.dtype}: type {self.kind}, tol {self.tol:g}>"


def nudft(
    kind: int,
    points: ArrayLike,
    modes: int | Sequence[int] | None = None,
    *,
    frequencies: ArrayLike | None = None,
    tol: float = 1e-6,
    sign: int = -1,
    mode_order: str = "centered",
    dtype: DTypeLike = np.complex128,
) -> NonuniformFourier:
    """Return the non-uniform discrete Fourier transform of type 1, 2 or 3.

    With points x (radians) and modes ``k = -N//2 .. (N-1)//2`` (in two and three dimensions all
    tuples, the last fastest), the matrix is

    - type 1, from values at points to modes: ``exp(sign i k[i] . x[j])``;
    - type 2, from modes to values at points: ``exp(sign i k[j] . x[i])``;
    - type 3, from values at points to any frequencies s: ``exp(sign i s[i] . x[j])``.

    Parameters
    ----------
    kind : {1, 2, 3}
        The type.
    points : array_like, shape (m,) or (m, d) with d = 1, 2 or 3
        Any finite numbers, in any order; for types 1 and 2 those outside of -pi..pi are wrapped.
    modes : int or sequence of int
        N per dimension, for types 1 and 2.
    frequencies : array_like, shape (n,) or (n, d)
        s, for type 3.
    tol : float, default 1e-6
        Relative error of the matrix in the Frobenius norm, from 1e-1 to about 1e-14 (complex128) or
        1e-6 (complex64). Products with random vectors have this error.
    sign : {-1, 1}, default -1
        Of the exponent.
    mode_order : {"centered", "fft"}, default "centered"
        Whether modes go from the most negative one up, or as in `numpy.fft`: from 0 up, then the
        negative ones.
    dtype : dtype_like, default complex128
        complex64 or complex128. Points are double precision in both.

    Returns
    -------
    NonuniformFourier
        A `Composition` of a Fourier transform on a finer grid and an interpolation from it at the
        points. ``F.T`` and ``F.H`` have the very same matrix; ``F.normal(weights)`` is
        ``F.H @ W @ F``; ``F.report`` tells the error.

    Raises
    ------
    TypeError, ValueError
        For a wrong type, points, modes, frequencies, tolerance, sign, order or dtype, and for grids
        of 2^31 cells.

    Warns
    -----
    ToleranceWarning
        If rounding in this dtype alone is larger than tol.

    See Also
    --------
    papilio.kernels.nudft : The same matrices, by their entries.

    Notes
    -----
    docs/transforms.md has the formula of the error. Memory: the points, 8 + 4 d bytes each besides
    what was given, and in products two grids.

    Examples
    --------
    >>> import numpy as np
    >>> import papilio as pp
    >>> x = np.random.default_rng(0).uniform(-np.pi, np.pi, 100)
    >>> F = pp.transforms.nudft(2, x, 64, tol=1e-9)
    >>> f = np.ones(64)
    >>> exact = np.exp(-1j * np.outer(x, np.arange(-32, 32))) @ f
    >>> bool(np.linalg.norm(F @ f - exact) < 1e-8 * np.linalg.norm(exact))
    True
    """
    kind = number_of(kind, "kind", (1, 2, 3))
    sign = number_of(sign, "sign", (-1, 1))
    wanted = tolerance(tol)
    centered = one_of(mode_order, "mode_order", ("centered", "fft")) == "centered"
    chosen = as_dtype(dtype, COMPLEX)
    x = _coordinates_of(points, "points")
    if kind == 3:
        if frequencies is None:
            raise ValueError("frequencies is None, expected those of the type 3 transform")
        s = _coordinates_of(frequencies, "frequencies", x.shape[1])
        return _type_3(x, s, wanted, sign, chosen)
    if modes is None:
        raise ValueError("modes is None, expected how many there are in each dimension")
    counts = _counts(modes, x.shape[1])
    _check_size([max(n, 32) for n in counts], f"modes {counts}")
    share = _share(wanted, chosen, 2 ** len(counts) * math.prod(counts), len(counts), 3)
    F = _type_2(_wrapped(x), counts, wanted, share, chosen, centered)
    if sign == 1:
        F = F.conj()
    return F if kind == 2 else F.T


def _coordinates_of(values: Any, name: str, dimensions: int | None = None) -> _Array:
    """Finite real points as (m, d)."""
    array = as_array(values, name)
    if array.dtype.kind == "c":
        raise TypeError(f"{name} has dtype {array.dtype}, expected real coordinates")
    array = array.astype(np.float64)
    if array.ndim == 1:
        array = array[:, None]
    allowed = (1, 2, 3) if dimensions is None else (dimensions,)
    if array.ndim != 2 or array.shape[1] not in allowed:
        raise ValueError(
            f"{name} has shape {np.shape(values)}, expected (n,) or (n, d) with d "
            + ("1, 2 or 3" if dimensions is None else f"= {dimensions}, as the points have")
        )
    if len(array) > _LARGEST_GRID:
        raise ValueError(f"{name} has {len(array)} rows, expected fewer than 2^31")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has NaN or infinity, expected finite numbers")
    return array


def _counts(modes: Any, dimensions: int) -> tuple[int, ...]:
    if isinstance(modes, np.ndarray):
        several = modes.ndim > 0
    else:
        several = isinstance(modes, Sequence) and not isinstance(modes, str | bytes)
    if several:
        counts = [length(count, f"modes[{d}]") for d, count in enumerate(modes)]
    else:
        counts = [length(modes, "modes")]
    if len(counts) != dimensions:
        raise ValueError(
            f"modes is {shown(modes)}, expected {dimensions} numbers: one per dimension of the "
            "points"
        )
    return tuple(counts)


def _wrapped(angles: _Array) -> _Array:
    """Angles as they are, but those of 2^20 turns and more within one.

    The core's place of an angle is exact to twice the precision; the library's sines and cosines
    are those of the angle as it is, of any size.
    """
    far = np.abs(angles) > 2.0**22
    if far.any():
        angles = angles.copy()
        angles[far] = np.arctan2(np.sin(angles[far]), np.cos(angles[far]))
    return angles


def _weights(weights: Any, points: int) -> _Array:
    if weights is None:
        return np.ones(points)
    array = as_array(weights, "weights")
    if array.dtype.kind == "c":
        raise TypeError(f"weights has dtype {array.dtype}, expected real numbers")
    if array.shape != (points,):
        raise ValueError(f"weights has shape {array.shape}, expected ({points},): one per point")
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise ValueError("weights has NaN or infinity, expected finite numbers")
    return array


# ---------------------------------------------------------------------- grids


def fast_length(least: float) -> int:
    """The smallest length of at least `least` whose transform is fast."""
    found = []
    for odd in _ODD:
        power = max(0, math.ceil(math.log2(max(least, 1) / odd) - 1e-12))
        found.append(odd << max(power, 2))
    return min(found)


def _rounding(dtype: np.dtype[Any], cells: int, amplification: float) -> float:
    """About what the rounding of a product is, relative to the product."""
    eps = float(np.finfo(dtype).eps)
    return _ROUNDING * eps * math.sqrt(math.log2(cells)) * amplification


def _chosen_grid(
    modes: Sequence[int], points: int, tol: float, eps: float
) -> tuple[tuple[int, ...], Window]:
    """Cells of the grid in each dimension, and the window: the cheapest pair found."""
    best = math.inf
    for factor in _OVERSAMPLING:
        width = expected_width(tol, 0.5 / factor)
        enlarged = enlargement(width, 0.5 / factor) ** len(modes)
        if factor < 2 and (width == WIDEST or 8 * eps * enlarged > tol):
            continue
        grid = tuple(fast_length(max(factor * n, 2 * width + 2)) for n in modes)
        band = max(n / (2 * cells) for n, cells in zip(modes, grid, strict=True))
        width = expected_width(tol, band)
        cost = _cost(modes, grid, points, width)
        if cost < best:
            best, chosen = cost, grid
    band = max(n / (2 * cells) for n, cells in zip(modes, chosen, strict=True))
    waves = min(WAVES, max(1, min(modes) // 2))
    window = narrowest(tol, math.ceil(256 * band) / 256, waves)
    chosen = tuple(max(cells, fast_length(2 * window.width)) for cells in chosen)
    return chosen, window


def _cost(modes: Sequence[int], grid: Sequence[int], points: int, width: int) -> float:
    """About how many nanoseconds a product takes."""
    cost = 0.0
    for axis, cells in enumerate(grid):
        rows = math.prod(modes[:axis]) * math.prod(grid[axis + 1 :])
        cost += _CELL_TIME * rows * cells * math.log2(cells)
    padded = 2 * math.ceil(width / 2)
    rows = width ** (len(grid) - 1)
    of_point = _POINT_TIME + _WINDOW_TIME * len(grid) + _WEIGHT_TIME * rows * padded
    return float(cost + points * of_point)


def _check_size(grid: Sequence[int], why: str) -> None:
    if math.prod(grid) > _LARGEST_GRID:
        raise ValueError(f"{why} would need a grid of {math.prod(grid)} cells, expected < 2^31")


def _share(tol: float, dtype: np.dtype[Any], cells: int, dimensions: int, stacklevel: int) -> float:
    """What the window of each dimension may be off by; warns if rounding alone is more."""
    rounding = _rounding(dtype, cells, 2.0**dimensions)
    if rounding > tol:
        warnings.warn(
            f"tol is {tol:g}, but rounding in {dtype} alone is about {rounding:.1e} for a grid of "
            f"{cells} cells",
            ToleranceWarning,
            stacklevel=stacklevel,
        )
    return max(tol - rounding, tol / 2) / dimensions


def _type_2(
    angles: _Array,
    modes: tuple[int, ...],
    tol: float,
    share: float,
    dtype: np.dtype[Any],
    centered: bool,
) -> NonuniformFourier:
    """The transform of type 2 and sign -1, each dimension's window off by at most `share`."""
    dimensions = len(modes)
    grid, window = _chosen_grid(modes, len(angles), share, float(np.finfo(dtype).eps))
    _check_size(grid, f"modes {modes}")
    transforms = {cells: butterfly_dft(cells, dtype) for cells in set(grid)}
    scales = []
    for n, cells in zip(modes, grid, strict=True):
        waves = np.arange(-(n // 2), (n + 1) // 2) / cells
        scale = 1 / window.transform(waves)
        scales.append(scale if centered else np.fft.ifftshift(scale))
    fourier = GridFourier([transforms[cells] for cells in grid], scales, centered)
    real = np.dtype(dtype.char.lower())
    interpolation = Interpolation(real, grid, window.coefficients, angles)
    bound = (1 + window.mean) ** dimensions - 1
    return NonuniformFourier([interpolation, fourier], 2, -1, tol, bound)


def _type_3(x: _Array, s: _Array, tol: float, sign: int, dtype: np.dtype[Any]) -> NonuniformFourier:
    """Spread to a grid that is finer than the frequencies need, transform that, and interpolate.

    With centres x_0 and s_0, ``s . x = s_0 . x + (s - s_0) . x_0 + (s - s_0) . (x - x_0)``: the
    first two are diagonals, the last is ``s' . x'`` with x' within a circle and s' in -pi..pi.
    """
    dimensions = x.shape[1]
    middle_x, half_x = _middle(x)
    middle_s, half_s = _middle(s)
    factor = 2.0
    # The window, and the transform between with a smaller error, since deconvolution enlarges it.
    share = tol / (8 * dimensions)
    window = narrowest(share, 0.5 / factor)
    half_x = np.where(half_x > 0, half_x, 1.0)
    half_s = np.maximum(half_s, 1 / half_x)
    least = 2 * factor / np.pi * half_s * half_x + window.width + 2
    if not math.prod(least) <= _LARGEST_GRID:
        spans = [shown((2 * half).tolist()) for half in (half_x, half_s)]
        raise ValueError(
            f"points and frequencies span {spans[0]} times {spans[1]}: expected so little that a "
            "grid of 2^31 cells is enough"
        )
    cells = tuple(fast_length(max(least[d], 2 * window.width)) for d in range(dimensions))
    _check_size(cells, "points and frequencies")
    stretch = np.array(cells) / (2 * factor * half_s)
    near = (x - middle_x) / stretch
    waves = 2 * np.pi * stretch / np.array(cells) * (s - middle_s)
    scales = np.prod(1 / window.transform(waves / (2 * np.pi)), axis=1)
    enlarged = float(window.transform(0.0) / window.transform(0.5 / factor)) ** dimensions
    _share(tol, dtype, math.prod(cells), dimensions, 4)
    inner = _type_2(waves, cells, tol, max(share / (3 * enlarged), 1e-15), dtype, False)
    spreading = Interpolation(np.dtype(dtype.char.lower()), cells, window.coefficients, near).T
    before = np.exp(-1j * (x @ middle_s))
    after = np.exp(-1j * ((s - middle_s) @ middle_x)) * scales
    parts = [_diagonal(after, dtype), *inner.parts, spreading, _diagonal(before, dtype)]
    bound = (1 + window.largest) ** dimensions - 1
    bound += enlarged * (1 + window.largest) ** dimensions * inner._bound * _LARGEST_OF_MEAN
    F = NonuniformFourier(parts, 3, -1, tol, bound, x, s)
    return F if sign == -1 else F.conj()


def _middle(values: _Array) -> tuple[_Array, _Array]:
    """The middle of an interval in each dimension, and half of its length."""
    if len(values) == 0:
        return np.zeros(values.shape[1]), np.zeros(values.shape[1])
    low, high = values.min(axis=0), values.max(axis=0)
    return (low + high) / 2, (high - low) / 2


def _diagonal(values: _Array, dtype: np.dtype[Any]) -> Sparse:
    return sparse(scipy.sparse.diags_array(values, format="csr"), dtype)


def _normal(F: NonuniformFourier, weights: _Array) -> Composition:
    """``crop(dft.H @ diag(spectrum) @ dft @ pad)``: a circulant matrix around the Toeplitz one."""
    modes, grid = F.modes, F._grid
    # Entry (k, l) is column[k - l]: sums of the weights times waves of twice the modes.
    double = tuple(2 * n for n in modes)
    wide = np.dtype(np.complex128)
    back = _type_2(F.points, double, F.tol, F.tol / len(modes), wide, False).T
    column = (back.conj() if F.sign == -1 else back) @ weights
    sizes = tuple(fast_length(n) for n in double)
    embedded = np.zeros(sizes, wide)
    places = [
        np.concatenate([np.arange(n), np.arange(cells - n, cells)])
        for n, cells in zip(modes, sizes, strict=True)
    ]
    embedded[np.ix_(*places)] = column.reshape(double)
    for axis, (n, cells) in enumerate(zip(modes, sizes, strict=True)):
        embedded[(slice(None),) * axis + (cells - n,)] = 0  # no two modes are n apart
    # Weights are real: so is the spectrum, but for errors.
    spectrum = np.fft.fftn(embedded).real / math.prod(sizes)
    transforms = {cells: butterfly_dft(cells, F.dtype) for cells in set(sizes)}
    around = GridFourier(
        [transforms[cells] for cells in sizes], [np.ones(n) for n in modes], grid.centered
    )
    return Composition(
        [around.T.conj(), _diagonal(spectrum.ravel(), np.dtype(F.dtype.char.lower())), around]
    )
