"""fixed_support and analyze_supports against loops in NumPy and PALM.

python bench/fixed_support.py [--quick] [--only PART ...] [--json PATH] [--plot PATH]

Parts: analysis (time and peak memory, in a process of its own), exact (against one SVD per class
in a NumPy loop), palm (against pyfaust's PALM4MSA with the same supports), local (against the best
of 20 restarts of alternating least squares written in NumPy, instance by instance), chains (three
factors and more; --other PYTHONPATH times another papilio on the same problems).
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
import warnings
from functools import partial
from typing import Any

from common import (
    interleaved,
    machine,
    options,
    print_machine,
    print_table,
    skipped,
    start_fair,
    summary,
    write_json,
)

PARTS = ("analysis", "exact", "palm", "local", "chains")


# ---------------------------------------------------------------- analysis


def masks_for_analysis(kind: str, n: int, entries: int) -> tuple[Any, Any]:
    import numpy as np
    import scipy.sparse

    import papilio as pp

    if kind == "monarch":
        root = int(n**0.5)
        while n % root:
            root -= 1
        rank = max(1, entries // (n * root))
        left, right = pp.Architecture.monarch((n, n), root, root, rank)
        return left.support(), right.support()
    rng = np.random.default_rng(0)

    def mask() -> Any:
        share = entries // n
        rows = np.sort(rng.integers(0, n, (n, share + share * share // n), dtype=np.int32), axis=1)
        fresh = np.ones(rows.shape, bool)
        fresh[:, 1:] = rows[:, 1:] != rows[:, :-1]
        starts = np.r_[0, np.cumsum(fresh.sum(axis=1))]
        columns = rows[fresh]
        return scipy.sparse.csr_array((np.ones(len(columns), bool), columns, starts), (n, n))

    return mask(), mask()


def analysis_child(kind: str, n: int, entries: int) -> None:
    """Runs alone in a process, whose peak memory then is that of one analysis."""
    import papilio as pp

    left, right = masks_for_analysis(kind, n, entries)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    report = pp.analyze_supports(left, right)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(left.nnz, right.nnz, seconds, before / 1e6, peak / 1e6, len(report.sizes), report.kind)


def bench_analysis(quick: bool) -> list[dict[str, Any]]:
    n, entries = (2000, 10**5) if quick else (20000, 10**7)
    results = []
    rows = [("supports", "n", "entries", "seconds", "GB before", "GB peak", "classes", "kind")]
    for kind in ("random", "monarch"):
        out = subprocess.run(
            [sys.executable, __file__, "--child", kind, str(n), str(entries)],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
        left, right, seconds, before, peak, classes, verdict = out
        results.append(
            {
                "part": "analysis", "supports": kind, "n": n, "entries": int(left) + int(right),
                "seconds": float(seconds), "gigabytes": float(peak), "kind": verdict,
            }
        )  # fmt: skip
        rows.append(
            (
                kind, str(n), f"{left} + {right}", f"{float(seconds):.2f}", f"{float(before):.2f}",
                f"{float(peak):.2f}", classes, verdict,
            )
        )  # fmt: skip
    print_table(rows)
    return results


# ---------------------------------------------------------------- exact


def numpy_loop(A: Any, left: Any, right: Any) -> tuple[Any, Any]:
    """What one writes first: a dictionary of classes, then an SVD for each."""
    import numpy as np

    classes: dict[tuple[bytes, bytes], list[int]] = {}
    for i in range(left.shape[1]):
        classes.setdefault((left[:, i].tobytes(), right[i].tobytes()), []).append(i)
    X, Y = np.zeros(left.shape), np.zeros(right.shape)
    for members in classes.values():
        R, C = np.flatnonzero(left[:, members[0]]), np.flatnonzero(right[members[0]])
        U, s, Vh = np.linalg.svd(A[np.ix_(R, C)], full_matrices=False)
        r = min(len(members), len(s))
        X[np.ix_(R, members[:r])] = U[:, :r] * np.sqrt(s[:r])
        Y[np.ix_(members[:r], C)] = np.sqrt(s[:r])[:, None] * Vh[:r]
    return X, Y


def bench_exact(quick: bool) -> list[dict[str, Any]]:
    import numpy as np

    import papilio as pp

    results = []
    rows = [("problem", "classes", "what", "median", "x papilio", "quartiles", "relative error")]
    sizes = [(64, 4)] if quick else [(128, 2), (256, 4), (512, 8), (256, 64)]
    for n, p in sizes:
        arch = pp.Architecture.monarch((n, n), p, n // p)
        left, right = (q.support() for q in arch)
        dense = left.toarray(), right.toarray()
        A = np.random.default_rng(0).standard_normal((n, n))
        calls = {
            "papilio": lambda A=A, left=left, right=right: pp.fixed_support(A, left, right),
            "numpy loop": lambda A=A, dense=dense: numpy_loop(A, *dense),
        }
        X, Y = calls["numpy loop"]()
        norm = np.linalg.norm(A)
        errors = {
            "papilio": calls["papilio"]().relative_error,
            "numpy loop": float(np.linalg.norm(A - X @ Y) / norm),
        }
        samples = interleaved(calls, 0.5 if quick else 4.0, 3)
        title = f"{n} x {n}, blocks {p} x {p}"
        for name, row in summary(samples, "papilio").items():
            entry = {"part": "exact", "problem": title, "what": name, "error": errors[name]}
            results.append(entry | row)
            rows.append(
                (
                    title, str((n // p) ** 2), name, f"{row['seconds'] * 1e3:.2f} ms",
                    f"{row['ratio']:.1f}", f"{row['ratio_low']:.1f}-{row['ratio_high']:.1f}",
                    f"{errors[name]:.12f}",
                )
            )  # fmt: skip
    print_table(rows)
    return results


# ---------------------------------------------------------------- PALM


def palm(A: Any, left: Any, right: Any, iterations: int) -> Any:
    import numpy as np
    from pyfaust.fact import palm4msa
    from pyfaust.factparams import ConstraintMat, ParamsPalm4MSA, StoppingCriterion

    constraints = [
        ConstraintMat("supp", np.asfortranarray(mask.astype(float))) for mask in (left, right)
    ]
    params = ParamsPalm4MSA(
        constraints, StoppingCriterion(num_its=iterations), is_update_way_R2L=False
    )
    return palm4msa(A, params).toarray()


def instances(count: int, n: int, k: int) -> list[tuple[str, Any, Any, Any]]:
    """Supports of five kinds for which no exact method is known, in turn; seeded."""
    import numpy as np

    import papilio as pp

    found = []
    rng = np.random.default_rng(0)
    while len(found) < count:
        kind = ("random", "planted", "lu", "low rank + diagonal", "banded")[len(found) % 5]
        A = rng.standard_normal((n, n))
        if kind in ("random", "planted"):
            left, right = rng.random((n, k)) < 0.5, rng.random((k, n)) < 0.5
            if kind == "planted":
                exact = (rng.standard_normal((n, k)) * left) @ (rng.standard_normal((k, n)) * right)
                A = exact + 0.1 * A
        elif kind == "lu":
            left = np.tril(np.ones((n, k), bool))
            right = np.triu(np.ones((k, n), bool))
        elif kind == "banded":
            left = np.tril(np.triu(np.ones((n, n), bool), -2))
            right = left.T
        else:
            left = np.hstack([np.ones((n, 2), bool), np.eye(n, dtype=bool)])
            right = left.T
        if not pp.analyze_supports(left, right).tractable:
            found.append((kind, A, left, right))
    return found


def bench_palm(quick: bool) -> list[dict[str, Any]]:
    import numpy as np

    import papilio as pp

    n = 16 if quick else 64
    arch = pp.Architecture.monarch((n, n), 8, n // 8)
    rng = np.random.default_rng(0)
    tractable = [m.support().toarray() for m in arch]
    cases = [("tractable: monarch", rng.standard_normal((n, n)), *tractable)]
    cases += [(f"open: {kind}", *rest) for kind, *rest in instances(5, 16, 6)]
    results = []
    rows = [("problem", "what", "seconds", "relative error")]
    for title, A, left, right in cases:
        norm = np.linalg.norm(A)
        start = time.perf_counter()
        R = pp.fixed_support(A, left, right)
        entries = [("papilio", time.perf_counter() - start, R.relative_error)]
        for iterations in (100, 1000, 5000):
            try:
                start = time.perf_counter()
                product = palm(A, left, right, iterations)
            except Exception as error:  # a peer may be missing or fail in any way of its own
                skipped("pyfaust PALM4MSA", f"{type(error).__name__}: {error}")
                break
            seconds = time.perf_counter() - start
            error = float(np.linalg.norm(A - product) / norm)
            entries.append((f"PALM, {iterations} iterations", seconds, error))
        for name, seconds, error in entries:
            results.append(
                {
                    "part": "palm", "problem": title, "what": name, "seconds": seconds,
                    "error": error,
                }
            )  # fmt: skip
            rows.append((title, name, f"{seconds:.4f}", f"{error:.9f}"))
    print_table(rows)
    return results


# ---------------------------------------------------------------- local


def plain_als(A: Any, left: Any, right: Any, seed: int, limit: int) -> tuple[float, list[Any]]:
    """Least squares row by row and column by column, until a sweep gains less than 1e-8."""
    import numpy as np

    rng = np.random.default_rng(seed)
    X = np.where(left, rng.standard_normal(left.shape), 0.0)
    Y = np.where(right, rng.standard_normal(right.shape), 0.0)
    before, track = np.inf, []
    for _ in range(limit):
        for i, K in enumerate(left):
            if K.any():
                X[i, K] = np.linalg.lstsq(Y[K].T, A[i], rcond=None)[0]
        for j, K in enumerate(right.T):
            if K.any():
                Y[K, j] = np.linalg.lstsq(X[:, K], A[:, j], rcond=None)[0]
        error = float(np.linalg.norm(A - X @ Y))
        track.append((time.perf_counter(), error))
        if before - error <= 1e-8 * error:
            break
        before = error
    return error, track


def thinned(track: list[Any]) -> list[Any]:
    """At most some 200 points, the last one among them."""
    return [*track[:: max(1, len(track) // 200)], track[-1]]


def bench_local(quick: bool, count: int = 100) -> list[dict[str, Any]]:
    import numpy as np

    import papilio as pp

    count, limit = (5, 50) if quick else (count, 150)
    results, summaries = [], {}
    for kind, A, left, right in instances(count, 12, 5):
        start = time.perf_counter()
        runs = [plain_als(A, left, right, seed, limit) for seed in range(20)]
        als_seconds = time.perf_counter() - start
        best = min(error for error, _ in runs)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pp.DivergingFactorsWarning)
            R = pp.fixed_support(A, left, right)
        low, tracked = np.inf, []
        for _, track in runs:
            for moment, error in track:
                low = min(low, error)
                tracked.append((moment - start, low))
        entry = {
            "part": "local", "problem": kind, "what": "papilio", "seconds": R.seconds,
            "error": R.error, "als_error": best, "als_seconds": als_seconds,
            "median_als_error": float(np.median([e for e, _ in runs])),
            "norm": float(np.linalg.norm(A)), "diverging": R.diverging,
        }  # fmt: skip
        if len(summaries.setdefault(kind, [])) == 0:
            entry |= {"history": thinned(R.history.tolist()), "als_history": thinned(tracked)}
        summaries[kind].append(entry)
        results.append(entry)
    rows = [
        ("supports", "instances", "not worse", "in its time", "better by > 1e-6",
         "median seconds", "ALS seconds", "worst excess")
    ]  # fmt: skip
    for kind, entries in [*summaries.items(), ("all", results)]:
        # Relative to ||A||: where the infimum is 0 both only come close to it.
        excess = [(e["error"] - e["als_error"]) / e["norm"] for e in entries]
        rows.append(
            (
                kind, str(len(entries)), str(sum(x <= 1e-9 for x in excess)),
                str(sum(e["seconds"] <= e["als_seconds"] for e in entries)),
                str(sum(x < -1e-6 for x in excess)),
                f"{np.median([e['seconds'] for e in entries]):.3f}",
                f"{np.median([e['als_seconds'] for e in entries]):.3f}", f"{max(excess):.1e}",
            )
        )  # fmt: skip
    print_table(rows)
    print("not worse: error at most the best of 20 restarts' plus 1e-9 ||A||")
    return results


# ---------------------------------------------------------------- chains


def chain_problems(quick: bool) -> dict[str, tuple[Any, list[Any]]]:
    """Noisy products of sparse factors for which no exact method is known; seeded."""
    import numpy as np
    import scipy.sparse

    import papilio as pp

    rng = np.random.default_rng(0)

    def random(n: int) -> Any:
        rows = np.repeat(np.arange(n), 4)
        entries = np.ones(4 * n), (rows, rng.integers(0, n, 4 * n))
        return scipy.sparse.csr_array(scipy.sparse.coo_array(entries, (n, n))) != 0

    def scrambled(n: int) -> list[Any]:
        masks = [p.support() for p in pp.Architecture.square_dyadic(n)]
        for k in range(len(masks) - 1):
            order = rng.permutation(n)
            masks[k], masks[k + 1] = masks[k][:, order], masks[k + 1][order]
        return masks

    def banded(n: int) -> Any:
        return scipy.sparse.csr_array(np.tril(np.triu(np.ones((n, n), bool), -2), 2))

    problems = {}
    for n in (32,) if quick else (64, 128, 256):
        problems[f"4 random, {n}"] = [random(n) for _ in range(4)]
        if n <= 128:  # 0.1.0 takes minutes for the next one
            problems[f"scrambled dyadic, {n}"] = scrambled(n)
    problems["3 banded, 64" if quick else "3 banded, 128"] = [banded(64 if quick else 128)] * 3
    found = {}
    for name, masks in problems.items():
        factors = [mask.astype(float) for mask in masks]
        for factor in factors:
            factor.data = rng.standard_normal(factor.nnz)
        product = factors[0]
        for factor in factors[1:]:
            product = product @ factor
        A = product.toarray()
        A += 0.01 * np.linalg.norm(A) / A.shape[0] * rng.standard_normal(A.shape)
        found[name] = A, masks
    return found


def chains_child(quick: bool) -> None:
    """Print, for each problem, the processor's seconds on one thread, error and iterations."""
    import papilio as pp

    pp.set_num_threads(1)
    warnings.simplefilter("ignore", pp.DivergingFactorsWarning)
    for name, (A, masks) in chain_problems(quick).items():
        start = time.process_time()
        R = pp.fixed_support(A, masks, method="local", restarts=1, max_sweeps=20)
        print(
            name, time.process_time() - start, R.relative_error, R.iterations, sep="|", flush=True
        )


