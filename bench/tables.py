"""What bench/report.py writes between the markers of the pages: a function for each name.

Each takes the records (machine, arguments, results) of the JSON files that it names and returns
Markdown. A peer that wasn't installed has no row and no column.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any

Record = dict[str, Any]
BLOCKS: dict[str, tuple[Callable[..., str], tuple[str, ...]]] = {}
PEERS = ("scipy csr", "lazylinop", "pyfaust", "torch")
FFTS = ("scipy.fft", "ducc0", "FFTW", "mkl_fft")
YES = {True: "yes", False: "no", None: "unknown"}


def block(name: str, *records: str) -> Callable[[Callable[..., str]], Callable[..., str]]:
    """Registers what makes a block, and the JSON files that it is made from."""

    def register(function: Callable[..., str]) -> Callable[..., str]:
        BLOCKS[name] = function, records
        return function

    return register


# ---------------------------------------------------------------- words


def table(heading: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    def line(cells: Iterable[object]) -> str:
        return f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in cells)} |"

    return "\n".join(map(line, (heading, ["---"] * len(heading), *rows)))


def figure(value: float) -> str:
    """Three digits, without an exponent."""
    return f"{value:.3g}" if value < 999.5 else f"{value:.0f}"


def on(record: Record) -> str:
    """Where and when something was measured."""
    m = record["machine"]
    threads = f"{m['threads']} thread{'s' if m['threads'] > 1 else ''}"
    return f"{m['cpu']}, {m['isa']}, {threads}, papilio {m['papilio']}, {m['date']}"


def time_of(seconds: float) -> str:
    for unit, size in (("µs", 1e-6), ("ms", 1e-3)):
        if seconds < 999.5 * size:
            return (
                f"{seconds / size:.3g} {unit}"
                if seconds < 99.5 * size
                else (f"{seconds / size:.0f} {unit}")
            )
    return f"{seconds:.3g} s" if seconds < 99.5 else f"{seconds:.0f} s"


def span(values: Iterable[float], digits: int = 2) -> str:
    """The smallest and the largest."""
    found = sorted(values)
    low, high = f"{found[0]:.{digits}f}", f"{found[-1]:.{digits}f}"
    return low if low == high else f"{low} to {high}"


def mean(values: Iterable[float]) -> float:
    """The geometric one."""
    found = list(values)
    return math.exp(sum(map(math.log, found)) / len(found))


def only(record: Record, **wanted: Any) -> list[dict[str, Any]]:
    """The results that have all these values."""
    return [
        r for r in record["results"] if all(r.get(key) == value for key, value in wanted.items())
    ]


def first_seen(values: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(values))


# ---------------------------------------------------------------- products


@block("products-machine", "apply")
def products_machine(apply: Record) -> str:
    return f"{on(apply)}; `bench/apply.py`"


def product_rows(apply: Record, batches: Sequence[int]) -> str:
    rows = []
    cases = [r for r in apply["results"] if "n" in r and r["batch"] in batches]
    for n, batch in first_seen((r["n"], r["batch"]) for r in cases):
        row = {r["what"]: r for r in cases if (r["n"], r["batch"]) == (n, batch)}
        ours = row["papilio"]["seconds"]
        cells = [n, batch, time_of(ours)]
        dense = row.get("dense")
        cells.append(time_of(dense["seconds"]) if dense else "")
        peers = {name: row[name]["seconds"] for name in PEERS if name in row}
        peer = min(peers, key=peers.__getitem__, default=None)
        cells.append(f"{time_of(peers[peer])} ({peer})" if peer else "")
        cells.append(f"{dense['seconds'] / ours:.1f}" if dense else "")
        cells.append(f"{peers[peer] / ours:.1f}" if peer else "")
        cells.append(f"{100 * row['papilio']['bound']:.0f} %")
        rows.append(cells)
    heading = ("n", "columns", "papilio", "NumPy dense", "fastest peer", "dense / papilio",
               "peer / papilio", "of the bound")  # fmt: skip
    return table(heading, rows)


@block("products-short", "apply")
def products_short(apply: Record) -> str:
    return product_rows(apply, (1, 32, 256))


@block("products-sizes", "apply")
def products_sizes(apply: Record) -> str:
    return product_rows(apply, range(1 << 30))


@block("products-targets", "apply")
def products_targets(apply: Record) -> str:
    rows = [
        (r["work"], r["threads"], f"{r['ratio']:.2f}", r["reference"], r["goal"], r["bound"])
        for r in only(apply, what="target")
    ]
    return table(("work", "threads", "ratio", "to", "asked", "bound, or times"), rows)


@block("products-missed", "apply")
def products_missed(apply: Record) -> str:
    """Which of the targets were met."""
    targets = [r for r in only(apply, what="target") if r["goal"]]
    missed = [r for r in targets if not meets(r["ratio"], r["goal"])]
    words = f"{len(targets) - len(missed)} of {len(targets)} targets were met in this run"
    if not missed:
        return f"{words}."
    lines = (
        f"{r['work']} on {r['threads']} thread{'s' if r['threads'] > 1 else ''} "
        f"({r['ratio']:.2f}, asked {r['goal']})"
        for r in missed
    )
    return f"{words}; not met: {'; '.join(lines)}."


def meets(ratio: float, goal: str) -> bool:
    sign, value = goal.split()
    return ratio <= float(value) if sign == "<=" else ratio >= float(value)


# ---------------------------------------------------------------- threads


@block("threads", "threads")
def threads(record: Record) -> str:
    rows = []
    for case in first_seen(r["case"] for r in record["results"]):
        row = {r["what"]: r for r in only(record, case=case)}
        again = row["pool again"]
        cells = [case, time_of(row["pool"]["seconds"])]
        cells.append(
            f"{again['ratio']:.2f} ({again['ratio_low']:.2f} to {again['ratio_high']:.2f})"
        )
        cells.append(time_of(row["pool"]["worst_tenth"]))
        if other := row.get("openmp"):
            cells[2:2] = [
                f"{other['ratio']:.2f} ({other['ratio_low']:.2f} to {other['ratio_high']:.2f})"
            ]
            cells.append(time_of(other["worst_tenth"]))
        rows.append(cells)
    heading = ["case", "pool", "pool / pool", "one call in ten: pool"]
    if any(r["what"] == "openmp" for r in record["results"]):
        heading[2:2] = ["OpenMP / pool"]
        heading.append("OpenMP")
    return table(heading, rows)


@block("threads-machine", "threads")
def threads_machine(record: Record) -> str:
    m = record["machine"]
    return (
        f"{on(record)}, {m['cpus']} CPUs; the load was {m['load before'][0]:.1f} before "
        f"and {m['load after'][0]:.1f} after."
    )


# ---------------------------------------------------------------- factorization


def factorize_table(record: Record, peers: bool) -> str:
    rows = [
        (r["work"], f"{r['ratio']:.2f}", r["reference"], r["asked"], r["note"])
        for r in only(record, what="target")
        if any(name in r["reference"] for name in ("lazylinop", "pyfaust")) == peers
    ]
    return table(("work", "ratio", "to", "asked", ""), rows)


@block("factorize-targets", "factorize")
def factorize_targets(record: Record) -> str:
    return factorize_table(record, peers=False)


@block("factorize-peers", "factorize")
def factorize_peers(record: Record) -> str:
    return factorize_table(record, peers=True)


@block("factorize-copies", "factorize")
def factorize_copies(record: Record) -> str:
    ratios = [r["ratio"] for r in only(record, what="target", n=4096, reference="copy")]
    return f"in the time of {min(ratios):.0f} to {max(ratios):.0f} copies of it"


@block("factorize-machine", "factorize")
def factorize_machine(record: Record) -> str:
    return on(record)


@block("factorize-noise", "factorize")
def factorize_noise(record: Record) -> str:
    rows = [
        (r["n"], r["rank"], r["noise"], f"{r['orthonormalized']:.3f}", f"{r['plain']:.3f}",
         f"{r['certificate']:.3f}")
        for r in only(record, what="noise")
    ]  # fmt: skip
    heading = ("n", "rank", "noise", "orthonormalized", "without (balanced order)", "certificate")
    return table(heading, rows)


@block("factorize-valid", "factorize")
def factorize_valid(record: Record) -> str:
    cases = only(record, what="noise")
    return f"{sum(r['valid'] for r in cases)} of {len(cases)}"


@block("factorize-memory", "factorize")
def factorize_memory(record: Record) -> str:
    rows = [
        (r["work"], r["n"], r["order"], r["overwrite"], f"{r['of A']:.2f}")
        for r in only(record, what="memory")
    ]
    return table(("matrix", "n", "order", "overwrite_a", "peak"), rows)


@block("factorize-interrupt", "factorize")
def factorize_interrupt(record: Record) -> str:
    cases = only(record, what="interrupt")
    worst = max(r["worst"] for r in cases)
    runs = f"n = {cases[0]['n']}, four moments of {len(cases)} runs"
    return f"Ctrl-C was answered within {1e3 * worst:.0f} ms ({runs})."


@block("factorize-sizes", "factorize_scaling")
def factorize_sizes(record: Record) -> str:
    rows = []
    for matrix, n in first_seen((r["matrix"], r["n"]) for r in record["results"]):
        row = {r["what"]: r for r in only(record, matrix=matrix, n=n)}
        ours = row["papilio auto"]
        rows.append(
            (matrix, n, time_of(row["copy"]["seconds"]), time_of(ours["seconds"]),
             f"{ours['ratio']:.1f}", f"{ours['error']:.1e}")
        )  # fmt: skip
    return table(("matrix", "n", "copy", "papilio", "x copy", "relative error"), rows)


# ---------------------------------------------------------------- transforms


def comparisons(record: Record) -> dict[str, dict[str, dict[str, Any]]]:
    """The rows of each line of bench/transforms.py, by what was measured."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for r in record["results"]:
        if "seconds" in r:
            found.setdefault(r["work"], {})[r["what"]] = r
    return found


