"""What was fixed since Linux 6.2: 19 to 24. Each compares the latest kernel without the commit and with it."""

from __future__ import annotations

from typing import Any

from ..actors import VCPU, is_a
from ..costs import Costs
from ..kernel.structs import Flow
from ..machine import Machine
from ..page import Holder
from ..rounded import counted
from ..run import Run
from ..scenarios import reboot
from ..series import Series
from ..units import format_size, whole_number
from ..uvcb import UVC
from .by_hand import booted, calls, done, ended, held, protected, told
from .comparison import Compared, by_vcpus, demonstrates, uncleaned, why_not
from .comparison import ended as end_of
from .lazy import soon
from .result import Demonstration, Measure

AP_QUEUES_BOUND = 0x104


@demonstrates(None, merged=19)
def small_vms(compared: Compared, *, memory: int | str = "1 GiB", costs: Costs | None = None) -> Demonstration:
    """Commit 292a7d6fca33, fix asynchronous teardown for small VMs: a guest of up to 2 GiB is set aside.

    Its top-level table is a segment table, and the host-to-guest map points into it. Without the commit the kernel
    replaces the table; at the end it writes through the old pointers into memory that is free. With it PREPARE is
    refused, and userspace calls KVM_PV_DISABLE. Today's QEMU does not even ask; here it does.

    Parameters
    ----------
    compared : Compared
    memory : int or str
        Size of the guest's memory in bytes.
    costs : Costs
    """
    found = [_set_aside(kernel, memory, costs) for kernel in (compared.without, compared.with_)]
    (before, answer_before), (after, answer_after) = found
    measures = (
        Measure("the end writes into a freed table", "yes/no", *map(_writes_into_freed_table, (before, after))),
        Measure("the kernel sets the guest aside", "yes/no", not answer_before, not answer_after),
    )
    writes = measures[0]
    shows = bool(writes.without) and not writes.with_
    if shows:
        finding: tuple[str, ...] = (
            f"Without patch {compared.number}, a small guest's end writes into freed memory.",
            f"The guest has {format_size(before.guest_len)}. With the patch the kernel does not set it aside.",
        )
    else:
        finding = compared.no_difference(f"A guest of {format_size(before.guest_len)} has more levels of tables.")
    return compared.found(runs=(before, after), measures=measures, finding=finding, shows=shows)


def _writes_into_freed_table(machine: Machine) -> bool:
    return told(machine, "use after free", "gmap_unlink") > 0


def _set_aside(kernel: Series, memory: int | str, costs: Costs | None) -> tuple[Machine, int]:
    """PREPARE and PERFORM, or DISABLE if it is refused; then the end. The machine, and what PREPARE answered."""
    machine = protected(kernel, memory, costs)
    answer = done(machine, machine.qemu.preparing())
    if answer.r:
        done(machine, machine.resetting())
    else:
        machine.perform()
        machine.run()
    ended(machine)
    return machine, answer.r


@demonstrates(None, merged=20)
def needless_calls(
    compared: Compared, *, memory: int | str = "1 MiB", unmapped: int = 8, costs: Costs | None = None
) -> Demonstration:
    """Commit 5ff92181577a, simplify shutdown and fix race: a VM that was never protected is closed.

    Just then the host swaps some of its pages out. Without the commit the count is above 0 for a moment, so the kernel
    takes the pages for a protected guest's, and makes calls. A host without an Ultravisor does not have these calls:
    there the kernel crashes. The model's host has one.

    Parameters
    ----------
    compared : Compared
    memory : int or str
        Size of the guest's memory in bytes.
    unmapped : int
        How many pages are swapped out in that moment.
    costs : Costs
    """
    pages = whole_number(unmapped, "unmapped", 0, 1000)
    before, after = (_closed(kernel, memory, pages, costs) for kernel in (compared.without, compared.with_))
    measures = (
        Measure("calls for pages that are swapped out", "calls", _exports(before), _exports(after)),
        Measure("pages swapped out", "pages", len(before.mm.swap), len(after.mm.swap)),
    )
    made, swapped = measures
    shows = (made.without or 0) > 0 == made.with_
    if shows:
        finding: tuple[str, ...] = (
            f"Without patch {compared.number}, a normal VM's end costs {made.text[0]}.",
            f"Meanwhile the host swaps {swapped.text[0]} out, and takes them for a protected guest's.",
            "On a host without an Ultravisor, such a call is a crash.",
        )
    else:
        finding = compared.no_difference(f"Swapped out in that moment: {swapped.text[0]}.")
    return compared.found(runs=(before, after), measures=measures, finding=finding, shows=shows)


