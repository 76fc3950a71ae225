"""factorize against one copy of the matrix and other implementations.

python bench/factorize.py [--quick] [--json PATH] [--plot PATH]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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


def lazylinop_ksd(A: Any, architecture: Any) -> Any:
    from lazylinop.butterfly import Chain, ksd

    return ksd(A, Chain([tuple(pattern) for pattern in architecture])).toarray()


def pyfaust_butterfly(A: Any, architecture: Any) -> Any:
    from pyfaust.fact import butterfly

    if any((p.b, p.c) != (2, 2) for p in architecture):
        raise ValueError("square dyadic only")
    return butterfly(A, type="bbtree").toarray()


PEERS = {"lazylinop": lazylinop_ksd, "pyfaust": pyfaust_butterfly}


def matrices(n: int, rng: Any) -> dict[str, tuple[Any, Any]]:
    """The matrices to factorize, each with its architecture."""
    import numpy as np
    import scipy.linalg

    import papilio as pp

    dyadic = pp.Architecture.square_dyadic(n)
    butterfly = pp.Butterfly([rng.standard_normal(tuple(p)) for p in dyadic]).toarray()
    noise = rng.standard_normal((n, n))
    noise *= np.linalg.norm(butterfly) / np.linalg.norm(noise)
    angles = np.outer(np.arange(n), pp.permutations.bit_reversal(n)) % n
    root = 1 << ((n.bit_length() - 1) // 2)
    return {
        "hadamard": (scipy.linalg.hadamard(n).astype(float), dyadic),
        "dft, bit reversed": (np.exp(-2j * np.pi / n * angles), dyadic),
        "butterfly + 1 % noise": (butterfly + 0.01 * noise, dyadic),
        "random, monarch": (noise, pp.Architecture.monarch((n, n), root, n // root)),
    }


def main() -> None:
    start_fair()
    parser = options(__doc__ or "")
    parser.add_argument("--sizes", type=int, nargs="+", help="powers of two")
    parser.add_argument("--peer-limit", type=int, default=1024, help="no peers above this size")
    chosen = parser.parse_args()

    import numpy as np

    import papilio as pp

    if chosen.threads:
        pp.set_num_threads(chosen.threads)
    sizes = chosen.sizes or ([256] if chosen.quick else [256, 512, 1024, 2048, 4096])
    info = machine()
    print_machine(info)
    missing: set[str] = set()
    results: list[dict[str, Any]] = []
    rows = [("matrix", "n", "what", "median", "x copy", "quartiles", "relative error")]
    for n in sizes:
        for title, (A, architecture) in matrices(n, np.random.default_rng(0)).items():
            out = np.empty_like(A)
            norm = np.linalg.norm(A)
            calls: dict[str, Callable[[], Any]] = {"copy": lambda A=A, out=out: np.copyto(out, A)}
            errors = {"copy": 0.0}
            for order in ("left_to_right", "balanced"):
                name = f"papilio {order}"
                calls[name] = lambda A=A, arch=architecture, order=order: pp.factorize(
                    A, arch, order=order
                )
                errors[name] = calls[name]().report.relative_error
            for name, peer in PEERS.items():
                if name in missing or n > chosen.peer_limit:
                    continue
                try:
                    approximation = peer(A, architecture)
                except ImportError as error:
                    skipped(name, error)
                    missing.add(name)
                    continue
                except Exception as error:  # a peer may fail in any way of its own
                    skipped(f"{name} on {title}", f"{type(error).__name__}: {error}")
                    continue
                errors[name] = float(np.linalg.norm(A - approximation) / norm)
                calls[name] = lambda peer=peer, A=A, arch=architecture: peer(A, arch)
            samples = interleaved(calls, 0.2 if chosen.quick else 1.0, 3 if chosen.quick else 5)
            for name, row in summary(samples, "copy").items():
                results.append({"matrix": title, "n": n, "what": name, "error": errors[name]} | row)
                rows.append(
                    (
                        title, str(n), name, f"{row['seconds'] * 1e3:.2f} ms",
                        f"{row['ratio']:.1f}", f"{row['ratio_low']:.1f}-{row['ratio_high']:.1f}",
                        f"{errors[name]:.1e}",
                    )
                )  # fmt: skip
    print_table(rows)
    write_json(chosen.json, info, results)
    if chosen.plot:
        plot_times(chosen.plot, info, results, panel="matrix")


if __name__ == "__main__":
    main()
