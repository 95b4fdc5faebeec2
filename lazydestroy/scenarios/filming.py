"""A film of the host's pages: which are watched, and what a reader is told of each."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from itertools import groupby

import numpy as np

from ..machine import Machine
from ..page import HELD, Content, Holder, Record, State
from ..run import KINDS, Film

GUEST_CELLS = 64 * 16
REST_CELLS = 64 * 4

_NUMBER = {kind: number for number, kind in enumerate(KINDS)}
_HELD = {
    Holder.FREE: "free",
    Holder.SET_ASIDE: "set aside",
    Holder.DONATED: "donated",
    Holder.OTHER: "other process",
    Holder.LEAKED: "leaked",
}


def cells(pages: int, most: int) -> int:
    """Into how many cells so many pages are cut."""
    return min(pages, most)


def middles(pages: int, most: int) -> Iterator[int]:
    """The page in the middle of each cell."""
    number = cells(pages, most)
    for cell in range(number):
        first, following = cell * pages // number, (cell + 1) * pages // number
        yield (first + following) // 2


@functools.lru_cache(maxsize=64)
def watched(base: int, guest: int, host: int) -> tuple[int, ...]:
    """Frame numbers to watch: of the guest's memory, which begins at frame `base`, then of the rest of the host."""
    rest = (pfn if pfn < base else pfn + guest for pfn in middles(host - guest, REST_CELLS))
    return (*(base + page for page in middles(guest, GUEST_CELLS)), *rest)


def kind_of(record: Record, old: frozenset[int]) -> str:
    """What a page is for a reader: one of `KINDS`. `old`: configurations whose guests are gone."""
    unclean = record.state in HELD and record.owner in old
    if record.holder == Holder.FREE and unclean:
        return "old guest"
    if record.holder != Holder.MAPPED:
        return _HELD[record.holder]
    if unclean:
        return "shared" if record.state == State.SHARED else "old guest"
    cleaned = record.state == State.NON_SECURE and record.content in (Content.ZERO, Content.CIPHERTEXT)
    return "clean" if cleaned else "guest"


def film_of(machine: Machine, base: int) -> Film:
    """The film of a machine that has come to its end, of pages that `watched` chose."""
    times, classes, records = machine.engine.film()
    ends = [(life.ended, handle) for handle, life in machine.lives.items() if life.ended is not None]
    gone = np.searchsorted(sorted(ended for ended, _ in ends), times, side="right").tolist()
    kinds = np.zeros_like(classes)
    frame = 0
    # frames whose classes stand for the same, and that know the same guests to be gone, are told in one go
    for _, alike in groupby(zip(gone, map(id, records), strict=True)):
        first, frame = frame, frame + len(list(alike))
        known, time = records[first], int(times[first])
        old = frozenset(handle for ended, handle in ends if ended <= time)
        number = np.array([0 if record is None else _NUMBER[kind_of(record, old)] for record in known], np.uint8)
        number.take(classes[first:frame], out=kinds[first:frame], mode="clip")  # checks no class: all are known
    guest, host = machine.guest_pages, len(machine.memory)
    return Film(
        times_ns=times - machine.time_zero,
        kinds=kinds,
        guest_cells=cells(guest, GUEST_CELLS),
        rest_cells=cells(host - guest, REST_CELLS),
        guest_pages=guest,
        rest_pages=host - guest,
    )
