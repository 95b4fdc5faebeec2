"""The picture of an answer: all of it is there, legible, inside the picture, and told in words."""

from __future__ import annotations

import io
import itertools

import pytest
from matplotlib.legend import Legend
from matplotlib.patches import Polygon, Rectangle
from matplotlib.text import Annotation, Text
from PIL import Image

import lazydestroy as ld
from lazydestroy.assumptions import Assumptions
from lazydestroy.plots import PALETTE, grid, lines, plot_answer, spans
from lazydestroy.plots.axes import marks_of, scale_of, tick_name, written
from lazydestroy.plots.fitting import broken, width, words_of
from lazydestroy.plots.timeline import brightness
from lazydestroy.questions import QUESTIONS, Answer, Table
from lazydestroy.questions.pictures import Cell, Grid, Lanes, Line, Lines, Span, Timelines

GIB, S, MS = 1 << 30, 10**9, 10**6
LONG = "0x3F, then 0x3E: destroyed, imported again; reads zeros and nothing else"
MOODS = ("good", "bad", "mixed", "plain", "none")


def answer(*pictures) -> Answer:
    return Answer(QUESTIONS[0], ("A verdict.",), {}, Table(("a",), ()), "yes", "So.", Assumptions(), pictures, {}, {})


def drawing(*pictures):
    """The picture of an answer with these panels, drawn."""
    picture = plot_answer(answer(*pictures))
    picture.canvas.draw()
    return picture


def some_lines(*found: Line, **given) -> Lines:
    named = {"title": "It grows", "x_label": "time", "y_label": "memory", "x_unit": "ns", "y_unit": "bytes", **given}
    return Lines(lines=found, **named)


def logarithmic(*found: Line, **given) -> Lines:
    return some_lines(*found, **{"x_unit": "pages", "y_unit": "ns", "log_x": True, "log_y": True, **given})


def table(rows: int, columns: int, text: str = "fits", legend=None) -> Grid:
    cells = tuple(tuple(Cell(text, MOODS[(r + c) % 5]) for c in range(columns)) for r in range(rows))
    names = tuple(f"row {place}" for place in range(rows)), tuple(f"column {place}" for place in range(columns))
    said = (("good", "all is well"), ("bad", "nothing is well"), ("mixed", "so so, and a long story besides"))
    return Grid("It is so", "rows", "columns", *names, cells, said if legend is None else legend)


def some_lanes(*found, end=30 * S, marks=()) -> Lanes:
    return Lanes("They overlap", found, end, marks)


