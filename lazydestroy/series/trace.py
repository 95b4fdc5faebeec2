"""How a kernel breaks, told so that it reads like a bug report."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from ..actors import ASYNC_CLEANUP, IN_BACKGROUND, VCPU, is_a
from ..layers import Series
from ..page import HELD, Holder
from ..uvcb import UVC
from .bounds import Bounds
from .failures import failure_of
from .program import in_words
from .story import Action, failure_in
from .world import World, errors_as_findings

if TYPE_CHECKING:
    from .._core import Task
    from ..run import Event


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of a trace, and the machine after it.

    Attributes
    ----------
    text : str
        What happened.
    actor : str
        At whose hand.
    rows : tuple of dict
        The guest's pages afterwards, as `Machine.rows` gives them. A page that was freed while the Ultravisor guards it
        is there, too: its holder is "free".
    events : tuple of Event
        What was logged.
    old : frozenset of str
        Names of the configurations that have been set aside.
    bad : bool
        Whether this is where it goes wrong.
    list_pages : int
        Pages that are set aside and belong to no guest: they hold the list of those that do.
    """

    text: str
    actor: str
    rows: tuple[dict[str, Any], ...]
    events: tuple[Event, ...]
    old: frozenset[str]
    bad: bool = False
    list_pages: int = 0


@dataclass(frozen=True, slots=True, repr=False)
class Trace:
    """How a kernel breaks: the shortest way that there is.

    Attributes
    ----------
    kernel : Series
    violation : str
        What no longer holds, in a sentence.
    actions : tuple
        What was done, step by step.
    moments : tuple of Moment
        The same, as a reader wants it.
    line : str
        If Python raised an error in a layer: that line of it.
    without : str
        A rule of the Ultravisor that was turned off; empty if none was.
    """

    kernel: Series
    violation: str
    actions: tuple[Action, ...]
    moments: tuple[Moment, ...]
    line: str = ""
    without: str = ""

    @property
    def story(self) -> str:
        """The trace in a line."""
        return " · ".join([*(moment.text for moment in self.moments), self.violation])

    def plot(self) -> Any:
        """Draw it: the pages at each moment; see `lazydestroy.plots.plot_trace`."""
        from ..plots import plot_trace

        return plot_trace(self)

    def __str__(self) -> str:
        lines = [f"{number:3}. {moment.text}" for number, moment in enumerate(self.moments, 1)]
        return "\n".join([*lines, f"  => {self.violation}", *([f"     in: {self.line}"] if self.line else [])])

    __repr__ = __str__

    @property
    def html(self) -> str:
        """The same as HTML."""
        moments = "".join(f"<li>{escape(moment.text)}</li>" for moment in self.moments)
        line = f"<br>in: <code>{escape(self.line)}</code>" if self.line else ""
        return f"<ol>{moments}</ol><b>⇒ {escape(self.violation)}</b>{line}"


def told(kernel: Series, bounds: Bounds, actions: list[Action], stuck: bool) -> Trace:
    """Do it once more, and tell it."""
    world = World(kernel, bounds)
    teller = _Teller(world)
    for action in actions:
        teller.act(action)
    violation = world.wrong
    if stuck:
        tasks = " and ".join(task.name for task in world.machine.tasks)
        violation = f"{tasks} will never come to an end"
    without = "" if bounds.destroy_needs_no_cpus else "rule 1"
    return Trace(kernel, violation, tuple(actions), tuple(teller.moments()), world.line, without)


@dataclass(slots=True)
class _Told:
    """A moment in the making: what was meant, what came of it, and the machine after it."""

    actor: str
    intent: str
    done: list[str]
    rows: tuple[dict[str, Any], ...] = ()
    events: tuple[Event, ...] = ()
    old: frozenset[str] = frozenset()
    list_pages: int = 0

    @property
    def text(self) -> str:
        words = ", ".join(self.done)
        actor = f"thread {self.actor}" if is_a(self.actor, ASYNC_CLEANUP) else self.actor
        if not self.intent and not words:
            return f"{actor} goes on"
        return ": ".join(part for part in (self.intent or actor, words) if part)


