"""Version 4, 18 August 2021: lazy destroy for reboot alone. What it changed in version 1, patch by patch.

The mails are 20210818132620.46770-*n+1*-imbrenda@linux.ibm.com, *n* being the number of the patch. Where the text is
that of version 1, or differs only in what this model cannot show, the patch here is version 1's class under its new
number. Three patches change nothing that the model has. They are here so that numbers and titles are those of the
mails.

What a shutdown costs: as much as before the series, 3.25 s for 4 GiB and 52.01 s for 64 GiB with the default costs.
Version 1 needs 0.11 s and 1.78 s. A reboot costs what it costs with version 1.

What breaks it: without a failure, nothing that the search can find on its small machines, but for guests with a
two-level table, as in version 1. With the default failures, the two fall-backs of patch 13 that forget references. And
if the Ultravisor refuses to create a CPU, patch 2 leaks what was allocated for it, as Linux does since 5.16 (inferred).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errnos import EFAULT, ENOMEM
from ..kernel.gmap import CRST_PAGES
from ..kernel.structs import DeferredPriv, Flow, Gmap, Kvm
from ..layers import Layer
from . import p02_page_flags as p02
from . import p03_secure_storage_violation as p03
from . import p04_secure_storage_exception as p04
from . import p05_refactor_reset_acc as p05
from . import p06_usage_counter as p06
from . import p07_export_before_import as p07
from . import p08_lazy_destroy_reboot as p08
from . import p11_feature_bits as p11
from .merged import m01_sida as m01
from .merged import m02_avoid_stalls as m02

if TYPE_CHECKING:
    from ..kernel import Kernel

V4_COVER_LETTER = "20210818132620.46770-1-imbrenda@linux.ibm.com"


class ConditionCodes(Layer):
    """Give the four condition codes of an Ultravisor Call names, such as ``UVC_CC_BUSY``.

    This model has the names from the start (`lazydestroy.uvcb`), so nothing changes in it.
    """

    number = 1
    title = "add macros for UVC CC values"
    files = ("arch/s390/include/asm/uv.h",)
    cover_letter = V4_COVER_LETTER


class SkipVcpuWithoutHandle(m01.NoDoubleFreeOfSida):
    """Do nothing for a vCPU that has no secure CPU.

    Before, the kernel freed its SIDA page all the same: whatever address a field held that has another meaning in a
    normal vCPU. A second KVM_PV_DISABLE after one that failed was enough. But a CPU that could not be created has no
    handle either, and what was allocated for it is leaked now. Linux 5.16 has the patch.
    """

    number = 2
    commit = release = ""
    cover_letter = V4_COVER_LETTER


class CreateWithReschedule(Layer):
    """Let others run while CREATE_SEC_CONF answers that it is busy (``uv_call_sched``).

    On an overcommitted host this took long enough for a stall report. In this model a call that answers busy is
    repeated at once, and no watchdog looks on, so nothing changes in it.
    """

    number = 3
    title = "avoid stalls for kvm_s390_pv_init_vm"
    files = ("arch/s390/kvm/pv.c",)
    cover_letter = V4_COVER_LETTER


class OneTryToMakeSecure(m02.AvoidStalls):
    """Make the call that imports a page once. If it answers busy or partial, let the caller try again later.

    The caller holds locks, the one of the page table among them. Before, the kernel repeated the call under them. Linux
    5.16 has the patch.
    """

    number = 4
    commit = release = ""
    files = ("arch/s390/kernel/uv.c",)
    cover_letter = V4_COVER_LETTER
    needs = (1,)


class LeakAsce(Layer):
    """Leak the top-level table of a configuration that cannot be destroyed, and give the VM a copy.

    It does what version 1's patch 1 does. The two functions moved to ``gmap.c`` and got new names, and they change the
    gmap's list of tables under ``guest_table_lock``. In this model a change of the list is one step, in which no other
    task acts: the lock would protect nothing.
    """

    number = 5
    title = "leak the ASCE page when destroy fails"
    files = ("arch/s390/include/asm/gmap.h", "arch/s390/kvm/pv.c", "arch/s390/mm/gmap.c")
    cover_letter = V4_COVER_LETTER

    def s390_remove_old_asce(self: Kernel, gmap: Gmap) -> None:
        """Take the table off the gmap's list, so that it is not freed with the gmap. Twice does no harm."""
        gmap.crst_list = [table for table in gmap.crst_list if table != gmap.table]

    def s390_replace_asce(self: Kernel, gmap: Gmap) -> int:
        """Give the gmap a copy of its top-level table. The old one is off the list afterwards, even without memory."""
        self.s390_remove_old_asce(gmap)
        new = None if self.machine.injected("top-level table") else self.crst_table_alloc()
        if new is None:
            return -ENOMEM
        gmap.crst_list = [*gmap.crst_list, new]
        self.gmap_set_table(gmap, new)
        return 0

    def kvm_s390_pv_leak_vm(self: Kernel, kvm: Kvm) -> None:
        """The table is leaked with the donated storage. Without memory for a copy the VM goes on with the old one."""
        old = kvm.gmap.table
        super().kvm_s390_pv_leak_vm(kvm)
        self.s390_replace_asce(kvm.gmap)
        self.machine.leak(old, CRST_PAGES, "top-level table")


class PageFlags(p02.PageFlags):
    """Clear ``PG_arch_1`` when a page has been destroyed or exported. As in version 1."""

    number = 6
    cover_letter = V4_COVER_LETTER


