"""A prediction: you choose what will happen, and then see what did.

The experiment runs with its cell, so that the cells below find things as they should be; what comes of it is shown when
you have chosen. Where there is no kernel, it is folded.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from numbers import Number
from operator import attrgetter
from typing import Any

import ipywidgets
import numpy as np

from ..quizzes import Option, Predicted, prediction_named
from ..quizzes.predicting import written
from ..quizzes.texts import unfolding
from ..units import expect_function, shown
from .controlled import KEEPS_KEYS, keeps_keys
from .folded import LIVE, hides_text, show
from .outcome import as_html, ran
from .quiz import STYLE, TEXT

SEE = "See what happens"

_NARROW = {"width": "auto", "max_width": TEXT}
"""For what is read; an outcome takes the place that there is."""


class Prediction(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets is not typed
    """A choice that you make before you see what happens.

    Attributes
    ----------
    asked : Predicted
    value
        What the experiment returned.
    right : Option
        What happened, by what was measured.
    measured : str, bool, int or float
        What was measured.
    outcome : str
        What is shown after the choice, as HTML.
    choose : ipywidgets.RadioButtons
    """

    def __init__(self, asked: Predicted, value: Any, printed: str, measured: Any) -> None:
        self.asked, self.value = asked, value
        self.right, self.measured = asked.happened(measured)
        self.outcome = printed + self._says + as_html(_besides(value) if asked.says else value)
        self.choose = ipywidgets.RadioButtons(
            options=[each.label for each in asked.options], value=None, layout=_NARROW
        )
        seen = ipywidgets.HTML(f'<div class="lazydestroy-outcome">{self.outcome}</div>')
        seen.add_class("jp-RenderedHTMLCommon")
        said = [
            ipywidgets.HTML(f'<div role="status">{self.said(each)}</div>', layout=_NARROW) for each in asked.options
        ]
        # linked in the browser: it works wherever the widget is there, even without a kernel
        self.after = ipywidgets.Stack([ipywidgets.VBox([each, seen]) for each in said], selected_index=None)
        link = ipywidgets.jslink((self.choose, "index"), (self.after, "selected_index"))
        question = ipywidgets.HTML(f"<b>Predict.</b> {asked.question}", layout=_NARROW)
        style = ipywidgets.HTML(STYLE, layout={"height": "0", "margin": "0"})
        super().__init__([style, hides_text(), question, self.choose, self.after, keeps_keys()])
        self._link = link
        for each in ("lazydestroy-quiz", LIVE, KEEPS_KEYS):
            self.add_class(each)

    def said(self, chosen: Option) -> str:
        """What you are told if you choose an option."""
        told = chosen.told(self.measured)
        if chosen == self.right:
            verdict = f"✔ Right. {told}"
        else:
            verdict = f"✘ Not quite. {told} What happened: <b>{self.right.answer.rstrip('.')}</b>."
        return verdict + self._note

    @property
    def _says(self) -> str:
        """What was measured, in a sentence."""
        return (
            f"<p>{self.asked.says.replace('{measured}', escape(written(self.measured)))}</p>" if self.asked.says else ""
        )

    @property
    def _note(self) -> str:
        if self.right == self.asked.expected:
            return ""
        return f" (With the lesson's own values it is <b>{self.asked.expected.answer}</b>.)"

    @property
    def html(self) -> str:
        """The question as a text in which the options, and then what happened, unfold."""
        options = unfolding((each.answer, self.said(each)) for each in self.asked.options)
        return (
            f"<p><b>Predict.</b> {self.asked.question}</p>\n{options}"
            f"<details><summary><b>{SEE}</b></summary>{self.outcome}</details>"
        )

    @property
    def text(self) -> str:
        """The question with its options."""
        return "\n".join([f"Predict. {self.asked.text}", *(f"* {option.label}" for option in self.asked.options)])

    def _ipython_display_(self) -> None:
        show(self, self.html, self.text)


_READS = "a function of what outcome= returns, such as lambda run: run.downtime; or None"


def predict(name: str, outcome: Callable[[], Any], answer: Callable[[Any], Any] | None = None) -> Prediction:
    """Ask what will happen, and show what happens once the reader has chosen.

    Parameters
    ----------
    name : str
        Name of the prediction: its question and options are data in `lazydestroy.quizzes`.
    outcome : callable
        The experiment. It runs at once. What it prints and what it returns is shown after the choice: text, a picture,
        anything that a notebook shows, or several of them in a tuple. The data may have a sentence for a bare number or
        word that decides.
    answer : callable, optional
        Takes what `outcome` returned and returns what was measured: the name of an option, True or False for "yes" and
        "no", or a number within the bounds of one. Without it, the data say which attribute that is, or what `outcome`
        returned is taken itself; of several things in a tuple, the first.

    Returns
    -------
    Prediction
        A widget, which Jupyter shows. Its `value` is what `outcome` returned.

    Raises
    ------
    ValueError
        If there is no such prediction, or none of its options is what was measured.
    """
    asked = prediction_named(name)
    expect_function(outcome, "outcome", 0, "a function of nothing, such as lambda: ld.reboot('4 GiB')")
    if answer is not None:
        expect_function(answer, "answer", 1, _READS)
    value, printed = ran(outcome)
    return Prediction(asked, value, printed, answer(value) if answer else _measured(asked, value))


def _besides(value: Any) -> Any:
    """What is left to be shown when a bare number or word that decides has been said in a sentence."""
    if type(value) is tuple and value and isinstance(value[0], str | Number | np.bool_):
        return value[1:]
    return None if isinstance(value, str | Number | np.bool_) else value


def _measured(asked: Predicted, value: Any) -> Any:
    """What the data say is measured: of several things in a tuple, the first."""
    value = value[0] if type(value) is tuple and value else value
    if not asked.measured:
        return value
    try:
        return attrgetter(asked.measured)(value)
    except AttributeError:
        raise ValueError(
            f"predict({asked.name!r}): what outcome= returned has no {asked.measured!r}: {shown(value)}; "
            "use answer= to say what was measured"
        ) from None


__all__ = ["Prediction", "predict"]