def ours_over(row: dict[str, dict[str, Any]], peer: str) -> float:
    return float(row["papilio"]["seconds"] / row[peer]["seconds"])


def fourier(record: Record) -> dict[str, dict[str, dict[str, Any]]]:
    """Complex transforms in both precisions."""
    return {
        work: row
        for work, row in comparisons(record).items()
        if re.match(r"n=\d+, B=\d+, complex", work)
    }


@block("transforms-machine", "transforms_1")
def transforms_machine(record: Record) -> str:
    m = record["machine"]
    return f"{m['cpu']}, {m['isa']}, papilio {m['papilio']}, {m['date']}"


@block("transforms-fourier", "transforms_1", "transforms_2")
def transforms_fourier(one: Record, two: Record) -> str:
    lines = [
        (f"n={n}, batch 256, {layout}", f"n={n}, B=256, complex128, {layout}")
        for n in (1024, 4096, 16384)
        for layout in ("columns", "rows")
    ]
    lines += [
        (f"one vector, n={n}", f"n={n}, B=1, complex128, vector") for n in (1024, 16384, 1 << 20)
    ]
    lines += [("n=1000, batch 32, columns", "n=1000, B=32, complex128, columns"),
              ("n=10080, batch 32, rows", "n=10080, B=32, complex128, rows")]  # fmt: skip
    found = {1: comparisons(one), 2: comparisons(two)}
    peers = [name for name in FFTS if any(name in row for row in found[1].values())]
    rows = []
    for title, work in lines:
        for count in (1, 2):
            row = found[count].get(f"{work}, {count} thread(s)")
            if row:
                times = [f"{1e6 * row[name]['seconds']:.4g}" if name in row else ""
                         for name in ("papilio", *peers)]  # fmt: skip
                rows.append((title, count, *times, f"{ours_over(row, 'scipy.fft'):.2f}"))
    return table(("complex128 transform, µs", "threads", "papilio", *peers, "/ scipy.fft"), rows)