class SecureStorageViolation(p03.SecureStorageViolation):
    """On 0x3F, clear the page so that it can be used again. As in version 1."""

    number = 7
    cover_letter = V4_COVER_LETTER
    needs = (6,)


class SecureStorageException(p04.SecureStorageException):
    """On 0x3D of a guest, make the page accessible. New: an address without memory behind it is an error.

    Version 1 tried again, hoping for another exception. The address is still translated without ``mmap_lock``: Janosch
    Frank asked for it after version 6 (2e1beb50-21cb-8ff9-5e00-97344ab10ac6@linux.ibm.com), and version 7 takes it.
    """

    number = 8
    cover_letter = V4_COVER_LETTER

    def do_secure_storage_access_gmap(self: Kernel, kvm: Kvm, gaddr: int) -> None:
        """0x3D, guest: without memory there, SIE returns -EFAULT and the guest gets an addressing exception."""
        if self.gmap_translate(kvm.gmap, gaddr) == -EFAULT:
            self.machine.addressing_exception(kvm, gaddr)
        else:
            super().do_secure_storage_access_gmap(kvm, gaddr)


class RefactorResetAcc(p05.RefactorResetAcc):
    """Collect a few pages while the locks are held, destroy them after the locks are dropped. As in version 1."""

    number = 9
    cover_letter = V4_COVER_LETTER
    needs = (6,)


class UsageCounter(p06.UsageCounter):
    """Count the secure configurations of an address space, instead of a flag. As in version 1.

    The counter is still called ``is_protected``. Version 5 calls it ``protected_count``.
    """

    number = 10
    cover_letter = V4_COVER_LETTER


class ExportBeforeImport(p07.ExportBeforeImport):
    """Export a page before it is imported, as long as the mm has more than one configuration. As in version 1."""

    number = 11
    cover_letter = V4_COVER_LETTER


class ModuleParameter(Layer):
    """Add the module parameter ``lazy_destroy``. Patch 13 asks for it; until then it changes nothing.

    In version 1 the parameter came after the code that it turns off, and the ``return`` was forgotten.
    """

    number = 12
    title = "module parameter to fence lazy destroy"
    files = ("arch/s390/kvm/pv.c",)
    cover_letter = V4_COVER_LETTER
    parameter = "lazy_destroy"


class LazyDestroyForReboot(p08.LazyDestroyForReboot):
    """Leave the old configuration to a kernel thread, if the address space lives on. An exit is as before the series.

    New since version 1: ``lazy_destroy`` is asked first, and with 0 the function returns. The thread keeps a reference
    to the mm until it has counted the configuration down. Not new: without a table or a thread the kernel tears the VM
    down at once and forgets both references to the mm. So the address space is never removed (`GiveBackOnFailure` in
    `lazydestroy.series.fixes` fixes that). The thread went away with version 6, and the bug with it.
    """

    number = 13
    cover_letter = V4_COVER_LETTER
    needs = (5, 9, 12)

    def kvm_s390_pv_deinit_vm_deferred(self: Kernel, kvm: Kvm) -> Flow:
        """End a VM's configuration in the background if that is possible and not turned off. Returns an `Answer`."""
        if self.lazy_destroy is False:
            return (yield from self.kvm_s390_pv_deinit_vm_now(kvm))
        return (yield from super().kvm_s390_pv_deinit_vm_deferred(kvm))

    def hold_mm_structure(self: Kernel, priv: DeferredPriv) -> None:
        """The counter lives in the structure: it must outlive the address space."""
        self.mmgrab(priv.mm)

    def deinit_without_mm(self: Kernel, kvm: Kvm, priv: DeferredPriv) -> Flow:
        """The address space is gone: nothing is left for a thread to do."""
        self.mmdrop(priv.mm)
        return (yield from super().deinit_without_mm(kvm, priv))

    def detach_old_asce(self: Kernel, kvm: Kvm, priv: DeferredPriv) -> int:
        """The VM goes on with a copy of its top-level table."""
        return self.s390_replace_asce(kvm.gmap)

    def kvm_s390_pv_destroy_vm_thread(self: Kernel, priv: DeferredPriv) -> Flow:
        """The reference goes last, whatever DESTROY_SEC_CONF answered."""
        yield from super().kvm_s390_pv_destroy_vm_thread(priv)
        self.mmdrop(priv.mm)


class FeatureBits(p11.FeatureBits):
    """With the Ultravisor feature "misc" no export before import is needed. As in version 1.

    By August 2021 the kernel reads the feature bits anyway, so the patch only asks for one (inferred from its file
    list). The kernel below this series is that of May 2021, so here the patch still does both.
    """

    number = 14
    title = "avoid export before import if possible"
    files = ("arch/s390/kernel/uv.c",)
    cover_letter = V4_COVER_LETTER
    needs = (11,)


PATCHES = (
    ConditionCodes,
    SkipVcpuWithoutHandle,
    CreateWithReschedule,
    OneTryToMakeSecure,
    LeakAsce,
    PageFlags,
    SecureStorageViolation,
    SecureStorageException,
    RefactorResetAcc,
    UsageCounter,
    ExportBeforeImport,
    ModuleParameter,
    LazyDestroyForReboot,
    FeatureBits,
)
"""The fourteen patches of version 4, in order."""

__all__ = ["PATCHES", "V4_COVER_LETTER"]
