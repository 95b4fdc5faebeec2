"""Patch 7, to be written: export before import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...layers import Layer
from ...page import State
from ...series import Series, v1_fixed
from ...uvcb import UVC
from ..patching import PatchExercise
from .by_hand import small

if TYPE_CHECKING:
    from ...kernel import Kernel
    from ...kernel.structs import Gmap

TASK = """
    The Ultravisor imports only a page that no other guest owns. While there is a zombie, it may own a page for which no
    exception was raised: a page that the old guest shared raises no 0x3F, and unpacking the boot image raises nothing
    at all. In this kernel, such an import is refused, and the process is killed.

    Both imports go through gmap_make_secure(self, gmap, gaddr, uvcb). It makes the call in uvcb for the guest's address
    gaddr, and returns 0 or a negative number. Write it: make sure first that no guest owns the page, but make no
    needless call while the address space has only one configuration. Then do as before, with
    super().gmap_make_secure(gmap, gaddr, uvcb).

    What you need:

    self.gmap_page(gmap, gaddr) is the page, or None.

    gmap.mm.context.is_protected is the number of configurations in the address space, including those that are being
    cleaned up (patch 6 is there).

    self.uv_convert_from_secure(page.paddr) is the export. It has no effect on a page without an owner.

    The kernel sees page.paddr and page.arch_1; only the Ultravisor knows who owns a page.
"""


class OnlySecurePages(Layer):
    """Export the page if it is secure.

    A kernel cannot know that. And even if it could: does a shared page have no owner?
    """

    def gmap_make_secure(self: Kernel, gmap: Gmap, gaddr: int, uvcb: Any) -> int:
        page = self.gmap_page(gmap, gaddr)
        if page is not None and gmap.mm.context.is_protected > 1 and page.state == State.SECURE:
            self.uv_convert_from_secure(page.paddr)
        return super().gmap_make_secure(gmap, gaddr, uvcb)


class OnlyWithTheNote(Layer):
    """Export the page if the kernel has noted that it may be secure (PG_arch_1).

    The note is about what the host may read. Look at what the host's I/O did to the note, and to the page.
    """

    def gmap_make_secure(self: Kernel, gmap: Gmap, gaddr: int, uvcb: Any) -> int:
        page = self.gmap_page(gmap, gaddr)
        if page is not None and gmap.mm.context.is_protected > 1 and page.arch_1:
            self.uv_convert_from_secure(page.paddr)
        return super().gmap_make_secure(gmap, gaddr, uvcb)


class OneTooMany(Layer):
    """Export if there are more than two configurations.

    How many are there while one guest runs and one zombie is left?
    """

    def gmap_make_secure(self: Kernel, gmap: Gmap, gaddr: int, uvcb: Any) -> int:
        page = self.gmap_page(gmap, gaddr)
        if page is not None and gmap.mm.context.is_protected > 2:
            self.uv_convert_from_secure(page.paddr)
        return super().gmap_make_secure(gmap, gaddr, uvcb)


class AfterTheRefusal(Layer):
    """Import; export the page if that was refused.

    By then, your caller has been told about the refusal.
    """

    def gmap_make_secure(self: Kernel, gmap: Gmap, gaddr: int, uvcb: Any) -> int:
        refused = super().gmap_make_secure(gmap, gaddr, uvcb)
        page = self.gmap_page(gmap, gaddr)
        if refused and page is not None and gmap.mm.context.is_protected > 1:
            self.uv_convert_from_secure(page.paddr)
        return refused


class MakeAccessible(Layer):
    """Make the page accessible, as for the host's I/O.

    That pins a shared page, for the host to read. Does the old guest still own it?
    """

    def gmap_make_secure(self: Kernel, gmap: Gmap, gaddr: int, uvcb: Any) -> int:
        page = self.gmap_page(gmap, gaddr)
        if page is not None and gmap.mm.context.is_protected > 1:
            self.arch_make_page_accessible(page)
        return super().gmap_make_secure(gmap, gaddr, uvcb)


class NotTheImage(Layer):
    """Export where a fault imports a page, and let the image be.

    The boot image is unpacked onto whatever is there.
    """

    def gmap_make_secure(self: Kernel, gmap: Gmap, gaddr: int, uvcb: Any) -> int:
        page = self.gmap_page(gmap, gaddr)
        if page is not None and gmap.mm.context.is_protected > 1 and uvcb.header.cmd == UVC.CONV_TO_SEC_STOR:
            self.uv_convert_from_secure(page.paddr)
        return super().gmap_make_secure(gmap, gaddr, uvcb)


class Always(Layer):
    """Export before each and every import.

    Safe, but costly: what can be in the way as long as there is only one configuration?
    """

    def gmap_make_secure(self: Kernel, gmap: Gmap, gaddr: int, uvcb: Any) -> int:
        page = self.gmap_page(gmap, gaddr)
        if page is not None:
            self.uv_convert_from_secure(page.paddr)
        return super().gmap_make_secure(gmap, gaddr, uvcb)


class ModelAnswer:
    """Export, whatever the page is, as long as there is another configuration."""

    def gmap_make_secure(self, gmap, gaddr, uvcb):
        page = self.gmap_page(gmap, gaddr)
        if page is not None and gmap.mm.context.is_protected > 1:
            self.uv_convert_from_secure(page.paddr)
        return super().gmap_make_secure(gmap, gaddr, uvcb)


def nothing_for_nothing(kernel: Series) -> str:
    """The first guest of a process imports its pages: no other guest can own one."""
    machine = small(kernel)
    machine.protect()
    access = machine.touch(5)
    more = [call for call in access.uvcs if not call.startswith("CONV_TO_SEC_STOR")]
    return f"With only one configuration, {access}. What is {', '.join(more)} for?" if more else ""


EXERCISE = PatchExercise(
    name="patch-7",
    title="export before import",
    lesson="course/03-old-pages-new-guest.ipynb",
    task=TASK,
    kernel=v1_fixed.without(7, 11),
    writes=("gmap_make_secure",),
    searches=({"failures": (), "image_loaded": False}, {"failures": (), "host": ("io",)}),
    probes=(nothing_for_nothing,),
    mistakes=(OnlySecurePages, OnlyWithTheNote, OneTooMany, AfterTheRefusal, MakeAccessible, NotTheImage, Always),
    decisive=(),
    model_answer=ModelAnswer,
    steps=(
        (
            "The kernel cannot tell who owns a page, and it need not: an export has no effect on a page without an "
            "owner, and makes any other page importable."
        ),
        "It must come before the import, and before every kind of import, the image's as well.",
        "While there is only one configuration, no other guest can own a page, so the call is not needed.",
        (
            "The patch excepts one more call that goes this way, UNPIN_PAGE_SHARED: the guest itself owns that "
            "page. On the small machine, nothing makes that call."
        ),
    ),
)