@block("transforms-summary", "transforms_1", "transforms_2")
def transforms_summary(one: Record, two: Record) -> str:
    """The ranges of all complex transforms."""
    sentences = []
    for count, record in ((1, one), (2, two)):
        kinds: dict[str, list[tuple[float, float]]] = {}
        for work, row in fourier(record).items():
            n, batch = (int(part.split("=")[1]) for part in work.split(", ")[:2])
            power = n & (n - 1) == 0
            kind = work.split(", ")[3] if batch > 1 else "vectors"
            peers = [row[name]["seconds"] for name in FFTS if name in row]
            ratio = row["papilio"]["seconds"] / min(peers)
            name = kind if power else f"{kind} of composite lengths"
            kinds.setdefault(name, []).append((ours_over(row, "scipy.fft"), ratio))
        words = "; ".join(
            f"{kind} {span(r for r, _ in ratios)} (against the fastest peer of each line "
            f"{span(r for _, r in ratios)})"
            for kind, ratios in kinds.items()
        )
        sentences.append(f"On {count} thread{'s' if count > 1 else ''}: {words}.")
    return "\n".join(sentences)


TRANSFORM_RUNS = ("transforms_1", "transforms_2", "transforms_1_avx512", "transforms_2_avx512")


@block("transforms-isas", *TRANSFORM_RUNS)
def transforms_isas(*records: Record) -> str:
    """Geometric means of all complex transforms, by instruction set and number of threads."""
    kinds = {
        "batches of 256, columns": lambda n, batch, layout: batch == 256 and layout == "columns",
        "batches of 256, rows": lambda n, batch, layout: batch == 256 and layout == "rows",
        "composite lengths, batches of 32": lambda n, batch, layout: batch == 32,
        "vectors from 1024 on": lambda n, batch, layout: batch == 1 and n >= 1024,
    }
    rows = []
    for title, belongs in kinds.items():
        for record in records:
            ratios: dict[str, list[float]] = {name: [] for name in FFTS}
            fastest = []
            for work, row in fourier(record).items():
                n, batch = (int(part.split("=")[1]) for part in work.split(", ")[:2])
                if not belongs(n, batch, work.split(", ")[3]):
                    continue
                for name in (name for name in FFTS if name in row):
                    ratios[name].append(ours_over(row, name))
                fastest.append(max(ours_over(row, name) for name in FFTS[:3] if name in row))
            m = record["machine"]
            means = [f"{mean(ratios[name]):.2f}" if ratios[name] else "" for name in FFTS]
            worst = f"{mean(fastest):.2f} ({span(fastest)})"
            rows.append((title, m["isa"], m["threads"], *means, worst))
    heading = ("transforms", "kernels", "threads", *(f"/ {name}" for name in FFTS),
               "/ fastest of the first three")  # fmt: skip
    return table(heading, rows)


