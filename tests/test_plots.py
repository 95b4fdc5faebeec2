"""Pictures: every kind of run can be drawn, titles say what the values say, colours mean the same everywhere."""

from __future__ import annotations

import io
import subprocess
import sys
from functools import cache

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

import lazydestroy as ld
from lazydestroy import plots
from lazydestroy.plots import PALETTE, plot_memory, plot_pages, plot_run, plot_scaling, plot_timeline
from lazydestroy.plots import lanes as what_is_drawn
from lazydestroy.plots.pages import MAP_PAGES
from lazydestroy.plots.picture import DPI
from lazydestroy.plots.quick import _texts, draw_text
from lazydestroy.rounded import about_count, about_duration
from lazydestroy.scenarios import zombies_over_time
from lazydestroy.widgets.views import ScalingView, Seen

BEFORE, V1 = ld.series.v1.upto(0), ld.series.v1

RUNS = {
    "reboot before": lambda: ld.reboot("4 GiB", kernel=BEFORE),
    "reboot": lambda: ld.reboot("4 GiB"),
    "quiet reboot": lambda: ld.reboot("4 GiB", new_guest="normal", touch="none"),
    "tiny reboot": lambda: ld.reboot("4 KiB", host_memory="1 GiB"),
    "unused reboot": lambda: ld.reboot("1 GiB", used=0.0, kernel=BEFORE),
    "parameter off": lambda: ld.reboot("4 GiB", lazy_destroy=False),
    "killed": lambda: ld.reboot("4 GiB", kernel=V1.without(3), touch="reverse"),
    "many vCPUs": lambda: ld.reboot("4 GiB", touch="random", vcpus=7),
    "shutdown before": lambda: ld.shutdown("4 GiB", kernel=BEFORE),
    "shutdown": lambda: ld.shutdown("4 GiB"),
    "demand": lambda: ld.shutdown("4 GiB", host_memory="8 GiB", demand="1 GiB/s"),
    "reboot loop": lambda: ld.reboot_loop("4 GiB", times=5),
    "reboot loop before": lambda: ld.reboot_loop("1 GiB", times=3, kernel=BEFORE),
    "reboot loop that exits": lambda: ld.reboot_loop("1 GiB", times=3, habit="exit"),
    "reboot loop cut short": lambda: ld.reboot_loop("4 GiB", times=5, max_num_sec_conf=2),
    "out of memory": lambda: ld.shutdown("4 GiB", host_memory="4.5 GiB", demand="8 GiB/s"),
}

every_run = pytest.mark.parametrize("name", RUNS)


def texts(picture):
    return [text.get_text() for text in picture.findobj(Text) if text.get_text() and text.get_visible()]


def colours(png):
    image = Image.open(io.BytesIO(png)).convert("RGB")
    return {f"#{r:02X}{g:02X}{b:02X}" for _, (r, g, b) in image.getcolors(1 << 24)}


PLOTS = (plot_run, plot_timeline, plot_memory)

run_of = cache(lambda name: RUNS[name]())
drawn = cache(lambda plot, name: plot(run_of(name)))


@every_run
@pytest.mark.parametrize("plot", PLOTS)
def test_every_kind_of_run_can_be_drawn(name, plot):
    picture = drawn(plot, name)
    image = Image.open(io.BytesIO(picture.png()))
    assert image.size == (900, round(picture.get_figheight() * DPI))
    assert picture.title
    assert len(picture.words) > 100


@every_run
@pytest.mark.parametrize("plot", PLOTS)
def test_a_title_fits_into_its_line(name, plot):
    assert "…" not in "".join(texts(drawn(plot, name)))


@every_run
def test_text_stays_inside_the_picture(name):
    picture = drawn(plot_run, name)
    picture.image()
    whole = picture.bbox
    for text in picture.findobj(Text):
        if text.get_text() and text.get_visible() and text.get_in_layout():
            box = text.get_window_extent()
            assert box.x0 >= whole.x0 - 1 and box.x1 <= whole.x1 + 1, text.get_text()


def test_a_guest_runs_no_longer_than_its_process():
    run = ld.reboot("4 GiB", new_guest="normal", touch="none", exit_at="1 s")
    (vcpus,) = (lane for lane in what_is_drawn.lanes_of(run) if lane.name == "guest's vCPUs")
    assert vcpus.merged()[-1].end == 10**9 < run.end_ns


