"""How sure an answer is: whether its claims, and the figures in its table, stay what they are when the costs change.

No one has published what an Ultravisor Call costs. So an experiment is made again and again, with all costs multiplied
by the same factor, and with each cost multiplied alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any

from ..costs import Costs
from ..executors import each_done, executor_of
from ..units import factor as read_factor
from ..units import several, shown
from .answer import Answer
from .question import Question
from .registry import accepted, ask, question

if TYPE_CHECKING:
    from concurrent.futures import Executor

FACTORS = (0.1, 0.3, 3, 10)
"""By what all costs are multiplied."""

EXTREMES = (0.1, 10)
"""By what a single cost is multiplied."""


@dataclass(frozen=True, slots=True, repr=False)
class Sureness:
    """What an answer owes to the costs.

    Attributes
    ----------
    question : Question
    answers : dict of str to Answer
        By what was changed: "as assumed", "all costs × 10", "destroy × 0.1" ... The first one is as assumed.
    """

    question: Question
    answers: Mapping[str, Answer]

    @property
    def base(self) -> Answer:
        """The answer with the costs as they were given."""
        return next(iter(self.answers.values()))

    @property
    def turns(self) -> dict[str, tuple[str, ...]]:
        """Each claim, and the changes of the costs at which it turns into its contrary; empty if at none."""
        return {
            claim: tuple(change for change, answer in self.answers.items() if answer.claims[claim] != held)
            for claim, held in self.base.claims.items()
        }

    @property
    def firm(self) -> bool:
        """Whether no claim turns."""
        return not any(self.turns.values())

    @property
    def figures(self) -> tuple[int, int]:
        """How many cells of its table are the same for all costs, and how many it has, names of rows left out."""
        tables = [answer.evidence.rows for answer in self.answers.values()]
        cells = [
            (row, column)
            for row in range(len(tables[0]))
            for column in range(1, len(tables[0][row]))
            if tables[0][row][column]
        ]
        same = [(row, column) for row, column in cells if len({_cell(table, row, column) for table in tables}) == 1]
        return len(same), len(cells)

    def _rows(self) -> Iterator[tuple[str, str, str]]:
        for claim, turned in self.turns.items():
            held = "yes" if self.base.claims[claim] else "no"
            yield claim, held, ", ".join(turned) if turned else f"never, in {len(self.answers) - 1} changes"

    def __repr__(self) -> str:
        same, cells = self.figures
        lines = [f"{self.question.number}. {self.question.title}"]
        lines += [f"  {claim}: {held}; turns: {turned}" for claim, held, turned in self._rows()]
        return "\n".join([*lines, f"  {same} of {cells} cells of its table do not depend on the costs"])

    def _repr_html_(self) -> str:
        left = " style='text-align:left;vertical-align:top'"
        head = "".join(f"<th{left}>{name}</th>" for name in ("claim", "holds", "turns at"))
        body = "".join("<tr>" + "".join(f"<td{left}>{escape(c)}</td>" for c in row) + "</tr>" for row in self._rows())
        same, cells = self.figures
        return (
            f"<div><b>{self.question.number}. {escape(self.question.title)}</b><table><tr>{head}</tr>{body}</table>"
            f"<p>{same} of {cells} cells of its table do not depend on the costs.</p></div>"
        )


def _cell(table: Sequence[Sequence[str]], row: int, column: int) -> str | None:
    return table[row][column] if row < len(table) and column < len(table[row]) else None


def how_sure(
    number: int,
    factors: Sequence[Any] = FACTORS,
    each: Sequence[Any] = (),
    *,
    executor: Executor | None = None,
    **parameters: Any,
) -> Sureness:
    """Answer a question with other costs, and say what turns.

    Parameters
    ----------
    number : int
        1 to 15.
    factors : sequence of float
        All costs are multiplied by each of these.
    each : sequence of float
        Every cost is multiplied by each of these alone, too; such as `EXTREMES`. Takes long.
    executor : concurrent.futures.Executor, optional
        Who asks, such as ``ProcessPoolExecutor()``. None: this process, one time after the other.
    **parameters
        As for `ask`.

    Returns
    -------
    Sureness

    Raises
    ------
    ValueError, TypeError, NotEnoughMemory
        As for `ask`; also if a cost would exceed a second.

    Examples
    --------
    >>> how_sure(1, memory="4 GiB").firm
    True
    """
    asked = question(number)
    costs = parameters.pop("costs", None)
    costs = Costs() if costs is None else costs
    if not isinstance(costs, Costs):
        raise ValueError(f"costs={shown(costs)}: use ld.Costs(...), such as ld.Costs(destroy='1.5 us')")
    takes_costs = "costs" in accepted(number)
    changes = {"as assumed": costs}
    for factor in _factors(factors, "factors"):
        changes[f"all costs × {factor:g}"] = costs.scaled(factor)
    alone = _factors(each, "each")
    for name in (field.name for field in fields(Costs)):
        changes |= {f"{name} × {factor:g}": costs.replace(**{name: _scaled(costs, name, factor)}) for factor in alone}
    if not takes_costs:
        changes = {"as assumed": costs}
    given = [{**parameters, **({"costs": changed} if takes_costs else {})} for changed in changes.values()]
    found = dict(each_done(partial(_asked, number), given, executor_of(executor)))
    return Sureness(asked, {change: found[place] for place, change in enumerate(changes)})


def _asked(number: int, given: Mapping[str, Any]) -> Answer:
    return ask(number, **given)


def _factors(values: Any, name: str) -> list[float]:
    """Numbers above 0."""
    numbers = several(values, name, "several numbers above 0, such as (0.1, 10)")
    return [float(read_factor(value, name)) for value in numbers]


def _scaled(costs: Costs, name: str, factor: float) -> int:
    """One cost, multiplied; what is above 0 stays above 0."""
    was = getattr(costs, name)
    return max(round(was * factor), min(was, 1))
