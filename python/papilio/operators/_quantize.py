"""Rounding factors to few bits, jointly: what one loses in scale its neighbour takes up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .._chains.factors import Factors
from .._chains.interfaces import from_left_blocks, from_right_blocks, left_blocks, right_blocks
from .._chains.pattern import Pattern
from .._chains.scaling import spread
from .._util.checks import shown, whole_number
from .._util.plotting import new_axes
from .._util.printed import Printed
from .._util.progress import Progress, reporter, share_of, silent
from ._levels import full, levelled, paired
from ._rounding import chainable_form

_Array = np.ndarray[Any, Any]
_Round = Callable[[_Array], _Array]
_SCALES = 96  # tried for each column, besides those that make one of its entries a power of two
_PHASES = 8  # of complex ones


@dataclass(frozen=True)
class Quantization(Printed):
    """What `Butterfly.quantize` found out.

    Attributes
    ----------
    bits : int
        Significant bits of each value (of real and imaginary parts).
    dtype : str or None
        The dtype whose numbers they are, if one was asked for.
    relative_error : float
        ``||F - G|| / ||F||`` in the Frobenius norm.
    naive_error : float
        What rounding each value by itself would give; infinite where the dtype can't hold one.
    """

    bits: int
    dtype: str | None
    relative_error: float
    naive_error: float

    @property
    def T(self) -> Quantization:
        """The same of the transposed operator."""
        return self

    def plot(self, ax: Any = None) -> Any:
        """Draw the error beside that of rounding each value by itself.

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
        >>> F = pp.Butterfly.random(pp.Architecture.square_dyadic(16), seed=2)
        >>> ax = F.quantize(6).report.plot()  # doctest: +SKIP
        """
        ax = new_axes(ax)
        ax.bar(["joint", "each value by itself"], [self.relative_error, self.naive_error])
        ax.set(ylabel="relative error", title=self.dtype or f"{self.bits} bits")
        return ax

    def __str__(self) -> str:
        form = f"{self.bits} bits" if self.dtype is None else self.dtype
        return (
            f"factors rounded to {form}: relative error {self.relative_error:.3e} "
            f"({self.naive_error:.3e} without scaling)"
        )


def quantized(
    factors: Factors, to: Any, error: Callable[[Factors], float], progress: Progress
) -> tuple[Factors, Quantization]:
    """See `FactorForms.quantize`; `error` gives that of other factors, relative to the operator."""
    with reporter(progress, "quantize") as tell:
        return _quantized(factors, to, error, tell or silent)


def _quantized(
    factors: Factors,
    to: Any,
    error: Callable[[Factors], float],
    tell: Callable[[float], object],
) -> tuple[Factors, Quantization]:
    bits, name, rounded = _format(to, factors.dtype)
    factors.check_finite()

    best, naive_error = _each_rounded(factors, factors.dtype, rounded, error)
    least = naive_error
    even = levelled(factors.astype(np.result_type(factors.dtype, np.float64)))
    if len(factors) > 1:
        found, reached = _each_rounded(even, factors.dtype, rounded, error)
        if reached < least:
            best, least = found, reached
    if len(factors) > 1 and (
        factors.architecture.is_chainable or factors.architecture.T.is_chainable
    ):
        chain, transposed = chainable_form(even)
        chain = spread(*paired(chain))
        for number, right_to_left in enumerate((False, True)):
            values = _swept(chain, rounded, right_to_left, share_of(tell, number, 2))
            found = replace(chain, values=tuple(values)).astype(factors.dtype)
            found = found.T if transposed else found
            if found.is_finite():
                reached = error(found)
                if reached < least:
                    best, least = found, reached
    if not np.isfinite(least):
        raise OverflowError(f"{name} can't hold the factors: the operator is too large for it")
    tell(1.0)
    return best, Quantization(bits, name, float(least), float(naive_error))


def _each_rounded(
    factors: Factors, dtype: Any, rounded: _Round, error: Callable[[Factors], float]
) -> tuple[Factors, float]:
    """Each value rounded by itself, and the error of that."""
    values = tuple(_parts(rounded, array) for array in factors)
    found = replace(factors, values=values).astype(dtype)
    return found, error(found) if found.is_finite() else np.inf


def _format(to: Any, own: np.dtype[Any]) -> tuple[int, str | None, _Round]:
    """How many bits, the name of the dtype, and how a real array is rounded."""
    most = np.finfo(own).nmant + 1
    if not isinstance(to, str | type | np.dtype):
        bits = whole_number(to, "to", 1)
        if bits > most:
            raise ValueError(f"to is {bits}, expected at most the {most} bits of {own}")
        return bits, None, lambda values: _significant(values, bits)
    try:
        dtype = np.dtype(to)
    except TypeError:
        dtype = None
    if dtype not in (np.float16, np.float32):
        raise TypeError(f"to is {shown(to)}, expected a number of bits, float16 or float32")
    bits = np.finfo(dtype).nmant + 1

    def rounded(values: _Array) -> _Array:
        with np.errstate(over="ignore"):
            return values.astype(dtype).astype(np.float64)

    return bits, str(dtype), rounded


def _significant(values: _Array, bits: int) -> _Array:
    mantissa, exponent = np.frexp(values)
    return np.asarray(np.ldexp(np.rint(np.ldexp(mantissa, bits)), exponent - bits))


def _parts(rounded: _Round, values: _Array) -> _Array:
    """Real and imaginary parts rounded, in double precision."""
    if values.dtype.kind != "c":
        return rounded(values.astype(np.float64))
    found = np.empty(values.shape, np.complex128)
    found.real, found.imag = (
        rounded(part.astype(np.float64)) for part in (values.real, values.imag)
    )
    return found


def _swept(
    chain: Factors, rounded: _Round, right_to_left: bool, tell: Callable[[float], object]
) -> list[_Array]:
    """Each factor rounded with the best scales of its columns (rows), which its neighbour gets."""
    patterns = list(chain.architecture)
    values = full(chain)
    splits = range(len(patterns) - 1)
    for done, n in enumerate(reversed(splits) if right_to_left else splits, 1):
        p, q = patterns[n], patterns[n + 1]
        left, right = left_blocks(values[n], p, q), right_blocks(values[n + 1], p, q)
        final = n == (0 if right_to_left else len(patterns) - 2)
        if right_to_left:
            right, left = _rounded_rows(right, left.swapaxes(-1, -2), rounded, final)
            left = left.swapaxes(-1, -2)
        else:
            left, right = _rounded_rows(left.swapaxes(-1, -2), right, rounded, final)
            left = left.swapaxes(-1, -2)
        values[n], values[n + 1] = _placed(left, right, p, q)
        tell(done / len(splits))
    last = 0 if right_to_left else -1
    values[last] = _parts(rounded, values[last])
    return values


def _placed(left: _Array, right: _Array, p: Pattern, q: Pattern) -> tuple[_Array, _Array]:
    return from_left_blocks(left, p), from_right_blocks(right, q)


@np.errstate(over="ignore", invalid="ignore")  # infinite squares are no candidates
def _rounded_rows(x: _Array, y: _Array, rounded: _Round, final: bool) -> tuple[_Array, _Array]:
    """Rows x rounded after scaling, and the rows y that they meet, scaled to fit.

    The product of a column and a row is ``x y^T``. For any xh,
    ``||x y^T - xh z^T||^2 = ||y||^2 (||x||^2 - |<xh, x>|^2 / ||xh||^2) + ||xh||^2 ||z - mu y||^2``
    with ``mu = <xh, x> / ||xh||^2``, so that ``mu y`` is what should be rounded, entry by entry.
    """
    size = _squares(x)
    best_x, best_mu = _parts(rounded, x), np.ones(x.shape[:-1], x.dtype)
    best_cost = np.full(x.shape[:-1], np.inf)
    weight = _squares(y)
    for scale in _scales(x):
        # What a dtype can't hold is infinite, and no candidate.
        xh = _parts(rounded, x * scale[..., None])
        held = np.asarray(np.isfinite(xh).all(axis=-1))
        xh = np.where(held[..., None], xh, 0)
        own = _squares(xh)
        inner = (xh.conj() * x).sum(axis=-1)
        mu = np.divide(inner, own, out=np.zeros_like(inner), where=own > 0)
        cost = np.maximum(0, size - (abs(mu) ** 2) * own)
        if final:
            z = y * mu[..., None]
            # Relative to ||x||^2 ||y||^2, which need not be a number.
            cost = _shares(cost, size) + _shares(own, size) * _shares(
                _squares(_parts(rounded, z) - z), weight
            )
            cost = np.where(np.isfinite(cost), cost, np.inf)
        better = held & (cost < best_cost)
        best_cost = np.where(better, cost, best_cost)
        best_x = np.where(better[..., None], xh, best_x)
        best_mu = np.where(better, mu, best_mu)
    return best_x, y * best_mu[..., None]


def _shares(parts: _Array, whole: _Array) -> _Array:
    return np.divide(parts, whole, out=np.zeros_like(whole), where=whole > 0)


def _squares(x: _Array) -> _Array:
    squares: _Array = (x.real**2 + x.imag**2).sum(axis=-1)
    return squares


def _scales(x: _Array) -> Any:
    """Scales between 1 and 2 (powers of two change nothing), one for each row of x at a time."""
    ones = np.ones(x.shape[:-1])
    for n in range(_SCALES):
        yield ones * 2.0 ** (n / _SCALES)
    parts = [x.real, x.imag] if x.dtype.kind == "c" else [x]
    for part in parts:
        for k in range(min(x.shape[-1], _SCALES)):
            mantissa, _ = np.frexp(abs(part[..., k]))
            yield np.where(mantissa > 0, 1 / np.where(mantissa > 0, mantissa, 1), 1)
    if x.dtype.kind == "c":
        for phase in range(1, _PHASES):
            turn = np.exp(0.5j * np.pi * phase / _PHASES)  # quarter turns change nothing
            for n in range(0, _SCALES, 4):
                yield turn * ones * 2.0 ** (n / _SCALES)
