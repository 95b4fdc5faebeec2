"""Put what a learning-management system hands out into a course: each student's notebooks into a folder of their own.

    python -m lazydestroy.grading.collect moodle.zip my-course week-1

A folder in the zip, or in the folder that it was unpacked to, belongs to one student, as in Moodle's "Download all
submissions": ``Ada Lovelace_123_assignsubmission_file_/patch-3.ipynb``. The student's id is what stands before the
first underscore, in small letters and with ``-`` for blanks: ``ada-lovelace``. A list of names and ids says otherwise.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import count
from os import utime
from pathlib import Path, PurePosixPath

from ..rounded import counted
from ..saying import program, say
from ..units import format_size, shown

FOLDERS = "collected.json"
"""Where a course keeps which folder was whose: Moodle's way back goes by the number in its name."""

ENDING = ".ipynb"

LARGEST = 200 << 20
"""Bytes of a notebook at most: no zip may fill the memory."""

Found = tuple[str, str, bytes, float]
"""Folder, file, content, and when it was changed."""


def id_of(folder: str, ids: Mapping[str, str]) -> str:
    """Return the student's id for the name of a folder.

    Parameters
    ----------
    folder : str
    ids : dict of str to str
        Ids by the name before the first underscore, for those that are not made of it.

    Raises
    ------
    ValueError
        If nothing of the name is left.
    """
    name = folder.partition("_")[0].strip()
    found = ids.get(name) or re.sub(r"[^\w.@]+", "-", name.casefold()).strip("-.")
    if not found or "/" in found or found.startswith(".") or not found.isprintable():
        raise ValueError(f"folder={shown(folder)}: no student's id can be made of it; give a list with --ids")
    return found


def collect(of: Path, course: Path, assignment: str, ids: Mapping[str, str] | None = None) -> dict[str, list[str]]:
    """Copy notebooks to ``course/submitted/STUDENT/ASSIGNMENT``. Those of the same name that are there are replaced.

    Parameters
    ----------
    of : Path
        A zip, or a folder, with a folder for each student.
    course : Path
        The course's folder.
    assignment : str
    ids : dict of str to str, optional
        Ids by name: see `id_of`.

    Returns
    -------
    dict of str to list of str
        The names of each student's files.

    Raises
    ------
    ValueError
        If there is no such course, assignment or zip, or two folders would be one student's.
    """
    assignments = sorted(path.name for path in course.glob("source/*") if path.is_dir())
    if assignment not in assignments:
        known = ", ".join(assignments) or "none: make course first"
        raise ValueError(f"assignment={assignment!r}: {course} has {known}")
    whose: dict[str, str] = {}
    collected: dict[str, list[str]] = {}
    for folder, name, content, changed in sorted(_notebooks(of), key=lambda each: each[:2]):
        student = id_of(folder, ids or {})
        if whose.setdefault(student, folder) != folder:
            raise ValueError(
                f"of='{of}': {whose[student]} and {folder} would both be {student}; give a list with --ids"
            )
        name = _another(name, collected.get(student, ()))
        to = course / "submitted" / student / assignment / name
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(content)
        utime(to, (changed, changed))
        collected.setdefault(student, []).append(name)
    _keep(course, assignment, whose)
    return collected


def _another(name: str, taken: Collection[str]) -> str:
    """A name that is not taken, made as browsers do: one file may be in two folders of a student's."""
    stem, ending = name[: -len(ENDING)], name[-len(ENDING) :]
    names = (f"{stem} ({number}){ending}" for number in count(1))
    return name if name not in taken else next(each for each in names if each not in taken)


def numbers(course: Path, assignment: str) -> dict[str, str]:
    """Return Moodle's number of each student whose folder for an assignment had one: ``Ada Lovelace_123_...``."""
    found = {
        student: re.match(r"[^_]*_(\d+)_", folder) for student, folder in _kept(course).get(assignment, {}).items()
    }
    return {student: match[1] for student, match in found.items() if match}


def _kept(course: Path) -> dict[str, dict[str, str]]:
    file = course / FOLDERS
    try:
        kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        return {each: {str(who): str(folder) for who, folder in of.items()} for each, of in kept.items()}
    except (ValueError, AttributeError):
        raise ValueError(f"course='{course}': {FOLDERS} is damaged; remove it, and collect again") from None


def _keep(course: Path, assignment: str, whose: Mapping[str, str]) -> None:
    """Remember whose folder was which; those who are collected later come on top."""
    kept = _kept(course)
    kept[assignment] = {**kept.get(assignment, {}), **whose}
    (course / FOLDERS).write_text(json.dumps(kept, indent=1, ensure_ascii=False), encoding="utf-8")


def _notebooks(of: Path) -> Iterator[Found]:
    """Read the notebooks of students; of other files nothing is read."""
    if of.is_dir():
        for path in of.glob("*/**/*"):
            if _is_notebook(path.parts) and path.is_file():
                yield path.relative_to(of).parts[0], path.name, path.read_bytes(), path.stat().st_mtime
        return
    try:
        archive = zipfile.ZipFile(of)
    except (OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"of='{of}': this is neither a folder nor a zip ({error})") from None
    with archive:
        for member in archive.infolist():
            parts = PurePosixPath(member.filename.replace("\\", "/")).parts
            if len(parts) > 1 and _is_notebook(parts) and not member.is_dir() and not {"..", "/"} & set(parts):
                yield parts[0], parts[-1], _unpacked(archive, member), _changed(member)


def _is_notebook(parts: Sequence[str]) -> bool:
    return parts[-1].lower().endswith(ENDING) and ".ipynb_checkpoints" not in parts


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if member.flag_bits & 1:
        why = "it is encrypted"
    elif member.file_size > LARGEST:
        why = f"it has {format_size(member.file_size)}, which no notebook has"
    else:
        try:
            return archive.read(member)
        except (RuntimeError, NotImplementedError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            why = str(error)
    raise ValueError(f"of='{archive.filename}': {member.filename} cannot be unpacked ({why}); take it out of the zip")


def _changed(member: zipfile.ZipInfo) -> float:
    """When it was changed, in seconds; a zip may say nothing of that, which is a day that there is not."""
    try:
        return datetime(*member.date_time).timestamp()
    except ValueError:
        return 0.0


def _ids(file: Path) -> dict[str, str]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as reading:
            rows = [row for row in csv.reader(reading) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"ids='{file}': this is no list in UTF-8 ({error})") from None
    for row in rows:
        if len(row) < 2 or not row[1].strip():
            raise ValueError(f"ids='{file}': {shown(','.join(row))} has no id; use lines such as Ada Lovelace,s4711")
    return {row[0].strip(): row[1].strip() for row in rows}


@program("collect")
def main(arguments: Sequence[str] | None = None) -> int:
    """Collect, and print who has handed in what."""
    parser = argparse.ArgumentParser(
        prog="python -m lazydestroy.grading.collect", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("of", type=Path, metavar="ZIP_OR_FOLDER")
    parser.add_argument("course", type=Path)
    parser.add_argument("assignment")
    parser.add_argument("--ids", type=Path, metavar="CSV", help="lines of NAME,ID, for ids that are not made of names")
    given = parser.parse_args(arguments)
    try:
        found = collect(given.of, given.course, given.assignment, _ids(given.ids) if given.ids else {})
    except (OSError, ValueError) as refused:
        print(refused, file=sys.stderr)
        return 2
    for student, files in sorted(found.items()):
        say(f"{student:20} {', '.join(files)}")
    say(f"{counted(len(found), 'students')}; each must have typed this id into notebooks with numbers.")
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main())
