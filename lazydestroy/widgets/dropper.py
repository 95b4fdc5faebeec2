"""A menu of patches to leave out, and the shortest way to trouble."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

import ipywidgets

from ..plots import words_html
from ..rounded import counted
from ..series import BUGS, Series, Verdict, check, v1, v1_fixed
from ..units import one_of
from .controlled import Controlled, Hear, Show
from .image import PngImage


def _dropped() -> dict[str, tuple[Series, dict[str, Any]]]:
    """What can be left out, and the kernel and the bounds with which the search is to look for the consequences."""
    quick: dict[str, Any] = {"failures": ()}
    kernels: dict[str, tuple[Series, dict[str, Any]]] = {"nothing": (v1_fixed, quick)}
    for numbers in ((3,), (4,), (6,), (7, 11)):
        titles = ", ".join(f"{number} · {v1[number].title}" for number in numbers)
        kernels[f"patch {titles}"] = (v1_fixed.without(*numbers), quick)
    for bug in BUGS:
        kernels[f"the fix of a bug of version 1: {bug.name}"] = (bug.kernel, bug.bounds)
    return kernels


class PatchDropper(Controlled):
    """A menu of what to leave out, and the shortest way to trouble that a search then finds.

    Attributes
    ----------
    menu : ipywidgets.Dropdown
        Setting its `value` searches and draws again.
    verdict : lazydestroy.series.Verdict or None
        What is shown: what was found for the present choice, or for the one before if that could not be searched.
    """

    def __init__(self, leave_out: str) -> None:
        self._choices = _dropped()
        leave_out = one_of(leave_out, self._choices, "leave_out")
        self.menu = ipywidgets.Dropdown(
            options=list(self._choices), value=leave_out, description="leave out", layout={"width": "36em"}
        )
        super().__init__({"leave_out": self.menu})
        self.verdict: Verdict | None = None
        self._found: dict[str, Verdict] = {}
        self._state = ipywidgets.HTML()
        self._image = PngImage({"width": "100%"})
        self._words = ipywidgets.HTML()
        self._code = ipywidgets.HTML()
        self._seen = ipywidgets.VBox([self._image, self._words, self._code])
        first = ipywidgets.HBox([self.menu, self.waiting], layout={"flex_flow": "row wrap"})
        self.children = [first, self._state, self._seen]
        self._update()

    def _parts(self, values: Mapping[str, Any], hear: Hear) -> Iterator[Show]:
        """Search, unless that has been done before. Nobody knows beforehand how many states there are."""
        chosen = values["leave_out"]
        kernel, bounds = self._choices[chosen]
        if chosen not in self._found:

            def progress(states: int) -> None:
                hear(states / (states + 10_000), f"states seen: {states:,}")

            self._found[chosen] = check(kernel, progress=progress, **bounds)
        yield lambda: self._show(chosen, self._found[chosen])

    def _show(self, chosen: str, verdict: Verdict) -> None:
        self.message, self.verdict = "", verdict
        arguments = "".join(f", {name}={value!r}" for name, value in self._choices[chosen][1].items())
        call = f"ld.series.check({verdict.kernel!r}{arguments})"
        self._code.value = f'<div>The same in code: <code style="user-select: all">{escape(call)}</code></div>'
        if verdict.trace is None:
            self._write(f"Nothing breaks. The search saw all states there are: {verdict.states:,}.")
            self._image.layout.display = "none"
            self._words.value = ""
        else:
            self._write(f"It breaks. To find the shortest way, the search saw {counted(verdict.states, 'states')}:")
            picture = verdict.plot()
            self._image.png = picture.quick()
            self._image.layout.display = ""
            self._words.value = words_html(picture.words)
        self._is_shown(self._seen, {"leave_out": chosen})

    def _say(self, message: str) -> None:
        """Say why there is nothing new to see; what was shown before stays."""
        self.message = message
        shown = f" Below is what was found for {self.verdict.kernel!r}." if self.verdict else ""
        self._write(self._sentence(message) + shown if message else "")

    def _write(self, words: str) -> None:
        large = "font-size: 120%; font-weight: 600; line-height: 1.4"
        self._state.value = f'<div role="status" style="{large}">{escape(words)}</div>'

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """As a widget; where there is no kernel, as the picture of the first choice."""
        data = super()._repr_mimebundle_(**options)
        data["text/plain"] = f"[a menu, and a picture: leave out {self.menu.value}]"
        if self.verdict is None or self.verdict.trace is None:
            return data
        picture = self.verdict.plot()
        data["image/png"] = base64.b64encode(picture.png()).decode("ascii")
        return data, {"image/png": {"alt": picture.words}}


def drop_a_patch(leave_out: str = "patch 3 · handle secure storage violations for protected guests") -> PatchDropper:
    """Choose a patch to leave out, and see the shortest way to trouble.

    Parameters
    ----------
    leave_out : str
        What is left out at first; the menu has the others.

    Returns
    -------
    PatchDropper

    Raises
    ------
    ValueError
        If the menu has no such choice.
    """
    return PatchDropper(leave_out)
