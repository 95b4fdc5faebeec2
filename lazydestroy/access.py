"""What became of one access to a page of a guest: what you get for touching or reading it by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from . import units
from .run import Event
from .ultravisor import Interruption


@dataclass(frozen=True, slots=True)
class Access:
    """What became of one access to a page.

    Attributes
    ----------
    accessor : str
    page : int
        Guest page.
    interruptions : tuple of Interruption
        What the hardware raised, in order.
    saw : str
        What was read; empty if the access never succeeded.
    owner : str
        Who owns the page afterwards.
    uvcs : tuple of str
        Ultravisor Calls that it took, with what became of them.
    ns : int
        What it took.
    events : tuple of Event
        What was logged.
    """

    accessor: str
    page: int
    interruptions: tuple[Interruption, ...]
    saw: str
    owner: str
    uvcs: tuple[str, ...]
    ns: int
    events: tuple[Event, ...]

    @property
    def content(self) -> str:
        """What kind of content was read: "zeros", "plaintext", "ciphertext", "host data"; or "nothing"."""
        return self.saw.partition(" of ")[0] or "nothing"

    @property
    def short(self) -> str:
        """What the hardware raised, and whether the access got through."""
        return f"{self._raised}; {self._came}"

    @property
    def _raised(self) -> str:
        return _counted(f"0x{number:X}" for number in self.interruptions) or "no exception"

    @property
    def _came(self) -> str:
        return f"reads {self.saw}" if self.saw else "never gets through"

    def __str__(self) -> str:
        parts = [f"{self.accessor} touches page {self.page}: {self._raised}"]
        if self.uvcs:
            parts.append("calls " + _counted(self.uvcs))
        parts.append(self._came)
        parts.append(f"{units.format_duration(self.ns)}")
        return "; ".join(parts) + "".join(f"\n    {line}" for line in self._logged())

    def _logged(self) -> Iterator[str]:
        """The events; one that comes again and again is written once."""
        times = Counter((event.kind, event.text, event.actor) for event in self.events)
        for event in self.events:
            again = times.pop((event.kind, event.text, event.actor), 0)
            if again:
                yield f"{event}" + (f", {units.format_count(again)} times" if again > 1 else "")

    __repr__ = __str__


def _counted(words: Iterable[str]) -> str:
    """Some words in a row; if they are many, each of them once, and how often."""
    every = tuple(words)
    if len(every) <= _WORDS:
        return ", ".join(every)
    times = Counter(every)
    return ", ".join(word if n == 1 else f"{word} ({units.format_count(n)} times)" for word, n in times.items())


_WORDS = 8
