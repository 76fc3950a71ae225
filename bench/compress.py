"""compress: time, entries, memory, ranks and errors against n; products against dense and FINUFFT.

python bench/compress.py [--quick] [--kernels [NAME ...]] [--sizes N ...] [--json PATH] [--add]
                          [--plot PATH]

Each case runs in a process of its own, so that the peak of its memory is its own. The dense product
is measured up to n = 8192 and extrapolated beyond: n^2 entries at the best rate at which the BLAS
reads a matrix that is larger than the caches. That is the floor of any dense product, given in the
precision of the factors and in double, which is that of the entries.
"""

from __future__ import annotations

import json
import math
import operator
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from common import (
    interleaved,
    machine,
    options,
    print_machine,
    print_table,
    skipped,
    start_fair,
    write_json,
)

TOL = 1e-6
DENSE_LIMIT = 8192


def circle(n: int, radius: float, x: float = 0.0) -> Any:
    import numpy as np

    angle = 2 * np.pi * np.arange(n) / n
    return np.stack([x + radius * np.cos(angle), radius * np.sin(angle)], 1)


def kernels() -> dict[str, tuple[Callable[[int], Any], int]]:
    """Each kernel with the largest size that is tried."""
    import numpy as np

    import papilio as pp

    k = pp.kernels

    def points(n: int) -> Any:
        return np.random.default_rng(0).uniform(-np.pi, np.pi, n)

    def side(n: int) -> int:
        return math.isqrt(n)

    return {
        "nudft type 2": (lambda n: k.nudft(2, points(n), n), 1 << 20),
        "fio variant 2": (lambda n: k.fio(n, 2), 1 << 20),
        "fio variant 1": (lambda n: k.fio(n, 1), 1 << 17),
        "nudft type 1": (lambda n: k.nudft(1, points(n), n), 1 << 17),
        "nudft type 3": (
            lambda n: k.nudft(3, points(n), frequencies=points(n) * n / 6.5),
            1 << 17,
        ),
        "fractional Fourier": (lambda n: k.fractional_fourier(n, 0.5), 1 << 17),
        "bessel": (k.bessel, 1 << 16),
        "hankel": (k.hankel, 1 << 12),
        "legendre order 0": (lambda n: k.legendre((np.arange(n) + 0.5) * np.pi / n, n), 1 << 20),
        "helmholtz circles": (
            lambda n: k.helmholtz(circle(n, 1.0), circle(n, 1.0, 3.0), n / 8),
            1 << 17,
        ),
        "laplace": (lambda n: k.laplace(np.linspace(0, 50, n), np.linspace(0, 1, n)), 1 << 17),
        "nudft type 2, 2-D": (
            lambda n: k.nudft(2, points(2 * n).reshape(n, 2), (side(n), side(n))),
            1 << 14,
        ),
        "fio2d": (lambda n: k.fio2d(side(n)), 1 << 14),
        "radon": (lambda n: k.radon(side(n)), 1 << 14),
    }


def reading_rate() -> float:
    """Bytes in a second at which the BLAS reads a large matrix."""
    import numpy as np

    x = np.ones(DENSE_LIMIT)
    A = np.ones((DENSE_LIMIT, DENSE_LIMIT))
    best = math.inf
    for _ in range(5):
        start = time.perf_counter()
        A @ x
        best = min(best, time.perf_counter() - start)
    return A.nbytes / best


