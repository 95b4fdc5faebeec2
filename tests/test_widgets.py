"""Controls without a browser: a changed value runs and draws; what cannot be run is said in words."""

from __future__ import annotations

import base64
import io

import pytest
from PIL import Image

import lazydestroy as ld
from lazydestroy import limits, widgets
from lazydestroy.rounded import about_duration
from lazydestroy.widgets import KERNELS, explore_reboot, explore_shutdown, memory_sizes
from lazydestroy.widgets.controlled import STALE
from lazydestroy.widgets.folded import FOLDED, LIVE, WIDGET_VIEW
from lazydestroy.widgets.views import MapView

GIB = 1 << 30


def images(explorer):
    return [view.image.png for view in explorer._views.values()]


def heads(explorer):
    return [view.head.value for view in explorer._views.values()]


def inside(widget):
    """A widget and all that is in it."""
    yield widget
    for child in getattr(widget, "children", ()):
        yield from inside(child)


def everything_shown(explorer):
    return " ".join(part.value for part in inside(explorer) if isinstance(part, widgets.explorer.ipywidgets.HTML))


@pytest.fixture
def reboot():
    return explore_reboot(memory="4 GiB")


@pytest.fixture
def shutdown():
    return explore_shutdown(memory="4 GiB")


def test_it_begins_with_what_was_asked_for(reboot, shutdown):
    assert reboot.run.reproduce() == "ld.reboot('4 GiB')"
    assert shutdown.run.reproduce() == "ld.shutdown('4 GiB', host_memory='12 GiB')"
    for png in images(reboot) + images(shutdown):
        assert Image.open(io.BytesIO(png)).format == "PNG"


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("memory", 8 * GIB, "'8 GiB'"),
        ("destroy", 15_000, "destroy='15 us'"),
        ("kernel", KERNELS["before the series"], "kernel=ld.series.v1.upto(0)"),
        ("new_guest", "normal", "new_guest='normal'"),
        ("touch", "random", "touch='random'"),
    ],
)
def test_each_control_of_a_reboot_changes_the_run_and_the_picture(reboot, name, value, says):
    before = images(reboot)
    reboot.controls[name].value = value
    assert says in reboot.run.reproduce()
    assert images(reboot)[0] != before[0]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("memory", 8 * GIB, "'8 GiB', host_memory='16 GiB'"),
        ("export", 10_000, "export='10 us'"),
        ("destroy", 10_000, "destroy='10 us'"),
        ("kernel", KERNELS["before the series"], "kernel=ld.series.v1.upto(0)"),
        ("host", 16, "host_memory='20 GiB'"),
        ("demand", "2 GiB/s", "demand='2 GiB/s'"),
    ],
)
def test_each_control_of_a_shutdown_changes_the_run_and_the_picture(shutdown, name, value, says):
    before = images(shutdown), heads(shutdown)
    shutdown.controls[name].value = value
    assert says in shutdown.run.reproduce()
    assert images(shutdown) != before[0]
    assert heads(shutdown)[0] != before[1][0] or images(shutdown)[0] != before[0][0]


def test_a_picture_that_is_shown_has_no_display_of_its_own(reboot):
    """Not None: the widgets of a browser's Python take that for the text "None"."""
    assert {view.image.layout.display for view in reboot._views.values()} == {""}


def test_the_figures_are_made_once_and_updated(reboot):
    figures, axes = dict(reboot.pictures), [picture.axes for picture in reboot.pictures.values()]
    drawn = [len(view.panel._drawn.shown) for view in reboot._views.values()]
    size = [Image.open(io.BytesIO(png)).size for png in images(reboot)]
    reboot.controls["memory"].value = 16 * GIB
    reboot.controls["memory"].value = 4 * GIB
    assert reboot.pictures == figures
    assert [picture.axes for picture in figures.values()] == axes
    assert [len(view.panel._drawn.shown) for view in reboot._views.values()] == drawn
    assert [Image.open(io.BytesIO(png)).size for png in images(reboot)] == size


def test_the_result_is_said_in_words_and_in_code(reboot):
    shown = everything_shown(reboot)
    assert f"Downtime {about_duration(reboot.run.downtime_ns)}" in shown
    assert "ld.reboot(&#x27;4 GiB&#x27;)" in shown
    assert "The picture in words" in shown


