"""Pictures of traces and demonstrations."""

import dataclasses
import functools
import io

import pytest
from matplotlib.text import Text
from PIL import Image

import lazydestroy as ld
from lazydestroy.plots import plot_demonstration, plot_trace
from lazydestroy.plots.trace import MOMENTS

FILE_MAX = 150_000


@functools.cache
def trace():
    return ld.series.check(ld.series.v1_fixed.without(7, 11), failures=()).trace


@functools.cache
def demonstration(number):
    return ld.series.v1[number].demonstrate()


def texts(picture):
    """All that is written in a picture."""
    return [text.get_text() for text in picture.findobj(Text) if text.get_text() and text.get_visible()]


def inside(picture):
    """Whether everything that is written lies in the picture."""
    picture.image()
    width, height = picture.canvas.get_width_height()
    boxes = [text.get_window_extent() for text in picture.findobj(Text) if text.get_text().strip()]
    return all(box.x0 >= -1 and box.x1 <= width + 1 and box.y0 >= -1 and box.y1 <= height + 1 for box in boxes)


def test_a_trace_shows_every_moment_and_the_pages_then():
    shown = texts(plot_trace(trace()))
    joined = " ".join(text.replace("\n", " ") for text in shown)
    for moment in trace().moments:
        assert moment.text[1:] in joined
    assert "secure, A (old)" in shown and "shared, A (old)" in shown and "secure, B" in shown
    assert shown.count("✗") == 1


def test_the_title_of_a_trace_is_what_broke():
    picture = plot_trace(trace())
    assert picture.title == trace().violation[0].upper() + trace().violation[1:]
    assert "7. The guest goes protected: this is B. Then page 0 secure" in picture.words


def test_a_long_trace_keeps_its_beginning_and_its_end():
    moments = trace().moments
    long = dataclasses.replace(trace(), moments=moments[:-1] * 5 + moments[-1:])
    left_out = len(long.moments) - MOMENTS
    picture = plot_trace(long)
    assert any(f"({left_out} moments left out)" in text for text in texts(picture))
    assert texts(picture).count("✗") == 1
    assert inside(picture)


def test_the_same_trace_makes_the_same_file():
    assert plot_trace(trace()).png() == plot_trace(trace()).png()


@pytest.mark.parametrize("pages", [1, 2, 4])
def test_a_trace_fits_into_its_picture(pages):
    found = ld.series.check(ld.series.v1_fixed.without(4), failures=(), pages=pages).trace
    assert inside(plot_trace(found))


@pytest.mark.parametrize("number", range(1, 12))
def test_a_demonstration_is_drawn_with_its_finding_as_the_title(number):
    shown = demonstration(number)
    picture = shown.plot()
    assert picture.title == shown.finding
    assert shown.finding in picture.words
    assert all(measure.name.lower() in picture.words.lower() for measure in shown.measures)
    image = Image.open(io.BytesIO(picture.png()))
    assert image.width == 900
    assert len(picture.png()) <= FILE_MAX
    assert inside(picture)


@pytest.mark.parametrize("number", [1, 2, 5, 11])
def test_bars_carry_their_values(number):
    shown = demonstration(number)
    written = texts(plot_demonstration(shown))
    for measure in [measure for measure in shown.measures if measure.unit != "yes/no"][:4]:
        assert set(measure.text) <= set(written)


def test_bars_are_as_long_as_their_values():
    shown = demonstration(2)
    axes = plot_demonstration(shown).axes[0]
    heights = [patch.get_height() for patch in axes.patches]
    assert heights == [shown.measures[0].without, shown.measures[0].with_]


def test_lines_have_the_points_that_were_measured():
    shown = demonstration(8)
    lines = plot_demonstration(shown).axes[0].lines
    assert [list(zip(*line.get_data(), strict=True)) for line in lines] == [
        list(points) for points in shown.series.values()
    ]
