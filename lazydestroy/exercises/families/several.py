"""The same question several times over: a word that is named blindly must not be worth much.

A problem whose answer is one of three words is solved by naming the most frequent one, every second time. So who asks
about one page of a story asks about all four of them, and who shows one broken kernel shows two.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import count
from typing import Any

from ..numbers import Draw, Family, Numbers, Slip, Solved

PAGES = 4
"""Pages of a story that have a fate of their own."""

TRACES = 2

_TRIES = 200
"""Stories that are drawn at most; about every third will do."""


def of_all_pages(family: Family) -> Family:
    """Ask a question about a page for every page that the story tells of."""
    fates = ("touch", "share", "io") if family.name == "host-reads" else ("touch", "share", "io", "untouched")

    def drawn_once(drawn: Draw) -> dict[str, Any]:
        numbers = family.draw(drawn)
        fate = {page: drawn.choose(f"fate of {page}", fates) for page in numbers["fates"]}
        return {**numbers, "fates": fate, "asked": tuple(sorted(fate))}

    def draw(drawn: Draw) -> dict[str, Any]:
        """A story whose four answers are not one word, nor one word but for one page."""
        for attempt in range(_TRIES):
            numbers = drawn_once(drawn.apart(f"story {attempt}"))
            answers = Counter(family.solve({**numbers, "asked": page}).answer for page in numbers["asked"])
            if max(answers.values()) <= PAGES // 2:
                return numbers
        raise RuntimeError(f"{family.name}: {_TRIES} stories were drawn, and in each a word is there three times")

    def state(numbers: Numbers) -> str:
        first, *others = numbers["asked"]
        more = f"{', '.join(f'page {page}' for page in others[:-1])} and page {others[-1]}"
        return (
            f"{family.state({**numbers, 'asked': first})}\n\nAnswer the same for {more}, each as if it had been asked "
            f"about instead of page {first}: {PAGES} words in this order, with commas."
        )

    def solve(numbers: Numbers) -> Solved:
        each = [family.solve({**numbers, "asked": page}) for page in numbers["asked"]]
        steps = [f"Page {page}: {' '.join(solved.steps)}" for page, solved in zip(numbers["asked"], each, strict=True)]
        return _together(each, steps)

    return replace(family, draw=draw, state=state, solve=solve, words=PAGES, blind=PAGES // 2)


def of_two_traces(family: Family) -> Family:
    """Ask a question about one broken kernel, and about another one."""

    def draw(drawn: Draw) -> dict[str, Any]:
        """Two that do not lack the same patch."""
        first = family.draw(drawn.apart("first"))
        others = (family.draw(drawn.apart("second").apart(f"other {attempt}")) for attempt in count())
        return {"first": first, "second": next(each for each in others if each["missing"] != first["missing"])}

    def state(numbers: Numbers) -> str:
        return (
            f"{family.state(numbers['first'])}\n\nAnd once more, with another kernel:\n\n"
            f"{family.state(numbers['second'])}\n\nAnswer for both, in this order, such as '3, 5, 7, 4': patch 3 and "
            "line 5, then patch 7 and line 4."
        )

    def solve(numbers: Numbers) -> Solved:
        each = [family.solve(numbers[name]) for name in ("first", "second")]
        return _together(
            each, [f"The {name}: {' '.join(solved.steps)}" for name, solved in zip(numbers, each, strict=True)]
        )

    asks = f"{family.asks}, and the same for the second"
    return replace(family, draw=draw, state=state, solve=solve, words=2 * TRACES, asks=asks, hidden=("first", "second"))


def _together(each: list[Solved], steps: list[str]) -> Solved:
    answer = ", ".join(str(solved.answer) for solved in each)
    hints = {(slip.value, slip.hint): slip for solved in each for slip in solved.slips}
    slips: tuple[Slip, ...] = tuple(hints.values())
    return Solved(answer, tuple(steps), slips, "\n\n".join(solved.code for solved in each))


__all__ = ["PAGES", "TRACES", "of_all_pages", "of_two_traces"]
