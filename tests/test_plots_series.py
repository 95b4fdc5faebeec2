"""Pictures of traces and demonstrations."""

import dataclasses
import functools
import io
import itertools

import pytest
from matplotlib.patches import Arc, Rectangle
from matplotlib.text import Annotation, Text
from PIL import Image

import lazydestroy as ld
from lazydestroy.demonstrations import Demonstration, Measure
from lazydestroy.plots import PALETTE, plot_demonstration, plot_fates, plot_trace
from lazydestroy.plots.trace import MOMENTS, PAGES
from lazydestroy.plots.words import capital
from lazydestroy.rounded import about_duration, about_size
from lazydestroy.run import Event
from lazydestroy.series.trace import Moment, Trace
from tests.marks import long_unless

FILE_MAX = 150_000


@functools.cache
def trace():
    return ld.series.check(ld.series.v1_fixed.without(7, 11), failures=()).trace


@functools.cache
def demonstration(number, series=ld.series.v1):
    return series[number].demonstrate()


def texts(picture):
    """All that is written in a picture."""
    return [text.get_text() for text in picture.findobj(Text) if text.get_text() and text.get_visible()]


def inside(picture, words=None):
    """Whether these texts, or everything that is written, lies in the picture."""
    picture.image()
    width, height = picture.canvas.get_width_height()
    words = picture.findobj(Text) if words is None else words
    boxes = [text.get_window_extent() for text in words if text.get_text().strip()]
    return all(box.x0 >= -1 and box.x1 <= width + 1 and box.y0 >= -1 and box.y1 <= height + 1 for box in boxes)


def clear(picture, words):
    """Whether none of these texts lies over another."""
    picture.image()
    boxes = [text.get_window_extent() for text in words]
    return not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


def row(page, **record):
    """A page, as a machine tells it."""
    return {"page": page, "state": "non-secure", "owner": "", "content": "zeros", "holder": "mapped", **record}


KINDS = {
    label
    for words in ("shared, A (old)", "secure, A (old)", "ciphertext of A", "set aside")
    for label in (words, words.replace(", ", ",\n").replace(" of ", "\nof "))
}
"""What is written on the pages of `by_hand`."""


def by_hand(pages, moments=3, text="the host does I/O on page 0: pin (refused), export, and what else there may be"):
    """A trace with pages of all kinds, and much to say."""
    rows = [
        row(0, state="shared", owner="A"),
        row(1, state="secure", owner="A", holder="set aside"),
        row(2, state="secure", owner="A"),
        row(3, content="ciphertext of A"),
    ] * 2
    told = [
        Moment(text, "host", tuple(rows[-pages:]), (), frozenset("A"), place == moments - 1) for place in range(moments)
    ]
    return Trace(ld.series.v1, "something is wrong", (), tuple(told))


def of_patch_8(**what):
    """A demonstration with given measures or lines."""
    given = {"runs": (), "measures": (), "finding": "This is found.", "shows": True, **what}
    return Demonstration(8, "lazy destroy for reboot", ld.series.v1.upto(7), ld.series.v1.upto(8), **given)


def of_lines(without, with_, x_unit="bytes", y_unit="ns"):
    """A demonstration with two lines, points a power of two apart."""
    lines = {
        name: [(1 << (30 + place), y) for place, y in enumerate(values)]
        for name, values in {"without patch 8": without, "with patch 8": with_}.items()
    }
    return of_patch_8(kind="scaling", series=lines, x_label="memory", y_label="time", x_unit=x_unit, y_unit=y_unit)


def test_a_trace_shows_every_moment_and_the_pages_then():
    shown = texts(plot_trace(trace()))
    joined = " ".join(text.replace("\n", " ") for text in shown)
    for moment in trace().moments:
        assert moment.text[1:] in joined
    assert "secure, A (old)" in shown and "shared, A (old)" in shown and "secure, B" in shown
    assert shown.count("✗") == 1


def test_the_title_of_a_trace_is_what_broke():
    picture = plot_trace(trace())
    assert trace().violation.lower().startswith(picture.title.lower()) and len(picture.title.split()) > 3
    assert capital(trace().violation) in picture.words
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


@pytest.mark.parametrize("pages", [1, 2, 3, 4, PAGES])
def test_what_is_written_on_a_page_stays_on_it(pages):
    picture = plot_trace(by_hand(pages))
    picture.image()
    axes = picture.axes[0]
    cells = [patch.get_window_extent() for patch in axes.patches if patch.get_fill()]
    assert len(cells) == 3 * pages
    labels = [text for text in axes.texts if text.get_text() in KINDS]
    assert len(labels) == 3 * pages
    for cell, text in zip(cells, labels, strict=True):
        box = text.get_window_extent()
        assert cell.contains(box.x0, box.y0) and cell.contains(box.x1, box.y1), text.get_text()


