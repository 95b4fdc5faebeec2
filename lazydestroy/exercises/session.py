"""Which exercises have been solved: in this session, and in a file only if the student asks for one."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import numpy as np

from ..units import shown

FILE = "lazydestroy-progress.json"
"""The file in the working folder, if none is named."""

QUIZ = "quiz"
"""What the names of questions begin with."""


@dataclass(slots=True)
class Tries:
    """What came of one exercise, with one seed.

    Attributes
    ----------
    tries : int
        Answers that were checked.
    solved : bool
        Whether one of them was right.
    """

    tries: int = 0
    solved: bool = False


@dataclass(slots=True, repr=False)
class Progress:
    """The exercises of this session and what came of them. Nothing is sent anywhere.

    Iterating gives their names; ``progress["flat-floor"]`` is a `Tries`.

    Attributes
    ----------
    file : Path or None
        Where it is kept; None: nowhere.
    """

    file: Path | None = None
    _tried: dict[str, Tries] = field(default_factory=dict)

    def __iter__(self) -> Iterator[str]:
        return iter(self._tried)

    def __len__(self) -> int:
        return len(self._tried)

    def __getitem__(self, name: str) -> Tries:
        return self._tried[name]

    @property
    def solved(self) -> tuple[str, ...]:
        """Names of the exercises that were solved, in the order in which they were first tried."""
        return tuple(name for name, tries in self._tried.items() if tries.solved)

    def note(self, name: str, right: bool) -> None:
        """An answer to an exercise has been checked."""
        if self.file is None:
            self._count(name, right)
            return
        try:
            with _locked(self.file):
                self._catch_up(self.file)
                self._count(name, right)
                self._write(self.file)
        except (OSError, ValueError) as error:
            self._count(name, right)
            warnings.warn(f"progress is kept in this session only: {error}", stacklevel=2)

    def _count(self, name: str, right: bool) -> None:
        tries = self._tried.setdefault(name, Tries())
        if not tries.solved:
            tries.tries += 1
        tries.solved = tries.solved or right

    def keep(self, file: Path) -> None:
        """From now on keep it in a file; what is in there already is read first.

        Raises
        ------
        ValueError
            If there is something else in that file, or it cannot be written.
        """
        try:
            with _locked(file):
                if self.file == file:
                    self._catch_up(file)
                else:
                    self._add(self._read(file))
                self._write(file)
        except OSError as error:
            raise ValueError(f"file={shown(str(file))}: {error.strerror or error}; name another one") from None
        self.file = file

    def _add(self, before: dict[str, Tries]) -> None:
        """What was tried in earlier sessions comes before what was tried in this one."""
        for name, then in before.items():
            now = self._tried.setdefault(name, Tries())
            now.tries = then.tries if then.solved else now.tries + then.tries
            now.solved = now.solved or then.solved

    def _catch_up(self, file: Path) -> None:
        """Another session may have written to the file since this one did: counts only grow."""
        for name, then in self._read(file).items():
            now = self._tried.setdefault(name, Tries())
            now.tries, now.solved = max(now.tries, then.tries), now.solved or then.solved

    @staticmethod
    def _read(file: Path) -> dict[str, Tries]:
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            return {str(name): Tries(int(tries["tries"]), bool(tries["solved"])) for name, tries in found.items()}
        except FileNotFoundError:
            return {}
        except (ValueError, TypeError, KeyError, AttributeError):
            raise ValueError(f"file={shown(str(file))}: this is no file of progress; name another one") from None

    def _write(self, file: Path) -> None:
        """All or nothing: a file that is half written would be lost."""
        text = json.dumps({name: {"tries": t.tries, "solved": t.solved} for name, t in self._tried.items()}, indent=1)
        target = file.resolve()
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{file.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as writing:
                writing.write(text + "\n")
            Path(temporary).replace(target)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            raise

    def _summary(self) -> str:
        kept = f"kept in {self.file}" if self.file is not None else "kept in no file: ld.progress(file=True) does"
        if not self._tried:
            return f"no exercise has been tried in this session ({kept})"
        return f"{len(self.solved)} of {len(self)} exercises solved ({kept})"

    def _rows(self) -> list[tuple[str, str]]:
        def said(tries: Tries) -> str:
            count = f"{tries.tries} {'try' if tries.tries == 1 else 'tries'}"
            return f"solved, {count}" if tries.solved else f"not yet, {count}"

        return [(name, said(tries)) for name, tries in self._tried.items()]

    def __repr__(self) -> str:
        width = max((len(name) for name in self._tried), default=0)
        return "\n".join([self._summary(), *(f"  {name:{width}}  {said}" for name, said in self._rows())])

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><td>{escape(name)}</td><td>{escape(said)}</td></tr>" for name, said in self._rows())
        return f"<div>{escape(self._summary())}<table>{rows}</table></div>"


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[None]:
    """One session at a time reads the file and writes it anew.

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


_SESSION = Progress()


def progress(file: str | os.PathLike[str] | bool = False) -> Progress:
    """Which exercises have been solved in this session.

    Nothing is kept unless a file is asked for, and nothing is sent anywhere.

    Parameters
    ----------
    file : path or bool
        From now on keep it in this file; True is ``lazydestroy-progress.json`` in the working folder. What the file
        holds from earlier sessions counts as well. False: as before.

    Returns
    -------
    Progress

    Raises
    ------
    ValueError
        If there is something else in that file, or it cannot be written.
    """
    if isinstance(file, np.bool_ | bool):
        name: str | os.PathLike[str] = FILE if file else ""
    elif isinstance(file, str | os.PathLike) and os.fspath(file) and isinstance(os.fspath(file), str):
        name = file
    else:
        raise ValueError(f"file={shown(file)}: use True, False, or the name of a file")
    if name:
        _keep(name)
    return _SESSION


def _keep(name: str | os.PathLike[str]) -> None:
    if "\0" in os.fspath(name) or Path(name).is_dir():
        raise ValueError(f"file={shown(name)}: use the name of a file; this cannot be one, or is a folder")
    _SESSION.keep(Path(name))


def note(name: str, right: bool) -> None:
    """An answer has been checked."""
    _SESSION.note(name, right)


def note_question(quiz: str, number: int, right: bool) -> None:
    """A question of a quiz has been answered."""
    _SESSION.note(f"{QUIZ} {quiz} {number}", right)


__all__ = ["FILE", "Progress", "Tries", "note", "note_question", "progress"]
