"""What steps do, learned from steps that a machine has run.

A step can look at

* its own task: the functions that it is in, their variables, its place in a loop;
* what all tasks share: counters, handles, locks, lists, the Ultravisor's configurations. This is in parts (`PARTS`);
  of some parts a step looks at the rows of one configuration, call or allocation only (`IN_ROWS`);
* pages of the guest, each by the fields of its record (`lazydestroy.series.fields`).

Which parts and fields it was, `lazydestroy.series.watch` notes while the step runs. A step does not see the other
pages, where other tasks stand, or the search's own `Story`. If it ends or wakes other tasks, or asks for them, it is
learned for just these. If it does something to every page by itself, as DESTROY_SEC_CONF does, it is learned page by
page what that is (a sweep).

A layer could look at something else, such as a variable of its module, and then what was learned may be wrong. The
search finds that out (`lazydestroy.series.search`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from .fields import EVERY, PRESENT, Alike, Fields, different, replaced, values_of
from .state import FLAGS, FRAMES, MARKS, NOT_PRESENT, PAGES, PARTS, UV, VM, Picture, Standing, rows_of
from .story import ENDING, OF_A_TASK, Action
from .watch import TASKS, VCPUS, sweep_of
from .world import Said, trouble

if TYPE_CHECKING:
    from .picture import Pictures

MANY = 1_000_000
"""Effects that can be looked up at once, at most: each costs 200 bytes or so."""

GONE = -1
"""Stands for where a task stands that has ended."""


class Effect(NamedTuple):
    """What a step does, and what is logged of it.

    Attributes
    ----------
    changes : tuple of (int, int)
        Cells that it changes: their places, and what they are afterwards.
    fields : tuple of (int, Fields)
        Pages of which it changes fields: their places, and what these fields are afterwards.
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
    goes_on : bool
        It is a step that concerns its own task only, which goes on; it starts no other, and logs nothing. Most steps
        are like that.
    """

    changes: tuple[tuple[int, int], ...]
    fields: tuple[tuple[int, Fields], ...]
    tasks: tuple[int, ...]
    spawned: tuple[tuple[int, int], ...]
    made: int
    said: Said
    sweep: Hashable
    calls: int
    goes_on: bool


class NotAsLearned(Exception):
    """A machine is in another state than what was learned says."""


class Learned:
    """What steps do on machines of one kind, on one kernel.

    Parameters
    ----------
    pictures : Pictures
        Knows what the numbers in pictures stand for.

    Attributes
    ----------
    rules : dict
        Effects of steps: by what the step is, then by the places that it looks at, then by what it sees there. Where it
        looks at some fields of a page only, the place has these fields in its higher bits (`_FIELDS`). Where it looks
        at some rows of a part only, the place is a pair: the part, and whose rows.
    sweeps : dict
        What a sweep makes of a page.
    """

    def __init__(self, pictures: Pictures) -> None:
        self.things, self._number = pictures.things, pictures.number
        self.rules: dict[Hashable, dict[_Places, _Effects]] = {}
        self.sweeps: dict[Hashable, dict[int, int]] = {}
        self._known: dict[Hashable, dict[tuple[int, ...], tuple[tuple[int, ...], Effect]]] = {}
        self._many = 0
        self._concern: dict[Hashable, list[str]] = {}
        self._ways: dict[Hashable, list[_Way]] = {}
        self._alike: dict[Hashable, Alike | _Rows] = {}
        self._replaced: dict[tuple[int, Fields], int] = {}

    def load(self, rules: dict[Hashable, Any], sweeps: dict[Hashable, dict[int, int]]) -> None:
        """Take over what was learned by another: its `rules` and its `sweeps`."""
        self.rules, self.sweeps = rules, sweeps
        for what in rules:
            self._note_concern(what)

    def after(self, picture: Picture, move: Action) -> Picture | None:
        """The picture after a move, if it was learned what comes of it."""
        cells, story, tasks, indices, made = picture
        place = indices.index(move[1]) if move[0] in OF_A_TASK else -1
        own: Hashable = move if place < 0 else (move[0], tasks[place])
        for concern in self._concern.get(own, ()):
            what, concerned = (
                self._concerned(tasks, own, place, concern) if concern else (own, () if place < 0 else (place,))
            )
            if what not in self.rules:
                continue
            known = self._known.setdefault(what, {})
            found = known.get(cells)
            if found is None:
                found = self._effect(what, cells)
                if found is None:
                    continue
                self._remember(known, cells, found)
            if not found[1].goes_on or story.late:
                return self._changed(picture, move, concerned, *found)
            cells, effect = found
            if effect.tasks[0] != tasks[place]:
                tasks = (*tasks[:place], effect.tasks[0], *tasks[place + 1 :])
            return Picture(cells, story, tasks, indices, made + effect.made)
        return None

    def _remember(self, known: dict[Any, Any], cells: tuple[int, ...], found: tuple[tuple[int, ...], Effect]) -> None:
        """Look it up at once the next time. Now and then all of this is forgotten: it is found again in the rules."""
        self._many += 1
        if self._many > MANY:
            self.forget_pictures()
        known[cells] = found

    def forget_pictures(self) -> None:
        """Forget for which pictures something was looked up, and keep the rules."""
        self._many = 0
        for each in self._known.values():
            each.clear()

    def _concerned(
        self, tasks: tuple[int, ...], own: Hashable, place: int, concern: str
    ) -> tuple[Hashable, Sequence[int]]:
        """What a move is, and the places of the tasks that it concerns: its own, and perhaps vCPUs or all."""
        mine = () if place < 0 else (place,)
        if not concern:
            return own, mine
        things = self.things
        others = [
            other
            for other, task in enumerate(tasks)
            if other != place and (concern == TASKS or things[task].role[0] == "vCPU")
        ]
        concerned = (*mine, *others)
        return (concern, own, tuple([tasks[other] for other in concerned])), concerned

    def _note_concern(self, what: Any) -> None:
        """Note under which concern something of a move was learned."""
        concern, own = (what[0], what[1]) if what[0] in _CONCERNS else ("", what)
        concerns = self._concern.setdefault(own, [])
        if concern not in concerns:
            concerns.append(concern)
            concerns.sort(key=_CONCERNS.index)

    def _effect(self, what: Hashable, cells: tuple[int, ...]) -> tuple[tuple[int, ...], Effect] | None:
        """What was learned of a step: the cells after it, and its effect."""
        ways = self._ways.get(what)
        if ways is None:
            ways = self._ways[what] = [self._way(places, effects) for places, effects in self.rules[what].items()]
        for whole, partly, effects, places in ways:
            # pages that differ in nothing that is looked at are the same
            seen: tuple[Hashable, ...] = whole(cells)
            effect = effects.get((*seen, *[alike[cells[here]] for here, alike in partly]) if partly else seen)
            if effect is None:
                continue
            swept = self._swept(cells, places, effect) if effect.sweep is not None else _NOTHING
            if swept is not None:
                return self._cells_after(cells, swept, effect), effect
        return None

    def _cells_after(self, cells: tuple[int, ...], swept: dict[int, int], effect: Effect) -> tuple[int, ...]:
        if not (swept or effect.changes or effect.fields):
            return cells
        after = list(cells)
        for place, cell in swept.items():
            after[place] = cell
        for place, cell in effect.changes:
            after[place] = cell
        for place, fields in effect.fields:
            after[place] = self._with(after[place], fields)
        return tuple(after)

    def _way(self, places: _Places, effects: _Effects) -> _Way:
        # a step always looks at several whole cells, so what reads them returns a tuple
        whole = itemgetter(*[place for place in places if isinstance(place, int) and place <= _PLACE])
        partly = []
        for place in places:
            if not isinstance(place, int):
                partly.append((place[0], self._alike.setdefault(place[1], _Rows(place[1], self.things))))
            elif place > _PLACE:
                fields, page = divmod(place, 1 << _FIELDS)
                partly.append((page, self._alike.setdefault(("fields", fields), Alike(fields, self.things))))
        return whole, partly, effects, places

    def _swept(self, cells: tuple[int, ...], places: _Places, effect: Effect) -> dict[int, int] | None:
        """The pages that a sweep changes, with what they are then. None: for one of them that was not learned yet."""
        becomes, swept = self.sweeps[effect.sweep], {}
        for place in range(PAGES, len(cells)):
            if place not in places:
                if cells[place] not in becomes:
                    return None
                swept[place] = becomes[cells[place]]
        return swept

    def _changed(
        self, picture: Picture, move: Action, concerned: Sequence[int], cells: tuple[int, ...], effect: Effect
    ) -> Picture | None:
        """A picture after a step. None: something was logged then that is not to be expected here."""
        _, story, before, indices, made = picture
        if effect.said and trouble(effect.said, story.failed):
            return None
        things, after, ended = self.things, list(before), []
        for place, task in zip(concerned, effect.tasks, strict=True):
            after[place] = task
        if GONE in effect.tasks:
            ended = [things[was].role for was, now in zip(before, after, strict=True) if now == GONE]
            indices = tuple([index for index, task in zip(indices, after, strict=True) if task != GONE])
            after = [task for task in after if task != GONE]
        for number, task in effect.spawned:
            indices += (made + number,)
            after.append(task)
        late = effect.calls if story.late and self._ends(picture, move) else 0
        if ended or late or move[0] != "step":
            handle = things[cells[VM]].handle if things[cells[FLAGS]].guest_up else 0
            story = story.after(move, ended, handle, late)
        return Picture(cells, story, tuple(after), indices, made + effect.made)

    def _with(self, page: int, fields: Fields) -> int:
        """The number of a page's record with some fields replaced."""
        number = self._replaced.get((page, fields))
        if number is None:
            number = self._replaced[page, fields] = self._number(replaced(self.things[page], fields))
        return number

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
        looked_at: Mapping[Any, tuple[int, int]],
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
        looked_at : Touched
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
        functions = [each for each in looked_at if callable(each)]
        sweep = sweep_of(functions) if functions else None
        if functions and sweep is None:  # it cannot be told what they do to a page: then it is learned for these pages
            looked_at = {**looked_at, **dict.fromkeys(slots[0], (EVERY, EVERY))}
        noted = _places(looked_at, *slots)
        standing = dict(zip(after.indices, after.tasks, strict=True))
        tasks = tuple([standing.pop(index, GONE) for index in picture.indices])
        moved = {place for place, (now, was) in enumerate(zip(tasks, picture.tasks, strict=True)) if now != was}
        least = TASKS if TASKS in noted else VCPUS if VCPUS in noted else ""
        place = picture.indices.index(move[1]) if move[0] in OF_A_TASK else -1
        own: Hashable = move if place < 0 else (move[0], picture.tasks[place])
        for concern in _CONCERNS[_CONCERNS.index(least) :]:
            what, concerned = self._concerned(picture.tasks, own, place, concern)
            if moved <= set(concerned):
                break
        if sweep is not None:
            self._learn_sweep(sweep, picture, after, noted)
        rows = _rows(looked_at)
        places: list[_Place] = []
        changes, fields = [], []
        for here, (was, now) in enumerate(zip(picture.cells, after.cells, strict=True)):
            if here not in noted and here in rows and was == now:
                places += [(here, whose) for whose in sorted(rows[here])]
                continue
            if here not in noted and (was == now or (sweep is not None and here >= PAGES)):
                continue
            read = written = EVERY
            if here >= PAGES and sweep is None and here in noted:
                frames = slots[0][here - PAGES], slots[1][here - PAGES]
                read, written = self._fields_of(looked_at, frames, was, now)
            if read == EVERY:
                places.append(here)
                changes += [(here, now)] if now != was else []
                continue
            places += [here | read << _FIELDS] if read else []
            fields += [(here, (written, values_of(self.things[now], written)))] if written else []
        self._note_concern(what)
        ways = self.rules.setdefault(what, {})
        if tuple(places) not in ways:
            ways[tuple(places)] = {}
            self._ways.pop(what, None)
        whole, partly, effects, _ = self._way(tuple(places), ways[tuple(places)])
        stand = tuple([tasks[place] for place in concerned])
        effects[(*whole(picture.cells), *[alike[picture.cells[here]] for here, alike in partly])] = Effect(
            changes=tuple(changes),
            fields=tuple(fields),
            tasks=stand,
            spawned=tuple([(index - picture.made, task) for index, task in standing.items()]),
            made=after.made - picture.made,
            said=said,
            sweep=sweep,
            calls=calls,
            goes_on=move[0] == "step" and len(stand) == 1 and GONE not in stand and not standing and not said,
        )

    def _learn_sweep(self, sweep: Hashable, picture: Picture, after: Picture, noted: set[Any]) -> None:
        """Learn what a sweep makes of the pages that the step has not looked at otherwise."""
        becomes = self.sweeps.setdefault(sweep, {})
        for here in range(PAGES, len(picture.cells)):
            was, now = picture.cells[here], after.cells[here]
            if here not in noted and becomes.setdefault(was, now) != now:
                raise NotAsLearned

    def _fields_of(
        self, looked_at: Mapping[Any, tuple[int, int]], frames: tuple[int, int], was: int, now: int
    ) -> tuple[int, int]:
        """Of a page that was looked at: which fields of its record decide what happens, and which are set.

        It is all of them if the page comes or goes, or gets another frame: then it counts among the other frames, too.
        """
        before, after = frames
        if was == NOT_PRESENT or now == NOT_PRESENT or before != after or before not in looked_at:
            return EVERY, EVERY
        read, written = looked_at[before]
        if different(self.things[was], self.things[now]) & ~written:
            return EVERY, EVERY
        return read | PRESENT if written else read, written


