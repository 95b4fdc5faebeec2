"""The Ultravisor as a whole: what it is made with, and how it takes a call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from ..costs import Costs
from ..page import PAGE_SHIFT, PAGE_SIZE
from ..units import expect, flag, several, shown, size, whole_number
from ..uvcb import (
    BIT_UVC_FEAT_MISC_0,
    UVC,
    UVC_CC_OK,
    UVC_RC_EXECUTED,
    UVC_RC_INV_CMD,
    UVC_RC_INV_LEN,
    UVC_RC_INV_STATE,
    uv_cb_cfs,
    uv_cb_cgc,
    uv_cb_cpu_set_state,
    uv_cb_csc,
    uv_cb_cts,
    uv_cb_destroy_fast,
    uv_cb_header,
    uv_cb_init,
    uv_cb_nodata,
    uv_cb_share,
    uv_cb_ssc,
    uv_cb_unp,
)
from .codes import REFUSED
from .command import NUMBERS, Command, Refused, command, header_of, view
from .configurations import Configurations
from .cpus import Cpus
from .guest import GuestCalls
from .pages import Pages
from .query import Query
from .structs import HostMemory

_FEATURES = {"misc": BIT_UVC_FEAT_MISC_0}


class Ultravisor(GuestCalls, Cpus, Query):
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
    calls : iterable of UVC or str
        Calls of later machines that this one has, too: "DESTROY_SEC_CONF_FAST" (rule 7a). None by default.
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
    calls : frozenset of UVC
        Calls of later machines that this one has.

    Raises
    ------
    ValueError
        If a value is not accepted.

    Examples
    --------
    >>> uv = Ultravisor("4 GiB")
    >>> uv.call(uv_cb_init(stor_origin=2 << 30, stor_len=uv.uv_base_stor_len))
    0
    >>> Ultravisor("4 GiB", **Ultravisor.presets["as of 2022"]).calls
    frozenset({UVC.DESTROY_SEC_CONF_FAST})
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
        {
            "as of 2021": MappingProxyType({}),
            "as of 2022": MappingProxyType({"calls": ("DESTROY_SEC_CONF_FAST",)}),
        }
    )
    """Arguments by the age of the machine. "as of 2022": with what the merged series can use and version 1 cannot.

    The names are this package's: which machines have the call is not published."""

    def __init__(
        self,
        host_memory: int | str = "8 GiB",
        features: Iterable[int | str] | str = (),
        *,
        memory: HostMemory | None = None,
        costs: Costs | None = None,
        observer: Callable[[UVC | int, str, int], object] | None = None,
        calls: Iterable[UVC | str] | UVC | str = (),
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
        self.calls = self._later_calls(calls)
        self._installed = {**self._HOST, **{call: self._LATER[call] for call in sorted(self.calls)}}
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

    @classmethod
    def _later_calls(cls, calls: Any) -> frozenset[UVC]:
        names = ", ".join(repr(NUMBERS[number].name) for number in cls._LATER)
        accepted = f"calls of later machines ({names}), several in a tuple; () for none"
        wanted = (calls,) if isinstance(calls, str | int) else several(calls, "calls", accepted)
        known = {key: NUMBERS[number] for number in cls._LATER for key in (number, NUMBERS[number].name)}
        try:
            return frozenset(known[call] for call in wanted)
        except (KeyError, TypeError):
            raise ValueError(f"calls={shown(calls)}: use {accepted}") from None

    def __repr__(self) -> str:
        state = "not initialised" if self.base is None else f"{len(self.configurations)} configurations"
        return f"<Ultravisor of {self.end:#x} bytes, {state}>"

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
        header = header_of(uvcb)
        cc, outcome, ns = self._execute(self._installed.get(header.cmd), header, uvcb)
        if self.observer is not None:
            number = header.cmd
            self.observer(NUMBERS.get(number, number), outcome, ns)
        return cc

    def guest_call(self, handle: int, uvcb: Any) -> int:
        """Execute an Ultravisor Call of a protected guest, once: the query, share, unshare.

        Observers do not hear of it, as it is not the host's time. Parameters, result and errors are those of `call`.

        Raises
        ------
        ValueError
            If no configuration has the handle, or `uvcb` is no control block.
        """
        handle = whole_number(handle, "handle")
        if handle not in self.configurations:
            raise ValueError(f"handle={handle:#x}: no configuration has it; there are {_list(self.configurations)}")
        header = header_of(uvcb)
        return self._execute(self._GUEST.get(header.cmd), header, uvcb, handle)[0]

    def share(self, handle: int, gaddr: int) -> int:
        """Let a protected guest share its page at `gaddr`, from 0 up, with the host. Returns the condition code."""
        return self.guest_call(handle, uv_cb_share(cmd=UVC.SET_SHARED_ACCESS, paddr=_address(gaddr)))

    def unshare(self, handle: int, gaddr: int) -> int:
        """Let a protected guest take back its page at `gaddr`, from 0 up. Returns cc: 2 while the page is pinned."""
        return self.guest_call(handle, uv_cb_share(cmd=UVC.REMOVE_SHARED_ACCESS, paddr=_address(gaddr)))

    def _execute(self, command: Command | None, header: uv_cb_header, uvcb: Any, *caller: int) -> tuple[int, str, int]:
        try:
            outcome, ns = self._perform(command, header, uvcb, *caller)
            cc, rc, rrc = UVC_CC_OK, UVC_RC_EXECUTED, 0
        except Refused as refused:
            cc, rc, rrc, outcome = refused.cc, refused.rc, refused.rrc, refused.outcome
            ns = self.costs.refused if outcome == REFUSED else self.costs.noop
        header.rc, header.rrc = rc, rrc
        return cc, outcome, ns

    def _perform(self, command: Command | None, header: uv_cb_header, uvcb: Any, *caller: int) -> tuple[str, int]:
        """Check what the header alone tells, in the order of the machine, then go on to the body."""
        if command is None:
            raise Refused(UVC_RC_INV_CMD)
        if command.needs_initialised and self.base is None:
            raise Refused(UVC_RC_INV_STATE)
        if command.block is None:
            return command.perform(self, uvcb, *caller)
        if header.len != command.length:
            raise Refused(UVC_RC_INV_LEN)
        block = uvcb if type(uvcb) is command.block else view(uvcb, command.block)
        return command.perform(self, block, *caller)

    _HOST: ClassVar[Mapping[int, Command]] = {
        UVC.QUI: Command(Query._query, None, 0, False),
        UVC.INIT_UV: command(Query._initialise, uv_cb_init, needs_initialised=False),
        UVC.CREATE_SEC_CONF: command(Configurations._create_configuration, uv_cb_cgc),
        UVC.DESTROY_SEC_CONF: command(Configurations._destroy_configuration, uv_cb_nodata),
        UVC.CREATE_SEC_CPU: command(Cpus._create_cpu, uv_cb_csc),
        UVC.DESTROY_SEC_CPU: command(Cpus._destroy_cpu, uv_cb_nodata),
        UVC.CONV_TO_SEC_STOR: command(Pages._import, uv_cb_cts),
        UVC.CONV_FROM_SEC_STOR: command(Pages._export, uv_cb_cfs),
        UVC.DESTR_SEC_STOR: command(Pages._destroy, uv_cb_cfs),
        UVC.SET_SEC_CONF_PARAMS: command(Configurations._set_parameters, uv_cb_ssc),
        UVC.UNPACK_IMG: command(Pages._unpack, uv_cb_unp),
        UVC.VERIFY_IMG: command(Configurations._verify, uv_cb_nodata),
        UVC.CPU_RESET: command(Cpus._reset_cpu, uv_cb_nodata),
        UVC.CPU_RESET_INITIAL: command(Cpus._reset_cpu, uv_cb_nodata),
        UVC.CPU_RESET_CLEAR: command(Cpus._reset_cpu, uv_cb_nodata),
        UVC.PREPARE_RESET: command(Configurations._prepare_reset, uv_cb_nodata),
        UVC.CPU_SET_STATE: command(Cpus._set_cpu_state, uv_cb_cpu_set_state),
        UVC.SET_UNSHARE_ALL: command(Configurations._unshare_all, uv_cb_nodata),
        UVC.PIN_PAGE_SHARED: command(Pages._pin, uv_cb_cfs),
        UVC.UNPIN_PAGE_SHARED: command(Pages._unpin, uv_cb_cts),
    }

    _LATER: ClassVar[Mapping[int, Command]] = {
        UVC.DESTROY_SEC_CONF_FAST: command(Configurations._destroy_configuration_fast, uv_cb_destroy_fast),
    }

    _GUEST: ClassVar[Mapping[int, Command]] = {
        UVC.QUI: Command(Query._query, None, 0, False),
        UVC.SET_SHARED_ACCESS: command(GuestCalls._share, uv_cb_share),
        UVC.REMOVE_SHARED_ACCESS: command(GuestCalls._unshare, uv_cb_share),
    }


def _make_memory(host_memory: int | str) -> HostMemory:
    from .._core import Memory  # compiled, and not needed by who brings a memory

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


def _address(gaddr: object) -> int:
    return whole_number(gaddr, "gaddr", 0, (1 << 64) - 1)


def _list(handles: Iterable[int]) -> str:
    return ", ".join(f"{handle:#x}" for handle in handles) or "none"
