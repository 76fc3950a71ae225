"""The command: ``python -m tests.fuzz --seconds 3600 --seed 1``."""

from __future__ import annotations

import argparse
import sys
import time

from . import families
from .runner import Failure, run


def main() -> int:
    """Run what the arguments say; 1 if anything failed."""
    known = families.all_families()
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, help="how long (default: 60, unless --cases)")
    parser.add_argument("--cases", type=int, help="how many cases")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--family", action="append", choices=[family.family for family in known], help="only these"
    )
    parser.add_argument("--no-isolate", action="store_true", help="all in this process: faster")
    parser.add_argument("--summary", help="write counts and failures to this JSON file")
    parser.add_argument("--stop", action="store_true", help="stop at the first failure")
    args = parser.parse_args()
    if args.seconds is None and args.cases is None:
        args.seconds = 60.0
    chosen = [family for family in known if not args.family or family.family in args.family]
    start = time.monotonic()

    class Stop(Exception):
        pass

    def report(failure: Failure) -> None:
        print(f"[{time.monotonic() - start:.1f} s] {failure.line()}", flush=True)
        if args.stop:
            raise Stop

    try:
        counts, failures = run(
            chosen,
            seed=args.seed,
            seconds=args.seconds,
            cases=args.cases,
            report=report,
            isolate=not args.no_isolate,
        )
    except Stop:
        return 1
    seconds = time.monotonic() - start
    for family, count in sorted(counts.items()):
        print(f"{family:24} {count:9d} cases")
    print(f"{'all':24} {sum(counts.values()):9d} cases, {len(failures)} failed, {seconds:.0f} s")
    if args.summary:
        families.write_summary(args, counts, failures, seconds)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
