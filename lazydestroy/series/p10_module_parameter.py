"""Patch 10: module parameter to fence lazy destroy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..kernel.structs import Flow, Kvm, Mm
from ..layers import Layer

if TYPE_CHECKING:
    from ..kernel import Kernel


class ModuleParameter(Layer):
    """``lazy_destroy``, a module parameter: 0 turns lazy destroy off.

    Version 1 forgot a ``return``: with 0 the configuration is ended at once, and then the deferred path runs as well,
    for a VM that has no configuration any more.
    """

    number = 10
    title = "module parameter to fence lazy destroy"
    files = ("arch/s390/kvm/pv.c",)
    needs = (8, 9)
    parameter = "lazy_destroy"

    def fence_lazy_destroy(self: Kernel, mm: Mm) -> Flow:
        """With the parameter 0, nothing may be set aside at exit. Nothing ever takes that back."""
        if self.lazy_destroy is False:
            yield mm.mmap_lock.write()
            mm.context.pv_sync_destroy = 1
            self.machine.engine.release(mm.mmap_lock)

    def kvm_s390_pv_deinit_vm_deferred(self: Kernel, kvm: Kvm) -> Flow:
        """End a VM's configuration in the background, unless that is turned off."""
        if self.lazy_destroy is False:
            yield from self.kvm_s390_pv_deinit_vm_now(kvm)
        # version 1: no return above
        return (yield from super().kvm_s390_pv_deinit_vm_deferred(kvm))
