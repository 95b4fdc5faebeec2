"""How often Python looks for garbage while something makes what it keeps: a search, or an import."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

YOUNG = 20_000
"""Objects that Python makes meanwhile before it looks for garbage among them. It costs some 20 MiB."""


@contextmanager
def rarely_collecting() -> Iterator[None]:
    """Let Python look for garbage less often. A search keeps most of what it makes, and so do imports.

    To look takes a sixth of a search, and of what a lesson imports.
    """
    usual, *older = gc.get_threshold()
    if not 0 < usual < YOUNG:  # off, or rare already, perhaps because of another thread
        yield
        return
    gc.set_threshold(YOUNG, *older)
    try:
        yield
    finally:
        gc.set_threshold(usual, *older)


__all__ = ["YOUNG", "rarely_collecting"]
