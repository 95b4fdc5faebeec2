"""Put right what stops nbgrader in a notebook that was handed in, always in a copy, and tell what was done."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .handed_in import ANSWER, cells_of, read


@dataclass(slots=True)
class Fixed:
    """What became of the files of a submission.

    Attributes
    ----------
    notes : list of str
        What was fixed, and what is missing.
    unreadable : list of str
        Names of the files that are no notebooks.
    notebooks : list of str
        Those that can be graded, without their ending.
    """

    notes: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    notebooks: list[str] = field(default_factory=list)


def fix(folder: Path, source: Path) -> Fixed:
    """Put the notebooks of a folder under the names that nbgrader looks for, one file each.

    If there are several files for a notebook, the one that was changed last counts. Of those with the same time, one
    with another name does, since browsers add a number to a later one: ``patch-3 (1).ipynb``.

    Parameters
    ----------
    folder : Path
        A copy of what was handed in. It is changed.
    source : Path
        The assignment, with its solutions.
    """
    fixed = Fixed()
    expected = sorted(path.stem for path in source.glob("*.ipynb"))
    meant: dict[str, list[Path]] = {}
    there = (file for file in folder.iterdir() if file.suffix.lower() == ".ipynb" and file.is_file())
    files = sorted(there, key=lambda file: (file.stat().st_mtime, file.stem not in expected))
    for file in files:
        try:
            _read_as_nbgrader_does(file)
        except ValueError as error:
            fixed.notes.append(f"{file.name} cannot be read ({error}): ask for it again")
            fixed.unreadable.append(file.name)
            file.unlink()
            continue
        name = file.stem if file.stem in expected else _meant(file, source, expected)
        if name:
            meant.setdefault(name, []).append(file)
        else:
            fixed.notes.append(f"{file.name} is no notebook of this assignment: not graded")
    for name, several in meant.items():
        fixed.notes += _keep_newest(name, several)
        file = folder / f"{name}.ipynb"
        fixed.notes += [f"{file.name}: {said}" for said in _unmark(file, source / file.name)]
        fixed.notes += [
            f"{file.name}: the cell {lost} was missing, and has been put back"
            for lost in _put_back(file, source / file.name)
        ]
    fixed.notebooks = sorted(meant)
    lost = [name for name in expected if name not in meant]
    fixed.notes += [f"{name}.ipynb is missing" for name in lost if not _is_one_of(name, fixed.unreadable)]
    return fixed


def _is_one_of(name: str, files: Sequence[str]) -> bool:
    """Whether a file has this name, or the one that a browser gives to the same file when it is saved again."""
    return any(Path(file).stem.partition(" (")[0] == name for file in files)


def _keep_newest(name: str, files: Sequence[Path]) -> list[str]:
    """Keep the last file, under the notebook's name. Returns what the teacher should know."""
    *older, newest = files
    same = any(file.stat().st_mtime == newest.stat().st_mtime for file in older)
    for file in older:
        file.unlink()
    newest.rename(newest.with_name(f"{name}.ipynb"))
    if older:
        names = " and ".join(sorted(file.name for file in files))
        why = "comes last by its name (they have the same time)" if same else "was changed last"
        return [f"{names} are there: {newest.name} {why}, and was graded as {name}.ipynb"]
    return [] if newest.stem == name else [f"{newest.name} was graded as {name}.ipynb"]


def _meant(file: Path, source: Path, expected: Sequence[str]) -> str:
    """The notebook whose answers' cells a file has; "" if there is none."""
    there = _answer_cells(file)
    return next((name for name in expected if there & _answer_cells(source / f"{name}.ipynb")), "")


def _read_as_nbgrader_does(file: Path) -> None:
    import nbformat

    try:
        text, times = file.read_bytes(), file.stat()
        notebook = json.loads(text)
    except (OSError, ValueError, RecursionError):
        raise ValueError("it is damaged, or not a notebook") from None
    try:
        cells_of(notebook)
        if _tidied(notebook) or not text.startswith(b"{"):  # such as a mark of the encoding, or another one than UTF-8
            tidy = json.dumps(notebook, ensure_ascii=False).encode(errors="replace")
            file.write_bytes(tidy)
            os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
        nbformat.read(file, as_version=nbformat.current_nbformat)
        read(file)
    except Exception as error:
        name = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        raise ValueError(f"{name}{str(error).partition(chr(10))[0][:200]}") from None


def _tidied(notebook: Any) -> bool:
    """Add what every notebook and cell has, and take away what nbgrader cannot have made. Returns whether it had to."""
    before = json.dumps(notebook)
    if not isinstance(notebook.get("metadata"), dict):
        notebook["metadata"] = {}
    for cell in cells_of(notebook):
        if not isinstance(cell.get("metadata"), dict):
            cell["metadata"] = {}
        if cell.get("cell_type") == "code" and not isinstance(cell.get("outputs"), list):
            cell["outputs"] = []
        marks = cell["metadata"].get("nbgrader", {})
        if not isinstance(marks, dict) or not isinstance(marks.get("grade_id", ""), str):
            del cell["metadata"]["nbgrader"]
    after = json.dumps(notebook)
    return after != before or "\\ud" in after  # half a character cannot be written as UTF-8


def _unmark(file: Path, source: Path) -> list[str]:
    """Let the last copy of a cell count, and no cell of another notebook: nbgrader would stop there. Returns notes."""
    notebook = json.loads(file.read_text(encoding="utf-8"))
    known = {name for name, _ in _grade_ids(source)}
    seen: set[str] = set()
    copies: list[str] = []
    for cell in reversed(notebook["cells"]):
        marks = cell["metadata"].get("nbgrader")
        name = (marks or {}).get("grade_id", "")
        if marks is not None and (name not in known or name in seen):
            del cell["metadata"]["nbgrader"]
            why = (
                "is there more than once, and the last one counts" if name in seen else "is a cell of another notebook"
            )
            copies.append(f"{name} {why}" if name else "")
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


def worth_of(file: Path) -> dict[str, float]:
    """The points for each problem that a source has a cell for, in its order."""
    from .for_nbgrader import POINTS

    answers = {name.removesuffix(ANSWER) for name, _ in _grade_ids(file) if name.endswith(ANSWER)}
    marks = (cell["metadata"].get("nbgrader") or {} for cell in json.loads(file.read_text(encoding="utf-8"))["cells"])
    held = {mark["grade_id"].removesuffix(POINTS): float(mark["points"]) for mark in marks if mark.get("grade")}
    return {name: points for name, points in held.items() if name in answers}


__all__ = ["Fixed", "fix", "worth_of"]
