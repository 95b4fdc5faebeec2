"""Who did what: a lane an actor, over virtual time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.path import Path
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from ..actors import is_a
from ..run import Run, expect_run
from ..units import expect, flag, whole_number
from .artists import box
from .lanes import Lane, Stretch, downtimes_of, lanes_of, run_end
from .panel import LATEST, Panel
from .picture import GREY, LEFT, PALETTE, RIGHT, WIDTH, Look, styled
from .words import downtime_words, kind_of, marked_events

LANES = 100
"""Lanes that a timeline has room for, at most."""

Span = tuple[int, int]
"""From when to when, in nanoseconds."""


class TimelinePanel(Panel):
    """Lanes that show who does what, and what waits, on a time axis with the downtime marked.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    label : bool
        Whether to name the time axis.
    since : str
        What time is counted from; empty: what begins the scenario.
    """

    BAR = 0.72

    def __init__(self, axes: Axes, *, label: bool = True, since: str = "") -> None:
        super().__init__(axes)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        expect(str, since, "since", "what time is counted from, such as 'the kill'")
        self.label = flag(label, "label")
        self.since = since

    def show(self, run: Run, end: int | None = None, room: int = 0) -> None:
        """Show a run, on an axis that ends at `end` (nanoseconds), with room for so many lanes."""
        expect_run(run)
        end = run_end(run) if end is None else whole_number(end, "end", 1, LATEST)
        room = whole_number(room, "room", 0, LANES)
        self._drawn.clear()
        with styled():
            lanes = lanes_of(run)
            self.end = end
            self._prepare([lane.name for lane in lanes], self.since or START[run.scenario], room)
            for place, lane in enumerate(lanes):
                marks = [event.time_ns for event in marked_events(run) if is_a(event.actor, lane.actors)]
                self._lane(place, lane, marks, [self._label(mark) for mark in self._marks(run, lanes, place)])
            self._downtime(run, len(lanes))
            for place in range(len(lanes)):
                for mark in self._marks(run, lanes, place):
                    self._mark(place, mark)

    def _prepare(self, names: list[str], since: str, room: int) -> None:
        """The time axis, and the lanes without what is done in them."""
        if self._needs_ground(names, since, room, self.end):
            time_axis(self.axes, self.end, since, self.label)
            self.axes.set_ylim(max(room, len(names)) - 0.5, -1.02)
            self.axes.set_yticks(range(len(names)), names)
            for place in range(len(names)):
                self._keep(self.axes.axhspan(place - 0.46, place + 0.46, color="#F4F4F4", lw=0, zorder=0))

    def _lane(self, place: int, lane: Lane, marks: list[int], labels: list[Span]) -> None:
        self._row(lane.common, lane.look, place - self.BAR / 2, self.BAR)
        height = self.BAR / max(1, len(lane.rows))
        for number, row in enumerate(lane.rows):
            self._row(row, lane.look, place - self.BAR / 2 + number * height, height * 0.94)
        self._write(place, lane, marks, labels)

    def _row(self, stretches: Iterable[Stretch], look: Look, top: float, height: float) -> None:
        for waits in (False, True):
            spans = [(stretch.start, stretch.end) for stretch in stretches if stretch.waits is waits]
            if spans:
                self._drawn.area(_boxes(spans, top, top + height), **_bar(look, waits), joinstyle="round", zorder=2)

    def _write(self, place: int, lane: Lane, marks: list[int], labels: list[Span]) -> None:
        """Write activities into their bars; the longest that does not fit, beside its bar, if no mark is there."""
        stretches = lane.merged()
        if not stretches:
            self._text(0.005 * self.end, place, lane.idle, ha="left", color=GREY, style="italic")
        narrow, taken = [], [*marks, self.end]
        for before, stretch in zip([None, *stretches], stretches, strict=False):
            if self._width(stretch) < _inches(stretch.activity):
                narrow.append(stretch)
                continue
            half = round(_inches(stretch.activity) / 2 / self._per_ns())
            middle = self._middle(stretch, half, labels)
            if middle is None:
                self._write_before(place, stretch, before.end if before else 0)
                continue
            colour = "black" if stretch.waits or brightness(lane.look.colour) > 0.2 else "white"
            self._text(middle, place, stretch.activity, ha="center", color=colour, frame=stretch.waits)
            taken.append(middle - half if stretch.waits else stretch.start)
        longest = max((stretch for stretch in narrow if not stretch.waits), key=self._width, default=None)
        if longest is None or self._width(longest) < 0.05:
            return
        words, start = f"◂ {longest.activity}", max(stretch.end for stretch in narrow)
        if (min(end for end in taken if end >= longest.start) - start) * self._per_ns() > _inches(words):
            self._text(start + 0.05 / self._per_ns(), place, words, ha="left", frame=True)

    def _middle(self, stretch: Stretch, half: int, labels: list[Span]) -> int | None:
        """Where to write into a bar what it is: in its middle, or beside the labels that lie there, or nowhere."""
        end = min(stretch.end, self.end)
        middle = (stretch.start + end) // 2
        if not any(left < middle + half and right > middle - half for left, right in labels):
            return middle
        free, start = [], stretch.start
        for left, right in sorted(labels):
            free.append((start, min(left, end)))
            start = max(start, right)
        left, right = max([*free, (start, end)], key=lambda span: span[1] - span[0])
        return (left + right) // 2 if right - left >= 2 * half else None

    def _write_before(self, place: int, stretch: Stretch, free_from: int) -> None:
        """Write what a bar is to its left, if nothing is there."""
        words = f"{stretch.activity} ▸"
        if (stretch.start - free_from) * self._per_ns() > _inches(words):
            self._text(stretch.start - 0.05 / self._per_ns(), place, words, ha="right", frame=True)

    def _per_ns(self) -> float:
        """Inches for a nanosecond."""
        return WIDTH * (RIGHT - LEFT) / (self.end * 1.01)

    def _width(self, stretch: Stretch) -> float:
        return (min(stretch.end, self.end) - stretch.start) * self._per_ns()

    def _text(self, time: float, place: float, words: str, *, frame: bool = False, **options: Any) -> None:
        around = {"boxstyle": "square,pad=0.12", "fc": "white", "ec": "none"} if frame else None
        self._drawn.text(time, place, words, va="center", bbox=around, fontsize=10.5, zorder=4, **options)

    def _downtime(self, run: Run, lanes: int) -> None:
        look = PALETTE["downtime"]
        spans = downtimes_of(run)
        for start, end in spans:
            behind: dict[str, Any] = {"color": look.colour, "alpha": 0.09, "lw": 0, "zorder": 1}
            self._drawn.area(box(start, 0, end, 1), transform=self.axes.get_xaxis_transform(), **behind)
            self._line((start, end), (-0.72, -0.72), lw=4, zorder=3)
        ends = self.end if run.downtime_ns is None and len(spans) == 1 else spans[-1][1]
        words = downtime_words(run)
        self._line((ends, ends), (-0.95, lanes - 0.5), lw=1.6, ls=(0, (4, 2)), zorder=5)
        inside = ends > 0.3 * self.end
        self._drawn.text(
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

    def _line(self, times: Span, places: tuple[float, float], **options: Any) -> None:
        self._drawn.line(times, places, color=PALETTE["downtime"].colour, solid_capstyle="butt", **options)

    def _marks(self, run: Run, lanes: list[Lane], place: int) -> list[Any]:
        """What went wrong in a lane: the first event of each kind. An event without an actor is in the first lane."""
        first: dict[str, Any] = {}
        for event in marked_events(run):
            if event.time_ns <= self.end:
                first.setdefault(event.kind, event)
        actors = [lane.actors for lane in lanes]
        return [
            event
            for event in first.values()
            if place == next((i for i, kind in enumerate(actors) if is_a(event.actor, kind)), 0)
        ]

    def _is_late(self, event: Any) -> bool:
        """Whether an event is so far to the right that its label is left of it."""
        return bool(event.time_ns > 0.7 * self.end)

    def _label(self, event: Any) -> Span:
        """From when to when the label of an event lies over its lane."""
        wide = round((0.1 * len(kind_of(event)) + 0.2) / self._per_ns())
        return (event.time_ns - wide, event.time_ns) if self._is_late(event) else (event.time_ns, event.time_ns + wide)

    def _mark(self, place: int, event: Any) -> None:
        """Mark what went wrong."""
        late = self._is_late(event)
        self._drawn.add(
            *self.axes.plot(event.time_ns, place, "X", ms=10, mfc="black", mec="white", zorder=7, clip_on=False),
            self.axes.annotate(
                kind_of(event),
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


def _boxes(spans: list[Span], top: float, bottom: float) -> Path:
    """A box for each span of time: all in one path, which is drawn in one go."""
    corners = [((a, top), (b, top), (b, bottom), (a, bottom), (a, top)) for a, b in spans]
    sides = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY]
    return Path(np.reshape(np.array(corners, float), (-1, 2)), sides * len(spans))


def _inches(words: str) -> float:
    """How wide words in a bar are, about."""
    return 0.085 * len(words) + 0.1


def _bar(look: Look, waits: bool) -> dict[str, Any]:
    """How a bar looks: full of its colour if something is done, hatched if somebody waits."""
    if waits:
        return {"facecolor": "white", "edgecolor": look.colour, "hatch": "////", "linewidth": 0.8}
    return {"facecolor": look.colour, "edgecolor": look.colour, "linewidth": 0.8}


def brightness(colour: str) -> float:
    """How bright a colour is, from 0 to 1 (relative luminance of WCAG)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


START = {"reboot": "the reset request", "shutdown": "the kill", "reboot_loop": "the first reset request"}
"""What begins each scenario: time is counted from there."""


def time_axis(axes: Axes, end: int, since: str, label: bool) -> None:
    """Virtual time from left to right, in a readable unit."""
    unit, ns = next(
        (unit, ns) for unit, ns in (("s", 10**9), ("ms", 10**6), ("µs", 10**3), ("ns", 1)) if end >= ns or ns == 1
    )
    axes.set_xlim(0, end * 1.01)
    ticks = MaxNLocator(8, steps=[1, 2, 5, 10]).tick_values(0, end / ns)
    axes.xaxis.set_major_locator(FixedLocator([tick * ns for tick in ticks if tick * ns <= end * 1.01]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda time, _: f"{time / ns:g}"))
    if label:
        axes.set_xlabel(f"time since {since} ({unit})")
    else:
        axes.tick_params(labelbottom=False)
