"""A whole machine, driven by hand or by `lazydestroy.scenarios`: a host, its kernel, and a QEMU with its VM.

What lives here is the hand that drives it. What it drives has rooms of its own: the host's memory and log in
`lazydestroy.host`, what programs do in `lazydestroy.userspace`, the kernel's own code in `lazydestroy.kernel` and
`lazydestroy.series`.
"""

from __future__ import annotations

import copyreg
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from . import showing, units
from ._core import DeferredList, Engine, Lock, Memory, Table, Task, TooManyKinds, step, visit
from .access import Access
from .actors import CLEAN_UP, QEMU, VCPU, numbered
from .commands import AsyncCommands
from .costs import Costs
from .host import Host
from .host.firmware import RememberingUltravisor
from .host.sizes import features_of, hole_of, host_of, require_host, storage_of, ultravisor_of
from .kernel.structs import Flow, Gmap, Kvm, Mm, MmContext, Pv, Vcpu
from .layers import Series
from .page import PAGE_SHIFT, PAGE_SIZE, Holder, Page
from .ultravisor import Interruption, Ultravisor
from .units import exact_size
from .userspace import Process, Qemu
from .uvcb import uv_cb_init

DESTROY_LOOP_THRESHOLD = 32
"""Patch 5: pages destroyed between two takings of ``mmap_lock``."""

PV_MAX_LAZY_COUNT = 509
"""Patch 9: frame numbers in a list page, (4096 - 24) / 8."""

LOW_MEMORY = 2 << 30
"""Patch 8: what is destroyed of a guest before the thread takes over, in bytes."""

SEGMENT_TABLE = 2 << 30
"""Guests up to this size have two levels of page tables: the top-level table is a segment table."""


