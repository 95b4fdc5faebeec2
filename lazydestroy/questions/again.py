"""Question 7: what a guest waits for when it uses a page again, during and after the clean-up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ..costs import Costs
from ..machine import Access, Machine
from ..page import PAGE_SHIFT, PAGE_SIZE
from ..rounded import about_duration, about_size
from ..run import Run
from ..scenarios import reboot
from ..series import Series, v1
from ..units import format_duration, size
from .answer import Answer, Table, resting_on
from .common import kernel_words, listed
from .pictures import Line, Lines
from .question import Question
from .registry import answering

USES = "uses its memory"
"""What the scenario calls it when a new guest's vCPUs touch page by page."""

PAGE = 5
"""The page that is touched by hand: behind the image."""


class Filled(NamedTuple):
    """How long a new guest took to touch all that it touches, in nanoseconds. None: it did not come so far."""

    during: int | None
    after: int | None


@answering(
    7, reboot, ("new_guest", "wait_for_cleanup", "exit_at", "demand", "demand_total", "demand_from", "bystander")
)
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
        (guest, state): touched(kernel, costs, guest == "protected", state, lazy_destroy, features)
        for guest in GUESTS
        for state in STATES
    }
    given = {"kernel": kernel, "costs": costs, "touch": touch, **more}
    runs = {
        (guest, rests): reboot(memory, new_guest=guest, wait_for_cleanup=rests, **given)
        for guest in GUESTS
        for rests in (False, True)
    }
    filled = {guest: Filled(*(using(runs[guest, rests]) for rests in (False, True))) for guest in GUESTS}
    kept, shared, clean = (pages["protected", state] for state in STATES)
    claims = {
        "a protected guest needs more calls for an old page than for a clean one": bool(kept.saw)
        and kept.uvcs != clean.uvcs,
        "for one that the old guest had kept it waits for a destroy, and no export has an effect": worked(
            kept, "DESTR_SEC_STOR"
        )
        and not worked(kept, "CONV_FROM_SEC_STOR"),
        "for one that the old guest had shared it waits for an export": worked(shared, "CONV_FROM_SEC_STOR"),
        "an unprotected guest waits for an export": worked(pages["normal", "kept"], "CONV_FROM_SEC_STOR"),
        "the new guest never reads what the old guest had kept": "plaintext of A"
        not in {each.saw for (_, state), each in pages.items() if state == "kept"},
        "after the clean-up it waits no longer than before the series": costs_of_clean(pages, costs),
    }
    return Answer(
        question=question,
        said=_verdict(pages, filled, size(memory), touch, kernel),
        claims=claims,
        evidence=_table(pages, filled),
        agrees=_agrees(kept),
        agreement=_agreement(pages),
        assumptions=resting_on("destroy", "export", "import_clear", "noop", "exception", "touch", "how the new guest"),
        pictures=(_picture(runs, filled),),
        values={"pages": pages, "filled": filled, "runs": runs},
        parameters={},
    )


GUESTS = ("protected", "normal")

STATES = ("kept", "shared", "clean")
"""What a page is when it is touched: not clean, and the old guest had kept it or shared it; clean."""


