"""Running code that a reader has written: it may raise an error, or never end."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Any

from ..ours import is_ours

STEPS = 50_000
"""Steps of Python's interpreter that one call may take: a toy needs some hundred."""


class Stopped(Exception):
    """The reader's code did not come to its end.

    Attributes
    ----------
    text : str
        What it does instead: stops with an error, or does not end.
    line : str
        The line of the reader's code in which that happened; may be empty.
    error : type
        What was raised.
    """

    def __init__(self, text: str, line: str, error: type) -> None:
        super().__init__(text)
        self.text, self.line, self.error = text, line, error

    def __str__(self) -> str:
        return self.text + (f', in the line "{self.line}"' if self.line else "")


class Endless(BaseException):
    """The reader's code has run for too long. No ``except Exception`` in it catches this."""


def called(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function of the reader's, and stop it after `STEPS` steps.

    Raises
    ------
    Stopped
        If it raises an error, or does not end.
    """
    before = sys.gettrace()
    sys.settrace(_counting())
    try:
        return function(*arguments)
    except Endless as error:
        raise Stopped("does not come to an end", _line(error), Endless) from None
    except Exception as error:
        raise Stopped(f"stops with {type(error).__name__}: {error}", _line(error), type(error)) from None
    finally:
        sys.settrace(before)


def _counting() -> Callable[..., Any]:
    """Count steps in code that is not the package's, and raise `Endless` when they are too many.

    Steps, not lines: a loop that has only one line never comes to another.
    """
    left = STEPS

    def step(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise Endless
        return step

    def call(frame: FrameType, event: str, argument: object) -> Any:
        if is_ours(frame.f_code.co_filename):
            return None
        frame.f_trace_opcodes = True
        return step

    return call


def _line(error: BaseException) -> str:
    """The last line of the reader's code on the way to an error."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = (frame.line for frame in reversed(frames) if frame.line and not is_ours(frame.filename))
    return next(theirs, None) or ""


__all__ = ["STEPS", "Endless", "Stopped", "called"]
