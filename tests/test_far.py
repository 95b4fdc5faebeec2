"""How far a large search got: what is stored is what a search finds, and how the rest is estimated."""

import numpy as np
import pytest

import lazydestroy as ld
from benchmarks.wide import BOUNDS, SEARCHES, levels_of, reached
from lazydestroy.series.check import bounds_of
from lazydestroy.series.far import Far, guesses, how_far
from lazydestroy.series.search import Search
from tests.marks import long_unless

DEPTH = 5
"""So many levels are searched again here: seconds, not minutes."""


@pytest.mark.parametrize(("kernel", "failures"), SEARCHES, ids=str)
def test_what_is_stored_begins_as_a_search_does_here(kernel, failures):
    (far,) = (each for each in how_far() if each.kernel == repr(kernel))
    search = Search(kernel, bounds_of(kernel, {**BOUNDS, "failures": failures}))
    for _ in search:
        if search.queue[0][0] == DEPTH:
            break
    assert levels_of(search)[:DEPTH] == far.levels[:DEPTH]
    assert DEPTH < far.complete <= len(far.levels)
    assert far.states > far.dealt_with and not far.broken and not far.exhausted


TWO = {"most_failures": 2}
TRIED = (
    (ld.series.linux_6_2, {"failures": ("DESTROY_SEC_CONF", "set-aside structure"), **TWO}),
    (ld.series.v1_fixed, {"failures": ("DESTROY_SEC_CONF", "list page"), **TWO}),
    (ld.series.v1_fixed, {}),
    (ld.series.v1_fixed, {"pages": 3, "failures": ()}),
    (ld.series.v1_fixed, {"vcpus": 2, "failures": ()}),
    (ld.series.linux_6_2, {"vcpus": 2, "failures": (), "host": "io"}),
    (ld.series.v1_fixed, {"configurations": 3, "resets": 2, "failures": (), "sharing": False}),
    (ld.series.linux_6_2, {"configurations": 3, "resets": 2, "failures": (), "sharing": False}),
)
"""Searches that come to their end, so that the true number of states is known."""


@pytest.mark.parametrize(
    ("kernel", "bounds"),
    long_unless(lambda value: value is TRIED[0], "a search that comes to its end takes seconds", TRIED),
    ids=str,
)
def test_once_the_largest_level_and_the_next_are_complete_the_estimate_is_off_by_a_half_at_most(kernel, bounds):
    search = Search(kernel, bounds_of(kernel, bounds))
    for _ in search:
        pass
    levels = levels_of(search)
    assert sum(levels) == len(search.nodes)
    for complete in range(int(np.argmax(levels)) + 2, len(levels)):
        assert all(0.5 < guess / sum(levels) < 1.5 for guess in guesses(levels[:complete]))


def test_of_a_bell_curve_the_rest_is_guessed_right():
    levels = tuple(np.exp(-((np.arange(12) - 6) ** 2) / 4) * 1e6)
    for complete in range(5, 12):
        assert all(guess == pytest.approx(sum(levels), rel=1e-3) for guess in guesses(levels[:complete]))


def test_while_the_growth_does_not_slow_down_there_is_no_estimate():
    assert guesses((1, 2, 6, 30, 300)) == []
    far = Far("kernel", (1, 2, 6, 30, 300, 9), 5, 40, 100, 1.0, 1.0, 1 << 30, exhausted=False, broken="")
    assert far.in_all is None and "can't be told yet" in far.cells()


def test_of_what_is_exhausted_nothing_is_estimated():
    far = Far("kernel", (1, 2, 3), 3, 6, 100, 1.0, 1.0, 1 << 30, exhausted=True, broken="")
    assert far.in_all == (6, 6)


def test_a_search_that_breaks_says_how(monkeypatch):
    monkeypatch.setattr("benchmarks.wide.BOUNDS", {"pages": 1, "sharing": False})
    far = reached(ld.series.v1, (), 60, 1, 1 << 40)
    assert far.broken == ld.series.check(ld.series.v1, pages=1, sharing=False, failures=()).trace.violation
    assert any(far.broken in cell for cell in far.cells())


def test_the_table_says_when_and_on_what_it_was_measured():
    table = how_far()
    for shown in (repr(table), table._repr_html_()):
        assert table.on in shown and table.machine in shown and "3 pages; 2 vCPUs; 3 configurations" in shown
        assert "ld.series.linux_6_2" in shown
