"""Which fields of a page's record a step looks at, and which it sets.

A record has eleven fields, and a step looks at few of them. To destroy a page, the Ultravisor asks for its state and
its owner, whatever else is known of it. So what a step does is learned for these fields only, and holds for all pages
that look the same in them (`lazydestroy.series.learned`). A set of fields is an int: bit n is field n of `Record`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ..page import Record

EVERY = (1 << len(Record._fields)) - 1
"""All fields."""

BIT = {name: 1 << place for place, name in enumerate(Record._fields)}
"""The set of one field, by its name."""

PRESENT = BIT["holder"] | BIT["mm"]
"""The fields that say whether the guest's table leads to the page."""


class Touched(dict[Any, "tuple[int, int]"]):
    """Which fields of which frames' records were read, and which were set; `Memory.touched` may be one.

    A value is two sets of fields: those that were read and those that were set. Keys are numbers of frames; and
    functions that were applied to every frame by itself, of which both sets are full, as of frames that were looked at
    as a whole.
    """

    def note(self, key: Any, read: int = EVERY, written: int = EVERY) -> None:
        """Add to what is known of a frame."""
        before = self.get(key, (0, 0))
        self[key] = before[0] | read, before[1] | written

    def look(self, pfn: int, record: Record) -> Record:
        """A record is read: the reader gets one that notes which of its fields are."""
        self.note(pfn, 0, 0)
        found = tuple.__new__(_Noted, record)
        found.seen = self.note
        found.pfn = pfn
        return found

    def put(self, pfn: int, record: Record) -> Record:
        """A record is written. If it is that of the same frame with some fields replaced, these have been noted."""
        if not isinstance(record, _Noted):
            self.note(pfn)
            return record
        if record.pfn != pfn:
            self.note(pfn)
            self.note(record.pfn)
        return _copy(record)

    def whole(self, keys: Iterable[Any]) -> None:
        """Several frames are looked at or changed, or all by a function."""
        for key in keys:
            self.note(key)


def unnoted(record: Record) -> Record:
    """A record to be kept: itself; or, if it notes which of its fields are read, one like it that does not. All are."""
    return _plain(record) if isinstance(record, _Noted) else record


Fields = tuple[int, tuple[Any, ...]]
"""A set of fields, and their values."""


def values_of(record: Record, these: int) -> tuple[Any, ...]:
    """The values of some fields."""
    return tuple([value for place, value in enumerate(record) if these >> place & 1])


def replaced(record: Record, fields: Fields) -> Record:
    """A record with some fields replaced."""
    these, values = fields
    names = [name for name, bit in BIT.items() if these & bit]
    return record._replace(**dict(zip(names, values, strict=True)))


def different(one: Record, other: Record) -> int:
    """The fields in which two records differ."""
    return sum(1 << place for place, (mine, its) in enumerate(zip(one, other, strict=True)) if mine != its)


class Alike(dict[int, int]):
    """Of the records that have numbers: the first one that does not differ from another in some fields.

    What has no number, such as a page that is not present, stays what it is.

    Parameters
    ----------
    these : int
        The fields.
    things : list
        What has a number: its place. Some of it are records.
    """

    def __init__(self, these: int, things: list[Any]) -> None:
        super().__init__()
        self.these, self.things = these, things
        self._first: dict[tuple[Any, ...], int] = {}
        self._known = 0

    def __missing__(self, number: int) -> int:
        if number < 0:
            return number
        for place in range(self._known, number + 1):
            if isinstance(self.things[place], Record):
                self[place] = self._first.setdefault(values_of(self.things[place], self.these), place)
        self._known = max(self._known, number + 1)
        return self[number]


class _Noted(Record):
    """A record that notes which of its fields are read and which are replaced: all, if it is used as a tuple."""

    pfn: int
    seen: Callable[..., None]

    def _replace(self, **fields: Any) -> _Noted:
        self.seen(self.pfn, 0, sum(BIT[name] for name in fields))
        found = tuple.__new__(_Noted, Record._replace(_copy(self), **fields))
        found.seen, found.pfn = self.seen, self.pfn
        return found

    def __eq__(self, other: object) -> bool:
        return bool(_plain(self) == other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __lt__(self, other: Any) -> bool:
        return _plain(self) < other

    def __hash__(self) -> int:
        return hash(_plain(self))

    def __iter__(self) -> Iterator[Any]:
        return iter(_plain(self))

    def __getitem__(self, place: Any) -> Any:
        return _plain(self)[place]


def _copy(record: Record) -> Record:
    return tuple.__new__(Record, tuple.__iter__(record))


def _plain(record: _Noted) -> Record:
    """All of its fields are read."""
    record.seen(record.pfn, EVERY, 0)
    return _copy(record)


def _noting(place: int) -> property:
    def get(self: _Noted) -> Any:
        self.seen(self.pfn, 1 << place, 0)
        return tuple.__getitem__(self, place)

    return property(get)


for _name in Record._fields:
    setattr(_Noted, _name, _noting(Record._fields.index(_name)))

__all__ = [
    "BIT",
    "EVERY",
    "PRESENT",
    "Alike",
    "Fields",
    "Touched",
    "different",
    "replaced",
    "unnoted",
    "values_of",
]
