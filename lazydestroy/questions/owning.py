"""Questions 14 and 15: whose CPU time a clean-up takes, and who owns the memory that is left after the exit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..costs import Costs
from ..designs import DESIGNS
from ..page import PAGE_SHIFT
from ..rounded import about_duration, about_size
from ..run import Run
from ..scenarios import reboot, shutdown
from ..scenarios.owners import cpu_time_of_nobody, cpu_time_of_process, unowned_memory
from ..scenarios.parameters import ULTRAVISORS, helper_of
from ..series import Series, linux_6_2
from ..units import format_duration, format_size
from .answer import Answer, Table, resting_on
from .common import kernel_words, memory_line, prepares, to_the_end
from .exhausted import held_at_the_end_of_downtime
from .pictures import Lines, Timelines
from .question import Question
from .registry import answering

Design = Mapping[str, Any]


class Paid(NamedTuple):
    """CPU time of a tear-down and its clean-up, nanoseconds: of the VM's process and its helper; of kernel threads."""

    process: int
    nobody: int


class Left(NamedTuple):
    """What is left when ``wait()`` has returned.

    Attributes
    ----------
    wait_ns : int or None
        When that is. None: never.
    held : int
        Pages that are not free then.
    unowned : int
        Pages that no process has, at most.
    until_ns : int or None
        When none of the old guest's pages is held any more. None: never.
    """

    wait_ns: int | None
    held: int
    unowned: int
    until_ns: int | None


@answering(14)
def who_pays(
    question: Question,
    *,
    memory: int | str = "64 GiB",
    kernel: Series = linux_6_2,
    costs: Costs | None = None,
    helper: bool | str = False,
    ultravisor: str = ULTRAVISORS[0],
) -> Answer:
    """Add up the CPU time of a reboot's and of a shutdown's tear-down, by who is charged with it.

    The new guest touches nothing: what it cleans itself, because it needs the page, is not counted.

    Parameters
    ----------
    question : Question
    memory, kernel, costs, helper, ultravisor
        As for `lazydestroy.shutdown`. The table has the other designs besides.
    """
    asked = _asked(kernel, helper, ultravisor)
    runs = {
        (name, scenario): run
        for name, design in _designs(kernel, asked).items()
        for scenario, run in _both(memory, costs, design).items()
    }
    paid = {key: Paid(cpu_time_of_process(run), cpu_time_of_nobody(run)) for key, run in runs.items()}
    own = {scenario: paid[_name(kernel, asked), scenario] for scenario in _SCENE}
    claims = {
        "the VM's own process pays for all of it": not any(each.nobody for each in own.values()),
        "kernel threads take more than half of it": all(each.nobody > each.process for each in own.values()),
    }
    return Answer(
        question=question,
        said=_who_pays(own, bool(helper)),
        claims=claims,
        evidence=Table(
            ("", "the VM's process and its helper", "kernel threads, charged to no process"),
            tuple((f"{scenario}, {name}", *map(format_duration, each)) for (name, scenario), each in paid.items()),
        ),
        agrees=_agrees(kernel, next(iter(claims.values()))),
        agreement=_agreement(kernel, next(iter(claims.values())), "what the process takes is charged to it"),
        assumptions=resting_on("destroy", "processors of the host"),
        pictures=(_paying(own, [runs[_name(kernel, asked), scenario] for scenario in _SCENE]),),
        values={"paid": paid, "own": own},
        parameters={},
    )


@answering(15)
def who_owns(
    question: Question,
    *,
    memory: int | str = "64 GiB",
    kernel: Series = linux_6_2,
    costs: Costs | None = None,
    helper: bool | str = False,
    ultravisor: str = ULTRAVISORS[0],
) -> Answer:
    """Shut a guest down, and see what is left when ``wait()`` has returned, and who has it.

    Parameters
    ----------
    question : Question
    memory, kernel, costs, helper, ultravisor
        As for `lazydestroy.shutdown`. The table has the other designs besides.
    """
    asked = _asked(kernel, helper, ultravisor)
    runs = {name: shutdown(memory, costs=costs, **design) for name, design in _designs(kernel, asked).items()}
    left = {name: left_by(run) for name, run in runs.items()}
    own = left[_name(kernel, asked)]
    claims = {
        "memory is left when wait() returns": own.held > 0,
        "what is left belongs to a process": not own.unowned,
        "in the end all of it is free": own.until_ns is not None,
    }
    return Answer(
        question=question,
        said=_who_owns(own),
        claims=claims,
        evidence=_left_table(left),
        agrees=_agrees(kernel, not own.unowned),
        agreement=_agreement(kernel, not own.unowned, "no memory is without an owner"),
        assumptions=resting_on("destroy", "free", "a helper process at a shutdown", "what keeps a VM with a helper"),
        pictures=(_owning(runs[_name(kernel, asked)], own),),
        values={"left": left, "own": own},
        parameters={},
    )


