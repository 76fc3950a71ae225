"""Products with butterflies against copies, dense BLAS, FFTs and every peer that is installed.

    python bench/apply.py [--quick] [--only targets|scaling] [--json PATH] [--plot PATH]

targets: the products that papilio is built to be fast at, each against its reference and with the
    bound that it can't beat: the copy of its bytes, its multiply-adds at the rate of this
    machine's dense product, or its weights at the rate at which they stream from their cache.
scaling: square dyadic butterflies over n and batch against dense BLAS, SciPy's CSR, lazylinop,
    pyfaust and a composition in PyTorch, with the fraction of the bound that papilio reaches.

Ratios are medians of interleaved runs. Dense BLAS products run apart, each beside a copy of its
own: OpenBLAS' threads keep spinning for tenths of a second and would take a core from the next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import apply_peers
from common import (
    interleaved,
    machine,
    options,
    plot_times,
    print_machine,
    print_table,
    skipped,
    start_fair,
    summary,
    write_json,
)

Calls = dict[str, Callable[[], Any]]


def dyadic(n: int, dtype: str) -> Any:
    import numpy as np

    import papilio as pp

    rng = np.random.default_rng(n)
    architecture = pp.Architecture.square_dyadic(n)
    return pp.Butterfly([rng.standard_normal(tuple(p)).astype(dtype) for p in architecture])


def gemm_rate(dtype: str) -> float:
    """Real multiply-adds in a second of NumPy's dense product with all its threads."""
    import numpy as np

    n = 1024
    x = np.ones((n, n), dtype)
    out = np.empty_like(x)
    times = interleaved({"gemm": lambda: np.matmul(x, x, out=out)}, 0.3, 7)["gemm"]
    time.sleep(0.3)
    return n**3 * (4 if x.dtype.kind == "c" else 1) / min(times)


