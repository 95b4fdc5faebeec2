"""How much is done for each row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .case import GIB

TIB = 1 << 40


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is done.

    Attributes
    ----------
    teardown, reboot, model, memory : int
        Bytes of the guest that is torn down, of the one that is rebooted, of the one that slow peers reboot, and of the
        one whose memory is measured.
    exercises : tuple of str
        Patches that are judged.
    search : mapping
        Bounds of the search that differ from those that it has.
    question, loop, held : int
        Bytes of the guest that a question is about, of the one that is rebooted in a loop, and of the one whose run
        keeps other threads waiting.
    exits : int
        Bytes of the process whose end is measured, at most.
    points : int
        Of a sweep of points that do nothing.
    repetitions : int
        Of each measurement; the best counts.
    """

    teardown: int = TIB
    reboot: int = 64 * GIB
    model: int = GIB
    memory: int = TIB
    exercises: tuple[str, ...] = ("patch-3", "patch-4", "patch-6", "patch-7", "patch-8", "patch-9")
    search: Mapping[str, Any] = field(default_factory=dict)
    question: int = 64 * GIB
    loop: int = 8 * GIB
    held: int = 512 * GIB
    exits: int = GIB
    points: int = 10_000
    repetitions: int = 7


FULL = Sizes()
QUICK = Sizes(
    teardown=64 * GIB,
    reboot=4 * GIB,
    model=GIB // 8,
    memory=64 * GIB,
    exercises=("patch-4",),
    search={"failures": ()},
    question=GIB,
    loop=GIB,
    held=64 * GIB,
    exits=GIB // 4,
    points=1000,
    repetitions=3,
)