def bench_chains(quick: bool, other: str | None = None) -> list[dict[str, Any]]:
    results = []
    rows = [("supports", "what", "CPU seconds", "times papilio", "relative error", "iterations")]
    lines = {}
    for what, path in [("papilio", None), *([("other", other)] if other else [])]:
        lines[what] = subprocess.run(
            [sys.executable, __file__, "--child-chains", str(int(quick))],
            check=True, capture_output=True, text=True,
            env=os.environ | ({"PYTHONPATH": path} if path else {}) | {"OPENBLAS_NUM_THREADS": "1"},
        ).stdout.splitlines()  # fmt: skip
    for together in zip(*lines.values(), strict=True):
        base = float(together[0].split("|")[1])
        for what, line in zip(lines, together, strict=True):
            name, seconds, error, iterations = line.split("|")
            results.append(
                {
                    "part": "chains", "problem": name, "what": what, "seconds": float(seconds),
                    "ratio": float(seconds) / base, "error": float(error),
                    "iterations": int(iterations),
                }
            )  # fmt: skip
            rows.append(
                (
                    name, what, f"{float(seconds):.2f}", f"{float(seconds) / base:.1f}",
                    f"{float(error):.8f}", iterations,
                )
            )  # fmt: skip
    print_table(rows)
    return results


