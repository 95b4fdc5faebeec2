"""What Linux 5.16 and 6.0 changed in how pages become secure and how a VM ends: 1, 2, 10, 11, 12 and 13."""

from __future__ import annotations

from typing import Any

from ..costs import Costs
from ..machine import Machine
from ..page import Holder
from ..rounded import about_duration, counted
from ..scenarios import reboot, shutdown
from ..series import Series
from ..series.merged.m01_sida import FreeSidaAgain
from ..units import whole_number
from ..uvcb import UVC, UVC_CC_BUSY
from .by_hand import REFUSED, booted, done, ended, held, protected, told
from .comparison import Compared, demonstrates
from .lazy import less, soon
from .result import Demonstration, Measure

HOW_FAST = (
    "How fast DESTROY_SEC_CONF cleans pages is not published. The model lets each take 0.3 of a destroy (assumed)."
)


@demonstrates(None, merged=1)
def double_free(
    compared: Compared, *, memory: int | str = "1 MiB", vcpus: int = 2, costs: Costs | None = None
) -> Demonstration:
    """Commit d4074324b07a, avoid double free of sida page: KVM_PV_DISABLE, a second time.

    DESTROY_SEC_CONF fails, so userspace asks again. The CPUs have ended the first time. Without the commit, the second
    time frees each one's SIDA page again; by then the page may be somebody else's. The model's kernel before has no
    SIDA pages: the kernel without the commit is that one with `FreeSidaAgain`. The commit has a price: what was
    allocated for a CPU that could not be created is leaked.

    Parameters
    ----------
    compared : Compared
    memory : int or str
        Size of the guest's memory in bytes.
    vcpus : int
    costs : Costs
    """
    vcpus = whole_number(vcpus, "vcpus", 1, 248)
    kernels = compared.without.plus(FreeSidaAgain), compared.with_
    before, after = machines = tuple(_disabled_twice(kernel, memory, vcpus, costs) for kernel in kernels)
    refused = [_cpu_refused(kernel, memory, vcpus, costs) for kernel in kernels]
    measures = (
        Measure(
            "SIDA pages freed a second time",
            "pages",
            *(told(machine, "use after free", "SIDA") for machine in machines),
        ),
        Measure("pages leaked if a CPU cannot be created", "pages", *refused),
    )
    again, price = measures
    shows = (again.without or 0) > 0 == again.with_
    if shows:
        finding: tuple[str, ...] = (
            f"Without patch {compared.number}, a second KVM_PV_DISABLE frees {again.text[0]} again.",
            f"The price of the patch: if a CPU cannot be created, it leaks {price.text[1]} instead of {price.text[0]}.",
        )
    else:
        finding = compared.no_difference(f"Freed again without it: {again.text[0]}.")
    return compared.found(without=kernels[0], runs=(before, after), measures=measures, finding=finding, shows=shows)


def _disabled_twice(kernel: Series, memory: int | str, vcpus: int, costs: Costs | None) -> Machine:
    machine = protected(kernel, memory, costs, vcpus=vcpus)
    machine.uv.fail(UVC.DESTROY_SEC_CONF, REFUSED, times=None)
    for _ in range(2):
        done(machine, machine.resetting())
    return machine


def _cpu_refused(kernel: Series, memory: int | str, vcpus: int, costs: Costs | None) -> int:
    """Pages leaked after a CPU was refused, and all has ended."""
    machine = booted(kernel, memory, costs, vcpus=vcpus)
    machine.uv.fail(UVC.CREATE_SEC_CPU, REFUSED)
    done(machine, machine.protecting(0, 1))
    ended(machine)
    return held(machine, Holder.LEAKED)


@demonstrates(None, merged=2)
def stalls(
    compared: Compared, *, memory: int | str = "1 MiB", busy: int = 100, costs: Costs | None = None
) -> Demonstration:
    """Commit f0a1a0615a6f, avoid stalls when making pages secure: the Ultravisor is busy when a page is imported.

    Without the commit the kernel calls again and again while it holds the lock of the page-table entry. With it, it
    calls once and lets go; the guest's access brings it back.

    Parameters
    ----------
    compared : Compared
    memory : int or str
        Size of the guest's memory in bytes.
    busy : int
        How often the Ultravisor answers that it is busy, before it imports the page.
    costs : Costs
    """
    busy = whole_number(busy, "busy", 1, 1000)
    found = [_locked(kernel, memory, busy, costs) for kernel in (compared.without, compared.with_)]
    (before, most_before, ns_before, all_before), (after, most_after, ns_after, all_after) = found
    measures = (
        Measure("calls in a row with the entry locked", "calls", most_before, most_after),
        Measure("longest time in such calls", "ns", ns_before, ns_after),
        Measure("calls in all", "calls", all_before, all_after),
    )
    shows = most_after < most_before
    finding = (
        f"Patch {compared.number} cuts {counted(most_before, 'calls')} under one lock to {most_after}.",
        f"The Ultravisor was busy {counted(busy, 'times')}. Each call is made with the page's entry locked.",
        f"With the patch, the kernel lets go after {about_duration(ns_after)} instead of {about_duration(ns_before)}.",
    )
    return compared.found(runs=(before, after), measures=measures, finding=finding, shows=shows)


