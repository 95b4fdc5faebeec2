"""Question 6: guests that reboot again and again, to pile up what is not cleaned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .. import units
from ..page import PAGE_SHIFT, PAGE_SIZE
from ..run import Run
from ..scenarios import HABITS, reboot_loop
from ..series import OneAtATime, OnePrepared, Series, v1
from ..units import format_count, format_duration, format_size
from .answer import Answer, Table, resting_on
from .common import counted, kernel_words
from .pictures import Line, Lines
from .progress import one_by_one
from .question import Question
from .registry import answers

_HABITS: Mapping[str, str] = {
    "at once": "reset at once",
    "fill": "fill memory, then reset",
    "share": "fill and share it, then reset",
    "exit": "reset, then exit and start again",
}


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
    slowest_ns : int
        Longest downtime, the first one left out: that is of the guest that had used all its memory.
    ended : str
        What ended the loop early; empty if nothing did.
    """

    resets: int
    zombies: int
    donated: int
    least_free: int
    slowest_ns: int
    ended: str


def zombies_over_time(run: Run) -> list[tuple[int, int]]:
    """How many configurations are set aside, from which moment on (nanoseconds)."""
    return _sums(run, lambda _: 1)


def donated_over_time(run: Run) -> list[tuple[int, int]]:
    """How many bytes of donated storage they hold, from which moment on (nanoseconds)."""
    return _sums(run, lambda each: each.donated << PAGE_SHIFT)


def _sums(run: Run, weight: Any) -> list[tuple[int, int]]:
    changes: list[tuple[int, int]] = []
    for each in run.configurations:
        if each.set_aside_ns is not None:
            changes.append((each.set_aside_ns, weight(each)))
            if each.destroyed_ns is not None:
                changes.append((each.destroyed_ns, -weight(each)))
    points, total = [(0, 0)], 0
    for moment, change in sorted(changes):
        total += change
        points.append((moment, total))
    return [*points, (max(run.end_ns, points[-1][0]), total)]


def piled(run: Run) -> Pile:
    """What is to be known about a loop."""
    return Pile(
        len(run.downtimes_ns),
        max(number for _, number in zombies_over_time(run)),
        max(held for _, held in donated_over_time(run)),
        int(run.memory["free"].min()) << PAGE_SHIFT,
        max(run.downtimes_ns[1:], default=0),
        run.stopped,
    )


_CHOSEN = ("habit", "max_num_sec_conf")


