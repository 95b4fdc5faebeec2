"""What a reader has in one view of a small screen: the first picture of the course, each control beside its picture."""

from __future__ import annotations

import pytest

from benchmarks.browser import Notebook
from tests.in_browser import MARKS, SCREENSHOTS
from tests.refresh_notebooks import FOLDER, ROOT

pytestmark = MARKS

SCREENS = {"laptop": (1366, 768), "projector": (1280, 720)}

WITH_SLIDERS = [
    path
    for path in (FOLDER / "index.ipynb", *sorted((FOLDER / "course").glob("*.ipynb")))
    if "explore_" in path.read_text(encoding="utf-8")
]

PANEL = """Array.from(document.querySelectorAll('.jp-NotebookPanel:not(.lm-mod-hidden) *'))
    .find(e => e.scrollHeight > e.clientHeight + 100 && getComputedStyle(e).overflowY.match(/auto|scroll/))"""

IN_ONE_VIEW = f"""root => {{
    const panel = {PANEL};
    const boxes = [...root.querySelectorAll('.widget-slider, .widget-dropdown, .widget-play, img')]
        .filter(e => e.offsetParent).map(e => e.getBoundingClientRect());
    return [Math.max(...boxes.map(box => box.bottom)) - Math.min(...boxes.map(box => box.top)), panel.clientHeight];
}}"""
"""How high the controls and pictures of a widget are together, and how high the part of the page that is seen is."""

LOWEST = f"""image => {{
    const panel = {PANEL};
    panel.scrollTop = 0;
    return [image.getBoundingClientRect().bottom, panel.getBoundingClientRect().bottom];
}}"""


@pytest.mark.parametrize("path", WITH_SLIDERS, ids=lambda path: str(path.relative_to(FOLDER)))
def test_controls_and_their_picture_are_seen_together(path, opened):
    notebook = opened(str(path.relative_to(ROOT)))
    for size, (width, height) in SCREENS.items():
        notebook.page.set_viewport_size({"width": width, "height": height})
        measured = 0
        for widget in notebook.widgets():
            if widget.root.locator("img:visible").count() == 0:
                continue
            widget.at_rest()
            together, seen = widget.root.evaluate(IN_ONE_VIEW)
            assert together <= seen, (size, widget.controls()[0].label)
            measured += 1
        assert measured


def test_the_first_screen_of_the_index_has_its_picture(chrome, address):
    """As it is committed, before anything runs."""
    notebook = Notebook(chrome, address, "notebooks/index.ipynb")
    try:
        width, height = SCREENS["laptop"]
        notebook.page.set_viewport_size({"width": width, "height": height})
        picture = notebook.page.locator(".jp-OutputArea-output img").first
        notebook.until(lambda: picture.evaluate("image => image.naturalHeight > 100"), "the picture is there")
        lowest, end = picture.evaluate(LOWEST)
        assert lowest <= end
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        notebook.page.screenshot(path=SCREENSHOTS / "index-first-screen.png")
        assert notebook.complaints == []
    finally:
        notebook.close()
