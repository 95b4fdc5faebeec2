"""The Ultravisor: what each call checks, what it does to pages, and what it answers.

This is the only description of the Ultravisor in the package, in plain Python. `lazydestroy._core` makes loops over
many pages fast by running these very functions once on a scratch page and repeating what they did. For that to be
right, a *page command* (import, export, destroy, unpack, pin, unpin) looks at the page's `Record` and at the
Ultravisor's own context, never at the frame number except for bounds; and whatever changes that context says so
first, with ``memory.context_changed()``.

The rules that the patch series relies on, by the numbers that comments and tests use:

1. A page is destroyed only while its owner has no CPUs; it can be exported at any time.
2. Destroying or exporting a non-secure page does nothing and succeeds (destroying: on newer firmware).
3. A page that is secure for one configuration is not imported into another before an export or a destroy.
4. Nor is a page that another configuration shared, unless the Ultravisor has the feature "misc".
5. A first import clears the page; an import after an export decrypts it, and fails if it is not what was exported.
5a. Imports and unpacks need a successful SET_SEC_CONF_PARAMS.
6. The top-level table of a configuration is marked: nobody else can use it until DESTROY_SEC_CONF succeeds, and
   where that has failed it always will.
7. DESTROY_SEC_CONF wants all CPUs gone, and cleans whatever pages are still secure.
8. An import of an address that the guest's tables do not map answers 0x10a.
9. Donated storage is out of the host's reach, and comes back cleared.
10. Configurations of one VM name the same SCA; one that is set aside counts as any other against the limit.

Not modelled: checks of the instruction itself (privileged state, format, translation of the block's address),
DESTROY_SEC_CONF_FAST, attestation, prefix areas of host CPUs other than the one at address 0, and an import onto a
marked table. Variable storage is contiguous in absolute memory here; on a real host it is contiguous only in the
kernel's virtual memory.

No public source fixes every answer. What is assumed is in `ASSUMPTIONS`, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from ctypes import Structure, c_uint8, sizeof
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple, Protocol

from .costs import Costs
from .page import PAGE_SHIFT, PAGE_SIZE, Content, Page, Record, State
from .units import expect, flag, several, shown, size, whole_number
from .uvcb import (
    BIT_UVC_FEAT_MISC_0,
    PV_CPU_STATE_CHKSTP,
    PV_CPU_STATE_OPR,
    PV_CPU_STATE_OPR_LOAD,
    PV_CPU_STATE_STP,
    QUERY_BITS,
    UVC,
    UVC_CC_BUSY,
    UVC_CC_ERROR,
    UVC_CC_OK,
    UVC_CC_PARTIAL,
    UVC_RC_EXECUTED,
    UVC_RC_INV_CHANDLE,
    UVC_RC_INV_CMD,
    UVC_RC_INV_GHANDLE,
    UVC_RC_INV_LEN,
    UVC_RC_INV_STATE,
    UVC_RC_MORE_DATA,
    UVC_RC_NEED_DESTROY,
    uv_cb_cfs,
    uv_cb_cgc,
    uv_cb_cpu_set_state,
    uv_cb_csc,
    uv_cb_cts,
    uv_cb_header,
    uv_cb_init,
    uv_cb_nodata,
    uv_cb_qui,
    uv_cb_share,
    uv_cb_ssc,
    uv_cb_unp,
)

UV_HANDLE = -1
"""Owner of the Ultravisor's own base storage."""

ASCE_ORIGIN = ~0xFFF
ASCE_PRIVATE = 0x100
ASCE_RESERVED = 0x20
TABLE_LEN = 4 * PAGE_SIZE
"""A top-level page table: four contiguous pages (``CRST_ALLOC_ORDER`` 2)."""
LOWCORE_LEN = 0x2000
"""The prefix area of the CPU that the host runs on, at address 0."""
QUERY_MIN_LEN = 0xA8
MIB = 1 << 20
GIB = 1 << 30

RC_UNMAPPED = 0x10A
"""The guest's tables do not map the address (the kernel turns it into -ENXIO)."""

# Response codes that no public source fixes: see ASSUMPTIONS.
RC_CONF_EMPTY = 0x103
RC_CONF_TABLE = 0x106
RC_CONF_BASE = 0x10A
RC_CONF_VARIABLE = 0x10B
RC_CONF_LIMIT = 0x10F
RC_CPU_STORAGE = 0x108
RC_CPU_STATE = 0x102
RC_OUTSIDE = 0x101
RC_UNSHARE_OUTSIDE = 0x101
RC_NOT_SHARED = 0x102
RC_GUEST_ADDRESS = 0x103
RC_OTHER_OWNER = 0x104
RC_NOT_GENUINE = 0x105
RC_DONATED = 0x106
RC_HAS_CPUS = 0x108
RC_PHASE = 0x109
RC_OWN_PAGE = 0x10B

# What an observer hears
DONE = "done"
NOOP = "noop"
REFUSED = "refused"
HARMFUL = "harmful"
"""A page of a running guest was destroyed, and its data are lost: only where rule 1 is turned off."""


class Interruption(IntEnum):
    """Program interruptions that the hardware raises on an access that the Ultravisor does not allow."""

    SECURE_STORAGE_ACCESS = 0x3D
    NON_SECURE_STORAGE_ACCESS = 0x3E
    SECURE_STORAGE_VIOLATION = 0x3F


class Phase(IntEnum):
    """How far a configuration has come."""

    CREATED = 0
    PARAMETERS_SET = 1
    UNPACKED = 2
    VERIFIED = 3
    NEEDS_DESTROY = 4


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


class _Refused(Exception):
    """Ends a call with something else than cc 0, rc 1."""

    def __init__(self, rc: int, rrc: int = 0, cc: int = UVC_CC_ERROR, outcome: str = REFUSED) -> None:
        self.rc, self.rrc, self.cc, self.outcome = rc, rrc, cc, outcome


class _Command(NamedTuple):
    """How a call is carried out. The query has no block: it takes any length, within reason."""

    perform: Callable[..., tuple[str, int]]
    block: type[Structure] | None
    length: int
    needs_initialised: bool


def _command(
    perform: Callable[..., tuple[str, int]], block: type[Structure], needs_initialised: bool = True
) -> _Command:
    return _Command(perform, block, sizeof(block), needs_initialised)


