"""compress: how often the true error is above the reported bound, over many seeds.

python bench/compress_bounds.py [--runs N] [--json PATH] [--seconds N] [--processes N]

Fixed matrices, of which seeds vary. Small matrices are compared entry by entry, so that nothing
could go wrong; here they are sampled as if they were large. Each call's factors are looked at
LOOKS more times, each by samples of its own: a run is one bound. For double precision no rounding
is added, which would only help. The bound promises 1 % at most.
"""

from __future__ import annotations

import multiprocessing
import time
import warnings
from collections.abc import Callable
from typing import Any

from common import machine, options, print_machine, print_table, start_fair, write_json

N = 256


def matrices() -> dict[str, Any]:
    """The matrices, the tolerance, whether only products are given, and the dtype of factors."""
    import numpy as np

    import papilio as pp

    x, y = np.linspace(0, 1, N)[:, None], np.linspace(0, 1, N)
    i, j = np.arange(N)[:, None], np.arange(N)
    points = np.random.default_rng(0).uniform(-np.pi, np.pi, N)
    return {
        "1/(|x-y|+0.05)": (1 / (abs(x - y) + 0.05), 1e-2, False, None),
        "1/(x+y+0.1)": (1 / (x + y + 0.1), 1e-4, False, None),
        "1/(x+y+0.1), operator": (1 / (x + y + 0.1), 1e-4, True, None),
        "Gaussian, operator": (np.exp(-20 * (x - y) ** 2), 1e-4, True, None),
        "1/(1+i+j)": (1 / (1.0 + i + j), 1e-6, False, None),
        "1/(1+i+j), operator": (1 / (1.0 + i + j), 1e-6, True, None),
        "1/(1.001+y-x)": (1 / (1.001 + y - x), 1e-6, False, None),
        "1/(1.001+y-x), float32": (1 / (1.001 + y - x), 1e-5, False, "float32"),
        "nudft": (pp.kernels.nudft(2, points, N).toarray(), 1e-3, False, None),
        "nudft, complex64": (pp.kernels.nudft(2, points, N).toarray(), 1e-6, False, "complex64"),
        "nudft, operator": (pp.kernels.nudft(2, points, N).toarray(), 1e-3, True, None),
        "exp(-30 xy), one loud row": (np.exp(-30 * x * y) * (1 + 9 * (i == 77)), 1e-4, False, None),
    }


def entries_by_lookup(architecture: Any, kept: Any, rows: Any, columns: Any) -> Any:
    """`product_entries` from the whole product: the same numbers, faster for matrices so small."""
    import numpy as np

    from papilio.compression._error import leaf_columns

    if not KNOWN or KNOWN[0] is not kept:
        leaves = range(architecture[-1].a)
        values = [entry if isinstance(entry, np.ndarray) else entry.array() for entry in kept]
        product = np.hstack([leaf_columns(architecture, values, leaf) for leaf in leaves])
        KNOWN[:] = kept, product
    return KNOWN[1][rows, columns]


KNOWN: list[Any] = []  # the factors that were asked for last, and their product


LOOKS = 7


def looking_again(look: Callable[..., Any], compare: Callable[[Any], float]) -> Callable[..., Any]:
    """A look at factors that looks again and notes the bounds, and the true error."""

    from papilio.compression._random import Streams

    def wrapped(self: Any, chain: Any, number: int) -> Any:
        first = look(self, chain, number)
        streams = self._streams
        for again in range(LOOKS):
            self._streams = Streams(1000 * (streams.seed + 1) + 10 * number + again)
            NOTED.append((compare(chain), look(self, chain, 1).bound))
        self._streams = streams
        return first

    return wrapped


NOTED: list[tuple[float, float]] = []


