"""The reviewers' questions, answered by experiment.

`question` has the twelve questions as they were asked in the thread, `ask` runs the experiment of one, and what comes
out is an `Answer`: a verdict made of measured values, evidence, and whether it agrees with the author. What there is to
see is kept as data (`pictures`); nothing is drawn here.
"""

from __future__ import annotations

from . import (
    again,
    batches,
    calls,
    cgroup,
    entities,
    exhausted,
    leaving,
    loops,
    notifier,
    poisoned,
    reach,
    shortage,
    switching,
)
from .answer import Agreement, Answer, Table, resting_on
from .question import QUESTIONS, Question
from .registry import EXPERIMENTS, accepted, answers, ask, question
from .sureness import Sureness, how_sure

__all__ = [
    "EXPERIMENTS",
    "QUESTIONS",
    "Agreement",
    "Answer",
    "Question",
    "Sureness",
    "Table",
    "accepted",
    "again",
    "answers",
    "ask",
    "batches",
    "calls",
    "cgroup",
    "entities",
    "exhausted",
    "how_sure",
    "leaving",
    "loops",
    "notifier",
    "poisoned",
    "question",
    "reach",
    "resting_on",
    "shortage",
    "switching",
]
