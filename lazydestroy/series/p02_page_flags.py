"""Patch 2: properly handle page flags for protected guests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..layers import Layer
from ..page import Page

if TYPE_CHECKING:
    from ..kernel import Kernel


class PageFlags(Layer):
    """Clear ``PG_arch_1`` when a page has been destroyed or exported.

    The flag may say "maybe secure" too often, never too rarely. Left set on a page that stays in use, it costs the
    first I/O or swap-out two useless calls. Only who holds a reference may clear it, hence the new variants.
    """

    number = 2
    title = "properly handle page flags for protected guests"
    files = (
        "arch/s390/include/asm/pgtable.h",
        "arch/s390/include/asm/uv.h",
        "arch/s390/kernel/uv.c",
        "arch/s390/mm/gmap.c",
    )

    def uv_destroy_owned_page(self: Kernel, page: Page) -> int:
        """Destroy a page that the caller holds a reference to."""
        rc = self.uv_destroy_page(page.paddr)
        if not rc:
            page.arch_1 = False
        return rc

    def uv_convert_owned_from_secure(self: Kernel, page: Page) -> int:
        """Export a page that the caller holds a reference to."""
        rc = self.uv_convert_from_secure(page.paddr)
        if not rc:
            page.arch_1 = False
        return rc

    def s390_destroy_page(self: Kernel, page: Page) -> int:
        """The walk holds the entry, and so a reference."""
        return self.uv_destroy_owned_page(page)

    def uv_convert_page_from_secure(self: Kernel, page: Page) -> int:
        """So does who clears an entry."""
        return self.uv_convert_owned_from_secure(page)