class Machine(AsyncCommands, Host):
    """A host with an Ultravisor, a kernel, and one VM.

    By hand: `boot`, `protect`, `touch`, `share`, `unshare`, `read`, `io`, `swap_out`, `reboot`, `exit` (`kill` begins
    it), `start_process`, `start_another`, `turn_to`, `step`, `run`, `show`. With Linux 6.2 also what QEMU does there:
    `prepare`, `perform`, `kill_thread`, `disable`, `start_helper`, `kill_helper`.

    Parameters
    ----------
    guest : int or str
        Size of the guest's memory.
    kernel : Series
        The host kernel; default `series.v1`.
    costs : Costs
        What each step takes.
    host_memory : int or str, optional
        Size of the host's memory; default: the guest, and what it needs, twice.
    vcpus : int
    lazy_destroy, async_destroy : bool, optional
        Module parameters: patch 10's, and that of Linux 6.2.
    features : iterable or str
        The Ultravisor's feature bits, such as "misc".
    hole : (int, int), optional
        ``(page, missing)``: the guest's memory is in two slots, and so many guest pages are missing before that page.
    process_memory : int or str
        QEMU's own memory.
    destroy_loop_threshold, list_page_capacity, low_memory
        The kernel's 32 and 509, and the 2 GiB that are cleared at once, as parameters.
    segment_table : int or str
        Guests up to this size have two levels of page tables; 2 GiB in the kernel. May be 0: `series.v1_fixed` tears
        such guests down at once, so a small machine that is to show lazy destroy with it needs 0.
    donated_from : int or str
        Donated storage lies at or above this address, if there is room for it.
    reserve : int
        Free pages that an atomic allocation leaves alone.
    swap : int or str
        Space to which the kernel may write the guest's pages by itself, when nothing is free. `swap_out` needs none.
    small_storage : bool
        Donated storage takes one page each, so that a machine of a handful of pages stays one.
    ultravisor : dict or str
        Further arguments for `Ultravisor`, such as ``{"destroy_needs_no_cpus": False}``; or the name of one of its
        `presets`: "as of 2022" has DESTROY_SEC_CONF_FAST.
    tabled, windows : bool
        See `Engine`.

    Raises
    ------
    ValueError
        If a value is not accepted, or the guest and what it needs do not fit into the host.

    Examples
    --------
    >>> m = Machine("32 KiB")
    >>> m.boot()
    >>> m.protect()
    'A'
    >>> print(m.touch(7))
    vCPU touches page 7: 0x3E; calls CONV_TO_SEC_STOR; reads plaintext of A; 4 µs
    """

    default_kernel: ClassVar[Series]
    """What runs if you name no kernel. The package sets it: this module knows no patch."""

    def __init__(
        self,
        guest: int | str = "32 KiB",
        *,
        kernel: Series | None = None,
        costs: Costs | None = None,
        host_memory: int | str | None = None,
        vcpus: int = 1,
        lazy_destroy: bool | None = None,
        async_destroy: bool | None = None,
        features: Any = (),
        hole: tuple[int, int] | None = None,
        process_memory: int | str = 0,
        destroy_loop_threshold: int = DESTROY_LOOP_THRESHOLD,
        list_page_capacity: int = PV_MAX_LAZY_COUNT,
        low_memory: int | str = LOW_MEMORY,
        segment_table: int | str = SEGMENT_TABLE,
        donated_from: int | str = 0,
        reserve: int = 0,
        swap: int | str = 0,
        small_storage: bool = True,
        ultravisor: dict[str, Any] | str | None = None,
        tabled: bool = True,
        windows: bool = True,
    ) -> None:
        kernel = self.default_kernel if kernel is None else kernel
        if not isinstance(kernel, Series):
            raise ValueError(f"kernel={units.shown(kernel)}: use a kernel such as ld.series.v1 or ld.series.v1.upto(0)")
        vcpus = units.whole_number(vcpus, "vcpus", 1, 248)
        if costs is not None and not isinstance(costs, Costs):
            raise ValueError(f"costs={units.shown(costs)}: use ld.Costs(...), such as ld.Costs(destroy='1.5 us')")
        lazy_destroy = _module_parameter(kernel, "lazy_destroy", lazy_destroy, "version 1, patch 10")
        async_destroy = _module_parameter(kernel, "async_destroy", async_destroy, "Linux 6.2")
        small_storage, tabled, windows = (
            units.flag(value, name)
            for name, value in (("small_storage", small_storage), ("tabled", tabled), ("windows", windows))
        )
        options, sizes = ultravisor_of(ultravisor, small_storage)
        options["features"] = features_of(features)
        self.costs = Costs() if costs is None else costs
        self.guest_len = units.size(guest, "guest", multiple_of=PAGE_SIZE)
        self.process_len = units.size(process_memory, "process_memory", multiple_of=PAGE_SIZE, zero=True)
        self.hole = hole_of(hole, self.guest_len >> PAGE_SHIFT)
        self.guest_pages, self.process_pages = self.guest_len >> PAGE_SHIFT, self.process_len >> PAGE_SHIFT
        self.destroy_loop_threshold = _at_least_one(destroy_loop_threshold, "destroy_loop_threshold")
        self.list_page_capacity = _at_least_one(list_page_capacity, "list_page_capacity")
        self.low_pages, self.segment_table_pages, swap_pages = (
            units.size(value, name, multiple_of=PAGE_SIZE, zero=True) >> PAGE_SHIFT
            for name, value in (("low_memory", low_memory), ("segment_table", segment_table), ("swap", swap))
        )
        if self.guest_len > sizes.max_guest_stor_addr:
            raise ValueError(
                f"guest={units.shown(guest)}: more than this Ultravisor supports; use at most "
                f"{exact_size(sizes.max_guest_stor_addr)}"
            )
        storage = storage_of(sizes, self.guest_len, vcpus)
        host_len = host_of(host_memory, self.guest_len, self.guest_len + self.process_len + storage)
        self._require(host_len)
        super().__init__(
            host_len >> PAGE_SHIFT,
            self.costs,
            engine={
                "tabled": tabled,
                "windows": windows,
                "reserve": units.whole_number(reserve, "reserve", 0, 1 << 40),
            },
            ultravisor={**options, "donated_from": 0},
        )
        self.donated_from = min(units.size(donated_from, "donated_from", zero=True), host_len - storage)
        self.swap_pages = swap_pages
        self.vcpus = vcpus
        self.processes = self.threads = 0
        self._programs: list[Qemu] = []
        self._raised: list[Interruption] = []
        self._saw = ""
        self.fatal_signals: frozenset[Task] = frozenset()
        self.kernel = kernel.kernel(self, lazy_destroy, async_destroy)
        self.series = kernel
        self._initialise_ultravisor()
        self.kernel.start()
        self.qemu = self._started()

    def _require(self, host_len: int) -> None:
        """Refuse a host that is too large for this computer."""
        require_host(host_len)

    def _initialise_ultravisor(self) -> None:
        storage = self.allocate_donation(self.uv.uv_base_stor_len)
        assert storage is not None, "the size of the host was checked"
        self.uv.call(uv_cb_init(stor_origin=storage[0] << PAGE_SHIFT, stor_len=self.uv.uv_base_stor_len))

    def _start_qemu(self) -> Qemu:
        """Start the program that has the VM."""
        return Qemu(self)

    def _started(self) -> Qemu:
        """Another program with a VM. Those that have exited, and whose VMs are gone, are forgotten."""
        started = self._start_qemu()
        self._programs = [*(there for there in self._programs if there.alive or there.kvm.gmap in self.gmaps), started]
        return started

    def _program_of(self, whose: Kvm | Mm | None) -> Qemu:
        """The program that has a VM or an address space; the one that is driven if nothing is said."""
        return next((there for there in self._programs if whose in (there.kvm, there.mm)), self.qemu)

    # The process that is driven

    @property
    def mm(self) -> Mm:
        """The address space of the process."""
        return self.qemu.mm

    @property
    def kvm(self) -> Kvm:
        """Its VM."""
        return self.qemu.kvm

    @property
    def alive(self) -> bool:
        """Whether the process lives. May be set: what comes of it is not done then."""
        return self.qemu.alive

    @alive.setter
    def alive(self, alive: bool) -> None:
        self.qemu.alive = units.flag(alive, "alive")

    @property
    def guest_up(self) -> bool:
        """Whether the guest runs. May be set, too."""
        return self.qemu.guest_up

    @guest_up.setter
    def guest_up(self, guest_up: bool) -> None:
        self.qemu.guest_up = units.flag(guest_up, "guest_up")

    def protecting(self, first: int, pages: int) -> Flow:
        """QEMU makes the VM protected; see `Qemu.protecting`."""
        return self.qemu.protecting(first, pages)

    def resetting(self) -> Flow:
        """QEMU resets the guest; see `Qemu.resetting`."""
        return self.qemu.resetting()

    def exiting(self) -> Flow:
        """QEMU exits; see `Qemu.exiting`."""
        return self.qemu.exiting()

    def kill(self) -> None:
        """End the process: its vCPUs stop, and it exits as a task of its own."""
        self.qemu.kill()

    def start_process(self) -> None:
        """Start QEMU anew, with a new VM, once the last one has exited. What that one left behind is still there.

        Raises
        ------
        RuntimeError
            If the last process has not exited, or the host has no memory for another.
        """
        self._need(not self.alive, "the process is still there: exit() first")
        self._need(self.kvm.gmap not in self.gmaps, "the process is still exiting: run() first")
        self.qemu = self._started()

    def start_another(self) -> Qemu:
        """Start another QEMU, with a VM of its own, beside the one that is there.

        What is done by hand is done to the new one from now on. Returns the one before, for `turn_to`.

        Raises
        ------
        RuntimeError
            If the host has no memory for another process.
        """
        before, self.qemu = self.qemu, self._started()
        return before

    def turn_to(self, process: Process) -> Qemu:
        """Do to another process what is done by hand from now on. Returns the one before.

        Raises
        ------
        ValueError
            If it is no process with a VM of this machine.
        """
        if not isinstance(process, Qemu) or process.machine is not self:
            raise ValueError(
                f"process={units.shown(process)}: use what this machine's start_another() or turn_to() returned"
            )
        self.memory.context_changed()
        before, self.qemu = self.qemu, process
        return before

    # What the kernel asks of the machine, and tells those who run on it

    def fatal_signal_pending(self, task: Task | None) -> bool:
        """Whether a task was sent a signal that ends it, and has not ended yet."""
        return task in self.fatal_signals

    def running_handle(self, kvm: Kvm) -> int:
        """The configuration whose CPUs run the guest; 0 while it runs as a normal guest."""
        return kvm.pv.handle if kvm.vcpus[0].handle else 0

    def start_thread(self, flow: Flow) -> Task:
        """Start a kernel thread."""
        self.threads += 1
        return self.engine.spawn(flow, numbered(CLEAN_UP, self.threads))

    def guest_runs(self, kvm: Kvm) -> bool:
        """Whether the guest of a VM runs."""
        return self._program_of(kvm).guest_up

    def signal(self, name: str, text: str, kvm: Kvm | None = None) -> None:
        """A signal that ends the process that has a VM, and the VM with it.

        Parameters
        ----------
        name, text : str
            The signal, and why it is sent.
        kvm : Kvm, optional
            The VM; None: that of the process that is driven.
        """
        self.event("signal", f"{name}: {text}")
        self._program_of(kvm).kill()

    def addressing_exception(self, kvm: Kvm, gaddr: int) -> None:
        """KVM injects an addressing exception into the guest of a VM: its loader cannot go on."""
        self.event("addressing exception", f"injected into the guest at {gaddr:#x}: it stops")
        qemu = self._program_of(kvm)
        qemu.guest_up = False
        qemu.stop_vcpus()
        self.stop_current()

    def out_of_memory(self, mm: Mm | None = None) -> None:
        """A page fault found no free page; `mm` is the address space, None that of the process that is driven."""
        self.event("oom", "no page is free for a page fault of the guest")
        self._program_of(mm).kill()

    # By hand

    def _do(self, flow: Flow, name: str) -> Any:
        """Let one task act to its end; others act only where it waits for them."""
        with _told_apart():
            return self._done(flow, name)

    def _done(self, flow: Flow, name: str) -> Any:
        engine = self.engine
        task = engine.spawn(flow, name, self.now)
        for _ in range(_PATIENCE + _PATIENCE_A_PAGE * (self.guest_pages + self.process_pages)):
            if not task.alive:
                break
            if task.asleep:
                if engine.step() is None:
                    raise RuntimeError(f"{name} waits, and no other task can act")
            else:
                engine.step(task)
        else:
            engine.kill(task)
            self.event("endless fault", f"{name} does not come to an end")
        return task.value

    @property
    def tasks(self) -> list[Task]:
        """Those that have something to do."""
        return [task for task in self.engine.tasks if task.alive]

    def boot(self) -> None:
        """Start the guest, as a normal one.

        Raises
        ------
        RuntimeError
            If the process has exited.
        """
        self._need(self.alive, "the process has exited")
        self.guest_up = True

    def protect(self, image: int = 1) -> str:
        """Let the guest go protected; its image has `image` pages from page 0 up. Returns its name.

        Raises
        ------
        ValueError
            If `image` is no number of pages.
        RuntimeError
            If the guest does not run, is protected already, or cannot be made protected: says why.
        """
        self._need(self.guest_up, "the guest is not running: boot() first")
        self._need(not self.kvm.pv.handle, "the guest is protected already")
        image = units.whole_number(image, "image", 1)
        self._need(
            len(self.memory.records()) <= _KINDS,
            f"the guest could not be made protected: {len(self.uv.configurations)} configurations are there, and the "
            "model cannot tell apart the pages of more; run() lets the clean-up threads destroy old ones",
        )
        self.uv.refused, logged = "", len(self.events)
        if not self._do(self.protecting(0, min(image, self.guest_pages)), QEMU):
            why = self.uv.refused or ", ".join(event.text for event in self.events[logged:]) or "it was stopped"
            self._need(False, f"the guest could not be made protected: {why}")
        return self.names[self.kvm.pv.handle]

    def touch(self, page: int) -> Access:
        """Let the guest touch one of its pages.

        Raises
        ------
        ValueError
            If the guest has no such page.
        RuntimeError
            If the guest does not run, or the machine can tell no more pages apart.
        """
        self._need(self.guest_up, "the guest is not running: boot() first")
        page = self._number(page)
        return self._access(VCPU, page, self._visiting(page))

    def _visiting(self, page: int) -> Flow:
        self._saw = ""
        yield visit(self.mm.guest, page, 1, step(self.kernel.guest_access, self.kvm), lock=self.mm.mmap_lock)
        return self._saw

    def read(self, page: int, as_: str = "host") -> Access:
        """Let the host read a guest's page: as "host" (userspace), "kernel", or "io".

        Raises
        ------
        ValueError
            If there is no such page or way to read, or the page is not present.
        """
        given, as_ = as_, units.plain(as_, "as_")
        if not isinstance(as_, str) or as_ not in ("host", "kernel", "io"):
            raise ValueError(f"as_={units.shown(given)}: use 'host', 'kernel' or 'io'; touch() is the guest itself")
        page = self._number(page)
        return self._access(as_, page, self.reading(self._frame(page), as_))

    def io(self, page: int) -> Access:
        """Let a device read a guest's page: the kernel makes it accessible first.

        Raises
        ------
        ValueError
            As `read`.
        """
        return self.read(page, "io")

    def reading(self, frame: Page, as_: str) -> Flow:
        """The host reads a frame, as "host" (userspace), "kernel", or "io"; the kernel handles what that raises."""
        kernel, alive = self.kernel, self.alive
        if as_ == "io" and kernel.arch_make_page_accessible(frame):
            return ""
        while (interruption := self.uv.access(frame)) is not None:
            self._raised.append(interruption)
            self.engine.charge(self.costs.exception)
            if not frame.arch_1:
                self.endless_fault(frame)
                return ""
            yield
            kernel.do_secure_storage_access(frame, kernel_mode=as_ != "host")
            if self.alive != alive:
                return ""
            yield
        self.engine.charge(self.costs.touch)
        return self.describe(frame.record)

    def share(self, page: int) -> None:
        """Let the guest open one of its pages to the host (UVC 0x1000).

        Raises
        ------
        ValueError
            If the guest has no such page, or it is not present.
        RuntimeError
            If the guest is not protected, or the page is not its own.
        """
        self._guest_call(self.uv.share, page, "share")

    def unshare(self, page: int) -> None:
        """Let the guest close a page that it shared (UVC 0x1001).

        Raises
        ------
        ValueError
            If the guest has no such page, or it is not present.
        RuntimeError
            If the guest is not protected, the page is not its own, or the host still uses it for I/O.
        """
        self._guest_call(self.uv.unshare, page, "unshare")

    def _guest_call(self, call: Any, page: int, name: str) -> None:
        page = self._number(page)
        handle = self.running_handle(self.kvm)
        self._need(handle, f"only a protected guest can {name} pages: protect() first")
        self._frame(page)
        pinned = self.memory.record(self.mm.guest.slot(page)).pinned
        self._need(not pinned or name == "share", f"page {page} is pinned: the host still uses it for I/O")
        with _told_apart():
            cc = call(handle, self.kernel.guest_address(self.kvm.gmap, page << PAGE_SHIFT))
        self._need(cc == 0, f"page {page} cannot be {name}d: it is not the guest's own; let it touch() the page first")

    def swap_out(self, page: int) -> bool:
        """Let the host write a page to swap and use its frame for something else. False if it cannot.

        Raises
        ------
        ValueError
            If the guest has no such page, or it is not present.
        """
        page = self._number(page)
        self._frame(page)
        return self.kernel.swap_out(self.mm, page << PAGE_SHIFT)

    def reboot(self) -> None:
        """Reset the guest, as QEMU does: it starts again as a normal one.

        A clean-up thread, the kernel's or QEMU's, has not begun yet.

        Raises
        ------
        RuntimeError
            If the guest does not run.
        """
        self._need(self.guest_up, "the guest is not running: boot() first")
        self._do(self.qemu.unprotecting(), QEMU)

    def exit(self) -> None:
        """End the process. A clean-up thread or a helper, if any, goes on when you step() or run().

        Raises
        ------
        RuntimeError
            If the process has exited.
        """
        self._need(self.alive, "the process has exited")
        self.guest_up = False
        self._do(self.exiting(), QEMU)

    def step(self, task: Task | None = None) -> str:
        """Let the clean-up thread, or `task`, do one step. Says what happened.

        Raises
        ------
        ValueError
            If it is no task of this machine.
        RuntimeError
            If the machine can tell no more pages apart.
        """
        if task is not None and not (isinstance(task, Task) and task in self.engine.tasks):
            raise ValueError(f"task={units.shown(task)}: use one of m.tasks, or None")
        if task is None and not self.tasks:
            return "nothing left to do"
        self._log.clear()
        with _told_apart():
            acted = self.engine.step(task)
        if acted is None:
            return "no task can act: " + ", ".join(f"{waiting.name} waits" for waiting in self.tasks)
        return f"{acted.name}{self._where()}: {', '.join(self._log) or 'walks on'}"

    def _where(self) -> str:
        """Which page of the guest the last step worked on, if it worked on one."""
        frame = self.engine.at_frame
        for page in range(self.guest_pages):
            if frame is not None and self.mm.guest.slot(page) == frame:
                return f", page {page}"
        return ""

    def run(self) -> None:
        """Let everything that is under way come to its end.

        Raises
        ------
        RuntimeError
            If the machine can tell no more pages apart.
        """
        with _told_apart():
            self.engine.run()

    def steps(self) -> Told:
        """Let everything that is under way come to its end, step by step, and say who did what.

        Returns
        -------
        Told
            A text with a line for each `step`, in order; steps in which a task only walks on are left out. Its
            ``about(page)`` is what was done about one page.
        """
        told = []
        while self.tasks:
            told.append(self.step())
            if told[-1].startswith("no task can act"):
                break
        return Told("\n".join(line for line in told if not line.endswith(": walks on")))

    def observe(self, accessor: str, page: int, flow: Flow) -> Access:
        """Let somebody do something about a guest's page, and tell what came of it; the flow returns what it read.

        Raises
        ------
        ValueError
            If `accessor` is no name, `flow` no generator, or the guest has no such page.
        """
        if not isinstance(accessor, str):
            raise ValueError(f"accessor={units.shown(accessor)}: use the name of who does it")
        if not isinstance(flow, Generator):
            raise ValueError(f"flow={units.shown(flow)}: use a generator, such as m.reading(frame, 'host')")
        return self._access(str(accessor), self._number(page), flow)

    def _access(self, accessor: str, page: int, flow: Flow) -> Access:
        self._frame(page, present=False)
        self._log.clear()
        self._raised.clear()
        before, logged = self.now, len(self.events)
        saw = self._do(flow, accessor) or ""
        slot = self.memory.record(self.mm.guest.slot(page))
        return Access(
            accessor,
            page,
            tuple(self._raised),
            saw,
            self.name(slot.owner),
            tuple(self._log),
            self.now - before,
            tuple(self.events[logged:]),
        )

    def raised(self, interruption: Interruption) -> None:
        """The hardware raised an interruption (for `Access`)."""
        if not self.memory.learning:
            self._raised.append(interruption)

    def seen(self, page: Page) -> None:
        """An access got through, and found this on the page (for `Access`)."""
        if not self.memory.learning:
            self._saw = self.describe(page.record)

    def _number(self, page: int) -> int:
        """The number of one of the guest's pages."""
        try:
            return units.whole_number(page, "page", 0, self.guest_pages - 1)
        except ValueError:
            shown = units.shown(page)
            raise ValueError(f"page={shown}: the guest has pages 0 to {self.guest_pages - 1}") from None

    def _frame(self, page: int, present: bool = True) -> Page:
        page = self._number(page)
        view = self.memory.page(self.mm.guest.slot(page))
        if present and view.holder == Holder.SET_ASIDE and view.mm == self.mm.number:
            raise ValueError(f"page={page}: set aside; it is in no address space, so no address names it")
        if present and not self.kernel.pte_present(self.mm, view):
            raise ValueError(f"page={page}: not present; the guest has not touched it yet, or it is swapped out")
        return view

    def _need(self, condition: object, text: str) -> None:
        if not condition:
            raise RuntimeError(text)

    # To look at

    def rows(self) -> list[dict[str, Any]]:
        """The guest's pages, one dict each."""
        return showing.rows(self)

    def show(self) -> str:
        """The guest's pages as a table of text; equal pages of a guest of more than 50 are one row together."""
        return showing.text(self)

    __repr__ = show

    def _repr_html_(self) -> str:
        return showing.html(self)

    def __reduce_ex__(self, protocol: object) -> Any:
        """Refuse `copy` and `pickle`."""
        return _not_to_be_copied(self)


