"""How Sphinx builds the documentation: `make docs`."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from sphinx.addnodes import pending_xref
from sphinx.transforms.post_transforms import SphinxPostTransform

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
# rnn_core.torch and rnn_core.onnx stand upon them. What stands for torch is no torch to scipy, which scikit-learn has
# look for one while it is imported: so that is imported before.
autodoc_mock_imports = ["torch", "onnx", "h5py"]
importlib.import_module("sklearn.linear_model")
numpydoc_show_class_members = False
suppress_warnings = ["ref.citation"]  # a module cites its papers without numpydoc's [1]_

html_theme = "furo"
html_title = f"rnn_core {release}"
html_copy_source = False
html_show_sphinx = False


class NamesOfTheModule(SphinxPostTransform):
    """A class in a signature is the one that its module calls so, where others of that name stand elsewhere."""

    default_priority = 5  # before names are looked up, at 10

    def run(self, **_: Any) -> None:
        """Give every such name its module."""
        for node in self.document.findall(pending_xref):
            if node.get("refdomain") == "py" and node.hasattr("refspecific"):
                found = vars(sys.modules.get(node.get("py:module") or "", object)).get(node["reftarget"])
                if isinstance(found, type) and found.__module__.startswith(("rnn_core.", "kernels.", "transfer.")):
                    node["reftarget"] = f"{found.__module__}.{found.__qualname__}"


def setup(app: Any) -> None:
    """Add the above, and leave out the methods that scikit-learn gives its estimators: those speak of its glossary."""
    app.add_post_transform(NamesOfTheModule)
    app.connect("autodoc-skip-member", lambda app, what, name, *rest: name.endswith("_request") or None)
