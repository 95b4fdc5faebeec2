"""Question 2: who can reach a page that waits for clean-up, and what he reads.

Every cell of the matrix is an experiment on a machine of its own, of eight pages: the old guest ends, a page of its
memory is brought into a state, somebody goes for it, and what came of that is looked up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from ..costs import Costs
from ..kernel.structs import Flow, Mm
from ..machine import Access, Machine, Process
from ..page import PAGE_SHIFT, PAGE_SIZE, Holder, Page, Record, State
from ..run import Event
from ..series import Series, v1
from ..series.layer import Layer
from ..ultravisor import DictTable, Interruption
from ..units import format_duration, one_of
from ..uvcb import UVC_CC_OK, uv_cb_csc, uv_cb_cts
from .answer import Agreement, Answer, Table, resting_on
from .common import counted, kernel_words, listed
from .pictures import Cell, Grid, Mood
from .question import Question
from .registry import answers

Scenario = Literal["reboot", "shutdown"]
PageState = Literal["not yet cleaned", "shared by the old guest", "cleaned", "swapped"]

SCENARIOS: tuple[Scenario, ...] = get_args(Scenario)
STATES: tuple[PageState, ...] = get_args(PageState)

PAGES = 8
"""Pages of each guest. The first one is cleaned at once, as the first 2 GiB are of a large one; it has the image."""

PAGE = 3
"""The guest page that it is about."""

ADDRESS = PAGE << PAGE_SHIFT

HELD = (State.SECURE, State.SHARED)

_RECORDED = (
    "do_secure_storage_access",
    "do_secure_storage_access_gmap",
    "do_non_secure_storage_access",
    "do_secure_storage_violation",
    "gmap_destroy_page",
    "arch_make_page_accessible",
    "gmap_convert_to_secure",
    "handle_mm_fault",
)


def _recorded(name: str) -> Callable[..., Any]:
    def function(self: Any, *arguments: Any, **options: Any) -> Any:
        self.trail.append(name)
        return getattr(super(Recorder, self), name)(*arguments, **options)

    function.__name__ = name
    return function


class Recorder(Layer):
    """Write down which functions of the kernel handle an access, by their names; change nothing."""

    def __init__(self: Any, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.trail: list[str] = []

    for _name in _RECORDED:
        locals()[_name] = _recorded(_name)
    del _name


THE_PAGE, ELSEWHERE, LEFT = PLACES = ("the page", "elsewhere", "in the frame it left")
"""On what an attempt was made."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What became of one attempt to get at a page of a guest that has ended.

    Attributes
    ----------
    accessor : str
        Who: a key of `ACCESSORS`.
    state : str
        The state that the page was to be in, one of `STATES`.
    scenario : {"reboot", "shutdown"}
        How the old guest ended.
    found : str
        What the page was when the attempt began, such as "secure, of A, mapped"; the old guest is A.
    waits : bool
        It was waiting for clean-up then: still the old configuration's, or set aside.
    exceptions : tuple of Interruption
    handlers : tuple of str
        Functions of the kernel that dealt with it, in order.
    uvcs : tuple of str
        Ultravisor Calls that it took, with what became of them.
    where : str
        On what the attempt was made, one of `PLACES`: on the page itself, on another one that has its address now, on
        the frame that it left when it was swapped out. Empty if there was nothing to be had.
    read : str
        What was read; empty if nothing.
    reads_secret : bool
        That was the old guest's own plaintext, on a page that it had not shared, and the reader was somebody else.
    owner : str
        Whose the page is afterwards: a secure configuration, or the host.
    after : str
        What it is afterwards, such as "non-secure (ciphertext of A), mapped".
    ns : int
        What it took, nanoseconds.
    events : tuple of Event
        What was logged, while the accessor got ready, too.
    note : str
        Why nothing was read, or what else is to be known.
    """

    accessor: str
    state: str
    scenario: str
    found: str
    waits: bool
    exceptions: tuple[Interruption, ...]
    handlers: tuple[str, ...]
    uvcs: tuple[str, ...]
    where: str
    read: str
    reads_secret: bool
    owner: str
    after: str
    ns: int
    events: tuple[Event, ...]
    note: str

    @property
    def touched(self) -> bool:
        """Whether the attempt was made on the page itself."""
        return self.where == THE_PAGE

    @property
    def through(self) -> bool:
        """Whether it got through to the page."""
        return self.touched and bool(self.read)

    @property
    def calls(self) -> tuple[str, ...]:
        """The calls that did something, by what they do to the page."""
        return tuple(_DOES[call] for call in self.uvcs if call in _DOES)

    def __str__(self) -> str:
        """In few words, for a cell of a table."""
        if not self.read:
            return self.short
        return f"{self.short}, {format_duration(self.ns)}; {_OWNERS.get(self.owner, self.owner)}"

    @property
    def short(self) -> str:
        """The same without what it took and whose the page is then."""
        what = ", ".join([*(f"0x{number:X}" for number in self.exceptions), *self.calls])
        place = "" if self.touched else f", {self.where}"
        said = f"{_READS.get(self.read, self.read)}{place}" if self.read else self.note
        return f"{what + ': ' if what else ''}{'SECRET, ' if self.reads_secret else ''}{said}"


_DOES = {
    "DESTR_SEC_STOR": "destroy",
    "CONV_FROM_SEC_STOR": "export",
    "CONV_TO_SEC_STOR": "import",
    "PIN_PAGE_SHARED": "pin",
    "CREATE_SEC_CPU": "CPU",
}


_READS = {"plaintext of A": "A's plaintext", "ciphertext of A": "ciphertext", "plaintext of B": "own page"}
"""The old guest is always A, the protected one that runs now B. A first import clears the page before B reads it."""

_OWNERS = {"A": "A's", "B": "B's", "host": "host's", "nobody": "gone"}


# One experiment


@dataclass(slots=True)
class Attempt:
    """One machine on which somebody is about to go for a page of a guest that has ended.

    Attributes
    ----------
    machine : Machine
    scenario : {"reboot", "shutdown"}
    handle : int
        The old guest's secure configuration.
    old_mm : Mm
        The address space that the old guest had.
    pfn : int
        The frame that backed the page.
    sees : int
        The frame on which the attempt is made: set by who makes it.
    note : str
    beside : Process or None
        Another VM that was there all the time.
    swapped : bool
        The page has been swapped out.
    """

    machine: Machine
    scenario: Scenario
    handle: int
    old_mm: Mm
    pfn: int
    sees: int | None = None
    note: str = ""
    beside: Process | None = None
    swapped: bool = False

    @property
    def frame(self) -> Record:
        """What the frame is now that backed the page."""
        return self.machine.memory.record(self.pfn)

    @property
    def page(self) -> Record | None:
        """The old guest's page, wherever it is: in its frame, in swap, or brought back from there. None: nowhere."""
        if not self.swapped:
            return self.frame
        if PAGE in self.old_mm.swap:
            return self.old_mm.swap[PAGE]
        back = self.machine.memory.record(self.old_mm.guest.slot(PAGE))
        return back if (back.holder, back.mm) == (Holder.MAPPED, self.old_mm.number) else None

    @property
    def waits(self) -> bool:
        """Whether it waits for clean-up: still the old configuration's, or set aside."""
        frame = self.frame
        held = frame.state in HELD and frame.owner == self.handle
        return held or (frame.holder, frame.mm) == (Holder.SET_ASIDE, self.old_mm.number)

    def where(self, was_swapped: bool) -> str:
        """On what the attempt has been made, if the page had been swapped out before, or not."""
        if self.sees is None:
            return ""
        if not was_swapped:
            return THE_PAGE if self.sees == self.pfn else ELSEWHERE
        if self.page is not None and PAGE not in self.old_mm.swap and self.sees == self.old_mm.guest.slot(PAGE):
            return THE_PAGE
        return LEFT if self.sees == self.pfn else ELSEWHERE

    def described(self) -> str:
        """What has become of the page, in words."""
        machine, page = self.machine, self.page
        if page is None:
            return "gone, and its place in swap is free"
        if PAGE in self.old_mm.swap:
            return f"in swap ({machine.describe(page)})"
        of = f", of {machine.name(page.owner)}" if page.owner else f" ({machine.describe(page)})"
        return f"{_words(page.state)}{of}, {_words(page.holder)}"


