"""What the tests in a browser share."""

from __future__ import annotations

import os
import re

import pytest

from benchmarks.browser import missing
from lazydestroy.widgets.predicting import SEE
from lazydestroy.widgets.quiz import DONE
from tests.forms import one_line, question_alone
from tests.lessons import asked
from tests.refresh_notebooks import ROOT, notebooks

BENCH = "notebooks/reference/lab.ipynb"
WITH_WIDGETS = [path for path in notebooks() if "from lazydestroy.widgets import" in path.read_text(encoding="utf-8")]
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


# Cells that ask something


def in_jupyterlab(notebook, what: str, number: int) -> str:
    """What is seen of the outputs of a cell that asks."""
    calls = re.compile(rf"\b{what}\(\s*[\"']")
    cells = [cell for cell in notebook.page.locator(".jp-CodeCell").all() if calls.search(cell.text_content() or "")]
    return one_line(cells[number].locator(".jp-OutputArea").first.inner_text())


def see_questions_alone(notebook, path, live: bool) -> None:
    """See that of each cell that asks only the question is seen. The living widgets number the questions of a quiz."""
    for what in ("predict", "quiz"):
        for number, asking in enumerate(asked(path, what)):
            alone = question_alone(what, asking.name)
            if live and what == "predict":
                alone = alone.removesuffix(f" {SEE}")
            if live and "feedback=False" in asking.cell.source:
                alone += f" {DONE}"
            notebook.until(
                lambda: without_numbers(in_jupyterlab(notebook, what, number)) == without_numbers(alone),
                f"{in_jupyterlab(notebook, what, number)!r} is {alone!r}",
                15,
            )


def without_numbers(text: str) -> str:
    """A text without the numbers of questions."""
    return re.sub(r"(^| )\d\. ", r"\1", text)
