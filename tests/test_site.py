"""The web site: pages that lead somewhere, and notebooks that run in the reader's browser, with the network cut.

SITE names the folder that `make site` has built.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
import zipfile
from pathlib import Path

import nbformat
import pytest
from test_notebooks import committed, said

import lazydestroy as ld
from benchmarks.site import RUN, SiteNotebook, served, visitor
from benchmarks.visit import press
from lazydestroy.exercises.kept import OFF, VARIABLE
from tests.in_browser import MARKS, SCREENSHOTS
from tests.refresh_notebooks import FOLDER, normalised
from tools.site import pages, runtime
from tools.site.lite import KERNEL

pytestmark = MARKS

LESSON = "course/01-why-is-the-reboot-slow.ipynb"
SAMPLE = ("course/03-old-pages-new-guest.ipynb", "reference/lab.ipynb")
"""What is run unless SITE_NOTEBOOKS is "all"; a visit runs lesson 1."""

PHONE = {"width": 390, "height": 844}

NOT_PAGES = ("lite/", "_static/", "_modules/")
"""JupyterLite, the theme's templates, and sources in which a line is as long as it is."""

PATIENCE = 1200.0
"""Seconds for all cells of a notebook, at most: the model is several times slower there."""

ALL = [path.as_posix() for path in pages.published()]
CHOSEN = ALL if os.environ.get("SITE_NOTEBOOKS") == "all" else SAMPLE


@pytest.fixture(scope="module")
def reading():
    """The pages by themselves."""
    if "SITE" not in os.environ:
        pytest.skip("SITE is not set: make site, then SITE=build/site")
    return Path(os.environ["SITE"])


@pytest.fixture(scope="module")
def site(reading):
    """The site with JupyterLite."""
    if not (reading / "lite").exists():
        lacking = f"{reading} has pages to read only"
        if os.environ.get("REQUIRE_SITE"):
            pytest.fail(lacking)
        pytest.skip(lacking)
    return reading


@pytest.fixture(scope="module")
def here(site):
    with served(site) as found:
        yield found


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    return tmp_path_factory.mktemp("profile")


@pytest.fixture(scope="module")
def as_committed(site, tmp_path_factory):
    """JupyterLite as notebooks are executed elsewhere before they are committed: no progress is kept."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(site / "lite", folder / "lite")
    settings = folder / "lite" / "jupyter-lite.json"
    config = json.loads(settings.read_text(encoding="utf-8"))
    kernel = config["jupyter-config-data"]["litePluginSettings"][KERNEL]
    kernel["loadPyodideOptions"]["env"] = {VARIABLE: OFF}
    settings.write_text(json.dumps(config), encoding="utf-8")
    with served(folder) as found:
        yield found


@pytest.fixture
def reader(as_committed, profile):
    """A visitor who comes back: the browser's cache is warm from the second notebook on."""
    with visitor(profile, as_committed) as found:
        yield found


# To read


def test_every_notebook_but_the_solutions_is_a_page(reading):
    assert {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.ipynb")} - set(ALL) == {
        path.relative_to(FOLDER).as_posix() for path in (FOLDER / "exercises" / "source").rglob("*.ipynb")
    }
    for path in ALL:
        assert (reading / path).with_suffix(".html").is_file()


def test_every_link_leads_somewhere(reading):
    assert pages.broken_links(reading) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path):
    (tmp_path / "one.html").write_text(
        '<h1 id="here"></h1><a href="two.html">2</a><a href="#here">1</a><a href="#gone">0</a>'
    )
    assert pages.broken_links(tmp_path) == ["one.html: #gone", "one.html: two.html"]


def test_every_picture_of_a_notebook_has_words(reading):
    without = [
        f"{path}: {tag}"
        for path in ALL
        for tag in re.findall(r"<img[^>]*>", (reading / path).with_suffix(".html").read_text(encoding="utf-8"))
        if not re.search(r'alt="[^"]{20,}"', tag)
    ]
    assert without == []


def test_a_module_loses_the_names_of_its_functions_and_nothing_else():
    header, linking = b"\0asm\1\0\0\0", b"\0\x0a\x08dylink.0\7"
    long_names, code = b"\0\x85\1\4name" + b"\2" * 128, b"\x0a\3abc"
    assert runtime.without_names(header + linking + long_names + code) == header + linking + code
    with pytest.raises(ValueError, match="begins with"):
        runtime.without_names(b"\x7fELF")


