"""One machine for each cell: the old guest ends, the page is brought into a state, somebody goes for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...costs import Costs
from ...kernel.structs import Flow
from ...layers import Layer
from ...machine import Access, Machine
from ...page import PAGE_SIZE, State
from ...run import Event
from ...series import Series, v1
from ...units import one_of
from .accessors import ACCESSORS, ZOMBIE
from .attempt import ADDRESS, PAGE, PAGES, SCENARIOS, STATES, Attempt, PageState, Scenario
from .outcome import ENDS, Reach

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
    return next((words for kind, words in ENDS.items() if kind in kinds), "")


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
