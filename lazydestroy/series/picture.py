"""A small machine as plain data.

`Pictures` takes a picture of a machine, and answers from the picture alone what can happen next (`possible`) and what
must hold (`holding`), so that a search can ask both of a state without a machine that is in it. How a machine gets from
one state to the next is not here: the kernel's own code says that (`lazydestroy.series.world`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

from ..page import PAGE_SHIFT, Content, Holder, Record, State
from .bounds import Bounds
from .holding import Holding
from .plain import Where, attributes_of, frames_of, plain
from .state import NOT_PRESENT, PARTS, Flags, Frames, Picture, Process, Standing, Uv, Vm
from .story import KERNEL, PERFORM, Role, Story, failure_in

if TYPE_CHECKING:
    from .._core import Task
    from ..machine import Machine


class Pictures(Holding):
    """Takes pictures of the machines of one search, and reads them.

    Parameters
    ----------
    bounds : Bounds
    kernel_pages : int
        Pages that the kernel has taken for its own ends when the guest boots.
    sets_aside : bool
        The kernel can set a configuration aside.

    Attributes
    ----------
    things : list
        What has been seen, each thing once: records of pages, standings of tasks, values of parts. Its place is its
        number.
    number : callable
        Gives the number of a thing; a new one if it has not been seen before.
    """

    number: Callable[[Hashable], int]

    def __init__(self, bounds: Bounds, kernel_pages: int, sets_aside: bool = False) -> None:
        self.bounds, self.kernel_pages, self.sets_aside = bounds, kernel_pages, sets_aside
        self.any_order = sets_aside and bounds.userspace == "any"
        self._numbers = _Numbers()
        self.things = self._numbers.things
        self.number = self._numbers.__getitem__
        self._flaws: dict[int, str] = {NOT_PRESENT: ""}
        self._found: dict[Hashable, str] = {}

    def within(self, bounds: Bounds) -> Pictures:
        """Takes pictures for another search of such machines; numbers stand for the same things in both."""
        other = Pictures(bounds, self.kernel_pages, self.sets_aside)
        other.things, other.number, other._numbers = self.things, self.number, self._numbers
        other._flaws = self._flaws
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
        where = Where(machine, places)
        tasks = machine.tasks
        others_roles = dict.fromkeys((task.index for task in machine.qemu.performing), PERFORM)
        roles = {**others_roles, **roles}
        standing = tuple(self.number(_standing(task, roles.get(task.index, KERNEL), where)) for task in tasks)
        deferred, context, uv, gmap = mm._context.deferred_list, mm._context, machine.uv, kvm.gmap
        parts = (
            Frames(frozenset((record, count) for record, count in others.items() if count and _matters(record))),
            tuple(sorted(mm.swap.items())),
            mm.mm_users,
            mm.mm_count,
            mm.freed,
            tuple((lock.held, lock.readers, len(lock.waiting)) for lock in (mm.mmap_lock, kvm.lock)),
            context.is_protected,
            context.pv_sync_destroy,
            (deferred.list_pages, deferred.room, tuple(map(where.frame, deferred.frames))),
            len(mm.notifier_subscriptions),
            # only the program of a search may be killed in an ioctl
            Process(*(getattr(machine.qemu, name, False) for name in Process._fields)),
            Vm(
                kvm.pv.handle,
                machine.running_handle(kvm),
                gmap.guest_handle,
                tuple([vcpu.handle for vcpu in kvm.vcpus]),
                gmap.dangling,
                gmap.table in gmap.crst_list,
                len(gmap.crst_list),
                sum(bool(vcpu.sida) for vcpu in kvm.vcpus),
                None if kvm.pv.set_aside is None else kvm.pv.set_aside.handle,
                tuple([leftover.handle for leftover in kvm.pv.need_cleanup]),
                kvm.pv.mmu_notifier,
            ),
            Uv(
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
            ),
            (uv._configurations_made, uv._cpus_made),
            tuple((fault.cmd, fault.handle, fault.times) for fault in uv.faults),
            (
                any(memory.record(origin >> PAGE_SHIFT).holder == Holder.FREE for origin in uv.marked),
                uv.marked.get(gmap.table << PAGE_SHIFT),
            ),
            tuple(sorted(item for item in machine._injected.items() if item[1])),
            Flags(machine.alive, machine.guest_up, frozenset(machine.old)),
            attributes_of(machine.kernel, where),
        )
        cells = (*map(self.number, parts), *pages)
        return Picture(cells, story, standing, tuple(task.index for task in tasks), len(machine.engine.tasks))


class _Numbers(dict[Hashable, int]):
    """The numbers of things: a thing that is looked up and has none gets the next one."""

    def __init__(self) -> None:
        super().__init__()
        self.things: list[Any] = []

    def __missing__(self, thing: Hashable) -> int:
        number = self[thing] = len(self.things)
        self.things.append(thing)
        return number


def _matters(record: Record) -> bool:
    return record.holder != Holder.FREE or record.state != State.NON_SECURE or record.content == Content.PLAINTEXT


def _standing(task: Task, role: Role, where: Where) -> Standing:
    frames = frames_of(task.generator, where)
    following = where.machine.engine.next_step(task)
    step = None
    if following is not None:
        step = following[0].__name__, tuple([plain(value, where) for value in following[1]])
    # whether a walk is to stop adds nothing: it is asked again, and follows from `killed` and from what all share
    state, done, pages, working, batch_at, batch, locked, _stop, again, begins = task.position
    position = (state, done, pages, working, batch_at, tuple(map(where.frame, batch)), locked, again, begins)
    killed = where.machine.fatal_signal_pending(task)
    at_end = following is not None and not task.asleep and not working and not batch and done >= pages
    return Standing(role, _turn(task, where.machine), killed, at_end, frames, step, position)


def _turn(task: Task, machine: Machine) -> int:
    """When it is a task's turn: 1 if it is the next of those that wait for a lock, 0 if it does not wait."""
    if not task.asleep:
        return 0
    queue = next((lock.waiting for lock in (machine.kvm.lock, machine.mm.mmap_lock) if task.name in lock.waiting), [])
    return queue.index(task.name) + 1 if queue else 1


__all__ = ["PARTS", "Bounds", "Picture", "Pictures", "Story", "failure_in"]