def test_without_a_kernel_a_page_reads_well_and_asks_nobody_else(reading, tmp_path):
    with served(reading) as there, visitor(tmp_path, there) as guest:
        page = guest.opens(Path(LESSON).with_suffix(".html").as_posix())
        prediction = page.locator(".lazydestroy-folded details").first
        assert not prediction.evaluate("details => details.open")
        assert page.locator("article img").first.evaluate("image => image.naturalWidth") > 300
        page.locator("article").get_by_role("link", name="vCPUs").first.click()
        page.wait_for_url("**/reference/glossary.html#*")
        assert page.evaluate("document.querySelector(location.hash).closest('section').innerText").startswith("vCPU")
        page.goto(f"{there.address}/search.html?q=downtime")
        page.wait_for_selector("#search-results li")
        assert guest.elsewhere == []


def test_no_page_is_wider_than_a_phone(reading, tmp_path):
    """A table or a picture that is wider scrolls by itself."""
    found = sorted(path.relative_to(reading).as_posix() for path in reading.rglob("*.html"))
    with served(reading) as there, visitor(tmp_path, there) as guest:
        page = guest.opens("index.html")
        page.set_viewport_size(PHONE)
        wide = {}
        for path in found:
            if not path.startswith(NOT_PAGES):
                page.goto(f"{there.address}/{path}")
                wide[path] = page.evaluate("document.documentElement.scrollWidth")
        assert len(wide) > len(ALL)
        assert {path: width for path, width in wide.items() if width > PHONE["width"]} == {}


# To run


NOT_FOR_A_BROWSER = {".pyx", ".pxi", ".pyi", ".c", ".so", ".pyc"}


