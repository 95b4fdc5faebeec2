"""What a picture of a run is made of: an actor's stretches of doing and waiting, bands of memory."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from ..actors import ASYNC_CLEANUP, CLEAN_UP, HELPER, OTHER_PROCESS, QEMU, QEMU_EXITS, VCPU, is_a, is_waiting
from ..run import Run, expect_run
from .picture import PALETTE, Look


class Stretch(NamedTuple):
    """An actor does something from `start` to `end` (nanoseconds)."""

    start: int
    end: int
    activity: str
    waits: bool = False


class Lane(NamedTuple):
    """What one party did: what all of its tasks did, then a row for each.

    `actors` is the kind of its tasks; `idle` is what to write if it did nothing.
    """

    name: str
    actors: str
    look: Look
    rows: list[list[Stretch]]
    idle: str
    common: tuple[Stretch, ...] = ()

    def merged(self) -> list[Stretch]:
        """What was done, by whichever task."""
        return list(_merged([*self.common, *(stretch for row in self.rows for stretch in row)]))


@functools.lru_cache(maxsize=8)
def lanes_of(run: Run) -> list[Lane]:
    """The lanes of a run, always the same ones for a scenario and a demand."""
    rows: dict[str, list[Stretch]] = {}
    columns = (run.timeline[name].tolist() for name in ("actor", "activity", "start", "end"))
    for actor, activity, start, end in zip(*columns, strict=True):
        rows.setdefault(actor, []).append(Stretch(start, end, activity, is_waiting(activity)))

    def lane(name: str, actors: str, idle: str, common: tuple[Stretch, ...] = ()) -> Lane:
        found = [list(_merged(row)) for actor, row in rows.items() if is_a(actor, actors)]
        return Lane(name, actors, PALETTE[_LOOKS.get(actors, actors)], found, idle, common)

    lanes = [lane(QEMU, QEMU, "does nothing")]
    if run.scenario != "shutdown":
        lanes.append(lane("guest's vCPUs", VCPU, "never run", tuple(_standing_still(run, "vCPU 0" in rows))))
    lanes += [lane(name, name, "there is none") for name in _cleaners(run)]
    if run.parameters.get("demand"):
        lanes.append(lane(OTHER_PROCESS, OTHER_PROCESS, "does nothing"))
    return lanes


def _cleaners(run: Run) -> list[str]:
    """Who cleans up in the background: a kernel thread, or a thread of QEMU and, at a shutdown, a helper process."""
    in_userspace = hasattr(run.parameters["kernel"].kernel, "kvm_pv_async_cleanup_prepare")
    if run.scenario != "shutdown":
        return [ASYNC_CLEANUP if in_userspace else CLEAN_UP]
    helped = [HELPER] if in_userspace or run.parameters["helper"] else []
    return helped if in_userspace else [*helped, CLEAN_UP]


_LOOKS = {VCPU: "guest", ASYNC_CLEANUP: CLEAN_UP, HELPER: CLEAN_UP}
"""All that clean up in the background have one colour."""


def _standing_still(run: Run, busy: bool) -> Iterator[Stretch]:
    """What all vCPUs do: they stand still while their guest is down, and are free to run afterwards."""
    end = 0
    for start, end in downtimes_of(run):
        yield Stretch(start, end, "wait for QEMU", waits=True)
    exits: list[int] = run.timeline["start"][run.timeline["actor"] == QEMU_EXITS].tolist()
    last = min([*exits, run_end(run) if run.exited_ns is None else run.exited_ns])
    if run.booted and not busy and end < last:
        yield Stretch(end, last, "may run, touch nothing")


def downtimes_of(run: Run) -> list[tuple[int, int]]:
    """From when to when the guest is down, or the process has not ended; one that never ends lasts until the end."""
    lasts = [*run.downtimes_ns, *(run_end(run) - start for start in run.resets_ns[len(run.downtimes_ns) :])]
    return [(start, start + ns) for start, ns in zip(run.resets_ns, lasts, strict=True)]


def _merged(stretches: Iterable[Stretch]) -> Iterator[Stretch]:
    """Stretches of one activity, put together where they meet or overlap."""
    ordered = sorted(stretches)
    if not ordered:
        return
    first, last, activity, waits = ordered[0]
    for stretch in ordered[1:]:
        start, end, does, _ = stretch
        if does == activity and start <= last:
            last = max(last, end)
        else:
            yield Stretch(first, last, activity, waits)
            first, last, activity, waits = stretch
    yield Stretch(first, last, activity, waits)


def run_end(run: Run) -> int:
    """When the last thing of a run happened, in nanoseconds."""
    expect_run(run)
    return max(run.end_ns, run.cleanup_ns or 0, run.downtime_ns or 0, 1)


def bands_of(run: Run) -> list[tuple[Look, np.ndarray]]:
    """What memory is used for, from below upwards: the look, and pages of shape (rows of run.memory,)."""
    memory = run.memory
    old = np.minimum(memory["uncleaned"], memory["guest"])
    bands = [
        ("guest", memory["guest"] - old),
        ("old guest", old),
        ("set aside", memory["set_aside"]),
        ("other process", memory["other"]),
        ("donated", memory["donated"]),
        ("leaked", memory["leaked"]),
        ("free", memory["free"]),
    ]
    return [(PALETTE[name], pages) for name, pages in bands]
