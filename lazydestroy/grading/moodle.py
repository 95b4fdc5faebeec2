"""Take points and feedback back to Moodle: fill in its grading worksheet, and pack the feedback as Moodle expects it.

    python -m lazydestroy.grading.moodle worksheet.csv my-course week-1

The worksheet is the file that Moodle's *Download grading worksheet* gives you. It stays as it is: the filled copy is
``my-course/moodle-week-1.csv``, and the feedback is in ``my-course/moodle-week-1-feedback.zip``. A row belongs to a
student if it has the number that stood in the name of the folder when `collect` read it, or if a student's id is
made of its e-mail address, id number, user name, or full name, and of no other row's. Whoever has no row is named.

What Moodle reads is in its source (``mod/assign/feedback``): ``offline/importgradeslib.php`` finds a participant by the
digits at the end of the identifier, and ``file/importziplib.php`` by the number in a folder's name,
``NAME_NUMBER_assignsubmission_file_``. It passes over points above the assignment's maximum without a word.
"""

from __future__ import annotations

import argparse
import csv
import io
import math
import re
import sys
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..rounded import counted
from ..saying import program, say
from .collect import id_of, numbers

GRADE, COMMENTS, MAXIMUM = "Grade", "Feedback comments", "Maximum Grade"
NAMES = ("Email address", "ID number", "Username", "Full name")
"""The columns that can name a student, if Moodle's number is not known."""


@dataclass(slots=True)
class Points:
    """What a student has for one assignment.

    Attributes
    ----------
    student, email : str
        `email` is empty if nbgrader does not know it.
    of : dict of str to (float or None, float)
        For each problem, the points and how many there are. None: not handed in, or not graded yet.
    """

    student: str
    email: str
    of: dict[str, tuple[float | None, float]]

    @property
    def total(self) -> float:
        """Sum of the points that were given."""
        return round(sum(given for given, _ in self.of.values() if given is not None), 2)

    @property
    def open(self) -> list[str]:
        """Problems without points."""
        return [problem for problem, (given, _) in self.of.items() if given is None]


@dataclass(slots=True)
class Worksheet:
    """A grading worksheet, as it was downloaded.

    Attributes
    ----------
    head : list of str
    rows : list of list of str
    delimiter : str
        What stands between two fields: a comma, a semicolon or a tab.
    """

    head: list[str]
    rows: list[list[str]]
    delimiter: str

    def column(self, name: str) -> int | None:
        """The place of a column, whether its head has capitals or not; None if there is none."""
        heads = [head.strip().casefold() for head in self.head]
        return heads.index(name.casefold()) if name.casefold() in heads else None

    def number(self, row: Sequence[str]) -> str:
        """Moodle's number for the participant of a row, from its first column: ``Participant 123``."""
        found = re.search(r"(\d+)\s*$", row[0])
        return found[1] if found else ""


@dataclass(slots=True)
class Filled:
    """What came of it.

    Attributes
    ----------
    numbers : dict of str to str
        Moodle's number for each student who was found.
    lost : list of str
        Why a student's points are not in the worksheet.
    notes : list of str
        What else the teacher should know.
    """

    numbers: dict[str, str] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_worksheet(file: Path, grade: str = GRADE) -> Worksheet:
    """Read a grading worksheet.

    Parameters
    ----------
    file : Path
    grade : str
        Head of the column for the points; in a Moodle that does not speak English, it has another.

    Raises
    ------
    ValueError
        If it is no such worksheet, or not in UTF-8.
    """
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ValueError(f"worksheet='{file}': {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(
            f"worksheet='{file}' is not in UTF-8; download it again, and don't save it from Excel"
        ) from None
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    try:
        head, *rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)) or [[]]
    except csv.Error as error:
        raise ValueError(f"worksheet='{file}': this is no worksheet ({error})") from None
    sheet = Worksheet(head, [row for row in rows if row], delimiter)
    if sheet.column(grade) is None:
        known = ", ".join(head) or "nothing"
        raise ValueError(f"grade={grade!r}: the columns of {file.name} are {known}; name yours with --grade")
    for line, row in enumerate(sheet.rows, 2):
        if len(row) != len(head):
            raise ValueError(f"worksheet='{file}': row {line} has {len(row)} fields, the head has {len(head)}")
    return sheet


def read_points(course: Path, assignment: str) -> list[Points]:
    """Read what ``points.csv`` has for an assignment, of those who have points for it.

    Raises
    ------
    ValueError
        If the course has not been graded, or has no such assignment.
    """
    file = course / "points.csv"
    if not file.exists():
        raise ValueError(f"course='{course}': there is no points.csv in it; make grade first")
    try:
        with file.open(newline="", encoding="utf-8-sig") as reading:
            rows = list(csv.DictReader(reading))
        return list(_points_of(rows, assignment))
    except (KeyError, TypeError, OverflowError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"course='{course}': points.csv is damaged ({error}); make grade again") from None


def _points_of(rows: Sequence[dict[str, str]], assignment: str) -> Iterator[Points]:
    heads = [re.fullmatch(r"(.+)/(.+) \((\d+(?:\.\d+)?)\)", head or "") for head in (rows[0] if rows else [])]
    ours = [head for head in heads if head and head[1] == assignment]
    if not ours:
        known = ", ".join(sorted({head[1] for head in heads if head})) or "none"
        raise ValueError(f"assignment={assignment!r}: points.csv has {known}")
    for row in rows:
        of = {head[2]: (_given(row, head[0]) if row[head[0]] else None, float(head[3])) for head in ours}
        if any(given is not None for given, _ in of.values()):
            yield Points(row["student_id"], row["email"], of)


