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
from ..page import PAGE_SHIFT, PAGE_SIZE
from ..run import Run
from ..scenarios import reboot, shutdown
from ..series import OomNotifier, Series, v1
from ..series.oom_notifier import OOM_WAIT
from ..units import format_duration, format_rate, format_size
from .answer import Answer, Table, resting_on
from .common import BEFORE, counted, kernel_words, memory_line, when_free
from .pictures import Cell, Grid, Line, Lines
from .progress import one_by_one
from .question import Question
from .registry import answers

RATES = ("1 GiB/s", "2 GiB/s", "4 GiB/s", "8 GiB/s", "16 GiB/s", "32 GiB/s")
"""Paces that are tried."""

PRECISION = 1.02
"""A turning point is known when the pace above it is at most 2 % higher than the pace below."""

SLOWEST = 1 << 20
"""Pace below which no turning point is looked for, bytes a second."""

_CHOSEN = ("demand", "demand_total", "demand_from", "exit_at", "kernel", "lazy_destroy", "swap", "memory")

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


def rate_words(rate: int) -> str:
    """Write a pace, rounded to the precision with which turning points are known."""
    mib = rate / (1 << 20)
    return f"{mib / 1024:.3g} GiB/s" if mib >= 1024 else f"{mib:.3g} MiB/s"


def turning_rate(memory: int, tried: Sequence[Outcome], given: Given) -> Turning:
    """Where "no" turns into "yes" for a guest of that size, to within 2 %. `tried`: what is known already."""
    no = max((each.rate for each in tried if each.killed_ns is None), default=None)
    yes = min((each.rate for each in tried if each.killed_ns is not None), default=None)
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


def _sizes(sizes: Sequence[int | str] | None, memory: int) -> list[int]:
    if sizes is None:
        return sizes_up_to(memory)
    return sorted({memory, *(units.size(size, "sizes", multiple_of=PAGE_SIZE) for size in sizes)})


