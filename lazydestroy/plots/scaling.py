"""Downtime against memory, on logarithmic scales."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator
from matplotlib.transforms import ScaledTranslation

from .. import scenarios
from ..costs import Costs
from ..machine import LOW_MEMORY
from ..page import PAGE_SHIFT, PAGE_SIZE
from ..rounded import about_duration, about_size
from ..run import Run, expect_run
from ..series import Series, v1
from ..units import expect, format_duration, format_size, one_of, several, shown, whole_number
from ..units import size as read_size
from .fitting import widest
from .panel import Panel
from .picture import GREY, HEAD, LEFT, PALETTE, RIGHT, WIDTH, Picture, styled
from .words import capital, growth, name_of_kernel, with_kernel


@functools.lru_cache(maxsize=4096)
def _downtime_ns(scenario: str, kernel: Series, memory: int, costs: Costs) -> int | None:
    if scenario == "reboot":
        return scenarios.reboot(memory, kernel=kernel, costs=costs, new_guest="normal", touch="none").downtime_ns
    return scenarios.shutdown(memory, kernel=kernel, costs=costs).downtime_ns


def downtimes(
    kernel: Series, sizes: Iterable[int | str], *, scenario: str = "reboot", costs: Costs | None = None
) -> list[int | None]:
    """Downtimes in nanoseconds, each from a run of the model.

    Parameters
    ----------
    kernel : Series
    sizes : iterable of int or str
        Memory of the guest, all of it used.
    scenario : {"reboot", "shutdown"}
    costs : Costs, optional

    Returns
    -------
    list of int

    Raises
    ------
    ValueError
        If a value is not accepted.
    """
    scenario = one_of(scenario, ("reboot", "shutdown"), "scenario")
    expect(Series, kernel, "kernel", "a kernel such as ld.series.v1 or ld.series.v1.upto(0)")
    costs = Costs() if costs is None else costs
    expect(Costs, costs, "costs", "ld.Costs(...), such as ld.Costs(destroy='1.5 us')")
    return [_downtime_ns(scenario, kernel, size, costs) for size in _sizes(sizes)]


def _sizes(sizes: Any) -> list[int]:
    """Sizes of guests in bytes."""
    given = several(sizes, "sizes", "several sizes, such as ('1 GiB', '2 GiB')")
    return [read_size(size, "sizes", multiple_of=PAGE_SIZE) for size in given]


SIZES = tuple(1 << power for power in range(28, 39))
"""256 MiB to 256 GiB, in powers of two."""


_STROKES = (("o", "-"), ("s", "--"), ("^", "-."), ("v", ":"), ("P", (0, (1, 1))))


FONT = 12
"""Points of the names of lines."""

BESIDE = 15
"""Points from the end of a line to its name: a diamond around the end does not touch it."""


def times_of(lines: Mapping[Series, list[int | None]], dot: tuple[int, int] | None) -> tuple[int, int]:
    """The shortest and the longest time that is known, in nanoseconds."""
    known = [ns for line in lines.values() for ns in line if ns] + ([dot[1]] if dot else [])
    return min(known, default=1), max(known, default=1)


def _decades(times: tuple[int, int]) -> tuple[int, int]:
    """The powers of ten, of nanoseconds, from which and to which an axis goes that has room for these times."""
    return int(np.floor(np.log10(times[0] / 1.2))), int(np.ceil(np.log10(times[1] * 1.6)))


def _known(sizes: list[int], line: list[int | None]) -> list[tuple[int, int]]:
    """The points of a line."""
    return [(size, ns) for size, ns in zip(sizes, line, strict=True) if ns]


class ScalingPanel(Panel):
    """Downtime against memory, both on logarithmic scales, with a dot for a setting."""

    def __init__(self, axes: Axes) -> None:
        super().__init__(axes)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xlabel("memory that the old guest used")
        axes.set_ylabel("downtime")
        axes.grid(True, color="#DDDDDD", lw=0.7)
        axes.set_axisbelow(True)
        for axis, write in (
            (axes.xaxis, lambda value, _: format_size(int(value))),
            (axes.yaxis, lambda value, _: format_duration(round(value)) if value >= 1 else ""),
        ):
            axis.set_major_formatter(FuncFormatter(write))
            axis.set_minor_locator(NullLocator())

    def show(
        self,
        lines: Mapping[Series, list[int | None]],
        sizes: Iterable[int],
        dot: tuple[int, int] | None = None,
        scales: tuple[tuple[int, int], tuple[int, int]] | None = None,
    ) -> None:
        """Show `lines` over `sizes` (bytes to nanoseconds), and a dot, on `scales` (from and to, of each) that stay.

        Raises
        ------
        ValueError
            If there are no lines, or a value is not accepted.
        """
        sizes = _expect_lines(lines, sizes)
        dot = None if dot is None else _pair(dot, "dot")
        if scales is not None:
            pairs = several(scales, "scales", "two pairs, of bytes and of nanoseconds, or None")
            if len(pairs) != 2:
                raise ValueError(f"scales={shown(scales)}: use two pairs, of bytes and of nanoseconds, or None")
            scales = _pair(pairs[0], "scales"), _pair(pairs[1], "scales")
        self._drawn.clear()
        with styled():
            scales = scales or ((sizes[0], sizes[-1]), times_of(lines, dot))
            if self._needs_ground(lines, sizes, scales[0], _decades(scales[1])):
                known = {name_of_kernel(kernel): _known(sizes, line) for kernel, line in lines.items()}
                self._scales(*scales, list(known))
                for points, look in zip(known.values(), _STROKES * 3, strict=False):
                    if points:
                        self._line(points, *look)
                self._name({name: points[-1] for name, points in known.items() if points})
                if _flat_from(lines, sizes):
                    self._two_gib()
            if dot:
                others = [
                    ns for line in lines.values() for size, ns in zip(sizes, line, strict=True) if ns and size == dot[0]
                ]
                self._dot(*dot, highest=dot[1] >= max(others, default=0))

    def _scales(self, sizes: tuple[int, int], times: tuple[int, int], names: list[str]) -> None:
        """Set the axes: a size for every second power of two, a time for every power of ten, room for names."""
        octaves = max(1, round(np.log2(sizes[1] / sizes[0])))
        across, room = WIDTH * (RIGHT - LEFT), BESIDE / 72 + widest(names, FONT, bold=True)
        left = 0.03 * octaves
        right = (octaves + left) * room / (across - room)
        self.axes.set_xlim(sizes[0] / 2**left, sizes[1] * 2**right)
        self.axes.set_xticks([sizes[0] << power for power in range(0, octaves + 1, 2)])
        bottom, top = _decades(times)
        self.axes.set_ylim(10.0**bottom, 10.0**top)
        self.axes.set_yticks([10.0**power for power in range(bottom, top + 1)])

    def _line(self, known: list[tuple[int, int]], marker: str, stroke: Any) -> None:
        look: dict[str, Any] = {"color": PALETTE["downtime"].colour, "marker": marker, "ls": stroke, "lw": 2, "ms": 6}
        self._keep(*self.axes.plot(*zip(*known, strict=True), **look))

    def _name(self, ends: Mapping[str, tuple[int, int]]) -> None:
        """Write names at the ends of lines, from below upwards; one that would cover another stands above it."""
        low, high = np.log10(self.axes.get_ylim())
        points = self.axes.bbox.height / self.axes.figure.dpi * 72 / (high - low)
        lowest = -np.inf
        for name, end in sorted(ends.items(), key=lambda each: each[1][1]):
            place = float(np.log10(end[1]) - low) * points
            lowest = max(place, lowest + 1.25 * FONT)
            self._keep(
                self.axes.annotate(
                    name,
                    end,
                    (BESIDE, lowest - place),
                    textcoords="offset points",
                    va="center",
                    color=PALETTE["downtime"].colour,
                    fontweight="bold",
                    fontsize=FONT,
                    bbox={"boxstyle": "square,pad=0", "fc": "white", "ec": "none"},
                    annotation_clip=False,
                )
            )

    def _two_gib(self) -> None:
        self._keep(
            self.axes.axvline(LOW_MEMORY, color=GREY, lw=1.2, ls=(0, (2, 2))),
            self.axes.text(LOW_MEMORY * 1.06, 0.93, "2 GiB", transform=self.axes.get_xaxis_transform(), color=GREY),
        )

    def _dot(self, memory: int, ns: int, highest: bool) -> None:
        """Mark a point. Its label is above a line that rises, below one that has another above it."""
        left, right = np.log2(self.axes.get_xlim())
        at_the_edge = (np.log2(memory) - left) / (right - left) < 0.13
        place, ha, va = ((-12, 9), "right", "bottom") if highest else ((0, -13), "center", "top")
        if at_the_edge:
            place, ha, va = (12, -7), "left", "top"
        beside = ScaledTranslation(place[0] / 72, place[1] / 72, self._picture.dpi_scale_trans)
        self._drawn.line([memory], [ns], marker="D", ms=13, mfc="none", mec="black", mew=2.4, zorder=9)
        self._drawn.text(
            memory,
            ns,
            f"{about_size(memory)}: {about_duration(ns)}",
            transform=self.axes.transData + beside,
            ha=ha,
            va=va,
            fontweight="bold",
            bbox={"boxstyle": "square,pad=0.2", "fc": "white", "ec": "black", "lw": 0.8},
            zorder=10,
        )


def plot_scaling(
    *kernels: Series,
    sizes: Iterable[int | str] = SIZES,
    scenario: str = "reboot",
    costs: Costs | None = None,
    dot: Run | None = None,
) -> Picture:
    """Downtime against the memory that the old guest used, for several kernels. Every point is a run of the model.

    Parameters
    ----------
    *kernels : Series
        Default: the kernel before the series, and `series.v1`.
    sizes : iterable of int or str
        Memory of the guest, rising.
    scenario : {"reboot", "shutdown"}
        A rebooted guest is normal and touches nothing afterwards; that does not change the downtime.
    costs : Costs, optional
    dot : Run, optional
        A run to mark.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If there is no size, or a value is not accepted.
    """
    kernels = kernels or (v1.upto(0), v1)
    for kernel in kernels:
        expect(Series, kernel, "kernels", "kernels such as ld.series.v1 or ld.series.v1.upto(0)")
    if dot is not None:
        expect_run(dot, "dot")
    read = _sizes(sizes)
    if not read:
        raise ValueError("sizes=[]: give at least one size")
    lines = {kernel: downtimes(kernel, read, scenario=scenario, costs=costs) for kernel in kernels}
    picture = Picture(HEAD + 3.6 + 0.65)
    marked = (dot.pages << PAGE_SHIFT, dot.downtime_ns) if dot is not None and dot.downtime_ns else None
    ScalingPanel(picture.panel(HEAD, 3.6)).show(lines, read, marked)
    title = scaling_finding(lines, read)
    below = f"{scenario}, each point a run of the model; both scales are logarithmic"
    picture.say(title, below, describe_scaling(lines, read))
    return picture


def scaling_finding(lines: Mapping[Series, list[int | None]], sizes: list[int]) -> str:
    """What the downtimes of several kernels show, in a sentence made of their values."""
    sizes = _expect_lines(lines, sizes)
    first = _flat_from(lines, sizes) or 0
    grows = [f"{growth(line[first], line[-1])} {with_kernel(kernel)}" for kernel, line in lines.items()]
    if len(lines) > 1:
        flat = ", ".join(grows).replace("not at all", "flat")
        return f"Downtime from {about_size(sizes[first])} on: {flat}"
    return f"{about_size(sizes[first])} to {about_size(sizes[-1])}: downtime grows {', '.join(grows)}"


def _pair(value: Any, name: str) -> tuple[int, int]:
    """Read two whole numbers."""
    accepted = "a pair of whole numbers above 0, or None"
    pair = several(value, name, accepted)
    if len(pair) != 2:
        raise ValueError(f"{name}={shown(value)}: use {accepted}")
    return whole_number(pair[0], name, 1), whole_number(pair[1], name, 1)


def _expect_lines(lines: Any, sizes: Any) -> list[int]:
    """Refuse what are no downtimes of kernels over sizes; returns the sizes in bytes."""
    read = _sizes(sizes)
    if not read:
        raise ValueError("sizes=[]: give at least one size")
    accepted = "a dict of kernels and their downtimes, such as {ld.series.v1: plots.downtimes(ld.series.v1, sizes)}"
    expect(Mapping, lines, "lines", accepted)
    for kernel, line in lines.items():
        expect(Series, kernel, "lines", accepted)
        expect(Sequence, line, "lines", accepted)
        if len(line) != len(read) or not all(ns is None or isinstance(ns, int | np.integer) for ns in line):
            raise ValueError(f"lines={shown(lines)}: use {accepted}; a downtime, or None, for each of the sizes")
    return read


def _flat_from(lines: Mapping[Series, list[int | None]], sizes: list[int]) -> int | None:
    """Place of the size from which on a line does not grow, if that is because of the first 2 GiB; else None."""
    first = next((place for place, size in enumerate(sizes[:-1]) if place and size >= LOW_MEMORY), None)
    flat = first is not None and any(growth(line[first], line[-1]) == "not at all" for line in lines.values())
    return first if flat else None


def describe_scaling(lines: Mapping[Series, list[int | None]], sizes: list[int]) -> str:
    """What a picture of downtime against memory shows, in a few sentences."""
    sizes = _expect_lines(lines, sizes)
    points = " ".join(
        f"{capital(name_of_kernel(kernel))}: "
        + ", ".join(f"{format_size(size)} {format_duration(ns)}" for size, ns in zip(sizes, line, strict=True) if ns)
        + "."
        for kernel, line in lines.items()
    )
    return f"{scaling_finding(lines, sizes)}. Downtime against memory. {points}"
