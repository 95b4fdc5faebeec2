"""The host's memory: frames that the kernel takes for itself, donates, gives back, or loses.

Page faults and the pages of a process are the kernel's business (`lazydestroy.kernel.mm`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import units
from ..kernel.structs import Mm
from ..page import PAGE_SHIFT, Content, Holder, Page, State
from ..rounded import counted
from .sizes import LOWCORE_PAGES

if TYPE_CHECKING:
    from . import Host

ALLOCATIONS = (
    "deferred_priv",
    "top-level table",
    "kthread",
    "list page",
    "set-aside structure",
    "donated storage",
    "notifier",
)
"""What the kernel asks for and can be told that it does not get."""


class HostFrames:
    """Memory for the kernel itself and for the Ultravisor, swap space, and allocations that are told to fail."""

    def take(self: Host, first: int, pages: int, content: Content) -> None:
        """Use free frames for the kernel's own ends, or to donate them.

        The kernel writes to them. One that was freed while secure raises 0x3D again and again.
        """
        for record in self.memory.records(first, pages):
            if record.state != State.NON_SECURE:
                self.event("endless fault", f"0x3D in the kernel, at a frame from {first:#x} on that is still secure")
        self.memory.change(
            lambda record: record._replace(content=content, content_of=0, refs=1, holder=Holder.DONATED), first, pages
        )

    def give_back(self: Host, first: int, pages: int) -> None:
        """Free frames that were taken."""
        self.memory.change(
            lambda record: record._replace(arch_1=False, refs=0, holder=Holder.FREE, mm=0, charged=False), first, pages
        )

    def allocate_donation(self: Host, length: int) -> tuple[int, int] | None:
        """Frames to donate, contiguous: the first one and how many. None if there are none."""
        pages = length >> PAGE_SHIFT
        if self.injected("donated storage"):
            return None
        first = self.memory.find_run(pages, lowest=max(LOWCORE_PAGES, self.donated_from >> PAGE_SHIFT))
        if first is None:
            self.event(
                "refused",
                f"nowhere {'is' if pages == 1 else 'are'} {counted(pages, 'pages')} free, in a row, to be donated",
            )
            return None
        self.take(first, pages, Content.HOST)
        return first, pages

    def leak(self: Host, first: int, pages: int, what: str) -> None:
        """Frames that are never used again. Those that have leaked before are not told a second time."""
        records = self.memory.records(first, pages)
        new = sum(count for record, count in records.items() if record.holder != Holder.LEAKED)
        if not new:
            return
        self.event("leak", f"{what}: {units.format_count(new)} page{'s' if new != 1 else ''}")
        self.memory.change(lambda record: record._replace(holder=Holder.LEAKED), first, pages)

    def leak_page(self: Host, page: Page, what: str) -> None:
        """A page that will never be used again; the first of its kind is an event."""
        self._once("leak", what, f"{what} is leaked")
        page.holder = Holder.LEAKED

    def may_swap(self: Host, mm: Mm) -> bool:
        """Whether there is room in the swap space, and anything of an address space that could be written there."""
        if len(mm.swap) >= self.swap_pages:
            return False
        return any(record.holder == Holder.MAPPED and record.mm == mm.number for record in self.memory.records())

    def injected(self: Host, what: str) -> bool:
        """Whether an allocation was told to fail (see `fail_allocation`)."""
        left = self._injected.get(what, 0)
        if left:
            self.memory.context_changed()
            self._injected[what] = left - 1
        return bool(left)

    def fail_allocation(self: Host, what: str, times: int = 1) -> None:
        """Let the kernel's next `times` allocations of "deferred_priv", "top-level table" or "kthread" fail.

        So can an allocation of a "list page" (patch 9), of the "set-aside structure" (Linux 6.2) and of "donated
        storage". A "notifier" that fails is one that a signal keeps from being registered.

        Raises
        ------
        ValueError
            If there is no such allocation, or `times` is no number.
        """
        what, times = units.one_of(what, ALLOCATIONS, "what"), units.whole_number(times, "times", 0)
        self.memory.context_changed()
        self._injected[what] = times