def _words(name: State | Holder) -> str:
    return name.name.lower().replace("_", "-" if isinstance(name, State) else " ")


@dataclass(frozen=True, slots=True)
class Accessor:
    """Somebody who goes for the page.

    Attributes
    ----------
    prepare : callable
        What must be there first: called when the old guest has ended.
    flow : callable
        The attempt itself, a flow on the machine that returns what was read.
    by_hand : bool
        Nobody does that unless the host, which is not trusted, means to.
    """

    prepare: Callable[[Attempt], None]
    flow: Callable[[Attempt], Flow]
    by_hand: bool = False


def _old_guest(scenario: Scenario, state: PageState, given: Mapping[str, Any], beside: bool) -> Attempt:
    """A guest that has run, shared what it was to share, and ended; the clean-up in the background has not begun."""
    machine = Machine(
        PAGES * PAGE_SIZE,
        low_memory=PAGE_SIZE,
        segment_table=0,
        host_memory=64 * PAGES * PAGE_SIZE,
        tabled=False,  # the recorder is to hear of every call, not of the first of its kind
        windows=False,
        **given,
    )
    other = machine.start_another() if beside else None
    machine.boot()
    machine.protect()
    for page in range(PAGES):
        machine.touch(page)
    if state == "shared by the old guest":
        machine.share(PAGE)
    attempt = Attempt(machine, scenario, machine.kvm.pv.handle, machine.mm, machine.mm.guest.slot(PAGE), beside=other)
    if scenario == "reboot":
        machine.reboot()
    else:
        if state == "swapped":
            attempt.swapped = machine.swap_out(PAGE)
        machine.exit()
    return attempt


