"""A small machine as plain data: what can happen next on it, and what must hold.

`Pictures` takes a picture of a machine and answers both questions from the picture alone, so that a search can ask them
of a state without a machine that is in it. How a machine gets from one state to the next is not here: the kernel's own
code says that (`lazydestroy.series.world`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from ..kernel.gmap import CRST_PAGES
from ..kernel.structs import Answer, DeferredPriv, Vcpu
from ..page import PAGE_SHIFT, Content, Holder, Page, Record, State
from ..units import format_count
from .failures import FAILURES, failure_of

if TYPE_CHECKING:
    from .._core import Task
    from ..machine import Machine

Action = tuple[Any, ...]
"""What happens next: its name, and what it is about. ("step", n) lets task n go on."""

HELD = (State.SECURE, State.SHARED)

NOT_PRESENT = -1
"""Stands in a picture for a guest page that the guest's table does not lead to."""

_OF_A_PROCESS = CRST_PAGES + 1
"""Pages that the kernel takes for a VM, beside one for each vCPU: the top-level table and the system control area."""


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
        Which of `lazydestroy.series.failures.FAILURES` may happen: one of them, once.
    host : tuple of str
        What the host does with the guest's pages: "io", "swap". One I/O is under way at a time.
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
    failures: tuple[str, ...] = tuple(failure.name for failure in FAILURES if failure.default)
    host: tuple[str, ...] = ()
    sharing: bool = True
    image_loaded: bool = True
    lazy_destroy: bool | None = None
    features: tuple[str, ...] = ()
    segment_table: int | str = 0
    destroy_needs_no_cpus: bool = True


Role = tuple[str, int]
"""What a task is for, and the guest page that it is about (-1: none)."""

KERNEL: Role = ("kernel", -1)
"""Role of a task that the kernel started by itself, and of an exiting QEMU."""

BUSY = ("protect", "reset")
"""Roles of QEMU during which the guest does not run, and nothing else begins."""


class Story(NamedTuple):
    """What has happened so far and no kernel code can see; it decides what may still happen, and what must hold.

    `written` are the guest pages that hold data of the running protected guest.
    """

    configurations: int = 0
    resets: int = 0
    failed: str = ""
    written: tuple[int, ...] = ()

    def after(self, action: Action, ended: list[Role], handle: int) -> Story:
        """The story once `action` has been done and tasks have ended. `handle`: the configuration that then runs."""
        configurations, resets, failed, written = self
        for name, page in ended:
            if name == "vCPU" and handle:
                written = tuple(sorted({*written, page}))
            elif name == "protect" and handle:
                written = (0,)
        if action[0] == "protect":
            configurations += 1
        if action[0] == "reset":
            resets += 1
        if action[0] in ("reset", "exit"):
            written = ()
        return Story(configurations, resets, failed or failure_in(action), written)


class Standing(NamedTuple):
    """Where a task stands: its functions with their local variables, and its place in a loop over pages."""

    role: Role
    asleep: bool
    at_end: bool
    frames: tuple[Hashable, ...]
    step: Hashable
    position: Hashable


class Vm(NamedTuple):
    """The VM, as KVM sees it. `handle` is its configuration; `running` is that, too, while its CPUs run the guest."""

    handle: int
    running: int
    guest_handle: int
    cpus: tuple[int, ...]
    dangling: bool
    table_listed: bool
    tables: int


class Flags(NamedTuple):
    """Whether QEMU lives and the guest runs; and the configurations that have been ended, as far as userspace knows."""

    alive: bool
    guest_up: bool
    old: frozenset[int]


class _Uv(NamedTuple):
    """The Ultravisor, apart from what it has made of pages."""

    configurations: tuple[tuple[Any, ...], ...]
    made: tuple[int, int]
    faults: tuple[Any, ...]

    @property
    def left(self) -> bool:
        """Whether there is a configuration that could have been destroyed: one without CPUs, and not refused."""
        return any(not destroy_failed and not cpus for _, _, cpus, destroy_failed, _ in self.configurations)


class _Frames(NamedTuple):
    """All frames but those behind the guest's pages: which records there are, and how many of each."""

    records: frozenset[tuple[Record, int]]


PARTS = (
    "frames",
    "swap",
    "users",
    "count",
    "freed",
    "locks",
    "protected",
    "sync",
    "listed",
    "vm",
    "uv",
    "marks",
    "injected",
    "flags",
    "layers",
)
"""What all tasks share, in parts; the cells of a picture begin with one for each."""

FRAMES, SWAP, FREED, VM, UV, MARKS, FLAGS = map(PARTS.index, ("frames", "swap", "freed", "vm", "uv", "marks", "flags"))
PAGES = len(PARTS)
"""After the parts, a cell for each page of the guest."""


