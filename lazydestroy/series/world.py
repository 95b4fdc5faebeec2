"""A machine of a few pages, what may happen to it, and what must hold whatever happens.

The kernel that runs here is the kernel that runs everywhere else: a `World` steps its tasks from one waiting point to
the next, in whatever order it is told. `lazydestroy.series.check` tries all orders.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..costs import Costs
from ..kernel.gmap import CRST_PAGES
from ..kernel.structs import Answer, DeferredPriv, Vcpu
from ..page import PAGE_SHIFT, PAGE_SIZE, Content, Holder, Record, State
from ..units import format_count
from ..uvcb import UVC
from .layer import Series

if TYPE_CHECKING:
    from .._core import Task
    from ..run import Event

Action = tuple[Any, ...]
"""What happens next: its name, and what it is about. ("step", n) lets task n go on."""

Listener = Callable[[str], object]
"""What is called with the name of who has acted."""

CLEAN_UP = "clean-up thread"

FAILURES = ("DESTROY_SEC_CONF", "DESTROY_SEC_CPU", "deferred_priv", "top-level table", "kthread", "list page")
"""What can be told to fail, once in a trace: the Ultravisor Call, or an allocation of the kernel."""

START_FAILURES = ("SET_SEC_CONF_PARAMS",)
"""What can be told to fail when a guest goes protected; not by default. QEMU then ends the configuration again
(``s390_machine_protect`` in hw/s390x/s390-virtio-ccw.c), and the guest goes on as a normal one."""

_COSTS = Costs()

_PACKAGE = str(Path(__file__).parent.parent)
_EXERCISES = str(Path(_PACKAGE) / "exercises" / "patches")

_OF_A_PROCESS = CRST_PAGES + 1
"""Pages that the kernel takes for a VM, beside one for each vCPU: the top-level table and the system control area."""

_REFUSED = ("DESTROY_SEC_CONF", "DESTROY_SEC_CPU")
"""Failures after which a configuration stays for good: the kernel warns, and leaks what was donated for it."""

HELD = (State.SECURE, State.SHARED)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How large a machine is searched, and what may happen on it.

    Attributes
    ----------
    pages : int
        Pages of the guest. The boot image is page 0.
    low_pages : int
        How many of them are "the first 2 GiB", which patch 8 destroys in the foreground.
    vcpus : int
        vCPUs, and so accesses of the guest that may be under way at once.
    configurations : int
        How often a guest may go protected.
    resets : int
        How often it may be reset.
    failures : tuple of str
        Which of `FAILURES` and `START_FAILURES` may happen: one of them, once. By default the former.
    host : tuple of str
        What the host does with the guest's pages: "io", "swap".
    sharing : bool
        Whether a guest shares pages.
    image_loaded : bool
        The boot image is in memory before a guest goes protected: its loader has touched page 0. If not, it is unpacked
        onto whatever is there.
    lazy_destroy, features, segment_table, destroy_needs_no_cpus
        As for `Machine` and `Ultravisor`. By default the guest has more than two levels of page tables.
    """

    pages: int = 2
    low_pages: int = 0
    vcpus: int = 1
    configurations: int = 2
    resets: int = 1
    failures: tuple[str, ...] = FAILURES
    host: tuple[str, ...] = ()
    sharing: bool = True
    image_loaded: bool = True
    lazy_destroy: bool | None = None
    features: tuple[str, ...] = ()
    segment_table: int | str = 0
    destroy_needs_no_cpus: bool = True


