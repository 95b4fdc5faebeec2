"""Golden data: what the kernel's own code did, compiled for user space, and drivers that do the same on a `Machine`.

    python -m tests.golden [FILE ...]

says how many cases are equal, and for each other one where it first differs. The data are in ``tests/data``, and a page
beside them says what each format has: `version_1` is about the series of May 2021, `linux_6_2` about what was merged.
"""

from pathlib import Path

from . import data, linux_6_2, version_1
from .data import DATA, Case

FORMATS = {module.FORMAT: module for module in (version_1, linux_6_2)}


def cases(*files: Path) -> list[tuple[Case, int | str]]:
    """The cases of files of any format, each with its format."""
    found = []
    for file in files:
        name, of_file = data.read(file)
        if name not in FORMATS:
            raise ValueError(f"{file}: format {name!r}, and this program knows {', '.join(map(repr, FORMATS))}")
        found += [(case, name) for case in of_file]
    return found


__all__ = ["DATA", "FORMATS", "Case", "cases", "linux_6_2", "version_1"]
