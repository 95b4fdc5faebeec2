"""What becomes of one page without a patch, and with it: patches 3, 4, 6 and 7, on a machine of a few pages.

The runs of `lazydestroy.demonstrations.reuse` say how often, and after how long. Here one page is followed from station
to station: which exception is raised, which calls are made for the page, and who owns it then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..access import Access
from ..machine import Machine
from ..page import HELD, PAGE_SIZE, Holder, Page, State
from ..series import Series
from ..series.trace import short_call

PAGES = 4
"""Pages of the guest. The followed one is the last, so that the boot image on page 0 stays out of the way."""

FOLLOWED = PAGES - 1

ABOUT_A_PAGE = ("import", "export", "destroy", "pin")
"""Calls that are noted."""


class Station(NamedTuple):
    """The followed page at one moment.

    Attributes
    ----------
    after : str
        What happened since the station before: an act, exceptions, calls.
    state : str
        What the Ultravisor has made of the page: "secure", "shared", "non-secure".
    owner : str
        Name of the configuration that owns it, or empty.
    old : bool
        Whether the owner is an old guest.
    content : str
        What a reader that gets through would see.
    holder : str
        What the host uses the page for: "mapped", "set aside", "free".
    protected : int
        ``mm->context.is_protected``: the flag, or with patch 6 the counter.
    """

    after: str
    state: str
    owner: str
    old: bool
    content: str
    holder: str
    protected: int

    @property
    def locked(self) -> bool:
        """Whether the Ultravisor lets nobody but the owner read the page."""
        return self.state == "secure"


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of the page on one kernel.

    Attributes
    ----------
    kernel : Series
    stations : tuple of Station
    last : str
        What happened after the last station.
    outcome : str
        How the last access to the page ended: who did or suffered what, in a few words.
    good : bool
        Whether it got through.
    """

    kernel: Series
    stations: tuple[Station, ...]
    last: str
    outcome: str
    good: bool


@dataclass(frozen=True, slots=True)
class Fates:
    """The same story on the kernel without a patch and on the one with it.

    Attributes
    ----------
    number : int
        Number of the patch.
    scene : str
        What the story is about.
    without, with_ : Fate
    counted : bool
        Whether ``is_protected`` belongs to the story.
    """

    number: int
    scene: str
    without: Fate
    with_: Fate
    counted: bool = False

    @property
    def title(self) -> str:
        """What it comes to without the patch, if that is worse than with it; else both, in a dozen words."""
        if self.with_.good and not self.without.good:
            return f"Without patch {self.number}, {self.without.outcome}"
        return f"Without patch {self.number} {self.without.outcome}; with it {self.with_.outcome}"

    def plot(self) -> Any:
        """Draw them; see `lazydestroy.plots.plot_fates`."""
        from ..plots import plot_fates

        return plot_fates(self)


class _Followed(Machine):
    """A machine that notes each station of one page of its guest."""

    def __init__(self, kernel: Series, **options: Any) -> None:
        self.stations: list[Station] = []
        self.words: list[str] = []
        self.frame: Page | None = None
        self.listening = False
        super().__init__(
            PAGES * PAGE_SIZE, kernel=kernel, low_memory=0, segment_table=0, tabled=False, windows=False, **options
        )

    def raised(self, interruption: Any) -> None:
        """Note an exception."""
        super().raised(interruption)
        self.note(f"0x{interruption:X}")

    def _called(self, *what: Any) -> None:
        super()._called(*what)
        word = short_call(self._log[-1]) if self._log else ""
        if word.partition(" ")[0] in ABOUT_A_PAGE:
            self.note(word)

    def follow(self, after: str) -> None:
        """Follow the page from now on."""
        self.frame = self.memory.page(self.mm.guest.slot(FOLLOWED))
        self.mark(after)

    def note(self, word: str) -> None:
        """Note what happened to the page, and a station if that has changed it."""
        if self.listening:
            self.words.append(word)
            if self._station("")[1:-1] != self.stations[-1][1:-1]:
                self.mark()

    def mark(self, word: str = "") -> None:
        """Note a station."""
        self.stations.append(self._station("\n".join([*([word] if word else []), *self.words])))
        self.words.clear()

    def _station(self, after: str) -> Station:
        assert self.frame is not None
        record = self.frame.record
        held = record.state in HELD
        return Station(
            after,
            record.state.name.lower().replace("_", "-"),
            self.name(record.owner) if held else "",
            held and self.alive and record.owner in self.old,
            self.describe(record),
            record.holder.name.lower().replace("_", " "),
            self.mm.context.is_protected,
        )

    def touched_last(self, who: str, act: Callable[[], Access]) -> Fate:
        """Let `who` touch the page, note all that comes of it, and end the story."""
        self.words.append(f"{who} touches it")
        self.listening = True
        access = act()
        if not access.saw and not any(word.startswith("0x") for word in self.words):
            self.words += [f"0x{number:X}" for number in dict.fromkeys(access.interruptions)]
        kinds = {event.kind for event in access.events}
        if access.saw:
            outcome = f"{who} gets through"
        elif "signal" in kinds:
            outcome = f"{who}'s process is killed"
        elif "addressing exception" in kinds:
            outcome = f"{who} is stopped"
        else:
            outcome = f"{who} faults forever"
            self.words.append("again and again")
        return Fate(self.series, tuple(self.stations), "\n".join(self.words), outcome, bool(access.saw))


