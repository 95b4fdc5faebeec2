"""Who acts on a machine, what each is called, and when it waits.

An actor is the name of a task. Of one kind there may be several: "vCPU 0" and "vCPU 1", "clean-up thread" and
"clean-up thread 2". Here alone it is said which names are of one kind, and which activities are no work.
"""

from __future__ import annotations

QEMU = "QEMU"

QEMU_EXITS = f"{QEMU} exits"
"""The task in which a killed QEMU ends."""

VCPU = "vCPU"

CLEAN_UP = "clean-up thread"
"""The kernel's thread of version 1."""

ASYNC_CLEANUP = "async_cleanup"
"""QEMU's name for its thread that performs a clean-up, since Linux 6.2."""

HELPER = "helper"
"""A process that shares QEMU's address space, so that its memory outlives it."""

IO = "I/O"

OTHER_PROCESS = "other process"

IN_BACKGROUND = (CLEAN_UP, ASYNC_CLEANUP)
"""Threads that clean up in the background: the kernel's, or QEMU's with PERFORM."""

_WAITS = "waits for "


def is_a(actor: str, *kinds: str) -> bool:
    """Whether an actor is of one of these kinds: its name is the kind, or goes on after it with another word.

    Examples
    --------
    >>> is_a("vCPU 10", "vCPU"), is_a("vCPU 10", "vCPU 1"), is_a("QEMU exits", "QEMU")
    (True, False, True)
    """
    return any(actor == kind or actor.startswith(f"{kind} ") for kind in kinds)


def numbered(kind: str, number: int) -> str:
    """The name of the first, second, ... of a kind of threads; the first one has no number."""
    return kind if number == 1 else f"{kind} {number}"


def waits_for(what: str) -> str:
    """The activity of an actor that does nothing until something happens: it takes no CPU time."""
    return f"{_WAITS}{what}"


def is_waiting(activity: str) -> bool:
    """Whether an activity is to wait for something, such as a lock. All others take CPU time, whatever they are called.

    Examples
    --------
    >>> is_waiting("waits for mmap_lock"), is_waiting("waits a millisecond on the CPU")
    (True, False)
    """
    return activity.startswith(_WAITS)


__all__ = [
    "ASYNC_CLEANUP",
    "CLEAN_UP",
    "HELPER",
    "IN_BACKGROUND",
    "IO",
    "OTHER_PROCESS",
    "QEMU",
    "QEMU_EXITS",
    "VCPU",
    "is_a",
    "is_waiting",
    "numbered",
    "waits_for",
]