def _rates(rates: Sequence[int | str]) -> list[int]:
    if isinstance(rates, str) or not rates:
        raise ValueError(f"rates={rates!r}: use several paces, such as ('1 GiB/s', '4 GiB/s')")
    return sorted({units.rate(rate, "rates") for rate in rates})


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
    rates: Sequence[int | str] = RATES,
    sizes: Sequence[int | str] | None = None,
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
    tried = {"costs": costs, **more}
    others: dict[str, Given] = {kernel_words(BEFORE): {"kernel": BEFORE, **tried}}
    if 10 in kernel:
        others[kernel_words(kernel, False)] = {"kernel": kernel, "lazy_destroy": False, **tried}
    given = {"kernel": kernel, **tried}
    gone = shutdown(guest, **given)
    gone_before = shutdown(guest, **others[kernel_words(BEFORE)])
    again, again_before = (_reboots(guest, each, tried) for each in (kernel, BEFORE))
    found = oom_map(_sizes(sizes, guest), paces, given)
    turning = turning_rate(guest, [found[guest, pace] for pace in paces], given)
    fastest = {name: outcome(guest, paces[-1], other) for name, other in others.items()}
    swap = swapping(kernel, costs)
    values = _values(guest, gone, gone_before, again, again_before)
    values |= {"map": found, "turning_rate": turning, "others": fastest, "swap": swap}
    smallest = min((size for (size, _), each in found.items() if each.killed_ns is not None), default=None)
    values["smallest_guest"] = smallest
    claims = {
        "a reboot takes no more memory than before the series, but for donated storage": values["reboot_extra"]
        <= values["donated"] + CRST,
        "at shutdown pages are neither used nor free for a while": values["set_aside"] > 0,
        "a process that takes memory fast enough is killed for want of it": turning.yes is not None,
        "before the series, or with the parameter off, it is not": all(
            each.killed_ns is None for each in fastest.values()
        ),
        "swap helps in a reboot": swap["reboot", False].oom and not swap["reboot", True].oom,
        "swap does not help at shutdown": swap["shutdown", True].oom == swap["shutdown", False].oom
        and swap["shutdown", True].swapped == 0,
    }
    return Answer(
        question=question,
        verdict=_exhausted_verdict(values, paces[-1], kernel),
        claims=claims,
        evidence=_exhausted_table(values, gone, gone_before, kernel),
        agrees=_agrees(claims),
        agreement=_agreement(claims, turning, smallest, paces[-1]),
        assumptions=resting_on("destroy", "free", "set_aside", "memory of the host", "another process", "swapping"),
        pictures=(
            _free_over_time(gone, gone_before, again, kernel),
            _map_picture(found, kernel, others, guest),
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
        "reboot_extra": max(0, least[1] - least[0]),
        "donated": max((each.donated for each in again.configurations), default=0),
        "host": int(gone.parameters["host_memory"]),
    }


class Swapped(NamedTuple):
    """A small host, whose memory another process wants more of than is free."""

    oom: bool
    swapped: int
    oom_before: bool


SMALL = 128 << 20
"""Guest of the experiment with swap, bytes: each page that is swapped out is a step of its own."""


def swapping(kernel: Series, costs: Costs | None) -> dict[tuple[str, bool], Swapped]:
    """What swap changes, by scenario and whether there is any: a guest of 128 MiB, and half of it too little memory.

    The model's own figures apply, but for the 2 GiB that patch 8 clears at once: nothing, so that a small guest is
    cleaned up in the background like a large one.
    """
    found = {}
    for scenario in (reboot, shutdown):
        for space in (0, SMALL):
            small: dict[str, Any] = {
                "low_memory": 0,
                "segment_table": 0,
                "host_memory": SMALL + SMALL // 2,
                "swap": space,
            }
            small |= {"costs": costs, "demand": "64 GiB/s", "demand_total": SMALL}
            if scenario is reboot:
                small |= {"demand_from": "start", "new_guest": "normal", "touch": "none"}
            run, before = (scenario(SMALL, kernel=each, **small) for each in (kernel, BEFORE))
            found[scenario.__name__, bool(space)] = Swapped(run.oom, run.swapped, before.oom)
    return found


def _exhausted_verdict(values: Mapping[str, Any], fastest: int, kernel: Series) -> str:
    turning, aside = values["turning_rate"], values["set_aside"]
    extra = format_size(values["reboot_extra"] << PAGE_SHIFT)
    parts = [f"In a reboot no: it leaves at most {extra} less memory free than before the series"]
    if not aside:
        parts.append(f"at shutdown no either: {kernel_words(kernel)} sets nothing aside")
        return "; ".join(parts) + "."
    wait, until = format_duration(values["wait_ns"]), values["until_same_size_ns"]
    again = "never" if until is None else f"only {format_duration(until)} later" if until else "at once"
    parts.append(
        f"at shutdown yes, for a while: when wait() returns after {wait}, {format_size(aside << PAGE_SHIFT)} at most "
        f"are set aside, and there is memory for another guest of that size {again}"
    )
    if turning.yes is None:
        parts.append(f"but a process that takes as much at up to {format_rate(fastest)} finds what it asks for")
    else:
        spared = [name for name, each in values["others"].items() if each.killed_ns is None]
        parts.append(
            f"a process that takes as much at {rate_words(turning.yes)} or faster is killed for want of it"
            + (f", and with {' or '.join(spared)} not even at {format_rate(fastest)}" if spared else "")
        )
    return "; ".join(parts) + "."


def _exhausted_table(values: Mapping[str, Any], gone: Run, gone_before: Run, kernel: Series) -> Table:
    def time(ns: int | None) -> str:
        return "never" if ns is None else format_duration(ns)

    swap = values["swap"]
    turning = values["turning_rate"]
    return Table(
        ("", "before the series", kernel_words(kernel)),
        (
            ("wait() returns after", time(gone_before.downtime_ns), time(gone.downtime_ns)),
            ("set aside then, at most", "0 B", format_size(values["set_aside"] << PAGE_SHIFT)),
            (
                "until memory for a guest of the same size is free",
                time(values["until_same_size_before_ns"]),
                time(values["until_same_size_ns"]),
            ),
            (
                "another process runs out of memory",
                "no" if values["others"][kernel_words(BEFORE)].killed_ns is None else "yes",
                str(turning),
            ),
            (
                "smallest guest of the map that it takes",
                "-",
                "none" if values["smallest_guest"] is None else format_size(values["smallest_guest"]),
            ),
            *(
                (
                    f"a host with too little memory: {scenario}, {'with' if space else 'no'} swap",
                    "out of memory" if each.oom_before else "fits",
                    "out of memory" if each.oom else f"fits, {counted(each.swapped, 'pages')} swapped",
                )
                for (scenario, space), each in swap.items()
            ),
        ),
    )


def _agrees(claims: Mapping[str, bool]) -> Any:
    held = list(claims.values())
    return "yes" if held[0] and held[1] else "no"


def _agreement(claims: Mapping[str, bool], turning: Turning, smallest: int | None, fastest: int) -> str:
    held = list(claims.values())
    if not held[1]:
        return "Nothing is set aside here, so there is nothing to agree with."
    said = "So he said of both." if held[0] else "So he said of the shutdown, but the reboot takes more than he said."
    if turning.yes is None or smallest is None:
        return f"{said} At up to {format_rate(fastest)} nobody is killed here: the host has enough left."
    return (
        f"{said} What the thread leaves open is how fast and how large: {rate_words(turning.yes)}, and in this map "
        f"from a guest of {format_size(smallest)} on."
    )


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
        title, _to_the_end(lines), "time since the reset, or the kill", "memory", "ns", "bytes", marks=tuple(marks)
    )


