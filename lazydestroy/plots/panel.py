"""What panels have in common: axes that stay, in which one run after another is drawn."""

from __future__ import annotations

from matplotlib.artist import Artist
from matplotlib.axes import Axes


class Panel:
    """Axes that stay, and what is drawn in them, which is replaced."""

    def __init__(self, axes: Axes) -> None:
        self.axes = axes
        self._drawn: list[Artist] = []

    def _clear(self) -> None:
        for artist in self._drawn:
            artist.remove()
        self._drawn.clear()

    def _add(self, *artists: Artist) -> None:
        self._drawn += artists
