"""Patch 8, its core to be written: a reboot that leaves the clean-up to a kernel thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...kernel.structs import Answer, DeferredPriv, Flow, Kvm
from ...layers import Layer
from ...page import PAGE_SHIFT
from ...scenarios import reboot
from ...series import Series, v1_fixed
from ...units import format_count, format_duration
from ...uvcb import UVC
from ..patching import PatchExercise

if TYPE_CHECKING:
    from ...kernel import Kernel

TASK = """
    A is reset. This kernel destroys A's memory, then its configuration, and only then may the next guest run. Leave
    that work to a kernel thread. Both functions take time, so they are generators: call whatever takes time with "yield
    from", which gives you what it returns.

    kvm_s390_pv_deinit_vm_deferred(self, kvm) is called when A's vCPUs are gone. It returns Answer(0, rc=1, rrc=42) if a
    thread does the rest. It's also called at the end of the process. By then the address space may have been removed,
    and self.mmget_not_zero(kvm.mm) is False. There is no reason to be lazy in that case: (yield from
    self.kvm_s390_pv_deinit_vm_now(kvm)) does everything at once, and gives you the answer to return.

    kvm_s390_pv_destroy_vm_thread(self, priv) is the thread; self.machine.start_thread(...) starts it. Leave no page to
    DESTROY_SEC_CONF, not even if the process exits meanwhile. That this call cleans pages, too, became known only a
    year later, with version 10.

    What you need for the first function:

    yield from self.kvm_s390_clear_2g(kvm) destroys what is mapped of the first 2 GiB. The next guest's CPUs have their
    prefix areas there, so these pages can't wait.

    priv = self.remember(kvm) is all that the thread must know: priv.mm, priv.handle, the donated storage, the old
    top-level table.

    self.kvm_s390_pv_replace_asce(kvm) gives the VM a copy of its top-level table, because the Ultravisor has marked the
    old one for A. It returns 0 if there was memory for a copy.

    self.kvm_s390_clear_pv_state(kvm): from then on, the VM has no configuration.

    And for the thread:

    yield from self.s390_uv_destroy_range(priv.mm, 1) destroys all that is mapped. It stops as soon as the address space
    has only one user.

    cc, rc, rrc = self.uv_cmd_nodata(priv.handle, UVC.DESTROY_SEC_CONF) destroys A's configuration.

    self.configuration_destroyed(priv.mm, cc) counts it down, in the mm.

    self.give_back_all(priv) frees the donated storage and the old table.

    Two counts keep things alive:

    mm_users: as long as you are a user, the address space isn't removed. You become one with self.mmget_not_zero(mm),
    and yield from self.mmput(mm) ends that. The last user removes the address space.

    mm_count: as long as you hold a reference, the structure mm isn't freed. You take one with self.mmgrab(mm), and drop
    it with self.mmdrop(mm). All users together hold one.
"""


class Around(Layer):
    """What the core of patch 8 finds around it: the call sites, and what it is made of."""

    def kvm_s390_pv_end(self: Kernel, kvm: Kvm) -> Flow:
        """The call sites."""
        return (yield from self.kvm_s390_pv_deinit_vm_deferred(kvm))

    def kvm_s390_pv_deinit_vm_deferred(self: Kernel, kvm: Kvm) -> Flow:
        """End a VM's configuration: at once, until you have written it. Returns an `Answer`."""
        return (yield from self.kvm_s390_pv_deinit_vm_now(kvm))

    def kvm_s390_pv_deinit_vm_now(self: Kernel, kvm: Kvm) -> Flow:
        """End a VM's configuration at once. Returns an `Answer`."""
        return (yield from self.kvm_s390_pv_deinit_vm(kvm))

    def kvm_s390_clear_2g(self: Kernel, kvm: Kvm) -> Flow:
        """Destroy what is mapped of the guest's first 2 GiB."""
        self.machine.engine.doing("destroys the first 2 GiB")
        yield from self.s390_uv_destroy_range(kvm.mm, 1, self.machine.low_pages)

    def remember(self: Kernel, kvm: Kvm) -> DeferredPriv:
        """All that must be ended."""
        return DeferredPriv(
            mm=kvm.mm,
            handle=kvm.pv.handle,
            stor_base=kvm.pv.stor_base,
            stor_var=kvm.pv.stor_var,
            old_table=kvm.gmap.table,
            has_mm=True,
        )

    def give_back_all(self: Kernel, priv: DeferredPriv) -> None:
        """Free the donated storage and the old top-level table."""
        self.machine.uv.tables.pop(priv.old_table << PAGE_SHIFT, None)
        self.machine.give_back(*priv.stor_base)
        self.machine.give_back(*priv.stor_var)
        self.crst_table_free(priv.old_table)