def _to_the_end(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    """Let every line go on to the end of the longest one: nothing changes any more."""
    last = max((line.points[-1][0] for line in lines if line.points), default=0)
    return tuple(
        Line(line.name, (*line.points, (last, line.points[-1][1])), line.look, line.stepped) if line.points else line
        for line in lines
    )


def _map_picture(found: Mapping[tuple[int, int], Outcome], kernel: Series, others: Given, guest: int) -> Grid:
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
    rates: Sequence[int | str] = RATES,
    sizes: Sequence[int | str] | None = None,
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
    asked = [key for key, each in without.items() if each.killed_ns is not None]
    with_ = without | {key: outcome(*key, notifying) for key in one_by_one(asked)}
    killed, still = (sum(each.killed_ns is not None for each in cases.values()) for cases in (without, with_))
    waits = [each for key, each in with_.items() if without[key].killed_ns is not None and each.killed_ns is None]
    longest = max(waits, key=lambda each: each.waited_ns, default=None)
    turning = turning_cost(costs, more, kernel) if killed else None
    values = {
        "without": without,
        "with": with_,
        "killed_without": killed,
        "killed_with": still,
        "longest_wait": longest,
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
            _map_picture(without, kernel, {}, guest),
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
    small = {"host_memory": COST_GUEST + COST_GUEST // 8, "kernel": kernel.plus(OomNotifier)}
    small |= {name: value for name, value in more.items() if name not in ("host_memory", "used")}

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


def _notified_verdict(values: Mapping[str, Any], cases: int) -> str:
    killed, still, longest = values["killed_without"], values["killed_with"], values["longest_wait"]
    if not killed:
        return f"There is nothing to do for a notifier: in none of {cases} cases does a process run out of memory."
    if longest is None:
        return (
            f"No: without a notifier a process is killed for want of memory in {killed} of {cases} cases, and with the "
            f"one of version 2 in {still}."
        )
    cost = values["turning_cost"]
    words = (
        f"Yes: of the {killed} cases out of {cases} in which a process is killed for want of memory, version 2's "
        f"notifier leaves {still}; instead the process waits, {format_duration(longest.waited_ns)} in all at worst "
        f"(a guest of {format_size(longest.memory)}, {format_rate(longest.rate)})"
    )
    if cost and cost["yes"] is not None:
        words += f"; it stops helping when one destroy takes about {format_duration(cost['yes'])}"
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
            "It is not too late: pages that are set aside become free one by one, and to wait for them is enough. That "
            "is how version 2 has it."
        )
    return "As he first thought, a notifier does not help here."


def _notifier_picture(with_: Mapping[tuple[int, int], Outcome], killed: int, still: int) -> Grid:
    sizes, rates = (sorted({key[place] for key in with_}) for place in (0, 1))
    return Grid(
        title=f"With version 2's OOM notifier {still} of these {killed} are still killed",
        row_title="guest that has gone",
        column_title="pace at which another process takes as much memory",
        rows=tuple(map(format_size, sizes)),
        columns=tuple(map(format_rate, rates)),
        cells=tuple(tuple(outcome_cell(with_[size, rate]) for rate in rates) for size in sizes),
        legend=(("good", "gets all it asks for"), ("mixed", "waits for pages to be freed"), ("bad", "killed")),
    )
