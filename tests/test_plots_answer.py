"""The picture of an answer: all of it is there, inside the picture, and told in words."""

from __future__ import annotations

import io
import itertools

import pytest
from matplotlib.text import Text
from PIL import Image

import lazydestroy as ld
from lazydestroy.assumptions import Assumptions
from lazydestroy.plots import grid, plot_answer
from lazydestroy.plots.axes import written
from lazydestroy.questions import QUESTIONS, Answer, Table
from lazydestroy.questions.pictures import Cell, Grid, Lanes, Line, Lines, Span, Timelines

GIB, S = 1 << 30, 10**9
LONG = "0x3F, then 0x3E: destroyed, imported again; reads zeros and nothing else"


def answer(*pictures) -> Answer:
    return Answer(QUESTIONS[0], "A verdict.", {}, Table(("a",), ()), "yes", "So.", Assumptions(), pictures, {}, {})


def lines(*found: Line, **given) -> Lines:
    named = {"title": "It grows", "x_label": "time", "y_label": "memory", "x_unit": "ns", "y_unit": "bytes", **given}
    return Lines(lines=found, **named)


def table(rows: int, columns: int, text: str = "fits") -> Grid:
    moods = ("good", "bad", "mixed", "plain", "none")
    cells = tuple(tuple(Cell(text, moods[(r + c) % 5]) for c in range(columns)) for r in range(rows))
    names = tuple(f"row {place}" for place in range(rows)), tuple(f"column {place}" for place in range(columns))
    legend = (("good", "all is well"), ("bad", "nothing is well"), ("mixed", "so so, and a long story besides"))
    return Grid("It is so", "rows", "columns", *names, cells, legend)


RISING = Line("rising", ((0, 0), (S, GIB), (2 * S, 4 * GIB)), "guest")
CASES = {
    "two lines": lines(RISING, Line("steps", ((0, GIB), (S, 0)), stepped=True), marks=((S, "now"),)),
    "one point": lines(Line("point", ((5, 7),))),
    "all zeros": lines(Line("zero", ((0, 0), (S, 0)))),
    "no lines": lines(),
    "a line without points": lines(Line("nothing", ())),
    "eight lines": lines(*(Line(f"line {n}", ((0, n), (S, n * GIB))) for n in range(8))),
    "logarithmic": lines(Line("a", ((1, 100), (4096, 10**9))), x_unit="pages", y_unit="ns", log_x=True, log_y=True),
    "zeros on a logarithmic scale": lines(Line("a", ((0, 0), (1, 5), (9, 0))), log_x=True, log_y=True),
    "one cell": table(1, 1),
    "a large grid of long words": table(10, 6, LONG),
    "a grid of ten by ten": table(10, 10, "killed at 1.5 s"),
    "lanes": Lanes(
        "They overlap",
        (("guest OS", (Span(-S, 0, "old", "old guest"), Span(S, None, "new", "guest"))), ("empty", ())),
        9 * S,
        ((0, "reset"), (S, "the new one runs"), (9 * S, "the end")),
    ),
    "lanes without anything": Lanes("Nothing", (), 0),
    "timelines": Timelines("Two runs", (ld.reboot("64 MiB"), ld.shutdown("64 MiB"))),
}


@pytest.fixture(params=CASES, scope="module")
def drawn(request):
    spec = CASES[request.param]
    picture = plot_answer(answer(spec))
    picture.canvas.draw()
    return spec, picture


def test_everything_that_is_written_lies_inside_the_picture(drawn):
    _, picture = drawn
    width, height = picture.bbox.width, picture.bbox.height
    for text in picture.findobj(Text):
        if text.get_text().strip() and text.get_visible():
            box = text.get_window_extent()
            assert box.x0 >= -1, text
            assert box.x1 <= width + 1, text
            assert box.y0 >= -1, text
            assert box.y1 <= height + 1, text


def test_the_finding_is_above_what_is_drawn_and_in_the_words(drawn):
    spec, picture = drawn
    title = next(text for text in picture.texts if text.get_text().replace("\n", " ") == spec.title)
    for axes in picture.axes:
        assert axes.get_window_extent().y1 <= title.get_window_extent().y0 + 1
    assert spec.title in picture.words
    assert picture.words.startswith("A verdict.")


def test_it_is_a_small_picture(drawn):
    _, picture = drawn
    png = picture.png()
    assert len(png) <= 150_000
    assert Image.open(io.BytesIO(png)).width == 900


def test_several_panels_are_one_above_the_other():
    picture = plot_answer(answer(CASES["two lines"], CASES["one cell"], CASES["lanes"]))
    picture.canvas.draw()
    boxes = [axes.get_window_extent() for axes in picture.axes]
    assert all(upper.y0 > lower.y1 for upper, lower in itertools.pairwise(boxes))


def test_a_long_finding_is_broken_into_lines_and_not_cut():
    spec = lines(RISING, title="It grows " * 30)
    picture = plot_answer(answer(spec))
    assert any(text.get_text().replace("\n", " ").count("It grows") == 30 for text in picture.texts)


def test_the_words_have_the_data():
    words = plot_answer(answer(CASES["two lines"], table(2, 2))).words
    for part in ("rising: 0 at 0", "4 GiB at 2 s", "Marked: now at 1 s", "row 0: column 0: fits"):
        assert part in words


def test_a_large_grid_is_counted_in_words():
    words = grid.words(table(10, 10))
    assert "row 0: 2 times all is well" in words


def test_moods_are_told_by_a_sign_as_well():
    assert len({grid.SIGNS[mood] for mood in ("good", "bad", "mixed")}) == 3


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1500, "ns", "1.5 µs"),
        (GIB, "bytes", "1 GiB"),
        (GIB, "bytes/s", "1 GiB/s"),
        (12345, "pages", "12,345"),
        (0, "ns", "0"),
    ],
)
def test_values_are_written_with_their_units(value, unit, text):
    assert written(value, unit) == text


@pytest.mark.parametrize("number", [1, 2, 5, 7, 12])
def test_answers_can_be_drawn(number):
    small = {} if number in (2, 12) else {"memory": "64 MiB", "low_memory": "16 MiB"}
    picture = ld.ask(number, **small).plot()
    assert picture.title.startswith(f"Question {number} · ")
    assert len(picture.png()) <= 150_000
