"""The search: every state that a kernel's small machine can be in, the one with the fewest actions first.

A state is a `Picture`, plain data. What comes of an action, only the kernel's own code can say, on a machine that is in
that state. The kernel's functions are Python generators, which can't be copied: such a machine is made anew, and does
again all that led to the state. So each step is run once, and *learned*: what it has looked at, and what it has
changed. In any other state in which all that it looked at is the same, it does the same
(`lazydestroy.series.learned`).

A layer could look at something else, such as a variable of its module, and then what was learned may be wrong.
Therefore every machine that has done again what led to a state is compared with the picture of that state. If they
differ, the search begins anew, and learns nothing.

No state is left out, and none is visited in another order: whether it learns or not, a search sees the same states and
the same transitions, and finds the same trace. Two reductions that searches often make are not made here. Pages are not
interchangeable, because walks go from one to the next. And an order of two steps is not left out because they commute:
to look up what comes of them costs as little as to prove it.
"""

from __future__ import annotations

import heapq
from collections.abc import Generator, Hashable, Iterable, Iterator
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..layers import Series
from .ahead import Ahead
from .bounds import Bounds
from .following import Following
from .learned import Learned, NotAsLearned
from .picture import Pictures
from .state import Picture
from .story import Action
from .world import World, machine_of

LIVE = 100
"""Machines that are kept at most, to go on from them without doing all again that led there."""


@dataclass(slots=True)
class Node:
    """A state that was seen: how it was reached, and where steps lead from it."""

    parent: int
    action: Action
    moves: tuple[Action, ...]
    picture: Picture
    steps: list[int] = field(default_factory=list)


