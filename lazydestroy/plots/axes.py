"""Axes in the units of the model: values written as people write them, at round places, and moments with names."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from matplotlib.axes import Axes
from matplotlib.markers import TICKLEFT
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from matplotlib.transforms import ScaledTranslation

from ..questions.pictures import Unit
from ..units import format_count, format_duration, format_rate, format_size
from .artists import Artists
from .fitting import widest, width
from .picture import GREY, LEFT, RIGHT, WIDTH

ACROSS = WIDTH * (RIGHT - LEFT)
"""Inches from the left end of the axes to the right one."""

MOST = 8
"""Ticks on an axis, at most."""

MARK_ROW = 0.2
"""Inches for a row of names of marks."""

MARK_FONT = 10


def written(value: float, unit: Unit) -> str:
    """A value for a reader, with its unit."""
    whole = round(value)
    if not whole:
        return "0"
    writers: dict[Unit, Callable[[int], str]] = {"ns": format_duration, "bytes": format_size, "bytes/s": format_rate}
    return writers.get(unit, format_count)(whole)


def tick_name(value: float, unit: Unit) -> str:
    """A value beside an axis: large counts are round there, and would be long with every digit."""
    for words, power in (("trillion", 10**12), ("billion", 10**9), ("million", 10**6)):
        if unit not in ("ns", *_BINARY) and value >= max(power, 10**7) and value % (power // 10) == 0:
            return f"{value / power:,g} {words}"
    return written(value, unit)


_BINARY = ("bytes", "bytes/s")


# Scales


@dataclass(frozen=True, slots=True)
class Scale:
    """Where an axis begins and ends, and where it has ticks.

    Attributes
    ----------
    low, high : float
    ticks : tuple of float
        Between `low` and `high`.
    unit : Unit
    log : bool
    """

    low: float
    high: float
    ticks: tuple[float, ...]
    unit: Unit
    log: bool

    def share(self, value: float) -> float:
        """How far along the axis a value is, from 0 to 1."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def set(self, axes: Axes, name: str) -> None:
        """Let the axis "x" or "y" be this one."""
        axis: Any = axes.xaxis if name == "x" else axes.yaxis
        if self.log:
            (axes.set_xscale if name == "x" else axes.set_yscale)("log")
        (axes.set_xlim if name == "x" else axes.set_ylim)(self.low, self.high)
        axis.set_major_locator(FixedLocator(self.ticks))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: tick_name(value, self.unit)))


def scale_of(values: Sequence[int], unit: Unit, *, log: bool = False, upwards: bool = False) -> Scale:
    """The scale for some values. One that goes upwards begins at zero and leaves room above, if it is linear.

    A logarithmic scale is for values above zero only. There may be one value, or none.
    """
    low, high = (min(values), max(values)) if values else (1, 1)
    if log:
        share = high / low
        begins, ends = (low / share**0.04, high * share**0.05) if share > 1 else (low / 2, high * 2)
        powers = high <= 1 << 20 and all(value & (value - 1) == 0 for value in values)
        tries = _logarithmic(begins, ends, 2.0 if unit in _BINARY or powers else 10.0)
    else:
        low = min(low, 0) if upwards or low == high else low
        span = max(high - low, 1)
        begins, ends = low, low + span * (1.06 if upwards else 1.02)
        tries = [_linear(begins, ends, unit, most) for most in (7, 5, 3)]
    found = [tuple(tick for tick in ticks if begins <= tick <= ends) for ticks in tries]
    best = next((ticks for ticks in found if 3 <= len(ticks) <= MOST and (upwards or _fits(ticks, unit))), None)
    scale = Scale(begins, ends, best or min(found, key=lambda ticks: abs(len(ticks) - 4)), unit, log)
    return scale if upwards else replace(scale, ticks=tuple(tick for tick in scale.ticks if _in_picture(scale, tick)))


def _in_picture(scale: Scale, tick: float) -> bool:
    """Whether the name of a tick does not reach over the right edge of the picture."""
    return scale.share(tick) * ACROSS + width(tick_name(tick, scale.unit), 10.5) / 2 < WIDTH * (1 - LEFT)


def _fits(ticks: Sequence[float], unit: Unit) -> bool:
    """Whether ticks can be named side by side."""
    return sum(width(tick_name(tick, unit), 10.5) + 0.15 for tick in ticks) < ACROSS


