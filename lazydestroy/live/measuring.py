"""Measuring the end of a process: starting the stage, reading what it saw, and refusing what would not fit."""

from __future__ import annotations

import json
import mmap
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ..limits import available_memory
from ..rounded import about_duration, about_size
from ..units import bad_value, flag, format_size, size, whole_number

SHARE = 2
"""At most one part in so many is taken of the memory that is available."""

LEAST = 16 << 20
"""Bytes: less than that is gone too fast to be measured."""

QUARTERS = 4 << 20
"""Bytes that can be halved twice in whole MiB."""

TIMES = 20
"""Repetitions, at most."""

SAMPLES = np.dtype([(name, "i8") for name in ("time", "available", "free", "process", "helper")])
"""One look at the memory: nanoseconds since the kill; then bytes that are available and free, and that are resident of
the process and of its helper. What CPUs keep in their own lists counts as free."""

STAGE = Path(__file__).with_name("stage.py")

SECONDS_MAX = 180
"""After that a measurement is given up. The process itself ends before, by an alarm of its own."""

PATIENCE = 5
"""Seconds for the stage to clean up when it is told to."""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Exit:
    """The end of a process, as it was measured. Time 0 is the kill.

    Attributes
    ----------
    size : int
        Bytes that the process had touched.
    helper, huge_pages : bool
    fill_ns : int
        How long it took to touch them.
    wait_ns : int
        Until ``wait()`` on the process returned.
    freed_ns : int
        Until the last process that used the memory had ended: then all of it is back.
    cpu_ns : int or None
        CPU time that both processes used between the kill and their ends. None: this kernel doesn't say.
    samples : numpy.ndarray of SAMPLES
        The first one is taken just before the kill.
    machine : str
        The computer, in words.
    recorded : str
        Why these are figures that were recorded on another computer; empty if they were measured here.
    """

    size: int
    helper: bool
    huge_pages: bool
    fill_ns: int
    wait_ns: int
    freed_ns: int
    cpu_ns: int | None
    samples: np.ndarray
    machine: str
    recorded: str = field(default="")

    @property
    def taken(self) -> np.ndarray:
        """Bytes that are not back yet, at the time of each sample: what is free more than at the kill is back."""
        return np.clip(self.size - (self.samples["free"] - self.samples["free"][0]), 0, self.size)

    @property
    def missing(self) -> int:
        """Bytes that are not back yet when ``wait()`` has returned: by the first look after that."""
        return int(self.taken[np.searchsorted(self.samples["time"], self.wait_ns)])

    @property
    def busy(self) -> bool:
        """Whether other work took much of the time: the processes waited longer for a CPU than they had one."""
        return self.cpu_ns is not None and self.freed_ns > 2 * self.cpu_ns

    @property
    def work_ns(self) -> int:
        """The CPU time, or where that is not known the time until all memory is back."""
        return self.freed_ns if self.cpu_ns is None else self.cpu_ns

    def __repr__(self) -> str:
        helped = "with a helper" if self.helper else "without a helper"
        pages = ", in huge pages" if self.huge_pages else ""
        lines = [f"{format_size(self.size)}{pages}, {helped}:"]
        if self.helper:
            wait, missing = about_duration(self.wait_ns), about_size(self.missing)
            lines.append(f"  wait() returns after {wait}; {missing} are not back then")
            lines.append(f"  all memory is back after {about_duration(self.freed_ns)}")
        else:
            lines.append(f"  wait() returns, and all memory is back, after {about_duration(self.freed_ns)}")
        if self.cpu_ns is not None:
            busy = ": the computer was busy" if self.busy else ""
            lines[-1] += f" ({about_duration(self.cpu_ns)} of CPU time{busy})"
        if self.recorded:
            lines.append(f"  Not measured here: {self.recorded}. Recorded on {self.machine}.")
        return "\n".join(lines)


def exit_time(memory: int | str = "1 GiB", *, helper: bool = False, huge_pages: bool = False, times: int = 1) -> Exit:
    """Kill a process that has touched so much memory, and measure how long its end takes. On your own computer.

    The process is new, and has nothing else. It takes part of what is free, never more than `largest` says, and it ends
    in any case: if you interrupt the cell, and if the notebook's kernel is killed. Touching a GiB takes about a second,
    and longer on a virtual machine that has to ask its host for memory.

    Parameters
    ----------
    memory : int or str
        From 16 MiB to `largest`, in whole pages.
    helper : bool
        Whether a second process shares the memory (``clone`` with CLONE_VM) and is killed when the first one is gone.
    huge_pages : bool
        Whether to ask for huge pages (``madvise``) or for none.
    times : int
        Measure so often, and keep the one that took least: other work on the computer makes it longer, never shorter.

    Returns
    -------
    Exit
        Where this cannot run, the recorded one whose size is nearest: ``.recorded`` says why, and its repr says so.

    Raises
    ------
    ValueError
        If a value is none of these, or it would take more of the memory than `largest`.
    RuntimeError
        If the process ended before it was killed, or the measurement took longer than three minutes.
    """
    wanted = size(memory, "memory", multiple_of=mmap.PAGESIZE)
    given = {"helper": flag(helper, "helper"), "huge_pages": flag(huge_pages, "huge_pages")}
    times = whole_number(times, "times", 1, TIMES)
    if wanted < LEAST:
        raise bad_value("memory", memory, "is gone too fast to be measured", f"{format_size(LEAST)} or more")
    reason = why_not()
    if reason:
        return _recorded(wanted, given, reason)
    if wanted > largest():
        there, most = format_size(available_memory()), format_size(largest())
        raise bad_value("memory", memory, f"is more than half of the {there} available here", f"{most} or less")
    try:
        measured = [_measure(wanted, given) for _ in range(times)]
    except PermissionError as error:
        return _recorded(wanted, given, f"this computer does not allow it ({error})")
    return min(measured, key=lambda one: one.freed_ns)


