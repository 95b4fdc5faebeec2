"""Patch 7: add export before import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..kernel.structs import Gmap, Mm
from ..layers import Layer
from ..page import Page
from ..uvcb import UVC

if TYPE_CHECKING:
    from ..kernel import Kernel


class ExportBeforeImport(Layer):
    """Export a page before it is imported, as long as the address space has more than one configuration.

    A page that the old guest shared raises no 0x3F, and unpacking the boot image raises nothing at all: in both cases
    nothing else has cleared the page, and the Ultravisor would refuse the import.
    """

    number = 7
    title = "add export before import"
    files = ("arch/s390/kernel/uv.c",)

    def should_export_before_import(self: Kernel, uvcb: Any, mm: Mm) -> bool:
        """Whether another configuration may own the page. Unpinning is excepted: the guest itself owns that page."""
        return uvcb.header.cmd != UVC.UNPIN_PAGE_SHARED and mm.context.is_protected > 1

    def make_page_secure(self: Kernel, gmap: Gmap, page: Page, uvcb: Any) -> int:
        """Export first. A busy page is tried twice, and so exported twice."""
        if self.should_export_before_import(uvcb, gmap.mm):
            self.uv_convert_from_secure(page.paddr)
        return super().make_page_secure(gmap, page, uvcb)
