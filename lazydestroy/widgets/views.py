"""The pictures of the widgets: made once, drawn into again and again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import Any

import ipywidgets

from ..page import PAGE_SHIFT
from ..plots import (
    MapPanel,
    MemoryPanel,
    Picture,
    ScalingPanel,
    TimelinePanel,
    WaitingPanel,
    compared,
    comparison,
    describe,
    describe_map,
    describe_memory,
    describe_scaling,
    describe_waiting,
    downtimes,
    finding,
    in_common,
    kernel_name,
    map_finding,
    map_picture,
    memory_finding,
    run_end,
    scaling_finding,
    setting,
    styled,
    waiting_end,
    waiting_finding,
    waiting_height,
    waiting_picture,
    waiting_setting,
    words_html,
    write_name,
)
from ..plots.picture import HEAD, LANE
from ..plots.runs import AXIS, NAME
from ..plots.scaling import times_of
from ..run import Run
from ..series import Series, v1
from ..units import format_duration
from .controlled import Hear
from .controls import GIB, memory_sizes
from .image import PngImage


@dataclass(frozen=True, slots=True)
class Seen:
    """What the pictures are to show.

    Attributes
    ----------
    run : Run
    again : callable
        Makes the same run on another kernel.
    kernels : dict of str to Series
        What it is compared with.
    """

    run: Run
    again: Callable[[Series], Run]
    kernels: Mapping[str, Series]


class Compared:
    """Runs that others are compared with, such as the one before the series: each is made once, the last few are kept.

    So moving the patches at hand, or moving a slider back, leaves them as they are.
    """

    KEPT = 16

    def __init__(self) -> None:
        self._runs: list[Run] = []

    def on(self, kernel: Series, seen: Seen) -> Run:
        """The run that is seen, made on another kernel."""
        wanted = {**seen.run.parameters, "kernel": kernel}
        for run in (seen.run, *self._runs):
            if run.scenario == seen.run.scenario and run.parameters == wanted:
                return run
        made = seen.again(kernel)
        self._runs = [*self._runs, made][-self.KEPT :]
        return made


class View:
    """A picture in a widget of its own, with its words below.

    Attributes
    ----------
    box : ipywidgets.VBox
        All of it.
    timed : bool
        Whether it has a time axis.
    effort : int
        How long it takes to be drawn, about: those that take less come first.
    in_view : bool
        Whether it can be seen. The text of one that can't comes with the words: each text is a message of its own, and
        pictures go before.
    """

    timed = True
    effort = 2
    in_view = True

    def __init__(self, picture: Picture) -> None:
        self.picture = picture
        self.image = PngImage({"width": "100%", "max_width": "900px", "display": "none"})
        self.head = ipywidgets.HTML()
        self.words = ipywidgets.HTML()
        self._words: Callable[[], str] = str
        self._texts: dict[ipywidgets.HTML, str] = {}
        self.box = ipywidgets.VBox([self.head, self.image, self.words])

    def prepare(self, seen: Seen, hear: Hear) -> Any:
        """What takes long, done in a thread: touches no widget and no picture."""

    def lasts(self, seen: Seen, prepared: Any) -> int:
        """How many nanoseconds what is shown takes."""
        return run_end(seen.run)

    def show(self, seen: Seen, prepared: Any, end: int) -> None:
        """Draw, on a time axis that ends at `end` (nanoseconds) if there is one.

        Raises
        ------
        NotImplementedError
            In this base class.
        """
        raise NotImplementedError

    def publish(self, title: str, below: str, words: Callable[[], str]) -> None:
        """Let the browser have it: the title as text, which needs no drawing, and can be read out."""
        self.picture.say(title, below, "")
        self._words = words
        png = self.picture.quick(head=False)  # before the title is there, so that the page changes once for both
        self._texts[self.head] = (
            f'<div style="line-height: 1.35; min-height: 2.7em"><b style="font-size: 115%">{escape(title)}</b><br>'
            f'<span style="opacity: 0.75">{escape(below)}</span></div>'
        )
        if self.in_view:
            self.write()
        self.image.png = png
        self.image.layout.display = ""

    def tell(self) -> None:
        """Say in words what the picture shows: after all pictures, since it is folded."""
        self.write()
        self.picture.words = self._words()
        self.words.value = words_html(self.picture.words)

    def write(self) -> None:
        """Show the text that belongs to the picture."""
        for place, text in self._texts.items():
            place.value = text


class TimelineView(View):
    """Who does what."""

    LANES = 3

    def __init__(self) -> None:
        height = LANE * (self.LANES + 0.6)
        super().__init__(Picture(HEAD + height + AXIS))
        self.panel = TimelinePanel(self.picture.panel(HEAD, height))

    def show(self, seen: Seen, prepared: Any, end: int) -> None:
        """Draw the run."""
        self.panel.show(seen.run, end, self.LANES)
        self.publish(finding(seen.run), setting(seen.run), partial(describe, seen.run))


class BeforeAndAfterView(View):
    """Who does what before the series, and on the kernel at hand, one above the other on one time scale."""

    LANES = 3
    effort = 4

    def __init__(self) -> None:
        height = LANE * (self.LANES + 0.6)
        super().__init__(Picture(HEAD + 2 * (NAME + height) + AXIS))
        self.names, self.panels = [], []
        for place in range(2):
            top = HEAD + place * (NAME + height)
            self.names.append(write_name(self.picture, "", top + NAME * 0.75))
            self.panels.append(TimelinePanel(self.picture.panel(top + NAME, height), label=place == 1))
        self.picture.changes(*self.names)
        self._compared = Compared()

    def prepare(self, seen: Seen, hear: Hear) -> Run:
        """The run before the series."""
        return self._compared.on(v1.upto(0), seen)

    def lasts(self, seen: Seen, prepared: Run) -> int:
        """The longer of the two."""
        return max(run_end(seen.run), run_end(prepared))

    def show(self, seen: Seen, prepared: Run, end: int) -> None:
        """Draw both."""
        runs = (prepared, seen.run)
        for name, panel, run in zip(self.names, self.panels, runs, strict=True):
            name.set_text(kernel_name(run))
            panel.show(run, end, self.LANES)
        self.publish(comparison(runs), in_common(runs), partial(compared, runs))


class WaitingView(View):
    """How long the new guest waits on the first of several kernels, and on the one at hand."""

    def __init__(self) -> None:
        super().__init__(waiting_picture(2))
        self.panel = WaitingPanel(self.picture.panel(HEAD - 0.1, waiting_height(2)))
        self._compared = Compared()

    def prepare(self, seen: Seen, hear: Hear) -> dict[str, Run]:
        """The runs by name of their kernel: one, if the first kernel is at hand."""
        own = seen.run.parameters["kernel"]
        names = {kernel: name for name, kernel in seen.kernels.items()}
        first = next(iter(names), own)
        runs = {} if first == own else {names[first]: self._compared.on(first, seen)}
        return {**runs, names.get(own, kernel_name(seen.run)): seen.run}

    def lasts(self, seen: Seen, prepared: dict[str, Run]) -> int:
        """Until nobody waits and all is clean, on the slower kernel."""
        return max(map(waiting_end, prepared.values()))

    def show(self, seen: Seen, prepared: dict[str, Run], end: int) -> None:
        """Draw the runs."""
        self.panel.show(prepared, end)
        title = waiting_finding(list(prepared.values()))
        self.publish(title, waiting_setting(seen.run), partial(describe_waiting, prepared))


class MemoryView(View):
    """What memory is used for."""

    def __init__(self) -> None:
        super().__init__(Picture(HEAD + 2.3 + 1.0))
        self.panel = MemoryPanel(self.picture.panel(HEAD, 2.3))

    def show(self, seen: Seen, prepared: Any, end: int) -> None:
        """Draw the run."""
        self.panel.show(seen.run, end)
        said = memory_finding(seen.run)
        self.publish(said, setting(seen.run), lambda: f"{said}. {describe_memory(seen.run)}")


class MapView(View):
    """Who holds which page, at a moment that a slider chooses, or from moment to moment."""

    timed = False
    effort = 3

    STEPS = 60
    FIRST = STEPS // 3
    """Where the slider stands before it is moved: the picture says more there than at the start."""

    def __init__(self) -> None:
        super().__init__(map_picture())
        self.panel = MapPanel(self.picture)
        self.seen: Seen | None = None
        self.play = ipywidgets.Play(min=0, max=self.STEPS, value=0, interval=250, show_repeat=False)
        self.moment = ipywidgets.IntSlider(
            min=0,
            max=self.STEPS,
            value=self.FIRST,
            readout=False,
            description="virtual time",
            style={"description_width": "90px"},
            layout={"flex": "1 1 120px", "width": "auto"},
        )
        self.time = ipywidgets.HTML(layout={"flex": "0 0 auto"})
        # linked as soon as one of them is used, in the browser: that one sets the other then
        self._linked: Any = None
        self.play.observe(lambda _change: self._link(self.play, self.moment), "playing")
        self.moment.observe(lambda _change: self._link(self.moment, self.play), "value")
        self.moment.observe(lambda _change: self._move(), "value")
        bar = ipywidgets.HBox([self.play, self.moment, self.time])
        self.box.children = (self.head, self.image, bar, self.words)

    @property
    def time_ns(self) -> int:
        """The moment that is shown."""
        return run_end(self.seen.run) * int(self.moment.value) // self.STEPS if self.seen else 0

    def show(self, seen: Seen, prepared: Any, end: int) -> None:
        """Draw the moment that the slider says."""
        self.seen = seen
        self._draw()

    def _link(self, used: Any, other: Any) -> None:
        """Let the two say the same from now on: the first press plays from the start, or from a moment that was chosen.

        The kernel could not set it back when it is played: a browser drops what comes while it sends a value itself.
        """
        if self._linked is None:
            self._linked = ipywidgets.jslink((used, "value"), (other, "value"))

    def _move(self) -> None:
        with styled():
            self._draw()
        self.tell()

    def _draw(self) -> None:
        if self.seen is None:
            return
        run, moment = self.seen.run, self.time_ns
        self.panel.show(run, moment)
        of = f"{format_duration(moment) if moment else '0'}</b> of {format_duration(run_end(run))}"
        self._texts[self.time] = f'<span style="white-space: nowrap"><b>{of}</span>'
        self.publish(map_finding(run, moment), setting(run), partial(describe_map, run, moment))


class ScalingView(View):
    """Downtime against memory, with the present setting as a dot.

    Its scales stay while what is shown fits, and grow when it does not.
    """

    timed = False
    effort = 1
    SIZES = tuple(GIB << power for power in (0, 1, 2, 4, 6, 8))

    def __init__(self) -> None:
        super().__init__(Picture(HEAD + 3.2 + 0.65))
        self.panel = ScalingPanel(self.picture.panel(HEAD, 3.2))
        self.sizes = memory_sizes()
        self._times: tuple[int, int] | None = None

    def prepare(self, seen: Seen, hear: Hear) -> tuple[dict[Series, list[int | None]], list[int]]:
        """Downtimes of all kernels, for sizes as far as this computer's memory goes."""
        run = seen.run
        sizes = [size for size in self.SIZES if size <= self.sizes[-1]]
        scenario = "shutdown" if run.scenario == "shutdown" else "reboot"
        costs = run.parameters["costs"]
        kernels = dict.fromkeys(seen.kernels.values())
        return {kernel: downtimes(kernel, sizes, scenario=scenario, costs=costs) for kernel in kernels}, sizes

    def show(self, seen: Seen, prepared: tuple[dict[Series, list[int | None]], list[int]], end: int) -> None:
        """Draw the lines and the dot."""
        run, (lines, sizes) = seen.run, prepared
        memory, own = run.pages << PAGE_SHIFT, run.parameters["kernel"]
        told = lines, sizes
        if memory > sizes[-1]:  # a run that large is not made for the sake of a line: the one at hand makes it longer
            lines = {kernel: [*line, run.downtime_ns if kernel == own else None] for kernel, line in lines.items()}
            sizes = [*sizes, memory]
            if list(lines) == [own]:
                told = lines, sizes
        dot = (memory, run.downtime_ns) if run.downtime_ns else None
        self.panel.show(lines, sizes, dot, ((self.sizes[0], self.sizes[-1]), self._time_scale(lines, dot)))
        scenario = "shutdown" if run.scenario == "shutdown" else "reboot"
        below = f"{scenario}; diamond: the present setting; both scales are logarithmic"
        self.publish(scaling_finding(*told), below, partial(describe_scaling, *told))

    def _time_scale(self, lines: Mapping[Series, list[int | None]], dot: tuple[int, int] | None) -> tuple[int, int]:
        """The range of what is shown now and of what was shown before."""
        shortest, longest = times_of(lines, dot)
        if self._times:
            shortest, longest = min(shortest, self._times[0]), max(longest, self._times[1])
        self._times = shortest, longest
        return self._times


VIEWS: Mapping[str, Callable[[], View]] = {
    "timeline": TimelineView,
    "before and after": BeforeAndAfterView,
    "waiting": WaitingView,
    "map": MapView,
    "memory": MemoryView,
    "scaling": ScalingView,
}
"""The pictures to choose from, by name."""