class _Core(Layer):
    """A right answer, cut into pieces for the wrong ones."""

    def kvm_s390_pv_deinit_vm_deferred(self: Kernel, kvm: Kvm) -> Flow:
        if not self.mmget_not_zero(kvm.mm):
            return (yield from self.kvm_s390_pv_deinit_vm_now(kvm))
        self.hold(kvm)
        yield from self.at_once(kvm)
        priv = self.remember(kvm)
        self.part(kvm)
        self.machine.start_thread(self.kvm_s390_pv_destroy_vm_thread(priv))
        return Answer(0, rc=1, rrc=42)

    def hold(self: Kernel, kvm: Kvm) -> None:
        self.mmgrab(kvm.mm)

    def at_once(self: Kernel, kvm: Kvm) -> Flow:
        yield from self.kvm_s390_clear_2g(kvm)

    def part(self: Kernel, kvm: Kvm) -> None:
        self.kvm_s390_pv_replace_asce(kvm)
        self.kvm_s390_clear_pv_state(kvm)

    def kvm_s390_pv_destroy_vm_thread(self: Kernel, priv: DeferredPriv) -> Flow:
        yield from self.s390_uv_destroy_range(priv.mm, 1)
        yield from self.mmput(priv.mm)
        self.end(priv)
        self.mmdrop(priv.mm)

    def end(self: Kernel, priv: DeferredPriv) -> None:
        cc, _, _ = self.uv_cmd_nodata(priv.handle, UVC.DESTROY_SEC_CONF)
        self.configuration_destroyed(priv.mm, cc)
        self.give_back_all(priv)


class LowMemoryLater(_Core):
    """Leave everything to the thread, the first 2 GiB as well.

    What lies there that the next guest's CPUs need before their first instruction?
    """

    def at_once(self: Kernel, kvm: Kvm) -> Flow:
        yield


class SameTable(_Core):
    """Let the VM go on with its top-level table.

    The Ultravisor has marked it when A was created, and takes it for no other configuration as long as A is there.
    """

    def part(self: Kernel, kvm: Kvm) -> None:
        self.kvm_s390_clear_pv_state(kvm)


class RememberedLate(_Core):
    """Write down what the thread must know when the VM has its new table already.

    Then it is the new table that the thread knows. Which one does it free in the end, and which has the Ultravisor
    marked?
    """

    def kvm_s390_pv_deinit_vm_deferred(self: Kernel, kvm: Kvm) -> Flow:
        if not self.mmget_not_zero(kvm.mm):
            return (yield from self.kvm_s390_pv_deinit_vm_now(kvm))
        self.hold(kvm)
        yield from self.at_once(kvm)
        self.kvm_s390_pv_replace_asce(kvm)
        priv = self.remember(kvm)
        self.kvm_s390_clear_pv_state(kvm)
        self.machine.start_thread(self.kvm_s390_pv_destroy_vm_thread(priv))
        return Answer(0, rc=1, rrc=42)


class AskedInTheThread(_Core):
    """Start the thread in any case, and let it ask whether there still is an address space.

    If there is none it returns. Who ends A's configuration then, and gives back what was donated for it?
    """

    def kvm_s390_pv_deinit_vm_deferred(self: Kernel, kvm: Kvm) -> Flow:
        self.hold(kvm)
        yield from self.at_once(kvm)
        priv = self.remember(kvm)
        self.part(kvm)
        self.machine.start_thread(self.kvm_s390_pv_destroy_vm_thread(priv))
        return Answer(0, rc=1, rrc=42)

    def kvm_s390_pv_destroy_vm_thread(self: Kernel, priv: DeferredPriv) -> Flow:
        if not self.mmget_not_zero(priv.mm):
            self.mmdrop(priv.mm)
            return
        yield from super().kvm_s390_pv_destroy_vm_thread(priv)


class StillTheVms(_Core):
    """Leave the handle and the storage with the VM.

    The end of the VM finds a configuration there, and ends it once more.
    """

    def part(self: Kernel, kvm: Kvm) -> None:
        self.kvm_s390_pv_replace_asce(kvm)


