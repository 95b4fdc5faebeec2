"""The lab bench without a browser: every control and every story is run and drawn, all of it comes back with Reset."""

from __future__ import annotations

import base64
import io
from html import escape

import pytest
from PIL import Image

import lazydestroy as ld
from lazydestroy import widgets
from lazydestroy.plots import run_end
from lazydestroy.widgets import bench
from lazydestroy.widgets.controls import PATCH_LEVELS
from tests.marks import long_unless

GIB = 1 << 30
v1 = ld.series.v1


@pytest.fixture
def small():
    return bench(memory="4 GiB")


def images(lab):
    return {name: view.image.png for name, view in lab._views.items()}


def test_it_begins_with_64_gib_and_all_patches():
    lab = bench()
    assert lab.run.reproduce() == "ld.reboot('64 GiB')"
    assert set(images(lab)) == {"before and after", "map", "memory", "scaling"}
    for png in images(lab).values():
        assert Image.open(io.BytesIO(png)).width == 900


@pytest.mark.parametrize(
    ("scenario", "name", "value", "says"),
    [
        ("reboot", "memory", 8 * GIB, "'8 GiB'"),
        ("reboot", "used", 0.5, "used=0.5"),
        ("reboot", "kernel", PATCH_LEVELS["patches 1 to 7"], "kernel=ld.series.v1.upto(7)"),
        ("reboot", "destroy", 15_000, "destroy='15 us'"),
        ("reboot", "import_clear", 5_000, "import_clear='5 us'"),
        ("reboot", "new_guest", "normal", "new_guest='normal'"),
        ("reboot", "touch", "random", "touch='random'"),
        ("reboot", "host", 1, "host_memory='5 GiB'"),
        ("reboot", "demand", "1 GiB/s", "demand='1 GiB/s'"),
        ("shutdown", "export", 10_000, "export='10 us'"),
        ("shutdown", "demand", "2 GiB/s", "demand='2 GiB/s'"),
        ("reboot_loop", "resets", 3, "times=3"),
    ],
)
def test_each_control_changes_the_run_and_the_pictures(scenario, name, value, says):
    lab = bench(memory="4 GiB", scenario=scenario)
    before = images(lab)
    lab.controls[name].value = value
    assert says in lab.run.reproduce()
    assert (images(lab)["before and after"] != before["before and after"]) is (name != "host")
    assert images(lab) != before


@pytest.mark.parametrize("scenario", ["reboot", "shutdown", "reboot_loop"])
def test_what_decides_nothing_is_out_of_order(small, scenario):
    small.controls["scenario"].value = scenario
    off = {name for name, control in small.controls.items() if control.disabled}
    assert (
        off
        == {
            "reboot": {"resets"},
            "shutdown": {"new_guest", "touch", "resets"},
            "reboot_loop": {"new_guest", "touch", "demand"},
        }[scenario]
    )
    assert small.run.scenario == scenario


@pytest.mark.parametrize(
    "kernel",
    long_unless(
        lambda kernel: kernel in ("before the series", "patches 1 to 7", "v1: all patches"),
        "all levels and scenarios take 20 s",
        PATCH_LEVELS,
    ),
)
@pytest.mark.parametrize("scenario", ["reboot", "shutdown", "reboot_loop"])
def test_every_patch_level_can_be_shown_in_every_scenario(kernel, scenario):
    lab = bench(memory="1 GiB", kernel=kernel, scenario=scenario)
    assert lab.message == ""
    assert lab.run.parameters["kernel"] == PATCH_LEVELS[kernel]


@pytest.mark.parametrize("name", widgets.lab.STORIES)
def test_a_click_sets_up_a_story_and_reset_puts_all_back(small, name):
    first = dict(small.values)
    small.controls["destroy"].value = 700
    small.presets[name].click()
    told = widgets.lab.story(name)
    assert {key: small.values[key] for key in told} == told
    assert small.values["destroy"] == ld.Costs().destroy
    assert small.message == ""
    small.reset.click()
    assert small.values == first
    assert small.run.reproduce() == "ld.reboot('4 GiB')"


