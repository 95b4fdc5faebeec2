"""The host's log: what the kernel says, and the Ultravisor Calls of the last thing that was done by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..page import Page
from ..run import Event

if TYPE_CHECKING:
    from . import Host


class HostLog:
    """Events, under the kernel's names where it has one; some of them end the task that acts."""

    def event(self: Host, kind: str, text: str) -> None:
        """Log something."""
        self.memory.context_changed()
        actor = self.engine.current.name if self.engine.current is not None else "by hand"
        self.events.append(Event(self.engine.now - self.time_zero, kind, actor, text))

    def _once(self: Host, kind: str, key: str, text: str) -> None:
        if key not in self._warned:
            self.event(kind, text)
            self._warned.add(key)

    def warn(self: Host, text: str) -> None:
        """``WARN``."""
        self.event("warning", text)

    def warn_once(self: Host, place: str, text: str) -> None:
        """``WARN_ONCE``: only the first time at this place."""
        self._once("warning", place, text)

    def bug(self: Host, text: str) -> None:
        """``BUG``: the kernel stops."""
        self.event("bug", text)
        self.stop_current()

    def refused(self: Host, uvcb: Any, text: str) -> None:
        """The Ultravisor refused something that userspace will hear of."""
        header = uvcb.header
        self.event("refused", f"{text} (rc {header.rc:#x}, rrc {header.rrc:#x})")

    def endless_fault(self: Host, page: Page) -> None:
        """The access faults again and again: reported once, and the task goes no further."""
        self.event(
            "endless fault", f"0x3D at frame {page.pfn:#x}, which no handler resolves: the access is retried forever"
        )
        self.stop_current()

    def stop_current(self: Host) -> None:
        """End the task that acts, if it is in a page step; a flow that calls this returns by itself."""
        if self.engine.current is not None and self.engine.current.progress is not None:
            self.engine.kill(self.engine.current)
