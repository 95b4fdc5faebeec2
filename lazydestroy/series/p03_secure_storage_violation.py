"""Patch 3: handle secure storage violations for protected guests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..kernel.structs import Gmap, Kvm
from ..layers import Layer

if TYPE_CHECKING:
    from ..kernel import Kernel


class SecureStorageViolation(Layer):
    """On 0x3F, clear the page so that it can be used again.

    After a lazy reboot the new protected guest touches pages that still belong to the old one. Before, that killed the
    guest's process. The access is tried again afterwards; it then raises 0x3E, and the page is imported.
    """

    number = 3
    title = "handle secure storage violations for protected guests"
    files = ("arch/s390/include/asm/uv.h", "arch/s390/kernel/uv.c", "arch/s390/mm/fault.c")
    needs = (2,)

    def gmap_destroy_page(self: Kernel, gmap: Gmap, gaddr: int) -> int:
        """Destroy the page at a guest address, or export it.

        Another CPU may have destroyed *and imported* it in the meantime. Then it belongs to a guest with CPUs,
        destroying it fails, and exporting it does no harm.
        """
        page = self.gmap_page(gmap, gaddr)
        if page is None:
            return 0
        self.get_page(page)
        rc = self.uv_destroy_owned_page(page)
        if rc:
            rc = self.uv_convert_owned_from_secure(page)
        self.put_page(page)
        return rc

    def do_secure_storage_violation(self: Kernel, kvm: Kvm, gaddr: int) -> None:
        """0x3F: the page may belong to a configuration that has been set aside. If it cannot be cleared: as before."""
        self.machine.engine.read_lock(kvm.mm.mmap_lock)
        if self.gmap_destroy_page(kvm.gmap, gaddr):
            super().do_secure_storage_violation(kvm, gaddr)
