"""9bf811dae443: when tearing down, try to destroy protected pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...kernel.structs import Mm
from ...layers import Layer
from ...page import Page

if TYPE_CHECKING:
    from ...kernel import Kernel


class DestroyAtTearDown(Layer):
    """When a whole address space goes, destroy its pages instead of exporting them: that takes half the time.

    It works because the notifier has ended the CPUs. A page that cannot be destroyed is exported as before. Version 1
    set the pages aside instead, for a kernel thread to destroy; that has gone with version 4.
    """

    number = 12
    title = "when tearing down, try to destroy protected pages"
    commit = "9bf811dae443"
    release = "6.0"
    files = ("arch/s390/include/asm/pgtable.h",)
    needs = (3,)

    def ptep_get_and_clear_full(self: Kernel, mm: Mm, page: Page, full: bool) -> None:
        """Clear one present entry. `full`: the whole address space is going away."""
        if full and self.mm_is_protected(mm) and not self.uv_destroy_owned_page(page):
            return
        super().ptep_get_and_clear_full(mm, page, full)
