"""A bar in a notebook that says how far long work is, and leaves nothing behind."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

PATIENCE = 0.7
"""Seconds until there is a bar: what is quicker needs none."""

PACE = 0.25
"""Seconds between two looks of it."""


def in_a_notebook() -> bool:
    """Whether a Jupyter kernel runs this, to which something can be shown while it works."""
    if "IPython" not in sys.modules:
        return False
    shell = sys.modules["IPython"].get_ipython()
    return shell is not None and hasattr(shell, "kernel")


@contextmanager
def bar(words: str, wanted: bool = True, growing: bool = True) -> Iterator[Callable[[int, int], None]]:
    """Show, in a notebook, how much of what is known to be work has been done; at the end it is gone.

    Parameters
    ----------
    words : str
        What is counted, such as "states".
    wanted : bool
        False: there is none.
    growing : bool
        Whether there may be more to do than is known by now.

    Yields
    ------
    callable
        To be called with how much is done, and how much is known by then.
    """
    if not (wanted and in_a_notebook()):
        yield lambda done, known: None
        return
    shown = _Bar(f"{words} so far" if growing else words)
    try:
        yield shown.show
    finally:
        shown.close()


class _Bar:
    def __init__(self, words: str) -> None:
        self.words = words
        self._last = time.perf_counter() + PATIENCE - PACE
        self._shown: Any = None

    def show(self, done: int, known: int) -> None:
        now = time.perf_counter()
        if now - self._last >= PACE:
            self._last = now
            drawn = f'<progress max="{known}" value="{done}"></progress>'
            self._display(f"{drawn} {done:,} of the {known:,} {self.words} are done")

    def close(self) -> None:
        if self._shown is not None:
            self._display("")

    def _display(self, html: str) -> None:
        from IPython.display import display

        bundle = {"text/html": html, "text/plain": ""}
        if self._shown is None:
            self._shown = display(bundle, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._shown.update(bundle, raw=True)


__all__ = ["bar", "in_a_notebook"]