def _exports(machine: Machine) -> int:
    return calls(machine, UVC.CONV_FROM_SEC_STOR)


def _closed(kernel: Series, memory: int | str, pages: int, costs: Costs | None) -> Machine:
    """Close a VM whose guest is a normal one, and swap pages out while the count is above 0, or at the end."""
    machine = booted(kernel, memory, costs)
    pages = min(pages, machine.guest_pages)
    for page in range(pages):
        machine.touch(page)

    def swapping() -> Flow:
        for page in range(pages):
            machine.swap_out(page)
        return
        yield

    closing = machine.engine.spawn(machine.qemu.closing(), "QEMU", machine.now)
    while closing.alive and not machine.mm.context.is_protected:
        machine.engine.step(closing)
    machine.engine.step(machine.engine.spawn(swapping(), "swap", machine.now))
    machine.run()
    return machine


@demonstrates(None, merged=21)
def no_warning(
    compared: Compared, *, memory: int | str = "4 GiB", rc: int = AP_QUEUES_BOUND, costs: Costs | None = None
) -> Demonstration:
    """Commit b1e428615f15, relax WARN_ONCE condition for destroy fast: the fast call is refused.

    The Ultravisor answers 0x104 if crypto queues are bound to the guest. Nothing is wrong, and the ordinary call
    works; without the commit the kernel warns all the same. The model has no such queues: the answer is injected.

    Parameters
    ----------
    compared : Compared
    memory : int or str
        Size of the guest's memory in bytes.
    rc : int
        What DESTROY_SEC_CONF_FAST answers. The kernel with the commit still warns of others.
    costs : Costs
    """
    before, after = machines = [
        _fast_refused(kernel, memory, rc, costs) for kernel in (compared.without, compared.with_)
    ]
    measures = (
        Measure("warnings", "", *(told(machine, "warning", "fast") for machine in machines)),
        Measure("the configuration ends all the same", "yes/no", *(not each.uv.configurations for each in machines)),
    )
    warnings, _ = measures
    shows = (warnings.without or 0) > 0 == warnings.with_
    if shows:
        finding: tuple[str, ...] = (
            f"Without patch {compared.number}, the kernel warns where nothing is wrong.",
            f"The fast call is refused with rc {rc:#x}; then the ordinary call ends the configuration.",
        )
    else:
        finding = compared.no_difference(f"The kernel warns of rc {rc:#x} with the patch and without.")
    return compared.found(runs=(before, after), measures=measures, finding=finding, shows=shows)


def _fast_refused(kernel: Series, memory: int | str, rc: int, costs: Costs | None) -> Machine:
    machine = protected(kernel, memory, costs, ultravisor="as of 2022")
    machine.uv.fail(UVC.DESTROY_SEC_CONF_FAST, rc)
    done(machine, machine.qemu.unprotecting())
    return machine


@demonstrates(None, reboot, ("new_guest",), merged=22)
def one_call(compared: Compared, *, memory: int | str = "4 GiB", touch: str = "reverse", **more: Any) -> Demonstration:
    """Commit 05066cafa925, handle guest-related program interrupts in KVM: a normal guest touches old pages.

    Without the commit each costs two calls, an attempt to pin the page and an export. With it one, a destroy.

    Parameters
    ----------
    compared : Compared
    memory, touch, **more
        As for `lazydestroy.reboot`. The new guest is a normal one.
    """
    runs = _, after = compared.reboot(memory=memory, touch=touch, new_guest="normal", **more)
    made = [by_vcpus(run) for run in runs]
    measures = (
        Measure("calls for old pages that the guest touches", "calls", *(sum(each.values()) for each in made)),
        Measure("exports, each after an attempt to pin", "calls", *(each[UVC.CONV_FROM_SEC_STOR] for each in made)),
        Measure("destroys", "calls", *(each[UVC.DESTR_SEC_STOR] for each in made)),
        Measure("until the new guest has used its memory", "ns", *map(_used_after, runs)),
    )
    total, exports, destroys, used = measures
    shows = (exports.without or 0) > 0 == exports.with_
    if shows:
        finding: tuple[str, ...] = (
            f"With patch {compared.number}, an old page costs a normal guest one call.",
            f"Its touches cost {destroys.text[1]} instead of {total.text[0]}.",
            f"It has used its memory after {soon(used.with_)} instead of {soon(used.without)}.",
        )
    elif not after.booted:
        finding = (f"The new guest doesn't come up with patch {compared.number}.", f"What ended it: {end_of(after)}.")
    else:
        why = why_not(after, f"it met none of the {counted(uncleaned(after), 'old pages')} that were not clean")
        finding = compared.no_difference(f"{why[:1].upper()}{why[1:]}.")
    return compared.found(runs=runs, measures=measures, finding=finding, shows=shows)


