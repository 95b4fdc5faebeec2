"""Version 1 of the series: format 1 of the golden data, replayed on a `Machine`.

``tests/data/golden-format.md`` says what is in them. Everything is compared after every operation: calls, pages,
counters, threads, events, answers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lazydestroy as ld

from . import data
from .data import Case, first_of
from .driven import TRIES, DrivenMachine

FORMAT = 1

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

OTHERWISE = {
    # No import before SET_SEC_CONF_PARAMS has succeeded (commit message of 20201116122033.382372-2): the guest that
    # goes on without it is killed at its first access. The Ultravisor that the data were recorded on let it.
    "SET_PARMS fails, exit": (["touch-all"], {"result": ["SIGSEGV"], "calls": ["main IMPORT A:0 1 0x109 refused"]}),
}
"""Scenarios in which the Ultravisor, corrected since, answers otherwise than in the data: the operation, and what is
seen there instead. What comes after it cannot be compared."""


def cases(*files: Path) -> Iterator[Case]:
    """The cases of files of this format."""
    for file in files:
        found, of_file = data.read(file)
        if found != FORMAT:
            raise ValueError(f"{file}: format {found!r}, and this program knows {FORMAT}")
        yield from of_file


def spelled_out(case: Case) -> Iterator[tuple[list[Any], dict[str, Any]]]:
    """Each operation, and what is seen after it."""
    return data.spelled_out(case, {"mm": None, "threads": []})


def series_of(kernel: str) -> ld.series.Series:
    """The kernel that a run names: upto(9), without(7, 11)."""
    name, _, numbers = kernel.rstrip(")").partition("(")
    return getattr(ld.series.v1, name)(*(int(number) for number in numbers.split(",")))


class Driven(DrivenMachine):
    """A machine with a kernel of version 1, or with a part of it."""

    def __init__(self, kernel: ld.series.Series, options: dict[str, Any]) -> None:
        arguments: dict[str, Any] = {
            "lazy_destroy": options.get("lazy_destroy"),
            "ultravisor": options.get("ultravisor"),
        }
        if "list_capacity" in options:
            arguments["list_page_capacity"] = options["list_capacity"]
        super().__init__(kernel, options, **arguments)
        self.threads: list[Any] = []
        self.space_of: list[int] = []  # of each thread: the process that it cleans up for
        self.task, self.kind = None, ""

    def do(self, operation: list[Any]) -> dict[str, Any]:
        """Do one operation; what is seen afterwards."""
        result = self.operate(operation)
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
        leaked = sum("the record" in event.text for event in self.m.events)
        return {**self._frames_left(), "small structures": leaked}

    # What is seen

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

    def _counts(self, mm: Any) -> list[int]:
        context = mm._context  # not by the property, which reports a use after free
        listed = context.deferred_list
        counters = [mm.mm_users, mm.mm_count, int(context.is_protected), len(listed), listed.list_pages]
        return [*counters, int(context.pv_sync_destroy), int(mm.freed)]

    def _events(self) -> list[str]:
        words = []
        for event in self._new_events():
            known = [word for kind, text, word in EVENTS if event.kind == kind and text in event.text]
            words += known[:1] or [f"{event.kind}: {event.text}"]
        return sorted(word for word in words if word is not None)

    # Operations

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

    def _touch_all(self, pages: int | None = None) -> list[str]:
        seen: Counter[str] = Counter()
        for page in range(pages or self.guest):
            became = self._touched(page)
            if became not in ("ok", "stuck"):
                return [became]
            seen[became] += 1
        return [f"{became} x{times}" for became, times in sorted(seen.items())]

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


# Comparing


def difference(case: Case, kernel: str, options: dict[str, Any], notes: Counter[str] | None = None) -> str:
    """Where a run first does something else than the data say, or `OTHERWISE`; empty if nowhere.

    `notes` counts runs that are compared only up to such an operation.
    """
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
            if notes is not None:
                notes[f"compared up to {operation}: the Ultravisor answers otherwise in {case['scenario']!r}"] += 1
            return ""
    if case["end"] is not None:
        seen = driven.end()
        if driven.m.alive:
            del seen["in use"]
        for what, value in seen.items():
            if case["end"][what] != value:
                return f"the end: {what}: {case['end'][what]} in the data, {value} here"
    return ""
