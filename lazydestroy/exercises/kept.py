"""The file in which progress is kept from one notebook to the next, and where it is."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..units import shown

VARIABLE = "LAZYDESTROY_PROGRESS"
"""Environment variable that names the file; "off" means none."""

OFF = "off"

BROWSERS_DRIVE = Path("/drive")
"""Where a kernel of JupyterLite finds the reader's notebooks, which the browser keeps. Its other files end with it."""


@dataclass(slots=True)
class Tries:
    """What came of one exercise, with one seed, or of one question of a quiz.

    Attributes
    ----------
    tries : int
        Answers that were checked, up to the first one that was right.
    solved : bool
        Whether one of them was right.
    """

    tries: int = 0
    solved: bool = False


def usual_file() -> Path | None:
    """Return the file that is used unless another is asked for; None: none.

    It is what LAZYDESTROY_PROGRESS names, else ``lazydestroy/progress.json`` in the folder where programs of this user
    keep their state: XDG_STATE_HOME, or ``~/.local/state``. In JupyterLite it is ``progress.json``, beside the
    notebooks' folders.
    """
    named = os.environ.get(VARIABLE, "")
    if named:
        try:
            return None if named.lower() == OFF else Path(named).expanduser()
        except RuntimeError:  # the home of somebody whom this system does not know
            return None
    if sys.platform == "emscripten" and BROWSERS_DRIVE.is_dir():
        return BROWSERS_DRIVE / "progress.json"
    state = os.environ.get("XDG_STATE_HOME", "")
    try:
        folder = Path(state) if Path(state).is_absolute() else Path.home() / ".local" / "state"
    except RuntimeError:  # the user has no home
        return None
    return folder / "lazydestroy" / "progress.json"


def read_tries(file: Path) -> dict[str, Tries]:
    """Read what was kept; there may be no file yet.

    Raises
    ------
    ValueError
        If it is a file of something else, or no ordinary file: what is read of a device or a pipe may have no end.
    """
    if file.exists() and not file.is_file():
        raise ValueError(f"file={shown(str(file))}: this is no ordinary file; name another one")
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return {str(name): Tries(int(tries["tries"]), bool(tries["solved"])) for name, tries in found.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        raise ValueError(f"file={shown(str(file))}: this is no file of progress; name another one") from None


def write_tries(file: Path, tried: Mapping[str, Tries]) -> None:
    """Write all or nothing: a file that is half written would be lost."""
    text = json.dumps({name: {"tries": t.tries, "solved": t.solved} for name, t in tried.items()}, indent=1)
    target = file.resolve()
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as writing:
            writing.write(text + "\n")
        Path(temporary).replace(target)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """Let one session at a time read the file and write it anew.

    The lock is on the folder, as the file itself is replaced. Where there are no locks, all goes without: then a try is
    lost if two sessions write within the same millisecond.
    """
    folder = None
    with contextlib.suppress(ImportError, AttributeError, OSError):  # Windows, a browser's Python, some network drives
        import fcntl

        folder = os.open(file.resolve().parent, os.O_RDONLY)
        fcntl.flock(folder, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if folder is not None:
            os.close(folder)


__all__ = ["OFF", "VARIABLE", "Tries", "locked", "read_tries", "usual_file", "write_tries"]
