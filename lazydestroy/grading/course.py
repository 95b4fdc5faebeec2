"""Grade a whole course with nbgrader: student by student, several at a time, and on after a failure.

    python -m lazydestroy.grading.course my-course

The folder is a course of nbgrader's, with ``source/``, ``submitted/`` and ``nbgrader_config.py``. What was handed in is
left as it is: files are fixed in a copy, ``fixed/``, and the teacher is told what was fixed. What has not changed since
it was graded is not graded again.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import time
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ..rounded import counted
from ..saying import program, say
from . import pages
from .fixing import fix, worth_of
from .graded import Graded
from .handed_in import read
from .judge import Mark

FIXED = "fixed"
"""The folder with copies of what was handed in."""

_NOT_IN_NAMES = "*?[\n\r"
"""What nbgrader takes for a pattern in the name of a folder, and what it does not find."""


@dataclass(slots=True)
class Submission:
    """What a student has handed in for an assignment, and what came of it.

    Attributes
    ----------
    student, assignment : str
    notes : list of str
        What was fixed, what is missing, whose problems they are, why there are no points, and how often was tried.
    waiting : int
        Answers that the teacher has yet to grade.
    unreadable : list of str
        Names of the files that are no notebooks.
    failed : str
        Why it could not be graded; empty if it was.
    unchanged : bool
        Whether it was graded before, and nothing has changed since.
    given, most : float
        Points that were given, and that there are. If it could not be graded: those of before, which are kept.
    """

    student: str
    assignment: str
    notes: list[str] = field(default_factory=list)
    waiting: int = 0
    unreadable: list[str] = field(default_factory=list)
    failed: str = ""
    unchanged: bool = False
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

    def students(self) -> list[str]:
        """All who have a folder in ``submitted``."""
        return sorted(path.name for path in (self.folder / "submitted").iterdir() if path.is_dir())

    def submissions(self, students: Collection[str] = (), assignments: Collection[str] = ()) -> list[Submission]:
        """What was handed in, by some students and for some assignments; without names: by all, for all.

        Raises
        ------
        ValueError
            If there is no such student or assignment.
        """
        for parameter, asked, known in (
            ("student", students, self.students()),
            ("assignment", assignments, self.assignments()),
        ):
            for name in asked:
                if name not in known:
                    raise ValueError(f"{parameter}={name!r}: use one of {', '.join(known) or 'those handed in: none'}")
        return [
            Submission(student, assignment)
            for student in students or self.students()
            for assignment in assignments or self.assignments()
            if (self.folder / "submitted" / student / assignment).is_dir()
        ]

    def misplaced(self) -> list[str]:
        """Say which notebooks lie where nobody looks for them."""
        submitted = self.folder / "submitted"
        known = self.assignments()
        said = [
            f"{file.name} lies in submitted itself: put it into STUDENT/ASSIGNMENT" for file in _files_in(submitted)
        ]
        for student in self.students():
            for file in _files_in(submitted / student):
                there = [name for name in known if file.stem.partition(" (")[0] in self.notebooks(name)]
                said.append(f"{student}/{file.name} lies in no assignment's folder{_perhaps(there, student)}")
            for folder in sorted(path for path in (submitted / student).iterdir() if path.is_dir()):
                if folder.name not in known and not folder.name.startswith("."):
                    close = get_close_matches(folder.name, known, n=1)
                    said.append(f"{student}/{folder.name} is no assignment{_perhaps(close, student)}")
        return said

    # Grading

    def grade(
        self,
        jobs: int,
        students: Collection[str] = (),
        assignments: Collection[str] = (),
        again: bool = False,
        solutions: bool = False,
    ) -> list[Submission]:
        """Grade what is new or has changed, or all of it again, and write the feedback."""
        submissions = self.submissions(students, assignments)
        api = self._nbgrader()
        self._release(api)
        self._forget_withdrawn(api)
        graded = Graded(self.folder)
        for submission in submissions:
            kept = None if again else graded.notes(submission.student, submission.assignment)
            if kept is not None and self._has_grades(api, submission):
                submission.notes, submission.unchanged = kept, True
        changed = [each for each in submissions if not each.unchanged]
        for submission in changed:
            graded.forget(submission.student, submission.assignment)
            self.fix(submission)
        self._judge(changed, jobs)
        for submission in changed:
            if submission.failed:
                continue
            done = api.autograde(submission.assignment, submission.student)
            if not done["success"]:
                submission.failed = _reason(done)
            elif not submission.unreadable:
                graded.keep(submission.student, submission.assignment, submission.notes)
        graded.save()
        self._read_points(api, submissions)
        with api.gradebook as book:
            for submission in submissions:
                pages.write(self.folder, book, submission, self.notebooks(submission.assignment), solutions)
        pages.remove_withdrawn(self.folder, self.assignments())
        return submissions

    def fix(self, submission: Submission) -> None:
        """Copy what was handed in, each file under the name that nbgrader looks for."""
        there = self.folder / "submitted" / submission.student / submission.assignment
        copy = self.folder / FIXED / submission.student / submission.assignment
        shutil.rmtree(copy, ignore_errors=True)
        links = (path.name for path in sorted(there.rglob("*")) if path.is_symlink())
        submission.notes += [f"{name} is a link, which is not followed: put the file itself there" for name in links]
        try:
            shutil.copytree(there, copy, ignore=_not_followed)
        except shutil.Error as error:
            submission.notes += [f"{Path(file).name} cannot be copied ({why})" for file, _, why in error.args[0]]
        fixed = fix(copy, self.folder / "source" / submission.assignment)
        submission.notes += fixed.notes
        submission.unreadable = fixed.unreadable
        if set(submission.student) & set(_NOT_IN_NAMES):
            submission.failed = f"nbgrader cannot work with {submission.student!r}: rename the folder"
        elif not fixed.notebooks:
            submission.failed = "there is no notebook of this assignment that can be read"

    def _has_grades(self, api: Any, submission: Submission) -> bool:
        from nbgrader.api import MissingEntry

        if not (self.folder / "autograded" / submission.student / submission.assignment).is_dir():
            return False
        with api.gradebook as book:
            try:
                book.find_submission(submission.assignment, submission.student)
            except MissingEntry:
                return False
        return True

    def _forget_withdrawn(self, api: Any) -> None:
        """Take the points away of what is no longer there."""
        with api.gradebook as book:
            known = [
                (each.assignment.name, each.student.id) for every in book.assignments for each in every.submissions
            ]
            for assignment, student in known:
                if not (self.folder / "submitted" / student / assignment).is_dir():
                    book.remove_submission(assignment, student)

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

        def judge(student: str, file: Path, worth: dict[str, float]) -> list[str]:
            return list(_to_know(judged(read(file), tuple(worth), student).values(), worth))

        with ThreadPoolExecutor(jobs) as pool:
            running = {}
            for submission in submissions:
                for name in self.notebooks(submission.assignment):
                    file = self.folder / FIXED / submission.student / submission.assignment / f"{name}.ipynb"
                    source = self.folder / "source" / submission.assignment / f"{name}.ipynb"
                    if file.is_file() and (worth := worth_of(source)):
                        running[pool.submit(judge, submission.student, file, worth)] = (submission, name)
            for job, (submission, name) in running.items():
                try:
                    submission.notes += [f"{name}.ipynb: {said}" for said in job.result()]
                except Exception as error:
                    submission.notes.append(f"{name}.ipynb: judging it failed: {type(error).__name__}: {error}")

    def _read_points(self, api: Any, submissions: list[Submission]) -> None:
        from nbgrader.api import MissingEntry

        for submission in submissions:
            with api.gradebook as book:
                if submission.failed:
                    book.update_or_create_student(submission.student)
                try:
                    found = book.find_submission(submission.assignment, submission.student)
                except MissingEntry:
                    if submission.failed:
                        continue
                    raise
                submission.given, submission.most = round(found.score, 2), found.max_score
                submission.waiting = sum(grade.needs_manual_grade for each in found.notebooks for grade in each.grades)

    def export(self) -> None:
        """Write the points per problem."""
        from .for_nbgrader import PointsPerProblem

        api = self._nbgrader()
        with api.gradebook as book:
            table = PointsPerProblem(to=str(self.folder / "points.csv"))
            table.autograded = self.folder / "autograded"
            table.export(book)


def _not_followed(folder: str, names: list[str]) -> list[str]:
    """Of what is in a folder: what JupyterLab keeps for itself, and links, which may lead anywhere."""
    return [name for name in names if name == ".ipynb_checkpoints" or Path(folder, name).is_symlink()]


def _reason(done: Any) -> str:
    """The last error that nbgrader tells of a failure."""
    lines = [line for line in f"{done.get('error') or ''}\n{done.get('log') or ''}".splitlines() if line.strip()]
    told = [line for line in lines if "see the" not in line]
    raised = [line for line in told if re.match(r"\s*[\w.]+(Error|Exception)\b", line)]
    logged = [line for line in told if "ERROR" in line]
    return ((raised or logged or lines or ["no reason given"])[-1]).strip()[-300:]


def _to_know(marks: Iterable[Mark], worth: Mapping[str, float]) -> Iterator[str]:
    """What the teacher should know of a notebook's marks: why points are missing, above all."""
    marks = list(marks)
    yield from dict.fromkeys(mark.whose for mark in marks if mark.whose)
    for mark in marks:
        if mark.share < 1:
            points = f"{worth[mark.problem] * mark.share:.4g} of {worth[mark.problem]:g}" if mark.share else "no points"
            yield f"{points} for {mark.problem}: {_because(mark)}"
    if tries := ", ".join(f"{mark.problem} {mark.tries}" for mark in marks if mark.tries):
        yield f"tries that it shows: {tries}"


