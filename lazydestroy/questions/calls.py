"""Question 1: which Ultravisor Calls are made by whom, before and after the foreground is free."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Mapping
from typing import Any

from ..machine import CLEAN_UP
from ..run import Run
from ..scenarios import reboot, shutdown
from ..series import Series, v1
from ..units import format_count, format_duration
from ..uvcb import UVC
from .answer import Answer, Table, resting_on
from .common import counted, kernel_words
from .pictures import Timelines
from .question import Question
from .registry import answers


@answers(1, reboot)
def in_the_background(question: Question, *, memory: int | str = "64 GiB", kernel: Series = v1, **more: Any) -> Answer:
    """Count the Ultravisor Calls of a reboot and of a shutdown, by actor and by moment.

    Parameters
    ----------
    question : Question
    memory, kernel, **more
        As for `lazydestroy.reboot`; the shutdown gets those of them that it knows.
    """
    again = reboot(memory, kernel=kernel, **more)
    gone = shutdown(memory, kernel=kernel, **{name: more[name] for name in more if name in _SHUTDOWN})
    runs = {"reboot": again, "shutdown": gone}
    by_thread = {name: by_cleanup(run) for name, run in runs.items()}
    claims = {"the clean-up thread makes Ultravisor Calls": any(map(bool, by_thread.values()))}
    values = {
        "before": {name: sum(run.foreground.values()) for name, run in runs.items()},
        "by_thread": {name: sum(calls.values()) for name, calls in by_thread.items()},
        "runs": runs,
    }
    ends = sum(calls[UVC.DESTROY_SEC_CONF] for calls in by_thread.values())
    held = claims["the clean-up thread makes Ultravisor Calls"]
    return Answer(
        question=question,
        verdict=_verdict(runs, by_thread, kernel),
        claims=claims,
        evidence=_table(runs),
        agrees="yes" if held else "no",
        agreement=(
            f"The thread makes them, also {counted(ends, 'calls')} of DESTROY_SEC_CONF."
            if held
            else f"With {kernel_words(kernel, again.parameters['lazy_destroy'])} no thread makes any."
        ),
        assumptions=resting_on("boot loader", "boot image", "features of the Ultravisor"),
        pictures=(
            Timelines("While the clean-up thread calls the Ultravisor, the foreground is free", (again, gone))
            if held
            else Timelines("The foreground makes all Ultravisor Calls itself", (again, gone)),
        ),
        values=values,
        parameters={},
    )


_SHUTDOWN = inspect.signature(shutdown).parameters.keys() - {"demand", "demand_total"}


def by_cleanup(run: Run) -> Counter[UVC]:
    """Calls that clean-up threads made."""
    return sum((calls for actor, calls in run.by_actor.items() if actor.startswith(CLEAN_UP)), Counter())


def _verdict(runs: Mapping[str, Run], by_thread: Mapping[str, Counter[UVC]], kernel: Series) -> str:
    until = {"reboot": "before the new guest runs", "shutdown": "before wait() returns"}
    parts = []
    for name, run in runs.items():
        before = sum(run.foreground.values())
        background = by_thread[name]
        total = counted(sum(background.values()), "calls")
        pages = background[UVC.DESTR_SEC_STOR] + background[UVC.CONV_FROM_SEC_STOR]
        scene = f"in a {name}" if name == "reboot" else "at shutdown"
        when = until[name] if run.downtime_ns is not None else "and it never ends"
        parts.append(
            f"{scene} the foreground makes {counted(before, 'calls')} {when}, and the clean-up thread {total}"
            + (f", {format_count(pages)} of them on pages" if background else "")
        )
    return f"{'Yes' if any(by_thread.values()) else 'No'}: {'; '.join(parts)}."


def _table(runs: Mapping[str, Run]) -> Table:
    rows = []
    for name, run in runs.items():
        ends = "never" if run.downtime_ns is None else format_duration(run.downtime_ns)
        for actor, calls in run.by_actor.items():
            first = run.foreground_by_actor.get(actor, Counter())
            if calls:
                rows.append((f"{name}: {actor}", _written(first), _written(calls - first)))
        rows.append((f"{name}: the foreground is free after", ends, ""))
    return Table(("", "before the foreground is free", "after"), tuple(rows))


def _written(calls: Counter[UVC]) -> str:
    return (
        ", ".join(f"{format_count(number)} {getattr(cmd, 'name', hex(cmd))}" for cmd, number in calls.most_common(3))
        + (f", {counted(sum(dict(calls.most_common()[3:]).values()), 'others')}" if len(calls) > 3 else "")
        or "-"
    )
