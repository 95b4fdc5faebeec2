"""What nbgrader does otherwise here: it runs no cell that a student has written, and exports points per problem.

``nbgrader_config.py`` names both classes. Where nbgrader would run the whole notebook and believe what the last cell
shows, `JudgeAnswers` has the text of each answer judged elsewhere, and writes down what came out.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal

import nbformat
from nbformat.v4 import new_output
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.plugins.export import ExportPlugin
from nbgrader.preprocessors import Execute
from traitlets import Bool

from ..exercises import EXERCISES
from .handed_in import HandedIn, of_notebook, read
from .judge import Mark, judge
from .sheets import WEIGHTS, kind_of

FINAL = f"final ({sum(WEIGHTS.values())})"
"""Head of the column with the weighted points."""

POINTS = "-points"
"""How the cell is called that holds the points for a problem: the problem's name, and this."""


@cache
def marks_of(handed_in: _Kept, problems: tuple[str, ...], student: str) -> dict[str, Mark]:
    """Judge, or remember: who grades a course judges beforehand, several students at a time."""
    return judge(handed_in.handed_in, problems, student)


class _Kept:
    """What was handed in, equal to another if the same code is."""

    def __init__(self, handed_in: HandedIn) -> None:
        self.handed_in = handed_in

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Kept) and other.handed_in.cells == self.handed_in.cells

    def __hash__(self) -> int:
        return hash(self.handed_in.cells)


def judged(handed_in: HandedIn, problems: tuple[str, ...], student: str) -> dict[str, Mark]:
    """Judge what was handed in, unless the same has been judged before."""
    return marks_of(_Kept(handed_in), problems, student)


def problem_of(cell: Any) -> str:
    """The problem whose points a cell holds; "" for any other cell."""
    marks = cell.metadata.get("nbgrader", {})
    name = str(marks.get("grade_id", ""))
    found = name.removesuffix(POINTS)
    return found if marks.get("grade") and name.endswith(POINTS) and found in EXERCISES else ""


class JudgeAnswers(Execute):
    """Judge the answers; nothing that a student has written is run.

    What a teacher grades, such as an experiment, is shown with the text and the pictures that were handed in. Only a
    notebook with tests of a teacher's own, which give points by themselves, is run.
    """

    enabled = Bool(True).tag(config=True)

    def preprocess(self, nb: Any, resources: Any, **more: Any) -> tuple[Any, Any]:
        """Put what came out under each cell that holds points."""
        held = {problem: cell for cell in nb.cells if (problem := problem_of(cell))}
        about = resources["nbgrader"]
        if any(_tests(cell) for cell in nb.cells):
            nb, resources = super().preprocess(nb, resources, **more)
        elif not held:
            self._show_outputs(nb, about)
        if not held:
            return nb, resources
        marks = judged(of_notebook(nb), tuple(held), about["student"])
        tries = self._tries(about)
        for problem, cell in held.items():
            _write(cell, marks[problem], tries.get(problem, 0))
        return nb, resources

    def _tries(self, about: Any) -> dict[str, int]:
        """How often the notebook, as it was handed in, shows that a problem was tried."""
        file = self._handed_in(about)
        try:
            return read(file).tries if file else {}
        except ValueError:
            return {}

    def _show_outputs(self, nb: Any, about: Any) -> None:
        """Show below each cell what was below the same text when it was handed in: nbgrader has cleared it."""
        file = self._handed_in(about)
        if file is None or not file.exists():
            return
        left = [cell for cell in nbformat.read(file, as_version=4).cells if cell.cell_type == "code"]
        for cell in nb.cells:
            same = next((each for each in left if each.source == cell.source), None)
            if cell.cell_type == "code" and same is not None:
                left.remove(same)
                cell.outputs = list(_harmless(same.outputs))

    def _handed_in(self, about: Any) -> Path | None:
        course = getattr(self.parent, "coursedir", None) or getattr(self.parent.parent, "coursedir", None)
        if course is None:
            return None
        folder = course.format_path(course.submitted_directory, about["student"], about["assignment"])
        return Path(folder, f"{about['notebook']}.ipynb")


def _tests(cell: Any) -> bool:
    """Whether a cell gives points by running, and not for one of our problems."""
    marks = cell.metadata.get("nbgrader", {})
    return bool(cell.cell_type == "code" and marks.get("grade") and not marks.get("solution")) and not problem_of(cell)


