"""The first picture of the course: how long a new guest waits, by the values of the runs that it shows."""

from __future__ import annotations

import io

import pytest
from matplotlib.patches import PathPatch
from matplotlib.text import Text
from PIL import Image

import lazydestroy as ld
from lazydestroy.plots import (
    PALETTE,
    WaitingPanel,
    describe_waiting,
    plot_waiting,
    waiting_end,
    waiting_height,
    waiting_picture,
)
from lazydestroy.plots.picture import HEAD
from lazydestroy.plots.waiting import brief
from lazydestroy.widgets import explore_reboot

BEFORE, AFTER = ld.series.v1.upto(0), ld.series.v1_fixed
NAMES = {"before": BEFORE, "after": AFTER}
GIB = 1 << 30


def reboots(memory, *kernels, **options):
    return [ld.reboot(memory, kernel=kernel, new_guest="normal", touch="none", **options) for kernel in kernels]


def texts(picture):
    return [text.get_text() for text in picture.findobj(Text) if text.get_text() and text.get_visible()]


def bars(picture):
    """From when to when, by colour of the edge."""
    found = [patch for patch in picture.axes[0].patches if isinstance(patch, PathPatch)]
    times = [bar.get_path().vertices[:, 0] for bar in found]
    return [(round(x.min()), round(x.max()), bar.get_edgecolor()) for x, bar in zip(times, found, strict=True)]


@pytest.mark.parametrize(
    ("ns", "words"),
    [
        (25_503_208_320, "25.5 s"),
        (797_117_760, "0.8 s"),
        (408_006_000_000, "408 s"),
        (1_590_000_000, "1.6 s"),
        (1_632_000_000_000, "1,632 s"),
        (13_300_000, "13 ms"),
        (99_990_000, "0.1 s"),
        (99_400_000, "99 ms"),
        (9_960_000_000, "9.96 s"),
        (999_900_000_000, "1,000 s"),
        (130_000_000, "0.13 s"),
        (200_000, "0.2 ms"),
    ],
)
def test_a_time_in_a_title_has_two_or_three_digits(ns, words):
    assert brief(ns) == words


def test_the_title_has_both_times():
    runs = reboots("64 GiB", BEFORE, AFTER)
    assert plot_waiting(*runs).title == (
        f"The new guest waits {brief(runs[1].downtime_ns)} instead of {brief(runs[0].downtime_ns)}"
    )
    assert plot_waiting(runs[0]).title == f"The new guest waits {brief(runs[0].downtime_ns)}"
    assert plot_waiting(*reboots("2 GiB", BEFORE, AFTER)).title.endswith("in both cases")


def test_each_bar_ends_when_what_it_stands_for_does():
    before, after = reboots("64 GiB", BEFORE, AFTER)
    picture = plot_waiting(before, after)
    drawn = [(start, end) for start, end, _ in bars(picture)]
    axis = waiting_end(after) * 5 // 4
    assert drawn == [
        (0, before.downtime_ns),
        (before.downtime_ns, axis),
        (0, before.cleanup_ns),
        (0, after.downtime_ns),
        (after.downtime_ns, axis),
        (0, after.downtime_ns),
        (after.downtime_ns, after.cleanup_ns),
    ]


def test_who_cleans_is_said_and_coloured_as_everywhere():
    from matplotlib.colors import to_rgba

    picture = plot_waiting(*reboots("64 GiB", BEFORE, AFTER))
    assert "◂ QEMU cleans 2 GiB, then a thread the rest" in texts(picture)
    assert "QEMU cleans all old pages" in texts(picture)
    colours = [colour for *_, colour in bars(picture)]
    looks = ("guest", "guest", "QEMU", "guest", "guest", "QEMU", "clean-up thread")
    assert colours == [to_rgba(PALETTE[look].colour) for look in looks]


def test_a_guest_that_fails_is_not_said_to_run():
    run = ld.reboot("4 GiB", kernel=AFTER.without(3), touch="reverse")
    assert not run.booted
    assert any("starts, and fails" in text for text in texts(plot_waiting(run)))


def test_names_are_those_that_were_given_and_fit():
    runs = reboots("4 GiB", BEFORE, AFTER)
    picture = plot_waiting(*runs, names=("without", "with"))
    assert {"without", "with"} <= set(texts(picture))
    assert describe_waiting({"without": runs[0]}) in picture.words.replace(picture.title, plot_waiting(runs[0]).title)
    with pytest.raises(ValueError, match="give each of the 2 runs a name of its own"):
        plot_waiting(*runs, names=("same", "same"))


@pytest.mark.parametrize("memory", ["4 KiB", "1 GiB", "3 GiB", "1 TiB"])
def test_text_stays_inside_the_picture(memory):
    picture = plot_waiting(*reboots(memory, BEFORE, AFTER, host_memory="1100 GiB"))
    assert Image.open(io.BytesIO(picture.png())).width == 900
    for text in picture.findobj(Text):
        if text.get_text() and text.get_visible() and text.get_in_layout():
            box = text.get_window_extent()
            assert box.x0 >= picture.bbox.x0 - 1 and box.x1 <= picture.bbox.x1 + 1, text.get_text()


@pytest.mark.parametrize("share", [0.05, 0.3, 0.45, 0.48, 0.55, 1])
def test_text_that_does_not_fit_into_its_bar_fits_beside_it(share):
    runs = reboots("64 GiB", BEFORE, AFTER)
    picture = waiting_picture(2)
    panel = WaitingPanel(picture.panel(HEAD, waiting_height(2)))
    panel.show(dict(zip("ab", runs, strict=True)), round(waiting_end(runs[1]) / share))
    right = panel.axes.get_window_extent().x1
    for text in panel.axes.texts:
        assert text.get_window_extent().x1 <= right + 2, text.get_text()


def test_only_reboots_can_be_shown():
    with pytest.raises(ValueError, match="give at least one run"):
        plot_waiting()
    with pytest.raises(ValueError, match="this is a shutdown"):
        plot_waiting(ld.shutdown("1 GiB"))


def test_a_slider_moves_both_kernels():
    explorer = explore_reboot(kernels=NAMES, controls=("memory",), pictures=("waiting",))
    picture = explorer.pictures["waiting"]
    assert {"before", "after"} <= set(texts(picture))
    assert picture.title == plot_waiting(*reboots("64 GiB", BEFORE, AFTER)).title
    explorer.controls["memory"].value = 2 * GIB
    assert picture.title.endswith("in both cases")


def test_a_single_kernel_is_shown_alone():
    explorer = explore_reboot(kernels={"before": BEFORE}, controls=("memory",), pictures=("waiting",))
    picture = explorer.pictures["waiting"]
    assert picture.title == plot_waiting(*reboots("64 GiB", BEFORE)).title
    assert texts(picture).count("new guest") == 1
