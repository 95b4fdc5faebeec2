"""What the Ultravisor remembers from one call to the next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from ..costs import Costs
from .command import Command
from .structs import Configuration, Fault, GuestTable, HostMemory, SecureCpu, Storage


class Remembered:
    """The parts of an `Ultravisor` that its calls look at. They are described there."""

    memory: HostMemory
    costs: Costs
    features: frozenset[int]
    end: int
    """Bytes of the host's memory."""

    donated_from: int
    max_num_sec_conf: int
    max_guest_stor_addr: int
    max_guest_cpus: int
    uv_base_stor_len: int
    uv_base_stor_align: int
    conf_base_phys_stor_len: int
    conf_base_virt_stor_len: int
    conf_virt_var_stor_len: int
    cpu_stor_len: int
    cpus_running: int
    old_firmware: bool
    destroy_needs_no_cpus: bool
    _configurations_made: int
    _cpus_made: int

    _installed: Mapping[int, Command]
    """The calls of the host, by number."""
    _GUEST: ClassVar[Mapping[int, Command]]
    """The calls of a protected guest, by number."""

    def _forget(self) -> None:
        """The state of a machine just switched on."""
        self.base: Storage | None = None
        self.configurations: dict[int, Configuration] = {}
        self.cpus: dict[int, SecureCpu] = {}
        self.marked: dict[int, int] = {}
        self.tables: dict[int, GuestTable] = {}
        self.faults: list[Fault] = []

    def _there(self, handle: int) -> Configuration | None:
        """The configuration of that handle, if there is one."""
        return self.configurations.get(handle)

    @property
    def initialised(self) -> bool:
        """Whether INIT_UV has been done."""
        return self.base is not None