def test_several_controls_at_once_make_one_run(reboot, monkeypatch):
    made = []
    simulate = reboot._simulate
    monkeypatch.setattr(reboot, "_simulate", lambda **values: made.append(values) or simulate(**values))
    reboot.set(memory=2 * GIB, touch="none", new_guest="normal")
    assert len(made) == 1
    assert reboot.values["memory"] == 2 * GIB


def test_what_cannot_be_run_is_said_in_words_and_the_last_picture_stays(reboot, monkeypatch):
    before = images(reboot)

    def refuse(**values):
        raise limits.NotEnoughMemory(2 * GIB, GIB, "a run with a host of <8 TiB>")

    monkeypatch.setattr(reboot, "_simulate", refuse)
    reboot.controls["memory"].value = 8 * GIB
    assert "needs 2 GiB of memory, but only 1 GiB" in reboot.message
    assert 'role="alert"' in everything_shown(reboot)
    assert "&lt;8 TiB&gt;" in everything_shown(reboot)
    assert images(reboot) == before
    monkeypatch.undo()
    reboot.controls["memory"].value = 2 * GIB
    assert reboot.message == "" and 'role="alert"' not in everything_shown(reboot)


def test_a_guest_that_does_not_fit_into_its_host_is_said_in_words():
    explorer = explore_shutdown(memory="512 GiB", host="1 GiB more")
    assert "host_memory" in explorer.message
    assert explorer.run is None
    explorer.controls["memory"].value = 4 * GIB
    assert explorer.message == "" and explorer.run is not None


def test_stopping_a_run_is_no_error(reboot, monkeypatch):
    def interrupted(**values):
        raise KeyboardInterrupt

    monkeypatch.setattr(reboot, "_simulate", interrupted)
    reboot.controls["memory"].value = 8 * GIB
    assert reboot.message == "Stopped."


def test_a_long_run_shows_how_far_it_is(reboot, monkeypatch):
    seen = []
    monkeypatch.setattr(widgets.controlled, "PATIENCE", 0)
    simulate = reboot._simulate

    def slow(progress, **values):
        progress(0.5)
        seen.append((reboot.waiting.layout.visibility, reboot._bar.value))
        return simulate(progress=progress, **values)

    monkeypatch.setattr(reboot, "_simulate", slow)
    reboot.controls["memory"].value = 8 * GIB
    assert seen == [("visible", 0.5)]
    assert reboot.waiting.layout.visibility == "hidden"


def test_what_is_out_of_date_is_grey_until_it_is_drawn_again(reboot, monkeypatch):
    def grey():
        return {name for name, view in reboot._views.items() if STALE in view.box._dom_classes}

    def refuse(**values):
        raise ValueError("no")

    monkeypatch.setattr(reboot, "_simulate", refuse)
    assert grey() == set()
    reboot.controls["memory"].value = 8 * GIB
    assert grey() == {"timeline", "scaling"}
    monkeypatch.undo()
    reboot.controls["memory"].value = 2 * GIB
    assert grey() == set()


