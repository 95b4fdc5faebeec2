"""The verdict on question 2 in words, made of what was measured, and whether it agrees with the author."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...rounded import about_duration
from ...series import Series
from ..answer import Agreement
from ..common import kernel_words, listed
from .accessors import ACCESSORS, NEW_GUESTS
from .attempt import Scenario
from .outcome import Reach


def verdict(
    cells: tuple[Reach, ...], values: Mapping[str, Any], kernel: Series, shown: tuple[Scenario, ...]
) -> tuple[str, ...]:
    """Who gets through to a page that waits, and whether anybody reads a secret: in short, then in detail."""
    secrets = values["secrets"]
    sentences = [*_in_short(values, shown)]
    sentences += _reboot_words(values["reboot"], kernel) if "reboot" in shown else []
    sentences += _shutdown_words(values["shutdown"], kernel) if "shutdown" in shown else []
    whose = "Only the old guest reads" if not secrets else f"In {secrets} cases, another than the old guest reads"
    sentences.append(f"{whose} what it had not shared; {len(cells)} cases were tried.")
    return tuple(sentences)


def _in_short(values: Mapping[str, Any], shown: tuple[Scenario, ...]) -> Iterator[str]:
    """Who reaches a page that waits, and what is read there."""
    reached = {name: len(values[name]["through"]) for name in shown if values[name]["waits"]}
    reads = "none reads a secret" if not values["secrets"] else f"secrets are read in {values['secrets']} cases"
    if not any(reached.values()):
        yield f"Nothing reaches a page that waits for clean-up; {reads}."
    elif len(reached) == 1 or not reached["shutdown"]:
        name = next(name for name, number in reached.items() if number)
        yield f"{_WHEN[name]}, {reached[name]} of {_everybody()} reach a page that waits for clean-up; {reads}."
    else:
        yield (
            f"{reached['reboot']} of {_everybody()} reach a page that waits in a reboot, "
            f"{reached['shutdown']} at shutdown; {reads}."
        )


_WHEN = {"reboot": "In a reboot", "shutdown": "At shutdown"}


def _everybody() -> int:
    """How many accessors need no help of a hostile host."""
    return sum(not who.by_hand for who in ACCESSORS.values())


def _reboot_words(reboot: Mapping[str, Any], kernel: Series) -> Iterator[str]:
    if not reboot["waits"]:
        yield f"In a reboot, {kernel_words(kernel)} cleans all pages before the new guest runs, so that none waits."
        return
    through = reboot["through"]
    yield f"In a reboot, {len(through)} of {_everybody()} get through without the help of a hostile host."
    if through:
        fast, slow = (about_duration(reboot[name]) for name in ("fastest_ns", "slowest_ns"))
        times = fast if fast == slow else f"{fast} to {slow}"
        yield f"They are: {listed(through)}."
        yield f"That takes {times}, and each reads {_read(reboot)}."
    again = reboot["same_frame"]
    if again:
        gets = "gets" if len(again) == 1 else "get"
        yield f"The {' and the '.join(again)} {gets} no new page, but the old one's frame."
    for accessor, state, note in reboot["stopped"]:
        yield f"The {accessor} on a page {state} ends with: {note}."


def _shutdown_words(shutdown: Mapping[str, Any], kernel: Series) -> Iterator[str]:
    if not shutdown["waits"]:
        yield f"At shutdown, {kernel_words(kernel)} sets no page aside."
        return
    through = shutdown["through"]
    if not through:
        yield "At shutdown, nothing gets through to a page that is set aside."
        return
    space = "an address space still maps it" if shutdown["mapped"] else "no address space maps it any more"
    yield f"At shutdown only the {listed(through)} reaches a page, by its frame number; {space}."
    yield f"It reads {_read(shutdown)}."


def _read(found: Mapping[str, Any]) -> str:
    return " or ".join("a cleared page of its own" if each == "own page" else each for each in found["reads"])


def agrees(values: Mapping[str, Any]) -> Agreement:
    """Whether what was measured is what the author said."""
    if not _as_he_said(values["reboot"]):
        return "no"
    return "refines" if values["shutdown"]["waits"] else "yes"


def _as_he_said(reboot: Mapping[str, Any]) -> bool:
    """Swap and both new guests, before and after the page was cleaned."""
    said = {"swap-out", *NEW_GUESTS}
    everybody = said <= set(reboot["through"]) and said <= set(reboot["after_cleaning"])
    return reboot["waits"] and everybody and not reboot["stopped"]


def agreement(values: Mapping[str, Any], kernel: Series) -> str:
    """In what it agrees with the author, or does not."""
    reboot, shutdown = values["reboot"], values["shutdown"]
    if not reboot["waits"]:
        return f"With {kernel_words(kernel)} no page waits in a reboot, so there is nothing to agree with."
    if not _as_he_said(reboot):
        stopped = "; ".join(f"{accessor}: {note}" for accessor, _, note in reboot["stopped"]) or "not all get through"
        return f"Not with {kernel_words(kernel)} ({stopped})."
    words = "In a reboot it is as he says, swap and both kinds of new guest, before and after the page was cleaned"
    without = [f"without patch {number}: {note}" for number, note in values["stopped_without"].items() if note]
    words += f" ({'; '.join(without)})." if without else "."
    if shutdown["waits"]:
        words += " The thread says neither who reaches a page at shutdown nor what is read: the matrix adds that."
    if values["zombie_reads"]:
        words += (
            f" The old guest itself reads a page only as {listed(values['zombie_reads'])}: for that, the host kernel "
            "must help, and version 1 never does. That the Ultravisor would allow it is an assumption."
        )
    return words
