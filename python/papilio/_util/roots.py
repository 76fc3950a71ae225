"""Roots of unity, as exact as their parts can be."""

from __future__ import annotations

from typing import Any

import numpy as np


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
