"""The API pages name everything that is public; pictures say what the code says."""

import importlib
import importlib.util
import pathlib
import re
import runpy

import pytest

import papilio

DOCS = pathlib.Path(papilio.__file__).parents[2] / "docs"
if not DOCS.exists():  # installed: the tests lie in a checkout
    DOCS = pathlib.Path(__file__).parent.parent / "docs"
API = "\n".join(page.read_text(encoding="utf-8") for page in sorted((DOCS / "api").glob("*.md")))
MODULES = ["papilio"] + [
    f"papilio.{name}"
    for name in ("config", "kernels", "learning", "permutations", "supports.zoo", "transforms")
]
OPTIONAL = {"papilio.torch": "torch", "papilio.sklearn": "sklearn", "papilio.mpi": "mpi4py"}


def documented():
    """Dotted names of what the directives of the API pages show."""
    found = set(re.findall(r"^\.\. auto(?:class|function|exception):: (\S+)$", API, re.M))
    for name in re.findall(r"^\.\. automodule:: (\S+)\n   :members:$", API, re.M):
        found |= {f"{name}.{member}" for member in importlib.import_module(name).__all__}
    return found


def thing(name):
    module, _, rest = name.rpartition(".")
    return getattr(importlib.import_module(module), rest)


@pytest.mark.parametrize("module", [*MODULES, *OPTIONAL])
def test_public_names_are_on_an_api_page_at_their_path(module):
    if module in OPTIONAL:
        pytest.importorskip(OPTIONAL[module])
    names = documented()
    public = importlib.import_module(module)
    for name in public.__all__:
        own = getattr(public, name)
        if name == "__version__" or f"{module}.{name}" in MODULES or name == "supports":
            continue
        elsewhere = any(
            thing(other) is own
            for other in names
            if other.rpartition(".")[2] == name and other.rpartition(".")[0] not in OPTIONAL
        )
        assert f"{module}.{name}" in names or elsewhere, f"{module}.{name}"


def test_what_the_api_pages_name_exists_and_classes_show_their_members():
    for name in documented():
        room = next((room for room in OPTIONAL if name.startswith(room + ".")), None)
        if room is None or importlib.util.find_spec(OPTIONAL[room]):
            assert thing(name) is not None
    without = re.findall(r"^\.\. autoclass:: (\S+)\n(?!   :members:)", API, re.M)
    assert not without


def test_functions_of_the_backend_of_scipy_fft_are_named():
    import papilio.fft

    assert all(f"`{name}`" in API for name in papilio.fft.__all__)


def test_the_picture_of_tools_is_what_its_script_draws_and_names_what_exists():
    script = runpy.run_path(str(DOCS / "pictures.py"))
    drawn = (DOCS / "images" / "which_tool.svg").read_text(encoding="utf-8")
    assert drawn == script["which_tool"]()
    page = (DOCS / "start.md").read_text(encoding="utf-8")
    for _, _, call in script["TOOLS"]:
        assert call.removesuffix("*") in page
        if call.startswith("pp.") and not call.endswith("*"):
            assert callable(thing(call.replace("pp.", "papilio.", 1)))


@pytest.mark.parametrize("page", [DOCS.parent / "README.md", *sorted(DOCS.glob("*.md"))], ids=str)
def test_code_lines_fit_pages_of_880_pixels(page):
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    assert max((len(line) for block in blocks for line in block.splitlines()), default=0) <= 90


def test_the_gallery_has_all_examples_in_order_and_runs_most_of_them_everywhere():
    gallery = runpy.run_path(str(DOCS / "_ext" / "gallery.py"))
    examples = DOCS.parent / "examples"
    names = {path.stem for path in examples.glob("*.py")}
    assert set(gallery["ORDER"]) == names
    assert len(names - set(gallery["shown_only"](examples).split("|"))) >= 16
    for name in names:
        title = re.match(
            r'"""\n(.+)\n=+\n\n', (examples / f"{name}.py").read_text(encoding="utf-8")
        )
        assert title, name


def test_the_map_of_the_operators_room_is_whole():
    page = (DOCS / "development.md").read_text(encoding="utf-8")
    table = page.split("Inside of `operators`:")[1].split("###")[0]
    modules = {
        path.stem for path in (pathlib.Path(papilio.__file__).parent / "operators").glob("_*.py")
    }
    assert set(re.findall(r"`(_\w+)`", table)) == modules - {"__init__"}


def test_every_picture_that_a_page_shows_is_there():
    root = DOCS.parent
    for page in [root / "README.md", *DOCS.rglob("*.md")]:
        for target in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
