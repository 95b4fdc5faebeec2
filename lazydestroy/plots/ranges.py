"""What a call for a range of pages brings: what is won, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping

from ..questions.pictures import Line, Lines
from ..rounded import about_duration
from ..units import LARGEST, bad_value, expect, whole_number
from . import lines
from .picture import HEAD, Picture, ratio


def plot_ranges(downtimes: Mapping[int, int], longest: Mapping[int, int]) -> Picture:
    """Draw the downtime, and the longest time in firmware without a break, against the pages of a call.

    Parameters
    ----------
    downtimes, longest : mapping of int to int
        Nanoseconds by pages of a call; two sizes of call or more, the same ones in both.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If they have other sizes, or fewer than two.
    """
    for name, times in (("downtimes", downtimes), ("longest", longest)):
        expect(Mapping, times, name, "a dict of pages of a call and nanoseconds, such as {1: 9_000, 64: 4_000}")
        for number in (*times, *times.values()):
            whole_number(number, name, 1, LARGEST)
    if len(downtimes) < 2 or set(downtimes) != set(longest):
        raise bad_value("longest", dict(longest), "has other sizes of call", "the same as in downtimes, two or more")
    sizes = sorted(downtimes)
    panels = [
        Lines(
            f"{what}, by pages of a call",
            (Line(what, tuple((size, values[size]) for size in sizes), look),),
            "pages of a call",
            what,
            "",
            "ns",
            log_x=True,
            log_y=log,
        )
        for what, values, look, log in (
            ("downtime", downtimes, "downtime", False),
            ("longest time in firmware", longest, "donated", True),
        )
    ]
    picture = Picture(HEAD + sum(map(lines.height, panels)) + 0.3)
    top = HEAD
    for panel in panels:
        lines.draw(picture, panel, top)
        top += lines.height(panel) + 0.2
    first, last = sizes[0], sizes[-1]
    won = downtimes[first] / downtimes[last]
    title = (
        f"{last} pages a call: downtime {ratio(won)} times shorter, firmware busy for {about_duration(longest[last])}"
    )
    picture.say(title, "a call costs as much as one that changes nothing", " ".join(map(lines.words, panels)))
    return picture