def plot(path: str, info: dict[str, Any], results: list[dict[str, Any]]) -> None:
    """Error over time, best so far, one panel per kind of supports."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    shown = [r for r in results if r["part"] == "local" and "als_history" in r]
    palms = [r for r in results if r["part"] == "palm" and r["problem"].startswith("tractable")]
    figure, axes = plt.subplots(
        1, len(shown) + bool(palms), figsize=(4 * (len(shown) + bool(palms)), 4), squeeze=False
    )
    panels = list(axes[0])
    if palms:
        axis = panels.pop(0)
        for r in palms:
            axis.loglog([r["seconds"]], [r["error"]], "o", label=r["what"])
        axis.set(title=palms[0]["problem"], xlabel="seconds", ylabel="relative error")
        axis.legend(fontsize=7)
    for axis, r in zip(panels, shown, strict=True):
        for key, label in (("history", "fixed_support"), ("als_history", "ALS, 20 restarts")):
            times, errors = zip(*r[key], strict=True)
            axis.loglog(times, [e / r["norm"] for e in errors], label=label)
        axis.set(title=f"open: {r['problem']}", xlabel="seconds")
        axis.legend(fontsize=7)
    for axis in axes[0]:
        axis.grid(True, which="both", alpha=0.3)
    figure.suptitle(f"{info['cpu']}, {info['threads']} threads, {info['date']}")
    figure.tight_layout()
    figure.savefig(path, dpi=80)
    plt.close(figure)


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        kind, n, entries = sys.argv[2:]
        return analysis_child(kind, int(n), int(entries))
    if sys.argv[1:2] == ["--child-chains"]:
        return chains_child(bool(int(sys.argv[2])))
    start_fair()
    parser = options(__doc__ or "")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--instances", type=int, default=100, help="of the local part")
    parser.add_argument("--other", help="PYTHONPATH of another papilio, for the chains")
    chosen = parser.parse_args()
    import papilio as pp

    if chosen.threads:
        pp.set_num_threads(chosen.threads)
    info = machine()
    print_machine(info)
    runs = {
        "analysis": bench_analysis, "exact": bench_exact, "palm": bench_palm,
        "local": partial(bench_local, count=chosen.instances),
        "chains": partial(bench_chains, other=chosen.other),
    }  # fmt: skip
    results: list[dict[str, Any]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pp.DivergingFactorsWarning)
        for part in chosen.only:
            print(f"\n{part}")
            results += runs[part](chosen.quick)
    write_json(chosen.json, info, results)
    if chosen.plot:
        plot(chosen.plot, info, results)
    return None


if __name__ == "__main__":
    main()