RISING = Line("rising", ((0, 0), (S, GIB), (2 * S, 4 * GIB)), "guest")
BATCHES = [1 << power for power in range(13)]
REBOOT = some_lanes(
    ("guest OS", (Span(-3 * S, 0, "old guest", "old guest"), Span(150 * MS, None, "new guest", "guest"))),
    ("configuration A", (Span(-3 * S, 100 * MS, "has CPUs", "guest"), Span(100 * MS, 26 * S, "zombie", "set aside"))),
    ("configuration B", (Span(120 * MS, None, "has CPUs", "guest"),)),
    ("KVM VM", (Span(-3 * S, None, "one and the same", "QEMU"),)),
    marks=((0, "reset"), (100 * MS, "A is set aside"), (150 * MS, "new guest runs"), (26 * S, "A is destroyed")),
)
CASES = {
    "two lines": some_lines(RISING, Line("steps", ((0, GIB), (S, 0)), stepped=True), marks=((S, "now"),)),
    "one point": some_lines(Line("point", ((5, 7),))),
    "one point on logarithmic scales": logarithmic(Line("point", ((5, 7),))),
    "a constant line": logarithmic(Line("constant", ((1, 7), (4096, 7)))),
    "all zeros": some_lines(Line("zero", ((0, 0), (S, 0)))),
    "all zeros on logarithmic scales": logarithmic(Line("zero", ((0, 0), (S, 0))), marks=((0, "start"),)),
    "no lines": some_lines(),
    "a line without points": some_lines(Line("nothing", ())),
    "eight lines": some_lines(*(Line(f"guest {n} of them all", ((0, n), (S, n * GIB))) for n in range(8))),
    "lines with long names": some_lines(*(Line(f"{n}: {LONG}, {LONG}", ((0, n), (S, n * GIB))) for n in range(3))),
    "long labels": some_lines(RISING, x_label="time " * 40, y_label="memory " * 12),
    "huge counts": logarithmic(Line("calls", ((1, 1), (10**15, 10**15))), y_unit="calls"),
    "large counts": some_lines(Line("calls", ((0, 0), (268_435_456, 268_435_456))), x_unit="calls", y_unit="calls"),
    "logarithmic": logarithmic(
        Line("hold", tuple((n, 1500 * n) for n in BATCHES)),
        Line("wait", tuple((n, 1500 * n + 900) for n in BATCHES)),
        Line("total", tuple((n, 25 * S + S // n) for n in BATCHES)),
        marks=((32, "the patch's 32"),),
    ),
    "narrow logarithmic": logarithmic(Line("a", ((100, 100), (110, 120)))),
    "zeros on logarithmic scales": logarithmic(Line("a", ((0, 0), (1, 5), (9, 0), (90, 50)))),
    "many marks": some_lines(
        RISING, marks=(*((place * 10 * MS, f"moment {place}") for place in range(6)), (2 * S, "end"), (2 * S, "END"))
    ),
    "one cell": table(1, 1),
    "a grid without rows": table(0, 3),
    "a grid without columns": table(2, 0),
    "a large grid of long words": table(10, 6, LONG),
    "a grid of ten by ten": table(10, 10, "0x3F, then 0x3E: destroyed, imported again"),
    "a grid with a word too long": table(2, 8, "kvm_s390_pv_deinit_vm_now_or_later_and_again"),
    "a grid with long names": Grid("Long", LONG, LONG * 2, (LONG,), (LONG, "b"), ((Cell("a"), Cell("b", "bad")),)),
    "lanes": REBOOT,
    "lanes without anything": some_lanes(end=0),
    "lanes without spans": some_lanes(("empty", ()), ("empty too, and of a long name", ())),
    "lanes with crowded spans": some_lanes(
        ("busy", tuple(Span(n * S, n * S + S // 9, f"a longer name {n}", "guest") for n in range(20, 30)))
    ),
    "a span of no length": some_lanes(("short", (Span(30 * S, None, "at the very end", "guest"),))),
    "a span after the end": some_lanes(("late", (Span(31 * S, 32 * S, "late", "guest"),)), marks=((31 * S, "later"),)),
    "timelines": Timelines("Two runs", (ld.reboot("64 MiB"), ld.shutdown("64 MiB"))),
}


@pytest.fixture(params=CASES, scope="module")
def drawn(request):
    spec = CASES[request.param]
    return spec, drawing(spec)


def written_in(picture):
    """All text that is seen, with its box."""
    found = [text for text in picture.findobj(Text) if text.get_text().strip() and text.get_visible()]
    return [(text, text.get_window_extent()) for text in found]


# What holds for all


def test_everything_that_is_written_lies_inside_the_picture(drawn):
    _, picture = drawn
    width, height = picture.bbox.width, picture.bbox.height
    for text, box in written_in(picture):
        assert -1 <= box.x0 <= box.x1 <= width + 1, text
        assert -1 <= box.y0 <= box.y1 <= height + 1, text


def test_no_words_lie_over_others(drawn):
    _, picture = drawn
    for (one, box), (other, against) in itertools.combinations(written_in(picture), 2):
        deep = min(box.y1, against.y1) - max(box.y0, against.y0)
        wide = min(box.x1, against.x1) - max(box.x0, against.x0)
        assert deep <= 3 or wide <= 1, (one, other)


def test_the_finding_is_above_what_is_drawn_and_in_the_words(drawn):
    spec, picture = drawn
    title = next(text for text in picture.texts if text.get_text().replace("\n", " ") == spec.title)
    for axes in picture.axes:
        assert axes.get_window_extent().y1 <= title.get_window_extent().y0 + 1
    assert spec.title in picture.words
    assert picture.words.startswith("A verdict.")


def test_it_is_a_small_picture_of_the_usual_width(drawn):
    _, picture = drawn
    png = picture.png()
    assert len(png) <= 150_000
    assert Image.open(io.BytesIO(png)).width == 900


def test_letters_can_be_read_from_afar(drawn):
    _, picture = drawn
    assert min(text.get_fontsize() for text, _ in written_in(picture)) >= 8.5


# All panels together


def test_several_panels_are_one_above_the_other():
    picture = drawing(CASES["two lines"], CASES["one cell"], REBOOT, CASES["timelines"])
    boxes = [axes.get_window_extent() for axes in picture.axes]
    assert len(boxes) == 5
    assert all(upper.y0 > lower.y1 for upper, lower in itertools.pairwise(boxes))


def test_the_words_tell_all_panels_in_order():
    words = drawing(CASES["two lines"], REBOOT, table(1, 1)).words
    assert words.index("Rising: ") < words.index("Configuration A: ") < words.index("Row 0: ")


def test_an_answer_without_pictures_shows_its_question():
    picture = drawing()
    assert picture.title == f"Question 1 · {QUESTIONS[0].title}"
    assert picture.words == "A verdict."


def test_a_long_finding_is_broken_into_lines_and_not_cut():
    picture = drawing(some_lines(RISING, title="It grows " * 30 + "still"))
    title = next(text for text in picture.texts if text.get_text().replace("\n", " ").count("It grows") == 30)
    assert "\n" in title.get_text()
    assert title.get_window_extent().x1 <= 900
    assert picture.axes[0].get_window_extent().y1 <= title.get_window_extent().y0


def test_a_long_call_is_broken_into_lines_and_not_cut():
    given = {f"parameter_{n}": "1234567890 GiB" for n in range(9)}
    long = Answer(QUESTIONS[0], "A.", {}, Table(("a",), ()), "yes", "So.", Assumptions(), (table(1, 1),), {}, given)
    picture = plot_answer(long)
    picture.canvas.draw()
    call = next(text for text in picture.texts if text.get_text().startswith("ld.ask(1"))
    assert call.get_text().replace("\n", " ") == long.reproduce()
    assert call.get_window_extent().x1 <= 900


# Lines


def data_lines(picture):
    """The lines of the first panel that have a marker: neither marks nor ticks."""
    return [line for line in picture.axes[0].lines if line.get_marker() not in ("None", None)]


def test_lines_have_the_points_that_were_given():
    drawn = data_lines(drawing(CASES["logarithmic"]))
    assert [list(zip(*line.get_data(), strict=True)) for line in drawn] == [
        list(line.points) for line in CASES["logarithmic"].lines
    ]


def test_eight_lines_differ_in_colour_dashes_and_markers():
    drawn = data_lines(drawing(CASES["eight lines"]))
    assert len(drawn) == 8
    assert len({line.get_color() for line in drawn}) == 8
    assert len({str(line._unscaled_dash_pattern) for line in drawn}) == 8
    assert len({line.get_marker() for line in drawn}) == 8


@pytest.mark.parametrize("look", PALETTE)
def test_a_line_of_any_look_can_be_seen_on_white(look):
    (line,) = data_lines(drawing(some_lines(Line("a", ((0, 0), (S, GIB)), look))))
    assert brightness(line.get_color()) <= lines.TRUST


def test_a_line_about_nobody_does_not_have_the_colour_of_an_actor_beside_it():
    drawn = data_lines(drawing(some_lines(RISING, Line("QEMU's", ((0, 0), (S, 5)), "QEMU"), Line("a", ((0, 1),)))))
    assert len({line.get_color() for line in drawn}) == 3


@pytest.mark.parametrize("case", ["two lines", "many marks", "eight lines", "lines with long names"])
def test_neither_names_nor_the_legend_cover_data(case):
    picture = drawing(CASES[case])
    (axes,) = picture.axes
    box = axes.get_window_extent()
    for name in axes.findobj(Annotation):
        assert name.get_window_extent().y0 >= box.y1 - 1
    for legend in axes.findobj(Legend):
        assert legend.get_window_extent().y1 <= axes.xaxis.label.get_window_extent().y0


def test_the_legend_names_every_line():
    (legend,) = drawing(CASES["eight lines"]).axes[0].findobj(Legend)
    assert [text.get_text() for text in legend.get_texts()] == [line.name for line in CASES["eight lines"].lines]


def test_points_at_zero_are_left_out_of_a_logarithmic_scale_and_that_is_said():
    picture = drawing(CASES["zeros on logarithmic scales"])
    note = "2 points at zero left out"
    assert any(text.get_text().startswith(note) for text, _ in written_in(picture))
    assert note in picture.words
    assert len(data_lines(picture)[0].get_xdata()) == 2


def test_nothing_is_left_out_of_a_linear_scale():
    assert "left out" not in drawing(CASES["all zeros"]).words


@pytest.mark.parametrize("case", ["no lines", "a line without points", "all zeros on logarithmic scales"])
def test_where_nothing_can_be_shown_it_says_so(case):
    assert any(text.get_text() == "nothing to show" for text, _ in written_in(drawing(CASES[case])))


@pytest.mark.parametrize(
    ("points", "told"),
    [
        (((0, 0), (S, GIB), (2 * S, 4 * GIB)), "A: from 0 at 0 to 4 GiB at 2 s."),
        (((0, GIB), (S, 9 * GIB), (2 * S, 0)), "A: from 1 GiB at 0 to 0 at 2 s, at most 9 GiB at 1 s."),
        (((0, GIB), (S, 5), (2 * S, GIB)), "A: from 1 GiB at 0 to 1 GiB at 2 s, at least 5 B at 1 s."),
        (((0, GIB), (S, GIB)), "A: always 1 GiB, from 0 to 1 s."),
        (((S, GIB),), "A: 1 GiB at 1 s, one point."),
        ((), "A: no points."),
    ],
)
def test_the_words_tell_the_course_of_a_line(points, told):
    assert told in lines.words(some_lines(Line("a", points)))


def test_the_words_tell_axes_and_marks():
    words = lines.words(CASES["logarithmic"])
    assert words.startswith("Memory against time, both on logarithmic scales.")
    assert "Marked: the patch's 32 at 32." in words


# Scales


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1500, "ns", "1.5 µs"),
        (64 * GIB, "bytes", "64 GiB"),
        (2 * GIB, "bytes/s", "2 GiB/s"),
        (1024, "pages", "1,024"),
        (12345, "calls", "12,345"),
        (7, "", "7"),
        (0, "ns", "0"),
        (0, "bytes", "0"),
    ],
)
def test_values_are_written_with_their_units(value, unit, text):
    assert written(value, unit) == text


@pytest.mark.parametrize("unit", ["ns", "bytes", "bytes/s", "pages", "calls", ""])
@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("values", [[1], [1, 3], [100, 110], [5, 1000], [1, 4096], [1, 10**9], [3, 1 << 59]])
def test_every_scale_has_a_few_ticks_that_can_be_told_apart(unit, log, values):
    scale = scale_of(values, unit, log=log)
    names = [tick_name(tick, unit) for tick in scale.ticks]
    assert 2 <= len(names) <= 8
    assert len(set(names)) == len(names)
    assert all(scale.low <= tick <= scale.high for tick in scale.ticks)
    assert all(0 <= scale.share(value) <= 1 for value in values)


def test_a_linear_scale_upwards_begins_at_zero():
    scale = scale_of([2 * GIB, 3 * GIB], "bytes/s", upwards=True)
    assert scale.low == scale.ticks[0] == 0


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1_000_000, "pages", "1,000,000"),
        (50_000_000, "pages", "50 million"),
        (10**15, "calls", "1,000 trillion"),
        (2 * 10**9, "calls", "2 billion"),
        (268_435_456, "pages", "268,435,456"),
        (10**10, "ns", "10 s"),
    ],
)
def test_large_round_counts_are_short_beside_an_axis(value, unit, text):
    assert tick_name(value, unit) == text


