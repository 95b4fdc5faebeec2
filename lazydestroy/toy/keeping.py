"""The reader's own classes, from one lesson to the next: written to a file beside the notebook, and read again."""

from __future__ import annotations

import inspect
import linecache
import textwrap
from pathlib import Path
from types import FunctionType
from typing import Any

from ..exercises.feedback import Feedback
from .checking import Unwritten, check, check_together
from .kinds import Kind, kind_named, kind_of


def ready(name: str) -> type:
    """A ready-made toy, for a reader who skips a step.

    Parameters
    ----------
    name : str
        "ultravisor" or "host".

    Returns
    -------
    type
        A class with all methods of all lessons.

    Raises
    ------
    ValueError
        If there is no such toy.
    """
    return kind_named(name).ready


def keep(toy: type) -> Feedback:
    """Check a toy, and if it is right, write it to a file in the working folder for the next lesson.

    The file is ``my_ultravisor.py`` or ``my_host.py``; what was in it is replaced.

    Parameters
    ----------
    toy : type
        The class, perhaps written method by method: the file has it in one piece.

    Returns
    -------
    Feedback

    Raises
    ------
    ValueError
        If it is no toy.
    """
    kind = kind_of(toy)
    if toy is kind.ready:
        text = f"This is the ready-made {kind.what}, which the next lesson takes anyway: there is nothing to keep."
        return Feedback(f"toy {kind.class_name}", False, text)
    found = check(toy)
    if isinstance(found, Unwritten):
        method = found.exercise.removeprefix("toy ")
        text = f"Nothing is kept: {method} is not written yet. The next lesson has a ready-made {kind.what} for you."
        return Unwritten(f"toy {kind.class_name}", False, text)
    if not found.right:
        hints = (*found.hints, f"Until it is right, the next lesson goes on with the ready-made {kind.what}.")
        return Feedback(found.exercise, False, found.text, hints, None, found.printed)
    written = source_of(kind, toy)
    if not _works(kind, written):
        text = "It is right, but not in one piece: it needs something outside its methods. Move that into the class."
        return Feedback(found.exercise, False, text)
    Path(kind.file).write_text(written, encoding="utf-8")
    return Feedback(found.exercise, True, f"{found.text} It is kept in {kind.file}, and the next lesson takes it up.")


def mine(name: str) -> type:
    """The toy that the reader has kept, or the ready-made one; prints which.

    Parameters
    ----------
    name : str
        "ultravisor" or "host".

    Returns
    -------
    type

    Raises
    ------
    ValueError
        If there is no such toy.
    """
    kind = kind_named(name)
    path = Path(kind.file)
    if not path.exists():
        print(f"This is the ready-made {kind.what}: there is no {kind.file} here yet.")
        return kind.ready
    try:
        found = _made(path.read_text(encoding="utf-8"), str(path), kind.class_name)
    except Exception as error:  # it is the reader's file: anything may be in it
        print(f"{kind.file} cannot be used ({type(error).__name__}: {error}). This is the ready-made {kind.what}.")
        return kind.ready
    print(f"This is your own {kind.what}, from {kind.file}.")
    return found


def _works(kind: Kind, written: str) -> bool:
    """Whether the class does, from its text alone, what it did before."""
    try:
        return check_together(kind, _made(written, kind.file, kind.class_name)).right
    except Exception:  # a name that is not there, a decorator: whatever the reader has used
        return False


def source_of(kind: Kind, toy: type) -> str:
    """The class in one piece, from wherever its methods were written."""
    functions: dict[str, Any] = {}
    for layer in reversed(toy.__mro__):
        functions.update({name: it for name, it in vars(layer).items() if isinstance(it, FunctionType)})
    bodies = [textwrap.indent(textwrap.dedent(inspect.getsource(it)).strip(), "    ") for it in functions.values()]
    return f"from __future__ import annotations\n\n\nclass {kind.class_name}:\n" + "\n\n".join(bodies) + "\n"


def _made(written: str, file: str, name: str) -> type:
    """The class of that name in a text of Python, whose lines errors can show."""
    linecache.cache[file] = (len(written), None, written.splitlines(keepends=True), file)
    namespace: dict[str, Any] = {"__name__": Path(file).stem}
    exec(compile(written, file, "exec"), namespace)
    found = namespace[name]
    if not isinstance(found, type):
        raise TypeError(f"{name} is no class")
    return found


__all__ = ["keep", "mine", "ready", "source_of"]
