"""A quiz at the end of a lesson: you pick an answer, and are told at once what is right or wrong about it.

The questions are data (`lazydestroy.quizzes`). Where there is no kernel, they are a text in which every answer unfolds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import ipywidgets

from ..exercises.session import note_question
from ..quizzes import Asked, Choice, quiz_named, read
from ..quizzes.texts import table
from ..units import one_of, several
from .controlled import KEEPS_KEYS, keeps_keys
from .folded import LIVE, hides_text, show

STYLE = """<style>
.lazydestroy-quiz .widget-radio-box label, .lazydestroy-quiz .widget-checkbox label {
  height: auto; line-height: 1.35; white-space: normal; margin: 2px 0; padding: 0; align-items: baseline;
}
.lazydestroy-quiz .widget-checkbox { height: auto; }
.lazydestroy-quiz .widget-radio-box label input { flex: none; align-self: flex-start; }
</style>"""
"""Lets long answers be read as a whole."""

KINDS = ("multiple_choice", "many_choice")
"""JupyterQuiz's kinds of questions: one choice is right, or several may be."""

WIDE = {"width": "auto", "max_width": "100%"}


class _One(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets is not typed
    """One question: what can be picked, and what is said to what was picked."""

    def __init__(self, quiz: str, number: int, asked: Asked) -> None:
        self.quiz, self.number, self.asked = quiz, number, asked
        self.says = ipywidgets.HTML()
        self.controls: list[Any]
        if asked.several:
            self.controls = [
                ipywidgets.Checkbox(value=False, description=each.label, indent=False, layout=WIDE)
                for each in asked.choices
            ]
        else:
            labels = [choice.label for choice in asked.choices]
            self.controls = [ipywidgets.RadioButtons(options=labels, value=None, layout=WIDE)]
        for control in self.controls:
            control.observe(self._answer, "value")
        super().__init__([ipywidgets.HTML(f"<b>{number}. {asked.question}</b>"), *self.controls, self.says])
        self.layout.margin = "0 0 12px 0"

    @property
    def chosen(self) -> list[Choice]:
        """What is picked."""
        if self.asked.several:
            return [choice for choice, box in zip(self.asked.choices, self.controls, strict=True) if box.value]
        return [choice for choice in self.asked.choices if choice.label == self.controls[0].value]

    def _answer(self, _change: Any) -> None:
        said = [f"<i>{each.answer}</i> {each.said}" if self.asked.several else each.said for each in self.chosen]
        complete = self.chosen == [choice for choice in self.asked.choices if choice.correct]
        if self.asked.several and complete:
            said.append("<b>That is all of them.</b>")
        lines = "".join(f"<div>{line}</div>" for line in said)
        self.says.value = f'<div role="status" style="line-height: 1.4">{lines}</div>'
        if self.quiz and (complete or not all(choice.correct for choice in self.chosen)):
            note_question(self.quiz, self.number, complete)


class Quiz(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets is not typed
    """Questions to answer; you are told at once what is right or wrong about each answer.

    Attributes
    ----------
    asked : tuple of Asked
    """

    def __init__(self, asked: tuple[Asked, ...], name: str = "") -> None:
        self.asked = asked
        self.parts = [_One(name, number, each) for number, each in enumerate(asked, 1)]
        style = ipywidgets.HTML(STYLE, layout={"height": "0", "margin": "0"})
        super().__init__([style, hides_text(), *self.parts, keeps_keys()])
        for each in ("lazydestroy-quiz", LIVE, KEEPS_KEYS):
            self.add_class(each)
        self.layout.max_width = "920px"

    @property
    def html(self) -> str:
        """The questions as a text in which the answers unfold."""
        return "".join(each.html for each in self.asked)

    @property
    def text(self) -> str:
        """The questions, without their answers."""
        return "\n".join(["A quiz:", *(f"{number}. {each.text}" for number, each in enumerate(self.asked, 1))])

    def _ipython_display_(self) -> None:
        show(self, self.html, self.text)


def quiz(questions: str | Iterable[Mapping[str, Any]]) -> Quiz:
    """Ask the questions of a lesson's quiz.

    Parameters
    ----------
    questions : str or iterable of dict
        Name of the quiz, as in ``ld.quizzes.names()``; its score then counts in ``ld.progress()``. Or questions of your
        own in JupyterQuiz's format: each has a "question", a "type" and "answers", which have "answer", "correct" and
        "feedback".

    Returns
    -------
    Quiz
        A widget, which Jupyter shows.

    Raises
    ------
    ValueError
        If there is no such quiz; or it names the question, and says what is wrong with it.
    """
    if isinstance(questions, str):
        return Quiz(quiz_named(questions), questions)
    given = several(questions, "questions", "the name of a quiz, or dicts in JupyterQuiz's format")
    return Quiz(read(_from_jupyterquiz(f"question {number}", each) for number, each in enumerate(given, 1)))


def _from_jupyterquiz(where: str, given: Any) -> Mapping[str, Any]:
    """Turn a question in JupyterQuiz's format into one of ours."""
    table(where, given, ("question", "type", "answers"))
    one_of(given["type"], KINDS, f"{where}: type")
    return {"question": given["question"], "answers": given["answers"], "several": given["type"] == KINDS[1]}


__all__ = ["Quiz", "quiz"]
