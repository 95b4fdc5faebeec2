"""The trace of a search: the pages of a small machine, moment by moment, up to the one at which it goes wrong."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from ..rounded import counted, short_of
from ..series import Trace
from ..units import expect
from .pages import LIST_PAGE, WRONG, draw_page, in_words, kind_of_page
from .picture import GREY, TITLE_WORDS, WIDTH, Picture, styled
from .words import capital

if TYPE_CHECKING:
    from ..series.trace import Moment

MOMENTS = 16
"""Moments that are drawn at most: of a longer trace the first ones and the last ones."""

PAGES = 6
"""Pages of the guest that there is room for."""

CELL, SMALL_CELL = 1.62, 0.82
"""Inches for a page: with room for a label in one line, and in two."""

TEXT = 5.3
"""Inches for what happens, if pages are not too many."""

EDGE, NUMBER, GAP = 0.08, 0.34, 0.06
"""Inches beside everything, for a moment's number, between pages."""

ROW, LINE, HEADS, CUT = 0.42, 0.175, 0.34, 0.3
"""Inches for a moment at least, for a line of text, for the names of columns, for a remark on what is left out."""


class _Row(NamedTuple):
    """A moment, broken into lines: what happens, and what is logged."""

    number: int
    moment: Moment
    text: list[str]
    logged: list[str]

    @property
    def height(self) -> float:
        return max(ROW, 0.1 + LINE * (len(self.text) + len(self.logged)))


def plot_trace(trace: Trace) -> Picture:
    """The shortest way to trouble: what happens, moment by moment, and beside it the guest's pages as they are then.

    Parameters
    ----------
    trace : Trace
        What `lazydestroy.series.check` found.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If the machine has more pages than there is room for.
    """
    expect(Trace, trace, "trace", "the trace of what ld.series.check(...) returned")
    pages = len(trace.moments[-1].rows)
    if pages > PAGES:
        raise ValueError(f"trace: {pages} guest pages; there is room for {PAGES}")
    heads = [f"page {page}" for page in range(pages)]
    heads += ["list page"] if any(moment.list_pages for moment in trace.moments) else []
    cell = min(CELL, max(SMALL_CELL, (WIDTH - 2 * EDGE - TEXT) / len(heads)))
    left = WIDTH - EDGE - cell * len(heads)
    moments = list(enumerate(trace.moments, 1))
    left_out = max(0, len(moments) - MOMENTS)
    if left_out:
        moments = moments[: MOMENTS // 2] + moments[-(MOMENTS // 2) :]
    rows = [_row(number, moment, trace.violation, left - EDGE - NUMBER) for number, moment in moments]
    broken = short_of(trace.violation, TITLE_WORDS) or f"It breaks in {counted(len(trace.moments), 'steps')}"
    title = textwrap.wrap(capital(broken), 76)
    top = 0.66 + 0.24 * (len(title) - 1)
    picture = Picture(top + HEADS + sum(row.height for row in rows) + (CUT if left_out else 0) + 0.1)
    axes = _whole(picture)
    with styled():
        _heads(axes, top, left, heads, cell)
        here = top + HEADS
        for place, row in enumerate(rows):
            if left_out and place == MOMENTS // 2:
                _cut(axes, here, left_out)
                here += CUT
            _draw(axes, here, left, cell, row)
            here += row.height
    picture.say("\n".join(title), "", _words(trace))
    kernel = f"{trace.kernel!r}, Ultravisor without {trace.without}" if trace.without else repr(trace.kernel)
    picture.say_below(f"{kernel}: the fewest actions that break it, found by trying everything", top - 0.28)
    return picture


def _row(number: int, moment: Moment, violation: str, inches: float) -> _Row:
    """Break what happened and what was logged into lines of so many inches."""
    text = textwrap.wrap(
        capital(moment.text), int(inches * (9.8 if moment.bad else 11.4)), max_lines=3, placeholder=" …"
    )
    logged = "; ".join(_logged(moment, violation))
    if moment.bad:
        logged = f"Here it goes wrong{f'. {capital(logged)}' if logged else ''}"
    return _Row(number, moment, text, textwrap.wrap(logged, int(inches * 14), max_lines=3, placeholder=" …"))


def _logged(moment: Moment, said: str = "") -> Iterator[str]:
    """What was logged, apart from what has been said: each event with its kind, and the same ones once."""
    found = Counter((event.kind, event.text) for event in moment.events if not said or event.text not in said)
    for (kind, text), times in found.items():
        again = f" ({times} times)" if times > 1 else ""
        yield (text if kind == "userspace" else f"{kind}: {text}") + again


def _whole(picture: Picture) -> Axes:
    """Axes over all of the picture, in inches from the upper left corner."""
    axes = picture.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(picture.get_figheight(), 0))
    axes.set_axis_off()
    return axes


