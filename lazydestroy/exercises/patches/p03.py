"""Patch 3, to be written: what the kernel does on a secure storage violation (0x3F)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...layers import Layer
from ...page import HELD
from ...series import Series, v1_fixed
from ...units import format_duration
from ..patching import PatchExercise
from .by_hand import calls, handle, next_guest, zombie

if TYPE_CHECKING:
    from ...kernel import Kernel
    from ...kernel.structs import Kvm
    from ...page import Page

TASK = """
    A was rebooted the lazy way. B, the next guest, touches a page that A still owns. The hardware raises 0x3F, and the
    kernel runs do_secure_storage_violation(self, kvm, gaddr). In this kernel, that kills the process.

    Write it so that B can use the page. When you return, the access is tried again, and a page that isn't secure is
    imported like any new page. If you can't free the page from its owner, super().do_secure_storage_violation(kvm,
    gaddr) does what this kernel does now.

    What you need:

    self.gmap_page(kvm.gmap, gaddr) is the page behind the guest's address, or None if it's gone.

    self.get_page(page) and self.put_page(page) take and drop a reference.

    self.uv_destroy_owned_page(page) destroys the page, and self.uv_convert_owned_from_secure(page) exports it. Both
    return 0, or a negative number if the Ultravisor refuses. They take no reference themselves, so you must hold one.

    The kernel sees page.paddr and page.arch_1; only the Ultravisor knows who owns a page.
"""


class DestroyOnly(Layer):
    """Destroy the page, and if that is refused, all is lost.

    Follow the last steps: who owns the page by the time the handler acts? What can you do to a page of a guest
    that has CPUs, and lose nothing?
    """

    def do_secure_storage_violation(self: Kernel, kvm: Kvm, gaddr: int) -> None:
        page = self.gmap_page(kvm.gmap, gaddr)
        if page is None:
            return
        self.get_page(page)
        refused = self.uv_destroy_owned_page(page)
        self.put_page(page)
        if refused:
            super().do_secure_storage_violation(kvm, gaddr)


class TryAgain(Layer):
    """Do nothing: the clean-up thread will come.

    It will, one day. Until then the same access raises the same exception.
    """

    def do_secure_storage_violation(self: Kernel, kvm: Kvm, gaddr: int) -> None:
        """Nothing is done."""
        return


class GuestAddress(Layer):
    """Destroy the page at the guest's address, as if it were the host's.

    The Ultravisor calls for pages take a host address: which page of the host is behind the guest's?
    """

    def do_secure_storage_violation(self: Kernel, kvm: Kvm, gaddr: int) -> None:
        if self.uv_destroy_page(gaddr) and self.uv_convert_from_secure(gaddr):
            super().do_secure_storage_violation(kvm, gaddr)


class ReferenceKept(Layer):
    """Take a reference, and forget to drop it.

    The page still looks as if it were in use: it can neither be imported nor freed.
    """

    def do_secure_storage_violation(self: Kernel, kvm: Kvm, gaddr: int) -> None:
        page = self.gmap_page(kvm.gmap, gaddr)
        if page is not None:
            self.get_page(page)
            if self.uv_destroy_owned_page(page) and self.uv_convert_owned_from_secure(page):
                super().do_secure_storage_violation(kvm, gaddr)


class ReferenceKeptIfRefused(Layer):
    """Drop the reference, but not on the way out when the Ultravisor refuses.

    Follow that way to its end, and count: what was taken, and what dropped?
    """

    def do_secure_storage_violation(self: Kernel, kvm: Kvm, gaddr: int) -> None:
        page = self.gmap_page(kvm.gmap, gaddr)
        if page is not None:
            self.get_page(page)
            if self.uv_destroy_owned_page(page):
                return
            self.put_page(page)


class DroppedTwice(Layer):
    """Drop the reference when a call is refused, and once more at the end.

    The second one wasn't yours. The last reference that is dropped frees the page, and the guest still uses it.
    """

    def do_secure_storage_violation(self: Kernel, kvm: Kvm, gaddr: int) -> None:
        page = self.gmap_page(kvm.gmap, gaddr)
        if page is not None:
            self.get_page(page)
            if self.uv_destroy_owned_page(page):
                self.uv_convert_owned_from_secure(page)
                self.put_page(page)
            self.put_page(page)


class WithoutAReference(Layer):
    """Destroy the page, export it if that is refused, and take no reference.

    All goes well here, and so it may for years. Who keeps the page from being freed while the Ultravisor is at work?
    """

    def do_secure_storage_violation(self: Kernel, kvm: Kvm, gaddr: int) -> None:
        page = self.gmap_page(kvm.gmap, gaddr)
        if page is not None and self.uv_destroy_owned_page(page) and self.uv_convert_owned_from_secure(page):
            super().do_secure_storage_violation(kvm, gaddr)


class NoteTakenAway(Layer):
    """Destroy the page, and take the note away whether or not that was refused.

    The note may stand on a page that is not secure; that costs a call or two. What if it is missing on one that is?
    """

    def do_secure_storage_violation(self: Kernel, kvm: Kvm, gaddr: int) -> None:
        page = self.gmap_page(kvm.gmap, gaddr)
        if page is not None:
            self.get_page(page)
            self.uv_destroy_owned_page(page)
            page.arch_1 = False
            self.put_page(page)


class GoneIsTheEnd(Layer):
    """If the page is not there any more, do as before.

    It was there when the exception was raised. What happens if the access is simply tried again?
    """

    def do_secure_storage_violation(self: Kernel, kvm: Kvm, gaddr: int) -> None:
        page = self.gmap_page(kvm.gmap, gaddr)
        if page is None:
            return super().do_secure_storage_violation(kvm, gaddr)
        self.get_page(page)
        refused = self.uv_destroy_owned_page(page) and self.uv_convert_owned_from_secure(page)
        self.put_page(page)
        if refused:
            super().do_secure_storage_violation(kvm, gaddr)
        return None


class ImportAtOnce(Layer):
    """Import the page, as after 0x3E.

    The Ultravisor imports only a page that no other guest owns. The old guest still owns this one.
    """

    def do_secure_storage_violation(self: Kernel, kvm: Kvm, gaddr: int) -> None:
        if self.gmap_page(kvm.gmap, gaddr) is not None and self.gmap_convert_to_secure(kvm.gmap, gaddr):
            super().do_secure_storage_violation(kvm, gaddr)


class ModelAnswer:
    """Clear the page; if it is the running guest's own by now, an export does no harm."""

    def do_secure_storage_violation(self, kvm, gaddr):
        page = self.gmap_page(kvm.gmap, gaddr)
        if page is None:
            return
        self.get_page(page)
        refused = self.uv_destroy_owned_page(page) and self.uv_convert_owned_from_secure(page)
        self.put_page(page)
        if refused:
            super().do_secure_storage_violation(kvm, gaddr)


