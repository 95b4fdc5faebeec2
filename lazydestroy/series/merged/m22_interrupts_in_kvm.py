"""05066cafa925: s390/mm/fault: Handle guest-related program interrupts in KVM."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...kernel.structs import Kvm
from ...layers import Layer

if TYPE_CHECKING:
    from ...kernel import Kernel


class InterruptsInKvm(Layer):
    """On 0x3D of a guest, destroy the page, as on 0x3F.

    KVM handles the interruptions of its guests itself now; the host's fault handler no longer knows guests. A normal
    guest that touches a page of the old one costs one call, where it took an attempt to pin the page and an export.
    """

    number = 22
    title = "s390/mm/fault: Handle guest-related program interrupts in KVM"
    commit = "05066cafa925"
    release = "6.13"
    files = ("arch/s390/kvm/kvm-s390.c", "arch/s390/mm/fault.c")
    needs = (5,)

    def do_secure_storage_access_gmap(self: Kernel, kvm: Kvm, gaddr: int) -> None:
        """0x3D, guest: one handler for both (``vcpu_post_run_handle_fault``)."""
        self.do_secure_storage_violation(kvm, gaddr)
