"""The patches about pages that have two owners one after the other: 3, 4, 6, 7 and 11.

A new guest that touches memory upwards runs behind the cleaner; where that hides what a patch does, the guest comes
from the top.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from ..actors import CLEAN_UP, QEMU_EXITS, VCPU, is_a, numbered
from ..page import PAGE_SIZE
from ..rounded import about, about_count, about_duration, counted
from ..run import Event, Run
from ..scenarios import reboot
from ..series import v1
from ..units import exact_size, format_count, format_size, size
from ..uvcb import UVC
from .comparison import Compared, by_vcpus, demonstrates, ended, event, low_memory, uncleaned, why_not
from .result import Demonstration, Measure


@demonstrates(3, reboot, ("new_guest",), merged=5)
def violations(
    compared: Compared, *, memory: int | str = "4 GiB", touch: str = "reverse", **more: Any
) -> Demonstration:
    """Patch 3, handle secure storage violations: a protected guest touches pages that are still the old one's.

    Without the patch its first touch of one (0x3F) kills the process. With it the page is destroyed and the guest goes
    on. Source: 20210517200758.22593-4-imbrenda@linux.ibm.com, ``do_secure_storage_violation``.

    Parameters
    ----------
    compared : Compared
    memory, touch, **more
        As for `lazydestroy.reboot`. The new guest is a protected one.
    """
    runs = before, after = compared.reboot(memory=memory, touch=touch, new_guest="protected", **more)
    killed = event(before, "signal", "0x3F")
    measures = (
        Measure("the new guest comes up", "yes/no", before.booted, after.booted),
        Measure("process killed at 0x3F", "yes/no", killed is not None, event(after, "signal", "0x3F") is not None),
        Measure("old pages that are not clean when it starts", "pages", *map(uncleaned, runs)),
        Measure("destroys because it touched them", "calls", *(by_vcpus(run)[UVC.DESTR_SEC_STOR] for run in runs)),
    )
    shows = killed is not None and after.booted
    if killed is not None and shows:
        finding: tuple[str, ...] = (
            f"Without patch {compared.number}, touching an old page kills the new guest.",
            f"Its process gets a signal at the first 0x3F, {about_duration(killed.time_ns)} after the reset.",
            f"With the patch the guest comes up, and its touches destroy {about(measures[3].with_ or 0, 'pages')}.",
        )
    else:
        finding = _nothing_met(compared.number, before, after)
    return compared.found(runs=runs, measures=measures, finding=finding, shows=shows, kind="fates")


@demonstrates(4, reboot, merged=6)
def exceptions(
    compared: Compared, *, memory: int | str = "4 GiB", touch: str = "reverse", new_guest: str = "normal", **more: Any
) -> Demonstration:
    """Patch 4, handle secure storage exceptions: a normal guest touches pages that are still the old one's.

    Without the patch its first touch of one (0x3D) gives it an addressing exception. With it the page is exported. What
    runs first is the boot loader; the model's one stays within the guest's first 64 MiB, which are clean before it
    starts. So here a normal guest touches all of its memory; or let a protected one's loader run with
    ``low_memory="0 B"``. Source: 20210517200758.22593-5-imbrenda@linux.ibm.com, ``do_secure_storage_access``.

    Parameters
    ----------
    compared : Compared
    memory, touch, new_guest, **more
        As for `lazydestroy.reboot`.
    """
    runs = before, after = compared.reboot(memory=memory, touch=touch, new_guest=new_guest, **more)
    stopped = event(before, "addressing exception")
    measures = (
        Measure("the new guest comes up", "yes/no", before.booted, after.booted),
        Measure(
            "addressing exception at 0x3D",
            "yes/no",
            stopped is not None,
            event(after, "addressing exception") is not None,
        ),
        Measure("old pages that are not clean when it starts", "pages", *map(uncleaned, runs)),
        Measure("exports because it touched them", "calls", *map(_exports_at_0x3d, runs)),
    )
    shows = stopped is not None and after.booted
    if stopped is not None and shows:
        finding: tuple[str, ...] = (
            f"Without patch {compared.number}, the unprotected guest stops at its first old page.",
            f"It gets an addressing exception at the first 0x3D, {about_duration(stopped.time_ns)} after the reset.",
            f"With the patch the guest comes up, and its touches export {about(measures[3].with_ or 0, 'pages')}.",
        )
    else:
        finding = _nothing_met(compared.number, before, after)
    low = format_size(low_memory(after))
    return compared.found(
        runs=runs,
        measures=measures,
        finding=finding,
        shows=shows,
        kind="fates",
        note=f"A boot loader that stays within the guest's first {low} meets no old page." if low_memory(after) else "",
    )


def _exports_at_0x3d(run: Run) -> int:
    """How often ``arch_make_page_accessible`` exported a page for a guest: always after an attempt to pin it."""
    return by_vcpus(run)[UVC.PIN_PAGE_SHARED]


def _nothing_met(number: int, before: Run, after: Run) -> tuple[str, ...]:
    """Why a patch that lets old pages be touched made no difference."""
    if not after.booted:
        return f"The new guest doesn't come up with patch {number} either.", f"What ended it: {ended(after)}."
    if not before.booted:
        return f"Without patch {number}, the new guest meets another end.", f"What ended it: {ended(before)}."
    left = counted(uncleaned(after), "pages")
    not_met = f"the new guest met none of the {left} of the old one that were not clean when it started"
    return _no_difference(number, why_not(after, not_met))


def _no_difference(number: int, why: str) -> tuple[str, ...]:
    return f"Patch {number} makes no difference here.", f"{why[:1].upper()}{why[1:]}."


@demonstrates(6, reboot, ("new_guest",), merged=8)
def forgotten_guest(
    compared: Compared,
    *,
    memory: int | str = "4 GiB",
    touch: str = "reverse",
    features: Any = "misc",
    demand: int | str = "8 GiB/s",
    **more: Any,
) -> Demonstration:
    """Patch 6, usage counter instead of flag: a protected guest ends after the clean-up of the one before it.

    Without the patch the end of the old configuration clears the flag that the new one had set. From then on the kernel
    believes that no guest is protected: when the process ends, its pages are freed while they are secure, and the next
    owner of one, another process, faults on it forever. It gets the page before the new configuration is destroyed,
    too, which would make it accessible (rule 7). If the flag is cleared before the new guest's image is unpacked,
    ``KVM_PV_UNPACK`` answers -EINVAL, and the new guest does not start. On an Ultravisor with "misc": without 6 the
    counter is never above 1, so that patch 7 would not act either. Source:
    20210517200758.22593-7-imbrenda@linux.ibm.com.

    Parameters
    ----------
    compared : Compared
    memory, touch, features, **more
        As for `lazydestroy.reboot`. The new guest is a protected one; its process is killed when all is done.
    demand : int or str
        Bytes a second that another process allocates from that moment on.
    """
    given = {"memory": memory, "touch": touch, "features": features, "demand": demand, "new_guest": "protected"}
    cleaned, cleans = _CLEANED[compared.belongs is v1]
    runs = before, after = compared.reboot(**given, exit_at="end", demand_from="exit", **more)
    measures = (
        Measure("next owner of a page faults forever", "yes/no", *(bool(event(run, "endless fault")) for run in runs)),
        Measure(f"pages {cleaned} at the end", "pages", *map(_made_accessible_at_exit, runs)),
        Measure("the new guest came up", "yes/no", before.booted, after.booted),
    )
    return compared.found(
        runs=runs,
        measures=measures,
        finding=_of_forgotten_guest(compared.number, cleans, measures, before, after),
        shows=bool(measures[0].without and not measures[0].with_) or bool(after.booted and not before.booted),
        kind="fates",
    )


_CLEANED = {True: ("exported or set aside", "exports or sets aside"), False: ("destroyed", "destroys")}
"""What becomes of a guest's pages when its process ends: with version 1, and with what was merged."""


