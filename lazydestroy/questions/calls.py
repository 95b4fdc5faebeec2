"""Question 1: which Ultravisor Calls are made by whom, before and after the foreground is free."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Mapping
from typing import Any

from ..actors import ASYNC_CLEANUP, is_a
from ..rounded import about, about_count, about_duration, counted
from ..run import Run
from ..scenarios import reboot, shutdown
from ..series import Series, v1
from ..units import format_count, format_duration
from ..uvcb import BIT_UVC_FEAT_MISC_0, UVC
from .answer import Answer, Table, resting_on
from .common import cleans_up, kernel_words
from .pictures import Timelines
from .question import Question
from .registry import answering


@answering(1, reboot, ("exit_at", "demand", "demand_total", "demand_from", "bystander", "destroy_fails"))
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
    worked = {name: by_thread[name] - idle_by_cleanup(run) for name, run in runs.items()}
    claims = {"the clean-up thread makes Ultravisor Calls that do something": any(map(bool, worked.values()))}
    values = {
        "before": {name: sum(run.foreground.values()) for name, run in runs.items()},
        "by_thread": {name: sum(calls.values()) for name, calls in by_thread.items()},
        "with_effect": {name: sum(calls.values()) for name, calls in worked.items()},
        "runs": runs,
    }
    (held,) = claims.values()
    ends = sum(calls[UVC.DESTROY_SEC_CONF] for calls in worked.values())
    return Answer(
        question=question,
        said=_verdict(runs, by_thread, worked),
        claims=claims,
        evidence=_table(runs),
        agrees="yes" if all(worked.values()) else "refines" if held else "no",
        agreement=(
            f"The thread makes them, DESTROY_SEC_CONF among them ({format_count(ends)} in the two runs)."
            if held
            else f"With {kernel_words(kernel, again.parameters['lazy_destroy'])} no thread does anything by them."
        ),
        assumptions=resting_on("boot loader", "boot image", "features of the Ultravisor"),
        pictures=(
            Timelines("While the clean-up thread calls the Ultravisor, the foreground is free", (again, gone))
            if held
            else Timelines("Every Ultravisor Call that does something is made in the foreground", (again, gone)),
        ),
        values=values,
        parameters={},
    )


_SHUTDOWN = inspect.signature(shutdown).parameters.keys()


def by_cleanup(run: Run) -> Counter[UVC]:
    """Calls that clean-up threads made, the kernel's or QEMU's."""
    return sum((calls for actor, calls in run.by_actor.items() if cleans_up(actor)), Counter())


def idle_by_cleanup(run: Run) -> Counter[UVC]:
    """Those of them that changed nothing, or were refused."""
    return sum((calls for actor, calls in run.idle_by_actor.items() if cleans_up(actor)), Counter())


def _verdict(
    runs: Mapping[str, Run], by_thread: Mapping[str, Counter[UVC]], worked: Mapping[str, Counter[UVC]]
) -> tuple[str, ...]:
    some = [name for name, calls in worked.items() if calls]
    if len(some) == len(runs):
        short = f"Yes: the clean-up thread makes the calls, {' and '.join(_SCENE[name] for name in some)}."
    elif some:
        short = f"{_capital(_SCENE[some[0]])} only: there the clean-up thread makes the calls."
    else:
        short = "No: the clean-up thread makes no call that does something."
    sentences = [short, f"That holds for an Ultravisor {_misc(runs)} the misc feature."]
    if any(is_a(actor, ASYNC_CLEANUP) for run in runs.values() for actor in run.by_actor):
        sentences.append("The thread is one of QEMU's own, which sits in an ioctl (PERFORM).")
    for name, run in runs.items():
        before, total = sum(run.foreground.values()), sum(by_thread[name].values())
        idle = total - sum(worked[name].values())
        ends = "never" if run.downtime_ns is None else f"after {about_duration(run.downtime_ns)}"
        sentences.append(
            f"{_capital(_SCENE[name])}, the foreground makes {about(before, 'calls')}; {_UNTIL[name]} {ends}."
        )
        in_vain = f", {about_count(idle)} of them without effect or refused" if idle else ""
        sentences.append(f"The clean-up thread makes {about(total, 'calls') if total else 'none'}{in_vain}.")
    return tuple(sentences)


_SCENE = {"reboot": "in a reboot", "shutdown": "at shutdown"}

_UNTIL = {"reboot": "the new guest runs", "shutdown": "wait() returns"}


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _misc(runs: Mapping[str, Run]) -> str:
    """Whether the Ultravisor has the feature. How many calls the new guest needs, and so the thread, depends on it."""
    features = runs["reboot"].parameters["features"]
    misc = features == "misc" or any(each in ("misc", BIT_UVC_FEAT_MISC_0) for each in features)
    return "with" if misc else "without"


def _table(runs: Mapping[str, Run]) -> Table:
    rows = []
    for name, run in runs.items():
        ends = "never" if run.downtime_ns is None else format_duration(run.downtime_ns)
        for actor, calls in run.by_actor.items():
            first = run.foreground_by_actor.get(actor, Counter())
            if calls:
                idle = format_count(sum(run.idle_by_actor[actor].values()))
                rows.append((f"{name}: {actor}", _written(first), _written(calls - first), idle))
        rows.append((f"{name}: the foreground is free after", ends, "", ""))
    columns = ("", "before the foreground is free", "after", "without effect, or refused")
    return Table(columns, tuple(rows))


def _written(calls: Counter[UVC]) -> str:
    return (
        ", ".join(f"{format_count(number)} {getattr(cmd, 'name', hex(cmd))}" for cmd, number in calls.most_common(3))
        + (f", {counted(sum(dict(calls.most_common()[3:]).values()), 'others')}" if len(calls) > 3 else "")
        or "-"
    )
