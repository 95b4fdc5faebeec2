"""Machines in the state that the probes of several patches begin with, and what is done with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from typing import Any

from ...machine import Access, Machine
from ...page import PAGE_SHIFT
from ...series import Series
from ...units import format_count


def small(kernel: Series, **options: Any) -> Machine:
    """A booted guest of eight pages that the kernel treats like a large one: all of it is left to the thread."""
    machine = Machine("32 KiB", kernel=kernel, low_memory=0, segment_table=0, **options)
    machine.boot()
    return machine


def zombie(kernel: Series, touched: tuple[int, ...], **options: Any) -> Machine:
    """A guest that has used some pages and was reset; the clean-up thread has not begun."""
    machine = small(kernel, **options)
    machine.protect()
    for page in touched:
        machine.touch(page)
    machine.reboot()
    return machine


def next_guest(machine: Machine) -> None:
    """The next guest goes protected."""
    machine.touch(0)
    machine.protect()


def handle(machine: Machine, handler: str, page: int) -> None:
    """Run a handler of the kernel for a page of the guest, whatever has become of the page since the exception."""

    def flow() -> Generator[Any, Any, Any]:
        getattr(machine.kernel, handler)(machine.kvm, page << PAGE_SHIFT)
        yield from ()

    machine._do(flow(), "vCPU 0")


def calls(access: Access) -> str:
    """The Ultravisor Calls that an access took, counted."""
    if not access.uvcs:
        return "Meanwhile nothing was called."
    counted = (
        name + (f" {format_count(times)} times" if times > 1 else "") for name, times in Counter(access.uvcs).items()
    )
    return f"Meanwhile these were called: {', '.join(counted)}."


__all__ = ["calls", "handle", "next_guest", "small", "zombie"]
