"""A second model of it all, slow and plain: what the package computes must be what comes out here.

It is written from the reference, not from the package, and imports nothing of it. It knows pages, the Ultravisor by its
rules (not its control blocks), the kernel before the series, and version 1 with all eleven patches. Of all calls only
DESTROY_SEC_CONF can be told to fail here, and there is one address space with one VM. No kernel here makes the call
DESTROY_SEC_CONF_FAST: a hand from outside does.

A task is a generator with a clock in integer nanoseconds. What lies between two of its ``yield`` happens at one moment,
its time passes afterwards, and the task that is furthest behind goes on next; of equals the one created first. A
``yield`` stands for the package's waiting points: a loop over pages begins and ends with one; every entry walked, page
destroyed, page removed, try of a guest, handler of an interruption, secure CPU made or ended is followed by one; so is
asking for ``kvm->lock``, which is always to be had here, or ``mmap_lock``, and beginning to wait for that.

Where the reference leaves open which frame is taken, this model does what the package says it does: one of the last 64
freed, else the next one upwards; contiguous ones from the end of memory. A guest page prefers the frame that it had
last; if it is given another instead, the page that would have preferred that one prefers from now on what is left over.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import astuple, dataclass, field
from fractions import Fraction
from functools import partial
from math import isqrt
from typing import Any, NamedTuple

Flow = Generator[Any, Any, Any]
NON_SECURE, SECURE, SHARED, DONATED = "NON_SECURE", "SECURE", "SHARED", "DONATED"
ZERO, HOST, PLAINTEXT, CIPHERTEXT = "ZERO", "HOST", "PLAINTEXT", "CIPHERTEXT"
FREE, MAPPED, SET_ASIDE, OTHER, LEAKED = "FREE", "MAPPED", "SET_ASIDE", "OTHER", "LEAKED"
LOWCORE, TABLE, MM = 2, 4, 1
TWO_GIB = (2 << 30) // 4096


class Storage(NamedTuple):
    """Pages that the Ultravisor wants donated: for itself, a configuration (and per MiB of guest), a CPU."""

    uv: int = 256
    base: int = 64
    virtual: int = 16
    per_mib: int = 1
    cpu: int = 8


SMALL = Storage(1, 1, 1, 0, 1)


def needed(storage: Storage, guest: int, vcpus: int) -> int:
    """Pages that a host must have beside the guest's: donated ones, lowcore, two tables, an SCA, a CPU's state."""
    variable = storage.virtual + guest // 256 * storage.per_mib
    return storage.uv + storage.base + variable + vcpus * (storage.cpu + 1) + LOWCORE + 2 * TABLE + 1


@dataclass(slots=True)
class Frame:
    """A page of host memory: what the Ultravisor knows of it, what it holds, what the kernel knows of it."""

    state: str = NON_SECURE
    owner: int = 0
    pinned: bool = False
    content: str = ZERO
    content_of: int = 0
    arch_1: bool = False
    refs: int = 0
    holder: str = FREE
    mm: int = 0
    charged: bool = False

    def becomes(self, state: str, owner: int, content: str, content_of: int = 0) -> None:
        """What the Ultravisor does to a page. A pin never survives it."""
        self.state, self.owner, self.pinned = state, owner, False
        self.content, self.content_of = content, content_of

    def clear(self) -> None:
        """After a destroy, or when donated storage comes back."""
        self.becomes(NON_SECURE, 0, ZERO)

    def used_by(self, holder: str, refs: int = 1, mm: int = 0) -> None:
        """What the kernel uses it for from now on."""
        self.arch_1, self.refs, self.holder, self.mm, self.charged = False, refs, holder, mm, mm != 0


@dataclass(eq=False)
class Task:
    """Something that acts in virtual time."""

    name: str
    flow: Flow
    clock: int
    calls: Counter = field(default_factory=Counter)
    raised: Counter = field(default_factory=Counter)
    waits_for: Task | None = None
    alive: bool = True
    value: Any = None
    asleep: bool = False  # waits for mmap_lock
    admitted: bool = False  # has waited for it, for a single step
    since: int | None = None  # holds it, from then on


class WouldWait(Exception):
    """A step needs mmap_lock, and has to wait for it: it has done nothing yet."""


@dataclass(frozen=True)
class Outcome:
    """What a scenario comes to. Times are in nanoseconds since the reset request, or the kill."""

    downtime_ns: int | None
    cleanup_ns: int | None
    exited_ns: int | None
    waits_ns: tuple[int, ...]
    calls: Counter
    foreground: Counter
    by_actor: dict[str, Counter]
    interruptions: dict[str, Counter]
    finished_ns: dict[str, int]
    events: list[tuple[int, str]]
    booted: bool
    longest_hold_ns: int
    oom_wait_ns: int
    final: Counter
    history: list[tuple[int, tuple[int, ...]]] | None

    @property
    def oom(self) -> bool:
        """Whether memory ran out."""
        return any(kind == "oom" for _, kind in self.events)


class Tasks:
    """Tasks in virtual time, and the one lock that they may wait for."""

    def __init__(self) -> None:
        self.readers, self.writer = 0, False
        self.queue: deque[tuple[Task, str]] = deque()  # who waits for mmap_lock: to "read", "write", or for a "step"
        self.longest_hold = 0
        self.tasks: list[Task] = []
        self.acting: Task | None = None
        self.moment = self.spent = 0
        self.calls: Counter = Counter()
        self.log: list[str] = []
        self.events: list[tuple[int, str]] = []
        self.history: list[tuple[int, tuple[int, ...]]] | None = None  # what every turn led to, if it is wanted

    @property
    def now(self) -> int:
        """Time, as who acts sees it."""
        return self.moment + self.spent

    def spend(self, ns: int) -> None:
        """Let time pass for who acts."""
        self.spent += ns

    def call(self, command: str, outcome: str, ns: int) -> None:
        """Account for an Ultravisor Call."""
        self.spend(ns)
        self.log.append(command if outcome == "done" else f"{command} ({outcome})")
        if self.acting is not None:
            self.acting.calls[command, outcome] += 1
            self.calls[command, outcome] += 1

    def event(self, kind: str) -> None:
        """Log something."""
        self.events.append((self.now, kind))

    def spawn(self, flow: Flow, name: str, moment: int | None = None) -> Task:
        """Start a task, now or later."""
        self.tasks.append(Task(name, flow, self.now if moment is None else moment))
        return self.tasks[-1]

    def act(self, task: Task) -> None:
        """Let a task go on to its next waiting point, or to its end."""
        self.acting, self.moment, self.spent = task, task.clock, 0
        began = task.clock
        try:
            request = next(task.flow)
        except StopIteration as stop:
            task.value = stop.value
            self.end(task)
        else:
            if request is not None and request.alive and task.alive:
                task.waits_for = request
        task.clock = self.now
        self.moment, self.spent, self.acting = self.now, 0, None
        if self.history is not None:
            self.history.append((began, self.totals()))

    def totals(self) -> tuple[int, ...]:
        """What memory is used for."""
        raise NotImplementedError

    def end(self, task: Task) -> None:
        """A task is done, or stopped: wake who waits for it."""
        if not task.alive:
            return
        task.alive = False
        if task.asleep:
            self.queue = deque(entry for entry in self.queue if entry[0] is not task)
            self.hand_over()
        task.clock = max(task.clock, self.now)
        for other in self.tasks:
            if other.waits_for is task:
                other.waits_for, other.clock = None, max(other.clock, task.clock)

    def next_task(self) -> Task | None:
        """Who acts next: the one furthest behind, of equals the first."""
        ready = [task for task in self.tasks if task.alive and task.waits_for is None and not task.asleep]
        return min(ready, key=lambda task: task.clock, default=None)

    def run(self) -> None:
        """Until nobody has anything left to do."""
        while (task := self.next_task()) is not None:
            self.act(task)

    def by_hand(self, flow: Flow, name: str, patience: int) -> Any:
        """Let one task act to its end; others act only if it waits for them. Without patience it is stopped."""
        task = self.spawn(flow, name)
        for _ in range(patience):
            if not task.alive:
                break
            self.act(self.next_task() if task.asleep else task)
        else:
            self.end(task)
            self.event("endless fault")
        return task.value

    # mmap_lock: first come, first served

    @property
    def lock_is_taken(self) -> bool:
        """Whether a reader has to wait: behind a writer, or behind whoever waits already."""
        return self.writer or bool(self.queue)

    def wait(self, purpose: str) -> None:
        """Whoever acts falls asleep with its next ``yield``."""
        self.acting.asleep = True
        self.queue.append((self.acting, purpose))

    def grant(self, task: Task, purpose: str) -> None:
        """It is had for as long as it is needed; for a step that is no time at all."""
        if purpose == "step":
            task.admitted = True
            return
        task.since = self.now
        self.writer = purpose == "write"
        self.readers += purpose == "read"

    def take_lock(self, purpose: str) -> Flow:
        """What the kernel does where it may sleep."""
        if self.lock_is_taken or (purpose == "write" and self.readers):
            self.wait(purpose)
        else:
            self.grant(self.acting, purpose)
        yield

    def need_lock(self) -> None:
        """What a step does, before anything else, that takes the lock for reading and lets it go."""
        if self.lock_is_taken and not self.acting.admitted:
            raise WouldWait

    def let_go(self) -> None:
        """Whoever acts has held it long enough."""
        task = self.acting
        self.longest_hold = max(self.longest_hold, self.now - task.since)
        task.since = None
        if self.writer:
            self.writer = False
        else:
            self.readers -= 1
        self.hand_over()

    def hand_over(self) -> None:
        """Those who wait get it, in order, as many as can have it together."""
        while self.queue and not self.writer and not (self.queue[0][1] == "write" and self.readers):
            task, purpose = self.queue.popleft()
            self.grant(task, purpose)
            task.asleep, task.clock = False, max(task.clock, self.now)


class Ultravisor(Tasks):
    """Memory, and what the Ultravisor does to it."""

    def __init__(self, costs: Any, host: int, guest: int, process: int, misc: bool, careful: bool) -> None:
        super().__init__()
        self.costs, self.misc, self.careful = costs, misc, careful
        self.frames = [Frame() for _ in range(host)]
        self.freed: deque[int] = deque(maxlen=64)
        self.cursor = 0
        self.guest_pages = guest
        # what the entries of the address space map: a frame, or nothing
        self.guest: list[int | None] = [None] * guest
        self.process: list[int | None] = list(range(LOWCORE + guest, LOWCORE + guest + process))
        self.preferred = list(range(LOWCORE, LOWCORE + guest))  # of each guest page, for when it is mapped next
        self.cpus: Counter[int] = Counter()  # of each configuration
        self.storages: dict[int, list[tuple[int, int]]] = {}  # of each configuration: first frame, frames
        self.marked: dict[int, int] = {}  # top-level table: configuration (rule 6)
        self.cursed: set[int] = set()  # configurations that cannot be destroyed
        self.failed: set[int] = set()  # those of which that is known
        self.exported: set[tuple[int, int]] = set()  # configuration, guest page
        self.made = 0
        self.destroyed_at: dict[int, int] = {}

    # Frames

    @property
    def free(self) -> int:
        """Free frames."""
        return sum(frame.holder == FREE for frame in self.frames)

    def find_frame(self) -> int | None:
        """A free frame: one freed lately, else the next one upwards. If there is none, nothing is forgotten."""
        lately = self.freed.copy()
        while self.freed:
            pfn = self.freed.pop()
            if self.frames[pfn].holder == FREE:
                return pfn
        n = len(self.frames)
        for pfn in (*range(self.cursor, n), *range(self.cursor)):
            if self.frames[pfn].holder == FREE:
                self.cursor = pfn + 1
                return pfn
        self.freed = lately
        return None

    def find_run(self, pages: int, align: int = 1, lowest: int = 0) -> int | None:
        """Free frames in a row, as high as possible."""
        for first in range((len(self.frames) - pages) // align * align, lowest - 1, -align):
            if all(frame.holder == FREE for frame in self.frames[first : first + pages]):
                return first
        return None

    def take(self, first: int, pages: int) -> None:
        """For the kernel itself, or to be donated."""
        for frame in self.frames[first : first + pages]:
            frame.content, frame.content_of, frame.refs, frame.holder = HOST, 0, 1, DONATED

    def give_back(self, first: int, pages: int) -> None:
        """The kernel frees what it took."""
        for frame in self.frames[first : first + pages]:
            frame.used_by(FREE, refs=0)

    def present(self, entries: list[int | None], entry: int) -> Frame | None:
        """The page that an entry maps, if it is present."""
        pfn = entries[entry]
        return None if pfn is None else self.frames[pfn]

    # Calls on a page

    def export_page(self, frame: Frame, g: int | None) -> bool:
        """CONV_FROM_SEC_STOR of the page behind guest page `g`. Nothing to do is a success (rule 2)."""
        if frame.state == NON_SECURE:
            self.call("CONV_FROM_SEC_STOR", "noop", self.costs.noop)
            return True
        if g is not None:
            self.exported.add((frame.owner, g))
        frame.becomes(NON_SECURE, 0, CIPHERTEXT, frame.owner)
        self.call("CONV_FROM_SEC_STOR", "done", self.costs.export)
        return True

    def destroy_page(self, frame: Frame) -> bool:
        """DESTR_SEC_STOR: only while the owner has no CPUs (rule 1), or else the guest loses what was there."""
        if frame.state == NON_SECURE:
            self.call("DESTR_SEC_STOR", "noop", self.costs.noop)
        elif self.cpus[frame.owner] and self.careful:
            self.call("DESTR_SEC_STOR", "refused", self.costs.refused)
            return False
        else:
            self.call("DESTR_SEC_STOR", "harmful" if self.cpus[frame.owner] else "done", self.costs.destroy)
            frame.clear()
        return True

    def import_page(self, frame: Frame, handle: int, g: int, command: str) -> bool:
        """CONV_TO_SEC_STOR, or UNPACK_IMG of one page of an image (rules 3, 4, 5)."""
        own = frame.owner == handle and frame.state in (SECURE, SHARED)
        if own and command == "CONV_TO_SEC_STOR":
            self.call(command, "noop", self.costs.noop)
            return True
        known = (handle, g) in self.exported and command == "CONV_TO_SEC_STOR"
        forged = known and (frame.content, frame.content_of) != (CIPHERTEXT, handle)
        takable = frame.state == NON_SECURE or (frame.state == SHARED and self.misc)
        if own or forged or not takable:
            self.call(command, "refused", self.costs.refused)
            return False
        self.exported.discard((handle, g))
        frame.becomes(SECURE, handle, PLAINTEXT, handle)
        decrypts = known or command == "UNPACK_IMG"
        self.call(command, "done", self.costs.import_decrypt if decrypts else self.costs.import_clear)
        return True

    def pin_shared(self, frame: Frame) -> bool:
        """PIN_PAGE_SHARED."""
        if frame.state != SHARED:
            self.call("PIN_PAGE_SHARED", "refused", self.costs.refused)
            return False
        self.call("PIN_PAGE_SHARED", "noop" if frame.pinned else "done", self.costs.noop)
        frame.pinned = True
        return True

    def access(self, frame: Frame, handle: int = 0) -> int | None:
        """Which interruption an access raises. `handle` 0 is the host, I/O, or a normal guest."""
        if not handle:
            return 0x3D if frame.state in (SECURE, DONATED) else None
        if frame.owner == handle and frame.state in (SECURE, SHARED):
            return None
        return 0x3E if frame.state in (NON_SECURE, SHARED) else 0x3F

    # Calls on a configuration

    def donate(self, first: int, pages: int, owner: int) -> None:
        for frame in self.frames[first : first + pages]:
            frame.becomes(DONATED, owner, PLAINTEXT, owner)

    def create_configuration(self, base: tuple[int, int], variable: tuple[int, int], table: int) -> int:
        """CREATE_SEC_CONF. 0 if the table is marked for another configuration."""
        if table in self.marked:
            self.call("CREATE_SEC_CONF", "refused", self.costs.refused)
            return 0
        self.made += 1
        self.marked[table] = self.made << 12
        handle = self.made << 12
        self.storages[handle] = [base, variable]
        for storage in (base, variable):
            self.donate(*storage, handle)
        self.call("CREATE_SEC_CONF", "done", self.price_of_configuration())
        return handle

    def price_of_configuration(self) -> int:
        return self.costs.config + self.costs.config_per_gib * self.guest_pages * 4096 // (1 << 30)

    def destroy_configuration(self, handle: int) -> bool:
        """DESTROY_SEC_CONF: cleans what is left, gives donated storage back cleared (rules 7 and 9)."""
        if handle not in self.storages or handle in self.cursed:
            self.failed |= self.cursed & {handle}
            self.call("DESTROY_SEC_CONF", "refused", self.costs.refused)
            return False
        left = [frame for frame in self.frames if frame.owner == handle and frame.state in (SECURE, SHARED)]
        for frame in left:
            frame.clear()
        self.forget_configuration(handle)
        cleaning = len(left) * (self.costs.destroy * 3 // 10)
        self.call("DESTROY_SEC_CONF", "done", self.price_of_configuration() + cleaning)
        self.destroyed_at[handle] = self.now
        return True

    def end_fast(self, handle: int) -> bool:
        """DESTROY_SEC_CONF_FAST: the same, but pages stay as they are (rule 7a)."""
        if handle not in self.storages or handle in self.failed or self.cpus[handle]:
            self.call("DESTROY_SEC_CONF_FAST", "refused", self.costs.refused)
            return False
        self.forget_configuration(handle)
        self.call("DESTROY_SEC_CONF_FAST", "done", self.costs.config)
        self.destroyed_at[handle] = self.now
        return True

    def forget_configuration(self, handle: int) -> None:
        """Donated storage comes back cleared, the mark goes, nothing is known any more of what was exported."""
        for first, pages in self.storages.pop(handle):
            for frame in self.frames[first : first + pages]:
                frame.clear()
        self.exported = {known for known in self.exported if known[0] != handle}
        self.marked = {table: owner for table, owner in self.marked.items() if owner != handle}


class World(Ultravisor):
    """A host, its kernel, and a process with a VM. All sizes are in pages."""

    def __init__(
        self,
        guest: int,
        host: int,
        costs: Any,
        *,
        v1: bool = True,
        lazy_destroy: bool | None = None,
        vcpus: int = 1,
        process: int = 0,
        misc: bool = False,
        low_memory: int = TWO_GIB,
        threshold: int = 32,
        capacity: int = 509,
        storage: Storage = SMALL,
        donated_from: int = 0,
        reserve: int = 0,
        careful: bool = True,
        notifier: bool = False,
    ) -> None:
        super().__init__(costs, host, guest, process, misc, careful)
        self.v1, self.lazy_destroy = v1, lazy_destroy
        self.notifier, self.notified, self.waited_for_memory = notifier, False, 0  # version 2's, for out of memory
        self.low_memory, self.threshold, self.capacity = low_memory, threshold, capacity
        self.storage, self.lowest, self.reserve = storage, max(LOWCORE, donated_from), reserve
        self.swap: dict[int, tuple[str, int]] = {}
        self.lists: list[tuple[int, list[int]]] = []  # frame of a list page, frames set aside in it
        self.emptying: list[tuple[int, list[int]]] = []  # those that a thread has taken over
        self.warned: set[str] = set()
        self.users, self.count = 1, 2
        self.is_protected = 0
        self.sync_destroy = False
        self.alive, self.guest_up = True, False
        self.killable = False
        self.in_kernel = self.doomed = False  # QEMU is in an ioctl; it was killed meanwhile
        self.other_threads: list[Task] = []  # of QEMU
        self.exited: int | None = None
        self.on_exit: dict[str, Callable[[], Any]] = {}
        self.handle = 0
        self.vcpus: list[tuple[int, int, int] | None] = [None] * vcpus  # configuration, first frame, frames
        self.vcpu_tasks: list[Task] = []
        self.old: set[int] = set()
        self.threads = 0
        self.lent: dict[int, list[tuple[int, int]]] = {}  # what the kernel has donated for each configuration
        self.names: dict[int, str] = {}
        self.raised: list[int] = []
        self.saw = ""
        uv = self.take_run(storage.uv)
        assert uv is not None
        self.donate(*uv, -1)
        for pfn in self.process:
            self.frames[pfn].used_by(MAPPED, mm=MM)
            self.frames[pfn].content = HOST
        # the host-to-guest map of a guest this small points into its first table, for as long as there is a gmap
        self.table = self.mapped = self.listed = self.new_table()
        self.dangling, self.gmap = False, True
        self.sca, *self.sie_blocks = (self.taken_page() for _ in range(1 + vcpus))

    # The kernel: memory

    def take_run(self, pages: int) -> tuple[int, int] | None:
        """Storage to be donated."""
        first = self.find_run(pages, lowest=self.lowest)
        if first is None:
            self.event("refused")
            return None
        self.take(first, pages)
        return first, pages

    def taken_page(self) -> int:
        """One for the kernel itself."""
        pfn = self.find_run(1)
        self.take(pfn, 1)
        return pfn

    @property
    def list_pages(self) -> int:
        """List pages that are not emptied yet, the one at hand included."""
        return len(self.lists) + len(self.emptying)

    def new_table(self) -> int | None:
        """A top-level table."""
        first = self.find_run(TABLE, align=TABLE)
        if first is not None:
            self.take(first, TABLE)
        return first

    def free_table(self, first: int) -> None:
        """A top-level table goes back to the allocator, whoever may point into it."""
        self.dangling = self.dangling or first == self.mapped
        self.give_back(first, TABLE)

    def replace_table(self) -> bool:
        """Patch 1: the table is off the list, and the VM has another if there is one."""
        self.listed = self.new_table()
        if self.listed is None:
            return False
        self.table = self.listed
        self.dangling = self.dangling and self.table != self.mapped
        return True

    def leak(self, first: int, pages: int) -> None:
        frames = self.frames[first : first + pages]
        if any(frame.holder != LEAKED for frame in frames):
            self.event("leak")
        for frame in frames:
            frame.holder = LEAKED

    def put_page(self, pfn: int) -> None:
        """Drop a reference; the last one frees the page."""
        frame = self.frames[pfn]
        frame.refs -= 1
        if not frame.refs:
            self.spend(self.costs.free)
            frame.used_by(FREE, refs=0)
            self.freed.append(pfn)

    def frame_for(self, g: int) -> int | None:
        """The one that a guest page prefers, if that is free."""
        before = self.preferred[g]
        if self.frames[before].holder == FREE:
            return before
        pfn = self.find_frame()
        if pfn is not None:
            self.preferred = [before if preferred == pfn else preferred for preferred in self.preferred]
            self.preferred[g] = pfn
        return pfn

    def page_fault(self, g: int) -> None:
        """Give a guest page a frame."""
        self.spend(self.costs.fault)
        content = self.swap.pop(g, (ZERO, 0))
        pfn = self.frame_for(g)
        if pfn is None:
            self.out_of_memory()  # the only process is alive, so nothing is set aside, and there is no notifier to ask
            return
        self.guest[g] = pfn
        self.frames[pfn].content, self.frames[pfn].content_of = content
        self.frames[pfn].used_by(MAPPED, mm=MM)

    def export_unmapped(self, frame: Frame, g: int | None) -> None:
        """Its entry goes away; patch 2 clears the flag."""
        if self.is_protected:
            self.export_page(frame, g)
            frame.arch_1 = frame.arch_1 and not self.v1

    def make_accessible(self, frame: Frame, g: int) -> None:
        """For host I/O and swap: two calls on a secure page."""
        if frame.arch_1:
            _ = self.pin_shared(frame) or self.export_page(frame, g)
            frame.arch_1 = False

    def swap_out(self, g: int) -> bool:
        frame = self.present(self.guest, g)
        if frame is None or frame.refs > 1:
            return False
        self.spend(self.costs.unmap)
        self.export_unmapped(frame, g)
        self.make_accessible(frame, g)
        self.swap[g] = frame.content, frame.content_of
        self.put_page(self.guest[g])
        self.guest[g] = None
        return True

    # The kernel: an address space goes

    def mmput(self) -> Flow:
        self.users -= 1
        if not self.users:
            yield from self.exit_mmap()
            self.count -= 1

    def exit_mmap(self) -> Flow:
        """Remove every entry; a page is exported, or with patch 9 set aside."""
        for entries in filter(None, (self.guest, self.process)):
            yield
            for entry, pfn in enumerate(entries):
                frame = self.present(entries, entry)
                if frame is not None:
                    self.spend(self.costs.unmap)
                    if self.v1 and self.is_protected and not self.sync_destroy:
                        self.set_aside(pfn)
                    else:
                        self.export_unmapped(frame, None)
                    if frame.refs > 1:
                        frame.holder = SET_ASIDE
                    self.put_page(pfn)
                    entries[entry] = None
                yield
            yield
        self.swap.clear()
        if self.gmap and self.dangling:
            self.event("use after free")

    def set_aside(self, pfn: int) -> None:
        """Patch 9: with a reference of its own. Where a list page is needed, export and try to get one."""
        frame = self.frames[pfn]
        if self.lists and len(self.lists[-1][1]) < self.capacity:
            self.spend(self.costs.set_aside)
            frame.refs += 1
            self.lists[-1][1].append(pfn)
            return
        self.export_page(frame, None)
        frame.arch_1 = False
        if self.free > self.reserve:
            list_page = self.find_frame()
            self.frames[list_page].used_by(SET_ASIDE)
            self.frames[list_page].content, self.frames[list_page].content_of = HOST, 0
            self.lists.append((list_page, []))

    def empty_lists(self) -> Flow:
        """Patch 9: destroy and free what was set aside, list page by list page, the newest first."""
        self.emptying, self.lists = self.lists, []
        self.notified = self.notifier
        yield
        while self.emptying:
            list_page, frames = self.emptying[-1]
            for pfn in frames:
                self.destroy_page(self.frames[pfn])
                self.frames[pfn].arch_1 = False
                self.put_page(pfn)
                yield
            self.put_page(list_page)
            self.emptying.pop()
            yield
        yield
        self.notified = False

    # The kernel: a configuration begins and ends

    def enable(self) -> Flow:
        """KVM_PV_ENABLE."""
        yield
        base = self.take_run(self.storage.base)
        variable = base and self.take_run(self.storage.virtual + self.guest_pages // 256 * self.storage.per_mib)
        if variable is None:
            if base is not None:
                self.give_back(*base)
            return False
        self.handle = self.create_configuration(base, variable, self.table)
        self.is_protected += self.v1
        if self.handle:
            self.lent[self.handle] = [base, variable]
            self.names[self.handle] = chr(ord("A") + len(self.names))
        if self.lazy_destroy is False:
            yield from self.take_lock("write")
            self.sync_destroy = True
            self.let_go()
        if not self.handle:
            self.is_protected -= self.v1
            for storage in (base, variable):
                self.give_back(*storage)
            self.event("refused")
            return False
        for place in range(len(self.vcpus)):
            storage = self.take_run(self.storage.cpu)
            if storage is None:
                yield from self.destroy_cpus()
                yield from self.end_configuration()
                return False
            self.donate(*storage, self.handle)
            self.vcpus[place] = (self.handle, *storage)
            self.cpus[self.handle] += 1
            self.call("CREATE_SEC_CPU", "done", self.costs.cpu)
            yield
        return True

    def destroy_cpus(self) -> Flow:
        for place in range(len(self.vcpus)):
            self.destroy_cpu(place)
            yield

    def destroy_cpu(self, place: int) -> None:
        cpu = self.vcpus[place]
        if cpu is not None:
            handle, first, pages = cpu
            self.cpus[handle] -= 1
            for frame in self.frames[first : first + pages]:
                frame.clear()
            self.give_back(first, pages)
            self.vcpus[place] = None
            self.call("DESTROY_SEC_CPU", "done", self.costs.cpu)

    def disable(self) -> Flow:
        """KVM_PV_DISABLE."""
        yield
        yield from self.destroy_cpus()
        return (yield from self.end_configuration())

    def end_configuration(self) -> Flow:
        """Now (before the series), or later (patch 8). Returns what userspace is told: "done", "later" or "failed"."""
        if not self.v1:
            return (yield from self.end_now())
        if self.lazy_destroy is False:
            yield from self.end_now()  # patch 10 forgot to return here
        self.count += 1
        has_mm = self.users > 0
        if has_mm:
            self.users += 1
            yield from self.destroy_range(1, self.low_memory)
        elif not self.list_pages:
            self.count -= 1
            return (yield from self.end_now())
        old, self.listed = self.table, None
        if has_mm and not self.replace_table():
            told = yield from self.end_now()  # both references to the mm are leaked, and so is the table
            if self.frames[old].holder != LEAKED:
                self.leak(old, TABLE)
            return told
        self.threads += 1
        name = "clean-up thread" + (f" {self.threads}" if self.threads > 1 else "")
        self.spawn(self.clean_up(self.handle, old, has_mm), name)
        self.handle = 0
        return "later"

    def end_now(self) -> Flow:
        """Memory first, then the configuration."""
        if not self.v1:
            yield from self.reset_acc()
        elif self.users:
            self.users += 1
            yield from self.destroy_range(0)
            yield from self.mmput()
        storages = self.lent.get(self.handle, [])
        self.warn_about_no_handle(self.handle)
        if self.destroy_configuration(self.handle):
            self.one_less()
            for storage in self.lent.pop(self.handle):
                self.give_back(*storage)
            self.handle = 0
            return "done"
        self.warn_once("now")
        for storage in storages:
            self.leak(*storage)
        if self.v1:
            old, self.listed = self.table, None
            self.replace_table()
            self.leak(old, TABLE)
        else:
            self.is_protected = 0
        return "failed"

    def clean_up(self, handle: int, old_table: int, has_mm: bool) -> Flow:
        """The thread."""
        if self.list_pages:
            yield from self.empty_lists()
        if has_mm:
            yield from self.destroy_range(1)
            if self.users == 1:
                yield from self.take_lock("write")
                self.sync_destroy = True
                self.let_go()
            yield
            yield from self.mmput()
        self.count -= 1
        mine = self.lent.get(handle, [])
        self.warn_about_no_handle(handle)
        if self.destroy_configuration(handle):
            self.one_less()
            for storage in self.lent.pop(handle):
                self.give_back(*storage)
            self.free_table(old_table)
            return
        self.warn_once("thread")
        for storage in (*mine, (old_table, TABLE)):
            self.leak(*storage)
        self.event("leak")  # the record

    def warn_about_no_handle(self, handle: int) -> None:
        """Each time."""
        if not handle:
            self.event("warning")

    def warn_once(self, site: str) -> None:
        """A configuration cannot be destroyed: each of the two places says so once."""
        if site not in self.warned:
            self.event("warning")
            self.warned.add(site)

    def one_less(self) -> None:
        """The counter in the mm goes down; the mm may be gone (a bug of version 1). Before the series it is a flag."""
        if not self.count:
            self.event("use after free")
        self.is_protected = self.is_protected - 1 if self.v1 else 0

    # The kernel: walks

    def reset_acc(self) -> Flow:
        """Before patch 5: destroy all that is present, mmap_lock held throughout."""
        if not self.is_protected or not self.users:
            return
        self.users += 1
        yield from self.take_lock("read")
        for entries in filter(None, (self.guest, self.process)):
            yield
            for entry in range(len(entries)):
                self.spend(self.costs.walk)
                frame = self.present(entries, entry)
                if frame is not None:
                    self.destroy_page(frame)
                yield
            yield
        self.let_go()
        yield from self.mmput()

    def destroy_range(self, users: int, pages: int | None = None) -> Flow:
        """Patch 5: gather up to 32 present pages, with a reference each, then destroy them one by one.

        mmap_lock is taken for every batch with its first entry, and let go with the last page that goes into it. Before
        it is taken: does anyone else use the address space? If not, that is the end.
        """
        yield
        yield from self.destroy_entries(users, pages)
        if self.acting.since is not None:
            self.let_go()  # there was nothing behind the last batch
        yield

    def destroy_entries(self, users: int, pages: int | None) -> Flow:
        """The guest's entries, then the process's, as if they were one table."""
        task, batch = self.acting, []
        for entries in (self.guest, self.process) if pages is None else (self.guest[:pages],):
            if entries is self.process:
                if not entries:
                    break
                if task.since is None and self.users <= users:
                    return
                yield  # from one table to the other
            for entry in range(len(entries)):
                if task.since is None:
                    if self.users <= users:
                        return
                    if self.lock_is_taken:
                        self.wait("read")
                        yield
                    else:
                        self.grant(task, "read")
                self.spend(self.costs.walk)
                frame = self.present(entries, entry)
                if frame is not None:
                    frame.refs += 1
                    batch.append(entries[entry])
                full = len(batch) == self.threshold
                if full:
                    self.let_go()
                yield
                if full:
                    yield from self.destroy_batch(batch)
                    batch = []
        if batch:
            others_wait = bool(self.queue)
            self.let_go()
            if others_wait:
                yield
            yield from self.destroy_batch(batch)

    def destroy_batch(self, batch: list[int]) -> Flow:
        """Without the lock."""
        for pfn in batch:
            if self.destroy_page(self.frames[pfn]):
                self.frames[pfn].arch_1 = False
            self.put_page(pfn)
            yield

    # Another process, that has to do with none of this

    def other_takes_a_page(self) -> int | None:
        """It writes to it."""
        pfn = self.find_frame()
        if pfn is not None:
            assert self.frames[pfn].state == NON_SECURE, "the whole series leaves no free page secure"
            self.frames[pfn].used_by(OTHER)
            self.frames[pfn].content, self.frames[pfn].content_of = HOST, 0
        return pfn

    def other_ends(self) -> None:
        for frame in self.frames:
            if frame.holder == OTHER:
                frame.used_by(FREE, refs=0)
                frame.clear()

    # The guest, and what its accesses raise

    @property
    def running(self) -> int:
        """The configuration whose CPUs run."""
        return self.handle if self.vcpus[0] is not None else 0

    def visit(self, numbers: Iterable[int], first_step: Callable[[int], Any]) -> Flow:
        """Steps on guest pages; a step gives the next one on its page, None at its end, False to go no further."""
        yield
        for g in numbers:
            step = first_step
            while step:
                try:
                    step = step(g)
                except WouldWait:
                    self.wait("step")
                else:
                    self.acting.admitted = False
                yield
            if step is False:
                return False
        yield
        return True

    def touch_page(self, g: int) -> Callable[[int], Any] | None:
        """One try of the guest to touch a page."""
        frame = self.present(self.guest, g)
        if frame is None:
            self.need_lock()
            self.page_fault(g)
            return self.touch_page
        interruption = self.access(frame, self.running)
        if interruption is not None:
            self.spend(self.costs.exception)
            self.raised.append(interruption)
            self.acting.raised[interruption] += 1
            return partial(self.interrupted, interruption)
        self.spend(self.costs.touch)
        self.saw = self.describe(frame)
        if not self.running and frame.state == NON_SECURE:
            frame.content, frame.content_of = HOST, 0
        return None

    def interrupted(self, interruption: int, g: int) -> Callable[[int], Any] | None:
        """The handlers, with patches 3, 4 and 7."""
        self.need_lock()
        frame = self.present(self.guest, g)
        assert frame is not None and (self.v1 or interruption == 0x3E), "a guest before the series is cleaned at once"
        if interruption == 0x3D:
            self.make_accessible(frame, g)
        elif interruption == 0x3F:
            _ = self.destroy_page(frame) or self.export_page(frame, g)
            frame.arch_1 = False
        else:
            refused = self.make_secure(frame, g, "CONV_TO_SEC_STOR") is False
            assert not refused, "0x3F and patch 7 or the misc feature see to it that an import succeeds"
        return self.touch_page

    def make_secure(self, frame: Frame, g: int, command: str) -> bool | None:
        """Import or unpack. None if it must be tried again, False if it is refused."""
        busy = frame.refs > 1
        if self.v1 and self.is_protected > 1 and not self.misc:
            for _try in range(1 + busy):  # a busy page is tried twice, and exported before each try
                self.export_page(frame, g)
        if busy:
            self.spend(self.costs.retry)
            return None
        frame.arch_1 = True
        return self.import_page(frame, self.handle, g, command)

    def unpack(self, g: int) -> Callable[[int], Any] | bool | None:
        """One page of the boot image."""
        self.need_lock()
        frame = self.present(self.guest, g)
        if frame is None:
            self.page_fault(g)
            return self.unpack
        imported = self.make_secure(frame, g, "UNPACK_IMG")
        if imported is False:
            self.event("refused")
            return False
        return None if imported else self.unpack

    # Userspace

    def go_protected(self, first: int, pages: int) -> Flow:
        """On the guest's diagnose 0x308."""
        if not (yield from self.ioctl(self.enable())) or not self.alive:
            return False
        yield from self.ioctl(self.simple_call("SET_SEC_CONF_PARAMS"))
        if not self.alive:
            return False
        unpacked = yield from self.ioctl(self.unpack_image(first, pages))
        if not unpacked or not self.alive:
            return False
        yield from self.ioctl(self.simple_call("VERIFY_IMG"))
        return self.alive

    def simple_call(self, command: str) -> Flow:
        """An ioctl that is one call."""
        yield
        self.call(command, "done", self.costs.noop)
        if command == "SET_SEC_CONF_PARAMS" and not self.v1:
            self.is_protected = 1

    def unpack_image(self, first: int, pages: int) -> Flow:
        """KVM_PV_UNPACK."""
        yield
        return (yield from self.visit(range(first, first + pages), self.unpack))

    def ioctl(self, flow: Flow) -> Flow:
        """QEMU is in the kernel; a kill waits until it comes back."""
        self.in_kernel = True
        answer = yield from flow
        if self.killable:
            yield
        self.in_kernel = False
        if self.doomed:
            self.kill()
        return answer

    def reset(self) -> Flow:
        """The guest is reset; it starts again as a normal one. Only a protected one needs anything done for it."""
        if not self.handle:
            return "done"
        self.running_is_old()
        told = yield from self.disable()
        if told == "later":
            self.event("userspace")
        return told

    def exit(self) -> Flow:
        """The process ends: its address space, then the VM."""
        self.on_exit.get("exit", int)()
        self.alive = False
        self.running_is_old()
        yield from self.mmput()
        for place, sie_block in enumerate(self.sie_blocks):
            self.destroy_cpu(place)
            self.give_back(sie_block, 1)
            yield
        self.give_back(self.sca, 1)
        if self.handle:
            yield from self.end_configuration()
        if self.listed is not None:
            self.give_back(self.listed, TABLE)
        self.gmap = False
        self.count -= 1
        self.exited = self.now
        self.on_exit.get("wait", int)()

    def totals(self) -> tuple[int, ...]:
        """Pages that are free, mapped, set aside, donated, of others, leaked; not yet clean, charged."""
        held = Counter(frame.holder for frame in self.frames)
        unclean = sum(
            frame.owner in self.old and frame.state in (SECURE, SHARED) and frame.holder in (MAPPED, SET_ASIDE)
            for frame in self.frames
        )
        holders = tuple(held[holder] for holder in (FREE, MAPPED, SET_ASIDE, DONATED, OTHER, LEAKED))
        return *holders, unclean, sum(frame.charged for frame in self.frames)

    def running_is_old(self) -> None:
        self.old |= {self.handle} - {0}

    def kill(self) -> None:
        """The process ends: its threads and vCPUs, and whoever acts for it; then its memory and its VM go."""
        if self.alive:
            self.stop_threads()
            self.alive = self.guest_up = False
            for task in self.vcpu_tasks:
                self.end(task)
            self.spawn(self.exit(), "QEMU exits")

    def out_of_memory(self) -> None:
        """A page fault finds nothing: a signal ends the process, and whoever needed the page with it."""
        self.event("oom")
        self.kill()
        self.end(self.acting)

    @property
    def pages_listed(self) -> int:
        """Set aside, with the list pages; of one that is being emptied still all."""
        return sum(1 + len(frames) for _, frames in (*self.lists, *self.emptying))

    def ask_notifier(self) -> Flow:
        """Version 2's, if the list is being emptied: it waits, and says how many pages were freed meanwhile."""
        if not self.notified:
            return 0
        before = self.pages_listed
        self.spend(20_000_000)
        self.waited_for_memory += 20_000_000
        yield
        return before - self.pages_listed

    def kill_from_outside(self) -> Flow:
        """Somebody sends SIGKILL."""
        if self.alive and self.in_kernel:
            self.doomed = True
            self.stop_threads()
        else:
            self.kill()
        return
        yield

    def stop_threads(self) -> None:
        """Of the process. One that has mmap_lock brings to its end what it does with it."""
        for task in self.other_threads:
            if task.since is None:
                self.end(task)

    def map_memory(self, waits: dict[int, int], place: int) -> Flow:
        """A bystander: another thread of QEMU needs mmap_lock for itself."""
        if not self.alive or self.doomed:
            return
        self.other_threads.append(self.acting)
        asked = self.now
        yield from self.take_lock("write")
        waits[place] = self.now - asked
        self.spend(self.costs.fault)
        yield
        self.let_go()

    def do_io(self, g: int) -> None:
        """The host needs a page of the guest for a device."""
        frame = self.present(self.guest, g)
        if frame is not None:
            self.make_accessible(frame, g)
            assert self.access(frame) is None
            self.spend(self.costs.touch)

    def read(self, g: int, as_: str) -> Flow:
        """The host's userspace, its kernel, or a device reads a page of the guest."""
        frame = self.frames[self.guest[g]]
        if as_ == "io":
            self.make_accessible(frame, g)
        while (interruption := self.access(frame)) is not None:
            self.raised.append(interruption)
            self.spend(self.costs.exception)
            yield
            self.make_accessible(frame, g)
            yield
        self.spend(self.costs.touch)
        return self.describe(frame)

    def touch_by_hand(self, g: int) -> Flow:
        self.saw = ""
        yield from self.visit([g], self.touch_page)
        return self.saw

    @property
    def zombies(self) -> set[int]:
        """Configurations that wait for their end."""
        return self.storages.keys() - {self.handle}

    def end_fast_by_hand(self, handle: int) -> Flow:
        """Somebody else in the host ends a configuration, behind the back of the kernel that set it aside."""
        yield
        return self.end_fast(handle)

    def share(self, g: int) -> bool:
        """The guest opens one of its pages to the host."""
        frame = self.present(self.guest, g)
        mine = frame is not None and frame.owner == self.running and frame.state in (SECURE, SHARED)
        if mine:
            frame.state = SHARED
        return mine

    def unshare(self, g: int) -> bool:
        """The guest closes it again; not while it is pinned."""
        frame = self.present(self.guest, g)
        mine = frame is not None and frame.owner == self.running and frame.state in (SECURE, SHARED)
        if not mine or frame.pinned:
            return False
        frame.becomes(SECURE, frame.owner, PLAINTEXT, frame.owner)
        return True

    def describe(self, frame: Frame) -> str:
        kinds = {ZERO: "zeros", HOST: "host data", PLAINTEXT: "plaintext of ", CIPHERTEXT: "ciphertext of "}
        return kinds[frame.content] + self.names.get(frame.content_of, "")


