"""What may happen around a reboot: shared pages, other threads, the end of the process, I/O, faults; what it shows."""

import dataclasses
import inspect
from collections import Counter

import numpy as np
import pytest

import lazydestroy as ld
from lazydestroy import scenarios
from lazydestroy.page import Content, Holder, Record, State
from lazydestroy.uvcb import UVC

PAGE = 4096
BEFORE = ld.series.v1.upto(0)
COSTS = ld.Costs()
SMALL = {"loader": 8 * PAGE, "image": 16 * PAGE, "image_at": 4 * PAGE}


def kinds(run):
    return Counter(event.kind for event in run.events)


# Pages that the old guest shared


def at_time_zero(**given):
    """States of the guest's pages when a reboot begins."""
    defaults = {name: each.default for name, each in inspect.signature(ld.reboot).parameters.items()}
    machine = scenarios.rebooting.Rebooting({**defaults, **given}).machine
    return [machine.memory.record(machine.mm.guest.slot(page)) for page in range(machine.guest_pages)]


def test_the_pages_that_the_old_guest_shared_are_the_highest_that_it_used():
    found = at_time_zero(memory=100 * PAGE, used=0.5, shared=0.25)
    expected = [State.SECURE] * 38 + [State.SHARED] * 12 + [State.NON_SECURE] * 50
    assert [record.state for record in found] == expected
    assert {record.content for record in found[:50]} == {Content.PLAINTEXT}, "still in the clear"
    assert all(record.arch_1 and record.owner == found[0].owner for record in found[:50])


@pytest.mark.parametrize(("used", "closed"), [(1.0, 1), (0.01, 1), (0.0, 0)])
def test_page_0_is_never_shared(used, closed):
    found = Counter(record.state for record in at_time_zero(memory=100 * PAGE, used=used, shared=1))
    assert found[State.SECURE] == closed
    assert found[State.SHARED] == max(0, 100 * used - 1)


@pytest.mark.parametrize("scenario", [ld.reboot, ld.shutdown])
def test_shared_pages_count_as_pages_that_the_old_guest_made_secure(scenario):
    run = scenario("1 MiB", shared=0.5)
    assert run.pages == run.memory["uncleaned"][0] == 256


@pytest.mark.parametrize("kernel", [BEFORE, ld.series.v1.upto(5), ld.series.v1.upto(8), ld.series.v1])
@pytest.mark.parametrize("scenario", [ld.reboot, ld.shutdown])
def test_shared_pages_are_cleaned_like_the_others(scenario, kernel):
    run = scenario("16 MiB", shared=0.5, kernel=kernel)
    assert run.cleanup_ns is not None
    assert all(record.state != State.SHARED for record in run.final)
    owners = {record.owner for record in run.final if record.state == State.SECURE}
    assert len(owners) == (scenario is ld.reboot)


def test_without_patch_7_a_shared_page_kills_the_new_guest():
    given = {"shared": 0.5, "low_memory": 0, "touch": "reverse", **SMALL}
    run = ld.reboot("4 MiB", kernel=ld.series.v1.without(7, 11), **given)
    assert not run.booted and run.exited_ns is not None
    assert "0x3E" in next(event.text for event in run.events if event.kind == "signal")
    assert ld.reboot("4 MiB", kernel=ld.series.v1.without(11), **given).booted


def test_a_shared_page_raises_no_violation():
    given = {"low_memory": 0, "touch": "reverse", "costs": ld.Costs(walk="1 ms"), **SMALL}
    closed, opened = (ld.reboot("1 MiB", shared=share, **given).interruptions["vCPU 1"] for share in (0, 0.5))
    assert closed[ld.Interruption.SECURE_STORAGE_VIOLATION] == 128
    assert opened[ld.Interruption.SECURE_STORAGE_VIOLATION] == 0
    assert closed[ld.Interruption.NON_SECURE_STORAGE_ACCESS] == 128
    assert opened[ld.Interruption.NON_SECURE_STORAGE_ACCESS] == 128


# Bystanders


