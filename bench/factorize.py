"""factorize against copies of the matrix, other implementations and NumPy's SVD.

    python bench/factorize.py [--quick] [--only targets noise memory interrupt scaling]
                              [--json PATH] [--plot PATH]

targets: what papilio is built to be fast at, as ratios to one copy of the matrix (read and write)
    or to the reference named, with peers at equal or better error.
noise: error / noise of noisy butterflies, with and without orthonormalization, and whether the
    certificate holds (lower bound <= error <= guarantee * noise).
memory: peak memory beyond A, measured in processes of their own.
interrupt: seconds from Ctrl-C (SIGINT) to the KeyboardInterrupt.
scaling: every matrix and size against lazylinop and pyfaust.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


def lazylinop_ksd(A: Any, architecture: Any, order: str = "balanced") -> Any:
    from lazylinop.butterfly import Chain, ksd

    chain = Chain([tuple(pattern) for pattern in architecture])
    return ksd(A, chain, order=order).toarray()


def pyfaust_butterfly(A: Any, architecture: Any, kind: str = "bbtree") -> Any:
    from pyfaust.fact import butterfly

    if any((p.b, p.c) != (2, 2) for p in architecture):
        raise ValueError("square dyadic only")
    with silent():  # it tells each factor that it finds
        return butterfly(A, type=kind).toarray()


@contextmanager
def silent() -> Iterator[None]:
    """Without standard output, that of C libraries included."""
    sys.stdout.flush()
    kept = os.dup(1)
    with open(os.devnull, "w", encoding="utf-8") as nothing:
        os.dup2(nothing.fileno(), 1)
        try:
            yield
        finally:
            os.dup2(kept, 1)
            os.close(kept)


PEERS: dict[str, Callable[[Any, Any], Any]] = {
    "lazylinop balanced": lazylinop_ksd,
    "lazylinop l2r": lambda A, arch: lazylinop_ksd(A, arch, "l2r"),
    "pyfaust bbtree": pyfaust_butterfly,
    "pyfaust left": lambda A, arch: pyfaust_butterfly(A, arch, "left"),
    "pyfaust right": lambda A, arch: pyfaust_butterfly(A, arch, "right"),
}


def rank_chain(n: int, rank: int) -> Any:
    """Radix 2 with leaves of twice the rank."""
    import papilio as pp

    middle = n.bit_length() - 1 - 2 * (2 * rank - 1).bit_length()
    radices = [2 * rank, *[2] * middle, 2 * rank]
    return pp.Architecture.mixed_radix(radices, ranks=rank)


def noisy(rng: Any, architecture: Any, noise: float) -> Any:
    """A random butterfly of norm 1 and noise of this norm."""
    import numpy as np

    import papilio as pp

    A = pp.Butterfly([rng.standard_normal(tuple(p)) for p in architecture]).toarray()
    A /= np.linalg.norm(A)
    if noise:
        N = rng.standard_normal(A.shape)
        N *= noise / np.linalg.norm(N)
        A += N
    return A


def matrix(title: str, n: int) -> tuple[Any, Any]:
    """A matrix by its name, and its architecture."""
    import numpy as np
    import scipy.linalg

    import papilio as pp

    rng = np.random.default_rng(0)
    dyadic = pp.Architecture.square_dyadic(n)
    root = 1 << ((n.bit_length() - 1) // 2)
    monarch = pp.Architecture.monarch((n, n), root, n // root)
    if title == "hadamard":
        return scipy.linalg.hadamard(n).astype(float), dyadic
    if title == "dft, bit reversed":
        angles = np.outer(np.arange(n), pp.permutations.bit_reversal(n)) % n
        return np.exp(-2j * np.pi / n * angles), dyadic
    if title.startswith("butterfly + "):
        return noisy(rng, dyadic, float(title.split()[2]) / 100), dyadic
    if title == "monarch + 1 %":
        return noisy(rng, monarch, 0.01), monarch
    if title == "random, monarch":
        return rng.standard_normal((n, n)), monarch
    if title == "random, dyadic":
        return rng.standard_normal((n, n)), dyadic
    if title == "rank 4 + 1 %":
        architecture = rank_chain(n, 4)
        return noisy(rng, architecture, 0.01), architecture
    raise ValueError(title)


PARTS = ["targets", "noise", "memory", "interrupt", "scaling"]
TITLES = (
    "hadamard",
    "dft, bit reversed",
    "butterfly + 1 %",
    "butterfly + 10 %",
    "random, dyadic",
    "monarch + 1 %",
    "random, monarch",
    "rank 4 + 1 %",
)


def measure(A: Any, calls: dict[str, Callable[[], Any]], seconds: float) -> dict[str, Any]:
    import numpy as np

    out = np.empty_like(A)
    return summary(interleaved({"copy": lambda: np.copyto(out, A)} | calls, seconds, 5), "copy")


def batched_svd(A: Any, architecture: Any) -> Any:
    """NumPy's SVD of all blocks of a two-factor chain, truncated: the straightforward way."""
    import numpy as np

    left, right = architecture
    (_, p, q_rank, rest), q = tuple(left), right.a
    rank = q_rank // q
    blocks = A.reshape(p, rest, q, right.c).transpose(1, 2, 0, 3)
    u, s, vh = np.linalg.svd(blocks, full_matrices=False)
    return u[..., :rank] * s[..., None, :rank], vh[..., :rank, :]


