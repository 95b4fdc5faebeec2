"""A whole machine: memory, Ultravisor, host kernel, and one process (QEMU) with its VM.

It is driven by hand, step by step, or by `lazydestroy.scenarios`.

What lives here is what surrounds the kernel: how memory is handed out, what userspace does, what is logged. The
kernel's own code is in `lazydestroy.kernel` and `lazydestroy.series`.
"""

from __future__ import annotations

import copyreg
import inspect
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from . import showing, units
from ._core import DeferredList, Engine, Lock, Memory, Table, Task, step, visit
from .access import Access
from .costs import Costs
from .kernel.gmap import CRST_PAGES
from .kernel.structs import NO_STORAGE, Answer, Flow, Gmap, Kvm, Mm, MmContext, Pv, Vcpu
from .layers import Series
from .limits import require_memory
from .page import PAGE_SHIFT, PAGE_SIZE, Content, Holder, Page, Record, State
from .run import Event
from .ultravisor import Interruption, Ultravisor
from .units import exact_size, format_size
from .uvcb import UVC, UVC_CC_ERROR, uv_cb_init

DESTROY_LOOP_THRESHOLD = 32
"""Patch 5: pages destroyed between two takings of ``mmap_lock``."""

PV_MAX_LAZY_COUNT = 509
"""Patch 9: frame numbers in a list page, (4096 - 24) / 8."""

LOW_MEMORY = 2 << 30
"""Patch 8: what is destroyed of a guest before the thread takes over, in bytes."""

SEGMENT_TABLE = 2 << 30
"""Guests up to this size have two levels of page tables: the top-level table is a segment table."""

ALLOCATIONS = ("deferred_priv", "top-level table", "kthread", "list page")
"""Allocations of the kernel that can be told to fail."""

CLEAN_UP = "clean-up thread"

_LOWCORE_PAGES = 2

_UV_STORAGE = {"uv_base_stor_len": 1 << 20, "uv_base_stor_align": PAGE_SIZE}
"""The Ultravisor's own storage: less than a real one wants, and at any page, so that a small host has room for it."""

_SMALL_STORAGE = {
    "uv_base_stor_len": PAGE_SIZE,
    "conf_base_phys_stor_len": PAGE_SIZE,
    "conf_base_virt_stor_len": PAGE_SIZE,
    "conf_virt_var_stor_len": 0,
    "cpu_stor_len": PAGE_SIZE,
}
"""Donated storage of a machine of a handful of pages: one page each."""


@dataclass(frozen=True, slots=True)
class Process:
    """A QEMU of the machine, if there are several: its address space and VM, whether it lives and its guest runs."""

    mm: Mm
    kvm: Kvm
    alive: bool
    guest_up: bool


@dataclass(slots=True)
class Life:
    """When a secure configuration was created, ended, set aside and destroyed: nanoseconds of the machine.

    It ends when its guest is reset, or its process exits; it is set aside when its VM lets go of it and it is still
    there. `donated` is what it holds then: pages of base and variable storage.
    """

    created: int
    ended: int | None = None
    set_aside: int | None = None
    destroyed: int | None = None
    donated: int = 0


