"""What `reboot`, `reboot_loop` and `shutdown` promise of Linux 6.2: closed forms, conservation, who does the work."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lazydestroy as ld
from lazydestroy import UVC
from lazydestroy.errnos import EINVAL

PAGE = 4096
MERGED = ld.series.linux_6_2
FAST = "as of 2022"
QUIET = {"new_guest": "normal", "touch": "none", "kernel": MERGED}
SMALL = {"low_memory": 20 * PAGE, "segment_table": 0}
"""So that a guest of a hundred pages is one of more than 2 GiB."""

pages_and_low = st.tuples(st.integers(1, 3000), st.integers(0, 3000))


def small(low):
    return {"low_memory": low * PAGE, "segment_table": 0}


# How many calls


@settings(max_examples=25)
@given(pages_and_low)
def test_prepare_destroys_the_low_pages_and_perform_all_of_them_and_then_the_configuration(sizes):
    pages, low = sizes
    run = ld.reboot(pages * PAGE, **QUIET, **small(low))
    assert run.foreground == +Counter({UVC.DESTR_SEC_STOR: min(low, pages), UVC.DESTROY_SEC_CPU: 2})
    assert run.background == run.by_actor["async_cleanup"] == {UVC.DESTR_SEC_STOR: pages, UVC.DESTROY_SEC_CONF: 1}
    assert run.noop_uvcs[UVC.DESTR_SEC_STOR] == min(low, pages)
    assert not run.failed_uvcs


@settings(max_examples=25)
@given(pages_and_low)
def test_the_fast_call_ends_the_configuration_at_once_and_nothing_ends_it_again(sizes):
    pages, low = sizes
    run = ld.reboot(pages * PAGE, **QUIET, **small(low), ultravisor=FAST)
    assert run.foreground[UVC.DESTROY_SEC_CONF_FAST] == run.uvcs[UVC.DESTROY_SEC_CONF_FAST] == 1
    assert run.background == {UVC.DESTR_SEC_STOR: pages}
    assert run.noop_uvcs[UVC.DESTR_SEC_STOR] == min(low, pages)
    assert not run.failed_uvcs


@pytest.mark.parametrize("why", [{"async_destroy": False, "segment_table": 0}, {}])
@pytest.mark.parametrize("ultravisor", ["as of 2021", FAST])
def test_without_the_commands_and_for_a_small_guest_qemu_disables(why, ultravisor):
    run = ld.reboot(100 * PAGE, **QUIET, **why, ultravisor=ultravisor)
    assert run.foreground == {UVC.DESTROY_SEC_CPU: 2, UVC.DESTROY_SEC_CONF: 1, UVC.DESTR_SEC_STOR: 100}
    assert run.noop_uvcs == {UVC.DESTR_SEC_STOR: 100}
    assert not run.background


@settings(max_examples=15)
@given(st.integers(1, 3000), st.sampled_from([False, True, "killed first"]), st.sampled_from(["as of 2021", FAST]))
def test_a_shutdown_destroys_each_page_once_and_the_configuration_first_if_it_can(pages, helper, ultravisor):
    run = ld.shutdown(pages * PAGE, kernel=MERGED, helper=helper, ultravisor=ultravisor)
    last = UVC.DESTROY_SEC_CONF if ultravisor != FAST else UVC.DESTROY_SEC_CONF_FAST
    assert run.uvcs == {UVC.DESTR_SEC_STOR: pages, UVC.DESTROY_SEC_CPU: 2, last: 1}
    assert not run.noop_uvcs
    assert not run.failed_uvcs


# How long


@settings(max_examples=15)
@given(pages_and_low, st.integers(0, 10**5))
def test_downtime_and_clean_up_follow_from_the_costs(sizes, ns):
    pages, low = sizes
    low = min(low, pages)
    costs = ld.Costs(destroy=3 * ns, noop=ns)
    slow, fast = (
        ld.reboot(pages * PAGE, **QUIET, **small(low), costs=costs, ultravisor=name) for name in ("as of 2021", FAST)
    )
    configuration = costs.config + costs.config_per_gib * pages * PAGE // 2**30
    assert slow.downtime_ns == 2 * costs.cpu + low * (costs.walk + costs.destroy)
    assert fast.downtime_ns == slow.downtime_ns + costs.config  # it does not clean, so it does not depend on the size
    walk = pages * costs.walk + low * costs.noop + (pages - low) * costs.destroy
    assert slow.cleanup_ns == slow.downtime_ns + walk + configuration
    # without the last call, all is clean with the last page: at once, if they are all low
    assert fast.cleanup_ns == fast.downtime_ns + (walk if pages > low else 0)


@settings(max_examples=15)
@given(
    st.integers(1, 2000),
    st.sampled_from(["sequential", "reverse", "random"]),
    st.integers(0, 400),
    st.sampled_from(["protected", "normal"]),
    st.sampled_from([None, "100 us", "1 ms"]),
)
def test_when_all_is_clean_is_the_same_with_the_table_and_without_it(pages, touch, low, new_guest, exit_at):
    given = {"kernel": MERGED, "touch": touch, "new_guest": new_guest, "exit_at": exit_at, "ultravisor": FAST}
    given |= small(low) | {"loader": 8 * PAGE, "image": 8 * PAGE, "image_at": 0}
    runs = [
        ld.reboot(pages * PAGE, **given, _engine={"tabled": tabled, "windows": windows})
        for tabled, windows in ((True, True), (True, False), (False, False))
    ]
    assert len({(run.downtime_ns, run.cleanup_ns, run.end_ns, run.exited_ns) for run in runs}) == 1


@pytest.mark.parametrize("touch", ["sequential", "random"])
def test_all_is_clean_when_memory_says_so(touch):
    """After the fast call no configuration is left to tell: the last page counts, whoever cleans it."""
    given = {"kernel": MERGED, "ultravisor": FAST, "touch": touch, **small(64), "loader": "1 MiB", "image": "1 MiB"}
    run = ld.reboot("16 MiB", **given)
    unclean = run.memory["time"][run.memory["uncleaned"] > 0].max()
    clean = run.memory["time"][run.memory["uncleaned"] == 0].min()
    # what is sampled between two steps has those in it that have begun
    assert unclean < run.cleanup_ns < clean + ld.Costs().destroy


# Memory


@pytest.mark.parametrize("ultravisor", ["as of 2021", FAST])
@pytest.mark.parametrize("exit_at", [None, "300 us", "2 ms", "end"])
def test_memory_is_conserved_and_always_somebodys(ultravisor, exit_at):
    given = {"kernel": MERGED, "ultravisor": ultravisor, "exit_at": exit_at, **small(64)}
    run = ld.reboot("16 MiB", **given, loader="1 MiB", image="1 MiB")
    columns = [run.memory[name] for name in ("free", "guest", "set_aside", "donated", "other", "leaked")]
    assert np.unique(sum(columns)).tolist() == [run.parameters["host_memory"] // PAGE]
    assert not run.memory["set_aside"].any()
    assert (run.memory["charged"] == run.memory["guest"]).all()


# Who does the work


def test_with_a_helper_wait_returns_at_once_and_the_helper_cleans_up():
    alone, helped = (ld.shutdown("64 MiB", kernel=MERGED, helper=helper) for helper in (False, True))
    assert helped.exited_ns == helped.downtime_ns == 0
    assert helped.by_actor["helper"] == alone.by_actor["QEMU"] == helped.background
    assert helped.cleanup_ns == alone.cleanup_ns == alone.downtime_ns


def test_if_the_helper_is_killed_first_qemu_cleans_up_itself():
    alone, killed = (ld.shutdown("64 MiB", kernel=MERGED, helper=helper) for helper in (False, "killed first"))
    assert killed.downtime_ns == alone.downtime_ns
    assert killed.by_actor == alone.by_actor


def test_another_process_that_asks_as_soon_as_qemu_is_gone_meets_memory_that_the_helper_still_has():
    given = {"kernel": MERGED, "helper": True, "host_memory": "90 MiB", "demand": "8 GiB/s", "demand_total": "64 MiB"}
    assert ld.shutdown("64 MiB", **given).oom
    assert not ld.shutdown("64 MiB", **{**given, "helper": False}).oom


def test_a_process_that_is_killed_is_gone_when_its_last_thread_is():
    run = ld.reboot("16 MiB", **QUIET, **SMALL, exit_at="1 ms")
    assert run.exited_ns == run.finished_ns["async_cleanup"] == run.cleanup_ns > 1_000_000
    assert run.uvcs[UVC.DESTROY_SEC_CONF] == 1


def test_a_loop_of_exits_waits_for_the_thread_too():
    run = ld.reboot_loop("16 MiB", habit="exit", refill=0.5, times=3, kernel=MERGED, **SMALL, loader=0, image=PAGE)
    assert not run.stopped
    assert len(run.downtimes_ns) == 3
    assert run.cleanup_ns is not None


def test_a_loop_may_have_several_threads_at_work():
    run = ld.reboot_loop("16 MiB", times=4, kernel=MERGED, **SMALL, loader=0, image=PAGE)
    assert [actor for actor in run.by_actor if actor.startswith("async_cleanup")] == [
        "async_cleanup",
        "async_cleanup 2",
        "async_cleanup 3",
        "async_cleanup 4",
    ]
    assert run.uvcs[UVC.DESTROY_SEC_CONF] == 4


def test_if_prepare_is_refused_qemu_says_so_and_disables():
    class NoMemory(ld.series.Layer):
        def kvm_s390_pv_set_aside(self, kvm):
            self.machine.fail_allocation("set-aside structure")
            return (yield from super().kvm_s390_pv_set_aside(kvm))

    run = ld.reboot(100 * PAGE, kernel=MERGED.plus(NoMemory), new_guest="normal", touch="none", **SMALL)
    assert [event.text for event in run.events] == [
        "KVM_PV_ASYNC_CLEANUP_PREPARE answers -ENOMEM: QEMU calls KVM_PV_DISABLE"
    ]
    assert run.foreground[UVC.DESTROY_SEC_CONF] == 1
    assert "async_cleanup" not in run.by_actor


def test_if_the_thread_cannot_end_the_configuration_qemu_exits():
    run = ld.reboot("16 MiB", kernel=MERGED, **SMALL, loader=0, image=PAGE, destroy_fails=True)
    assert run.events[-1].text == "KVM_PV_ASYNC_CLEANUP_PERFORM answers -EIO: QEMU exits"
    assert run.exited_ns is not None
    assert run.cleanup_ns is None
    assert not run.booted


def test_pages_that_are_freed_secure_after_the_fast_call_are_never_clean():
    """The golden data have it, too: if the count does not stay up, an exit frees every page secure."""

    class CountedDownAtOnce(ld.series.Layer):
        def kvm_s390_pv_deinit_vm_fast(self, kvm):
            answer = yield from super().kvm_s390_pv_deinit_vm_fast(kvm)
            kvm.mm.context.is_protected -= not answer.r
            return answer

    run, right = (
        ld.shutdown("1 MiB", kernel=kernel, ultravisor=FAST) for kernel in (MERGED.plus(CountedDownAtOnce), MERGED)
    )
    assert run.secure_free == run.pages == 256
    assert run.cleanup_ns is None
    assert right.secure_free == 0
    assert right.cleanup_ns == right.downtime_ns


@pytest.mark.parametrize(
    ("scenario", "given", "words"),
    [
        (ld.reboot, {"ultravisor": "as of 1999"}, "ultravisor='as of 1999': use one of 'as of 2021', 'as of 2022'"),
        (ld.reboot, {"async_destroy": True}, "async_destroy=True: ld.series.v1 does not have the module parameter"),
        (ld.shutdown, {"helper": "killed"}, "helper='killed': use True, False or 'killed first'"),
        (ld.shutdown, {"helper": 1}, "helper=1: use True, False or 'killed first'"),
    ],
)
def test_what_is_not_accepted_is_named(scenario, given, words):
    with pytest.raises(ValueError, match=f"^{words}"):
        scenario("1 MiB", **given)


def test_a_leftover_waits_until_a_guest_is_protected_again() -> None:
    """KVM_PV_DISABLE of a normal guest is refused, and ends no leftover."""
    m = ld.small_machine(4, kernel=ld.series.linux_6_2)
    m.prepare()
    thread = m.perform()
    m.kill_thread(thread)
    m.run()
    assert m.disable().r == -EINVAL
    assert len(m.uv.configurations) == 1
    m.protect()
    assert m.disable().r == 0
    assert not m.uv.configurations
