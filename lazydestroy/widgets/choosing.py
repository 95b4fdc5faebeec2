"""A slider over a few values, and what a function of the chosen one shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import ipywidgets

from ..units import expect, expect_function, several
from .controlled import KEEPS_KEYS, keeps_keys
from .folded import LIVE, hides_text, show
from .outcome import as_html
from .quiz import STYLE


class Chooser(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets is not typed
    """A slider, and below it what belongs to its value. Each value is computed once.

    Attributes
    ----------
    slider : ipywidgets.SelectionSlider
    shown : ipywidgets.HTML

    Raises
    ------
    ValueError
        If there is nothing to choose from, or a value is not accepted.
    """

    def __init__(self, label: str, values: Iterable[Any], of: Callable[[Any], Any]) -> None:
        expect(str, label, "label", "the name of what is chosen, such as 'pages'")
        self.label, self.of = label, of
        self.values = several(values, "values", "what the slider goes over, such as (1, 2, 4)")
        if not self.values:
            raise ValueError("values=(): use what the slider goes over, such as (1, 2, 4)")
        expect_function(of, "of", 1, "a function of the value, such as lambda pages: ...")
        self._found: dict[int, str] = {}
        self.slider = ipywidgets.SelectionSlider(
            options=[(str(value), place) for place, value in enumerate(self.values)],
            value=len(self.values) - 1,
            description=label,
            style={"description_width": "initial"},
            layout={"width": "60%"},
        )
        self.shown = ipywidgets.HTML(self._html(len(self.values) - 1))
        for each in ("lazydestroy-outcome", "jp-RenderedHTMLCommon"):
            self.shown.add_class(each)
        style = ipywidgets.HTML(STYLE, layout={"height": "0", "margin": "0"})
        super().__init__([style, hides_text(), self.slider, self.shown, keeps_keys()])
        for each in (LIVE, KEEPS_KEYS):
            self.add_class(each)
        self.slider.observe(self._follow, "value")

    def _html(self, place: int) -> str:
        if place not in self._found:
            self._found[place] = as_html(self.of(self.values[place]))
        return self._found[place]

    def _follow(self, change: Any) -> None:
        self.shown.value = self._html(change["new"])

    def _ipython_display_(self) -> None:
        last = len(self.values) - 1
        show(self, f"<p>{self.label}: {self.values[last]}</p>{self._html(last)}", f"A slider: {self.label}")


def choose(label: str, values: Iterable[Any], of: Callable[[Any], Any]) -> Chooser:
    """Show a slider, and what a function makes of the chosen value: text, a table, a picture.

    Parameters
    ----------
    label : str
    values : iterable
        What the slider goes over. It begins at the last one.
    of : callable
        Takes a value; what it returns is shown as a notebook shows it.

    Returns
    -------
    Chooser
        A widget, which Jupyter shows.

    Raises
    ------
    ValueError
        If `label` is no text, there are no values, or `of` is no function.
    """
    return Chooser(label, values, of)
