"""8c516b25d6e9: add KVM_CAP_S390_PROTECTED_ASYNC_DISABLE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...kernel.kvm import KVM_CAP_S390_PROTECTED_ASYNC_DISABLE
from ...layers import Layer

if TYPE_CHECKING:
    from ...kernel import Kernel


class Capability(Layer):
    """Tell userspace that the two commands are there, so that it need not try."""

    number = 15
    title = "add KVM_CAP_S390_PROTECTED_ASYNC_DISABLE"
    commit = "8c516b25d6e9"
    release = "6.2"
    files = ("arch/s390/kvm/kvm-s390.c", "include/uapi/linux/kvm.h")
    needs = (14,)

    def kvm_vm_ioctl_check_extension(self: Kernel, ext: int) -> int:
        """1 where there is an Ultravisor, and unless the module parameter turns it off."""
        if ext == KVM_CAP_S390_PROTECTED_ASYNC_DISABLE:
            return int(self.asynchronous_destroy_is_on())
        return super().kvm_vm_ioctl_check_extension(ext)