class Told(str):
    """What was done in some steps, line by line."""

    __slots__ = ()

    def about(self, page: int) -> str:
        """Return the calls of the first step that worked on a page of the guest; "no call" if none did."""
        page = units.whole_number(page, "page", 0, 1 << 40)
        found = (line.partition(f", page {page}: ")[2] for line in self.splitlines())
        return next(filter(None, found), "no call")


_KINDS = 240
"""Kinds of page (`Record`) in use up to which another configuration is made: the core tells 256 apart."""

_PATIENCE = 20_000
_PATIENCE_A_PAGE = 20
"""Steps after which what is done by hand is taken to be endless."""


def _module_parameter(kernel: Series, name: str, value: Any, where: str) -> bool | None:
    """A module parameter's value; None, its default, is all that a kernel without it takes."""
    if value is None:
        return None
    if name not in kernel.parameters:
        raise ValueError(
            f"{name}={units.shown(value)}: {kernel!r} does not have the module parameter ({where}); leave it None"
        )
    return units.flag(value, name)


def _at_least_one(value: Any, name: str) -> int:
    return units.whole_number(value, name, 1, 1 << 20)


@contextmanager
def _told_apart() -> Iterator[None]:
    """What is done by hand may make more kinds of page than one byte can tell apart."""
    try:
        yield
    except TooManyKinds as error:
        raise RuntimeError(
            f"the machine cannot go on: {error}, and the model cannot tell apart more; make another ld.Machine, with "
            "fewer guests at a time"
        ) from None


def _not_to_be_copied(thing: object) -> Any:
    name = type(thing).__name__.strip("_")
    raise TypeError(
        f"{'an' if name[0] in 'AEIOU' else 'a'} {name} cannot be copied or pickled: its parts refer to each other and "
        "to memory outside of Python; make another ld.Machine with the same arguments, and do the same to it"
    )


_PARTS = (
    *(DeferredList, Engine, Lock, Memory, Table, Task),
    *(Gmap, Kvm, Mm, MmContext, Pv, Vcpu),
    *(Ultravisor, RememberingUltravisor, Process, Qemu),
)

for _part in _PARTS:
    copyreg.pickle(_part, _not_to_be_copied)


__all__ = [
    "CLEAN_UP",
    "DESTROY_LOOP_THRESHOLD",
    "LOW_MEMORY",
    "PV_MAX_LAZY_COUNT",
    "Access",
    "Machine",
    "Process",
]
