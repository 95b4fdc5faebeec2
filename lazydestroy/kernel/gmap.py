"""``arch/s390/mm/gmap.c`` before the series: the guest's top-level table, and making its memory accessible again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._core import step, walk
from ..page import PAGE_SHIFT, Content, Holder, Page
from ..ultravisor import ASCE_PRIVATE
from .structs import Flow, Gmap, Mm

if TYPE_CHECKING:
    from . import Kernel

CRST_ALLOC_ORDER = 2
CRST_PAGES = 1 << CRST_ALLOC_ORDER


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
        self.machine.give_back(first, CRST_PAGES)

    def gmap_create(self: Kernel, mm: Mm) -> Gmap | None:
        """A gmap with a new top-level table, known to the Ultravisor by its origin."""
        table = self.crst_table_alloc()
        if table is None:
            return None
        gmap = Gmap(self.machine.memory, mm=mm, table=0, asce=0, crst_list=[table], guest_handle=0)
        self.gmap_set_table(gmap, table)
        return gmap

    def gmap_set_table(self: Kernel, gmap: Gmap, table: int) -> None:
        """Let the gmap use another top-level table, with the same entries."""
        gmap.table = table
        gmap.asce = table << PAGE_SHIFT | ASCE_PRIVATE
        self.machine.uv.tables[table << PAGE_SHIFT] = gmap.mm.guest

    def gmap_remove(self: Kernel, gmap: Gmap) -> None:
        """Free the gmap and every table on its list."""
        for table in gmap.crst_list:
            self.machine.uv.tables.pop(table << PAGE_SHIFT, None)
            self.crst_table_free(table)
        gmap.crst_list = []

    def s390_reset_acc(self: Kernel, mm: Mm) -> Flow:
        """Destroy every present page of an address space, with ``mmap_lock`` held throughout."""
        if not self.mm_is_protected(mm) or not self.mmget_not_zero(mm):
            return
        engine = self.machine.engine
        engine.doing("destroys pages")
        yield mm.mmap_lock.read()
        for table in (mm.guest, mm.process):
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
