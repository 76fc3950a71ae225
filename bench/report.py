"""All figures of README and docs, from the JSON files of bench/results.

    python bench/report.py                  write them into the pages
    python bench/report.py --check          fail where a page says something else
    python bench/report.py --run [NAME ...] run the benchmarks first (all, or those named)
    python bench/report.py --run --long     those that take long, too
    python bench/report.py --run --quick --results DIRECTORY --check     try the benchmarks

A page has `<!-- bench: name -->` before and `<!-- end -->` behind each table or sentence; what is
between them is made by the function of that name in bench/tables.py. RUNS has the command of each
JSON file. A peer that isn't installed is left out of the tables.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import tables
from papilio.config import config

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent
RESULTS = BENCH / "results"
MARKED = re.compile(r"(<!-- bench: ([\w-]+) -->)(.*?)(<!-- end -->)", re.DOTALL)


class Run(NamedTuple):
    """How a JSON file is made."""

    command: str  # a script of this folder with its arguments
    quick: str  # the arguments that try it
    image: str = ""  # in docs/images
    mpi: int = 0  # ranks
    long: bool = False
    isa: str = ""  # that papilio's kernels are kept to; by default they use the CPU's best


RUNS = {
    "apply": Run(
        "apply.py --sizes 64 256 1024 4096 --batches 1 7 32 256 --seconds 0.2",
        "--sizes 64 --batches 1 32",
        image="apply",
    ),
    "transforms_1": Run(
        "transforms.py --only dft hadamard others accuracy --threads 1",
        "--only others --threads 1",
        isa="avx2",
    ),
    "transforms_2": Run(
        "transforms.py --only dft hadamard others --threads 2",
        "--only hadamard --threads 2",
        isa="avx2",
    ),
    "transforms_1_avx512": Run(
        "transforms.py --only dft hadamard --threads 1",
        "--only hadamard --threads 1",
        isa="avx512",
    ),
    "transforms_2_avx512": Run(
        "transforms.py --only dft hadamard --threads 2",
        "--only hadamard --threads 2",
        isa="avx512",
    ),
    "nudft": Run(
        "nudft.py --cpu --threads 1 --most 262144 --batches 1 --seconds 0.3",
        "--cpu --threads 1 --dims 1 --batches 1 --tols 1e-6 --most 1024",
        isa="avx2",
    ),
    "nudft_batches": Run(
        "nudft.py --cpu --threads 1 --most 524288 --batches 8 32 --tols 1e-6 --seconds 0.3",
        "--cpu --threads 1 --dims 1 --batches 8 --tols 1e-6 --most 8192",
        isa="avx2",
    ),
    "factorize": Run(
        "factorize.py --only targets noise memory interrupt --sizes 128 1024 4096",
        "--only noise memory interrupt",
    ),
    "factorize_scaling": Run(
        "factorize.py --only scaling --sizes 512 2048 4096 8192 --peer-limit 0",
        "--only scaling --peer-limit 0",
        image="factorize",
    ),
    "compress": Run(
        "compress.py --quick --sizes 1024 4096 16384",
        "--sizes 1024 --kernels laplace",
        image="compress",
    ),
    "compress_large": Run(
        "compress.py --quick --sizes 65536 262144 1048576 --kernels 'nudft type 2' 'fio variant 2'",
        "--sizes 4096 --kernels laplace",
        long=True,
    ),
    "compress_bounds": Run(
        "compress_bounds.py --seconds 400 --processes 2", "--seconds 1 --processes 1"
    ),
    "polynomials": Run(
        "polynomials.py --sizes 1024 2048 4096", "--sizes 256 --tol 1e-6", isa="avx2"
    ),
    "recovery": Run(
        "recovery.py --instances 5 --sizes 16 64 128 256 --kinds 'orthogonal butterfly' dft "
        "hadamard 'gaussian butterfly'",
        "--sizes 16 --instances 1 --kinds dft",
    ),
    "recovery_none": Run(
        "recovery.py --instances 3 --sizes 16 64 128 --kinds 'no structure'",
        "--sizes 16 --instances 1 --kinds 'no structure'",
    ),
    "fixed_support": Run(
        "fixed_support.py --instances 25", "--only analysis exact chains", image="fixed_support"
    ),
    "supports_zoo": Run("supports_zoo.py", "", image="supports"),
    "threads": Run("threads.py --quick", "--only dct", isa="avx2"),
    "gradients": Run("gradients.py --seconds 1", "--seconds 0.1"),
    "fit": Run("fit.py", "--sizes 16 --steps 5", isa="avx2"),
    "torch_layers": Run("torch_layers.py", "--only memory"),
    "distributed": Run("distributed.py", "", mpi=4),
}


def load(results: Path) -> dict[str, Any]:
    """What is in each JSON file of RUNS that is there."""
    paths = {name: results / f"{name}.json" for name in RUNS}
    return {
        name: json.loads(path.read_text(encoding="utf-8"))
        for name, path in paths.items()
        if path.exists()
    }


def pages() -> list[Path]:
    """Every page that may have figures."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def rewritten(text: str, records: dict[str, Any], name: str = "page") -> str:
    """A page with what tables.py makes of the records between its markers."""

    def made(match: re.Match[str]) -> str:
        start, block, old, end = match.groups()
        if block not in tables.BLOCKS:
            raise ValueError(f"{name}: no function of bench/tables.py makes {block!r}")
        function, needs = tables.BLOCKS[block]
        if missing := [need for need in needs if need not in records]:
            raise ValueError(f"{name}: {block} needs bench/results/{missing[0]}.json")
        new = function(*(records[need] for need in needs))
        whole_lines = old.startswith("\n")
        line = text[: match.start()].rpartition("\n")[2]
        if not whole_lines and not line.strip():
            # HTML at the start of a line takes all of that line out of Markdown.
            raise ValueError(f"{name}: the marker of {block} starts a line and has text behind it")
        return f"{start}\n{new}\n{end}" if whole_lines else f"{start}{new}{end}"

    return MARKED.sub(made, text)


