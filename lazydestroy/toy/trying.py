"""Random sequences on a toy and on the model beside it, and the first difference, without what it does not need."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

from .guard import Stopped
from .kinds import KINDS, Kind, Step, kind_named
from .played import Operation, Outcome, Side

SEQUENCES = 80
"""Random sequences for each step."""

TOGETHER = 20
"""And for each, when all methods are the reader's: each has been tried alone before."""

LENGTH = 16
"""Operations that are drawn for each, possible or not."""

_PAGES = (1, 2)
"""Pages that they are about: few, so that operations meet."""


class Modelled(NamedTuple):
    """An operation, what it is called at that moment, and what came of it in the model."""

    operation: Operation
    words: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a toy and the model part.

    Attributes
    ----------
    words : tuple of str
        What was done; after the last of it they differ.
    operation : Operation
        That last one.
    before : tuple of str
        Owners of the pages before it, as in `Outcome.pages`.
    toy : Outcome or Stopped
        What came of it in the toy.
    model : Outcome
        And in the model.
    operations : tuple of Operation
        All of them, to do it once more.
    """

    words: tuple[str, ...]
    operation: Operation
    before: tuple[str, ...]
    toy: Outcome | Stopped
    model: Outcome
    operations: tuple[Operation, ...]


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of all sequences: how many there were, how many operations, and the difference if there is one."""

    sequences: int
    operations: int
    difference: Difference | None
    sides: tuple[Side, ...] = ()


def tried(kind: Kind, step: Step, toy: type, ultravisor: type, sequences: int = SEQUENCES) -> Tried:
    """Try random sequences until one shows a difference."""
    count = 0
    sides = []
    for number in range(sequences):
        modelled = _drawn_and_modelled(kind.name, step.name, number)
        done, difference, side = _run(kind, toy, ultravisor, modelled)
        count += done
        sides.append(side)
        if difference is not None:
            return Tried(number + 1, count, _shortened(kind, toy, ultravisor, difference))
    return Tried(sequences, count, None, tuple(sides))


def again(kind: Kind, toy: type, ultravisor: type, operations: Sequence[Operation]) -> Difference | None:
    """The difference that these operations show, if all of them are possible."""
    return _run(kind, toy, ultravisor, _modelled(kind, operations, skip=False))[1]


@lru_cache(maxsize=2 * sum(len(kind.steps) for kind in KINDS) * SEQUENCES)
def _drawn_and_modelled(kind: str, step: str, number: int) -> tuple[Modelled, ...]:
    """A random sequence on the model: whoever tries once more need not wait for that again."""
    toys = kind_named(kind)
    return tuple(_modelled(toys, _drawn(toys.step(step), number), skip=True))


def _modelled(kind: Kind, operations: Iterable[Operation], *, skip: bool) -> Iterator[Modelled]:
    """What operations come to in the model. One that is not possible is skipped, or nothing comes after it."""
    model = kind.model_side()
    for operation in operations:
        if model.allowed(operation):
            words = model.words(operation)
            yield Modelled(operation, words, model.do(operation))
        elif not skip:
            return


def _drawn(step: Step, number: int) -> Iterator[Operation]:
    """Operations for a step: the same on every computer."""
    draw = random.Random(f"{step.name} {number}").random
    verbs, ends = list(step.verbs), list(accumulate(step.verbs.values()))
    for _ in range(LENGTH):
        at = draw() * ends[-1]
        verb = next(verb for verb, end in zip(verbs, ends, strict=True) if at < end)
        guest, page = "AB"[draw() < 0.5], _PAGES[draw() < 0.5]
        yield _about(verb, "" if verb == "touch" and draw() < 0.3 else guest, page)


_ABOUT_NO_PAGE = ("stop", "reboot", "protect", "clean_up")
_ABOUT_NO_GUEST = ("export_page", "destroy_page", "reboot", "protect", "clean_up", "read", "late", "share")


def _about(verb: str, guest: str, page: int) -> Operation:
    """An operation without what does not matter to it."""
    return Operation(verb, "" if verb in _ABOUT_NO_GUEST else guest, -1 if verb in _ABOUT_NO_PAGE else page)


def _run(kind: Kind, toy: type, ultravisor: type, modelled: Iterable[Modelled]) -> tuple[int, Difference | None, Side]:
    """Do on the toy what was done on the model, up to the first difference. How much was done, and that difference."""
    side = kind.toy_side(toy, ultravisor)
    done: list[Operation] = []
    words: list[str] = []
    before: tuple[str, ...] = ()
    for operation, said, theirs in modelled:
        done.append(operation)
        words.append(said)
        mine = _done(side, operation)
        if isinstance(mine, Stopped) or not mine.agrees(theirs):
            return len(done), Difference(tuple(words), operation, before, mine, theirs, tuple(done)), side
        before = theirs.pages
    return len(done), None, side


def _done(side: Side, operation: Operation) -> Outcome | Stopped:
    try:
        return side.do(operation)
    except Stopped as stopped:
        return stopped


def _shortened(kind: Kind, toy: type, ultravisor: type, difference: Difference) -> Difference:
    """Leave out operations, one after the other, as long as there is a difference."""
    place = 0
    while place < len(difference.operations):
        fewer = difference.operations[:place] + difference.operations[place + 1 :]
        found = again(kind, toy, ultravisor, fewer) if fewer else None
        if found is None:
            place += 1
        else:
            difference, place = found, 0
    return difference


__all__ = ["LENGTH", "SEQUENCES", "TOGETHER", "Difference", "Tried", "again", "tried"]
