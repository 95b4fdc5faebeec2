"""The designs side by side: before the series, version 1, and what Linux has, in one table and one picture."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html import escape
from types import MappingProxyType
from typing import Any

from . import units
from .page import PAGE_SHIFT, PAGE_SIZE
from .run import Run
from .scenarios import reboot, shutdown
from .scenarios.owners import cpu_time_of_nobody, cpu_time_of_process, unowned_memory
from .series import linux_6_2, v1
from .tables import html_table
from .units import format_count, format_duration, format_size

__all__ = ["DESIGNS", "Comparison", "Outcome", "compare"]

_SCENARIOS: Mapping[str, Callable[..., Run]] = {"reboot": reboot, "shutdown": shutdown}

DESIGNS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "before the series": {"kernel": v1.upto(0)},
        "version 1": {"kernel": v1},
        "Linux 6.2": {"kernel": linux_6_2},
        "Linux 6.2, fast call": {"kernel": linux_6_2, "ultravisor": "as of 2022"},
        "Linux 6.2, helper": {"kernel": linux_6_2, "helper": True},
    }
)
"""What is compared, and which parameters of a scenario make it. The helper is there for the shutdown only."""

_CHOSEN = sorted({"memory", *(name for given in DESIGNS.values() for name in given)})
_COMMON = [
    name
    for name in inspect.signature(shutdown).parameters
    if name in inspect.signature(reboot).parameters and name not in _CHOSEN and not name.startswith("_")
]
"""Parameters that both scenarios have and that no design fixes."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one design costs in one scenario.

    Attributes
    ----------
    scenario : str
        "reboot" or "shutdown".
    memory : int
        The guest's, in bytes.
    design : str
        A key of `DESIGNS`.
    downtime_ns, cleanup_ns : int or None
        As in `Run`.
    foreground_calls : int
        Ultravisor Calls until the downtime ends.
    unowned_pages : int
        Pages that no process has, at most (`scenarios.owners.unowned_memory`).
    process_ns, nobody_ns : int
        CPU time of tear-down and clean-up: of the VM's process and its helper; of kernel threads.
    mmap_lock_ns, kvm_lock_ns : int
        The longest time for which ``mmap_lock`` and ``kvm->lock`` were held at a stretch.
    run : Run
    """

    scenario: str
    memory: int
    design: str
    downtime_ns: int | None
    cleanup_ns: int | None
    foreground_calls: int
    unowned_pages: int
    process_ns: int
    nobody_ns: int
    mmap_lock_ns: int
    kvm_lock_ns: int
    run: Run = field(repr=False)

    @classmethod
    def of(cls, design: str, memory: int, run: Run) -> Outcome:
        """What a run shows of a design."""
        return cls(
            scenario=run.scenario,
            memory=memory,
            design=design,
            downtime_ns=run.downtime_ns,
            cleanup_ns=run.cleanup_ns,
            foreground_calls=run.foreground.total(),
            unowned_pages=int(unowned_memory(run).max()),
            process_ns=cpu_time_of_process(run),
            nobody_ns=cpu_time_of_nobody(run),
            mmap_lock_ns=run.longest_hold_ns,
            kvm_lock_ns=run.kvm_lock_hold_ns,
            run=run,
        )

    def cells(self) -> tuple[str, ...]:
        """Its row of the table, one cell for each of `HEAD`."""
        return (
            self.scenario,
            format_size(self.memory),
            self.design,
            _time(self.downtime_ns),
            _time(self.cleanup_ns),
            format_count(self.foreground_calls),
            format_size(self.unowned_pages << PAGE_SHIFT),
            _time(self.process_ns),
            _time(self.nobody_ns),
            _time(self.mmap_lock_ns),
            _time(self.kvm_lock_ns),
        )


HEAD = (
    "",
    "guest",
    "design",
    "downtime",
    "all clean",
    "calls in the foreground",
    "memory of no process",
    "CPU time, process",
    "CPU time, of no process",
    "mmap_lock held",
    "kvm->lock held",
)
"""The columns of the table."""


def _time(ns: int | None) -> str:
    return "never" if ns is None else format_duration(ns)


@dataclass(frozen=True, slots=True, repr=False)
class Comparison:
    """Designs side by side. Shown as a table; `plot` draws the runs on one time scale.

    Attributes
    ----------
    outcomes : tuple of Outcome
        By scenario, then by size, then in the order of `DESIGNS`.
    """

    outcomes: tuple[Outcome, ...]

    def runs(self, scenario: str = "reboot", memory: int | str | None = None) -> dict[str, Run]:
        """The runs of one scenario and one size, by design.

        Parameters
        ----------
        scenario : {"reboot", "shutdown"}
        memory : int or str, optional
            Default: the largest.

        Raises
        ------
        ValueError
            If that was not compared.
        """
        units.one_of(scenario, _SCENARIOS, "scenario")
        there = sorted({each.memory for each in self.outcomes})
        size = there[-1] if memory is None else units.size(memory, "memory")
        if size not in there:
            accepted = ", ".join(map(format_size, there))
            raise ValueError(f"memory={units.shown(memory)}: not compared; use one of {accepted}")
        return {each.design: each.run for each in self.outcomes if (each.scenario, each.memory) == (scenario, size)}

    def plot(self, scenario: str = "reboot", memory: int | str | None = None) -> Any:
        """Draw the timelines of one scenario and one size, one above the other; see `runs` for the parameters."""
        from .plots import plot_timeline

        return plot_timeline(*self.runs(scenario, memory).values())

    def __repr__(self) -> str:
        rows = [HEAD, *(each.cells() for each in self.outcomes)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
        return "\n".join(line.rstrip() for line in lines)

    def _repr_html_(self) -> str:
        return html_table(map(escape, HEAD), (map(escape, each.cells()) for each in self.outcomes))


def compare(*memory: int | str, **given: Any) -> Comparison:
    """Run a reboot and a shutdown on each of the `DESIGNS`, and set what they cost side by side.

    Parameters
    ----------
    *memory : int or str
        Sizes of the guest; 64 GiB if there is none.
    **given
        Parameters that `reboot` and `shutdown` both have, such as ``costs`` or ``used``.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        If a value or a parameter is not accepted.
    NotEnoughMemory
        If this computer has not the memory for a run.

    Examples
    --------
    >>> import lazydestroy as ld
    >>> found = ld.compare("4 GiB")
    >>> {each.design: each.nobody_ns > 0 for each in found.outcomes if each.scenario == "reboot"}
    {'before the series': False, 'version 1': True, 'Linux 6.2': False, 'Linux 6.2, fast call': False}
    """
    if strange := [name for name in given if name not in _COMMON]:
        name = strange[0]
        raise ValueError(f"{name}={units.shown(given[name])}: compare() takes {', '.join(_COMMON)}")
    sizes = [units.size(each, "memory", multiple_of=PAGE_SIZE) for each in memory or ("64 GiB",)]
    return Comparison(
        tuple(
            Outcome.of(design, size, run(size, **chosen, **given))
            for name, run in _SCENARIOS.items()
            for size in dict.fromkeys(sizes)
            for design, chosen in DESIGNS.items()
            if chosen.keys() <= inspect.signature(run).parameters.keys()
        )
    )
