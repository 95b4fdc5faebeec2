"""Ask first, compute later: problems whose numbers are drawn from a seed, and whose answers the model computes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from hashlib import sha256
from typing import Any, TypeVar

from .. import units
from .amounts import amount
from .feedback import Feedback, Solution
from .task import Exercise

Numbers = Mapping[str, Any]
T = TypeVar("T")


def exactly(nanoseconds: int) -> str:
    """Write a time to the last digit: ``"3.704 µs"``."""
    return units.exact_duration(nanoseconds).replace(" us", " µs")


class Draw:
    """Draws from a seed: the same everywhere and forever, whatever becomes of a library's random numbers."""

    def __init__(self, name: str, seed: int | str) -> None:
        self._root = f"{name}/{seed}"

    def apart(self, what: str) -> Draw:
        """Draws of their own, for a part of the problem."""
        return Draw(self._root, what)

    def number(self, what: str, below: int) -> int:
        """A number from 0 up; `what` says what it is for, so that each has its own."""
        return int.from_bytes(sha256(f"{self._root}/{what}".encode()).digest()) % below

    def choose(self, what: str, options: Sequence[T]) -> T:
        """One of some options."""
        return options[self.number(what, len(options))]

    def order(self, what: str, options: Sequence[T]) -> list[T]:
        """All of them, in some order."""
        return sorted(options, key=lambda option: self.number(f"{what}/{option!r}", 1 << 64))


@dataclass(frozen=True, slots=True)
class Kind:
    """What an answer is: how it is read and written.

    Attributes
    ----------
    asks : str
        What a student may write.
    unit : int
        What a bare number counts, in the unit of the exact answer (a second is 1,000,000,000 ns).
    read : callable
        Reads an answer; the second argument is its name, for the ValueError that says what would be one.
    write : callable
        Writes an exact answer.
    """

    asks: str
    unit: int
    read: Callable[[object, str], Fraction]
    write: Callable[[int], str]


def _seconds(answer: object, name: str) -> Fraction:
    return _amount(answer, name, "s")


def _mebibytes(answer: object, name: str) -> Fraction:
    return _amount(answer, name, "MiB")


def _amount(answer: object, name: str, unit: str) -> Fraction:
    written = amount(answer, name, unit)
    try:
        return units.calculated(written, name, unit)
    except ValueError:
        if written is answer:
            raise
    return units.calculated(answer, name, unit)  # so that the error shows what was typed


def _count(answer: object, name: str) -> Fraction:
    accepted = "a number, such as 1048576 or '1,048,576'; 0 or more"
    written = re.sub("[ ,_]", "", answer) if isinstance(answer, str) else answer
    count = units.number(written, name, accepted, text=True)
    if count < 0:
        raise units.bad_value(name, answer, "is negative", accepted)
    return count


TIME = Kind("a time: a number of seconds, or text with a unit such as '797 ms'", 10**9, _seconds, units.format_duration)
COUNT = Kind("a number, such as 1048576", 1, _count, units.format_count)
SIZE = Kind(
    "an amount of memory: a number of MiB, or text with a unit such as '1.5 GiB'",
    1 << 20,
    _mebibytes,
    units.format_size,
)


@dataclass(frozen=True, slots=True)
class Slip:
    """A wrong answer that is known: what comes out, and where to look."""

    value: int | str
    hint: str


@dataclass(frozen=True, slots=True)
class Solved:
    """What the model says.

    Attributes
    ----------
    answer : int or str
        Exact: nanoseconds, bytes, a count; or one of the choices.
    steps : tuple of str
        How one gets there.
    slips : tuple of Slip
    code : str
        Python that computes it.
    """

    answer: int | str
    steps: tuple[str, ...]
    slips: tuple[Slip, ...] = ()
    code: str = ""


