"""Swap: the kernel writes a guest's pages out when nothing is free, and can find only those that are mapped."""

from __future__ import annotations

from itertools import product

import pytest

import lazydestroy as ld
from lazydestroy.page import Holder

MIB = 1 << 20
TIGHT = {"low_memory": 0, "segment_table": 0, "host_memory": 12 * MIB, "demand": "8 GiB/s"}
SMALL = {"memory": 8 * MIB, "image": "64 KiB", "loader": "64 KiB"}


def tight_reboot(**given):
    return ld.reboot(**SMALL, **{**TIGHT, "demand_total": 8 * MIB, "demand_from": "start", **given})


def seen(run):
    rows = [tuple(map(int, row)) for row in run.memory[[0, -1]]]
    return run.uvcs, run.events, run.end_ns, run.swapped, run.oom, run.final, run.exited_ns, run.booted, rows


@pytest.mark.parametrize(("touch", "guest"), list(product(["none", "sequential", "random"], ["normal", "protected"])))
@pytest.mark.parametrize("kernel", [ld.series.v1, ld.series.v1.upto(0), ld.series.v1_fixed])
def test_with_the_table_and_without_it_the_same_pages_go_to_swap_and_come_back(touch, guest, kernel):
    given = {"touch": touch, "new_guest": guest, "kernel": kernel, "swap": 32 * MIB, "touched": 0.25}
    fast, plain = (tight_reboot(**given, _engine={"tabled": tabled, "windows": tabled}) for tabled in (True, False))
    assert fast.swapped > 0
    assert seen(fast) == seen(plain)


@pytest.mark.parametrize("touch", ["none", "sequential", "random"])
@pytest.mark.parametrize("swap", [0, MIB, 32 * MIB])
def test_no_page_is_lost_or_doubled(touch, swap):
    run = tight_reboot(touch=touch, swap=swap, new_guest="normal")
    columns = ("free", "guest", "set_aside", "donated", "other", "leaked")
    total = sum(run.memory[column] for column in columns)
    assert (total == 12 * MIB // 4096).all()


def test_without_swap_the_other_process_is_killed_and_with_enough_it_is_not():
    without, with_ = (tight_reboot(touch="none", new_guest="normal", swap=swap) for swap in (0, 32 * MIB))
    assert without.oom
    assert without.swapped == 0
    assert not with_.oom
    assert with_.swapped > 0
    other = sum(pages for record, pages in with_.final.items() if record.holder == Holder.OTHER)
    assert other == 8 * MIB // 4096


def test_a_swap_space_that_is_too_small_is_filled_and_then_memory_is_out():
    run = tight_reboot(touch="none", new_guest="normal", swap=MIB)
    assert run.oom
    assert run.swapped == MIB // 4096


def test_a_guest_that_finds_nothing_free_has_its_own_pages_swapped():
    run = tight_reboot(touch="sequential", new_guest="normal", swap=32 * MIB, demand_total=10 * MIB)
    assert run.booted
    assert not run.oom
    assert run.swapped > 10 * MIB // 4096 - 4 * MIB // 4096


def test_what_is_set_aside_cannot_be_swapped():
    run = ld.shutdown(8 * MIB, swap=32 * MIB, demand_total=8 * MIB, **TIGHT)
    assert run.oom
    assert run.swapped == 0


def test_a_page_that_comes_back_from_swap_holds_what_it_held():
    machine = ld.Machine("32 KiB", low_memory=0, segment_table=0)
    machine.boot()
    machine.protect()
    machine.touch(3)
    assert machine.swap_out(3)
    assert machine.touch(3).saw == "plaintext of A"
