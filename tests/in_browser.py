"""What the tests in a browser share."""

from __future__ import annotations

import os

import pytest
from refresh_notebooks import ROOT

from benchmarks.browser import missing

BENCH = "notebooks/reference/lab.ipynb"
SCREENSHOTS = ROOT / "build" / "screenshots"
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
WIDTHS = (1024, 1920)

MISSING = missing()
if MISSING and os.environ.get("REQUIRE_BROWSER"):
    raise RuntimeError(MISSING)

MARKS = [
    pytest.mark.notebooks,
    pytest.mark.long("a browser takes minutes, and `make test` asks for none"),
    pytest.mark.skipif(bool(MISSING), reason=MISSING),
]


def try_everything(notebook, name):
    """Look at each widget in both themes and widths, move each of its controls, and hear no complaint."""
    assert notebook.errors() == []
    dead = []
    for number, widget in enumerate(notebook.widgets()):
        widget.at_rest()
        look_at(notebook, widget, f"{name}-{number}")
        greyed = []  # by one that was moved before, such as the new guest by a shutdown
        for control in widget.controls():
            if not control.can_be_moved():
                greyed.append(control)
            elif control.kind != "play" and not control.moves_something():
                dead.append(control.label)
        if greyed:
            widget.root.get_by_role("button", name="Reset", exact=True).click()
            widget.at_rest()
            dead += [control.label for control in greyed if not control.moves_something()]
    assert not dead, dead
    assert notebook.errors() == []
    assert not notebook.complaints, notebook.complaints


def look_at(notebook, widget, name):
    """See that everything fits, in both themes and widths, and keep a picture of it."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for theme, full_name in THEMES.items():
        notebook.execute("apputils:change-theme", theme=full_name)
        for width in WIDTHS:
            notebook.page.set_viewport_size({"width": width, "height": 1000})
            widget.at_rest()
            tight = widget.too_wide()
            assert not tight, (name, theme, width, tight)
            notebook.page.set_viewport_size({"width": width, "height": 3000})  # else only a part is in the picture
            widget.root.screenshot(path=SCREENSHOTS / f"{name}-{theme}-{width}.png")
    notebook.execute("apputils:change-theme", theme=THEMES["light"])
