"""Controls to explore a reboot and a shutdown in a notebook: move a slider, and the pictures follow.

`explore_reboot` and `explore_shutdown` return an `Explorer`, which is a widget and which Jupyter shows; where there is
no kernel, its picture. `drop_a_patch` returns a `PatchDropper`: a menu, and the shortest way to trouble. Nothing else
in the package imports ipywidgets.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from html import escape
from typing import Any

import ipywidgets

from . import scenarios
from .costs import Costs
from .limits import available_memory
from .page import PAGE_SHIFT
from .plots import (
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
from .plots.picture import HEAD, LANE
from .run import Run
from .series import BUGS, Series, Verdict, check, v1, v1_fixed
from .units import duration, exact_duration, exact_size, format_duration, format_size
from .units import size as read_size

__all__ = [
    "KERNELS",
    "Explorer",
    "PatchDropper",
    "drop_a_patch",
    "explore_reboot",
    "explore_shutdown",
    "memory_sizes",
]

GIB = 1 << 30

KERNELS: Mapping[str, Series] = {"before the series": v1.upto(0), "v1": v1}
"""Kernels to choose from, by name."""

COSTS = (*(step * 10**power for power in (1, 2, 3) for step in (10, 15, 20, 30, 50, 70)), 100_000)
"""Costs of a call to choose from, in nanoseconds: 0.1 µs to 100 µs, in steps that look even on a logarithmic scale."""

TOUCHES = {"in order": "sequential", "downwards": "reverse", "at random": "random", "not at all": "none"}
HOSTS = {"1 GiB more": 1, "4 GiB more": 4, "8 GiB more": 8, "16 GiB more": 16, "64 GiB more": 64}
DEMANDS = {"nobody": None, **{f"{rate} GiB/s": f"{rate} GiB/s" for rate in (1, 2, 3, 4, 8, 16)}}

PATIENCE = 0.3
"""Seconds after which a run shows how far it is."""


def memory_sizes() -> list[int]:
    """Sizes of a guest to choose from: 1 GiB to 1 TiB in powers of two, as far as this computer's memory goes."""
    there = available_memory()
    sizes = [GIB << power for power in range(11)]
    return [size for size in sizes if _needed(size) <= there] or sizes[:1]


