"""How pictures look: one palette for the whole course, and figures that can say in words what they show.

`PALETTE` gives every actor and every use of memory its colour and its hatch, and a label stands beside each, so that
nothing hangs on colour alone.
"""

from __future__ import annotations

import base64
import io
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from html import escape
from types import MappingProxyType
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from ..rounded import about_count
from ..units import bad_value, expect, flag, number
from .quick import Packer, draw_text


@dataclass(frozen=True, slots=True)
class Look:
    """How something is drawn, everywhere.

    Attributes
    ----------
    colour : str
    hatch : str
        Lines over the colour, so that it can be told from its neighbours without it.
    label : str
        What a legend calls it.
    """

    colour: str
    hatch: str
    label: str


PALETTE: Mapping[str, Look] = MappingProxyType(
    {
        "QEMU": Look("#0072B2", "", "QEMU"),
        "guest": Look("#56B4E9", "", "guest's, clean or new"),
        "clean-up thread": Look("#009E73", "", "clean-up thread"),
        "other process": Look("#CC79A7", "\\\\\\", "other process"),
        "clean": Look("#D6F0E6", "", "cleaned, not used again yet"),
        "old guest": Look("#D55E00", "///", "old guest's, not yet clean"),
        "set aside": Look("#E69F00", "xxx", "set aside: neither used nor free"),
        "shared": Look("#F0E442", "oo", "shared with the host"),
        "donated": Look("#999999", "...", "donated to the Ultravisor"),
        "leaked": Look("#000000", "", "leaked"),
        "free": Look("#FFFFFF", "", "free"),
        "downtime": Look("#882255", "", "downtime"),
        "without": Look("#BBBBBB", "//", "without the patch"),
        "with": Look("#332288", "", "with the patch"),
    }
)
"""Colours of Okabe and Ito, which colour-blind readers tell apart; wine for the downtime. Two kernels that are compared
are light grey and indigo: a kernel is neither an actor nor a use of memory, and these differ most without colour."""


_GROUPS = ("axes.", "font.", "grid.", "hatch.", "legend.", "lines.", "patch.", "text.", "xtick.", "ytick.")


STYLE: Any = MappingProxyType(
    {
        **{name: value for name, value in mpl.rcParamsDefault.items() if name.startswith(_GROUPS)},
        "axes.edgecolor": "#444444",
        "axes.labelcolor": "#222222",
        "axes.labelsize": 11,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "figure.facecolor": "white",
        "font.size": 11,
        "hatch.linewidth": 0.7,
        "legend.fontsize": 10.5,
        "xtick.labelsize": 10.5,
        "ytick.labelsize": 11,
    }
)
"""Settings that hold while a picture is made or drawn, whatever the reader's own are."""


_styled = ContextVar("styled", default=False)


@contextmanager
def styled() -> Iterator[None]:
    """Let `STYLE` hold meanwhile. Only what differs from it is set: matplotlib's own context copies all there is."""
    if _styled.get():
        yield
        return
    token = _styled.set(True)
    usual = {name: mpl.rcParams[name] for name, value in STYLE.items() if mpl.rcParams[name] != value}
    try:
        mpl.rcParams.update({name: STYLE[name] for name in usual})
        yield
    finally:
        mpl.rcParams.update(usual)
        _styled.reset(token)


WIDTH = 9.0


DPI = 100


LEFT, RIGHT = 0.158, 0.985
"""Where the axes begin and end, as shares of the width: the same everywhere, so that pictures line up."""


TITLE_CHARACTERS = 82


TITLE_WORDS = 12


GREY = "#555555"


COLOURS = 64
"""Colours in a PNG file, beside those of the palette: enough for letters with smooth edges, and a lesson with six
pictures stays small."""


SCALES = (0.5, 3.0)
"""The smallest and the largest size of pictures, as a share of the usual one."""

_size = [1.0]


