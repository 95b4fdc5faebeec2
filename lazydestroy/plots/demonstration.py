"""What a patch is for: the measured values without it and with it."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from ..demonstrations import Demonstration
from ..rounded import about_duration, about_size
from ..run import Run
from ..units import expect, format_size
from .fates import plot_fates
from .memories import draw_memories, memories_height
from .picture import DPI, GREY, HEAD, PALETTE, RIGHT, WIDTH, Picture, styled
from .runs import timelines
from .words import capital, describe

if TYPE_CHECKING:
    from ..demonstrations import Measure

TITLE_LINE = 0.24
"""Inches for a further line of the title."""

LOOKS = (PALETTE["without"], PALETTE["with"])
"""The kernel without the patch, and the one with it."""

BAR_PANELS = 4
"""Measures that are drawn as bars at most."""

BAR_PANEL = 3.4
"""Inches for two bars at most: a single measure does not fill the width."""

AXES_BOTTOM = 0.65
"""Inches below the lines, for the axis."""


def plot_demonstration(shown: Demonstration) -> Picture:
    """Draw what a demonstration measured, in the way that suits it: bars, timelines, lines, or memory over time.

    Parameters
    ----------
    shown : Demonstration
        Timelines and memory over time are drawn for two runs. Of what has been measured on machines by hand there are
        bars, of the first four measures.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If there is nothing to draw (no measures, and neither lines nor runs), or not one line for each kernel.
    """
    expect(Demonstration, shown, "shown", "what a patch's demonstrate() returned")
    if shown.fates is not None:
        picture = plot_fates(shown.fates)
        picture.say_also(_words(shown))
        return picture
    title = textwrap.wrap(shown.finding.rstrip("."), 76)
    head = HEAD + TITLE_LINE * (len(title) - 1)
    runs = [run for run in shown.runs if isinstance(run, Run)]
    below = f"patch {shown.number}: {shown.title}"
    if shown.kind == "scaling":
        picture, scales = _scaling(shown, head)
        below += f"  ·  {scales}"
    elif shown.kind == "timeline" and len(runs) == 2:
        picture = timelines(runs, head)
    elif shown.kind == "memory" and len(runs) == 2:
        picture = Picture(head + memories_height(runs))
        draw_memories(picture, runs, head, [f"{which} patch {shown.number}" for which in ("without", "with")])
    else:
        picture = _bars(shown, head)
    picture.say("\n".join(title), "", _words(shown))
    picture.say_below(below, head - 0.34)
    return picture


# Bars


def _bars(shown: Demonstration, head: float) -> Picture:
    """Small panels side by side, one a measure, two bars each."""
    measures = shown.measures[:BAR_PANELS]
    if not measures:
        raise ValueError(f"shown: the demonstration of patch {shown.number} has no measures: nothing to draw")
    each = min(BAR_PANEL, (RIGHT * WIDTH - 0.1) / len(measures))
    names = [textwrap.wrap(measure.name, int(each * 10.5), max_lines=2, placeholder=" …") for measure in measures]
    top = head + 0.1 + 0.18 * max(map(len, names))
    picture = Picture(top + 1.9 + 0.35)
    whole = picture.get_figheight()
    crowded = [_crowded(measure, (each - 0.24) / 2) for measure in measures]
    room = 1.28 if any(crowded) else 1.18
    for place, (measure, name, narrow) in enumerate(zip(measures, names, crowded, strict=True)):
        with styled():
            left, width = (0.1 + each * place + 0.12) / WIDTH, (each - 0.24) / WIDTH
            axes = picture.add_axes((left, 0.35 / whole, width, 1.9 / whole))
            _pair(axes, measure, narrow, room)
            axes.set_title("\n".join(name), fontsize=10.5, loc="center")
    return picture


def _heights(measure: Measure) -> list[float]:
    """How high the two bars are. What never came has none.

    Not as integers: in a browser NumPy's have 32 bits, and three seconds are more nanoseconds than that.
    """
    return [float(value or 0) for value in (measure.without, measure.with_)]


def _labels(measure: Measure) -> list[str]:
    """Both values with two or three digits: the table has them in full."""
    writers = {"bytes": about_size, "ns": about_duration}
    write = writers.get(measure.unit, measure.write)
    return [measure.write(value) if value is None else write(value) for value in (measure.without, measure.with_)]


def _crowded(measure: Measure, inches: float) -> bool:
    """Whether the values over two bars, so many inches apart, would run into each other, or into the next panel."""
    low, high = sorted(_heights(measure))
    widths = [0.1 * len(text) for text in _labels(measure)]
    return (high - low < 0.2 * high and sum(widths) / 2 > inches) or max(widths) > 1.6 * inches


def _pair(axes: Axes, measure: Measure, narrow: bool, room: float) -> None:
    """Two bars: without the patch, and with it. If it is narrow, units are below their values."""
    values = _heights(measure)
    top = max(values) or 1
    for place, (value, text, look) in enumerate(zip(values, _labels(measure), LOOKS, strict=True)):
        axes.bar(place, value, 0.62, facecolor=look.colour, hatch=look.hatch, edgecolor=GREY, linewidth=0.8)
        axes.text(
            place,
            value + 0.03 * top,
            text.replace(" ", "\n", 1) if narrow else text,
            ha="center",
            va="bottom",
            fontsize=9.5 if narrow else 10.5,
            fontweight="bold",
            linespacing=1.05,
        )
    axes.set(xlim=(-0.5, 1.5), ylim=(0, room * top))
    axes.set_xticks([0, 1], ["without", "with"])
    axes.tick_params(axis="x", length=0)
    axes.yaxis.set_major_locator(NullLocator())
    axes.spines["left"].set_visible(False)


# Lines


class _Scale(NamedTuple):
    """How one of the axes counts."""

    unit: str
    values: list[int]

    @property
    def logarithmic(self) -> bool:
        """Whether the values are best told apart by their ratios. Zero has a place on a linear scale only."""
        ratio = 4 if self.unit == "bytes" else 10  # sizes of memory go in powers of two
        return min(self.values) > 0 and max(self.values) >= ratio * min(self.values)

    def write(self, value: float) -> str:
        """A value of this axis, for a reader."""
        writers = {"bytes": format_size, "ns": about_duration}
        return writers.get(self.unit, "{:,}".format)(round(value))

    def set(self, axis: Axis) -> None:
        """Where an axis has ticks, and what stands there."""
        low, high = min(self.values), max(self.values)
        if self.logarithmic and self.unit == "bytes":
            axis.set_major_locator(FixedLocator(_some(sorted(set(self.values)))))
        elif self.logarithmic:
            axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 200 * low else (1,)))
        elif self.unit == "bytes":
            step = 2 ** max(0, int(np.log2(max(high, 1))) - 2)
            axis.set_major_locator(FixedLocator(range(step * -(-low // step), high + 1, step)))
        else:
            axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], integer=True))
        axis.set_major_formatter(FuncFormatter(lambda value, _: self.write(value) if value else "0"))
        axis.set_minor_locator(NullLocator())


def _some(values: list[int]) -> list[int]:
    """As many values as there is room for."""
    return values[:: -(-len(values) // 8)]


def _scaling(shown: Demonstration, head: float) -> tuple[Picture, str]:
    """Two lines, and in words on what scales they are."""
    if len(shown.series) != len(LOOKS):
        raise ValueError(
            f"shown: {len(shown.series)} lines; there are two kernels to compare: without and with the patch"
        )
    across = _Scale(shown.x_unit, [x for points in shown.series.values() for x, _ in points])
    upwards = _Scale(shown.y_unit, [y for points in shown.series.values() for _, y in points])
    height = 3.2
    picture = Picture(head + height + AXES_BOTTOM)
    axes = picture.panel(head, height)
    with styled():
        for points, look, marker, stroke in zip(shown.series.values(), LOOKS, "os", ("--", "-"), strict=True):
            # the first line is drawn larger and hollow, so that it is seen where the second lies over it
            hollow = look is LOOKS[0]
            axes.plot(
                *zip(*points, strict=True),
                ls=stroke,
                marker=marker,
                color=GREY if hollow else look.colour,
                mfc="white" if hollow else look.colour,
                ms=9 if hollow else 5,
                mew=1.6,
                lw=2,
            )
        axes.set(xlabel=shown.x_label, ylabel=shown.y_label)
        _limits(axes, across, upwards)
        across.set(axes.xaxis)
        upwards.set(axes.yaxis)
        axes.grid(color="#dddddd", linewidth=0.7)
        axes.set_axisbelow(True)
        _name_lines(axes, shown, upwards)
    return picture, _scales(across, upwards)


def _limits(axes: Axes, across: _Scale, upwards: _Scale) -> None:
    """Leave room for the lines' names at the right. A linear scale upwards begins at zero, as a bar would."""
    if across.logarithmic:
        axes.set_xscale("log", base=2 if across.unit == "bytes" else 10)
    if upwards.logarithmic:
        axes.set_yscale("log")
        axes.margins(y=0.15)
    else:
        axes.set_ylim(0, 1.15 * max(1, *upwards.values))
    low, high = min(across.values), max(across.values)
    if across.logarithmic:
        share = high / low
        axes.set_xlim(low / share**0.05, high * share**0.27)
    else:
        share = max(1, high - low)
        axes.set_xlim(low - 0.05 * share, high + 0.27 * share)


