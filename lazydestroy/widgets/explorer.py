"""Controls to explore a reboot and a shutdown: move a slider, and the pictures follow."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from html import escape
from typing import Any

import ipywidgets

from .. import scenarios
from ..plots import finding, styled
from ..rounded import about_duration
from ..run import Run
from ..series import Series
from ..units import one_of
from .controlled import Controlled, Hear, Show
from .controls import (
    DEMANDS,
    HOSTS,
    KERNELS,
    TOUCHES,
    checked,
    choice,
    cost_slider,
    kernel_choice,
    kernels_to_choose,
    memory_slider,
)
from .running import simulate
from .views import VIEWS, Seen, View


class Explorer(Controlled):
    """Controls, and the pictures of the run that they describe.

    Attributes
    ----------
    controls : dict of str to ipywidgets.Widget
        By name; setting one's `value` runs and draws again.
    run : lazydestroy.Run or None
        What is shown.
    pictures : dict of str to Picture
        By name, those that are shown. They are drawn into again and again.
    message : str
        What is wrong with the setting; empty if nothing is.
    """

    def __init__(
        self,
        controls: Mapping[str, Any],
        shown: Iterable[str],
        pictures: Iterable[str],
        kernels: Mapping[str, Series],
        **fixed: Any,
    ) -> None:
        super().__init__(controls)
        self.run: Run | None = None
        self._simulate = partial(simulate, **fixed)
        self._kernels = dict(kernels)
        self._end = 0
        self._views: dict[str, View] = {name: VIEWS[name]() for name in checked(pictures, VIEWS, "pictures")}
        self.pictures = {name: view.picture for name, view in self._views.items()}
        self._times = ipywidgets.HTML()
        self._trouble = ipywidgets.HTML()
        self._code = ipywidgets.HTML()
        self.children = self._arranged([self.controls[name] for name in checked(shown, self.controls, "controls")])
        self._update()

    def _arranged(self, rows: list[ipywidgets.Widget]) -> list[ipywidgets.Widget]:
        """Everything in the order in which it is shown."""
        # what long work shows stands beside something else, so that its empty place parts no slider from its picture
        beside = ipywidgets.VBox(rows) if rows else self._times
        above = ipywidgets.HBox([beside, self.waiting])
        boxes = [view.box for view in self._views.values()]
        if rows:
            return [above, self._trouble, *boxes, self._times, self._code]
        return [self._trouble, *boxes, above, self._code]

    def _in_view(self, view: View) -> bool:
        """Whether a picture can be seen: those that can are drawn first."""
        return True

    def _compared_with(self, values: Mapping[str, Any]) -> Mapping[str, Series]:
        """The kernels that pictures compare the one at hand with."""
        return self._kernels

    def _parts(self, values: Mapping[str, Any], hear: Hear) -> Iterator[Show]:
        run = self._simulate(**values, film="map" in self._views, progress=hear)

        def again(kernel: Series) -> Run:
            return self._simulate(**{**values, "kernel": kernel}, film=False, progress=hear)

        seen = Seen(run, again, self._compared_with(values))
        yield lambda: self._show(run)
        # what has no time axis can be drawn before it is known how long that is to be
        prepared: dict[View, Any] = {}
        end = self._end
        views = sorted(self._views.values(), key=lambda view: (not self._in_view(view), view.timed, view.effort))
        timed = [view for view in views if view.timed]
        for view in views:
            for needed in timed if view.timed else [view]:
                if needed not in prepared:
                    prepared[needed] = needed.prepare(seen, hear)
            if view.timed:
                end = _steady_end(max(each.lasts(seen, prepared[each]) for each in timed), end)
            yield partial(self._draw, view, seen, prepared[view], end, values)
        yield partial(self._tell, run)

    def _show(self, run: Run) -> None:
        self._say("")
        self.run = run

    def _tell(self, run: Run) -> None:
        """Say in words and in code what has been drawn."""
        self._times.value = f'<div role="status" style="line-height: 1.4">{escape(_times(run))}</div>'
        call = escape(run.reproduce())
        self._code.value = (
            '<div style="white-space: nowrap; overflow-x: auto">The same in code: '
            f'<code style="user-select: all">{call}</code></div>'
        )
        for view in self._views.values():
            view.tell()

    def _draw(self, view: View, seen: Seen, prepared: Any, end: int, values: Mapping[str, Any]) -> None:
        self._end = end
        view.in_view = self._in_view(view)
        with styled():
            view.show(seen, prepared, end)
        self._is_shown(view.box, values)

    def _say(self, message: str) -> None:
        self.message = message
        before = "The pictures show the setting before." if self.run else ""
        shown = f"<b>{escape(self._sentence(message))}</b> {before}"
        frame = "border-left: 4px solid; padding-left: 8px; line-height: 1.4"
        self._trouble.value = f'<div role="alert" style="{frame}">{shown}</div>' if message else ""

    def _fail(self, error: Exception) -> None:
        """Say what is wrong. What was drawn before that stays, with its text."""
        for view in self._views.values():
            view.write()
        super()._fail(error)

    def _still(self) -> tuple[bytes, str]:
        """What stands for the widget where there is no kernel: a picture, and it in words."""
        picture = next(iter(self.pictures.values()))
        return picture.png(), picture.words

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """As a widget; where there is no kernel, as a picture."""
        data = super()._repr_mimebundle_(**options)
        data["text/plain"] = f"[controls, and a picture: {finding(self.run) if self.run else self.message}]"
        if self.run is None or not self.pictures:
            return data
        still, words = self._still()
        data["image/png"] = base64.b64encode(still).decode("ascii")
        return data, {"image/png": {"alt": words}}


def _times(run: Run) -> str:
    """The result in figures."""
    waits = "never ends" if run.downtime_ns is None else about_duration(run.downtime_ns)
    clean = "never all clean" if run.cleanup_ns is None else f"all clean after {about_duration(run.cleanup_ns)}"
    return f"Downtime {waits}, {clean}{', out of memory' if run.oom else ''}"


def _steady_end(ends: int, before: int) -> int:
    """Where the time axis ends: where it did, as long as that fits well, so that bars can be seen to grow."""
    if before / 8 <= ends <= before:
        return before
    steps = (step * 10**power // 10 for power in range(1, 20) for step in (10, 12, 15, 20, 25, 30, 40, 50, 60, 80))
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
    pictures : iterable of {"timeline", "before and after", "waiting", "map", "memory", "scaling"}

    Returns
    -------
    Explorer

    Raises
    ------
    ValueError
        If a value is not accepted.
    """
    kernels = kernels_to_choose(kernels)
    one_of(new_guest, scenarios.NEW_GUESTS, "new_guest")
    one_of(touch, TOUCHES.values(), "touch")
    made = {
        "memory": memory_slider(memory),
        "destroy": cost_slider("cost of one destroy", destroy, "destroy"),
        "kernel": kernel_choice(kernels, list(kernels)[-1] if kernel is None else kernel),
        "new_guest": choice("new guest", list(scenarios.NEW_GUESTS), new_guest),
        "touch": choice("it uses its memory", list(TOUCHES.items()), touch),
    }

    return Explorer(made, controls, pictures, kernels)


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
    kernels = kernels_to_choose(kernels)
    one_of(host, HOSTS, "host")
    one_of(demand, DEMANDS, "demand")
    made = {
        "memory": memory_slider(memory),
        "export": cost_slider("cost of one export", export, "export"),
        "destroy": cost_slider("cost of one destroy", destroy, "destroy"),
        "kernel": kernel_choice(kernels, list(kernels)[-1] if kernel is None else kernel),
        "host": choice("host, compared to the guest", list(HOSTS.items()), HOSTS[host]),
        "demand": choice("who asks for memory then?", list(DEMANDS.items()), DEMANDS[demand]),
    }

    return Explorer(made, controls, pictures, kernels, scenario="shutdown")
