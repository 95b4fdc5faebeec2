"""A run as a trace for Perfetto, or for chrome://tracing: the "Trace Event Format", in JSON.

Rows of the timeline become slices (``X``) on a thread for each actor, events become instants (``i``), and memory
becomes counters (``C``). The format counts time in microseconds; digits behind the point keep our nanoseconds. Source
of its rules: "Trace Event Format", the document of Chromium's trace viewer, which Perfetto's importer follows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .actors import ASYNC_CLEANUP, CLEAN_UP, IO, QEMU, VCPU, is_a, is_waiting, waits_for
from .page import PAGE_SIZE

if TYPE_CHECKING:
    from .run import Run

OF_QEMU = (QEMU, VCPU, ASYNC_CLEANUP, IO)
"""Kinds of actors that are threads of QEMU. A thread of the kernel belongs to the kernel; all others are
processes of their own."""

KERNEL, ULTRAVISOR, MEMORY, DOWNTIME = "kernel", "Ultravisor", "memory", "downtime"

LOCKS = (waits_for("mmap_lock"), waits_for("kvm->lock"))

USES = ("free", "guest", "set_aside", "donated", "other", "leaked")
"""Columns of `Run.memory` that add up to the host's memory."""

Event = dict[str, Any]


def trace_of(run: Run) -> dict[str, Any]:
    """The trace of a run, as the JSON object that a file holds.

    Parameters
    ----------
    run : Run

    Returns
    -------
    dict
        "traceEvents", and beside it the unit to show and what was run.
    """
    tracks = _Tracks()
    events = [*_slices(run, tracks), *_configurations(run, tracks), *_instants(run, tracks), *_counters(run, tracks)]
    about = {
        "run": run.reproduce(),
        "longest hold of mmap_lock (ns)": str(run.longest_hold_ns),
        "longest hold of kvm->lock (ns)": str(run.kvm_lock_hold_ns),
    }
    return {"traceEvents": [*tracks.names(), *events], "displayTimeUnit": "ms", "otherData": about}


class _Tracks:
    """The numbers of processes and threads, given to their names in the order in which these are asked for."""

    def __init__(self) -> None:
        self._processes: dict[str, int] = {}
        self._threads: dict[tuple[str, str], int] = {}

    def of(self, thread: str, process: str = "") -> Event:
        """The numbers of a thread. Without a process: of the one that an actor of that name belongs to."""
        process = process or _process_of(thread)
        pid = self._processes.setdefault(process, len(self._processes) + 1)
        tid = self._threads.setdefault((process, thread), len(self._threads) + 1)
        return {"pid": pid, "tid": tid}

    def names(self) -> Iterator[Event]:
        """The events that give processes and threads their names and their order."""
        for process, pid in self._processes.items():
            yield _metadata("process_name", pid, 0, name=process)
            yield _metadata("process_sort_index", pid, 0, sort_index=pid)
        for (process, thread), tid in self._threads.items():
            yield _metadata("thread_name", self._processes[process], tid, name=thread)
            yield _metadata("thread_sort_index", self._processes[process], tid, sort_index=tid)


def _metadata(kind: str, pid: int, tid: int, **args: Any) -> Event:
    return {"name": kind, "ph": "M", "ts": 0, "pid": pid, "tid": tid, "args": args}


def _process_of(actor: str) -> str:
    if is_a(actor, *OF_QEMU):
        return QEMU
    return KERNEL if is_a(actor, CLEAN_UP) else actor


def _slices(run: Run, tracks: _Tracks) -> Iterator[Event]:
    """The downtimes, then what each actor did."""
    ends = [start + length for start, length in zip(run.resets_ns, run.downtimes_ns, strict=False)]
    ends += [run.end_ns] * (len(run.resets_ns) - len(ends))
    for start, end in zip(run.resets_ns, ends, strict=True):
        yield _slice(DOWNTIME, DOWNTIME, start, end, tracks.of(DOWNTIME, "the guest"))
    for row in run.timeline:
        actor, activity = str(row["actor"]), str(row["activity"])
        kind = "lock" if activity in LOCKS else "wait" if is_waiting(activity) else "work"
        pages = {"pages": int(row["pages"])}
        yield _slice(activity, kind, int(row["start"]), int(row["end"]), tracks.of(actor)) | {"args": pages}


def _slice(name: str, kind: str, start: int, end: int, where: Event) -> Event:
    return {"name": name, "cat": kind, "ph": "X", "ts": _us(start), "dur": _us(end - start), **where}


def _configurations(run: Run, tracks: _Tracks) -> Iterator[Event]:
    """A track for each secure configuration: in use, then perhaps set aside."""
    for each in run.configurations:
        start, gone = max(0, each.created_ns), run.end_ns if each.destroyed_ns is None else each.destroyed_ns
        aside = gone if each.set_aside_ns is None else min(gone, max(start, each.set_aside_ns))
        where = tracks.of(f"configuration {each.name}", ULTRAVISOR)
        yield _slice("in use", "configuration", start, aside, where)
        if aside < gone:
            yield _slice("set aside", "configuration", aside, gone, where)


def _instants(run: Run, tracks: _Tracks) -> Iterator[Event]:
    """What a log would show, on the track of the actor at whose hand it happened."""
    for event in run.events:
        where = tracks.of(event.actor)
        text = {"text": event.text}
        yield {"name": event.kind, "cat": "log", "ph": "i", "s": "t", "ts": _us(event.time_ns), "args": text, **where}


def _counters(run: Run, tracks: _Tracks) -> Iterator[Event]:
    """Bytes of memory by use, and bytes that are not clean yet, which are part of these."""
    where = tracks.of(MEMORY, MEMORY)
    for row in run.memory:
        ts = _us(int(row["time"]))
        uses = {use.replace("_", " "): int(row[use]) * PAGE_SIZE for use in USES}
        yield {"name": "memory (bytes)", "cat": MEMORY, "ph": "C", "ts": ts, "args": uses, **where}
        unclean = {"bytes": int(row["uncleaned"]) * PAGE_SIZE}
        yield {"name": "not yet clean", "cat": MEMORY, "ph": "C", "ts": ts, "args": unclean, **where}


def _us(nanoseconds: int) -> float:
    """Microseconds; a float holds each nanosecond of the first hundred days."""
    return nanoseconds / 1000
