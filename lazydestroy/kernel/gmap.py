"""``arch/s390/mm/gmap.c`` before the series: the guest's top-level table, and making its memory accessible again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._core import step, walk
from ..errnos import EFAULT
from ..page import PAGE_SHIFT, Content, Holder, Page
from ..ultravisor import ASCE_PRIVATE
from .structs import Flow, Gmap, Memslot, Mm

if TYPE_CHECKING:
    from . import Kernel

CRST_ALLOC_ORDER = 2
CRST_PAGES = 1 << CRST_ALLOC_ORDER

ASCE_TYPE_MASK = 0x0C
ASCE_TYPE_SEGMENT = 0x00
ASCE_TYPE_REGION3 = 0x04
"""Type of a top-level table, in the ASCE. A segment table reaches 2 GiB; larger guests have more levels."""


class GuestTable:
    """The tables of a guest whose memory has holes: which frame backs a guest page (see `Ultravisor.tables`)."""

    def __init__(self, kernel: Kernel, gmap: Gmap) -> None:
        self.kernel, self.gmap = kernel, gmap

    def frame(self, page_number: int) -> int | None:
        """The frame behind a guest page, or None."""
        addr = self.kernel.gmap_translate(self.gmap, page_number << PAGE_SHIFT)
        return None if addr == -EFAULT else self.gmap.mm.guest.frame(addr >> PAGE_SHIFT)


class KernelGmap:
    """The gmap, and the walk over everything that is mapped."""

    def crst_table_alloc(self: Kernel) -> int | None:
        """Four contiguous pages for a top-level table: the first frame, or None."""
        memory = self.machine.memory
        first = memory.find_run(CRST_PAGES, align=CRST_PAGES)
        if first is not None:
            self.machine.take(first, CRST_PAGES, Content.HOST)
        return first

    def crst_table_free(self: Kernel, first: int) -> None:
        """Give a top-level table back to the allocator."""
        for gmap in self.machine.gmaps:
            gmap.dangling = gmap.dangling or gmap.host_to_guest == first
        self.machine.give_back(first, CRST_PAGES)

    def gmap_create(self: Kernel, mm: Mm, memslots: tuple[Memslot, ...]) -> Gmap | None:
        """A gmap with a new top-level table, known to the Ultravisor by its origin."""
        table = self.crst_table_alloc()
        if table is None:
            return None
        two_levels = mm.guest.pages <= self.machine.segment_table_pages
        gmap = Gmap(
            self.machine.memory,
            mm=mm,
            memslots=memslots,
            table=0,
            asce=ASCE_PRIVATE | (ASCE_TYPE_SEGMENT if two_levels else ASCE_TYPE_REGION3),
            crst_list=[table],
            guest_handle=0,
            host_to_guest=table if two_levels else 0,
            dangling=False,
        )
        self.gmap_set_table(gmap, table)
        self.machine.gmaps.append(gmap)
        return gmap

    def gmap_translate(self: Kernel, gmap: Gmap, gaddr: int) -> int:
        """The process's address of a guest address, or -EFAULT where the guest has no memory (``__gmap_translate``).

        In this model a guest's memory begins at address 0 of the process.
        """
        for slot in gmap.memslots:
            addr = gaddr - (slot.base_gfn << PAGE_SHIFT)
            if 0 <= addr < slot.npages << PAGE_SHIFT:
                return addr + (slot.first << PAGE_SHIFT)
        return -EFAULT

    def guest_address(self: Kernel, gmap: Gmap, addr: int) -> int:
        """The guest address of an address of the process, which lies in one of the slots."""
        slot = next(slot for slot in reversed(gmap.memslots) if slot.first <= addr >> PAGE_SHIFT)
        return addr + (slot.base_gfn - slot.first << PAGE_SHIFT)

    def gmap_set_table(self: Kernel, gmap: Gmap, table: int) -> None:
        """Let the gmap use another top-level table, with the same entries. The host-to-guest map stays as it is."""
        gmap.table = table
        gmap.asce = table << PAGE_SHIFT | gmap.asce & ((1 << PAGE_SHIFT) - 1)
        gmap.dangling = gmap.dangling and gmap.host_to_guest != table
        self.machine.uv.tables[table << PAGE_SHIFT] = (
            GuestTable(self, gmap) if len(gmap.memslots) > 1 else gmap.mm.guest
        )

    def gmap_unlink(self: Kernel, gmap: Gmap) -> None:
        """The host's page tables of a guest go away: clear the guest's entries that point to them.

        The host-to-guest map knows where these entries are: with two levels they are in the top-level table itself.
        """
        if gmap.dangling:
            self.machine.event("use after free", "gmap_unlink writes into a top-level table that has been freed")

    def gmap_remove(self: Kernel, gmap: Gmap) -> None:
        """Free the gmap and every table on its list."""
        for table in gmap.crst_list:
            self.machine.uv.tables.pop(table << PAGE_SHIFT, None)
            self.crst_table_free(table)
        gmap.crst_list = []
        self.machine.gmaps.remove(gmap)

    def s390_reset_acc(self: Kernel, mm: Mm) -> Flow:
        """Destroy every present page of an address space, with ``mmap_lock`` held throughout."""
        if not self.mm_is_protected(mm) or not self.mmget_not_zero(mm):
            return
        engine = self.machine.engine
        engine.doing("destroys pages")
        yield mm.mmap_lock.read()
        for table in mm.tables:
            yield walk(table, 0, table.pages, step(self.s390_reset_acc_pte, mm))
        engine.release(mm.mmap_lock)
        yield from self.mmput(mm)

    def s390_reset_acc_pte(self: Kernel, mm: Mm, page: Page, _addr: int) -> None:
        """Visit one entry of the walk (``__s390_reset_acc``)."""
        self.machine.engine.charge(self.machine.costs.walk)
        if self.pte_present(mm, page) and self.s390_destroy_page(page):
            self.machine.warn_once("s390_reset_acc", "s390_reset_acc: a page could not be destroyed")

    def s390_destroy_page(self: Kernel, page: Page) -> int:
        """How a page found by the walk is destroyed (patch 2 edits this)."""
        return self.uv_destroy_page(page.paddr)

    def pte_present(self: Kernel, mm: Mm, page: Page) -> bool:
        """Whether the entry that points to `page` is present in `mm`."""
        return page.holder == Holder.MAPPED and page.mm == mm.number
