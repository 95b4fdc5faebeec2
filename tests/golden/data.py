"""Golden data: files of cases, and what they leave out because it is as before."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent.parent / "data"

Case = dict[str, Any]
"""A scenario, the runs (kernel, options) that all showed this, the steps and the end."""


def read(file: Path) -> tuple[int | str, list[Case]]:
    """The format of a file, and its cases."""
    with gzip.open(file, "rt") as opened:
        data = json.load(opened)
    return data["format"], data["cases"]


def spelled_out(case: Case, first: dict[str, Any]) -> Iterator[tuple[list[Any], dict[str, Any]]]:
    """Each operation, and what is seen after it; what the file leaves out because it is as before is filled in.

    `first`: what is seen before anything is done, of that which is only written when it changes.
    """
    pages: list[str] | None = None
    kept = dict(first)
    for step in case["steps"]:
        if step["op"][0] == "boot":
            pages = []
        if "pages" in step:
            pages = None if step["pages"] is None else with_changes(pages or [], step["pages"])
        kept = {name: step.get(name, before) for name, before in kept.items()}
        calls = [call for run in step.get("calls", ()) for call in spelled_calls(run)]
        seen = {"result": step.get("result"), "calls": calls, "pages": pages, "events": step.get("events", [])}
        yield step["op"], {**seen, **kept}


def with_changes(rows: list[str], changes: list[str]) -> list[str]:
    """The rows of pages, some changed: "first-last row"."""
    rows = list(rows)
    for change in changes:
        where, row = change.split(" ", 1)
        first, _, last = where.partition("-")
        end = int(last or first) + 1
        rows += [""] * (end - len(rows))
        rows[int(first) : end] = [row] * (end - int(first))
    return rows


def spelled_calls(run: str) -> list[str]:
    """Each call of a run of calls."""
    parts = run.split(" ")
    times = int(parts.pop()[1:]) if parts[-1][0] == "x" else 1
    actor, command, where, *answer = parts
    space, _, pages = where.partition(":")
    first, dash, last = pages.partition("-")
    if not dash:
        return [" ".join(parts)] * times
    return [" ".join((actor, command, f"{space}:{page}", *answer)) for page in range(int(first), int(last) + 1)]


def first_of(expected: Any, seen: Any) -> str:
    """Two lists where they begin to differ."""
    if not isinstance(expected, list) or not isinstance(seen, list):
        return f"{expected!r} in the data, {seen!r} here"
    place = next(place for place in range(len(expected) + 1) if expected[place : place + 1] != seen[place : place + 1])
    one, other = (values[place] if place < len(values) else "nothing" for values in (expected, seen))
    return f"at {place}, {one!r} in the data, {other!r} here"
