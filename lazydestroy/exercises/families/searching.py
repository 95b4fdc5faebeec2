"""Problems about traces: a kernel breaks, and one says which patch it lacks.

The lessons print the *shortest* ways to harm. Here the way is a drawn one, as a stress test would meet it: on a machine
of three pages somebody does one thing after the other, until something is wrong. So a trace has rows that matter and
rows that do not, and each seed has its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from ...page import PAGE_SHIFT
from ...series import Series, Trace, v1_fixed
from ...series.bounds import Bounds
from ...series.check import bounds_of
from ...series.following import Following
from ...series.learned import Learned, NotAsLearned
from ...series.state import VM, Picture
from ...series.story import KERNEL, Action
from ...series.trace import told
from ...series.world import World
from ..numbers import Draw, Family, Numbers, Slip, Solved

_PATCHES = {"3": ("patch 3",), "4": ("patch 4",), "6": ("patch 6",), "7": ("patch 7",)}

_SAYS = {
    "3": (
        "Patch 3 is about 0x3F: a protected guest touches a page of another one. Is that raised here, and left "
        "unhandled?"
    ),
    "4": "Patch 4 is about 0x3D of a guest that is not protected. Is that raised here, and left unhandled?",
    "6": "Patch 6 is about a kernel that believes no protected guest is left. Does this kernel believe that, and when "
    "did it begin to?",
    "7": "Patch 7 is about an import that is refused although nothing else was raised. Is there one here?",
}

PAGES = 3
"""Pages of the machine: one more than the lessons search."""

LONGEST = 11
"""Moments of a trace that is short enough to be given at once."""

_ENOUGH = 300
"""Tries after which the shortest trace will do."""

_ACTIONS, _TRIES = 60, 2000


def _draw_walk(draw: Draw) -> dict[str, Any]:
    missing = draw.choose("missing", tuple(_PATCHES))
    return {
        "missing": missing,
        "low_pages": draw.choose("low pages", (0, 1)),
        "host": draw.choose("host", ((), ("io",), ("swap",))) if missing != "7" else (),
        "vcpus": draw.choose("vcpus", (1, 2)) if missing in "34" else 1,
        "walk": draw.number("walk", 1 << 32),
    }


def _bounds(kernel: Series, numbers: Numbers) -> Bounds:
    """What may happen. Guests share pages where patch 3 or 7 is missing: that they did tells nothing then."""
    names = ("low_pages", "host", "vcpus")
    given = {name: numbers[name] for name in names}
    return bounds_of(kernel, {**given, "pages": PAGES, "sharing": numbers["missing"] in "37", "failures": ()})


def kernel_of(numbers: Numbers) -> Series:
    """The kernel that lacks the patch, and what cannot do without it."""
    missing = int(numbers["missing"])
    return v1_fixed.without(missing, 11) if missing == 7 else v1_fixed.without(missing)


def _trace(numbers: Numbers) -> Trace:
    return _met(*numbers.values())


@cache
def _met(*values: Any) -> Trace:
    """The first harm that is met within few enough moments; it may take some seconds."""
    numbers = dict(zip(("missing", "low_pages", "host", "vcpus", "walk"), values, strict=True))
    kernel = kernel_of(numbers)
    bounds, draw = _bounds(kernel, numbers), Draw("walk", numbers["walk"])
    walks = _Walks(kernel, bounds, numbers["missing"])

    def drawn(attempt: int, most: int) -> Trace | None:
        actions = walks.drawn(draw, attempt, most)
        return told(kernel, bounds, actions, False) if actions else None

    # most often one of the first is short enough: then those that are not need not be followed to their end
    for attempt in range(_ENOUGH + 1):
        trace = drawn(attempt, LONGEST)
        if trace is not None and len(trace.moments) <= LONGEST:
            return trace
    best: Trace | None = None
    for attempt in range(_TRIES):
        trace = drawn(attempt, len(best.moments) - 1 if best is not None else _ACTIONS)
        if trace is not None and (best is None or len(trace.moments) < len(best.moments)):
            best = trace
        if best is not None and attempt >= _ENOUGH:
            return best
    raise RuntimeError(f"missing-patch: {_TRIES} drawn sequences did no harm without patch {numbers['missing']}")


class _Walks(Following):
    """Walks on one kernel's machines. What a step does is learned on the first of them that comes to it."""

    def __init__(self, kernel: Series, bounds: Bounds, missing: str) -> None:
        self.kernel, self.bounds, self.missing, self.learn = kernel, bounds, missing, True
        self.done = self.moves = self.worlds = 0
        world = World(kernel, bounds)
        self.pictures, self._first = world.pictures, world.picture()
        self.learned = Learned(self.pictures)

    def drawn(self, draw: Draw, attempt: int, most: int) -> list[Action]:
        """Draw what happens next, until something is wrong; empty if nothing is, or it takes more than `most` moments.

        What somebody begins is a moment; what goes on may be told along with it.
        """
        try:
            return self._walked(draw, attempt, most)
        except NotAsLearned:
            self.learn = False
            return self._walked(draw, attempt, most)

    def _walked(self, draw: Draw, attempt: int, most: int) -> list[Action]:
        actions: list[Action] = []
        picture, machine, begun = self._first, _Lagging(self), 0
        while len(actions) < _ACTIONS and (options := self.pictures.actions(picture)):
            number = draw.number(f"{attempt}/{len(actions)}", 1 << 32)
            actions.append(_drawn(options, [self._weight(picture, option) for option in options], number))
            begun += actions[-1][0] != "step"
            if begun > most:
                return []
            followed = self._follow(picture, actions[-1], (), machine.after)
            if followed is None:
                return actions
            picture, _, moves, ran = followed
            machine.left_at(ran, moves)
        return []

    def _weight(self, picture: Picture, option: Action) -> int:
        """How likely an option is."""
        name = option[0]
        if name == "exit":
            return 1
        if name != "step":
            protected = bool(self.pictures.things[picture.cells[VM]].handle)
            if name == "touch":
                return 60 if protected or option[1] == 0 else 8
            return 60 if name in ("protect", "share") else 8
        task = self.pictures.things[picture.tasks[picture.indices.index(option[1])]]
        if task.role == KERNEL and task.frames[0][0] == _CLEAN_UP:
            return 60 if self.missing == "6" else 3
        return 120 if self.missing == "6" else 400