@dataclass(frozen=True, slots=True)
class Family:
    """Problems of one kind.

    Attributes
    ----------
    name, title, lesson : str
    draw : callable
        Numbers from a `Draw`.
    state : callable
        The task, in words.
    solve : callable
        Asks the model.
    hints : tuple of str
        Where to look if the answer is wrong and no known slip.
    kind : Kind or None
        None: one of `choices`.
    tolerance : Fraction
        How far from the exact answer is still right, as a share of it.
    choices : dict of str to tuple of str
        The possible answers, and other ways of writing each.
    words : int
        How many of the choices an answer has, one after the other.
    blind : int
        How many of them are right if somebody writes the same word each time: these earn nothing.
    seconds : dict of str to tuple of str
        The choices of every second word, if they are others. Such a pair is right only together.
    asks : str
        What an answer is, where the choices do not say it.
    hidden : tuple of str
        What is drawn and is the answer: it is not told when a notebook is graded.
    """

    name: str
    title: str
    lesson: str
    draw: Callable[[Draw], dict[str, Any]]
    state: Callable[[Numbers], str]
    solve: Callable[[Numbers], Solved]
    hints: tuple[str, ...]
    kind: Kind | None = None
    tolerance: Fraction = Fraction(0)
    choices: Mapping[str, tuple[str, ...]] | None = None
    words: int = 1
    blind: int = 0
    seconds: Mapping[str, tuple[str, ...]] | None = None
    asks: str = ""
    hidden: tuple[str, ...] = ()