class NoReference(_Core):
    """Be a user of the address space, and count the configuration down after mmput.

    The count lives in the mm. When the last user is gone and no one holds a reference, where is it?
    """

    def hold(self: Kernel, kvm: Kvm) -> None:
        """Nothing more is held."""
        return

    def kvm_s390_pv_destroy_vm_thread(self: Kernel, priv: DeferredPriv) -> Flow:
        yield from self.s390_uv_destroy_range(priv.mm, 1)
        yield from self.mmput(priv.mm)
        self.end(priv)


class NoUser(_Core):
    """Hold the structure, and be no user of the address space.

    How many users has an address space whose process runs? And when does s390_uv_destroy_range stop, with which
    kvm_s390_clear_2g walks, too?
    """

    def kvm_s390_pv_deinit_vm_deferred(self: Kernel, kvm: Kvm) -> Flow:
        if not kvm.mm.mm_users:
            return (yield from self.kvm_s390_pv_deinit_vm_now(kvm))
        self.hold(kvm)
        yield from self.at_once(kvm)
        priv = self.remember(kvm)
        self.part(kvm)
        self.machine.start_thread(self.kvm_s390_pv_destroy_vm_thread(priv))
        return Answer(0, rc=1, rrc=42)

    def kvm_s390_pv_destroy_vm_thread(self: Kernel, priv: DeferredPriv) -> Flow:
        yield from self.s390_uv_destroy_range(priv.mm, 1)
        self.end(priv)
        self.mmdrop(priv.mm)


class UserToTheEnd(_Core):
    """Be a user of the address space until everything is done, and take no reference.

    If the process exits meanwhile you are the only user, and the walk stops. Who has made the rest of the pages
    accessible when you destroy their configuration?
    """

    def hold(self: Kernel, kvm: Kvm) -> None:
        """Nothing more is held."""
        return

    def kvm_s390_pv_destroy_vm_thread(self: Kernel, priv: DeferredPriv) -> Flow:
        yield from self.s390_uv_destroy_range(priv.mm, 1)
        self.end(priv)
        yield from self.mmput(priv.mm)


class UserForEver(_Core):
    """Become a user of the address space, and never end it.

    The last user removes the address space. Who is it, when the process has exited?
    """

    def kvm_s390_pv_destroy_vm_thread(self: Kernel, priv: DeferredPriv) -> Flow:
        yield from self.s390_uv_destroy_range(priv.mm, 1)
        self.end(priv)
        self.mmdrop(priv.mm)


class StorageTooEarly(_Core):
    """Give the donated storage back when the VM has let go of it.

    Whose is it, until DESTROY_SEC_CONF has succeeded?
    """

    def kvm_s390_pv_destroy_vm_thread(self: Kernel, priv: DeferredPriv) -> Flow:
        self.give_back_all(priv)
        yield from self.s390_uv_destroy_range(priv.mm, 1)
        yield from self.mmput(priv.mm)
        cc, _, _ = self.uv_cmd_nodata(priv.handle, UVC.DESTROY_SEC_CONF)
        self.configuration_destroyed(priv.mm, cc)
        self.mmdrop(priv.mm)


class ConfigurationFirst(_Core):
    """Destroy the configuration, then its pages.

    The Ultravisor lets go of all pages then. Version 10 of the series has this order for that reason; version 1 does
    not rely on it.
    """

    def kvm_s390_pv_destroy_vm_thread(self: Kernel, priv: DeferredPriv) -> Flow:
        self.end(priv)
        yield from self.s390_uv_destroy_range(priv.mm, 1)
        yield from self.mmput(priv.mm)
        self.mmdrop(priv.mm)


class NotLazy(_Core):
    """Do what the thread would do, and return when it is done.

    Then the next guest waits for it.
    """

    def kvm_s390_pv_deinit_vm_deferred(self: Kernel, kvm: Kvm) -> Flow:
        if not self.mmget_not_zero(kvm.mm):
            return (yield from self.kvm_s390_pv_deinit_vm_now(kvm))
        self.hold(kvm)
        yield from self.at_once(kvm)
        priv = self.remember(kvm)
        self.part(kvm)
        yield from self.kvm_s390_pv_destroy_vm_thread(priv)
        return Answer(0)


