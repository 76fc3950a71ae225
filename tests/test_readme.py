"""The Python code blocks of README and docs run as they are printed; the examples too."""

import contextlib
import io
import pathlib
import re
import runpy

import pytest

ROOT = pathlib.Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
WITH_CODE = [page for page in PAGES if "```python" in page.read_text(encoding="utf-8")]


def test_readme_and_tutorial_have_code():
    assert {page.name for page in WITH_CODE} >= {"README.md", "tutorial.md"}


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.name)
def test_code_blocks_run(page):
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    namespace = {}
    for block in blocks:
        for needed in re.findall(r"^import (torch|sklearn|pylops)\b", block, re.M):
            pytest.importorskip(needed)
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(block, f"{page.name}", "exec"), namespace)


@pytest.mark.slow
@pytest.mark.parametrize(
    "script",
    # Those that are distributed run under MPI, in test_mpi.py.
    sorted(set((ROOT / "examples").glob("*.py")) - set((ROOT / "examples").glob("distributed_*"))),
    ids=lambda path: path.name,
)
def test_examples_run(script, monkeypatch):
    libraries = r"^(?:import|from) (torch|sklearn)"
    for needed in set(re.findall(libraries, script.read_text(encoding="utf-8"), re.M)):
        pytest.importorskip(needed)
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    pyplot = pytest.importorskip("matplotlib.pyplot")
    monkeypatch.setattr(pyplot, "show", lambda: None)
    monkeypatch.setattr("sys.argv", [str(script)])
    with contextlib.redirect_stdout(io.StringIO()) as output:
        runpy.run_path(str(script), run_name="__main__")
    assert output.getvalue()
    assert pyplot.get_fignums()
    pyplot.close("all")
