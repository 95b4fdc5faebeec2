"""Machines in the state that the probes of several patches begin with."""

from __future__ import annotations

from ...machine import Machine
from ...series import Series


def small(kernel: Series) -> Machine:
    """A booted guest of eight pages that the kernel treats like a large one: all of it is left to the thread."""
    machine = Machine("32 KiB", kernel=kernel, low_memory=0, segment_table=0)
    machine.boot()
    return machine


def zombie(kernel: Series, touched: tuple[int, ...]) -> Machine:
    """A guest that has used some pages and was reset; the clean-up thread has not begun."""
    machine = small(kernel)
    machine.protect()
    for page in touched:
        machine.touch(page)
    machine.reboot()
    return machine


__all__ = ["small", "zombie"]
