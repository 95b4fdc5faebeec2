"""Question 10: the process exits during the clean-up. Where the loop stops, who does the rest, how long it takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .. import units
from ..actors import CLEAN_UP, IN_BACKGROUND, QEMU_EXITS, is_a
from ..rounded import about, about_count, about_duration
from ..run import Run
from ..scenarios import reboot
from ..series import Series, v1
from ..units import exact_duration, format_count, format_duration
from ..uvcb import UVC
from .answer import Answer, Table, resting_on
from .common import cleans_up, kernel_words, named
from .pictures import Line, Lines, Timelines
from .progress import one_by_one
from .question import Question
from .registry import answering

SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Moments of the exit, as shares of the clean-up without one, if none is given."""


FIRST = IN_BACKGROUND
"""The thread that is at work when the process is killed."""


class Left(NamedTuple):
    """What an exit at one moment leads to; nanoseconds after the reset, and pages.

    Attributes
    ----------
    exit_ns : int
    walked : int
        Pages that the clean-up thread had walked when it stopped walking.
    exports : dict of str to int
        Pages that were exported after the exit, by who did it.
    in_vain : int
        How many of these were clean already.
    destroys : dict of str to int
        Pages that were destroyed instead, when the address space was removed, by who did it.
    aside : int
        Pages that were set aside instead, at most.
    gone_ns : int or None
        When ``wait()`` returned.
    clean_ns : int or None
        When all was clean.
    threads : int
        Clean-up threads in all.
    """

    exit_ns: int
    walked: int
    exports: Mapping[str, int]
    in_vain: int
    destroys: Mapping[str, int]
    aside: int
    gone_ns: int | None
    clean_ns: int | None
    threads: int


@answering(10, reboot, ("demand", "demand_total", "demand_from", "wait_for_cleanup", "bystander"))
def exits(
    question: Question,
    *,
    memory: int | str = "16 GiB",
    kernel: Series = v1,
    exit_at: int | str | None = None,
    moments: Sequence[float] = SHARES,
    touch: str = "none",
    new_guest: str = "normal",
    **more: Any,
) -> Answer:
    """Kill the process while the clean-up thread works, at several moments.

    Parameters
    ----------
    question : Question
    memory, kernel, touch, new_guest, **more
        As for `lazydestroy.reboot`. A guest that goes protected is not killed while its image is unpacked.
    exit_at : int or str, optional
        When it is killed, for the verdict; default: half-way through the clean-up.
    moments : sequence of float
        Further moments, as shares of the time that the clean-up takes if nobody is killed.
    """
    several = units.several(moments, "moments", "several shares of the time that it takes, such as (0.1, 0.9)")
    shares = [units.share(moment, "moments") for moment in several]
    given = {"memory": memory, "kernel": kernel, "touch": touch, "new_guest": new_guest, **more}
    alone = reboot(**given)
    begin, end = alone.downtime_ns or 0, alone.cleanup_ns or alone.end_ns
    middle = begin + (end - begin) // 2 if exit_at is None else units.duration(exit_at, "exit_at", zero=True)
    asked = sorted({middle, *(begin + int((end - begin) * share) for share in shares)})
    runs = {moment: reboot(exit_at=exact_duration(moment) if moment else 0, **given) for moment in one_by_one(asked)}
    found = {moment: left_by(run, moment) for moment, run in runs.items()}
    # a batch larger than any guest: the thread notices nothing until the end
    stuck = reboot(exit_at=exact_duration(middle) if middle else 0, **{**given, **_LARGE, "new_guest": "protected"})
    two = left_by(stuck, middle)
    shown = found[middle]
    values = {"alone": alone, "shown": shown, "left": found, "two_threads": two, "runs": runs}
    claims = {
        "the walk stops after the batch at hand": _stopped(runs[middle], shown),
        "the rest is exported by the clean-up thread, in its own mmput": _by_thread(shown) > 0,
        "wait() returns long before all is clean": shown.gone_ns is not None
        and shown.clean_ns is not None
        and shown.gone_ns < shown.clean_ns,
        "all is clean later than without the kill": shown.clean_ns is not None
        and alone.cleanup_ns is not None
        and shown.clean_ns > alone.cleanup_ns,
    }
    return Answer(
        question=question,
        said=_verdict(values, kernel),
        claims=claims,
        evidence=_table(values),
        agrees="not answered",
        agreement="No one answered in the thread.",
        assumptions=resting_on("export", "destroy", "killing the process"),
        pictures=(_times(values), Timelines(_title(values), (alone, runs[middle]))),
        values=values,
        parameters={},
    )


