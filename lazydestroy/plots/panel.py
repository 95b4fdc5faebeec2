"""What panels have in common: axes that stay, in which one run after another is drawn."""

from __future__ import annotations

from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes

from ..units import expect
from .artists import Artists

LATEST = 1 << 63
"""Nanoseconds at which a time axis ends at the latest: twice the time that the model can count."""


class Panel:
    """Axes that stay, and what is drawn in them, which is replaced.

    The ground is what seldom changes: scales, labels, legends. It is made afresh only where it has to be, so that a
    `Picture` need not draw it again.
    """

    def __init__(self, axes: Axes) -> None:
        expect(Axes, axes, "axes", "axes, such as picture.panel(0.7, 2)")
        self.axes = axes
        self._drawn = Artists(axes)
        self._ground: list[Artist] = []
        self._made_for: tuple[Any, ...] | None = None
        picture: Any = axes.get_figure()
        picture.panels.append(self)
        self._picture = picture

    def changing(self) -> list[Artist]:
        """All that is not ground."""
        return self._drawn.shown

    def lines_above(self) -> list[Artist]:
        """What of the ground lies above things that change: the lines of the axes."""
        return [spine for spine in self.axes.spines.values() if spine.get_visible()]

    def _needs_ground(self, *made_for: Any) -> bool:
        """Whether the ground has to be made afresh for this; what there is of it is gone then."""
        if made_for == self._made_for:
            return False
        self._made_for = made_for
        for artist in self._ground:
            artist.remove()
        self._ground.clear()
        self._picture.renew_ground()
        return True

    def _keep(self, *artists: Artist) -> None:
        self._ground += artists
