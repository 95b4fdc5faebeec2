"""A guest that is reset again and again: deterministic, conserving, and the same with the table and without it."""

from __future__ import annotations

import pytest

import lazydestroy as ld
from lazydestroy.scenarios import HABITS

V1 = ld.series.v1
SMALL = {"memory": "16 MiB", "low_memory": "1 MiB", "image": "256 KiB", "loader": "256 KiB", "segment_table": 0}
SLOW = {
    **SMALL,
    "memory": "64 MiB",
    "low_memory": 0,
    "image": "1 MiB",
    "loader": "1 MiB",
    "costs": ld.Costs(walk="10 ms"),
}
"""A clean-up takes so long that none ends during the loop."""

KERNELS = [V1, ld.series.v1_fixed, V1.upto(0), V1.upto(8), V1.plus(ld.series.OneAtATime)]


def seen(run):
    return (
        run.uvcs,
        run.noop_uvcs,
        run.failed_uvcs,
        run.configurations,
        run.downtimes_ns,
        run.end_ns,
        run.final,
        run.stopped,
    )


@pytest.mark.parametrize("habit", HABITS)
@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
def test_with_the_table_and_without_it_the_same_happens(habit, kernel):
    given = {**SMALL, "memory": "4 MiB", "habit": habit, "kernel": kernel, "times": 3, "refill": 0.25}
    fast, plain = (ld.reboot_loop(**given, _engine={"tabled": tabled, "windows": tabled}) for tabled in (True, False))
    assert seen(fast) == seen(plain)
    assert len(fast.downtimes_ns) == 3


@pytest.mark.parametrize("habit", HABITS)
@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
def test_no_page_is_lost_or_doubled_and_everything_old_ends(habit, kernel):
    run = ld.reboot_loop(**SMALL, habit=habit, kernel=kernel, times=4, refill=0.1)
    columns = ("free", "guest", "set_aside", "donated", "other", "leaked")
    totals = sum(run.memory[column] for column in columns)
    assert len(set(totals.tolist())) == 1
    assert run.memory["uncleaned"][-1] == 0
    assert run.memory["leaked"][-1] == 0
    old = [each for each in run.configurations if each.ended_ns is not None]
    assert all(each.destroyed_ns is not None for each in old)
    assert run.booted
    assert run.stopped == ""


def test_the_first_reset_is_that_of_a_reboot():
    loop = ld.reboot_loop(**SMALL, times=1)
    reboot = ld.reboot(**SMALL, touch="none")
    assert loop.downtime_ns == reboot.downtime_ns == loop.downtimes_ns[0]
    assert loop.uvcs == reboot.uvcs


def test_later_resets_are_shorter_because_less_is_in_use():
    first, *later = ld.reboot_loop(**SMALL, times=4).downtimes_ns
    assert max(later) < first


def test_a_guest_that_fills_its_memory_makes_each_reset_as_long_as_the_first():
    assert len(set(ld.reboot_loop(**SMALL, habit="fill", times=4).downtimes_ns)) == 1


def test_it_can_be_reproduced():
    run = ld.reboot_loop("16 MiB", habit="fill", times=3, low_memory="1 MiB")
    assert run.reproduce() == "ld.reboot_loop('16 MiB', habit='fill', times=3, low_memory='1 MiB')"
    assert seen(eval(run.reproduce(), {"ld": ld})) == seen(run)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"habit": "never"}, "habit='never': use one of"),
        ({"times": 0}, "times=0"),
        ({"times": 1.5}, "times=1.5"),
        ({"times": 10**6}, "times=1000000"),
        ({"max_num_sec_conf": 0}, "max_num_sec_conf=0"),
        ({"touch": "none"}, "touch='none'"),
        ({"refill": 2}, "refill=2"),
    ],
)
def test_what_makes_no_sense_is_refused(given, words):
    with pytest.raises(ValueError, match=words.replace("(", r"\(")):
        ld.reboot_loop(**{**SMALL, **given})


def test_an_ultravisor_with_room_for_one_refuses_the_second():
    run = ld.reboot_loop(**SMALL, times=4, max_num_sec_conf=1)
    assert not run.booted
    assert run.stopped == "max_num_sec_conf"
    assert len(run.downtimes_ns) == 1