_FIELDS = 8
"""Bits of a place that say which cell it is. The higher ones are fields of a page; if there are none, it is all."""

_PLACE = (1 << _FIELDS) - 1

_Place = int | tuple[int, Any]
_Places = tuple[_Place, ...]
_Effects = dict[tuple[Hashable, ...], Effect]

_Way = tuple[Callable[[tuple[int, ...]], tuple[Hashable, ...]], list[tuple[int, "Alike | _Rows"]], _Effects, _Places]
"""Places that a step looks at: what reads whole cells; cells of which it looks at a part, with what reads that; the
effects that were learned; and the places themselves."""


class _Rows(dict[int, Hashable]):
    """The rows of one configuration, call or allocation in parts, by the number of the part."""

    def __init__(self, whose: Hashable, things: list[Any]) -> None:
        super().__init__()
        self.whose, self.things = whose, things

    def __missing__(self, number: int) -> Hashable:
        rows = self[number] = rows_of(self.things[number], self.whose)
        return rows


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
    if MARKS in places:  # each configuration has its mark
        places.add(UV)
    elif places & {FRAMES, VM}:
        places.add(MARKS)
    return places | {TASKS, VCPUS}.intersection(noted)


def _rows(noted: Collection[Any]) -> dict[int, set[Any]]:
    """Whose rows were looked at, by the place of the part."""
    rows: dict[int, set[Any]] = {}
    for each in noted:
        if isinstance(each, tuple):
            rows.setdefault(PARTS.index(each[0]), set()).add(each[1])
    return rows


__all__ = ["GONE", "Effect", "Learned", "NotAsLearned"]
