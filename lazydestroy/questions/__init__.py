"""The reviewers' questions, answered by experiment.

`question` has the questions as they were asked in the mails, `ask` runs the experiment of one, and what comes
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
    leftovers,
    loops,
    notifier,
    owning,
    poisoned,
    reach,
    shortage,
    switching,
)
from .answer import Agreement, Answer, Table, resting_on
from .question import QUESTIONS, Question
from .registry import EXPERIMENTS, accepted, ask, question
from .side_by_side import Answers, answers
from .sureness import Sureness, how_sure

__all__ = [
    "EXPERIMENTS",
    "QUESTIONS",
    "Agreement",
    "Answer",
    "Answers",
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
    "leftovers",
    "loops",
    "notifier",
    "owning",
    "poisoned",
    "question",
    "reach",
    "resting_on",
    "shortage",
    "switching",
]
