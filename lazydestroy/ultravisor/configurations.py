"""Calls on configurations: create, parameters, verify, reset, destroy."""

from __future__ import annotations

from ..page import HELD, PAGE_SIZE, Record, State
from ..units import size
from ..uvcb import (
    UVC,
    UVC_CC_ERROR,
    UVC_RC_INV_GHANDLE,
    UVC_RC_NEED_DESTROY,
    uv_cb_cgc,
    uv_cb_destroy_fast,
    uv_cb_nodata,
    uv_cb_ssc,
)
from .access import Access
from .codes import (
    ASCE_PRIVATE,
    ASCE_RESERVED,
    DONE,
    GIB,
    LOWCORE_LEN,
    MIB,
    RC_CONF_BASE,
    RC_CONF_EMPTY,
    RC_CONF_LIMIT,
    RC_CONF_TABLE,
    RC_CONF_VARIABLE,
    RC_HAS_CPUS,
    RC_PHASE,
    Phase,
)
from .command import Refused
from .faults import Faults
from .records import cleared, imported
from .structs import Configuration, Storage


class Configurations(Faults, Access):
    """Calls on configurations."""

    def variable_storage(self, guest_len: int) -> int:
        """Bytes of variable storage that a guest of `guest_len` bytes needs: by its whole MiB, then whole pages."""
        per_mib = size(guest_len, "guest_len", zero=True) // MIB * self.conf_virt_var_stor_len
        return -(-(per_mib + self.conf_base_virt_stor_len) // PAGE_SIZE) * PAGE_SIZE

    def _create_configuration(self, block: uv_cb_cgc) -> tuple[str, int]:
        wanted = Configuration(
            handle=(self._configurations_made + 1) << 12,
            guest_origin=block.guest_stor_origin,
            guest_len=block.guest_stor_len,
            asce=block.guest_asce,
            sca=block.guest_sca,
            base=Storage(block.conf_base_stor_origin, self.conf_base_phys_stor_len),
            variable=Storage(block.conf_var_stor_origin, self.variable_storage(block.guest_stor_len)),
        )
        self._check_guest(wanted)
        self._check_areas(wanted)
        self._check_free(wanted)
        fault = self._injected(UVC.CREATE_SEC_CONF)
        if fault is not None and not fault.rc & UVC_RC_NEED_DESTROY:
            raise Refused(fault.rc, fault.rrc, fault.cc)
        self.memory.context_changed()
        self._add_configuration(wanted)
        block.guest_handle = wanted.handle
        if fault is not None:
            wanted.phase = Phase.NEEDS_DESTROY
            raise Refused(fault.rc, fault.rrc, fault.cc)
        return DONE, self._configuration_price(wanted)

    def _check_guest(self, wanted: Configuration) -> None:
        if wanted.guest_origin > self.max_guest_stor_addr:
            raise Refused(0x101)
        if wanted.guest_origin + wanted.guest_len > self.max_guest_stor_addr:
            raise Refused(0x102)
        if not wanted.guest_len:
            raise Refused(RC_CONF_EMPTY)
        if not wanted.asce & ASCE_PRIVATE or wanted.asce & ASCE_RESERVED:
            raise Refused(0x105)

    def _check_areas(self, wanted: Configuration) -> None:
        """Where the pieces lie: bounds come before alignment."""
        if not self._inside(wanted.base):
            raise Refused(0x108)
        if wanted.base.origin < LOWCORE_LEN:
            raise Refused(0x109)
        if not self._inside(wanted.variable):
            raise Refused(RC_CONF_VARIABLE)
        if wanted.variable.origin < LOWCORE_LEN:
            raise Refused(0x10E)
        if not wanted.sca:
            raise Refused(0x10C)
        if not self._inside(Storage(wanted.sca, PAGE_SIZE)):
            raise Refused(0x10D)

    def _check_free(self, wanted: Configuration) -> None:
        """Whether the pieces can be had: the table first, for a table in use must not cost a handle."""
        table = wanted.table
        if not self._inside(table) or self._is_marked(table) or not self._host_only(table):
            raise Refused(RC_CONF_TABLE)
        if not self._donatable(wanted.base) or wanted.base.overlaps(table):
            raise Refused(RC_CONF_BASE)
        if not self._donatable(wanted.variable) or wanted.variable.overlaps(table):
            raise Refused(RC_CONF_VARIABLE)
        if wanted.variable.overlaps(wanted.base):
            raise Refused(RC_CONF_VARIABLE)
        if len(self.configurations) >= self.max_num_sec_conf:
            raise Refused(RC_CONF_LIMIT)

    def _add_configuration(self, new: Configuration) -> None:
        self._configurations_made += 1
        self._donate(new.base, new.handle)
        self._donate(new.variable, new.handle)
        self.marked[new.table.origin] = new.handle
        self.configurations[new.handle] = new

    def _configuration_price(self, configuration: Configuration) -> int:
        return self.costs.config + self.costs.config_per_gib * configuration.guest_len // GIB

    def _destroy_configuration(self, block: uv_cb_nodata) -> tuple[str, int]:
        configuration = self._destroyable(block.handle)
        self._fail_to_destroy_if_told(configuration)
        self.memory.context_changed()
        cleaned = self._clean_pages_of(configuration.handle)
        self._end(configuration)
        return DONE, self._configuration_price(configuration) + cleaned * (self.costs.destroy * 3 // 10)

    def _destroy_configuration_fast(self, block: uv_cb_destroy_fast) -> tuple[str, int]:
        """Rule 7a: the pages stay as they are. If the call fails, the ordinary one may still succeed."""
        configuration = self._destroyable(block.handle)
        self._fail_if_told(UVC.DESTROY_SEC_CONF_FAST, configuration.handle)
        self.memory.context_changed()
        self._end(configuration)
        return DONE, self.costs.config

    def _destroyable(self, handle: int) -> Configuration:
        """The configuration of that handle, if it can be destroyed."""
        configuration = self._there(handle)
        if configuration is None:
            raise Refused(UVC_RC_INV_GHANDLE)
        if configuration.destroy_failed is not None:
            raise Refused(*configuration.destroy_failed)
        if configuration.cpus:
            raise Refused(RC_HAS_CPUS)
        return configuration

    def _fail_to_destroy_if_told(self, configuration: Configuration) -> None:
        fault = self._injected(UVC.DESTROY_SEC_CONF, configuration.handle)
        if fault is None:
            return
        if fault.cc == UVC_CC_ERROR:
            # The mark stays, and asking again fails again: rule 6.
            self.memory.context_changed()
            configuration.destroy_failed = (fault.rc, fault.rrc)
        raise Refused(fault.rc, fault.rrc, fault.cc)

    def _clean_pages_of(self, handle: int) -> int:
        """Clear what is still secure or shared. Returns how many pages that were."""

        def clear(record: Record) -> Record:
            return cleared(record) if record.owner == handle and record.state in HELD else record

        return self.memory.change(clear)

    def _end(self, configuration: Configuration) -> None:
        """Give its storage back, take the mark off its table, forget it and what it exported."""
        handle = configuration.handle
        self.memory.change(lambda record: record._replace(measured=0) if record.measured == handle else record)
        self._give_back(configuration.base)
        self._give_back(configuration.variable)
        del self.marked[configuration.table.origin]
        del self.configurations[handle]
        configuration.alive = False

    def _configuration(self, handle: int) -> Configuration:
        """The configuration of that handle, if it can be used."""
        configuration = self._there(handle)
        if configuration is None or configuration.phase is Phase.NEEDS_DESTROY:
            raise Refused(UVC_RC_INV_GHANDLE)
        return configuration

    def _set_parameters(self, block: uv_cb_ssc) -> tuple[str, int]:
        configuration = self._configuration(block.guest_handle)
        if not self._readable(Storage(block.sec_header_origin, block.sec_header_len)):
            raise Refused(0x103)
        if configuration.phase is not Phase.CREATED:
            raise Refused(RC_PHASE)
        self._fail_if_told(UVC.SET_SEC_CONF_PARAMS, configuration.handle)
        self._enter(configuration, Phase.PARAMETERS_SET)
        return DONE, self.costs.noop

    def _verify(self, block: uv_cb_nodata) -> tuple[str, int]:
        configuration = self._configuration(block.handle)
        if configuration.phase is not Phase.UNPACKED:
            raise Refused(RC_PHASE)
        self._fail_if_told(UVC.VERIFY_IMG, configuration.handle)
        self._enter(configuration, Phase.VERIFIED)
        return DONE, self.costs.noop

    def _enter(self, configuration: Configuration, phase: Phase) -> None:
        if configuration.phase is not phase:
            self.memory.context_changed()
            configuration.phase = phase

    def _prepare_reset(self, block: uv_cb_nodata) -> tuple[str, int]:
        configuration = self._configuration(block.handle)
        self._fail_if_told(UVC.PREPARE_RESET, configuration.handle)
        return DONE, self.costs.noop

    def _unshare_all(self, block: uv_cb_nodata) -> tuple[str, int]:
        handle = self._configuration(block.handle).handle
        self._fail_if_told(UVC.SET_UNSHARE_ALL, handle)
        self.memory.change(
            lambda record: (
                imported(record, handle) if record.state == State.SHARED and record.owner == handle else record
            )
        )
        return DONE, self.costs.noop
