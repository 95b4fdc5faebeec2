"""Golden data: what the kernel's own code did, compiled for user space, and a driver that does the same on a `Machine`.

    python -m tests.golden [FILE ...]

says how many cases are equal, and for each other one where it first differs. The data are in ``tests/data``, and
golden-format.md there says what is in them. Everything is compared after every operation: calls, pages, counters,
threads, events, answers.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lazydestroy as ld
from lazydestroy.page import Content, Holder
from lazydestroy.uvcb import UVC

DATA = Path(__file__).parent / "data"

COMMANDS = {
    UVC.CREATE_SEC_CONF: "CREATE-VM",
    UVC.DESTROY_SEC_CONF: "DESTROY-VM",
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

EVENTS = (  # kind of an event, what its text has, the word of the format; None: the format has none for it
    ("warning", "destroy vm failed", "warn:vm"),
    ("warning", "destroy cpu failed", "warn:cpu"),
    ("warning", "no handle", "warn:no-handle"),
    ("warning", "s390_reset_acc", "warn:page"),
    ("warning", "0x3D of a guest", "warn:0x3D"),
    ("warning", "storage violation", "print:0x3F"),
    ("signal", "SIGSEGV", "SIGSEGV"),
    ("addressing exception", "", "addressing"),
    ("use after free", "gmap", "use-after-free:gmap"),
    ("use after free", "mm", "use-after-free:mm"),
    ("bug", "", "BUG"),
    ("leak", "", None),
    ("refused", "", None),
    ("userspace", "", None),
)

TRIES = 3
"""How often an access is tried before it counts as stuck."""

OTHERWISE = {
    # No import before SET_SEC_CONF_PARAMS has succeeded (commit message of 20201116122033.382372-2): the guest that
    # goes on without it is killed at its first access. The Ultravisor that the data were recorded on let it.
    "SET_PARMS fails, exit": (["touch-all"], {"result": ["SIGSEGV"], "calls": ["main IMPORT A:0 1 0x109 refused"]}),
}
"""Scenarios in which the Ultravisor, corrected since, answers otherwise than in the data: the operation, and what is
seen there instead. What comes after it cannot be compared."""


# The data


def cases(*files: Path) -> Iterator[dict[str, Any]]:
    """The cases of the files: a scenario, and the runs (kernel, options) that all showed this."""
    for file in files:
        with gzip.open(file, "rt") as opened:
            data = json.load(opened)
        if data["format"] != 1:
            raise ValueError(f"{file}: format {data['format']!r}, and this program knows 1")
        yield from data["cases"]


def spelled_out(case: dict[str, Any]) -> Iterator[tuple[list[Any], dict[str, Any]]]:
    """Each operation, and what is seen after it; what the file leaves out because it is as before is filled in."""
    pages: list[str] | None = None
    kept: dict[str, Any] = {"mm": None, "threads": []}
    for step in case["steps"]:
        if step["op"][0] == "boot":
            pages = []
        if "pages" in step:
            pages = None if step["pages"] is None else with_changes(pages or [], step["pages"])
        kept = {name: step.get(name, before) for name, before in kept.items()}
        calls = [call for run in step.get("calls", ()) for call in spelled_calls(run)]
        seen = {"result": step.get("result"), "calls": calls, "pages": pages, "events": step.get("events", [])}
        yield step["op"], {**seen, **kept}


def with_changes(rows: list[str], changes: list[str]) -> list[str]:
    """The rows of pages, some changed: "first-last row"."""
    rows = list(rows)
    for change in changes:
        where, row = change.split(" ", 1)
        first, _, last = where.partition("-")
        end = int(last or first) + 1
        rows += [""] * (end - len(rows))
        rows[int(first) : end] = [row] * (end - int(first))
    return rows


def spelled_calls(run: str) -> list[str]:
    """Each call of a run of calls."""
    parts = run.split(" ")
    times = int(parts.pop()[1:]) if parts[-1][0] == "x" else 1
    actor, command, where, *answer = parts
    space, _, pages = where.partition(":")
    first, dash, last = pages.partition("-")
    if not dash:
        return [" ".join(parts)] * times
    return [" ".join((actor, command, f"{space}:{page}", *answer)) for page in range(int(first), int(last) + 1)]


def series_of(kernel: str) -> ld.series.Series:
    """The kernel that a run names: upto(9), without(7, 11)."""
    name, _, numbers = kernel.rstrip(")").partition("(")
    return getattr(ld.series.v1, name)(*(int(number) for number in numbers.split(",")))


# The machine


class Driven:
    """A machine that does a scenario's operations, and what is seen of it, in the words of the format.

    Parameters
    ----------
    kernel : Series
    options : dict
        Those of a run: sizes in pages, features, parameters.
    """

    def __init__(self, kernel: ld.series.Series, options: dict[str, Any]) -> None:
        self.guest, process = options["guest"], options.get("process", 0)
        arguments: dict[str, Any] = {
            "lazy_destroy": options.get("lazy_destroy"),
            "ultravisor": options.get("ultravisor"),
        }
        if "list_capacity" in options:
            arguments["list_page_capacity"] = options["list_capacity"]
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
        self.threads: list[Any] = []
        self.space_of: list[int] = []  # of each thread: the process that it cleans up for
        self.task, self.kind = None, ""
        self._call, self._observer = self.m.uv.call, self.m.uv.observer
        self.m.uv.call, self.m.uv.observer = self._called, self._observed

    def do(self, operation: list[Any]) -> dict[str, Any]:
        """Do one operation; what is seen afterwards."""
        word, *about = operation
        self.calls = []
        result = getattr(self, "_" + word.replace("-", "_"))(*about)
        return {
            "result": result,
            "calls": self.calls,
            "pages": self._pages() if self.m.alive else None,
            "events": self._events(),
            "mm": [self._counts(mm) for mm in self.mms],
            "threads": [place for place, thread in enumerate(self._threads()) if thread.alive],
        }

    def end(self) -> dict[str, int]:
        """After the end of everything: frames in use, frames free and still secure, records leaked."""
        used = secure = 0
        for record, frames in self.m.memory.records().items():
            used += frames * (record.holder != Holder.FREE)
            secure += frames * (record.holder == Holder.FREE and bool(record.state))
        return {
            "in use": used - (self.m.uv.uv_base_stor_len >> 12),
            "free but secure": secure,
            "small structures": sum("the record" in event.text for event in self.m.events),
        }

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
                self.letters[block.guest_handle] = chr(
                    ord("A") + len([n for n in self.letters.values() if len(n) == 1])
                )
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
        current = self.m.engine.current
        threads = self._threads()
        return f"t{threads.index(current)}" if current in threads else "main"

    def _threads(self) -> list[Any]:
        """Clean-up threads by age."""
        for task in self.m.engine.tasks if self.m.threads > len(self.threads) else ():
            if task.name.startswith("clean-up thread") and task not in self.threads:
                self.threads.append(task)
                self.space_of.append(len(self.mms) - 1)
        return self.threads

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
        rows = []
        for page in range(self.guest):
            pfn = self._frame(page)
            if pfn is None:
                rows.append("absent")
                continue
            record = self.m.memory.record(pfn)
            state = record.state.name.lower().replace("_", "-") + "+pinned" * record.pinned
            content = record.content.name.lower() + (f":{self._letter(record.content_of)}" if record.content_of else "")
            rows.append(f"{state} {self._letter(record.owner)} {content} {record.arch_1:d} {record.refs}")
        return rows

    def _counts(self, mm: Any) -> list[int]:
        context = mm._context  # not by the property, which reports a use after free
        listed = context.deferred_list
        counters = [mm.mm_users, mm.mm_count, int(context.is_protected), len(listed), listed.list_pages]
        return [*counters, int(context.pv_sync_destroy), int(mm.freed)]

    def _events(self) -> list[str]:
        words = []
        for event in self.m.events[self.told :]:
            known = [word for kind, text, word in EVENTS if event.kind == kind and text in event.text]
            words += known[:1] or [f"{event.kind}: {event.text}"]
        self.told = len(self.m.events)
        return sorted(word for word in words if word is not None)

    # Operations

    def _at_once(self, function: Callable[[], Any]) -> Any:
        def flow() -> Iterator[None]:
            return function()
            yield

        return self.m._do(flow(), "by hand")

    def _boot(self) -> None:
        if self.mms:
            self.m.start_process()
        self.m.boot()
        self.mms.append(self.m.mm)

    def _protect(self, image: int) -> list[str]:
        return ["ok" if self.m._do(self.m.protecting(0, image), "QEMU") else "failed"]

    def _reset(self) -> list[int]:
        answer = self.m._do(self.m.resetting(), "QEMU")
        return [answer.r, answer.rc, answer.rrc]

    def _exit(self) -> None:
        if self.m.alive:
            self.m.exit()
            return
        for task in list(self.m.tasks):
            while task.name == "QEMU exits" and task.alive:
                self.m.engine.step(task)

    def _begin(self, kind: str) -> None:
        self.kind = kind
        if kind == "exit":
            self.m.guest_up = self.m.alive = False
        flow = self.m.resetting() if kind == "reset" else self.m.exiting()
        self.task = self.m.engine.spawn(flow, "QEMU", self.m.now)

    def _go_on(self, calls: int | None) -> list[int] | None:
        before = len(self.calls)
        while self.task is not None:
            self.m.engine.step(self.task)
            if not self.task.alive:
                answer, self.task = self.task.value, None
                return [answer.r, answer.rc, answer.rrc] if self.kind == "reset" else None
            if calls and len(self.calls) - before >= calls:
                last = self.calls[-1].split(" ")[1]
                closing = self.kind == "exit" and not self.mms[-1].mm_users and last != "DESTROY-CPU"
                if not closing and last != "DESTROY-VM":
                    break
        return None

    def _step(self, number: int, calls: int) -> list[str] | None:
        alive = None
        for _ in range(calls):
            threads = self._threads()
            if number >= len(threads) or not threads[number].alive:
                break
            alive = self._advance(number)
        return None if alive is None else ["running" if alive else "ended"]

    def _advance(self, number: int) -> bool:
        """Let a thread go on to its next call, and further if that was the end of its configuration."""
        thread, before = self._threads()[number], len(self.calls)
        while thread.alive:
            self.m.engine.step(thread)
            if len(self.calls) > before:
                last = self.calls[-1].split(" ")[1]
                if last != "DESTROY-VM" and self.mms[self.space_of[number]].mm_users:
                    break
        return thread.alive

    def _finish(self) -> None:
        while alive := [place for place, thread in enumerate(self._threads()) if thread.alive]:
            self._advance(alive[0])

    def _fail_allocation(self, what: str, times: int) -> None:
        self.m.fail_allocation(what, times)

    def _fail_call(self, word: str, how: dict[str, Any]) -> None:
        command = next(number for number, name in COMMANDS.items() if name == word)
        self.m.uv.fail(command, **how)

    def _touch(self, page: int) -> list[str]:
        return [self._touched(page)]

    def _touch_all(self, pages: int | None = None) -> list[str]:
        seen: Counter[str] = Counter()
        for page in range(pages or self.guest):
            became = self._touched(page)
            if became not in ("ok", "stuck"):
                return [became]
            seen[became] += 1
        return [f"{became} x{times}" for became, times in sorted(seen.items())]

    def _touched(self, page: int) -> str:
        m, kernel = self.m, self.m.kernel
        handlers = {
            0x3D: kernel.do_secure_storage_access_gmap,
            0x3E: kernel.do_non_secure_storage_access,
            0x3F: kernel.do_secure_storage_violation,
        }
        for _ in range(TRIES):
            pfn = self._frame(page)
            if pfn is None:
                self._at_once(lambda: kernel.handle_mm_fault(m.mm, m.mm.guest, page << 12))
                continue
            running, record = m.running_handle(m.kvm), m.memory.record(pfn)
            interruption = m.uv.access(record, running)
            if interruption is None:
                if not running and not record.state:
                    m.memory.page(pfn).update(content=Content.HOST, content_of=0)
                return "ok"
            logged = len(m.events)
            self._at_once(lambda handler=handlers[interruption]: handler(m.kvm, page << 12))
            if not m.alive:
                return "SIGSEGV"
            if any(event.kind == "addressing exception" for event in m.events[logged:]):
                return "addressing"
        return "stuck"

    def _host_read(self, page: int, kernel_mode: bool = False) -> list[str]:
        m, pfn = self.m, self._frame(page)
        if pfn is None:
            return ["absent"]
        for _ in range(TRIES):
            if m.uv.access(m.memory.record(pfn)) is None:
                return ["ok"]
            logged = len(m.events)
            self._at_once(lambda: m.kernel.do_secure_storage_access(m.memory.page(pfn), kernel_mode=kernel_mode))
            if any(event.kind == "bug" for event in m.events[logged:]):
                return ["BUG"]
            if not m.alive:
                return ["SIGSEGV"]
        return ["stuck"]

    def _kernel_read(self, page: int) -> list[str]:
        return self._host_read(page, kernel_mode=True)

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
        return [self.m.uv.share(handle, page << 12)] if handle else None


# Comparing


def difference(case: dict[str, Any], kernel: str, options: dict[str, Any]) -> str:
    """Where a run first does something else than the data say, or `OTHERWISE`; empty if nowhere."""
    driven = Driven(series_of(kernel), options)
    for place, (operation, expected) in enumerate(spelled_out(case)):
        seen = driven.do(operation)
        otherwise, instead = OTHERWISE.get(case["scenario"], (None, {}))
        if operation == otherwise:
            expected = instead
        if operation[0] == "protect" and expected["result"][0] == seen["result"][0]:
            seen["result"] = expected["result"]  # only whether it worked is compared
        for what, value in expected.items():
            if seen[what] != value:
                return f"step {place} {operation}: {what}: {first_of(value, seen[what])}"
        if operation == otherwise:
            return ""
    if case["end"] is not None:
        seen = driven.end()
        if driven.m.alive:
            del seen["in use"]
        for what, value in seen.items():
            if case["end"][what] != value:
                return f"the end: {what}: {case['end'][what]} in the data, {value} here"
    return ""


def first_of(expected: Any, seen: Any) -> str:
    """Two lists where they begin to differ."""
    if not isinstance(expected, list) or not isinstance(seen, list):
        return f"{expected!r} in the data, {seen!r} here"
    place = next(place for place in range(len(expected) + 1) if expected[place : place + 1] != seen[place : place + 1])
    one, other = (values[place] if place < len(values) else "nothing" for values in (expected, seen))
    return f"at {place}, {one!r} in the data, {other!r} here"


def main(files: list[str]) -> int:
    """Replay files. Returns 1 if a run differs."""
    wrong = runs = equal = number = 0
    for case in cases(*([Path(file) for file in files] or sorted(DATA.glob("golden-v1*.json.gz")))):
        number += 1
        found = {(kernel, json.dumps(options)): difference(case, kernel, options) for kernel, options in case["runs"]}
        runs += len(found)
        differing = {run: text for run, text in found.items() if text}
        wrong += len(differing)
        equal += not differing
        for (kernel, options), text in list(differing.items())[:1]:
            print(f"{case['scenario']} | {kernel} | {options}: {text}" + f" ({len(differing)} of {len(found)} runs)")
    print(f"{equal} of {number} cases are equal; {runs - wrong} of {runs} runs")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