def targets(n: int, seconds: float, with_peers: bool) -> list[dict[str, Any]]:
    import numpy as np

    import papilio as pp

    results: list[dict[str, Any]] = []

    def add(work: str, ratio: float, reference: str, asked: str, note: str = "") -> None:
        results.append(
            {"what": "target", "n": n, "work": work, "ratio": ratio, "reference": reference,
             "asked": asked, "note": note}
        )  # fmt: skip
        print(f"  {work}: {ratio:.2f} to {reference} (asked {asked}) {note}", flush=True)

    cases = [
        ("hadamard", "<= 6"),
        ("butterfly + 1 %", "<= 6"),
        ("dft, bit reversed", "<= 6"),
        ("monarch + 1 %", "<= 10"),
        ("random, monarch", "<= 60"),
        ("rank 4 + 1 %", ""),
    ]
    for title, asked in cases:
        A, architecture = matrix(title, n)
        calls: dict[str, Callable[[], Any]] = {
            "papilio": lambda A=A, a=architecture: pp.factorize(A, a)
        }
        if title == "rank 4 + 1 %":
            calls["tol"] = lambda A=A, a=architecture: pp.factorize(A, a, tol=0.03)
        rows = measure(A, calls, seconds)
        report = pp.factorize(A, architecture).report
        note = f"error {report.relative_error:.1e}, certificate {report.quasi_optimality:.3g}"
        add(f"{title}, n={n}", rows["papilio"]["ratio"], "copy", asked, note)
        if title == "rank 4 + 1 %":
            found = pp.factorize(A, architecture, tol=0.03).report.ranks
            add(f"{title}, n={n}, tol=0.03", rows["tol"]["ratio"] / rows["papilio"]["ratio"],
                "fixed ranks", "<= 2", f"ranks {found}")  # fmt: skip
        if title == "random, monarch":
            began = interleaved({"svd": lambda A=A, a=architecture: batched_svd(A, a)}, 0.01, 1)
            faster = min(began["svd"]) / rows["papilio"]["seconds"]
            add(f"{title}, n={n}", faster, "numpy batched SVD, times faster", ">= 10")
        if not with_peers:
            continue
        for name, peer in PEERS.items():
            try:
                times = interleaved({name: lambda p=peer, A=A, a=architecture: p(A, a)}, 0.01, 1)
                error = float(np.linalg.norm(A - peer(A, architecture)) / np.linalg.norm(A))
            except Exception as error:  # a peer may fail in any way of its own
                skipped(f"{name} on {title}", f"{type(error).__name__}: {error}")
                continue
            faster = min(times[name]) / rows["papilio"]["seconds"]
            add(
                f"{title}, n={n}",
                faster,
                f"{name}, times faster",
                ">= 20",
                f"its error {error:.1e}",
            )
        del A
    return results


