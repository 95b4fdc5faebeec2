"""Grade a whole course with nbgrader: student by student, several at a time, and on after a failure.

    python -m lazydestroy.grading.course my-course

The folder is a course of nbgrader's, with ``source/``, ``submitted/`` and ``nbgrader_config.py``. What was handed in is
left as it is: files are fixed in a copy, ``fixed/``, and the teacher is told what was fixed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .handed_in import ANSWER, read

FIXED = "fixed"
"""The folder with copies of what was handed in."""


@dataclass(slots=True)
class Submission:
    """What a student has handed in for an assignment, and what came of it.

    Attributes
    ----------
    student, assignment : str
    notes : list of str
        What was fixed, and what is missing.
    failed : str
        Why it could not be graded; empty if it was.
    given, most : float
        Points that were given automatically, and that can be.
    """

    student: str
    assignment: str
    notes: list[str] = field(default_factory=list)
    failed: str = ""
    given: float = 0.0
    most: float = 0.0


class Course:
    """A course of nbgrader's.

    Parameters
    ----------
    folder : Path

    Raises
    ------
    ValueError
        If it is none.
    """

    def __init__(self, folder: Path) -> None:
        for name in ("nbgrader_config.py", "source", "submitted"):
            if not (folder / name).exists():
                raise ValueError(f"course={str(folder)!r}: there is no {name} in it; see the teacher's guide, Grading")
        self.folder = folder.resolve()

    def assignments(self) -> list[str]:
        """The assignments that have a source."""
        return sorted(path.name for path in (self.folder / "source").iterdir() if path.is_dir())

    def notebooks(self, assignment: str) -> list[str]:
        """The notebooks of an assignment, without their ending."""
        return sorted(path.stem for path in (self.folder / "source" / assignment).glob("*.ipynb"))

    def submissions(self) -> list[Submission]:
        """All that was handed in."""
        known = self.assignments()
        return [
            Submission(student.name, assignment)
            for student in sorted((self.folder / "submitted").iterdir())
            if student.is_dir()
            for assignment in known
            if (student / assignment).is_dir()
        ]

    # Fixing

    def fix(self, submission: Submission) -> None:
        """Copy what was handed in, each file under the name that nbgrader looks for."""
        there = self.folder / "submitted" / submission.student / submission.assignment
        copy = self.folder / FIXED / submission.student / submission.assignment
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(there, copy, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
        expected = self.notebooks(submission.assignment)
        for file in sorted(copy.glob("*.ipynb")):
            try:
                _read_as_nbgrader_does(file)
                submission.notes += [f"{file.name}: {said}" for said in _unmark_copies(file)]
            except ValueError as error:
                submission.notes.append(f"{file.name} cannot be read: {error}")
                file.unlink()
        missing = [name for name in expected if not (copy / f"{name}.ipynb").exists()]
        for file in sorted(copy.glob("*.ipynb")):
            if file.stem in expected:
                continue
            meant = next((name for name in missing if self._is_meant(file, submission.assignment, name)), None)
            if meant is None:
                submission.notes.append(f"{file.name} is no notebook of this assignment, or there twice: not graded")
                continue
            file.rename(copy / f"{meant}.ipynb")
            missing.remove(meant)
            submission.notes.append(f"{file.name} was graded as {meant}.ipynb")
        submission.notes += [f"{name}.ipynb is missing" for name in missing]
        if len(missing) == len(expected):
            submission.failed = "there is no notebook of this assignment that can be read"
        for name in set(expected) - set(missing):
            source = self.folder / "source" / submission.assignment / f"{name}.ipynb"
            submission.notes += [
                f"{name}.ipynb: the cell {lost} was missing, and has been put back"
                for lost in _put_back(copy / f"{name}.ipynb", source)
            ]

    def _is_meant(self, file: Path, assignment: str, name: str) -> bool:
        """Whether a file has the cells that students answer in a notebook."""
        wanted = _answer_cells(self.folder / "source" / assignment / f"{name}.ipynb")
        return bool(wanted & _answer_cells(file))

    # Grading

    def grade(self, jobs: int) -> list[Submission]:
        """Grade everything."""
        api = self._nbgrader()
        self._release(api)
        submissions = self.submissions()
        for submission in submissions:
            self.fix(submission)
        self._judge(submissions, jobs)
        for submission in submissions:
            if submission.failed:
                continue
            done = api.autograde(submission.assignment, submission.student)
            if not done["success"]:
                submission.failed = _reason(done)
        self._read_points(api, submissions)
        return submissions

    def _nbgrader(self) -> Any:
        from nbgrader.apps.api import NbGraderAPI
        from traitlets.config.loader import PyFileConfigLoader

        # nbgrader starts a program of a library that it needs: it must be found where Python's programs are
        os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
        config = PyFileConfigLoader("nbgrader_config.py", path=str(self.folder)).load_config()
        config.CourseDirectory.root = str(self.folder)
        config.CourseDirectory.submitted_directory = FIXED
        config.CourseDirectory.db_url = f"sqlite:///{self.folder / 'gradebook.db'}"
        config.NbGraderAPI.log_level = "ERROR"
        return NbGraderAPI(config=config)

    def _release(self, api: Any) -> None:
        """Tell nbgrader's data base of the assignments that it does not know."""
        for assignment in self.assignments():
            if not (self.folder / "release" / assignment).is_dir():
                done = api.generate_assignment(assignment)
                if not done["success"]:
                    raise ValueError(f"nbgrader cannot make the students' version of {assignment}: {_reason(done)}")

    def _judge(self, submissions: list[Submission], jobs: int) -> None:
        """Judge all answers beforehand, several students at a time: nbgrader takes one after the other."""
        from .for_nbgrader import judged

        def judge(student: str, file: Path, problems: tuple[str, ...]) -> None:
            judged(read(file), problems, student)

        with ThreadPoolExecutor(jobs) as pool:
            running = {}
            for submission in submissions:
                for name in self.notebooks(submission.assignment):
                    file = self.folder / FIXED / submission.student / submission.assignment / f"{name}.ipynb"
                    source = self.folder / "source" / submission.assignment / f"{name}.ipynb"
                    if file.exists() and (problems := _points_cells(source)):
                        running[pool.submit(judge, submission.student, file, problems)] = (submission, name)
            for job, (submission, name) in running.items():
                if error := job.exception():
                    submission.notes.append(f"{name}.ipynb: judging it failed: {type(error).__name__}: {error}")

    def _read_points(self, api: Any, submissions: list[Submission]) -> None:
        for submission in submissions:
            with api.gradebook as book:
                if submission.failed:
                    book.update_or_create_student(submission.student)
                    continue
                found = book.find_submission(submission.assignment, submission.student)
                submission.given, submission.most = round(found.score, 2), found.max_score
                waiting = sum(grade.needs_manual_grade for each in found.notebooks for grade in each.grades)
            if waiting:
                submission.notes.append(f"{waiting} answers are for you to grade")

    def export(self) -> None:
        """Write the points per problem."""
        from .for_nbgrader import PointsPerProblem

        api = self._nbgrader()
        with api.gradebook as book:
            PointsPerProblem(to=str(self.folder / "points.csv")).export(book)


