"""What all exercises have in common: a task, answers that are checked, and a solution."""

from __future__ import annotations

import textwrap
from abc import ABC, abstractmethod
from dataclasses import replace
from html import escape
from typing import Any

from . import session
from .feedback import Feedback, Solution

WIDTH = 100
"""Columns of what is printed."""


class Exercise(ABC):
    """A task that checks its answers.

    Attributes
    ----------
    name : str
        As in ``ld.exercise(name)``.
    title : str
    lesson : str
        The lesson that it belongs to: a file in ``notebooks/``.
    """

    name: str
    title: str
    lesson: str

    @property
    def label(self) -> str:
        """Under which name its progress is noted."""
        return self.name

    @property
    @abstractmethod
    def text(self) -> str:
        """The task, in paragraphs; one with several lines is to be shown as it is."""

    def check(self, answer: Any) -> Feedback:
        """Say whether an answer is right, and if not, where to look.

        Parameters
        ----------
        answer
            What the task asks for.

        Returns
        -------
        Feedback

        Raises
        ------
        ValueError
            If it is no answer at all: a time without a number, a layer that is no class.
        """
        try:
            unread = self._refused(answer)
            feedback = self.judged(answer) if unread is None else unread
        except ValueError as refused:
            # where in our code that was found is of no interest to who has mistyped something
            raise refused.with_traceback(None) from None
        session.note(self.label, feedback.right)
        return replace(feedback, tries=session.session()[self.label].tries)

    def judged(self, answer: Any) -> Feedback:
        """Say the same, and note nothing of it."""
        return self._judge(self._read(answer))

    def _refused(self, answer: Any) -> Feedback | None:
        """What is said to an answer that the grader would not run; None if it would."""
        return None

    @abstractmethod
    def _read(self, answer: Any) -> Any:
        """What an answer says; a ValueError if it is none."""

    @abstractmethod
    def _judge(self, given: Any) -> Feedback:
        """Whether what was read is right."""

    @abstractmethod
    def solution(self) -> Solution:
        """How it is solved, step by step."""

    @property
    def _heading(self) -> str:
        return self.title[:1].upper() + self.title[1:]

    def __repr__(self) -> str:
        parts = [part if "\n" in part else textwrap.fill(part, WIDTH) for part in self.text.split("\n\n")]
        return "\n\n".join([f"{self._heading} ({self.label})", *parts, f"(lesson: {self.lesson})"])

    def _repr_html_(self) -> str:
        parts = self.text.split("\n\n")
        paragraphs = "".join(
            f"<pre>{escape(part)}</pre>" if "\n" in part else f"<p>{escape(part)}</p>" for part in parts
        )
        head = f"<b>{escape(self._heading)}</b> <small>({escape(self.label)})</small>"
        return f"<div>{head}{paragraphs}<small>lesson: {escape(self.lesson)}</small></div>"


__all__ = ["Exercise"]
