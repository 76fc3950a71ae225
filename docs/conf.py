"""Sphinx configuration: ``python -m sphinx -W docs docs/_build``."""

import importlib.util
import pathlib
import sys

import papilio

HERE = pathlib.Path(__file__).parent
sys.path.append(str(HERE / "_ext"))
from gallery import shown_only  # noqa: E402

project = "papilio"
author = "The papilio developers"
html_show_copyright = False
release = version = papilio.__version__
extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_gallery.gen_gallery",
    "mathml",
]
myst_enable_extensions = ["dollarmath", "amsmath"]
autodoc_typehints = "none"  # numpydoc's sections say them in words
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
default_role = "code"
html_theme = "furo"
html_title = f"papilio {release}"
html_static_path = ["_static"]
html_css_files = ["papilio.css"]
exclude_patterns = ["_build", "_ext", "gallery/GALLERY_HEADER.rst"]
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": rf"/(?!({shown_only(HERE.parent / 'examples')})\.py)\w+\.py$",
    "within_subsection_order": "gallery.Order",
    "backreferences_dir": None,
    "capture_repr": (),
    "reference_url": {"papilio": None},
    "default_thumb_file": str(HERE / "images" / "factors.png"),
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
    "min_reported_time": 1,
    "remove_config_comments": True,
}
# The optional rooms are described where what they need is installed.
for needed in ("torch", "sklearn"):
    if importlib.util.find_spec(needed) is None:
        exclude_patterns.append(f"api/{needed}.md")
suppress_warnings = ["toc.excluded", "toc.not_readable"]
