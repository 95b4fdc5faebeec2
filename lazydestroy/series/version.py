"""What is told about a version of the series, and how it is shown. `lazydestroy.series.versions` tells it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from html import escape

from ..tables import html_table


@dataclass(frozen=True, slots=True)
class Fact:
    """A sentence or two, and where it comes from.

    Attributes
    ----------
    said : str
    source : str
        A Message-Id, or the first twelve digits of a commit's hash.
    """

    said: str
    source: str

    def __str__(self) -> str:
        return f"{self.said} [{self.source}]"

    @property
    def html(self) -> str:
        """With the source as a link."""
        if "@" in self.source:
            address, name = f"https://lore.kernel.org/r/{self.source}/", "mail"
        else:
            address, name = f"https://git.kernel.org/torvalds/c/{self.source}", self.source
        return f'{_code(self.said)} [<a href="{escape(address)}" title="{escape(self.source)}">{escape(name)}</a>]'


@dataclass(frozen=True, slots=True, repr=False)
class Version:
    """A version of the series.

    Attributes
    ----------
    name : str
        "v1" to "v16".
    turn : str
        What happens in it, in a few words.
    sent : datetime.date
    patches : int
        How many it has.
    message_id : str
        What the Message-Ids of all its mails begin with: the cover letter goes on with "-1-", patch *n* with its number
        plus one.
    changed : tuple of Fact
        What is different from the version before.
    why : tuple of Fact
        Who had objected to what, or what had been found.
    then : tuple of Fact
        What became of it.
    here : str
        What this model has of it.
    """

    name: str
    turn: str
    sent: date
    patches: int
    message_id: str
    changed: tuple[Fact, ...]
    why: tuple[Fact, ...]
    then: tuple[Fact, ...]
    here: str

    @property
    def cover_letter(self) -> str:
        """Message-Id of the cover letter."""
        return f"{self.message_id}-1-imbrenda@linux.ibm.com"

    @property
    def told(self) -> tuple[tuple[str, tuple[Fact, ...]], ...]:
        """The facts, under their headings."""
        return ("changed", self.changed), ("why", self.why), ("then", self.then)

    def __repr__(self) -> str:
        lines = [
            f"{self.name}, {self.sent}, {self.patches} patches: {self.turn}",
            f"  cover letter {self.cover_letter}",
        ]
        for heading, facts in self.told:
            for place, fact in enumerate(facts):
                lines += _hung("" if place else heading, str(fact))
        return "\n".join([*lines, *_hung("here", self.here.replace("``", ""))])


class Versions(tuple[Version, ...]):
    """The versions in order. A notebook shows them as a table, a terminal as text."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "\n\n".join(map(repr, self))

    def _repr_html_(self) -> str:
        return html_table(("version", "what changed", "why", "what became of it", "in this model"), map(_cells, self))


def _cells(version: Version) -> Iterator[str]:
    link = f'<a href="https://lore.kernel.org/r/{version.cover_letter}/">{version.patches} patches</a>'
    yield f"<b>{version.name}</b>: {escape(version.turn)}<br><small>{version.sent}, {link}</small>"
    for _, facts in version.told:
        yield "<br>".join(fact.html for fact in facts)
    yield _code(version.here)


def _code(text: str) -> str:
    """Text as HTML; what is between double backticks is code."""
    return re.sub(r"``([^`]+)``", r"<code>\1</code>", escape(text, quote=False))


def _hung(label: str, text: str) -> list[str]:
    """Lines of a paragraph, beside its label."""
    return textwrap.wrap(
        text.replace("``", ""),
        110,
        initial_indent=f"  {label:<8}",
        subsequent_indent=" " * 10,
        break_long_words=False,
        break_on_hyphens=False,
    )


__all__ = ["Fact", "Version", "Versions"]
