"""Settings of the documentation site; `make docs` builds it, without a network."""

import base64
import json
import os
import re
import shutil
from importlib.metadata import version as installed_version
from pathlib import Path
from pydoc import locate
from typing import Any

from jaxtyping import AbstractArray

import lenspinn

project = "lenspinn"
author = "The lenspinn developers"
release = version = installed_version("lenspinn")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "numpydoc",
    "myst_nb",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
suppress_warnings = ["mystnb.unknown_mime_type"]

# Pages
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 4
# Notebooks are shown with the outputs that are stored in them; tests/examples runs them anew.
nb_execution_mode = "off"

# API
autosummary_generate = True
autosummary_ignore_module_all = False
autosummary_imported_members = True
# These have their page under `lenspinn`, to which those of the rooms refer.
autosummary_context = {"top_names": lenspinn.__all__}
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
default_role = "py:obj"
nitpicky = True  # see setup

# Links to other projects need a network: `LENSPINN_DOCS_ONLINE=1 make docs` has them.
intersphinx_mapping = (
    {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "astropy": ("https://docs.astropy.org/en/stable", None),
        "torch": ("https://docs.pytorch.org/docs/stable", None),
    }
    if os.environ.get("LENSPINN_DOCS_ONLINE")
    else {}
)

# Site
html_theme = "pydata_sphinx_theme"
html_title = "lenspinn"
html_static_path: list[str] = []
html_theme_options = {
    "navbar_align": "left",
    "show_toc_level": 2,
    "navigation_depth": 2,
    "collapse_navigation": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_show_sourcelink = False
copyright = "The lenspinn developers"


def setup(app: Any) -> None:
    """Connect what Sphinx asks this site."""
    app.connect("builder-inited", _bring_notebooks)
    app.connect("warn-missing-reference", _is_no_mistake)
    app.connect("autodoc-skip-member", _is_array_alias)
    app.connect("autodoc-process-docstring", _escape_shapes, priority=100)  # before numpydoc


def _bring_notebooks(app: Any) -> None:
    """Put the notebooks of the repository into the gallery, and the first picture of each."""
    gallery = Path(app.srcdir) / "examples"
    for notebook in sorted((Path(app.srcdir).parent / "examples").glob("*.ipynb")):
        shutil.copy2(notebook, gallery)
        outputs = (
            output.get("data", {})
            for cell in json.loads(notebook.read_text())["cells"]
            for output in cell.get("outputs", [])
        )
        picture = next((data["image/png"] for data in outputs if "image/png" in data), None)
        if picture is not None:
            (gallery / f"{notebook.stem}.png").write_bytes(base64.b64decode(picture))


def _is_no_mistake(app: Any, domain: Any, node: Any) -> bool | None:
    """Say nothing of a name without a page, unless it is ours and does not exist."""
    if domain is None or domain.name != "py":
        return None
    name = node["reftarget"]
    return not name.startswith("lenspinn.") or locate(name) is not None or None


def _escape_shapes(app: Any, what: str, name: str, obj: Any, _: Any, lines: list[str]) -> None:
    """Keep (*batch, y, x) and |theta| as they stand: in a docstring they are no markup."""
    for number, line in enumerate(lines):
        pieces = re.split(r"(`[^`]*`)", line)
        pieces[::2] = [re.sub(r"(?<=[( ])\*(?=\w)|\|", r"\\\g<0>", piece) for piece in pieces[::2]]
        lines[number] = "".join(pieces)


def _is_array_alias(app: Any, what: str, name: str, obj: Any, *_: Any) -> bool | None:
    """Leave out names of array shapes, which signatures spell out."""
    return True if isinstance(obj, type) and issubclass(obj, AbstractArray) else None