def test_before_patch_5_whoever_maps_memory_waits_for_the_whole_teardown():
    run = ld.reboot("1 GiB", kernel=ld.series.v1.upto(4), bystander=["1 ms", "100 ms", "10 s"])
    ends = 2 * COSTS.cpu + run.pages * (COSTS.walk + COSTS.destroy)
    assert run.bystander_waits_ns == (ends - 10**6, ends + COSTS.fault - 10**8, 0)
    assert run.longest_hold_ns == ends - 2 * COSTS.cpu


@pytest.mark.parametrize("new_guest", ["protected", "normal"])
def test_with_patch_5_it_waits_for_a_batch_at_most(new_guest):
    batch = 32 * (COSTS.walk + COSTS.destroy)
    moments = [2 * COSTS.cpu + number * batch for number in range(16)]
    for late in (0, 1, 100, 31 * COSTS.walk - 1):
        run = ld.reboot("3 GiB", bystander=[moment + late for moment in moments], new_guest=new_guest)
        assert run.bystander_waits_ns == (32 * COSTS.walk - late,) * 16


def test_a_bystander_in_a_hole_waits_as_long_as_the_walk_of_the_hole():
    run = ld.reboot("1 GiB", used=0, kernel=ld.series.v1.upto(5), bystander="1 ms")
    assert run.bystander_waits_ns == (2 * COSTS.cpu + 262_144 * COSTS.walk - 10**6,)


def test_attempts_are_told_in_the_order_in_which_they_were_given():
    given = {"kernel": ld.series.v1.upto(4), "new_guest": "normal"}
    late, early = ld.reboot("64 MiB", bystander=("10 ms", "1 ms"), **given).bystander_waits_ns
    assert (early, late) == ld.reboot("64 MiB", bystander=("1 ms", "10 ms"), **given).bystander_waits_ns
    assert early > late > 0


def test_a_bystander_of_a_process_that_has_ended_maps_nothing():
    run = ld.reboot("64 MiB", kernel=BEFORE, bystander=["1 ms", "2 ms", "1 s"], exit_at="1500 us")
    # the first one waits when the process is killed, the two others come later
    assert run.bystander_waits_ns == ()
    assert ld.reboot("64 MiB", bystander="1 s", exit_at="2 s").bystander_waits_ns == (0,)


def test_one_moment_or_several_or_none():
    assert ld.reboot("1 MiB").bystander_waits_ns == ld.reboot("1 MiB", bystander=[]).bystander_waits_ns == ()
    assert len(ld.reboot("1 MiB", bystander=5).bystander_waits_ns) == 1
    assert len(ld.reboot("1 MiB", bystander=range(16)).bystander_waits_ns) == 16
    assert len(ld.reboot("1 MiB", bystander=np.arange(3)).bystander_waits_ns) == 3


def test_a_bystander_changes_nothing_for_who_does_not_need_the_lock():
    alone, watched = (ld.reboot("64 MiB", new_guest="normal", bystander=moment) for moment in (None, "20 ms"))
    assert watched.downtime_ns - alone.downtime_ns in (0, COSTS.fault)
    assert watched.uvcs == alone.uvcs


# The process ends


def test_nobody_exits_unless_told():
    assert ld.reboot("16 MiB").exited_ns is None
    run = ld.shutdown("16 MiB")
    assert run.exited_ns == run.downtime_ns


def test_at_the_end_means_when_guest_and_clean_up_are_done():
    stays, goes = (ld.reboot("64 MiB", exit_at=moment, touch="reverse") for moment in (None, "end"))
    assert stays.booted and goes.booted
    last = max(stays.finished_ns.values())
    assert last == stays.end_ns == goes.finished_ns["QEMU"]
    assert goes.exited_ns == goes.finished_ns["QEMU exits"] > last
    assert goes.finished_ns["clean-up thread 2"] == goes.cleanup_ns > goes.exited_ns
    assert not [record for record in goes.final if record.holder in (Holder.MAPPED, Holder.SET_ASIDE)]


def test_at_the_end_of_a_guest_that_never_came_up():
    run = ld.reboot("16 MiB", kernel=ld.series.v1.without(4), exit_at="end", low_memory=0)
    assert kinds(run)["addressing exception"] == 1 and not run.booted
    assert run.exited_ns is not None and run.cleanup_ns is not None


