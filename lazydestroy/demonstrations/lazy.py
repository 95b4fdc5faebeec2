"""The patches that are about time: 8 and 9 move work into the background, 10 turns that off."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..costs import Costs
from ..machine import Machine
from ..page import PAGE_SIZE, Holder
from ..rounded import about, about_duration, about_size, counted
from ..run import Run
from ..scenarios import reboot, shutdown
from ..series import Series
from ..series.fixes import ReturnWhenOff
from ..units import exact_size, flag, format_count, format_size, plain, size
from ..uvcb import UVC
from .comparison import Compared, demonstrates, event, low_memory, uncleaned
from .result import Demonstration, Measure, Points

HALVINGS = 6
"""One size of memory stands for itself and so many halves of it."""


@demonstrates(8, reboot, ("new_guest",))
def reboot_time(
    compared: Compared, *, memory: int | str | Iterable[int | str] = "64 GiB", touch: str = "none", **more: Any
) -> Demonstration:
    """Patch 8, lazy destroy for reboot: how long until the new guest runs, over the size of memory.

    Without the patch it grows with memory. With it, it is flat from 2 GiB up: as long as the destroying of the first
    2 GiB takes, which is still done first. Guests up to 2 GiB gain nothing but the end of the configuration, which is
    left to the thread, too. Source: 20210517200758.22593-9-imbrenda@linux.ibm.com, ``kvm_s390_clear_2g``.

    Parameters
    ----------
    compared : Compared
    memory : int, str or several of them
        Sizes of the guest's memory in bytes; a single one stands for itself and six halves of it.
    touch, **more
        As for `lazydestroy.reboot`. The new guest is a normal one.
    """
    lengths = sizes_of(memory)
    pairs = {
        length: compared.reboot(memory=exact_size(length), new_guest="normal", touch=touch, **more)
        for length in lengths
    }
    before, after = pairs[lengths[-1]]
    measures = (
        Measure("until the new guest runs", "ns", before.downtime_ns, after.downtime_ns),
        Measure(
            "pages destroyed before that", "pages", *(run.foreground[UVC.DESTR_SEC_STOR] for run in (before, after))
        ),
        Measure("until the old guest is gone", "ns", before.cleanup_ns, after.cleanup_ns),
        Measure("destroys in all", "calls", *(run.uvcs[UVC.DESTR_SEC_STOR] for run in (before, after))),
        Measure("of these without effect", "calls", *(run.noop_uvcs[UVC.DESTR_SEC_STOR] for run in (before, after))),
    )
    shows = less(measures[0]) and less(measures[1])
    lines: dict[str, Points] = {
        name: [(length, ns) for length, pair in pairs.items() if (ns := pair[which].downtime_ns) is not None]
        for which, name in enumerate(("without patch 8", "with patch 8"))
    }
    return compared.found(
        runs=(before, after),
        measures=measures,
        finding=_of_reboot_time(lengths[-1], measures, after, lines["with patch 8"]),
        shows=shows,
        kind="scaling",
        note="The thread walks the first part again, and finds nothing left to destroy there.",
        series=lines,
        x_label="memory of the guest",
        y_label="until the new guest runs",
        x_unit="bytes",
        y_unit="ns",
    )


def sizes_of(memory: int | str | Iterable[int | str]) -> list[int]:
    """The sizes of memory to measure, in bytes, the largest last.

    Raises
    ------
    ValueError
        If one is no size of memory, or there is none.
    """
    memory = plain(memory, "memory")
    if isinstance(memory, str) or not isinstance(memory, Iterable):
        pages = size(memory, "memory", multiple_of=PAGE_SIZE) // PAGE_SIZE
        return sorted({max(1, pages >> halving) * PAGE_SIZE for halving in range(HALVINGS + 1)})
    lengths = sorted({size(each, "memory", multiple_of=PAGE_SIZE) for each in memory})
    if not lengths:
        raise ValueError(f"memory={memory!r}: name at least one size")
    return lengths


def _of_reboot_time(length: int, measures: tuple[Measure, ...], after: Run, with_it: Points) -> tuple[str, ...]:
    before_it, then = (soon(ns) for ns in measures[0][2:])
    if not after.pages:
        return "Patch 8 leaves nothing to a thread here.", "The old guest had made no page secure."
    if not less(measures[1]):
        return (
            "Patch 8 leaves no page to the thread here.",
            (
                f"All that the guest of {format_size(length)} had made secure, {counted(after.pages, 'pages')}, lies "
                f"within the first {format_size(low_memory(after))}, which is destroyed before the new guest runs."
            ),
            f"The new guest runs after {then} with the patch, and after {before_it} without.",
        )
    if not less(measures[0]):
        fewer = (measures[1].without or 0) - (measures[1].with_ or 0)
        return (
            "With patch 8, the new guest runs no sooner at these costs.",
            f"It runs after {then} with the patch, and after {before_it} without.",
            f"Before that, {about(fewer, 'pages')} fewer are destroyed.",
        )
    level = [x for x, y in with_it if y == with_it[-1][1]]
    flat = f"A guest of {format_size(level[0])} takes just as long."
    return (
        f"With patch 8, a {about_size(length)} guest is back in {then}, not {before_it}.",
        *([flat] if len(level) > 1 else []),
    )


def soon(ns: int | bool | None) -> str:
    """Write a time in short."""
    return "never" if ns is None else about_duration(ns)


def less(measure: Measure) -> bool:
    """Whether there is less of it with the patch."""
    return measure.with_ is not None and (measure.without is None or measure.with_ < measure.without)


@demonstrates(9, shutdown)
def shutdown_time(compared: Compared, *, memory: int | str = "64 GiB", **more: Any) -> Demonstration:
    """Patch 9, extend lazy destroy to handle shutdown: how long until ``wait()`` on the process returns.

    Without the patch every page is exported first. With it, of every 510 pages one is exported and 509 are set aside,
    to be destroyed by a thread: 509 frame numbers fit into a list page, and the page at hand is exported to make room
    for a list page. If none can be allocated, every page is exported, as before; a small machine, on which every such
    allocation fails, measures that. Source: 20210517200758.22593-10-imbrenda@linux.ibm.com, ``uv_destroy_page_lazy``.

    Parameters
    ----------
    compared : Compared
    memory, **more
        As for `lazydestroy.shutdown`.
    """
    before, after = compared.shutdown(memory=memory, **more)
    short = [_exports_without_list_pages(kernel, more.get("costs")) for kernel in (compared.without, compared.with_)]
    exported = Measure("pages exported before that", "pages", *(run.foreground[_EXPORT] for run in (before, after)))
    measures = (
        Measure("until wait() returns", "ns", before.downtime_ns, after.downtime_ns),
        exported,
        Measure("pages left to a thread", "pages", *(run.background[UVC.DESTR_SEC_STOR] for run in (before, after))),
        Measure("until the old guest is gone", "ns", before.cleanup_ns, after.cleanup_ns),
        Measure(f"exported of {_SMALL_GUEST} pages, if no list page can be had", "pages", *short),
    )
    return compared.found(
        runs=(before, after),
        measures=measures,
        finding=_of_shutdown_time(measures, after),
        shows=less(measures[0]) and less(exported),
        kind="memory",
        note="What is set aside belongs to no process, cannot be swapped, and is free only when the thread is done "
        "with it.",
    )


_EXPORT = UVC.CONV_FROM_SEC_STOR
_SMALL_GUEST = 64


def _exports_without_list_pages(kernel: Series, costs: Costs | None) -> int:
    """How many pages of a small guest are exported at its end, if no list page can be had."""
    machine = Machine(_SMALL_GUEST * PAGE_SIZE, kernel=kernel, costs=costs)
    machine.boot()
    machine.protect()
    for page in range(_SMALL_GUEST):
        machine.touch(page)
    machine.fail_allocation("list page", times=_SMALL_GUEST)
    machine.exit()
    machine.run()
    return sum(calls for (command, _), calls in machine.engine.calls().items() if command == _EXPORT)


def _of_shutdown_time(measures: tuple[Measure, ...], after: Run) -> tuple[str, ...]:
    time, exported = measures[:2]
    before_it, then = (soon(ns) for ns in time[2:])
    returns = f"wait() returns after {then} with the patch, and after {before_it} without."
    if not after.pages:
        return "Patch 9 makes no difference here.", "The old guest had made no page secure: nothing is exported."
    if not less(exported):
        return "Patch 9 sets nothing aside here.", f"It exports {exported.text[1]}, as many as without it.", returns
    room = after.parameters["list_page_capacity"] + 1
    share = (
        f"one in {format_count(room)}"
        if exported.with_ == -(-after.pages // room)
        else f"more than one in {format_count(room)}"
    )
    fewer = f"The kernel exports {exported.text[1]} instead of {format_count(exported.without or 0)}, {share}, first."
    if not less(time):
        return "With patch 9, wait() returns no sooner at these costs.", fewer, returns
    return f"With patch 9, wait() returns after {then}, not {before_it}.", fewer, "It sets the others aside."


@demonstrates(10, reboot, ("new_guest", "lazy_destroy"))
def turned_off(
    compared: Compared, *, memory: int | str = "4 GiB", touch: str = "none", fixed: bool = False, **more: Any
) -> Demonstration:
    """Patch 10, module parameter to fence lazy destroy: a reboot with ``lazy_destroy=0``.

    A kernel without the patch is always lazy. With the parameter 0 all is done before the new guest runs. But version 1
    forgot a ``return``: after the VM has been torn down, the lazy path tears it down again. It destroys the first 2 GiB
    once more, replaces and leaks the top-level table, starts a thread whose DESTROY_SEC_CONF fails, and
    answers rc 1, rrc 42, as if the rest were done in the background. The kernel warns at each reboot that a call has no
    handle, and at the first one that a VM could not be destroyed. Source:
    20210517200758.22593-11-imbrenda@linux.ibm.com, ``kvm_s390_pv_deinit_vm_deferred``; fixed in version 2.

    Parameters
    ----------
    compared : Compared
    memory, touch, **more
        As for `lazydestroy.reboot`. The new guest is a normal one.
    fixed : bool
        With the ``return`` that version 1 forgot.
    """
    fixed = flag(fixed, "fixed")
    kernel = compared.with_.plus(ReturnWhenOff) if fixed else compared.with_
    given = {"memory": memory, "new_guest": "normal", "touch": touch, **more}
    before = reboot(kernel=compared.without, **given)
    after = reboot(kernel=kernel, lazy_destroy=False, **given)
    runs = (before, after)
    measures = (
        Measure("clean-up after the new guest has started", "ns", *map(after_the_start, runs)),
        Measure("old pages that are not clean then", "pages", *map(uncleaned, runs)),
        Measure("until the new guest runs", "ns", before.downtime_ns, after.downtime_ns),
        Measure("destroys without effect", "calls", *(run.noop_uvcs[UVC.DESTR_SEC_STOR] for run in runs)),
        Measure("pages leaked", "pages", *map(leaked, runs)),
        Measure("warnings", "", *(sum(each.kind == "warning" for each in run.events) for run in runs)),
        Measure(
            "answer: the rest is done in the background", "yes/no", *(bool(event(run, "userspace")) for run in runs)
        ),
    )
    return compared.found(
        with_=kernel,
        runs=runs,
        measures=measures,
        finding=_of_turned_off(measures),
        shows=_is_off(measures[0]),
        kind="timeline",
    )


def after_the_start(run: Run) -> int | None:
    """How long the clean-up goes on after the end of the downtime."""
    if run.cleanup_ns is None or run.downtime_ns is None:
        return None
    return max(0, run.cleanup_ns - run.downtime_ns)


def leaked(run: Run) -> int:
    """How many pages of the host nobody will use again."""
    return sum(pages for record, pages in run.final.items() if record.holder == Holder.LEAKED)


def _is_off(clean_up: Measure) -> bool:
    return clean_up.with_ == 0 and clean_up.without != 0


def _of_turned_off(measures: tuple[Measure, ...]) -> tuple[str, ...]:
    clean_up, _, time, useless, leak, warnings, answer = measures
    if not _is_off(clean_up):
        return (
            "lazy_destroy=0 makes no difference at these costs.",
            f"The clean-up goes on for {clean_up.text[1]} after the new guest has started.",
            f"Without the patch, that is {clean_up.text[0]}.",
        )
    before_it, then = (soon(ns) for ns in time[2:])
    found = (
        "With lazy_destroy=0, the old guest is gone before the new one starts.",
        f"The new guest starts after {then} instead of {before_it}.",
    )
    if not (useless.with_ or leak.with_ or warnings.with_ or answer.with_):
        return *found, "Then nothing is left to a thread."
    warned = counted(warnings.with_ or 0, "warnings")
    return (
        *found,
        "But a missing return tears the VM down twice.",
        f"That means {useless.text[1]} without effect, {leak.text[1]} leaked, and {warned}.",
        f"Userspace {'hears' if answer.with_ else 'does not hear'} that the rest is done in the background.",
    )
