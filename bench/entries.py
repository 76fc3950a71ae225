"""Entries of the ready kernels: time per entry against NumPy's complex exponential, one thread.

python bench/entries.py [--quick] [--size N] [--json PATH]

Blocks are those that compress asks for: some rows and columns anywhere in the matrix. The reference
is np.exp of as many complex128 numbers, run in turn with the kernel; processor time, the least of
all rounds. Legendre functions and others near the edges of their regions take longer than here.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from common import machine, options, print_machine, print_table, start_fair, write_json

BLOCKS, ROWS, COLUMNS = 32, 48, 64


def kernels(n: int) -> dict[str, Callable[[], Any]]:
    import numpy as np

    import papilio as pp

    k, rng, side = pp.kernels, np.random.default_rng(0), math.isqrt(n)
    x = rng.uniform(-np.pi, np.pi, n)
    angle = 2 * np.pi * np.arange(n) / n
    circle = np.stack([np.cos(angle), np.sin(angle)], 1)
    sphere = rng.standard_normal((n, 3))
    sphere /= np.linalg.norm(sphere, axis=1)[:, None]
    theta = (np.arange(n) + 0.5) * np.pi / n
    return {
        "nudft type 1": lambda: k.nudft(1, x, n),
        "nudft type 2": lambda: k.nudft(2, x, n),
        "nudft type 3": lambda: k.nudft(3, x, frequencies=x * n / 6.5),
        "nudft type 2, 2-D": lambda: k.nudft(2, np.stack([x, x[::-1]], 1), (side, side)),
        "fio variant 1": lambda: k.fio(n, 1),
        "fio variant 2": lambda: k.fio(n, 2),
        "fio2d": lambda: k.fio2d(side),
        "radon": lambda: k.radon(side),
        "fractional Fourier": lambda: k.fractional_fourier(n, 0.5),
        "laplace": lambda: k.laplace(np.linspace(0, 50, n), np.linspace(0, 1, n)),
        "helmholtz, 2-D": lambda: k.helmholtz(circle, circle + np.array([3, 0]), n / 8),
        "helmholtz, 3-D": lambda: k.helmholtz(sphere, sphere + np.array([3, 0, 0]), 50.0),
        "bessel": lambda: k.bessel(n),
        "bessel order 1.5": lambda: k.bessel(n, 1.5),
        "hankel": lambda: k.hankel(n),
        "legendre": lambda: k.legendre(theta, n),
        "legendre order 3": lambda: k.legendre(theta, n, 3),
    }


def measure(name: str, kernel: Any, rounds: int) -> dict[str, Any]:
    """The least time of an entry, and of a complex exponential, in ns."""
    import numpy as np

    rng = np.random.default_rng(1)
    shape = BLOCKS, ROWS, COLUMNS
    numbers = 1j * rng.uniform(-np.pi, np.pi, shape)
    least = dict.fromkeys(("entry", "exp"), math.inf)
    for _ in range(rounds):
        i = rng.integers(kernel.shape[0], size=shape[:2])[:, :, None]
        j = rng.integers(kernel.shape[1], size=(BLOCKS, COLUMNS))[:, None, :]
        calls: dict[str, Callable[[], Any]] = {
            "entry": lambda i=i, j=j: kernel(i, j),
            "exp": lambda: np.exp(numbers),
        }
        for what, call in calls.items():
            start = time.process_time()
            call()
            least[what] = min(least[what], time.process_time() - start)
    nanoseconds = {f"{what}_ns": 1e9 * t / math.prod(shape) for what, t in least.items()}
    ratio = least["entry"] / least["exp"]
    return {"kernel": name, "n": kernel.shape[0], **nanoseconds, "ratio": ratio}


def main() -> None:
    start_fair()
    parser = options(__doc__ or "")
    parser.add_argument("--size", type=int, default=1 << 16, help="rows: a power of four")
    chosen = parser.parse_args()

    import papilio as pp

    pp.set_num_threads(1)
    info = machine()
    print_machine(info)
    results = []
    for name, make in kernels(chosen.size).items():
        kernel = make()
        kernel(0, 0)  # tables are made at the first use
        results.append(measure(name, kernel, 20 if chosen.quick else 200))
    heading = ("kernel", "ns", "exp ns", "ratio")
    rows = [(r["kernel"], f"{r['entry_ns']:.3g}", f"{r['exp_ns']:.3g}", f"{r['ratio']:.2f}")
            for r in results]  # fmt: skip
    print_table([heading, *rows])
    write_json(chosen.json, info, results)


if __name__ == "__main__":
    main()