def test_before_the_series_an_exit_exports_everything():
    run = ld.reboot("64 MiB", kernel=BEFORE, exit_at="end")
    assert run.by_actor["QEMU exits"] == {
        UVC.CONV_FROM_SEC_STOR: run.pages,
        UVC.DESTROY_SEC_CPU: 2,
        UVC.DESTROY_SEC_CONF: 1,
    }


def test_a_kill_during_the_reset_waits_for_the_ioctl_and_the_new_guest_never_runs():
    whole = ld.reboot("64 MiB", kernel=BEFORE)
    for moment in (0, 1, "10 ms", whole.downtime_ns - 1):
        run = ld.reboot("64 MiB", kernel=BEFORE, exit_at=moment)
        assert run.downtime_ns is None and not run.booted
        assert run.finished_ns["QEMU"] == whole.downtime_ns
        assert run.exited_ns == whole.downtime_ns + run.pages * (COSTS.unmap + COSTS.free)
        assert run.foreground == run.uvcs and run.background == Counter()
        assert not any(actor.startswith("vCPU") for actor in run.by_actor)


@pytest.mark.parametrize(
    ("after", "unpacked", "configurations"),
    [(0, 0, 0), (1, 0, 1), (COSTS.config + 2 * COSTS.cpu - 1, 0, 1), (COSTS.config + 2 * COSTS.cpu + 20_000, 16, 1)],
)
def test_a_kill_while_the_guest_is_made_protected_waits_for_one_ioctl_only(after, unpacked, configurations):
    given = {"kernel": BEFORE, "vcpus": 2, **SMALL}
    loader_is_done = ld.reboot("1 MiB", **given).downtime_ns + 8 * COSTS.touch
    run = ld.reboot("1 MiB", exit_at=loader_is_done + after, **given)
    assert run.uvcs[UVC.UNPACK_IMG] == unpacked
    assert run.uvcs[UVC.CREATE_SEC_CONF] == configurations
    assert run.uvcs[UVC.VERIFY_IMG] == 0
    assert run.uvcs[UVC.DESTROY_SEC_CONF] == 1 + configurations


def test_a_kill_stops_the_vcpus_where_they_are():
    whole = ld.reboot("64 MiB", new_guest="normal")
    moment = whole.downtime_ns + 10**6
    run = ld.reboot("64 MiB", new_guest="normal", exit_at=moment)
    assert not run.booted and run.downtime_ns == whole.downtime_ns
    for actor in ("vCPU 0", "vCPU 1"):
        assert moment <= run.finished_ns[actor] <= moment + COSTS.touch
        stopped, went_on = (each.timeline[each.timeline["actor"] == actor]["pages"].sum() for each in (run, whole))
        assert stopped == 10**6 // COSTS.touch < went_on


def test_if_the_process_exits_the_walk_stops_early_and_the_thread_removes_the_address_space():
    whole = ld.reboot("64 MiB", touch="none", low_memory=0, new_guest="normal")
    run = ld.reboot("64 MiB", touch="none", low_memory=0, new_guest="normal", exit_at=whole.downtime_ns + 10**7)
    thread = run.by_actor["clean-up thread"]
    assert 0 < thread[UVC.DESTR_SEC_STOR] < run.pages
    assert thread[UVC.CONV_FROM_SEC_STOR] == run.pages, "the rest is exported, the pages that are clean too"
    assert run.cleanup_ns > run.exited_ns
    assert kinds(run)["use after free"] == 1, "the counter in the mm"


def test_a_second_thread_starts_if_the_first_one_still_holds_the_address_space_at_the_vms_end():
    # destroying the vCPUs must not take longer than a batch of pages
    given = {"touch": "none", "low_memory": 0, "costs": ld.Costs(cpu="1 us"), **SMALL}
    whole = ld.reboot("64 MiB", **given)
    run = ld.reboot("64 MiB", exit_at=whole.finished_ns["QEMU"] + 10**6, **given)
    assert run.finished_ns["clean-up thread"] > run.exited_ns
    assert "clean-up thread 2" in run.finished_ns


