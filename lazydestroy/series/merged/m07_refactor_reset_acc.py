"""6f73517d0a99: refactor s390_reset_acc."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._core import step, walk
from ...errnos import EINTR
from ...kernel.structs import Flow, Kvm, Mm
from ...layers import Layer
from ...page import Page

if TYPE_CHECKING:
    from ...kernel import Kernel


class MergedRefactorResetAcc(Layer):
    """Collect a few pages while the locks are held, destroy them after the locks are dropped.

    As patch 5 of version 1 does, up to 32 at a time. But the walk no longer looks at ``mm_users``: it goes on to the
    end of the range, or, if it is interruptible, until its task is told to die.
    """

    number = 7
    title = "refactor s390_reset_acc"
    commit = "6f73517d0a99"
    release = "6.0"
    files = ("arch/s390/include/asm/gmap.h", "arch/s390/kvm/pv.c", "arch/s390/mm/gmap.c")
    needs = (3,)

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

    def _s390_uv_destroy_range(self: Kernel, mm: Mm, first: int, pages: int | None, interruptible: bool) -> Flow:
        """Destroy what is present of a range (``__s390_uv_destroy_range``): 0, or -EINTR if a fatal signal is pending.

        The range is the guest's pages from `first` on; `pages` None is everything, the process's own memory too. The
        look for a signal comes after each batch, the last one included.
        """
        task = self.machine.engine.current

        def killed() -> bool:
            return interruptible and self.machine.fatal_signal_pending(task)

        yield walk(
            mm.guest,
            first,
            mm.guest.pages - first if pages is None else pages,
            step(self.s390_gather_pages, mm),
            each=step(self.s390_uv_destroy_pfn),
            batch=self.machine.destroy_loop_threshold,
            lock=mm.mmap_lock,
            stop=killed,
            after=True,
            beyond=mm.tables[1:] if pages is None else (),
        )
        return -EINTR if killed() else 0

    def s390_uv_destroy_range(self: Kernel, mm: Mm, first: int = 0, pages: int | None = None) -> Flow:
        """The walk that no signal ends."""
        return (yield from self._s390_uv_destroy_range(mm, first, pages, interruptible=False))

    def s390_uv_destroy_range_interruptible(self: Kernel, mm: Mm, first: int = 0, pages: int | None = None) -> Flow:
        """The walk that a fatal signal ends."""
        return (yield from self._s390_uv_destroy_range(mm, first, pages, interruptible=True))

    def kvm_s390_pv_destroy_memory(self: Kernel, kvm: Kvm) -> Flow:
        """The mm may be gone: then there is nothing to walk."""
        if self.mmget_not_zero(kvm.mm):
            self.machine.engine.doing("destroys pages")
            yield from self.s390_uv_destroy_range(kvm.mm)
            yield from self.mmput(kvm.mm)
