"""What a course remembers of its last grading, so that nothing is graded twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
FILE = "graded.json"
"""Where it is kept, in the folder of the course."""


class Graded:
    """Which files each submission had when it was graded, and what was said.

    Parameters
    ----------
    course : Path
        Folder of the course.
    """

    def __init__(self, course: Path) -> None:
        self.course = course
        self._file = course / FILE
        try:
            self._kept: dict[str, dict[str, object]] = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self._kept = {}

    def notes(self, student: str, assignment: str) -> list[str] | None:
        """What was said, if neither the work nor what grades it has changed since; else None."""
        kept = self._kept.get(f"{student}/{assignment}", {})
        if kept.get("files") != self._files(student, assignment):
            return None
        notes = kept.get("notes")
        return list(map(str, notes)) if isinstance(notes, list) else None

    def keep(self, student: str, assignment: str, notes: Iterable[str]) -> None:
        """Remember that a submission was graded as its files are now."""
        files = self._files(student, assignment)
        self._kept[f"{student}/{assignment}"] = {"files": files, "notes": list(notes)}

    def forget(self, student: str, assignment: str) -> None:
        """Grade it again the next time."""
        self._kept.pop(f"{student}/{assignment}", None)

    def save(self) -> None:
        """Write it down."""
        self._file.write_text(json.dumps(self._kept, indent=1), encoding="utf-8")

    def _files(self, student: str, assignment: str) -> str:
        """A sum of all that the points depend on."""
        sums = [_grader(), _sum([self.course / "nbgrader_config.py"], self.course)]
        for folder in (self.course / "source" / assignment, self.course / "submitted" / student / assignment):
            sums.append(_sum((path for path in folder.rglob("*") if ".ipynb_checkpoints" not in path.parts), folder))
        return hashlib.sha256("".join(sums).encode()).hexdigest()


@cache
def _grader() -> str:
    patterns = ("*.py", "_core*", "*.json")
    return _sum((path for pattern in patterns for path in PACKAGE.rglob(pattern)), PACKAGE)


def _sum(files: Iterable[Path], folder: Path) -> str:
    summed = hashlib.sha256()
    for path in sorted(path for path in files if path.is_file()):
        summed.update(f"{path.relative_to(folder)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return summed.hexdigest()


__all__ = ["FILE", "Graded"]