def noise_study(sizes: list[int]) -> list[dict[str, Any]]:
    import numpy as np

    import papilio as pp

    results: list[dict[str, Any]] = []
    for n in sizes:
        for rank in (1, 4):
            architecture = pp.Architecture.square_dyadic(n) if rank == 1 else rank_chain(n, rank)
            for noise in (0.01, 0.03, 0.1, 0.3):
                A = noisy(np.random.default_rng(n + rank), architecture, noise)
                norm = np.linalg.norm(A)
                row: dict[str, Any] = {"what": "noise", "n": n, "rank": rank, "noise": noise}
                for name, orthonormalize in (("orthonormalized", True), ("plain", False)):
                    order = "auto" if orthonormalize else "balanced"
                    report = pp.factorize(
                        A, architecture, order=order, orthonormalize=orthonormalize
                    ).report
                    row[name] = report.relative_error * norm / noise
                    if orthonormalize:
                        row["certificate"] = report.quasi_optimality
                        row["valid"] = bool(
                            report.lower_bound <= report.relative_error * (1 + 1e-9)
                            and report.lower_bound * norm <= noise * (1 + 1e-9)
                            and report.relative_error * norm <= report.guarantee * noise
                        )
                results.append(row)
                del A
    return results


PEAK = """
import sys
sys.path.insert(0, {bench!r})
import numpy as np, resource
import factorize
import papilio as pp
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
A, architecture = factorize.matrix({title!r}, {n})
# The peak so far must not hide what factorize takes: let the process reach A's size first.
small = pp.factorize(np.eye(8), [2, 2, 2])
def current():
    for line in open("/proc/self/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
open("/proc/self/clear_refs", "w").write("5")  # the peak starts again here
before = current()
F = pp.factorize(A, architecture, overwrite_a={overwrite}, order={order!r})
high = [int(l.split()[1]) * 1024 for l in open("/proc/self/status") if l.startswith("VmHWM")][0]
print((high - before) / A.nbytes)
"""


def memory(n: int) -> list[dict[str, Any]]:
    """Peak memory beyond A, in units of A, each in a process of its own."""
    results: list[dict[str, Any]] = []
    cases = [
        ("hadamard", "auto", False),
        ("hadamard", "auto", True),
        ("hadamard", "balanced", False),
        ("hadamard", "right_to_left", False),
        ("random, monarch", "auto", False),
        ("rank 4 + 1 %", "auto", False),
    ]
    for title, order, overwrite in cases:
        program = PEAK.format(bench=sys.path[0], title=title, n=n, overwrite=overwrite, order=order)
        result = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=False
        )
        if result.returncode:
            skipped(f"memory of {title}", result.stderr.strip().splitlines()[-1])
            continue
        results.append(
            {"what": "memory", "n": n, "work": title, "order": order, "overwrite": overwrite,
             "of A": float(result.stdout)}
        )  # fmt: skip
    return results


def interrupt(n: int) -> list[dict[str, Any]]:
    """How long Ctrl-C takes, at several moments of a run."""
    import papilio as pp

    results: list[dict[str, Any]] = []
    # What a shell starts in the background ignores it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for title in ("butterfly + 1 %", "random, monarch", "rank 4 + 1 %"):
        A, architecture = matrix(title, n)
        began = time.perf_counter()
        pp.factorize(A, architecture)
        whole = time.perf_counter() - began
        latencies = []
        for share in (0.1, 0.3, 0.5, 0.7):
            sent: list[float] = []

            def send(sent: list[float] = sent) -> None:
                sent.append(time.perf_counter())
                os.kill(os.getpid(), signal.SIGINT)

            timer = threading.Timer(share * whole, send)
            timer.start()
            try:
                while True:  # a run that ends before the signal is followed by another
                    pp.factorize(A, architecture)
            except KeyboardInterrupt:
                latencies.append(time.perf_counter() - sent[0])
            timer.join()
        results.append(
            {"what": "interrupt", "n": n, "work": title, "worst": max(latencies), "run": whole}
        )
    return results


