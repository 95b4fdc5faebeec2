"""A call for a range of pages: a layer of our own, and a slider over its size."""

from __future__ import annotations

import pytest

import lazydestroy as ld
from lazydestroy.plots import plot_ranges
from lazydestroy.series import costs_in_a_range, longest_call_ns, range_call
from lazydestroy.widgets import choose, measure_exits
from lazydestroy.widgets.controlled import KEEPS_KEYS
from tests.marks import long_unless

SMALL = {"low_memory": "1 MiB", "loader": "64 KiB", "image": "64 KiB", "host_memory": "64 MiB"}
SLOW = ld.series.v1.upto(5)
"""Batches, but no clean-up in the background yet."""


def slow(pages: int, **given) -> ld.Run:
    return ld.reboot("16 MiB", kernel=SLOW.plus(range_call(pages)), costs=costs_in_a_range(), **SMALL, **given)


def test_a_range_of_one_page_costs_what_a_page_costs_today():
    assert slow(1).downtime_ns == ld.reboot("16 MiB", kernel=SLOW, **SMALL).downtime_ns


@pytest.mark.parametrize("pages", [2, 7, 64, 512])
def test_each_page_is_paid_for_and_each_call_once(pages):
    costs = ld.Costs()
    saved = slow(1).downtime_ns - slow(pages).downtime_ns
    assert saved == (4096 - -(-4096 // pages)) * costs.noop


def test_a_range_in_which_there_is_nothing_takes_no_call():
    used, little = slow(64), slow(64, used=0.5)
    costs = costs_in_a_range()
    assert used.downtime_ns - little.downtime_ns == 2048 * costs.destroy + 2048 // 64 * costs.noop


def test_the_same_pages_are_destroyed_and_nothing_is_left_secure():
    run = slow(64)
    assert run.foreground[ld.UVC.DESTR_SEC_STOR] == 4096
    assert run.secure_free == 0 and not run.events


def test_on_the_whole_series_it_shortens_the_first_part_and_the_rest():
    kernel = ld.series.v1_fixed
    with_ranges = ld.reboot("16 MiB", kernel=kernel.plus(range_call(64)), costs=costs_in_a_range(), **SMALL)
    without = ld.reboot("16 MiB", kernel=kernel, **SMALL)
    assert with_ranges.booted and with_ranges.downtime_ns < without.downtime_ns
    assert with_ranges.cleanup_ns < without.cleanup_ns


def test_the_thread_still_stops_when_it_is_alone():
    run = ld.reboot("16 MiB", kernel=ld.series.v1_fixed.plus(range_call(16)), exit_at="2 ms", **SMALL)
    assert run.exited_ns is not None and run.secure_free == 0


@pytest.mark.parametrize(
    "configurations", long_unless(lambda one: one == 1, "a search that finds nothing goes through all there is", [1, 2])
)
def test_the_search_finds_nothing_wrong_with_it(configurations):
    bounds = {"pages": 2, "vcpus": 1, "configurations": configurations, "sharing": False, "failures": ()}
    assert ld.series.check(ld.series.v1_fixed.plus(range_call(2)), **bounds).holds


def test_the_longest_time_in_firmware_grows_with_the_range():
    costs = ld.Costs()
    assert longest_call_ns(1) == costs.destroy
    assert longest_call_ns(512) == costs.noop + 512 * (costs.destroy - costs.noop)


def test_its_line_of_code_makes_the_run_again():
    run = slow(64)
    assert eval(run.reproduce(), {"ld": ld}).downtime_ns == run.downtime_ns


def test_what_is_no_range_is_refused():
    for pages in (0, 513):
        with pytest.raises(ValueError, match=f"pages={pages}"):
            range_call(pages)
    with pytest.raises(ValueError, match="destroy must cost at least as much as noop"):
        costs_in_a_range(ld.Costs(destroy="0.1 us"))


# What is shown of it


def test_the_picture_says_what_is_won_and_what_it_costs():
    picture = plot_ranges({1: 300_000, 512: 200_000}, {1: 1500, 512: 512_500})
    assert picture.title == "512 pages a call: downtime 1.5 times shorter, firmware busy for 512 µs"
    assert "Longest time in firmware" in picture.words
    with pytest.raises(ValueError, match="longest"):
        plot_ranges({1: 3, 2: 3}, {1: 3})


def test_a_slider_shows_what_belongs_to_its_value_and_computes_it_once():
    asked = []
    shown = choose("pages", (1, 2, 4), lambda pages: asked.append(pages) or f"{pages} pages")
    assert "4 pages" in shown.shown.value
    shown.slider.value = 0
    assert "1 pages" in shown.shown.value
    shown.slider.value = 2
    assert asked == [4, 1]
    for wrong, says in (
        (("pages", (1, 2), 3), "of=3"),
        (("pages", (), str), r"values=\(\)"),
        ((3, (1, 2), str), "label=3"),
    ):
        with pytest.raises(ValueError, match=says):
            choose(*wrong)


def test_arrow_keys_move_the_sliders_and_nothing_else():
    """In JupyterLab they would move from cell to cell, too."""
    for widget in (choose("pages", (1, 2), str), measure_exits()):
        assert KEEPS_KEYS in widget._dom_classes
