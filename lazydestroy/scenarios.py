"""Scenarios: a guest is rebooted, or shut down. Each builds a machine, lets it run to the end, and returns a `Run`."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from . import units
from ._core import Memory, Task, step, take_free, visit
from .costs import Costs
from .kernel.structs import Answer, Flow
from .limits import require_memory
from .machine import CLEAN_UP, DESTROY_LOOP_THRESHOLD, LOW_MEMORY, PV_MAX_LAZY_COUNT, Machine
from .page import PAGE_SHIFT, PAGE_SIZE, Content, Holder, Page, Record, State
from .run import MEMORY, TIMELINE, Run
from .series import Series, v1
from .ultravisor import HARMFUL, NOOP, REFUSED, Interruption, Ultravisor
from .uvcb import UVC

GIB = 1 << 30

LOADER = 64 << 20
"""How much memory a new guest's boot loader touches before it goes protected (assumed)."""

IMAGE = 64 << 20
"""Size of a protected guest's boot image (assumed)."""

IMAGE_AT = 1 << 20
"""Where in the guest it lies (assumed)."""

NEW_GUESTS = ("protected", "normal")
PATTERNS = ("sequential", "reverse", "random", "none")
DEMAND_FROM = ("wait", "exit")

BYSTANDERS = 16
"""Moments at which a bystander may map memory, at most."""

INJECTED_RC = 0x0FFF
"""What DESTROY_SEC_CONF answers where it was told to fail: a code that this Ultravisor gives for nothing else."""

ENGINE_MEMORY = 64 << 20
"""What a run takes beside the records of pages, generously."""

Progress = Callable[[float], object]
Time = int | str


