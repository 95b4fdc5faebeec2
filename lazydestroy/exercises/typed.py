"""An answer that was typed into a notebook, as the grader will read it."""

from __future__ import annotations

import ast
import builtins
import linecache
from pathlib import Path
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .patching import PatchExercise


def refusal(answer: type, exercise: PatchExercise) -> str:
    """Why the grader would not run a class that was typed into a notebook; empty if it would.

    A class from a file of the system isn't read: nobody hands that in.

    Parameters
    ----------
    answer : type
    exercise : PatchExercise
        What it answers.

    Returns
    -------
    str
        A sentence.
    """
    from ..grading import allowed
    from ..grading.handed_in import Cell, needed

    text = _cell(answer)
    if not text:
        return ""
    cells = (*(Cell("", above) for above in _above(answer, text)), Cell(exercise.name, text))
    return allowed.refusal(needed(cells, exercise.name), exercise)


def _functions(found: object) -> list[FunctionType]:
    if isinstance(found, FunctionType):
        return [found]
    return [value for value in vars(found).values() if isinstance(value, FunctionType)]


def _cell(found: object) -> str:
    """The text of the cell in which a class or a function was typed; empty if it comes from elsewhere."""
    for function in _functions(found):
        file = function.__code__.co_filename
        if not Path(file).exists() and (lines := linecache.getlines(file)):
            return "".join(lines)
    return ""


def _above(answer: type, text: str) -> list[str]:
    """What the answer's text takes from other cells, each as a text that gives it."""
    given_by: dict[str, Any] = next((function.__globals__ for function in _functions(answer)), {})
    known = {name: value for name, value in given_by.items() if name not in vars(builtins)}
    texts, left, met = [], [text], set[str]()
    while left:
        names = {node.id for node in ast.walk(ast.parse(left.pop())) if isinstance(node, ast.Name)}
        for name in sorted((names & set(known)) - met):
            given = _given(name, known[name])
            if given != text:
                left.append(given)
                texts.append(given)
        met |= names
    return texts


def _given(name: str, value: Any) -> str:
    """A text that gives a name its value, as far as the grader looks at it."""
    if isinstance(value, ModuleType):
        return f"import {value.__name__} as {name}"
    if not isinstance(value, type | FunctionType) and not callable(value):
        return f"{name} = None"
    if isinstance(value, type | FunctionType) and (text := _cell(value)):
        return text
    module, own = getattr(value, "__module__", None), getattr(value, "__qualname__", name)
    return f"from {module} import {own} as {name}" if module and own.isidentifier() else f"{name} = None"


__all__ = ["refusal"]
