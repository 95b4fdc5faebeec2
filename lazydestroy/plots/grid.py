"""A grid of cells with a few words each, told apart by a sign and a colour."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from ..questions.pictures import Cell, Grid, Mood
from .fitting import broken, widest, width, words_of
from .picture import GREY, WIDTH, Picture, styled
from .words import capital

SIGNS: Mapping[Mood, str] = {"good": "✓", "bad": "✗", "mixed": "~", "plain": "", "none": ""}
COLOURS: Mapping[Mood, str] = {
    "good": "#D9ECF7",
    "bad": "#F2B28C",
    "mixed": "#FBF3B8",
    "plain": "#FFFFFF",
    "none": "#F6F6F6",
}
MEANINGS: Mapping[Mood, str] = {"good": "good", "bad": "bad", "mixed": "mixed", "none": "does not apply"}
"""What a mood means if the grid's legend does not say it. A plain cell has its words only."""

FONTS = (10.5, 9.5, 8.5)
"""Points: the largest in which no word is broken and no cell is deep."""

DEEP = 4
"""Lines of a cell that are still read at a glance."""

SIDE = 0.08
PAD = 0.16
"""Inches above and below the words of a cell, and between the names of rows and the cells."""

TIGHT, LOOSE = 0.1, 0.3
"""Inches beside the words of a cell: at least, and if there is room."""

COLUMN_LEAST = 0.7
NAMES_LEAST, NAMES_MOST = 0.9, 2.6
"""Inches for the names of the rows."""

HEAD = 0.26
"""Inches for the line that says what columns are."""

LEGEND = 0.27
"""Inches for a row of the legend."""

SWATCH = 0.3
MANY = 40
"""Cells, more of which are not told one by one in words."""