def _given(row: dict[str, str], head: str) -> float:
    given = _number(row[head])
    if given is None:
        raise ValueError(f"points.csv has {row[head]!r} points for {row['student_id']}, {head}; make grade again")
    return given


def fill(sheet: Worksheet, points: Sequence[Points], known: dict[str, str], grade: str = GRADE) -> Filled:
    """Write points into a worksheet, and into empty comments the points for each problem.

    Parameters
    ----------
    sheet : Worksheet
        It is changed.
    points : sequence of Points
    known : dict of str to str
        Moodle's number by student, as `collect` has kept it.
    grade : str
        Head of the column for the points.
    """
    filled, taken = Filled(), dict[int, str]()
    at, comments, maximum = (sheet.column(name) for name in (grade, COMMENTS, MAXIMUM))
    assert at is not None
    comma = any("," in row[each] for row in sheet.rows for each in (at, maximum) if each is not None)
    for each in points:
        places = _rows_of(each, sheet, known)
        if len(places) != 1:
            why = f"{len(places)} rows could be theirs" if places else "no row of the worksheet is theirs"
            filled.lost.append(f"{each.student}: {why}")
            continue
        (place,) = places
        row = sheet.rows[place]
        if place in taken:
            filled.lost.append(f"{each.student}: the row of {row[0]} went to {taken[place]} already")
            continue
        most = _number(row[maximum]) if maximum is not None else None
        if most is not None and each.total > most:
            why = f"{each.total:g} points, but Moodle's maximum is {most:g}; change it there"
            filled.lost.append(f"{each.student}: {why}")
            continue
        taken[place] = each.student
        filled.numbers[each.student] = sheet.number(row)
        before, now = row[at], f"{each.total:g}".replace(".", "," if comma else ".")
        if _number(before) not in (None, each.total):
            filled.notes.append(f"{each.student}: {before} becomes {now}")
        if each.open:
            filled.notes.append(f"{each.student}: no points yet for {', '.join(each.open)}")
        row[at] = now
        if comments is not None and not row[comments].strip():
            row[comments] = _comment(each)
    all_points = {sum(most for _, most in each.of.values()) for each in points}
    limits = {_number(row[maximum]) for row in sheet.rows} if maximum is not None else set()
    for most in sorted(limit for limit in limits - {None} - all_points if limit is not None):
        there_are = max(all_points, default=0)
        filled.notes.append(f"Moodle's maximum is {most:g}, and the problems give {there_are:g} points")
    return filled


def _rows_of(points: Points, sheet: Worksheet, known: dict[str, str]) -> list[int]:
    """Places of the rows that are a student's."""
    if points.student in known:
        return [place for place, row in enumerate(sheet.rows) if sheet.number(row) == known[points.student]]
    columns = [column for name in NAMES if (column := sheet.column(name)) is not None]
    wanted = {points.student.casefold(), points.email.casefold()} - {""}
    return [place for place, row in enumerate(sheet.rows) if any(_is_one(row[each], wanted) for each in columns)]


def _is_one(text: str, wanted: set[str]) -> bool:
    if not text.strip():
        return False
    try:
        return text.strip().casefold() in wanted or id_of(text, {}) in wanted
    except ValueError:
        return False


def _number(text: str) -> float | None:
    """A number with a decimal point or a decimal comma; None if it is none, or has no end."""
    try:
        number = float(text.strip().replace(",", "."))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _comment(points: Points) -> str:
    told = (
        f"{problem}: {'no points yet' if given is None else f'{given:g} of {most:g}'}"
        for problem, (given, most) in points.of.items()
    )
    return "; ".join(told)


def feedback(course: Path, assignment: str, known: dict[str, str]) -> Iterator[tuple[str, Path]]:
    """What goes into the zip: each file of feedback, and its name there."""
    for student, number in sorted(known.items()):
        for file in sorted((course / "feedback" / student / assignment).glob("*.html")):
            yield f"{student.replace('_', '-')}_{number}_assignsubmission_file_/{file.name}", file


@program("moodle")
def main(arguments: Sequence[str] | None = None) -> int:
    """Fill in the worksheet, pack the feedback, and print who was not found."""
    parser = argparse.ArgumentParser(
        prog="python -m lazydestroy.grading.moodle", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("worksheet", type=Path, metavar="WORKSHEET.csv", help="what Moodle gave you; left as it is")
    parser.add_argument("course", type=Path)
    parser.add_argument("assignment")
    parser.add_argument("--grade", default=GRADE, metavar="HEAD", help="head of the column for points, if not Grade")
    given = parser.parse_args(arguments)
    try:
        sheet = read_worksheet(given.worksheet, given.grade)
        points = read_points(given.course, given.assignment)
        filled = fill(sheet, points, numbers(given.course, given.assignment), given.grade)
    except (OSError, ValueError) as refused:
        print(refused, file=sys.stderr)
        return 2
    to = given.course / f"moodle-{given.assignment}.csv"
    with to.open("w", newline="", encoding="utf-8") as writing:
        csv.writer(writing, delimiter=sheet.delimiter).writerows([sheet.head, *sheet.rows])
    packed = list(feedback(given.course, given.assignment, {who: of for who, of in filled.numbers.items() if of}))
    archive = given.course / f"moodle-{given.assignment}-feedback.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writing_zip:
        for name, file in packed:
            writing_zip.write(file, name)
    for note in filled.notes:
        say(note)
    if filled.lost:
        say("\n    ".join(["Not in the worksheet:", *filled.lost]))
    say(f"{to}: {counted(len(filled.numbers), 'students')}. {archive}: {counted(len(packed), 'files')}.")
    if not packed:
        say(f"There is no feedback yet: run make grade COURSE={given.course} first.")
    return 1 if filled.lost else 0


if __name__ == "__main__":
    sys.exit(main())
