"""Exercises that check themselves: patches to be written, numbers to be predicted; and what has been solved.

``exercise(name, seed=...)`` gives one; `EXERCISES` has their names. `Exercise.check` says whether an answer is right,
and otherwise where to look; `Exercise.solution` explains. Every answer is computed by the model when it is asked for.
"""

from __future__ import annotations

from ..units import shown, whole_number
from .families import FAMILIES
from .feedback import Feedback, Solution
from .numbers import NumberExercise
from .patches import PATCHES
from .patching import PatchExercise
from .session import Progress, progress
from .student import student
from .task import Exercise

_PATCHES = {found.name: found for found in PATCHES}

_FAMILIES = {found.name: found for found in FAMILIES}

EXERCISES = (*_FAMILIES, *_PATCHES)
"""Names of all exercises."""


def exercise(name: str, seed: int | str | None = None) -> Exercise:
    """An exercise.

    Parameters
    ----------
    name : str
        One of `EXERCISES`.
    seed : int or str, optional
        Draws the numbers of a problem that has some: a student's id, say. The same seed gives the same numbers
        everywhere; without one it is 0.

    Returns
    -------
    Exercise

    Raises
    ------
    ValueError
        If there is no such exercise, or it has no numbers that a seed could draw.

    Examples
    --------
    >>> problem = exercise("flat-floor", seed=7)
    >>> problem.check("1 ms").right
    False
    """
    if not isinstance(name, str):
        raise ValueError(f"name={shown(name)}: use one of {', '.join(EXERCISES)}")
    if name in _PATCHES:
        if seed is not None:
            raise ValueError(f"seed={shown(seed)}: {name} is the same for every student; leave the seed out")
        return _PATCHES[name]
    if name in _FAMILIES:
        try:
            number = 0 if seed is None else seed
            drawn = str(seed) if isinstance(seed, str) else whole_number(number, "seed", -(10**99), 10**99)
        except ValueError:
            raise ValueError(f"seed={shown(seed)}: use a whole number or a text, such as a student's id") from None
        return NumberExercise(_FAMILIES[name], drawn)
    raise ValueError(f"name={shown(name)}: use one of {', '.join(EXERCISES)}")


__all__ = [
    "EXERCISES",
    "Exercise",
    "Feedback",
    "NumberExercise",
    "PatchExercise",
    "Progress",
    "Solution",
    "exercise",
    "progress",
    "student",
]
