"""What the widgets here have in common: controls that are followed, without a queue and without standing still."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from html import escape
from typing import Any, Protocol

import ipywidgets

from ..series import Series
from ..units import plain, shown
from .folded import LIVE, hides_text, show_still

PATIENCE = 0.3
"""Seconds after which work shows how far it is, and may be given up for something newer."""

Show = Callable[[], None]
"""Shows something that has been computed."""


class Hear(Protocol):
    """Called by work now and then, with the share of it that is done. Raises `Stopped` if it is to stop."""

    def __call__(self, share: float, words: str = "", /) -> None:
        """So much is done."""


STOPPED = "Stopped."
"""What is said then."""


class Stopped(Exception):  # nothing has gone wrong
    """Nobody wants the result any more."""


KEEPS_KEYS = "lazydestroy"
"""Class of widgets whose keys are their own."""

STALE = "lazydestroy-stale"
"""Class of parts that show another setting than the controls say."""

_STALE_LOOK = f"<style>.{STALE} {{ opacity: 0.4; filter: grayscale(1); }}</style>"

_KEYS_SCRIPT = f"""
if (!window.lazydestroyKeepsKeys) {{
    window.lazydestroyKeepsKeys = true;
    const keys = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown", "Enter", " "];
    window.addEventListener("keydown", event => {{
        const at = event.target;
        if (!(at instanceof Element) || !at.closest(".{KEEPS_KEYS}")) return;
        const choices = at.type === "radio" && !at.name && at.closest(".widget-radio-box");
        if (choices) {{
            const name = `lazydestroy-${{Math.random()}}`;
            for (const radio of choices.querySelectorAll("input[type=radio]")) radio.name = name;
        }}
        const plain = !(event.ctrlKey || event.shiftKey || event.altKey || event.metaKey);
        at.toggleAttribute("data-lm-suppress-shortcuts", plain && keys.includes(event.key));
    }}, true);
}}
"""


def keeps_keys() -> ipywidgets.Output:
    """A part without a size that lets a widget have its own keys.

    In JupyterLab an arrow key moves a slider or a menu, and then from cell to cell as well, or folds what is below a
    heading. The attribute that its shortcuts stop at must be on the very element that has the focus.

    ipywidgets' radio buttons have no name, and browsers take all that have none for one group: an arrow key at the end
    of a question would answer the question before or after it. So the buttons of a question get a name of their own.
    """
    script = {
        "output_type": "display_data",
        "data": {"application/javascript": _KEYS_SCRIPT, "text/plain": ""},
        "metadata": {},
    }
    return ipywidgets.Output(
        outputs=(script,), layout={"width": "0", "height": "0", "margin": "0", "overflow": "hidden"}
    )


async def _in_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a thread of its own, and wait for what it returns."""
    return await _begun(function, *arguments)


def _begun(function: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
    """Begin to call a function in a thread of its own; the future has what it returns.

    Where no thread can be started, or one is run to its end as soon as it is started, as in a browser's Python, the
    call is over before anything else happens. (`asyncio.to_thread` would wait forever there.)
    """
    loop, context = asyncio.get_running_loop(), contextvars.copy_context()
    future: asyncio.Future[Any] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        if future.done():  # no one is left waiting
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def work() -> None:
        result = error = None
        try:
            result = context.run(function, *arguments)
        except BaseException as raised:
            error = raised
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, result, error)

    try:
        thread = threading.Thread(target=work, name="lazydestroy", daemon=True)
        thread.start()
    except RuntimeError:  # can't start new thread
        work()
    return future


IN_A_BROWSER = sys.platform == "emscripten"
"""Whether this is a browser's Python: there are no threads in it, so work runs on the event loop itself."""


def _let_others_act() -> None:
    """Suspend work that runs on the event loop itself, and go on with it when what has come up meanwhile is done.

    A browser that cannot suspend WebAssembly just goes on: then Cancel is seen when a part of the work is done.
    """
    from pyodide.ffi import can_run_sync, run_sync  # only a browser's Python has it

    if can_run_sync():
        run_sync(asyncio.sleep(0))


def _listed(words: Iterable[str]) -> str:
    return ", ".join(map(repr, words))


