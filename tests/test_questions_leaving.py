"""Question 10: where the thread stops when the process exits, and who does the rest."""

from __future__ import annotations

import pytest

import lazydestroy as ld
from lazydestroy.machine import CLEAN_UP
from lazydestroy.uvcb import UVC

SMALL = {"memory": "64 MiB", "low_memory": "4 MiB", "image": "1 MiB", "loader": "1 MiB"}
V1 = ld.series.v1
COSTS = [ld.Costs(), ld.Costs().scaled(0.1), ld.Costs().scaled(10), ld.Costs(noop="3 us")]


@pytest.mark.parametrize("costs", COSTS)
@pytest.mark.parametrize("kernel", [V1, V1.upto(8), ld.series.v1_fixed.plus()])
def test_the_walk_stops_after_its_batch_and_its_own_mmput_exports_the_rest(costs, kernel):
    found = ld.ask(10, **SMALL, costs=costs, kernel=kernel, moments=(0.2, 0.8), segment_table=0)
    assert found.claims["the walk stops after the batch at hand"]
    assert found.claims["the rest is exported by the clean-up thread, in its own mmput"]
    assert found.claims["wait() returns long before all is clean"]


def test_the_later_the_exit_the_more_has_been_walked():
    left = ld.ask(10, **SMALL).values["left"]
    walked = [each.walked for each in left.values()]
    assert walked == sorted(walked)
    assert 0 < walked[0] < walked[-1] < 16384


def test_every_page_is_exported_by_somebody_once():
    found = ld.ask(10, **SMALL)
    run = found.values["runs"][found.values["shown"].exit_ns]
    assert run.by_actor[CLEAN_UP][UVC.CONV_FROM_SEC_STOR] == sum(found.values["shown"].exports.values()) == 16384


def test_the_thread_walks_on_for_at_most_a_batch():
    given = {**SMALL, "new_guest": "normal", "touch": "none", "exit_at": "12 ms"}
    small, large = (ld.reboot(**given, destroy_loop_threshold=batch) for batch in (32, 2048))
    walked = [int(run.timeline["pages"][run.timeline["activity"] == "destroys pages"].sum()) for run in (small, large)]
    assert 0 <= walked[1] - walked[0] <= 2048


def test_a_batch_that_outlasts_the_exit_lets_the_exit_start_a_second_thread():
    two = ld.ask(10, **SMALL).values["two_threads"]
    assert two.threads == 2


def test_at_a_moment_of_ones_own():
    found = ld.ask(10, **SMALL, exit_at="10 ms")
    assert found.values["shown"].exit_ns == 10_000_000
    assert "The process is killed 10 ms after the reset." in found.details


def test_before_the_series_there_is_no_thread():
    found = ld.ask(10, **SMALL, kernel=V1.upto(0))
    assert "no thread that could leave" in found.verdict
    assert not any(found.claims.values())


def test_moments_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="moments"):
        ld.ask(10, **SMALL, moments=(2,))
    with pytest.raises(ValueError, match="exit_at"):
        ld.ask(10, **SMALL, exit_at="soon")
