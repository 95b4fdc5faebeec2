"""Lines: something against something, told apart by colour, dashes and markers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from ..questions.pictures import Line, Lines
from .axes import ACROSS, Mark, Scale, draw_marks, marks_height, marks_of, scale_of, written
from .fitting import broken, widest
from .picture import GREY, LEFT, PALETTE, WIDTH, Picture, styled
from .timeline import brightness
from .words import capital

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255", "#000000")
STROKES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1)), (0, (5, 1, 1, 1)), (0, (8, 2)), (0, (3, 1)), "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")

HEIGHT = 2.7
"""Inches of the axes."""

TICKS = 0.3
"""Inches below the axes for the names of ticks."""

LABEL = 0.2
"""Inches for a line of the axis's name."""

FONT = 10.5
ROW = 0.23
"""Inches of a line of the legend."""

HANDLE = 0.62
"""Inches of the legend for a piece of a line, with the space beside it."""

BETWEEN = 0.3
"""Inches between columns of the legend."""

TRUST = 0.6
"""Brightness above which a colour cannot be told from white paper."""

Points = Sequence[tuple[int, int]]


# How high it is


def height(spec: Lines) -> float:
    """Inches that the panel takes, with what is above and below its axes."""
    return (
        marks_height(_marks(spec))
        + HEIGHT
        + TICKS
        + LABEL * len(_x_label(spec))
        + 0.1
        + ROW * _legend_rows(spec)
        + (ROW if _left_out(spec) else 0)
    )


def _names(spec: Lines) -> list[list[str]]:
    """What the legend says, in lines."""
    return [broken(line.name, ACROSS - HANDLE, FONT) for line in spec.lines]


def _columns(spec: Lines) -> int:
    """How many columns the legend has: as many as there is room for, but no row much shorter than the others."""
    wide = HANDLE + BETWEEN + widest([text for name in _names(spec) for text in name], FONT)
    rows = math.ceil(len(spec.lines) / max(1, int((ACROSS + BETWEEN) / wide)))
    return math.ceil(len(spec.lines) / max(rows, 1)) or 1


def _legend_rows(spec: Lines) -> int:
    names, columns = _names(spec), _columns(spec)
    rows = math.ceil(len(names) / columns)
    deepest = max((len(name) for name in names), default=1)
    return rows * deepest


def _x_label(spec: Lines) -> list[str]:
    return broken(spec.x_label, ACROSS, 11)


# What is in it


def _visible(line: Line, spec: Lines) -> Points:
    """The points that the scales can show."""
    return tuple((x, y) for x, y in line.points if (x > 0 or not spec.log_x) and (y > 0 or not spec.log_y))


def _scales_of(spec: Lines) -> tuple[Scale, Scale]:
    shown = [point for line in spec.lines for point in _visible(line, spec)]
    marked = [x for x, _ in spec.marks if x > 0 or not spec.log_x]
    across = scale_of([*(x for x, _ in shown), *marked], spec.x_unit, log=spec.log_x)
    return across, scale_of([y for _, y in shown], spec.y_unit, log=spec.log_y, upwards=True)


def _marks(spec: Lines) -> list[Mark]:
    across, _ = _scales_of(spec)
    return marks_of([(x, name) for x, name in spec.marks if x > 0 or not spec.log_x], across.share)


def _left_out(spec: Lines) -> str:
    """What a logarithmic scale cannot show, in words."""
    number = sum(len(line.points) - len(_visible(line, spec)) for line in spec.lines)
    number += sum(spec.log_x and x <= 0 for x, _ in spec.marks)
    if not number:
        return ""
    return f"{number} point{'s' if number > 1 else ''} at zero left out: a logarithmic scale has no zero"


def _colours(lines: Sequence[Line]) -> list[str]:
    """Each line's colour: that of what it is about, or else one that no other line has."""
    looks = [_legible(PALETTE[line.look].colour) if line.look else "" for line in lines]
    rest = [colour for colour in COLOURS if colour not in looks]
    return [look or rest.pop(0) for look in looks]


def _legible(colour: str) -> str:
    """A colour, darker if it could hardly be seen on white."""
    if brightness(colour) <= TRUST:
        return colour
    return "#" + "".join(f"{int(int(colour[place : place + 2], 16) * 0.55):02X}" for place in (1, 3, 5))


# Drawing


