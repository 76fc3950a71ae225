"""Which families there are, and what is written down of a run."""

from __future__ import annotations

import argparse
import importlib
import json
import pathlib
import platform
import time
from collections import Counter

import papilio.config

from .case import Case
from .runner import Failure

#: Modules of this folder with families; each has a list FAMILIES.
MODULES: tuple[str, ...] = (
    "products",
    "gradients",
    "algebra",
    "real_linear",
    "concurrency",
    "factorizations",
    "weighted",
    "learning",
    "roundings",
    "supports",
    "simplifications",
    "patterns",
    "recoveries",
    "compressions",
    "accuracy",
    "nonuniform",
    "arguments",
    "arrays",
    "sparse_rows",
    "backend",
    "files",
    "pieces",
    "supports_core",
    "networks",
)


def all_families() -> list[type[Case]]:
    """Every family."""
    modules = [importlib.import_module(f"{__package__}.{name}") for name in MODULES]
    return [family for module in modules for family in module.FAMILIES]


def write_summary(
    args: argparse.Namespace, counts: Counter[str], failures: list[Failure], seconds: float
) -> None:
    """Write what was tried, where and when as JSON."""
    config = papilio.config.config()
    summary = {
        "date": time.strftime("%Y-%m-%d"),
        "cpu": config["cpu"],
        "isa": config["isa"],
        "python": platform.python_version(),
        "papilio": papilio.__version__,
        "seed": args.seed,
        "seconds": round(seconds, 1),
        "cases": dict(sorted(counts.items())),
        "failures": [failure.line() for failure in failures],
    }
    pathlib.Path(args.summary).write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
