"""A toy Ultravisor, and the real model's `Ultravisor` with two guests, under the same operations."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from .._core import Memory
from ..page import HELD, PAGE_SHIFT, PAGE_SIZE, State
from ..ultravisor import DictTable, Ultravisor
from ..units import shown
from ..uvcb import (
    UVC,
    UVC_CC_OK,
    uv_cb_cfs,
    uv_cb_cgc,
    uv_cb_csc,
    uv_cb_cts,
    uv_cb_init,
    uv_cb_nodata,
    uv_cb_ssc,
)
from .guard import called
from .played import PAGES, Operation, Outcome

GUESTS = ("A", "B")

STORAGE: dict[str, Any] = {
    "uv_base_stor_len": PAGE_SIZE,
    "uv_base_stor_align": PAGE_SIZE,
    "conf_base_phys_stor_len": PAGE_SIZE,
    "conf_base_virt_stor_len": PAGE_SIZE,
    "conf_virt_var_stor_len": 0,
    "cpu_stor_len": PAGE_SIZE,
    "donated_from": 0,
}
"""Donated storage of the model: one page each, anywhere."""

_FIRST_OF_GUEST, _FIRST_FREE, _FRAMES = 4, 8, 40
"""Frames: the guests' pages, what is handed out upwards, how many there are."""


def words(operation: Operation) -> str:
    """What is done, as a sentence without its full stop."""
    verb, guest, page = operation
    who = guest or "the host"
    return {
        "import_page": f"the host imports page {page} for {guest}",
        "export_page": f"the host exports page {page}",
        "destroy_page": f"the host destroys page {page}",
        "share_page": f"{guest} shares page {page}",
        "touch": f"{who} touches page {page}",
        "stop": f"{guest} loses its CPUs",
    }[verb]


def arguments(operation: Operation) -> tuple[Any, ...]:
    """What the toy's method of that name is called with."""
    verb, guest, page = operation
    if verb == "touch":
        return guest or None, page
    return (page,) if verb in ("export_page", "destroy_page") else (guest, page)


def answer(verb: str, value: Any) -> str:
    """What a toy's method returned, in the model's words where it is one of the expected answers."""
    if verb == "touch":
        if value is None:
            return "no exception"
        return f"0x{value:X}" if type(value) is int and value > 0 else shown(value)
    return {True: "done", False: "refused"}[value] if isinstance(value, bool) else shown(value)


def pages_of(toy: Any) -> tuple[str, ...]:
    """Owner of each page in a toy's books, and whether it is shared."""
    owners = [toy.owner.get(page) for page in range(PAGES)]
    return tuple(
        "" if owner is None else f"{owner}{', shared' if page in toy.shared else ''}"
        for page, owner in enumerate(owners)
    )


class ToySide:
    """A toy Ultravisor with two guests that have CPUs."""

    def __init__(self, toy: type) -> None:
        self.toy = called(toy)
        self.toy.running.update(GUESTS)

    def do(self, operation: Operation) -> Outcome:
        """Do it to the toy."""
        if operation.verb == "stop":
            self.toy.running.discard(operation.guest)
            return Outcome("done", pages_of(self.toy))
        value = called(getattr(self.toy, operation.verb), *arguments(operation))
        return Outcome(answer(operation.verb, value), pages_of(self.toy))


class ModelSide:
    """The model's Ultravisor with two configurations, each with one CPU and the same pages.

    Parameters
    ----------
    guests : collection of str
        Those of the guests that have CPUs in the beginning.
    """

    def __init__(self, guests: Collection[str] = GUESTS) -> None:
        self.memory = Memory(_FRAMES)
        self.uv = Ultravisor(memory=self.memory, **STORAGE)
        self.next = _FIRST_FREE
        self._call(uv_cb_init(stor_origin=self._take(1), stor_len=PAGE_SIZE))
        self.handles = {guest: self._create() for guest in GUESTS}
        self.cpus = {guest: self._create_cpu(self.handles[guest]) for guest in guests}

    def _take(self, pages: int) -> int:
        """The absolute address of so many frames that nobody has used."""
        self.next += pages
        return (self.next - pages) << PAGE_SHIFT

    def _call(self, block: Any) -> Any:
        cc = self.uv.call(block)
        assert cc == UVC_CC_OK, block
        return block

    def _create(self) -> int:
        """A secure configuration whose image has been accepted."""
        table, sca = self._take(4), self._take(1)
        self.uv.tables[table] = DictTable({page: _FIRST_OF_GUEST + page for page in range(PAGES)})
        handle = self._call(
            uv_cb_cgc(
                conf_base_stor_origin=self._take(1),
                conf_var_stor_origin=self._take(1),
                guest_stor_len=PAGES * PAGE_SIZE,
                guest_sca=sca,
                guest_asce=table | 0x107,
            )
        ).guest_handle
        self._call(uv_cb_ssc(guest_handle=handle, sec_header_origin=sca, sec_header_len=PAGE_SIZE))
        return int(handle)

    def _create_cpu(self, handle: int) -> int:
        storage, state = self._take(1), self._take(1)
        block = uv_cb_csc(guest_handle=handle, stor_origin=storage, num=0, state_origin=state)
        return int(self._call(block).cpu_handle)

    def words(self, operation: Operation) -> str:
        """What the operation is."""
        return words(operation)

    def allowed(self, operation: Operation) -> bool:
        """A guest without CPUs does nothing any more."""
        verb, guest, _ = operation
        return verb not in ("touch", "share_page", "stop", "import_page") or not guest or guest in self.cpus

    def do(self, operation: Operation) -> Outcome:
        """Do it to the model."""
        verb, guest, page = operation
        if verb == "stop":
            self._call(uv_cb_nodata(cmd=UVC.DESTROY_SEC_CPU, handle=self.cpus.pop(guest)))
            said = "done"
        elif verb == "touch":
            raised = self.uv.access(self.memory.record(_FIRST_OF_GUEST + page), self.handles.get(guest, 0))
            said = "no exception" if raised is None else f"0x{raised:X}"
        else:
            said = "done" if self._asked(verb, guest, page) == UVC_CC_OK else "refused"
        return Outcome(said, self._pages())

    def _asked(self, verb: str, guest: str, page: int) -> int:
        """The condition code of a call about a page."""
        gaddr, paddr = page << PAGE_SHIFT, (_FIRST_OF_GUEST + page) << PAGE_SHIFT
        if verb == "import_page":
            return self.uv.call(uv_cb_cts(guest_handle=self.handles[guest], gaddr=gaddr))
        if verb == "share_page":
            return self.uv.share(self.handles[guest], gaddr)
        command = UVC.CONV_FROM_SEC_STOR if verb == "export_page" else UVC.DESTR_SEC_STOR
        return self.uv.call(uv_cb_cfs(cmd=command, paddr=paddr))

    def _pages(self) -> tuple[str, ...]:
        names = {handle: guest for guest, handle in self.handles.items()}
        records = [self.memory.record(_FIRST_OF_GUEST + page) for page in range(PAGES)]
        return tuple(
            names.get(record.owner, "") + (", shared" if record.state == State.SHARED else "")
            if record.state in HELD
            else ""
            for record in records
        )


__all__ = ["GUESTS", "ModelSide", "ToySide", "answer", "arguments", "pages_of", "words"]
