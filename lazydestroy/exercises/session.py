"""What you have solved: exercises and quizzes, in this session and, in a small file of your own, in earlier ones."""

from __future__ import annotations

import os
import re
import stat
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..quizzes import names, quiz_named
from ..units import expect, shown
from .kept import VARIABLE, Tries, locked, read_tries, usual_file, write_tries

QUESTION = re.compile(r"quiz (?P<quiz>\S+) (?P<number>\d+)")
"""How the questions of a quiz are called, beside the exercises."""


class Score(NamedTuple):
    """What came of a quiz.

    Attributes
    ----------
    right : int
        Questions that were answered correctly in the end.
    at_once : int
        Those of them that were answered correctly at the first try.
    questions : int
        Questions that it has.
    """

    right: int
    at_once: int
    questions: int

    def __str__(self) -> str:
        return f"{self.right} of {self.questions} right, {self.at_once} at the first try"


@dataclass(slots=True, repr=False)
class Progress:
    """Exercises and quizzes, and what came of them. Nothing is sent anywhere.

    Iterating gives the names of exercises; ``progress["flat-floor"]`` is a `Tries`.

    Attributes
    ----------
    file : Path or None
        Where it is kept; None: nowhere.
    """

    file: Path | None = None
    _tried: dict[str, Tries] = field(default_factory=dict)

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._tried if not QUESTION.fullmatch(name))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __getitem__(self, name: str) -> Tries:
        return self._tried[name]

    @property
    def solved(self) -> tuple[str, ...]:
        """Names of the exercises that were solved, in the order in which they were first tried."""
        return tuple(name for name in self if self._tried[name].solved)

    @property
    def quizzes(self) -> dict[str, Score]:
        """The score of each quiz that was begun, by name."""
        met = [(found, tries) for name, tries in self._tried.items() if (found := QUESTION.fullmatch(name))]
        scores: dict[str, Score] = {}
        for quiz in dict.fromkeys(found["quiz"] for found, _ in met):
            known = quiz_named(quiz) if quiz in names() else ()
            mine = [tries for found, tries in met if found["quiz"] == quiz]
            right = [tries for tries in mine if tries.solved]
            at_once = sum(tries.tries == 1 for tries in right)
            scores[quiz] = Score(len(right), at_once, max(len(known), len(mine)))
        return scores

    def note(self, name: str, right: bool) -> None:
        """An answer has been checked."""
        expect(str, name, "name", "the name of an exercise")
        if self.file is None:
            self._count(name, right)
            return
        counted = False
        try:
            with locked(self.file):
                self._catch_up(self.file)
                self._count(name, right)
                counted = True
                write_tries(self.file, self._tried)
        except (OSError, ValueError) as error:
            if not counted:
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
        expect(Path, file, "file", "a pathlib.Path")
        try:
            with locked(file):
                if self.file == file:
                    self._catch_up(file)
                else:
                    self._add(read_tries(file))
                write_tries(file, self._tried)
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
        for name, then in read_tries(file).items():
            now = self._tried.setdefault(name, Tries())
            now.tries, now.solved = max(now.tries, then.tries), now.solved or then.solved

    def _summary(self) -> str:
        if self.file is not None:
            kept = f"kept in {_short(self.file)}; ld.progress(file=False) ends that"
        else:
            kept = "kept in this session only; ld.progress(file=True) keeps it in a file"
        if not self._tried:
            return f"no exercise and no quiz has been tried ({kept})"
        parts = [f"{len(self.solved)} of {len(self)} exercises solved"] if len(self) else []
        scores = self.quizzes.values()
        if scores:
            right, all_ = sum(score.right for score in scores), sum(score.questions for score in scores)
            parts.append(f"{right} of {all_} questions answered correctly")
        return f"{', '.join(parts)} ({kept})"

    def _rows(self) -> list[tuple[str, str]]:
        def said(tries: Tries) -> str:
            count = f"{tries.tries} {'try' if tries.tries == 1 else 'tries'}"
            return f"solved, {count}" if tries.solved else f"not yet, {count}"

        rows = [(name, said(self._tried[name])) for name in self]
        return rows + [(f"quiz {name}", str(score)) for name, score in self.quizzes.items()]

    def __repr__(self) -> str:
        rows = self._rows()
        width = max((len(name) for name, _ in rows), default=0)
        return "\n".join([self._summary(), *(f"  {name:{width}}  {said}" for name, said in rows)])

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><td>{escape(name)}</td><td>{escape(said)}</td></tr>" for name, said in self._rows())
        return f"<div>{escape(self._summary())}<table>{rows}</table></div>"


def _short(file: Path) -> str:
    """A file's name for a reader, who knows where home is."""
    try:
        return f"~/{file.relative_to(Path.home()).as_posix()}"
    except (RuntimeError, ValueError):
        return str(file)


_SESSION: Progress | None = None
"""Made when it is first asked for: until then no file is looked at."""


def session() -> Progress:
    """Return the progress of this session, which goes on with the usual file if there can be one."""
    global _SESSION
    if _SESSION is None:
        _SESSION = Progress()
        _keep_as_usual(_SESSION)
    return _SESSION


def _keep_as_usual(kept: Progress) -> None:
    """Keep it in the usual file; in none if that cannot be: nobody has asked for one."""
    file = usual_file()
    if file is None:
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        kept.keep(file)
    except (OSError, ValueError):
        kept.file = None


def progress(file: str | os.PathLike[str] | bool | None = None) -> Progress:
    """Return which exercises you have solved, and how you did in the quizzes.

    It is kept from one notebook to the next in a small file in your home, ``~/.local/state/lazydestroy/progress.json``
    (XDG_STATE_HOME is respected), and sent nowhere. To have none, set the environment variable LAZYDESTROY_PROGRESS to
    ``off``, or remove the file; set to a name, the variable names another file.

    Parameters
    ----------
    file : path or bool, optional
        From now on keep it in this file; True is the usual one. What the file holds from earlier sessions counts as
        well. False: from now on keep it in this session only. Without it: as before.

    Returns
    -------
    Progress

    Raises
    ------
    ValueError
        If there is something else in that file, or it cannot be written.
    """
    found = session()
    if isinstance(file, np.bool_ | bool):
        if file:
            found.keep(_usual())
        else:
            found.file = None
    elif file is not None:
        found.keep(_named(file))
    return found


def _usual() -> Path:
    file = usual_file()
    if file is None:
        raise ValueError(f"file=True: {VARIABLE} is off, or you have no home; use the name of a file")
    file.parent.mkdir(parents=True, exist_ok=True)
    return file


def _named(file: object) -> Path:
    """The file that was named, if it can be one."""
    if not isinstance(file, str | os.PathLike) or not isinstance(os.fspath(file), str) or not os.fspath(file):
        raise ValueError(f"file={shown(file)}: use True, False, or the name of a file")
    try:
        cannot = stat.S_ISDIR(Path(file).stat().st_mode)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        cannot = False  # what keeps it says so
    except (OSError, ValueError):  # too long, or with characters that no file's name has
        cannot = True
    if cannot:
        raise ValueError(f"file={shown(file)}: use the name of a file; this cannot be one, or is a folder")
    return Path(file)


def note(name: str, right: bool) -> None:
    """An answer has been checked."""
    session().note(name, right)


def note_question(quiz: str, number: int, right: bool) -> None:
    """A question of a quiz has been answered."""
    session().note(f"quiz {quiz} {number}", right)


__all__ = ["Progress", "Score", "Tries", "note", "note_question", "progress"]
