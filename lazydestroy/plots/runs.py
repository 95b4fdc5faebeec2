"""Pictures of runs."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.text import Text

from ..run import Run, expect_run, runs_of
from ..units import expect
from .lanes import lanes_of, run_end
from .memories import describe_memories, draw_memories, memories_height, memory_comparison
from .memory import MemoryPanel
from .picture import HEAD, LANE, Picture, inches
from .timeline import START, TimelinePanel
from .words import (
    compared,
    comparison,
    describe,
    describe_memory,
    finding,
    in_common,
    kernel_name,
    memory_finding,
    setting,
)

NAME = 0.34
"""Inches for the name of a kernel, above what was run on it."""

AXIS = 0.55
"""Inches below the last lane, for the time axis."""

BETWEEN = 0.3
"""Inches from the lanes to the memory below them: for the ticks of the one, and the line of text above the other."""


def plot_run(run: Run) -> Picture:
    """Who did what in a run, and what memory was used for, on one time axis.

    Parameters
    ----------
    run : Run

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If it is no `Run`.
    """
    expect_run(run)
    lanes = _lanes_height(run)
    picture = Picture(HEAD + lanes + BETWEEN + 2.22 + 1.0)
    TimelinePanel(picture.panel(HEAD, lanes), label=False).show(run)
    MemoryPanel(picture.panel(HEAD + lanes + BETWEEN, 2.22)).show(run)
    picture.say(finding(run), setting(run), describe(run))
    return picture


def plot_timeline(*runs: Run) -> Picture:
    """Who did what in several runs, one above the other on one time scale.

    Parameters
    ----------
    *runs : Run
        At least one.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If there is none.
    """
    runs = runs_of(runs)
    picture = timelines(runs, HEAD)
    below = "one above the other, on one time scale" if len(runs) > 1 else setting(runs[0])
    picture.say(comparison(runs), f"{in_common(runs)}  ·  {below}" if len(runs) > 1 else below, compared(runs))
    return picture


def timelines(runs: Sequence[Run], head: float) -> Picture:
    """The timelines of several runs, each under its kernel's name, below `head` inches for a title."""
    picture = Picture(head + timelines_height(runs))
    draw_timelines(picture, runs, head, [kernel_name(run) for run in runs])
    return picture


def timelines_height(runs: Sequence[Run]) -> float:
    """Inches for the timelines of several runs, with their names and the time axis."""
    return sum(NAME + _lanes_height(run) for run in runs) + AXIS


def draw_timelines(picture: Picture, runs: Sequence[Run], top: float, names: Sequence[str]) -> None:
    """Draw the timelines of several runs, each under its name, `top` inches from the upper edge."""
    end = max(map(run_end, runs), default=1)
    starts = " or ".join(dict.fromkeys(START[run.scenario] for run in runs))
    for place, (run, name) in enumerate(zip(runs, names, strict=True), 1):
        write_name(picture, name, top + NAME * 0.75)
        axes = picture.panel(top + NAME, _lanes_height(run))
        TimelinePanel(axes, label=place == len(runs), since=starts).show(run, end)
        top += NAME + _lanes_height(run)


def _lanes_height(run: Run) -> float:
    return LANE * (len(lanes_of(run)) + 0.6)


def write_name(picture: Picture, name: str, top: float) -> Text:
    """Write what was run, above its panel, `top` inches from the upper edge.

    Raises
    ------
    ValueError
        If a value is not accepted.
    """
    expect(Picture, picture, "picture", "a picture, such as run.plot()")
    expect(str, name, "name", "a text")
    top = inches(top, "top")
    place = 1 - top / picture.get_figheight()
    return picture.text(0.008, place, name, fontsize=12, fontweight="bold", va="center")


def plot_memory(*runs: Run) -> Picture:
    """What the host's memory was used for, stacked, over time; of several runs one above the other on one time scale.

    Parameters
    ----------
    *runs : Run
        At least one.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If there is none.
    """
    runs = runs_of(runs)
    if len(runs) > 1:
        return _memories(runs)
    run = runs[0]
    picture = Picture(HEAD + 2.6 + 1.0)
    MemoryPanel(picture.panel(HEAD, 2.6)).show(run)
    picture.say(memory_finding(run), setting(run), f"{memory_finding(run)}. {describe_memory(run)}")
    return picture


def _memories(runs: tuple[Run, ...]) -> Picture:
    names = [kernel_name(run) for run in runs]
    picture = Picture(HEAD + memories_height(runs))
    draw_memories(picture, runs, HEAD, names)
    title = memory_comparison(runs)
    picture.say(title, f"{in_common(runs)}  ·  on one time scale", f"{title}. {describe_memories(runs, names)}")
    return picture
