"""Patch 5: refactor s390_reset_acc."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._core import step, walk
from ..kernel.structs import Flow, Kvm, Mm
from ..layers import Layer
from ..page import Page

if TYPE_CHECKING:
    from ..kernel import Kernel


class RefactorResetAcc(Layer):
    """Collect a few pages while the locks are held, destroy them after the locks are dropped.

    Before, ``mmap_lock`` was held while the whole memory was destroyed. Now at most 32 present pages
    (``DESTROY_LOOP_THRESHOLD``) are collected at a time, with a reference on each: an import of one of them fails for
    that long with -EBUSY, and is tried again.
    """

    number = 5
    title = "refactor s390_reset_acc"
    files = ("arch/s390/include/asm/gmap.h", "arch/s390/kvm/pv.c", "arch/s390/mm/gmap.c")
    needs = (2,)

    def s390_gather_pages(self: Kernel, mm: Mm, page: Page, _addr: int) -> None:
        """Walk one entry; take a reference if it is present."""
        self.machine.engine.charge(self.machine.costs.walk)
        if self.pte_present(mm, page):
            self.get_page(page)
            self.machine.engine.gather(page)

    def s390_uv_destroy_pfn(self: Kernel, page: Page) -> None:
        """Destroy one collected page and drop the reference, whether that worked or not.

        ``s390_uv_destroy_pfns`` has the loop; it may be rescheduled after each.
        """
        self.uv_destroy_owned_page(page)
        self.put_page(page)

    def s390_uv_destroy_range(self: Kernel, mm: Mm, users: int, pages: int | None = None) -> Flow:
        """Destroy what is present of an address space. Before each batch: stop if ``mm_users`` is not above `users`.

        `pages` limits the range to the guest's first pages; None is everything, the process's own memory too.
        """
        yield walk(
            mm.guest,
            0,
            mm.guest.pages if pages is None else min(pages, mm.guest.pages),
            step(self.s390_gather_pages, mm),
            each=step(self.s390_uv_destroy_pfn),
            batch=self.machine.destroy_loop_threshold,
            lock=mm.mmap_lock,
            stop=lambda: mm.mm_users <= users,
            beyond=mm.tables[1:] if pages is None else (),
        )

    def kvm_s390_pv_destroy_memory(self: Kernel, kvm: Kvm) -> Flow:
        """The mm may be gone: then there is nothing to walk."""
        if self.mmget_not_zero(kvm.mm):
            self.machine.engine.doing("destroys pages")
            yield from self.s390_uv_destroy_range(kvm.mm, 0)
            yield from self.mmput(kvm.mm)
