"""Patch 9, its core to be written: setting a page aside when the address space is removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...kernel.structs import Mm
from ...layers import Layer
from ...page import Holder, Page, State
from ...scenarios import shutdown
from ...series import Series, v1_fixed
from ...units import format_count
from ...uvcb import UVC
from ..patching import PatchExercise
from .by_hand import small

if TYPE_CHECKING:
    from ...kernel import Kernel

TASK = """
    The process ends, and the kernel removes its address space page by page. It exports each page that may be secure
    first, and the program that waits for the process waits for all of that. Set the pages aside instead: a thread
    destroys and frees them later.

    uv_destroy_page_lazy(self, mm, page) is called for one page that leaves the address space. When you return, the
    caller drops its reference, and a page without a reference is free. In this kernel your function exports every page,
    as before the patch.

    Write it so that the page goes on the list if there is room. If there is none, export the page at hand as before,
    and then try to get a list page for those to come. Memory may be short just now, and the clean-up must go on all the
    same.

    What you need:

    mm.context.deferred_list.room is how many frame numbers still fit; .append(page) puts a page on the list;
    .add_list_page(list_page) gives it another list page, with room for 509.

    self.alloc_list_page() is a page, or None.

    self.uv_convert_owned_from_secure(page) exports; it returns 0, or a negative number if the Ultravisor refuses.

    self.get_page(page) and self.put_page(page) take and drop a reference. Your caller drops one when you return, and
    the thread drops one for each page on the list: take one for the thread.

    self.machine.leak_page(page, "why") is for a page that must never be used again.
