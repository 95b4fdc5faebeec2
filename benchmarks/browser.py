"""JupyterLab in a real browser: a server of its own, a page for each notebook, controls moved by keyboard.

Chromium is the system's (``chromium``, or what ``CHROMIUM`` names); Playwright only drives it, and downloads none.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PATIENCE = 60.0
"""Seconds to wait for anything, at most."""

CALM = 0.4
"""Seconds without a change after which something has come to rest."""

ROOT = ".lazydestroy"
"""The class of every widget of the course."""

SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    # all cells are in the page, also those that are not seen
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
}

CONTENTS = "lazydestroy.contents.CourseContents"
"""Who serves the notebooks, as with ``make lab``."""

NOT_OURS = (
    # the page asks for a workspace or a file of settings that nobody has made yet
    r"Failed to load resource: the server responded with a status of 404",
    # an extension of JupyterLab asks for a service that is not installed
    r"Failed to load resource: the server responded with a status of 50\d",
    # the connection to a kernel that was shut down on purpose
    r"WebSocket connection to .* failed",
)
"""Messages of JupyterLab and of the browser, which are there without our notebooks as well."""


def missing() -> str:
    """What is not installed that all this needs; empty: nothing."""
    if chromium() is None:
        return "no Chromium: install your system's package chromium, or say with CHROMIUM where it is"
    if any(importlib.util.find_spec(name) is None for name in ("playwright", "jupyterlab")):
        return 'no Playwright or no JupyterLab: pip install -e ".[bench]"'
    return ""


def environment(settings: str) -> dict[str, str]:
    """As on a computer whose user has changed no settings; IPython's have their own folder. No progress is kept."""
    kept = {name: value for name, value in os.environ.items() if name not in ("MPLBACKEND", "PYTHONSTARTUP")}
    if "PYTHONPATH" in kept:  # a kernel starts in another folder
        kept["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, kept["PYTHONPATH"].split(os.pathsep)))
    return {**kept, "IPYTHONDIR": settings, "PYDEVD_DISABLE_FILE_VALIDATION": "1", "LAZYDESTROY_PROGRESS": "off"}


def chromium() -> str | None:
    """Where the system's Chromium is."""
    names = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    return next((path for path in map(shutil.which, filter(None, names)) if path), None)


@contextlib.contextmanager
def server(folder: Path) -> Iterator[str]:
    """A JupyterLab that serves a folder on a free port of this computer; yields its address with %s for a path."""
    home, token = folder / "home", secrets.token_hex()
    for name, values in SETTINGS.items():
        path = home / "lab" / "user-settings" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--expose-app-in-browser", f"--port={port}"]
    command += ["--ip=127.0.0.1", f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder / 'root'}"]
    command += [f"--ServerApp.contents_manager_class={CONTENTS}"]
    command += ["--allow-root"] if os.geteuid() == 0 else []
    env = environment(str(home / "ipython")) | {
        "HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(home),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
    }
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        try:
            _until_it_answers(f"http://127.0.0.1:{port}/api", process, folder / "server.log")
            yield f"http://127.0.0.1:{port}/lab/workspaces/%s/tree/%s?token={token}"
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _until_it_answers(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    ends = time.monotonic() + PATIENCE
    while time.monotonic() < ends and process.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=5).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"JupyterLab does not answer: {log.read_text()[-2000:]}")


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    """Chromium, without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        running = playwright.chromium.launch(executable_path=chromium(), args=arguments)
        try:
            yield running
        finally:
            running.close()


class Notebook:
    """A notebook in a page of its own.

    Attributes
    ----------
    page : playwright.sync_api.Page
    complaints : list of str
        Errors in the browser's console, and scripts that failed: those that are ours.
    """

    def __init__(self, browser: Any, address: str, path: str, width: int = 1280) -> None:
        self._listen(browser.new_page(viewport={"width": width, "height": 1000}))
        self.page.goto(address % (re.sub(r"\W", "-", path), path))
        self._until_ready(PATIENCE)

    def _listen(self, page: Any) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.page.on("console", lambda message: self._hear(message.text if message.type == "error" else ""))
        self.page.on("pageerror", lambda error: self._hear(str(error)))
        self.page.set_default_timeout(PATIENCE * 1000)

    def _until_ready(self, within: float) -> None:
        """Wait for the notebook, and for its kernel."""
        self.page.wait_for_selector(".jp-Notebook .jp-Cell")
        self.page.wait_for_function("window.jupyterapp && document.querySelector('.jp-NotebookPanel')")
        self.execute("application:toggle-left-area")
        self.until(lambda: "Idle" in self.kernel_status(), "the kernel is there", within)

    def _hear(self, text: str) -> None:
        if text and not any(re.search(known, text) for known in NOT_OURS):
            self.complaints.append(text)

    def close(self) -> None:
        """Shut its kernel down, and close the page."""
        with contextlib.suppress(Exception):
            self.execute("kernelmenu:shutdown")
        self.page.close()

    def execute(self, command: str, **arguments: Any) -> None:
        """Have JupyterLab do something."""
        self.page.evaluate(
            "([command, args]) => window.jupyterapp.commands.execute(command, args)", [command, arguments]
        )

    def until(self, holds: Any, what: str, within: float = PATIENCE) -> None:
        """Wait for something."""
        ends = time.monotonic() + within
        while not holds():
            if time.monotonic() > ends:
                raise AssertionError(f"waited {within:.0f} s in vain: {what}")
            self.page.wait_for_timeout(50)

    def kernel_status(self) -> str:
        """What the bar below says of the kernel."""
        return " ".join(self.page.locator(".jp-StatusBar-TextItem, .jp-StatusBar-Right-Side").all_inner_texts() or [""])

    def run_all(self, within: float = 4 * PATIENCE) -> None:
        """Run all cells, and wait until they are done and the widgets are there.

        Raises
        ------
        AssertionError
            If a cell fails, or they take longer than `within`, in seconds.
        """
        self.execute("notebook:run-all-cells")
        has_code = self.page.evaluate(_HAS_CODE)

        def done() -> bool:
            failed = self.page.locator(_FAILED).all_inner_texts()
            assert not failed, failed
            # the input of a cell may be folded: then its number is beside what it shows
            prompts = self.page.locator(".jp-CodeCell").evaluate_all(_PROMPTS)
            return bool(prompts) == has_code and all(re.search(r"\[\d+\]", prompt) for prompt in prompts)

        self.until(done, "all cells are done", within)

    def widgets(self) -> list[Widget]:
        """The widgets of the course, in order."""
        self.until(lambda: self.page.locator(ROOT).count() > 0, "a widget is there")
        return [Widget(self, self.page.locator(ROOT).nth(place)) for place in range(self.page.locator(ROOT).count())]

    def errors(self) -> list[str]:
        """What cells say on the way to an error, or of one."""
        kinds = ("application/vnd.jupyter.error", "application/vnd.jupyter.stderr")
        return [text for kind in kinds for text in self.page.locator(f"[data-mime-type='{kind}']").all_inner_texts()]


class Widget:
    """A widget in a notebook."""

    def __init__(self, notebook: Notebook, root: Any) -> None:
        self.notebook, self.root = notebook, root

    def shown(self) -> tuple[str, ...]:
        """Pictures and words that it shows now: something else whenever it looks otherwise."""
        found: list[str] = self.root.evaluate(
            "root => [...[...root.querySelectorAll('img')].map(image => image.src),"
            " ...[...root.querySelectorAll('.widget-html')].map(words => words.innerText)]"
        )
        return tuple(found)

    def pictures(self) -> tuple[str, ...]:
        """The pictures that it shows now."""
        found: list[str] = self.root.evaluate("root => [...root.querySelectorAll('img')].map(image => image.src)")
        return tuple(found)

    def at_rest(self, within: float = PATIENCE) -> tuple[str, ...]:
        """Wait until nothing changes any more."""
        ends, since, last = time.monotonic() + within, time.monotonic(), self.shown()
        while time.monotonic() - since < CALM:
            assert time.monotonic() < ends, f"still changing after {within:.0f} s"
            self.notebook.page.wait_for_timeout(50)
            now = self.shown()
            if now != last or self.root.locator(".progress:visible, .widget-hprogress:visible").count():
                since, last = time.monotonic(), now
        return last

    def controls(self) -> list[Control]:
        """Its controls that can be moved, in order."""
        kinds = ".widget-slider, .widget-dropdown, .widget-toggle-buttons, .widget-play, .widget-button"
        # the buttons of a play control and of a row of toggles are parts of it
        own = [place for place in self.root.locator(kinds).all() if place.evaluate(_STANDS_ALONE)]
        return [Control(self, place) for place in own if place.is_visible() and place.evaluate(_CAN_BE_MOVED)]

    def too_wide(self) -> list[str]:
        """What does not fit: labels that are cut off, parts that stick out."""
        found: list[str] = self.root.evaluate(_TOO_WIDE)
        return found


_FAILED = "[data-mime-type='application/vnd.jupyter.error']"
_HAS_CODE = "[...window.jupyterapp.shell.currentWidget.content.model.cells].some(cell => cell.type === 'code')"
_PROMPTS = """cells => cells.map(cell => [...cell.querySelectorAll('.jp-InputPrompt, .jp-OutputPrompt')]
    .map(prompt => prompt.textContent).find(text => text) || '')"""
_STANDS_ALONE = "e => !(e.matches('.widget-button') && e.closest('.widget-play, .widget-toggle-buttons'))"
_CAN_BE_MOVED = "e => !e.querySelector('[disabled]') && !e.hasAttribute('disabled')"
_TOO_WIDE = """root => {
    const area = root.closest('.jp-OutputArea-output'), found = [];
    if (area.scrollWidth > area.clientWidth + 1)
        found.push(`the whole: ${area.scrollWidth} of ${area.clientWidth}`);
    for (const part of root.querySelectorAll('.widget-label, .widget-readout, button'))
        if (part.offsetParent && part.scrollWidth > part.clientWidth + 1)
            found.push(`"${part.innerText}": ${part.scrollWidth} of ${part.clientWidth}`);
    return found;
}"""


class Control:
    """A slider, a menu, a row of toggles, a button, or what plays."""

    def __init__(self, widget: Widget, place: Any) -> None:
        self.widget, self.place = widget, place
        classes = place.get_attribute("class")
        self.kind = next(
            kind for kind in ("slider", "dropdown", "toggle", "play", "button") if f"widget-{kind}" in classes
        )

    @property
    def label(self) -> str:
        """What it is called."""
        if self.kind in ("button", "play", "toggle"):
            return str(self.place.inner_text()).strip() or self.kind
        return str(self.place.locator(".widget-label").first.inner_text()).strip()

    @property
    def readout(self) -> str:
        """The value that it shows."""
        return str(self.place.locator(".widget-readout").inner_text())

    @property
    def value(self) -> str:
        """What it is set to; empty for what has no value."""
        if self.kind == "slider":
            return self.readout
        return str(self.place.locator("select").evaluate("e => e.selectedIndex")) if self.kind == "dropdown" else ""

    def press(self, *keys: str) -> None:
        """Press keys on it; in a menu one after the other, as it opens."""
        within = {"slider": ".noUi-handle", "dropdown": "select", "toggle": "button", "play": "button"}
        target = self.place.locator(within[self.kind]).first if self.kind in within else self.place
        target.focus()
        for key in keys:
            self.widget.notebook.page.keyboard.press(key)
            if self.kind == "dropdown":
                self.widget.notebook.page.wait_for_timeout(150)

    def ways(self) -> list[tuple[str, ...]]:
        """Keys that move it, one way after the other, until one shows."""
        if self.kind == "slider":
            return [("ArrowRight",), ("ArrowLeft",), ("ArrowLeft",)]
        if self.kind == "dropdown":
            return [("Space", "ArrowDown", "Enter"), ("Space", "ArrowUp", "Enter"), ("Space", "ArrowUp", "Enter")]
        if self.kind == "toggle":
            return [("Tab", "Space"), ("Space",)]
        return [("Space",)]

    def can_be_moved(self) -> bool:
        """Whether it isn't greyed out now."""
        return bool(self.place.evaluate(_CAN_BE_MOVED))

    def moves_something(self) -> bool:
        """Move it, and see whether what the widget shows changes."""
        until = self.widget.notebook.until
        for keys in self.ways():
            before, was = self.widget.at_rest(), self.value
            self.press(*keys)
            with contextlib.suppress(AssertionError):
                if was:  # at its end it cannot be moved further
                    until(lambda was=was: self.value != was, "another value", 3)
                until(lambda before=before: self.widget.shown() != before, "a change", 30)
                self.widget.at_rest()
                return True
        return False