def test_a_process_that_a_signal_has_ended_is_not_killed_again():
    given = {"kernel": ld.series.v1.without(3), "low_memory": 0, "touch": "reverse", **SMALL}
    run, later = (ld.reboot("64 MiB", exit_at=moment, **given) for moment in (None, "10 s"))
    assert kinds(run)["signal"] == 1
    assert run.exited_ns == later.exited_ns < 10**10
    assert later.uvcs == run.uvcs and later.events == run.events


def test_memory_shows_the_moment_at_which_the_new_guests_pages_become_old():
    run = ld.reboot("64 MiB", kernel=ld.series.v1.upto(4), exit_at="end")
    killed = run.finished_ns["QEMU"]
    before, after = run.memory["uncleaned"][np.searchsorted(run.memory["time"], [killed, killed + 1])]
    assert before == 0 and after >= run.pages - 1


# Another process afterwards


@pytest.mark.parametrize("kernel", [BEFORE, ld.series.v1])
def test_another_process_gets_the_memory_when_wait_returns(kernel):
    run = ld.reboot("64 MiB", kernel=kernel, exit_at="end", demand="8 GiB/s", demand_total="32 MiB")
    assert not run.oom and run.memory["other"].max() == 8192
    assert run.finished_ns["other process"] == run.exited_ns + 8192 * PAGE * 10**9 // (8 << 30)
    stretch = run.timeline[run.timeline["actor"] == "other process"]
    assert stretch["start"].min() == run.exited_ns


def test_set_aside_pages_are_missing_then():
    given = {"exit_at": "end", "demand": "64 GiB/s", "host_memory": "1300 MiB"}
    assert ld.reboot("1 GiB", **given).oom
    assert not ld.reboot("1 GiB", kernel=ld.series.v1.upto(8), **given).oom


def test_without_patch_6_pages_are_free_while_they_are_secure():
    given = {"exit_at": "end", "demand": "1 GiB/s", "features": "misc", "low_memory": 0, **SMALL}
    run = ld.reboot("64 MiB", kernel=ld.series.v1.without(6), demand_from="exit", **given)
    assert [event.actor for event in run.events if event.kind == "endless fault"] == ["other process"]
    assert not kinds(ld.reboot("64 MiB", demand_from="exit", **given))["endless fault"]
    # once wait() has returned the configuration has been destroyed, and with it whatever was still secure
    assert not kinds(ld.reboot("64 MiB", kernel=ld.series.v1.without(6), **given))["endless fault"]


# I/O


@pytest.mark.parametrize(("io", "pages"), [(1, 16_384), (0.5, 8192), (0, 0)])
def test_without_patch_2_the_first_io_on_each_page_pays_two_useless_calls(io, pages):
    given = {"new_guest": "normal", "io": io}
    run = ld.reboot("64 MiB", kernel=ld.series.v1.upto(1), **given)
    useless = {UVC.PIN_PAGE_SHARED: pages, UVC.CONV_FROM_SEC_STOR: pages} if pages else None
    assert run.by_actor.get("I/O") == useless
    assert run.failed_uvcs[UVC.PIN_PAGE_SHARED] == run.noop_uvcs[UVC.CONV_FROM_SEC_STOR] == pages
    with_2 = ld.reboot("64 MiB", kernel=ld.series.v1.upto(2), **given)
    assert not with_2.by_actor.get("I/O")
    if io:
        assert with_2.finished_ns["I/O"] == with_2.finished_ns["vCPU 1"] + pages * COSTS.touch


def test_io_leaves_out_what_is_not_there():
    run = ld.reboot("64 MiB", kernel=BEFORE, used=0.5, touch="none", new_guest="normal", io=1)
    assert run.by_actor["I/O"][UVC.PIN_PAGE_SHARED] == 8192


def test_io_on_a_protected_guest_exports_its_pages():
    run = ld.reboot("16 MiB", io=1)
    assert run.by_actor["I/O"][UVC.CONV_FROM_SEC_STOR] == 4096
    assert run.booted


