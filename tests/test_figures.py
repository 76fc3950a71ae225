"""Figures of README and docs are those of bench/results, of this release or of the last one."""

import importlib
import json
import re
import shlex
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
if not (ROOT / "bench" / "results").exists():
    pytest.skip("bench/results isn't in source distributions", allow_module_level=True)


@pytest.fixture(scope="module")
def report():
    sys.path.insert(0, str(ROOT / "bench"))
    try:
        yield importlib.import_module("report")
    finally:
        sys.path.remove(str(ROOT / "bench"))


@pytest.fixture(scope="module")
def records(report):
    return report.load(report.RESULTS)


def test_pages_say_what_the_results_do(report, records):
    assert report.write(records, check=True) == [], "run: python bench/report.py"


def test_results_are_not_older_than_the_last_release(report, records):
    assert report.stale(records) == [], "run: python bench/report.py --run"


def test_every_function_is_used_and_every_file_is_made_by_a_run(report, records):
    used = {name for page in report.pages() for name in re.findall(r"<!-- bench: (\S+) -->",
            page.read_text(encoding="utf-8"))}  # fmt: skip
    assert used <= set(report.tables.BLOCKS)
    needed = {need for name in used for need in report.tables.BLOCKS[name][1]}
    assert needed <= set(records) <= set(report.RUNS)
    for spec in report.RUNS.values():
        assert (ROOT / "bench" / shlex.split(spec.command)[0]).exists()


def test_what_differs_is_found(report, records):
    changed = json.loads(json.dumps(records["apply"]))
    for row in changed["results"]:
        row["seconds"] = 2 * row.get("seconds", 1.0)
    assert "README.md" in report.write(records | {"apply": changed}, check=True)


def test_old_results_are_found(report, records, monkeypatch):
    major, minor = report.version()
    monkeypatch.setattr(report, "version", lambda: (major, minor + 2))
    assert len(report.stale(records)) == len(records)
    monkeypatch.setattr(report, "version", lambda: (major + 1, minor))
    assert len(report.stale(records)) == len(records)


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("a <!-- bench: nothing --><!-- end -->", "no function of bench/tables.py makes 'nothing'"),
        ("<!-- bench: products-machine -->x<!-- end -->", "starts a line and has text behind it"),
    ],
)
def test_markers_that_cannot_be_filled(report, records, page, message):
    with pytest.raises(ValueError, match=message):
        report.rewritten(page, records)
    with pytest.raises(ValueError, match=r"needs bench/results/apply\.json"):
        report.rewritten("a <!-- bench: products-machine --><!-- end -->", {})


def test_lines_and_sentences(report, records):
    made = report.rewritten("a <!-- bench: products-machine -->old<!-- end --> b", records)
    assert made.startswith("a <!-- bench: products-machine -->") and "old" not in made
    made = report.rewritten("<!-- bench: distributed -->\nold\n<!-- end -->", records)
    assert made.splitlines()[1].startswith("| operator |")
    assert made.endswith("|\n<!-- end -->")
