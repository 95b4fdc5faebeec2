"""The pages of a machine that is driven by hand, as a map."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Arc, Rectangle

from ..machine import Machine
from ..rounded import counted
from ..units import expect
from .picture import GREY, PALETTE, Picture, styled
from .words import capital


def plot_pages(machine: Machine, title: str | None = None) -> Picture:
    """The guest's pages as a map: a cell a page, with its state, its owner and what a reader would find.

    Pages that hold the list of those that are set aside have a row of their own, each with the numbers that it holds.

    Parameters
    ----------
    machine : Machine
        Of at most 64 pages.
    title : str, optional
        Default: how many pages are in which state.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If the machine has more pages than can be read in a picture.
    """
    expect(Machine, machine, "machine", "a machine, such as ld.Machine('32 KiB')")
    if title is not None:
        expect(str, title, "title", "text, or None")
    if machine.guest_pages > MAP_PAGES:
        raise ValueError(f"machine: {machine.guest_pages} guest pages; a page map can be read up to {MAP_PAGES}")
    rows = machine.rows()
    across = min(8, len(rows))
    lists = list_pages(machine)
    down = -(-len(rows) // across) + bool(lists)
    picture = Picture(0.66 + 1.02 * down + 0.06)
    axes = picture.panel(0.66, 1.02 * down)
    axes.set_position((0.008, 0.06 / picture.get_figheight(), 0.984, axes.get_position().height))
    axes.set(xlim=(0, 8), ylim=(down, 0))
    axes.set_axis_off()
    old = {machine.name(handle) for handle in machine.old}
    with styled():
        for row in rows:
            _cell(axes, row, row["page"] % across, row["page"] // across, old)
        for place, numbers in enumerate(lists[:across]):
            _list_cell(axes, numbers, place, down - 1)
    words = [f"page {row['page']}: {in_words(row, old)}" for row in rows]
    words += [f"a list page: {_numbers(numbers)}" for numbers in lists]
    also = f"; {len(lists)} list page{'s' if len(lists) > 1 else ''}" if lists else ""
    picture.say(
        title or _counted(rows, old) + also,
        _guest_now(machine, old),
        f"The guest's pages. {capital('; '.join(words))}.",
    )
    return picture


MAP_PAGES = 64
"""Pages that `plot_pages` draws at most."""


LIST_PAGE = {"state": "non-secure", "owner": "", "content": "", "holder": "set aside"}
"""What is drawn for a page that holds the list of those that are set aside."""


def list_pages(machine: Machine) -> list[list[int]]:
    """The numbers of the guest's pages that each list page holds, the newest list page first."""
    listed = machine.mm._context.deferred_list
    if not listed.list_pages:
        return []
    pages = {machine.mm.guest.slot(page): page for page in range(machine.guest_pages)}
    numbers = [pages[frame] for frame in listed.frames if frame in pages]
    newest = len(numbers) - (listed.list_pages - 1) * listed.capacity
    cuts = [0, *range(newest, len(numbers) + 1, listed.capacity)]
    return [numbers[start:end] for start, end in pairwise(cuts)]


def _numbers(pages: list[int]) -> str:
    return f"page{'s' if len(pages) > 1 else ''} {', '.join(map(str, pages))}" if pages else "empty"


def kind_of_page(row: Mapping[str, Any], old: set[str]) -> str:
    """What sort of page it is: a key of the palette, or "non-secure", or "not present"."""
    if row["state"] == "not present" or row["holder"] == "set aside":
        return "set aside" if row["holder"] == "set aside" else "not present"
    if row["state"] == "secure":
        return "old guest" if row["owner"] in old else "guest"
    return str(row["state"])


def in_words(row: Mapping[str, Any], old: set[str]) -> str:
    """What a page is, for a reader."""
    if row["state"] == "not present":
        return "not present"
    owner = f", owned by {row['owner']}{' (old)' if row['owner'] in old else ''}" if row["owner"] else ""
    aside = {"set aside": "set aside, ", "free": "free, but "}.get(row["holder"], "")
    return f"{aside}{row['state']}{owner}, {row['content']}"


WRONG = PALETTE["downtime"].colour
"""Of what must not be: a page that is free while the Ultravisor guards it."""

