"""The trace of a search: the pages of a small machine, moment by moment, up to the one at which it goes wrong."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from .pages import in_words, kind_of_page
from .picture import GREY, PALETTE, STYLE, WIDTH, Picture
from .words import capital

if TYPE_CHECKING:
    from ..series.trace import Moment, Trace

MOMENTS = 16
"""Moments that are drawn at most: of a longer trace the first ones and the last ones."""

ROW = 0.42
"""Inches for a moment."""

TEXT, CELL, GAP = 5.3, 1.62, 0.06
"""Inches for what happened, for a page, and between pages."""

LINE, BOLD_LINE = 56, 48
"""Characters that fit beside the pages."""

WRONG = PALETTE["downtime"].colour


def plot_trace(trace: Trace) -> Picture:
    """The shortest way to trouble: a line a moment, and beside it the guest's pages as they are then.

    Parameters
    ----------
    trace : Trace
        What `lazydestroy.series.check` found.

    Returns
    -------
    Picture
    """
    moments = list(enumerate(trace.moments, 1))
    left_out = len(moments) - MOMENTS
    if left_out > 0:
        moments = moments[: MOMENTS // 2] + moments[-(MOMENTS // 2) :]
    pages = len(trace.moments[-1].rows)
    cell = min(CELL, (WIDTH - 0.16 - TEXT) / pages)
    title = textwrap.wrap(capital(trace.violation), 76)
    head = 0.66 + 0.24 * (len(title) - 1)
    picture = Picture(head + 0.34 + ROW * len(moments) + 0.1)
    axes = _whole(picture)
    with mpl.rc_context(STYLE):
        _heads(axes, head, pages, cell)
        for place, (number, moment) in enumerate(moments):
            top = head + 0.34 + ROW * place
            cut = left_out > 0 and place == MOMENTS // 2
            _moment(axes, top, number, moment, cell, f"({left_out} moments left out)  " if cut else "")
    picture.say("\n".join(title), "", _words(trace))
    picture.say_below(
        f"{trace.kernel!r}, found by trying everything; the last line is where it goes wrong", head - 0.28
    )
    return picture


def _whole(picture: Picture) -> Axes:
    """Axes over all of the picture, in inches from the upper left corner."""
    axes = picture.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(picture.get_figheight(), 0))
    axes.set_axis_off()
    return axes


def _heads(axes: Axes, top: float, pages: int, cell: float) -> None:
    axes.text(0.08, top + 0.2, "what happens", fontsize=10.5, color=GREY, va="center")
    for page in range(pages):
        axes.text(
            TEXT + cell * (page + 0.5), top + 0.2, f"page {page}", fontsize=10.5, color=GREY, ha="center", va="center"
        )


def _moment(axes: Axes, top: float, number: int, moment: Moment, cell: float, before: str) -> None:
    """One line."""
    wrapped = textwrap.wrap(before + capital(moment.text), BOLD_LINE if moment.bad else LINE)
    if len(wrapped) > 2:
        wrapped = [wrapped[0], textwrap.shorten(" ".join(wrapped[1:]), BOLD_LINE, placeholder=" …")]
    colour = WRONG if moment.bad else "black"
    weight = "bold" if moment.bad else "normal"
    sign = "✗" if moment.bad else f"{number}"
    axes.text(0.3, top + ROW / 2, sign, fontsize=11, ha="right", va="center", color=colour, fontweight=weight)
    axes.text(
        0.42,
        top + ROW / 2,
        "\n".join(wrapped),
        fontsize=10.5,
        va="center",
        color=colour,
        fontweight=weight,
        linespacing=1.1,
    )
    for place, row in enumerate(moment.rows):
        _page(axes, TEXT + cell * place, top, cell, row, set(moment.old))
    if moment.bad:
        width = WIDTH - 0.08
        axes.add_patch(
            Rectangle((0.04, top + 0.01), width, ROW - 0.02, fill=False, edgecolor=WRONG, linewidth=2, zorder=5)
        )


def _page(axes: Axes, left: float, top: float, cell: float, row: Mapping[str, Any], old: set[str]) -> None:
    kind = kind_of_page(row, old)
    look = PALETTE.get(kind, PALETTE["free"])
    missing = kind == "not present"
    axes.add_patch(
        Rectangle(
            (left + GAP / 2, top + 0.04),
            cell - GAP,
            ROW - 0.08,
            facecolor=look.colour,
            hatch="" if missing else look.hatch,
            edgecolor=GREY,
            linewidth=0.9,
            linestyle=":" if missing else "-",
        )
    )
    axes.text(
        left + cell / 2,
        top + ROW / 2,
        _label(row, kind, old),
        fontsize=9.5,
        ha="center",
        va="center",
        color=GREY if missing else "black",
        bbox={"boxstyle": "square,pad=0.12", "fc": "white", "ec": "none", "alpha": 0.9} if look.hatch else None,
        zorder=3,
    )


def _label(row: Mapping[str, Any], kind: str, old: set[str]) -> str:
    """State and owner of a page, as short as can be."""
    if kind in ("not present", "set aside"):
        return "set aside" if kind == "set aside" else "–"
    if row["owner"]:
        return f"{row['state']}, {row['owner']}" + (" (old)" if row["owner"] in old else "")
    return str(row["content"])


def _words(trace: Trace) -> str:
    """All of it, for those who do not see it."""
    told = []
    for number, moment in enumerate(trace.moments, 1):
        pages = "; ".join(f"page {row['page']} {in_words(row, set(moment.old))}" for row in moment.rows)
        told.append(f"{number}. {capital(moment.text)}. Then {pages}.")
    return f"{capital(trace.violation)}. A trace in {len(trace.moments)} moments. " + " ".join(told)


__all__ = ["plot_trace"]
