"""What came of one attempt, and how it is said in few words."""

from __future__ import annotations

from dataclasses import dataclass

from ...run import Event
from ...ultravisor import Interruption
from ...units import format_duration

THE_PAGE, ELSEWHERE, LEFT = PLACES = ("the page", "elsewhere", "in the frame it left")
"""On what an attempt was made."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What became of one attempt to get at a page of a guest that has ended.

    Attributes
    ----------
    accessor : str
        Who: a key of `ACCESSORS`.
    state : str
        The state that the page was to be in, one of `STATES`.
    scenario : {"reboot", "shutdown"}
        How the old guest ended.
    found : str
        What the page was when the attempt began, such as "secure, of A, mapped"; the old guest is A.
    waits : bool
        It was waiting for clean-up then: still the old configuration's, or set aside.
    exceptions : tuple of Interruption
    handlers : tuple of str
        Functions of the kernel that dealt with it, in order.
    uvcs : tuple of str
        Ultravisor Calls that it took, with what became of them.
    where : str
        On what the attempt was made, one of `PLACES`: on the page itself, on another one that has its address now, on
        the frame that it left when it was swapped out. Empty if there was none.
    read : str
        What was read; empty if nothing.
    reads_secret : bool
        That was the old guest's own plaintext, on a page that it had not shared, and the reader was somebody else.
    owner : str
        Owner of the page afterwards: a secure configuration, or the host.
    after : str
        What it is afterwards, such as "non-secure (ciphertext of A), mapped".
    ns : int
        What it took, nanoseconds.
    events : tuple of Event
        What was logged, while the accessor got ready, too.
    note : str
        Why nothing was read, or what else is to be known.
    """

    accessor: str
    state: str
    scenario: str
    found: str
    waits: bool
    exceptions: tuple[Interruption, ...]
    handlers: tuple[str, ...]
    uvcs: tuple[str, ...]
    where: str
    read: str
    reads_secret: bool
    owner: str
    after: str
    ns: int
    events: tuple[Event, ...]
    note: str

    @property
    def touched(self) -> bool:
        """Whether the attempt was made on the page itself."""
        return self.where == THE_PAGE

    @property
    def through(self) -> bool:
        """Whether it got through to the page."""
        return self.touched and bool(self.read)

    @property
    def calls(self) -> tuple[str, ...]:
        """The calls that did something, by what they do to the page."""
        return tuple(_DOES[call] for call in self.uvcs if call in _DOES)

    def __str__(self) -> str:
        """In few words, for a cell of a table."""
        if not self.read:
            return self.short
        return f"{self.short}, {format_duration(self.ns)}; {_OWNERS.get(self.owner, self.owner)}"

    @property
    def short(self) -> str:
        """The same without what it took and who owns the page then."""
        what = ", ".join([*(f"0x{number:X}" for number in self.exceptions), *self.calls])
        place = "" if self.touched else f", {self.where}"
        said = f"{READS.get(self.read, self.read)}{place}" if self.read else self.note
        return f"{what + ': ' if what else ''}{'SECRET, ' if self.reads_secret else ''}{said}"


_DOES = {
    "DESTR_SEC_STOR": "destroy",
    "CONV_FROM_SEC_STOR": "export",
    "CONV_TO_SEC_STOR": "import",
    "PIN_PAGE_SHARED": "pin",
    "CREATE_SEC_CPU": "CPU",
}

READS = {"plaintext of A": "A's plaintext", "ciphertext of A": "ciphertext", "plaintext of B": "own page"}
"""The old guest is always A, the protected one that runs now B. A first import clears the page before B reads it."""

_OWNERS = {"A": "A's", "B": "B's", "host": "host's", "nobody": "gone"}

ENDS = {
    "signal": "process killed",
    "addressing exception": "guest stops",
    "bug": "host kernel stops",
    "endless fault": "faults forever",
    "refused": "does not come up",
}
"""What went wrong, by the kind of event that tells of it."""
