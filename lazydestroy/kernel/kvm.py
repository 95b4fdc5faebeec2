"""``arch/s390/kvm/kvm-s390.c`` before the series: the ioctls of a protected VM, its end, and a guest's accesses.

The ioctl ``KVM_S390_PV_COMMAND`` takes a command: here each is a function of its own (``kvm_pv_enable`` and so on). All
of them run under ``kvm->lock`` from beginning to end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._core import Step, step
from ..errnos import EINVAL, EIO
from ..page import Content, Page, State
from ..ultravisor import Interruption
from .structs import Answer, Flow, Kvm, Vcpu

if TYPE_CHECKING:
    from . import Kernel

KVM_CAP_S390_PROTECTED = 180
KVM_CAP_S390_PROTECTED_ASYNC_DISABLE = 224
"""Capabilities that userspace may ask for (``include/uapi/linux/kvm.h``); the second one came with Linux 6.2."""


class KernelKvm:
    """What userspace and the hardware ask of KVM."""

    def kvm_s390_cpus_to_pv(self: Kernel, kvm: Kvm) -> Flow:
        """Create a secure CPU for every vCPU; none is left if one fails."""
        for vcpu in kvm.vcpus:
            rc = self.kvm_s390_pv_create_cpu(vcpu)
            if rc:
                yield from self.kvm_s390_cpus_from_pv(kvm)
                return rc
            yield
        return 0

    def kvm_s390_cpus_from_pv(self: Kernel, kvm: Kvm) -> Flow:
        """Destroy the secure CPU of every vCPU, even if one of them fails. Returns the first failure as an `Answer`."""
        answer = Answer()
        for vcpu in kvm.vcpus:
            failed, rc, rrc = self.kvm_s390_pv_destroy_cpu(vcpu)
            if failed and not answer.r:
                answer = Answer(-EIO, rc, rrc)
            yield
        return answer

    def kvm_s390_pv_is_protected(self: Kernel, kvm: Kvm) -> bool:
        """Whether the VM has a secure configuration."""
        return bool(kvm.pv.handle)

    def kvm_pv_enable(self: Kernel, kvm: Kvm) -> Flow:
        """``KVM_PV_ENABLE``: a configuration, then its CPUs. Returns 0 or a negative error number.

        The kernel also breaks up pages that KSM has merged; there are none in this model.
        """
        yield kvm.lock.write()
        rc = -EINVAL if self.kvm_s390_pv_is_protected(kvm) else (yield from self.kvm_s390_pv_init_vm(kvm))
        if not rc:
            rc = yield from self.kvm_s390_cpus_to_pv(kvm)
            if rc:
                yield from self.kvm_s390_pv_end_new(kvm)
        self.machine.engine.release(kvm.lock)
        return rc

    def kvm_pv_set_sec_parms(self: Kernel, kvm: Kvm, header: int, length: int) -> Flow:
        """``KVM_PV_SET_SEC_PARMS``: the header of the guest's image. Returns 0 or -EINVAL."""
        yield kvm.lock.write()
        rc = -EINVAL
        if self.kvm_s390_pv_is_protected(kvm):
            rc = self.kvm_s390_pv_set_sec_parms(kvm, header, length)
        self.machine.engine.release(kvm.lock)
        return rc

    def kvm_pv_unpack(self: Kernel, kvm: Kvm, first: int, pages: int) -> Flow:
        """``KVM_PV_UNPACK``: the boot image. Returns 0 or a negative error number.

        -EINVAL without a configuration, or if the mm is not thought to be protected. Before the series the flag is set
        when the header was accepted, so it asks for that (since November 2020, 20201116122033.382372-2).
        """
        yield kvm.lock.write()
        rc = -EINVAL
        if self.kvm_s390_pv_is_protected(kvm) and self.mm_is_protected(kvm.mm):
            rc = yield from self.kvm_s390_pv_unpack(kvm, first, pages)
        else:
            self.machine.event("refused", "KVM_PV_UNPACK answers -EINVAL: the mm does not look protected")
        self.machine.engine.release(kvm.lock)
        return rc

    def kvm_pv_verify(self: Kernel, kvm: Kvm) -> Flow:
        """``KVM_PV_VERIFY``: the whole image is checked. Returns 0 (the guest may run) or a negative error number."""
        yield kvm.lock.write()
        rc = self.kvm_s390_pv_verify(kvm) if self.kvm_s390_pv_is_protected(kvm) else -EINVAL
        self.machine.engine.release(kvm.lock)
        return rc

    def kvm_pv_disable(self: Kernel, kvm: Kvm) -> Flow:
        """``KVM_PV_DISABLE``: the guest is reset. Returns an `Answer`.

        With a CPU left the configuration could not be destroyed either, so it is not tried.
        """
        yield kvm.lock.write()
        self.machine.engine.doing("destroys vCPUs")
        answer = Answer(-EINVAL)
        if self.kvm_s390_pv_is_protected(kvm):
            answer = yield from self.kvm_s390_cpus_from_pv(kvm)
            if not answer.r:
                answer = yield from self.kvm_s390_pv_end(kvm)
        self.machine.engine.release(kvm.lock)
        return answer

    def kvm_arch_destroy_vm(self: Kernel, kvm: Kvm) -> Flow:
        """The last reference to the VM is gone: its vCPUs one by one, the SCA, the configuration, the gmap."""
        self.machine.engine.doing("destroys vCPUs")
        for vcpu in kvm.vcpus:
            self.kvm_arch_vcpu_destroy(vcpu)
            yield
        self.machine.give_back(kvm.sca, 1)
        yield from self.kvm_s390_pv_end_with_vm(kvm)
        self.gmap_remove(kvm.gmap)
        self.mmdrop(kvm.mm)

    def kvm_arch_vcpu_destroy(self: Kernel, vcpu: Vcpu) -> None:
        """A vCPU goes, its secure CPU first. Whether that worked is not looked at."""
        if vcpu.handle:
            self.kvm_s390_pv_destroy_cpu(vcpu)
        self.machine.give_back(vcpu.sie_block, 1)

    def kvm_s390_pv_end(self: Kernel, kvm: Kvm) -> Flow:
        """How the three call sites above end a configuration (patch 8 edits them)."""
        return (yield from self.kvm_s390_pv_deinit_vm(kvm))

    def kvm_s390_pv_end_new(self: Kernel, kvm: Kvm) -> Flow:
        """How enable ends a configuration whose CPUs it could not create (Linux 6.2 edits this call site)."""
        return (yield from self.kvm_s390_pv_end(kvm))

    def kvm_s390_pv_end_with_vm(self: Kernel, kvm: Kvm) -> Flow:
        """What protection has left in a VM that goes (Linux 6.0 and 6.2 edit this call site)."""
        if self.kvm_s390_pv_anything_left(kvm):
            yield from self.kvm_s390_pv_end(kvm)

    def kvm_s390_pv_anything_left(self: Kernel, kvm: Kvm) -> bool:
        """Whether the end of a VM has something to end: its configuration."""
        return self.kvm_s390_pv_is_protected(kvm)

    def kvm_vm_ioctl_check_extension(self: Kernel, ext: int) -> int:
        """``KVM_CHECK_EXTENSION``: what this kernel can do for a VM. 0: it does not know it, or cannot.

        Of all that KVM answers there is only ``KVM_CAP_S390_PROTECTED`` here. The model's host always has an
        Ultravisor (``is_prot_virt_host``).
        """
        return int(ext == KVM_CAP_S390_PROTECTED)

    # A guest's access to its memory

    def guest_access(self: Kernel, kvm: Kvm, page: Page, addr: int) -> Step | None:
        """One try to touch one page. What it raises is handled in the next step, then it is tried again."""
        machine = self.machine
        if not self.pte_present(kvm.mm, page):
            machine.engine.read_lock(kvm.mm.mmap_lock)
            self.handle_mm_fault(kvm.mm, kvm.mm.guest, addr)
            return step(self.guest_access, kvm)
        handle = machine.running_handle(kvm)
        interruption = machine.uv.access(page, handle)
        if interruption is None:
            machine.engine.charge(machine.costs.touch)
            machine.seen(page)
            if not handle and page.state == State.NON_SECURE:
                page.update(content=Content.HOST, content_of=0)
            return None
        machine.engine.charge(machine.costs.exception)
        machine.raised(interruption)
        return step(self.guest_fault, interruption, kvm)

    def guest_fault(self: Kernel, interruption: Interruption, kvm: Kvm, page: Page, addr: int) -> Step:
        """A guest's access was interrupted: run the handler, then try again."""
        gaddr = self.guest_address(kvm.gmap, addr)
        if interruption == Interruption.SECURE_STORAGE_ACCESS:
            self.do_secure_storage_access_gmap(kvm, gaddr)
            if self.machine.guest_runs(kvm) and not page.arch_1 and self.machine.uv.access(page):
                # the handler believes that all is well, and will do so every time
                self.machine.endless_fault(page)
        elif interruption == Interruption.NON_SECURE_STORAGE_ACCESS:
            self.do_non_secure_storage_access(kvm, gaddr)
        else:
            self.do_secure_storage_violation(kvm, gaddr)
        return step(self.guest_access, kvm)
