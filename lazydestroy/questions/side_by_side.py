"""All answers for two kernels in one table: version 1, and what Linux ships."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..series import Series, linux_6_2, v1
from ..units import expect_progress
from .answer import Answer, Table
from .common import kernel_words
from .progress import Progress
from .question import QUESTIONS
from .registry import accepted, ask, question


@dataclass(frozen=True, slots=True, repr=False)
class Answers:
    """Answers to the same questions for two kernels; a table in a terminal and in a notebook.

    Attributes
    ----------
    kernel : Series
        What is asked beside version 1.
    pairs : tuple of (Answer, Answer)
        For each question: version 1's answer, and the other kernel's.
    """

    kernel: Series
    pairs: tuple[tuple[Answer, Answer], ...]

    @property
    def table(self) -> Table:
        """What was asked, and both answers in short."""
        other = "Linux 6.2" if self.kernel == linux_6_2 else kernel_words(self.kernel)
        return Table(
            ("asked of version 1", "version 1 answers", f"{other} answers"),
            tuple(
                (f"{first.question.number}. {first.question.asks}", first.short, second.short)
                for first, second in self.pairs
            ),
        )

    def __repr__(self) -> str:
        _, *answering = self.table.columns
        lines = []
        for asked, *shorts in self.table.rows:
            lines.append(asked)
            lines += [f"    {who}: {short}" for who, short in zip(answering, shorts, strict=True)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return self.table._repr_html_()


def answers(*numbers: int, kernel: Series = linux_6_2, progress: Progress | None = None, **parameters: Any) -> Answers:
    """Ask version 1 and what Linux has since 6.2 the same questions. All of them take about half a minute.

    Parameters
    ----------
    *numbers : int
        Which questions; all of them if there is none.
    kernel : Series
        What is asked beside version 1.
    progress : callable, optional
        Called with how many answers are there, and how many there will be.
    **parameters
        Given to each question that takes them, such as ``memory`` or ``costs``.

    Returns
    -------
    Answers

    Raises
    ------
    ValueError
        If there is no such question, a value is not accepted, or the question makes no sense for the kernel.
    TypeError
        If none of the questions takes a parameter.
    NotEnoughMemory
        If this computer has not the memory for a run.

    Examples
    --------
    >>> len(answers(5, 13).pairs)
    2
    """
    asked = [question(number).number for number in numbers or (each.number for each in QUESTIONS)]
    taken = {name for number in asked for name in accepted(number)}
    for name in parameters:
        if name not in taken:
            raise TypeError(f"none of the questions asked has a parameter {name!r}")
    expect_progress(progress, 2, "the answers there and their number")
    found: list[Answer] = []
    for number in asked:
        given = {name: value for name, value in parameters.items() if name in accepted(number)}
        for each in (v1, kernel):
            if progress is not None:
                progress(len(found), 2 * len(asked))
            found.append(ask(number, kernel=each, **given))
    if progress is not None:
        progress(len(found), len(found))
    return Answers(kernel, tuple(zip(found[::2], found[1::2], strict=True)))


__all__ = ["Answers", "answers"]
