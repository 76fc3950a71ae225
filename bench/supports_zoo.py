"""Supports of many kinds: the table and the picture of docs/supports.md.

python bench/supports_zoo.py [--plot PATH]
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

import papilio as pp


def convolution(n: int, taps: int) -> Any:
    """Circular, with a filter of so many taps."""
    place = np.arange(n)
    return np.isin((place[:, None] - place) % n, range(taps))


def hodlr(n: int, rank: int, levels: int) -> tuple[Any, Any]:
    """Off-diagonal blocks of low rank, level by level, and dense diagonal blocks."""
    left: list[Any] = []
    right: list[Any] = []
    for level in range(1, levels + 1):
        size = n // 2**level
        for block in range(2**level):
            rows, cols = np.zeros(n), np.zeros(n)
            rows[block * size : (block + 1) * size] = 1
            other = block ^ 1
            cols[other * size : (other + 1) * size] = 1
            left += [rows] * rank
            right += [cols] * rank
    size = n // 2**levels
    dense = np.kron(np.eye(2**levels), np.ones((size, size)))
    return np.vstack([left, dense]).T, np.vstack([right, dense])


def zoo() -> dict[str, tuple[Any, Any]]:
    n, ones, eye = 16, np.ones, np.eye(16)
    L = np.tril(ones((n, n)))
    band = np.tril(np.triu(ones((n, n)), -1), 1)
    blocks = np.kron(np.eye(4), ones((4, 4)))
    halves = np.kron(np.eye(2), ones((8, 8)))
    rng = np.random.default_rng(0)
    dyadic = pp.Architecture.square_dyadic(n)
    return {
        "low rank 3": (ones((n, 3)), ones((3, n))),
        "Monarch, 4 x 4 blocks": pp.Architecture.monarch((n, n), 4, 4),
        "butterfly, split in the middle": (
            dyadic[0].support() @ dyadic[1].support(),
            dyadic[2].support() @ dyadic[3].support(),
        ),
        "block diagonal (4) times block diagonal (4)": (blocks, blocks),
        "block diagonal (4) times block diagonal (2)": (blocks, halves),
        "hierarchical (HODLR), rank 1": hodlr(n, 1, 2),
        "low rank 3 plus 2 diagonal blocks": (
            np.hstack([ones((n, 3)), halves]),
            np.vstack([ones((3, n)), halves]),
        ),
        "low rank 3 plus 4 diagonal blocks": (
            np.hstack([ones((n, 3)), blocks]),
            np.vstack([ones((3, n)), blocks]),
        ),
        "low rank 3 plus diagonal": (
            np.hstack([ones((n, 3)), eye]),
            np.vstack([ones((3, n)), eye]),
        ),
        "LU": (L, L.T),
        "LU, bidiagonal": (eye + np.eye(n, k=-1), eye + np.eye(n, k=1)),
        "banded, 3 diagonals each": (band, band),
        "convolutions of 3 and 3": (convolution(n, 3), convolution(n, 3)),
        "diagonal times dense": (eye, ones((n, n))),
        "random, density 0.3": (rng.random((n, 8)) < 0.3, rng.random((8, n)) < 0.3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plot", metavar="PATH", help="draw the classes to this PNG")
    path = parser.parse_args().plot
    reports = {name: pp.analyze_supports(*masks) for name, masks in zoo().items()}
    print("| supports | kind | minimizer | class sizes |\n|---|---|---|---|")
    for name, report in reports.items():
        words = {True: "always", False: "not for some A", None: "unknown"}
        sizes = sorted(set(report.sizes.tolist()))
        minimizer = words[report.has_minimizer]
        print(f"| {name} | {report.kind} | {minimizer} | {len(report.sizes)} of {sizes} |")
    if path:
        import matplotlib as mpl

        mpl.use("Agg")
        from matplotlib import pyplot as plt

        figure, axes = plt.subplots(3, 5, figsize=(15, 9.5))
        for axis, (name, report) in zip(axes.flat, reports.items(), strict=True):
            report.plot(axis)
            axis.set(title=f"{name}\n{report.kind}", xlabel="", ylabel="")
        figure.tight_layout()
        figure.savefig(path, dpi=60)


if __name__ == "__main__":
    main()
