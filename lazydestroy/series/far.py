"""How far a search gets that is too large to come to its end: what was measured once, and what that lets us expect.

``python -m benchmarks.wide`` measures it anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from importlib.resources import files

import numpy as np

from ..rounded import about_size
from ..tables import html_table

FILE = "far.json"
"""What was measured, in this folder."""


@dataclass(frozen=True, slots=True)
class Far:
    """A search that was ended after some minutes.

    Attributes
    ----------
    kernel : str
    levels : tuple of int
        States that were seen, by the number of actions that it takes to get there.
    complete : int
        How many of these levels, from 0 actions on, are known to be complete.
    dealt_with : int
        States in which all that can happen was tried.
    transitions : int
    seconds, cpu_seconds : float
        What it took; and how long the cores worked for it, those of all processes together.
    memory : int
        Bytes, of all processes together, at the end.
    exhausted : bool
        These are all states that there are.
    broken : str
        How the kernel breaks; empty if it does not.
    """

    kernel: str
    levels: tuple[int, ...]
    complete: int
    dealt_with: int
    transitions: int
    seconds: float
    cpu_seconds: float
    memory: int
    exhausted: bool
    broken: str

    @property
    def states(self) -> int:
        """Different states that were seen."""
        return sum(self.levels)

    @property
    def in_all(self) -> tuple[float, float] | None:
        """How many states there are, at least and at most, as far as we can guess: see `guesses`. None: we can't."""
        if self.exhausted:
            return self.states, self.states
        found = [guess for guess in guesses(self.levels[: self.complete]) if guess > self.states]
        return (min(found), max(found)) if len(found) > 1 else None

    def cells(self) -> tuple[str, ...]:
        """A line of the table."""
        rate = self.transitions / self.cpu_seconds
        time = f"{self.seconds / 60:.0f} min ({self.cpu_seconds / 60:.0f})"
        seen = (self.kernel, time, f"{self.states:,}", str(self.complete - 1), f"{rate:,.0f}", about_size(self.memory))
        if self.broken:
            return (*seen, f"breaks: {self.broken}", "", "")
        if self.in_all is None:
            return (*seen, "can't be told yet", "", "")
        rest = [states / self.dealt_with * self.cpu_seconds for states in self.in_all]
        room = [states / self.states * self.memory for states in self.in_all]
        return (
            *seen,
            _between(self.in_all, 1e6, "million"),
            _between(rest, 3600, "hours"),
            _between(room, 1 << 30, "GiB"),
        )


def guesses(levels: tuple[int, ...]) -> list[float]:
    """How many states there are in all, if the complete levels of a search are these: up to three guesses.

    The levels of a search that comes to its end grow, grow more slowly, and shrink. Each guess takes the last three,
    four or five levels, and goes on with them as a bell curve does, whose logarithm is a parabola. While the growth
    does not slow down, such a curve has no end, and there is no guess.
    """
    found = []
    for last in (3, 4, 5):
        if len(levels) < last:
            continue
        bend, slope, height = np.polyfit(np.arange(last), np.log(levels[-last:]), 2)
        if bend < 0:
            beyond = np.arange(last, last + 200)
            found.append(sum(levels) + float(np.exp(bend * beyond**2 + slope * beyond + height).sum()))
    return found


def _between(ends: Iterable[float], unit: float, word: str) -> str:
    """Both ends in a unit, to two digits: an estimate has no more."""
    numbers = [f"{float(f'{end / unit:.2g}'):,g}" for end in ends]
    return f"{' to '.join(dict.fromkeys(numbers))} {word}"


HEAD = (
    "kernel",
    "time (of CPUs)",
    "states seen",
    "complete up to so many actions",
    "transitions per CPU second",
    "memory",
    "states in all, estimated",
    "CPU time for all",
    "memory for all",
)


class Reached(tuple[Far, ...]):
    """How far some searches got, shown as a table in a notebook."""

    on: str
    machine: str
    bounds: str

    def __repr__(self) -> str:
        lines = [HEAD, *(far.cells() for far in self)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
        return "\n".join(
            [
                *(
                    "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
                    for line in lines
                ),
                self._said,
            ]
        )

    @property
    def _said(self) -> str:
        return f"searched: {self.bounds}; on {self.on}, {self.machine}"

    def _repr_html_(self) -> str:
        table = html_table(HEAD, (map(escape, far.cells()) for far in self))
        return f"{table}<small>{escape(self._said)}</small>"


def how_far() -> Reached:
    """How far some minutes on two cores got, with larger machines than `check` usually searches.

    Returns
    -------
    Reached
        One `Far` for each kernel; `guesses` says how the states in all are estimated.
    """
    stored = json.loads(files(__package__).joinpath(FILE).read_text())
    found = Reached(Far(**{**each, "levels": tuple(each["levels"])}) for each in stored.pop("searches"))
    for name, value in stored.items():
        setattr(found, name, value)
    return found


__all__ = ["FILE", "Far", "Reached", "guesses", "how_far"]
