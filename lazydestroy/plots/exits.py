"""Ends of processes, measured and in the model: who lives how long, and how much memory is not back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ..actors import HELPER, is_a
from ..live import Exit
from ..page import PAGE_SIZE
from ..rounded import about_duration, about_size
from ..run import Run
from ..units import bad_value, format_size
from .lanes import run_end
from .memories import mark_moment
from .picture import HEAD, LANE, LEFT, PALETTE, Look, Picture, styled
from .timeline import brightness, time_axis

NAME, MEMORY, AXIS, LEGEND = 0.34, 1.15, 0.62, 0.3
"""Inches for a story's name, its memory, its time axis, and the legend below all."""

ONE_SCALE = 20
"""Stories of which one takes so many times as long as another have time axes of their own."""

STORIES = 6

TAKEN, RESIDENT = PALETTE["old guest"], "black"


class _Bar(NamedTuple):
    """A process, from the kill to its end."""

    name: str
    look: Look
    ends: int


class _Story(NamedTuple):
    """What a picture shows of one end of a process; times in nanoseconds since the kill, memory in bytes."""

    name: str
    bars: list[_Bar]
    wait: int
    size: int
    times: np.ndarray
    taken: np.ndarray
    resident: np.ndarray | None

    @property
    def end(self) -> int:
        return max([1, *(bar.ends for bar in self.bars)])

    @property
    def missing(self) -> int:
        """Bytes that are not back when ``wait()`` returns."""
        return round(float(np.interp(self.wait, self.times, self.taken)))


def plot_exits(*stories: Exit | Run) -> Picture:
    """Show who lives how long after a kill, and how much of the memory is not back, one story above the other.

    Parameters
    ----------
    *stories : Exit or Run
        What `lazydestroy.live.exit_time` has measured, and shutdowns of the model: one to six.

    Returns
    -------
    Picture
        On one time scale, unless one story takes very much longer than another.

    Raises
    ------
    ValueError
        If there is none, or more than six, or a run is no shutdown.
    """
    if not 1 <= len(stories) <= STORIES:
        raise bad_value("stories", stories, "has none or too many", f"one to {STORIES} measurements or shutdowns")
    told = [_story(story) for story in stories]
    ends = [story.end for story in told]
    together = max(ends) < ONE_SCALE * min(ends)
    picture = Picture(HEAD + sum(map(_height, told)) + LEGEND)
    top = HEAD
    for story in told:
        _draw(picture, story, top, max(ends) if together else story.end)
        top += _height(story)
    _legend(picture, any(story.resident is not None for story in told))
    scale = ("on one time scale" if together else "each on its own time scale") if len(told) > 1 else ""
    picture.say(_finding(told), "  ·  ".join(filter(None, [*_machines(stories), scale])), _words(told))
    return picture


def _story(story: Exit | Run) -> _Story:
    if isinstance(story, Exit):
        return _of_exit(story)
    if not isinstance(story, Run) or story.scenario != "shutdown" or story.downtime_ns is None:
        accepted = "what live.exit_time() returns, or a run of ld.shutdown()"
        raise bad_value("stories", story, "has another story in it", accepted)
    return _of_run(story)


def _of_exit(measured: Exit) -> _Story:
    process, helper = PALETTE["QEMU"], PALETTE["clean-up thread"]
    bars = [_Bar("process", process, measured.wait_ns)]
    bars += [_Bar("helper", helper, measured.freed_ns)] if measured.helper else []
    kind = "recorded" if measured.recorded else "measured"
    pages = " in huge pages" if measured.huge_pages else ""
    name = f"{kind}: {format_size(measured.size)}{pages}{', helper' if measured.helper else ''}"
    samples = measured.samples
    resident = np.maximum(samples["process"], samples["helper"])
    name += " (the computer was busy)" if measured.busy and not measured.recorded else ""
    return _Story(name, bars, measured.wait_ns, measured.size, samples["time"], measured.taken, resident)


def _of_run(run: Run) -> _Story:
    size = int(run.memory["guest"][0]) * PAGE_SIZE
    helped = any(is_a(str(actor), HELPER) for actor in run.timeline["actor"])
    bars = [_Bar("process", PALETTE["QEMU"], run.downtime_ns or 0)]
    bars += [_Bar("helper", PALETTE["clean-up thread"], run_end(run))] if helped else []
    taken = (run.memory["guest"] + run.memory["set_aside"]) * PAGE_SIZE
    name = f"model: {format_size(size)}{', helper' if helped else ''}"
    return _Story(name, bars, run.downtime_ns or 0, size, run.memory["time"], taken, None)