def gets_through_before_the_thread_comes(kernel: Series) -> str:
    """B touches an old page while the thread has not come to it."""
    machine = zombie(kernel, touched=(5,))
    next_guest(machine)
    access = machine.touch(5)
    if access.saw:
        return ""
    return (
        "On a machine of eight pages B touches page 5 before the clean-up thread has come to it, and never gets "
        f"through: the access was interrupted {len(access.interruptions):,} times in a row. {calls(access)}"
    )


def late_it_does_no_harm(kernel: Series) -> str:
    """The function runs late: another vCPU has met the same page, which is B's own by now."""
    machine = zombie(kernel, touched=(5,))
    next_guest(machine)
    machine.touch(5)
    handle(machine, _HANDLER, 5)
    page = machine.memory.record(machine.mm.guest.slot(5))
    if page.state in HELD and not page.arch_1:
        return (
            "By the time that your function runs, another vCPU has made page 5 B's own. It still is secure afterwards, "
            "and PG_arch_1, the kernel's note, says that it cannot be: the host's next I/O will believe that."
        )
    return ""


def a_page_that_is_gone_is_no_reason_to_kill(kernel: Series) -> str:
    """The function runs late: the page was swapped out meanwhile."""
    machine = zombie(kernel, touched=(5,))
    next_guest(machine)
    handle(machine, _HANDLER, 6)
    killed = any(event.kind == "signal" for event in machine.events)
    return "By the time that your function runs, the page is gone: and B's process is killed." if killed else ""


