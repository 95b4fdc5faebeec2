"""Questions 3 and 4: whether memory can run out, and whether an OOM notifier helps.

A map says for each size of guest, and for each pace at which another process takes memory once the guest is gone,
whether that process is killed for want of it. It is measured cell by cell; so is the pace at which "no" turns into
"yes".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from .. import units
from ..costs import Costs
from ..machine import Machine
from ..page import PAGE_SHIFT, PAGE_SIZE, Holder
from ..run import Run
from ..scenarios import reboot, shutdown
from ..series import OomNotifier, Series, v1
from ..series.oom_notifier import OOM_WAIT
from ..units import format_duration, format_rate, format_size
from .answer import Answer, Table, resting_on
from .common import BEFORE, counted, kernel_words, memory_line, to_the_end, when_free
from .pictures import Cell, Grid, Lines
from .progress import one_by_one
from .question import Question
from .registry import answers

RATES = ("1 GiB/s", "2 GiB/s", "4 GiB/s", "8 GiB/s", "16 GiB/s", "32 GiB/s")
"""Paces that are tried."""

PRECISION = 1.02
"""A turning point is known when the pace above it is at most 2 % higher than the pace below."""

SLOWEST, FASTEST = 1 << 20, 1 << 40
"""Paces below and above which no turning point is looked for, bytes a second."""

_CHOSEN = ("demand", "demand_total", "demand_from", "swap")

Given = Mapping[str, Any]


class Outcome(NamedTuple):
    """What became of a process that takes as much memory as the guest had, once that one is gone.

    Attributes
    ----------
    memory, rate : int
        Size of the guest in bytes, and the pace in bytes a second.
    killed_ns : int or None
        When memory ran out. None: it got all it wanted.
    done_ns : int
        When it had all, or was killed.
    waited_ns : int
        How long of that it waited for pages that were being freed.
    """

    memory: int
    rate: int
    killed_ns: int | None
    done_ns: int
    waited_ns: int


def outcome(memory: int, rate: int, given: Given) -> Outcome:
    """Shut a guest down; another process takes memory at that pace."""
    run = shutdown(memory, demand=rate, **given)
    killed = next((event.time_ns for event in run.events if event.kind == "oom"), None)
    return Outcome(memory, rate, killed, run.finished_ns["other process"], run.oom_wait_ns)


@dataclass(frozen=True, slots=True)
class Turning:
    """Between which paces "no" turns into "yes", bytes a second.

    Attributes
    ----------
    no : int or None
        A pace that does not exhaust memory. None: any pace that was tried does.
    yes : int or None
        A pace that does. None: none that was tried does.
    """

    no: int | None
    yes: int | None

    def __str__(self) -> str:
        if self.yes is None:
            return f"not even at {format_rate(self.no or 0)}"
        return f"from {rate_words(self.yes)} on"


_RATES = (("TiB/s", 1 << 40), ("GiB/s", 1 << 30), ("MiB/s", 1 << 20), ("B/s", 1))


def rate_words(rate: int) -> str:
    """Write a pace, rounded to the precision with which turning points are known."""
    unit, base = next((unit, base) for unit, base in _RATES if rate >= base or base == 1)
    return f"{rate / base:.3g} {unit}"


def turning_rate(memory: int, tried: Sequence[Outcome], given: Given) -> Turning:
    """Where "no" turns into "yes" for a guest of that size, to within 2 %. `tried`: what is known already."""
    no = max((each.rate for each in tried if each.killed_ns is None), default=None)
    yes = min((each.rate for each in tried if each.killed_ns is not None), default=None)
    while yes is None and no is not None and no < FASTEST:
        faster = min(8 * no, FASTEST)
        if outcome(memory, faster, given).killed_ns is None:
            no = faster
        else:
            yes = faster
    while yes is not None and no is None and yes > SLOWEST:
        slower = yes // 4
        if outcome(memory, slower, given).killed_ns is None:
            no = slower
        else:
            yes = slower
    while yes is not None and no is not None and yes > no * PRECISION:
        middle = round((yes * no) ** 0.5)
        if outcome(memory, middle, given).killed_ns is None:
            no = middle
        else:
            yes = middle
    return Turning(no, yes)


def sizes_up_to(memory: int) -> list[int]:
    """Five sizes of a guest, each half the next, up to `memory` bytes."""
    smaller = (memory >> power >> PAGE_SHIFT << PAGE_SHIFT for power in range(4, -1, -1))
    return sorted({size for size in smaller if size})


def _sizes(sizes: int | str | Sequence[int | str] | None, memory: int) -> list[int]:
    if sizes is None:
        return sizes_up_to(memory)
    return sorted({memory, *(units.size(size, "sizes", multiple_of=PAGE_SIZE) for size in _several(sizes))})


def _rates(rates: int | str | Sequence[int | str]) -> list[int]:
    found = sorted({units.rate(rate, "rates") for rate in _several(rates)})
    if not found:
        raise ValueError(f"rates={rates!r}: use one pace or several, such as ('1 GiB/s', '4 GiB/s')")
    return found


def _several(values: Any) -> Sequence[Any]:
    """One value, or several."""
    return values if isinstance(values, Sequence) and not isinstance(values, str) else (values,)


def oom_map(sizes: Sequence[int], rates: Sequence[int], given: Given) -> dict[tuple[int, int], Outcome]:
    """What becomes of the other process, by size of the guest and pace."""
    cases = [(size, rate) for size in sizes for rate in rates]
    return {case: outcome(*case, given) for case in one_by_one(cases)}


@answers(3, shutdown, _CHOSEN)
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
    guest, paces = units.size(memory, "memory", multiple_of=PAGE_SIZE), _rates(rates)
    given = {"kernel": kernel, "costs": costs, **more}
    tried = {name: value for name, value in given.items() if name not in ("kernel", "lazy_destroy")}
    others: dict[str, Given] = {kernel_words(BEFORE): {"kernel": BEFORE, **tried}}
    if 10 in kernel and more.get("lazy_destroy") is not False:
        others[kernel_words(kernel, False)] = {"kernel": kernel, "lazy_destroy": False, **tried}
    gone = shutdown(guest, **given)
    gone_before = shutdown(guest, **others[kernel_words(BEFORE)])
    again, again_before = (_reboots(guest, each, tried) for each in (kernel, BEFORE))
    found = oom_map(_sizes(sizes, guest), paces, given)
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
        verdict=_exhausted_verdict(values, kernel),
        claims=claims,
        evidence=_exhausted_table(values, gone, gone_before, kernel),
        agrees=_agrees(claims),
        agreement=_agreement(claims, turning, smallest),
        assumptions=resting_on("destroy", "free", "set_aside", "memory of the host", "another process", "swapping"),
        pictures=(
            _free_over_time(gone, gone_before, again, kernel),
            _map_picture(found, kernel),
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


def _exhausted_verdict(values: Mapping[str, Any], kernel: Series) -> str:
    turning, aside = values["turning_rate"], values["set_aside"]
    extra = format_size(values["reboot_extra"] << PAGE_SHIFT)
    parts = [f"In a reboot no: it leaves at most {extra} less memory free than before the series"]
    if not aside:
        parts.append(f"at shutdown no either: {kernel_words(kernel)} sets nothing aside here")
        return "; ".join(parts) + "."
    again = "never"
    if values["same_size_ns"] is not None:
        again = f"{format_duration(values['same_size_ns'])} after the kill"
    before = "never" if values["same_size_before_ns"] is None else format_duration(values["same_size_before_ns"])
    parts.append(
        f"at shutdown yes, for a while: wait() returns after {format_duration(values['wait_ns'])}, when up to "
        f"{format_size(aside << PAGE_SHIFT)} are set aside; there is memory for another guest of that size {again} "
        f"(before the series after {before}, which is when wait() returned)"
    )
    if turning.yes is None:
        parts.append(f"but a process that takes as much finds what it asks for, {turning}")
    else:
        spared = [name for name, each in values["others"].items() if each.killed_ns is None]
        parts.append(
            f"a process that then takes as much at {rate_words(turning.yes)} or faster is killed for want of it"
            + (f", and with {' or '.join(spared)} it is not" if spared else "")
        )
    return "; ".join(parts) + "."


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
        return f"{said} Here nobody is killed, {turning}: there is enough memory."
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
        f"With {kernel_words(kernel)} wait() returns while {format_size(aside << PAGE_SHIFT)} are neither used nor free"
        if aside
        else f"With {kernel_words(kernel)} nothing is set aside"
    )
    return Lines(
        title, to_the_end(lines), "time since the reset, or the kill", "memory", "ns", "bytes", marks=tuple(marks)
    )


def _map_picture(found: Mapping[tuple[int, int], Outcome], kernel: Series) -> Grid:
    sizes, rates = (sorted({key[place] for key in found}) for place in (0, 1))
    killed = sum(each.killed_ns is not None for each in found.values())
    return Grid(
        title=f"With {kernel_words(kernel)} the other process is killed in {killed} of {len(found)} cases",
        row_title="guest that has gone",
        column_title="pace at which another process takes as much memory",
        rows=tuple(map(format_size, sizes)),
        columns=tuple(map(format_rate, rates)),
        cells=tuple(tuple(outcome_cell(found[size, rate]) for rate in rates) for size in sizes),
        legend=(("good", "gets all it asks for"), ("bad", "killed: no page is free")),
    )


def outcome_cell(each: Outcome) -> Cell:
    """An outcome in a few words."""
    if each.killed_ns is not None:
        return Cell(f"killed at {format_duration(each.killed_ns)}", "bad")
    if each.waited_ns:
        return Cell(f"waits {format_duration(each.waited_ns)}", "mixed")
    return Cell("fits", "good")


@answers(4, shutdown, _CHOSEN)
def notified(
    question: Question,
    *,
    memory: int | str = "32 GiB",
    kernel: Series = v1,
    costs: Costs | None = None,
    rates: int | str | Sequence[int | str] = RATES,
    sizes: int | str | Sequence[int | str] | None = None,
    **more: Any,
) -> Answer:
    """The map of question 3 once more, with version 2's OOM notifier on top of the kernel.

    Parameters
    ----------
    question : Question
    memory, kernel, costs, rates, sizes, **more
        As for question 3.
    """
    guest, paces = units.size(memory, "memory", multiple_of=PAGE_SIZE), _rates(rates)
    if 9 not in kernel:
        raise ValueError(f"kernel={kernel!r}: the notifier is for a kernel that sets pages aside; it needs patch 9")
    if any(issubclass(layer, OomNotifier) for layer in kernel.layers):
        raise ValueError(f"kernel={kernel!r}: it has the notifier already; give the kernel without it")
    given = {"kernel": kernel, "costs": costs, **more}
    notifying = {**given, "kernel": kernel.plus(OomNotifier)}
    places = _sizes(sizes, guest)
    without = oom_map(places, paces, given)
    if all(each.killed_ns is None for each in without.values()):
        # slow processes only: look whether a faster one is killed
        turning_at = turning_rate(guest, [without[guest, pace] for pace in paces], given).yes
        without |= {} if turning_at is None else oom_map(places, [2 * turning_at], given)
    asked = [key for key, each in without.items() if each.killed_ns is not None]
    with_ = without | {key: outcome(*key, notifying) for key in one_by_one(asked)}
    killed, still = (sum(each.killed_ns is not None for each in cases.values()) for cases in (without, with_))
    waits = [each for key, each in with_.items() if without[key].killed_ns is not None and each.killed_ns is None]
    longest = max(waits, key=lambda each: each.waited_ns, default=None)
    turning = turning_cost(costs, more, kernel) if killed else None
    quiet = shutdown(guest, **given)
    freed = freed_in_a_wait(quiet)
    values = {
        "without": without,
        "with": with_,
        "killed_without": killed,
        "killed_with": still,
        "longest_wait": longest,
        "freed_in_a_wait": freed,
        "turning_cost": turning,
    }
    claims = {
        "without a notifier processes are killed": killed > 0,
        "with the notifier fewer are killed": still < killed,
        "who is not killed waits instead": bool(waits) and all(each.waited_ns > 0 for each in waits),
    }
    return Answer(
        question=question,
        verdict=_notified_verdict(values, len(without)),
        claims=claims,
        evidence=_notified_table(values, kernel),
        agrees=_notified_agrees(killed, still),
        agreement=_notified_agreement(killed, still),
        assumptions=resting_on("destroy", "free", "memory of the host", "another process", "swapping"),
        pictures=(
            _map_picture(without, kernel),
            _notifier_picture(with_, killed, still),
        ),
        values=values,
        parameters={},
    )


COST_GUEST, COST_RATE = 256 << 20, 64 << 30
"""The guest and the pace on which the cost is looked for at which a notifier does not help any more."""


def turning_cost(costs: Costs | None, more: Given, kernel: Series) -> Mapping[str, int | None]:
    """At which cost of a destroy the notifier stops helping, everything else as it is: nanoseconds, to within 2 %.

    A guest of 256 MiB on a host with an eighth more, of which all is wanted at once: slow calls take long to simulate
    on a large one.
    """
    base = Costs() if costs is None else costs
    small: dict[str, Any] = {"host_memory": COST_GUEST + COST_GUEST // 8, "kernel": kernel.plus(OomNotifier)}
    small |= {name: more[name] for name in ("list_page_capacity", "lazy_destroy") if name in more}

    def killed(destroy: int) -> bool:
        asked = {**small, "costs": base.replace(destroy=destroy)}
        return outcome(COST_GUEST, COST_RATE, asked).killed_ns is not None

    no, yes = base.destroy, None
    if killed(no):
        return {"no": None, "yes": no}
    trial = max(2 * no, 1000)
    while trial <= OOM_WAIT:
        if killed(trial):
            yes = trial
            break
        no, trial = trial, 2 * trial
    while yes is not None and yes > no * PRECISION:
        middle = round((yes * no) ** 0.5)
        if killed(middle):
            yes = middle
        else:
            no = middle
    return {"no": no, "yes": yes}


def freed_in_a_wait(run: Run) -> int:
    """About how many pages come free while a notifier waits, if nobody wants any."""
    if run.cleanup_ns is None or run.downtime_ns is None or run.cleanup_ns <= run.downtime_ns:
        return 0
    aside = int(run.memory["set_aside"].max())
    return min(aside, aside * OOM_WAIT // (run.cleanup_ns - run.downtime_ns))


def _notified_verdict(values: Mapping[str, Any], cases: int) -> str:
    killed, still, longest = values["killed_without"], values["killed_with"], values["longest_wait"]
    if not killed:
        return f"There is nothing to do for a notifier: in none of {cases} cases does a process run out of memory."
    of = f"in {killed} of {cases} cases a process is killed for want of memory"
    if longest is None:
        return f"No: {of}, and with the notifier of version 2 in {still}."
    cost = values["turning_cost"]
    words = (
        f"Yes: {of}, and with the notifier of version 2 in {still or 'none'}; instead the process waits, in steps of "
        f"{format_duration(OOM_WAIT)}, in each of which about {counted(values['freed_in_a_wait'], 'pages')} are "
        "freed; at "
        f"worst {format_duration(longest.waited_ns)} in all (a guest of {format_size(longest.memory)}, "
        f"{format_rate(longest.rate)})"
    )
    if cost and cost["yes"] is not None:
        words += (
            f"; it stops helping when a destroy takes so long, about {format_duration(cost['yes'])}, that no list "
            "page is "
            "done in one wait"
        )
    return words + "."


def _notified_table(values: Mapping[str, Any], kernel: Series) -> Table:
    rows = []
    for key, each in values["without"].items():
        if each.killed_ns is None:
            continue
        then = values["with"][key]
        rows.append(
            (
                f"{format_size(each.memory)}, {format_rate(each.rate)}",
                f"killed at {format_duration(each.killed_ns)}",
                "has it all" if then.killed_ns is None else f"killed at {format_duration(then.killed_ns)}",
                format_duration(then.done_ns),
                format_duration(then.waited_ns),
            )
        )
    columns = ("guest, pace", kernel_words(kernel), "with the notifier", "at", "of that, waited")
    return Table(columns, tuple(rows) or (("no process runs out of memory", "", "", "", ""),))


def _notified_agrees(killed: int, still: int) -> Any:
    if not killed:
        return "refines"
    return "refines" if still < killed else "yes"


def _notified_agreement(killed: int, still: int) -> str:
    if not killed:
        return "On a host like this the bad case that he names does not arise."
    if still < killed:
        return (
            "It is not too late: pages that were set aside become free one by one, and to wait for them is enough. "
            "That "
            "is how version 2 has it; it waits for a time, not for a number of pages as was asked."
        )
    return "As he first thought, a notifier does not help here."


def _notifier_picture(with_: Mapping[tuple[int, int], Outcome], killed: int, still: int) -> Grid:
    sizes, rates = (sorted({key[place] for key in with_}) for place in (0, 1))
    return Grid(
        title=f"With version 2's OOM notifier the other process is killed in {still} cases instead of {killed}",
        row_title="guest that has gone",
        column_title="pace at which another process takes as much memory",
        rows=tuple(map(format_size, sizes)),
        columns=tuple(map(format_rate, rates)),
        cells=tuple(tuple(outcome_cell(with_[size, rate]) for rate in rates) for size in sizes),
        legend=(("good", "gets all it asks for"), ("mixed", "waits for pages to be freed"), ("bad", "killed")),
    )