def scale(size: float = 1.0) -> float:
    """Draw pictures larger, or smaller, from now on: 1.25 for a projector of 1280 × 720.

    A picture is 900 dots wide at size 1. What you have drawn before stays as it is. Pictures that follow a control keep
    their size: enlarge those with the browser's zoom.

    Parameters
    ----------
    size : float
        0.5 to 3, where 1 is the usual size.

    Returns
    -------
    float
        The size before.

    Raises
    ------
    ValueError
        If the size is no such number.
    """
    least, most = SCALES
    accepted = f"a number from {least} to {most:g}, such as 1.25"
    given = number(size, "size", accepted)
    if not least <= given <= most:
        raise bad_value("size", size, "is out of range", accepted)
    before, _size[0] = _size[0], float(given)
    return before


LONGEST = 500
"""Inches that a picture may be high."""


def inches(value: object, name: str, *, zero: bool = True) -> float:
    """Read a length in a picture.

    Raises
    ------
    ValueError
        If it is no number of inches that a picture may be high. Names the parameter, the value and what is accepted.
    """
    accepted = f"inches {'from' if zero else 'above'} 0 to {LONGEST}, such as 2.5"
    given = number(value, name, accepted)
    if not 0 <= given <= LONGEST or (given == 0 and not zero):
        raise bad_value(name, value, "is out of range", accepted)
    return float(given)


class Picture(Figure):
    """A figure that can say in words what it shows.

    Attributes
    ----------
    title : str
        The finding.
    words : str
        What the picture shows, for those who do not see it.
    """

    def __init__(self, height: float) -> None:
        height = inches(height, "height", zero=False)
        with styled():
            super().__init__(figsize=(WIDTH, height), dpi=DPI)
        FigureCanvasAgg(self)
        self.title = self.words = ""
        self.panels: list[Any] = []
        self._also_changing: list[Artist] = []
        self._ground: Any = None
        self._packer = Packer()
        self._heading = self.text(0.008, 1 - 0.09 / height, "", va="top", fontsize=13.5, fontweight="bold")
        self._below = self.text(0.008, 1 - 0.38 / height, "", va="top", fontsize=10.5, color=GREY)

    def panel(self, top: float, height: float) -> Axes:
        """Axes over the usual width, `top` inches from the upper edge, `height` inches high."""
        top, height, whole = inches(top, "top"), inches(height, "height", zero=False), self.get_figheight()
        with styled():
            return self.add_axes((LEFT, 1 - (top + height) / whole, RIGHT - LEFT, height / whole))

    def say(self, title: str, below: str, words: str) -> None:
        """Set what the picture says: the finding, a line below it, and all of it in words.

        A title that has been broken into lines is shown as it is.
        """
        for name, text in (("title", title), ("below", below), ("words", words)):
            expect(str, text, name, "a text")
        self.title, self.words = title.replace("\n", " "), words
        self._heading.set_text(title if "\n" in title else _shortened(title, TITLE_CHARACTERS))
        self._below.set_text(_shortened(below, 118))

    def say_also(self, words: str) -> None:
        """Add to the words."""
        expect(str, words, "words", "a text")
        self.words = f"{self.words} {words}"

    def say_below(self, below: str, top: float) -> None:
        """Set the line below the title, `top` inches from the upper edge: the title may have several lines."""
        expect(str, below, "below", "a text")
        self._below.set_text(_shortened(below, 118))
        self._below.set_y(1 - inches(top, "top") / self.get_figheight())

    def draw(self, renderer: Any) -> None:
        """Draw with the settings of all pictures."""
        with styled():
            super().draw(renderer)

    def png(self) -> bytes:
        """The picture as a PNG file."""
        return png_of(self.image())

    def quick(self, head: bool = True) -> bytes:
        """The picture as a PNG file, made as fast as possible, on a ground that was drawn before.

        Without its `head`, the caller shows the title and the line below it.
        """
        head = flag(head, "head")
        dots = self._quick_dots(head)
        return self._packer.png(dots if head else dots[round(TITLE * DPI) :])

    def changes(self, *artists: Artist) -> None:
        """Say what changes, beside the title and what panels say."""
        for artist in artists:
            expect(Artist, artist, "artists", "what matplotlib draws, such as a line")
        self._also_changing += artists

    def renew_ground(self) -> None:
        """Forget the ground that was drawn: it is not as it was."""
        self._ground = None

    def _quick_dots(self, head: bool) -> np.ndarray:
        """The picture, of which only that is drawn which may have changed: shape (height, width, 4)."""
        canvas: Any = self.canvas
        titles: list[Artist] = [self._heading, self._below]
        changing = [*self._also_changing, *(artist for panel in self.panels for artist in panel.changing())]
        above = [line for panel in self.panels for line in panel.lines_above()]
        if self._ground is None:
            for artist in titles + changing:
                artist.set_animated(True)
            canvas.draw()
            self._ground = canvas.copy_from_bbox(self.bbox)
            for artist in titles + changing:
                artist.set_animated(False)
        else:
            canvas.restore_region(self._ground)
        renderer = canvas.get_renderer()
        with styled():
            for artist in sorted([*(titles if head else ()), *changing, *above], key=Artist.get_zorder):
                if type(artist) is Text:
                    draw_text(artist, renderer)
                else:
                    artist.draw(renderer)
        return np.asarray(canvas.buffer_rgba())

    def image(self) -> Image.Image:
        """The picture, drawn in the size that `scale` has set."""
        canvas: Any = self.canvas
        self.set_dpi(DPI * _size[0])
        try:
            canvas.draw()
            dots = np.asarray(canvas.buffer_rgba())
            return Image.frombuffer("RGBA", dots.shape[1::-1], dots, "raw", "RGBA", 0, 1).convert("RGB")
        finally:
            self.set_dpi(DPI)

    def bundle(self) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
        """What Jupyter shows, by MIME type, and its metadata, with the words as alternative text."""
        image = base64.b64encode(self.png()).decode("ascii")
        return {"image/png": image, "text/plain": f"[picture: {self.title}]"}, {"image/png": {"alt": self.words}}

    def _ipython_display_(self) -> None:
        from IPython.display import display

        data, metadata = self.bundle()
        words = {"text/html": words_html(self.words), "text/plain": f"In words: {self.words}"}
        display(data, metadata=metadata, raw=True)  # type: ignore[no-untyped-call]
        display(words, raw=True)  # type: ignore[no-untyped-call]


