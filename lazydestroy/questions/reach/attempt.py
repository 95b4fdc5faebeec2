"""The machine on which somebody goes for a page of a guest that has ended, and what the page is at any moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from ...kernel.structs import Flow, Mm
from ...machine import Machine, Process
from ...page import HELD, PAGE_SHIFT, Holder, Record, State
from .outcome import ELSEWHERE, LEFT, THE_PAGE

Scenario = Literal["reboot", "shutdown"]
PageState = Literal["not yet cleaned", "shared by the old guest", "cleaned", "swapped"]

SCENARIOS: tuple[Scenario, ...] = get_args(Scenario)
STATES: tuple[PageState, ...] = get_args(PageState)

PAGES = 8
"""Pages of each guest. The first one is cleaned at once, as the first 2 GiB are of a large one; it has the image."""

PAGE = 3
"""The guest page that it is about."""

ADDRESS = PAGE << PAGE_SHIFT


@dataclass(slots=True)
class Attempt:
    """One machine on which somebody is about to go for a page of a guest that has ended.

    Attributes
    ----------
    machine : Machine
    scenario : {"reboot", "shutdown"}
    handle : int
        The old guest's secure configuration.
    old_mm : Mm
        The address space that the old guest had.
    pfn : int
        The frame that backed the page.
    sees : int
        The frame on which the attempt is made: set by who makes it.
    note : str
    beside : Process or None
        Another VM that was there all the time.
    swapped : bool
        The page has been swapped out.
    """

    machine: Machine
    scenario: Scenario
    handle: int
    old_mm: Mm
    pfn: int
    sees: int | None = None
    note: str = ""
    beside: Process | None = None
    swapped: bool = False

    @property
    def frame(self) -> Record:
        """What the frame is now that backed the page."""
        return self.machine.memory.record(self.pfn)

    @property
    def page(self) -> Record | None:
        """The old guest's page, wherever it is: in its frame, in swap, or brought back from there. None: nowhere."""
        if not self.swapped:
            return self.frame
        if PAGE in self.old_mm.swap:
            return self.old_mm.swap[PAGE]
        back = self.machine.memory.record(self.old_mm.guest.slot(PAGE))
        return back if (back.holder, back.mm) == (Holder.MAPPED, self.old_mm.number) else None

    @property
    def waits(self) -> bool:
        """Whether it waits for clean-up: still the old configuration's, or set aside."""
        frame = self.frame
        held = frame.state in HELD and frame.owner == self.handle
        return held or (frame.holder, frame.mm) == (Holder.SET_ASIDE, self.old_mm.number)

    def where(self, was_swapped: bool) -> str:
        """On what the attempt has been made, if the page had been swapped out before, or not."""
        if self.sees is None:
            return ""
        if not was_swapped:
            return THE_PAGE if self.sees == self.pfn else ELSEWHERE
        if self.page is not None and PAGE not in self.old_mm.swap and self.sees == self.old_mm.guest.slot(PAGE):
            return THE_PAGE
        return LEFT if self.sees == self.pfn else ELSEWHERE

    def described(self) -> str:
        """What has become of the page, in words."""
        machine, page = self.machine, self.page
        if page is None:
            return "gone, and its place in swap is free"
        if PAGE in self.old_mm.swap:
            return f"in swap ({machine.describe(page)})"
        of = f", of {machine.name(page.owner)}" if page.owner else f" ({machine.describe(page)})"
        return f"{_words(page.state)}{of}, {_words(page.holder)}"


def _words(name: State | Holder) -> str:
    return name.name.lower().replace("_", "-" if isinstance(name, State) else " ")


@dataclass(frozen=True, slots=True)
class Accessor:
    """Somebody who goes for the page.

    Attributes
    ----------
    prepare : callable
        What must be there first: called when the old guest has ended.
    flow : callable
        The attempt itself, a flow on the machine that returns what was read.
    by_hand : bool
        Nobody does that unless the host, which is not trusted, means to.
    """

    prepare: Callable[[Attempt], None]
    flow: Callable[[Attempt], Flow]
    by_hand: bool = False
