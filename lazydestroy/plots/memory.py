"""What memory was used for, stacked, over virtual time."""

from __future__ import annotations

from dataclasses import replace
from math import floor, log2
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.transforms import ScaledTranslation

from ..page import PAGE_SIZE
from ..rounded import about_duration
from ..run import Run, expect_run
from ..units import format_size, whole_number
from .artists import polygon
from .axes import ticks_on_the_left
from .lanes import bands_of, run_end
from .panel import LATEST, Panel
from .picture import GREY, LEFT, PALETTE, RIGHT, Look, styled
from .timeline import START, brightness, time_axis

SEEN = 2
"""Dots that an area must be high, at some moment, to be seen as more than a line."""


class MemoryPanel(Panel):
    """What the host's memory is used for, stacked, over time."""

    def __init__(self, axes: Axes) -> None:
        super().__init__(axes)
        axes.set_facecolor("#FFFFFF")
        axes.set_yticks([])

    def show(self, run: Run, end: int | None = None) -> None:
        """Show a run, on an axis that ends at `end` (nanoseconds)."""
        expect_run(run)
        end = run_end(run) if end is None else whole_number(end, "end", 1, LATEST)
        self._drawn.clear()
        with styled():
            host = int(run.parameters["host_memory"])
            unit, base = ("GiB", 1 << 30) if host >= 1 << 30 else ("MiB", 1 << 20)
            bands = [(look, pages * (PAGE_SIZE / base)) for look, pages in bands_of(run)]
            self.axes.set_ylim(0, host / base)
            shown = [look for look, values in bands if self._dots(values.max()) >= SEEN]
            if self._needs_ground(end, run.scenario, shown):
                time_axis(self.axes, end, START[run.scenario], label=True)
                self._legend(shown)
            power = floor(log2(host / base / 3))
            ticks = {tick: f"{tick:.{max(0, -power)}f}" for tick in np.arange(0, host / base, 2.0**power).tolist()}
            ticks_on_the_left(self._drawn, ticks, f"memory ({unit})")
            self._host(host, host / base)
            self._stack(run.memory["time"], bands, max(end, run_end(run)))
            self._exhaustion(run, host / base)

    def _stack(self, times: np.ndarray, bands: list[tuple[Look, np.ndarray]], end: int) -> None:
        times = np.append(times, end)
        there_and_back = np.concatenate((times, times[::-1]))
        below = np.zeros(len(times))
        for look, pages in bands:
            above = below + np.append(pages, pages[-1])
            if look is not PALETTE["free"] and pages.any():
                corners = np.column_stack((there_and_back, np.concatenate((above, below[::-1]))))
                if self._dots(pages.max()) < SEEN:  # none of the lines of its hatch could be seen, but all be drawn
                    look = replace(look, hatch="")
                self._drawn.area(polygon(corners), joinstyle="round", **_area(look))
            below = above

    def _dots(self, amount: float) -> float:
        """How high so much memory is in the picture."""
        bottom, top = self.axes.get_ylim()
        return float(self.axes.bbox.height * amount / (top - bottom))

    def _legend(self, shown: list[Look]) -> None:
        """What the areas are, the uppermost first; in a low panel, too, below the time axis and its name."""
        inches = self.axes.bbox.height / self.axes.figure.dpi
        legend = self.axes.legend(
            handles=[Patch(label=look.label, **_area(look)) for look in reversed(shown)],
            loc="upper left",
            bbox_to_anchor=(-LEFT / (RIGHT - LEFT) + 0.01, -max(0.25, 0.48 / inches)),
            borderpad=0,
            borderaxespad=0,
            ncols=4,
            frameon=False,
            handlelength=1.6,
            handleheight=1.3,
            columnspacing=1.4,
        )
        self._keep(legend)

    def _host(self, size: int, top: float) -> None:
        """The line above which there is no memory."""
        across: Any = self.axes.get_yaxis_transform()
        self._drawn.line((0, 1), (top, top), transform=across, color="black", lw=1.6, clip_on=False)
        self._drawn.text(
            0.995,
            1,
            f"all of the host's memory: {format_size(size)}",
            ha="right",
            va="bottom",
            fontsize=10,
            color=GREY,
            transform=self.axes.transAxes + ScaledTranslation(0, 3 / 72, self._picture.dpi_scale_trans),
        )

    def _exhaustion(self, run: Run, top: float) -> None:
        """Mark when nothing was free any more."""
        event = next((event for event in run.events if event.kind == "oom"), None)
        if event is not None:
            self._drawn.add(
                *self.axes.plot(event.time_ns, top, "X", ms=11, mfc="black", mec="white", zorder=7, clip_on=False),
                self.axes.annotate(
                    f"nothing is free: out of memory at {about_duration(event.time_ns)}",
                    (event.time_ns, top),
                    (12, -6),
                    textcoords="offset points",
                    va="top",
                    fontweight="bold",
                    bbox={"boxstyle": "square,pad=0.2", "fc": "white", "ec": "black", "lw": 0.6},
                    zorder=8,
                ),
            )


def _area(look: Look) -> dict[str, Any]:
    dark = brightness(look.colour) < 0.1
    return {
        "facecolor": look.colour,
        "hatch": look.hatch,
        "edgecolor": "white" if dark else "#333333",
        "linewidth": 0.5,
    }
