"""Patch 4: handle secure storage exceptions for normal guests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errnos import EFAULT
from ..kernel.structs import Kvm
from ..layers import Layer

if TYPE_CHECKING:
    from ..kernel import Kernel


class SecureStorageException(Layer):
    """On 0x3D of a guest, make the page accessible, as for userspace.

    After a reboot the guest first runs unprotected, its boot loader for a start, and touches pages that are still
    secure. Before, it got an addressing exception, and the host logged a warning.

    Version 1 had two flaws here, which this model cannot show since the guest's memory is always mapped in its gmap. It
    translated the address without ``mmap_lock`` (fixed in version 7). And if that failed it only tried again, hoping
    for another exception (an error since version 3).
    """

    number = 4
    title = "handle secure storage exceptions for normal guests"
    files = ("arch/s390/mm/fault.c",)

    def do_secure_storage_access_gmap(self: Kernel, kvm: Kvm, gaddr: int) -> None:
        """0x3D, guest: translate the address, then go on as for the host."""
        if self.gmap_translate(kvm.gmap, gaddr) == -EFAULT:
            return
        self.machine.engine.read_lock(kvm.mm.mmap_lock)
        page = self.gmap_page(kvm.gmap, gaddr)
        if page is not None:
            self.do_secure_storage_access(page)
