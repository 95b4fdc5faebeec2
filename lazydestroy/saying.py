"""What this package's programs print, whatever the terminal can write and however long somebody reads."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

_PLAIN = str.maketrans({"µ": "u", "×": "x", "·": "*", "–": "-", "’": "'", "\N{NO-BREAK SPACE}": " ", "→": "->"})
"""What is written where the terminal cannot write a character."""

P = ParamSpec("P")

INTERRUPTED = 130
"""Exit status of a program that was interrupted, as shells have it."""


class _CannotSay(Exception):
    """Standard output takes no more."""


def say(text: object) -> None:
    """Print, with what the terminal cannot write spelled in ASCII."""
    written = str(text)
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        written.encode(encoding)
    except UnicodeEncodeError:
        written = written.translate(_PLAIN).encode(encoding, "backslashreplace").decode(encoding)
    try:
        print(written, flush=True)
    except OSError as error:
        # let the interpreter find nothing to complain about at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise _CannotSay(error.errno, error.strerror) from None


def program(name: str) -> Callable[[Callable[P, int]], Callable[P, int]]:
    """Let a program end without a traceback if it is interrupted, or nobody takes what it says.

    Parameters
    ----------
    name : str
        What stands before the reason.

    Returns
    -------
    callable
        Wraps a function that takes the command line and returns the exit status. That is 1 if the reader has gone, 2 if
        standard output takes no more, and 130 after an interrupt.
    """

    def wrap(main: Callable[P, int]) -> Callable[P, int]:
        @wraps(main)
        def run(*arguments: P.args, **named: P.kwargs) -> int:
            try:
                return main(*arguments, **named)
            except _CannotSay as error:
                number, reason = error.args
                if number == errno.EPIPE:  # the reader has seen enough
                    return 1
                why = f"the answer cannot be written to standard output: {reason}"
                status = 2
            except KeyboardInterrupt:
                why, status = "interrupted", INTERRUPTED
            print(f"{name}: {why}", file=sys.stderr)
            return status

        return run

    return wrap


__all__ = ["INTERRUPTED", "program", "say"]