Legend = tuple[tuple[tuple[float, Mood, str], ...], ...]
"""Rows of entries: where one begins in inches, its mood, and what that means."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """Sizes in inches, and texts in lines."""

    font: float
    names: float
    columns: tuple[float, ...]
    titles: tuple[list[str], ...]
    heads: tuple[list[str], ...]
    rows: tuple[list[str], ...]
    cells: tuple[tuple[list[str], ...], ...]
    legend: Legend

    @property
    def line(self) -> float:
        return self.font * 1.25 / 72

    @property
    def head(self) -> float:
        return self._height([*self.heads, self.titles[0]])

    @property
    def heights(self) -> list[float]:
        return [self._height([name, *row]) for name, row in zip(self.rows, self.cells, strict=True)]

    @property
    def height(self) -> float:
        return HEAD * len(self.titles[1]) + self.head + sum(self.heights) + 0.1 + LEGEND * len(self.legend)

    @property
    def deepest(self) -> int:
        return max((len(words) for row in self.cells for words in row), default=0)

    def _height(self, texts: Sequence[list[str]]) -> float:
        return max(map(len, texts), default=1) * self.line + PAD


def _text(cell: Cell) -> str:
    return f"{SIGNS[cell.mood]} {cell.text}".strip()


@functools.lru_cache(16)
def _layout(spec: Grid) -> _Layout:
    """The layout in the largest font that suits."""
    found = [_in_font(spec, font) for font in FONTS]
    whole = [layout for layout, broken_words in found if not broken_words]
    return next((layout for layout in whole if layout.deepest <= DEEP), whole[-1] if whole else found[-1][0])


def _in_font(spec: Grid, font: float) -> tuple[_Layout, bool]:
    """The layout in a font, and whether words had to be broken."""
    title = f"{spec.row_title} ↓"
    longest = widest([word for name in (*spec.rows, spec.row_title) for word in words_of(name)], font, bold=True)
    natural = max(widest(list(spec.rows), font, bold=True), width(title, font))
    natural = min(natural, NAMES_MOST if len(spec.columns) < 7 else 1.5)
    names = min(max(natural, longest, NAMES_LEAST), NAMES_MOST) + PAD
    room = WIDTH - 2 * SIDE - names
    needs, wishes = _wanted(spec, font)
    columns = _shared(room, needs, wishes)
    layout = _Layout(
        font,
        names,
        tuple(columns),
        (broken(title, names - PAD, font), broken(f"{spec.column_title} →", room, font)),
        tuple(broken(name, wide - TIGHT, font, bold=True) for name, wide in zip(spec.columns, columns, strict=True)),
        tuple(broken(name, names - PAD, font, bold=True) for name in spec.rows),
        tuple(
            tuple(broken(_text(cell), wide - TIGHT, font) for cell, wide in zip(row, columns, strict=True))
            for row in spec.cells
        ),
        _legend(spec, SIDE + names, font),
    )
    return layout, sum(needs) > room or longest > NAMES_MOST


def _wanted(spec: Grid, font: float) -> tuple[list[float], list[float]]:
    """How wide each column must be, so that no word is broken, and how wide it had best be, with its cells unbroken."""
    needs, wishes = [], []
    for place, column in enumerate(spec.columns):
        texts = [_text(row[place]) for row in spec.cells]
        words = widest([word for text in texts for word in words_of(text)], font)
        needs.append(max(words, widest(words_of(column), font, bold=True), COLUMN_LEAST - TIGHT) + TIGHT)
        wishes.append(max(needs[-1], widest(texts, font) + LOOSE, min(width(column, font, bold=True) + LOOSE, 1.5)))
    return needs, wishes


def _shared(room: float, needs: list[float], wishes: list[float]) -> list[float]:
    """Widths of columns: equal if that suits, none narrower than it needs nor wider than it wishes."""
    if not needs:
        return []
    if sum(needs) > room:
        return [need * room / sum(needs) for need in needs]
    equal = min(room / len(needs), max(wishes))
    if equal >= max(needs):
        return [equal] * len(needs)
    low, high = 0.0, room
    for _ in range(40):
        level = (low + high) / 2
        found = [min(max(level, need), wish) for need, wish in zip(needs, wishes, strict=True)]
        low, high = (level, high) if sum(found) <= room else (low, level)
    return [min(max(low, need), wish) for need, wish in zip(needs, wishes, strict=True)]


def _meanings(spec: Grid) -> dict[Mood, str]:
    """What the moods in a grid mean: as its legend says, or else in general."""
    said: dict[Mood, str] = dict(spec.legend)
    there = {cell.mood for row in spec.cells for cell in row}
    return said | {mood: meaning for mood, meaning in MEANINGS.items() if mood in there and mood not in said}


def _legend(spec: Grid, left: float, font: float) -> Legend:
    """The legend in as few rows as will do: below the cells, or if that saves a row, from the edge of the picture."""
    entries = [(mood, f"{SIGNS[mood]} {meaning}".strip()) for mood, meaning in _meanings(spec).items()]
    return min((_in_rows(entries, start, font) for start in (left, SIDE)), key=len)


def _in_rows(entries: list[tuple[Mood, str]], left: float, font: float) -> Legend:
    """Entries in rows that fit: where each begins, and what it says."""
    rows: list[list[tuple[float, Mood, str]]] = []
    place = WIDTH
    for mood, text in entries:
        wide = SWATCH + width(text, font)
        if place + wide > WIDTH - SIDE:
            rows.append([])
            place = left
        rows[-1].append((place, mood, text))
        place += wide + 0.3
    return tuple(map(tuple, rows))


def height(spec: Grid) -> float:
    """Inches that the panel takes, with its legend."""
    return _layout(spec).height


def draw(picture: Picture, spec: Grid, top: float) -> None:
    """Draw the grid into a picture, `top` inches from the upper edge."""
    layout, whole = _layout(spec), picture.get_figheight()
    with styled():
        axes = picture.add_axes((0, 1 - (top + layout.height) / whole, 1, layout.height / whole))
        axes.set_axis_off()
        axes.set_xlim(0, WIDTH)
        axes.set_ylim(layout.height, 0)
        below = _draw_heads(axes, layout)
        for name, words, cells, high in zip(layout.rows, layout.cells, spec.cells, layout.heights, strict=True):
            _write(axes, layout, SIDE, below + high / 2, name, ha="left", fontweight="bold")
            left = SIDE + layout.names
            for lines, cell, wide in zip(words, cells, layout.columns, strict=True):
                _draw_box(axes, (left, below, wide, high), cell.mood)
                _write(axes, layout, left + wide / 2, below + high / 2, lines, ha="center")
                left += wide
            below += high
        _draw_legend(axes, layout, below + 0.1)


def _draw_heads(axes: Axes, layout: _Layout) -> float:
    """Write what rows and columns are, and the names of columns; returns where the first row begins."""
    titles = HEAD * len(layout.titles[1])
    middle = titles + layout.head / 2
    left = SIDE + layout.names
    _write(axes, layout, left, titles / 2, layout.titles[1], ha="left", color=GREY)
    _write(axes, layout, SIDE, middle, layout.titles[0], ha="left", color=GREY)
    for lines, wide in zip(layout.heads, layout.columns, strict=True):
        _write(axes, layout, left + wide / 2, middle, lines, ha="center", fontweight="bold")
        left += wide
    return titles + layout.head


def _draw_legend(axes: Axes, layout: _Layout, top: float) -> None:
    for row in layout.legend:
        for left, mood, text in row:
            _draw_box(axes, (left, top + LEGEND / 2 - 0.085, 0.22, 0.17), mood)
            _write(axes, layout, left + SWATCH, top + LEGEND / 2, [text], ha="left")
        top += LEGEND


def _draw_box(axes: Axes, box: tuple[float, float, float, float], mood: Mood) -> None:
    """A box in the colour of a mood. That of what does not apply is hatched, for it has no sign."""
    left, top, wide, high = box
    hatch = "//" if mood == "none" else ""
    axes.add_patch(Rectangle((left, top), wide, high, fc=COLOURS[mood], ec="#DCDCDC", hatch=hatch, lw=0))
    axes.add_patch(Rectangle((left, top), wide, high, fill=False, ec="#888888", lw=0.8))


def _write(axes: Axes, layout: _Layout, x: float, y: float, lines: list[str], **options: str) -> None:
    look: dict[str, object] = {"va": "center_baseline" if len(lines) == 1 else "center", **options}
    axes.text(x, y, "\n".join(lines), fontsize=layout.font, linespacing=1.15, **look)  # type: ignore[arg-type]


def words(spec: Grid) -> str:
    """What the panel shows, in sentences: each cell, or how many there are of each sort."""
    meanings = _meanings(spec)
    told = [f"A table: {spec.row_title} by {spec.column_title}."]
    flat = [cell for row in spec.cells for cell in row]
    if len(flat) > MANY:
        told.append(f"{len(flat)} cells: {_counted(flat, meanings)}.")
        told += [
            f"{capital(name)}: {_counted(row, meanings)}." for name, row in zip(spec.rows, spec.cells, strict=True)
        ]
        return " ".join(told)
    for name, row in zip(spec.rows, spec.cells, strict=True):
        cells = [
            f"{column}: {cell.text}{_aside(cell, meanings)}" for column, cell in zip(spec.columns, row, strict=True)
        ]
        told.append(f"{capital(name)}: {'; '.join(cells) or 'nothing'}.")
    return " ".join(told if spec.rows else [*told, "It is empty."])


def _aside(cell: Cell, meanings: Mapping[Mood, str]) -> str:
    """What a cell's mood adds to its words."""
    meaning = meanings.get(cell.mood, "")
    return f" ({meaning})" if meaning and meaning not in cell.text else ""


def _counted(cells: Sequence[Cell], meanings: Mapping[Mood, str]) -> str:
    """How many cells there are of each mood; plain ones by their words."""
    counted = Counter(meanings.get(cell.mood) or cell.text for cell in cells)
    return ", ".join(f"{number} × {what}" for what, number in counted.items()) or "nothing"