def test_powers_of_two_have_ticks_at_powers_of_two():
    assert [written(tick, "pages") for tick in scale_of(BATCHES, "pages", log=True).ticks] == [
        "1", "4", "16", "64", "256", "1,024", "4,096"
    ]  # fmt: skip


def test_sizes_have_ticks_at_powers_of_two():
    ticks = scale_of([0, 75 * GIB], "bytes").ticks
    assert [written(tick, "bytes") for tick in ticks] == ["0", "16 GiB", "32 GiB", "48 GiB", "64 GiB"]


@pytest.mark.parametrize("places", [[0, 1, 2], [0, 0, 0], [98, 99, 100], [0, 5, 50, 94, 100], range(0, 100, 9)])
def test_names_of_marks_neither_meet_nor_are_crossed_by_lines(places):
    marks = marks_of([(place, f"mark {place}") for place in places], lambda value: value / 100)
    assert [mark.value for mark in marks] == sorted(places)
    for one, other in itertools.permutations(marks, 2):
        if one.row == other.row:
            assert one.ends <= other.begins or other.ends <= one.begins
        if other.row > one.row:
            assert not one.begins < other.at < one.ends, "the line up to a higher name goes through a lower one"


# Grids


def boxes_of(picture):
    """Cells and legend swatches of the first panel: those that are filled."""
    return [patch for patch in picture.axes[0].patches if isinstance(patch, Rectangle) and patch.get_fill()]