class Search(Following):
    """All states of a kernel's worlds, the one with the fewest actions first; among equals, with the fewest steps.

    Iterating goes on with the search and gives the number of states seen, each time a state has been dealt with. It
    ends when the kernel is broken or all states have been seen. In between, the search can be put aside; `saved` is all
    that it knows.

    Parameters
    ----------
    kernel : Series
    bounds : Bounds
    learn : bool
        Look up what a step does, if it was learned. False: run each.
    saved : dict, optional
        What `saved` gave, of a search with the same kernel and bounds: goes on there.
    before : Search, optional
        Another search. If it has the same kernel and its bounds say the same of the machine and of the program, what a
        step does there it does here, and this search knows what that one has learned.
    known : (Pictures, Learned), optional
        What is known already of this kernel on such a machine (`lazydestroy.series.shelf`).
    executor : concurrent.futures.Executor, optional
        Its workers find out what comes of the states (see `lazydestroy.series.ahead`). The states, their order and the
        transitions are the same.

    Attributes
    ----------
    nodes : list of Node
        The states, in the order in which they were first seen.
    transitions : int
        How often something was tried.
    done : int
        How many of them had to be run on a machine, at least in part.
    moves, worlds : int
        Steps that machines have done, those that led to a state once more among them; machines that were made.
    broken : list or None
        The actions that break the kernel.
    stuck : bool
        They end in a state whose tasks cannot all come to an end.
    exhausted : bool
        The search has come to its end.
    """

    learned: Learned
    _KEPT = ("learn", "nodes", "seen", "queue", "transitions", "done", "moves", "worlds", "broken", "stuck")

    def __init__(
        self,
        kernel: Series,
        bounds: Bounds,
        learn: bool = True,
        saved: dict[str, Any] | None = None,
        before: Search | None = None,
        executor: Executor | None = None,
        known: tuple[Pictures, Learned] | None = None,
    ) -> None:
        self.kernel, self.bounds, self.learn, self.executor = kernel, bounds, learn, executor
        if before is not None and before._teaches(kernel, bounds):
            known = before.pictures, before.learned
        self.pictures: Pictures = known[0].within(bounds) if known else World(kernel, bounds).pictures
        self.exhausted = False
        self._begin()
        if known:
            self.learned = known[1]
        if saved is not None:
            for name in self._KEPT:
                setattr(self, name, saved[name])
            self.learned.load(saved["rules"], saved["sweeps"])
            for thing in saved["things"]:
                self.pictures.number(thing)

    def _begin(self) -> None:
        self.nodes: list[Node] = []
        self.seen: dict[Hashable, int] = {}
        self.queue: list[tuple[int, int, int]] = []
        self.learned = Learned(self.pictures)
        self.transitions = self.done = self.moves = self.worlds = 0
        self.broken: list[Action] | None = None
        self.stuck = False
        self._live: dict[int, World] = {}
        self._moves: dict[tuple[Action, ...], tuple[Action, ...]] = {}

    def _teaches(self, kernel: Series, bounds: Bounds) -> bool:
        """Whether what was learned here holds in a search of a kernel within some bounds."""
        same = machine_of(self.bounds) == machine_of(bounds) and self.bounds.userspace == bounds.userspace
        return self.learn and self.kernel == kernel and same

    @property
    def saved(self) -> dict[str, Any]:
        """All that the search knows, as plain data that can be pickled."""
        learned = {"rules": self.learned.rules, "sweeps": self.learned.sweeps, "things": self.pictures.things}
        return {**{name: getattr(self, name) for name in self._KEPT}, **learned}

    def __iter__(self) -> Generator[int, None, None]:
        if not self.nodes:
            self._meet_first()
        with ExitStack() as stack:
            ahead = None if self.executor is None else stack.enter_context(Ahead(self, self.executor))
            while self.queue and self.broken is None:
                try:
                    (self._expand if ahead is None else ahead.expand)(*self.queue[0])
                except NotAsLearned:
                    self.learn = False
                    self._begin()
                    self._meet_first()
                    if ahead is not None:
                        ahead.begin()
                yield len(self.nodes)
        if self.broken is None:
            self._find_what_never_ends()
        self.exhausted = True

    def _meet_first(self) -> None:
        picture = self._world().picture()
        self.meet(picture, picture.key, -1, (), 0, 0)

    # From state to state

    def _expand(self, actions: int, steps: int, number: int) -> None:
        """Try all that can happen in a state."""
        self.note(number, self._tried(actions, steps, number))

    def _tried(self, actions: int, steps: int, number: int) -> Iterator[tuple[bool, int | None]]:
        """Of each action: whether it is a step, and the number of the state that it leads to, unless it breaks."""
        picture, world_at = self.nodes[number].picture, partial(self._world_at, number)
        for action in self.pictures.actions(picture):
            is_step = action[0] == "step"
            followed = self._follow(picture, action, self.seen, world_at)
            if followed is None:
                yield is_step, None
                return
            after, key, moves, world = followed
            found = self.meet(after, key, number, moves, actions + (not is_step), steps + 1)
            if world is not None and after == self.nodes[found].picture:
                self._keep(found, world)
            yield is_step, found

    def note(self, number: int, tried: Iterable[tuple[bool, int | None]]) -> None:
        """Note what came of all that can happen in the state that heads the queue; it leaves it when that is done."""
        met: list[int] = []
        count = 0
        for is_step, found in tried:
            count += 1
            if found is None:
                self.transitions += count
                action = self.pictures.actions(self.nodes[number].picture)[count - 1]
                self.broken = [*(each.action for each in self._path(number)), action]
                return
            if is_step:
                met.append(found)
        self.transitions += count
        self.nodes[number].steps = met
        heapq.heappop(self.queue)

    def meet(
        self, picture: Picture, key: Hashable, parent: int, moves: tuple[Action, ...], actions: int, steps: int
    ) -> int:
        """Which state a picture shows; a new one is queued."""
        number = self.seen.setdefault(key, len(self.nodes))
        if number == len(self.nodes):
            moves = self._moves.setdefault(moves, moves)
            self.nodes.append(Node(parent, moves[0] if moves else (), moves, picture))
            heapq.heappush(self.queue, (actions, steps, number))
        return number

    def _keep(self, number: int, world: World) -> None:
        """Keep a machine that is in a state; the one that was kept first goes."""
        while len(self._live) >= LIVE:
            del self._live[next(iter(self._live))]
        self._live[number] = world

    # Machines

    def _path(self, number: int) -> list[Node]:
        """The states on the way to a state, without the first."""
        path = []
        while number > 0:
            path.append(self.nodes[number])
            number = self.nodes[number].parent
        return path[::-1]

    def _world_at(self, number: int, moves: list[Action]) -> World:
        """A machine in a state, `moves` later: one that is on the way there, or a new one, does again what is left."""
        moves = list(moves)
        while number > 0 and number not in self._live:
            node = self.nodes[number]
            moves[:0] = node.moves
            number = node.parent
        world = self._live.pop(number, None) or self._world()
        self._do(world, moves)
        return world

    def _find_what_never_ends(self) -> None:
        """A state whose tasks cannot all come to an end, whatever the order in which they act."""
        before: list[list[int]] = [[] for _ in self.nodes]
        for number, node in enumerate(self.nodes):
            for met in node.steps:
                before[met].append(number)
        ends = [number for number, node in enumerate(self.nodes) if not node.picture.tasks]
        found = set(ends)
        while ends:
            for number in before[ends.pop()]:
                if number not in found:
                    found.add(number)
                    ends.append(number)
        first = next((number for number in range(len(self.nodes)) if number not in found), None)
        if first is not None:
            self.broken, self.stuck = [node.action for node in self._path(first)], True


__all__ = ["Node", "Search"]