def test_a_loop_of_reboots_shows_each_downtime():
    run = ld.reboot_loop("4 GiB", times=5)
    spans = what_is_drawn.downtimes_of(run)
    assert [end - start for start, end in spans] == list(run.downtimes_ns)
    assert [start for start, _ in spans] == list(run.resets_ns) and len(spans) == 5
    picture = plot_run(run)
    most, least = (about_duration(ns) for ns in (max(run.downtimes_ns), min(run.downtimes_ns)))
    assert f"5 resets, downtime {least} to {most}" in picture.title
    zombies = max(number for _, number in zombies_over_time(run))
    assert 1 < zombies < 5 and f"up to {zombies} zombies" in picture.title


def test_the_title_of_a_synchronous_reboot_has_its_numbers():
    run = ld.reboot("1 GiB", kernel=BEFORE)
    title = plot_run(run).title
    assert about_duration(run.downtime_ns) in title
    assert about_count(run.pages) in title


@pytest.mark.parametrize("scenario", [ld.reboot, ld.shutdown])
def test_the_title_of_a_lazy_run_has_both_times(scenario):
    run = scenario("4 GiB")
    title = run.plot().title
    assert about_duration(run.downtime_ns) in title
    assert about_duration(run.cleanup_ns) in title


def test_the_title_says_when_memory_ran_out():
    run = ld.shutdown("4 GiB", host_memory="4.5 GiB", demand="8 GiB/s")
    when = next(event.time_ns for event in run.events if event.kind == "oom")
    assert about_duration(when) in plot_run(run).title
    assert about_duration(when) in plot_memory(run).title


def test_the_title_says_that_a_guest_failed_and_why():
    run = ld.reboot("4 GiB", kernel=V1.without(3), touch="reverse")
    assert not run.booted
    assert "fails: signal" in plot_run(run).title


def test_a_comparison_says_how_much_shorter():
    runs = [ld.reboot("4 GiB", kernel=kernel) for kernel in (BEFORE, V1)]
    title = plot_timeline(*runs).title
    assert all(about_duration(run.downtime_ns) in title for run in runs)
    assert f"{runs[0].downtime / runs[1].downtime:.1f} times shorter" in title
    assert "no shorter" in plot_timeline(*runs[::-1]).title


def test_kernels_are_called_what_they_are_to_a_reader_and_can_be_told_apart():
    kernels = (BEFORE, ld.series.v1_fixed, V1, ld.series.v1_fixed.without(3))
    runs = [ld.reboot("4 GiB", kernel=kernel) for kernel in kernels]
    assert (
        plot_timeline(*runs[:2]).title == "Downtime 1.6 s before the series, 0.8 s with the patches: 2.0 times shorter"
    )
    assert "kernel: with the patches, new guest" in plot_run(runs[1]).words
    drawn = texts(plot_timeline(*runs))
    for name in ("before the series", "with the patches", "v1", "v1_fixed.without(3)"):
        assert drawn.count(name) == 1


def test_runs_above_each_other_have_one_time_scale():
    picture = plot_timeline(ld.reboot("1 GiB"), ld.reboot("4 GiB"), ld.reboot("4 GiB", kernel=BEFORE))
    assert len({axes.get_xlim() for axes in picture.axes}) == 1
    assert len(picture.axes) == 3


def test_a_timeline_needs_a_run():
    with pytest.raises(ValueError, match="at least one run"):
        plot_timeline()


def test_both_panels_of_a_run_have_one_time_axis():
    timeline, memory = plot_run(ld.reboot("4 GiB")).axes
    assert timeline.get_xlim() == memory.get_xlim()
    assert timeline.get_position().x0 == memory.get_position().x0
    assert "(s)" in memory.get_xlabel()
    assert "memory (GiB)" in texts(memory)


@every_run
def test_what_memory_is_used_for_adds_up(name):
    run = run_of(name)
    total = sum(pages for _, pages in what_is_drawn.bands_of(run))
    assert np.all(total == total[0])
    assert total[0] * 4096 == run.parameters["host_memory"]


def test_lanes_are_the_same_with_and_without_the_series():
    lanes = [
        [lane.name for lane in what_is_drawn.lanes_of(ld.reboot("1 GiB", kernel=kernel))] for kernel in (BEFORE, V1)
    ]
    assert lanes[0] == lanes[1]


def test_the_guest_stands_still_until_the_downtime_ends():
    run = ld.reboot("4 GiB")
    lane = next(lane for lane in what_is_drawn.lanes_of(run) if lane.look is PALETTE["guest"])
    waits, *others = lane.merged()
    assert waits.waits and (waits.start, waits.end) == (0, run.downtime_ns)
    assert all(stretch.start >= run.downtime_ns for stretch in others)


# Downtime against memory


