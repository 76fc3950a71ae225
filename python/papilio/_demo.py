"""``python -m papilio demo``: what papilio is for, on two matrices that everybody knows."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg

from . import _core
from ._chains.architecture import Architecture
from ._util.checks import power_of_two
from ._util.output_paths import output_file
from .config import get_num_threads
from .factorization import factorize
from .operators import Butterfly, replacing

_Array = np.ndarray[Any, Any]


def run(size: int, directory: str, *, force: bool = False) -> None:
    """Write the Hadamard and DFT matrices to `directory`, factorize the files, print a table.

    Files that are there are replaced only if `force` says so.
    """
    size = power_of_two(size, "size")
    names = ("Hadamard", "DFT")
    paths = [os.path.join(directory, f"{name.lower()}_{size}.npy") for name in names]
    for path in paths:
        output_file(path)
        if os.path.lexists(path) and not force:
            raise FileExistsError(f"{path} is there already, expected another folder, or --force")
    print(f"papilio on {_core.cpu()}, {_core.isa()}, {get_num_threads()} threads")
    rows: list[tuple[str, ...]] = [
        (
            "matrix", "size", "relative error", "certificate", "non-zeros", "dense",
            "product", "dense BLAS", "ratio",
        )
    ]  # fmt: skip
    matrices = (
        scipy.linalg.hadamard(size).astype(float),
        np.exp(-2j * np.pi * (np.outer(np.arange(size), np.arange(size)) % size) / size),
    )
    for name, path, matrix in zip(names, paths, matrices, strict=True):
        with replacing(path) as file:
            np.save(file, matrix, allow_pickle=False)
        rows.append((name, f"{size} x {size}", *_measure(path)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))
    print(
        "relative error: ||A - F|| / ||A||, from the dense matrices; certificate: no butterfly of\n"
        "this architecture is closer than error / certificate, at the level of rounding here;\n"
        "product: median time of one vector, called from Python, beside NumPy's dense product."
    )


def _measure(path: str) -> tuple[str, ...]:
    """Treat a file as a user's own: read, factorize, check, time."""
    matrix = np.load(path)
    permutation = "bit_reversal" if matrix.dtype.kind == "c" else None
    F = factorize(matrix, Architecture.square_dyadic(len(matrix)), column_permutation=permutation)
    error = np.linalg.norm(F.toarray() - matrix) / np.linalg.norm(matrix)
    assert F.report is not None
    x = np.random.default_rng(0).standard_normal(len(matrix)).astype(matrix.dtype)
    fast, dense = _times(F, matrix, x)
    return (
        f"{error:.1e}",
        f"{F.report.quasi_optimality:.2f} <= {F.report.guarantee:.2f}",
        f"{F.nnz:,}",
        f"{matrix.size:,}",
        f"{fast * 1e6:.1f} us",
        f"{dense * 1e6:.1f} us",
        f"{dense / fast:.1f} x",
    )


def _times(F: Butterfly, matrix: _Array, x: _Array) -> tuple[float, float]:
    """Median seconds of one butterfly and one dense product, interleaved."""
    calls: tuple[Callable[[], Any], ...] = (lambda: F @ x, lambda: matrix @ x)
    samples: tuple[list[float], ...] = ([], [])
    for repetition in range(40):
        for call, times in zip(calls, samples, strict=True):
            start = time.perf_counter()
            for _ in range(20):
                call()
            if repetition >= 5:
                times.append((time.perf_counter() - start) / 20)
    return statistics.median(samples[0]), statistics.median(samples[1])