def _bring_into(state: PageState, attempt: Attempt) -> None:
    """Let the clean-up come to the page, or the kernel swap it out."""
    machine = attempt.machine
    if state == "cleaned":
        while attempt.waits and machine.tasks:
            machine.step()
    elif state == "swapped" and attempt.scenario == "reboot":
        attempt.swapped = machine.kernel.swap_out(attempt.old_mm, ADDRESS)


def reach(
    accessor: str,
    state: PageState,
    scenario: Scenario,
    *,
    kernel: Series = v1,
    costs: Costs | None = None,
    features: Any = (),
) -> Reach:
    """Let somebody go for a page of a guest that has ended, on a machine of its own.

    Parameters
    ----------
    accessor : str
        A key of `ACCESSORS`.
    state : str
        One of `STATES`. "swapped": in a reboot by the kernel, after the reset and before the page was cleaned; at
        shutdown before the process was killed, since nothing of it can be swapped out afterwards.
    scenario : {"reboot", "shutdown"}
    kernel, costs, features
        As for `Machine`.

    Returns
    -------
    Reach

    Raises
    ------
    ValueError
        If there is no such accessor, state or scenario.
    """
    for name, value, known in (
        ("accessor", accessor, ACCESSORS),
        ("state", state, STATES),
        ("scenario", scenario, SCENARIOS),
    ):
        one_of(value, known, name)
    who = ACCESSORS[accessor]
    given = {"kernel": kernel.plus(Recorder), "costs": costs, "features": features}
    attempt = _old_guest(scenario, state, given, accessor.startswith("another"))
    machine, logged = attempt.machine, len(attempt.machine.events)
    try:
        who.prepare(attempt)
    except RuntimeError:
        attempt.note = _ended(machine, logged) or "does not come up"
    _bring_into(state, attempt)
    found, waits, swapped = attempt.described(), attempt.waits, attempt.swapped
    open_to_all = attempt.frame.state == State.SHARED and attempt.frame.owner == attempt.handle
    recorder: Any = machine.kernel
    recorder.trail.clear()
    done = machine.observe(accessor, PAGE, _nothing() if attempt.note else who.flow(attempt))
    secret = done.saw == f"plaintext of {machine.name(attempt.handle)}"
    return Reach(
        accessor=accessor,
        state=state,
        scenario=scenario,
        found=found,
        waits=waits,
        exceptions=done.interruptions,
        handlers=tuple(recorder.trail),
        uvcs=done.uvcs,
        where=attempt.where(swapped),
        read=done.saw,
        reads_secret=secret and not open_to_all and not accessor.startswith(ZOMBIE),
        owner=machine.name(attempt.page.owner) if attempt.page is not None else "nobody",
        after=attempt.described(),
        ns=done.ns,
        events=tuple(machine.events[logged:]),
        note=attempt.note or _why_not(done),
    )


