"""Pictures of runs and machines.

One palette serves the whole course: `PALETTE` gives every actor and every use of memory its colour and its hatch, and
a label stands beside each, so that nothing hangs on colour alone. Each picture says what it found in its title, and in
words for those who do not see it (`Picture.words`). Panels draw into axes that stay: `lazydestroy.widgets` shows one
run after another in them. Nothing else in the package imports matplotlib.
"""

from __future__ import annotations

import base64
import functools
import io
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from types import MappingProxyType
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from PIL import Image

from . import scenarios
from .costs import Costs
from .machine import LOW_MEMORY, Machine
from .page import PAGE_SHIFT, PAGE_SIZE
from .run import Run
from .series import Series, v1
from .units import format_count, format_duration, format_size
from .units import size as read_size

__all__ = [
    "PALETTE",
    "Look",
    "MemoryPanel",
    "Picture",
    "ScalingPanel",
    "TimelinePanel",
    "describe",
    "describe_scaling",
    "downtimes",
    "finding",
    "kernel_name",
    "memory_finding",
    "plot_memory",
    "plot_pages",
    "plot_run",
    "plot_scaling",
    "plot_timeline",
    "run_end",
    "scaling_finding",
    "setting",
    "words_html",
]


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
        "old guest": Look("#D55E00", "///", "old guest's, not yet clean"),
        "set aside": Look("#E69F00", "xxx", "set aside: neither used nor free"),
        "shared": Look("#F0E442", "oo", "shared with the host"),
        "donated": Look("#999999", "...", "donated to the Ultravisor"),
        "leaked": Look("#000000", "", "leaked"),
        "free": Look("#FFFFFF", "", "free"),
        "downtime": Look("#882255", "", "downtime"),
    }
)
"""Colours of Okabe and Ito, which colour-blind readers tell apart, and wine for the downtime."""

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

WIDTH = 9.0
DPI = 100
LEFT, RIGHT = 0.158, 0.985
"""Where the axes begin and end, as shares of the width: the same everywhere, so that pictures line up."""

TITLE_CHARACTERS = 82
GREY = "#555555"

COLOURS = 64
"""Colours in a PNG file: enough for letters with smooth edges, and a lesson with six pictures stays small."""


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
        with mpl.rc_context(STYLE):
            super().__init__(figsize=(WIDTH, height), dpi=DPI)
        FigureCanvasAgg(self)
        self.title = self.words = ""
        self._heading = self.text(0.008, 1 - 0.09 / height, "", va="top", fontsize=13.5, fontweight="bold")
        self._below = self.text(0.008, 1 - 0.38 / height, "", va="top", fontsize=10.5, color=GREY)

    def panel(self, top: float, height: float) -> Axes:
        """Axes over the usual width, `top` inches from the upper edge, `height` inches high."""
        whole = self.get_figheight()
        with mpl.rc_context(STYLE):
            return self.add_axes((LEFT, 1 - (top + height) / whole, RIGHT - LEFT, height / whole))

    def say(self, title: str, below: str, words: str) -> None:
        """Set what the picture says: the finding, a line below it, and all of it in words."""
        self.title, self.words = title, words
        self._heading.set_text(_shortened(title, TITLE_CHARACTERS))
        self._below.set_text(_shortened(below, 118))

    def draw(self, renderer: Any) -> None:
        """Draw with the settings of all pictures."""
        with mpl.rc_context(STYLE):
            super().draw(renderer)

    def png(self) -> bytes:
        """The picture as a PNG file."""
        return _written(_few_colours(self.image()), optimize=True)

    def quick_png(self) -> bytes:
        """The same, made as fast as can be: five times as large."""
        return _written(self.image(), compress_level=1)

    def image(self) -> Image.Image:
        """The picture, drawn."""
        canvas: Any = self.canvas
        canvas.draw()
        return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())

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


def _few_colours(image: Image.Image) -> Image.Image:
    """The same with its most frequent colours only, unchanged: areas keep theirs exactly, edges of letters nearly."""
    pixels = np.asarray(image).astype(np.int64) @ (1 << 16, 1 << 8, 1)
    found, place, times = np.unique(pixels, return_inverse=True, return_counts=True)
    kept = found[np.argsort(-times, kind="stable")[:COLOURS]]
    rgb, kept_rgb = (np.stack([colour >> 16, colour >> 8 & 255, colour & 255], axis=-1) for colour in (found, kept))
    nearest = ((rgb[:, None, :] - kept_rgb[None, :, :]) ** 2).sum(axis=-1).argmin(axis=1).astype(np.uint8)
    small = Image.fromarray(nearest[place].reshape(pixels.shape), "P")
    small.putpalette(kept_rgb.astype(np.uint8).tobytes())
    return small


def _written(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "png", dpi=(DPI, DPI), **options)
    return buffer.getvalue()


def words_html(words: str) -> str:
    """A picture in words, to be unfolded."""
    return (
        f'<details style="opacity: 0.75; margin: 0"><summary>The picture in words</summary>'
        f"<p>{escape(words)}</p></details>"
    )


def _shortened(text: str, characters: int) -> str:
    return textwrap.shorten(text, characters, placeholder=" …")


# What is said about a run


def kernel_name(run: Run) -> str:
    """How a run's kernel is called in a picture."""
    return _kernel_name(run.parameters["kernel"], run.parameters["lazy_destroy"])


