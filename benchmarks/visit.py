"""What a visitor of the site waits for: measured in Chromium, from the folder that `make site` has built."""

from __future__ import annotations

import gzip
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .browser import Notebook, browser, missing, server
from .measure import NotHereError, Row, seconds
from .site import Served, served, visitor
from .sizes import QUICK, Sizes
from .slider import LISTEN, _seen

ROOT = Path(__file__).parent.parent
SITE = ROOT / "build" / "site"
LESSON = "course/01-why-is-the-reboot-slow.ipynb"
ADDRESS = f"lite/lab/index.html?workspace=measured&path={LESSON}"
FIRST_VISIT_MAX = 25.0
COMING_BACK_MAX = 15.0
STEP_MAX = 3.0


def visit(sizes: Sizes) -> list[Row]:
    """A first visit and another one, and a slider step beside one in JupyterLab.

    Raises
    ------
    NotHereError
        If there is no browser to measure in, or no site.
    """
    if missing():
        raise NotHereError(missing())
    if not (SITE / "lite").is_dir():
        raise NotHereError(f"there is no site in {SITE.relative_to(ROOT)}: make site")
    repetitions = 3 if sizes == QUICK else 15
    with tempfile.TemporaryDirectory() as folder, served(SITE) as here:
        profile = Path(folder) / "profile"
        first, _ = _moved(profile, here, 0)
        plain, packed = _loaded(here)
        again, step = _moved(profile, here, repetitions)
        native = _native(Path(folder), repetitions)
    loaded = f"{plain:.1f} MB, {packed:.1f} MB compressed; {seconds(first)}"
    return [
        Row("first visit of the site, to the first picture moved", loaded, "–", plain, " MB", FIRST_VISIT_MAX),
        Row("coming back, to the first picture moved", seconds(again), "–", again, " s", COMING_BACK_MAX),
        Row(
            "slider step in lesson 1 in the browser",
            seconds(step),
            f"{seconds(native)} JupyterLab",
            step / native,
            " ×",
            STEP_MAX,
        ),
    ]


def _loaded(here: Served) -> tuple[float, float]:
    """Megabytes that were loaded, and what a host that compresses would have sent."""
    packed = 0
    for path in here.sent:
        file = SITE / path.partition("?")[0].lstrip("/")
        packed += len(gzip.compress((file / "index.html" if file.is_dir() else file).read_bytes()))
    return sum(here.sent.values()) / 1e6, packed / 1e6


def _moved(profile: Path, here: Served, repetitions: int) -> tuple[float, float]:
    """Seconds until a slider of lesson 1 has moved a picture, and of a step after that."""
    began = time.perf_counter()
    with visitor(profile, here) as guest:
        notebook = guest.runs(ADDRESS)
        return _measured(notebook, repetitions, lambda: time.perf_counter() - began)


def _native(folder: Path, repetitions: int) -> float:
    """Seconds of a step in JupyterLab."""
    (folder / "root").mkdir()
    (folder / "root" / "lesson.ipynb").write_bytes((ROOT / "notebooks" / LESSON).read_bytes())
    with server(folder) as address, browser() as running:
        notebook = Notebook(running, address, "lesson.ipynb")
        try:
            return _measured(notebook, repetitions, lambda: 0.0)[1]
        finally:
            notebook.close()


def _measured(notebook: Notebook, repetitions: int, clock: Callable[[], float]) -> tuple[float, float]:
    """Run a notebook and move its first slider: what the clock says at the first picture, and seconds of a step."""
    notebook.run_all(1000)
    handle = notebook.page.locator(".lazydestroy .noUi-handle").first
    press(notebook, handle, "ArrowRight")
    moved = clock()
    steps = []
    for key in ("ArrowLeft", "ArrowRight") * repetitions:
        notebook.page.wait_for_timeout(1000)
        steps.append(press(notebook, handle, key))
    return moved, statistics.median(steps) if steps else 0.0


def press(notebook: Notebook, handle: Any, key: str) -> float:
    """Press a key on a slider, and return the seconds until the browser has the new picture."""
    notebook.page.evaluate(f"window.measured || ({LISTEN})()")
    handle.focus()
    notebook.page.keyboard.press(key)
    notebook.until(lambda: _seen(notebook) > 0, "another picture", 60)
    milliseconds, _ = notebook.page.evaluate("measured.pictures[0]")
    return float(milliseconds) / 1000