# Scenarios


def reboot(
    memory: int,
    *,
    used: Fraction,
    new_guest: str,
    touch: str,
    touched: Fraction,
    seed: int,
    loader: int,
    image: int,
    image_at: int,
    io: Fraction = Fraction(0),
    bystander: tuple[int, ...] = (),
    exit_at: int | str | None = None,
    demand: int | None = None,
    demand_total: int | None = None,
    demand_from: str = "wait",
    **parameters: Any,
) -> Outcome:
    """As ``ld.reboot``, all sizes in pages; `parameters` are those of `World`."""
    world = after_old_guest(memory, used, parameters)
    first = min(image_at, memory - 1)
    image = min(image, memory - first)
    count = 0 if touch == "none" else int(touched * memory)
    split: list[Any] = []
    waits: dict[int, int] = {}
    if demand is not None:
        total = memory if demand_total is None else demand_total
        world.on_exit[demand_from] = lambda: world.spawn(other_process(world, demand, total), "other process")

    def vcpus_touch(pages: int, parts: int, pattern: str) -> Flow:
        bounds = [pages * part // parts for part in range(parts + 1)]
        world.vcpu_tasks = [
            world.spawn(
                world.visit(in_order(*bounds[n : n + 2], pattern, seed * 1009 + n), world.touch_page), f"vCPU {n}"
            )
            for n in range(parts)
            if bounds[n] < bounds[n + 1]
        ]
        yield from world.vcpu_tasks

    def guest_boots() -> Flow:
        world.guest_up = True
        if new_guest == "protected":
            if loader:
                yield from vcpus_touch(min(loader, memory), 1, "sequential")
            if not world.guest_up or not (yield from world.go_protected(first, image)):
                return False
        yield from vcpus_touch(count, len(world.vcpus), touch)
        booted = world.guest_up
        if int(io * memory) and booted:
            device = world.spawn(world.visit(range(int(io * memory)), world.do_io), "I/O")
            world.other_threads.append(device)
            yield device
        return booted

    def qemu() -> Flow:
        told = yield from world.ioctl(world.reset())
        if told == "failed" and world.alive:
            world.event("userspace")
            world.kill()
        if not world.alive:
            return False
        split.extend((world.now, world.calls.copy()))
        booted = yield from guest_boots()
        if exit_at == "end" and world.alive:
            yield from [task for task in world.tasks if task.name.startswith("clean-up thread")]
            world.kill()
        return booted

    main = world.spawn(qemu(), "QEMU")
    for place, moment in enumerate(bystander):
        world.spawn(world.map_memory(waits, place), "bystander", moment)
    if isinstance(exit_at, int):
        world.spawn(world.kill_from_outside(), "kill", exit_at)
    world.run()
    return outcome(world, split, bool(main.value), waits)


def shutdown(
    memory: int, *, used: Fraction, demand: int | None, demand_total: int | None, **parameters: Any
) -> Outcome:
    """As ``ld.shutdown``, `demand` in bytes a second, all sizes in pages."""
    world = after_old_guest(memory, used, parameters)
    split: list[Any] = []
    total = memory if demand_total is None else demand_total

    def process_ends() -> Flow:
        yield from world.exit()
        split.extend((world.now, world.calls.copy()))
        if demand is not None:
            world.spawn(other_process(world, demand, total), "other process")

    world.spawn(process_ends(), "QEMU")
    world.run()
    return outcome(world, split, False, {})


def other_process(world: World, demand: int, total: int) -> Flow:
    """Allocates page after page; is killed when there is none."""
    left, freed = total, 1
    while freed > 0:
        yield
        began, taken = world.now, 0
        while left and world.other_takes_a_page() is not None:
            left, taken = left - 1, taken + 1
            world.spend(max(0, began + taken * 4096 * 10**9 // demand - world.now))
            yield
        if not left:
            return
        yield
        freed = yield from world.ask_notifier()
    world.event("oom")
    world.other_ends()


def after_old_guest(memory: int, used: Fraction, parameters: dict[str, Any]) -> World:
    """A guest that has made `used` of its memory secure, at time 0."""
    host = parameters["host"]
    watched = parameters.pop("watched", False)
    shared, fails = parameters.pop("shared", Fraction(0)), parameters.pop("destroy_fails", False)
    kib = min(max(isqrt(host * 4096 // 1024 * 16), 128), 262144)
    donated = needed(Storage(), memory, parameters["vcpus"])
    lowest = min(TWO_GIB, host // 2, host - donated)
    least = kib * 1024 // 4096  # the minimum watermark, of which an atomic allocation may use half
    world = World(memory, storage=Storage(), donated_from=lowest, reserve=least - least // 2, **parameters)
    assert world.by_hand(world.go_protected(0, 0), "QEMU", patience=1000)
    secure = int(used * memory)
    opened = int(shared * secure)
    for g in range(secure):
        world.guest[g] = world.preferred[g]
        frame = world.frames[world.guest[g]]
        # the image in page 0 is not for everybody's eyes
        frame.becomes(SHARED if g and g >= secure - opened else SECURE, world.handle, PLAINTEXT, world.handle)
        frame.used_by(MAPPED, mm=MM)
        frame.arch_1 = True
    if fails:
        world.cursed.add(world.handle)
    world.running_is_old()
    world.tasks, world.calls, world.moment = [], Counter(), 0
    world.killable = True
    world.history = [(0, world.totals())] if watched else None
    return world


def in_order(first: int, end: int, pattern: str, seed: int) -> Iterator[int]:
    """Guest pages in the order in which they are touched."""
    if pattern == "random":
        return (first + place for place in shuffled(end - first, seed & (1 << 64) - 1))
    return iter(range(first, end) if pattern == "sequential" else range(end - 1, first - 1, -1))


def shuffled(n: int, seed: int) -> Iterator[int]:
    """The package's own bijection of 0 ... n-1 (`permuted` and `mix` in its core), so that it needs no library's.

    Three odd multipliers with two shifts between, modulo the power of two above n; again while it falls outside.
    """
    word = (1 << 64) - 1
    key0, key1 = splitmix(seed), splitmix((seed + 1) & word)
    mask = max(1, (1 << (n - 1).bit_length()) - 1)
    shift = max(1, mask.bit_length() // 2)
    for x in range(n):
        outside = True
        while outside:
            x = (x * 0x9E3779B97F4A7C15 + key0) & mask
            x ^= x >> shift
            x = (x * 0xBF58476D1CE4E5B9 + key1) & mask
            x ^= x >> shift
            x = (x * 0x94D049BB133111EB + key0) & mask
            outside = x >= n
        yield x


def splitmix(x: int) -> int:
    """SplitMix64's finaliser."""
    word = (1 << 64) - 1
    x = (x + 0x9E3779B97F4A7C15) & word
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & word
    x = (x ^ x >> 27) * 0x94D049BB133111EB & word
    return x ^ x >> 31


def outcome(world: World, split: list[Any], booted: bool, waits: dict[int, int]) -> Outcome:
    """What there is to compare."""
    downtime, before = split or (None, world.calls)
    by_actor: dict[str, Counter] = {}
    interruptions: dict[str, Counter] = {}
    for task in world.tasks:
        by_actor[task.name] = by_actor.get(task.name, Counter()) + by_command(task.calls)
        if task.raised:
            interruptions[task.name] = interruptions.get(task.name, Counter()) + task.raised
    cleaned = [world.destroyed_at.get(handle) for handle in world.old]
    return Outcome(
        downtime_ns=downtime,
        cleanup_ns=None if None in cleaned else max(cleaned),
        exited_ns=world.exited,
        waits_ns=tuple(waits[place] for place in sorted(waits)),
        calls=world.calls,
        foreground=by_command(before),
        by_actor=by_actor,
        interruptions=interruptions,
        finished_ns={task.name: task.clock for task in world.tasks},
        events=world.events,
        booted=booted,
        longest_hold_ns=world.longest_hold,
        oom_wait_ns=world.waited_for_memory,
        final=Counter(astuple(frame) for frame in world.frames),
        history=world.history,
    )


def by_command(calls: Counter) -> Counter:
    """Calls by command, whatever became of them."""
    found: Counter = Counter()
    for (command, _), number in calls.items():
        found[command] += number
    return found
