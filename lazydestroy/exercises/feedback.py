"""What an exercise says to an answer."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from fractions import Fraction
from html import escape
from typing import TYPE_CHECKING, Any

from ..units import bad_value, number, plain

if TYPE_CHECKING:
    from ..series import Trace


_MOST_POINTS = 1_000_000


def worth_of(of: object) -> Fraction:
    """Read how many points an exercise is worth.

    Raises
    ------
    ValueError
        If it is no number, or out of range.
    """
    accepted = f"how many points the exercise is worth, such as 10; from 0 to {_MOST_POINTS:,}"
    worth = number(of, "of", accepted)
    if not 0 <= worth <= _MOST_POINTS:
        raise bad_value("of", of, "is out of range", accepted)
    return worth


@dataclass(frozen=True, slots=True, repr=False)
class Feedback:
    """Whether an answer is right; if not, where to look. True in an ``if``, if it is right.

    Attributes
    ----------
    exercise : str
        Name of the exercise.
    right : bool
    text : str
        What there is to say, in whole sentences.
    hints : tuple of str
        Where to look; empty if the answer is right.
    trace : Trace or None
        For a layer that breaks: the shortest way in which it does.
    printed : str
        What the layer printed on that way.
    share : float
        The part of the points that the answer has earned, from 0 to 1, while it is not right.
    tries : int
        How many answers have been checked, this one included; told from the second on.
    """

    exercise: str
    right: bool
    text: str
    hints: tuple[str, ...] = ()
    trace: Trace | None = None
    printed: str = ""
    share: float = 0.0
    tries: int = 0

    def __bool__(self) -> bool:
        return self.right

    def points(self, of: float = 1.0) -> float:
        """The points that the answer has earned: all of them if it is right.

        A patch that is not right yet may have earned some: half of them are for the search, if it finds nothing, and
        the other half is divided among the experiments.

        Parameters
        ----------
        of : float
            How many points the exercise is worth.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If it is worth no such number.
        """
        worth = worth_of(of)
        return plain(of, "of") if self.right else round(float(worth) * self.share, 2)

    def plot(self) -> Any:
        """Draw the trace. There must be one.

        Raises
        ------
        ValueError
            If the answer was no layer, or does not break.
        """
        if self.trace is None:
            raise ValueError(f"{self.exercise}: there is no trace to draw; only a layer that breaks has one")
        return self.trace.plot()

    @property
    def _verdict(self) -> str:
        tried = f" (try {self.tries})" if self.tries > 1 else ""
        return f"{self.exercise}: {'right' if self.right else 'not yet'}{tried}."

    def __repr__(self) -> str:
        lines = [f"{self._verdict} {self.text}"]
        if self.trace is not None:
            lines.append(str(self.trace))
        if self.printed:
            lines += ["It prints on this way:", textwrap.indent(self.printed, "  | ")]
        return "\n".join([*lines, *(f"* {hint}" for hint in self.hints)])

    @property
    def _mark(self) -> str:
        return "✔" if self.right else "✘"

    def _repr_html_(self) -> str:
        trace = self.trace.html if self.trace else ""
        printed = f"<br>It prints on this way:<pre>{escape(self.printed)}</pre>" if self.printed else ""
        hints = "".join(f"<li>{escape(hint)}</li>" for hint in self.hints)
        return (
            f"<div>{self._mark} <b>{escape(self._verdict)}</b> "
            f"{escape(self.text)}{trace}{printed}{f'<ul>{hints}</ul>' if hints else ''}</div>"
        )


@dataclass(frozen=True, slots=True, repr=False)
class Solution:
    """How an exercise is solved, step by step.

    Attributes
    ----------
    exercise : str
    steps : tuple of str
        Sentences; figures in them come from the model.
    code : str
        Python that goes with it; may be empty.
    """

    exercise: str
    steps: tuple[str, ...]
    code: str = ""

    def __repr__(self) -> str:
        steps = [f"{number}. {step}" for number, step in enumerate(self.steps, 1)]
        return "\n".join([f"{self.exercise}, solved:", *steps, *([self.code] if self.code else [])])

    def _repr_html_(self) -> str:
        steps = "".join(f"<li>{escape(step)}</li>" for step in self.steps)
        code = f"<pre>{escape(self.code)}</pre>" if self.code else ""
        return f"<div><b>{escape(self.exercise)}, solved:</b><ol>{steps}</ol>{code}</div>"


__all__ = ["Feedback", "Solution"]
