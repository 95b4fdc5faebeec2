"""What was wrong with version 1 itself: six bugs that the model can show, and for each a layer that fixes it.

Two were fixed in version 2, one lived until May 2023, three went away when the code around them was reworked. `BUGS`
has them all; ``bug.kernel`` is version 1 with the other five fixed, so that one is seen alone, and ``v1_fixed`` has
none. The fixes are this project's own: the kernel's, where there was one, is named. `OTHER_BUGS` are known as well, but
the model cannot show them.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from ..errnos import EINVAL
from ..kernel.gmap import ASCE_TYPE_MASK, ASCE_TYPE_SEGMENT, CRST_PAGES
from ..kernel.structs import Answer, DeferredPriv, Flow, Gmap, Kvm, Mm
from ..layers import Layer, Series
from ..page import Holder, Page
from ..tables import html_table
from .check import Verdict, check

if TYPE_CHECKING:
    from ..kernel import Kernel


class ReturnWhenOff(Layer):
    """Patch 10 forgot to return when lazy destroy is turned off."""

    fixes = (10,)

    def kvm_s390_pv_deinit_vm_deferred(self: Kernel, kvm: Kvm) -> Flow:
        """Turned off: at once, and nothing else."""
        if self.lazy_destroy is False:
            return (yield from self.kvm_s390_pv_deinit_vm_now(kvm))
        return (yield from super().kvm_s390_pv_deinit_vm_deferred(kvm))


class KeepTheMm(Layer):
    """The clean-up thread keeps a reference to the mm until it has counted the configuration down."""

    fixes = (8,)

    def kvm_s390_pv_destroy_vm_thread(self: Kernel, priv: DeferredPriv) -> Flow:
        """The counter lives in the mm: it must still be there at the end."""
        self.mmgrab(priv.mm)
        yield from super().kvm_s390_pv_destroy_vm_thread(priv)
        self.mmdrop(priv.mm)


class KeepSegmentTables(Layer):
    """A top-level table that the host-to-guest map points into is never replaced.

    It costs nothing: guests this small are cleaned in the foreground anyway.
    """

    fixes = (1, 8)

    def kvm_s390_pv_replace_asce(self: Kernel, kvm: Kvm) -> int:
        """Refuse to replace a segment table. As always, the old table is off the list afterwards."""
        if self.is_segment_table(kvm.gmap):
            self.kvm_s390_pv_remove_old_asce(kvm)
            return -EINVAL
        return super().kvm_s390_pv_replace_asce(kvm)

    def kvm_s390_pv_deinit_vm_deferred(self: Kernel, kvm: Kvm) -> Flow:
        """Do not even begin, unless the address space is gone and no table would be replaced."""
        if self.is_segment_table(kvm.gmap) and kvm.mm.mm_users:
            return (yield from self.kvm_s390_pv_deinit_vm_now(kvm))
        return (yield from super().kvm_s390_pv_deinit_vm_deferred(kvm))

    def is_segment_table(self: Kernel, gmap: Gmap) -> bool:
        """Whether the guest has two levels of tables."""
        return gmap.asce & ASCE_TYPE_MASK == ASCE_TYPE_SEGMENT


class GiveBackOnFailure(Layer):
    """Where a table or a thread cannot be had, give back what was taken before: references to the mm, and the table."""

    fixes = (8, 9)

    def deferred_destroy_failed(self: Kernel, kvm: Kvm, priv: DeferredPriv) -> Flow:
        """At once, then, and as if nothing had been tried."""
        answer: Answer = yield from self.kvm_s390_pv_deinit_vm_now(kvm)
        if answer.r:
            if self.machine.memory.record(priv.old_table).holder != Holder.LEAKED:
                self.machine.leak(priv.old_table, CRST_PAGES, "top-level table")
        elif priv.old_table == kvm.gmap.table:
            kvm.gmap.crst_list = [*kvm.gmap.crst_list, priv.old_table]
        else:
            self.crst_table_free(priv.old_table)
        if priv.has_mm:
            yield from self.put_mm_of(priv)
        self.mmdrop(priv.mm)
        return answer


class EmptyEveryList(Layer):
    """Empty every list of pages that were set aside.

    Version 1 empties a list only together with a configuration that the VM still has. But it sets pages aside even if
    that one is gone, and also if a clean-up thread removes the address space.
    """

    fixes = (9,)

    def put_mm_of(self: Kernel, priv: DeferredPriv) -> Flow:
        """The look and the put in one: no other task can come between them."""
        mm = priv.mm
        mm.mm_users -= 1
        if mm.mm_users == 0:
            mm.context.pv_sync_destroy = 1
            yield from self.exit_mmap(mm)
            self.mmdrop(mm)

    def kvm_s390_pv_deinit_vm_now(self: Kernel, kvm: Kvm) -> Flow:
        """No thread will come: the list is emptied here."""
        answer: Answer = yield from super().kvm_s390_pv_deinit_vm_now(kvm)
        if not kvm.mm.mm_users and kvm.mm.context.deferred_list.list_pages:
            yield from self.empty_deferred_list(kvm.mm)
        return answer

    def kvm_arch_destroy_vm(self: Kernel, kvm: Kvm) -> Flow:
        """The VM has no configuration any more, but a list: a thread empties it."""
        if not kvm.pv.handle and kvm.mm.context.deferred_list.list_pages:
            self.mmgrab(kvm.mm)
            self.machine.start_thread(self.empty_stranded_list(kvm.mm))
        yield from super().kvm_arch_destroy_vm(kvm)

    def empty_stranded_list(self: Kernel, mm: Mm) -> Flow:
        """A thread that does nothing else."""
        yield from self.empty_deferred_list(mm)
        self.mmdrop(mm)


class FreeNothingSecure(Layer):
    """Before a page is freed, see whether it was destroyed.

    If not, it is exported: that works while the configuration still has a CPU. If that is refused, too, the page is
    leaked. Linux 6.0 destroys and exports in this order when it unmaps a page (commit 9bf811dae443), but frees the
    page even if both are refused; later kernels leak it.
    """

    fixes = (5, 9)

    def s390_uv_destroy_pfn(self: Kernel, page: Page) -> None:
        """A page that is still mapped may stay secure: it is the running guest's."""
        if page.refs > 1:
            super().s390_uv_destroy_pfn(page)
        elif self.uv_destroy_owned_page(page) and self.uv_convert_owned_from_secure(page):
            self.machine.leak_page(page, "a set-aside page that can be neither destroyed nor exported")
        else:
            self.put_page(page)