@pytest.mark.parametrize("pages", [1, 2, 3, 4, PAGES])
def test_what_is_written_beside_the_pages_stays_there(pages):
    picture = plot_trace(by_hand(pages))
    picture.image()
    axes = picture.axes[0]
    begins = min(patch.get_window_extent().x0 for patch in axes.patches if patch.get_fill())
    beside = [text for text in axes.texts if text.get_text() not in KINDS and not text.get_text().startswith("page ")]
    assert beside
    assert all(text.get_window_extent().x1 < begins for text in beside)


def test_a_trace_shows_what_was_logged_and_says_where_it_goes_wrong():
    found = ld.series.check(ld.series.v1_fixed.without(4), failures=()).trace
    picture = plot_trace(found)
    written = [text.replace("\n", " ") for text in texts(picture)]
    assert "Here it goes wrong. Warning: 0x3D of a guest is not handled" in written
    assert "KVM_PV_DISABLE answers rc 1, rrc 42: the rest is done in the background" in written
    assert "Logged: warning: 0x3D of a guest is not handled" in picture.words
    assert picture.words.count("Here it goes wrong") == 1


def test_what_is_logged_twice_is_written_once():
    leak = Event(0, "leak", "QEMU", "1 page")
    found = by_hand(1)
    found = dataclasses.replace(found, moments=(dataclasses.replace(found.moments[0], events=(leak, leak)),))
    assert "leak: 1 page (2 times)" in texts(plot_trace(found))


def test_a_trace_of_many_pages_is_refused():
    found = by_hand(1)
    many = tuple(row(page) for page in range(PAGES + 1))
    with pytest.raises(ValueError, match=f"{PAGES + 1} guest pages; there is room for {PAGES}"):
        plot_trace(dataclasses.replace(found, moments=(dataclasses.replace(found.moments[0], rows=many),)))


DEMONSTRATED = [(series, patch.number) for series in (ld.series.v1, ld.series.linux_latest) for patch in series]


@pytest.mark.parametrize(
    ("series", "number"),
    long_unless(
        lambda shown: shown[0] is ld.series.v1 or not shown[1] % 6,
        "the merged patches' are drawn like version 1's, by the same code",
        DEMONSTRATED,
    ),
    ids=lambda value: getattr(value, "name", value),
)
def test_a_demonstration_is_drawn_with_its_finding_as_the_title(series, number):
    shown = demonstration(number, series)
    picture = shown.plot()
    assert picture.title == (shown.fates.title if shown.fates else shown.finding.rstrip("."))
    assert shown.finding in picture.words
    assert all(measure.name.lower() in picture.words.lower() for measure in shown.measures)
    image = Image.open(io.BytesIO(picture.png()))
    assert image.width == 900
    assert len(picture.png()) <= FILE_MAX
    assert inside(picture)


@pytest.mark.parametrize("number", [3, 4, 6, 7])
def test_a_page_is_drawn_at_each_of_its_stations(number):
    fates = demonstration(number).fates
    picture = plot_fates(fates)
    picture.image()
    assert len(picture.title.split()) <= 12
    for text in picture.findobj(Text):
        assert not text.get_text() or picture.bbox.contains(*text.get_window_extent().min), text.get_text()
    boxes = [patch for patch in picture.axes[0].patches if isinstance(patch, Rectangle) and patch.get_width() > 1]
    assert len(boxes) == len(fates.without.stations) + len(fates.with_.stations)
    assert [sign for sign in texts(picture) if sign in "✗✔"] == ["✗", "✔"]
    assert inside(picture)


def test_a_page_that_is_free_and_secure_is_drawn_with_a_lock_and_a_frame():
    """Patch 6, and a bug of version 1: the page has left the address space, and is drawn all the same."""
    found = ld.series.BUGS[5].check().trace
    row = found.moments[-1].rows[1]
    assert (row["holder"], row["state"], row["owner"]) == ("free", "secure", "A")
    picture = plot_trace(found)
    assert "free, but\nsecure" in texts(picture)
    assert "page 1 free, but secure, owned by A" in picture.words
    assert len(picture.findobj(Arc)) == 1
    freed = [station for station in demonstration(6).fates.without.stations if station.holder == "free"]
    assert [(station.state, station.owner, station.protected) for station in freed] == [("secure", "B", 0)]