# Drawing


def _height(story: _Story) -> float:
    return NAME + LANE * len(story.bars) + 0.08 + MEMORY + AXIS


def _draw(picture: Picture, story: _Story, top: float, end: int) -> None:
    place = 1 - (top + NAME * 0.6) / picture.get_figheight()
    picture.text(0.008, place, story.name, fontsize=12, fontweight="bold", va="center")
    lanes = LANE * len(story.bars)
    with styled():
        _lanes(picture.panel(top + NAME, lanes), story, end)
        _memory(picture.panel(top + NAME + lanes + 0.08, MEMORY), story, end)


def _lanes(axes: Axes, story: _Story, end: int) -> None:
    """A bar for each process, from the kill to its end."""
    time_axis(axes, end, "the kill", label=False)
    axes.set_ylim(len(story.bars) - 0.5, -0.5)
    axes.set_yticks(range(len(story.bars)), [bar.name for bar in story.bars])
    axes.tick_params(axis="both", length=0)
    axes.spines[["left", "bottom"]].set_visible(False)
    removes = max(range(len(story.bars)), key=lambda number: story.bars[number].ends)
    for number, bar in enumerate(story.bars):
        axes.axhspan(number - 0.46, number + 0.46, color="#F4F4F4", lw=0, zorder=0)
        axes.barh(number, bar.ends, height=0.72, color=bar.look.colour, edgecolor=bar.look.colour, zorder=2)
        words = "removes the memory" if number == removes else f"gone {_after(bar.ends)}"
        inside = bar.ends > 0.3 * end
        colour = "white" if inside and brightness(bar.look.colour) < 0.3 else "black"
        where = bar.ends / 2 if inside else bar.ends + 0.008 * end
        axes.text(where, number, words, ha="center" if inside else "left", va="center", color=colour, zorder=4)
    axes.axvline(story.wait, color=PALETTE["downtime"].colour, lw=1.6, ls=(0, (4, 2)), zorder=5)


def _memory(axes: Axes, story: _Story, end: int) -> None:
    """How much is not back, as an area; what is resident, as a line."""
    unit, base = ("GiB", 1 << 30) if story.size >= 1 << 30 else ("MiB", 1 << 20)
    time_axis(axes, end, "the kill", label=True)
    axes.set_ylim(0, 1.3 * story.size / base)
    axes.set_yticks([0, story.size / base / 2, story.size / base])
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_ylabel(unit)
    axes.fill_between(story.times, story.taken / base, step=None, **_area(), zorder=2)
    if story.resident is not None:
        axes.plot(story.times, story.resident / base, color=RESIDENT, lw=1.8, drawstyle="steps-post", zorder=3)
    mark_moment(axes, f"wait() returns {_after(story.wait)}", story.wait, end, lw=1.6, ls=(0, (4, 2)))


def _after(nanoseconds: int) -> str:
    return f"after {about_duration(nanoseconds)}" if nanoseconds else "at once"


def _area() -> dict[str, Any]:
    return {"facecolor": TAKEN.colour, "hatch": TAKEN.hatch, "edgecolor": "#333333", "linewidth": 0.5}


def _legend(picture: Picture, resident: bool) -> None:
    with styled():
        handles: list[Artist] = [Patch(label="memory that is not back", **_area())]
        if resident:
            words = "what top shows: resident memory of processes that live"
            handles.append(Line2D([], [], label=words, color=RESIDENT, lw=1.8))
        picture.legend(
            handles=handles, loc="lower left", bbox_to_anchor=(LEFT, 0.0), ncols=2, frameon=False, borderaxespad=0.2
        )


# In words


def _finding(told: Sequence[_Story]) -> str:
    """What all of it shows, in a title."""
    helped, plain = ([story for story in told if (len(story.bars) > 1) is which] for which in (True, False))
    if helped and helped[0].missing > helped[0].size / 2:
        story = helped[0]
        return f"wait() returns {_after(story.wait)}, the memory is back after {about_duration(story.end)}"
    story = (plain or list(told))[0]
    return f"wait() returns {_after(story.wait)}, and the memory is back"


def _machines(stories: Sequence[Exit | Run]) -> list[str]:
    return list(dict.fromkeys(story.machine for story in stories if isinstance(story, Exit)))


def _words(told: Sequence[_Story]) -> str:
    return " ".join(
        f"{story.name[0].upper()}{story.name[1:]}: wait() returns {_after(story.wait)}; "
        f"{about_size(story.missing)} of {about_size(story.size)} are not back then. The last process that uses the "
        f"memory ends after {about_duration(story.end)}."
        for story in told
    )