class World:
    """A machine of a few pages, and what can happen to it.

    Parameters
    ----------
    kernel : Series
    bounds : Bounds

    Attributes
    ----------
    machine : Machine
    wrong : str
        What no longer holds; empty as long as all does.
    line : str
        Where Python raised an error in a layer that is not ours: that line of code.
    """

    def __init__(self, kernel: Series, bounds: Bounds) -> None:
        from ..machine import Machine  # the machine knows the series

        self.bounds = bounds
        self.machine = Machine(
            bounds.pages * PAGE_SIZE,
            kernel=kernel,
            costs=_COSTS,
            host_memory=(bounds.pages + 24 + 16 * bounds.configurations) * PAGE_SIZE,
            vcpus=bounds.vcpus,
            lazy_destroy=bounds.lazy_destroy,
            features=bounds.features,
            destroy_loop_threshold=1,
            list_page_capacity=1,
            low_memory=bounds.low_pages * PAGE_SIZE,
            segment_table=bounds.segment_table,
            ultravisor={"destroy_needs_no_cpus": bounds.destroy_needs_no_cpus},
            tabled=False,
            windows=False,
        )
        self.configurations = self.resets = 0
        self.failed = ""
        self.written: frozenset[int] = frozenset()
        self.accesses: dict[int, int] = {}
        self.busy: Task | None = None
        self.heard = 0
        self.wrong = self.line = ""
        self.machine._log = _Calls()
        self.kernel_pages = self._kernel_pages()
        self.machine.boot()

    # What can happen

    def actions(self) -> list[Action]:
        """All that can happen next."""
        machine, bounds = self.machine, self.bounds
        tasks = machine.tasks
        found: list[Action] = [("step", task.index) for task in tasks if not task.asleep]
        if not machine.guest_up or (self.busy is not None and self.busy.alive):
            return found
        pages = range(bounds.pages)
        if len(self.accesses) < bounds.vcpus:
            found += [("touch", page) for page in pages]
        handle = machine.running_handle(machine.kvm)
        records = [machine.memory.record(machine.mm.guest.slot(page)) for page in pages]
        if handle and bounds.sharing:
            found += [
                ("share", page)
                for page, record in enumerate(records)
                if record.state == State.SECURE and record.owner == handle and self._present(record)
            ]
        if handle and self.resets < bounds.resets:
            found += [("reset", ""), *(("reset", failure) for failure in self._failures())]
        loaded = self._present(records[0]) and records[0].state == State.NON_SECURE
        if not handle and self.configurations < bounds.configurations and (loaded or not bounds.image_loaded):
            found.append(("protect",))
            found += [
                ("protect", failure) for failure in START_FAILURES if failure in bounds.failures and not self.failed
            ]
        found += [("exit", ""), *(("exit", failure) for failure in self._failures())]
        present = [page for page, record in enumerate(records) if self._present(record)]
        found += [("io", page) for page in present if "io" in bounds.host and records[page].state != State.NON_SECURE]
        found += [("swap", page) for page in present if "swap" in bounds.host and records[page].refs == 1]
        return found

    def _failures(self) -> Iterator[str]:
        if not self.failed and self.machine.old | {self.machine.kvm.pv.handle} != {0}:
            yield from (failure for failure in self.bounds.failures if failure in FAILURES)

    def _present(self, record: Record) -> bool:
        return record.holder == Holder.MAPPED and record.mm == self.machine.mm.number

    def act(self, action: Action, known: bool = False, listener: Listener | None = None) -> None:
        """Let something happen, and see whether all still holds. What cannot be disturbed runs on to its end.

        `known`: it has been seen before that all holds. `listener` is called after each step, with who did it.
        """
        actor = self._actor(action)
        self.machine._log.clear()
        getattr(self, f"_{action[0]}")(*action[1:])
        self._look(known)
        if listener is not None:
            listener(actor)
        while not self.wrong and (task := self._undisturbed()) is not None:
            self.machine.engine.step(task)
            self._look(known)
            if listener is not None:
                listener(task.name)

    def _actor(self, action: Action) -> str:
        """Who acts."""
        if action[0] == "step":
            return self.machine.engine.tasks[action[1]].name
        if action[0] == "touch":
            return f"vCPU {len(self.accesses)}"
        return {"share": "guest", "io": "host", "swap": "host", "exit": "QEMU exits"}.get(action[0], "QEMU")

    def _undisturbed(self) -> Task | None:
        """The task at work, if it is the only one and nothing else may happen; or one at the mere end of a loop."""
        tasks = self.machine.tasks
        if len(tasks) == 1 and not tasks[0].asleep and (not self.machine.guest_up or tasks[0] is self.busy):
            return tasks[0]
        return next((task for task in tasks if task.at_end), None)

    def _step(self, index: int) -> None:
        self.machine.engine.step(self.machine.engine.tasks[index])

    def _touch(self, page: int) -> None:
        machine = self.machine
        task = machine.engine.spawn(machine._visiting(page), f"vCPU {len(self.accesses)}", machine.now)
        machine.vcpu_tasks = [*machine.vcpu_tasks, task]
        self.accesses[task.index] = page
        machine.engine.step(task)
        machine.engine.step(task)

    def _share(self, page: int) -> None:
        self.machine.share(page)

    def _protect(self, failure: str = "") -> None:
        machine = self.machine
        self._stop_vcpus()
        self._fail(failure)
        self.configurations += 1
        self.busy = machine.engine.spawn(self._protecting(), "QEMU", machine.now)

    def _protecting(self) -> Any:
        refused = bool(self.machine.uv.faults) and self.failed in START_FAILURES
        if (yield from self.machine.protecting(0, 1)):
            self.written = frozenset({0})
        elif refused:
            yield from self.machine.resetting()
        else:
            self.wrong = self.wrong or "the guest cannot go protected"

    def _reset(self, failure: str) -> None:
        machine = self.machine
        self._stop_vcpus()
        self._fail(failure)
        self.resets += 1
        self.written = frozenset()
        self.busy = machine.engine.spawn(self._resetting(), "QEMU", machine.now)

    def _resetting(self) -> Any:
        """QEMU exits if KVM_PV_DISABLE fails (``s390_pv_cmd_exit`` in hw/s390x/pv.c)."""
        answer: Answer = yield from self.machine.resetting()
        if answer.r:
            self.accesses.clear()
            self.machine.kill()

    def _exit(self, failure: str) -> None:
        self._fail(failure)
        self.written = frozenset()
        self.accesses.clear()
        self.machine.kill()

    def _io(self, page: int) -> None:
        view = self.machine._frame(page)
        if self.machine.kernel.arch_make_page_accessible(view) or self.machine.uv.access(view) is not None:
            self.wrong = f"I/O on page {page} fails: it is secure, and the host does not know"

    def _swap(self, page: int) -> None:
        self.machine.kernel.swap_out(self.machine.mm, page << PAGE_SHIFT)

    def _fail(self, failure: str) -> None:
        if failure in _REFUSED:
            self.machine.uv.fail(UVC[failure], 0x111, times=1)
        elif failure == "SET_SEC_CONF_PARAMS":
            self.machine.uv.fail(UVC.SET_SEC_CONF_PARAMS, 0x103, times=1)
        elif failure:
            self.machine.fail_allocation(failure)
        self.failed = self.failed or failure

    def _stop_vcpus(self) -> None:
        self.machine._stop_vcpus()
        self.accesses.clear()

    # What must hold

    def _look(self, known: bool) -> None:
        self._finish_accesses()
        if known:
            self.heard = len(self.machine.events)
        else:
            self.wrong = self._said() or self.wrong or self._found()

    def _finish_accesses(self) -> None:
        machine = self.machine
        for index, page in list(self.accesses.items()):
            if not machine.engine.tasks[index].alive:
                del self.accesses[index]
                if machine.guest_up and machine.running_handle(machine.kvm):
                    self.written |= {page}

    def _said(self) -> str:
        """What a log would tell of trouble."""
        events = self.machine.events[self.heard :]
        self.heard += len(events)
        told = [event for event in events if event.kind != "userspace" and not self._expected(event)]
        return _in_words(min(told, key=lambda event: _GRAVITY.index(event.kind))) if told else ""

    def _expected(self, event: Event) -> bool:
        """A configuration that cannot be destroyed is warned about. What is leaked is counted at the end."""
        return event.kind == "leak" or (self.failed in _REFUSED and event.kind == "warning")

    def _found(self) -> str:
        """What is wrong with the state that the machine is in."""
        machine = self.machine
        for record in machine.memory.records():
            if record.holder == Holder.FREE and record.state != State.NON_SECURE:
                return f"a page is free and still {_state(record)}: whoever gets it cannot use it"
            if record.state == State.NON_SECURE and record.content == Content.PLAINTEXT:
                return "the host can read what a guest has not shared"
        for origin in machine.uv.marked:
            if machine.memory.record(origin >> PAGE_SHIFT).holder == Holder.FREE:
                return "a top-level table is free that the Ultravisor still marks: nobody else can use it"
        tasks = machine.tasks
        if tasks and all(task.asleep for task in tasks):
            return "nothing goes on: " + ", ".join(f"{task.name} waits" for task in tasks)
        if machine.guest_up and not (self.busy is not None and self.busy.alive):
            return self._guest_is_wrong()
        return "" if machine.alive or tasks else self._left_behind()

    def _guest_is_wrong(self) -> str:
        machine = self.machine
        handle = machine.running_handle(machine.kvm)
        for page in range(self.bounds.low_pages):
            record = machine.memory.record(machine.mm.guest.slot(page))
            if record.state in HELD and record.owner in machine.old and self._present(record):
                return f"page {page} may be a CPU's prefix area, and is still the old guest's when the guest runs"
        for page in self.written:
            record = machine.mm.swap.get(page) or machine.memory.record(machine.mm.guest.slot(page))
            own = record.state in HELD and record.owner == handle
            exported = (record.content, record.content_of) == (Content.CIPHERTEXT, handle)
            if not own and not exported:
                return f"the running guest's data in page {page} are lost"
        return ""

    def _left_behind(self) -> str:
        """After the end of everything."""
        machine = self.machine
        used: Counter[Holder] = Counter()
        for record, pages in machine.memory.records().items():
            used[record.holder] += pages
        if used[Holder.SET_ASIDE]:
            return f"{_pages(used[Holder.SET_ASIDE])} set aside, and nobody will ever free what is set aside"
        if used[Holder.MAPPED]:
            return "the process is gone, and its address space is never removed"
        if not machine.mm.freed:
            return "the process is gone, and its mm is never freed"
        of_a_process = _OF_A_PROCESS + self.bounds.vcpus
        leaked = used[Holder.LEAKED] + self._kernel_pages() - self.kernel_pages + of_a_process
        if leaked and self.failed not in _REFUSED:
            return f"the process is gone, and {_pages(leaked)} leaked that the kernel took for it"
        if any(not left.destroy_failed and not left.cpus for left in machine.uv.configurations.values()):
            return "the process is gone, and its secure configuration is never destroyed"
        return ""

    def _kernel_pages(self) -> int:
        """Pages that the kernel has taken for its own ends or to donate them."""
        return sum(pages for record, pages in self.machine.memory.records().items() if record.holder == Holder.DONATED)

    # Which state it is in

    def key(self) -> bytes:
        """Two worlds with equal keys have the same future."""
        from hashlib import blake2b  # a search needs it, an import of the package does not

        machine = self.machine
        mm, kvm, memory = machine.mm, machine.kvm, machine.memory
        slots = [mm.guest.slot(page) for page in range(self.bounds.pages)]
        guest = [memory.record(slot) for slot in slots]
        others = memory.records()
        for record in guest:
            others[record] -= 1
        parts: tuple[Any, ...] = (
            guest,
            [len(set(slots[:place])) for place in range(len(slots))],
            sorted((record, pages) for record, pages in others.items() if pages and _matters(record)),
            sorted(mm.swap.items()),
            (mm.mm_users, mm.mm_count, mm.freed, _lock(mm.mmap_lock), _lock(kvm.lock)),
            (mm._context.is_protected, mm._context.pv_sync_destroy),
            (mm._context.deferred_list.list_pages, mm._context.deferred_list.room, len(mm._context.deferred_list)),
            (kvm.pv.handle, kvm.gmap.guest_handle, [vcpu.handle for vcpu in kvm.vcpus], kvm.gmap.dangling),
            (
                kvm.gmap.table in kvm.gmap.crst_list,
                len(kvm.gmap.crst_list),
                machine.uv.marked.get(kvm.gmap.table << PAGE_SHIFT),
            ),
            sorted(
                (handle, configuration.phase, len(configuration.cpus), configuration.destroy_failed)
                for handle, configuration in machine.uv.configurations.items()
            ),
            [(fault.cmd, fault.handle, fault.times) for fault in machine.uv.faults],
            sorted(machine._injected.items()),
            (machine.alive, machine.guest_up, sorted(machine.old)),
            (self.configurations, self.resets, self.failed, sorted(self.written)),
            sorted(repr(self._standing(task)) for task in machine.tasks),
        )
        return blake2b(repr(parts).encode(), digest_size=16).digest()

    def _standing(self, task: Task) -> Hashable:
        """Where a task stands: in its functions, and in its loop over pages."""
        frames = []
        generator = task.generator
        while generator is not None and getattr(generator, "gi_frame", None) is not None:
            frame = generator.gi_frame
            values = sorted((name, _value(value)) for name, value in frame.f_locals.items())
            frames.append((generator.gi_code.co_name, frame.f_lasti, values))
            generator = generator.gi_yieldfrom
        following = self.machine.engine.next_step(task)
        step = None if following is None else (following[0].__name__, [_value(value) for value in following[1]])
        kind = "vCPU" if task.index in self.accesses else task is self.busy
        return kind, frames, step, task.position


