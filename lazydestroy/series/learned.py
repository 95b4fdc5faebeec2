"""What steps do, learned from steps that a machine has run.

A step can look at

* its own task: the functions that it is in, their variables, its place in a loop;
* what all tasks share: counters, handles, locks, lists, the Ultravisor's configurations. This is in parts (`PARTS`);
* pages of the guest.

Which parts and pages it was, `lazydestroy.series.watch` notes while the step runs. A step does not see the other pages,
where other tasks stand, or the search's own `Story`. If it ends or wakes other tasks, or asks for them, it is learned
for just these. If it does something to every page by itself, as DESTROY_SEC_CONF does, it is learned page by page what
that is (a sweep).

A layer could look at something else, such as a variable of its module, and then what was learned may be wrong. The
search finds that out (`lazydestroy.series.search`).
"""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import Any, NamedTuple

from .state import FLAGS, FRAMES, MARKS, PAGES, PARTS, UV, VM, Picture, Standing
from .story import ENDING, OF_A_TASK, Action
from .watch import TASKS, VCPUS, sweep_of
from .world import Said, trouble

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
    calls : int
        Ultravisor Calls that it makes.
    """

    changes: tuple[tuple[int, int], ...]
    tasks: tuple[int, ...]
    spawned: tuple[tuple[int, int], ...]
    made: int
    said: Said
    sweep: Hashable
    calls: int


class NotAsLearned(Exception):
    """A machine is in another state than what was learned says."""


class Learned:
    """What steps do on machines of one kind, on one kernel.

    Parameters
    ----------
    things : list
        What the numbers in pictures stand for (`Pictures.things`).

    Attributes
    ----------
    rules : dict
        Effects of steps: by what the step is, then by the places that it looks at, then by what it sees there.
    sweeps : dict
        What a sweep makes of a page.
    """

    def __init__(self, things: list[Any]) -> None:
        self.things = things
        self.rules: dict[Hashable, dict[tuple[int, ...], dict[tuple[int, ...], Effect]]] = {}
        self.sweeps: dict[Hashable, dict[int, int]] = {}

    def after(self, picture: Picture, move: Action) -> Picture | None:
        """The picture after a move, if it was learned what comes of it."""
        for concern in _CONCERNS:
            what, concerned = self._concerned(picture, move, concern)
            found = self._effect(what, picture)
            if found is not None:
                return self._changed(picture, move, concerned, *found)
        return None

    def _concerned(self, picture: Picture, move: Action, concern: str) -> tuple[Hashable, list[int]]:
        """What a move is, and the places of the tasks that it concerns: its own, and perhaps vCPUs or all."""
        tasks = picture.tasks
        own = [picture.indices.index(move[1])] if move[0] in OF_A_TASK else []
        what: Hashable = (move[0], tasks[own[0]]) if own else move
        if not concern:
            return what, own
        things = self.things
        others = [
            place
            for place, task in enumerate(tasks)
            if place not in own and (concern == TASKS or things[task].role[0] == "vCPU")
        ]
        concerned = own + others
        return (concern, what, tuple([tasks[place] for place in concerned])), concerned

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
        things, cells, indices, story = self.things, list(picture.cells), picture.indices, picture.story
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
        late = effect.calls if story.late and self._ends(picture, move) else 0
        if ended or late or move[0] != "step":
            handle = things[cells[VM]].handle if things[cells[FLAGS]].guest_up else 0
            story = story.after(move, ended, handle, late)
        return Picture(tuple(cells), story, tuple(after), indices, picture.made + effect.made)

    def _ends(self, picture: Picture, move: Action) -> bool:
        """Whether a move is a step of a program that ends a configuration."""
        if move[0] != "step":
            return False
        task: Standing = self.things[picture.tasks[picture.indices.index(move[1])]]
        return task.role[0] in ENDING

    def learn(
        self,
        picture: Picture,
        move: Action,
        after: Picture,
        looked_at: Collection[Any],
        slots: tuple[list[int], list[int]],
        said: Said,
        calls: int,
    ) -> None:
        """Learn what a move has done.

        Parameters
        ----------
        picture, after : Picture
            Of the machine before the move and after it.
        move : Action
        looked_at : collection
            What `watching` has noted meanwhile.
        slots : tuple of list of int
            The frames behind the guest's pages, before and after.
        said : tuple
            What was logged.
        calls : int
            Ultravisor Calls that it has made.

        Raises
        ------
        NotAsLearned
            If it makes something else of a page than the same move did before.
        """
        noted, sweep = _noted(looked_at, slots)
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
                    raise NotAsLearned
        effects = self.rules.setdefault(what, {}).setdefault(places, {})
        effects[tuple([picture.cells[here] for here in places])] = Effect(
            changes=tuple([(here, after.cells[here]) for here in places if after.cells[here] != picture.cells[here]]),
            tasks=tuple([tasks[place] for place in concerned]),
            spawned=tuple([(index - picture.made, task) for index, task in standing.items()]),
            made=after.made - picture.made,
            said=said,
            sweep=sweep,
            calls=calls,
        )


_CONCERNS = ("", VCPUS, TASKS)
"""Which tasks a step concerns beside its own: none, those of vCPUs, all."""

_NOTHING: dict[Any, Any] = {}


def _noted(looked_at: Collection[Any], slots: tuple[list[int], list[int]]) -> tuple[set[Any], Hashable]:
    """Places of the cells that were looked at, with `TASKS` and `VCPUS` if they were; and a sweep, if there was one."""
    functions = [each for each in looked_at if callable(each)]
    sweep = sweep_of(functions) if functions else None
    if functions and sweep is None:  # it cannot be told what they do to a page: then it is learned for these pages
        looked_at = {*looked_at, *slots[0]}
    return _places(looked_at, *slots), sweep


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


__all__ = ["GONE", "Effect", "Learned", "NotAsLearned"]
