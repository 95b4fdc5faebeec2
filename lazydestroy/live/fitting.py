"""The model's costs, taken from measurements on this computer; and how well it predicts another one."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ..costs import COST_MAX, Costs
from ..page import PAGE_SIZE
from ..rounded import about_duration, counted
from ..run import Run
from ..scenarios import shutdown
from ..series import linux_6_2
from ..units import expect, format_size, several
from .measuring import Exit


@dataclass(frozen=True, slots=True, repr=False)
class Prediction:
    """What the model says of a measurement, and what was measured: CPU time, where the kernel tells that.

    Attributes
    ----------
    measured : Exit
    run : Run
        The same story in the model.
    predicted_ns, measured_ns : int
    """

    measured: Exit
    run: Run
    predicted_ns: int
    measured_ns: int

    @property
    def error(self) -> float:
        """How much too much the model says, as a share of what was measured; below 0: too little."""
        return self.predicted_ns / self.measured_ns - 1

    def __repr__(self) -> str:
        way = "too much" if self.error >= 0 else "too little"
        time = "time" if self.measured.cpu_ns is None else "CPU time"
        said, seen = about_duration(self.predicted_ns), about_duration(self.measured_ns)
        found = f"predicted {said} of {time}, measured {seen}: {abs(self.error):.0%} {way}"
        return f"{format_size(self.measured.size)}: {found}"


@dataclass(frozen=True, slots=True, repr=False)
class Fit:
    """A straight line through measurements: what each page takes to free, and what the rest takes.

    Attributes
    ----------
    page_ns : float
        Nanoseconds for a page of 4 KiB.
    fixed_ns : float
        Nanoseconds for the rest; 0 at least.
    """

    page_ns: float
    fixed_ns: float

    @property
    def costs(self) -> Costs:
        """The model's costs: `free` for each page, `config` for the rest, and nothing else costs anything.

        An ordinary process has no Ultravisor to call, so all that the kernel does to a page counts as freeing it.
        """
        free = {one.name: 0 for one in fields(Costs) if one.name != "retry"}
        return Costs(**{**free, "free": round(self.page_ns), "config": min(round(self.fixed_ns), COST_MAX)})

    def run(self, memory: int | str, *, helper: bool = False) -> Run:
        """The same story in the model, with these costs: a process of that size is killed."""
        return shutdown(memory, kernel=linux_6_2, helper=helper, costs=self.costs)

    def predict(self, measured: Exit) -> Prediction:
        """What the model says of a measurement.

        Raises
        ------
        ValueError
            If it is none.
        """
        expect(Exit, measured, "measured", "what live.exit_time() returns")
        run = self.run(measured.size, helper=measured.helper)
        return Prediction(measured, run, run.cleanup_ns or 0, measured.work_ns)

    def __repr__(self) -> str:
        return f"{self.page_ns:.0f} ns for a page, and {about_duration(round(self.fixed_ns))} besides"


def fit(*measured: Exit) -> Fit:
    """Take costs from measurements of at least two sizes: a straight line through their CPU times (least squares).

    Where the kernel doesn't tell CPU time, the time until the memory is back.

    Parameters
    ----------
    *measured : Exit
        All with a helper, or all without; all with huge pages, or all without.

    Returns
    -------
    Fit

    Raises
    ------
    ValueError
        If the sizes are all the same, the measurements are of different kinds, or a larger size took less time.
    """
    exits: tuple[Any, ...] = several(measured, "measured", "what live.exit_time() returns, at least twice")
    for one in exits:
        expect(Exit, one, "measured", "what live.exit_time() returns")
    if not exits:
        raise ValueError("measured=(): give what live.exit_time() returned for two sizes or more")
    kinds = {(one.helper, one.huge_pages, one.cpu_ns is None, one.machine) for one in exits}
    sizes = {one.size for one in exits}
    if len(sizes) < 2 or len(kinds) > 1:
        given = f"{len(exits)} of {counted(len(sizes), 'sizes')} and {counted(len(kinds), 'kinds')}"
        raise ValueError(f"measured: {given}; give two sizes or more, all with a helper or all without")
    pages = np.array([one.size / PAGE_SIZE for one in exits])
    times = np.array([one.work_ns for one in exits], float)
    slope, rest = np.polyfit(pages, times, 1)
    if slope <= 0:
        raise ValueError("measured: more memory took less time, so other work disturbed this; measure again, times=3")
    if rest < 0:
        slope, rest = float(pages @ times / (pages @ pages)), 0.0
    return Fit(float(slope), float(rest))
