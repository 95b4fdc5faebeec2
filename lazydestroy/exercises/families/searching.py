"""Problems about traces: a kernel breaks, and one says which patch it lacks.

The lessons print the *shortest* ways to harm. Here the way is a drawn one, as a stress test would meet it: on a machine
of three pages somebody does one thing after the other, until something is wrong. So a trace has rows that matter and
rows that do not, and each seed has its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from ...machine import CLEAN_UP
from ...series import Series, Trace, v1_fixed
from ...series.bounds import Bounds
from ...series.check import bounds_of
from ...series.state import Picture
from ...series.story import Action
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
    """What may happen. Guests share pages only where patch 7 is missing: with a flag that patch does not act either."""
    names = ("low_pages", "host", "vcpus")
    given = {name: numbers[name] for name in names}
    return bounds_of(kernel, {**given, "pages": PAGES, "sharing": numbers["missing"] == "7", "failures": ()})


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

    def drawn(attempt: int, most: int) -> Trace | None:
        actions = _walked(World(kernel, bounds), draw, attempt, numbers["missing"], most)
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


def _walked(world: World, draw: Draw, attempt: int, missing: str, most: int) -> list[Action]:
    """Draw what happens next, until something is wrong; empty if nothing is, or it takes more than `most` moments.

    What somebody begins is a moment; what goes on may be told along with it.
    """
    actions: list[Action] = []
    begun = 0
    picture: Picture | None = world.picture()
    while len(actions) < _ACTIONS and picture is not None and (options := world.pictures.actions(picture)):
        actions.append(_drawn(world, options, draw.number(f"{attempt}/{len(actions)}", 1 << 32), missing))
        begun += actions[-1][0] != "step"
        if begun > most:
            return []
        picture = world.act(actions[-1])
        if world.wrong:
            return actions
    return []


def _drawn(world: World, options: Sequence[Action], number: int, missing: str) -> Action:
    """One of the options: the likelier, the more it serves a story that comes to its point."""
    weights = [_weight(world, option, missing) for option in options]
    number %= sum(weights)
    for option, weight in zip(options, weights, strict=True):
        if number < weight:
            return option
        number -= weight
    raise AssertionError("the weights add up")


def _weight(world: World, option: Action, missing: str) -> int:
    """How likely an option is."""
    name = option[0]
    if name == "exit":
        return 1
    if name != "step":
        protected = bool(world.machine.kvm.pv.handle)
        if name == "touch":
            return 60 if protected or option[1] == 0 else 8
        return 60 if name in ("protect", "share") else 8
    if world.machine.engine.tasks[option[1]].name.startswith(CLEAN_UP):
        return 60 if missing == "6" else 3
    return 120 if missing == "6" else 400


def _state(numbers: Numbers) -> str:
    return (
        "One of the patches 3, 4, 6 and 7 is missing, with any patch that builds on it; version 1's own bugs are "
        "fixed in it. A stress test has met this; not every line of it matters:\n\n"
        f"{_trace(numbers)}\n\nWhich patch is missing?"
    )


def _missing(numbers: Numbers) -> Solved:
    trace = _trace(numbers)
    missing = numbers["missing"]
    patch = v1_fixed[int(missing)]
    return Solved(
        missing,
        (
            f"It ends with: {trace.violation}.",
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
    hints=("Say of each line what is ordinary about it. What is not ordinary about the last one?",),
    choices=_PATCHES,
    hidden=("missing",),
)

FAMILIES = (MISSING_PATCH,)
