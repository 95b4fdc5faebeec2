"""How often Python looks for garbage while a search makes what it keeps."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

YOUNG = 20_000
"""Objects that Python makes, while it searches, before it looks for garbage among them. It costs some 20 MiB."""


@contextmanager
def rarely_collecting() -> Iterator[None]:
    """Let Python look for garbage less often: a search keeps most of what it makes, and looking takes a sixth of it."""
    usual, *older = gc.get_threshold()
    if not 0 < usual < YOUNG:  # off, or rare already, perhaps in a search of another thread
        yield
        return
    gc.set_threshold(YOUNG, *older)
    try:
        yield
    finally:
        gc.set_threshold(usual, *older)


__all__ = ["YOUNG", "rarely_collecting"]