def _nothing() -> Flow:
    return ""
    yield


def _why_not(done: Access) -> str:
    if done.saw:
        return ""
    return _of_event(done.events) or "refused"


def _ended(machine: Machine, logged: int) -> str:
    return _of_event(tuple(machine.events[logged:]))


def _of_event(events: tuple[Event, ...]) -> str:
    """What went wrong, in two words."""
    kinds = {event.kind for event in events}
    return next((words for kind, words in _ENDS.items() if kind in kinds), "")


_ENDS = {
    "signal": "process killed",
    "addressing exception": "guest stops",
    "bug": "host kernel stops",
    "endless fault": "faults for ever",
    "refused": "does not come up",
}


def reach_matrix(kernel: Series = v1, costs: Costs | None = None, features: Any = ()) -> tuple[Reach, ...]:
    """Every accessor, every state, reboot and shutdown: one machine each.

    Parameters
    ----------
    kernel, costs, features
        As for `Machine`.

    Returns
    -------
    tuple of Reach
        By scenario, then accessor, then state.
    """
    return tuple(
        reach(accessor, state, scenario, kernel=kernel, costs=costs, features=features)
        for scenario in SCENARIOS
        for accessor in ACCESSORS
        for state in STATES
    )


# Who goes for it


def _no_preparation(attempt: Attempt) -> None:
    """He is there already."""


def _a_process(attempt: Attempt) -> None:
    """A process that has the guest's address: in a reboot QEMU is still there, at shutdown a new one starts."""
    if attempt.scenario == "shutdown":
        attempt.machine.start_process()


def _normal_guest(attempt: Attempt) -> None:
    _a_process(attempt)
    attempt.machine.boot()


def _protected_guest(attempt: Attempt) -> None:
    _normal_guest(attempt)
    attempt.machine.protect()


def _another_vm(attempt: Attempt) -> None:
    """Another VM, which was there before the old guest ended."""
    assert attempt.beside is not None
    attempt.machine.turn_to(attempt.beside)
    attempt.machine.boot()


def _another_protected_vm(attempt: Attempt) -> None:
    _another_vm(attempt)
    attempt.machine.protect()


def _by_address(as_: str) -> Callable[[Attempt], Flow]:
    """Somebody who has only the guest's address in an address space: a page fault first, if nothing is mapped there."""

    def flow(attempt: Attempt) -> Flow:
        machine = attempt.machine
        if not _page_at(machine):
            machine.kernel.handle_mm_fault(machine.mm, machine.mm.guest, ADDRESS)
            yield
        page = _page_at(machine)
        if page is None:
            return ""
        attempt.sees = page.pfn
        return (yield from machine.reading(page, as_))

    return flow


def _page_at(machine: Machine) -> Page | None:
    return machine.kernel.gmap_page(machine.kvm.gmap, ADDRESS)


def _by_frame(attempt: Attempt) -> Flow:
    """The host kernel: all of memory is in its identity mapping."""
    attempt.sees = attempt.pfn
    return (yield from attempt.machine.reading(attempt.machine.memory.page(attempt.pfn), "kernel"))