def _made_accessible_at_exit(run: Run) -> int:
    """Pages that the end of the process exports or destroys itself, or sets aside for the second thread to destroy."""
    exits, thread = (run.by_actor.get(actor, Counter()) for actor in (QEMU_EXITS, numbered(CLEAN_UP, 2)))
    return exits[UVC.CONV_FROM_SEC_STOR] + exits[UVC.DESTR_SEC_STOR] + thread[UVC.DESTR_SEC_STOR]


def _of_forgotten_guest(
    number: int, cleans: str, measures: tuple[Measure, ...], before: Run, after: Run
) -> tuple[str, ...]:
    fault, cleaned, _ = measures
    if fault.without and not fault.with_:
        return (
            f"Without patch {number}, the next owner of a page faults forever.",
            "The end of the old configuration makes the kernel forget the new one.",
            (f"So the end of its process {cleans} {cleaned.text[0]} instead of {format_count(cleaned.with_ or 0)}."),
        )
    if after.booted and not before.booted:
        return (
            f"Only with patch {number} does the new guest come up.",
            f"What ends it without the patch: {ended(before)}.",
        )
    for run, which in ((before, "without"), (after, "with")):
        if not run.booted:
            return f"The new guest doesn't come up {which} patch {number}.", f"What ended it: {ended(run)}."
    if cleaned.without:
        why = "the old configuration was gone before the new one set the flag"
        left = f"Without the patch, too, the end of its process {cleans} {cleaned.text[0]}."
        return *_no_difference(number, why), left
    return _no_difference(number, "the other process was given no page that was secure")


