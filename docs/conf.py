"""How Sphinx builds the documentation: `make docs`."""

from __future__ import annotations

from typing import Any

import rnn_core

project = "rnn_core"
author = "the rnn_core authors"
project_copyright = f"2026 {author}"
release = version = rnn_core.__version__

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.mathjax"]
templates_path = ["_templates"]
exclude_patterns = ["_build"]

# Pages are Markdown with $…$ and $$…$$ for mathematics; a heading down to the third level can be linked to.
myst_enable_extensions = ["amsmath", "dollarmath"]
myst_heading_anchors = 3

# `name` in a docstring is code, and a link where there is something of that name.
default_role = "py:obj"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
suppress_warnings = ["ref.citation"]  # a module cites its papers without numpydoc's [1]_

html_theme = "furo"
html_title = f"rnn_core {release}"
html_copy_source = False
html_show_sphinx = False


def setup(app: Any) -> None:
    """Leave out the methods that scikit-learn gives its estimators: their words refer to its own glossary."""
    app.connect("autodoc-skip-member", lambda app, what, name, *rest: name.endswith("_request") or None)