@block("transforms-isas-machines", *TRANSFORM_RUNS)
def transforms_isas_machines(*records: Record) -> str:
    """The CPU of each instruction set."""
    machines = (record["machine"] for record in records)
    return "; ".join(first_seen(f"{m['isa']}: {m['cpu']}" for m in machines))


@block("transforms-hadamard", "transforms_1", "transforms_2")
def transforms_hadamard(one: Record, two: Record) -> str:
    found = {1: comparisons(one), 2: comparisons(two)}
    peer = next((p for p in ("fht_cpu", "numba") if any(p in r for r in found[1].values())), None)
    rows = []
    for work, row in found[1].items():
        if ", float32, " not in work or ", columns," in work:
            continue
        n, batch = (part.split("=")[1] for part in work.split(", ")[:2])
        second = found[2].get(work.replace("1 thread(s)", "2 thread(s)"), {})
        cells = [f"one vector, n={n}" if batch == "1" else f"n={n}, batch {batch}, rows"]
        cells += [f"{1e6 * row[name]['seconds']:.4g}" for name in ("papilio", "in place")]
        if peer:
            cells += [f"{1e6 * row[peer]['seconds']:.4g}", f"{ours_over(row, peer):.2f}"]
            cells.append(f"{row['in place']['seconds'] / row[peer]['seconds']:.2f}")
        else:
            cells += [f"{1e6 * second[name]['seconds']:.4g}" if second else ""
                      for name in ("papilio", "in place")]  # fmt: skip
        rows.append(cells)
    ends = (peer, f"/ {peer}", f"in place / {peer}") if peer else ("two threads", "in place, two")
    return table(("float32, µs", "papilio", "in place", *map(str, ends)), rows)


@block("transforms-accuracy", "transforms_1")
def transforms_accuracy(record: Record) -> str:
    rows = [r for r in only(record, what="error") if "scipy.fft" in r]
    ratios = [r["papilio"] / r["scipy.fft"] for r in rows]
    return f"{span(ratios)} times that of scipy.fft"


@block("transforms-dense", "transforms_1", "transforms_2")
def transforms_dense(one: Record, two: Record) -> str:
    """Where the dense product is faster."""
    slower = []
    for count, record in ((1, one), (2, two)):
        for work, row in comparisons(record).items():
            if "dense" in row and row["papilio"]["ratio"] > 1:
                name, n, batch = work.split(", ")[:3]
                kind = "one vector" if batch == "B=1" else "batch"
                slower.append(f"`{name}`, {n}, {kind}, {count} thread{'s' * (count > 1)}: "
                              f"{row['papilio']['ratio']:.2f}")  # fmt: skip
    if not slower:
        return "All transforms of 32 and more points were faster than the dense product."
    return f"The dense product was faster in these lines (times of it): {'; '.join(slower)}."


@block("transforms-real", "transforms_1")
def transforms_real(record: Record) -> str:
    rows = []
    names = {"rdft": "`rdft`", "dct": "`dct` type 2", "dct type 1": "`dct` type 1",
             "dst type 4": "`dst` type 4"}  # fmt: skip
    for name, title in names.items():
        kinds: dict[str, list[float]] = {"columns": [], "rows": [], "vector": []}
        for work, row in comparisons(record).items():
            if work.startswith(f"{name}, n=") and "scipy.fft" in row:
                kind = "vector" if ", B=1," in work else work.split(", ")[3]
                kinds[kind].append(ours_over(row, "scipy.fft"))
        rows.append((title, *map(span, kinds.values())))
    return table(("transform", "columns", "rows", "one vector"), rows)


