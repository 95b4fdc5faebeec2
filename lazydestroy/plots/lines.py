"""Lines: something against something, told apart by colour, dashes and markers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from ..questions.pictures import Line, Lines
from .axes import set_scale, written
from .picture import GREY, LEFT, PALETTE, RIGHT, STYLE

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255", "#000000")
STROKES = ("-", (0, (5, 2)), (0, (1, 1)), (0, (5, 1, 1, 1)), (0, (8, 2)), (0, (3, 1)), "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")

HEIGHT = 2.7
"""Inches of the axes."""

ROW = 0.26
"""Inches of a row of the legend."""

COLUMNS = 2


def height(spec: Lines) -> float:
    """Inches that the panel takes, with the names of the axis and the legend."""
    return HEIGHT + 0.52 + ROW * -(-max(len(spec.lines), 1) // COLUMNS) + 0.1


def draw(axes: Axes, spec: Lines) -> None:
    """Draw the lines into axes of `HEIGHT` inches."""
    with mpl.rc_context(STYLE):
        shown = [_visible(line, spec) for line in spec.lines]
        xs = [x for points in shown for x, _ in points] + [x for x, _ in spec.marks] or [0]
        ys = [y for points in shown for _, y in points] or [0]
        low_x, low_y = (
            max(min(values), 1) if log else min(values) for values, log in ((xs, spec.log_x), (ys, spec.log_y))
        )
        set_scale(axes, "x", low_x, max(*xs, low_x), spec.x_unit, spec.log_x)
        set_scale(axes, "y", low_y, max(*ys, low_y), spec.y_unit, spec.log_y)
        axes.set_xlabel(spec.x_label)
        axes.set_ylabel(spec.y_label)
        axes.grid(True, axis="y", color="#DDDDDD", lw=0.7)
        axes.set_axisbelow(True)
        handles = [
            _draw_line(axes, place, line, points)
            for place, (line, points) in enumerate(zip(spec.lines, shown, strict=True))
        ]
        _marks(axes, spec.marks)
        if handles:
            axes.legend(
                handles=handles,
                loc="upper left",
                bbox_to_anchor=(-LEFT / (RIGHT - LEFT) + 0.01, -0.52 / HEIGHT),
                borderpad=0,
                borderaxespad=0,
                ncols=COLUMNS,
                frameon=False,
                handlelength=3.2,
            )


def _visible(line: Line, spec: Lines) -> tuple[tuple[int, int], ...]:
    """The points that a logarithmic scale can show."""
    return tuple((x, y) for x, y in line.points if (x > 0 or not spec.log_x) and (y > 0 or not spec.log_y))


def _draw_line(axes: Axes, place: int, line: Line, points: Sequence[tuple[int, int]]) -> Line2D:
    colour = PALETTE[line.look].colour if line.look else COLOURS[place % len(COLOURS)]
    style: dict[str, Any] = {
        "color": colour,
        "ls": STROKES[place % len(STROKES)],
        "lw": 2.2,
        "marker": MARKERS[place % len(MARKERS)],
        "markevery": max(1, len(points) // 8),
        "ms": 6,
        "drawstyle": "steps-post" if line.stepped else "default",
    }
    axes.plot([x for x, _ in points], [y for _, y in points], zorder=3 + 0.01 * place, **style)
    return Line2D([], [], label=line.name, **{**style, "markevery": 1})


def _marks(axes: Axes, marks: Sequence[tuple[int, str]]) -> None:
    """Values of x with a name: a line, and the name above the axes, in turns higher and lower."""
    for place, (x, name) in enumerate(sorted(marks)):
        axes.axvline(x, color=GREY, lw=1.2, ls=(0, (4, 2)), zorder=2)
        right = _share(axes, x) > 0.75
        axes.annotate(
            f"{name} " if right else f" {name}",
            (x, 1.0 - 0.085 * (place % 3)),
            xycoords=("data", "axes fraction"),
            ha="right" if right else "left",
            va="top",
            fontsize=10,
            color="#333333",
            bbox={"boxstyle": "square,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.85},
            zorder=6,
        )


def _share(axes: Axes, x: float) -> float:
    return float(axes.transAxes.inverted().transform(axes.transData.transform((x, axes.get_ylim()[0])))[0])


def words(spec: Lines) -> str:
    """What the panel shows, in sentences."""
    told = [f"{spec.title}. {spec.y_label} against {spec.x_label}{_scales(spec)}."]
    for line in spec.lines:
        if not line.points:
            told.append(f"{line.name}: nothing.")
            continue
        (x0, y0), (x1, y1) = line.points[0], line.points[-1]
        most = max(y for _, y in line.points)
        told.append(
            f"{line.name}: {written(y0, spec.y_unit)} at {written(x0, spec.x_unit)}, at most "
            f"{written(most, spec.y_unit)}, {written(y1, spec.y_unit)} at {written(x1, spec.x_unit)}."
        )
    told += [f"Marked: {name} at {written(x, spec.x_unit)}." for x, name in spec.marks]
    return " ".join(told)


def _scales(spec: Lines) -> str:
    if spec.log_x and spec.log_y:
        return ", both on logarithmic scales"
    return f", {'the first' if spec.log_y else 'the second'} on a logarithmic scale" if spec.log_x or spec.log_y else ""
