"""A toy kernel with one guest that reboots, and the real model's `Machine`, under the same operations.

The model runs `series.v1_fixed`. Its guest is small, and treated as a large one: nothing is cleaned in the foreground.
In both, every page has been touched before the first operation, and before a guest goes protected its loader writes
the image to page 0. The host's own accesses are no part of the toy: the old kernel exports a page for them already.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..kernel.structs import Flow
from ..machine import Access, Machine
from ..page import PAGE_SHIFT, PAGE_SIZE
from ..series import v1_fixed
from ..units import shown
from .guard import called
from .played import PAGES, Operation, Outcome
from .ultravisors import pages_of

TRIES = 8
"""Exceptions in a row after which an access of the toy counts as endless."""

THROUGH = "gets through"
ENDLESS = "faults again and again"
KILLED = "kills the guest's process"
STOPPED = "stops the guest"
UNREAD = "kills the process that reads"
NOT_STARTED = "does not start"

_CALLS = {
    "CONV_TO_SEC_STOR": "import",
    "CONV_FROM_SEC_STOR": "export",
    "DESTR_SEC_STOR": "destroy",
    "UNPACK_IMG": "unpack",
    "PIN_PAGE_SHARED": "pin",
}


class Recorded:
    """A toy Ultravisor that notes what it is asked, and answers as the toy itself does."""

    def __init__(self, toy: Any) -> None:
        self.toy = toy
        self.calls: list[str] = []
        self.asked: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        """Whatever else the toy has."""
        return getattr(self.toy, name)

    def import_page(self, guest: str, page: int) -> Any:
        """Note an import."""
        return self._noted("import", self.toy.import_page(guest, page))

    def export_page(self, page: int) -> Any:
        """Note an export."""
        return self._noted("export", self.toy.export_page(page))

    def destroy_page(self, page: int) -> Any:
        """Note a destroy."""
        return self._noted("destroy", self.toy.destroy_page(page))

    def _noted(self, call: str, done: Any) -> Any:
        self.calls.append(call if done else f"{call} refused")
        self.asked.add(call)
        return done


class ToyHostSide:
    """A toy kernel on a toy Ultravisor, and the guest that runs on them.

    Attributes
    ----------
    needless : int
        Exports before an import while there was one guest only.
    asked_on_3d : set of str
        Calls that the handler of 0x3D has made.
    """

    def __init__(self, host: type, ultravisor: type) -> None:
        self.uv = Recorded(called(ultravisor))
        self.host = called(host, self.uv)
        self.guest: str | None = None
        self.names = iter("ABCDEFGH")
        self.thread: Iterator[Any] | None = None
        self.needless = 0
        self.asked_on_3d: set[str] = set()

    @property
    def asked(self) -> set[str]:
        """Calls that the host has made at least once."""
        return self.uv.asked

    def do(self, operation: Operation) -> Outcome:
        """Do it to the toy."""
        self.uv.calls.clear()
        said = getattr(self, f"_{operation.verb}")(operation.page)
        alone = len(self.host.guests) == 1 and operation.verb in ("touch", "protect")
        self.needless += alone and self.guest is not None and "export" in self.uv.calls
        return Outcome(said, pages_of(self.uv.toy), tuple(self.host.guests), tuple(self.uv.calls))

    def _touch(self, page: int) -> str:
        return self._through(self.guest, page)

    def _read(self, page: int) -> str:
        """The host's own access: the kernel before the series exports the page, and the toy need not write that."""
        raised = called(self.uv.touch, None, page)
        if raised is None:
            return THROUGH
        self.uv.calls.append(_code(raised))
        called(self.uv.export_page, page)
        return THROUGH if called(self.uv.touch, None, page) is None else UNREAD

    def _through(self, who: str | None, page: int) -> str:
        """An access, tried again as long as a handler says so."""
        for _ in range(TRIES):
            raised = called(self.uv.touch, who, page)
            if raised is None:
                return THROUGH
            self.uv.calls.append(_code(raised))
            if not self._handled(raised, who, page):
                return KILLED if who else STOPPED
        return ENDLESS

    def _handled(self, raised: Any, who: str | None, page: int) -> bool:
        """What the handler of an exception returns."""
        if raised == 0x3D:
            before = len(self.uv.calls)
            again = bool(called(self.host.on_3d, page))
            self.asked_on_3d.update(self.uv.calls[before:])
            return again
        handler = {0x3E: "on_3e", 0x3F: "on_3f"}.get(raised, "")
        return bool(handler) and bool(called(getattr(self.host, handler), who, page))

    def _late(self, page: int) -> str:
        """An exception whose handler begins when another vCPU's access to the same page is over."""
        raised = called(self.uv.touch, self.guest, page)
        self.uv.calls.append(_code(raised))
        said = self._through(self.guest, page)
        if said == THROUGH and not self._handled(raised, self.guest, page):
            return KILLED
        return said if said != THROUGH else self._through(self.guest, page)

    def _share(self, page: int) -> str:
        called(self.uv.share_page, self.guest, page)
        return "done"

    def _reboot(self, _page: int) -> str:
        self.uv.running.discard(self.guest)
        old, self.guest = self.guest, None
        self.thread = called(self.host.clean_up, old, range(PAGES)) if hasattr(self.host, "clean_up") else None
        return "done"

    def _protect(self, _page: int) -> str:
        said = self._through(None, 0)
        if said != THROUGH:
            return said
        self.guest = next(self.names)
        self.uv.running.add(self.guest)
        self.host.guests.append(self.guest)
        return "starts" if called(self.host.on_3e, self.guest, 0) else NOT_STARTED

    def _clean_up(self, _page: int) -> str:
        """One turn of the thread."""
        end = object()
        if self.thread is None:
            return "has no thread"
        return "has ended" if called(next, self.thread, end) is end else "goes on"