def test_the_scaling_says_that_v1_does_not_grow():
    picture = plot_scaling(sizes=["1 GiB", "2 GiB", "4 GiB", "8 GiB"])
    assert picture.title == "Downtime from 2 GiB on: 4.0-fold before the series, flat with v1"
    assert "2 GiB" in texts(picture)


def test_the_scaling_is_computed_by_the_model():
    costs = ld.Costs(destroy="3 us")
    ns = plots.downtimes(V1, ["1 GiB", "8 GiB"], costs=costs)
    assert ns == [ld.reboot(size, costs=costs).downtime_ns for size in ("1 GiB", "8 GiB")]
    with pytest.raises(ValueError, match="scenario='boot'"):
        plots.downtimes(V1, ["1 GiB"], scenario="boot")


def test_the_scaling_marks_a_run():
    run = ld.reboot("4 GiB", kernel=BEFORE)
    picture = plot_scaling(BEFORE, sizes=["1 GiB", "4 GiB", "16 GiB"], dot=run)
    assert f"4 GiB: {about_duration(run.downtime_ns)}" in texts(picture)


def scaling_to(memory):
    """What a slider shows that has been moved to so much memory."""
    seen = Seen(ld.reboot(memory, kernel=BEFORE, new_guest="normal", touch="none"), None, {"before the series": BEFORE})
    view = ScalingView()
    view.show(seen, view.prepare(seen, None), 0)
    return view


def boxes(picture, *names):
    """Where texts are, in dots."""
    picture.image()
    renderer = picture.canvas.get_renderer()
    found = {text.get_text(): text.get_window_extent(renderer) for text in picture.findobj(Text)}
    return [found[name] for name in names]


def test_the_name_of_a_line_stays_inside_and_off_the_diamond_and_off_other_names():
    view = scaling_to("1 TiB")
    (name,) = boxes(view.picture, "before the series")
    diamond = next(line for line in view.panel.axes.lines if line.get_marker() == "D")
    center, _ = view.panel.axes.transData.transform((diamond.get_xdata()[0], diamond.get_ydata()[0]))
    half = (diamond.get_markersize() / 2**0.5 + diamond.get_markeredgewidth() / 2**0.5) * DPI / 72
    assert center + half < name.x0 < name.x1 <= view.panel.axes.bbox.x1 + 0.5
    one, other = boxes(plot_scaling(V1, ld.series.v1_fixed, sizes=["1 GiB", "4 GiB"]), "v1", "with the patches")
    assert not one.overlaps(other)


def test_the_title_of_the_scaling_goes_as_far_as_its_line():
    assert scaling_to("64 GiB").picture.title.startswith("1 GiB to 256 GiB: ")
    assert scaling_to("1 TiB").picture.title.startswith("1 GiB to 1 TiB: ")


def test_the_scale_of_times_is_that_of_what_is_shown_and_never_shrinks():
    view, scales, longest = ScalingView(), [], []
    for costs in (None, ld.Costs(destroy="100 us"), None):
        run = ld.reboot("64 GiB", kernel=BEFORE, costs=costs, new_guest="normal", touch="none")
        seen = Seen(run, None, {"before the series": BEFORE})
        lines, sizes = view.prepare(seen, None)
        view.show(seen, (lines, sizes), 0)
        scales.append(view.panel.axes.get_ylim())
        longest.append(max(lines[BEFORE]))
    for (_, high), ns in zip(scales[:2], longest[:2], strict=True):
        assert ns < high < 20 * ns
    assert scales[0][0] == scales[1][0]
    assert scales[2] == scales[1] != scales[0]


def test_the_scaling_needs_a_size():
    with pytest.raises(ValueError, match="at least one size"):
        plot_scaling(sizes=[])


# A page map


def by_hand():
    machine = ld.Machine("32 KiB", low_memory=0)
    machine.boot()
    machine.protect()
    for page in range(8):
        machine.touch(page)
    machine.share(7)
    machine.swap_out(6)
    machine.reboot()
    machine.read(3)
    machine.protect()
    machine.touch(5)
    return machine


def test_a_page_map_counts_and_describes_its_pages():
    picture = plot_pages(by_hand())
    assert picture.title == "8 pages: 3 old guest's, 2 running guest's, 1 non-secure, 1 not present, 1 shared"
    assert "page 3: non-secure, ciphertext of A" in picture.words
    assert "page 5: secure, owned by B, plaintext of B" in picture.words
    assert [text for text in texts(picture) if text.isdigit()] == list("01234567")


