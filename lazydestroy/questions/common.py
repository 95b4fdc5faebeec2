"""What the experiments on several questions share: words for kernels, and series of a run as lines."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..actors import ASYNC_CLEANUP, IN_BACKGROUND, is_a
from ..page import PAGE_SHIFT
from ..run import Run
from ..series import Series, v1
from .pictures import Line

BEFORE = v1.upto(0)
"""The kernel before the series."""

POINTS = 200
"""Points of a line, at most."""


def kernel_words(kernel: Series, lazy_destroy: bool | None = None) -> str:
    """A kernel, to be put behind "with": "v1", "v1, lazy_destroy=0", "the kernel before the series"."""
    name = kernel.name if kernel.layers else "the kernel before the series"
    return name if lazy_destroy is None else f"{name}, lazy_destroy={int(lazy_destroy)}"


def number_in(kernel: Series, number: int) -> int | None:
    """The number that a kernel has for a patch of version 1, which may be another one; None if it has not got it."""
    layer = v1[number].layer
    return next((each.number for each in kernel.layers if each.number is not None and issubclass(each, layer)), None)


def has(kernel: Series, function: str) -> bool:
    """Whether one of the kernel's patches brings or changes a function."""
    return any(hasattr(layer, function) for layer in kernel.layers)


def prepares(kernel: Series) -> bool:
    """Whether userspace sets configurations aside and cleans up after them, as since Linux 6.2."""
    return has(kernel, "kvm_pv_async_cleanup_prepare")


def cleans_up(actor: str) -> bool:
    """Whether an actor is a thread that cleans up in the background: the kernel's, or QEMU's with PERFORM."""
    return is_a(actor, *IN_BACKGROUND)


def named(actor: str) -> str:
    """An actor, to be put behind "the": "clean-up thread", "async_cleanup thread"."""
    return actor.replace(ASYNC_CLEANUP, f"{ASYNC_CLEANUP} thread")


def listed(words: Iterable[str]) -> str:
    """Write several things: "a, b and c"."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def memory_line(run: Run, column: str, name: str, look: str = "") -> Line:
    """A column of ``run.memory`` over time, in bytes."""
    rows = run.memory
    if len(rows) > POINTS:
        rows = rows[np.unique(np.linspace(0, len(rows) - 1, POINTS).round().astype(np.int64))]
    points = tuple((int(row["time"]), int(row[column]) << PAGE_SHIFT) for row in rows)
    return Line(name, points, look)


def to_the_end(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    """Let every line go on to the end of the longest one: nothing changes any more."""
    last = max((line.points[-1][0] for line in lines if line.points), default=0)
    return tuple(
        Line(line.name, (*line.points, (last, line.points[-1][1])), line.look, line.stepped) if line.points else line
        for line in lines
    )


def when_free(run: Run, pages: int, after: int) -> int | None:
    """When as many pages are free as one asks for, at or after a moment, in nanoseconds. None: never."""
    rows = run.memory[run.memory["time"] >= after]
    enough = np.flatnonzero(rows["free"] >= pages)
    if not len(enough):
        return None
    place = int(enough[0])
    if place == 0:
        return int(rows["time"][0])
    (then, had), (now, has) = ((int(rows["time"][i]), int(rows["free"][i])) for i in (place - 1, place))
    return now - (now - then) * (has - pages) // max(has - had, 1)
