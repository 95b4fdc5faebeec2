"""From a machine that has come to its end to a `Run`: what was counted, and series thinned to what can be drawn."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import numpy as np

from .._core import Task
from ..actors import is_waiting
from ..run import MEMORY, timeline_table
from ..ultravisor import Interruption
from ..uvcb import UVC
from .machine import RAISED


def by_command(calls: Counter[Any], outcome: str | None = None) -> Counter[UVC]:
    """Calls by command; with `outcome`, only those of which this became."""
    found: Counter[UVC] = Counter()
    for (command, became), number in calls.items():
        if became != RAISED and outcome in (None, became):
            found[command] += number
    return found


def interruptions_of(tasks: list[Task]) -> dict[str, Counter[Interruption]]:
    """What was raised, by task."""
    found: dict[str, Counter[Interruption]] = {}
    for task in tasks:
        for (interruption, became), number in task.calls.items():
            if became == RAISED:
                found.setdefault(task.name, Counter())[Interruption(interruption)] += number
    return found


ROWS = 3000
"""Rows of a series after thinning, at most."""


def _thinned(times: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Which samples to keep: those where a slope changes by more than a page, thinned evenly if that is too many.

    `times` has shape (n,), `values` (n, columns). Returns a boolean mask of shape (n,).
    """
    keep = np.ones(len(times), bool)
    if len(times) > 2:
        t = times.astype(float)
        expected = values[:-2] + (values[2:] - values[:-2]) * ((t[1:-1] - t[:-2]) / (t[2:] - t[:-2]))[:, None]
        keep[1:-1] = (np.abs(values[1:-1] - expected) > 1).any(axis=1)
    kept = np.flatnonzero(keep)
    if len(kept) > ROWS:
        keep[:] = False
        keep[kept[np.linspace(0, len(kept) - 1, ROWS).round().astype(np.int64)]] = True
    return keep


def memory_of(samples: np.ndarray, zero: int) -> np.ndarray:
    """Samples of shape (n, 9 or more) as an array of `MEMORY`, as many rows as are needed to draw them."""
    samples = samples[np.unique(samples[:, 0], return_index=True)[1]]
    keep = _thinned(samples[:, 0], samples[:, 1:9].astype(float))
    samples = samples[keep]
    rows = np.zeros(len(samples), MEMORY)
    for column, name in enumerate(MEMORY.names or ()):
        rows[name] = samples[:, column]
    rows["time"] -= zero
    return rows


def timeline_of(tasks: list[Task], samples: np.ndarray, zero: int) -> np.ndarray:
    """Stretches of each task's activities, cut where it went faster or slower."""
    samples = samples[np.unique(samples[:, 0], return_index=True)[1]]
    rows: list[tuple[int, int, str, str, int]] = []
    for task in tasks:
        moments = [moment for moment in task.history if moment[1] is None or moment[1]]
        doing: list[str] = []
        for (start, activity, done), following in zip(moments, [*moments[1:], None], strict=True):
            if activity is None:
                doing = doing[:1]
            elif is_waiting(activity):
                doing = [*doing[:1], activity]
            else:
                doing = [activity]
            if following is None or not doing:
                continue
            rows += _stretches(task, start, done, following[0], following[2], doing[-1], samples, zero)
    table = timeline_table(rows)
    return table[np.argsort(table["start"], kind="stable")]


def _stretches(
    task: Task, start: int, done: int, end: int, done_at_end: int, activity: str, samples: np.ndarray, zero: int
) -> list[tuple[int, int, str, str, int]]:
    column = 9 + task.index
    points = [[start, done], [end, done_at_end]]
    if column < samples.shape[1] and done_at_end > done:
        first, last = np.searchsorted(samples[:, 0], start, "right"), np.searchsorted(samples[:, 0], end, "left")
        inside = samples[first:last, (0, column)]
        inside = inside[(inside[:, 1] > done) & (inside[:, 1] < done_at_end)]
        if len(inside):
            marks = np.concatenate((points[:1], inside, points[1:]))
            marks = marks[_thinned(marks[:, 0], marks[:, 1:].astype(float))]
            if len(marks) > 200:
                marks = marks[np.linspace(0, len(marks) - 1, 200).round().astype(np.int64)]
            points = marks.tolist()
    return [
        (a - zero, b - zero, task.name, activity, after - before)
        for (a, before), (b, after) in itertools.pairwise(points)
        if b > a
    ]