# ---------------------------------------------------------------- non-uniform transforms


@block("nudft-machine", "nudft")
def nudft_machine(record: Record) -> str:
    versions = record["machine"].get("peers", {})
    libraries = [f"{title} {versions[name]}" if name in versions else title
                 for name, title in (("finufft", "FINUFFT"), ("ducc0", "ducc0"))]  # fmt: skip
    return f"{' and '.join(libraries)} ({on(record)})"


@block("nudft", "nudft", "nudft_batches")
def nudft(vectors: Record, batches: Record) -> str:
    rows = []
    for dimensions in (1, 2, 3):
        cells = [f"{dimensions}-D"]
        for record in (vectors, batches):
            ours = [r for r in record["results"] if len(r["modes"]) == dimensions and "ratio" in r]
            ratios = [r["ratio"] for r in ours]
            sizes = [" x ".join(map(str, r["modes"])) for r in ours]
            cells.append(
                f"{span(ratios)}, mean {mean(ratios):.2f} ({sizes[0]} to {sizes[-1]})"
                if ratios
                else ""
            )
        rows.append(cells)
    return table(("points", "one vector", "batches of 8 and 32, tolerance 1e-6"), rows)


# ---------------------------------------------------------------- polynomials


@block("polynomials-machine", "polynomials")
def polynomials_machine(record: Record) -> str:
    return on(record)


@block("polynomials", "polynomials")
def polynomials(record: Record) -> str:
    rows = []
    for r in record["results"]:
        for side, (what, title) in enumerate(
            (("forward", "to Chebyshev"), ("back", "to Legendre"))
        ):
            dense = r["seconds"].get("dense")
            error = f"round trip {r['round_trip']:.1e}" if side else f"{r['error']:.1e}"
            rows.append(
                (f"{r['tol']:.0e}", r["n"], title, time_of(r["build_seconds"][side]),
                 f"{r['bytes'][side] / 2**20:.3g}", f"{100 * r['of_dense'][side]:.0f} %",
                 time_of(r["seconds"][what]), time_of(dense) if dense else "", error)
            )  # fmt: skip
    heading = ("tol", "n", "change", "build", "MiB", "of dense", "one vector", "dense", "error")
    return table(heading, rows)


@block("polynomials-from", "polynomials")
def polynomials_from(record: Record) -> str:
    """From which size on products with a vector are faster, for each change and tolerance."""
    words = []
    for what, title in (("forward", "to Chebyshev"), ("back", "to Legendre")):
        starts = []
        for tol in first_seen(r["tol"] for r in record["results"]):
            compared = [r for r in record["results"] if r["tol"] == tol and "dense" in r["seconds"]]
            faster = {r["n"]: r["seconds"]["dense"] > r["seconds"][what] for r in compared}
            slower = max((n for n, is_faster in faster.items() if not is_faster), default=0)
            start = min((n for n in faster if n > slower), default=None)
            starts.append(f"{'none' if start is None else f'n = {start}'} (tol {tol:.0e})")
        words.append(f"{title} coefficients {' and '.join(starts)}")
    return (
        "Of these sizes, products with one vector are faster than the dense one from the following "
        f"on: {'; '.join(words)}."
    )


# ---------------------------------------------------------------- compression


@block("compress-bounds", "compress_bounds")
def compress_bounds(record: Record) -> str:
    keys = list(record["results"][0])
    lines = [[str(r[key]) for key in keys] for r in record["results"]]
    return table(keys, lines)


@block("compress-bounds-machine", "compress_bounds")
def compress_bounds_machine(record: Record) -> str:
    runs = sum(int(r["runs"]) for r in record["results"])
    above = sum(int(r["true > bound"]) for r in record["results"])
    return f"{above} of {runs} errors were above their bound ({on(record)})"


def compressed(small: Record, large: Record) -> list[dict[str, Any]]:
    """The cases of both, by kernel and size."""
    rows = small["results"] + large["results"]
    names = first_seen(r["kernel"] for r in rows)
    return sorted(rows, key=lambda r: (names.index(r["kernel"]), r["n"]))


@block("compress-machine", "compress", "compress_large")
def compress_machine(small: Record, large: Record) -> str:
    return f"{on(small)}; n = 2^20: {on(large)}"


