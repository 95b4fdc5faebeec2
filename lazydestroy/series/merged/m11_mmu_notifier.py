"""ca2fd0609b5d: add mmu_notifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errnos import EINTR, EIO
from ...kernel.structs import Answer, Flow, Kvm, Mm
from ...layers import Layer
from ...uvcb import UVC

if TYPE_CHECKING:
    from ...kernel import Kernel


class MmuNotifier(Layer):
    """End the CPUs of a protected VM as soon as its address space ends.

    A process that dies drops its memory before its files, and a VM *is* an open file. So its CPUs were still there when
    its pages went, and a page whose configuration has CPUs cannot be destroyed. The notifier is registered once for a
    VM, when its first configuration is there, and unregistered with the VM.
    """

    number = 11
    title = "add mmu_notifier"
    commit = "ca2fd0609b5d"
    release = "6.0"
    files = (
        "arch/s390/include/asm/kvm_host.h",
        "arch/s390/kvm/Kconfig",
        "arch/s390/kvm/kvm-s390.c",
        "arch/s390/kvm/pv.c",
    )

    def kvm_s390_pv_init_vm(self: Kernel, kvm: Kvm) -> Flow:
        """Whether registering worked is not looked at: a signal can prevent it."""
        rc = yield from super().kvm_s390_pv_init_vm(kvm)
        if not rc and not kvm.pv.mmu_notifier:
            kvm.pv.mmu_notifier = True
            self.mmu_notifier_register(kvm, kvm.mm)
        return rc

    def kvm_s390_cpus_from_pv(self: Kernel, kvm: Kvm) -> Flow:
        """Destroy the secure CPU of every vCPU, even if one of them fails. Returns the first failure as an `Answer`.

        The commit before (be48d86f77f0) lets the notifier call this. Other tasks may act after each call.
        """
        answer = Answer()
        for vcpu in kvm.vcpus:
            if vcpu.handle:
                called = yield from self.uv_cmd_nodata_sched(vcpu.handle, UVC.DESTROY_SEC_CPU)
                failed, rc, rrc = self.cpu_ended(vcpu, *called)
                if failed and not answer.r:
                    answer = Answer(-EIO, rc, rrc)
        return answer

    def kvm_s390_pv_mmu_notifier_release(self: Kernel, kvm: Kvm) -> Flow:
        """The address space ends: end the CPUs. It takes no lock, as nobody else uses the address space any more."""
        self.machine.engine.doing("destroys vCPUs")
        return (yield from self.kvm_s390_cpus_from_pv(kvm))

    def kvm_s390_pv_end_with_vm(self: Kernel, kvm: Kvm) -> Flow:
        """Unregister the notifier, if the kernel has ever tried to register it."""
        yield from super().kvm_s390_pv_end_with_vm(kvm)
        if kvm.pv.mmu_notifier:
            yield from self.mmu_notifier_unregister(kvm, kvm.mm)

    # mm/mmu_notifier.c, which the kernel had before

    def mmu_notifier_register(self: Kernel, kvm: Kvm, mm: Mm) -> int:
        """Have a VM's notifier called when the address space ends. Returns 0, or -EINTR: a signal came in between.

        It takes all locks of the address space, and that can be interrupted.
        """
        if self.machine.injected("notifier"):
            return -EINTR
        mm.notifier_subscriptions = (kvm, *mm.notifier_subscriptions)
        self.mmgrab(mm)
        return 0

    def mmu_notifier_unregister(self: Kernel, kvm: Kvm, mm: Mm) -> Flow:
        """No longer call it. While the address space is alive, call it a last time.

        The reference is dropped in any case: who calls this has registered the notifier.
        """
        if kvm in mm.notifier_subscriptions:
            mm.notifier_subscriptions = tuple(other for other in mm.notifier_subscriptions if other is not kvm)
            yield from self.kvm_s390_pv_mmu_notifier_release(kvm)
        self.mmdrop(mm)

    def mmu_notifier_release(self: Kernel, mm: Mm) -> Flow:
        """The address space ends: call each notifier, once. Its reference to the mm stays until it is unregistered."""
        while mm.notifier_subscriptions:
            kvm, *others = mm.notifier_subscriptions
            yield from self.kvm_s390_pv_mmu_notifier_release(kvm)
            mm.notifier_subscriptions = tuple(others)