FIXES = (ReturnWhenOff, KeepTheMm, KeepSegmentTables, GiveBackOnFailure, EmptyEveryList, FreeNothingSecure)
"""The fix layers, in the order of `BUGS`."""


@dataclass(frozen=True, slots=True)
class Bug:
    """A bug of version 1.

    Attributes
    ----------
    name : str
    patches : tuple of int
        Where it is.
    what : str
        What happens.
    fixed : str
        When, in the kernel's history.
    fix : type
        The layer that fixes it here.
    kernel : Series
        Version 1 with all other bugs fixed.
    bounds : dict
        What `lazydestroy.series.check` needs to be told to meet it: a parameter of the kernel, a kind of guest.
    """

    name: str
    patches: tuple[int, ...]
    what: str
    fixed: str
    fix: type[Layer]
    kernel: Series
    bounds: dict[str, Any]

    def check(self) -> Verdict:
        """Search for the shortest way to meet it."""
        return check(self.kernel, **self.bounds)


class Bugs(tuple[Bug, ...]):
    """Bugs that the model can show, as a table in a notebook."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "\n".join(f"{bug.name} ({_named(bug)}): {bug.what} (fixed: {bug.fixed})" for bug in self)

    def _repr_html_(self) -> str:
        rows = ((bug.name, _patches(bug), bug.what, bug.fixed) for bug in self)
        return html_table(("bug", "patch", "what happens", "fixed"), (map(escape, row) for row in rows))


def _patches(bug: Bug | OtherBug) -> str:
    return ", ".join(map(str, bug.patches))


def _named(bug: Bug | OtherBug) -> str:
    return f"patch{'es' if len(bug.patches) > 1 else ''} {_patches(bug)}"


def bugs_of(v1: Series) -> Bugs:
    """The bugs of version 1, which is `v1`."""
    found = []
    for number, (fix, (name, patches, what, fixed, bounds)) in enumerate(zip(FIXES, _BUGS, strict=True)):
        others = tuple(other for other in FIXES if other is not fix)
        kernel = Series((*v1.layers, *others), f"BUGS[{number}].kernel")
        found.append(Bug(name, patches, what, fixed, fix, kernel, bounds))
    return Bugs(found)


_BUGS: tuple[tuple[str, tuple[int, ...], str, str, dict[str, Any]], ...] = (
    (
        "missing return",
        (10,),
        (
            "with the parameter 0 the VM is torn down at once, and then again. A thread destroys a configuration "
            "that is gone, with a warning. One more top-level table leaks at every reboot, and userspace hears rc "
            "1, rrc 42"
        ),
        "version 2",
        {"lazy_destroy": False, "failures": ()},
    ),
    (
        "use after free of the mm",
        (8, 9),
        "the thread counts the configuration down in the mm after it has dropped its last reference to it",
        "version 2",
        {"failures": ()},
    ),
    (
        "guests with a two-level table",
        (1, 8),
        (
            "up to 2 GiB the host-to-guest map points into the top-level table; replacing the table leaves the "
            "pointers behind, and unmapping the guest writes through them into freed memory"
        ),
        "May 2023, 292a7d6fca33",
        {"segment_table": "1 MiB", "failures": ()},
    ),
    (
        "references leaked on the fall-back",
        (8, 9),
        (
            "if no table or no thread can be had, the VM is torn down at once without dropping the reference to the "
            "mm: the address space is never removed"
        ),
        "reworked away",
        {"failures": ("kthread",)},
    ),
    (
        "lists that are never emptied",
        (9,),
        (
            "pages are set aside whenever the counter is above 0 at exit, but only a VM that still has a configuration "
            "empties the list"
        ),
        "shutdown part dropped in version 4",
        {"failures": ("DESTROY_SEC_CONF",)},
    ),
    (
        "secure pages freed",
        (5, 9),
        (
            "a set-aside page that the Ultravisor refuses to destroy is freed all the same, still secure: its next "
            "owner faults forever; one refused DESTROY_SEC_CPU at exit is enough"
        ),
        "shutdown part dropped in version 4; Linux 6.0 exports what it cannot destroy (9bf811dae443)",
        {"failures": ("DESTROY_SEC_CPU",)},
    ),
)


@dataclass(frozen=True, slots=True)
class OtherBug:
    """A bug of version 1 that is known, and that this model cannot show, or only in part.

    Attributes
    ----------
    patches : tuple of int
        Where it is.
    what : str
    fixed : str
        When: a version of the series, or a commit.
    why_not : str
        Why the model does not show it.
    """

    patches: tuple[int, ...]
    what: str
    fixed: str
    why_not: str


class OtherBugs(tuple[OtherBug, ...]):
    """Known bugs, shown as a table in a notebook."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "\n".join(f"{_named(bug)}: {bug.what} (fixed: {bug.fixed}; not here: {bug.why_not})" for bug in self)

    def _repr_html_(self) -> str:
        rows = ((_patches(bug), bug.what, bug.fixed, bug.why_not) for bug in self)
        return html_table(("patch", "what is wrong", "fixed", "why not here"), (map(escape, row) for row in rows))


