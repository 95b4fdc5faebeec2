"""Which code is this package's own, and which is a reader's."""

from __future__ import annotations

import os
from pathlib import Path

PACKAGE = f"{Path(__file__).parent}{os.sep}"
"""The package's folder. The separator is a part of it: next to it there may be one whose name goes on."""

_EXERCISES = f"{Path(PACKAGE) / 'exercises' / 'patches'}{os.sep}"


def is_ours(file: str) -> bool:
    """Whether code is in a file of this package."""
    return file.startswith(PACKAGE)


def is_answer(file: str) -> bool:
    """Whether code is in a file of this package that holds answers of exercises: these stand for a reader's."""
    return file.startswith(_EXERCISES)


__all__ = ["PACKAGE", "is_answer", "is_ours"]