def test_a_list_page_that_stays_behind_is_drawn():
    found = ld.series.check(ld.series.BUGS[4].kernel, failures=()).trace
    assert [moment.list_pages for moment in found.moments][-2:] == [0, 1]
    assert {"list page", "set aside"} <= set(texts(plot_trace(found)))
    assert "list page" not in texts(plot_trace(trace()))


@pytest.mark.parametrize("number", [1, 2, 5, 11])
def test_bars_carry_their_values(number):
    shown = demonstration(number)
    written = texts(plot_demonstration(shown))
    for measure in [measure for measure in shown.measures if measure.unit != "yes/no"][:4]:
        rounded = {"ns": about_duration, "bytes": about_size}.get(measure.unit, measure.write)
        assert {rounded(value) for value in (measure.without, measure.with_) if value is not None} <= set(written)
        assert ("never" in written) >= (None in (measure.without, measure.with_))


def test_values_of_bars_do_not_run_into_each_other():
    measures = [
        Measure("pages destroyed", "pages", 16_777_216, 17_301_504),
        Measure("destroys in all", "calls", 268_435_456, 268_435_455),
        Measure("exports", "calls", 268_435_456, 0),
        Measure("time", "ns", None, 3_000_000_000),
    ]
    picture = plot_demonstration(of_patch_8(measures=tuple(measures)))
    wanted = {text for measure in measures for text in measure.text}
    values = [text for text in picture.findobj(Text) if text.get_text().replace("\n", " ") in wanted]
    assert len(values) == 8
    assert clear(picture, values) and inside(picture)


def test_a_measure_of_yes_and_no_has_bars_too():
    measures = (Measure("the guest comes up", "yes/no", False, True), Measure("pages", "pages", 5, 7))
    written = texts(plot_demonstration(of_patch_8(measures=measures)))
    assert {"the guest comes up", "no", "yes", "5 pages", "7 pages"} <= set(written)


def test_two_kernels_do_not_look_like_an_actor_or_a_use_of_memory():
    for number in (1, 8):
        image = plot_demonstration(demonstration(number)).image()  # a PNG has fewer greys than letters have
        seen = {f"#{r:02X}{g:02X}{b:02X}" for times, (r, g, b) in image.getcolors(1 << 24) if times > 300}
        assert PALETTE["with"].colour in seen
        others = {look.colour for name, look in PALETTE.items() if name not in ("without", "with", "free", "leaked")}
        assert not others & seen


def test_nothing_to_draw_is_an_error():
    with pytest.raises(ValueError, match="patch 8 has no measures"):
        plot_demonstration(of_patch_8())


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


def test_a_line_at_zero_is_seen():
    axes = plot_demonstration(of_lines([0, 1000, 2000], [0, 0, 0], y_unit="calls")).axes[0]
    assert axes.get_yscale() == "linear"
    assert axes.get_ylim()[0] == 0


@pytest.mark.parametrize("without", [[2_000_000_000, 2_500_000_000, 3_800_000_000], [400_000_000, 5, 25_000_000_000]])
def test_every_scale_has_ticks(without):
    picture = plot_demonstration(of_lines(without, [2_000_000_000] * 3))
    picture.image()
    axes = picture.axes[0]
    low, high = axes.get_ylim()
    assert sum(low <= tick <= high for tick in axes.get_yticks()) >= 3


@pytest.mark.parametrize("with_", [[1, 2, 3], [100, 200, 400], [100, 210, 402], [0, 0, 0]])
def test_names_of_lines_can_be_read_wherever_these_end(with_):
    picture = plot_demonstration(of_lines([100, 200, 400], with_))
    names = [text for text in picture.findobj(Annotation) if "patch 8" in text.get_text()]
    assert len(names) == 2
    assert clear(picture, [*names, *picture.axes[0].get_xticklabels()]) and inside(picture, names)


def test_lines_are_told_in_words():
    assert "With patch 8: 1 GiB 1 s, 2 GiB 2 s." in plot_demonstration(of_lines([1, 2], [10**9, 2 * 10**9])).words


def test_there_is_a_line_for_each_of_two_kernels():
    shown = of_lines([1, 2], [1, 2])
    with pytest.raises(ValueError, match="1 lines"):
        plot_demonstration(dataclasses.replace(shown, series=dict(list(shown.series.items())[:1])))


@pytest.mark.parametrize("number", [3, 6, 7, 10])
def test_what_went_wrong_does_not_cover_what_was_done(number):
    picture = plot_demonstration(demonstration(number))
    picture.image()
    for axes in picture.axes:
        events = [text.get_window_extent() for text in axes.findobj(Annotation)]
        others = [text for text in axes.texts if not isinstance(text, Annotation) and text.get_text()]
        for text in others:
            assert not any(text.get_window_extent().overlaps(box) for box in events), text.get_text()
