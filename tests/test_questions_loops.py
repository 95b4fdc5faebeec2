"""Question 6: what reboot loops pile up, what bounds it, and where that turns."""

from __future__ import annotations

import pytest

import lazydestroy as ld
from lazydestroy.questions.loops import MERGED, ONE, neighbour, piled, turning_size
from lazydestroy.scenarios import donated_over_time, zombies_over_time

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
    assert found.values["found"]["at once"].zombies == sixth.values["found"]["at once"].zombies


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
    most = max(pages for _, pages in donated_over_time(run))
    assert 0 < most < run.memory["donated"].max()


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


@pytest.mark.parametrize("kernel", [V1, ld.series.v1_fixed, V1.upto(8)], ids=repr)
def test_one_guest_that_uses_up_the_configurations_keeps_another_from_going_protected_for_a_while(kernel):
    found = neighbour(kernel)
    assert found.filled
    assert found.refused
    assert found.comes_up


@pytest.mark.parametrize(
    "given", [{"kernel": V1.upto(0)}, {"kernel": V1.upto(4)}, {"kernel": V1, "lazy_destroy": False}]
)
def test_where_nothing_is_set_aside_nobody_is_kept_from_going_protected(given):
    found = neighbour(**given)
    assert not found.filled
    assert not found.refused


def test_the_turning_size_is_where_it_turns():
    given = {**LOOP, "kernel": V1}
    del given["memory"]
    yes = turning_size(512 << 20, 4, given)
    below = int(yes / 1.03) >> 12 << 12
    assert ld.reboot_loop(yes, **given, max_num_sec_conf=4).stopped == "max_num_sec_conf"
    assert ld.reboot_loop(below, **given, max_num_sec_conf=4).stopped == ""


def test_a_guest_that_meets_the_limit_at_no_size_has_no_turning_size():
    given = {**LOOP, "kernel": V1.upto(0)}
    del given["memory"]
    assert turning_size(64 << 20, 4, given) is None


def test_an_exit_can_pile_up_more_than_a_reset_and_then_the_verdict_is_about_it():
    found = ld.ask(6, **{**SMALL, "memory": "8 MiB", "times": 10})
    piles = found.values["found"]
    assert piles["exit"].zombies > piles["at once"].zombies
    assert found.values["worst"] == "exit"
    assert not found.verdict.startswith("No: ")
    assert f"up to {piles['exit'].zombies} zombies" in found.verdict


def test_a_loop_that_is_killed_is_no_proof_that_filling_memory_helps():
    found = ld.ask(6, **{**SMALL, "memory": "128 MiB", "times": 6}, kernel=V1.without(3))
    assert found.values["found"]["fill"].ended
    assert not found.claims["a guest that fills its memory first piles up fewer"]
    assert "the process was killed" in found.verdict


def test_bounds_prove_nothing_where_nothing_piles_up():
    found = ld.ask(6, **{**SMALL, "memory": "128 MiB", "times": 4}, lazy_destroy=False)
    assert found.values["found"]["at once"].zombies == 0
    assert found.values["designs"][MERGED].zombies == found.values["designs"][ONE].zombies == 0
    assert not found.claims["at most one prepared, as merged, does not bound it"]
    assert not found.claims["at most one at a time bounds it"]


@pytest.mark.parametrize(
    "given",
    [{"used": 0}, {"times": 1}, {"memory": "4 KiB"}, {"refill": 1.0}, {"host_memory": "140 MiB"}],
    ids=str,
)
def test_what_is_degenerate_is_answered_too(given):
    found = ld.ask(6, **{**SMALL, "memory": "128 MiB", "times": 4, **given})
    assert found.verdict.endswith(".")
    assert found.agrees in ("yes", "refines")


def test_a_kernel_that_has_a_bound_is_not_given_another():
    found = ld.ask(6, **{**SMALL, "memory": "128 MiB", "times": 4}, kernel=V1.plus(ld.series.OneAtATime))
    assert found.values["designs"] == {}
    assert found.values["found"]["at once"].zombies == 1


def test_a_host_too_small_for_all_the_storage_makes_the_answer_yes():
    found = ld.ask(6, **{**SMALL, "memory": "128 MiB"}, host_memory="136 MiB")
    assert found.values["found"]["at once"].ended == "no memory to donate"
    assert found.short.startswith("Yes: a guest of 128 MiB")


@pytest.mark.parametrize("begins_after", [0, 10**9])
def test_what_is_not_begun_bounds_only_what_waits_to_begin(begins_after):
    """Userspace that is slow to call for the clean-up pays for it at the next reset; QEMU is not."""
    slow = type("Slow", (ld.series.OnePrepared,), {"begins_after": begins_after})
    run = ld.reboot_loop(**LOOP, kernel=V1.plus(slow))
    at_once = max(run.downtimes_ns[1:]) > 3 * max(ld.reboot_loop(**LOOP).downtimes_ns[1:])
    assert at_once == (begins_after > 0)
    assert (piled(run).zombies == 1) == (begins_after > 0)


def test_the_bound_is_each_vms_own():
    """Another process's VM is not made to wait by a clean-up that is under way for this one."""
    run = ld.reboot_loop(**{**LOOP, "times": 6}, habit="exit", kernel=V1.plus(ld.series.OneAtATime))
    assert piled(run).zombies > 1


def test_the_picture_shows_each_habit(sixth):
    picture = sixth.pictures[0]
    assert len(picture.lines) == 4
    assert (
        max(number for line in picture.lines for _, number in line.points) == sixth.values["found"]["at once"].zombies
    )


def test_the_first_clean_up_has_the_most_to_do_and_so_the_pile_is_highest_at_first():
    found = ld.ask(6, **{**SMALL, "memory": "64 MiB", "times": 20})
    pile = found.values["found"]["at once"]
    assert 1 < pile.lasting < pile.zombies < pile.in_all == 20
    assert f"up to {pile.zombies} zombies at a time." in found.short
    assert f"Once one has gone, there are {pile.lasting}." in found.details