def _locked(kernel: Series, memory: int | str, busy: int, costs: Costs | None) -> tuple[Machine, int, int, int]:
    """A page is imported: the machine, calls and nanoseconds with the entry locked at most, and calls in all."""
    machine = booted(kernel, memory, costs, tabled=False)
    machine.protect()
    machine.uv.fail(UVC.CONV_TO_SEC_STOR, REFUSED, times=busy, cc=UVC_CC_BUSY)
    observer, make_secure_pte = machine.uv.observer, machine.kernel.make_secure_pte
    inside: list[int] = []
    stretches: list[list[int]] = []

    def observed(command: Any, outcome: str, ns: int) -> None:
        inside.append(ns)
        if observer is not None:
            observer(command, outcome, ns)

    def locked(*arguments: Any) -> int:
        inside.clear()
        rc = make_secure_pte(*arguments)
        stretches.append([*inside])
        return rc

    machine.uv.observer = observed
    setattr(machine.kernel, "make_secure_pte", locked)  # noqa: B010
    machine.touch(machine.guest_pages - 1)
    return machine, max(map(len, stretches)), max(map(sum, stretches)), sum(map(len, stretches))


@demonstrates(None, merged=10)
def forgotten_leftover(
    compared: Compared, *, memory: int | str = "1 GiB", vcpus: int = 2, costs: Costs | None = None
) -> Demonstration:
    """Commit e40df9efd68a, clear the state without memset: a leftover is there when the next guest is reset.

    PREPARE, and the thread with PERFORM is killed: what it had taken is a leftover. Then the next guest runs protected
    and is reset by KVM_PV_DISABLE, and the process exits. Without the commit, the end of the next guest's configuration
    clears the whole structure, and the list of leftovers with it.

    Parameters
    ----------
    compared : Compared
    memory : int or str
        Size of the guest's memory in bytes.
    vcpus : int
    costs : Costs
    """
    vcpus = whole_number(vcpus, "vcpus", 1, 248)
    before, after = (_leftover(kernel, memory, vcpus, costs) for kernel in (compared.without, compared.with_))
    left = [sum(each.donated for each in _lives(machine)) for machine in (before, after)]
    measures = (
        Measure("configurations that never end", "", len(_lives(before)), len(_lives(after))),
        Measure("pages that stay donated to them", "pages", *left),
        Measure("the address space is freed at the end", "yes/no", before.mm.freed, after.mm.freed),
    )
    shows = bool(measures[0].without) and not measures[0].with_
    if shows:
        finding: tuple[str, ...] = (
            f"Without patch {compared.number}, the kernel forgets {counted(len(_lives(before)), 'leftovers')}.",
            f"Even after the process has gone, {measures[1].text[0]} stay donated.",
        )
    else:
        finding = compared.no_difference("All configurations end, with the patch and without.")
    return compared.found(runs=(before, after), measures=measures, finding=finding, shows=shows)


def _leftover(kernel: Series, memory: int | str, vcpus: int, costs: Costs | None) -> Machine:
    machine = protected(kernel, memory, costs, vcpus=vcpus)
    done(machine, machine.qemu.preparing())
    machine.kill_thread(machine.perform())
    machine.run()
    machine.protect()
    done(machine, machine.resetting())
    ended(machine)
    return machine


def _lives(machine: Machine) -> list[Any]:
    """The guests' configurations that the Ultravisor still has."""
    return [life for handle, life in machine.lives.items() if handle in machine.uv.configurations]


@demonstrates(None, shutdown, merged=11)
def cpus_first(compared: Compared, *, memory: int | str = "4 GiB", **more: Any) -> Demonstration:
    """Commit ca2fd0609b5d, add mmu_notifier: the process of a protected guest is killed.

    Its memory goes before its files, and a VM is an open file: the CPUs still live when the pages go. Then the
    Ultravisor refuses to destroy a page, and the kernel exports it, as before. The notifier ends the CPUs first.

    Parameters
    ----------
    compared : Compared
    memory, **more
        As for `lazydestroy.shutdown`.
    """
    runs = before, after = compared.shutdown(memory=memory, **more)
    measures = (
        Measure("destroys that are refused", "calls", *(run.failed_uvcs[UVC.DESTR_SEC_STOR] for run in runs)),
        Measure("pages exported", "pages", *(run.uvcs[UVC.CONV_FROM_SEC_STOR] for run in runs)),
        Measure("until wait() returns", "ns", before.downtime_ns, after.downtime_ns),
    )
    refused = measures[0]
    before_it, then = soon(before.downtime_ns), soon(after.downtime_ns)
    shows = (refused.without or 0) > 0 == refused.with_
    if shows:
        finding: tuple[str, ...] = (
            f"With patch {compared.number}, wait() returns after {then}, not {before_it}.",
            f"Without it the CPUs are still there: {counted(refused.without or 0, 'destroys')} are refused.",
            "Each of these pages is exported instead.",
        )
    else:
        finding = compared.no_difference("The old guest had made no page secure.")
    return compared.found(runs=runs, measures=measures, finding=finding, shows=shows)


