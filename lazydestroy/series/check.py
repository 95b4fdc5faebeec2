"""Which sequence of actions breaks a kernel? All are tried, on a machine of a few pages, the shortest first.

`check` visits every state that such a machine can be in and asks in each whether what must always hold still does
(`lazydestroy.series.world` says what can happen and what must hold). The first in which it does not is told as a
`Trace`.
"""

from __future__ import annotations

import gc
import heapq
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ..units import format_count
from .layer import Series
from .trace import Trace, told
from .world import FAILURES, START_FAILURES, Action, Bounds, World, attempt


@dataclass(frozen=True, slots=True, repr=False)
class Verdict:
    """What `check` found.

    Attributes
    ----------
    kernel : Series
    trace : Trace or None
        The shortest sequence of actions that breaks the kernel; None if there is none.
    states : int
        Different states that were seen.
    transitions : int
        How often something was tried in one of them.
    exhausted : bool
        Whether these are all states that there are within the bounds.
    bounds : Bounds
    seconds : float
        What it took, on this computer.
    """

    kernel: Series
    trace: Trace | None
    states: int
    transitions: int
    exhausted: bool
    bounds: Bounds
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether nothing breaks the kernel, within the bounds."""
        return self.trace is None and self.exhausted

    def plot(self) -> Any:
        """Draw the trace. There must be one."""
        if self.trace is None:
            raise ValueError(f"{self.kernel!r} was not broken: there is no trace to draw")
        return self.trace.plot()

    def _summary(self) -> str:
        states = f"{format_count(self.states)} states"
        if self.trace is not None:
            return f"{self.kernel!r} breaks (the search saw {states}):"
        if self.exhausted:
            return f"{self.kernel!r} holds: the search saw all {states} that there are, and found nothing wrong"
        return f"{self.kernel!r} was not broken in the first {states}; there are more"

    def __repr__(self) -> str:
        machine = f"searched: {_bounds_in_words(self.bounds)}"
        return "\n".join([self._summary(), *([str(self.trace)] if self.trace else []), machine])

    def _repr_html_(self) -> str:
        from html import escape

        return (
            f"<div>{escape(self._summary())}{self.trace.html if self.trace else ''}"
            f"<br><small>searched: {escape(_bounds_in_words(self.bounds))}</small></div>"
        )


def check(
    kernel: Series,
    *,
    max_states: int = 200_000,
    progress: Callable[[int], object] | None = None,
    **bounds: Any,
) -> Verdict:
    """Search for the shortest sequence of actions that makes a kernel break what must always hold.

    What must hold: nobody's process is killed and no guest stopped; the running guest's data are there; no page is free
    while the Ultravisor holds it; the host reads nothing that was not shared; nothing freed is used; every task comes
    to an end; and after the end of everything all memory, the mm and the configurations are free.

    Parameters
    ----------
    kernel : Series
    max_states : int
        Where to give up.
    progress : callable, optional
        Called now and then with the number of states seen.
    **bounds
        Fields of `Bounds`: how large the machine is and what may happen on it, such as ``pages=3`` or
        ``host=("io", "swap")``.

    Returns
    -------
    Verdict

    Raises
    ------
    ValueError
        If a value is not accepted.

    Examples
    --------
    >>> from lazydestroy.series import v1
    >>> check(v1.upto(0), failures=()).holds
    True
    """
    limits = _bounds(kernel, bounds)
    if isinstance(max_states, bool) or not isinstance(max_states, int) or max_states < 1:
        raise ValueError(f"max_states={max_states!r}: use a whole number from 1 up")
    began = time.perf_counter()
    search = _Search(kernel, limits)
    with _collecting_garbage_rarely():
        exhausted = search.run(max_states, progress)
    trace = told(kernel, limits, search.broken, search.stuck) if search.broken is not None else None
    return Verdict(kernel, trace, len(search.seen), search.transitions, exhausted, limits, time.perf_counter() - began)


COLLECT = 2000
"""Garbage is collected after so many worlds."""


@contextmanager
def _collecting_garbage_rarely() -> Iterator[None]:
    """A world is a knot of references, made and thrown away within a millisecond: looking for knots took half the time.

    The search collects by itself, now and then (`COLLECT`).
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


LIVE = 500
"""Machines that are kept at most, to go on from them without doing all again that led there."""


@dataclass(slots=True)
class _Node:
    """A state that was seen: how it was reached, and what can happen in it."""

    parent: int
    action: Action
    actions: list[Action]
    quiet: bool
    steps: list[int] = field(default_factory=list)


