"""Axes in the units of the model: values written as people write them, at round places."""

from __future__ import annotations

import math
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from ..questions.pictures import Unit
from ..units import format_count, format_duration, format_rate, format_size


def written(value: float, unit: Unit) -> str:
    """A value for a reader, with its unit."""
    whole = round(value)
    if unit == "ns":
        return "0" if not whole else format_duration(whole)
    if unit == "bytes":
        return "0" if not whole else format_size(whole)
    if unit == "bytes/s":
        return "0" if not whole else format_rate(whole)
    return format_count(whole)


def set_scale(axes: Axes, name: str, low: int, high: int, unit: Unit, log: bool) -> None:
    """Let the axis "x" or "y" go from `low` to `high`, with at most about seven names at round values."""
    ticks = _powers(low, high, unit) if log else _steps(low, high, unit)
    axis: Any = axes.xaxis if name == "x" else axes.yaxis
    which: Any = axes.set_xlim if name == "x" else axes.set_ylim
    scale: Any = axes.set_xscale if name == "x" else axes.set_yscale
    if log:
        scale("log")
        span = max(high / low, 1.5)
        which(low / span**0.04, high * span**0.06)
    else:
        span = max(high - low, 1)
        which(low if name == "x" else min(low, 0), high + 0.04 * span)
    begins, ends = axes.get_xlim() if name == "x" else axes.get_ylim()
    axis.set_major_locator(FixedLocator([tick for tick in ticks if begins <= tick <= ends]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: written(value, unit)))


def _binary(unit: Unit) -> bool:
    return unit in ("bytes", "bytes/s")


def _powers(low: int, high: int, unit: Unit) -> list[float]:
    """Powers of ten, or of two: all of them, or every second, third ..."""
    base = 2.0 if _binary(unit) or (unit == "" and high <= 1 << 20) else 10.0
    first, last = (math.floor(math.log(max(value, 1), base) + 1e-9) for value in (low, high))
    every = max(1, math.ceil((last - first + 1) / 8))
    return [base**power for power in range(first, last + 2, every)]


def _steps(low: int, high: int, unit: Unit) -> list[float]:
    if not _binary(unit):
        return [float(tick) for tick in MaxNLocator(7, steps=[1, 2, 5, 10]).tick_values(low, max(high, low + 1))]
    step = 2.0 ** math.ceil(math.log2(max((high - low) / 6, 1)))
    return [low // step * step + place * step for place in range(9)]