def touched(
    kernel: Series, costs: Costs | None, protected: bool, state: str, lazy_destroy: bool | None, features: Any
) -> Access:
    """Let a rebooted guest touch one page of the old one.

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
    if state == "shared":
        machine.share(PAGE)
    machine.reboot()
    if state == "clean":
        machine.run()
    machine.boot()
    if protected:
        machine.protect()
    return machine.touch(PAGE)


def worked(access: Access, call: str) -> bool:
    """Whether a call was made, and changed something."""
    return call in access.uvcs


def costs_of_clean(pages: Mapping[tuple[str, str], Access], costs: Costs | None) -> bool:
    """Whether a page that was cleaned costs no more than in the kernel before the series, where all are clean."""
    return all(
        pages[guest, "clean"].ns <= touched(v1.upto(0), costs, guest == "protected", "clean", None, ()).ns
        for guest in GUESTS
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


def _verdict(
    pages: Mapping[tuple[str, str], Access], filled: Mapping[str, Filled], memory: int, touch: str, kernel: Series
) -> tuple[str, ...]:
    kept, shared, clean = (pages["protected", state] for state in STATES)
    plain = pages["normal", "kept"]
    if not kept.saw:
        return (
            "A protected guest that uses an old page never gets through.",
            f"With {kernel_words(kernel)}: {_end(kept)}.",
        )
    if kept.uvcs == clean.uvcs:
        sentences = [
            f"There is nothing more to wait for with {kernel_words(kernel)}.",
            "Old pages are clean when the new guest runs.",
            f"One costs a protected guest {about_duration(clean.ns)}.",
        ]
    else:
        sentences = [
            f"It waits: an old page costs a protected guest {about_duration(kept.ns)}, not {about_duration(clean.ns)}.",
            f"It waits for {_worked(kept)}.",
        ]
        if not shared.saw:
            sentences.append(f"For a page that the old guest had shared it waits forever ({_end(shared)}).")
        elif shared.uvcs != kept.uvcs:
            sentences.append(
                f"For a page that the old guest had shared: for {_worked(shared)}, {about_duration(shared.ns)}."
            )
        waits = f"for {_worked(plain)}, {about_duration(plain.ns)}" if plain.saw else f"forever ({_end(plain)})"
        sentences.append(f"An unprotected guest waits {waits}.")
    return *sentences, *_of_all_memory(*filled["protected"], f"{about_size(memory)} ({_ORDERS[touch]})")


def _of_all_memory(during: int | None, after: int | None, memory: str) -> Iterator[str]:
    """How long a guest uses all its memory."""
    if during is None or after is None:
        return
    if during == after:
        yield f"Over {memory} it loses no time during the clean-up."
        return
    took, clean = about_duration(during), about_duration(after)
    yield f"To use {memory}, it needs {took} during the clean-up, and {clean} after it."


_ORDERS = {"sequential": "upwards", "reverse": "downwards", "random": "at random", "none": "it touches nothing"}

_WORDS = {
    "DESTR_SEC_STOR": "a destroy",
    "CONV_FROM_SEC_STOR": "an export",
    "CONV_TO_SEC_STOR": "an import",
    "PIN_PAGE_SHARED": "a pin",
}


def _worked(access: Access) -> str:
    """What was waited for, call by call, in order."""
    if not access.uvcs:
        return "no call at all"
    calls = [call.partition(" (") for call in access.uvcs]
    return listed(
        _WORDS.get(call, call) + (f" ({_BECAME[became[:-1]]})" if became else "") for call, _, became in calls
    )


_BECAME = {"noop": "without effect", "refused": "refused", "harmful": "harmful"}


def _end(access: Access) -> str:
    return access.events[-1].text if access.events else "its access is tried again and again"


def _time(ns: int | None) -> str:
    return "never" if ns is None else format_duration(ns)


def _table(pages: Mapping[tuple[str, str], Access], filled: Mapping[str, Filled]) -> Table:
    rows = []
    for (guest, state), access in pages.items():
        name = f"one page, {guest} guest, {_STATES[state]}"
        rows.append((name, _path(access), format_duration(access.ns) if access.saw else f"never: {_end(access)}"))
    for guest, (during, after) in filled.items():
        rows += [
            (f"all its memory, {guest} guest, during the clean-up", "", _time(during)),
            (f"all its memory, {guest} guest, after the clean-up", "", _time(after)),
        ]
    return Table(("", "what happens", "takes"), tuple(rows))


_STATES = {"kept": "not clean", "shared": "not clean, shared by the old guest", "clean": "clean"}


def _agrees(kept: Access) -> Any:
    if worked(kept, "CONV_FROM_SEC_STOR"):
        return "yes"
    return "refines" if kept.uvcs and kept.saw else "no"


def _agreement(pages: Mapping[tuple[str, str], Access]) -> str:
    kept, shared, plain = pages["protected", "kept"], pages["protected", "shared"], pages["normal", "kept"]
    if worked(kept, "CONV_FROM_SEC_STOR"):
        return "The page is exported and imported, as they say."
    if not kept.saw:
        return "The guest does not wait, it never gets through."
    exports = [
        words
        for words, access in (("a page that the old guest had shared", shared), ("an unprotected guest", plain))
        if worked(access, "CONV_FROM_SEC_STOR")
    ]
    words = "It does wait" + (f", and the export does something for {listed(exports)}" if exports else "")
    if worked(kept, "DESTR_SEC_STOR"):
        words += "; otherwise the page is destroyed first, and there is nothing left to encrypt, decrypt or verify"
    return f"{words}."


def _picture(runs: Mapping[tuple[str, bool], Run], filled: Mapping[str, Filled]) -> Lines:
    lines = []
    for (guest, rests), run in runs.items():
        points = _filling(run)
        if points:
            lines.append(Line(f"{guest} guest, {'after' if rests else 'during'} the clean-up", points))
    during, after = filled["protected"]
    title = "A protected guest never gets to use all its memory"
    if during is not None and after is not None:
        took, clean = about_duration(during), about_duration(after)
        title = f"Using all memory takes {took} during the clean-up, {clean} after it"
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
