"""How sure we are: claims that no cost can turn, and those that turn, are told apart by experiment."""

from __future__ import annotations

import pytest

import lazydestroy as ld
from lazydestroy.questions import Sureness, how_sure
from lazydestroy.questions.sureness import EXTREMES

SMALL = {"memory": "64 MiB", "low_memory": "16 MiB"}
TIGHT = {"memory": "256 MiB", "host_memory": "288 MiB", "rates": ("2 GiB/s", "16 GiB/s")}


def test_the_first_answer_is_the_one_with_the_costs_as_given():
    found = how_sure(7, **SMALL, costs=ld.Costs(destroy="2 us"))
    assert found.base.parameters["costs"].destroy == 2000
    assert [answer.parameters["costs"].destroy for answer in found.answers.values()] == [2000, 200, 600, 6000, 20000]


@pytest.mark.parametrize(("number", "memory"), [(1, "64 MiB"), (5, "4 GiB"), (7, "64 MiB")])
def test_these_hold_for_all_costs_together_and_for_each_alone(number, memory):
    found = how_sure(number, each=EXTREMES, memory=memory, low_memory="16 MiB")
    assert len(found.answers) == 1 + 4 + 2 * 17
    assert found.firm, found.turns


def test_a_small_guest_may_be_clean_before_its_successor_has_a_configuration():
    found = how_sure(5, each=EXTREMES, **SMALL)
    assert "destroy × 0.1" in found.turns["two secure configurations exist at the same time"]


def test_that_somebody_is_killed_for_want_of_memory_holds_for_any_costs():
    """At which pace depends on them; that there is such a pace does not."""
    found = how_sure(3, **TIGHT)
    assert found.firm, found.turns
    paces = [answer.values["turning_rate"].yes for answer in found.answers.values()]
    assert len(set(paces)) == len(paces)


def test_a_claim_that_turns_is_told_with_the_costs_at_which_it_does():
    found = how_sure(4, factors=(100,), **TIGHT)
    claim = "with the notifier fewer are killed"
    assert found.turns[claim] == ("all costs × 100",)
    assert "all costs × 100" in repr(found)
    assert "all costs × 100" in found._repr_html_()


@pytest.mark.parametrize("given", [{"factors": 2}, {"factors": ("x",)}, {"each": (-1,)}, {"each": "0.1"}, {"costs": 5}])
def test_factors_that_make_no_sense_are_refused(given):
    with pytest.raises(ValueError, match=next(iter(given)).rstrip("s")):
        how_sure(1, **SMALL, **given)


def test_a_claim_that_flips_is_seen_to_flip():
    base, other = ld.ask(1, **SMALL), ld.ask(1, **SMALL, kernel=ld.series.v1.upto(0))
    found = Sureness(base.question, {"as assumed": base, "before": other})
    assert found.turns == {"the clean-up thread makes Ultravisor Calls that do something": ("before",)}


def test_counts_do_not_depend_on_costs_and_times_do():
    same, cells = how_sure(1, **SMALL, touch="none").figures
    assert cells - same == 2, "the two moments at which the foreground is free"


def test_a_cost_above_a_second_is_refused():
    with pytest.raises(ValueError, match="factor"):
        how_sure(1, factors=(1e9,), **SMALL)
