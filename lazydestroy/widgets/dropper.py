"""A menu of patches to leave out, and the shortest way to trouble."""

from __future__ import annotations

import base64
import time
from html import escape
from typing import Any

import ipywidgets

from ..plots import words_html
from ..series import BUGS, Series, Verdict, check, v1, v1_fixed
from .controls import PATIENCE


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


class PatchDropper(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets is not typed
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
        if leave_out not in self._choices:
            raise ValueError(f"leave_out={leave_out!r}: use one of {', '.join(map(repr, self._choices))}")
        self.verdict: Verdict | None = None
        self._found: dict[str, Verdict] = {}
        self._began = 0.0
        self.menu = ipywidgets.Dropdown(
            options=list(self._choices), value=leave_out, description="leave out", layout={"width": "36em"}
        )
        self._state = ipywidgets.HTML()
        self._image = ipywidgets.Image(format="png", layout={"width": "100%"})
        self._words = ipywidgets.HTML()
        self._code = ipywidgets.HTML()
        self.menu.observe(lambda _change: self._update(), "value")
        super().__init__([self.menu, self._state, self._image, self._words, self._code])
        self.layout.max_width = "920px"
        self._update()

    def _update(self) -> None:
        """Search, unless that has been done before, and show what was found."""
        chosen = self.menu.value
        kernel, bounds = self._choices[chosen]
        if chosen not in self._found:
            self._began = time.perf_counter()
            try:
                self._found[chosen] = check(kernel, progress=self._show_progress, **bounds)
            except (ValueError, MemoryError) as error:
                self._fail(f"This does not work: {str(error).rstrip('.') or 'memory does not suffice'}.")
                return
            except KeyboardInterrupt:
                self._fail("Stopped.")
                return
        self.verdict = self._found[chosen]
        self._show(self.verdict)

    def _fail(self, words: str) -> None:
        """Say why there is nothing new to see; what was shown before stays."""
        shown = f" Below is what was found for {self.verdict.kernel!r}." if self.verdict else ""
        self._say(words + shown)

    def _show_progress(self, states: int) -> None:
        now = time.perf_counter()
        if now - self._began > PATIENCE:
            self._began = now
            self._say(f"Searching. States seen: {states:,}")

    def _say(self, words: str) -> None:
        large = "font-size: 120%; font-weight: 600; line-height: 1.4"
        self._state.value = f'<div role="status" style="{large}">{escape(words)}</div>'

    def _show(self, verdict: Verdict) -> None:
        arguments = "".join(f", {name}={value!r}" for name, value in self._choices[self.menu.value][1].items())
        call = f"ld.series.check({verdict.kernel!r}{arguments})"
        self._code.value = f"<div>The same in code: <code>{escape(call)}</code></div>"
        if verdict.trace is None:
            self._say(f"Nothing breaks: all {verdict.states:,} states have been seen.")
            self._image.layout.display = "none"
            self._words.value = ""
            return
        self._say(f"It breaks. The search saw {verdict.states:,} states to find the shortest way:")
        picture = verdict.plot()
        self._image.value = picture.quick_png()
        self._image.layout.display = ""
        self._words.value = words_html(picture.words)

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
