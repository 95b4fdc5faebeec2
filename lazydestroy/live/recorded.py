"""Figures that were measured elsewhere, for those who cannot measure: ``recorded.json``, and how it was written.

python -m lazydestroy.live.recorded      measure on this computer, and write the file
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).with_name("recorded.json")

MIB = 1 << 20
SIZES = tuple(mib * MIB for mib in (256, 512, 1024, 2048, 4096))
TIMES = 5
ROWS = 60
"""Samples that are kept of a measurement."""


@cache
def _all() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def machine() -> str:
    """The computer on which they were measured, in words."""
    return str(_all()["machine"])


def nearest(kind: Any, samples: np.dtype[Any], wanted: int, given: Mapping[str, bool], reason: str) -> Any:
    """The measurement, of class `kind`, whose size is nearest to what was wanted."""
    fitting = [each for each in _all()["exits"] if all(each[name] is value for name, value in given.items())]
    found = min(fitting, key=lambda each: abs(np.log(each["size"] / wanted)))
    rows = np.array([tuple(row) for row in found["samples"]], samples)
    return kind(**{**found, "samples": rows}, machine=machine(), recorded=reason)


def record() -> None:
    """Measure on this computer, and write the file."""
    from .measuring import exit_time
    from .measuring import machine as this

    exits = []
    for huge_pages in (False, True):
        for helper in (False, True):
            for size in SIZES:
                one = exit_time(size, helper=helper, huge_pages=huge_pages, times=TIMES)
                print(one, flush=True)
                exits.append(_plain(one))
    FILE.write_text(json.dumps({"machine": this(), "exits": exits}, indent=None) + "\n", encoding="utf-8")


def _plain(one: Any) -> dict[str, Any]:
    """A measurement as JSON holds it, with some of its samples."""
    kept = np.unique(np.linspace(0, len(one.samples) - 1, ROWS).astype(np.int64))
    names = ("size", "helper", "huge_pages", "fill_ns", "wait_ns", "freed_ns", "cpu_ns")
    return {name: getattr(one, name) for name in names} | {"samples": one.samples[kept].tolist()}


if __name__ == "__main__":
    record()
