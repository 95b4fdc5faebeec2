"""What a patch is for: the measured values without it and with it."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from ..run import Run
from ..units import format_duration, format_size
from .lanes import run_end
from .memory import MemoryPanel
from .picture import GREY, HEAD, PALETTE, RIGHT, STYLE, WIDTH, Picture
from .runs import timelines, write_kernel
from .words import capital, describe

if TYPE_CHECKING:
    from ..demonstrations import Demonstration, Measure

LINE = 0.24
"""Inches for a further line of the title."""

LOOKS = (PALETTE["old guest"], PALETTE["clean-up thread"])
"""Without the patch, and with it."""


def plot_demonstration(shown: Demonstration) -> Picture:
    """Draw what a demonstration measured, in the way that suits it: bars, timelines, lines, or memory over time.

    Parameters
    ----------
    shown : Demonstration

    Returns
    -------
    Picture
    """
    title = textwrap.wrap(shown.finding, 76)
    head = HEAD + LINE * (len(title) - 1)
    runs = [run for run in shown.runs if isinstance(run, Run)]
    if shown.kind == "scaling":
        picture = _scaling(shown, head)
    elif shown.kind == "timeline" and len(runs) == 2:
        picture = timelines(runs, head)
    elif shown.kind == "memory" and len(runs) == 2:
        picture = _memories(runs, head)
    else:
        picture = _bars(shown, head)
    picture.say("\n".join(title), "", _words(shown))
    picture.say_below(f"patch {shown.number}: {shown.title}", head - 0.34)
    return picture


# Bars


def _bars(shown: Demonstration, head: float) -> Picture:
    """Small panels side by side, one a measure, two bars each."""
    measures = [measure for measure in shown.measures if measure.unit != "yes/no"][:4] or list(shown.measures[:4])
    picture = Picture(head + 0.6 + 1.9 + 0.35)
    each = (RIGHT * WIDTH - 0.1) / len(measures)
    for place, measure in enumerate(measures):
        with mpl.rc_context(STYLE):
            whole = picture.get_figheight()
            left, width = (0.1 + each * place + 0.12) / WIDTH, (each - 0.24) / WIDTH
            axes = picture.add_axes((left, 0.35 / whole, width, 1.9 / whole))
            _pair(axes, measure, int(each * 10.5))
    return picture


def _pair(axes: Axes, measure: Measure, characters: int) -> None:
    """Two bars: without the patch, and with it."""
    values = [int(value or 0) for value in (measure.without, measure.with_)]
    top = max(values) or 1
    for place, (value, text, look) in enumerate(zip(values, measure.text, LOOKS, strict=True)):
        axes.bar(place, value, 0.62, facecolor=look.colour, hatch=look.hatch, edgecolor=GREY, linewidth=0.8)
        axes.text(place, value + 0.03 * top, text, ha="center", va="bottom", fontsize=10.5, fontweight="bold")
    axes.set(xlim=(-0.6, 1.6), ylim=(0, 1.18 * top))
    axes.set_xticks([0, 1], ["without", "with"])
    axes.tick_params(axis="x", length=0)
    axes.yaxis.set_major_locator(NullLocator())
    axes.spines["left"].set_visible(False)
    axes.set_title("\n".join(textwrap.wrap(measure.name, characters)[:2]), fontsize=10.5, loc="center")


# Runs, one above the other


def _memories(runs: list[Run], head: float) -> Picture:
    height, gap = 1.9, 0.34
    picture = Picture(head + 2 * (height + gap + 0.72) + 0.1)
    end, top = max(map(run_end, runs)), head
    for run in runs:
        MemoryPanel(picture.panel(top + gap, height)).show(run, end)
        write_kernel(picture, run, top + gap * 0.6)
        top += height + gap + 0.72
    return picture


# Lines


def _scaling(shown: Demonstration, head: float) -> Picture:
    picture = Picture(head + 3.2 + 0.65)
    axes = picture.panel(head, 3.2)
    with mpl.rc_context(STYLE):
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        for (name, points), look, marker in zip(shown.series.items(), LOOKS, "os", strict=False):
            x, y = zip(*points, strict=True)
            line = "--" if marker == "o" else "-"
            axes.plot(x, y, line, marker=marker, color=look.colour, linewidth=2, markersize=6)
            axes.annotate(
                name,
                (x[-1], y[-1]),
                (-6, 9),
                textcoords="offset points",
                ha="right",
                fontsize=11,
                fontweight="bold",
                color=look.colour,
            )
        axes.set(xlabel=shown.x_label, ylabel=shown.y_label)
        axes.set_xticks([x for x, _ in next(iter(shown.series.values()))])
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _write(int(value), shown.x_unit)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_locator(LogLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _write(int(value), shown.y_unit)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.grid(color="#dddddd", linewidth=0.7)
        axes.margins(y=0.15)
    return picture


def _write(value: int, unit: str) -> str:
    return {"bytes": format_size, "ns": format_duration}.get(unit, "{:,}".format)(value)


def _words(shown: Demonstration) -> str:
    """What the picture shows, for those who do not see it."""
    measures = "; ".join(f"{measure.name}: {' without it, '.join(measure.text)} with it" for measure in shown.measures)
    runs = " ".join(
        describe(run) for run in shown.runs if isinstance(run, Run) and shown.kind in ("timeline", "memory")
    )
    return f"{shown.finding} Patch {shown.number}, {capital(shown.title)}. {capital(measures)}. {runs}".strip()


__all__ = ["plot_demonstration"]