def draw(picture: Picture, spec: Lines, top: float) -> None:
    """Draw the lines into a picture, `top` inches from the upper edge."""
    marks = _marks(spec)
    axes = picture.panel(top + marks_height(marks), HEIGHT)
    with styled():
        for scale, name in zip(_scales_of(spec), "xy", strict=True):
            scale.set(axes, name)
        axes.set_xlabel("\n".join(_x_label(spec)))
        _name_y(axes, broken(spec.y_label, HEIGHT, 11))
        axes.grid(True, axis="y", color="#DDDDDD", lw=0.7)
        axes.set_axisbelow(True)
        draw_marks(axes, marks, HEIGHT)
        handles = [
            _draw_line(axes, (place, len(spec.lines)), _visible(line, spec), line.stepped, colour)
            for place, (line, colour) in enumerate(zip(spec.lines, _colours(spec.lines), strict=True))
        ]
        if not any(_visible(line, spec) for line in spec.lines):
            axes.text(0.5, 0.5, "nothing to show", transform=axes.transAxes, ha="center", color=GREY, style="italic")
        _legend(axes, spec, handles)


def _name_y(axes: Axes, label: list[str]) -> None:
    """Name the axis upwards; if that takes several lines, smaller and at the edge of the picture."""
    if len(label) == 1:
        axes.set_ylabel(label[0])
        return
    axes.set_ylabel("\n".join(label), fontsize=9.5, va="top")
    axes.yaxis.set_label_coords((0.04 - LEFT * WIDTH) / ACROSS, 0.5)


def _draw_line(axes: Axes, which: tuple[int, int], points: Points, stepped: bool, colour: str) -> Line2D:
    """Draw a line, which of how many; returns a piece of it for the legend.

    The first are wider and have larger markers, so that they can be seen where a later one lies over them.
    """
    place, number = which
    above = (number - 1 - place) / max(number - 1, 3)
    style: dict[str, Any] = {
        "color": colour,
        "ls": STROKES[place % len(STROKES)],
        "lw": 1.9 + above,
        "marker": MARKERS[place % len(MARKERS)],
        "ms": 5.5 + 2.5 * above,
        "drawstyle": "steps-post" if stepped else "default",
    }
    every = max(1, math.ceil(len(points) / 14))
    across, upwards = [x for x, _ in points], [y for _, y in points]
    axes.plot(across, upwards, markevery=every, zorder=3 + 0.01 * place, clip_on=False, **style)
    return Line2D([], [], **style)


def _legend(axes: Axes, spec: Lines, handles: list[Line2D]) -> None:
    """What each line is, below the axes; below that, what is not there."""
    top = TICKS + LABEL * len(_x_label(spec)) + 0.1
    if handles:
        axes.legend(
            handles=handles,
            labels=["\n".join(name) for name in _names(spec)],
            loc="upper left",
            bbox_to_anchor=(0, -top / HEIGHT),
            borderpad=0,
            borderaxespad=0,
            columnspacing=1.6,
            handlelength=3.2,
            handletextpad=0.7,
            labelspacing=(ROW * 72 - FONT * 1.165) / FONT,
            ncols=_columns(spec),
            frameon=False,
        )
    note = top + ROW * _legend_rows(spec) + ROW / 2
    axes.text(
        0,
        -note / HEIGHT,
        _left_out(spec),
        transform=axes.transAxes,
        va="center",
        color=GREY,
        style="italic",
        fontsize=10,
    )


# In words


def words(spec: Lines) -> str:
    """What the panel shows, in sentences."""
    told = [f"{capital(spec.y_label)} against {spec.x_label}{_scales(spec)}."]
    told += [f"{capital(line.name)}: {_course(line.points, spec)}." for line in spec.lines]
    told += [f"Marked: {name} at {written(x, spec.x_unit)}." for x, name in spec.marks]
    note = _left_out(spec)
    return " ".join([*told, *([f"{note}."] if note else []), *([] if spec.lines else ["There are no lines."])])


def _course(points: Points, spec: Lines) -> str:
    """Where a line begins and ends, and where it was higher or lower than there."""
    if not points:
        return "no points"

    def at(point: tuple[int, int]) -> str:
        return f"{written(point[1], spec.y_unit)} at {written(point[0], spec.x_unit)}"

    first, last = points[0], points[-1]
    if len(points) == 1:
        return f"{at(first)}, one point"
    if len({y for _, y in points}) == 1:
        x = (written(point[0], spec.x_unit) for point in (first, last))
        return f"always {written(first[1], spec.y_unit)}, from {' to '.join(x)}"
    most, least = (find(points, key=lambda point: point[1]) for find in (max, min))
    between = [f"at most {at(most)}"] if most[1] > max(first[1], last[1]) else []
    between += [f"at least {at(least)}"] if least[1] < min(first[1], last[1]) else []
    return ", ".join([f"from {at(first)} to {at(last)}", *between])


def _scales(spec: Lines) -> str:
    if spec.log_x and spec.log_y:
        return ", both on logarithmic scales"
    return f", {'the first' if spec.log_y else 'the second'} on a logarithmic scale" if spec.log_x or spec.log_y else ""
