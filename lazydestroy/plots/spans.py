"""Things that exist for a while, one below the other."""

from __future__ import annotations

from dataclasses import dataclass, field

from matplotlib.axes import Axes
from matplotlib.patches import Polygon

from ..questions.pictures import Lanes, Span
from .axes import ACROSS, Mark, Scale, draw_marks, marks_height, marks_of, scale_of, written
from .fitting import broken, width
from .picture import LEFT, PALETTE, WIDTH, Picture, styled
from .timeline import brightness
from .words import capital

LANE = 0.46
"""Inches of a lane with nothing written below its bars."""

BAR = 0.32
BELOW = 0.2
"""Inches for a row of words below the bars."""

FONT = 10.5
AXIS = 0.56
"""Inches below the lanes for the axis."""

ARROW = 0.03
"""Share of the time that arrows take, beyond the end."""


@dataclass(frozen=True, slots=True)
class _Words:
    """Words of a span: from where to where they are, in inches, and in which row below the bars (0: at their height).

    `points_at` is where the bar is, if they are not in it.
    """

    text: str
    begins: float
    ends: float
    row: int = 0
    points_at: float | None = None
    inside: Span | None = None

    def meet(self, begins: float, ends: float) -> bool:
        """Whether they stand where something else is to be."""
        return self.begins < ends and begins < self.ends


@dataclass(frozen=True, slots=True)
class _Lane:
    name: list[str]
    spans: tuple[Span, ...]
    words: list[_Words] = field(default_factory=list)

    @property
    def name_height(self) -> float:
        return 0.185 * len(self.name) + 0.1

    @property
    def height(self) -> float:
        rows = max((words.row for words in self.words), default=0)
        return max(LANE + BELOW * rows, self.name_height)


def _scale(spec: Lanes) -> Scale:
    """The time axis, with room for arrows after the end."""
    start = min([0, *(span.start for _, spans in spec.lanes for span in spans)])
    scale = scale_of([start, max(spec.end, start + 1)], "ns")
    room = (max(spec.end, start + 1) - start) * (1 + ARROW)
    return Scale(start, start + room, tuple(tick for tick in scale.ticks if 0 <= tick <= start + room), "ns", False)


def _marks(spec: Lanes) -> list[Mark]:
    scale = _scale(spec)
    return marks_of([mark for mark in spec.marks if scale.low <= mark[0] <= max(spec.end, 0)], scale.share)


def _since(spec: Lanes) -> str:
    """What moment time is counted from, if it has a name."""
    return next((name for moment, name in spec.marks if moment == 0), "")


def _until(span: Span, end: int) -> int:
    """Where a span's bar ends: in the picture, and not before it begins."""
    return max(span.start, end if span.end is None else min(span.end, end))


# Where words are


def _lanes(spec: Lanes) -> list[_Lane]:
    """The lanes with their words: in the bars, beside them, or in rows below them."""
    scale = _scale(spec)
    lines = [mark.at for mark in _marks(spec)]
    lanes = []
    for name, spans in spec.lanes:
        lane = _Lane(broken(name, LEFT * WIDTH - 0.2, 11), spans)
        bars = [(scale.share(span.start) * ACROSS, scale.share(_until(span, spec.end)) * ACROSS) for span in spans]
        for place in sorted(range(len(spans)), key=lambda place: bars[place][0] - bars[place][1]):
            if spans[place].text and spans[place].start <= spec.end:
                lane.words.append(_placed(spans[place], place, bars, lane.words, lines))
        lanes.append(lane)
    return lanes


def _placed(
    span: Span, place: int, bars: list[tuple[float, float]], others: list[_Words], lines: list[float]
) -> _Words:
    """Where the words of a span go: into its bar, or to the right or left of it, or below."""
    begins, ends = bars[place]
    long = width(span.text, FONT) + 0.12
    if long <= ends - begins:
        middle = (begins + ends) / 2
        return _Words(span.text, middle - long / 2, middle + long / 2, inside=span)
    open_end = 0.25 if span.end is None else 0.0
    beside = [
        _Words(f"◂ {span.text}", ends + open_end, ends + open_end + long + 0.15, points_at=ends),
        _Words(f"{span.text} ▸", begins - long - 0.15, begins, points_at=begins),
    ]
    for words in beside:
        taken = [bar for number, bar in enumerate(bars) if number != place]
        crossed = any(words.begins + 0.03 < line < words.ends - 0.03 for line in lines)
        free = not any(words.meet(*bar) for bar in taken) and not any(o.meet(words.begins, words.ends) for o in others)
        if free and not crossed and words.begins >= 0 and words.ends <= ACROSS:
            return words
    return _below(span.text, (begins + ends) / 2, others)


