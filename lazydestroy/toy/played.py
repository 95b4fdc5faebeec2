"""What can be done to a toy and to the model beside it, and what comes of it, in a form in which the two compare.

A `Side` is a toy or the model, with everything around it that makes a sequence of operations possible.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

PAGES = 4
"""Pages of the toys' machine, 0 to 3."""


class Operation(NamedTuple):
    """Something that is done: which method or event, for which guest, to which page."""

    verb: str
    guest: str = ""
    page: int = -1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an operation.

    Attributes
    ----------
    said : str
        The answer, in words: "done", "refused", "gets through".
    pages : tuple of str
        Owner of each page afterwards, and whether it is shared: "", "A", "A, shared".
    guests : tuple of str
        Names of the protected guests that exist afterwards; empty where nobody counts them.
    calls : tuple of str
        What it took: exceptions and calls. Only to be shown; two sides may differ in it.
    """

    said: str
    pages: tuple[str, ...]
    guests: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()

    def agrees(self, other: Outcome) -> bool:
        """Whether the two are the same to who cannot see the calls."""
        return (self.said, self.pages, self.guests) == (other.said, other.pages, other.guests)


class Side(Protocol):
    """A toy or the model."""

    def do(self, operation: Operation) -> Outcome:
        """Do it, and say what came of it."""
        ...


class Truth(Side, Protocol):
    """The model, which also knows what can be done next."""

    def allowed(self, operation: Operation) -> bool:
        """Whether the operation makes sense now."""
        ...

    def words(self, operation: Operation) -> str:
        """What the operation is now, as a sentence without its full stop."""
        ...


def owned(page: str) -> str:
    """An entry of `Outcome.pages`, as the end of a sentence that begins with "page 3"."""
    owner, _, shared = page.partition(", ")
    return (f"belongs to {owner}" if owner else "belongs to no guest") + (f" and is {shared}" if shared else "")


__all__ = ["PAGES", "Operation", "Outcome", "Side", "Truth", "owned"]
