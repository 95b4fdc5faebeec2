"""Controls to explore a reboot and a shutdown: move a slider, and the pictures follow."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterable, Mapping
from html import escape
from typing import Any

import ipywidgets

from .. import scenarios
from ..costs import Costs
from ..page import PAGE_SHIFT
from ..plots import (
    MemoryPanel,
    Picture,
    ScalingPanel,
    TimelinePanel,
    describe,
    describe_scaling,
    downtimes,
    finding,
    memory_finding,
    run_end,
    scaling_finding,
    setting,
    words_html,
)
from ..plots.picture import HEAD, LANE
from ..run import Run
from ..series import Series
from ..units import exact_duration, exact_size, format_duration
from .controls import (
    DEMANDS,
    GIB,
    HOSTS,
    KERNELS,
    PATIENCE,
    TOUCHES,
    Controlled,
    checked,
    choice,
    cost_slider,
    kernel_choice,
    memory_sizes,
    memory_slider,
)


class Explorer(Controlled):
    """Controls, and the pictures of the run that they describe.

    Attributes
    ----------
    controls : dict of str to ipywidgets.Widget
        By name; setting one's `value` runs and draws again.
    run : lazydestroy.Run or None
        What is shown.
    pictures : dict of str to Picture
        "timeline", "memory", "scaling": those that are shown. They are drawn into again and again.
    message : str
        What is wrong with the setting; empty if nothing is.
    """

    def __init__(
        self,
        controls: Mapping[str, Any],
        shown: Iterable[str],
        simulate: Callable[..., Run],
        pictures: Iterable[str],
        kernels: Mapping[str, Series],
    ) -> None:
        self.run: Run | None = None
        self.message = ""
        self._simulate, self._kernels = simulate, dict(kernels)
        self._end, self._began = 0, 0.0
        self._views = {name: _VIEWS[name]() for name in pictures}
        self.pictures = {name: view.picture for name, view in self._views.items()}
        self._times = ipywidgets.HTML()
        self._trouble = ipywidgets.HTML()
        self._progress = ipywidgets.FloatProgress(
            min=0, max=1, description="computing", layout={"visibility": "hidden"}
        )
        self._code = ipywidgets.HTML()
        rows = [controls[name] for name in checked(shown, controls, "controls")]
        images = [view.image for view in self._views.values()]
        words = [view.words for view in self._views.values()]
        both = [part for pair in zip(images, words, strict=True) for part in pair]
        super().__init__(controls, [*rows, self._progress, self._times, self._trouble, *both, self._code])
        self._update()

    @property
    def values(self) -> dict[str, Any]:
        """The setting, by name of the control."""
        return {name: control.value for name, control in self.controls.items()}

    def _update(self) -> None:
        """Run what the controls say and show it. What cannot be run is said in words, and the last run stays."""
        self._began = time.perf_counter()
        try:
            run = self._simulate(**self.values, progress=self._show_progress)
            self._say("")
            self._show(run)
        except (ValueError, MemoryError) as error:
            self._say(str(error) or "this computer's memory does not suffice")
        except KeyboardInterrupt:
            self._say("Stopped.")
        finally:
            self._progress.layout.visibility = "hidden"

    def _show_progress(self, share: float) -> None:
        if time.perf_counter() - self._began > PATIENCE:
            self._progress.value = share
            self._progress.layout.visibility = "visible"

    def _say(self, message: str) -> None:
        self.message = message
        before = "The pictures show the setting before." if self.run else ""
        shown = f"<b>This does not work:</b> {escape(message.rstrip('.'))}. {before}"
        frame = "border-left: 4px solid; padding-left: 8px; line-height: 1.4"
        self._trouble.value = f'<div role="alert" style="{frame}">{shown}</div>' if message else ""

    def _show(self, run: Run) -> None:
        self.run = run
        self._end = _steady_end(run, self._end)
        large = "font-size: 120%; font-weight: 600; line-height: 1.4"
        self._times.value = f'<div role="status" style="{large}">{escape(_times(run))}</div>'
        self._code.value = f"<div>The same in code: <code>{escape(run.reproduce())}</code></div>"
        for view in self._views.values():
            view.show(run, self._end, self._kernels)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """As a widget; where there is no kernel, as the first picture."""
        data = super()._repr_mimebundle_(**options)
        data["text/plain"] = f"[controls, and a picture: {finding(self.run) if self.run else self.message}]"
        if self.run is None or not self.pictures:
            return data
        picture = next(iter(self.pictures.values()))
        data["image/png"] = base64.b64encode(picture.png()).decode("ascii")
        return data, {"image/png": {"alt": picture.words}}


class _View:
    """A picture in a widget of its own, with its words below."""

    def __init__(self, height: float) -> None:
        self.picture = Picture(height)
        self.image = ipywidgets.Image(format="png", layout={"width": "100%", "max_width": "900px", "display": "none"})
        self.words = ipywidgets.HTML()

    def publish(self, title: str, below: str, words: str) -> None:
        """Let the browser have it."""
        self.picture.say(title, below, words)
        self.image.value = self.picture.quick_png()
        self.image.layout.display = None
        self.words.value = words_html(words)


class _TimelineView(_View):
    """Who does what."""

    LANES = 3

    def __init__(self) -> None:
        height = LANE * (self.LANES + 0.6)
        super().__init__(HEAD + height + 0.55)
        self.panel = TimelinePanel(self.picture.panel(HEAD, height))

    def show(self, run: Run, end: int, kernels: Mapping[str, Series]) -> None:
        self.panel.show(run, end, self.LANES)
        self.publish(finding(run), setting(run), describe(run))


class _MemoryView(_View):
    """What memory is used for."""

    def __init__(self) -> None:
        super().__init__(HEAD + 2.3 + 1.0)
        self.panel = MemoryPanel(self.picture.panel(HEAD, 2.3))

    def show(self, run: Run, end: int, kernels: Mapping[str, Series]) -> None:
        self.panel.show(run, end)
        self.publish(memory_finding(run), setting(run), describe(run))


class _ScalingView(_View):
    """Downtime against memory, with the present setting as a dot."""

    SIZES = tuple(GIB << power for power in (0, 1, 2, 4, 6, 8))
    TIMES = (10**7, 6 * 10**13)

    def __init__(self) -> None:
        super().__init__(HEAD + 3.2 + 0.65)
        self.panel = ScalingPanel(self.picture.panel(HEAD, 3.2))
        self.sizes = memory_sizes()

    def show(self, run: Run, end: int, kernels: Mapping[str, Series]) -> None:
        costs, memory = run.parameters["costs"], run.pages << PAGE_SHIFT
        sizes = [size for size in self.SIZES if size <= self.sizes[-1]]
        lines = {kernel: downtimes(kernel, sizes, scenario=run.scenario, costs=costs) for kernel in kernels.values()}
        title, words = scaling_finding(lines, sizes), describe_scaling(lines, sizes)
        if memory > sizes[-1]:  # a run that large is not made for the sake of a line: the one at hand makes it longer
            own = run.parameters["kernel"]
            lines = {kernel: [*line, run.downtime_ns if kernel == own else None] for kernel, line in lines.items()}
            sizes.append(memory)
        dot = (memory, run.downtime_ns) if run.downtime_ns else None
        self.panel.show(lines, sizes, dot, ((self.sizes[0], self.sizes[-1]), self.TIMES))
        self.publish(title, f"{run.scenario}; diamond: the present setting; both scales are logarithmic", words)


_VIEWS: Mapping[str, type[Any]] = {"timeline": _TimelineView, "memory": _MemoryView, "scaling": _ScalingView}


def _times(run: Run) -> str:
    """The result in figures."""
    waits = "never ends" if run.downtime_ns is None else format_duration(run.downtime_ns)
    clean = "never all clean" if run.cleanup_ns is None else f"all clean after {format_duration(run.cleanup_ns)}"
    return f"Downtime {waits}, {clean}{', out of memory' if run.oom else ''}"


def _steady_end(run: Run, before: int) -> int:
    """Where the time axis ends: where it did, as long as the run fits well, so that bars can be seen to grow."""
    ends = run_end(run)
    if before / 12 <= ends <= before:
        return before
    steps = (step * 10**power // 10 for power in range(1, 20) for step in (10, 15, 20, 30, 40, 50, 60, 80))
    return next(step for step in steps if step >= 2.1 * ends)


def explore_reboot(
    *,
    memory: int | str = "64 GiB",
    destroy: int | str = "1.5 us",
    kernel: str | None = None,
    new_guest: str = "protected",
    touch: str = "sequential",
    kernels: Mapping[str, Series] = KERNELS,
    controls: Iterable[str] = ("memory", "destroy", "kernel", "new_guest", "touch"),
    pictures: Iterable[str] = ("timeline", "scaling"),
) -> Explorer:
    """Controls and pictures of a reboot.

    Parameters
    ----------
    memory : int or str
        To begin with: a power of two of GiB.
    destroy : int or str
        Cost of a destroy, to begin with.
    kernel : str, optional
        One of `kernels` to begin with; default: the last.
    new_guest : {"protected", "normal"}
    touch : {"sequential", "reverse", "random", "none"}
    kernels : dict of str to Series
        To choose from; the "scaling" picture has a line for each.
    controls : iterable of str
        Which controls are shown; the others stay as they begin.
    pictures : iterable of {"timeline", "memory", "scaling"}

    Returns
    -------
    Explorer

    Raises
    ------
    ValueError
        If a value is not accepted.
    """
    made = {
        "memory": memory_slider(memory),
        "destroy": cost_slider("cost of one destroy", destroy, "destroy"),
        "kernel": kernel_choice(kernels, kernel or list(kernels)[-1]),
        "new_guest": choice("new guest", list(scenarios.NEW_GUESTS), new_guest),
        "touch": choice("it uses its memory", list(TOUCHES.items()), touch),
    }

    def simulate(*, destroy: int, progress: Any, **inputs: Any) -> Run:
        return scenarios.reboot(costs=_costs(destroy=destroy), progress=progress, **_spelled(inputs))

    return Explorer(made, controls, simulate, checked(pictures, _VIEWS, "pictures"), kernels)


def explore_shutdown(
    *,
    memory: int | str = "64 GiB",
    export: int | str = "3 us",
    destroy: int | str = "1.5 us",
    kernel: str | None = None,
    host: str = "8 GiB more",
    demand: str = "nobody",
    kernels: Mapping[str, Series] = KERNELS,
    controls: Iterable[str] = ("memory", "export", "destroy", "kernel", "host", "demand"),
    pictures: Iterable[str] = ("timeline", "memory"),
) -> Explorer:
    """Controls and pictures of a shutdown.

    Parameters
    ----------
    memory, kernel, kernels, controls, pictures
        As for `explore_reboot`.
    export, destroy : int or str
        Costs, to begin with.
    host : str
        How much more memory the host has than the guest: one of `HOSTS`.
    demand : str
        How fast another process allocates memory afterwards: one of `DEMANDS`.

    Returns
    -------
    Explorer

    Raises
    ------
    ValueError
        If a value is not accepted.
    """
    checked([host], HOSTS, "host")
    checked([demand], DEMANDS, "demand")
    made = {
        "memory": memory_slider(memory),
        "export": cost_slider("cost of one export", export, "export"),
        "destroy": cost_slider("cost of one destroy", destroy, "destroy"),
        "kernel": kernel_choice(kernels, kernel or list(kernels)[-1]),
        "host": choice("host, compared to the guest", list(HOSTS.items()), HOSTS[host]),
        "demand": choice("who asks for memory then?", list(DEMANDS.items()), DEMANDS[demand]),
    }

    def simulate(*, export: int, destroy: int, memory: int, host: int, progress: Any, **inputs: Any) -> Run:
        costs = _costs(export=export, destroy=destroy)
        whole = exact_size(memory + host * GIB)
        return scenarios.shutdown(
            exact_size(memory), host_memory=whole, costs=costs, progress=progress, **_spelled(inputs)
        )

    return Explorer(made, controls, simulate, checked(pictures, _VIEWS, "pictures"), kernels)


def _costs(**costs: int) -> Costs | None:
    """Costs that differ from the defaults in those given; None if none differs, so that the code stays short."""
    changed = Costs(**{name: exact_duration(ns) for name, ns in costs.items()})
    return None if changed == Costs() else changed


def _spelled(inputs: dict[str, Any]) -> dict[str, Any]:
    """Inputs of a scenario as people write them."""
    memory = inputs.get("memory")
    return inputs if memory is None else {**inputs, "memory": exact_size(memory)}
