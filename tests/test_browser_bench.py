"""The lab bench in a real browser: quick hands, long work, moving pictures."""

from __future__ import annotations

import re

import pytest

from benchmarks.browser import Notebook
from tests.in_browser import BENCH, MARKS, try_everything

pytestmark = MARKS

SCREENS = ((1366, 768), (1280, 720))
"""A small laptop, and a projector."""


@pytest.fixture(scope="module")
def lab(chrome, address):
    notebook = Notebook(chrome, address, BENCH)
    notebook.run_all()
    yield notebook
    notebook.close()


@pytest.fixture
def bench(lab):
    """The lab bench, as it is at the beginning."""
    (widget,) = lab.widgets()
    widget.at_rest()
    widget.root.get_by_role("button", name="Reset", exact=True).click()
    widget.at_rest()
    yield widget
    assert lab.errors() == [] and lab.complaints == []


def control(widget, label):
    return next(control for control in widget.controls() if label in control.label)


def open_assumptions(widget):
    """Unfold the costs and the host."""
    if not control_is_there(widget, "cost of a destroy"):
        widget.root.get_by_text("Assumptions: what calls cost").click()
        widget.notebook.until(lambda: control_is_there(widget, "cost of a destroy"), "they are unfolded")


def control_is_there(widget, label):
    return any(label in control.label for control in widget.controls())


def code(widget):
    """The line that makes what is shown."""
    return next(re.search(r"ld\..*", words)[0] for words in widget.shown() if "The same in code" in words)


def test_a_slider_moved_fast_ends_on_its_last_value_and_leaves_no_queue(bench):
    memory = control(bench, "memory of the guest")
    memory.press(*["ArrowLeft"] * 6, *["ArrowRight"] * 3, *["ArrowLeft"] * 11)
    shown = bench.at_rest(within=4)
    assert memory.readout == "1 GiB"
    assert code(bench) == "ld.reboot('1 GiB')"
    assert any("reboot of 1 GiB" in words for words in shown)
    bench.notebook.page.wait_for_timeout(2000)
    assert bench.shown() == shown


def test_long_work_shows_how_far_it_is_and_can_be_cancelled_and_the_pictures_stay(bench):
    page = bench.notebook.page
    control(bench, "it uses its memory").press("Space", "ArrowDown", "ArrowDown", "Enter")
    bench.at_rest()
    assert "touch='random'" in code(bench)
    before = bench.pictures()
    memory = control(bench, "memory of the guest")
    memory.press(*["ArrowRight"] * 3)
    bench.notebook.until(lambda: memory.readout == "512 GiB", "the last size", 3)  # else Cancel may be for another one
    cancel = bench.root.get_by_role("button", name="Cancel")
    cancel.wait_for(state="visible", timeout=5000)
    bench.root.locator(".progress, .widget-hprogress").first.wait_for(state="visible", timeout=1000)
    assert bench.pictures() == before
    cancel.focus()
    page.keyboard.press("Space")
    bench.notebook.until(lambda: any("Stopped." in words for words in bench.shown()), "it says that it stopped", 3)
    assert bench.pictures() == before
    assert not cancel.is_visible()


def step(bench):
    """Where the slider of moments stands."""
    return float(bench.root.locator(".widget-play + .widget-slider .noUi-handle").get_attribute("aria-valuenow"))


def test_play_shows_one_moment_after_the_other(bench):
    bench.root.get_by_role("tab", name="map").click()
    play = next(control for control in bench.controls() if control.kind == "play")
    seen = set()
    play.press("Space")
    bench.notebook.until(lambda: 1 <= step(bench) < 10, "it plays from the start", 5)
    for _ in range(40):
        seen.add(bench.pictures())
        bench.notebook.page.wait_for_timeout(100)
    play.place.locator("button").last.press("Space")
    assert len(seen) > 5
    bench.at_rest()


def test_pictures_keep_their_place_whatever_is_moved(bench):
    def places():
        return bench.root.evaluate(
            "root => [...root.querySelectorAll('img')].map(image => {"
            " const box = image.getBoundingClientRect(), from = root.getBoundingClientRect();"
            " return [box.x - from.x, box.y - from.y, box.width, box.height].map(Math.round); })"
        )

    bench.root.get_by_role("tab", name="timeline").click()
    open_assumptions(bench)
    before = places()
    for label in ("memory of the guest", "cost of a destroy", "kernel", "new guest", "who else asks"):
        assert control(bench, label).moves_something()
        assert places() == before, label


def test_a_story_is_a_click_and_reset_puts_all_back(bench):
    page = bench.notebook.page
    for story, says in (
        ("tight host", "demand='4 GiB/s'"),
        ("six resets", "ld.reboot_loop("),
        ("Reset", "ld.reboot("),
    ):
        bench.root.get_by_role("button", name=story, exact=True).last.click()
        bench.notebook.until(lambda says=says: says in code(bench), story)
        bench.at_rest()
    assert code(bench) == "ld.reboot('64 GiB')"
    assert page.locator("[role=alert]").count() == 0


def test_every_control_moves_something_and_everything_fits(bench):
    open_assumptions(bench)
    try_everything(bench.notebook, "lab")


@pytest.mark.parametrize("size", SCREENS)
@pytest.mark.parametrize("tab", ["timeline", "map", "memory", "scaling"])
def test_sliders_and_picture_are_in_the_window_together(bench, size, tab):
    page = bench.notebook.page
    page.set_viewport_size(dict(zip(("width", "height"), size, strict=True)))
    bench.root.get_by_role("tab", name=tab).click()
    bench.root.evaluate("root => root.scrollIntoView()")
    bench.at_rest()
    bottom = page.locator("#jp-bottom-panel, .jp-StatusBar-Widget").last.bounding_box()["y"]
    top = page.locator(".jp-NotebookPanel-toolbar:visible").bounding_box()
    assert bench.root.locator("img:visible").count() == 1
    parts = bench.root.locator(".noUi-handle:visible, img:visible").all()
    assert len(parts) >= 4
    for part in parts:
        box = part.bounding_box()
        assert box["y"] >= top["y"] + top["height"] - 1
        assert box["y"] + box["height"] <= bottom
        assert box["x"] + box["width"] <= size[0]
