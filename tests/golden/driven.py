"""A machine that does a scenario's operations, and what is seen of it, in the words of the formats."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import lazydestroy as ld
from lazydestroy.page import Content, Holder, Record
from lazydestroy.uvcb import UVC

COMMANDS = {
    UVC.CREATE_SEC_CONF: "CREATE-VM",
    UVC.DESTROY_SEC_CONF: "DESTROY-VM",
    UVC.DESTROY_SEC_CONF_FAST: "DESTROY-VM-FAST",
    UVC.CREATE_SEC_CPU: "CREATE-CPU",
    UVC.DESTROY_SEC_CPU: "DESTROY-CPU",
    UVC.CONV_TO_SEC_STOR: "IMPORT",
    UVC.CONV_FROM_SEC_STOR: "EXPORT",
    UVC.DESTR_SEC_STOR: "DESTROY",
    UVC.SET_SEC_CONF_PARAMS: "SET-PARMS",
    UVC.UNPACK_IMG: "UNPACK",
    UVC.VERIFY_IMG: "VERIFY",
    UVC.PIN_PAGE_SHARED: "PIN",
    UVC.UNPIN_PAGE_SHARED: "UNPIN",
}

TRIES = 3
"""How often an access is tried before it counts as stuck."""


class DrivenMachine:
    """What is the same in both formats: the calls, the pages, and what a guest and its host do.

    Parameters
    ----------
    kernel : Series
    options : dict
        Those of a run: sizes in pages, features, parameters.
    **arguments
        Further ones for the machine.
    """

    def __init__(self, kernel: ld.series.Series, options: dict[str, Any], **arguments: Any) -> None:
        self.guest, process = options["guest"], options.get("process", 0)
        self.m = ld.Machine(
            self.guest << 12,
            kernel=kernel,
            process_memory=process << 12,
            vcpus=options.get("vcpus", 1),
            low_memory=options["low"] << 12,
            segment_table=(1 << 31) if options.get("two_level") else 0,
            features=options.get("features", ()),
            host_memory=(3 * (self.guest + process) + 400) << 12,
            tabled=False,
            windows=False,
            **arguments,
        )
        self.calls: list[str] = []
        self.told = 0
        self.outcome = ""
        self.letters: dict[int, str] = {}  # of configurations, and names of their CPUs
        self.mms: list[Any] = []
        self._rows: dict[tuple[int, Record], str] = {}
        self._call, self._observer = self.m.uv.call, self.m.uv.observer
        self.m.uv.call, self.m.uv.observer = self._called, self._observed

    def operate(self, operation: list[Any]) -> Any:
        """Do one operation. Returns its result."""
        word, *about = operation
        self.calls = []
        return getattr(self, "_" + word.replace("-", "_"))(*about)

    # What is seen

    def _observed(self, command: Any, outcome: str, ns: int) -> None:
        self.outcome = outcome
        self._observer(command, outcome, ns)

    def _called(self, block: Any) -> int:
        number = int(block.header.cmd)
        word = COMMANDS.get(number)
        page = self._page_at(block.paddr >> 12) if word in ("EXPORT", "DESTROY", "PIN") else ""
        cc = self._call(block)
        if word is None:
            return cc
        if word == "CREATE-VM":
            if block.guest_handle:
                self.letters[block.guest_handle] = letter(sum("/" not in name for name in self.letters.values()))
            where = self._letter(block.guest_handle)
        elif word == "CREATE-CPU":
            where = self._letter(block.guest_handle)
            if not cc:
                number = sum(name.startswith(where + "/") for name in self.letters.values())
                where = self.letters[block.cpu_handle] = f"{where}/{number}"
        elif word in ("IMPORT", "UNPACK", "UNPIN"):
            where = f"{self._letter(block.guest_handle)}:{block.gaddr >> 12}"
        else:
            where = page or self._letter(block.guest_handle if word == "SET-PARMS" else block.handle)
        self.calls.append(f"{self._actor()} {word} {where} {cc} {block.header.rc:#x} {self.outcome}")
        return cc

    def _actor(self) -> str:
        raise NotImplementedError

    def _letter(self, handle: int) -> str:
        return "-" if handle == 0 else "UV" if handle < 0 else self.letters.get(handle, "?")

    def _page_at(self, pfn: int) -> str:
        """Whose page is in a frame, and which."""
        number = self.m.memory.record(pfn).mm
        for place, mm in enumerate(self.mms):
            for first, table in ((0, mm.guest), (self.guest, mm.process)) if mm.number == number else ():
                for page in (pfn - table.base, *range(table.pages)):
                    if 0 <= page < table.pages and table.slot(page) == pfn:
                        return f"p{place}:{first + page}"
        return "?"

    def _frame(self, page: int) -> int | None:
        pfn = self.m.mm.guest.slot(page)
        return pfn if self.m.kernel.pte_present(self.m.mm, self.m.memory.page(pfn)) else None

    def _pages(self) -> list[str]:
        memory, mm, rows = self.m.memory, self.m.mm, []
        for page in range(self.guest):
            pfn = mm.guest.slot(page)
            record = memory.record(pfn)
            row = self._rows.get((mm.number, record))
            if row is None:
                present = self.m.kernel.pte_present(mm, memory.page(pfn))
                row = self._rows[mm.number, record] = self._row(record) if present else "absent"
            rows.append(row)
        return rows

    def _row(self, record: Record) -> str:
        state = record.state.name.lower().replace("_", "-") + "+pinned" * record.pinned
        content = record.content.name.lower() + (f":{self._letter(record.content_of)}" if record.content_of else "")
        return f"{state} {self._letter(record.owner)} {content} {record.arch_1:d} {record.refs}"

    def _new_events(self) -> list[Any]:
        events = self.m.events[self.told :]
        self.told = len(self.m.events)
        return events

    def _frames_left(self) -> dict[str, int]:
        """Frames in use, without the Ultravisor's own, and frames free and still secure."""
        used = secure = 0
        for record, frames in self.m.memory.records().items():
            used += frames * (record.holder != Holder.FREE)
            secure += frames * (record.holder == Holder.FREE and bool(record.state))
        return {"in use": used - (self.m.uv.uv_base_stor_len >> 12), "free but secure": secure}

    # Operations

    def _at_once(self, function: Callable[[], Any]) -> Any:
        def flow() -> Iterator[None]:
            return function()
            yield

        return self.m._do(flow(), "by hand")

    def _fail_allocation(self, what: str, times: int) -> None:
        self.m.fail_allocation(what, times)

    def _fail_call(self, word: str, how: dict[str, Any]) -> None:
        command = next(number for number, name in COMMANDS.items() if name == word)
        if command == UVC.DESTROY_SEC_CONF_FAST and not self.m.uv.calls:
            return  # this Ultravisor has no such call, so it cannot fail either
        how = dict(how)
        if "handle" in how:
            how["handle"] = next(handle for handle, name in self.letters.items() if name == how["handle"])
        self.m.uv.fail(command, **how)

    def _fault_in(self, page: int) -> None:
        self._at_once(lambda: self.m.kernel.handle_mm_fault(self.m.mm, self.m.mm.guest, page << 12))

    def _handle(self, interruption: int, page: int) -> str:
        """Let the kernel handle what a guest's access raised. What became of it, if it ends something."""
        m, kernel = self.m, self.m.kernel
        handlers = {
            0x3D: kernel.do_secure_storage_access_gmap,
            0x3E: kernel.do_non_secure_storage_access,
            0x3F: kernel.do_secure_storage_violation,
        }
        return self._told_of(lambda: handlers[interruption](m.kvm, kernel.guest_address(m.kvm.gmap, page << 12)))

    def _told_of(self, handler: Callable[[], Any]) -> str:
        logged = len(self.m.events)
        self._at_once(handler)
        words = {"signal": "SIGSEGV", "addressing exception": "addressing", "bug": "BUG"}
        found = (words[event.kind] for event in self.m.events[logged:] if event.kind in words)
        return next(found, "" if self.m.alive else "SIGSEGV")

    def _touched(self, page: int) -> str:
        m = self.m
        for _ in range(TRIES):
            pfn = self._frame(page)
            if pfn is None:
                self._fault_in(page)
                continue
            running, record = m.running_handle(m.kvm), m.memory.record(pfn)
            interruption = m.uv.access(record, running)
            if interruption is None:
                if not running and not record.state:
                    m.memory.page(pfn).update(content=Content.HOST, content_of=0)
                return "ok"
            if became := self._handle(interruption, page):
                return became
        return "stuck"

    def _touch(self, page: int) -> list[str]:
        return [self._touched(page)]

    def _io(self, page: int) -> list[Any]:
        m, pfn = self.m, self._frame(page)
        if pfn is None:
            return ["absent"]
        r = self._at_once(lambda: m.kernel.arch_make_page_accessible(m.memory.page(pfn)))
        return [r, m.uv.access(m.memory.record(pfn)) is None]

    def _swap(self, page: int) -> list[bool]:
        return [bool(self._at_once(lambda: self.m.kernel.swap_out(self.m.mm, page << 12)))]

    def _share(self, page: int) -> list[int] | None:
        handle = self.m.running_handle(self.m.kvm)
        gaddr = self.m.kernel.guest_address(self.m.kvm.gmap, page << 12)
        return [self.m.uv.share(handle, gaddr)] if handle else None

    def _kernel_read(self, page: int) -> list[str]:
        return self._host_read(page, kernel_mode=True)

    def _host_read(self, page: int, kernel_mode: bool = False) -> list[str]:
        raise NotImplementedError


def letter(place: int) -> str:
    """A, B, ... Z, A1, B1, ..."""
    return chr(ord("A") + place % 26) + (str(place // 26) if place >= 26 else "")
