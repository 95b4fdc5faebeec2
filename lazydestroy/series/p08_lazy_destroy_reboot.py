"""Patch 8: lazy destroy for reboot."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..kernel.gmap import CRST_PAGES
from ..kernel.structs import Answer, DeferredPriv, Flow, Kvm, Mm
from ..layers import Layer
from ..page import Holder
from ..uvcb import UVC

if TYPE_CHECKING:
    from ..kernel import Kernel


class LazyDestroyForReboot(Layer):
    """Leave the old configuration to a kernel thread, so that the new guest need not wait.

    Only what is mapped of the guest's first 2 GiB is destroyed at once, because the CPUs' prefix areas live there. The
    thread walks the whole address space, the first 2 GiB a second time and the new guest's pages too: those it cannot
    destroy, since their configuration has CPUs.
    """

    number = 8
    title = "lazy destroy for reboot"
    files = ("arch/s390/kvm/kvm-s390.c", "arch/s390/kvm/kvm-s390.h", "arch/s390/kvm/pv.c")
    needs: ClassVar[tuple[int, ...]] = (1, 5)

    def kvm_s390_pv_deinit_vm_now(self: Kernel, kvm: Kvm) -> Flow:
        """What was ``kvm_s390_pv_deinit_vm``."""
        return (yield from self.kvm_s390_pv_deinit_vm(kvm))

    def kvm_s390_clear_2g(self: Kernel, kvm: Kvm) -> Flow:
        """Destroy what is mapped of the guest's first 2 GiB."""
        self.machine.engine.doing("destroys the first 2 GiB")
        yield from self.s390_uv_destroy_range(kvm.mm, 1, self.machine.low_pages)

    def kvm_s390_pv_deinit_vm_deferred(self: Kernel, kvm: Kvm) -> Flow:
        """End a VM's configuration in the background if possible, else at once. Returns an `Answer`."""
        if self.machine.injected("deferred_priv"):
            return (yield from self.kvm_s390_pv_deinit_vm_now(kvm))
        priv = DeferredPriv(mm=kvm.mm)
        self.hold_mm_structure(priv)
        if not self.mmget_not_zero(kvm.mm):
            return (yield from self.deinit_without_mm(kvm, priv))
        priv.has_mm = True
        yield from self.kvm_s390_clear_2g(kvm)
        return (yield from self.deferred_destroy(kvm, priv))

    def hold_mm_structure(self: Kernel, priv: DeferredPriv) -> None:
        """A user of the mm is enough (patch 9 takes a reference to the structure as well)."""

    def deinit_without_mm(self: Kernel, kvm: Kvm, priv: DeferredPriv) -> Flow:
        """The address space is gone (patch 9 edits this)."""
        return (yield from self.kvm_s390_pv_deinit_vm_now(kvm))

    def deferred_destroy(self: Kernel, kvm: Kvm, priv: DeferredPriv) -> Flow:
        """Remember all that must be ended, clear the VM's state, start the thread."""
        priv.handle, priv.stor_base, priv.stor_var = kvm.pv.handle, kvm.pv.stor_base, kvm.pv.stor_var
        priv.old_table = kvm.gmap.table
        kvm.gmap.guest_handle = 0
        if self.detach_old_asce(kvm, priv) or self.machine.injected("kthread"):
            return (yield from self.deferred_destroy_failed(kvm, priv))
        self.kvm_s390_clear_pv_state(kvm)
        self.machine.start_thread(self.kvm_s390_pv_destroy_vm_thread(priv))
        return Answer(0, rc=1, rrc=42)

    def deferred_destroy_failed(self: Kernel, kvm: Kvm, priv: DeferredPriv) -> Flow:
        """There is no memory for a table, or no thread: at once, then.

        Version 1 forgot what it had taken before: the user of the mm, and the table that is on no list any more.
        """
        answer: Answer = yield from self.kvm_s390_pv_deinit_vm_now(kvm)
        if self.machine.memory.record(priv.old_table).holder != Holder.LEAKED:
            self.machine.leak(priv.old_table, CRST_PAGES, "top-level table, on no list")
        return answer

    def detach_old_asce(self: Kernel, kvm: Kvm, priv: DeferredPriv) -> int:
        """The VM goes on with a copy of its top-level table (patch 9 edits this)."""
        return self.kvm_s390_pv_replace_asce(kvm)

    def kvm_s390_pv_destroy_vm_thread(self: Kernel, priv: DeferredPriv) -> Flow:
        """The kernel thread: memory, then configuration, then donated storage and the old table.

        If the configuration cannot be destroyed, all that was remembered of it is leaked, the record included.
        """
        yield from self.destroy_memory_of(priv)
        cc, rc, rrc = self.uv_cmd_nodata(priv.handle, UVC.DESTROY_SEC_CONF)
        self.machine.uv.tables.pop(priv.old_table << 12, None)
        self.deferred_configuration_destroyed(priv.mm, cc)
        if cc:
            self.machine.warn_once("thread", f"protvirt destroy vm failed rc {rc:x} rrc {rrc:x}")
            for first, pages in (priv.stor_base, priv.stor_var, (priv.old_table, CRST_PAGES)):
                self.machine.leak(first, pages, "left by a configuration that cannot be destroyed")
            self.machine.event("leak", "the record of a configuration that cannot be destroyed")
            return
        self.machine.give_back(*priv.stor_base)
        self.crst_table_free(priv.old_table)
        self.machine.give_back(*priv.stor_var)

    def deferred_configuration_destroyed(self: Kernel, mm: Mm, cc: int) -> None:
        """The thread has tried DESTROY_SEC_CONF. If that worked: down, whatever is kept there.

        Without patch 6 that is a flag, and two zombies make it -1.
        """
        if not cc:
            mm.context.is_protected -= 1

    def destroy_memory_of(self: Kernel, priv: DeferredPriv) -> Flow:
        """Walk the address space as long as it has another user (patch 9 edits this)."""
        self.machine.engine.doing("destroys pages")
        yield from self.s390_uv_destroy_range(priv.mm, 1)
        yield from self.put_mm_of(priv)

    def put_mm_of(self: Kernel, priv: DeferredPriv) -> Flow:
        """The last user removes the address space (patch 9 edits this)."""
        yield from self.mmput(priv.mm)

    def kvm_s390_pv_end(self: Kernel, kvm: Kvm) -> Flow:
        """The three call sites in kvm-s390.c: enable failing half-way, disable, destruction of the VM."""
        return (yield from self.kvm_s390_pv_deinit_vm_deferred(kvm))