class Picture(NamedTuple):
    """A machine at one moment. Numbers stand for what `Pictures.things` has under them.

    `cells` are the `PARTS` and the guest's pages. `tasks` and `indices` are the tasks that are alive, in the order of
    their creation: where each stands, and its index in the engine of the machine. `made` tasks have been created there.
    """

    cells: tuple[int, ...]
    story: Story
    tasks: tuple[int, ...]
    indices: tuple[int, ...] = ()
    made: int = 0

    @property
    def key(self) -> Hashable:
        """Equal for pictures whose machines have the same future: the order of tasks' creation does not matter."""
        return self.cells, self.story, tuple(sorted(self.tasks))


class Pictures:
    """Takes pictures of the machines of one search, and reads them.

    Parameters
    ----------
    bounds : Bounds
    kernel_pages : int
        Pages that the kernel has taken for its own ends when the guest boots.

    Attributes
    ----------
    things : list
        What has been seen, each thing once: records of pages, standings of tasks, values of parts. Its place is its
        number.
    """

    def __init__(self, bounds: Bounds, kernel_pages: int) -> None:
        self.bounds, self.kernel_pages = bounds, kernel_pages
        self.things: list[Any] = []
        self._numbers: dict[Hashable, int] = {}
        self._flaws: dict[int, str] = {NOT_PRESENT: ""}
        self._found: dict[Hashable, str] = {}

    def number(self, thing: Hashable) -> int:
        """The number of a thing; a new one if it has not been seen before."""
        number = self._numbers.setdefault(thing, len(self.things))
        if number == len(self.things):
            self.things.append(thing)
        return number

    def within(self, bounds: Bounds) -> Pictures:
        """Takes pictures for another search of such machines; numbers stand for the same things in both."""
        other = Pictures(bounds, self.kernel_pages)
        other.things, other._numbers, other._flaws = self.things, self._numbers, self._flaws
        return other

    # Taking one

    def take(self, machine: Machine, story: Story, roles: dict[int, Role]) -> Picture:
        """A picture of a machine. `roles`: of its tasks, by their index, as far as the kernel has not started them."""
        mm, kvm, memory = machine.mm, machine.kvm, machine.memory
        others = memory.records()
        pages, places = [], {}
        for page in range(self.bounds.pages):
            slot = mm.guest.slot(page)
            record = memory.record(slot)
            if record.holder in (Holder.MAPPED, Holder.SET_ASIDE) and record.mm == mm.number:
                others[record] -= 1
                places[slot] = page
                pages.append(self.number(record))
            else:
                pages.append(NOT_PRESENT)
        where = _Where(machine, places)
        tasks = machine.tasks
        standing = tuple(self.number(_standing(task, roles.get(task.index, KERNEL), where)) for task in tasks)
        deferred, context, uv, gmap = mm._context.deferred_list, mm._context, machine.uv, kvm.gmap
        parts = (
            _Frames(frozenset((record, count) for record, count in others.items() if count and _matters(record))),
            tuple(sorted(mm.swap.items())),
            mm.mm_users,
            mm.mm_count,
            mm.freed,
            (_lock(mm.mmap_lock), _lock(kvm.lock)),
            context.is_protected,
            context.pv_sync_destroy,
            (deferred.list_pages, deferred.room, tuple(map(where.frame, deferred.frames))),
            Vm(
                kvm.pv.handle,
                machine.running_handle(kvm),
                gmap.guest_handle,
                tuple([vcpu.handle for vcpu in kvm.vcpus]),
                gmap.dangling,
                gmap.table in gmap.crst_list,
                len(gmap.crst_list),
            ),
            _Uv(
                tuple(
                    sorted(
                        (
                            handle,
                            configuration.phase,
                            len(configuration.cpus),
                            configuration.destroy_failed is not None,
                            configuration.table.origin in uv.tables,
                        )
                        for handle, configuration in uv.configurations.items()
                    )
                ),
                (uv._configurations_made, uv._cpus_made),
                tuple((fault.cmd, fault.handle, fault.times) for fault in uv.faults),
            ),
            (
                any(memory.record(origin >> PAGE_SHIFT).holder == Holder.FREE for origin in uv.marked),
                uv.marked.get(gmap.table << PAGE_SHIFT),
            ),
            tuple(sorted(item for item in machine._injected.items() if item[1])),
            Flags(machine.alive, machine.guest_up, frozenset(machine.old)),
            _plain({name: value for name, value in vars(machine.kernel).items() if name != "machine"}, where),
        )
        cells = (*map(self.number, parts), *pages)
        return Picture(cells, story, standing, tuple(task.index for task in tasks), len(machine.engine.tasks))

    # What can happen

    def actions(self, picture: Picture) -> list[Action]:
        """All that can happen next."""
        things, bounds = self.things, self.bounds
        vm: Vm = things[picture.cells[VM]]
        flags: Flags = things[picture.cells[FLAGS]]
        tasks: list[Standing] = [things[number] for number in picture.tasks]
        found: list[Action] = [
            ("step", index) for index, task in zip(picture.indices, tasks, strict=True) if not task.asleep
        ]
        roles = [task.role[0] for task in tasks]
        if not flags.guest_up or any(role in BUSY for role in roles):
            return found
        story = picture.story
        records = self._records(picture)
        present = [page for page, record in enumerate(records) if record is not None and record.holder == Holder.MAPPED]
        possible: list[Action] = []
        if roles.count("vCPU") < bounds.vcpus:
            possible += [("touch", page) for page in range(bounds.pages)]
        if vm.running and bounds.sharing:
            possible += [("share", page) for page in present if _is(records[page], State.SECURE, vm.running)]
        if vm.running and story.resets < bounds.resets:
            possible.append(("reset",))
        loaded = 0 in present and _is(records[0], State.NON_SECURE)
        if not vm.running and story.configurations < bounds.configurations and (loaded or not bounds.image_loaded):
            possible.append(("protect",))
        possible.append(("exit",))
        if "io" in bounds.host and "I/O" not in roles:
            possible += [("io", page) for page in present if not _is(records[page], State.NON_SECURE)]
        if "swap" in bounds.host:
            possible += [("swap", page) for page in present if (record := records[page]) and record.refs == 1]
        for action in possible:
            found.append(action)
            found += self._failing(action, vm, flags, story)
        return found

    def _failing(self, action: Action, vm: Vm, flags: Flags, story: Story) -> Iterator[Action]:
        """An action, with something told to fail from then on."""
        if story.failed:
            return
        for name in self.bounds.failures:
            failure = failure_of(name)
            if action[0] in failure.at and (failure.early or vm.handle or flags.old):
                yield (*action, name)

    def undisturbed(self, picture: Picture) -> Action | None:
        """The next step of the task at work, if nothing else can happen; or of one at the mere end of a loop."""
        things, tasks = self.things, picture.tasks
        if len(tasks) == 1:
            task: Standing = things[tasks[0]]
            if not task.asleep and (not things[picture.cells[FLAGS]].guest_up or task.role[0] in BUSY):
                return "step", picture.indices[0]
        for number, index in zip(tasks, picture.indices, strict=True):
            if things[number].at_end:
                return "step", index
        return None

    # What must hold

    def found(self, picture: Picture) -> str:
        """What is wrong with a state; empty if nothing is."""
        key = picture.key
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = self._look(picture)
        return found

    def _look(self, picture: Picture) -> str:
        things, cells = self.things, picture.cells
        for number in (cells[FRAMES], *cells[PAGES:]):
            if flaw := self._flaw(number):
                return flaw
        if things[cells[MARKS]][0]:
            return "a top-level table is free that the Ultravisor still marks: nobody else can use it"
        tasks: list[Standing] = [things[number] for number in picture.tasks]
        if tasks and all(task.asleep for task in tasks):
            return "nothing goes on: every task waits for another"
        flags: Flags = things[cells[FLAGS]]
        if flags.guest_up and not any(task.role[0] in BUSY for task in tasks):
            return self._guest_is_wrong(picture, flags)
        return "" if flags.alive or tasks else self._left_behind(picture)

    def _flaw(self, number: int) -> str:
        """What is wrong with a page, or with one of all the other frames, whatever else there is."""
        flaw = self._flaws.get(number)
        if flaw is None:
            thing = self.things[number]
            records = [record for record, _ in thing.records] if isinstance(thing, _Frames) else [thing]
            flaw = self._flaws[number] = next(filter(None, map(_flaw_of, records)), "")
        return flaw

    def _records(self, picture: Picture) -> list[Record | None]:
        """The records of the guest's pages; None for one that is not present."""
        return [None if page < 0 else self.things[page] for page in picture.cells[PAGES:]]

    def _guest_is_wrong(self, picture: Picture, flags: Flags) -> str:
        records = self._records(picture)
        for page, record in enumerate(records[: self.bounds.low_pages]):
            if record and record.state in HELD and record.owner in flags.old and record.holder == Holder.MAPPED:
                return f"page {page} may be a CPU's prefix area, and is still the old guest's when the guest runs"
        swap, running = dict(self.things[picture.cells[SWAP]]), self.things[picture.cells[VM]].running
        for page in picture.story.written:
            record = swap.get(page) or records[page]
            if record is None or not _holds_data_of(record, running):
                return f"the running guest's data in page {page} are lost"
        return ""

    def _left_behind(self, picture: Picture) -> str:
        """After the end of everything."""
        used: Counter[Holder] = Counter()
        for record, pages in self.things[picture.cells[FRAMES]].records:
            used[record.holder] += pages
        used.update(record.holder for record in self._records(picture) if record)
        if used[Holder.SET_ASIDE]:
            return f"{_pages(used[Holder.SET_ASIDE])} set aside, and nobody will ever free what is set aside"
        if used[Holder.MAPPED]:
            return "the process is gone, and its address space is never removed"
        if not self.things[picture.cells[FREED]]:
            return "the process is gone, and its mm is never freed"
        leaked = used[Holder.LEAKED] + used[Holder.DONATED] - self.kernel_pages + _OF_A_PROCESS + self.bounds.vcpus
        failure = failure_of(picture.story.failed) if picture.story.failed else None
        if leaked and not (failure and failure.leaks):
            return f"the process is gone, and {_pages(leaked)} leaked that the kernel took for it"
        if self.things[picture.cells[UV]].left:
            return "the process is gone, and its secure configuration is never destroyed"
        return ""