OTHER_BUGS = OtherBugs(
    (
        OtherBug(
            (1,),
            "the page index of the copied top-level table is not zeroed: validity intercepts of the guest",
            "c2fceb59bbda, July 2023",
            "the model has no page index",
        ),
        OtherBug(
            (1, 8),
            "the gmap's list of tables is changed without its lock, and a table is listed before it is filled",
            "versions 3 and 7",
            "the list is changed in one step, in which no other task acts",
        ),
        OtherBug(
            (4,),
            "the guest address is translated without mmap_lock, and a translation that fails is tried again",
            "versions 7 and 3",
            "the guest's memory is always mapped in its gmap",
        ),
        OtherBug(
            (3, 4),
            "find_vma is asked for an exact address, and may give the next area",
            "version 5 (vma_lookup)",
            "the guest's memory is one area",
        ),
        OtherBug(
            (9,),
            "the list of set-aside pages has no lock: one thread may append to it while another empties it (inferred)",
            "dropped in version 4",
            "one page step is never in the middle of another",
        ),
        OtherBug(
            (2, 5, 8),
            "Ultravisor Calls are repeated with locks held, and the host reports stalls",
            "versions 2 and 3, and Linux 5.16",
            "a call that answers busy is repeated at once, and no watchdog is modelled",
        ),
        OtherBug(
            (8,),
            "a second KVM_PV_DISABLE frees the SIDA page again (older, but the fall-backs make it likelier)",
            "Linux 5.16",
            "the SIDA is not modelled",
        ),
        OtherBug(
            (9,),
            "a physical address where a virtual one is wanted: right only as long as both are the same",
            "dropped in version 4",
            "the model knows frames, not addresses of the kernel",
        ),
        OtherBug(
            (8,),
            "the kernel thread has no reference to the module (inferred)",
            "version 6",
            "modules cannot be removed here",
        ),
    )
)
"""What else is known to be wrong with version 1. Source: the mails of the later versions, and Linux' history."""

__all__ = ["FIXES", "OTHER_BUGS", "Bug", "Bugs", "OtherBug", "OtherBugs", "bugs_of"]