def _read_as_nbgrader_does(file: Path) -> None:
    import nbformat

    try:
        nbformat.read(file, as_version=nbformat.current_nbformat)
        read(file)
    except Exception as error:
        raise ValueError(f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}") from None


def _unmark_copies(file: Path) -> list[str]:
    """Of cells that were copied, let the last one count: nbgrader would stop at the others. Returns what was done."""
    notebook = json.loads(file.read_text(encoding="utf-8"))
    seen: set[str] = set()
    copies: list[str] = []
    for cell in reversed(notebook["cells"]):
        marks = cell["metadata"].get("nbgrader")
        name = (marks or {}).get("grade_id", "")
        if marks is not None and (not name or name in seen):
            del cell["metadata"]["nbgrader"]
            copies.append(f"{name} is there more than once, and the last one counts" if name else "")
        seen.add(name)
    if copies:
        file.write_text(json.dumps(notebook), encoding="utf-8")
    return sorted(filter(None, copies))


def _put_back(file: Path, source: Path) -> list[str]:
    """Put cells with points back that a student has removed, at the end. Returns their names."""
    notebook = json.loads(file.read_text(encoding="utf-8"))
    there = {name for name, _ in _grade_ids(file)}
    lost = [
        cell
        for cell in json.loads(source.read_text(encoding="utf-8"))["cells"]
        if (marks := cell["metadata"].get("nbgrader") or {}).get("grade") and marks["grade_id"] not in there
    ]
    if lost:
        notebook["cells"] += [{**cell, "id": f"{cell.get('id', 'cell')}-again"} for cell in lost]
        file.write_text(json.dumps(notebook), encoding="utf-8")
    return [cell["metadata"]["nbgrader"]["grade_id"] for cell in lost]


def _grade_ids(file: Path) -> Iterator[tuple[str, bool]]:
    for cell in json.loads(file.read_text(encoding="utf-8"))["cells"]:
        marks = cell["metadata"].get("nbgrader") or {}
        if marks.get("grade_id"):
            yield marks["grade_id"], bool(marks.get("solution"))


def _answer_cells(file: Path) -> set[str]:
    return {name for name, solution in _grade_ids(file) if solution}


def _points_cells(file: Path) -> tuple[str, ...]:
    """The problems whose points a source has a cell for, in its order."""
    from .for_nbgrader import POINTS

    answers = {name.removesuffix(ANSWER) for name, _ in _grade_ids(file) if name.endswith(ANSWER)}
    held = (name.removesuffix(POINTS) for name, _ in _grade_ids(file) if name.endswith(POINTS))
    return tuple(name for name in held if name in answers)


def _reason(done: Any) -> str:
    """The last line of what nbgrader says of a failure."""
    lines = [line for line in f"{done.get('error') or ''}\n{done.get('log') or ''}".splitlines() if line.strip()]
    errors = [line for line in lines if "Error" in line or ("ERROR" in line and "see the" not in line)]
    return ((errors or lines or ["no reason given"])[-1]).strip()[-300:]


def table(submissions: list[Submission]) -> str:
    """What was given, a line a submission, and below it what is to be known."""
    lines = []
    for each in submissions:
        points = f"FAILED: {each.failed}" if each.failed else f"{each.given:g} of {each.most:g}"
        lines.append(f"{each.student:20} {each.assignment:22} {points}")
        lines += [f"    {note}" for note in each.notes]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Grade a course, print a table, and write ``points.csv`` into its folder."""
    parser = argparse.ArgumentParser(
        prog="python -m lazydestroy.grading.course", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("course", type=Path)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many answers to judge at a time")
    given = parser.parse_args(arguments)
    warnings.filterwarnings("ignore", module=r"nbgrader\.")  # what nbgrader's data base thinks of nbgrader
    try:
        course = Course(given.course)
        submissions = course.grade(max(given.jobs, 1))
    except ValueError as refused:
        print(refused, file=sys.stderr)
        return 2
    print(table(submissions))
    course.export()
    failed = [each for each in submissions if each.failed]
    print(f"\n{len(submissions) - len(failed)} submissions graded, {len(failed)} failed; points.csv has each problem.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
