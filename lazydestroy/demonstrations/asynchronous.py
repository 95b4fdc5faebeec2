"""The commands of Linux 6.2: 14, and what says that they are there, speeds them up and turns them off (15, 17, 18)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..actors import ASYNC_CLEANUP, is_a
from ..kernel.kvm import KVM_CAP_S390_PROTECTED_ASYNC_DISABLE
from ..machine import Machine
from ..page import PAGE_SIZE
from ..rounded import about, about_size, counted
from ..run import Run
from ..scenarios import reboot
from ..series import Series
from ..units import exact_size, format_size, size
from ..uvcb import UVC
from .comparison import Compared, demonstrates, low_memory, uncleaned
from .ending import HOW_FAST
from .lazy import after_the_start, leaked, less, sizes_of, soon
from .result import Demonstration, Measure, Points

THREADED = "QEMU's thread cleans up"


@demonstrates(None, reboot, ("new_guest",), merged=14)
def reboot_with_a_thread(
    compared: Compared, *, memory: int | str | Iterable[int | str] = "64 GiB", touch: str = "none", **more: Any
) -> Demonstration:
    """Commit fb491d5500a7, asynchronous destroy for reboot: how long until the new guest runs, over the size of memory.

    QEMU has the kernel set the configuration aside, and starts a thread that cleans up. What is left to do before the
    new guest runs are the first 2 GiB. Up to 2 GiB QEMU does not try, nor would it gain anything. QEMU asks for the
    capability, so the commit that brings it (15) is in the kernel, too.

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
    runs = before, after = pairs[lengths[-1]]
    measures = (
        Measure("until the new guest runs", "ns", before.downtime_ns, after.downtime_ns),
        Measure("destroys before that", "calls", *(run.foreground[UVC.DESTR_SEC_STOR] for run in runs)),
        Measure("destroys by QEMU's thread", "calls", *(by_thread(run) for run in runs)),
        Measure("until the old guest is gone", "ns", before.cleanup_ns, after.cleanup_ns),
    )
    time, first, thread, _ = measures
    number, largest = compared.number, lengths[-1]
    before_it, then = soon(time.without), soon(time.with_)
    if not after.pages:
        finding: tuple[str, ...] = (
            f"Patch {number} leaves nothing to a thread here.",
            "The old guest had made no page secure.",
        )
    elif not thread.with_:
        finding = compared.no_difference(f"QEMU resets a guest of {format_size(largest)} at once.")
    elif less(time):
        finding = (
            f"With patch {number}, a {about_size(largest)} guest is back in {then}, not {before_it}.",
            f"A thread of QEMU makes {about(thread.with_ or 0, 'destroys')} meanwhile.",
        )
    else:
        finding = (
            f"With patch {number}, the new guest runs no sooner here.",
            f"It runs after {time.text[1]} with the patch, and after {time.text[0]} without.",
            f"The first {format_size(low_memory(after))} are still destroyed page by page, before it runs.",
        )
    lines: dict[str, Points] = {
        f"{word} patch {number}": [(x, ns) for x, pair in pairs.items() if (ns := pair[which].downtime_ns) is not None]
        for which, word in enumerate(("without", "with"))
    }
    return compared.found(
        runs=runs,
        measures=measures,
        finding=finding,
        shows=less(time) and bool(thread.with_) and (first.with_ or 0) < (first.without or 0),
        kind="scaling",
        note=f"The thread finds the first part clean. {HOW_FAST}",
        series=lines,
        x_label="memory of the guest",
        y_label="until the new guest runs",
        x_unit="bytes",
        y_unit="ns",
    )


def by_thread(run: Run) -> int:
    """Destroys by QEMU's threads that clean up."""
    return sum(made[UVC.DESTR_SEC_STOR] for actor, made in run.by_actor.items() if is_a(actor, ASYNC_CLEANUP))


@demonstrates(None, reboot, ("new_guest",), merged=15)
def capability(compared: Compared, *, memory: int | str = "16 GiB", touch: str = "none", **more: Any) -> Demonstration:
    """Commit 8c516b25d6e9, the capability: a QEMU that asks before it uses the commands.

    Without the commit the commands are there, but the kernel does not say so, and QEMU resets the guest at once.

    Parameters
    ----------
    compared : Compared
    memory, touch, **more
        As for `lazydestroy.reboot`. The new guest is a normal one.
    """
    runs = before, after = compared.reboot(memory=memory, touch=touch, new_guest="normal", **more)
    measures = (
        Measure("the kernel says that it has the commands", "yes/no", _says(compared.without), _says(compared.with_)),
        Measure(THREADED, "yes/no", *(by_thread(run) > 0 for run in runs)),
        Measure("until the new guest runs", "ns", before.downtime_ns, after.downtime_ns),
    )
    _, threaded, time = measures
    shows = bool(threaded.with_) and not threaded.without
    if shows:
        finding: tuple[str, ...] = (
            f"Without patch {compared.number}, QEMU doesn't use the commands.",
            f"The new guest runs after {soon(time.without)}. With the patch, after {soon(time.with_)}.",
        )
    else:
        finding = compared.no_difference(f"QEMU does not set a guest of {format_size(size(memory, 'memory'))} aside.")
    return compared.found(runs=runs, measures=measures, finding=finding, shows=shows, kind="timeline")


