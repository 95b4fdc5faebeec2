"""Patch 4, to be written: what the kernel does when a normal guest touches a secure page (0x3D)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...series import Series, v1_fixed
from ...series.layer import Layer
from ..patching import PatchExercise
from .by_hand import zombie

if TYPE_CHECKING:
    from ...kernel import Kernel
    from ...kernel.structs import Kvm

TASK = """
    A has been rebooted the lazy way. The next guest is not protected yet: its boot loader runs as a normal guest, and
    touches a page that still is A's. The hardware raises 0x3D and the kernel runs
    do_secure_storage_access_gmap(self, kvm, gaddr). In this kernel that stops the guest. Write it so that the page is
    accessible when you return; the access is tried again then.

    What you need: self.gmap_page(kvm.gmap, gaddr) is the page behind the guest's address, or None. page.arch_1 is the
    kernel's note that a page may be secure. self.arch_make_page_accessible(page) makes a page readable for the host: it
    pins it if it is shared, else exports it, and takes the note away; it believes the note. self.uv_pin_shared(paddr),
    self.uv_convert_from_secure(paddr) and self.uv_destroy_page(paddr) are single calls, for page.paddr.
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


class PinOnly(Layer):
    """Pin the page, and it is accessible.

    Only a page that the guest has shared can be pinned. What of all the others?
    """

    def do_secure_storage_access_gmap(self: Kernel, kvm: Kvm, gaddr: int) -> None:
        page = self.gmap_page(kvm.gmap, gaddr)
        if page is not None:
            self.uv_pin_shared(page.paddr)
            page.arch_1 = False


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
        return self.machine.engine.charge(0)


class GuestAddress(Layer):
    """Export the page at the guest's address, as if it were the host's.

    The Ultravisor calls for pages take a host address: which page of the host is behind the guest's?
    """

    def do_secure_storage_access_gmap(self: Kernel, kvm: Kvm, gaddr: int) -> None:
        self.uv_convert_from_secure(gaddr)


class ModelAnswer:
    """Do for the guest what is done for everybody else on the host."""

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
        "The boot loader touches page 5 before the clean-up thread has come to it, and never gets through: the "
        f"access was interrupted {len(access.interruptions):,} times in a row. What has made the page accessible?"
    )


EXERCISE = PatchExercise(
    name="patch-4",
    title="handle secure storage exceptions of normal guests",
    lesson="series/04-exception.ipynb",
    task=TASK,
    kernel=v1_fixed.without(4),
    writes=("do_secure_storage_access_gmap",),
    searches=({"failures": ()},),
    probes=(loader_gets_through_before_the_thread_comes,),
    mistakes=(NoteFirst, PinOnly, ImportIt, TryAgain, GuestAddress),
    model_answer=ModelAnswer,
    steps=(
        "The handler is given the guest's address; the page behind it may be gone, and then there is nothing to do.",
        (
            "What has to be done is what the kernel does when a device or another process touches a secure page: pin "
            "it if it is shared, else export it. arch_make_page_accessible does both, and keeps the note right."
        ),
        "Destroying the page would do, too: its owner is a zombie. The patch uses what is there.",
    ),
)
