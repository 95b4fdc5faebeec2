"""The questions asked of what Linux has since 6.2, where its answer is another one than version 1's."""

from __future__ import annotations

import pytest

import lazydestroy as ld
from lazydestroy.questions.common import cleans_up, prepares
from lazydestroy.questions.loops import neighbour
from lazydestroy.questions.switching import MOMENTS
from lazydestroy.userspace.async_cleanup import ASYNC_CLEANUP
from lazydestroy.uvcb import UVC

LINUX, V1 = ld.series.linux_6_2, ld.series.v1
SMALL = {"memory": "64 MiB", "kernel": LINUX, "low_memory": "4 MiB", "segment_table": "4 MiB"}
GUEST = {**SMALL, "image": "1 MiB", "loader": "1 MiB"}
SHUT = {**SMALL, "host_memory": "80 MiB", "rates": ("64 GiB/s",), "sizes": ("64 MiB",)}
PAGES = (64 << 20) >> 12


def test_which_kernels_let_userspace_clean_up():
    assert prepares(LINUX)
    assert not prepares(V1) and not prepares(V1.upto(0))
    assert cleans_up("clean-up thread 2") and cleans_up(f"{ASYNC_CLEANUP} 2")
    assert not cleans_up("QEMU exits")


def test_1_in_a_reboot_the_calls_are_made_by_a_thread_of_qemus_at_shutdown_by_qemu():
    found = ld.ask(1, **GUEST)
    assert found.short == "In a reboot only: there the clean-up thread makes the calls."
    assert found.values["by_thread"]["reboot"] == PAGES + 1  # and DESTROY_SEC_CONF
    assert found.values["by_thread"]["shutdown"] == 0
    assert "The thread is one of QEMU's own, which sits in an ioctl (PERFORM)." in found.details


def test_3_and_4_without_a_helper_nothing_is_held_when_wait_returns():
    third, fourth = ld.ask(3, **SHUT), ld.ask(4, **SHUT)
    assert third.values["held"] == third.values["set_aside"] == 0
    assert third.short.startswith("No: ") and "all its memory is free then" in third.verdict
    assert not fourth.values["killed_without"] and "killed in" not in fourth.verdict
    assert third.values["wait_ns"] == fourth.values["wait_ns"] > 0


def test_3_and_4_with_a_helper_memory_is_held_and_a_process_is_killed():
    third, fourth = ld.ask(3, **SHUT, helper=True), ld.ask(4, **SHUT, helper=True)
    assert third.values["held"] == PAGES
    assert third.short.startswith("In a reboot no; at shutdown yes")
    assert "64 MiB are still mapped then" in third.verdict
    assert fourth.values["killed_without"] == fourth.values["killed_with"] == 1
    assert fourth.short.startswith("No: a process is killed in 1 of 1 cases")


def test_6_one_that_waits_does_not_bound_those_that_have_begun():
    found = ld.ask(6, memory="4 GiB", kernel=LINUX, times=4)
    assert found.values["found"]["at once"].zombies > 1
    assert found.claims["at most one prepared, as merged, does not bound it"]
    assert "any number whose thread has begun" in found.verdict


def test_6_its_zombies_refuse_another_guest_too():
    assert neighbour(LINUX) == neighbour(V1)
    assert neighbour(LINUX).refused


def test_9_batches_are_those_of_version_1():
    given = {"memory": "16 MiB", "low_memory": "1 MiB", "segment_table": "1 MiB", "batches": (1, 32, 256)}
    merged, first = (ld.ask(9, kernel=kernel, **given).values["tried"] for kernel in (LINUX, V1))
    assert [each.hold_ns for each in merged] == [each.hold_ns for each in first]
    assert merged[-1].hold_ns > merged[0].hold_ns


def test_10_qemus_thread_stops_after_its_batch_and_removes_the_address_space():
    found = ld.ask(10, **GUEST, moments=(0.5,))
    shown = found.values["shown"]
    assert found.claims["the walk stops after the batch at hand"] and 0 < shown.walked < PAGES
    assert shown.destroys == {ASYNC_CLEANUP: PAGES} and not shown.exports
    assert shown.gone_ns == shown.clean_ns > shown.exit_ns, "the process is there until its memory has gone"
    run = found.values["runs"][shown.exit_ns]
    assert run.by_actor[ASYNC_CLEANUP][UVC.DESTR_SEC_STOR] == shown.walked + PAGES


def test_11_turned_off_between_prepare_and_perform_qemu_exits():
    found = ld.ask(11, kernel=LINUX)
    (changes,) = found.values["found"].values()
    harmed = {change: trouble for change, trouble in changes.items() if trouble}
    assert {MOMENTS[change.moment] for change in harmed} == {"reset, the thread has not begun"}
    assert all(change.before and trouble == {"QEMU exits": 1} for change, trouble in harmed.items())
    assert "async_destroy can't be changed at run time" in found.verdict


@pytest.mark.parametrize("number", range(1, 9))
def test_the_author_spoke_of_version_1(number):
    given = SHUT if number in (3, 4) else {"kernel": LINUX} if number == 2 else GUEST
    given = {**GUEST, "times": 2} if number == 6 else given
    assert ld.ask(number, **given).agrees == "does not apply"
