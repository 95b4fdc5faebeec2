"""A worker of a search: expands states that another process has queued, and sends back what it has met, as plain data.

What can happen in a state, and what comes of it, depends on nothing but the state and the kernel. So whoever expands
it, and whenever, the result is the same. A worker knows neither which states the search has seen nor when they are
to be dealt with. It keeps its machines, and what steps do, from one task to the next, if it lives on; what it loses if
it does not, another one finds out again.

Numbers that stand for things are the search's. A thing that it has no number for yet gets one below -1, in one answer.
"""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Hashable
from functools import partial
from typing import Any, NamedTuple

from ..collecting import rarely_collecting
from ..layers import Series
from .bounds import Bounds
from .following import Following
from .learned import Learned, NotAsLearned
from .picture import Pictures
from .state import NOT_PRESENT, Picture
from .story import Action, Story
from .world import World

Way = tuple[Action, ...]
"""Moves that lead to a state from the first one."""

Kind = tuple[Series, Bounds, bool]
"""A kernel, the bounds, and whether what steps do is learned."""

Sent = tuple[tuple[int, ...], int, tuple[int, ...], tuple[int, ...], int]
"""A picture on its way: as it is, but with the place of its story in a list."""

BREAKS, NOT_AS_LEARNED = -1, -2
"""What an action may come to instead of a state."""


class Job(NamedTuple):
    """States to be expanded.

    Attributes
    ----------
    search : str
        Which search it is: what was learned for it holds in no other.
    kind : bytes or tuple
        The kernel, the bounds and whether to learn; pickled, unless the worker is in the same process.
    things : dict
        What numbers in the pictures stand for, each pickled.
    stories : list of Story
    states : list
        The pictures, and the ways there.
    """

    search: str
    kind: bytes | Kind
    things: dict[int, bytes]
    stories: list[Story]
    states: list[tuple[Sent, Way]]


class Answer(NamedTuple):
    """What came of a job.

    Attributes
    ----------
    tried : list of list of int
        For each state what came of its actions, in order: twice the place of a picture in `met`, and one more if the
        action was a step; or `BREAKS`, or `NOT_AS_LEARNED`. After one of these nothing more was tried.
    met : list
        Pictures, each once, with the moves that lead there from the state in which it was met first.
    things : list
        Those that had no number: the first is -2, the next -3.
    stories : list of Story
    counts : tuple of int
        See `Following`: `done`, `moves`, `worlds`.
    seconds : float
        What it took.
    """

    tried: list[list[int]]
    met: list[tuple[Sent, Way]]
    things: list[Any]
    stories: list[Story]
    counts: tuple[int, int, int]
    seconds: float


class Stranger(NamedTuple):
    """The kernel cannot be had where the worker is, and why."""

    why: str