def _because(mark: Mark) -> str:
    """Why an answer has less than all points, in a line: what was said first, how it breaks, or what is missing."""
    lines = list(filter(None, map(str.strip, mark.said.splitlines())))
    first = re.sub(rf"^{re.escape(mark.problem)}\b.*?: (not yet[^.]*\. )?", "", lines[0]) if lines else ""
    breaks = next((line for line in lines if line.startswith("=>")), "")
    hint = next((line.removeprefix("* ") for line in lines if line.startswith("* ")), "")
    told = " ".join(filter(None, (first, breaks or hint)))
    return told if len(told) <= _LONGEST_REASON else f"{told[:_LONGEST_REASON]} …"


_LONGEST_REASON = 320


def _files_in(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.ipynb"))


def _perhaps(assignments: list[str], student: str) -> str:
    meant = " or ".join(f"{student}/{name}" for name in assignments)
    return f": did you mean {meant}?" if meant else ""


def table(submissions: list[Submission]) -> str:
    """What was given, a line a submission, and below it what is to be known."""
    lines = []
    for each in submissions:
        points = f"FAILED: {each.failed}" if each.failed else f"{each.given:g} of {each.most:g}"
        unchanged = " (unchanged)" if each.unchanged else ""
        name = each.student if each.student.isprintable() else repr(each.student)
        lines.append(f"{name:20} {each.assignment:22} {points}{unchanged}")
        if each.failed and each.most:
            lines.append(f"    points.csv keeps the {each.given:g} of {each.most:g} from before")
        lines += [f"    {note}" for note in each.notes]
        if each.waiting:
            lines.append(f"    {counted(each.waiting, 'answers')} for you to grade")
    return "\n".join(lines)


def summary(submissions: list[Submission], seconds: float) -> str:
    """How many were graded and how many were not, in a sentence or two."""
    failed = sum(bool(each.failed) for each in submissions)
    unchanged = sum(each.unchanged for each in submissions)
    graded = f"{counted(len(submissions) - failed, 'submissions')} graded"
    said = f"{graded}{f' ({unchanged} unchanged)' if unchanged else ''}, {failed} failed, in {seconds:.0f} s"
    lost = [f"{each.student}/{each.assignment}/{name}" for each in submissions for name in each.unreadable]
    if lost:
        said += f"; {counted(len(lost), 'notebooks')} could not be graded ({', '.join(lost)})"
    return f"{said}."


@program("course")
def main(arguments: Sequence[str] | None = None) -> int:
    """Grade a course, print a table, and write ``points.csv`` into its folder."""
    parser = argparse.ArgumentParser(
        prog="python -m lazydestroy.grading.course", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("course", type=Path)
    parser.add_argument("--student", action="append", default=[], help="grade this student; may be given several times")
    parser.add_argument("--assignment", action="append", default=[], help="grade this assignment; the same")
    parser.add_argument("--again", action="store_true", help="grade what has not changed since it was graded, too")
    parser.add_argument(
        "--solutions", action="store_true", help="put the solutions into the feedback: after the deadline"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many answers to judge at a time")
    given = parser.parse_args(arguments)
    warnings.filterwarnings("ignore", module=r"nbgrader\.")  # what nbgrader's data base thinks of nbgrader
    begun = time.monotonic()
    try:
        course = Course(given.course)
        submissions = course.grade(max(given.jobs, 1), given.student, given.assignment, given.again, given.solutions)
    except ValueError as refused:
        print(refused, file=sys.stderr)
        return 2
    course.export()
    say(table(submissions))
    misplaced = course.misplaced()
    if misplaced:
        say("\n    ".join(["\nNot graded, because of where it lies:", *misplaced]))
    say(f"\n{summary(submissions, time.monotonic() - begun)} points.csv has each problem, feedback/ a page a notebook.")
    return 1 if misplaced or any(each.failed or each.unreadable for each in submissions) else 0


if __name__ == "__main__":
    sys.exit(main())
