"""What each commit of the merged design is good for shows over a range of guests and costs, or it is said why not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_demonstrations import PAGE, part, patterns, shares, small_guests, value, vcpus

import lazydestroy as ld
from lazydestroy.demonstrations import MERGED
from lazydestroy.series.merged.m01_sida import FreeSidaAgain
from lazydestroy.uvcb import UVC

linux_6_2, latest = ld.series.linux_6_2, ld.series.linux_latest

pages = st.integers(8, 4_000)
costs = st.sampled_from(["0.1", "0.5", "1", "3", "10"]).map(ld.Costs().scaled)


@st.composite
def large_guests(draw):
    """Parameters of a guest that QEMU sets aside: it has more pages than a segment table reaches, as it is told."""
    guest = draw(small_guests())
    return {**guest, "segment_table": guest["low_memory"]}


def show(number, **given):
    return latest[number].demonstrate(**given)


def test_every_commit_has_an_experiment():
    assert sorted(MERGED) == list(latest.numbers)


def test_the_kernels_differ_in_the_commit_alone_except_where_another_says_that_it_is_there():
    for commit in latest:
        shown = commit.demonstrate(memory="16 MiB")
        extra = {15} if commit.number == 14 else set()
        assert set(shown.with_.numbers) - set(shown.without.numbers) == {commit.number} | extra
        assert not set(shown.without.numbers) - set(shown.with_.numbers)


def test_6_2_is_shown_on_6_2_and_a_fix_on_the_latest():
    assert {shown.belongs for shown in (show(n, memory="16 MiB") for n in (5, 18))} == {linux_6_2}
    assert show(19, memory="16 MiB").belongs == latest
    assert show(5, memory="16 MiB").reproduce() == "ld.series.linux_6_2[5].demonstrate(memory='16 MiB')"


@settings(max_examples=20)
@given(large_guests(), st.sampled_from([5, 6, 9]))
def test_what_prepares_the_ground_shows_wherever_an_old_page_is_met(guest, number):
    shown = show(number, **guest)
    assert shown.shows and f"patch {number}" in shown.finding
    assert shown.fates is not None and shown.fates.number == number
    assert shown.fates.with_.good and not shown.fates.without.good


@settings(max_examples=15)
@given(large_guests())
def test_8_without_the_count_the_next_owner_of_a_page_faults_forever(guest):
    guest = {**guest, "image_at": PAGE, "low_memory": max(guest["low_memory"], PAGE + guest["image"])}
    shown = show(8, **{**guest, "segment_table": guest["low_memory"]})
    assert value(shown, "next owner") == (True, False)
    assert value(shown, "pages destroyed") == (0, guest["memory"] // PAGE)


@settings(max_examples=15)
@given(pages, shares, shares)
def test_3_two_calls_are_saved_for_each_page_that_was_secure_and_meets_io(size, used, io):
    shown = show(3, memory=size * PAGE, used=used, io=io)
    assert value(shown, "calls for I/O") == (2 * min(part(used, size), part(io, size)), 0)


@settings(max_examples=10)
@given(pages, st.integers(1, 5))
def test_4_the_marked_table_is_leaked_and_not_given_to_another(size, vms):
    assert value(show(4, memory=size * PAGE, vms=vms), "later VMs refused") == (vms, 0)


@settings(max_examples=10)
@given(pages, st.integers(1, 64), costs)
def test_7_the_lock_is_held_for_one_batch(size, batch, prices):
    shown = show(7, memory=size * PAGE, destroy_loop_threshold=batch, costs=prices)
    assert value(shown, "longest hold of")[1] == min(batch, size) * prices.walk


@settings(max_examples=15)
@given(st.integers(8, 64), vcpus)
def test_1_one_page_a_cpu_is_freed_a_second_time(size, cpus):
    shown = show(1, memory=size * PAGE, vcpus=cpus)
    assert shown.shows and value(shown, "SIDA") == (cpus, 0)
    assert value(shown, "pages leaked")[0] == 0 < value(shown, "pages leaked")[1]
    assert shown.without == linux_6_2.upto(0).plus(FreeSidaAgain)
    assert eval(repr(shown.without), {"ld": ld}) == shown.without


@settings(max_examples=15)
@given(st.integers(1, 300), costs)
def test_2_the_busy_calls_are_made_one_by_one(busy, prices):
    shown = show(2, busy=busy, costs=prices)
    assert value(shown, "calls in a row") == (busy + 1, 1)
    assert value(shown, "calls in all") == (busy + 1, busy + 1)
    assert value(shown, "longest time")[0] == busy * prices.refused + prices.import_clear


@settings(max_examples=15)
@given(st.integers(8, 20_000), vcpus)
def test_10_the_leftover_keeps_what_was_donated_to_it(size, cpus):
    shown = show(10, memory=size * PAGE, vcpus=cpus)
    uv = shown.runs[0].uv
    donated = (uv.conf_base_phys_stor_len + uv.variable_storage(size * PAGE)) // PAGE
    assert value(shown, "configurations") == (1, 0)
    assert value(shown, "pages that stay") == (donated, 0)
    assert value(shown, "the address space") == (False, True)


@settings(max_examples=20)
@given(pages, shares, costs)
def test_11_and_12_the_end_of_the_process_costs_each_page_what_the_calls_cost(size, used, prices):
    secure = part(used, size)
    given = {"memory": size * PAGE, "used": used, "costs": prices}
    cpus, tear_down = show(11, **given), show(12, **given)
    assert value(cpus, "destroys that are refused") == value(cpus, "pages exported") == (secure, 0)
    before, after = value(cpus, "until wait")
    assert before - after == secure * (prices.refused + prices.export - prices.destroy)
    assert value(tear_down, "pages exported") == (secure, 0)
    assert value(tear_down, "pages destroyed") == (0, secure)
    before, after = value(tear_down, "until wait")
    assert before - after == secure * (prices.export - prices.destroy)
    for shown in (cpus, tear_down):
        assert shown.shows == (secure > 0)
        assert ("no difference" in shown.finding) == (not secure)


@settings(max_examples=20)
@given(pages, shares, costs)
def test_13_every_page_of_the_configuration_costs_three_tenths_of_a_destroy_and_a_walk(size, used, prices):
    secure = part(used, size)
    shown = show(13, memory=size * PAGE, used=used, costs=prices)
    assert value(shown, "pages destroyed one by one") == (secure, 0)
    before, after = value(shown, "until the new guest runs")
    assert before - after == secure * (prices.destroy - prices.noop - prices.destroy * 3 // 10)
    assert shown.shows == (secure > 0)


def test_13_may_gain_no_time_and_then_says_so():
    shown = show(13, memory="16 MiB", costs=ld.Costs(destroy="1 us", noop="1 us"))
    assert shown.shows and "no sooner" in shown.finding


@settings(max_examples=20)
@given(large_guests())
def test_14_only_low_memory_is_destroyed_before_the_new_guest_runs(guest):
    guest = {name: each for name, each in guest.items() if name not in ("loader", "image", "memory")} | {
        "memory": [guest["memory"]]
    }
    (memory,), low = guest["memory"], guest["low_memory"] // PAGE
    shown = show(14, **guest)
    assert value(shown, "destroys before that") == (memory // PAGE, low)
    assert value(shown, "destroys by QEMU's thread") == (0, memory // PAGE)
    expected = guest["vcpus"] * guest["costs"].cpu + low * (guest["costs"].walk + guest["costs"].destroy)
    assert value(shown, "until the new guest runs")[1] == expected


def test_14_grows_without_the_commit_and_is_flat_above_2_gib_with_it():
    shown = show(14, memory="64 GiB")
    before, after = (dict(line) for line in shown.series.values())
    assert after[64 << 30] == after[8 << 30] == after[4 << 30] and before[64 << 30] > 15 * before[4 << 30]
    assert after[1 << 30] == before[1 << 30], "QEMU does not set a small guest aside"
    assert not show(14, memory=["1 GiB"]).shows


def test_14_a_guest_little_above_2_gib_is_back_later_and_that_is_said():
    shown = show(14, memory=["2.5 GiB"])
    before, after = value(shown, "until the new guest runs")
    assert after > before and not shown.shows and "no sooner" in shown.finding


@settings(max_examples=15)
@given(large_guests(), st.sampled_from([15, 18]))
def test_15_and_18_a_thread_cleans_up_only_if_the_kernel_lets_qemu(guest, number):
    shown = show(number, **guest)
    assert shown.shows
    assert value(shown, "QEMU's thread") == ((False, True) if number == 15 else (True, False))
    if number == 18:
        left = guest["memory"] // PAGE - guest["low_memory"] // PAGE
        assert value(shown, "old pages") == (left, 0)
        assert value(shown, "pages leaked") == (0, 0)


@settings(max_examples=15)
@given(large_guests())
def test_17_the_fast_call_gives_donated_storage_back_at_once_and_leaves_the_pages(guest):
    shown = show(17, **guest)
    before, after = shown.runs
    assert shown.shows
    donated = before.configurations[0].donated * PAGE
    assert value(shown, "donated") == (donated, 0)
    assert value(shown, "until the old configuration") == (before.cleanup_ns, after.configurations[0].destroyed_ns)
    assert after.uvcs[UVC.DESTROY_SEC_CONF] == 0 == before.uvcs[UVC.DESTROY_SEC_CONF_FAST]
    assert before.uvcs[UVC.DESTR_SEC_STOR] == after.uvcs[UVC.DESTR_SEC_STOR]


def test_17_an_ultravisor_as_of_2021_does_not_have_the_call():
    shown = show(17, ultravisor="as of 2021")
    assert not shown.shows and "does not have the call" in shown.details[0]
    assert not show(17, memory="1 GiB").shows


@pytest.mark.parametrize("number", [14, 15, 17, 18])
def test_within_the_first_2_gib_the_commands_are_not_used_and_that_is_said(number):
    shown = show(number, memory=["1 GiB"] if number == 14 else "1 GiB")
    assert not shown.shows and "no difference" in shown.finding
    assert len({run.downtime_ns for run in shown.runs}) == 1


@pytest.mark.parametrize("number", [14, 15, 16, 17, 18, 22])
def test_an_old_guest_that_used_nothing_is_said_to_have_used_nothing_or_costs_nothing(number):
    shown = show(number, memory=["4 GiB"] if number == 14 else "4 GiB", used=0)
    assert shown.finding.endswith(".") and not any(run.uvcs[UVC.CONV_FROM_SEC_STOR] for run in shown.runs)


@pytest.mark.parametrize("memory, shows", [("16 KiB", True), ("1 GiB", True), ("2 GiB", True), ("2.5 GiB", False)])
def test_19_guests_with_a_segment_table_are_refused(memory, shows):
    shown = show(19, memory=memory)
    assert shown.shows == shows
    assert value(shown, "the end writes") == (shows, False)
    assert value(shown, "the kernel sets") == (True, not shows)


@settings(max_examples=15)
@given(st.integers(0, 64))
def test_20_one_needless_call_for_each_page_that_is_unmapped_in_that_moment(unmapped):
    shown = show(20, memory="256 KiB", unmapped=unmapped)
    assert value(shown, "calls for pages") == (unmapped, 0)
    assert value(shown, "pages swapped out") == (unmapped, unmapped)
    assert shown.shows == (unmapped > 0)


@pytest.mark.parametrize("rc, shows", [(0x104, True), (0x105, False), (0x111, False)])
def test_21_only_one_refusal_is_nobodys_mistake(rc, shows):
    shown = show(21, memory="2.5 GiB", rc=rc)
    assert shown.shows == shows
    assert value(shown, "warnings") == (1, 0 if shows else 1)
    assert value(shown, "the configuration") == (True, True)


@settings(max_examples=20)
@given(large_guests(), patterns)
def test_22_an_old_page_costs_a_normal_guest_one_call_and_not_two(guest, touch):
    shown = show(22, **{**guest, "touch": touch})
    before, after = shown.runs
    met = value(shown, "exports")[0]
    assert value(shown, "calls for old pages")[0] == 2 * met
    assert value(shown, "exports")[1] == 0
    assert value(shown, "calls for old pages")[1] == value(shown, "destroys")[1]
    assert shown.shows == (met > 0) and before.booted and after.booted


@pytest.mark.parametrize("memory, lost", [("1 GiB", 0), ("2.5 GiB", 4), ("8 GiB", 4)])
def test_23_a_table_of_4_pages_is_lost_if_the_guest_has_one_to_replace(memory, lost):
    shown = show(23, memory=memory)
    assert value(shown, "pages leaked") == (lost, 0)
    assert shown.shows == (lost > 0)


@settings(max_examples=15)
@given(st.integers(1, 5_000), costs)
def test_24_all_pages_are_refused_and_exported_without_a_notifier(size, prices):
    shown = show(24, memory=size * PAGE, costs=prices)
    assert shown.shows
    assert value(shown, "destroys that are refused") == value(shown, "pages exported") == (size, 0)


@pytest.mark.parametrize(
    ("number", "given"),
    [
        (1, {"vcpus": 0}),
        (2, {"busy": 0}),
        (2, {"busy": 1001}),
        (10, {"vcpus": 249}),
        (14, {"memory": []}),
        (17, {"ultravisor": "as of 2020"}),
        (20, {"unmapped": -1}),
        (21, {"rc": 1}),
    ],
)
def test_a_wrong_value_is_refused_by_name(number, given):
    with pytest.raises(ValueError, match=next(iter(given))):
        show(number, **given)


@pytest.mark.parametrize("number", [14, 24])
@pytest.mark.parametrize("name", ["kernel", "async_destroy", "memroy"])
def test_an_unknown_parameter_is_refused(number, name):
    with pytest.raises(TypeError, match=f"patch {number} has no parameter '{name}'"):
        show(number, **{name: 1})