def _says(kernel: Series) -> bool:
    asked = Machine(PAGE_SIZE, kernel=kernel).kernel.kvm_vm_ioctl_check_extension
    return bool(asked(KVM_CAP_S390_PROTECTED_ASYNC_DISABLE))


@demonstrates(None, reboot, ("new_guest",), merged=17)
def fast(
    compared: Compared,
    *,
    memory: int | str = "16 GiB",
    touch: str = "none",
    ultravisor: str = "as of 2022",
    **more: Any,
) -> Demonstration:
    """Commit f7866f582b1c, support for Destroy fast UVC: when the old configuration ends.

    An Ultravisor as of 2022 can end a configuration before its memory is clean. It gives the donated storage back at
    once; without the commit the host has to wait for the thread.

    Parameters
    ----------
    compared : Compared
    memory, touch, ultravisor, **more
        As for `lazydestroy.reboot`. The new guest is a normal one.
    """
    runs = before, after = compared.reboot(
        memory=memory, touch=touch, ultravisor=ultravisor, new_guest="normal", **more
    )
    measures = (
        Measure("until the old configuration ends", "ns", *map(_configuration_ends, runs)),
        Measure("donated to it when the new guest starts", "bytes", *map(_still_donated, runs)),
        Measure("until the new guest runs", "ns", before.downtime_ns, after.downtime_ns),
        Measure("until the old guest's pages are clean", "ns", before.cleanup_ns, after.cleanup_ns),
    )
    ends, donated, _, clean = measures
    before_it, then = soon(ends.without), soon(ends.with_)
    shows = less(donated)
    if shows:
        finding: tuple[str, ...] = (
            f"With patch {compared.number}, the old configuration ends after {then}, not {before_it}.",
            f"The {donated.text[0]} donated to it are the host's again before the new guest runs.",
            f"Its pages are clean after {soon(clean.with_)}.",
        )
    else:
        why = "This Ultravisor does not have the call" if donated.without else "The configuration ends at once"
        finding = compared.no_difference(f"{why}, with the patch and without.")
    return compared.found(runs=runs, measures=measures, finding=finding, shows=shows)


def _configuration_ends(run: Run) -> int | None:
    """When the Ultravisor no longer has the old guest's configuration."""
    return run.configurations[0].destroyed_ns


def _still_donated(run: Run) -> int:
    """Bytes donated to the old configuration at the end of the downtime."""
    old = run.configurations[0]
    gone = old.destroyed_ns is not None and run.downtime_ns is not None and old.destroyed_ns <= run.downtime_ns
    return 0 if gone else old.donated * PAGE_SIZE


@demonstrates(None, reboot, ("new_guest",), merged=18)
def fenced(compared: Compared, *, memory: int | str = "16 GiB", touch: str = "none", **more: Any) -> Demonstration:
    """Commit cc726886079f, module parameter to fence asynchronous destroy: a reboot with ``async_destroy=0``.

    A kernel without the commit always lets userspace use the commands. With the parameter 0 it does not, QEMU resets
    the guest at once, and no old page is left when the new guest starts.

    Parameters
    ----------
    compared : Compared
    memory, touch, **more
        As for `lazydestroy.reboot`. The new guest is a normal one.
    """
    given = {"memory": memory, "touch": touch, "new_guest": "normal", **more}
    before = reboot(kernel=compared.without, **given)
    after = reboot(kernel=compared.with_, async_destroy=False, **given)
    runs = (before, after)
    measures = (
        Measure("clean-up after the new guest has started", "ns", *map(after_the_start, runs)),
        Measure("old pages that are not clean then", "pages", *map(uncleaned, runs)),
        Measure(THREADED, "yes/no", *(by_thread(run) > 0 for run in runs)),
        Measure("until the new guest runs", "ns", before.downtime_ns, after.downtime_ns),
        Measure("pages leaked", "pages", *map(leaked, runs)),
    )
    clean_up, left, threaded, time, _ = measures
    shows = bool(threaded.without) and not threaded.with_ and clean_up.with_ == 0
    if shows:
        finding: tuple[str, ...] = (
            "With async_destroy=0, the old guest is gone before the new one starts.",
            f"The new guest starts after {soon(time.with_)} instead of {soon(time.without)}.",
            f"Without the patch, {counted(left.without or 0, 'old pages')} are not clean then.",
        )
    else:
        finding = compared.no_difference("QEMU sets no guest aside that is so small.")
    return compared.found(runs=runs, measures=measures, finding=finding, shows=shows, kind="timeline")