@block("compress", "compress", "compress_large")
def compress(small: Record, large: Record) -> str:
    rows = []
    for r in compressed(small, large):
        ranks = r["ranks"] or [0]
        kind = "single" if r["dtype"] in ("complex64", "float32") else "double"
        apply = r["apply_seconds"]
        rows.append(
            (
                r["kernel"], f"2^{math.log2(r['n']):.3g}", r["dtype"], time_of(r["build_seconds"]),
                f"{r['entries'] / r['n']:.0f}", f"{min(ranks)}-{max(ranks)}",
                f"{r['error_bound']:.1e}", figure(r["bytes"] / 2**20),
                figure(r["peak_bytes"] / 2**20), time_of(apply),
                f"{r['bytes'] / apply / 1e9:.3g}", f"{r['bytes_per_second'] / 1e9:.3g}",
                figure(r[f"dense_floor_{kind}"] / apply), figure(r["dense_floor_double"] / apply),
                figure(r["dense_seconds"] / apply) if "dense_seconds" in r else "",
                figure(r["finufft_seconds"] / apply) if "finufft_seconds" in r else "",
            )
        )  # fmt: skip
    heading = (
        "kernel", "n", "dtype", "build", "entries / n", "ranks", "error <", "MiB", "peak MiB",
        "product", "GB/s", "BLAS GB/s", "floor / product", "double floor / product",
        "dense / product", "finufft / product",
    )  # fmt: skip
    return table(heading, rows)


@block("compress-million", "compress_large")
def compress_million(large: Record) -> str:
    """The largest operators, in a sentence of README."""
    rows = [r for r in large["results"] if r["n"] == 1 << 20]
    seconds = [r["build_seconds"] for r in rows]
    times = [r["dense_floor_double"] / r["apply_seconds"] for r in rows]
    threads = large["machine"]["threads"]
    return (
        f"in {span((s / 60 for s in seconds), 1)} minutes on {threads} cores, and multiplies by "
        f"it at least {100 * int(min(times) // 100)} times faster"
    )


@block("compress-floor", "compress_large")
def compress_floor(large: Record) -> str:
    rows = [r for r in large["results"] if r["n"] == 1 << 20]
    double = [r["dense_floor_double"] / r["apply_seconds"] for r in rows]
    single = [r["dense_floor_single"] / r["apply_seconds"] for r in rows]
    return (
        f"n = 2^20 took {span((r['build_seconds'] for r in rows), 0)} s to build, growing the "
        f"process by at most {max(r['peak_bytes'] for r in rows) / 2**30:.1f} GiB; products are "
        f"{span(double, 0)} times faster than the floor of the dense complex128 product, "
        f"{span(single, 0)} times than that of a complex64 one, and read the factors at "
        f"{span((r['bytes'] / r['apply_seconds'] / 1e9 for r in rows), 0)} GB/s."
    )


# ---------------------------------------------------------------- permutations


@block("recovery-machine", "recovery")
def recovery_machine(record: Record) -> str:
    return f"{on(record)}; `bench/recovery.py`"


@block("recovery", "recovery")
def recovery(record: Record) -> str:
    published = {("orthogonal butterfly", 128): "100 / 100 / 100 / 100",
                 ("dft", 128): "100 / 95 / 90 / 50"}  # fmt: skip
    noises = first_seen(r["noise"] for r in record["results"])
    rows = []
    for matrix, n in first_seen((r["matrix"], r["n"]) for r in record["results"]):
        found = {r["noise"]: r for r in only(record, matrix=matrix, n=n)}
        known = "100" if matrix in ("orthogonal butterfly", "dft") and n < 128 else "-"
        rates = [f"{found[e]['found']}/{found[e]['instances']}" for e in noises]
        rows.append((matrix, n, *rates, published.get((matrix, n), known)))
    return table(("matrix", "n", *(f"{e:g}" for e in noises), "published"), rows)


@block("recovery-none", "recovery_none")
def recovery_none(record: Record) -> str:
    rows = record["results"]
    found = sum(r["found"] for r in rows)
    errors = ", ".join(f"{r['error']:.2f} (n = {r['n']})" for r in rows)
    return (
        f"Gaussian matrices without structure were found {found} times in "
        f"{rows[0]['instances']} instances of each size: the smallest errors that the search "
        f"reached were {errors} in the median."
    )


@block("recovery-times", "recovery", "recovery_none")
def recovery_times(record: Record, none: Record) -> str:
    words = []
    for matrix, title in (("dft", "a DFT"), ("orthogonal butterfly", "an orthogonal butterfly")):
        rows = only(record, matrix=matrix, noise=0.1)
        times = ", ".join(f"{time_of(r['seconds'])} (n = {r['n']})" for r in rows)
        words.append(f"{times} for {title}")
    worst = max(none["results"], key=lambda r: r["seconds_max"])
    return (
        f"With noise 0.1 and one BLAS thread a search took {'; '.join(words)}, in the median. One "
        f"that fails takes many times as long (up to {time_of(worst['seconds_max'])} for "
        f"n = {worst['n']}): it tries all starts, and each of them alternates longer."
    )


