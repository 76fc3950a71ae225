"""This papilio against another one, work by work: two interpreters, timed in turn.

    python bench/against.py OTHER [--threads N] [--only TEXT] [--json PATH]

OTHER is what PYTHONPATH must be for the other one (an older checkout's python folder with its
compiled core, or an environment's site-packages); this one is what `import papilio` finds. Samples
alternate, so that what disturbs one disturbs both. Ratios are this one's time over the other's.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from common import machine, options, print_machine, start_fair

Works = dict[str, Callable[[], Any]]


def works() -> Works:
    """What is timed: the shapes of the targets of apply.py, transforms.py and factorize.py."""
    import numpy as np

    import papilio as pp

    T = pp.transforms
    rng = np.random.default_rng(0)

    def dyadic(n: int, dtype: str) -> Any:
        factors = [rng.standard_normal(tuple(p)) for p in pp.Architecture.square_dyadic(n)]
        return pp.Butterfly([values.astype(dtype) for values in factors])

    def numbers(shape: Any, dtype: str) -> Any:
        values = rng.standard_normal(shape)
        if np.dtype(dtype).kind == "c":
            values = values + 1j * rng.standard_normal(shape)
        return values.astype(dtype)

    found: Works = {}

    def product(name: str, F: Any, batch: int, dtype: str, axis: int = 0) -> None:
        n = F.shape[1]
        if batch == 0:
            x = numbers(n, dtype)
            found[name] = lambda: F @ x
            return
        X = numbers((n, batch) if axis == 0 else (batch, n), dtype)
        out = F.apply(X, axis=axis)
        found[name] = lambda: F.apply(X, out=out, axis=axis)

    for n, batch in ((1024, 4096), (256, 16384), (4096, 1024)):
        F = dyadic(n, "float64")
        product(f"dyadic {n} x {batch} columns", F, batch, "float64")
        product(f"dyadic {n} x {batch} rows", F, batch, "float64", 1)
    for dtype in ("float32", "float64", "complex128"):
        for n in (64, 256, 1024, 4096):
            F = dyadic(n, dtype)
            product(f"dyadic {n} {dtype} vector", F, 0, dtype)
            product(f"dyadic {n} {dtype} x 32", F, 32, dtype)
    for width in (16, 32, 64):
        for dtype in ("float32", "float64", "complex64"):
            architecture = pp.Architecture.monarch((width**2, width**2), width, width)
            F = pp.Butterfly([numbers(tuple(p), dtype) for p in architecture])
            product(f"blocks {width} {dtype} x 256", F, 256, dtype)
            product(f"blocks {width} {dtype} vector", F, 0, dtype)
    for n in (256, 360, 1000, 1024, 4096, 16384):
        F = T.dft(n)
        product(f"dft {n} vector", F, 0, "complex128")
        product(f"dft {n} x 64 columns", F, 64, "complex128")
        product(f"dft {n} x 64 rows", F, 64, "complex128", 1)
    # Batches that aren't whole SIMD vectors, and those whose results leave the caches.
    for dtype in ("complex64", "complex128"):
        for n in (64, 1000, 4096, 16384):
            F = T.dft(n, dtype=dtype)
            for batch in (2, 4, 8, 10, 32, 100, 256):
                product(f"batch: dft {n} {dtype} x {batch} columns", F, batch, dtype)
                product(f"batch: dft {n} {dtype} x {batch} rows", F, batch, dtype, 1)
    for n in (64, 1024, 4096):
        for batch in (2, 4, 8, 10, 100):
            F = T.hadamard(n, dtype="float32")
            product(f"batch: hadamard {n} x {batch} columns", F, batch, "float32")
    for n in (64, 1024, 16384):
        product(f"hadamard {n} vector", T.hadamard(n), 0, "float64")
        product(f"hadamard {n} x 64 columns", T.hadamard(n), 64, "float64")
        product(f"hadamard {n} x 64 rows", T.hadamard(n), 64, "float64", 1)
    for n in (64, 1024):
        product(f"dct {n} vector", T.dct(n), 0, "float64")
        product(f"dct {n} x 64 columns", T.dct(n), 64, "float64")
        product(f"rdft {n} x 64 rows", T.rdft(n), 64, "float64", 1)
    for n in (256, 1024):
        for dtype in ("float32", "float64", "complex128"):
            A = numbers((n, n), dtype)
            dyadic_chain = pp.Architecture.square_dyadic(n)
            side = int(n**0.5)
            monarch = pp.Architecture.monarch((n, n), side, side)
            for name, chain in (("dyadic", dyadic_chain), ("monarch", monarch)):
                found[f"factorize {name} {n} {dtype}"] = lambda A=A, chain=chain: pp.factorize(
                    A, chain
                )
            found[f"factorize dyadic {n} {dtype} balanced"] = lambda A=A, chain=dyadic_chain: (
                pp.factorize(A, chain, order="balanced")
            )
    G = dyadic(4096, "float64")
    found["round 4096"] = lambda: (G + G).round(1e-10)
    for name, D in (
        ("dft", np.fft.fft(np.eye(512))),
        ("butterfly", dyadic(512, "float64").toarray()),
    ):
        shuffled = D[rng.permutation(512)][:, rng.permutation(512)]
        found[f"recover {name} 512"] = lambda A=shuffled: pp.permutations.recover(A)
    K = pp.kernels.fio(4096)
    found["compress fio 4096"] = lambda: pp.compress(K, tol=1e-6, seed=0)
    return found


def serve(threads: int) -> None:
    """Answer names of works with the seconds of a call; the first line lists the names."""
    import papilio as pp

    if threads:
        pp.set_num_threads(threads)
    known = works()
    counts: dict[str, int] = {}
    print(json.dumps(list(known)), flush=True)
    for line in sys.stdin:
        name = line.strip()
        call = known[name]
        if name not in counts:
            call()
            start = time.perf_counter()
            call()
            counts[name] = max(1, int(0.01 / max(time.perf_counter() - start, 1e-7)))
        start = time.perf_counter()
        for _ in range(counts[name]):
            call()
        print((time.perf_counter() - start) / counts[name], flush=True)


class Side:
    """An interpreter that times works when asked."""

    def __init__(self, path: str | None, threads: int) -> None:
        environment = dict(os.environ)
        if path:
            environment["PYTHONPATH"] = path
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--serve", str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.names: list[str] = json.loads(self._line())

    def _line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline()

    def seconds(self, name: str) -> float:
        """The time of a call of this work."""
        assert self._process.stdin
        print(name, file=self._process.stdin, flush=True)
        return float(self._line())

    def close(self) -> None:
        """End the interpreter."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


