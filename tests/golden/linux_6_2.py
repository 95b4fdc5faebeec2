"""The merged asynchronous destroy: format "6.2-1" of the golden data, replayed on a `Machine`.

``tests/data/golden-format-6.2.md`` says what is in them. Everything is compared after every operation: calls, pages,
counters, the VM, threads, events, answers; and at the end all that is left.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterator
from typing import Any

import lazydestroy as ld
from lazydestroy.errnos import EFAULT
from lazydestroy.kernel.structs import Answer
from lazydestroy.ultravisor import Phase
from lazydestroy.userspace import Qemu
from lazydestroy.userspace.async_cleanup import HELPER
from lazydestroy.uvcb import UVC

from . import data
from .data import Case, first_of
from .driven import TRIES, DrivenMachine

FORMAT = "6.2-1"

EVENTS = (  # kind of an event, what its text has, the word of the format; None: the format has none for it
    ("warning", "destroy vm fast failed", "warn:fast"),
    ("warning", "destroy vm failed", "warn:vm"),
    ("warning", "destroy cpu failed", "warn:cpu"),
    ("warning", "destroy leftover", "warn:leftover"),
    ("warning", "storage violation", "print:0x3F"),
    ("signal", "SIGSEGV", "SIGSEGV"),
    ("addressing exception", "", "addressing"),
    ("use after free", "gmap", "use-after-free:gmap"),
    ("use after free", "falls below 0", "mm-count-below-0"),
    ("use after free", "mm", "use-after-free:mm"),
    ("bug", "", "BUG"),
    ("release", "", "release"),
    ("leak", "", None),
    ("refused", "", None),
    ("userspace", "", None),
)

AS_RECORDED = (
    "a guest imports pages before SET_SEC_CONF_PARAMS has succeeded: this Ultravisor refuses that (commit message of "
    "20201116122033.382372-2), the one that the data were recorded on let it, and so does the driver"
)
"""The one answer of the Ultravisor that has been corrected since. The kernel's code is the same, whatever it is."""

KERNELS = {
    "6.2": ld.series.linux_6_2,
    "6.2+292a7d6fca33": ld.series.linux_latest.upto(19),
}


def series_of(kernel: str) -> ld.series.Series:
    """The kernel that a run names."""
    if kernel not in KERNELS:
        raise ValueError(f"kernel {kernel!r}: this program knows {', '.join(KERNELS)}")
    return KERNELS[kernel]


