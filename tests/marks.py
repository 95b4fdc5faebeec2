"""Marks that several test files use."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest


def long_unless(quick: Callable[[Any], bool], why: str, values: Iterable[Any]) -> list[Any]:
    """Return the parameters of a test; those that are not quick are marked long, for that reason.

    So `make test` checks the claim for a few values, and `make test-all` for all of them. Without a quick value
    `make test` would drop the claim: then mark the whole test long, and say why nothing quicker shows it.

    Parameters
    ----------
    quick : function
        Tells of a value whether `make test` should try it.
    why : str
        Why the others are left to `make test-all`.
    values : iterable
        What `pytest.mark.parametrize` takes.

    Raises
    ------
    ValueError
        If no value is quick.
    """
    values = list(values)
    if not any(map(quick, values)):
        raise ValueError(f"none of these {len(values)} values is quick: make test would not check the claim at all")
    mark = pytest.mark.long(why)
    return [
        value if quick(value) else pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=mark)
        for value in values
    ]
