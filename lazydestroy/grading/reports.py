"""What one notebook is worth, as text and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..units import shown
from .handed_in import NOBODY, HandedIn, read
from .judge import Mark, judge
from .sheets import SHEETS, Sheet, sheet_with


@dataclass(frozen=True, slots=True)
class Report:
    """The marks of a notebook.

    Attributes
    ----------
    sheet : Sheet
        What was to be done.
    student : str
        Whose problems they were.
    marks : tuple of Mark
        In the sheet's order.
    remarks : tuple of str
        What is unusual about the notebook.
    """

    sheet: Sheet
    student: str
    marks: tuple[Mark, ...]
    remarks: tuple[str, ...]

    def points(self, mark: Mark) -> float:
        """The points for one problem."""
        return round(self.sheet.worth[mark.problem] * mark.share, 2)

    @property
    def given(self) -> float:
        """The points for all."""
        return round(sum(map(self.points, self.marks)), 2)

    @property
    def most(self) -> int:
        """The points that there are."""
        return sum(self.sheet.worth.values())

    def as_json(self) -> dict[str, Any]:
        """All of it, for another program."""
        return {
            "assignment": self.sheet.assignment,
            "notebook": self.sheet.notebook,
            "student": self.student,
            "points": self.given,
            "max_points": self.most,
            "problems": [
                {
                    "name": mark.problem,
                    "points": self.points(mark),
                    "max_points": self.sheet.worth[mark.problem],
                    "tries": mark.tries,
                    "said": mark.said,
                }
                for mark in self.marks
            ],
            "remarks": list(self.remarks),
        }

    def __str__(self) -> str:
        lines = [f"{self.sheet.assignment}/{self.sheet.notebook}, {self.student}: {self.given:g} of {self.most} points"]
        for mark in self.marks:
            tries = f", {mark.tries} tries" if mark.tries > 1 else ""
            lines.append(f"  {mark.problem}: {self.points(mark):g} of {self.sheet.worth[mark.problem]}{tries}")
            lines += [f"    {line}" for line in mark.said.splitlines()]
        return "\n".join([*lines, *(f"  note: {remark}" for remark in self.remarks)])


def graded(file: Path, student: str = "") -> Report:
    """Grade one notebook.

    Parameters
    ----------
    file : Path
    student : str
        Who has handed it in; without it the notebook is believed, and the report says so.

    Returns
    -------
    Report

    Raises
    ------
    ValueError
        If it is no notebook, or answers none of the problems that are handed out.
    """
    handed_in = read(file)
    sheet = sheet_with(handed_in.problems)
    if sheet is None:
        names = ", ".join(each.notebook for each in SHEETS)
        raise ValueError(f"file={shown(str(file))}: it has no answer's cell; hand in one of {names}")
    return report_of(handed_in, sheet, student)


def report_of(handed_in: HandedIn, sheet: Sheet, student: str = "") -> Report:
    """Grade what has been read."""
    remarks = list(handed_in.remarks)
    if not student:
        student = handed_in.student or NOBODY
        if handed_in.student:
            remarks.append(f"{student} is what the notebook says: use --student to say who has handed it in")
    marks = judge(handed_in, sheet.worth, student)
    return Report(sheet, student, tuple(marks[name] for name in sheet.worth), tuple(remarks))


__all__ = ["Report", "graded", "report_of"]
