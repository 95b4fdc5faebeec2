"""Patch 4, to be written: what the kernel does when a normal guest touches a secure page (0x3D)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...layers import Layer
from ...page import HELD
from ...series import Series, v1_fixed
from ..patching import PatchExercise
from .by_hand import calls, handle, zombie

if TYPE_CHECKING:
    from ...kernel import Kernel
    from ...kernel.structs import Kvm

TASK = """
    A was rebooted the lazy way. The next guest isn't protected yet: its boot loader runs as a normal guest, and touches
    a page that A still owns. The hardware raises 0x3D, and the kernel runs do_secure_storage_access_gmap(self, kvm,
    gaddr). In this kernel, that stops the guest.

    Write it so that the guest can access the page when you return; the access is tried again then.

    What you need:

    self.gmap_page(kvm.gmap, gaddr) is the page behind the guest's address, or None if it's gone.

    page.arch_1 is the kernel's note that a page may be secure.

    self.arch_make_page_accessible(page) makes a page readable for the host: it pins a shared page and exports any
    other, and then removes the note. It believes the note: without one, it does nothing.

    self.uv_pin_shared(paddr), self.uv_convert_from_secure(paddr) and self.uv_destroy_page(paddr) make a single call,
    for page.paddr. They return 0, or a negative number if the Ultravisor refuses.