def scaling(sizes: list[int], peer_limit: int, seconds: float) -> list[dict[str, Any]]:
    import numpy as np

    import papilio as pp

    missing: set[str] = set()
    results: list[dict[str, Any]] = []
    for n in sizes:
        for title in TITLES:
            if n > 8192 and title != "butterfly + 1 %":
                continue
            A, architecture = matrix(title, n)
            norm = np.linalg.norm(A)
            calls: dict[str, Callable[[], Any]] = {}
            errors = {"copy": 0.0}
            for order in ("auto", "balanced"):
                if n > 8192 and order == "balanced":
                    continue
                name = f"papilio {order}"
                calls[name] = lambda A=A, arch=architecture, order=order: pp.factorize(
                    A, arch, order=order
                )
                errors[name] = calls[name]().report.relative_error
            for name, peer in PEERS.items():
                if name in missing or n > peer_limit:
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
            for name, row in measure(A, calls, seconds).items():
                results.append({"matrix": title, "n": n, "what": name, "error": errors[name]} | row)
            del A, calls
    return results


def main() -> None:
    start_fair()
    parser = options(__doc__ or "")
    parser.add_argument("--only", nargs="+", choices=PARTS)
    parser.add_argument("--sizes", type=int, nargs="+", help="powers of two, for noise and scaling")
    parser.add_argument("--target-size", type=int, default=4096, help="n of targets and memory")
    parser.add_argument("--peer-limit", type=int, default=1024, help="no peers above this size")
    chosen = parser.parse_args()

    import papilio as pp

    if chosen.threads:
        pp.set_num_threads(chosen.threads)
    parts = chosen.only or PARTS
    quick = chosen.quick
    n = 512 if quick else chosen.target_size
    seconds = 0.2 if quick else 1.0
    info = machine()
    print_machine(info)
    results: list[dict[str, Any]] = []
    if "targets" in parts:
        results += targets(n, seconds, with_peers=n <= chosen.peer_limit)
        if n > chosen.peer_limit:
            results += targets(chosen.peer_limit, seconds, with_peers=True)
        rows = [("work", "ratio", "to", "asked", "")]
        rows += [
            (r["work"], f"{r['ratio']:.2f}", r["reference"], r["asked"], r["note"]) for r in results
        ]
        print_table(rows)
    if "noise" in parts:
        sizes = chosen.sizes or [128, 256, 512, 1024, 2048, 4096, 8192]
        found = noise_study([128, 512] if quick else sizes)
        rows = [("n", "rank", "noise", "error / noise", "plain", "certificate", "valid")]
        for r in found:
            rows.append(
                (str(r["n"]), str(r["rank"]), str(r["noise"]), f"{r['orthonormalized']:.3f}",
                 f"{r['plain']:.3f}", f"{r['certificate']:.3f}", str(r["valid"]))
            )  # fmt: skip
        print_table(rows)
        results += found
    if "memory" in parts:
        found = memory(n)
        rows = [("matrix", "n", "order", "overwrite_a", "peak beyond A, in A")]
        for r in found:
            rows.append(
                (r["work"], str(r["n"]), r["order"], str(r["overwrite"]), f"{r['of A']:.2f}")
            )
        print_table(rows)
        results += found
    if "interrupt" in parts:
        found = interrupt(n)
        rows = [("matrix", "n", "worst wait after Ctrl-C", "whole run")]
        for r in found:
            rows.append(
                (r["work"], str(r["n"]), f"{r['worst'] * 1e3:.0f} ms", f"{r['run'] * 1e3:.0f} ms")
            )
        print_table(rows)
        results += found
    if "scaling" in parts:
        sizes = chosen.sizes or ([256] if quick else [256, 512, 1024, 2048, 4096, 8192])
        found = scaling(sizes, chosen.peer_limit, seconds)
        rows = [("matrix", "n", "what", "median", "x copy", "quartiles", "relative error")]
        for r in found:
            rows.append(
                (r["matrix"], str(r["n"]), r["what"], f"{r['seconds'] * 1e3:.2f} ms",
                 f"{r['ratio']:.1f}", f"{r['ratio_low']:.1f}-{r['ratio_high']:.1f}",
                 f"{r['error']:.1e}")
            )  # fmt: skip
        print_table(rows)
        results += found
        if chosen.plot:
            plot_times(chosen.plot, info, found, panel="matrix")
    write_json(chosen.json, info, results)


if __name__ == "__main__":
    main()