def largest() -> int:
    """The most memory that `exit_time` takes, in bytes: half of what is available, in whole MiB.

    A container's limit counts.
    """
    return available_memory() // SHARE >> 20 << 20


def sizes(most: int | str = "1 GiB") -> tuple[int, int, int]:
    """Three sizes to measure, in bytes: a quarter, a half, and all of what is given, or of what there is room for.

    Parameters
    ----------
    most : int or str
        Such as "1 GiB". If `largest` is less, then as much of it as can be halved twice in whole MiB.

    Returns
    -------
    tuple of int

    Raises
    ------
    ValueError
        If it is no size, or less than 64 MiB.
    """
    wanted = size(most, "most", multiple_of=QUARTERS)
    if wanted < 4 * LEAST:
        raise bad_value("most", most, "is too little to take a quarter of", f"{format_size(4 * LEAST)} or more")
    if not why_not():
        wanted = max(4 * LEAST, min(wanted, largest() // QUARTERS * QUARTERS))
    return wanted // 4, wanted // 2, wanted


def about() -> str:
    """Say in a sentence or two what is measured here, or why nothing is."""
    reason = why_not()
    if not reason:
        return f"Measured here: {machine()}. At most {format_size(largest())} will be taken."
    from . import recorded

    return f"Not measured here: {reason}. The figures are recorded ones: {recorded.machine()}."


def why_not() -> str:
    """Why this cannot run here; empty if it can, as far as can be told without trying."""
    if not sys.platform.startswith("linux"):
        systems = {"darwin": "macOS", "win32": "Windows", "emscripten": "a browser"}
        return f"this is {systems.get(sys.platform, sys.platform)}, and it needs Linux"
    if _extension() is None:
        return "the module lazydestroy._live was not built"
    if not hasattr(os, "pidfd_open"):
        return "this Python was built for a Linux before 5.3"
    missing = [name for name in ("/proc/meminfo", "/proc/zoneinfo") if not os.access(name, os.R_OK)]
    return f"{' and '.join(missing)} cannot be read" if missing else ""


def _extension() -> str | None:
    """The file of the module in C, if it was built."""
    spec = find_spec("lazydestroy._live")
    return None if spec is None else spec.origin


def _measure(wanted: int, given: Mapping[str, Any]) -> Exit:
    """Have a stage play it once."""
    told = _play({"size": wanted, "extension": _extension(), "parent": os.getpid(), **given})
    samples = np.zeros(len(told["samples"]), SAMPLES)
    for place, row in enumerate(told["samples"]):
        samples[place] = (*row, *[0] * (len(SAMPLES.names or ()) - len(row)))
    times = {name: told[name] for name in ("fill_ns", "wait_ns", "freed_ns", "cpu_ns")}
    return Exit(wanted, **given, **times, samples=samples, machine=machine())


def _play(what: Mapping[str, Any]) -> dict[str, Any]:
    """Start a stage, and wait until it has seen everything. If that is interrupted, nothing of it is left."""
    command = [sys.executable, "-I", "-S", str(STAGE), json.dumps(what)]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as stage:
        try:
            out, err = stage.communicate(timeout=SECONDS_MAX)
        except subprocess.TimeoutExpired as error:
            raise RuntimeError(f"the measurement took longer than {SECONDS_MAX} s and was given up") from error
        finally:
            _end(stage)
    if stage.returncode:
        last = err.strip().splitlines()[-1:] or [f"it returned {stage.returncode}"]
        raise _error(f"the process that measures has failed: {last[0]}")
    told: dict[str, Any] = json.loads(out)
    if "error" in told:
        raise _error(told["error"])
    return told


def _error(text: str) -> Exception:
    """What was told, as an exception: not allowed, or something else."""
    refused = ("PermissionError", "Function not implemented", "Operation not permitted", "Invalid argument")
    return PermissionError(text) if any(word in text for word in refused) else RuntimeError(text)


def _end(stage: subprocess.Popen[str]) -> None:
    """End the stage, if it has not ended: it kills what it has started. Then wait for it."""
    with suppress(ProcessLookupError):
        stage.terminate()
    try:
        stage.wait(PATIENCE)
    except BaseException:
        stage.kill()  # what it has started dies with it
        raise


def machine() -> str:
    """Describe this computer, with nothing that tells it from others of its kind."""
    text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    lines = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}
    cpus = os.cpu_count() or 1
    virtual = ", a virtual machine" if " hypervisor" in lines.get("flags", "") else ""
    release = ".".join(platform.release().split(".")[:2])
    with Path("/proc/meminfo").open(encoding="ascii") as file:
        total = int(file.readline().split()[1]) << 10
    kind = lines.get("model name", platform.machine())
    return f"Linux {release}, {cpus} {'CPU' if cpus == 1 else 'CPUs'} ({kind}{virtual}), {about_size(total)} of memory"


def _recorded(wanted: int, given: Mapping[str, bool], reason: str) -> Exit:
    """The recorded measurement whose size is nearest to what was wanted."""
    from . import recorded  # loaded when it is needed: it is also run as a program

    return recorded.nearest(Exit, SAMPLES, wanted, given, reason)