_LARGE: Mapping[str, Any] = {"destroy_loop_threshold": 1 << 20}


def left_by(run: Run, moment: int) -> Left:
    """What is to be known about a run whose process was killed at that moment."""
    walks = run.timeline[(run.timeline["activity"] == "destroys pages")]
    by_thread = walks[[str(actor) in FIRST for actor in walks["actor"]]]
    removals = run.timeline[run.timeline["activity"] == "removes the address space"]
    exports: Counter[str] = Counter()
    destroys: Counter[str] = Counter()
    in_vain = 0
    for actor, calls in run.by_actor.items():
        if not (cleans_up(actor) or actor == QEMU_EXITS):
            continue
        if calls[UVC.CONV_FROM_SEC_STOR]:
            exports[actor] = calls[UVC.CONV_FROM_SEC_STOR]
            in_vain += run.idle_by_actor[actor][UVC.CONV_FROM_SEC_STOR]
        removed = int(removals["pages"][removals["actor"] == actor].sum()) - exports[actor]
        walked = int(walks["pages"][walks["actor"] == actor].sum())
        destroys[actor] = min(removed, calls[UVC.DESTR_SEC_STOR] - walked)
    return Left(
        moment,
        int(by_thread["pages"].sum()),
        +exports,
        in_vain,
        +destroys,
        int(run.memory["set_aside"].max()),
        run.exited_ns,
        run.cleanup_ns,
        sum(map(cleans_up, run.by_actor)),
    )


def _by_thread(left: Left) -> int:
    return sum(pages for actor, pages in left.exports.items() if is_a(actor, CLEAN_UP))


def _stopped(run: Run, left: Left) -> bool:
    """Whether the thread stopped walking before the end, and at most one batch after the exit."""
    if not left.walked or left.walked >= run.pages:
        return False
    walks = run.timeline[[str(row["actor"]) in FIRST and row["activity"] == "destroys pages" for row in run.timeline]]
    begun = run.timeline["start"][run.timeline["actor"] == QEMU_EXITS]
    at = max(left.exit_ns, int(begun.min()) if len(begun) else 0)
    costs, batch = run.parameters["costs"], int(run.parameters["destroy_loop_threshold"])
    one = batch * (max(costs.destroy, costs.noop, costs.refused) + costs.walk + costs.free)
    return int(walks["end"].max()) <= at + 2 * one


def _time(ns: int | None) -> str:
    return "never" if ns is None else format_duration(ns)