class Machine:
    """A host with an Ultravisor, a kernel, and one VM.

    By hand: `boot`, `protect`, `touch`, `share`, `unshare`, `read`, `io`, `swap_out`, `reboot`, `exit` (`kill` begins
    it), `start_process`, `start_another`, `turn_to`, `step`, `run`, `show`.

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
    lazy_destroy : bool, optional
        Patch 10's parameter.
    features : iterable or str
        The Ultravisor's feature bits, such as "misc".
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
    ultravisor : dict
        Further arguments for `Ultravisor`, such as ``{"destroy_needs_no_cpus": False}``.
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
        features: Any = (),
        process_memory: int | str = 0,
        destroy_loop_threshold: int = DESTROY_LOOP_THRESHOLD,
        list_page_capacity: int = PV_MAX_LAZY_COUNT,
        low_memory: int | str = LOW_MEMORY,
        segment_table: int | str = SEGMENT_TABLE,
        donated_from: int | str = 0,
        reserve: int = 0,
        swap: int | str = 0,
        small_storage: bool = True,
        ultravisor: dict[str, Any] | None = None,
        tabled: bool = True,
        windows: bool = True,
    ) -> None:
        kernel = self.default_kernel if kernel is None else kernel
        if not isinstance(kernel, Series):
            raise ValueError(f"kernel={units.shown(kernel)}: use a kernel such as ld.series.v1 or ld.series.v1.upto(0)")
        vcpus = units.whole_number(vcpus, "vcpus", 1, 248)
        if costs is not None and not isinstance(costs, Costs):
            raise ValueError(f"costs={units.shown(costs)}: use ld.Costs(...), such as ld.Costs(destroy='1.5 us')")
        if lazy_destroy is not None and 10 not in kernel:
            raise ValueError(
                f"lazy_destroy={units.shown(lazy_destroy)}: {kernel!r} does not have the module parameter "
                "(patch 10); leave it None"
            )
        if lazy_destroy is not None:
            lazy_destroy = units.flag(lazy_destroy, "lazy_destroy")
        small_storage, tabled, windows = (
            units.flag(value, name)
            for name, value in (("small_storage", small_storage), ("tabled", tabled), ("windows", windows))
        )
        reserve = units.whole_number(reserve, "reserve", 0, 1 << 40)
        features = _features(features)
        self.guest_len = units.size(guest, "guest", multiple_of=PAGE_SIZE)
        self.process_len = units.size(process_memory, "process_memory", multiple_of=PAGE_SIZE, zero=True)
        self.costs = Costs() if costs is None else costs
        self.destroy_loop_threshold = _at_least_one(destroy_loop_threshold, "destroy_loop_threshold")
        self.low_pages = units.size(low_memory, "low_memory", multiple_of=PAGE_SIZE, zero=True) >> PAGE_SHIFT
        self.segment_table_pages = (
            units.size(segment_table, "segment_table", multiple_of=PAGE_SIZE, zero=True) >> PAGE_SHIFT
        )
        options = {**_UV_STORAGE, **(_SMALL_STORAGE if small_storage else {}), **_ultravisor_options(ultravisor)}
        try:
            sizes = Ultravisor(memory=Memory(1), costs=self.costs, **options)
        except (TypeError, ValueError) as error:
            raise ValueError(f"ultravisor={units.shown(ultravisor)}: {error}") from None
        if self.guest_len > sizes.max_guest_stor_addr:
            raise ValueError(
                f"guest={units.shown(guest)}: more than this Ultravisor supports; use at most "
                f"{exact_size(sizes.max_guest_stor_addr)}"
            )
        self.guest_pages, self.process_pages = self.guest_len >> PAGE_SHIFT, self.process_len >> PAGE_SHIFT
        storage = self._storage(sizes, vcpus)
        needed = self.guest_len + self.process_len + storage
        if host_memory is None:
            host_len = 2 * needed
        else:
            host_len = units.size(host_memory, "host_memory", multiple_of=PAGE_SIZE)
            if host_len < needed:
                raise ValueError(
                    f"host_memory={format_size(host_len)!r}: too little; a guest of {format_size(self.guest_len)} "
                    f"needs at least {exact_size(needed)} with what the process and the Ultravisor take"
                )
        if host_len > _SURELY_THERE:
            require_memory(host_len >> PAGE_SHIFT, f"a machine with a host of {format_size(host_len)}")
        self.memory = Memory(host_len >> PAGE_SHIFT)
        self.donated_from = min(units.size(donated_from, "donated_from", zero=True), host_len - storage)
        self.engine = Engine(self.memory, tabled, windows, reserve)
        self.uv = _Ultravisor(
            features=features,
            memory=self.memory,
            costs=self.costs,
            observer=self._called,
            donated_from=0,
            **options,
        )
        self.events: list[Event] = []
        self.names: dict[int, str] = {}
        self.old: set[int] = set()
        self.lives: dict[int, Life] = {}
        self.time_zero = 0
        self.alive = True
        self.guest_up = False
        self.threads = 0
        self._warned: set[str] = set()
        self._injected: dict[str, int] = {}
        self._log: list[str] = []
        self._raised: list[Interruption] = []
        self._saw = ""
        self.vcpu_tasks: list[Task] = []
        self.swap_pages = units.size(swap, "swap", multiple_of=PAGE_SIZE, zero=True) >> PAGE_SHIFT
        self.swap_hand = -1
        self.oom_wait_ns = 0
        self.swapped = 0
        self.gmaps: list[Gmap] = []
        self.kernel = kernel.kernel(self, lazy_destroy)
        self.series = kernel
        self.list_page_capacity = _at_least_one(list_page_capacity, "list_page_capacity")
        self.vcpus = vcpus
        self.processes = 0
        self._initialise_ultravisor()
        self.kernel.start()
        self._create_process()

    def _storage(self, uv: Ultravisor, vcpus: int) -> int:
        """Bytes that the Ultravisor and the VM take beside the guest's memory."""
        donated = uv.uv_base_stor_len + uv.conf_base_phys_stor_len + vcpus * uv.cpu_stor_len
        kernel_pages = _LOWCORE_PAGES + 2 * CRST_PAGES + 1 + vcpus
        return donated + uv.variable_storage(self.guest_len) + kernel_pages * PAGE_SIZE

    # How it is put together

    def _initialise_ultravisor(self) -> None:
        storage = self.allocate_donation(self.uv.uv_base_stor_len)
        assert storage is not None, "the size of the host was checked"
        self.uv.call(uv_cb_init(stor_origin=storage[0] << PAGE_SHIFT, stor_len=self.uv.uv_base_stor_len))

    def _create_process(self) -> None:
        """QEMU: an address space whose guest memory begins at a fixed frame, and a VM."""
        memory, base = self.memory, _LOWCORE_PAGES
        self.processes += 1
        number = self.processes
        context = MmContext(
            memory, is_protected=0, pv_sync_destroy=0, deferred_list=DeferredList(memory, self.list_page_capacity)
        )
        self.mm = Mm(
            memory,
            number=number,
            mm_users=1,
            mm_count=2,
            mmap_lock=Lock("mmap_lock"),
            guest=Table(memory, number, base, self.guest_pages),
            process=Table(memory, number, base + self.guest_pages, self.process_pages),
            swap={},
            freed=False,
            on_use=lambda what: self.event("use after free", f"{what} of a freed mm"),
            _context=context,
        )
        self._map_process_memory()
        gmap = self.kernel.gmap_create(self.mm)
        sca = memory.find_run(1)
        self._need(gmap is not None and sca is not None, "the host has no memory left for another VM")
        assert gmap is not None and sca is not None
        self.take(sca, 1, Content.HOST)
        self.kvm = Kvm(
            memory,
            mm=self.mm,
            gmap=gmap,
            pv=Pv(memory, handle=0, guest_len=0, stor_base=NO_STORAGE, stor_var=NO_STORAGE),
            vcpus=[],
            lock=Lock("kvm->lock"),
            sca=sca,
            guest_len=self.guest_len,
        )
        for number in range(self.vcpus):
            sie_block = memory.find_run(1)
            self._need(sie_block is not None, "the host has no memory left for another VM")
            assert sie_block is not None
            self.take(sie_block, 1, Content.HOST)
            self.kvm.vcpus.append(
                Vcpu(memory, vcpu_id=number, kvm=self.kvm, handle=0, stor_base=NO_STORAGE, sie_block=sie_block)
            )
        self.alive = True

    def _map_process_memory(self) -> None:
        """QEMU's own pages, at their home frames; elsewhere where these are not free."""
        memory, table = self.memory, self.mm.process
        used = Record(content=Content.HOST, refs=1, holder=Holder.MAPPED, mm=self.mm.number, charged=True)
        if not table.pages:
            return
        if all(record.holder == Holder.FREE for record in memory.records(table.base, table.pages)):
            memory.change(lambda record: used._replace(state=record.state, owner=record.owner), table.base, table.pages)
            return
        for entry in range(table.pages):
            pfn = memory.allocate(prefer=table.slot(entry))
            self._need(pfn is not None, "the host has no memory left for another process")
            assert pfn is not None
            table.point(entry, pfn)
            memory.set_record(pfn, used)

    # What the kernel asks of the machine it runs on

    def take(self, first: int, pages: int, content: Content) -> None:
        """Use free frames for the kernel's own ends, or to donate them.

        The kernel writes to them. One that was freed while secure raises 0x3D again and again.
        """
        for record in self.memory.records(first, pages):
            if record.state != State.NON_SECURE:
                self.event("endless fault", f"0x3D in the kernel, at a frame from {first:#x} on that is still secure")
        self.memory.change(
            lambda record: record._replace(content=content, content_of=0, refs=1, holder=Holder.DONATED), first, pages
        )

    def give_back(self, first: int, pages: int) -> None:
        """Free frames that were taken."""
        self.memory.change(
            lambda record: record._replace(arch_1=False, refs=0, holder=Holder.FREE, mm=0, charged=False), first, pages
        )

    def allocate_donation(self, length: int) -> tuple[int, int] | None:
        """Frames to donate, contiguous: the first one and how many. None if there are none."""
        pages = length >> PAGE_SHIFT
        first = self.memory.find_run(pages, lowest=max(_LOWCORE_PAGES, self.donated_from >> PAGE_SHIFT))
        if first is None:
            self.event("refused", f"nowhere are {units.format_count(pages)} pages free, in a row, to be donated")
            return None
        self.take(first, pages, Content.HOST)
        return first, pages

    def leak(self, first: int, pages: int, what: str) -> None:
        """Frames that are never used again. Those that have leaked before are not told a second time."""
        records = self.memory.records(first, pages)
        new = sum(count for record, count in records.items() if record.holder != Holder.LEAKED)
        if not new:
            return
        self.event("leak", f"{what}: {units.format_count(new)} page{'s' if new != 1 else ''}")
        self.memory.change(lambda record: record._replace(holder=Holder.LEAKED), first, pages)

    def leak_page(self, page: Page, what: str) -> None:
        """A page that nobody will use again; the first of its kind is an event."""
        self._once("leak", what, f"{what} is leaked")
        page.holder = Holder.LEAKED

    def event(self, kind: str, text: str) -> None:
        """Log something."""
        self.memory.context_changed()
        actor = self.engine.current.name if self.engine.current is not None else "by hand"
        self.events.append(Event(self.engine.now - self.time_zero, kind, actor, text))

    def _once(self, kind: str, key: str, text: str) -> None:
        if key not in self._warned:
            self.event(kind, text)
            self._warned.add(key)

    def warn(self, text: str) -> None:
        """``WARN``."""
        self.event("warning", text)

    def warn_once(self, place: str, text: str) -> None:
        """``WARN_ONCE``: only the first time at this place."""
        self._once("warning", place, text)

    def bug(self, text: str) -> None:
        """``BUG``: the kernel stops."""
        self.event("bug", text)
        self._stop_current()

    def refused(self, uvcb: Any, text: str) -> None:
        """The Ultravisor refused something that userspace will hear of."""
        header = uvcb.header
        self.event("refused", f"{text} (rc {header.rc:#x}, rrc {header.rrc:#x})")

    def signal(self, name: str, text: str, kvm: Kvm | None = None) -> None:
        """A signal that ends the process, and with it the VM."""
        self.event("signal", f"{name}: {text}")
        self.kill()

    def addressing_exception(self, kvm: Kvm, gaddr: int) -> None:
        """KVM injects an addressing exception into the guest: its loader cannot go on."""
        self.event("addressing exception", f"injected into the guest at {gaddr:#x}: it stops")
        self.guest_up = False
        self._stop_vcpus()
        self._stop_current()

    def endless_fault(self, page: Page) -> None:
        """The access faults again and again: reported once, and the task goes no further."""
        self.event(
            "endless fault", f"0x3D at frame {page.pfn:#x}, which no handler resolves: the access is retried for ever"
        )
        self._stop_current()

    def out_of_memory(self) -> None:
        """A page fault found no free page."""
        self.event("oom", "no page is free for a page fault of the guest")
        self.kill()

    def may_swap(self, mm: Mm) -> bool:
        """Whether there is room in the swap space, and anything of an address space that could be written there."""
        if len(mm.swap) >= self.swap_pages:
            return False
        return any(record.holder == Holder.MAPPED and record.mm == mm.number for record in self.memory.records())

    def injected(self, what: str) -> bool:
        """Whether an allocation was told to fail (see `fail_allocation`)."""
        left = self._injected.get(what, 0)
        if left:
            self.memory.context_changed()
            self._injected[what] = left - 1
        return bool(left)

    def fail_allocation(self, what: str, times: int = 1) -> None:
        """Let the kernel's next `times` allocations of "deferred_priv", "top-level table" or "kthread" fail.

        So can an allocation of a "list page" (patch 9).
        """
        what, times = units.one_of(what, ALLOCATIONS, "what"), units.whole_number(times, "times", 0)
        self.memory.context_changed()
        self._injected[what] = times

    def running_handle(self, kvm: Kvm) -> int:
        """The configuration whose CPUs run the guest; 0 while it runs as a normal guest."""
        return kvm.pv.handle if kvm.vcpus[0].handle else 0

    def start_thread(self, flow: Flow) -> Task:
        """Start a kernel thread."""
        self.threads += 1
        return self.engine.spawn(flow, CLEAN_UP if self.threads == 1 else f"{CLEAN_UP} {self.threads}")

    def _called(self, cmd: UVC | int, outcome: str, ns: int) -> None:
        """Observes every Ultravisor Call."""
        self.engine.called(cmd, outcome, ns)
        if self.memory.learning:
            return
        self._log.append(
            f"{cmd.name if isinstance(cmd, UVC) else hex(cmd)}" + ("" if outcome == "done" else f" ({outcome})")
        )
        if cmd == UVC.CREATE_SEC_CONF:
            for handle in self.uv.configurations.keys() - self.lives.keys():
                self.lives[handle] = Life(created=self.engine.now)
                self.names[handle] = _name(len(self.names))
        elif cmd == UVC.DESTROY_SEC_CONF:
            for handle in self.lives.keys() - self.uv.configurations.keys():
                life = self.lives[handle]
                life.destroyed = self.engine.now if life.destroyed is None else life.destroyed

    @property
    def destroyed_at(self) -> int | None:
        """When the last of the configurations that have ended was destroyed. None: there is none, or one is left."""
        ends = [life.destroyed for handle, life in self.lives.items() if handle in self.old]
        return max((end for end in ends if end is not None), default=None) if None not in ends else None

    # Ends

    def _stop_current(self) -> None:
        """End the task that acts, if it is in a page step; a flow that calls this returns by itself."""
        if self.engine.current is not None and self.engine.current.progress is not None:
            self.engine.kill(self.engine.current)

    def _stop_vcpus(self) -> None:
        for task in self.vcpu_tasks:
            self.engine.kill(task)

    def kill(self) -> None:
        """End the process: its vCPUs stop, and it exits as a task of its own."""
        if not self.alive:
            return
        self.memory.context_changed()
        self.alive = self.guest_up = False
        now = self.engine.now
        self._stop_vcpus()
        self._stop_current()
        self.engine.spawn(self.exiting(), "QEMU exits", now)

    # What userspace does

    def protecting(self, first: int, pages: int) -> Flow:
        """QEMU on diagnose 0x308, subcode 10: make the VM protected. `first`, `pages`: where its image lies."""
        kernel, kvm = self.kernel, self.kvm
        self.engine.doing("makes the guest protected")
        if (yield from kernel.kvm_pv_enable(kvm)):
            return False
        if (yield from kernel.kvm_pv_set_sec_parms(kvm, kvm.sca << PAGE_SHIFT, PAGE_SIZE)):
            return False
        self.engine.doing("unpacks the image")
        if (yield from kernel.kvm_pv_unpack(kvm, first, pages)):
            return False
        return not (yield from kernel.kvm_pv_verify(kvm))

    def resetting(self) -> Flow:
        """QEMU on a reset of the guest: ``KVM_PV_DISABLE`` if it is protected. Afterwards it starts as a normal one."""
        if not self.kvm.pv.handle:
            return Answer()
        self.set_aside_running()
        answer: Answer = yield from self.kernel.kvm_pv_disable(self.kvm)
        self._let_go()
        if answer.rc == 1 and answer.rrc == 42:
            self.event("userspace", "KVM_PV_DISABLE answers rc 1, rrc 42: the rest is done in the background")
        return answer

    def exiting(self) -> Flow:
        """The process ends: its address space, then its file descriptors, the VM's among them."""
        self.alive = False
        self.set_aside_running()
        yield from self.kernel.mmput(self.mm)
        yield from self.kernel.kvm_arch_destroy_vm(self.kvm)
        self._let_go()

    def set_aside_running(self) -> None:
        """From now on the running configuration's pages count as old, as not yet clean."""
        if self.kvm.pv.handle:
            self.old = {*self.old, self.kvm.pv.handle}
            self.memory.old = self.old
            life = self.lives[self.kvm.pv.handle]
            if life.ended is None:
                life.ended, life.donated = self.now, self.kvm.pv.stor_base[1] + self.kvm.pv.stor_var[1]

    def _let_go(self) -> None:
        """The VM is done with its old configurations: those that are still there have been set aside."""
        for handle in self.old & self.uv.configurations.keys():
            life = self.lives[handle]
            if life.set_aside is None and handle != self.kvm.pv.handle:
                life.set_aside = self.now

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
                    raise RuntimeError(f"{name} waits, and nobody else can act")
            else:
                engine.step(task)
        else:
            engine.kill(task)
            self.event("endless fault", f"{name} does not come to an end")
        return task.value

    @property
    def now(self) -> int:
        """Nanoseconds since the machine was made: the clock of whoever acted last."""
        return self.engine.now

    @property
    def tasks(self) -> list[Task]:
        """Those that have something to do."""
        return [task for task in self.engine.tasks if task.alive]

    def start_process(self) -> None:
        """Start QEMU anew, with a new VM, once the last one has exited. What that one left behind is still there.

        Raises
        ------
        RuntimeError
            If the last process has not exited, or the host has no memory for another.
        """
        self._need(not self.alive, "the process is still there: exit() first")
        self._need(self.kvm.gmap not in self.gmaps, "the process is still exiting: run() first")
        self._create_process()

    def start_another(self) -> Process:
        """Start another QEMU, with a VM of its own, beside the one that is there.

        What is done by hand is done to the new one from now on. Returns the one before, for `turn_to`.
        """
        before = Process(self.mm, self.kvm, self.alive, self.guest_up)
        self.guest_up = False
        self._create_process()
        return before

    def turn_to(self, process: Process) -> Process:
        """Do to another process what is done by hand from now on. Returns the one before."""
        if not isinstance(process, Process):
            raise ValueError(f"process={units.shown(process)}: use what start_another() or turn_to() returned")
        before = Process(self.mm, self.kvm, self.alive, self.guest_up)
        self.memory.context_changed()
        self.mm, self.kvm, self.alive, self.guest_up = process.mm, process.kvm, process.alive, process.guest_up
        return before

    def boot(self) -> None:
        """Start the guest, as a normal one."""
        self._need(self.alive, "the process has exited")
        self.guest_up = True

    def protect(self, image: int = 1) -> str:
        """Let the guest go protected; its image has `image` pages from page 0 up. Returns its name."""
        self._need(self.guest_up, "the guest is not running: boot() first")
        self._need(not self.kvm.pv.handle, "the guest is protected already")
        image = units.whole_number(image, "image", 1)
        self._need(
            len(self.memory.records()) <= _KINDS,
            f"the guest could not be made protected: {len(self.uv.configurations)} configurations are there, and the "
            "model cannot tell apart the pages of more; run() lets the clean-up threads destroy old ones",
        )
        self.uv.refused, logged = "", len(self.events)
        if not self._do(self.protecting(0, min(image, self.guest_pages)), "QEMU"):
            why = self.uv.refused or ", ".join(event.text for event in self.events[logged:]) or "it was stopped"
            self._need(False, f"the guest could not be made protected: {why}")
        return self.names[self.kvm.pv.handle]

    def touch(self, page: int) -> Access:
        """Let the guest touch one of its pages."""
        self._need(self.guest_up, "the guest is not running: boot() first")
        page = self._number(page)
        return self._access("vCPU", page, self._visiting(page))

    def _visiting(self, page: int) -> Flow:
        self._saw = ""
        yield visit(self.mm.guest, page, 1, step(self.kernel.guest_access, self.kvm), lock=self.mm.mmap_lock)
        return self._saw

    def read(self, page: int, as_: str = "host") -> Access:
        """Let the host read a guest's page: as "host" (userspace), "kernel", or "io"."""
        if not isinstance(as_, str) or as_ not in ("host", "kernel", "io"):
            raise ValueError(f"as_={units.shown(as_)}: use 'host', 'kernel' or 'io'; touch() is the guest itself")
        page = self._number(page)
        return self._access(as_, page, self.reading(self._frame(page), as_))

    def io(self, page: int) -> Access:
        """Let a device read a guest's page: the kernel makes it accessible first."""
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
        """Let the guest open one of its pages to the host (UVC 0x1000)."""
        self._guest_call(self.uv.share, page, "share")

    def unshare(self, page: int) -> None:
        """Let the guest close a page that it shared (UVC 0x1001)."""
        self._guest_call(self.uv.unshare, page, "unshare")

    def _guest_call(self, call: Any, page: int, name: str) -> None:
        page = self._number(page)
        handle = self.running_handle(self.kvm)
        self._need(handle, f"only a protected guest can {name} pages: protect() first")
        self._frame(page)
        pinned = self.memory.record(self.mm.guest.slot(page)).pinned
        self._need(not pinned or name == "share", f"page {page} is pinned: the host still uses it for I/O")
        with _told_apart():
            cc = call(handle, page << PAGE_SHIFT)
        self._need(cc == 0, f"page {page} cannot be {name}d: it is not the guest's own; let it touch() the page first")

    def swap_out(self, page: int) -> bool:
        """Let the host write a page to swap and use its frame for something else. False if it cannot."""
        page = self._number(page)
        self._frame(page)
        return self.kernel.swap_out(self.mm, page << PAGE_SHIFT)

    def reboot(self) -> None:
        """Reset the guest: it starts again as a normal one. A clean-up thread, if any, has not begun yet."""
        self._need(self.guest_up, "the guest is not running: boot() first")
        self._do(self.resetting(), "QEMU")

    def exit(self) -> None:
        """End the process. A clean-up thread, if any, goes on when you step() or run()."""
        self._need(self.alive, "the process has exited")
        self.guest_up = False
        self._do(self.exiting(), "QEMU")

    def step(self, task: Task | None = None) -> str:
        """Let the clean-up thread, or `task`, do one step. Says what happened."""
        if task is not None and not (isinstance(task, Task) and task in self.engine.tasks):
            raise ValueError(f"task={units.shown(task)}: use one of m.tasks, or None")
        if task is None and not self.tasks:
            return "nothing left to do"
        self._log.clear()
        with _told_apart():
            acted = self.engine.step(task)
        if acted is None:
            return "nobody can act: " + ", ".join(f"{waiting.name} waits" for waiting in self.tasks)
        return f"{acted.name}{self._where()}: {', '.join(self._log) or 'walks on'}"

    def _where(self) -> str:
        """Which page of the guest the last step worked on, if it worked on one."""
        frame = self.engine.at_frame
        for page in range(self.guest_pages):
            if frame is not None and self.mm.guest.slot(page) == frame:
                return f", page {page}"
        return ""

    def run(self) -> None:
        """Let everything that is under way come to its end."""
        with _told_apart():
            self.engine.run()

    def observe(self, accessor: str, page: int, flow: Flow) -> Access:
        """Let somebody do something about a guest's page, and tell what came of it; the flow returns what it read."""
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
            raise ValueError(f"page={page}: set aside; it is in no address space, so nobody can name it")
        if present and not self.kernel.pte_present(self.mm, view):
            raise ValueError(f"page={page}: not present; nobody has touched it yet, or it is swapped out")
        return view

    def _need(self, condition: object, text: str) -> None:
        if not condition:
            raise RuntimeError(text)

    # To look at

    def name(self, handle: int) -> str:
        """The letter of a secure configuration; "host" for none."""
        if handle == 0:
            return "host"
        return self.names.get(handle, "Ultravisor" if handle < 0 else _name(0))

    def describe(self, record: Record) -> str:
        """What a page holds, in words."""
        kinds = {
            Content.ZERO: "zeros",
            Content.HOST: "host data",
            Content.PLAINTEXT: f"plaintext of {self.name(record.content_of)}",
            Content.CIPHERTEXT: f"ciphertext of {self.name(record.content_of)}",
        }
        return kinds[record.content]

    def rows(self) -> list[dict[str, Any]]:
        """The guest's pages, one dict each."""
        return showing.rows(self)

    def show(self) -> str:
        """The guest's pages as a table of text; equal pages of a guest of more than 50 are one row together."""
        return showing.text(self)

    __repr__ = show

    def __reduce_ex__(self, protocol: object) -> Any:
        """Refuse `copy` and `pickle`."""
        return _not_to_be_copied(self)

    def _repr_html_(self) -> str:
        return showing.html(self)


