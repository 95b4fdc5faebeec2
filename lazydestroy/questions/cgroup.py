"""Question 8: what stays charged to the memory cgroup of the guest's process, and for how long."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from ..page import PAGE_SHIFT
from ..rounded import about_duration, about_size
from ..run import Run
from ..scenarios import reboot, shutdown
from ..series import Series, v1
from ..units import format_duration, format_size
from .answer import Answer, Table, resting_on
from .common import BEFORE, kernel_words, memory_line, to_the_end
from .pictures import Lines
from .question import Question
from .registry import answering

_SHUTDOWN = inspect.signature(shutdown).parameters.keys()


@answering(8, reboot, ("exit_at", "demand", "demand_total", "demand_from"))
def charged(question: Question, *, memory: int | str = "64 GiB", kernel: Series = v1, **more: Any) -> Answer:
    """Follow what is charged over a reboot and a shutdown.

    Parameters
    ----------
    question : Question
    memory, kernel, **more
        As for `lazydestroy.reboot`; the shutdowns get those of them that they know. The new guest touches nothing,
        unless `touch` says otherwise.
    """
    given = {"touch": "none", **more}
    again = reboot(memory, kernel=kernel, **given)
    rest = {name: value for name, value in more.items() if name in _SHUTDOWN}
    gone = shutdown(memory, kernel=kernel, **rest)
    before = shutdown(memory, kernel=BEFORE, **{name: rest[name] for name in rest if name != "lazy_destroy"})
    values: dict[str, Any] = {
        "start": int(gone.memory["charged"][0]),
        "reboot_least": int(again.memory["charged"].min()),
        "reboot_most": int(again.memory["charged"].max()),
        "after_wait": charged_at_the_end_of_downtime(gone),
        "after_wait_before": charged_at_the_end_of_downtime(before),
        "until_ns": when_nothing_is_charged(gone),
        "wait_ns": gone.downtime_ns,
        "end": int(gone.memory["charged"][-1]),
        "runs": {"reboot": again, "shutdown": gone, "shutdown before the series": before},
    }
    claims = {
        "in a reboot all that was charged stays charged": values["reboot_least"] >= int(again.memory["charged"][0]),
        "at shutdown pages stay charged to a process that is gone": values["after_wait"] > 0,
        "before the series nothing does": values["after_wait_before"] == 0,
        "in the end nothing is charged": values["end"] == 0,
    }
    held = list(claims.values())
    return Answer(
        question=question,
        said=_verdict(values, claims, kernel),
        claims=claims,
        evidence=_table(values["runs"]),
        agrees=("refines" if held[1] else "yes") if held[0] else "no",
        agreement=_agreement(held, values),
        assumptions=resting_on("destroy", "free", "when a page is charged"),
        pictures=(_picture(values, kernel),),
        values=values,
        parameters={},
    )


def charged_at_the_end_of_downtime(run: Run) -> int:
    """Pages charged when ``wait()`` returns; all that were, if it never does."""
    rows = run.memory[run.memory["time"] >= (run.end_ns if run.downtime_ns is None else run.downtime_ns)]
    return int(rows["charged"][0])


def when_nothing_is_charged(run: Run) -> int | None:
    """When the last page is given back, nanoseconds. None: never."""
    rows = run.memory
    if rows["charged"][-1]:
        return None
    left = rows["time"][rows["charged"] > 0]
    return int(rows["time"][rows["time"] > left[-1]][0]) if len(left) else 0


def _size(pages: int) -> str:
    return format_size(pages << PAGE_SHIFT)


def _verdict(values: Mapping[str, Any], claims: Mapping[str, bool], kernel: Series) -> tuple[str, ...]:
    least, start, after = values["reboot_least"], values["start"], values["after_wait"]
    if not start:
        return "Nothing was charged to begin with: the guest had used no memory.", "So nothing can stay charged."
    part = (
        "Yes, in a reboot" if claims["in a reboot all that was charged stays charged"] else "Not all of it in a reboot"
    )
    reboot = f"In a reboot, of {_about(start)} at least {_about(least)} are charged at every moment."
    if not after:
        return (
            f"{part}; at shutdown nothing is charged any more when wait() returns.",
            reboot,
            f"That is so with {kernel_words(kernel)}.",
        )
    until, later = values["until_ns"], "They stay charged forever."
    if until is not None:
        later = f"The last page is given back {about_duration(until - values['wait_ns'])} later."
    return (
        f"{part}; at shutdown {_about(after)} stay charged to a process that is gone.",
        reboot,
        "At shutdown, that is what is still charged when wait() returns.",
        later,
    )


def _about(pages: int) -> str:
    return about_size(pages << PAGE_SHIFT)


def _agreement(held: list[bool], values: Mapping[str, Any]) -> str:
    if not held[0]:
        return "In a reboot some of it is given back."
    if held[1]:
        return (
            "He was sure of the reboot, and not of the shutdown; version 2's cover letter says that it was tried and "
            "stays "
            "charged. Here that is built in, and what is measured is how much, and for how long."
        )
    return "In a reboot it is as he says; at a shutdown nothing is left to be charged."


def _table(runs: Mapping[str, Run]) -> Table:
    rows = []
    for name, run in runs.items():
        until = when_nothing_is_charged(run)
        rows.append(
            (
                name,
                _size(int(run.memory["charged"][0])),
                "never ends" if run.downtime_ns is None else format_duration(run.downtime_ns),
                _size(charged_at_the_end_of_downtime(run)),
                "never" if until is None else format_duration(until),
                _size(int(run.memory["charged"][-1])),
            )
        )
    columns = ("", "charged at first", "downtime", "charged at its end", "nothing charged after", "charged in the end")
    return Table(columns, tuple(rows))


def _picture(values: Mapping[str, Any], kernel: Series) -> Lines:
    runs = values["runs"]
    looks = {"reboot": "guest", "shutdown": "set aside", "shutdown before the series": "QEMU"}
    lines = to_the_end(tuple(memory_line(run, "charged", name, looks[name]) for name, run in runs.items()))
    gone = runs["shutdown"]
    marks = [(gone.downtime_ns, "wait() returns")] if gone.downtime_ns is not None else []
    title = (
        f"{_about(values['after_wait'])} are charged to a process that is gone"
        if values["after_wait"]
        else "Nothing is charged to a process that is gone"
    )
    return Lines(title, lines, "time since the reset, or the kill", "charged memory", "ns", "bytes", marks=tuple(marks))
