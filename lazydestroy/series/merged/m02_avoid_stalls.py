"""f0a1a0615a6f: avoid stalls when making pages secure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ...errnos import EAGAIN, EBUSY, EINVAL, ENXIO
from ...layers import Layer
from ...page import Page
from ...uvcb import UVC_CC_BUSY, UVC_CC_PARTIAL

if TYPE_CHECKING:
    from ...kernel import Kernel


class AvoidStalls(Layer):
    """Make the call that imports a page once, and let the caller try again if it answers "busy".

    Before, the call was repeated while the page-table entry was locked, for as long as the Ultravisor was busy. A host
    with many guests reported stalls. Version 3 of the series brought this.
    """

    number = 2
    title = "avoid stalls when making pages secure"
    commit = "f0a1a0615a6f"
    release = "5.16"
    files: ClassVar[tuple[str, ...]] = ("arch/s390/include/asm/uv.h", "arch/s390/kernel/uv.c")

    def make_secure_pte(self: Kernel, page: Page, uvcb: Any) -> int:
        """Import one page with the call in `uvcb`; -EAGAIN if the Ultravisor is busy or has done a part."""
        if page.refs > 1:
            return -EBUSY
        page.arch_1 = True
        cc = self.machine.uv.call(uvcb)
        if cc in (UVC_CC_BUSY, UVC_CC_PARTIAL):
            return -EAGAIN
        if not cc:
            return 0
        return -ENXIO if uvcb.header.rc == 0x10A else -EINVAL
