"""Sending a kernel to another process."""

from __future__ import annotations

import pickle
from typing import Any

from ..executors import as_bytes
from ..layers import Series

WHAT_TRAVELS = (
    "a layer that you write in a notebook travels if cloudpickle is installed here and where the workers are "
    '(pip install "lazydestroy[sweep]"); if not, put it into a file that the workers can import'
)


def packed(what: Any, kernel: Series) -> bytes:
    """Pickle something that has a kernel in it.

    Pickle sends a class by its name, and the other process imports it. It cannot import what is written in a notebook:
    such a class cloudpickle sends as a whole, if it is installed.

    Raises
    ------
    ValueError
        If a layer of the kernel cannot be pickled.
    """
    try:
        return as_bytes(what)
    except (AttributeError, TypeError, pickle.PicklingError) as error:
        raise ValueError(f"{kernel!r} cannot be sent to another process ({error}): {WHAT_TRAVELS}") from error


__all__ = ["WHAT_TRAVELS", "packed"]