def _old_page(kernel: Series, *, shared: bool = False, **options: Any) -> _Followed:
    """A page of A, which has been rebooted; no thread has come to it yet."""
    machine = _Followed(kernel, **options)
    machine.boot()
    machine.touch(0)
    machine.protect()
    machine.touch(FOLLOWED)
    if shared:
        machine.share(FOLLOWED)
    machine.follow("")
    machine.reboot()
    machine.mark("reboot")
    return machine


def violation(kernel: Series) -> Fate:
    """Patch 3: B touches a page that A owns. The Ultravisor has "misc", so that patch 7 has no part in it."""
    return _touched_by_b(_old_page(kernel, features="misc"))


def exception(kernel: Series) -> Fate:
    """Patch 4: a normal guest touches a page that A owns."""
    machine = _old_page(kernel)
    return machine.touched_last("the new guest", lambda: machine.touch(FOLLOWED))


def shared_page(kernel: Series) -> Fate:
    """Patch 7: B touches a page that A had shared."""
    return _touched_by_b(_old_page(kernel, shared=True))


def _touched_by_b(machine: _Followed) -> Fate:
    """The next guest goes protected, as B, and touches the page."""
    machine.touch(0)
    machine.protect()
    return machine.touched_last("B", lambda: machine.touch(FOLLOWED))


def forgotten(kernel: Series) -> Fate:
    """Patch 6: A's end comes while B runs, then B's process is killed, and the next owner of the page touches it."""
    machine = _Followed(kernel, features="misc")
    machine.boot()
    machine.touch(0)
    machine.protect()
    machine.reboot()
    machine.touch(0)
    machine.protect()
    machine.touch(FOLLOWED)
    machine.follow("")
    machine.run()
    machine.mark("A is destroyed")
    frame = machine.memory.page(machine.mm.guest.slot(FOLLOWED))
    machine.kill()
    _until(machine, lambda: frame.holder != Holder.MAPPED)
    machine.mark("B's process is killed")
    if frame.holder != Holder.FREE:
        machine.listening = True
        _until(machine, lambda: frame.state == State.NON_SECURE)
        machine.listening = False
        _until(machine, lambda: frame.holder == Holder.FREE)
        machine.stations[-1] = machine.stations[-1]._replace(holder="free")
    return machine.touched_last(
        "the next owner", lambda: machine.observe("next owner", FOLLOWED, machine.reading(frame, "host"))
    )


def _until(machine: _Followed, there: Callable[[], bool]) -> None:
    """Go on, step by step, until it is so; at the latest until nothing is left to do."""
    while machine.tasks and not there():
        machine.step()


_STORIES: Mapping[int, tuple[str, Callable[[Series], Fate]]] = {
    3: ("B touches a page that A, the guest before it, still owns", violation),
    4: ("a normal guest touches a page that A, the guest before it, still owns", exception),
    6: ("A and B are in one address space; first A is destroyed, then B's process is killed", forgotten),
    7: ("B touches a page that A, the guest before it, had shared with the host", shared_page),
}


def fates(number: int, without: Series, with_: Series, story: int | None = None) -> Fates:
    """Follow a page on two kernels.

    Parameters
    ----------
    number : int
        Number of the patch.
    without, with_ : Series
        Kernels without the patch and with it.
    story : int, optional
        Number of the patch of version 1 whose story it is: 3, 4, 6 or 7; default: `number`.

    Returns
    -------
    Fates
    """
    told = number if story is None else story
    scene, follow = _STORIES[told]
    return Fates(number, scene, follow(without), follow(with_), counted=told == 6)


__all__ = ["Fate", "Fates", "Station", "fates"]
