"""Non-uniform discrete Fourier transforms of types 1, 2 and 3, in one to three dimensions."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, DTypeLike

from .. import _core
from .._util.checks import finite_number, is_sequence, length, number_of, one_of, shown, tolerance
from .._util.dtypes import as_array, as_dtype
from .._util.once import once
from .._util.turns import Radians
from ..operators import (
    Composition,
    GridFourier,
    Interpolation,
    Sparse,
    loadable,
    shaped,
)
from .fourier import COMPLEX, butterfly_dft, sparse
from .nonuniform_error import FAR, of_modes, of_places, of_products, of_type_3, rms, rounding_units
from .nonuniform_report import NonuniformReport, sampled
from .window import MANY, WIDEST, Window, enlargement, expected_width, narrowest

_Array = np.ndarray[Any, Any]
_LARGEST_GRID = 2**31 - 1
# Cells over modes: what a narrower window saves is weighed against longer transforms.
_OVERSAMPLING = (1.2, 1.25, 1.33, 1.5, 1.6, 1.75, 2.0, 2.4)
_ODD = (1, 3, 5, 7, 9, 15)  # parts of lengths whose transforms are fast
# Nanoseconds, measured on AVX2 with complex128: of a cell for each doubling of a transform, of a
# point, of its windows' polynomials for each dimension, of a cell of its window.
_CELL_TIME, _POINT_TIME, _WINDOW_TIME, _WEIGHT_TIME = 1.0, 10.0, 4.0, 0.35
_TRIES = 4  # windows that are chosen until rounding leaves room for them


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
        for given in (points, frequencies):
            if given is not None:
                given.setflags(write=False)

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
        """The points, one a row, read-only."""
        if self._given_points is not None:
            return self._given_points
        found: _Array = next(part.angles for part in self._parts if isinstance(part, Interpolation))
        return found

    @once
    def report(self) -> NonuniformReport:
        """How far the operator is from the transform, measured when it is first asked for."""
        grid = self._grid.grid
        inner = next(
            part for part in self._parts if isinstance(part, Interpolation) and part.grid == grid
        )
        bounds = self._bound, of_products(self._parts, self.dtype)
        shape = inner.coefficients.shape
        return sampled(self, bounds, self.tol, self._coordinates(), self.sign, (grid, shape))

    def _coordinates(self) -> tuple[_Array, _Array]:
        """What the exponents are the inner products of: coordinates of rows and of columns."""
        if self._frequencies is not None:
            return self._frequencies, self.points
        order = (lambda k: k) if self._grid.centered else np.fft.ifftshift
        axes = [order(np.arange(-(n // 2), (n + 1) // 2)) for n in self.modes]
        k = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
        return (self.points, k.astype(float)) if self.kind == 2 else (k.astype(float), self.points)

    def normal(self, weights: ArrayLike | None = None) -> Composition:
        """Return ``F.H @ W @ F`` up to about `tol`, W diagonal, for transforms of type 2.

        Parameters
        ----------
        weights : array_like, shape (points,), optional
            Real numbers, W's diagonal. Default: ones.

        Returns
        -------
        Composition
            Exactly self-adjoint; the product takes two Fourier transforms of a grid of twice the
            modes in each dimension, however many points there are: entry (k, l) depends on k - l.
            Its entries have relative errors of about `tol`, too: where ``F.H @ W @ F`` is positive
            semidefinite, eigenvalues may be as low as about ``-tol`` times the largest one.

        Raises
        ------
        TypeError, ValueError
            For other weights, ones so large that the result overflows, or a transform that isn't of
            type 2 (for type 1, ``F.H`` is).

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
        N per dimension, for types 1 and 2 only.
    frequencies : array_like, shape (n,) or (n, d)
        s, for type 3 only: any finite numbers, too.
    tol : float, default 1e-6
        Relative error of the matrix in the Frobenius norm, from 1e-1 to about 1e-13 (complex128) or
        1e-6 (complex64), less in more dimensions. Products with random vectors have this error.
    sign : {-1, 1}, default -1
        Of the exponent.
    mode_order : {"centered", "fft"}, default "centered"
        Whether modes go from the most negative one up, or as in `numpy.fft`: from 0 up, then the
        negative ones. For types 1 and 2 only.
    dtype : dtype_like, default complex128
        complex64 or complex128. Points are double precision in both.

    Returns
    -------
    NonuniformFourier
        A `Composition` of a Fourier transform on a finer grid and an interpolation from it at the
        points. ``F.T`` and ``F.H`` have the very same matrix; ``F.normal(weights)`` is
        ``F.H @ W @ F`` up to about tol; ``F.report`` tells the error. `dims` of type 2, `dimsd` of
        type 1 are the modes.

    Raises
    ------
    TypeError, ValueError
        For a wrong type, points, modes, frequencies, tolerance, sign, order or dtype, for arguments
        that the type doesn't use, and for grids of 2^31 cells.

    Warns
    -----
    ToleranceWarning
        If the error isn't known to be at most tol, rounding included: where ``F.report.reached``
        is False.

    See Also
    --------
    papilio.kernels.nudft : The same matrices, by their entries.

    Notes
    -----
    docs/transforms.md has the formula of the error. Products of points and frequencies that are far
    from 0 are reduced to a turn exactly; the doubles given count as exact. Memory: the points, 4 +
    12 d bytes each (4 + 8 d in single precision) besides what was given, and in products two grids.

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
        if modes is not None:
            raise ValueError(f"modes is {shown(modes)}, expected None: type 3 has frequencies")
        if not centered:
            raise ValueError("mode_order is 'fft', expected 'centered': type 3 has no modes")
        s = _coordinates_of(frequencies, "frequencies", x.shape[1])
        F = _type_3(x, s, wanted, sign, chosen)
        _warn_beyond(F)
        return F
    if modes is None:
        raise ValueError("modes is None, expected how many there are in each dimension")
    if frequencies is not None:
        raise ValueError(
            f"frequencies is {shown(frequencies)}, expected None: a transform of type {kind} has "
            "modes"
        )
    counts = _counts(modes, x.shape[1])
    _check_size([max(n, 32) for n in counts], f"modes {counts}")
    F = shaped(_type_2(x, counts, wanted, chosen, centered), (len(x),), counts)
    _warn_beyond(F)
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
    if is_sequence(modes):
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
    far = np.abs(angles) > FAR
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
    counts = tuple(sorted({min(MANY, n) for n in modes}))
    window = narrowest(tol, math.ceil(256 * band) / 256, counts)
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