def _harmless(outputs: Any) -> Iterator[Any]:
    """Text and pictures: what cannot do anything in a teacher's browser."""
    for output in outputs:
        if output.output_type == "stream":
            yield output
        elif output.output_type in ("display_data", "execute_result"):
            shown = {kind: data for kind, data in output.data.items() if kind in ("text/plain", "image/png")}
            if shown:
                yield new_output("display_data", data=shown)
        elif output.output_type == "error":
            yield new_output("stream", name="stderr", text=f"{output.ename}: {output.evalue}\n")


def _write(cell: Any, mark: Mark, tries: int) -> None:
    """Show what came out as if the cell had: nbgrader reads the points from there."""
    most = float(cell.metadata["nbgrader"]["points"])
    said = mark.said + (f"\nTries that the notebook shows: {tries}." if tries else "") + "\n"
    number = repr(round(most * mark.share, 2))
    cell.execution_count = 1
    cell.outputs = [
        new_output("stream", name="stdout", text=said),
        new_output("execute_result", data={"text/plain": number}, execution_count=1),
    ]


class PointsPerProblem(ExportPlugin):
    """One row a student and one column a problem, as a learning-management system imports it.

    A field is empty if the notebook was not handed in, or the teacher has yet to grade the problem.
    """

    autograded: Path | None = None
    """The course's folder of what was graded; without it, where nbgrader says."""

    def export(self, gradebook: Gradebook) -> None:
        """Write the table."""
        file = Path(self.to or "points.csv")
        columns = list(_columns(gradebook, self.assignment))
        with file.open("w", newline="", encoding="utf-8") as writing:
            table = csv.writer(writing)
            table.writerow(
                ["student_id", "last_name", "first_name", "email", *(head for head, *_ in columns), "total", FINAL]
            )
            for student in gradebook.students:
                if self.student and student.id not in self.student:
                    continue
                points = [
                    _points(gradebook, student.id, assignment, notebook, cell)
                    if self._was_graded(student.id, assignment, notebook)
                    else ""
                    for _, assignment, notebook, cell in columns
                ]
                who = [student.id, student.last_name or "", student.first_name or "", student.email or ""]
                total = round(sum(each for each in points if each != ""), 2)
                table.writerow([*who, *points, total, _final([head for head, *_ in columns], points)])
        self.log.info("Exporting grades to %s", file)

    def _was_graded(self, student: str, assignment: str, notebook: str) -> bool:
        """Whether there is the notebook: for one that is missing, nbgrader notes 0 points."""
        course = getattr(self.parent, "coursedir", None)
        if self.autograded is not None:
            folder = self.autograded / student / assignment
        elif course is not None:
            folder = Path(course.format_path(course.autograded_directory, student, assignment))
        else:
            return True
        return (folder / f"{notebook}.ipynb").exists()


def _final(heads: list[str], points: list[float | Literal[""]]) -> float:
    """All points, weighted by their kinds; what is voluntary doesn't count."""
    given, most = dict.fromkeys(WEIGHTS, 0.0), dict.fromkeys(WEIGHTS, 0.0)
    for head, each in zip(heads, points, strict=True):
        problem, _, worth = head.partition("/")[2].rpartition(" (")
        if kind := kind_of(problem):
            given[kind] += each or 0
            most[kind] += float(worth.rstrip(")"))
    return round(sum(weight * given[kind] / most[kind] for kind, weight in WEIGHTS.items() if most[kind]), 1)


def _columns(gradebook: Gradebook, assignments: list[str]) -> Iterator[tuple[str, str, str, str]]:
    """Heads of columns, and where their points are: assignment, notebook, cell."""
    for assignment in sorted(gradebook.assignments, key=lambda each: each.name):
        if assignments and assignment.name not in assignments:
            continue
        for notebook in sorted(assignment.notebooks, key=lambda each: each.name):
            for cell in notebook.grade_cells:
                head = f"{assignment.name}/{cell.name.removesuffix(POINTS)} ({cell.max_score:g})"
                yield head, assignment.name, notebook.name, cell.name


def _points(gradebook: Gradebook, student: str, assignment: str, notebook: str, cell: str) -> float | Literal[""]:
    """Points for a problem; empty if it was not handed in, or the teacher has yet to grade it."""
    try:
        found = gradebook.find_grade(cell, notebook, assignment, student)
    except MissingEntry:
        return ""
    if found.needs_manual_grade or (found.auto_score is None and found.manual_score is None):
        return ""
    return round(found.score, 2)


__all__ = ["JudgeAnswers", "PointsPerProblem", "judged", "problem_of"]