_SURELY_THERE = 4 << 30
"""Hosts up to this size, whose records take a megabyte, are made without a look at this computer's memory."""

_KINDS = 240
"""Kinds of page (`Record`) in use up to which another configuration is made: the core tells 256 apart."""

_PATIENCE = 100_000
_PATIENCE_A_PAGE = 20
"""Steps after which what is done by hand is taken to be endless."""


def _name(place: int) -> str:
    """A, B, ... Z, A1, B1, ..."""
    letter = chr(ord("A") + place % 26)
    return letter if place < 26 else f"{letter}{place // 26}"


def _at_least_one(value: Any, name: str) -> int:
    return units.whole_number(value, name, 1, 1 << 20)


def _features(features: Any) -> str | tuple[str | int, ...]:
    """Feature bits, read to the end: an iterator serves one Ultravisor only."""
    entries = units.plain(features, "features")
    if isinstance(entries, bytes | bytearray | Series) or not isinstance(entries, Iterable):
        entries = (features,)
    bits = (entries,) if isinstance(entries, str) else tuple(entries)
    if not all(bit == "misc" if isinstance(bit, str) else type(bit) is int and 0 <= bit < 64 for bit in bits):
        accepted = "use bit numbers 0 to 63, or the name 'misc' (bit 0), several in a tuple"
        raise ValueError(f"features={units.shown(features)}: {accepted}")
    return bits


