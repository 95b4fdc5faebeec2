"""``arch/s390/mm/fault.c`` before the series: what the kernel does when an access raises an interruption.

Each handler is one step: between the interruption and the handler other CPUs act, and afterwards the access is tried
again. A handler that can do nothing about the cause is entered again and again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errnos import EINVAL
from ..page import Page
from .structs import Kvm

if TYPE_CHECKING:
    from . import Kernel


class KernelFault:
    """The three program-interruption handlers."""

    def do_secure_storage_access(self: Kernel, page: Page, kernel_mode: bool = False) -> None:
        """0x3D, host: somebody on the host touched a secure page. Make it accessible."""
        if self.arch_make_page_accessible(page):
            if kernel_mode:
                self.machine.bug("0x3D in the kernel, and the page cannot be made accessible")
            else:
                self.machine.signal("SIGSEGV", "0x3D, and the page cannot be made accessible")

    def do_secure_storage_access_gmap(self: Kernel, kvm: Kvm, gaddr: int) -> None:
        """0x3D, guest: not expected. SIE returns -EFAULT, and KVM injects an addressing exception into the guest."""
        self.machine.warn_once("do_secure_storage_access", "0x3D of a guest is not handled")
        self.machine.addressing_exception(kvm, gaddr)

    def do_non_secure_storage_access(self: Kernel, kvm: Kvm, gaddr: int) -> None:
        """0x3E: the protected guest touched a page that is not secure. Import it."""
        self.machine.engine.read_lock(kvm.mm.mmap_lock)
        if self.gmap_convert_to_secure(kvm.gmap, gaddr) == -EINVAL:
            self.machine.signal("SIGSEGV", f"0x3E at {gaddr:#x}, and the import is refused", kvm)

    def do_secure_storage_violation(self: Kernel, kvm: Kvm, gaddr: int) -> None:
        """0x3F: the guest touched a page of another configuration. A message, and a signal to its process.

        The message is printed each time, up to a rate limit: ten within five seconds, which the model does not reach.
        """
        self.machine.warn("secure storage violation")
        self.machine.signal("SIGSEGV", f"0x3F at {gaddr:#x}: the page belongs to another configuration", kvm)