def _verdict(values: Mapping[str, Any], kernel: Series) -> tuple[str, ...]:
    shown, alone, two = values["shown"], values["alone"], values["two_threads"]
    if not shown.threads:
        return (
            f"With {kernel_words(kernel)} there is no thread that could leave.",
            "All is clean when the new guest runs.",
        )
    killed = f"The process is killed {about_duration(shown.exit_ns)} after the reset."
    if not (shown.exports or shown.destroys or shown.aside):
        return (
            "The process that is killed leaves nothing to be done.",
            killed,
            f"The thread has walked {about(shown.walked, 'pages')}, and all is clean after {_about(shown.clean_ns)}.",
        )
    stopped = _stopped(values["runs"][shown.exit_ns], shown)
    when = "after the batch at hand" if stopped else "when it has walked all"
    clean, usual = _about(shown.clean_ns), _about(alone.cleanup_ns)
    sentences = [
        f"The thread stops {when}; all is clean after {clean} instead of {usual}.",
        killed,
        f"The thread has walked {about_count(shown.walked)} of {about(alone.pages, 'pages')} then.",
    ]
    sentences += [f"The {named(actor)} exports {about(pages, 'pages')}." for actor, pages in shown.exports.items()]
    if shown.in_vain:
        sentences.append(f"Of these, {about_count(shown.in_vain)} were clean already.")
    for actor, pages in shown.destroys.items():
        sentences.append(f"The {named(actor)} goes over {about(pages, 'pages')} again, and destroys what is left.")
    if shown.aside:
        sentences.append(f"Set aside are {about(shown.aside, 'pages')}.")
    sentences.append(f"wait() returns {_after(shown.gone_ns, shown.exit_ns)}.")
    if two.threads > 1:
        batch = format_count(_LARGE["destroy_loop_threshold"])
        sentences.append(f"With a batch of {batch}, the exit itself starts another thread.")
    return tuple(sentences)


def _about(ns: int | None) -> str:
    return "never" if ns is None else about_duration(ns)


def _after(gone: int | None, exit_ns: int) -> str:
    if gone is None:
        return "never"
    return f"{format_duration(gone - exit_ns)} after the kill" if gone > exit_ns else "at once"


def _title(values: Mapping[str, Any]) -> str:
    shown, alone = values["shown"], values["alone"]
    killed = f"if killed at {about_duration(shown.exit_ns)}, {_about(shown.clean_ns)}"
    return f"All is clean after {_about(alone.cleanup_ns)}; {killed}"


def _table(values: Mapping[str, Any]) -> Table:
    alone = values["alone"]
    walked = int(alone.timeline["pages"][alone.timeline["activity"] == "destroys pages"].sum())
    rows = [("not at all", format_count(walked), "-", "-", "0", "-", _time(alone.cleanup_ns), _threads(alone))]
    cases = [*values["left"].values(), values["two_threads"]]
    for each in cases:
        large = each is values["two_threads"]
        rows.append(
            (
                format_duration(each.exit_ns) + (", one huge batch" if large else ""),
                format_count(each.walked),
                _pages(each.exports),
                _pages(each.destroys),
                format_count(each.aside),
                _after(each.gone_ns, each.exit_ns),
                _time(each.clean_ns),
                str(each.threads),
            )
        )
    columns = (
        "killed at",
        "pages walked",
        "exported by",
        "destroyed at the end by",
        "set aside",
        "wait() returns",
        "all clean after",
        "threads",
    )
    return Table(columns, tuple(rows))


def _threads(run: Run) -> str:
    return str(sum(map(cleans_up, run.by_actor)))


def _pages(by_actor: Mapping[str, int]) -> str:
    return ", ".join(f"{actor}: {format_count(pages)}" for actor, pages in by_actor.items()) or "-"


def _times(values: Mapping[str, Any]) -> Lines:
    found = values["left"]
    clean = Line(
        "all clean", tuple((at, each.clean_ns) for at, each in found.items() if each.clean_ns), "clean-up thread"
    )
    gone = Line("wait() returns", tuple((at, each.gone_ns) for at, each in found.items() if each.gone_ns), "QEMU")
    latest = max(found)
    usual = values["alone"].cleanup_ns
    lines = [clean, gone]
    if usual is not None:
        lines.append(Line("all clean, without a kill", ((min(found), usual), (latest, usual)), "guest"))
    slow = [each.clean_ns for each in found.values() if each.clean_ns]
    title = f"The earlier the exit, the later all is clean: {_about(max(slow))} at worst" if slow else "Never all clean"
    if slow and usual is not None and max(slow) <= usual:
        title = "An exit makes nothing later"
    return Lines(title, tuple(lines), "killed, time since the reset", "time since the reset", "ns", "ns")