def main() -> None:
    """Time everything in turn and print the ratios."""
    if sys.argv[1:2] == ["--serve"]:
        serve(int(sys.argv[2]))
        return
    parser = options(str(__doc__).split("\n", maxsplit=1)[0])
    parser.add_argument("other", help="the other papilio's PYTHONPATH")
    parser.add_argument("--only", default="", help="works whose names have this in them")
    args = parser.parse_args()
    start_fair()
    info = machine()
    print_machine(info)
    sides = Side(None, args.threads), Side(args.other, args.threads)
    rows = []
    for name in sides[0].names:
        if name not in sides[1].names or args.only not in name:
            continue
        ratios, seconds = [], []
        for n in range(5 if args.quick else 15):
            first = n % 2  # each goes first in turn
            times = {side: sides[side].seconds(name) for side in (first, 1 - first)}
            ratios.append(times[0] / times[1])
            seconds.append(times[0])
        row = {
            "work": name,
            "ratio": statistics.median(ratios),
            "low": sorted(ratios)[len(ratios) // 4],
            "high": sorted(ratios)[-1 - len(ratios) // 4],
            "seconds": statistics.median(seconds),
        }
        rows.append(row)
        print(
            f"{name:40} {row['ratio']:5.2f} ({row['low']:.2f} to {row['high']:.2f})"
            f" {row['seconds'] * 1e6:12.1f} us",
            flush=True,
        )
    print(f"geometric mean {statistics.geometric_mean([row['ratio'] for row in rows]):.3f}")
    for side in sides:
        side.close()
    if args.json:
        Path(args.json).write_text(
            json.dumps({"machine": info, "rows": rows}, indent=1) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