def _matters(record: Record) -> bool:
    return record.holder != Holder.FREE or record.state != State.NON_SECURE


def _lock(lock: Any) -> tuple[Any, ...]:
    return lock.held, len(lock.waiting)


def _value(value: Any) -> Any:
    """What a local variable adds to the state, if it is not a structure of the machine's."""
    if isinstance(value, bool | int | str):
        return value
    if isinstance(value, DeferredPriv):
        return value.handle, value.has_mm
    if isinstance(value, Answer):
        return value.r, value.rc, value.rrc
    if isinstance(value, Vcpu):
        return value.vcpu_id
    return None


def _pages(number: int) -> str:
    return "1 page is" if number == 1 else f"{format_count(number)} pages are"


def _state(record: Record) -> str:
    return record.state.name.lower().replace("_", "-")


_GRAVITY = (
    "signal",
    "addressing exception",
    "bug",
    "use after free",
    "endless fault",
    "refused",
    "oom",
    "leak",
    "warning",
)
"""Of all that is logged at once, the first of these is told."""


def _in_words(event: Event) -> str:
    if event.kind == "signal":
        return f"the process is killed: {event.text}"
    if "no handle provided" in event.text:
        return f"{event.kind}: {event.text}: the kernel destroys a configuration that is not there"
    return f"{event.kind}: {event.text}"


