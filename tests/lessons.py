"""What the tests of the lessons share: which notebooks are lessons, and what their cells ask."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import nbformat

from tests.refresh_notebooks import FOLDER, notebooks

FOLDERS = ("course", "side", "reviewers")
"""Where lessons are. What else is in the folder of the notebooks is for reference, or an exercise of its own."""

CALL = re.compile(r"""\b(?P<what>predict|quiz)\(\s*["'](?P<name>[^"']+)["']""")


class Asking(NamedTuple):
    """A cell that asks: the name of what it asks, and what is committed as its output."""

    name: str
    cell: Any

    @property
    def html(self) -> list[str]:
        """What viewers without a kernel show."""
        return [output.data["text/html"] for output in self.cell.outputs if "text/html" in output.get("data", {})]


def lessons() -> list[Path]:
    """The lessons of the course, its side trips, and the pages for reviewers."""
    return [path for path in notebooks() if path.relative_to(FOLDER).parts[0] in FOLDERS]


def with_questions() -> list[Path]:
    """All notebooks with a cell that asks something by name."""
    return [path for path in notebooks() if asked(path, "predict") or asked(path, "quiz")]


@cache
def cells(path: Path) -> tuple[Any, ...]:
    """The cells of a notebook, as committed."""
    return tuple(nbformat.read(path, as_version=4).cells)


def asked(path: Path, what: str) -> list[Asking]:
    """The cells of a notebook that predict, or that hold a quiz."""
    code = (cell for cell in cells(path) if cell.cell_type == "code")
    return [
        Asking(found["name"], cell) for cell in code for found in CALL.finditer(cell.source) if found["what"] == what
    ]


def name_of(path: Path) -> str:
    """How a notebook is called in the list of tests."""
    return path.relative_to(FOLDER).as_posix()
