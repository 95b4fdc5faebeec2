"""The lab bench: all that decides how a protected guest's memory is torn down, on one page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import ipywidgets
import numpy as np
from PIL import Image

from .. import scenarios
from ..costs import Costs
from ..plots import png_of
from ..series import Series, v1
from ..units import one_of
from .controls import (
    DEMANDS,
    GIB,
    HOSTS,
    PATCH_LEVELS,
    TOUCHES,
    USUAL_HOST,
    choice,
    cost_slider,
    kernel_choice,
    memory_sizes,
    memory_slider,
    share_slider,
    slider,
)
from .explorer import Explorer
from .running import USUAL
from .views import View

SCENARIOS = {"reboot": "reboot", "shutdown": "shutdown", "reboot loop": "reboot_loop"}

_ONLY: Mapping[str, tuple[str, ...]] = {
    "new_guest": ("reboot",),
    "touch": ("reboot",),
    "demand": ("reboot", "shutdown"),
    "resets": ("reboot_loop",),
}
"""Controls that decide something in some scenarios only."""

_ASSUMED = ("host", "destroy", "export", "import_clear")
"""Controls that are folded."""


class Bench(Explorer):
    """The lab bench: controls beside one picture at a time, all of it in one view of a small screen.

    Controls that decide nothing in the scenario at hand are out of order.

    Attributes
    ----------
    presets : dict of str to ipywidgets.Button
        A click sets up a story: all controls at once.
    reset : ipywidgets.Button
        A click sets all controls as they were at the beginning.
    tabs : ipywidgets.Tab
        The pictures, one at a time.
    assumptions : ipywidgets.Accordion
        Folds the costs and the size of the host.
    """

    def __init__(self, begin: Mapping[str, Any], pictures: Iterable[str]) -> None:
        controls = _controls(begin)
        self._first = {name: control.value for name, control in controls.items()}
        self.presets = {name: _button(name, tip) for name, (tip, _, _) in STORIES.items()}
        self.reset = _button("Reset", "set all controls as they were at the beginning")
        for name, button in self.presets.items():
            button.on_click(lambda _button, name=name: self._tell_story(name))
        self.reset.on_click(lambda _button: self._set_up(self._first))
        super().__init__(controls, list(controls), pictures, {})
        self.layout.max_width = "1860px"
        self.controls["scenario"].observe(lambda _change: self._put_out_of_order(), "value")
        self._put_out_of_order()

    def _arranged(self, rows: list[ipywidgets.Widget]) -> list[ipywidgets.Widget]:
        for row in rows[1:]:
            row.layout.width, row.style.description_width = "98%", "145px"
        assumed = [self.controls[name] for name in _ASSUMED]
        folded = ipywidgets.VBox(assumed)
        self.assumptions = ipywidgets.Accordion([folded], titles=["Assumptions: what calls cost, the host"])
        wrapped = {"flex_flow": "row wrap", "grid_gap": "2px"}
        stories = ipywidgets.HBox([*self.presets.values(), self.reset], layout=wrapped)
        decides = [row for row in rows if row not in assumed]
        left = [stories, *decides, self.assumptions, self.waiting, self._trouble]
        for view in self._views.values():
            view.head.layout.min_height = "66px"  # beside the controls a title may need two lines
        self.tabs = ipywidgets.Tab([view.box for view in self._views.values()], titles=self._titles())
        right = [self.tabs, self._times, self._code]
        beside = [
            ipywidgets.VBox(left, layout={"flex": "1 1 320px", "max_width": "420px", "min_width": "0"}),
            ipywidgets.VBox(right, layout={"flex": "1 1 500px", "max_width": "940px", "min_width": "0"}),
        ]
        return [ipywidgets.HBox(beside, layout={"flex_flow": "row wrap", "grid_gap": "4px 12px"})]

    def _titles(self) -> list[str]:
        """What the tabs are called: before and after are timelines, unless one timeline has a tab of its own."""
        short = {} if "timeline" in self._views else {"before and after": "timeline"}
        return [short.get(name, name) for name in self._views]

    def _in_view(self, view: View) -> bool:
        """Whether its tab is open. The others are drawn right afterwards."""
        opened = self.tabs.selected_index
        return opened is not None and self.tabs.children[opened] is view.box

    def _tell_story(self, name: str) -> None:
        """Set everything as a story wants it, and open the picture that shows it."""
        _, _, picture = STORIES[name]
        if picture in self._views:
            self.tabs.selected_index = list(self._views).index(picture)
        self._set_up({**USUAL, **story(name)})

    def _put_out_of_order(self) -> None:
        scenario = self.controls["scenario"].value
        for name, where in _ONLY.items():
            self.controls[name].disabled = scenario not in where

    def _set_up(self, values: Mapping[str, Any]) -> None:
        self._end = 0
        with self._hold():
            for name, value in values.items():
                self.controls[name].value = value
        self._wanted()

    def _compared_with(self, values: Mapping[str, Any]) -> Mapping[str, Series]:
        before, own = v1.upto(0), values["kernel"]
        return {"before": before, "at hand": v1 if own == before else own}

    def _still(self) -> tuple[bytes, str]:
        """The first two pictures, one below the other."""
        pictures = list(self.pictures.values())[:2]
        images = [np.asarray(picture.image()) for picture in pictures]
        words = " ".join(f"{picture.title}. {picture.words}" for picture in pictures)
        return png_of(Image.fromarray(np.concatenate(images))), words


STORIES: Mapping[str, tuple[str, Mapping[str, Any], str]] = {
    "small guest": ("2 GiB: the new guest runs when all is clean", {"memory": 2 * GIB}, "before and after"),
    "big guest": (
        "256 GiB, or as much as this computer can: before the series, a coffee break",
        {"memory": 256 * GIB},
        "scaling",
    ),
    "tight host": (
        "a guest is shut down while another process wants its memory",
        {"scenario": "shutdown", "host": 1, "demand": "4 GiB/s"},
        "memory",
    ),
    "six resets": (
        "a guest is reset over and over",
        {"scenario": "reboot_loop", "memory": 8 * GIB, "resets": 6},
        "before and after",
    ),
}
"""What each preset is for, how it differs from what is usual, and the picture that shows it."""


def story(name: str) -> dict[str, Any]:
    """What a preset sets, as far as this computer's memory goes."""
    values = dict(STORIES[name][1])
    if "memory" in values:
        values["memory"] = min(values["memory"], memory_sizes()[-1])
    return values