def write(records: dict[str, Any], check: bool) -> list[str]:
    """The pages that said something else; without `check` they are written."""
    changed = []
    for page in pages():
        text = page.read_text(encoding="utf-8")
        name = str(page.relative_to(ROOT))
        new = rewritten(text, records, name)
        if new != text:
            changed.append(name)
            if not check:
                page.write_text(new, encoding="utf-8")
    return changed


def version() -> tuple[int, int]:
    """Major and minor version of this tree."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return release(project["version"])


def release(text: str) -> tuple[int, int]:
    major, minor = text.split(".")[:2]
    return int(major), int(minor)


def stale(records: dict[str, Any]) -> list[str]:
    """The results that are more than a release older than this tree."""
    major, minor = version()
    old = []
    for name, record in records.items():
        measured = record["machine"]["papilio"]
        if release(measured)[0] != major or release(measured)[1] < minor - 1:
            old.append(f"bench/results/{name}.json: papilio {measured}, now {major}.{minor}")
    return old


def run(names: list[str], results: Path, quick: bool) -> list[str]:
    """Run benchmarks, one after the other; the names of those that failed."""
    failed = []
    available = config()["available ISAs"]
    for name in names:
        spec = RUNS[name]
        environment = os.environ | {"PYTHONWARNINGS": "ignore"}
        if spec.isa and spec.isa not in available:
            print(f"\n== {name}: left out, this CPU has no {spec.isa}")
            continue
        if spec.isa:
            environment["PAPILIO_ISA"] = spec.isa
        script, *arguments = shlex.split(spec.command)
        if quick:
            arguments = ["--quick", *shlex.split(spec.quick)]
        command = [sys.executable, script, *arguments]
        if spec.mpi:
            command[1:1] = ["-m", "mpi4py"]
            command = ["mpiexec", "-n", str(spec.mpi), *command]
        command += ["--json", str(results / f"{name}.json")]
        if spec.image and not quick:
            command += ["--plot", str(ROOT / "docs" / "images" / f"{spec.image}.png")]
        print(f"\n== {name}: {shlex.join(command[1:])}", flush=True)
        start = time.perf_counter()
        try:
            code = subprocess.run(command, cwd=BENCH, env=environment, check=False).returncode
        except OSError as error:  # no mpiexec
            print(error)
            code = 1
        print(f"== {name}: {time.perf_counter() - start:.0f} s", flush=True)
        if code:
            failed.append(name)
    return failed


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", nargs="*", choices=tuple(RUNS), metavar="NAME")
    parser.add_argument("--long", action="store_true", help="also those that take minutes each")
    parser.add_argument("--quick", action="store_true", help="small sizes, no pictures")
    parser.add_argument("--check", action="store_true", help="write nothing into pages")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where JSON files are")
    chosen = parser.parse_args()
    failed: list[str] = []
    if chosen.run is not None:
        names = chosen.run or [name for name, spec in RUNS.items() if chosen.long or not spec.long]
        began = time.perf_counter()
        failed = run(names, chosen.results.resolve(), chosen.quick)
        print(f"\n{len(names)} benchmarks in {time.perf_counter() - began:.0f} s")
    if chosen.quick:
        sys.exit(f"failed: {', '.join(failed)}" if failed else 0)
    records = load(chosen.results)
    changed = write(records, chosen.check)
    print("\n".join(f"{'differs' if chosen.check else 'written'}: {name}" for name in changed))
    problems = stale(records) + [f"{name} failed" for name in failed]
    if problems or (chosen.check and changed):
        sys.exit("\n".join(problems) or 1)


if __name__ == "__main__":
    main()