def test_the_stories_show_what_they_promise(small):
    small.presets["small guest"].click()
    assert small.run.foreground[ld.UVC.DESTR_SEC_STOR] == small.run.pages
    small.presets["tight host"].click()
    assert small.run.oom
    small.presets["six resets"].click()
    assert len(small.run.downtimes_ns) == 6
    small.presets["big guest"].click()
    assert small.run.cleanup_ns > 100 * small.run.downtime_ns


def test_a_story_opens_the_picture_that_shows_it(small):
    for name, tab in (("big guest", "scaling"), ("tight host", "memory"), ("six resets", "timeline")):
        small.presets[name].click()
        assert small.tabs.get_title(small.tabs.selected_index) == tab


@pytest.mark.parametrize("tab", range(4))
def test_the_open_picture_is_drawn_first_and_the_others_right_after(small, monkeypatch, tab):
    drawn = []
    for name, view in small._views.items():
        show = view.show
        monkeypatch.setattr(
            view, "show", lambda *given, name=name, show=show, **more: drawn.append(name) or show(*given, **more)
        )
    small.tabs.selected_index = tab
    small.controls["memory"].value = 8 * GIB
    assert drawn[0] == list(small._views)[tab]
    assert sorted(drawn) == sorted(small._views)


def test_costs_and_host_are_folded_and_the_rest_stands_beside_the_picture(small):
    folded = small.assumptions.children[0].children
    names = {name for name, control in small.controls.items() if control in folded}
    assert names == {"host", "destroy", "export", "import_clear"}
    assert small.assumptions.selected_index is None
    beside = small.children[0].children[0].children
    assert all(control in beside for name, control in small.controls.items() if name not in names)


def test_no_two_things_have_the_same_name(small):
    names = [*small.presets, small.reset.description, *small.tabs.titles, small.assumptions.titles[0]]
    names += [label for label, _ in small.controls["scenario"].options]
    names += [control.description for control in small.controls.values() if control.description]
    assert len(set(names)) == len(names)


def test_titles_in_closed_tabs_come_after_all_pictures_and_are_those_of_the_pictures(small):
    sent = []
    for name, view in small._views.items():
        view.image.observe(lambda _change, name=name: sent.append(("picture", name)), "value")
        view.head.observe(lambda _change, name=name: sent.append(("title", name)), "value")
    small.controls["memory"].value = 8 * GIB
    first, *closed = small._views
    assert sent[:5] == [("title", first), *(("picture", name) for _, name in sent[1:5])]
    assert sent[1] == ("picture", first) and {name for _, name in sent[2:5]} == {*closed}
    assert {kind for kind, _ in sent[5:]} == {"title"}
    assert all(escape(view.picture.title) in view.head.value for view in small._views.values())


def test_a_picture_drawn_before_something_fails_keeps_its_own_title(small, monkeypatch):
    def failing(*_):
        raise ValueError("no more")

    before = images(small)
    monkeypatch.setattr(small._views["memory"], "show", failing)  # of those in closed tabs the last one
    small.controls["memory"].value = 8 * GIB
    assert "no more" in small.message
    assert [name for name, png in images(small).items() if png == before[name]] == ["memory"]
    assert all(escape(view.picture.title) in view.head.value for view in small._views.values())


def test_two_timelines_are_told_apart():
    assert bench(memory="1 GiB", pictures=("timeline", "before and after"))._titles() == [
        "timeline",
        "before and after",
    ]


def test_the_map_follows_its_slider_and_keeps_its_place(small):
    view = small._views["map"]
    before = view.image.png
    view.moment.value = view.STEPS // 2
    assert view.image.png != before
    assert view.time_ns == run_end(small.run) // 2
    small.controls["memory"].value = 8 * GIB
    assert view.moment.value == view.STEPS // 2
    view.moment.value = 0
    assert view.picture.title.startswith("At the start, 8 GiB of the old guest")