class _Search:
    """All states of a kernel's worlds, the one with the fewest actions first; among equals, with the fewest steps."""

    def __init__(self, kernel: Series, bounds: Bounds) -> None:
        self.kernel, self.bounds = kernel, bounds
        self.nodes: list[_Node] = []
        self.seen: dict[bytes, int] = {}
        self.queue: list[tuple[int, int, int]] = []
        self.live: dict[int, World] = {}
        self.transitions = 0
        self.broken: list[Action] | None = None
        self.stuck = False

    def run(self, max_states: int, progress: Callable[[int], object] | None) -> bool:
        """Search to the first violation or to the end. False: given up."""
        self._meet(World(self.kernel, self.bounds), -1, (), 0, 0)
        while self.queue:
            if len(self.seen) >= max_states:
                return False
            actions, steps, number = heapq.heappop(self.queue)
            if self._expand(number, actions, steps):
                return True
            if progress is not None:
                progress(len(self.seen))
        self._find_what_never_ends()
        return True

    def _expand(self, number: int, actions: int, steps: int) -> bool:
        """Try all that can happen in a state. True: it broke."""
        node = self.nodes[number]
        path = self._path(number)
        for action in node.actions:
            world = self.live.pop(number, None) or self._world(path)
            attempt(world, action)
            self.transitions += 1
            if self.transitions % COLLECT == 0:
                gc.collect()
            if world.wrong:
                self.broken = [*path, action]
                return True
            met = self._meet(world, number, action, actions + (action[0] != "step"), steps + 1)
            if action[0] == "step":
                node.steps.append(met)
        return False

    def _meet(self, world: World, parent: int, action: Action, actions: int, steps: int) -> int:
        """Which state a world is in; a new one is queued."""
        key = world.key()
        number = self.seen.setdefault(key, len(self.nodes))
        if number == len(self.nodes):
            self.nodes.append(_Node(parent, action, world.actions(), not world.machine.tasks))
            heapq.heappush(self.queue, (actions, steps, number))
            if len(self.live) < LIVE:
                self.live[number] = world
        return number

    def _path(self, number: int) -> list[Action]:
        path = []
        while number > 0:
            path.append(self.nodes[number].action)
            number = self.nodes[number].parent
        return path[::-1]

    def _world(self, path: list[Action]) -> World:
        """Do again what led to a state: generators cannot be copied."""
        world = World(self.kernel, self.bounds)
        for action in path:
            world.act(action, known=True)
        return world

    def _find_what_never_ends(self) -> None:
        """A state whose tasks cannot all come to an end, whatever the order in which they act."""
        before: list[list[int]] = [[] for _ in self.nodes]
        for number, node in enumerate(self.nodes):
            for met in node.steps:
                before[met].append(number)
        ends = [number for number, node in enumerate(self.nodes) if node.quiet]
        found = set(ends)
        while ends:
            for number in before[ends.pop()]:
                if number not in found:
                    found.add(number)
                    ends.append(number)
        first = next((number for number in range(len(self.nodes)) if number not in found), None)
        if first is not None:
            self.broken, self.stuck = self._path(first), True


def _bounds(kernel: Series, given: dict[str, Any]) -> Bounds:
    """The bounds, checked."""
    if not isinstance(kernel, Series):
        raise ValueError(f"kernel={kernel!r}: use a kernel such as ld.series.v1 or ld.series.v1.without(3)")
    for name in given:
        if name not in Bounds.__slots__:
            raise ValueError(f"{name}={given[name]!r}: there is no such bound; use {', '.join(Bounds.__slots__)}")
    for name, least, most in (
        ("pages", 1, 8),
        ("low_pages", 0, 8),
        ("vcpus", 1, 4),
        ("configurations", 0, 8),
        ("resets", 0, 8),
    ):
        value = given.get(name, getattr(Bounds(), name))
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"{name}={value!r}: use a whole number from {least} to {most}")
    if given.get("low_pages", 0) > given.get("pages", Bounds().pages):
        raise ValueError(f"low_pages={given['low_pages']!r}: the guest has fewer pages; give more with pages=")
    for name in ("sharing", "image_loaded", "destroy_needs_no_cpus"):
        if not isinstance(given.get(name, True), bool):
            raise ValueError(f"{name}={given[name]!r}: use True or False")
    for name, known in (("failures", FAILURES + START_FAILURES), ("host", ("io", "swap"))):
        value = given.get(name, getattr(Bounds(), name))
        chosen = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list | tuple | set) else None
        if chosen is None or not set(chosen) <= set(known):
            raise ValueError(f"{name}={value!r}: use some of {', '.join(map(repr, known))}, or ()")
        given[name] = chosen
    features = given.get("features", ())
    given["features"] = (features,) if isinstance(features, str) else tuple(features)
    return Bounds(**given)


def _bounds_in_words(bounds: Bounds) -> str:
    """How large a machine it was."""
    words = [
        f"{bounds.pages} pages" + (f", {bounds.low_pages} of them low" if bounds.low_pages else ""),
        f"{bounds.vcpus} vCPU{'s' if bounds.vcpus > 1 else ''}",
        f"{bounds.configurations} configurations",
        f"{bounds.resets} reboot{'s' if bounds.resets != 1 else ''}",
        "the guest touches" + (" and shares" if bounds.sharing else ""),
    ]
    if bounds.host:
        words.append("the host does " + " and ".join({"io": "I/O", "swap": "swaps"}[what] for what in bounds.host))
    if bounds.failures:
        words.append("one failure of " + ", ".join(bounds.failures))
    defaults = Bounds()
    for name in ("image_loaded", "lazy_destroy", "features", "segment_table", "destroy_needs_no_cpus"):
        if getattr(bounds, name) != getattr(defaults, name):
            words.append(f"{name}={getattr(bounds, name)!r}")
    return "; ".join(words)


__all__ = ["Verdict", "check"]
