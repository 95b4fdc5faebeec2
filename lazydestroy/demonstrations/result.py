"""What a demonstration found: measures without and with a patch, and a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any, Literal, NamedTuple

from ..machine import Machine
from ..rounded import counted
from ..run import Run
from ..series import Series, v1
from ..units import code, format_duration, format_size
from .fates import Fates

Unit = Literal["pages", "calls", "ns", "bytes", "yes/no", ""]
Kind = Literal["bars", "timeline", "scaling", "memory", "fates"]
Points = list[tuple[int, int]]


class Measure(NamedTuple):
    """One thing that was measured on both kernels.

    Attributes
    ----------
    name : str
    unit : str
        "pages", "calls", "ns", "bytes", "yes/no", or "" for a plain number.
    without, with_ : int, bool or None
        What it is without the patch, and with it. None: it never came to it.
    """

    name: str
    unit: Unit
    without: int | None
    with_: int | None

    def write(self, value: int | None) -> str:
        """One of the two values, for a reader."""
        if value is None:
            return "never"
        if self.unit == "yes/no":
            return "yes" if value else "no"
        if self.unit == "ns":
            return format_duration(value)
        if self.unit == "bytes":
            return format_size(value)
        return counted(value, self.unit)

    @property
    def text(self) -> tuple[str, str]:
        """Both values, for a reader."""
        return self.write(self.without), self.write(self.with_)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Demonstration:
    """One patch: the same experiment on a kernel without it and on one with it.

    Attributes
    ----------
    number : int
        Number of the patch.
    title : str
        Its title.
    without, with_ : Series
        The two kernels. They differ in this patch only.
    runs : tuple of Run or Machine
        The experiment on each of them: without, with.
    measures : tuple of Measure
        The first one is what the patch is about.
    finding : str
        What it comes to, in one sentence of 12 words at most, made of the measured values.
    shows : bool
        Whether the patch made the difference that it is for, by the measured values.
    kind : {"bars", "timeline", "scaling", "memory", "fates"}
        How it is best drawn.
    details : tuple of str
        What else it comes to, in sentences made of the measured values.
    fates : Fates or None
        For "fates": what becomes of one page of a small machine.
    note : str
        What to know beside the finding; may be empty.
    series : dict of str to list of (int, int)
        For "scaling": points of each line.
    x_label, y_label, x_unit, y_unit : str
        For "scaling": the axes, and in what units the points are.
    parameters : dict
        What it was asked for.
    belongs : Series
        The series that the patch belongs to: version 1, ``linux_6_2``, or ``linux_latest``.
    """

    number: int
    title: str
    without: Series
    with_: Series
    runs: tuple[Run, Run] | tuple[Machine, Machine]
    measures: tuple[Measure, ...]
    finding: str
    shows: bool
    kind: Kind = "bars"
    details: tuple[str, ...] = ()
    note: str = ""
    fates: Fates | None = None
    series: Mapping[str, Points] = field(default_factory=dict)
    x_label: str = ""
    y_label: str = ""
    x_unit: str = ""
    y_unit: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    belongs: Series = v1

    @property
    def short(self) -> str:
        """The finding."""
        return self.finding

    def reproduce(self) -> str:
        """The line of code that makes this demonstration again (after ``import lazydestroy as ld``)."""
        given = ", ".join(f"{name}={code(value)}" for name, value in self.parameters.items())
        return f"{self.belongs!r}[{self.number}].demonstrate({given})"

    def lines(self) -> tuple[str, ...]:
        """The two lines of code that make its runs again, one by one; none for machines driven by hand."""
        return tuple(run.reproduce() for run in self.runs if isinstance(run, Run))

    def plot(self) -> Any:
        """Draw it; see `lazydestroy.plots.plot_demonstration`."""
        from ..plots import plot_demonstration

        return plot_demonstration(self)

    def _columns(self) -> list[tuple[str, str, str]]:
        """The table: what was measured, without the patch, with it."""
        return [(measure.name, *measure.text) for measure in self.measures]

    def __repr__(self) -> str:
        rows = [("", f"without patch {self.number}", "with it"), *self._columns()]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        text = [f"Patch {self.number}, {self.title}", f"  {self.short}"]
        text += [*(f"  * {each}" for each in self.details), ""]
        text += [
            f"  {name:<{widths[0]}}  {without:>{widths[1]}}  {with_:>{widths[2]}}".rstrip()
            for name, without, with_ in rows
        ]
        if self.note:
            text += ["", f"  {self.note}"]
        text += ["", *(f"  {line}" for line in self.lines() or [self.reproduce()])]
        return "\n".join(text)

    def _repr_html_(self) -> str:
        heads = (f"without patch {self.number}", "with it")
        kernels = (repr(self.without), repr(self.with_))
        head = "".join(
            f"<th style='text-align:right'>{escape(words)}<br/><code>{escape(kernel)}</code></th>"
            for words, kernel in zip(heads, kernels, strict=True)
        )
        body = "".join(
            f"<tr><th style='text-align:left;font-weight:normal'>{escape(name)}</th>"
            f"<td style='text-align:right'>{escape(without)}</td>"
            f"<td style='text-align:right'>{escape(with_)}</td></tr>"
            for name, without, with_ in self._columns()
        )
        details = "".join(f"<li>{escape(each)}</li>" for each in self.details)
        code = "<br/>".join(f"<code>{escape(line)}</code>" for line in self.lines() or (self.reproduce(),))
        return (
            f"<div><p>Patch {self.number}, {escape(self.title)}<br/><b>{escape(self.short)}</b></p>"
            + (f"<ul>{details}</ul>" if details else "")
            + f"<table><tr><th></th>{head}</tr>{body}</table>"
            + (f"<p>{escape(self.note)}</p>" if self.note else "")
            + f"<p>{code}</p></div>"
        )
