"""A host's memory in plain Python, for tests of the Ultravisor: same protocol as `lazydestroy._core.Memory`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from lazydestroy.page import Page, Record


class PlainMemory:
    """Page frames in a dict: a frame that is not in it is free, non-secure and full of zeros.

    Attributes
    ----------
    pages : int
        Number of frames.
    contexts : int
        How often somebody said that the context of page commands changes.
    recording : bool
        Refuse changes of the context, as a memory does while a page step is learned.
    """

    class ContextChanged(Exception):
        """Somebody changed the context while `recording`."""

    def __init__(self, pages: int) -> None:
        self.pages = pages
        self.contexts = 0
        self.recording = False
        self._records: dict[int, Record] = {}

    def page(self, pfn: int) -> Page:
        """The page with that frame number."""
        return Page(self, pfn)

    def record(self, pfn: int) -> Record:
        """What is known of the page."""
        assert 0 <= pfn < self.pages, f"no frame {pfn:#x}"
        return self._records.get(pfn, Record())

    def set_record(self, pfn: int, record: Record) -> None:
        """Replace what is known of the page."""
        assert 0 <= pfn < self.pages, f"no frame {pfn:#x}"
        self._records[pfn] = record

    def change(self, function: Callable[[Record], Record], start: int = 0, count: int | None = None) -> int:
        """Apply a function to each different record of a range. Returns how many pages' records changed."""
        span = self._range(start, count)
        after = {record: function(record) for record in self.records(start, count)}
        untouched_stay = after.get(Record(), Record()) == Record()
        changed = 0
        for pfn in self._touched(span) if untouched_stay else span:
            before = self.record(pfn)
            self._records[pfn] = after[before]
            changed += after[before] != before
        return changed

    def records(self, start: int = 0, count: int | None = None) -> dict[Record, int]:
        """How many pages of the range have which record."""
        span = self._range(start, count)
        touched = self._touched(span)
        found = Counter(self._records[pfn] for pfn in touched)
        if len(touched) < len(span):
            found[Record()] += len(span) - len(touched)
        return dict(found)

    def _touched(self, span: range) -> list[int]:
        candidates = span if len(span) < len(self._records) else self._records
        return [pfn for pfn in candidates if pfn in span and pfn in self._records]

    def _range(self, start: int, count: int | None) -> range:
        end = self.pages if count is None else start + count
        assert 0 <= start <= end <= self.pages, f"no frames {start:#x} to {end:#x}"
        return range(start, end)

    def context_changed(self) -> None:
        """Note that what page commands depend on, beside the page's record, is about to change."""
        if self.recording:
            raise self.ContextChanged
        self.contexts += 1
