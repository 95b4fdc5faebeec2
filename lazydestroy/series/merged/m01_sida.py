"""d4074324b07a: avoid double free of sida page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errnos import EIO, ENOMEM
from ...kernel.structs import Storage, Vcpu
from ...layers import Layer
from ...page import Content

if TYPE_CHECKING:
    from ...kernel import Kernel


class NoDoubleFreeOfSida(Layer):
    """Free a secure CPU's storage and its SIDA page only if there is a secure CPU.

    A second KVM_PV_DISABLE, after one that failed, used to free the SIDA page (through which a guest's instructions and
    the host exchange data) again. Now a CPU without a handle is skipped. The price: a CPU that could not be created has
    no handle either, so what was allocated for it is leaked. Nothing of that is known to be fixed.

    The model has SIDA pages only with this layer. Two hashes of the commit are seen, this one and 8256b7c201f4; which
    of them is upstream's could not be verified.
    """

    number = 1
    title = "avoid double free of sida page"
    commit = "d4074324b07a"
    release = "5.16"
    files = ("arch/s390/kvm/pv.c",)

    def kvm_s390_pv_create_cpu(self: Kernel, vcpu: Vcpu) -> int:
        """The CPU gets a SIDA page as well. If the Ultravisor refuses the CPU, that is leaked with its storage."""
        if vcpu.handle:
            return super().kvm_s390_pv_create_cpu(vcpu)
        sida = self.machine.memory.find_run(1)
        if sida is None:
            return -ENOMEM
        self.machine.take(sida, 1, Content.ZERO)
        rc = super().kvm_s390_pv_create_cpu(vcpu)
        if not rc:
            vcpu.sida = sida
        elif rc == -EIO:
            self.machine.leak(sida, 1, "SIDA page of a secure CPU")
        else:
            self.machine.give_back(sida, 1)
        return rc

    def cpu_refused(self: Kernel, storage: Storage) -> None:
        """The CPU that was not created has no handle: it is taken for one that has nothing."""
        self.machine.leak(*storage, "storage of a secure CPU")

    def kvm_s390_pv_destroy_cpu(self: Kernel, vcpu: Vcpu) -> tuple[int, int, int]:
        """Without a handle there is nothing to do."""
        return super().kvm_s390_pv_destroy_cpu(vcpu) if vcpu.handle else (0, 0, 0)

    def cpu_ended(self: Kernel, vcpu: Vcpu, cc: int, rc: int, rrc: int) -> tuple[int, int, int]:
        """The SIDA page is freed even if the Ultravisor has refused."""
        self.machine.give_back(vcpu.sida, 1)
        vcpu.sida = 0
        return super().cpu_ended(vcpu, cc, rc, rrc)


class FreeSidaAgain(Layer):
    """The SIDA pages of the kernel before, and how they were freed: for a comparison with `NoDoubleFreeOfSida`.

    KVM_PV_DISABLE freed the page of each vCPU, whether the vCPU still had a secure CPU or not. Inferred from what the
    commit replaces in ``kvm_s390_pv_destroy_cpu``.
    """

    title = "SIDA pages, freed a second time"
    files = ("arch/s390/kvm/pv.c",)

    def kvm_s390_pv_create_cpu(self: Kernel, vcpu: Vcpu) -> int:
        """The CPU gets a SIDA page as well."""
        if vcpu.handle:
            return super().kvm_s390_pv_create_cpu(vcpu)
        sida = self.machine.memory.find_run(1)
        if sida is None:
            return -ENOMEM
        self.machine.take(sida, 1, Content.ZERO)
        rc = super().kvm_s390_pv_create_cpu(vcpu)
        if rc:
            self.machine.give_back(sida, 1)
        else:
            vcpu.sida = sida
        return rc

    def kvm_s390_pv_destroy_cpu(self: Kernel, vcpu: Vcpu) -> tuple[int, int, int]:
        """The page is freed in any case. Without a secure CPU it has been freed before."""
        if not vcpu.handle:
            self.machine.event("use after free", f"the SIDA page of vCPU {vcpu.vcpu_id} is freed again")
        answer = super().kvm_s390_pv_destroy_cpu(vcpu)
        self.machine.give_back(vcpu.sida, 1)
        return answer