def test_every_cell_is_written_as_it_is():
    cells = tuple(tuple(Cell(f"{LONG} {r}{c}", MOODS[c]) for c in range(3)) for r in range(2))
    picture = drawing(Grid("So", "r", "c", ("a", "b"), ("x", "y", "z"), cells))
    joined = [text.get_text().replace("\n", " ") for text, _ in written_in(picture)]
    for cell in itertools.chain(*cells):
        assert f"{grid.SIGNS[cell.mood]} {cell.text}".strip() in joined


@pytest.mark.parametrize("case", ["one cell", "a grid of ten by ten", "a large grid of long words"])
def test_what_a_cell_says_stays_in_it(case):
    spec = CASES[case]
    picture = drawing(spec)
    cells = [box.get_window_extent() for box in boxes_of(picture)][: len(spec.rows) * len(spec.columns)]
    words = {f"{grid.SIGNS[cell.mood]} {cell.text}".strip() for row in spec.cells for cell in row}
    texts = [box for text, box in written_in(picture) if text.get_text().replace("\n", " ") in words]
    assert len(texts) == len(cells)
    for cell, text in zip(cells, texts, strict=True):
        assert cell.x0 <= text.x0 and text.x1 <= cell.x1
        assert cell.y0 <= text.y0 and text.y1 <= cell.y1


