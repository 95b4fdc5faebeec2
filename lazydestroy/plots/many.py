"""What ten thousand runs came to: how many times sooner, and how far that depends on the costs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from ..rounded import about_size
from ..sweeps.many import MEMORY, STORIES, USED, Many
from ..units import expect
from ..units import size as read_size
from .artists import Artists
from .axes import ticks_on_the_left
from .picture import GREY, HEAD, PALETTE, Picture, styled

NAME, ROW, AXIS = 0.36, 0.25, 0.62
"""Inches for a story's name, for a row of its panel, and for the scale below all."""

MIDDLE = (5, 50, 95)
"""Percentiles: where a bar begins, its mark, and where it ends."""


def plot_many(many: Many) -> Picture:
    """Show for each story how many times sooner it ends with the series, by the memory that the old guest used.

    Parameters
    ----------
    many : Many
        What `lazydestroy.sweeps.many.kept` returns.

    Returns
    -------
    Picture
        A bar has nine in ten of the draws of costs, its mark the one in the middle.

    Raises
    ------
    ValueError
        If it is no `Many`.
    """
    expect(Many, many, "many", "what lazydestroy.sweeps.many.kept() returns")
    bars = {story.name: np.percentile(many.sooner(story.name), MIDDLE, axis=1).T for story in STORIES}
    low, high = _limits(np.concatenate(list(bars.values())))
    inside = ROW * len(USED) + 0.1
    picture = Picture(HEAD + (NAME + inside) * len(STORIES) + AXIS)
    top = HEAD
    for story in STORIES:
        name = f"{story.name}: until {story.ends}"
        picture.text(
            0.008, 1 - (top + NAME * 0.6) / picture.get_figheight(), name, fontsize=12, fontweight="bold", va="center"
        )
        axes = picture.panel(top + NAME, inside)
        with styled():
            _draw(axes, bars[story.name], low, high, last=story is STORIES[-1])
        top += NAME + inside
    picture.say(
        _finding(bars), f"{many.runs:,} runs of {MEMORY}; bars: nine in ten of the draws of costs", _words(bars)
    )
    return picture


def _limits(ratios: np.ndarray) -> tuple[float, float]:
    return min(0.8, ratios.min() / 1.1), max(20.0, ratios.max() * 1.6)


def _draw(axes: Axes, bars: np.ndarray, low: float, high: float, last: bool) -> None:
    rows = range(len(USED))
    look = PALETTE["with"]
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_ylim(len(USED) - 0.4, -0.6)
    axes.barh(rows, bars[:, 2] - bars[:, 0], left=bars[:, 0], height=0.5, color=look.colour, alpha=0.35, zorder=3)
    axes.plot(bars[:, 1], rows, "|", ms=13, mew=2.4, color=look.colour, zorder=4)
    axes.axvline(1, color="#222222", lw=1.2, zorder=2)
    axes.axvline(10, color=PALETTE["downtime"].colour, lw=1.2, ls=(0, (4, 2)), zorder=2)
    axes.xaxis.set_major_locator(FixedLocator(_ticks(low, high)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} ×" if last else ""))
    axes.yaxis.set_major_locator(NullLocator())
    axes.grid(True, axis="x", color="#DDDDDD", lw=0.7)
    ticks_on_the_left(Artists(axes), {row: f"{used} used" for row, used in zip(rows, _used(), strict=True)})
    for row, (_, middle, ends) in enumerate(bars):
        axes.annotate(
            _times(middle), (ends, row), (6, 0), textcoords="offset points", va="center", fontsize=10, color=GREY
        )
    if last:
        axes.set_xlabel("how many times sooner with the series")


def _ticks(low: float, high: float) -> list[float]:
    return [tick for tick in (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if low <= tick <= high]


def _used() -> list[str]:
    return [about_size(round(share * read_size(MEMORY))) for share in USED]


def _times(ratio: float) -> str:
    return f"{ratio:.0f} ×" if ratio >= 9.95 else f"{ratio:.1f} ×"


def _finding(bars: dict[str, np.ndarray]) -> str:
    least, _, most = bars[STORIES[0].name][-1]
    times = f"{least:.0f}" if round(least) == round(most) else f"{least:.0f} to {most:.0f}"
    return f"All of {MEMORY} used: the new guest runs {times} times sooner"


def _words(bars: dict[str, np.ndarray]) -> str:
    return " ".join(_story_in_words(story.name, story.ends, bars[story.name]) for story in STORIES)


def _story_in_words(name: str, ends: str, bars: Sequence[Sequence[float]] | np.ndarray) -> str:
    told = [
        f"{used} used: {_times(middle)}, and {_times(low)} to {_times(high)} for nine in ten"
        for used, (low, middle, high) in zip(_used(), bars, strict=True)
    ]
    return f"{name.capitalize()}, until {ends}. {'; '.join(told)}."


__all__ = ["plot_many"]
