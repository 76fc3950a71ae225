"""A short slice of the generators in tests/fuzz, which run for hours elsewhere."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.fuzz import families
from tests.fuzz.case import Case, shrunk, simpler
from tests.fuzz.runner import run


@pytest.mark.parametrize("family", families.all_families(), ids=lambda family: family.family)
def test_no_case_fails(family):
    counts, failures = run([family], seed=2, cases=family.quick, isolate=False)
    assert not failures, "\n".join(failure.line() for failure in failures)
    assert counts[family.family] > 0


def test_cases_are_made_smaller():
    assert list(simpler((4, "x"))) == [("x",), (4,), (0, "x"), (1, "x"), (2, "x"), (3, "x")]
    family = families.all_families()[0]
    assert issubclass(family, Case)
    case = family.draw(np.random.default_rng(0))
    small = shrunk(case, lambda other: True, tries=1000)
    assert len(repr(small)) < len(repr(case))


def test_crashes_hangs_and_wrong_results_are_failures():
    from tests.fuzz.selftest import Hostile

    found = set()
    _, failures = run([Hostile], seed=0, cases=16)
    for failure in failures:
        found.add(failure.words.split(":")[0].split(" ")[0])
    assert found >= {"crashes", "hangs", "wrong", "RuntimeError"}
