"""The notebooks with widgets in a real browser: every control moves something, nothing complains, everything fits.

And no answer is seen where they ask something, which `test_forms.py` sees of those without widgets: so each notebook is
opened and run once.

Screenshots of what was seen are in build/screenshots. `test_browser_bench.py` has the lab bench.
"""

from __future__ import annotations

import contextlib
import platform

import pytest

from benchmarks.browser import Notebook
from tests.in_browser import BENCH, MARKS, WITH_WIDGETS, see_questions_alone, try_everything
from tests.refresh_notebooks import FOLDER, ROOT

pytestmark = MARKS

OTHERS = [path for path in WITH_WIDGETS if path != ROOT / BENCH]


def test_there_are_notebooks_with_widgets():
    assert len(WITH_WIDGETS) >= 8 and len(OTHERS) == len(WITH_WIDGETS) - 1


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: str(path.relative_to(FOLDER)))
def test_every_control_moves_something_and_everything_fits(path, chrome, address):
    with contextlib.closing(Notebook(chrome, address, str(path.relative_to(ROOT)))) as notebook:
        see_questions_alone(notebook, path, live=False)
        notebook.run_all()
        see_questions_alone(notebook, path, live=True)
        try_everything(notebook, path.stem)


def test_a_lesson_that_is_only_opened_is_not_marked_as_changed(chrome, address):
    path = "notebooks/course/04-lazy-reboot.ipynb"
    notebook = Notebook(chrome, address, path)
    try:
        notebook.page.wait_for_timeout(2000)  # what the kernel says of itself has come by then
        assert notebook.page.evaluate(KERNEL_IN_NOTEBOOK) == platform.python_version()
        assert not notebook.page.evaluate(DIRTY)
        assert notebook.page.locator(".jp-mod-dirty").count() == 0
        notebook.execute("notebook:insert-cell-below")
        notebook.until(lambda: notebook.page.locator(".jp-mod-dirty").count() == 1, "a change is marked")
    finally:
        notebook.close()


def test_a_key_that_moves_a_control_moves_nothing_else(opened):
    """JupyterLab takes arrow keys for its own where the focus is in no text: it goes to another cell, or folds one."""
    notebook = opened("notebooks/course/01-why-is-the-reboot-slow.ipynb")
    page = notebook.page
    for place, keys in (
        (page.locator(".lazydestroy-quiz input[type=radio]").first, (" ", "ArrowDown", "ArrowUp", "ArrowLeft")),
        (page.locator(".lazydestroy .noUi-handle").first, ("ArrowRight", "ArrowLeft", "ArrowUp", "End", "Home")),
    ):
        place.focus()
        cell = page.evaluate(ACTIVE_CELL)
        for key in keys:
            page.keyboard.press(key)
            page.wait_for_timeout(200)
            assert page.evaluate(ACTIVE_CELL) == cell, key
            assert page.evaluate("document.activeElement.closest('.lazydestroy') !== null"), key
    assert page.locator(".jp-mod-collapsed, .jp-collapseHeadingButton.jp-mod-collapsed").count() == 0
    page.keyboard.press("Shift+Enter")  # what is not a control's own still works
    notebook.until(lambda: page.evaluate(ACTIVE_CELL) != cell, "the next cell")


DIRTY = "window.jupyterapp.shell.currentWidget.context.model.dirty"
KERNEL_IN_NOTEBOOK = "window.jupyterapp.shell.currentWidget.context.model.getMetadata('language_info').version"
ACTIVE_CELL = "window.jupyterapp.shell.currentWidget.content.activeCellIndex"
