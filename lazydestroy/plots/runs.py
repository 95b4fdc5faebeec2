"""Pictures of runs."""

from __future__ import annotations

from collections.abc import Sequence

from ..run import Run
from .lanes import lanes_of, run_end
from .memory import MemoryPanel
from .picture import HEAD, LANE, Picture
from .timeline import TimelinePanel
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


def plot_run(run: Run) -> Picture:
    """Who did what in a run, and what memory was used for, on one time axis.

    Parameters
    ----------
    run : Run

    Returns
    -------
    Picture
    """
    lanes = LANE * (len(lanes_of(run)) + 0.6)
    picture = Picture(HEAD + lanes + 0.22 + 2.3 + 1.0)
    TimelinePanel(picture.panel(HEAD, lanes), label=False).show(run)
    MemoryPanel(picture.panel(HEAD + lanes + 0.22, 2.3)).show(run)
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
    if not runs:
        raise ValueError("runs=(): give at least one run")
    picture = timelines(runs, HEAD)
    below = "one above the other, on one time scale" if len(runs) > 1 else setting(runs[0])
    picture.say(comparison(runs), f"{in_common(runs)}  ·  {below}" if len(runs) > 1 else below, compared(runs))
    return picture


def timelines(runs: Sequence[Run], head: float) -> Picture:
    """The timelines of several runs, each under its kernel's name, below `head` inches for a title."""
    heights = [LANE * (len(lanes_of(run)) + 0.6) for run in runs]
    gap = 0.34
    picture = Picture(head + sum(heights) + gap * len(runs) + 0.55)
    end, top = max(map(run_end, runs)), head
    for run, height in zip(runs, heights, strict=True):
        TimelinePanel(picture.panel(top + gap, height), label=run is runs[-1]).show(run, end)
        write_kernel(picture, run, top + gap * 0.75)
        top += height + gap
    return picture


def write_kernel(picture: Picture, run: Run, top: float, before: str = "") -> None:
    """Write the name of a run's kernel, `top` inches from the upper edge."""
    place = 1 - top / picture.get_figheight()
    name = f"{before}, {kernel_name(run)}" if before else kernel_name(run)
    picture.text(0.008, place, name, fontsize=12, fontweight="bold", va="center")


def plot_memory(run: Run) -> Picture:
    """What the host's memory was used for during a run, stacked, over time.

    Parameters
    ----------
    run : Run

    Returns
    -------
    Picture
    """
    picture = Picture(HEAD + 2.6 + 1.0)
    MemoryPanel(picture.panel(HEAD, 2.6)).show(run)
    picture.say(memory_finding(run), setting(run), f"{memory_finding(run)}. {describe_memory(run)}")
    return picture
