"""Calls on pages: import, unpack, export, destroy, pin, unpin."""

from __future__ import annotations

from ..page import HELD, PAGE_SHIFT, Content, Record, State
from ..uvcb import BIT_UVC_FEAT_MISC_0, UVC, uv_cb_cfs, uv_cb_cts, uv_cb_unp
from .codes import (
    ASCE_ORIGIN,
    DONE,
    HARMFUL,
    NOOP,
    RC_DONATED,
    RC_GUEST_ADDRESS,
    RC_HAS_CPUS,
    RC_NOT_GENUINE,
    RC_NOT_SHARED,
    RC_OTHER_OWNER,
    RC_OUTSIDE,
    RC_OWN_PAGE,
    RC_PHASE,
    RC_UNMAPPED,
    Phase,
)
from .command import Refused
from .configurations import Configurations
from .records import cleared, exported, imported
from .structs import Configuration


class Pages(Configurations):
    """Calls on pages."""

    def _import(self, block: uv_cb_cts) -> tuple[str, int]:
        handle = block.guest_handle
        configuration = self._configuration(handle)
        if configuration.phase is Phase.CREATED:
            raise Refused(RC_PHASE)
        pfn = self._frame(configuration, block.gaddr)
        record = self.memory.record(pfn)
        if record.owner == handle and record.state in HELD:
            self._fail_if_told(UVC.CONV_TO_SEC_STOR, handle)
            return NOOP, self.costs.noop
        self._check_takable(record)
        was_exported = record.measured == handle
        if was_exported and (record.content != Content.CIPHERTEXT or record.content_of != handle):
            raise Refused(RC_NOT_GENUINE)
        self._fail_if_told(UVC.CONV_TO_SEC_STOR, handle)
        self.memory.set_record(pfn, imported(record, handle))
        return DONE, self.costs.import_decrypt if was_exported else self.costs.import_clear

    def _unpack(self, block: uv_cb_unp) -> tuple[str, int]:
        configuration = self._configuration(block.guest_handle)
        if configuration.phase not in (Phase.PARAMETERS_SET, Phase.UNPACKED):
            raise Refused(RC_PHASE)
        pfn = self._frame_of_guest(configuration, block.gaddr, RC_GUEST_ADDRESS)
        record = self.memory.record(pfn)
        if record.owner == configuration.handle and record.state in HELD:
            raise Refused(RC_OWN_PAGE)
        self._check_takable(record)
        self._fail_if_told(UVC.UNPACK_IMG, configuration.handle)
        self._enter(configuration, Phase.UNPACKED)
        self.memory.set_record(pfn, imported(record, configuration.handle))
        return DONE, self.costs.import_decrypt

    def _check_takable(self, record: Record) -> None:
        """Rules 3 and 4: what belongs to another configuration cannot be imported."""
        if record.state == State.DONATED:
            raise Refused(RC_DONATED)
        if record.state == State.SECURE:
            raise Refused(RC_OTHER_OWNER)
        if record.state == State.SHARED and BIT_UVC_FEAT_MISC_0 not in self.features:
            raise Refused(RC_OTHER_OWNER)

    def _export(self, block: uv_cb_cfs) -> tuple[str, int]:
        pfn, record = self._page_at(block.paddr)
        self._fail_if_told(UVC.CONV_FROM_SEC_STOR, record.owner)
        if record.state == State.NON_SECURE:
            return NOOP, self.costs.noop
        self.memory.set_record(pfn, exported(record))
        return DONE, self.costs.export

    def _destroy(self, block: uv_cb_cfs) -> tuple[str, int]:
        pfn, record = self._page_at(block.paddr)
        if record.state == State.NON_SECURE:
            return self._destroy_nothing()
        owner = self._there(record.owner)
        running = owner is not None and bool(owner.cpus)
        if running and self.destroy_needs_no_cpus:
            raise Refused(RC_HAS_CPUS)
        self._fail_if_told(UVC.DESTR_SEC_STOR, record.owner)
        self.memory.set_record(pfn, cleared(record))
        return HARMFUL if running else DONE, self.costs.destroy

    def _destroy_nothing(self) -> tuple[str, int]:
        """Rule 2: there is nothing to destroy."""
        self._fail_if_told(UVC.DESTR_SEC_STOR)
        if self.old_firmware:
            raise Refused(0x107, 0xD, outcome=NOOP)
        return NOOP, self.costs.noop

    def _pin(self, block: uv_cb_cfs) -> tuple[str, int]:
        pfn, record = self._page_at(block.paddr)
        if record.state != State.SHARED:
            raise Refused(RC_NOT_SHARED)
        self._fail_if_told(UVC.PIN_PAGE_SHARED, record.owner)
        if record.pinned:
            return NOOP, self.costs.noop
        self.memory.set_record(pfn, record._replace(pinned=True))
        return DONE, self.costs.noop

    def _unpin(self, block: uv_cb_cts) -> tuple[str, int]:
        handle = block.guest_handle
        pfn = self._frame(self._configuration(handle), block.gaddr)
        record = self.memory.record(pfn)
        if record.owner != handle or not record.pinned:
            raise Refused(RC_NOT_SHARED)
        self._fail_if_told(UVC.UNPIN_PAGE_SHARED, handle)
        self.memory.set_record(pfn, record._replace(pinned=False))
        return DONE, self.costs.noop

    def _page_at(self, paddr: int) -> tuple[int, Record]:
        """The page at an absolute address, if it is not donated."""
        if paddr >= self.end:
            raise Refused(RC_OUTSIDE)
        pfn = paddr >> PAGE_SHIFT
        record = self.memory.record(pfn)
        if record.state == State.DONATED:
            raise Refused(RC_DONATED)
        return pfn, record

    def _frame_of_guest(self, configuration: Configuration, gaddr: int, outside: int) -> int:
        """The frame behind an address that counts from 0 at the guest's origin; refused with rc `outside` beyond it."""
        if gaddr >= configuration.guest_len:
            raise Refused(outside)
        return self._frame(configuration, configuration.guest_origin + gaddr)

    def _frame(self, configuration: Configuration, gaddr: int) -> int:
        """The frame behind an address in the host's tables for the guest, where its storage begins at its origin."""
        if not 0 <= gaddr - configuration.guest_origin < configuration.guest_len:
            raise Refused(RC_GUEST_ADDRESS)
        table = self.tables.get(configuration.asce & ASCE_ORIGIN)
        pfn = None if table is None else table.frame(gaddr >> PAGE_SHIFT)
        if pfn is None or not 0 <= pfn < self.memory.pages:
            raise Refused(RC_UNMAPPED)
        return pfn
