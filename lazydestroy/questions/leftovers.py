"""Question 13: what is set aside, what is a leftover, and who ends which."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ..errnos import errorcode
from ..machine import Machine
from ..page import HELD, PAGE_SIZE
from ..rounded import counted
from ..series import Series, linux_6_2
from .answer import Answer, Table, resting_on
from .common import cleans_up, kernel_words, prepares
from .pictures import Cell, Grid
from .question import Question
from .registry import answering

PAGES = 8
"""Pages of the guest. What a configuration is called does not depend on how many there are."""

AGAIN = "PREPARE once more"
"""What is tried while one is set aside."""


class Found(NamedTuple):
    """What there is at a moment.

    Attributes
    ----------
    moment : str
    set_aside : int
        Configurations that are prepared, and whose clean-up nobody has begun: 0 or 1.
    begun : int
        Threads that clean up.
    leftovers : int
        Configurations whose clean-up was interrupted.
    configurations : int
        Those of former guests that the Ultravisor has.
    pages : int
        Pages of former guests that are not clean.
    """

    moment: str
    set_aside: int
    begun: int
    leftovers: int
    configurations: int
    pages: int


@answering(13)
def set_aside_or_left_over(question: Question, *, kernel: Series = linux_6_2) -> Answer:
    """Reset a guest twice by hand, interrupt both clean-ups, and count after each step what is called what.

    Parameters
    ----------
    question : Question
    kernel : Series
    """
    machine = Machine(PAGES * PAGE_SIZE, kernel=kernel, low_memory=0, segment_table=0, destroy_loop_threshold=2)
    prepared = prepares(kernel)
    story = _prepared(machine) if prepared else _reset(machine)
    found = tuple(_now(machine, moment) for moment in story)
    most = {name: max(getattr(each, name) for each in found) for name in Found._fields[1:]}
    refused = any(each.moment == f"{AGAIN}: -EINVAL" for each in found)
    values = {"found": found, "most": most, "end": found[-1]}
    claims = {
        "at most one is set aside, and PREPARE refuses another": most["set_aside"] == 1 and refused,
        "there can be more leftovers than one": most["leftovers"] > 1,
        "KVM_PV_DISABLE ends both kinds": prepared and not found[-1].configurations and not found[-1].pages,
    }
    held = all(claims.values())
    return Answer(
        question=question,
        said=_verdict(values, claims, kernel),
        claims=claims,
        evidence=_table(found),
        agrees="does not apply" if not prepared else "yes" if held else "refines",
        agreement=(
            "The kernel keeps the two apart, as the texts say: one pointer, and one list."
            if prepared
            else f"He spoke of version 14, not of {kernel_words(kernel)}."
        ),
        assumptions=resting_on("users of an address space"),
        pictures=(_picture(found, most),),
        values=values,
        parameters={},
    )


def _prepared(machine: Machine) -> Iterator[str]:
    """Two guests, one after the other; the moments are named by what was done."""
    _start(machine)
    yield "a guest runs, protected"
    machine.prepare()
    yield "PREPARE"
    _start(machine)
    yield "the next guest runs, protected"
    yield f"{AGAIN}: {_said(machine.prepare().r)}"
    for which in ("a thread", "another thread"):
        thread = machine.perform()
        while machine.kvm.pv.set_aside is not None:
            machine.step(thread)
        yield f"{which} with PERFORM has begun"
        machine.kill_thread(thread)
        while thread in machine.tasks:
            machine.step(thread)
        yield f"{which} is killed alone"
        if which == "a thread":
            yield f"PREPARE: {_said(machine.prepare().r)}"
    _start(machine)
    machine.prepare()
    _start(machine)
    yield "one more guest, PREPARE, and the next guest runs, protected"
    machine.disable()
    yield "KVM_PV_DISABLE"


def _reset(machine: Machine) -> Iterator[str]:
    """The same with a kernel that has no such commands."""
    for which in ("a guest", "the next guest"):
        _start(machine)
        yield f"{which} runs, protected"
        machine.reboot()
        yield "KVM_PV_DISABLE"
    machine.run()
    yield "all has come to its end"


def _start(machine: Machine) -> None:
    machine.boot()
    machine.protect()
    for page in range(PAGES):
        machine.touch(page)


def _said(r: int) -> str:
    return "done" if not r else f"-{errorcode[-r]}"


def _now(machine: Machine, moment: str) -> Found:
    pv = machine.kvm.pv
    return Found(
        moment,
        int(pv.set_aside is not None),
        sum(cleans_up(task.name) for task in machine.tasks),
        len(pv.need_cleanup),
        len(machine.old & machine.uv.configurations.keys()),
        sum(
            pages
            for record, pages in machine.memory.records().items()
            if record.owner in machine.old and record.state in HELD
        ),
    )


def _verdict(values: dict[str, Any], claims: dict[str, bool], kernel: Series) -> tuple[str, ...]:
    most, end = values["most"], values["end"]
    left = f"{counted(end.configurations, 'old configurations')} and {counted(end.pages, 'old pages')}"
    if not most["set_aside"] and not most["leftovers"]:
        threads = counted(most["begun"], "kernel threads")
        return (
            f"With {kernel_words(kernel)} there is neither: userspace can't interrupt a clean-up.",
            f"After two resets, {threads} clean up, one for each configuration that waits."
            if most["begun"]
            else "A reset ends the configuration before it returns.",
            f"In the end, {left} are left.",
        )
    aside = f"Set aside is prepared, not begun: at most {most['set_aside']}"
    several = "any number" if claims["there can be more leftovers than one"] else "at most one"
    return (
        f"{aside}; a leftover was begun, then interrupted: {several}.",
        "A PREPARE is refused as long as one is set aside."
        if claims["at most one is set aside, and PREPARE refuses another"]
        else "A PREPARE is not refused while one is set aside.",
        "PERFORM takes it; from then on the next one can be set aside.",
        f"Here, {counted(most['leftovers'], 'threads')} were killed alone, and left {most['leftovers']}.",
        f"After KVM_PV_DISABLE, {left} are left.",
    )


def _table(found: tuple[Found, ...]) -> Table:
    columns = ("after", *_COLUMNS)
    return Table(columns, tuple((each.moment, *map(str, each[1:])) for each in found))


_COLUMNS = ("set aside", "clean-ups begun", "leftovers", "old configurations", "old pages, not clean")


def _picture(found: tuple[Found, ...], most: dict[str, int]) -> Grid:
    return Grid(
        title=f"At most {most['set_aside']} set aside, at most {counted(most['leftovers'], 'leftovers')}",
        row_title="after",
        column_title="how many there are",
        rows=tuple(each.moment for each in found),
        columns=_COLUMNS,
        cells=tuple(tuple(Cell(str(n), "mixed" if n else "good") for n in each[1:]) for each in found),
        legend=(("good", "none"), ("mixed", "some")),
    )
