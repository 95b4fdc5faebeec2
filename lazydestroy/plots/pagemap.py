"""The host's memory as a map, a cell a bunch of pages: who holds what, at a moment of a run."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.image import FigureImage
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.transforms import IdentityTransform

from ..page import PAGE_SHIFT
from ..rounded import about_duration, about_size
from ..run import KINDS, Film, Run, expect_run, moment_of
from ..units import duration, expect, format_size
from .artists import Artists
from .axes import ticks_on_the_left
from .lanes import run_end
from .panel import Panel
from .picture import DPI, GREY, HEAD, PALETTE, WIDTH, Picture, styled
from .words import capital, setting

ACROSS = 64
"""Cells in a row."""

CELL = (11, 14)
"""Width and height of a cell, in dots."""

LOOKS: Mapping[str, str] = MappingProxyType(
    {
        "old guest": "old guest's, not yet clean",
        "shared": "opened to the host, not yet clean",
        "clean": "cleaned, not used again yet",
        "guest": "new guest's",
        "set aside": "set aside: neither used nor free",
        "other process": "other process",
        "donated": "donated to the Ultravisor",
        "leaked": "leaked",
        "free": "free",
    }
)
"""What a legend calls each kind of page, in the order of the legend."""

_LEFT = 116
"""Dots from the left edge to the cells."""

_DOWN = 16
_BELOW = 4
"""Rows of the guest's memory and of the rest of the host, at most."""

_TOP = round(HEAD * DPI) + 20
_GAP = 30
_LEGEND = 84
_HEIGHT = _TOP + _DOWN * CELL[1] + _GAP + _BELOW * CELL[1] + 12 + _LEGEND
"""Dots above the cells, between the two, below them, and in all."""


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


def _tile(kind: str) -> np.ndarray:
    """A cell of that kind, of shape (height, width, 4): its colour, and lines that tell it apart without."""
    width, height = CELL
    y, x = np.mgrid[:height, :width]
    tile = np.full((height, width, 4), 255, np.uint8)
    tile[..., :3] = _rgb(PALETTE[kind].colour)
    strokes = {
        "old guest": (x + y) % 5 == 0,
        "shared": (x - 5) ** 2 + (y - 6) ** 2 <= 5,
        "set aside": (x == y - 1) | (x + y == 11),
        "other process": (x - y) % 5 == 0,
        "donated": (x % 4 < 2) & (y % 4 < 2),
        "clean": (x - 5) ** 2 + (y - 6) ** 2 <= 1,
    }
    if kind in strokes:
        tile[strokes[kind], :3] = _rgb({"clean": "#009E73", "old guest": "#7A3500"}.get(kind, "#333333"))
    tile[-1, :, :3] = tile[:, -1, :3] = _rgb("#D0D0D0" if kind == "free" else "#FFFFFF")
    return tile


_TILES = np.stack([_tile(kind) for kind in KINDS])
"""Of shape (kinds, height, width, 4)."""


def _picture_of(kinds: np.ndarray, rows: int) -> np.ndarray:
    """Cells, row by row, as an image; what is missing in the last row is white."""
    width, height = CELL
    tiles = np.full((rows * ACROSS, height, width, 4), 255, np.uint8)
    tiles[: len(kinds)] = _TILES[kinds]
    return tiles.reshape(rows, ACROSS, height, width, 4).swapaxes(1, 2).reshape(rows * height, ACROSS * width, 4)


class _Tiles(FigureImage):
    """An image that is copied where a dot of it is a dot of the picture; to resample it takes ten times as long."""

    def set_data(self, A: Any) -> None:
        """Take dots of shape (height, width, 4) as they are: they need not be looked through for gaps and colours."""
        self._A = A
        self.stale = True

    def make_image(self, renderer: Any, magnification: float = 1.0, unsampled: bool = False) -> tuple[Any, ...]:
        picture: Any = self.get_figure(root=True)
        if magnification != 1 or renderer.dpi != picture.dpi:
            return super().make_image(renderer, magnification, unsampled)
        return np.asarray(self.get_array())[::-1], self.ox, self.oy, IdentityTransform()


