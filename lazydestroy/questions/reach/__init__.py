"""Question 2: who can reach a page that waits for clean-up, and what he reads.

Every cell of the matrix is an experiment on a machine of its own, of eight pages: the old guest ends, a page of its
memory is brought into a state, somebody goes for it, and what came of that is looked up.

`accessors` has who goes for the page, `attempt` the machine on which he does, `experiment` the order of it all,
`outcome` what came of it. `answer` looks at all cells together, `verdict` says what they show, `shown` shows them.
"""

from __future__ import annotations

from .accessors import ACCESSORS, NEW_GUESTS, ZOMBIE
from .answer import SCENARIO_WORDS, reached
from .attempt import ADDRESS, PAGE, PAGES, SCENARIOS, STATES, Accessor, Attempt, PageState, Scenario
from .experiment import Recorder, reach, reach_matrix
from .outcome import ELSEWHERE, LEFT, PLACES, THE_PAGE, Reach

__all__ = [
    "ACCESSORS",
    "ADDRESS",
    "ELSEWHERE",
    "LEFT",
    "NEW_GUESTS",
    "PAGE",
    "PAGES",
    "PLACES",
    "SCENARIOS",
    "SCENARIO_WORDS",
    "STATES",
    "THE_PAGE",
    "ZOMBIE",
    "Accessor",
    "Attempt",
    "PageState",
    "Reach",
    "Recorder",
    "Scenario",
    "reach",
    "reach_matrix",
    "reached",
]