def _name_lines(axes: Axes, shown: Demonstration, upwards: _Scale) -> None:
    """Write to the right of each line what it is and where it ends, the names apart from each other."""
    ends = [points[-1] for points in shown.series.values()]
    inches = [axes.transData.transform((x, y))[1] / DPI for x, y in ends]
    for (name, points), look, here, there in zip(shown.series.items(), LOOKS, inches, _apart(inches), strict=True):
        axes.annotate(
            f"{name}\n{upwards.write(points[-1][1])}",
            points[-1],
            (11, 72 * (there - here)),
            textcoords="offset points",
            va="center",
            fontsize=11,
            fontweight="bold",
            color=GREY if look is LOOKS[0] else look.colour,
            annotation_clip=False,
        )


def _apart(inches: list[float]) -> list[float]:
    """Where to write beside two points, so that both can be read, and what is below the axes as well."""
    low, high = sorted(range(2), key=inches.__getitem__)
    places = list(inches)
    push = max(0.0, 0.46 - (inches[high] - inches[low])) / 2
    places[low] = max(AXES_BOTTOM + 0.22, inches[low] - push)
    places[high] = max(places[low] + 0.46, inches[high])
    return places


def _scales(across: _Scale, upwards: _Scale) -> str:
    """How both axes count, in words."""
    if across.logarithmic == upwards.logarithmic:
        return f"both scales are {'logarithmic' if across.logarithmic else 'linear'}"
    return f"the {'lower' if across.logarithmic else 'left'} scale is logarithmic"


def _words(shown: Demonstration) -> str:
    """What the picture shows, for those who do not see it."""
    sentences = [f"{shown.finding} Patch {shown.number}, {capital(shown.title)}."]
    if shown.measures:
        told = [f"{measure.name}: {' without it, '.join(measure.text)} with it" for measure in shown.measures]
        sentences.append(f"{capital('; '.join(told))}.")
    if shown.kind in ("timeline", "memory"):
        sentences += [describe(run) for run in shown.runs if isinstance(run, Run)]
    if shown.kind == "scaling":
        sentences.append(f"{capital(shown.y_label)} against {shown.x_label}.")
        across, upwards = _Scale(shown.x_unit, []), _Scale(shown.y_unit, [])
        for name, points in shown.series.items():
            values = ", ".join(f"{across.write(x)} {upwards.write(y)}" for x, y in points)
            sentences.append(f"{capital(name)}: {values}.")
    return " ".join(sentences)


__all__ = ["plot_demonstration"]
