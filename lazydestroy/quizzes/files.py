"""The files of the questions: one ``NAME.toml`` for a lesson, with its quiz and its predictions."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from ..units import shown
from .asking import Asked, read
from .predicting import Predicted, read_prediction
from .texts import table


@cache
def _lessons() -> Mapping[str, Mapping[str, Any]]:
    """The content of all files, by name."""
    found = sorted(file for file in files(__package__).iterdir() if file.name.endswith(".toml"))  # type: ignore[type-var]
    return {
        file.name.removesuffix(".toml"): table(
            file.name, tomllib.loads(file.read_text(encoding="utf-8")), (), ("questions", "predictions")
        )
        for file in found
    }


def names() -> tuple[str, ...]:
    """Return the names of all quizzes."""
    return tuple(name for name, lesson in _lessons().items() if "questions" in lesson)


def predictions() -> Mapping[str, Predicted]:
    """Return all predictions, by name.

    Raises
    ------
    ValueError
        If one can't be made, or two have the same name.
    """
    found: dict[str, Predicted] = {}
    for file, lesson in _lessons().items():
        for name, given in lesson.get("predictions", {}).items():
            if name in found:
                raise ValueError(f"{file}.toml: prediction {name!r}: another lesson has one of that name")
            found[name] = read_prediction(name, given)
    return found


def quiz_named(name: str) -> tuple[Asked, ...]:
    """Return the questions of a quiz.

    Parameters
    ----------
    name : str
        One of `names`.

    Raises
    ------
    ValueError
        If there is no such quiz, or it can't be asked.
    """
    return read(_lessons()[_known(name, names(), "questions", "quiz")]["questions"])


def prediction_named(name: str) -> Predicted:
    """Return a prediction.

    Parameters
    ----------
    name : str
        A key of `predictions`.

    Raises
    ------
    ValueError
        If there is no such prediction.
    """
    found = predictions()
    return found[_known(name, found, "name", "prediction")]


def _known(name: Any, known: Iterable[str], parameter: str, kind: str) -> str:
    """See that there is something of that name."""
    listed = tuple(known)
    written = str.__str__(name) if isinstance(name, str) else None
    if written is None or written not in listed:
        raise ValueError(
            f"{parameter}={shown(name)}: there is no such {kind}; use one of {', '.join(map(repr, listed))}"
        )
    return written


__all__ = ["names", "prediction_named", "predictions", "quiz_named"]
