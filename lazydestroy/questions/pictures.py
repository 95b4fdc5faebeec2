"""What an answer has to show, as data: `lazydestroy.plots` draws it.

Every picture has a title that says its finding. Numbers are exact: nanoseconds, bytes, pages, calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..run import Run

Unit = Literal["ns", "bytes", "bytes/s", "pages", "calls", ""]
Mood = Literal["good", "bad", "mixed", "plain", "none"]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of `Lines`.

    Attributes
    ----------
    name : str
    points : tuple of (int, int)
        In the units of the axes, x ascending.
    look : str
        Key of `lazydestroy.plots.picture.PALETTE`, if the line is about an actor or a state; else empty.
    stepped : bool
        The value holds until the next point, instead of going there evenly.
    """

    name: str
    points: tuple[tuple[int, int], ...]
    look: str = ""
    stepped: bool = False


@dataclass(frozen=True, slots=True)
class Lines:
    """Something against something, one line for each case.

    Attributes
    ----------
    title : str
        The finding.
    lines : tuple of Line
    x_label, y_label : str
    x_unit, y_unit : Unit
    log_x, log_y : bool
    marks : tuple of (int, str)
        Values of x that have a name: a vertical line each.
    """

    title: str
    lines: tuple[Line, ...]
    x_label: str
    y_label: str
    x_unit: Unit
    y_unit: Unit
    log_x: bool = False
    log_y: bool = False
    marks: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a `Grid`: a few words, and whether they are good news."""

    text: str
    mood: Mood = "plain"


@dataclass(frozen=True, slots=True)
class Grid:
    """A table with a meaning: cells are told apart by colour and by their words.

    Attributes
    ----------
    title : str
        The finding.
    row_title, column_title : str
        What rows and columns are.
    rows, columns : tuple of str
        Their names.
    cells : tuple of tuple of Cell
        ``cells[row][column]``.
    legend : tuple of (Mood, str)
        What the moods in it mean.
    """

    title: str
    row_title: str
    column_title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[Cell, ...], ...]
    legend: tuple[tuple[Mood, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time in a lane, nanoseconds; `end` None: to the end of the picture.

    `look` is a key of `lazydestroy.plots.picture.PALETTE`.
    """

    start: int
    end: int | None
    text: str
    look: str


@dataclass(frozen=True, slots=True)
class Lanes:
    """Things that exist for a while, one below the other.

    Attributes
    ----------
    title : str
        The finding.
    lanes : tuple of (str, tuple of Span)
        Name, and what is in it.
    end : int
        Where the picture ends, nanoseconds.
    marks : tuple of (int, str)
        Moments that have a name.
    """

    title: str
    lanes: tuple[tuple[str, tuple[Span, ...]], ...]
    end: int
    marks: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Timelines:
    """Runs, one above the other, on one scale."""

    title: str
    runs: tuple[Run, ...]


PictureOf = Lines | Grid | Lanes | Timelines
"""Anything that an answer may have to show."""
