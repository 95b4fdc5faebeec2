"""What an answer is worth that is not right yet: half for being safe, half for the experiments.

A patch that fails in the case that it is about gets half of that at most.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from ..series import Series
from ..series.check import each_checked

if TYPE_CHECKING:
    from .patching import PatchExercise


def share(exercise: PatchExercise, findings: Sequence[str], safe: bool) -> float:
    """The part of the points that an answer has earned.

    Half of them are for the searches, if none of them finds anything; the other half is divided among the experiments.
    An answer that fails in the decisive case, which is what there is to learn from the patch, keeps half of what it has
    earned.

    An answer earns nothing if it does no more than one that does nothing: a kernel that is left as it was, and one
    whose functions only return, are safe as well, and come through some of the experiments.

    Parameters
    ----------
    exercise : PatchExercise
    findings : sequence of str
        What each experiment has found missing; empty for one that is content.
    safe : bool
        Whether the searches have found nothing.

    Returns
    -------
    float
        From 0 to 1.
    """
    held = [not said for said in findings]
    more = any(mine and not idle for mine, idle in zip(held, held_when_idle(exercise), strict=True))
    if not more and not (safe and breaks_when_idle(exercise)):
        return 0.0
    earned = (safe + sum(held) / len(held)) / 2
    decided = all(good for good, probe in zip(held, exercise.probes, strict=True) if probe in exercise.decisive)
    return earned if decided else earned / 2


@cache
def held_when_idle(exercise: PatchExercise) -> tuple[bool, ...]:
    """Which experiments are content with a kernel in which nothing is written."""
    each = [[not said for said in exercise.probed(kernel)] for kernel in _idle(exercise)]
    return tuple(map(any, zip(*each, strict=True)))


@cache
def breaks_when_idle(exercise: PatchExercise) -> bool:
    """Whether the searches find every kernel unsafe in which nothing is written."""
    return all(
        any(not verdict.holds for verdict in each_checked(kernel, exercise.searches, _FAR))
        for kernel in _idle(exercise)
    )


_FAR = 50_000
"""States after which a search is given up."""


def _idle(exercise: PatchExercise) -> tuple[Series, Series]:
    """The kernel as it is, and with functions that only return."""

    def returns(self: Any, *arguments: Any) -> None:
        return None

    def returns_later(self: Any, *arguments: Any) -> Any:
        return None
        yield

    written = {
        name: returns_later if inspect.isgeneratorfunction(getattr(exercise.kernel.kernel, name, None)) else returns
        for name in exercise.writes
    }
    return exercise.kernel, exercise.kernel.plus(type("Idle", (), written))


__all__ = ["breaks_when_idle", "held_when_idle", "share"]