def _controls(begin: Mapping[str, Any]) -> dict[str, ipywidgets.Widget]:
    """The controls, by name, each with the value that it begins with."""
    scenario = ipywidgets.ToggleButtons(
        options=list(SCENARIOS.items()),
        value=begin["scenario"],
        tooltips=["the guest is reset", "its process is killed", "the guest is reset over and over"],
        style={"button_width": "102px"},
        layout={"width": "auto"},
    )
    return {
        "scenario": scenario,
        "memory": memory_slider(begin["memory"]),
        "used": share_slider("of it made secure", begin["used"]),
        "kernel": kernel_choice(PATCH_LEVELS, begin["kernel"]),
        "host": choice("memory of the host", [(USUAL_HOST, 0), *HOSTS.items()], 0),
        "destroy": cost_slider("cost of a destroy", begin["destroy"], "destroy"),
        "export": cost_slider("cost of an export", begin["export"], "export"),
        "import_clear": cost_slider("cost of an import", begin["import_clear"], "import_clear"),
        "resets": slider("resets in a loop", [(str(number), number) for number in range(1, 13)], 6),
        "new_guest": choice("new guest", list(scenarios.NEW_GUESTS), begin["new_guest"]),
        "touch": choice("it uses its memory", list(TOUCHES.items()), begin["touch"]),
        "demand": choice("who else asks", list(DEMANDS.items()), ""),
    }


def _button(name: str, tip: str) -> ipywidgets.Button:
    return ipywidgets.Button(description=name, tooltip=tip, layout={"width": "auto"})


def bench(
    *,
    scenario: str = "reboot",
    memory: int | str = "64 GiB",
    used: float = 1.0,
    kernel: str = "v1: all patches",
    destroy: int | str | None = None,
    export: int | str | None = None,
    import_clear: int | str | None = None,
    new_guest: str = "protected",
    touch: str = "sequential",
    pictures: Iterable[str] = ("before and after", "map", "memory", "scaling"),
) -> Bench:
    """The lab bench: a guest is reset, or its process killed, and all that decides how that goes is to be moved.

    Parameters
    ----------
    scenario : {"reboot", "shutdown", "reboot_loop"}
        To begin with, as all that follows.
    memory : int or str
        A power of two of GiB. The slider ends where this computer's memory does.
    used : float
        Share of it that the old guest made secure.
    kernel : str
        "before the series", "patch 1", "patches 1 to 2" and so on, "v1: all patches".
    destroy, export, import_clear : int or str, optional
        Costs; default: those of `Costs`.
    new_guest : {"protected", "normal"}
    touch : {"sequential", "reverse", "random", "none"}
    pictures : iterable of {"timeline", "before and after", "map", "memory", "scaling"}

    Returns
    -------
    Bench

    Raises
    ------
    ValueError
        If a value is not accepted.
    """
    one_of(scenario, SCENARIOS.values(), "scenario")
    one_of(new_guest, scenarios.NEW_GUESTS, "new_guest")
    one_of(touch, TOUCHES.values(), "touch")
    usual = Costs()
    costs = {"destroy": destroy, "export": export, "import_clear": import_clear}
    begin = {"scenario": scenario, "memory": memory, "used": used, "kernel": kernel}
    begin |= {"new_guest": new_guest, "touch": touch}
    begin |= {name: getattr(usual, name) if cost is None else cost for name, cost in costs.items()}
    return Bench(begin, pictures)