def test_a_page_map_shows_old_pages_set_aside_ones_and_takes_a_title():
    machine = ld.Machine("32 KiB")
    machine.boot()
    machine.protect()
    for page in range(8):
        machine.touch(page)
    machine.exit()
    assert "set aside" in plot_pages(machine).title
    assert plot_pages(machine, "After the end").title == "After the end"


def test_list_pages_are_drawn_with_the_numbers_that_they_hold():
    machine = ld.small_machine(list_page_capacity=3)
    machine.exit()
    picture = plot_pages(machine)
    assert picture.title.endswith("2 list pages")
    assert picture.words.endswith("a list page: pages 5, 6, 7; a list page: pages 1, 2, 3.")
    while "page 7" not in machine.step():
        pass
    assert plot_pages(machine).words.endswith("a list page: pages 1, 2, 3.")
    machine.run()
    assert "list page" not in plot_pages(machine).words


def test_a_page_map_of_many_pages_is_refused():
    with pytest.raises(ValueError, match=f"{MAP_PAGES}"):
        plot_pages(ld.Machine("1 MiB"))


# One palette


def test_no_two_things_look_alike():
    looks = [(look.colour, look.hatch) for look in PALETTE.values()]
    assert len(set(looks)) == len(looks)
    assert len({look.colour for look in PALETTE.values()}) == len(PALETTE)


def test_what_lies_side_by_side_differs_without_colour():
    uses = ["guest", "old guest", "set aside", "other process", "donated", "shared"]
    assert len({PALETTE[name].hatch for name in uses}) == len(uses)


def test_a_colour_means_the_same_in_every_picture():
    tight = ld.shutdown("1 GiB", host_memory="1.25 GiB", demand="8 GiB/s")
    shown = {
        plot_run(tight): ["QEMU", "clean-up thread", "other process", "old guest", "set aside", "downtime"],
        plot_timeline(tight): ["QEMU", "clean-up thread", "other process", "downtime"],
        plot_memory(tight): ["old guest", "set aside", "other process"],
        plot_run(ld.reboot("4 GiB")): ["QEMU", "guest", "clean-up thread", "old guest", "downtime"],
        plot_scaling(sizes=["1 GiB", "4 GiB"]): ["downtime"],
        plot_pages(by_hand()): ["guest", "old guest", "shared"],
    }
    for picture, names in shown.items():
        assert {PALETTE[name].colour for name in names} <= colours(picture.png()), picture.title


def test_the_memory_of_several_runs_says_when_each_wait_ends():
    before, after = (ld.shutdown("4 GiB", kernel=kernel) for kernel in (ld.series.v1.upto(0), ld.series.v1_fixed))
    picture = plot_memory(before, after)
    assert picture.title == "wait() returns after 0.11 s, not 3.3 s, with 4 GiB set aside"
    assert [text for text in texts(picture) if text.startswith("wait() returns:")] == [
        "wait() returns: 3.3 s",
        "wait() returns: 0.11 s",
    ]
    assert "before the series" in texts(picture)
    assert "with the patches" in texts(picture)
    picture.image()


def test_no_tick_crosses_the_size_of_the_host():
    picture = plot_run(ld.shutdown("64 GiB"))
    (size,) = boxes(picture, "all of the host's memory: 76 GiB")
    upper, lower = picture.axes
    ticks_end = upper.bbox.y0 - upper.xaxis.get_major_ticks()[0].tick1line.get_markersize() * DPI / 72
    assert lower.bbox.y1 < size.y0 and size.y1 < ticks_end


def test_a_legend_lists_what_can_be_seen():
    run = ld.shutdown("1 GiB", host_memory="1152 MiB")
    assert run.memory["donated"].any()
    for picture, seen in (
        (plot_memory(run, run), False),
        (plot_memory(ld.shutdown("1 MiB", host_memory="8 MiB")), True),
    ):
        legend = picture.axes[0].get_legend()
        assert (PALETTE["donated"].label in [text.get_text() for text in legend.get_texts()]) is seen


def test_a_process_that_ends_early_is_the_story_of_its_memory():
    run = ld.reboot("4 GiB", kernel=ld.series.v1_fixed, new_guest="normal", touch="none", exit_at="1 s")
    assert plot_memory(run).title.startswith("The process is gone after 1 s; its memory is back after ")


# What others rely on


