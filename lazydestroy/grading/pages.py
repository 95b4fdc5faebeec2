"""Feedback for a student: a page a notebook, with each problem, the answer, the points and why.

`make grade` writes them to where nbgrader would put its own, ``feedback/STUDENT/ASSIGNMENT/NOTEBOOK.html``. A page that
is out of date is written anew or removed, so that what is taken back to Moodle always is what was graded last. Nothing
of a student's gets into a page but text and pictures.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from typing import Any

import nbformat

from ..exercises import NumberExercise, PatchExercise, exercise
from ..exercises.student import seed_of
from .handed_in import ANSWER

FEEDBACK = "feedback"

_PAGE = """\
<!doctype html>
<!-- {about} -->
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}
</style>
</head>
<body>
{body}
</body>
</html>
"""

_STYLE = (
    "body { font: 16px/1.45 sans-serif; max-width: 50em; margin: 2em auto; padding: 0 1em; }",
    "body { color: #111; background: #fff; }",
    "h2 { margin-top: 2em; border-top: 1px solid #999; padding-top: .6em; }",
    "pre { background: #f3f3f3; padding: .6em; overflow-x: auto; white-space: pre-wrap; }",
    ".points { font-weight: bold; }",
    ".task { border-left: 4px solid #bbb; padding-left: .8em; }",
    "img { max-width: 100%; }",
    "table { border-collapse: collapse; }",
    "td, th { border: 1px solid #999; padding: .2em .6em; text-align: left; }",
)

_SOLVED = "with solutions"


def write(course: Path, book: Any, submission: Any, notebooks: Iterable[str], solutions: bool) -> None:
    """Write the pages of a submission, and remove those that are out of date.

    Parameters
    ----------
    course : Path
        The folder.
    book : Gradebook
        nbgrader's, with the points and comments.
    submission : Submission
        What was handed in, graded.
    notebooks : iterable of str
        The notebooks of the assignment, without their ending.
    solutions : bool
        Put the solutions in. A page that has them keeps them.
    """
    folder = course / FEEDBACK / submission.student / submission.assignment
    wanted = set()
    for name in notebooks:
        lost = next((file for file in submission.unreadable if file.partition(".")[0].partition(" (")[0] == name), "")
        graded = course / "autograded" / submission.student / submission.assignment / f"{name}.ipynb"
        if not lost and not graded.is_file():
            continue
        page = folder / f"{name}.html"
        wanted.add(page)
        known = _first_lines(page)
        solved = solutions or _SOLVED in known
        shown = _Shown(course, book, submission, name, graded if graded.is_file() else None, lost)
        about = f"{shown.digest()}{f', {_SOLVED}' if solved else ''}"
        if f"<!-- {about} -->" not in known:
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(
                _PAGE.format(style="\n".join(_STYLE), about=about, title=escape(name), body=shown.body(solved)),
                encoding="utf-8",
            )
    for page in folder.glob("*.html"):
        if page not in wanted:
            page.unlink()


def remove_withdrawn(course: Path, assignments: Iterable[str]) -> None:
    """Remove the pages of what is no longer there."""
    known = set(assignments)
    for folder in (course / FEEDBACK).glob("*/*"):
        if folder.name in known and not (course / "submitted" / folder.parent.name / folder.name).is_dir():
            shutil.rmtree(folder)


def _first_lines(page: Path) -> str:
    try:
        return page.read_text(encoding="utf-8")[:300]
    except (OSError, UnicodeDecodeError):
        return ""


class _Shown:
    """A notebook as its page shows it."""

    def __init__(self, course: Path, book: Any, submission: Any, name: str, graded: Path | None, lost: str) -> None:
        self.student, self.assignment, self.name, self.lost = submission.student, submission.assignment, name, lost
        self.book = book
        self.graded = graded.read_bytes() if graded is not None else b""
        self.cells = _cells(graded)
        self.results = _results(course / "fixed" / self.student / self.assignment / f"{name}.ipynb")
        self.points = {cell: self._points(cell) for cell in map(_grade_id, self.cells) if cell}

    def _points(self, cell: str) -> tuple[float | None, float, str] | None:
        """Points given (None: not yet), points that there are, and the teacher's comment."""
        from nbgrader.api import MissingEntry

        where = cell, self.name, self.assignment, self.student
        try:
            grade = self.book.find_grade(*where)
        except MissingEntry:
            return None
        try:
            comment = self.book.find_comment(*where).comment or ""
        except MissingEntry:
            comment = ""
        open_yet = grade.needs_manual_grade or (grade.auto_score is None and grade.manual_score is None)
        return None if open_yet else round(grade.score, 2), grade.max_score, comment

    def digest(self) -> str:
        """What the page depends on."""
        text = repr((_VERSION, self.lost, self.points, sorted(self.results.items()))).encode()
        return hashlib.sha256(self.graded + text).hexdigest()[:16]

    def body(self, solutions: bool) -> str:
        """What the page shows."""
        parts = [f"<h1>{escape(self.title)}</h1>", f"<p>{escape(self.student)}, {escape(self.assignment)}</p>"]
        if self.lost:
            kept = " What follows is about an earlier file, and its points stand until then." if self.cells else ""
            parts.append(
                f'<p class="points">Your file {escape(self.lost)} is damaged, or not a notebook: it can’t be graded. '
                f"Please hand it in again.{kept}</p>"
            )
        if self.points:
            given = sum(found[0] or 0 for found in self.points.values() if found)
            most = sum(found[1] for found in self.points.values() if found)
            parts.append(f'<p class="points">{given:g} of {most:g} points</p>')
        for cell, found in self.points.items():
            if found is not None:
                parts += self._problem(cell, found, solutions)
        return "\n".join(parts)

    @property
    def title(self) -> str:
        """The notebook's own heading."""
        first = next((cell.source for cell in self.cells if cell.cell_type == "markdown"), "")
        return next((line.lstrip("# ") for line in first.splitlines() if line.startswith("#")), self.name)

    def _problem(self, cell: str, found: tuple[float | None, float, str], solutions: bool) -> Iterator[str]:
        from .for_nbgrader import problem_of

        given, most, comment = found
        here = next(each for each in self.cells if _grade_id(each) == cell)
        problem = problem_of(here)
        made = _made(problem, self.student) if problem else None
        head = f"{made.title} ({problem})" if made else self._heading(here)
        yield f"<h2>{escape(head[:1].upper() + head[1:])}</h2>"
        if made is not None:
            yield f'<div class="task">{made._repr_html_()}{_given(made)}</div>'
        answer = next((each for each in self.cells if _grade_id(each, False) == f"{problem}{ANSWER}"), None)
        own = here if made is None else answer
        if own is not None:
            yield f"<p>Your answer:</p><pre>{escape(own.source)}</pre>"
        if own is not None and made is None:
            yield from _texts_and_pictures(own.get("outputs", ()))
        if problem and self.results.get(problem):
            yield f"<p>What your own notebook said to it:</p><pre>{escape(self.results[problem])}</pre>"
        yield f'<p class="points">{"Not graded yet" if given is None else f"{given:g} of {most:g} points"}</p>'
        if made is not None and (said := _said(here)):
            yield f"<p>Why:</p><pre>{escape(said)}</pre>"
        if comment:
            yield f"<p>Comment: {escape(comment)}</p>"
        if made is not None and solutions:
            yield f"<h3>Solution</h3>{_right(made)}{made.solution()._repr_html_()}"

    def _heading(self, cell: Any) -> str:
        """The last heading above a cell."""
        above = self.cells[: self.cells.index(cell)]
        lines = [line for each in above if each.cell_type == "markdown" for line in each.source.splitlines()]
        return next((line.lstrip("# ") for line in reversed(lines) if line.startswith("#")), _grade_id(cell))