def test_the_package_in_the_browser_has_all_its_files(site):
    (wheel,) = (site / "lite" / "pyodide").glob("lazydestroy-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        there = {name for name in archive.namelist() if name.startswith("lazydestroy/")}
    package = FOLDER.parent / "lazydestroy"
    expected = {
        path.relative_to(FOLDER.parent).as_posix()
        for path in package.rglob("*")
        if path.is_file() and path.suffix not in NOT_FOR_A_BROWSER
    }
    assert there == expected | {"lazydestroy/_core.abi3.so"}


COMPILED = [
    ("python_stdlib.zip", "dataclasses"),
    ("numpy-*.whl", "numpy/__init__"),
    ("matplotlib-*.whl", "matplotlib/figure"),
]


@pytest.mark.parametrize("file, module", COMPILED)
def test_what_a_first_picture_needs_has_been_compiled(site, file, module):
    (found,) = (site / "lite" / "pyodide").glob(file)
    with zipfile.ZipFile(found) as archive:
        names = archive.namelist()
    assert f"{module}.pyc" in names and f"{module}.py" not in names


@pytest.mark.parametrize("path", CHOSEN)
def test_it_says_in_the_browser_what_is_committed(path, reader):
    notebook = reader.runs(pages.lite_address(Path(path)))
    notebook.run_all(PATIENCE)
    assert_says_what_is_committed(notebook, path)
    assert reader.elsewhere == []


def assert_says_what_is_committed(notebook, path):
    notebook.page.wait_for_timeout(1000)
    assert notebook.errors() == []
    assert said(normalised(nbformat.from_dict(notebook.content()))) == said(committed(FOLDER / path))


DRAWN = """\
import lazydestroy as ld
run = ld.reboot("64 GiB")
pictures = [ld.series.v1[number].demonstrate().plot().png() for number in range(1, 12)]
pictures += [run.plot().png(), ld.compare("4 GiB").plot("shutdown").png(), ld.reboot("4 GiB", film=True).plot().png()]
print("drawn:", len(pictures))"""


def test_pictures_that_no_lesson_has_are_drawn_as_well(reader):
    """NumPy's integers have 32 bits there."""
    notebook = reader.runs(pages.lite_address(Path(LESSON)))
    answer(notebook, "problem.check(", DRAWN)
    shown = notebook.page.locator(".jp-OutputArea-output", has_text="drawn:")
    notebook.until(lambda: shown.count() or notebook.errors(), "the pictures are drawn", PATIENCE)
    assert notebook.errors() == []
    assert shown.inner_text().strip() == "drawn: 14"


SLOW = """\
import time
from lazydestroy.widgets import explore_reboot
slow = explore_reboot(memory="1 GiB", controls=["memory"])
simulate = slow._simulate
def takes_a_minute(progress, **values):
    ends = time.perf_counter() + 60
    while time.perf_counter() < ends:
        progress(0.5)
    return simulate(progress=progress, **values)
slow._simulate = takes_a_minute
slow"""


def test_long_work_can_be_stopped(reader):
    """It runs on the event loop itself, but lets it act now and then."""
    notebook = reader.runs(pages.lite_address(Path(LESSON)))
    answer(notebook, "problem.check(", SLOW)
    (widget,) = [each for each in notebook.widgets() if each.controls()]
    widget.controls()[0].press("ArrowRight")
    cancel = widget.root.get_by_role("button", name="Cancel")
    cancel.click()  # waits until it is seen
    notebook.until(lambda: "Stopped." in widget.root.inner_text(), "it has stopped", 30)


def test_a_visit_and_another_one(here, tmp_path):
    """Read lesson 1, press the button, run it, move the slider, do an exercise, leave; come back: it is still there."""
    steps, began = {}, time.perf_counter()

    def done(step):
        nonlocal began
        steps[step], began = time.perf_counter() - began, time.perf_counter()

    here.sent.clear()
    with visitor(tmp_path, here) as guest:
        page = guest.opens("index.html")
        page.get_by_role("link", name="Why is the reboot slow?").first.click()
        page.wait_for_url("**/course/01-*.html")
        done("page")
        page.click(RUN)
        notebook = SiteNotebook(page)
        done("kernel")
        notebook.run_all(PATIENCE)
        assert_says_what_is_committed(notebook, LESSON)
        done("cells")
        widget = next(each for each in notebook.widgets() if each.controls() and each.controls()[0].kind == "slider")
        before = widget.at_rest()
        done("at rest")
        assert 0 < press(notebook, widget.root.locator(".noUi-handle").first, "ArrowRight") < PATIENCE
        assert widget.pictures() != before[: len(widget.pictures())]
        done("slider")
        answer(notebook, "problem.check(", f'problem.check("{right_time()}")')
        notebook.until(
            lambda: "✔" in page.locator(".jp-Cell", has_text="problem.check(").last.inner_text(), "it is right"
        )
        notebook.execute("docmanager:save")
        notebook.until(lambda: not page.evaluate(IS_DIRTY), "it is saved")
        assert guest.elsewhere == []
        first_visit = sum(here.sent.values())
    with visitor(tmp_path, here) as guest:
        began = time.perf_counter()
        notebook = guest.runs(pages.lite_address(Path(LESSON)))
        done("kernel again")
        assert f'problem.check("{right_time()}")' in str(notebook.content())
        answer(notebook, "problem.check(", "import lazydestroy as ld; list(ld.progress().solved)")
        notebook.until(
            lambda: "['reboot-time, seed 1']" in notebook.page.locator("body").inner_text(), "it is remembered"
        )
        assert guest.elsewhere == []
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    seconds = ", ".join(f"{step} {taken:.1f} s" for step, taken in steps.items())
    print(f"\na first visit loads {first_visit / 1e6:.1f} MB, not compressed; {seconds}")


IS_DIRTY = "window.jupyterapp.shell.currentWidget.context.model.dirty"


def right_time() -> str:
    """What the exercise of lesson 1 wants."""
    before = ld.series.v1.upto(0)
    return f"{ld.reboot('24 GiB', used=0.75, kernel=before, new_guest='normal', touch='none').downtime:.2f} s"


def answer(notebook, there, text):
    """Write something else into the cell in which there is something, and run it."""
    editor = notebook.page.locator(".jp-CodeCell", has_text=there).last.locator(".cm-content").element_handle()
    editor.focus()  # a page whose pictures are still coming moves away below a click
    notebook.until(lambda: editor.evaluate("editor => editor === document.activeElement"), "the cell has the focus")
    notebook.page.keyboard.press("Control+a")
    notebook.page.keyboard.insert_text(text)
    notebook.until(lambda: editor.inner_text().strip() == text, f"{editor.inner_text()!r} is {text!r}")
    notebook.page.keyboard.press("Control+Enter")
