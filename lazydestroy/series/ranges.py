"""What would a call for a range of pages bring? A layer to put on top of a kernel: as built here, not as proposed.

The Ultravisor's DESTR_SEC_STOR is for one page. Elsewhere calls for ranges exist: for Arm CCA, Linux patches of May
2026 use range based operations of the firmware to delegate and undelegate memory (Steven Price, v14 14/44, changes
since v13). We know of no proposal of one for the Ultravisor.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any, ClassVar

from .._core import step, walk
from ..costs import Costs
from ..kernel.structs import Flow, Mm
from ..layers import Layer
from ..units import expect, whole_number

PAGES_MAX = 512
"""Pages in a range, at most: as many as a page table of 2 MiB has entries."""


class RangeCall(Layer):
    """Collect the pages of a range as patch 5 does, then destroy them with one call.

    A range in which there is something to destroy costs one call that changes nothing (`Costs.noop`). Each page costs
    `Costs.destroy` in addition, which should then be the price of the page alone: see `costs_in_a_range`. The firmware
    is not interrupted within a range. The model lets others use a page as soon as it is clean, and not only at the end
    of the call. The calls that a run counts are still pages.
    """

    title = "one call for a range of pages"
    files = ("arch/s390/mm/gmap.c",)
    needs = (5,)
    pages: ClassVar[int] = PAGES_MAX

    def s390_uv_destroy_range(self: Any, mm: Mm, users: int, pages: int | None = None) -> Flow:
        """Walk range by range; `users` and `pages` as without this layer. Stop between two ranges if need be."""
        tables = mm.tables if pages is None else (mm.guest,)
        for table in tables:
            end = table.pages if pages is None else min(pages, table.pages)
            for first in range(0, end, self.pages):
                if mm.mm_users <= users:
                    return
                yield from self.destroy_one_range(mm, table, first, min(self.pages, end - first))

    def destroy_one_range(self: Any, mm: Mm, table: Any, first: int, pages: int) -> Flow:
        """Destroy what is present of some entries of a table, and charge the call, if there was one."""
        yield walk(
            table,
            first,
            pages,
            step(self.s390_gather_pages, mm),
            each=step(self.s390_uv_destroy_pfn),
            batch=pages,
            lock=mm.mmap_lock,
        )
        if any(self.entry_present(mm, table, number) for number in range(first, first + pages)):
            self.machine.engine.charge(self.machine.costs.noop)

    def entry_present(self: Any, mm: Mm, table: Any, number: int) -> bool:
        """Whether an entry of a table is present, so that its page was in the range."""
        frame = table.frame(number)
        return frame is not None and self.pte_present(mm, self.machine.memory.page(frame))


def range_call(pages: int = PAGES_MAX) -> type[RangeCall]:
    """Return the layer for so many pages a call: `series.v1.plus(range_call(64))`.

    Parameters
    ----------
    pages : int
        1 to 512.

    Raises
    ------
    ValueError
        If it is no such number.
    """
    return _range_call(whole_number(pages, "pages", 1, PAGES_MAX))


@lru_cache
def _range_call(pages: int) -> type[RangeCall]:
    name = f"range_call({pages})"
    return type(name, (RangeCall,), {"pages": pages, "__module__": __name__, "__doc__": RangeCall.__doc__})


def costs_in_a_range(costs: Costs | None = None) -> Costs:
    """Take the price of the call out of the price of a page: so a range of one page costs what a page costs today.

    How the price of a destroy is shared between the two is assumed: the call as much as one that changes nothing.

    Raises
    ------
    ValueError
        If a destroy costs less than a call that changes nothing.
    """
    costs = Costs() if costs is None else costs
    expect(Costs, costs, "costs", "ld.Costs(...), such as ld.Costs(destroy='1.5 us')")
    if costs.destroy < costs.noop:
        raise ValueError(f"costs={costs!r}: destroy must cost at least as much as noop, which is part of it here")
    return replace(costs, destroy=costs.destroy - costs.noop)


def longest_call_ns(pages: int, costs: Costs | None = None) -> int:
    """Nanoseconds for which the firmware has a CPU, without a break, for a full range.

    Raises
    ------
    ValueError
        If it is no number of pages that fits into a range, or these are no costs.
    """
    inside = costs_in_a_range(costs)
    return inside.noop + whole_number(pages, "pages", 1, PAGES_MAX) * inside.destroy
