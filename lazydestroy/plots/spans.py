"""Things that exist for a while, one below the other."""

from __future__ import annotations

import matplotlib as mpl
from matplotlib.axes import Axes

from ..questions.pictures import Lanes, Span
from .axes import set_scale, written
from .picture import GREY, LEFT, PALETTE, RIGHT, STYLE, WIDTH
from .timeline import brightness

LANE = 0.46
BAR = 0.66
HEAD = 0.45
"""Inches above the first lane, for the names of moments."""


def axes_height(spec: Lanes) -> float:
    """Inches of the axes."""
    return HEAD + LANE * max(len(spec.lanes), 1)


def height(spec: Lanes) -> float:
    """Inches that the panel takes, with the names of the axis."""
    return axes_height(spec) + 0.6


def draw(axes: Axes, spec: Lanes) -> None:
    """Draw the lanes into axes of `axes_height` inches."""
    start = min([0, *(span.start for _, spans in spec.lanes for span in spans)])
    end = max(spec.end, 1)
    with mpl.rc_context(STYLE):
        set_scale(axes, "x", 0, end, "ns", log=False)
        margin = 0.03 * (end - start)
        axes.set_xlim(start, end + margin)
        axes.set_ylim(len(spec.lanes) - 0.5, -0.5 - HEAD / LANE)
        axes.set_yticks(range(len(spec.lanes)), [name for name, _ in spec.lanes])
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("time since the reset request")
        per_ns = WIDTH * (RIGHT - LEFT) / (end + margin - start)
        for place, (_, spans) in enumerate(spec.lanes):
            axes.axhspan(place - 0.46, place + 0.46, color="#F4F4F4", lw=0, zorder=0)
            for span in spans:
                _bar(axes, place, span, end, margin, per_ns)
        for number, (moment, name) in enumerate(sorted(spec.marks)):
            axes.axvline(moment, color=PALETTE["downtime"].colour, lw=1.4, ls=(0, (4, 2)), zorder=4)
            row = -0.5 - HEAD / LANE * (0.75 if number % 2 else 0.3)
            right = (moment - start) * per_ns > 6
            axes.text(
                moment,
                row,
                f"{name} " if right else f" {name}",
                ha="right" if right else "left",
                va="center",
                fontsize=10,
            )


def _bar(axes: Axes, place: int, span: Span, end: int, margin: float, per_ns: float) -> None:
    look, stops = PALETTE[span.look], end if span.end is None else min(span.end, end)
    axes.broken_barh(
        [(span.start, stops - span.start)],
        (place - BAR / 2, BAR),
        facecolor=look.colour,
        hatch=look.hatch,
        edgecolor="#333333",
        lw=0.6,
        zorder=2,
    )
    if span.end is None:
        axes.plot(
            stops + 0.35 * margin, place, ">", ms=9, color=look.colour, mec="#333333", mew=0.6, clip_on=False, zorder=3
        )
    inside = (stops - span.start) * per_ns > 0.082 * len(span.text) + 0.1
    dark = brightness(look.colour) < 0.2 and not look.hatch
    box = {"boxstyle": "square,pad=0.12", "fc": "white", "ec": "none"} if look.hatch or not inside else None
    axes.text(
        (span.start + stops) / 2 if inside else stops + 0.05 / per_ns,
        place,
        span.text,
        ha="center" if inside else "left",
        va="center",
        color="white" if dark and inside else "black" if inside else GREY,
        fontsize=10.5,
        bbox=box,
        zorder=5,
    )


def words(spec: Lanes) -> str:
    """What the panel shows, in sentences."""
    told = [f"{spec.title}."]
    for name, spans in spec.lanes:
        parts = [
            f"{span.text} from {'before the reset' if span.start < 0 else written(span.start, 'ns')} to "
            f"{'the end' if span.end is None else written(span.end, 'ns')}"
            for span in spans
        ]
        told.append(f"{name}: {'; '.join(parts) or 'nothing'}.")
    told += [f"Marked: {name} at {written(moment, 'ns')}." for moment, name in spec.marks]
    return " ".join(told)
