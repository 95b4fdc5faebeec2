"""What `reboot` and `shutdown` promise: exact counts, clear refusals, the same result each time."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lazydestroy as ld
from lazydestroy import limits, scenarios
from lazydestroy.uvcb import UVC

PAGE = 4096
LOW = 524_288
BEFORE = ld.series.v1.upto(0)

around = [1, 2, 31, 32, 33, 508, 509, 510, 511, 1019, 1020, 1021, LOW - 1, LOW, LOW + 1, LOW + 510]
sizes = st.one_of(st.sampled_from(around), st.integers(1, 3000), st.integers(1, 2 * LOW))
costs = st.builds(
    lambda ns: ld.Costs(destroy=ns, export=2 * ns, noop=ns // 3, walk=ns // 50, touch=ns), st.integers(0, 10**6)
)


@settings(max_examples=25)
@given(sizes, costs)
def test_before_the_series_a_reboot_destroys_every_page_before_the_new_guest_runs(pages, costs):
    run = ld.reboot(pages * PAGE, kernel=BEFORE, costs=costs, new_guest="normal", touch="none")
    assert run.pages == pages
    assert run.foreground[UVC.DESTR_SEC_STOR] == run.uvcs[UVC.DESTR_SEC_STOR] == pages
    assert run.background == Counter()


@settings(max_examples=25)
@given(sizes, costs)
def test_before_the_series_a_shutdown_exports_every_page_before_the_process_is_gone(pages, costs):
    run = ld.shutdown(pages * PAGE, kernel=BEFORE, costs=costs)
    assert run.foreground[UVC.CONV_FROM_SEC_STOR] == run.uvcs[UVC.CONV_FROM_SEC_STOR] == pages
    assert run.uvcs[UVC.DESTR_SEC_STOR] == 0


@settings(max_examples=25)
@given(sizes, costs)
def test_lazy_reboot_destroys_2_gib_first_and_everything_again_in_the_background(pages, costs):
    run = ld.reboot(pages * PAGE, costs=costs, new_guest="normal", touch="none")
    assert run.foreground[UVC.DESTR_SEC_STOR] == min(pages, LOW)
    assert run.background[UVC.DESTR_SEC_STOR] == pages
    assert run.noop_uvcs[UVC.DESTR_SEC_STOR] == min(pages, LOW)
    assert run.failed_uvcs == Counter()


@settings(max_examples=25)
@given(sizes, costs)
def test_lazy_shutdown_exports_1_page_in_510_and_destroys_the_others_in_the_background(pages, costs):
    run = ld.shutdown(pages * PAGE, costs=costs)
    exports = math.ceil(pages / 510)
    assert run.foreground[UVC.CONV_FROM_SEC_STOR] == run.uvcs[UVC.CONV_FROM_SEC_STOR] == exports
    assert run.background[UVC.DESTR_SEC_STOR] == run.uvcs[UVC.DESTR_SEC_STOR] == pages - exports
    assert run.noop_uvcs == run.failed_uvcs == Counter()


@settings(max_examples=12)
@given(
    st.integers(1, 20_000),
    st.sampled_from(["sequential", "reverse", "random"]),
    st.integers(1, 5),
    st.integers(0, 99),
    st.sampled_from(["0 B", "1 MiB", "2 GiB"]),
)
def test_with_a_protected_new_guest_nothing_is_lost_and_every_page_ends_with_its_right_owner(
    pages, touch, vcpus, seed, low
):
    run = ld.reboot(pages * PAGE, touch=touch, vcpus=vcpus, seed=seed, low_memory=low)
    assert run.booted
    assert not run.oom
    mapped = {record: count for record, count in run.final.items() if record.holder == 1}
    owners = {record.owner for record in mapped}
    assert sum(mapped.values()) == pages
    assert len(owners) == 1 and 0 not in owners
    for record, count in run.final.items():
        assert count > 0
        if record.content == 2 and record.state != 3:
            assert record.owner == record.content_of and record.state == 1, "plaintext outside its owner's pages"
        if record.holder == 0:
            assert record.state == 0, "a free page that is not accessible"


@pytest.mark.parametrize("memory", ["4 GiB", "16 GiB", "64 GiB", "256 GiB"])
def test_lazy_reboot_is_flat_above_2_gib(memory):
    floor = ld.reboot("2 GiB", touch="none").downtime_ns
    assert ld.reboot(memory, touch="none").downtime_ns == floor


def test_guests_up_to_2_gib_gain_nothing():
    for memory in ("64 MiB", "1 GiB", "2 GiB"):
        before = ld.reboot(memory, kernel=BEFORE, new_guest="normal", touch="none")
        after = ld.reboot(memory, new_guest="normal", touch="none")
        # the clean-up and the end of the configuration move to the background, the destroying of pages does not
        destroyed = before.pages * (ld.Costs().destroy + ld.Costs().walk)
        assert before.downtime_ns - after.downtime_ns < 2 * ld.Costs().config
        assert after.downtime_ns >= destroyed


def test_the_downtime_before_the_series_is_what_adding_up_gives():
    costs = ld.Costs()
    run = ld.reboot("8 GiB", kernel=BEFORE, vcpus=3)
    by_hand = 3 * costs.cpu + run.pages * (costs.walk + costs.destroy) + costs.config + 8 * costs.config_per_gib
    assert run.downtime_ns == run.cleanup_ns == by_hand


def test_a_guest_that_used_less_is_walked_all_the_same():
    run = ld.reboot("1 GiB", used=0.25, kernel=BEFORE, touch="none", new_guest="normal")
    costs = ld.Costs()
    assert run.pages == 65_536
    walked = 262_144 * costs.walk
    assert run.downtime_ns == 2 * costs.cpu + walked + run.pages * costs.destroy + costs.config + costs.config_per_gib


# Memory running out


def test_a_demand_that_is_too_fast_for_the_clean_up_runs_out_of_memory():
    tight = ld.shutdown("4 GiB", host_memory="4.25 GiB", demand="16 GiB/s")
    assert tight.oom
    assert [event.kind for event in tight.events].count("oom") == 1
    assert tight.final and sum(n for record, n in tight.final.items() if record.holder == 4) == 0


def test_before_the_series_the_same_demand_finds_memory():
    run = ld.shutdown("4 GiB", host_memory="4.25 GiB", demand="16 GiB/s", kernel=BEFORE)
    assert not run.oom
    assert run.memory["other"].max() == run.pages


def test_a_slow_demand_never_runs_out():
    assert not ld.shutdown("4 GiB", host_memory="4.25 GiB", demand="1 GiB/s").oom


def test_demand_total_limits_the_demand():
    run = ld.shutdown("1 GiB", demand="1 GiB/s", demand_total="256 MiB")
    assert run.memory["other"].max() == 65_536


# What a run tells


RUNS = [
    lambda: ld.reboot("3 GiB"),
    lambda: ld.reboot("3 GiB", kernel=BEFORE),
    lambda: ld.reboot("3 GiB", touch="random", seed=7, new_guest="normal"),
    lambda: ld.shutdown("3 GiB"),
    lambda: ld.shutdown("3 GiB", host_memory="3.25 GiB", demand="8 GiB/s"),
]


@pytest.mark.parametrize("make", RUNS)
def test_memory_adds_up_at_every_moment(make):
    run = make()
    columns = ("free", "guest", "set_aside", "donated", "other", "leaked")
    total = sum(run.memory[name] for name in columns)
    assert (total == run.parameters["host_memory"] // PAGE).all()
    assert (run.memory["uncleaned"] <= run.memory["guest"] + run.memory["set_aside"]).all()
    assert (np.diff(run.memory["time"]) > 0).all()
    assert run.memory["time"][0] == 0 and run.memory["uncleaned"][0] == run.pages
    assert 2 <= len(run.memory) <= scenarios.ROWS


@pytest.mark.parametrize("make", RUNS)
def test_the_timeline_is_made_of_stretches_that_follow_each_other(make):
    run = make()
    assert (run.timeline["end"] > run.timeline["start"]).all()
    assert run.timeline["end"].max() <= run.end_ns
    for actor in set(run.timeline["actor"].tolist()):
        mine = run.timeline[run.timeline["actor"] == actor]
        assert (mine["start"][1:] >= mine["end"][:-1]).all()


@pytest.mark.parametrize("make", RUNS)
def test_the_same_inputs_give_the_same_run_to_the_last_bit(make):
    assert visible(make()) == visible(make())


@pytest.mark.parametrize("make", RUNS)
def test_reproduce_gives_the_line_that_makes_the_run_again(make):
    run = make()
    assert visible(eval(run.reproduce(), {"ld": ld})) == visible(run)


@pytest.mark.parametrize("make", RUNS)
def test_calls_split_by_time_and_by_actor_add_up(make):
    run = make()
    assert run.foreground + run.background == run.uvcs
    assert sum(run.by_actor.values(), Counter()) == run.uvcs
    assert not (run.noop_uvcs + run.failed_uvcs) - run.uvcs


def test_another_seed_gives_another_order():
    assert visible(ld.reboot("8 GiB", touch="random", seed=1)) != visible(ld.reboot("8 GiB", touch="random", seed=2))


def visible(run):
    """Everything of a run but what depends on this computer."""
    names = [name for name in run.__slots__ if name not in ("seconds", "steps")]
    values = {name: getattr(run, name) for name in names}
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in values.items()}


# Refusals


REFUSED = [
    ({"memory": -1}, "memory"),
    ({"memory": 0}, "memory"),
    ({"memory": 4097}, "memory"),
    ({"memory": "64 GB"}, "64 GiB"),
    ({"memory": "64 XB"}, "unknown unit"),
    ({"memory": "64"}, "unit"),
    ({"memory": float("nan")}, "memory"),
    ({"memory": True}, "memory"),
    ({"memory": "129 TiB"}, "128 TiB"),
    ({"used": 1.5}, "used"),
    ({"used": -0.1}, "used"),
    ({"used": float("nan")}, "used"),
    ({"touch": "zigzag"}, "touch"),
    ({"touch": ["random"]}, "touch"),
    ({"new_guest": "other"}, "new_guest"),
    ({"touched": 2}, "touched"),
    ({"host_memory": "512 MiB"}, "host_memory"),
    ({"host_memory": "1 GiB"}, "host_memory"),
    ({"vcpus": 0}, "vcpus"),
    ({"vcpus": 1.5}, "vcpus"),
    ({"seed": "a"}, "seed"),
    ({"kernel": "v1"}, "kernel"),
    ({"kernel": BEFORE, "lazy_destroy": True}, "lazy_destroy"),
    ({"lazy_destroy": 1}, "lazy_destroy"),
    ({"costs": 1500}, "costs"),
    ({"loader": "1 GB"}, "loader"),
    ({"image": 0}, "image"),
    ({"features": "other"}, "features"),
    ({"destroy_loop_threshold": 0}, "destroy_loop_threshold"),
    ({"low_memory": 5}, "low_memory"),
]


@pytest.mark.parametrize(("given", "named"), REFUSED, ids=lambda value: repr(value))
def test_a_wrong_value_is_refused_by_name(given, named):
    with pytest.raises(ValueError, match=named) as refusal:
        ld.reboot(**{"memory": "1 GiB", **given})
    assert repr(next(reversed(given.values()))) in str(refusal.value) or "kernel" in given or "host_memory" in given


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"demand": "2 GiB"}, "/s"),
        ({"demand": 0}, "demand"),
        ({"demand": -5}, "demand"),
        ({"demand_total": "1 GiB"}, "demand"),
        ({"demand": "1 GiB/s", "demand_total": 5}, "demand_total"),
    ],
)
def test_a_wrong_demand_is_refused_by_name(given, named):
    with pytest.raises(ValueError, match=named):
        ld.shutdown("1 GiB", **given)


def test_costs_and_sizes_beyond_146_years_are_refused():
    slow = ld.Costs(**dict.fromkeys(ld.Costs().sources, "1 s"))
    with pytest.raises(ValueError, match="146 years"):
        ld.reboot("1 TiB", costs=slow)


def test_a_run_that_needs_more_memory_than_there_is_is_refused_before_it_starts(monkeypatch):
    monkeypatch.setattr(limits, "available_memory", lambda *_: 80 << 20)
    monkeypatch.setattr(scenarios.stage, "ScenarioMachine", None)
    with pytest.raises(ld.NotEnoughMemory, match=r"80 MiB") as refusal:
        ld.reboot("1 TiB")
    assert isinstance(refusal.value, MemoryError)
    assert "MiB" in str(refusal.value).replace("80 MiB", "", 1), "the figure needed is missing"


def test_a_run_asks_once_how_much_memory_there_is(monkeypatch):
    asked = []
    monkeypatch.setattr(limits, "available_memory", lambda: asked.append(1) or 1 << 40)
    ld.reboot("16 GiB", touch="none")
    assert len(asked) == 1


def test_an_interrupt_stops_a_long_run_and_leaves_nothing_behind():
    def interrupt(_share):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ld.reboot("16 GiB", touch="random", progress=interrupt, _engine={"windows": False})
    assert ld.reboot("16 MiB").booted


def test_progress_goes_from_0_to_1():
    shares = []
    ld.reboot("8 GiB", touch="random", progress=shares.append, _engine={"windows": False})
    assert shares and all(0 <= share <= 1 for share in shares)


# One semantics


@settings(max_examples=20)
@given(
    st.integers(1, 400),
    st.sampled_from(["sequential", "reverse", "random"]),
    st.sampled_from(["protected", "normal"]),
    st.integers(1, 4),
    st.sampled_from([0, 40 * PAGE, "2 GiB"]),
    st.sampled_from([1, 3, 32]),
    st.sampled_from([ld.series.v1, BEFORE, ld.series.v1.upto(8), ld.series.v1.without(3), ld.series.v1.without(6)]),
)
def test_tables_and_windows_change_nothing(pages, touch, new_guest, vcpus, low, batch, kernel):
    given = {
        "kernel": kernel,
        "touch": touch,
        "new_guest": new_guest,
        "vcpus": vcpus,
        "low_memory": low,
        "destroy_loop_threshold": batch,
        "loader": 8 * PAGE,
        "image": 4 * PAGE,
        "image_at": PAGE,
    }
    runs = [
        counted(ld.reboot(pages * PAGE, **given, _engine={"tabled": tabled, "windows": windows}))
        for tabled, windows in ((False, False), (True, False), (True, True))
    ]
    assert runs[0] == runs[1] == runs[2]


@settings(max_examples=15)
@given(st.integers(1, 1500), st.sampled_from([1, 5, 509]), st.sampled_from([None, "4 GiB/s"]), st.integers(0, 200))
def test_tables_and_windows_change_nothing_at_shutdown(pages, capacity, demand, spare):
    host = (pages + 600 + spare) * PAGE
    runs = [
        counted(
            ld.shutdown(
                pages * PAGE,
                demand=demand,
                host_memory=host,
                list_page_capacity=capacity,
                _engine={"tabled": tabled, "windows": windows},
            )
        )
        for tabled, windows in ((False, False), (True, False), (True, True))
    ]
    assert runs[0] == runs[1] == runs[2]


def counted(run):
    """What must not depend on how a run was computed (samples are taken at other moments)."""
    names = ("downtime_ns", "cleanup_ns", "uvcs", "noop_uvcs", "failed_uvcs", "foreground", "by_actor", "events", "oom")
    more = ("booted", "end_ns", "finished_ns", "final", "longest_hold_ns", "steps")
    return {name: getattr(run, name) for name in (*names, *more)}
