"""Commit f7866f582b1c, its core to be written: a configuration is ended at once, and its pages are left for later."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ...errnos import EIO, errorcode
from ...kernel.structs import Answer, Flow, Kvm
from ...layers import Layer
from ...machine import Machine
from ...page import State
from ...rounded import counted
from ...series import Series, linux_latest
from ...series.merged.m17_destroy_fast import DestroyFast
from ...uvcb import UVC, uv_cb_destroy_fast
from ..patching import PatchExercise

if TYPE_CHECKING:
    from ...kernel import Kernel

TASK = """
    Linux 6.2 can set a guest's configuration aside, so that the next guest may start: PREPARE. A thread cleans up
    later: PERFORM. This Ultravisor can do more: DESTROY_SEC_CONF_FAST ends a configuration at once. It gives all
    donated storage back, and takes its mark off the top-level table. But the pages stay secure, and they belong to a
    guest that no longer exists. Each must still be destroyed or exported before it can be used again.

    Write kvm_s390_pv_deinit_vm_fast(self, kvm), which ends the VM's configuration that way. PREPARE calls it. So does
    the kernel when the address space of a protected VM goes, just before it unmaps the pages. In both cases the VM's
    CPUs are gone. The function takes time, so it is a generator: call whatever takes time with "yield from".

    It returns Answer(0, rc, rrc), or Answer(-EIO, rc, rrc) if the Ultravisor refuses. Then userspace calls
    KVM_PV_DISABLE, which ends the configuration in the ordinary way, and must find everything as it was.

    What you need:

    cc, rc, rrc = yield from self.uv_destroy_fast(kvm.pv.handle) makes the call; cc is 0 if it worked.

    self.kvm_s390_pv_dealloc_vm(kvm) frees the donated storage, and clears what the VM knows of its configuration, the
    handle included.

    self.kvm_s390_clear_pv_state(kvm) does only the second half of that.

    self.kvm_s390_pv_leak_vm(kvm) gives up the donated storage: it is never used again.

    kvm.mm.context.is_protected is the count that KVM_PV_ENABLE has raised. PERFORM lowers it when the walk is over. At
    0, the kernel takes every page for a normal one.
"""


class Around(DestroyFast):
    """What the core finds around it: who calls it, and the call itself."""

    title = "all but the core of destroy fast"

    def kvm_s390_pv_deinit_vm_fast(self: Kernel, kvm: Kvm) -> Flow:
        """End a VM's configuration fast: refused, until you have written it. Returns an `Answer`."""
        return Answer(-EIO)
        yield

    def uv_destroy_fast(self: Kernel, handle: int) -> Flow:
        """DESTROY_SEC_CONF_FAST. Returns cc, rc, rrc."""
        uvcb = uv_cb_destroy_fast(handle=handle)
        cc = yield from self.uv_call_sched(uvcb)
        return cc, uvcb.header.rc, uvcb.header.rrc


class _Core(Layer):
    """A right answer, cut into pieces for the wrong ones."""

    def kvm_s390_pv_deinit_vm_fast(self: Kernel, kvm: Kvm) -> Flow:
        cc, rc, rrc = yield from self.uv_destroy_fast(kvm.pv.handle)
        if cc:
            return self.refused(kvm, rc, rrc)
        self.worked(kvm)
        return Answer(0, rc, rrc)

    def refused(self: Kernel, kvm: Kvm, rc: int, rrc: int) -> Answer:
        return Answer(-EIO, rc, rrc)

    def worked(self: Kernel, kvm: Kvm) -> None:
        self.kvm_s390_pv_dealloc_vm(kvm)


class CountedDown(_Core):
    """The configuration is gone, so the count goes down.

    The count is what has the kernel look at the pages. Are they clean when the configuration is gone?
    """

    def worked(self: Kernel, kvm: Kvm) -> None:
        self.kvm_s390_pv_dealloc_vm(kvm)
        kvm.mm.context.is_protected -= 1


