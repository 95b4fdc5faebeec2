"""Question 7: what a guest waits for when it uses a page again, during and after the clean-up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..costs import Costs
from ..machine import Access, Machine
from ..page import PAGE_SHIFT, PAGE_SIZE
from ..run import Run
from ..scenarios import reboot
from ..series import Series, v1
from ..units import format_duration, format_size, size
from .answer import Answer, Table, resting_on
from .common import kernel_words
from .pictures import Line, Lines
from .question import Question
from .registry import answers

USES = "uses its memory"
"""What the scenario calls it when a new guest's vCPUs touch page by page."""

PAGE = 5
"""The page that is touched by hand: behind the image."""


class Filled(NamedTuple):
    """How long a new guest took to touch all that it touches, in nanoseconds. None: it did not come so far."""

    during: int | None
    after: int | None


@answers(7, reboot, ("new_guest", "wait_for_cleanup", "exit_at", "demand", "demand_total", "demand_from", "bystander"))
def waits(
    question: Question,
    *,
    memory: int | str = "16 GiB",
    kernel: Series = v1,
    costs: Costs | None = None,
    touch: str = "reverse",
    **more: Any,
) -> Answer:
    """Let a protected guest and an unprotected one touch an old page by hand, and all their memory in a reboot.

    Parameters
    ----------
    question : Question
    memory, kernel, costs, **more
        As for `lazydestroy.reboot`.
    touch : {"sequential", "reverse", "random"}
        Order in which the new guest uses its memory: one that goes upwards runs behind the cleaner, and meets few old
        pages.
    """
    lazy_destroy, features = more.get("lazy_destroy"), more.get("features", ())
    pages = {
        (guest, clean): touched(kernel, costs, guest == "protected", clean, lazy_destroy, features)
        for guest in GUESTS
        for clean in (False, True)
    }
    given = {"kernel": kernel, "costs": costs, "touch": touch, **more}
    runs = {
        (guest, rests): reboot(memory, new_guest=guest, wait_for_cleanup=rests, **given)
        for guest in GUESTS
        for rests in (False, True)
    }
    filled = {guest: Filled(*(using(runs[guest, rests]) for rests in (False, True))) for guest in GUESTS}
    old, unprotected = pages["protected", False], pages["normal", False]
    claims = {
        "a protected guest waits for Ultravisor Calls when it uses an old page": bool(old.uvcs),
        "it waits for a page to be destroyed, not exported": worked(old, "DESTR_SEC_STOR")
        and not worked(old, "CONV_FROM_SEC_STOR"),
        "an unprotected guest waits for a page to be exported": worked(unprotected, "CONV_FROM_SEC_STOR"),
        "nobody reads what the old guest had": "plaintext of A" not in {each.saw for each in pages.values()},
        "after the clean-up it waits no longer than ever": costs_of_clean(pages, kernel, costs),
    }
    return Answer(
        question=question,
        verdict=_verdict(pages, filled, size(memory), touch, kernel),
        claims=claims,
        evidence=_table(pages, filled),
        agrees=_agrees(old),
        agreement=_agreement(old, unprotected),
        assumptions=resting_on("destroy", "export", "import_clear", "noop", "exception", "touch", "how the new guest"),
        pictures=(_picture(runs, filled),),
        values={"pages": pages, "filled": filled, "runs": runs},
        parameters={},
    )


GUESTS = ("protected", "normal")


def touched(
    kernel: Series, costs: Costs | None, protected: bool, clean: bool, lazy_destroy: bool | None, features: Any
) -> Access:
    """Let a rebooted guest touch one page of the old one: before it was cleaned, or after.

    The image lies on page 0, which is cleared at once, like the 2 GiB of a large guest.
    """
    machine = Machine(
        "64 KiB",
        kernel=kernel,
        costs=costs,
        low_memory=PAGE_SIZE,
        segment_table=0,
        lazy_destroy=lazy_destroy,
        features=features,
    )
    machine.boot()
    machine.protect()
    machine.touch(PAGE)
    machine.reboot()
    if clean:
        machine.run()
    machine.boot()
    if protected:
        machine.protect()
    return machine.touch(PAGE)


def worked(access: Access, call: str) -> bool:
    """Whether a call was made, and changed something."""
    return call in access.uvcs


def costs_of_clean(pages: Mapping[tuple[str, bool], Access], kernel: Series, costs: Costs | None) -> bool:
    """Whether a page that was cleaned costs no more than one in the kernel before the series, where all are clean."""
    before = v1.upto(0)
    return all(
        pages[guest, True].ns <= touched(before, costs, guest == "protected", True, None, ()).ns for guest in GUESTS
    )


def using(run: Run) -> int | None:
    """How long the vCPUs used memory, from the first to the last. None: they were stopped, or had nothing to do."""
    rows = run.timeline[run.timeline["activity"] == USES]
    if not run.booted or not len(rows):
        return None
    return int(rows["end"].max() - rows["start"].min())


def _path(access: Access) -> str:
    parts = [f"0x{number:X}" for number in access.interruptions] or ["no exception"]
    return f"{', '.join(parts)}: {', '.join(access.uvcs) or 'no call'}"