class ModelAnswer:
    """What cannot wait, at once; the rest in a thread that holds what it needs until it is done."""

    def kvm_s390_pv_deinit_vm_deferred(self, kvm):
        if not self.mmget_not_zero(kvm.mm):
            return (yield from self.kvm_s390_pv_deinit_vm_now(kvm))
        self.mmgrab(kvm.mm)
        yield from self.kvm_s390_clear_2g(kvm)
        priv = self.remember(kvm)
        if self.kvm_s390_pv_replace_asce(kvm):
            raise MemoryError("no memory for a table: the whole patch falls back here")
        self.kvm_s390_clear_pv_state(kvm)
        self.machine.start_thread(self.kvm_s390_pv_destroy_vm_thread(priv))
        return Answer(0, rc=1, rrc=42)

    def kvm_s390_pv_destroy_vm_thread(self, priv):
        yield from self.s390_uv_destroy_range(priv.mm, 1)
        yield from self.mmput(priv.mm)
        cc, _, _ = self.uv_cmd_nodata(priv.handle, UVC.DESTROY_SEC_CONF)
        self.configuration_destroyed(priv.mm, cc)
        self.give_back_all(priv)
        self.mmdrop(priv.mm)


WITHOUT = v1_fixed.without(8, 9, 10).plus(Around)


def the_guest_need_not_wait(kernel: Series) -> str:
    """A reboot of 8 GiB, in which the next guest leaves the old pages alone."""
    lazy, before = (reboot("8 GiB", kernel=each, touch="none") for each in (kernel, WITHOUT))
    if lazy.downtime_ns is None or before.downtime_ns is None:
        return "A reboot of 8 GiB: the next guest never runs."
    if lazy.downtime_ns * 2 < before.downtime_ns:
        return ""
    return (
        f"A reboot of 8 GiB: the next guest waits {format_duration(lazy.downtime_ns)}. Without the patch it waits "
        f"{format_duration(before.downtime_ns)}. Who does the work, and who waits for it?"
    )


def no_page_is_left_to_the_configuration(kernel: Series) -> str:
    """The same, and once more with a process that exits meanwhile: each old page is destroyed, or exported."""
    for exit_at, story in ((None, "A reboot of 8 GiB"), ("2 s", "A reboot of 8 GiB; after 2 s the process exits")):
        run = reboot("8 GiB", kernel=kernel, touch="none", exit_at=exit_at)
        made = sum(run.uvcs[cmd] - run.noop_uvcs[cmd] - run.failed_uvcs[cmd] for cmd in _MAKE_ACCESSIBLE)
        if made < run.pages:
            return (
                f"{story}: of {format_count(run.pages)} old pages {format_count(made)} were destroyed or exported. "
                "The others were left to DESTROY_SEC_CONF. It cleans them, but the kernel of version 1 does not rely "
                "on that."
            )
    return ""


_MAKE_ACCESSIBLE = (UVC.DESTR_SEC_STOR, UVC.CONV_FROM_SEC_STOR)


EXERCISE = PatchExercise(
    name="patch-8",
    title="lazy destroy for reboot, its core",
    lesson="course/04-lazy-reboot.ipynb",
    task=TASK,
    kernel=WITHOUT,
    writes=("kvm_s390_pv_deinit_vm_deferred", "kvm_s390_pv_destroy_vm_thread"),
    searches=({"failures": (), "sharing": False, "low_pages": 1}, {"failures": (), "sharing": False}),
    probes=(the_guest_need_not_wait, no_page_is_left_to_the_configuration),
    mistakes=(
        LowMemoryLater,
        SameTable,
        RememberedLate,
        AskedInTheThread,
        StillTheVms,
        NoReference,
        NoUser,
        UserToTheEnd,
        UserForEver,
        StorageTooEarly,
        ConfigurationFirst,
        NotLazy,
    ),
    decisive=(the_guest_need_not_wait,),
    model_answer=ModelAnswer,
    steps=(
        "Without an address space there is nothing to walk: end the configuration at once.",
        (
            "The thread needs the address space for its walk, so it becomes a user. And it needs the structure, "
            "because the count is in it, after it has stopped being a user; so it takes a reference. (Version 1 "
            "forgot that.)"
        ),
        "The first 2 GiB cannot wait: the next guest's CPUs have their prefix areas there.",
        "The VM lets go of A: another top-level table, no handle, no donated storage. It can go protected again.",
        (
            "In the thread: pages first, then the configuration, and only then what was donated for it. The "
            "Ultravisor holds the storage until the configuration is gone."
        ),
        (
            "The patch falls back to doing all at once if there is no memory for the record, the table or the "
            "thread. And a configuration that cannot be destroyed keeps its storage forever."
        ),
    ),
)
