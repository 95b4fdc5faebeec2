"""How Sphinx makes the pages. Read by `tools/site/pages.py`, in a copy of this folder beside the notebooks' copies."""

import lazydestroy

project = "lazydestroy"
author = "The lazydestroy authors"
version = release = lazydestroy.__version__
language = "en"
root_doc = "index"
exclude_patterns = ["**.ipynb_checkpoints"]

extensions = ["myst_nb", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.viewcode"]
nb_execution_mode = "off"  # they are committed executed
nb_merge_streams = True
myst_links_external_new_tab = True
autosummary_generate = True
autodoc_typehints = "none"  # numpydoc's lists of parameters say the types
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

html_theme = "sphinx_book_theme"
html_title = "lazydestroy"
html_static_path = ["_static"]
html_css_files = ["lazydestroy.css"]
html_copy_source = html_show_sourcelink = False
html_context = {"default_mode": "auto"}
html_theme_options = {
    "use_download_button": False,
    "use_fullscreen_button": False,
    "show_toc_level": 2,
    # the bar above would only repeat the search of the side bar
    "navbar_start": [],
    "navbar_center": [],
    "navbar_end": [],
    "navbar_persistent": [],
}
