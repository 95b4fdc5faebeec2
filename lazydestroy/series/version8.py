"""Version 8, 2 March 2022: userspace's thread in its first form. What it did otherwise than Linux 6.2 does.

Version 6 brought that form, and works like it but for the notifier: there it took ``kvm->lock``, and was never
unregistered. Patches 1 to 12, 15 and 16 here are the commits that became of version 8's others
(`lazydestroy.series.merged`), under their numbers there. Patch 14 is version 8's own 13 and 14. Sources:
20220302181143.188283-11, -14 and -15-imbrenda@linux.ibm.com.

Two bugs show, both inferred from the code. Both need a guest that was protected, and is a normal one when its VM ends:
QEMU is killed while the next guest boots.

* The kernel never ends the configuration that is set aside, nor a leftover. It stays in the Ultravisor, and keeps what
  was donated to it. Fixed in version 12: ``kvm_s390_pv_deinit_cleanup_all`` runs whenever a VM goes.
* The kernel never unregisters the notifier, and so never drops the notifier's reference to the mm. Fixed by version 11:
  the notifier goes if it was ever registered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errnos import EINVAL, EIO
from ..kernel.structs import Answer, Flow, Kvm
from .merged.m14_asynchronous_destroy import AsynchronousDestroy

if TYPE_CHECKING:
    from ..kernel import Kernel


class AsyncDisable(AsynchronousDestroy):
    """``KVM_PV_ASYNC_DISABLE_PREPARE`` and ``KVM_PV_ASYNC_DISABLE``: the two commands before they got their names.

    Here they go by the names that stayed, as does what is the same in both forms. Three things differ. An ordinary
    disable walks through the memory before it destroys the configuration. The second command holds ``kvm->lock``, drops
    it for the walk, and takes it again at its end. And leftovers are ended only together with a configuration that the
    VM still has.
    """

    commit = release = ""
    needs = (4, 7, 11)
    cover_letter = "20220302181143.188283-1-imbrenda@linux.ibm.com"
    parameter = "lazy_destroy"

    # kvm-s390.c

    def asynchronous_destroy_is_on(self: Kernel) -> bool:
        """With ``lazy_destroy=0`` nothing can be set aside."""
        return self.lazy_destroy is not False

    def kvm_pv_async_cleanup_perform(self: Kernel, kvm: Kvm) -> Flow:
        """``KVM_PV_ASYNC_DISABLE``: under ``kvm->lock``, like every other command, and without asking the parameter."""
        yield kvm.lock.write()
        answer: Answer = yield from self.kvm_s390_pv_deinit_vm_async(kvm)
        self.machine.engine.release(kvm.lock)
        return answer

    def kvm_s390_pv_end(self: Kernel, kvm: Kvm) -> Flow:
        """KVM_PV_DISABLE, and the end of the VM."""
        return (yield from self.kvm_s390_pv_deinit_vm(kvm))

    def kvm_s390_pv_end_with_vm(self: Kernel, kvm: Kvm) -> Flow:
        """Only if the VM is protected: then its configuration and the leftovers end, and the notifier goes."""
        if self.kvm_s390_pv_is_protected(kvm):
            yield from super().kvm_s390_pv_end_with_vm(kvm)

    # pv.c

    def kvm_s390_pv_destroy_memory(self: Kernel, kvm: Kvm) -> Flow:
        """Each time a configuration is ended, and before it: as without asynchronous destroy."""
        yield from super(AsynchronousDestroy, self).kvm_s390_pv_destroy_memory(kvm)

    def kvm_s390_pv_deinit_vm(self: Kernel, kvm: Kvm) -> Flow:
        """End a VM's configuration, its memory first, and then whatever is left over. Returns an `Answer`."""
        answer: Answer = yield from super().kvm_s390_pv_deinit_vm(kvm)
        if (yield from self.kvm_s390_pv_cleanup_leftovers(kvm)):
            answer.r = -EIO
        return answer

    def kvm_s390_pv_cleanup_leftovers(self: Kernel, kvm: Kvm) -> Flow:
        """End what is set aside, and every leftover. Returns 0, or 1 if the Ultravisor refused one of them."""
        pv, failed = kvm.pv, 0
        if pv.set_aside is not None:
            pv.need_cleanup = (pv.set_aside, *pv.need_cleanup)
            pv.set_aside = None
        while pv.need_cleanup:
            leftover, *others = pv.need_cleanup
            answer = yield from self.kvm_s390_pv_dispose_one_leftover(kvm, leftover)
            failed |= bool(answer.r)
            pv.need_cleanup = tuple(others)
        return failed

    def kvm_s390_pv_deinit_vm_async(self: Kernel, kvm: Kvm) -> Flow:
        """Clean up after what is set aside. ``kvm->lock`` is held at the beginning and at the end, but not between.

        Returns an `Answer`; the Ultravisor's codes are not in it.
        """
        left, kvm.pv.set_aside = kvm.pv.set_aside, None
        if left is None:
            return Answer(-EINVAL)
        self.machine.engine.release(kvm.lock)
        self.machine.engine.doing("destroys pages")
        killed = yield from self.s390_uv_destroy_range_interruptible(kvm.mm)
        answer = Answer()
        if not killed:
            answer = yield from self.kvm_s390_pv_dispose_one_leftover(kvm, left)
        yield kvm.lock.write()
        if killed:
            kvm.pv.need_cleanup = (left, *kvm.pv.need_cleanup)
        return Answer(answer.r)


__all__ = ["AsyncDisable"]
