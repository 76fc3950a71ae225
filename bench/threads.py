"""The engines that run papilio's threads against each other, alone and beside other libraries.

    python bench/threads.py [--quick] [--only WORD ...] [--json PATH]

Each engine runs in a process of its own (PAPILIO_THREADING). The processes take turns: one works,
the others sleep. Ratios are medians over rounds of the ratio to the pool in the same round. A
second process with the pool shows how far two equal ones are apart: the noise of the run. "worst
tenth" is the time that one call in ten exceeded, the median of all rounds; "fastest" is the fastest
call of all, and the ratio of it: what remains where others' work on the machine didn't disturb.

alone: products and factorizations with nothing else in the process.
after BLAS: each call is timed right after a threaded product of NumPy, whose threads still spin.
after OpenMP: right after a parallel region of another library with the same OpenMP runtime.
beside BLAS: another Python thread multiplies with NumPy all the time.
in OpenMP: called from all threads of another library's region, where papilio runs on one each.
k callers: so many Python threads at once; seconds of one call, over all of them.
"""

from __future__ import annotations

import ctypes
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from common import (
    machine,
    options,
    print_machine,
    print_table,
    skipped,
    start_fair,
    summary,
    write_json,
)

Call = Callable[[], Any]


@dataclass(frozen=True)
class Case:
    """A call, and what happens around it."""

    call: Call
    before: Call | None = None  # run, and not timed, before each call
    beside: Call | None = None  # run again and again in another thread
    callers: int = 1
    settle: float = 0.02  # seconds until threads that spin after it are asleep

    def times(self, seconds: float) -> list[float]:
        """Seconds of each call, for about so long."""
        if self.callers > 1:
            return [self._together(seconds)]
        found = []
        with repeating(self.beside):
            end = time.perf_counter() + seconds
            while time.perf_counter() < end or not found:
                if self.before:
                    self.before()
                start = time.perf_counter()
                self.call()
                found.append(time.perf_counter() - start)
        return found

    def _together(self, seconds: float) -> float:
        counts = [0] * self.callers
        end = time.perf_counter() + seconds

        def work(caller: int) -> None:
            while time.perf_counter() < end or not counts[caller]:
                self.call()
                counts[caller] += 1

        start = time.perf_counter()
        threads = [threading.Thread(target=work, args=(n,)) for n in range(self.callers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return (time.perf_counter() - start) / sum(counts)


@contextmanager
def repeating(work: Call | None) -> Iterator[None]:
    """Something goes on in another thread."""
    stop = threading.Event()

    def loop() -> None:
        while work and not stop.is_set():
            work()

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def region(body: Call, threads: int) -> Call | None:
    """A call that runs `body` on each thread of a region of GCC's OpenMP runtime."""
    try:
        runtime = ctypes.CDLL("libgomp.so.1")
    except OSError as error:
        skipped("OpenMP regions of another library", error)
        return None

    @ctypes.CFUNCTYPE(None, ctypes.c_void_p)
    def function(_: object) -> None:
        body()

    start = runtime.GOMP_parallel
    start.argtypes = [type(function), ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    return lambda: start(function, None, threads, 0)


def works() -> dict[str, Call]:
    """What papilio does in all cases, from small to large."""
    import numpy as np

    import papilio as pp

    rng = np.random.default_rng(0)
    found: dict[str, Call] = {}
    for n, batch in ((1024, 64), (1024, 256), (1024, 4096), (4096, 1024)):
        architecture = pp.Architecture.square_dyadic(n)
        F = pp.Butterfly([rng.standard_normal(tuple(p)) for p in architecture])
        X = rng.standard_normal((n, batch))
        out = np.empty_like(X)
        found[f"n={n}, B={batch}"] = lambda F=F, X=X, out=out: F.apply(X, out=out)
    D, Z = pp.transforms.dct(1000), rng.standard_normal((1000, 500))
    found["dct, n=1000, B=500"] = lambda: D @ Z
    G, x = pp.transforms.dft(1 << 18), np.ones(1 << 18, complex)
    found["dft, n=2^18, vector"] = lambda: G @ x
    for n in (256, 1024):
        A = pp.transforms.hadamard(n).toarray()
        architecture = pp.Architecture.square_dyadic(n)
        found[f"factorize, n={n}"] = lambda A=A, c=architecture: pp.factorize(A, c)
    return found


def cases() -> dict[str, Case]:
    import numpy as np

    import papilio as pp

    threads = pp.get_num_threads()
    work = works()
    some = [name for name in work if name not in ("n=1024, B=64", "dct, n=1000, B=500")]
    found = {f"alone: {name}": Case(call) for name, call in work.items()}
    Y = np.ones((768, 768))
    product = np.empty_like(Y)

    def gemm() -> None:
        np.matmul(Y, Y, out=product)

    for name in some:
        found[f"after BLAS: {name}"] = Case(work[name], before=gemm, settle=0.25)
    for name in ("n=1024, B=256", "n=4096, B=1024"):
        found[f"beside BLAS: {name}"] = Case(work[name], beside=gemm, settle=0.25)
        regions = region(lambda: None, threads)
        if regions:
            found[f"after OpenMP: {name}"] = Case(work[name], before=regions)
    for name in ("n=1024, B=256", "factorize, n=256"):
        for callers in (2, 4):
            found[f"{callers} callers: {name}"] = Case(work[name], callers=callers)
    X = np.ones((1024, 256))
    F = pp.transforms.hadamard(1024)
    regions = region(lambda: F @ X, threads)
    if regions:
        found["in OpenMP: n=1024, B=256"] = Case(regions)
    return found


def serve(threads: int) -> None:
    """The process of one engine: answers lines of case and seconds with the seconds of calls."""
    import papilio as pp

    if threads:
        pp.set_num_threads(threads)
    found = cases()
    for case in found.values():
        case.times(0.0)  # makes plans and threads
    time.sleep(0.3)
    print(json.dumps(list(found)), flush=True)
    for line in sys.stdin:
        name, seconds = json.loads(line)
        case = found[name]
        times = sorted(case.times(seconds))
        time.sleep(case.settle)
        tenth = times[min(len(times) - 1, len(times) * 9 // 10)]
        print(json.dumps([statistics.median(times), tenth, times[0]]), flush=True)


class Server:
    """A process with an engine."""

    def __init__(self, engine: str, threads: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--serve", "--threads", str(threads)],
            env=os.environ | {"PAPILIO_THREADING": engine},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.cases: list[str] = self._answer()

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"an engine's process ended with {self.process.wait()}")
        return json.loads(line)

    def measure(self, name: str, seconds: float) -> tuple[float, float, float]:
        """The median of its calls, what a tenth of them exceeded, and the fastest."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([name, seconds]) + "\n")
        self.process.stdin.flush()
        median, tenth, fastest = self._answer()
        return median, tenth, fastest

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def measured(
    servers: dict[str, Server], name: str, rounds: int, seconds: float
) -> list[dict[str, Any]]:
    """One row for each engine, of rounds in which each is first in turn."""
    medians: dict[str, list[float]] = {engine: [] for engine in servers}
    tenths: dict[str, list[float]] = {engine: [] for engine in servers}
    fastest = dict.fromkeys(servers, float("inf"))
    order = list(servers)
    for _ in range(rounds):
        for engine in order:
            median, tenth, least = servers[engine].measure(name, seconds)
            fastest[engine] = min(fastest[engine], least)
            medians[engine].append(median)
            tenths[engine].append(tenth)
        order.append(order.pop(0))
    rows = summary(medians, "pool")
    return [
        {"what": engine, "case": name, "worst_tenth": statistics.median(tenths[engine])}
        | {"fastest": fastest[engine]}
        | row
        for engine, row in rows.items()
    ]


def print_results(results: list[dict[str, Any]]) -> None:
    engines = list(dict.fromkeys(r["what"] for r in results))
    others = engines[1:]
    titles = [cell for name in others for cell in (f"{name} / pool", "fastest", "worst tenth")]
    rows: list[tuple[str, ...]] = [("case", "pool", "fastest", "worst tenth", *titles)]
    for name in dict.fromkeys(r["case"] for r in results):
        row = {r["what"]: r for r in results if r["case"] == name}
        cells = [name, f"{row['pool']['seconds'] * 1e6:.0f} us"]
        for engine in engines:
            r = row[engine]
            if engine in others:
                cells.append(f"{r['ratio']:.2f} ({r['ratio_low']:.2f}-{r['ratio_high']:.2f})")
                cells.append(f"{r['fastest'] / row['pool']['fastest']:.2f}")
            else:
                cells.append(f"{r['fastest'] * 1e6:.0f} us")
            cells.append(f"{r['worst_tenth'] * 1e6:.0f} us")
        rows.append(tuple(cells))
    print_table(rows)


def main() -> None:
    parser = options(__doc__ or "")
    parser.add_argument("--only", nargs="+", help="cases whose names have one of these words")
    parser.add_argument("--serve", action="store_true", help="be the process of one engine")
    chosen = parser.parse_args()
    if chosen.serve:
        serve(chosen.threads)
        return
    start_fair()

    from papilio.config import config

    info = machine() | {"load before": os.getloadavg()}
    print_machine(info)
    others = [name for name in config()["available threading"] if name != "pool"]
    print(f"load {info['load before'][0]:.1f} on {info['cpus']} CPUs", flush=True)
    servers = {
        what: Server(what.split()[0], chosen.threads) for what in ("pool", *others, "pool again")
    }
    results: list[dict[str, Any]] = []
    for name in servers["pool"].cases:
        if not chosen.only or any(word in name for word in chosen.only):
            rounds, seconds = (5, 0.03) if chosen.quick else (11, 0.08)
            results += measured(servers, name, rounds, seconds)
    for server in servers.values():
        server.end()
    print_results(results)
    info["load after"] = os.getloadavg()
    print(f"load {info['load after'][0]:.1f}")
    write_json(chosen.json, info, results)


if __name__ == "__main__":
    main()
