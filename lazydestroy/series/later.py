"""What later designs did about the number of configurations that are set aside: layers to put on top of version 1.

They are about that bound only. In the design that was merged (Linux 6.2), KVM_PV_ASYNC_CLEANUP_PREPARE sets a
configuration aside and refuses if one is set aside already whose clean-up has not begun; then userspace does a normal
KVM_PV_DISABLE. KVM_PV_ASYNC_CLEANUP_PERFORM empties that place before it begins, and QEMU calls it at once, in a
thread of its own. Sources: commit fb491d5500a7, arch/s390/kvm/pv.c and Documentation/virt/kvm/api.rst of Linux;
hw/s390x/pv.c of QEMU.
"""

from __future__ import annotations

from typing import Any

from ..kernel.structs import Answer, DeferredPriv, Flow, Kvm
from .layer import Layer


class OnePrepared(Layer):
    """As it was merged: at most one configuration is set aside whose clean-up has not begun."""

    title = "at most one prepared"
    files = ("arch/s390/kvm/pv.c",)
    needs = (8,)

    def __init__(self: Any, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.prepared = 0

    def kvm_s390_pv_deinit_vm_deferred(self: Any, kvm: Kvm) -> Flow:
        """Set aside only if the place is free; else all is done at once."""
        if self.prepared:
            return (yield from self.kvm_s390_pv_deinit_vm_now(kvm))
        return (yield from super().kvm_s390_pv_deinit_vm_deferred(kvm))

    def deferred_destroy(self: Any, kvm: Kvm, priv: DeferredPriv) -> Flow:
        """The place is taken, if it worked."""
        answer: Answer = yield from super().deferred_destroy(kvm, priv)
        if (answer.rc, answer.rrc) == (1, 42):
            self.prepared += 1
        return answer

    def kvm_s390_pv_destroy_vm_thread(self: Any, priv: DeferredPriv) -> Flow:
        """The place is free as soon as the clean-up begins."""
        self.prepared -= 1
        yield from super().kvm_s390_pv_destroy_vm_thread(priv)


class OneAtATime(OnePrepared):
    """Stricter than what was merged: the place is free only when the clean-up has ended."""

    title = "at most one set aside"

    def kvm_s390_pv_destroy_vm_thread(self: Any, priv: DeferredPriv) -> Flow:
        """The place is taken until all is done."""
        self.prepared += 1
        yield from super().kvm_s390_pv_destroy_vm_thread(priv)
        self.prepared -= 1
