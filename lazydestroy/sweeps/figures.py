"""The numbers of a run that a sweep keeps, with their units."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from ..run import Run
from ..scenarios import cpu_time, cpu_time_of_nobody, cpu_time_of_process, unowned_memory
from ..units import several, shown

Number = int | float | None


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of a run.

    Attributes
    ----------
    unit : str
        "ns", "pages", or "1" for a count and for yes and no.
    words : str
    of : callable
        The number of a `Run`; None if it has none.
    """

    unit: str
    words: str
    of: Callable[[Run], Number]


def _most(column: str) -> Callable[[Run], int]:
    return lambda run: int(run.memory[column].max())


FIGURES: Mapping[str, Figure] = {
    "downtime_ns": Figure("ns", "downtime", lambda run: run.downtime_ns),
    "cleanup_ns": Figure("ns", "until the last old page is clean", lambda run: run.cleanup_ns),
    "exited_ns": Figure("ns", "until wait() on the process returns", lambda run: run.exited_ns),
    "end_ns": Figure("ns", "until the last task is done", lambda run: run.end_ns),
    "longest_hold_ns": Figure("ns", "longest hold of mmap_lock", lambda run: run.longest_hold_ns),
    "kvm_lock_hold_ns": Figure("ns", "longest hold of kvm->lock", lambda run: run.kvm_lock_hold_ns),
    "bystander_wait_ns": Figure(
        "ns", "longest wait of another thread that maps memory", lambda run: max(run.bystander_waits_ns, default=None)
    ),
    "oom_wait_ns": Figure("ns", "waiting while out of memory", lambda run: run.oom_wait_ns),
    "cpu_ns": Figure("ns", "CPU time of all actors", cpu_time),
    "cpu_of_process_ns": Figure("ns", "CPU time of tear-down, of the VM's process", cpu_time_of_process),
    "cpu_of_nobody_ns": Figure("ns", "CPU time of kernel threads", cpu_time_of_nobody),
    "pages": Figure("pages", "pages that the old guest had made secure", lambda run: run.pages),
    "most_unowned": Figure("pages", "most pages of the guest that no process has", lambda run: _unowned(run)),
    "most_set_aside": Figure("pages", "most pages set aside", _most("set_aside")),
    "most_uncleaned": Figure("pages", "most pages not yet clean", _most("uncleaned")),
    "most_donated": Figure("pages", "most pages donated to the Ultravisor", _most("donated")),
    "least_free": Figure("pages", "least free pages", lambda run: int(run.memory["free"].min())),
    "leaked": Figure("pages", "pages leaked", _most("leaked")),
    "swapped": Figure("pages", "pages of the guest written to swap", lambda run: run.swapped),
    "secure_free": Figure("pages", "free pages at the end that no one can use", lambda run: run.secure_free),
    "calls": Figure("1", "Ultravisor Calls", lambda run: run.uvcs.total()),
    "foreground_calls": Figure("1", "Ultravisor Calls until the downtime ends", lambda run: run.foreground.total()),
    "background_calls": Figure("1", "Ultravisor Calls afterwards", lambda run: run.background.total()),
    "noop_calls": Figure("1", "Ultravisor Calls without effect", lambda run: run.noop_uvcs.total()),
    "failed_calls": Figure("1", "Ultravisor Calls that were refused", lambda run: run.failed_uvcs.total()),
    "harmful_calls": Figure("1", "pages of a running guest destroyed", lambda run: run.harmful_uvcs.total()),
    "resets": Figure("1", "resets that were done", lambda run: len(run.downtimes_ns)),
    "events": Figure("1", "lines of the log", lambda run: len(run.events)),
    "oom": Figure("1", "memory ran out (1: yes)", lambda run: run.oom),
    "booted": Figure("1", "the new guest did all that it was to do (1: yes)", lambda run: run.booted),
}
"""By name: attributes of `Run`, or made of them. A sweep keeps all, unless it is told which."""

Chosen = Mapping[str, Callable[[Run], Number]] | tuple[str, ...]
"""Names of `FIGURES`, or functions of a run by a name of the reader's."""


def _unowned(run: Run) -> int:
    return int(unowned_memory(run).max())


def chosen_of(figures: Any) -> Chosen:
    """Read the parameter `figures`.

    Raises
    ------
    ValueError
        If it is neither names of `FIGURES`, nor a mapping of names to functions, nor None; or empty.
    """
    if figures is None:
        return tuple(FIGURES)
    accepted = f"several of {', '.join(FIGURES)}; or a dict of names to functions of a run"
    if isinstance(figures, Mapping):
        if not figures or not all(isinstance(name, str) and callable(of) for name, of in figures.items()):
            raise ValueError(f"figures={shown(figures)}: use {accepted}")
        return dict(figures)
    names = several(figures, "figures", accepted)
    if not names or not all(isinstance(name, str) and name in FIGURES for name in names):
        raise ValueError(f"figures={shown(figures)}: use {accepted}")
    return tuple(dict.fromkeys(names))


def measured(what: Callable[..., Any], chosen: Chosen, inputs: Mapping[str, Any]) -> dict[str, float] | str:
    """Run one point. Returns its numbers, NaN where it has none; or, if it was refused, the reason.

    Raises
    ------
    TypeError
        If `what` returned neither a Run nor a mapping of names to numbers, or a figure has the name of an input.
    """
    try:
        found = what(**inputs)
    except ValueError as error:
        return f"{NOT_ENOUGH_MEMORY}: {error}" if isinstance(error, MemoryError) else str(error)
    if isinstance(found, Run):
        functions = chosen if isinstance(chosen, Mapping) else {name: FIGURES[name].of for name in chosen}
        found = {name: of(found) for name, of in functions.items()}
    if not isinstance(found, Mapping) or not all(isinstance(name, str) for name in found):
        accepted = "return a Run, or a mapping of names to numbers"
        raise TypeError(f"what={shown(what)}: it returned {shown(found)}; {accepted}")
    taken = next((name for name in found if name in inputs or name == "why"), None)
    if taken is not None:
        raise TypeError(
            f"what={shown(what)}: the figure {taken!r} has the name of an input, or of the reasons; rename it"
        )
    return {name: _number(name, value) for name, value in found.items()}


NOT_ENOUGH_MEMORY = "not enough memory"
"""How a reason begins that holds for this computer alone: a larger one may try again."""


def _number(name: str, value: Any) -> float:
    if value is None:
        return math.nan
    if not isinstance(value, Real | np.bool_):
        raise TypeError(f"what: {name} is {shown(value)}; return numbers, and None where there is none")
    return float(value)


__all__ = ["FIGURES", "Chosen", "Figure", "chosen_of", "measured"]
