"""Which experiment answers which question, and which parameters it takes."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..costs import Costs
from ..series import Series, v1
from ..units import expect_progress, plain, shown, whole_number
from .answer import Answer, as_used
from .common import kernel_words, number_in
from .progress import Progress, listening
from .question import QUESTIONS, Question

Experiment = Callable[..., Answer]

EXPERIMENTS: dict[int, Experiment] = {}
"""The experiments, by number of the question."""

_SCENARIOS: dict[int, tuple[Callable[..., Any] | None, tuple[str, ...]]] = {}
"""To which scenario each experiment hands its further parameters, and which of that one's it chooses itself."""

_NEVER = ("film", "progress", "_engine")

_ABOUT = {1: (8,), 2: (3, 4, 7, 8), 3: (9,), 4: (9,), 5: (8,), 6: (8,), 7: (3, 4, 8), 8: (9,), 12: (1,)}
"""Patches that the author's answers are about. Nothing he says applies to a kernel without them."""

_LAZY = (1, 2, 3, 4, 5, 6, 7, 8)
"""Answers that are about lazy destroy when it is on."""


def answering(
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
    try:
        return QUESTIONS[whole_number(number, "number", 1, len(QUESTIONS)) - 1]
    except ValueError:
        accepted = f"use the number of a question, 1 to {len(QUESTIONS)}"
        raise ValueError(f"number={shown(number)}: {accepted}") from None


def accepted(number: int) -> dict[str, Any]:
    """Parameters that the experiment of a question takes, and their defaults."""
    own = inspect.signature(EXPERIMENTS[question(number).number]).parameters.values()
    found = {each.name: each.default for each in own if each.kind is inspect.Parameter.KEYWORD_ONLY}
    scenario, chooses = _SCENARIOS[int(number)]
    if scenario is not None:
        for name, each in inspect.signature(scenario).parameters.items():
            if name not in chooses and name not in _NEVER:
                found.setdefault(name, each.default)
    return found


def ask(number: int, *, progress: Progress | None = None, **parameters: Any) -> Answer:
    """Answer a question of the reviewers by experiment.

    Parameters
    ----------
    number : int
        1 to 15; see ``ld.QUESTIONS``.
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
    {'the clean-up thread makes Ultravisor Calls that do something': True}
    """
    asked = question(number)
    names = accepted(asked.number)
    for name in parameters:
        if name not in names:
            raise TypeError(f"question {asked.number} has no parameter {name!r}; it takes {', '.join(sorted(names))}")
    expect_progress(progress, 2, "the runs done and their number")
    parameters = {name: plain(value, name) for name, value in parameters.items()}
    _checked(parameters)
    began = time.perf_counter()
    with listening(progress):
        found = EXPERIMENTS[asked.number](asked, **parameters)
    rests = as_used(found.assumptions, parameters.get("costs") or Costs())
    seconds = time.perf_counter() - began
    return replace(_if_it_applies(found, parameters), parameters=parameters, assumptions=rests, seconds=seconds)


def _if_it_applies(found: Answer, parameters: dict[str, Any]) -> Answer:
    """The same, unless the author spoke of another kernel: then there is nothing to agree with."""
    number, kernel = found.question.number, parameters.get("kernel", v1)
    missing = [patch for patch in _ABOUT.get(number, ()) if number_in(kernel, patch) is None]
    if found.agrees == "not answered" or not (missing or (number in _LAZY and parameters.get("lazy_destroy") is False)):
        return found
    of = kernel_words(kernel, parameters.get("lazy_destroy"))
    return replace(found, agrees="does not apply", agreement=f"He spoke of version 1, not of {of}.")


def _checked(parameters: dict[str, Any]) -> None:
    """Refuse what no experiment could work with, before it begins."""
    kernel, costs = parameters.get("kernel", v1), parameters.get("costs")
    if not isinstance(kernel, Series):
        raise ValueError(f"kernel={shown(kernel)}: use a kernel such as ld.series.v1 or ld.series.v1.without(3)")
    if costs is not None and not isinstance(costs, Costs):
        raise ValueError(f"costs={shown(costs)}: use ld.Costs(...), such as ld.Costs(destroy='1.5 us')")