def test_there_is_no_io_for_a_guest_that_is_gone():
    run = ld.reboot("64 MiB", kernel=ld.series.v1.without(3), low_memory=0, touch="reverse", io=1, **SMALL)
    assert kinds(run)["signal"] and "I/O" not in run.by_actor


def test_a_kill_ends_the_io():
    whole = ld.reboot("64 MiB", new_guest="normal", io=1)
    moment = whole.finished_ns["I/O"] - 10**6
    run = ld.reboot("64 MiB", new_guest="normal", io=1, exit_at=moment)
    assert run.booted and run.finished_ns["I/O"] - moment in range(COSTS.touch + 1)


# Rule 1 turned off


def test_with_rule_1_no_call_is_harmful():
    for run in (ld.reboot("64 MiB", touch="reverse"), ld.shutdown("64 MiB")):
        assert run.harmful_uvcs == Counter()
        assert "were destroyed" not in repr(run)


def test_without_rule_1_the_thread_destroys_the_new_guests_pages():
    ruled, run = (
        ld.reboot("64 MiB", touch="reverse", low_memory=0, destroy_needs_no_cpus=rule, **SMALL)
        for rule in (True, False)
    )
    assert ruled.failed_uvcs[UVC.DESTR_SEC_STOR] > 0 and run.failed_uvcs[UVC.DESTR_SEC_STOR] == 0
    lost = run.harmful_uvcs[UVC.DESTR_SEC_STOR]
    assert lost > 0 and run.harmful_uvcs <= run.uvcs
    zeros = sum(
        n for record, n in run.final.items() if record.holder == Holder.MAPPED and record.content == Content.ZERO
    )
    assert 0 < zeros <= lost, "a page that was touched once more is the guest's again, full of zeros"
    assert f"pages of a running guest that were destroyed  {lost:,}" in repr(run)


def test_a_guest_whose_page_was_destroyed_reads_zeros_and_is_not_told():
    machine = ld.Machine("32 KiB", ultravisor={"destroy_needs_no_cpus": False})
    machine.boot()
    machine.protect()
    machine.touch(3)
    assert machine.kernel.uv_destroy_page(machine._frame(3).paddr) == 0
    assert machine.describe(machine._frame(3).record) == "zeros"
    again = machine.touch(3)
    assert again.interruptions == (ld.Interruption.NON_SECURE_STORAGE_ACCESS,) and not again.events
    assert again.ns == 2 * COSTS.touch + COSTS.exception + COSTS.import_clear - COSTS.touch, "a first import clears"


# DESTROY_SEC_CONF fails


@pytest.mark.parametrize("scenario", [ld.reboot, ld.shutdown])
@pytest.mark.parametrize("kernel", [BEFORE, ld.series.v1.upto(1), ld.series.v1.upto(8), ld.series.v1])
def test_a_configuration_that_cannot_be_destroyed_is_never_cleaned_up(scenario, kernel):
    run = scenario("16 MiB", kernel=kernel, destroy_fails=True)
    assert run.cleanup_ns is None
    assert any("rc fff" in event.text for event in run.events if event.kind == "warning")
    donated = 64 + 16 + 16
    table = 4 if 1 in kernel else 0
    leaked = run.memory["leaked"][-1]
    assert leaked in (donated + table, donated + 2 * table), "once more at the VM's end, if that tries again"


def test_qemu_exits_if_the_reset_fails_and_does_not_notice_if_it_fails_in_the_background():
    at_once, later = (ld.reboot("16 MiB", kernel=kernel, destroy_fails=True) for kernel in (BEFORE, ld.series.v1))
    assert at_once.downtime_ns is None and at_once.exited_ns is not None and not at_once.booted
    assert later.downtime_ns is not None and later.exited_ns is None and later.booted


def test_only_the_old_configuration_cannot_be_destroyed():
    run = ld.reboot("16 MiB", destroy_fails=True, exit_at="end")
    assert run.uvcs[UVC.DESTROY_SEC_CONF] == 2 and run.failed_uvcs[UVC.DESTROY_SEC_CONF] == 1


