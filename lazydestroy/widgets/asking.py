"""One of the reviewers' questions, with controls for what decides the answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from html import escape
from typing import Any

import ipywidgets

from ..costs import Costs
from ..plots import words_html
from ..questions import Answer, accepted, ask, question
from ..series import Series, v1
from ..units import duration, exact_duration, exact_size, expect, one_of, plain, shown
from .controlled import Controlled, Hear, Show
from .controls import GIB, HOSTS, KERNELS, TOUCHES, USUAL_HOST, checked, choice, cost_slider, memory_slider
from .image import PngImage

_COSTS = tuple(field.name for field in fields(Costs))

_DECIDES: Mapping[int, tuple[str, ...]] = {
    1: ("memory", "destroy", "kernel"),
    2: ("kernel", "destroy", "export"),
    3: ("memory", "host", "destroy", "kernel"),
    4: ("memory", "host", "destroy"),
    5: ("memory", "destroy", "kernel"),
    6: ("memory", "destroy", "noop"),
    7: ("memory", "touch", "destroy", "export", "kernel"),
    8: ("memory", "destroy", "kernel"),
    9: ("memory", "walk", "destroy"),
    10: ("memory", "exit_at", "destroy"),
    11: ("kernel",),
    12: ("kernel",),
    13: ("kernel",),
    14: ("memory", "destroy", "kernel"),
    15: ("memory", "destroy", "kernel"),
}
"""What decides the answer to each question."""

_KERNELS: Mapping[int, Mapping[str, Series]] = {
    2: {**KERNELS, "v1 without patch 3": v1.without(3), "v1 without patch 4": v1.without(4)},
}
"""Kernels to choose from, where they are others than usual."""

_AT_RANDOM = ("sequential", "reverse", "random")
_EXITS = {f"{seconds} s after the reset": f"{seconds} s" for seconds in (1, 2, 3, 5, 10)}


class Asker(Controlled):
    """Controls, and the answer for what they say.

    Attributes
    ----------
    controls : dict of str to ipywidgets.Widget
        By name; setting one's `value` asks again.
    answer : lazydestroy.Answer or None
        What is shown.
    message : str
        What is wrong with the setting; empty if nothing is.
    """

    def __init__(self, number: int, controls: Mapping[str, Any], fixed: Mapping[str, Any]) -> None:
        super().__init__(controls)
        self.question = question(number)
        self.answer: Answer | None = None
        self._fixed = dict(fixed)
        self._status = ipywidgets.HTML()
        self._answer = ipywidgets.HTML()
        self._image = PngImage({"width": "100%", "max_width": "900px", "display": "none"})
        self._words = ipywidgets.HTML()
        for control in self.controls.values():
            control.continuous_update = False
        above = ipywidgets.HBox([ipywidgets.VBox([*self.controls.values()]), self.waiting])
        self._found = ipywidgets.VBox([self._image, self._words, self._answer])
        self.children = [above, self._status, self._found]
        self._update()

    def parameters(self, values: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What the controls say, as `ask` takes it; or what they would say with these values."""
        values = dict(self.values if values is None else values)
        found = dict(self._fixed)
        costs = {name: exact_duration(values.pop(name)) for name in _COSTS if name in values and name != "touch"}
        if Costs(**costs) != Costs():
            found["costs"] = Costs(**costs)
        host = values.pop("host", 0)
        if "memory" in values:
            memory = values["memory"]
            found["memory"] = exact_size(memory)
            if host:
                found["host_memory"] = exact_size(memory + host * GIB)
        usual = accepted(self.question.number)
        return found | {name: value for name, value in values.items() if name != "memory" and value != usual[name]}

    def _parts(self, values: Mapping[str, Any], hear: Hear) -> Iterator[Show]:
        def progress(done: int, of: int) -> None:
            hear(done / of if of else 0.0)

        answer = ask(self.question.number, progress=progress, **self.parameters(values))
        yield lambda: self._show(answer, values)

    def _show(self, result: Answer, values: Mapping[str, Any]) -> None:
        self._say("")
        self.answer = result
        picture = result.plot()
        self._image.png = picture.quick()
        self._image.layout.display = ""
        self._words.value = words_html(picture.words)
        self._answer.value = result._repr_html_()
        self._is_shown(self._found, values)

    def _say(self, message: str) -> None:
        self.message = message
        below = " Below is the last answer." if self.answer else ""
        words = self._sentence(message) + below if message else ""
        self._status.value = f'<div role="status" style="line-height: 1.4">{escape(words)}</div>'

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """As a widget; where there is no kernel, as the verdict."""
        data = super()._repr_mimebundle_(**options)
        data["text/plain"] = f"[controls, and an answer: {self.answer.short if self.answer else self.message}]"
        return data


def explore_question(number: int, controls: Iterable[str] | None = None, **parameters: Any) -> Asker:
    """One of the reviewers' questions, with controls for what decides the answer.

    Parameters
    ----------
    number : int
        1 to 15.
    controls : iterable of str, optional
        Which controls there are: "memory", "host", "kernel", "touch", "exit_at", or the name of a cost. Default: what
        decides this answer.
    **parameters
        What `ask` is to be given besides; for a parameter with a control: what it is to begin with.

    Returns
    -------
    Asker

    Raises
    ------
    ValueError
        If there is no such question or control, or a control cannot begin with a value.
    """
    takes = accepted(question(number).number)
    number = int(number)
    wanted = decides(number) if controls is None else checked(controls, _possible(number), "controls")
    parameters = {name: plain(value, name) for name, value in parameters.items()}
    begin = {name: parameters.pop(name, takes.get(name)) for name in wanted}
    return Asker(number, {name: _control(number, name, begin[name]) for name in wanted}, parameters)


def _possible(number: int) -> list[str]:
    """The controls that a question can have."""
    takes = accepted(number)
    possible: list[str] = [name for name in ("memory", "kernel", "touch", "exit_at") if name in takes]
    possible += ["host"] if "host_memory" in takes and "memory" in takes else []
    return possible + ([name for name in _COSTS if name != "touch"] if "costs" in takes else [])


def decides(number: int) -> list[str]:
    """The controls for what decides the answer to a question."""
    possible = _possible(number)
    return [name for name in _DECIDES[number] if name in possible]


def _control(number: int, name: str, value: Any) -> ipywidgets.Widget:
    """The control of that name, with the value that it begins with."""
    if name == "memory":
        return memory_slider(value)
    if name == "kernel":
        kernels = dict(_KERNELS.get(number, KERNELS))
        expect(Series, value, "kernel", "a kernel such as ld.series.v1 or ld.series.v1.without(3)")
        if value not in kernels.values():
            kernels[value.name] = value
        return choice("kernel", list(kernels.items()), value)
    if name == "touch":
        one_of(value, TOUCHES.values(), "touch")
        orders = [(words, order) for words, order in TOUCHES.items() if order in (*_AT_RANDOM, value)]
        return choice("it uses its memory", orders, value)
    if name == "host":
        if value is not None and not (type(value) is int and value in (0, *HOSTS.values())):
            raise ValueError(f"host={shown(value)}: use one of 0, {', '.join(map(str, HOSTS.values()))} (GiB)")
        return choice("host, compared to the guest", [(USUAL_HOST, 0), *HOSTS.items()], value or 0)
    if name == "exit_at":
        if value is not None:
            duration(value, "exit_at", zero=True)
        moments = _EXITS if value in _EXITS.values() or value is None else {**_EXITS, str(value): value}
        return choice("killed", list(moments.items()), value or "5 s")
    return cost_slider(f"cost: {name.replace('_', ' ')}", getattr(Costs(), name) if value is None else value, name)
