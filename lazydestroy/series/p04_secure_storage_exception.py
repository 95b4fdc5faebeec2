"""Patch 4: handle secure storage exceptions for normal guests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..kernel.structs import Kvm
from .layer import Layer

if TYPE_CHECKING:
    from ..kernel import Kernel


class SecureStorageException(Layer):
    """On 0x3D of a guest, make the page accessible, as for userspace.

    After a reboot the guest first runs unprotected, its boot loader for a start, and touches pages that are still
    secure. Before, it got an addressing exception, and the host logged a warning.
    """

    number = 4
    title = "handle secure storage exceptions for normal guests"
    files = ("arch/s390/mm/fault.c",)

    def do_secure_storage_access_gmap(self: Kernel, kvm: Kvm, gaddr: int) -> None:
        """0x3D, guest: translate the address, then go on as for the host."""
        self.machine.engine.read_lock(kvm.mm.mmap_lock)
        page = self.gmap_page(kvm.gmap, gaddr)
        if page is not None:
            self.do_secure_storage_access(page)