def test_before_and_after_are_on_one_scale_and_say_how_they_compare(small):
    view = small._views["before and after"]
    assert {panel.axes.get_xlim() for panel in view.panels} == {view.panels[0].axes.get_xlim()}
    assert [name.get_text() for name in view.names] == ["before the series", "v1"]
    assert view.picture.title.startswith("Downtime")
    small.controls["kernel"].value = v1.upto(5)
    assert view.names[1].get_text() == "v1.upto(5)"


def test_the_run_before_the_series_is_made_again_only_if_something_else_than_the_patches_has_changed(
    small, monkeypatch
):
    ran, simulate = [], small._simulate

    def noted(**said):
        ran.append(said["kernel"])
        return simulate(**said)

    monkeypatch.setattr(small, "_simulate", noted)
    small.set(kernel=v1.upto(8))
    assert ran == [v1.upto(8)]
    fresh = bench(memory="4 GiB", kernel="patches 1 to 8")
    assert small.pictures["before and after"].words == fresh.pictures["before and after"].words
    small.set(scenario="shutdown")
    assert ran == [v1.upto(8), v1.upto(8), v1.upto(0)]
    small.set(memory=2 * GIB, kernel=v1)
    assert ran[3:] == [v1, v1.upto(0)]
    small.set(memory=4 * GIB)
    small.set(memory=2 * GIB, scenario="reboot")
    assert ran[5:] == [v1, v1, v1.upto(0)], "a slider that is moved back finds it"
    small.set(memory=4 * GIB)
    assert ran[8:] == [v1]
    words = small.pictures["before and after"].words
    assert words == bench(memory="4 GiB").pictures["before and after"].words


def test_pictures_keep_their_size_whatever_is_shown(small):
    sizes = {name: Image.open(io.BytesIO(png)).size for name, png in images(small).items()}
    for name in widgets.lab.STORIES:
        small.presets[name].click()
        assert {name: Image.open(io.BytesIO(png)).size for name, png in images(small).items()} == sizes


def test_what_cannot_be_run_is_said_in_words(small, monkeypatch):
    def refuse(**values):
        raise ValueError("costs: this would take more than the 146 years that the model can count")

    monkeypatch.setattr(small, "_simulate", refuse)
    small.controls["destroy"].value = 7000
    assert "This does not work: costs" in small._trouble.value and "146 years" in small.message


def test_where_there_is_no_kernel_two_pictures_stand_for_it(small):
    data, metadata = small._repr_mimebundle_()
    image = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    assert image.height == sum(round(picture.bbox.height) for picture in list(small.pictures.values())[:2])
    assert len(base64.b64decode(data["image/png"])) < 150_000
    for picture in list(small.pictures.values())[:2]:
        assert picture.title in metadata["image/png"]["alt"]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"scenario": "restart"}, "scenario='restart': use one of 'reboot'"),
        ({"memory": "3 GiB"}, "power of two"),
        ({"kernel": "v2"}, "kernel='v2': use one of 'before the series'"),
        ({"used": 2}, "used=2"),
        ({"destroy": "-1 us"}, "destroy="),
        ({"touch": "twice"}, "touch='twice'"),
        ({"new_guest": "none"}, "new_guest='none'"),
        ({"pictures": ("holiday",)}, "'holiday' is not one of"),
    ],
)
def test_what_it_cannot_begin_with_is_refused(wrong, says):
    with pytest.raises(ValueError, match=says):
        bench(**wrong)


def test_costs_and_shares_off_the_scale_can_be_begun_with():
    lab = bench(memory="1 GiB", destroy="1.23 us", used=0.25)
    assert "destroy='1.23 us'" in lab.run.reproduce() and "used=0.25" in lab.run.reproduce()