def _to_swap(attempt: Attempt) -> Flow:
    """Swap-out looks for a present entry in the old guest's address space; what it writes is what it reads."""
    kernel, mm = attempt.machine.kernel, attempt.old_mm
    if not kernel.swap_out(mm, ADDRESS):
        attempt.note = "nothing mapped there"
        return ""
    attempt.sees, attempt.swapped = attempt.pfn, True
    return attempt.machine.describe(mm.swap[PAGE])
    yield


def _as_guest(attempt: Attempt) -> Flow:
    """The guest that runs now touches the address."""
    machine = attempt.machine
    attempt.sees = machine.mm.guest.slot(PAGE) if _page_at(machine) else None
    saw = yield from machine._visiting(PAGE)
    attempt.sees = machine.mm.guest.slot(PAGE)
    return saw


def _given_the_frame(attempt: Attempt) -> Flow:
    """The host maps the frame to another configuration, and asks the Ultravisor to import it there. No handler runs."""
    machine = attempt.machine
    attempt.sees = attempt.pfn
    machine.uv.tables[machine.kvm.gmap.table << PAGE_SHIFT] = DictTable({PAGE: attempt.pfn})
    handle = machine.running_handle(machine.kvm)
    if not _may(attempt, handle):
        uvcb = uv_cb_cts(guest_handle=handle, gaddr=ADDRESS)
        if machine.kernel.uv_call(uvcb) != UVC_CC_OK:
            attempt.note = f"import refused, rc {uvcb.header.rc:#x}"
            return ""
    return machine.describe(attempt.frame)
    yield


def _may(attempt: Attempt, handle: int) -> bool:
    """Whether a CPU of that configuration may touch the page; if not, the interruption is taken down."""
    machine = attempt.machine
    interruption = machine.uv.access(attempt.frame, handle)
    if interruption is None:
        machine.engine.charge(machine.costs.touch)
        return True
    machine.raised(interruption)
    machine.engine.charge(machine.costs.exception)
    return False


def _as_zombie(attempt: Attempt) -> Flow:
    """The old configuration itself, with the CPUs that the Ultravisor has for it."""
    configuration = attempt.machine.uv.configurations.get(attempt.handle)
    if configuration is None:
        attempt.note = "is destroyed"
    elif not configuration.cpus:
        attempt.note = "has no CPU"
    else:
        attempt.sees = attempt.pfn
        return attempt.machine.describe(attempt.frame) if _may(attempt, attempt.handle) else ""
    return ""
    yield


def _as_revived_zombie(attempt: Attempt) -> Flow:
    """The host kernel creates a CPU for the old configuration: version 1 forgets the handle, another host might not."""
    machine = attempt.machine
    storage = machine.allocate_donation(machine.uv.cpu_stor_len)
    assert storage is not None
    uvcb = uv_cb_csc(
        guest_handle=attempt.handle,
        num=0,
        state_origin=machine.kvm.sca << PAGE_SHIFT,
        stor_origin=storage[0] << PAGE_SHIFT,
    )
    if machine.kernel.uv_call(uvcb) != UVC_CC_OK:
        attempt.note = f"no CPU to be had, rc {uvcb.header.rc:#x}"
        return ""
    attempt.sees = attempt.pfn
    if _may(attempt, attempt.handle):
        return machine.describe(attempt.frame)
    attempt.note = "page has to be imported first"
    return ""
    yield


ZOMBIE = "the zombie"

ACCESSORS: dict[str, Accessor] = {
    "host userspace": Accessor(_a_process, _by_address("host")),
    "host kernel": Accessor(_no_preparation, _by_frame),
    "I/O": Accessor(_a_process, _by_address("io")),
    "swap-out": Accessor(_no_preparation, _to_swap),
    "normal new guest": Accessor(_normal_guest, _as_guest),
    "protected new guest": Accessor(_protected_guest, _as_guest),
    "another VM": Accessor(_another_vm, _as_guest),
    "another protected VM": Accessor(_another_protected_vm, _as_guest),
    "another protected VM, given the frame": Accessor(_another_protected_vm, _given_the_frame, by_hand=True),
    ZOMBIE: Accessor(_no_preparation, _as_zombie),
    f"{ZOMBIE}, given a CPU": Accessor(_no_preparation, _as_revived_zombie, by_hand=True),
}
"""Who goes for the page. Two of them only if the host, which is not trusted, means them to."""


