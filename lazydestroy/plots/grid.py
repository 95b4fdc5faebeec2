"""A grid of cells with a few words each, told apart by a sign and a colour."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Mapping

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from ..questions.pictures import Grid, Mood
from .picture import GREY, STYLE, WIDTH

SIGNS: Mapping[Mood, str] = {"good": "✓", "bad": "✗", "mixed": "~", "plain": "", "none": ""}
COLOURS: Mapping[Mood, str] = {
    "good": "#D9ECF7",
    "bad": "#F2B28C",
    "mixed": "#FBF3B8",
    "plain": "#FFFFFF",
    "none": "#EEEEEE",
}
MOODS: Mapping[Mood, str] = {"good": "good", "bad": "bad", "mixed": "mixed", "plain": "", "none": "does not apply"}

FONT = 9.5
CHARACTER = 0.076
"""Inches that a character takes, about."""
BOLD = 1.2
"""How much wider bold letters are, and capitals."""
LINE = 0.165
"""Inches of a line of text."""
PAD = 0.14
SIDE = 0.08
NAMES_MOST = 2.5
"""Inches for the names of the rows, at most."""
MANY = 40
"""Cells, more of which are not told one by one in words."""


def _layout(spec: Grid) -> tuple[float, float, list[list[str]], list[list[list[str]]], list[float]]:
    """Inches for names and for a column; names and cells in lines; heights of head and rows."""
    longest = max((len(name) for name in (*spec.rows, spec.row_title)), default=0)
    names = min(NAMES_MOST, max(0.9, longest * CHARACTER * BOLD + 0.2))
    column = (WIDTH - 2 * SIDE - names) / max(len(spec.columns), 1)

    def lines(text: str, inches: float) -> list[str]:
        return textwrap.wrap(text, max(int((inches - 0.1) / CHARACTER), 6), break_on_hyphens=False) or [""]

    heads = [lines(name, column / BOLD) for name in spec.columns]
    rows = [lines(name, names / BOLD) for name in spec.rows]
    cells = [[lines(f"{SIGNS[cell.mood]} {cell.text}".strip(), column) for cell in row] for row in spec.cells]
    heights = [max(map(len, heads), default=1) * LINE + PAD]
    for name, row in zip(rows, cells, strict=True):
        heights.append(max(len(name), *(len(cell) for cell in row)) * LINE + PAD if row else LINE + PAD)
    return names, column, [*rows, *heads], cells, heights


def _legend(spec: Grid, left: float) -> list[list[tuple[float, Mood, str]]]:
    """The legend in rows that fit: where each entry begins, and what it says."""
    rows: list[list[tuple[float, Mood, str]]] = []
    for mood, meaning in spec.legend:
        text = f"{SIGNS[mood]} {meaning}".strip()
        wide = 0.55 + len(text) * CHARACTER
        if not rows or rows[-1][-1][0] + 0.55 + len(rows[-1][-1][2]) * CHARACTER + wide > WIDTH:
            rows.append([(left, mood, text)])
        else:
            before, _, said = rows[-1][-1]
            rows[-1].append((before + 0.55 + len(said) * CHARACTER, mood, text))
    return rows


def height(spec: Grid) -> float:
    """Inches that the panel takes, with its legend."""
    names, *_, heights = _layout(spec)
    return 0.3 + sum(heights) + 0.1 + 0.26 * len(_legend(spec, SIDE + names))


def draw(axes: Axes, spec: Grid) -> None:
    """Draw the grid into axes that are `height` inches high and as wide as the picture."""
    names, column, titles, cells, heights = _layout(spec)
    rows, heads = titles[: len(spec.rows)], titles[len(spec.rows) :]
    whole = height(spec)
    with mpl.rc_context(STYLE):
        axes.set_axis_off()
        axes.set_xlim(0, WIDTH)
        axes.set_ylim(whole, 0)
        axes.text(SIDE + names + 0.05, 0.14, spec.column_title, fontsize=FONT, color=GREY, va="center")
        axes.text(SIDE, 0.3 + heights[0] / 2, spec.row_title, fontsize=FONT, color=GREY, va="center")
        for place, head in enumerate(heads):
            middle = SIDE + names + (place + 0.5) * column
            _write(axes, middle, 0.3 + heights[0] / 2, head, ha="center", fontweight="bold")
        top = 0.3 + heights[0]
        for place, (name, row) in enumerate(zip(rows, cells, strict=True)):
            _write(axes, SIDE, top + heights[place + 1] / 2, name, ha="left", fontweight="bold")
            for number, words in enumerate(row):
                mood = spec.cells[place][number].mood
                left = SIDE + names + number * column
                axes.add_patch(
                    Rectangle((left, top), column, heights[place + 1], fc=COLOURS[mood], ec="#888888", lw=0.7)
                )
                _write(axes, left + column / 2, top + heights[place + 1] / 2, words, ha="center")
            top += heights[place + 1]
        for entries in _legend(spec, SIDE + names):
            for left, mood, text in entries:
                axes.add_patch(Rectangle((left, top + 0.12), 0.22, 0.17, fc=COLOURS[mood], ec="#888888", lw=0.7))
                axes.text(left + 0.28, top + 0.205, text, fontsize=FONT, va="center")
            top += 0.26


def _write(axes: Axes, x: float, y: float, lines: list[str], **options: object) -> None:
    axes.text(x, y, "\n".join(lines), fontsize=FONT, va="center", linespacing=1.15, **options)  # type: ignore[arg-type]


def words(spec: Grid) -> str:
    """What the panel shows, in sentences: each cell, or how many there are of each sort."""
    meanings = {**MOODS, **dict(spec.legend)}
    told = [f"{spec.title}. A table: {spec.row_title} by {spec.column_title}."]
    many = sum(map(len, spec.cells)) > MANY
    for name, row in zip(spec.rows, spec.cells, strict=True):
        if many:
            counted = Counter(meanings[cell.mood] or cell.text for cell in row)
            told.append(f"{name}: {', '.join(f'{number} times {what}' for what, number in counted.items())}.")
        else:
            told.append(f"{name}: {'; '.join(f'{c}: {cell.text}' for c, cell in zip(spec.columns, row, strict=True))}.")
    return " ".join(told)