@demonstrates(7, reboot, ("new_guest", "shared", "image_at"), merged=9)
def refused_imports(
    compared: Compared,
    *,
    memory: int | str = "4 GiB",
    touch: str = "reverse",
    shared: float = 0.01,
    image_at: int | str | None = None,
    **more: Any,
) -> Demonstration:
    """Patch 7, add export before import: two imports that the Ultravisor refuses while the old guest's pages are there.

    A page that the old guest *shared* raises no 0x3F, so that nothing clears it: without the patch its import is
    refused, and the process gets SIGSEGV. Unpacking the boot image raises nothing at all: onto a page that is still the
    old guest's it is refused, and the guest does not start. The price is an export, mostly without effect, before every
    import while there are two configurations. Source: 20210517200758.22593-8-imbrenda@linux.ibm.com.

    Parameters
    ----------
    compared : Compared
    memory, touch, shared, **more
        As for `lazydestroy.reboot`. The new guest is a protected one.
    image_at : int or str, optional
        Where the second experiment unpacks the image; default: three quarters up the guest's memory.
    """
    given = {"memory": memory, "touch": touch, "new_guest": "protected", **more}
    if image_at is None:
        image_at = exact_size(size(memory, "memory", multiple_of=PAGE_SIZE) // PAGE_SIZE * 3 // 4 * PAGE_SIZE)
    sharing = compared.reboot(shared=shared, **given)
    unpacking = compared.reboot(image_at=image_at, **given)
    measures = (
        Measure(
            "guests that come up, of 2",
            "",
            *(sum(r.booted for r in pair) for pair in zip(sharing, unpacking, strict=True)),
        ),
        Measure("the guest after one that shared pages comes up", "yes/no", *(run.booted for run in sharing)),
        Measure("the guest whose image lies on old pages comes up", "yes/no", *(run.booted for run in unpacking)),
        Measure("exports for the new guest", "calls", *map(_exports_for_new_guest, sharing)),
    )
    return compared.found(
        runs=sharing,
        measures=measures,
        finding=_of_refused_imports(compared.number, sharing, unpacking),
        shows=(measures[0].with_ or 0) > (measures[0].without or 0),
        kind="fates",
    )


def _exports_for_new_guest(run: Run) -> int:
    """Exports before imports, for the new guest's accesses and for QEMU, which unpacks its image.

    And those after a 0x3F at which another CPU had been faster.
    """
    return by_vcpus(run)[UVC.CONV_FROM_SEC_STOR] + run.by_actor.get("QEMU", Counter())[UVC.CONV_FROM_SEC_STOR]


def _of_refused_imports(number: int, sharing: tuple[Run, Run], unpacking: tuple[Run, Run]) -> tuple[str, ...]:
    killed, stopped = _refused(sharing[0]), _refused(unpacking[0])
    if killed and killed.kind == "signal" and stopped and sharing[1].booted and unpacking[1].booted:
        return (
            f"Without patch {number}, both new guests fail; with it, both come up.",
            "The Ultravisor refuses to import a page that the old guest had shared.",
            f"That kills the new guest, {about_duration(killed.time_ns)} after the reset.",
            "It refuses an old page where the image belongs, too: that guest never starts.",
        )
    up = [sum(run.booted for run in pair) for pair in zip(sharing, unpacking, strict=True)]
    first = _of_one_import(number, sharing, killed, "after one that had shared pages")
    second = _of_one_import(number, unpacking, stopped, "whose image lies on old pages")
    short = f"Patch {number} lets {up[1]} of 2 guests come up instead of {up[0]}."
    return (
        short if up[0] < up[1] else f"Patch {number} makes no difference here.",
        f"A guest {first}.",
        f"A guest {second}.",
    )


def _refused(run: Run) -> Event | None:
    """The import that ended a guest."""
    return event(run, "signal", "import is refused") or event(run, "refused", "boot image")


_NO_IMPORT = "no import met a page that was still the old one's"


def _of_one_import(number: int, pair: tuple[Run, Run], refused: Event | None, which: str) -> str:
    before, after = pair
    if not after.booted:
        return f"{which} doesn't come up with patch {number} either ({ended(after)})"
    if refused is not None:
        return f"{which} doesn't come up without patch {number} ({ended(before)}), but with it"
    if not before.booted:
        return f"{which} meets another end without patch {number} ({ended(before)})"
    return f"{which} comes up with patch {number} and without: {why_not(after, _NO_IMPORT)}"


@demonstrates(11, reboot, ("new_guest",), merged=16)
def feature_bit(
    compared: Compared, *, memory: int | str = "4 GiB", touch: str = "reverse", features: Any = "misc", **more: Any
) -> Demonstration:
    """Patch 11, support for UV feature bits: patch 7's export is left out where the Ultravisor does not need it.

    An Ultravisor with feature bit 0, "misc", transfers the ownership of a shared page by itself. Without the patch the
    kernel does not know, and exports before every import as long as there are two configurations. Source:
    20210517200758.22593-12-imbrenda@linux.ibm.com, ``should_export_before_import``.

    Parameters
    ----------
    compared : Compared
    memory, touch, features, **more
        As for `lazydestroy.reboot`. The new guest is a protected one.
    """
    runs = before, after = compared.reboot(memory=memory, touch=touch, features=features, new_guest="protected", **more)
    measures = (
        Measure("exports for the new guest", "calls", *map(_exports_for_new_guest, runs)),
        Measure("exports without effect", "calls", *(run.noop_uvcs[UVC.CONV_FROM_SEC_STOR] for run in runs)),
        Measure("until the new guest has used its memory", "ns", *map(_used_after, runs)),
        Measure("until the old guest is gone", "ns", before.cleanup_ns, after.cleanup_ns),
    )
    number, (exports, useless, used, _) = compared.number, measures
    shows = (exports.without or 0) > (exports.with_ or 0)
    if shows:
        finding: tuple[str, ...] = (
            f"Patch {number} saves the new guest {about((exports.without or 0) - (exports.with_ or 0), 'exports')}.",
            f"Of these, {about_count((useless.without or 0) - (useless.with_ or 0))} had no effect.",
            f"The new guest has used its memory after {used.text[1]} instead of {used.text[0]}.",
        )
    elif not exports.without:
        finding = _no_difference(number, "no page was imported while there were two configurations")
    else:
        why = "this Ultravisor does not have the feature"
        finding = (
            *_no_difference(number, why),
            f"With the patch there are {exports.text[1]} for exports, too.",
        )
    return compared.found(runs=runs, measures=measures, finding=finding, shows=shows)


def _used_after(run: Run) -> int | None:
    """When the last vCPU had done all that it was to do."""
    return max((ns for actor, ns in run.finished_ns.items() if is_a(actor, VCPU)), default=None) if run.booted else None
