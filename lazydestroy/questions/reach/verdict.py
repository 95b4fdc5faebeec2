"""The verdict on question 2 in words, made of what was measured, and whether it agrees with the author."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...series import Series
from ...units import format_duration
from ..answer import Agreement
from ..common import kernel_words, listed
from .accessors import ACCESSORS, NEW_GUESTS
from .attempt import Scenario
from .outcome import Reach


def verdict(cells: tuple[Reach, ...], values: Mapping[str, Any], kernel: Series, shown: tuple[Scenario, ...]) -> str:
    """Who gets through to a page that waits, and whether anybody reads a secret, in one sentence."""
    parts = [_reboot_words(values["reboot"], kernel)] if "reboot" in shown else []
    parts += [_shutdown_words(values["shutdown"], kernel)] if "shutdown" in shown else []
    secrets = values["secrets"]
    parts.append(
        f"in {secrets or 'none'} of {len(cells)} cases does anybody but the old guest itself read plaintext that it "
        "had not shared"
    )
    words = "; ".join(parts)
    return f"{words[0].upper()}{words[1:]}."


def _reboot_words(reboot: Mapping[str, Any], kernel: Series) -> str:
    if not reboot["waits"]:
        return f"in a reboot no: {kernel_words(kernel)} cleans all pages before the new guest runs, so that none waits"
    everybody = sum(not who.by_hand for who in ACCESSORS.values())
    through = reboot["through"]
    words = f"in a reboot yes: {len(through)} of {everybody} who need no help of a hostile host get through to a page "
    words += "that waits for clean-up"
    if through:
        fast, slow = (format_duration(reboot[name]) for name in ("fastest_ns", "slowest_ns"))
        times = fast if fast == slow else f"{fast} to {slow}"
        words += f" ({listed(through)}), in {times}, and each reads {_read(reboot)}"
    again = reboot["same_frame"]
    if again:
        gets = "gets" if len(again) == 1 else "get"
        words += f"; the {' and the '.join(again)} {gets} no new page, but the old one's frame"
    for accessor, state, note in reboot["stopped"]:
        words += f"; the {accessor} on a page {state} ends with: {note}"
    return words


def _shutdown_words(shutdown: Mapping[str, Any], kernel: Series) -> str:
    if not shutdown["waits"]:
        return f"at shutdown no: {kernel_words(kernel)} sets no page aside"
    through = shutdown["through"]
    if not through:
        return "at shutdown no: nobody gets through to a page that is set aside"
    space = "an address space still maps it" if shutdown["mapped"] else "no address space maps it any more"
    return f"at shutdown only the {listed(through)} does, by its frame number ({space}), and reads {_read(shutdown)}"


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
            f" The old guest itself reads a page only as {listed(values['zombie_reads'])}: that takes help of the host "
            "kernel, which version 1 never gives, and that the Ultravisor would allow it is assumed."
        )
    return words
