"""Fast transforms against scipy.fft, ducc0, FFTW, MKL and fast Hadamard codes that are installed.

    python bench/transforms.py [--quick] [--json PATH]
        [--only targets dft hadamard others accuracy backend]

targets: the complex transforms that kernels are made for, each against the fastest peer: batches of
    64 and 256 in both layouts, vectors; with the geometric mean and the largest ratio of each kind.
dft: complex transforms of batches of 256 in both layouts and of single vectors, powers of two and
    composite lengths.
hadamard: the same for float32 Hadamard transforms, also in place as the peers work.
others: one transform of each kind against the dense product, and scipy.fft's real transforms in
    both layouts.
accuracy: the relative error against long double, beside scipy.fft's; that of long double itself
    against mpmath where that is installed.
backend: functions of scipy.fft on papilio (papilio.fft), called as they are and by set_backend.

Each line has the median time of papilio (into an array that is there; as "F @ x" with a new array
for the result, as scipy.fft makes one; "in place" on one array), its ratio to scipy.fft (or for
Hadamard transforms to the fastest peer) and each peer's time, all from interleaved runs in one
process.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import transform_peers
from common import (
    interleaved,
    machine,
    options,
    print_machine,
    skipped,
    start_fair,
    summary,
    write_json,
)

OURS = ("papilio", "F @ x", "in place", "with set_backend")


def row(
    results: list[dict[str, Any]],
    title: str,
    calls: dict[str, Callable[[], Any]],
    references: tuple[str, ...],
    seconds: float,
) -> None:
    """Measure, print and keep one comparison."""
    reference = next((name for name in references if name in calls), "papilio")
    rows = summary(interleaved(calls, seconds, 11), reference)
    peers = [(r["seconds"], name) for name, r in rows.items() if name not in OURS]
    best = min(peers, default=(1.0, reference))  # where no peer is installed, none is told
    ours = rows["papilio"]
    times = ", ".join(f"{name} {1e6 * r['seconds']:.4g}" for name, r in rows.items())
    ratios = f"{ours['ratio']:.2f} x {reference}"
    if "in place" in rows:
        ratios += f", in place {rows['in place']['ratio']:.2f}"
    if best[1] != reference:
        ratios += f", {ours['seconds'] / best[0]:.2f} x {best[1]}"
    print(f"{title}: {ratios}  [us: {times}]", flush=True)
    results.extend(
        {"what": name, "work": title, "reference": reference, **r} for name, r in rows.items()
    )


def peers_of(
    peers: dict[str, Callable[..., Any]], x: Any, axis: int, threads: int
) -> dict[str, Callable[[], Any]]:
    calls = {}
    for name, peer in peers.items():
        try:
            calls[name] = peer(x, axis, threads)
            calls[name]()
        except ImportError as error:
            skipped(name, str(error))
    return calls


def random(shape: Any, dtype: str) -> Any:
    import numpy as np

    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        x = x + 1j * rng.standard_normal(shape)
    return x.astype(dtype)


def batches(
    results: list[dict[str, Any]],
    make: Callable[[int, str], Any],
    peers: dict[str, Callable[..., Any]],
    reference: tuple[str, ...],
    cases: list[tuple[int, int, str]],
    threads: int,
    seconds: float,
    in_place: bool = False,
) -> None:
    import numpy as np

    for n, batch, dtype in cases:
        F = make(n, dtype)
        for axis, layout in ((0, "columns"), (1, "rows")) if batch > 1 else ((0, "vector"),):
            shape = n if batch == 1 else (n, batch) if axis == 0 else (batch, n)
            x = random(shape, dtype)
            out = np.empty_like(x)
            calls = {"papilio": lambda F=F, x=x, out=out, axis=axis: F.apply(x, out=out, axis=axis)}
            if batch == 1:
                calls["F @ x"] = lambda F=F, x=x: F @ x
            if in_place:
                zeros = np.zeros_like(x)  # nothing overflows
                calls["in place"] = lambda F=F, x=zeros, axis=axis: F.apply(x, out=x, axis=axis)
            calls |= peers_of(peers, x, axis, threads)
            title = f"n={n}, B={batch}, {dtype}, {layout}, {threads} thread(s)"
            row(results, title, calls, reference, seconds)


def dft(results: list[dict[str, Any]], threads: int, quick: bool) -> None:
    import papilio as pp

    sizes = [256, 1024] if quick else [256, 1024, 4096, 16384]
    lengths = [1024] if quick else [16, 64, 256, 1024, 4096, 16384, 2**16, 2**18, 2**20, 2**22]
    composite = [] if quick else [60, 360, 945, 1000, 1144, 3000, 10080]
    types = ("complex128", "complex64")
    cases = [(n, 256, dtype) for dtype in types for n in sizes]
    cases += [(n, 1, dtype) for dtype in types for n in lengths]
    cases += [(n, batch, "complex128") for n in composite for batch in (1, 32)]
    batches(
        results,
        pp.transforms.dft,
        transform_peers.FFTS,
        ("scipy.fft",),
        cases,
        threads,
        0.25,
    )


def targets(results: list[dict[str, Any]], threads: int, quick: bool) -> None:
    import papilio as pp

    sizes = [256, 1000] if quick else [256, 1024, 4096, 16384, 48, 360, 1000, 1536, 3000, 10080]
    lengths = [1024] if quick else [2**k for k in range(8, 23, 2)]
    for dtype in ("complex128", "complex64"):
        for kind, cases in {
            "batches": [(n, batch, dtype) for n in sizes for batch in (64, 256)],
            "vectors": [(n, 1, dtype) for n in lengths],
        }.items():
            mine: list[dict[str, Any]] = []
            batches(
                mine,
                pp.transforms.dft,
                transform_peers.FFTS,
                ("scipy.fft",),
                cases,
                threads,
                0.1 if quick else 0.2,
            )
            ratios = to_fastest(mine)
            mean = math.exp(sum(math.log(ratio) for ratio in ratios.values()) / len(ratios))
            worst = max(ratios, key=lambda work: ratios[work])
            print(
                f"{kind}, {dtype}, {threads} thread(s): {mean:.3f} x the fastest peer in the "
                f"geometric mean, at most {ratios[worst]:.2f} ({worst})"
            )
            results.extend(mine)


def to_fastest(results: list[dict[str, Any]]) -> dict[str, float]:
    """Our time over that of the fastest peer, for each work."""
    ratios = {}
    for work in dict.fromkeys(r["work"] for r in results):
        seconds = {r["what"]: r["seconds"] for r in results if r["work"] == work}
        peers = [time for name, time in seconds.items() if name not in OURS]
        ratios[work] = seconds["papilio"] / min(peers)
    return ratios


def hadamard(results: list[dict[str, Any]], threads: int, quick: bool) -> None:
    import papilio as pp

    batch = [1024] if quick else [1024, 4096, 16384, 65536]
    lengths = [1024] if quick else [1024, 4096, 16384, 2**16, 2**18, 2**20]
    cases = [(n, 256, "float32") for n in batch] + [(n, 1, "float32") for n in lengths]
    batches(
        results,
        pp.transforms.hadamard,
        transform_peers.HADAMARDS,
        ("fht_cpu",),
        cases,
        threads,
        0.25,
        in_place=True,
    )


def others(results: list[dict[str, Any]], threads: int, quick: bool) -> None:
    import numpy as np
    import scipy.fft

    import papilio as pp

    t = pp.transforms
    for n in (32,) if quick else (32, 64, 256, 1024, 4096):
        c = np.random.default_rng(0).standard_normal(n)
        operators = {
            "hadamard": (t.hadamard(n), None),
            "haar": (t.haar(n), None),
            "dft": (t.dft(n), scipy.fft.fft),
            "rdft": (t.rdft(n), scipy.fft.rfft),
            "hartley": (t.hartley(n), None),
            "dct": (t.dct(n), scipy.fft.dct),
            "dct type 1": (t.dct(n, 1), partial(scipy.fft.dct, type=1)),
            "dst type 4": (t.dst(n, 4), partial(scipy.fft.dst, type=4)),
            "circulant": (t.circulant(c), None),
            "toeplitz": (t.toeplitz(c), None),
        }
        for name, (F, peer) in operators.items():
            A = F.toarray()
            for batch in (1, 256):
                x = random((n, batch) if batch > 1 else n, "float64")
                if name == "dft":
                    x = x.astype(complex)
                # As dense products want it: a complex matrix times real vectors converts them.
                dense_x = x.astype(A.dtype)
                calls = {
                    "papilio": lambda F=F, x=x: F @ x,
                    "dense": lambda A=A, x=dense_x: A @ x,
                }
                if peer:
                    calls["scipy.fft"] = lambda peer=peer, x=x: peer(x, axis=0, workers=threads)
                title = f"{name}, n={n}, B={batch}, columns, {threads} thread(s)"
                row(results, title, calls, ("dense",), 0.08)
                if peer and batch > 1:
                    rows = np.ascontiguousarray(x.T)
                    calls = {
                        "papilio": lambda F=F, x=rows: F.apply(x, axis=1),
                        "scipy.fft": lambda peer=peer, x=rows: peer(x, axis=1, workers=threads),
                    }
                    title = f"{name}, n={n}, B={batch}, rows, {threads} thread(s)"
                    row(results, title, calls, ("scipy.fft",), 0.08)


def backend(results: list[dict[str, Any]], threads: int, quick: bool) -> None:
    import scipy.fft

    import papilio.fft

    def through(function: Callable[..., Any], x: Any, **given: Any) -> Any:
        with scipy.fft.set_backend(papilio.fft):
            return function(x, **given)

    for name in ("fft", "rfft", "dct", "fft2"):
        peer, own = getattr(scipy.fft, name), getattr(papilio.fft, name)
        for n in (64, 1024) if quick else (64, 1024, 16384, 2**18):
            for batch in (1, 64):
                shape = (64, n // 64) if name == "fft2" else (n,)
                x = random((batch, *shape) if batch > 1 else shape, "float64")
                if name in ("fft", "fft2"):
                    x = x.astype(complex)
                calls = {
                    "papilio": lambda own=own, x=x: own(x),
                    "with set_backend": lambda peer=peer, x=x: through(peer, x),
                    "scipy.fft": lambda peer=peer, x=x: peer(x, workers=threads),
                }
                title = f"scipy.fft.{name}, {' x '.join(map(str, x.shape))}, {threads} thread(s)"
                row(results, title, calls, ("scipy.fft",), 0.08)


def accuracy(results: list[dict[str, Any]], threads: int, quick: bool) -> None:
    import numpy as np
    import scipy.fft

    import papilio as pp

    def error(y: Any, exact: Any) -> float:
        return float(np.linalg.norm(y - exact) / np.linalg.norm(exact))

    try:
        x = random(128, "complex128").astype(np.clongdouble)
        reference = error(scipy.fft.fft(x), by_mpmath(x))
        print(f"accuracy of the long double reference, n=128, against mpmath: {reference:.2e}")
        results.append({"work": "accuracy of long double, n=128", "what": "error", "is": reference})
    except ImportError as problem:
        skipped("mpmath", str(problem))

    for n in (64, 1000, 1024, 4096, 10080, 16384, 2**18):
        for dtype in ("complex128", "complex64"):
            for batch in (1, 8):
                x = random((n, batch), dtype)
                exact = scipy.fft.fft(x.astype(np.clongdouble), axis=0)
                x = x[:, 0].copy() if batch == 1 else x
                exact = exact[:, 0] if batch == 1 else exact
                ours = error(pp.transforms.dft(n, dtype) @ x, exact)
                theirs = error(scipy.fft.fft(x, axis=0), exact)
                title = f"accuracy of dft, n={n}, B={batch}, {dtype}"
                print(f"{title}: {ours:.2e}, scipy.fft {theirs:.2e}, ratio {ours / theirs:.2f}")
                results.append(
                    {"work": title, "what": "error", "papilio": ours, "scipy.fft": theirs}
                )


def by_mpmath(x: Any) -> Any:
    """The transform of x from its definition with 40 digits, rounded to long double."""
    import mpmath
    import numpy as np

    def long_double(z: Any) -> Any:
        return np.longdouble(mpmath.nstr(z.real, 30)) + 1j * np.longdouble(mpmath.nstr(z.imag, 30))

    with mpmath.workdps(40):
        n = len(x)
        roots = [mpmath.expjpi(mpmath.mpf(-2 * k) / n) for k in range(n)]
        entries = [mpmath.mpc(complex(entry)) for entry in x]
        sums = (mpmath.fsum(roots[j * k % n] * entries[j] for j in range(n)) for k in range(n))
        return np.array([long_double(total) for total in sums], np.clongdouble)


def main() -> None:
    start_fair()
    parser = options(__doc__)
    sections = {
        "targets": targets,
        "dft": dft,
        "hadamard": hadamard,
        "others": others,
        "accuracy": accuracy,
        "backend": backend,
    }
    parser.add_argument("--only", nargs="+", choices=tuple(sections), default=tuple(sections))
    arguments = parser.parse_args()
    import numpy as np

    import papilio as pp

    if arguments.threads:
        pp.set_num_threads(arguments.threads)
    threads = pp.get_num_threads()
    info = machine()
    print_machine(info)
    # glibc gives memory of this size back to the system at its first release, and from then on
    # keeps it: results of all libraries come from memory that is there.
    np.empty(30 << 20, np.uint8).fill(0)
    results: list[dict[str, Any]] = []
    for name, section in sections.items():
        if name in arguments.only:
            section(results, threads, arguments.quick)
    write_json(arguments.json, info, results)


if __name__ == "__main__":
    main()