class _Teller:
    """Listens to a world, and puts what one actor does in a row into one line."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.told: list[_Told] = []
        self.intent = ""
        self.logged = 0
        self.command = ""
        self.named: set[str] = set()
        self.frames: dict[int, int] = {}
        self.answered: set[Task] = set()
        world.machine._log.clear()

    def act(self, action: Action) -> None:
        """Let the world act."""
        self.intent = self.command = _intent(self.world, action)
        with errors_as_findings(self.world):
            self.world.act(action, self._listen)

    def _listen(self, actor: str) -> None:
        """One step has been done."""
        machine = self.world.machine
        done = [f"0x{number:X}" for number in machine._raised] + [short_call(call) for call in machine._log]
        if done and is_a(actor, *IN_BACKGROUND):
            word, bracket, outcome = done[-1].partition(" (")
            done[-1] = word + self._where() + bracket + outcome
        machine._raised.clear()
        machine._log.clear()
        last = self.told[-1] if self.told else None
        goes_on = last is not None and last.actor == actor and last.intent
        if is_a(actor, self.world.program) and not self.world.wrong and not self.world.story.late:
            new = sorted(set(machine.names.values()) - self.named)
            self.named.update(new)
            if self.intent or goes_on:
                # what it is about has been said; its calls matter only if others act between them
                done = [f"this is {name}" for name in new]
        said = self._said()
        done += said
        if last is None or last.actor != actor or self.intent:
            last = _Told(actor, self.intent, [])
            self.told.append(last)
        self.intent = ""
        last.done += done
        last.rows = tuple(map(self._row, machine.rows()))
        last.list_pages = self._list_pages()
        events = machine.events[self.logged :]
        last.events += tuple(event for event in events if event.kind != "userspace" or not said)
        last.old = frozenset(machine.name(handle) for handle in self._old())
        self.logged = len(machine.events)

    def _row(self, row: dict[str, Any]) -> dict[str, Any]:
        """A guest's page; if its frame was freed while the Ultravisor guards it, that frame."""
        machine, page = self.world.machine, row["page"]
        slot = machine.mm.guest.slot(page)
        if slot >= 0:
            self.frames[page] = slot
        if row["state"] != "not present" or page not in self.frames:
            return row
        record = machine.memory.record(self.frames[page])
        if record.holder != Holder.FREE or record.state not in HELD:
            return row
        state = record.state.name.lower().replace("_", "-")
        found = {"state": state, "owner": machine.name(record.owner), "content": machine.describe(record)}
        return {**row, **found, "holder": "free"}

    def _list_pages(self) -> int:
        """Pages that are set aside, and are none of the guest's."""
        memory, guest = self.world.machine.memory, self.world.machine.mm.guest
        aside = sum(pages for record, pages in memory.records().items() if record.holder == Holder.SET_ASIDE)
        slots = (guest.slot(page) for page in range(self.world.bounds.pages))
        return aside - sum(memory.record(slot).holder == Holder.SET_ASIDE for slot in slots if slot >= 0)

    def _old(self) -> set[int]:
        """The configurations that have been ended and are still there. One whose PREPARE was refused has not."""
        machine = self.world.machine
        kept = {machine.kvm.pv.handle} if self.world.pictures.any_order and not machine.qemu.in_kernel else set()
        return (machine.old & machine.uv.configurations.keys()) - kept

    def _said(self) -> list[str]:
        """What the kernel has answered to userspace, where that is worth telling."""
        qemu = self.world.machine.qemu
        answered = [answer for task, answer in qemu.answers.items() if task not in self.answered]
        self.answered.update(qemu.answers)
        said = [*qemu.said, *(f"PERFORM answers {in_words(answer)}" for answer in answered if answer.r)]
        qemu.said.clear()
        return [f"it {text.partition(' ')[2]}" if text.split()[0] in self.command else text for text in said]

    def _where(self) -> str:
        """Which page the last step was about."""
        machine = self.world.machine
        slots = [machine.mm.guest.slot(page) for page in range(self.world.bounds.pages)]
        frame = machine.engine.at_frame
        return f" page {slots.index(frame)}" if frame in slots else ""

    def moments(self) -> list[Moment]:
        """All that there is to tell, and at the last of them it goes wrong."""
        worth = [told for told in self.told[:-1] if told.intent or told.done] + self.told[-1:]
        began: dict[str, _Told] = {}
        for told in worth:
            if told.intent:
                began[told.actor] = told
            elif told.actor in began and is_a(told.actor, VCPU):
                # others have acted meanwhile: say which of the vCPUs it was that began
                first = began.pop(told.actor)
                first.intent += f" ({first.actor})"
        return [
            Moment(told.text, told.actor, told.rows, told.events, told.old, told is worth[-1], told.list_pages)
            for told in worth
        ]


def _intent(world: World, action: Action) -> str:
    """What an action is, before it has happened. A step has no intent of its own."""
    machine = world.machine
    running = machine.running_handle(machine.kvm)
    guest = machine.name(running) if running else "the normal guest"
    name, *about = action
    failing = f", and {failure_of(failure).words}" if (failure := failure_in(action)) else ""
    page = about[0] if about else ""
    return {
        "step": "",
        "touch": f"{guest} touches page {page}{failing}",
        "share": f"{guest} shares page {page}",
        "protect": f"the guest goes protected{failing}",
        "reset": f"{guest} is rebooted{failing}",
        "prepare": f"userspace calls PREPARE for {guest}{failing}",
        "disable": f"userspace calls DISABLE for {guest}{failing}",
        "perform": f"userspace starts a thread with PERFORM{failing}",
        "close": f"userspace closes the VM, and lives on{failing}",
        "kill": "a fatal signal hits that thread alone",
        "kill QEMU": f"{world.program} is killed while it is in the kernel",
        "helper": f"the helper is killed{failing}",
        "exit": f"the process exits{failing}",
        "io": f"the host does I/O on page {page}{failing}",
        "swap": f"the host swaps page {page} out{failing}",
    }[name]


_CALLS = {
    UVC.CONV_TO_SEC_STOR: "import",
    UVC.CONV_FROM_SEC_STOR: "export",
    UVC.DESTR_SEC_STOR: "destroy",
    UVC.PIN_PAGE_SHARED: "pin",
    UVC.UNPACK_IMG: "unpack",
}


def short_call(text: str) -> str:
    """A call of the log, in a word where there is one."""
    name, _, outcome = text.partition(" ")
    word = next((word for command, word in _CALLS.items() if command.name == name), name)
    return f"{word} {outcome}".replace("(noop)", "(no effect)").strip()


__all__ = ["Moment", "Trace", "short_call", "told"]