def process_bytes(which: str) -> int:
    """VmHWM: the most that the process has taken; VmRSS: what it takes."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(next(line for line in status.splitlines() if which in line).split()[1])


def run_case(name: str, n: int, dtype: str, rounding: bool, seconds: float) -> dict[str, Any]:
    """Everything about one kernel and size."""
    import numpy as np

    import papilio as pp

    kernel = kernels()[name][0](n)
    rows, columns = kernel.shape
    real = kernel.dtype.kind == "f"
    wanted = np.dtype({"single": "f4" if real else "c8", "double": kernel.dtype}[dtype])
    before, held = process_bytes("VmHWM"), process_bytes("VmRSS")
    start = time.perf_counter()
    F = pp.compress(kernel, tol=TOL, dtype=wanted, rounding=rounding)
    built = time.perf_counter() - start
    report = F.report
    result = {
        "kernel": name,
        "n": n,
        "dtype": wanted.name,
        "build_seconds": built,
        "entries": report.entries,
        "ranks": list(report.ranks),
        "error": report.relative_error,
        "error_bound": report.error_bound,
        "attempts": report.attempts,
        "bytes": report.nbytes,
        "peak_bytes": process_bytes("VmHWM") - before,
    }
    rng = np.random.default_rng(1)
    x = rng.standard_normal(columns).astype(wanted)
    calls: dict[str, Callable[[], Any]] = {"apply": partial(operator.matmul, F, x)}
    y = F @ x
    F.H @ y, F @ np.stack([x] * 8, 1)
    result["held_bytes"] = process_bytes("VmRSS") - held
    exact_rows = rng.integers(rows, size=20)
    exact = kernel(exact_rows[:, None], np.arange(columns)) @ x.astype(kernel.dtype)
    if rows * columns <= DENSE_LIMIT**2:
        A = kernel.toarray().astype(wanted)
        calls["dense"] = lambda: A @ x
    if name == "nudft type 2":
        try:
            import finufft
        except ImportError as error:
            skipped("finufft", error)
        else:
            # In single precision a point of 2^20 modes would be off by a twentieth of a turn.
            points, wide = kernel.row_points[:, 0], x.astype(np.complex128)
            calls["finufft"] = lambda: finufft.nufft1d2(points, wide, eps=TOL, isign=-1)
    for what, call in calls.items():
        y = np.asarray(call())[exact_rows]
        result[f"{what}_product_error"] = float(np.linalg.norm(y - exact) / np.linalg.norm(exact))
    for what, call in calls.items():
        time.sleep(0.3)  # threads of other libraries spin until then
        result[f"{what}_seconds"] = sorted(interleaved({what: call}, seconds, 5)[what])[2]
    rate = reading_rate()
    result["bytes_per_second"] = rate
    for kind in ("single", "double"):
        itemsize = (4 if real else 8) * (1 if kind == "single" else 2)
        result[f"dense_floor_{kind}"] = rows * columns * itemsize / rate
    return result


def exponent(results: list[dict[str, Any]], name: str, key: str) -> float | None:
    """The slope of log(key) against log(n) from 2^14 on, by least squares."""
    import numpy as np

    points = [(r["n"], r[key]) for r in results if r["kernel"] == name and r["n"] >= 1 << 14]
    if len(points) < 2:
        return None
    sizes, values = np.log(np.array(points, float)).T
    return float(np.polyfit(sizes, values, 1)[0])


def duration(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def table_row(r: dict[str, Any]) -> tuple[str, ...]:
    ranks = r["ranks"] or [0]
    kind = "single" if r["dtype"] in ("complex64", "float32") else "double"
    apply = r["apply_seconds"]
    finufft = r.get("finufft_seconds")
    return (
        r["kernel"], f"2^{math.log2(r['n']):.3g}", r["dtype"], duration(r["build_seconds"]),
        f"{r['entries'] / r['n']:.0f}", f"{min(ranks)}-{max(ranks)}", f"{r['error_bound']:.1e}",
        f"{r['bytes'] / 2**20:.4g}", f"{r['peak_bytes'] / 2**20:.4g}", duration(apply),
        f"{r['bytes'] / apply / 1e9:.3g}", f"{r['bytes_per_second'] / 1e9:.3g}",
        f"{r[f'dense_floor_{kind}'] / apply:.3g}",
        f"{r['dense_floor_double'] / apply:.3g}",
        f"{r['dense_seconds'] / apply:.3g}" if "dense_seconds" in r else "",
        f"{finufft / apply:.3g}" if finufft else "",
    )  # fmt: skip


HEADING = (
    "kernel", "n", "dtype", "build", "entries/n", "ranks", "error <", "MiB", "peak MiB", "apply",
    "GB/s", "BLAS GB/s", "floor/apply", "double floor/apply", "dense/apply", "finufft/apply",
)  # fmt: skip


def plot(path: str, info: Any, results: list[dict[str, Any]]) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(16, 5))
    panels = [("build_seconds", "construction, s"), ("bytes", "factors, bytes"),
              ("apply_seconds", "one product, s")]  # fmt: skip
    names = list(dict.fromkeys(r["kernel"] for r in results))
    for axis, (key, title) in zip(axes, panels, strict=True):
        for number, name in enumerate(names):
            points = sorted((r["n"], r[key]) for r in results if r["kernel"] == name)
            color = plt.get_cmap("tab20")(number)
            axis.loglog(*zip(*points, strict=True), "o-", color=color, markersize=3, label=name)
        if key == "apply_seconds":
            floors: dict[int, float] = {}
            for r in results:
                if r["dtype"] == "complex64":
                    least = floors.get(r["n"], math.inf)
                    floors[r["n"]] = min(least, r["dense_floor_single"])
            if floors:
                axis.loglog(*zip(*sorted(floors.items()), strict=True), "k--",
                            label="dense floor (extrapolated)")  # fmt: skip
            fast = [(r["n"], r["finufft_seconds"]) for r in results if "finufft_seconds" in r]
            if fast:
                axis.loglog(*zip(*sorted(fast), strict=True), "k:", label="finufft")
        axis.set_xscale("log", base=2)
        axis.set(title=title, xlabel="n")
        axis.grid(True, which="both", alpha=0.3)
    figure.legend(*axes[2].get_legend_handles_labels(), fontsize=8, loc="center right")
    figure.suptitle(f"tol {TOL:g}; {info['cpu']}, {info['threads']} threads, {info['date']}")
    figure.tight_layout(rect=(0, 0, 0.86, 1))
    figure.savefig(path, dpi=90)
    plt.close(figure)


def merged(path: str | None, results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """New results beside those that the file has of other cases, in order."""
    cases = {}
    if path is not None and Path(path).exists():
        cases = {(r["kernel"], r["n"]): r for r in json.loads(Path(path).read_text())["results"]}
    cases |= {(r["kernel"], r["n"]): r for r in results}
    names = list(kernels())
    return [cases[key] for key in sorted(cases, key=lambda key: (names.index(key[0]), key[1]))]


def main() -> None:
    start_fair()
    parser = options(__doc__ or "")
    parser.add_argument("--kernels", nargs="*", help="names (none: only what --json has)")
    parser.add_argument("--sizes", type=int, nargs="+", help="powers of four for 2-D kernels")
    parser.add_argument("--dtype", choices=["single", "double"], default="single")
    parser.add_argument("--rounding", action="store_true", help="with Butterfly.round")
    parser.add_argument("--add", action="store_true", help="keep the other cases of --json")
    parser.add_argument("--case", nargs=2, help="(one case, as JSON: what the script calls)")
    chosen = parser.parse_args()

    import papilio as pp

    if chosen.threads:
        pp.set_num_threads(chosen.threads)
    if chosen.case:
        name, n = chosen.case
        seconds = 0.3 if chosen.quick else 2.0
        result = run_case(name, int(n), chosen.dtype, chosen.rounding, seconds)
        print(json.dumps(result))
        return
    sizes = chosen.sizes or ([1024, 4096] if chosen.quick else [1 << k for k in range(10, 21, 2)])
    info = machine()
    print_machine(info)
    old = chosen.json if chosen.add or chosen.kernels == [] else None
    results: list[dict[str, Any]] = []
    print_table([HEADING])
    for name, (_, largest) in kernels().items():
        if chosen.kernels is not None and name not in chosen.kernels:
            continue
        for n in sizes:
            if n > largest:
                continue
            command = [sys.executable, __file__, "--case", name, str(n), "--dtype", chosen.dtype]
            command += ["--quick"] * chosen.quick + ["--rounding"] * chosen.rounding
            command += ["--threads", str(chosen.threads)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                skipped(f"{name} at {n}", done.stderr.strip().rpartition("\n")[2])
                continue
            results.append(json.loads(done.stdout.strip().splitlines()[-1]))
            print("  ".join(table_row(results[-1])), flush=True)
            write_json(chosen.json, info, merged(old, results))
    everything = merged(old, results)
    print_table([HEADING, *map(table_row, everything)])
    for name in dict.fromkeys(r["kernel"] for r in everything):
        slopes = {key: exponent(everything, name, key)
                  for key in ("build_seconds", "entries", "bytes", "apply_seconds")}  # fmt: skip
        if all(slope is not None for slope in slopes.values()):
            words = ", ".join(f"{key} n^{slope:.2f}" for key, slope in slopes.items())
            print(f"{name}, from 2^14 on: {words}")
    if results:
        write_json(chosen.json, info, everything)
    if chosen.plot:
        plot(chosen.plot, info, everything)


if __name__ == "__main__":
    main()
