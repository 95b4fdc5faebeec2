"""A quiz at the end of a lesson: questions as data in the notebook, and an answer to each answer.

The questions have the format of JupyterQuiz, so that they can be used there. It is not used here because it wants a
script from the network each time, and none must be needed; so the quiz is made of ipywidgets. Where there is no kernel,
or no JavaScript, the same questions unfold.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape, unescape
from typing import Any

import ipywidgets

from ..units import flag, one_of, several, shown
from .controlled import KEEPS_KEYS, keeps_keys

KINDS = ("multiple_choice", "many_choice")

TAGS = ("b", "code", "i")
"""What a text may be marked with."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer to choose.

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
        return unescape(re.sub(r"</?\w+>", "", self.answer))

    @property
    def said(self) -> str:
        """What is said if it is chosen."""
        return f"{'✔ Right.' if self.correct else '✘ Not so.'} {self.feedback}"


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and its choices; `several` of which may be right."""

    question: str
    choices: tuple[Choice, ...]
    several: bool

    @property
    def html(self) -> str:
        """The question with its answers, to be unfolded one by one."""
        lines = "".join(
            f"<li><details><summary>{each.answer}</summary>{each.said}</details></li>" for each in self.choices
        )
        return f"<p><b>{self.question}</b></p><ul>{lines}</ul>"

    @property
    def text(self) -> str:
        """The question without marks."""
        return unescape(re.sub(r"</?\w+>", "", self.question))


def read(questions: Iterable[Mapping[str, Any]]) -> tuple[Asked, ...]:
    """Read questions, and see that they can be asked.

    Parameters
    ----------
    questions : iterable of dict
        Each has a "question", a "type", one of "multiple_choice" (one choice is right) and "many_choice" (some are),
        and "answers": dicts with "answer", "correct" and "feedback". Texts may be marked with <b>, <code> and <i>.

    Returns
    -------
    tuple of Asked

    Raises
    ------
    ValueError
        That names the question, and says what is wrong with it.
    """
    given = several(questions, "questions", "dicts with 'question', 'type' and 'answers'")
    found = tuple(_question(number, each) for number, each in enumerate(given, 1))
    if not found:
        raise ValueError("questions: there are none")
    return found


def _question(number: int, given: Mapping[str, Any]) -> Asked:
    where = f"question {number}"
    if not isinstance(given, Mapping) or set(given) != {"question", "type", "answers"}:
        raise ValueError(f"{where}: use a dict with 'question', 'type' and 'answers'")
    one_of(given["type"], KINDS, f"{where}: type")
    if not isinstance(given["answers"], Sequence) or len(given["answers"]) < 2:
        raise ValueError(f"{where}: 'answers' must be at least two")
    choices = tuple(_choice(where, each) for each in given["answers"])
    if len({choice.label for choice in choices}) < len(choices):
        raise ValueError(f"{where}: two answers are the same")
    right = sum(choice.correct for choice in choices)
    if not right or (given["type"] == "multiple_choice" and right > 1):
        raise ValueError(f"{where}: {right} answers are correct; a {given['type']} wants " + _WANTS[given["type"]])
    return Asked(_marked(where, given["question"]), choices, given["type"] == "many_choice")


_WANTS = {"multiple_choice": "exactly one", "many_choice": "at least one"}


def _choice(where: str, given: Mapping[str, Any]) -> Choice:
    if not isinstance(given, Mapping) or set(given) != {"answer", "correct", "feedback"}:
        raise ValueError(f"{where}: use for each answer a dict with 'answer', 'correct' and 'feedback'")
    flag(given["correct"], f"{where}: correct")
    return Choice(_marked(where, given["answer"]), given["correct"], _marked(where, given["feedback"]))


def _marked(where: str, text: Any) -> str:
    """A text in which nothing but the known marks is HTML."""
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"{where}: {shown(text)}: use a text that says something")
    escaped = escape(unescape(text), quote=False)
    return re.sub(rf"&lt;(/?(?:{'|'.join(TAGS)}))&gt;", r"<\1>", escaped)


_STYLE = """<style>
.lazydestroy-quiz .widget-radio-box label, .lazydestroy-quiz .widget-checkbox label {
  height: auto; line-height: 1.35; white-space: normal; margin: 2px 0; padding: 0; align-items: baseline;
}
.lazydestroy-quiz .widget-checkbox { height: auto; }
.lazydestroy-quiz .widget-radio-box label input { flex: none; align-self: flex-start; }
</style>"""


class _One(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets is not typed
    """One question: what can be chosen, and what is said to what was chosen."""

    def __init__(self, number: int, asked: Asked) -> None:
        self.asked = asked
        self.says = ipywidgets.HTML()
        wide = {"width": "auto", "max_width": "100%"}
        self.controls: list[Any]
        if asked.several:
            self.controls = [
                ipywidgets.Checkbox(value=False, description=each.label, indent=False, layout=wide)
                for each in asked.choices
            ]
        else:
            labels = [choice.label for choice in asked.choices]
            self.controls = [ipywidgets.RadioButtons(options=labels, value=None, layout=wide)]
        for control in self.controls:
            control.observe(self._answer, "value")
        super().__init__([ipywidgets.HTML(f"<b>{number}. {asked.question}</b>"), *self.controls, self.says])
        self.layout.margin = "0 0 12px 0"

    @property
    def chosen(self) -> list[Choice]:
        """What is chosen."""
        if self.asked.several:
            return [choice for choice, box in zip(self.asked.choices, self.controls, strict=True) if box.value]
        return [choice for choice in self.asked.choices if choice.label == self.controls[0].value]

    def _answer(self, _change: Any) -> None:
        said = [f"<i>{each.answer}</i> {each.said}" if self.asked.several else each.said for each in self.chosen]
        right = [choice for choice in self.asked.choices if choice.correct]
        if self.asked.several and self.chosen == right:
            said.append("<b>That is all of them.</b>")
        lines = "".join(f"<div>{line}</div>" for line in said)
        self.says.value = f'<div role="status" style="line-height: 1.4">{lines}</div>'


class Quiz(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets is not typed
    """Questions to choose answers for; each choice is answered at once.

    Attributes
    ----------
    asked : tuple of Asked
    """

    def __init__(self, asked: tuple[Asked, ...]) -> None:
        self.asked = asked
        self.parts = [_One(number, each) for number, each in enumerate(asked, 1)]
        super().__init__([ipywidgets.HTML(_STYLE, layout={"height": "0", "margin": "0"}), *self.parts, keeps_keys()])
        self.add_class("lazydestroy-quiz")
        self.add_class(KEEPS_KEYS)
        self.layout.max_width = "920px"

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """As a widget; where there is no kernel, as questions whose answers unfold."""
        data = super()._repr_mimebundle_(**options)
        data["text/plain"] = "\n".join(
            ["A quiz:", *(f"{number}. {each.text}" for number, each in enumerate(self.asked, 1))]
        )
        data["text/html"] = "".join(each.html for each in self.asked)
        return data


def quiz(questions: Iterable[Mapping[str, Any]]) -> Quiz:
    """Ask questions.

    Parameters
    ----------
    questions : iterable of dict
        As `read` takes them.

    Returns
    -------
    Quiz
        A widget, which Jupyter shows.

    Raises
    ------
    ValueError
        That names the question, and says what is wrong with it.
    """
    return Quiz(read(questions))


__all__ = ["Asked", "Choice", "Quiz", "quiz", "read"]
