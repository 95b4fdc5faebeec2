"""A picture in a widget, as it is quickest in a browser."""

from __future__ import annotations

import base64

import ipywidgets

_BEFORE = b"data:image/png;base64,"


class PngImage(ipywidgets.Image):  # type: ignore[misc]  # ipywidgets is not typed
    """A PNG file that the page shows as it comes, without asking for it.

    For a picture's bare bytes ipywidgets makes a blob. The page has to ask the browser's other processes for it twice,
    and waits for each answer: for four pictures that takes longer than to draw one. A data URL has all of it.

    Parameters
    ----------
    layout : dict of str to str
        How it lies in the page.
    """

    def __init__(self, layout: dict[str, str]) -> None:
        super().__init__(format="url", layout=layout)

    @property
    def png(self) -> bytes:
        """The file; empty: there is none yet."""
        return base64.b64decode(bytes(self.value).removeprefix(_BEFORE))

    @png.setter
    def png(self, png: bytes) -> None:
        self.value = _BEFORE + base64.b64encode(png)
