"""Who pays for a clean-up: whose CPU time it takes, and who owns memory that has not been given back."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..actors import ASYNC_CLEANUP, CLEAN_UP, HELPER, QEMU, QEMU_EXITS, is_a, is_waiting
from ..run import Run, expect_run
from ..units import expect, plain


def cpu_time(run: Run, *actors: str) -> int:
    """Nanoseconds of CPU time that actors took, that is, in which they did not wait.

    Parameters
    ----------
    run : Run
    *actors : str
        Names or kinds of actors: "clean-up thread" is all of these, and "vCPU 1" is that one alone. Without any, all
        actors count.

    Raises
    ------
    ValueError
        If a name is no text.
    """
    expect_run(run)
    for name in actors:
        expect(str, name, "actors", "an actor's name or kind, such as 'clean-up thread'")
    kinds = [plain(name, "actors") for name in actors]
    rows = run.timeline
    busy = _works(rows)
    if kinds:
        busy &= np.array([is_a(actor, *kinds) for actor in rows["actor"].tolist()], bool)
    return int((rows["end"] - rows["start"])[busy].sum())


def _works(rows: np.ndarray) -> np.ndarray:
    """In which rows of a timeline an actor does not wait: shape (rows,)."""
    return np.array([not is_waiting(activity) for activity in rows["activity"].tolist()], bool)


def cpu_time_of_process(run: Run) -> int:
    """Nanoseconds of CPU time that tear-down and clean-up took of the VM's own process, or of its helper.

    That is what QEMU does until the downtime ends and when it exits, and all that its threads for PERFORM and its
    helper do.
    """
    expect_run(run)
    rows = run.timeline
    end = run.end_ns if run.downtime_ns is None else run.downtime_ns
    tearing = (rows["actor"] == QEMU) & (rows["start"] < end) & _works(rows)
    own = int((rows["end"] - rows["start"])[tearing].sum())
    return own + cpu_time(run, QEMU_EXITS, ASYNC_CLEANUP, HELPER)


def cpu_time_of_nobody(run: Run) -> int:
    """Nanoseconds of CPU time that kernel threads took: it is charged to no process."""
    return cpu_time(run, CLEAN_UP)


def unowned_memory(run: Run) -> Any:
    """Pages of the guest that no process has: neither used nor free.

    A page that was set aside is in no address space. When QEMU has gone, and its helper, if it had one, what is still
    mapped is held by a kernel thread alone.

    Returns
    -------
    numpy.ndarray of int64, shape (rows,)
        For each row of ``run.memory``.
    """
    expect_run(run)
    memory = run.memory
    if run.exited_ns is None:
        return memory["set_aside"].copy()
    last = max(run.exited_ns, run.finished_ns.get(HELPER, 0))
    return memory["set_aside"] + np.where(memory["time"] >= last, memory["guest"], 0)


__all__ = ["cpu_time", "cpu_time_of_nobody", "cpu_time_of_process", "unowned_memory"]