def the_calls_are_made_with_a_reference(kernel: Series) -> str:
    """Another task may drop its own at any moment."""
    least: list[int] = []

    class Watched(Layer):
        def uv_destroy_owned_page(self: Kernel, page: Page) -> int:
            least.append(page.refs)
            return super().uv_destroy_owned_page(page)

        def uv_convert_owned_from_secure(self: Kernel, page: Page) -> int:
            least.append(page.refs)
            return super().uv_convert_owned_from_secure(page)

    machine = zombie(kernel.plus(Watched), touched=(5,), **_STEP_BY_STEP)
    next_guest(machine)
    least.clear()
    handle(machine, _HANDLER, 5)
    if min(least, default=2) > 1:
        return ""
    return (
        "When you call the Ultravisor for page 5, the address space has the only reference to it. If that one is "
        "dropped meanwhile (the page is swapped out, the process ends), the page is free while the Ultravisor works "
        "on it."
    )


def if_all_is_refused_nothing_is_left_behind(kernel: Series) -> str:
    """Both calls are refused."""

    class Refused(Layer):
        def uv_destroy_owned_page(self: Kernel, page: Page) -> int:
            return -22

        def uv_convert_owned_from_secure(self: Kernel, page: Page) -> int:
            return -22

    machine = zombie(kernel.plus(Refused), touched=(5,), **_STEP_BY_STEP)
    next_guest(machine)
    page = machine.memory.page(machine.mm.guest.slot(5))
    before = page.refs
    handle(machine, _HANDLER, 5)
    if page.refs != before:
        return f"Both calls were refused, and page 5 has {page.refs} references afterwards, where it had {before}."
    if not page.arch_1:
        return "Both calls were refused: page 5 still is secure, and PG_arch_1, the kernel's note, says it cannot be."
    return ""


def dearer_than_the_patch(kernel: Series) -> str:
    """What the access of a new guest to an old page costs."""
    takes = []
    for each in (kernel, v1_fixed):
        machine = zombie(each, touched=(5,))
        next_guest(machine)
        takes.append(machine.touch(5).ns)
    mine, theirs = takes
    if mine <= theirs:
        return ""
    return (
        f"It differs from the patch: that touch of an old page takes {format_duration(mine)} in all, with the patch "
        f"{format_duration(theirs)}. Why? (The costs are assumptions; see ld.Costs().)"
    )


_HANDLER = "do_secure_storage_violation"

_STEP_BY_STEP = {"tabled": False, "windows": False}
"""All is done by the kernel's own functions, one by one, as they are asked."""


EXERCISE = PatchExercise(
    name="patch-3",
    title="handle secure storage violations",
    lesson="course/03-old-pages-new-guest.ipynb",
    task=TASK,
    kernel=v1_fixed.without(3),
    writes=("do_secure_storage_violation",),
    searches=({"failures": (), "vcpus": 2, "sharing": False},),
    probes=(
        gets_through_before_the_thread_comes,
        late_it_does_no_harm,
        a_page_that_is_gone_is_no_reason_to_kill,
        the_calls_are_made_with_a_reference,
        if_all_is_refused_nothing_is_left_behind,
    ),
    mistakes=(
        DestroyOnly,
        TryAgain,
        GuestAddress,
        ReferenceKept,
        ReferenceKeptIfRefused,
        DroppedTwice,
        WithoutAReference,
        NoteTakenAway,
        GoneIsTheEnd,
        ImportAtOnce,
    ),
    remarks=(dearer_than_the_patch,),
    decisive=(late_it_does_no_harm, a_page_that_is_gone_is_no_reason_to_kill),
    model_answer=ModelAnswer,
    steps=(
        "The page may be gone. Then there is nothing to do: the access is tried again, and meets what is there now.",
        "A reference keeps the page from being freed while the Ultravisor works on it, and is dropped in every case.",
        "Destroying is the cheap way to make a zombie's page usable, and its owner has no CPUs, so it is allowed.",
        (
            "It is refused if the page has become the running guest's own between the exception and the handler. An "
            "export is allowed then, too, and loses nothing. (Just returning would do as well: the access is tried "
            "again, and the guest owns the page. But this way the patch doesn't have to know why the destroy was "
            "refused.)"
        ),
        "Only if both are refused is the old way left.",
    ),
)