class ModelHostSide:
    """The model's machine with `series.v1_fixed`."""

    def __init__(self) -> None:
        self.machine = Machine(
            PAGES * PAGE_SIZE, kernel=v1_fixed, low_memory=0, segment_table=0, destroy_loop_threshold=1
        )
        self.machine.boot()
        for page in range(PAGES):
            self.machine.touch(page)

    @property
    def guest(self) -> str | None:
        """The protected guest that runs."""
        machine = self.machine
        handle = machine.running_handle(machine.kvm)
        return machine.name(handle) if handle else None

    def words(self, operation: Operation) -> str:
        """What the operation is, at this moment."""
        verb, _, page = operation
        who = self.guest or "a normal guest"
        return {
            "touch": f"{who} touches page {page}",
            "late": f"two vCPUs of {who} touch page {page} at once",
            "read": f"the host reads page {page}",
            "share": f"{who} shares page {page}",
            "reboot": f"{who} is rebooted",
            "protect": f"the guest goes protected as {_name(self.machine)}",
            "clean_up": "the thread does one page",
        }[verb]

    def allowed(self, operation: Operation) -> bool:
        """Only a protected guest shares, only its own pages; one thread at a time."""
        verb, _, page = operation
        guest = self.guest
        owner = self._pages()[page] if verb in ("late", "share") else ""
        return {
            "touch": True,
            "read": True,
            "late": guest is not None and owner.partition(",")[0] not in ("", guest) and "shared" not in owner,
            "share": guest is not None and owner.startswith(guest or "-"),
            "reboot": guest is not None and not self.machine.tasks,
            "protect": guest is None and len(self.machine.names) < len("ABCD"),
            "clean_up": bool(self.machine.tasks),
        }[verb]

    def do(self, operation: Operation) -> Outcome:
        """Do it to the model."""
        said, calls = getattr(self, f"_{operation.verb}")(operation.page)
        return Outcome(said, self._pages(), self._guests(), tuple(calls))

    def _touch(self, page: int) -> tuple[str, list[str]]:
        return self._through(self.machine.touch(page))

    def _read(self, page: int) -> tuple[str, list[str]]:
        return self._through(self.machine.read(page))

    def _through(self, access: Access) -> tuple[str, list[str]]:
        calls = [f"0x{raised:X}" for raised in access.interruptions] + [_word(call) for call in access.uvcs]
        return (THROUGH if access.saw else KILLED), calls

    def _late(self, page: int) -> tuple[str, list[str]]:
        machine = self.machine

        def handler() -> Flow:
            machine.kernel.do_secure_storage_violation(machine.kvm, page << PAGE_SHIFT)
            yield from ()

        first = machine.touch(page)
        late = machine.observe("vCPU 1", page, handler())
        said, calls = self._through(machine.touch(page))
        return said, [*self._through(first)[1], *(_word(call) for call in late.uvcs), *calls]

    def _share(self, page: int) -> tuple[str, list[str]]:
        self.machine.share(page)
        return "done", []

    def _reboot(self, _page: int) -> tuple[str, list[str]]:
        self.machine.reboot()
        return "done", []

    def _protect(self, _page: int) -> tuple[str, list[str]]:
        self.machine.touch(0)
        self.machine.protect()
        return "starts", []

    def _clean_up(self, _page: int) -> tuple[str, list[str]]:
        """Steps until a page has been dealt with, or the thread has ended."""
        said = ""
        while self.machine.tasks and "DESTR_SEC_STOR" not in said:
            said = self.machine.step()
        return ("goes on" if self.machine.tasks else "has ended"), [_word(said.partition(": ")[2])]

    def _pages(self) -> tuple[str, ...]:
        return tuple(
            f"{row['owner']}{', shared' if row['state'] == 'shared' else ''}" if row["owner"] else ""
            for row in self.machine.rows()
        )

    def _guests(self) -> tuple[str, ...]:
        return tuple(map(self.machine.name, self.machine.uv.configurations))


def _code(raised: Any) -> str:
    """An exception, as a reader's hardware has returned it."""
    return f"0x{raised:X}" if type(raised) is int else shown(raised)


def _name(machine: Machine) -> str:
    """The name of the next guest that goes protected."""
    return "ABCDEFGH"[len(machine.names)]


def _word(call: str) -> str:
    """A call of the machine's log, in words."""
    name, _, outcome = call.partition(" (")
    how = {"noop)": ", no effect", "refused)": " refused"}.get(outcome, "")
    return _CALLS.get(name, name) + how


__all__ = [
    "ENDLESS",
    "KILLED",
    "NOT_STARTED",
    "STOPPED",
    "THROUGH",
    "UNREAD",
    "ModelHostSide",
    "Recorded",
    "ToyHostSide",
]