def test_of_work_that_stops_halfway_only_the_rest_is_grey(reboot, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(reboot._views["timeline"], "lasts", stopped)  # the other one is drawn before
    reboot.controls["memory"].value = 8 * GIB
    assert {name: STALE in view.box._dom_classes for name, view in reboot._views.items()} == {
        "timeline": True,
        "scaling": False,
    }


# Controls


def test_sliders_have_labels_and_readable_values(reboot, shutdown):
    labels = [label for label, _ in reboot.controls["memory"].options]
    assert labels[:3] == ["1 GiB", "2 GiB", "4 GiB"]
    assert "1.5 µs" in [label for label, _ in reboot.controls["destroy"].options]
    assert all(control.description for each in (reboot, shutdown) for control in each.controls.values())


@pytest.mark.parametrize(("available", "largest"), [(24 << 30, 1 << 40), (512 << 20, 512 * GIB), (1 << 20, GIB)])
def test_the_memory_slider_ends_where_memory_does(monkeypatch, available, largest):
    monkeypatch.setattr(widgets.controls, "available_memory", lambda: available)
    sizes = memory_sizes()
    assert sizes[-1] == largest
    assert all(size & (size - 1) == 0 for size in sizes)


def test_the_first_press_plays_from_the_start_or_from_the_moment_that_was_chosen():
    played, chosen = MapView(), MapView()
    assert played.play.value == 0 and played.moment.value == MapView.FIRST
    played.play.playing = True
    played.moment.value = 2
    assert played._linked.source == (played.play, "value") and played._linked.target == (played.moment, "value")
    chosen.moment.value = 40
    chosen.play.playing = True
    assert chosen._linked.source == (chosen.moment, "value") and chosen._linked.target == (chosen.play, "value")


def test_a_scale_stays_while_the_run_fits_and_grows_when_it_does_not():
    explorer = explore_reboot(
        memory="4 GiB", kernels={"before": ld.series.v1.upto(0)}, touch="none", pictures=["timeline"]
    )
    axes = explorer.pictures["timeline"].axes[0]
    scale = axes.get_xlim()
    explorer.controls["memory"].value = 8 * GIB
    assert axes.get_xlim() == scale
    explorer.controls["memory"].value = 64 * GIB
    assert axes.get_xlim()[1] >= 2 * explorer.run.downtime_ns


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"memory": "3 GiB"}, "memory='3 GiB'.*a power of two"),
        ({"memory": "64 GB"}, "64 GiB"),
        ({"destroy": "0.3 ns"}, "destroy="),
        ({"kernel": "v2"}, "kernel='v2'.*'before the series', 'v1'"),
        ({"controls": ["colour"]}, "controls=.*'colour' is not one of"),
        ({"pictures": ["video"]}, "pictures=.*'timeline'"),
    ],
)
def test_a_wrong_beginning_is_refused(options, says):
    with pytest.raises(ValueError, match=says):
        explore_reboot(**options)


@pytest.mark.parametrize("options", [{"host": "plenty"}, {"demand": "5 GB/s"}])
def test_a_wrong_beginning_of_a_shutdown_is_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}="):
        explore_shutdown(**options)


def test_only_the_controls_that_are_asked_for_are_shown():
    explorer = explore_reboot(memory="1 GiB", controls=["memory"])
    assert explorer.controls["memory"] in inside(explorer)
    assert explorer.controls["touch"] not in inside(explorer)


@pytest.mark.parametrize("controls", [[], ["memory"]])
def test_nothing_that_takes_place_parts_a_slider_from_its_picture(controls):
    explorer = explore_reboot(memory="1 GiB", controls=controls, pictures=["timeline"])
    (row,) = [child for child in explorer.children if explorer.waiting in getattr(child, "children", ())]
    assert any(part is explorer._times or part in explorer.controls.values() for part in inside(row.children[0]))
    between = explorer.children[bool(controls) : explorer.children.index(explorer._views["timeline"].box)]
    assert between == (explorer._trouble,) and explorer._trouble.value == ""


# What Jupyter gets


def test_without_a_kernel_its_picture_is_left(reboot):
    data, metadata = reboot._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert "image/png" in data
    assert metadata["image/png"]["alt"] == reboot.pictures["timeline"].words
    assert about_duration(reboot.run.downtime_ns) in data["text/plain"]


def displayed(widget, monkeypatch):
    """What a cell gets that shows the widget: the data of each output."""
    outputs = []
    monkeypatch.setattr("IPython.display.display", lambda data, **options: outputs.append((data, options)))
    widget._ipython_display_()
    return outputs


def test_picture_and_words_stand_before_the_widget_for_who_has_no_kernel(reboot, monkeypatch):
    (still, options), (words, _), (live, _) = displayed(reboot, monkeypatch)
    assert base64.b64decode(still["image/png"]).startswith(b"\x89PNG")
    assert options["metadata"]["image/png"]["alt"] == reboot.pictures["timeline"].words
    assert reboot.pictures["timeline"].words in words["text/plain"]
    assert FOLDED in words["text/html"]
    assert list(live) == [WIDGET_VIEW, "text/plain"] and LIVE in reboot._dom_classes


def test_what_has_no_picture_leaves_its_text(monkeypatch):
    asker = widgets.explore_question(1, memory="1 GiB")
    (words, _), (live, _) = displayed(asker, monkeypatch)
    assert asker.answer.short in words["text/plain"]
    assert WIDGET_VIEW in live


