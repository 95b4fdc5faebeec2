"""Patch 3, to be written: what the kernel does on a secure storage violation (0x3F)."""

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
    A has been rebooted the lazy way; B, the next guest, touches a page that still is A's. The hardware raises 0x3F and
    the kernel runs do_secure_storage_violation(self, kvm, gaddr). In this kernel that kills the process. Write it so
    that the page can be used: when you return, the access is tried again, and a page that is not secure is imported as
    any new page is. If the page cannot be made usable, super().do_secure_storage_violation(kvm, gaddr) does what was
    done before.

    What you need: self.gmap_page(kvm.gmap, gaddr) is the page behind the guest's address, or None if there is none;
    self.get_page(page) and self.put_page(page) take and drop a reference; self.uv_destroy_owned_page(page) and
    self.uv_convert_owned_from_secure(page), for somebody who holds a reference, destroy and export it; both return 0,
    or a negative number if the Ultravisor refuses. The kernel sees page.paddr and page.arch_1; who owns a page, only
    the Ultravisor knows.
"""


class DestroyOnly(Layer):
    """Destroy the page, and if that is refused, all is lost.

    Follow the last steps: whose page is it by the time the handler acts? What may be done to a page of a guest that has
    CPUs, without loss?
    """

    def do_secure_storage_violation(self: Kernel, kvm: Kvm, gaddr: int) -> None:
        page = self.gmap_page(kvm.gmap, gaddr)
        if page is not None and self.uv_destroy_owned_page(page):
            super().do_secure_storage_violation(kvm, gaddr)


class TryAgain(Layer):
    """Do nothing: the clean-up thread will come.

    It will, one day. Until then the same access raises the same exception.
    """

    def do_secure_storage_violation(self: Kernel, kvm: Kvm, gaddr: int) -> None:
        """Nothing is done."""
        return self.machine.engine.charge(0)


class GuestAddress(Layer):
    """Destroy the page at the guest's address, as if it were the host's.

    The Ultravisor calls for pages take a host address: which page of the host is behind the guest's?
    """

    def do_secure_storage_violation(self: Kernel, kvm: Kvm, gaddr: int) -> None:
        if self.uv_destroy_page(gaddr) and self.uv_convert_from_secure(gaddr):
            super().do_secure_storage_violation(kvm, gaddr)


class ReferenceKept(Layer):
    """Take a reference, and forget to drop it.

    Somebody still seems to use the page: it can neither be imported nor freed.
    """

    def do_secure_storage_violation(self: Kernel, kvm: Kvm, gaddr: int) -> None:
        page = self.gmap_page(kvm.gmap, gaddr)
        if page is not None:
            self.get_page(page)
            if self.uv_destroy_owned_page(page) and self.uv_convert_owned_from_secure(page):
                super().do_secure_storage_violation(kvm, gaddr)


class ImportAtOnce(Layer):
    """Import the page, as after 0x3E.

    An import needs a page that is nobody's. This one still is the old guest's.
    """

    def do_secure_storage_violation(self: Kernel, kvm: Kvm, gaddr: int) -> None:
        if self.gmap_convert_to_secure(kvm.gmap, gaddr):
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
    machine.touch(0)
    machine.protect()
    access = machine.touch(5)
    if access.saw:
        return ""
    return (
        "B touches page 5 before the clean-up thread has come to it, and never gets through: the access was "
        f"interrupted {len(access.interruptions):,} times in a row. What has made the page usable?"
    )


EXERCISE = PatchExercise(
    name="patch-3",
    title="handle secure storage violations",
    lesson="series/03-violation.ipynb",
    task=TASK,
    kernel=v1_fixed.without(3),
    writes=("do_secure_storage_violation",),
    searches=({"failures": (), "vcpus": 2, "sharing": False},),
    probes=(gets_through_before_the_thread_comes,),
    mistakes=(DestroyOnly, TryAgain, GuestAddress, ReferenceKept, ImportAtOnce),
    model_answer=ModelAnswer,
    steps=(
        "The page may be gone: then there is nothing to do, the access is tried again and meets what there is now.",
        "A reference keeps the page from being freed while the Ultravisor works on it, and is dropped in every case.",
        "Destroying is the cheap way to make a zombie's page usable, and its owner has no CPUs, so it is allowed.",
        (
            "It is refused if the page has become the running guest's own between the exception and the handler. An "
            "export is allowed then, too, and loses nothing."
        ),
        "Only if both are refused the old way is left.",
    ),
)