_CLEAN_UP = "kvm_s390_pv_destroy_vm_thread"
"""The function in which the clean-up thread is."""


class _Lagging:
    """The machine of one walk. It does what is known only when something comes that is not."""

    def __init__(self, walks: _Walks) -> None:
        self._walks = walks
        self._world: World | None = None
        self._left: list[Action] = []

    def after(self, moves: list[Action]) -> World:
        """The machine, when it has done all that has happened, and then `moves`."""
        world = self._world or self._walks._world()
        self._walks._do(world, [*self._left, *moves])
        return world

    def left_at(self, world: World | None, moves: Iterable[Action]) -> None:
        """Moves were made; by the machine, too, if there is one."""
        if world is None:
            self._left += moves
        else:
            self._world, self._left = world, []


def _drawn(options: Sequence[Action], weights: Sequence[int], number: int) -> Action:
    """One of the options: the likelier, the more it serves a story that comes to its point."""
    number %= sum(weights)
    for option, weight in zip(options, weights, strict=True):
        if number < weight:
            return option
        number -= weight
    raise AssertionError("the weights add up")


_LOW = "Page 0 stands for the first 2 GiB, so it is clean when the new guest runs. "


def _state(numbers: Numbers) -> str:
    return (
        "One of the patches 3, 4, 6 and 7 is missing, with any patch that builds on it; version 1's own bugs are "
        f"fixed in it. {_LOW if numbers['low_pages'] else ''}A guest's boot image is in page 0. A stress test has met "
        "this; not every line of it matters, and what came of the last one is left out:\n\n"
        f"{shown(_trace(numbers))}\n\nWhich patch is missing? And which line is to blame? If the last line is about a "
        "page: the line since which a guest has owned that page. If it is about no page: the line in which a "
        "configuration was destroyed."
    )


def shown(trace: Trace) -> str:
    """The trace without what came of its last line, which would tell the patch at a glance."""
    *before, last = (moment.text for moment in trace.moments)
    intent, _, _ = last.partition(": ")
    lines = [*before, intent if " " in intent else f"{intent} goes on"]
    told = [f"{number:3}. {text}" for number, text in enumerate(lines, 1)]
    return "\n".join([*told, "  => here it goes wrong"])


def blamed(trace: Trace, missing: str) -> int:
    """The number of the line without which the last one would have gone well.

    That is the one in which the page in question came to its owner, or, without patch 6, the one that cleared the flag.
    """
    if missing == "6":
        return max(number for number, each in enumerate(trace.moments, 1) if "DESTROY_SEC_CONF" in each.text)
    owners = [moment.rows[_page(trace)]["owner"] for moment in trace.moments]
    since = len(owners)
    while since > 1 and owners[since - 2] == owners[-1]:
        since -= 1
    return since


def _page(trace: Trace) -> int:
    """The page that the harm is about; it tells the address, or the boot image is meant, which is in page 0."""
    found = re.search(r"at 0x([0-9a-f]+)", trace.violation)
    return int(found[1], 16) >> PAGE_SHIFT if found else 0


def _missing(numbers: Numbers) -> Solved:
    trace = _trace(numbers)
    missing = numbers["missing"]
    patch = v1_fixed[int(missing)]
    line = blamed(trace, missing)
    why = (
        f"Line {line} destroys a configuration, and with it goes the flag. The next guest's is still there."
        if missing == "6"
        else f"Since line {line}, {trace.moments[-1].rows[_page(trace)]['owner']} owns page {_page(trace)}: nothing "
        "after it has destroyed or exported that page."
    )
    return Solved(
        f"{missing}, line {line}",
        (
            f"It ends with: {trace.violation}.",
            why,
            _SAYS[missing].partition(". ")[0] + ".",
            f"So patch {missing} is missing: {patch.title}.",
            "The code finds the shortest way to such harm: compare, and you see which lines matter.",
        ),
        tuple(Slip(name, says) for name, says in _SAYS.items() if name != missing),
        f"ld.series.check(ld.series.v1_fixed.without({'7, 11' if missing == '7' else missing}), failures=())",
    )


MISSING_PATCH = Family(
    name="missing-patch",
    title="which patch is missing?",
    lesson="course/06-the-game.ipynb",
    draw=_draw_walk,
    state=_state,
    solve=_missing,
    hints=(
        "Say of each line what is ordinary about it. What is not ordinary about the last one?",
        "Keep a list of who owns each page, and of which configurations there are. Since when is it as the end has it?",
    ),
    choices=_PATCHES,
    words=2,
    seconds={f"line {number}": (str(number),) for number in range(1, 61)},
    asks="the patch, one of '3', '4', '6' and '7', and the number of the line",
    hidden=("missing",),
)

FAMILIES = (MISSING_PATCH,)
