"""What happened in a run: times, counts, timeline, memory, events."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import units
from .page import Holder, State
from .rounded import counted
from .ultravisor import Interruption
from .units import bad_value, format_count, format_duration, format_size
from .uvcb import UVC

NS = 1_000_000_000

TIMELINE = np.dtype([("start", "i8"), ("end", "i8"), ("actor", "U24"), ("activity", "U40"), ("pages", "i8")])
"""One stretch of what an actor did: nanoseconds, and pages done in it. Texts are wider where names are longer."""


def timeline_table(rows: Sequence[tuple[int, int, str, str, int]]) -> np.ndarray:
    """Stretches as an array of `TIMELINE`, in which every name stands in full."""
    widths = {
        name: max([TIMELINE[name].itemsize // _CHARACTER, *map(len, texts)])
        for name, texts in (("actor", [row[2] for row in rows]), ("activity", [row[3] for row in rows]))
    }
    kinds = [(name, f"U{widths[name]}" if name in widths else TIMELINE[name].str) for name in TIMELINE.names or ()]
    return np.array(list(rows), np.dtype(kinds))


_CHARACTER = np.dtype("U1").itemsize


MEMORY = np.dtype(
    [
        (name, "i8")
        for name in ("time", "free", "guest", "set_aside", "donated", "other", "leaked", "uncleaned", "charged")
    ]
)
"""What memory was used for, in pages, from `time` (nanoseconds) on. `uncleaned` is a part of guest or set_aside, and
`charged` (to the memory cgroup of the guest's process) is, too; the six others add up to the host's memory."""


KINDS = (
    "free",
    "clean",
    "guest",
    "old guest",
    "shared",
    "set aside",
    "donated",
    "other process",
    "leaked",
)
"""What a page on a film can be. "clean": mapped, cleaned, not used again yet; "old guest": not yet clean; "shared":
that, and the old guest had opened it to the host; "guest": the running guest's."""


def moment_of(time_ns: object, end: int) -> int:
    """Read the moment of a run that is nearest to a time: it lasts from 0 to `end`, in nanoseconds."""
    moment = math.floor(units.number(time_ns, "time_ns", "a number of nanoseconds, such as 1_000_000"))
    return min(max(moment, 0), end)


@dataclass(frozen=True, slots=True, eq=False)
class Film:
    """What became of some of the host's pages, evenly spread, over the time of a run.

    The host's memory is cut into cells of equally many pages, give or take one, and the film shows the page in the
    middle of each cell: first the cells of the memory that the guest had at time 0, by guest address, then those of
    the rest of the host.

    Attributes
    ----------
    times_ns : numpy.ndarray of int64, shape (frames,)
        Nanoseconds since time 0; a frame holds until the next.
    kinds : numpy.ndarray of uint8, shape (frames, guest_cells + rest_cells)
        Numbers of `KINDS`.
    guest_cells, rest_cells : int
    guest_pages, rest_pages : int
        How many pages they stand for.
    """

    times_ns: np.ndarray
    kinds: np.ndarray
    guest_cells: int
    rest_cells: int
    guest_pages: int
    rest_pages: int

    def at(self, time_ns: int) -> tuple[np.ndarray, np.ndarray]:
        """The guest's memory and the rest of the host at a moment: numbers of `KINDS`, one a cell.

        Raises
        ------
        ValueError
            If it is no number.
        """
        at = moment_of(time_ns, int(self.times_ns[-1]))
        frame = self.kinds[max(0, int(np.searchsorted(self.times_ns, at, side="right")) - 1)]
        return frame[: self.guest_cells], frame[self.guest_cells :]


class Event(NamedTuple):
    """Something that a log would show.

    Attributes
    ----------
    time_ns : int
    kind : str
        "warning", "signal", "addressing exception", "bug", "oom", "leak", "use after free", "endless fault",
        "refused", "userspace".
    actor : str
        The task at whose hand it happened.
    text : str
    """

    time_ns: int
    kind: str
    actor: str
    text: str

    def __str__(self) -> str:
        return f"[{self.time_ns / NS:12.6f}] {self.kind}: {self.text} ({self.actor})"


class Configuration(NamedTuple):
    """A secure configuration over the time of a run; nanoseconds since time 0.

    Attributes
    ----------
    name : str
        "A", "B", ... in the order of creation.
    created_ns : int
        Below 0: it was there at the beginning.
    set_aside_ns : int or None
        When its VM let go of it while it was still there: a zombie from then on. None: never.
    destroyed_ns : int or None
        When DESTROY_SEC_CONF, or DESTROY_SEC_CONF_FAST, succeeded. None: never.
    donated : int
        Pages of donated storage that it holds while it is set aside.
    ended_ns : int or None
        When its guest was reset, or its process began to exit. None: it runs.
    """

    name: str
    created_ns: int
    set_aside_ns: int | None
    destroyed_ns: int | None
    donated: int
    ended_ns: int | None


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Run:
    """The result of a scenario. Time 0 is the reset request, or the kill.

    Attributes
    ----------
    scenario : str
        "reboot", "shutdown" or "reboot_loop".
    pages : int
        N, the pages that the old guest had made secure.
    downtime_ns : int or None
        Reboot: until the new guest's first instruction. Shutdown: until ``wait()`` returns. None: never.
    downtimes_ns : tuple of int
        The downtime of each reset, if there was more than one.
    resets_ns : tuple of int
        When each of these downtimes began: a reset request, or the kill. The last one may have no downtime.
    cleanup_ns : int or None
        Until the last old page is clean and the last old configuration destroyed. None: never.
    uvcs, noop_uvcs, failed_uvcs : Counter of UVC to int
        Calls made; those of them that changed nothing; those that were refused.
    harmful_uvcs : Counter of UVC to int
        Those that destroyed a page of a running guest: its data were lost, once for each of them. None, unless rule 1
        is turned off.
    foreground, background : Counter of UVC to int
        `uvcs` split at the end of the downtime. All are foreground if that never ends.
    by_actor : dict of str to Counter
        `uvcs` by the actor that made them.
    foreground_by_actor : dict of str to Counter
        `foreground` by the actor that made them.
    idle_by_actor : dict of str to Counter
        Those of them that changed nothing or were refused, by the actor that made them.
    interruptions : dict of str to Counter of Interruption
        What guests' accesses raised, by the actor that made them; "vCPU 0" ... Actors that met none are not in it.
    timeline : numpy.ndarray of TIMELINE
    memory : numpy.ndarray of MEMORY
    events : tuple of Event
    configurations : tuple of Configuration
        In the order of creation; the first one is the old guest's.
    oom : bool
        Whether memory ran out.
    oom_wait_ns : int
        How long the other process, and page faults of the guest, waited in an out-of-memory situation, before they got
        a page or their process was killed.
    swapped : int
        Pages of the guest that were written to swap.
    booted : bool
        Reboot: whether the new guest came up and did all that it was to do. Shutdown: False.
    stopped : str
        Why a reboot loop ended before all its resets were done; empty if it did not.
    exited_ns : int or None
        When ``wait()`` on the process returned. None: it did not exit.
    bystander_waits_ns : tuple of int
        How long each attempt to map memory waited for ``mmap_lock``, in the order in which they were given. Those
        that the end of the process forestalled are left out.
    end_ns : int
        When the last task was done.
    finished_ns : dict of str to int
        When each actor was done.
    final : dict of Record to int
        How many pages of the host have which record at the end.
    longest_hold_ns, kvm_lock_hold_ns : int
        Longest time for which ``mmap_lock`` was held at a stretch, and ``kvm->lock``.
    parameters : dict
        All inputs, and the version of the package.
    call : str
        The Python that makes the run again.
    seconds : float
        What it took to compute, on this computer.
    steps : int
        Page steps computed.
    film : Film or None
        If it was asked for.
    """

    scenario: str
    pages: int
    downtime_ns: int | None
    downtimes_ns: tuple[int, ...]
    resets_ns: tuple[int, ...]
    cleanup_ns: int | None
    uvcs: Counter[UVC]
    noop_uvcs: Counter[UVC]
    failed_uvcs: Counter[UVC]
    harmful_uvcs: Counter[UVC]
    foreground: Counter[UVC]
    background: Counter[UVC]
    by_actor: Mapping[str, Counter[UVC]]
    foreground_by_actor: Mapping[str, Counter[UVC]]
    idle_by_actor: Mapping[str, Counter[UVC]]
    interruptions: Mapping[str, Counter[Interruption]]
    timeline: np.ndarray
    memory: np.ndarray
    events: tuple[Event, ...]
    configurations: tuple[Configuration, ...]
    oom: bool
    oom_wait_ns: int
    swapped: int
    booted: bool
    stopped: str
    exited_ns: int | None
    bystander_waits_ns: tuple[int, ...]
    end_ns: int
    finished_ns: Mapping[str, int]
    final: Mapping[Any, int]
    longest_hold_ns: int
    kvm_lock_hold_ns: int
    parameters: Mapping[str, Any]
    call: str
    seconds: float = field(default=0.0)
    steps: int = field(default=0)
    film: Film | None = field(default=None)

    @property
    def downtime(self) -> float | None:
        """`downtime_ns` in seconds."""
        return None if self.downtime_ns is None else self.downtime_ns / NS

    @property
    def cleanup(self) -> float | None:
        """`cleanup_ns` in seconds."""
        return None if self.cleanup_ns is None else self.cleanup_ns / NS

    @property
    def secure_free(self) -> int:
        """Pages that are free at the end, and that no one can use: they are still secure, shared or donated."""
        return sum(
            pages
            for record, pages in self.final.items()
            if record.holder == Holder.FREE and record.state != State.NON_SECURE
        )

    def reproduce(self) -> str:
        """The line of code that makes this run again (after ``import lazydestroy as ld``)."""
        return self.call

    def plot(self, **options: Any) -> Any:
        """Draw the run; see `lazydestroy.plots.plot_run`."""
        from .plots import plot_run

        return plot_run(self, **options)

    def to_perfetto(self, file: str | PathLike[str]) -> Path:
        """Write the run as a trace that Perfetto opens: who did what, events, configurations, memory.

        Perfetto runs in a browser, and your file stays on your computer: choose "Open trace file" there. So does
        chrome://tracing. Waiting for a lock is a slice of its own; how long locks were held at most is in the
        metadata.

        Parameters
        ----------
        file : path
            Such as "reboot.json". What is there is replaced.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        ValueError
            If it is no name that ends in ".json", or cannot be written.
        """
        from .perfetto import trace_of

        if not isinstance(file, str | PathLike) or Path(file).suffix != ".json":
            raise bad_value("file", file, "is no name for such a file", 'a name that ends in ".json"')
        path = Path(file)
        try:
            path.write_text(json.dumps(trace_of(self), separators=(",", ":")), encoding="utf-8")
        except OSError as error:
            complaint = f"cannot be written ({error.strerror})"
            raise bad_value("file", str(file), complaint, "a file you may write") from None
        return path

    def _rows(self) -> list[tuple[str, str]]:
        """What a reader wants to know first: label and value."""
        old = "wait() returns" if self.scenario == "shutdown" else "the new guest runs"
        rows = [
            ("pages the old guest made secure", f"{format_count(self.pages)} ({format_size(self.pages * 4096)})"),
            (f"downtime, until {old}", "never" if self.downtime_ns is None else format_duration(self.downtime_ns)),
            ("all cleaned after", "never" if self.cleanup_ns is None else format_duration(self.cleanup_ns)),
        ]
        for name, calls in (("foreground", self.foreground), ("background", self.background)):
            rows.append((f"Ultravisor Calls, {name}", _count_calls(calls)))
        rows.append(("of these without effect · refused", f"{_total(self.noop_uvcs)} · {_total(self.failed_uvcs)}"))
        if self.harmful_uvcs:
            rows.append(("pages of a running guest that were destroyed", _total(self.harmful_uvcs)))
        rows.append(("out of memory", "yes" if self.oom else "no"))
        return rows

    def __repr__(self) -> str:
        width = max(len(label) for label, _ in self._rows())
        lines = [f"{self.scenario}: {self.call}"]
        lines += [f"  {label:<{width}}  {value}" for label, value in self._rows()]
        lines += [f"  {event}" for event in self.events[:8]]
        if len(self.events) > 8:
            lines.append(f"  ... and {counted(len(self.events) - 8, 'more events')}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from html import escape

        cells = "".join(
            f"<tr><th style='text-align:left;font-weight:normal'>{escape(label)}</th>"
            f"<td style='text-align:left'><b>{escape(value)}</b></td></tr>"
            for label, value in self._rows()
        )
        events = "".join(f"<li>{escape(str(event))}</li>" for event in self.events[:8])
        return (
            f"<div><code>{escape(self.call)}</code><table>{cells}</table>"
            + (f"<ul>{events}</ul>" if events else "")
            + "</div>"
        )


def expect_run(value: object, name: str = "run") -> None:
    """Refuse what is no run.

    Raises
    ------
    ValueError
        Names the parameter, the value and what is accepted.
    """
    units.expect(Run, value, name, "a run, such as ld.reboot('4 GiB')")


def runs_of(value: object, name: str = "runs") -> tuple[Run, ...]:
    """Read several runs.

    Raises
    ------
    ValueError
        If there is none, or something else among them.
    """
    runs = units.several(value, name, "several runs, such as (ld.reboot('4 GiB'),)")
    if not runs:
        raise ValueError(f"{name}=(): give at least one run, such as ld.reboot('4 GiB')")
    for run in runs:
        expect_run(run, name)
    return runs


def _total(calls: Counter[UVC]) -> str:
    return format_count(sum(calls.values()))


def _count_calls(calls: Counter[UVC]) -> str:
    """Write calls like 1,234 DESTR_SEC_STOR, 2 DESTROY_SEC_CPU; the most frequent first."""
    return ", ".join(f"{format_count(n)} {_name(cmd)}" for cmd, n in calls.most_common()) or "none"


def _name(cmd: UVC | int) -> str:
    return cmd.name if isinstance(cmd, UVC) else f"{cmd:#x}"
