"""What an experiment on a question comes to: a verdict, the evidence, what it rests on."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from html import escape
from typing import Any, Literal

from ..assumptions import COSTS, Assumption, Assumptions, assumptions
from ..costs import Costs
from ..units import code, format_duration, shown, whole_number
from .pictures import PictureOf
from .question import Question

Agreement = Literal["yes", "refines", "no", "not answered", "does not apply"]

Value = str | int | float | bool | None


@dataclass(frozen=True, slots=True, repr=False)
class Table:
    """A small table of text.

    Attributes
    ----------
    columns : tuple of str
        Names of the columns; the first one names the rows.
    rows : tuple of tuple of str
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __repr__(self) -> str:
        lines = [self.columns, *self.rows]
        widths = [max(len(line[place]) for line in lines) for place in range(len(self.columns))]
        text = ["  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)) for line in lines]
        text.insert(1, "  ".join("-" * width for width in widths))
        return "\n".join(line.rstrip() for line in text)

    def _repr_html_(self) -> str:
        left = " style='text-align:left;vertical-align:top'"
        head = "".join(f"<th{left}>{escape(name)}</th>" for name in self.columns)
        body = "".join(
            "<tr>" + "".join(f"<td{left}>{escape(cell)}</td>" for cell in row) + "</tr>" for row in self.rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """A question, answered by experiment.

    Attributes
    ----------
    question : Question
    said : tuple of str
        The answer in sentences made of the measured values; the first one answers in short.
    claims : dict of str to bool
        What the verdict says, apart from its figures: statements, and whether the measured values bear them out. The
        statements are the same for all parameters.
    evidence : Table
        What was measured.
    agrees : {"yes", "refines", "no", "not answered", "does not apply"}
        What that makes of the author's answer. It does not apply to a kernel of which he did not speak: one without the
        patches in question.
    agreement : str
        Why, in a sentence.
    assumptions : Assumptions
        What the verdict's figures rest on.
    pictures : tuple
        What there is to see (`lazydestroy.questions.pictures`).
    values : dict
        What was measured, exactly: integers of nanoseconds, bytes, pages, calls, and the turning points.
    parameters : dict
        What it was asked with.
    seconds : float
        What it took to compute, on this computer.
    """

    question: Question
    said: tuple[str, ...]
    claims: Mapping[str, bool]
    evidence: Table
    agrees: Agreement
    agreement: str
    assumptions: Assumptions
    pictures: tuple[PictureOf, ...]
    values: Mapping[str, Any]
    parameters: Mapping[str, Any]
    seconds: float = field(default=0.0, compare=False)

    @property
    def short(self) -> str:
        """The answer in one sentence, of 20 words at most."""
        return self.said[0]

    @property
    def details(self) -> tuple[str, ...]:
        """What else there is to say, in sentences."""
        return self.said[1:]

    @property
    def verdict(self) -> str:
        """The whole answer: in short, and the details."""
        return " ".join(self.said)

    def reproduce(self) -> str:
        """The line of code that gives this answer again (after ``import lazydestroy as ld``)."""
        given = "".join(f", {name}={code(value)}" for name, value in self.parameters.items())
        return f"ld.ask({self.question.number}{given})"

    def plot(self) -> Any:
        """Draw it; see `lazydestroy.plots.plot_answer`."""
        from ..plots import plot_answer

        return plot_answer(self)

    def text(self, width: int = 100) -> str:
        """The whole answer for a terminal, `width` characters wide; the table may be wider. Always the same.

        Raises
        ------
        ValueError
            If `width` is no number of characters from 20 to 10,000.
        """
        width = whole_number(width, "width", 20, 10_000)
        question = self.question
        parts = [
            textwrap.fill(self.short, width, break_on_hyphens=False),
            "",
            textwrap.fill(f"{question.number}. {question.asks}", width, break_on_hyphens=False),
            f"    {question.who}, {question.on}, {question.message_id}",
            *(_bullet(each, width) for each in self.details),
            "",
            textwrap.indent(repr(self.evidence), "  "),
            "",
            _filled("The author", question.answer, width),
            _filled("Agrees", f"{self.agrees}. {self.agreement}", width),
            _filled("Rests on", self._rests_on(), width),
            "",
            self.reproduce(),
        ]
        return "\n".join(parts)

    def _rests_on(self) -> str:
        """The assumptions in a line: costs as they were given, then the others."""
        costs = [each for each in self.assumptions if each.topic == COSTS]
        others = [each for each in self.assumptions if each.topic != COSTS]
        words = [", ".join(f"{cost_name(each)} = {each.value}" for each in costs)] if costs else []
        return ". ".join([*words, *(f"{each.what[:1].upper()}{each.what[1:]}: {each.value}" for each in others)])

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        question, rests = self.question, self._rests_on()
        details = "".join(f"<li>{escape(each)}</li>" for each in self.details)
        return (
            f"<div><p><b>{question.number}. {escape(question.asks)}</b><br><small>{escape(question.who)}, "
            f"{escape(question.on)}, <code>{escape(question.message_id)}</code></small></p>"
            f"<p style='border-left:4px solid #0072B2;padding-left:0.7em'><b>{escape(self.short)}</b></p>"
            f"<ul>{details}</ul>"
            f"{self.evidence._repr_html_()}"
            f"<p>The author: {escape(question.answer)}<br>Agrees: <b>{self.agrees}</b>. {escape(self.agreement)}</p>"
            f"<details><summary>What it rests on</summary><p>{escape(rests)}</p></details>"
            f"<p><code>{escape(self.reproduce())}</code></p></div>"
        )


def _bullet(text: str, width: int) -> str:
    return textwrap.fill(f"* {text}", width, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)


def _filled(label: str, text: str, width: int) -> str:
    return textwrap.fill(f"{label}: {text}", width, subsequent_indent="    ", break_on_hyphens=False)


def cost_name(assumption: Assumption) -> str:
    """The field of `Costs` that an assumption is about."""
    return assumption.where.removeprefix("costs.Costs.")


def as_used(found: Assumptions, costs: Costs) -> Assumptions:
    """Assumptions with the costs that were in force, instead of their defaults."""
    return Assumptions(
        replace(each, value=format_duration(getattr(costs, cost_name(each)))) if each.topic == COSTS else each
        for each in found
    )


def resting_on(*names: str) -> Assumptions:
    """The assumptions of the model that have these names: their `what` up to a colon, or its beginning.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    found: list[Assumption] = []
    there = assumptions()
    for given in names:
        if not isinstance(given, str):
            raise ValueError(f"{shown(given)} is no assumption of the model: use text")
        name = str.__str__(given)
        exactly = [each for each in there if each.what.replace("`", "").split(":")[0] == name]
        named = exactly or [each for each in there if each.what.replace("`", "").startswith(name)]
        if not named:
            raise ValueError(f"{name!r} is no assumption of the model")
        found += [each for each in named if each not in found]
    return Assumptions(found)
