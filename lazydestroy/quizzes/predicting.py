"""A prediction: what may happen, and which of it did happen, by what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from numbers import Real
from typing import Any

import numpy as np

from ..units import flag, format_count, shown
from .asking import answers_in, different
from .texts import marked, plain, table, word


@dataclass(frozen=True, slots=True)
class Option:
    """One thing that may happen.

    Attributes
    ----------
    answer : str
    feedback : str
        What is said to a reader who chose it; ``{measured}`` in it is replaced by what was measured.
    expected : bool
        Whether it is what happens with the lesson's own values.
    name : str
        It happened if this is what was measured; "yes" and "no" stand for True and False.
    least, most : float
        Or it happened if ``least <= measured < most``.
    """

    answer: str
    feedback: str
    expected: bool
    name: str
    least: float
    most: float

    @property
    def label(self) -> str:
        """The answer without marks."""
        return plain(self.answer)

    def happened(self, measured: str | bool | float) -> bool:
        """Whether it is what was measured."""
        if isinstance(measured, bool | str):
            return self.name == (measured if isinstance(measured, str) else "yes" if measured else "no")
        return not self.name and self.least <= measured < self.most

    def told(self, measured: str | bool | float) -> str:
        """What is said to a reader who chose it."""
        return self.feedback.replace("{measured}", written(measured))


@dataclass(frozen=True, slots=True)
class Predicted:
    """A question about what will happen.

    Attributes
    ----------
    name : str
    question : str
    options : tuple of Option
        One of them is expected.
    measured : str
        The attribute of what the experiment returns that decides; empty: that itself does. Of several things in a
        tuple, the first one decides.
    says : str
        A sentence that stands in place of a bare number or word that decides; ``{measured}`` in it is replaced by what
        was measured. Empty: the number or word is shown as it is.
    """

    name: str
    question: str
    options: tuple[Option, ...]
    measured: str
    says: str = ""

    @property
    def text(self) -> str:
        """The question without marks."""
        return plain(self.question)

    @property
    def expected(self) -> Option:
        """What happens with the lesson's own values."""
        return next(option for option in self.options if option.expected)

    def happened(self, measured: Any) -> tuple[Option, str | bool | float]:
        """Find the option that did happen.

        Parameters
        ----------
        measured : str, bool, number, or a tuple or list, of which the length is taken

        Returns
        -------
        option : Option
        measured : str, bool, int or float

        Raises
        ------
        ValueError
            If none of the options, or none of their kind, is what was measured.
        """
        value = self._read(measured)
        for option in self.options:
            if option.happened(value):
                return option, value
        raise ValueError(f"predict({self.name!r}): measured was {shown(value)}; {self._accepted()}")

    def _read(self, measured: Any) -> str | bool | float:
        if isinstance(measured, tuple | list):
            return len(measured)
        if isinstance(measured, np.bool_):
            return bool(measured)
        if isinstance(measured, str | bool):
            return measured
        if isinstance(measured, Real):
            return int(measured) if isinstance(measured, int | np.integer) else float(measured)
        raise ValueError(f"predict({self.name!r}): measured was {shown(measured)}; {self._accepted()}")

    def _accepted(self) -> str:
        if self.options[0].name:
            return f"let outcome= or answer= return one of {', '.join(repr(option.name) for option in self.options)}"
        ranges = ", ".join(f"{option.least:g} to {option.most:g}" for option in self.options)
        return f"let outcome= or answer= return a number in one of {ranges}"


def written(measured: str | bool | float) -> str:
    """Write what was measured for a reader: of a number, three digits; whole numbers in full."""
    if isinstance(measured, bool):
        return "yes" if measured else "no"
    if isinstance(measured, int):
        return format_count(measured)
    return measured if isinstance(measured, str) else f"{measured:.3g}"


def read_prediction(name: str, given: Mapping[str, Any]) -> Predicted:
    """Read a prediction, and see that it can be made.

    Parameters
    ----------
    name : str
    given : dict
        It has a "question" and "answers", and perhaps "measured" and "says". Each answer has an "answer" and
        "feedback", and either a "name" or bounds: "least", "most" or both; one is "correct". Texts may be marked with
        <b>, <code>, <i>.

    Returns
    -------
    Predicted

    Raises
    ------
    ValueError
        That names the prediction, and says what is wrong with it.
    """
    where = f"prediction {name!r}"
    given = table(where, given, ("question", "answers"), ("measured", "says"))
    options = tuple(_option(where, each) for each in answers_in(where, given["answers"]))
    different(where, [option.label for option in options])
    right = sum(option.expected for option in options)
    if right != 1:
        raise ValueError(f"{where}: {right} answers are correct; exactly one must be")
    names = [option.name for option in options if option.name]
    if names and len(set(names)) < len(options):
        raise ValueError(f"{where}: give each answer a name of its own, or each of them bounds")
    if not names:
        _apart(where, options)
    measured = word(f"{where}: measured", given["measured"]) if "measured" in given else ""
    says = marked(f"{where}: says", given["says"]) if "says" in given else ""
    if says and "{measured}" not in says:
        raise ValueError(f"{where}: says: {says!r}: write {{measured}} where the measured value is to stand")
    return Predicted(name, marked(where, given["question"]), options, measured, says)


def _option(where: str, given: Any) -> Option:
    given = table(f"{where}: answer", given, ("answer", "feedback"), ("correct", "name", "least", "most"))
    bounded = "least" in given or "most" in given
    if bounded == ("name" in given):
        raise ValueError(f"{where}: {given['answer']!r}: give it a 'name', or bounds: 'least', 'most' or both")
    return Option(
        marked(where, given["answer"]),
        marked(where, given["feedback"]),
        flag(given.get("correct", False), f"{where}: correct"),
        word(f"{where}: name", given["name"]) if "name" in given else "",
        _bound(where, given.get("least", float("-inf"))),
        _bound(where, given.get("most", float("inf"))),
    )


def _bound(where: str, given: Any) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise ValueError(f"{where}: {shown(given)} is no bound; use a number")
    return given


def _apart(where: str, options: tuple[Option, ...]) -> None:
    """See that one measured value can't be in two options."""
    ordered = sorted(options, key=lambda option: option.least)
    for option, following in pairwise(ordered):
        if not option.least < option.most <= following.least:
            raise ValueError(f"{where}: the bounds of {option.label!r} and {following.label!r} overlap")


__all__ = ["Option", "Predicted", "read_prediction", "written"]
