"""Questions 3 and 4: who runs out of memory, where "no" turns into "yes", and what a notifier and swap change."""

from __future__ import annotations

import pytest

import lazydestroy as ld
from lazydestroy.questions.exhausted import swappable
from lazydestroy.questions.notifier import turning_cost
from lazydestroy.questions.shortage import (
    FASTEST,
    PRECISION,
    Turning,
    oom_map,
    outcome,
    sizes_up_to,
    turning_rate,
)
from lazydestroy.series.oom_notifier import ENOUGH, OOM_WAIT

GIB, MIB = 1 << 30, 1 << 20
V1 = ld.series.v1
BEFORE = V1.upto(0)
NOTIFYING = V1.plus(ld.series.OomNotifier)
TIGHT = {"kernel": V1, "host_memory": 288 * MIB}
RATES = ("512 MiB/s", "2 GiB/s", "8 GiB/s", "32 GiB/s")
SMALL = {"memory": 256 * MIB, "host_memory": 288 * MIB, "rates": RATES}


# The map


@pytest.mark.parametrize("rate", [GIB // 2, 2 * GIB, 64 * GIB])
@pytest.mark.parametrize("kernel", [BEFORE, V1.upto(8)])
def test_before_shutdown_became_lazy_nobody_runs_out_of_memory(rate, kernel):
    found = outcome(256 * MIB, rate, {**TIGHT, "kernel": kernel})
    assert found.killed_ns is None
    assert found.waited_ns == 0


def test_slow_processes_get_all_they_ask_for_and_fast_ones_are_killed():
    found = oom_map([256 * MIB], [GIB // 2, 64 * GIB], TIGHT)
    assert [each.killed_ns is None for each in found.values()] == [True, False]


def test_who_is_killed_at_a_pace_is_killed_at_any_higher_one():
    rates = [GIB * step // 4 for step in range(1, 40)]
    found = oom_map([64 * MIB], rates, TIGHT | {"host_memory": 72 * MIB})
    killed = [each.killed_ns is not None for each in found.values()]
    assert killed == sorted(killed)
    assert {True, False} <= set(killed)


@pytest.mark.parametrize("factor", [0.1, 1, 10])
def test_the_turning_point_is_where_no_turns_into_yes(factor):
    given = {**TIGHT, "costs": ld.Costs().scaled(factor)}
    turning = turning_rate(256 * MIB, [outcome(256 * MIB, 2048 * GIB, given)], given)
    assert turning.no < turning.yes <= turning.no * PRECISION + 1
    assert outcome(256 * MIB, turning.no, given).killed_ns is None
    assert outcome(256 * MIB, turning.yes, given).killed_ns is not None


def test_the_turning_point_is_about_the_pace_at_which_pages_are_freed():
    """More exactly: as much as the clean-up thread frees until the process has all, and what was free at once."""
    costs = ld.Costs()
    given = {**TIGHT, "costs": costs}
    turning = turning_rate(256 * MIB, [outcome(256 * MIB, 64 * GIB, given)], given)
    freed = 4096 / (costs.destroy + costs.free) * 1e9
    free = 1 - ld.shutdown(256 * MIB, **given).memory["free"][0] / 65536
    assert turning.yes == pytest.approx(freed / free, rel=0.05)


def test_a_host_with_room_has_no_turning_point():
    found = ld.ask(3, memory="64 MiB", rates=("1 GiB/s", "64 GiB/s"))
    assert found.values["turning_rate"] == Turning(no=FASTEST, yes=None)
    assert found.values["smallest_guest"] is None
    assert not found.claims["a process that takes memory fast enough is killed for want of it"]
    assert "finds what it asks for" in found.verdict


def test_sizes_of_the_map_are_whole_pages():
    assert sizes_up_to(16 << 30) == [GIB << power for power in range(5)]
    assert sizes_up_to(3 * 4096) == [4096, 3 * 4096]


# Question 3


@pytest.fixture(scope="module")
def third() -> ld.Answer:
    return ld.ask(3, **SMALL)


def test_on_a_tight_host_every_claim_of_question_3_holds(third):
    assert all(third.claims.values()), third.claims
    assert third.agrees == "yes"


def test_the_verdict_has_the_figures_that_were_measured(third):
    values = third.values
    assert values["turning_rate"].yes is not None
    for words in ("In a reboot no", "at shutdown yes", "256 MiB", "killed", "instead of"):
        assert words in third.verdict


def test_the_smallest_guest_is_the_smallest_one_in_the_map_that_turns(third):
    cells = third.values["map"]
    killed = [size for (size, _), each in cells.items() if each.killed_ns is not None]
    assert third.values["smallest_guest"] == min(killed)
    fits = [size for (size, _), each in cells.items() if each.killed_ns is None]
    assert min(fits) < min(killed)


def test_memory_for_a_guest_of_the_same_size_is_there_when_a_run_that_asks_then_gets_it(third):
    run = ld.shutdown(256 * MIB, host_memory=288 * MIB)
    later = run.downtime_ns + third.values["until_same_size_ns"]
    rows = run.memory
    assert rows["free"][rows["time"] >= later][0] >= 65536
    assert rows["free"][rows["time"] < later - 1_000_000][-1] < 65536


@pytest.mark.parametrize("factor", [0.1, 10])
def test_old_pages_can_be_swapped_in_a_reboot_and_set_aside_ones_cannot_whatever_the_costs(factor):
    found = swappable(V1, ld.Costs().scaled(factor))
    assert found["reboot"].swapped == found["reboot"].pages == 64
    assert found["shutdown"].pages == 63, "one is exported to make room for the list"
    assert found["shutdown"].swapped == 0


def test_before_the_series_nothing_is_set_aside_that_could_not_be_swapped():
    found = swappable(BEFORE, None)
    assert found["reboot"].swapped == found["reboot"].pages == 64
    assert found["shutdown"].pages == 0


def test_slow_paces_alone_do_not_hide_where_it_turns():
    slow, fast = (
        ld.ask(3, memory="64 MiB", host_memory="72 MiB", rates=rate).values for rate in ("1 MiB/s", "64 GiB/s")
    )
    assert slow["turning_rate"].yes == pytest.approx(fast["turning_rate"].yes, rel=0.03)
    assert ld.ask(4, memory="64 MiB", host_memory="72 MiB", rates="1 MiB/s").values["killed_without"] > 0


def test_a_process_that_begins_at_the_kill_is_no_worse_off_with_the_series(third):
    """Before the series it has to wait for its pages as well: nothing is free until they are exported."""
    values = third.values
    assert all(each.killed_ns is not None for each in values["from_the_kill"].values())
    assert values["same_size_ns"] < values["same_size_before_ns"]


@pytest.mark.parametrize("kernel", [BEFORE, V1.upto(8), V1.without(9, 10)])
def test_a_kernel_that_sets_nothing_aside_is_told_so(kernel):
    found = ld.ask(3, **SMALL, kernel=kernel)
    assert not found.claims["at shutdown pages are neither used nor free for a while"]
    assert "sets nothing aside" in found.verdict
    assert found.agrees == "does not apply"


def test_a_guest_that_used_nothing_exhausts_nothing():
    found = ld.ask(3, **SMALL, used=0)
    assert not found.claims["a process that takes memory fast enough is killed for want of it"]


def test_paces_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="rates"):
        ld.ask(3, memory="64 MiB", rates=())
    with pytest.raises(ValueError, match="kernel=None"):
        ld.ask(3, kernel=None)
    with pytest.raises(ValueError, match="costs=5"):
        ld.ask(3, costs=5)
    with pytest.raises(ValueError, match="rates"):
        ld.ask(3, memory="64 MiB", rates=("fast",))
    with pytest.raises(ValueError, match="sizes"):
        ld.ask(3, memory="64 MiB", sizes=("1 byte",))


# Question 4: the notifier


@pytest.fixture(scope="module")
def fourth() -> ld.Answer:
    return ld.ask(4, **SMALL)


def test_the_notifier_leaves_nobody_killed_on_a_tight_host(fourth):
    assert all(fourth.claims.values()), fourth.claims
    assert fourth.values["killed_with"] == 0 < fourth.values["killed_without"]
    assert fourth.agrees == "refines"


@pytest.mark.parametrize("rate", [4 * GIB, 64 * GIB])
@pytest.mark.parametrize("factor", [0.1, 1, 10])
def test_who_waits_waits_in_steps_of_20_ms(rate, factor):
    given = {**TIGHT, "kernel": NOTIFYING, "costs": ld.Costs().scaled(factor)}
    found = outcome(256 * MIB, rate, given)
    assert found.waited_ns % OOM_WAIT == 0
    without = outcome(256 * MIB, rate, {**given, "kernel": V1})
    assert (found.waited_ns > 0) == (without.killed_ns is not None)


def test_nobody_waits_once_the_list_is_empty():
    given = {**TIGHT, "kernel": NOTIFYING, "demand_total": 512 * MIB}
    run = ld.shutdown(256 * MIB, demand="64 GiB/s", **given)
    assert run.oom, "there is not that much memory at all"
    assert run.oom_wait_ns > 0
    asked_in_vain = next(event.time_ns for event in run.events if event.kind == "oom")
    assert asked_in_vain >= run.cleanup_ns


def test_a_clean_up_too_slow_for_a_list_page_in_20_ms_is_not_waited_for():
    slow = ld.Costs(destroy=OOM_WAIT // 300)
    given = {"kernel": NOTIFYING, "host_memory": 72 * MIB, "costs": slow}
    full = outcome(32 * 510 * 4096, 64 * GIB, given)  # every list page is full
    assert full.killed_ns is not None
    assert full.waited_ns == OOM_WAIT
    # The newest list page comes first. Here it has 63 frame numbers, done in the first wait; 509 more are done in the
    # second (572 / 300), and the next 509 are not done in the third (1081 / 300).
    found = outcome(64 * MIB, 64 * GIB, given)
    assert found.killed_ns is not None
    assert found.waited_ns == 3 * OOM_WAIT


def test_the_cost_at_which_it_stops_helping_is_a_list_page_in_20_ms():
    turning = turning_cost(None, {}, V1)
    assert turning["no"] < turning["yes"] <= turning["no"] * PRECISION + 1
    assert turning["yes"] == pytest.approx(OOM_WAIT / 510, rel=0.05)


def test_a_notifier_reports_what_list_pages_held():
    """Two list pages of three pages each: a list page counts until all of it is done."""
    machine = ld.Machine("32 KiB", list_page_capacity=3, low_memory=0, segment_table=0)
    machine.boot()
    machine.protect()
    for page in range(8):
        machine.touch(page)
    machine.exit()
    deferred = machine.mm.context.deferred_list
    seen = [deferred.pages_listed]
    while machine.tasks:
        machine.step()
        seen.append(deferred.pages_listed)
    assert list(dict.fromkeys(seen)) == [8, 4, 0]


def test_it_is_only_for_kernels_that_set_aside():
    with pytest.raises(ValueError, match="patch 9"):
        ld.ask(4, **SMALL, kernel=V1.upto(8))
    with pytest.raises(ValueError, match="has the notifier already"):
        ld.ask(4, **SMALL, kernel=NOTIFYING)


def test_enough_is_what_the_source_says():
    assert (ENOUGH, OOM_WAIT) == (1024, 20_000_000)


def test_a_host_with_room_leaves_nothing_to_do_for_it():
    found = ld.ask(4, memory="64 MiB", rates=("64 GiB/s",))
    assert "nothing to do" in found.verdict
    assert not any(found.claims.values())


def test_whoever_asks_may_hear_how_far_it_is():
    heard = []
    ld.ask(3, memory="16 MiB", rates=("1 GiB/s", "2 GiB/s"), progress=lambda done, total: heard.append((done, total)))
    assert heard == [(done, 10) for done in range(10)]


def test_an_interrupt_gets_through_and_leaves_nobody_listening():
    def interrupt(_done, _total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ld.ask(3, memory="16 MiB", progress=interrupt)
    assert ld.ask(3, memory="16 MiB", rates=("1 GiB/s",)).claims
