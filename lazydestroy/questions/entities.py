"""Question 5: what "guest" may mean. Three things that begin and end at different moments of one reboot."""

from __future__ import annotations

from typing import Any

from ..rounded import about_duration
from ..run import Run
from ..scenarios import reboot
from ..series import Series, v1
from ..units import format_duration
from .answer import Answer, Table, resting_on
from .pictures import Lanes, Span
from .question import Question
from .registry import answering


@answering(5, reboot)
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
    ends = {"old guest OS": old.ended_ns, "its configuration": old.destroyed_ns, "KVM VM": run.exited_ns}
    claims = {
        "the KVM VM stays": run.exited_ns is None,
        "the guest OS is replaced": run.downtime_ns is not None and run.booted,
        "the old configuration outlives the guest OS that it belonged to": old.destroyed_ns != old.ended_ns,
        "two secure configurations exist at the same time": both > 0,
    }
    values = {
        "new_guest_ns": run.downtime_ns,
        "old_set_aside_ns": old.set_aside_ns,
        "old_destroyed_ns": old.destroyed_ns,
        "new_created_ns": None if new is None else new.created_ns,
        "both_ns": both,
        "exited_ns": run.exited_ns,
        "address_space_ns": address_space_gone(run),
        "run": run,
    }
    return Answer(
        question=question,
        said=_verdict(run, both),
        claims=claims,
        evidence=_table(run),
        agrees="yes" if len(set(ends.values())) == len(ends) else "refines",
        agreement=f"They end at moments of their own: {', '.join(f'{name} {_when(at)}' for name, at in ends.items())}."
        if len(set(ends.values())) == len(ends)
        else f"Some of them end together here: {', '.join(f'{name} {_when(at)}' for name, at in ends.items())}.",
        assumptions=resting_on("boot loader", "boot image", "next instruction"),
        pictures=(_picture(run, end, both),),
        values=values,
        parameters={},
    )


def address_space_gone(run: Run) -> int | None:
    """When the address space was removed, nanoseconds. None: it was not."""
    rows = run.timeline[run.timeline["activity"] == "removes the address space"]
    return int(rows["end"].max()) if len(rows) else None


def _or(moment: int | None, end: int) -> int:
    return end if moment is None else moment


def _when(ns: int | None) -> str:
    return "never" if ns is None else format_duration(ns)


def _verdict(run: Run, both: int) -> tuple[str, ...]:
    old, *later = run.configurations
    gone = address_space_gone(run)
    guest = "never has a successor" if run.downtime_ns is None else f"has a successor after {_when(run.downtime_ns)}"
    vm = "stays" if run.exited_ns is None else f"ends after {_when(run.exited_ns)}"
    space = "stays as well" if gone is None else f"is removed after {_when(gone)}"
    aside = "" if old.set_aside_ns is None else f"is set aside after {_when(old.set_aside_ns)}, and "
    destroyed = "is never destroyed" if old.destroyed_ns is None else f"is destroyed after {_when(old.destroyed_ns)}"
    there = "at no moment are there two configurations."
    if both:
        there = f"for {about_duration(both)}, one VM has two configurations."
    sentences = [
        f"Three: guest OS, KVM VM, secure configuration; {there}",
        f"The guest OS {guest}.",
        f"The KVM VM {vm}; its address space {space}.",
        f"The secure configuration {old.name} {aside}{destroyed}.",
    ]
    if later:
        sentences.append(f"Its successor {later[0].name} exists from {_when(later[0].created_ns)} on.")
    else:
        sentences.append("No other configuration is created.")
    return tuple(sentences)


def _table(run: Run) -> Table:
    rows = [
        ("guest OS, old", "before", "-", _when(run.configurations[0].ended_ns)),
        ("guest OS, new", _when(run.downtime_ns), "-", _when(run.exited_ns if run.downtime_ns is not None else None)),
        ("KVM VM", "before", "-", _when(run.exited_ns)),
        ("its address space", "before", "-", _when(address_space_gone(run))),
    ]
    for each in run.configurations:
        created = "before" if each.created_ns < 0 else format_duration(each.created_ns)
        rows.append((f"secure configuration {each.name}", created, _when(each.set_aside_ns), _when(each.destroyed_ns)))
    return Table(("", "begins", "is set aside", "ends"), tuple(rows))


def _picture(run: Run, end: int, both: int) -> Lanes:
    before = -max(end // 10, 1)
    new = run.downtime_ns
    os = [Span(before, 0, "old", "old guest")]
    if new is not None:
        os.append(Span(new, run.exited_ns, "new", "guest"))
    lanes: list[tuple[str, tuple[Span, ...]]] = [
        ("guest OS", tuple(os)),
        ("KVM VM", (Span(before, run.exited_ns, "one and the same", "QEMU"),)),
        ("address space", (Span(before, address_space_gone(run), "one and the same", "QEMU"),)),
    ]
    for each in run.configurations:
        begins, ended = each.created_ns if each.created_ns > 0 else before, each.ended_ns
        look = "guest" if each.created_ns >= 0 else "old guest"
        spans = [Span(begins, ended, "has CPUs", look)]
        if ended is not None and each.set_aside_ns is None and each.destroyed_ns != ended:
            spans.append(Span(ended, each.destroyed_ns, "loses its CPUs", "donated"))
        elif ended is not None and each.set_aside_ns is not None:
            if each.set_aside_ns > ended:
                spans.append(Span(ended, each.set_aside_ns, "loses its CPUs", "donated"))
            spans.append(Span(each.set_aside_ns, each.destroyed_ns, "set aside: a zombie, no CPUs", "set aside"))
        lanes.append((f"configuration {each.name}", tuple(spans)))
    marks = [(0, "reset")]
    if new is not None:
        marks.append((new, "new guest runs"))
    title = (
        f"For {about_duration(both)}, one KVM VM has two secure configurations"
        if both
        else "At no moment does the KVM VM have two secure configurations"
    )
    return Lanes(title, tuple(lanes), end, tuple(marks))