def _kernel_name(kernel: Series, lazy_destroy: bool | None = None) -> str:
    name = "before the series" if not kernel.layers else repr(kernel).removeprefix("ld.series.")
    return name if lazy_destroy is None else f"{name}, lazy_destroy={int(lazy_destroy)}"


def setting(run: Run) -> str:
    """What was run, in a line."""
    given = run.parameters
    memory = read_size(given["memory"])
    parts = [f"{run.scenario} of {format_size(memory)}", f"kernel: {kernel_name(run)}"]
    if given["used"] != 1:
        parts.append(f"{given['used']:.0%} used")
    if run.scenario == "reboot":
        uses = _TOUCHES[given["touch"]] if given["touched"] else _TOUCHES["none"]
        parts.append(f"new guest: {given['new_guest']}, {uses}")
    else:
        parts.append(f"host: {format_size(given['host_memory'])}")
        parts.append(f"another process asks for {given['demand']}" if given["demand"] else "nobody asks for memory")
    return "  ·  ".join(parts)


_TOUCHES = {
    "sequential": "uses its memory in order",
    "reverse": "uses its memory downwards",
    "random": "uses its memory at random",
    "none": "touches nothing",
}


def finding(run: Run) -> str:
    """What a run shows, in a sentence made of its values."""
    if run.downtime_ns is None:
        return f"{'The new guest never runs' if run.scenario == 'reboot' else 'QEMU never ends'}{_why(run)}"
    waited = format_duration(run.downtime_ns)
    if run.scenario == "reboot":
        return _finding_of_reboot(run, waited)
    out_of_memory = next((event for event in run.events if event.kind == "oom"), None)
    if out_of_memory is not None:
        return f"QEMU is gone after {waited}; at {format_duration(out_of_memory.time_ns)} memory runs out"
    if run.cleanup_ns is None:
        return f"QEMU is gone after {waited}, but its pages are never all clean{_why(run)}"
    if run.cleanup_ns <= run.downtime_ns:
        return f"QEMU is gone only after {waited}: all {format_count(run.pages)} pages are cleaned first"
    return f"QEMU is gone after {waited}; its memory is clean after {format_duration(run.cleanup_ns)}"


def _finding_of_reboot(run: Run, waited: str) -> str:
    if not run.booted:
        return f"The new guest starts after {waited} and fails{_why(run)}"
    if run.cleanup_ns is None:
        return f"The new guest runs after {waited}, but the old pages are never all clean{_why(run)}"
    if run.cleanup_ns <= (run.downtime_ns or 0):
        return f"The new guest waits {waited}: all {format_count(run.pages)} old pages are cleaned first"
    return f"The new guest runs after {waited}; the clean-up goes on until {format_duration(run.cleanup_ns)}"


def _why(run: Run) -> str:
    """The first event that is bad news."""
    bad = next(_marked(run), None)
    return f": {_kind_of(bad)} at {format_duration(bad.time_ns)}" if bad else ""


def _marked(run: Run) -> Iterator[Any]:
    """Events that a picture marks."""
    return (event for event in run.events if event.kind not in ("userspace", "warning"))


def _kind_of(event: Any) -> str:
    return "out of memory" if event.kind == "oom" else event.kind


def _moment(ns: int) -> str:
    return format_duration(ns) if ns else "the start"


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def describe(run: Run) -> str:
    """What the picture of a run shows, in a few sentences."""
    sentences = [f"Who does what in a {setting(run).replace('  ·  ', ', ')}."]
    for lane in _lanes(run):
        doing = ", then ".join(
            f"{stretch.activity} from {_moment(stretch.start)} to {_moment(stretch.end)}"
            for stretch in lane.merged()
            if stretch.end - stretch.start > run_end(run) / 1000
        )
        sentences.append(f"{_capital(lane.name)}: {doing or lane.idle}.")
    end = "never ends" if run.downtime_ns is None else f"ends at {format_duration(run.downtime_ns)}"
    sentences.append(f"The downtime {end}.")
    sentences += [f"At {format_duration(event.time_ns)}: {_kind_of(event)}, {event.text}." for event in _marked(run)]
    return " ".join([*sentences, _describe_memory(run)])


def _describe_memory(run: Run) -> str:
    bands = _bands(run)
    host = int(run.parameters["host_memory"])
    changes = [
        f"{look.label}: {_amount(pages[0])} at the start, {_amount(pages.max())} at most, "
        f"{_amount(pages[-1])} at the end"
        for look, pages in bands
        if pages.any()
    ]
    return f"Memory over time, {format_size(host)} in all. {_capital('; '.join(changes))}."


def _amount(pages: Any) -> str:
    return format_size(int(pages) << PAGE_SHIFT)


# The timeline


class Stretch(NamedTuple):
    """Somebody does something from `start` to `end` (nanoseconds)."""

    start: int
    end: int
    activity: str
    waits: bool = False


class Lane(NamedTuple):
    """What one party did: what all of its tasks did, then a row for each.

    `actors` is how its tasks' names begin; `idle` is what to write if it did nothing.
    """

    name: str
    actors: str
    look: Look
    rows: list[list[Stretch]]
    idle: str
    common: tuple[Stretch, ...] = ()

    def merged(self) -> list[Stretch]:
        """What was done, by whichever task."""
        return list(_merged([*self.common, *(stretch for row in self.rows for stretch in row)]))