"""


class NoteFirst(Layer):
    """Take the note away first, then make the page accessible.

    Read arch_make_page_accessible once more. What does it do with a page that has no note?
    """

    def do_secure_storage_access_gmap(self: Kernel, kvm: Kvm, gaddr: int) -> None:
        page = self.gmap_page(kvm.gmap, gaddr)
        if page is not None:
            page.arch_1 = False
            self.arch_make_page_accessible(page)


class NoteBeforeTheCall(Layer):
    """Take the note away, then export the page.

    And if the Ultravisor refuses? When is it certain that the page is not secure any more?
    """

    def do_secure_storage_access_gmap(self: Kernel, kvm: Kvm, gaddr: int) -> None:
        page = self.gmap_page(kvm.gmap, gaddr)
        if page is not None:
            page.arch_1 = False
            self.uv_convert_from_secure(page.paddr)


class StoppedInAnyCase(Layer):
    """Make the page accessible, and then do as before.

    super() is the old code: it stops the guest, however well you did before.
    """

    def do_secure_storage_access_gmap(self: Kernel, kvm: Kvm, gaddr: int) -> None:
        page = self.gmap_page(kvm.gmap, gaddr)
        if page is not None:
            self.arch_make_page_accessible(page)
        super().do_secure_storage_access_gmap(kvm, gaddr)


class OnlyWithTheNote(Layer):
    """If the kernel has no note on the page, do as before.

    Then another task was faster than you, such as the clean-up thread. What happens if the access is simply tried
    again?
    """

    def do_secure_storage_access_gmap(self: Kernel, kvm: Kvm, gaddr: int) -> None:
        page = self.gmap_page(kvm.gmap, gaddr)
        if page is None or page.arch_1:
            if page is not None:
                self.arch_make_page_accessible(page)
            return
        super().do_secure_storage_access_gmap(kvm, gaddr)


class GoneIsTheEnd(Layer):
    """If the page is not there any more, do as before.

    It was there when the exception was raised. What happens if the access is simply tried again?
    """

    def do_secure_storage_access_gmap(self: Kernel, kvm: Kvm, gaddr: int) -> None:
        page = self.gmap_page(kvm.gmap, gaddr)
        if page is None:
            super().do_secure_storage_access_gmap(kvm, gaddr)
        else:
            self.arch_make_page_accessible(page)


class PinOnly(Layer):
    """Pin the page, and it is accessible.

    Only a page that the guest has shared can be pinned. What of all the others?
    """

    def do_secure_storage_access_gmap(self: Kernel, kvm: Kvm, gaddr: int) -> None:
        page = self.gmap_page(kvm.gmap, gaddr)
        if page is not None:
            self.uv_pin_shared(page.paddr)
            page.arch_1 = False


class PinRefused(Layer):
    """Pin the page; whatever else there is to do can wait.

    What does the Ultravisor say to that, and for which pages?
    """

    def do_secure_storage_access_gmap(self: Kernel, kvm: Kvm, gaddr: int) -> None:
        page = self.gmap_page(kvm.gmap, gaddr)
        if page is not None:
            self.uv_pin_shared(page.paddr)


class ImportIt(Layer):
    """Import the page for the guest that touches it.

    Into which configuration? A normal guest has none.
    """

    def do_secure_storage_access_gmap(self: Kernel, kvm: Kvm, gaddr: int) -> None:
        self.gmap_convert_to_secure(kvm.gmap, gaddr)


class TryAgain(Layer):
    """Do nothing: the clean-up thread will come.

    It will, one day. Until then the same access raises the same exception.
    """

    def do_secure_storage_access_gmap(self: Kernel, kvm: Kvm, gaddr: int) -> None:
        """Nothing is done."""
        return


class GuestAddress(Layer):
    """Export the page at the guest's address, as if it were the host's.

    The Ultravisor calls for pages take a host address: which page of the host is behind the guest's?
    """

    def do_secure_storage_access_gmap(self: Kernel, kvm: Kvm, gaddr: int) -> None:
        self.uv_convert_from_secure(gaddr)


class ModelAnswer:
    """Do for the guest what the kernel does for everything else on the host."""

    def do_secure_storage_access_gmap(self, kvm, gaddr):
        page = self.gmap_page(kvm.gmap, gaddr)
        if page is not None:
            self.arch_make_page_accessible(page)


def loader_gets_through_before_the_thread_comes(kernel: Series) -> str:
    """The boot loader touches an old page while the thread has not come to it."""
    access = zombie(kernel, touched=(5,)).touch(5)
    if access.saw:
        return ""
    return (
        "On a machine of eight pages the boot loader touches page 5 before the clean-up thread has come to it, and "
        f"never gets through: the access was interrupted {len(access.interruptions):,} times in a row. {calls(access)}"
    )


def a_page_that_is_gone_is_no_reason_to_stop(kernel: Series) -> str:
    """The function runs late: the page was swapped out meanwhile."""
    machine = zombie(kernel, touched=(5,))
    handle(machine, _HANDLER, 6)
    stopped = any(event.kind == "addressing exception" for event in machine.events)
    return "By the time that your function runs, the page is gone: and the guest is stopped." if stopped else ""


def refused_it_keeps_the_note(kernel: Series) -> str:
    """The Ultravisor refuses all calls for the page."""

    class Refused(Layer):
        def uv_convert_from_secure(self: Kernel, paddr: int) -> int:
            return -22

        def uv_destroy_page(self: Kernel, paddr: int) -> int:
            return -22

        def uv_pin_shared(self: Kernel, paddr: int) -> int:
            return -22

    machine = zombie(kernel.plus(Refused), touched=(5,), tabled=False, windows=False)
    handle(machine, _HANDLER, 5)
    page = machine.memory.record(machine.mm.guest.slot(5))
    if page.state not in HELD or page.arch_1:
        return ""
    return (
        "The Ultravisor refuses each call for page 5: it still is secure, and PG_arch_1, the kernel's note, says that "
        "it cannot be. The host's next I/O will believe that."
    )


_HANDLER = "do_secure_storage_access_gmap"


EXERCISE = PatchExercise(
    name="patch-4",
    title="handle secure storage exceptions of normal guests",
    lesson="course/03-old-pages-new-guest.ipynb",
    task=TASK,
    kernel=v1_fixed.without(4),
    writes=("do_secure_storage_access_gmap",),
    searches=({"failures": ()},),
    probes=(
        loader_gets_through_before_the_thread_comes,
        a_page_that_is_gone_is_no_reason_to_stop,
        refused_it_keeps_the_note,
    ),
    mistakes=(
        NoteFirst,
        NoteBeforeTheCall,
        StoppedInAnyCase,
        OnlyWithTheNote,
        GoneIsTheEnd,
        PinOnly,
        PinRefused,
        ImportIt,
        TryAgain,
        GuestAddress,
    ),
    decisive=(loader_gets_through_before_the_thread_comes, a_page_that_is_gone_is_no_reason_to_stop),
    model_answer=ModelAnswer,
    steps=(
        "The handler is given the guest's address; the page behind it may be gone, and then there is nothing to do.",
        (
            "Do what the kernel does when a device or another process touches a secure page: pin it if it is "
            "shared, else export it. arch_make_page_accessible does both, and keeps the note right."
        ),
        "The note goes away last, when it is certain that the page is not secure; it stays if a call is refused.",
        (
            "Destroying the page would do, too, and is cheaper: its owner is a zombie. The patch uses what is "
            "there. Besides, 0x3D is raised for any secure page that a normal guest or the host touches, and an "
            "export is always safe."
        ),
    ),
)