# ---------------------------------------------------------------- distributed products


@block("distributed-machine", "distributed")
def distributed_machine(record: Record) -> str:
    versions = record["machine"].get("peers", {})
    titles = {"mpich": "MPICH", "mpi4py": "mpi4py"}
    return ", ".join(f"{titles[name]} {versions[name]}" for name in titles if name in versions)


@block("distributed", "distributed")
def distributed(record: Record) -> str:
    rows = [
        (r["operator"], f"{r['difference']:.1e}", f"{r['adjoint_difference']:.1e}", r["exchanges"],
         r["sent"], f"{r['share']:.2f}", f"{r['held'][0]:.2f} to {r['held'][1]:.2f}")
        for r in record["results"]
    ]  # fmt: skip
    heading = ("operator", "difference, F", "F.H", "exchanges", "bytes sent", "numbers sent / n",
               "held by a rank")  # fmt: skip
    return table(heading, rows)


# ---------------------------------------------------------------- supports


@block("structures", "supports_zoo")
def structures(record: Record) -> str:
    rows = [
        (r["structure"], r["factors"], r["parameters"], YES[r["tractable"]], YES[r["closed"]],
         r["solver"], r["cost"])
        for r in only(record, part="structures")
    ]  # fmt: skip
    heading = ("structure", "factors", "parameters", "tractable", "closed", "solver", "cost")
    return table(heading, rows)


@block("supports-zoo", "supports_zoo")
def supports_zoo(record: Record) -> str:
    words = {True: "always", False: "not for some A", None: "unknown"}
    rows = [
        (r["supports"], r["kind"], words[r["closed"]], f"{r['classes']} of {r['sizes']}")
        for r in only(record, part="zoo")
    ]
    return table(("supports", "kind", "minimizer", "class sizes"), rows)


@block("fixed-support-machine", "fixed_support")
def fixed_support_machine(record: Record) -> str:
    return f"{on(record)}; `bench/fixed_support.py`, `bench/results/fixed_support.json`."


@block("fixed-support-analysis", "fixed_support")
def fixed_support_analysis(record: Record) -> str:
    rows = [
        (r["supports"], f"{r['n']:,}", f"{r['entries'] / 1e6:.1f} million", time_of(r["seconds"]),
         f"{r['gigabytes']:.2f} GB")
        for r in only(record, part="analysis")
    ]  # fmt: skip
    heading = ("analysis of supports", "n", "entries of both", "time",
               "peak memory, masks included")  # fmt: skip
    return table(heading, rows)


@block("fixed-support-exact", "fixed_support")
def fixed_support_exact(record: Record) -> str:
    rows = []
    for problem in first_seen(r["problem"] for r in only(record, part="exact")):
        row = {r["what"]: r for r in only(record, part="exact", problem=problem)}
        loop = row["numpy loop"]
        rows.append((problem, time_of(row["papilio"]["seconds"]), time_of(loop["seconds"]),
                     f"{loop['ratio']:.1f}"))  # fmt: skip
    heading = ("exact, whole call", "papilio", "one SVD per class in a NumPy loop", "ratio")
    return table(heading, rows)


@block("fixed-support-palm", "fixed_support")
def fixed_support_palm(record: Record) -> str:
    names = first_seen(r["what"] for r in only(record, part="palm"))
    rows = []
    for problem in first_seen(r["problem"] for r in only(record, part="palm")):
        row = {r["what"]: r for r in only(record, part="palm", problem=problem)}
        cells = [f"{row[n]['error']:.6f} ({time_of(row[n]['seconds'])})" for n in names if n in row]
        rows.append((problem, *cells))
    return table(("relative error", *names), rows)


@block("fixed-support-palm-words", "fixed_support")
def fixed_support_palm_words(record: Record) -> str:
    """What the table shows."""
    rows = only(record, part="palm")
    problems = first_seen(r["problem"] for r in rows)
    own = {r["problem"]: r["error"] for r in rows if r["what"] == "papilio"}
    last = {r["problem"]: r for r in rows if r["what"] != "papilio"}  # the most iterations
    if not last:
        return "pyfaust's PALM4MSA wasn't installed."
    open_ones = [problem for problem in problems if problem.startswith("open")]
    larger = sum(last[problem]["error"] >= own[problem] - 1e-6 for problem in open_ones)
    tractable = next(problem for problem in problems if problem not in open_ones)
    above = last[tractable]["error"] - own[tractable]
    return (
        f"pyfaust's PALM4MSA with the same supports ends {above:.0e} above the exact optimum where "
        f"there is one (after {last[tractable]['what'].removeprefix('PALM, ')}); on supports "
        "without an exact method one run of it ends at an equal or larger error in "
        f"{larger} of {len(open_ones)}:"
    )


