"""The module of three weeks that the teacher's guide plans, as data; and its folder for nbgrader.

    python -m tools.course FOLDER

writes ``FOLDER/source``, with an assignment for each hand-out instead of one for each kind of exercise, and nbgrader's
configuration. Nothing but Python is needed.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXERCISES = ROOT / "notebooks" / "exercises"

SESSIONS = (
    ("01-why-is-the-reboot-slow", "02-meet-the-ultravisor"),
    ("03-old-pages-new-guest",),
    ("04-lazy-reboot", "05-lazy-shutdown"),
    ("06-the-game",),
    ("07-a-counter-instead-of-a-flag", "08-version-1s-own-bugs"),
    ("09-what-does-wait-promise", "10-what-linux-ships"),
)
"""The lessons of each session, two sessions a week."""


@dataclass(frozen=True, slots=True)
class Handout:
    """Exercises that are handed out together.

    Attributes
    ----------
    name : str
        Of the assignment, for nbgrader.
    notebooks : tuple of str
        In ``notebooks/exercises/source``, without their ends.
    out, due : int
        The sessions after which they are handed out, and at whose beginning they are due; the first is 1.
    """

    name: str
    notebooks: tuple[str, ...]
    out: int
    due: int


HANDOUTS = (
    Handout("week-1", ("write-the-patch/patch-4", "write-the-patch/patch-3", "write-the-patch/patch-7"), out=1, due=2),
    Handout("more", ("write-the-patch/patch-8", "write-the-patch/patch-9"), out=2, due=3),
    Handout(
        "week-2",
        ("predict-and-compute/1-pages", "predict-and-compute/2-times", "write-the-patch/patch-6"),
        out=4,
        due=5,
    ),
    Handout("experiment", ("design-an-experiment/experiment",), out=4, due=6),
    Handout("week-3", ("write-the-patch/destroy-fast", "predict-and-compute/3-counts"), out=5, due=6),
)
"""What is handed out when. No lesson tells an answer before the day when it is due."""


def write(to: Path, exercises: Path = EXERCISES) -> None:
    """Write the folder of a course.

    Parameters
    ----------
    to : Path
        It must not have a ``source`` yet.
    exercises : Path
        Where the exercises and nbgrader's configuration are.

    Raises
    ------
    ValueError
        If there is a ``source`` already.
    """
    source = to / "source"
    if source.exists():
        raise ValueError(f"to='{to}': there is a course already; name a new folder, or remove '{source}'")
    for handout in HANDOUTS:
        folder = source / handout.name
        folder.mkdir(parents=True)
        for name in handout.notebooks:
            shutil.copyfile(exercises / "source" / f"{name}.ipynb", folder / f"{Path(name).name}.ipynb")
    shutil.copyfile(exercises / "nbgrader_config.py", to / "nbgrader_config.py")


def main(arguments: list[str] | None = None) -> int:
    """Write the folder, and say what is in it."""
    parser = argparse.ArgumentParser(prog="python -m tools.course", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", help="a new folder for the course")
    given = parser.parse_args(arguments)
    if not given.folder:
        parser.error("folder='': name a new folder, as in make course COURSE=my-course")
    try:
        write(Path(given.folder))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    for handout in HANDOUTS:
        names = ", ".join(Path(name).name for name in handout.notebooks)
        print(f"{given.folder}/source/{handout.name}: {names}")
        print(f"    handed out after session {handout.out}, due at the beginning of session {handout.due}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
