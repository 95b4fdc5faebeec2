"""Who runs out of memory: the map that questions 3 and 4 share.

A map says for each size of guest, and for each pace at which another process takes memory once the guest is gone,
whether that process is killed for want of it. It is measured cell by cell; so is the pace at which "no" turns into
"yes".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from .. import units
from ..actors import OTHER_PROCESS
from ..page import PAGE_SHIFT, PAGE_SIZE
from ..rounded import about_duration
from ..scenarios import shutdown
from ..series import Series
from ..units import format_rate, format_size
from .pictures import Cell, Grid
from .progress import one_by_one

RATES = ("1 GiB/s", "2 GiB/s", "4 GiB/s", "8 GiB/s", "16 GiB/s", "32 GiB/s")
"""Paces that are tried."""

PRECISION = 1.02
"""A turning point is known when the pace above it is at most 2 % higher than the pace below."""

SLOWEST, FASTEST = 1 << 20, 1 << 40
"""Paces below and above which no turning point is looked for, bytes a second."""

CHOSEN = ("demand", "demand_total", "demand_from", "swap")
"""Parameters of a shutdown that the map chooses itself."""

Given = Mapping[str, Any]


class Outcome(NamedTuple):
    """What became of a process that takes as much memory as the guest had, once that one is gone.

    Attributes
    ----------
    memory, rate : int
        Size of the guest in bytes, and the pace in bytes a second.
    killed_ns : int or None
        When memory ran out. None: it got all it wanted.
    done_ns : int
        When it had all, or was killed.
    waited_ns : int
        How long of that it waited for pages that were being freed.
    """

    memory: int
    rate: int
    killed_ns: int | None
    done_ns: int
    waited_ns: int


def outcome(memory: int, rate: int, given: Given) -> Outcome:
    """Shut a guest down; another process takes memory at that pace."""
    run = shutdown(memory, demand=rate, **given)
    killed = next((event.time_ns for event in run.events if event.kind == "oom"), None)
    return Outcome(memory, rate, killed, run.finished_ns[OTHER_PROCESS], run.oom_wait_ns)


@dataclass(frozen=True, slots=True)
class Turning:
    """Between which paces "no" turns into "yes", bytes a second.

    Attributes
    ----------
    no : int or None
        A pace that does not exhaust memory. None: any pace that was tried does.
    yes : int or None
        A pace that does. None: none that was tried does.
    """

    no: int | None
    yes: int | None

    def __str__(self) -> str:
        if self.yes is None:
            return f"not even at {format_rate(self.no or 0)}"
        return f"from {rate_words(self.yes)} on"


_RATES = (("TiB/s", 1 << 40), ("GiB/s", 1 << 30), ("MiB/s", 1 << 20), ("B/s", 1))


def rate_words(rate: int) -> str:
    """Write a pace, rounded to the precision with which turning points are known."""
    unit, base = next((unit, base) for unit, base in _RATES if rate >= base or base == 1)
    return f"{rate / base:.3g} {unit}"


def turning_rate(memory: int, tried: Sequence[Outcome], given: Given) -> Turning:
    """Where "no" turns into "yes" for a guest of that size, to within 2 %. `tried`: what is known already."""
    no = max((each.rate for each in tried if each.killed_ns is None), default=None)
    yes = min((each.rate for each in tried if each.killed_ns is not None), default=None)
    while yes is None and no is not None and no < FASTEST:
        faster = min(8 * no, FASTEST)
        if outcome(memory, faster, given).killed_ns is None:
            no = faster
        else:
            yes = faster
    while yes is not None and no is None and yes > SLOWEST:
        slower = yes // 4
        if outcome(memory, slower, given).killed_ns is None:
            no = slower
        else:
            yes = slower
    while yes is not None and no is not None and yes > no * PRECISION:
        middle = round((yes * no) ** 0.5)
        if outcome(memory, middle, given).killed_ns is None:
            no = middle
        else:
            yes = middle
    return Turning(no, yes)


def sizes_up_to(memory: int) -> list[int]:
    """Five sizes of a guest, each half the next, up to `memory` bytes."""
    smaller = (memory >> power >> PAGE_SHIFT << PAGE_SHIFT for power in range(4, -1, -1))
    return sorted({size for size in smaller if size})


def sizes_of(sizes: int | str | Sequence[int | str] | None, memory: int) -> list[int]:
    """Sizes of the guest, in bytes, ascending; `memory` among them."""
    if sizes is None:
        return sizes_up_to(memory)
    return sorted({memory, *(units.size(size, "sizes", multiple_of=PAGE_SIZE) for size in _several(sizes))})


def rates_of(rates: int | str | Sequence[int | str]) -> list[int]:
    """Paces in bytes a second, ascending.

    Raises
    ------
    ValueError
        If one is no pace, or there is none.
    """
    found = sorted({units.rate(rate, "rates") for rate in _several(rates)})
    if not found:
        raise ValueError(f"rates={units.shown(rates)}: use one pace or several, such as ('1 GiB/s', '4 GiB/s')")
    return found


def _several(values: Any) -> Sequence[Any]:
    """One value, or several."""
    return values if isinstance(values, list | tuple) else (values,)


def oom_map(sizes: Sequence[int], rates: Sequence[int], given: Given) -> dict[tuple[int, int], Outcome]:
    """What becomes of the other process, by size of the guest and pace."""
    cases = [(size, rate) for size in sizes for rate in rates]
    return {case: outcome(*case, given) for case in one_by_one(cases)}


def map_picture(found: Mapping[tuple[int, int], Outcome], kernel: Series) -> Grid:
    """The map as a grid."""
    sizes, rates = (sorted({key[place] for key in found}) for place in (0, 1))
    killed = sum(each.killed_ns is not None for each in found.values())
    return Grid(
        title=f"The other process is killed in {killed} of {len(found)} cases",
        row_title="guest that has gone",
        column_title="pace at which another process takes as much memory",
        rows=tuple(map(format_size, sizes)),
        columns=tuple(map(format_rate, rates)),
        cells=tuple(tuple(outcome_cell(found[size, rate]) for rate in rates) for size in sizes),
        legend=(("good", "gets all it asks for"), ("bad", "killed: no page is free")),
    )


def outcome_cell(each: Outcome) -> Cell:
    """An outcome in a few words."""
    if each.killed_ns is not None:
        return Cell(f"killed at {about_duration(each.killed_ns)}", "bad")
    if each.waited_ns:
        return Cell(f"waits {about_duration(each.waited_ns)}", "mixed")
    return Cell("fits", "good")
