"""Calls about the Ultravisor itself: what it can do, its own storage; and the reset of the machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ctypes import c_uint8
from typing import Any

from ..page import PAGE_SIZE
from ..uvcb import QUERY_BITS, UVC, UVC_RC_INV_LEN, UVC_RC_MORE_DATA, uv_cb_init, uv_cb_qui
from .access import Access
from .codes import DONE, QUERY_MIN_LEN, UV_HANDLE
from .command import NUMBERS, Command, Refused, header_of, view
from .faults import Faults
from .records import cleared
from .structs import Storage


def _bits(numbers: Iterable[int], words: int) -> list[int]:
    """A list of 64-bit words in which bit 0 is the leftmost of the first."""
    found = [0] * words
    for number in numbers:
        found[number // 64] |= 1 << (63 - number % 64)
    return found


class Query(Faults, Access):
    """QUI, INIT_UV, and the reset."""

    def _query(self, uvcb: Any, handle: int = 0) -> tuple[str, int]:
        length = header_of(uvcb).len
        if length < QUERY_MIN_LEN:
            raise Refused(UVC_RC_INV_LEN)
        self._fail_if_told(UVC.QUI, handle)
        answer = bytes(self._answer_to_query(self._GUEST if handle else self._installed))
        filled = min(length, len(answer))
        view(uvcb, c_uint8 * length)[8:filled] = answer[8:filled]
        if length < len(answer):
            raise Refused(UVC_RC_MORE_DATA, outcome=DONE)
        return DONE, self.costs.noop

    def _answer_to_query(self, commands: Mapping[int, Command]) -> uv_cb_qui:
        calls = _bits((QUERY_BITS[NUMBERS[number]] for number in commands), 4)
        return uv_cb_qui(
            inst_calls_list=tuple(calls),
            uv_base_stor_len=self.uv_base_stor_len,
            conf_base_phys_stor_len=self.conf_base_phys_stor_len,
            conf_base_virt_stor_len=self.conf_base_virt_stor_len,
            conf_virt_var_stor_len=self.conf_virt_var_stor_len,
            cpu_stor_len=self.cpu_stor_len,
            max_num_sec_conf=self.max_num_sec_conf,
            max_guest_stor_addr=self.max_guest_stor_addr,
            max_guest_cpus=self.max_guest_cpus,
            uv_feature_bits=_bits(self.features, 1)[0],
        )

    def _initialise(self, block: uv_cb_init) -> tuple[str, int]:
        origin = block.stor_origin // self.uv_base_stor_align * self.uv_base_stor_align
        storage = Storage(origin, block.stor_len // PAGE_SIZE * PAGE_SIZE)
        if self.base is not None:
            raise Refused(0x101)
        if self.cpus_running > 1:
            raise Refused(0x102)
        if storage.length != self.uv_base_stor_len:
            raise Refused(0x103)
        if storage.origin >= self.end:
            raise Refused(0x104)
        if not self._inside(storage):
            raise Refused(0x105)
        if storage.origin < self.donated_from:
            raise Refused(0x108)
        self._fail_if_told(UVC.INIT_UV)
        self.memory.context_changed()
        self._donate(storage, UV_HANDLE)
        self.base = storage
        return DONE, self.costs.noop

    def reset(self) -> None:
        """Load-normal reset of the machine.

        What was secure or donated is cleared, the Ultravisor is as after power-on and remembers no configuration, no
        mark, no fault to come. Handles are not used again all the same.
        """
        self.memory.context_changed()
        self.memory.change(lambda record: (cleared(record) if record.state else record)._replace(measured=0))
        for configuration in self.configurations.values():
            configuration.alive = False
        self.cpus_running = 1
        self._forget()
