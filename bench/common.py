"""Fair timing: medians of interleaved runs in one process, told as ratios, with the machine."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

# Variables that make a BLAS slower than it is; a benchmark against it would flatter papilio.
UNFAIR = (
    "OPENBLAS_CORETYPE",
    "OPENBLAS_L2_SIZE",
    "OPENBLAS_VERBOSE",
    "MKL_CBWR",
    "MKL_DEBUG_CPU_TYPE",
)
PEERS = (
    *("lazylinop", "pyfaust", "torch", "ducc0", "finufft", "pyFFTW", "mkl_fft", "fht_cpu"),
    *("numba", "mpi4py", "mpich", "scikit-learn"),
)


# Threads of another library hold the cores that this one's are timed on for as long as they wait
# for more work: libgomp's for 300,000 turns of a loop, some milliseconds.
SPIN = 0.015


def start_fair() -> None:
    """Run the script again without the variables that slow a BLAS down, if any is set."""
    found = [name for name in UNFAIR if name in os.environ]
    if found:
        print(f"restarting without {', '.join(found)}", flush=True)
        environment = {name: value for name, value in os.environ.items() if name not in found}
        os.execve(sys.executable, [sys.executable, *sys.argv], environment)


def options(description: str) -> argparse.ArgumentParser:
    """The arguments that all benchmarks share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="small sizes and few repetitions")
    parser.add_argument("--json", metavar="PATH", help="write the results there")
    parser.add_argument("--plot", metavar="PATH", help="draw the results to this PNG")
    parser.add_argument("--threads", type=int, default=0, help="of papilio (default: all)")
    return parser


def interleaved(
    calls: Mapping[str, Callable[[], Any]], seconds: float = 0.5, repetitions: int = 15
) -> dict[str, list[float]]:
    """Seconds of one call of each, sampled in turn: what disturbs one disturbs all.

    Each sample averages enough calls to last about `seconds` / `repetitions` / number of calls. On
    several threads, those of the call before get the time to fall asleep.
    """
    import papilio as pp

    pause = SPIN if pp.get_num_threads() > 1 else 0.0
    share = seconds / repetitions / len(calls)
    counts = {}
    for name, call in calls.items():
        call()  # makes plans and the like: it may take longer than all of the loop below
        # The fastest of a few calls: one that met a thread still spinning in another library
        # would make all samples of this call too short to get past it.
        fastest = float("inf")
        began = time.perf_counter()
        while time.perf_counter() - began < share / 2 or fastest == float("inf"):
            start = time.perf_counter()
            call()
            fastest = min(fastest, time.perf_counter() - start)
        counts[name] = max(1, int(share / max(fastest, 1e-7)))
    samples: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repetitions):
        for name, call in calls.items():
            if pause:
                time.sleep(pause)
                call()
            start = time.perf_counter()
            for _ in range(counts[name]):
                call()
            samples[name].append((time.perf_counter() - start) / counts[name])
    return samples


def summary(samples: Mapping[str, list[float]], reference: str) -> dict[str, dict[str, float]]:
    """For each name its median seconds and the ratio to the reference with its quartiles."""
    rows = {}
    for name, times in samples.items():
        ratios = sorted(t / r for t, r in zip(times, samples[reference], strict=True))
        quarter = len(ratios) // 4
        rows[name] = {
            "seconds": statistics.median(times),
            "ratio": statistics.median(ratios),
            "ratio_low": ratios[quarter],
            "ratio_high": ratios[-1 - quarter],
        }
    return rows


def machine() -> dict[str, Any]:
    """What the figures were measured on: CPU, instruction set, BLAS, threads, versions, date."""
    import numpy

    from papilio.config import config

    info = dict(config()) | {"date": datetime.date.today().isoformat(), "cpus": os.cpu_count()}
    info |= {"commit": commit(), "peers": peers(), "load": os.getloadavg()[0]}
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        blas = numpy.show_config(mode="dicts")["Build Dependencies"]["blas"]
        info["blas"] = f"{blas['name']} {blas['version']} (threadpoolctl missing: no kernel type)"
    else:
        info["blas"] = "; ".join(
            f"{pool['internal_api']} {pool.get('version')} ({pool.get('architecture', '?')}, "
            f"{pool['num_threads']} threads, {Path(pool['filepath']).parent.name})"
            for pool in threadpool_info()
            if pool["user_api"] == "blas"
        )
    return info


def commit() -> str | None:
    """The commit of the tree that the benchmarks are in, with a sign of what isn't committed."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        head, changed = (
            subprocess.run([*git, *what], capture_output=True, text=True, check=True).stdout.strip()
            for what in (
                ("rev-parse", "--short=10", "HEAD"),
                ("status", "--porcelain", "--", "../python", "../cpp", "../bench/*.py"),
            )
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + (", changed" if changed else "")


def peers() -> dict[str, str]:
    """The versions of what the benchmarks compare with and is installed."""
    found = {}
    for name in PEERS:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def print_machine(info: Mapping[str, Any]) -> None:
    """One line that every table starts with."""
    print(
        f"{info['cpu']}, {info['isa']}, papilio {info['papilio']} with {info['threads']} threads, "
        f"{info['date']}\nBLAS: {info['blas']}"
    )


def print_table(rows: list[tuple[str, ...]]) -> None:
    """Aligned columns; the first row is the heading."""
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))
    sys.stdout.flush()


def write_json(path: str | None, info: Mapping[str, Any], results: list[dict[str, Any]]) -> None:
    """Machine, arguments and results, written aside and renamed: what bench/report.py reads."""
    if path is None:
        return
    # Where files go says nothing about what was measured.
    words = iter(sys.argv[1:])
    arguments = [w for w in words if w not in ("--json", "--plot") or next(words, None) is None]
    made = {
        "bench": Path(sys.argv[0]).name, "arguments": arguments, "machine": dict(info),
        "results": results,
    }  # fmt: skip
    aside = Path(f"{path}.part")
    aside.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    aside.replace(path)


@cache
def skipped(peer: str, reason: object) -> None:
    """Say, once, that a peer is missing."""
    print(f"skipped {peer}: {reason}")


def plot_times(
    path: str, info: Mapping[str, Any], results: list[dict[str, Any]], panel: str
) -> None:
    """Seconds against n, log-log, one panel per value of `panel`, the copy as the bound."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    panels = list(dict.fromkeys(r[panel] for r in results))
    figure, axes = plt.subplots(1, len(panels), figsize=(4 * len(panels), 4), squeeze=False)
    for axis, value in zip(axes[0], panels, strict=True):
        for name in dict.fromkeys(r["what"] for r in results):
            points = [
                (r["n"], r["seconds"]) for r in results if r["what"] == name and r[panel] == value
            ]
            if points:
                style = "k--" if name == "copy" else "o-"
                axis.loglog(*zip(*points, strict=True), style, label=name)
        axis.set_xscale("log", base=2)
        axis.set(title=f"{panel}: {value}", xlabel="n", ylabel="seconds")
        axis.grid(True, which="both", alpha=0.3)
    axes[0][0].legend()
    figure.suptitle(f"{info['cpu']}, {info['isa']}, {info['threads']} threads, {info['date']}")
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)
