"""The life of a guest, as a cycle: normal, with its image in memory, protected, reset, and normal again."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from .picture import GREY, PALETTE, WIDTH, Picture, styled

HEIGHT = 3.15

_TITLE = "Every guest starts as a normal one, and after a reset again"

_BELOW = "Above each box: how much of the guest's memory the host can read."

_STAGES = (
    ("the host reads all", "normal guest", "a boot loader runs", "free"),
    ("the host reads all,\nbut the image is encrypted", "normal guest", "the image is in memory", "free"),
    ("the host reads only\nwhat the guest shares", "protected guest A", "its own system runs", "guest"),
)
"""What the host can read, what runs, what it does, in which colour of the palette."""

_STEPS = (
    ("loads the image", "from disk or network"),
    ("asks to be protected", "the Ultravisor imports,\ndecrypts, verifies it"),
)

_RESET = "reset (KVM_PV_DISABLE): A loses its CPUs, and its pages must be cleaned; the guest is normal again"

_BOX, _TALL, _TOP = 1.95, 0.82, 1.22
"""Inches: width and height of a box, and its upper edge."""

_LEFTS = (0.1, 3.52, 6.94)


def plot_life_cycle() -> Picture:
    """The life of a protected guest: why it starts as a normal one, and what the host can read in each stage.

    Returns
    -------
    Picture
        Sources: Linux, Documentation/virt/kvm/s390/s390-pv-boot.rst (a normal boot loader, diagnose 0x308, a new start
        only by way of a normal guest); ``arch/s390/kvm/pv.c`` (the reset).
    """
    picture = Picture(HEIGHT)
    axes = picture.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(HEIGHT, 0))
    axes.set_axis_off()
    with styled():
        for left, stage in zip(_LEFTS, _STAGES, strict=True):
            _stage(axes, left, *stage)
        for left, right, (doing, who) in zip(_LEFTS, _LEFTS[1:], _STEPS, strict=False):
            _arrow(axes, (left + _BOX, _TOP + _TALL / 2), (right, _TOP + _TALL / 2))
            middle = (left + _BOX + right) / 2
            axes.text(middle, _TOP + _TALL / 2 - 0.1, doing, ha="center", va="bottom", fontsize=9)
            axes.text(middle, _TOP + _TALL / 2 + 0.1, who, ha="center", va="top", fontsize=8.5, color=GREY)
        _reset(axes)
    picture.say(_TITLE, _BELOW, _words())
    return picture


def _stage(axes: Axes, left: float, read: str, name: str, doing: str, look: str) -> None:
    """A box, and above it what the host can read."""
    box = FancyBboxPatch(
        (left, _TOP), _BOX, _TALL, boxstyle="round,pad=0,rounding_size=0.1", fc=PALETTE[look].colour, ec=GREY, lw=1.2
    )
    axes.add_patch(box)
    middle = left + _BOX / 2
    axes.text(middle, _TOP - 0.1, read, ha="center", va="bottom", fontsize=9.5, linespacing=1.1)
    axes.text(middle, _TOP + 0.3, name, ha="center", va="center", fontsize=11.5, fontweight="bold")
    axes.text(middle, _TOP + 0.57, doing, ha="center", va="center", fontsize=9.5)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axes.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=14, lw=1.6, color="#222222", shrinkB=1))


def _reset(axes: Axes) -> None:
    """The way back, under the boxes."""
    bottom, low = _TOP + _TALL, _TOP + _TALL + 0.62
    first, last = _LEFTS[0] + _BOX / 2, _LEFTS[2] + _BOX / 2
    axes.plot([last, last, first], [bottom, low, low], color=PALETTE["downtime"].colour, lw=2)
    axes.add_patch(
        FancyArrowPatch(
            (first, low), (first, bottom), arrowstyle="-|>", mutation_scale=14, lw=2, color=PALETTE["downtime"].colour
        )
    )
    axes.text((first + last) / 2, low + 0.12, _RESET, ha="center", va="top", fontsize=9.5)


def _words() -> str:
    told = [
        f"{number}. {name[0].upper()}{name[1:]}: {doing}; {' '.join(read.split())}."
        for number, (read, name, doing, _) in enumerate(_STAGES, 1)
    ]
    steps = [
        f"From {number} to {number + 1}: {doing}, {' '.join(who.split())}."
        for number, (doing, who) in enumerate(_STEPS, 1)
    ]
    return f"A cycle of three stages. {' '.join(told)} {' '.join(steps)} From 3 back to 1: {_RESET}."


__all__ = ["plot_life_cycle"]
