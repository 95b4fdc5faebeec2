"""A search on the workers of an executor: they expand, ahead of the search, the states that are queued.

What comes of a state depends on nothing else (`lazydestroy.series.worker`), so it can be found out at any time. The
search itself takes the results strictly in the order of its queue, one state after the other, as if it had found out
what comes of each just then. So neither the number of workers, nor which of them is done first, makes any difference to
what it sees. What is found out for states that the search never comes to, because something breaks before, is lost.

If an executor fails, its part is done here.
"""

from __future__ import annotations

import heapq
import os
import pickle
import warnings
from collections import deque
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from .learned import NotAsLearned
from .plain import Hidden
from .state import NOT_PRESENT, Picture
from .travelling import WHAT_TRAVELS, packed
from .worker import BREAKS, NOT_AS_LEARNED, Answer, Job, Kind, Sent, Stranger, Way, work

if TYPE_CHECKING:
    from .search import Search
    from .story import Action, Story

UNDER_WAY = 16
"""Jobs that are under way at once, done or not: enough for every worker to have the next one at hand."""

FAR = 50_000
"""States that are expanded ahead at most. If something breaks, so many were expanded for nothing."""

LARGEST = 500
"""States in a job at most."""

A_WHILE = 0.02
"""Seconds that a job should take. To send it and to read the answer takes some milliseconds."""


class Ahead:
    """Has the states in a search's queue expanded, and hands it what comes of them.

    Parameters
    ----------
    search : Search
    executor : concurrent.futures.Executor
    """

    def __init__(self, search: Search, executor: Executor) -> None:
        self._search = search
        self._executor: Executor | None = executor
        self._local = isinstance(executor, ThreadPoolExecutor)
        self._under_way: deque[Future[Answer | Stranger]] = deque()
        self._packed: dict[int, bytes] = {}
        self._numbers = _Itself()
        self._stories: dict[Story, Story] = {}
        self._actions: dict[Action, Action] = {}
        self.begin()

    def __enter__(self) -> Ahead:
        return self

    def __exit__(self, *raised: object) -> None:
        self.stop()

    def begin(self) -> None:
        """Begin with what is queued now."""
        self.stop()
        search = self._search
        self._name = os.urandom(16).hex()
        self._kind: Kind | bytes = search.kernel, search.bounds, search.learn
        if not self._local:
            self._kind = packed(self._kind, search.kernel)
        self._unsent = list(search.queue)
        heapq.heapify(self._unsent)
        self._sent: dict[int, tuple[_Part, int]] = {}
        self._size = 1.0

    def stop(self) -> None:
        """Take back what no worker has begun, and wait for what one has."""
        for future in self._under_way:
            future.cancel()
        wait(self._under_way)
        self._under_way.clear()

    def expand(self, actions: int, steps: int, number: int) -> None:
        """As `Search._expand` does: try all that can happen in the state that heads the queue."""
        search, before = self._search, len(self._search.nodes)
        self._send(number)
        part, place = self._sent.get(number, (None, 0))
        if part is not None and part.arrived(self):
            search.note(number, self._tried(part, place, actions, steps, number))
        else:
            search._expand(actions, steps, number)
        self._sent.pop(number, None)
        for new in range(before, len(search.nodes) if self._executor is not None else 0):
            is_step = search.nodes[new].action[0] == "step"
            heapq.heappush(self._unsent, (actions + (not is_step), steps + 1, new))

    def _tried(
        self, part: _Part, place: int, actions: int, steps: int, number: int
    ) -> Iterator[tuple[bool, int | None]]:
        """As `Search._tried` gives it."""
        for each in part.tried[place]:
            if each == BREAKS:
                yield False, None
                return
            if each == NOT_AS_LEARNED:
                raise NotAsLearned
            is_step = bool(each & 1)
            met = part.numbers[each >> 1]
            if met < 0:
                picture, moves = part.met[each >> 1]
                met = self._search.meet(picture, picture.key, number, moves, actions + (not is_step), steps + 1)
                part.numbers[each >> 1] = met
            yield is_step, met

    # Sending

    def _send(self, number: int) -> None:
        """Send what is not sent yet. The head of the queue, and all that are next to it, do not wait to become many."""
        urgent = self._unsent[0][:2] if number not in self._sent and self._unsent else None
        while self._unsent and self._executor is not None:
            hurry = self._unsent[0][:2] == urgent
            if not hurry and (len(self._unsent) < self._size or len(self._sent) >= FAR or self._is_busy()):
                return
            self._submit([heapq.heappop(self._unsent)[2] for _ in range(min(int(self._size), len(self._unsent)))])

    def _is_busy(self) -> bool:
        while self._under_way and self._under_way[0].done():
            self._under_way.popleft()
        return len(self._under_way) >= UNDER_WAY

    def _submit(self, numbers: list[int]) -> None:
        assert self._executor is not None
        try:
            part = _Part(self._executor.submit(work, self._job(numbers)), len(numbers))
        except (BrokenExecutor, RuntimeError) as error:  # it is broken, or was shut down
            self._give_up(error)
            return
        self._under_way.append(part.future)
        for place, number in enumerate(numbers):
            self._sent[number] = part, place

    def _job(self, numbers: list[int]) -> Job:
        nodes, things = self._search.nodes, self._search.pictures.things
        stories: dict[Story, int] = {}
        states: list[tuple[Sent, Way]] = []
        used: set[int] = set()
        for number in numbers:
            cells, story, tasks, indices, made = nodes[number].picture
            used.update(cells, tasks)
            told = stories.setdefault(story, len(stories))
            states.append(((cells, told, tasks, indices, made), self._way(number)))
        used.discard(NOT_PRESENT)
        for thing in used:
            if thing not in self._packed:
                self._packed[thing] = pickle.dumps(things[thing], pickle.HIGHEST_PROTOCOL)
        return Job(self._name, self._kind, {thing: self._packed[thing] for thing in used}, list(stories), states)

    def _way(self, number: int) -> Way:
        """All moves that lead to a state."""
        return tuple([move for node in self._search._path(number) for move in node.moves])

    # What comes back

    def _give_up(self, error: BaseException) -> None:
        """Go on without the executor. What it has done is not lost."""
        if self._executor is not None:
            self._executor = None
            said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            warnings.warn(f"the executor failed, and the search goes on without it ({said})", stacklevel=2)

    def _read(self, answer: Answer) -> list[tuple[Picture, Way]]:
        """The pictures of an answer, with the search's own numbers."""
        numbers, actions, number = self._numbers, self._actions, self._search.pictures.number
        for place, thing in enumerate(answer.things):
            numbers[-2 - place] = numbers[number(thing)]
        stories = [self._stories.setdefault(story, story) for story in answer.stories]
        ours = numbers.__getitem__
        return [
            (
                Picture(tuple(map(ours, cells)), stories[story], tuple(map(ours, tasks)), indices, made),
                tuple([actions.setdefault(move, move) for move in moves]),
            )
            for (cells, story, tasks, indices, made), moves in answer.met
        ]