def runs(task: tuple[str, int, int]) -> list[tuple[float, float, bool]]:
    """True error, bound and whether the tolerance counts as reached, for some seeds."""
    import numpy as np
    from scipy.sparse.linalg import aslinearoperator

    import papilio as pp
    from papilio.compression import _error as compression_error
    from papilio.compression import _limits
    from papilio.compression import _product as product
    from papilio.compression import _sketch as sketching

    _limits.WHOLE = _limits.COMPARED = _limits.SMALL = _limits.FORMED = 0
    warnings.simplefilter("ignore")
    pp.set_num_threads(1)
    name, first, count = task
    A, tol, products, dtype = matrices()[name]
    order = np.argsort(np.random.default_rng(0).uniform(-np.pi, np.pi, N))
    rows = np.argsort(order) if "nudft" in name else np.arange(N)
    source: Any = aslinearoperator(A) if products else A
    size = np.linalg.norm(A)
    in_order = A[np.argsort(rows)]

    def compare(chain: Any) -> float:
        i, j = np.arange(N)[:, None], np.arange(N)
        own = chain.factors
        found = entries_by_lookup(own.architecture, own.kept, chain.rows[i], chain.columns[j])
        return float(np.linalg.norm(found - in_order) / size)

    product.product_entries = entries_by_lookup
    rounding = compression_error.rounding_of
    kept = compression_error.SampledError.__call__, sketching.Sketch.error
    if dtype is None:
        compression_error.rounding_of = sketching.rounding_of = lambda *arguments: 0.0
        compression_error.SampledError.__call__ = looking_again(kept[0], compare)
        sketching.Sketch.error = looking_again(kept[1], compare)
    results = []
    try:
        for seed in range(first, first + count):
            F = pp.compress(source, tol=tol, dtype=dtype, seed=seed, depth=5, row_points=rows)
            error = float(np.linalg.norm(F.toarray() - A) / size)
            assert F.report.confidence < 1
            results.append((error, F.report.error_bound, F.report.reached))
            results += [(error, bound, bound <= tol) for error, bound in NOTED]
            NOTED.clear()
    finally:
        compression_error.SampledError.__call__, sketching.Sketch.error = kept
        compression_error.rounding_of = sketching.rounding_of = rounding
    return results


def main() -> None:
    start_fair()
    parser = options(__doc__ or "")
    parser.add_argument("--runs", type=int, default=20000, help="in all")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seconds", type=float, help="stop earlier")
    parser.add_argument("--processes", type=int, default=1)
    chosen = parser.parse_args()
    names = list(matrices())
    count = 10
    tasks = [(name, chosen.first + part * count, count) for part in range(1000) for name in names]
    info = machine()
    print_machine(info)
    results: dict[str, list[tuple[float, float, bool]]] = {name: [] for name in names}
    start = time.perf_counter()
    with multiprocessing.get_context("spawn").Pool(chosen.processes) as pool:
        for task, found in zip(tasks, pool.imap(runs, tasks), strict=True):
            results[task[0]] += found
            late = chosen.seconds and time.perf_counter() - start > chosen.seconds
            if sum(map(len, results.values())) >= chosen.runs or late:
                break
    heading = ("matrix", "runs", "true > bound", "%", "reached", "reached, true > tol",
               "bound/true: median", "worst true/bound")  # fmt: skip
    tols = {name: value[1] for name, value in matrices().items()}
    table, total, above = [], 0, 0
    for name, found in results.items():
        if not found:  # no time was left for it
            continue
        false = sum(error > bound for error, bound, _ in found)
        reached = [error for error, _, there in found if there]
        ratios = sorted(bound / max(error, 1e-300) for error, bound, _ in found)
        table.append(
            (name, str(len(found)), str(false), f"{100 * false / len(found):.2f}",
             str(len(reached)), str(sum(error > tols[name] for error in reached)),
             f"{ratios[len(ratios) // 2]:.3g}", f"{1 / ratios[0]:.3f}")
        )  # fmt: skip
        total, above = total + len(found), above + false
    print_table([heading, *table])
    print(f"{above} of {total} above their bound, in {time.perf_counter() - start:.0f} s")
    write_json(chosen.json, info, [dict(zip(heading, row, strict=True)) for row in table])


if __name__ == "__main__":
    main()