class CountedUp(_Core):
    """Raise the count, for the pages that have no owner now.

    KVM_PV_ENABLE has raised it once for this configuration. How often is it lowered?
    """

    def worked(self: Kernel, kvm: Kvm) -> None:
        self.kvm_s390_pv_dealloc_vm(kvm)
        kvm.mm.context.is_protected += 1


class FreedInAnyCase(_Core):
    """Donated storage is given back, whatever the Ultravisor says.

    Who holds the storage if the Ultravisor has refused?
    """

    def refused(self: Kernel, kvm: Kvm, rc: int, rrc: int) -> Answer:
        self.kvm_s390_pv_dealloc_vm(kvm)
        return Answer(-EIO, rc, rrc)


class Forgotten(_Core):
    """If the Ultravisor refuses, the VM has no configuration all the same.

    The Ultravisor still has it. By which handle does the kernel end it later?
    """

    def refused(self: Kernel, kvm: Kvm, rc: int, rrc: int) -> Answer:
        self.kvm_s390_clear_pv_state(kvm)
        return Answer(-EIO, rc, rrc)


class Leaked(_Core):
    """If the Ultravisor refuses, what was donated is lost.

    So it is after an ordinary call that has failed, which was the last chance. Is this one the last?
    """

    def refused(self: Kernel, kvm: Kvm, rc: int, rrc: int) -> Answer:
        self.kvm_s390_pv_leak_vm(kvm)
        self.kvm_s390_clear_pv_state(kvm)
        return Answer(-EIO, rc, rrc)


class Success(_Core):
    """A refusal is no error: the ordinary call comes later.

    What does PREPARE do after a success? Does it still know what there is to end later?
    """

    def refused(self: Kernel, kvm: Kvm, rc: int, rrc: int) -> Answer:
        return Answer(0, rc, rrc)


class StorageKept(_Core):
    """Clear what the VM knows of its configuration, and leave the storage to PERFORM.

    What has PREPARE noted for PERFORM, if the configuration was ended fast?
    """

    def worked(self: Kernel, kvm: Kvm) -> None:
        self.kvm_s390_clear_pv_state(kvm)


class HandleKept(_Core):
    """Free the storage, and leave the handle to the caller.

    PREPARE clears it. Who else calls, and what comes after that?
    """

    def worked(self: Kernel, kvm: Kvm) -> None:
        self.machine.give_back(*kvm.pv.stor_base)
        self.machine.give_back(*kvm.pv.stor_var)


class TableReplaced(_Core):
    """Give the VM a copy of its top-level table, as for a configuration that is set aside.

    The old one is spoiled as long as the Ultravisor marks it. Does it still, after this call? And who frees it?
    """

    def worked(self: Kernel, kvm: Kvm) -> None:
        self.kvm_s390_pv_dealloc_vm(kvm)
        self.s390_replace_asce(kvm.gmap)


class Ordinary(Layer):
    """End the configuration with DESTROY_SEC_CONF, which cleans its pages as well.

    That is safe. How long does it take for a guest of 1 TiB, and who waits for it?
    """

    def kvm_s390_pv_deinit_vm_fast(self: Kernel, kvm: Kvm) -> Flow:
        cc, rc, rrc = self.uv_cmd_nodata(kvm.pv.handle, UVC.DESTROY_SEC_CONF)
        if cc:
            return Answer(-EIO, rc, rrc)
        self.kvm_s390_pv_dealloc_vm(kvm)
        return Answer(0, rc, rrc)
        yield


class PagesFirst(Layer):
    """Destroy the pages first, so that none is left secure.

    That is safe. But what is left for PERFORM to do, and who has waited for it?
    """

    def kvm_s390_pv_deinit_vm_fast(self: Kernel, kvm: Kvm) -> Flow:
        if self.mmget_not_zero(kvm.mm):
            yield from self.s390_uv_destroy_range(kvm.mm)
            yield from self.mmput(kvm.mm)
        cc, rc, rrc = yield from self.uv_destroy_fast(kvm.pv.handle)
        if cc:
            return Answer(-EIO, rc, rrc)
        self.kvm_s390_pv_dealloc_vm(kvm)
        return Answer(0, rc, rrc)