def _lanes(run: Run) -> list[Lane]:
    """The lanes of a run, always the same ones for a scenario and a demand."""
    rows: dict[str, list[Stretch]] = {}
    for row in run.timeline:
        activity = str(row["activity"])
        stretch = Stretch(int(row["start"]), int(row["end"]), activity, activity.startswith("waits"))
        rows.setdefault(str(row["actor"]), []).append(stretch)

    def lane(name: str, actors: str, idle: str, common: tuple[Stretch, ...] = ()) -> Lane:
        found = [list(_merged(row)) for actor, row in rows.items() if actor.startswith(actors)]
        return Lane(name, actors, PALETTE[_LOOKS.get(actors, actors)], found, idle, common)

    lanes = [lane("QEMU", "QEMU", "does nothing")]
    if run.scenario == "reboot":
        lanes.append(lane("guest's vCPUs", "vCPU", "never run", tuple(_standing_still(run, "vCPU 0" in rows))))
    lanes.append(lane("clean-up thread", "clean-up thread", "there is none"))
    if run.parameters.get("demand"):
        lanes.append(lane("other process", "other process", "does nothing"))
    return lanes


_LOOKS = {"vCPU": "guest"}


def _standing_still(run: Run, busy: bool) -> Iterator[Stretch]:
    """What all vCPUs do: they stand still until the downtime ends, then they are free to run."""
    end = run_end(run) if run.downtime_ns is None else run.downtime_ns
    yield Stretch(0, end, "wait for QEMU", waits=True)
    if run.booted and not busy and end < run_end(run):
        yield Stretch(end, run_end(run), "may run, touch nothing")


def _merged(stretches: Iterable[Stretch]) -> Iterator[Stretch]:
    """Stretches of one activity, put together where they meet or overlap."""
    pending: Stretch | None = None
    for stretch in sorted(stretches):
        if pending and pending.activity == stretch.activity and stretch.start <= pending.end:
            pending = pending._replace(end=max(pending.end, stretch.end))
            continue
        if pending:
            yield pending
        pending = stretch
    if pending:
        yield pending


def run_end(run: Run) -> int:
    """When the last thing of a run happened, in nanoseconds."""
    return max(run.end_ns, run.cleanup_ns or 0, run.downtime_ns or 0, 1)


class _Panel:
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


