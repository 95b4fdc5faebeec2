"""Question 11: the module parameter is changed at run time, at each moment of a VM's life."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from ..actors import QEMU_EXITS
from ..machine import Machine
from ..page import HELD, PAGE_SIZE, Holder, Record, State
from ..rounded import counted
from ..series import Series, v1, v1_fixed
from ..series.fixes import ReturnWhenOff
from .answer import Answer, Table, resting_on
from .common import kernel_words, listed, prepares
from .pictures import Cell, Grid
from .question import Question
from .registry import answering

PAGES = 8
"""Pages of the guest. The VM's life does not depend on how many there are."""

MOMENTS = (
    "before it goes protected",
    "while it runs, protected",
    "reset, the thread has not begun",
    "while the thread walks",
    "all pages clean, configuration not destroyed",
    "after the clean-up",
    "while the next guest runs, not protected",
    "while the next guest runs, protected",
    "the process is gone, no thread has begun",
    "while a thread empties the list",
)
"""The moments of a life, in order: a guest, its reset, the next guest, the end of the process."""

OFF, ON = "turned off", "turned on"

BAD = ("warning", "leak", "use after free", "bug", "endless fault", "signal", "refused", "addressing exception", "oom")

_STRANDED = "pages set aside forever"


class Change(NamedTuple):
    """A change of the parameter: in which life, when, from which value."""

    hurried: bool
    moment: int
    before: bool


Trouble = Mapping[str, int]
"""What was wrong in the end, and how often."""


@answering(11)
def writable(question: Question, *, kernel: Series = v1) -> Answer:
    """Change the parameter at each moment of a VM's life, in both directions, and look what is left in the end.

    A life counts as harmed by the change if something is wrong that is not wrong, or not as often, with either value of
    the parameter all along.

    Parameters
    ----------
    question : Question
    kernel : Series
        Version 1 is tried as it is, with the ``return`` that patch 10 forgot, and with all its bugs fixed. Linux 6.2
        has a parameter of its own, ``async_destroy``, and is tried as it is.

    Raises
    ------
    ValueError
        If the kernel has no parameter.
    """
    if not kernel.parameters:
        raise ValueError(f"kernel={kernel!r}: there is no parameter before patch 10")
    kernels = _kernels(kernel)
    found = {name: harm(each) for name, each in kernels.items()}
    harmed = {name: [change for change, trouble in changes.items() if trouble] for name, changes in found.items()}
    off = {name: [change for change in changes if change.before] for name, changes in harmed.items()}
    on = {name: [change for change in changes if not change.before] for name, changes in harmed.items()}
    returned = WITH_RETURN if WITH_RETURN in kernels else next(iter(kernels))
    claims = {
        "with the return in place, to turn it off at run time can do harm": bool(off[returned]),
        "to turn it on never does harm": not any(on.values()),
        "with all bugs fixed it does no harm at any moment": not harmed[list(kernels)[-1]],
    }
    values = {"found": found, "harmed": harmed, "tried": len(MOMENTS) * 2, "stranded": stranded(found[returned])}
    return Answer(
        question=question,
        said=_verdict(values, off, on, kernels, returned),
        claims=claims,
        evidence=_table(found),
        agrees="not answered",
        agreement=(
            "No one answered in the thread. The parameter of the feature that was merged later, async_destroy, is "
            "read-only, too (arch/s390/kvm/kvm-s390.c)."
        ),
        assumptions=resting_on("users of an address space"),
        pictures=(_picture(found, harmed),),
        values=values,
        parameters={},
    )


WITH_RETURN = "with the return"
FIXED = "all bugs fixed"


def _kernels(kernel: Series) -> dict[str, Series]:
    kernels = {kernel_words(kernel): kernel}
    if prepares(kernel):
        return kernels
    if ReturnWhenOff not in kernel.layers:
        kernels[WITH_RETURN] = kernel.plus(ReturnWhenOff)
    return {**kernels, FIXED: v1_fixed}


def harm(kernel: Series) -> dict[Change, Trouble]:
    """What each change of the parameter does that neither of its values does all along."""
    found: dict[Change, Trouble] = {}
    for hurried in (False, True):
        constant = [troubles(kernel, lazy, hurried, None) for lazy in (True, False)]
        for before in (True, False):
            for moment in range(len(MOMENTS)):
                now = troubles(kernel, before, hurried, moment)
                worst = {name: max(each.get(name, 0) for each in constant) for name in now}
                found[Change(hurried, moment, before)] = {
                    name: times - worst[name] for name, times in now.items() if times > worst[name]
                }
    return found


def troubles(kernel: Series, lazy: bool, hurried: bool, change_at: int | None) -> Trouble:
    """Let a VM live, change the parameter at a moment or never, and count what is wrong in the end."""
    (name,) = kernel.parameters
    value: dict[str, Any] = {name: lazy}
    machine = Machine(
        PAGES * PAGE_SIZE,
        kernel=kernel,
        **value,
        low_memory=PAGE_SIZE,
        segment_table=0,
        destroy_loop_threshold=2,
    )
    for moment, _ in enumerate(life(machine, hurried)):
        if moment == change_at:
            machine.memory.context_changed()
            setattr(machine.kernel, name, not lazy)
    return left_wrong(machine)


