"""How far an experiment of many runs has come, for whoever asked and wants to know."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

Progress = Callable[[int, int], object]
"""Called with how many runs of a series are done, and how many there are."""

_listening: ContextVar[Progress | None] = ContextVar("listening", default=None)

T = TypeVar("T")


@contextmanager
def listening(progress: Progress | None) -> Iterator[None]:
    """Let `progress` hear of every `one_by_one` meanwhile."""
    token = _listening.set(progress)
    try:
        yield
    finally:
        _listening.reset(token)


def one_by_one(cases: Collection[T]) -> Iterator[T]:
    """Go through the cases of an experiment, and tell whoever is listening how far it is."""
    progress = _listening.get()
    for done, case in enumerate(cases):
        if progress is not None:
            progress(done, len(cases))
        yield case
