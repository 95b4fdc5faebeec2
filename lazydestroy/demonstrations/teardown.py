"""The patches that show on the kernel before lazy destroy: 1, 2 and 5."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any, NamedTuple

from ..costs import Costs
from ..kernel.gmap import CRST_PAGES
from ..machine import Machine
from ..page import PAGE_SIZE, Holder
from ..rounded import about, about_duration, about_size, counted
from ..scenarios import reboot
from ..series import Series
from ..units import format_count, share, shown, size, whole_number
from ..uvcb import UVC
from .comparison import Compared, demonstrates
from .result import Demonstration, Measure

BAD = 0x111
"""What the Ultravisor answers to a DESTROY_SEC_CONF that fails; which code it is does not matter."""


class _Poisoned(NamedTuple):
    """What became of the VMs after one whose configuration could not be destroyed."""

    machine: Machine
    refused: int
    got_the_table: int
    leaked: int


@demonstrates(1, merged=4)
def poisoned_table(
    compared: Compared, *, memory: int | str = "1 GiB", vms: int = 3, costs: Costs | None = None
) -> Demonstration:
    """Patch 1, leak the ASCE page: VMs after one whose DESTROY_SEC_CONF failed for good.

    The Ultravisor's mark stays on that one's top-level table. Without the patch the table goes back to the allocator,
    and a later VM that is given it is refused. With it the table's 4 pages are leaked, beside base and variable
    storage, which were leaked before, too. Source: 20210517200758.22593-2-imbrenda@linux.ibm.com,
    ``kvm_s390_pv_replace_asce``.

    Parameters
    ----------
    compared : Compared
    memory : int or str
        Size of each VM's memory in bytes.
    vms : int
        How many VMs follow, one after the other.
    costs : Costs

    Raises
    ------
    ValueError
        If a value is not accepted.
    """
    vms, memory = whole_number(vms, "vms", 1, 1000), size(memory, "memory", multiple_of=PAGE_SIZE)
    if costs is not None and not isinstance(costs, Costs):
        raise ValueError(f"costs={shown(costs)}: use ld.Costs(...), such as ld.Costs(destroy='1.5 us')")
    before, after = (_poison(kernel, memory, vms, costs) for kernel in (compared.without, compared.with_))
    measures = (
        Measure(f"later VMs refused, of {vms}", "", before.refused, after.refused),
        Measure("of them, VMs that were given the marked table", "", before.got_the_table, after.got_the_table),
        Measure("pages leaked", "pages", before.leaked, after.leaked),
    )
    shows, later = before.refused > 0 == after.refused, "VM" if vms == 1 else "VMs"
    if shows:
        finding: tuple[str, ...] = (
            f"Without patch {compared.number}, the Ultravisor refuses {before.refused} of {vms} later {later}.",
            f"Of these VMs, {before.got_the_table} were given the marked table.",
            f"With the patch, {after.got_the_table} are, and no VM is refused.",
            f"Instead of {format_count(before.leaked)} pages, {format_count(after.leaked)} are leaked.",
        )
    else:
        finding = compared.no_difference(
            f"Later VMs that are refused: {before.refused} without the patch, {after.refused} with it."
        )
    return compared.found(
        runs=(before.machine, after.machine),
        measures=measures,
        finding=finding,
        shows=shows,
        note=f"The table takes {CRST_PAGES} pages; base and variable storage are leaked with the patch and without.",
    )


def _poison(kernel: Series, memory: int | str, vms: int, costs: Costs | None) -> _Poisoned:
    """One VM whose configuration cannot be destroyed, then others, each in a process of its own."""
    machine = Machine(memory, kernel=kernel, costs=costs, small_storage=False)
    machine.boot()
    machine.protect()
    table = machine.kvm.gmap.table
    machine.uv.fail(UVC.DESTROY_SEC_CONF, BAD, handle=machine.kvm.pv.handle, times=None)
    _end(machine)
    refused = given = 0
    for _ in range(vms):
        machine.start_process()
        machine.boot()
        given += machine.kvm.gmap.table == table
        refused += not _protected(machine)
        _end(machine)
    leaked = sum(pages for record, pages in machine.memory.records().items() if record.holder == Holder.LEAKED)
    return _Poisoned(machine, refused, given, leaked)


def _protected(machine: Machine) -> bool:
    """Let the guest go protected, if it can."""
    try:
        machine.protect()
    except RuntimeError:
        return False
    return True


def _end(machine: Machine) -> None:
    """The process is killed, and is gone when all is done."""
    machine.kill()
    machine.run()


@demonstrates(2, reboot, ("new_guest",), merged=3)
def stale_flags(compared: Compared, *, memory: int | str = "4 GiB", io: float = 1.0, **more: Any) -> Demonstration:
    """Patch 2, properly handle page flags: I/O on the pages of a normal guest that follows a protected one.

    All old pages have been destroyed before it runs. Without the patch their flag ``PG_arch_1`` is still set, so that
    the first I/O on each pays two useless calls: an attempt to pin it, which is refused, and an export of a page that
    is not secure. Source: 20210517200758.22593-3-imbrenda@linux.ibm.com, ``uv_destroy_owned_page``.

    Parameters
    ----------
    compared : Compared
    memory, io, **more
        As for `lazydestroy.reboot`. The new guest is a normal one.
    """
    runs = before, _ = compared.reboot(memory=memory, io=io, new_guest="normal", **more)
    calls = [run.by_actor.get(_IO, Counter()) for run in runs]
    measures = (
        Measure("calls for I/O", "calls", *(sum(each.values()) for each in calls)),
        Measure("attempts to pin, refused", "calls", *(each[UVC.PIN_PAGE_SHARED] for each in calls)),
        Measure("exports without effect", "calls", *(each[UVC.CONV_FROM_SEC_STOR] for each in calls)),
        Measure("until the I/O is done", "ns", *(run.finished_ns.get(_IO) for run in runs)),
    )
    useless = measures[0]
    shows = (useless.without or 0) > 0 == useless.with_
    if shows:
        saved = about((useless.without or 0) - (useless.with_ or 0), "calls")
        finding: tuple[str, ...] = (
            f"Patch {compared.number} saves {saved} on the new guest's first I/O.",
            (
                f"A stale flag costs two of them: an attempt to pin the page ({measures[1].text[0]}), and an export "
                f"({measures[2].text[0]})."
            ),
            f"With the patch, the I/O makes {useless.text[1]}.",
        )
    else:
        finding = (
            f"Patch {compared.number} makes no difference here: I/O met no stale flag.",
            f"The old guest had used {counted(before.pages, 'pages')}.",
            f"Without the patch the I/O makes {useless.text[0]}.",
        )
    return compared.found(runs=runs, measures=measures, finding=finding, shows=shows)


_IO = "I/O"


@demonstrates(5, reboot, ("new_guest", "touch", "used", "bystander"), merged=7)
def lock_hold(
    compared: Compared,
    *,
    memory: int | str = "4 GiB",
    bystanders: int = 16,
    hole: float = 0.5,
    seed: int = 0,
    **more: Any,
) -> Demonstration:
    """Patch 5, refactor s390_reset_acc: how long ``mmap_lock`` is held, and how long a thread that maps memory waits.

    Without the patch the lock is held while all is destroyed. With it, while 32 present entries are collected, and
    whatever lies between them: a second guest, of which a part was never touched, shows that over a hole the hold is as
    long as the walk. ``kvm->lock`` is another lock, which is held all along in both kernels. Source:
    20210517200758.22593-6-imbrenda@linux.ibm.com, ``s390_gather_pages``.

    Parameters
    ----------
    compared : Compared
    memory : int or str
        Size of the guest's memory in bytes. The first guest has used all of it.
    bystanders : int
        How often a thread maps memory, at random moments before the new guest runs.
    hole : float
        Share of its memory that the second guest has never touched, the highest.
    seed : int
        Where the random moments come from.
    **more
        As for `lazydestroy.reboot`.
    """
    bystanders = whole_number(bystanders, "bystanders", 1, 16)
    given = {"memory": memory, "new_guest": "normal", "touch": "none", "seed": seed, **more}
    runs = before, after = compared.reboot(**given)
    draw = random.Random(seed)
    moments = sorted(draw.randrange((before.downtime_ns or 0) + 1) for _ in range(bystanders))
    waits = [max(run.bystander_waits_ns) for run in compared.reboot(bystander=moments, **given)]
    with_hole = compared.reboot(used=float(1 - share(hole, "hole")), **given)
    measures = (
        Measure("longest hold of mmap_lock", "ns", before.longest_hold_ns, after.longest_hold_ns),
        Measure(f"longest wait of {bystanders} threads that map memory", "ns", *waits),
        Measure("longest hold, with a hole", "ns", *(run.longest_hold_ns for run in with_hole)),
        Measure("until the new guest runs", "ns", before.downtime_ns, after.downtime_ns),
    )
    untouched = size(memory, "memory") - with_hole[1].pages * PAGE_SIZE
    return compared.found(
        runs=runs,
        measures=measures,
        finding=_of_lock_hold(compared.number, measures, before.pages, untouched),
        shows=(after.longest_hold_ns < before.longest_hold_ns),
        note="kvm->lock is another lock: it is held until the end of the configuration, with the patch and without.",
    )


def _of_lock_hold(number: int, measures: tuple[Measure, ...], pages: int, hole: int) -> tuple[str, ...]:
    hold, wait, over_hole, _ = measures
    if (hold.with_ or 0) >= (hold.without or 0):
        return (
            f"Patch {number} makes no difference at these costs.",
            f"To destroy {counted(pages, 'pages')}, mmap_lock is held for at most {hold.text[0]} without the patch.",
            f"With it, for {hold.text[1]}.",
        )
    short, long_ = about_duration(hold.with_ or 0), about_duration(hold.without or 0)
    waits = [f"up to {about_duration(ns)}" if ns else "not at all" for ns in (wait.with_, wait.without)]
    still = f"Over a hole of {about_size(hole)} it is held for {about_duration(over_hole.with_ or 0)}."
    return (
        f"With patch {number}, mmap_lock is held for {short} instead of {long_}.",
        f"Threads that map memory wait {waits[0]} instead of {waits[1]}.",
        *([still] if hole else []),
    )