# The answer

SCENARIO_WORDS: Mapping[str, tuple[Scenario, ...]] = {
    "both": SCENARIOS,
    "reboot": ("reboot",),
    "shutdown": ("shutdown",),
}


@answers(2)
def reached(
    question: Question,
    *,
    kernel: Series = v1,
    costs: Costs | None = None,
    features: Any = (),
    scenario: str = "both",
) -> Answer:
    """Every accessor, every state of a page, reboot and shutdown: what he meets, what he reads, what it costs.

    All of it is measured whatever is shown, each cell on a machine of eight pages: reach does not depend on size.

    Parameters
    ----------
    question : Question
    kernel, costs, features
        As for `Machine`.
    scenario : {"both", "reboot", "shutdown"}
        Which part of the matrix is shown.
    """
    scenario = one_of(scenario, SCENARIO_WORDS, "scenario")
    cells = reach_matrix(kernel, costs, features)
    stopped = {number: _without(number, kernel, costs, features) for number in (3, 4)}
    values = {"cells": cells, **_measured(cells), "stopped_without": stopped}
    claims = _claims(cells)
    shown = SCENARIO_WORDS[scenario]
    return Answer(
        question=question,
        verdict=_verdict(cells, values, kernel, shown),
        claims=claims,
        evidence=_table(cells, shown),
        agrees=_agrees(values),
        agreement=_agreement(values, kernel),
        assumptions=resting_on(
            "export",
            "destroy of a shared page",
            "import or unpack of a page of another configuration",
            "import or unpack with the feature",
            "CREATE_SEC_CPU for a configuration",
            "an interruption, its handler",
            "frame for a page fault",
            "exception",
            "touch",
            "fault",
            "refused",
        ),
        pictures=tuple(_grid(cells, each) for each in shown),
        values=values,
        parameters={},
    )


def _of(
    cells: tuple[Reach, ...], scenario: str | None = None, state: str | None = None, by_hand: bool = False
) -> list[Reach]:
    """Some of the cells; those of accessors that only a host with bad intentions lets do it, only if asked for."""
    return [
        cell
        for cell in cells
        if scenario in (None, cell.scenario)
        and state in (None, cell.state)
        and (by_hand or not ACCESSORS[cell.accessor].by_hand)
    ]


def _measured(cells: tuple[Reach, ...]) -> dict[str, Any]:
    """What the verdict is made of, for each scenario."""
    revived = [cell for cell in cells if cell.accessor.startswith(ZOMBIE) and cell.read]
    found: dict[str, Any] = {
        "secrets": sum(cell.reads_secret for cell in cells),
        "zombie_reads": tuple(dict.fromkeys(cell.accessor for cell in revived)),
    }
    for scenario in SCENARIOS:
        waiting = [cell for cell in _of(cells, scenario, "not yet cleaned") if cell.waits]
        through = [cell for cell in waiting if cell.through]
        found[scenario] = {
            "waits": bool(waiting),
            "mapped": any(cell.found.endswith("mapped") for cell in waiting),
            "through": tuple(cell.accessor for cell in through),
            "stopped": tuple(
                (cell.accessor, cell.state, cell.note)
                for cell in _of(cells, scenario)
                if cell.waits and cell.note in _ENDS.values()
            ),
            "fastest_ns": min((cell.ns for cell in through), default=None),
            "slowest_ns": max((cell.ns for cell in through), default=None),
            "reads": tuple(sorted({_READS.get(cell.read, cell.read) for cell in through})),
            "same_frame": tuple(cell.accessor for cell in through if cell.touched and cell.accessor in NEW_GUESTS),
            "after_cleaning": tuple(cell.accessor for cell in _of(cells, scenario, "cleaned") if cell.through),
        }
    return found


NEW_GUESTS = ("normal new guest", "protected new guest")