class ModelAnswer:
    """Free what the Ultravisor has given back, and nothing else."""

    def kvm_s390_pv_deinit_vm_fast(self, kvm):
        cc, rc, rrc = yield from self.uv_destroy_fast(kvm.pv.handle)
        if cc:
            return Answer(-EIO, rc, rrc)
        self.kvm_s390_pv_dealloc_vm(kvm)
        return Answer(0, rc, rrc)


WITHOUT = linux_latest.without(17, 21).plus(Around)


def _prepared(kernel: Series) -> tuple[Machine, Answer, Counter[str]]:
    """QEMU has a guest of eight secure pages set aside: the machine, PREPARE's answer, and the calls that it made."""
    machine = Machine("32 KiB", kernel=kernel, low_memory=0, segment_table=0, ultravisor="as of 2022")
    machine.boot()
    machine.protect()
    for page in range(machine.guest_pages):
        machine.touch(page)
    before = machine.engine.calls()
    answer = machine.prepare()
    made = Counter[str]()
    for (command, _), times in (machine.engine.calls() - before).items():
        made[command.name] += times
    return machine, answer, made


def prepare_ends_it_and_leaves_the_pages(kernel: Series) -> str:
    """A guest of eight pages, all of them secure, is set aside: PREPARE."""
    machine, answer, made = _prepared(kernel)
    if answer.r:
        return (
            f"The Ultravisor has the call, and PREPARE answers -{errorcode[-answer.r]}: QEMU ends the guest with "
            "KVM_PV_DISABLE, and the next one waits."
        )
    left = sum(pages for record, pages in machine.memory.records().items() if record.state == State.SECURE)
    if left == machine.guest_pages and not machine.uv.configurations:
        return ""
    called = ", ".join(name + (f" {times} times" if times > 1 else "") for name, times in sorted(made.items()))
    return (
        f"After PREPARE {left} of {machine.guest_pages} pages are still secure, and "
        f"{counted(len(machine.uv.configurations), 'configurations')} left. It made these calls: {called}. The next "
        "guest waits for them, and a large guest has many pages."
    )


def perform_leaves_nothing(kernel: Series) -> str:
    """The same, and then PERFORM: all pages are clean, and the count is 0."""
    machine, answer, _ = _prepared(kernel)
    if answer.r:
        return ""
    machine.perform()
    machine.run()
    count = machine.mm.context.is_protected
    return "" if not count else f"After PERFORM the count is {count}, and no configuration is left."


EXERCISE = PatchExercise(
    name="destroy-fast",
    title="support for Destroy fast UVC, its core",
    lesson="course/10-what-linux-ships.ipynb",
    task=TASK,
    kernel=WITHOUT,
    writes=("kvm_s390_pv_deinit_vm_fast",),
    searches=(
        {"failures": (), "fast": True, "sharing": False},
        {"failures": ("DESTROY_SEC_CONF_FAST",), "fast": True, "sharing": False},
    ),
    probes=(prepare_ends_it_and_leaves_the_pages, perform_leaves_nothing),
    mistakes=(
        CountedDown,
        CountedUp,
        FreedInAnyCase,
        Forgotten,
        Leaked,
        Success,
        StorageKept,
        HandleKept,
        TableReplaced,
        Ordinary,
        PagesFirst,
    ),
    decisive=(prepare_ends_it_and_leaves_the_pages,),
    model_answer=ModelAnswer,
    steps=(
        "The call ends the configuration: its donated storage is the host's again, and the VM has no handle any more.",
        (
            "The count stays. It does not say how many configurations there are, but that pages may still be secure: "
            "at 0 the kernel would free them without a look. PERFORM lowers it after the walk. When the address space "
            "goes, the count goes with it."
        ),
        (
            "If the Ultravisor refuses, it still holds the storage, and the VM needs its handle for KVM_PV_DISABLE. So "
            "nothing is freed, and nothing is cleared."
        ),
        (
            "The commit also warns once of a refusal, and clears the gmap's own note of the handle. The search's small "
            "machine cannot tell the difference."
        ),
    ),
)
