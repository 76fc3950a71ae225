"""simplify: factors made tied and structured again, within a tolerance."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import _core
from .._chains.architecture import Architecture
from .._chains.factors import Factors
from .._chains.pattern import Pattern
from .._util.checks import tolerance
from .._util.interruptible import interruptibly
from .._util.plotting import FLOOR, new_axes
from .._util.printed import Printed
from .._util.progress import Progress, reporter, silent
from .._util.roots import roots_of_unity
from ._compiled import Compiled, Side

_Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class FactorChange:
    """What `Butterfly.simplify` did to one factor.

    Attributes
    ----------
    tied_a, tied_d : bool
        Whether it is tied along a and d now.
    matrix : str or None
        "hadamard", "fourier" or "conjugate fourier" if it is that matrix times twiddles now.
    snapped : int
        How many stored values are now exactly 0 or a root of unity (times the factor's scale) and
        were not before. What is small becomes 0 only where values are tied by that.
    change : float
        The largest change of a value after the gauge was fixed, relative to the largest value.
    """

    tied_a: bool
    tied_d: bool
    matrix: str | None
    snapped: int
    change: float


@dataclass(frozen=True)
class Simplification(Printed):
    """What `Butterfly.simplify` changed.

    Attributes
    ----------
    tol : float
        The tolerance.
    relative_change : float
        ``||F - G||`` over ``||F||`` in the Frobenius norm: exact for up to 64 columns, else
        estimated from 16 random vectors (exact to about a quarter of itself).
    nbytes_before, nbytes_after : int
        Bytes of the stored values.
    factors : tuple of FactorChange
        Left to right.
    """

    tol: float
    relative_change: float
    nbytes_before: int
    nbytes_after: int
    factors: tuple[FactorChange, ...]

    def plot(self, ax: Any = None) -> Any:
        """Draw the largest change of a value in each factor, and the tolerance.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure otherwise.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ImportError
            Without Matplotlib.

        Examples
        --------
        >>> import papilio as pp
        >>> A = pp.transforms.hadamard(16).toarray()
        >>> F = pp.factorize(A, pp.Architecture.square_dyadic(16))
        >>> ax = F.simplify().simplification.plot()  # doctest: +SKIP
        """
        ax = new_axes(ax)
        numbers = range(1, len(self.factors) + 1)
        ax.semilogy(numbers, [max(f.change, FLOOR) for f in self.factors], "o", label="factor")
        ax.axhline(max(self.relative_change, FLOOR), color="black", label="whole operator")
        ax.axhline(max(self.tol, FLOOR), color="red", linestyle=":", label="tolerance")
        ax.set(xlabel="factor", ylabel="largest change", xticks=list(numbers))
        ax.legend()
        return ax

    def __str__(self) -> str:
        lines = [
            f"simplified within {self.tol:.2g}: {self.nbytes_before} -> {self.nbytes_after} bytes, "
            f"relative change {self.relative_change:.2e}"
        ]
        for n, factor in enumerate(self.factors):
            tied = "".join(
                f", tied along {name}"
                for name, flag in (("a", factor.tied_a), ("d", factor.tied_d))
                if flag
            )
            matrix = f", {factor.matrix} matrix" if factor.matrix else ""
            lines.append(
                f"  factor {n + 1}: {factor.snapped} values snapped{tied}{matrix}, "
                f"largest change {factor.change:.1e}"
            )
        return "\n".join(lines)


def simplify(
    factors: Factors, tol: float | None, progress: Progress
) -> tuple[Factors, Simplification]:
    """See `ChainOperator.simplify`."""
    eps = float(np.finfo(factors.dtype).eps)
    tol = eps**0.75 if tol is None else tolerance(tol, zero=True)
    factors.check_finite()

    def run(step: Callable[..., Any], *args: Any) -> Any:
        if factors.nnz < _LARGE:
            return _quietly(step, *args)
        return interruptibly(_quietly, step, *args)

    with reporter(progress, "simplify") as tell:
        return _simplified(factors, tol, run, tell or silent)


def _quietly(step: Callable[..., Any], *args: Any) -> Any:
    """One step: what leaves the range in it doesn't pass the check."""
    with np.errstate(all="ignore"):
        return step(*args)


def _simplified(
    factors: Factors, tol: float, run: Callable[..., Any], tell: Callable[[float], object]
) -> tuple[Factors, Simplification]:
    """Each long step is made by `run`."""
    architecture = factors.architecture
    given = run(_Chain.of, factors.values, architecture)
    candidates: list[tuple[tuple[int, int, int], list[_Array], list[FactorChange]]] = []
    check = run(_Check, factors, tol)
    gauges = given, run(given.rows_scaled), run(given.columns_scaled)
    ways = [(gauge, zeros) for gauge in gauges if gauge is not None for zeros in (True, False)]
    # The checks at the end count as one more way.
    passes = (len(ways) + 1) * len(factors)
    for gauge, zeros in ways:
        simpler = []
        for v, pattern in zip(gauge.values, architecture, strict=True):
            simpler.append(run(_simpler, v, pattern, tol, zeros))
            tell((len(candidates) * len(factors) + len(simpler)) / passes)
        structured = sum(change.matrix is not None for _, change in simpler)
        candidates.append(
            (
                (sum(v.size for v, _ in simpler), -structured, len(candidates)),
                run(gauge.scaled_back, [v for v, _ in simpler], factors.dtype),
                [change for _, change in simpler],
            )
        )
    # The gauge with the fewest values, then with the most structure; the given one on a tie. That
    # each value changed little says little where large and small ones are multiplied, so the
    # product is looked at.
    kept = [
        FactorChange(v.shape[0] < p.a, v.shape[3] < p.d, None, 0, 0.0)
        for v, p in zip(factors.values, architecture, strict=True)
    ]
    best, change, changes = list(factors.values), 0.0, kept
    for _, values, made in sorted(candidates, key=lambda candidate: candidate[0]):
        found = run(check.relative_change, values)
        if found is not None:
            best, change, changes = values, found, made
            break
    tell(1.0)
    simple = replace(factors, values=tuple(best))
    return simple, Simplification(tol, change, factors.nbytes, simple.nbytes, tuple(changes))


@dataclass(frozen=True)
class _Chain:
    """Factors in double precision, the largest part of each from 1/2 on and below 1.

    Factor s is ``values[s] * 2**exponents[s]``.
    """

    architecture: Architecture
    values: list[_Array]
    exponents: list[int]

    @classmethod
    def of(cls, factors: Sequence[_Array], architecture: Architecture) -> _Chain:
        values, exponents = [], []
        for factor, pattern in zip(factors, architecture, strict=True):
            wide = np.broadcast_to(factor, tuple(pattern)).astype(
                np.result_type(factor.dtype, np.float64)
            )
            exponent = math.frexp(_largest_part(wide))[1]
            values.append(_times_power(wide, -exponent))
            exponents.append(exponent)
        return cls(architecture, values, exponents)

    def rows_scaled(self) -> _Chain | None:
        """All factors but the first with ones for k = 0: rows are scaled, the inverse goes left."""
        if len(self.values) < 2:
            return None
        values = list(self.values)
        for s in range(len(values) - 1, 0, -1):
            scale = values[s][:, :, :1, :]
            if not _divisible(scale, values[s]):
                return None
            values[s] = values[s] / scale
            a, _, c, d = tuple(self.architecture[s - 1])
            values[s - 1] = values[s - 1] * scale.reshape(a, 1, c, d)
        others = [0] * (len(values) - 1)
        return _Chain(self.architecture, values, [sum(self.exponents), *others])

    def columns_scaled(self) -> _Chain | None:
        """All factors but the last with ones for j = 0: columns are, the inverse goes right."""
        if len(self.values) < 2:
            return None
        values = list(self.values)
        for s in range(len(values) - 1):
            scale = values[s][:, :1, :, :]
            if not _divisible(scale, values[s]):
                return None
            values[s] = values[s] / scale
            a, b, _, d = tuple(self.architecture[s + 1])
            values[s + 1] = values[s + 1] * scale.reshape(a, b, 1, d)
        others = [0] * (len(values) - 1)
        return _Chain(self.architecture, values, [*others, sum(self.exponents)])

    def scaled_back(self, values: list[_Array], dtype: Any) -> list[_Array]:
        """These values with the exponents of the chain, in the dtype of the operator."""
        return [
            np.ascontiguousarray(_times_power(v, exponent), dtype=dtype)
            for v, exponent in zip(values, self.exponents, strict=True)
        ]


_SIDES = (Side.OWN, Side.TRANSPOSED)


class _Wide:
    """Products with factors in double precision."""

    def __init__(self, factors: Factors) -> None:
        wide = factors.astype(np.result_type(factors.dtype, np.float64)).as_multiplied()
        compiled = _core.Operator(
            wide.patterns, wide.multiplied, wide.row_permutation, wide.column_permutation
        )
        self._sides = [
            Compiled(compiled, side, wide.shape[side], wide.dtype, wide.dtype) for side in _SIDES
        ]

    def times(self, x: _Array, side: Side) -> _Array:
        """The factors, or their transposes, times x."""
        return self._sides[side].product(x, 0)


class _Check:
    """Whether an operator with other factors is the same, row by row and column by column.

    The terms that make up an entry of F are products of one entry of each factor. Where each of
    these changes by a part `tol` of itself, so does each term, and every row of ``(G - F) x`` is
    as small next to that of the absolute values, ``|F_1| ... |F_L| |x|``; likewise for columns.
    """

    def __init__(self, factors: Factors, tol: float) -> None:
        self.factors = factors
        # Tying, matching and rounding may each take its share; casting and multiplying round.
        eps = float(np.finfo(factors.dtype).eps)
        longest = max(
            sum(p.c for p in factors.architecture), sum(p.b for p in factors.architecture)
        )
        self.allowed = math.expm1(len(factors) * math.log1p(4 * tol)) + 8 * longest * eps
        own, sizes = (
            self.operator(factors.values),
            self.operator([np.abs(v) for v in factors.values]),
        )
        self.probes = []
        rng = np.random.default_rng(0)
        for side in _SIDES:
            x = rng.standard_normal((factors.shape[1 - side], 16))
            # Products near 1 neither overflow nor vanish, whatever the scale of the factors.
            x = _times_power(x, -math.frexp(_largest_part(sizes.times(np.abs(x), side)))[1])
            self.probes.append((side, x, own.times(x, side), sizes.times(np.abs(x), side)))
        if factors.shape[1] <= _EXACT:
            x = np.eye(factors.shape[1]) * _largest_part(self.probes[0][1])
            self.measured = x, own.times(x, Side.OWN)
        else:
            self.measured = self.probes[0][1], self.probes[0][2]

    def operator(self, values: Sequence[_Array]) -> _Wide:
        """An operator in double precision."""
        return _Wide(replace(self.factors, values=tuple(values)))

    def relative_change(self, values: Sequence[_Array]) -> float | None:
        """||F - G|| / ||F|| of the operator with these values; None if it isn't the same."""
        if not all(np.isfinite(v).all() for v in values):
            return None
        G = self.operator(values)
        for side, x, product, size in self.probes:
            rest = G.times(x, side) - product
            if not (np.abs(rest) <= self.allowed * size).all():
                return None
        x, product = self.measured
        norm = _norm(product)
        return _norm(G.times(x, Side.OWN) - product) / norm if norm > 0 else 0.0


# Entries from which on a single step over all of them may take a tenth of a second.
_LARGE = 1 << 20
# Columns up to which all unit vectors are multiplied, for the exact change.
_EXACT = 64


def _norm(values: _Array) -> float:
    exponent = math.frexp(_largest_part(values))[1]
    return math.ldexp(float(np.linalg.norm(_times_power(values, -exponent))), exponent)


def _largest_part(values: _Array) -> float:
    if values.dtype.kind != "c":
        return float(np.abs(values).max())
    return float(max(np.abs(values.real).max(), np.abs(values.imag).max()))


def _times_power(values: _Array, exponent: int) -> _Array:
    """values * 2**exponent, exactly but for what leaves the range."""
    half = exponent // 2
    scaled: _Array = values * math.ldexp(1.0, half) * math.ldexp(1.0, exponent - half)
    return scaled


def _divisible(scale: _Array, values: _Array) -> bool:
    return bool(np.abs(scale).min() > 1e-6 * np.abs(values).max() > 0)


def _tied(values: _Array, tol: float) -> _Array:
    """Stored once along a or d, if each value is within the tolerance, next to itself."""
    for axis in (0, 3):
        mean = values.mean(axis=axis, keepdims=True)
        if (np.abs(values - mean) <= tol * np.abs(values)).all():
            values = mean
    return values


def _simpler(
    values: _Array, pattern: Pattern, tol: float, zeros: bool
) -> tuple[_Array, FactorChange]:
    """One factor: tied, its values snapped, made an exact product of matrix and twiddles.

    With `zeros`, what is negligible in its row and its column of its block becomes zero where that
    makes values equal that were not; elsewhere what is small may be right.
    """
    tied = _tied(values, tol)
    if zeros:
        sizes = np.abs(values)
        least = np.minimum(sizes.max(axis=1, keepdims=True), sizes.max(axis=2, keepdims=True))
        cleared = _tied(np.where(sizes <= tol * least, 0, values), tol)
        if cleared.size < tied.size:
            tied = cleared
    result = tied
    matrix = None
    largest = float(np.abs(values).max())
    b, c, d = pattern.b, pattern.c, pattern.d
    scale = _near_power_of_two(float(result.flat[0].real), tol)
    snapped = int(
        np.count_nonzero(
            (tied == 0) & (values != 0).any(axis=_repeated(tied, values), keepdims=True)
        )
    )
    if abs(scale) > 1e-6 * largest:
        units = result / scale
        if b == c and b > 1:
            matrix, units = _core.structured(np.ascontiguousarray(units), tol)
        rounded = _rounded(units, b * d)
        near = (np.abs(units - rounded) <= tol) & (rounded != 0)
        units = np.where(near, rounded, units)
        snapped += int(np.count_nonzero(near & (units != tied / scale)))
        result = units * scale
    change = float(np.abs(result - values).max() / largest) if largest > 0 else 0.0
    return result, FactorChange(
        result.shape[0] < pattern.a, result.shape[3] < d, matrix, snapped, change
    )


def _repeated(tied: _Array, values: _Array) -> tuple[int, ...]:
    """The axes along which values are stored once."""
    return tuple(axis for axis in (0, 3) if tied.shape[axis] < values.shape[axis])


def _near_power_of_two(x: float, tol: float) -> float:
    """x, or the power of two (with x's sign) that it is within the tolerance of."""
    if x == 0:
        return x
    power = math.copysign(2.0 ** round(math.log2(abs(x))), x)
    return power if abs(x / power - 1) <= tol else x


def _rounded(units: _Array, order: int) -> _Array:
    """The nearest of 0, and 1 and -1 or the roots of unity of this order (times four)."""
    if units.dtype.kind != "c":
        return np.asarray(np.rint(np.clip(units, -1, 1)))
    order = math.lcm(order, 4)
    power = np.rint(-np.angle(units) * order / (2 * np.pi)).astype(np.int64)
    rounded: _Array = np.where(np.abs(units) < 0.5, 0, roots_of_unity(order, power))
    return rounded
