"""What becomes of one page, without a patch and with it."""

import pytest

import lazydestroy as ld
from lazydestroy.demonstrations.comparison import kernels
from lazydestroy.demonstrations.fates import fates
from lazydestroy.plots import plot_fates, scale

ENDS = {
    3: ("B's process is killed", "B gets through"),
    4: ("the new guest is stopped", "the new guest gets through"),
    6: ("the next owner faults forever", "the next owner gets through"),
    7: ("B's process is killed", "B gets through"),
}


def of(number):
    return fates(number, *kernels(ld.series.v1, number))


@pytest.mark.parametrize("number", ENDS)
def test_the_page_ends_as_the_patch_says(number):
    told = of(number)
    assert (told.without.outcome, told.with_.outcome) == ENDS[number]
    assert (told.without.good, told.with_.good) == (False, True)


@pytest.mark.parametrize("number", ENDS)
def test_both_kernels_begin_alike(number):
    told = of(number)
    first = [fate.stations[0]._replace(protected=0) for fate in (told.without, told.with_)]
    assert first[0] == first[1]


def test_an_old_page_is_destroyed_and_then_imported():
    stations = of(3).with_.stations
    assert [(station.state, station.owner, station.old) for station in stations] == [
        ("secure", "A", False),
        ("secure", "A", True),
        ("non-secure", "", False),
        ("secure", "B", False),
    ]
    assert [station.after.split("\n") for station in stations[2:]] == [
        ["B touches it", "0x3F", "destroy"],
        ["0x3E", "import"],
    ]


def test_a_shared_page_is_exported_before_the_import():
    told = of(7)
    assert told.without.last.split("\n") == ["B touches it", "0x3E", "import (refused)"]
    assert [station.after.split("\n")[-1] for station in told.with_.stations[2:]] == ["export", "import"]


def test_the_flag_is_cleared_and_the_counter_goes_down_by_one():
    told = of(6)
    assert [station.protected for station in told.without.stations] == [1, 0, 0]
    assert [station.protected for station in told.with_.stations] == [2, 1, 1, 1]
    assert told.without.stations[-1].holder == told.with_.stations[-1].holder == "free"
    assert told.without.stations[-1].locked and not told.with_.stations[-1].locked


def test_where_a_patch_makes_no_difference_the_title_says_both():
    """On a kernel with all the others: patch 3 in place of patch 4."""
    both = fates(3, ld.series.v1, ld.series.v1)
    assert both.title == "Without patch 3 B gets through; with it B gets through"
    assert plot_fates(both).title == both.title


def test_a_finding_that_the_story_would_contradict_is_drawn_otherwise():
    shown = ld.series.v1[3].demonstrate(memory="64 MiB")
    assert not shown.shows and shown.fates is None and shown.kind == "timeline"


def test_pictures_are_larger_for_a_projector():
    picture = plot_fates(of(3))
    usual = picture.image()
    assert scale(1.25) == 1.0
    try:
        large = picture.image()
        assert (large.width, large.height) == (round(usual.width * 1.25), round(usual.height * 1.25))
    finally:
        assert scale() == 1.25
    assert picture.png() == plot_fates(of(3)).png()


@pytest.mark.parametrize("size", [0, 0.4, 3.1, "large", None])
def test_a_size_that_is_none_is_refused(size):
    with pytest.raises(ValueError, match="size=.*0.5 to 3"):
        scale(size)
    assert scale() == 1.0