_VERSION = 1
"""To be raised when pages look different: then all are written anew."""


def _made(problem: str, student: str) -> NumberExercise | PatchExercise:
    found = exercise(problem) if problem.startswith(("patch-", "destroy-fast")) else None
    made = found or exercise(problem, seed=seed_of(student))
    assert isinstance(made, NumberExercise | PatchExercise)
    return made


def _given(made: NumberExercise | PatchExercise) -> str:
    return (
        f"<p>What you were given:</p><pre>{escape(str(made.given()))}</pre>" if isinstance(made, PatchExercise) else ""
    )


def _right(made: NumberExercise | PatchExercise) -> str:
    return f"<p>Right is: {escape(made.right_answer)}.</p>" if isinstance(made, NumberExercise) else ""


def _grade_id(cell: Any, graded: bool = True) -> str:
    marks = cell.metadata.get("nbgrader", {})
    return str(marks.get("grade_id", "")) if marks.get("grade") or not graded else ""


def _said(cell: Any) -> str:
    return "".join(output.text for output in cell.get("outputs", ()) if output.output_type == "stream").strip()


def _cells(file: Path | None) -> list[Any]:
    if file is None:
        return []
    return list(nbformat.read(file, as_version=4).cells)  # type: ignore[no-untyped-call]


def _results(file: Path) -> dict[str, str]:
    """What the checks in a notebook showed when it was handed in, as text, by problem."""
    try:
        cells = _cells(file)
    except (OSError, ValueError):
        return {}
    names = ((cell, _grade_id(cell, False).removesuffix("-check")) for cell in cells)
    found = ((name, "".join(_plain(cell.get("outputs", ())))) for cell, name in names if name)
    return {name: text.strip()[:_LONGEST] for name, text in found}


_LONGEST = 6000


def _plain(outputs: Any) -> Iterator[str]:
    for output in outputs:
        text = output.get("text") or output.get("data", {}).get("text/plain") or ""
        yield "".join(text)


def _texts_and_pictures(outputs: Any) -> Iterator[str]:
    for output in outputs:
        picture = str(output.get("data", {}).get("image/png", "")).replace("\n", "")
        if picture and re.fullmatch(r"[A-Za-z0-9+/=]+", picture):
            yield f'<p><img alt="a picture of yours" src="data:image/png;base64,{picture}"></p>'
        elif text := "".join(_plain([output])).strip():
            yield f"<pre>{escape(text[:_LONGEST])}</pre>"


__all__ = ["FEEDBACK", "remove_withdrawn", "write"]
