"""How long a new guest waits for the clean-up of the old one, in two rows a kernel: the first picture of the course."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes

from ..page import PAGE_SHIFT
from ..run import Run, expect_run, runs_of
from ..units import expect, format_size, several, shown, whole_number
from ..units import size as read_size
from ..uvcb import UVC
from .artists import box
from .fitting import width
from .panel import LATEST, Panel
from .picture import HEAD, LEFT, PALETTE, RIGHT, WIDTH, Look, Picture, styled
from .timeline import START, brightness, time_axis
from .words import kernel_name

ROW = 0.36
"""Inches for a row: the kernel's name, the guest, the clean-up."""

GAP = 0.12
"""Inches between two kernels."""

KERNELS = 50
"""Kernels that a picture has room for, at most."""

AXIS = 0.55
FONT = 10.5


class _Bar(NamedTuple):
    """Something that goes on from `start` to `end` (nanoseconds); `then` is its text after "then"."""

    start: int
    end: int
    look: Look
    text: str
    then: str = ""
    waits: bool = False


class WaitingPanel(Panel):
    """For each of several runs: when the new guest waits and runs, and when the old pages are cleaned.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        As high as `waiting_height` says.
    """

    def __init__(self, axes: Axes) -> None:
        super().__init__(axes)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)

    def show(self, runs: Mapping[str, Run], end: int) -> None:
        """Show runs by the name of their kernel, on a time axis that ends at `end` (nanoseconds)."""
        runs, self.end = _named(runs), whole_number(end, "end", 1, LATEST)
        self._drawn.clear()
        with styled():
            self._prepare(list(runs), START[next(iter(runs.values())).scenario])
            for place, run in enumerate(runs.values()):
                top = place * (3 * ROW + GAP)
                self._row(_guest(run, self.end), top + 1.5 * ROW)
                self._row(_clean_up(run), top + 2.5 * ROW)

    def _prepare(self, names: Sequence[str], since: str) -> None:
        """The time axis, the names, and the rows with nothing in them."""
        if not self._needs_ground(names, since, self.end):
            return
        time_axis(self.axes, self.end, since, label=True)
        self.axes.set_ylim(_rows_height(len(names)), 0)
        middles, labels = list[float](), list[str]()
        for place, name in enumerate(names):
            top = place * (3 * ROW + GAP)
            self._keep(
                self.axes.text(0, top + 0.55 * ROW, name, va="center", fontsize=12, fontweight="bold"),
                self.axes.axhspan(top + 1.04 * ROW, top + 1.96 * ROW, color="#F4F4F4", lw=0, zorder=0),
                self.axes.axhspan(top + 2.04 * ROW, top + 2.96 * ROW, color="#F4F4F4", lw=0, zorder=0),
            )
            middles += [top + 1.5 * ROW, top + 2.5 * ROW]
            labels += ["new guest", "clean-up"]
        self.axes.set_yticks(middles, labels)

    def _row(self, bars: Sequence[_Bar], middle: float) -> None:
        """Draw bars; what does not fit into its own is written into the next one, with a sign that points back."""
        before, per_ns = "", WIDTH * (RIGHT - LEFT) / (self.end * 1.01)
        for bar in bars:
            wide = (min(bar.end, self.end) - bar.start) * per_ns
            text = f"◂ {before}, then {bar.then or bar.text}" if before else bar.text
            fits = width(text, FONT) + 0.1 <= wide
            self._draw(bar, middle, text if fits else "", towards_left=bool(before))
            before = "" if fits else text.removeprefix("◂ ")
        if before and bars[-1].end * per_ns + width(f"◂ {before}", FONT) + 0.1 <= WIDTH * (RIGHT - LEFT):
            self._write(bars[-1].end + 0.006 * self.end, middle, f"◂ {before}", "black", "left")

    def _draw(self, bar: _Bar, middle: float, text: str, *, towards_left: bool) -> None:
        filled = "white" if bar.waits else bar.look.colour
        drawn = box(bar.start, middle - 0.36 * ROW, bar.end, middle + 0.36 * ROW)
        hatch = "////" if bar.waits else ""
        self._drawn.area(drawn, fc=filled, ec=bar.look.colour, hatch=hatch, lw=0.8, zorder=2)
        colour = "white" if brightness(bar.look.colour) < 0.2 and not bar.waits else "black"
        if text and towards_left:
            self._write(bar.start + 0.006 * self.end, middle, text, colour, "left", frame=bar.waits)
        elif text:
            self._write((bar.start + min(bar.end, self.end)) / 2, middle, text, colour, "center", frame=bar.waits)

    def _write(self, time: float, middle: float, text: str, colour: str, side: str, frame: bool = False) -> None:
        around = {"boxstyle": "square,pad=0.12", "fc": "white", "ec": "none"} if frame else None
        look = {"ha": side, "va": "center", "color": colour, "fontsize": FONT, "zorder": 4}
        self._drawn.text(time, middle, text, bbox=around, **look)


def _guest(run: Run, end: int) -> list[_Bar]:
    """The new guest waits, then runs."""
    look = PALETTE["guest"]
    if run.downtime_ns is None:
        return [_Bar(0, end, look, "never runs", waits=True)]
    waits = _Bar(0, run.downtime_ns, look, f"waits {brief(run.downtime_ns)}", waits=True)
    then = "runs" if run.booted else "starts, and fails"
    return [waits, _Bar(run.downtime_ns, max(end, run.downtime_ns), look, then)]


