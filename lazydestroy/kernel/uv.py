"""``arch/s390/kernel/uv.c`` before the series: how the kernel has the Ultravisor import, export and destroy pages.

Functions return 0 or a negative error number, as the kernel's do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errnos import EAGAIN, EBUSY, EFAULT, EINVAL, ENXIO
from ..page import PAGE_SHIFT, Page
from ..uvcb import (
    QUI_LEN_2021,
    UVC,
    UVC_CC_BUSY,
    UVC_CC_PARTIAL,
    uv_cb_cfs,
    uv_cb_cts,
    uv_cb_header,
    uv_cb_nodata,
    uv_cb_qui,
)
from .structs import Flow, Gmap, Mm

if TYPE_CHECKING:
    from . import Kernel

MAX_BUSY = 10_000
"""How often the model executes a call again that answers "busy" before it gives up: the real kernel never does."""


class KernelUv:
    """Ultravisor Calls on pages."""

    def uv_call(self: Kernel, uvcb: Any) -> int:
        """Hand a control block to the Ultravisor, again as long as it is busy or has done a part. Returns cc.

        Raises
        ------
        RuntimeError
            If the Ultravisor is busy `MAX_BUSY` times in a row: a loop without an end, in the model.
        """
        for _ in range(MAX_BUSY):
            cc = self.machine.uv.call(uvcb)
            if cc not in (UVC_CC_BUSY, UVC_CC_PARTIAL):
                return cc
        raise RuntimeError(f"the Ultravisor answered busy {MAX_BUSY} times to {uvcb}")

    def uv_cmd_nodata(self: Kernel, handle: int, cmd: UVC) -> tuple[int, int, int]:
        """A call that takes only a handle. Returns cc, rc, rrc. With handle 0 it warns, each time, and calls anyway."""
        uvcb = self.nodata_block(handle, cmd)
        cc = self.uv_call(uvcb)
        return cc, uvcb.header.rc, uvcb.header.rrc

    def uv_call_sched(self: Kernel, uvcb: Any) -> Flow:
        """Hand a control block to the Ultravisor, as `uv_call` does; other tasks may act after each try. Returns cc.

        The kernel had this before the series, for calls on handles. But the model's functions of that time do without
        these waiting points: only what was merged later uses them.

        Raises
        ------
        RuntimeError
            As `uv_call`.
        """
        for _ in range(MAX_BUSY):
            cc = self.machine.uv.call(uvcb)
            yield
            if cc not in (UVC_CC_BUSY, UVC_CC_PARTIAL):
                return cc
        raise RuntimeError(f"the Ultravisor answered busy {MAX_BUSY} times to {uvcb}")

    def uv_cmd_nodata_sched(self: Kernel, handle: int, cmd: UVC) -> Flow:
        """A call that takes only a handle (`uv_cmd_nodata`), with `uv_call_sched`. Returns cc, rc, rrc."""
        uvcb = self.nodata_block(handle, cmd)
        cc = yield from self.uv_call_sched(uvcb)
        return cc, uvcb.header.rc, uvcb.header.rrc

    def nodata_block(self: Kernel, handle: int, cmd: UVC) -> uv_cb_nodata:
        """The block of a call that takes only a handle."""
        if not handle:
            self.machine.warn(f"no handle provided to Ultravisor call cmd {cmd:x}")
        return uv_cb_nodata(cmd=cmd, handle=handle)

    def uv_query_info(self: Kernel) -> uv_cb_qui:
        """Ask what the Ultravisor can do and needs (at boot)."""
        # rc 0x100 is a success: the Ultravisor has more to tell than this block takes
        uvcb = uv_cb_qui(header=uv_cb_header(len=QUI_LEN_2021, cmd=UVC.QUI))
        self.uv_call(uvcb)
        return uvcb

    def uv_pin_shared(self: Kernel, paddr: int) -> int:
        """Keep a page shared that the guest shared; -EINVAL on any other page."""
        return -EINVAL if self.uv_call(uv_cb_cfs(cmd=UVC.PIN_PAGE_SHARED, paddr=paddr)) else 0

    def uv_destroy_page(self: Kernel, paddr: int) -> int:
        """Have a page cleared and made accessible; only for pages whose configuration has no CPUs."""
        uvcb = uv_cb_cfs(cmd=UVC.DESTR_SEC_STOR, paddr=paddr)
        if self.uv_call(uvcb) and (uvcb.header.rc, uvcb.header.rrc) != (0x107, 0xD):
            return -EINVAL
        # 0x107/0xd is how older firmware says that the page is not secure
        return 0

    def uv_convert_from_secure(self: Kernel, paddr: int) -> int:
        """Have a page exported: encrypted and made accessible. Harmless on a page that is not secure."""
        return -EINVAL if self.uv_call(uv_cb_cfs(cmd=UVC.CONV_FROM_SEC_STOR, paddr=paddr)) else 0

    def make_secure_pte(self: Kernel, page: Page, uvcb: Any) -> int:
        """Import one page with the call in `uvcb`.

        -EBUSY: another reference to the page is held. -ENXIO: the Ultravisor finds no entry for it (rc 0x10a).
        """
        if page.refs > 1:
            return -EBUSY
        page.arch_1 = True
        if not self.uv_call(uvcb):
            return 0
        return -ENXIO if uvcb.header.rc == 0x10A else -EINVAL

    def gmap_make_secure(self: Kernel, gmap: Gmap, gaddr: int, uvcb: Any) -> int:
        """Import the page at a guest address. -EAGAIN: try again, its entry was not there or the page was busy.

        -EFAULT: the guest has no memory at that address.

        A busy page is tried a second time here, after this CPU's pagevecs were drained; those of all CPUs are drained
        before -EAGAIN is returned. The second try never helps in this model, but patch 7 exports before each.
        """
        machine, page = self.machine, self.gmap_page(gmap, gaddr)
        rc = -ENXIO if page is None else self.make_page_secure(gmap, page, uvcb)
        if page is not None and rc == -EBUSY:
            rc = self.make_page_secure(gmap, page, uvcb)
        if rc == -EBUSY:
            machine.engine.charge(machine.costs.retry)
            return -EAGAIN
        if rc == -ENXIO:
            if page is None:
                addr = self.gmap_translate(gmap, gaddr)
                if addr == -EFAULT:
                    return -EFAULT
                self.handle_mm_fault(gmap.mm, gmap.mm.guest, addr)
            else:
                machine.engine.charge(machine.costs.fault)
            return -EAGAIN
        return rc

    def make_page_secure(self: Kernel, _gmap: Gmap, page: Page, uvcb: Any) -> int:
        """One try on a page that was found, its entry locked (patch 7 edits this)."""
        return self.make_secure_pte(page, uvcb)

    def gmap_convert_to_secure(self: Kernel, gmap: Gmap, gaddr: int) -> int:
        """Import a page into the configuration that runs."""
        return self.gmap_make_secure(gmap, gaddr, uv_cb_cts(guest_handle=gmap.guest_handle, gaddr=gaddr))

    def arch_make_page_accessible(self: Kernel, page: Page) -> int:
        """Make a page readable for host I/O or swap: pinned if it is shared, else exported."""
        if not page.arch_1:
            return 0
        if self.uv_pin_shared(page.paddr) and (rc := self.uv_convert_from_secure(page.paddr)):
            return rc
        page.arch_1 = False
        return 0

    def mm_is_protected(self: Kernel, mm: Mm) -> bool:
        """Whether a secure configuration is thought to live in this address space."""
        return bool(mm.context.is_protected)

    def gmap_page(self: Kernel, gmap: Gmap, gaddr: int) -> Page | None:
        """The page behind a guest address, or None if no entry is present."""
        addr = self.gmap_translate(gmap, gaddr)
        if addr == -EFAULT:
            return None
        page = self.machine.memory.page(gmap.mm.guest.slot(addr >> PAGE_SHIFT))
        return page if self.pte_present(gmap.mm, page) else None
