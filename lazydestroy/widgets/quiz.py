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
from ..units import flag, one_of, several
from .controlled import KEEPS_KEYS, keeps_keys
from .folded import LIVE, hides_text, show

STYLE = """<style>
.lazydestroy-quiz .widget-html-content, .lazydestroy-outcome .widget-html-content { line-height: 1.4; height: auto; }
.lazydestroy-quiz .widget-radio-box label, .lazydestroy-quiz .widget-checkbox label {
  height: auto; line-height: 18px; white-space: normal; margin: 2px 0; padding: 0; align-items: flex-start;
}
.lazydestroy-quiz .widget-checkbox { height: auto; margin: 0 2px; }
.lazydestroy-quiz .widget-checkbox .widget-label-basic { display: flex; }
.lazydestroy-quiz .widget-radio-box label input, .lazydestroy-quiz .widget-checkbox label input {
  flex: none; align-self: flex-start; width: 13px; height: 13px; margin: 2.5px 6px 2.5px 0;
}
.lazydestroy-outcome table { margin-left: 0; }
.lazydestroy-outcome pre { white-space: pre; overflow-x: auto; }
</style>"""
"""Lets long answers be read as a whole, with each button beside its first line, and outcomes look as below a cell."""

KINDS = ("multiple_choice", "many_choice")
"""JupyterQuiz's kinds of questions: one choice is right, or several may be."""

TEXT = "920px"
"""How wide text gets at most: longer lines are hard to read."""

WIDE = {"width": "auto", "max_width": "100%"}


class _One(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets is not typed
    """One question: what can be picked, and what is said to what was picked."""

    def __init__(self, quiz: str, number: int, asked: Asked) -> None:
        self.quiz, self.number, self.asked = quiz, number, asked
        self.says = ipywidgets.HTML(layout={"margin": "6px 2px 2px 2px"})
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

    @property
    def right(self) -> bool:
        """Whether exactly what is correct is picked."""
        return self.chosen == [choice for choice in self.asked.choices if choice.correct]

    def _answer(self, _change: Any) -> None:
        said = [f"<i>{each.answer}</i> {each.said}" if self.asked.several else each.said for each in self.chosen]
        if self.asked.several and self.right:
            said.append("<b>That is all of them.</b>")
        lines = "".join(f"<div>{line}</div>" for line in said)
        self.says.value = f'<div role="status" style="line-height: 1.4">{lines}</div>'
        if self.quiz and (self.right or not all(choice.correct for choice in self.chosen)):
            note_question(self.quiz, self.number, self.right)


class Quiz(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets is not typed
    """Questions to answer; you are told at once what is right or wrong about each answer.

    Attributes
    ----------
    asked : tuple of Asked
    """

    One = _One

    def __init__(self, asked: tuple[Asked, ...], name: str = "") -> None:
        self.asked, self.name = asked, name
        self.parts = [self.One(name, number, each) for number, each in enumerate(asked, 1)]
        style = ipywidgets.HTML(STYLE, layout={"height": "0", "margin": "0"})
        super().__init__([style, hides_text(), *self.parts, *self._below(), keeps_keys()])
        for each in ("lazydestroy-quiz", LIVE, KEEPS_KEYS):
            self.add_class(each)
        self.layout.max_width = TEXT

    def _below(self) -> list[Any]:
        """Parts that follow the questions."""
        return []

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


DONE = "Done: show my score"
"""The button that ends a test."""


class _Unsaid(_One):
    """One question of a test: what is picked is kept, and nothing is said to it."""

    def _answer(self, _change: Any) -> None:
        pass


class Test(Quiz):
    """Questions to answer before you know: you are told how many answers are right, once, and not which.

    Attributes
    ----------
    done : ipywidgets.Button
        Ends the test.
    says : ipywidgets.HTML
        The score, as soon as there is one.
    """

    One = _Unsaid
    __test__ = False  # not one of pytest's

    def _below(self) -> list[Any]:
        left = {"width": "max-content", "align_self": "flex-start"}
        self.done = ipywidgets.Button(description=DONE, layout=left)
        self.done.on_click(self._score)
        self.says = ipywidgets.HTML()
        return [self.done, self.says]

    def _score(self, _button: Any) -> None:
        self.done.disabled = True
        for part in self.parts:
            for control in part.controls:
                control.disabled = True
            if self.name:
                note_question(f"{self.name}/before", part.number, part.right)
        right, open_ = sum(part.right for part in self.parts), sum(not part.chosen for part in self.parts)
        left_out = f", {open_} left out" if open_ else ""
        self.says.value = f'<div role="status"><b>{right} of {len(self.parts)} right{left_out}.</b></div>'

    @property
    def html(self) -> str:
        """The questions with their answers, and no word on which are right."""
        return "".join(each.bare for each in self.asked)


def quiz(questions: str | Iterable[Mapping[str, Any]], feedback: bool = True) -> Quiz:
    """Ask the questions of a lesson's quiz.

    Parameters
    ----------
    questions : str or iterable of dict
        Name of the quiz, as in ``ld.quizzes.names()``; its score then counts in ``ld.progress()``. Or questions of your
        own in JupyterQuiz's format: each has a "question", a "type" and "answers", which have "answer", "correct" and
        "feedback".
    feedback : bool
        Whether you are told at once what is right or wrong about an answer. If not, you are told how many are right
        when you are done, and the score counts as that of ``NAME/before``: for a test that comes before a course.

    Returns
    -------
    Quiz
        A widget, which Jupyter shows.

    Raises
    ------
    ValueError
        If there is no such quiz; or it names the question, and says what is wrong with it.
    """
    kind = Quiz if flag(feedback, "feedback") else Test
    if isinstance(questions, str):
        return kind(quiz_named(questions), questions)
    given = several(questions, "questions", "the name of a quiz, or dicts in JupyterQuiz's format")
    return kind(read(_from_jupyterquiz(f"question {number}", each) for number, each in enumerate(given, 1)))


def _from_jupyterquiz(where: str, given: Any) -> Mapping[str, Any]:
    """Turn a question in JupyterQuiz's format into one of ours."""
    table(where, given, ("question", "type", "answers"))
    one_of(given["type"], KINDS, f"{where}: type")
    return {"question": given["question"], "answers": given["answers"], "several": given["type"] == KINDS[1]}


__all__ = ["Quiz", "Test", "quiz"]
