"""The same problem on another architecture: a published table, and what the model makes of it.

For Intel TDX, KVM got an ioctl that ends a VM's configuration before its pages are given back (KVM_TDX_TERMINATE_VM).
Its commit message has three measurements of the time to reclaim all memory, before and after. It is the only table of
this kind that we know. Source: commit dcab95e53364, "KVM: TDX: Add sub-ioctl KVM_TDX_TERMINATE_VM", June 2025
(Sean Christopherson, Adrian Hunter). What follows from it here is ours, not the authors'.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from .costs import Costs
from .page import PAGE_SIZE
from .run import Run
from .scenarios import shutdown
from .series import linux_6_2
from .units import whole_number

NS = 1_000_000_000

GIB = 1 << 30
"""The table says GB; here it is read as GiB. With 10^9 bytes each time by the page would be 7 % longer."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A row of the table.

    Attributes
    ----------
    vcpus, gib : int
    before_s, after_s : int
        Seconds to reclaim all memory: page by page while the VM can still run; and after its configuration has ended.
    """

    vcpus: int
    gib: int
    before_s: int
    after_s: int

    @property
    def pages(self) -> int:
        """Pages of 4 KiB."""
        return self.gib * GIB // PAGE_SIZE

    @property
    def before_page_us(self) -> float:
        """Microseconds a page, before."""
        return self.before_s * 1e6 / self.pages

    @property
    def after_page_us(self) -> float:
        """Microseconds a page, after."""
        return self.after_s * 1e6 / self.pages


TDX = (Measured(4, 18, 72, 24), Measured(32, 107, 517, 134), Measured(64, 400, 5539, 467))
"""The published table, by size."""


@dataclass(frozen=True, slots=True)
class Guess:
    """What one explanation, fitted to two rows, says of the third.

    Attributes
    ----------
    explanation : str
    predicted_s, measured_s : float
    """

    explanation: str
    predicted_s: float
    measured_s: float

    @property
    def error(self) -> float:
        """How much too much it says, as a share of what was measured; below 0: too little."""
        return self.predicted_s / self.measured_s - 1


def configuration_first(gib: int, costs: Costs) -> Run:
    """The model's story for the second column: end the configuration, then reclaim its pages one by one.

    That order needs no layer of its own: it is what Linux does on s390 since 6.2 where the Ultravisor has the fast
    call (`linux_6_2`, "as of 2022").
    """
    return shutdown(gib * GIB, kernel=linux_6_2, ultravisor="as of 2022", costs=costs)


def fitted_costs(rows: tuple[Measured, ...]) -> Costs:
    """Fit the cost of a page to some rows of the second column (least squares); nothing else costs anything.

    In the model's run each page is destroyed once, so that cost is `destroy`.
    """
    pages = np.array([row.pages for row in rows], float)
    times = np.array([row.after_s * NS for row in rows], float)
    free = {one.name: 0 for one in fields(Costs) if one.name != "retry"}
    return Costs(**{**free, "destroy": round(float(pages @ times / (pages @ pages)))})


def guess_after(row: int = 2) -> Guess:
    """Fit the model to two rows of the second column, and let it predict the third one.

    Parameters
    ----------
    row : int
        Which row is predicted, 0 to 2.

    Raises
    ------
    ValueError
        If there is no such row.
    """
    row = whole_number(row, "row", 0, len(TDX) - 1)
    run = configuration_first(TDX[row].gib, fitted_costs(TDX[:row] + TDX[row + 1 :]))
    return Guess("each page takes the same", (run.cleanup_ns or 0) / NS, TDX[row].after_s)


EXPLANATIONS: dict[str, Callable[[Measured], float]] = {
    "each page takes the same": lambda row: 0.0,
    "a share for each vCPU: each page makes all of them exit": lambda row: row.vcpus,
    "a share for each GiB: something grows with the size": lambda row: row.gib,
    "a share for each vCPU and GiB: both at once": lambda row: row.vcpus * row.gib,
    "a share for the square of the vCPUs: they get into each other's way": lambda row: row.vcpus**2,
    "a share for the square of the size": lambda row: row.gib**2,
}
"""What could make a page of the first column take longer: a part that all pages share, and one that grows with this."""


def guesses_before() -> tuple[Guess, ...]:
    """Fit each of `EXPLANATIONS` to the first two rows of the first column, and let it predict the third one."""
    first, second, third = TDX
    found = []
    for name, grows in EXPLANATIONS.items():
        step = grows(second) - grows(first)
        slope = (second.before_page_us - first.before_page_us) / step if step else 0.0
        at_first = first.before_page_us if step else (first.before_page_us + second.before_page_us) / 2
        page_us = at_first + slope * (grows(third) - grows(first))
        found.append(Guess(name, page_us * third.pages / 1e6, third.before_s))
    return tuple(found)
