"""A guest is reset again and again, in ways that might harm the host.

`zombies_over_time` and `donated_over_time` tell of a `Run` what configurations that were set aside were there.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping
from typing import Any

from .. import units
from .._core import TooManyKinds
from ..actors import ASYNC_CLEANUP, QEMU, QEMU_EXITS, is_a
from ..costs import Costs
from ..kernel.structs import Flow
from ..machine import DESTROY_LOOP_THRESHOLD, LOW_MEMORY, PV_MAX_LAZY_COUNT, SEGMENT_TABLE
from ..page import Record, State
from ..run import Run, expect_run
from ..series import Series, v1
from ..ultravisor import RC_CONF_LIMIT
from .parameters import (
    HABITS,
    IMAGE,
    IMAGE_AT,
    LOADER,
    LOOPS,
    MAX_NUM_SEC_CONF,
    PATTERNS,
    ULTRAVISORS,
    Progress,
    part,
    read,
)
from .rebooting import Rebooting

LIMIT = "max_num_sec_conf"
NO_DONATION = "no memory to donate"
OUT_OF_MEMORY = "out of memory"
KILLED = "the process was killed"
NOT_UP = "the guest did not come up"

Steps = tuple[tuple[int, int], ...]


def reboot_loop(
    memory: int | str = "64 GiB",
    *,
    habit: str = "at once",
    times: int = 8,
    used: float = 1.0,
    refill: float = 0.0,
    kernel: Series = v1,
    lazy_destroy: bool | None = None,
    async_destroy: bool | None = None,
    costs: Costs | None = None,
    touch: str = "sequential",
    host_memory: int | str | None = None,
    max_num_sec_conf: int = MAX_NUM_SEC_CONF,
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
    film: bool = False,
    progress: Progress | None = None,
    _engine: Mapping[str, bool] | None = None,
) -> Run:
    """Reset a protected guest again and again; each new guest goes protected, and then follows the same habit.

    The loop ends early if a guest does not come up, or memory runs out: ``run.stopped`` says why, and
    ``run.downtimes_ns`` has an entry for each reset that was done. What is under way then comes to its end.

    Parameters
    ----------
    memory, kernel, lazy_destroy, async_destroy, costs, touch, host_memory, swap, vcpus, seed, loader, image, \
    image_at, features, ultravisor, process_memory, low_memory, segment_table, destroy_loop_threshold, \
    list_page_capacity, film, progress
        As for `reboot`; `touch` may not be "none".
    habit : {"at once", "fill", "share", "exit"}
        What a new guest does before it is reset. "at once": nothing, it has touched what its loader and its image
        need. "fill": it touches all its memory. "share": it touches all, and opens all to the host; the first guest
        has opened all that it used, too. "exit": its process exits, and once that is gone another one is started, whose
        guest goes protected and touches `refill` of its memory; that one is reset next.
    times : int
        Resets, 1 to 250.
    used : float
        Share of its memory that the first guest made secure, from address 0 up.
    refill : float
        For the habit "exit", see there.
    max_num_sec_conf : int
        How many secure configurations the Ultravisor can have at a time.

    Returns
    -------
    Run
        Time 0 is the first reset. `downtime_ns`, and with it foreground and background, are about the first reset;
        `booted` is about the last guest.

    Raises
    ------
    ValueError, NotEnoughMemory
        As for `reboot`.
    """
    scenario = Looping(read(locals()))
    try:
        return scenario.stage.play(scenario.qemu(), QEMU)
    except TooManyKinds as error:
        complaint = f"more is left at a time than the model can tell apart ({error})"
        raise ValueError(f"times={times!r}: {complaint}; use fewer") from None


_ONE_REBOOT: Mapping[str, Any] = {
    "new_guest": "protected",
    "touched": 1.0,
    "wait_for_cleanup": False,
    "io": 0.0,
    "bystander": None,
    "exit_at": None,
    "demand": None,
    "demand_total": None,
    "demand_from": "wait",
    "destroy_needs_no_cpus": True,
    "destroy_fails": False,
}
"""What each of the reboots is like."""


class Looping(Rebooting):
    """The actors of a reboot, over and over; for the habit "exit" also what starts the next process."""

    def __init__(self, given: dict[str, Any]) -> None:
        units.one_of(given["habit"], HABITS, "habit")
        units.one_of(given["touch"], PATTERNS[:-1], "touch")
        self.times = units.whole_number(given["times"], "times", 1, LOOPS)
        units.whole_number(given["max_num_sec_conf"], "max_num_sec_conf", 1, 0xFFFFFFFF)
        refill = units.share(given["refill"], "refill")
        self.habit = given["habit"]
        super().__init__({**given, **_ONE_REBOOT, "shared": float(self.habit == "share")}, reboot_loop)
        self.stage.given = given
        pages = self.machine.guest_pages
        self.touches = pages if self.habit in ("fill", "share") else 0
        self.refill = part(refill, pages)

    def qemu(self) -> Flow:
        """One reboot after the other, until a guest does not come up."""
        for number in range(self.times):
            heard = len(self.machine.events)
            self.stage.booted = False
            yield from self.reset(first=not number)
            if self.stage.booted and self.habit == "share":
                self.shares_all()
            elif self.stage.booted and self.habit == "exit":
                yield from self.exits(starts_again=number < self.times - 1)
            if not self.stage.booted:
                self.stage.stopped = self.why(heard)
                self.machine.event("userspace", f"{self.stage.stopped}: the loop ends with reset {number + 1}")
                return

    def reset(self, first: bool) -> Flow:
        """The guest is reset, and the new one goes as far as it does before its habit tells it apart."""
        if first:
            yield from super().qemu()
            return
        machine = self.machine
        self.stage.show_jump()
        began = machine.now
        self.stage.resets_ns.append(began - machine.time_zero)
        yield from self.unprotects()
        if machine.alive:
            self.stage.downtimes_ns.append(machine.now - began)
            yield from self.new_guest_boots()

    def shares_all(self) -> None:
        """The guest opens all its pages to the host, which takes no time."""
        handle = self.machine.kvm.pv.handle

        def shared(record: Record) -> Record:
            own = record.state == State.SECURE and record.owner == handle
            return record._replace(state=State.SHARED) if own else record

        self.machine.memory.change(shared)

    def exits(self, starts_again: bool) -> Flow:
        """The process exits; once it is gone another one is started, and its guest uses memory."""
        machine = self.machine
        self.stage.show_jump()
        machine.kill()
        yield from self.gone()
        if not starts_again:
            return
        self.stage.booted = False
        try:
            machine.start_process()
        except RuntimeError as error:
            machine.event("oom", str(error))
            return
        self.touches = self.refill
        yield from self.new_guest_boots()
        self.touches = 0

    def gone(self) -> Flow:
        """Wait until the process is gone, with all its threads."""
        for task in [task for task in self.machine.tasks if is_a(task.name, QEMU_EXITS, ASYNC_CLEANUP)]:
            yield task.finished

    def why(self, heard: int) -> str:
        """Why the loop cannot go on, from what has been logged since."""
        said = [(event.kind, event.text) for event in self.machine.events[heard:]]
        kinds = {kind for kind, _ in said}
        refused = " ".join(text for kind, text in said if kind == "refused")
        if "oom" in kinds:
            return OUT_OF_MEMORY
        if f"rc {RC_CONF_LIMIT:#x}" in refused:
            return LIMIT
        if "to be donated" in refused:
            return NO_DONATION
        return NOT_UP if self.machine.alive else KILLED


def zombies_over_time(run: Run) -> Steps:
    """How many configurations were set aside and still there.

    Returns
    -------
    tuple of (int, int)
        Moments in nanoseconds, and the number from then on; from time 0 to the end of the run.
    """
    return _steps(run, lambda _donated: 1)


def donated_over_time(run: Run) -> Steps:
    """Pages of donated storage that configurations held which were set aside; as `zombies_over_time`."""
    return _steps(run, lambda donated: donated)


def _steps(run: Run, weight: Any) -> Steps:
    """Add up what configurations weigh as long as they are set aside."""
    expect_run(run)
    changes: Counter[int] = Counter({0: 0})
    for each in run.configurations:
        if each.set_aside_ns is not None:
            changes[each.set_aside_ns] += weight(each.donated)
            if each.destroyed_ns is not None:
                changes[each.destroyed_ns] -= weight(each.donated)
    moments = sorted(changes)
    totals = itertools.accumulate(changes[moment] for moment in moments)
    steps = list(zip(moments, totals, strict=True))
    return (*steps, (run.end_ns, steps[-1][1])) if run.end_ns > steps[-1][0] else tuple(steps)


__all__ = ["HABITS", "donated_over_time", "reboot_loop", "zombies_over_time"]
