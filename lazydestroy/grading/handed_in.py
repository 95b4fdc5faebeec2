"""A notebook as a student has handed it in: which cell answers which problem, and what else is of interest in it.

Nothing is run here, and the cells that nbgrader has locked are not believed.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..exercises import EXERCISES
from ..exercises.student import NOBODY
from ..units import shown

ANSWER = "-answer"
"""How the cell is called that answers a problem: the problem's name, and this."""

LONGEST = 1_000_000
"""Characters that are read of an answer, and of all other cells together: a hundred times as many as anybody needs."""

_TOO_LONG = f'raise ValueError("this cell goes beyond {LONGEST:,} characters of code, and was left out")'
"""What takes the place of a cell that goes beyond them."""

_TRIES = re.compile(r"\btry (?P<count>\d{1,6})\b")

_IPYTHONS = re.compile(r"(?P<indent>\s*)([%!?].*|[^#'\"]*\?|[\w.,\s]+=\s*[%!].*)")
"""A line that may be IPython's: a magic, a command, a question, or one whose result gets a name."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A code cell.

    Attributes
    ----------
    name : str
        The problem that it answers; "" for a cell of the student's own.
    text : str
        Python; if it is none, without lines that only IPython understands.
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
        return of_notebook(json.loads(file.read_bytes()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        why = error if type(error) is ValueError else f"{type(error).__name__}: {error}"
        raise ValueError(f"file={shown(str(file))}: this is no notebook ({why})") from None


def cells_of(notebook: Any) -> list[Any]:
    """The cells of a notebook.

    Raises
    ------
    ValueError
        If it has none, as notebooks in older versions of the format have not.
    """
    found = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(found, list) or not all(isinstance(cell, dict) for cell in found):
        raise ValueError("it has no list of cells, as every notebook has since version 4 of the format")
    return found


def of_notebook(notebook: Any) -> HandedIn:
    """Read a notebook that is in memory: what JSON or nbformat make of it."""
    cells: list[Cell] = []
    remarks: list[str] = []
    tries: dict[str, int] = {}
    room = LONGEST
    last = {name: number for number, cell in enumerate(cells_of(notebook)) if (name := _answers(cell))}
    for number, cell in enumerate(cells_of(notebook)):
        if cell["cell_type"] != "code" and not _answers(cell):
            continue
        for name in EXERCISES:
            if name in _id(cell):
                tries[name] = max(tries.get(name, 0), *_tries(cell), 0)
        name = _answers(cell)
        if name and last[name] != number:
            remarks.append(f"{name}: the answer's cell is there more than once; the last one counts")
            name = ""
        if name or not _locked(cell):
            text = "".join(cell["source"])
            room -= 0 if name else len(text)
            too_long = len(text) > LONGEST if name else room < 0
            cells.append(Cell(name, _TOO_LONG if too_long else _python(text)))
    student = next(filter(None, map(_student, cells)), "")
    return HandedIn(tuple(cells), student, {name: count for name, count in tries.items() if count}, tuple(remarks))


def _marks(cell: Any) -> Any:
    found = cell.get("metadata", {}).get("nbgrader", {})
    return found if hasattr(found, "get") else {}


def _id(cell: Any) -> str:
    return str(_marks(cell).get("grade_id", ""))


def _answers(cell: Any) -> str:
    """The problem that a cell answers; a student may have made text of it, which nbgrader makes code again."""
    name = _id(cell).removesuffix(ANSWER)
    return name if _id(cell).endswith(ANSWER) and name in EXERCISES else ""


def _locked(cell: Any) -> bool:
    marks = _marks(cell)
    return bool(marks.get("grade") or marks.get("locked"))


def _tries(cell: Any) -> Iterator[int]:
    for output in cell.get("outputs") or ():
        said = output.get("text") or output.get("data", {}).get("text/plain") or ""
        yield from (int(found["count"]) for found in _TRIES.finditer("".join(said)[:5000]))


def _python(text: str) -> str:
    """As it is, if it is Python; else without lines that only IPython understands. The others keep their numbers."""
    if _parsed(text) is not None:
        return text
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join(f"{found['indent']}pass" if (found := _IPYTHONS.fullmatch(line)) else line for line in lines)


def _parsed(text: str) -> ast.Module | None:
    """A text as Python reads it; None if it cannot."""
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last two if it is nested too deeply
        return None


def _student(cell: Cell) -> str:
    """The id that a cell sets."""
    for node in _statements(cell):
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
    tree = _parsed(cells[at].text)
    if tree is None:
        return cells[at].text
    text, kept = _without_asides(cells[at].text, unannotated(tree).body)
    wanted = {found for each in kept for found in _names(each)} - {found for each in kept for found in _defines(each)}
    before = [statement for cell in cells[:at] for statement in _statements(cell)]
    used: set[ast.stmt] = set()
    while more := {each for each in before if each not in used and _gives(each) & wanted}:
        used |= more
        wanted |= {name for each in more for name in _names(each)}
    return "\n".join([*(_written(each) for each in before if each in used), text])


def unannotated(tree: ast.Module) -> ast.Module:
    """Take the annotations out of a text: nothing looks at them when an answer is graded."""
    for node in ast.walk(tree):
        match node:
            case ast.arg():
                node.annotation = None
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                node.returns = None
            case ast.AnnAssign():
                node.annotation = ast.copy_location(ast.Constant(None), node)
    return tree


def _without_asides(text: str, statements: list[ast.stmt]) -> tuple[str, list[ast.stmt]]:
    """Blank out what a cell does besides giving the answer, and return what is left. The lines keep their numbers."""
    used = {name for each in statements if not isinstance(each, ast.Import | ast.ImportFrom) for name in _names(each)}
    used.add("MyPatch")
    lines = text.split("\n")
    kept = [each for each in statements if not _is_aside(each, used)]
    for each in statements:
        theirs = range(each.lineno - 1, each.end_lineno or each.lineno)
        alone = not any(other.lineno - 1 in theirs or (other.end_lineno or 0) - 1 in theirs for other in kept)
        if each not in kept and alone:
            for number in theirs:
                lines[number] = ""
        elif each not in kept:
            kept.append(each)
    return "\n".join(lines), kept


def _is_aside(statement: ast.stmt, used: Collection[str]) -> bool:
    """Whether a statement is an import that nothing needs, or asks the exercise something."""
    match statement:
        case ast.ImportFrom(module="__future__"):
            return True
        case ast.Import() | ast.ImportFrom():
            return not _gives(statement) & set(used)
        case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"), orelse=[]):
            return True
        case ast.Expr(value=ast.Name()):
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr=attribute))):
            return attribute in _ASKS
        case ast.Assign(targets=[ast.Name()], value=ast.Call(func=ast.Attribute(attr=attribute))):
            return attribute in _ASKS
    return False


_ASKS = {"check", "exercise", "given", "plot", "points", "solution"}
"""What a student asks an exercise, and its feedback."""


def _written(statement: ast.stmt) -> str:
    try:
        return ast.unparse(statement)
    except RecursionError:
        return 'raise ValueError("a line above your answer is nested too deeply")'


def _statements(cell: Cell) -> list[ast.stmt]:
    tree = _parsed(cell.text)
    return [] if tree is None else unannotated(tree).body


def _names(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


def _defines(statement: ast.stmt) -> set[str]:
    return {statement.name} if isinstance(statement, ast.ClassDef | ast.FunctionDef) else set()


def _gives(statement: ast.stmt) -> set[str]:
    match statement:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            return {each.asname or each.name.partition(".")[0] for each in names}
        case ast.Assign() | ast.AnnAssign():
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            found = (node for target in targets for node in ast.walk(target))
            return {node.id for node in found if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return set()


__all__ = ["ANSWER", "NOBODY", "Cell", "HandedIn", "cells_of", "needed", "of_notebook", "read", "unannotated"]
