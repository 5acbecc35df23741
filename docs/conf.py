"""Settings of Sphinx. `make docs` builds the pages; they load nothing from another host."""

import os
import sys
from importlib.metadata import version as installed
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for `extension`
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")  # of the code that the pages run

project, author, copyright = "Hyperfactor", "the Hyperfactor authors", "the Hyperfactor authors, MIT licence"
version = release = installed("hyperfactor")

extensions = [
    "extension", "myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc",
    "sphinx_gallery.gen_gallery",
]  # fmt: skip
templates_path, exclude_patterns = (
    ["_templates"],
    ["_build", "_templates", "**/hyperfactor-store", "**/GALLERY_HEADER.rst"],
)
nitpicky = True
nitpick_ignore_regex = [("py:.*", ".*")]  # types in docstrings are words: "(n, d) or Representation"
default_role = "literal"

myst_enable_extensions, myst_heading_anchors = ["dollarmath"], 3

autodoc_default_options = {"members": True}
autodoc_typehints, autodoc_member_order = "none", "bysource"
autosummary_generate = True
numpydoc_show_class_members = False

sphinx_gallery_conf = {
    "examples_dirs": ["ideas", "gallery"],
    "gallery_dirs": ["built/ideas", "built/gallery"],
    "filename_pattern": r"\.py$",
    "copyfile_regex": r"GALLERY_HEADER\.rst",
    "image_scrapers": ("extension.figures",),
    "capture_repr": ("_repr_html_",),
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
    "min_reported_time": 1e9,  # times are those of the machine that builds
    "remove_config_comments": True,
    "within_subsection_order": "FileNameSortKey",
}

html_theme, html_title = "furo", "Hyperfactor"
html_static_path, html_css_files = ["_static"], ["own.css"]
html_show_sphinx = html_copy_source = False
html_math_renderer = "mathml"