def stream_seconds(nbytes: int, dtype: str) -> float:
    """Seconds to read so many bytes again and again on one thread."""
    import numpy as np

    x = np.ones(nbytes // np.dtype(dtype).itemsize, dtype).real.copy()
    times = interleaved({"read": x.max, "call": x[:8].max}, 0.1, 7)
    return max(min(times["read"]) - min(times["call"]), 1e-9)


def measured(calls: Calls, dense: Calls, seconds: float) -> dict[str, dict[str, float]]:
    """Ratios of all calls to "copy"; those in `dense` measured afterwards and apart."""
    rows = summary(interleaved(calls, seconds), "copy")
    if dense:
        apart = summary(interleaved({"copy": calls["copy"]} | dense, seconds), "copy")
        rows |= {name: apart[name] for name in dense}
        time.sleep(0.3)
    return rows


def bound_of(
    rows: Mapping[str, Mapping[str, float]], work: float, rate: float
) -> tuple[str, float]:
    """What a batch can't be faster than, and how many copies that takes."""
    arithmetic = work / rate / rows["copy"]["seconds"]
    return ("DRAM or cache", 1.0) if arithmetic < 1 else ("multiply-adds", arithmetic)


def targets(seconds: float, quick: bool) -> list[dict[str, Any]]:
    """One row for each target: its ratio to the reference, the bound, and what was asked for."""
    import numpy as np

    import papilio as pp

    results: list[dict[str, Any]] = []
    threads = pp.get_num_threads()
    rng = np.random.default_rng(0)
    rates = {dtype: gemm_rate(dtype) for dtype in ("float32", "float64")}

    def add(work: str, count: int, ratio: float, of: str, goal: str, bound: str) -> None:
        results.append(
            {"what": "target", "work": work, "threads": count, "ratio": ratio, "reference": of,
             "goal": goal, "bound": bound}
        )  # fmt: skip

    sizes = ((1024, 4096, 2.0), (256, 16384, 1.5), (4096, 1024, 3.0))
    for n, batch, goal in sizes[: 1 if quick else 3]:
        F = dyadic(n, "float64")
        X = rng.standard_normal((n, batch))
        R, out, rows_out = np.ascontiguousarray(X.T), np.empty_like(X), np.empty((batch, n))
        for count in dict.fromkeys((1, threads)):
            pp.set_num_threads(count)
            calls: Calls = {
                "copy": lambda X=X, out=out: np.copyto(out, X),
                "columns": lambda F=F, X=X, out=out: F.apply(X, out=out),
                "rows": lambda F=F, R=R, out=rows_out: F.apply(R, out=out, axis=1),
            }
            dense: Calls = {}
            if n == 1024 and count == threads:
                D = F.toarray()
                dense["dense"] = lambda D=D, X=X, out=out: np.matmul(D, X, out=out)
            rows = measured(calls, dense, seconds)
            kind, bound = bound_of(rows, F.nnz * batch, rates["float64"] * count / threads)
            ratio = rows["columns"]["ratio"]
            name = f"n={n}, B={batch}, float64"
            asked = f"<= {goal}" if count > 1 else ""
            add(f"{name}, columns", count, ratio, "copy", asked,
                f"{kind}: {bound:.2f} copies, {bound / ratio:.0%} reached")  # fmt: skip
            add(f"{name}, rows", count, rows["rows"]["ratio"] / ratio, "columns",
                "<= 1.2" if count > 1 else "", "")  # fmt: skip
            if dense:
                faster = rows["dense"]["ratio"] / ratio
                add(f"{name}, columns", count, faster, "dense gemm, times faster", ">= 15", kind)
    pp.set_num_threads(1)
    for n in (128, 1024, 4096):
        F, x = dyadic(n, "float64"), rng.standard_normal(n)
        D = F.toarray()
        rows = measured(
            {"copy": lambda x=x: x.copy(), "papilio": lambda F=F, x=x: F @ x},
            {"dense": lambda D=D, x=x: D @ x},
            seconds,
        )
        bound = stream_seconds(F.nbytes, "float64")
        add(f"one vector, n={n}, float64", 1,
            rows["dense"]["seconds"] / rows["papilio"]["seconds"], "dense gemv, times faster",
            {128: ">= 1", 1024: ">= 25", 4096: ">= 200"}[n],
            f"weights: {bound * 1e6:.2f} of {rows['papilio']['seconds'] * 1e6:.2f} us")  # fmt: skip
        del D
    blocks = [(1, 32, 32, 128), (128, 32, 32, 1)]
    F = pp.Butterfly([rng.standard_normal(p).astype("float32") for p in blocks])
    X = rng.standard_normal((4096, 1024)).astype("float32")
    out = np.empty_like(X)
    for count in dict.fromkeys((1, threads)):
        pp.set_num_threads(count)
        rows = measured(
            {"copy": lambda: np.copyto(out, X), "papilio": lambda: F.apply(X, out=out)}, {}, seconds
        )
        rate = F.nnz * 1024 / rows["papilio"]["seconds"] / (rates["float32"] * count / threads)
        add("blocks of 32 x 32, n=4096, B=1024, float32", count, rate, "rate of gemm", ">= 0.7",
            "multiply-adds and DRAM together")  # fmt: skip
    results += against_peers(threads, seconds, quick)
    pp.set_num_threads(threads)
    return results


def against_peers(threads: int, seconds: float, quick: bool) -> list[dict[str, Any]]:
    """How many times faster than the fastest peer."""
    import numpy as np

    import papilio as pp

    results: list[dict[str, Any]] = []
    rng = np.random.default_rng(1)
    cases = [(1024, 32, (1,)), (1024, 256, (1,)), (4096, 256, (1, threads))]
    cases += [(16384, 256, (1, threads)), (1024, 1, (1,)), (4096, 1, (1,)), (16384, 1, (1,))]
    for n, batch, counts in cases[: 1 if quick else len(cases)]:
        for dtype in ("float32", "float64"):
            F = dyadic(n, dtype)
            x = rng.standard_normal((n,) if batch == 1 else (n, batch)).astype(dtype)
            for count in dict.fromkeys(counts):
                pp.set_num_threads(count)
                calls: Calls = {"copy": x.copy, "papilio": lambda F=F, x=x: F @ x}
                spinning: Calls = {}
                for name, make in apply_peers.PEERS.items():
                    try:
                        peer = make(F)
                        given = np.asfortranarray(x) if name == "pyfaust" else x
                        peer(given)
                    except Exception as error:  # a peer may fail in any way of its own
                        skipped(name, f"{type(error).__name__}: {error}")
                        continue
                    where = spinning if name in apply_peers.SPINNING else calls
                    where[name] = lambda peer=peer, x=given: peer(x)
                rows = measured(calls, spinning, seconds)
                peers = {name: rows[name]["seconds"] for name in rows if name in apply_peers.PEERS}
                if not peers:
                    continue
                fastest = min(peers, key=peers.__getitem__)
                results.append(
                    {"what": "target", "work": f"n={n}, B={batch}, {dtype}", "threads": count,
                     "ratio": peers[fastest] / rows["papilio"]["seconds"],
                     "reference": f"{fastest}, times faster", "goal": ">= 4",
                     "bound": f"{rows['papilio']['seconds'] * 1e6:.1f} us; "
                     + ", ".join(f"{name} {t * 1e6:.0f}" for name, t in peers.items())}
                )  # fmt: skip
    return results


def scaling(chosen: Any, seconds: float) -> list[dict[str, Any]]:
    """Every size and batch against every peer."""
    import numpy as np
    import scipy.fft

    import papilio as pp

    sizes = chosen.sizes or ([64, 1024] if chosen.quick else [64, 256, 1024, 4096, 16384])
    batches = chosen.batches or ([1, 32] if chosen.quick else [1, 2, 7, 32, 256, 4096])
    missing: set[str] = set()
    results: list[dict[str, Any]] = []
    rng = np.random.default_rng(0)
    for dtype in chosen.dtypes:
        parts = 4 if np.dtype(dtype).kind == "c" else 1
        rate = gemm_rate(dtype) / pp.get_num_threads()
        for n in sizes:
            F = dyadic(n, dtype)
            dense_matrix = F.toarray() if n <= chosen.dense_limit else None
            streamed = stream_seconds(F.nbytes, dtype)
            for batch in batches:
                if n * batch > 2**25:
                    continue
                x = rng.standard_normal((n,) if batch == 1 else (n, batch)).astype(dtype)
                rows_x = np.ascontiguousarray(x.T)
                out, expected = np.empty_like(x), F @ x
                rows_out = np.empty_like(rows_x)
                calls: Calls = {
                    "copy": lambda x=x, out=out: np.copyto(out, x),
                    "papilio": lambda F=F, x=x: F @ x,
                    "papilio out=": lambda F=F, x=x, out=out: F.apply(x, out=out),
                }
                if batch > 1:
                    calls["papilio rows"] = lambda F=F, x=rows_x, out=rows_out: F.apply(
                        x, out=out, axis=1
                    )
                dense: Calls = {}
                if dense_matrix is not None and n * n * batch <= 2**33:
                    dense["dense"] = lambda D=dense_matrix, x=x: D @ x
                for name, make in apply_peers.PEERS.items():
                    if name in missing:
                        continue
                    try:
                        peer = make(F)
                        given = np.asfortranarray(x) if name == "pyfaust" else x
                        actual = np.asarray(peer(given))
                    except Exception as error:  # a peer may fail in any way of its own
                        skipped(name, f"{type(error).__name__}: {error}")
                        missing.add(name)
                        continue
                    distance = np.linalg.norm(actual - expected)
                    assert distance <= 1e-4 * np.linalg.norm(expected), (name, n, batch)
                    # PyTorch's threads spin as BLAS' do.
                    where = dense if name in apply_peers.SPINNING else calls
                    where[name] = lambda peer=peer, x=given: peer(x)
                if np.dtype(dtype).kind == "c":
                    calls["scipy fft"] = lambda x=x: scipy.fft.fft(x, axis=0)
                rows = measured(calls, dense, seconds)
                copied = rows["copy"]["seconds"]
                threads = pp.get_num_threads() if batch > 1 else 1
                bound = max(copied, F.nnz * batch * parts / (rate * threads), streamed)
                for name, row in rows.items():
                    results.append(
                        {"n": n, "batch": batch, "dtype": dtype, "what": name,
                         "bound": bound / row["seconds"]} | row
                    )  # fmt: skip
    return results


def print_targets(results: list[dict[str, Any]]) -> None:
    rows = [("work", "threads", "ratio", "to", "asked", "bound")]
    for r in results:
        if r["what"] == "target":
            rows.append(
                (r["work"], str(r["threads"]), f"{r['ratio']:.2f}", r["reference"], r["goal"],
                 r["bound"])
            )  # fmt: skip
    print_table(rows)


def print_scaling(results: list[dict[str, Any]]) -> None:
    rows = [("n", "batch", "dtype", "what", "median", "x copy", "quartiles", "of bound")]
    for r in results:
        if r["what"] != "target":
            rows.append(
                (
                    str(r["n"]), str(r["batch"]), r["dtype"], r["what"],
                    f"{r['seconds'] * 1e6:.1f} us", f"{r['ratio']:.2f}",
                    f"{r['ratio_low']:.2f}-{r['ratio_high']:.2f}", f"{r['bound']:.0%}",
                )
            )  # fmt: skip
    print_table(rows)


def main() -> None:
    start_fair()
    parser = options(__doc__ or "")
    parser.add_argument("--only", choices=["targets", "scaling"], help="one part")
    parser.add_argument("--sizes", type=int, nargs="+", help="powers of two")
    parser.add_argument("--batches", type=int, nargs="+", help="columns; 1 is one vector")
    parser.add_argument("--dtypes", nargs="+", default=["float64"], help="element types")
    parser.add_argument("--seconds", type=float, help="for each group of interleaved calls")
    parser.add_argument("--dense-limit", type=int, default=4096, help="no dense product above")
    chosen = parser.parse_args()

    import papilio as pp

    if chosen.threads:
        pp.set_num_threads(chosen.threads)
    seconds = chosen.seconds or (0.1 if chosen.quick else 0.4)
    info = machine()
    print_machine(info)
    results: list[dict[str, Any]] = []
    if chosen.only != "scaling":
        results += targets(seconds, chosen.quick)
        print_targets(results)
    if chosen.only != "targets":
        results += scaling(chosen, seconds)
        print_scaling(results)
    write_json(chosen.json, info, results)
    if chosen.plot:
        first = [r for r in results if r.get("dtype") == chosen.dtypes[0]]
        plot_times(chosen.plot, info, first, panel="batch")


if __name__ == "__main__":
    main()