@answers(6, reboot_loop, _CHOSEN)
def loops(
    question: Question,
    *,
    memory: int | str = "8 GiB",
    kernel: Series = v1,
    times: int = 16,
    refill: float = 0.0,
    **more: Any,
) -> Answer:
    """Reboot in a loop in four ways, at three sizes, with little room, and with bounds.

    Parameters
    ----------
    question : Question
    memory, kernel, times, refill, **more
        As for `lazydestroy.reboot_loop`.
    """
    guest = units.size(memory, "memory", multiple_of=PAGE_SIZE)
    given = {"times": times, "refill": refill, **more}
    runs = {habit: reboot_loop(memory, kernel=kernel, habit=habit, **given) for habit in one_by_one(HABITS)}
    found = {_HABITS[habit]: piled(run) for habit, run in runs.items()}
    worst = found[_HABITS["at once"]]
    smaller = sorted({size for size in (_pages(guest // 4), _pages(guest // 2)) if 0 < size < guest})
    growth = {size: piled(reboot_loop(size, kernel=kernel, **given)) for size in smaller} | {guest: worst}
    limits = _limits(memory, kernel, worst, runs["at once"], given)
    designs = {}
    if 8 in kernel:
        for layer, name in ((OnePrepared, "as merged: one prepared"), (OneAtATime, "one at a time")):
            designs[name] = piled(reboot_loop(memory, kernel=kernel.plus(layer), **given))
    values = {"found": found, "growth": growth, "limits": limits, "designs": designs, "runs": runs}
    claims = {
        "zombies pile up if the guest is reset at once": worst.zombies > 1,
        "a guest that fills its memory first piles up fewer": found[_HABITS["fill"]].zombies < worst.zombies,
        "larger guests pile up no fewer": _rising([each.zombies for each in growth.values()]),
        "nothing in the kernel stops it: the Ultravisor's limit does": bool(limits["Ultravisor"].ended),
        "at most one prepared, as merged, does not bound it": bool(designs)
        and designs["as merged: one prepared"].zombies == worst.zombies,
        "at most one at a time bounds it": bool(designs) and designs["one at a time"].zombies <= 1,
    }
    return Answer(
        question=question,
        verdict=_verdict(values, worst, guest, kernel, times),
        claims=claims,
        evidence=_table(values),
        agrees="refines" if worst.zombies > 1 else "yes",
        agreement=_agreement(worst, found[_HABITS["fill"]]),
        assumptions=resting_on(
            "noop", "walk", "destroy", "processors of the host", "sizes of donated storage", "limits"
        ),
        pictures=(_picture(runs, worst), _growth_picture(growth)),
        values=values,
        parameters={},
    )


def _pages(size: int) -> int:
    return size >> PAGE_SHIFT << PAGE_SHIFT


def _rising(numbers: list[int]) -> bool:
    return numbers == sorted(numbers)


def _limits(memory: int | str, kernel: Series, worst: Pile, run: Run, given: Mapping[str, Any]) -> dict[str, Pile]:
    """The same loop where only half of what it piles up finds room: at the Ultravisor, and on the host."""
    room = max(2, worst.zombies // 2)
    found = {"Ultravisor": piled(reboot_loop(memory, kernel=kernel, max_num_sec_conf=room, **given))}
    usual = int(run.parameters["host_memory"])
    spare = _pages(usual - worst.least_free - worst.donated // 2)
    if worst.donated and spare < usual:
        found["host"] = piled(reboot_loop(memory, kernel=kernel, **{**given, "host_memory": spare}))
    return found


def _verdict(values: Mapping[str, Any], worst: Pile, guest: int, kernel: Series, times: int) -> str:
    fill, limits, designs = values["found"][_HABITS["fill"]], values["limits"], values["designs"]
    size = format_size(guest)
    if worst.zombies <= 1:
        return (
            f"No: with {kernel_words(kernel)} a guest of {size} that is reset {times} times never leaves more than "
            f"{counted(worst.zombies, 'zombies')} at a time, whatever it does before."
        )
    words = (
        f"Within limits, yes: a guest of {size} that is reset as soon as it is protected, {times} times, leaves up to "
        f"{counted(worst.zombies, 'zombies')} at a time, which hold {format_size(worst.donated)} of donated storage; "
        "if it "
        f"fills its memory first, {counted(fill.zombies, 'zombies')}"
    )
    small, *_ = values["growth"].items()
    if small[0] < guest:
        words += f"; of {format_size(small[0])} it leaves {format_count(small[1].zombies)}"
    if limits["Ultravisor"].ended:
        words += (
            f"; {kernel_words(kernel)} has no bound of its own: an Ultravisor with room for half of them refuses the "
            "next "
            f"guest after {counted(limits['Ultravisor'].resets, 'resets')}"
        )
        if "host" in limits and limits["host"].ended:
            words += f", a host with room for half of the storage after {format_count(limits['host'].resets)}"
    if designs:
        merged, one = designs["as merged: one prepared"], designs["one at a time"]
        words += (
            "; the design that was merged bounds those prepared, not those being cleaned "
            f"({format_count(merged.zombies)}); "
            f"with one at a time there is {format_count(one.zombies)}, and a reset takes up to "
            f"{format_duration(one.slowest_ns)} instead of {format_duration(worst.slowest_ns)}"
        )
    return words + "."


def _agreement(worst: Pile, fill: Pile) -> str:
    if worst.zombies <= 1:
        return "Nothing piles up."
    words = (
        "To fill memory again does clean what was left"
        if fill.zombies < worst.zombies
        else "To fill memory hardly helps"
    )
    return (
        f"{words} ({counted(fill.zombies, 'zombies')} against {format_count(worst.zombies)}). But pages are not all "
        "that is "
        "left: a configuration with nothing to clean keeps its donated storage until a thread has walked all memory."
    )


def _table(values: Mapping[str, Any]) -> Table:
    rows: list[tuple[str, Pile]] = list(values["found"].items())
    rows += [(f"reset at once, {format_size(size)}", each) for size, each in list(values["growth"].items())[:-1]]
    rows += [(f"reset at once, little room: {where}", each) for where, each in values["limits"].items()]
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
                format_duration(each.slowest_ns),
                each.ended or "-",
            )
            for name, each in rows
        ),
    )


def _picture(runs: Mapping[str, Run], worst: Pile) -> Lines:
    """Zombies at the moment when each configuration is set aside: over time the loops are too different to compare."""
    lines = tuple(Line(_HABITS[habit], at_each_reset(run)) for habit, run in runs.items())
    title = (
        f"Reset at once, up to {counted(worst.zombies, 'zombies')} at a time" if worst.zombies else "No zombies at all"
    )
    return Lines(title, lines, "configurations set aside so far", "zombies at that moment", "", "")


def at_each_reset(run: Run) -> tuple[tuple[int, int], ...]:
    """How many zombies there are, the new one among them, when the first, second ... configuration is set aside."""
    moments = sorted(each.set_aside_ns for each in run.configurations if each.set_aside_ns is not None)
    series = zombies_over_time(run)
    return tuple(
        (place, max(number for moment, number in series if moment == aside)) for place, aside in enumerate(moments, 1)
    )


def _growth_picture(growth: Mapping[int, Pile]) -> Lines:
    line = Line("reset at once", tuple((size, each.donated) for size, each in growth.items()), "donated")
    title = f"Together they hold up to {format_size(growth[max(growth)].donated)}"
    if len(growth) > 1:
        first, last = min(growth), max(growth)
        title = (
            f"{format_size(last)} instead of {format_size(first)}: they hold {format_size(growth[last].donated)} "
            "instead of "
            f"{format_size(growth[first].donated)}"
        )
    return Lines(title, (line,), "memory of the guest", "donated storage, at most", "bytes", "bytes")
