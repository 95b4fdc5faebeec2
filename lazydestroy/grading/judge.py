"""Judge what was handed in: the text of each answer, in a fresh interpreter, with the student's own numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..exercises import NumberExercise, exercise
from ..exercises.patching import PatchExercise
from ..exercises.student import seed_of
from .calculating import text_of
from .handed_in import NOBODY, Cell, HandedIn, needed
from .isolation import Ran, run

PATCH_S = 120
"""Seconds that judging a class may take; a right one takes a few."""

CELLS_S = 60
"""Seconds that the cells of a notebook may take, without those that had to be ended."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What an answer is worth.

    Attributes
    ----------
    problem : str
    share : float
        The part of the points, from 0 to 1.
    said : str
        Why; for the student.
    tries : int
        How often the notebook shows that it was tried; 0 if it does not show it.
    whose : str
        If the notebook does not have the student's own problems: whose it has.
    """

    problem: str
    share: float
    said: str
    tries: int = 0
    whose: str = ""


def judge(handed_in: HandedIn, problems: Iterable[str], student: str) -> dict[str, Mark]:
    """Judge the answers to some problems.

    Parameters
    ----------
    handed_in : HandedIn
    problems : iterable of str
        Names of exercises. One without an answer's cell gets nothing.
    student : str
        Who it is: draws the numbers of the problems, whatever the notebook says. Capitals do not matter.

    Returns
    -------
    dict of str to Mark
    """
    made = {
        name: exercise(name, **({} if name.startswith(_PATCHES) else {"seed": seed_of(student)})) for name in problems
    }
    there = set(handed_in.problems)
    marks = {name: Mark(name, 0.0, f"{name}: the answer's cell is missing.") for name in made if name not in there}
    for name, problem in made.items():
        if name in there and isinstance(problem, PatchExercise):
            marks[name] = _class_judged(name, needed(handed_in.cells, name))
    drawn = {name: each for name, each in made.items() if name in there and isinstance(each, NumberExercise)}
    if drawn:
        marks |= _numbers_judged(handed_in, drawn, student)
    return {name: replace(marks[name], tries=handed_in.tries.get(name, 0)) for name in made}


_PATCHES = ("patch-", "destroy-fast")


# Classes


def _class_judged(name: str, text: str) -> Mark:
    ran = run({"do": "patch", "exercise": name, "text": text}, PATCH_S)
    report = next((each for each in ran.reports if "share" in each), None)
    if report is None:
        return Mark(name, 0.0, f"{name}: {_ENDED.get(ran.ended, _ENDED['left'])}{_printed(ran)}")
    share = min(max(float(report["share"]), 0.0), 1.0)
    return Mark(name, share, str(report["said"]) + _printed(ran))


_ENDED = {
    "time": "your handler did not return in time, and judging it was ended.",
    "left": "your answer has ended Python before it was judged: it took too much memory, or left.",
}


def _printed(ran: Ran) -> str:
    return f"\nIt printed:\n{ran.printed[-2000:]}" if ran.printed.strip() else ""


# Numbers


def _numbers_judged(handed_in: HandedIn, drawn: Mapping[str, NumberExercise], student: str) -> dict[str, Mark]:
    said_by, whose, notes = handed_in.student, "", ""
    if said_by == NOBODY:
        whose = 'The student id in the notebook is still "your student id"'
        said = f"{whose}, so these were not your problems: no points."
        return {name: Mark(name, 0.0, said, whose=f"{whose}: no points.") for name in drawn}
    if said_by and seed_of(said_by) != seed_of(student):
        whose = f"The notebook has the problems of {said_by!r}; these are those of {student!r}."
        notes = f" ({whose})"
    values = _calculated(handed_in.cells, drawn, seed_of(student))
    marks = {name: _number_judged(problem, values.get(name, {}), notes) for name, problem in drawn.items()}
    return {name: replace(mark, whose=whose) for name, mark in marks.items()}


def _number_judged(problem: NumberExercise, found: Mapping[str, Any], notes: str) -> Mark:
    name = problem.name
    because = f" Its cell ends with {found['said']}." if found.get("said") else ""
    if found.get("wrong"):
        return Mark(name, 0.0, f"{name}: {found['wrong']}.{because}{notes}")
    if found.get("value") is None:
        return Mark(name, 0.0, f"{name}: there is no answer.{because}{notes}")
    try:
        feedback = problem.judged(found["value"])
    except ValueError as refused:
        return Mark(name, 0.0, f"{refused}{because}{notes}")
    return Mark(
        name, 1.0 if feedback.right else feedback.share, f"{feedback!r}{because}{'' if feedback.right else notes}"
    )


def _calculated(
    cells: tuple[Cell, ...], drawn: Mapping[str, NumberExercise], student: str
) -> dict[str, dict[str, Any]]:
    """What came of each answer's cell. One that does not end, or ends Python, is left out, and the rest run again."""
    problems = [
        {"name": name, "title": each.title, "text": each.text, "numbers": text_of(each.told)}
        for name, each in drawn.items()
    ]
    lost: dict[int, str] = {}
    while True:
        left = [(number, cell) for number, cell in enumerate(cells) if number not in lost]
        plain = [{"name": cell.name, "text": cell.text} for _, cell in left]
        ran = run({"do": "numbers", "problems": problems, "cells": plain, "seed": student}, CELLS_S)
        values = {each["name"]: each for each in ran.reports if "name" in each}
        if not ran.ended or len(lost) > _MOST_LOST:
            break
        begun = [each["begins"] for each in ran.reports if "begins" in each]
        if not begun:
            break
        number, cell = left[begun[-1]]
        lost[number] = cell.name
        if cell.name:
            values.pop(cell.name, None)
    for name in filter(None, lost.values()):
        values[name] = {"wrong": "its cell did not return in time, or has ended Python"}
    return values


_MOST_LOST = 6
"""Cells that may have to be left out."""

__all__ = ["Mark", "judge"]
