"""What the Ultravisor keeps on configurations and CPUs, and what it needs of a host: memory and guests' page tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from ..page import PAGE_SHIFT, Record
from ..uvcb import PV_CPU_STATE_STP, UVC
from .codes import ASCE_ORIGIN, TABLE_LEN, Phase


class Storage(NamedTuple):
    """A piece of host memory: absolute address of its first byte, and length in bytes."""

    origin: int
    length: int

    @property
    def first(self) -> int:
        """Number of its first frame."""
        return self.origin >> PAGE_SHIFT

    @property
    def pages(self) -> int:
        """Number of frames."""
        return self.length >> PAGE_SHIFT

    def overlaps(self, other: Storage) -> bool:
        """Whether the two have a byte in common."""
        return self.origin < other.origin + other.length and other.origin < self.origin + self.length


@dataclass(slots=True)
class Configuration:
    """A secure configuration: what the Ultravisor knows as one protected guest.

    Attributes
    ----------
    handle : int
        Its name, in every later call.
    guest_origin, guest_len : int
        The guest's storage, in bytes: where it begins in the host's tables for the guest, and how long it is. An import
        or unpin names an address in those tables; an unpack and the guest's own calls count from 0 at the origin.
    asce, sca : int
        Top-level page table with its attributes; system control area. Both stay the host's memory.
    base, variable : Storage
        What was donated for it.
    cpus : dict of int to int
        CPU number to CPU handle.
    phase : Phase
        How far it has come.
    destroy_failed : tuple of int, optional
        rc and rrc with which DESTROY_SEC_CONF failed: it always will (rule 6).
    alive : bool
        False once it is destroyed or the machine reset.
    """

    handle: int
    guest_origin: int
    guest_len: int
    asce: int
    sca: int
    base: Storage
    variable: Storage
    cpus: dict[int, int] = field(default_factory=dict)
    phase: Phase = Phase.CREATED
    destroy_failed: tuple[int, int] | None = None
    alive: bool = True

    @property
    def table(self) -> Storage:
        """The top-level page table."""
        return Storage(self.asce & ASCE_ORIGIN, TABLE_LEN)


@dataclass(slots=True)
class SecureCpu:
    """A CPU of a secure configuration.

    Attributes
    ----------
    handle, configuration : int
        Its own handle and that of its configuration.
    num : int
        CPU number within the configuration.
    storage : Storage
        What was donated for it.
    state_origin : int
        Absolute address of its state description, which stays the host's memory.
    state : int
        One of the ``PV_CPU_STATE_`` numbers.
    """

    handle: int
    configuration: int
    num: int
    storage: Storage
    state_origin: int
    state: int = PV_CPU_STATE_STP


@dataclass(slots=True)
class Fault:
    """A failure to come, made by `Ultravisor.fail`. ``times`` counts down; None is for good."""

    cmd: UVC
    rc: int
    rrc: int
    cc: int
    handle: int | None
    times: int | None

    def concerns(self, cmd: UVC, handle: int) -> bool:
        """Whether it hits this call."""
        return self.cmd == cmd and (self.handle is None or self.handle == handle)


class HostMemory(Protocol):
    """What the Ultravisor needs of the host's memory; `lazydestroy._core.Memory` is one."""

    @property
    def pages(self) -> int:
        """Number of frames."""
        ...

    def record(self, pfn: int) -> Record:
        """The record of a frame."""
        ...

    def set_record(self, pfn: int, record: Record) -> None:
        """Replace the record of a frame."""
        ...

    def change(self, function: Callable[[Record], Record], start: int = 0, count: int | None = None) -> int:
        """Apply a function to the records of a range; returns how many changed."""
        ...

    def records(self, start: int = 0, count: int | None = None) -> Mapping[Record, int]:
        """How many frames of a range have which record."""
        ...

    def context_changed(self) -> None:
        """Something that calls depend on, beside a page's record, is about to change."""
        ...


class GuestTable(Protocol):
    """A guest's page table: which frame backs a page of the guest."""

    def frame(self, page_number: int) -> int | None:
        """The frame behind a guest page, or None."""
        ...


class DictTable:
    """A guest's page table kept in a dict: guest page number to frame number."""

    def __init__(self, frames: Mapping[int, int]) -> None:
        self.frames = frames

    def frame(self, page_number: int) -> int | None:
        """The frame that backs a guest page, or None."""
        return self.frames.get(page_number)