def _ultravisor_options(options: Any) -> dict[str, Any]:
    """Further arguments for `Ultravisor`, but for those that the machine gives it itself."""
    known = inspect.signature(Ultravisor).parameters.keys() - _GIVEN
    if options is None:
        return {}
    if not isinstance(options, Mapping) or not options.keys() <= known:
        accepted = ", ".join(sorted(known))
        raise ValueError(f"ultravisor={units.shown(options)}: use a dict with some of the names {accepted}")
    return {str(name): units.plain(value, str(name)) for name, value in options.items()}


_GIVEN = {"host_memory", "features", "memory", "costs", "observer", "donated_from"}


@contextmanager
def _told_apart() -> Iterator[None]:
    """What is done by hand may make more kinds of page than one byte can tell apart."""
    try:
        yield
    except OverflowError as error:
        raise RuntimeError(
            f"the machine cannot go on: {error}, and the model cannot tell apart more; make another ld.Machine, with "
            "fewer guests at a time"
        ) from None


class _Ultravisor(Ultravisor):
    """An Ultravisor that remembers which call on the way to a protected guest it has refused last."""

    refused = ""

    def call(self, uvcb: Any) -> int:
        """Execute a call; see `Ultravisor.call`."""
        cc = super().call(uvcb)
        if cc == UVC_CC_ERROR and uvcb.header.cmd in _PROTECTING:
            rc, rrc = uvcb.header.rc, uvcb.header.rrc
            self.refused = f"{UVC(uvcb.header.cmd).name} was refused (rc {rc:#x}{f', rrc {rrc:#x}' if rrc else ''})"
        return cc


_PROTECTING = (
    UVC.CREATE_SEC_CONF,
    UVC.CREATE_SEC_CPU,
    UVC.SET_SEC_CONF_PARAMS,
    UVC.UNPACK_IMG,
    UVC.VERIFY_IMG,
)


def _not_to_be_copied(thing: object) -> Any:
    name = type(thing).__name__.strip("_")
    raise TypeError(
        f"{'an' if name[0] in 'AEIOU' else 'a'} {name} cannot be copied or pickled: its parts refer to each other and "
        "to memory outside of Python; make another ld.Machine with the same arguments, and do the same to it"
    )


_PARTS = (DeferredList, Engine, Gmap, Kvm, Lock, Memory, Mm, MmContext, Pv, Table, Task, Ultravisor, _Ultravisor, Vcpu)

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