Box = tuple[float, float, float, float]
"""Left, top, width and height."""


def draw_page(
    axes: Axes,
    box: Box,
    row: Mapping[str, Any],
    old: set[str],
    label: str,
    down: float = 0.5,
    lock: bool | None = None,
) -> None:
    """Draw a page as a cell in the colour and hatch of what it is, its label `down` of the way from top to bottom.

    A page that is free and that the Ultravisor still guards has a lock; `lock` says otherwise.
    """
    kind = kind_of_page(row, old)
    look = PALETTE.get(kind, PALETTE["free"])
    missing, lost = kind == "not present", row["holder"] == "free" and bool(row["owner"])
    left, top, width, height = box
    axes.add_patch(
        Rectangle(
            (left, top),
            width,
            height,
            facecolor=look.colour,
            hatch="" if missing else look.hatch,
            edgecolor=WRONG if lost else GREY,
            linewidth=2.5 if lost else 1,
            linestyle=":" if missing else "-",
        )
    )
    axes.text(
        left + width / 2,
        top + height * down,
        label,
        ha="center",
        va="center",
        fontsize=9.5,
        linespacing=1.15,
        color=GREY if missing else "black",
        bbox={"boxstyle": "square,pad=0.18", "fc": "white", "ec": "none", "alpha": 0.9} if look.hatch else None,
        zorder=3,
    )
    if lost if lock is None else lock:
        draw_lock(axes, left + width - 0.16, top + 0.1)


def draw_lock(axes: Axes, across: float, down: float) -> None:
    """Draw a padlock of an eighth of an inch, on axes in inches, its body's upper edge at `down`."""
    look: dict[str, Any] = {"edgecolor": "black", "zorder": 4}
    axes.add_patch(Arc((across, down + 0.01), 0.09, 0.13, theta1=180, theta2=360, linewidth=1.4, **look))
    axes.add_patch(Rectangle((across - 0.065, down), 0.13, 0.1, facecolor="black", linewidth=0, zorder=4))


def _cell(axes: Axes, row: Mapping[str, Any], across: int, down: int, old: set[str]) -> None:
    state = "set aside" if kind_of_page(row, old) == "set aside" else row["state"]
    owner = f"owner {row['owner']}{' (old)' if row['owner'] in old else ''}" if row["owner"] else ""
    lines = [state, owner, str(row["content"]).replace(" of ", "\nof ")]
    label = "\n".join(line for line in lines if line)
    draw_page(axes, (across + 0.03, down + 0.03, 0.94, 0.94), row, old, label, 0.55 / 0.94)
    axes.text(
        across + 0.07,
        down + 0.07,
        str(row["page"]),
        va="top",
        fontsize=11,
        fontweight="bold",
        bbox={"boxstyle": "square,pad=0.1", "fc": "white", "ec": "none"},
        zorder=4,
    )


def _list_cell(axes: Axes, numbers: list[int], across: int, down: int) -> None:
    label = "\n".join(["list page:", *textwrap.wrap(_numbers(numbers), 14, max_lines=3, placeholder=" …")])
    draw_page(axes, (across + 0.03, down + 0.03, 0.94, 0.94), LIST_PAGE, set(), label)


def _counted(rows: list[dict[str, Any]], old: set[str]) -> str:
    """How many pages are in which state, the most frequent first."""
    names = {"old guest": "old guest's", "guest": "running guest's"}
    counts: dict[str, int] = {}
    for row in rows:
        kind = kind_of_page(row, old)
        counts[kind] = counts.get(kind, 0) + 1
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return f"{counted(len(rows), 'pages')}: " + ", ".join(
        f"{number} {names.get(kind, kind)}" for kind, number in ordered
    )


def _guest_now(machine: Machine, old: set[str]) -> str:
    if not machine.alive:
        now = "the process has exited"
    elif not machine.guest_up:
        now = "no guest is running"
    else:
        handle = machine.running_handle(machine.kvm)
        now = f"a protected guest runs: {machine.name(handle)}" if handle else "a normal guest runs"
    return now + (f"  ·  old: {', '.join(sorted(old))}" if old else "")
