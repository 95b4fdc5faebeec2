"""Measuring ends of processes on this computer: choose, press a button, see."""

from __future__ import annotations

from html import escape
from typing import Any

import ipywidgets

from .. import live
from ..plots import plot_exits
from ..units import format_size
from .controlled import KEEPS_KEYS, keeps_keys
from .folded import LIVE, hides_text, show
from .outcome import as_html

LEAST, MOST = 64 << 20, 16 << 30
"""Sizes to choose from, in bytes; the larger ones only where there is room."""


class MeasuredExits(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets is not typed
    """Controls, a button, and what was measured.

    Attributes
    ----------
    memory : ipywidgets.SelectionSlider
    helper, huge_pages : ipywidgets.Checkbox
    button : ipywidgets.Button
    task : ipywidgets.HTML
        What the button will do.
    reason : str
        Why no process can be killed here; empty if one can.
    shown : ipywidgets.HTML
    exits : list of live.Exit
        What was measured, the last one at the end.
    """

    def __init__(self) -> None:
        sizes = sizes_to_choose()
        wide = {"description_width": "initial"}
        self.memory = ipywidgets.SelectionSlider(
            options=[(format_size(size), size) for size in sizes],
            value=sizes[min(2, len(sizes) - 1)],
            description="memory",
            style=wide,
        )
        narrow = {"width": "auto", "margin": "2px 24px"}
        self.helper = ipywidgets.Checkbox(description="a helper shares it", indent=False, layout=narrow)
        self.huge_pages = ipywidgets.Checkbox(description="huge pages", indent=False, layout=narrow)
        self.button = ipywidgets.Button(description="Measure", button_style="primary")
        self.reason = live.why_not()
        self.task = ipywidgets.HTML()
        self.shown = ipywidgets.HTML()
        self.exits: list[live.Exit] = []
        controls = ipywidgets.HBox(
            [self.memory, self.helper, self.huge_pages, self.button], layout={"flex_flow": "row wrap"}
        )
        super().__init__([hides_text(), controls, self.task, self.shown, keeps_keys()])
        for each in (LIVE, KEEPS_KEYS):
            self.add_class(each)
        self.button.on_click(self.measure)
        for control in (self.memory, self.helper, self.huge_pages):
            control.observe(self._tell, "value")
        self._tell()

    def _tell(self, _: Any = None) -> None:
        """Say what the button will do."""
        pages = "huge pages" if self.huge_pages.value else "small pages"
        helper = " A helper shares them." if self.helper.value else ""
        does = "shows a recorded end of" if self.reason else "kills"
        why = f" Nothing is killed here: {self.reason}." if self.reason else ""
        self.task.value = (
            f"Measure {does} a process that has {format_size(self.memory.value)} of {pages}.{helper}{escape(why)}"
        )

    def measure(self, _: Any = None) -> None:
        """Measure what the controls say, and show it below what was measured before it."""
        self.button.disabled = True
        try:
            self.exits.append(
                live.exit_time(self.memory.value, helper=self.helper.value, huge_pages=self.huge_pages.value)
            )
            self.shown.value = as_html((plot_exits(*self.exits[-2:]), repr(self.exits[-1])))
        except (ValueError, RuntimeError) as error:
            self.shown.value = as_html(str(error))
        finally:
            self.button.disabled = False

    def _ipython_display_(self) -> None:
        words = "A slider for the size, and a button that measures. Run this cell to use them."
        show(self, f"<p>{words}</p>", words)


def sizes_to_choose() -> list[int]:
    """Powers of two, in bytes, up to the largest that may be taken now, and at least one."""
    most = MOST if live.why_not() else min(MOST, live.largest())
    powers = range(LEAST.bit_length() - 1, MOST.bit_length())
    return [1 << power for power in powers if 1 << power <= most] or [LEAST]


def measure_exits() -> MeasuredExits:
    """Show controls for `lazydestroy.live.exit_time`: the size, a helper, huge pages. The last two are compared.

    Returns
    -------
    MeasuredExits
        A widget, which Jupyter shows.
    """
    return MeasuredExits()
