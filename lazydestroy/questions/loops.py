"""Question 6: guests that reboot again and again, to pile up what is not cleaned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from .. import units
from ..costs import Costs
from ..machine import Machine
from ..page import PAGE_SHIFT, PAGE_SIZE
from ..rounded import about_duration, about_size, counted
from ..run import Run
from ..scenarios import HABITS, donated_over_time, reboot_loop, zombies_over_time
from ..scenarios.looping import LIMIT, NO_DONATION, OUT_OF_MEMORY
from ..series import OneAtATime, OnePrepared, Series, v1
from ..units import format_count, format_duration, format_size
from .answer import Answer, Table, resting_on
from .common import kernel_words, number_in, prepares
from .pictures import Line, Lines
from .progress import one_by_one
from .question import Question
from .registry import answering

_HABITS: Mapping[str, str] = {
    "at once": "reset at once",
    "fill": "fill memory, then reset",
    "share": "fill and share it, then reset",
    "exit": "reset, then exit and start again",
}

MERGED, ONE = "as merged: one prepared", "one at a time"

PRECISION = 1.02
"""A turning point is known when the size above it is at most 2 % larger than the size below."""


class Pile(NamedTuple):
    """What a loop piled up.

    Attributes
    ----------
    resets : int
        How many there were.
    zombies : int
        Configurations set aside at the same time, at most.
    donated : int
        Bytes of donated storage that these held, at most.
    least_free : int
        Bytes free, at least.
    slowest_ns : int or None
        Longest downtime, the first one left out: that is of the guest that had used all its memory. None: there was
        only one.
    ended : str
        What ended the loop early; empty if nothing did.
    in_all : int
        Configurations that were ever set aside.
    lasting : int or None
        Zombies at the same time, at most, when another one comes once the first is gone, whose clean-up has the most to
        do. None: none comes then.
    """

    resets: int
    zombies: int
    donated: int
    least_free: int
    slowest_ns: int | None
    ended: str
    in_all: int
    lasting: int | None

    @property
    def grows(self) -> bool:
        """Whether no zombie had gone when the last one came: more resets would pile up more."""
        return self.zombies == self.in_all > 1


class Neighbour(NamedTuple):
    """What becomes of another guest of the host, when one has piled up as many zombies as the Ultravisor takes.

    Attributes
    ----------
    room : int
        Configurations that the Ultravisor can have.
    filled : bool
        Whether the guest in the loop used them up.
    refused : bool
        Whether the other guest could not go protected then.
    comes_up : bool
        Whether it could when all clean-up was done.
    """

    room: int
    filled: bool
    refused: bool
    comes_up: bool


def piled(run: Run) -> Pile:
    """What is to be known about a loop."""
    return Pile(
        len(run.downtimes_ns),
        max(number for _, number in zombies_over_time(run)),
        max(pages for _, pages in donated_over_time(run)) << PAGE_SHIFT,
        int(run.memory["free"].min()) << PAGE_SHIFT,
        max(run.downtimes_ns[1:], default=None),
        run.stopped,
        sum(each.set_aside_ns is not None for each in run.configurations),
        _lasting(run),
    )


def _lasting(run: Run) -> int | None:
    """Zombies when one comes, at most, once the first one is gone."""
    first = min((each.destroyed_ns for each in run.configurations if each.destroyed_ns is not None), default=None)
    if first is None:
        return None
    aside = {each.set_aside_ns for each in run.configurations if each.set_aside_ns is not None}
    return max(
        (number for moment, number in zombies_over_time(run) if moment in aside and moment > first), default=None
    )


_CHOSEN = ("habit", "max_num_sec_conf")


@answering(6, reboot_loop, _CHOSEN)
def loops(
    question: Question,
    *,
    memory: int | str = "8 GiB",
    kernel: Series = v1,
    times: int = 16,
    refill: float = 0.0,
    **more: Any,
) -> Answer:
    """Reboot in a loop in four ways, at three sizes, with little room, beside another guest, and with bounds.

    Parameters
    ----------
    question : Question
    memory, kernel, times, refill, **more
        As for `lazydestroy.reboot_loop`.
    """
    guest = units.size(memory, "memory", multiple_of=PAGE_SIZE)
    given = {"kernel": kernel, "times": times, "refill": refill, **more}
    runs = {habit: reboot_loop(guest, habit=habit, **given) for habit in one_by_one(HABITS)}
    found = {habit: piled(run) for habit, run in runs.items()}
    at_once, fill = found["at once"], found["fill"]
    habit = max(HABITS, key=lambda each: found[each].zombies)
    worst = found[habit]
    smaller = sorted({size for size in (_pages(guest // 4), _pages(guest // 2)) if 0 < size < guest})
    growth = {size: piled(reboot_loop(size, **given)) for size in smaller} | {guest: at_once}
    bounded = any(issubclass(layer, OnePrepared) for layer in kernel.layers)
    designs = _designs(guest, given) if number_in(kernel, 8) and not bounded else {}
    room = max(2, worst.zombies // 2)
    values: dict[str, Any] = {
        "found": found,
        "worst": habit,
        "growth": growth,
        "room": room,
        "limits": _limits(guest, room, runs[habit], {**given, "habit": habit}) if worst.zombies > 1 else {},
        "turning_size": turning_size(guest, room, given) if at_once.zombies > 1 else None,
        "neighbour": neighbour(kernel, **{name: more[name] for name in _OF_A_MACHINE if name in more}),
        "designs": designs,
        "runs": runs,
    }
    refused = values["limits"].get("Ultravisor", at_once).ended == LIMIT
    claims = {
        "zombies pile up if the guest is reset at once": at_once.zombies > 1,
        "a guest that fills its memory first piles up fewer": not fill.ended and fill.zombies < at_once.zombies,
        "larger guests pile up no fewer": _rising([each.zombies for each in growth.values()]),
        "nothing in the kernel stops it: the Ultravisor's limit does": refused,
        "then no other guest can go protected, until a clean-up has ended": values["neighbour"].refused
        and values["neighbour"].comes_up,
        "at most one prepared, as merged, does not bound it": at_once.zombies > 1
        if prepares(kernel)
        else bool(designs) and designs[MERGED].zombies == at_once.zombies > 1,
        "at most one at a time bounds it": bool(designs) and designs[ONE].zombies <= 1 < at_once.zombies,
    }
    return Answer(
        question=question,
        said=_verdict(values, guest, kernel, times),
        claims=claims,
        evidence=_table(values),
        agrees="refines" if worst.zombies > 1 else "yes",
        agreement=_agreement(found, worst),
        assumptions=resting_on(
            "noop", "walk", "destroy", "processors of the host", "sizes of donated storage", "limits"
        ),
        pictures=(_picture(runs, habit, worst), _over_time_picture(runs), _growth_picture(growth)),
        values=values,
        parameters={},
    )


def _pages(size: int) -> int:
    return size >> PAGE_SHIFT << PAGE_SHIFT


def _rising(numbers: list[int]) -> bool:
    return numbers == sorted(numbers)


def _designs(guest: int, given: Mapping[str, Any]) -> dict[str, Pile]:
    """The loop that resets at once, under two later bounds."""
    kernel = given["kernel"]
    layers = {MERGED: OnePrepared, ONE: OneAtATime}
    return {name: piled(reboot_loop(guest, **{**given, "kernel": kernel.plus(layers[name])})) for name in layers}


def _limits(guest: int, room: int, run: Run, given: Mapping[str, Any]) -> dict[str, Pile]:
    """The same loop with little room: for configurations at the Ultravisor, and on the host for half of the storage."""
    found = {"Ultravisor": piled(reboot_loop(guest, **given, max_num_sec_conf=room))}
    whole = piled(run)
    host = _pages(int(run.parameters["host_memory"]) - whole.least_free - whole.donated // 2)
    try:
        found["host"] = piled(reboot_loop(guest, **{**given, "host_memory": host}))
    except ValueError:
        # the smallest host that takes such a guest has more room than that: it used little of its memory
        return found
    return found


def turning_size(guest: int, room: int, given: Mapping[str, Any]) -> int | None:
    """From which size on, in bytes and to within 2 %, a guest that is reset at once meets the Ultravisor's limit.

    `room` configurations are all that it can have. None: not even a guest of `guest` bytes does.
    """

    def meets(size: int) -> bool:
        return reboot_loop(size, **given, max_num_sec_conf=room).stopped == LIMIT

    if not meets(guest):
        return None
    yes, no = guest, _pages(guest // 2)
    while no and meets(no):
        yes, no = no, _pages(no // 2)
    while yes > no * PRECISION and yes - no > PAGE_SIZE:
        middle = _pages((yes + no) // 2)
        yes, no = (middle, no) if meets(middle) else (yes, middle)
    return yes


_OF_A_MACHINE = ("costs", "lazy_destroy", "features")

ROOM = 4
"""Configurations that the Ultravisor of the host with a neighbour can have."""


def neighbour(
    kernel: Series, costs: Costs | None = None, lazy_destroy: bool | None = None, features: Any = ()
) -> Neighbour:
    """Reset a guest by hand until it cannot go protected, while no clean-up comes to its end; then try another guest.

    Guests of 16 pages, nothing of which is cleared at once, so that they are cleaned up like large ones.
    """
    machine = Machine(
        16 * PAGE_SIZE,
        kernel=kernel,
        costs=costs,
        lazy_destroy=lazy_destroy,
        features=features,
        host_memory="4 MiB",
        low_memory=0,
        segment_table=0,
        ultravisor={"max_configurations": ROOM},
    )
    for _ in range(2 * ROOM):
        if not _goes_protected(machine):
            break
        machine.reboot()
        while machine.kvm.pv.set_aside is not None:
            machine.step(machine.tasks[-1])  # QEMU's thread begins, and the next one can be set aside
    filled = len(machine.uv.configurations) == ROOM
    machine.start_another()
    refused = not _goes_protected(machine)
    machine.run()
    return Neighbour(ROOM, filled, filled and refused, not refused or _goes_protected(machine))


def _goes_protected(machine: Machine) -> bool:
    machine.boot()
    try:
        machine.protect()
    except RuntimeError:
        return False
    return True


_HOW: Mapping[str, str] = {
    "at once": "as soon as it is protected",
    "fill": "when it has filled its memory",
    "share": "when it has filled its memory and shared it",
    "exit": "if its process exits and another one is started, each time",
}


def _verdict(values: Mapping[str, Any], guest: int, kernel: Series, times: int) -> tuple[str, ...]:
    found, size = values["found"], about_size(guest)
    worst = found[values["worst"]]
    if worst.zombies <= 1:
        return (
            f"No: a guest of {size} never leaves more than {counted(worst.zombies, 'zombies')} at a time.",
            f"That is so with {kernel_words(kernel)}, over {counted(times, 'resets')}, whatever the guest does before.",
            *_ended(found),
        )
    return (
        *_piles_up(values, size, times),
        *_ended(found),
        *_stopped(values, kernel),
        *_with_designs(values),
    )


def _piles_up(values: Mapping[str, Any], size: str, times: int) -> Iterator[str]:
    """What the habits lead to, and whether the guest met a limit that others need, too."""
    found = values["found"]
    worst = found[values["worst"]]
    harm = any(each.ended in (LIMIT, NO_DONATION, OUT_OF_MEMORY) for each in found.values())
    zombies = counted(worst.zombies, "zombies")
    yield f"{'Yes' if harm else 'Not with this much room'}: a guest of {size} leaves up to {zombies} at a time."
    yield f"It is reset {counted(times, 'times')}, {_HOW[values['worst']]}."
    if worst.grows:
        yield "None of the zombies is gone when the last reset comes."
    if worst.lasting is not None and worst.lasting < worst.zombies:
        yield f"Once one has gone, there are {format_count(worst.lasting)}."
    yield f"Together they hold {about_size(worst.donated)} of donated storage."
    for habit in ("at once", "fill"):
        if habit in found and habit != values["worst"]:
            yield f"Reset {_HOW[habit]}, the guest leaves {counted(found[habit].zombies, 'zombies')}."


def _ended(found: Mapping[str, Pile]) -> list[str]:
    """Loops that came to an early end, as things are here."""
    return [
        f"Reset {_HOW[habit]}, the guest comes no further than reset {each.resets}: {each.ended}."
        for habit, each in found.items()
        if each.ended
    ]


def _stopped(values: Mapping[str, Any], kernel: Series) -> Iterator[str]:
    """What ends it, if not the kernel; and what that means for others."""
    limits, turning = values["limits"], values["turning_size"]
    if not limits["Ultravisor"].ended:
        return
    room, resets = counted(values["room"], "configurations"), counted(limits["Ultravisor"].resets, "resets")
    if prepares(kernel):
        yield f"{kernel_words(kernel)} allows one that waits for its thread, and any number whose thread has begun."
    else:
        yield f"{kernel_words(kernel)} has no bound of its own."
    yield f"An Ultravisor with room for {room} refuses the guest after {resets}."
    if turning:
        yield f"It does so for guests from {about_size(turning)} on."
    if values["neighbour"].refused:
        until = ", until a clean-up has ended" if values["neighbour"].comes_up else ""
        yield f"Then it refuses any other guest of the host, too{until}."
    if "host" in limits and limits["host"].ended:
        resets = counted(limits["host"].resets, "resets")
        yield f"A host with room for half of the storage refuses the guest after {resets}."


def _with_designs(values: Mapping[str, Any]) -> Iterator[str]:
    designs, at_once = values["designs"], values["found"]["at once"]
    if not designs or at_once.zombies <= 1:
        return
    merged, one = designs[MERGED], designs[ONE]
    yield "The design that was merged bounds what waits for its clean-up to begin, and QEMU lets nothing wait."
    yield f"So it leaves {counted(merged.zombies, 'zombies')}; a kernel that allows one at a time leaves {one.zombies}."
    if one.slowest_ns is not None and at_once.slowest_ns is not None:
        slow, fast = about_duration(one.slowest_ns), about_duration(at_once.slowest_ns)
        yield f"With one at a time, a reset takes up to {slow} instead of {fast}."


def _agreement(found: Mapping[str, Pile], worst: Pile) -> str:
    if worst.zombies <= 1:
        return "Nothing piles up."
    fill, at_once = found["fill"], found["at once"]
    if at_once.zombies <= 1:
        return "Resets alone pile up nothing; a process that exits leaves a configuration behind, and so does the next."
    words = "To fill memory hardly helps"
    if not fill.ended and fill.zombies < at_once.zombies:
        words = "To fill memory again does clean what was left"
    return (
        f"{words} ({counted(fill.zombies, 'zombies')} against {format_count(at_once.zombies)}). But pages are not all "
        "that is left: a configuration with nothing to clean keeps its donated storage until a thread has walked all "
        "memory."
    )


def _table(values: Mapping[str, Any]) -> Table:
    habit = _HABITS[values["worst"]]
    rows: list[tuple[str, Pile]] = [(_HABITS[each], pile) for each, pile in values["found"].items()]
    rows += [(f"reset at once, {format_size(size)}", each) for size, each in list(values["growth"].items())[:-1]]
    rows += [(f"{habit}, little room: {where}", each) for where, each in values["limits"].items()]
    rows += [(f"reset at once, {name}", each) for name, each in values["designs"].items()]
    columns = ("loop", "resets", "zombies", "they hold", "least free", "slowest reset", "ended early by")
    return Table(
        columns,
        tuple(
            (
                name,
                format_count(each.resets),
                format_count(each.zombies),
                format_size(each.donated),
                format_size(each.least_free),
                "-" if each.slowest_ns is None else format_duration(each.slowest_ns),
                each.ended or "-",
            )
            for name, each in rows
        ),
    )


def _picture(runs: Mapping[str, Run], habit: str, worst: Pile) -> Lines:
    """Zombies at the moment when each configuration is set aside: over time the loops are too different to compare."""
    lines = tuple(Line(_HABITS[habit], at_each_reset(run)) for habit, run in runs.items())
    title = "No zombies at all"
    if worst.zombies:
        title = f"{_HABITS[habit].capitalize()}: up to {counted(worst.zombies, 'zombies')}"
    return Lines(title, lines, "configurations set aside so far", "zombies at that moment", "", "")


def at_each_reset(run: Run) -> tuple[tuple[int, int], ...]:
    """How many zombies there are, the new one among them, when the first, second ... configuration is set aside."""
    moments = sorted(each.set_aside_ns for each in run.configurations if each.set_aside_ns is not None)
    series = zombies_over_time(run)
    return tuple(
        (place, max(number for moment, number in series if moment == aside)) for place, aside in enumerate(moments, 1)
    )


def _over_time_picture(runs: Mapping[str, Run]) -> Lines:
    """What zombies hold over time, for the loops that are quick: the others take ten times as long."""
    quick = {_HABITS[habit]: donated_over_time(runs[habit]) for habit in ("at once", "exit")}
    lines = tuple(
        Line(name, tuple((moment, pages << PAGE_SHIFT) for moment, pages in steps), stepped=True)
        for name, steps in quick.items()
    )
    most = max(pages for steps in quick.values() for _, pages in steps) << PAGE_SHIFT
    title = f"Zombies hold up to {about_size(most)}, and give it all back"
    if any(steps[-1][1] for steps in quick.values()):
        title = f"Zombies hold up to {about_size(most)}, and keep some of it"
    return Lines(title, lines, "time since the first reset", "donated storage", "ns", "bytes")


def _growth_picture(growth: Mapping[int, Pile]) -> Lines:
    line = Line("reset at once", tuple((size, each.donated) for size, each in growth.items()), "donated")
    title = f"Zombies hold up to {about_size(growth[max(growth)].donated)}"
    if len(growth) > 1:
        first, last = min(growth), max(growth)
        more, less = about_size(growth[last].donated), about_size(growth[first].donated)
        title = f"With {about_size(last)} instead of {about_size(first)}, they hold {more} instead of {less}"
    return Lines(title, (line,), "memory of the guest", "donated storage, at most", "bytes", "bytes")