class NumberExercise(Exercise):
    """A problem of a `Family`, with the numbers of one seed.

    Attributes
    ----------
    family : Family
    seed : int or str
    numbers : dict
        What was drawn.
    """

    def __init__(self, family: Family, seed: int | str) -> None:
        self.family, self.seed = family, seed
        self.name, self.title, self.lesson = family.name, family.title, family.lesson
        self.numbers = family.draw(Draw(family.name, seed))

    def __reduce__(self) -> tuple[Any, ...]:
        """Draw it again: a family is made of functions that have no names, which pickle would need."""
        from . import exercise

        return exercise, (self.name, self.seed)

    @property
    def label(self) -> str:
        """Name and seed."""
        return f"{self.name}, seed {self.seed}"

    @property
    def told(self) -> dict[str, Any]:
        """What was drawn, without what is the answer itself."""
        return {name: value for name, value in self.numbers.items() if name not in self.family.hidden}

    @property
    def text(self) -> str:
        """The task, and what an answer is."""
        return f"{self.family.state(self.numbers)}\n\n{self._accepted}"

    @property
    def right_answer(self) -> str:
        """The right answer, as a student would write it."""
        answer = self._solved.answer
        return self.family.kind.write(int(answer)) if self.family.kind else str(answer)

    @property
    def _accepted(self) -> str:
        if self.family.asks:
            return f"Answer: {self.family.words} words with commas between them: {self.family.asks}."
        if self.family.kind is None:
            words = f"{self.family.words} words with commas between them, each one" if self.family.words > 1 else "one"
            return f"Answer: {words} of {', '.join(map(repr, self._choices))}."
        within = f"within {float(self.family.tolerance * 100):g}\u00a0% of" if self.family.tolerance else "exactly"
        return f"Answer: {self.family.kind.asks}; right is what is {within} what the model computes."

    @property
    def _choices(self) -> Mapping[str, tuple[str, ...]]:
        return self.family.choices or {}

    @cached_property
    def _solved(self) -> Solved:
        return self.family.solve(self.numbers)

    def _read(self, answer: Any) -> Fraction | str:
        if self.family.kind is not None:
            return self.family.kind.read(answer, f"{self.name}: answer")
        given = self._parts(answer) if self.family.words > 1 else [answer]
        found = [self._choice(part, place) for place, part in enumerate(given)]
        if len(found) != self.family.words or not all(found):
            use = f"use one of {', '.join(map(repr, self._choices))}"
            if self.family.asks:
                use = f"use {self.family.words} words with commas: {self.family.asks}"
            elif self.family.words > 1:
                use = f"{self.family.words} words with commas, and for each {use}"
            raise ValueError(f"{self.name}: check({units.shown(answer)}): {use}")
        return ", ".join(found)

    def _parts(self, answer: object) -> list[object]:
        """What an answer of several words has: a list, or a text with commas, semicolons, or only blanks."""
        if not isinstance(answer, str):
            return list(answer) if isinstance(answer, list | tuple) else [answer]
        parts = re.split("[,;]", answer)
        every = {**self._choices, **(self.family.seconds or {})}
        names = sorted({each for name, others in every.items() for each in (name, *others)}, key=len)
        word = "|".join(map(re.escape, reversed(names)))
        if len(parts) == 1 and re.fullmatch(rf"\s*(?:(?:{word})(?:\s+|$))+", answer, re.IGNORECASE):
            return list(re.findall(rf"(?:{word})(?=\s|$)", answer, re.IGNORECASE))
        return list(parts)

    def _choice(self, part: object, place: int) -> str:
        """The choice that is meant; empty if it is none."""
        meant = _written(part).strip().casefold()
        choices = self.family.seconds if self.family.seconds and place % 2 else self._choices
        names = ((name, (name, *others)) for name, others in choices.items())
        return next((name for name, all_names in names if meant in map(str.casefold, all_names)), "")

    def _judge(self, given: Any) -> Feedback:
        return self._judge_choice(given) if self.family.kind is None else self._judge_number(given, self.family.kind)

    def _judge_choice(self, found: str) -> Feedback:
        if found == self._solved.answer:
            return Feedback(self.label, True, f"{found}.")
        pairs = list(zip(found.split(", "), str(self._solved.answer).split(", "), strict=True))
        wrong = next(mine for mine, right in pairs if mine != right)
        slip = next((slip for slip in self._solved.slips if slip.value == wrong), None)
        each = 2 if self.family.seconds else 1
        parts = [all(mine == right for mine, right in pairs[at : at + each]) for at in range(0, len(pairs), each)]
        said = f"It is not {found}." if len(pairs) == 1 else f"{sum(parts)} of {len(parts)} are right."
        blind = self.family.blind
        return replace(self._wrong(said, slip), share=max(sum(parts) - blind, 0) / (len(parts) - blind))

    def _judge_number(self, given: Fraction, kind: Kind) -> Feedback:
        assert isinstance(self._solved.answer, int)
        if self._is_near(given, self._solved.answer):
            exact = kind.write(self._solved.answer)
            return Feedback(self.label, True, f"The model computes {exact}.")
        slips = self._solved.slips
        slip = next((slip for slip in slips if isinstance(slip.value, int) and self._is_near(given, slip.value)), None)
        exact_answer = Fraction(self._solved.answer)
        far = exact_answer and given and not Fraction(1, 10) <= given / exact_answer <= 10
        return self._wrong("That is far off: by more than a factor of ten." if far else "That is not it.", slip)

    def _is_near(self, given: Fraction, value: int) -> bool:
        return abs(given - value) <= self.family.tolerance * value

    def _wrong(self, said: str, slip: Slip | None) -> Feedback:
        return Feedback(self.label, False, said, (slip.hint,) if slip is not None else self.family.hints)

    def solution(self) -> Solution:
        """How it is solved, step by step, and the code that computes it."""
        return Solution(self.label, self._solved.steps, self._solved.code)


def _written(choice: object) -> str:
    """A choice as text: an exception is a number, too, and so is a patch. Empty if it is neither text nor a number."""
    if choice is None:
        return "none"
    if isinstance(choice, str):
        return str.__str__(choice)
    try:
        number = units.whole_number(choice, "choice")
    except ValueError:
        return ""
    return f"0x{number:X}" if number > 0x20 else str(number)


__all__ = ["COUNT", "SIZE", "TIME", "Draw", "Family", "Kind", "NumberExercise", "Numbers", "Slip", "Solved"]