_NUMBERS = {int(command): command for command in UVC}
_FEATURES = {"misc": BIT_UVC_FEAT_MISC_0}
_CPU_STATES = (PV_CPU_STATE_OPR, PV_CPU_STATE_STP, PV_CPU_STATE_CHKSTP, PV_CPU_STATE_OPR_LOAD)
_HELD = (State.SECURE, State.SHARED)


def _cleared(record: Record) -> Record:
    """The page after a destroy, or after donated storage has been given back."""
    return record._replace(state=State.NON_SECURE, owner=0, pinned=False, content=Content.ZERO, content_of=0)


def _own(record: Record, handle: int) -> Record:
    """The page after an import."""
    return record._replace(
        state=State.SECURE, owner=handle, pinned=False, content=Content.PLAINTEXT, content_of=handle, measured=0
    )


def _exported(record: Record) -> Record:
    return record._replace(
        state=State.NON_SECURE,
        owner=0,
        pinned=False,
        content=Content.CIPHERTEXT,
        content_of=record.owner,
        measured=record.owner,
    )


def _bits(numbers: Iterable[int], words: int) -> list[int]:
    """A list of 64-bit words in which bit 0 is the leftmost of the first."""
    found = [0] * words
    for number in numbers:
        found[number // 64] |= 1 << (63 - number % 64)
    return found


class Ultravisor:
    """Trusted firmware below the host: the only one that may see what is in a protected guest's memory.

    Parameters
    ----------
    host_memory : int or str
        Size of the host's memory, such as "8 GiB". Not looked at if `memory` is given.
    features : iterable of int or str
        Feature bits, counted from the left; "misc" is bit 0: an import takes over a page that another configuration
        shared (rule 4).
    memory : optional
        The page frames; see `HostMemory`. Made if not given.
    costs : Costs, optional
        What each call takes, in nanoseconds.
    observer : callable, optional
        ``observer(cmd, outcome, ns)`` after each call of the host: outcome is "done", "noop" (nothing changed),
        "refused", or "harmful" (done, where rule 1 would have refused it); cmd is a plain int if no such command
        exists.
    donated_from : int or str
        INIT_UV's storage must not lie below it.
    max_configurations, max_guest_address, max_guest_cpus
        What the query gives as max_num_sec_conf, max_guest_stor_addr (both from the test data of IBM's s390-tools) and
        max_guest_cpus (assumed).
    uv_base_stor_len, conf_base_phys_stor_len, conf_base_virt_stor_len, conf_virt_var_stor_len, cpu_stor_len
        What the query gives under these names (assumed): whole pages, but for conf_virt_var_stor_len, which may be 0.
    uv_base_stor_align : int or str
        INIT_UV rounds the origin of its storage down to a multiple of it.
    cpus_running : int
        Running CPUs of the host: INIT_UV wants one. May be set at any time.
    old_firmware : bool
        Destroying a non-secure page answers rc 0x107, rrc 0xd instead of success (rule 2).
    destroy_needs_no_cpus : bool
        Rule 1. False asks: what if a running guest's pages could be destroyed?

    Attributes
    ----------
    tables : dict of int to GuestTable
        The guests' page tables, by origin of the top-level table: registered by the host.
    configurations, cpus : dict
        By handle.
    marked : dict of int to int
        Origin of each marked top-level table to the configuration it serves (rule 6).
    base : Storage or None
        The Ultravisor's own storage, once initialised.
    faults : list of Fault
        Failures to come.

    Examples
    --------
    >>> uv = Ultravisor("4 GiB")
    >>> uv.call(uv_cb_init(stor_origin=2 << 30, stor_len=uv.uv_base_stor_len))
    0
    """

    def __init__(
        self,
        host_memory: int | str = "8 GiB",
        features: Iterable[int | str] | str = (),
        *,
        memory: HostMemory | None = None,
        costs: Costs | None = None,
        observer: Callable[[UVC | int, str, int], object] | None = None,
        donated_from: int | str = "2 GiB",
        max_configurations: int = 8_388_607,
        max_guest_address: int | str = "128 TiB",
        max_guest_cpus: int = 248,
        uv_base_stor_len: int | str = "2 MiB",
        uv_base_stor_align: int | str = "1 MiB",
        conf_base_phys_stor_len: int | str = "256 KiB",
        conf_base_virt_stor_len: int | str = "64 KiB",
        conf_virt_var_stor_len: int | str = "4 KiB",
        cpu_stor_len: int | str = "32 KiB",
        cpus_running: int = 1,
        old_firmware: bool = False,
        destroy_needs_no_cpus: bool = True,
    ) -> None:
        if memory is not None and not all(hasattr(memory, name) for name in ("pages", "page", "record", "change")):
            raise ValueError(f"memory={shown(memory)}: use a Memory, such as machine.memory, or None")
        if observer is not None and not callable(observer):
            raise ValueError(f"observer={shown(observer)}: use a function of command, outcome and nanoseconds, or None")
        if costs is not None:
            expect(Costs, costs, "costs", "ld.Costs(...), or None")
        self.memory = _make_memory(host_memory) if memory is None else memory
        self.end = self.memory.pages << PAGE_SHIFT
        self.costs = Costs() if costs is None else costs
        self.observer = observer
        self.features = _feature_bits(features)
        self.donated_from = size(donated_from, "donated_from", zero=True)
        self.max_num_sec_conf = whole_number(max_configurations, "max_configurations", 1, 0xFFFFFFFF)
        self.max_guest_stor_addr = size(max_guest_address, "max_guest_address")
        self.max_guest_cpus = whole_number(max_guest_cpus, "max_guest_cpus", 0, 0xFFFF)
        self.uv_base_stor_len = size(uv_base_stor_len, "uv_base_stor_len", multiple_of=PAGE_SIZE)
        self.uv_base_stor_align = size(uv_base_stor_align, "uv_base_stor_align", multiple_of=PAGE_SIZE)
        self.conf_base_phys_stor_len = size(conf_base_phys_stor_len, "conf_base_phys_stor_len", multiple_of=PAGE_SIZE)
        self.conf_base_virt_stor_len = size(conf_base_virt_stor_len, "conf_base_virt_stor_len", multiple_of=PAGE_SIZE)
        self.conf_virt_var_stor_len = size(conf_virt_var_stor_len, "conf_virt_var_stor_len", zero=True)
        self.cpu_stor_len = size(cpu_stor_len, "cpu_stor_len", multiple_of=PAGE_SIZE)
        self.cpus_running = whole_number(cpus_running, "cpus_running", 0, 0xFFFF)
        self.old_firmware = flag(old_firmware, "old_firmware")
        self.destroy_needs_no_cpus = flag(destroy_needs_no_cpus, "destroy_needs_no_cpus")
        self._configurations_made = 0
        self._cpus_made = 0
        self._forget()

    def _forget(self) -> None:
        """The state of a machine just switched on."""
        self.base: Storage | None = None
        self.configurations: dict[int, Configuration] = {}
        self.cpus: dict[int, SecureCpu] = {}
        self.marked: dict[int, int] = {}
        self.tables: dict[int, GuestTable] = {}
        self.faults: list[Fault] = []

    def __repr__(self) -> str:
        state = "not initialised" if self.base is None else f"{len(self.configurations)} configurations"
        return f"<Ultravisor of {self.end:#x} bytes, {state}>"

    @property
    def initialised(self) -> bool:
        """Whether INIT_UV has been done."""
        return self.base is not None

    def variable_storage(self, guest_len: int) -> int:
        """Bytes of variable storage that a guest of `guest_len` bytes needs: by its whole MiB, then whole pages."""
        per_mib = guest_len // MIB * self.conf_virt_var_stor_len
        return -(-(per_mib + self.conf_base_virt_stor_len) // PAGE_SIZE) * PAGE_SIZE

    # The calls

    def call(self, uvcb: Any) -> int:
        """Execute an Ultravisor Call of the host, once.

        Parameters
        ----------
        uvcb
            A control block of `lazydestroy.uvcb`, or any writable buffer that holds one. The answer is written to
            its header (rc, rrc) and, for some commands, to its body.

        Returns
        -------
        int
            Condition code: 0 done, 1 error, 2 busy, 3 partial (2 and 3: execute again).

        Raises
        ------
        ValueError
            If the header says that the block is longer than it is.
        """
        header = _header_of(uvcb)
        cc, outcome, ns = self._execute(self._HOST.get(header.cmd), header, uvcb)
        if self.observer is not None:
            number = header.cmd
            self.observer(_NUMBERS.get(number, number), outcome, ns)
        return cc

    def guest_call(self, handle: int, uvcb: Any) -> int:
        """Execute an Ultravisor Call of a protected guest, once: the query, share, unshare.

        Observers do not hear of it, as it is not the host's time. Parameters, result and errors are those of `call`.
        """
        if handle not in self.configurations:
            raise ValueError(f"handle={handle:#x}: no configuration has it; there are {_list(self.configurations)}")
        header = _header_of(uvcb)
        return self._execute(self._GUEST.get(header.cmd), header, uvcb, handle)[0]

    def share(self, handle: int, gaddr: int) -> int:
        """Let a protected guest share its page at `gaddr`, from 0 up, with the host. Returns the condition code."""
        return self.guest_call(handle, uv_cb_share(cmd=UVC.SET_SHARED_ACCESS, paddr=gaddr))

    def unshare(self, handle: int, gaddr: int) -> int:
        """Let a protected guest take back its page at `gaddr`, from 0 up. Returns cc: 2 while the page is pinned."""
        return self.guest_call(handle, uv_cb_share(cmd=UVC.REMOVE_SHARED_ACCESS, paddr=gaddr))

    def _execute(self, command: _Command | None, header: uv_cb_header, uvcb: Any, *caller: int) -> tuple[int, str, int]:
        try:
            outcome, ns = self._perform(command, header, uvcb, *caller)
            cc, rc, rrc = UVC_CC_OK, UVC_RC_EXECUTED, 0
        except _Refused as refused:
            cc, rc, rrc, outcome = refused.cc, refused.rc, refused.rrc, refused.outcome
            ns = self.costs.refused if outcome == REFUSED else self.costs.noop
        header.rc, header.rrc = rc, rrc
        return cc, outcome, ns

    def _perform(self, command: _Command | None, header: uv_cb_header, uvcb: Any, *caller: int) -> tuple[str, int]:
        """Check what the header alone tells, in the order of the machine, then go on to the body."""
        if command is None:
            raise _Refused(UVC_RC_INV_CMD)
        if command.needs_initialised and self.base is None:
            raise _Refused(UVC_RC_INV_STATE)
        if command.block is None:
            return command.perform(self, uvcb, *caller)
        if header.len != command.length:
            raise _Refused(UVC_RC_INV_LEN)
        block = uvcb if type(uvcb) is command.block else _view(uvcb, command.block)
        return command.perform(self, block, *caller)

    # The Ultravisor itself

    def _query(self, uvcb: Any, handle: int = 0) -> tuple[str, int]:
        length = _header_of(uvcb).len
        if length < QUERY_MIN_LEN:
            raise _Refused(UVC_RC_INV_LEN)
        self._fail_if_told(UVC.QUI, handle)
        answer = bytes(self._answer_to_query(self._GUEST if handle else self._HOST))
        filled = min(length, len(answer))
        _view(uvcb, c_uint8 * length)[8:filled] = answer[8:filled]
        if length < len(answer):
            raise _Refused(UVC_RC_MORE_DATA, outcome=DONE)
        return DONE, self.costs.noop

    def _answer_to_query(self, commands: Mapping[int, _Command]) -> uv_cb_qui:
        calls = _bits((QUERY_BITS[_NUMBERS[number]] for number in commands), 4)
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
            raise _Refused(0x101)
        if self.cpus_running > 1:
            raise _Refused(0x102)
        if storage.length != self.uv_base_stor_len:
            raise _Refused(0x103)
        if storage.origin >= self.end:
            raise _Refused(0x104)
        if not self._inside(storage):
            raise _Refused(0x105)
        if storage.origin < self.donated_from:
            raise _Refused(0x108)
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
        self.memory.change(lambda record: (_cleared(record) if record.state else record)._replace(measured=0))
        for configuration in self.configurations.values():
            configuration.alive = False
        self.cpus_running = 1
        self._forget()

    # Configurations

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
            raise _Refused(fault.rc, fault.rrc, fault.cc)
        self.memory.context_changed()
        self._add_configuration(wanted)
        block.guest_handle = wanted.handle
        if fault is not None:
            wanted.phase = Phase.NEEDS_DESTROY
            raise _Refused(fault.rc, fault.rrc, fault.cc)
        return DONE, self._configuration_price(wanted)

    def _check_guest(self, wanted: Configuration) -> None:
        if wanted.guest_origin > self.max_guest_stor_addr:
            raise _Refused(0x101)
        if wanted.guest_origin + wanted.guest_len > self.max_guest_stor_addr:
            raise _Refused(0x102)
        if not wanted.guest_len:
            raise _Refused(RC_CONF_EMPTY)
        if not wanted.asce & ASCE_PRIVATE or wanted.asce & ASCE_RESERVED:
            raise _Refused(0x105)

    def _check_areas(self, wanted: Configuration) -> None:
        """Where the pieces lie: bounds come before alignment."""
        if not self._inside(wanted.base):
            raise _Refused(0x108)
        if wanted.base.origin < LOWCORE_LEN:
            raise _Refused(0x109)
        if not self._inside(wanted.variable):
            raise _Refused(RC_CONF_VARIABLE)
        if wanted.variable.origin < LOWCORE_LEN:
            raise _Refused(0x10E)
        if not wanted.sca:
            raise _Refused(0x10C)
        if not self._inside(Storage(wanted.sca, PAGE_SIZE)):
            raise _Refused(0x10D)

    def _check_free(self, wanted: Configuration) -> None:
        """Whether the pieces are to be had: the table first, for a table in use must not cost a handle."""
        table = wanted.table
        if not self._inside(table) or self._is_marked(table) or not self._host_only(table):
            raise _Refused(RC_CONF_TABLE)
        if not self._donatable(wanted.base) or wanted.base.overlaps(table):
            raise _Refused(RC_CONF_BASE)
        if not self._donatable(wanted.variable) or wanted.variable.overlaps(table):
            raise _Refused(RC_CONF_VARIABLE)
        if wanted.variable.overlaps(wanted.base):
            raise _Refused(RC_CONF_VARIABLE)
        if len(self.configurations) >= self.max_num_sec_conf:
            raise _Refused(RC_CONF_LIMIT)

    def _add_configuration(self, new: Configuration) -> None:
        self._configurations_made += 1
        self._donate(new.base, new.handle)
        self._donate(new.variable, new.handle)
        self.marked[new.table.origin] = new.handle
        self.configurations[new.handle] = new

    def _configuration_price(self, configuration: Configuration) -> int:
        return self.costs.config + self.costs.config_per_gib * configuration.guest_len // GIB

    def _destroy_configuration(self, block: uv_cb_nodata) -> tuple[str, int]:
        configuration = self.configurations.get(block.handle)
        if configuration is None:
            raise _Refused(UVC_RC_INV_GHANDLE)
        if configuration.destroy_failed is not None:
            raise _Refused(*configuration.destroy_failed)
        if configuration.cpus:
            raise _Refused(RC_HAS_CPUS)
        self._fail_to_destroy_if_told(configuration)
        self.memory.context_changed()
        cleaned = self._clean_pages_of(configuration.handle)
        self._give_back(configuration.base)
        self._give_back(configuration.variable)
        del self.marked[configuration.table.origin]
        del self.configurations[configuration.handle]
        configuration.alive = False
        return DONE, self._configuration_price(configuration) + cleaned * (self.costs.destroy * 3 // 10)

    def _fail_to_destroy_if_told(self, configuration: Configuration) -> None:
        fault = self._injected(UVC.DESTROY_SEC_CONF, configuration.handle)
        if fault is None:
            return
        if fault.cc == UVC_CC_ERROR:
            # The mark stays, and asking again fails again: rule 6.
            self.memory.context_changed()
            configuration.destroy_failed = (fault.rc, fault.rrc)
        raise _Refused(fault.rc, fault.rrc, fault.cc)

    def _clean_pages_of(self, handle: int) -> int:
        """Clear what is still secure or shared, and forget what was exported. Returns how many pages were cleared."""

        def clear(record: Record) -> Record:
            return _cleared(record) if record.owner == handle and record.state in _HELD else record

        def forget(record: Record) -> Record:
            return record._replace(measured=0) if record.measured == handle else record

        self.memory.change(forget)
        return self.memory.change(clear)

    def _configuration(self, handle: int) -> Configuration:
        """The configuration of that handle, if it can be used."""
        configuration = self.configurations.get(handle)
        if configuration is None or configuration.phase is Phase.NEEDS_DESTROY:
            raise _Refused(UVC_RC_INV_GHANDLE)
        return configuration

    def _set_parameters(self, block: uv_cb_ssc) -> tuple[str, int]:
        configuration = self._configuration(block.guest_handle)
        if not self._readable(Storage(block.sec_header_origin, block.sec_header_len)):
            raise _Refused(0x103)
        if configuration.phase is not Phase.CREATED:
            raise _Refused(RC_PHASE)
        self._fail_if_told(UVC.SET_SEC_CONF_PARAMS, configuration.handle)
        self._enter(configuration, Phase.PARAMETERS_SET)
        return DONE, self.costs.noop

    def _verify(self, block: uv_cb_nodata) -> tuple[str, int]:
        configuration = self._configuration(block.handle)
        if configuration.phase is not Phase.UNPACKED:
            raise _Refused(RC_PHASE)
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
            lambda record: _own(record, handle) if record.state == State.SHARED and record.owner == handle else record
        )
        return DONE, self.costs.noop

    # CPUs

    def _create_cpu(self, block: uv_cb_csc) -> tuple[str, int]:
        configuration = self._configuration(block.guest_handle)
        storage = Storage(block.stor_origin, self.cpu_stor_len)
        if block.num > self.max_guest_cpus:
            raise _Refused(0x103)
        if block.num in configuration.cpus:
            raise _Refused(0x104)
        if not self._inside(storage):
            raise _Refused(0x105)
        if storage.origin < LOWCORE_LEN:
            raise _Refused(0x106)
        if not self._readable(Storage(block.state_origin, PAGE_SIZE)):
            raise _Refused(0x107)
        if not self._donatable(storage):
            raise _Refused(RC_CPU_STORAGE)
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
            raise _Refused(UVC_RC_INV_CHANDLE)
        return cpu

    def _reset_cpu(self, block: uv_cb_nodata) -> tuple[str, int]:
        cpu = self._cpu(block.handle)
        self._fail_if_told(_NUMBERS[block.header.cmd], cpu.handle)
        self.memory.context_changed()
        cpu.state = PV_CPU_STATE_STP
        return DONE, self.costs.noop

    def _set_cpu_state(self, block: uv_cb_cpu_set_state) -> tuple[str, int]:
        cpu = self._cpu(block.cpu_handle)
        if block.state not in _CPU_STATES:
            raise _Refused(RC_CPU_STATE)
        self._fail_if_told(UVC.CPU_SET_STATE, cpu.handle)
        self.memory.context_changed()
        cpu.state = block.state
        return DONE, self.costs.noop

    # Pages

    def _import(self, block: uv_cb_cts) -> tuple[str, int]:
        handle = block.guest_handle
        configuration = self._configuration(handle)
        if configuration.phase is Phase.CREATED:
            raise _Refused(RC_PHASE)
        pfn = self._frame(configuration, block.gaddr)
        record = self.memory.record(pfn)
        if record.owner == handle and record.state in _HELD:
            self._fail_if_told(UVC.CONV_TO_SEC_STOR, handle)
            return NOOP, self.costs.noop
        self._check_takable(record)
        exported = record.measured == handle
        if exported and (record.content != Content.CIPHERTEXT or record.content_of != handle):
            raise _Refused(RC_NOT_GENUINE)
        self._fail_if_told(UVC.CONV_TO_SEC_STOR, handle)
        self.memory.set_record(pfn, _own(record, handle))
        return DONE, self.costs.import_decrypt if exported else self.costs.import_clear

    def _unpack(self, block: uv_cb_unp) -> tuple[str, int]:
        configuration = self._configuration(block.guest_handle)
        if configuration.phase not in (Phase.PARAMETERS_SET, Phase.UNPACKED):
            raise _Refused(RC_PHASE)
        pfn = self._frame_of_guest(configuration, block.gaddr, RC_GUEST_ADDRESS)
        record = self.memory.record(pfn)
        if record.owner == configuration.handle and record.state in _HELD:
            raise _Refused(RC_OWN_PAGE)
        self._check_takable(record)
        self._fail_if_told(UVC.UNPACK_IMG, configuration.handle)
        self._enter(configuration, Phase.UNPACKED)
        self.memory.set_record(pfn, _own(record, configuration.handle))
        return DONE, self.costs.import_decrypt

    def _check_takable(self, record: Record) -> None:
        """Rules 3 and 4: what belongs to another configuration cannot be imported."""
        if record.state == State.DONATED:
            raise _Refused(RC_DONATED)
        if record.state == State.SECURE:
            raise _Refused(RC_OTHER_OWNER)
        if record.state == State.SHARED and BIT_UVC_FEAT_MISC_0 not in self.features:
            raise _Refused(RC_OTHER_OWNER)

    def _export(self, block: uv_cb_cfs) -> tuple[str, int]:
        pfn, record = self._page_at(block.paddr)
        self._fail_if_told(UVC.CONV_FROM_SEC_STOR, record.owner)
        if record.state == State.NON_SECURE:
            return NOOP, self.costs.noop
        self.memory.set_record(pfn, _exported(record))
        return DONE, self.costs.export

    def _destroy(self, block: uv_cb_cfs) -> tuple[str, int]:
        pfn, record = self._page_at(block.paddr)
        if record.state == State.NON_SECURE:
            return self._destroy_nothing()
        owner = self.configurations.get(record.owner)
        running = owner is not None and bool(owner.cpus)
        if running and self.destroy_needs_no_cpus:
            raise _Refused(RC_HAS_CPUS)
        self._fail_if_told(UVC.DESTR_SEC_STOR, record.owner)
        self.memory.set_record(pfn, _cleared(record))
        return HARMFUL if running else DONE, self.costs.destroy

    def _destroy_nothing(self) -> tuple[str, int]:
        """Rule 2: there is nothing to destroy."""
        self._fail_if_told(UVC.DESTR_SEC_STOR)
        if self.old_firmware:
            raise _Refused(0x107, 0xD, outcome=NOOP)
        return NOOP, self.costs.noop

    def _pin(self, block: uv_cb_cfs) -> tuple[str, int]:
        pfn, record = self._page_at(block.paddr)
        if record.state != State.SHARED:
            raise _Refused(RC_NOT_SHARED)
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
            raise _Refused(RC_NOT_SHARED)
        self._fail_if_told(UVC.UNPIN_PAGE_SHARED, handle)
        self.memory.set_record(pfn, record._replace(pinned=False))
        return DONE, self.costs.noop

    def _page_at(self, paddr: int) -> tuple[int, Record]:
        """The page at an absolute address, if it is not donated."""
        if paddr >= self.end:
            raise _Refused(RC_OUTSIDE)
        pfn = paddr >> PAGE_SHIFT
        record = self.memory.record(pfn)
        if record.state == State.DONATED:
            raise _Refused(RC_DONATED)
        return pfn, record

    def _frame_of_guest(self, configuration: Configuration, gaddr: int, outside: int) -> int:
        """The frame behind an address that counts from 0 at the guest's origin; refused with rc `outside` beyond it."""
        if gaddr >= configuration.guest_len:
            raise _Refused(outside)
        return self._frame(configuration, configuration.guest_origin + gaddr)

    def _frame(self, configuration: Configuration, gaddr: int) -> int:
        """The frame behind an address in the host's tables for the guest, where its storage begins at its origin."""
        if not 0 <= gaddr - configuration.guest_origin < configuration.guest_len:
            raise _Refused(RC_GUEST_ADDRESS)
        table = self.tables.get(configuration.asce & ASCE_ORIGIN)
        pfn = None if table is None else table.frame(gaddr >> PAGE_SHIFT)
        if pfn is None or not 0 <= pfn < self.memory.pages:
            raise _Refused(RC_UNMAPPED)
        return pfn

    # What the guest asks for

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
            raise _Refused(0, cc=UVC_CC_BUSY)
        self._fail_if_told(UVC.REMOVE_SHARED_ACCESS, handle)
        if record.state == State.SECURE:
            return NOOP, self.costs.noop
        self.memory.set_record(pfn, _own(record, handle))
        return DONE, self.costs.noop

    def _own_page(self, gaddr: int, handle: int, outside: int) -> tuple[int, Record]:
        pfn = self._frame_of_guest(self._configuration(handle), gaddr, outside)
        record = self.memory.record(pfn)
        if record.owner != handle or record.state not in _HELD:
            raise _Refused(RC_OTHER_OWNER)
        return pfn, record

    # Who may touch what

    def access(self, page: Page | Record, handle: int = 0) -> Interruption | None:
        """What the hardware does when somebody touches a page.

        Parameters
        ----------
        page : Page or Record
        handle : int
            The configuration whose CPU touches it; 0 is anybody else: host kernel, userspace, I/O, a normal guest.

        Returns
        -------
        Interruption or None
            None: the access is allowed.
        """
        state, mine = page.state, page.owner == handle
        if not handle:
            hidden = state in (State.SECURE, State.DONATED)
            return Interruption.SECURE_STORAGE_ACCESS if hidden else None
        if state == State.NON_SECURE or (state == State.SHARED and not mine):
            return Interruption.NON_SECURE_STORAGE_ACCESS
        if state == State.DONATED or not mine:
            return Interruption.SECURE_STORAGE_VIOLATION
        return None

    # Donated storage and marked tables

    def _inside(self, storage: Storage) -> bool:
        return storage.origin + storage.length <= self.end

    def _is_marked(self, storage: Storage) -> bool:
        return any(storage.overlaps(Storage(origin, TABLE_LEN)) for origin in self.marked)

    def _host_only(self, storage: Storage) -> bool:
        """Whether none of its pages is secure, shared or donated."""
        there = self.memory.records(storage.first, storage.pages)
        return all(record.state == State.NON_SECURE for record in there)

    def _donatable(self, storage: Storage) -> bool:
        aligned = storage.origin % PAGE_SIZE == 0
        return aligned and not self._is_marked(storage) and self._host_only(storage)

    def _readable(self, storage: Storage) -> bool:
        """Whether the host itself can read all of it: what it cannot read it cannot hand over."""
        if not storage.length or not self._inside(storage):
            return False
        last = (storage.origin + storage.length - 1) >> PAGE_SHIFT
        there = self.memory.records(storage.first, last - storage.first + 1)
        return all(self.access(record) is None for record in there)

    def _donate(self, storage: Storage, owner: int) -> None:
        self.memory.change(
            lambda record: record._replace(
                state=State.DONATED, owner=owner, pinned=False, content=Content.PLAINTEXT, content_of=owner
            ),
            storage.first,
            storage.pages,
        )

    def _give_back(self, storage: Storage) -> None:
        self.memory.change(_cleared, storage.first, storage.pages)

    # Fault injection

    def fail(
        self,
        cmd: UVC,
        rc: int,
        rrc: int = 0,
        *,
        handle: int | None = None,
        times: int | None = 1,
        cc: int = UVC_CC_ERROR,
    ) -> None:
        """Let calls fail that would have succeeded.

        A call that fails so changes nothing, with two exceptions. A DESTROY_SEC_CONF that has failed (cc 1) fails for
        ever for that handle, however small `times` is, and its table stays marked: rule 6. A CREATE_SEC_CONF with bit
        0x8000 in `rc` creates the configuration all the same and gives its handle: it must be destroyed.

        Parameters
        ----------
        cmd : UVC
            The command.
        rc, rrc : int
            What it answers.
        handle : int, optional
            Only for this configuration or CPU: the one that the block names, or, for commands that take an absolute
            address, the page's owner. CREATE_SEC_CPU names the configuration.
        times : int or None
            How many calls; None for all to come.
        cc : int
            1, or 2 or 3 to let the caller execute again.
        """
        if not isinstance(cmd, int) or (cmd not in self._HOST and cmd not in self._GUEST):
            names = ", ".join(_NUMBERS[number].name for number in {**self._HOST, **self._GUEST})
            raise ValueError(f"cmd={shown(cmd)}: this Ultravisor has no such command; use one of {names}")
        rc, rrc = whole_number(rc, "rc", 0, 0xFFFF), whole_number(rrc, "rrc", 0, 0xFFFF)
        if rc in (0, UVC_RC_EXECUTED):
            raise ValueError(f"rc={rc:#x}: use a 16-bit number, but neither 0 nor 1 (executed)")
        cc = whole_number(cc, "cc", UVC_CC_ERROR, UVC_CC_PARTIAL)
        times = None if times is None else whole_number(times, "times", 1)
        handle = None if handle is None else whole_number(handle, "handle")
        self.memory.context_changed()
        self.faults.append(Fault(_NUMBERS[cmd], rc, rrc, cc, handle, times))

    def _injected(self, cmd: UVC, handle: int = 0) -> Fault | None:
        """The fault that hits this call, if there is one; it is used up a little."""
        fault = next((fault for fault in self.faults if fault.concerns(cmd, handle)), None)
        if fault is not None and fault.times is not None:
            self.memory.context_changed()
            fault.times -= 1
            if not fault.times:
                self.faults.remove(fault)
        return fault

    def _fail_if_told(self, cmd: UVC, handle: int = 0) -> None:
        if not self.faults:
            return
        fault = self._injected(cmd, handle)
        if fault is not None:
            nothing = (fault.rc, fault.rrc) == (0x107, 0xD)
            raise _Refused(fault.rc, fault.rrc, fault.cc, NOOP if nothing else REFUSED)

    _HOST: Mapping[int, _Command] = {
        UVC.QUI: _Command(_query, None, 0, False),
        UVC.INIT_UV: _command(_initialise, uv_cb_init, needs_initialised=False),
        UVC.CREATE_SEC_CONF: _command(_create_configuration, uv_cb_cgc),
        UVC.DESTROY_SEC_CONF: _command(_destroy_configuration, uv_cb_nodata),
        UVC.CREATE_SEC_CPU: _command(_create_cpu, uv_cb_csc),
        UVC.DESTROY_SEC_CPU: _command(_destroy_cpu, uv_cb_nodata),
        UVC.CONV_TO_SEC_STOR: _command(_import, uv_cb_cts),
        UVC.CONV_FROM_SEC_STOR: _command(_export, uv_cb_cfs),
        UVC.DESTR_SEC_STOR: _command(_destroy, uv_cb_cfs),
        UVC.SET_SEC_CONF_PARAMS: _command(_set_parameters, uv_cb_ssc),
        UVC.UNPACK_IMG: _command(_unpack, uv_cb_unp),
        UVC.VERIFY_IMG: _command(_verify, uv_cb_nodata),
        UVC.CPU_RESET: _command(_reset_cpu, uv_cb_nodata),
        UVC.CPU_RESET_INITIAL: _command(_reset_cpu, uv_cb_nodata),
        UVC.CPU_RESET_CLEAR: _command(_reset_cpu, uv_cb_nodata),
        UVC.PREPARE_RESET: _command(_prepare_reset, uv_cb_nodata),
        UVC.CPU_SET_STATE: _command(_set_cpu_state, uv_cb_cpu_set_state),
        UVC.SET_UNSHARE_ALL: _command(_unshare_all, uv_cb_nodata),
        UVC.PIN_PAGE_SHARED: _command(_pin, uv_cb_cfs),
        UVC.UNPIN_PAGE_SHARED: _command(_unpin, uv_cb_cts),
    }

    _GUEST: Mapping[int, _Command] = {
        UVC.QUI: _Command(_query, None, 0, False),
        UVC.SET_SHARED_ACCESS: _command(_share, uv_cb_share),
        UVC.REMOVE_SHARED_ACCESS: _command(_unshare, uv_cb_share),
    }


def _header_of(uvcb: Any) -> uv_cb_header:
    if isinstance(uvcb, uv_cb_header):
        return uvcb
    header = getattr(uvcb, "header", None)
    return header if isinstance(header, uv_cb_header) else uv_cb_header.from_buffer(uvcb)


def _view(uvcb: Any, kind: Any) -> Any:
    """The same bytes, as a block of another kind."""
    try:
        return kind.from_buffer(uvcb)
    except ValueError:
        raise ValueError(f"uvcb={uvcb!r}: shorter than the {sizeof(kind):#x} bytes that its header says") from None


def _make_memory(host_memory: int | str) -> HostMemory:
    from ._core import Memory  # compiled, and not needed by who brings a memory

    return Memory(size(host_memory, "host_memory", multiple_of=PAGE_SIZE) >> PAGE_SHIFT)


def _feature_bits(features: Iterable[int | str] | str) -> frozenset[int]:
    accepted = "bit numbers 0 to 63, or the name 'misc' (bit 0), several in a tuple"
    wanted = (features,) if isinstance(features, str) else several(features, "features", accepted)
    try:
        return frozenset(
            _FEATURES[feature] if isinstance(feature, str) else whole_number(feature, "features", 0, 63)
            for feature in wanted
        )
    except (KeyError, ValueError):
        raise ValueError(f"features={shown(features)}: use {accepted}") from None


def _list(handles: Iterable[int]) -> str:
    return ", ".join(f"{handle:#x}" for handle in handles) or "none"


class Assumption(NamedTuple):
    """Something that the model fixes and no public source does."""

    what: str
    value: str
    why: str


ASSUMPTIONS: tuple[Assumption, ...] = (
    Assumption(
        "sizes of donated storage",
        "UV base 2 MiB; configuration base 256 KiB, virtual base 64 KiB and 4 KiB for each MiB of guest; CPU 32 KiB",
        "the query tells them to the host. 4 KiB a MiB is 16 bytes a page, about a tag. A real UV base is far larger: "
        "a kernel log in the documentation of Kata Containers has 98 MiB, on a z16 with 16 GiB. 2 MiB is enough for "
        "the outside tests. No figure was found for the others. Constructor parameters",
    ),
    Assumption(
        "limits",
        "8,388,607 configurations, guests up to 128 TiB, CPU numbers up to 248",
        "the first two are in the test data of IBM's s390-tools, and a machine may have others; 248 is what KVM "
        "supports on s390. Constructor parameters",
    ),
    Assumption(
        "configurations set aside count against max_num_sec_conf",
        f"one CREATE_SEC_CONF too many: rc {RC_CONF_LIMIT:#x}",
        "the Ultravisor does not know that the host has set a configuration aside",
    ),
    Assumption(
        "handles",
        "configuration n: n * 0x1000, CPU n: n * 0x1000 + 0x800, never used twice",
        "deterministic, and a handle plus one is never valid",
    ),
    Assumption(
        "wrong CPU handle",
        f"rc {UVC_RC_INV_CHANDLE:#x}",
        "a z15 answers another code, which is not public; the outside tests want this one of later machines",
    ),
    Assumption(
        "donated storage must be page-aligned, non-secure, apart from itself and from marked tables",
        f"CREATE_SEC_CONF base rc {RC_CONF_BASE:#x}, variable {RC_CONF_VARIABLE:#x} (outside memory too); "
        f"CREATE_SEC_CPU {RC_CPU_STORAGE:#x}. INIT_UV, which comes before all that, rounds",
        "the outside tests want some rc from 0x100 up for storage that is already donated",
    ),
    Assumption(
        "variable storage in lowcore",
        "CREATE_SEC_CONF rc 0x10e",
        "the outside tests expected it of a prefix area moved there, until June 2023: the test was dropped, because it "
        "fails on machines. Here the prefix area is at 0",
    ),
    Assumption(
        "contents of donated storage",
        "private data of its owner; comes back cleared from DESTROY_SEC_CONF and DESTROY_SEC_CPU",
        "seen by the outside tests after a machine reset only",
    ),
    Assumption(
        "CPU storage belongs to the configuration",
        "owner of its pages: the configuration's handle",
        "the CPU cannot outlive the configuration",
    ),
    Assumption(
        "top-level table that cannot be used (in use, marked, secure, or outside memory)",
        f"CREATE_SEC_CONF rc {RC_CONF_TABLE:#x}, no handle",
        "the outside tests want 0x104 or more for a table already in use",
    ),
    Assumption(
        "guest of length 0", f"CREATE_SEC_CONF rc {RC_CONF_EMPTY:#x}", "a configuration without storage is a mistake"
    ),
    Assumption(
        "alignment of a guest's origin and length, and of the SCA and table",
        "not checked",
        "the outside tests pass an odd guest origin and expect the limit to be checked first; no code is known",
    ),
    Assumption(
        "refused though created (bit 0x8000)",
        "only by fault injection of CREATE_SEC_CONF; every call but DESTROY_SEC_CONF then says rc 0x20",
        "it is not published when a machine does so",
    ),
    Assumption("low 12 bits of the address in a page command", "ignored", "the kernel passes the first byte of a page"),
    Assumption(
        "absolute address outside memory", f"destroy, export, pin: rc {RC_OUTSIDE:#x}", "any code will do: not seen"
    ),
    Assumption(
        "guest address outside the configuration's storage",
        f"import, unpack, unpin: rc {RC_GUEST_ADDRESS:#x}; REMOVE_SHARED_ACCESS: rc {RC_UNSHARE_OUTSIDE:#x}",
        "not 0x10a: mapping it would not help. The outside tests ask only SET_SHARED_ACCESS, and expect 0x101",
    ),
    Assumption(
        "address of UNPIN_PAGE_SHARED where the guest's origin is not 0",
        "origin plus offset, as for an import; unpack and the guest's own calls count from 0 at the origin",
        "it has the block of an import, and the kernel hands over both alike. The outside tests show the rest",
    ),
    Assumption(
        "import or unpack of a page of another configuration, secure or shared",
        f"rc {RC_OTHER_OWNER:#x}",
        "the kernel turns any code but 0x10a into -EINVAL",
    ),
    Assumption(
        "import or unpack with the feature 'misc' of a page shared by another configuration",
        "done as a first import: cleared, secure, own; a pin is lost",
        "patch 11 says only that no export is needed then",
    ),
    Assumption(
        "import of a page that is its own already, secure or shared",
        "done, changes nothing",
        "two CPUs of the guest may fault on the same page; the second import must not fail",
    ),
    Assumption(
        "unpack onto a page that is its own already",
        f"rc {RC_OWN_PAGE:#x}",
        "the host may not replace what the guest has",
    ),
    Assumption(
        "import of an exported page whose content is not what was exported",
        f"rc {RC_NOT_GENUINE:#x}, nothing changed",
        "the failure is documented, the code is not",
    ),
    Assumption(
        "what was exported is remembered by guest address",
        "in the record of the page that backs it",
        "a swapped page comes back in another frame. So a host that exchanges two exported pages of a guest, or maps a "
        "new page instead of one, is not found out here; the kernel never does",
    ),
    Assumption(
        "unpack onto a page that was exported",
        "not verified: the image replaces it",
        "the image is verified as a whole by VERIFY_IMG",
    ),
    Assumption(
        "import or unpack before SET_SEC_CONF_PARAMS has succeeded",
        f"rc {RC_PHASE:#x}",
        "the refusal is documented (commit message of 20201116122033.382372-2), the code is not",
    ),
    Assumption(
        "import between SET_SEC_CONF_PARAMS and VERIFY_IMG",
        "allowed",
        "no public source forbids it, and nothing in the story depends on it",
    ),
    Assumption(
        "destroy of a page whose owner has CPUs", f"rc {RC_HAS_CPUS:#x}", "the refusal is documented, the code is not"
    ),
    Assumption(
        "destroy of a page whose owner has CPUs, if rule 1 is turned off (`destroy_needs_no_cpus`)",
        "cleared, non-secure; the owner's next access raises 0x3E, and a first import clears the page: the guest reads "
        "zeros, and is not told",
        "only what was exported is remembered (rule 5). An Ultravisor that allowed this might refuse the import; the "
        "data are lost either way",
    ),
    Assumption(
        "destroy, export, pin, import or unpack of a donated page",
        f"rc {RC_DONATED:#x}",
        "it belongs to the Ultravisor until given back",
    ),
    Assumption(
        "export of a shared page",
        "like that of a secure one: encrypted, measured, non-secure; a pin is lost",
        "patch 7 exports pages that another configuration shared",
    ),
    Assumption(
        "destroy of a shared page", "like that of a secure one: cleared, non-secure; a pin is lost", "the same pages"
    ),
    Assumption(
        "pin of a page that is not shared, unpin of one that is not pinned by its own configuration",
        f"rc {RC_NOT_SHARED:#x}; pin of a pinned page: done, changes nothing",
        "the kernel needs the first to fail: it then exports",
    ),
    Assumption(
        "guest shares or unshares a page that is not its own",
        f"rc {RC_OTHER_OWNER:#x} (not mapped: {RC_UNMAPPED:#x}); asking for what is so already: done",
        "a real guest is intercepted and the host asked to bring the page in",
    ),
    Assumption(
        "guest unshares a pinned page",
        "cc 2, nothing changed: the guest executes again once the host has unpinned it",
        "the kernel unpins when told of the guest's call, and the guest repeats it",
    ),
    Assumption(
        "unsharing a page", "secure again, content is the guest's plaintext", "whatever is there now is private"
    ),
    Assumption("SET_UNSHARE_ALL", "unshares pinned pages, too", "it serves a reset, when no I/O is under way"),
    Assumption(
        "PREPARE_RESET, CPU resets",
        "no effect but the answer; the resets stop the CPU",
        "registers are not in the model",
    ),
    Assumption("CPU_SET_STATE with an unknown state", f"rc {RC_CPU_STATE:#x}", "states 1, 2, 3 and 5 are known"),
    Assumption(
        "order of SET_SEC_CONF_PARAMS, UNPACK_IMG, VERIFY_IMG",
        f"each in its turn, parameters and verification once; else rc {RC_PHASE:#x}",
        "an image is loaded once; nothing unpacked cannot be verified",
    ),
    Assumption(
        "DESTROY_SEC_CONF while it has CPUs",
        f"rc {RC_HAS_CPUS:#x}; not a failure that sticks",
        "only the need to destroy the CPUs first is documented",
    ),
    Assumption(
        "DESTROY_SEC_CONF cleans pages still secure or shared",
        "cleared, non-secure; each at 0.3 of the price of a destroy, rounded down",
        "v10 of the series, patch 13, says that the call cleans them, and much faster than one call for each page; it "
        "gives no figure",
    ),
    Assumption(
        "protected guest on a donated page",
        "0x3F (secure storage violation)",
        "it looks like a secure page of somebody else; the other candidate is 0x3D",
    ),
    Assumption(
        "CREATE_SEC_CPU for a configuration whose CPUs were destroyed",
        "done, as the first time",
        "no public source forbids it. Version 1 of the series never asks: it forgets the handle",
    ),
    Assumption(
        "configuration whose DESTROY_SEC_CONF failed",
        "answers every other call as before",
        "only the failure itself is documented, and that the mark on its table stays",
    ),
    Assumption(
        "marked table in the host's own use",
        "read and written like any memory; to destroy or export its pages changes nothing, and the mark stays",
        "its pages are not secure, and the mark is documented for tables and donated storage only",
    ),
    Assumption(
        "reset of the machine",
        "secure, shared and donated pages cleared; marks, configurations and CPUs gone",
        "seen by the outside tests for donated memory",
    ),
)
"""Every decision of this module that no public source fixes. What a call costs is assumed in `lazydestroy.costs`."""
