"""faa2f72cb356: leak the topmost page table when destroy fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errnos import ENOMEM
from ...kernel.gmap import CRST_PAGES
from ...kernel.structs import Gmap, Kvm
from ...layers import Layer
from ...page import PAGE_SHIFT

if TYPE_CHECKING:
    from ...kernel import Kernel


class LeakTopmostTable(Layer):
    """Leak the top-level table of a configuration that cannot be destroyed, and give the VM a copy.

    It does what patch 1 of version 1 does. What differs is where: both functions are the gmap's now, in gmap.c, under
    the lock of its list of tables (version 3), and the copy is listed only when it is filled (version 7). In this
    model neither shows, as no other task acts in between.
    """

    number = 4
    title = "leak the topmost page table when destroy fails"
    commit = "faa2f72cb356"
    release = "6.0"
    files = ("arch/s390/include/asm/gmap.h", "arch/s390/kvm/pv.c", "arch/s390/mm/gmap.c")

    def s390_unlist_old_asce(self: Kernel, gmap: Gmap) -> None:
        """Take the table off the gmap's list, so that it is not freed with the gmap."""
        gmap.crst_list = [table for table in gmap.crst_list if table != gmap.table]

    def s390_replace_asce(self: Kernel, gmap: Gmap) -> int:
        """Give the guest a copy of its top-level table: 0 or -ENOMEM. The old one is on no list, copy or no copy."""
        self.s390_unlist_old_asce(gmap)
        new = None if self.machine.injected("top-level table") else self.crst_table_alloc()
        if new is None:
            return -ENOMEM
        gmap.crst_list = [*gmap.crst_list, new]
        self.gmap_set_table(gmap, new)
        return 0

    def kvm_s390_pv_leak_vm(self: Kernel, kvm: Kvm) -> None:
        """The table is leaked with the donated storage. Without memory for a copy the VM goes on with the old one."""
        old = kvm.gmap.table
        super().kvm_s390_pv_leak_vm(kvm)
        self.s390_replace_asce(kvm.gmap)
        if old not in kvm.gmap.crst_list:
            self.machine.leak(old, CRST_PAGES, "top-level table")

    def gmap_remove(self: Kernel, gmap: Gmap) -> None:
        """A table that is on no list is not freed with the others. Nothing else knows it any more: it is lost."""
        lost = gmap.table not in gmap.crst_list
        super().gmap_remove(gmap)
        if lost:
            self.machine.uv.tables.pop(gmap.table << PAGE_SHIFT, None)
            self.machine.leak(gmap.table, CRST_PAGES, "top-level table, on no list")
