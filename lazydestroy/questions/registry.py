"""Which experiment answers which question, and which parameters it takes."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..costs import Costs
from .answer import Answer, as_used
from .progress import Progress, listening
from .question import QUESTIONS, Question

Experiment = Callable[..., Answer]

EXPERIMENTS: dict[int, Experiment] = {}
"""The experiments, by number of the question."""

_SCENARIOS: dict[int, tuple[Callable[..., Any] | None, tuple[str, ...]]] = {}
"""To which scenario each experiment hands its further parameters, and which of that one's it chooses itself."""

_NEVER = ("progress", "_engine")


def answers(
    number: int, scenario: Callable[..., Any] | None = None, chooses: tuple[str, ...] = ()
) -> Callable[[Experiment], Experiment]:
    """Register an experiment. `scenario` gets its further parameters, but for those that it `chooses` itself."""

    def register(function: Experiment) -> Experiment:
        EXPERIMENTS[number] = function
        _SCENARIOS[number] = scenario, chooses
        return function

    return register


def question(number: object) -> Question:
    """The question of that number.

    Raises
    ------
    ValueError
        If there is none.
    """
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= len(QUESTIONS):
        raise ValueError(f"number={number!r}: use the number of a question, 1 to {len(QUESTIONS)}")
    return QUESTIONS[number - 1]


def accepted(number: int) -> dict[str, Any]:
    """Parameters that the experiment of a question takes, and their defaults."""
    own = inspect.signature(EXPERIMENTS[question(number).number]).parameters.values()
    found = {each.name: each.default for each in own if each.kind is inspect.Parameter.KEYWORD_ONLY}
    scenario, chooses = _SCENARIOS[number]
    if scenario is not None:
        for name, each in inspect.signature(scenario).parameters.items():
            if name not in chooses and name not in _NEVER:
                found.setdefault(name, each.default)
    return found


def ask(number: int, *, progress: Progress | None = None, **parameters: Any) -> Answer:
    """Answer a question of the review thread by experiment.

    Parameters
    ----------
    number : int
        1 to 12; see ``ld.QUESTIONS``.
    progress : callable, optional
        Called with how many runs of a series are done and how many there are, if the experiment makes many.
    **parameters
        Those of the experiment, such as ``memory``, ``costs``, ``kernel``. `accepted` lists them with their defaults;
        what they mean is said at `lazydestroy.reboot`, `lazydestroy.shutdown`, or at the experiment itself.

    Returns
    -------
    Answer

    Raises
    ------
    ValueError
        If there is no such question, or a value is not accepted: says which, and what is.
    TypeError
        If the experiment has no such parameter: says which ones it has.
    NotEnoughMemory
        If this computer has not the memory for a run.

    Examples
    --------
    >>> ask(1, memory="4 GiB").claims
    {'the clean-up thread makes Ultravisor Calls': True}
    """
    asked = question(number)
    names = accepted(asked.number)
    for name in parameters:
        if name not in names:
            raise TypeError(f"question {number} has no parameter {name!r}; it takes {', '.join(sorted(names))}")
    began = time.perf_counter()
    with listening(progress):
        found = EXPERIMENTS[asked.number](asked, **parameters)
    costs = parameters.get("costs") or Costs()
    rests = as_used(found.assumptions, costs)
    return replace(found, parameters=parameters, assumptions=rests, seconds=time.perf_counter() - began)
