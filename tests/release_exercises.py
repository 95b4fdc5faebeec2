"""The exercises for nbgrader: make the students' version of each assignment, and grade submissions, as a teacher would.

    python -m tests.release_exercises

writes ``notebooks/exercises/release`` from ``notebooks/exercises/source``, executed. ``tests/test_release.py`` sees
that both are in step, and has nbgrader grade them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat

from tests.refresh_notebooks import FOLDER, execute, normalised

EXERCISES = FOLDER / "exercises"
SOURCE, RELEASE = EXERCISES / "source", EXERCISES / "release"

ASSIGNMENTS = tuple(sorted(path.name for path in SOURCE.iterdir() if path.is_dir()))


@contextmanager
def course() -> Iterator[Path]:
    """A course folder with the sources: nbgrader writes a data base into its own."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(SOURCE, Path(folder, "source"))
        shutil.copy(EXERCISES / "nbgrader_config.py", folder)
        yield Path(folder)


def nbgrader(folder: Path, *arguments: str) -> None:
    """Run nbgrader as a teacher does.

    Raises
    ------
    RuntimeError
        With what it said, if it failed.
    """
    # nbgrader starts a program of a library that it needs: it must be found where Python's programs are
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    python_path = os.pathsep.join(
        map(os.path.abspath, filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)))
    )
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", *arguments],
        cwd=folder,
        env={**os.environ, "PATH": path, "PYTHONPATH": python_path, "PYDEVD_DISABLE_FILE_VALIDATION": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"nbgrader {' '.join(arguments)}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")


def generated(folder: Path, assignment: str) -> dict[str, Any]:
    """The students' version of an assignment, by path below the release; nothing is executed."""
    nbgrader(folder, "generate_assignment", assignment)
    release = folder / "release"
    return {
        str(path.relative_to(release)): nbformat.read(path, as_version=4)
        for path in sorted((release / assignment).rglob("*.ipynb"))
    }


def hand_in(work: Path, folder: Path, student: str) -> None:
    """Copy a student's work to where nbgrader looks for it, with the student's id in it."""
    shutil.copytree(work, folder)
    for file in folder.rglob("*.ipynb"):
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace('your student id\\"', f'{student}\\"'), encoding="utf-8")


def graded(folder: Path, submissions: Mapping[str, Path]) -> dict[str, dict[str, tuple[float, float]]]:
    """Have nbgrader grade what students hand in, after `generated` for every assignment.

    Returns
    -------
    dict
        For each student, for each notebook: the points given automatically, and the most that can be given so.
    """
    from nbgrader.api import Gradebook

    for student, handed_in in submissions.items():
        hand_in(handed_in, folder / "submitted" / student, student)
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for assignment in ASSIGNMENTS:
        nbgrader(folder, "autograde", assignment)
    with Gradebook(f"sqlite:///{folder / 'gradebook.db'}") as book:
        for student in submissions:
            for assignment in ASSIGNMENTS:
                for notebook in book.find_submission(assignment, student).notebooks:
                    grades = [grade for grade in notebook.grades if grade.cell.cell_type != "markdown"]
                    automatic = [grade for grade in grades if grade.auto_score is not None]
                    found.setdefault(student, {})[f"{assignment}/{notebook.name}"] = (
                        sum(grade.auto_score for grade in automatic),
                        sum(grade.max_score for grade in automatic),
                    )
    return found


def main() -> None:
    """Write the release."""
    with course() as folder:
        made = {
            name: notebook for assignment in ASSIGNMENTS for name, notebook in generated(folder, assignment).items()
        }
    shutil.rmtree(RELEASE, ignore_errors=True)
    for name, notebook in made.items():
        path = RELEASE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(normalised(notebook), path)
        nbformat.write(execute(path).notebook, path)
        print(f"notebooks/exercises/release/{name}")


if __name__ == "__main__":
    main()