def _logarithmic(low: float, high: float, base: float) -> list[list[float]]:
    """Ticks from many to few: every power, every second ...; if these are too few, also 2 and 5 times the power."""
    first, last = (math.floor(math.log(value, base) + 1e-9) for value in (low, high))
    tries = [[base**power for power in range(every * -(-first // every), last + 1, every)] for every in range(1, 12)]
    between = [10.0**power * n for power in range(math.floor(math.log10(low)), 20) for n in (1, 2, 5)]
    return [*tries, between, [float(tick) for tick in MaxNLocator(5, integer=True).tick_values(low, high)]]


def _linear(low: float, high: float, unit: Unit, most: int) -> list[float]:
    """Ticks at round values: multiples of a power of two for sizes, of 1, 2 or 5 for others."""
    if unit not in _BINARY:
        return [float(tick) for tick in MaxNLocator(most, steps=[1, 2, 5, 10], integer=True).tick_values(low, high)]
    step = 2.0 ** math.ceil(math.log2(max((high - low) / most, 1)))
    return [step * place for place in range(math.floor(low / step), math.floor(high / step) + 1)]


def ticks_on_the_left(drawn: Artists, names: Mapping[Any, str], label: str = "", length: float = 3.5) -> None:
    """Draw ticks with names, and a label beside them, where matplotlib's own axis has them; it draws ten times as long.

    `length` is in points.
    """
    axes, pad = drawn.axes, length + 3.5
    picture: Any = axes.get_figure()
    look: dict[str, Any] = {"zorder": 2.5, "clip_on": False}
    mark: Any = TICKLEFT
    across: Any = axes.get_yaxis_transform()
    at = list(names)
    drawn.line([0] * len(at), at, transform=across, ls="", marker=mark, ms=length, mew=0.8, color="black", **look)
    beside, va, ha = axes.get_yaxis_text1_transform(pad)
    for place, name in names.items():
        drawn.text(0, place, name, transform=beside, va=va, ha=ha, fontsize=11, **look)
    if label:
        left = (pad + 4) / 72 + widest(list(names.values()), 11)
        drawn.text(
            0,
            0.5,
            label,
            transform=axes.transAxes + ScaledTranslation(-left, 0, picture.dpi_scale_trans),
            rotation=90,
            rotation_mode="anchor",
            va="bottom",
            ha="center",
            color="#222222",
            fontsize=11,
            **look,
        )


# Marks: values with a name


@dataclass(frozen=True, slots=True)
class Mark:
    """A value with a name, and where the name stands: in which row from below, to the left or right of the value.

    `begins` and `ends` are where the name does, in inches from the left end of the axes.
    """

    value: int
    name: str
    at: float
    begins: float
    ends: float
    row: int = 0

    @property
    def leftwards(self) -> bool:
        """Whether the name is to the left of the value."""
        return self.begins < self.at


def marks_of(marks: Iterable[tuple[int, str]], share: Callable[[float], float]) -> list[Mark]:
    """Give each mark a row for its name, so that names neither meet nor are crossed by the line of another mark.

    Names are to the right of their values if there is room. A line ends at its own name, so it can pass below names in
    higher rows: of two names that would meet, that of the left value is the higher one.
    """
    found: list[Mark] = []
    for value, name in sorted(marks, reverse=True):
        at, long = share(value) * ACROSS, width(name, MARK_FONT) + 0.1
        # of two names that reach over each other's line, neither could be the higher one
        both = any(other.leftwards and other.begins <= at and other.at <= at + long for other in found)
        leftwards = at + long > ACROSS + 0.1 or both
        found.append(Mark(value, name, at, at - long if leftwards else at, at if leftwards else at + long))
    placed: list[Mark] = []
    for mark in sorted(found, key=lambda mark: (mark.leftwards, mark.at if mark.leftwards else -mark.at)):
        row = next((row for row in range(len(found)) if _free(mark, row, placed)), len(found))
        placed.append(replace(mark, row=row))
    return sorted(placed, key=lambda mark: mark.value)


def _free(mark: Mark, row: int, placed: Sequence[Mark]) -> bool:
    """Whether a name can stand in a row, and its line come up to it."""
    for other in placed:
        if other.row == row and other.begins < mark.ends and mark.begins < other.ends:
            return False
        if other.row >= row and mark.begins <= other.at <= mark.ends:
            return False
        if other.row < row and other.begins < mark.at < other.ends:
            return False
    return True


def marks_height(marks: Sequence[Mark]) -> float:
    """Inches above the axes for the names of marks."""
    return MARK_ROW * (max(mark.row for mark in marks) + 1) + 0.05 if marks else 0.0


def draw_marks(axes: Axes, marks: Sequence[Mark], inches: float, colour: str = GREY) -> None:
    """Draw marks as lines through axes that are so many inches high, and their names above these."""
    across = axes.get_xaxis_transform()
    for mark in marks:
        middle = 1 + MARK_ROW * (mark.row + 0.5) / inches
        axes.plot(
            (mark.value, mark.value),
            (0, middle + 0.4 * MARK_ROW / inches),
            transform=across,
            clip_on=False,
            color=colour,
            lw=1.3,
            ls=(0, (4, 2)),
            zorder=2.5,
        )
        axes.annotate(
            mark.name,
            (mark.value, middle),
            (-3.5 if mark.leftwards else 3.5, 0),
            xycoords=across,
            textcoords="offset points",
            ha="right" if mark.leftwards else "left",
            va="center",
            fontsize=MARK_FONT,
            color="#333333",
            bbox={"boxstyle": "square,pad=0", "fc": "white", "ec": "none"},
            annotation_clip=False,
            zorder=6,
        )
