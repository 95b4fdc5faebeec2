"""Marks that several test files use."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis.strategies import SearchStrategy


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


def few_and_many(few: int, many: int) -> Any:
    """Parametrize a test with how many `examples` it tries: few in `make test`, and many in `make test-all`.

    The test calls `tried` with that number.
    """
    why = f"tries {many} examples; the first {few} are in make test"
    return pytest.mark.parametrize("examples", long_unless(lambda examples: examples == few, why, [few, many]))


def tried(examples: int, *strategies: SearchStrategy[Any]) -> Callable[[Callable[..., None]], None]:
    """Decorate a function in a test: it is called at once, with so many examples of what the strategies draw."""

    def run(test: Callable[..., None]) -> None:
        settings(max_examples=examples)(given(*strategies)(test))()

    return run
