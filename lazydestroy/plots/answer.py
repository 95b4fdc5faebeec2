"""The picture of an answer: all that it has to show, one above the other, each under its own finding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..questions import Answer
from ..questions.pictures import Grid, Lanes, Lines, PictureOf
from ..run import Run
from ..units import expect
from . import grid, lines, spans
from .fitting import broken
from .picture import GREY, WIDTH, Picture
from .runs import draw_timelines, timelines_height
from .words import compared, kernel_name, setting

ACROSS = WIDTH - 0.15
"""Inches for a line of a title."""

QUESTION_FONT, BELOW_FONT, TITLE_FONT = 13.5, 10.5, 12
"""Points of the question, of what is below it, and of a panel's finding, as in all pictures."""

HEAD_LINE, BELOW_LINE, TITLE_LINE = 0.26, 0.19, 0.23
"""Inches for a line of each."""

ABOVE, GAP = 0.09, 0.3
"""Inches above everything, and between panels."""


class _Panel(NamedTuple):
    title: list[str]
    spec: PictureOf

    @property
    def head(self) -> float:
        return len(self.title) * TITLE_LINE + 0.1

    @property
    def height(self) -> float:
        return self.head + _height(self.spec)


def plot_answer(answer: Answer) -> Picture:
    """What an answer has to show: its question, and below it each panel under its finding.

    Parameters
    ----------
    answer : Answer
        Its `pictures` are drawn in order. There may be none.

    Returns
    -------
    Picture
        Its words are the verdict, and what each panel shows.

    Raises
    ------
    ValueError
        If it is no `Answer`.
    """
    expect(Answer, answer, "answer", "what ld.ask(...) returned")
    number, about = answer.question.number, answer.question.title
    question = broken(f"Question {number} · {about}", ACROSS, QUESTION_FONT, bold=True)
    below = broken(answer.reproduce(), ACROSS, BELOW_FONT)
    panels = [_Panel(broken(spec.title, ACROSS, TITLE_FONT, bold=True), spec) for spec in answer.pictures]
    head = ABOVE + HEAD_LINE * len(question) + BELOW_LINE * len(below) + 0.2
    picture = Picture(head + sum(panel.height + GAP for panel in panels) - (GAP if panels else 0) + 0.08)
    told = " ".join(f"{sentence(panel.spec.title)} {_words(panel.spec)}" for panel in panels)
    picture.say("\n".join(question), "", f"{answer.verdict} {told}".strip())
    _write(picture, below, ABOVE + HEAD_LINE * len(question), BELOW_FONT, color=GREY)
    top = head
    for panel in panels:
        _write(picture, panel.title, top, TITLE_FONT, fontweight="bold")
        _draw(picture, panel.spec, top + panel.head)
        top += panel.height + GAP
    return picture


def sentence(words: str) -> str:
    """Words with a full stop, if they do not end a sentence already."""
    return words if words.endswith((".", "!", "?")) else f"{words}."


def _write(picture: Picture, text: list[str], top: float, font: float, **look: str) -> None:
    """Write lines, `top` inches from the upper edge."""
    place = 1 - top / picture.get_figheight()
    picture.text(0.008, place, "\n".join(text), va="top", fontsize=font, linespacing=1.15, **look)  # type: ignore[arg-type]


# One panel


def _height(spec: PictureOf) -> float:
    """Inches that a panel takes, below its finding."""
    if isinstance(spec, Lines):
        return lines.height(spec)
    if isinstance(spec, Grid):
        return grid.height(spec)
    if isinstance(spec, Lanes):
        return spans.height(spec)
    return timelines_height(spec.runs)


def _draw(picture: Picture, spec: PictureOf, top: float) -> None:
    """Draw one panel, `top` inches from the upper edge."""
    if isinstance(spec, Lines):
        lines.draw(picture, spec, top)
    elif isinstance(spec, Grid):
        grid.draw(picture, spec, top)
    elif isinstance(spec, Lanes):
        spans.draw(picture, spec, top)
    else:
        draw_timelines(picture, spec.runs, top, _names(spec.runs))


def _words(spec: PictureOf) -> str:
    """What one panel shows, in sentences."""
    if isinstance(spec, Lines):
        return lines.words(spec)
    if isinstance(spec, Grid):
        return grid.words(spec)
    if isinstance(spec, Lanes):
        return spans.words(spec)
    return compared(spec.runs)


def _names(runs: Sequence[Run]) -> list[str]:
    """What tells runs apart: scenario and kernel; if these do not, whatever else differs in their settings."""
    names = [f"{run.scenario}, {kernel_name(run)}" for run in runs]
    if len(set(names)) == len(names):
        return names
    parts = [setting(run).split("  ·  ") for run in runs]
    return [", ".join(part for part in mine if not all(part in each for each in parts)) for mine in parts]
