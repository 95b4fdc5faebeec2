"""The kernel's structures, as far as protected virtual machines need them: an mm, a gmap, a VM, its vCPUs.

No behaviour lives here but one thing: whoever sets a field tells the memory that the context of page steps has changed,
so that nothing learned under the old value is used under the new one (`Memory.context_changed`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, NamedTuple

from .._core import DeferredList, Lock, Memory, Table
from ..page import Record

Flow = Generator[Any, Any, Any]
"""A function with waiting points: it yields nanoseconds, a lock request, a signal or a loop over pages."""


Storage = tuple[int, int]
"""Frames that were taken to be donated: the first one, and how many."""

NO_STORAGE: Storage = (0, 0)


class Struct:
    """Base of what page steps may look at beside their page."""

    __slots__ = ("_memory",)

    _memory: Memory

    def __init__(self, memory: Memory, **fields: Any) -> None:
        object.__setattr__(self, "_memory", memory)
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        if getattr(self, name) != value:
            self._memory.context_changed()
            object.__setattr__(self, name, value)


class MmContext(Struct):
    """``mm->context``.

    Attributes
    ----------
    is_protected : int
        Before patch 6 a flag, with it the number of secure configurations in this address space.
    pv_sync_destroy : int
        Patch 9: nothing may be set aside when the address space is removed.
    deferred_list : DeferredList
        Patch 9: frame numbers of pages set aside.
    """

    __slots__ = ("deferred_list", "is_protected", "pv_sync_destroy")

    is_protected: int
    pv_sync_destroy: int
    deferred_list: DeferredList


class Mm(Struct):
    """An address space (``struct mm_struct``).

    Attributes
    ----------
    number : int
        Its name in page records.
    mm_users : int
        Users of the address space; at 0 it is removed.
    mm_count : int
        References to this structure; at 0 it is freed.
    mmap_lock : Lock
    guest, process : Table
        Page tables of the guest's memory and of the process's own.
    swap : dict of int to Record
        Guest pages that are swapped out, and what is in them.
    notifier_subscriptions : tuple of Kvm
        VMs whose notifier is called when the address space ends (Linux 6.0).
    freed : bool
        The structure has been freed: whoever touches `context` now uses freed memory.
    """

    __slots__ = (
        "_context",
        "freed",
        "guest",
        "mm_count",
        "mm_users",
        "mmap_lock",
        "notifier_subscriptions",
        "number",
        "on_use",
        "process",
        "swap",
    )

    _context: MmContext
    number: int
    mm_users: int
    mm_count: int
    mmap_lock: Lock
    guest: Table
    process: Table
    swap: dict[int, Record]
    notifier_subscriptions: tuple[Kvm, ...]
    freed: bool
    on_use: Callable[[str], None]

    @property
    def tables(self) -> list[Table]:
        """The page tables that have entries: the guest's, and the process's own."""
        return [table for table in (self.guest, self.process) if table.pages]

    @property
    def context(self) -> MmContext:
        """``mm->context``; a use after free is reported as the event that it is."""
        if self.freed:
            self.on_use("mm->context")
        return self._context


class Memslot(NamedTuple):
    """A piece of the guest's memory: its first guest frame, how many pages, and the first of the process's pages."""

    base_gfn: int
    npages: int
    first: int


class Gmap(Struct):
    """The guest's address space as KVM sees it.

    Attributes
    ----------
    mm : Mm
    memslots : tuple of Memslot
        Where the guest's memory lies in the process's.
    table : int
        First frame of the top-level table (``CRST_ALLOC_ORDER`` 2: four contiguous pages).
    asce : int
        The table's origin with its attributes.
    crst_list : list of int
        First frames of the tables that are freed with the gmap.
    guest_handle : int
        The secure configuration that faults import into.
    host_to_guest : int
        First frame of the table that the host-to-guest map points into: the first top-level table, if the guest has two
        levels of tables. 0 if it has more: then the map points into tables that are never replaced.
    dangling : bool
        That table has been freed.
    """

    __slots__ = ("asce", "crst_list", "dangling", "guest_handle", "host_to_guest", "memslots", "mm", "table")

    mm: Mm
    memslots: tuple[Memslot, ...]
    table: int
    asce: int
    crst_list: list[int]
    guest_handle: int
    host_to_guest: int
    dangling: bool


class Pv(Struct):
    """``kvm->arch.pv``: handle of the secure configuration, and what was donated for it (frames and pages).

    Attributes
    ----------
    handle, guest_len : int
    stor_base, stor_var : Storage
    set_aside : PvVmToBeDestroyed or None
        Linux 6.2: the configuration that was set aside, and whose clean-up has not begun.
    need_cleanup : tuple of PvVmToBeDestroyed
        Linux 6.2: leftovers, the newest first. Their clean-up was begun and not brought to its end.
    mmu_notifier : bool
        Linux 6.0: the kernel has tried to register a notifier for this VM (its ``ops`` pointer is set).
    """

    __slots__ = ("guest_len", "handle", "mmu_notifier", "need_cleanup", "set_aside", "stor_base", "stor_var")

    handle: int
    guest_len: int
    stor_base: Storage
    stor_var: Storage
    set_aside: PvVmToBeDestroyed | None
    need_cleanup: tuple[PvVmToBeDestroyed, ...]
    mmu_notifier: bool

    def __init__(self, memory: Memory, **fields: Any) -> None:
        super().__init__(memory, **{**_NO_CONFIGURATION, **fields})


_NO_CONFIGURATION: dict[str, Any] = {
    "handle": 0,
    "guest_len": 0,
    "stor_base": NO_STORAGE,
    "stor_var": NO_STORAGE,
    "set_aside": None,
    "need_cleanup": (),
    "mmu_notifier": False,
}


class Vcpu(Struct):
    """A vCPU; ``handle`` and ``stor_base`` are those of its secure CPU, or 0 and `NO_STORAGE`.

    ``sie_block`` is the frame of its state description, ``sida`` that of its SIDA page (Linux 5.16), or 0.
    """

    __slots__ = ("handle", "kvm", "sida", "sie_block", "stor_base", "vcpu_id")

    vcpu_id: int
    kvm: Kvm
    handle: int
    stor_base: Storage
    sie_block: int
    sida: int


class Kvm(Struct):
    """A VM (``struct kvm``).

    Attributes
    ----------
    mm : Mm
    gmap : Gmap
    pv : Pv
    vcpus : list of Vcpu
    lock : Lock
        ``kvm->lock``.
    sca : int
        Frame of the system control area.
    memslots : tuple of Memslot
        The pieces of the guest's memory, by guest address.
    guest_len : int
        Where the guest's memory ends, in bytes.
    """

    __slots__ = ("gmap", "guest_len", "lock", "memslots", "mm", "pv", "sca", "vcpus")

    mm: Mm
    gmap: Gmap
    pv: Pv
    vcpus: list[Vcpu]
    lock: Lock
    memslots: tuple[Memslot, ...]
    sca: int
    guest_len: int


@dataclass(slots=True)
class Answer:
    """What an ioctl gives back to userspace: its return value, and the Ultravisor's rc and rrc."""

    r: int = 0
    rc: int = 0
    rrc: int = 0


@dataclass(slots=True)
class DeferredPriv:
    """Patch 8: what the clean-up thread is told about the VM that it cleans up.

    ``old_table`` is the first frame of the old top-level table; ``has_mm`` says whether the address space was alive.
    """

    mm: Mm
    handle: int = 0
    stor_base: Storage = NO_STORAGE
    stor_var: Storage = NO_STORAGE
    old_table: int = 0
    has_mm: bool = False


@dataclass(frozen=True, slots=True)
class PvVmToBeDestroyed:
    """Linux 6.2: a configuration that its VM no longer runs (``struct pv_vm_to_be_destroyed``).

    Everything is 0 if DESTROY_SEC_CONF_FAST has ended it: then only the count is left to be lowered. ``old_gmap_table``
    is the first frame of its top-level table.
    """

    handle: int = 0
    stor_base: Storage = NO_STORAGE
    stor_var: Storage = NO_STORAGE
    old_gmap_table: int = 0
