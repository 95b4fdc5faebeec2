"""The map of the host's memory: what it shows is what the film says, and colours are those of the course."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

import lazydestroy as ld
from lazydestroy.plots import PALETTE, MapPanel, map_picture, plot_map
from lazydestroy.plots.pagemap import _DOWN, _LEFT, _TOP, ACROSS, CELL, LOOKS
from lazydestroy.rounded import about_size
from lazydestroy.run import KINDS

GIB = 1 << 30


@pytest.fixture(scope="module")
def run():
    return ld.reboot("64 GiB", film=True, used=0.9, shared=0.2)


def cells_of(picture):
    """The cells of the guest's memory in the picture, as arrays of dots, row by row."""
    dots = np.asarray(picture.image())
    width, height = CELL
    return [
        dots[_TOP + row * height : _TOP + (row + 1) * height, _LEFT + place * width : _LEFT + (place + 1) * width]
        for row in range(_DOWN)
        for place in range(ACROSS)
    ]


def most_frequent(dots):
    colours, counts = np.unique(dots.reshape(-1, 3), axis=0, return_counts=True)
    return "#{:02X}{:02X}{:02X}".format(*colours[counts.argmax()])


@pytest.mark.parametrize("share", [0, 0.2, 0.5, 1])
def test_each_cell_has_the_colour_of_what_the_film_shows(run, share):
    moment = round(run.end_ns * share)
    picture = map_picture()
    panel = MapPanel(picture)
    panel.show(run, moment)
    for text in panel._drawn.shown:
        text.set_visible(False)
    kinds = run.film.at(moment)[0]
    drawn = [most_frequent(dots) for dots in cells_of(picture)]
    assert drawn == [PALETTE[KINDS[kind]].colour.upper() for kind in kinds]


def test_kinds_can_be_told_apart_without_colour():
    from lazydestroy.plots.pagemap import _TILES

    grey = (_TILES[..., :3] @ np.array([0.299, 0.587, 0.114])).reshape(len(KINDS), -1)
    for one in range(len(KINDS)):
        for other in range(one):
            assert np.abs(grey[one] - grey[other]).mean() > 12, (KINDS[one], KINDS[other])


def test_every_kind_has_a_look_and_a_name():
    assert set(LOOKS) == set(KINDS) <= set(PALETTE)


def test_the_title_has_the_amount_that_memory_over_time_has(run):
    moment = run.end_ns // 3
    picture = plot_map(run)
    unclean = round(float(np.interp(moment, run.memory["time"], run.memory["uncleaned"])))
    assert about_size(unclean << 12) in picture.title
    assert picture.title in picture.words
    assert "from address 0 upwards: new guest's, then cleaned, not used again yet, then old guest's" in picture.words


def test_pages_set_aside_are_counted():
    run = ld.shutdown("64 GiB", film=True)
    assert plot_map(run, run.downtime_ns + 1).title.endswith("all set aside")
    assert plot_map(run, run.end_ns).title.endswith("no page of the old guest is left to clean")


def test_the_largest_areas_are_named(run):
    names = {text.get_text() for text in plot_map(run).findobj(Text)}
    assert {"new guest's", "cleaned, not used again yet", "old guest's, not yet clean"} <= names
    assert "the guest's memory, 64 GiB: a cell is 64 MiB" in names


def test_the_legend_lists_what_the_film_shows_and_nothing_else(run):
    lazy_shutdown = ld.shutdown("64 GiB", film=True)
    picture = map_picture()
    panel = MapPanel(picture)
    for film in (run, lazy_shutdown, run):
        panel.show(film, 0)
        legend = {text.get_text() for text in picture.texts}
        there = {LOOKS[KINDS[kind]] for kind in np.unique(film.film.kinds)}
        assert legend & set(LOOKS.values()) == there
    assert LOOKS["leaked"] not in legend and LOOKS["set aside"] not in legend and LOOKS["shared"] in legend


def test_a_small_guest_has_a_page_a_cell():
    run = ld.reboot("256 KiB", host_memory="16 MiB", loader=0, image="64 KiB", image_at=0, film=True)
    names = {text.get_text() for text in plot_map(run, 0).findobj(Text)}
    assert "the guest's memory, 256 KiB: a cell is a page" in names


def test_the_map_is_made_once_and_updated(run):
    picture = map_picture()
    panel = MapPanel(picture)
    panel.show(run, 0)
    first, artists = np.asarray(picture.image()), len(picture.findobj())
    panel.show(run, run.end_ns)
    panel.show(run, 0)
    assert np.array_equal(first, np.asarray(picture.image()))
    assert len(picture.findobj()) == artists


def test_the_file_is_small(run):
    png = plot_map(run).png()
    assert Image.open(io.BytesIO(png)).width == 900 and len(png) < 40_000


def test_without_a_film_there_is_no_map():
    with pytest.raises(ValueError, match=r"make it with ld.reboot\('1 GiB', film=True\)"):
        plot_map(ld.reboot("1 GiB"))


def test_a_moment_before_the_beginning_is_refused(run):
    with pytest.raises(ValueError, match="at=-1"):
        plot_map(run, -1)
    assert plot_map(run, "8 s").title.startswith("At 8 s")
