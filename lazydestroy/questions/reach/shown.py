"""The matrix as a table and as a picture."""

from __future__ import annotations

from ..answer import Table
from ..pictures import Cell, Grid, Mood
from .accessors import ACCESSORS, ZOMBIE
from .attempt import STATES, Scenario
from .outcome import ENDS, Reach


def chosen(
    cells: tuple[Reach, ...], scenario: str | None = None, state: str | None = None, by_hand: bool = False
) -> list[Reach]:
    """Some of the cells; those of accessors that only a host with bad intentions lets do it, only if asked for."""
    return [
        cell
        for cell in cells
        if scenario in (None, cell.scenario)
        and state in (None, cell.state)
        and (by_hand or not ACCESSORS[cell.accessor].by_hand)
    ]


def table(cells: tuple[Reach, ...], shown: tuple[Scenario, ...]) -> Table:
    """All cells in words: a row for each accessor, a column for each state of the page."""
    rows: list[tuple[str, ...]] = []
    for scenario in shown:
        rows.append((f"After a {scenario}", *("" for _ in STATES)))
        for accessor in ACCESSORS:
            there = {cell.state: str(cell) for cell in cells if (cell.scenario, cell.accessor) == (scenario, accessor)}
            rows.append((accessor, *(there[state] for state in STATES)))
    return Table(("who goes for the page", *STATES), tuple(rows))


def grid(cells: tuple[Reach, ...], scenario: Scenario) -> Grid:
    """The cells of one scenario as a picture, coloured by what the accessor gets."""
    there = {(cell.accessor, cell.state): cell for cell in chosen(cells, scenario, by_hand=True)}
    moods = {mood for cell in there.values() for mood in [_mood(cell)]}
    waiting = [cell for cell in chosen(cells, scenario, "not yet cleaned") if cell.waits]
    through = {cell.accessor for cell in waiting if cell.through}
    secrets = sum(cell.reads_secret for cell in there.values())
    everybody = sum(not who.by_hand for who in ACCESSORS.values())
    return Grid(
        title=f"{scenario.capitalize()}: {len(through)} of {everybody} reach a waiting page; "
        f"{secrets or 'none'} read{'' if secrets > 1 else 's'} a secret",
        row_title="who goes for the page",
        column_title="state of the page",
        rows=tuple(ACCESSORS),
        columns=STATES,
        cells=tuple(
            tuple(Cell(there[accessor, state].short, _mood(there[accessor, state])) for state in STATES)
            for accessor in ACCESSORS
        ),
        legend=tuple((mood, words) for mood, words in _LEGEND if mood in moods),
    )


_LEGEND: tuple[tuple[Mood, str], ...] = (
    ("good", "gets the page, and nothing of what was in it"),
    ("mixed", "reads what the old guest had shared"),
    ("plain", "the old guest itself reads it"),
    ("bad", "reads a secret, or is killed"),
    ("none", "does not reach the page"),
)


def _mood(cell: Reach) -> Mood:
    if cell.reads_secret or cell.note in ENDS.values():
        return "bad"
    if not cell.through:
        return "none"
    if cell.read == "plaintext of A":
        return "plain" if cell.accessor.startswith(ZOMBIE) else "mixed"
    return "good"