class TimelinePanel(_Panel):
    """Lanes that show who does what, and what waits, on a time axis with the downtime marked.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    label : bool
        Whether to name the time axis.
    """

    BAR = 0.72

    def __init__(self, axes: Axes, *, label: bool = True) -> None:
        super().__init__(axes)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        self.label = label

    def show(self, run: Run, end: int | None = None, room: int = 0) -> None:
        """Show a run, on an axis that ends at `end` (nanoseconds), with room for so many lanes."""
        self._clear()
        with mpl.rc_context(STYLE):
            lanes = _lanes(run)
            self.end = end or run_end(run)
            _time_axis(self.axes, self.end, run.scenario, self.label)
            self.axes.set_ylim(max(room, len(lanes)) - 0.5, -1.02)
            self.axes.set_yticks(range(len(lanes)), [lane.name for lane in lanes])
            for place, lane in enumerate(lanes):
                self._lane(
                    place, lane, [event.time_ns for event in _marked(run) if event.actor.startswith(lane.actors)]
                )
            self._downtime(run, len(lanes))
            self._events(run, lanes)

    def _lane(self, place: int, lane: Lane, marks: list[int]) -> None:
        self._add(self.axes.axhspan(place - 0.46, place + 0.46, color="#F4F4F4", lw=0, zorder=0))
        self._row(lane.common, lane.look, place - self.BAR / 2, self.BAR)
        height = self.BAR / max(1, len(lane.rows))
        for number, row in enumerate(lane.rows):
            self._row(row, lane.look, place - self.BAR / 2 + number * height, height * 0.94)
        self._write(place, lane, marks)

    def _row(self, stretches: Iterable[Stretch], look: Look, top: float, height: float) -> None:
        for waits in (False, True):
            spans = [(stretch.start, stretch.end - stretch.start) for stretch in stretches if stretch.waits is waits]
            if spans:
                self._add(self.axes.broken_barh(spans, (top, height), **_bar(look, waits), zorder=2))

    def _write(self, place: int, lane: Lane, marks: list[int]) -> None:
        """Write activities into their bars; the longest that does not fit, beside its bar, if no mark is there."""
        stretches = lane.merged()
        if not stretches:
            self._text(0.005 * self.end, place, lane.idle, ha="left", color=GREY, style="italic")
        narrow, taken = [], [*marks, self.end]
        for stretch in stretches:
            if self._width(stretch) < _inches(stretch.activity):
                narrow.append(stretch)
                continue
            middle = (stretch.start + min(stretch.end, self.end)) // 2
            colour = "black" if stretch.waits or _luminance(lane.look.colour) > 0.2 else "white"
            self._text(middle, place, stretch.activity, ha="center", color=colour, frame=stretch.waits)
            half = round(_inches(stretch.activity) / 2 / self._per_ns())
            taken.append(middle - half if stretch.waits else stretch.start)
        longest = max((stretch for stretch in narrow if not stretch.waits), key=self._width, default=None)
        if longest is None or self._width(longest) < 0.05:
            return
        words, start = f"◂ {longest.activity}", max(stretch.end for stretch in narrow)
        if (min(end for end in taken if end >= longest.start) - start) * self._per_ns() > _inches(words):
            self._text(start + 0.05 / self._per_ns(), place, words, ha="left", frame=True)

    def _per_ns(self) -> float:
        """Inches for a nanosecond."""
        return WIDTH * (RIGHT - LEFT) / (self.end * 1.01)

    def _width(self, stretch: Stretch) -> float:
        return (min(stretch.end, self.end) - stretch.start) * self._per_ns()

    def _text(self, time: float, place: float, words: str, *, frame: bool = False, **options: Any) -> None:
        box = {"boxstyle": "square,pad=0.12", "fc": "white", "ec": "none"} if frame else None
        self._add(self.axes.text(time, place, words, va="center", bbox=box, fontsize=10.5, zorder=4, **options))

    def _downtime(self, run: Run, lanes: int) -> None:
        look = PALETTE["downtime"]
        ends = self.end if run.downtime_ns is None else run.downtime_ns
        words = "downtime: never ends" if run.downtime_ns is None else f"downtime {format_duration(ends)}"
        self._add(
            self.axes.axvspan(0, ends, color=look.colour, alpha=0.09, lw=0, zorder=1),
            self.axes.hlines(-0.72, 0, ends, color=look.colour, lw=4, capstyle="butt", zorder=3),
            self.axes.vlines(ends, -0.95, lanes - 0.5, color=look.colour, lw=1.6, ls=(0, (4, 2)), zorder=5),
        )
        inside = ends > 0.3 * self.end
        self._add(
            self.axes.text(
                ends / 2 if inside else ends + 0.008 * self.end,
                -0.72,
                words,
                ha="center" if inside else "left",
                va="center",
                color=look.colour,
                fontweight="bold",
                bbox={"boxstyle": "square,pad=0.15", "fc": "white", "ec": "none"} if inside else None,
                zorder=6,
            )
        )

    def _events(self, run: Run, lanes: list[Lane]) -> None:
        """Mark what went wrong: the first event of each kind."""
        kinds: set[str] = set()
        for event in _marked(run):
            if event.kind in kinds or event.time_ns > self.end:
                continue
            kinds.add(event.kind)
            place = next((i for i, lane in enumerate(lanes) if event.actor.startswith(lane.actors)), 0)
            late = event.time_ns > 0.7 * self.end
            self._add(
                *self.axes.plot(event.time_ns, place, "X", ms=10, mfc="black", mec="white", zorder=7, clip_on=False),
                self.axes.annotate(
                    _kind_of(event),
                    (event.time_ns, place),
                    (-9 if late else 9, 0),
                    textcoords="offset points",
                    ha="right" if late else "left",
                    va="center",
                    fontweight="bold",
                    bbox={"boxstyle": "square,pad=0.15", "fc": "white", "ec": "black", "lw": 0.6},
                    zorder=8,
                ),
            )


def _inches(words: str) -> float:
    """How wide words in a bar are, about."""
    return 0.085 * len(words) + 0.1


def _bar(look: Look, waits: bool) -> dict[str, Any]:
    """How a bar looks: full of its colour if something is done, hatched if somebody waits."""
    if waits:
        return {"facecolor": "white", "edgecolor": look.colour, "hatch": "////", "linewidth": 0.8}
    return {"facecolor": look.colour, "edgecolor": look.colour, "linewidth": 0.8}