class _Part:
    """A job under way, and what came of it.

    Attributes
    ----------
    future : Future
    tried, met
        See `Answer`; the pictures are as the search has them.
    numbers : list of int
        Of the states that the pictures show, as far as the search has met them; -1: not yet.
    """

    tried: list[list[int]]
    met: list[tuple[Picture, Way]]
    numbers: list[int]

    def __init__(self, future: Future[Answer | Stranger], states: int) -> None:
        self.future, self.states = future, states
        self._has_arrived: bool | None = None

    def arrived(self, ahead: Ahead) -> bool:
        """Wait for what came of it. False: nothing did."""
        if self._has_arrived is None:
            self._has_arrived = self._arrive(ahead)
        return self._has_arrived

    def _arrive(self, ahead: Ahead) -> bool:
        search = ahead._search
        try:
            answer = self.future.result()
        except Hidden:  # of one of these states; the search refuses the kernel if it comes to it
            return False
        except Exception as error:
            ahead._give_up(error)
            return False
        if isinstance(answer, Stranger):
            raise ValueError(f"executor=: its workers cannot load {search.kernel!r} ({answer.why}): {WHAT_TRAVELS}")
        self.tried, self.met = answer.tried, ahead._read(answer)
        self.numbers = [-1] * len(self.met)
        done, moves, worlds = answer.counts
        search.done += done
        search.moves += moves
        search.worlds += worlds
        each = answer.seconds / len(answer.tried)
        ahead._size = min(max(1.0, A_WHILE / each), 2 * ahead._size, LARGEST)
        return True


class _Itself(dict[int, int]):
    """The one object that stands for each number: what is read from an answer is many objects, and memory is scarce."""

    def __missing__(self, number: int) -> int:
        self[number] = number
        return number


__all__ = ["Ahead"]