def test_words_of_a_large_grid_are_not_broken():
    shown = [text.get_text() for text, _ in written_in(drawing(CASES["a grid of ten by ten"]))]
    assert sum("destroyed,\n" in text for text in shown) == 100


def test_moods_are_told_apart_without_colour():
    picture = drawing(table(1, 5, "text"))
    boxes = boxes_of(picture)[:5]
    looks = {(grid.SIGNS[mood], box.get_hatch() or "") for mood, box in zip(MOODS, boxes, strict=True)}
    assert len(looks) == 5


def test_moods_are_told_apart_by_colour():
    assert len({box.get_facecolor() for box in boxes_of(drawing(table(1, 5)))[:5]}) == 5


def test_a_legend_says_what_each_mood_means_even_if_it_is_not_given():
    shown = [text.get_text() for text, _ in written_in(drawing(table(1, 5, legend=(("good", "as it should be"),))))]
    assert {"✓ as it should be", "✗ bad", "~ mixed", "does not apply"} <= set(shown)


def test_a_legend_has_no_mood_that_is_neither_given_nor_there():
    shown = [text.get_text() for text, _ in written_in(drawing(table(1, 1, legend=())))]
    assert "✓ good" in shown
    assert "✗ bad" not in shown


def test_a_small_grid_is_told_cell_by_cell():
    words = grid.words(table(2, 2))
    assert "Row 0: column 0: fits (all is well); column 1: fits (nothing is well)." in words


def test_a_large_grid_is_counted_by_mood_and_by_row():
    words = grid.words(table(10, 10))
    assert "100 cells: 20 × all is well, 20 × nothing is well" in words
    assert "Row 9: 2 × does not apply, 2 × all is well" in words


# Lanes


def bars(picture):
    return [patch for patch in picture.axes[0].patches if type(patch) is Polygon and len(patch.get_xy()) > 4]


