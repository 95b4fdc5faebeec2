"""The site in a real browser: served from a folder, with every other host out of reach, and each byte counted."""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .browser import Notebook, chromium

KERNEL_PATIENCE = 240.0
"""Seconds to wait for Python in the browser, at most: on a busy computer it takes more than a minute."""

NO_OTHER_HOST = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"

RUN = "a.lazydestroy-run"
"""The button of a page that opens its notebook in JupyterLite."""


@dataclass
class Served:
    """A folder that is served on this computer.

    Attributes
    ----------
    address : str
        Of its root, without a slash at the end.
    sent : dict of str to int
        For each path that was asked for, its bytes: they are sent as they are, not compressed.
    """

    address: str = ""
    sent: dict[str, int] = field(default_factory=dict)


@contextlib.contextmanager
def served(folder: Path) -> Iterator[Served]:
    """Serve a folder as the simplest host would: files, and nothing else."""
    here = Served()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Say nothing."""

        def copyfile(self, source: Any, outputfile: Any) -> None:
            here.sent[self.path] = here.sent.get(self.path, 0) + os.fstat(source.fileno()).st_size
            super().copyfile(source, outputfile)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder)) as server:
        here.address = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield here
        finally:
            server.shutdown()


class Visitor:
    """Somebody with a browser of their own, who can reach this computer only.

    Attributes
    ----------
    elsewhere : list of str
        Addresses on other hosts that a page or a kernel asked for; none answers.
    """

    def __init__(self, context: Any, here: Served) -> None:
        self.context, self.here = context, here
        self.elsewhere: list[str] = []
        context.on("request", lambda request: self._hear(request.url))

    def _hear(self, address: str) -> None:
        if not address.startswith((self.here.address, "data:", "blob:", "about:")):
            self.elsewhere.append(address)

    def opens(self, path: str) -> Any:
        """Open a page of the site."""
        page = self.context.new_page()
        page.goto(f"{self.here.address}/{path}")
        return page

    def runs(self, address: str) -> SiteNotebook:
        """Open a notebook in JupyterLite, by its address in the site."""
        return SiteNotebook(self.context.new_page(), f"{self.here.address}/{address}")


@contextlib.contextmanager
def visitor(profile: Path, here: Served) -> Iterator[Visitor]:
    """Start a browser that keeps what it keeps in a folder: empty, it is that of somebody who was never here."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        arguments = [NO_OTHER_HOST, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=chromium(), args=arguments, viewport={"width": 1366, "height": 768}
        )
        try:
            yield Visitor(context, here)
        finally:
            context.close()


class SiteNotebook(Notebook):
    """A notebook in JupyterLite; its kernel is in the page."""

    def __init__(self, page: Any, address: str = "") -> None:
        self._listen(page)
        if address:
            page.goto(address)
        self._until_ready(KERNEL_PATIENCE)

    def content(self) -> dict[str, Any]:
        """The notebook as it is now, outputs and all."""
        found: dict[str, Any] = self.page.evaluate("window.jupyterapp.shell.currentWidget.context.model.toJSON()")
        return found
