"""Patch 1: leak the ASCE page when destroy fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errnos import ENOMEM
from ..kernel.gmap import CRST_PAGES
from ..kernel.structs import Kvm
from ..layers import Layer

if TYPE_CHECKING:
    from ..kernel import Kernel


class LeakAsce(Layer):
    """Leak the top-level table of a configuration that cannot be destroyed, and give the VM a copy.

    The Ultravisor marks the table at CREATE_SEC_CONF. If DESTROY_SEC_CONF fails, the mark stays for good: the table can
    serve no other configuration, nor be donated. So it must never go back to the allocator.
    """

    number = 1
    title = "leak the ASCE page when destroy fails"
    files = ("arch/s390/kvm/pv.c",)

    def kvm_s390_pv_remove_old_asce(self: Kernel, kvm: Kvm) -> None:
        """Take the table off the gmap's list, so that it is not freed with the gmap."""
        kvm.gmap.crst_list = [table for table in kvm.gmap.crst_list if table != kvm.gmap.table]

    def kvm_s390_pv_replace_asce(self: Kernel, kvm: Kvm) -> int:
        """Give the VM a copy of its top-level table. The old one is on no list afterwards, copy or no copy."""
        self.kvm_s390_pv_remove_old_asce(kvm)
        new = None if self.machine.injected("top-level table") else self.crst_table_alloc()
        if new is None:
            return -ENOMEM
        kvm.gmap.crst_list = [*kvm.gmap.crst_list, new]
        self.gmap_set_table(kvm.gmap, new)
        return 0

    def kvm_s390_pv_leak_vm(self: Kernel, kvm: Kvm) -> None:
        """The table is leaked with the donated storage. Without memory for a copy the VM goes on with the old one."""
        old = kvm.gmap.table
        super().kvm_s390_pv_leak_vm(kvm)
        self.kvm_s390_pv_replace_asce(kvm)
        self.machine.leak(old, CRST_PAGES, "top-level table")
