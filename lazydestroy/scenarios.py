"""Scenarios: a guest is rebooted, or shut down. Each builds a machine, lets it run to the end, and returns a `Run`."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from . import units
from ._core import Memory, Task, step, take_free, visit
from .costs import Costs
from .kernel.structs import Flow
from .limits import require_memory
from .machine import DESTROY_LOOP_THRESHOLD, LOW_MEMORY, PV_MAX_LAZY_COUNT, Machine
from .page import PAGE_SHIFT, PAGE_SIZE, Content, Holder, Page, Record, State
from .run import MEMORY, TIMELINE, Run
from .series import Series, v1
from .ultravisor import Ultravisor
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

ENGINE_MEMORY = 64 << 20
"""What a run takes beside the records of pages, generously."""

Progress = Callable[[float], object]


def reboot(
    memory: int | str = "64 GiB",
    *,
    used: float = 1.0,
    kernel: Series = v1,
    lazy_destroy: bool | None = None,
    costs: Costs | None = None,
    new_guest: str = "protected",
    touch: str = "sequential",
    touched: float = 1.0,
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
    given = dict(locals())
    _one_of(new_guest, NEW_GUESTS, "new_guest")
    _one_of(touch, PATTERNS, "touch")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise ValueError(f"seed={seed!r}: use a whole number")
    share = units.share(touched, "touched")
    loader_len = units.size(loader, "loader", multiple_of=PAGE_SIZE, zero=True)
    image_len = units.size(image, "image", multiple_of=PAGE_SIZE)
    image_start = units.size(image_at, "image_at", multiple_of=PAGE_SIZE, zero=True)
    stage = _Stage(given, "reboot")
    machine = stage.machine
    pages = machine.guest_pages
    first_of_image = min(image_start >> PAGE_SHIFT, pages - 1)
    image_pages = min(image_len >> PAGE_SHIFT, pages - first_of_image)
    touches = 0 if touch == "none" else share.numerator * pages // share.denominator

    def new_guest_boots() -> Flow:
        machine.guest_up = True
        machine.engine.doing("waits for the guest")
        if new_guest == "protected":
            if loader_len:
                yield from vcpus_touch(min(loader_len >> PAGE_SHIFT, pages), "runs the boot loader", alone=True)
            if not machine.guest_up or not (yield from machine.protecting(first_of_image, image_pages)):
                return
        machine.engine.doing("waits for the guest")
        yield from vcpus_touch(touches, "uses its memory")
        stage.booted = machine.guest_up

    def vcpus_touch(count: int, activity: str, alone: bool = False) -> Flow:
        parts = 1 if alone else vcpus
        bounds = [count * part // parts for part in range(parts + 1)]
        machine.vcpu_tasks = [
            machine.engine.spawn(one_vcpu(number, bounds[number], bounds[number + 1], activity), f"vCPU {number}")
            for number in range(parts)
            if bounds[number + 1] > bounds[number]
        ]
        for task in machine.vcpu_tasks:
            yield task.finished

    def one_vcpu(number: int, first: int, end: int, activity: str) -> Flow:
        machine.engine.doing(activity)
        order = "sequential" if activity == "runs the boot loader" else touch
        yield visit(
            machine.mm.guest,
            first,
            end - first,
            step(machine.kernel.guest_access, machine.kvm),
            order,
            seed=seed * 1009 + number,
            lock=machine.mm.mmap_lock,
        )

    def qemu() -> Flow:
        yield from machine.resetting()
        stage.downtime_ends()
        yield from new_guest_boots()

    return stage.play(qemu(), "QEMU")


def shutdown(
    memory: int | str = "64 GiB",
    *,
    used: float = 1.0,
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
    progress: Progress | None = None,
    _engine: Mapping[str, bool] | None = None,
) -> Run:
    """Kill the process of a protected guest; afterwards another process may ask for memory.

    Parameters
    ----------
    memory, used, kernel, lazy_destroy, costs, host_memory, vcpus, features, process_memory, low_memory, \
    destroy_loop_threshold, list_page_capacity, progress
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
    given = dict(locals())
    pace = None if demand is None else units.rate(demand, "demand")
    if demand is None and demand_total is not None:
        raise ValueError(f"demand_total={demand_total!r}: say how fast, too: demand='2 GiB/s'")
    stage = _Stage(given, "shutdown")
    machine = stage.machine
    total = machine.guest_len
    if demand_total is not None:
        total = units.size(demand_total, "demand_total", multiple_of=PAGE_SIZE)

    def process_ends() -> Flow:
        yield from machine.exiting()
        stage.downtime_ends()
        if pace is not None:
            machine.engine.spawn(other_process(), "other process")

    def other_process() -> Flow:
        machine.engine.doing("allocates memory")
        assert pace is not None
        done = yield take_free(total >> PAGE_SHIFT, step(allocate), pace)
        if done is None:
            stage.oom = True
            machine.event("oom", "another process asks for a page, and none is free: it is killed")
            machine.memory.change(lambda record: Record() if record.holder == Holder.OTHER else record)

    def allocate(page: Page) -> None:
        if page.state != State.NON_SECURE:
            machine.endless_fault(page)
            return
        page.update(content=Content.HOST, content_of=0, refs=1, holder=Holder.OTHER)

    return stage.play(process_ends(), "QEMU")


