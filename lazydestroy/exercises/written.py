"""Whether a function has been written yet, or is still the skeleton that the reader was given."""

from __future__ import annotations

import ast
import inspect
import textwrap
from types import FunctionType


def is_unwritten(function: object) -> bool:
    """Whether there is no such function, or nothing in it but its docstring, ``pass`` and the like."""
    if not isinstance(function, FunctionType):
        return not callable(function)
    try:
        written = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    except (OSError, SyntaxError, IndexError):  # not from a file or a cell: what is in it cannot be told
        return False
    return isinstance(written, ast.FunctionDef) and all(map(_says_nothing, written.body))


def _says_nothing(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


__all__ = ["is_unwritten"]
