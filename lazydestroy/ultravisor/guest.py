"""What a protected guest itself asks for: to share a page, and to take it back."""

from __future__ import annotations

from ..page import HELD, Record, State
from ..uvcb import UVC, UVC_CC_BUSY, uv_cb_share
from .codes import DONE, NOOP, RC_OTHER_OWNER, RC_UNSHARE_OUTSIDE
from .command import Refused
from .pages import Pages
from .records import imported


class GuestCalls(Pages):
    """Calls of a protected guest."""

    def _share(self, block: uv_cb_share, handle: int) -> tuple[str, int]:
        pfn, record = self._own_page(block.paddr, handle, 0x101)
        self._fail_if_told(UVC.SET_SHARED_ACCESS, handle)
        if record.state == State.SHARED:
            return NOOP, self.costs.noop
        self.memory.set_record(pfn, record._replace(state=State.SHARED))
        return DONE, self.costs.noop

    def _unshare(self, block: uv_cb_share, handle: int) -> tuple[str, int]:
        pfn, record = self._own_page(block.paddr, handle, RC_UNSHARE_OUTSIDE)
        if record.pinned:
            raise Refused(0, cc=UVC_CC_BUSY)
        self._fail_if_told(UVC.REMOVE_SHARED_ACCESS, handle)
        if record.state == State.SECURE:
            return NOOP, self.costs.noop
        self.memory.set_record(pfn, imported(record, handle))
        return DONE, self.costs.noop

    def _own_page(self, gaddr: int, handle: int, outside: int) -> tuple[int, Record]:
        pfn = self._frame_of_guest(self._configuration(handle), gaddr, outside)
        record = self.memory.record(pfn)
        if record.owner != handle or record.state not in HELD:
            raise Refused(RC_OTHER_OWNER)
        return pfn, record