def _below(text: str, middle: float, others: list[_Words]) -> _Words:
    """Words in the first row below the bars where there is room, beside a sign that points up at the bar."""
    long = width(text, FONT) + 0.25
    leftwards = middle + long > ACROSS
    begins, ends = (middle - long, middle + 0.1) if leftwards else (middle - 0.1, middle + long)
    row = next(
        row
        for row in range(1, len(others) + 2)
        if not any(words.row == row and words.meet(begins, ends) for words in others)
    )
    return _Words(f"{text} ▴" if leftwards else f"▴ {text}", begins, ends, row, middle)


# Drawing


def _axes_height(spec: Lanes) -> float:
    return sum(lane.height for lane in _lanes(spec)) or LANE


def height(spec: Lanes) -> float:
    """Inches that the panel takes, with what is above and below its axes."""
    return marks_height(_marks(spec)) + _axes_height(spec) + AXIS


def draw(picture: Picture, spec: Lanes, top: float) -> None:
    """Draw the lanes into a picture, `top` inches from the upper edge."""
    marks, lanes, inches = _marks(spec), _lanes(spec), _axes_height(spec)
    axes = picture.panel(top + marks_height(marks), inches)
    with styled():
        scale = _scale(spec)
        scale.set(axes, "x")
        axes.set_ylim(inches, 0)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(f"time since {_since(spec)}" if _since(spec) else "time")
        above, middles, names = 0.0, list[float](), list[float]()
        for lane in lanes:
            middles.append(above + LANE / 2)
            names.append(above + max(LANE, lane.name_height) / 2)
            axes.axhspan(above + 0.02, above + lane.height - 0.02, color="#F4F4F4", lw=0, zorder=0)
            for span in lane.spans:
                _bar(axes, middles[-1], span, spec.end, scale)
            for words in lane.words:
                _write(axes, words, middles[-1])
            above += lane.height
        axes.set_yticks(names, ["\n".join(lane.name) for lane in lanes])
        draw_marks(axes, marks, inches, PALETTE["downtime"].colour)


def _bar(axes: Axes, middle: float, span: Span, end: int, scale: Scale) -> None:
    """A bar; if it has no end, with an arrow up to the right edge of the picture."""
    look, ends = PALETTE[span.look], _until(span, end)
    top, bottom = middle - BAR / 2, middle + BAR / 2
    tip = [(scale.high, middle)] if span.end is None else []
    corners = [(span.start, top), (ends, top), *tip, (ends, bottom), (span.start, bottom)]
    axes.add_patch(
        Polygon(
            corners, closed=True, fc=look.colour, hatch=look.hatch, ec="#333333", lw=0.7, joinstyle="miter", zorder=2
        )
    )


def _write(axes: Axes, words: _Words, middle: float) -> None:
    """Write words where they have been placed."""
    box, colour = None, "black"
    if words.inside is not None:
        look = PALETTE[words.inside.look]
        box = {"boxstyle": "square,pad=0.12", "fc": "white", "ec": "none"} if look.hatch else None
        colour = "white" if brightness(look.colour) < 0.2 and not look.hatch else "black"
    elif words.row:
        # a line of the background, so that a mark's line does not strike the words through
        box = {"boxstyle": "square,pad=0.05", "fc": "#F4F4F4", "ec": "none"}
    low = axes.get_xlim()[0]
    per_inch = (axes.get_xlim()[1] - low) / ACROSS
    below = LANE / 2 + BELOW * (words.row - 0.6) if words.row else 0.0
    axes.text(
        low + (words.begins + words.ends) / 2 * per_inch,
        middle + below,
        words.text,
        ha="center",
        va="center",
        color=colour,
        fontsize=FONT,
        bbox=box,
        zorder=5,
    )


# In words


def words(spec: Lanes) -> str:
    """What the panel shows, in sentences."""
    told = [f"What there is over time, up to {written(spec.end, 'ns')}."]
    for name, spans in spec.lanes:
        parts = [f"{span.text or span.look} {_when(span, spec)}" for span in spans]
        told.append(f"{capital(name)}: {'; '.join(parts) or 'nothing'}.")
    told += [f"Marked: {name} at {written(moment, 'ns')}." for moment, name in spec.marks]
    return " ".join(told)


def _when(span: Span, spec: Lanes) -> str:
    start = f"before {_since(spec) or '0'}" if span.start < 0 else written(span.start, "ns")
    return f"from {start} to {'the end and beyond' if span.end is None else written(span.end, 'ns')}"
