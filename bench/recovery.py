"""How often recover finds planted permutations, beside the published rates.

python bench/recovery.py [--quick] [--sizes N ...] [--noise E ...] [--instances K] [--json PATH]

An instance counts as found if the error with the recovered permutations is at most 1 % above that
with the planted ones. Matrices without structure must never be found; for them the error is the
smallest one that the search reached. BLAS runs with one thread.
"""

from __future__ import annotations

import statistics
from typing import Any

from common import machine, options, print_machine, print_table, start_fair, write_json

# Percent, by size and noise: arXiv:2307.00820 (its poster).
PUBLISHED = {
    "orthogonal butterfly": dict.fromkeys((16, 32, 64, 128), (100, 100, 100, 100)),
    "dft": dict.fromkeys((16, 32, 64), (100, 100, 100, 100)) | {128: (100, 95, 90, 50)},
}
PUBLISHED_NOISE = (0.0, 0.01, 0.03, 0.1)


def published(kind: str, n: int, noise: float) -> str:
    rates = PUBLISHED.get(kind, {}).get(n)
    if rates is None or noise not in PUBLISHED_NOISE:
        return "-"
    return f"{rates[PUBLISHED_NOISE.index(noise)]} %"


def planted(kind: str, n: int, rng: Any) -> Any:
    """A matrix of the kind, in the order in which it is a butterfly (if it is one)."""
    import numpy as np
    import scipy.linalg

    import papilio as pp

    arch = pp.Architecture.square_dyadic(n)
    if kind == "dft":
        return scipy.linalg.dft(n)[:, pp.permutations.bit_reversal(n)]
    if kind == "hadamard":
        return scipy.linalg.hadamard(n).astype(float)
    if kind == "gaussian butterfly":
        return pp.Butterfly([rng.standard_normal(tuple(p)) for p in arch]).toarray()
    if kind == "no structure":
        return rng.standard_normal((n, n))
    factors = []
    for pattern in arch:
        angle = rng.uniform(0, 2 * np.pi, (pattern.a, pattern.d))
        values = np.empty(tuple(pattern))
        values[:, 0, 0] = values[:, 1, 1] = np.cos(angle)
        values[:, 1, 0] = np.sin(angle)
        values[:, 0, 1] = -values[:, 1, 0]
        factors.append(values)
    return pp.Butterfly(factors).toarray()


KINDS = ("orthogonal butterfly", "dft", "hadamard", "gaussian butterfly", "no structure")


def main() -> None:
    start_fair()
    parser = options(__doc__ or "")
    parser.add_argument("--sizes", type=int, nargs="+", help="powers of two up to 512")
    parser.add_argument("--noise", type=float, nargs="+", default=list(PUBLISHED_NOISE))
    parser.add_argument("--instances", type=int, help="of each kind, size and noise")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    chosen = parser.parse_args()

    import numpy as np
    from threadpoolctl import threadpool_limits

    import papilio as pp

    if chosen.threads:
        pp.set_num_threads(chosen.threads)
    threadpool_limits(1, "blas")
    sizes = chosen.sizes or ([16, 32] if chosen.quick else [16, 32, 64, 128])
    instances = chosen.instances or (3 if chosen.quick else 20)
    info = machine()
    print_machine(info)
    results: list[dict[str, Any]] = []
    heading = (
        "matrix",
        "n",
        "noise",
        "found",
        "published",
        "error",
        "planted",
        "median s",
        "max s",
    )
    rows = [heading]
    for kind in chosen.kinds:
        for n in sizes:
            arch = pp.Architecture.square_dyadic(n)
            for noise in chosen.noise if kind != "no structure" else [0.0]:
                found, errors, references, seconds = 0, [], [], []
                for seed in range(instances):
                    rng = np.random.default_rng(seed)
                    A = planted(kind, n, rng)
                    E = rng.standard_normal((n, n))
                    if A.dtype.kind == "c":
                        E = E + 1j * rng.standard_normal((n, n))
                    A = A + noise * np.linalg.norm(A) / np.linalg.norm(E) * E
                    reference = pp.factorize(A, arch).report.relative_error
                    A = A[rng.permutation(n)][:, rng.permutation(n)]
                    recovery = pp.permutations.recover(A, tol=max(noise, 1e-10))
                    enough = 1.01 * reference + 1e-12 if kind != "no structure" else recovery.tol
                    found += recovery.relative_error <= enough
                    errors.append(recovery.relative_error)
                    references.append(reference)
                    seconds.append(recovery.seconds)
                results.append(
                    {
                        "matrix": kind, "n": n, "noise": noise, "instances": instances,
                        "found": int(found), "error": statistics.median(errors),
                        "planted_error": statistics.median(references),
                        "seconds": statistics.median(seconds), "seconds_max": max(seconds),
                    }
                )  # fmt: skip
                rows.append(
                    (
                        kind, str(n), f"{noise:g}", f"{found}/{instances}",
                        published(kind, n, noise), f"{statistics.median(errors):.2e}",
                        f"{statistics.median(references):.2e}",
                        f"{statistics.median(seconds):.2f}", f"{max(seconds):.2f}",
                    )
                )  # fmt: skip
    print_table(rows)
    write_json(chosen.json, info, results)


if __name__ == "__main__":
    main()
