"""Every example in a docstring runs, and every public thing has one."""

import doctest
import importlib
import inspect
import pathlib
import pkgutil

import pytest

import papilio

MODULES = [
    f"papilio.{module.name}"
    for module in pkgutil.iter_modules(papilio.__path__)
    if module.name not in ("_core", "__main__")
]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name):
    result = doctest.testmod(importlib.import_module(name), optionflags=FLAGS)
    assert result.failed == 0


def public():
    for owner in (papilio, papilio.transforms, papilio.permutations):
        names = getattr(owner, "__all__", None) or [n for n in vars(owner) if not n.startswith("_")]
        for name in names:
            thing = getattr(owner, name)
            home = getattr(thing, "__module__", "")
            if (
                callable(thing) and home.startswith("papilio") and home.endswith(owner.__name__)
            ) or (callable(thing) and owner is papilio):
                yield f"{owner.__name__}.{name}", thing


@pytest.mark.parametrize(("name", "thing"), public())
def test_public_names_have_examples(name, thing):
    doc = inspect.getdoc(thing)
    assert doc
    assert ">>>" in doc or name == "papilio.Report"


def test_annotations_are_shipped():
    # An editable install keeps modules and the compiled core in two folders.
    found = {path.name for folder in papilio.__path__ for path in pathlib.Path(folder).iterdir()}
    assert {"py.typed", "_core.pyi"} <= found
