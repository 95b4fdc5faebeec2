"""Memory over time on several kernels, one above the other, on one time scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

from ..page import PAGE_SIZE
from ..rounded import about_duration, about_size
from ..run import Run
from ..units import format_duration
from .lanes import run_end
from .memory import MemoryPanel
from .picture import PALETTE, Picture, styled
from .words import describe_memory

NAME, HEIGHT, AXIS = 0.34, 1.4, 0.78
"""Inches for a kernel's name, for its panel, and for the time axis and the legend below: two fit on a projector."""

ENDS = {"shutdown": "wait() returns", "reboot": "the new guest runs"}
"""What happens at the end of the downtime."""


def memories_height(runs: Sequence[Run]) -> float:
    """Inches for the memory of several runs."""
    return (NAME + HEIGHT + AXIS) * len(runs)


def draw_memories(picture: Picture, runs: Sequence[Run], top: float, names: Sequence[str]) -> None:
    """Draw what memory was used for in several runs, each under its name, `top` inches from the upper edge."""
    end = max(map(run_end, runs))
    for run, name in zip(runs, names, strict=True):
        place = 1 - (top + NAME * 0.6) / picture.get_figheight()
        picture.text(0.008, place, name, fontsize=12, fontweight="bold", va="center")
        axes = picture.panel(top + NAME, HEIGHT)
        MemoryPanel(axes).show(run, end)
        mark_end_of_downtime(axes, run, end)
        top += NAME + HEIGHT + AXIS


def mark_end_of_downtime(axes: Axes, run: Run, end: int) -> None:
    """Draw a line where the downtime ends, with what happens then: on the side where there is room."""
    if run.downtime_ns is None or run.scenario not in ENDS:
        return
    with styled():
        mark_moment(axes, f"{ENDS[run.scenario]}: {about_duration(run.downtime_ns)}", run.downtime_ns, end, lw=2)


def mark_moment(axes: Axes, words: str, moment: int, end: int, **line: Any) -> None:
    """Draw a line where a wait ends, with words at its top: on the side where there is room.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    words : str
    moment, end : int
        Nanoseconds: the moment, and how long the time axis is.
    **line
        How the line looks besides, as `matplotlib.axes.Axes.axvline` takes it.
    """
    late = moment > 0.6 * end
    colour = PALETTE["downtime"].colour
    axes.axvline(moment, color=colour, zorder=6, **line)
    axes.annotate(
        words,
        (moment, 1),
        (-8 if late else 8, -5),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="right" if late else "left",
        va="top",
        fontweight="bold",
        color=colour,
        path_effects=[withStroke(linewidth=3, foreground="white")],  # a box would cut a piece out of what lies behind
        zorder=7,
    )


def memory_comparison(runs: Sequence[Run]) -> str:
    """What the memory of several runs shows, the last against the first."""
    first, last = runs[0].downtime_ns, runs[-1].downtime_ns
    if first is None or last is None or runs[-1].scenario not in ENDS:
        return "Memory over time"
    aside = int(runs[-1].memory["set_aside"].max()) * PAGE_SIZE
    left = about_size(aside) if aside else "nothing"
    end = ENDS[runs[-1].scenario].replace("the new", "The new")
    return f"{end} after {about_duration(last)}, not {about_duration(first)}, with {left} set aside"


def describe_memories(runs: Sequence[Run], names: Sequence[str]) -> str:
    """What a picture of several runs' memory shows."""
    told = []
    for run, name in zip(runs, names, strict=True):
        told.append(f"Kernel: {name}.")
        if run.downtime_ns is not None and run.scenario in ENDS:
            told.append(f"At {format_duration(run.downtime_ns)}: {ENDS[run.scenario]}.")
        told.append(describe_memory(run))
    return " ".join(told)


__all__ = [
    "describe_memories",
    "draw_memories",
    "mark_end_of_downtime",
    "mark_moment",
    "memories_height",
    "memory_comparison",
]
