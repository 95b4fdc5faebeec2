"""A row for the one thing that is measured of this computer itself: the end of a process, which the model predicts."""

from __future__ import annotations

from lazydestroy import live
from lazydestroy.units import format_size

from .measure import NotHereError, Row, seconds
from .sizes import Sizes


def exits(sizes: Sizes) -> Row:
    """How far the model is off for the end of a process with a helper, fitted to a quarter and a half of its size."""
    if live.why_not():
        raise NotHereError(live.why_not())
    *smaller, whole = live.sizes(sizes.exits)
    small, middle, large = (live.exit_time(size, helper=True, times=sizes.repetitions) for size in (*smaller, whole))
    if large.recorded:
        raise NotHereError(large.recorded)
    found = live.fit(small, middle).predict(large)
    return Row(
        f"the end of a process of {format_size(whole)}, in CPU time",
        f"{seconds(found.predicted_ns / 1e9)} predicted",
        f"{seconds(found.measured_ns / 1e9)} measured",
        100 * abs(found.error),
        " %",
        25,
    )