class Worker(Following):
    """Expands states of one search."""

    MOST = 100_000
    """States that it remembers to have met at most, so that its memory does not grow with the search."""

    LIVE = 100
    """Machines that it keeps at most."""

    def __init__(self, kernel: Series, bounds: Bounds, learn: bool) -> None:
        self.kernel, self.bounds, self.learn = kernel, bounds, learn
        self.done = self.moves = self.worlds = 0
        self.pictures: Pictures = World(kernel, bounds).pictures
        self.learned = Learned(self.pictures)
        self._ours = {NOT_PRESENT: NOT_PRESENT}
        self._theirs = {NOT_PRESENT: NOT_PRESENT}
        self._seen: dict[Hashable, None] = {}
        self._live: dict[Way, World] = {}

    def answer(self, job: Job) -> Answer:
        """Expand all states of a job; up to one in which something breaks, if there is one."""
        began, before = time.thread_time(), (self.done, self.moves, self.worlds)
        for theirs, packed in job.things.items():
            if theirs not in self._ours:
                ours = self.pictures.number(pickle.loads(packed))
                self._ours[theirs], self._theirs[ours] = ours, theirs
        telling = _Telling(self)
        tried = []
        for state, way in job.states:
            tried.append(self._expanded(self._read(state, job.stories), way, telling))
            if tried[-1] and tried[-1][-1] < 0:
                break
        counts = self.done - before[0], self.moves - before[1], self.worlds - before[2]
        return Answer(tried, telling.met, telling.things, telling.stories, counts, time.thread_time() - began)

    def _read(self, state: Sent, stories: list[Story]) -> Picture:
        cells, story, tasks, indices, made = state
        ours = self._ours.__getitem__
        return Picture(tuple(map(ours, cells)), stories[story], tuple(map(ours, tasks)), indices, made)

    def _expanded(self, picture: Picture, way: Way, telling: _Telling) -> list[int]:
        tried: list[int] = []
        world_at = partial(self._world_at, way)
        for action in self.pictures.actions(picture):
            try:
                followed = self._follow(picture, action, self._seen, world_at)
            except NotAsLearned:
                return [*tried, NOT_AS_LEARNED]
            if followed is None:
                return [*tried, BREAKS]
            after, key, moves, world = followed
            if world is not None:
                self._keep((*way, *moves), world)
            if len(self._seen) >= self.MOST:
                self._seen.clear()
            self._seen[key] = None
            tried.append(telling.place(after, key, moves) << 1 | (action[0] == "step"))
        return tried

    def _keep(self, way: Way, world: World) -> None:
        while len(self._live) >= self.LIVE:
            del self._live[next(iter(self._live))]
        self._live[way] = world

    def _world_at(self, way: Way, moves: list[Action]) -> World:
        """A machine at the end of a way, `moves` later: one that is on it already, or a new one, does what is left."""
        for end in range(len(way), 0, -1):
            world = self._live.pop(way[:end], None)
            if world is not None:
                self._do(world, [*way[end:], *moves])
                return world
        world = self._world()
        self._do(world, [*way, *moves])
        return world


class _Telling:
    """Puts pictures into an answer, each once."""

    def __init__(self, worker: Worker) -> None:
        self.met: list[tuple[Sent, Way]] = []
        self.things: list[Any] = []
        self.stories: list[Story] = []
        self._worker = worker
        self._new: dict[int, int] = {}
        self._places: dict[Hashable, int] = {}
        self._stories: dict[Story, int] = {}

    def place(self, picture: Picture, key: Hashable, moves: Way) -> int:
        """The place of a picture among those that were met."""
        place = self._places.setdefault(key, len(self.met))
        if place == len(self.met):
            cells, story, tasks, indices, made = picture
            told = self._stories.setdefault(story, len(self.stories))
            if told == len(self.stories):
                self.stories.append(story)
            sent = self._numbers(cells), told, self._numbers(tasks), indices, made
            self.met.append((sent, moves))
        return place

    def _numbers(self, ours: tuple[int, ...]) -> tuple[int, ...]:
        theirs = self._worker._theirs
        try:
            return tuple([theirs[number] for number in ours])
        except KeyError:
            return tuple([theirs[number] if number in theirs else self._newly(number) for number in ours])

    def _newly(self, ours: int) -> int:
        """The number, in this answer, of a thing that the search does not know yet."""
        number = self._new.setdefault(ours, -2 - len(self.things))
        if number == -2 - len(self.things):
            self.things.append(self._worker.pictures.things[ours])
        return number


_AT_ONCE = 2
"""Searches that a worker keeps something for; two may take turns."""

_here = threading.local()


def work(job: Job) -> Answer | Stranger:
    """Do a job, in whatever process or thread this is."""
    workers: dict[str, Worker] = vars(_here).setdefault("workers", {})
    worker = workers.pop(job.search, None)
    if worker is None:
        try:
            kind: Kind = pickle.loads(job.kind) if isinstance(job.kind, bytes) else job.kind
        except (AttributeError, ImportError) as error:
            return Stranger(str(error))
        while len(workers) >= _AT_ONCE:
            del workers[next(iter(workers))]
        worker = Worker(*kind)
    workers[job.search] = worker
    with rarely_collecting():
        return worker.answer(job)


__all__ = ["BREAKS", "NOT_AS_LEARNED", "Answer", "Job", "Kind", "Sent", "Stranger", "Way", "Worker", "work"]