def attempt(world: World, action: Action, listener: Listener | None = None) -> None:
    """Let something happen; an error in the kernel's own code, perhaps a layer that is being written, is a finding."""
    try:
        world.act(action, listener=listener)
    except Exception as error:
        name, world.line = raised_in(error)
        world.wrong = f"{name} fails with {type(error).__name__}: {error}"


def raised_in(error: Exception) -> tuple[str, str]:
    """The function of a layer that raised an error, and the line; if it was no layer, the last function and no line."""
    frames = traceback.extract_tb(error.__traceback__)
    layer = next((frame for frame in reversed(frames) if frame.line and not _is_ours(frame)), None)
    return (layer or frames[-1]).name, layer.line or "" if layer else ""


_MANY_CALLS = 1000


class _Calls(list[str]):
    """The log of Ultravisor Calls of one action. There is an end to it, also if a layer has none."""

    def append(self, call: str) -> None:
        if len(self) >= _MANY_CALLS:
            raise RuntimeError(f"{_MANY_CALLS:,} Ultravisor Calls in one step: is that a loop without an end?")
        super().append(call)


def _is_ours(frame: traceback.FrameSummary) -> bool:
    """Whether it is the kernel's or the machine's code. Answers of exercises are others', wherever they are written."""
    name = frame.filename
    return not name.endswith((".py", ">")) or (name.startswith(_PACKAGE) and not name.startswith(_EXERCISES))


__all__ = ["FAILURES", "START_FAILURES", "Action", "Bounds", "Listener", "World", "attempt", "raised_in"]