def test_importing_the_package_imports_no_pictures():
    program = (
        "import sys, lazydestroy; print(sorted({'matplotlib', 'PIL', 'ipywidgets', 'IPython'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "[]\n"


def test_importing_the_package_leaves_the_collection_of_garbage_as_it_was():
    """It is rare while modules are loaded, which takes a sixth less then."""
    program = (
        "import gc, sys; gc.set_threshold(701, 9, 8); import lazydestroy as ld; first = gc.get_threshold(); "
        "ld.predict; print(first, gc.get_threshold(), 'ipywidgets' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout
    assert told == "(701, 9, 8) (701, 9, 8) True\n"


def test_a_picture_is_shown_with_its_words(monkeypatch):
    shown = []
    display = pytest.importorskip("IPython.display")
    monkeypatch.setattr(display, "display", lambda data, metadata=None, raw=False: shown.append((data, metadata)))
    picture = plot_memory(ld.shutdown("1 GiB"))
    picture._ipython_display_()
    (image, metadata), (words, _) = shown
    assert image["text/plain"] == f"[picture: {picture.title}]"
    assert metadata["image/png"]["alt"] == picture.words
    assert picture.words in words["text/plain"]
    assert len(image["image/png"]) < 60_000


def test_the_same_run_makes_the_same_words_and_picture():
    first, second = (plot_run(ld.reboot("4 GiB", touch="random")) for _ in range(2))
    assert first.words == second.words
    assert first.png() == second.png()


def test_a_readers_own_settings_change_nothing():
    run = ld.reboot("4 GiB")
    usual = plot_run(run).png()
    with mpl.rc_context(
        {"font.size": 30, "axes.facecolor": "black", "figure.facecolor": "black", "hatch.linewidth": 5}
    ):
        assert plot_run(run).png() == usual


def test_a_panel_shows_one_run_after_another():
    picture = plots.Picture(4)
    panel = plots.TimelinePanel(picture.panel(1, 2))
    runs = ld.shutdown("4 GiB", host_memory="4.5 GiB", demand="8 GiB/s"), ld.reboot("1 GiB", kernel=BEFORE)
    shown = []
    for run in runs * 3:
        panel.show(run)
        alone = plots.Picture(4)
        plots.TimelinePanel(alone.panel(1, 2)).show(run)
        assert np.array_equal(picture.image(), alone.image())
        shown.append((len(picture.findobj()), len(panel.changing())))
    assert shown[4:] == shown[2:4], "artists are used again"


@pytest.mark.parametrize("head", [True, False])
def test_a_file_made_quickly_shows_the_picture_dot_by_dot_whatever_was_packed_before(head):
    picture = plots.Picture(2.5)
    panel = plots.TimelinePanel(picture.panel(1, 1))
    for gib, before in ((1, True), (1, head), (2, head), (2, not head), (1, head)):
        picture.quick(before)
        panel.show(ld.reboot(gib << 30), end=10**9)
        packed = Image.open(io.BytesIO(picture.quick(head)))
        whole = Image.fromarray(np.asarray(picture.canvas.buffer_rgba()))
        assert packed.format == "PNG"
        assert packed.size == (whole.width, whole.height if head else whole.height - 50)
        assert np.array_equal(packed, whole.crop((0, whole.height - packed.height, *whole.size)))


LOOKS = {
    "text": "downtime 797.2 ms",
    "position": (200, 80),
    "fontsize": 14,
    "fontweight": "bold",
    "fontstyle": "italic",
    "color": "#882255",
    "ha": "center",
    "va": "top",
    "rotation": 90,
    "bbox": {"boxstyle": "square,pad=0.2", "fc": "white", "ec": "black", "lw": 0.8},
}


def drawn_by(draw, **look):
    figure = Figure((4, 2), DPI, facecolor="#E69F00")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    text = figure.text(150, 100, "downtime 797.1 ms", transform=None, fontsize=11)
    text.set(**look)
    draw(text, canvas.get_renderer())
    return np.asarray(canvas.buffer_rgba()).astype(int)


@pytest.mark.parametrize("again", [False, True], ids=["drawn", "copied"])
@pytest.mark.parametrize("name", [None, *LOOKS])
def test_a_text_that_is_remembered_looks_as_matplotlib_draws_it_at_a_whole_dot(name, again):
    look = {name: LOOKS[name]} if name else {}
    _texts.clear()
    drawn_by(draw_text)  # one that differs in this look alone is not taken for it
    if again:
        drawn_by(draw_text, **look, **({} if name == "position" else {"position": (30, 40)}))
    ours, matplotlibs = drawn_by(draw_text, **look), drawn_by(Text.draw, **look)
    assert len(np.unique(matplotlibs[..., 0])) > 10
    assert np.abs(ours - matplotlibs).max() <= 2  # letters on nothing, then on the ground: rounded twice