def _claims(cells: tuple[Reach, ...]) -> dict[str, bool]:
    aside = [cell for cell in _of(cells, "shutdown") if cell.waits]
    again = [cell for cell in _of(cells, "reboot") if cell.accessor in NEW_GUESTS and cell.state != "swapped"]
    swaps = [cell for cell in cells if cell.accessor == "swap-out" and cell.waits]
    given = [cell for cell in cells if cell.accessor.endswith("given the frame") and cell.state == "not yet cleaned"]
    return {
        "no cell reads what the old guest had not shared": not any(cell.reads_secret for cell in cells),
        "a rebooted guest goes for the same frames again": all(cell.touched for cell in again),
        "at shutdown nobody but the host kernel reaches a page that waits": {
            cell.accessor for cell in aside if cell.through or cell.touched
        }
        <= {"host kernel"},
        "a page that waits can be swapped out in a reboot, and not at shutdown": (
            any(cell.through for cell in swaps) and all(cell.through == (cell.scenario == "reboot") for cell in swaps)
        ),
        "a page that waits is not imported into another VM that the host gives it to": not any(
            cell.through for cell in given if cell.waits
        ),
        "the zombie has no CPU to reach anything with": not any(cell.read for cell in cells if cell.accessor == ZOMBIE),
    }


def _without(number: int, kernel: Series, costs: Costs | None, features: Any) -> str | None:
    """What stops the new guest that patch 3, or 4, is for, if the kernel is without it. None: it has not got it."""
    if number not in kernel:
        return None
    accessor = NEW_GUESTS[0] if number == 4 else NEW_GUESTS[1]
    less = kernel.without(number)
    return reach(accessor, "not yet cleaned", "reboot", kernel=less, costs=costs, features=features).note


def _verdict(cells: tuple[Reach, ...], values: Mapping[str, Any], kernel: Series, shown: tuple[Scenario, ...]) -> str:
    parts = [_reboot_words(values["reboot"], kernel)] if "reboot" in shown else []
    parts += [_shutdown_words(values["shutdown"], kernel)] if "shutdown" in shown else []
    secrets = values["secrets"]
    parts.append(
        f"in {secrets or 'none'} of {len(cells)} cases does anybody but the old guest itself read plaintext that "
        "it had "
        "not shared"
    )
    words = "; ".join(parts)
    return f"{words[0].upper()}{words[1:]}."


def _reboot_words(reboot: Mapping[str, Any], kernel: Series) -> str:
    if not reboot["waits"]:
        return f"in a reboot no: {kernel_words(kernel)} cleans all pages before the new guest runs, so that none waits"
    everybody = sum(not who.by_hand for who in ACCESSORS.values())
    through = reboot["through"]
    words = f"in a reboot yes: {len(through)} of {everybody} who need no help of a hostile host get through to a page "
    words += "that waits for clean-up"
    if through:
        fast, slow = (format_duration(reboot[name]) for name in ("fastest_ns", "slowest_ns"))
        times = fast if fast == slow else f"{fast} to {slow}"
        words += f" ({listed(through)}), in {times}, and each reads {_read(reboot)}"
    again = reboot["same_frame"]
    if again:
        gets = "gets" if len(again) == 1 else "get"
        words += f"; the {' and the '.join(again)} {gets} no new page, but the old one's frame"
    for accessor, state, note in reboot["stopped"]:
        words += f"; the {accessor} on a page {state} ends with: {note}"
    return words


def _shutdown_words(shutdown: Mapping[str, Any], kernel: Series) -> str:
    if not shutdown["waits"]:
        return f"at shutdown no: {kernel_words(kernel)} sets no page aside"
    through = shutdown["through"]
    if not through:
        return "at shutdown no: nobody gets through to a page that is set aside"
    space = "an address space still maps it" if shutdown["mapped"] else "no address space maps it any more"
    return f"at shutdown only the {listed(through)} does, by its frame number ({space}), and reads {_read(shutdown)}"


def _read(found: Mapping[str, Any]) -> str:
    return " or ".join("a cleared page of its own" if each == "own page" else each for each in found["reads"])


