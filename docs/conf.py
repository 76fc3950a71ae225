"""Sphinx configuration: ``python -m sphinx -W docs docs/_build``."""

import importlib.util
import pathlib
import sys

import papilio

sys.path.append(str(pathlib.Path(__file__).parent / "_ext"))
project = "papilio"
author = "The papilio developers"
release = version = papilio.__version__
extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "mathml",
]
myst_enable_extensions = ["dollarmath", "amsmath"]
autodoc_typehints = "none"  # numpydoc's sections say them in words
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
default_role = "code"
html_theme = "furo"
html_title = f"papilio {release}"
exclude_patterns = ["_build", "_ext"]
# The optional rooms are described where what they need is installed.
for needed in ("torch", "sklearn"):
    if importlib.util.find_spec(needed) is None:
        exclude_patterns.append(f"api/{needed}.md")
suppress_warnings = ["toc.excluded", "toc.not_readable"]