def _time(ns: int | None) -> str:
    return "never" if ns is None else format_duration(ns)


def _verdict(
    pages: Mapping[tuple[str, bool], Access], filled: Mapping[str, Filled], memory: int, touch: str, kernel: Series
) -> str:
    old, clean, plain = pages["protected", False], pages["protected", True], pages["normal", False]
    if not old.saw:
        return f"With {kernel_words(kernel)} a protected guest that uses an old page never gets through: {_end(old)}."
    if old.uvcs == clean.uvcs:
        words = (
            f"There is nothing to wait for with {kernel_words(kernel)}: an old page is clean when the new guest runs, "
            f"and costs {format_duration(clean.ns)}"
        )
    else:
        words = (
            f"{'Yes' if worked(old, 'CONV_FROM_SEC_STOR') else 'It waits, but not for an export'}: a protected guest "
            f"that uses an old page waits for {_worked(old)}, {format_duration(old.ns)} instead of "
            f"{format_duration(clean.ns)}"
        )
    end = (
        f"an unprotected one for {_worked(plain)}, {format_duration(plain.ns)}"
        if plain.saw
        else "an unprotected one stops"
    )
    during, after = filled["protected"]
    return (
        f"{words}; {end}; to use all of {format_size(memory)} ({_ORDERS[touch]}) takes a protected guest "
        f"{_time(during)} during the clean-up and {_time(after)} after it."
    )


_ORDERS = {"sequential": "upwards", "reverse": "downwards", "random": "at random", "none": "it touches nothing"}

_WORDS = {
    "DESTR_SEC_STOR": "a destroy",
    "CONV_FROM_SEC_STOR": "an export",
    "CONV_TO_SEC_STOR": "an import",
    "PIN_PAGE_SHARED": "an attempt to pin it",
}


def _worked(access: Access) -> str:
    """What was waited for: calls that changed something, then how many others."""
    done = [_WORDS.get(call, call) for call in access.uvcs if " (" not in call]
    idle = len(access.uvcs) - len(done)
    words = " and ".join(done) or "no call that changes anything"
    return words + (f" and {idle} call{'s' if idle > 1 else ''} without effect" if idle else "")


def _end(access: Access) -> str:
    return access.events[-1].text if access.events else "its access is tried again and again"


def _table(pages: Mapping[tuple[str, bool], Access], filled: Mapping[str, Filled]) -> Table:
    rows = []
    for (guest, clean), access in pages.items():
        name = f"one page, {guest} guest, {'after' if clean else 'during'} the clean-up"
        rows.append((name, _path(access), format_duration(access.ns) if access.saw else f"never: {_end(access)}"))
    for guest, (during, after) in filled.items():
        rows += [
            (f"all its memory, {guest} guest, during the clean-up", "", _time(during)),
            (f"all its memory, {guest} guest, after the clean-up", "", _time(after)),
        ]
    return Table(("", "what happens", "takes"), tuple(rows))


def _agrees(old: Access) -> Any:
    if worked(old, "CONV_FROM_SEC_STOR"):
        return "yes"
    return "refines" if old.uvcs and old.saw else "no"


def _agreement(old: Access, plain: Access) -> str:
    if worked(old, "CONV_FROM_SEC_STOR"):
        return "The page is exported and imported, as they say."
    if not old.saw:
        return "The guest does not wait, it never gets through."
    if not worked(old, "DESTR_SEC_STOR"):
        return "It waits for an import only, as for any page that is clean."
    words = "It does wait, but for a destroy and a first import: nothing is encrypted, decrypted or verified."
    return (
        f"{words} An export is what an unprotected guest waits for." if worked(plain, "CONV_FROM_SEC_STOR") else words
    )


def _picture(runs: Mapping[tuple[str, bool], Run], filled: Mapping[str, Filled]) -> Lines:
    lines = []
    for (guest, rests), run in runs.items():
        points = _filling(run)
        if points:
            lines.append(Line(f"{guest} guest, {'after' if rests else 'during'} the clean-up", points))
    during, after = filled["protected"]
    title = f"A protected guest uses its memory in {_time(during)} during the clean-up, in {_time(after)} after it"
    return Lines(title, tuple(lines), "time since the guest began to use it", "memory used", "ns", "bytes")


def _filling(run: Run) -> tuple[tuple[int, int], ...]:
    """How much of its memory the new guest had used, over the time since it began to: nanoseconds and bytes."""
    rows = run.timeline[run.timeline["activity"] == USES]
    if not len(rows):
        return ()
    start = int(rows["start"].min())
    moments = sorted({*map(int, rows["start"]), *map(int, rows["end"])})
    if len(moments) > 120:
        moments = [moments[place * (len(moments) - 1) // 120] for place in range(121)]
    found = []
    for moment in moments:
        spans = rows["end"] - rows["start"]
        share = ((moment - rows["start"]) / spans).clip(0, 1)
        found.append((moment - start, int((share * rows["pages"]).sum()) << PAGE_SHIFT))
    return tuple(found)
