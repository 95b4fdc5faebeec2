"""``arch/s390/kvm/pv.c`` before the series: a VM's secure configuration and its CPUs, made and ended.

What several patches of the series edit has seams here: small functions with a name of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._core import Step, step, visit
from ..errnos import EAGAIN, EFAULT, EINVAL, EIO, ENOMEM
from ..page import PAGE_SHIFT, Page
from ..uvcb import UVC, UVC_RC_NEED_DESTROY, uv_cb_cgc, uv_cb_csc, uv_cb_ssc, uv_cb_unp
from .structs import NO_STORAGE, Answer, Flow, Kvm, Mm, Pv, Storage, Vcpu

if TYPE_CHECKING:
    from . import Kernel


class KernelPv:
    """Protected VMs."""

    # CPUs

    def kvm_s390_pv_create_cpu(self: Kernel, vcpu: Vcpu) -> int:
        """Donate storage and create the secure CPU of a vCPU. Returns 0 or a negative error number."""
        machine = self.machine
        if vcpu.handle:
            return -EINVAL
        storage = machine.allocate_donation(machine.uv.cpu_stor_len)
        if storage is None:
            return -ENOMEM
        uvcb = uv_cb_csc(
            guest_handle=vcpu.kvm.pv.handle,
            num=vcpu.vcpu_id,
            state_origin=vcpu.sie_block << PAGE_SHIFT,
            stor_origin=storage[0] << PAGE_SHIFT,
        )
        if self.uv_call(uvcb):
            self.cpu_refused(storage)
            return -EIO
        vcpu.handle, vcpu.stor_base = uvcb.cpu_handle, storage
        return 0

    def cpu_refused(self: Kernel, storage: Storage) -> None:
        """What becomes of the storage of a secure CPU that was not created (Linux 5.16 edits this)."""
        self.machine.give_back(*storage)

    def kvm_s390_pv_destroy_cpu(self: Kernel, vcpu: Vcpu) -> tuple[int, int, int]:
        """End the secure CPU of a vCPU. Its storage is leaked if the Ultravisor refuses.

        Returns EIO (positive, as in the kernel) or 0, and the Ultravisor's rc and rrc. Without a secure CPU there is no
        call, and nothing to free.
        """
        called = self.uv_cmd_nodata(vcpu.handle, UVC.DESTROY_SEC_CPU) if vcpu.handle else (0, 0, 0)
        return self.cpu_ended(vcpu, *called)

    def cpu_ended(self: Kernel, vcpu: Vcpu, cc: int, rc: int, rrc: int) -> tuple[int, int, int]:
        """The Ultravisor was asked to end a secure CPU, and gave this answer: note it."""
        if cc:
            self.machine.warn_once("destroy cpu", f"protvirt destroy cpu failed rc {rc:x} rrc {rrc:x}")
            self.machine.leak(*vcpu.stor_base, "storage of a secure CPU")
        else:
            self.machine.give_back(*vcpu.stor_base)
        vcpu.handle, vcpu.stor_base = 0, NO_STORAGE
        return EIO if cc else 0, rc, rrc

    # The configuration

    def kvm_s390_pv_alloc_vm(self: Kernel, kvm: Kvm) -> int:
        """Allocate what is to be donated: the base storage, and the variable one, which grows with the guest."""
        machine, uv = self.machine, self.machine.uv
        base = machine.allocate_donation(uv.conf_base_phys_stor_len)
        if base is None:
            return -ENOMEM
        variable = machine.allocate_donation(uv.variable_storage(kvm.guest_len))
        if variable is None:
            machine.give_back(*base)
            return -ENOMEM
        kvm.pv.guest_len, kvm.pv.stor_base, kvm.pv.stor_var = kvm.guest_len, base, variable
        return 0

    def kvm_s390_pv_dealloc_vm(self: Kernel, kvm: Kvm) -> None:
        """Free donated storage that the Ultravisor has given back."""
        self.machine.give_back(*kvm.pv.stor_base)
        self.machine.give_back(*kvm.pv.stor_var)
        self.kvm_s390_clear_pv_state(kvm)

    def kvm_s390_pv_leak_vm(self: Kernel, kvm: Kvm) -> None:
        """DESTROY_SEC_CONF failed: an intentional leak of the donated storage (patch 1 adds the table)."""
        for storage in (kvm.pv.stor_base, kvm.pv.stor_var):
            self.machine.leak(*storage, "donated storage")

    def kvm_s390_clear_pv_state(self: Kernel, kvm: Kvm) -> None:
        """The VM has no configuration any more."""
        kvm.pv = Pv(self.machine.memory)

    def kvm_s390_pv_init_vm(self: Kernel, kvm: Kvm) -> Flow:
        """Create a secure configuration for a VM. Returns 0, -ENOMEM or -EIO."""
        if self.kvm_s390_pv_alloc_vm(kvm):
            return -ENOMEM
        uvcb = uv_cb_cgc(
            conf_base_stor_origin=kvm.pv.stor_base[0] << PAGE_SHIFT,
            conf_var_stor_origin=kvm.pv.stor_var[0] << PAGE_SHIFT,
            guest_stor_origin=0,
            guest_stor_len=kvm.pv.guest_len,
            guest_sca=kvm.sca << PAGE_SHIFT,
            guest_asce=kvm.gmap.asce,
        )
        cc = self.uv_call(uvcb)
        kvm.pv.handle = uvcb.guest_handle
        self.configuration_created(kvm.mm)
        yield from self.fence_lazy_destroy(kvm.mm)
        if cc:
            if uvcb.header.rc & UVC_RC_NEED_DESTROY:
                yield from self.kvm_s390_pv_deinit_vm(kvm)
            else:
                self.configuration_refused(kvm.mm)
                self.kvm_s390_pv_dealloc_vm(kvm)
            self.machine.refused(uvcb, "no secure configuration")
            return -EIO
        kvm.gmap.guest_handle = kvm.pv.handle
        return 0

    def kvm_s390_pv_deinit_vm(self: Kernel, kvm: Kvm) -> Flow:
        """End a VM's secure configuration, its memory first. Returns an `Answer`."""
        yield from self.kvm_s390_pv_destroy_memory(kvm)
        cc, rc, rrc = self.uv_cmd_nodata(kvm.pv.handle, UVC.DESTROY_SEC_CONF)
        kvm.gmap.guest_handle = 0
        self.configuration_destroyed(kvm.mm, cc)
        if cc:
            self.machine.warn_once("destroy vm", f"protvirt destroy vm failed rc {rc:x} rrc {rrc:x}")
            self.kvm_s390_pv_leak_vm(kvm)
        else:
            self.kvm_s390_pv_dealloc_vm(kvm)
        return Answer(-EIO if cc else 0, rc, rrc)

    def kvm_s390_pv_destroy_memory(self: Kernel, kvm: Kvm) -> Flow:
        """Make the guest's memory accessible before the configuration goes (patch 5 replaces this)."""
        yield from self.s390_reset_acc(kvm.mm)

    def kvm_s390_pv_set_sec_parms(self: Kernel, kvm: Kvm, header: int, length: int) -> int:
        """Hand over the header of the guest's image."""
        uvcb = uv_cb_ssc(guest_handle=kvm.pv.handle, sec_header_origin=header, sec_header_len=length)
        cc = self.uv_call(uvcb)
        if not cc:
            self.parameters_set(kvm.mm)
        return -EINVAL if cc else 0

    def kvm_s390_pv_unpack(self: Kernel, kvm: Kvm, first: int, pages: int) -> Flow:
        """Import and decrypt the boot image, page by page. Returns 0 or a negative error number.

        -EINVAL if the Ultravisor refuses, -EFAULT where the guest has no memory.
        """
        for slot in kvm.memslots:
            if slot.base_gfn > first or not pages:
                break
            here = max(0, min(pages, slot.base_gfn + slot.npages - first))
            start = slot.first + first - slot.base_gfn
            if here:
                done = yield visit(kvm.mm.guest, start, here, step(self.unpack_one, kvm), lock=kvm.mm.mmap_lock)
                if done != here:
                    return -EINVAL
            first, pages = first + here, pages - here
        return -EFAULT if pages else 0

    def unpack_one(self: Kernel, kvm: Kvm, page: Page, addr: int) -> Step | None:
        """One page of the image; again if it was busy, or no entry was found."""
        self.machine.engine.read_lock(kvm.mm.mmap_lock)
        gaddr = self.guest_address(kvm.gmap, addr)
        uvcb = uv_cb_unp(guest_handle=kvm.pv.handle, gaddr=gaddr)
        rc = self.gmap_make_secure(kvm.gmap, gaddr, uvcb)
        if rc == -EAGAIN:
            return step(self.unpack_one, kvm)
        if rc:
            self.machine.refused(uvcb, f"the boot image cannot be unpacked at {gaddr:#x}")
            self.machine.engine.leave_loop()
        return None

    def kvm_s390_pv_verify(self: Kernel, kvm: Kvm) -> int:
        """Have the whole image checked."""
        cc, _, _ = self.uv_cmd_nodata(kvm.pv.handle, UVC.VERIFY_IMG)
        return -EINVAL if cc else 0

    # The flag that says that configurations live in an mm (patch 6 makes it a counter)

    def configuration_created(self: Kernel, mm: Mm) -> None:
        """CREATE_SEC_CONF has been tried."""

    def fence_lazy_destroy(self: Kernel, mm: Mm) -> Flow:
        """CREATE_SEC_CONF has been tried (patch 10 edits this)."""
        return
        yield

    def configuration_refused(self: Kernel, mm: Mm) -> None:
        """It failed, and there is nothing to destroy."""

    def parameters_set(self: Kernel, mm: Mm) -> None:
        """SET_SEC_CONF_PARAMS succeeded."""
        mm.context.is_protected = 1

    def configuration_destroyed(self: Kernel, mm: Mm, cc: int) -> None:
        """DESTROY_SEC_CONF has been tried; `cc` tells how it went."""
        mm.context.is_protected = 0