# Drop a patch


@pytest.fixture(scope="module")
def dropper():
    return widgets.drop_a_patch("patch 4 · handle secure storage exceptions for normal guests")


def test_the_page_has_a_picture_without_asking_for_it(reboot, dropper):
    for image in (*(view.image for view in reboot._views.values()), dropper._image):
        assert image.format == "url" and bytes(image.value).startswith(b"data:image/png;base64,")
        assert Image.open(io.BytesIO(image.png)).width == 900


def test_the_menu_offers_patches_and_bugs(dropper):
    offered = dropper.menu.options
    assert offered[0] == "nothing"
    assert sum(option.startswith("patch ") for option in offered) == 4
    assert sum("bug of version 1" in option for option in offered) == len(ld.series.BUGS)


def test_what_is_left_out_is_searched_and_drawn(dropper):
    assert dropper.verdict.kernel == ld.series.v1_fixed.without(4)
    assert "It breaks" in dropper._state.value
    assert dropper._image.png.startswith(b"\x89PNG")
    assert "addressing exception" in dropper._words.value.lower()
    assert "ld.series.check(ld.series.v1_fixed.without(4), failures=())" in dropper._code.value


def test_another_choice_is_searched_once(dropper, monkeypatch):
    searched = []
    real = widgets.dropper.check

    def counting(kernel, **options):
        searched.append(kernel)
        return real(kernel, **options)

    monkeypatch.setattr(widgets.dropper, "check", counting)
    bug = "the fix of a bug of version 1: use after free of the mm"
    for choice in (bug, dropper.menu.options[2], bug):
        dropper.menu.value = choice
    assert searched == [ld.series.BUGS[1].kernel]
    assert "use after free" in dropper._words.value.lower()


def test_a_long_search_says_how_far_it_is(dropper, monkeypatch):
    monkeypatch.setattr(widgets.controlled, "PATIENCE", 0)
    said = []
    dropper._far.observe(lambda change: said.append((change["new"], dropper.waiting.layout.visibility)), "value")
    dropper.menu.value = next(option for option in dropper.menu.options if "missing return" in option)
    assert any("states seen: " in words for words, _ in said)
    assert dropper.waiting.layout.visibility == "hidden"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (KeyboardInterrupt(), "Stopped."),
        (ValueError("pages=0"), "This does not work: pages=0."),
        (MemoryError(), "memory does not suffice"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_search_that_does_not_end_leaves_the_picture(dropper, monkeypatch, error, words):
    def failing(*_, **__):
        raise error

    dropper.menu.value = dropper.menu.options[2]
    before = dropper._image.png
    monkeypatch.setattr(widgets.dropper, "check", failing)
    dropper.menu.value = next(option for option in dropper.menu.options if option.startswith("patch 6"))
    assert words in dropper._state.value
    assert "what was found for ld.series.v1_fixed.without(4)" in dropper._state.value
    assert dropper._image.png == before
    monkeypatch.undo()
    dropper.menu.value = dropper.menu.options[2]
    assert "It breaks" in dropper._state.value


def test_a_menu_that_could_not_search_yet_can_be_shown(monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(widgets.dropper, "check", interrupted)
    stopped = widgets.drop_a_patch()
    assert stopped.verdict is None
    assert "Stopped." in stopped._state.value
    assert "a menu" in stopped._repr_mimebundle_()["text/plain"]


def test_where_nothing_breaks_the_picture_goes(dropper, monkeypatch):
    real = widgets.dropper.check
    monkeypatch.setattr(widgets.dropper, "check", lambda kernel, **options: real(kernel, pages=1, **options))
    dropper.menu.value = "nothing"
    assert "Nothing breaks. The search saw all states" in dropper._state.value
    assert dropper._image.layout.display == "none"
    dropper.menu.value = dropper.menu.options[2]
    assert dropper._image.layout.display == ""


def test_without_a_kernel_the_menu_is_a_picture():
    data, metadata = widgets.drop_a_patch(
        "patch 4 · handle secure storage exceptions for normal guests"
    )._repr_mimebundle_()
    assert "image/png" in data and metadata["image/png"]["alt"]


def test_a_choice_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="leave_out='patch 99': use one of 'nothing'"):
        widgets.drop_a_patch("patch 99")