def test_bars_are_where_their_spans_are():
    spans_ = [span for _, found in REBOOT.lanes for span in found]
    xs = [bar.get_xy()[:, 0] for bar in bars(drawing(REBOOT))]
    drawn = [(min(x), sorted(set(x))[1]) for x in xs if max(x) - min(x) > 1]
    assert drawn == [(span.start, REBOOT.end if span.end is None else span.end) for span in spans_]


def test_a_span_without_an_end_has_an_arrow_to_the_edge():
    picture = drawing(some_lanes(("a", (Span(0, None, "open", "guest"),)), ("b", (Span(0, 30 * S, "shut", "guest"),))))
    right = picture.axes[0].get_xlim()[1]
    assert [max(bar.get_xy()[:, 0]) == right for bar in bars(picture)] == [True, False]


@pytest.mark.parametrize("case", ["lanes", "lanes with crowded spans", "a span of no length"])
def test_words_lie_in_their_own_bar_or_in_none(case):
    picture = drawing(CASES[case])
    wanted = {span.text for _, found in CASES[case].lanes for span in found}
    texts = [(text.get_text(), box) for text, box in written_in(picture) if text.get_text().strip("▴◂▸ ") in wanted]
    assert {text.strip("▴◂▸ ") for text, _ in texts} == wanted
    for text, box in texts:
        over = [bar for bar in bars(picture) if bar.get_window_extent().padded(-1).overlaps(box)]
        if text[0] in "▴◂" or text[-1] in "▴▸":
            assert not over, text
        else:
            assert len(over) == 1 and over[0].get_window_extent().x0 <= box.x0, text


def test_moments_and_lanes_are_named():
    shown = {text.get_text().replace("\n", " ") for text, _ in written_in(drawing(REBOOT))}
    assert {name for name, _ in REBOOT.lanes} | {name for _, name in REBOOT.marks} <= shown
    assert "time since reset" in shown


def test_the_words_tell_what_each_lane_holds():
    words = spans.words(REBOOT)
    assert "Guest OS: old guest from before reset to 0; new guest from 150 ms to the end and beyond." in words
    assert "Marked: A is destroyed at 26 s." in words
    assert "Empty: nothing." in spans.words(CASES["lanes without spans"])


# Timelines


def test_timelines_are_under_their_names():
    picture = drawing(CASES["timelines"])
    assert {"reboot, v1", "shutdown, v1"} <= {text.get_text() for text in picture.texts}
    assert picture.axes[-1].get_xlabel() == "time since the reset request or the kill (ms)"
    assert "2 timelines" in picture.words


def test_runs_that_differ_in_size_only_are_named_for_it():
    picture = drawing(Timelines("Two sizes", (ld.reboot("64 MiB"), ld.reboot("32 MiB"))))
    assert {"reboot of 64 MiB", "reboot of 32 MiB"} <= {text.get_text() for text in picture.texts}


# Text that fits


@pytest.mark.parametrize("inches", [0.3, 0.8, 2.0, 9.0])
def test_broken_text_fits_and_is_complete(inches):
    found = broken(LONG, inches, 10)
    assert "".join(found).replace(" ", "") == LONG.replace(" ", "")
    assert all(width(line, 10) <= inches for line in found)


@pytest.mark.parametrize("text", ["240 ms", "64 GiB", "2 GiB/s", "1.120 s,", "4096 B", "1,024 KiB"])
def test_a_number_stays_with_its_unit(text):
    assert broken(f"waits {text} then", width(text, 10), 10)[1] == text


def test_a_number_and_a_word_are_two_words():
    assert words_of("rc 0x106  and 3 state 2 guests") == ["rc", "0x106", "and", "3", "state", "2", "guests"]


def test_text_of_no_words_is_one_empty_line():
    assert broken("  ", 1, 10) == [""]


# Real answers


@pytest.mark.parametrize("number", [1, 2, 5, 7, 12])
def test_answers_can_be_drawn(number):
    small = {} if number in (2, 12) else {"memory": "64 MiB", "low_memory": "16 MiB"}
    picture = ld.ask(number, **small).plot()
    assert picture.title.startswith(f"Question {number} · ")
    assert len(picture.png()) <= 150_000