def _used_after(run: Run) -> int | None:
    """When the last vCPU had done all that it was to do."""
    ends = [ns for actor, ns in run.finished_ns.items() if is_a(actor, VCPU)]
    return max(ends, default=None) if run.booted else None


@demonstrates(None, merged=23)
def table_kept(compared: Compared, *, memory: int | str = "4 GiB", costs: Costs | None = None) -> Demonstration:
    """Commit ef0c8ef8485d, stop using lists to keep track of used dat tables: PREPARE finds no memory for a table.

    Without the commit the old table is on no list by then, and lost when the VM goes. With it there is
    no list. Userspace calls KVM_PV_DISABLE in both cases, and exits.

    Parameters
    ----------
    compared : Compared
    memory : int or str
        Size of the guest's memory in bytes. Guests of up to 2 GiB are refused before it comes to a table.
    costs : Costs
    """
    before, after = (_no_table(kernel, memory, costs) for kernel in (compared.without, compared.with_))
    measures = (
        Measure("pages leaked", "pages", *(held(machine, Holder.LEAKED) for machine in (before, after))),
        Measure("configurations left", "", *(len(machine.uv.configurations) for machine in (before, after))),
    )
    lost = measures[0]
    shows = (lost.without or 0) > (lost.with_ or 0)
    if shows:
        finding: tuple[str, ...] = (
            f"Without patch {compared.number}, a failed PREPARE loses {lost.text[0]}.",
            "PREPARE gets no memory for a new table, and by then the old one is on no list.",
            f"With the patch, {lost.text[1]} are lost.",
        )
    else:
        finding = compared.no_difference(f"A guest of {format_size(before.guest_len)} needs no other table.")
    return compared.found(runs=(before, after), measures=measures, finding=finding, shows=shows)


def _no_table(kernel: Series, memory: int | str, costs: Costs | None) -> Machine:
    machine = protected(kernel, memory, costs)
    machine.fail_allocation("top-level table")
    done(machine, machine.qemu.preparing())
    done(machine, machine.resetting())
    ended(machine)
    return machine


@demonstrates(None, merged=24)
def registered_first(compared: Compared, *, memory: int | str = "1 GiB", costs: Costs | None = None) -> Demonstration:
    """Commit 185d903064f8, fix incorrect usage of mmu_notifier_register(): a signal comes while the kernel registers.

    Without the commit the kernel does not look, and the VM runs without a notifier. At its end the CPUs are still
    there when the pages go, and the kernel drops a reference to the address space that it never took. With it,
    KVM_PV_ENABLE answers -EINTR, and QEMU asks again.

    Parameters
    ----------
    compared : Compared
    memory : int or str
        Size of the guest's memory in bytes.
    costs : Costs
    """
    before, after = machines = [_interrupted(kernel, memory, costs) for kernel in (compared.without, compared.with_)]
    refused = [calls(machine, UVC.DESTR_SEC_STOR, "refused") for machine in machines]
    measures = (
        Measure("uses of a freed address space", "", *(told(machine, "use after free") for machine in machines)),
        Measure("destroys that are refused at the end", "calls", *refused),
        Measure("pages exported at the end", "pages", *map(_exports, machines)),
    )
    uses, refusals, _ = measures
    shows = (uses.without or 0) > 0 == uses.with_
    if shows:
        finding: tuple[str, ...] = (
            f"Without patch {compared.number}, a signal makes the kernel use freed memory.",
            f"The VM runs without a notifier. At its end, {counted(refusals.without or 0, 'destroys')} are refused.",
        )
    else:
        finding = compared.no_difference("No freed address space is used without it.")
    return compared.found(runs=(before, after), measures=measures, finding=finding, shows=shows)


def _interrupted(kernel: Series, memory: int | str, costs: Costs | None) -> Machine:
    """Protect a guest while a signal comes, then kill the process."""
    machine = protected(kernel, memory, costs, failing="notifier")
    ended(machine)
    return machine
