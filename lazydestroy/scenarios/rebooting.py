"""A guest is rebooted, and the new one uses its memory while the old one's is cleaned up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from .. import units
from .._core import step, visit
from ..actors import IN_BACKGROUND, IO, QEMU, QEMU_EXITS, VCPU, is_a, waits_for
from ..costs import Costs
from ..kernel.structs import Answer, Flow
from ..machine import DESTROY_LOOP_THRESHOLD, LOW_MEMORY, PV_MAX_LAZY_COUNT, SEGMENT_TABLE
from ..page import PAGE_SHIFT, PAGE_SIZE, Page
from ..run import Run
from ..series import Series, v1
from .parameters import (
    BYSTANDER,
    DEMAND_FROM,
    END,
    IMAGE,
    IMAGE_AT,
    LOADER,
    NEW_GUESTS,
    PATTERNS,
    ULTRAVISORS,
    Progress,
    Time,
    bystanders_of,
    exit_of,
    part,
    read,
)
from .stage import Stage


def reboot(
    memory: int | str = "64 GiB",
    *,
    used: float = 1.0,
    shared: float = 0.0,
    kernel: Series = v1,
    lazy_destroy: bool | None = None,
    async_destroy: bool | None = None,
    costs: Costs | None = None,
    new_guest: str = "protected",
    touch: str = "sequential",
    touched: float = 1.0,
    wait_for_cleanup: bool = False,
    io: float = 0.0,
    bystander: Time | Sequence[Time] | None = None,
    exit_at: Time | None = None,
    demand: int | str | None = None,
    demand_total: int | str | None = None,
    demand_from: str = "wait",
    host_memory: int | str | None = None,
    swap: int | str = 0,
    vcpus: int = 2,
    seed: int = 0,
    loader: int | str = LOADER,
    image: int | str = IMAGE,
    image_at: int | str = IMAGE_AT,
    features: Any = (),
    ultravisor: str = ULTRAVISORS[0],
    process_memory: int | str = 0,
    low_memory: int | str = LOW_MEMORY,
    segment_table: int | str = SEGMENT_TABLE,
    destroy_loop_threshold: int = DESTROY_LOOP_THRESHOLD,
    list_page_capacity: int = PV_MAX_LAZY_COUNT,
    destroy_needs_no_cpus: bool = True,
    destroy_fails: bool = False,
    film: bool = False,
    progress: Progress | None = None,
    _engine: Mapping[str, bool] | None = None,
) -> Run:
    """Reboot a protected guest, and let the new guest use its memory while the old one's is cleaned up.

    Parameters
    ----------
    memory : int or str
        Size of the guest's memory, a multiple of 4 KiB.
    used : float
        Share of it that the old guest made secure, from address 0 up.
    shared : float
        Share of these pages that the old guest then opened to the host, and that still hold its plaintext: the highest
        of them, rounded down. Page 0, where its image is, stays closed.
    kernel : Series
        ``ld.series.v1.upto(0)`` is the kernel before the series.
    lazy_destroy, async_destroy : bool, optional
        Module parameters: patch 10's, and that of Linux 6.2; None leaves their defaults.
    costs : Costs
    new_guest : {"protected", "normal"}
        A normal one never asks to be protected again.
    touch : {"sequential", "reverse", "random", "none"}
        How the new guest uses its memory. Each vCPU has an equal contiguous part.
    touched : float
        Share of its memory that it touches, from address 0 up.
    wait_for_cleanup : bool
        The new guest, once it is up, uses its memory only when no clean-up thread is left.
    io : float
        Share of its memory, from address 0 up, on which the host does I/O when the new guest has done all that.
    bystander : int or str, or sequence of these, optional
        Moments after time 0 at which another thread of QEMU maps memory: it takes ``mmap_lock`` for writing. 16 at
        most.
    exit_at : int, str or "end", optional
        When the process is killed: a moment after time 0, or at the end, when the new guest has done all it was to do
        and no clean-up thread is left. An ioctl that is under way is brought to its end first.
    demand, demand_total : int or str, optional
        As for `shutdown`: another process allocates memory.
    demand_from : {"wait", "exit", "start"}
        It begins as soon as this process has exited; or as soon as this process begins to exit: then it meets pages as
        they are freed (both need `exit_at`); or as soon as the new guest runs.
    host_memory : int or str, optional
        Default: an eighth more than the guest, and 4 GiB.
    swap : int or str
        Space to which pages of the guest are written when nothing is free. Some microseconds of this computer's time a
        page: for guests of some 100,000 pages.
    vcpus : int
    seed : int
        Key of the "random" order.
    loader, image, image_at : int or str
        A protected guest first runs as a normal one and touches `loader` bytes; then `image` bytes are unpacked at
        `image_at`.
    features : iterable or str
        The Ultravisor's feature bits; "misc" is bit 0.
    ultravisor : {"as of 2021", "as of 2022"}
        Which calls it has (`Ultravisor.presets`): with "as of 2022", DESTROY_SEC_CONF_FAST, which Linux 6.2 uses.
    process_memory : int or str
        QEMU's own memory, in the same address space.
    low_memory, segment_table, destroy_loop_threshold, list_page_capacity
        The kernel's 2 GiB, 2 GiB, 32 and 509, as parameters; see `Machine`.
    destroy_needs_no_cpus : bool
        Rule 1. False asks: what if a running guest's pages could be destroyed? See `Run.harmful_uvcs`.
    destroy_fails : bool
        Fault injection: DESTROY_SEC_CONF of the old configuration fails, with rc 0xfff, and always will.
    film : bool
        Keep a film of the host's pages, for a map of them: ``run.film``. Nothing else changes, but that ``run.memory``
        and ``run.timeline`` may have their rows at other moments.
    progress : callable, optional
        Called now and then with the share of the work that is done, 0 to 1.

    Returns
    -------
    Run

    Raises
    ------
    ValueError
        If a value is not accepted: says which, and what is.
    NotEnoughMemory
        If this computer has not the memory for it. Both figures are given, before anything is started.
    """
    scenario = Rebooting(read(locals()))
    return scenario.stage.play(scenario.qemu(), QEMU, scenario.others())


class Rebooting:
    """The actors of a reboot: QEMU, the new guest's vCPUs, other threads of QEMU, and who kills it.

    Raises
    ------
    ValueError
        If a parameter of the scenario is not accepted.
    """

    def __init__(self, given: dict[str, Any], scenario: Callable[..., Run] = reboot) -> None:
        units.one_of(given["new_guest"], NEW_GUESTS, "new_guest")
        units.one_of(given["touch"], PATTERNS, "touch")
        units.one_of(given["demand_from"], DEMAND_FROM, "demand_from")
        if abs(units.whole_number(given["seed"], "seed")).bit_length() > 4000:  # Python does not write all numbers
            raise ValueError(f"seed={units.shown(given['seed'])}: use a whole number of at most 1,200 digits")
        touched, io = units.share(given["touched"], "touched"), units.share(given["io"], "io")
        loader = units.size(given["loader"], "loader", multiple_of=PAGE_SIZE, zero=True)
        image = units.size(given["image"], "image", multiple_of=PAGE_SIZE)
        image_at = units.size(given["image_at"], "image_at", multiple_of=PAGE_SIZE, zero=True)
        self.bystanders = bystanders_of(given["bystander"])
        self.exit_at = exit_of(given["exit_at"])
        if given["demand"] is not None and given["demand_from"] != "start" and self.exit_at is None:
            raise ValueError(
                f"demand={units.shown(given['demand'])}: another process waits for this one's end; give exit_at, too, "
                "or demand_from='start'"
            )
        units.flag(given["wait_for_cleanup"], "wait_for_cleanup")
        latest = max((moment for moment in (*self.bystanders, self.exit_at) if isinstance(moment, int)), default=0)
        self.stage = Stage(given, scenario, latest)
        self.machine = self.stage.machine
        if self.exit_at is not None:
            self.machine.when["killed"] = self.stage.show_jump
        pages = self.machine.guest_pages
        self.loader = min(loader >> PAGE_SHIFT, pages)
        self.first_of_image = min(image_at >> PAGE_SHIFT, pages - 1)
        self.image = min(image >> PAGE_SHIFT, pages - self.first_of_image)
        self.touches = 0 if given["touch"] == "none" else part(touched, pages)
        self.io = part(io, pages)
        self.protected, self.touch = given["new_guest"] == "protected", given["touch"]
        self.vcpus, self.seed = given["vcpus"], given["seed"]
        self.given = given

    def qemu(self) -> Flow:
        """The main thread: resets the guest, and has the new one run."""
        machine = self.machine
        yield from self.unprotects()
        if not machine.alive:
            return
        self.stage.downtime_ends()
        yield from self.new_guest_boots()
        if self.exit_at == END and machine.alive:
            machine.engine.doing(waits_for("the guest"))
            yield from self.cleaned()
            machine.kill()

    def unprotects(self) -> Flow:
        """QEMU resets the guest, and exits if even DISABLE is refused (``s390_pv_cmd_exit`` in hw/s390x/pv.c)."""
        machine = self.machine
        answer: Answer = yield from machine.qemu.unprotecting()
        if answer.r and machine.alive:
            machine.event("userspace", f"KVM_PV_DISABLE fails: {QEMU_EXITS}")
            machine.kill()

    def cleaned(self) -> Flow:
        """Wait until no clean-up thread is left, the kernel's or QEMU's."""
        for thread in [task for task in self.machine.tasks if is_a(task.name, *IN_BACKGROUND)]:
            yield thread.finished

    def new_guest_boots(self) -> Flow:
        """The boot loader, perhaps the way to a protected guest, then what the guest does with its memory."""
        machine = self.machine
        machine.guest_up = True
        machine.engine.doing(waits_for("the guest"))
        if self.protected:
            if self.loader:
                yield from self.vcpus_touch(self.loader, "runs the boot loader", "sequential", alone=True)
            if not machine.guest_up or not (yield from machine.protecting(self.first_of_image, self.image)):
                return
        machine.engine.doing(waits_for("the guest"))
        if self.given["wait_for_cleanup"]:
            yield from self.cleaned()
        did_all = yield from self.vcpus_touch(self.touches, "uses its memory", self.touch)
        self.stage.booted = did_all and machine.guest_up
        if self.io and self.stage.booted:
            machine.engine.doing(waits_for(IO))
            task = machine.engine.spawn(self.does_io(), IO)
            machine.qemu.threads.append(task)
            yield task.finished

    def vcpus_touch(self, count: int, activity: str, touch: str, alone: bool = False) -> Flow:
        """They touch so many pages, in the order that `touch` names. Returns whether all of them came to their end."""
        machine, parts = self.machine, 1 if alone else self.vcpus
        if not machine.guest_up:
            return False
        bounds = [count * part // parts for part in range(parts + 1)]
        machine.qemu.vcpu_tasks = [
            machine.engine.spawn(
                self.one_vcpu(number, bounds[number], bounds[number + 1], activity, touch), f"{VCPU} {number}"
            )
            for number in range(parts)
            if bounds[number + 1] > bounds[number]
        ]
        for task in machine.qemu.vcpu_tasks:
            yield task.finished
        if machine.now < machine.qemu.killed_at:
            # a vCPU that was killed while it slept wakes whoever waits for it at the time at which it fell asleep
            yield machine.qemu.killed_at - machine.now
        return all(task.value for task in machine.qemu.vcpu_tasks)

    def one_vcpu(self, number: int, first: int, end: int, activity: str, touch: str) -> Flow:
        """One vCPU touches its part of the guest's memory."""
        machine = self.machine
        machine.engine.doing(activity)
        done = yield visit(
            machine.mm.guest,
            first,
            end - first,
            step(machine.kernel.guest_access, machine.kvm),
            touch,
            seed=self.seed * 1009 + number,
            lock=machine.mm.mmap_lock,
        )
        return done == end - first

    def does_io(self) -> Flow:
        """The host reads or writes the guest's memory for a device."""
        self.machine.engine.doing("does I/O")
        yield visit(self.machine.mm.guest, 0, self.io, step(self.io_on_page))

    def io_on_page(self, page: Page, _gaddr: int) -> None:
        """One page, if it is there: made accessible, then used."""
        machine = self.machine
        if not machine.kernel.pte_present(machine.mm, page) or machine.kernel.arch_make_page_accessible(page):
            return
        if machine.uv.access(page) is not None:
            machine.endless_fault(page)
            return
        machine.engine.charge(machine.costs.touch)

    # Who comes in from the side

    def others(self) -> Iterator[tuple[Flow, str, int]]:
        """Flow, name, and moment at which it begins."""
        for place, moment in enumerate(self.bystanders):
            yield self.maps_memory(place), BYSTANDER, moment
        if isinstance(self.exit_at, int):
            yield self.kills(), "kill", self.exit_at

    def maps_memory(self, place: int) -> Flow:
        """Another thread of QEMU needs ``mmap_lock`` for itself."""
        machine, lock = self.machine, self.machine.mm.mmap_lock
        if not machine.alive or machine.qemu.doomed:
            return
        assert machine.engine.current is not None
        machine.qemu.threads.append(machine.engine.current)
        machine.engine.doing("maps memory")
        asked = machine.now
        yield lock.write()
        self.stage.bystander_waits[place] = machine.now - asked
        yield machine.costs.fault
        machine.engine.release(lock)

    def kills(self) -> Flow:
        """Somebody kills QEMU."""
        self.machine.qemu.killed_from_outside()
        return
        yield