def _luminance(colour: str) -> float:
    """How bright a colour is, from 0 to 1 (relative luminance of WCAG)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _time_axis(axes: Axes, end: int, scenario: str, label: bool) -> None:
    unit, ns = next(
        (unit, ns) for unit, ns in (("s", 10**9), ("ms", 10**6), ("µs", 10**3), ("ns", 1)) if end >= ns or ns == 1
    )
    axes.set_xlim(0, end * 1.01)
    ticks = MaxNLocator(8, steps=[1, 2, 5, 10]).tick_values(0, end / ns)
    axes.xaxis.set_major_locator(FixedLocator([tick * ns for tick in ticks if tick * ns <= end * 1.01]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda time, _: f"{time / ns:g}"))
    if label:
        start = "the reset request" if scenario == "reboot" else "the kill"
        axes.set_xlabel(f"time since {start} ({unit})")
    else:
        axes.tick_params(labelbottom=False)


# Memory over time


def _bands(run: Run) -> list[tuple[Look, np.ndarray]]:
    """What memory is used for, from below upwards: the look, and pages of shape (rows of run.memory,)."""
    memory = run.memory
    old = np.minimum(memory["uncleaned"], memory["guest"])
    bands = [
        ("guest", memory["guest"] - old),
        ("old guest", old),
        ("set aside", memory["set_aside"]),
        ("other process", memory["other"]),
        ("donated", memory["donated"]),
        ("leaked", memory["leaked"]),
        ("free", memory["free"]),
    ]
    return [(PALETTE[name], pages) for name, pages in bands]


class MemoryPanel(_Panel):
    """What the host's memory is used for, stacked, over time."""

    def __init__(self, axes: Axes) -> None:
        super().__init__(axes)
        axes.set_facecolor("#FFFFFF")

    def show(self, run: Run, end: int | None = None) -> None:
        """Show a run, on an axis that ends at `end` (nanoseconds)."""
        self._clear()
        with mpl.rc_context(STYLE):
            host = int(run.parameters["host_memory"])
            unit, base = ("GiB", 1 << 30) if host >= 1 << 30 else ("MiB", 1 << 20)
            end = end or run_end(run)
            _time_axis(self.axes, end, run.scenario, label=True)
            self.axes.set_ylim(0, host / base)
            self.axes.set_ylabel(f"memory ({unit})")
            step = 2.0 ** np.floor(np.log2(host / base / 3))
            self.axes.set_yticks(np.arange(0, host / base, step))
            self._stack(run, base / PAGE_SIZE, max(end, run_end(run)))
            self._host(host, host / base)
            self._exhaustion(run, host / base)

    def _stack(self, run: Run, pages_per_unit: float, end: int) -> None:
        times = np.append(run.memory["time"], end)
        below = np.zeros(len(times))
        handles = []
        for look, pages in _bands(run):
            values = np.append(pages, pages[-1]) / pages_per_unit
            if look is not PALETTE["free"] and values.any():
                self._add(self.axes.fill_between(times, below, below + values, **_area(look)))
            if values.max() > 0.004 * len_of_axis(self.axes):
                handles.append(Patch(label=look.label, **_area(look)))
            below = below + values
        legend = self.axes.legend(
            handles=handles[::-1],
            loc="upper left",
            bbox_to_anchor=(-LEFT / (RIGHT - LEFT) + 0.01, -0.25),
            borderpad=0,
            borderaxespad=0,
            ncols=4,
            frameon=False,
            handlelength=1.6,
            handleheight=1.3,
            columnspacing=1.4,
        )
        self._add(legend)

    def _host(self, size: int, top: float) -> None:
        """The line above which there is no memory."""
        self._add(
            self.axes.axhline(top, color="black", lw=1.6, clip_on=False),
            self.axes.text(
                0.995,
                1.02,
                f"all of the host's memory: {format_size(size)}",
                ha="right",
                va="bottom",
                fontsize=10,
                color=GREY,
                transform=self.axes.transAxes,
            ),
        )

    def _exhaustion(self, run: Run, top: float) -> None:
        """Mark when nothing was free any more."""
        event = next((event for event in run.events if event.kind == "oom"), None)
        if event is not None:
            self._add(
                *self.axes.plot(event.time_ns, top, "X", ms=11, mfc="black", mec="white", zorder=7, clip_on=False),
                self.axes.annotate(
                    f"nothing is free: out of memory at {format_duration(event.time_ns)}",
                    (event.time_ns, top),
                    (12, -6),
                    textcoords="offset points",
                    va="top",
                    fontweight="bold",
                    bbox={"boxstyle": "square,pad=0.2", "fc": "white", "ec": "black", "lw": 0.6},
                    zorder=8,
                ),
            )


def len_of_axis(axes: Axes) -> float:
    """How much the vertical axis spans."""
    low, high = axes.get_ylim()
    return abs(high - low)


def _area(look: Look) -> dict[str, Any]:
    dark = _luminance(look.colour) < 0.1
    return {
        "facecolor": look.colour,
        "hatch": look.hatch,
        "edgecolor": "white" if dark else "#333333",
        "linewidth": 0.5,
    }


# Downtime against memory


@functools.lru_cache(maxsize=4096)
def _downtime_ns(scenario: str, kernel: Series, memory: int, costs: Costs) -> int | None:
    if scenario == "reboot":
        return scenarios.reboot(memory, kernel=kernel, costs=costs, new_guest="normal", touch="none").downtime_ns
    return scenarios.shutdown(memory, kernel=kernel, costs=costs).downtime_ns


def downtimes(
    kernel: Series, sizes: Iterable[int | str], *, scenario: str = "reboot", costs: Costs | None = None
) -> list[int | None]:
    """Downtimes in nanoseconds, each from a run of the model.

    Parameters
    ----------
    kernel : Series
    sizes : iterable of int or str
        Memory of the guest, all of it used.
    scenario : {"reboot", "shutdown"}
    costs : Costs, optional

    Returns
    -------
    list of int
    """
    if scenario not in ("reboot", "shutdown"):
        raise ValueError(f"scenario={scenario!r}: use 'reboot' or 'shutdown'")
    costs = Costs() if costs is None else costs
    return [_downtime_ns(scenario, kernel, read_size(size, multiple_of=PAGE_SIZE), costs) for size in sizes]


SIZES = tuple(1 << power for power in range(28, 39))
"""256 MiB to 256 GiB, in powers of two."""

_STROKES = (("o", "-"), ("s", "--"), ("^", "-."), ("v", ":"), ("P", (0, (1, 1))))