def png_of(image: Image.Image) -> bytes:
    """An image as a small PNG file.

    Raises
    ------
    ValueError
        If it is no image.
    """
    expect(Image.Image, image, "image", "an image of Pillow, such as run.plot().image()")
    return _written(_few_colours(image.convert("RGB")), "png", dpi=(DPI, DPI), optimize=True)


def _few_colours(image: Image.Image) -> Image.Image:
    """The same with its most frequent colours and those of the palette only: areas keep theirs, letters nearly."""
    pixels = np.asarray(image).astype(np.int64) @ (1 << 16, 1 << 8, 1)
    found, place, times = np.unique(pixels, return_inverse=True, return_counts=True)
    palette = [int(look.colour[1:], 16) for look in PALETTE.values()]
    often = np.argsort(-times, kind="stable")
    kept = found[often[(np.arange(len(often)) < COLOURS) | np.isin(found[often], palette)]]
    rgb, kept_rgb = (np.stack([colour >> 16, colour >> 8 & 255, colour & 255], axis=-1) for colour in (found, kept))
    nearest = ((rgb[:, None, :] - kept_rgb[None, :, :]) ** 2).sum(axis=-1).argmin(axis=1).astype(np.uint8)
    small = Image.fromarray(nearest[place].reshape(pixels.shape), "P")
    small.putpalette(kept_rgb.astype(np.uint8).tobytes())
    return small


def _written(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def words_html(words: str) -> str:
    """A picture in words, to be unfolded.

    Raises
    ------
    ValueError
        If it is no text.
    """
    expect(str, words, "words", "a text")
    return (
        f'<details style="opacity: 0.75; margin: 0"><summary>The picture in words</summary>'
        f"<p>{escape(words)}</p></details>"
    )


def _shortened(text: str, characters: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= characters else textwrap.shorten(text, characters, placeholder=" …")


HEAD = 0.72
"""Inches for the title and the line below it."""


TITLE = 0.5
"""Inches of them that can be left out, if both are shown in another way."""


LANE = 0.42
"""Inches for a lane."""


def ratio(value: float) -> str:
    """A ratio for a title: two or three digits are enough."""
    return about_count(round(value)) if value >= 10 else f"{value:.1f}"
