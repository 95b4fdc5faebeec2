"""f7866f582b1c: support for Destroy fast UVC."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errnos import EIO
from ...kernel.structs import Answer, Flow, Kvm, PvVmToBeDestroyed
from ...layers import Layer
from ...uvcb import QUERY_BITS, UVC, uv_cb_destroy_fast, uv_cb_qui

if TYPE_CHECKING:
    from ...kernel import Kernel


class DestroyFast(Layer):
    """Where the Ultravisor can, end the configuration at once, and leave only its memory for later.

    The call gives the donated storage back and takes the mark off the top-level table. So nothing has to be remembered,
    and the table need not be replaced. The pages stay secure, without a guest, until each is destroyed; the count stays
    up so long, as it is what has the kernel look at them.
    """

    number = 17
    title = "support for Destroy fast UVC"
    commit = "f7866f582b1c"
    release = "6.2"
    files = ("arch/s390/include/asm/uv.h", "arch/s390/kvm/pv.c")
    needs = (11, 14)

    def uv_query_info(self: Kernel) -> uv_cb_qui:
        """Keep which calls are installed (``uv_info.inst_calls_list``)."""
        uvcb = super().uv_query_info()
        self.inst_calls_list = tuple(uvcb.inst_calls_list)
        return uvcb

    def is_destroy_fast_available(self: Kernel) -> bool:
        """Whether this Ultravisor knows the call. Bits are counted from the left."""
        return bool(self.inst_calls_list[0] >> (63 - QUERY_BITS[UVC.DESTROY_SEC_CONF_FAST]) & 1)

    def kvm_s390_pv_deinit_vm_fast(self: Kernel, kvm: Kvm) -> Flow:
        """End the configuration that a VM runs, but not its memory. Returns an `Answer`.

        If the Ultravisor refuses, nothing is freed: the VM keeps its handle, and can be ended in the ordinary way.
        """
        uvcb = uv_cb_destroy_fast(handle=kvm.pv.handle)
        cc = yield from self.uv_call_sched(uvcb)
        rc, rrc = uvcb.header.rc, uvcb.header.rrc
        kvm.gmap.guest_handle = 0
        if not cc:
            self.kvm_s390_pv_dealloc_vm(kvm)
            return Answer(0, rc, rrc)
        if self.fast_refusal_is_worth_a_warning(rc):
            self.machine.warn_once("destroy vm fast", f"protvirt destroy vm fast failed rc {rc:x} rrc {rrc:x}")
        return Answer(-EIO, rc, rrc)

    def fast_refusal_is_worth_a_warning(self: Kernel, rc: int) -> bool:
        """Any refusal is (a later commit edits this)."""
        return True

    def detach_configuration(self: Kernel, kvm: Kvm) -> Flow:
        """Once it has ended, nothing is to be noted: everything in the structure stays 0."""
        if self.is_destroy_fast_available():
            return PvVmToBeDestroyed(), (yield from self.kvm_s390_pv_deinit_vm_fast(kvm))
        return (yield from super().detach_configuration(kvm))

    def kvm_s390_pv_mmu_notifier_release(self: Kernel, kvm: Kvm) -> Flow:
        """If all CPUs have ended, the configuration goes too. The count stays, as the pages must still be cleaned."""
        answer = yield from super().kvm_s390_pv_mmu_notifier_release(kvm)
        if not answer.r and self.is_destroy_fast_available() and self.kvm_s390_pv_is_protected(kvm):
            yield from self.kvm_s390_pv_deinit_vm_fast(kvm)
        return answer
