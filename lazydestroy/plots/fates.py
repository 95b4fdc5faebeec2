"""What becomes of one page without a patch and with it: its stations in a row, and how the last access to it ended."""

from __future__ import annotations

import textwrap
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch

from ..demonstrations.fates import ABOUT_A_PAGE, Fate, Fates, Station
from ..series import v1
from ..units import expect
from .pages import draw_page
from .picture import GREY, PALETTE, WIDTH, Picture, styled
from .words import capital

HEADER, NAME, BOX, COUNT, GAP = 0.72, 0.34, 0.96, 0.26, 0.16
"""Inches for the title, a kernel's name, a page, the counter below it, and between the kernels."""

EDGE, PAGE = 0.1, 1.1
"""Inches beside everything, and across a page."""

GOOD, BAD = PALETTE["clean-up thread"].colour, PALETTE["downtime"].colour


def plot_fates(fates: Fates) -> Picture:
    """Draw one page's stations on the kernel without a patch, and below them those on the kernel with it.

    Parameters
    ----------
    fates : Fates
        Such as ``ld.series.v1[3].demonstrate().fates``.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If these are no `Fates`.
    """
    expect(Fates, fates, "fates", "such as ld.series.v1[3].demonstrate().fates")
    both = ((f"without patch {fates.number}", fates.without), (f"with patch {fates.number}", fates.with_))
    columns = max(len(fate.stations) for _, fate in both) + 1
    high = NAME + BOX + (COUNT if fates.counted else 0.0)
    picture = Picture(HEADER + 2 * high + GAP + 0.08)
    axes = picture.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(picture.get_figheight(), 0))
    axes.set_axis_off()
    step = (WIDTH - 2 * EDGE - PAGE) / (columns - 1)
    with styled():
        for place, (name, fate) in enumerate(both):
            top = HEADER + place * (high + GAP)
            axes.text(EDGE, top + NAME / 2, name, fontsize=12, fontweight="bold", va="center")
            _row(axes, fate, top + NAME, step, fates.counted)
    picture.say(fates.title, f"{capital(fates.scene)}. A lock: the Ultravisor guards it.", _words(fates))
    return picture


def _row(axes: Axes, fate: Fate, top: float, step: float, counted: bool) -> None:
    """The stations of one kernel, and the end."""
    for place, station in enumerate(fate.stations):
        left = EDGE + step * place
        if place:
            _arrow(axes, left - step + PAGE, left, top, station.after)
        owner = {station.owner} if station.old else set()
        draw_page(axes, (left, top, PAGE, BOX), station._asdict(), owner, _label(station), lock=station.locked)
        if counted:
            name = "counter" if v1[6].layer in fate.kernel else "flag"
            look: dict[str, Any] = {"fontsize": 10.5, "ha": "center", "va": "center", "color": GREY}
            axes.text(left + PAGE / 2, top + BOX + COUNT / 2, f"{name}: {station.protected}", **look)
    left = EDGE + step * len(fate.stations)
    _arrow(axes, left - step + PAGE, left, top, fate.last)
    sign, colour = ("✔", GOOD) if fate.good else ("✗", BAD)
    axes.text(left + PAGE / 2, top + BOX * 0.22, sign, fontsize=16, ha="center", va="center", color=colour)
    outcome = "\n".join(textwrap.wrap(capital(fate.outcome), 12))
    end: dict[str, Any] = {"fontsize": 10.5, "fontweight": "bold", "linespacing": 1.1, "color": colour}
    axes.text(left + PAGE / 2, top + BOX * 0.66, outcome, ha="center", va="center", **end)


def _arrow(axes: Axes, begins: float, ends: float, top: float, words: str) -> None:
    """An arrow between two boxes; above it what somebody did, below it what came of that."""
    middle = top + BOX / 2
    arrow = FancyArrowPatch(
        (begins + 0.03, middle), (ends - 0.03, middle), arrowstyle="-|>", mutation_scale=11, shrinkA=0, shrinkB=0
    )
    arrow.set(color=GREY, linewidth=1.3)
    axes.add_patch(arrow)
    above, below = _around(words, ends - begins)
    look: dict[str, Any] = {"fontsize": 9.5, "ha": "center", "linespacing": 1.1}
    across = (begins + ends) / 2
    axes.text(across, middle - 0.07, above, va="bottom", **look)
    axes.text(across, middle + 0.08, below, va="top", **look)


def _around(words: str, inches: float) -> tuple[str, str]:
    """What somebody did, for above an arrow; and for below it what was raised and called then."""
    lines = words.split("\n")
    acts = [line for line in lines if line and not (line.startswith("0x") or line.partition(" ")[0] in ABOUT_A_PAGE)]
    follows = [line for line in lines if line and line not in acts]
    if "again and again" in acts:
        acts.remove("again and again")
        follows.append("again and again")
    broken = [
        "\n".join(part for line in some for part in textwrap.wrap(line, int(inches * 13), break_long_words=False))
        for some in (acts, follows)
    ]
    return broken[0], broken[1]


def _label(station: Station) -> str:
    """What is written on a page."""
    what = "non-secure" if station.state == "non-secure" else station.state
    owner = f"owner {station.owner}{' (old)' if station.old else ''}" if station.owner else ""
    aside = station.holder if station.holder != "mapped" else ""
    content = station.content if not station.owner else ""
    return "\n".join(line for line in (aside, what, owner, content) if line)


def _words(fates: Fates) -> str:
    """All of it, for those who do not see it."""
    told = [f"{fates.title}. {capital(fates.scene)}."]
    for name, fate in (("Without it", fates.without), ("With it", fates.with_)):
        parts = []
        for station in fate.stations:
            after = f"{station.after.replace(chr(10), ', ')}, " if station.after else ""
            counter = f", {'counter' if v1[6].layer in fate.kernel else 'flag'} {station.protected}" * fates.counted
            parts.append(f"{after}the page is {_label(station).replace(chr(10), ', ')}{counter}")
        parts.append(": ".join(filter(None, (fate.last.replace(chr(10), ", "), fate.outcome))))
        told.append(f"{name}: {'; '.join(parts)}.")
    return " ".join(told)


__all__ = ["plot_fates"]
