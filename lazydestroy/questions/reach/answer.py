"""The answer to question 2: what the cells of the matrix say together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...costs import Costs
from ...series import Series, v1
from ...units import one_of
from ..answer import Answer, resting_on
from ..common import number_in
from ..question import Question
from ..registry import answering
from .accessors import NEW_GUESTS, ZOMBIE
from .attempt import SCENARIOS, Scenario
from .experiment import reach, reach_matrix
from .outcome import ENDS, READS, Reach
from .shown import chosen, grid, table
from .verdict import agreement, agrees, verdict

SCENARIO_WORDS: Mapping[str, tuple[Scenario, ...]] = {
    "both": SCENARIOS,
    "reboot": ("reboot",),
    "shutdown": ("shutdown",),
}


@answering(2)
def reached(
    question: Question,
    *,
    kernel: Series = v1,
    costs: Costs | None = None,
    features: Any = (),
    scenario: str = "both",
) -> Answer:
    """Every accessor, every state of a page, reboot and shutdown: what he meets, what he reads, what it costs.

    All of it is measured whatever is shown, each cell on a machine of eight pages: reach does not depend on size.

    Parameters
    ----------
    question : Question
    kernel, costs, features
        As for `Machine`.
    scenario : {"both", "reboot", "shutdown"}
        Which part of the matrix is shown.
    """
    scenario = one_of(scenario, SCENARIO_WORDS, "scenario")
    cells = reach_matrix(kernel, costs, features)
    stopped = {number: _without(number, kernel, costs, features) for number in (3, 4)}
    values = {"cells": cells, **_measured(cells), "stopped_without": stopped}
    claims = _claims(cells)
    shown = SCENARIO_WORDS[scenario]
    return Answer(
        question=question,
        said=verdict(cells, values, kernel, shown),
        claims=claims,
        evidence=table(cells, shown),
        agrees=agrees(values),
        agreement=agreement(values, kernel),
        assumptions=resting_on(
            "export",
            "destroy of a shared page",
            "import or unpack of a page of another configuration",
            "import or unpack with the feature",
            "CREATE_SEC_CPU for a configuration",
            "an interruption, its handler",
            "frame for a page fault",
            "exception",
            "touch",
            "fault",
            "refused",
        ),
        pictures=tuple(grid(cells, each) for each in shown),
        values=values,
        parameters={},
    )


def _measured(cells: tuple[Reach, ...]) -> dict[str, Any]:
    """What the verdict is made of, for each scenario."""
    revived = [cell for cell in cells if cell.accessor.startswith(ZOMBIE) and cell.read]
    found: dict[str, Any] = {
        "secrets": sum(cell.reads_secret for cell in cells),
        "zombie_reads": tuple(dict.fromkeys(cell.accessor for cell in revived)),
    }
    for scenario in SCENARIOS:
        waiting = [cell for cell in chosen(cells, scenario, "not yet cleaned") if cell.waits]
        through = [cell for cell in waiting if cell.through]
        found[scenario] = {
            "waits": bool(waiting),
            "mapped": any(cell.found.endswith("mapped") for cell in waiting),
            "through": tuple(cell.accessor for cell in through),
            "stopped": tuple(
                (cell.accessor, cell.state, cell.note)
                for cell in chosen(cells, scenario)
                if cell.waits and cell.note in ENDS.values()
            ),
            "fastest_ns": min((cell.ns for cell in through), default=None),
            "slowest_ns": max((cell.ns for cell in through), default=None),
            "reads": tuple(sorted({READS.get(cell.read, cell.read) for cell in through})),
            "same_frame": tuple(cell.accessor for cell in through if cell.touched and cell.accessor in NEW_GUESTS),
            "after_cleaning": tuple(cell.accessor for cell in chosen(cells, scenario, "cleaned") if cell.through),
        }
    return found


def _claims(cells: tuple[Reach, ...]) -> dict[str, bool]:
    aside = [cell for cell in chosen(cells, "shutdown") if cell.waits]
    again = [cell for cell in chosen(cells, "reboot") if cell.accessor in NEW_GUESTS and cell.state != "swapped"]
    swaps = [cell for cell in cells if cell.accessor == "swap-out" and cell.waits]
    given = [cell for cell in cells if cell.accessor.endswith("given the frame") and cell.state == "not yet cleaned"]
    return {
        "no cell reads what the old guest had not shared": not any(cell.reads_secret for cell in cells),
        "a rebooted guest goes for the same frames again": all(cell.touched for cell in again),
        "at shutdown only the host kernel reaches a page that waits": {
            cell.accessor for cell in aside if cell.through or cell.touched
        }
        <= {"host kernel"},
        "a page that waits can be swapped out in a reboot, and not at shutdown": (
            any(cell.through for cell in swaps) and all(cell.through == (cell.scenario == "reboot") for cell in swaps)
        ),
        "a page that waits is not imported into another VM that the host gives it to": not any(
            cell.through for cell in given if cell.waits
        ),
        "the zombie has no CPU to reach anything with": not any(cell.read for cell in cells if cell.accessor == ZOMBIE),
    }


def _without(number: int, kernel: Series, costs: Costs | None, features: Any) -> str | None:
    """What stops the new guest that patch 3, or 4, is for, if the kernel is without it. None: it has not got it."""
    own = number_in(kernel, number)
    if own is None:
        return None
    accessor = NEW_GUESTS[0] if number == 4 else NEW_GUESTS[1]
    less = kernel.without(own)
    return reach(accessor, "not yet cleaned", "reboot", kernel=less, costs=costs, features=features).note
