"""What later designs did about the number of configurations that are set aside: layers to put on top of version 1.

They are about that bound only. In the design that was merged (Linux 6.2), KVM_PV_ASYNC_CLEANUP_PREPARE sets a
configuration aside and refuses if one is set aside already whose clean-up has not begun; then userspace does a normal
KVM_PV_DISABLE. KVM_PV_ASYNC_CLEANUP_PERFORM empties that place before it begins, and QEMU calls it at once, in a
thread of its own. Sources: commit fb491d5500a7, arch/s390/kvm/pv.c and Documentation/virt/kvm/api.rst of Linux;
hw/s390x/pv.c of QEMU.
"""

from __future__ import annotations

from typing import Any, ClassVar

from ..actors import waits_for
from ..kernel.structs import Answer, DeferredPriv, Flow, Kvm, Mm
from ..layers import Layer


class OnePrepared(Layer):
    """As it was merged: at most one configuration of a VM is set aside whose clean-up has not begun.

    ``begins_after``, 0 for QEMU, is how many nanoseconds userspace lets pass before it calls for the clean-up.
    """

    title = "at most one prepared"
    files = ("arch/s390/kvm/pv.c",)
    needs = (8,)
    begins_after: ClassVar[int] = 0

    def __init__(self: Any, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.taken: list[Mm] = []  # a VM is known by its process's address space: the thread knows no VM

    def kvm_s390_pv_deinit_vm_deferred(self: Any, kvm: Kvm) -> Flow:
        """Set aside only if the place is free; else all is done at once."""
        if kvm.mm in self.taken:
            return (yield from self.kvm_s390_pv_deinit_vm_now(kvm))
        return (yield from super().kvm_s390_pv_deinit_vm_deferred(kvm))

    def deferred_destroy(self: Any, kvm: Kvm, priv: DeferredPriv) -> Flow:
        """The place is taken, if it worked."""
        answer: Answer = yield from super().deferred_destroy(kvm, priv)
        if (answer.rc, answer.rrc) == (1, 42):
            self.taken.append(priv.mm)
        return answer

    def kvm_s390_pv_destroy_vm_thread(self: Any, priv: DeferredPriv) -> Flow:
        """The place is free as soon as the clean-up begins."""
        if self.begins_after:
            self.machine.engine.doing(waits_for("userspace"))
            yield self.begins_after
        self.taken.remove(priv.mm)
        yield from super().kvm_s390_pv_destroy_vm_thread(priv)


class OneAtATime(OnePrepared):
    """Stricter than what was merged: the place is free only when the clean-up has ended."""

    title = "at most one set aside"

    def kvm_s390_pv_destroy_vm_thread(self: Any, priv: DeferredPriv) -> Flow:
        """The place is taken until all is done."""
        self.taken.append(priv.mm)
        yield from super().kvm_s390_pv_destroy_vm_thread(priv)
        self.taken.remove(priv.mm)
