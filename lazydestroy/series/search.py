"""The search: every state that a kernel's small machine can be in, the one with the fewest actions first.

A state is a `Picture`, plain data. What comes of an action, only the kernel's own code can say, on a machine that is in
that state. The kernel's functions are Python generators, which can't be copied: such a machine is made anew, and does
again all that led to the state. So each step is run once, and *learned*: what it has looked at, and what it has
changed. In any other state in which all that it looked at is the same, it does the same.

A step can look at

* its own task: the functions that it is in, their variables, its place in a loop;
* what all tasks share: counters, handles, locks, lists, the Ultravisor's configurations. This is in parts (`PARTS`);
* pages of the guest.

Which parts and pages it was, `lazydestroy.series.watch` notes while the step runs. A step does not see the other pages,
where other tasks stand, or the search's own `Story`. If it ends or wakes other tasks, or asks for them, it is learned
for just these. If it does something to every page by itself, as DESTROY_SEC_CONF does, it is learned page by page what
that is (a sweep).

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
from collections.abc import Collection, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..layers import Series
from .picture import FLAGS, FRAMES, MARKS, PAGES, PARTS, UV, VM, Action, Bounds, Picture, Pictures
from .watch import TASKS, VCPUS, sweep_of
from .world import Said, World, errors_as_findings, trouble

LIVE = 100
"""Machines that are kept at most, to go on from them without doing all again that led there."""

GONE = -1
"""Stands for where a task stands that has ended."""


class Effect(NamedTuple):
    """What a step does, and what is logged of it.

    Attributes
    ----------
    changes : tuple of (int, int)
        Cells that it changes: their places, and what they are afterwards.
    tasks : tuple of int
        Where the tasks that it concerns stand afterwards, or `GONE`.
    spawned : tuple of (int, int)
        Tasks that it starts: their places among the `made` ones, and where they stand. A task may end in the step in
        which it begins.
    made : int
    said : tuple
        What was logged.
    sweep : hashable
        What is done to each page by itself, if the step does not look at it otherwise. None: nothing.
    """

    changes: tuple[tuple[int, int], ...]
    tasks: tuple[int, ...]
    spawned: tuple[tuple[int, int], ...]
    made: int
    said: Said
    sweep: Hashable


@dataclass(slots=True)
class Node:
    """A state that was seen: how it was reached, and what can happen in it."""

    parent: int
    action: Action
    moves: tuple[Action, ...]
    picture: Picture
    actions: list[Action]
    steps: list[int] = field(default_factory=list)


class _NotAsLearned(Exception):
    """A machine is in another state than what was learned says."""


class Search:
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

    _KEPT = (
        *("learn", "nodes", "seen", "queue", "rules", "sweeps"),
        *("transitions", "done", "moves", "worlds", "broken", "stuck"),
    )

    def __init__(self, kernel: Series, bounds: Bounds, learn: bool = True, saved: dict[str, Any] | None = None) -> None:
        self.kernel, self.bounds, self.learn = kernel, bounds, learn
        self.pictures: Pictures = World(kernel, bounds).pictures
        self.exhausted = False
        self._begin()
        if saved is not None:
            for name in self._KEPT:
                setattr(self, name, saved[name])
            for thing in saved["things"]:
                self.pictures.number(thing)

    def _begin(self) -> None:
        self.nodes: list[Node] = []
        self.seen: dict[Hashable, int] = {}
        self.queue: list[tuple[int, int, int]] = []
        self.rules: dict[Hashable, dict[tuple[int, ...], dict[tuple[int, ...], Effect]]] = {}
        self.sweeps: dict[Hashable, dict[int, int]] = {}
        self.transitions = self.done = self.moves = self.worlds = 0
        self.broken: list[Action] | None = None
        self.stuck = False
        self._live: dict[int, World] = {}

    @property
    def saved(self) -> dict[str, Any]:
        """All that the search knows, as plain data that can be pickled."""
        return {**{name: getattr(self, name) for name in self._KEPT}, "things": self.pictures.things}

    def __iter__(self) -> Iterator[int]:
        if not self.nodes:
            self._meet(self._world().picture(), -1, (), (), 0, 0)
        while self.queue and self.broken is None:
            try:
                self._expand(*self.queue[0])
            except _NotAsLearned:
                self.learn = False
                self._begin()
                self._meet(self._world().picture(), -1, (), (), 0, 0)
            yield len(self.nodes)
        if self.broken is None:
            self._find_what_never_ends()
        self.exhausted = True

    # From state to state

    def _expand(self, actions: int, steps: int, number: int) -> None:
        """Try all that can happen in a state; it leaves the queue when that is done."""
        node = self.nodes[number]
        met: list[int] = []
        for action in node.actions:
            found = self._follow(number, action, actions + (action[0] != "step"), steps + 1)
            if found is None:
                self.transitions += len(met) + 1
                self.broken = [*(each.action for each in self._path(number)), action]
                return
            met.append(found)
        self.transitions += len(met)
        node.steps = [found for found, action in zip(met, node.actions, strict=True) if action[0] == "step"]
        heapq.heappop(self.queue)

    def _follow(self, number: int, action: Action, actions: int, steps: int) -> int | None:
        """Do an action, and what cannot be disturbed after it. Returns the number of the state met; None: it breaks."""
        picture = self.nodes[number].picture
        moves: list[Action] = []
        world: World | None = None
        sure = False
        move: Action | None = action
        while move is not None:
            after = self._known(picture, move) if self.learn else None
            holds = after is not None and not self.pictures.found(after)
            if holds:
                if world is not None:
                    self._do(world, [move])
                    sure = False
            else:
                if world is None:
                    world = self._world_at(number, moves)
                    self.done += 1
                if not sure and self.learn and (world.wrong or world.picture() != picture):
                    raise _NotAsLearned
                ran, sure = self._run(world, picture, move), True
                if ran is None:
                    return None
                if after is not None:
                    raise _NotAsLearned
                after = ran
            assert after is not None
            moves.append(move)
            picture, move = after, self.pictures.undisturbed(after)
        return self._meet(picture, number, action, tuple(moves), actions, steps, world)

    def _meet(
        self,
        picture: Picture,
        parent: int,
        action: Action,
        moves: tuple[Action, ...],
        actions: int,
        steps: int,
        world: World | None = None,
    ) -> int:
        """Which state a picture shows; a new one is queued."""
        number = self.seen.setdefault(picture.key, len(self.nodes))
        if number == len(self.nodes):
            self.nodes.append(Node(parent, action, moves, picture, self.pictures.actions(picture)))
            heapq.heappush(self.queue, (actions, steps, number))
        if world is not None and picture == self.nodes[number].picture:
            self._keep(number, world)
        return number

    def _keep(self, number: int, world: World) -> None:
        """Keep a machine that is in a state; the one that was kept first goes."""
        while len(self._live) >= LIVE:
            del self._live[next(iter(self._live))]
        self._live[number] = world

    # What is learned

    def _known(self, picture: Picture, move: Action) -> Picture | None:
        """What comes of a move, if it was learned."""
        for concern in _CONCERNS:
            what, concerned = self._concerned(picture, move, concern)
            found = self._effect(what, picture)
            if found is not None:
                return self._changed(picture, move, concerned, *found)
        return None

    def _concerned(self, picture: Picture, move: Action, concern: str) -> tuple[Hashable, list[int]]:
        """What a move is, and the places of the tasks that it concerns: its own, and perhaps vCPUs or all."""
        tasks = picture.tasks
        own = [picture.indices.index(move[1])] if move[0] == "step" else []
        if not concern:
            return tasks[own[0]] if own else move, own
        things = self.pictures.things
        others = [
            place
            for place, task in enumerate(tasks)
            if place not in own and (concern == TASKS or things[task].role[0] == "vCPU")
        ]
        concerned = own + others
        return (concern, () if own else move, tuple([tasks[place] for place in concerned])), concerned

    def _effect(self, what: Hashable, picture: Picture) -> tuple[tuple[int, ...], Effect] | None:
        """What was learned of a step: the places of the cells that it looks at, and its effect."""
        cells = picture.cells
        for places, effects in self.rules.get(what, _NOTHING).items():
            effect = effects.get(tuple([cells[place] for place in places]))
            if effect is not None and (effect.sweep is None or self._swept(cells, places, effect) is not None):
                return places, effect
        return None

    def _swept(self, cells: tuple[int, ...], places: tuple[int, ...], effect: Effect) -> dict[int, int] | None:
        """The pages that a sweep changes, with what they are then. None: for one of them that was not learned yet."""
        becomes, swept = self.sweeps[effect.sweep], {}
        for place in range(PAGES, len(cells)):
            if place not in places:
                if cells[place] not in becomes:
                    return None
                swept[place] = becomes[cells[place]]
        return swept

    def _changed(
        self, picture: Picture, move: Action, concerned: list[int], places: tuple[int, ...], effect: Effect
    ) -> Picture | None:
        """A picture after a step. None: something was logged then that is not to be expected here."""
        if effect.said and trouble(effect.said, picture.story.failed):
            return None
        things, cells, indices, story = self.pictures.things, list(picture.cells), picture.indices, picture.story
        if effect.sweep is not None:
            for place, cell in (self._swept(picture.cells, places, effect) or {}).items():
                cells[place] = cell
        for place, cell in effect.changes:
            cells[place] = cell
        after = list(picture.tasks)
        for place, task in zip(concerned, effect.tasks, strict=True):
            after[place] = task
        ended = []
        if GONE in effect.tasks:
            ended = [things[was].role for was, now in zip(picture.tasks, after, strict=True) if now == GONE]
            indices = tuple([index for index, task in zip(indices, after, strict=True) if task != GONE])
            after = [task for task in after if task != GONE]
        for number, task in effect.spawned:
            indices += (picture.made + number,)
            after.append(task)
        if ended or move[0] != "step":
            handle = things[cells[VM]].running if things[cells[FLAGS]].guest_up else 0
            story = story.after(move, ended, handle)
        return Picture(tuple(cells), story, tuple(after), indices, picture.made + effect.made)

    def _learn(
        self, picture: Picture, move: Action, after: Picture, noted: set[Any], said: Said, sweep: Hashable
    ) -> None:
        """Learn what a move has done, from the pictures before and after it and from what it has looked at."""
        standing = dict(zip(after.indices, after.tasks, strict=True))
        tasks = tuple([standing.pop(index, GONE) for index in picture.indices])
        moved = {place for place, (now, was) in enumerate(zip(tasks, picture.tasks, strict=True)) if now != was}
        least = TASKS if TASKS in noted else VCPUS if VCPUS in noted else ""
        for concern in _CONCERNS[_CONCERNS.index(least) :]:
            what, concerned = self._concerned(picture, move, concern)
            if moved <= set(concerned):
                break
        cells = list(enumerate(zip(picture.cells, after.cells, strict=True)))
        places = tuple(
            [here for here, (was, now) in cells if here in noted or (was != now and (sweep is None or here < PAGES))]
        )
        if sweep is not None:
            becomes = self.sweeps.setdefault(sweep, {})
            for here, (was, now) in cells[PAGES:]:
                if here not in places and becomes.setdefault(was, now) != now:
                    raise _NotAsLearned
        effects = self.rules.setdefault(what, {}).setdefault(places, {})
        effects[tuple([picture.cells[here] for here in places])] = Effect(
            changes=tuple([(here, after.cells[here]) for here in places if after.cells[here] != picture.cells[here]]),
            tasks=tuple([tasks[place] for place in concerned]),
            spawned=tuple([(index - picture.made, task) for index, task in standing.items()]),
            made=after.made - picture.made,
            said=said,
            sweep=sweep,
        )

    # Machines

    def _world(self) -> World:
        self.worlds += 1
        return World(self.kernel, self.bounds, self.pictures)

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

    def _do(self, world: World, moves: list[Action]) -> None:
        """Let a machine do what is known."""
        self.moves += len(moves)
        with errors_as_findings(world):
            for move in moves:
                world.do(move)

    def _run(self, world: World, picture: Picture, move: Action) -> Picture | None:
        """Let a machine do a move, and learn from it. None: it breaks."""
        slots = world.slots
        said: Said = ()
        noted: dict[Any, None] = {}
        self.moves += 1
        with errors_as_findings(world):
            said = world.do(move, noted if self.learn else None)
        after = world.picture()
        world.look(after, said)
        if world.wrong:
            return None
        if self.learn:
            functions = [each for each in noted if callable(each)]
            sweep = sweep_of(functions) if functions else None
            if functions and sweep is None:
                noted.update(dict.fromkeys(slots))
            self._learn(picture, move, after, _places(noted, slots, world.slots), said, sweep)
        return after

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


_CONCERNS = ("", VCPUS, TASKS)
"""Which tasks a step concerns beside its own: none, those of vCPUs, all."""

_NOTHING: dict[Any, Any] = {}


def _places(noted: Collection[Any], before: list[int], after: list[int]) -> set[Any]:
    """The places of the cells that were looked at, from what was noted; the frames behind the guest's pages differ."""
    frames = {each for each in noted if isinstance(each, int)}
    places: set[Any] = {PARTS.index(each) for each in noted if each in PARTS}
    places |= {
        PAGES + page for page, there in enumerate(zip(before, after, strict=True)) if not frames.isdisjoint(there)
    }
    if frames - set(before) - set(after) or any(callable(each) for each in noted):
        places.add(FRAMES)
    if places & {FRAMES, VM, UV}:
        places.add(MARKS)
    return places | {TASKS, VCPUS}.intersection(noted)


__all__ = ["Node", "Search"]
