"""Sphinx configuration: ``python -m sphinx -W docs docs/_build``."""

import importlib.util

import papilio

project = "papilio"
author = "The papilio developers"
release = version = papilio.__version__
extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
]
myst_enable_extensions = ["dollarmath", "amsmath"]
autodoc_typehints = "none"  # numpydoc's sections say them in words
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
default_role = "code"
html_theme = "alabaster"
exclude_patterns = ["_build"]
# The optional rooms are described where what they need is installed.
for needed in ("torch", "sklearn"):
    if importlib.util.find_spec(needed) is None:
        exclude_patterns.append(f"api/{needed}.md")
suppress_warnings = ["toc.excluded"]
