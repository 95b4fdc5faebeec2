"""Memory management that the series relies on: reference counts, page faults, swap, removal of an address space."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._core import Table, step, walk
from ..page import PAGE_SHIFT, Content, Holder, Page, Record, State
from ..ultravisor import Interruption
from .structs import Flow, Mm

if TYPE_CHECKING:
    from . import Kernel

SWAP_CLUSTER_MAX = 32
"""How many pages are reclaimed at a time."""


class KernelMm:
    """Pages, page-table entries, address spaces."""

    # Pages

    def get_page(self: Kernel, page: Page) -> None:
        """Take a reference."""
        page.refs += 1

    def put_page(self: Kernel, page: Page) -> None:
        """Drop a reference; the last one frees the page, and the allocator clears ``PG_arch_1``."""
        refs = page.refs - 1
        if refs:
            page.refs = refs
            return
        self.machine.engine.charge(self.machine.costs.free)
        page.update(refs=0, arch_1=False, holder=Holder.FREE, mm=0, charged=False, measured=0)

    # Address spaces

    def mmget(self: Kernel, mm: Mm) -> None:
        """One user more."""
        mm.mm_users += 1

    def mmget_not_zero(self: Kernel, mm: Mm) -> bool:
        """One user more, if there is one."""
        if mm.mm_users == 0:
            return False
        mm.mm_users += 1
        return True

    def mmput(self: Kernel, mm: Mm) -> Flow:
        """One user less; the last one removes the address space."""
        mm.mm_users -= 1
        if mm.mm_users == 0:
            yield from self.exit_mmap(mm)
            self.mmdrop(mm)

    def mmgrab(self: Kernel, mm: Mm) -> None:
        """One reference to the structure more."""
        mm.mm_count += 1

    def mmdrop(self: Kernel, mm: Mm) -> None:
        """One reference to the structure less; the last one frees it."""
        mm.mm_count -= 1
        if mm.mm_count == 0:
            mm.freed = True
        elif mm.mm_count < 0:
            self.machine.event("use after free", "mm_count of a freed mm falls below 0")

    def exit_mmap(self: Kernel, mm: Mm) -> Flow:
        """Remove every entry of an address space that has no users any more."""
        yield from self.mmu_notifier_release(mm)
        self.machine.engine.doing("removes the address space")
        for table in mm.tables:
            yield walk(table, 0, table.pages, step(self.zap_pte, mm), deferred=mm.context.deferred_list)
        mm.swap.clear()
        for gmap in self.machine.gmaps:
            if gmap.mm is mm:
                self.gmap_unlink(gmap)

    def mmu_notifier_release(self: Kernel, mm: Mm) -> Flow:
        """Tell whoever asked for it that an address space ends; nobody does before Linux 6.0."""
        return
        yield

    def madvise_dontneed(self: Kernel, mm: Mm, page: Page) -> None:
        """Remove one entry at userspace's request; the address space stays."""
        self.zap_pte(mm, page, full=False)

    def zap_pte(self: Kernel, mm: Mm, page: Page, _addr: int = 0, full: bool = True) -> None:
        """Remove one entry for good, and drop its reference to the page. `full`: the whole address space is going."""
        if not self.pte_present(mm, page):
            return
        self.machine.engine.charge(self.machine.costs.unmap)
        self.ptep_get_and_clear_full(mm, page, full)
        if page.refs > 1 and page.holder == Holder.MAPPED:
            # not mapped any more, and not free: somebody holds on to it
            page.update(holder=Holder.SET_ASIDE, measured=0)
        self.put_page(page)

    def ptep_get_and_clear_full(self: Kernel, mm: Mm, page: Page, full: bool) -> None:
        """Clear one present entry. `full`: the whole address space is going away (patch 9 cares)."""
        self.ptep_clear(mm, page)

    def ptep_clear(self: Kernel, mm: Mm, page: Page) -> None:
        """Clear one present entry: what it mapped must be accessible to whoever gets the page next."""
        if self.mm_is_protected(mm):
            self.uv_convert_page_from_secure(page)

    def uv_convert_page_from_secure(self: Kernel, page: Page) -> int:
        """Export a page whose entry goes away (patch 2 edits this)."""
        return self.uv_convert_from_secure(page.paddr)

    # Page faults and swap

    def handle_mm_fault(self: Kernel, mm: Mm, table: Table, addr: int) -> None:
        """Give an address a page: a new one full of zeros, or the swapped one back."""
        machine = self.machine
        entry = addr >> PAGE_SHIFT
        if self.waits_for_memory and (asked := self.wait_of_task(entry)) is not None:
            # this fault has been here before
            if not self.memory_was_freed(asked, entry, mm):
                return
        else:
            machine.engine.charge(machine.costs.fault)
        if mm.swap:
            machine.memory.context_changed()
        swapped = mm.swap.pop(entry, None) if table is mm.guest else None
        pfn = machine.memory.allocate(prefer=table.slot(entry))
        if pfn is None and self.try_to_free_pages(mm):
            pfn = machine.memory.allocate(prefer=table.slot(entry))
        if pfn is None:
            if swapped is not None:
                mm.swap[entry] = swapped
            self.memory_was_freed(self.out_of_memory(), entry, mm)
            return
        page = machine.memory.page(pfn)
        if page.state != State.NON_SECURE:
            # the kernel itself clears a new page, and that access is interrupted
            machine.raised(Interruption.SECURE_STORAGE_ACCESS)
            machine.endless_fault(page)
            return
        table.point(entry, pfn)
        content = swapped or Record()
        page.update(
            content=content.content,
            content_of=content.content_of,
            measured=content.measured,
            arch_1=False,
            refs=1,
            holder=Holder.MAPPED,
            mm=mm.number,
            charged=True,
        )

    def swap_out(self: Kernel, mm: Mm, gaddr: int) -> bool:
        """Write a page of the guest to swap and free it. False if it cannot be: not present, or not accessible.

        The entry goes first, and with it the page is exported if the mm is protected; the write to swap, like any I/O,
        then asks for an accessible page.
        """
        page = self.machine.memory.page(mm.guest.slot(gaddr >> PAGE_SHIFT))
        if not self.pte_present(mm, page) or page.refs > 1:
            return False
        self.machine.engine.charge(self.machine.costs.unmap)
        self.ptep_clear(mm, page)
        if self.arch_make_page_accessible(page):
            return False
        self.machine.memory.context_changed()
        mm.swap[gaddr >> PAGE_SHIFT] = page.record
        self.put_page(page)
        return True

    def try_to_free_pages(self: Kernel, mm: Mm) -> int:
        """Reclaim: write up to 32 pages of a guest to swap, and go on there next time (mm/vmscan.c).

        Only what is mapped can be found: a page that was set aside is in no address space. Returns how many were freed.
        """
        machine = self.machine
        freed = 0
        for _ in range(mm.guest.pages if machine.may_swap(mm) else 0):
            machine.swap_hand = (machine.swap_hand + 1) % mm.guest.pages
            if self.swap_out(mm, machine.swap_hand << PAGE_SHIFT):
                machine.swapped += 1
                freed += 1
                if freed == SWAP_CLUSTER_MAX or not machine.may_swap(mm):
                    break
        return freed

    def out_of_memory(self: Kernel) -> Flow:
        """Nothing is free and nothing can be reclaimed (mm/oom_kill.c): ask who registered a notifier.

        Returns the number of pages that these say were freed meanwhile; with 0, somebody is to be killed. Nobody has
        registered one in the kernel before the series, nor in version 1.
        """
        return 0
        yield

    def memory_was_freed(self: Kernel, asked: Flow, entry: int, mm: Mm) -> bool:
        """Let a page fault ask who has registered a notifier; one that must wait is tried again afterwards.

        Returns whether memory was freed: then the fault goes on. If none was, the process is killed.
        """
        machine = self.machine
        machine.memory.context_changed()
        try:
            ns = next(asked)
        except StopIteration as answer:
            if answer.value <= 0:
                machine.out_of_memory(mm)
            return answer.value > 0
        task = machine.engine.current
        assert task is not None, "a page fault that may wait is a task's"
        self.waits_for_memory[task] = entry, asked
        machine.engine.charge(ns)
        machine.oom_wait_ns += ns
        return False

    def wait_of_task(self: Kernel, entry: int) -> Flow | None:
        """What the task that acts was waiting for, on behalf of a fault at this entry. It waits no longer."""
        self.machine.memory.context_changed()
        task = self.machine.engine.current
        self.waits_for_memory = {task: wait for task, wait in self.waits_for_memory.items() if task.alive}
        before, asked = self.waits_for_memory.pop(task, (entry, None)) if task is not None else (entry, None)
        return asked if before == entry else None

    # Memory for the kernel itself

    def alloc_list_page(self: Kernel) -> Page | None:
        """One page, atomically (GFP_ATOMIC | __GFP_NOMEMALLOC | __GFP_NOWARN): no waiting, no warning.

        GFP_ATOMIC brings __GFP_HIGH, which may use half of the minimum watermark, and __GFP_NOMEMALLOC keeps it from
        using more. The author's words are "not the reserves" (20210518181305.2a9d19f3@ibm-vm).
        """
        if self.machine.injected("list page"):
            return None
        page = self.machine.engine.allocate_list_page(
            content=Content.HOST, content_of=0, refs=1, holder=Holder.SET_ASIDE, arch_1=False
        )
        if page is not None and page.state != State.NON_SECURE:
            self.machine.endless_fault(page)
        return page
