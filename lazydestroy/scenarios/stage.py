"""What all scenarios share: a machine whose old guest has used its memory, another process, and the result."""

from __future__ import annotations

import functools
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from .. import units
from .._core import Lock, Memory, Task, step, take_free
from ..actors import OTHER_PROCESS, waits_for
from ..kernel.structs import Flow
from ..limits import require_memory
from ..machine import LOW_MEMORY, Machine
from ..page import PAGE_SHIFT, PAGE_SIZE, Content, Holder, Page, Record, State
from ..run import Configuration, Run
from ..ultravisor import HARMFUL, NOOP, REFUSED, Ultravisor
from ..uvcb import UVC
from .filming import film_of, watched
from .machine import ScenarioMachine
from .parameters import (
    ENGINE_MEMORY,
    FOR_THE_MACHINE,
    INJECTED_RC,
    KILLED_FIRST,
    NOT_INPUTS,
    SAMPLING,
    ULTRAVISORS,
    atomic_reserve,
    call_of,
    costs_of,
    demand_of,
    fits_into_time,
    helper_of,
    host_memory_of,
    part,
)
from .result import by_command, interruptions_of, memory_of, timeline_of


def use_memory(machine: Machine, pages: int, shared: int = 0) -> None:
    """Let the protected guest have touched its first pages, and opened the highest of them to the host, in no time."""
    handle, base = machine.kvm.pv.handle, machine.mm.guest.base
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
    machine.memory.change(lambda _: Record(), base, 1)
    machine.memory.change(lambda _: secure, base, pages)
    machine.memory.change(lambda _: secure._replace(state=State.SHARED), base + pages - shared, shared)


@functools.cache
def _largest_guest() -> int:
    """Bytes that a guest may have, as every Ultravisor of a scenario says."""
    return Ultravisor(memory=Memory(1)).max_guest_stor_addr


