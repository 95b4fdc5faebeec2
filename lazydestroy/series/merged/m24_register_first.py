"""185d903064f8: Fix incorrect usage of mmu_notifier_register()."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...kernel.structs import Flow, Kvm
from ...layers import Layer

if TYPE_CHECKING:
    from ...kernel import Kernel


class RegisterFirst(Layer):
    """Register the notifier before anything else, and look whether that worked.

    A signal can prevent it. Unchecked, the VM ran without a notifier, and when it ended dropped a reference to the mm
    that it had never taken. Now KVM_PV_ENABLE answers -EINTR, and userspace asks again.
    """

    number = 24
    title = "Fix incorrect usage of mmu_notifier_register()"
    commit = "185d903064f8"
    release = "6.17"
    files = ("arch/s390/kvm/pv.c",)
    needs = (11,)

    def kvm_s390_pv_init_vm(self: Kernel, kvm: Kvm) -> Flow:
        """Registered once, as before; if it fails, it is as if nothing had been tried."""
        if not kvm.pv.mmu_notifier:
            rc = self.mmu_notifier_register(kvm, kvm.mm)
            if rc:
                return rc
            kvm.pv.mmu_notifier = True
        return (yield from super().kvm_s390_pv_init_vm(kvm))