def _needed(guest: int) -> int:
    """What a run with that guest takes of this computer's memory, generously: records of pages, twice."""
    return 2 * ((guest * 9 // 8 + 4 * GIB) >> PAGE_SHIFT) + scenarios.ENGINE_MEMORY


class Explorer(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets is not typed
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
        self.controls = dict(controls)
        self.run: Run | None = None
        self.message = ""
        self._simulate, self._kernels = simulate, dict(kernels)
        self._held, self._end, self._began = False, 0, 0.0
        self._views = {name: _VIEWS[name]() for name in pictures}
        self.pictures = {name: view.picture for name, view in self._views.items()}
        self._times = ipywidgets.HTML()
        self._trouble = ipywidgets.HTML()
        self._progress = ipywidgets.FloatProgress(
            min=0, max=1, description="computing", layout={"visibility": "hidden"}
        )
        self._code = ipywidgets.HTML()
        rows = [self.controls[name] for name in _checked(shown, self.controls, "controls")]
        for control in self.controls.values():
            control.observe(self._changed, "value")
        images = [view.image for view in self._views.values()]
        words = [view.words for view in self._views.values()]
        both = [part for pair in zip(images, words, strict=True) for part in pair]
        super().__init__([*rows, self._progress, self._times, self._trouble, *both, self._code])
        self.layout.max_width = "920px"
        self._update()

    @property
    def values(self) -> dict[str, Any]:
        """The setting, by name of the control."""
        return {name: control.value for name, control in self.controls.items()}

    def set(self, **values: Any) -> None:
        """Set several controls, and run and draw once."""
        with self._hold():
            for name, value in values.items():
                self.controls[name].value = value
        self._update()

    @contextmanager
    def _hold(self) -> Iterator[None]:
        self._held = True
        try:
            yield
        finally:
            self._held = False

    def _changed(self, _change: Any) -> None:
        if not self._held:
            self._update()

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


# The controls

_WIDE = {"width": "560px", "max_width": "100%"}
_STYLE = {"description_width": "190px"}


def _slider(label: str, options: list[tuple[str, int]], value: int) -> ipywidgets.SelectionSlider:
    """A slider whose readout has units. While it is dragged, the browser sends a value when the last one is drawn."""
    return ipywidgets.SelectionSlider(
        options=options, value=value, description=label, style=_STYLE, layout=_WIDE, continuous_update=True
    )


def _choice(label: str, options: Any, value: Any) -> ipywidgets.Dropdown:
    return ipywidgets.Dropdown(options=options, value=value, description=label, style=_STYLE, layout=_WIDE)


def _memory_slider(memory: int | str) -> ipywidgets.SelectionSlider:
    sizes = memory_sizes()
    chosen = read_size(memory, "memory")
    if chosen not in sizes:
        accepted = f"use a power of two from {format_size(sizes[0])} to {format_size(sizes[-1])}"
        raise ValueError(f"memory={memory!r}: {accepted}, where this computer's memory ends")
    return _slider("memory of the guest", [(format_size(size), size) for size in sizes], chosen)


def _cost_slider(label: str, cost: int | str, name: str) -> ipywidgets.SelectionSlider:
    chosen = duration(cost, name)
    options = sorted({*COSTS, chosen})
    return _slider(label, [(format_duration(ns), ns) for ns in options], chosen)


def _kernel_choice(kernels: Mapping[str, Series], kernel: str) -> ipywidgets.Dropdown:
    if kernel not in kernels:
        raise ValueError(f"kernel={kernel!r}: use one of {', '.join(map(repr, kernels))}")
    return _choice("kernel", list(kernels.items()), kernels[kernel])


def _checked(names: Iterable[str], known: Iterable[str], parameter: str) -> list[str]:
    given, accepted = list(names), list(known)
    for name in given:
        if name not in accepted:
            raise ValueError(f"{parameter}={given!r}: {name!r} is not one of {', '.join(map(repr, accepted))}")
    return given


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
        "memory": _memory_slider(memory),
        "destroy": _cost_slider("cost of one destroy", destroy, "destroy"),
        "kernel": _kernel_choice(kernels, kernel or list(kernels)[-1]),
        "new_guest": _choice("new guest", list(scenarios.NEW_GUESTS), new_guest),
        "touch": _choice("it uses its memory", list(TOUCHES.items()), touch),
    }

    def simulate(*, destroy: int, progress: Any, **inputs: Any) -> Run:
        return scenarios.reboot(costs=_costs(destroy=destroy), progress=progress, **_spelled(inputs))

    return Explorer(made, controls, simulate, _checked(pictures, _VIEWS, "pictures"), kernels)


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
    _checked([host], HOSTS, "host")
    _checked([demand], DEMANDS, "demand")
    made = {
        "memory": _memory_slider(memory),
        "export": _cost_slider("cost of one export", export, "export"),
        "destroy": _cost_slider("cost of one destroy", destroy, "destroy"),
        "kernel": _kernel_choice(kernels, kernel or list(kernels)[-1]),
        "host": _choice("host, compared to the guest", list(HOSTS.items()), HOSTS[host]),
        "demand": _choice("who asks for memory then?", list(DEMANDS.items()), DEMANDS[demand]),
    }

    def simulate(*, export: int, destroy: int, memory: int, host: int, progress: Any, **inputs: Any) -> Run:
        costs = _costs(export=export, destroy=destroy)
        whole = exact_size(memory + host * GIB)
        return scenarios.shutdown(
            exact_size(memory), host_memory=whole, costs=costs, progress=progress, **_spelled(inputs)
        )

    return Explorer(made, controls, simulate, _checked(pictures, _VIEWS, "pictures"), kernels)


def _costs(**costs: int) -> Costs | None:
    """Costs that differ from the defaults in those given; None if none differs, so that the code stays short."""
    changed = Costs(**{name: exact_duration(ns) for name, ns in costs.items()})
    return None if changed == Costs() else changed


def _spelled(inputs: dict[str, Any]) -> dict[str, Any]:
    """Inputs of a scenario as people write them."""
    memory = inputs.get("memory")
    return inputs if memory is None else {**inputs, "memory": exact_size(memory)}


# Drop a patch


def _dropped() -> dict[str, tuple[Series, dict[str, Any]]]:
    """What can be left out, and the kernel and the bounds with which the search is to look for the consequences."""
    quick: dict[str, Any] = {"failures": ()}
    kernels: dict[str, tuple[Series, dict[str, Any]]] = {"nothing": (v1_fixed, quick)}
    for numbers in ((3,), (4,), (6,), (7, 11)):
        titles = ", ".join(f"{number} · {v1[number].title}" for number in numbers)
        kernels[f"patch {titles}"] = (v1_fixed.without(*numbers), quick)
    for bug in BUGS:
        kernels[f"the fix of a bug of version 1: {bug.name}"] = (bug.kernel, bug.bounds)
    return kernels


class PatchDropper(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets is not typed
    """A menu of what to leave out, and the shortest way to trouble that a search then finds.

    Attributes
    ----------
    menu : ipywidgets.Dropdown
        Setting its `value` searches and draws again.
    verdict : lazydestroy.series.Verdict or None
        What is shown: what was found for the present choice, or for the one before if that could not be searched.
    """

    def __init__(self, leave_out: str) -> None:
        self._choices = _dropped()
        if leave_out not in self._choices:
            raise ValueError(f"leave_out={leave_out!r}: use one of {', '.join(map(repr, self._choices))}")
        self.verdict: Verdict | None = None
        self._found: dict[str, Verdict] = {}
        self._began = 0.0
        self.menu = ipywidgets.Dropdown(
            options=list(self._choices), value=leave_out, description="leave out", layout={"width": "36em"}
        )
        self._state = ipywidgets.HTML()
        self._image = ipywidgets.Image(format="png", layout={"width": "100%"})
        self._words = ipywidgets.HTML()
        self._code = ipywidgets.HTML()
        self.menu.observe(lambda _change: self._update(), "value")
        super().__init__([self.menu, self._state, self._image, self._words, self._code])
        self.layout.max_width = "920px"
        self._update()

    def _update(self) -> None:
        """Search, unless that has been done before, and show what was found."""
        chosen = self.menu.value
        kernel, bounds = self._choices[chosen]
        if chosen not in self._found:
            self._began = time.perf_counter()
            try:
                self._found[chosen] = check(kernel, progress=self._show_progress, **bounds)
            except (ValueError, MemoryError) as error:
                self._fail(f"This does not work: {str(error).rstrip('.') or 'memory does not suffice'}.")
                return
            except KeyboardInterrupt:
                self._fail("Stopped.")
                return
        self.verdict = self._found[chosen]
        self._show(self.verdict)

    def _fail(self, words: str) -> None:
        """Say why there is nothing new to see; what was shown before stays."""
        shown = f" Below is what was found for {self.verdict.kernel!r}." if self.verdict else ""
        self._say(words + shown)

    def _show_progress(self, states: int) -> None:
        now = time.perf_counter()
        if now - self._began > PATIENCE:
            self._began = now
            self._say(f"Searching. States seen: {states:,}")

    def _say(self, words: str) -> None:
        large = "font-size: 120%; font-weight: 600; line-height: 1.4"
        self._state.value = f'<div role="status" style="{large}">{escape(words)}</div>'

    def _show(self, verdict: Verdict) -> None:
        arguments = "".join(f", {name}={value!r}" for name, value in self._choices[self.menu.value][1].items())
        call = f"ld.series.check({verdict.kernel!r}{arguments})"
        self._code.value = f"<div>The same in code: <code>{escape(call)}</code></div>"
        if verdict.trace is None:
            self._say(f"Nothing breaks: all {verdict.states:,} states have been seen.")
            self._image.layout.display = "none"
            self._words.value = ""
            return
        self._say(f"It breaks. The search saw {verdict.states:,} states to find the shortest way:")
        picture = verdict.plot()
        self._image.value = picture.quick_png()
        self._image.layout.display = ""
        self._words.value = words_html(picture.words)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """As a widget; where there is no kernel, as the picture of the first choice."""
        data = super()._repr_mimebundle_(**options)
        data["text/plain"] = f"[a menu, and a picture: leave out {self.menu.value}]"
        if self.verdict is None or self.verdict.trace is None:
            return data
        picture = self.verdict.plot()
        data["image/png"] = base64.b64encode(picture.png()).decode("ascii")
        return data, {"image/png": {"alt": picture.words}}


def drop_a_patch(leave_out: str = "patch 3 · handle secure storage violations for protected guests") -> PatchDropper:
    """Choose a patch to leave out, and see the shortest way to trouble.

    Parameters
    ----------
    leave_out : str
        What is left out at first; the menu has the others.

    Returns
    -------
    PatchDropper

    Raises
    ------
    ValueError
        If the menu has no such choice.
    """
    return PatchDropper(leave_out)
