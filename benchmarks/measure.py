"""Taking times in turns, and printing what came of it."""

from __future__ import annotations

import gc
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import lazydestroy as ld

Measurement = Callable[[], float]
"""Does some work, and returns how long that took, in seconds. What it does before and afterwards does not count."""

HEAD = ("work", "ours", "peer", "ratio", "target", "met?")


class NotHereError(Exception):
    """Something cannot be measured on this computer; the message says why."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table.

    Attributes
    ----------
    work, ours, peer : str
        What is measured, and both results with their units.
    figure : float
        What the target is about: mostly a ratio.
    unit : str
        Of the figure: "×", " bytes", " ms".
    target : float or None
    at_least : bool
        The figure shall be the target or more, not the target or less.
    remark : str
        Something else that must be known; then the target is not met.
    """

    work: str
    ours: str
    peer: str
    figure: float
    unit: str
    target: float | None
    at_least: bool = False
    remark: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None if there is none."""
        if self.target is None:
            return None
        return not self.remark and (self.figure >= self.target if self.at_least else self.figure <= self.target)

    def cells(self) -> tuple[str, ...]:
        """The line, as text."""
        target = "–" if self.target is None else f"{'≥' if self.at_least else '≤'} {self.target:g}{self.unit}"
        met = {None: "–", True: "yes", False: "NO"}[self.met]
        return self.work, self.ours, self.peer, f"{significant(self.figure)}{self.unit}", target, met


def in_turns(ours: Measurement, peer: Measurement, repetitions: int) -> tuple[float, float]:
    """Measure ours, the peer, ours, the peer ... and return the best of each, in seconds.

    A first turn does not count: caches fill, memory is touched for the first time, steps are learned.
    """
    best = [float("inf"), float("inf")]
    for turn in range(repetitions + 1):
        for place, measurement in enumerate((ours, peer)):
            gc.collect()  # nobody shall pay for what another has left
            seconds = measurement()
            if turn:
                best[place] = min(best[place], seconds)
    return best[0], best[1]


def check_done(truth: bool, text: str) -> None:
    """Raise if what is measured has not done the work."""
    if not truth:
        raise AssertionError(f"the work was not done: {text}")


def significant(figure: float) -> str:
    """Three digits, with separators: 0.0123, 1.23, 12.3, 12,300."""
    if figure >= 100:
        return f"{figure:,.0f}"
    return f"{figure:#.3g}".rstrip(".")


def seconds(time: float) -> str:
    """A duration, in a unit that suits it."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if time >= size:
            return f"{significant(time / size)} {unit}"
    return f"{significant(time / 1e-9)} ns"


def table(rows: Sequence[Row]) -> str:
    """All lines, under each other."""
    lines = [HEAD, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    text = ["  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    text.insert(1, "  ".join("─" * width for width in widths))
    return "\n".join([*text, *(f"{row.work}: {row.remark}" for row in rows if row.remark)])


def surroundings() -> str:
    """What the figures were taken on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parts = [f"{_processor()}, {cores} cores", platform.system(), f"Python {platform.python_version()}"]
    parts += [f"{name} {found}" for name in ("lazydestroy", "numpy", "simpy", "Cython") if (found := _version(name))]
    return " · ".join(parts)


def _version(package: str) -> str:
    if package == ld.__name__:
        return ld.__version__
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.machine()
