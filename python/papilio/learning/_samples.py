"""Samples: the columns of X and Y, checked, and in the units in which a fit computes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._chains.scaling import scaled
from .._util.checks import generator, shown, tolerance
from .._util.dtypes import as_array, plain_array, promoted

_Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Samples:
    """Y ~ F X in double precision, columns times the roots of their weights.

    ``x * 2 ** x_exponent`` and ``y * 2 ** y_exponent`` are the columns; losses are in units of
    ``weight * 4 ** y_exponent``, which need not be a number itself.
    """

    x: _Array
    y: _Array
    x_exponent: int
    y_exponent: int
    weight: float
    held: tuple[_Array, _Array] | None
    dtype: np.dtype[Any]

    @classmethod
    def of(
        cls,
        X: Any,
        Y: Any,
        shape: tuple[int, int],
        weights: Any,
        validation: Any,
        seed: Any,
    ) -> Samples:
        """Check what a user hands in."""
        x, y = _columns(X, "X", shape[1], "columns"), _columns(Y, "Y", shape[0], "rows")
        if x.shape[1] != y.shape[1]:
            raise ValueError(f"X has {x.shape[1]} columns but Y has {y.shape[1]}: one per sample")
        if x.shape[1] == 0:
            raise ValueError("X has no columns, expected at least one sample")
        dtype = np.result_type(promoted(x.dtype, "X"), promoted(y.dtype, "Y"))
        wide = np.result_type(dtype, np.float64)
        (x, x_exponent), (y, y_exponent) = scaled(x.astype(wide)), scaled(y.astype(wide))
        roots, weight = _roots(weights, x.shape[1])
        fitted, held = _divided(validation, x.shape[1], seed)
        kept = None if held is None else (x[:, held], y[:, held])
        if held is not None:
            x, y = x[:, fitted], y[:, fitted]
            roots = None if roots is None else roots[fitted]
            if roots is not None and not roots.any():
                raise ValueError(
                    "sample_weights are 0 for all samples that validation leaves, expected one "
                    "that is positive"
                )
        if roots is not None:
            x, y = x * roots, y * roots
        return cls(
            np.ascontiguousarray(x), np.ascontiguousarray(y), x_exponent, y_exponent, weight,
            kept, dtype,
        )  # fmt: skip

    def ordered(self, rows: Any, columns: Any) -> Samples:
        """The same for the product of the factors, without permutations."""
        x, y, held = self.x, self.y, self.held
        if columns is not None:
            x, held = _placed(x, columns), held and (_placed(held[0], columns), held[1])
        if rows is not None:
            y, held = _placed(y, rows), held and (held[0], _placed(held[1], rows))
        return Samples(x, y, self.x_exponent, self.y_exponent, self.weight, held, self.dtype)

    def loss(self, value: float) -> float:
        """A loss here in the units of the data; infinite where it is above the largest number."""
        mantissa, exponent = np.frexp(self.weight)
        return self.square(value * float(mantissa), int(exponent))

    def square(self, value: float, exponent: int = 0) -> float:
        """A square of outputs here, times a power of two, in the units of the data."""
        with np.errstate(over="ignore", under="ignore"):
            return float(np.ldexp(value, exponent + 2 * self.y_exponent))


def _placed(matrix: _Array, order: Any) -> _Array:
    placed = np.empty_like(matrix)
    placed[order] = matrix
    return placed


def _columns(given: Any, name: str, length: int, side: str) -> _Array:
    array = as_array(given, name)
    promoted(array.dtype, name)
    if array.ndim != 2:
        raise ValueError(f"{name} has {array.ndim} axes, expected 2: one column per sample")
    if array.shape[0] != length:
        raise ValueError(
            f"{name} has {array.shape[0]} rows, but the architecture has {length} {side}"
        )
    wrong = ~np.isfinite(array)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        value = "nan" if np.isnan(array[row, column]) else "inf"
        raise ValueError(
            f"{name} has {value} at row {row}, column {column}, expected finite numbers"
        )
    return array


def _roots(weights: Any, count: int) -> tuple[_Array | None, float]:
    """The square roots of the samples' weights, the largest being 1, and the largest weight."""
    if weights is None:
        return None, 1.0
    given = as_array(weights, "sample_weights")
    if given.dtype.kind == "c":
        raise TypeError(f"sample_weights has dtype {given.dtype}, expected real numbers")
    if given.shape != (count,):
        raise ValueError(f"sample_weights has shape {given.shape}, expected ({count},)")
    wide = given.astype(np.float64)
    wrong = ~(np.isfinite(wide) & (wide >= 0))
    if wrong.any():
        first = int(wrong.argmax())
        raise ValueError(
            f"sample_weights are not all finite and at least 0: {wide[first]} at sample {first}"
        )
    if not wide.any():
        raise ValueError("sample_weights are all 0, expected one that is positive")
    largest = float(wide.max())
    return np.sqrt(wide / largest), largest


def _divided(validation: Any, count: int, seed: Any) -> tuple[Any, Any]:
    """The numbers of the samples that are fitted, and of those that are held out."""
    rng = generator(seed)
    if validation is None:
        return None, None
    if np.isscalar(validation) and not isinstance(validation, str | bytes):
        share = tolerance(validation, "validation")
        order = rng.permutation(count)
        kept = max(1, round(share * count))
        held = np.sort(order[:kept])
    else:
        held = plain_array(validation, "validation")
        if held.dtype.kind not in "iu" or held.ndim != 1 or not held.size:
            raise ValueError(
                f"validation is {shown(validation)}, expected a fraction or the numbers of columns"
            )
        if held.min() < 0 or held.max() >= count:
            raise ValueError(
                f"validation names columns {held.min()} to {held.max()}, of which some are "
                f"outside of 0..{count - 1}"
            )
        held = np.unique(held)
    fitted = np.setdiff1d(np.arange(count), held)
    if not fitted.size:
        raise ValueError("validation holds out all samples, expected at least one to fit")
    return fitted, held