class ScalingPanel(_Panel):
    """Downtime against memory, both on logarithmic scales, with a dot for a setting."""

    def __init__(self, axes: Axes) -> None:
        super().__init__(axes)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xlabel("memory that the old guest used")
        axes.set_ylabel("downtime")
        axes.grid(True, color="#DDDDDD", lw=0.7)
        axes.set_axisbelow(True)
        for axis, write in (
            (axes.xaxis, lambda value, _: format_size(int(value))),
            (axes.yaxis, lambda value, _: format_duration(round(value)) if value >= 1 else ""),
        ):
            axis.set_major_formatter(FuncFormatter(write))
            axis.set_minor_locator(NullLocator())

    def show(
        self,
        lines: Mapping[Series, list[int | None]],
        sizes: Iterable[int],
        dot: tuple[int, int] | None = None,
        scales: tuple[tuple[int, int], tuple[int, int]] | None = None,
    ) -> None:
        """Show `lines` over `sizes` (bytes to nanoseconds), and a dot, on `scales` (from and to, of each) that stay."""
        self._clear()
        sizes = list(sizes)
        with mpl.rc_context(STYLE):
            known = [ns for line in lines.values() for ns in line if ns] + ([dot[1]] if dot else [])
            self._scales(*(scales or ((sizes[0], sizes[-1]), (min(known, default=1), max(known, default=1)))))
            for (kernel, line), (marker, stroke) in zip(lines.items(), _STROKES * 3, strict=False):
                self._line(_kernel_name(kernel), sizes, line, marker, stroke)
            if _flat_from(lines, sizes):
                self._two_gib()
            if dot:
                others = [
                    ns for line in lines.values() for size, ns in zip(sizes, line, strict=True) if ns and size == dot[0]
                ]
                self._dot(*dot, highest=dot[1] >= max(others, default=0))

    def _scales(self, sizes: tuple[int, int], times: tuple[int, int]) -> None:
        """Set the axes: a size for every second power of two, a time for every power of ten, room for names."""
        octaves = max(1, round(np.log2(sizes[1] / sizes[0])))
        self.axes.set_xlim(sizes[0] / 2 ** (0.04 * octaves), sizes[1] * 2 ** (0.31 * octaves))
        self.axes.set_xticks([sizes[0] << power for power in range(0, octaves + 1, 2)])
        bottom, top = int(np.floor(np.log10(times[0] / 1.2))), int(np.ceil(np.log10(times[1] * 1.6)))
        self.axes.set_ylim(10.0**bottom, 10.0**top)
        self.axes.set_yticks([10.0**power for power in range(bottom, top + 1)])

    def _line(self, name: str, sizes: list[int], line: list[int | None], marker: str, stroke: Any) -> None:
        known = [(size, ns) for size, ns in zip(sizes, line, strict=True) if ns]
        if not known:
            return
        drawn = self.axes.plot(
            *zip(*known, strict=True), color=PALETTE["downtime"].colour, marker=marker, ls=stroke, lw=2, ms=6
        )
        self._add(
            *drawn,
            self.axes.annotate(
                name,
                known[-1],
                (10, 0),
                textcoords="offset points",
                va="center",
                color=PALETTE["downtime"].colour,
                fontweight="bold",
                fontsize=12,
                annotation_clip=False,
            ),
        )

    def _two_gib(self) -> None:
        self._add(
            self.axes.axvline(LOW_MEMORY, color=GREY, lw=1.2, ls=(0, (2, 2))),
            self.axes.text(LOW_MEMORY * 1.06, 0.93, "2 GiB", transform=self.axes.get_xaxis_transform(), color=GREY),
        )

    def _dot(self, memory: int, ns: int, highest: bool) -> None:
        """Mark a point. Its label is above a line that rises, below one that has another above it."""
        left, right = np.log2(self.axes.get_xlim())
        at_the_edge = (np.log2(memory) - left) / (right - left) < 0.13
        place, ha, va = ((-12, 9), "right", "bottom") if highest else ((0, -13), "center", "top")
        if at_the_edge:
            place, ha, va = (12, -7), "left", "top"
        self._add(
            *self.axes.plot(memory, ns, "D", ms=13, mfc="none", mec="black", mew=2.4, zorder=9),
            self.axes.annotate(
                f"{format_size(memory)}: {format_duration(ns)}",
                (memory, ns),
                place,
                textcoords="offset points",
                ha=ha,
                va=va,
                fontweight="bold",
                bbox={"boxstyle": "square,pad=0.2", "fc": "white", "ec": "black", "lw": 0.8},
                zorder=10,
            ),
        )


# The pictures

HEAD = 0.72
"""Inches for the title and the line below it."""

LANE = 0.42
"""Inches for a lane."""


def plot_run(run: Run) -> Picture:
    """Who did what in a run, and what memory was used for, on one time axis.

    Parameters
    ----------
    run : Run

    Returns
    -------
    Picture
    """
    lanes = LANE * (len(_lanes(run)) + 0.6)
    picture = Picture(HEAD + lanes + 0.22 + 2.3 + 1.0)
    TimelinePanel(picture.panel(HEAD, lanes), label=False).show(run)
    MemoryPanel(picture.panel(HEAD + lanes + 0.22, 2.3)).show(run)
    picture.say(finding(run), setting(run), describe(run))
    return picture