def _heads(axes: Axes, top: float, left: float, heads: list[str], cell: float) -> None:
    """Name the columns."""
    look: dict[str, Any] = {"fontsize": 10.5, "color": GREY, "va": "center"}
    axes.text(EDGE, top + 0.2, "what happens, and what is logged", **look)
    for place, head in enumerate(heads):
        axes.text(left + cell * (place + 0.5), top + 0.2, head, ha="center", **look)


def _cut(axes: Axes, top: float, left_out: int) -> None:
    """Say how many moments are left out."""
    words = f"({left_out} moment{'s' if left_out > 1 else ''} left out)"
    look: dict[str, Any] = {"fontsize": 10.5, "color": GREY, "va": "center"}
    axes.text(EDGE + 0.2, top + CUT / 2, "⋮", ha="right", **look)
    axes.text(EDGE + NUMBER, top + CUT / 2, words, style="italic", **look)


def _draw(axes: Axes, top: float, left: float, cell: float, row: _Row) -> None:
    """One moment: its number, what happens, what is logged, the pages."""
    bad = row.moment.bad
    colour, weight = (WRONG, "bold") if bad else ("black", "normal")
    lines = len(row.text) + len(row.logged)
    first = top + (row.height - LINE * lines) / 2
    sign = "✗" if bad else f"{row.number}"
    middle = first + LINE * len(row.text) / 2
    axes.text(EDGE + 0.24, middle, sign, fontsize=11, ha="right", va="center", color=colour, fontweight=weight)
    look: dict[str, Any] = {"va": "center", "linespacing": 1.1}
    axes.text(EDGE + NUMBER, middle, "\n".join(row.text), fontsize=10.5, color=colour, fontweight=weight, **look)
    if row.logged:
        below = first + LINE * (len(row.text) + lines) / 2
        grey = WRONG if bad else GREY
        axes.text(EDGE + NUMBER, below, "\n".join(row.logged), fontsize=9.5, color=grey, **look)
    pages = [*row.moment.rows, *([LIST_PAGE] if row.moment.list_pages else [])]
    for place, page in enumerate(pages):
        old = set(row.moment.old)
        box = (left + cell * place + GAP / 2, top + 0.04, cell - GAP, row.height - 0.08)
        draw_page(axes, box, page, old, _label(page, old, cell))
    if bad:
        corner, width, height = (EDGE / 2, top + 0.01), WIDTH - EDGE, row.height - 0.02
        axes.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=WRONG, linewidth=2, zorder=5))


def _label(row: Mapping[str, Any], old: set[str], cell: float) -> str:
    """State and owner of a page, as short as can be: in two lines if the cell is small."""
    kind = kind_of_page(row, old)
    if kind in ("not present", "set aside"):
        return "set aside" if kind == "set aside" else "–"
    if not row["owner"]:
        words = str(row["content"])
        return words if cell == CELL else words.replace(" of ", "\nof ")
    owner = f"{row['owner']}{' (old)' if row['owner'] in old else ''}"
    if row["holder"] == "free":
        return f"free, but{' ' if cell == CELL else chr(10)}{row['state']}"
    one_line = cell == CELL or (cell > SMALL_CELL and len(owner) == 1)
    return f"{row['state']},{' ' if one_line else chr(10)}{owner}"


def _words(trace: Trace) -> str:
    """All of it, for those who do not see it."""
    told = []
    for number, moment in enumerate(trace.moments, 1):
        logged = "; ".join(_logged(moment))
        pages = "; ".join(f"page {row['page']} {in_words(row, set(moment.old))}" for row in moment.rows)
        told += [
            f"{number}. {capital(moment.text)}.",
            *([f"Logged: {logged}."] if logged else []),
            *(["Here it goes wrong."] if moment.bad else []),
            f"Then {pages}{'; a list page is set aside' if moment.list_pages else ''}.",
        ]
    return f"{capital(trace.violation)}. A trace in {counted(len(trace.moments), 'moments')}. {' '.join(told)}"


__all__ = ["plot_trace"]
