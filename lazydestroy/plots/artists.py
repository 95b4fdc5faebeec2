"""What is drawn in axes and replaced by what is drawn next: each artist is used again, as long as it looks alike.

matplotlib takes longer to make an artist than to draw it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch
from matplotlib.path import Path

_MANY, _ABOVE = 1000, 1e-6
"""Artists of one height lie so little one above the other, and all of them below what else is at that height."""


class Artists:
    """Text, lines and areas in axes that stay.

    Parameters
    ----------
    axes : matplotlib.axes.Axes

    Attributes
    ----------
    shown : list of matplotlib.artist.Artist
        What has been drawn since `clear`, in that order.
    """

    def __init__(self, axes: Axes) -> None:
        self.axes = axes
        self.shown: list[Artist] = []
        self._looks: dict[Artist, tuple[Hashable, float]] = {}
        self._spare: dict[Hashable, deque[Artist]] = {}

    def clear(self) -> None:
        """Begin anew: nothing is shown. What `text`, `line` and `area` have drawn is there to be used again."""
        for artist in self.shown:
            if artist in self._looks:
                artist.set_visible(False)
                self._spare[self._looks[artist][0]].append(artist)
            else:
                artist.remove()
        self.shown.clear()

    def add(self, *artists: Artist) -> None:
        """Have artists of another kind, which are in the axes already, removed at the next `clear`."""
        self.shown += artists

    def text(self, x: float, y: float, words: str, *, transform: Any = None, **look: Any) -> None:
        """Write, in a look that `matplotlib.axes.Axes.text` takes."""
        text: Any = self._again("text", look, lambda: self.axes.text(0, 0, "", **look))
        text.set_text(words)
        text.set_position((x, y))
        text.set_transform(transform or self.axes.transData)

    def line(self, xs: Sequence[float], ys: Sequence[float], *, transform: Any = None, **look: Any) -> None:
        """Draw a line, or markers, in a look that `matplotlib.lines.Line2D` takes."""
        line: Any = self._again("line", look, lambda: self.axes.add_artist(Line2D([], [], **look)))
        line.set_data(xs, ys)
        line.set_transform(transform or self.axes.transData)

    def area(self, outline: Path, *, transform: Any = None, **look: Any) -> None:
        """Draw an area, in a look that `matplotlib.patches.PathPatch` takes."""
        area: Any = self._again("area", look, lambda: self.axes.add_artist(PathPatch(outline, **look)))
        area.set_path(outline)
        area.set_transform(transform or self.axes.transData)

    def _again(self, kind: str, look: dict[str, Any], make: Callable[[], Artist]) -> Artist:
        """An artist of that look: one that shows nothing now, or a new one."""
        named = (kind, *((name, tuple(v.items()) if isinstance(v, dict) else v) for name, v in look.items()))
        spare = self._spare.setdefault(named, deque())
        if spare:
            artist = spare.popleft()
            artist.set_visible(True)
        else:
            artist = make()
            artist.stale_callback = None  # a picture is drawn when it is asked for, whatever has been told of changes
            self._looks[artist] = named, artist.get_zorder()
        # what is drawn later lies above, though the artist may be older than the others at that height
        artist.set_zorder(self._looks[artist][1] + (len(self.shown) - _MANY) * _ABOVE)
        self.shown.append(artist)
        return artist


def polygon(corners: np.ndarray) -> Path:
    """An area with corners of shape (n, 2)."""
    return Path(np.concatenate((corners, corners[:1])), closed=True)


def box(left: float, low: float, right: float, high: float) -> Path:
    """A rectangle."""
    return polygon(np.array(((left, low), (right, low), (right, high), (left, high)), float))