_SCENE = {"reboot": "In a reboot", "shutdown": "At shutdown"}


def _asked(kernel: Series, helper: bool | str, ultravisor: str) -> Design:
    """What was asked for, written like one of `DESIGNS`."""
    found: dict[str, Any] = {"kernel": kernel}
    if helper_of(helper):
        found["helper"] = helper
    if ultravisor != ULTRAVISORS[0]:
        found["ultravisor"] = ultravisor
    return found


def _name(kernel: Series, asked: Design) -> str:
    return next((name for name, design in DESIGNS.items() if design == asked), f"{kernel_words(kernel)}, as asked")


def _designs(kernel: Series, asked: Design) -> dict[str, Design]:
    return {**DESIGNS, _name(kernel, asked): asked}


def _both(memory: int | str, costs: Costs | None, design: Design) -> dict[str, Run]:
    """A reboot and a shutdown. A helper acts at the shutdown only."""
    rest = {name: value for name, value in design.items() if name != "helper"}
    return {
        "reboot": reboot(memory, costs=costs, new_guest="normal", touch="none", **rest),
        "shutdown": shutdown(memory, costs=costs, **design),
    }


def left_by(run: Run) -> Left:
    """What a shutdown leaves when ``wait()`` has returned."""
    memory = run.memory
    held = memory["guest"] + memory["set_aside"]
    after = np.flatnonzero(held)
    until = None if held[-1] else int(memory["time"][after[-1] + 1]) if len(after) else 0
    return Left(run.downtime_ns, held_at_the_end_of_downtime(run), int(unowned_memory(run).max()), until)


def _who_pays(own: Mapping[str, Paid], helper: bool) -> tuple[str, ...]:
    shares = {name: each.nobody / max(sum(each), 1) for name, each in own.items()}
    if not any(shares.values()):
        who = "The VM's own process and its helper" if helper else "The VM's own process"
        short = f"{who}: no kernel thread takes any of it."
    else:
        again, gone = (round(100 * shares[name]) for name in _SCENE)
        short = f"No process: kernel threads take {again} % of it in a reboot, and {gone} % at shutdown."
    return (
        short,
        *(
            f"{_SCENE[name]}, the process takes {about_duration(each.process)}, and kernel threads take "
            f"{about_duration(each.nobody) if each.nobody else 'nothing'}."
            for name, each in own.items()
        ),
    )


def _who_owns(own: Left) -> tuple[str, ...]:
    wait = "wait() never returns" if own.wait_ns is None else f"wait() returns after {about_duration(own.wait_ns)}"
    held = about_size(own.held << PAGE_SHIFT)
    if not own.held:
        return "No process has to: when wait() returns, all of it is free.", f"For that, {wait}."
    until = "forever"
    if own.until_ns is not None and own.wait_ns is not None:
        until = f"for {about_duration(own.until_ns - own.wait_ns)}"
    short = f"Its helper process, {until}: it has {held} when wait() returns."
    if own.unowned:
        short = f"No one, {until}: {about_size(own.unowned << PAGE_SHIFT)} belong to no process."
    return short, f"{wait}, and {held} are not free then."


def _left_table(left: Mapping[str, Left]) -> Table:
    def time(ns: int | None) -> str:
        return "never" if ns is None else format_duration(ns)

    rows = tuple(
        (
            name,
            time(each.wait_ns),
            format_size(each.held << PAGE_SHIFT),
            format_size(each.unowned << PAGE_SHIFT),
            time(each.until_ns),
        )
        for name, each in left.items()
    )
    return Table(("", "wait() returns after", "not free then", "of no process, at most", "all free after"), rows)


def _agrees(kernel: Series, held: bool) -> Any:
    if not prepares(kernel):
        return "does not apply"
    return "yes" if held else "no"


def _agreement(kernel: Series, held: bool, what: str) -> str:
    if not prepares(kernel):
        return f"He spoke of version 6, not of {kernel_words(kernel)}."
    return f"It is as he says: {what}." if held else f"It is not as he says, that {what}."


def _paying(own: Mapping[str, Paid], runs: list[Run]) -> Timelines:
    nobody = sum(each.nobody for each in own.values())
    title = "The VM's own process does all of the work"
    if nobody:
        title = f"Kernel threads work for {about_duration(nobody)}, and no process pays"
    return Timelines(title, tuple(runs))


def _owning(run: Run, own: Left) -> Lines:
    lines = (
        memory_line(run, "guest", "mapped", "guest"),
        memory_line(run, "set_aside", "set aside", "set aside"),
        memory_line(run, "free", "free", "QEMU"),
    )
    title = "When wait() returns, nothing is left"
    if own.held:
        title = f"When wait() returns, {about_size(own.held << PAGE_SHIFT)} are not free"
    marks = () if own.wait_ns is None else ((own.wait_ns, "wait() returns"),)
    return Lines(title, to_the_end(lines), "time since the kill", "memory", "ns", "bytes", marks=marks)
