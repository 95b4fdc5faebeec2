"""Which exercises have been solved: in this session, and in a file only if the student asks for one."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

FILE = "lazydestroy-progress.json"
"""The file in the working folder, if none is named."""


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
        tries = self._tried.setdefault(name, Tries())
        if not tries.solved:
            tries.tries += 1
        tries.solved = tries.solved or right
        if self.file is not None:
            self._write(self.file)

    def keep(self, file: Path) -> None:
        """From now on keep it in a file; what is in there already is read first.

        Raises
        ------
        ValueError
            If there is something else in that file.
        """
        if file.exists():
            for name, before in self._read(file).items():
                now = self._tried.setdefault(name, Tries())
                if not before.solved:
                    now.tries += before.tries
                else:
                    now.tries = before.tries
                now.solved = now.solved or before.solved
        self._write(file)
        self.file = file

    @staticmethod
    def _read(file: Path) -> dict[str, Tries]:
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            return {str(name): Tries(int(tries["tries"]), bool(tries["solved"])) for name, tries in found.items()}
        except (ValueError, TypeError, KeyError, AttributeError):
            raise ValueError(f"file={str(file)!r}: this is no file of progress; name another one") from None

    def _write(self, file: Path) -> None:
        """All or nothing: a file that is half written would be lost."""
        text = json.dumps({name: {"tries": t.tries, "solved": t.solved} for name, t in self._tried.items()}, indent=1)
        handle, temporary = tempfile.mkstemp(dir=file.resolve().parent, prefix=f".{file.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as writing:
            writing.write(text + "\n")
        Path(temporary).replace(file)

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
        If there is something else in that file.
    """
    if file is not False:
        _SESSION.keep(Path(FILE if file is True else file))
    return _SESSION


def note(name: str, right: bool) -> None:
    """An answer has been checked."""
    _SESSION.note(name, right)


__all__ = ["FILE", "Progress", "Tries", "note", "progress"]
