"""The picture of an answer: all that it has to show, one above the other, each under its own finding."""

from __future__ import annotations

import textwrap

from ..questions import Answer
from ..questions.pictures import Grid, Lanes, Lines, PictureOf
from . import grid, lines, spans
from .lanes import lanes_of, run_end
from .picture import HEAD, LANE, Picture
from .runs import write_kernel
from .timeline import TimelinePanel
from .words import compared

TITLE = 92
"""Characters in a line of a panel's finding."""

TITLE_LINE = 0.24
GAP = 0.3


def plot_answer(answer: Answer) -> Picture:
    """What an answer has to show.

    Parameters
    ----------
    answer : Answer

    Returns
    -------
    Picture
    """
    titles = [textwrap.wrap(spec.title, TITLE) for spec in answer.pictures]
    heights = [
        len(title) * TITLE_LINE + 0.1 + _height(spec) for title, spec in zip(titles, answer.pictures, strict=True)
    ]
    picture = Picture(HEAD + sum(heights) + GAP * (len(heights) - 1))
    top = HEAD
    told = []
    for title, spec, height in zip(titles, answer.pictures, heights, strict=True):
        place = 1 - top / picture.get_figheight()
        picture.text(0.008, place, "\n".join(title), va="top", fontsize=12, fontweight="bold", linespacing=1.2)
        told.append(_draw(picture, spec, top + len(title) * TITLE_LINE + 0.1))
        top += height + GAP
    number, about = answer.question.number, answer.question.title
    picture.say(f"Question {number} · {about}", answer.reproduce(), f"{answer.verdict} {' '.join(told)}")
    return picture


def _height(spec: PictureOf) -> float:
    if isinstance(spec, Lines):
        return lines.height(spec)
    if isinstance(spec, Grid):
        return grid.height(spec)
    if isinstance(spec, Lanes):
        return spans.height(spec)
    return sum(LANE * (len(lanes_of(run)) + 0.6) + 0.34 for run in spec.runs) + 0.6


def _draw(picture: Picture, spec: PictureOf, top: float) -> str:
    """Draw one panel, `top` inches from the upper edge; returns what it shows, in words."""
    if isinstance(spec, Lines):
        lines.draw(picture.panel(top, lines.HEIGHT), spec)
        return lines.words(spec)
    if isinstance(spec, Grid):
        whole, height = picture.get_figheight(), grid.height(spec)
        grid.draw(picture.add_axes((0, 1 - (top + height) / whole, 1, height / whole)), spec)
        return grid.words(spec)
    if isinstance(spec, Lanes):
        spans.draw(picture.panel(top, spans.axes_height(spec)), spec)
        return spans.words(spec)
    end = max(map(run_end, spec.runs))
    for run in spec.runs:
        height = LANE * (len(lanes_of(run)) + 0.6)
        write_kernel(picture, run, top + 0.34 * 0.5, run.scenario)
        TimelinePanel(picture.panel(top + 0.34, height), label=run is spec.runs[-1]).show(run, end)
        top += height + 0.34
    return f"{spec.title}. {compared(spec.runs)}"
