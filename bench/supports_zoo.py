"""Supports of many kinds: the tables and the picture of docs/supports.md.

python bench/supports_zoo.py [--json PATH] [--plot PATH]
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

import papilio as pp
from common import machine, options, print_table, write_json
from papilio.supports import zoo as structures

SIZE = 64  # rows and columns of the structures


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


def of_deep_learning() -> dict[str, Any]:
    n = SIZE
    return {
        "low rank, 4": structures.low_rank(n, 4),
        "Monarch, blocks of 8": structures.monarch(n, 8),
        "block tensor train, blocks of 8, rank 2": structures.block_tensor_train(n, 8, 2),
        "group and shuffle, blocks of 8": structures.group_and_shuffle(n, 8),
        "butterfly, 6 factors": structures.butterfly(n),
        "DeBut, radices 4, 4, 4 and 2, 8, 4": structures.debut([4, 4, 4], [2, 8, 4]),
        "block butterfly, blocks of 4": structures.block_butterfly(n, 4),
        "pixelfly, blocks of 8, rank 4": structures.pixelfly(n, 8, 4),
        "low rank 4 plus diagonal": structures.low_rank_plus_diagonal(n, 4),
        "low rank 4 plus blocks of 8": structures.low_rank_plus_diagonal(n, 4, 8),
        "LU": structures.lu(n),
        "LU, bidiagonal": structures.lu(n, 2),
        "banded, 3 diagonals, 2 factors": structures.banded(n, 1),
        "banded, 3 diagonals, 3 factors": structures.banded(n, 1, 3),
        "2:4, 2 factors": structures.two_of_four(n),
    }


def entry_of(name: str, masks: Any) -> dict[str, Any]:
    """What is known of a structure, and what fixed_support does with a random matrix."""
    report = pp.analyze_supports(masks)
    values = sum(mask.nnz for mask in masks)
    A = np.random.default_rng(0).standard_normal((SIZE, SIZE))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pp.DivergingFactorsWarning)
        R = pp.fixed_support(A, masks, restarts=1, max_sweeps=20)
    if R.method == "hierarchical":
        cost = "SVDs of blocks, level by level"
    elif len(masks) > 2:
        cost = f"{6.0 * SIZE * values:.1e} flops a gradient"
    else:
        cost = f"{report.flops:.1e} flops" + ("" if report.tractable else " a sweep")
    return {
        "part": "structures", "structure": name, "factors": len(masks), "parameters": values,
        "tractable": report.tractable, "closed": report.has_minimizer, "solver": R.method,
        "cost": cost, "relative_error": R.relative_error,
    }  # fmt: skip


def main() -> None:
    chosen = options(__doc__ or "").parse_args()
    path = chosen.plot
    words = {True: "yes", False: "no", None: "unknown"}
    entries = [entry_of(name, masks) for name, masks in of_deep_learning().items()]
    rows = [("structure", "factors", "parameters", "tractable", "closed", "solver", "cost")]
    rows += [
        (
            e["structure"], str(e["factors"]), str(e["parameters"]), words[e["tractable"]],
            words[e["closed"]], e["solver"], e["cost"],
        )
        for e in entries
    ]  # fmt: skip
    print_table(rows)
    reports = {name: pp.analyze_supports(*masks) for name, masks in zoo().items()}
    entries += [
        {
            "part": "zoo", "supports": name, "kind": report.kind, "closed": report.has_minimizer,
            "classes": len(report.sizes), "sizes": sorted(set(report.sizes.tolist())),
        }
        for name, report in reports.items()
    ]  # fmt: skip
    print_table(
        [("supports", "kind", "closed", "classes", "sizes")]
        + [
            (
                e["supports"], e["kind"], words[e["closed"]], str(e["classes"]),
                " ".join(map(str, e["sizes"])),
            )
            for e in entries
            if e["part"] == "zoo"
        ]
    )  # fmt: skip
    write_json(chosen.json, machine(), entries)
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
