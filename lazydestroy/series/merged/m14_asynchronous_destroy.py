"""fb491d5500a7: asynchronous destroy for reboot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errnos import EINVAL, EIO, ENOMEM
from ...kernel.gmap import CRST_PAGES
from ...kernel.structs import Answer, Flow, Kvm, Mm, PvVmToBeDestroyed
from ...layers import Layer
from ...page import PAGE_SHIFT
from ...uvcb import UVC, UVC_RC_EXECUTED

if TYPE_CHECKING:
    from ...kernel import Kernel

PREPARED = 42
"""``rrc`` of a KVM_PV_ASYNC_CLEANUP_PREPARE that worked, and of a PERFORM that a signal has ended."""


class AsynchronousDestroy(Layer):
    """Let userspace set a configuration aside, and clean up after it in a thread of its own.

    Two commands: KVM_PV_ASYNC_CLEANUP_PREPARE sets the VM's configuration aside, so that the next guest can start;
    KVM_PV_ASYNC_CLEANUP_PERFORM, called from another thread, destroys its memory and then the configuration itself. One
    configuration at a time can be set aside and not begun. One whose clean-up was interrupted is a *leftover*: it goes
    on a list, and the kernel ends it with the VM's next configuration, or with the VM.

    The kernel decides nothing and starts nothing. So the time is charged to the thread of the VM's own process, and no
    memory is without an owner. That is what reviewers of version 1 had asked for.
    """

    number = 14
    title = "asynchronous destroy for reboot"
    commit = "fb491d5500a7"
    release = "6.2"
    files = (
        "arch/s390/include/asm/kvm_host.h",
        "arch/s390/kvm/kvm-s390.c",
        "arch/s390/kvm/kvm-s390.h",
        "arch/s390/kvm/pv.c",
        "include/uapi/linux/kvm.h",
    )
    needs = (4, 7, 13)

    # kvm-s390.c

    def kvm_pv_async_cleanup_prepare(self: Kernel, kvm: Kvm) -> Flow:
        """``KVM_PV_ASYNC_CLEANUP_PREPARE``: set the configuration aside. Returns an `Answer`: 0 with rc 1 and rrc 42.

        -EINVAL if the VM is not protected, or one is set aside already; -EIO if a CPU cannot be ended; -ENOMEM. If it
        fails after the CPUs have ended, the VM stays protected, without CPUs: then userspace calls KVM_PV_DISABLE.
        """
        yield kvm.lock.write()
        self.machine.engine.doing("destroys vCPUs")
        answer = Answer(-EINVAL)
        if self.kvm_s390_pv_is_protected(kvm) and self.asynchronous_destroy_is_on():
            answer = yield from self.kvm_s390_cpus_from_pv(kvm)
            if not answer.r:
                answer = yield from self.kvm_s390_pv_set_aside(kvm)
        self.machine.engine.release(kvm.lock)
        return answer

    def kvm_pv_async_cleanup_perform(self: Kernel, kvm: Kvm) -> Flow:
        """``KVM_PV_ASYNC_CLEANUP_PERFORM``: clean up after what was set aside. Returns an `Answer`.

        Of all commands it alone does not hold ``kvm->lock`` from beginning to end: the VM can be used meanwhile.
        """
        if not self.asynchronous_destroy_is_on():
            return Answer(-EINVAL)
        return (yield from self.kvm_s390_pv_deinit_aside_vm(kvm))

    def asynchronous_destroy_is_on(self: Kernel) -> bool:
        """Whether the two commands may be used (the module parameter edits this)."""
        return True

    def kvm_s390_pv_end(self: Kernel, kvm: Kvm) -> Flow:
        """KVM_PV_DISABLE, and the end of the VM: everything that this VM has left is ended."""
        return (yield from self.kvm_s390_pv_deinit_cleanup_all(kvm))

    def kvm_s390_pv_end_new(self: Kernel, kvm: Kvm) -> Flow:
        """Enable has failed half-way: this configuration only, and it has no memory yet."""
        return (yield from self.kvm_s390_pv_deinit_vm(kvm))

    def kvm_s390_pv_anything_left(self: Kernel, kvm: Kvm) -> bool:
        """There may be leftovers: the end of a VM looks in any case."""
        return True

    # pv.c

    def kvm_s390_destroy_lower_2g(self: Kernel, kvm: Kvm) -> Flow:
        """Destroy the guest's first 2 GiB, slot after slot, up to the first hole between two slots.

        The CPUs' prefix areas lie there: a new guest's CPU cannot start on a page of an old one.
        """
        self.machine.engine.doing("destroys the first 2 GiB")
        expected = 0
        for slot in kvm.memslots:
            if slot.base_gfn != expected or expected >= self.machine.low_pages:
                return
            expected = slot.base_gfn + slot.npages
            pages = min(expected, self.machine.low_pages) - slot.base_gfn
            yield from self.s390_uv_destroy_range(kvm.mm, slot.first, pages)

    def kvm_s390_pv_set_aside(self: Kernel, kvm: Kvm) -> Flow:
        """Set a VM's configuration aside. Returns an `Answer`. ``kvm->lock`` is held."""
        if refused := self.set_aside_refused(kvm):
            return Answer(refused)
        if self.machine.injected("set-aside structure"):
            return Answer(-ENOMEM)
        left, answer = yield from self.detach_configuration(kvm)
        if answer.r:
            return answer
        yield from self.kvm_s390_destroy_lower_2g(kvm)
        self.kvm_s390_clear_pv_state(kvm)
        kvm.pv.set_aside = left
        return Answer(0, UVC_RC_EXECUTED, PREPARED)

    def set_aside_refused(self: Kernel, kvm: Kvm) -> int:
        """-EINVAL if another one is set aside already, else 0 (later commits edit this)."""
        return -EINVAL if kvm.pv.set_aside is not None else 0

    def detach_configuration(self: Kernel, kvm: Kvm) -> Flow:
        """Note all that is to be ended later, and let the VM go on with a copy of its top-level table.

        Returns what is noted, and an `Answer`. Destroying fast edits this.
        """
        left = PvVmToBeDestroyed(kvm.pv.handle, kvm.pv.stor_base, kvm.pv.stor_var, kvm.gmap.table)
        kvm.gmap.guest_handle = 0
        return left, Answer(-ENOMEM if self.s390_replace_asce(kvm.gmap) else 0)
        yield

    def kvm_s390_pv_destroy_memory(self: Kernel, kvm: Kvm) -> Flow:
        """Not while one configuration is ended: there may be others, and one walk is enough for all."""
        return
        yield

    def kvm_s390_pv_deinit_cleanup_all(self: Kernel, kvm: Kvm) -> Flow:
        """End the VM's configuration, the one that is set aside, and all leftovers; then walk the memory.

        Returns an `Answer`: rc 1 if all went well, else the codes of the first failure.
        """
        mm, walks = kvm.mm, False
        answer = Answer(0, UVC_RC_EXECUTED)
        if not self.hold_protected_count(mm):
            return Answer()
        yield  # others may act while the count is raised
        if self.kvm_s390_pv_is_protected(kvm):
            answer = yield from self.kvm_s390_pv_deinit_vm(kvm)
            walks = True
        if kvm.pv.set_aside is not None:
            kvm.pv.need_cleanup = (kvm.pv.set_aside, *kvm.pv.need_cleanup)
            kvm.pv.set_aside = None
        while kvm.pv.need_cleanup:
            leftover, *others = kvm.pv.need_cleanup
            found = yield from self.kvm_s390_pv_dispose_one_leftover(kvm, leftover)
            answer = answer if answer.r or not found.r else found
            kvm.pv.need_cleanup = tuple(others)
            walks = True
        if walks and self.mmget_not_zero(mm):
            self.machine.engine.doing("destroys pages")
            yield from self.s390_uv_destroy_range(mm)
            yield from self.mmput(mm)
        mm.context.is_protected -= 1
        return answer

    def hold_protected_count(self: Kernel, mm: Mm) -> bool:
        """Count one more, so that the count cannot reach 0 before the walk: its pages would be taken for normal ones.

        Returns whether it was done (a later commit edits this).
        """
        mm.context.is_protected += 1
        return True

    def kvm_s390_pv_deinit_aside_vm(self: Kernel, kvm: Kvm) -> Flow:
        """Clean up after the configuration that is set aside, in a thread that userspace lends. Returns an `Answer`.

        From the moment it is taken out, another one can be set aside. A fatal signal ends the walk; then what was taken
        is a leftover, and the answer is a success. Nobody is left to hear another one.
        """
        yield kvm.lock.write()
        left, kvm.pv.set_aside = kvm.pv.set_aside, None
        self.machine.engine.release(kvm.lock)
        if left is None:
            return Answer(-EINVAL)
        self.machine.engine.doing("destroys pages")
        if (yield from self.s390_uv_destroy_range_interruptible(kvm.mm)):
            yield kvm.lock.write()
            kvm.pv.need_cleanup = (left, *kvm.pv.need_cleanup)
            self.machine.engine.release(kvm.lock)
            return Answer(0, UVC_RC_EXECUTED, PREPARED)
        return (yield from self.kvm_s390_pv_dispose_one_leftover(kvm, left))

    def kvm_s390_pv_dispose_one_leftover(self: Kernel, kvm: Kvm, leftover: PvVmToBeDestroyed) -> Flow:
        """End one configuration that its VM no longer runs, and free what was donated to it. Returns an `Answer`.

        If the Ultravisor refuses, all of that is leaked, and it counts forever. One that was destroyed fast has no
        handle any more: it is only counted down.
        """
        if not leftover.handle:
            kvm.mm.context.is_protected -= 1
            return Answer()
        cc, rc, rrc = yield from self.uv_cmd_nodata_sched(leftover.handle, UVC.DESTROY_SEC_CONF)
        self.machine.uv.tables.pop(leftover.old_gmap_table << PAGE_SHIFT, None)
        if cc:
            self.machine.warn_once("leftover", f"protvirt destroy leftover vm failed rc {rc:x} rrc {rrc:x}")
            for first, pages in (leftover.stor_base, leftover.stor_var, (leftover.old_gmap_table, CRST_PAGES)):
                self.machine.leak(first, pages, "left by a configuration that cannot be destroyed")
            return Answer(-EIO, rc, rrc)
        self.machine.give_back(*leftover.stor_base)
        self.crst_table_free(leftover.old_gmap_table)
        self.machine.give_back(*leftover.stor_var)
        self.configuration_destroyed(kvm.mm, 0)
        return Answer(0, rc, rrc)
