"""Question 4: whether an OOM notifier helps.

Christian Borntraeger first suggested one that frees pages (225fe3ec-f2e9-6c76-97e1-b252fe3326b3@de.ibm.com), then one
that waits for 256 of them (896be0fd-5d5d-5998-8cb0-4ac8637412ac@de.ibm.com and
cb21db5f-f303-5b4b-6fab-5b28728e8ef2@de.ibm.com). Version 2 of the series has one that waits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .. import units
from ..costs import Costs
from ..page import PAGE_SIZE
from ..rounded import about, about_duration, about_size
from ..run import Run
from ..scenarios import shutdown
from ..series import OomNotifier, Series, v1
from ..series.oom_notifier import OOM_WAIT
from ..units import format_duration, format_rate, format_size
from .answer import Answer, Table, resting_on
from .common import kernel_words, number_in, prepares
from .pictures import Grid
from .progress import one_by_one
from .question import Question
from .registry import answering
from .shortage import (
    CHOSEN,
    PRECISION,
    RATES,
    Given,
    Outcome,
    map_picture,
    oom_map,
    outcome,
    outcome_cell,
    rates_of,
    sizes_of,
    turning_rate,
)


@answering(4, shutdown, CHOSEN)
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
        As for question 3. Linux 6.2 has no list that a notifier could wait for: it is run as it is.

    Raises
    ------
    ValueError
        If the kernel sets no pages aside or has the notifier already, or a value is not accepted.
    """
    guest, paces = units.size(memory, "memory", multiple_of=PAGE_SIZE), rates_of(rates)
    lists = number_in(kernel, 9) is not None
    if not (lists or prepares(kernel)):
        raise ValueError(f"kernel={kernel!r}: the notifier is for a kernel that sets pages aside; it needs patch 9")
    if any(issubclass(layer, OomNotifier) for layer in kernel.layers):
        raise ValueError(f"kernel={kernel!r}: it has the notifier already; give the kernel without it")
    given = {"kernel": kernel, "costs": costs, **more}
    notifying = {**given, "kernel": kernel.plus(OomNotifier) if lists else kernel}
    places = sizes_of(sizes, guest)
    without = oom_map(places, paces, given)
    if all(each.killed_ns is None for each in without.values()):
        # slow processes only: look whether a faster one is killed
        turning_at = turning_rate(guest, [without[guest, pace] for pace in paces], given).yes
        without |= {} if turning_at is None else oom_map(places, [2 * turning_at], given)
    asked = [key for key, each in without.items() if each.killed_ns is not None]
    with_ = without | {key: outcome(*key, notifying) for key in one_by_one(asked if lists else ())}
    killed, still = (sum(each.killed_ns is not None for each in cases.values()) for cases in (without, with_))
    waits = [each for key, each in with_.items() if without[key].killed_ns is not None and each.killed_ns is None]
    longest = max(waits, key=lambda each: each.waited_ns, default=None)
    turning = turning_cost(costs, more, kernel) if killed and lists else None
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
        "wait_ns": quiet.downtime_ns,
    }
    claims = {
        "without a notifier processes are killed": killed > 0,
        "with the notifier fewer are killed": still < killed,
        "a process that is not killed waits instead": bool(waits) and all(each.waited_ns > 0 for each in waits),
    }
    return Answer(
        question=question,
        said=_notified_verdict(values, len(without)) if lists else _without_a_list(values, len(without), kernel),
        claims=claims,
        evidence=_notified_table(values, kernel),
        agrees=_notified_agrees(killed, still),
        agreement=_notified_agreement(killed, still) if lists else "There is no list here to wait for.",
        assumptions=resting_on("destroy", "free", "memory of the host", "another process", "swapping"),
        pictures=(map_picture(without, kernel), *([_notifier_picture(with_, killed, still)] if lists else [])),
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


def _notified_verdict(values: Mapping[str, Any], cases: int) -> tuple[str, ...]:
    killed, still, longest = values["killed_without"], values["killed_with"], values["longest_wait"]
    if not killed:
        return (
            "A notifier has nothing to do here.",
            f"In none of {cases} cases does a process run out of memory.",
        )
    of = f"With version 2's notifier, a process is killed in {still or 'none'} of {cases} cases instead of {killed}."
    if longest is None:
        return f"No: {of[0].lower()}{of[1:]}", "No process waits for memory that a thread frees."
    sentences = [
        f"Yes: {of[0].lower()}{of[1:]}",
        (
            f"Instead the process waits, in steps of {about_duration(OOM_WAIT)}, each of which frees "
            f"{about(values['freed_in_a_wait'], 'pages')}."
        ),
        f"At worst it waits for {about_duration(longest.waited_ns)}.",
        f"That is with a guest of {about_size(longest.memory)} at {format_rate(longest.rate)}.",
    ]
    cost = values["turning_cost"]
    if cost and cost["yes"] is not None:
        sentences += [
            f"It stops helping when one destroy takes about {about_duration(cost['yes'])}.",
            "Then no list page is done in one wait.",
        ]
    return tuple(sentences)


def _without_a_list(values: Mapping[str, Any], cases: int, kernel: Series) -> tuple[str, ...]:
    """What to say of a kernel that sets no page aside."""
    killed, wait = values["killed_without"], values["wait_ns"]
    short = "A notifier has nothing to do: no process is killed, as no page is set aside."
    if killed:
        short = f"No: a process is killed in {killed} of {cases} cases, and no kernel thread frees pages meanwhile."
    returns = "never returns" if wait is None else f"returns after {about_duration(wait)}"
    return (
        short,
        f"With {kernel_words(kernel)}, a process runs out of memory in {killed or 'none'} of {cases} cases.",
        f"wait() {returns}.",
    )


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
            "It is not too late: pages that were set aside become free one by one, and it is enough to wait for them, "
            "as he then wrote himself. Version 2 does that; it waits for a time, not for a number of pages."
        )
    return "As he first thought, a notifier does not help here."


def _notifier_picture(with_: Mapping[tuple[int, int], Outcome], killed: int, still: int) -> Grid:
    sizes, rates = (sorted({key[place] for key in with_}) for place in (0, 1))
    return Grid(
        title=f"With the notifier, {still} of {len(with_)} processes are killed instead of {killed}",
        row_title="guest that has gone",
        column_title="pace at which another process takes as much memory",
        rows=tuple(map(format_size, sizes)),
        columns=tuple(map(format_rate, rates)),
        cells=tuple(tuple(outcome_cell(with_[size, rate]) for rate in rates) for size in sizes),
        legend=(("good", "gets all it asks for"), ("mixed", "waits for pages to be freed"), ("bad", "killed")),
    )