def test_a_host_without_room_for_another_donation_stops_it():
    run = ld.reboot_loop(**SLOW, times=60, host_memory="90 MiB")
    assert run.stopped == "no memory to donate"
    assert 1 < len(run.downtimes_ns) < 60


def test_a_host_too_small_for_the_memory_of_two_processes_stops_one_that_exits_and_fills():
    run = ld.reboot_loop(**SLOW, times=4, habit="exit", refill=1.0, host_memory="80 MiB")
    assert run.stopped == "out of memory"
    assert run.oom


def test_a_kernel_that_kills_the_guest_stops_it():
    run = ld.reboot_loop(**SMALL, times=4, habit="fill", kernel=V1.without(3))
    assert run.stopped == "the process was killed"
    assert len(run.downtimes_ns) == 1


def test_what_a_guest_shared_is_exported_for_the_next_one():
    filled, shared = (ld.reboot_loop(**SMALL, times=3, habit=habit) for habit in ("fill", "share"))
    export = ld.UVC.CONV_FROM_SEC_STOR
    assert shared.uvcs[export] - shared.noop_uvcs[export] > filled.uvcs[export] - filled.noop_uvcs[export]


def test_more_zombies_than_the_model_can_tell_apart_are_refused_in_words():
    with pytest.raises(ValueError, match="times=250: more is left at a time than the model"):
        ld.reboot_loop(**SLOW, times=250)


class Eternal:
    """A reset that takes as long as time does."""

    def kvm_s390_pv_deinit_vm_deferred(self, kvm):
        self.machine.engine.charge((1 << 62) + 1)
        yield from super().kvm_s390_pv_deinit_vm_deferred(kvm)


def test_time_that_comes_to_its_end_is_not_told_as_too_many_resets():
    with pytest.raises(OverflowError, match="time ends 146 years after"):
        ld.reboot_loop(**SMALL, times=2, kernel=V1.plus(Eternal))


# A page fault that finds no memory while a thread frees what was set aside

CROWDED = {
    "habit": "exit",
    "refill": 1.0,
    "times": 2,
    "segment_table": 0,
    "vcpus": 4,
    "host_memory": "22 MiB",
    "loader": "1 MiB",
    "image": "8 MiB",
}


def crowded(free, kernel, **engine):
    return ld.reboot_loop("16 MiB", kernel=kernel, costs=ld.Costs(free=free), _engine=engine, **CROWDED)


@pytest.mark.parametrize("engine", [{}, {"windows": False}, {"tabled": False}])
@pytest.mark.parametrize("free", ["20 us", "30 us"])
def test_a_page_fault_waits_for_what_the_oom_notifier_announces(free, engine):
    killed = crowded(free, ld.series.v1, **engine)
    waited = crowded(free, ld.series.v1.plus(ld.series.OomNotifier), **engine)
    assert killed.oom and killed.oom_wait_ns == 0
    assert not waited.oom and waited.oom_wait_ns > 0
    assert waited.oom_wait_ns % 20_000_000 == 0
    # it waits no longer than the list is emptied, but for the last time
    assert waited.oom_wait_ns - 20_000_000 < waited.finished_ns["clean-up thread 2"]
    assert killed.finished_ns["clean-up thread 2"] == waited.finished_ns["clean-up thread 2"]


@pytest.mark.parametrize("engine", [{}, {"windows": False}, {"tabled": False}])
def test_a_page_fault_that_waits_for_nothing_kills_the_process_20_ms_later(engine):
    # fewer pages in 20 ms than there are on a list page
    killed = crowded("100 us", ld.series.v1, **engine)
    waited = crowded("100 us", ld.series.v1.plus(ld.series.OomNotifier), **engine)
    moments = [[event.time_ns for event in run.events if event.kind == "oom"] for run in (killed, waited)]
    assert moments[1] == [moments[0][0] + 20_000_000]
    assert (killed.oom_wait_ns, waited.oom_wait_ns) == (0, 20_000_000)
