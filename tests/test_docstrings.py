"""Every example in a docstring runs, and every public thing has one."""

import doctest
import importlib
import importlib.util
import inspect
import pathlib
import pkgutil

import pytest

import papilio

MODULES = [
    module.name
    for module in pkgutil.walk_packages(papilio.__path__, "papilio.")
    if module.name not in ("papilio._core", "papilio.__main__")
    and not module.name.startswith("papilio.mpi")  # whose examples run under MPI, in test_mpi.py
    and (module.name != "papilio._dask" or importlib.util.find_spec("dask"))
]
OPTIONAL = {"papilio.torch": "torch", "papilio.sklearn": "sklearn"}  # rooms and what they need
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name):
    for room, needed in OPTIONAL.items():
        if name.startswith(room):
            pytest.importorskip(needed)
    result = doctest.testmod(importlib.import_module(name), optionflags=FLAGS)
    assert result.failed == 0


WITHOUT = (
    "Report",
    "Plan",
    "Simplification",
    "CompressionReport",
    "CompressionWarning",
    "FitReport",
    "IncompressibleError",
    "NonuniformReport",
    "ToleranceWarning",
)
PUBLIC = {name: getattr(papilio, name) for name in papilio.__all__} | {
    f"{module.__name__}.{name}": getattr(module, name)
    for module in (
        papilio.transforms,
        papilio.permutations,
        papilio.kernels,
        papilio.learning,
        papilio.supports.zoo,
    )
    for name in module.__all__
}


@pytest.mark.parametrize("name", [n for n, thing in PUBLIC.items() if callable(thing)])
def test_public_names_have_examples(name):
    doc = inspect.getdoc(PUBLIC[name])
    assert doc
    assert ">>>" in doc or name.rpartition(".")[2] in WITHOUT


@pytest.mark.parametrize("module", [papilio, papilio.kernels, papilio.transforms])
def test_public_functions_tell_what_they_raise(module):
    for name in module.__all__:
        function = getattr(module, name)
        if inspect.isfunction(function) and inspect.signature(function).parameters:
            doc = inspect.getdoc(function)
            assert "Raises\n------" in doc or "those\nof `" in doc or "those of `" in doc, name


def test_annotations_are_shipped():
    # An editable install keeps modules and the compiled core in two folders.
    found = {path.name for folder in papilio.__path__ for path in pathlib.Path(folder).iterdir()}
    assert {"py.typed", "_core.pyi"} <= found
