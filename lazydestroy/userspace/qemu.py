"""QEMU, as far as protected guests need it: it starts a VM, makes it protected, resets it, and exits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._core import Task
from ..actors import QEMU
from ..errnos import EINTR, errorcode
from ..kernel.kvm import KVM_CAP_S390_PROTECTED_ASYNC_DISABLE
from ..kernel.structs import Answer, Flow
from ..page import PAGE_SHIFT, PAGE_SIZE
from .async_cleanup import ThreadedProcess
from .starting import address_space, create_vm

if TYPE_CHECKING:
    from ..machine import Machine


class Qemu(ThreadedProcess):
    """A process with a VM.

    Parameters
    ----------
    machine : Machine
        What it runs on.

    Attributes
    ----------
    guest_up : bool
        The guest runs.
    vcpu_tasks : list of Task
        The vCPUs that act for the guest.

    Raises
    ------
    RuntimeError
        If the host has no memory for it.
    """

    name = QEMU

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine, address_space(machine))
        self.kvm = create_vm(machine, self.mm)
        self.guest_up = False
        self.vcpu_tasks: list[Task] = []

    # What it asks of the kernel

    def asking(self, flow: Flow) -> Flow:
        """Have the kernel do something; the flow returns what the kernel answers."""
        return flow

    def protecting(self, first: int, pages: int) -> Flow:
        """Diagnose 0x308, subcode 10: make the VM protected. `first`, `pages`: where its image lies.

        The header of the image lies in the page of the SCA. Returns whether the guest is protected.
        """
        kernel, kvm = self.machine.kernel, self.kvm
        self.machine.engine.doing("makes the guest protected")
        rc = yield from self.asking(kernel.kvm_pv_enable(kvm))
        while rc == -EINTR and self.alive:
            rc = yield from self.asking(kernel.kvm_pv_enable(kvm))  # s390_pv_cmd asks again
        if rc:
            return False
        if (yield from self.asking(kernel.kvm_pv_set_sec_parms(kvm, kvm.sca << PAGE_SHIFT, PAGE_SIZE))):
            return False
        self.machine.engine.doing("unpacks the image")
        if (yield from self.asking(kernel.kvm_pv_unpack(kvm, first, pages))):
            return False
        return not (yield from self.asking(kernel.kvm_pv_verify(kvm)))

    def unprotecting(self) -> Flow:
        """A reset of the guest, as QEMU does it (``s390_machine_unprotect``). Afterwards it starts as a normal one.

        QEMU sets the configuration aside and starts a thread that cleans up, if the guest has more than 2 GiB and the
        kernel says that it can. Otherwise, or if that fails, it calls KVM_PV_DISABLE. Returns the kernel's last
        `Answer`.
        """
        if self.cleans_up_in_a_thread():
            answer: Answer = yield from self.asking(self.preparing())
            if not self.alive:
                return answer
            if not answer.r:
                self.start_perform(exits_on_error=True)
                return answer
            name = errorcode[-answer.r]
            self.machine.event("userspace", f"KVM_PV_ASYNC_CLEANUP_PREPARE answers -{name}: QEMU calls KVM_PV_DISABLE")
        return (yield from self.asking(self.resetting()))

    def cleans_up_in_a_thread(self) -> bool:
        """Whether QEMU tries the asynchronous commands (``s390_pv_vm_try_disable_async``).

        Not for guests of up to 2 GiB: their top-level table is a segment table, which the kernel cannot replace.
        """
        capable = self.machine.kernel.kvm_vm_ioctl_check_extension(KVM_CAP_S390_PROTECTED_ASYNC_DISABLE)
        large = self.machine.guest_pages > self.machine.segment_table_pages
        return bool(self.kvm.pv.handle and capable and large)

    def resetting(self) -> Flow:
        """``KVM_PV_DISABLE``, if the guest is protected. Returns the kernel's `Answer`."""
        if not self.kvm.pv.handle:
            return Answer()
        self.set_aside_running()
        answer: Answer = yield from self.machine.kernel.kvm_pv_disable(self.kvm)
        self._let_go()
        if answer.rc == 1 and answer.rrc == 42:
            self.machine.event("userspace", "KVM_PV_DISABLE answers rc 1, rrc 42: the rest is done in the background")
        return answer

    # How its guest and it end

    def kill(self) -> None:
        """End the process, and with it the guest."""
        if self.alive:
            self.memory.context_changed()
            self.guest_up = False
        super().kill()

    def stop_threads(self) -> None:
        """All that a QEMU needs for its guest are the vCPUs."""
        self.stop_vcpus()

    def stop_vcpus(self) -> None:
        """Let no vCPU act any more; the guest may go on with others."""
        for task in self.vcpu_tasks:
            self.machine.engine.kill(task)
