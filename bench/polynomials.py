"""Changes between Legendre and Chebyshev bases: build time, memory, errors, products.

python bench/polynomials.py [--quick] [--sizes N ...] [--tol TOL] [--json PATH]

The error is that of the values at random points of polynomials with random coefficients, relative
to the norm of the values; a round trip goes to Chebyshev coefficients and back. Dense is NumPy's
product with the n x n matrix (half of it zeros), in the precision of the operator.
"""

from __future__ import annotations

import time
from typing import Any

from common import (
    interleaved,
    machine,
    options,
    print_machine,
    print_table,
    start_fair,
    write_json,
)

DENSE_LIMIT = 8192


def measure(n: int, tol: float, seconds: float) -> dict[str, Any]:
    import numpy as np
    from numpy.polynomial import chebyshev, legendre

    import papilio as pp

    start = time.perf_counter()
    F = pp.transforms.legendre_to_chebyshev(n, tol)
    built = [time.perf_counter() - start]
    start = time.perf_counter()
    G = F.inv()
    built.append(time.perf_counter() - start)
    # Of G's transpose: chains are chainable in the direction in which they were compressed.
    butterflies = [
        next(part for part in H.parts if isinstance(part, pp.Butterfly)) for H in (F, G.T)
    ]
    rng = np.random.default_rng(0)
    c = rng.standard_normal(n)
    x = np.cos(rng.uniform(0, np.pi, 50))
    values = legendre.legval(x, c)
    batch = rng.standard_normal((n, 32))
    calls = {
        "forward": lambda: F @ c,
        "back": lambda: G @ c,
        "forward batch": lambda: F @ batch,
        "back batch": lambda: G @ batch,
    }
    if n <= DENSE_LIMIT:
        A = rng.standard_normal((n, n))
        calls |= {"dense": lambda: A @ c, "dense batch": lambda: A @ batch}
    times = {name: float(np.median(sample)) for name, sample in interleaved(calls, seconds).items()}
    return {
        "n": n,
        "tol": tol,
        "build_seconds": built,
        "ranks": [list(butterfly.architecture.ranks) for butterfly in butterflies],
        "bytes": [butterfly.nbytes for butterfly in butterflies],
        "of_dense": [butterfly.nbytes / (8 * n * n) for butterfly in butterflies],
        "error": float(
            np.linalg.norm(chebyshev.chebval(x, F @ c) - values) / np.linalg.norm(values)
        ),
        "round_trip": float(np.linalg.norm(G @ (F @ c) - c) / np.linalg.norm(c)),
        "seconds": times,
    }


def main() -> None:
    start_fair()
    parser = options(__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", help="numbers of coefficients")
    parser.add_argument("--tol", type=float, nargs="+", default=[1e-12, 1e-6])
    arguments = parser.parse_args()

    import papilio as pp

    if arguments.threads:
        pp.set_num_threads(arguments.threads)
    sizes = arguments.sizes or ([256, 1024] if arguments.quick else [256, 1024, 2048, 4096])
    info = machine()
    print_machine(info)
    rows = [
        ("tol", "n", "change", "build", "ranks", "MiB", "of dense", "1 vector", "dense",
         "32 vectors", "dense", "error", "round trip"),
    ]  # fmt: skip
    results = []
    for tol in arguments.tol:
        for n in sizes:
            r = measure(n, tol, 0.2 if arguments.quick else 1.0)
            results.append(r)
            t = {name: f"{1e3 * value:.3g} ms" for name, value in r["seconds"].items()}
            for side, (name, title) in enumerate(
                (("forward", "to Chebyshev"), ("back", "to Legendre"))
            ):
                ranks = r["ranks"][side]
                rows.append(
                    (f"{tol:.0e}", str(n), title, f"{r['build_seconds'][side]:.3g} s",
                     f"{min(ranks)}-{max(ranks)}" if ranks else "dense",
                     f"{r['bytes'][side] / 2**20:.3g}", f"{100 * r['of_dense'][side]:.3g} %",
                     t[name], t.get("dense", ""), t[name + " batch"], t.get("dense batch", ""),
                     "" if side else f"{r['error']:.1e}", f"{r['round_trip']:.1e}" if side else "")
                )  # fmt: skip
    print_table(rows)
    write_json(arguments.json, info, results)


if __name__ == "__main__":
    main()