# What a run tells


def test_free_pages_that_nobody_can_use_are_counted():
    run = ld.reboot("16 MiB", exit_at="end")
    assert run.secure_free == 0
    final = {
        Record(): 5,
        Record(state=State.SECURE): 3,
        Record(state=State.SHARED): 2,
        Record(refs=1, holder=Holder.OTHER): 9,
    }
    assert dataclasses.replace(run, final=final).secure_free == 5


def test_interruptions_are_told_by_actor():
    run = ld.reboot("64 MiB", touch="reverse", low_memory=0, **SMALL)
    for actor, raised in run.interruptions.items():
        assert raised[ld.Interruption.SECURE_STORAGE_VIOLATION] == run.by_actor[actor][UVC.DESTR_SEC_STOR]
    assert sum(run.interruptions.values(), Counter())[ld.Interruption.SECURE_STORAGE_VIOLATION] > 0
    normal = ld.reboot("64 MiB", touch="reverse", low_memory=0, new_guest="normal")
    for actor, raised in normal.interruptions.items():
        assert raised == {ld.Interruption.SECURE_STORAGE_ACCESS: normal.by_actor[actor][UVC.CONV_FROM_SEC_STOR]}


GIVEN = [
    {"shared": 0.25},
    {"bystander": "1 ms"},
    {"bystander": ["1 ms", 2000]},
    {"bystander": np.array([1, 2])},
    {"exit_at": "end", "demand": "1 GiB/s", "demand_total": "1 MiB"},
    {"exit_at": "5 ms", "demand": "1 GiB/s", "demand_from": "exit"},
    {"io": 0.5},
    {"destroy_needs_no_cpus": False},
    {"destroy_fails": True},
]


@pytest.mark.parametrize("given", GIVEN, ids=lambda given: ", ".join(given))
def test_reproduce_says_what_was_given(given):
    run = ld.reboot("4 MiB", **given)
    again = eval(run.reproduce(), {"ld": ld})
    assert again.call == run.call and all(name in run.call for name in given)
    for name in ("downtime_ns", "exited_ns", "uvcs", "events", "finished_ns", "bystander_waits_ns", "final"):
        assert getattr(again, name) == getattr(run, name)


@pytest.mark.parametrize("scenario", [ld.reboot, ld.shutdown])
def test_what_is_not_given_changes_nothing(scenario):
    spelled_out = {"shared": 0.0, "destroy_fails": False}
    if scenario is ld.reboot:
        spelled_out |= {"bystander": None, "exit_at": None, "io": 0.0, "destroy_needs_no_cpus": True}
    one, other = scenario("64 MiB"), scenario("64 MiB", **spelled_out)
    for field in dataclasses.fields(one):
        if field.name not in ("seconds", "parameters"):
            assert np.array_equal(getattr(one, field.name), getattr(other, field.name)), field.name
    assert one.call == other.call


REFUSED = [
    ({"shared": 1.5}, "shared=1.5 is above 1"),
    ({"shared": "half"}, "shared='half'"),
    ({"bystander": "soon"}, "bystander='soon' does not begin with a number"),
    ({"bystander": ["1 ms", "2 m"]}, "bystander='2 m' has an unknown unit"),
    ({"bystander": -1}, "bystander=-1 is negative"),
    ({"bystander": True}, "bystander=True"),
    ({"bystander": 1.5}, "bystander=1.5 is of type float"),
    ({"bystander": range(17)}, r"names 17 moments.*up to 16"),
    ({"exit_at": "later"}, r"exit_at='later' does not begin with a number.*Or 'end'"),
    ({"exit_at": -5}, r"exit_at=-5 is negative.*Or 'end'"),
    ({"demand": "1 GiB/s"}, r"demand='1 GiB/s': .*exit_at"),
    ({"demand_total": "1 GiB", "exit_at": "end"}, "demand_total='1 GiB': say how fast"),
    ({"demand": "1 GiB", "exit_at": "end"}, "/s"),
    ({"demand_from": "now"}, "demand_from='now': use one of 'wait', 'exit'"),
    ({"io": -0.5}, "io=-0.5 is below 0"),
    ({"destroy_needs_no_cpus": 0}, "destroy_needs_no_cpus=0: use True or False"),
    ({"destroy_fails": "yes"}, "destroy_fails='yes': use True or False"),
]