def failure_in(action: Action) -> str:
    """What an action tells to fail: its last word, if that is a name. Empty: nothing."""
    return action[-1] if len(action) > 1 and isinstance(action[-1], str) else ""


def _flaw_of(record: Record) -> str:
    if record.holder == Holder.FREE and record.state != State.NON_SECURE:
        return f"a page is free and still {_state(record)}: whoever gets it cannot use it"
    if record.state == State.NON_SECURE and record.content == Content.PLAINTEXT:
        return "the host can read what a guest has not shared"
    return ""


def _holds_data_of(record: Record, handle: int) -> bool:
    own = record.state in HELD and record.owner == handle
    return own or (record.content, record.content_of) == (Content.CIPHERTEXT, handle)


def _is(record: Record | None, state: State, owner: int = 0) -> bool:
    return record is not None and record.state == state and (not owner or record.owner == owner)


def _matters(record: Record) -> bool:
    return record.holder != Holder.FREE or record.state != State.NON_SECURE or record.content == Content.PLAINTEXT


def _lock(lock: Any) -> tuple[Any, ...]:
    return lock.held, len(lock.waiting)


def _pages(number: int) -> str:
    return "1 page is" if number == 1 else f"{format_count(number)} pages are"


def _state(record: Record) -> str:
    return record.state.name.lower().replace("_", "-")


