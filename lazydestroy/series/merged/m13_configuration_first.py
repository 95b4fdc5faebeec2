"""7746f735f552: destroy the configuration before its memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errnos import EIO
from ...kernel.structs import Answer, Flow, Kvm
from ...layers import Layer
from ...uvcb import UVC

if TYPE_CHECKING:
    from ...kernel import Kernel


class ConfigurationFirst(Layer):
    """Destroy the configuration, then walk its memory.

    DESTROY_SEC_CONF cleans and opens whatever pages the configuration still has, and it is much faster at that than one
    call a page. The walk stays, for the kernel's own notes: ``PG_arch_1`` says of each page that it may be secure.
    The commit before (da15fbc646f3) only puts the function in order; both are one layer here.
    """

    number = 13
    title = "destroy the configuration before its memory"
    commit = "7746f735f552"
    release = "6.0"
    files = ("arch/s390/kvm/pv.c",)

    def kvm_s390_pv_deinit_vm(self: Kernel, kvm: Kvm) -> Flow:
        """End a VM's secure configuration, its memory last. Returns an `Answer`.

        The count falls at the very end: at 0 the walk's pages would be taken for normal ones.
        """
        cc, rc, rrc = yield from self.uv_cmd_nodata_sched(kvm.pv.handle, UVC.DESTROY_SEC_CONF)
        kvm.gmap.guest_handle = 0
        if cc:
            self.machine.warn_once("destroy vm", f"protvirt destroy vm failed rc {rc:x} rrc {rrc:x}")
        yield from self.kvm_s390_pv_destroy_memory(kvm)
        self.configuration_destroyed(kvm.mm, cc)
        if cc:
            self.kvm_s390_pv_leak_vm(kvm)
        else:
            self.kvm_s390_pv_dealloc_vm(kvm)
        return Answer(-EIO if cc else 0, rc, rrc)
