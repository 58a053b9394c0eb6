"""Sphinx, with the furo theme; pages are MyST Markdown."""

import sys
from importlib.metadata import version as installed
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

project = "kcnn"
author = copyright = "kcnn developers"
release = version = installed("kcnn")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "_docstrings",
]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = "kcnn"
html_show_sphinx = False
html_static_path = ["_static"]
html_css_files = ["narrow.css"]

myst_heading_anchors = 3

add_module_names = False
highlight_language = "none"  # a fence says its language; most without one are commands
default_role = "code"  # docstrings write `names` as Markdown does
autodoc_default_options = {"members": True, "member-order": "groupwise"}
napoleon_custom_sections = [("Call arguments", "params_style")]
napoleon_use_ivar = True  # attributes as one list; dataclass fields are told once
autodoc_inherit_docstrings = False  # Keras writes its own in Markdown
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True  # as the source says them: no addresses, no environment
python_maximum_signature_line_length = 76
