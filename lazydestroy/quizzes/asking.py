"""The questions of a quiz, and the feedback on each answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..units import flag, several
from .texts import marked, plain, table, unfolding


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer that you can pick.

    Attributes
    ----------
    answer : str
    correct : bool
    feedback : str
        Why it is right, or where the thought goes wrong.
    """

    answer: str
    correct: bool
    feedback: str

    @property
    def label(self) -> str:
        """The answer without marks."""
        return plain(self.answer)

    @property
    def said(self) -> str:
        """What you are told if you pick it."""
        return f"{'✔ Right.' if self.correct else '✘ Not quite.'} {self.feedback}"


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and its choices.

    Attributes
    ----------
    question : str
    choices : tuple of Choice
    several : bool
        Whether more than one choice may be right.
    """

    question: str
    choices: tuple[Choice, ...]
    several: bool

    @property
    def html(self) -> str:
        """The question with its answers; each unfolds to its feedback."""
        return f"<p><b>{self.question}</b></p>\n{unfolding((each.answer, each.said) for each in self.choices)}"

    @property
    def bare(self) -> str:
        """The question with its answers, and no word on which is right."""
        answers = "".join(f"<li>{each.answer}</li>\n" for each in self.choices)
        return f"<p><b>{self.question}</b></p>\n<ul>\n{answers}</ul>\n"

    @property
    def text(self) -> str:
        """The question without marks."""
        return plain(self.question)


def read(questions: Iterable[Mapping[str, Any]]) -> tuple[Asked, ...]:
    """Read the questions of a quiz, and see that they can be asked.

    Parameters
    ----------
    questions : iterable of dict
        Each has a "question" and "answers": dicts with "answer", "feedback", and "correct" (True; left out, it is
        False). With ``"several": True`` more than one may be correct. Texts may be marked with <b>, <code> and <i>.

    Returns
    -------
    tuple of Asked

    Raises
    ------
    ValueError
        That names the question, and says what is wrong with it.
    """
    given = several(questions, "questions", "dicts with 'question' and 'answers'")
    found = tuple(_question(f"question {number}", each) for number, each in enumerate(given, 1))
    if not found:
        raise ValueError("questions: there are none")
    return found


def _question(where: str, given: Any) -> Asked:
    given = table(where, given, ("question", "answers"), ("several",))
    choices = tuple(_choice(where, each) for each in answers_in(where, given["answers"]))
    different(where, [choice.label for choice in choices])
    many = flag(given.get("several", False), f"{where}: several")
    right = sum(choice.correct for choice in choices)
    if not right or (right > 1 and not many):
        wanted = "at least one must be" if many else "exactly one must be; or write several = true"
        raise ValueError(f"{where}: {right} answers are correct; {wanted}")
    return Asked(marked(where, given["question"]), choices, many)


def _choice(where: str, given: Any) -> Choice:
    given = table(f"{where}: answer", given, ("answer", "feedback"), ("correct",))
    correct = flag(given.get("correct", False), f"{where}: correct")
    return Choice(marked(where, given["answer"]), correct, marked(where, given["feedback"]))


def answers_in(where: str, given: Any) -> Sequence[Any]:
    """See that there is something to choose from.

    Raises
    ------
    ValueError
        If there are not two answers.
    """
    if not isinstance(given, Sequence) or isinstance(given, str) or len(given) < 2:
        raise ValueError(f"{where}: 'answers' must be at least two")
    return given


def different(where: str, labels: Sequence[str]) -> None:
    """See that no two answers are the same.

    Raises
    ------
    ValueError
        If two are the same.
    """
    if len(set(labels)) < len(labels):
        raise ValueError(f"{where}: two answers are the same")


__all__ = ["Asked", "Choice", "read"]
