"""Patch 9: extend lazy destroy to handle shutdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._core import empty_list, step
from ..kernel.structs import DeferredPriv, Flow, Kvm, Mm
from ..layers import Layer
from ..page import Page

if TYPE_CHECKING:
    from ..kernel import Kernel


class LazyDestroyForShutdown(Layer):
    """When the address space is removed, set pages aside instead of exporting them; a thread destroys them later.

    The list is made of pages, each holding up to 509 frame numbers (``PV_MAX_LAZY_COUNT``). When a list page is needed,
    the page at hand is exported as before and one allocation is tried; if that fails, nothing is set aside this time.
    """

    number = 9
    title = "extend lazy destroy to handle shutdown"
    files = (
        "arch/s390/include/asm/mmu.h",
        "arch/s390/include/asm/mmu_context.h",
        "arch/s390/include/asm/pgtable.h",
        "arch/s390/include/asm/uv.h",
        "arch/s390/kernel/uv.c",
        "arch/s390/kvm/pv.c",
    )
    needs = (2, 8)

    def ptep_get_and_clear_full(self: Kernel, mm: Mm, page: Page, full: bool) -> None:
        """Clear one present entry; set the page aside if the whole address space is going away."""
        if full and self.mm_is_protected(mm) and not mm.context.pv_sync_destroy:
            self.uv_destroy_page_lazy(mm, page)
        else:
            super().ptep_get_and_clear_full(mm, page, full)

    def uv_destroy_page_lazy(self: Kernel, mm: Mm, page: Page) -> None:
        """Put a page on the list, secure or not, with a reference of its own."""
        deferred_list = mm.context.deferred_list
        self.get_page(page)
        if deferred_list.room:
            self.machine.engine.charge(self.machine.costs.set_aside)
            deferred_list.append(page)
            return
        if self.uv_convert_owned_from_secure(page):
            # its next owner could not use it: an intentional leak
            self.machine.leak_page(page, "a page that cannot be exported")
            return
        self.put_page(page)
        list_page = self.alloc_list_page()
        if list_page is not None:
            deferred_list.add_list_page(list_page)

    def hold_mm_structure(self: Kernel, priv: DeferredPriv) -> None:
        """The head of the list lives in the structure: it must outlive the address space."""
        self.mmgrab(priv.mm)

    def deinit_without_mm(self: Kernel, kvm: Kvm, priv: DeferredPriv) -> Flow:
        """The address space is gone: if pages were set aside, a thread empties the list."""
        if kvm.mm.context.deferred_list.list_pages:
            return (yield from self.deferred_destroy(kvm, priv))
        self.mmdrop(kvm.mm)
        return (yield from super().deinit_without_mm(kvm, priv))

    def detach_old_asce(self: Kernel, kvm: Kvm, priv: DeferredPriv) -> int:
        """Without an address space nobody needs a copy of the table: it is only taken off the list."""
        if priv.has_mm:
            return super().detach_old_asce(kvm, priv)
        self.kvm_s390_pv_remove_old_asce(kvm)
        return 0

    def destroy_memory_of(self: Kernel, priv: DeferredPriv) -> Flow:
        """Empty the list; walk the address space if there is one."""
        if priv.mm.context.deferred_list.list_pages:
            yield from self.empty_deferred_list(priv.mm)
        if priv.has_mm:
            yield from super().destroy_memory_of(priv)
        self.mmdrop(priv.mm)

    def put_mm_of(self: Kernel, priv: DeferredPriv) -> Flow:
        """The last user removes the address space, and then must not set pages aside again."""
        mm = priv.mm
        if mm.mm_users == 1:
            yield mm.mmap_lock.write()
            mm.context.pv_sync_destroy = 1
            self.machine.engine.release(mm.mmap_lock)
        yield  # between the look and the put others may act
        yield from super().put_mm_of(priv)

    def empty_deferred_list(self: Kernel, mm: Mm) -> Flow:
        """List page by list page, the newest first, destroying and freeing each page as it goes.

        Patch 5's function does not look at whether a destroy worked, and it drops the last reference here: a page that
        the Ultravisor refuses to destroy is free afterwards, and still secure. That is a bug of version 1.
        """
        self.machine.engine.doing("destroys set-aside pages")
        yield empty_list(mm.context.deferred_list, step(self.s390_uv_destroy_pfn), step(self.put_page))
