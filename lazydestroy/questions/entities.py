"""Question 5: what "guest" may mean. Three things that begin and end at different moments of one reboot."""

from __future__ import annotations

from typing import Any

from ..run import Run
from ..scenarios import reboot
from ..series import Series, v1
from ..units import format_duration
from .answer import Answer, Table, resting_on
from .common import kernel_words
from .pictures import Lanes, Span
from .question import Question
from .registry import answers


@answers(5, reboot)
def which_guest(question: Question, *, memory: int | str = "16 GiB", kernel: Series = v1, **more: Any) -> Answer:
    """Follow the guest OS, the secure configurations and the KVM VM over a reboot.

    Parameters
    ----------
    question : Question
    memory, kernel, **more
        As for `lazydestroy.reboot`.
    """
    run = reboot(memory, kernel=kernel, **more)
    old, new = run.configurations[0], run.configurations[1] if len(run.configurations) > 1 else None
    end = max(run.end_ns, run.cleanup_ns or 0)
    both = 0
    if new is not None:
        both = max(0, min(_or(old.destroyed_ns, end), _or(new.destroyed_ns, end)) - new.created_ns)
    claims = {
        "the KVM VM stays": run.exited_ns is None,
        "the guest OS is replaced at the reset": run.downtime_ns is not None,
        "two secure configurations own memory of one VM at the same time": both > 0,
    }
    values = {
        "new_guest_ns": run.downtime_ns,
        "old_destroyed_ns": old.destroyed_ns,
        "new_created_ns": None if new is None else new.created_ns,
        "both_ns": both,
        "exited_ns": run.exited_ns,
        "run": run,
    }
    told_apart = len({run.downtime_ns, old.destroyed_ns, run.exited_ns}) == 3
    return Answer(
        question=question,
        verdict=_verdict(run, both),
        claims=claims,
        evidence=_table(run),
        agrees="yes" if told_apart else "refines",
        agreement=(
            "Each of the three begins and ends at a moment of its own."
            if told_apart
            else f"With {kernel_words(kernel, run.parameters['lazy_destroy'])} some of them end at the same moment."
        ),
        assumptions=resting_on("boot loader", "boot image", "next instruction"),
        pictures=(_picture(run, end, both),),
        values=values,
        parameters={},
    )


def _or(moment: int | None, end: int) -> int:
    return end if moment is None else moment


def _when(ns: int | None) -> str:
    return "never" if ns is None else format_duration(ns)


def _verdict(run: Run, both: int) -> str:
    old, *later = run.configurations
    guest = (
        "never has a successor"
        if run.downtime_ns is None
        else f"has a successor after {format_duration(run.downtime_ns)}"
    )
    vm = "stays" if run.exited_ns is None else f"ends after {format_duration(run.exited_ns)}"
    destroyed = "is never destroyed" if old.destroyed_ns is None else f"is destroyed after {_when(old.destroyed_ns)}"
    words = f"Three things: the guest OS, which {guest}; the KVM VM with its address space, which {vm}; "
    words += f"and the secure configuration, {old.name}, which the reset sets aside and which {destroyed}"
    if not later:
        return f"{words}; no other configuration is created."
    words += f", while its successor {later[0].name} exists from {_when(later[0].created_ns)} on"
    if both:
        return f"{words}: for {format_duration(both)} the memory of one VM belongs to two configurations."
    return f"{words}: at no moment are there two."


def _table(run: Run) -> Table:
    rows = [
        ("guest OS, old", "before", "0 s (the reset)"),
        ("guest OS, new", _when(run.downtime_ns), _when(run.exited_ns)),
        ("KVM VM and its address space", "before", _when(run.exited_ns)),
    ]
    for each in run.configurations:
        created = "before" if each.created_ns < 0 else format_duration(each.created_ns)
        aside = "" if each.set_aside_ns is None else f", set aside at {format_duration(each.set_aside_ns)}"
        rows.append((f"secure configuration {each.name}", created, _when(each.destroyed_ns) + aside))
    return Table(("", "begins", "ends"), tuple(rows))


def _picture(run: Run, end: int, both: int) -> Lanes:
    before = -max(end // 10, 1)
    new = run.downtime_ns
    os = [Span(before, 0, "old", "old guest")]
    if new is not None:
        os.append(Span(new, run.exited_ns, "new", "guest"))
    lanes: list[tuple[str, tuple[Span, ...]]] = [
        ("guest OS", tuple(os)),
        ("KVM VM", (Span(before, run.exited_ns, "one and the same", "QEMU"),)),
    ]
    for each in run.configurations:
        begins, aside = each.created_ns if each.created_ns > 0 else before, each.set_aside_ns
        spans = []
        if aside is None or aside > begins:
            spans.append(Span(begins, aside, "has CPUs", "guest" if each.created_ns >= 0 else "old guest"))
        if aside is not None and each.destroyed_ns != aside:
            spans.append(Span(max(begins, aside), each.destroyed_ns, "set aside: a zombie, no CPUs", "set aside"))
        lanes.append((f"configuration {each.name}", tuple(spans)))
    marks = [(0, "reset")]
    if new is not None:
        marks.append((new, "new guest runs"))
    title = (
        f"For {format_duration(both)} one KVM VM has two secure configurations"
        if both
        else "At no moment does the KVM VM have two secure configurations"
    )
    return Lanes(title, tuple(lanes), end, tuple(marks))