def life(machine: Machine, hurried: bool) -> Iterator[None]:
    """The life of a VM; stops at each of `MOMENTS`. Hurried: the next guest goes protected while the thread works.

    It is shorter if QEMU exits because it got an error.
    """
    machine.boot()
    yield
    machine.protect()
    for page in range(PAGES):
        machine.touch(page)
    machine.share(PAGES - 1)
    yield
    machine.reboot()
    yield
    _step(machine, PAGES // 2)
    yield
    if hurried:
        _until(machine, lambda record: record.refs > 1)
        yield
        yield
    else:
        _until(machine, lambda record: record.owner in machine.old and record.state in HELD)
        yield
        machine.run()
        yield
    if not machine.alive:
        machine.run()
        return
    machine.boot()
    machine.touch(2)
    yield
    machine.protect()
    for page in range(PAGES):
        machine.touch(page)
    yield
    machine.exit()
    yield
    _step(machine, PAGES // 2)
    yield
    machine.run()


def _step(machine: Machine, steps: int) -> None:
    for _ in range(steps):
        machine.step()


def _until(machine: Machine, busy: Callable[[Record], bool]) -> None:
    """Let the thread work as long as there is such a page: one that is in a batch, say."""
    while machine.tasks and any(map(busy, machine.memory.records())):
        machine.step()


def left_wrong(machine: Machine) -> dict[str, int]:
    """What is wrong with a machine on which nobody does anything any more."""
    found: Counter[str] = Counter()
    for event in machine.events:
        if event.kind in BAD:
            found[event.kind] += 1
        if event.kind == "userspace" and event.text.endswith(QEMU_EXITS):
            found[QEMU_EXITS] += 1
    for record, pages in machine.memory.records().items():
        if record.holder == Holder.SET_ASIDE:
            found[_STRANDED] += pages
        if record.holder == Holder.LEAKED:
            found["pages leaked"] += pages
        if record.holder == Holder.FREE and record.state != State.NON_SECURE:
            found["free pages that are still secure"] += pages
    left = len(machine.old & machine.uv.configurations.keys())
    if left:
        found["configurations never destroyed"] = left
    return dict(found)


def stranded(changes: Mapping[Change, Trouble]) -> int:
    """Pages set aside forever by the worst change."""
    return max((trouble.get(_STRANDED, 0) for trouble in changes.values()), default=0)


def _moments(changes: list[Change]) -> str:
    names = dict.fromkeys(MOMENTS[change.moment] for change in changes)
    return listed(f"“{name}”" for name in names)


def _verdict(
    values: Mapping[str, Any],
    off: Mapping[str, list[Change]],
    on: Mapping[str, list[Change]],
    kernels: Mapping[str, Series],
    returned: str,
) -> tuple[str, ...]:
    tried = values["tried"]
    if off[returned]:
        where = f"with the return in place that version 1 forgot ({_moments(off[returned])})"
        if prepares(kernels[returned]):
            where = f"with {returned} ({_moments(off[returned])})"
        sentences = [
            f"Not as the patch stands: turning it off does harm in {len(off[returned])} of {counted(tried, 'tries')}.",
            f"That is {where}.",
        ]
        if values["stranded"]:
            sentences.append(f"Of {PAGES} pages, {values['stranded']} are then set aside forever.")
        kinds = {name for change in off[returned] for name in values["found"][returned][change]} - {_STRANDED}
        sentences += [f"The harm: {kind}." for kind in sorted(kinds)]
    else:
        sentences = [f"As far as tried it could be: turning it off does no harm in any of {counted(tried, 'tries')}."]
    own = next(iter(kernels))
    if own != returned:
        does = f"does harm in {len(off[own])}" if off[own] else "does no more harm than its own bugs"
        sentences.append(f"{own} itself, without the return, {does}.")
        if not off[own]:
            sentences.append("Its second tear-down empties the list.")
    if any(on.values()):
        sentences.append(f"Turning it on does harm in up to {max(map(len, on.values()))} of {counted(tried, 'tries')}.")
    else:
        sentences.append("Turning it on never does harm.")
    if FIXED not in kernels:
        return (*sentences, f"Its {_name(kernels[own])} can't be changed at run time, so it doesn't come to that.")
    fixed = len(values["harmed"][FIXED])
    changes = f"{fixed} of {2 * tried} changes do" if fixed else "no change does"
    return *sentences, f"With all bugs of version 1 fixed, {changes} harm."


def _name(kernel: Series) -> str:
    (name,) = kernel.parameters
    return name


def _said(trouble: Trouble) -> str:
    return ", ".join(f"{what}: {times}" for what, times in trouble.items()) or "-"


def _table(found: Mapping[str, Mapping[Change, Trouble]]) -> Table:
    rows = []
    for moment, name in enumerate(MOMENTS):
        cells = []
        for changes in found.values():
            for before in (True, False):
                both = [changes[Change(hurried, moment, before)] for hurried in (False, True)]
                cells.append(_said(max(both, key=lambda trouble: sum(trouble.values()))))
        rows.append((name, *cells))
    columns = [f"{name}, {direction}" for name in found for direction in (OFF, ON)]
    return Table(("changed", *columns), tuple(rows))


def _picture(found: Mapping[str, Mapping[Change, Trouble]], harmed: Mapping[str, list[Change]]) -> Grid:
    cells = []
    for moment in range(len(MOMENTS)):
        row = []
        for changes in found.values():
            for before in (True, False):
                both = [changes[Change(hurried, moment, before)] for hurried in (False, True)]
                worst = max(both, key=lambda trouble: sum(trouble.values()))
                row.append(Cell(_said(worst), "bad") if worst else Cell("safe", "good"))
        cells.append(tuple(row))
    number = sum(map(len, harmed.values()))
    return Grid(
        title=f"{number} of {sum(map(len, found.values()))} changes do harm" if number else "No change does harm",
        row_title="when it is changed",
        column_title="kernel, and change of the parameter",
        rows=MOMENTS,
        columns=tuple(f"{name}, {direction}" for name in found for direction in (OFF, ON)),
        cells=tuple(cells),
        legend=(("good", "as without the change"), ("bad", "something is wrong in the end")),
    )