class Stage:
    """A machine with an old guest that has used its memory, at time 0 of a scenario.

    `latest` is the latest moment, in nanoseconds after time 0, at which something is to happen in any case.
    """

    def __init__(self, given: Mapping[str, Any], scenario: Callable[..., Run], latest: int = 0) -> None:
        self.scenario = scenario
        self.given = given
        self.progress = given["progress"]
        guest = units.size(given["memory"], "memory", multiple_of=PAGE_SIZE, maximum=_largest_guest())
        self.pages = part(units.share(given["used"], "used"), guest >> PAGE_SHIFT)
        # the image is in page 0
        self.shared = min(part(units.share(given["shared"], "shared"), self.pages), max(self.pages - 1, 0))
        self.pace, self.total = demand_of(given["demand"], given["demand_total"], guest)
        process = units.size(given["process_memory"], "process_memory", multiple_of=PAGE_SIZE, zero=True)
        host = host_memory_of(given["host_memory"], guest, process)
        for name in ("destroy_fails", "destroy_needs_no_cpus", "film"):
            units.flag(given.get(name, True), name)
        units.one_of(given["ultravisor"], ULTRAVISORS, "ultravisor")
        self.helper = helper_of(given.get("helper", False))
        require_memory((host >> PAGE_SHIFT) + ENGINE_MEMORY, f"a run with a host of {units.format_size(host)}")
        self.host = host
        fits_into_time(costs_of(given["costs"]), host >> PAGE_SHIFT, latest)
        self.machine = ScenarioMachine(
            guest,
            kernel=given["kernel"],
            costs=costs_of(given["costs"]),
            host_memory=host,
            donated_from=min(LOW_MEMORY, host // 2),
            reserve=atomic_reserve(host),
            small_storage=False,
            ultravisor={
                **Ultravisor.presets[given["ultravisor"]],
                "destroy_needs_no_cpus": given.get("destroy_needs_no_cpus", True),
                **({"max_configurations": given["max_num_sec_conf"]} if given.get("max_num_sec_conf") else {}),
            },
            **{name: given[name] for name in FOR_THE_MACHINE},
            **(given["_engine"] or {}),
        )
        self.machine.when |= {"exiting": lambda: self.begin_demand("exit"), "gone": self.process_is_gone}
        self.downtime_ns: int | None = None
        self.exited_ns: int | None = None
        self.bystander_waits: dict[int, int] = {}
        self.before_jump: np.ndarray | None = None
        self.before_downtime_ends: Counter[Any] = Counter()
        self.by_actor_then: dict[str, Counter[UVC]] = {}
        self.oom_wait_ns = 0
        self.downtimes_ns: list[int] = []
        self.resets_ns = [0]
        self.oom = self.booted = False
        self.stopped = ""
        self._old_guest_has_run()

    def _old_guest_has_run(self) -> None:
        """Protect the guest, then let all pages that it used be secure, as if it had touched them one by one."""
        machine = self.machine
        machine.guest_up = True
        boot = machine.engine.spawn(machine.protecting(0, 1), "QEMU boots")
        machine.engine.run()
        if not boot.value:
            raise RuntimeError(f"the old guest could not be made protected: {machine.events}")
        if self.helper:
            machine.start_helper()
        if self.helper == KILLED_FIRST:
            machine.kill_helper()
        handle = machine.kvm.pv.handle
        use_memory(machine, self.pages, self.shared)
        if self.given["destroy_fails"]:
            machine.uv.fail(UVC.DESTROY_SEC_CONF, INJECTED_RC, handle=handle)
        machine.qemu.set_aside_running()
        machine.time_zero = machine.now
        machine.kvm.lock = Lock("kvm->lock")  # how long it was held until here is of no interest
        self.first_frame = machine.mm.guest.base
        self.setup = machine.engine.calls()
        self.setup_tasks = len(machine.engine.tasks)
        self.setup_steps = machine.engine.steps_done

    def downtime_ends(self) -> None:
        """The new guest runs, or ``wait()`` returns."""
        self.downtime_ns = self.machine.now - self.machine.time_zero
        self.downtimes_ns.append(self.downtime_ns)
        self.before_downtime_ends = self.machine.engine.calls() - self.setup
        self.by_actor_then = self._by_actor()
        self.machine.engine.sample_now()
        self.begin_demand("start")

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
            self.machine.engine.spawn(self.other_process(self.pace), OTHER_PROCESS)

    def other_process(self, pace: int) -> Flow:
        """Allocates memory until it has enough, or there is none."""
        machine, task = self.machine, self.machine.engine.current
        assert task is not None
        before = task.done
        left = self.total >> PAGE_SHIFT
        while True:
            machine.engine.doing("allocates memory")
            if (yield take_free(left, step(self.allocate), pace)) is not None:
                return
            left, before = left - (task.done - before), task.done
            began = machine.now
            machine.engine.doing(waits_for("memory"))
            freed = machine.kernel.try_to_free_pages(machine.mm) or (yield from machine.kernel.out_of_memory())
            self.oom_wait_ns += machine.now - began
            if not freed:
                break
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
        often = max(1000, machine.guest_pages)
        engine.sample_every(often)
        if self.given["film"]:
            engine.watch(watched(self.first_frame, machine.guest_pages, len(machine.memory)), 16 * often)
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
        tasks = self._tasks()
        calls = machine.engine.calls() - self.setup
        everything, foreground = by_command(calls), by_command(self.before_downtime_ends)
        if self.downtime_ns is None:
            foreground = everything
        # the clock of a task that was killed while it slept stands still since it fell asleep
        ends = [task.history[-1][0] - machine.time_zero for task in tasks]
        cleaned_at = machine.clean_at
        return Run(
            scenario=self.scenario.__name__,
            pages=self.pages,
            downtime_ns=self.downtime_ns,
            downtimes_ns=tuple(self.downtimes_ns),
            resets_ns=tuple(self.resets_ns),
            cleanup_ns=None if cleaned_at is None else cleaned_at - machine.time_zero,
            uvcs=everything,
            noop_uvcs=by_command(calls, NOOP),
            failed_uvcs=by_command(calls, REFUSED),
            harmful_uvcs=by_command(calls, HARMFUL),
            foreground=foreground,
            background=everything - foreground,
            by_actor=self._by_actor(),
            idle_by_actor=self._by_actor(NOOP, REFUSED),
            foreground_by_actor=self._by_actor() if self.downtime_ns is None else self.by_actor_then,
            interruptions=interruptions_of(tasks),
            timeline=timeline_of(tasks, machine.engine.samples(), machine.time_zero),
            memory=memory_of(self._samples_of_memory(), machine.time_zero),
            events=tuple(machine.events),
            configurations=self._configurations(),
            oom=self.oom or any(event.kind == "oom" for event in machine.events),
            oom_wait_ns=self.oom_wait_ns + machine.oom_wait_ns,
            swapped=machine.swapped,
            booted=self.booted,
            stopped=self.stopped,
            exited_ns=self.exited_ns,
            bystander_waits_ns=tuple(ns for _, ns in sorted(self.bystander_waits.items())),
            end_ns=max(ends),
            finished_ns={task.name: end for task, end in zip(tasks, ends, strict=True)},
            final=machine.memory.records(),
            longest_hold_ns=machine.mm.mmap_lock.longest_hold,
            kvm_lock_hold_ns=machine.kvm.lock.longest_hold,
            parameters=self._parameters(),
            call=call_of(self.scenario, self.given),
            seconds=seconds,
            steps=machine.engine.steps_done - self.setup_steps,
            film=film_of(machine, self.first_frame) if self.given["film"] else None,
        )

    def _tasks(self) -> list[Task]:
        """Whoever acted in the scenario."""
        return [task for task in self.machine.engine.tasks[self.setup_tasks :] if task.name != SAMPLING]

    def _by_actor(self, *outcomes: str) -> dict[str, Counter[UVC]]:
        """Calls so far, by actor; all of them, or those of which one of these became."""
        found: dict[str, Counter[UVC]] = {}
        for task in self._tasks():
            calls = sum((by_command(task.calls, outcome) for outcome in outcomes or (None,)), Counter())
            found[task.name] = found.get(task.name, Counter()) + calls
        return found

    def _configurations(self) -> tuple[Configuration, ...]:
        machine, zero = self.machine, self.machine.time_zero
        return tuple(
            Configuration(
                machine.name(handle),
                life.created - zero,
                None if life.set_aside is None else life.set_aside - zero,
                None if life.destroyed is None else life.destroyed - zero,
                life.donated,
                None if life.ended is None else life.ended - zero,
            )
            for handle, life in machine.lives.items()
        )

    def _samples_of_memory(self) -> np.ndarray:
        """Those before a jump come first: of two at the same moment the first one counts."""
        samples = self.machine.engine.samples()
        return samples if self.before_jump is None else np.concatenate([self.before_jump, samples])

    def _parameters(self) -> dict[str, Any]:
        from .. import __version__

        inputs = {name: value for name, value in self.given.items() if name not in NOT_INPUTS}
        resolved = {"costs": self.machine.costs, "host_memory": self.host}
        return {**inputs, **resolved, "version": __version__}
