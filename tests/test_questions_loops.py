"""Question 6: what reboot loops pile up, what bounds it, and where that turns."""

from __future__ import annotations

import pytest

import lazydestroy as ld
from lazydestroy.questions.loops import donated_over_time, piled, zombies_over_time

pytestmark = pytest.mark.long

V1 = ld.series.v1
SMALL = {"memory": "512 MiB", "low_memory": "4 MiB", "image": "1 MiB", "loader": "1 MiB", "times": 12}
LOOP = {**SMALL, "segment_table": 0}


@pytest.fixture(scope="module")
def sixth() -> ld.Answer:
    return ld.ask(6, **SMALL)


def test_every_claim_holds_for_a_guest_that_is_large_beside_what_it_touches(sixth):
    assert all(sixth.claims.values()), sixth.claims
    assert sixth.agrees == "refines"


@pytest.mark.parametrize("factor", [0.1, 10])
def test_it_does_not_depend_on_how_fast_the_machine_is(factor, sixth):
    found = ld.ask(6, **SMALL, costs=ld.Costs().scaled(factor))
    assert found.claims == sixth.claims
    assert found.values["found"]["reset at once"].zombies == sixth.values["found"]["reset at once"].zombies


def test_a_guest_that_is_cleaned_in_the_foreground_piles_up_nothing():
    found = ld.ask(6, memory="64 MiB", times=4)
    assert found.verdict.startswith("No: ")
    assert found.agrees == "yes"
    assert not found.claims["zombies pile up if the guest is reset at once"]


def test_more_memory_means_more_zombies_and_each_holds_more():
    sizes = ("64 MiB", "128 MiB", "256 MiB")
    piles = [piled(ld.reboot_loop(**{**LOOP, "memory": size, "times": 40})) for size in sizes]
    assert piles[0].zombies < piles[1].zombies < piles[2].zombies < 40
    assert piles[2].donated > 4 * piles[0].donated


def test_zombies_over_time_begin_and_end_with_none():
    run = ld.reboot_loop(**LOOP)
    for series in (zombies_over_time(run), donated_over_time(run)):
        moments = [moment for moment, _ in series]
        assert moments == sorted(moments)
        assert series[0] == (0, 0)
        assert series[-1][1] == 0
        assert min(value for _, value in series) == 0


def test_what_zombies_hold_is_out_of_the_hosts_reach():
    run = ld.reboot_loop(**LOOP)
    most = max(held for _, held in donated_over_time(run))
    assert run.memory["donated"].max() * 4096 > most


@pytest.mark.parametrize("room", [2, 3, 5])
def test_the_ultravisors_limit_stops_it(room):
    run = ld.reboot_loop(**LOOP, max_num_sec_conf=room)
    assert piled(run).zombies == room
    assert run.stopped == "max_num_sec_conf"
    assert len(run.downtimes_ns) < 12


def test_one_at_a_time_is_paid_for_by_the_reset_that_has_to_wait():
    lazy, bounded = (ld.reboot_loop(**LOOP, kernel=k) for k in (V1, V1.plus(ld.series.OneAtATime)))
    assert piled(bounded).zombies == 1 < piled(lazy).zombies
    assert max(bounded.downtimes_ns[1:]) > 3 * max(lazy.downtimes_ns[1:])


def test_one_prepared_bounds_nothing_if_its_clean_up_begins_at_once():
    lazy, merged = (ld.reboot_loop(**LOOP, kernel=k) for k in (V1, V1.plus(ld.series.OnePrepared)))
    assert zombies_over_time(lazy) == zombies_over_time(merged)


def test_before_the_series_there_are_no_zombies():
    found = ld.ask(6, **SMALL, kernel=V1.upto(0))
    assert "never leaves more than 0 zombies" in found.verdict
    assert found.agrees == "does not apply"