def _clean_up(run: Run) -> list[_Bar]:
    """Who cleans the old pages, and when."""
    first = run.cleanup_ns if run.downtime_ns is None else run.downtime_ns
    by_qemu = run.foreground[UVC.DESTR_SEC_STOR]
    if first is None:
        return []
    what = "all old pages" if by_qemu >= run.pages else format_size(by_qemu << PAGE_SHIFT)
    bars = [_Bar(0, first, PALETTE["QEMU"], f"QEMU cleans {what}")]
    if run.cleanup_ns is not None and run.cleanup_ns > first:
        rest, then = ("cleans the rest", "the rest") if by_qemu < run.pages else ("looks again", "looks again")
        look = PALETTE["clean-up thread"]
        bars.append(_Bar(first, run.cleanup_ns, look, f"a thread {rest}", f"a thread {then}"))
    return bars


def brief(ns: int) -> str:
    """A time for a title, with two or three digits: ``"25.5 s"``, ``"0.8 s"``, ``"13 ms"``."""
    seconds = ns / 10**9
    if seconds < 0.0995:
        return f"{seconds * 1000:.2g} ms"
    if seconds < 9.95:
        return f"{seconds:.2g} s"
    return f"{seconds:.3g} s" if seconds < 999.5 else f"{seconds:,.0f} s"


def waiting_end(run: Run) -> int:
    """When nobody waits any more and all is clean, in nanoseconds."""
    expect_run(run)
    return max(run.downtime_ns or 0, run.cleanup_ns or 0, 1)


def _rows_height(runs: int) -> float:
    return runs * 3 * ROW + (runs - 1) * GAP


def waiting_height(runs: int) -> float:
    """Inches of the rows of so many runs, without what is below.

    Raises
    ------
    ValueError
        If it is no number of runs that fit into a picture.
    """
    return _rows_height(whole_number(runs, "runs", 1, KERNELS))


def waiting_finding(runs: Sequence[Run]) -> str:
    """How long the new guest waits, in the first run and in the last."""
    runs = runs_of(runs)
    first, last = runs[0].downtime_ns, runs[-1].downtime_ns
    if last is None:
        return "The new guest never runs"
    if first is None or len(runs) == 1:
        return f"The new guest waits {brief(last)}"
    if brief(first) == brief(last):
        return f"The new guest waits {brief(last)} in both cases"
    return f"The new guest waits {brief(last)} instead of {brief(first)}"


def describe_waiting(runs: Mapping[str, Run]) -> str:
    """What the picture shows, for those who do not see it."""
    runs = _named(runs)
    told = [f"{waiting_finding(list(runs.values()))}."]
    for name, run in runs.items():
        bars = [("New guest", bar) for bar in _guest(run, waiting_end(run))[:1]]
        bars += [("Clean-up", bar) for bar in _clean_up(run)]
        parts = "; ".join(f"{row}: {bar.text}, until {brief(bar.end)}" for row, bar in bars)
        told.append(f"{name[:1].upper()}{name[1:]}. {parts}.")
    return " ".join(told)


def plot_waiting(*runs: Run, names: Sequence[str] | None = None) -> Picture:
    """How long the new guest waits for the clean-up in several reboots, one above the other on one time scale.

    Parameters
    ----------
    *runs : Run
        At least one.
    names : sequence of str, optional
        What to call each; default: its kernel.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If there is no run, one is not a single reboot, or there are not as many names as runs.
    """
    runs = runs_of(runs)
    for run in runs:
        if run.scenario != "reboot":
            raise ValueError(f"runs: a new guest waits in a reboot, and this is a {run.scenario}; use ld.reboot(...)")
    given = [kernel_name(run) for run in runs] if names is None else several(names, "names", _NAMES)
    for name in given:
        expect(str, name, "names", _NAMES)
    named = dict(zip(given, runs, strict=False))
    if len(named) != len(runs):
        raise ValueError(f"names={shown(names)}: give each of the {len(runs)} runs a name of its own")
    picture = waiting_picture(len(runs))
    WaitingPanel(picture.panel(HEAD - 0.1, waiting_height(len(runs)))).show(named, max(map(waiting_end, runs)) * 5 // 4)
    picture.say(waiting_finding(runs), waiting_setting(runs[-1]), describe_waiting(named))
    return picture


_NAMES = "several names, such as ('before', 'after'), or None"


def _named(runs: Mapping[str, Run]) -> Mapping[str, Run]:
    """Read runs by name."""
    accepted = "a dict of names and runs, such as {'before': ld.reboot('4 GiB')}"
    expect(Mapping, runs, "runs", accepted)
    for name in runs:
        expect(str, name, "runs", accepted)
    runs_of(tuple(runs.values()))
    return runs


def waiting_setting(run: Run) -> str:
    """What was rebooted."""
    expect_run(run)
    used = run.parameters["used"]
    share = "all of it used" if used == 1 else f"{used:.0%} of it used"
    memory = format_size(read_size(run.parameters["memory"]))
    return f"reboot of a guest with {memory}, {share}"


def waiting_picture(runs: int) -> Picture:
    """An empty picture for so many runs."""
    return Picture(HEAD - 0.1 + waiting_height(runs) + AXIS)
