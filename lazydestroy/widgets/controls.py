"""Sliders and menus with units, and what there is to choose from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import ipywidgets

from .. import scenarios
from ..limits import available_memory
from ..page import PAGE_SHIFT
from ..series import Series, v1
from ..units import duration, format_duration, format_size, one_of, several, shown
from ..units import share as read_share
from ..units import size as read_size

GIB = 1 << 30

KERNELS: Mapping[str, Series] = {"before the series": v1.upto(0), "v1": v1}
"""Kernels to choose from, by name."""

PATCH_LEVELS: Mapping[str, Series] = {
    "before the series": v1.upto(0),
    "patch 1": v1.upto(1),
    **{f"patches 1 to {last}": v1.upto(last) for last in range(2, len(v1))},
    "v1: all patches": v1,
}
"""The series as it grows, by name."""

COSTS = (*(step * 10**power for power in (1, 2, 3) for step in (10, 15, 20, 30, 50, 70)), 100_000)
"""Costs of a call to choose from, in nanoseconds: 0.1 µs to 100 µs, in steps that look even on a logarithmic scale."""

NOBODY = "nobody"
TOUCHES = {"in order": "sequential", "downwards": "reverse", "at random": "random", "not at all": "none"}
HOSTS = {"1 GiB more": 1, "4 GiB more": 4, "8 GiB more": 8, "16 GiB more": 16, "64 GiB more": 64}
USUAL_HOST = "an eighth more and 4 GiB"
DEMANDS = {NOBODY: "", **{f"{rate} GiB/s": f"{rate} GiB/s" for rate in (1, 2, 3, 4, 8, 16)}}


def memory_sizes() -> list[int]:
    """Sizes of a guest to choose from: 1 GiB to 1 TiB in powers of two, as far as this computer's memory goes."""
    there = available_memory()
    sizes = [GIB << power for power in range(11)]
    return [size for size in sizes if _needed(size) <= there] or sizes[:1]


def _needed(guest: int) -> int:
    """What a run with that guest takes of this computer's memory, generously: records of pages, twice."""
    return 2 * ((guest * 9 // 8 + 4 * GIB) >> PAGE_SHIFT) + scenarios.ENGINE_MEMORY


_WIDE = {"width": "560px", "max_width": "100%"}
_STYLE = {"description_width": "190px"}


def slider(label: str, options: list[tuple[str, Any]], value: Any) -> ipywidgets.SelectionSlider:
    """A slider whose readout has units. While it is dragged, the browser sends a value when the last one is drawn."""
    return ipywidgets.SelectionSlider(
        options=options, value=value, description=label, style=_STYLE, layout=_WIDE, continuous_update=True
    )


def choice(label: str, options: Any, value: Any) -> ipywidgets.Dropdown:
    """A menu. None is no value for it: that would be nothing chosen."""
    return ipywidgets.Dropdown(options=options, value=value, description=label, style=_STYLE, layout=_WIDE)


def memory_slider(memory: int | str) -> ipywidgets.SelectionSlider:
    """The size of the guest, in powers of two.

    Raises
    ------
    ValueError
        If it is not one of the sizes.
    """
    sizes = memory_sizes()
    chosen = read_size(memory, "memory")
    if chosen not in sizes:
        accepted = f"use a power of two from {format_size(sizes[0])} to {format_size(sizes[-1])}"
        raise ValueError(f"memory={shown(memory)}: {accepted}, where this computer's memory ends")
    return slider("memory of the guest", [(format_size(size), size) for size in sizes], chosen)


def cost_slider(label: str, cost: int | str, name: str) -> ipywidgets.SelectionSlider:
    """What a step costs, on a logarithmic scale."""
    chosen = duration(cost, name)
    options = sorted({*COSTS, chosen})
    return slider(label, [(format_duration(ns), ns) for ns in options], chosen)


def share_slider(label: str, share: float) -> ipywidgets.SelectionSlider:
    """A share, in steps of a tenth."""
    chosen = round(read_share(share, "used") * 100)
    options = sorted({*range(10, 101, 10), chosen})
    return slider(label, [(f"{percent} %", percent / 100) for percent in options], chosen / 100)


def kernel_choice(kernels: Mapping[str, Series], kernel: str) -> ipywidgets.Dropdown:
    """A menu of kernels, beginning with that of a name."""
    return choice("kernel", list(kernels.items()), kernels[one_of(kernel, kernels, "kernel")])


def kernels_to_choose(kernels: Any) -> dict[str, Series]:
    """Kernels by name, at least one.

    Raises
    ------
    ValueError
        If these are no kernels by name, or none.
    """
    right = isinstance(kernels, Mapping) and all(isinstance(kernel, Series) for kernel in kernels.values())
    if not right or not kernels or not all(isinstance(name, str) for name in kernels):
        raise ValueError(f"kernels={shown(kernels)}: use a dict of kernels by name, such as {{'v1': ld.series.v1}}")
    return dict(kernels)


def checked(names: Iterable[str], known: Iterable[str], parameter: str) -> list[str]:
    """Names, each of which must be known.

    Raises
    ------
    ValueError
        If one is not known.
    """
    accepted = list(known)
    given = several(names, parameter, f"several of {', '.join(map(repr, accepted))}")
    for name in given:
        if not isinstance(name, str) or name not in accepted:
            wrong = f"{shown(name)} is not one of {', '.join(map(repr, accepted))}"
            raise ValueError(f"{parameter}={shown(list(given))}: {wrong}")
    return list(given)
