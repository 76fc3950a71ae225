"""nudft: products against planned FINUFFT and ducc0, at equal measured error.

python bench/nudft.py [--quick] [--threads N] [--dims D ...] [--batches B ...] [--tols T ...]
                      [--kinds K ...] [--most ENTRIES] [--cpu] [--json PATH]

Points are random and in double precision, as many as modes. Each library is asked for the loosest
of some tolerances with which its result is as close to direct sums as was wanted. All take the same
arrays: one vector after the other, as FINUFFT and ducc0 do. Set-up is the time from points to a
plan, papilio's with its first product. Ratios below 1 say that papilio is faster. On a machine that
others use, too, --cpu tells more: with one thread, CPU seconds instead of those of the clock.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
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

SIZES = {
    1: [(1 << 10,), (1 << 12,), (1 << 14,), (1 << 16,), (1 << 18,), (1 << 20,)],
    2: [(32, 32), (64, 64), (128, 128), (256, 256), (512, 512), (1024, 1024)],
    3: [(16, 16, 16), (32, 32, 32), (64, 64, 64), (128, 128, 128)],
}
ASKED = (30.0, 10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01)  # times the error that is wanted
ROWS = 16  # of direct sums
Call = Callable[[], Any]


def direct(x: Any, modes: tuple[int, ...], kind: int, values: Any, places: Any) -> Any:
    """Some outputs of the transform of one vector, in extended precision."""
    import numpy as np

    axes = [np.arange(-(n // 2), (n + 1) // 2) for n in modes]
    sums = []
    for place in places:
        if kind == 2:
            waves = [
                np.exp(-1j * (k * np.longdouble(c))) for k, c in zip(axes, x[place], strict=True)
            ]
            total = values.reshape(modes)
            for wave in waves[::-1]:
                total = total @ wave.astype(complex)
        else:
            index = np.unravel_index(place, modes)
            phase = sum(
                k[i] * x[:, d].astype(np.longdouble)
                for d, (k, i) in enumerate(zip(axes, index, strict=True))
            )
            turns = phase / (2 * np.longdouble(math.pi) + 2 * np.longdouble(1.2246467991473532e-16))
            total = values @ np.exp(-2j * np.pi * (turns - np.rint(turns)).astype(float))
        sums.append(total)
    return np.array(sums)


def papilio_calls(x: Any, modes: Any, kind: int, tol: float, values: Any, threads: int) -> Call:
    import numpy as np

    import papilio as pp

    F = pp.transforms.nudft(kind, x if x.shape[1] > 1 else x[:, 0], modes, tol=tol)
    out = np.empty((len(values), F.shape[0]), complex)
    return lambda: F.apply(values, out=out, axis=1)


def finufft_calls(x: Any, modes: Any, kind: int, tol: float, values: Any, threads: int) -> Call:
    import finufft
    import numpy as np

    plan = finufft.Plan(
        kind, modes, n_trans=len(values), eps=tol, isign=-1, nthreads=threads, debug=0
    )
    plan.setpts(*(np.ascontiguousarray(x[:, d]) for d in range(x.shape[1])))
    batch = len(values)
    if kind == 1:
        data = values if batch > 1 else values[0]
        out = np.empty((batch, *modes) if batch > 1 else modes, complex)
    else:
        data = values.reshape(batch, *modes) if batch > 1 else values.reshape(modes)
        out = np.empty((batch, len(x)) if batch > 1 else len(x), complex)
    return lambda: plan.execute(data, out).reshape(batch, -1)


def ducc0_calls(x: Any, modes: Any, kind: int, tol: float, values: Any, threads: int) -> Call:
    import ducc0
    import numpy as np

    plan = ducc0.nufft.plan(
        nu2u=kind == 1, coord=x, grid_shape=modes, epsilon=tol, nthreads=threads
    )
    batch = len(values)
    if kind == 1:
        out = np.empty((batch, *modes), complex)
        return lambda: plan.nu2u(forward=True, points=values, out=out).reshape(batch, -1)
    data = values.reshape(batch, *modes)
    out = np.empty((batch, len(x)), complex)
    return lambda: plan.u2nu(forward=True, grid=data, out=out).reshape(batch, -1)


LIBRARIES = {"papilio": papilio_calls, "finufft": finufft_calls, "ducc0": ducc0_calls}


def planned(name: str, wanted: float, exact: Any, places: Any, *arguments: Any) -> Any:
    """(call, tolerance asked for, error, seconds of set-up) of the loosest that is close enough."""
    import numpy as np

    x, modes, kind, values, threads = arguments
    for factor in ASKED:
        asked = wanted * factor
        if asked >= 0.5:
            continue
        try:
            start = time.perf_counter()
            call = LIBRARIES[name](x, modes, kind, asked, values, threads)
            result = call()
            seconds = time.perf_counter() - start
        except ImportError as error:
            skipped(name, error)
            return None
        except RuntimeError:  # a tolerance below what the library does
            return None
        error = np.linalg.norm(result[0, places] - exact) / np.linalg.norm(exact)
        if error <= wanted:
            return call, asked, float(error), seconds
    return None


def in_cpu_seconds(calls: dict[str, Call], seconds: float, rounds: int) -> dict[str, list[float]]:
    """As `interleaved`, of the CPU time of this process."""
    samples: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start, count = time.process_time(), 0
            while (spent := time.process_time() - start) < seconds / rounds / len(calls):
                call()
                count += 1
            samples[name].append(spent / count)
    return samples


def run_case(
    modes: tuple[int, ...],
    kind: int,
    tol: float,
    batch: int,
    threads: int,
    seconds: float,
    measure: Callable[..., dict[str, list[float]]],
) -> dict[str, Any]:
    """One row: all libraries at one size."""
    import numpy as np

    rng = np.random.default_rng(len(modes))
    size = math.prod(modes)
    x = rng.uniform(-np.pi, np.pi, (size, len(modes)))
    values = rng.standard_normal((batch, size)) + 1j * rng.standard_normal((batch, size))
    places = rng.integers(size, size=ROWS)
    exact = direct(x, modes, kind, values[0], places)
    result: dict[str, Any] = {
        "kind": kind, "modes": list(modes), "tol": tol, "batch": batch, "threads": threads,
    }  # fmt: skip
    calls = {}
    for name in LIBRARIES:
        made = planned(name, tol, exact, places, x, modes, kind, values, threads)
        if made is not None:
            calls[name], asked, error, setup = made
            result |= {f"{name}_asked": asked, f"{name}_error": error, f"{name}_setup": setup}
    times = measure(calls, seconds, 9)
    for name, samples in times.items():
        result[f"{name}_seconds"] = sorted(samples)[len(samples) // 2]
    others = [name for name in times if name != "papilio"]
    if others and "papilio" in times:
        ratios = sorted(
            own / min(times[name][n] for name in others) for n, own in enumerate(times["papilio"])
        )
        result["ratio"] = ratios[len(ratios) // 2]
    return result


def row_of(r: dict[str, Any]) -> tuple[str, ...]:
    cells = [str(r["kind"]), "x".join(map(str, r["modes"])), f"{r['tol']:.0e}", str(r["batch"])]
    for name in LIBRARIES:
        if f"{name}_seconds" in r:
            cells.append(f"{1e3 * r[f'{name}_seconds']:.3g}")
            cells.append(f"{r[f'{name}_error']:.1e}")
            cells.append(f"{1e3 * r[f'{name}_setup']:.3g}")
        else:
            cells += ["", "", ""]
    cells.append(f"{r['ratio']:.2f}" if "ratio" in r else "")
    return tuple(cells)


HEADING = (
    "type", "modes", "tol", "batch",
    *(f"{name} {what}" for name in LIBRARIES for what in ("ms", "error", "setup ms")),
    "ratio",
)  # fmt: skip


def main() -> None:
    start_fair()
    parser = options(__doc__)
    parser.add_argument("--dims", type=int, nargs="*", default=[1, 2, 3])
    parser.add_argument("--kinds", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--batches", type=int, nargs="*", default=[1, 8, 32])
    parser.add_argument("--tols", type=float, nargs="*", default=[1e-3, 1e-6, 1e-9])
    parser.add_argument("--most", type=int, default=1 << 24, help="entries of a batch")
    parser.add_argument("--seconds", type=float, help="for each case")
    parser.add_argument("--cpu", action="store_true", help="CPU seconds (one thread only)")
    args = parser.parse_args()
    measure = in_cpu_seconds if args.cpu else interleaved
    threads = args.threads or len(os.sched_getaffinity(0))
    from papilio.config import set_num_threads

    set_num_threads(threads)
    info = machine() | {"clock": "CPU seconds" if args.cpu else "wall"}
    print_machine(info)
    results = []
    for dimensions in args.dims:
        sizes = SIZES[dimensions][:2] if args.quick else SIZES[dimensions]
        for modes in sizes:
            for tol in args.tols:
                for batch in args.batches:
                    if math.prod(modes) * batch > args.most:
                        continue
                    for kind in args.kinds:
                        seconds = args.seconds or (0.1 if args.quick else 0.6)
                        r = run_case(modes, kind, tol, batch, threads, seconds, measure)
                        results.append(r)
                        print_table([HEADING, row_of(r)] if len(results) == 1 else [row_of(r)])
                        write_json(args.json, info, results)
    print_table([HEADING, *map(row_of, results)])
    ratios = [r["ratio"] for r in results if "ratio" in r]
    if ratios:
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        print(
            f"over the fastest of the others: geometric mean {mean:.2f}, largest {max(ratios):.2f}"
        )
    write_json(args.json, info, results)


if __name__ == "__main__":
    main()