@block("fixed-support-local", "fixed_support")
def fixed_support_local(record: Record) -> str:
    rows = []
    everything = only(record, part="local")
    kinds = {kind: only(record, part="local", problem=kind)
             for kind in first_seen(r["problem"] for r in everything)}  # fmt: skip
    for kind, cases in (kinds | {"all": everything}).items():
        # Relative to ||A||: where the infimum is 0 both only come close to it.
        excess = [(r["error"] - r["als_error"]) / r["norm"] for r in cases]
        rows.append(
            (kind, len(cases), sum(x <= 1e-9 for x in excess),
             sum(r["seconds"] <= r["als_seconds"] for r in cases),
             time_of(statistics.median(r["seconds"] for r in cases)),
             time_of(statistics.median(r["als_seconds"] for r in cases)))
        )  # fmt: skip
    heading = ("supports", "instances", "not worse", "in its time", "median time",
               "of the 20 restarts")  # fmt: skip
    return table(heading, rows)


@block("fixed-support-chains", "fixed_support")
def fixed_support_chains(record: Record) -> str:
    rows = [
        (r["problem"], f"{r['seconds']:.2f}", f"{r['error']:.6f}", r["iterations"])
        for r in only(record, part="chains", what="papilio")
    ]
    return table(("supports", "CPU seconds", "relative error", "iterations"), rows)


# ---------------------------------------------------------------- learning


@block("gradients-machine", "gradients")
def gradients_machine(record: Record) -> str:
    return on(record)


@block("gradients", "gradients")
def gradients(record: Record) -> str:
    rows = []
    keys = ("architecture", "n", "batch")
    peers = [name for name in ("linear", "chain")
             if any(r["what"] == name for r in record["results"])]  # fmt: skip
    for case in first_seen(tuple(r[key] for key in keys) for r in record["results"]):
        row = {r["what"]: r for r in only(record, **dict(zip(keys, case, strict=True)))}
        ours = row["papilio"]["seconds"]
        cells = [*case, time_of(ours), f"{row['forward']['seconds'] / ours:.2f}"]
        rows.append((*cells, *(f"{row[name]['ratio']:.2f}" for name in peers)))
    titles = {"linear": "dense layer / papilio", "chain": "chain of torch / papilio"}
    heading = (*keys, "forward and backward", "forward alone / both")
    return table((*heading, *(titles[name] for name in peers)), rows)


@block("fit-machine", "fit")
def fit_machine(record: Record) -> str:
    return on(record)


@block("fit", "fit")
def fit(record: Record) -> str:
    rows = []
    for r in record["results"]:
        cells = [r["n"], time_of(min(r["fit_seconds"])), time_of(r["lstsq_seconds"])]
        cells.append(f"{r['error_ratio']:.3f}")
        if peer := r.get("adam"):
            more = "" if peer["reached"] else "> "
            cells += [f"{more}{time_of(peer['seconds'])}", peer["steps"], f"{peer['error']:.1e}"]
        rows.append(cells)
    heading = ["n", "fit", "dense least squares", "error / dense"]
    if any("adam" in r for r in record["results"]):
        heading += ["Adam", "its steps", "its error"]
    return table(heading, rows)


@block("torch-layers-machine", "torch_layers")
def torch_layers_machine(record: Record) -> str:
    return f"{on(record)}, torch {record['machine']['torch']}"


@block("torch-layers", "torch_layers")
def torch_layers(record: Record) -> str:
    rows = []
    for part in ("step", "rotation", "overhead"):
        for r in only(record, part=part):
            rows.append((part, r["layer"], r["n"], r["batch"], r["what"], time_of(r["seconds"]),
                         f"{r['ratio']:.2f}"))  # fmt: skip
    return table(("part", "layer", "n", "batch", "what", "time", "over papilio"), rows)


@block("torch-layers-memory", "torch_layers")
def torch_layers_memory(record: Record) -> str:
    rows = [
        (r["layer"], r["n"], r["batch"], r["what"], f"{r['bytes'] / 2**20:.2f} MiB",
         f"{r['ratio']:.1f}")
        for r in only(record, part="memory")
    ]  # fmt: skip
    heading = ("layer", "n", "batch", "what", "held for the backward pass", "over papilio")
    return table(heading, rows)