@demonstrates(None, shutdown, merged=12)
def destroyed_at_exit(compared: Compared, *, memory: int | str = "4 GiB", **more: Any) -> Demonstration:
    """Commit 9bf811dae443, when tearing down, try to destroy protected pages: the process is killed.

    Without the commit the kernel exports each page when the address space goes: the Ultravisor encrypts what nobody
    will read. With it the page is destroyed.

    Parameters
    ----------
    compared : Compared
    memory, **more
        As for `lazydestroy.shutdown`.
    """
    runs = before, after = compared.shutdown(memory=memory, **more)
    measures = (
        Measure("pages exported", "pages", *(run.uvcs[UVC.CONV_FROM_SEC_STOR] for run in runs)),
        Measure("pages destroyed", "pages", *(run.uvcs[UVC.DESTR_SEC_STOR] for run in runs)),
        Measure("until wait() returns", "ns", before.downtime_ns, after.downtime_ns),
    )
    exported, destroyed, time = measures
    before_it, then = soon(before.downtime_ns), soon(after.downtime_ns)
    shows = (exported.with_ or 0) < (exported.without or 0)
    if not shows:
        finding: tuple[str, ...] = compared.no_difference(f"Without it, {exported.text[0]} exported.")
    elif less(time):
        finding = (
            f"With patch {compared.number}, wait() returns after {then}, not {before_it}.",
            f"The kernel destroys {destroyed.text[1]} instead of exporting them.",
        )
    else:
        finding = (
            f"With patch {compared.number}, wait() returns no sooner at these costs.",
            f"The kernel destroys {destroyed.text[1]} instead of exporting them.",
            f"wait() returns after {time.text[1]} with the patch, and after {time.text[0]} without.",
        )
    return compared.found(runs=runs, measures=measures, finding=finding, shows=shows)


@demonstrates(None, reboot, ("new_guest",), merged=13)
def configuration_first(
    compared: Compared, *, memory: int | str = "4 GiB", touch: str = "none", **more: Any
) -> Demonstration:
    """Commit 7746f735f552, destroy the configuration before its memory: a guest is reset by KVM_PV_DISABLE.

    DESTROY_SEC_CONF cleans whatever pages the configuration still has. After it the walk's calls have no effect; they
    are there for the kernel's own notes. The model charges the call nothing for the pages (assumed), so it flatters the
    commit.

    Parameters
    ----------
    compared : Compared
    memory, touch, **more
        As for `lazydestroy.reboot`. The new guest is a normal one.
    """
    runs = before, after = compared.reboot(memory=memory, touch=touch, new_guest="normal", **more)
    effective = [run.uvcs[UVC.DESTR_SEC_STOR] - run.noop_uvcs[UVC.DESTR_SEC_STOR] for run in runs]
    measures = (
        Measure("pages destroyed one by one", "pages", *effective),
        Measure("destroys without effect", "calls", *(run.noop_uvcs[UVC.DESTR_SEC_STOR] for run in runs)),
        Measure("until the new guest runs", "ns", before.downtime_ns, after.downtime_ns),
    )
    one_by_one, _, time = measures
    before_it, then = soon(before.downtime_ns), soon(after.downtime_ns)
    shows = effective[1] < effective[0]
    if not shows:
        finding: tuple[str, ...] = compared.no_difference(f"Destroyed one by one without it: {one_by_one.text[0]}.")
    elif less(time):
        finding = (
            f"With patch {compared.number}, the new guest runs after {then}, not {before_it}.",
            f"DESTROY_SEC_CONF cleans {one_by_one.text[0]} in one call.",
        )
    else:
        finding = (
            f"With patch {compared.number}, the new guest runs no sooner at these costs.",
            f"DESTROY_SEC_CONF cleans {one_by_one.text[0]} in one call.",
            f"The new guest runs after {time.text[1]} with the patch, and after {time.text[0]} without.",
        )
    return compared.found(
        runs=runs,
        measures=measures,
        finding=finding,
        shows=shows,
        note=HOW_FAST,
    )
