"""A notebook as a student has handed it in: which cell answers which problem, and what else is of interest in it.

Nothing is run here, and the cells that nbgrader has locked are not believed.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..exercises import EXERCISES
from ..exercises.student import NOBODY
from ..units import shown

ANSWER = "-answer"
"""How the cell is called that answers a problem: the problem's name, and this."""

_TRIES = re.compile(r"\btry (?P<count>\d+)\b")


@dataclass(frozen=True, slots=True)
class Cell:
    """A code cell.

    Attributes
    ----------
    name : str
        The problem that it answers; "" for a cell of the student's own.
    text : str
        Python; lines that only IPython understands are left out.
    """

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class HandedIn:
    """What was handed in.

    Attributes
    ----------
    cells : tuple of Cell
        Code that the student may have written, in the notebook's order: no locked cells.
    student : str
        Whose problems the notebook says it has: the seed. "" if it does not say.
    tries : dict of str to int
        How often the notebook shows that a problem was tried. A student can change that.
    remarks : tuple of str
        What is unusual about the notebook.
    """

    cells: tuple[Cell, ...]
    student: str
    tries: dict[str, int]
    remarks: tuple[str, ...]

    @property
    def problems(self) -> tuple[str, ...]:
        """The problems that have an answer's cell."""
        return tuple(cell.name for cell in self.cells if cell.name)


def read(file: Path) -> HandedIn:
    """Read a notebook.

    Raises
    ------
    ValueError
        If it is none.
    """
    try:
        notebook = json.loads(file.read_bytes())
        return of_notebook(notebook)
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"file={shown(str(file))}: this is no notebook ({type(error).__name__}: {error})") from None


def of_notebook(notebook: Any) -> HandedIn:
    """Read a notebook that is in memory: what JSON or nbformat make of it."""
    cells: list[Cell] = []
    remarks: list[str] = []
    tries: dict[str, int] = {}
    last = {name: number for number, cell in enumerate(notebook["cells"]) if (name := _answers(cell))}
    for number, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] != "code":
            continue
        for name in EXERCISES:
            if name in _id(cell):
                tries[name] = max(tries.get(name, 0), *_tries(cell), 0)
        name = _answers(cell)
        if name and last[name] != number:
            remarks.append(f"{name}: the answer's cell is there more than once; the last one counts")
            name = ""
        if name or not _locked(cell):
            cells.append(Cell(name, _python("".join(cell["source"]))))
    student = next(filter(None, map(_student, cells)), "")
    return HandedIn(tuple(cells), student, {name: count for name, count in tries.items() if count}, tuple(remarks))


def _marks(cell: Any) -> Any:
    found = cell.get("metadata", {}).get("nbgrader", {})
    return found if hasattr(found, "get") else {}


def _id(cell: Any) -> str:
    return str(_marks(cell).get("grade_id", ""))


def _answers(cell: Any) -> str:
    """The problem that a cell answers."""
    name = _id(cell).removesuffix(ANSWER)
    return name if cell["cell_type"] == "code" and _id(cell).endswith(ANSWER) and name in EXERCISES else ""


def _locked(cell: Any) -> bool:
    marks = _marks(cell)
    return bool(marks.get("grade") or marks.get("locked"))


def _tries(cell: Any) -> Iterator[int]:
    for output in cell.get("outputs", ()):
        said = output.get("text") or output.get("data", {}).get("text/plain") or ""
        yield from (int(found["count"]) for found in _TRIES.finditer("".join(said)[:5000]))


def _python(text: str) -> str:
    """Without lines that only IPython understands; the others keep their numbers."""
    return "\n".join("" if line.lstrip().startswith(("%", "!", "?")) else line for line in text.split("\n"))


def _student(cell: Cell) -> str:
    """The id that a cell sets."""
    try:
        tree = ast.parse(cell.text)
    except (SyntaxError, ValueError, RecursionError):
        return ""
    for node in tree.body:
        match node:
            case ast.Assign(
                targets=[ast.Name(id="STUDENT" | "SEED")], value=ast.Constant(value=str() | int() as given)
            ):
                return str(given)
    return ""


def needed(cells: tuple[Cell, ...], name: str) -> str:
    """The answer to a problem with what it uses of the cells before it: definitions, imports, and values by name.

    A class may use a function that the student has written in a cell above. What the other cells do besides is not of
    interest.
    """
    at = next(number for number, cell in enumerate(cells) if cell.name == name)
    text = cells[at].text
    try:
        wanted = _names(ast.parse(text))
    except (SyntaxError, ValueError, RecursionError):
        return text
    before = [statement for cell in cells[:at] for statement in _statements(cell)]
    used: set[ast.stmt] = set()
    while more := {each for each in before if each not in used and _gives(each) & wanted}:
        used |= more
        wanted |= {name for each in more for name in _names(each)}
    return "\n".join([*(ast.unparse(each) for each in before if each in used), text])


def _statements(cell: Cell) -> list[ast.stmt]:
    try:
        return ast.parse(cell.text).body
    except (SyntaxError, ValueError, RecursionError):
        return []


def _names(tree: ast.AST) -> set[str]:
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    return used - {node.name for node in getattr(tree, "body", ()) if isinstance(node, ast.ClassDef | ast.FunctionDef)}


def _gives(statement: ast.stmt) -> set[str]:
    match statement:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            return {each.asname or each.name.partition(".")[0] for each in names}
        case ast.Assign(targets=targets):
            return {target.id for target in targets if isinstance(target, ast.Name)}
    return set()


__all__ = ["ANSWER", "NOBODY", "Cell", "HandedIn", "needed", "of_notebook", "read"]
