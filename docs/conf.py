"""How the documentation is built: offline, with warnings as errors (see `make docs`)."""

import sys
from pathlib import Path

import lowdim

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "lowdim"
author = "The lowdim developers"
copyright = f"2026, {author}"
release = version = lowdim.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "mathtext",  # docs/_ext: equations as drawings, since MathJax comes over the network
    "percent",  # docs/_ext: tutorials are scripts, run when the pages are built
]
source_suffix = {".md": "markdown", ".py": "markdown"}
exclude_patterns = ["_build", "_ext", "conf.py"]
nitpicky = False

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
html_math_renderer = "mathtext"

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the signature and the docstring say it
napoleon_google_docstring = False
strip_signature_backslash = True  # or fitted attributes lose their trailing underscore
default_role = "code"

html_theme = "furo"
html_title = f"lowdim {release}"