class _Stage:
    """A machine with an old guest that has used its memory, at time 0 of a scenario."""

    def __init__(self, given: Mapping[str, Any], scenario: str) -> None:
        self.scenario = scenario
        self.given = given
        self.progress = given["progress"]
        largest = Ultravisor(memory=Memory(1)).max_guest_stor_addr
        guest = units.size(given["memory"], "memory", multiple_of=PAGE_SIZE, maximum=largest)
        used = units.share(given["used"], "used")
        self.pages = used.numerator * (guest >> PAGE_SHIFT) // used.denominator
        process = units.size(given["process_memory"], "process_memory", multiple_of=PAGE_SIZE, zero=True)
        host = _host_memory(given["host_memory"], guest, process)
        require_memory((host >> PAGE_SHIFT) + ENGINE_MEMORY, f"a run with a host of {units.format_size(host)}")
        self.host = host
        _fits_into_time(_costs(given["costs"]), host >> PAGE_SHIFT)
        self.machine = Machine(
            guest,
            kernel=given["kernel"],
            costs=_costs(given["costs"]),
            host_memory=host,
            donated_from=min(LOW_MEMORY, host // 2),
            reserve=min_free_pages(host),
            small_storage=False,
            **{name: given[name] for name in _FOR_THE_MACHINE},
            **(given["_engine"] or {}),
        )
        self.downtime_ns: int | None = None
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
        machine.memory.change(lambda _: Record(), machine.mm.guest.base, 1)
        machine.memory.change(lambda _: secure, machine.mm.guest.base, self.pages)
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

    def play(self, flow: Flow, name: str) -> Run:
        """Let it run to the end."""
        machine, engine = self.machine, self.machine.engine
        began = time.perf_counter()
        engine.sample_every(max(1000, machine.guest_pages))
        if self.progress is not None:
            engine.progress = self._report
        engine.spawn(flow, name, machine.time_zero)
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
        tasks = machine.engine.tasks[self.setup_tasks :]
        calls = machine.engine.calls() - self.setup
        everything, foreground = _by_command(calls), _by_command(self.before_downtime_ends)
        by_actor: dict[str, Counter[UVC]] = {}
        for task in tasks:
            by_actor[task.name] = by_actor.get(task.name, Counter()) + _by_command(task.calls)
        cleaned_at = machine.destroyed_at
        if machine.old & machine.uv.configurations.keys():
            cleaned_at = None
        return Run(
            scenario=self.scenario,
            pages=self.pages,
            downtime_ns=self.downtime_ns,
            cleanup_ns=None if cleaned_at is None else cleaned_at - machine.time_zero,
            uvcs=everything,
            noop_uvcs=_by_command(calls, "noop"),
            failed_uvcs=_by_command(calls, "refused"),
            foreground=foreground,
            background=everything - foreground,
            by_actor=by_actor,
            timeline=_timeline(tasks, machine.engine.samples(), machine.time_zero),
            memory=_memory(machine.engine.samples(), machine.time_zero),
            events=tuple(machine.events),
            oom=self.oom or any(event.kind == "oom" for event in machine.events),
            booted=self.booted,
            end_ns=max(task.clock for task in tasks) - machine.time_zero,
            finished_ns={task.name: task.clock - machine.time_zero for task in tasks},
            final=machine.memory.records(),
            longest_hold_ns=machine.mm.mmap_lock.longest_hold,
            parameters=self._parameters(),
            call=_call(self.scenario, self.given),
            seconds=seconds,
            steps=machine.engine.steps_done - self.setup_steps,
        )

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


def _fits_into_time(costs: Costs, pages: int) -> None:
    """Virtual time is 64 bits of nanoseconds: 292 years."""
    page = sum(ns for name, ns in dataclasses.asdict(costs).items() if name not in ("config", "config_per_gib", "cpu"))
    if 4 * page * pages > 1 << 63:
        raise ValueError(
            f"costs={costs!r}: with {units.format_count(pages)} pages this would take more than the 292 years that the "
            "model can count; use lower costs or less memory"
        )


def _one_of(value: Any, accepted: tuple[str, ...], name: str) -> None:
    if value not in accepted:
        raise ValueError(f"{name}={value!r}: use one of {', '.join(map(repr, accepted))}")


def _by_command(calls: Counter[Any], outcome: str | None = None) -> Counter[UVC]:
    found: Counter[UVC] = Counter()
    for (command, became), number in calls.items():
        if outcome in (None, became):
            found[command] += number
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
