"""The state of a small machine as plain data: what a `Picture` is made of."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NamedTuple

from ..page import Record
from .story import Role, Story

NOT_PRESENT = -1
"""Stands in a picture for a guest page that the guest's table does not lead to."""


class Standing(NamedTuple):
    """Where a task stands: its functions with their local variables, and its place in a loop over pages.

    `asleep` is 0 if it does not wait; else its place among those that wait, from 1.
    """

    role: Role
    asleep: int
    killed: bool
    at_end: bool
    frames: tuple[Hashable, ...]
    step: Hashable
    position: Hashable


class Vm(NamedTuple):
    """The VM, as KVM sees it. `handle` is its configuration; `running` is that, too, while its CPUs run the guest.

    `set_aside` and `leftovers` are handles; 0 is one that was destroyed fast.
    """

    handle: int
    running: int
    guest_handle: int
    cpus: tuple[int, ...]
    dangling: bool
    table_listed: bool
    tables: int
    sidas: int
    set_aside: int | None
    leftovers: tuple[int, ...]
    notifier: bool


class Flags(NamedTuple):
    """Whether QEMU lives and the guest runs; and the configurations that have been ended, as far as userspace knows."""

    alive: bool
    guest_up: bool
    old: frozenset[int]


class Process(NamedTuple):
    """What holds the VM, and in what QEMU is: see `Program`."""

    sharing_files: int
    descriptors: bool
    has_vm: bool
    ioctls: int
    mapped: bool
    helper: bool
    helper_follows: bool
    in_kernel: bool
    doomed: bool


class Uv(NamedTuple):
    """The configurations that the Ultravisor has.

    What it has made of pages is in their records; what it has counted, and what was told to fail, are parts by
    themselves, as most calls look at only one of these.
    """

    configurations: tuple[tuple[Any, ...], ...]

    @property
    def left(self) -> bool:
        """Whether there is a configuration that could have been destroyed: one without CPUs, and not refused."""
        return any(not destroy_failed and not cpus for _, _, cpus, destroy_failed, _ in self.configurations)


class Frames(NamedTuple):
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
    "notified",
    "process",
    "vm",
    "uv",
    "made",
    "faults",
    "marks",
    "injected",
    "flags",
    "layers",
)
"""What all tasks share, in parts; the cells of a picture begin with one for each."""

FRAMES, SWAP, FREED, LOCKS, PROCESS, VM, UV, MARKS, FLAGS = map(
    PARTS.index, ("frames", "swap", "freed", "locks", "process", "vm", "uv", "marks", "flags")
)
PAGES = len(PARTS)
"""After the parts, a cell for each page of the guest."""


IN_ROWS = ("uv", "faults", "injected")
"""Parts that are rows, each of a configuration, a call or an allocation. A step may look at the rows of one only."""


def rows_of(part: Any, whose: Hashable) -> tuple[Any, ...]:
    """The rows of one configuration, call or allocation, in a part that is in rows."""
    rows = part.configurations if isinstance(part, Uv) else part
    return tuple([row for row in rows if row[0] == whose])


class Picture(NamedTuple):
    """A machine at one moment. Numbers stand for what `Pictures.things` has under them.

    The `cells` are the `PARTS` and the guest's pages. The tasks that are alive stand in the order of their creation:
    `tasks` is where each stands, `indices` its index in the engine of the machine, in which `made` have been created.
    """

    cells: tuple[int, ...]
    story: Story
    tasks: tuple[int, ...]
    indices: tuple[int, ...] = ()
    made: int = 0

    @property
    def key(self) -> Hashable:
        """Equal for pictures whose machines have the same future: the order of tasks' creation does not matter."""
        tasks = self[2]
        return self[0], self[1], tasks if len(tasks) < 2 else tuple(sorted(tasks))