"""


class AsBefore(Layer):
    """The kernel before: each page is exported when it leaves the address space."""

    def uv_destroy_page_lazy(self: Kernel, mm: Mm, page: Page) -> None:
        """Export the page."""
        if self.uv_convert_owned_from_secure(page):
            self.get_page(page)
            self.machine.leak_page(page, "a page that cannot be exported")


class NeverFallBack(Layer):
    """Get a list page when there is no room, then set the page aside.

    And if there is no memory for a list page? The page has left the address space, and is on no list.
    """

    def uv_destroy_page_lazy(self: Kernel, mm: Mm, page: Page) -> None:
        self.get_page(page)
        if not mm.context.deferred_list.room:
            list_page = self.alloc_list_page()
            if list_page is None:
                return
            mm.context.deferred_list.add_list_page(list_page)
        mm.context.deferred_list.append(page)


class NoneAsAPage(Layer):
    """Take what alloc_list_page gives, and put it on the list.

    It gives None if there is no memory.
    """

    def uv_destroy_page_lazy(self: Kernel, mm: Mm, page: Page) -> None:
        self.get_page(page)
        if mm.context.deferred_list.room:
            mm.context.deferred_list.append(page)
            return
        self.uv_convert_owned_from_secure(page)
        self.put_page(page)
        list_page: Any = self.alloc_list_page()
        mm.context.deferred_list.add_list_page(list_page)


class NeverFull(Layer):
    """Set each page aside, without a look at the room.

    Frame numbers need memory, too. Where does the first list page come from?
    """

    def uv_destroy_page_lazy(self: Kernel, mm: Mm, page: Page) -> None:
        self.get_page(page)
        mm.context.deferred_list.append(page)


class NoReference(Layer):
    """Put the page's number on the list, and take no reference.

    The caller drops the last one. What becomes of the page then?
    """

    def uv_destroy_page_lazy(self: Kernel, mm: Mm, page: Page) -> None:
        if mm.context.deferred_list.room:
            mm.context.deferred_list.append(page)
            return
        self.uv_convert_owned_from_secure(page)
        list_page = self.alloc_list_page()
        if list_page is not None:
            mm.context.deferred_list.add_list_page(list_page)


class NotExported(Layer):
    """If there is no room, get a list page, and let the page at hand go.

    It is freed when you return. In which state?
    """

    def uv_destroy_page_lazy(self: Kernel, mm: Mm, page: Page) -> None:
        if mm.context.deferred_list.room:
            self.get_page(page)
            mm.context.deferred_list.append(page)
            return
        list_page = self.alloc_list_page()
        if list_page is not None:
            mm.context.deferred_list.add_list_page(list_page)


class ReferenceKept(Layer):
    """Take a reference first, in any case.

    Who drops it for a page that did not go on the list?
    """

    def uv_destroy_page_lazy(self: Kernel, mm: Mm, page: Page) -> None:
        self.get_page(page)
        if mm.context.deferred_list.room:
            mm.context.deferred_list.append(page)
            return
        self.uv_convert_owned_from_secure(page)
        list_page = self.alloc_list_page()
        if list_page is not None:
            mm.context.deferred_list.add_list_page(list_page)


class DestroyAtOnce(Layer):
    """Destroy the page: that is cheaper than to export it.

    The process ends before its VM does: its guest still has its CPUs.
    """

    def uv_destroy_page_lazy(self: Kernel, mm: Mm, page: Page) -> None:
        self.uv_destroy_owned_page(page)


class ModelAnswer:
    """Set aside while there is room; else export this one, and try to have room for the next."""

    def uv_destroy_page_lazy(self, mm, page):
        deferred_list = mm.context.deferred_list
        if deferred_list.room:
            self.get_page(page)
            deferred_list.append(page)
            return
        if self.uv_convert_owned_from_secure(page):
            self.get_page(page)
            self.machine.leak_page(page, "it cannot be exported")
        list_page = self.alloc_list_page()
        if list_page is not None:
            deferred_list.add_list_page(list_page)


class ExportedOrNot(Layer):
    """Export the page at hand, and go on whatever the answer is.

    If the export is refused the page is still secure. What does the caller do with it?
    """

    def uv_destroy_page_lazy(self: Kernel, mm: Mm, page: Page) -> None:
        if mm.context.deferred_list.room:
            self.get_page(page)
            mm.context.deferred_list.append(page)
            return
        self.uv_convert_owned_from_secure(page)
        list_page = self.alloc_list_page()
        if list_page is not None:
            mm.context.deferred_list.add_list_page(list_page)


def a_page_that_cannot_be_exported_is_never_free(kernel: Series) -> str:
    """The Ultravisor refuses the first export of an exit."""
    machine = small(kernel)
    machine.protect()
    machine.uv.fail(UVC.CONV_FROM_SEC_STOR, 0x111, times=1)
    machine.kill()
    while machine.tasks and machine.engine.step() is not None:
        if any(
            record.holder == Holder.FREE and record.state != State.NON_SECURE for record in machine.memory.records()
        ):
            return "The process exits, the Ultravisor refuses an export, and the page is free and still secure all "
            "the same."
    return ""


def most_pages_are_set_aside(kernel: Series) -> str:
    """A shutdown of 4 GiB."""
    run = shutdown("4 GiB", kernel=kernel)
    pages = int(run.memory["set_aside"].max())
    if pages * 2 > run.pages:
        return ""
    return (
        f"A shutdown of 4 GiB: of {format_count(run.pages)} pages at most {format_count(pages)} were set aside at a "
        "time. Does the list ever get room, and which page goes on it?"
    )


EXERCISE = PatchExercise(
    name="patch-9",
    title="lazy destroy for shutdown, its core",
    lesson="course/05-lazy-shutdown.ipynb",
    task=TASK,
    kernel=v1_fixed.plus(AsBefore),
    writes=("uv_destroy_page_lazy",),
    searches=({"failures": ("list page",)},),
    probes=(most_pages_are_set_aside, a_page_that_cannot_be_exported_is_never_free),
    mistakes=(
        NeverFallBack,
        NoneAsAPage,
        NeverFull,
        NoReference,
        NotExported,
        ReferenceKept,
        DestroyAtOnce,
        ExportedOrNot,
    ),
    decisive=(most_pages_are_set_aside,),
    model_answer=ModelAnswer,
    steps=(
        (
            "A page on the list needs a reference of its own. Otherwise the caller drops the last one, and a secure "
            "page is free."
        ),
        (
            "If there is no room, the page at hand is exported and freed, as before the patch. So one page in 510 is "
            "exported: one for each list page of 509."
        ),
        (
            "(There are other right ways on this machine: allocate first and put this very page on the list, or "
            "make the exported page itself the list page.) Then one allocation is tried. If it fails, nothing is "
            "lost: the "
            "next page is exported, too, and it tries again."
        ),
        "A page that cannot even be exported must never be used again: it is leaked on purpose.",
    ),
)