def plot_timeline(*runs: Run) -> Picture:
    """Who did what in several runs, one above the other on one time scale.

    Parameters
    ----------
    *runs : Run
        At least one.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If there is none.
    """
    if not runs:
        raise ValueError("runs=(): give at least one run")
    heights = [LANE * (len(_lanes(run)) + 0.6) for run in runs]
    gap = 0.34
    picture = Picture(HEAD + sum(heights) + gap * len(runs) + 0.55)
    end, top = max(map(run_end, runs)), HEAD
    for run, height in zip(runs, heights, strict=True):
        axes = picture.panel(top + gap, height)
        TimelinePanel(axes, label=run is runs[-1]).show(run, end)
        place = 1 - (top + gap * 0.75) / picture.get_figheight()
        picture.text(0.008, place, kernel_name(run), fontsize=12, fontweight="bold", va="center")
        top += height + gap
    below = "one above the other, on one time scale" if len(runs) > 1 else setting(runs[0])
    picture.say(_comparison(runs), f"{_common(runs)}  ·  {below}" if len(runs) > 1 else below, _compared(runs))
    return picture


def _comparison(runs: tuple[Run, ...]) -> str:
    """The finding of several runs: the first against the last."""
    first, last = runs[0].downtime_ns, runs[-1].downtime_ns
    if len(runs) == 1 or not first or not last:
        return finding(runs[-1])
    before, after = (f"{format_duration(ns)}" for ns in (first, last))
    words = f"Downtime {before} {kernel_name(runs[0])}, {after} with {kernel_name(runs[-1])}"
    if first > last:
        return f"{words}: {_ratio(first / last)} times shorter"
    return f"{words}: no shorter"