class _Where(NamedTuple):
    """Which guest page a frame is; one that is none is told by its record, as frames differ by nothing else."""

    machine: Machine
    places: dict[int, int]

    def frame(self, pfn: int) -> Hashable:
        place = self.places.get(pfn)
        return self.machine.memory.record(pfn) if place is None else place


def _standing(task: Task, role: Role, where: _Where) -> Standing:
    frames = []
    generator = task.generator
    while generator is not None and (frame := getattr(generator, "gi_frame", None)) is not None:
        values = tuple(sorted((name, _plain(value, where)) for name, value in frame.f_locals.items()))
        frames.append((generator.gi_code.co_name, frame.f_lasti, values))
        generator = generator.gi_yieldfrom
    following = where.machine.engine.next_step(task)
    step = None
    if following is not None:
        step = following[0].__name__, tuple(_plain(value, where) for value in following[1])
    # whether a walk is to stop is no state of the task: it is asked before each step, and follows from what all share
    state, done, pages, working, batch_at, batch, locked, _stop, again = task.position
    position = (state, done, pages, working, batch_at, tuple(map(where.frame, batch)), locked, again)
    at_end = following is not None and not task.asleep and not working and not batch and done >= pages
    return Standing(role, task.asleep, at_end, tuple(frames), step, position)


def _plain(value: Any, where: _Where) -> Hashable:
    """What a variable adds to the state, if it is not a structure of the machine's."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, DeferredPriv):
        return value.handle, value.has_mm
    if isinstance(value, Answer):
        return value.r, value.rc, value.rrc
    if isinstance(value, Vcpu):
        return value.vcpu_id
    if isinstance(value, Page):
        return where.frame(value.pfn)
    if isinstance(value, tuple | list):
        return tuple(_plain(item, where) for item in value)
    if isinstance(value, set | frozenset):
        return frozenset(_plain(item, where) for item in value)
    if isinstance(value, dict):
        return frozenset((_plain(key, where), _plain(item, where)) for key, item in value.items())
    return None


__all__ = [
    "BUSY",
    "FLAGS",
    "FRAMES",
    "HELD",
    "KERNEL",
    "MARKS",
    "NOT_PRESENT",
    "PAGES",
    "PARTS",
    "UV",
    "VM",
    "Action",
    "Bounds",
    "Flags",
    "Picture",
    "Pictures",
    "Role",
    "Standing",
    "Story",
    "Vm",
    "failure_in",
]
