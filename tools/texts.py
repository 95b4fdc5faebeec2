"""Find the sentences that the package prints: events, errors, findings, hints, titles, and what a wrong answer is told.

They are the text constants of its code, without docstrings. But the docstrings of layers are printed, too: of patches
and fixes, and of mistakes that an exercise knows. What is filled in while the code runs counts as one word.
`tools.lessons` judges them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

FILLED_IN = "0"
"""Stands for what is filled in."""

LAYERS = (Path("series"), Path("exercises", "patches"))
"""Where layers are: here the docstring of a class with a base is printed."""

SECTIONS = re.compile(r"\n *\w+\n *---.*", re.DOTALL)
"""What a docstring has behind its text: attributes, parameters."""

SOURCE = re.compile(r"\s*\[[^\]\s]*\]")
"""A reference such as [-13] or [20210518173624.13d043e3@ibm-vm] behind a sentence."""


def texts_of(code: str, docstrings: bool = False) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each constant of more than one word; docstrings of layers if wanted."""
    tree = ast.parse(code)
    left_out, wanted = _docstrings(tree), _docstrings(tree, _derived) if docstrings else set()
    for node in ast.walk(tree):
        text = _text(node)
        if isinstance(node, ast.JoinedStr):
            left_out |= {id(part) for part in node.values}
        if text is not None and " " in text.strip() and (id(node) not in left_out or id(node) in wanted):
            yield node.lineno, SOURCE.sub("", SECTIONS.sub("", text))


def _docstrings(tree: ast.AST, of: Callable[[ast.AST], bool] = lambda node: True) -> set[int]:
    """The texts that stand alone as statements: docstrings, also those of attributes."""
    bodies = [getattr(node, "body", ()) for node in ast.walk(tree) if of(node)]
    listed = [body for body in bodies if isinstance(body, list)]  # a lambda's is an expression
    return {id(each.value) for body in listed for each in body if isinstance(each, ast.Expr)}


def _derived(node: ast.AST) -> bool:
    return isinstance(node, ast.ClassDef) and bool(node.bases)


def _text(node: ast.AST) -> str | None:
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) or FILLED_IN for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def printed(package: Path) -> Iterator[tuple[str, str]]:
    """Yield where a text of the package stands, such as "host/log.py:49", and the text."""
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package)
        layers = any(map(name.is_relative_to, LAYERS))
        for line, text in sorted(texts_of(path.read_text(encoding="utf-8"), docstrings=layers)):
            if not text.startswith("<style>"):
                yield f"{name.as_posix()}:{line}", text