def _ratio(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def _common(runs: tuple[Run, ...]) -> str:
    """What the settings of several runs have in common."""
    parts = [setting(run).split("  ·  ") for run in runs]
    return "  ·  ".join(part for part in parts[0] if all(part in other for other in parts[1:]))


def _compared(runs: tuple[Run, ...]) -> str:
    return f"{len(runs)} timelines, one above the other. " + " ".join(
        f"{number}. {finding(run)}. {describe(run).split(' Memory over time')[0]}" for number, run in enumerate(runs, 1)
    )


def plot_memory(run: Run) -> Picture:
    """What the host's memory was used for during a run, stacked, over time.

    Parameters
    ----------
    run : Run

    Returns
    -------
    Picture
    """
    picture = Picture(HEAD + 2.6 + 1.0)
    MemoryPanel(picture.panel(HEAD, 2.6)).show(run)
    picture.say(memory_finding(run), setting(run), f"{memory_finding(run)}. {_describe_memory(run)}")
    return picture


def memory_finding(run: Run) -> str:
    """What a run's memory shows, in a sentence made of its values."""
    aside, least = run.memory["set_aside"].max(), run.memory["free"].min()
    out_of_memory = next((event for event in run.events if event.kind == "oom"), None)
    if out_of_memory is not None:
        return f"Up to {_amount(aside)} are set aside, and at {format_duration(out_of_memory.time_ns)} nothing is free"
    if aside:
        return f"Up to {_amount(aside)} set aside, neither used nor free; at least {_amount(least)} stay free"
    return f"Nothing is set aside; at least {_amount(least)} stay free"


def plot_scaling(
    *kernels: Series,
    sizes: Iterable[int | str] = SIZES,
    scenario: str = "reboot",
    costs: Costs | None = None,
    dot: Run | None = None,
) -> Picture:
    """Downtime against the memory that the old guest used, for several kernels. Every point is a run of the model.

    Parameters
    ----------
    *kernels : Series
        Default: the kernel before the series, and `series.v1`.
    sizes : iterable of int or str
        Memory of the guest, rising.
    scenario : {"reboot", "shutdown"}
        A rebooted guest is normal and touches nothing afterwards; that does not change the downtime.
    costs : Costs, optional
    dot : Run, optional
        A run to mark.

    Returns
    -------
    Picture
    """
    kernels = kernels or (v1.upto(0), v1)
    read = [read_size(size, "sizes", multiple_of=PAGE_SIZE) for size in sizes]
    if not read:
        raise ValueError("sizes=[]: give at least one size")
    lines = {kernel: downtimes(kernel, read, scenario=scenario, costs=costs) for kernel in kernels}
    picture = Picture(HEAD + 3.6 + 0.65)
    marked = (dot.pages << PAGE_SHIFT, dot.downtime_ns) if dot is not None and dot.downtime_ns else None
    ScalingPanel(picture.panel(HEAD, 3.6)).show(lines, read, marked)
    title = scaling_finding(lines, read)
    below = f"{scenario}, each point a run of the model; both scales are logarithmic"
    picture.say(title, below, describe_scaling(lines, read))
    return picture


def scaling_finding(lines: Mapping[Series, list[int | None]], sizes: list[int]) -> str:
    """What the downtimes of several kernels show, in a sentence made of their values."""
    first = _flat_from(lines, sizes) or 0
    grows = [f"{_growth(line[first], line[-1])} {_with(kernel)}" for kernel, line in lines.items()]
    return f"{format_size(sizes[first])} to {format_size(sizes[-1])}: downtime grows {', '.join(grows)}"


def _flat_from(lines: Mapping[Series, list[int | None]], sizes: list[int]) -> int | None:
    """Place of the size from which on a line does not grow, if that is because of the first 2 GiB; else None."""
    first = next((place for place, size in enumerate(sizes[:-1]) if place and size >= LOW_MEMORY), None)
    flat = first is not None and any(_growth(line[first], line[-1]) == "not at all" for line in lines.values())
    return first if flat else None


def _growth(first: int | None, last: int | None) -> str:
    if not first or not last:
        return "(never ends)"
    return "not at all" if last <= 1.005 * first else f"{_ratio(last / first)}-fold"


def _with(kernel: Series) -> str:
    name = _kernel_name(kernel)
    return name if name.startswith("before") else f"with {name}"


def describe_scaling(lines: Mapping[Series, list[int | None]], sizes: list[int]) -> str:
    """What a picture of downtime against memory shows, in a few sentences."""
    points = " ".join(
        f"{_capital(_kernel_name(kernel))}: "
        + ", ".join(f"{format_size(size)} {format_duration(ns)}" for size, ns in zip(sizes, line, strict=True) if ns)
        + "."
        for kernel, line in lines.items()
    )
    return f"{scaling_finding(lines, sizes)}. Downtime against memory. {points}"


# The pages of a machine driven by hand


def plot_pages(machine: Machine, title: str | None = None) -> Picture:
    """The guest's pages as a map: a cell a page, with its state, its owner and what a reader would find.

    Parameters
    ----------
    machine : Machine
        Of at most 64 pages.
    title : str, optional
        Default: how many pages are in which state.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If the machine has more pages than can be read in a picture.
    """
    if machine.guest_pages > MAP_PAGES:
        raise ValueError(f"machine: {machine.guest_pages} guest pages; a page map can be read up to {MAP_PAGES}")
    rows = machine.rows()
    across = min(8, len(rows))
    down = -(-len(rows) // across)
    picture = Picture(0.66 + 1.02 * down + 0.06)
    axes = picture.panel(0.66, 1.02 * down)
    axes.set_position((0.008, 0.06 / picture.get_figheight(), 0.984, axes.get_position().height))
    axes.set(xlim=(0, 8), ylim=(down, 0))
    axes.set_axis_off()
    old = {machine.name(handle) for handle in machine.old}
    with mpl.rc_context(STYLE):
        for row in rows:
            _cell(axes, row, row["page"] % across, row["page"] // across, old)
    words = "; ".join(f"page {row['page']}: {_in_words(row, old)}" for row in rows)
    picture.say(title or _counted(rows, old), _guest_now(machine, old), f"The guest's pages. {_capital(words)}.")
    return picture


MAP_PAGES = 64
"""Pages that `plot_pages` draws at most."""


def _kind(row: Mapping[str, Any], old: set[str]) -> str:
    """What sort of page it is: a key of the palette, or "non-secure", or "not present"."""
    if row["state"] == "not present" or row["holder"] == "set aside":
        return "set aside" if row["holder"] == "set aside" else "not present"
    if row["state"] == "secure":
        return "old guest" if row["owner"] in old else "guest"
    return str(row["state"])


def _in_words(row: Mapping[str, Any], old: set[str]) -> str:
    if row["state"] == "not present":
        return "not present"
    owner = f", owned by {row['owner']}{' (old)' if row['owner'] in old else ''}" if row["owner"] else ""
    aside = "set aside, " if row["holder"] == "set aside" else ""
    return f"{aside}{row['state']}{owner}, {row['content']}"


def _cell(axes: Axes, row: Mapping[str, Any], across: int, down: int, old: set[str]) -> None:
    kind = _kind(row, old)
    look = PALETTE.get(kind, PALETTE["free"])
    missing = kind == "not present"
    axes.add_patch(
        Rectangle(
            (across + 0.03, down + 0.03),
            0.94,
            0.94,
            facecolor=look.colour,
            hatch="" if missing else look.hatch,
            edgecolor=GREY,
            linewidth=1,
            linestyle=":" if missing else "-",
            alpha=None,
        )
    )
    state = "set aside" if kind == "set aside" else row["state"]
    owner = f"owner {row['owner']}{' (old)' if row['owner'] in old else ''}" if row["owner"] else ""
    lines = [state, owner, str(row["content"]).replace(" of ", "\nof ")]
    frame = {"boxstyle": "square,pad=0.18", "fc": "white", "ec": "none", "alpha": 0.9} if look.hatch else None
    axes.text(
        across + 0.5,
        down + 0.58,
        "\n".join(line for line in lines if line),
        ha="center",
        va="center",
        fontsize=9.5,
        linespacing=1.15,
        color=GREY if missing else "black",
        bbox=frame,
        zorder=3,
    )
    axes.text(
        across + 0.07,
        down + 0.07,
        str(row["page"]),
        va="top",
        fontsize=11,
        fontweight="bold",
        bbox={"boxstyle": "square,pad=0.1", "fc": "white", "ec": "none"},
        zorder=4,
    )


def _counted(rows: list[dict[str, Any]], old: set[str]) -> str:
    """How many pages are in which state, the most frequent first."""
    names = {"old guest": "old guest's", "guest": "running guest's"}
    counts: dict[str, int] = {}
    for row in rows:
        kind = _kind(row, old)
        counts[kind] = counts.get(kind, 0) + 1
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return f"{len(rows)} pages: " + ", ".join(f"{number} {names.get(kind, kind)}" for kind, number in ordered)


def _guest_now(machine: Machine, old: set[str]) -> str:
    if not machine.alive:
        now = "the process has exited"
    elif not machine.guest_up:
        now = "no guest is running"
    else:
        handle = machine.running_handle(machine.kvm)
        now = f"a protected guest runs: {machine.name(handle)}" if handle else "a normal guest runs"
    return now + (f"  ·  old: {', '.join(sorted(old))}" if old else "")