@pytest.mark.parametrize(("given", "says"), REFUSED, ids=lambda value: repr(value))
def test_a_wrong_value_is_refused_in_a_sentence(given, says):
    with pytest.raises(ValueError, match=says):
        ld.reboot("1 MiB", **given)


@pytest.mark.parametrize("name", ["shared", "destroy_fails"])
def test_shutdown_refuses_the_same(name):
    given, says = next((given, says) for given, says in REFUSED if name in given)
    with pytest.raises(ValueError, match=says):
        ld.shutdown("1 MiB", **given)


def test_moments_that_virtual_time_cannot_count_are_refused():
    slow = ld.Costs(**dict.fromkeys(COSTS.sources, "1 s"))
    assert ld.reboot("1 MiB", bystander=1 << 60).end_ns == (1 << 60) + COSTS.fault
    scenarios.fits_into_time(slow, (290 << 30) // PAGE, 0)
    with pytest.raises(ValueError, match="146 years"):
        ld.reboot("256 GiB", host_memory="290 GiB", costs=slow, exit_at=1 << 60)


# The process is killed: nothing of it goes on, and nothing of it ends before its time


def test_io_that_has_not_begun_when_the_process_is_killed_never_does():
    given = {"touch": "none", "io": 1.0, "vcpus": 1}
    begins = ld.reboot("64 KiB", **given).timeline
    begins = int(begins["start"][begins["actor"] == "I/O"][0])
    for late in range(-3, 4):
        run = ld.reboot("64 KiB", exit_at=begins + late, **given)
        io = run.timeline[run.timeline["actor"] == "I/O"]
        # its one step at that moment may come first; then the kill ends it
        assert io["pages"].sum() == (late > 0)
        assert "QEMU exits" in run.finished_ns


def test_guests_that_wait_for_the_clean_up_do_not_begin_once_the_process_is_killed():
    given = {"wait_for_cleanup": True, "new_guest": "normal", "loader": 0, "low_memory": 0}
    cleaned = ld.reboot("64 KiB", **given).cleanup_ns
    for late in (-2000, -500, -2, -1):
        run = ld.reboot("64 KiB", exit_at=cleaned + late, **given)
        assert not any(actor.startswith("vCPU") for actor in run.finished_ns) and not run.booted


@pytest.mark.parametrize("pages", [1, 21])
def test_an_exit_at_the_end_waits_until_the_last_call_is_over(pages):
    given = {"touch": "none", "loader": 0, "exit_at": "end", "low_memory": 0}
    alone = ld.reboot(pages * 4096, **given).timeline
    exits = int(alone["start"][alone["actor"] == "QEMU exits"][0])
    assert exits == int(alone["end"][alone["actor"] == "QEMU"].max())
    noop = ld.Costs().noop
    for late in (-noop - 1, -noop, -noop + 1, -2, -1, 0, 1):
        run = ld.reboot(pages * 4096, bystander=exits + late, **given)
        assert run.bystander_waits_ns == ((0,) if late < 0 else ())


def test_a_kill_during_an_ioctl_that_is_one_call_waits_for_its_end():
    given = {"touch": "none", "loader": 0, "low_memory": 0, "costs": ld.Costs(noop=1000)}
    rows = ld.reboot("64 KiB", **given).timeline
    qemu = rows[rows["actor"] == "QEMU"]
    verified = int(qemu["end"].max())
    unpacks = int(qemu["start"][qemu["activity"] == "unpacks the image"][0])
    for call_ends in (unpacks, verified):
        for early in (1, 500, 999):
            run = ld.reboot("64 KiB", exit_at=call_ends - early, **given)
            exits = run.timeline["start"][run.timeline["actor"] == "QEMU exits"]
            assert int(exits.min()) == call_ends
            assert run.uvcs[ld.UVC.UNPACK_IMG] == (call_ends == verified)