class MapPanel(Panel):
    """The guest's memory as a map, and the rest of the host's below it.

    Parameters
    ----------
    picture : Picture
        As `map_picture` makes them.
    """

    def __init__(self, picture: Picture) -> None:
        expect(Picture, picture, "picture", "a picture, such as plots.map_picture()")
        with styled():
            self.guest = _axes(picture, _TOP, _DOWN)
            self.rest = _axes(picture, _TOP + _DOWN * CELL[1] + _GAP, _BELOW)
            self._images = [_image(picture, self.guest, _DOWN), _image(picture, self.rest, _BELOW)]
        super().__init__(self.guest)
        self._beside = Artists(self.rest)

    def changing(self) -> list[Artist]:
        """All that is not ground: there is none but the legend."""
        return [*self._images, *self._drawn.shown, *self._beside.shown]

    def show(self, run: Run, time_ns: int) -> None:
        """Show the pages of a run at a moment.

        Raises
        ------
        ValueError
            If no film was made of it.
        """
        film = film_of(run)
        moment = moment_of(time_ns, run_end(run))
        with styled():
            self._drawn.clear()
            self._beside.clear()
            self._explain(film)
            guest, rest = film.at(moment)
            self._images[0].set_data(_picture_of(guest, _DOWN))
            self._images[1].set_data(_picture_of(rest, _BELOW))
            self._say(self._drawn, "the guest's memory", film.guest_pages, film.guest_cells)
            self._say(self._beside, "the rest of the host", film.rest_pages, film.rest_cells)
            rows = -(-film.guest_cells // ACROSS)
            marks = range(0, rows + 1, max(1, rows // 2))
            addresses = {row: _address(row, film.guest_pages, film.guest_cells) for row in marks}
            ticks_on_the_left(self._drawn, addresses, length=3)
            self._name(guest)

    def _explain(self, film: Film) -> None:
        """A legend of tiles, of those kinds that the film shows at some moment."""
        kinds = [kind for kind in LOOKS if (film.kinds == KINDS.index(kind)).any()]
        if not self._needs_ground(kinds):
            return
        picture, (width, height) = self._picture, CELL
        tall = picture.get_figheight() * DPI
        top = self.rest.get_position().y0 * tall - 14
        for number, kind in enumerate(kinds):
            left, low = 10 + number % 3 * 300, top - number // 3 * 23 - height
            tiles = np.tile(_TILES[KINDS.index(kind)], (1, 2, 1))
            frame = Rectangle((left, low), 2 * width, height, fill=False, ec="#888888", lw=0.6, transform=None)
            frame.set_zorder(6)
            x, y = (left + 2 * width + 8) / (WIDTH * DPI), (low + height / 2) / tall
            self._keep(
                picture.figimage(tiles, left, low, origin="upper", zorder=5),
                picture.add_artist(frame),
                picture.text(x, y, LOOKS[kind], va="center", fontsize=10.5),
            )

    def _say(self, above: Artists, name: str, pages: int, cells: int) -> None:
        """Write above an area what it is."""
        each = "a page" if pages == cells else format_size(round(pages / cells) << PAGE_SHIFT)
        words = f"{name}, {format_size(pages << PAGE_SHIFT)}: a cell is {each}"
        above.text(0, -0.35, words, va="bottom", fontsize=10.5, color=GREY)

    def _name(self, kinds: np.ndarray) -> None:
        """Write into the largest area of each kind what it is."""
        for kind, name in LOOKS.items():
            first, length = _longest(kinds == KINDS.index(kind))
            if length < 1.4 * ACROSS:
                continue
            row = (first + length / 2) / ACROSS
            self._drawn.text(
                ACROSS / 2,
                min(max(row, 0.7), _DOWN - 0.7),
                name.split(":")[0],
                ha="center",
                va="center",
                fontsize=11,
                fontweight="bold",
                bbox={"boxstyle": "round,pad=0.25", "fc": "white", "ec": "#888888", "lw": 0.6},
                zorder=6,
            )


def _longest(here: np.ndarray) -> tuple[int, int]:
    """Beginning and length of the longest run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], here, [False]))))
    if len(edges) == 0:
        return 0, 0
    lengths = edges[1::2] - edges[::2]
    at = int(lengths.argmax())
    return int(edges[2 * at]), int(lengths[at])


def _axes(picture: Picture, top: int, rows: int) -> Axes:
    """Axes whose every dot is a dot of the picture."""
    wide, tall = WIDTH * DPI, picture.get_figheight() * DPI
    height = rows * CELL[1]
    axes = picture.add_axes((_LEFT / wide, (tall - top - height) / tall, ACROSS * CELL[0] / wide, height / tall))
    axes.set(xlim=(0, ACROSS), ylim=(rows, 0))
    axes.set_xticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.add_artist(Line2D([0, 0], [0, rows], color="#AAAAAA", lw=1, clip_on=False))
    return axes


def _image(picture: Picture, axes: Axes, rows: int) -> FigureImage:
    """An image over the axes, a dot of it a dot of the picture; white to begin with."""
    axes.set_yticks([])
    axes.patch.set_visible(False)
    height, width = rows * CELL[1], ACROSS * CELL[0]
    low = round(axes.get_position().y0 * picture.get_figheight() * DPI)
    image = _Tiles(picture, offsetx=_LEFT, offsety=low, origin="upper", zorder=-1)
    image.set_data(np.full((height, width, 4), 255, np.uint8))
    picture.add_artist(image)
    return image


def _address(row: int, pages: int, cells: int) -> str:
    """Where a row of the map begins."""
    page = min(row * ACROSS, cells) * pages // cells
    return format_size(page << PAGE_SHIFT) if page else "0"


def film_of(run: Run) -> Film:
    """The film of a run.

    Raises
    ------
    ValueError
        If there is none.
    """
    expect_run(run)
    if run.film is None:
        call = run.reproduce().removesuffix(")")
        raise ValueError(f"run: no film was made of it; make it with {call}, film=True)")
    return run.film


def map_finding(run: Run, time_ns: int) -> str:
    """What the map of a run shows at a moment, in a sentence made of its values."""
    expect_run(run)
    moment = moment_of(time_ns, run_end(run))
    unclean, aside = _amounts(run, moment)
    at = f"At {about_duration(moment)}" if moment else "At the start"
    if not unclean:
        return f"{at}, no page of the old guest is left to clean"
    share = "all" if aside == unclean else about_size(aside << PAGE_SHIFT)
    where = f", {share} set aside" if aside else ""
    return f"{at}, {about_size(unclean << PAGE_SHIFT)} of the old guest isn't clean{where}"


def _amounts(run: Run, time_ns: int) -> tuple[int, int]:
    """Pages not yet clean, and those of them that are set aside, at a moment. Between two rows they change evenly."""
    times = run.memory["time"]
    unclean, aside = (round(float(np.interp(time_ns, times, run.memory[name]))) for name in ("uncleaned", "set_aside"))
    return unclean, min(aside, unclean)


def describe_map(run: Run, time_ns: int) -> str:
    """What the map of a run shows at a moment, for those who do not see it."""
    film = film_of(run)
    parts = []
    for name, kinds in zip(("the guest's memory", "the rest of the host"), film.at(time_ns), strict=True):
        counts = np.bincount(kinds, minlength=len(KINDS))
        shares = [
            f"{LOOKS[kind]} {counts[KINDS.index(kind)] / len(kinds):.0%}" for kind in LOOKS if counts[KINDS.index(kind)]
        ]
        where = _stretches(kinds) if name == "the guest's memory" else ""
        parts.append(f"Cells of {name}: {', '.join(shares)}{where}.")
    return f"{map_finding(run, time_ns)}. " + " ".join(capital(part) for part in parts)


def _stretches(kinds: np.ndarray) -> str:
    """From the lowest address to the highest, what lies there; nothing, if it is too mixed to be told."""
    cuts = np.flatnonzero(np.diff(kinds)) + 1
    if len(cuts) > 7:
        return "; they are mixed"
    if len(cuts) == 0:
        return ""
    order = [LOOKS[KINDS[kinds[start]]] for start in (0, *cuts.tolist())]
    return f"; from address 0 upwards: {', then '.join(order)}"


def plot_map(run: Run, at: int | str | None = None) -> Picture:
    """The host's memory as a map at a moment of a run: the guest's above, the rest below.

    A cell shows the page in its middle (`lazydestroy.run.Film`).

    Parameters
    ----------
    run : Run
        Made with ``film=True``.
    at : int or str, optional
        Nanoseconds since time 0, or a time such as "8 s"; default: a third of the way to its end.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If no film was made of the run, or `at` is no time.
    """
    film_of(run)
    moment = run_end(run) // 3 if at is None else duration(at, "at", zero=True)
    picture = map_picture()
    MapPanel(picture).show(run, moment)
    picture.say(map_finding(run, moment), setting(run), describe_map(run, moment))
    return picture


def map_picture() -> Picture:
    """An empty picture for a map."""
    return Picture(_HEIGHT / DPI)
