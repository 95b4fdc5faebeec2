"""Question 3: whether memory can run out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .. import units
from ..costs import Costs
from ..machine import Machine
from ..page import PAGE_SHIFT, PAGE_SIZE, Holder
from ..rounded import about_duration, about_size
from ..run import Run
from ..scenarios import reboot, shutdown
from ..series import Series, v1
from ..units import format_duration, format_size
from .answer import Answer, Table, resting_on
from .common import BEFORE, kernel_words, memory_line, to_the_end, when_free
from .pictures import Lines
from .question import Question
from .registry import answering
from .shortage import (
    CHOSEN,
    RATES,
    Given,
    Outcome,
    Turning,
    map_picture,
    oom_map,
    outcome,
    rate_words,
    rates_of,
    sizes_of,
    turning_rate,
)


@answering(3, shutdown, CHOSEN)
def exhausted(
    question: Question,
    *,
    memory: int | str = "64 GiB",
    kernel: Series = v1,
    costs: Costs | None = None,
    rates: int | str | Sequence[int | str] = RATES,
    sizes: int | str | Sequence[int | str] | None = None,
    **more: Any,
) -> Answer:
    """Memory over time in a reboot and at a shutdown; who finds none; what swap changes.

    Parameters
    ----------
    question : Question
    memory, kernel, costs, **more
        As for `lazydestroy.shutdown`. By default the host has an eighth more than the guest, and 4 GiB.
    rates : sequence of int or str
        Paces at which another process takes as much memory as the guest had.
    sizes : sequence of int or str, optional
        Sizes of the guest for the map; by default five, each half the next, up to `memory`.
    """
    guest, paces = units.size(memory, "memory", multiple_of=PAGE_SIZE), rates_of(rates)
    given = {"kernel": kernel, "costs": costs, **more}
    tried = {name: value for name, value in given.items() if name not in ("kernel", "lazy_destroy", "helper")}
    others: dict[str, Given] = {kernel_words(BEFORE): {"kernel": BEFORE, **tried}}
    if "lazy_destroy" in kernel.parameters and more.get("lazy_destroy") is not False:
        others[kernel_words(kernel, False)] = {"kernel": kernel, "lazy_destroy": False, **tried}
    gone = shutdown(guest, **given)
    gone_before = shutdown(guest, **others[kernel_words(BEFORE)])
    again, again_before = (_reboots(guest, each, tried) for each in (kernel, BEFORE))
    found = oom_map(sizes_of(sizes, guest), paces, given)
    turning = turning_rate(guest, [found[guest, pace] for pace in paces], given)
    pace = turning.yes or turning.no or paces[-1]
    spared = {name: outcome(guest, max(pace, paces[-1]), other) for name, other in others.items()}
    at_once = {
        name: outcome(guest, pace, {**other, "demand_from": "exit"})
        for name, other in ((kernel_words(kernel), given), (kernel_words(BEFORE), others[kernel_words(BEFORE)]))
    }
    swap = swappable(kernel, costs)
    values = _values(guest, gone, gone_before, again, again_before)
    values |= {"map": found, "turning_rate": turning, "others": spared, "from_the_kill": at_once, "swap": swap}
    smallest = min((size for (size, _), each in found.items() if each.killed_ns is not None), default=None)
    values["smallest_guest"] = smallest
    claims = {
        "a reboot takes no more memory than before the series, but for donated storage": values["reboot_extra"]
        <= values["donated"] + CRST,
        "at shutdown pages are neither used nor free for a while": values["set_aside"] > 0,
        "a process that takes memory fast enough is killed for want of it": turning.yes is not None,
        "before the series, or with the parameter off, it is not": all(
            each.killed_ns is None for each in spared.values()
        ),
        "a page of the old guest can be swapped out in a reboot": swap["reboot"].swapped == swap["reboot"].pages,
        "a page that was set aside cannot be swapped out": swap["shutdown"].pages > 0 == swap["shutdown"].swapped,
    }
    return Answer(
        question=question,
        said=_exhausted_verdict(values, kernel),
        claims=claims,
        evidence=_exhausted_table(values, gone, gone_before, kernel),
        agrees=_agrees(claims),
        agreement=_agreement(claims, turning, smallest),
        assumptions=resting_on("destroy", "free", "set_aside", "memory of the host", "another process", "swapping"),
        pictures=(
            _free_over_time(gone, gone_before, again, kernel),
            map_picture(found, kernel),
        ),
        values=values,
        parameters={},
    )


CRST = 8
"""Pages of two top-level tables: the copy that the VM goes on with, and the old one until it is freed."""


def _reboots(guest: int, kernel: Series, given: Given) -> Run:
    """Reboot to a guest that goes protected, so that it needs donated storage, and then touches nothing."""
    return reboot(guest, kernel=kernel, touch="none", **given)


def _values(guest: int, gone: Run, gone_before: Run, again: Run, again_before: Run) -> dict[str, Any]:
    pages = guest >> PAGE_SHIFT
    least = [int(run.memory["free"].min()) for run in (again, again_before)]
    gone_ns, before_ns = (run.downtime_ns or 0 for run in (gone, gone_before))
    there, there_before = when_free(gone, pages, gone_ns), when_free(gone_before, pages, before_ns)
    return {
        "set_aside": int(gone.memory["set_aside"].max()),
        "held": held_at_the_end_of_downtime(gone),
        "set_aside_reboot": int(again.memory["set_aside"].max()),
        "wait_ns": gone.downtime_ns,
        "wait_before_ns": gone_before.downtime_ns,
        "until_same_size_ns": None if there is None else there - gone_ns,
        "until_same_size_before_ns": None if there_before is None else there_before - before_ns,
        "same_size_ns": there,
        "same_size_before_ns": there_before,
        "reboot_extra": max(0, least[1] - least[0]),
        "donated": max((each.donated for each in again.configurations), default=0),
        "host": int(gone.parameters["host_memory"]),
    }


def held_at_the_end_of_downtime(run: Run) -> int:
    """Pages of the old guest that are not free when ``wait()`` returns: mapped, or set aside."""
    rows = run.memory[run.memory["time"] >= (run.end_ns if run.downtime_ns is None else run.downtime_ns)]
    return int(rows["guest"][0] + rows["set_aside"][0])


class Swappable(NamedTuple):
    """Of how many old pages that are still there how many could be swapped out, tried one by one."""

    pages: int
    swapped: int


SMALL = 64
"""Pages of the guest whose pages are tried one by one."""


def swappable(kernel: Series, costs: Costs | None) -> dict[str, Swappable]:
    """Try to swap out every page of an old guest, right after its reset, and right after its process is gone.

    At the shutdown only pages that were set aside count: the others are free. A guest of 64 pages, nothing of which is
    cleared at once, so that it is cleaned up in the background like a large one.
    """
    found = {}
    for scenario in ("reboot", "shutdown"):
        machine = Machine(SMALL * PAGE_SIZE, kernel=kernel, costs=costs, low_memory=0, segment_table=0)
        machine.boot()
        machine.protect()
        for page in range(SMALL):
            machine.touch(page)
        if scenario == "reboot":
            machine.reboot()
        else:
            machine.exit()
        wanted = Holder.MAPPED if scenario == "reboot" else Holder.SET_ASIDE
        there = [page for page in range(SMALL) if machine.memory.record(machine.mm.guest.slot(page)).holder == wanted]
        swapped = sum(machine.kernel.swap_out(machine.mm, page << PAGE_SHIFT) for page in there)
        found[scenario] = Swappable(len(there), swapped)
    return found


def _exhausted_verdict(values: Mapping[str, Any], kernel: Series) -> tuple[str, ...]:
    turning, aside = values["turning_rate"], values["set_aside"]
    extra = about_size(values["reboot_extra"] << PAGE_SHIFT)
    reboot = f"In a reboot, at most {extra} less memory is free than before the series."
    if not aside and turning.yes is None:
        wait, held = values["wait_ns"], values["held"]
        returns = "never returns" if wait is None else f"returns after {about_duration(wait)}"
        free = f"{about_size(held << PAGE_SHIFT)} are not free yet" if held else "all its memory is free"
        return (
            "No: memory runs short neither in a reboot nor at shutdown.",
            reboot,
            f"At shutdown, {kernel_words(kernel)} sets nothing aside here.",
            f"wait() {returns}, and {free} then.",
        )
    short = "In a reboot no; at shutdown yes, for a while: "
    short += "a process may be killed for want of memory." if turning.yes is not None else "much is set aside."
    again, before = (_since_the_kill(values[name]) for name in ("same_size_ns", "same_size_before_ns"))
    kept = f"up to {about_size(aside << PAGE_SHIFT)} are set aside then"
    if not aside:
        kept = f"{about_size(values['held'] << PAGE_SHIFT)} are still mapped then"
    sentences = [
        short,
        reboot,
        f"At shutdown, wait() returns after {about_duration(values['wait_ns'])}; {kept}.",
        f"There is memory for another guest of that size {again}, instead of {before}.",
    ]
    if turning.yes is None:
        sentences.append(f"A process that takes as much finds what it asks for, {turning}.")
        return tuple(sentences)
    sentences.append(f"A process that takes as much at {rate_words(turning.yes)} or faster is killed.")
    spared = [name for name, each in values["others"].items() if each.killed_ns is None]
    if spared:
        sentences.append(f"With {' or '.join(spared)} it is not.")
    return tuple(sentences)


def _since_the_kill(ns: int | None) -> str:
    return "never" if ns is None else f"{about_duration(ns)} after the kill"


def _exhausted_table(values: Mapping[str, Any], gone: Run, gone_before: Run, kernel: Series) -> Table:
    def time(ns: int | None) -> str:
        return "never" if ns is None else format_duration(ns)

    def fate(each: Outcome) -> str:
        return "fits" if each.killed_ns is None else "killed"

    swap, turning, at_once = values["swap"], values["turning_rate"], values["from_the_kill"]
    aside = [format_size(int(run.memory["set_aside"].max()) << PAGE_SHIFT) for run in (gone_before, gone)]
    pace = rate_words(turning.yes or turning.no or 0)
    before = values["others"][kernel_words(BEFORE)]
    return Table(
        ("", "before the series", kernel_words(kernel)),
        (
            ("wait() returns after", time(gone_before.downtime_ns), time(gone.downtime_ns)),
            ("set aside, at most", *aside),
            (
                "memory for a guest of the same size is free, after the kill",
                time(values["same_size_before_ns"]),
                time(values["same_size_ns"]),
            ),
            (
                "a process that begins when wait() returns is killed",
                f"{fate(before)} at {rate_words(before.rate)}",
                str(turning),
            ),
            (
                f"a process that begins at the kill, {pace}",
                fate(at_once[kernel_words(BEFORE)]),
                fate(at_once[kernel_words(kernel)]),
            ),
            ("of 64 old pages can be swapped out after a reboot", "", _of(swap["reboot"])),
            ("of those set aside can be swapped out", "", _of(swap["shutdown"])),
        ),
    )


def _of(found: Swappable) -> str:
    return f"{found.swapped} of {found.pages}"


def _agrees(claims: Mapping[str, bool]) -> Any:
    held = list(claims.values())
    return "yes" if held[0] and held[1] else "no"


def _agreement(claims: Mapping[str, bool], turning: Turning, smallest: int | None) -> str:
    held = list(claims.values())
    if not held[1]:
        return "Nothing is set aside here, so there is nothing to agree with."
    said = "So he said of both." if held[0] else "So he said of the shutdown, but the reboot takes more than he said."
    if turning.yes is None:
        return f"{said} Here no process is killed, {turning}: there is enough memory."
    words = f"{said} What the thread leaves open is how fast is too fast: {rate_words(turning.yes)} for this guest"
    if smallest is None:
        return f"{words}."
    large = f"in this map, where each guest has its own host, {format_size(smallest)}"
    return f"{words}; and how large is too large: {large}."


def _free_over_time(gone: Run, gone_before: Run, again: Run, kernel: Series) -> Lines:
    lines = (
        memory_line(again, "free", "free, reboot", "guest"),
        memory_line(gone, "free", "free, shutdown", "clean-up thread"),
        memory_line(gone, "set_aside", "set aside, shutdown", "set aside"),
        memory_line(gone_before, "free", "free, shutdown before the series", "QEMU"),
    )
    marks = []
    for run, name in ((gone, "wait() returns"), (gone_before, "wait() returns, before the series")):
        if run.downtime_ns is not None:
            marks.append((run.downtime_ns, name))
    aside = int(gone.memory["set_aside"].max())
    title = (
        f"wait() returns while {about_size(aside << PAGE_SHIFT)} are neither used nor free"
        if aside
        else "Nothing is set aside"
    )
    return Lines(
        title, to_the_end(lines), "time since the reset, or the kill", "memory", "ns", "bytes", marks=tuple(marks)
    )
