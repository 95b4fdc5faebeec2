"""Calls on the CPUs of a configuration."""

from __future__ import annotations

from ..page import PAGE_SIZE
from ..uvcb import (
    PV_CPU_STATE_CHKSTP,
    PV_CPU_STATE_OPR,
    PV_CPU_STATE_OPR_LOAD,
    PV_CPU_STATE_STP,
    UVC,
    UVC_RC_INV_CHANDLE,
    uv_cb_cpu_set_state,
    uv_cb_csc,
    uv_cb_nodata,
)
from .codes import DONE, LOWCORE_LEN, RC_CPU_STATE, RC_CPU_STORAGE
from .command import NUMBERS, Refused
from .configurations import Configurations
from .structs import SecureCpu, Storage

_CPU_STATES = (PV_CPU_STATE_OPR, PV_CPU_STATE_STP, PV_CPU_STATE_CHKSTP, PV_CPU_STATE_OPR_LOAD)


class Cpus(Configurations):
    """Calls on CPUs."""

    def _create_cpu(self, block: uv_cb_csc) -> tuple[str, int]:
        configuration = self._configuration(block.guest_handle)
        storage = Storage(block.stor_origin, self.cpu_stor_len)
        if block.num > self.max_guest_cpus:
            raise Refused(0x103)
        if block.num in configuration.cpus:
            raise Refused(0x104)
        if not self._inside(storage):
            raise Refused(0x105)
        if storage.origin < LOWCORE_LEN:
            raise Refused(0x106)
        if not self._readable(Storage(block.state_origin, PAGE_SIZE)):
            raise Refused(0x107)
        if not self._donatable(storage):
            raise Refused(RC_CPU_STORAGE)
        self._fail_if_told(UVC.CREATE_SEC_CPU, configuration.handle)
        self.memory.context_changed()
        self._cpus_made += 1
        cpu = SecureCpu((self._cpus_made << 12) + 0x800, configuration.handle, block.num, storage, block.state_origin)
        self._donate(storage, configuration.handle)
        self.cpus[cpu.handle] = cpu
        configuration.cpus[cpu.num] = cpu.handle
        block.cpu_handle = cpu.handle
        return DONE, self.costs.cpu

    def _destroy_cpu(self, block: uv_cb_nodata) -> tuple[str, int]:
        cpu = self._cpu(block.handle)
        self._fail_if_told(UVC.DESTROY_SEC_CPU, cpu.handle)
        self.memory.context_changed()
        self._give_back(cpu.storage)
        del self.cpus[cpu.handle]
        del self.configurations[cpu.configuration].cpus[cpu.num]
        return DONE, self.costs.cpu

    def _cpu(self, handle: int) -> SecureCpu:
        cpu = self.cpus.get(handle)
        if cpu is None:
            raise Refused(UVC_RC_INV_CHANDLE)
        return cpu

    def _reset_cpu(self, block: uv_cb_nodata) -> tuple[str, int]:
        cpu = self._cpu(block.handle)
        self._fail_if_told(NUMBERS[block.header.cmd], cpu.handle)
        self.memory.context_changed()
        cpu.state = PV_CPU_STATE_STP
        return DONE, self.costs.noop

    def _set_cpu_state(self, block: uv_cb_cpu_set_state) -> tuple[str, int]:
        cpu = self._cpu(block.cpu_handle)
        if block.state not in _CPU_STATES:
            raise Refused(RC_CPU_STATE)
        self._fail_if_told(UVC.CPU_SET_STATE, cpu.handle)
        self.memory.context_changed()
        cpu.state = block.state
        return DONE, self.costs.noop