class Driven(DrivenMachine):
    """A machine with the merged design."""

    def __init__(self, kernel: ld.series.Series, options: dict[str, Any]) -> None:
        ultravisor = dict(options.get("ultravisor", {}))
        if options.get("fast"):
            ultravisor["calls"] = ("DESTROY_SEC_CONF_FAST",)
        hole = options.get("hole")
        super().__init__(
            kernel,
            options,
            async_destroy=options.get("async_destroy"),
            ultravisor=ultravisor,
            hole=None if hole is None else tuple(hole),
        )
        self.threads: list[Any] = []
        self.program_of: dict[Any, Qemu] = {}
        self.programs: list[Qemu] = []
        self.mapped = True
        self.task: Any = None
        self.m.signal = self._signal
        self.let = False
        self._answer, self._call = self._call, self._as_recorded
        self._release, self.m.kernel.mmu_notifier_release = self.m.kernel.mmu_notifier_release, self._released

    def do(self, operation: list[Any]) -> dict[str, Any]:
        """Do one operation; what is seen afterwards."""
        result = self.operate(operation)
        program = self.programs[-1]
        return {
            "result": result,
            "calls": self.calls,
            "pages": self._pages() if program.mm.mm_users else None,
            "events": self._events(),
            "mm": [self._counts(program) for program in self.programs],
            "vm": self._vm(program) if program.has_vm else None,
            "threads": [f"t{place}" for place, thread in enumerate(self.threads) if thread.alive],
        }

    def end(self) -> dict[str, Any]:
        """After the end of everything."""
        uv, left = self.m.uv, self._frames_left()
        forgotten = [program.kvm.pv.need_cleanup for program in self.programs if not program.has_vm]
        return {
            **left,
            "in use": None if any(program.mm.mm_users for program in self.programs) else left["in use"],
            "small structures": sum(map(len, forgotten)),
            "configurations left": sorted(self._letter(handle) for handle in uv.configurations),
            "marked tables": len(uv.marked),
        }

    def _as_recorded(self, block: Any) -> int:
        """Let the Ultravisor answer as the one that the data were recorded on: see `AS_RECORDED`."""
        importing = block.header.cmd == UVC.CONV_TO_SEC_STOR
        configuration = self.m.uv.configurations.get(block.guest_handle) if importing else None
        if configuration is None or configuration.phase is not Phase.CREATED:
            return self._answer(block)
        self.let, configuration.phase = True, Phase.PARAMETERS_SET
        cc: int = self._answer(block)
        configuration.phase = Phase.CREATED
        return cc

    # What is seen

    def _signal(self, name: str, text: str, _kvm: Any = None) -> None:
        """The scenario itself says when the process goes."""
        self.m.event("signal", f"{name}: {text}")

    def _released(self, mm: Any) -> Iterator[Any]:
        if mm.notifier_subscriptions:
            self.m.event("release", "the notifier is called")
        yield from self._release(mm)

    def _actor(self) -> str:
        current = self.m.engine.current
        if current in self.threads:
            return f"t{self.threads.index(current)}"
        return "helper" if current is not None and current.name == HELPER else "main"

    def _counts(self, program: Qemu) -> list[int]:
        mm = program.mm
        registered = program.kvm in mm.notifier_subscriptions
        return [mm.mm_users, mm.mm_count, int(mm._context.is_protected), int(registered), int(mm.freed)]

    def _vm(self, program: Qemu) -> dict[str, Any]:
        kvm, set_aside = program.kvm, program.kvm.pv.set_aside
        return {
            "handle": self._letter(kvm.pv.handle),
            "cpus": [self._letter(vcpu.handle) for vcpu in kvm.vcpus],
            "gmap": self._letter(kvm.gmap.guest_handle),
            "set_aside": None if set_aside is None else self._left(set_aside),
            "need_cleanup": [self._left(leftover) for leftover in kvm.pv.need_cleanup],
            "table_on_list": int(kvm.gmap.table in kvm.gmap.crst_list),
        }

    def _left(self, leftover: Any) -> str:
        return self._letter(leftover.handle) if leftover.handle else "fast"

    def _events(self) -> list[str]:
        words: list[str] = []
        for event in self._new_events():
            known = [word for kind, text, word in EVENTS if event.kind == kind and text in event.text]
            word = known[0] if known else f"{event.kind}: {event.text}"
            if word is not None and not (word.startswith("use-after-free") and word in words):
                words.append(word)
        return words

    # Operations

    def _boot(self) -> None:
        if self.mms:
            self.m.qemu = self.m._start_qemu()
        self.m.boot()
        self.mms.append(self.m.mm)
        self.programs.append(self.m.qemu)

    def _command(self, flow: Any, words: tuple[str, ...]) -> list[int]:
        """Do a command that answers a number; rc and rrc are those of its last call of the given kinds."""
        made: list[tuple[int, int]] = []
        observed = self.m.uv.call

        def listening(block: Any) -> int:
            cc = observed(block)
            if self.calls and self.calls[-1].split(" ")[1] in words:
                made.append((block.header.rc, block.header.rrc))
            return cc

        self.m.uv.call = listening
        try:
            r = self.m._do(flow, "QEMU")
        finally:
            self.m.uv.call = observed
        return [r, *(made[-1] if made and r != -EFAULT else (0, 0))]

    def _enable(self) -> list[int]:
        return self._command(self.m.kernel.kvm_pv_enable(self.m.kvm), ("CREATE-VM", "CREATE-CPU"))

    def _protect(self, image: int) -> list[Any]:
        kernel, kvm = self.m.kernel, self.m.kvm
        stages = (
            ("enable", ("CREATE-VM", "CREATE-CPU"), lambda: kernel.kvm_pv_enable(kvm)),
            ("set-parms", ("SET-PARMS",), lambda: kernel.kvm_pv_set_sec_parms(kvm, kvm.sca << 12, 4096)),
            ("unpack", ("UNPACK",), lambda: kernel.kvm_pv_unpack(kvm, 0, image)),
            ("verify", ("VERIFY",), lambda: kernel.kvm_pv_verify(kvm)),
        )
        for at, words, stage in stages:
            answer = self._command(stage(), words)
            if answer[0]:
                return ["failed", at, *answer]
        return ["ok"]

    def _prepare(self) -> list[int]:
        return _listed(self.m._do(self.m.qemu.preparing(), "QEMU"))

    def _disable(self) -> list[int]:
        return _listed(self.m._do(self._disabling(), "QEMU"))

    def _disabling(self) -> Iterator[Any]:
        """Also where QEMU would not call it, as its guest is not protected."""
        self.m.qemu.set_aside_running()
        answer = yield from self.m.kernel.kvm_pv_disable(self.m.kvm)
        self.m.qemu._let_go()
        return answer

    def _plug_cpu(self, number: int) -> list[int]:
        def plugging() -> Iterator[Any]:
            protected = self.m.kvm.pv.handle
            return self.m.kernel.kvm_s390_pv_create_cpu(self.m.kvm.vcpus[number]) if protected else 0
            yield

        return self._command(plugging(), ("CREATE-CPU",))

    def _perform(self) -> list[str]:
        self.threads.append(self.m.qemu.start_perform())
        self.program_of[self.threads[-1]] = self.m.qemu
        return [f"t{len(self.threads) - 1}"]

    def _perform_now(self) -> list[Any]:
        (name,) = self._perform()
        return [name, *self._to_the_end(len(self.threads) - 1)]

    def _begin(self, kind: str) -> None:
        flow = self.m.qemu.preparing() if kind == "prepare" else self._disabling()
        self.task = self.m.engine.spawn(flow, "QEMU", self.m.now)

    def _go_on(self, calls: int | None = None) -> list[int] | None:
        before = len(self.calls)
        while self.task is not None and not (calls and len(self.calls) - before >= calls):
            self.m.engine.step(self.task)
            if not self.task.alive:
                answer, self.task = self.task.value, None
                return _listed(answer)
        return None

    def _step(self, name: str, calls: int) -> list[Any] | None:
        number, state = int(name[1:]), None
        for _ in range(calls):
            if not self.threads[number].alive or state == ["waits"]:
                break
            state = self._advance(number)
        return state

    def _advance(self, number: int) -> list[Any]:
        """Let a thread go on to its next call; to its end after that of its configuration, or if no call follows."""
        thread, before = self.threads[number], len(self.calls)
        answers = self.program_of[thread].answers
        while thread.alive:
            if self._would_wait(thread):
                return ["waits"]
            self.m.engine.step(thread)
            made = len(self.calls) > before and self.calls[-1].split(" ")[1]
            if made and made != "DESTROY-VM" and thread not in answers:
                return ["running"]
        return ["ended", *_listed(answers[thread])]

    def _would_wait(self, thread: Any) -> bool:
        """Whether a thread would now ask for the VM's lock, and main has it.

        It is not let ask: in the data a thread looks again when it is stepped, and is not handed the lock before.
        """
        if self.task is None or not self.task.holds_lock or thread in self.program_of[thread].answers:
            return False
        begins = inspect.getgeneratorstate(thread.generator) == inspect.GEN_CREATED
        interrupted = thread.progress is None and self.m.fatal_signal_pending(thread)
        return interrupted or (begins and self.m.kernel.asynchronous_destroy_is_on())

    def _to_the_end(self, number: int) -> list[Any]:
        state = ["running"]
        while state == ["running"]:
            state = self._advance(number)
        return state

    def _finish(self) -> dict[str, list[Any]] | None:
        alive = [number for number, thread in enumerate(self.threads) if thread.alive]
        return {f"t{number}": self._to_the_end(number) for number in alive} or None

    def _kill(self, name: str) -> None:
        thread = self.threads[int(name[1:])]
        self.program_of[thread].kill_thread(thread)

    def _exit(self) -> None:
        if self.m.alive:
            self.m.exit()

    def _helper(self) -> None:
        self.m.qemu.start_helper(mapped=self.mapped, follows=False)

    def _helper_exit(self) -> None:
        helped = next(program for program in self.programs if program.helper)
        self.m._do(helped.helper_exiting(), HELPER)

    def _not_mapped(self) -> None:
        self.mapped = self.programs[-1].mapped = False

    def _close(self) -> None:
        self.m._do(self.m.qemu.closing(), "QEMU")

    def _touch_all(self, pages: int | None = None, order: str = "order") -> list[str]:
        seen: Counter[str] = Counter()
        numbers = range(self.guest if pages is None else pages)
        for page in reversed(numbers) if order == "reverse" else numbers:
            became = self._touched(page)
            seen[became] += 1
            if became not in ("ok", "stuck"):
                break
        return [f"{became} x{times}" for became, times in sorted(seen.items())]

    def _host_read(self, page: int, kernel_mode: bool = False) -> list[str]:
        m = self.m
        for _ in range(TRIES):
            pfn = self._frame(page)
            if pfn is None:
                self._fault_in(page)
                continue
            if m.uv.access(m.memory.record(pfn)) is None:
                return ["ok"]
            frame = m.memory.page(pfn)
            if became := self._told_of(lambda: m.kernel.do_secure_storage_access(frame, kernel_mode=kernel_mode)):
                return [became]
        return ["stuck"]

    def _discard(self, page: int) -> None:
        pfn = self._frame(page)
        if pfn is not None:
            self._at_once(lambda: self.m.kernel.madvise_dontneed(self.m.mm, self.m.memory.page(pfn)))


def _listed(answer: Answer) -> list[int]:
    return [answer.r, answer.rc, answer.rrc]


# Comparing


def difference(case: Case, kernel: str, options: dict[str, Any], notes: Counter[str] | None = None) -> str:
    """Where a run first does something else than the data say; empty if nowhere.

    `notes` counts runs in which the driver lets something through that this Ultravisor refuses.
    """
    driven = Driven(series_of(kernel), options)
    found = compared(case, driven)
    if notes is not None and driven.let:
        notes[AS_RECORDED] += 1
    return found


def compared(case: Case, driven: Driven) -> str:
    """Do a case's operations, and say where something else is seen first; empty if nowhere."""
    for place, (operation, expected) in enumerate(data.spelled_out(case, {"mm": None, "vm": None, "threads": []})):
        seen = driven.do(operation)
        for what, value in expected.items():
            if seen[what] != (None if value == {} else value):
                return f"step {place} {operation}: {what}: {first_of(value, seen[what])}"
    if case["end"] is not None:
        for what, value in driven.end().items():
            if case["end"][what] != value:
                return f"the end: {what}: {case['end'][what]} in the data, {value} here"
    return ""
