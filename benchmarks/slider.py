"""What a person at the lab bench waits for: measured in JupyterLab, in Chromium, from the key to the picture."""

from __future__ import annotations

import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from .browser import Notebook, browser, missing, server
from .measure import NotHereError, Row, seconds
from .sizes import QUICK, Sizes

LAB = Path(__file__).parent.parent / "notebooks" / "reference" / "lab.ipynb"
"""The lab bench."""

BENCH = "from lazydestroy.widgets import bench\n\nbench()"

PEER = """\
import matplotlib.pyplot as plt
from ipywidgets import IntSlider, interact

%matplotlib inline


@interact(memory=IntSlider(64, 1, 1024))
def downtime(memory):
    plt.bar(["before", "after"], [memory * 0.4, 0.8])
    plt.ylabel("downtime (s)")
    plt.show()
"""
"""What anybody would write first: two bars, drawn afresh at each step."""

LISTEN = """() => {
    window.measured = {key: 0, pictures: []};
    document.addEventListener("keydown", () => { measured.key = performance.now(); measured.pictures = []; }, true);
    document.addEventListener("load", event => {
        const image = event.target;
        if (image.tagName !== "IMG") return;
        measured.pictures.push([performance.now() - measured.key, image.offsetParent !== null]);
    }, true);
}"""
"""Notes for each picture when the browser has it ready to be painted, milliseconds after the last key, and whether the
picture is in view: those in closed tabs are not."""

PICTURES = 4


def slider(sizes: Sizes) -> list[Row]:
    """A slider step to 64 GiB beside one of plain `interact`; and how long the first minute takes.

    The slider is moved back to where it was. So the run before the series is known, which one picture shows beside the
    run at hand; at a new size it is made first.

    Raises
    ------
    NotHereError
        If there is no browser to measure in; the message says what to install.
    """
    if missing():
        raise NotHereError(missing())
    repetitions = 3 if sizes == QUICK else 15
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        root.mkdir()
        (root / "measured.ipynb").write_text(json.dumps(_notebook(BENCH, PEER)))
        shutil.copy(LAB, root)
        began = time.perf_counter()
        with server(Path(folder)) as address, browser() as running:
            minute = _first_minute(running, address, began)
            opened, last, peer = _steps(running, address, repetitions)
    beside = f"{seconds(peer)} interact, two bars"
    return [
        Row("slider back to 64 GiB in JupyterLab, picture in view", seconds(opened), beside, opened / peer, " ×", 1.0),
        Row(f"the same, {PICTURES - 1} more in closed tabs as well", seconds(last), beside, last / peer, " ×", 1.0),
        Row("from `make lab` to the first picture moved", seconds(minute), "a minute", minute, " s", 60),
    ]


def _notebook(*sources: str) -> dict[str, Any]:
    """A notebook of code cells."""
    blank: dict[str, Any] = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": []}
    return {
        "cells": [{**blank, "id": f"cell-{number}", "source": source} for number, source in enumerate(sources)],
        "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _first_minute(running: Any, address: str, began: float) -> float:
    """Open the lab bench, run it, press a key on its first slider, see the picture change."""
    notebook = Notebook(running, address, LAB.name)
    try:
        notebook.run_all()
        widget = notebook.widgets()[0]
        before = widget.pictures()
        widget.root.locator(".noUi-handle").first.focus()
        notebook.page.keyboard.press("ArrowRight")
        notebook.until(lambda: widget.pictures() != before, "the first picture moves")
        return time.perf_counter() - began
    finally:
        notebook.close()


def _steps(running: Any, address: str, repetitions: int) -> tuple[float, float, float]:
    """Seconds from a key to the bench's picture in view, to the last of all, and to the peer's picture: medians."""
    notebook = Notebook(running, address, "measured.ipynb")
    try:
        notebook.run_all()
        ours = notebook.widgets()[0].root.locator(".noUi-handle").first
        peer = notebook.page.locator(".widget-interact .noUi-handle").first
        notebook.page.evaluate(LISTEN)
        found: dict[str, list[list[tuple[float, bool]]]] = {"ours": [], "peer": []}
        for turn in range(repetitions + 1):
            for name, handle, pictures in (("ours", ours, PICTURES), ("peer", peer, 1)):
                for key in ("ArrowLeft", "ArrowRight"):  # there and back: what counts is the step that ends at 64 GiB
                    handle.focus()
                    notebook.page.wait_for_timeout(400)
                    notebook.page.keyboard.press(key)
                    notebook.until(lambda wanted=pictures: _seen(notebook) >= wanted, "the pictures change", 20)
                    notebook.page.wait_for_timeout(600)
                if turn:
                    found[name].append(notebook.page.evaluate("measured.pictures"))
        viewed = [[ms for ms, in_view in step if in_view] for step in found["ours"]]
        if any(len(step) != PICTURES for step in found["ours"]) or any(len(times) != 1 for times in viewed):
            raise AssertionError(f"{PICTURES} pictures change with each step, one in view, but not here: {found}")
        return (
            statistics.median(times[0] for times in viewed) / 1000,
            statistics.median(step[-1][0] for step in found["ours"]) / 1000,
            statistics.median(step[-1][0] for step in found["peer"]) / 1000,
        )
    finally:
        notebook.close()


def _seen(notebook: Notebook) -> int:
    return int(notebook.page.evaluate("measured.pictures.length"))
