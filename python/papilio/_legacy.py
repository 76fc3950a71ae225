"""Where the modules of papilio 0.1 are now, for what was pickled there."""

from __future__ import annotations

import sys

_MOVED = {
    "along_axis": "operators._along_axis",
    "architecture": "_chains.architecture",
    "butterfly": "operators._butterfly",
    "composition": "operators._composition",
    "compress": "compression._report",
    "interpolation": "compression._scheme",
    "kronecker": "operators._kronecker",
    "parts": "operators._parts",
    "pattern": "_chains.pattern",
    "report": "operators._report",
    "section": "operators._section",
}


def find_old_names() -> None:
    """Let pickles of papilio 0.1 find the modules that they name."""
    for old, new in _MOVED.items():
        sys.modules[f"{__package__}.{old}"] = sys.modules[f"{__package__}.{new}"]
