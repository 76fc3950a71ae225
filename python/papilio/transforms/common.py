"""What the transforms share: arguments, roots of unity, the scale that `norm` names."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

_NORMS = ("backward", "ortho", "forward")


def chosen_dtype(dtype: DTypeLike, allowed: tuple[np.dtype[Any], ...]) -> np.dtype[Any]:
    """Return the dtype if it is one of `allowed`, or raise."""
    chosen = np.dtype(dtype)
    if chosen not in allowed:
        names = ", ".join(str(candidate) for candidate in allowed)
        raise TypeError(f"dtype is {chosen}, expected one of {names}")
    return chosen


def scale_of(norm: Any, size: float, inverse: bool) -> float:
    """Return what `norm` multiplies a transform by, whose inverse divides by `size`."""
    if norm is None:
        norm = "backward"
    if not isinstance(norm, str) or norm not in _NORMS:
        raise ValueError(f"norm is {norm!r}, expected 'backward', 'ortho' or 'forward'")
    if norm == "ortho":
        return float(size**-0.5)
    return 1 / size if (norm == "backward") == inverse else 1.0


def opposite(norm: str | None) -> str:
    """Return the norm of the plain transform that equals the inverse under `norm`, up to sign."""
    return {"ortho": "ortho", "forward": "backward"}.get(norm or "backward", "forward")


def roots_of_unity(m: int, powers: Any = None) -> np.ndarray[Any, np.dtype[np.complex128]]:
    """``exp(-2 pi i l / m)`` for l < m (or for these powers), from angles of at most pi/4, so that
    none is off by more than the rounding of its own parts and the quarter turns are exact."""
    powers = np.arange(m) if powers is None else np.asarray(powers) % m
    quarter, rest = np.divmod(4 * powers, m)
    mirrored = 2 * rest > m
    angle = np.where(mirrored, m - rest, rest) * (np.pi / 2 / m)
    cosine, sine = np.cos(angle), np.sin(angle)
    first = np.where(mirrored, sine, cosine) - 1j * np.where(mirrored, cosine, sine)
    turned: np.ndarray[Any, np.dtype[np.complex128]] = np.select(
        [quarter == 0, quarter == 1, quarter == 2],
        [first, first.imag - 1j * first.real, -first],
        -first.imag + 1j * first.real,
    )
    return turned