def _warn_beyond(F: NonuniformFourier) -> None:
    """Warn where the report is going to say that the tolerance isn't reached."""
    rounding = of_products(F.parts, F.dtype)
    if F._bound + rounding <= F.tol:
        return
    known = (
        f"rounding in {F.dtype} alone is about {rounding:.1e} for a grid of "
        f"{math.prod(F._grid.grid)} cells"
        if rounding > F.tol
        else f"the error is known to be at most {F._bound + rounding:.1e} only"
    )
    warnings.warn(f"tol is {F.tol:g}, but {known}", ToleranceWarning, stacklevel=3)


@dataclass(frozen=True)
class _Plan:
    """The grid of a transform of type 2, its window and its scales, one for each dimension."""

    grid: tuple[int, ...]
    window: Window
    scales: list[_Array]


def _planned(modes: tuple[int, ...], points: int, share: float, eps: float) -> _Plan:
    """The cheapest plan whose window is off by at most `share` in each dimension."""
    grid, window = _chosen_grid(modes, points, share, eps)
    _check_size(grid, f"modes {modes}")
    scales = [
        1 / window.transform(np.arange(-(n // 2), (n + 1) // 2) / cells)
        for n, cells in zip(modes, grid, strict=True)
    ]
    return _Plan(grid, window, scales)


def _type_2(
    x: _Array, modes: tuple[int, ...], tol: float, dtype: np.dtype[Any], centered: bool
) -> NonuniformFourier:
    """The transform of type 2 and sign -1 whose bound, with rounding, is at most tol if possible.

    What rounding takes depends on the grid: where it leaves less than was thought, windows are
    chosen again, with the rest.
    """
    eps, angles = float(np.finfo(dtype).eps), _wrapped(x)
    least, best = math.inf, None
    share = max(tol - 2 * eps * (1 + len(modes)), tol / 8) / len(modes)
    for _ in range(_TRIES):
        plan = _planned(modes, len(x), share, eps)
        places = of_places(angles, plan.grid, plan.window.width, x)
        away = sum(k * place for k, place in zip(of_modes(modes), places, strict=True))
        rounding = eps * rounding_units(plan.grid, plan.scales, plan.window.coefficients)
        bound = (1 + plan.window.mean) ** len(modes) - 1 + away
        if bound + rounding < least:
            least, best = bound + rounding, (plan, bound)
        if least <= tol:
            break
        share = min(0.95 * max(tol - away - rounding, tol / 16) / len(modes), share / 2)
    assert best is not None
    plan, bound = best
    return NonuniformFourier(_parts(plan, angles, dtype, centered), 2, -1, tol, bound)


def _parts(plan: _Plan, angles: _Array, dtype: np.dtype[Any], centered: bool) -> list[Any]:
    """Interpolation at the angles, and the transform from modes to the grid."""
    transforms = {cells: butterfly_dft(cells, dtype) for cells in set(plan.grid)}
    scales = plan.scales if centered else [np.fft.ifftshift(scale) for scale in plan.scales]
    fourier = GridFourier([transforms[cells] for cells in plan.grid], scales, centered)
    real = np.dtype(dtype.char.lower())
    return [Interpolation(real, plan.grid, plan.window.coefficients, angles), fourier]


def _type_3(x: _Array, s: _Array, tol: float, sign: int, dtype: np.dtype[Any]) -> NonuniformFourier:
    """Spread to a grid that is finer than the frequencies need, transform that, and interpolate.

    With centres x_0 and s_0, ``s . x = s_0 . x + (s . x_0 - s_0 . x_0) + (s - s_0) . (x - x_0)``:
    the first two are diagonals, the last is ``s' . x'`` with x' within a circle and s' in -pi..pi.
    """
    dimensions = x.shape[1]
    middle_x, middle_s = _middle(x), _middle(s)
    near_x, near_s = x - middle_x, s - middle_s
    factor = 2.0
    # The window, and the transform between with a smaller error, since deconvolution enlarges it.
    share = tol / (8 * dimensions)
    window = narrowest(share, 0.5 / factor)
    # Powers of two that take points near 1, so that nothing overflows on the way.
    sizes = np.frexp(np.abs(near_x).max(axis=0, initial=0.0))[1]
    with np.errstate(over="ignore"):
        near_x, near_s = np.ldexp(near_x, -sizes), np.ldexp(near_s, sizes)
    half_x = np.abs(near_x).max(axis=0, initial=0.0)
    half_x = np.where(half_x > 0, half_x, 1.0)
    half_s = np.maximum(np.abs(near_s).max(axis=0, initial=0.0), 1 / half_x)
    least = 2 * factor / np.pi * half_s * half_x + window.width + 2
    if not math.prod(least.tolist()) <= _LARGEST_GRID:
        spans = [
            (2 * np.ldexp(half, sign * sizes)).tolist()
            for half, sign in ((half_x, 1), (half_s, -1))
        ]
        raise ValueError(
            f"points and frequencies span {shown(spans[0])} times {shown(spans[1])}: expected so "
            "little that a grid of 2^31 cells is enough"
        )
    cells = tuple(fast_length(max(least[d], 2 * window.width)) for d in range(dimensions))
    _check_size(cells, "points and frequencies")
    stretch = np.array(cells) / (2 * factor * half_s)
    near = near_x / stretch
    waves = 2 * np.pi * stretch / np.array(cells) * near_s
    scales = np.prod(1 / window.transform(waves / (2 * np.pi)), axis=1)
    # What an error of the transform between is enlarged by: in the mean over the frequencies.
    enlarged = float(window.transform(0.0)) ** dimensions * rms(scales)
    worst = float(window.transform(0.0) / window.transform(0.5 / factor)) ** dimensions
    eps = float(np.finfo(dtype).eps)
    inner = _planned(cells, len(s), max(share / (3 * worst), 1e-15), eps)
    parts = _parts(inner, waves, dtype, False)
    parts.append(Interpolation(np.dtype(dtype.char.lower()), cells, window.coefficients, near).T)
    # Phases are exact but for a last rounding, however far away the middles are.
    if len(s):
        after = _turns(s, middle_x) - _turns(middle_s[None], middle_x)
        parts.insert(0, _diagonal(_core.wave(np.rint(after) - after) * scales, dtype))
    if len(x):
        before = _turns(x, middle_s)
        parts.append(_diagonal(_core.wave(np.rint(before) - before), dtype))
    of_window = (1 + window.largest) ** dimensions
    bound = of_window - 1
    bound += enlarged * of_window * ((1 + inner.window.largest) ** dimensions - 1)
    places = (
        of_places(near, cells, window.width, near),
        of_places(waves, inner.grid, inner.window.width, waves),
    )
    bound += of_type_3(near_x, near_s, cells, places, window.width)
    F = NonuniformFourier(parts, 3, -1, tol, bound, x, s)
    return F if sign == -1 else F.conj()


def _turns(values: _Array, others: _Array) -> _Array:
    """Inner products of rows with a vector, in turns; whole ones don't count."""
    turns: _Array = np.sum(
        [Radians(values[:, d]).times(other) for d, other in enumerate(others)], axis=0
    )
    return turns


def _middle(values: _Array) -> _Array:
    """The middle of an interval in each dimension."""
    if len(values) == 0:
        return np.zeros(values.shape[1])
    middle: _Array = values.min(axis=0) / 2 + values.max(axis=0) / 2
    return middle


def _diagonal(values: _Array, dtype: np.dtype[Any]) -> Sparse:
    return sparse(scipy.sparse.diags_array(values, format="csr"), dtype)


def _normal(F: NonuniformFourier, weights: _Array) -> Composition:
    """``crop(dft.H @ diag(spectrum) @ dft @ pad)``: a circulant matrix around the Toeplitz one."""
    modes, grid, real = F.modes, F._grid, np.dtype(F.dtype.char.lower())
    size, limits = float(np.abs(weights).max(initial=0.0)), np.finfo(real)
    if 0 < size < limits.tiny / limits.eps:
        # Near the smallest numbers the spectrum would lose digits: the product is scaled.
        power = int(np.frexp(size)[1])
        scaled: Composition = _normal(F, np.ldexp(weights, -power)) * 2.0**power
        return scaled
    # Entry (k, l) is column[k - l]: sums of the weights times waves of twice the modes.
    double = tuple(2 * n for n in modes)
    wide = np.dtype(np.complex128)
    back = _type_2(F.points, double, F.tol, wide, False).T
    with np.errstate(over="ignore", invalid="ignore"):
        column = (back.conj() if F.sign == -1 else back) @ weights
    if not np.abs(column).max() <= limits.max:
        raise ValueError(
            f"weights has entries up to {size:.3g}, so that the result overflows {F.dtype}, "
            "expected smaller ones"
        )
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
    spectrum = np.fft.fftn(embedded / math.prod(sizes)).real
    transforms = {cells: butterfly_dft(cells, F.dtype) for cells in set(sizes)}
    around = GridFourier(
        [transforms[cells] for cells in sizes], [np.ones(n) for n in modes], grid.centered
    )
    made = Composition([around.T.conj(), _diagonal(spectrum.ravel(), real), around])
    return shaped(made, modes, modes)