class Controlled(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets is not typed
    """Controls, and what is shown for what they say; base of the widgets here.

    A control that is moved in a browser is followed in a thread, so that the next move is seen at once: the work for a
    setting that is no longer wanted is left undone, or given up when it has taken more than `PATIENCE`, and the last
    setting always ends up on the screen. `set`, and controls moved by code where no event loop runs, wait for it.
    What still shows another setting after `PATIENCE`, or because the work failed, is grey.

    Attributes
    ----------
    controls : dict of str to ipywidgets.Widget
        By name; setting one's `value` updates what is shown.
    message : str
        What is wrong with the setting; empty if nothing is.
    waiting : ipywidgets.HBox
        How far long work is, and a button to stop it. It keeps its place when there is nothing to show.
    """

    def __init__(self, controls: Mapping[str, Any]) -> None:
        self.controls = dict(controls)
        self.message = ""
        self._held = False
        self._newest = self._done = self._given_up = 0
        self._began = 0.0
        self._halt = threading.Event()
        self._work: asyncio.Task[None] | None = None
        self._shown: dict[ipywidgets.DOMWidget, Mapping[str, Any]] = {}
        style = {"description_width": "80px"}
        self._bar = ipywidgets.FloatProgress(
            min=0, max=1, description="computing", style=style, layout={"width": "200px"}
        )
        tip = "Stop computing; the last pictures stay"
        cancel = ipywidgets.Button(description="Cancel", tooltip=tip, layout={"width": "auto"})
        cancel.on_click(lambda _button: self._cancel())
        self._far = ipywidgets.HTML()
        look = ipywidgets.HTML(_STALE_LOOK, layout={"height": "0", "margin": "0"})
        parts = [self._bar, cancel, self._far, keeps_keys(), look, hides_text()]
        self.waiting = ipywidgets.HBox(parts, layout={"visibility": "hidden"})
        super().__init__()
        self.add_class(KEEPS_KEYS)
        self.add_class(LIVE)
        self.layout.max_width = "920px"
        for control in self.controls.values():
            control.observe(self._changed, "value")

    # -- what a widget does ------------------------------------------------------------------------------------

    def _parts(self, values: Mapping[str, Any], hear: Hear) -> Iterator[Show]:
        """What is to be shown for these values, part by part: yields what shows a part.

        Runs in a thread, up to each yield, while the part before is shown. It touches no widget and no picture. Between
        two parts something newer may come first.
        """
        raise NotImplementedError

    def _say(self, message: str) -> None:
        """Say what is wrong, where it is seen; empty: nothing is."""
        raise NotImplementedError

    def _sentence(self, message: str) -> str:
        """What is wrong, as a sentence."""
        return message if message in ("", STOPPED) else f"This does not work: {message.rstrip('.')}."

    def _ipython_display_(self) -> None:
        show_still(self)

    # -- what is out of date -----------------------------------------------------------------------------------

    def _is_shown(self, part: ipywidgets.DOMWidget, values: Mapping[str, Any]) -> None:
        """Note that a part shows these values."""
        self._shown[part] = dict(values)
        part.remove_class(STALE)

    def _grey(self) -> None:
        """Grey the parts that show other values than the controls have now."""
        now = self.values
        for part, values in self._shown.items():
            if values != now:
                part.add_class(STALE)

    # -- following ---------------------------------------------------------------------------------------------

    @property
    def values(self) -> dict[str, Any]:
        """The setting, by name of the control."""
        return {name: control.value for name, control in self.controls.items()}

    def set(self, **values: Any) -> None:
        """Set several controls, and show what they say; returns when it is shown.

        Parameters
        ----------
        **values
            For each control one of the values that it can have, or what it says for that: ``memory="4 GiB"``.

        Raises
        ------
        ValueError
            If there is no such control, or it cannot have such a value; then none is set.
        """
        chosen = {name: self._value_of(name, value) for name, value in values.items()}
        with self._hold():
            for name, value in chosen.items():
                self.controls[name].value = value
        self._update()

    def _value_of(self, name: str, given: Any) -> Any:
        """Read a value of a control."""
        if name not in self.controls:
            raise ValueError(f"{name}={shown(given)}: there is no such control; use {_listed(self.controls)}")
        options = self.controls[name].options
        pairs = [each if isinstance(each, tuple) else (each, each) for each in options]
        value = plain(given, name)
        if not isinstance(value, str | int | float | Series):
            value = object()  # which equals none
        for said, meant in pairs:
            if value in (said, meant):
                return meant
        raise ValueError(f"{name}={shown(given)}: use one of {_listed(said for said, _ in pairs)}")

    @contextmanager
    def _hold(self) -> Iterator[None]:
        self._held = True
        try:
            yield
        finally:
            self._held = False

    def _changed(self, _change: Any) -> None:
        if not self._held:
            self._wanted()

    def _wanted(self) -> None:
        """Follow the controls: at once, or, where an event loop runs, as soon as it comes to that."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._update()
            return
        self._newest += 1
        if self._work is None or self._work.done():
            self._work = loop.create_task(self._follow(loop))

    def _cancel(self) -> None:
        """Nothing that has been wanted up to now is wanted any more."""
        self._given_up = self._newest
        self._halt.set()

    def _update(self) -> None:
        """Show what the controls say, and return when it is shown. An interrupt stops it."""
        self._halt.set()
        self._newest += 1
        wanted = self._newest
        self._began = time.perf_counter()
        try:
            for show in self._parts(self.values, self._listener(wanted)):
                show()
        except (ValueError, TypeError, MemoryError) as error:
            self._fail(error)
        except KeyboardInterrupt:
            self._fail(Stopped())
        finally:
            self._ends(wanted)

    async def _follow(self, loop: asyncio.AbstractEventLoop) -> None:
        """Show what the controls say, until that is what is shown."""
        while self._done != self._newest:
            wanted = self._newest
            if wanted == self._given_up:
                self._fail(Stopped())
                self._ends(wanted)
                return
            halt = self._halt = threading.Event()
            self._began = time.perf_counter()
            patience = loop.call_later(PATIENCE, self._show_progress, wanted, 0.0, "")
            parts = self._parts(self.values, self._listener(wanted, loop, halt))
            coming = _begun(next, parts, None)
            try:
                while self._newest == wanted and (show := await coming):
                    if IN_A_BROWSER:  # what is begun there is done before anything else
                        show()
                        coming = _begun(next, parts, None)
                    else:
                        coming = _begun(next, parts, None)
                        show()
            except Exception as error:
                # whatever it is: nobody waits for this task, so it is said where it is seen
                if self._newest == wanted:
                    self._fail(error)
            finally:
                patience.cancel()
                with suppress(Exception):  # has been said, or nobody wants it
                    await coming
                self._ends(wanted)

    def _listener(
        self, wanted: int, loop: asyncio.AbstractEventLoop | None = None, halt: threading.Event | None = None
    ) -> Hear:
        """Hands on how far work is, ten times a second at most. In a thread: to the event loop.

        There it also stops work that is to be halted, or that has taken long and is not wanted any more. Where there
        are no threads, it lets the event loop act.
        """
        last, began = 0.0, time.perf_counter()

        def hear(share: float, words: str = "", /) -> None:
            nonlocal last
            now = time.perf_counter()
            outdated = self._newest != wanted and now - began > PATIENCE
            if halt is not None and (halt.is_set() or outdated):
                raise Stopped
            if now - last < 0.1:
                return
            last = now
            if loop is None or IN_A_BROWSER:
                self._show_progress(wanted, share, words)
                if loop is not None:
                    _let_others_act()
            else:
                loop.call_soon_threadsafe(self._show_progress, wanted, share, words)

        return hear

    def _show_progress(self, wanted: int, share: float, words: str) -> None:
        if self._done < wanted and time.perf_counter() - self._began > 0.99 * PATIENCE:
            self._bar.value = share
            self._far.value = escape(words)
            self.waiting.layout.visibility = "visible"
            self._grey()

    def _ends(self, wanted: int) -> None:
        self._done = max(self._done, wanted)
        self.waiting.layout.visibility = "hidden"

    def _fail(self, error: Exception) -> None:
        self._grey()
        if isinstance(error, Stopped):
            self._say(STOPPED)
        elif isinstance(error, MemoryError):
            self._say(str(error) or "this computer's memory does not suffice")
        elif isinstance(error, (ValueError, TypeError)):
            self._say(str(error))
        else:
            self._say(f"{type(error).__name__}: {error}")