def reboot(
    memory: int | str = "64 GiB",
    *,
    used: float = 1.0,
    shared: float = 0.0,
    kernel: Series = v1,
    lazy_destroy: bool | None = None,
    costs: Costs | None = None,
    new_guest: str = "protected",
    touch: str = "sequential",
    touched: float = 1.0,
    io: float = 0.0,
    bystander: Time | Sequence[Time] | None = None,
    exit_at: Time | None = None,
    demand: int | str | None = None,
    demand_total: int | str | None = None,
    demand_from: str = "wait",
    host_memory: int | str | None = None,
    vcpus: int = 2,
    seed: int = 0,
    loader: int | str = LOADER,
    image: int | str = IMAGE,
    image_at: int | str = IMAGE_AT,
    features: Any = (),
    process_memory: int | str = 0,
    low_memory: int | str = LOW_MEMORY,
    destroy_loop_threshold: int = DESTROY_LOOP_THRESHOLD,
    list_page_capacity: int = PV_MAX_LAZY_COUNT,
    destroy_needs_no_cpus: bool = True,
    destroy_fails: bool = False,
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
    lazy_destroy : bool, optional
        Patch 10's module parameter; None leaves its default.
    costs : Costs
    new_guest : {"protected", "normal"}
        A normal one never asks to be protected again.
    touch : {"sequential", "reverse", "random", "none"}
        How the new guest uses its memory. Each vCPU has an equal contiguous part.
    touched : float
        Share of its memory that it touches, from address 0 up.
    io : float
        Share of its memory, from address 0 up, on which the host does I/O when the new guest has done all that.
    bystander : int or str, or sequence of these, optional
        Moments after time 0 at which another thread of QEMU maps memory: it takes ``mmap_lock`` for writing. 16 at
        most.
    exit_at : int, str or "end", optional
        When the process is killed: a moment after time 0, or at the end, when the new guest has done all it was to do
        and no clean-up thread is left. An ioctl that is under way is brought to its end first.
    demand, demand_total : int or str, optional
        As for `shutdown`: another process allocates memory. Only with `exit_at`.
    demand_from : {"wait", "exit"}
        It begins as soon as this process has exited, or as soon as this process begins to exit: then it meets pages as
        they are freed.
    host_memory : int or str, optional
        Default: an eighth more than the guest, and 4 GiB.
    vcpus : int
    seed : int
        Key of the "random" order.
    loader, image, image_at : int or str
        A protected guest first runs as a normal one and touches `loader` bytes; then `image` bytes are unpacked at
        `image_at`.
    features : iterable or str
        The Ultravisor's feature bits; "misc" is bit 0.
    process_memory : int or str
        QEMU's own memory, in the same address space.
    low_memory, destroy_loop_threshold, list_page_capacity
        The kernel's 2 GiB, 32 and 509, as parameters.
    destroy_needs_no_cpus : bool
        Rule 1. False asks: what if a running guest's pages could be destroyed? See `Run.harmful_uvcs`.
    destroy_fails : bool
        Fault injection: DESTROY_SEC_CONF of the old configuration fails, with rc 0xfff, and always will.
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
    scenario = _Reboot(dict(locals()))
    return scenario.stage.play(scenario.qemu(), "QEMU", scenario.others())


def shutdown(
    memory: int | str = "64 GiB",
    *,
    used: float = 1.0,
    shared: float = 0.0,
    kernel: Series = v1,
    lazy_destroy: bool | None = None,
    costs: Costs | None = None,
    host_memory: int | str | None = None,
    demand: int | str | None = None,
    demand_total: int | str | None = None,
    vcpus: int = 2,
    features: Any = (),
    process_memory: int | str = 0,
    low_memory: int | str = LOW_MEMORY,
    destroy_loop_threshold: int = DESTROY_LOOP_THRESHOLD,
    list_page_capacity: int = PV_MAX_LAZY_COUNT,
    destroy_fails: bool = False,
    progress: Progress | None = None,
    _engine: Mapping[str, bool] | None = None,
) -> Run:
    """Kill the process of a protected guest; afterwards another process may ask for memory.

    Parameters
    ----------
    memory, used, shared, kernel, lazy_destroy, costs, host_memory, vcpus, features, process_memory, low_memory, \
    destroy_loop_threshold, list_page_capacity, destroy_fails, progress
        As for `reboot`.
    demand : int or str, optional
        Bytes a second that another process allocates, from the end of the downtime on, such as "2 GiB/s".
    demand_total : int or str, optional
        Where it stops; default: the guest's size.

    Returns
    -------
    Run
        ``run.oom`` says whether an allocation found nothing free: then the process that allocates is killed.

    Raises
    ------
    ValueError, NotEnoughMemory
        As for `reboot`.
    """
    stage = _Stage(dict(locals()), "shutdown")

    def process_ends() -> Flow:
        yield from stage.machine.exiting()
        stage.downtime_ends()

    return stage.play(process_ends(), "QEMU")


class _Host(Machine):
    """A machine whose process is more than its vCPUs, and can be killed while it is in the kernel.

    Attributes
    ----------
    threads_of_process : list of Task
        They end with the process, like the vCPUs.
    in_kernel : bool
        QEMU is in an ioctl.
    doomed : bool
        It was killed meanwhile, and exits when the ioctl is over.
    killed_at : int
        When it was killed, or exited by itself.
    when_killed, when_exiting, when_gone : callable
        Called just before the process is killed; when it begins to exit; when ``wait()`` returns.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.threads_of_process: list[Task] = []
        self.in_kernel = self.doomed = False
        self.killed_at = 0
        self.when_killed: Callable[[], object] = lambda: None
        self.when_exiting: Callable[[], object] = lambda: None
        self.when_gone: Callable[[], object] = lambda: None
        super().__init__(*arguments, **options)

    def kill(self) -> None:
        """End the process, its other threads first."""
        if self.alive:
            self.killed_at = self.now
            self.when_killed()
            self.stop_threads()
        super().kill()

    def stop_threads(self) -> None:
        """End the threads that are not in the kernel, or wait there for a lock."""
        for task in self.threads_of_process:
            if task.asleep or task.progress is not None:
                self.engine.kill(task)

    def killed_from_outside(self) -> None:
        """SIGKILL. Whoever is in an ioctl comes to its end first."""
        if self.alive and self.in_kernel:
            self.doomed = True
            self.stop_threads()
        else:
            self.kill()

    def ioctl(self, flow: Flow) -> Flow:
        """QEMU has the kernel do something. `alive` says whether it comes back from there."""
        self.in_kernel = True
        answer = yield from flow
        yield  # what it did last takes its time
        self.in_kernel = False
        if self.doomed:
            self.kill()
        return answer

    def protecting(self, first: int, pages: int) -> Flow:
        """As for any machine, one ioctl after the other: the process may end after each."""
        kernel, kvm = self.kernel, self.kvm
        self.engine.doing("makes the guest protected")
        failed = yield from self.ioctl(kernel.kvm_s390_pv_enable(kvm))
        if failed or not self.alive:
            return False
        if kernel.kvm_s390_pv_set_sec_parms(kvm, kvm.sca << PAGE_SHIFT, PAGE_SIZE):
            return False
        self.engine.doing("unpacks the image")
        failed = yield from self.ioctl(kernel.kvm_s390_pv_unpack(kvm, first, pages))
        return not failed and self.alive and not kernel.kvm_s390_pv_verify(kvm)

    def exiting(self) -> Flow:
        """As for any machine; then ``wait()`` returns."""
        self.when_exiting()
        yield from super().exiting()
        self.when_gone()

    def raised(self, interruption: Interruption) -> None:
        """Count what was raised among the calls, so that steps from the table count, too."""
        super().raised(interruption)
        self.engine.called(interruption, RAISED, 0)


RAISED = "raised"
"""Stands for the outcome of a call where an interruption is counted."""


class _Reboot:
    """The actors of a reboot: QEMU, the new guest's vCPUs, other threads of QEMU, and who kills it."""

    def __init__(self, given: dict[str, Any]) -> None:
        _one_of(given["new_guest"], NEW_GUESTS, "new_guest")
        _one_of(given["touch"], PATTERNS, "touch")
        _one_of(given["demand_from"], DEMAND_FROM, "demand_from")
        if isinstance(given["seed"], bool) or not isinstance(given["seed"], int):
            raise ValueError(f"seed={given['seed']!r}: use a whole number")
        touched, io = units.share(given["touched"], "touched"), units.share(given["io"], "io")
        loader = units.size(given["loader"], "loader", multiple_of=PAGE_SIZE, zero=True)
        image = units.size(given["image"], "image", multiple_of=PAGE_SIZE)
        image_at = units.size(given["image_at"], "image_at", multiple_of=PAGE_SIZE, zero=True)
        if isinstance(given["bystander"], np.ndarray):
            given["bystander"] = given["bystander"].tolist()
        self.bystanders = _bystanders(given["bystander"])
        self.exit_at = _exit(given["exit_at"])
        if given["demand"] is not None and self.exit_at is None:
            raise ValueError(f"demand={given['demand']!r}: another process waits for this one's end; give exit_at, too")
        latest = max((moment for moment in (*self.bystanders, self.exit_at) if isinstance(moment, int)), default=0)
        self.stage = _Stage(given, "reboot", latest)
        self.machine = self.stage.machine
        if self.exit_at is not None:
            self.machine.when_killed = self.stage.show_jump
        pages = self.machine.guest_pages
        self.loader = min(loader >> PAGE_SHIFT, pages)
        self.first_of_image = min(image_at >> PAGE_SHIFT, pages - 1)
        self.image = min(image >> PAGE_SHIFT, pages - self.first_of_image)
        self.touches = 0 if given["touch"] == "none" else _part(touched, pages)
        self.io = _part(io, pages)
        self.protected, self.touch = given["new_guest"] == "protected", given["touch"]
        self.vcpus, self.seed = given["vcpus"], given["seed"]

    def qemu(self) -> Flow:
        """The main thread: resets the guest, and has the new one run."""
        machine = self.machine
        answer: Answer = yield from machine.ioctl(machine.resetting())
        if answer.r and machine.alive:
            # s390_pv_cmd_exit in QEMU's hw/s390x/pv.c
            machine.event("userspace", "KVM_PV_DISABLE fails: QEMU exits")
            machine.kill()
        if not machine.alive:
            return
        self.stage.downtime_ends()
        yield from self.new_guest_boots()
        if self.exit_at == END and machine.alive:
            machine.engine.doing("waits for the guest")
            for thread in [task for task in machine.tasks if task.name.startswith(CLEAN_UP)]:
                yield thread.finished
            machine.kill()

    def new_guest_boots(self) -> Flow:
        """The boot loader, perhaps the way to a protected guest, then what the guest does with its memory."""
        machine = self.machine
        machine.guest_up = True
        machine.engine.doing("waits for the guest")
        if self.protected:
            if self.loader:
                yield from self.vcpus_touch(self.loader, "runs the boot loader", alone=True)
            if not machine.guest_up or not (yield from machine.protecting(self.first_of_image, self.image)):
                return
        machine.engine.doing("waits for the guest")
        did_all = yield from self.vcpus_touch(self.touches, "uses its memory")
        self.stage.booted = did_all and machine.guest_up
        if self.io and self.stage.booted:
            machine.engine.doing("waits for I/O")
            task = machine.engine.spawn(self.does_io(), "I/O")
            machine.threads_of_process.append(task)
            yield task.finished

    def vcpus_touch(self, count: int, activity: str, alone: bool = False) -> Flow:
        """Returns whether all of them came to their end."""
        machine, parts = self.machine, 1 if alone else self.vcpus
        bounds = [count * part // parts for part in range(parts + 1)]
        machine.vcpu_tasks = [
            machine.engine.spawn(self.one_vcpu(number, bounds[number], bounds[number + 1], activity), f"vCPU {number}")
            for number in range(parts)
            if bounds[number + 1] > bounds[number]
        ]
        for task in machine.vcpu_tasks:
            yield task.finished
        if machine.now < machine.killed_at:
            # a vCPU that was killed while it slept wakes whoever waits for it at the time at which it fell asleep
            yield machine.killed_at - machine.now
        return all(task.value for task in machine.vcpu_tasks)

    def one_vcpu(self, number: int, first: int, end: int, activity: str) -> Flow:
        machine = self.machine
        machine.engine.doing(activity)
        done = yield visit(
            machine.mm.guest,
            first,
            end - first,
            step(machine.kernel.guest_access, machine.kvm),
            "sequential" if activity == "runs the boot loader" else self.touch,
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
        if not machine.alive or machine.doomed:
            return
        assert machine.engine.current is not None
        machine.threads_of_process.append(machine.engine.current)
        machine.engine.doing("maps memory")
        asked = machine.now
        yield lock.write()
        self.stage.bystander_waits[place] = machine.now - asked
        yield machine.costs.fault
        machine.engine.release(lock)

    def kills(self) -> Flow:
        """Somebody kills QEMU."""
        self.machine.killed_from_outside()
        return
        yield


BYSTANDER = "bystander"
SAMPLING = "sampling"
END = "end"


class _Stage:
    """A machine with an old guest that has used its memory, at time 0 of a scenario.

    `latest` is the latest moment, in nanoseconds after time 0, at which something is to happen in any case.
    """

    def __init__(self, given: Mapping[str, Any], scenario: str, latest: int = 0) -> None:
        self.scenario = scenario
        self.given = given
        self.progress = given["progress"]
        largest = Ultravisor(memory=Memory(1)).max_guest_stor_addr
        guest = units.size(given["memory"], "memory", multiple_of=PAGE_SIZE, maximum=largest)
        self.pages = _part(units.share(given["used"], "used"), guest >> PAGE_SHIFT)
        # the image is in page 0
        self.shared = min(_part(units.share(given["shared"], "shared"), self.pages), max(self.pages - 1, 0))
        self.pace, self.total = _demand(given["demand"], given["demand_total"], guest)
        process = units.size(given["process_memory"], "process_memory", multiple_of=PAGE_SIZE, zero=True)
        host = _host_memory(given["host_memory"], guest, process)
        for name in ("destroy_fails", "destroy_needs_no_cpus"):
            _true_or_false(given.get(name, True), name)
        require_memory((host >> PAGE_SHIFT) + ENGINE_MEMORY, f"a run with a host of {units.format_size(host)}")
        self.host = host
        _fits_into_time(_costs(given["costs"]), host >> PAGE_SHIFT, latest)
        self.machine = _Host(
            guest,
            kernel=given["kernel"],
            costs=_costs(given["costs"]),
            host_memory=host,
            donated_from=min(LOW_MEMORY, host // 2),
            reserve=min_free_pages(host),
            small_storage=False,
            ultravisor={"destroy_needs_no_cpus": given.get("destroy_needs_no_cpus", True)},
            **{name: given[name] for name in _FOR_THE_MACHINE},
            **(given["_engine"] or {}),
        )
        self.machine.when_exiting = lambda: self.begin_demand("exit")
        self.machine.when_gone = self.process_is_gone
        self.downtime_ns: int | None = None
        self.exited_ns: int | None = None
        self.bystander_waits: dict[int, int] = {}
        self.before_jump: np.ndarray | None = None
        self.before_downtime_ends: Counter[Any] = Counter()
        self.oom = self.booted = False
        self._old_guest_has_run()

    def _old_guest_has_run(self) -> None:
        """Protect the guest, then let all pages that it used be secure, as if it had touched them one by one."""
        machine = self.machine
        machine.guest_up = True
        boot = machine.engine.spawn(machine.protecting(0, 1), "QEMU boots")
        machine.engine.run()
        if not boot.value:
            raise RuntimeError(f"the old guest could not be made protected: {machine.events}")
        handle = machine.kvm.pv.handle
        secure = Record(
            state=State.SECURE,
            owner=handle,
            content=Content.PLAINTEXT,
            content_of=handle,
            arch_1=True,
            refs=1,
            holder=Holder.MAPPED,
            mm=machine.mm.number,
            charged=True,
        )
        base, opened = machine.mm.guest.base, self.shared
        machine.memory.change(lambda _: Record(), base, 1)
        machine.memory.change(lambda _: secure, base, self.pages)
        machine.memory.change(lambda _: secure._replace(state=State.SHARED), base + self.pages - opened, opened)
        if self.given["destroy_fails"]:
            machine.uv.fail(UVC.DESTROY_SEC_CONF, INJECTED_RC, handle=handle)
        machine.set_aside_running()
        machine.time_zero = machine.now
        machine.destroyed_at = None
        self.setup = machine.engine.calls()
        self.setup_tasks = len(machine.engine.tasks)
        self.setup_steps = machine.engine.steps_done

    def downtime_ends(self) -> None:
        """The new guest runs, or ``wait()`` returns."""
        self.downtime_ns = self.machine.now - self.machine.time_zero
        self.before_downtime_ends = self.machine.engine.calls() - self.setup
        self.machine.engine.sample_now()

    def show_jump(self) -> None:
        """What the new guest has is about to become old, in an instant: sample memory on both sides of that."""
        self.machine.engine.sample_now()
        self.before_jump = self.machine.engine.samples()[-1:]
        self.machine.engine.spawn(self.sampling(), SAMPLING, self.machine.now + 1)

    def sampling(self) -> Flow:
        """Not an actor: sees how things are, and does nothing."""
        self.machine.engine.sample_now()
        return
        yield

    def process_is_gone(self) -> None:
        """``wait()`` returns."""
        self.exited_ns = self.machine.now - self.machine.time_zero
        self.begin_demand("wait")

    def begin_demand(self, moment: str) -> None:
        """Another process begins to allocate, if that is its moment."""
        if self.pace is not None and moment == self.given.get("demand_from", "wait"):
            self.machine.engine.spawn(self.other_process(self.pace), "other process")

    def other_process(self, pace: int) -> Flow:
        """Allocates memory until it has enough, or there is none."""
        machine = self.machine
        machine.engine.doing("allocates memory")
        done = yield take_free(self.total >> PAGE_SHIFT, step(self.allocate), pace)
        if done is None:
            self.oom = True
            machine.event("oom", "another process asks for a page, and none is free: it is killed")
            machine.memory.change(lambda record: Record() if record.holder == Holder.OTHER else record)

    def allocate(self, page: Page) -> None:
        """Take one page, and write to it."""
        if page.state != State.NON_SECURE:
            self.machine.endless_fault(page)
            return
        page.update(content=Content.HOST, content_of=0, refs=1, holder=Holder.OTHER)

    def play(self, flow: Flow, name: str, others: Iterable[tuple[Flow, str, int]] = ()) -> Run:
        """Let it run to the end. `others` come in later: flow, name, moment after time 0."""
        machine, engine = self.machine, self.machine.engine
        began = time.perf_counter()
        engine.sample_every(max(1000, machine.guest_pages))
        if self.progress is not None:
            engine.progress = self._report
        engine.spawn(flow, name, machine.time_zero)
        for other, its_name, moment in others:
            engine.spawn(other, its_name, machine.time_zero + moment)
        try:
            engine.run()
            engine.sample_now()
            return self._run(time.perf_counter() - began)
        finally:
            # a machine is full of cycles, and its pages may be hundreds of megabytes: do not wait for the collector
            machine.memory.close()

    def _report(self, engine: Any) -> None:
        loops = [task.progress for task in engine.tasks if task.alive and task.progress]
        total = sum(pages for _, pages in loops)
        if total:
            self.progress(sum(done for done, _ in loops) / total)

    def _run(self, seconds: float) -> Run:
        machine = self.machine
        tasks = [task for task in machine.engine.tasks[self.setup_tasks :] if task.name != SAMPLING]
        calls = machine.engine.calls() - self.setup
        everything, foreground = _by_command(calls), _by_command(self.before_downtime_ends)
        if self.downtime_ns is None:
            foreground = everything
        by_actor: dict[str, Counter[UVC]] = {}
        for task in tasks:
            by_actor[task.name] = by_actor.get(task.name, Counter()) + _by_command(task.calls)
        # the clock of a task that was killed while it slept stands still since it fell asleep
        ends = [task.history[-1][0] - machine.time_zero for task in tasks]
        cleaned_at = machine.destroyed_at
        if machine.old & machine.uv.configurations.keys():
            cleaned_at = None
        return Run(
            scenario=self.scenario,
            pages=self.pages,
            downtime_ns=self.downtime_ns,
            cleanup_ns=None if cleaned_at is None else cleaned_at - machine.time_zero,
            uvcs=everything,
            noop_uvcs=_by_command(calls, NOOP),
            failed_uvcs=_by_command(calls, REFUSED),
            harmful_uvcs=_by_command(calls, HARMFUL),
            foreground=foreground,
            background=everything - foreground,
            by_actor=by_actor,
            interruptions=_interruptions(tasks),
            timeline=_timeline(tasks, machine.engine.samples(), machine.time_zero),
            memory=_memory(self._samples_of_memory(), machine.time_zero),
            events=tuple(machine.events),
            oom=self.oom or any(event.kind == "oom" for event in machine.events),
            booted=self.booted,
            exited_ns=self.exited_ns,
            bystander_waits_ns=tuple(ns for _, ns in sorted(self.bystander_waits.items())),
            end_ns=max(ends),
            finished_ns={task.name: end for task, end in zip(tasks, ends, strict=True)},
            final=machine.memory.records(),
            longest_hold_ns=machine.mm.mmap_lock.longest_hold,
            parameters=self._parameters(),
            call=_call(self.scenario, self.given),
            seconds=seconds,
            steps=machine.engine.steps_done - self.setup_steps,
        )

    def _samples_of_memory(self) -> np.ndarray:
        """Those before a jump come first: of two at the same moment the first one counts."""
        samples = self.machine.engine.samples()
        return samples if self.before_jump is None else np.concatenate([self.before_jump, samples])

    def _parameters(self) -> dict[str, Any]:
        from . import __version__

        inputs = {name: value for name, value in self.given.items() if name not in _NOT_INPUTS}
        resolved = {"costs": self.machine.costs, "host_memory": self.host}
        return {**inputs, **resolved, "version": __version__}


_FOR_THE_MACHINE = (
    "lazy_destroy",
    "vcpus",
    "features",
    "process_memory",
    "low_memory",
    "destroy_loop_threshold",
    "list_page_capacity",
)
"""Parameters of a scenario that the machine reads, and checks, itself."""


def min_free_pages(host: int) -> int:
    """Pages that Linux keeps for emergencies: ``init_per_zone_wmark_min`` in mm/page_alloc.c of Linux 5.13."""
    kib = int((host // 1024 * 16) ** 0.5)
    return min(max(kib, 128), 262144) * 1024 // PAGE_SIZE


def _host_memory(value: int | str | None, guest: int, process: int) -> int:
    if value is None:
        roomy = guest + process + guest // 8 + 4 * GIB
        return roomy >> PAGE_SHIFT << PAGE_SHIFT
    host = units.size(value, "host_memory", multiple_of=PAGE_SIZE)
    if host < guest:
        raise ValueError(
            f"host_memory={value!r}: smaller than the guest, which has {units.format_size(guest)}; use more, or None"
        )
    return host


def _costs(costs: Costs | None) -> Costs:
    if costs is None:
        return Costs()
    if not isinstance(costs, Costs):
        raise ValueError(f"costs={costs!r}: use ld.Costs(...), such as ld.Costs(destroy='1.5 us')")
    return costs


def _fits_into_time(costs: Costs, pages: int, latest: int) -> None:
    """Virtual time is 64 bits of nanoseconds: 292 years."""
    page = sum(ns for name, ns in dataclasses.asdict(costs).items() if name not in ("config", "config_per_gib", "cpu"))
    if 4 * page * pages + latest > 1 << 63:
        raise ValueError(
            f"costs={costs!r}: with {units.format_count(pages)} pages this would take more than the 292 years that the "
            "model can count; use lower costs or less memory"
        )


def _one_of(value: Any, accepted: tuple[str, ...], name: str) -> None:
    if value not in accepted:
        raise ValueError(f"{name}={value!r}: use one of {', '.join(map(repr, accepted))}")


def _true_or_false(value: Any, name: str) -> None:
    if not isinstance(value, bool):
        raise ValueError(f"{name}={value!r}: use True or False")


def _part(share: Fraction, pages: int) -> int:
    """A share of some pages, rounded down."""
    return share.numerator * pages // share.denominator


def _bystanders(value: Any) -> tuple[int, ...]:
    """The moments at which a bystander maps memory."""
    if value is None:
        return ()
    moments = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
    if len(moments) > BYSTANDERS:
        complaint, accepted = f"names {len(moments)} moments", f"a time such as '1.5 s', or up to {BYSTANDERS} of them"
        raise units.bad_value("bystander", value, complaint, accepted)
    return tuple(units.duration(moment, "bystander", zero=True) for moment in moments)


def _exit(value: Any) -> int | str | None:
    """When the process is killed: nanoseconds after time 0, `END`, or never."""
    if value is None or (isinstance(value, str) and value == END):
        return value
    try:
        return units.duration(value, "exit_at", zero=True)
    except ValueError as error:
        raise ValueError(f"{error} Or {END!r}, or None.") from None


def _demand(pace: Any, total: Any, guest: int) -> tuple[int | None, int]:
    """Bytes a second that another process allocates, if it does, and how many."""
    if pace is None and total is not None:
        raise ValueError(f"demand_total={total!r}: say how fast, too: demand='2 GiB/s'")
    if total is not None:
        guest = units.size(total, "demand_total", multiple_of=PAGE_SIZE)
    return None if pace is None else units.rate(pace, "demand"), guest


def _by_command(calls: Counter[Any], outcome: str | None = None) -> Counter[UVC]:
    found: Counter[UVC] = Counter()
    for (command, became), number in calls.items():
        if became != RAISED and outcome in (None, became):
            found[command] += number
    return found


def _interruptions(tasks: list[Task]) -> dict[str, Counter[Interruption]]:
    found: dict[str, Counter[Interruption]] = {}
    for task in tasks:
        for (interruption, became), number in task.calls.items():
            if became == RAISED:
                found.setdefault(task.name, Counter())[Interruption(interruption)] += number
    return found


def _call(scenario: str, given: Mapping[str, Any]) -> str:
    """The line of code that runs the scenario again: what differs from the defaults."""
    function = reboot if scenario == "reboot" else shutdown
    arguments = [repr(given["memory"])]
    for name, parameter in inspect.signature(function).parameters.items():
        value = given[name]
        if name != "memory" and name not in _NOT_INPUTS and value != parameter.default:
            arguments.append(f"{name}={value!r}")
    return f"ld.{scenario}({', '.join(arguments)})"


_NOT_INPUTS = ("progress", "_engine")
"""Parameters that do not change the result."""

ROWS = 3000
"""Rows of a series after thinning, at most."""


def _thinned(times: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Which samples to keep: those where a slope changes by more than a page, thinned evenly if that is too many.

    `times` has shape (n,), `values` (n, columns). Returns a boolean mask of shape (n,).
    """
    keep = np.ones(len(times), bool)
    if len(times) > 2:
        t = times.astype(float)
        expected = values[:-2] + (values[2:] - values[:-2]) * ((t[1:-1] - t[:-2]) / (t[2:] - t[:-2]))[:, None]
        keep[1:-1] = (np.abs(values[1:-1] - expected) > 1).any(axis=1)
    kept = np.flatnonzero(keep)
    if len(kept) > ROWS:
        keep[:] = False
        keep[kept[np.linspace(0, len(kept) - 1, ROWS).round().astype(int)]] = True
    return keep


def _memory(samples: np.ndarray, zero: int) -> np.ndarray:
    samples = samples[np.unique(samples[:, 0], return_index=True)[1]]
    keep = _thinned(samples[:, 0], samples[:, 1:9].astype(float))
    samples = samples[keep]
    rows = np.zeros(len(samples), MEMORY)
    for column, name in enumerate(MEMORY.names or ()):
        rows[name] = samples[:, column]
    rows["time"] -= zero
    return rows


def _timeline(tasks: list[Task], samples: np.ndarray, zero: int) -> np.ndarray:
    """Stretches of each task's activities, cut where it went faster or slower."""
    rows: list[tuple[int, int, str, str, int]] = []
    for task in tasks:
        moments = [moment for moment in task.history if moment[1] is None or moment[1]]
        doing: list[str] = []
        for (start, activity, done), following in zip(moments, [*moments[1:], None], strict=True):
            if activity is None:
                doing = doing[:1]
            elif activity.startswith("waits for"):
                doing = [*doing[:1], activity]
            else:
                doing = [activity]
            if following is None or not doing:
                continue
            rows += _stretches(task, start, done, following[0], following[2], doing[-1], samples, zero)
    table = np.array(rows, TIMELINE) if rows else np.zeros(0, TIMELINE)
    return table[np.argsort(table["start"], kind="stable")]


def _stretches(
    task: Task, start: int, done: int, end: int, done_at_end: int, activity: str, samples: np.ndarray, zero: int
) -> list[tuple[int, int, str, str, int]]:
    column = 9 + task.index
    points = [(start, done), (end, done_at_end)]
    if column < samples.shape[1] and done_at_end > done:
        inside = samples[(samples[:, 0] > start) & (samples[:, 0] < end)]
        inside = inside[(inside[:, column] > done) & (inside[:, column] < done_at_end)]
        points[1:1] = [(int(row[0]), int(row[column])) for row in inside]
        marks = np.array(points, float)
        keep = _thinned(marks[:, 0], marks[:, 1:])
        points = [point for point, wanted in zip(points, keep, strict=True) if wanted]
        if len(points) > 200:
            points = [points[i] for i in np.linspace(0, len(points) - 1, 200).round().astype(int)]
    return [
        (a - zero, b - zero, task.name, activity, after - before)
        for (a, before), (b, after) in itertools.pairwise(points)
        if b > a
    ]
