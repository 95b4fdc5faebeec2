"""The notebooks in a real browser: every control moves something, nothing complains, everything fits.

Screenshots of what was seen are in build/screenshots.
"""

from __future__ import annotations

import os
import re
import shutil

import pytest
from refresh_notebooks import FOLDER, ROOT, notebooks

from benchmarks.browser import Notebook, browser, missing, server

SCREENSHOTS = ROOT / "build" / "screenshots"
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
WIDTHS = (1024, 1920)


MISSING = missing()
if MISSING and os.environ.get("REQUIRE_BROWSER"):
    raise RuntimeError(MISSING)

pytestmark = [pytest.mark.notebooks, pytest.mark.skipif(bool(MISSING), reason=MISSING)]

WITH_WIDGETS = [path for path in notebooks() if "from lazydestroy.widgets import" in path.read_text(encoding="utf-8")]
BENCH = "notebooks/lab.ipynb"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(FOLDER, folder / "root" / "notebooks")
    with server(folder) as found:
        yield found


@pytest.fixture(scope="module")
def chrome():
    with browser() as running:
        yield running


@pytest.fixture
def opened(chrome, address):
    """Opens a notebook and runs all of it."""
    there = []

    def open_one(path):
        there.append(Notebook(chrome, address, path))
        there[-1].run_all()
        return there[-1]

    yield open_one
    for notebook in there:
        notebook.close()


def test_there_are_notebooks_with_widgets():
    assert len(WITH_WIDGETS) >= 8


@pytest.mark.parametrize("path", WITH_WIDGETS, ids=lambda path: str(path.relative_to(FOLDER)))
def test_every_control_moves_something_and_everything_fits(path, opened):
    notebook = opened(str(path.relative_to(ROOT)))
    assert notebook.errors() == []
    dead = []
    for number, widget in enumerate(notebook.widgets()):
        widget.at_rest()
        look_at(notebook, widget, f"{path.stem}-{number}")
        for control in widget.controls():
            if control.kind != "play" and not control.moves_something():
                dead.append(control.label)
    assert dead == []
    assert notebook.errors() == []
    assert notebook.complaints == []


def look_at(notebook, widget, name):
    """See that everything fits, in both themes and widths, and keep a picture of it."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for theme, full_name in THEMES.items():
        notebook.execute("apputils:change-theme", theme=full_name)
        for width in WIDTHS:
            notebook.page.set_viewport_size({"width": width, "height": 1000})
            widget.at_rest()
            assert widget.too_wide() == [], (name, theme, width)
            notebook.page.set_viewport_size({"width": width, "height": 3000})  # else only a part is in the picture
            widget.root.screenshot(path=SCREENSHOTS / f"{name}-{theme}-{width}.png")
    notebook.execute("apputils:change-theme", theme=THEMES["light"])


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
    widget.root.get_by_role("button", name="Reset").click()
    widget.at_rest()
    yield widget
    assert lab.errors() == [] and lab.complaints == []


def control(widget, label):
    return next(control for control in widget.controls() if label in control.label)


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
    control(bench, "memory of the guest").press(*["ArrowRight"] * 3)
    cancel = bench.root.get_by_role("button", name="Cancel")
    cancel.wait_for(state="visible", timeout=5000)
    assert bench.root.locator(".progress, .widget-hprogress").first.is_visible()
    assert bench.pictures() == before
    cancel.focus()
    page.keyboard.press("Space")
    bench.notebook.until(lambda: any("Stopped." in words for words in bench.shown()), "it says that it stopped", 3)
    assert bench.pictures() == before
    assert not cancel.is_visible()


def test_play_shows_one_moment_after_the_other(bench):
    play = next(control for control in bench.controls() if control.kind == "play")
    seen = set()
    play.press("Space")
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

    before = places()
    for label in ("memory of the guest", "cost of a destroy", "kernel", "new guest", "who else asks"):
        assert control(bench, label).moves_something()
        assert places() == before, label


def test_a_story_is_a_click_and_reset_puts_all_back(bench):
    page = bench.notebook.page
    for story, says in (
        ("tight host", "demand='4 GiB/s'"),
        ("reboot loop", "ld.reboot_loop("),
        ("Reset", "ld.reboot("),
    ):
        bench.root.get_by_role("button", name=story, exact=True).last.click()
        bench.notebook.until(lambda says=says: says in code(bench), story)
        bench.at_rest()
    assert code(bench) == "ld.reboot('64 GiB')"
    assert page.locator("[role=alert]").count() == 0
