"""Settings of the documentation: `python -m sphinx -W doc doc/_build/html`."""

import os
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))

from mathjax import fetch

import gamo_sampler

HERE = Path(__file__).parent

project = "gamo_sampler"
author = "the gamo_sampler developers"
copyright = author
version = release = gamo_sampler.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "benchmarks/*"]
highlight_language = "none"  # of blocks that name no other: commands
templates_path = ["_templates"]
# The gallery's settings hold a function.
suppress_warnings = ["config.cache"]

autosummary_generate = True
autodoc_default_options = {"members": True, "inherited-members": True}
autodoc_typehints = "none"
numpydoc_show_class_members = False

html_theme = "pydata_sphinx_theme"
html_title = "gamo_sampler"
html_logo = html_favicon = "logo.svg"
html_context = {"default_mode": "auto"}
html_show_sourcelink = False
html_static_path = ["_static"]
html_theme_options = {
    "logo": {"text": "gamo_sampler"},
    "show_prev_next": False,
    # The guide has short pages, and code that takes the width.
    "secondary_sidebar_items": {"**": ["page-toc"]}
    | {f"guide/{page.stem}": [] for page in (HERE / "guide").glob("*.rst")},
    "navbar_end": ["theme-switcher"],
    "navbar_persistent": ["search-button"],
    "header_links_before_dropdown": 6,
    "show_toc_level": 2,
}
# Pages of one level have nothing to show on the left.
WITHOUT_SIDEBAR = "index start start_images whats_new benchmarks contributing contrib"
html_sidebars = {page: [] for page in WITHOUT_SIDEBAR.split()}

# One file, which draws formulas as SVG and needs no fonts of its own.
mathjax_path = fetch(HERE / "_build" / "vendor", HERE / "_static")

# Links into other projects take a network: only when asked for.
if os.environ.get("GAMO_INTERSPHINX"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "imblearn": ("https://imbalanced-learn.org/stable/", None),
        "numpy": ("https://numpy.org/doc/stable/", None),
        "python": ("https://docs.python.org/3/", None),
        "scipy": ("https://docs.scipy.org/doc/scipy/", None),
        "sklearn": ("https://scikit-learn.org/stable/", None),
        "torch": ("https://docs.pytorch.org/docs/stable/", None),
    }


def skip_inherited(app, what, name, obj, skip, options):
    """Without what all of scikit-learn's estimators have: `api.rst` names it once."""
    return skip or (getattr(obj, "__module__", None) or "").startswith("sklearn")


def setup(app):
    app.connect("autodoc-skip-member", skip_inherited)


def reset_torch(gallery_conf, fname):
    """Examples are timed as their readers are told to run them."""
    torch.set_num_threads(1)


sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"plot_",
    "reset_modules": ("matplotlib", "seaborn", reset_torch),
    "reset_argv": lambda conf, script: [],
    "download_all_examples": False,
    "show_memory": False,
    # Tables and estimators are shown as notebooks show them; the text that stands for a
    # legend or a display says nothing.
    "capture_repr": ("_repr_html_",),
    "write_computation_times": False,
    "remove_config_comments": True,
    "doc_module": ("gamo_sampler",),
    "backreferences_dir": "generated/backreferences",
}
