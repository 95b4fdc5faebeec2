"""Question 9: what grows with the batch, what does not, and where 32 stands."""

from __future__ import annotations

import pytest

import lazydestroy as ld
from lazydestroy.questions.batches import BATCHES

SMALL = {"memory": "64 MiB", "low_memory": "4 MiB", "image": "1 MiB", "loader": "1 MiB"}
COSTS = [ld.Costs(), ld.Costs().scaled(0.1), ld.Costs().scaled(10), ld.Costs(walk="1 us"), ld.Costs(destroy=0)]


@pytest.fixture(scope="module")
def ninth() -> ld.Answer:
    return ld.ask(9, **SMALL)


def test_batches_of_all_sizes_are_tried_and_32_among_them(ninth):
    assert [each.batch for each in ninth.values["tried"]] == list(BATCHES)
    assert [each.batch for each in ld.ask(9, **SMALL, batches=(1, 100)).values["tried"]] == [1, 32, 100]


@pytest.mark.parametrize("costs", COSTS)
def test_the_longest_hold_is_the_walk_of_one_batch(costs):
    for each in ld.ask(9, **SMALL, costs=costs, batches=(1, 8, 512)).values["tried"]:
        assert each.hold_ns == each.batch * costs.walk


@pytest.mark.parametrize("costs", COSTS)
def test_nobody_waits_for_longer_than_the_lock_is_held(costs):
    for each in ld.ask(9, **SMALL, costs=costs, batches=(1, 8, 512, 4096)).values["tried"]:
        assert each.wait_ns <= each.hold_ns + costs.fault


@pytest.mark.parametrize("touch", ["sequential", "reverse", "random"])
def test_large_batches_disturb_more_imports_if_the_guest_meets_them(touch):
    tried = ld.ask(9, **SMALL, touch=touch, batches=(1, 4096)).values["tried"]
    assert tried[0].busy <= tried[-1].busy


def test_a_hole_makes_the_hold_longer():
    full, half = (ld.ask(9, **SMALL, used=used, touch="none").values["present"].hold_ns for used in (1, 0.5))
    assert half > 100 * full


def test_it_was_not_answered_in_the_thread(ninth):
    assert ninth.agrees == "not answered"
    assert "32" in ninth.verdict


def test_a_batch_that_costs_time_is_reported_as_one_that_does():
    """An import that is tried again after a millisecond: then batches matter, and the verdict says so."""
    slow = ld.ask(9, **SMALL, costs=ld.Costs(retry="1 ms"), touch="random")
    assert not slow.claims["with 32 nothing takes more than 1 % longer than with the best"]
    assert slow.verdict.startswith("A parameter could gain something")


def test_before_patch_5_there_are_no_batches():
    with pytest.raises(ValueError, match="no batches before patch 5"):
        ld.ask(9, **SMALL, kernel=ld.series.v1.upto(4))
