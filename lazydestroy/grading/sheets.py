"""Which notebooks are handed out, which problems they have, and how many points each is worth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sheet:
    """A notebook of an assignment.

    Attributes
    ----------
    assignment, notebook : str
        As nbgrader calls them.
    worth : dict of str to int
        The points for each problem.
    """

    assignment: str
    notebook: str
    worth: Mapping[str, int]


def _sheet(assignment: str, notebook: str, **worth: int) -> Sheet:
    return Sheet(assignment, notebook, {name.replace("_", "-"): points for name, points in worth.items()})


SHEETS = (
    _sheet("predict-and-compute", "1-pages", who_owns=2, which_exception=2, host_reads=2, missing_patch=4),
    _sheet("predict-and-compute", "2-times", reboot_time=2, flat_floor=2, shutdown_wait=2, lock_hold=2, break_even=4),
    _sheet("predict-and-compute", "3-counts", uvc_counts=2, one_in_510=2, donated_storage=2, out_of_memory=4),
    *(_sheet("write-the-patch", f"patch-{n}", **{f"patch_{n}": 20 if n == 8 else 10}) for n in (3, 4, 6, 7, 8, 9)),
    _sheet("write-the-patch", "destroy-fast", destroy_fast=10),
)


WEIGHTS = {"patches": 40, "problems": 20, "experiment": 30}
"""Of a hundred. The ten that are missing are for an explanation, which nothing here knows of."""

VOLUNTARY = ("patch-8", "patch-9")
"""What is for those who want more: it doesn't count."""


def kind_of(problem: str) -> str:
    """Which of the `WEIGHTS` a problem, or a part of an experiment, belongs to; empty if it doesn't count."""
    if problem in VOLUNTARY:
        return ""
    if problem.startswith(("patch-", "destroy-fast")):
        return "patches"
    return "problems" if any(problem in sheet.worth for sheet in SHEETS) else "experiment"


def sheet_with(problems: Iterable[str]) -> Sheet | None:
    """The sheet that has one of these problems: a file may have been renamed. None if there is none."""
    found = set(problems)
    return next((sheet for sheet in SHEETS if found & set(sheet.worth)), None)


__all__ = ["SHEETS", "VOLUNTARY", "WEIGHTS", "Sheet", "kind_of", "sheet_with"]