def _agrees(values: Mapping[str, Any]) -> Agreement:
    if not _as_he_said(values["reboot"]):
        return "no"
    return "refines" if values["shutdown"]["waits"] else "yes"


def _as_he_said(reboot: Mapping[str, Any]) -> bool:
    """Swap and both new guests, before and after the page was cleaned."""
    said = {"swap-out", *NEW_GUESTS}
    everybody = said <= set(reboot["through"]) and said <= set(reboot["after_cleaning"])
    return reboot["waits"] and everybody and not reboot["stopped"]


def _agreement(values: Mapping[str, Any], kernel: Series) -> str:
    reboot, shutdown = values["reboot"], values["shutdown"]
    if not reboot["waits"]:
        return f"With {kernel_words(kernel)} no page waits in a reboot, so there is nothing to agree with."
    if not _as_he_said(reboot):
        stopped = "; ".join(f"{accessor}: {note}" for accessor, _, note in reboot["stopped"]) or "not all get through"
        return f"Not with {kernel_words(kernel)} ({stopped})."
    words = "In a reboot it is as he says, swap and both kinds of new guest, before and after the page was cleaned"
    without = [f"without patch {number}: {note}" for number, note in values["stopped_without"].items() if note]
    words += f" ({'; '.join(without)})." if without else "."
    if shutdown["waits"]:
        words += " The thread says neither who reaches a page at shutdown nor what is read: the matrix adds that."
    if values["zombie_reads"]:
        words += (
            f" The old guest itself reads a page only as {listed(values['zombie_reads'])}: that takes help of the host "
            "kernel, which version 1 never gives, and that the Ultravisor would allow it is assumed."
        )
    return words


def _table(cells: tuple[Reach, ...], shown: tuple[Scenario, ...]) -> Table:
    rows: list[tuple[str, ...]] = []
    for scenario in shown:
        rows.append((f"After a {scenario}", *("" for _ in STATES)))
        for accessor in ACCESSORS:
            there = {cell.state: str(cell) for cell in cells if (cell.scenario, cell.accessor) == (scenario, accessor)}
            rows.append((accessor, *(there[state] for state in STATES)))
    return Table(("who goes for the page", *STATES), tuple(rows))


def _grid(cells: tuple[Reach, ...], scenario: Scenario) -> Grid:
    there = {(cell.accessor, cell.state): cell for cell in _of(cells, scenario, by_hand=True)}
    moods = {mood for cell in there.values() for mood in [_mood(cell)]}
    waiting = [cell for cell in _of(cells, scenario, "not yet cleaned") if cell.waits]
    through = {cell.accessor for cell in waiting if cell.through}
    secrets = sum(cell.reads_secret for cell in there.values())
    everybody = sum(not who.by_hand for who in ACCESSORS.values())
    return Grid(
        title=f"After a {scenario} {len(through)} of {everybody} reach a page that waits; "
        f"{counted(secrets, 'cells') if secrets else 'no cell'} read{'' if secrets > 1 else 's'} a secret",
        row_title="who goes for the page",
        column_title="state of the page",
        rows=tuple(ACCESSORS),
        columns=STATES,
        cells=tuple(
            tuple(Cell(there[accessor, state].short, _mood(there[accessor, state])) for state in STATES)
            for accessor in ACCESSORS
        ),
        legend=tuple((mood, words) for mood, words in _LEGEND if mood in moods),
    )


_LEGEND: tuple[tuple[Mood, str], ...] = (
    ("good", "gets the page, and nothing of what was in it"),
    ("mixed", "reads what the old guest had shared"),
    ("plain", "the old guest itself reads it"),
    ("bad", "reads a secret, or is killed"),
    ("none", "does not reach the page"),
)


def _mood(cell: Reach) -> Mood:
    if cell.reads_secret or cell.note in _ENDS.values():
        return "bad"
    if not cell.through:
        return "none"
    if cell.read == "plaintext of A":
        return "plain" if cell.accessor.startswith(ZOMBIE) else "mixed"
    return "good"
